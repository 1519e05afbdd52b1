"""Tables, one clip a file: CSV, TSV, semicolons or blanks between the cells, Parquet, and JSON records of the same columns.

Without a header the columns are the joints in the order of the layout, x y z (or x y; a score or tracking state may follow) of each, for
one person after the other. With a header they are what their names say (`columns`), and nothing is read by its place: rows with a frame
number are put in order and gaps become NaN, rows with a person id become people, a row for each joint is gathered to frames. Joints of
score or state 0 were not seen. Text beside the joints is left alone; empty cells are missing values.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ....processing.skeleton_layout import SkeletonLayout
from ...number_text import is_number
from ...raw_files import MAX_CLIP, RawFile, ReadError, SilentFile, read_bytes
from ..arrays import as_clip
from ..mocap import motive_csv, vicon_csv
from ..raw_clip import RawClip
from ..tracks import assemble
from .cells import COUNTED, is_text, numbers, of_parquet, of_records, of_text, texts
from .columns import Joint, Roles, roles_of

if TYPE_CHECKING:
    import pandas as pd

_UNSEEN = ("nottracked", "not tracked", "untracked", "false")


def read(file: RawFile, layout: SkeletonLayout | None = None) -> RawClip:
    """Read a clip from a table; `layout` is needed where no header names the joints.

    Raises ReadError, which names the line, if it is no table, a row has more or fewer cells, the cell of a joint is no number, or the
    columns do not say what they are.
    """
    data = read_bytes(file, text=file.suffix.lower() != ".parquet", limit=MAX_CLIP)
    if file.suffix.lower() == ".parquet":
        return _clip(*of_parquet(data, file.name), layout, file.name)
    text = data.decode("utf-8", "replace")
    for program in (motive_csv, vicon_csv):
        if program.states_itself(text):
            return program.of_text(text, file.name)
    return _clip(*of_text(text, file.name), layout, file.name)


def read_records(content: Any, name: str, layout: SkeletonLayout | None = None) -> RawClip | None:
    """A clip from JSON: a list of flat objects, a row each, or an object of columns; None if it is neither.

    Raises ReadError as `read` does.
    """
    found = of_records(content, name)
    return None if found is None or not roles_of(found[0] or []).joints else _clip(*found, layout, name)


def _clip(
    header: Sequence[str] | None, table: pd.DataFrame, lines: Sequence[int], layout: SkeletonLayout | None, name: str
) -> RawClip:
    table.columns = range(table.shape[1])
    if header is None or _is_plain(header):
        return _plain(header, table, lines, layout, name)
    roles = roles_of(header)
    if not roles.joints:
        shown = ", ".join(header[:4])[:120] + (", ..." if len(header) > 4 else "")
        expected = "expected names such as left_elbow_x, or no header"
        raise ReadError(f"{name}: its header ({shown}) names no axis of a joint; {expected}.")
    if (column := roles.rows.get("clip")) is not None and 1 < (count := table[column].nunique()) <= len(table) / 2:
        raise ReadError(
            f"{name}: column {header[column]!r} says that these are {count:,} clips; write one file a clip."
        )
    if sum(isinstance(joint, str) and joint != "" for joint in roles.joints) > 1:
        roles.joints.pop("", None)  # x and y of something else, such as a box around the body
    if "" in roles.joints:
        if len(roles.joints[""].get("x", [])) > 1 and len(roles.joints) == 1:
            return _labelled(roles.joints[""], table, lines, layout, name)
        if "joint" not in roles.rows:
            expected = "expected a column such as joint, or names such as left_elbow_x"
            raise ReadError(f"{name}: columns {', '.join(roles.joints[''])} are of no joint; {expected}.")
        roles.joints = {"": roles.joints[""]}
    return _framed(header, table, lines, roles, layout, name)


def _labelled(
    axes: Mapping[str, Sequence[int]],
    table: pd.DataFrame,
    lines: Sequence[int],
    layout: SkeletonLayout | None,
    name: str,
) -> RawClip:
    """Columns called x, y, z, x, y, z ...: the joints in the order of the layout, with or without a score."""
    columns = sorted((column, value) for value, places in axes.items() for column in places)
    values = [value for _, value in columns]
    first = values[: values.index("x", 1)]
    if values != first * (len(values) // len(first)) or first[:2] != ["x", "y"]:
        raise ReadError(f"{name}: its header repeats {', '.join(axes)} in no order; expected x, y, z of each joint.")
    if layout is None:
        raise SilentFile(name)
    points = numbers(table, [column for column, value in columns if value != "score"], lines, name)
    points = points.reshape(len(table), -1, len(first) - first.count("score"))
    if "score" in first:
        scores = _scores(table, [column for column, value in columns if value == "score"], lines, name)
        points = np.where((scores <= 0)[..., None], np.nan, points)
    people = points.shape[1] // layout.num_joints if points.shape[1] % layout.num_joints == 0 else 1
    return RawClip(points.reshape(len(points), max(people, 1), -1, points.shape[2]))


def _is_plain(header: Sequence[str]) -> bool:
    """Whether a header only counts the columns, as pandas writes for an array."""
    counted = header[1:] if header[0] in COUNTED else header
    return list(counted) == [str(number) for number in range(len(counted))] and len(counted) > 1


def _plain(
    header: Sequence[str] | None, table: pd.DataFrame, lines: Sequence[int], layout: SkeletonLayout | None, name: str
) -> RawClip:
    """Columns in the order of the layout."""
    if layout is None:
        raise SilentFile(name)
    if header is not None and header[0] in COUNTED:
        table = table.iloc[:, 1:]
    if header is None:  # text beside the joints is left alone
        table = table[[column for column in table if not is_text(table[column])]]
    return as_clip(numbers(table, list(table), lines, name), layout, name)


def _scores(table: pd.DataFrame, columns: Sequence[int], lines: Sequence[int], name: str) -> np.ndarray:
    """(rows, columns) float64 of numbers, or of words such as "NotTracked"."""
    words = {column for column in columns if is_text(table[column])}
    told = table[list(columns)].copy()
    for column in words:
        told[column] = [0.0 if str(cell).strip().lower() in _UNSEEN else 1.0 for cell in told[column]]
    return numbers(told, columns, lines, name)


def _columns_of(roles: Roles, name: str) -> tuple[list[Joint], str]:
    """The joints that have a column for each axis, and these axes; numbered ones in their order."""
    axes = "xyz" if any({"x", "y", "z"} <= one.keys() for one in roles.joints.values()) else "xy"
    joints = [joint for joint, one in roles.joints.items() if set(axes) <= one.keys()]
    if names := [joint for joint in joints if isinstance(joint, str)]:
        return list(names), axes  # numbers beside names are something else
    if not joints:
        found = next(iter(roles.joints))
        raise ReadError(
            f"{name}: joint {found!r} has columns {', '.join(roles.joints[found])}; expected x and y, or x, y and z."
        )
    listed = sorted(int(joint) for joint in joints)
    if listed[0] not in (0, 1) or listed[-1] - listed[0] >= len(listed):
        lacking = next(number for number in range(min(listed[0], 1), listed[-1]) if number not in listed)
        raise ReadError(f"{name}: has columns of joints {listed[0]} to {listed[-1]}, but none of joint {lacking}.")
    return list(listed), axes


def _wide(
    header: Sequence[str], table: pd.DataFrame, lines: Sequence[int], roles: Roles, name: str
) -> tuple[list[Joint], np.ndarray]:
    """Names or numbers of the joints, and where they are in each row, (rows, V, 2 or 3)."""
    for joint, found in roles.joints.items():
        for axis, places in found.items():
            if len(places) > 1:
                both = " and ".join(repr(header[place]) for place in places[:2])
                raise ReadError(f"{name}: columns {both} are both {axis} of joint {joint!r}; keep one of them.")
    joints, axes = _columns_of(roles, name)
    columns = [roles.joints[joint][axis][0] for joint in joints for axis in axes]
    points = numbers(table, columns, lines, name).reshape(len(table), len(joints), len(axes))
    scored = [place for place, joint in enumerate(joints) if "score" in roles.joints[joint]]
    if scored:
        scores = _scores(table, [roles.joints[joints[place]]["score"][0] for place in scored], lines, name)
        points[:, scored] = np.where((scores <= 0)[..., None], np.nan, points[:, scored])
    return joints, points


def _framed(
    header: Sequence[str],
    table: pd.DataFrame,
    lines: Sequence[int],
    roles: Roles,
    layout: SkeletonLayout | None,
    name: str,
) -> RawClip:
    """A table whose header names joints, or numbers them: a row a frame or person, or a row a joint."""
    joints, points = _wide(header, table, lines, roles, name)
    people = _people(table, roles)
    tidy = joints == [""]
    which = texts(table[roles.rows["joint"]]) if tidy else []
    frames = _frame_numbers(table, roles, people, which, lines, name)
    if tidy:  # gather the joints of a person in a frame to one row
        joints = _joints_in(which)
        rows: dict[tuple[int, Hashable], int] = {}
        index = {joint: place for place, joint in enumerate(joints)}
        gathered = np.full((len(set(zip(frames, people, strict=True))), len(joints), points.shape[2]), np.nan)
        filled: set[tuple[Any, ...]] = set()
        for place, (frame, person, joint) in enumerate(zip(frames, people, _as_joints(which), strict=True)):
            row = rows.setdefault((frame, person), len(rows))
            if (row, joint) in filled:
                raise ReadError(
                    f"{name}: joint {joint!r} is there twice in frame {frame}; expected a column that tells people apart."
                )
            filled.add((row, joint))
            gathered[row, index[joint]] = points[place, 0]
        points, frames, people = gathered, [frame for frame, _ in rows], [person for _, person in rows]
    order = sorted(
        range(len(frames)), key=lambda row: (frames[row], _id_order(people[row]))
    )  # the order of rows says nothing
    frames, people, points = [frames[row] for row in order], [people[row] for row in order], points[order]
    clip, left_out = assemble(frames, people, points, name)
    if isinstance(joints[0], str):
        return RawClip(clip, tuple(map(str, joints)), unit=roles.unit, left_out=left_out)
    if layout is None:
        raise SilentFile(name)
    return RawClip(clip, unit=roles.unit, left_out=left_out)


def _as_joints(cells: Sequence[str]) -> list[Joint]:
    return [int(cell) for cell in cells] if all(cell.isdecimal() and len(cell) < 5 for cell in cells) else list(cells)


def _joints_in(cells: Sequence[str]) -> list[Joint]:
    joints = list(dict.fromkeys(_as_joints(cells)))
    return sorted(joints) if isinstance(joints[0], int) else joints  # type: ignore[type-var]


def _id_order(person: Hashable) -> tuple[float, str]:
    """Numbers in their order, then texts."""
    text = str(person)
    return (float(text) if is_number(text) and not math.isnan(float(text)) else math.inf), text


def _people(table: pd.DataFrame, roles: Roles) -> list[Hashable]:
    """Who each row is about; one person if nothing says so."""
    column = roles.rows.get("person")
    return list(texts(table[column])) if column is not None else [""] * len(table)


def _frame_numbers(
    table: pd.DataFrame, roles: Roles, people: Sequence[Hashable], which: Sequence[str], lines: Sequence[int], name: str
) -> list[int]:
    """The frame of each row: by its column, else in the order of times, else of the rows of each person and joint."""
    if (column := roles.rows.get("frame")) is not None:
        cells = texts(table[column])
        matches = [re.fullmatch(r"(?:.*\D)?(\d{1,12})(?:\.\D\w{0,5})?", cell[-200:]) for cell in cells]
        for row, match in enumerate(matches):
            if match is None:
                line = f"line {lines[row]}" if lines else f"row {row + 1}"
                raise ReadError(f"{name}: {line}: frame is {cells[row][:40]!r}; expected a whole number.")
        return [int(match[1]) for match in matches if match is not None]
    column = roles.rows.get("time")
    if column is not None and not is_text(table[column]):
        times = numbers(table, [column], lines, name)[:, 0].tolist()
        order = {time: index for index, time in enumerate(sorted(set(times)))}
        if not any(math.isnan(time) for time in times):
            return [order[time] for time in times]
    seen: Counter[tuple[Hashable, str]] = Counter()
    found = []
    for row, person in enumerate(people):
        key = person, which[row] if which else ""
        found.append(seen[key])
        seen[key] += 1
    return found
