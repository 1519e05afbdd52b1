"""One joint format from another: keep the joints that the two have in common, by what they are and not by their index.

    joints = to_layout(joints, "kinect_v2", "kinect_v1")        # 25 -> 20 joints

This is the cross-format setting of the S2I paper (25 -> 20, 20 -> 15, 20 -> 13 joints): a model meets clips with fewer joints than it
was trained on. Nothing is interpolated: a joint is copied from its counterpart, and a format with a joint that the source lacks is
refused. Counterparts are the same place of the body, not the same word: the neck of Florence 3D lies between the shoulders, where Kinect
v2 says SpineShoulder. One pair is loose: Spine of Kinect v1 lies lower (7 cm above the pelvis in NW-UCLA) than SpineMid of v2 (29 cm).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from .layouts import LAYOUTS, LayoutLike, SkeletonLayout, five_parts, get_layout, layout_json

# What each format calls the `PLACES` ("-": it has no such joint), and how it writes left and right. Markers on the skin (vicon_39)
# are no joints. UI-PRMD names a segment where it begins: by the bone lengths of its recordings, HeadTip is Kinect's Head, Head its Neck.
_KINECT = ("Shoulder{} Elbow{} Wrist{} Hand{}", "Hip{} Knee{} Ankle{} Foot{}", "L R")
_PLAIN = ("{}_shoulder {}_elbow {}_wrist {}_hand", "{}_hip {}_knee {}_ankle {}_foot", "left right")
_COCO = ("{}_shoulder {}_elbow {}_wrist -", "{}_hip {}_knee {}_ankle -", "left right")
_SHORT = ("{}Shoulder {}Elbow {}Wrist -", "{}Hip {}Knee {}Ankle -", "L R")
_CALLED: dict[str, tuple[str, str, str, str]] = {
    "kinect_v2": ("Head Neck SpineShoulder SpineMid SpineBase", *_KINECT),
    "kinect_v1": ("Head - ShoulderCenter Spine HipCenter", *_KINECT),
    "msr_action3d": ("Head - ShoulderCenter Spine HipCenter", *_KINECT),
    "utd_mhad": ("head - shoulder_center spine hip_center", *_PLAIN),
    "ui_prmd_22": (
        "HeadTip Head Chest Spine Waist", "UpperArm{} Forearm{} Hand{} -", "UpperLeg{} LowerLeg{} Foot{} Toes{}", "L R",
    ),
    "sbu_15": ("head - neck torso -", "{}Shoulder {}Elbow - {}Hand", "{}Hip {}Knee - {}Foot", "L R"),
    "florence_15": ("head - neck spine -", *_SHORT),
    "lcrnet_13": ("Head - - - -", *_SHORT),
    "h36m_17": ("head - neck belly root", *_SHORT),
    "smpl_24": ("head - neck spine2 pelvis", *_PLAIN),
    "cmu_31": (  # a joint is the far end of its bone
        "head lowerneck thorax upperback root", "{}clavicle {}humerus {}radius {}hand", "{}hipjoint {}femur {}tibia {}foot", "l r",
    ),
    "openpose_25": ("- - Neck - MidHip", "{}Shoulder {}Elbow {}Wrist -", "{}Hip {}Knee {}Ankle {}BigToe", "L R"),
    "openpose_18": ("- - Neck - -", *_SHORT),
    "coco_17": ("- - - - -", *_COCO),
    "posetrack_17": ("head_top head_bottom - - -", *_COCO),
    "halpe_26": ("Head - Neck - Hip", "{}Shoulder {}Elbow {}Wrist -", "{}Hip {}Knee {}Ankle {}BigToe", "L R"),
    "mediapipe_33": ("- - - - -", "{}_shoulder {}_elbow {}_wrist -", "{}_hip {}_knee {}_ankle {}_foot_index", "left right"),
    "smpl_22": ("head - neck spine2 pelvis", "{}_shoulder {}_elbow {}_wrist -", *_PLAIN[1:]),
    "smplh_52": ("head - neck spine2 pelvis", "{}_shoulder {}_elbow {}_wrist -", *_PLAIN[1:]),
    "3dhp_17": ("head - neck spine pelvis", *_COCO),
    "panoptic_19": ("- - Neck - BodyCenter", *_SHORT[:2], "l r"),
    "azure_kinect_32": (
        "HEAD - NECK SPINE_NAVEL PELVIS", "SHOULDER_{} ELBOW_{} WRIST_{} HAND_{}", "HIP_{} KNEE_{} ANKLE_{} FOOT_{}", "LEFT RIGHT",
    ),
    "zed_34": (
        "HEAD - NECK NAVAL_SPINE PELVIS", "{}_SHOULDER {}_ELBOW {}_WRIST {}_HAND", "{}_HIP {}_KNEE {}_ANKLE {}_FOOT", "LEFT RIGHT",
    ),
    "zed_38": ("- - NECK SPINE_2 PELVIS", "{}_SHOULDER {}_ELBOW {}_WRIST -", "{}_HIP {}_KNEE {}_ANKLE {}_BIG_TOE", "LEFT RIGHT"),
    "nuitrack": ("head neck left_collar torso waist", _PLAIN[0], *_COCO[1:]),
    "bandai_namco_22": (
        "Head - Neck Chest Hips", "UpperArm_{} LowerArm_{} Hand_{} -", "UpperLeg_{} LowerLeg_{} Foot_{} Toes_{}", "L R",
    ),
}  # fmt: skip


def _joints(*body: str) -> list[str]:
    return [joint for part in five_parts(*body).values() for joint in part]


PLACES: tuple[str, ...] = tuple(_joints("head neck shoulder_center spine pelvis", *_PLAIN))
"""Places of the body that formats share; a layout of one's own whose joints have these names takes part."""


