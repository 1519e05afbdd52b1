"""Joint formats against the orders typed out here, inference from names, and the errors."""

from __future__ import annotations

import hashlib
import json
import re

import pytest
from conftest import one_sentence, refused

from s2i_hf.processing.layouts import BUILT_IN, LAYOUTS, PARTS, SkeletonLayout, get_layout, layout_json, register_layout
from s2i_hf.processing.skeleton_layout import name_key

KINECT_LIMBS = (
    "ShoulderL ElbowL WristL HandL ShoulderR ElbowR WristR HandR HipL KneeL AnkleL FootL HipR KneeR AnkleR FootR"
)
COCO = "shoulder elbow wrist hip knee ankle"
AZURE_ARM = "CLAVICLE SHOULDER ELBOW WRIST HAND HANDTIP THUMB"
ZED_38 = (
    "EYE EAR CLAVICLE SHOULDER ELBOW WRIST HIP KNEE ANKLE BIG_TOE SMALL_TOE HEEL HAND_THUMB_4 HAND_INDEX_1 HAND_MIDDLE_4 "
    "HAND_PINKY_1"
)
MEDIAPIPE = "shoulder elbow wrist pinky index thumb hip knee ankle heel foot_index"


def _pairs(joints: str) -> list[str]:
    return [f"{side}{joint}" for joint in joints.split() for side in "LR"]


