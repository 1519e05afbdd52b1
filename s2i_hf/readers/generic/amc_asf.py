"""Motion capture in Acclaim's ASF and AMC, the formats of CMU and HDM05: bones of a subject, and their angles in every frame.

The ASF file gives each bone a direction, a length, an axis and its degrees of freedom; the AMC file the angles, and place and
orientation of the root. A joint here is the far end of its bone, or the root; rotations are about fixed axes, first x, then y,
then z for the usual order XYZ: R = C M C^-1 with M the motion and C the axis of the bone.

Lengths of CMU and HDM05 are in inches, scaled by the `length` of the ASF file (0.45): metres are value / 0.45 * 0.0254 (CMU's FAQ).
Format after Acclaim's "Skeleton File Definition V1.10" (1995). Files may have latin-1 names in them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ...processing.layouts import LAYOUTS
from ...processing.skeleton_layout import SkeletonLayout
from ..raw_files import RawFile, ReadError, read_bytes
from .bvh import named_layout, pick
from .kinematics import in_blocks, positions, rotations

_INCH = 0.0254  # metres
_MAX_BONES = 1000
_MAX_BYTES = 64 << 20
_TURNS = ("rx", "ry", "rz")


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

    def index(self, bone: str) -> int | None:
        return next((index for index, known in enumerate(self.bones) if known.name == bone), None)


def select(files: Sequence[RawFile]) -> tuple[list[RawFile], dict[str, list[str]]]:
    """Give every AMC file the ASF file of its subject: `07_01.amc` goes with `07.asf`, `HDM_bd_x.amc` with `HDM_bd.asf`.

    It is looked for in the same folder, then anywhere: the longest name that the AMC's begins with, else the only one there.

    Returns:
        The AMC files with their ASF file as companion, and {reason: names} of those without one.
    """
    skeletons = [file for file in files if _ends(file, ".asf")]
    paired, alone = [], []
    for file in files:
        if not _ends(file, ".amc"):
            continue
        near = [other for other in skeletons if (other.path.parent, other.folders) == (file.path.parent, file.folders)]
        found = next((found for there in (near, skeletons) if (found := _belongs(file, there)) is not None), None)
        if found is None:
            alone.append(file.name)
        else:
            paired.append(file.with_companions(found))
    return paired, {"no .asf file belongs to it": sorted(alone)} if alone else {}


def _belongs(file: RawFile, skeletons: Sequence[RawFile]) -> RawFile | None:
    named = [other for other in skeletons if file.stem.startswith(other.stem)]
    if named:
        return max(named, key=lambda other: (len(other.stem), str(other)))
    return skeletons[0] if len(skeletons) == 1 else None


def _ends(file: RawFile, suffix: str) -> bool:
    return file.name.removesuffix(".gz").lower().endswith(suffix)


def read_joints(file: RawFile, layout: SkeletonLayout, metres: bool = True) -> np.ndarray:
    """Read a clip, the AMC file with its ASF file as companion, and pick the joints of a layout by name.

    Args:
        file: The AMC file.
        layout: Joint format; "cmu_31" holds all joints of CMU and HDM05.
        metres: Apply the scale of CMU and HDM05; False: numbers as in the files.

    Returns:
        (T, 1, V, 3) float64, y up.

    Raises:
        ReadError: one of the files is damaged, they do not belong together, or a joint of the layout is not there; names
            the line.
    """
    skeleton = _read_skeleton(file)
    picked = pick([bone.name for bone in skeleton.bones], layout, file.name)
    channels, columns = _read_motion(file, skeleton)
    parents = [bone.parent for bone in skeleton.bones]

    def pose(block: np.ndarray) -> np.ndarray:
        local = np.empty((len(block), len(parents), 3, 3))
        offsets = np.empty((len(block), len(parents), 3))
        for index, bone in enumerate(skeleton.bones):
            turns = [name for name in bone.dof if name in _TURNS]
            # about fixed axes the first one is applied first, so it stands last in the product
            motion = rotations(
                "".join(name[1] for name in reversed(turns)), _angles(block, columns[index], bone, turns)
            )
            local[:, index] = bone.axis @ motion @ bone.axis.T
            offsets[:, index] = local[:, index] @ (bone.direction * bone.length)
        moves = [columns[0][skeleton.bones[0].dof.index(name)] for name in ("tx", "ty", "tz")]
        offsets[:, 0] = block[:, moves] + skeleton.position
        return positions(parents, local, offsets)[:, picked]

    scale = _INCH / skeleton.unit if metres else 1.0
    return in_blocks(pose, channels)[:, None] * scale


def _angles(block: np.ndarray, columns: Sequence[int], bone: _Bone, turns: Sequence[str]) -> np.ndarray:
    return block[:, [columns[bone.dof.index(name)] for name in reversed(turns)]]


def read_layout(file: RawFile) -> SkeletonLayout:
    """The layout that the bones of an AMC file's skeleton make: "cmu_31" if they are its joints, else one of their names.

    Raises:
        ReadError: no such skeleton, or names that do not say which part of the body a bone belongs to.
    """
    bones = _read_skeleton(file).bones
    if {bone.name for bone in bones} == set(LAYOUTS["cmu_31"].joint_names):
        return LAYOUTS["cmu_31"]
    return named_layout("asf", [bone.name for bone in bones], [bone.parent for bone in bones], file.name)


# -- the skeleton ------------------------------------------------------------------------------------------------------


class _Words:
    """Lines as words, with their numbers; commas and brackets are blanks, # begins a comment."""

    def __init__(self, file: RawFile) -> None:
        self.name = file.name
        data = read_bytes(file)
        if len(data) > _MAX_BYTES:
            raise ReadError(f"{file.name}: {len(data) >> 20} MB; expected one clip, of at most {_MAX_BYTES >> 20} MB.")
        text = data.decode("latin-1").translate(str.maketrans(",()", "   "))
        self.lines: Iterator[tuple[int, list[str]]] = (
            (number, words)
            for number, line in enumerate(text.split("\n"), 1)
            if (words := line.partition("#")[0].split())
        )

    def error(self, number: int, words: Sequence[str], expected: str) -> ReadError:
        return ReadError(f"{self.name}: line {number}: {' '.join(words)[:60]!r}; expected {expected}.")

    def floats(self, number: int, words: Sequence[str], count: int, expected: str) -> np.ndarray:
        try:
            numbers = np.array([float(word) for word in words])
        except ValueError:
            numbers = np.empty(0)
        if len(numbers) != count or not np.isfinite(numbers).all():
            raise self.error(number, words, expected)
        return numbers


