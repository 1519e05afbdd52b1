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
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from .storage import Format

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
    flag = parser.add_argument
    flag("name", metavar="NAME", help="protocol, such as nw_ucla_xview or ntu60_xsub; folder: recordings of your own")
    flag("--data-dir", "--data_dir", help="folder with the raw recordings or the archives they come in, or its parent")
    flag("--output", required=True, help="folder to make; examples take it as --data")
    flag(
        "--format", choices=("arrow", "parquet", "safetensors"),
        help="arrow: fastest, the default; parquet: smallest, for the Hub; safetensors: for machines without `datasets`",
    )  # fmt: skip
    flag("--num-proc", "--num_proc", type=int, default=1, help="processes that read (default: %(default)s)")
    flag("--strict", action="store_true", help="fail, and make no --output, if a recording is broken or missing")
    flag("--overwrite", action="store_true", help="replace an --output that was made by s2i convert")
    flag("--no-denoise", action="store_true", help="keep all tracked bodies and all frames")
    flag(
        "--shard", type=_shard, metavar="I/N",
        help="read only part I (from 0) of N, on this machine; the command without it, or --merge, makes the --output of all",
    )  # fmt: skip
    flag("--merge", nargs="+", metavar="DIR", help="make the --output of the .OUT.pieces folders that shards left")
    flag("--push-to-hub", metavar="USER/NAME", help="upload it as a private data set; implies --format parquet")
    flag("--public", action="store_true", help="let --push-to-hub make a public data set")
    flag("--layout", help="for NAME folder: joint format, such as kinect_v2, or a JSON file that describes one")
    flag("--labels", help="for NAME folder: CSV with id,label and maybe subject,camera,split")
    flag("--unit", help="for NAME folder: m, cm or mm, where a format does not say it")


def _shard(text: str) -> tuple[int, int]:
    first, slash, last = text.partition("/")
    if not slash or not first.isdigit() or not last.isdigit() or int(first) >= int(last):
        raise argparse.ArgumentTypeError(f"{text!r} is no shard; expected I/N with I from 0 to N - 1, such as 0/4")
    return int(first), int(last)


def _convert(arguments: argparse.Namespace) -> int:
    from .conversion import StrictError, convert, merge
    from .pieces import pieces_folder

    hub, shard = arguments.push_to_hub, arguments.shard
    format: Format = arguments.format or ("parquet" if hub else "arrow")
    if arguments.data_dir is None and not arguments.merge:
        raise ValueError("--data-dir is required: the folder with the raw recordings (only --merge needs none).")
    if hub and format != "parquet":
        raise ValueError(f"--push-to-hub uploads Parquet, not {format}; leave out --format, or pass --format parquet.")
    if shard and (hub or arguments.merge):
        raise ValueError(
            f"--shard makes pieces only; pass {'--push-to-hub' if hub else '--merge'} when all of them are there."
        )
    if hub:
        from .publishing import check_repository

        check_repository(hub)
    common = {"strict": arguments.strict, "overwrite": arguments.overwrite, "progress": sys.stderr.isatty()}
    try:
        if arguments.merge:
            report = merge(arguments.name, arguments.merge, arguments.output, format, **common)
        else:
            own = {name: getattr(arguments, name) for name in ("layout", "labels", "unit")}
            report = convert(
                arguments.name, arguments.data_dir, arguments.output, format, **common, **own,
                denoise=not arguments.no_denoise, num_proc=arguments.num_proc, shard=shard,
            )  # fmt: skip
    except StrictError as error:
        print("\n".join(error.report.lines()))
        raise
    print("\n".join(report.lines()))
    if shard:
        made, total = report.pieces
        place = pieces_folder(Path(arguments.output).expanduser())
        print(f"Shard {shard[0]}/{shard[1]} is done; {made:,} of {total:,} pieces are in {place}.")
        print(
            f"When all are, run the same command without --shard here, or `s2i convert {arguments.name} --merge DIR... --output "
            "OUT` where all folders of pieces are."
        )
        return 0
    print(f"Written to {arguments.output} ({format}).")
    if hub:
        from .publishing import publish

        print(
            f"Uploaded to {publish(arguments.output, hub, private=not arguments.public, progress=common['progress'])}."
        )
    return 0


