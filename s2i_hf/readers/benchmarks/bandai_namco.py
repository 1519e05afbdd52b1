"""Bandai-Namco-Research-Motiondataset (motion capture, 22 joints, 30 frames a second): BVH in centimetres, y up, a file a clip.

Every joint has channels for its position too, so bones need not keep their length. joint_Root is no part of the body but where the
character stands in the scene: at 0 0 0 in all but four clips, while Hips walks away from it.
"""

from __future__ import annotations

from ...processing.layouts import LAYOUTS
from ...processing.skeleton_sequence import SkeletonSequence
from ..generic.mocap import bvh
from ..generic.raw_clip import in_layout
from ..raw_files import FileLike, RawFile
from . import only_clip


def read(file: FileLike, denoise: bool = True) -> SkeletonSequence:
    """Read one recording: joints (T, 1, 22, 3). Raises ReadError, with the line, if it is no BVH, damaged, or lacks a joint."""
    file = RawFile.of(file)
    joints = in_layout(bvh.read(file), LAYOUTS["bandai_namco_22"], file.name, unit="cm")
    return only_clip("bandai_namco", file, joints)
