"""The protocol of custom data, a folder of recordings: splits and labels come from its sub-folders or from a table, not from a paper."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from ..processing.skeleton_layout import SkeletonLayout
from .protocol import Protocol, Split


class FolderSample(NamedTuple):
    """What is known of one clip; -1 where nothing is."""

    split: Split = "train"
    label: int = -1
    subject: int = -1
    camera: int = -1


@dataclass(frozen=True, eq=False)  # two folders are never the same
class FolderProtocol(Protocol):
    """Who trains and who tests in a folder of custom data; made by `readers.generic.folder.find_folder`.

    Nothing is known about a complete data set, so `expected` is None, and of the fields of `Protocol` most are empty.

    Args:
        skeleton: The joint format, which need not be one of `LAYOUTS`; `layout` is its name, as rows hold it.
        names: Names of the classes, in the order of the labels; empty if nothing says what the clips show.
        unit: What the coordinates in the files are given in, as `find_folder` takes it; None: what they say, or the unit of the layout.
        up: Their up axis; None: what they say, or that of the layout.
        fps: Frames a second; None if nobody says it.
        any_size: Whether bodies may be of any size.
        axes: Order of the axes of arrays, such as "MTVC"; None: as the files say, or told by sizes.
        root: The folder, archive or file; ids of files are their paths in it.
        table: Id of each clip -> its split, label, subject and camera.
        containers: Id of each file that holds many clips -> the splits these are in.
    """

    dataset: str = "folder"
    rule: str = ""
    reader: str = "folder"
    layout: str = ""
    actions: tuple[int, ...] = ()
    classes: str = ""
    source: str = "custom data"
    skeleton: SkeletonLayout = None  # type: ignore[assignment]  # `find_folder` sets it
    names: tuple[str, ...] = ()
    unit: str | None = None
    up: str | None = None
    fps: float | None = None
    any_size: bool = False
    axes: str | None = None
    root: str = ""
    table: Mapping[str, FolderSample] = field(default_factory=dict)
    containers: Mapping[str, tuple[Split, ...]] = field(default_factory=dict)

    __eq__ = object.__eq__  # not that of Protocol, which looks at the fields it knows
    __hash__ = object.__hash__

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the labels."""
        return self.names

    def file_splits(self, stem: str) -> tuple[Split, ...]:
        """Splits that the clips of a file are in, by the id of the file or of a clip; none if it is not to be read."""
        split = self.split(stem)
        return self.containers.get(stem, () if split is None else (split,))

    def split(self, sample_id: str) -> Split | None:
        """Where a clip belongs; None if the folder has no such clip."""
        sample = self.table.get(sample_id)
        return None if sample is None else sample.split

    def label(self, sample_id: str) -> int:
        """0-based label of a clip; -1 if nothing says what it shows. Raises ValueError if the folder has no such clip."""
        if sample_id not in self.table:
            raise ValueError(f"{sample_id!r} is no clip of {self.root}.")
        return self.table[sample_id].label
