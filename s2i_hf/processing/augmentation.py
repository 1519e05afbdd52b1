"""`Augmentation`: how a training clip differs each time it is seen. Every step is neutral until it is given a size.

A clip is augmented by a row of numbers, drawn from (seed, epoch, sample id), so it comes out the same on any process, in any batch
and after a resume. Each step reads numbers of its own: switching one on leaves what the others do as it was.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass

import numpy as np

from .layouts import PARTS, SkeletonLayout
from .transforms import Center, fill_missing, impute, play

# What one clip needs, before one number a joint: crop (length, place), mirror, yaw, pitch, roll, scale, and the key of a generator
# of its own, for noise and for the steps that came later.
NUM_DRAWS = 8
_KEY_BITS = 53  # of a draw
_SPEEDS = slice(0, 3)  # which numbers of that generator each later step reads
_SHEAR = slice(3, 9)
_PARTS = slice(9, 14)
_FRAMES = slice(14, 16)
_NUM_LATER = 16
_NOT_ZERO = 1e-6  # metres; exact zeros would be taken for gaps and filled
FASTEST = 10.0  # and its inverse the slowest; beyond it one frame is left of a clip, or a clip fills the memory
_RANGES = (
    ("mirror drop_joints drop_parts", 0, 1, "a probability from 0 to 1"),
    ("drop_frames", 0, math.nextafter(1, 0), "a share of the frames from 0 to 1, 1 excluded"),
    ("zero_joints", 0, math.nextafter(1, 0), "a share of the joints from 0 to 1, 1 excluded"),
    ("yaw tilt scale jitter shear", 0, sys.float_info.max, "a size of zero or more"),
    ("jitter_frames", 1, sys.float_info.max, "a number of frames, 1 or more"),
)


@dataclass(frozen=True)
class Augmentation:
    """Training-time augmentation of one clip; the neutral values switch a step off.

    The steps follow one another as they are listed here.

    Args:
        crop: Range of the share of frames kept, at a random place (MAMP: 0.5 to 1.0).
        speed: Range of the relative playing speed, such as 0.8 to 1.25. It is drawn for the beginning, the middle and the end of
            the clip and changes linearly between them: a speed that stays the same is undone when the image gets its height.
        mirror: Probability of swapping left and right; a layout without mirror pairs is never mirrored.
        yaw: Largest rotation about the vertical axis, radians; cross-view training wants a large one.
        tilt: Largest rotation about the two horizontal axes, radians (MAMP rotates up to 0.3 about all three).
        scale: Largest relative change of size.
        shear: Largest share of each axis that is added to each other axis (AS-CAL, Rao et al., arXiv 2008.00188: 0.5).
        drop_joints: Probability of losing each joint for the whole clip; it is refilled like any missing joint.
        drop_parts: Probability of losing each of the five body parts for the whole clip, likewise; at least one part stays.
        drop_frames: Largest share of the frames lost, in one span at a random place; refilled along time, linearly inside the clip.
        jitter: Standard deviation of noise added to every joint and frame, in the unit of the layout.
        jitter_frames: Frames over which that noise changes smoothly; at 1 it is drawn anew in every frame.
        zero_joints: Largest share of the joints that are at zero for the whole clip and stay there, as in `at_zero`. Each clip draws a
            share from 0 to it, and each joint is lost with that probability, so most clips are whole or nearly so.

    Raises:
        ValueError: a range, probability or size that is none.
    """

    crop: tuple[float, float] = (1.0, 1.0)
    yaw: float = 0.0
    tilt: float = 0.0
    scale: float = 0.0
    mirror: float = 0.0
    drop_joints: float = 0.0
    jitter: float = 0.0
    speed: tuple[float, float] = (1.0, 1.0)
    shear: float = 0.0
    drop_parts: float = 0.0
    drop_frames: float = 0.0
    jitter_frames: int = 1
    zero_joints: float = 0.0

    def __post_init__(self) -> None:
        for name, what, least, most in (("crop", "shares", 0, 1), ("speed", "speeds", 1 / FASTEST, FASTEST)):
            low, high = getattr(self, name)
            if not (least <= low <= high <= most and low > 0):
                limits = f"above 0, from {least:g} to {most:g}, the lower first"
                raise ValueError(f"{name} is {getattr(self, name)}; expected two {what} {limits}.")
        for names, lowest, highest, wanted in _RANGES:
            for name in names.split():
                if not lowest <= getattr(self, name) <= highest:
                    raise ValueError(f"{name} is {getattr(self, name)}; expected {wanted}.")

    def __call__(
        self, joints: np.ndarray, layout: SkeletonLayout, draws: np.ndarray, center: Center = "first_frame"
    ) -> np.ndarray:
        """Augment one clip (T, M, V, 3) float32 that `prepare` made, of this joint format, to (T', M, V, 3).

        `draws` are `NUM_DRAWS` + V numbers in [0, 1), from `rng.uniform`; `center` is that of the processor, for `zero_joints`.
        """
        if self == NO_AUGMENTATION:
            return joints
        key = int(draws[7] * 2**_KEY_BITS)
        later = np.zeros(_NUM_LATER)  # for the steps that came after the first runs, whose own draws had to stay
        if self.speed != (1, 1) or self.shear or self.drop_parts or self.drop_frames:
            later = np.random.Generator(np.random.Philox(key=key + (1 << 64))).random(_NUM_LATER)  # no key of the noise
        low, high = self.crop
        length = max(1, round(len(joints) * (low + (high - low) * draws[0])))
        start = int(draws[1] * (len(joints) - length + 1))
        joints = joints[start : start + length]
        if self.speed != (1, 1):
            slow, fast = self.speed
            joints = play(joints, slow * (fast / slow) ** later[_SPEEDS])  # half and twice the speed are equally likely
        if draws[2] < self.mirror and layout.mirror_pairs:
            joints = joints[:, :, list(layout.mirror)] * np.array([-1, 1, 1], dtype=np.float32)
        if self.yaw or self.tilt or self.scale or self.shear:
            yaw, pitch, roll, scale = (2 * draws[3:7] - 1) * (self.yaw, self.tilt, self.tilt, self.scale)
            matrix = (1 + scale) * rotation_matrix(yaw, pitch, roll)
            if self.shear:
                matrix = matrix @ shear_matrix((2 * later[_SHEAR] - 1) * self.shear)
            joints = about_center(joints, layout, matrix)
        lost = self._lost_joints(layout, draws, later)
        if lost.any():
            joints = _without_joints(joints, lost, layout.parents)
        if self.drop_frames:
            joints = _without_span(joints, self.drop_frames, *later[_FRAMES])
        if self.jitter:
            generator = np.random.Generator(np.random.Philox(key=key))
            joints = joints + _noise(joints.shape, self.jitter, self.jitter_frames, generator)
        if self.zero_joints:
            generator = np.random.Generator(
                np.random.Philox(key=key + (2 << 64))
            )  # as many numbers as there are joints
            lost = generator.random(layout.num_joints) < self.zero_joints * generator.random()
            if lost.any() and not lost.all():
                joints = at_zero(joints, lost, layout, center)
        return joints

    def _lost_joints(self, layout: SkeletonLayout, draws: np.ndarray, later: np.ndarray) -> np.ndarray:
        """(V,) bool: joints to lose for the whole clip, never all of them."""
        alone = draws[NUM_DRAWS : NUM_DRAWS + layout.num_joints] < self.drop_joints
        if alone.all():  # nothing left to fill from
            alone[:] = False
        if not self.drop_parts:
            return alone
        number = {part: draw for part, draw in zip(PARTS, later[_PARTS], strict=True) if layout.parts[part]}
        kept = max(number.values())  # lost only if all are, and one stays
        gone = [part for part in number if number[part] < min(kept, self.drop_parts)]
        lost = np.isin(layout.joint_names, [joint for part in gone for joint in layout.parts[part]])
        return lost if (lost | alone).all() else lost | alone


NO_AUGMENTATION = Augmentation()


def at_zero(joints: np.ndarray, lost: np.ndarray, layout: SkeletonLayout, center: Center = "first_frame") -> np.ndarray:
    """Put joints to zero for the whole clip, the same ones of all people: zero once the body is centred, and no gap that is filled.

    Args:
        joints: (T, M, V, 3) float32 without missing values.
        lost: Which of the V joints, as indices or (V,) bool.
        center: What the processor subtracts (`EncodingOptions.center`).

    Returns:
        (T, M, V, 3) float32, a copy.
    """
    if center == "none":
        middle = np.zeros((1, 3), dtype=np.float32)
    else:
        body = joints[:1, 0] if center == "first_frame" else joints[:, 0]
        middle = body[:, list(layout.center_indices)].mean(axis=1)
    middle = np.where((middle == 0).all(axis=1, keepdims=True), np.float32(_NOT_ZERO), middle)
    damaged = np.array(joints, dtype=np.float32)
    damaged[:, :, lost] = middle[:, None, None]
    return damaged


def about_center(joints: np.ndarray, layout: SkeletonLayout, matrix: np.ndarray) -> np.ndarray:
    """Map a clip (T, M, V, 3) without gaps linearly around the centre of the first person in the first frame, which stays where it is.

    `matrix` (3, 3), such as `rotation_matrix`, is applied to every joint from the left.
    """
    pivot = joints[0, 0, list(layout.center_indices)].mean(axis=0)
    mapped: np.ndarray = (joints - pivot) @ matrix.astype(np.float32).T + pivot
    return mapped


def rotation_matrix(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """(3, 3) float64: roll about z, then pitch about x, then yaw about the vertical y axis, all in radians."""
    cy, sy, cx, sx, cz, sz = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_y @ about_x @ about_z


def shear_matrix(shares: np.ndarray) -> np.ndarray:
    """(3, 3) float64 with ones on the diagonal and six `shares` beside it, row by row: how much of y and z goes into x, and so on."""
    a, b, c, d, e, f = shares
    return np.array([[1, a, b], [c, 1, d], [e, f, 1]])


def _without_joints(joints: np.ndarray, lost: np.ndarray, parents: tuple[int, ...]) -> np.ndarray:
    """Lose joints (V,) bool in every frame and fill them as any other gap."""
    rest = joints.copy()
    if not joints.all():  # a zero may be a gap as well
        rest[:, :, lost] = np.nan
        return fill_missing(rest, parents)[0]
    for person in range(joints.shape[1]):  # what `fill_missing` does, without looking for gaps
        rest[:, person, lost] = impute(joints[:, person], lost, parents)
    return rest


def _without_span(joints: np.ndarray, largest: float, length: float, place: float) -> np.ndarray:
    """Lose a span of frames and fill it from the frames beside it; `length` and `place` are draws in [0, 1)."""
    count = min(round(len(joints) * largest * length), len(joints) - 1)
    if count == 0:
        return joints
    start = int(place * (len(joints) - count + 1))
    stop = start + count
    after = joints[stop] if stop < len(joints) else joints[start - 1]
    before = joints[start - 1] if start > 0 else after
    share = (np.arange(1, count + 1) / (count + 1)).astype(np.float32)[:, None, None, None]
    filled = joints.copy()
    filled[start:stop] = before * (1 - share) + after * share
    return filled


def _noise(shape: tuple[int, ...], size: float, frames: float, generator: np.random.Generator) -> np.ndarray:
    """Normal noise (T, M, V, 3) float32 of standard deviation `size` that goes from one value to the next in `frames` frames."""
    if frames == 1:
        return generator.normal(0, size, shape).astype(np.float32)
    position = np.arange(shape[0]) / frames
    low = position.astype(np.int64)
    values = generator.normal(0, size, (low[-1] + 2, *shape[1:])).astype(np.float32)
    share = position - low
    angle = np.pi / 2 * share**2 * (3 - 2 * share)  # cos^2 + sin^2 is 1: as much noise between two values as at them
    old, new = (weight.astype(np.float32)[:, None, None, None] for weight in (np.cos(angle), np.sin(angle)))
    return old * values[low] + new * values[low + 1]
