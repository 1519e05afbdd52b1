"""Views of a recording: windows sliding over a long one, and each of its people alone.

This file is pushed beside a model, for the pipelines; it needs nothing of the package.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np


class View(NamedTuple):
    """Part of a recording: (T, M, V, 3) joints of its frames start to stop, of one person (M = 1) or, if `person` is None, of all.

    Of a rate the seconds of both ends are known, else None. `people` counts who is there in these frames.
    """

    joints: np.ndarray
    start: int
    stop: int
    start_seconds: float | None
    stop_seconds: float | None
    people: int
    person: int | None


def views(joints: np.ndarray, frames: tuple[int, int] | None, fps: float | None, per_person: bool) -> Iterator[View]:
    """The views of a recording (T, M, V, 3).

    Args:
        frames: Window and stride, see `sliding_windows`; None: the whole recording.
        fps: Frames a second, if known.
        per_person: Whether everybody who is there is a view; where nobody is, the window is one all the same.
    """
    for start, stop in sliding_windows(len(joints), *(frames or (len(joints), len(joints)))):
        part = joints[start:stop]
        there = [person for person in range(part.shape[1]) if np.nan_to_num(part[:, person]).any()]
        since, until = (None, None) if fps is None else (round(start / fps, 3), round(stop / fps, 3))
        for person in there if per_person and there else (None,):
            yield View(part if person is None else part[:, [person]], start, stop, since, until, len(there), person)


def window_and_stride(window: int | str | None, stride: int | str | None, fps: float | None) -> tuple[int, int] | None:
    """Both in frames, the stride half the window if None; None without a window.

    Raises:
        ValueError: a length or the rate makes no sense, or frames would lie between the windows.
    """
    if fps is not None and not 0 < fps < float("inf"):
        raise ValueError(f"fps is {fps}; expected frames a second, above 0.")
    if window is None:
        return None
    length = frames_in(window, fps)
    frames = length, max(1, length // 2) if stride is None else frames_in(stride, fps)
    sliding_windows(1, *frames)  # refuses what makes no sense
    return frames


def frames_in(length: int | str, fps: float | None = None) -> int:
    """How many frames, at least one, are 64 or "64" frames, or "2s" or "0.5s" of `fps` frames a second.

    Raises:
        ValueError: it is no length of time, or in seconds and nobody knows how long a frame is.
    """
    word = str(length).strip()
    seconds = word.endswith("s")
    try:
        amount = float(word.removesuffix("s")) if seconds else int(word)
    except ValueError:
        amount = 0
    if not 0 < amount < float("inf"):
        raise ValueError(f"{word!r} is no length of time; expected frames such as 64, or seconds such as 2s or 0.5s.")
    if seconds and fps is None:
        raise ValueError(f"{amount:g} seconds are how many frames? Pass --fps, or give the length in frames.")
    return max(1, round(amount * fps)) if seconds and fps is not None else int(amount)


def sliding_windows(num_frames: int, window: int, stride: int) -> list[tuple[int, int]]:
    """(start, stop) of windows over a recording, every frame in one of them; a shorter recording is one window.

    From the start of one to that of the next are `stride` frames. The last window ends with the recording, so it may begin earlier.
    Raises a ValueError if a number is below 1, or frames would lie between the windows.
    """
    if min(num_frames, window, stride) < 1:
        raise ValueError(f"{num_frames} frames, window {window} and stride {stride}; expected 1 or more of each.")
    if stride > window:
        raise ValueError(
            f"--stride is {stride} frames, longer than the --window of {window}; frames would be left out."
        )
    last = max(0, num_frames - window)
    return [(start, min(start + window, num_frames)) for start in (*range(0, last, stride), last)]
