"""Cells of a table: from text or Parquet to names of columns and a data frame, and from this to numbers and texts."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...number_text import is_number
from ...raw_files import MAX_CLIP, ReadError
from .columns import roles_of

if TYPE_CHECKING:
    import pandas as pd

COUNTED = ("", "index", "Unnamed: 0")  # what pandas calls the column that counts the rows
MISSING = ("", "-", "na", "n/a", "nan", "null", "none")
_MAX_COLUMNS = 20_000
_MAX_HEADER = 4  # lines


Cells = tuple[list[str] | None, "pd.DataFrame", Sequence[int]]
"""Names of the columns, if the table has some, the cells, and the line of each row."""


def of_text(text: str, name: str) -> Cells:
    import pandas as pd

    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    while lines and lines[0][1].startswith("#"):
        lines = lines[1:]
    if not lines:
        raise ReadError(f"{name}: the file is empty; expected a row a frame.")
    first = lines[0][1]
    separator = next((mark for mark in ";\t," if mark in first), None)
    cells = _cells(first, separator)
    if len(cells) > _MAX_COLUMNS:
        raise ReadError(f"{name}: line {lines[0][0]} has {len(cells):,} columns; expected x y z of each joint.")
    commas = separator == ";" and any(re.search(r"(^|;)\s*-?\d+,\d", line) for _, line in lines[:3])
    decimal = "," if commas else "."
    header, count = _header([_cells(line, separator) for _, line in lines[:_MAX_HEADER]], decimal)
    rows = lines[count:]
    if not rows:
        raise ReadError(f"{name}: a header and no rows; expected a row a frame.")
    for number, line in rows:  # pandas would fill short rows
        if (found := _count(line, separator)) != len(cells):
            raise ReadError(f"{name}: line {number} has {found} columns; expected the {len(cells)} of the first.")
    try:
        frame = pd.read_csv(
            io.StringIO("\n".join(line for _, line in rows)), header=None, sep=separator or r"\s+", decimal=decimal, skipinitialspace=True,
            na_values=["-", "none"], low_memory=False,
        )  # fmt: skip
    except (ValueError, pd.errors.ParserError, OverflowError, csv.Error) as error:
        raise ReadError(f"{name}: no table ({str(error).strip().splitlines()[0][:100]}).") from None
    return header, frame, [number for number, _ in rows]


def _cells(line: str, separator: str | None) -> list[str]:
    if separator is None:
        return line.split()
    return [cell.strip() for cell in next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])]


def _count(line: str, separator: str | None) -> int:
    if separator is None:
        return len(line.split())
    return len(_cells(line, separator)) if '"' in line else line.count(separator) + 1


def _header(lines: Sequence[Sequence[str]], decimal: str) -> tuple[list[str] | None, int]:
    """Names of the columns, and how many lines they take; None and 0 if the first line holds values."""
    counted = lines[0][1:] if lines[0][0] in COUNTED else lines[0]
    if len(lines) > 1 and len(counted) > 1 and [*counted] == [str(number) for number in range(len(counted))]:
        return list(lines[0]), 1  # what pandas writes for an array
    filled = [[cell for cell in line if cell] for line in lines]
    numeric = [2 * sum(_is_value(cell, decimal) for cell in cells) > len(cells) for cells in filled]
    count = numeric.index(True) if True in numeric else 1
    if count == 0:
        return None, 0
    above = [
        _repeated(line) for line in lines[: count - 1] if len(line) == len(lines[count - 1]) and len(set(line)) > 2
    ]
    if roles_of(lines[0]).joints or not above:  # one line names the columns; text in the rows below is no header
        return list(lines[0]), 1
    return ["_".join(filter(None, parts)) for parts in zip(*above, lines[count - 1], strict=True)], count


def _repeated(line: Sequence[str]) -> list[str]:
    """A line of a header with several, where a name stands above the first of its columns only."""
    repeated = list(line)
    for place in range(1, len(repeated)):
        repeated[place] = repeated[place] or repeated[place - 1]
    return repeated


def _is_value(cell: str, decimal: str = ".") -> bool:
    return cell.lower() in MISSING or is_number(cell.replace(decimal, "."))


def of_records(content: Any, name: str) -> Cells | None:
    """The table in JSON: a list of flat objects, a row each, or an object of columns; None if it is neither."""
    import pandas as pd

    if isinstance(content, dict) and {"columns", "data"} <= content.keys():
        columns, rows = content["columns"], content["data"]
        if not all(isinstance(one, list) for one in (columns, rows, *(rows if isinstance(rows, list) else ()))):
            return None
        if any(len(row) != len(columns) for row in rows):
            raise ReadError(f"{name}: a row of data has not the {len(columns)} values of columns.")
        frame = pd.DataFrame(rows, columns=[str(one) for one in columns])
    elif isinstance(content, dict):
        series = [list(value.values()) if isinstance(value, dict) else value for value in content.values()]
        if not series or not all(isinstance(one, list) for one in series) or len({len(one) for one in series}) > 1:
            return None
        frame = pd.DataFrame({str(key): pd.Series(one, dtype=object) for key, one in zip(content, series, strict=True)})
    elif isinstance(content, list) and content and all(isinstance(row, dict) for row in content):
        frame = pd.DataFrame.from_records(content)
    else:
        return None
    if any(isinstance(cell, dict | list) for column in frame for cell in frame[column]):
        return None
    return [str(one) for one in frame.columns], frame.infer_objects(), []


def of_parquet(data: bytes, name: str) -> Cells:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        source = pq.ParquetFile(pa.BufferReader(data))
        facts = source.metadata
        if facts.num_columns > _MAX_COLUMNS or facts.num_rows * facts.num_columns * 8 > 4 * MAX_CLIP:
            raise ReadError(f"{name}: {facts.num_rows:,} rows of {facts.num_columns:,} columns; expected one clip.")
        frame = source.read().to_pandas()
    except (pa.ArrowException, OSError, ValueError, TypeError, NotImplementedError, MemoryError) as error:
        if isinstance(error, ReadError):
            raise
        raise ReadError(f"{name}: no readable Parquet file ({str(error).strip().splitlines()[0][:100]}).") from None
    return [str(one) for one in frame.columns], frame, []


def is_text(column: pd.Series) -> bool:
    return column.dtype.kind not in "fiub" and not any(is_number(str(cell)) for cell in column)


def numbers(table: pd.DataFrame, columns: Sequence[int], lines: Sequence[int], name: str) -> np.ndarray:
    """(rows, columns) float64. Raises ReadError, which names the line, for a cell that is no number."""
    values = np.empty((len(table), len(columns)))
    for place, column in enumerate(columns):
        cells = table[column]
        if cells.dtype.kind in "fiub":
            values[:, place] = cells.to_numpy(dtype=np.float64, na_value=np.nan)
            continue
        for row, cell in enumerate(cells):
            text = "" if cell is None or cell != cell else str(cell).strip()
            if not _is_value(text):
                line = f"line {lines[row]}" if lines else f"row {row + 1}"
                raise ReadError(f"{name}: {line}, column {column + 1}: {text[:40]!r} is no number.")
            values[row, place] = np.nan if text.lower() in MISSING else float(text)
    return values


def texts(cells: pd.Series) -> list[str]:
    return [
        ""
        if cell is None or cell != cell
        else str(int(cell) if isinstance(cell, float) and cell.is_integer() else cell).strip()
        for cell in cells
    ]
