"""The text of `.skeleton` files, from bytes to the bodies of each frame, in one of three ways that give the same bits.

    <frames>
    per frame:  <bodies>                  0 does occur
     per body:  bodyID and 9 more values
                <joints>                  25
     per joint: x y z and 9 more values

`parse_lines` is the definition of the format and says where a file is broken; `ntu_text_fast` is 15 times as fast as a usual reader
that splits lines, and `ntu_text_numba` 30 times. Those two give up on whatever is unusual, and the first one decides.
Format: github.com/shahroudy/NTURGB-D. Body ids have 17 digits and are never floats: as float64 those of two actors
become equal.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

import numpy as np

from ..number_text import parse_number
from ..raw_files import ReadError

NUM_JOINTS = 25
BODY_VALUES = 10
JOINT_VALUES = 12
MAX_FRAMES = 1_000_000  # nine hours; a file that declares more is corrupt


@dataclass
class BodyFrames:
    """The N bodies of all frames, in the order of the file."""

    num_frames: int
    frame: np.ndarray  # (N,) int64, 0-based
    body_id: np.ndarray  # (N,) int64
    joints: np.ndarray  # (N, 25, 3) float32, metres


_Parse = Callable[[bytes], BodyFrames | None]


def parse_lines(data: bytes, file: str) -> BodyFrames:
    """Read line by line. Memory stays within a few times the size of the file, whatever the file declares.

    Args:
        data: Contents of the file, lines ended by LF or CRLF.
        file: Its name, for errors.

    Raises:
        ReadError: the text is not in this format; the message names the line and the frame.
    """
    lines = _Lines(data, file)
    num_frames = lines.count("the number of frames")
    if num_frames == 0:
        raise lines.error("0 frames are declared; expected at least one")
    if num_frames > min(MAX_FRAMES, len(data) // 2):  # the shortest frame is "0\n"
        raise lines.error(f"{num_frames} frames are declared, which a file of {len(data)} bytes cannot hold")
    frame: list[int] = []
    body_id: list[int] = []
    joints: list[np.ndarray] = []
    for index in range(num_frames):
        lines.where = f"frame {index + 1} of {num_frames}"
        for _ in range(lines.count("the number of bodies")):
            body = lines.next("a body").split()
            if len(body) != BODY_VALUES:
                raise lines.error(f"a body has {len(body)} values; expected {BODY_VALUES}")
            frame.append(index)
            body_id.append(lines.integer(body[0], "the body id", low=-(2**63)))
            count = lines.count("the number of joints")
            if count != NUM_JOINTS:
                raise lines.error(f"a body has {count} joints; expected the {NUM_JOINTS} of Kinect v2")
            joints.append(_parse_joints(lines))
    if data[lines.at :].strip():
        lines.number += 1
        raise lines.error(f"the file goes on after the {num_frames} frames it declares")
    stacked = np.stack(joints) if joints else np.empty((0, NUM_JOINTS, 3), dtype=np.float32)
    return BodyFrames(num_frames, np.array(frame, dtype=np.int64), np.array(body_id, dtype=np.int64), stacked)


class _Lines:
    """The lines of a file one by one, without a list of them all, and errors that name the line."""

    def __init__(self, data: bytes, file: str) -> None:
        self.data, self.file, self.at, self.number, self.where = data, file, 0, 0, "before the first frame"

    def error(self, problem: str) -> ReadError:
        return ReadError(f"{self.file}: line {self.number} ({self.where}): {problem}.")

    def next(self, expected: str) -> bytes:
        if self.at >= len(self.data):
            raise ReadError(
                f"{self.file}: the file ends at line {self.number} ({self.where}); expected {expected} next."
            )
        end = self.data.find(b"\n", self.at)
        end = len(self.data) if end < 0 else end
        line = self.data[self.at : end].strip()
        self.at, self.number = end + 1, self.number + 1
        return line

    def count(self, what: str) -> int:
        return self.integer(self.next(what), what, low=0)

    def integer(self, token: bytes, what: str, low: int) -> int:
        if not re.fullmatch(rb"-?\d{1,19}", token) or not low <= int(token) < 2**63:
            raise self.error(f"{what} is {_quote(token)}; expected a whole number")
        return int(token)


def _quote(token: bytes) -> str:
    text = token[:40].decode("ascii", errors="backslashreplace")
    return repr(text + "..." if len(token) > 40 else text)


def _parse_joints(lines: _Lines) -> np.ndarray:
    """(25, 3) float32 from the next 25 lines."""
    joints = np.empty((NUM_JOINTS, 3), dtype=np.float32)
    for joint in range(NUM_JOINTS):
        values = lines.next("a joint").split()
        if len(values) != JOINT_VALUES:
            raise lines.error(f"joint {joint + 1} has {len(values)} values; expected {JOINT_VALUES}")
        for axis in range(3):
            number = parse_number(values[axis])
            if number is None:
                problem = f"{'xyz'[axis]} of joint {joint + 1} is {_quote(values[axis])}"
                raise lines.error(f"{problem}; expected a number of metres")
            joints[joint, axis] = number
    return joints


Way = Literal["auto", "numba", "numpy", "lines"]
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
            once this process has read 128 MB and if it is installed and works, else numpy.

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
    _bytes_parsed += len(data)
    parse, problem = None, ""
    if way == "numba" or (way == "auto" and _bytes_parsed > _NUMBA_PAYS):
        parse, problem = _numba_parser()
        if parse is None and way == "numba":
            raise ImportError(f"Reading .skeleton files with numba: {problem}; pip install 's2i-hf[fast]'.")
    return (parse or _numpy_parser())(data) or parse_lines(data, file)


@cache
def _numpy_parser() -> _Parse:
    from .ntu_text_fast import parse_numpy  # made of the parts of this module

    return parse_numpy


@cache
def _numba_parser() -> tuple[_Parse | None, str]:
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
