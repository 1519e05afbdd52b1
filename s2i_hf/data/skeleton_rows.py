"""Rows as training takes them: one clip by index, fast, whatever it is stored in; and in another joint format."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..processing.layout_conversion import joint_indices, to_layout
from ..processing.layouts import LAYOUTS, LayoutLike, SkeletonLayout, get_layout, register_layout
from .columns import ChunkedJoints, arrow_chunks, arrow_columns, npz_chunks, npz_columns, read_npz


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


@dataclass(eq=False, repr=False)  # the names of all clips are no answer to print()
class SkeletonRows(torch.utils.data.Dataset[dict[str, Any]]):
    """A torch Dataset of clips with its labels and names at hand; `as_rows` makes one of any source.

    Args:
        read: Place of a clip -> its joints, a view that is not to be written to.
        shapes: (N, 4) int64: T, M, V, 3.
        labels, subjects, cameras: (N,) int64; -1 where not known.
        sample_ids: N names.
        layouts: N names of joint formats.
        class_names: Of the labels.
        name: Of the protocol.
        places: (N,) where `read` finds each clip; None: 0 to N - 1.
        sources: Which dataset each clip is from, in a mixture; None otherwise.
        description: How the clips were chosen, for the record of a run.

    `rows[i]` is a dict: joints (T, M, V, 3) float32 in the unit of the layout (a copy; NaN where not measured), layout,
    label, subject, camera, sample_id.
    """

    read: Callable[[int], np.ndarray]
    shapes: np.ndarray
    labels: np.ndarray
    subjects: np.ndarray
    cameras: np.ndarray
    sample_ids: list[str]
    layouts: list[str]
    class_names: list[str] = field(default_factory=list)
    name: str = ""
    places: np.ndarray | None = None
    sources: Sources | None = None
    description: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of_table(cls, source: Any, class_names: Sequence[str] = (), name: str = "") -> SkeletonRows:
        """The rows of what has a `pyarrow.Table` as `table`. Raises ValueError if a column is lacking."""
        joints = ChunkedJoints(partial(arrow_chunks, source))
        return cls(joints, **arrow_columns(source.table), class_names=list(class_names), name=name)

    @classmethod
    def of_npz(cls, files: Sequence[Path], class_names: Sequence[str] = (), name: str = "") -> SkeletonRows:
        """The rows of shards in the format npz, in order. Raises ValueError if one is not ours, or damaged."""
        parts = [read_npz(path) for path in files]
        joints = ChunkedJoints(partial(npz_chunks, list(files), [part["offsets"] for part in parts]))
        return cls(joints, **npz_columns(parts), class_names=list(class_names), name=name)

    def __getstate__(self) -> dict[str, Any]:
        # A process that is started afresh knows no joint formats of one's own, which rows call by name
        names = {layout for layout in self.layouts if isinstance(layout, str)}
        return {**self.__dict__, "_known": [LAYOUTS[name] for name in sorted(names) if name in LAYOUTS]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for layout in state.pop("_known"):
            register_layout(layout)
        self.__dict__ = state

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict[str, Any]:
        index = range(len(self))[index]  # counts from the end, and raises IndexError, as a list does
        return {
            "joints": self.joints(index).copy(),
            "layout": self.layouts[index],
            "label": int(self.labels[index]),
            "subject": int(self.subjects[index]),
            "camera": int(self.cameras[index]),
            "sample_id": self.sample_ids[index],
        }

    def joints(self, index: int) -> np.ndarray:
        """(T, M, V, 3) float32 of a clip; a view, not to be written to."""
        return self.read(index if self.places is None else int(self.places[index])).reshape(self.shapes[index])

    def select(self, indices: Sequence[int] | np.ndarray) -> SkeletonRows:
        """The clips at `indices`, in that order; joints are not copied."""
        chosen = np.arange(len(self))[np.asarray(indices, dtype=np.int64)]
        changes: dict[str, Any] = {
            name: getattr(self, name)[chosen] for name in ("shapes", "labels", "subjects", "cameras")
        }
        for name in ("sample_ids", "layouts"):
            changes[name] = [getattr(self, name)[index] for index in chosen]
        if self.sources is not None:
            changes["sources"] = replace(self.sources, of=self.sources.of[chosen])
        places = chosen if self.places is None else self.places[chosen]
        return replace(self, **changes, places=places, description={})


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
        name = split.info.config_name or ""  # "default" is what datasets calls files without a configuration
        class_names = getattr(split.features.get("label"), "names", None) or []
        rows = SkeletonRows.of_table(split.data, class_names, "" if name == "default" else name)
        return rows if split._indices is None else rows.select(split._indices.column(0).to_numpy())
    if hasattr(split, "__len__") and hasattr(split, "__getitem__") and not isinstance(split, (Mapping, str)):
        return _listed(split)
    raise ValueError(
        f"Clips are needed by index, and {type(split).__name__} does not give them; pass one split (such as data['train']) of "
        "load_skeletons, a datasets.Dataset or a torch Dataset of rows."
    )


def _listed(dataset: Any) -> SkeletonRows:
    """The rows of any sequence of row dicts, such as a torch Dataset; read once to learn what is in it."""
    shapes, numbers, ids, layouts = [], [], [], []
    for index in range(len(dataset)):
        row = dataset[index]
        if not isinstance(row, Mapping) or not {"joints", "layout"} <= row.keys():
            raise ValueError(
                f"Row {index} of the dataset is no dict with 'joints' and 'layout'; expected a row of `s2i convert`."
            )
        shapes.append(_joints_of_row(row).shape)
        numbers.append([int(row.get(name, -1)) for name in ("label", "subject", "camera")])
        layouts.append(row["layout"])
        ids.append(str(row.get("sample_id", index)))
    sizes, facts = (np.array(found, dtype=np.int64) for found in (shapes, numbers))
    labels, subjects, cameras = facts.reshape(-1, 3).T
    names, name = list(getattr(dataset, "class_names", [])), str(getattr(dataset, "name", ""))
    read = partial(_joints_of_place, dataset)
    return SkeletonRows(read, sizes.reshape(-1, 4), labels, subjects, cameras, ids, layouts, names, name)


def _joints_of_place(dataset: Any, place: int) -> np.ndarray:
    return _joints_of_row(dataset[place])


def _joints_of_row(row: Mapping[str, Any]) -> np.ndarray:
    """(T, M, V, 3) float32 of a row with flat joints and a shape, or with joints in their shape."""
    joints = row["joints"]
    joints = np.asarray(joints.detach().cpu() if hasattr(joints, "detach") else joints, dtype=np.float32)
    joints = joints.reshape([int(size) for size in row["shape"]]) if "shape" in row else joints
    joints = joints[:, None] if joints.ndim == 3 else joints
    if joints.ndim != 4 or joints.shape[-1] != 3:
        raise ValueError(f"Clip {row.get('sample_id', '')!r}: joints have shape {joints.shape}; expected (T, M, V, 3).")
    return joints


def row_of_table(table: Any) -> dict[str, Any]:
    """A row as a dict, from an Arrow table of one row, as a stream with `with_format("arrow")` gives them.

    Joints are a view of the table's buffer; taking them any other way costs ten times as much.
    """
    row = {name: table.column(name).chunk(0)[0].as_py() for name in table.column_names if name != "joints"}
    return {**row, "joints": table.column("joints").chunk(0).flatten().to_numpy(zero_copy_only=False)}


# -- in another joint format ---------------------------------------------------------------------------------------------


def as_layout(rows: Any, target: LayoutLike) -> SkeletonRows:
    """Clips read in another joint format, with everything else as it is: labels, subjects, ids, `select`.

    Args:
        rows: `SkeletonRows`, or whatever `as_rows` takes; of one format or several.
        target: The format wanted.

    Raises:
        ValueError: a format among the clips lacks a joint of the target; the message says what it can become.
    """
    rows, layout = as_rows(rows), register_layout(get_layout(target))
    for name in set(rows.layouts):
        joint_indices(get_layout(name), layout)
    shapes = rows.shapes.copy()
    shapes[:, 2] = layout.num_joints
    read = partial(_in_layout, rows, layout)
    return replace(rows, read=read, shapes=shapes, layouts=[layout.name] * len(rows), places=None)


def _in_layout(rows: SkeletonRows, layout: SkeletonLayout, index: int) -> np.ndarray:
    return to_layout(rows.joints(index), rows.layouts[index], layout)


def rows_of_splits(data: Mapping[str, Any], target: LayoutLike | None = None) -> dict[str, SkeletonRows]:
    """All splits of a data set as rows, in another joint format if one is named (`--to_layout`). Raises like `as_rows`, `as_layout`."""
    return {split: as_rows(part) if target is None else as_layout(part, target) for split, part in data.items()}
