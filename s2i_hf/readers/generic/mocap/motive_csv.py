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

import re
from collections.abc import Sequence

from ...raw_files import ReadError
from ..raw_clip import RawClip
from .markers import by_person, cells_of, rate_of, trajectories, unit_of

_KINDS = ("Bone", "Bone Marker", "Marker", "Rigid Body Marker", "Rigid Body")  # the first that there is, is read
_TREE = "Hip<Root Ab<Hip Chest<Ab Neck<Chest Head<Neck"
_LIMBS = "Shoulder<Chest UArm<*Shoulder FArm<*UArm Hand<*FArm Thigh<Hip Shin<*Thigh Foot<*Shin Toe<*Foot"


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
        raise ReadError(
            f"{file}: no header of Motive; expected lines of types and names, and one that begins with Frame."
        )
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
    parents = None
    if kind == "Bone":
        told = next((row for row in header if row[1:2] == ["Parent"]), [])
        tree = {name.rpartition(":")[2]: parent.rpartition(":")[2] for name, parent in zip(names, told, strict=False)}
        parents = _parents(bones, tree)
    unit = unit_of(stated.get("Length Units", ""), file)
    fps = rate_of(stated.get("Export Frame Rate") or stated.get("Capture Frame Rate", ""))
    return RawClip(joints, bones, parents=parents, unit=unit, up="y", fps=fps, left_out=left_out)


def _parents(names: Sequence[str], told: dict[str, str]) -> tuple[int, ...] | None:
    """The tree of bones, as the file tells it, else as Motive builds its skeletons; None if a bone is none of these."""
    if not any(told.get(name) in names for name in names):
        told = dict(bone.split("<") for bone in _TREE.split())
        for side in "LR":
            told |= {
                side + bone: parent.replace("*", side) for bone, parent in (pair.split("<") for pair in _LIMBS.split())
            }
        for name in names:
            if finger := re.fullmatch(r"([LR])(Thumb|Index|Middle|Ring|Pinky)(\d)", name):
                before = f"{finger[1]}{finger[2]}{int(finger[3]) - 1}"
                told[name] = before if before in names else f"{finger[1]}Hand"
        if any(name not in told and name != "Root" for name in names):
            return None
    parents = []
    for name in names:
        parent = told.get(name, "")
        for _ in names:
            parent = parent if parent in names else told.get(parent, "")
        parents.append(names.index(parent) if parent in names else -1)
    return tuple(parents)