def places(layout: LayoutLike) -> dict[str, str]:
    """Joint name -> one of `PLACES`, for joints that have one; of a layout not in `LAYOUTS` if they are called like it ("left_elbow")."""
    layout = get_layout(layout)
    if layout.name not in _CALLED or LAYOUTS.get(layout.name) != layout:
        return {name: name for name in layout.joint_names if name in PLACES}
    return {name: place for name, place in zip(_joints(*_CALLED[layout.name]), PLACES, strict=True) if name != "-"}


@lru_cache(maxsize=256)
def joint_indices(source: SkeletonLayout, target: SkeletonLayout) -> tuple[int, ...]:
    """For each joint of `target` the index of its counterpart in `source`; between layouts of one's own it is called the same.

    Raises:
        ValueError: a joint has no counterpart, or the layouts have different units.
    """
    if source == target:
        return tuple(range(source.num_joints))
    if source.unit != target.unit:
        units = f"is in {source.unit} and {target.name!r} in {target.unit}; name a format of one unit."
        raise ValueError(f"layout {source.name!r} {units}")
    have = {place: source.joint_names.index(name) for name, place in places(source).items()}
    own = all(isinstance(layout_json(layout), dict) for layout in (source, target))
    named = {
        name: index for index, name in enumerate(source.joint_names) if own
    }  # alike in two layouts of somebody's own
    places_of = zip(target.joint_names, _places_of(target), strict=True)
    found = [named.get(name, have.get(place, -1)) for name, place in places_of]
    if -1 in found:
        others = [layout for layout in LAYOUTS.values() if layout != source and layout.unit == source.unit]
        fitting = [layout.name for layout in others if set(_places_of(layout)) <= set(have)]
        raise ValueError(
            f"{found.count(-1)} of the {target.num_joints} joints of {target.name!r} have no counterpart in {source.name!r}, such as "
            f"{target.joint_names[found.index(-1)]!r}; {source.name!r} can become {', '.join(fitting) or 'no other known layout'}."
        )
    return tuple(found)


def _places_of(layout: SkeletonLayout) -> list[str]:
    """The place of each joint, "" if it has none."""
    known = places(layout)
    return [known.get(name, "") for name in layout.joint_names]


def to_layout(joints: np.ndarray, source: LayoutLike, target: LayoutLike) -> np.ndarray:
    """Joints (..., V, 3) of one format as another, (..., V', 3): those they have in common, copied, in the order of the other.

    Raises:
        ValueError: the array does not fit its layout, or a joint of the target has no counterpart.
    """
    old, new = get_layout(source), get_layout(target)
    joints = np.asarray(joints)
    if joints.ndim < 2 or joints.shape[-2:] != (old.num_joints, 3):
        raise ValueError(f"joints have shape {joints.shape}; layout {old.name!r} needs (..., {old.num_joints}, 3).")
    return joints[..., joint_indices(old, new), :]
