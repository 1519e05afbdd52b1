"""Text files of numbers, as many in every line: what several recording formats are made of.

`read_table` reads small files and says what a line should hold; `read_rows` reads megabytes, the videos of PKU-MMD. Its digits are
parsed eight at a time in one 64-bit word, block by block, so that memory stays within a few times the size of the numbers.
"""

from __future__ import annotations

import io
import re
from array import array

import numpy as np

from .raw_files import RawFile, ReadError, read_bytes

_MAX_WORD = 64  # characters a number may take on average; longer lines are no rows of numbers
_TOO_LARGE = 1e9  # no coordinate, angle or frame number is larger, in any unit


def is_number(word: str) -> bool:
    """Whether `float` takes it, but for 1_000, which no recording means."""
    try:
        float(word)
    except ValueError:
        return False
    return "_" not in word


def read_table(file: RawFile, columns: int, row: str, separator: bytes | None = None) -> np.ndarray:
    """Read a table, (rows, columns) float64, all finite and below 1e9; blank lines are skipped.

    `row` says what a line holds, for messages: "x y z confidence of a joint"; the separator None is any blanks.
    Raises ReadError if it is unreadable, a line has more or fewer numbers, or a word is no finite number; names the line.
    """
    values, lines = array("d"), array("q")
    for number, line in enumerate(io.BytesIO(read_bytes(file)), 1):
        if not line.strip():
            continue
        where = f"{file.name}: line {number}"
        if len(line) > _MAX_WORD * columns:
            raise ReadError(f"{where}: {len(line):,} characters; expected {columns} numbers: {row}.")
        words = line.split(separator)
        if len(words) != columns:
            raise ReadError(f"{where}: {len(words)} numbers; expected {columns}: {row}.")
        try:
            if b"_" in line:
                raise ValueError
            values.extend(map(float, words))
        except ValueError:
            texts = [word.strip().decode("ascii", "replace") for word in words]
            wrong = next(text for text in texts if not is_number(text))
            raise ReadError(f"{where}: {wrong[:40]!r} is no number; expected {row}.") from None
        lines.append(number)
    table = np.frombuffer(values, dtype=np.float64).reshape(-1, columns)
    bad = np.argwhere(~(np.abs(table) < _TOO_LARGE))
    if len(bad):
        index, column = bad[0]
        value = table[index, column]
        raise ReadError(f"{file.name}: line {lines[index]}: number {column + 1} is {value:g}; expected {row}, finite.")
    return table


_BLOCK = 1 << 20  # bytes; the arrays of a block are some twenty times as large
_MAX_TOKEN = 60  # bytes of a number; longer ones are read singly, or refused
_SEPARATORS = b"\t\n\r ,"
_IS_SEPARATOR = np.isin(np.arange(256), list(_SEPARATORS))
_TOKENS = re.compile(rb"[^\t\n\r ,]+")


def read_rows(data: bytes, file: str, width: int) -> np.ndarray:
    """All numbers of a file, (rows, width) float32, each the nearest one to what is written; blank lines at the end are left out.

    Raises ReadError, which names the line, for more or fewer numbers in it, or something that is none (NaN and infinity are none).
    """
    data = data.rstrip(_SEPARATORS)
    longest = width * (_MAX_TOKEN + 4)
    blocks: list[np.ndarray] = []
    at = line = 0
    while at < len(data):
        end = data.find(b"\n", at + _BLOCK, at + _BLOCK + longest)
        if end < 0:
            end = len(data)
            if end - at > _BLOCK + longest:
                raise ReadError(f"{file}: lines after line {line} are too long; expected {width} numbers in each.")
        block = data[at:end]
        rows = _parse_block(block, width)
        blocks.append(_parse_singly(block, file, width, line) if rows is None else rows)
        at, line = end + 1, line + len(blocks[-1])
    if not blocks:
        raise ReadError(f"{file}: there is no number in it; expected {width} in each line.")
    return np.concatenate(blocks)


def _parse_block(block: bytes, width: int) -> np.ndarray | None:
    """(lines, width) float32; None if a line has another number of tokens, or a token is no number or a very long one."""
    padded = b" " + block + b" " * 16  # so that every token has a word after it
    text = np.frombuffer(padded, dtype=np.uint8)
    blank = _IS_SEPARATOR[text]
    starts = np.flatnonzero(blank[:-1] > blank[1:]) + 1
    ends = np.flatnonzero(blank[:-1] < blank[1:]) + 1
    line_ends = np.append(np.flatnonzero(text == ord("\n")), len(text))
    if len(starts) != width * len(line_ends) or (ends - starts).max() > _MAX_TOKEN:
        return None
    if np.any(np.searchsorted(starts, line_ends) != width * np.arange(1, len(line_ends) + 1)):
        return None
    numbers = parse_decimals(padded, text, starts, ends)
    return None if numbers is None else numbers.reshape(-1, width)


