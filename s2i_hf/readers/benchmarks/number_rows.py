"""Megabytes of text with as many numbers in every line, fast: the videos of PKU-MMD. `number_tables` does for small files.

Numbers are separated by blanks or commas. They are parsed as in `skeleton_numpy`, eight digits in one 64-bit word each,
block by block, so that memory stays within a few times the size of the numbers themselves.
"""

from __future__ import annotations

import re

import numpy as np

from ..raw_files import ReadError
from .ntu_lines import parse_number
from .ntu_text_fast import parse_decimals

_BLOCK = 1 << 20  # bytes; the arrays of a block are some twenty times as large
_MAX_TOKEN = 60  # bytes of a number; longer ones are read singly, or refused
_SEPARATORS = b"\t\n\r ,"
_IS_SEPARATOR = np.isin(np.arange(256), list(_SEPARATORS))
_TOKENS = re.compile(rb"[^\t\n\r ,]+")


def read_rows(data: bytes, file: str, width: int) -> np.ndarray:
    """All numbers of a file.

    Args:
        data: Its contents, a row a line; blank lines at the end are left out.
        file: Its name, for errors.
        width: Numbers in a row.

    Returns:
        (rows, width) float32, each the nearest one to what is written.

    Raises:
        ReadError: a line has more or fewer numbers, or something that is none (NaN and infinity are none); the message names
            the line.
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
