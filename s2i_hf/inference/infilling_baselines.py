"""Filling lost joints without a model: linear interpolation in time, and the mean pose of a data set.

They are what a model has to beat, and `fill_linear` also stands in for lost joints where an image is made of a clip.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..processing.layouts import SkeletonLayout, get_layout
from ..processing.transforms import find_missing

if TYPE_CHECKING:
    from ..data.skeleton_rows import SkeletonRows


@dataclass(frozen=True, eq=False)  # arrays have no single answer to ==
class MeanPose:
    """The mean body of a data set.

    Args:
        layout: Its joint format.
        offsets: (V, 3) float64, mean of joint minus centre of the body, in the unit of the layout.
        num_bodies: Bodies (one person in one frame) it is the mean of.
    """

    layout: SkeletonLayout
    offsets: np.ndarray
    num_bodies: int


def mean_pose(rows: Sequence[Mapping[str, Any]] | SkeletonRows, layout: str | SkeletonLayout) -> MeanPose:
    """The mean, over bodies, of the joints relative to the centre; directions stay those of the camera.

    Rows have joints (T, M, V, 3) and layout, such as the training split; those of other formats are passed over. Raises a ValueError if
    no row shows this format, or some joint is never measured.
    """
    layout = get_layout(layout)
    total, count, bodies = np.zeros((layout.num_joints, 3)), np.zeros(layout.num_joints), 0
    for index in range(len(rows)):
        row = rows[index]
        if get_layout(row["layout"]).name != layout.name:
            continue
        joints = np.asarray(row["joints"], dtype=np.float64)
        seen = ~find_missing(joints) & (joints != 0).any(axis=(2, 3))[:, :, None]  # padding shows nobody
        centre = joints[:, :, list(layout.center_indices)].mean(axis=2, keepdims=True)
        seen &= seen[:, :, list(layout.center_indices)].all(axis=2, keepdims=True)
        total += np.where(seen[..., None], joints - centre, 0.0).sum(axis=(0, 1))
        count += seen.sum(axis=(0, 1))
        bodies += int(seen.any(axis=2).sum())
    if not count.all():
        what = f"joint {layout.joint_names[int(count.argmin())]!r}" if bodies else "a body"
        raise ValueError(f"no clip there shows {what} of layout {layout.name!r}, so there is no mean pose of it.")
    return MeanPose(layout, total / count[:, None], bodies)


def fill_linear(
    joints: np.ndarray, lost: np.ndarray, layout: SkeletonLayout, pose: MeanPose | None = None
) -> np.ndarray:
    """Interpolate lost joints linearly in time; before the first and after the last measured frame they are held.

    A joint that a person lost in every frame takes its place in `pose` relative to the person's centre, or to the mean of the other
    joints if the centre is lost throughout as well; without a pose it takes the place of the mean of the other joints.

    Args:
        joints: (T, M, V, 3); what it holds where `lost`, (T, M, V) bool, does not matter.

    Returns:
        (T, M, V, 3) float32; NaN for a person who was never measured.
    """
    frames = np.arange(len(joints))[:, None, None]
    before = np.maximum.accumulate(np.where(lost, -1, frames), axis=0)
    after = np.minimum.accumulate(np.where(lost, len(joints), frames)[::-1], axis=0)[::-1]
    never: np.ndarray = np.asarray(lost.all(axis=0))  # (M, V)
    start = np.where(before < 0, after, before) % len(joints)  # of a joint that is never seen: any frame
    stop = np.where(after == len(joints), before, after) % len(joints)
    values = np.where(lost[..., None], np.nan, np.asarray(joints, dtype=np.float64))
    low, high = (np.take_along_axis(values, at[..., None], axis=0) for at in (start, stop))
    share = (frames - start) / np.maximum(stop - start, 1)
    filled = np.where(lost[..., None], low + np.clip(share, 0, 1)[..., None] * (high - low), values)
    centre = list(layout.center_indices)
    for person in np.flatnonzero(never.any(axis=1)):
        others = np.flatnonzero(~never[person])
        if len(others) == 0:
            continue
        offsets = np.zeros((layout.num_joints, 3)) if pose is None else pose.offsets
        anchors = centre if pose is not None and not never[person, centre].any() else others
        origin = (filled[:, person, anchors] - offsets[anchors]).mean(axis=1, keepdims=True)  # (T, 1, 3)
        filled[:, person, never[person]] = origin + offsets[never[person]]
    return filled.astype(np.float32)


def fill_mean_pose(joints: np.ndarray, lost: np.ndarray, pose: MeanPose) -> np.ndarray:
    """As `fill_linear`, but lost joints where the mean body has them, around the person's own centre, interpolated where it was lost."""
    linear = fill_linear(joints, lost, pose.layout, pose)
    centre = linear[:, :, list(pose.layout.center_indices)].mean(axis=2, keepdims=True)
    return np.where(lost[..., None], centre + pose.offsets, linear).astype(np.float32)


def mean_error(predicted: np.ndarray, truth: np.ndarray, where: np.ndarray, layout: SkeletonLayout) -> float:
    """Mean distance of predicted to true joints, (T, M, V, 3) each, over chosen joints (MPJPE), in `error_unit(layout)`.

    Joints count where `where`, (T, M, V) bool, says so and the truth is known; NaN if none does.
    """
    where = where & ~find_missing(truth)
    distance = np.linalg.norm(predicted[where].astype(np.float64) - truth[where], axis=-1)
    return float(distance.mean()) * (1000.0 if layout.unit == "m" else 1.0) if len(distance) else float("nan")


def error_unit(layout: SkeletonLayout) -> str:
    """ "mm" for layouts in metres, else the layout's own unit."""
    return "mm" if layout.unit == "m" else layout.unit
