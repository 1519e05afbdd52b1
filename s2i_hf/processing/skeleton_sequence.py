"""`SkeletonSequence`: one recording in memory, what every reader returns and every dataset row is made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .array_axes import unmasked
from .layouts import SkeletonLayout, get_layout


@dataclass(frozen=True, eq=False)  # arrays have no single answer to ==
class SkeletonSequence:
    """T frames of M people with V joints each.

    Args:
        joints: (T, M, V, 3) float32, in the unit of the layout (metres), camera frame, y up. M counts the people present in the
            clip; a person who is not there in some frame has NaN joints in it, and what is masked becomes NaN.
        layout: Joint format.
        label: Action, 0-based (NTU A001 is 0); -1 if unknown.
        subject: Performer as numbered by the dataset; -1 if unknown.
        camera: View as numbered by the dataset; -1 if unknown.
        body_ids: (M,) int64, the sensor's tracking id of each person.
        sample_id: Unique name within the dataset, such as "S001C001P001R001A001".

    Raises:
        ValueError: `joints` is not (T, M, V, 3) with T, M >= 1 and the V of the layout.
    """

    joints: np.ndarray
    layout: SkeletonLayout
    label: int = -1
    subject: int = -1
    camera: int = -1
    body_ids: np.ndarray = None  # type: ignore[assignment]  # None becomes 0..M-1
    sample_id: str = ""

    def __post_init__(self) -> None:
        joints = np.ascontiguousarray(unmasked(self.joints), dtype=np.float32)
        layout = get_layout(self.layout)
        if joints.ndim != 4 or joints.shape[2:] != (layout.num_joints, 3) or not joints.size:
            expected = f"at least one frame and person of (T, M, {layout.num_joints}, 3) for layout {layout.name!r}"
            raise ValueError(f"Clip {self.sample_id!r}: joints have shape {joints.shape}; expected {expected}.")
        body_ids = np.asarray(range(joints.shape[1]) if self.body_ids is None else self.body_ids, dtype=np.int64)
        if body_ids.shape != (joints.shape[1],):
            raise ValueError(f"Clip {self.sample_id!r}: {body_ids.shape} body ids for {joints.shape[1]} people.")
        object.__setattr__(self, "joints", joints)
        object.__setattr__(self, "layout", layout)
        object.__setattr__(self, "body_ids", body_ids)

    def to_row(self) -> dict[str, Any]:
        """The dataset row: joints flat, beside their shape, so that formats with different V share one schema."""
        return {
            "joints": self.joints.reshape(-1),
            "shape": list(self.joints.shape),
            "layout": self.layout.name,
            "label": self.label,
            "subject": self.subject,
            "camera": self.camera,
            "body_ids": self.body_ids.tolist(),
            "sample_id": self.sample_id,
        }
