"""The text of `.skeleton` files as whole arrays of numbers: what `parse_lines` reads, fifteen times as fast.

Nothing is split. One bit per byte says where the blanks and line breaks are; from those bits come the number of values
in every line and the ends of x, y and z, for all lines at once. Only these three become numbers, eight digits in one
64-bit word each. Whatever is not as the sensor's recorder writes it is left to `parse_lines`.
"""

from __future__ import annotations

import numpy as np

from ..number_text import parse_decimals
from .ntu_text import BODY_VALUES, JOINT_VALUES, MAX_FRAMES, NUM_JOINTS, BodyFrames

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
    """Number of frames, and for each body its frame and the number of its first line; then the start of every line.

    Lines of one character can only be the numbers of bodies, one a frame, and where they must be follows from what they
    say. (So ten bodies in one frame are unusual, which the sensor, with six at most, never reports.)
    """
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


# -- one bit per byte --------------------------------------------------------------------------------------------------


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
