"""`s2i`: the command line. One subcommand a row of `COMMANDS`; what a subcommand needs is imported when it runs."""

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


def _convert_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="protocol, such as nw_ucla_xview or ntu60_xsub")
    parser.add_argument("--data-dir", "--data_dir", required=True, help="folder with the raw recordings, or its parent")
    parser.add_argument("--output", required=True, help="folder to make; examples take it as --data")
    parser.add_argument(
        "--format", choices=("arrow", "parquet", "safetensors"), default="arrow",
        help="arrow: fastest; parquet: smallest, for the Hub; safetensors: for machines without `datasets` (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--strict", action="store_true", help="fail, and write nothing, if a recording is broken or missing"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an --output that was made by s2i convert")
    parser.add_argument("--no-denoise", action="store_true", help="keep all tracked bodies and all frames")
    parser.add_argument(
        "--num-proc", "--num_proc", type=int, default=1, help="processes that read (default: %(default)s)"
    )


def _convert(arguments: argparse.Namespace) -> int:
    from .conversion import StrictError, convert

    try:
        report = convert(
            arguments.name,
            arguments.data_dir,
            arguments.output,
            arguments.format,
            denoise=not arguments.no_denoise,
            strict=arguments.strict,
            overwrite=arguments.overwrite,
            num_proc=arguments.num_proc,
            progress=sys.stderr.isatty(),
        )
    except StrictError as error:
        print("\n".join(error.report.lines()))
        raise
    print("\n".join(report.lines()))
    print(f"Written to {arguments.output} ({arguments.format}).")
    return 0


COMMANDS: dict[str, Command] = {
    "convert": Command("raw recordings to a folder that training reads", _convert_arguments, _convert),
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
    except KeyboardInterrupt:
        print(f"s2i {arguments.command}: interrupted; nothing half-written was left behind.", file=sys.stderr)
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
