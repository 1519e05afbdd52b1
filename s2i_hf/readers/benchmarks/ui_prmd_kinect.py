"""UI-PRMD by Kinect v2 (22 joints): bone offsets and angles in two files a recording, joined by forward kinematics.

Positions are centimetres: the waist in the room, every other joint as its offset from the joint before, in the frame of that
joint. Angles are degrees about x, y and z of each joint's frame, relative to the joint before. So, from the waist outwards,

    R_j = R_parent Rz Rx Ry        p_j = p_parent + R_parent offset_j

The order z x y is not that of the animation script which comes with the data (z y x; its arms moreover begin without the
turn of waist and spine): with it, standing feet slide by 9 cm and joints are 11.5 cm from the Vicon markers of the same
recordings (after rigid alignment, mean over 60 of them), against 1.7 cm and 7.9 cm, the least of all orders, with z x y.

The files have x to the left of the person, y up from the floor, z towards the camera; half a turn about y makes this the
Kinect frame of the other data sets, with z away from the camera.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from ...processing.layouts import LAYOUTS
from ...processing.skeleton_sequence import SkeletonSequence
from ...protocols import parse_name
from ..number_text import read_table
from ..raw_files import RawFile, ReadError, check_metres
from .ui_prmd import positions, sample_id

__all__ = ["forward_kinematics", "read", "sample_id", "select"]

_LAYOUT = LAYOUTS["ui_prmd_22"]
_TO_METRES = np.array([-0.01, 0.01, -0.01])  # centimetres, and half a turn about y


def select(files: Sequence[RawFile]) -> tuple[list[RawFile], dict[str, list[str]]]:
    """Positions, each with its angles as companion: those in the folder beside it, where there are several."""
    found, angles, left_out = positions(files, "kinect")
    by_id: dict[str, list[RawFile]] = {}
    for file in angles:
        by_id.setdefault(file.stem.removesuffix("_angles"), []).append(file)
    chosen = []
    for file in found:
        candidates = by_id.pop(sample_id(file), [])
        near = [other for other in candidates if other.folders[:-1] == file.folders[:-1]]
        chosen.append(file.with_companions((near or candidates)[0]) if candidates else file)
    if by_id:
        left_out["angles without positions"] = [file.name for files in by_id.values() for file in files]
    return chosen, left_out


def read(file: str | Path | RawFile, denoise: bool = True) -> SkeletonSequence:
    """Read one execution of an exercise.

    Args:
        file: A file such as `Positions/m01_s01_e01_positions.txt`; the angles are its companion, else
            `m01_s01_e01_angles.txt` beside it or in the folder `Angles` beside its own.
        denoise: For the signature all readers share; these files hold one person and nothing to remove.

    Returns:
        joints (T, 1, 22, 3) in metres, neither centred nor scaled; y is the height above the floor.

    Raises:
        ReadError: lines that are no 66 finite numbers, no angles, or another number of frames in them.
    """
    file = RawFile.of(file)
    beside = file.companions[0] if file.companions else _beside(file)
    values = 3 * _LAYOUT.num_joints
    offsets = read_table(file, values, "x y z of 22 joints, with commas", b",")
    angles = read_table(beside, values, "three angles of 22 joints, with commas", b",")
    if len(offsets) != len(angles):
        raise ReadError(f"{file.name}: {len(offsets)} frames, but {len(angles)} in {beside.name}; expected as many.")
    shape = (-1, _LAYOUT.num_joints, 3)
    joints = forward_kinematics(offsets.reshape(shape), angles.reshape(shape)) * _TO_METRES
    check_metres(joints, file.name)
    name = parse_name("ui_prmd_kinect", sample_id(file))
    return SkeletonSequence(
        joints=joints[:, None],
        layout=_LAYOUT,
        label=name.action - 1 if name else -1,
        subject=name.subject if name else -1,
        sample_id=sample_id(file),
    )


def forward_kinematics(offsets: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Absolute positions from bone offsets and joint angles.

    Args:
        offsets: (T, 22, 3): the waist itself, and each other joint in the frame of its parent.
        angles: (T, 22, 3) degrees about x, y, z.

    Returns:
        (T, 22, 3) in the unit and the axes of the waist.
    """
    turns = _rotations(angles)
    joints = offsets.copy()
    for joint, parent in enumerate(_LAYOUT.parents):  # parents come first
        if parent >= 0:
            joints[:, joint] = joints[:, parent] + np.einsum("tij,tj->ti", turns[:, parent], offsets[:, joint])
            turns[:, joint] = turns[:, parent] @ turns[:, joint]
    return joints


def _rotations(angles: np.ndarray) -> np.ndarray:
    """(..., 3, 3) matrices Rz Rx Ry, from (..., 3) degrees about x, y, z."""
    radians = np.radians(angles)
    (sx, sy, sz), (cx, cy, cz) = (np.moveaxis(part, -1, 0) for part in (np.sin(radians), np.cos(radians)))
    rows = [
        [cz * cy - sz * sx * sy, -sz * cx, cz * sy + sz * sx * cy],
        [sz * cy + cz * sx * sy, cz * cx, sz * sy - cz * sx * cy],
        [-cx * sy, sx, cx * cy],
    ]
    return np.moveaxis(np.array(rows), (0, 1), (-2, -1)).copy()


def _beside(file: RawFile) -> RawFile:
    """The angles of a file that came without companion."""
    pure = PurePosixPath(file.member) if file.member else file.path
    name = file.name.replace("_positions", "_angles")
    for folder in (pure.parent, pure.parent.parent / "Angles"):
        path = folder / name
        if name == file.name:
            break
        if file.member:
            candidate = replace(RawFile(file.path), member=str(path))
            try:
                candidate.read()
            except ReadError:
                continue
            return candidate
        if Path(path).is_file():
            return RawFile(Path(path))
    raise ReadError(
        f"{file.name}: no angles ({name}) with it; expected them in a folder Angles, because its positions are offsets."
    )
