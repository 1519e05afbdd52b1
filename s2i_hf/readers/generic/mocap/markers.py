"""What the formats of markers share: units by their names, and labels such as "Anna:LFHD" that say whose marker it is."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence

import numpy as np

from ...number_text import is_number
from ...raw_files import ReadError
from ..tracks import assemble

_AXES = ("X", "Y", "Z")
_UNITS = {
    "m": "m meter meters metre metres",
    "cm": "cm centimeter centimeters centimetre centimetres",
    "mm": "mm millimeter millimeters millimetre millimetres",
    "inch": "inch inches in",
}
_UNNAMED = re.compile(r"\*?\d*|\*.*|(unlabell?ed|unnamed|unknown)[ _-]*\d*|_?\d+", re.IGNORECASE)
_NUMBERED = re.compile(r"marker[ _]?\d+", re.IGNORECASE)


def cells_of(text: str, file: str, separator: str = ",") -> list[list[str]]:
    """The cells of each line of a table, without blanks around them. Raises ReadError if it is no text."""
    try:
        return [[cell.strip() for cell in row] for row in csv.reader(text.splitlines(), delimiter=separator)]
    except csv.Error as error:
        raise ReadError(f"{file}: no table ({error}); the file is damaged.") from None


def unit_of(text: str, file: str) -> str:
    """The unit, as `RawClip` calls it, that a file names; "" if it names none. Raises ReadError for one that is no length."""
    name = text.strip().lower()
    unit = next((unit for unit, names in _UNITS.items() if name in names.split()), "")
    if name and not unit:
        raise ReadError(f"{file}: says that its unit is {text.strip()[:40]!r}; expected one of {', '.join(_UNITS)}.")
    return unit


def by_person(labels: Sequence[str], points: np.ndarray, file: str) -> tuple[tuple[str, ...], np.ndarray, list[str]]:
    """Names of V markers, (T, M, V, 3) places of the M people who wear them, and sentences about markers that are nobody's.

    Labels of the N markers in `points`, (T, N, 3), are "LFHD" or "Anna:LFHD". Whoever has half of the names of the most marked is a person.
    Raises ReadError if no marker has a name, or two of one person have the same.
    """
    owned: dict[str, dict[str, int]] = {}
    unnamed = 0
    for index, label in enumerate(labels):
        owner, _, name = (part.strip() for part in label.strip().rpartition(":"))
        if _NUMBERED.fullmatch(name):  # of a rigid body, such as "LeftFoot:Marker1": no person
            owner, name = "", label.strip()
        if _UNNAMED.fullmatch(name):
            unnamed += 1
        elif owned.setdefault(owner, {}).setdefault(name, index) != index:
            raise ReadError(f"{file}: has two markers named {label!r}; name or remove one of them.")
    if not owned:
        raise ReadError(f"{file}: its {len(labels)} markers have no names; label them before they are exported.")
    names = max(owned.values(), key=len)
    people = [markers for markers in owned.values() if 2 * len(names.keys() & markers) >= len(names)]
    others = sum(map(len, owned.values())) - sum(len(names.keys() & markers) for markers in people)
    apart = [owner or "nobody" for owner, markers in owned.items() if markers not in people]
    left_out = [f"markers without a name are left out: {unnamed}."] if unnamed else []
    if others:
        whose = f", of {', '.join(apart[:3])}{', ...' if len(apart) > 3 else ''}" if apart else ""
        left_out.append(f"markers that are not those of the {len(people)} people are left out: {others}{whose}.")
    placed = np.full((len(points), len(people), len(names), 3), np.nan)
    for person, markers in enumerate(people):
        for place, name in enumerate(names):
            if name in markers:
                placed[:, person, place] = points[:, markers[name]]
    return tuple(names), placed, left_out


def trajectories(
    rows: Iterable[tuple[int, Sequence[str]]], columns: Sequence[tuple[str, str]], file: str
) -> tuple[list[str], np.ndarray]:
    """Labels of N markers, and where they are, (T, N, 3) with NaN where a cell is empty, from the lines and cells of a row a frame.

    `columns` say what each holds: label and axis of a marker ("LFHD", "X"), ("", "frame") for the number of the frame, else ("", "").
    Raises ReadError if a marker lacks an axis, a cell is no number, or a frame is there twice.
    """
    found: list[tuple[str, dict[str, int]]] = []
    for place, (label, axis) in enumerate(columns):
        if axis in _AXES:
            if not found or found[-1][0] != label or axis in found[-1][1]:
                found.append((label, {}))
            found[-1][1][axis] = place
    for label, axes in found:
        if len(axes) < len(_AXES):
            raise ReadError(f"{file}: marker {label!r} has columns {', '.join(axes)} alone; expected X, Y and Z.")
    wanted = [axes[axis] for _, axes in found for axis in _AXES]
    numbered = columns.index(("", "frame"))
    frames, values = [], []
    for line, cells in rows:
        filled = [*cells, *[""] * (len(columns) - len(cells))]
        number = re.fullmatch(r"(\d{1,9})(\.0*)?", filled[numbered].strip())
        if number is None or any(map(str.strip, filled[len(columns) :])):
            problem = f"frame {filled[numbered][:40]!r} and {len(cells)} cells"
            expected = f"expected the number of a frame, and {len(columns)} cells"
            raise ReadError(f"{file}: line {line}: {problem}; {expected}.")
        frames.append(int(number[1]))
        try:
            values.append([float(cell) if (cell := filled[place].strip()) else np.nan for place in wanted])
        except ValueError:
            wrong = next(filled[place] for place in wanted if not is_number(filled[place].strip() or "0"))
            raise ReadError(f"{file}: line {line}: {wrong[:40]!r} is no number with a decimal point.") from None
    if not values or not found:
        raise ReadError(f"{file}: holds {len(found)} markers in {len(values)} frames; expected a row a frame.")
    points = np.array(values).reshape(len(values), len(found), len(_AXES))
    clip, _ = assemble(frames, [""] * len(frames), points, file)
    return [label for label, _ in found], clip[:, 0]


def rate_of(text: str) -> float | None:
    """Frames a second, from a text; None if it does not say them."""
    rate = float(text) if is_number(text.strip()) else 0.0
    return rate if 0 < rate < 1e6 else None