# Written from the public documentation of each format, independently of layouts.py.
ORDERS = {
    "kinect_v2": f"SpineBase SpineMid Neck Head {KINECT_LIMBS} SpineShoulder HandTipL ThumbL HandTipR ThumbR",
    "kinect_v1": f"HipCenter Spine ShoulderCenter Head {KINECT_LIMBS}",
    "utd_mhad": "head shoulder_center spine hip_center left_shoulder left_elbow left_wrist left_hand right_shoulder right_elbow "
    "right_wrist right_hand left_hip left_knee left_ankle left_foot right_hip right_knee right_ankle right_foot",
    "lcrnet_13": "RAnkle LAnkle RKnee LKnee RHip LHip RWrist LWrist RElbow LElbow RShoulder LShoulder Head",
    "coco_17": "nose left_eye right_eye left_ear right_ear "
    + " ".join(f"{side}_{joint}" for joint in COCO.split() for side in ("left", "right")),
    "h36m_17": "root RHip RKnee RAnkle LHip LKnee LAnkle belly neck nose head LShoulder LElbow LWrist RShoulder RElbow RWrist",
    "openpose_25": "Nose Neck RShoulder RElbow RWrist LShoulder LElbow LWrist MidHip RHip RKnee RAnkle LHip LKnee LAnkle "
    "REye LEye REar LEar LBigToe LSmallToe LHeel RBigToe RSmallToe RHeel",
    "mediapipe_33": "nose left_eye_inner left_eye left_eye_outer right_eye_inner right_eye right_eye_outer left_ear right_ear "
    "mouth_left mouth_right "
    + " ".join(f"{side}_{joint}" for joint in MEDIAPIPE.split() for side in ("left", "right")),
    "smpl_24": "pelvis left_hip right_hip spine1 left_knee right_knee spine2 left_ankle right_ankle spine3 left_foot right_foot "
    "neck left_collar right_collar head left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist left_hand "
    "right_hand",
    "cmu_31": "root lhipjoint lfemur ltibia lfoot ltoes rhipjoint rfemur rtibia rfoot rtoes lowerback upperback thorax lowerneck "
    "upperneck head lclavicle lhumerus lradius lwrist lhand lfingers lthumb rclavicle rhumerus rradius rwrist rhand rfingers "
    "rthumb",
    "sbu_15": "head neck torso LShoulder LElbow LHand RShoulder RElbow RHand LHip LKnee LFoot RHip RKnee RFoot",
    "openpose_18": "Nose Neck RShoulder RElbow RWrist LShoulder LElbow LWrist RHip RKnee RAnkle LHip LKnee LAnkle REye LEye REar LEar",
    "halpe_26": " ".join(
        [
            "Nose",
            *_pairs("Eye Ear Shoulder Elbow Wrist Hip Knee Ankle"),
            "Head Neck Hip",
            *_pairs("BigToe SmallToe Heel"),
        ]
    ),
    "posetrack_17": "nose head_bottom head_top left_ear right_ear "
    + " ".join(f"{side}_{joint}" for joint in COCO.split() for side in ("left", "right")),
    "smpl_22": "pelvis left_hip right_hip spine1 left_knee right_knee spine2 left_ankle right_ankle spine3 left_foot right_foot "
    "neck left_collar right_collar head left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist",
    "smplh_52": "pelvis left_hip right_hip spine1 left_knee right_knee spine2 left_ankle right_ankle spine3 left_foot right_foot neck "
    "left_collar right_collar head left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist "
    "left_index1 left_index2 left_index3 left_middle1 left_middle2 left_middle3 left_pinky1 left_pinky2 left_pinky3 "
    "left_ring1 left_ring2 left_ring3 left_thumb1 left_thumb2 left_thumb3 "
    "right_index1 right_index2 right_index3 right_middle1 right_middle2 right_middle3 right_pinky1 right_pinky2 right_pinky3 "
    "right_ring1 right_ring2 right_ring3 right_thumb1 right_thumb2 right_thumb3",
    "azure_kinect_32": "PELVIS SPINE_NAVEL SPINE_CHEST NECK "
    + " ".join(f"{joint}_{side}" for side in ("LEFT", "RIGHT") for joint in AZURE_ARM.split())
    + " HIP_LEFT KNEE_LEFT ANKLE_LEFT FOOT_LEFT HIP_RIGHT KNEE_RIGHT ANKLE_RIGHT FOOT_RIGHT "
    "HEAD NOSE EYE_LEFT EAR_LEFT EYE_RIGHT EAR_RIGHT",
    "zed_34": "PELVIS NAVAL_SPINE CHEST_SPINE NECK "
    + " ".join(f"{side}_{joint}" for side in ("LEFT", "RIGHT") for joint in AZURE_ARM.split())
    + " LEFT_HIP LEFT_KNEE LEFT_ANKLE LEFT_FOOT RIGHT_HIP RIGHT_KNEE RIGHT_ANKLE RIGHT_FOOT "
    "HEAD NOSE LEFT_EYE LEFT_EAR RIGHT_EYE RIGHT_EAR LEFT_HEEL RIGHT_HEEL",
    "zed_38": "PELVIS SPINE_1 SPINE_2 SPINE_3 NECK NOSE "
    + " ".join(f"{side}_{joint}" for joint in ZED_38.split() for side in ("LEFT", "RIGHT")),
    "nuitrack": "head neck torso waist left_collar left_shoulder left_elbow left_wrist left_hand right_collar right_shoulder "
    "right_elbow right_wrist right_hand left_hip left_knee left_ankle right_hip right_knee right_ankle",
    "panoptic_19": "Neck Nose BodyCenter lShoulder lElbow lWrist lHip lKnee lAnkle rShoulder rElbow rWrist rHip rKnee rAnkle "
    "lEye lEar rEye rEar",
    "3dhp_17": "head_top neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist right_hip right_knee "
    "right_ankle left_hip left_knee left_ankle pelvis spine head",
    "bandai_namco_22": "joint_Root Hips Spine Chest Neck Head Shoulder_L UpperArm_L LowerArm_L Hand_L Shoulder_R UpperArm_R "
    "LowerArm_R Hand_R UpperLeg_L LowerLeg_L Foot_L Toes_L UpperLeg_R LowerLeg_R Foot_R Toes_R",
}
COUNTS = {
    "kinect_v2": 25,
    "kinect_v1": 20,
    "utd_mhad": 20,
    "lcrnet_13": 13,
    "coco_17": 17,
    "h36m_17": 17,
    "openpose_25": 25,
    "mediapipe_33": 33,
    "smpl_24": 24,
    "cmu_31": 31,
    "sbu_15": 15,
    "florence_15": 15,
    "msr_action3d": 20,
    "ui_prmd_22": 22,
    "vicon_39": 39,
    "openpose_18": 18,
    "halpe_26": 26,
    "posetrack_17": 17,
    "smpl_22": 22,
    "smplh_52": 52,
    "azure_kinect_32": 32,
    "zed_34": 34,
    "zed_38": 38,
    "nuitrack": 20,
    "panoptic_19": 19,
    "3dhp_17": 17,
    "bandai_namco_22": 22,
}
# Bones as the makers draw or list them, where they do; "parent: children" by index. A head, hands or feet are left to the layout.
CHILDREN = {
    "azure_kinect_32": "0: 1 18 22, 1: 2, 2: 3 4 11, 3: 26, 4: 5, 5: 6, 6: 7, 7: 8 10, 8: 9, 11: 12, 12: 13, 13: 14, 14: 15 17, "
    "15: 16, 18: 19, 19: 20, 20: 21, 22: 23, 23: 24, 24: 25, 26: 27 28 29 30 31",
    "zed_34": "0: 1 18 22, 1: 2, 2: 11 3 4, 3: 26, 4: 5, 5: 6, 6: 7, 7: 8 10, 8: 9, 11: 12, 12: 13, 13: 14, 14: 15 17, 15: 16, 18: 19, "
    "19: 20, 20: 21 32, 22: 23, 23: 24, 24: 25 33, 26: 27 28 29 30 31",
    "zed_38": "0: 1 18 19, 1: 2, 2: 3, 3: 4 10 11, 4: 5, 5: 6 7, 6: 8, 7: 9, 10: 12, 11: 13, 12: 14, 13: 15, 14: 16, 15: 17, "
    "16: 30 32 34 36, 17: 31 33 35 37, 18: 20, 19: 21, 20: 22, 21: 23, 22: 24 26 28, 23: 25 27 29",
    "openpose_18": "1: 0 2 5 8 11, 2: 3, 3: 4, 5: 6, 6: 7, 8: 9, 9: 10, 11: 12, 12: 13, 0: 14 15, 14: 16, 15: 17",
    "halpe_26": "18: 17 5 6 0, 19: 18 11 12, 0: 1 2, 1: 3, 2: 4, 5: 7, 7: 9, 6: 8, 8: 10, 11: 13, 13: 15, 12: 14, 14: 16, 15: 24, 16: 25, "
    "24: 20 22, 25: 21 23",
    "smpl_22": "0: 1 2 3, 1: 4, 4: 7, 7: 10, 2: 5, 5: 8, 8: 11, 3: 6, 6: 9, 9: 12 13 14, 12: 15, 13: 16, 16: 18, 18: 20, 14: 17, 17: 19, "
    "19: 21",
    "smplh_52": "0: 1 2 3, 1: 4, 4: 7, 7: 10, 2: 5, 5: 8, 8: 11, 3: 6, 6: 9, 9: 12 13 14, 12: 15, 13: 16, 16: 18, 18: 20, 14: 17, 17: 19, "
    "19: 21, 20: 22 25 28 31 34, 22: 23, 23: 24, 25: 26, 26: 27, 28: 29, 29: 30, 31: 32, 32: 33, 34: 35, 35: 36, "
    "21: 37 40 43 46 49, 37: 38, 38: 39, 40: 41, 41: 42, 43: 44, 44: 45, 46: 47, 47: 48, 49: 50, 50: 51",
    "panoptic_19": "2: 0 6 12, 0: 1 3 9, 3: 4, 4: 5, 9: 10, 10: 11, 6: 7, 7: 8, 12: 13, 13: 14, 1: 15 17, 15: 16, 17: 18",
    "3dhp_17": "14: 8 11 15, 15: 1, 1: 2 5 16, 16: 0, 2: 3, 3: 4, 5: 6, 6: 7, 8: 9, 9: 10, 11: 12, 12: 13",
    "bandai_namco_22": "0: 1, 1: 2 14 18, 2: 3, 3: 4 6 10, 4: 5, 6: 7, 7: 8, 8: 9, 10: 11, 11: 12, 12: 13, 14: 15, 15: 16, 16: 17, 18: 19, "
    "19: 20, 20: 21",
    "nuitrack": "3: 2 14 17, 2: 4 9, 4: 1 5, 1: 0, 5: 6, 6: 7, 7: 8, 9: 10, 10: 11, 11: 12, 12: 13, 14: 15, 15: 16, 17: 18, 18: 19",
}  # fmt: skip
CENTERS = {
    "kinect_v2": ["SpineMid"], "kinect_v1": ["Spine"], "utd_mhad": ["spine"], "lcrnet_13": ["LHip", "RHip"],
    "halpe_26": ["LHip", "RHip"], "openpose_18": ["LHip", "RHip"], "panoptic_19": ["lHip", "rHip"], "nuitrack": ["torso"],
    "azure_kinect_32": ["SPINE_NAVEL"], "zed_34": ["NAVAL_SPINE"], "zed_38": ["SPINE_2"], "smpl_22": ["spine2"], "smplh_52": ["spine2"],
    "posetrack_17": ["left_hip", "right_hip"], "3dhp_17": ["spine"], "bandai_namco_22": ["Spine"],
    "coco_17": ["left_hip", "right_hip"], "mediapipe_33": ["left_hip", "right_hip"], "smpl_24": ["spine2"],
}  # fmt: skip
TORSOS = {
    "kinect_v2": "Head Neck SpineShoulder SpineMid SpineBase",
    "kinect_v1": "Head ShoulderCenter Spine HipCenter",
    "utd_mhad": "head shoulder_center spine hip_center",
    "lcrnet_13": "Head",
    "h36m_17": "head nose neck belly root",
    "smpl_24": "head neck spine3 spine2 spine1 pelvis",
    "cmu_31": "head upperneck lowerneck thorax upperback lowerback root",
    "sbu_15": "head neck torso",
    "coco_17": "nose left_eye right_eye left_ear right_ear",
    "msr_action3d": "Head ShoulderCenter Spine HipCenter",
    "ui_prmd_22": "HeadTip Head Neck Chest Spine Waist",
    "smpl_22": "head neck spine3 spine2 spine1 pelvis",
    "smplh_52": "head neck spine3 spine2 spine1 pelvis",
    "bandai_namco_22": "Head Neck Chest Spine Hips joint_Root",
    "3dhp_17": "head_top head neck spine pelvis",
    "halpe_26": "Head LEar REar LEye REye Nose Neck Hip",
    "panoptic_19": "lEar rEar lEye rEye Nose Neck BodyCenter",
    "nuitrack": "head neck left_collar right_collar torso waist",
    "zed_38": "LEFT_EAR RIGHT_EAR LEFT_EYE RIGHT_EYE NOSE NECK SPINE_3 SPINE_2 SPINE_1 PELVIS",
}
LEFT_ARMS = {
    "kinect_v2": "ShoulderL ElbowL WristL HandL HandTipL ThumbL",
    "kinect_v1": "ShoulderL ElbowL WristL HandL",
    "utd_mhad": "left_shoulder left_elbow left_wrist left_hand",
    "lcrnet_13": "LShoulder LElbow LWrist",
    "coco_17": "left_shoulder left_elbow left_wrist",
    "h36m_17": "LShoulder LElbow LWrist",
    "openpose_25": "LShoulder LElbow LWrist",
    "smpl_24": "left_collar left_shoulder left_elbow left_wrist left_hand",
    "cmu_31": "lclavicle lhumerus lradius lwrist lhand lthumb lfingers",
    "sbu_15": "LShoulder LElbow LHand",
    "msr_action3d": "ShoulderL ElbowL WristL HandL",
    "ui_prmd_22": "CollarL UpperArmL ForearmL HandL",
    "bandai_namco_22": "Shoulder_L UpperArm_L LowerArm_L Hand_L",
    "nuitrack": "left_shoulder left_elbow left_wrist left_hand",
    "azure_kinect_32": "CLAVICLE_LEFT SHOULDER_LEFT ELBOW_LEFT WRIST_LEFT HAND_LEFT THUMB_LEFT HANDTIP_LEFT",
    "zed_38": "LEFT_CLAVICLE LEFT_SHOULDER LEFT_ELBOW LEFT_WRIST LEFT_HAND_THUMB_4 LEFT_HAND_INDEX_1 LEFT_HAND_MIDDLE_4 "
    "LEFT_HAND_PINKY_1",
    "panoptic_19": "lShoulder lElbow lWrist",
}


