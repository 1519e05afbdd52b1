"""Damage of a known size, to test how a trained model stands it: joints that are gone, time that was not recorded.

Unlike `Augmentation`, which draws how much is lost, exactly the share that a table names is lost in every clip; which joints and
where in time is a function of (seed, sample id), so every model is shown the same damage.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from ..processing.layouts import SkeletonLayout, get_layout
from ..processing.rng import hash_ids, uniform

Loss = Literal["zero", "missing"]
Place = Literal["random", "start", "middle", "end"]
_NOT_ZERO = 1e-6  # metres; exact zeros would be taken for gaps and filled


def lost_joint_indices(num_joints: int, share: float, seed: int, sample_id: str) -> np.ndarray:
    """Indices of the joints that `drop_joints_exactly` drops: round(share * V) of them, in order.

    A larger share drops the joints of a smaller one and more.

    Raises:
        ValueError: `share` is not in [0, 1), or leaves no joint.
    """
    count = round(share * num_joints) if 0 <= share < 1 else num_joints
    if count == num_joints:
        raise ValueError(
            f"share is {share}; expected a share of the {num_joints} joints from 0 to 1 that leaves at least one."
        )
    draws = uniform(seed, 0, hash_ids([sample_id]), num_joints, "corruption/joints")[0]
    return np.sort(np.argsort(draws)[:count])


def drop_joints_exactly(
    joints: np.ndarray,
    layout: str | SkeletonLayout,
    share: float,
    seed: int = 0,
    sample_id: str = "",
    how: Loss = "zero",
    center: Literal["first_frame", "every_frame", "none"] = "first_frame",
) -> np.ndarray:
    """Drop a share of the joints for the whole clip, the same ones of all people.

    Args:
        joints: (T, M, V, 3) float32 without missing values, as `transforms.prepare` returns it.
        layout: Joint format.
        share: Of the V joints; round(share * V) are dropped.
        seed, sample_id: Decide which.
        how: "zero": the joint is at zero once the body is centred, as in tables of models that are fed centred joints (Hyperformer,
            Zhou et al., arXiv 2211.09590); it is not filled. "missing": NaN, which `prepare` and so the processor fills as it
            fills what a sensor lost.
        center: What the processor subtracts (`EncodingOptions.center`), for `how="zero"`.

    Returns:
        (T, M, V, 3) float32, a copy.

    Raises:
        ValueError: a share that is none or leaves no joint, joints of another layout, or an unknown `how` or `center`.
    """
    layout = get_layout(layout)
    if joints.ndim != 4 or joints.shape[2:] != (layout.num_joints, 3):
        raise ValueError(
            f"Clip {sample_id!r}: joints have shape {joints.shape}; expected (T, M, {layout.num_joints}, 3) for layout "
            f"{layout.name!r}."
        )
    _check("how", how, get_args(Loss))
    _check("center", center, ("first_frame", "every_frame", "none"))
    lost = lost_joint_indices(layout.num_joints, share, seed, sample_id)
    damaged = np.array(joints, dtype=np.float32)
    if how == "missing":
        damaged[:, :, lost] = np.nan
        return damaged
    if center == "none":
        middle = np.zeros((1, 3), dtype=np.float32)
    else:
        body = joints[:1, 0] if center == "first_frame" else joints[:, 0]
        middle = body[:, list(layout.center_indices)].mean(axis=1)
    at_zero = (middle == 0).all(axis=1)
    middle = np.where(at_zero[:, None], np.float32(_NOT_ZERO), middle)
    damaged[:, :, lost] = middle[:, None, None]
    return damaged


def crop_time(
    joints: np.ndarray, share: float, place: Place = "random", seed: int = 0, sample_id: str = ""
) -> np.ndarray:
    """Leave a share of the frames out, so that only one window of the clip was seen; at least one frame stays.

    Args:
        joints: (T, M, V, 3).
        share: Of the frames, that is lost; 0.25 leaves three quarters.
        place: Which window stays: at the "start" (an action seen before it is over), in the "middle", at the "end", or "random".
        seed, sample_id: Decide the random window.

    Returns:
        (T - round(share T), M, V, 3), a view.

    Raises:
        ValueError: `share` is not in [0, 1), or `place` is unknown.
    """
    if not 0 <= share < 1:
        raise ValueError(f"share is {share}; expected the share of the frames to leave out, from 0 to 1, 1 excluded.")
    _check("place", place, get_args(Place))
    length = max(1, len(joints) - round(share * len(joints)))
    room = len(joints) - length
    if place == "random":
        start = int(uniform(seed, 0, hash_ids([sample_id]), 1, "corruption/time")[0, 0] * (room + 1))
    else:
        start = {"start": 0, "middle": room // 2, "end": room}[place]
    return joints[start : start + length]


def _check(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}; expected one of {', '.join(allowed)}.")
