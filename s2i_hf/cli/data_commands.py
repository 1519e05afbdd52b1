"""`s2i inspect`, `convert` and `convert-pickle`: their flags, and what they do with them.

What a command needs is imported when it runs, so that `s2i --help` is quick.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..data.storage import Format


def convert_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `s2i convert`."""
    flag = parser.add_argument
    flag("name", metavar="NAME", help="protocol, such as nw_ucla_xview or ntu60_xsub; folder: recordings of your own")
    flag("--data-dir", "--data_dir", help="folder with the raw recordings or the archives they come in, or its parent")
    flag("--output", required=True, help="folder to make; examples take it as --data")
    flag(
        "--format", choices=("parquet", "npz"),
        help="parquet: small, for training and the Hub, the default; npz: for machines with numpy alone",
    )  # fmt: skip
    flag("--num-proc", "--num_proc", type=int, default=1, help="processes that read (default: %(default)s)")
    flag("--strict", action="store_true", help="fail, and make no --output, if a recording is broken or missing")
    flag("--overwrite", action="store_true", help="replace an --output that was made by s2i convert")
    flag("--no-denoise", action="store_true", help="keep all tracked bodies and all frames")
    flag(
        "--shard", type=_shard, metavar="I/N",
        help="read only part I (from 0) of N, on this machine; the command without it, or --merge, makes the --output of all",
    )  # fmt: skip
    flag("--merge", nargs="+", metavar="DIR", help="make the --output of the .OUT.shards folders that parts left")
    flag(
        "--push-to-hub", metavar="USER/NAME[@BRANCH]", help="upload it as a private data set; implies --format parquet"
    )
    flag("--public", action="store_true", help="let --push-to-hub make a public data set")
    flag("--layout", help="for NAME folder: joint format, such as kinect_v2, or a JSON file that describes one")
    flag("--labels", help="for NAME folder: CSV with id,label and maybe subject,camera,split")
    flag("--unit", help="for NAME folder: m, cm or mm, where a format does not say it")


def _shard(text: str) -> tuple[int, int]:
    first, slash, last = text.partition("/")
    if not slash or not first.isdigit() or not last.isdigit() or int(first) >= int(last):
        raise argparse.ArgumentTypeError(f"{text!r} is no shard; expected I/N with I from 0 to N - 1, such as 0/4")
    return int(first), int(last)


def run_convert(arguments: argparse.Namespace) -> int:
    """Raw recordings to a folder that training reads."""
    from ..data.convert import StrictError, convert, merge
    from ..data.convert_shards import shards_folder
    from ..data.storage import read_meta
    from ..hub.dataset_card import write_dataset_card

    hub, shard = arguments.push_to_hub, arguments.shard
    format: Format = arguments.format or "parquet"
    if arguments.data_dir is None and not arguments.merge:
        raise ValueError("--data-dir is required: the folder with the raw recordings (only --merge needs none).")
    if hub and format != "parquet":
        raise ValueError(f"--push-to-hub uploads Parquet, not {format}; leave out --format, or pass --format parquet.")
    if shard and (hub or arguments.merge):
        raise ValueError(
            f"--shard makes shards only; pass {'--push-to-hub' if hub else '--merge'} when all of them are there."
        )
    if hub:
        from ..hub.push import check_repository

        check_repository(hub)
    common = {"strict": arguments.strict, "overwrite": arguments.overwrite, "progress": sys.stderr.isatty()}
    card = None if format == "npz" else write_dataset_card
    try:
        if arguments.merge:
            report = merge(
                arguments.name, arguments.merge, arguments.output, arguments.format, write_card=card, **common
            )
        else:
            own = {name: getattr(arguments, name) for name in ("layout", "labels", "unit")}
            report = convert(
                arguments.name, arguments.data_dir, arguments.output, format, **common, **own,
                denoise=not arguments.no_denoise, num_proc=arguments.num_proc, shard=shard, write_card=card,
            )  # fmt: skip
    except StrictError as error:
        print("\n".join(error.report.lines()))
        raise
    print("\n".join(report.lines()))
    if shard:
        made, total = report.done, report.meta["shards"]
        place = shards_folder(Path(arguments.output).expanduser())
        print(f"Part {shard[0]}/{shard[1]} is done; {made:,} of {total:,} shards are in {place}.")
        print(
            f"When all are, run the same command without --shard here, or `s2i convert {arguments.name} --merge DIR... --output "
            "OUT` where all folders of shards are."
        )
        return 0
    print(f"Written to {arguments.output} ({read_meta(Path(arguments.output).expanduser())['format']}).")
    if hub:
        from ..hub.push import publish

        print(
            f"Uploaded to {publish(arguments.output, hub, private=not arguments.public, progress=common['progress'])}."
        )
    return 0


def pickle_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `s2i convert-pickle`."""
    parser.add_argument(
        "file", metavar="FILE.pkl", help="annotations of PYSKL or MMAction2; read without running its code"
    )
    parser.add_argument(
        "--output", required=True, help="folder to make; `s2i convert folder` and load_skeletons read it"
    )
    parser.add_argument("--layout", help="joint format, such as coco_17; told from the number of joints by default")


def run_convert_pickle(arguments: argparse.Namespace) -> int:
    """Annotation pickles to a folder of arrays."""
    from ..readers.generic.annotation_pickle import convert_pickle

    print("\n".join(convert_pickle(arguments.file, arguments.output, layout=arguments.layout)))
    return 0


def inspect_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `s2i inspect`."""
    parser.add_argument(
        "path", metavar="PATH", help="folder, zip archive or file with recordings, or a converted folder"
    )
    parser.add_argument("--protocol", help="count by this protocol, such as ntu60_xsub")
    parser.add_argument("--layout", help="joint format, where the files do not say it")
    parser.add_argument("--html", metavar="FILE", help="write one page with histograms and sample skeletons too")
    parser.add_argument("--max-files", "--max_files", type=int, help="read no more files than this, evenly chosen")


def run_inspect(arguments: argparse.Namespace) -> int:
    """What is in a folder of recordings."""
    from ..inspection import run

    options = {name: getattr(arguments, name) for name in ("protocol", "layout", "html", "max_files")}
    return run(arguments.path, **options)
