"""Markers in the CSV files that Vicon Nexus exports: a section of trajectories, millimetres with z up.

    Trajectories
    100
    ,,Anna:LFHD,,,Anna:RFHD,,
    Frame,Sub Frame,X,Y,Z,X,Y,Z
    ,,mm,mm,mm,mm,mm,mm
    1,0,-120.4,33.2,1710.8,...

A blank line ends a section; others (devices, joints, model outputs) are left out, as are velocities. Read off public exports of Nexus 2.
"""

from __future__ import annotations

from ...raw_files import ReadError
from ..raw_clip import RawClip
from .markers import by_person, cells_of, rate_of, trajectories, unit_of

_SECTIONS = ("Trajectories", "Joints", "Segments", "Model Outputs", "Devices", "Events")


def states_itself(text: str) -> bool:
    """Whether a text begins as these exports do."""
    return _section(text[:2000].lstrip().partition("\n")[0]) in _SECTIONS


def _section(line: str) -> str:
    return line.strip(' ,;\t\r\n"')


def of_text(text: str, file: str) -> RawClip:
    """Read a clip: all named markers, of everybody who wears them. Raises ReadError, which names the line, if it is damaged."""
    lines = text.splitlines()
    titles = [(number, _section(line)) for number, line in enumerate(lines) if _section(line) in _SECTIONS]
    others = list(dict.fromkeys(title for _, title in titles if title != "Trajectories"))
    start = next((number for number, title in titles if title == "Trajectories"), None)
    if start is None:
        raise ReadError(f"{file}: holds {', '.join(others)} alone; export the trajectories of the markers.")
    end = next((number for number in range(start, len(lines)) if not _section(lines[number])), len(lines))
    table = lines[start + 1 : end]
    separator = next((mark for mark in ";\t," if mark in "".join(table[2:3])), ",")
    rows = cells_of("\n".join(table), file, separator)
    if len(rows) < 5 or [cell.lower() for cell in rows[2][:2]] != ["frame", "sub frame"]:
        expected = "expected the rate, names, Frame and Sub Frame, and units"
        raise ReadError(f"{file}: line {start + 4}: no header of trajectories; {expected}.")
    names, axes, units = (row + [""] * (len(rows[2]) - len(row)) for row in (rows[1], rows[2], rows[3]))
    columns, name = [("", "frame"), ("", "")], ""
    for label, axis in zip(names[2:], axes[2:], strict=False):
        name = label or name
        columns.append((name, axis) if axis in ("X", "Y", "Z") else ("", ""))
    measured = {unit for unit, (_, axis) in zip(units, columns, strict=False) if axis in ("X", "Y", "Z")}
    if len(measured) != 1:
        found = ", ".join(sorted(measured))[:60]
        raise ReadError(f"{file}: line {start + 5}: units are {found!r}; expected one of all.")
    labels, points = trajectories(enumerate(rows[4:], start + 6), columns, file)
    markers, joints, left_out = by_person(labels, points, file)
    left_out += [f"its {', '.join(others).lower()} are left out."] if others else []
    unit, fps = unit_of(measured.pop(), file), rate_of(rows[0][0] if rows[0] else "")
    return RawClip(joints, markers, unit=unit, usual_unit="mm", usual_up="z", fps=fps, left_out=left_out)
