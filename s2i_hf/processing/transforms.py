"""What happens to joints before they become an image: missing joints, the people who are there, and time.

Everything here is numpy on one clip, (T, M, V, 3) float32 with y up, because a clip is some kilobytes and lives on the host until
its batch is encoded. Training-time augmentation is in `augmentation.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from .array_axes import unmasked
from .layouts import SkeletonLayout, get_layout

Center = Literal["first_frame", "every_frame", "none"]  # when the centre of the first person is subtracted
PEOPLE: tuple[str, ...] = ("adaptive", "first")
MAX_METRES = 20.0  # half the size of a scene that a depth sensor can see; beyond it coordinates are not in metres
ORIGIN_RADIUS = 1.0  # metres; a body this near to zero is root-centred, for sensors see nothing so close


def find_missing(joints: np.ndarray) -> np.ndarray:
    """(T, M, V) bool: where a joint of (T, M, V, 3) was not measured.

    That is NaN, or exactly zero in a frame whose other joints are not (sensors write 0 0 0). Somebody who is all zero in a frame that shows
    somebody else is missing there, too. A joint at zero throughout is no gap where the body is around it: the origin of root-centred data.
    """
    x, y, z = np.moveaxis(joints, -1, 0)  # plane by plane: numpy is slow at reducing an axis of three
    missing = np.isnan(x) | np.isnan(y) | np.isnan(z)
    zero = (x == 0) & (y == 0) & (z == 0)
    if zero.any():
        missing |= zero & ~zero.all(axis=(1, 2), keepdims=True)
        origin = zero.all(axis=0)
        for person in np.flatnonzero(origin.any(axis=1)):
            seen = joints[:, person][~missing[:, person]]
            if len(seen) and np.abs(seen.mean(axis=0)).max() < ORIGIN_RADIUS:
                missing[:, person, origin[person]] = False
    return missing


@lru_cache(maxsize=64)
def bones_apart(parents: tuple[int, ...]) -> np.ndarray:
    """(V, V) int: bones on the way from one joint to another; V, more than any way has, where there is none.

    Args:
        parents: Parent of each joint, -1 for a root, as `SkeletonLayout.parents` has them.
    """
    count = len(parents)
    apart = np.full((count, count), count)
    np.fill_diagonal(apart, 0)
    for joint, parent in enumerate(parents):
        if parent >= 0:
            apart[joint, parent] = apart[parent, joint] = 1
    for via in range(count):  # Floyd and Warshall
        apart = np.minimum(apart, apart[:, via, None] + apart[via])
    return apart


def impute(joints: np.ndarray, lost: np.ndarray, parents: tuple[int, ...]) -> np.ndarray:
    """What takes the place of joints that one person never shows: of the joints that are there, the fewest bones away, or their mean.

    A lost hand goes where its wrist is and not into the middle of the body: classifiers that were trained on whole bodies lose less by it.

    Args:
        joints: (T, V, 3) of one person; those that are there are complete.
        lost: (V,) bool, some but not all of them.
        parents: Parent of each joint; see `bones_apart`.

    Returns:
        (T, lost.sum(), 3) float32.
    """
    apart = bones_apart(parents)[lost][:, ~lost]
    nearest = (apart == apart.min(axis=1, keepdims=True)).astype(np.float32)
    places: np.ndarray = (nearest / nearest.sum(axis=1, keepdims=True)) @ joints[:, ~lost]
    return places


def fill_missing(joints: np.ndarray, parents: tuple[int, ...]) -> tuple[np.ndarray, int]:
    """Fill missing joints along time: linearly between the frames that have them, held before the first and after the last.

    A joint that is missing in every frame takes the place of the joints beside it, frame by frame (see `impute`).

    Returns:
        The joints (T, M, V, 3), the very array if nothing is missing; and how many (frame, person, joint) entries were filled.
    """
    missing = find_missing(joints)
    if not missing.any():
        return joints, 0
    filled = np.array(joints, dtype=np.float32)
    frames = np.arange(len(joints))
    never = np.asarray(missing.all(axis=0))
    for person, joint in zip(*np.nonzero(missing.any(axis=0) & ~never), strict=True):
        seen = np.flatnonzero(~missing[:, person, joint])
        for axis in range(3):
            filled[:, person, joint, axis] = np.interp(frames, seen, joints[seen, person, joint, axis])
    for person in np.flatnonzero(never.any(axis=1)):
        lost = never[person]
        filled[:, person, lost] = 0.0 if lost.all() else impute(filled[:, person], lost, parents)
    return filled, int(missing.sum())


def present_people(joints: np.ndarray) -> np.ndarray:
    """Indices of the people who are there: at least one joint that is neither NaN nor zero."""
    extremes = map(_extremes, joints.swapaxes(0, 1))
    return np.flatnonzero([low < 0 or high > 0 for low, high in extremes])


def _extremes(joints: np.ndarray) -> tuple[float, float]:
    """Lowest and highest coordinate beside NaN."""
    return float(np.fmin.reduce(joints, axis=None)), float(np.fmax.reduce(joints, axis=None))


def prepare(
    joints: Any, layout: str | SkeletonLayout, people: str = "adaptive", sample_id: str = ""
) -> tuple[np.ndarray, int]:
    """Check one clip and make it ready for the encoder.

    Args:
        joints: (T, V, 3) or (T, M, V, 3), numpy, torch or nested lists, in the unit of the layout.
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
        joints = np.asarray(unmasked(joints), dtype=np.float32)
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
    if not joints.size:
        raise ValueError(f"{clip}joints have shape {joints.shape}, without a frame or a person; a clip needs both.")
    if people not in PEOPLE:
        raise ValueError(f"people is {people!r}; expected one of {', '.join(PEOPLE)}.")
    low, high = float(joints.min()), float(joints.max())
    complete = low == low  # a NaN anywhere makes both NaN
    if not complete:
        low, high = _extremes(joints)
    if np.isinf(low) or np.isinf(high):
        raise ValueError(f"{clip}joints hold infinite values; mark joints that were not measured with NaN.")
    if layout.unit == "m" and max(-low, high) > MAX_METRES:
        raise ValueError(
            f"{clip}coordinates reach {max(-low, high):.6g}, but layout {layout.name!r} is in metres; millimetres? Divide by 1000."
        )
    if joints.shape[1] > 1 or low == high or np.isnan(low):
        there = present_people(joints)[: 1 if people == "first" else None]
        if len(there) == 0:
            return np.zeros((len(joints), 1, *joints.shape[2:]), dtype=np.float32), 0
        if len(there) < joints.shape[1]:
            joints = joints[:, there]
    if complete and joints.all():  # no NaN and no zero coordinate, as in most clips: nothing to look for
        return np.ascontiguousarray(joints), 0
    joints, num_missing = fill_missing(joints, layout.parents)
    return np.ascontiguousarray(joints), num_missing