def _pickle_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", metavar="FILE.pkl", help="annotations of PYSKL or MMAction2; read without running its code"
    )
    parser.add_argument(
        "--output", required=True, help="folder to make; `s2i convert folder` and load_skeletons read it"
    )
    parser.add_argument("--layout", help="joint format, such as coco_17; told from the number of joints by default")


def _convert_pickle(arguments: argparse.Namespace) -> int:
    from .readers.annotation_pickle import convert_pickle

    print("\n".join(convert_pickle(arguments.file, arguments.output, layout=arguments.layout)))
    return 0


def _inspect_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "path", metavar="PATH", help="folder, zip archive or file with recordings, or a converted folder"
    )
    parser.add_argument("--protocol", help="count by this protocol, such as ntu60_xsub")
    parser.add_argument("--layout", help="joint format, where the files do not say it")
    parser.add_argument("--html", metavar="FILE", help="write one page with histograms and sample skeletons too")
    parser.add_argument("--max-files", "--max_files", type=int, help="read no more files than this, evenly chosen")


def _inspect(arguments: argparse.Namespace) -> int:
    from .inspection import run

    options = {name: getattr(arguments, name) for name in ("protocol", "layout", "html", "max_files")}
    return run(arguments.path, **options)


def _infill_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "example: s2i infill clip.skeleton --model runs/mae_ntu60_xsub --drop-joints left_arm --picture filled.png; without --drop-... "
        "what the sensor itself lost is filled"
    )
    flag = parser.add_argument
    flag(
        "clip", metavar="CLIP", help="a recording: .skeleton, NW-UCLA .json, .npy, or whatever else `s2i inspect` knows"
    )
    flag("--model", required=True, help="folder or Hub id of a pretrained MAE or DiffMAE")
    flag(
        "--drop-joints", metavar="NAMES",
        help="joints or body parts to take out and fill, such as left_arm,Head; left_arm@10:20: in these frames alone",
    )  # fmt: skip
    flag(
        "--drop-frames",
        metavar="A:B",
        help="frames to take out and fill, from A (the first is 0) up to B, B excluded; A:B,C:D: both",
    )
    flag(
        "--samples", type=int, default=1, help="answers of a DiffMAE, for their mean and spread (default: %(default)s)"
    )
    flag(
        "--steps", type=int,
        help="sampling steps of a DiffMAE (default: 1 for a single answer, the mean of what may be there; 50 for several samples)",
    )  # fmt: skip
    flag("--seed", type=int, default=0, help="of a DiffMAE's noise (default: %(default)s)")
    flag("--layout", help="joint format of .npy, .csv and the like (default: the model's)")
    flag("--unit", help="m, cm or mm, where a format does not say it")
    flag("--protocol", help="whose recording it is, where its name does not say it, such as ntu60_xsub")
    flag("--sample-id", help="which clip, of a file that holds several")
    flag("--data", help="protocol or converted folder whose mean pose is compared as well")
    flag("--data-dir", help="folder with the raw recordings of --data")
    flag("--output", metavar="FILE", help="write the filled clip: .npy; .npz with all samples; .json")
    flag("--picture", metavar="FILE.png", help="draw it")


def _infill(arguments: argparse.Namespace) -> int:
    from .infilling_command import InfillSettings, run

    settings = {name: value for name, value in vars(arguments).items() if name != "command"}
    return run(InfillSettings(**settings))


def _predict_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "example: s2i predict runs/classifier long.skeleton --window 2s --stride 0.5s --per-person; results go to stdout, what is "
        "broken to stderr"
    )
    flag = parser.add_argument
    flag("model", metavar="MODEL", help="folder of a fine-tuning, or Hub id")
    flag(
        "clips",
        metavar="CLIPS",
        help="a recording, such as .skeleton, .json or .npy; a folder, zip archive or converted folder",
    )
    flag("--layout", help="joint format of .npy, .csv and the like (default: the model's)")
    flag("--unit", help="m, cm or mm, where a format does not say it")
    flag("--protocol", help="whose recordings they are, where their names do not say it, such as ntu60_xsub")
    flag("--top-k", "--top_k", type=int, default=5, help="how many classes to name (default: %(default)s)")
    flag("--window", metavar="LENGTH", help="classify windows of this length: frames (64) or seconds (2s)")
    flag("--stride", metavar="LENGTH", help="from one window to the next (default: half a window)")
    flag("--fps", type=float, help="frames a second, where the data set does not say it")
    flag("--per-person", "--per_person", action="store_true", help="a result for each person alone")
    flag("--json", action="store_true", help="a JSON object a line for each result")
    flag("--strict", action="store_true", help="fail in the end if a recording was broken or left out")
    flag("--batch-size", "--batch_size", type=int, default=32, help="(default: %(default)s)")
    flag("--device", default="auto", help="cpu, cuda, ... (default: %(default)s)")


