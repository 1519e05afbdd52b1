"""`s2i`: the command line. Each command is a function in a module of this folder, with its flags, a dataclass, beside it.

A module is imported when its command runs, so that `s2i --help` is quick.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from importlib.metadata import version
from types import FrameType
from typing import Any, NamedTuple, get_type_hints

from ..processing.suggestions import did_you_mean
from ..utils.arguments import naming_flags, read_arguments, run_main, settings_of
from ..utils.interruption import silent_interruption
from ..utils.progress import NO_BARS


class Command(NamedTuple):
    """The module of a command, in which the function of its name is, and a line of help."""

    module: str
    help: str

    def load(self, name: str) -> tuple[Callable[[Any], int | None], Any]:
        """The function, and the dataclass of its flags: several by name if its module has `METHODS`."""
        module = import_module(f".{self.module}", __name__)
        function = getattr(module, name.replace("-", "_"))
        return function, getattr(module, "METHODS", None) or get_type_hints(function)["arguments"]


COMMANDS: dict[str, Command] = {
    "inspect": Command("recordings", "what is in a folder of recordings, and what is wrong with it"),
    "convert": Command("convert", "raw recordings to a folder that training reads"),
    "convert-pickle": Command("convert", "annotation pickles to a folder of arrays, safely"),
    "synthesize": Command("recordings", "synthetic people as NTU RGB+D .skeleton files"),
    "pretrain": Command("pretrain", "a ViT masked autoencoder or a DiffMAE on skeletons"),
    "probe": Command("experiments", "linear probe and kNN of a pretrained encoder, the untrained one and raw joints"),
    "finetune": Command("finetune", "a classifier from a pretrained encoder, or from scratch"),
    "robustness": Command("experiments", "how a trained model stands lost joints and lost time"),
    "fuse": Command("experiments", "classifiers of joints, bones and their motion as one"),
    "cross-layout": Command("experiments", "training clips in one joint format, test clips in another"),
    "ablate": Command("experiments", "variants of a pretraining: a YAML grid in, a table and a plot out"),
    "predict": Command("predict", "the actions in recordings, by a fine-tuned classifier"),
    "infill": Command("infill", "fill in joints and frames that a sensor lost"),
    "export": Command("hub_commands", "a fine-tuned classifier for ONNX or torch.export"),
    "card": Command("hub_commands", "write the model card of a run folder anew"),
    "push": Command("hub_commands", "a run folder to the Hub, private by default, in one commit"),
    "configs": Command("hub_commands", "the recipes that --config knows by name"),
    "demo": Command("demo", "the whole chain in minutes, on synthetic people or on a data set"),
    "env": Command("hub_commands", "versions and devices, for bug reports"),
}
_FLAGS = ("--help", "--version", "--print-completion")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that `argv`, or this process, names; returns its exit code, mostly 0.

    Raises:
        SystemExit: code 2 after an error, which is one sentence on stderr; 130 after Ctrl-C.
    """
    if not sys.stderr.isatty():  # a log is no place for bars; before what draws them is imported
        os.environ.update(NO_BARS)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # also in a pipe each line is there when it is true
    if os.environ.get("RANK", "0") != "0":  # one process of several speaks for all; each still says its errors
        logging.getLogger("s2i_hf").setLevel(logging.ERROR)
    words = list(sys.argv[1:] if argv is None else argv)
    name = words[0] if words else "--help"
    with _term_as_interrupt():
        return run_main(lambda: _run(name, words[1:]), f"s2i {name}" if name in COMMANDS else "s2i") or 0


def _run(name: str, words: Sequence[str]) -> int | None:
    if name in COMMANDS:
        with silent_interruption():
            function, kinds = COMMANDS[name].load(name)
        help = COMMANDS[name].help
        examples = "\n".join(map(str.strip, (function.__doc__ or "").splitlines()[1:]))
        description = f"{help[0].upper()}{help[1:]}.\n\n{examples.strip()}"
        try:
            return function(read_arguments(kinds, words, f"s2i {name}", description))
        except ValueError as error:
            raise ValueError(naming_flags(str(error), settings_of(kinds))) from error
    if name in ("-h", "--help"):
        print("usage: s2i COMMAND [--flag value ...]\n\nSkeleton-to-Image Encoding for vision transformers.\n")
        print("\n".join(f"  {command:16}{one.help}" for command, one in COMMANDS.items()))
        print("\n`s2i COMMAND --help` lists the flags of a command. --version; --print-completion bash|zsh|...")
    elif name == "--version":
        print(f"s2i-hf {version('s2i-hf')}")
    elif name.startswith("--print-completion"):
        shells = [*words, *name.partition("=")[2:]]
        print(completion(next(filter(None, shells), "bash")))
    else:
        kind = "flag" if name.startswith("-") else "command"
        known = did_you_mean(name, _FLAGS if kind == "flag" else COMMANDS)
        raise ValueError(f"There is no {kind} {name!r}.{known} `s2i --help` lists what there is.")
    return 0


def completion(shell: str) -> str:
    """The script with which a shell completes commands and flags.

    Raises:
        ValueError: a shell that shtab does not know.
    """
    import argparse

    import shtab

    if shell not in shtab.SUPPORTED_SHELLS:
        raise ValueError(f"--print-completion is {shell!r}; expected one of {', '.join(shtab.SUPPORTED_SHELLS)}.")
    parser = argparse.ArgumentParser("s2i")
    commands = parser.add_subparsers()
    for name, command in COMMANDS.items():
        one = commands.add_parser(name, help=command.help)
        for setting in settings_of(command.load(name)[1]).values():
            flag = setting.name if setting.positional else f"--{setting.name}"
            added = one.add_argument(flag, help=setting.help.replace("%", "%%"), choices=setting.choices or None)
            if not setting.choices:
                added.complete = shtab.FILE  # type: ignore[attr-defined]
    return shtab.complete(parser, shell)


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
