"""UI-PRMD rehabilitation exercises, by Kinect and by Vicon: two readers, `ui_prmd_kinect` and `ui_prmd_vicon`.

    Segmented Movements/Kinect/Positions/m01_s01_e01_positions.txt    comma-separated, a line a frame
    Segmented Movements/Kinect/Angles/m01_s01_e01_angles.txt
    Segmented Movements/Vicon/...                                     files of the same names
    Incorrect Segmented Movements/.../m01_s01_e01_positions_inc.txt   exercises done wrong on purpose

Exercise m01-m10, subject, repetition (episode). The incorrect executions are left out: they are for judging quality, and
share their numbers with the correct ones.

Kinect v2 has 22 joints, bone offsets and angles in two files. Positions are centimetres: the waist in the room, every other joint as
its offset from the joint before, in the frame of that joint. Angles are degrees about x, y and z of each joint's frame, relative
to the joint before. So, from the waist outwards,

    R_j = R_parent Rz Rx Ry        p_j = p_parent + R_parent offset_j

The order z x y is not that of the animation script which comes with the data (z y x; its arms moreover begin without the
turn of waist and spine): with it, standing feet slide by 9 cm and joints are 11.5 cm from the Vicon markers of the same
recordings (after rigid alignment, mean over 60 of them), against 1.7 cm and 7.9 cm, the least of all orders, with z x y.
The files have x to the left of the person, y up from the floor, z towards the camera; half a turn about y makes this the
Kinect frame of the other data sets, with z away from the camera.

Vicon has the 39 markers of the Plug-in Gait model, absolute, in millimetres, 100 frames a second. The files have x ahead of the person,
y to the left and z up from the floor; a turn of the axes makes this the same frame, with a camera that the person faces. A marker
that was lost is 0 0 0 in the file; it is NaN here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from types import SimpleNamespace

import numpy as np

from ...processing.layouts import LAYOUTS
from ...processing.skeleton_sequence import SkeletonSequence
from ..generic.mocap.kinematics import positions, rotations
from ..number_text import read_table
from ..raw_files import FileLike, RawFile, ReadError
from . import Selected, only_clip, recording_name

_SENSORS = {"kinect", "vicon"}
_JOINTS, _MARKERS = LAYOUTS["ui_prmd_22"], LAYOUTS["vicon_39"]
_TO_METRES = np.array([-0.01, 0.01, -0.01])  # centimetres, and half a turn about y


def _of_sensor(files: Sequence[RawFile], sensor: str) -> tuple[list[RawFile], list[RawFile], dict[str, list[str]]]:
    """Files of one sensor, or in no folder named after one, with positions and with angles; and what was left out."""
    offsets: list[RawFile] = []
    angles: list[RawFile] = []
    incorrect, other = [], []
    for file in files:
        folders = {folder.lower() for folder in file.folders}
        if file.stem.endswith("_inc") or any(folder.startswith("incorrect") for folder in folders):
            incorrect.append(file.name)
        elif sensor not in folders and folders & _SENSORS:
            other.append(file.name)
        else:
            (angles if file.stem.endswith("_angles") else offsets).append(file)
    return offsets, angles, {"incorrect executions of the exercises": incorrect, "of the other sensor": other}


def select_kinect(files: Sequence[RawFile]) -> Selected:
    """Positions, each with its angles as companion: those in the folder beside it, where there are several."""
    offsets, angles, left_out = _of_sensor(files, "kinect")
    by_id: dict[str, list[RawFile]] = {}
    for file in angles:
        by_id.setdefault(file.stem.removesuffix("_angles"), []).append(file)
    chosen = []
    for file in offsets:
        candidates = by_id.pop(recording_name("ui_prmd_kinect", file), [])
        near = [other for other in candidates if other.folders[:-1] == file.folders[:-1]]
        chosen.append(file.with_companions((near or candidates)[0]) if candidates else file)
    left_out["angles without positions"] = [file.name for files in by_id.values() for file in files]
    return chosen, left_out


def read_kinect(file: FileLike, denoise: bool = True) -> SkeletonSequence:
    """Read one execution of an exercise, `Positions/m01_s01_e01_positions.txt`: joints (T, 1, 22, 3), y being the height above the floor.

    The angles are its companion, else `m01_s01_e01_angles.txt` beside it or in the folder `Angles` beside its own.

    Raises ReadError for lines that are no 66 finite numbers, no angles, or another number of frames in them.
    """
    file = RawFile.of(file)
    beside = file.companions[0] if file.companions else _beside(file)
    values = 3 * _JOINTS.num_joints
    offsets = read_table(file, values, "x y z of 22 joints, with commas", b",")
    angles = read_table(beside, values, "three angles of 22 joints, with commas", b",")
    if len(offsets) != len(angles):
        raise ReadError(f"{file.name}: {len(offsets)} frames, but {len(angles)} in {beside.name}; expected as many.")
    shape = (-1, _JOINTS.num_joints, 3)
    joints = forward_kinematics(offsets.reshape(shape), angles.reshape(shape)) * _TO_METRES
    return only_clip("ui_prmd_kinect", file, joints)


def forward_kinematics(offsets: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Absolute positions, (T, 22, 3), of the waist and offsets from joint to joint, and degrees about x, y, z of the turn Rz Rx Ry."""
    return positions(_JOINTS.parents, rotations("ZXY", angles[..., [2, 0, 1]]), offsets)


def _beside(file: RawFile) -> RawFile:
    """The angles of a file that came without companion."""
    name = file.name.replace("_positions", "_angles")
    place = PurePosixPath(file.member).parent if file.member else file.path.parent
    for folder in (place, place.parent / "Angles") if name != file.name else ():
        other = RawFile(file.path, str(folder / name)) if file.member else RawFile(Path(folder / name))
        try:
            other.read()
            return other
        except ReadError:
            continue
    expected = "expected them in a folder Angles, because its positions are offsets"
    raise ReadError(f"{file.name}: no angles ({name}) with it; {expected}.")


def select_vicon(files: Sequence[RawFile]) -> Selected:
    """Positions; the angles of joints, which are not needed here, are left out."""
    markers, angles, left_out = _of_sensor(files, "vicon")
    return markers, left_out | {"angles, which Vicon positions do not need": [file.name for file in angles]}


def read_vicon(file: FileLike, denoise: bool = True) -> SkeletonSequence:
    """Read one execution: joints (T, 1, 39, 3), y above the floor. Raises ReadError for other than 117 finite numbers, millimetres."""
    file = RawFile.of(file)
    markers = read_table(file, 3 * _MARKERS.num_joints, "x y z of 39 markers, with commas", b",")
    markers = markers.reshape(-1, _MARKERS.num_joints, 3)
    lost = (markers == 0).all(axis=2)
    joints = np.stack([-markers[..., 1], markers[..., 2], -markers[..., 0]], axis=-1) / 1000
    joints[lost] = np.nan
    return only_clip("ui_prmd_vicon", file, joints, millimetres=True)


ui_prmd_kinect = SimpleNamespace(read=read_kinect, select=select_kinect)
ui_prmd_vicon = SimpleNamespace(read=read_vicon, select=select_vicon)
