"""Joint formats: names, kinematic tree, five body parts, mirror pairs and the joint a body is centred on.

A layout is all that S2I has to know about a sensor or pose estimator. `LAYOUTS` holds the well-known formats; a format of
your own is one constructor call: `SkeletonLayout("mine", joint_names=[...], parents=[...])`.
The five parts and their order follow the S2I paper (arXiv 2603.05963): torso, left arm, right arm, left leg, right leg,
each listed top-down along its kinematic chain.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .wording import did_you_mean

PARTS: tuple[str, ...] = ("torso", "left_arm", "right_arm", "left_leg", "right_leg")

# Words that place a joint in a part, matched against the words of its name. Order matters: "hip_center" is torso.
_WORDS = {
    "torso": "head neck nose eye ear mouth jaw face chin skull brow spine torso trunk chest thorax back lowerback upperback "
    "belly abdomen waist pelvis root center centre mid middle sternum lowerneck upperneck hips",
    "arm": "shoulder clavicle collar scapula arm upperarm forearm lowerarm humerus elbow radius ulna wrist hand finger "
    "fingers thumb index pinky ring palm tip sho elb wri",
    "leg": "hip hipjoint leg upleg upperleg lowerleg thigh femur knee shin tibia calf ankle foot toe toes toebase heel kne "
    "ank bigtoe smalltoe",
}
_TORSO_WORDS, _ARM_WORDS, _LEG_WORDS = (frozenset(words.split()) for words in _WORDS.values())
_SIDES = {"left": "left", "l": "left", "lft": "left", "right": "right", "r": "right", "rgt": "right", "rt": "right"}


def _words(name: str) -> list[str]:
    """Words of a joint name: `"ElbowLeft"`, `"elbow_left"`, `"l.elbow"`, `"LElbow"` and `"lhumerus"` all give a side and a word."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    words = [word for word in re.split(r"[^A-Za-z]+", spaced.lower()) if word]
    known = _TORSO_WORDS | _ARM_WORDS | _LEG_WORDS
    split: list[str] = []
    for word in words:
        if word not in known and word not in _SIDES:
            for prefix in ("left", "right", "l", "r"):  # "lhumerus", "leftelbow"
                if word.startswith(prefix) and word[len(prefix) :] in known:
                    split += [prefix, word[len(prefix) :]]
                    break
            else:
                split.append(word)
        else:
            split.append(word)
    return split


def _side(name: str) -> str | None:
    return next((_SIDES[word] for word in _words(name) if word in _SIDES), None)


def _mirror_key(name: str) -> tuple[str, ...]:
    """What two mirrored joints share: the words of the name, with the side taken out."""
    digits = tuple(re.findall(r"\d+", name))
    return (*(word for word in _words(name) if word not in _SIDES), *digits)


def _depths(parents: Sequence[int]) -> list[int]:
    depths = []
    for joint in range(len(parents)):
        depth, at = 0, joint
        while parents[at] >= 0:
            at, depth = parents[at], depth + 1
        depths.append(depth)
    return depths


def _infer_parts(names: Sequence[str], parents: Sequence[int], layout: str) -> dict[str, tuple[str, ...]]:
    """Place every joint in a part from the words of its name, else from its parent's part, and order each part top-down."""
    depths = _depths(parents)
    part_of: dict[int, str] = {}
    for joint in sorted(range(len(names)), key=lambda j: depths[j]):
        words, side = _words(names[joint]), _side(names[joint])
        inherited = part_of.get(parents[joint])
        if side is not None and any(word in _LEG_WORDS for word in words):  # before arms: "foot_index"
            part_of[joint] = f"{side}_leg"
        elif side is not None and any(word in _ARM_WORDS for word in words):
            part_of[joint] = f"{side}_arm"
        elif any(word in _TORSO_WORDS for word in words):
            part_of[joint] = "torso"
        elif inherited is not None and inherited != "torso" and (side is None or inherited.startswith(side)):
            part_of[joint] = inherited  # an oddly named joint further down a known limb
        else:
            raise ValueError(
                f"Layout {layout!r}: cannot tell which body part joint {names[joint]!r} belongs to. Use a name with a side "
                f"and a body word (such as 'left_elbow'), or pass parts={{'torso': [...], 'left_arm': [...], ...}}."
            )
    heads = [
        depths[j] for j, part in part_of.items() if part == "torso" and {"head", "neck", "nose"} & set(_words(names[j]))
    ]
    grows_upwards = bool(heads) and min(heads) > 0  # rooted at the pelvis or the spine, not at the head
    parts = {}
    for part in PARTS:
        joints = [j for j in range(len(names)) if part_of[j] == part]
        joints.sort(key=lambda j: (-depths[j] if part == "torso" and grows_upwards else depths[j], j))
        parts[part] = tuple(names[j] for j in joints)
    return parts


