"""Writes NTU RGB+D `.skeleton` text files (Kinect v2), which the reader of the real recordings reads back.

The format: the number of frames; per frame the number of bodies; per body 10 values and the number of joints, 25; per joint 12
values: x y z, depth pixel, colour pixel, orientation w x y z, tracking state.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from ..processing.skeleton_sequence import SkeletonSequence
from .actions import JOINT, LAYOUT


def _joint_text(joints: np.ndarray, inferred: np.ndarray, newline: str) -> list[str]:
    """The 25 lines of 12 values of each body frame; joints (N, 25, 3), inferred (N, 25) bool."""
    x, y, z = np.moveaxis(joints.astype(np.float64), -1, 0)
    far = np.maximum(z, 0.1)
    values = np.zeros((*joints.shape[:2], 11))
    values[..., :3] = joints
    # Depth and colour pixel: nominal intrinsics of the Kinect v2, whose colour camera sits 52 mm beside the depth camera.
    values[..., 3], values[..., 4] = 257 + 366 * x / far, 207 - 366 * y / far
    values[..., 5], values[..., 6] = 960 + 1081 * (x + 0.052) / far, 540 - 1081 * y / far
    bone = joints.astype(np.float64) - joints[:, list(LAYOUT.parents)]
    bone[:, 0] = bone[:, JOINT["SpineMid"]]
    bone /= np.maximum(np.linalg.norm(bone, axis=-1, keepdims=True), 1e-9)
    inner = list(set(LAYOUT.parents) - {-1})  # the SDK gives the ends of the body no orientation
    turn = np.stack([1.000001 + bone[..., 1], bone[..., 2], 0 * x, -bone[..., 0]], axis=-1)[:, inner]
    values[:, inner, 7:] = turn / np.linalg.norm(turn, axis=-1, keepdims=True)  # w x y z: the y axis onto the bone
    values = values.clip(-9999, 9999)
    whole = np.trunc(values)
    values = whole + np.rint((values - whole) * 1e6) / 1e6 + 0.0  # and no "-0.000000"
    line = "%.6f " * values.shape[-1] + "%d" + newline
    rows = np.concatenate([values, np.where(inferred, 1, 2)[..., None]], axis=-1).reshape(len(joints), -1)
    return [(line * LAYOUT.num_joints) % tuple(row) for row in rows.tolist()]


def write_skeleton(sequence: SkeletonSequence, path: str | Path, newline: Literal["\n", "\r\n"] = "\r\n") -> Path:
    """Write a clip as an NTU RGB+D `.skeleton` file; of the real ones half have each kind of line end.

    A person with NaN joints in a frame is absent from it. Coordinates are rounded to 1e-6 m. What a clip does not hold is made
    up to be plausible: pixels are projected, a bone is turned the shortest way, and a joint that stands perfectly still has
    tracking state 1 (inferred) instead of 2.

    Raises:
        ValueError: the layout is not kinect_v2.
    """
    if sequence.layout.joint_names != LAYOUT.joint_names:
        raise ValueError(f"Clip {sequence.sample_id!r} is in {sequence.layout.name!r}; .skeleton holds kinect_v2 only.")
    present = ~np.isnan(sequence.joints).any(axis=(2, 3))  # (T, M)
    inferred = np.zeros(sequence.joints.shape[:3], bool)
    inferred[1:] = (sequence.joints[1:] == sequence.joints[:-1]).all(axis=-1)
    joints = sequence.joints[present]
    lines = iter(_joint_text(joints, inferred[present], newline))
    trunk = joints[:, JOINT["SpineShoulder"]] - joints[:, JOINT["SpineBase"]]
    leans = iter(trunk / np.maximum(np.linalg.norm(trunk, axis=-1, keepdims=True), 1e-9))
    pieces = [f"{len(present)}{newline}"]
    for there in present:
        pieces.append(f"{there.sum()}{newline}")
        for body_id in sequence.body_ids[there]:
            x, _, z = next(leans)
            # No clipped edges, two tracked hands of unknown state, no restriction, the lean of the trunk, tracked.
            header = f"{body_id} 0 1 1 1 1 0 {x:.6f} {-z:.6f} 2{newline}{LAYOUT.num_joints}{newline}"
            pieces += [header, next(lines)]
    path = Path(path)
    path.write_bytes("".join(pieces).encode())
    return path
