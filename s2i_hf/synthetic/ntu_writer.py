"""Writes NTU RGB+D `.skeleton` text files (Kinect v2), which the reader of the real recordings reads back.

The format: the number of frames; per frame the number of bodies; per body 10 values and the number of joints, 25; per joint 12
values: x y z, depth pixel, colour pixel, orientation w x y z, tracking state. Numbers become text column by column in numpy,
because formatting them one by one takes longer than everything else the synthetic people need.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np

from ..processing.skeleton_sequence import SkeletonSequence
from .actions import JOINT, LAYOUT


@cache
def _digit_words() -> tuple[np.ndarray, ...]:
    """Four bytes of text as one uint32: "1234" for 0..9999 and which of its bytes to keep; ".123" and "123 " for 0..999."""
    texts = (("{:04d}", 10_000), (".{:03d}", 1000), ("{:03d} ", 1000))
    words = [np.array([form.format(i) for i in range(count)], "S4").view(np.uint32) for form, count in texts]
    keep = np.arange(10_000)[:, None] >= (1000, 100, 10, 0)
    return words[0], keep.view(np.uint32)[:, 0], words[1], words[2]


def _number_text(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers as text with six decimals: bytes (..., 16) and the mask of those to keep; several times as fast as `%`."""
    whole, keep_whole, point, last = _digit_words()
    size = np.abs(values)
    floor = size.astype(np.int32)
    micro = np.rint((size - floor) * 1e6).astype(np.int32)
    floor, micro = floor + micro // 1_000_000, micro % 1_000_000
    text, keep = np.empty((2, *values.shape, 4), np.uint32)
    text[..., 0], text[..., 1] = np.frombuffer(b"   -", np.uint32)[0], whole[floor]
    text[..., 2], text[..., 3] = point[micro // 1000], last[micro % 1000]
    keep[..., 0] = np.where((values < 0) & (floor + micro > 0), np.frombuffer(b"\0\0\0\1", np.uint32)[0], 0)
    keep[..., 1] = keep_whole[floor]
    keep[..., 2:] = 0x01010101
    return text.view(np.uint8), keep.view(bool)


def _joint_text(joints: np.ndarray, inferred: np.ndarray, newline: str) -> list[bytes]:
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
    text, keep = _number_text(values.clip(-9999, 9999))
    line_end = np.frombuffer((" " + newline).encode(), np.uint8)
    tail = np.tile(line_end, (*joints.shape[:2], 1))
    tail[..., 0] = np.where(inferred, ord("1"), ord("2"))
    text = np.concatenate([text.reshape(*joints.shape[:2], -1), tail], axis=-1)
    keep = np.concatenate([keep.reshape(*joints.shape[:2], -1), np.ones(tail.shape, bool)], axis=-1)
    stops = np.cumsum(np.count_nonzero(keep, axis=(1, 2))).tolist()
    lines = text[keep].tobytes()
    return [lines[start:stop] for start, stop in zip([0, *stops], stops, strict=False)]


def write_skeleton(sequence: SkeletonSequence, path: str | Path, newline: Literal["\n", "\r\n"] = "\r\n") -> Path:
    """Write a clip as an NTU RGB+D `.skeleton` file; of the real ones half have each kind of line end.

    A person with NaN joints in a frame is absent from it. Coordinates are rounded to 1e-6 m. What a clip does not hold is made
    up to be plausible: pixels are projected, a bone is turned the shortest way, and a joint that stands perfectly still has
    tracking state 1 (inferred) instead of 2.

    Raises:
        ValueError: the layout is not kinect_v2.
    """
    if sequence.layout.joint_names != LAYOUT.joint_names:
        raise ValueError(
            f"Clip {sequence.sample_id!r} is in layout {sequence.layout.name!r}; a .skeleton file holds kinect_v2 only."
        )
    present = ~np.isnan(sequence.joints).any(axis=(2, 3))  # (T, M)
    inferred = np.zeros(sequence.joints.shape[:3], bool)
    inferred[1:] = (sequence.joints[1:] == sequence.joints[:-1]).all(axis=-1)
    joints = sequence.joints[present]
    lines = iter(_joint_text(joints, inferred[present], newline))
    trunk = joints[:, JOINT["SpineShoulder"]] - joints[:, JOINT["SpineBase"]]
    leans = iter(trunk / np.maximum(np.linalg.norm(trunk, axis=-1, keepdims=True), 1e-9))
    pieces = [f"{len(present)}{newline}".encode()]
    for there in present:
        pieces.append(f"{there.sum()}{newline}".encode())
        for body_id in sequence.body_ids[there]:
            x, _, z = next(leans)
            # No clipped edges, two tracked hands of unknown state, no restriction, the lean of the trunk, tracked.
            header = f"{body_id} 0 1 1 1 1 0 {x:.6f} {-z:.6f} 2{newline}{LAYOUT.num_joints}{newline}"
            pieces += [header.encode(), next(lines)]
    path = Path(path)
    path.write_bytes(b"".join(pieces))
    return path
