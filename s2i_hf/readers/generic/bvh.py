"""Motion capture in BVH: a tree of joints with offsets, and the angles of every frame; positions by forward kinematics.

    HIERARCHY
    ROOT Hips
    {
      OFFSET 0.0 0.0 0.0
      CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
      JOINT LeftUpLeg
      { ... End Site { OFFSET 0.0 -4.1 0.0 } }
    }
    MOTION
    Frames: 120
    Frame Time: 0.00833
    0.1 0.9 ...

Rotations apply in the order of the channels (the last one first, on a column vector); a position channel takes the place of
that part of the offset. End Sites have no name and are no joints. BVH says nothing about units: many files are in centimetres.
Format after Meredith and Maddock, "Motion Capture File Formats Explained" (University of Sheffield, 2001).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ...processing.skeleton_layout import SkeletonLayout
from ...processing.suggestions import did_you_mean
from ..raw_files import RawFile, ReadError, read_bytes
from .csv_files import joint_key
from .kinematics import in_blocks, positions, rotations

_MAX_JOINTS = 1000
_MAX_BYTES = 64 << 20
_CHANNEL = re.compile(r"([XYZ])(position|rotation)", re.IGNORECASE)


@dataclass
class _Joint:
    name: str
    parent: int
    offset: np.ndarray = field(default_factory=lambda: np.zeros(3))
    moves: list[tuple[int, int]] = field(default_factory=list)  # (axis, column) of each position channel
    turns: list[int] = field(default_factory=list)  # columns of the rotation channels
    axes: str = ""


class _Lines:
    """Lines with something on them, and their numbers."""

    def __init__(self, file: RawFile) -> None:
        data = read_bytes(file)
        if len(data) > _MAX_BYTES:
            raise ReadError(f"{file.name}: {len(data) >> 20} MB; expected one clip, of at most {_MAX_BYTES >> 20} MB.")
        self.lines: Iterator[tuple[int, str]] = (
            (number, line.strip()) for number, line in enumerate(data.decode("latin-1").split("\n"), 1) if line.strip()
        )
        self.name, self.number = file.name, 0

    def take(self, expected: str) -> str:
        for number, line in self.lines:
            self.number = number
            return line
        raise ReadError(f"{self.name}: ends after line {self.number}; expected {expected}. The file is truncated.")

    def error(self, got: str, expected: str) -> ReadError:
        return ReadError(f"{self.name}: line {self.number}: {got[:60]!r}; expected {expected}.")

    def floats(self, words: Sequence[str], count: int, expected: str) -> np.ndarray:
        try:
            numbers = np.array([float(word) for word in words])
        except ValueError:
            numbers = np.empty(0)
        if len(numbers) != count or not np.isfinite(numbers).all():
            raise self.error(" ".join(words), expected)
        return numbers


def read_joints(file: RawFile, layout: SkeletonLayout) -> np.ndarray:
    """Read a clip and pick the joints of a layout by name ("LeftArm", "left_arm" and "mixamorig:LeftArm" are one).

    Returns:
        (T, 1, V, 3) float64, in the unit of the file.

    Raises:
        ReadError: no BVH, damaged, or without a joint of the layout; names the line.
    """
    lines = _Lines(file)
    joints, columns = _hierarchy(lines)
    picked = pick([joint.name for joint in joints], layout, file.name)
    channels = _motion(lines, columns)
    parents = [joint.parent for joint in joints]

    def pose(block: np.ndarray) -> np.ndarray:
        offsets = np.tile(np.array([joint.offset for joint in joints]), (len(block), 1, 1))
        local = np.empty((len(block), len(joints), 3, 3))
        for index, joint in enumerate(joints):
            local[:, index] = rotations(joint.axes, block[:, joint.turns])
            for axis, column in joint.moves:
                offsets[:, index, axis] = block[:, column]
        return positions(parents, local, offsets)[:, picked]

    return in_blocks(pose, channels)[:, None]


def read_layout(file: RawFile) -> SkeletonLayout:
    """The layout that the joints of a file make: their names and tree, parts and mirror pairs read off the names.

    Raises:
        ReadError: no BVH, or names that do not say which part of the body a joint belongs to.
    """
    joints, _ = _hierarchy(_Lines(file))
    return named_layout("bvh", [joint.name for joint in joints], [joint.parent for joint in joints], file.name)


def named_layout(kind: str, names: Sequence[str], parents: Sequence[int], file: str) -> SkeletonLayout:
    """A layout named after what is in it, so that the same skeleton is called the same wherever it is found.

    Raises:
        ReadError: the names do not say which part of the body a joint belongs to.
    """
    digest = hashlib.sha256(repr((tuple(names), tuple(parents))).encode()).hexdigest()[:8]
    try:
        return SkeletonLayout(f"{kind}_{len(names)}_{digest}", tuple(names), tuple(parents), source=f"joints of {file}")
    except ValueError as error:
        raise ReadError(f"{file}: {error} Or pass layout=, a layout with joints of this file.") from None


def pick(names: Sequence[str], layout: SkeletonLayout, file: str) -> list[int]:
    """Where the joints of a layout are among `names`. Raises ReadError if one is not there."""
    found = {joint_key(name): index for index, name in reversed(list(enumerate(names)))}
    for joint in layout.joint_names:
        if joint_key(joint) not in found:
            hint = did_you_mean(joint, names)
            raise ReadError(f"{file}: has no joint {joint!r}, which layout {layout.name!r} needs.{hint}")
    return [found[joint_key(joint)] for joint in layout.joint_names]


def _hierarchy(lines: _Lines) -> tuple[list[_Joint], int]:
    """The joints, parents first, and the number of channels; up to the line MOTION."""
    if lines.take("HIERARCHY").upper() != "HIERARCHY":
        raise ReadError(f"{lines.name}: line {lines.number}: does not begin with HIERARCHY; expected a BVH file.")
    joints: list[_Joint] = []
    open_joints: list[int] = []  # -1 for an End Site
    columns = 0
    while True:
        line = lines.take("a joint or }")
        words = line.split()
        key = words[0].upper()
        if key in ("ROOT", "JOINT"):
            if (key == "ROOT") == bool(joints) or (key == "JOINT" and not (open_joints and open_joints[-1] >= 0)):
                raise lines.error(line, "one ROOT, and every JOINT inside it")
            if len(joints) == _MAX_JOINTS:
                raise lines.error(line, f"at most {_MAX_JOINTS} joints")
            joints.append(_Joint(" ".join(words[1:]).removesuffix("{").strip(), open_joints[-1] if open_joints else -1))
            open_joints.append(len(joints) - 1)
            _brace(lines, line)
        elif key == "END":
            open_joints.append(-1)
            _brace(lines, line)
        elif key == "OFFSET" and open_joints:
            offset = lines.floats(words[1:4], 3, "OFFSET and three numbers")
            if open_joints[-1] >= 0:
                joints[open_joints[-1]].offset = offset
        elif key == "CHANNELS" and open_joints and open_joints[-1] >= 0:
            columns = _channels(lines, words, joints[open_joints[-1]], columns)
        elif key == "}" and open_joints:
            open_joints.pop()
        elif key == "MOTION" and joints and not open_joints:
            return joints, columns
        else:
            raise lines.error(
                line, "JOINT, OFFSET, CHANNELS, End Site or a closing brace, and MOTION after the last one"
            )


def _brace(lines: _Lines, line: str) -> None:
    if not line.endswith("{") and (got := lines.take("{")) != "{":
        raise lines.error(got, "{")


def _channels(lines: _Lines, words: Sequence[str], joint: _Joint, columns: int) -> int:
    names = words[2:]
    matches = [_CHANNEL.fullmatch(name) for name in names]
    if len(words) < 2 or words[1] != str(len(names)) or None in matches or len(names) > 6 or joint.axes or joint.moves:
        raise lines.error(" ".join(words), "CHANNELS, their number and names such as Zrotation, once a joint")
    for match in matches:
        assert match is not None
        if match[2].lower() == "position":
            joint.moves.append(("XYZ".index(match[1].upper()), columns))
        else:
            joint.axes += match[1].upper()
            joint.turns.append(columns)
        columns += 1
    return columns


def _motion(lines: _Lines, columns: int) -> np.ndarray:
    """(T, columns) float64."""
    line = lines.take("Frames: and their number")
    match = re.fullmatch(r"Frames:\s*(\d{1,9})", line, re.IGNORECASE)
    if match is None or int(match[1]) < 1 or columns < 1:
        raise lines.error(line, "Frames: and their number, at least 1, and joints with channels")
    count = int(match[1])
    line = lines.take("Frame Time:")
    if not re.match(r"Frame Time:", line, re.IGNORECASE):
        raise lines.error(line, "Frame Time: and the seconds between two frames")
    rows: list[np.ndarray] = []
    for _ in range(count):
        words = lines.take(f"{count} frames, and found {len(rows)}").split()
        if len(words) != columns:
            raise ReadError(
                f"{lines.name}: line {lines.number}: frame {len(rows) + 1} has {len(words)} numbers; expected {columns}, one "
                "a channel."
            )
        rows.append(lines.floats(words, columns, f"{columns} numbers"))
    for number, extra in lines.lines:
        raise ReadError(f"{lines.name}: line {number}: {extra[:40]!r} follows the last of {count} frames.")
    return np.array(rows)
