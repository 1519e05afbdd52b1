"""What happens to joints before they become an image: people, missing joints, windows in time, training-time augmentation.

Everything here is numpy on one clip, (T, M, V, 3) float32 with y up, because a clip is some kilobytes and lives on the host until
its batch is encoded. This module is the one to import from: gaps are filled in `missing.py`, time is resampled and cut in
`temporal.py`, and `augmentation.py` holds `Augmentation`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .augmentation import NO_AUGMENTATION, NUM_DRAWS, Augmentation, about_center, augment, rotation_matrix
from .layouts import SkeletonLayout, get_layout
from .missing import ORIGIN_RADIUS, fill_missing, find_missing
from .temporal import central_crop, clip_windows, frames_at, play, resample

__all__ = [
    "MAX_METRES",
    "NO_AUGMENTATION",
    "NUM_DRAWS",
    "ORIGIN_RADIUS",
    "PEOPLE",
    "Augmentation",
    "about_center",
    "augment",
    "central_crop",
    "clip_windows",
    "fill_missing",
    "find_missing",
    "frames_at",
    "play",
    "prepare",
    "present_people",
    "resample",
    "rotation_matrix",
]

PEOPLE: tuple[str, ...] = ("adaptive", "first")
MAX_METRES = 20.0  # half the size of a scene that a depth sensor can see; beyond it coordinates are not in metres


def present_people(joints: np.ndarray) -> np.ndarray:
    """Indices of the people who are there: at least one joint that is neither NaN nor zero."""
    extremes = [
        (np.fmin.reduce(person, axis=None), np.fmax.reduce(person, axis=None)) for person in joints.swapaxes(0, 1)
    ]
    return np.flatnonzero([low < 0 or high > 0 for low, high in extremes])


def prepare(
    joints: Any, layout: str | SkeletonLayout, people: str = "adaptive", sample_id: str = ""
) -> tuple[np.ndarray, int]:
    """Check one clip and make it ready for the encoder.

    Args:
        joints: (T, V, 3) or (T, M, V, 3), numpy, torch or nested lists, in the unit of the layout.
        layout: Joint format.
        people: "adaptive" keeps everyone present, "first" the first of them.
        sample_id: Named in errors.

    Returns:
        (T, M', V, 3) float32, contiguous, absent people dropped and missing joints filled; and the number of joints filled.
        A clip in which nobody is present keeps one person of zeros.

    Raises:
        ValueError: wrong shape, no frame, infinite values, joints that do not match the layout, or values that cannot be metres.
    """
    layout = get_layout(layout)
    clip = f"Clip {sample_id!r}: " if sample_id else ""
    if hasattr(joints, "detach"):
        joints = joints.detach().cpu().float().numpy()  # numpy knows no bfloat16
    try:
        joints = np.asarray(joints, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{clip}joints are not a numeric array of shape (T, M, V, 3): {error}.") from None
    if joints.ndim == 3:
        joints = joints[:, None]
    if joints.ndim != 4 or joints.shape[-1] != 3:
        raise ValueError(f"{clip}joints have shape {joints.shape}; expected (T, V, 3) or (T, M, V, 3).")
    if joints.shape[2] != layout.num_joints:
        raise ValueError(
            f"{clip}joints have {joints.shape[2]} joints a person, but layout {layout.name!r} has {layout.num_joints}; "
            "pass the layout of this data, or your own SkeletonLayout."
        )
    if joints.shape[0] == 0 or joints.shape[1] == 0:
        raise ValueError(
            f"{clip}joints have shape {joints.shape}, without a frame or a person; a clip needs one of each."
        )
    if people not in PEOPLE:
        raise ValueError(f"people is {people!r}; expected one of {', '.join(PEOPLE)}.")
    low, high = float(joints.min()), float(joints.max())
    complete = low == low  # a NaN anywhere makes both NaN
    if not complete:
        low, high = float(np.fmin.reduce(joints, axis=None)), float(np.fmax.reduce(joints, axis=None))
    if np.isinf(low) or np.isinf(high):
        raise ValueError(f"{clip}joints hold infinite values; mark joints that were not measured with NaN.")
    if layout.unit == "m" and max(-low, high) > MAX_METRES:
        raise ValueError(
            f"{clip}coordinates reach {max(-low, high):.6g}, but layout {layout.name!r} is in metres; millimetres? Divide by 1000."
        )
    if joints.shape[1] > 1 or low == high or np.isnan(low):
        there = present_people(joints)
        if people == "first":
            there = there[:1]
        if len(there) == 0:
            return np.zeros((joints.shape[0], 1, *joints.shape[2:]), dtype=np.float32), 0
        if len(there) < joints.shape[1]:
            joints = joints[:, there]
    if complete and joints.all():  # no NaN and no zero coordinate, as in most clips: nothing to look for
        return np.ascontiguousarray(joints), 0
    joints, num_missing = fill_missing(joints, layout.parents)
    return np.ascontiguousarray(joints), num_missing
