"""Clips of any joint format, read in another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..processing.layout_conversion import LayoutLike, joint_indices, to_layout
from ..processing.layouts import SkeletonLayout, get_layout, register_layout
from .skeleton_rows import Columns, SkeletonRows, as_rows


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