def test_the_dict_holds_exactly_the_documented_formats() -> None:
    assert {name: layout.num_joints for name, layout in LAYOUTS.items()} == COUNTS
    assert all(name == layout.name for name, layout in LAYOUTS.items())
    assert all(layout.source for layout in LAYOUTS.values())


@pytest.mark.parametrize("name", ORDERS)
def test_joint_order(name: str) -> None:
    assert list(LAYOUTS[name].joint_names) == ORDERS[name].split()


@pytest.mark.parametrize("name", CHILDREN)
def test_bones_are_those_of_the_maker(name: str) -> None:
    bones = {}
    for entry in CHILDREN[name].split(", "):
        parent, children = entry.split(": ")
        bones.update({int(child): int(parent) for child in children.split()})
    assert [bones.get(joint, -1) for joint in range(COUNTS[name])] == list(LAYOUTS[name].parents)
    assert LAYOUTS[name].parents.count(-1) == 1


def test_pixels_and_metres() -> None:
    pixels = {"coco_17", "openpose_25", "openpose_18", "halpe_26", "posetrack_17"}
    assert {name: layout.unit for name, layout in LAYOUTS.items()} == {
        name: "px" if name in pixels else "m" for name in LAYOUTS
    }


@pytest.mark.parametrize("name", CENTERS)
def test_center(name: str) -> None:
    assert list(LAYOUTS[name].center) == CENTERS[name]


