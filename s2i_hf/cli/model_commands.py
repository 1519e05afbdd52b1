"""`s2i predict`, `infill`, `card`, `push`, `export` and `env`: their flags, and what they do with them.

What a command needs is imported when it runs, so that `s2i --help` is quick.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def infill_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `s2i infill`."""
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


def run_infill(arguments: argparse.Namespace) -> int:
    """Fill in what a sensor lost."""
    from .infill import InfillSettings, run

    settings = {name: value for name, value in vars(arguments).items() if name != "command"}
    return run(InfillSettings(**settings))


def predict_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `s2i predict`."""
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


def run_predict(arguments: argparse.Namespace) -> int:
    """Name the actions in recordings."""
    from .predict import PredictSettings, run

    settings = {name: value for name, value in vars(arguments).items() if name != "command"}
    return run(PredictSettings(**settings))


def env_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `s2i env`."""
    parser.add_argument("--json", action="store_true", help="as one JSON object")


def run_env(arguments: argparse.Namespace) -> int:
    """Print versions and devices."""
    from ..runs.provenance import run

    return run(as_json=arguments.json)


def card_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `s2i card`."""
    parser.add_argument("folder", metavar="DIR", help="run folder; its README.md is written anew from its other files")


def run_card(arguments: argparse.Namespace) -> int:
    """Write a card anew."""
    from ..hub.model_card import write_card

    print(f"Written: {write_card(Path(arguments.folder).expanduser())}")
    return 0


def push_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `s2i push`."""
    flag = parser.add_argument
    flag("folder", metavar="DIR", help="run folder of a finished pretraining or fine-tuning")
    flag("repository", metavar="USER/NAME[@BRANCH]", help="model repository; made, and private, if it is not there")
    flag("--public", action="store_true", help="make it public, or upload to a public one")
    flag("--branch", default="main", help="branch to commit to (default: %(default)s)")
    flag("--message", help="of the commit")
    flag("--output", metavar="OUT", help="write what would be uploaded to this new folder, and upload nothing")


def run_push(arguments: argparse.Namespace) -> int:
    """Upload a run folder, or write what would be uploaded."""
    if arguments.output:
        from ..hub.public_files import public_files, write_files

        files = public_files(arguments.folder, arguments.repository)
        write_files(files, arguments.output)
        print(f"{len(files)} files written to {arguments.output}; nothing was uploaded.")
        return 0
    from ..hub.push import check_repository, publish_run

    check_repository(arguments.repository)
    options = {"private": not arguments.public, "branch": arguments.branch, "message": arguments.message}
    address = publish_run(arguments.folder, arguments.repository, **options, progress=sys.stderr.isatty())
    print(f"Uploaded: {address}")
    return 0


def export_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `s2i export`."""
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


def run_export(arguments: argparse.Namespace) -> int:
    """Write a classifier for ONNX or torch.export."""
    from ..inference.export import run

    settings = {name: value for name, value in vars(arguments).items() if name != "command"}
    return run(**settings)
