"""The text of `.skeleton` files in one pass of machine code: what `parse_lines` reads, thirty times as fast.

Needs numba (`pip install 's2i-hf[fast]'`), which importing this module imports: `ntu_text` does so once there is
enough to read. Eight bytes are looked at in one 64-bit word, "lanes[i]" being the one that starts at byte i of the text:
what follows x, y and z is only counted, and of these the eight digits after the point become a number together.
Whatever is not as the sensor's recorder writes it is left to `parse_lines`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from ..number_text import parse_singly
from .ntu_text import MAX_FRAMES, NUM_JOINTS, BodyFrames

_MIN_BODY_BYTES = 600  # 25 lines of 12 values take no less
_BODY_LINES = 2 + NUM_JOINTS
_MAX_ODD = 4096  # x, y and z in a file that are numbers of an unusual form, such as -4.2e-05
_MAX_NINE_BYTES = 500  # of nine values and their blanks, of which then at most 255 are counted
_MAX_DIGITS = 14  # after the point: with the one before it they stay below 2^53, so that one division rounds correctly
_LF, _CR, _BLANK, _MINUS, _POINT, _ZERO = (int(byte) for byte in b"\n\r -.0")
_TENS = 10 ** np.arange(_MAX_DIGITS + 1)
_SCALE = np.concatenate((10.0 ** np.arange(16), -(10.0 ** np.arange(16))))  # for negative numbers from 16 on

_Int = Any  # int or np.int64, which are the same to numba

# numba makes a float of a uint64 with a signed number, so that every constant is a uint64 itself
_U0, _U1, _U7, _U8, _U16, _U32, _U56 = (np.uint64(number) for number in (0, 1, 7, 8, 16, 32, 56))
_ONES = np.uint64(0x0101010101010101)
_TOPS = np.uint64(0x8080808080808080)
_BELOW = np.uint64(0x7F7F7F7F7F7F7F7F)
_BLANKS, _LFS, _ZEROS = (np.uint64(byte * 0x0101010101010101) for byte in b" \n0")
_OVER_BLANK = np.uint64((0x7F - 0x20) * 0x0101010101010101)
_OVER_NINE = np.uint64((0x7F - 9) * 0x0101010101010101)
_FOURS, _PAIRS = np.uint64(0x0000FFFF0000FFFF), np.uint64(0x00FF00FF00FF00FF)
_JOIN_2, _JOIN_4, _JOIN_8 = (np.uint64(number) for number in (10 << 8 | 1, 100 << 16 | 1, 10000 << 32 | 1))


def _jit(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile at the first call; what is compiled is kept for the next process, if there is a folder to keep it in."""
    try:
        return njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # neither the folder of this file nor that of the user can be written to
        return njit(nogil=True, error_model="numpy")(function)


@_jit
def _integer(text: np.ndarray, at: _Int) -> tuple[_Int, _Int]:
    """The digits from `at` on, at most 18, as a number, and where they end; an end of -1 if there are none."""
    number: _Int = 0
    start = at
    while 0 <= at < len(text) and _ZERO <= text[at] <= _ZERO + 9 and at - start < 18:
        number = number * 10 + (np.int64(text[at]) - _ZERO)
        at += 1
    if at == start or at == len(text):
        return -1, -1
    return number, at


@_jit
def _integer_line(text: np.ndarray, at: _Int) -> tuple[_Int, _Int]:
    """The number that is all of a line, and where the next line starts; -1, -1 for anything else."""
    number, at = _integer(text, at)
    if at >= 0 and text[at] == _CR and at + 1 < len(text):
        at += 1
    if at < 0 or text[at] != _LF:
        return -1, -1
    return number, at + 1


@_jit
def _end_of_nine_values(text: np.ndarray, lanes: np.ndarray, at: _Int) -> _Int:
    """Where the next line starts, if this one goes on with nine values and single blanks between them; else -1."""
    # a mask has the top bit of each byte of a word that is meant; multiplied by ones, its highest byte is their number
    if at < 0 or at > len(text) - 18:
        return -1
    blanks_by_place: Any = _U0  # how many there were in each byte of the words
    adjacent: Any = _U0
    before: Any = _TOPS  # the blanks of the word before
    limit = min(len(text), at + _MAX_NINE_BYTES)
    while True:
        if at >= limit:
            return -1
        if at + 8 <= len(text):
            word = lanes[at]
        else:
            word = lanes[len(text) - 8] >> np.uint64(8 * (at + 8 - len(text)))
        blanks = ~(((word & _BELOW) + _OVER_BLANK) | word) & _TOPS  # or other bytes below them
        ends = word ^ _LFS
        ends = (ends - _ONES) & ~ends & _TOPS  # its lowest bit is right, and nothing else is used
        if ends:
            break
        adjacent |= blanks & (blanks << _U8 | before >> _U56)
        blanks_by_place += blanks >> _U7
        before = blanks
        at += 8
    line = (ends & (~ends + _U1)) - _U1 & _TOPS  # bytes before the line end
    blanks &= line
    adjacent |= blanks & (blanks << _U8 | before >> _U56)
    blanks_by_place += blanks >> _U7
    at += np.int64((line >> _U7) * _ONES >> _U56)
    crlf = text[at - 1] == _CR
    if adjacent or blanks_by_place * _ONES >> _U56 != _U8 + np.uint64(crlf) or (text[at - 1] <= _BLANK and not crlf):
        return -1
    return at + 1


