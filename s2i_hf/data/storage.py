"""Converted folders: the three formats that `s2i convert` writes and `load_skeletons` reads.

    OUT/s2i.json          protocol, class names, format, counts: the same for every format
    arrow:                as `DatasetDict.save_to_disk` lays it out (`tables`)
    parquet:              data/train-00000-of-00001.parquet ... and a README.md: a folder the Hub can show and stream (`tables`)
    safetensors:          train.safetensors, test.safetensors: read without `datasets`, on machines that lack it (`clip_files`)

Rows hold flat float32 joints beside their shape, never images, so formats with different joint counts share one schema.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from typing import Protocol as Interface

from ..processing.skeleton_sequence import SkeletonSequence
from .clip_files import ClipFileWriter
from .tables import TableWriter, empty_split, finish_arrow, finish_parquet, row_features

__all__ = [
    "FORMATS",
    "META_FILE",
    "REPOSITORY",
    "FolderWriter",
    "Format",
    "Heading",
    "empty_split",
    "read_meta",
    "row_features",
]

Format = Literal["arrow", "parquet", "safetensors"]
FORMATS: tuple[Format, ...] = ("arrow", "parquet", "safetensors")
META_FILE = "s2i.json"
_NOT_TEXT = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}  # to a reader of YAML, unless quoted
REPOSITORY = "user/repo"  # what a card calls the repository until it is uploaded to one

_SHARD_BYTES = 256 << 20  # of raw joints in one Parquet file; streaming deals whole files to nodes


class Heading(Interface):
    """What a folder says of its rows; a `protocols.Protocol` has it."""

    @property
    def name(self) -> str:
        """Name of the protocol."""

    @property
    def dataset(self) -> str:
        """Name of the data set."""

    @property
    def source(self) -> str:
        """Where the rule is published."""

    @property
    def class_names(self) -> Sequence[str]:
        """Names of the classes, in the order of the labels."""


def read_meta(folder: Path) -> dict[str, Any]:
    """Contents of the `s2i.json` of a converted folder.

    Raises:
        ValueError: the folder has none, or it is not one that this version reads.
    """
    path = folder / META_FILE
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))
        format, protocol, class_names = meta["format"], meta["protocol"], list(meta["class_names"])
        counts = {str(split): int(count) for split, count in meta["counts"].items()}
    except FileNotFoundError:
        raise ValueError(f"{folder} has no {META_FILE}; expected a folder made by `s2i convert`.") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} cannot be read ({error!r}); make the folder again with `s2i convert`.") from None
    if format not in FORMATS:
        raise ValueError(f"{path}: format is {format!r}; expected one of {', '.join(FORMATS)}.")
    return {**meta, "protocol": str(protocol), "class_names": class_names, "counts": counts}


class FolderWriter:
    """Write the splits of a protocol into an existing empty folder. The same rows give the same files, byte by byte.

    Args:
        folder: Where to.
        protocol: What its rows belong to; its name and class names are saved.
        format: One of `FORMATS`.
        splits: Names of the splits.

    Raises:
        ValueError: unknown format.
    """

    def __init__(self, folder: Path, protocol: Heading, format: Format, splits: Sequence[str]) -> None:
        if format not in FORMATS:
            raise ValueError(f"format is {format!r}; expected one of {', '.join(FORMATS)}.")
        self.folder, self.protocol, self.format = folder, protocol, format
        self.counts = dict.fromkeys(splits, 0)
        self._writers: dict[str, Any] = {}
        self._tables: dict[str, TableWriter] = {}
        for split in splits:
            if format == "safetensors":
                path = folder / f"{split}.safetensors"
                self._writers[split] = ClipFileWriter(path, protocol.name, protocol.class_names)
            else:
                shard_bytes = _SHARD_BYTES if format == "parquet" else None
                self._tables[split] = TableWriter(folder, split, protocol.class_names, format, shard_bytes)
                self._writers[split] = self._tables[split]

    def write(self, split: str, clip: SkeletonSequence | Mapping[str, Any]) -> None:
        """Append one clip, or the row that its `to_row` makes, to a split."""
        self._writers[split].write(clip.to_row() if isinstance(clip, SkeletonSequence) else clip)
        self.counts[split] += 1

    def end(self, split: str) -> None:
        """Nothing more comes to a split; what was held of it is written now."""
        self._writers.pop(split).close()

    def close(self, extra: Mapping[str, Any], readme: str | None = None) -> None:
        """End all splits, finish the files and write `s2i.json`.

        Args:
            extra: More entries of it (JSON values).
            readme: The README.md of a Parquet folder, which has to begin with `readme_header`; None: that and a title.
        """
        for split in list(self._writers):
            self.end(split)
        protocol = self.protocol
        if self.format == "arrow":
            info = {"description": protocol.source, "dataset_name": protocol.dataset, "config_name": protocol.name}
            finish_arrow(self.folder, self._tables, protocol.class_names, info)
        elif self.format == "parquet":
            finish_parquet(self.folder, self._tables)
            text = readme or f"{readme_header(protocol.name, self.counts)}# {protocol.name}\n"
            (self.folder / "README.md").write_text(text, encoding="utf-8", errors="replace")
        written = {path.relative_to(self.folder).as_posix(): path.stat().st_size for path in _files(self.folder)}
        meta = {
            "format": self.format,
            "protocol": protocol.name,
            "class_names": list(protocol.class_names),
            "counts": self.counts,
            **extra,
            "files": written,
        }
        text = json.dumps(meta, indent=1, ensure_ascii=False) + "\n"
        # file names need not be valid text; JSON can write them with backslashes
        (self.folder / META_FILE).write_text(text, encoding="utf-8", errors="backslashreplace")


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def is_whole(folder: Path, meta: Mapping[str, Any]) -> bool:
    """Whether all files of a converted folder are there with the sizes that its `s2i.json` says."""
    sizes = meta.get("files")
    if not isinstance(sizes, dict):
        return False
    return {
        path.relative_to(folder).as_posix(): path.stat().st_size for path in _files(folder) if path.name != META_FILE
    } == sizes


def readme_header(protocol: str, counts: Mapping[str, int]) -> str:
    """YAML header of the README.md of a Parquet folder: which files belong to which split of which configuration."""
    files = "".join(
        f"  - split: {split}\n    path: data/{split}-*.parquet\n" for split, count in counts.items() if count
    )
    bare = re.fullmatch(r"[A-Za-z_][\w-]*", protocol) and protocol.lower() not in _NOT_TEXT
    return f"---\nconfigs:\n- config_name: {protocol if bare else json.dumps(protocol)}\n  data_files:\n{files}---\n\n"
