"""Skeletons and markers in the CSV files that OptiTrack Motive exports, with y up.

    Format Version,1.23,Take Name,walk,...,Export Frame Rate,120.000000,...,Length Units,Meters,Coordinate Space,Global

    ,,Bone,Bone,Bone,Bone,Bone,Bone,Bone,...
    ,,Anna:Hip,Anna:Hip,Anna:Hip,Anna:Hip,Anna:Hip,Anna:Hip,Anna:Hip,...
    ,,1,1,1,1,1,1,1,...
    ,,Rotation,Rotation,Rotation,Rotation,Position,Position,Position,...
    Frame,Time (Seconds),X,Y,Z,W,X,Y,Z,...

Newer versions write Type, Name, ID and Parent into the second column. The positions of bones are read, or of markers where there are no
bones; rotations are left alone. Read off public exports of formats 1.2 and newer, and Motive's documentation, "Data Export: CSV".
"""

from __future__ import annotations

from ...raw_files import ReadError
from ..raw_clip import RawClip
from .markers import by_person, cells_of, rate_of, trajectories, unit_of

_KINDS = ("Bone", "Bone Marker", "Marker", "Rigid Body Marker", "Rigid Body")  # the first that there is, is read


def states_itself(text: str) -> bool:
    """Whether a text begins as these exports do."""
    return text[:2000].lstrip().removeprefix('"').startswith("Format Version")


def of_text(text: str, file: str) -> RawClip:
    """Read a clip: the bones or named markers of everybody in it. Raises ReadError, which names the line, if it is damaged."""
    rows = cells_of(text, file)
    first = next(number for number, row in enumerate(rows) if any(row))
    stated = dict(zip(rows[first][::2], rows[first][1::2], strict=False))
    above = next((number for number, row in enumerate(rows) if row and row[0] == "Frame"), -1)
    header = [row for row in rows[first + 1 : max(above, 0)] if any(row)]
    if len(header) < 3:
        expected = "expected lines of types and names, and one that begins with Frame"
        raise ReadError(f"{file}: no header of Motive; {expected}.")
    if (space := stated.get("Coordinate Space", "")).lower() == "local":
        raise ReadError(f"{file}: its coordinate space is {space!r}; export it with global coordinates.")
    axes = rows[above]
    kinds, names, parts = (row + [""] * (len(axes) - len(row)) for row in (header[0], header[1], header[-1]))
    placed = [part == "Position" and axis in ("X", "Y", "Z") for part, axis in zip(parts, axes, strict=False)]
    there = {kind for kind, place in zip(kinds, placed, strict=False) if place}
    kind = next((kind for kind in _KINDS if kind in there), None)
    if kind is None:
        raise ReadError(f"{file}: holds no positions of bones or markers; export them with global coordinates.")
    chosen = [place and found == kind for place, found in zip(placed, kinds, strict=False)]
    columns = [(name, axis) if held else ("", "") for name, axis, held in zip(names, axes, chosen, strict=False)]
    columns[0] = ("", "frame")
    data = [(number, row) for number, row in enumerate(rows[above + 1 :], above + 2) if any(row)]
    labels, points = trajectories(data, columns, file)
    owners = {label.rpartition(":")[0] for label in labels}
    roots = owners | {f"{owner}:{owner}" for owner in owners}  # the first bone may be called as its skeleton is
    labels = [f"{label.rpartition(':')[2]}:Root" if label in roots else label for label in labels]
    bones, joints, left_out = by_person(labels, points, file)
    others = [found for found in _KINDS if found in there and found != kind]
    left_out += [f"its columns of type {' and '.join(others)} are left out."] if others else []
    told = next((row for row in header if row[1:2] == ["Parent"]), []) if kind == "Bone" else []
    hung = {name.rpartition(":")[2]: parent for name, parent in zip(names, told, strict=False)}
    on = ["Root" if (parent := hung.get(bone, "")) in roots else parent.rpartition(":")[2] for bone in bones]
    tree = tuple(
        bones.index(parent) if parent in bones and parent != bone else -1
        for bone, parent in zip(bones, on, strict=True)
    )
    parents = tree if max(tree) >= 0 else None
    unit = unit_of(stated.get("Length Units", ""), file)
    fps = rate_of(stated.get("Export Frame Rate") or stated.get("Capture Frame Rate", ""))
    return RawClip(joints, bones, parents=parents, unit=unit, usual_up="y", fps=fps, left_out=left_out)
