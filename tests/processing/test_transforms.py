"""Missing joints, people, resampling, playing speed and windows, against loops written here."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from bodies import nearest_by_walking
from conftest import MakeClip, refused
from hypothesis import given, settings, strategies as st

from s2i_hf.processing.layouts import LAYOUTS
from s2i_hf.processing.transforms import (
    clip_windows,
    fill_missing,
    find_missing,
    frames_at,
    play,
    prepare,
    present_people,
    resample,
)

KINECT_V1 = LAYOUTS["kinect_v1"].parents


def missing_by_loop(joints: np.ndarray) -> np.ndarray:
    """A joint is missing if it is NaN, or zero in a frame whose other joints are not."""
    frames, people, count, _ = joints.shape
    missing = np.zeros((frames, people, count), dtype=bool)
    for t in range(frames):
        for m in range(people):
            for v in range(count):
                x, y, z = joints[t, m, v]
                others = [joints[t, p, o] for p in range(people) for o in range(count) if (p, o) != (m, v)]
                nan = x != x or y != y or z != z
                zero = x == 0 and y == 0 and z == 0
                missing[t, m, v] = nan or (zero and any(not (o[0] == 0 and o[1] == 0 and o[2] == 0) for o in others))
    return missing


def fill_by_loop(joints: np.ndarray) -> np.ndarray:
    """Linear between the frames that have the joint, held outside them."""
    missing, filled = missing_by_loop(joints), joints.astype(np.float64)
    for m in range(joints.shape[1]):
        for v in range(joints.shape[2]):
            seen = [t for t in range(len(joints)) if not missing[t, m, v]]
            for t in range(len(joints)):
                if missing[t, m, v] and seen:
                    before = max((s for s in seen if s < t), default=None)
                    after = min((s for s in seen if s > t), default=None)
                    if before is None or after is None:
                        filled[t, m, v] = joints[after if before is None else before, m, v]
                    else:
                        share = (t - before) / (after - before)
                        filled[t, m, v] = (1 - share) * joints[before, m, v].astype(float) + share * joints[after, m, v]
    return filled


@pytest.fixture
def holes(make_clip: MakeClip) -> np.ndarray:
    """A clip of two people with NaN and zero joints: inside, at both ends, and a lone NaN coordinate."""
    joints = make_clip("kinect_v1", frames=12, people=2)
    joints[3:6, 0, 4] = np.nan
    joints[0:2, 0, 7] = 0.0
    joints[9:, 1, 7] = np.nan
    joints[5, 1, [1, 2]] = 0.0
    joints[7, 1, 3, 1] = np.nan  # one coordinate is enough
    joints[8, 0, 9, :2] = 0.0  # two zero coordinates are not
    return joints


def test_find_missing_follows_its_definition(holes: np.ndarray) -> None:
    expected = missing_by_loop(holes)
    assert expected.sum() == 3 + 2 + 3 + 2 + 1
    np.testing.assert_array_equal(find_missing(holes), expected)


def test_a_frame_of_zeros_is_not_missing_joints() -> None:
    joints = np.ones((3, 1, 5, 3), dtype=np.float32)
    joints[1] = 0
    assert not find_missing(joints).any()


def test_somebody_who_leaves_is_missing_while_another_stays(make_clip: MakeClip) -> None:
    joints = make_clip("kinect_v1", frames=6, people=2)
    joints[3:, 1] = 0.0  # as padded formats write it
    expected = np.zeros(joints.shape[:3], dtype=bool)
    expected[3:, 1] = True
    np.testing.assert_array_equal(find_missing(joints), expected)
    np.testing.assert_array_equal(fill_missing(joints, KINECT_V1)[0][3:, 1], np.repeat(joints[2:3, 1], 3, axis=0))


def test_the_root_of_root_centred_data_is_not_missing(make_clip: MakeClip) -> None:
    joints = make_clip("kinect_v1", frames=5)
    centred = joints - joints[:, :, :1]
    assert not find_missing(centred).any()
    np.testing.assert_array_equal(prepare(centred, "kinect_v1")[0], centred)
    joints[:, 0, 0] = 0.0  # a joint that a sensor never saw, of a body three metres away
    assert find_missing(joints)[:, 0, 0].all()


def test_fill_missing_is_linear_in_time_and_touches_nothing_else(holes: np.ndarray) -> None:
    before = holes.copy()
    filled, count = fill_missing(holes, KINECT_V1)
    assert count == 11
    np.testing.assert_array_equal(holes, before)  # the caller's array is left alone
    np.testing.assert_allclose(filled, fill_by_loop(holes), atol=1e-6)
    measured = ~missing_by_loop(holes)
    np.testing.assert_array_equal(filled[measured], holes[measured])


def test_fill_missing_copies_nothing_when_nothing_is_missing(make_clip: MakeClip) -> None:
    joints = make_clip("kinect_v1")
    filled, count = fill_missing(joints, KINECT_V1)
    assert filled is joints and count == 0


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["sbu_15", "kinect_v2", "mediapipe_33", "coco_17"]), st.integers(0, 10**6), st.floats(0.05, 0.95)
)
def test_joints_never_seen_take_the_place_of_the_nearest_that_are(name: str, seed: int, share: float) -> None:
    layout, generator = LAYOUTS[name], np.random.default_rng(seed)
    joints = generator.normal(3, 1, (4, 2, layout.num_joints, 3)).astype(np.float32)
    lost = generator.random((2, layout.num_joints)) < share
    lost[:, generator.integers(layout.num_joints)] = False
    gaps = joints.copy()
    gaps[:, lost] = generator.choice([np.nan, 0.0])
    filled, count = fill_missing(gaps, layout.parents)
    assert count == 4 * lost.sum()
    for person in range(2):
        missing = set(np.flatnonzero(lost[person]).tolist())
        for joint in range(layout.num_joints):
            near = nearest_by_walking(joint, missing, layout.parents)
            np.testing.assert_allclose(filled[:, person, joint], joints[:, person, near].mean(axis=1), atol=1e-5)


def test_a_joint_never_seen_and_gaps_in_time_beside_it(make_clip: MakeClip) -> None:
    """Wrist and hand of the same arm: the gap of the elbow is closed first, and its place is theirs."""
    layout, joints = LAYOUTS["kinect_v1"], make_clip("kinect_v1", frames=5)
    elbow, wrist, hand = (layout.joint_names.index(name) for name in ("ElbowL", "WristL", "HandL"))
    joints[:, 0, [wrist, hand]] = np.nan
    joints[2, 0, elbow] = 0.0
    filled, count = fill_missing(joints, layout.parents)
    assert count == 11 and np.isfinite(filled).all()
    np.testing.assert_allclose(filled[2, 0, elbow], (joints[1, 0, elbow] + joints[3, 0, elbow]) / 2, atol=1e-6)
    for joint in (wrist, hand):
        np.testing.assert_allclose(filled[:, 0, joint], filled[:, 0, elbow], atol=1e-6)


def test_without_a_bone_between_them_joints_take_the_place_of_all() -> None:
    joints = np.random.default_rng(0).normal(3, 1, (3, 1, 5, 3)).astype(np.float32)
    joints[:, 0, 4] = np.nan
    filled, _ = fill_missing(joints, (-1, 0, 0, 0, -1))  # two roots
    np.testing.assert_allclose(filled[:, 0, 4], joints[:, 0, :4].mean(axis=1), atol=1e-6)


def test_nobody_ever_seen_is_filled_with_zeros() -> None:
    filled, count = fill_missing(np.full((3, 1, 4, 3), np.nan, dtype=np.float32), (-1, 0, 1, 2))
    assert count == 12 and (filled == 0).all()


def test_present_people() -> None:
    joints = np.zeros((4, 5, 3, 3), dtype=np.float32)
    joints[:, 1] = np.nan
    joints[2, 2, 1, 0] = 0.5  # one coordinate in one frame
    joints[:, 3] = np.nan
    joints[0, 3] = -1.0
    joints[:2, 4] = np.nan  # absent, then zero
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert present_people(joints).tolist() == [2, 3]


@pytest.mark.parametrize("kind", ["numpy", "float64", "torch", "bfloat16", "list", "transposed"])
def test_prepare_takes_any_array(kind: str, make_clip: MakeClip) -> None:
    joints = make_clip("sbu_15", frames=5, people=2)
    given = {
        "numpy": joints,
        "float64": joints.astype(np.float64),
        "torch": torch.from_numpy(joints).requires_grad_(),
        "bfloat16": torch.from_numpy(joints).bfloat16(),
        "list": joints.tolist(),
        "transposed": np.ascontiguousarray(joints.transpose(1, 0, 2, 3)).transpose(1, 0, 2, 3),
    }[kind]
    prepared, count = prepare(given, "sbu_15")
    assert prepared.dtype == np.float32 and prepared.flags.c_contiguous and count == 0
    np.testing.assert_allclose(prepared, joints, atol=0.02 if kind == "bfloat16" else 0)


def test_prepare_adds_the_axis_of_people(make_clip: MakeClip) -> None:
    joints = make_clip()
    np.testing.assert_array_equal(prepare(joints[:, 0], "kinect_v2")[0], joints)


def test_prepare_drops_absent_people_and_keeps_the_order_of_actors(make_clip: MakeClip) -> None:
    joints = make_clip(people=4)
    expected = joints[:, [1, 3]].copy()
    joints[:, 0], joints[:, 2] = 0.0, np.nan
    prepared, count = prepare(joints, "kinect_v2")
    np.testing.assert_array_equal(prepared, expected)
    assert count == 0  # whoever is absent is not missing joints
    np.testing.assert_array_equal(prepare(joints, "kinect_v2", people="first")[0], expected[:, :1])
    everyone = make_clip(people=3)
    np.testing.assert_array_equal(prepare(everyone, "kinect_v2", people="first")[0], everyone[:, :1])


def test_prepare_fills_someone_who_leaves_in_the_middle(make_clip: MakeClip) -> None:
    joints = make_clip(frames=10, people=2)
    joints[4:7, 1] = np.nan
    prepared, count = prepare(joints, "kinect_v2")
    assert prepared.shape == (10, 2, 25, 3) and count == 3 * 25
    np.testing.assert_allclose(prepared, fill_by_loop(joints), atol=1e-6)


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_prepare_keeps_one_person_of_zeros_when_nobody_is_there(value: float) -> None:
    prepared, count = prepare(np.full((6, 2, 25, 3), value), "kinect_v2")
    assert prepared.shape == (6, 1, 25, 3) and (prepared == 0).all() and count == 0


def test_prepare_sees_zero_joints_without_any_nan(holes: np.ndarray) -> None:
    joints = np.nan_to_num(holes, nan=0.5)
    prepared, count = prepare(joints, "kinect_v1")
    assert count == 4
    np.testing.assert_allclose(prepared, fill_by_loop(joints), atol=1e-6)


BAD = {
    "dimensions": (np.ones((25, 3)), r"\(25, 3\)"),
    "last axis": (np.ones((5, 1, 25, 2)), r"\(5, 1, 25, 2\)"),
    "layout": (np.ones((5, 1, 20, 3)), "20 joints a person, but layout 'kinect_v2' has 25"),
    "no frame": (np.ones((0, 1, 25, 3)), "without a frame"),
    "no person": (np.ones((5, 0, 25, 3)), "without a frame or a person"),
    "infinite": (np.full((5, 1, 25, 3), np.inf), "infinite"),
    "minus infinite": (np.where(np.arange(375).reshape(5, 1, 25, 3) == 7, -np.inf, 1.0), "infinite"),
    "infinite beside NaN": (np.where(np.arange(375).reshape(5, 1, 25, 3) == 7, np.inf, np.nan), "infinite"),
    "millimetres": (np.full((5, 1, 25, 3), 2310.0), "millimetres"),
    "millimetres below zero": (np.full((5, 1, 25, 3), -2310.0), "millimetres"),
    "text": ("left", "numeric array"),
    "ragged": ([[[1, 2, 3]], [[1, 2]]], "numeric array"),
}


@pytest.mark.parametrize("case", BAD)
def test_prepare_refuses(case: str) -> None:
    joints, says = BAD[case]
    with refused(ValueError, "a01_s01", match=says):
        prepare(joints, "kinect_v2", sample_id="a01_s01")


def test_prepare_refuses_an_unknown_choice_of_people(make_clip: MakeClip) -> None:
    with pytest.raises(ValueError, match="'second'"):
        prepare(make_clip(), "kinect_v2", people="second")


def test_pixels_may_be_large(make_clip: MakeClip) -> None:
    prepare(make_clip("coco_17") * 500, "coco_17")  # unit px, not metres


def test_the_missing_joints_of_nw_ucla_are_found(real_data: Path) -> None:
    found = {}
    for name in ("a04_s01_e01_v01", "a04_s04_e02_v01"):
        content = json.loads((real_data / "NW-UCLA" / "all_sqe" / f"{name}.json").read_text())
        joints = np.asarray(content["skeletons"], dtype=np.float32)
        missing = find_missing(joints[:, None])
        found[name] = (sorted(set(np.nonzero(missing)[0].tolist())), int(missing.sum()))
        prepared, count = prepare(joints, "kinect_v1")
        assert count == missing.sum() and not (prepared == 0).all(axis=-1).any()
        np.testing.assert_allclose(prepared, fill_by_loop(joints[:, None]), atol=1e-6)
    assert found == {"a04_s01_e01_v01": ([34], 6), "a04_s04_e02_v01": ([45], 6)}


@pytest.mark.parametrize(("frames", "wanted"), [(10, 16), (50, 16), (7, 7), (1, 16), (9, 1), (2, 3)])
def test_resample_is_linear_and_keeps_both_ends(frames: int, wanted: int, make_clip: MakeClip) -> None:
    joints = make_clip("sbu_15", frames=frames, people=2)
    resampled = resample(joints, wanted)
    assert resampled.shape == (wanted, 2, 15, 3) and resampled.dtype == np.float32
    times = np.linspace(0, frames - 1, wanted)
    for m, v, axis in np.ndindex(2, 15, 3):
        expected = np.interp(times, np.arange(frames), joints[:, m, v, axis])
        np.testing.assert_allclose(resampled[:, m, v, axis], expected, atol=1e-6)
    np.testing.assert_array_equal(resampled[0], joints[0])


def test_resample_and_windows_refuse_nonsense(make_clip: MakeClip) -> None:
    with pytest.raises(ValueError, match="num_frames is 0"):
        resample(make_clip(), 0)
    for ratio in (0.0, 1.5, -1.0):
        with pytest.raises(ValueError, match="ratio is"):
            clip_windows(make_clip(), 3, ratio)


def test_frames_at_any_instant(make_clip: MakeClip) -> None:
    joints = make_clip("sbu_15", frames=6)
    found = frames_at(joints, np.array([0.0, 2.25, 5.0]))
    np.testing.assert_array_equal(found[[0, 2]], joints[[0, 5]])
    np.testing.assert_allclose(found[1], 0.75 * joints[2] + 0.25 * joints[3], atol=1e-6)


@pytest.mark.parametrize(("speed", "frames"), [(1.0, 41), (2.0, 21), (0.5, 81), (0.8, 51), (100.0, 2)])
def test_a_constant_speed_is_a_resampling(speed: float, frames: int, make_clip: MakeClip) -> None:
    joints = make_clip(frames=41, people=2)
    played = play(joints, (speed,))
    assert played.shape == (frames, 2, 25, 3) and played.dtype == np.float32
    np.testing.assert_allclose(played, resample(joints, frames), atol=1e-5)
    np.testing.assert_allclose(played[[0, -1]], joints[[0, -1]], atol=1e-6)  # both ends stay


def test_a_speed_that_changes_on_the_way() -> None:
    clock = np.arange(101, dtype=np.float32)[:, None, None, None] * np.ones((1, 1, 2, 3), dtype=np.float32)
    shown = play(clock, (1.0, 3.0))[:, 0, 0, 0]  # which recorded frame is seen at each instant
    steps = np.diff(shown)  # recorded frames in one frame of the result: the speed itself
    np.testing.assert_allclose(steps, 1 + 2 * (shown[:-1] + steps / 2) / 100, atol=0.03)
    assert shown[0] == 0 and shown[-1] == pytest.approx(100)
    assert len(shown) == round(50 * np.log(3)) + 1  # the integral of 1 / speed
    there_and_back = np.diff(play(clock, (1.0, 2.0, 1.0))[:, 0, 0, 0])
    np.testing.assert_allclose(there_and_back, there_and_back[::-1], atol=1e-3)
    assert there_and_back.argmax() in (len(there_and_back) // 2 - 1, len(there_and_back) // 2)


def test_a_single_frame_and_two_have_no_speed(make_clip: MakeClip) -> None:
    np.testing.assert_array_equal(play(make_clip(frames=1), (0.5, 2.0)), make_clip(frames=1))
    np.testing.assert_array_equal(play(make_clip(frames=2), (9.0,)), make_clip(frames=2))


def test_windows_are_the_whole_clip_and_equally_spaced_ones(make_clip: MakeClip) -> None:
    joints = make_clip(frames=100)
    assert clip_windows(joints, 1)[0] is joints and len(clip_windows(joints, 1)) == 1
    whole, middle = clip_windows(joints, 2, 0.8)
    assert whole is joints
    np.testing.assert_array_equal(middle, joints[10:90])
    windows = clip_windows(joints, 5, 0.7)
    assert len(windows) == 5 and windows[0] is joints
    for window, start in zip(windows[1:], (0, 10, 20, 30), strict=True):
        np.testing.assert_array_equal(window, joints[start : start + 70])
    third = clip_windows(joints, 5, 0.75)[3]
    np.testing.assert_array_equal(third, joints[17:92])  # from 16.7
    assert [len(window) for window in clip_windows(joints[:1], 3, 0.5)] == [1, 1, 1]
    assert [len(window) for window in clip_windows(joints, 3, 1.0)] == [100, 100, 100]


@pytest.mark.parametrize(("num", "ratio", "says"), [(0, 0.8, "num is 0"), (2, 0.0, "ratio is"), (2, 1.2, "ratio is")])
def test_windows_refuse_nonsense(num: int, ratio: float, says: str, make_clip: MakeClip) -> None:
    with refused(ValueError, match=says):
        clip_windows(make_clip(), num, ratio)
