"""The text of `.skeleton` files, from bytes to the bodies of each frame, in one of three ways that give the same bits.

    <frames>
    per frame:  <bodies>                  0 does occur
     per body:  bodyID and 9 more values
                <joints>                  25
     per joint: x y z and 9 more values

`parse_lines` is the definition of the format and says where a file is broken; `parse_numpy` is 15 times as fast as a usual reader
that splits lines, and `ntu_text_numba` 30 times. The latter two give up on whatever is unusual, and the first decides.
Format: github.com/shahroudy/NTURGB-D. Body ids have 17 digits and are never floats: as float64 those of two actors
become equal.
"""

from __future__ import annotations

import os
import re
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

import numpy as np

from ..number_text import parse_decimals, parse_number
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


def parse_lines(data: bytes, file: str) -> BodyFrames:
    """Read the contents of `file` line by line; memory stays within a few times its size, whatever it declares.

    Raises ReadError, which names the line and the frame, if the text is not in this format.
    """
    lines = _Lines(data, file)
    num_frames = lines.count("the number of frames")
    if num_frames == 0:
        raise lines.error("0 frames are declared; expected at least one")
    if num_frames > min(MAX_FRAMES, len(data) // 2):  # the shortest frame is "0\n"
        raise lines.error(f"{num_frames} frames are declared, which a file of {len(data)} bytes cannot hold")
    frame: list[int] = []
    body_id: list[int] = []
    numbers = array("f")
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
            for joint in range(1, NUM_JOINTS + 1):
                values = lines.next("a joint").split()
                if len(values) != JOINT_VALUES:
                    raise lines.error(f"joint {joint} has {len(values)} values; expected {JOINT_VALUES}")
                for axis, value in zip("xyz", values, strict=False):
                    if (number := parse_number(value)) is None:
                        problem = f"{axis} of joint {joint} is {_quote(value)}"
                        raise lines.error(f"{problem}; expected a number of metres")
                    numbers.append(number)
    if data[lines.at :].strip():
        lines.number += 1
        raise lines.error(f"the file goes on after the {num_frames} frames it declares")
    joints = np.array(numbers, dtype=np.float32).reshape(-1, NUM_JOINTS, 3)
    return BodyFrames(num_frames, np.array(frame, dtype=np.int64), np.array(body_id, dtype=np.int64), joints)


class _Lines:
    """The lines of a file one by one, without a list of them all, and errors that name the line."""

    def __init__(self, data: bytes, file: str) -> None:
        self.data, self.file, self.at, self.number, self.where = data, file, 0, 0, "before the first frame"

    def error(self, problem: str) -> ReadError:
        return ReadError(f"{self.file}: line {self.number} ({self.where}): {problem}.")

    def next(self, expected: str) -> bytes:
        if self.at >= len(self.data):
            place = f"line {self.number} ({self.where})"
            raise ReadError(f"{self.file}: the file ends at {place}; expected {expected} next.")
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


# Nothing is split. One bit per byte says where the blanks and line breaks are; from those bits come the number of values
# in every line and the ends of x, y and z, for all lines at once. Only these three become numbers, eight digits in one
# 64-bit word each. Whatever is not as the sensor's recorder writes it is left to `parse_lines`.
_MAX_BYTES = 16 << 20  # recordings have 0.1 to 3 MB; this way needs two to ten times the size of the file
_BODY_LINES = 2 + NUM_JOINTS
_LF, _CR, _BLANK, _ZERO = b"\n\r 0"
_U1, _U63 = np.uint64(1), np.uint64(63)


def parse_numpy(data: bytes) -> BodyFrames | None:
    """What `parse_lines` returns for the text of one recording; None if anything about it is unusual."""
    if not 64 <= len(data) <= _MAX_BYTES:
        return None
    crlf = b"\r" in data[:16]
    if data[-1] != _LF:
        data += b"\r\n" if crlf else b"\n"
    text = np.frombuffer(data, dtype=np.uint8)
    ends = np.flatnonzero(text == _LF)
    num_lines = len(ends)
    if num_lines * 8 > len(data):
        return None  # almost nothing but frames without a body: arrays of lines would be far larger than the text
    if np.count_nonzero(text < _BLANK) != num_lines * (1 + crlf) or (crlf and np.any(text[ends - 1] != _CR)):
        return None  # other blanks, or line breaks of both kinds
    bits = _pack(text <= _BLANK)
    adjacent = bits[:-1] & (bits[:-1] >> _U1 | bits[1:] << _U63)
    if _count_ones(adjacent).sum() != num_lines * crlf:
        return None  # a blank beside another or beside a line break
    found = _find_bodies(data, text, ends, crlf)
    if found is None:
        return None
    num_frames, frame, body_line, starts = found
    values = _values_per_line(bits, ends) - crlf
    joint_line = body_line[:, None] + np.arange(2, _BODY_LINES)
    if np.any(values[body_line] != BODY_VALUES) or np.any(values[joint_line] != JOINT_VALUES):
        return None
    body_id = []
    for start in starts[body_line].tolist():
        token = data[start : data.index(b" ", start)]
        if not token.isdigit() or len(token) > 18:
            return None
        body_id.append(int(token))
    start = starts[joint_line].reshape(-1)
    ends_of_xyz = _first_three(bits, start)
    if ends_of_xyz is None:
        return None
    joints = np.empty((len(start), 3), dtype=np.float32)
    for axis, end in enumerate(ends_of_xyz):
        numbers = parse_decimals(data, text, start, end)
        if numbers is None:
            return None
        joints[:, axis] = numbers
        start = end + 1
    return BodyFrames(num_frames, frame, np.array(body_id, dtype=np.int64), joints.reshape(-1, NUM_JOINTS, 3))


def _find_bodies(
    data: bytes, text: np.ndarray, ends: np.ndarray, crlf: bool
) -> tuple[int, np.ndarray, np.ndarray, np.ndarray] | None:
    """Number of frames, and for each body its frame and the number of its first line; then the start of every line."""
    # Lines of one character can only be the numbers of bodies, one a frame, and where they must be follows from what they say;
    # ten bodies in one frame, which the sensor never reports, are unusual
    starts = np.empty_like(ends)
    starts[0], starts[1:] = 0, ends[:-1] + 1
    first = data[: int(ends[0]) - crlf]
    if not first.isdigit() or len(first) > 9 or not 0 < int(first) <= MAX_FRAMES:
        return None
    num_frames = int(first)
    count_line = np.flatnonzero(ends[1:] - starts[1:] == 1 + crlf) + 1
    counts = text[starts[count_line]].astype(np.int64) - _ZERO
    if len(count_line) != num_frames or np.any((counts < 0) | (counts > 9)):
        return None
    before = np.cumsum(counts)
    num_bodies = int(before[-1])
    before -= counts
    if num_bodies == 0 or len(ends) != 1 + num_frames + _BODY_LINES * num_bodies:
        return None
    if np.any(count_line != np.arange(1, num_frames + 1) + _BODY_LINES * before):
        return None
    frame = np.repeat(np.arange(num_frames), counts)
    body_line = 2 + frame + _BODY_LINES * np.arange(num_bodies)
    at, past = starts[body_line + 1], ends[body_line + 1] - crlf
    if np.any(past - at != 2) or np.any(text[at] != ord("2")) or np.any(text[at + 1] != ord("5")):
        return None
    return num_frames, frame, body_line, starts


def _pack(flags: np.ndarray) -> np.ndarray:
    """(n // 64 + 2,) uint64 of n flags, the first one in the lowest bit; what is over is 0."""
    bits = np.zeros(len(flags) // 64 + 2, dtype="<u8")
    packed = np.packbits(flags, bitorder="little")
    bits.view(np.uint8)[: len(packed)] = packed
    return bits


def _count_ones_slowly(words: np.ndarray) -> np.ndarray:
    """`np.bitwise_count`, which numpy has since 2.0, of uint64."""
    counts = words - ((words >> _U1) & np.uint64(0x5555555555555555))
    pairs = np.uint64(0x3333333333333333)
    counts = (counts & pairs) + ((counts >> np.uint64(2)) & pairs)
    counts = (counts + (counts >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (counts * np.uint64(0x0101010101010101) >> np.uint64(56)).astype(np.uint8)


_count_ones = getattr(np, "bitwise_count", _count_ones_slowly)


def _values_per_line(bits: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Number of set bits after the end of one line up to the end of the next, that included."""
    ones = _count_ones(bits)
    before = np.cumsum(ones, dtype=np.int64)
    before -= ones
    word = ends >> 6
    upto = before[word] + _count_ones(bits[word] << (63 - (ends & 63)).astype(np.uint64))
    upto[1:] -= upto[:-1].copy()
    return upto


def _first_three(bits: np.ndarray, starts: np.ndarray) -> np.ndarray | None:
    """(3, n) positions of the first three set bits from each of n starts on; None if they are not within 64."""
    word, shift = starts >> 6, (starts & 63).astype(np.uint64)
    window = bits[word] >> shift | (bits[word + 1] << _U1) << (_U63 - shift)
    ends = np.empty((3, len(starts)), dtype=np.int64)
    for axis in range(3):
        below = window - _U1
        np.add(starts, _count_ones(~window & below), out=ends[axis])
        if axis == 2 and not window.all():
            return None
        window &= below
    return ends


Way = Literal["auto", "numba", "numpy", "lines"]
WAY_VARIABLE = "S2I_SKELETON_WAY"  # environment variable that stands in for "auto"

# Loading numba takes 0.5 s (and once more 2 s to compile), which it saves on about this much text. Whoever reads less
# in one process never waits for it.
_NUMBA_PAYS = 128 << 20  # bytes
_bytes_parsed = 0


def parse_text(data: bytes, file: str, way: Way = "auto") -> BodyFrames:
    """Read the text of one recording, whose lines end in LF or CRLF.

    The way "auto" is what the environment variable S2I_SKELETON_WAY names, else numba once this process has read 128 MB and if it is
    installed and works, else numpy. Raises ReadError, which names the line and the frame, if the text is not in this format; ValueError
    if there is no such way; ImportError if it is "numba", which is not installed or does not work.
    """
    global _bytes_parsed
    if way == "auto":
        way = os.environ.get(WAY_VARIABLE) or "auto"  # type: ignore[assignment]  # checked in the next lines
    if way not in get_args(Way):
        expected = f"expected one of {', '.join(get_args(Way))}, as argument or environment variable {WAY_VARIABLE}"
        raise ValueError(f"Unknown way {way!r} to read .skeleton files; {expected}.")
    if way == "lines":
        return parse_lines(data, file)
    _bytes_parsed += len(data)
    parse = None
    if way == "numba" or (way == "auto" and _bytes_parsed > _NUMBA_PAYS):
        parse, problem = _numba_parser()
        if parse is None and way == "numba":
            raise ImportError(f"Reading .skeleton files with numba: {problem}; pip install 's2i-hf[fast]'.")
    return (parse or parse_numpy)(data) or parse_lines(data, file)


@cache
def _numba_parser() -> tuple[Callable[[bytes], BodyFrames | None] | None, str]:
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
