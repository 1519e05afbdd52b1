"""`s2i convert` and `s2i convert-pickle`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from ..data import convert as conversion
from ..data.convert_shards import shards_folder
from ..data.recorded_rows import CUSTOM
from ..data.sources import check_source
from ..data.storage import read_meta
from ..hub.dataset_card import write_dataset_card
from ..hub.preview import FOLDER
from ..hub.push import check_repository, publish, split_branch
from ..protocols import get_protocol
from ..readers.generic import annotation_pickle
from ..utils.arguments import arg
from .recordings import FolderArguments


@dataclass
class ConvertArguments(FolderArguments):
    """Flags of `s2i convert`."""

    name: str = arg(help="Protocol, such as nw_ucla_xview; folder: recordings of your own.", positional=True)
    output: str = arg(help="Folder to make; the other commands take it as --data.")
    data_dir: str | None = arg(None, "Folder with the raw recordings or the archives they come in, or its parent.")
    format: Literal["parquet", "npz"] | None = arg(None, "parquet: small, the default; npz: read with numpy alone.")
    num_proc: int = arg(1, "Processes that read.")
    strict: bool = arg(False, "Fail, and make no --output, if a recording is broken or missing.")
    overwrite: bool = arg(False, "Replace an --output that was made by s2i convert.")
    denoise: bool = arg(True, "--no-denoise: keep all tracked bodies and all frames.")
    shard: str | None = arg(
        None,
        "I/N: read only part I (from 0) of N, on this machine; without it, or with --merge, comes the --output of all.",
    )
    merge: tuple[str, ...] = arg((), "Make the --output of the .OUT.shards folders that parts left.")
    push_to_hub: str | None = arg(None, "Upload to user/name[@branch] as a private data set; implies --format parquet.")
    public: bool = arg(False, "Let --push-to-hub make a public data set.")
    preview: int = arg(0, "Also write the images of so many clips of each split, which the Hub's viewer shows.")
    labels: str | None = arg(None, "For NAME folder: CSV with id,label and maybe subject,camera,split.")

    def __post_init__(self) -> None:
        if self.data_dir is None and not self.merge:
            raise ValueError("--data-dir is required: the folder with the raw recordings (only --merge needs none).")
        if self.push_to_hub and self.format not in (None, "parquet"):
            raise ValueError(f"--push-to-hub uploads Parquet, not {self.format}; leave out --format.")
        if self.preview < 0 or (self.preview and (self.format == "npz" or self.part)):
            raise ValueError(
                f"--preview is {self.preview}; expected how many clips of each split to show in a whole Parquet folder."
            )
        if self.part and (self.push_to_hub or self.merge):
            later = "--push-to-hub" if self.push_to_hub else "--merge"
            raise ValueError(f"--shard makes shards only; pass {later} when all of them are there.")
        if self.push_to_hub:
            split_branch(self.push_to_hub)

    @property
    def part(self) -> tuple[int, int] | None:
        """`shard` as two numbers; ValueError if it is none."""
        if self.shard is None:
            return None
        first, _, last = self.shard.partition("/")
        if not first.isdigit() or not last.isdigit() or int(first) >= int(last):
            raise ValueError(f"{self.shard!r} is no shard; expected I/N with I from 0 to N - 1, such as 0/4.")
        return int(first), int(last)


def convert(arguments: ConvertArguments) -> None:
    """Raw recordings to a folder that training reads."""
    if arguments.name != CUSTOM:
        get_protocol(arguments.name)
    if not arguments.merge:
        check_source(arguments.name, arguments.data_dir)
    if arguments.push_to_hub:  # not after hours of reading; and not before what is wrong here
        check_repository(arguments.push_to_hub)
    output, shard, progress = arguments.output, arguments.part, sys.stderr.isatty()
    options: dict[str, Any] = {"output": output, "progress": progress}
    write_card = partial(write_dataset_card, preview=arguments.preview)
    options["write_card"] = None if arguments.format == "npz" else write_card
    options |= {name: getattr(arguments, name) for name in ("strict", "overwrite")}
    try:
        if arguments.merge:
            report = conversion.merge(arguments.name, arguments.merge, format=arguments.format, **options)
        else:
            options |= {name: getattr(arguments, name) for name in ("labels", "denoise", "num_proc", "data_dir")}
            options |= arguments.folder_options
            report = conversion.convert(arguments.name, format=arguments.format or "parquet", shard=shard, **options)
    except conversion.StrictError as error:
        print("\n".join(error.report.lines()))
        raise
    print("\n".join(report.lines()))
    if shard:
        place = shards_folder(Path(output).expanduser())
        print(f"Part {arguments.shard} is done; {report.done:,} of {report.meta['shards']:,} shards are in {place}.")
        merge = f"`s2i convert {arguments.name} --merge DIR... --output OUT` where all folders of shards are."
        print(f"When all are, run the same command without --shard here, or {merge}")
        return
    if arguments.preview and not (Path(output).expanduser() / FOLDER).is_dir():  # made before, without one
        write_card(output)
    print(f"Written to {output} ({read_meta(Path(output).expanduser())['format']}).")
    if arguments.push_to_hub:
        address = publish(output, arguments.push_to_hub, private=not arguments.public, progress=progress)
        print(f"Uploaded to {address}.")


@dataclass
class PickleArguments:
    """Flags of `s2i convert-pickle`."""

    file: str = arg(help="Annotations of PYSKL or MMAction2, .pkl; read without running its code.", positional=True)
    output: str = arg(help="Folder to make; `s2i convert folder` and load_skeletons read it.")
    layout: str | None = arg(None, "Joint format, such as coco_17; told from the number of joints by default.")


def convert_pickle(arguments: PickleArguments) -> None:
    """Annotation pickles to a folder of arrays."""
    lines = annotation_pickle.convert_pickle(arguments.file, arguments.output, layout=arguments.layout)
    print("\n".join(lines))