@_jit
def _decimal(text: np.ndarray, lanes: np.ndarray, at: _Int) -> tuple[float, _Int]:
    """The number like "-1.2345678" at `at` and where the blank after it is; an end of -1 if it is of another form."""
    negative = text[at] == _MINUS
    at += np.int64(negative)
    unit = np.int64(text[at]) - _ZERO
    if unit < 0 or unit > 9 or text[at + 1] != _POINT:
        return 0.0, -1
    at += 2
    word = lanes[at]
    blanks = word ^ _BLANKS
    blanks = ~(((blanks & _BELOW) + _BELOW) | blanks) & _TOPS
    digits = np.int64((((blanks & (~blanks + _U1)) - _U1 & _TOPS) >> _U7) * _ONES >> _U56)  # up to the first blank
    if digits == 0:
        return 0.0, -1
    # The digits move to the high end, where the last one counts most; they are joined to pairs, fours and eights
    # within the word (D. Lemire, "Quickly parsing eight digits", 2018).
    word = (word ^ _ZEROS) << np.uint64(64 - 8 * digits)
    if ((word + _OVER_NINE) | word) & _TOPS:
        return 0.0, -1
    word = word * _JOIN_2 >> _U8 & _PAIRS
    word = word * _JOIN_4 >> _U16 & _FOURS
    number = unit * _TENS[digits] + np.int64(word * _JOIN_8 >> _U32)
    at += digits
    while text[at] != _BLANK:
        figure = np.int64(text[at]) - _ZERO
        digits += 1
        at += 1
        if figure < 0 or figure > 9 or digits > _MAX_DIGITS or at == len(text):
            return 0.0, -1
        number = number * 10 + figure
    return number / _SCALE[digits + 16 * np.int64(negative)], at


@_jit
def _scan(
    text: np.ndarray, lanes: np.ndarray, frame: np.ndarray, body_id: np.ndarray, joints: np.ndarray, odd: np.ndarray
) -> tuple[_Int, _Int, _Int]:
    """Fill frame, body_id (most,) and joints (most * 75,); the place, start and end of what is no plain decimal go to
    odd (3, k). Returns the numbers of frames, bodies and odd ones, or -1 bodies if the text is unusual."""
    num_frames, at = _integer_line(text, 0)
    body = num_odd = slot = 0
    if num_frames < 1 or num_frames > MAX_FRAMES:
        return 0, -1, 0
    for index in range(num_frames):
        num_bodies, at = _integer_line(text, at)
        if num_bodies < 0 or body + num_bodies > len(frame):
            return 0, -1, 0
        for _ in range(num_bodies):
            number, at = _integer(text, at)
            if at < 0 or text[at] != _BLANK:
                return 0, -1, 0
            frame[body], body_id[body] = index, number
            body += 1
            at = _end_of_nine_values(text, lanes, at + 1)
            num_joints, at = _integer_line(text, at)
            if num_joints != NUM_JOINTS:
                return 0, -1, 0
            for _ in range(NUM_JOINTS):
                for _ in range(3):
                    if at + 12 > len(text):
                        return 0, -1, 0
                    value, end = _decimal(text, lanes, at)
                    if end < 0:
                        end = at
                        while end < len(text) and text[end] > _BLANK:
                            end += 1
                        if end == len(text) or text[end] != _BLANK or num_odd == odd.shape[1]:
                            return 0, -1, 0
                        odd[0, num_odd], odd[1, num_odd], odd[2, num_odd] = slot, at, end
                        num_odd += 1
                    joints[slot] = np.float32(value)
                    slot += 1
                    at = end + 1
                at = _end_of_nine_values(text, lanes, at)
                if at < 0:
                    return 0, -1, 0
    if at != len(text):
        return 0, -1, 0
    return num_frames, body, num_odd


def parse_numba(data: bytes) -> BodyFrames | None:
    """What `parse_lines` returns for the text of one recording; None if anything about it is unusual."""
    if len(data) < 64:
        return None
    if data[-1] != _LF:
        data += b"\r\n" if b"\r" in data[:16] else b"\n"
    text = np.frombuffer(data, dtype=np.uint8)
    lanes = np.ndarray((len(data) - 7,), dtype="<u8", buffer=data, strides=(1,))
    controls = int(np.count_nonzero(text < _BLANK))  # the line breaks, and nothing else
    most = min(controls // _BODY_LINES, len(data) // _MIN_BODY_BYTES)
    frame, body_id = np.empty((2, most), dtype=np.int64)
    joints = np.empty(most * NUM_JOINTS * 3, dtype=np.float32)
    odd = np.empty((3, _MAX_ODD), dtype=np.int64)
    num_frames, num_bodies, num_odd = _scan(text, lanes, frame, body_id, joints, odd)
    num_lines = 1 + num_frames + _BODY_LINES * num_bodies
    if num_bodies < 1 or controls not in (num_lines, 2 * num_lines):
        return None
    if controls == 2 * num_lines and np.count_nonzero(text == _CR) != num_lines:
        return None
    which, start, end = odd[:, :num_odd]
    if not parse_singly(joints, which, data, start, end):
        return None
    people = joints[: num_bodies * NUM_JOINTS * 3].reshape(num_bodies, NUM_JOINTS, 3)
    return BodyFrames(num_frames, frame[:num_bodies].copy(), body_id[:num_bodies].copy(), people.copy())
