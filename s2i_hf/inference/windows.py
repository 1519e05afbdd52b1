"""Windows sliding over a long recording, and lengths of time in frames."""

from __future__ import annotations


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