def _infer_mirror_pairs(names: Sequence[str], layout: str) -> tuple[tuple[str, str], ...]:
    left = {_mirror_key(name): name for name in names if _side(name) == "left"}
    right = {_mirror_key(name): name for name in names if _side(name) == "right"}
    lonely = [left.get(key, right.get(key)) for key in {**left, **right} if (key in left) != (key in right)]
    if lonely:
        raise ValueError(
            f"Layout {layout!r}: joint {lonely[0]!r} has no partner on the other side of the body. Name its partner alike, "
            "or pass mirror_pairs=[('left ...', 'right ...'), ...] (an empty list switches mirroring off)."
        )
    return tuple((left[key], right[key]) for key in left)


@dataclass(frozen=True)
class SkeletonLayout:
    """One joint format.

    Args:
        name: How the format is called in rows, configs and errors.
        joint_names: V names in the order of the joint axis.
        parents: V parents, as joint index or joint name; -1 or None for a root. Bones run from parent to joint.
        parts: Joint names of each of the five `PARTS`, top-down along the chain; inferred from names and tree if None.
        mirror_pairs: (left, right) joint names; inferred from the names if None. Joints in no pair mirror onto themselves.
        center: The joint whose position is subtracted, or several whose mean is; if None: the middle of the spine, else the
            mean of the hips, else the root.
        unit: Unit of the coordinates: "m", "px" (image pixels) or "normalized".
        source: Where names and order are documented.

    Raises:
        ValueError: names repeat, a parent does not exist, the tree has a cycle, a joint is in no part or in two, or a part,
            pair or centre could not be inferred. The message names the joint.
    """

    name: str
    joint_names: tuple[str, ...]
    parents: tuple[int, ...]
    parts: dict[str, tuple[str, ...]] = None  # type: ignore[assignment]  # None is inferred in __post_init__
    mirror_pairs: tuple[tuple[str, str], ...] = None  # type: ignore[assignment]
    center: tuple[str, ...] = None  # type: ignore[assignment]
    unit: str = "m"
    source: str = ""

    def __post_init__(self) -> None:
        names = tuple(str(name) for name in self.joint_names)
        if not names:
            raise ValueError(f"Layout {self.name!r} has no joints; pass joint_names with at least one name.")
        repeated = [name for i, name in enumerate(names) if name in names[:i]]
        if repeated:
            raise ValueError(
                f"Layout {self.name!r}: joint name {repeated[0]!r} is used twice; joint names must differ."
            )
        object.__setattr__(self, "joint_names", names)
        object.__setattr__(self, "parents", self._check_parents(names, self.parents))
        parts: Mapping[str, Sequence[str]] = (
            _infer_parts(names, self.parents, self.name) if self.parts is None else self.parts
        )
        object.__setattr__(self, "parts", self._check_parts(names, parts))
        pairs = _infer_mirror_pairs(names, self.name) if self.mirror_pairs is None else self.mirror_pairs
        pairs = tuple((str(left), str(right)) for left, right in pairs)
        seen: set[str] = set()
        for joint in (joint for pair in pairs for joint in pair):
            self._check_joint(names, joint, "mirror_pairs")
            if joint in seen:
                raise ValueError(
                    f"Layout {self.name!r}: joint {joint!r} is in two mirror pairs; it can have one partner."
                )
            seen.add(joint)
        object.__setattr__(self, "mirror_pairs", pairs)
        center = self._infer_center() if self.center is None else self.center
        center = (center,) if isinstance(center, str) else tuple(center)
        if not center:
            raise ValueError(f"Layout {self.name!r}: center is empty; name at least one joint.")
        for joint in center:
            self._check_joint(names, joint, "center")
        object.__setattr__(self, "center", center)
        if self.unit not in ("m", "px", "normalized"):
            raise ValueError(f"Layout {self.name!r}: unit is {self.unit!r}; expected 'm', 'px' or 'normalized'.")

    def _check_joint(self, names: Sequence[str], joint: str, where: str) -> None:
        if joint not in names:
            hint = did_you_mean(joint, names)
            raise ValueError(f"Layout {self.name!r}: {where} names joint {joint!r}, which is not in joint_names.{hint}")

    def _check_parents(self, names: tuple[str, ...], given: Sequence[Any]) -> tuple[int, ...]:
        if len(given) != len(names):
            raise ValueError(
                f"Layout {self.name!r}: {len(names)} joint names but {len(given)} parents; give one parent a joint, -1 for a root."
            )
        parents = []
        for joint, parent in zip(names, given, strict=True):
            if parent is None or (not isinstance(parent, str) and int(parent) == -1):
                parents.append(-1)
                continue
            if isinstance(parent, str):
                self._check_joint(names, parent, f"the parent of {joint!r}")
                parents.append(names.index(parent))
            elif 0 <= int(parent) < len(names):
                parents.append(int(parent))
            else:
                raise ValueError(
                    f"Layout {self.name!r}: the parent of {joint!r} is {parent}, not one of -1..{len(names) - 1}."
                )
        for start in range(len(names)):
            at, steps = start, 0
            while parents[at] >= 0:
                at, steps = parents[at], steps + 1
                if steps > len(names):
                    raise ValueError(
                        f"Layout {self.name!r}: the parents of joint {names[start]!r} form a cycle; a skeleton is a tree."
                    )
        return tuple(parents)

    def _check_parts(self, names: tuple[str, ...], given: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
        unknown = [part for part in given if part not in PARTS]
        if unknown:
            raise ValueError(f"Layout {self.name!r}: unknown part {unknown[0]!r}; the parts are {', '.join(PARTS)}.")
        parts = {part: tuple(str(joint) for joint in given.get(part, ())) for part in PARTS}
        seen: dict[str, str] = {}
        for part, joints in parts.items():
            for joint in joints:
                self._check_joint(names, joint, f"part {part!r}")
                if joint in seen:
                    raise ValueError(
                        f"Layout {self.name!r}: joint {joint!r} is in parts {seen[joint]!r} and {part!r}; it belongs to one."
                    )
                seen[joint] = part
        missing = [joint for joint in names if joint not in seen]
        if missing:
            raise ValueError(f"Layout {self.name!r}: joint {missing[0]!r} is in none of the five parts; add it to one.")
        return parts

    def _infer_center(self) -> tuple[str, ...]:
        spine = [name for name in self.parts["torso"] if "spine" in _words(name)]
        if spine:
            return (spine[len(spine) // 2],)
        hips = tuple(
            name
            for name in self.joint_names
            if _side(name) and {"hip", "hipjoint", "thigh", "femur"} & set(_words(name))
        )
        if len(hips) == 2:
            return hips
        return (self.joint_names[self.parents.index(-1)],)

    @property
    def num_joints(self) -> int:
        """V, the number of joints."""
        return len(self.joint_names)

    @property
    def order(self) -> tuple[int, ...]:
        """V joint indices in image order: part by part, top-down."""
        return tuple(self.joint_names.index(joint) for part in PARTS for joint in self.parts[part])

    @property
    def part_sizes(self) -> tuple[int, ...]:
        """Number of joints in each of the five `PARTS`; they add up to V."""
        return tuple(len(self.parts[part]) for part in PARTS)

    @property
    def center_indices(self) -> tuple[int, ...]:
        """Indices of the joints whose mean is the centre of the body."""
        return tuple(self.joint_names.index(joint) for joint in self.center)

    @property
    def mirror(self) -> tuple[int, ...]:
        """V joint indices after swapping left and right."""
        swap = list(range(self.num_joints))
        for left, right in self.mirror_pairs:
            i, j = self.joint_names.index(left), self.joint_names.index(right)
            swap[i], swap[j] = j, i
        return tuple(swap)

    def __hash__(self) -> int:
        return hash((self.name, self.joint_names, self.parents, self.unit))

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON types; `from_dict` is its inverse."""
        return {
            "name": self.name,
            "joint_names": list(self.joint_names),
            "parents": list(self.parents),
            "parts": {part: list(joints) for part, joints in self.parts.items()},
            "mirror_pairs": [list(pair) for pair in self.mirror_pairs],
            "center": list(self.center),
            "unit": self.unit,
            "source": self.source,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SkeletonLayout:
        """Build a layout from `to_dict` output. Raises ValueError for unknown or missing keys."""
        known = ("name", "joint_names", "parents", "parts", "mirror_pairs", "center", "unit", "source")
        unknown = [key for key in values if key not in known]
        absent = [key for key in known[:3] if key not in values]
        if unknown or absent:
            problem = f"unknown key {unknown[0]!r}" if unknown else f"no key {absent[0]!r}"
            raise ValueError(
                f"A layout needs name, joint_names and parents, and may have {', '.join(known[3:])}; got {problem}."
            )
        return cls(**dict(values))


def get_layout(layout: str | SkeletonLayout | Mapping[str, Any]) -> SkeletonLayout:
    """Resolve a name in `LAYOUTS`, a layout or its `to_dict` form to a `SkeletonLayout`. Raises ValueError if unknown."""
    if isinstance(layout, SkeletonLayout):
        return layout
    if isinstance(layout, Mapping):
        return SkeletonLayout.from_dict(layout)
    if layout in LAYOUTS:
        return LAYOUTS[layout]
    raise ValueError(
        f"Unknown layout {layout!r}.{did_you_mean(str(layout), LAYOUTS)} Known: {', '.join(LAYOUTS)}; "
        "for your own joints pass a SkeletonLayout(name, joint_names, parents)."
    )


def _kinect_v1_parts(
    head: str, shoulder_center: str, spine: str, hip_center: str, left: str, right: str
) -> dict[str, tuple[str, ...]]:
    def limb(side: str, joints: str) -> tuple[str, ...]:
        return tuple(side.format(joint) for joint in joints.split())

    return {
        "torso": (head, shoulder_center, spine, hip_center),
        "left_arm": limb(left, "Shoulder Elbow Wrist Hand"),
        "right_arm": limb(right, "Shoulder Elbow Wrist Hand"),
        "left_leg": limb(left, "Hip Knee Ankle Foot"),
        "right_leg": limb(right, "Hip Knee Ankle Foot"),
    }


def _layout(name: str, tree: str, **fields: Any) -> SkeletonLayout:
    """Build a layout from `"joint<parent joint<parent ..."`; a root has no `<`."""
    pairs = [item.partition("<")[::2] for item in tree.split()]
    joint_names = tuple(joint for joint, _ in pairs)
    parents = tuple(joint_names.index(parent) if parent else -1 for _, parent in pairs)
    return SkeletonLayout(name, joint_names, parents, **fields)


_KINECT_V2 = _layout(
    "kinect_v2",
    "SpineBase SpineMid<SpineBase Neck<SpineShoulder Head<Neck "
    "ShoulderL<SpineShoulder ElbowL<ShoulderL WristL<ElbowL HandL<WristL "
    "ShoulderR<SpineShoulder ElbowR<ShoulderR WristR<ElbowR HandR<WristR "
    "HipL<SpineBase KneeL<HipL AnkleL<KneeL FootL<AnkleL HipR<SpineBase KneeR<HipR AnkleR<KneeR FootR<AnkleR "
    "SpineShoulder<SpineMid HandTipL<HandL ThumbL<HandL HandTipR<HandR ThumbR<HandR",
    parts={
        "torso": ("Head", "Neck", "SpineShoulder", "SpineMid", "SpineBase"),
        "left_arm": ("ShoulderL", "ElbowL", "WristL", "HandL", "HandTipL", "ThumbL"),
        "right_arm": ("ShoulderR", "ElbowR", "WristR", "HandR", "HandTipR", "ThumbR"),
        "left_leg": ("HipL", "KneeL", "AnkleL", "FootL"),
        "right_leg": ("HipR", "KneeR", "AnkleR", "FootR"),
    },
    center=("SpineMid",),
    source="Kinect for Windows SDK 2.0 JointType; the order of NTU RGB+D and PKU-MMD",
)
_KINECT_V1 = _layout(
    "kinect_v1",
    "HipCenter Spine<HipCenter ShoulderCenter<Spine Head<ShoulderCenter "
    "ShoulderL<ShoulderCenter ElbowL<ShoulderL WristL<ElbowL HandL<WristL "
    "ShoulderR<ShoulderCenter ElbowR<ShoulderR WristR<ElbowR HandR<WristR "
    "HipL<HipCenter KneeL<HipL AnkleL<KneeL FootL<AnkleL HipR<HipCenter KneeR<HipR AnkleR<KneeR FootR<AnkleR",
    parts=_kinect_v1_parts("Head", "ShoulderCenter", "Spine", "HipCenter", "{}L", "{}R"),
    center=("Spine",),
    source="Kinect for Windows SDK 1.8 JointType; the order of NW-UCLA",
)
_UTD_MHAD = _layout(
    "utd_mhad",
    "head<shoulder_center shoulder_center<spine spine<hip_center hip_center "
    "left_shoulder<shoulder_center left_elbow<left_shoulder left_wrist<left_elbow left_hand<left_wrist "
    "right_shoulder<shoulder_center right_elbow<right_shoulder right_wrist<right_elbow right_hand<right_wrist "
    "left_hip<hip_center left_knee<left_hip left_ankle<left_knee left_foot<left_ankle "
    "right_hip<hip_center right_knee<right_hip right_ankle<right_knee right_foot<right_ankle",
    parts={
        "torso": ("head", "shoulder_center", "spine", "hip_center"),
        **{
            f"{side}_arm": tuple(f"{side}_{j}" for j in ("shoulder", "elbow", "wrist", "hand"))
            for side in ("left", "right")
        },
        **{f"{side}_leg": tuple(f"{side}_{j}" for j in ("hip", "knee", "ankle", "foot")) for side in ("left", "right")},
    },
    center=("spine",),
    source="UTD-MHAD, Chen et al., ICIP 2015: Kinect v1 joints, head first",
)
_LCRNET_13 = _layout(
    "lcrnet_13",
    "RAnkle<RKnee LAnkle<LKnee RKnee<RHip LKnee<LHip RHip<RShoulder LHip<LShoulder RWrist<RElbow LWrist<LElbow "
    "RElbow<RShoulder LElbow<LShoulder RShoulder<Head LShoulder<Head Head",
    center=("LHip", "RHip"),
    source="LCR-Net, Rogez et al., CVPR 2017; the order of Toyota Smarthome",
)
_COCO_17 = _layout(
    "coco_17",
    "nose left_eye<nose right_eye<nose left_ear<left_eye right_ear<right_eye left_shoulder<nose right_shoulder<nose "
    "left_elbow<left_shoulder right_elbow<right_shoulder left_wrist<left_elbow right_wrist<right_elbow "
    "left_hip<left_shoulder right_hip<right_shoulder left_knee<left_hip right_knee<right_hip left_ankle<left_knee "
    "right_ankle<right_knee",
    parts={
        "torso": ("nose", "left_eye", "right_eye", "left_ear", "right_ear"),
        **{f"{side}_arm": tuple(f"{side}_{j}" for j in ("shoulder", "elbow", "wrist")) for side in ("left", "right")},
        **{f"{side}_leg": tuple(f"{side}_{j}" for j in ("hip", "knee", "ankle")) for side in ("left", "right")},
    },
    center=("left_hip", "right_hip"),
    unit="px",
    source="COCO keypoints, Lin et al., ECCV 2014",
)
_H36M_17 = _layout(
    "h36m_17",
    "root RHip<root RKnee<RHip RAnkle<RKnee LHip<root LKnee<LHip LAnkle<LKnee belly<root neck<belly nose<neck head<nose "
    "LShoulder<neck LElbow<LShoulder LWrist<LElbow RShoulder<neck RElbow<RShoulder RWrist<RElbow",
    center=("belly",),
    source="Human3.6M, Ionescu et al., TPAMI 2014, in its 17-joint form",
)
_OPENPOSE_25 = _layout(
    "openpose_25",
    "Nose<Neck Neck<MidHip RShoulder<Neck RElbow<RShoulder RWrist<RElbow LShoulder<Neck LElbow<LShoulder LWrist<LElbow MidHip "
    "RHip<MidHip RKnee<RHip RAnkle<RKnee LHip<MidHip LKnee<LHip LAnkle<LKnee REye<Nose LEye<Nose REar<REye LEar<LEye "
    "LBigToe<LAnkle LSmallToe<LBigToe LHeel<LAnkle RBigToe<RAnkle RSmallToe<RBigToe RHeel<RAnkle",
    parts={
        "torso": ("LEar", "REar", "LEye", "REye", "Nose", "Neck", "MidHip"),
        "left_arm": ("LShoulder", "LElbow", "LWrist"),
        "right_arm": ("RShoulder", "RElbow", "RWrist"),
        "left_leg": ("LHip", "LKnee", "LAnkle", "LHeel", "LBigToe", "LSmallToe"),
        "right_leg": ("RHip", "RKnee", "RAnkle", "RHeel", "RBigToe", "RSmallToe"),
    },
    center=("LHip", "RHip"),
    unit="px",
    source="OpenPose BODY_25, Cao et al., TPAMI 2019; 25 joints, but not those of Kinect v2",
)
_MEDIAPIPE_33 = _layout(
    "mediapipe_33",
    "nose left_eye_inner<nose left_eye<left_eye_inner left_eye_outer<left_eye "
    "right_eye_inner<nose right_eye<right_eye_inner right_eye_outer<right_eye left_ear<left_eye_outer right_ear<right_eye_outer "
    "mouth_left<nose mouth_right<nose left_shoulder<nose right_shoulder<nose left_elbow<left_shoulder right_elbow<right_shoulder "
    "left_wrist<left_elbow right_wrist<right_elbow left_pinky<left_wrist right_pinky<right_wrist left_index<left_wrist "
    "right_index<right_wrist left_thumb<left_wrist right_thumb<right_wrist left_hip<left_shoulder right_hip<right_shoulder "
    "left_knee<left_hip right_knee<right_hip left_ankle<left_knee right_ankle<right_knee left_heel<left_ankle "
    "right_heel<right_ankle left_foot_index<left_ankle right_foot_index<right_ankle",
    parts={
        "torso": (
            "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye", "right_eye_outer",
            "left_ear", "right_ear", "nose", "mouth_left", "mouth_right",
        ),
        **{
            f"{side}_arm": tuple(f"{side}_{j}" for j in ("shoulder", "elbow", "wrist", "pinky", "index", "thumb"))
            for side in ("left", "right")
        },
        **{
            f"{side}_leg": tuple(f"{side}_{j}" for j in ("hip", "knee", "ankle", "heel", "foot_index"))
            for side in ("left", "right")
        },
    },
    center=("left_hip", "right_hip"),
    source="MediaPipe Pose, Bazarevsky et al., 2020 (world landmarks in metres; their y axis points down)",
)  # fmt: skip
_SMPL_24 = _layout(
    "smpl_24",
    "pelvis left_hip<pelvis right_hip<pelvis spine1<pelvis left_knee<left_hip right_knee<right_hip spine2<spine1 "
    "left_ankle<left_knee right_ankle<right_knee spine3<spine2 left_foot<left_ankle right_foot<right_ankle neck<spine3 "
    "left_collar<spine3 right_collar<spine3 head<neck left_shoulder<left_collar right_shoulder<right_collar "
    "left_elbow<left_shoulder right_elbow<right_shoulder left_wrist<left_elbow right_wrist<right_elbow left_hand<left_wrist "
    "right_hand<right_wrist",
    center=("spine2",),
    source="SMPL, Loper et al., SIGGRAPH Asia 2015",
)
_CMU_31 = _layout(
    "cmu_31",
    "root lhipjoint<root lfemur<lhipjoint ltibia<lfemur lfoot<ltibia ltoes<lfoot rhipjoint<root rfemur<rhipjoint "
    "rtibia<rfemur rfoot<rtibia rtoes<rfoot lowerback<root upperback<lowerback thorax<upperback lowerneck<thorax "
    "upperneck<lowerneck head<upperneck lclavicle<thorax lhumerus<lclavicle lradius<lhumerus lwrist<lradius lhand<lwrist "
    "lfingers<lhand lthumb<lhand rclavicle<thorax rhumerus<rclavicle rradius<rhumerus rwrist<rradius rhand<rwrist "
    "rfingers<rhand rthumb<rhand",
    center=("upperback",),
    source="CMU motion capture (ASF), also HDM05",
)
_SBU_15 = _layout(
    "sbu_15",
    "head<neck neck<torso torso LShoulder<neck LElbow<LShoulder LHand<LElbow RShoulder<neck RElbow<RShoulder RHand<RElbow "
    "LHip<torso LKnee<LHip LFoot<LKnee RHip<torso RKnee<RHip RFoot<RKnee",
    parts={
        "torso": ("head", "neck", "torso"),
        **{f"{'left' if s == 'L' else 'right'}_arm": (f"{s}Shoulder", f"{s}Elbow", f"{s}Hand") for s in "LR"},
        **{f"{'left' if s == 'L' else 'right'}_leg": (f"{s}Hip", f"{s}Knee", f"{s}Foot") for s in "LR"},
    },
    center=("torso",),
    source="SBU Kinect Interaction, Yun et al., CVPR-W 2012",
)

LAYOUTS: dict[str, SkeletonLayout] = {
    layout.name: layout
    for layout in (
        _KINECT_V2, _KINECT_V1, _UTD_MHAD, _LCRNET_13, _COCO_17, _H36M_17, _OPENPOSE_25, _MEDIAPIPE_33, _SMPL_24, _CMU_31, _SBU_15,
    )
}  # fmt: skip
