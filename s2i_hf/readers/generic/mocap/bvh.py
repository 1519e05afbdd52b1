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
that part of the offset. End Sites have no name and are no joints. Several ROOTs with the same joints are people. BVH says nothing
about units, nor which axis is up: many files are in centimetres.
Format after Meredith and Maddock, "Motion Capture File Formats Explained" (University of Sheffield, 2001).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ....processing.skeleton_layout import SkeletonLayout
from ...raw_files import RawFile, ReadError
from ..raw_clip import RawClip
from .kinematics import Lines, in_blocks, positions, rotations

_MAX_JOINTS = 1000
_CHANNEL = re.compile(r"([XYZ])(position|rotation)", re.IGNORECASE)


@dataclass
class _Joint:
    name: str
    parent: int
    offset: np.ndarray = field(default_factory=lambda: np.zeros(3))
    moves: list[tuple[int, int]] = field(default_factory=list)  # (axis, column) of each position channel
    turns: list[int] = field(default_factory=list)  # columns of the rotation channels
    axes: str = ""


def read(file: RawFile, layout: SkeletonLayout | None = None) -> RawClip:
    """Read a clip: all joints; `layout` does not matter. Raises ReadError, which names the line, if it is no BVH, or damaged."""
    lines = Lines(file, remarks=("#", "//"))
    joints, columns = _hierarchy(lines)
    channels, seconds = _motion(lines, columns)
    parents = [joint.parent for joint in joints]

    def pose(block: np.ndarray) -> np.ndarray:
        offsets = np.tile(np.array([joint.offset for joint in joints]), (len(block), 1, 1))
        local = np.empty((len(block), len(joints), 3, 3))
        for index, joint in enumerate(joints):
            local[:, index] = rotations(joint.axes, block[:, joint.turns])
            for axis, column in joint.moves:
                offsets[:, index, axis] = block[:, column]
        return positions(parents, local, offsets)

    starts = [index for index, parent in enumerate(parents) if parent < 0]
    size = len(joints) // len(starts)
    names = [joint.name.rpartition(":")[2] if len(starts) > 1 else joint.name for joint in joints]
    for start in starts:
        tree = [parent - start for parent in parents[start + 1 : start + size]]
        if names[start : start + size] != names[:size] or tree != parents[1:size] or start % size:
            problem = f"ROOT {names[start]!r} has other joints than ROOT {names[0]!r}"
            raise ReadError(f"{file.name}: {problem}; export one skeleton a file, or people with the same joints.")
    placed = in_blocks(pose, channels).reshape(len(channels), len(starts), size, 3)
    fps = 1 / seconds if seconds > 0 else None
    return RawClip(placed, tuple(names[:size]), parents=tuple(parents[:size]), fps=fps)


def _hierarchy(lines: Lines) -> tuple[list[_Joint], int]:
    """The joints, parents first, and the number of channels; up to the line MOTION."""
    if [word.upper() for word in lines.take("HIERARCHY")] != ["HIERARCHY"]:
        raise ReadError(f"{lines.name}: line {lines.number}: does not begin with HIERARCHY; expected a BVH file.")
    joints: list[_Joint] = []
    open_joints: list[int] = []  # -1 for an End Site
    columns = 0
    while True:
        words = lines.take("a joint or }")
        key = words[0].upper()
        inside = bool(open_joints) and open_joints[-1] >= 0  # a joint, not an End Site
        if key in ("ROOT", "JOINT", "END"):
            if (key == "ROOT") == bool(open_joints) or (key != "ROOT" and not inside):
                raise lines.error(words, "a ROOT, and every JOINT inside one")
            if key != "END":
                if len(joints) == _MAX_JOINTS:
                    raise lines.error(words, f"at most {_MAX_JOINTS} joints")
                name = " ".join(words[1:]).removesuffix("{").strip()
                joints.append(_Joint(name, open_joints[-1] if open_joints else -1))
            open_joints.append(-1 if key == "END" else len(joints) - 1)
            if not words[-1].endswith("{") and (brace := lines.take("{")) != ["{"]:
                raise lines.error(brace, "{")
        elif key == "OFFSET" and open_joints:
            offset = lines.floats(words[1:4], 3, "OFFSET and three numbers")
            if inside:
                joints[open_joints[-1]].offset = offset
        elif key == "CHANNELS" and inside:
            columns = _channels(lines, words, joints[open_joints[-1]], columns)
        elif key == "}" and open_joints:
            open_joints.pop()
        elif key == "MOTION" and joints and not open_joints:
            return joints, columns
        else:
            raise lines.error(words, "JOINT, OFFSET, CHANNELS, End Site or }, and MOTION after the last one")


def _channels(lines: Lines, words: Sequence[str], joint: _Joint, columns: int) -> int:
    """Number of channels so far, with those of this joint."""
    names = words[2:]
    matches = [match for name in names if (match := _CHANNEL.fullmatch(name))]
    counted = words[1:2] == [str(len(names))] and len(matches) == len(names) <= 6
    if not counted or joint.axes or joint.moves:
        raise lines.error(words, "CHANNELS, their number and names such as Zrotation, once a joint")
    for column, match in enumerate(matches, columns):
        if match[2].lower() == "position":
            joint.moves.append(("XYZ".index(match[1].upper()), column))
        else:
            joint.axes += match[1].upper()
            joint.turns.append(column)
    return columns + len(names)


def _motion(lines: Lines, columns: int) -> tuple[np.ndarray, float]:
    """(T, columns) float64, and the seconds between two frames."""
    words = lines.take("Frames: and their number")
    match = re.fullmatch(r"Frames ?:? ?(\d{1,9})", " ".join(words), re.IGNORECASE)
    if match is None or int(match[1]) < 1 or columns < 1:
        raise lines.error(words, "Frames: and their number, at least 1, and joints with channels")
    count = int(match[1])
    words, expected = lines.take("Frame Time:"), "Frame Time: and the seconds between two frames"
    match = re.fullmatch(r"Frame ?Time ?:? ?(\S+)", " ".join(words), re.IGNORECASE)
    if match is None:
        raise lines.error(words, expected)
    seconds = float(lines.floats([match[1]], 1, expected)[0])
    rows: list[np.ndarray] = []
    for _ in range(count):
        words = lines.take(f"{count} frames, and found {len(rows)}")
        if len(words) != columns:
            problem = f"frame {len(rows) + 1} has {len(words)} numbers"
            raise ReadError(f"{lines.name}: line {lines.number}: {problem}; expected {columns}, one a channel.")
        rows.append(lines.floats(words, columns, f"{columns} numbers"))
    for extra in lines:
        raise lines.error(extra, f"nothing after the last of {count} frames")
    return np.array(rows), seconds
