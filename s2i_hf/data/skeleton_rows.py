"""Rows as training takes them: one clip by index, fast, whatever it is stored in; and in another joint format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from ..processing.layout_conversion import joint_indices, to_layout
from ..processing.layouts import LAYOUTS, LayoutLike, SkeletonLayout, get_layout, register_layout
from .columns import ArrowColumns, Columns, ListedColumns


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
    if hasattr(split, "_indices") and hasattr(split, "column_names"):
        return SkeletonRows(ArrowColumns.of_dataset(split))
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
        rows: `SkeletonRows`, or whatever `as_rows` takes; of one format or several.
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
