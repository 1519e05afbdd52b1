"""The text of `.skeleton` files, from bytes to the bodies of each frame.

    <frames>
    per frame:  <bodies>                  0 does occur
     per body:  bodyID and 9 more values
                <joints>                  25
     per joint: x y z and 9 more values

Format: github.com/shahroudy/NTURGB-D. There are two parsers. `_parse_lines` is the definition of the format and says
where a file is broken; `_parse_fast` takes whole arrays of numbers at once, returns the same, and gives up on anything
unusual. Body ids have 17 digits and are never floats: as float64 those of two actors become equal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from . import ReadError

NUM_JOINTS = 25
_BODY_VALUES = 10
_JOINT_VALUES = 12
_MAX_FRAMES = 1_000_000  # nine hours; a file that declares more is corrupt
_MAX_FAST_BYTES = 16 << 20  # recordings have 0.1 to 3 MB; the fast way needs 30 times the size of the file


@dataclass
class BodyFrames:
    """The N bodies of all frames, in the order of the file."""

    num_frames: int
    frame: np.ndarray  # (N,) int64, 0-based
    body_id: np.ndarray  # (N,) int64
    joints: np.ndarray  # (N, 25, 3) float32


def parse_text(data: bytes, file: str) -> BodyFrames:
    """Read the text of one recording.

    Args:
        data: Contents of the file, lines ended by LF or CRLF.
        file: Its name, for errors.

    Raises:
        ReadError: the text is not in this format; the message names the line and the frame.
    """
    return _parse_fast(data) or _parse_lines(data, file)


# -- the definition ----------------------------------------------------------------------------------------------------

_NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")


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


def _parse_lines(data: bytes, file: str) -> BodyFrames:
    """Read line by line. Memory stays within a few times the size of the file, whatever the file declares."""
    lines = _Lines(data, file)
    num_frames = lines.count("the number of frames")
    if num_frames == 0:
        raise lines.error("0 frames are declared; expected at least one")
    if num_frames > min(_MAX_FRAMES, len(data) // 2):  # the shortest frame is "0\n"
        raise lines.error(f"{num_frames} frames are declared, which a file of {len(data)} bytes cannot hold")
    frame: list[int] = []
    body_id: list[int] = []
    joints: list[np.ndarray] = []
    for index in range(num_frames):
        lines.where = f"frame {index + 1} of {num_frames}"
        for _ in range(lines.count("the number of bodies")):
            body = lines.next("a body").split()
            if len(body) != _BODY_VALUES:
                raise lines.error(f"a body has {len(body)} values; expected {_BODY_VALUES}")
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


def _parse_joints(lines: _Lines) -> np.ndarray:
    """(25, 3) float32 from the next 25 lines."""
    joints = np.empty((NUM_JOINTS, 3), dtype=np.float32)
    for joint in range(NUM_JOINTS):
        values = lines.next("a joint").split()
        if len(values) != _JOINT_VALUES:
            raise lines.error(f"joint {joint + 1} has {len(values)} values; expected {_JOINT_VALUES}")
        for axis in range(3):
            number = _parse_number(values[axis])
            if number is None:
                problem = f"{'xyz'[axis]} of joint {joint + 1} is {_quote(values[axis])}"
                raise lines.error(f"{problem}; expected a number of metres")
            joints[joint, axis] = number
    return joints


def _parse_number(token: bytes) -> float | None:
    """The number in `token`; None for anything else, NaN, infinity and what float32 cannot hold among it."""
    if len(token) > 64 or not _NUMBER.fullmatch(token) or not abs(float(token)) < 3e38:
        return None
    return float(token)


# -- the fast way ------------------------------------------------------------------------------------------------------


def _parse_fast(data: bytes) -> BodyFrames | None:
    """What `_parse_lines` returns, for files written as the sensor's recorder does; None if anything is unusual."""
    text = np.frombuffer(data, dtype=np.uint8)
    newlines = text == 10
    if not 64 <= len(data) <= _MAX_FAST_BYTES or np.count_nonzero(newlines) * 8 > len(data):
        return None
    ends = np.flatnonzero(newlines)
    if any(blank in data for blank in (b"\t", b"\v", b"\f")):
        return None  # other blanks than those that are looked for below
    if b"\r" in data and np.count_nonzero(text == 13) != np.count_nonzero(text[ends - 1] == 13):
        return None  # likewise, unless it is part of CRLF
    if text[-1] != 10:
        ends = np.append(ends, len(data))
    walked = _walk(data, ends.tolist())
    if walked is None or not walked[1]:
        return None
    num_frames, frame, body_id, first_line = walked
    line = (np.array(first_line)[:, None] + np.arange(NUM_JOINTS)).reshape(-1)
    start, end = ends[line - 1] + 1, ends[line]
    blanks = np.flatnonzero(text == 32)
    at, past = np.searchsorted(blanks, start), np.searchsorted(blanks, end)
    if np.any(past - at != _JOINT_VALUES - 1) or np.any(blanks[1:] - blanks[:-1] == 1):
        return None  # not the 11 single blanks of 12 values
    last = blanks[past - 1] + 1
    if np.any(blanks[at] == start) or np.any(last >= end) or np.any(text[last] < 32):
        return None  # one of the blanks begins or ends the line
    token_end = blanks[at[:, None] + np.arange(3)]
    token_start = np.column_stack((start, token_end[:, :2] + 1))
    joints = _parse_decimals(data, text, token_start.reshape(-1), token_end.reshape(-1))
    if joints is None:
        return None
    joints = joints.reshape(-1, NUM_JOINTS, 3)
    return BodyFrames(num_frames, np.array(frame, dtype=np.int64), np.array(body_id, dtype=np.int64), joints)