def _read_skeleton(file: RawFile) -> _Skeleton:
    if not file.companions:
        raise ReadError(f"{file.name}: no .asf file was found for it; put the subject's skeleton beside it.")
    words = _Words(file.companions[0])
    root = _Bone("root", dof=("tx", "ty", "tz", "rx", "ry", "rz"))
    skeleton = _Skeleton(words.name, [root])
    sections: dict[str, list[tuple[int, list[str]]]] = {}
    section: list[tuple[int, list[str]]] = []
    for number, line in words.lines:
        if line[0].startswith(":"):
            section = sections.setdefault(line[0].lower(), [])
        else:
            section.append((number, line))
    for needed in (":bonedata", ":hierarchy"):
        if needed not in sections:
            raise ReadError(f"{words.name}: has no section {needed}; expected an ASF skeleton. Is it truncated?")
    for number, line in sections.get(":units", []):
        if line[0] == "length":
            skeleton.unit = float(words.floats(number, line[1:], 1, "the scale of lengths")[0])
            if not 1e-6 < skeleton.unit < 1e6:
                raise words.error(number, line, "a scale of lengths above zero")
        elif line[0] == "angle":
            skeleton.degrees = line[1:2] != ["rad"]
    _read_root(words, sections.get(":root", []), skeleton)
    _read_bones(words, sections[":bonedata"], skeleton)
    _read_tree(words, sections[":hierarchy"], skeleton)
    return skeleton


def _read_root(words: _Words, lines: Sequence[tuple[int, list[str]]], skeleton: _Skeleton) -> None:
    for number, line in lines:
        if line[0] == "order":
            dof = tuple(word.lower() for word in line[1:])
            if sorted(dof) != sorted(skeleton.bones[0].dof):
                raise words.error(number, line, "order and TX TY TZ RX RY RZ in some order")
            skeleton.bones[0].dof = dof
        elif line[0] == "position":
            skeleton.position = words.floats(number, line[1:], 3, "position and three numbers")
        elif line[0] == "orientation" and words.floats(number, line[1:], 3, "orientation and three numbers").any():
            raise words.error(number, line, "orientation 0 0 0, the only one that is understood")


