"""What joints are called: spellings that stand for one name, and which well-known layout a list of names is.

Makers and exporters write one joint in many ways: ShoulderLeft, SHOULDER_LEFT and K4ABT_JOINT_SHOULDER_LEFT, or mixamorig:LeftArm and
left_arm. `joint_key` is what these have in common: the side, the words and the number. Where a maker has another word than the
layout, `_ALIASES` says so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache

from ...processing.layouts import BUILT_IN
from ...processing.skeleton_layout import SkeletonLayout, name_key
from ...processing.suggestions import did_you_mean
from ..raw_files import ReadError

_PREFIX = re.compile(
    r"(jointtype|k4abt_joint|joint|poselandmark|pose|landmark|body_\d\d_parts|body_parts|bodyparts|jid|"
    r"mixamorig\d*|bip\d*|character\d*|[mf]_avg|def|org)[-._ ]+",
    re.IGNORECASE,
)
# Other words for joints of a layout: layout -> joint -> names
_ALIASES: dict[str, dict[str, str]] = {
    # MMPose
    "h36m_17": {"RAnkle": "right_foot", "LAnkle": "left_foot", "belly": "spine", "neck": "thorax", "nose": "neck_base"},
}
# How exporters of motion capture build their skeletons, child<parent with * for a side; a file may lack some of the joints
_TREES = (
    # Mixamo, MotionBuilder, LAFAN1, Perception Neuron
    "Hips Spine<Hips Spine1<Spine Spine2<Spine1 Spine3<Spine2 Neck<Spine3 Neck1<Neck Head<Neck1 HeadTop_End<Head *Shoulder<Spine3 "
    "*Arm<*Shoulder *ForeArm<*Arm *Hand<*ForeArm *UpLeg<Hips *Leg<*UpLeg *Foot<*Leg *Toe<*Foot *ToeBase<*Foot *Toe_End<*ToeBase",
    # Rokoko
    "Hips Spine<Hips Spine1<Spine Spine2<Spine1 Spine3<Spine2 Spine4<Spine3 Neck<Spine4 Head<Neck *Shoulder<Spine4 *Arm<*Shoulder "
    "*ForeArm<*Arm *Hand<*ForeArm *Thigh<Hips *Shin<*Thigh *Foot<*Shin *Toe<*Foot *ToeTip<*Toe",
    # Xsens MVN
    "Pelvis L5<Pelvis L3<L5 T12<L3 T8<T12 Neck<T8 Head<Neck *Shoulder<T8 *UpperArm<*Shoulder *ForeArm<*UpperArm *Hand<*ForeArm "
    "*UpperLeg<Pelvis *LowerLeg<*UpperLeg *Foot<*LowerLeg *Toe<*Foot",
    # Unity humanoid
    "Hips Spine<Hips Chest<Spine UpperChest<Chest Neck<UpperChest Head<Neck Jaw<Head *Eye<Head *Shoulder<UpperChest "
    "*UpperArm<*Shoulder *LowerArm<*UpperArm *Hand<*LowerArm *UpperLeg<Hips *LowerLeg<*UpperLeg *Foot<*LowerLeg *Toes<*Foot",
    # OptiTrack Motive
    "Root Hip<Root Ab<Hip Chest<Ab Neck<Chest Head<Neck *Shoulder<Chest *UArm<*Shoulder *FArm<*UArm *Hand<*FArm *Thigh<Hip "
    "*Shin<*Thigh *Foot<*Shin *Toe<*Foot",
    # DAZ, Poser and cgspeed's CMU
    "hip abdomen<hip chest<abdomen neck<chest head<neck *Eye<head *Collar<chest *Shldr<*Collar *ForeArm<*Shldr *Hand<*ForeArm "
    "*Buttock<hip *Thigh<*Buttock *Shin<*Thigh *Foot<*Shin *Toe<*Foot",
    # Pose2Sim and Sports2D, with a hip in the middle, or without
    "Hip *Hip<Hip *Knee<*Hip *Ankle<*Knee *BigToe<*Ankle *SmallToe<*BigToe *Heel<*Ankle Neck<Hip Head<Neck Nose<Head *Eye<Nose *Ear<*Eye "
    "*Shoulder<Neck *Elbow<*Shoulder *Wrist<*Elbow",
    "Neck *Hip<Neck *Knee<*Hip *Ankle<*Knee *BigToe<*Ankle *SmallToe<*BigToe *Heel<*Ankle Head<Neck Nose<Head *Eye<Nose *Ear<*Eye "
    "*Shoulder<Neck *Elbow<*Shoulder *Wrist<*Elbow",
)
_FINGER = re.compile(r"(left|right):((?:hand)?(?:thumb|index|mid|middle|ring|pinky))(\d)")
_MAX_SHOWN = 6


@lru_cache(maxsize=1 << 12)
def joint_key(name: str) -> str:
    """What the spellings of a joint share: "LeftElbow", "elbow_left", "mixamorig:left elbow" and "JointType_ElbowLeft" are one."""
    name = name.rpartition(":")[2].strip()
    while (match := _PREFIX.match(name)) and match.end() < len(name):
        name = name[match.end() :]
    side, words = name_key(name)
    texts = [word for word in words if not word.isdecimal()]
    return f"{side or ''}:{''.join(sorted(texts))}{'.'.join(str(int(word)) for word in words if word.isdecimal())}"


@cache
def _keys(layout: SkeletonLayout) -> tuple[tuple[str, ...], ...]:
    """The keys that each joint of a layout goes by, its own first."""
    known = _ALIASES.get(layout.name, {}) if BUILT_IN.get(layout.name) == layout else {}
    return tuple(tuple(map(joint_key, (name, *known.get(name, "").split()))) for name in layout.joint_names)


def find(names: Sequence[str], layout: SkeletonLayout) -> list[int]:
    """Where each joint of a layout is among `names`, -1 if it is not there; exact spellings go before others."""
    exact = {name: index for index, name in reversed(list(enumerate(names)))}
    loose = {joint_key(name): index for index, name in reversed(list(enumerate(names)))}
    return [
        exact.get(joint, next((loose[key] for key in keys if key in loose), -1))
        for joint, keys in zip(layout.joint_names, _keys(layout), strict=True)
    ]


def known_layouts(names: Sequence[str]) -> list[str]:
    """The well-known layouts that have all joints of a list of names and no others; the one in this order is first."""
    alike = {name: find(names, layout) for name, layout in BUILT_IN.items() if layout.num_joints == len(names)}
    found = {name: indices for name, indices in alike.items() if len({-1, *indices}) == len(names) + 1}
    return sorted(found, key=lambda name: found[name] != sorted(found[name]))


def nearest_layout(names: Sequence[str]) -> str:
    """What a list of names has in common with the well-known layout of which it names most joints, for a sentence; "" if little."""
    found = {name: find(names, layout) for name, layout in BUILT_IN.items()}
    best = max(found, key=lambda name: (len(found[name]) - found[name].count(-1), -len(found[name])))
    indices, joints = found[best], BUILT_IN[best].joint_names
    shared = len(indices) - indices.count(-1)
    if 2 * shared < max(len(names), len(joints)):
        return ""
    lacking = [joint for joint, index in zip(joints, indices, strict=True) if index < 0]
    beside = [name for index, name in enumerate(names) if index not in indices]
    if lacking:
        return f", but {shared} of them those of {best} without {', '.join(lacking[:3])}"
    return f", but {shared} of them those of {best}, and layout={best!r} leaves out {', '.join(beside[:3])}"


def pick(names: Sequence[str], layout: SkeletonLayout, file: str) -> list[int]:
    """`find` among the names of a file. Raises ReadError if a joint is not there, or the names are another well-known layout's."""
    known = known_layouts(names)
    if known and BUILT_IN.get(layout.name) == layout and layout.name not in known:
        raise ReadError(f"{file}: names the joints of {known[0]}, not of {layout.name!r}; pass that layout.")
    found = find(names, layout)
    if -1 in found:
        joint = layout.joint_names[found.index(-1)]
        shown = ", ".join(names[:_MAX_SHOWN]) + (", ..." if len(names) > _MAX_SHOWN else "")
        hint = did_you_mean(joint, names) or f" It names {shown}."
        raise ReadError(f"{file}: has no joint {joint!r}, which layout {layout.name!r} needs.{hint}")
    if twice := [names[index] for index in found if names.count(names[index]) > 1]:
        raise ReadError(f"{file}: has several joints named {twice[0]!r}; name each differently.")
    return found


def tree_of(names: Sequence[str]) -> tuple[int, ...] | None:
    """Parents of joints that are those of an exporter in `_TREES`, -1 for the root; None if one of them is not."""
    keys = [joint_key(name) for name in names]
    place = {key: index for index, key in reversed(list(enumerate(keys)))}
    for tree in _TREES if len(names) > 1 and len(place) == len(names) else ():
        pairs = (one.replace("*", side) for side in ("left_", "right_") for one in tree.split())
        above = {joint_key(child): joint_key(parent) for child, _, parent in (pair.partition("<") for pair in pairs)}
        for key in keys:
            if (finger := _FINGER.fullmatch(key)) and f"{finger[1]}:hand" in above:
                before = f"{finger[1]}:{finger[2]}{int(finger[3]) - 1}"
                above[key] = before if before in place else f"{finger[1]}:hand"
        if above.keys() >= place.keys():
            parents = []
            for key in keys:
                while (key := above.get(key, "")) and key not in place:
                    pass
                parents.append(place.get(key, -1))
            if parents.count(-1) == 1:
                return tuple(parents)
    return None
