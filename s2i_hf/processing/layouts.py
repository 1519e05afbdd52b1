"""The well-known joint formats: `LAYOUTS`, and `get_layout` to name one, pass one or load one.

One entry a format, with where its order is documented. See `skeleton_layout.py` for what a layout holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .skeleton_layout import PARTS, SkeletonLayout
from .suggestions import did_you_mean

__all__ = ["LAYOUTS", "PARTS", "LayoutLike", "SkeletonLayout", "get_layout", "register_layout"]

LayoutLike = str | SkeletonLayout | Mapping[str, Any]
"""A name in `LAYOUTS`, a layout, or its `to_dict` form."""
LAYOUTS: dict[str, SkeletonLayout] = {}
BUILT_IN: dict[
    str, SkeletonLayout
] = {}  # those that come with the package, whatever is put into `LAYOUTS` in this process


def get_layout(layout: LayoutLike) -> SkeletonLayout:
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


def register_layout(layout: SkeletonLayout) -> SkeletonLayout:
    """Make a joint format of your own known by its name, as rows of a dataset call it, in this process; twice does no harm.

    Returns the layout. Raises ValueError if another one has this name.
    """
    known = LAYOUTS.setdefault(layout.name, layout)
    if known != layout:
        fields = (field for field in known.to_dict() if field != "source" and vars(known)[field] != vars(layout)[field])
        differing = next(fields, "parts").replace("_", " ")
        other = f"stands for another layout, of {known.num_joints} joints and with other {differing}; give yours another name."
        raise ValueError(f"The name {layout.name!r} {other}")
    return known


def layout_json(layout: LayoutLike) -> str | dict[str, Any]:
    """A layout as a file holds it: its name if it comes with this package, else its `to_dict`, since other programs know no other name.

    Raises ValueError if the layout is unknown.
    """
    known = get_layout(layout)
    return known.name if BUILT_IN.get(known.name) == known else known.to_dict()


def five_parts(torso: str, arm: str, leg: str, sides: str = "L R") -> dict[str, tuple[str, ...]]:
    """`PARTS` of a body whose two sides are named alike: "{}" is where a joint of an arm or leg says its side."""
    limbs = [joints.replace("{}", side) for joints in (arm, leg) for side in sides.split()]
    return {part: tuple(joints.split()) for part, joints in zip(PARTS, (torso, *limbs), strict=True)}


def _add(name: str, tree: str, **fields: Any) -> None:
    """Add a layout from `"joint<parent joint<parent ..."`; a root has no `<`. Parts and pairs that names do not tell are in `fields`."""
    pairs = [item.partition("<")[::2] for item in tree.split()]
    joint_names = tuple(joint for joint, _ in pairs)
    parents = tuple(joint_names.index(parent) if parent else -1 for _, parent in pairs)
    LAYOUTS[name] = BUILT_IN[name] = SkeletonLayout(name, joint_names, parents, **fields)


_add(
    "kinect_v2",
    "SpineBase SpineMid<SpineBase Neck<SpineShoulder Head<Neck "
    "ShoulderL<SpineShoulder ElbowL<ShoulderL WristL<ElbowL HandL<WristL "
    "ShoulderR<SpineShoulder ElbowR<ShoulderR WristR<ElbowR HandR<WristR "
    "HipL<SpineBase KneeL<HipL AnkleL<KneeL FootL<AnkleL HipR<SpineBase KneeR<HipR AnkleR<KneeR FootR<AnkleR "
    "SpineShoulder<SpineMid HandTipL<HandL ThumbL<HandL HandTipR<HandR ThumbR<HandR",
    source="Kinect for Windows SDK 2.0 JointType; the order of NTU RGB+D and PKU-MMD",
)
_add(
    "kinect_v1",
    "HipCenter Spine<HipCenter ShoulderCenter<Spine Head<ShoulderCenter "
    "ShoulderL<ShoulderCenter ElbowL<ShoulderL WristL<ElbowL HandL<WristL "
    "ShoulderR<ShoulderCenter ElbowR<ShoulderR WristR<ElbowR HandR<WristR "
    "HipL<HipCenter KneeL<HipL AnkleL<KneeL FootL<AnkleL HipR<HipCenter KneeR<HipR AnkleR<KneeR FootR<AnkleR",
    source="Kinect for Windows SDK 1.8 JointType; the order of NW-UCLA",
)
_add(
    "utd_mhad",
    "head<shoulder_center shoulder_center<spine spine<hip_center hip_center "
    "left_shoulder<shoulder_center left_elbow<left_shoulder left_wrist<left_elbow left_hand<left_wrist "
    "right_shoulder<shoulder_center right_elbow<right_shoulder right_wrist<right_elbow right_hand<right_wrist "
    "left_hip<hip_center left_knee<left_hip left_ankle<left_knee left_foot<left_ankle "
    "right_hip<hip_center right_knee<right_hip right_ankle<right_knee right_foot<right_ankle",
    source="UTD-MHAD, Chen et al., ICIP 2015: Kinect v1 joints, head first",
)
_add(
    "lcrnet_13",
    "RAnkle<RKnee LAnkle<LKnee RKnee<RHip LKnee<LHip RHip<RShoulder LHip<LShoulder RWrist<RElbow LWrist<LElbow "
    "RElbow<RShoulder LElbow<LShoulder RShoulder<Head LShoulder<Head Head",
    center=("LHip", "RHip"),
    source="LCR-Net, Rogez et al., CVPR 2017; the order of Toyota Smarthome",
)
_add(
    "coco_17",
    "nose left_eye<nose right_eye<nose left_ear<left_eye right_ear<right_eye left_shoulder<nose right_shoulder<nose "
    "left_elbow<left_shoulder right_elbow<right_shoulder left_wrist<left_elbow right_wrist<right_elbow "
    "left_hip<left_shoulder right_hip<right_shoulder left_knee<left_hip right_knee<right_hip left_ankle<left_knee "
    "right_ankle<right_knee",
    unit="px",
    source="COCO keypoints, Lin et al., ECCV 2014",
)
_add(
    "h36m_17",
    "root RHip<root RKnee<RHip RAnkle<RKnee LHip<root LKnee<LHip LAnkle<LKnee belly<root neck<belly nose<neck head<nose "
    "LShoulder<neck LElbow<LShoulder LWrist<LElbow RShoulder<neck RElbow<RShoulder RWrist<RElbow",
    center=("belly",),
    source="Human3.6M, Ionescu et al., TPAMI 2014, in its 17-joint form",
)
_add(
    "openpose_25",
    "Nose<Neck Neck<MidHip RShoulder<Neck RElbow<RShoulder RWrist<RElbow LShoulder<Neck LElbow<LShoulder LWrist<LElbow MidHip "
    "RHip<MidHip RKnee<RHip RAnkle<RKnee LHip<MidHip LKnee<LHip LAnkle<LKnee REye<Nose LEye<Nose REar<REye LEar<LEye "
    "LBigToe<LAnkle LSmallToe<LBigToe LHeel<LAnkle RBigToe<RAnkle RSmallToe<RBigToe RHeel<RAnkle",
    parts=five_parts(
        "LEar REar LEye REye Nose Neck MidHip",
        "{}Shoulder {}Elbow {}Wrist",
        "{}Hip {}Knee {}Ankle {}Heel {}BigToe {}SmallToe",
    ),
    center=("LHip", "RHip"),
    unit="px",
    source="OpenPose BODY_25, Cao et al., TPAMI 2019; 25 joints, but not those of Kinect v2",
)
_add(
    "openpose_18",
    "Nose<Neck Neck RShoulder<Neck RElbow<RShoulder RWrist<RElbow LShoulder<Neck LElbow<LShoulder LWrist<LElbow "
    "RHip<Neck RKnee<RHip RAnkle<RKnee LHip<Neck LKnee<LHip LAnkle<LKnee REye<Nose LEye<Nose REar<REye LEar<LEye",
    parts=five_parts("LEar REar LEye REye Nose Neck", "{}Shoulder {}Elbow {}Wrist", "{}Hip {}Knee {}Ankle"),
    center=("LHip", "RHip"),
    unit="px",
    source="OpenPose COCO, Cao et al., CVPR 2017: keypoints of COCO in another order, and a neck; also Kinetics-Skeleton",
)
_add(
    "halpe_26",
    "Nose<Neck LEye<Nose REye<Nose LEar<LEye REar<REye LShoulder<Neck RShoulder<Neck LElbow<LShoulder RElbow<RShoulder "
    "LWrist<LElbow RWrist<RElbow LHip<Hip RHip<Hip LKnee<LHip RKnee<RHip LAnkle<LKnee RAnkle<RKnee Head<Neck Neck<Hip Hip "
    "LBigToe<LHeel RBigToe<RHeel LSmallToe<LHeel RSmallToe<RHeel LHeel<LAnkle RHeel<RAnkle",
    parts=five_parts(
        "Head LEar REar LEye REye Nose Neck Hip",
        "{}Shoulder {}Elbow {}Wrist",
        "{}Hip {}Knee {}Ankle {}Heel {}BigToe {}SmallToe",
    ),
    unit="px",
    source="Halpe-FullBody (Fang et al., TPAMI 2022), the body of AlphaPose's 136 keypoints and of MMPose's halpe26; Head is its top",
)
_add(
    "posetrack_17",
    "nose<head_bottom head_bottom head_top<nose left_ear<nose right_ear<nose left_shoulder<head_bottom right_shoulder<head_bottom "
    "left_elbow<left_shoulder right_elbow<right_shoulder left_wrist<left_elbow right_wrist<right_elbow "
    "left_hip<left_shoulder right_hip<right_shoulder left_knee<left_hip right_knee<right_hip left_ankle<left_knee "
    "right_ankle<right_knee",
    parts=five_parts(
        "head_top left_ear right_ear nose head_bottom",
        "{}_shoulder {}_elbow {}_wrist",
        "{}_hip {}_knee {}_ankle",
        "left right",
    ),
    unit="px",
    source="PoseTrack18, Andriluka et al., CVPR 2018; head_bottom is the upper neck, and ears are never annotated",
)
_add(
    "mediapipe_33",
    "nose left_eye_inner<nose left_eye<left_eye_inner left_eye_outer<left_eye "
    "right_eye_inner<nose right_eye<right_eye_inner right_eye_outer<right_eye left_ear<left_eye_outer right_ear<right_eye_outer "
    "mouth_left<nose mouth_right<nose left_shoulder<nose right_shoulder<nose left_elbow<left_shoulder right_elbow<right_shoulder "
    "left_wrist<left_elbow right_wrist<right_elbow left_pinky<left_wrist right_pinky<right_wrist left_index<left_wrist "
    "right_index<right_wrist left_thumb<left_wrist right_thumb<right_wrist left_hip<left_shoulder right_hip<right_shoulder "
    "left_knee<left_hip right_knee<right_hip left_ankle<left_knee right_ankle<right_knee left_heel<left_ankle "
    "right_heel<right_ankle left_foot_index<left_ankle right_foot_index<right_ankle",
    parts=five_parts(
        "left_eye_inner left_eye left_eye_outer right_eye_inner right_eye right_eye_outer left_ear right_ear nose mouth_left mouth_right",
        "{}_shoulder {}_elbow {}_wrist {}_pinky {}_index {}_thumb",
        "{}_hip {}_knee {}_ankle {}_heel {}_foot_index",
        "left right",
    ),
    source="MediaPipe Pose, Bazarevsky et al., 2020 (world landmarks in metres; their y axis points down)",
)
_add(
    "smpl_24",
    "pelvis left_hip<pelvis right_hip<pelvis spine1<pelvis left_knee<left_hip right_knee<right_hip spine2<spine1 "
    "left_ankle<left_knee right_ankle<right_knee spine3<spine2 left_foot<left_ankle right_foot<right_ankle neck<spine3 "
    "left_collar<spine3 right_collar<spine3 head<neck left_shoulder<left_collar right_shoulder<right_collar "
    "left_elbow<left_shoulder right_elbow<right_shoulder left_wrist<left_elbow right_wrist<right_elbow left_hand<left_wrist "
    "right_hand<right_wrist",
    source="SMPL, Loper et al., SIGGRAPH Asia 2015",
)
_add(
    "smpl_22",
    "pelvis left_hip<pelvis right_hip<pelvis spine1<pelvis left_knee<left_hip right_knee<right_hip spine2<spine1 "
    "left_ankle<left_knee right_ankle<right_knee spine3<spine2 left_foot<left_ankle right_foot<right_ankle neck<spine3 "
    "left_collar<spine3 right_collar<spine3 head<neck left_shoulder<left_collar right_shoulder<right_collar "
    "left_elbow<left_shoulder right_elbow<right_shoulder left_wrist<left_elbow right_wrist<right_elbow",
    source="SMPL without its hands, the body of SMPL-H and SMPL-X; the joints of HumanML3D, Guo et al., CVPR 2022",
)
_FINGERS = "index middle pinky ring thumb"
_add(
    "smplh_52",
    " ".join(
        [
            *(f"{name}<{LAYOUTS['smpl_22'].joint_names[parent]}" if parent >= 0 else name
              for name, parent in zip(LAYOUTS["smpl_22"].joint_names, LAYOUTS["smpl_22"].parents, strict=True)),
            *(f"{side}_{finger}{number}<{side}_{finger}{number - 1}" if number > 1 else f"{side}_{finger}1<{side}_wrist"
              for side in ("left", "right") for finger in _FINGERS.split() for number in (1, 2, 3)),
        ]
    ),
    parts=five_parts(
        "head neck spine3 spine2 spine1 pelvis",
        "{}_collar {}_shoulder {}_elbow {}_wrist " + " ".join(f"{{}}_{finger}{n}" for n in (1, 2, 3) for finger in _FINGERS.split()),
        "{}_hip {}_knee {}_ankle {}_foot",
        "left right",
    ),
    source="SMPL-H, Romero et al., SIGGRAPH Asia 2017: the joints of smpl_22 and 15 a hand, also those of AMASS and Motion-X",
)  # fmt: skip
_add(
    "cmu_31",
    "root lhipjoint<root lfemur<lhipjoint ltibia<lfemur lfoot<ltibia ltoes<lfoot rhipjoint<root rfemur<rhipjoint "
    "rtibia<rfemur rfoot<rtibia rtoes<rfoot lowerback<root upperback<lowerback thorax<upperback lowerneck<thorax "
    "upperneck<lowerneck head<upperneck lclavicle<thorax lhumerus<lclavicle lradius<lhumerus lwrist<lradius lhand<lwrist "
    "lfingers<lhand lthumb<lwrist rclavicle<thorax rhumerus<rclavicle rradius<rhumerus rwrist<rradius rhand<rwrist "
    "rfingers<rhand rthumb<rwrist",
    center=("upperback",),
    source="CMU motion capture (ASF), also HDM05",
)
_add(
    "sbu_15",
    "head<neck neck<torso torso LShoulder<neck LElbow<LShoulder LHand<LElbow RShoulder<neck RElbow<RShoulder RHand<RElbow "
    "LHip<torso LKnee<LHip LFoot<LKnee RHip<torso RKnee<RHip RFoot<RKnee",
    center=("torso",),
    source="SBU Kinect Interaction, Yun et al., CVPR-W 2012",
)
_add(
    "msr_action3d",
    "ShoulderL<ShoulderCenter ShoulderR<ShoulderCenter ShoulderCenter<Spine Spine<HipCenter HipL<HipCenter HipR<HipCenter HipCenter "
    "ElbowL<ShoulderL ElbowR<ShoulderR WristL<ElbowL WristR<ElbowR HandL<WristL HandR<WristR "
    "KneeL<HipL KneeR<HipR AnkleL<KneeL AnkleR<KneeR FootL<AnkleL FootR<AnkleR Head<ShoulderCenter",
    source="MSR-Action3D, Li et al., CVPR-W 2010; the order is read off its bone lengths, the sides off its single-arm actions",
)
_add(
    "ui_prmd_22",
    "Waist Spine<Waist Chest<Spine Neck<Chest Head<Neck HeadTip<Head "
    "CollarL<Chest UpperArmL<CollarL ForearmL<UpperArmL HandL<ForearmL "
    "CollarR<Chest UpperArmR<CollarR ForearmR<UpperArmR HandR<ForearmR "
    "UpperLegL<Waist LowerLegL<UpperLegL FootL<LowerLegL ToesL<FootL "
    "UpperLegR<Waist LowerLegR<UpperLegR FootR<LowerLegR ToesR<FootR",
    source="UI-PRMD by Kinect, Vakanski et al., Data 2018; a segment stands for the joint where it begins",
)
_PAIRED_MARKERS = "FHD BHD SHO UPA ELB FRM WRA WRB FIN ASI PSI THI KNE TIB ANK HEE TOE"
_add(
    "vicon_39",
    "LFHD<LBHD RFHD<RBHD LBHD<C7 RBHD<C7 C7<T10 T10<LPSI CLAV<C7 STRN<T10 RBAK<T10 "
    "LSHO<C7 LUPA<LSHO LELB<LSHO LFRM<LELB LWRA<LELB LWRB<LWRA LFIN<LWRA "
    "RSHO<C7 RUPA<RSHO RELB<RSHO RFRM<RELB RWRA<RELB RWRB<RWRA RFIN<RWRA LASI<LPSI RASI<RPSI LPSI RPSI<LPSI "
    "LTHI<LASI LKNE<LASI LTIB<LKNE LANK<LKNE LHEE<LANK LTOE<LANK RTHI<RASI RKNE<RASI RTIB<RKNE RANK<RKNE RHEE<RANK RTOE<RANK",
    parts=five_parts(
        "LFHD RFHD LBHD RBHD C7 CLAV RBAK STRN T10 LPSI RPSI",
        "{}SHO {}UPA {}ELB {}FRM {}WRA {}WRB {}FIN",
        "{}ASI {}THI {}KNE {}TIB {}ANK {}HEE {}TOE",
    ),
    mirror_pairs=tuple((f"L{name}", f"R{name}") for name in _PAIRED_MARKERS.split()),
    center=("T10",),
    source="Plug-in Gait markers of Vicon in the order of UI-PRMD; RBAK, on the right shoulder blade, has no partner",
)
_add(
    "florence_15",
    "head<neck neck<spine spine LShoulder<neck LElbow<LShoulder LWrist<LElbow RShoulder<neck RElbow<RShoulder RWrist<RElbow "
    "LHip<spine LKnee<LHip LAnkle<LKnee RHip<spine RKnee<RHip RAnkle<RKnee",
    source="Florence 3D Actions, Seidenari et al., CVPR-W 2013",
)
_add(
    "azure_kinect_32",
    "PELVIS SPINE_NAVEL<PELVIS SPINE_CHEST<SPINE_NAVEL NECK<SPINE_CHEST "
    "CLAVICLE_LEFT<SPINE_CHEST SHOULDER_LEFT<CLAVICLE_LEFT ELBOW_LEFT<SHOULDER_LEFT WRIST_LEFT<ELBOW_LEFT HAND_LEFT<WRIST_LEFT "
    "HANDTIP_LEFT<HAND_LEFT THUMB_LEFT<WRIST_LEFT "
    "CLAVICLE_RIGHT<SPINE_CHEST SHOULDER_RIGHT<CLAVICLE_RIGHT ELBOW_RIGHT<SHOULDER_RIGHT WRIST_RIGHT<ELBOW_RIGHT "
    "HAND_RIGHT<WRIST_RIGHT HANDTIP_RIGHT<HAND_RIGHT THUMB_RIGHT<WRIST_RIGHT "
    "HIP_LEFT<PELVIS KNEE_LEFT<HIP_LEFT ANKLE_LEFT<KNEE_LEFT FOOT_LEFT<ANKLE_LEFT "
    "HIP_RIGHT<PELVIS KNEE_RIGHT<HIP_RIGHT ANKLE_RIGHT<KNEE_RIGHT FOOT_RIGHT<ANKLE_RIGHT "
    "HEAD<NECK NOSE<HEAD EYE_LEFT<HEAD EAR_LEFT<HEAD EYE_RIGHT<HEAD EAR_RIGHT<HEAD",
    source="Azure Kinect Body Tracking SDK 1.x, k4abt_joint_id_t (millimetres; its y axis points down)",
)
_add(
    "zed_34",
    "PELVIS NAVAL_SPINE<PELVIS CHEST_SPINE<NAVAL_SPINE NECK<CHEST_SPINE "
    "LEFT_CLAVICLE<CHEST_SPINE LEFT_SHOULDER<LEFT_CLAVICLE LEFT_ELBOW<LEFT_SHOULDER LEFT_WRIST<LEFT_ELBOW LEFT_HAND<LEFT_WRIST "
    "LEFT_HANDTIP<LEFT_HAND LEFT_THUMB<LEFT_WRIST "
    "RIGHT_CLAVICLE<CHEST_SPINE RIGHT_SHOULDER<RIGHT_CLAVICLE RIGHT_ELBOW<RIGHT_SHOULDER RIGHT_WRIST<RIGHT_ELBOW "
    "RIGHT_HAND<RIGHT_WRIST RIGHT_HANDTIP<RIGHT_HAND RIGHT_THUMB<RIGHT_WRIST "
    "LEFT_HIP<PELVIS LEFT_KNEE<LEFT_HIP LEFT_ANKLE<LEFT_KNEE LEFT_FOOT<LEFT_ANKLE "
    "RIGHT_HIP<PELVIS RIGHT_KNEE<RIGHT_HIP RIGHT_ANKLE<RIGHT_KNEE RIGHT_FOOT<RIGHT_ANKLE "
    "HEAD<NECK NOSE<HEAD LEFT_EYE<HEAD LEFT_EAR<HEAD RIGHT_EYE<HEAD RIGHT_EAR<HEAD LEFT_HEEL<LEFT_ANKLE RIGHT_HEEL<RIGHT_ANKLE",
    source="ZED SDK 4, BODY_34_PARTS; unit and axes are those that the camera was opened with",
)
_add(
    "zed_38",
    "PELVIS SPINE_1<PELVIS SPINE_2<SPINE_1 SPINE_3<SPINE_2 NECK<SPINE_3 NOSE<NECK LEFT_EYE<NOSE RIGHT_EYE<NOSE "
    "LEFT_EAR<LEFT_EYE RIGHT_EAR<RIGHT_EYE LEFT_CLAVICLE<SPINE_3 RIGHT_CLAVICLE<SPINE_3 "
    "LEFT_SHOULDER<LEFT_CLAVICLE RIGHT_SHOULDER<RIGHT_CLAVICLE LEFT_ELBOW<LEFT_SHOULDER RIGHT_ELBOW<RIGHT_SHOULDER "
    "LEFT_WRIST<LEFT_ELBOW RIGHT_WRIST<RIGHT_ELBOW LEFT_HIP<PELVIS RIGHT_HIP<PELVIS LEFT_KNEE<LEFT_HIP RIGHT_KNEE<RIGHT_HIP "
    "LEFT_ANKLE<LEFT_KNEE RIGHT_ANKLE<RIGHT_KNEE LEFT_BIG_TOE<LEFT_ANKLE RIGHT_BIG_TOE<RIGHT_ANKLE "
    "LEFT_SMALL_TOE<LEFT_ANKLE RIGHT_SMALL_TOE<RIGHT_ANKLE LEFT_HEEL<LEFT_ANKLE RIGHT_HEEL<RIGHT_ANKLE "
    "LEFT_HAND_THUMB_4<LEFT_WRIST RIGHT_HAND_THUMB_4<RIGHT_WRIST LEFT_HAND_INDEX_1<LEFT_WRIST RIGHT_HAND_INDEX_1<RIGHT_WRIST "
    "LEFT_HAND_MIDDLE_4<LEFT_WRIST RIGHT_HAND_MIDDLE_4<RIGHT_WRIST LEFT_HAND_PINKY_1<LEFT_WRIST RIGHT_HAND_PINKY_1<RIGHT_WRIST",
    source="ZED SDK 4, BODY_38_PARTS; unit and axes are those that the camera was opened with",
)
_add(
    "nuitrack",
    "head<neck neck<left_collar torso<waist waist "
    "left_collar<torso left_shoulder<left_collar left_elbow<left_shoulder left_wrist<left_elbow left_hand<left_wrist "
    "right_collar<torso right_shoulder<right_collar right_elbow<right_shoulder right_wrist<right_elbow right_hand<right_wrist "
    "left_hip<waist left_knee<left_hip left_ankle<left_knee right_hip<waist right_knee<right_hip right_ankle<right_knee",
    parts=five_parts(
        "head neck left_collar right_collar torso waist",
        "{}_shoulder {}_elbow {}_wrist {}_hand",
        "{}_hip {}_knee {}_ankle",
        "left right",
    ),
    center=("torso",),
    source="Nuitrack JointType but for fingertips and feet, which it does not track; both collars are one point (millimetres)",
)
_add(
    "panoptic_19",
    "Neck<BodyCenter Nose<Neck BodyCenter lShoulder<Neck lElbow<lShoulder lWrist<lElbow lHip<BodyCenter lKnee<lHip lAnkle<lKnee "
    "rShoulder<Neck rElbow<rShoulder rWrist<rElbow rHip<BodyCenter rKnee<rHip rAnkle<rKnee lEye<Nose lEar<lEye rEye<Nose rEar<rEye",
    source="CMU Panoptic Studio, Joo et al., TPAMI 2017, in its coco19 form (centimetres; its y axis points down)",
)
_add(
    "3dhp_17",
    "head_top<head neck<spine right_shoulder<neck right_elbow<right_shoulder right_wrist<right_elbow "
    "left_shoulder<neck left_elbow<left_shoulder left_wrist<left_elbow right_hip<pelvis right_knee<right_hip right_ankle<right_knee "
    "left_hip<pelvis left_knee<left_hip left_ankle<left_knee pelvis spine<pelvis head<neck",
    source="MPI-INF-3DHP, Mehta et al., 3DV 2017, in the 17 joints of its test set (millimetres; its y axis points down)",
)
_add(
    "bandai_namco_22",
    "joint_Root Hips<joint_Root Spine<Hips Chest<Spine Neck<Chest Head<Neck "
    "Shoulder_L<Chest UpperArm_L<Shoulder_L LowerArm_L<UpperArm_L Hand_L<LowerArm_L "
    "Shoulder_R<Chest UpperArm_R<Shoulder_R LowerArm_R<UpperArm_R Hand_R<LowerArm_R "
    "UpperLeg_L<Hips LowerLeg_L<UpperLeg_L Foot_L<LowerLeg_L Toes_L<Foot_L "
    "UpperLeg_R<Hips LowerLeg_R<UpperLeg_R Foot_R<LowerLeg_R Toes_R<Foot_R",
    source="Bandai-Namco-Research-Motiondataset, Kobayashi et al., 2023 (arXiv 2306.08861); joint_Root stands on the floor",
)
