"""The text of `.skeleton` files, from bytes to the bodies of each frame, in one of three ways that give the same bits.

`skeleton_lines` is the definition of the format and says where a file is broken; `skeleton_numpy` is 15 times as fast as
a usual reader that splits lines, and `skeleton_numba` 30 times. Those two give up on whatever is unusual, and the first one decides.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from typing import Literal, get_args

from .ntu_lines import NUM_JOINTS, BodyFrames, parse_lines
from .ntu_text_fast import parse_numpy

__all__ = ["NUM_JOINTS", "WAY_VARIABLE", "BodyFrames", "Way", "parse_text"]

Way = Literal["auto", "numba", "numpy", "lines"]
_Parse = Callable[[bytes], BodyFrames | None]
WAY_VARIABLE = "S2I_SKELETON_WAY"  # environment variable that stands in for "auto"

# Loading numba takes 0.5 s (and once more 2 s to compile), which it saves on about this much text. Whoever reads less
# in one process never waits for it.
_NUMBA_PAYS = 128 << 20  # bytes
_bytes_parsed = 0


def parse_text(data: bytes, file: str, way: Way = "auto") -> BodyFrames:
    """Read the text of one recording.

    Args:
        data: Contents of the file, lines ended by LF or CRLF.
        file: Its name, for errors.
        way: "lines", "numpy" or "numba". "auto" is what the environment variable S2I_SKELETON_WAY names, else numba
            once this process has read half a gigabyte and if it is installed and works, else numpy.

    Raises:
        ReadError: the text is not in this format; the message names the line and the frame.
        ValueError: there is no such way.
        ImportError: way is "numba", which is not installed or does not work.
    """
    global _bytes_parsed
    if way == "auto":
        way = os.environ.get(WAY_VARIABLE) or "auto"  # type: ignore[assignment]  # checked in the next lines
    if way not in get_args(Way):
        raise ValueError(
            f"Unknown way {way!r} to read .skeleton files (argument way, or environment variable {WAY_VARIABLE}); "
            f"expected one of {', '.join(get_args(Way))}."
        )
    if way == "lines":
        return parse_lines(data, file)
    fast: _Parse = parse_numpy
    _bytes_parsed += len(data)
    if way == "numba" or (way == "auto" and _bytes_parsed > _NUMBA_PAYS):
        parse_numba, problem = _load_numba()
        if parse_numba is not None:
            fast = parse_numba
        elif way == "numba":
            raise ImportError(f"Reading .skeleton files with numba: {problem}; pip install 's2i-hf[fast]'.")
    return fast(data) or parse_lines(data, file)


@cache
def _load_numba() -> tuple[_Parse | None, str]:
    """The way with numba, compiled; or None and what is wrong."""
    joint = b"0.1 -0.2345678 3.0 0 0 0 0 0 0 0 0 2\n"
    body = b"1 0 0 0 0 0 0 0 0 2\n25\n" + NUM_JOINTS * joint
    try:
        from .ntu_text_numba import parse_numba

        if parse_numba(b"1\n1\n" + body) is None:
            raise RuntimeError("it reads a sound recording as none")
    except Exception as error:  # a numba that does not fit this numpy or this machine fails in many ways
        return None, f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return parse_numba, ""
