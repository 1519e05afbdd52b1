"""Is this a body? Bone lengths, unit, up axis and handedness of one clip, judged from its joints alone.

Which joints are head, hips or toes follows from the five parts of the layout, so every layout can be checked. Joints are
(T, M, V, 3) as readers return them; a joint that is missing (`transforms.find_missing`) counts for nothing.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from ..processing.layouts import SkeletonLayout
from ..processing.transforms import find_missing

Sides = Literal["as named", "mirrored", "cannot tell"]

# The chain hip - knee - ankle of adults measures 0.7-0.95 m; the window holds children, and sensors that are off by a fifth.
_LEG_METRES = (0.4, 1.3)
_EXTENT_METRES = (0.6, 2.6)  # longest side of the box around a body, for layouts without legs
CLEAR = 0.88  # a layout is told from another if its misfit is below this share of the other's
_FLAT = 1e-6  # third axis of image keypoints, as a share of the second
_SURE = 0.25  # |handedness| from which on a clip tells left from right; 1 is a body with its toes straight ahead


@dataclass(frozen=True)
class BodyChecks:
    """What one clip shows, in its unit; joints are counted for each person and frame, people for each frame."""

    bone_lengths: np.ndarray  # (V,) median length of the bone from each joint's parent to it; NaN for roots
    # mean deviation of the bones from these, as a share of them; NaN if there is no bone. A rigid body has 0; sensors some hundredths;
    # a wrong joint order or swapped people far more
    bone_variation: float
    worst_bone: int  # the joint at whose bone the deviation is largest (as a length); -1 if there is none
    unit: str  # "m", "cm", "mm", "px", "normalized" or "unknown"
    size: float  # what the unit was judged by: a leg, or the body where the layout has no legs; NaN if unknown
    up: str  # where the head is, seen from the feet: "+x", "-y" ...; "" if the clip does not tell
    sides: Sides  # whether joints named left are on the person's left, in a right-handed frame such as Kinect's
    nan: int  # joints that are NaN or infinite while others of that person are not
    zero: int  # joints that are 0 0 0
    absent: int  # people without a joint
    empty_frames: int  # frames without anybody
    still: int  # frames that repeat the one before
    total: int  # joints looked at, T x M x V


def check_body(joints: np.ndarray, layout: SkeletonLayout) -> BodyChecks:
    """Check one clip, (T, M, V, 3) with NaN or 0 0 0 where not measured; `bone_variation` tells whether the layout is the right one."""
    joints, missing, seen = seen_joints(joints)
    nan = np.isnan(joints).any(axis=-1)
    gone: np.ndarray = np.all(missing, axis=2)  # (T, M)
    lengths, variation, worst = _bones(seen, layout)
    flat = _is_flat(seen)
    unit, size = _unit(seen, flat, lengths, layout)
    same = np.equal(np.nan_to_num(joints[1:]), np.nan_to_num(joints[:-1]))
    return BodyChecks(
        bone_lengths=lengths,
        bone_variation=variation,
        worst_bone=worst,
        unit=unit,
        size=size,
        up=_up(seen, layout),
        sides=_sides(seen, flat, layout),
        nan=int((nan & ~np.all(nan, axis=2, keepdims=True)).sum()),
        zero=int((missing & ~nan & ~gone[:, :, None]).sum()),
        absent=int(gone.sum()),
        empty_frames=int(np.all(gone, axis=1).sum()),
        still=int(np.all(same, axis=(1, 2, 3)).sum()),
        total=int(np.prod(joints.shape[:3])),
    )


def seen_joints(joints: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The joints with NaN in place of infinite coordinates; which are missing, (T, M, V); and as float64 with NaN for all of these.

    Missing is what `find_missing` says, and people who are zero throughout a frame, whoever else is in it.
    """
    joints = np.where(np.isinf(joints), np.float32(np.nan), joints)
    nobody = (np.nan_to_num(joints) == 0).reshape(*joints.shape[:2], -1).all(axis=2)
    missing: np.ndarray = find_missing(joints) | nobody[..., None]
    return joints, missing, np.where(missing[..., None], np.nan, joints).astype(np.float64)


