"""UI-PRMD by Vicon: the 39 markers of the Plug-in Gait model, absolute, in millimetres, 100 frames a second.

The files have x ahead of the person, y to the left and z up from the floor; a turn of the axes makes this the Kinect frame of the
other data sets: y up, z away from a camera that the person faces. A marker that was lost is 0 0 0 in the file; it is NaN here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...processing.layouts import LAYOUTS
from ...processing.skeleton_sequence import SkeletonSequence
from ...protocols import parse_name
from ..number_text import read_table
from ..raw_files import RawFile, ReadError, check_metres
from .ui_prmd import positions, sample_id

__all__ = ["read", "sample_id", "select"]

_LAYOUT = LAYOUTS["vicon_39"]


def select(files: Sequence[RawFile]) -> tuple[list[RawFile], dict[str, list[str]]]:
    """Positions; the angles of joints, which are not needed here, are left out."""
    found, angles, left_out = positions(files, "vicon")
    if angles:
        left_out["angles, which Vicon positions do not need"] = [file.name for file in angles]
    return found, left_out


def read(file: str | Path | RawFile, denoise: bool = True) -> SkeletonSequence:
    """Read one execution of an exercise.

    Args:
        file: A file such as `Vicon/Positions/m01_s01_e01_positions.txt`.
        denoise: For the signature all readers share; these files hold one person and nothing to remove.

    Returns:
        joints (T, 1, 39, 3) in metres, neither centred nor scaled; y is the height above the floor.

    Raises:
        ReadError: lines that are no 117 finite numbers, no markers, or not millimetres.
    """
    file = RawFile.of(file)
    markers = read_table(file, 3 * _LAYOUT.num_joints, "x y z of 39 markers, with commas", b",")
    markers = markers.reshape(-1, _LAYOUT.num_joints, 3)
    lost = (markers == 0).all(axis=2)
    if lost.all():
        raise ReadError(f"{file.name}: no marker is seen in any of its {len(markers)} frames (all are zero).")
    joints = np.stack([-markers[..., 1], markers[..., 2], -markers[..., 0]], axis=-1) / 1000
    joints[lost] = np.nan
    seen = joints[~lost.all(axis=1)]
    extent = float(np.median((np.fmax.reduce(seen, axis=1) - np.fmin.reduce(seen, axis=1)).max(axis=-1)))
    if extent < 0.1:  # metres, taken for millimetres
        raise ReadError(f"{file.name}: bodies of {1000 * extent:.1f} units; expected millimetres, as Vicon writes.")
    check_metres(seen, file.name)
    name = parse_name("ui_prmd_vicon", sample_id(file))
    return SkeletonSequence(
        joints=joints[:, None],
        layout=_LAYOUT,
        label=name.action - 1 if name else -1,
        subject=name.subject if name else -1,
        sample_id=sample_id(file),
    )
