"""Motion capture in Acclaim's ASF and AMC, the formats of CMU and HDM05: bones of a subject, and their angles in every frame.

The ASF file gives each bone a direction, a length, an axis and its degrees of freedom; the AMC file the angles, and place and
orientation of the root. A joint here is the far end of its bone, or the root; rotations are about fixed axes, first x, then y,
then z for the usual order XYZ: R = C M C^-1 with M the motion and C the axis of the bone.

Lengths of CMU and HDM05 are in inches, scaled by the `length` of the ASF file (0.45): metres are value / 0.45 * 0.0254 (CMU's FAQ).
Format after Acclaim's "Skeleton File Definition V1.10" (1995). Files may have latin-1 names in them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np

from ....processing.skeleton_layout import SkeletonLayout
from ...benchmarks import Selected
from ...raw_files import RawFile, ReadError
from ..raw_clip import RawClip
from .kinematics import Lines, in_blocks, positions, rotations

_INCH = 0.0254  # metres
_MAX_BONES = 1000
_TURNS = ("rx", "ry", "rz")
_Section = list[tuple[int, list[str]]]  # number and words of each line


@dataclass
class _Bone:
    name: str = ""
    direction: np.ndarray = field(default_factory=lambda: np.zeros(3))
    length: float = 0.0
    axis: np.ndarray = field(default_factory=lambda: np.eye(3))
    dof: tuple[str, ...] = ()
    parent: int = -1


@dataclass
class _Skeleton:
    name: str
    bones: list[_Bone]  # the root first
    unit: float = 1.0
    degrees: bool = True
    position: np.ndarray = field(default_factory=lambda: np.zeros(3))

    @property
    def names(self) -> list[str]:
        return [bone.name for bone in self.bones]


def select(files: Sequence[RawFile]) -> Selected:
    """The AMC files with the ASF file of their subject as companion, and the names of those without one, by reason.

    `07_01.amc` goes with `07.asf`, `HDM_bd_x.amc` with `HDM_bd.asf`: looked for in the same folder, then anywhere, is the longest name
    that the AMC's begins with, else the only one there.
    """
    skeletons = [file for file in files if file.suffix == ".asf"]
    paired, alone = [], []
    for file in (file for file in files if file.suffix == ".amc"):
        near = [other for other in skeletons if (other.path.parent, other.folders) == (file.path.parent, file.folders)]
        if found := _belongs(file, near) or _belongs(file, skeletons):
            paired.append(file.with_companions(found))
        else:
            alone.append(file.name)
    return paired, {"no .asf file belongs to it": alone}


def _belongs(file: RawFile, skeletons: Sequence[RawFile]) -> RawFile | None:
    named = [other for other in skeletons if file.stem.startswith(other.stem)]
    if named:
        return max(named, key=lambda other: (len(other.stem), str(other)))
    return skeletons[0] if len(skeletons) == 1 else None


def read(file: RawFile, layout: SkeletonLayout | None = None) -> RawClip:
    """Read a clip of an AMC file, with its ASF file as companion: all joints, with their names and tree; `layout` does not matter.

    Raises ReadError, which names the line, if a file is damaged, or they do not belong together.
    """
    skeleton = _read_skeleton(file)
    bones, root = skeleton.bones, skeleton.bones[0]
    parents = tuple(bone.parent for bone in bones)
    channels, columns = _read_motion(file, skeleton)

    def pose(block: np.ndarray) -> np.ndarray:
        local = np.empty((len(block), len(bones), 3, 3))
        offsets = np.empty((len(block), len(bones), 3))
        for index, (bone, held) in enumerate(zip(bones, columns, strict=True)):
            # about fixed axes the first one is applied first, so it stands last in the product
            turns = [(name[1], column) for name, column in zip(bone.dof, held, strict=True) if name in _TURNS][::-1]
            axes = "".join(axis for axis, _ in turns)
            local[:, index] = bone.axis @ rotations(axes, block[:, [column for _, column in turns]]) @ bone.axis.T
            offsets[:, index] = local[:, index] @ (bone.direction * bone.length)
        offsets[:, 0] = block[:, [columns[0][root.dof.index(name)] for name in ("tx", "ty", "tz")]] + skeleton.position
        return positions(parents, local, offsets)

    joints = in_blocks(pose, channels)[:, None]
    return RawClip(joints, tuple(skeleton.names), parents=parents, usual_unit=repr(_INCH / skeleton.unit))


def _read_skeleton(file: RawFile) -> _Skeleton:
    if not file.companions:
        raise ReadError(f"{file.name}: no .asf file was found for it; put the subject's skeleton beside it.")
    lines = Lines(file.companions[0], ",()", "#")
    skeleton = _Skeleton(lines.name, [_Bone("root", dof=("tx", "ty", "tz", *_TURNS))])
    section: _Section = []
    sections: dict[str, _Section] = {}
    for words in lines:
        if words[0].startswith(":"):
            section = sections.setdefault(words[0].lower(), [])
        else:
            section.append((lines.number, words))
    for needed in (":bonedata", ":hierarchy"):
        if needed not in sections:
            raise ReadError(f"{lines.name}: has no section {needed}; expected an ASF skeleton. Is it truncated?")
    root = skeleton.bones[0]
    for lines.number, words in (*sections.get(":units", []), *sections.get(":root", [])):
        if words[0] == "length":
            skeleton.unit = float(lines.floats(words[1:], 1, "the scale of lengths")[0])
            if not 1e-6 < skeleton.unit < 1e6:
                raise lines.error(words, "a scale of lengths above zero")
        elif words[0] == "angle":
            skeleton.degrees = words[1:2] != ["rad"]
        elif words[0] == "order":
            root.dof = tuple(word.lower() for word in words[1:])
            if sorted(root.dof) != ["rx", "ry", "rz", "tx", "ty", "tz"]:
                raise lines.error(words, "order and TX TY TZ RX RY RZ in some order")
        elif words[0] == "position":
            skeleton.position = lines.floats(words[1:], 3, "position and three numbers")
        elif words[0] == "orientation" and lines.floats(words[1:], 3, "orientation and three numbers").any():
            raise lines.error(words, "orientation 0 0 0, the only one that is understood")
    _read_bones(lines, sections[":bonedata"], skeleton)
    _read_tree(lines, sections[":hierarchy"], skeleton)
    return skeleton


def _read_bones(lines: Lines, section: _Section, skeleton: _Skeleton) -> None:
    bone: _Bone | None = None
    for lines.number, words in section:
        key = words[0].lower()
        if key == "begin":
            bone = _Bone()
        elif bone is None:
            raise lines.error(words, "begin")
        elif key == "end":
            if not bone.name or bone.name in skeleton.names or len(skeleton.bones) == _MAX_BONES:
                raise lines.error(words, f"each bone to have a name of its own, and at most {_MAX_BONES} of them")
            skeleton.bones.append(bone)
            bone = None
        elif key == "name" and len(words) == 2:
            bone.name = words[1]
        elif key == "direction":
            bone.direction = lines.floats(words[1:], 3, "direction and three numbers")
            if not 0.5 < np.linalg.norm(bone.direction) < 2:
                raise lines.error(words, "a direction of length 1")
        elif key == "length":
            bone.length = float(lines.floats(words[1:], 1, "length and a number")[0])
        elif key == "axis":
            angles = lines.floats(words[1:4], 3, "axis, three angles and their order")
            order = words[4].lower() if len(words) == 5 else ""
            if sorted(order) != ["x", "y", "z"]:
                raise lines.error(words, "axis, three angles and their order, such as XYZ")
            angles = angles if skeleton.degrees else np.degrees(angles)
            bone.axis = rotations(order[::-1], angles[["xyz".index(axis) for axis in order[::-1]]])
        elif key == "dof":
            bone.dof = tuple(word.lower() for word in words[1:])
            if len(set(bone.dof)) != len(bone.dof) or not set(bone.dof) <= set(_TURNS):
                raise lines.error(words, "dof and some of rx ry rz, the degrees of freedom that are understood")
    if bone is not None:
        raise ReadError(f"{lines.name}: bone {bone.name!r} has no end; the file is truncated.")


def _read_tree(lines: Lines, section: _Section, skeleton: _Skeleton) -> None:
    index = {name: number for number, name in enumerate(skeleton.names)}
    placed = {0}
    for lines.number, words in section:
        if words[0].lower() in ("begin", "end") and len(words) == 1:
            continue
        parent, *children = (index.get(word, -1) for word in words)
        for child in children:
            if parent not in placed or child < 0 or child in placed:
                raise lines.error(words, "a bone and the bones that begin where it ends, each once, from the root on")
            skeleton.bones[child].parent = parent
            placed.add(child)
    if len(placed) != len(skeleton.bones):
        loose = next(name for number, name in enumerate(skeleton.names) if number not in placed)
        raise ReadError(f"{lines.name}: bone {loose!r} is nowhere in :hierarchy; the file is truncated or damaged.")


def _read_motion(file: RawFile, skeleton: _Skeleton) -> tuple[np.ndarray, list[range]]:
    """(T, C) float64, angles in degrees; and the columns of each bone's degrees of freedom."""
    lines = Lines(file, ",()", "#")
    names = [name for bone in skeleton.bones for name in bone.dof]
    ends = accumulate(len(bone.dof) for bone in skeleton.bones)
    columns = {bone.name: range(end - len(bone.dof), end) for bone, end in zip(skeleton.bones, ends, strict=True)}
    degrees = skeleton.degrees
    rows: list[list[float]] = []
    waiting: set[str] = set()  # bones that the frame has not had yet
    for words in lines:
        name = words[0]
        if name.startswith(":"):
            if name.upper() in (":DEGREES", ":RADIANS"):
                degrees = name.upper() == ":DEGREES"
        elif len(words) == 1 and name.isdecimal():
            if waiting:
                break
            rows.append([math.nan] * len(names))
            waiting = {bone for bone, held in columns.items() if held}
        else:
            if name not in waiting:
                raise lines.error(words, f"the number of a frame, or a bone of {skeleton.name} once a frame")
            waiting.remove(name)
            held = columns[name]
            try:  # `lines.floats` would take most of the time
                values = [float(word) for word in words[1:]]
            except ValueError:
                values = []
            if len(values) != len(held) or not all(map(math.isfinite, values)):
                raise lines.error(words, f"{len(held)} numbers for {name}")
            rows[-1][held.start : held.stop] = values
    if not rows:
        raise ReadError(f"{file.name}: holds no frames; expected an AMC motion.")
    if waiting:
        lacking = next(bone for bone in columns if bone in waiting)
        problem = f"frame {len(rows)} lacks {lacking!r}"
        raise ReadError(f"{file.name}: {problem}; the file is truncated or belongs to another .asf.")
    channels = np.array(rows)
    if not degrees:
        turns = [column for column, name in enumerate(names) if name in _TURNS]
        channels[:, turns] = np.degrees(channels[:, turns])
    return channels, list(columns.values())
