from __future__ import annotations

import numpy as np
import pytest
from conftest import refused
from hypothesis import given, strategies as st

from s2i_hf.processing.layouts import BUILT_IN
from s2i_hf.processing.skeleton_layout import SkeletonLayout
from s2i_hf.readers import ReadError
from s2i_hf.readers.generic.joint_names import find, joint_key, known_layouts, pick, tree_of
from s2i_hf.readers.generic.raw_clip import RawClip, in_layout, layout_of


@pytest.mark.parametrize("name", BUILT_IN)
def test_no_two_joints_of_a_layout_are_one(name: str) -> None:
    names = BUILT_IN[name].joint_names
    assert len(set(map(joint_key, names))) == len(names)
    assert find(names, BUILT_IN[name]) == list(range(len(names)))


@given(st.sampled_from(sorted(BUILT_IN)), st.randoms(use_true_random=False))
def test_a_layout_is_found_in_any_order_beside_other_joints(name: str, random: object) -> None:
    names = [*BUILT_IN[name].joint_names, "Sword", "Hat"]
    random.shuffle(names)  # type: ignore[attr-defined]
    found = find(names, BUILT_IN[name])
    assert [names[index] for index in found] == list(BUILT_IN[name].joint_names)


# joint < parent, by hand; "*" is a side
SKELETONS = {
    "mixamorig:Hips mixamorig:Spine<Hips mixamorig:Spine2<Spine mixamorig:Neck<Spine2 mixamorig:Head<Neck": "mixamorig:*Shoulder<Spine2 "
    "mixamorig:*Arm<*Shoulder mixamorig:*ForeArm<*Arm mixamorig:*Hand<*ForeArm mixamorig:*HandIndex1<*Hand "
    "mixamorig:*HandIndex2<*HandIndex1 mixamorig:*UpLeg<Hips mixamorig:*Leg<*UpLeg mixamorig:*Foot<*Leg mixamorig:*ToeBase<*Foot",
    "Hips Spine<Hips Spine1<Spine Spine2<Spine1 Neck<Spine2 Head<Neck": "*UpLeg<Hips *Leg<*UpLeg *Foot<*Leg *Toe<*Foot *Shoulder<Spine2 "
    "*Arm<*Shoulder *ForeArm<*Arm *Hand<*ForeArm",
    "pelvis l5<pelvis l3<l5 t12<l3 t8<t12 neck<t8 head<neck": "*_shoulder<t8 *_upper_arm<*_shoulder *_fore_arm<*_upper_arm "
    "*_hand<*_fore_arm *_upper_leg<pelvis *_lower_leg<*_upper_leg *_foot<*_lower_leg *_toe<*_foot",
    "Hips Spine<Hips Chest<Spine Neck<Chest Head<Neck": "*UpperArm<Chest *LowerArm<*UpperArm *Hand<*LowerArm *UpperLeg<Hips "
    "*LowerLeg<*UpperLeg *Foot<*LowerLeg",
    "hip abdomen<hip chest<abdomen neck<chest head<neck": "*Collar<chest *Shldr<*Collar *ForeArm<*Shldr *Hand<*ForeArm *Buttock<hip "
    "*Thigh<*Buttock *Shin<*Thigh *Foot<*Shin",
    "Hip Ab<Hip Chest<Ab Neck<Chest Head<Neck": "*Shoulder<Chest *UArm<*Shoulder *FArm<*UArm *Hand<*FArm *Thumb1<*Hand *Thumb2<*Thumb1 "
    "*Thigh<Hip *Shin<*Thigh *Foot<*Shin *Toe<*Foot",
}  # fmt: skip


@pytest.mark.parametrize("trunk", SKELETONS)
@pytest.mark.parametrize("turned", [False, True])
def test_trees_of_exporters(trunk: str, turned: bool) -> None:
    sides = (
        ("L", "R") if "UArm" in SKELETONS[trunk] else ("l", "r") if "Shldr" in SKELETONS[trunk] else ("Left", "Right")
    )
    pairs = trunk.split() + [pair.replace("*", side) for side in sides for pair in SKELETONS[trunk].split()]
    pairs = pairs[::-1] if turned else pairs
    names = [pair.partition("<")[0] for pair in pairs]
    prefix = "mixamorig:" if "mixamorig" in trunk else ""
    expected = tuple(
        names.index(prefix + parent) if parent else -1 for parent in (pair.partition("<")[2] for pair in pairs)
    )
    assert tree_of(names) == expected
    assert not known_layouts(names)
    clip = RawClip(np.random.default_rng(0).normal(size=(2, 1, len(names), 3)), tuple(names))
    layout = layout_of(clip, "walk.csv")
    assert layout.parents == expected and len(layout.mirror_pairs) == len(SKELETONS[trunk].split())
    np.testing.assert_allclose(in_layout(clip, layout, "walk.csv"), clip.joints, atol=1e-6)


@pytest.mark.parametrize(
    "names", [["Hips"], ["Hips", "Tail"], ["LASI", "RASI"], ["LeftArm", "RightArm"], ["Hips", "hips"], []]
)
def test_what_is_no_skeleton_of_an_exporter(names: list[str]) -> None:
    assert tree_of(names) is None


def test_in_pixels_nothing_is_built_from_names() -> None:
    names = ("Hips", "Spine", "Neck", "Head")
    for clip in (RawClip(np.ones((2, 1, 4, 2)), names), RawClip(np.ones((2, 1, 4, 2)), names, unit="px")):
        with refused(ReadError, "walk.csv", "no known layout"):
            layout_of(clip, "walk.csv")


@pytest.mark.parametrize("name", ["coco_17", "openpose_25", "halpe_26"])
def test_keypoints_in_metres_keep_their_tree(name: str) -> None:
    """Pose2Sim triangulates what pose estimators see in pixels."""
    known = BUILT_IN[name]
    clip = RawClip(np.random.default_rng(0).normal(size=(2, 1, known.num_joints, 3)), known.joint_names, unit="m")
    layout = layout_of(clip, "walk.trc")
    assert layout.unit == "m" and layout.parents == known.parents and layout.joint_names == known.joint_names
    np.testing.assert_allclose(in_layout(clip, layout, "walk.trc"), clip.joints, atol=1e-6)
    with refused(ReadError, "walk.trc", "coordinates are in m"):
        in_layout(clip, known, "walk.trc")


def test_a_tree_of_bones_is_not_in_pixels() -> None:
    known = BUILT_IN["coco_17"]
    clip = RawClip(np.random.default_rng(0).normal(size=(2, 1, 17, 3)), known.joint_names, parents=known.parents)
    assert layout_of(clip, "walk.bvh").unit == "m"
    with refused(ReadError, "walk.bvh", "its coordinates are in m"):
        in_layout(clip, known, "walk.bvh")


def test_a_name_that_two_joints_have_picks_neither() -> None:
    own = SkeletonLayout("test_pair", ["hips", "head"], [-1, 0])
    assert pick(["head", "tail", "tail", "hips"], own, "walk.bvh") == [3, 0]
    with refused(ReadError, "walk.bvh", "several joints named 'head'"):
        pick(["head", "hips", "head"], own, "walk.bvh")


@pytest.mark.parametrize(
    "name",
    [
        "LeftFoot",
        "mixamorig1:LeftFoot",
        "mixamorig_LeftFoot",
        "Bip01 L Foot",
        "Character1_LeftFoot",
        "m_avg_L_Foot",
        "DEF-foot.L",
    ],
)
def test_what_exporters_put_before_a_name(name: str) -> None:
    assert joint_key(name) == joint_key("left_foot")
