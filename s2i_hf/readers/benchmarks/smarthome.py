"""Toyota Smarthome skeletons (LCR-Net, 13 joints) as JSON, versions 1.0 and 1.1.

    {"njts": 13, "frames": [[{"pose2d": 26 numbers, "pose3d": 39 numbers, "cumscore": 12.3}, ...], [], ...]}

A frame is a list of detected people and may be empty; `cumscore` came with 1.1. Numbers are coordinate-major: 13 x, 13 y,
13 z. Not checked against real files: metres, and y up, are what the drawings of the LCR-Net demo imply.
"""

from __future__ import annotations

import numpy as np

from ...processing.skeleton_sequence import SkeletonSequence
from ..raw_files import FileLike, RawFile, ReadError, read_json
from . import only_clip

_NUM_JOINTS = 13
_MAX_FRAMES = 1_000_000  # the longest clips have 4,000


def read(file: FileLike, denoise: bool = True) -> SkeletonSequence:
    """Read one recording, such as `Cook.Cleandishes_p02_r00_v03_c03.json`: joints (T, 1, 13, 3).

    They are in every frame those of the detection with the highest `cumscore`, or the first one where there is no score (these people
    live alone; who is detected besides is mostly an error). Frames without one are NaN, and stay, because clips are timed by them.
    Raises ReadError, which names the frame, for another JSON, other than 39 finite numbers, or nobody in any frame.
    """
    path = RawFile.of(file)
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("frames"), list):
        raise ReadError(f"{path.name}: expected an object with 'njts' and 'frames', as Smarthome files have.")
    if content.get("njts", _NUM_JOINTS) != _NUM_JOINTS:
        raise ReadError(f"{path.name}: njts is {str(content['njts'])[:40]}; expected {_NUM_JOINTS}, those of LCR-Net.")
    frames = content["frames"]
    if not 1 <= len(frames) <= _MAX_FRAMES:
        raise ReadError(f"{path.name}: 'frames' has {len(frames):,} frames; expected 1 to {_MAX_FRAMES:,}.")
    joints = np.full((len(frames), _NUM_JOINTS, 3), np.nan, dtype=np.float32)
    for index, detections in enumerate(frames):
        where = f"{path.name}: frame {index + 1} of {len(frames)}"
        if not isinstance(detections, list) or not all(isinstance(detection, dict) for detection in detections):
            raise ReadError(f"{where} is no list of detections.")
        if detections:
            joints[index] = _pose(max(detections, key=_score), where).reshape(3, _NUM_JOINTS).T
    return only_clip("smarthome", path, joints)


def _score(detection: dict[str, object]) -> float:
    """How sure the detector is; the same for all without a score, so that the first one is taken."""
    score = detection.get("cumscore")
    return score if isinstance(score, float | int) and score == score else float("-inf")


def _pose(detection: dict[str, object], where: str) -> np.ndarray:
    """(39,) float32."""
    pose = detection.get("pose3d")
    if not isinstance(pose, list) or len(pose) != 3 * _NUM_JOINTS:
        count = len(pose) if isinstance(pose, list) else "no"
        raise ReadError(f"{where}: 'pose3d' has {count} numbers; expected {3 * _NUM_JOINTS}.")
    for value in pose:
        if type(value) not in (float, int) or not abs(value) < 3e38:
            raise ReadError(f"{where}: 'pose3d' holds {str(value)[:40]!r}; expected numbers of metres.")
    return np.array(pose, dtype=np.float32)