def _read_bones(words: _Words, lines: Sequence[tuple[int, list[str]]], skeleton: _Skeleton) -> None:
    bone: _Bone | None = None
    for number, line in lines:
        key = line[0].lower()
        if key == "begin":
            bone = _Bone()
            continue
        if bone is None:
            raise words.error(number, line, "begin")
        if key == "end":
            if not bone.name or skeleton.index(bone.name) is not None or len(skeleton.bones) == _MAX_BONES:
                raise words.error(
                    number, line, f"each bone to have a name of its own, and at most {_MAX_BONES} of them"
                )
            skeleton.bones.append(bone)
            bone = None
        elif key == "name" and len(line) == 2:
            bone.name = line[1]
        elif key == "direction":
            bone.direction = words.floats(number, line[1:], 3, "direction and three numbers")
            norm = np.linalg.norm(bone.direction)
            if not 0.5 < norm < 2:
                raise words.error(number, line, "a direction of length 1")
        elif key == "length":
            bone.length = float(words.floats(number, line[1:], 1, "length and a number")[0])
        elif key == "axis":
            angles = words.floats(number, line[1:4], 3, "axis, three angles and their order")
            order = line[4].lower() if len(line) == 5 else ""
            if sorted(order) != ["x", "y", "z"]:
                raise words.error(number, line, "axis, three angles and their order, such as XYZ")
            angles = angles if skeleton.degrees else np.degrees(angles)
            by_axis = dict(zip("xyz", angles, strict=True))
            bone.axis = rotations(order[::-1], np.array([by_axis[axis] for axis in reversed(order)]))
        elif key == "dof":
            bone.dof = tuple(word.lower() for word in line[1:])
            if len(set(bone.dof)) != len(bone.dof) or not set(bone.dof) <= set(_TURNS):
                raise words.error(number, line, "dof and some of rx ry rz, the degrees of freedom that are understood")
    if bone is not None:
        raise ReadError(f"{words.name}: bone {bone.name!r} has no end; the file is truncated.")


def _read_tree(words: _Words, lines: Sequence[tuple[int, list[str]]], skeleton: _Skeleton) -> None:
    placed = {0}
    for number, line in lines:
        if line[0].lower() in ("begin", "end") and len(line) == 1:
            continue
        parent = skeleton.index(line[0])
        for name in line[1:]:
            child = skeleton.index(name)
            if parent is None or parent not in placed or child is None or child in placed:
                raise words.error(
                    number, line, "a bone and the bones that begin where it ends, each once, from the root on"
                )
            skeleton.bones[child].parent = parent
            placed.add(child)
    if len(placed) != len(skeleton.bones):
        loose = next(bone.name for index, bone in enumerate(skeleton.bones) if index not in placed)
        raise ReadError(f"{words.name}: bone {loose!r} is nowhere in :hierarchy; the file is truncated or damaged.")


# -- the motion --------------------------------------------------------------------------------------------------------


def _read_motion(file: RawFile, skeleton: _Skeleton) -> tuple[np.ndarray, list[list[int]]]:
    """(T, C) float64, angles in degrees; and the columns of each bone's degrees of freedom."""
    words = _Words(file)
    columns: list[list[int]] = []
    for bone in skeleton.bones:
        start = sum(map(len, columns))
        columns.append(list(range(start, start + len(bone.dof))))
    width = sum(map(len, columns))
    by_name = {bone.name: index for index, bone in enumerate(skeleton.bones)}
    degrees = skeleton.degrees
    rows: list[list[float]] = []
    waiting: set[int] = set()  # bones that the frame has not had yet
    moving = {index for index, held in enumerate(columns) if held}
    for number, line in words.lines:
        name = line[0]
        if name.startswith(":"):
            if name.upper() in (":DEGREES", ":RADIANS"):
                degrees = name.upper() == ":DEGREES"
        elif len(line) == 1 and name.isdecimal():
            if waiting:
                break
            rows.append([math.nan] * width)
            waiting = set(moving)
        else:
            index = by_name.get(name, -1)
            if index not in waiting:
                raise words.error(number, line, f"the number of a frame, or a bone of {skeleton.name} once a frame")
            waiting.remove(index)
            held = columns[index]
            try:
                values = [float(word) for word in line[1:]]
            except ValueError:
                values = []
            if len(values) != len(held) or not all(map(math.isfinite, values)):
                raise words.error(number, line, f"{len(held)} numbers for {name}")
            rows[-1][held[0] : held[-1] + 1] = values
    if not rows:
        raise ReadError(f"{file.name}: holds no frames; expected an AMC motion.")
    if waiting:
        lacking = skeleton.bones[min(waiting)].name
        raise ReadError(
            f"{file.name}: frame {len(rows)} lacks {lacking!r}; the file is truncated or belongs to another .asf."
        )
    channels = np.array(rows)
    if not degrees:
        turns = [column for bone, held in zip(skeleton.bones, columns, strict=True)
                 for name, column in zip(bone.dof, held, strict=True) if name in _TURNS]  # fmt: skip
        channels[:, turns] = np.degrees(channels[:, turns])
    return channels, columns