def _predict(arguments: argparse.Namespace) -> int:
    from .predicting_command import PredictSettings, run

    settings = {name: value for name, value in vars(arguments).items() if name != "command"}
    return run(PredictSettings(**settings))


def _env_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="as one JSON object")


def _env(arguments: argparse.Namespace) -> int:
    from .environment import run

    return run(as_json=arguments.json)


def _card_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR", help="run folder; its README.md is written anew from its other files")


def _card(arguments: argparse.Namespace) -> int:
    from .cards import write_card

    print(f"Written: {write_card(Path(arguments.folder).expanduser())}")
    return 0


def _push_arguments(parser: argparse.ArgumentParser) -> None:
    flag = parser.add_argument
    flag("folder", metavar="DIR", help="run folder of a finished pretraining or fine-tuning")
    flag("repository", metavar="USER/NAME", help="model repository; made, and private, if it is not there")
    flag("--public", action="store_true", help="make it public, or upload to a public one")
    flag("--branch", default="main", help="branch to commit to (default: %(default)s)")
    flag("--message", help="of the commit")
    flag("--output", metavar="OUT", help="write what would be uploaded to this new folder, and upload nothing")


def _push(arguments: argparse.Namespace) -> int:
    if arguments.output:
        from .hub_folders import public_files, write_files

        files = public_files(arguments.folder, arguments.repository)
        write_files(files, arguments.output)
        print(f"{len(files)} files written to {arguments.output}; nothing was uploaded.")
        return 0
    from .publishing import check_repository, publish_run

    check_repository(arguments.repository)
    options = {"private": not arguments.public, "branch": arguments.branch, "message": arguments.message}
    address = publish_run(arguments.folder, arguments.repository, **options, progress=sys.stderr.isatty())
    print(f"Uploaded: {address}")
    return 0


def _export_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "example: s2i export runs/classifier --format onnx --clips recordings; the file takes images in batches of any size, and its "
        "metadata says how joints become images (examples/predict_onnx.py)"
    )
    flag = parser.add_argument
    flag("model", metavar="DIR", help="folder of a fine-tuning, or Hub id")
    flag(
        "--format", choices=("onnx", "torch"), default="onnx",
        help="torch: a torch.export program (default: %(default)s)",
    )  # fmt: skip
    flag("--output", metavar="FILE", help="file to write (default: model.onnx or model.pt2 in DIR)")
    flag("--opset", type=int, default=18, help="version of the ONNX operators, 18 to 23 (default: %(default)s)")
    flag("--layout", help="joint format that the metadata is for (default: the model's)")
    flag("--clips", metavar="PATH", help="recordings to compare on; synthetic clips without it")
    flag("--overwrite", action="store_true", help="replace a file that is there")


def _export(arguments: argparse.Namespace) -> int:
    from .exporting import run

    settings = {name: value for name, value in vars(arguments).items() if name != "command"}
    return run(**settings)


COMMANDS: dict[str, Command] = {
    "inspect": Command("what is in a folder of recordings, and what is wrong with it", _inspect_arguments, _inspect),
    "convert": Command("raw recordings to a folder that training reads", _convert_arguments, _convert),
    "convert-pickle": Command("annotation pickles to a folder of arrays, safely", _pickle_arguments, _convert_pickle),
    "infill": Command("fill in joints and frames that a sensor lost", _infill_arguments, _infill),
    "card": Command("write the model card of a run folder anew", _card_arguments, _card),
    "push": Command("a run folder to the Hub, private by default, in one commit", _push_arguments, _push),
    "predict": Command("the actions in recordings, by a fine-tuned classifier", _predict_arguments, _predict),
    "export": Command("a fine-tuned classifier for ONNX or torch.export", _export_arguments, _export),
    "env": Command("versions and devices, for bug reports", _env_arguments, _env),
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
