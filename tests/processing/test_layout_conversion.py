"""One joint format from another: the same places of the body, nothing invented, and refused where a joint is missing."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from conftest import refused

from s2i_hf.data.skeleton_rows import as_layout, as_rows, rows_of_splits
from s2i_hf.processing.encoding import encode
from s2i_hf.processing.layout_conversion import _CALLED, PLACES, joint_indices, places, to_layout
from s2i_hf.processing.layouts import LAYOUTS, SkeletonLayout


def names_of(source: str, target: str) -> dict[str, str]:
    old, new = LAYOUTS[source], LAYOUTS[target]
    return dict(zip(new.joint_names, (old.joint_names[index] for index in joint_indices(old, new)), strict=True))


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "vicon_39"])
def test_every_named_joint_exists_once(layout):
    found = places(layout)
    assert set(found) <= set(LAYOUTS[layout].joint_names)
    assert len(set(found.values())) == len(found) >= 12 and set(found.values()) <= set(PLACES)
    written = [word for line in _CALLED[layout][:3] for word in line.split()]
    assert len(written) == 5 + 4 + 4


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "vicon_39"])
def test_places_agree_with_parts_and_mirror(layout):
    """Left arm stays left arm: an independent table of the same layout says so."""
    known, found = LAYOUTS[layout], places(layout)
    part_of = {joint: part for part, joints in known.parts.items() for joint in joints}
    partner = dict(known.mirror_pairs) | {right: left for left, right in known.mirror_pairs}
    limbs = {"arm": ("shoulder", "elbow", "wrist", "hand"), "leg": ("hip", "knee", "ankle", "foot")}
    for joint, place in found.items():
        side, _, word = place.partition("_")
        if side in ("left", "right"):
            limb = next(name for name, words in limbs.items() if word in words)
            assert part_of[joint] == f"{side}_{limb}", (joint, place)
            assert found[partner[joint]] == f"{'left' if side == 'right' else 'right'}_{word}"
        else:
            assert part_of[joint] == "torso", (joint, place)


def test_25_to_20_to_15_to_13():
    assert names_of("kinect_v2", "kinect_v1")["ShoulderCenter"] == "SpineShoulder"
    assert names_of("kinect_v2", "kinect_v1")["HipCenter"] == "SpineBase"
    florence = names_of("kinect_v1", "florence_15")
    assert (florence["neck"], florence["spine"], florence["LWrist"]) == ("ShoulderCenter", "Spine", "WristL")
    assert names_of("kinect_v1", "sbu_15")["LFoot"] == "FootL"
    smarthome = names_of("msr_action3d", "lcrnet_13")
    assert smarthome["RAnkle"] == "AnkleR" and smarthome["Head"] == "Head" and len(smarthome) == 13
    assert names_of("ui_prmd_22", "florence_15")["head"] == "HeadTip"


@pytest.mark.parametrize(
    ("source", "target", "pairs"),
    [
        ("azure_kinect_32", "kinect_v1", {"ShoulderCenter": "NECK", "HipCenter": "PELVIS", "HandR": "HAND_RIGHT"}),
        ("zed_34", "kinect_v1", {"Spine": "NAVAL_SPINE", "FootL": "LEFT_FOOT", "Head": "HEAD"}),
        ("nuitrack", "florence_15", {"neck": "left_collar", "spine": "torso", "RAnkle": "right_ankle"}),
        ("smpl_24", "florence_15", {"neck": "neck", "spine": "spine2"}),
        ("smpl_22", "lcrnet_13", {"Head": "head", "LWrist": "left_wrist"}),
        ("bandai_namco_22", "florence_15", {"LShoulder": "UpperArm_L", "LWrist": "Hand_L", "LAnkle": "Foot_L"}),
        ("3dhp_17", "h36m_17", None),
        ("kinect_v2", "lcrnet_13", {"Head": "Head"}),
    ],
)
def test_formats_of_other_makers(source, target, pairs):
    if pairs is None:  # h36m_17 has a nose
        with refused(ValueError, match="'nose'"):
            names_of(source, target)
    else:
        assert pairs.items() <= names_of(source, target).items()


def test_joints_are_copied_bit_for_bit(make_clip):
    clip = make_clip("kinect_v2", frames=7, people=2)
    clip[2, 0, 4] = np.nan
    there = to_layout(clip, "kinect_v2", "kinect_v1")
    assert there.shape == (7, 2, 20, 3) and there.dtype == np.float32
    for index, name in enumerate(LAYOUTS["kinect_v1"].joint_names):
        source = LAYOUTS["kinect_v2"].joint_names.index(names_of("kinect_v2", "kinect_v1")[name])
        np.testing.assert_array_equal(there[:, :, index], clip[:, :, source])
    # step by step is the same as at once
    both = to_layout(there, "kinect_v1", "lcrnet_13")
    np.testing.assert_array_equal(both, to_layout(clip, "kinect_v2", "lcrnet_13"))
    # other names and order, the same joints: there and back
    back = to_layout(to_layout(there, "kinect_v1", "utd_mhad"), "utd_mhad", "kinect_v1")
    np.testing.assert_array_equal(back, there)
    there[:] = 0
    assert np.nanmin(np.abs(clip)) > 0  # a copy


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("lcrnet_13", "kinect_v1", "7 of the 20 joints"),
        ("kinect_v1", "kinect_v2", "'kinect_v1' can become utd_mhad"),
        ("kinect_v1", "vicon_39", "no counterpart"),
        ("coco_17", "lcrnet_13", "is in px"),
        ("sbu_15", "lcrnet_13", "LAnkle|RAnkle|LWrist|RWrist"),
    ],
)
def test_a_format_with_more_joints_is_refused(source, target, message, make_clip):
    with refused(ValueError, match=message):
        to_layout(make_clip(source), source, target)


def test_an_array_of_another_format_is_refused(make_clip):
    with pytest.raises(ValueError, match=r"needs \(\.\.\., 25, 3\)"):
        to_layout(make_clip("kinect_v1"), "kinect_v2", "kinect_v1")


def test_a_layout_of_ones_own_takes_part_by_the_names_of_places(make_clip):
    limbs = [name for name in PLACES if name.startswith(("left", "right"))]
    own = SkeletonLayout("mine", ("head", *limbs), (-1,) + (0,) * len(limbs))
    clip = make_clip("kinect_v2")
    there = to_layout(clip, "kinect_v2", own)
    np.testing.assert_array_equal(there[:, :, 1 + limbs.index("right_knee")], clip[:, :, 17])
    assert to_layout(there, own, "lcrnet_13").shape[2] == 13


def rows(make_clip):
    return as_rows(
        [
            {"joints": make_clip(layout, frames=5 + index, seed=index), "layout": layout, "label": index % 2,
             "subject": index, "camera": 1, "sample_id": f"clip{index}"}
            for index, layout in enumerate(("kinect_v1", "kinect_v2", "utd_mhad", "lcrnet_13"))
        ]
    )  # fmt: skip


def test_rows_of_any_format_are_read_in_one(make_clip):
    before = rows(make_clip)
    after = as_layout(before, "lcrnet_13")
    assert as_rows(after) is after and len(after) == 4
    assert after.layouts == ["lcrnet_13"] * 4 and after.shapes.tolist() == [[5 + i, 1, 13, 3] for i in range(4)]
    for index in range(4):
        row, old = after[index], before[index]
        assert {name: row[name] for name in ("label", "subject", "camera", "sample_id")} == {
            name: old[name] for name in ("label", "subject", "camera", "sample_id")
        }
        np.testing.assert_array_equal(row["joints"], to_layout(old["joints"], old["layout"], "lcrnet_13"))
    chosen = pickle.loads(pickle.dumps(after.select([2, 0])))
    assert chosen.sample_ids == ["clip2", "clip0"] and chosen[1]["joints"].shape == (5, 1, 13, 3)


def test_formats_of_clips_that_are_left_out_do_not_matter(make_clip):
    before = rows(make_clip)
    with pytest.raises(ValueError, match="'lcrnet_13'"):
        as_layout(before, "kinect_v1")
    assert as_layout(before.select([0, 1, 2]), "kinect_v1")[1]["joints"].shape == (6, 1, 20, 3)


def test_a_selection_is_read_where_its_clips_are(make_clip):
    chosen = rows(make_clip).select([2, 0])
    after = as_layout(chosen, "lcrnet_13")
    for index in range(2):
        expected = to_layout(chosen[index]["joints"], chosen[index]["layout"], "lcrnet_13")
        np.testing.assert_array_equal(after[index]["joints"], expected)


def test_splits(make_clip):
    data = {"train": rows(make_clip), "test": rows(make_clip).select([3])}
    assert all(rows is data[split] for split, rows in rows_of_splits(data).items())
    changed = rows_of_splits(data, "lcrnet_13")
    assert list(changed) == ["train", "test"] and len(changed["test"]) == 1
    with pytest.raises(ValueError, match="Did you mean 'lcrnet_13'"):
        rows_of_splits(data, "lcrnet13")


def test_the_same_joints_make_the_same_image(make_clip):
    """Clips of two sensors with the same 20 joints, in another order and under other names, show the same."""
    clip = make_clip("kinect_v1", frames=12)
    one, _ = encode([clip], "kinect_v1")
    other, _ = encode([to_layout(clip, "kinect_v1", "msr_action3d")], "msr_action3d")
    np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-6)


def test_layouts_of_ones_own_share_the_joints_that_are_called_alike() -> None:
    old = SkeletonLayout("studio", ["Hips", "Chest", "Head", "Arm_L", "Arm_R"], [-1, 0, 1, 1, 1])
    new = SkeletonLayout("other", ["Head", "Arm_R", "Arm_L"], [-1, 0, 0], center="Head")
    joints = np.random.default_rng(0).normal(size=(4, 2, 5, 3))
    np.testing.assert_array_equal(to_layout(joints, old, new), joints[:, :, [2, 4, 3]])
    with refused(ValueError, match="2 of the 5 joints of 'studio' have no counterpart in 'other', such as 'Hips'"):
        joint_indices(new, old)
    known = SkeletonLayout("like florence", ["neck", "head"], [-1, 0])  # the neck of Florence is another place
    with refused(ValueError, match="have no counterpart in 'florence_15', such as 'neck'"):
        joint_indices(LAYOUTS["florence_15"], known)