@pytest.mark.parametrize("name", TORSOS)
def test_torso_runs_top_down(name: str) -> None:
    assert list(LAYOUTS[name].parts["torso"]) == TORSOS[name].split()


@pytest.mark.parametrize("name", LEFT_ARMS)
def test_left_arm_runs_top_down_and_the_right_arm_is_its_mirror(name: str) -> None:
    layout = LAYOUTS[name]
    assert list(layout.parts["left_arm"]) == LEFT_ARMS[name].split()
    partner = dict(layout.mirror_pairs)
    assert layout.parts["right_arm"] == tuple(partner[joint] for joint in layout.parts["left_arm"])
    assert layout.parts["right_leg"] == tuple(partner[joint] for joint in layout.parts["left_leg"])


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=str)
def test_parts_partition_the_joints(layout: SkeletonLayout) -> None:
    assert tuple(layout.parts) == PARTS == ("torso", "left_arm", "right_arm", "left_leg", "right_leg")
    joints = [joint for part in PARTS for joint in layout.parts[part]]
    assert sorted(joints) == sorted(layout.joint_names)
    assert [layout.joint_names[index] for index in layout.order] == joints
    assert sum(layout.part_sizes) == layout.num_joints and min(layout.part_sizes) >= 1


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=str)
def test_limbs_never_climb_back_up_the_tree(layout: SkeletonLayout) -> None:
    for part in PARTS[1:]:
        depths = []
        for joint in layout.parts[part]:
            at, depth = layout.joint_names.index(joint), 0
            while layout.parents[at] >= 0:
                at, depth = layout.parents[at], depth + 1
            depths.append(depth)
        assert depths == sorted(depths), part


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=str)
def test_mirror_swaps_left_and_right_and_undoes_itself(layout: SkeletonLayout) -> None:
    names, mirror = layout.joint_names, layout.mirror
    assert [mirror[mirror[joint]] for joint in range(layout.num_joints)] == list(range(layout.num_joints))
    part_of = {joint: part for part, joints in layout.parts.items() for joint in joints}
    other = {"left_arm": "right_arm", "right_arm": "left_arm", "left_leg": "right_leg", "right_leg": "left_leg"}
    for joint, name in enumerate(names):
        partner = names[mirror[joint]]
        assert part_of[partner] == other.get(part_of[name], "torso")
        if mirror[joint] != joint:  # the name without its side is the same word
            side = r"left|right|LEFT|RIGHT|(?<![a-z])[LRlr](?=[A-Za-z])|[LR]$|_"
            bare = {re.sub(side, "", text).lower() for text in (name, partner)}
            assert len(bare) == 1, (name, partner)
    for left, right in layout.mirror_pairs:
        assert re.search(r"left|LEFT|L$|^L|^l", left) and re.search(r"right|RIGHT|R$|^R|^r", right)
    sided = [name for name in names if part_of[name] != "torso"]
    assert {joint for pair in layout.mirror_pairs for joint in pair} >= set(sided)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=str)
def test_survives_json(layout: SkeletonLayout) -> None:
    text = json.dumps(layout.to_dict())
    again = SkeletonLayout.from_dict(json.loads(text))
    assert again == layout and hash(again) == hash(layout) and json.dumps(again.to_dict()) == text


