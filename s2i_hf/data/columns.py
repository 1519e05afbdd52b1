"""Columns of clips as they are stored: the small ones in memory, the joints of a clip on demand.

`datasets` decodes a row to Python objects before anything can use it. Here joints are views of the Arrow or .npz buffers, which the
operating system maps from the file: random reads run near the speed of memory, and a data set of any size opens at once.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..readers.generic.arrays import DAMAGE

NEEDED = {"joints", "shape", "layout", "label", "sample_id"}  # columns that a table must have
Chunk = tuple[np.ndarray, np.ndarray]
"""Offsets of some clips, and their joints, flat, behind one another."""


class ChunkedJoints:
    """Place of a clip -> its flat float32 joints: a view, not to be written to. Each process maps the files itself.

    Args:
        opened: Returns the chunks; called when the first clip is read.
    """

    def __init__(self, opened: Callable[[], list[Chunk]]) -> None:
        self.opened = opened
        self._chunks: list[Chunk] = []

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_chunks": []}

    def __call__(self, place: int) -> np.ndarray:
        if not self._chunks:
            self._chunks = self.opened()
            self._starts = np.cumsum([0, *(len(offsets) - 1 for offsets, _ in self._chunks)])
        at = int(np.searchsorted(self._starts, place, side="right")) - 1
        offsets, values = self._chunks[at]
        row = place - int(self._starts[at])
        return values[offsets[row] : offsets[row + 1]]


def arrow_columns(table: Any) -> dict[str, Any]:
    """The small columns of a `pyarrow.Table`, as `SkeletonRows` takes them. Raises ValueError if a column is lacking."""
    if lacking := NEEDED - set(table.column_names):
        raise ValueError(
            f"The dataset has no column {sorted(lacking)[0]!r}; expected rows of joints, shape, layout, label, subject, "
            "camera, body_ids and sample_id, as `s2i convert` writes them."
        )
    shapes = table.column("shape").combine_chunks().flatten().to_numpy(zero_copy_only=False)
    columns = {f"{name}s": table.column(name).to_pylist() for name in ("layout", "sample_id")}
    for name in ("label", "subject", "camera"):
        known = name in table.column_names
        columns[f"{name}s"] = table.column(name).to_numpy().astype(np.int64) if known else np.full(len(table), -1)
    return {"shapes": shapes.reshape(-1, 4).astype(np.int64), **columns}


def arrow_chunks(source: Any) -> list[Chunk]:
    """The joints of what has a `pyarrow.Table` as `table`; that of a `datasets.Dataset` goes to other processes as its files."""
    return [
        (chunk.offsets.to_numpy(), chunk.values.to_numpy(zero_copy_only=chunk.values.null_count == 0))
        for chunk in source.table.column("joints").chunks
    ]


def npz_columns(parts: Sequence[dict[str, np.ndarray]]) -> dict[str, Any]:
    """The small columns of .npz files behind one another, as `SkeletonRows` takes them."""

    def joined(name: str, *shape: int) -> np.ndarray:
        return np.concatenate([np.empty((0, *shape), np.int64), *(part[name] for part in parts)])

    numbers = {name: joined(name) for name in ("labels", "subjects", "cameras")}
    names = {name: [text for part in parts for text in part[name].tolist()] for name in ("layouts", "sample_ids")}
    return {"shapes": joined("shapes", 4), **numbers, **names}


def npz_chunks(files: Sequence[Path], offsets: Sequence[np.ndarray]) -> list[Chunk]:
    """The joints of .npz files, mapped."""
    joints = [np.memmap(path, "<f4", "r", *_place_of_joints(path)) for path in files]
    return list(zip(offsets, map(np.asarray, joints), strict=True))  # a slice of an array takes half as long


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """All columns of an .npz but its joints. Raises ValueError if it is not one of ours, or damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            columns = {name: file[name] for name in file.files if name != "joints"}
        numbers = [columns[name] for name in ("labels", "subjects", "cameras", "sample_ids", "layouts")]
        offsets, shapes = columns["offsets"], columns["shapes"].astype(np.int64).reshape(-1, 4)
        fits = np.array_equal(np.diff(offsets), shapes.prod(axis=1)) and (shapes >= 1).all()
        same = {len(column) for column in numbers} == {len(shapes)}
        if not (fits and same and offsets[0] == 0 and "body_ids" in columns):
            raise ValueError("its columns do not fit together")
        if _place_of_joints(path)[1] != (int(offsets[-1]),):
            raise ValueError("it holds other joints than it says")
    except (*DAMAGE, IndexError) as error:
        raise ValueError(
            f"{path} is no file of clips, or damaged ({error}); make it again with `s2i convert`."
        ) from None
    return columns


def _place_of_joints(path: Path) -> tuple[int, tuple[int, ...]]:
    """Where in an .npz its joints begin, and how many numbers they are."""
    with zipfile.ZipFile(path) as archive, archive.open("joints.npy") as entry:
        info, form = archive.getinfo("joints.npy"), np.lib.format
        form.read_magic(entry)
        shape, _, dtype = form.read_array_header_1_0(entry)
        length = entry.tell()
    with path.open("rb") as file:
        file.seek(info.header_offset + 26)
        names = sum(struct.unpack("<HH", file.read(4)))
    if info.compress_type != zipfile.ZIP_STORED or dtype != np.dtype("<f4"):
        raise ValueError("its joints are compressed, or of another type")
    return info.header_offset + 30 + names + length, shape
