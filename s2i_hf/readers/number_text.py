"""Text files of numbers, a fixed count of them a line: what several recording formats are made of."""

from __future__ import annotations

import io
from array import array

import numpy as np

from .raw_files import RawFile, ReadError, read_bytes

_MAX_WORD = 64  # characters a number may take on average; longer lines are no rows of numbers
_TOO_LARGE = 1e9  # no coordinate, angle or frame number is larger, in any unit


def read_table(file: RawFile, columns: int, row: str, separator: bytes | None = None) -> np.ndarray:
    """Read a table; blank lines are skipped.

    Args:
        file: The file, plain or `.gz`.
        columns: Numbers a line.
        row: What a line holds, for messages: "x y z confidence of a joint".
        separator: b"," or the like; None: blanks.

    Returns:
        (rows, columns) float64, all finite and below 1e9.

    Raises:
        ReadError: unreadable, a line with more or fewer numbers, or a word that is no finite number; names the line.
    """
    values, lines = array("d"), array("q")
    for number, line in enumerate(io.BytesIO(read_bytes(file)), 1):
        if not line.strip():
            continue
        if len(line) > _MAX_WORD * columns:
            raise ReadError(f"{file.name}: line {number}: {len(line):,} characters; expected {columns} numbers: {row}.")
        words = line.split(separator)
        if len(words) != columns:
            raise ReadError(f"{file.name}: line {number}: {len(words)} numbers; expected {columns}: {row}.")
        try:
            if b"_" in line:  # float() takes 1_000, which no recording means
                raise ValueError
            values.extend(map(float, words))
        except ValueError:
            word = next(word for word in words if not _is_number(word)).strip()[:40].decode("ascii", "replace")
            raise ReadError(f"{file.name}: line {number}: {word!r} is no number; expected {row}.") from None
        lines.append(number)
    table = np.frombuffer(values, dtype=np.float64).reshape(-1, columns)
    bad = np.argwhere(~(np.abs(table) < _TOO_LARGE))
    if len(bad):
        index, column = bad[0]
        value = table[index, column]
        raise ReadError(f"{file.name}: line {lines[index]}: number {column + 1} is {value:g}; expected {row}, finite.")
    return table


def _is_number(word: bytes) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return b"_" not in word
