"""One joint format from another: keep the joints that the two have in common, by what they are and not by their index.

    joints = to_layout(joints, "kinect_v2", "kinect_v1")        # 25 -> 20 joints

This is the cross-format setting of the S2I paper (25 -> 20, 20 -> 15, 20 -> 13 joints): a model meets clips with fewer joints than it
was trained on. Nothing is interpolated: a joint is copied from its counterpart, and a format with a joint that the source lacks is
refused. Counterparts are the same place of the body, not the same word: the neck of Florence 3D lies between the shoulders, where Kinect
v2 says SpineShoulder. One pair is loose: Spine of Kinect v1 lies lower (7 cm above the pelvis in NW-UCLA) than SpineMid of v2 (29 cm).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from .layouts import LAYOUTS, LayoutLike, SkeletonLayout, get_layout

_PLACES = (
    "head neck shoulder_center spine pelvis",
    "{}_shoulder {}_elbow {}_wrist {}_hand",
    "{}_hip {}_knee {}_ankle {}_foot",
)
PLACES: tuple[str, ...] = tuple(
    word.format(side)
    for line, sides in zip(_PLACES, ("-", ("left", "right"), ("left", "right")), strict=True)
    for side in sides
    for word in line.split()
)
"""Places of the body that formats share; a layout of one's own whose joints have these names takes part."""

# What each format calls the places above ("-": it has no such joint), and how it writes left and right. Markers on the skin (vicon_39)
# are no joints. UI-PRMD names a segment where it begins: by the bone lengths of its recordings, HeadTip is Kinect's Head, Head its Neck.
_KINECT = ("Shoulder{} Elbow{} Wrist{} Hand{}", "Hip{} Knee{} Ankle{} Foot{}", "L R")
_PLAIN = ("{}_shoulder {}_elbow {}_wrist {}_hand", "{}_hip {}_knee {}_ankle {}_foot", "left right")
_CALLED: dict[str, tuple[str, str, str, str]] = {
    "kinect_v2": ("Head Neck SpineShoulder SpineMid SpineBase", *_KINECT),
    "kinect_v1": ("Head - ShoulderCenter Spine HipCenter", *_KINECT),
    "msr_action3d": ("Head - ShoulderCenter Spine HipCenter", *_KINECT),
    "utd_mhad": ("head - shoulder_center spine hip_center", *_PLAIN),
    "ui_prmd_22": (
        "HeadTip Head Chest Spine Waist", "UpperArm{} Forearm{} Hand{} -", "UpperLeg{} LowerLeg{} Foot{} Toes{}", "L R",
    ),
    "sbu_15": ("head - neck torso -", "{}Shoulder {}Elbow - {}Hand", "{}Hip {}Knee - {}Foot", "L R"),
    "florence_15": ("head - neck spine -", "{}Shoulder {}Elbow {}Wrist -", "{}Hip {}Knee {}Ankle -", "L R"),
    "lcrnet_13": ("Head - - - -", "{}Shoulder {}Elbow {}Wrist -", "{}Hip {}Knee {}Ankle -", "L R"),
    "h36m_17": ("head - neck belly root", "{}Shoulder {}Elbow {}Wrist -", "{}Hip {}Knee {}Ankle -", "L R"),
    "smpl_24": ("head - neck spine2 pelvis", *_PLAIN),
    "cmu_31": (  # a joint is the far end of its bone
        "head lowerneck thorax upperback root", "{}clavicle {}humerus {}radius {}hand", "{}hipjoint {}femur {}tibia {}foot", "l r",
    ),
    "openpose_25": ("- - Neck - MidHip", "{}Shoulder {}Elbow {}Wrist -", "{}Hip {}Knee {}Ankle {}BigToe", "L R"),
    "coco_17": ("- - - - -", "{}_shoulder {}_elbow {}_wrist -", "{}_hip {}_knee {}_ankle -", "left right"),
    "mediapipe_33": ("- - - - -", "{}_shoulder {}_elbow {}_wrist -", "{}_hip {}_knee {}_ankle {}_foot_index", "left right"),
}  # fmt: skip


def places(layout: LayoutLike) -> dict[str, str]:
    """Joint name -> one of `PLACES`, for the joints of a layout that have one.

    Joints of a layout that is not in `LAYOUTS` have a place if they are called like it ("left_elbow").
    """
    layout = get_layout(layout)
    if layout.name not in _CALLED or LAYOUTS.get(layout.name) != layout:
        return {name: name for name in layout.joint_names if name in PLACES}
    *lines, sides = _CALLED[layout.name]
    words = [(lines[0], "-")] + [(line, side) for line in lines[1:] for side in sides.split()]
    called = [word.format(side) for line, side in words for word in line.split()]
    return {name: place for name, place in zip(called, PLACES, strict=True) if name != "-"}


@lru_cache(maxsize=256)
def joint_indices(source: SkeletonLayout, target: SkeletonLayout) -> tuple[int, ...]:
    """For each joint of `target` the index of its counterpart in `source`.

    Raises:
        ValueError: a joint has no counterpart, or the layouts have different units.
    """
    if source == target:
        return tuple(range(source.num_joints))
    if source.unit != target.unit:
        raise ValueError(
            f"layout {source.name!r} is in {source.unit} and {target.name!r} in {target.unit}; name a format of one unit."
        )
    have = {place: source.joint_names.index(name) for name, place in places(source).items()}
    if lacking := _lacking(target, have):
        others = [layout for layout in LAYOUTS.values() if layout != source and layout.unit == source.unit]
        fitting = [layout.name for layout in others if not _lacking(layout, have)]
        raise ValueError(
            f"{len(lacking)} of the {target.num_joints} joints of {target.name!r} have no counterpart in {source.name!r}, such as "
            f"{lacking[0]!r}; {source.name!r} can become {', '.join(fitting) or 'no other known layout'}."
        )
    wanted = places(target)
    return tuple(have[wanted[name]] for name in target.joint_names)


def _lacking(target: SkeletonLayout, have: Mapping[str, int]) -> list[str]:
    wanted = places(target)
    return [name for name in target.joint_names if wanted.get(name) not in have]


def to_layout(joints: np.ndarray, source: LayoutLike, target: LayoutLike) -> np.ndarray:
    """Joints of one format as another: those they have in common, in the order of the other.

    Args:
        joints: (..., V, 3), such as (T, M, V, 3), of `source`.
        source, target: Names in `LAYOUTS`, or layouts.

    Returns:
        (..., V', 3) of `target`, a copy; every value is one of the input's.

    Raises:
        ValueError: the array does not fit its layout, or a joint of the target has no counterpart.
    """
    old, new = get_layout(source), get_layout(target)
    joints = np.asarray(joints)
    if joints.ndim < 2 or joints.shape[-2:] != (old.num_joints, 3):
        raise ValueError(f"joints have shape {joints.shape}; layout {old.name!r} needs (..., {old.num_joints}, 3).")
    return joints[..., joint_indices(old, new), :]