def _parse_singly(block: bytes, file: str, width: int, line: int) -> np.ndarray:
    """As `_parse_block`, but slow, and with words for what is wrong."""
    rows = []
    for number, text in enumerate(block.split(b"\n"), start=line + 1):
        tokens = _TOKENS.findall(text)
        if len(tokens) != width:
            raise ReadError(f"{file}: line {number} has {len(tokens)} numbers; expected {width}.")
        row = [parse_number(token) for token in tokens]
        if None in row:
            wrong = row.index(None)
            shown = tokens[wrong][:40].decode("ascii", errors="backslashreplace")
            raise ReadError(f"{file}: line {number}: value {wrong + 1} is {shown!r}; expected a number.")
        rows.append(row)
    return np.array(rows, dtype=np.float32)


_NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")


def parse_number(token: bytes) -> float | None:
    """The number in `token`; None for anything else, NaN, infinity and what float32 cannot hold among it."""
    if len(token) > 64 or not _NUMBER.fullmatch(token) or not abs(float(token)) < 3e38:
        return None
    return float(token)


def parse_singly(numbers: np.ndarray, which: np.ndarray, data: bytes, start: np.ndarray, end: np.ndarray) -> bool:
    """Set `numbers[i]`, float32, to the token [start[k], end[k]) for each i = which[k]; False if one is no number."""
    for index, first, past in zip(which.tolist(), start.tolist(), end.tolist(), strict=True):
        number = parse_number(data[first:past])
        if number is None:
            return False
        numbers[index] = number
    return True


_MINUS, _POINT, _ZERO = b"-.0"
_U1, _U63 = np.uint64(1), np.uint64(63)
_MAX_DIGITS = 14  # after the point: with the one before it they stay below 2^53, so that one division rounds correctly
# Both tables are looked up by the number of digits after the point, which is -2 (from the end) to 62.
_LAST = np.zeros(128, dtype=np.uint64)  # the last bytes of a word, which are its high ones
_LAST[1:8] = [(1 << 64) - (1 << 8 * (8 - count)) for count in range(1, 8)]
_LAST[8:63] = (1 << 64) - 1
_SCALE = np.ones(128)
_SCALE[: _MAX_DIGITS + 1] = 10.0 ** np.arange(_MAX_DIGITS + 1)


def _last_digits(words: np.ndarray, end: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Value of the last `count` of the eight bytes before each `end`, and bits that are set if one is no digit."""
    # digits are joined to pairs, fours and eights within a 64-bit word (D. Lemire, "Quickly parsing eight digits", 2018)
    last = end - 1
    word = last >> 3
    left = ((~last & 7) << 3).astype(np.uint64)
    value = words[word] << left
    value |= (words[word - 1] >> _U1) >> (_U63 - left)
    value ^= np.uint64(0x3030303030303030)  # a digit becomes its value, all else something above 9
    value &= _LAST[count]
    wrong = (value + np.uint64(0x7676767676767676)) | value
    wrong &= np.uint64(0x8080808080808080)
    for factor, shift, mask in (
        (10 << 8 | 1, 8, 0x00FF00FF00FF00FF),
        (100 << 16 | 1, 16, 0x0000FFFF0000FFFF),
        (10000 << 32 | 1, 32, 0x00000000FFFFFFFF),
    ):
        value *= np.uint64(factor)
        value >>= np.uint64(shift)
        value &= np.uint64(mask)
    return value, wrong


def parse_decimals(data: bytes, text: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray | None:
    """(n,) float32 of the tokens [start, end): all like "-1.2345678" at once, others singly; None if one is no number."""
    words = np.frombuffer(data, dtype="<u8", count=len(data) // 8)  # beyond the last whole one there is no x, y or z
    negative = text[start] == _MINUS
    whole = start + negative
    unit = text[whole] ^ np.uint8(_ZERO)
    whole += 1
    digits = end - whole
    digits -= 1
    value, wrong = _last_digits(words, end, digits)
    if digits.max() > 8:
        long = np.flatnonzero(digits > 8)
        high, high_wrong = _last_digits(words, end[long] - 8, digits[long] - 8)
        value[long] += high * np.uint64(10**8)
        wrong[long] |= high_wrong
    scale = _SCALE[digits]
    numbers = unit * scale
    numbers += value
    numbers /= scale
    singles = numbers.astype(np.float32)
    singles.view(np.uint32)[...] |= negative.astype(np.uint32) << np.uint32(31)
    unusual = text[whole] != _POINT
    unusual |= unit > 9
    unusual |= wrong != 0
    unusual |= (digits - 1).view(np.uint64) >= _MAX_DIGITS
    if unusual.any():
        which = np.flatnonzero(unusual)
        if not parse_singly(singles, which, data, start[which], end[which]):
            return None
    return singles
