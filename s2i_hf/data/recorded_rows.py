"""Raw recordings and their rows: what `s2i convert` and the builders of `datasets` share, and the hash of its code."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Unpack

from ..processing.suggestions import did_you_mean
from ..protocols import Protocol, Split
from ..readers import RawFile, ReadError
from ..readers.discovery import find_recordings, read_file
from ..readers.generic.folder import FolderOptions, find_folder
from ..readers.recordings import Recordings

_FOLDERS = ("processing", "protocols", "readers", "synthetic", "data", "dataset_scripts")
CUSTOM = "folder"
"""Name that stands for custom data."""


def find_source(
    name: str, data_dir: str | Path | None, files: Sequence[RawFile] | None = None, **options: Unpack[FolderOptions]
) -> Recordings:
    """The recordings of a protocol, or of custom data.

    Args:
        name: Protocol, or "folder".
        data_dir: Folder with the raw files.
        files: What is in it, if `list_raw_files` was asked before.
        options: Those of custom data; see `readers.generic.folder.find_folder`.

    Raises:
        ValueError: there is no such protocol or folder, nothing to read in it, or an option that is for custom data only.
    """
    if name != CUSTOM:
        check_options(name, options)
        return find_recordings(name, data_dir, files)
    if data_dir is None:
        raise ValueError(f"{CUSTOM!r} stands for custom data: pass data_dir, the folder of the recordings.")
    return find_folder(data_dir, **options, files=files)


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """ValueError if one of them is set, and `name` is not custom data."""
    for option, value in options.items():
        if option not in FolderOptions.__annotations__:
            raise TypeError(f"there is no option {option!r}.{did_you_mean(option, FolderOptions.__annotations__)}")
        if value not in (None, False):
            raise ValueError(f"{option} is for custom data ({CUSTOM!r}), not for {name!r}.")


def recorded_rows(
    file: RawFile, protocol: Protocol, denoise: bool
) -> Iterator[tuple[Split, dict[str, Any]] | ReadError]:
    """The clips of a recording as rows, each with its split; what is broken comes out as its error. Takes what `read_file` takes.

    Rows are as `SkeletonSequence.to_row` makes them: joints (T * M * V * 3,) float32 beside their shape.
    """
    for clip in read_file(file, protocol, denoise):
        if isinstance(clip, ReadError):
            yield clip
            continue
        name = clip.sequence.sample_id
        if "\n" in name or (not name.isascii() and name != name.encode(errors="replace").decode()):
            yield ReadError(f"Sample id {name!r} has a line break or broken characters in it; rename the recording.")
        else:
            yield clip.split, clip.sequence.to_row()


@cache
def code_hash() -> str:
    """16 hex digits: a cache of rows, or a conversion that was interrupted, never outlives the code it was made by."""
    package = __package__.rpartition(".")[0]
    digest = hashlib.sha256()
    for name in _FOLDERS:
        folder = Path(str(import_module(f"{package}.{name}").__file__)).parent
        for file in sorted(file for file in folder.rglob("*") if file.suffix in (".py", ".txt")):
            digest.update(f"{name}/{file.relative_to(folder).as_posix()}".encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]
