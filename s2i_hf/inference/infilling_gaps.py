"""What a clip lost: joints and frames by name, the pixels of its S2I image that they reach, and filling them without a model.

Linear interpolation and the mean pose of a data set are what a model has to beat; `fill_linear` also stands in for lost joints where an
image is made of a clip.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..processing.encoding import EncodingOptions
from ..processing.layouts import PARTS, SkeletonLayout, get_layout
from ..processing.resizing import joint_weights, resize_weights
from ..processing.skeleton_layout import name_key
from ..processing.suggestions import did_you_mean
from ..processing.transforms import find_missing
from ..utils.arguments import several

if TYPE_CHECKING:
    from ..data.skeleton_rows import SkeletonRows

_NO_WEIGHT = 1e-6  # of a joint in a pixel: rounding of the resize, not a share
_RANGE = re.compile(r"(\d*):(\d*)")


def with_people(joints: np.ndarray) -> np.ndarray:
    """(T, V, 3) or (T, M, V, 3) -> (T, M, V, 3)."""
    joints = np.asarray(joints)
    return joints[:, None] if joints.ndim == 3 else joints


def lost_joints(
    joints: np.ndarray,
    layout: str | SkeletonLayout,
    drop_joints: str | Sequence[str] | None = None,
    drop_frames: str | tuple[int, int] | Sequence[Any] | None = None,
    missing: np.ndarray | None = None,
) -> np.ndarray:
    """Where a clip has gaps, (T, M, V) bool: what is not measured in it, and what is named.

    Args:
        joints: (T, M, V, 3) or (T, V, 3); NaN where not measured, or zero as sensors write it (`transforms.find_missing`).
        layout: Joint format.
        drop_joints: Names of joints or body parts, several in a list or with commas, lost in the whole clip, or in the frames that
            follow an "@": "left_arm,ElbowR@10:20". The words of a joint may come in any spelling: "elbow_right" is ElbowR.
        drop_frames: Frames lost with all joints, counted from 0, the second excluded: "30:60", (30, 60), or several.
        missing: (T, M, V) or (T, V) bool, further lost joints.

    Raises:
        ValueError: an unknown name, frames outside the clip, or a mask of another shape.
    """
    layout, joints = get_layout(layout), with_people(joints)
    lost = np.zeros(joints.shape[:3], dtype=bool)
    if missing is not None:
        given = np.asarray(missing)
        given = given[:, None] if given.ndim == 2 else given
        if given.shape != lost.shape or given.dtype != bool:
            raise ValueError(f"missing is {given.dtype} of shape {given.shape}; expected bool of shape {lost.shape}.")
        lost |= given
    for word in several(drop_joints):
        name, at, frames = word.partition("@")
        first, stop = _frames(frames, len(joints)) if at else (0, len(joints))
        lost[first:stop, :, _joints_of(name.strip(), layout)] = True
    for span in _spans(drop_frames):
        first, stop = _frames(span, len(joints))
        lost[first:stop] = True
    return lost | find_missing(np.where(lost[..., None], 0, joints))  # nor may a lost value say what else is missing


def _joints_of(name: str, layout: SkeletonLayout) -> list[int]:
    """Indices of a joint or of the joints of a part, whatever the case and the order of words."""
    known = {joint.lower(): [joint] for joint in layout.joint_names}
    known |= {part.lower(): list(joints) for part, joints in layout.parts.items()}
    if (joints := known.get(name.lower())) is not None:
        if not joints:
            raise ValueError(f"layout {layout.name!r} has no joint in its {name}, so there is nothing to drop.")
        return [layout.joint_names.index(joint) for joint in joints]
    alike = [index for index, joint in enumerate(layout.joint_names) if name_key(joint) == name_key(name)]
    if len(alike) == 1:
        return alike
    hint = did_you_mean(name, [*PARTS, *layout.joint_names])
    choice = f"Parts: {', '.join(PARTS)}; joints: {', '.join(layout.joint_names)}"
    raise ValueError(f"{name!r} is no body part and no joint of layout {layout.name!r}.{hint} {choice}.")


def _spans(given: Any) -> Iterable[Any]:
    if given is None:
        return []
    if isinstance(given, str):
        return several(given)
    numbers = len(given) == 2 and all(isinstance(number, int | np.integer) for number in given)
    return [given] if numbers else given


def _frames(span: Any, length: int) -> tuple[int, int]:
    """First frame and the one after the last of "A:B" or (A, B)."""
    if isinstance(span, str):
        found = _RANGE.fullmatch(span.strip())
        if not found:
            raise ValueError(f"frames {span!r} are no range; expected FIRST:STOP, such as 30:60, STOP excluded.")
        first, stop = int(found[1] or 0), int(found[2] or length)
    else:
        first, stop = (int(number) for number in span)
    if not 0 <= first < stop <= length:
        inside = f"0 <= first < stop <= {length}"
        raise ValueError(f"frames {first}:{stop} are not inside this clip of {length} frames; expected {inside}.")
    return first, stop


def touched_pixels(lost: np.ndarray, layout: SkeletonLayout, options: EncodingOptions) -> np.ndarray:
    """(H, W) bool: pixels that a lost joint (T, M, V) contributes to, through stream and resize."""
    if "bone" in options.stream:  # a bone is lost with either end
        parents = np.array([joint if parent < 0 else parent for joint, parent in enumerate(layout.parents)])
        lost = lost | lost[:, :, parents]
    if "motion" in options.stream:  # a difference is lost with either frame
        lost = lost | np.concatenate([lost[:1], lost[:-1]])
    frames, people = lost.shape[:2]
    # cubic weights are negative, too
    in_time = np.abs(resize_weights(frames, options.size[0], options.interpolation)) > _NO_WEIGHT
    in_width = np.abs(joint_weights(layout, people, options.size[1], options.columns)) > _NO_WEIGHT
    time, joints, width = (table.astype(np.float32) for table in (in_time, lost.reshape(frames, -1), in_width))
    return time @ joints @ width.T > 0


# --- without a model ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)  # arrays have no single answer to ==
class MeanPose:
    """The mean body of a data set: offsets (V, 3) float64 are the mean of joint minus centre, in the unit of its layout."""

    layout: SkeletonLayout
    offsets: np.ndarray


def mean_pose(rows: Sequence[Mapping[str, Any]] | SkeletonRows, layout: str | SkeletonLayout) -> MeanPose:
    """The mean, over bodies, of the joints relative to the centre; directions stay those of the camera.

    Rows have joints (T, M, V, 3) and layout, such as the training split; those of other formats are passed over. Raises a ValueError if
    no row shows this format, or some joint is never measured.
    """
    layout = get_layout(layout)
    total, count = np.zeros((layout.num_joints, 3)), np.zeros(layout.num_joints)
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
    if not count.all():
        what = f"joint {layout.joint_names[int(count.argmin())]!r}" if count.any() else "a body"
        raise ValueError(f"no clip there shows {what} of layout {layout.name!r}, so there is no mean pose of it.")
    return MeanPose(layout, total / count[:, None])


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