@pytest.mark.parametrize(
    "name", ["kinect_v1", "utd_mhad", "smpl_24", "cmu_31", "h36m_17", "lcrnet_13", "sbu_15", "coco_17"]
)
def test_names_and_parents_alone_give_the_known_parts(name: str) -> None:
    known = LAYOUTS[name]
    inferred = SkeletonLayout("again", joint_names=known.joint_names, parents=known.parents)
    assert {part: set(joints) for part, joints in inferred.parts.items()} == {p: set(j) for p, j in known.parts.items()}
    assert set(inferred.mirror_pairs) == set(known.mirror_pairs)
    for part in PARTS[1:]:
        assert inferred.parts[part] == known.parts[part]
    if name in ("kinect_v1", "utd_mhad", "smpl_24", "lcrnet_13", "coco_17"):  # the middle of the spine, or the hips
        assert set(inferred.center) == set(known.center)


def chain(*names: str) -> list[tuple[str, str | None]]:
    return list(zip(names, [None, *names[:-1]], strict=True))


def build(*chains: list[tuple[str, str | None]], **fields: object) -> SkeletonLayout:
    """A layout from chains; the first joint of a later chain is its (already named) point of attachment."""
    pairs = list(chains[0]) + [pair for part in chains[1:] for pair in part[1:]]
    return SkeletonLayout("own", [name for name, _ in pairs], [parent for _, parent in pairs], **fields)  # type: ignore[arg-type]


STYLES = {
    "mixamo": ("mixamorig:{Side}", "{p}Hips {p}Spine {p}Spine1 {p}Neck {p}Head {p}HeadTop_End",
               "{s}Shoulder {s}Arm {s}ForeArm {s}Hand {s}HandIndex1 {s}HandIndex2", "{s}UpLeg {s}Leg {s}Foot {s}ToeBase {s}Toe_End"),
    "bvh": ("{Side}", "Hips Spine Spine1 Neck Head", "{s}Shoulder {s}Arm {s}ForeArm {s}Hand", "{s}UpLeg {s}Leg {s}Foot"),
    "short prefix": ("{side1}_", "pelvis spine chest neck head", "{s}collar {s}shoulder {s}elbow {s}wrist", "{s}hip {s}knee {s}ankle"),
    "openpose short": ("{SIDE1}", "MidHip Neck Nose", "{s}Sho {s}Elb {s}Wri", "{s}Hip {s}Kne {s}Ank {s}BigToe"),
    "capitals": ("{SIDE}_", "SPINE_BASE SPINE_MID NECK HEAD", "{s}SHOULDER {s}ELBOW {s}HAND {s}HANDTIP", "{s}HIP {s}KNEE {s}FOOT"),
    "joined": ("{side1}", "root lowerback thorax head", "{s}clavicle {s}humerus {s}radius {s}hand", "{s}femur {s}tibia {s}toes"),
    "3ds max": ("Bip01 {SIDE1} ", "Bip01_Pelvis Bip01_Spine Bip01_Neck Bip01_Head",
                "{s}Clavicle {s}UpperArm {s}Forearm {s}Finger0", "{s}Thigh {s}Calf {s}Foot {s}Toe0"),
}  # fmt: skip


def limb(style: str, words: str, side: str) -> list[str]:
    prefix = style.format(Side=side.title(), side=side, SIDE=side.upper(), side1=side[0], SIDE1=side[0].upper())
    return [word.replace("{s}", prefix) for word in words.split()]


@pytest.mark.parametrize("style", STYLES)
def test_inference_understands_common_naming_styles(style: str) -> None:
    prefix, torso_words, arm, leg = STYLES[style]
    torso = [word.replace("{p}", "mixamorig:") for word in torso_words.split()]
    chains = [chain(*torso)]
    for side in ("left", "right"):
        chains += [chain(torso[-2], *limb(prefix, arm, side)), chain(torso[0], *limb(prefix, leg, side))]
    layout = build(*chains)
    assert layout.parts["torso"] == tuple(reversed(torso))  # rooted at the pelvis, so top-down is backwards
    for side in ("left", "right"):
        assert layout.parts[f"{side}_arm"] == tuple(limb(prefix, arm, side))
        assert layout.parts[f"{side}_leg"] == tuple(limb(prefix, leg, side))
    partners = {**dict(zip(limb(prefix, arm, "left"), limb(prefix, arm, "right"), strict=True)),
                **dict(zip(limb(prefix, leg, "left"), limb(prefix, leg, "right"), strict=True))}  # fmt: skip
    assert dict(layout.mirror_pairs) == partners


def test_inference_understands_sides_at_the_end() -> None:
    limbs = [
        [f"{word}{end}" for word in words.split()]
        for words in ("shoulder elbow hand", "thigh shin foot")
        for end in (".L", ".R")
    ]
    layout = build(chain("hips", "spine", "neck"), *(chain("spine", *limb) for limb in limbs))
    assert [list(layout.parts[part]) for part in PARTS[1:]] == limbs
    layout = build(chain("hips", "neck"), chain("neck", "elbow_l", "hand_l"), chain("neck", "elbow_r", "hand_r"))
    assert layout.parts["left_arm"] == ("elbow_l", "hand_l") and layout.parts["right_leg"] == ()
    assert layout.center == ("hips",)


def test_an_odd_name_follows_its_limb() -> None:
    layout = build(chain("hips", "head"), chain("hips", "left_elbow", "prop"), mirror_pairs=[])
    assert layout.parts["left_arm"] == ("left_elbow", "prop")


def test_a_head_rooted_torso_is_listed_from_the_head() -> None:
    layout = build(chain("head", "neck", "spine", "pelvis"))
    assert layout.parts["torso"] == ("head", "neck", "spine", "pelvis")


