"""Rows as training takes them: one clip by index, fast, whatever it is stored in.

`datasets` decodes a row to Python objects before anything can use it. Here joints are views of the Arrow or safetensors
buffers, which the operating system maps from the file: random reads run near the speed of memory, and a data set of any size
opens at once.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from ..processing.layout_conversion import LayoutLike, joint_indices, to_layout
from ..processing.layouts import LAYOUTS, SkeletonLayout, get_layout, register_layout


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


class SafetensorsColumns:
    """One split written by `s2i convert --format safetensors`: small columns in memory, joints mapped from the file.

    Raises:
        ValueError: the file is not one of ours, or damaged.
    """

    def __init__(self, path: str | Path) -> None:
        from safetensors import SafetensorError, safe_open

        self.path = Path(path)
        try:
            with safe_open(self.path, framework="numpy") as file:
                metadata = file.metadata() or {}
                columns = {name: file.get_tensor(name) for name in file.keys() if name != "joints"}  # noqa: SIM118
            self.shapes: np.ndarray = columns["shapes"].astype(np.int64)
            self.labels, self.subjects, self.cameras = (columns[name] for name in ("labels", "subjects", "cameras"))
            self.body_ids: np.ndarray = columns["body_ids"]
            text = columns["sample_ids"].tobytes().decode()
            self.sample_ids: list[str] = text.split("\n") if len(self.shapes) else []
            layouts = json.loads(metadata["layouts"])
            self.layouts: list[str] = [layouts[index] for index in columns["layouts"]]
            self.class_names: list[str] = json.loads(metadata["class_names"])
            self.protocol: str = metadata["protocol"]
            with self.path.open("rb") as file:
                (length,) = struct.unpack("<Q", file.read(8))
                begin, end = json.loads(file.read(length))["joints"]["data_offsets"]
        except (SafetensorError, OSError, KeyError, ValueError, IndexError) as error:
            raise ValueError(f"{self.path} is no skeleton file of `s2i convert`, or damaged ({error}).") from None
        self.offsets = np.concatenate([[0], self.shapes.prod(axis=1).cumsum()])
        lengths = {len(column) for column in (self.shapes, self.labels, self.subjects, self.cameras, self.sample_ids)}
        if (
            len(lengths) != 1
            or self.shapes.shape[1] != 4
            or self.offsets[-1] * 4 != end - begin
            or (self.shapes < 1).any()
        ):
            raise ValueError(
                f"{self.path} is damaged: its columns do not fit together; make it again with `s2i convert`."
            )
        self._start, self._count = 8 + length + begin, (end - begin) // 4
        self._joints: np.ndarray | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_joints": None}  # each process maps the file itself

    def __len__(self) -> int:
        return len(self.shapes)

    def joints(self, index: int) -> np.ndarray:
        """Flat float32 joints of a clip, a view of the mapped file."""
        if self._joints is None:
            self._joints = np.memmap(self.path, "<f4", "r", self._start, (self._count,)) if self._count else np.empty(0)
        return self._joints[self.offsets[index] : self.offsets[index + 1]]


class ArrowColumns:
    """A `datasets.Dataset` with the columns of `storage.row_features`."""

    def __init__(self, dataset: Any) -> None:
        columns = set(dataset.column_names)
        lacking = {"joints", "shape", "layout", "label", "sample_id"} - columns
        if lacking:
            raise ValueError(
                f"The dataset has no column {sorted(lacking)[0]!r}; expected rows of joints, shape, layout, label, subject, "
                "camera, body_ids and sample_id, as `s2i convert` writes them."
            )
        self.dataset = dataset
        self._chunks: list[tuple[np.ndarray, np.ndarray]] | None = None
        self.indices: np.ndarray | None = None
        if dataset._indices is not None:  # after select, shuffle or a train/test split
            self.indices = dataset._indices.column(0).to_numpy().astype(np.int64)
        shapes = self._column("shape").combine_chunks()
        self.shapes: np.ndarray = shapes.flatten().to_numpy(zero_copy_only=False).reshape(-1, 4).astype(np.int64)
        self.labels: np.ndarray = self._column("label").to_numpy().astype(np.int64)
        count = len(self.labels)
        for name in ("subject", "camera"):
            values = self._column(name).to_numpy().astype(np.int64) if name in columns else np.full(count, -1)
            setattr(self, f"{name}s", values)
        self.sample_ids: list[str] = self._column("sample_id").to_pylist()
        self.layouts: list[str] = self._column("layout").to_pylist()
        label = dataset.features["label"]
        self.class_names: list[str] = list(getattr(label, "names", None) or [])
        self.protocol: str = dataset.info.config_name or ""
        if self.protocol == "default":  # what datasets calls files without a configuration
            self.protocol = ""

    subjects: np.ndarray
    cameras: np.ndarray

    def _column(self, name: str) -> Any:
        column = self.dataset.data.table.column(name)
        return column if self.indices is None else column.take(self.indices)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_chunks": None}  # buffers cannot be sent to a process, the dataset can

    def joints(self, index: int) -> np.ndarray:
        if self._chunks is None:
            self._chunks = [
                (chunk.offsets.to_numpy(), chunk.values.to_numpy(zero_copy_only=chunk.values.null_count == 0))
                for chunk in self.dataset.data.table.column("joints").chunks
            ]
            self._starts = np.cumsum([0, *(len(offsets) - 1 for offsets, _ in self._chunks)])
        row = index if self.indices is None else int(self.indices[index])
        at = int(np.searchsorted(self._starts, row, side="right")) - 1
        offsets, values = self._chunks[at]
        row -= int(self._starts[at])
        return values[offsets[row] : offsets[row + 1]]


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
    joints = np.asarray(joints.detach().cpu() if isinstance(joints, torch.Tensor) else joints, dtype=np.float32)
    joints = joints.reshape([int(size) for size in row["shape"]]) if "shape" in row else joints
    if joints.ndim == 3:
        joints = joints[:, None]
    if joints.ndim != 4 or joints.shape[-1] != 3:
        raise ValueError(f"Clip {row.get('sample_id', '')!r}: joints have shape {joints.shape}; expected (T, M, V, 3).")
    return joints


@dataclass(frozen=True, eq=False)  # arrays have no single answer to ==
class Sources:
    """Which dataset of a mixture each clip is from.

    Args:
        names: Of the K datasets.
        of: (N,) int, the dataset of each clip.
        weights: (K,) share of an epoch's clips that each of them gives; None: as many as it has.
    """

    names: tuple[str, ...]
    of: np.ndarray
    weights: tuple[float, ...] | None = None


def row_of_table(table: Any) -> dict[str, Any]:
    """A row as a dict, from an Arrow table of one row, as a stream with `with_format("arrow")` gives them.

    Joints are a view of the table's buffer; taking them any other way costs ten times as much.
    """
    row = {name: table.column(name).chunk(0)[0] for name in table.column_names if name != "joints"}
    return {
        **{name: value.as_py() for name, value in row.items()},
        "joints": table.column("joints").chunk(0).flatten().to_numpy(zero_copy_only=False),
    }


class SkeletonRows(torch.utils.data.Dataset):
    """A torch Dataset of clips with its labels and names at hand.

    Args:
        columns: Where the clips are; `as_rows` finds the right kind.
        indices: Which of them, in which order; None: all.

    `rows[i]` is a dict: joints (T, M, V, 3) float32 in the unit of the layout (a copy; NaN where not measured), layout,
    label, subject, camera, sample_id. `rows.sources` says which dataset each clip is from, in a mixture; None otherwise.
    """

    def __init__(self, columns: Columns, indices: Sequence[int] | np.ndarray | None = None) -> None:
        self.columns = columns
        count = len(columns.labels)
        self.indices = np.arange(count) if indices is None else np.arange(count)[np.asarray(indices, dtype=np.int64)]
        self.labels: np.ndarray = np.asarray(columns.labels, dtype=np.int64)[self.indices]
        self.subjects: np.ndarray = np.asarray(columns.subjects, dtype=np.int64)[self.indices]
        self.cameras: np.ndarray = np.asarray(columns.cameras, dtype=np.int64)[self.indices]
        self.shapes: np.ndarray = columns.shapes[self.indices]
        self.sample_ids: list[str] = [columns.sample_ids[index] for index in self.indices]
        self.layouts: list[str] = [columns.layouts[index] for index in self.indices]
        self.class_names: list[str] = columns.class_names
        self.name: str = columns.protocol
        mixed: Sources | None = getattr(columns, "sources", None)
        self.sources = replace(mixed, of=mixed.of[self.indices]) if mixed is not None else None
        self.description: dict[str, Any] = {}  # of how they were chosen, for the record of a run

    def __getstate__(self) -> dict[str, Any]:
        # A process that is started afresh knows no joint formats of one's own, which rows call by name
        names = {layout for layout in self.layouts if isinstance(layout, str)}
        return {**self.__dict__, "_known": [LAYOUTS[name] for name in sorted(names) if name in LAYOUTS]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for layout in state.pop("_known"):
            register_layout(layout)
        self.__dict__ = state

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> dict[str, Any]:
        index = range(len(self))[index]  # counts from the end, and raises IndexError, as a list does
        return {
            "joints": np.array(self.columns.joints(int(self.indices[index]))).reshape(self.shapes[index]),
            "layout": self.layouts[index],
            "label": int(self.labels[index]),
            "subject": int(self.subjects[index]),
            "camera": int(self.cameras[index]),
            "sample_id": self.sample_ids[index],
        }

    def select(self, indices: Sequence[int] | np.ndarray) -> SkeletonRows:
        """The clips at `indices`, in that order; nothing is copied."""
        return SkeletonRows(self.columns, self.indices[np.asarray(indices, dtype=np.int64)])


def as_rows(split: Any) -> SkeletonRows:
    """Any source of clips as `SkeletonRows`.

    Args:
        split: `SkeletonRows`, a split of `load_skeletons`, a `datasets.Dataset` with the same columns, or any torch Dataset or
            list of row dicts.

    Raises:
        ValueError: it is none of these, or its rows lack joints or layout.
    """
    if isinstance(split, SkeletonRows):
        return split
    if isinstance(split, SafetensorsColumns):
        return SkeletonRows(split)
    if hasattr(split, "_indices") and hasattr(split, "column_names"):
        return SkeletonRows(ArrowColumns(split))
    if hasattr(split, "__len__") and hasattr(split, "__getitem__") and not isinstance(split, (Mapping, str)):
        return SkeletonRows(ListedColumns(split))
    raise ValueError(
        f"Clips are needed by index, and {type(split).__name__} does not give them; pass one split (such as data['train']) of "
        "load_skeletons, a datasets.Dataset or a torch Dataset of rows."
    )


# -- in another joint format ---------------------------------------------------------------------------------------------


class _ConvertedColumns:
    """The clips of other columns in another format; joints are picked when a clip is read."""

    def __init__(self, columns: Columns, used: np.ndarray, target: SkeletonLayout) -> None:
        self._columns, self._target = columns, target
        # by the layout of each clip; layouts of clips that are not used are not asked for
        for layout in {columns.layouts[index] for index in used.tolist()}:
            joint_indices(get_layout(layout), target)
        self.shapes: np.ndarray = columns.shapes.copy()
        self.shapes[:, 2] = target.num_joints
        self.labels, self.subjects, self.cameras = columns.labels, columns.subjects, columns.cameras
        self.sample_ids, self.class_names, self.protocol = columns.sample_ids, columns.class_names, columns.protocol
        self.layouts: list[str] = [target.name] * len(columns.layouts)
        self.sources: Any = getattr(columns, "sources", None)

    def joints(self, index: int) -> np.ndarray:
        """Flat float32 joints of one clip."""
        flat = np.asarray(self._columns.joints(index)).reshape(self._columns.shapes[index])
        return to_layout(flat, self._columns.layouts[index], self._target).reshape(-1)


class AsLayout(SkeletonRows):
    """Clips read in another joint format, with everything else as it is: labels, subjects, ids, `select`.

    Args:
        rows: `SkeletonRows`, or whatever `rows.as_rows` takes; of one format or several.
        target: The format wanted.

    Raises:
        ValueError: a format among the clips lacks a joint of the target; the message says what it can become.
    """

    def __init__(self, rows: Any, target: LayoutLike) -> None:
        rows = as_rows(rows)
        layout = register_layout(get_layout(target))
        super().__init__(_ConvertedColumns(rows.columns, rows.indices, layout), rows.indices)
        if rows.sources is not None and self.sources is not None:
            self.sources = replace(self.sources, weights=rows.sources.weights)
        self.description = dict(rows.description)


def splits_as_layout(data: Mapping[str, Any], target: LayoutLike | None) -> Mapping[str, Any]:
    """All splits of a data set in another joint format (`--to_layout`); as they are if `target` is None. Raises like `AsLayout`."""
    return data if target is None else {split: AsLayout(rows, target) for split, rows in data.items()}
