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
from pathlib import Path

import numpy as np

from ...processing.skeleton_sequence import SkeletonSequence
from ..number_text import read_table
from ..raw_files import RawFile, ReadError, check_metres
from . import named_sequence

_NUM_JOINTS = 20
_WORLD, _SCREEN = "_skeleton3D", "_skeleton"


def sample_id(file: RawFile) -> str:
    """`a01_s01_e01_skeleton3D.txt` -> "a01_s01_e01"."""
    return file.stem.removesuffix(_WORLD)


def select(files: Sequence[RawFile]) -> tuple[list[RawFile], dict[str, list[str]]]:
    """Leave out the files in screen coordinates (`_skeleton.txt`), the other half of the download."""
    screen = [file for file in files if file.stem.endswith(_SCREEN)]
    left_out = {"screen coordinates, which are not metres": [file.name for file in screen]} if screen else {}
    return [file for file in files if not file.stem.endswith(_SCREEN)], left_out


def read(file: str | Path | RawFile, denoise: bool = True) -> SkeletonSequence:
    """Read one recording, such as `a01_s01_e01_skeleton3D.txt`: joints (T, 1, 20, 3).

    Args:
        file: The recording.
        denoise: Drop the frames without anybody; else the person is NaN in them.

    Raises:
        ReadError: the lines are no four finite numbers each, no multiple of 20, not metres, or nobody is in any frame.
    """
    file = RawFile.of(file)
    if file.stem.endswith(_SCREEN):
        raise ReadError(f"{file.name}: holds screen coordinates; expected the file {file.stem}3D.txt, in metres.")
    table = read_table(file, 4, "x y z confidence of a joint")
    if len(table) % _NUM_JOINTS:
        raise ReadError(f"{file.name}: {len(table)} lines; expected {_NUM_JOINTS} a frame, one a joint (truncated?).")
    joints = table[:, :3].reshape(-1, _NUM_JOINTS, 3).astype(np.float32)
    seen = joints.any(axis=(1, 2))
    if not seen.any():
        raise ReadError(f"{file.name}: nobody is tracked in any of its {len(joints)} frames (all joints are zero).")
    joints[~seen] = np.nan
    check_metres(joints[seen], file.name)
    return named_sequence("msr_action3d", sample_id(file), joints[seen] if denoise else joints)