def test_one_constructor_call_with_indices_or_names_or_none() -> None:
    by_index = SkeletonLayout("own", ["hips", "head", "left_hand", "right_hand"], [-1, 0, 1, 1])
    by_name = SkeletonLayout("own", ["hips", "head", "left_hand", "right_hand"], [None, "hips", "head", "head"])
    assert by_index == by_name
    assert by_index.center_indices == (0,)
    assert SkeletonLayout("own", ["hips"], [-1], center="hips").center == ("hips",)


def test_layouts_that_differ_only_in_parts_are_different() -> None:
    a = SkeletonLayout("own", ["a", "b"], [-1, 0], parts={"torso": ["a", "b"]}, mirror_pairs=[])
    b = SkeletonLayout("own", ["a", "b"], [-1, 0], parts={"torso": ["b", "a"]}, mirror_pairs=[])
    assert a != b and a.order == (0, 1) and b.order == (1, 0)


TORSO = {"torso": ["a", "b", "c"]}
BAD = {
    "cycle": (lambda: SkeletonLayout("own", ["a", "b", "c"], [-1, 2, 1], parts=TORSO), "'b'"),
    "own parent": (lambda: SkeletonLayout("own", ["a", "b", "c"], [-1, 1, 0], parts=TORSO), "'b'"),
    "no root": (lambda: SkeletonLayout("own", ["a", "b", "c"], [1, 2, 0], parts=TORSO), "cycle"),
    "parent index": (lambda: SkeletonLayout("own", ["a", "b", "c"], [-1, 0, 7], parts=TORSO), "'c'"),
    "negative parent": (lambda: SkeletonLayout("own", ["a", "b", "c"], [-1, 0, -2], parts=TORSO), "'c'"),
    "parent name": (lambda: SkeletonLayout("own", ["spine", "head"], [None, "spin"]), "'spine'"),
    "count": (lambda: SkeletonLayout("own", ["a", "b", "c"], [-1, 0], parts=TORSO), "3 joint names but 2 parents"),
    "repeated": (lambda: SkeletonLayout("own", ["a", "b", "a"], [-1, 0, 0], parts=TORSO), "'a'"),
    "empty": (lambda: SkeletonLayout("own", [], []), "no joints"),
    "in no part": (lambda: SkeletonLayout("own", ["a", "b", "c"], [-1, 0, 0], parts={"torso": ["a", "b"]}), "'c'"),
    "in two parts": (
        lambda: SkeletonLayout("own", ["a", "b", "c"], [-1, 0, 0], parts={**TORSO, "left_arm": ["b"]}), "'b'"),
    "twice in a part": (lambda: SkeletonLayout("own", ["a", "b", "c"], [-1, 0, 0], parts={"torso": ["a", "b", "c", "c"]}), "'c'"),
    "unknown part": (lambda: SkeletonLayout("own", ["a", "b", "c"], [-1, 0, 0], parts={**TORSO, "tail": []}), "'tail'"),
    "unknown joint": (lambda: SkeletonLayout("own", ["a", "b", "c"], [-1, 0, 0], parts={"torso": ["a", "b", "d"]}), "'d'"),
    "uninferable": (lambda: SkeletonLayout("own", ["hips", "head", "gizmo"], [-1, 0, 0]), "'gizmo'"),
    "other side": (lambda: SkeletonLayout("own", ["hips", "left_elbow", "right_gizmo"], [-1, 0, 1]), "'right_gizmo'"),
    "lonely": (lambda: SkeletonLayout("own", ["hips", "left_hand"], [-1, 0]), "'left_hand'"),
    "center": (lambda: SkeletonLayout("own", ["hips"], [-1], center=["hip"]), "'hips'"),
    "empty center": (lambda: SkeletonLayout("own", ["hips"], [-1], center=[]), "center"),
    "mirror name": (lambda: SkeletonLayout("own", ["a", "b", "c"], [-1, 0, 0], parts=TORSO, mirror_pairs=[("a", "x")]), "'x'"),
    "mirror twice": (
        lambda: SkeletonLayout("own", ["a", "b", "c"], [-1, 0, 0], parts=TORSO, mirror_pairs=[("a", "b"), ("a", "c")]), "'a'"),
    "unit": (lambda: SkeletonLayout("own", ["hips"], [-1], unit="mm"), "'mm'"),
    "dict key": (lambda: SkeletonLayout.from_dict({"name": "own", "joint_names": ["a"], "parent": [-1]}), "'parent'"),
    "dict without": (lambda: SkeletonLayout.from_dict({"name": "own", "joint_names": ["a"]}), "'parents'"),
    "unknown layout": (lambda: get_layout("kinect_v3"), "'kinect_v2'"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_errors_are_one_sentence_that_names_the_culprit(case: str) -> None:
    make, culprit = BAD[case]
    with pytest.raises(ValueError, match=re.escape(culprit)) as caught:
        make()
    assert one_sentence(caught.value), caught.value


def test_get_layout_takes_names_layouts_and_dicts() -> None:
    layout = LAYOUTS["kinect_v2"]
    assert get_layout("kinect_v2") is layout and get_layout(layout) is layout and get_layout(layout.to_dict()) == layout


# What exporters of motion capture call their joints: torso; arm; leg. "{}" is where a limb says its side.
EXPORTERS = {
    "DAZ and cgspeed's CMU": (
        "",
        "hip abdomen chest neck head",
        "{}Collar {}Shldr {}ForeArm {}Hand {}Thumb1 {}Mid1",
        "{}Buttock {}Thigh {}Shin {}Foot",
        "l r",
    ),
    "DAZ Genesis": (
        "",
        "hip abdomenLower chestUpper neckLower head upperFaceRig",
        "{}Collar {}ShldrBend {}ShldrTwist {}ForearmBend {}Hand {}Carpal1 {}Ring1",
        "{}ThighBend {}Shin {}Foot {}Metatarsals {}Toe",
        "l r",
    ),
    "Motive": (
        "",
        "Hip Ab Chest Neck Head",
        "{}Shoulder {}UArm {}FArm {}Hand {}Thumb1 {}Pinky1",
        "{}Thigh {}Shin {}Foot {}Toe",
        "L R",
    ),
    "Xsens MVN": (
        "",
        "Pelvis L5 L3 T12 T8 Neck Head",
        "{}Shoulder {}UpperArm {}ForeArm {}Hand",
        "{}UpperLeg {}LowerLeg {}Foot {}Toe",
        "Left Right",
    ),
    "Mixamo": (
        "mixamorig:",
        "Hips Spine Spine1 Neck Head HeadTop_End",
        "{}Shoulder {}Arm {}ForeArm {}Hand {}HandMiddle1 {}HandRing1",
        "{}UpLeg {}Leg {}Foot {}ToeBase {}Toe_End",
        "Left Right",
    ),
    "Rokoko": (
        "",
        "Hips Spine Spine2 Neck Head",
        "{}Shoulder {}Arm {}ForeArm {}Hand {}DigitMiddle",
        "{}Thigh {}Shin {}Foot {}Toe {}ToeTip",
        "Left Right",
    ),
    "LAFAN1": (
        "",
        "Hips Spine Spine1 Spine2 Neck Head",
        "{}Shoulder {}Arm {}ForeArm {}Hand",
        "{}UpLeg {}Leg {}Foot {}Toe",
        "Left Right",
    ),
    "Unity humanoid": (
        "",
        "Hips Spine Chest UpperChest Neck Head Jaw",
        "{}Shoulder {}UpperArm {}LowerArm {}Hand {}MiddleProximal {}LittleProximal",
        "{}UpperLeg {}LowerLeg {}Foot {}Toes",
        "Left Right",
    ),
    "Rigify": (
        "",
        "spine spine.001 spine.003 spine.006 face",
        "shoulder.{} upper_arm.{} upper_arm.{}.001 forearm.{} hand.{} palm.01.{} f_middle.01.{}",
        "thigh.{} shin.{} foot.{} toe.{}",
        "L R",
    ),
    "Biped": (
        "Bip01_",
        "Root Pelvis Spine Neck Head HeadNub",
        "{}_Clavicle {}_UpperArm {}_UpArmTwist {}_Forearm {}_ForeTwist {}_Hand {}_Finger0",
        "{}_Thigh {}_Calf {}_Foot {}_Toe0",
        "L R",
    ),
    "Perception Neuron": (
        "",
        "Hips Spine Spine1 Spine2 Spine3 Neck Head",
        "{}Shoulder {}Arm {}ForeArm {}Hand {}InHandMiddle {}HandMiddle1",
        "{}UpLeg {}Leg {}Foot",
        "Left Right",
    ),
    "Unreal": (
        "",
        "root pelvis spine_01 neck_01 head",
        "clavicle_{} upperarm_{} upperarm_twist_01_{} lowerarm_{} hand_{} middle_01_{}",
        "thigh_{} calf_{} foot_{} ball_{}",
        "l r",
    ),
    "HDM05": (
        "",
        "root lowerback upperback thorax lowerneck upperneck head",
        "{}clavicle {}humerus {}radius {}wrist {}hand {}fingers",
        "{}hipjoint {}femur {}tibia {}foot {}toes",
        "l r",
    ),
    "mocopi": (
        "",
        "root torso_1 torso_7 neck_1 head",
        "{}_shoulder {}_up_arm {}_low_arm {}_hand",
        "{}_up_leg {}_low_leg {}_foot {}_toes",
        "l r",
    ),
    "VRM": (
        "J_Bip_",
        "C_Hips C_Spine C_Neck C_Head Hair1_01",
        "{}_Shoulder {}_UpperArm {}_LowerArm {}_Hand {}_Middle1",
        "{}_UpperLeg {}_LowerLeg {}_Foot {}_ToeBase",
        "L R",
    ),
    "iPi": (
        "",
        "Hip LowerSpine MiddleSpine Chest Neck Head",
        "{}Clavicle {}Shoulder {}Forearm {}Hand",
        "{}Thigh {}Shin {}Foot {}Toe",
        "L R",
    ),
}


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_parts_of_what_exporters_call_their_joints(exporter: str) -> None:
    prefix, torso, arm, leg, sides = EXPORTERS[exporter]
    spine = [prefix + joint for joint in torso.split()]
    limbs = {
        f"{full}_{kind}": [prefix + joint.replace("{}", side) for joint in joints.split()]
        for kind, joints in (("arm", arm), ("leg", leg))
        for full, side in zip(("left", "right"), sides.split(), strict=True)
    }
    tops = {"arm": spine[len(spine) // 2], "leg": spine[0]}
    chains = [chain(*spine), *(chain(tops[part.split("_")[1]], *joints) for part, joints in limbs.items())]
    layout = build(*chains)
    assert set(layout.parts["torso"]) == set(spine)
    for part, joints in limbs.items():
        assert layout.parts[part] == tuple(joints), part
    by_hand = [
        pair for kind in ("arm", "leg") for pair in zip(limbs[f"left_{kind}"], limbs[f"right_{kind}"], strict=True)
    ]
    assert set(layout.mirror_pairs) == set(by_hand)


def test_what_hangs_below_or_above_places_a_joint_of_unknown_name() -> None:
    legs = [chain("hip", f"{side}Pad", f"{side}Knee", f"{side}Sole") for side in "lr"]
    arms = [chain("core", f"{side}Elbow", f"{side}Glove", "sword" if side == "r" else "shield") for side in "lr"]
    wings = [chain("core", f"{side}Wing", f"{side}WingFeather") for side in "lr"]
    layout = build(chain("hip", "core", "Head", "hat"), *wings, *legs, *arms)
    assert layout.parts["left_leg"] == ("lPad", "lKnee", "lSole")
    assert layout.parts["right_arm"] == ("rElbow", "rGlove", "sword")
    assert {"hip", "core", "Head", "hat"} <= set(layout.parts["torso"])


@pytest.mark.parametrize("name", ["L5", "L3", "spine_L4", "Skeleton:L5", "jL5S1", "l1"])
def test_a_lumbar_vertebra_is_not_left(name: str) -> None:
    assert name_key(name)[0] is None


@pytest.mark.parametrize("name", ["L_5", "hand_L1", "Toe_L5", "knee_l", "L", "thumb.L.001", "L12"])
def test_but_other_names_with_an_l_are(name: str) -> None:
    assert name_key(name)[0] == "left"


def test_names_that_nothing_places_are_refused() -> None:
    with pytest.raises(ValueError, match="'Bone1'"):
        build(chain("Hips", "Bone1", "Bone2"), chain("Hips", "LeftLeg"), chain("Hips", "RightLeg"))  # no arms are known
    with pytest.raises(ValueError, match="'joint_1'"):
        build(chain("joint_1", "joint_2"), chain("joint_1", "joint_3"))
    with pytest.raises(ValueError, match="'左腕'"):
        build(chain("Hips", "左腕"), chain("Hips", "右腕"))


def test_what_is_no_part_of_the_body_needs_no_partner() -> None:
    arms = [chain("hips", f"{side}Arm", f"{side}Hand") for side in ("Left", "Right")]
    legs = [chain("hips", f"{side}Leg") for side in ("Left", "Right")]
    layout = build(*arms, *legs, chain("RightHand", "RightSword"))
    assert layout.parts["right_arm"][-1] == "RightSword"
    assert "RightSword" not in sum(layout.mirror_pairs, ()) and len(layout.mirror_pairs) == 3


# Parts, pairs and centres of the built-in layouts as they were published: models know their columns by them
PUBLISHED = {
    "kinect_v2": "4881decb5d2e", "kinect_v1": "d5965a151097", "utd_mhad": "629d84c6ab1c", "lcrnet_13": "7c27c4e234f6",
    "coco_17": "16c214cd7603", "h36m_17": "310292b7d809", "openpose_25": "aaf9d3d83997", "mediapipe_33": "49e7393cfc2c",
    "smpl_24": "ff00a1b99391", "cmu_31": "3a3546d69803", "sbu_15": "d3107b3e7dd5", "msr_action3d": "56b5e9a8a1e1",
    "ui_prmd_22": "d5c43c1bb6e0", "vicon_39": "adff30f25665", "florence_15": "7d325f3efb9a",
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_layouts_do_not_change(name: str) -> None:
    layout = LAYOUTS[name]
    facts = (layout.joint_names, layout.parents, sorted(layout.parts.items()), layout.mirror_pairs, layout.center)
    assert hashlib.sha256(repr(facts).encode()).hexdigest()[:12] == PUBLISHED[name]


def own(name: str = "my_sensor", **changes: object) -> SkeletonLayout:
    return SkeletonLayout(**{"name": name, "joint_names": ("hips", "spine", "head"), "parents": (-1, 0, 1), **changes})  # type: ignore[arg-type]


def test_where_names_are_documented_makes_no_two_layouts_of_one() -> None:
    first, second = own(source="joints of monday.bvh"), own(source="joints of friday.bvh")
    assert first == second and hash(first) == hash(second) and first.source != second.source
    assert register_layout(first) == register_layout(second) == register_layout(get_layout(first.to_dict()))
    for changes, differing in (
        ({"parents": (-1, 0, 0)}, "parents"),
        ({"center": "head"}, "center"),
        ({"unit": "px"}, "unit"),
    ):
        with refused(
            ValueError, match=f"stands for another layout, of 3 joints and with other {differing}; give yours"
        ):
            register_layout(own(**changes))


def test_a_file_names_what_comes_with_the_package_and_holds_what_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [layout_json(name) for name in BUILT_IN] == list(BUILT_IN)
    mine = own()
    assert layout_json(mine) == mine.to_dict()
    register_layout(mine)  # what this process knows, others do not
    assert layout_json("my_sensor") == layout_json(mine) == mine.to_dict()
    monkeypatch.setitem(LAYOUTS, "kinect_v2", own("kinect_v2"))
    assert layout_json("kinect_v2") == own("kinect_v2").to_dict() and layout_json(BUILT_IN["kinect_v2"]) == "kinect_v2"