def padded(clips: Sequence[np.ndarray]) -> np.ndarray:
    """(B, T, M, V, 3) float32 of clips (T, M, V, 3): zeros up to the most frames, people and joints among them."""
    batch = np.zeros((len(clips), *np.max([clip.shape for clip in clips], axis=0)), dtype=np.float32)
    for into, clip in zip(batch, clips, strict=True):
        into[tuple(slice(size) for size in clip.shape)] = clip
    return batch


def frames_at(joints: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Joints (T, M, V, 3) at instants (N,) from 0 to T - 1, in frames: (N, M, V, 3) float32, linear between the frames around each."""
    low = np.floor(position).astype(np.int64)
    high = np.minimum(low + 1, len(joints) - 1)
    weight = (position - low).astype(np.float32)[:, None, None, None]
    return joints[low] * (1 - weight) + joints[high] * weight


def resample(joints: np.ndarray, num_frames: int) -> np.ndarray:
    """(num_frames, M, V, 3) float32: linear resampling of (T, M, V, 3) in time that keeps the first and the last frame."""
    if num_frames < 1:
        raise ValueError(f"num_frames is {num_frames}; a clip needs at least one frame.")
    return frames_at(joints, np.linspace(0, len(joints) - 1, num_frames))


def play(joints: np.ndarray, speeds: Sequence[float] | np.ndarray) -> np.ndarray:
    """The clip (T, M, V, 3) played at another speed, or at one that changes on the way: (T', M, V, 3) float32; both ends stay.

    `speeds` are relative speeds above zero at equally spaced places from the first frame to the last, linear between them: (2.0,) is twice
    as fast throughout, in half the frames; (1.0, 2.0) speeds up from beginning to end.
    """
    if len(joints) == 1:
        return joints
    middles = (np.arange(len(joints) - 1) + 0.5) / (len(joints) - 1)
    lasting = 1 / np.interp(middles, np.linspace(0, 1, len(speeds)), speeds)  # of the time from one frame to the next
    instants = np.concatenate([[0.0], np.cumsum(lasting)])
    wanted = np.linspace(0, instants[-1], max(2, round(instants[-1]) + 1))
    return frames_at(joints, np.interp(wanted, instants, np.arange(len(joints))))


def clip_windows(joints: np.ndarray, num: int, ratio: float = 0.8) -> list[np.ndarray]:
    """A clip (T, M, V, 3) and num - 1 equally spaced windows of it, whose scores are averaged: test-time averaging over several clips.

    PYSKL (Duan et al., arXiv 2205.09443) averages over ten clips that each draw their frames from the whole recording. Every clip
    becomes an image of the same height here, so ten of those would be ten images all but alike; windows differ.

    Args:
        num: Clips wanted. The first is the whole clip; of the others the first begins and the last ends with it; one is the middle.
        ratio: Share of the frames in a window, at least one frame.

    Returns:
        `num` views of `joints`, (T, M, V, 3) and then (round(ratio T), M, V, 3).

    Raises:
        ValueError: `num` is below 1, or `ratio` no share.
    """
    if num < 1:
        raise ValueError(f"num is {num}; a clip is averaged over itself and windows of it, so at least 1 is expected.")
    if not 0 < ratio <= 1:
        raise ValueError(f"ratio is {ratio}; expected the share of frames to keep, above 0 and at most 1.")
    length = max(1, round(len(joints) * ratio))
    room = len(joints) - length
    starts = np.linspace(0, room, num - 1).round().astype(int) if num != 2 else [room // 2]
    return [joints, *(joints[start : start + length] for start in starts)]
