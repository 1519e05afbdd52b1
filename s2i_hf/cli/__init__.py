"""`s2i`: the command line. One subcommand a row of `COMMANDS`; flags and actions are in `cli_data` and `cli_models`."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from types import FrameType
from typing import NoReturn

from . import data_commands as cli_data
from . import model_commands as cli_models

_ERROR = 2  # exit code of every error, as argparse has it
_INTERRUPTED = 130


class _Parser(argparse.ArgumentParser):
    """Errors are one sentence, with the flag or command that was probably meant."""

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]  # argparse's own signature
        """Name an unknown flag before argparse complains about what it then finds missing."""
        flags = {flag for action in self._actions for flag in action.option_strings}
        for word in map(str, sys.argv[1:] if args is None else args):
            flag = word.partition("=")[0]
            if flag.startswith("--") and len(flag) > 2 and flag not in flags:
                self.error(f"there is no flag {flag}{_did_you_mean(flag, flags)}")
            if self._subparsers is not None and not word.startswith("-"):
                break  # a command; its own parser knows the flags that follow
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        wrong = re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message)
        if wrong:
            choices = wrong[2].replace("'", "").split(", ")
            message = f"{wrong[1]!r} is none of {', '.join(choices)}{_did_you_mean(wrong[1], choices)}"
        self.exit(_ERROR, f"{self.prog}: {message}; `{self.prog} --help` lists what there is.\n")


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, sorted(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


@dataclass(frozen=True)
class Command:
    """One subcommand: a line of help, its flags, and what it does with them; `run` returns the exit code."""

    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


COMMANDS: dict[str, Command] = {
    "inspect": Command(
        "what is in a folder of recordings, and what is wrong with it", cli_data.inspect_arguments, cli_data.run_inspect
    ),
    "convert": Command(
        "raw recordings to a folder that training reads", cli_data.convert_arguments, cli_data.run_convert
    ),
    "convert-pickle": Command(
        "annotation pickles to a folder of arrays, safely", cli_data.pickle_arguments, cli_data.run_convert_pickle
    ),
    "infill": Command(
        "fill in joints and frames that a sensor lost", cli_models.infill_arguments, cli_models.run_infill
    ),
    "card": Command("write the model card of a run folder anew", cli_models.card_arguments, cli_models.run_card),
    "push": Command(
        "a run folder to the Hub, private by default, in one commit", cli_models.push_arguments, cli_models.run_push
    ),
    "predict": Command(
        "the actions in recordings, by a fine-tuned classifier", cli_models.predict_arguments, cli_models.run_predict
    ),
    "export": Command(
        "a fine-tuned classifier for ONNX or torch.export", cli_models.export_arguments, cli_models.run_export
    ),
    "env": Command("versions and devices, for bug reports", cli_models.env_arguments, cli_models.run_env),
}


def build_parser() -> argparse.ArgumentParser:
    """The parser of `s2i` with all its subcommands."""
    parser = _Parser(prog="s2i", description="Skeleton-to-Image Encoding for vision transformers.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"s2i-hf {version('s2i-hf')}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    for name, command in COMMANDS.items():
        subparser = commands.add_parser(name, help=command.help, description=command.help, allow_abbrev=False)
        command.add_arguments(subparser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Arguments without the name of the program; None: those of this process.

    Returns:
        Exit code: 0; 2 after an error, which is one sentence on stderr; 130 after Ctrl-C.
    """
    parser = build_parser()
    arguments = parser.parse_args(argv)
    if arguments.command is None:
        parser.print_help()
        return 0
    try:
        with _term_as_interrupt():
            return COMMANDS[arguments.command].run(arguments)
    except KeyboardInterrupt as stopped:
        message = str(stopped) or "interrupted; nothing half-written was left behind."
        print(f"s2i {arguments.command}: {message}", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:  # `s2i ... | head`
        sys.stderr.close()
        return 0
    except (ValueError, OSError, ImportError) as error:
        print(f"s2i {arguments.command}: {' '.join(str(error).split())}", file=sys.stderr)
        return _ERROR


@contextlib.contextmanager
def _term_as_interrupt() -> Iterator[None]:
    """Clean up on `kill` as on Ctrl-C. Only the main thread may set this; in others there is nothing to set."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


if __name__ == "__main__":
    sys.exit(main())