def nanmedian(values: np.ndarray) -> np.ndarray:
    """Median over the first axis without NaN; NaN, and no warning, where there is nothing else."""
    values = np.asarray(values, dtype=np.float64)
    if len(values) == 0:
        return np.full(values.shape[1:], np.nan)
    ordered = np.sort(values, axis=0)  # NaN last
    counts = (~np.isnan(values)).sum(axis=0, keepdims=True)
    low = np.take_along_axis(ordered, np.maximum((counts - 1) // 2, 0), axis=0)[0]
    high = np.take_along_axis(ordered, np.minimum(counts // 2, len(values) - 1), axis=0)[0]
    middle: np.ndarray = np.where(counts[0] > 0, (low + high) / 2, np.nan)
    return middle


def bone_pairs(layout: SkeletonLayout) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the joints that have a parent, and of these parents."""
    parents = np.array(layout.parents, dtype=np.int64)
    joints = np.flatnonzero(parents >= 0)
    return joints, parents[joints]


def _bone_lengths(seen: np.ndarray, layout: SkeletonLayout) -> tuple[np.ndarray, np.ndarray]:
    """The joints that have a parent, and the lengths (T, M, bones) from it to them."""
    joints, parents = bone_pairs(layout)
    with np.errstate(over="ignore", invalid="ignore"):
        return joints, np.sqrt(((seen[:, :, joints] - seen[:, :, parents]) ** 2).sum(axis=-1))


def _body_size(seen: np.ndarray) -> float:
    """The longest side of the box around the median body; NaN if there is nobody."""
    with np.errstate(over="ignore", invalid="ignore"):
        box = np.fmax.reduce(seen, axis=2) - np.fmin.reduce(seen, axis=2)
    return float(nanmedian(box.max(axis=-1).reshape(-1)))


def _bones(seen: np.ndarray, layout: SkeletonLayout) -> tuple[np.ndarray, float, int]:
    """Lengths (V,), their variation and the bone that varies most, see `BodyChecks`. People keep lengths of their own."""
    joints, lengths = _bone_lengths(seen, layout)
    medians = nanmedian(lengths)  # (M, bones)
    off = np.abs(lengths - medians)
    measured = ~np.isnan(off)
    deviation = np.where(measured, off, 0).sum(axis=0) / np.maximum(measured.sum(axis=0), 1)  # (M, bones)
    per_joint = np.full(layout.num_joints, np.nan)
    per_joint[joints] = nanmedian(medians)
    total = np.nansum(medians)
    if not total > 0:
        return per_joint, math.nan, -1
    return per_joint, float(deviation.sum() / total), int(joints[deviation.max(axis=0).argmax()])


def layout_misfit(joints: np.ndarray, layout: SkeletonLayout) -> float:
    """How badly clips of unknown joints fit the tree of a layout; compare it between layouts with as many joints.

    Under the right tree bones are short, keep their lengths, and are as long on the left as on the right. Returns the mean length
    of a bone plus its deviation over time plus the difference to its mirror image, as shares of the size of the body (the
    longest side of its box); NaN if nothing can be measured. A right tree has about 0.15, a wrong one mostly over 0.25.
    """
    _, _, seen = seen_joints(joints)
    joint, lengths = _bone_lengths(seen, layout)
    if not len(joint):
        return math.nan
    lengths = lengths.reshape(-1, len(joint))
    medians, size = nanmedian(lengths), _body_size(seen)
    per_joint = np.full(layout.num_joints, np.nan)
    per_joint[joint] = medians
    terms = (medians, nanmedian(np.abs(lengths - medians)), np.abs(per_joint - per_joint[list(layout.mirror)]))
    if not size > 0 or any(np.isnan(term).all() for term in terms):
        return math.nan
    return float(sum(np.nanmean(term) for term in terms)) / size


@dataclass(frozen=True)
class Landmarks:
    """Joint indices that checks look at; empty where a layout does not have them."""

    head: tuple[int, ...]
    feet: tuple[int, ...]
    shoulders: tuple[tuple[int, int], ...]  # (left, right)
    hips: tuple[tuple[int, int], ...]
    legs: tuple[tuple[int, int, int], ...]  # hip, knee, ankle
    toes: tuple[tuple[int, int], ...]  # (toe, the ankle or heel it belongs to)
    hands: tuple[tuple[int, int], ...]  # (end of an arm, its shoulder)


@lru_cache(maxsize=64)
def landmarks(layout: SkeletonLayout) -> Landmarks:
    """Read the landmarks off the parts of a layout, which list joints top-down, and off the names of its knees and toes."""
    index = {name: joint for joint, name in enumerate(layout.joint_names)}
    parts = {part: [index[name] for name in names] for part, names in layout.parts.items()}
    torso, legs = parts["torso"], [parts["left_leg"], parts["right_leg"]]

    def pairs(part: str) -> tuple[tuple[int, int], ...]:
        return tuple((top, layout.mirror[top]) for top in parts[part][:1] if layout.mirror[top] != top)

    def named(leg: list[int], pattern: str) -> list[int]:
        return [joint for joint in leg if re.search(pattern, layout.joint_names[joint], re.IGNORECASE)]

    chains: list[tuple[int, int, int]] = []
    toes: list[tuple[int, int]] = []
    for leg in legs:
        knees = named(leg, r"kne") or leg[1:2]
        for knee in knees[:1]:
            hip, below = layout.parents[knee], [joint for joint in leg if layout.parents[joint] == knee]
            if hip in leg and below:
                chains.append((hip, knee, below[0]))
        ends = [(end, layout.parents[end]) for end in named(leg, r"toe|foot_index") or named(leg, r"foot")]
        toes += [(toe, heel) for toe, heel in ends if heel in leg and heel not in knees]
    hips, shoulders = pairs("left_leg"), pairs("left_arm")
    head = tuple(torso[:1]) if hips or shoulders else ()
    feet = tuple(leg[-1] for leg in legs if len(leg) > 1)
    hands = tuple((arm[-1], arm[0]) for arm in (parts["left_arm"], parts["right_arm"]) if len(arm) > 1)
    return Landmarks(head, feet, shoulders, hips, tuple(chains), tuple(toes), hands)


def _mean(seen: np.ndarray, joints: tuple[int, ...]) -> np.ndarray:
    """(T, M, 3) mean of some joints; NaN where one is missing."""
    return seen[:, :, list(joints)].mean(axis=2)


def _is_flat(seen: np.ndarray) -> bool:
    """Whether the third axis says nothing, as in image keypoints: all zero, or all the same."""
    if np.isnan(seen[..., 2]).all():
        return False
    depth, height = (np.nanmax(axis) - np.nanmin(axis) for axis in (seen[..., 2], seen[..., 1]))
    return bool(depth <= _FLAT * max(height, 1e-12))


def _unit(seen: np.ndarray, flat: bool, lengths: np.ndarray, layout: SkeletonLayout) -> tuple[str, float]:
    extent = _body_size(seen)
    if math.isnan(extent):
        return "unknown", math.nan
    largest = float(np.nanmax(np.abs(seen)))
    if flat:
        return ("normalized" if largest <= 2 else "px"), extent
    legs = [float(lengths[knee] + lengths[ankle]) for _, knee, ankle in landmarks(layout).legs]
    known = not np.isnan(legs).all()
    size, (low, high) = (float(np.nanmean(legs)), _LEG_METRES) if known else (extent, _EXTENT_METRES)
    for unit, scale in (("m", 1), ("cm", 100), ("mm", 1000)):
        if low * scale <= size <= high * scale:
            return unit, size
    return ("normalized" if largest <= 1.5 else "unknown"), size


def _up(seen: np.ndarray, layout: SkeletonLayout) -> str:
    """The axis that points from the feet to the head in the middle frame, so to speak; "" if none is far ahead of the others."""
    marks = landmarks(layout)
    low = marks.feet or sum(marks.hips, ())
    if not marks.head or not low:
        return ""
    rise = nanmedian((_mean(seen, marks.head) - _mean(seen, low)).reshape(-1, 3))
    most, second, _ = np.argsort(-np.abs(rise))
    if np.isnan(rise).any() or abs(rise[most]) < 1.5 * abs(rise[second]) or rise[most] == 0:
        return ""  # lying, bowing, or no body at all
    return ("+" if rise[most] > 0 else "-") + "xyz"[most]


def _sides(seen: np.ndarray, flat: bool, layout: SkeletonLayout) -> Sides:
    """Sign of left x up . forward. Forward is where the toes point; in layouts without toes, where the hands are held."""
    # Knees and elbows say less: the joints that depth sensors see lie on the skin, so straight knees bend either way
    marks = landmarks(layout)
    if not marks.shoulders or not marks.hips:
        return "cannot tell"
    left = sum(seen[:, :, a] - seen[:, :, b] for a, b in (*marks.shoulders, *marks.hips))
    up = _mean(seen, sum(marks.shoulders, ())) - _mean(seen, sum(marks.hips, ()))
    if flat:  # an image, with its viewer in front of it
        forward = np.zeros_like(up)
        forward[..., 2] = np.sign(up[..., 1])
    else:
        ends = marks.toes or marks.hands
        if not ends:
            return "cannot tell"
        forward = np.nansum([seen[:, :, end] - seen[:, :, start] for end, start in ends], axis=0)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        across = np.cross(left, up)  # forward, if left is left and the frame right-handed
        strength = (forward * across).sum(axis=-1) / np.linalg.norm(across, axis=-1)
        weight = np.linalg.norm(forward - up * ((forward * up).sum(-1) / (up * up).sum(-1))[..., None], axis=-1)
    valid = np.isfinite(strength) & np.isfinite(weight)
    handedness, total = strength[valid].sum(), weight[valid].sum()
    if not total > 0 or abs(handedness / total) < _SURE:
        return "cannot tell"
    return "as named" if handedness > 0 else "mirrored"
