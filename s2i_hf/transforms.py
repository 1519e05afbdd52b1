"""What happens to joints before they become an image: people, missing joints, resampling, training-time augmentation.

Everything here is numpy on one clip, (T, M, V, 3) float32 with y up, because a clip is some kilobytes and lives on the host until
its batch is encoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .layouts import SkeletonLayout, get_layout

PEOPLE: tuple[str, ...] = ("adaptive", "first")
ORIGIN_RADIUS = 1.0  # metres; a body this near to zero is root-centred, for sensors see nothing so close
MAX_METRES = 20.0  # half the size of a scene that a depth sensor can see; beyond it coordinates are not in metres


def find_missing(joints: np.ndarray) -> np.ndarray:
    """Where a joint was not measured: NaN, or exactly zero in a frame whose other joints are not (sensors write 0 0 0).

    Somebody who is all zero in a frame that shows somebody else is missing there, too. A joint at zero throughout is no gap where the
    body is around it: it is the origin of root-centred data.

    Args:
        joints: (T, M, V, 3).

    Returns:
        (T, M, V) bool.
    """
    x, y, z = np.moveaxis(joints, -1, 0)  # plane by plane: numpy is slow at reducing an axis of three
    missing = np.isnan(x) | np.isnan(y) | np.isnan(z)
    zero = (x == 0) & (y == 0) & (z == 0)
    if zero.any():
        missing |= zero & ~zero.all(axis=(1, 2), keepdims=True)
        origin = zero.all(axis=0)
        for person in np.flatnonzero(origin.any(axis=1)):
            seen = joints[:, person][~missing[:, person]]
            if len(seen) and np.abs(seen.mean(axis=0)).max() < ORIGIN_RADIUS:
                missing[:, person, origin[person]] = False
    return missing


def fill_missing(joints: np.ndarray) -> tuple[np.ndarray, int]:
    """Fill missing joints along time: linearly between the frames that have them, held before the first and after the last.

    A joint that is missing in every frame takes the place of the person's other joints (their mean, frame by frame).

    Args:
        joints: (T, M, V, 3); returned unchanged, not copied, when nothing is missing.

    Returns:
        The filled joints and how many (frame, person, joint) entries were filled.
    """
    missing = find_missing(joints)
    count = int(missing.sum())
    if count == 0:
        return joints, 0
    filled = np.array(joints, dtype=np.float32)
    frames = np.arange(len(joints))
    never: list[tuple[int, int]] = []
    for person, joint in zip(*np.nonzero(missing.any(axis=0)), strict=True):
        seen = np.flatnonzero(~missing[:, person, joint])
        if len(seen) == 0:
            never.append((person, joint))
            continue
        for axis in range(3):
            filled[:, person, joint, axis] = np.interp(frames, seen, joints[seen, person, joint, axis])
    for person, joint in never:
        others = [j for j in range(joints.shape[2]) if (person, j) not in never]
        filled[:, person, joint] = filled[:, person, others].mean(axis=1) if others else 0.0
    return filled, count


def present_people(joints: np.ndarray) -> np.ndarray:
    """Indices of the people who are there: at least one joint that is neither NaN nor zero."""
    extremes = [
        (np.fmin.reduce(person, axis=None), np.fmax.reduce(person, axis=None)) for person in joints.swapaxes(0, 1)
    ]
    return np.flatnonzero([low < 0 or high > 0 for low, high in extremes])


def prepare(
    joints: Any, layout: str | SkeletonLayout, people: str = "adaptive", sample_id: str = ""
) -> tuple[np.ndarray, int]:
    """Check one clip and make it ready for the encoder.

    Args:
        joints: (T, V, 3) or (T, M, V, 3), numpy, torch or nested lists, in the unit of the layout.
        layout: Joint format.
        people: "adaptive" keeps everyone present, "first" the first of them.
        sample_id: Named in errors.

    Returns:
        (T, M', V, 3) float32, contiguous, absent people dropped and missing joints filled; and the number of joints filled.
        A clip in which nobody is present keeps one person of zeros.

    Raises:
        ValueError: wrong shape, no frame, infinite values, joints that do not match the layout, or values that cannot be metres.
    """
    layout = get_layout(layout)
    clip = f"Clip {sample_id!r}: " if sample_id else ""
    if hasattr(joints, "detach"):
        joints = joints.detach().cpu().float().numpy()  # numpy knows no bfloat16
    try:
        joints = np.asarray(joints, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{clip}joints are not a numeric array of shape (T, M, V, 3): {error}.") from None
    if joints.ndim == 3:
        joints = joints[:, None]
    if joints.ndim != 4 or joints.shape[-1] != 3:
        raise ValueError(f"{clip}joints have shape {joints.shape}; expected (T, V, 3) or (T, M, V, 3).")
    if joints.shape[2] != layout.num_joints:
        raise ValueError(
            f"{clip}joints have {joints.shape[2]} joints a person, but layout {layout.name!r} has {layout.num_joints}; "
            "pass the layout of this data, or your own SkeletonLayout."
        )
    if joints.shape[0] == 0 or joints.shape[1] == 0:
        raise ValueError(
            f"{clip}joints have shape {joints.shape}, without a frame or a person; a clip needs one of each."
        )
    if people not in PEOPLE:
        raise ValueError(f"people is {people!r}; expected one of {', '.join(PEOPLE)}.")
    low, high = float(joints.min()), float(joints.max())
    complete = low == low  # a NaN anywhere makes both NaN
    if not complete:
        low, high = float(np.fmin.reduce(joints, axis=None)), float(np.fmax.reduce(joints, axis=None))
    if np.isinf(low) or np.isinf(high):
        raise ValueError(f"{clip}joints hold infinite values; mark joints that were not measured with NaN.")
    if layout.unit == "m" and max(-low, high) > MAX_METRES:
        raise ValueError(
            f"{clip}coordinates reach {max(-low, high):.6g}, but layout {layout.name!r} is in metres; millimetres? Divide by 1000."
        )
    if joints.shape[1] > 1 or low == high or np.isnan(low):
        there = present_people(joints)
        if people == "first":
            there = there[:1]
        if len(there) == 0:
            return np.zeros((joints.shape[0], 1, *joints.shape[2:]), dtype=np.float32), 0
        if len(there) < joints.shape[1]:
            joints = joints[:, there]
    if complete and joints.all():  # no NaN and no zero coordinate, as in most clips: nothing to look for
        return np.ascontiguousarray(joints), 0
    joints, num_missing = fill_missing(joints)
    return np.ascontiguousarray(joints), num_missing


def resample(joints: np.ndarray, num_frames: int) -> np.ndarray:
    """Linear resampling in time that keeps the first and the last frame.

    Args:
        joints: (T, M, V, 3).
        num_frames: Frames wanted, at least 1.

    Returns:
        (num_frames, M, V, 3) float32.
    """
    if num_frames < 1:
        raise ValueError(f"num_frames is {num_frames}; a clip needs at least one frame.")
    position = np.linspace(0, len(joints) - 1, num_frames)
    low = np.floor(position).astype(np.int64)
    high = np.minimum(low + 1, len(joints) - 1)
    weight = (position - low).astype(np.float32)[:, None, None, None]
    return joints[low] * (1 - weight) + joints[high] * weight


def central_crop(joints: np.ndarray, ratio: float) -> np.ndarray:
    """The middle `ratio` of the frames, at least one; the evaluation crop of MAMP (0.95)."""
    if not 0 < ratio <= 1:
        raise ValueError(f"ratio is {ratio}; expected the share of frames to keep, above 0 and at most 1.")
    length = max(1, round(len(joints) * ratio))
    start = (len(joints) - length) // 2
    return joints[start : start + length]


@dataclass(frozen=True)
class Augmentation:
    """Training-time augmentation of one clip; the neutral values switch a step off.

    Args:
        crop: Range of the share of frames kept, at a random place (MAMP: 0.5 to 1.0).
        yaw: Largest rotation about the vertical axis, radians; cross-view training wants a large one.
        tilt: Largest rotation about the two horizontal axes, radians (MAMP rotates up to 0.3 about all three).
        scale: Largest relative change of size.
        mirror: Probability of swapping left and right.
        drop_joints: Probability of losing each joint for the whole clip; it is refilled like any missing joint.
        jitter: Standard deviation of noise added to every joint and frame, in the unit of the layout.
    """

    crop: tuple[float, float] = (1.0, 1.0)
    yaw: float = 0.0
    tilt: float = 0.0
    scale: float = 0.0
    mirror: float = 0.0
    drop_joints: float = 0.0
    jitter: float = 0.0

    def __post_init__(self) -> None:
        low, high = self.crop
        if not 0 < low <= high <= 1:
            raise ValueError(f"crop is {self.crop}; expected two shares of the clip with 0 < low <= high <= 1.")
        for name in ("mirror", "drop_joints"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected a probability from 0 to 1.")
        for name in ("yaw", "tilt", "scale", "jitter"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; expected a size of zero or more.")

    def __call__(self, joints: np.ndarray, layout: SkeletonLayout, draws: np.ndarray) -> np.ndarray:
        """Augment one prepared clip.

        Args:
            joints: (T, M, V, 3) float32 without missing values, as `prepare` returns it.
            layout: Its joint format.
            draws: (`NUM_DRAWS` + V,) numbers in [0, 1), from `rng.uniform`.

        Returns:
            (T', M, V, 3) float32.
        """
        if self == NO_AUGMENTATION:
            return joints
        low, high = self.crop
        length = max(1, round(len(joints) * (low + (high - low) * draws[0])))
        start = int(draws[1] * (len(joints) - length + 1))
        joints = joints[start : start + length]
        if draws[2] < self.mirror:
            joints = joints[:, :, list(layout.mirror)] * np.array([-1, 1, 1], dtype=np.float32)
        if self.yaw or self.tilt or self.scale:
            yaw, pitch, roll, scale = (2 * draws[3:7] - 1) * (self.yaw, self.tilt, self.tilt, self.scale)
            pivot = joints[0, 0, list(layout.center_indices)].mean(axis=0)
            matrix = ((1 + scale) * rotation_matrix(yaw, pitch, roll)).astype(np.float32)
            joints = (joints - pivot) @ matrix.T + pivot
        lost = draws[NUM_DRAWS : NUM_DRAWS + layout.num_joints] < self.drop_joints
        if lost.any() and not lost.all():
            joints = joints.copy()
            joints[:, :, lost] = np.nan
            joints, _ = fill_missing(joints)
        if self.jitter:
            generator = np.random.Generator(np.random.Philox(key=int(draws[7] * 2**53)))
            joints = joints + generator.normal(0, self.jitter, joints.shape).astype(np.float32)
        return joints


NUM_DRAWS = 8
NO_AUGMENTATION = Augmentation()


def rotation_matrix(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """(3, 3) float64: roll about z, then pitch about x, then yaw about the vertical y axis, all in radians."""
    cy, sy, cx, sx, cz, sz = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_y @ about_x @ about_z


def augment(
    clips: Sequence[np.ndarray],
    layouts: Sequence[SkeletonLayout],
    draws: np.ndarray,
    augmentation: Augmentation,
) -> list[np.ndarray]:
    """Apply `augmentation` to every clip with its own row of `draws` (B, `NUM_DRAWS` + max V)."""
    return [augmentation(clip, layout, row) for clip, layout, row in zip(clips, layouts, draws, strict=True)]
