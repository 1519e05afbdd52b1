"""MSR-Action3D skeletons in real-world coordinates (20 joints, metres, y up): a line `x y z confidence` a joint, 20 a frame.

The order of the joints (layout "msr_action3d") is not that of Kinect v1. It is written down nowhere in the data; here it
follows from the bones that keep their lengths, and left and right from the single-arm actions, which subjects were asked to
do with the right arm (Li et al., CVPR-W 2010). The confidence is left out: it is 0 for joints that are inferred, neck and feet
most of the time.

Where the tracker lost the person, all 20 joints of the frame are zero: 20 of the 567 files have such frames, one has no
others (a13_s09_e02), and one goes on for 740 of them (a13_s09_e03). Both are on the list of missing skeletons of the protocols.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...processing.skeleton_sequence import SkeletonSequence
from ..number_text import read_table
from ..raw_files import FileLike, RawFile, ReadError
from . import Selected, only_clip

_NUM_JOINTS = 20
_SCREEN = "_skeleton"


def select(files: Sequence[RawFile]) -> Selected:
    """Leave out the files in screen coordinates (`_skeleton.txt`), the other half of the download."""
    screen = [file.name for file in files if file.stem.endswith(_SCREEN)]
    world = [file for file in files if not file.stem.endswith(_SCREEN)]
    return world, {"screen coordinates, which are not metres": screen}


def read(file: FileLike, denoise: bool = True) -> SkeletonSequence:
    """Read one recording, such as `a01_s01_e01_skeleton3D.txt`: joints (T, 1, 20, 3).

    `denoise` drops the frames without anybody; else the person is NaN in them. Raises ReadError if the lines are no four finite numbers
    each, no multiple of 20, not metres, or nobody is in any frame.
    """
    file = RawFile.of(file)
    if file.stem.endswith(_SCREEN):
        raise ReadError(f"{file.name}: holds screen coordinates; expected the file {file.stem}3D.txt, in metres.")
    table = read_table(file, 4, "x y z confidence of a joint")
    if len(table) % _NUM_JOINTS:
        raise ReadError(f"{file.name}: {len(table)} lines; expected {_NUM_JOINTS} a frame, one a joint (truncated?).")
    joints = table[:, :3].reshape(-1, _NUM_JOINTS, 3).astype(np.float32)
    seen = joints.any(axis=(1, 2))
    joints[~seen] = np.nan
    return only_clip("msr_action3d", file, joints[seen] if denoise and seen.any() else joints)
