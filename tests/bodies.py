"""People of known geometry for the tests: rigid, upright, facing the sensor, with their left at negative x as Kinect sees them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from s2i_hf.processing.layouts import LAYOUTS
from s2i_hf.processing.skeleton_sequence import SkeletonSequence

_MIDDLE = {
    "HipCenter": (0, 0, 0), "Spine": (0, 0.1, 0), "ShoulderCenter": (0, 0.5, 0), "Head": (0, 0.7, 0), "SpineBase": (0, 0, 0),
    "SpineMid": (0, 0.25, 0), "SpineShoulder": (0, 0.5, 0), "Neck": (0, 0.56, 0),
}  # fmt: skip
_LEFT = {
    "Shoulder": (-0.18, 0.45, 0), "Elbow": (-0.2, 0.2, 0), "Wrist": (-0.2, -0.02, -0.03), "Hand": (-0.2, -0.1, -0.04),
    "HandTip": (-0.2, -0.17, -0.04), "Thumb": (-0.18, -0.12, -0.08), "Hip": (-0.09, -0.05, 0), "Knee": (-0.09, -0.5, 0),
    "Ankle": (-0.09, -0.9, 0), "Foot": (-0.09, -0.93, -0.12),
}  # fmt: skip
LEG = 0.45 + 0.4


def pose(layout: str = "kinect_v1") -> np.ndarray:
    """(V, 3) metres, the hips at the origin; "kinect_v1", "kinect_v2" or "utd_mhad"."""
    names = LAYOUTS[layout].joint_names
    if layout == "utd_mhad":
        names = tuple(_kinect_name(name) for name in names)
    joints = []
    for name in names:
        if name in _MIDDLE:
            joints.append(_MIDDLE[name])
        else:
            x, y, z = _LEFT[name[:-1]]
            joints.append((x if name.endswith("L") else -x, y, z))
    return np.array(joints, dtype=np.float64)


def _kinect_name(name: str) -> str:
    side, _, rest = name.rpartition("_")
    if side in ("left", "right"):
        return rest.capitalize() + side[0].upper()
    return {"hip_center": "HipCenter", "spine": "Spine", "shoulder_center": "ShoulderCenter", "head": "Head"}[name]


def turned(joints: np.ndarray, yaw: float) -> np.ndarray:
    """Joints turned about the upright axis, radians."""
    rotation = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    return joints @ rotation.T


def walker(layout: str = "kinect_v1", frames: int = 12, yaw: float = 0.0, seed: int = 0) -> np.ndarray:
    """(T, 1, V, 3) float32: the body drifts and turns a little, and keeps its bones."""
    rng = np.random.default_rng(seed)
    places = np.array([0.2, 0.1, 3.0]) + 0.05 * rng.normal(size=(frames, 3)).cumsum(axis=0)
    body = [turned(pose(layout), yaw + 0.1 * np.sin(frame / 3)) + place for frame, place in enumerate(places)]
    return np.array(body, dtype=np.float32)[:, None]


def clip(sample_id: str = "clip", layout: str = "kinect_v1", **facts: int) -> SkeletonSequence:
    """A walker as readers return it."""
    return SkeletonSequence(walker(layout), LAYOUTS[layout], sample_id=sample_id, **facts)


def nearest_by_walking(joint: int, lost: set[int], parents: Sequence[int]) -> list[int]:
    """Joints that are not lost, the fewest bones from `joint`: outwards from it, ring by ring."""
    ring, known = {joint}, {joint}
    while ring:
        if found := sorted(ring - lost):
            return found
        ring = {
            other for other, parent in enumerate(parents) for one in ring if one == parent or parents[one] == other
        } - known
        known |= ring
    return [other for other in range(len(parents)) if other not in lost]
