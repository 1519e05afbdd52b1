"""A clip along time: resampled, played at another speed, cut into windows. All on (T, M, V, 3) float32 without missing joints."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def frames_at(joints: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Joints at any instants, linearly between the two frames around each.

    Args:
        joints: (T, M, V, 3).
        position: (N,) instants in frames, from 0 to T - 1.

    Returns:
        (N, M, V, 3) float32.
    """
    low = np.floor(position).astype(np.int64)
    high = np.minimum(low + 1, len(joints) - 1)
    weight = (position - low).astype(np.float32)[:, None, None, None]
    return joints[low] * (1 - weight) + joints[high] * weight


def resample(joints: np.ndarray, num_frames: int) -> np.ndarray:
    """Linear resampling in time that keeps the first and the last frame.

    Args:
        joints: (T, M, V, 3).
        num_frames: Frames wanted, at least 1.

    Returns:
        (num_frames, M, V, 3) float32.
    """
    if num_frames < 1:
        raise ValueError(f"num_frames is {num_frames}; a clip needs at least one frame.")
    return frames_at(joints, np.linspace(0, len(joints) - 1, num_frames))


def play(joints: np.ndarray, speeds: Sequence[float] | np.ndarray) -> np.ndarray:
    """The clip played at another speed, or at one that changes on the way; both ends stay.

    Args:
        joints: (T, M, V, 3).
        speeds: Relative speed, above zero, at equally spaced places of the clip from its first frame to its last, linear between
            them: (2.0,) is twice as fast throughout, in half the frames; (1.0, 2.0) speeds up from beginning to end.

    Returns:
        (T', M, V, 3) float32, frame intervals as in `joints`.
    """
    if len(joints) == 1:
        return joints
    middles = (np.arange(len(joints) - 1) + 0.5) / (len(joints) - 1)
    lasting = 1 / np.interp(middles, np.linspace(0, 1, len(speeds)), speeds)  # of the time from one frame to the next
    instants = np.concatenate([[0.0], np.cumsum(lasting)])
    wanted = np.linspace(0, instants[-1], max(2, round(instants[-1]) + 1))
    return frames_at(joints, np.interp(wanted, instants, np.arange(len(joints))))


def central_crop(joints: np.ndarray, ratio: float) -> np.ndarray:
    """The middle `ratio` of the frames, at least one; the evaluation crop of MAMP (0.95)."""
    length = _length(joints, ratio)
    start = (len(joints) - length) // 2
    return joints[start : start + length]


def clip_windows(joints: np.ndarray, num: int, ratio: float = 0.8) -> list[np.ndarray]:
    """A clip and equally spaced windows of it, whose scores are averaged: test-time averaging over several clips.

    PYSKL (Duan et al., arXiv 2205.09443) averages over ten clips that each draw their frames from the whole recording. Every clip
    becomes an image of the same height here, so ten of those would be ten images all but alike; windows differ.

    Args:
        joints: (T, M, V, 3).
        num: Clips wanted. The first is the whole clip; the other num - 1 begin at equally spaced frames, the first of them with the
            clip and the last ending with it; a single one is the middle.
        ratio: Share of the frames in a window, at least one frame.

    Returns:
        `num` views of `joints`, (T, M, V, 3) and then (round(ratio T), M, V, 3).

    Raises:
        ValueError: `num` is below 1, or `ratio` no share.
    """
    if num < 1:
        raise ValueError(f"num is {num}; a clip is averaged over itself and windows of it, so at least 1 is expected.")
    length = _length(joints, ratio)
    room = len(joints) - length
    starts = np.linspace(0, room, num - 1).round().astype(int) if num != 2 else [room // 2]
    return [joints, *(joints[start : start + length] for start in starts)]


def _length(joints: np.ndarray, ratio: float) -> int:
    if not 0 < ratio <= 1:
        raise ValueError(f"ratio is {ratio}; expected the share of frames to keep, above 0 and at most 1.")
    return max(1, round(len(joints) * ratio))
