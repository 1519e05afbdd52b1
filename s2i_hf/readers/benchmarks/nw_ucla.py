"""NW-UCLA skeletons (Kinect v1, 20 joints, metres) as JSON, the form in which CTR-GCN and others distribute them.

    {"file_name": "a01_s01_e00_v01", "skeletons": T x 20 x 3 numbers, "label": 1}

Labels go from 1 to 10 (file actions a01-a06, a08, a09, a11, a12). One person a clip; clips of one frame occur, and in
two files single joints are zero because they were not seen: they are returned as they are.
"""

from __future__ import annotations

import numpy as np

from ...processing.skeleton_sequence import SkeletonSequence
from ...protocols import parse_name
from ...protocols.nw_ucla import ACTIONS
from ..raw_files import FileLike, RawFile, ReadError, check_finite, read_json
from . import only_clip

_NUM_JOINTS = 20


def read(file: FileLike, denoise: bool = True) -> SkeletonSequence:
    """Read one recording, such as `a01_s02_e03_v01.json`: joints (T, 1, 20, 3). The camera is the view.

    Raises ReadError, which names the frame, if it is no such JSON, its joints are not T x 20 x 3 finite numbers in metres, or its label
    is not 1..10 or not the one its name stands for.
    """
    path = RawFile.of(file)
    content = read_json(path)
    if not isinstance(content, dict) or not {"skeletons", "label"} <= content.keys():
        raise ReadError(f"{path.name}: expected an object with 'skeletons' and 'label', as NW-UCLA files have.")
    joints = _joints(content["skeletons"], path.name)
    label = content["label"]
    if type(label) is not int or not 1 <= label <= len(ACTIONS):
        raise ReadError(f"{path.name}: label is {str(label)[:40]!r}; expected a whole number from 1 to {len(ACTIONS)}.")
    name = parse_name("nw_ucla", path.stem)
    if name and name.action in ACTIONS and ACTIONS.index(name.action) != label - 1:
        raise ReadError(f"{path.name}: holds label {label}, but its name stands for {ACTIONS.index(name.action) + 1}.")
    return only_clip("nw_ucla", path, joints, label - 1)


def _joints(skeletons: object, file: str) -> np.ndarray:
    """(T, 20, 3) float32, checked."""
    if not isinstance(skeletons, list) or not skeletons:
        raise ReadError(f"{file}: 'skeletons' holds no frames; expected T x {_NUM_JOINTS} x 3 numbers.")
    try:
        numbers = np.array(skeletons)
    except ValueError:  # ragged
        numbers = np.empty(0)
    if numbers.ndim != 3 or numbers.shape[1:] != (_NUM_JOINTS, 3) or numbers.dtype.kind not in "fi":
        raise ReadError(f"{file}: {_problem(skeletons)}")
    with np.errstate(over="ignore"):
        joints = numbers.astype(np.float32)
    check_finite(joints, file)
    return joints


def _problem(skeletons: list[object]) -> str:
    """The first thing that keeps `skeletons` from being T x 20 x 3 numbers."""
    for index, frame in enumerate(skeletons):
        where = f"frame {index + 1} of {len(skeletons)}"
        if not isinstance(frame, list) or len(frame) != _NUM_JOINTS:
            count = len(frame) if isinstance(frame, list) else "no"
            return f"{where} has {count} joints; expected the {_NUM_JOINTS} of Kinect v1."
        for joint in frame:
            if not (isinstance(joint, list) and len(joint) == 3 and {*map(type, joint)} <= {float, int}):
                return f"{where} has a joint {str(joint)[:60]}; expected three numbers of metres."
    return "has a coordinate that no float can hold; the file is corrupt."
