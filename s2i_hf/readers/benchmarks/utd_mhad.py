"""UTD-MHAD skeletons (Kinect v1, 20 joints, metres, y up) as MATLAB files: a variable `d_skel`, 20 x 3 x T.

The joints are in the order of the layout "utd_mhad" (head first), as the list that comes with the data says. One person a
clip, every joint always there.
"""

from __future__ import annotations

import numpy as np

from ...processing.skeleton_sequence import SkeletonSequence
from ..mat_files import read_array
from ..raw_files import FileLike, RawFile, ReadError, check_finite, read_bytes
from . import only_clip

_VARIABLE = "d_skel"
_NUM_JOINTS = 20
_TOO_LARGE = 1e6  # metres


def read(file: FileLike, denoise: bool = True) -> SkeletonSequence:
    """Read one recording: joints (T, 1, 20, 3). Raises ReadError if it is no MATLAB 5 file with finite `d_skel` in metres."""
    file = RawFile.of(file)
    array = read_array(read_bytes(file, text=False), _VARIABLE, file.name)
    if array.ndim == 2:
        array = array[..., None]  # MATLAB drops a last axis of length 1: a clip of one frame
    if array.ndim != 3 or array.shape[:2] != (_NUM_JOINTS, 3) or not array.size:
        shape = " x ".join(map(str, array.shape))
        raise ReadError(f"{file.name}: {_VARIABLE} is {shape}; expected {_NUM_JOINTS} x 3 x frames.")
    joints = array.transpose(2, 0, 1).astype(np.float64)
    check_finite(joints, file.name, _TOO_LARGE)
    return only_clip("utd_mhad", file, joints)
