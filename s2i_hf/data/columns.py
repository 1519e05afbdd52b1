"""Columns of clips, whatever they are stored in: the small ones in memory, the joints of a clip on demand.

`datasets` decodes a row to Python objects before anything can use it. Here joints are views of the Arrow or .npz buffers, which the
operating system maps from the file: random reads run near the speed of memory, and a data set of any size opens at once.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..readers.generic.arrays import DAMAGE


class Columns(Protocol):
    """N clips: small columns in memory, joints on demand."""

    shapes: np.ndarray  # (N, 4) int64: T, M, V, 3
    labels: np.ndarray  # (N,)
    subjects: np.ndarray
    cameras: np.ndarray
    sample_ids: list[str]
    layouts: list[str]
    class_names: list[str]
    protocol: str

    def joints(self, index: int) -> np.ndarray:
        """Flat float32 joints of one clip; a view, not to be written to."""


class _ChunkedColumns:
    """Joints in chunks: flat values, and the offsets of their clips."""

    indices: np.ndarray | None = None  # which rows of the chunks the clips are
    _chunks: list[tuple[np.ndarray, np.ndarray]] | None = None

    def _open(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """(offsets, values) of each chunk."""
        raise NotImplementedError

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_chunks": None}  # each process maps the files itself

    def joints(self, index: int) -> np.ndarray:
        """Flat float32 joints of one clip; a view, not to be written to."""
        if self._chunks is None:
            self._chunks = self._open()
            self._starts = np.cumsum([0, *(len(offsets) - 1 for offsets, _ in self._chunks)])
        row = index if self.indices is None else int(self.indices[index])
        at = int(np.searchsorted(self._starts, row, side="right")) - 1
        offsets, values = self._chunks[at]
        row -= int(self._starts[at])
        return values[offsets[row] : offsets[row + 1]]


class ArrowColumns(_ChunkedColumns):
    """A table with the columns of `storage.row_features`.

    Args:
        source: Has the `pyarrow.Table` as `table`; the data of a `datasets.Dataset` is sent to another process as the files it is in.
        indices: Rows of the table, after a select, shuffle or split; None: all.
        class_names: Names of the classes.
        protocol: Its name.

    Raises:
        ValueError: a column is lacking.
    """

    def __init__(
        self, source: Any, indices: np.ndarray | None = None, class_names: Sequence[str] = (), protocol: str = ""
    ) -> None:
        columns = set(source.table.column_names)
        lacking = {"joints", "shape", "layout", "label", "sample_id"} - columns
        if lacking:
            raise ValueError(
                f"The dataset has no column {sorted(lacking)[0]!r}; expected rows of joints, shape, layout, label, subject, "
                "camera, body_ids and sample_id, as `s2i convert` writes them."
            )
        self.source, self.indices = source, indices
        shapes = self._column("shape").combine_chunks()
        self.shapes: np.ndarray = shapes.flatten().to_numpy(zero_copy_only=False).reshape(-1, 4).astype(np.int64)
        self.labels: np.ndarray = self._column("label").to_numpy().astype(np.int64)
        self.subjects, self.cameras = (
            self._column(name).to_numpy().astype(np.int64) if name in columns else np.full(len(self.labels), -1)
            for name in ("subject", "camera")
        )
        self.sample_ids: list[str] = self._column("sample_id").to_pylist()
        self.layouts: list[str] = self._column("layout").to_pylist()
        self.class_names, self.protocol = list(class_names), protocol

    @classmethod
    def of_dataset(cls, dataset: Any) -> ArrowColumns:
        """The rows of a `datasets.Dataset`."""
        indices = None if dataset._indices is None else dataset._indices.column(0).to_numpy().astype(np.int64)
        name = dataset.info.config_name or ""
        class_names = getattr(dataset.features.get("label"), "names", None) or []
        # "default" is what datasets calls files without a configuration
        return cls(dataset.data, indices, class_names, "" if name == "default" else name)

    def _column(self, name: str) -> Any:
        column = self.source.table.column(name)
        return column if self.indices is None else column.take(self.indices)

    def _open(self) -> list[tuple[np.ndarray, np.ndarray]]:
        return [
            (chunk.offsets.to_numpy(), chunk.values.to_numpy(zero_copy_only=chunk.values.null_count == 0))
            for chunk in self.source.table.column("joints").chunks
        ]


class NpzColumns(_ChunkedColumns):
    """Shards in the format npz, read by numpy alone.

    Args:
        files: The shards of one split, in order.
        class_names: Names of the classes.
        protocol: Its name.

    Raises:
        ValueError: a file is not one of ours, or damaged.
    """

    def __init__(self, files: Sequence[Path], class_names: Sequence[str] = (), protocol: str = "") -> None:
        self.files = list(files)
        parts = [_read_npz(path) for path in files]
        self._offsets = [part["offsets"] for part in parts]

        def joined(name: str, *shape: int) -> np.ndarray:
            return np.concatenate([np.empty((0, *shape), np.int64), *(part[name] for part in parts)])

        self.shapes: np.ndarray = joined("shapes", 4)
        self.labels: np.ndarray = joined("labels")
        self.subjects: np.ndarray = joined("subjects")
        self.cameras: np.ndarray = joined("cameras")
        self.body_ids: np.ndarray = joined("body_ids")
        self.sample_ids: list[str] = [name for part in parts for name in part["sample_ids"].tolist()]
        self.layouts: list[str] = [name for part in parts for name in part["layouts"].tolist()]
        self.class_names, self.protocol = list(class_names), protocol

    def _open(self) -> list[tuple[np.ndarray, np.ndarray]]:
        joints = [np.memmap(path, "<f4", "r", *_place_of_joints(path)) for path in self.files]
        return list(zip(self._offsets, joints, strict=True))


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    """All columns of an .npz but its joints."""
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


class ListedColumns:
    """Any sequence of row dicts, such as a torch Dataset; read once to learn what is in it."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset
        self.sample_ids: list[str] = []
        self.layouts: list[str] = []
        shapes, numbers = [], []
        for index in range(len(dataset)):
            row = dataset[index]
            if not isinstance(row, Mapping) or not {"joints", "layout"} <= row.keys():
                raise ValueError(
                    f"Row {index} of the dataset is no dict with 'joints' and 'layout'; expected a row of `s2i convert`."
                )
            shapes.append(_array(row).shape)
            numbers.append([int(row.get(name, -1)) for name in ("label", "subject", "camera")])
            self.layouts.append(row["layout"])
            self.sample_ids.append(str(row.get("sample_id", index)))
        self.shapes: np.ndarray = np.array(shapes, dtype=np.int64).reshape(-1, 4)
        self.labels, self.subjects, self.cameras = np.array(numbers, dtype=np.int64).reshape(-1, 3).T
        self.class_names: list[str] = list(getattr(dataset, "class_names", []))
        self.protocol: str = str(getattr(dataset, "name", ""))

    def joints(self, index: int) -> np.ndarray:
        return _array(self.dataset[index]).reshape(-1)


def _array(row: Mapping[str, Any]) -> np.ndarray:
    """(T, M, V, 3) float32 of a row with flat joints and a shape, or with joints in their shape."""
    joints = row["joints"]
    joints = np.asarray(joints.detach().cpu() if hasattr(joints, "detach") else joints, dtype=np.float32)
    joints = joints.reshape([int(size) for size in row["shape"]]) if "shape" in row else joints
    if joints.ndim == 3:
        joints = joints[:, None]
    if joints.ndim != 4 or joints.shape[-1] != 3:
        raise ValueError(f"Clip {row.get('sample_id', '')!r}: joints have shape {joints.shape}; expected (T, M, V, 3).")
    return joints
