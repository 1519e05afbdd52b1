"""Clips as `.csv`: a row a frame, one clip a file.

Without a header, or with one that names no joints, the columns are x y z of each joint in the order of the layout, for one
person after the other. With a header of names such as `left_elbow_x, left_elbow_y, left_elbow_z` the joints of the layout are picked
by name, in whatever order they come, and other columns (time, scores) are left alone. Empty cells are missing values.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from ....processing.skeleton_layout import SkeletonLayout
from ....processing.suggestions import did_you_mean
from ...number_text import is_number
from ...raw_files import MAX_CLIP, RawFile, ReadError, read_bytes
from ..arrays import as_clip
from ..raw_clip import RawClip

_SEPARATORS = (",", ";", "\t")
_MAX_COLUMNS = 20_000


def read(file: RawFile, layout: SkeletonLayout | None = None) -> RawClip:
    """Read a clip, NaN where a cell is empty.

    Raises ReadError, which names the line, for what is no text or number, rows of different lengths, or a joint without a column.
    """
    if layout is None:
        raise ReadError(f"{file.name} does not say which joints it holds.")
    text = read_bytes(file, limit=MAX_CLIP).decode("utf-8", "replace")
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        raise ReadError(f"{file.name}: the file is empty; expected a row a frame.")
    separator = next((mark for mark in _SEPARATORS if mark in lines[0][1]), None)
    first = _cells(lines[0][1], separator)
    if len(first) > _MAX_COLUMNS:
        raise ReadError(f"{file.name}: line {lines[0][0]} has {len(first):,} columns; expected x y z of each joint.")
    header = not all(map(_is_value, first))
    if header and len(lines) == 1:
        raise ReadError(f"{file.name}: a header and no rows; expected a row a frame.")
    table = _numbers(lines[1:] if header else lines, separator, len(first), file.name)
    picked = _columns(first, layout, file.name) if header else None
    return as_clip(table if picked is None else table[:, picked], layout, file.name)


def _cells(line: str, separator: str | None) -> list[str]:
    return [cell.strip().strip('"') for cell in line.split(separator)]


def _is_value(cell: str) -> bool:
    return not cell or is_number(cell)


def _numbers(lines: Sequence[tuple[int, str]], separator: str | None, columns: int, name: str) -> np.ndarray:
    try:  # numpy's own parser, ten times as fast
        table = np.loadtxt([line for _, line in lines], delimiter=separator, ndmin=2, comments=None, dtype=np.float64)
        if table.shape == (len(lines), columns):
            return table
    except (ValueError, OverflowError):
        pass  # empty or quoted cells, or a mistake: cell by cell
    table = np.empty((len(lines), columns))
    for index, (number, line) in enumerate(lines):
        cells = _cells(line, separator)
        if len(cells) != columns:
            raise ReadError(f"{name}: line {number} has {len(cells)} columns; expected the {columns} of the first.")
        for column, cell in enumerate(cells):
            if not _is_value(cell):
                raise ReadError(f"{name}: line {number}, column {column + 1}: {cell[:40]!r} is no number.")
            table[index, column] = float(cell or "nan")
    return table


def _columns(header: Sequence[str], layout: SkeletonLayout, name: str) -> list[int] | None:
    """Columns of the joints, in the order of the layout; None if the header names no joints."""
    found: dict[tuple[str, str], int] = {}
    for column, cell in enumerate(header):
        match = re.fullmatch(r"(.+?)[\s_.:-]*([xyz])", cell.strip(), re.IGNORECASE)
        if match:
            found.setdefault((joint_key(match[1]), match[2].lower()), column)
    named = {joint for joint, _ in found}
    wanted = [joint_key(joint) for joint in layout.joint_names]
    if not named & set(wanted):
        return None
    axes = "xyz" if layout.unit == "m" or (wanted[0], "z") in found else "xy"
    for joint, key in zip(layout.joint_names, wanted, strict=True):
        for axis in axes:
            if (key, axis) not in found:
                hint = did_you_mean(key, named)
                raise ReadError(f"{name}: no column {joint}_{axis}, which layout {layout.name!r} needs.{hint}")
    return [found[key, axis] for key in wanted for axis in axes]


def joint_key(name: str) -> str:
    """What two spellings of a joint share: "LeftElbow", "left_elbow" and "mixamorig:left elbow" are one."""
    return re.sub(r"[\W_]+", "", name.rpartition(":")[2].lower())
