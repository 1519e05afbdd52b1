"""SBU Kinect Interaction: two people, 15 joints each, in `s01s02/01/001/skeleton_pos.txt` (pair, action, sequence).

    frame,x,y,z,...    a line a frame: its number and 2 people x 15 joints x (x, y, z), normalised

The README of the dataset gives X = 1280 - 2560 x, Y = 960 - 1920 y and Z = 10000 z / 7.8125 in millimetres, which is the
frame of the Kinect: y up, z away from the sensor. Not checked against real files; people who measured them found that left
and right are right in this reading, and that the colour images are mirrored.
"""

from __future__ import annotations

import numpy as np

from ...processing.skeleton_sequence import SkeletonSequence
from ..number_text import read_table
from ..raw_files import FileLike, RawFile, ReadError
from . import only_clip

_PEOPLE, _NUM_JOINTS = 2, 15
_SCALE = np.array([-2.56, -1.92, 10 / 7.8125])  # metres
_OFFSET = np.array([1.28, 0.96, 0.0])
# The sensor sees no further than eight metres; joints outside of the image are somewhat beyond 0..1
_MAX_NORMALISED = 8.0


def read(file: FileLike, denoise: bool = True) -> SkeletonSequence:
    """Read one recording, such as `s01s02/01/001/skeleton_pos.txt`: joints (T, 2, 15, 3), people in the order of the file.

    Pair and action come from its folders; the subject is the pair: s01s02 is 102. Somebody all of whose numbers are zero in a frame is
    NaN in it. Raises ReadError, which names the line, for other than 91 numbers in it, none that are normalised, or nobody there.
    """
    path = RawFile.of(file)
    table = read_table(path, 1 + _PEOPLE * _NUM_JOINTS * 3, "the frame and 2 x 15 x (x, y, z)", separator=b",")
    normalised = table[:, 1:].reshape(-1, _PEOPLE, _NUM_JOINTS, 3)
    if np.median(np.abs(normalised)) > _MAX_NORMALISED:
        raise ReadError(f"{path.name}: numbers beyond {_MAX_NORMALISED:g}; expected them normalised to the image.")
    present = normalised.any(axis=(2, 3))
    people = np.flatnonzero(present.any(axis=0))
    joints = (normalised * _SCALE + _OFFSET).astype(np.float32)
    joints[~present] = np.nan
    return only_clip("sbu", path, joints[:, people], body_ids=people)
