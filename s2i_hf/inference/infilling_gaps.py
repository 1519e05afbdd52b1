"""What a clip lost: joints and frames by name, and the pixels of its S2I image that they reach."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..processing.encoding import EncodingOptions
from ..processing.layouts import PARTS, SkeletonLayout, get_layout
from ..processing.resizing import joint_weights, resize_weights
from ..processing.skeleton_layout import name_key
from ..processing.suggestions import did_you_mean
from ..processing.transforms import find_missing
from ..utils.arguments import several

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
    if options.stream == "bone":  # a bone is lost with either end
        parents = np.array([joint if parent < 0 else parent for joint, parent in enumerate(layout.parents)])
        lost = lost | lost[:, :, parents]
    elif options.stream == "motion":  # a difference is lost with either frame
        lost = lost | np.concatenate([lost[:1], lost[:-1]])
    frames, people = lost.shape[:2]
    # cubic weights are negative, too
    in_time = np.abs(resize_weights(frames, options.size[0], options.interpolation)) > _NO_WEIGHT
    in_width = np.abs(joint_weights(layout, people, options.size[1], options.columns)) > _NO_WEIGHT
    flat = lost.reshape(frames, -1).astype(np.float32)
    return in_time.astype(np.float32) @ flat @ in_width.T.astype(np.float32) > 0