def _walk(data: bytes, ends: list[int]) -> tuple[int, list[int], list[int], list[int]] | None:
    """From the lines that are no joints: the number of frames, and for each body its frame, id and first joint line."""

    def integer(line: int) -> int:
        token = data[ends[line - 1] + 1 if line else 0 : ends[line]].rstrip(b"\r")
        return int(token) if token.isdigit() and len(token) < 10 else -1

    frame: list[int] = []
    body_id: list[int] = []
    first_line: list[int] = []
    num_frames, line, num_lines = integer(0), 1, len(ends)
    if not 0 < num_frames < num_lines:
        return None
    for index in range(num_frames):
        bodies = integer(line) if line < num_lines else -1
        line += 1
        if bodies < 0 or line + bodies * (2 + NUM_JOINTS) > num_lines:
            return None
        for _ in range(bodies):
            body = data[ends[line - 1] + 1 : ends[line]].split()
            if len(body) != _BODY_VALUES or not body[0].isdigit() or len(body[0]) > 18:
                return None
            if integer(line + 1) != NUM_JOINTS:
                return None
            frame.append(index)
            body_id.append(int(body[0]))
            first_line.append(line + 2)
            line += 2 + NUM_JOINTS
    if data[ends[line - 1] + 1 :].strip():
        return None
    return num_frames, frame, body_id, first_line


_ZEROS = np.uint64(0x3030303030303030)
# A lane is eight bytes that end with the number; its first bytes, the low ones, belong to whatever stands before it.
_LAST = np.array([0] + [(1 << 64) - (1 << 8 * (8 - count)) for count in range(1, 9)], dtype=np.uint64)
_POWERS = 10.0 ** np.arange(16)
_MAX_DIGITS = 14  # after the point: with the one before it they stay below 2^53, so that one division rounds correctly


def _eight_digits(lanes: np.ndarray, at: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Value of the last `count` (0 to 8) of the eight bytes at `at`, and whether all of those are digits.

    Digits are joined to pairs, fours and eights within a 64-bit word (D. Lemire, "Quickly parsing eight digits", 2018).
    """
    last = _LAST[count]
    word = (lanes[at] & last) | (_ZEROS & ~last)
    value = word - _ZEROS
    outside = (word + np.uint64(0x4646464646464646)) | value  # sets the top bit of a byte above "9" or below "0"
    valid = (outside & np.uint64(0x8080808080808080)) == 0
    value = (value * np.uint64(10) + (value >> np.uint64(8))) & np.uint64(0x00FF00FF00FF00FF)
    value = (value * np.uint64(100) + (value >> np.uint64(16))) & np.uint64(0x0000FFFF0000FFFF)
    value = (value * np.uint64(10000) + (value >> np.uint64(32))) & np.uint64(0x00000000FFFFFFFF)
    return value, valid


def _parse_decimals(data: bytes, text: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray | None:
    """(n,) float32 of the tokens [start, end): all like "-1.2345678" at once, others singly; None if one is no number."""
    lanes = np.ndarray((len(data) - 7,), dtype="<u8", buffer=data, strides=(1,))  # the eight bytes from every offset on
    negative = text[start] == ord("-")
    whole = start + negative
    digits = end - whole - 2
    usual = (digits >= 1) & (digits <= _MAX_DIGITS) & (text[whole + 1] == ord("."))
    digits = np.where(usual, digits, 1)
    low, low_valid = _eight_digits(lanes, end - 8, np.minimum(digits, 8))
    high, high_valid = _eight_digits(lanes, end - 16, np.maximum(digits - 8, 0))
    unit = text[whole] - np.uint8(ord("0"))  # wraps around to above 9 for what is no digit
    usual &= low_valid & high_valid & (unit <= 9)
    scale = _POWERS[digits]
    numbers = (unit * scale + (high * np.uint64(10**8) + low)) / scale
    numbers = np.where(negative, -numbers, numbers).astype(np.float32)
    for index in np.flatnonzero(~usual):
        number = _parse_number(data[start[index] : end[index]])
        if number is None:
            return None
        numbers[index] = number
    return numbers
