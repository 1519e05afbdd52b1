"""Augmentation: what each step does, that none disturbs another, and that old seeds give the old clips bit for bit."""

from __future__ import annotations

from dataclasses import fields
from typing import get_args

import numpy as np
import pytest
from bodies import nearest_by_walking
from conftest import MakeClip, one_sentence

from s2i_hf.data.collator import SkeletonCollator
from s2i_hf.experiments.robustness import drop_joints_exactly, lost_joint_indices
from s2i_hf.processing.augmentation import (
    NO_AUGMENTATION,
    NUM_DRAWS,
    Augmentation,
    at_zero,
    rotation_matrix,
    shear_matrix,
)
from s2i_hf.processing.encoding import EncodingOptions, decode, encode
from s2i_hf.processing.layouts import LAYOUTS, PARTS, SkeletonLayout
from s2i_hf.processing.rng import hash_ids, uniform
from s2i_hf.processing.transforms import Center, fill_missing, play
from s2i_hf.training.pretrain_arguments import PretrainArguments

LAYOUT = LAYOUTS["kinect_v2"]


def draws(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(NUM_DRAWS + LAYOUT.num_joints)


def lengths(joints: np.ndarray) -> np.ndarray:
    return np.linalg.norm(joints[:, :, 1:] - joints[:, :, :1], axis=-1)


def test_the_default_changes_nothing(make_clip: MakeClip) -> None:
    joints = make_clip(people=2)
    np.testing.assert_array_equal(Augmentation()(joints, LAYOUT, draws()), joints)


def test_crop_keeps_a_run_of_frames_in_the_range(make_clip: MakeClip) -> None:
    joints = make_clip(frames=40)
    crop, seen = Augmentation(crop=(0.5, 0.9)), set()
    for seed in range(300):
        cropped = crop(joints, LAYOUT, draws(seed))
        start = int(np.flatnonzero((joints == cropped[0]).all(axis=(1, 2, 3)))[0])
        np.testing.assert_array_equal(cropped, joints[start : start + len(cropped)])
        seen.add(len(cropped))
    assert seen == set(range(20, 37))
    half = Augmentation(crop=(0.5, 0.5))
    starts = {int((half(joints, LAYOUT, draws(seed))[0] == joints).all(axis=(1, 2, 3)).argmax()) for seed in range(300)}
    assert starts == set(range(21))  # the first and the last place too
    assert len(crop(joints[:1], LAYOUT, draws())) == 1


def test_rotation_and_scale_are_a_similarity_about_the_centre(make_clip: MakeClip) -> None:
    joints = make_clip(people=2)
    for seed in range(20):
        turned = Augmentation(yaw=3.0, tilt=0.3, scale=0.2)(joints, LAYOUT, draws(seed))
        ratio = lengths(turned) / lengths(joints)
        assert np.ptp(ratio) < 1e-4 and 0.8 <= ratio.mean() <= 1.2
        np.testing.assert_allclose(turned[0, 0, 1], joints[0, 0, 1], atol=1e-5)  # SpineMid of actor 1 stays
    only_yaw = Augmentation(yaw=1.0)(joints, LAYOUT, draws(3))
    np.testing.assert_allclose(only_yaw[..., 1], joints[..., 1], atol=1e-5)  # heights stay
    assert np.abs(only_yaw[..., 0] - joints[..., 0]).max() > 0.03
    most = np.full(NUM_DRAWS + LAYOUT.num_joints, 1 - 1e-9)
    turned = Augmentation(yaw=0.5, tilt=0.2, scale=0.1)(joints, LAYOUT, most)
    away, before = turned[3, 1, 7] - joints[0, 0, 1], joints[3, 1, 7] - joints[0, 0, 1]
    np.testing.assert_allclose(away, 1.1 * rotation_matrix(0.5, 0.2, 0.2) @ before, atol=1e-5)


def test_rotation_matrix_turns_about_the_named_axes() -> None:
    quarter = np.pi / 2
    np.testing.assert_allclose(rotation_matrix(quarter, 0, 0) @ [0, 0, 1], [1, 0, 0], atol=1e-12)  # yaw: about y
    np.testing.assert_allclose(rotation_matrix(0, quarter, 0) @ [0, 1, 0], [0, 0, 1], atol=1e-12)  # pitch: about x
    np.testing.assert_allclose(rotation_matrix(0, 0, quarter) @ [1, 0, 0], [0, 1, 0], atol=1e-12)  # roll: about z
    combined = rotation_matrix(0.1, 0.2, 0.3)
    np.testing.assert_allclose(
        combined, rotation_matrix(0.1, 0, 0) @ rotation_matrix(0, 0.2, 0) @ rotation_matrix(0, 0, 0.3), atol=1e-12
    )
    np.testing.assert_allclose(combined @ combined.T, np.eye(3), atol=1e-12)


def test_mirror_swaps_sides_and_twice_is_nothing(make_clip: MakeClip) -> None:
    joints = make_clip()
    mirrored = Augmentation(mirror=1.0)(joints, LAYOUT, draws())
    left, right = LAYOUT.joint_names.index("HandL"), LAYOUT.joint_names.index("HandR")
    np.testing.assert_array_equal(mirrored[:, :, left], joints[:, :, right] * np.array([-1, 1, 1]))
    np.testing.assert_array_equal(Augmentation(mirror=1.0)(mirrored, LAYOUT, draws()), joints)
    share = np.mean([(Augmentation(mirror=0.3)(joints, LAYOUT, draws(seed)) != joints).any() for seed in range(400)])
    assert 0.2 < share < 0.4


def test_dropped_joints_are_refilled_from_the_others(make_clip: MakeClip) -> None:
    joints, changed = make_clip(), 0
    for seed in range(40):
        dropped = Augmentation(drop_joints=0.2)(joints, LAYOUT, draws(seed))
        lost = (dropped != joints).any(axis=(0, 1, 3))
        assert np.isfinite(dropped).all()
        if lost.any():
            for joint in np.flatnonzero(lost):
                near = nearest_by_walking(joint, set(np.flatnonzero(lost).tolist()), LAYOUT.parents)
                np.testing.assert_allclose(dropped[:, :, joint], joints[:, :, near].mean(axis=2), atol=1e-5)
        changed += int(lost.sum())
    assert 0.15 < changed / (40 * 25) < 0.25
    np.testing.assert_array_equal(
        Augmentation(drop_joints=1.0)(joints, LAYOUT, draws()), joints
    )  # nothing left to fill from


def test_jitter_has_its_standard_deviation_and_repeats(make_clip: MakeClip) -> None:
    joints = make_clip(frames=100)
    noisy = Augmentation(jitter=0.01)(joints, LAYOUT, draws(1))
    assert noisy.dtype == np.float32 and 0.009 < (noisy - joints).std() < 0.011
    np.testing.assert_array_equal(noisy, Augmentation(jitter=0.01)(joints, LAYOUT, draws(1)))
    assert (noisy != Augmentation(jitter=0.01)(joints, LAYOUT, draws(2))).any()


def test_a_clip_is_left_as_it_was(make_clip: MakeClip) -> None:
    augmentation = Augmentation(crop=(0.5, 1.0), yaw=0.5, tilt=0.3, scale=0.1, mirror=0.5, drop_joints=0.1, jitter=0.01)
    names = ["kinect_v2", "sbu_15", "mediapipe_33"]
    clips = [make_clip(name, frames=20, people=2) for name in names]
    before = [clip.copy() for clip in clips]
    numbers = uniform(0, 4, hash_ids(["a", "b", "c"]), NUM_DRAWS + 33, "augment")
    for row, name in enumerate(names):
        found = augmentation(clips[row], LAYOUTS[name], numbers[row])
        np.testing.assert_array_equal(clips[row], before[row])
        assert found.shape[1:] == clips[row].shape[1:] and found.dtype == np.float32


@pytest.mark.parametrize(
    "values", [{"crop": (0.0, 1.0)}, {"crop": (0.9, 0.5)}, {"crop": (0.5, 1.1)}, {"mirror": 1.5}, {"drop_joints": -0.1},
               {"yaw": -1.0}, {"jitter": -0.1}, {"speed": (0.0, 1.0)}, {"speed": (1.2, 0.8)}, {"speed": (1.0, 50.0)},
               {"shear": -0.1}, {"shear": float("nan")}, {"yaw": float("inf")}, {"drop_parts": 1.1}, {"drop_frames": 1.0},
               {"drop_frames": -0.1}, {"jitter_frames": 0}, {"jitter_frames": float("nan")}, {"zero_joints": 1.0}, {"zero_joints": -0.1}]
)  # fmt: skip
def test_augmentation_refuses_nonsense(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(values))} is") as caught:
        Augmentation(**values)  # type: ignore[arg-type]
    assert one_sentence(caught.value)


# --- the steps that came later ----------------------------------------------------------------------------------------

OLD = {"crop": (0.5, 1.0), "yaw": 0.5, "tilt": 0.3, "scale": 0.1, "mirror": 0.5, "drop_joints": 0.1, "jitter": 0.01}
LATER = {
    "speed": (0.5, 2.0),
    "shear": 0.3,
    "drop_parts": 0.4,
    "drop_frames": 0.5,
    "jitter_frames": 5,
    "zero_joints": 0.4,
}


def old_formula(joints: np.ndarray, layout: SkeletonLayout, draws: np.ndarray, values: dict[str, object]) -> np.ndarray:
    """The augmentation of the first published runs, frozen here as it was."""
    given = Augmentation(**values)  # type: ignore[arg-type]  # only its numbers are read
    low, high = given.crop
    length = max(1, round(len(joints) * (low + (high - low) * draws[0])))
    start = int(draws[1] * (len(joints) - length + 1))
    joints = joints[start : start + length]
    if draws[2] < given.mirror:
        joints = joints[:, :, list(layout.mirror)] * np.array([-1, 1, 1], dtype=np.float32)
    if given.yaw or given.tilt or given.scale:
        yaw, pitch, roll, scale = (2 * draws[3:7] - 1) * (given.yaw, given.tilt, given.tilt, given.scale)
        pivot = joints[0, 0, list(layout.center_indices)].mean(axis=0)
        matrix = ((1 + scale) * rotation_matrix(yaw, pitch, roll)).astype(np.float32)
        joints = (joints - pivot) @ matrix.T + pivot
    lost = draws[8 : 8 + layout.num_joints] < given.drop_joints
    if lost.any() and not lost.all():
        joints = joints.copy()
        joints[:, :, lost] = np.nan
        joints, _ = fill_missing(joints, layout.parents)
    if given.jitter:
        generator = np.random.Generator(np.random.Philox(key=int(draws[7] * 2**53)))
        joints = joints + generator.normal(0, given.jitter, joints.shape).astype(np.float32)
    return joints


@pytest.mark.parametrize("only", [None, *OLD])
def test_old_seeds_give_the_old_clips_bit_for_bit(only: str | None, make_clip: MakeClip) -> None:
    values = OLD if only is None else {only: OLD[only]}
    ids = [f"clip{number}" for number in range(12)]
    names = ["kinect_v2", "sbu_15", "mediapipe_33"] * 4
    clips = [make_clip(name, frames=5 + 3 * row, people=1 + row % 2) for row, name in enumerate(names)]
    layouts = [LAYOUTS[name] for name in names]
    for epoch in range(5):
        numbers = uniform(3, epoch, hash_ids(ids), 8 + 33, "augment")
        for row, one in enumerate(zip(clips, layouts, numbers, strict=True)):
            found = Augmentation(**values)(*one)  # type: ignore[arg-type]
            expected = old_formula(clips[row], layouts[row], numbers[row], values)
            assert found.dtype == expected.dtype and found.shape == expected.shape
            assert found.tobytes() == expected.tobytes(), (epoch, row)


def test_lost_joints_of_centred_data_are_filled_as_they_were(make_clip: MakeClip) -> None:
    joints = make_clip(frames=12, people=2)
    joints -= joints[
        :, :1, 1:2
    ]  # SpineMid is zero throughout, and may not be taken for a gap, nor for the rest of the body
    at_first = make_clip(frames=12)
    at_first -= at_first[0, 0, 1]  # zero in one frame
    for seed in range(30):
        for clip in (joints, at_first):
            found = Augmentation(drop_joints=0.3)(clip, LAYOUT, draws(seed))
            assert found.tobytes() == old_formula(clip, LAYOUT, draws(seed), {"drop_joints": 0.3}).tobytes()


def test_the_later_steps_keep_their_draws_too(make_clip: MakeClip) -> None:
    joints = make_clip(frames=30)
    for seed in range(20):
        row = draws(seed)
        later = np.random.Generator(np.random.Philox(key=int(row[7] * 2**53) + 2**64)).random(16)
        np.testing.assert_array_equal(
            Augmentation(speed=(0.5, 2.0))(joints, LAYOUT, row), play(joints, 0.5 * 4 ** later[:3])
        )
        a, b, c, d, e, f = 0.4 * (2 * later[3:9] - 1)
        pivot = joints[0, 0, 1]
        expected = (joints - pivot) @ np.array([[1, a, b], [c, 1, d], [e, f, 1]]).T + pivot
        np.testing.assert_allclose(Augmentation(shear=0.4)(joints, LAYOUT, row), expected, atol=1e-5)
        dropped = Augmentation(drop_parts=0.5)(joints, LAYOUT, row)
        kept = max(range(5), key=lambda part: later[9 + part])
        expected_parts = {PARTS[part] for part in range(5) if later[9 + part] < 0.5 and part != kept}
        assert lost_parts(joints, dropped, LAYOUT) == expected_parts
        filled = Augmentation(drop_frames=0.5)(joints, LAYOUT, row)
        count = round(15 * later[14])
        start = int(later[15] * (31 - count))
        changed = np.flatnonzero((filled != joints).any(axis=(1, 2, 3)))
        np.testing.assert_array_equal(changed, np.arange(start, start + count))


def test_a_step_leaves_the_draws_of_the_others_alone(make_clip: MakeClip) -> None:
    joints = make_clip(frames=40, people=2)
    for seed in range(10):
        numbers = draws(seed)
        cropped = Augmentation(crop=(0.5, 0.9))(joints, LAYOUT, numbers)
        both = Augmentation(crop=(0.5, 0.9), shear=0.3)(joints, LAYOUT, numbers)
        sheared = Augmentation(shear=0.3)(cropped, LAYOUT, numbers)
        np.testing.assert_array_equal(both, sheared)
        dropped = Augmentation(drop_parts=0.4)(joints, LAYOUT, numbers)
        slow = Augmentation(drop_parts=0.4, speed=(0.5, 0.5))(joints, LAYOUT, numbers)
        np.testing.assert_allclose(slow[::2], dropped, atol=1e-4)


def test_everything_together_is_finite_repeats_and_spares_the_clip(make_clip: MakeClip) -> None:
    augmentation = Augmentation(**OLD, **LATER)  # type: ignore[arg-type]
    assert {field.name for field in fields(Augmentation)} == {*OLD, *LATER}
    for name in ("kinect_v2", "lcrnet_13", "vicon_39"):
        layout = LAYOUTS[name]
        for frames in (1, 2, 3, 30):
            clip = make_clip(name, frames=frames, people=2)
            before = clip.copy()
            for seed in range(20):
                row = np.random.default_rng(seed).random(NUM_DRAWS + layout.num_joints)
                found = augmentation(clip, layout, row)
                assert np.isfinite(found).all() and found.dtype == np.float32 and found.shape[1:] == clip.shape[1:]
                np.testing.assert_array_equal(found, augmentation(clip, layout, row))
            np.testing.assert_array_equal(clip, before)


def test_speed_is_within_its_range_and_changes_within_the_clip() -> None:
    clock = np.arange(201, dtype=np.float32)[:, None, None, None] * np.ones((1, 1, 25, 3), dtype=np.float32)
    lengths_seen, changing = [], 0
    for seed in range(400):
        shown = Augmentation(speed=(0.5, 2.0))(clock, LAYOUT, draws(seed))[:, 0, 0, 0]
        steps = np.diff(shown)
        assert steps.min() > 0.49 and steps.max() < 2.02 and shown[0] == 0 and shown[-1] == 200
        lengths_seen.append(len(shown))
        changing += np.ptp(steps) > 0.1
    assert changing > 360 and min(lengths_seen) < 150 and max(lengths_seen) > 270
    assert 0.35 < np.mean(np.array(lengths_seen) > 201) < 0.65  # half and twice the speed are equally likely
    np.testing.assert_array_equal(Augmentation(speed=(1, 1), yaw=0.0)(clock, LAYOUT, draws()), clock)


def test_shear_adds_axes_to_each_other_about_the_centre(make_clip: MakeClip) -> None:
    joints = make_clip(people=2)
    matrices = []
    for seed in range(200):
        sheared = Augmentation(shear=0.4)(joints, LAYOUT, draws(seed))
        np.testing.assert_allclose(sheared[0, 0, 1], joints[0, 0, 1], atol=1e-5)  # SpineMid of actor 1 stays
        pivot = joints[0, 0, 1].astype(float)
        matrix = np.linalg.lstsq((joints - pivot).reshape(-1, 3), (sheared - pivot).reshape(-1, 3), rcond=None)[0].T
        np.testing.assert_allclose(np.diag(matrix), 1, atol=1e-4)
        matrices.append(matrix)
    beside = np.array(matrices)[:, ~np.eye(3, dtype=bool)]
    assert np.abs(beside).max() <= 0.4 + 1e-4
    assert (beside.max(axis=0) > 0.3).all() and (beside.min(axis=0) < -0.3).all()
    assert np.abs(np.corrcoef(beside.T) - np.eye(6)).max() < 0.3  # six numbers, not one
    np.testing.assert_array_equal(shear_matrix(np.arange(2, 8)), [[1, 2, 3], [4, 1, 5], [6, 7, 1]])


def test_sheared_before_it_is_turned(make_clip: MakeClip) -> None:
    joints, numbers = make_clip(), draws(5)
    both = Augmentation(yaw=1.0, tilt=0.3, scale=0.2, shear=0.3)(joints, LAYOUT, numbers)
    sheared = Augmentation(shear=0.3)(joints, LAYOUT, numbers)
    np.testing.assert_allclose(both, Augmentation(yaw=1.0, tilt=0.3, scale=0.2)(sheared, LAYOUT, numbers), atol=1e-5)


def lost_parts(before: np.ndarray, after: np.ndarray, layout: SkeletonLayout) -> set[str]:
    changed = (before != after).any(axis=(0, 1, 3))
    found = set()
    for part in PARTS:
        joints = [layout.joint_names.index(joint) for joint in layout.parts[part]]
        assert changed[joints].all() or not changed[joints].any(), part  # a part is lost whole
        if joints and changed[joints].all():
            found.add(part)
    return found


def test_parts_are_lost_whole_each_with_the_probability_and_one_stays(make_clip: MakeClip) -> None:
    joints, count = make_clip(people=2), dict.fromkeys(PARTS, 0)
    for seed in range(300):
        dropped = Augmentation(drop_parts=0.3)(joints, LAYOUT, draws(seed))
        lost = lost_parts(joints, dropped, LAYOUT)
        assert len(lost) < 5 and np.isfinite(dropped).all()
        for part in lost:
            count[part] += 1
        kept = [LAYOUT.joint_names.index(j) for part in PARTS if part not in lost for j in LAYOUT.parts[part]]
        gone = [joint for joint in range(25) if joint not in kept]
        for joint in gone:
            near = nearest_by_walking(joint, set(gone), LAYOUT.parents)
            np.testing.assert_allclose(dropped[:, :, joint], joints[:, :, near].mean(axis=2), atol=1e-5)
    assert all(60 < number < 120 for number in count.values()), count
    stays = [
        lost_parts(joints, Augmentation(drop_parts=1.0)(joints, LAYOUT, draws(seed)), LAYOUT) for seed in range(60)
    ]
    assert all(len(lost) == 4 for lost in stays)
    assert {next(iter(set(PARTS) - lost)) for lost in stays} == set(PARTS)  # not always the same one


def test_parts_and_joints_lost_together_leave_somebody_to_fill_from(make_clip: MakeClip) -> None:
    joints = make_clip()
    both = Augmentation(drop_parts=1.0, drop_joints=0.9)
    for seed in range(60):
        dropped = both(joints, LAYOUT, draws(seed))
        assert np.isfinite(dropped).all() and (dropped == joints).all(axis=(0, 1, 3)).any()  # somebody was measured
    few = LAYOUTS["lcrnet_13"]
    without_torso = SkeletonLayout(
        "arms", ["l", "r"], [-1, -1], parts={"left_arm": ["l"], "right_arm": ["r"]}, mirror_pairs=[("l", "r")], center="l"
    )  # fmt: skip
    for layout in (few, without_torso):
        clip = make_clip(layout)
        for seed in range(30):
            dropped = Augmentation(drop_parts=1.0)(clip, layout, draws(seed))
            assert len(lost_parts(clip, dropped, layout)) == sum(size > 0 for size in layout.part_sizes) - 1


def test_a_span_of_frames_is_lost_and_filled_as_any_gap(make_clip: MakeClip) -> None:
    joints, counts, places = make_clip(frames=40, people=2), set(), set()
    for seed in range(400):
        filled = Augmentation(drop_frames=0.5)(joints, LAYOUT, draws(seed))
        lost = np.flatnonzero((filled != joints).any(axis=(1, 2, 3)))
        counts.add(len(lost))
        assert filled.shape == joints.shape
        if len(lost):
            assert lost[-1] - lost[0] + 1 == len(lost)  # one span
            places.add(int(lost[0]))
            gaps = joints.copy()
            gaps[lost] = np.nan
            np.testing.assert_allclose(filled, fill_missing(gaps, LAYOUT.parents)[0], atol=1e-5)
    assert counts == set(range(21)) and {0, 39} & places and 0 in places
    short = make_clip(frames=2)
    for seed in range(40):  # one frame is always left
        found = Augmentation(drop_frames=0.99)(short, LAYOUT, draws(seed))
        assert (found == short).all(axis=(1, 2, 3)).any()


def test_smooth_noise_is_as_large_and_changes_slowly() -> None:
    still = np.zeros((400, 2, 25, 3), dtype=np.float32)
    white = Augmentation(jitter=0.01)(still, LAYOUT, draws(1))
    smooth = Augmentation(jitter=0.01, jitter_frames=8)(still, LAYOUT, draws(1))
    assert smooth.dtype == np.float32 and smooth.shape == still.shape
    assert 0.0095 < smooth.std() < 0.0105 and abs(smooth.mean()) < 5e-4
    assert 0.009 < smooth.std(axis=(1, 2, 3)).mean() < 0.011  # as much in every frame, between two values too
    assert smooth.std(axis=(1, 2, 3)).min() > 0.006
    assert np.diff(smooth, axis=0).std() < 0.3 * np.diff(white, axis=0).std()

    def alike(noise: np.ndarray, frames: int) -> float:
        return float((noise[frames:] * noise[:-frames]).mean() / (noise**2).mean())

    assert alike(smooth, 1) > 0.9 and abs(alike(smooth, 20)) < 0.05 and abs(alike(white, 1)) < 0.05
    np.testing.assert_array_equal(smooth, Augmentation(jitter=0.01, jitter_frames=8)(still, LAYOUT, draws(1)))
    assert not Augmentation(jitter_frames=8)(still, LAYOUT, draws(1)).any()  # of nothing


@pytest.mark.parametrize("center", ["first_frame", "every_frame", "none"])
def test_joints_at_zero_are_as_in_the_table_of_robustness(center: Center, make_clip: MakeClip) -> None:
    """What is at zero is written out here: zero in the image of every frame, of both people, and not refilled; the rest is left alone."""
    joints, options = make_clip(frames=9, people=2), EncodingOptions(size=(9, 100), center=center, value_range="fixed")
    augmentation, shares = Augmentation(zero_joints=0.6), []
    for seed in range(60):
        row = draws(seed)
        generator = np.random.Generator(np.random.Philox(key=int(row[7] * 2**53) + 2 * 2**64))
        numbers = generator.random(25)
        lost = numbers < 0.6 * generator.random()
        found = augmentation(joints, LAYOUT, row, center)
        np.testing.assert_array_equal(found[:, :, ~lost], joints[:, :, ~lost])
        shares.append(lost.mean())
        if lost.sum() > 0 and seed < 12:
            image, metadata = encode([found], LAYOUT, options)
            centred = decode(image, metadata)[0].numpy() - metadata[0].offset[:, None, None]
            assert metadata[0].num_missing == 0 and np.abs(centred[:, :, lost]).max() < 1e-4
            exactly = drop_joints_exactly(joints, LAYOUT, 0.2, 0, "a", "zero", center)
            same = at_zero(joints, lost_joint_indices(25, 0.2, 0, "a"), LAYOUT, center)
            np.testing.assert_array_equal(same, exactly)
    assert 0.2 < np.mean(shares) < 0.4 and min(shares) < 0.1 and max(shares) > 0.45  # uniform from 0 to 0.6


def test_never_are_all_joints_at_zero(make_clip: MakeClip) -> None:
    joints = make_clip("sbu_15", frames=3)[:, :, :3]
    layout = SkeletonLayout("three", ["a", "b", "c"], [-1, 0, 1], {"torso": ["a", "b", "c"]}, center="a")
    found = [Augmentation(zero_joints=0.99)(joints, layout, draws(seed)) for seed in range(200)]
    zeroed = [int((one == one[:1]).all(axis=(0, 1, 3)).sum()) for one in found]
    assert max(zeroed) == 2 and min(zeroed) == 0


def test_zero_is_where_the_images_have_it(make_clip: MakeClip) -> None:
    """The collator of a run tells the augmentation what its processor subtracts."""
    joints = make_clip(frames=9)
    rows = [{"joints": joints, "layout": "kinect_v2", "sample_id": f"clip{index}"} for index in range(8)]
    augmentation, places = Augmentation(zero_joints=0.9), {}
    for center in get_args(Center):
        batch = SkeletonCollator(augmentation, 3, with_labels=False, center=center)(rows)["joints"].numpy()
        changed = (batch != joints).any(axis=(1, 2, 4))
        assert changed.any()
        places[center] = batch[:, :, 0].swapaxes(1, 2)[changed]  # (joints lost, T, 3)
    still = joints[0, 0, 1]
    np.testing.assert_allclose(places["first_frame"], np.broadcast_to(still, places["first_frame"].shape), atol=1e-6)
    moving = np.broadcast_to(joints[:, 0, 1], places["every_frame"].shape)
    np.testing.assert_allclose(places["every_frame"], moving, atol=1e-6)
    assert np.abs(places["none"]).max() < 1e-5


def test_one_line_each_in_yaml(tmp_path: object) -> None:
    from s2i_hf.utils.arguments import from_values

    values = {"data": "synthetic_xsub", "speed": [0.8, 1.25], "shear": 0.2, "drop_parts": 0.1, "drop_frames": 0.3,
              "jitter": 0.01, "jitter_frames": 5}  # fmt: skip
    augmentation = from_values(PretrainArguments, values, "a.yaml").augmentation
    assert augmentation == Augmentation(
        crop=(0.5, 1.0), yaw=0.3, tilt=0.3, speed=(0.8, 1.25), shear=0.2, drop_parts=0.1, drop_frames=0.3, jitter=0.01,
        jitter_frames=5,
    )  # fmt: skip
    plain = PretrainArguments(data="synthetic_xsub").augmentation
    assert plain == Augmentation(crop=(0.5, 1.0), yaw=0.3, tilt=0.3)  # MAMP's, as before
    assert Augmentation() == NO_AUGMENTATION
    assert PretrainArguments(data="synthetic_xsub", zero_joints=0.3).augmentation.zero_joints == 0.3
    with pytest.raises(ValueError, match="drop_parts is 2"):
        PretrainArguments(data="synthetic_xsub", drop_parts=2.0)


def test_a_layout_without_mirror_pairs_is_never_mirrored(make_clip: MakeClip) -> None:
    layout = SkeletonLayout("one side", LAYOUT.joint_names, LAYOUT.parents, LAYOUT.parts, mirror_pairs=())
    joints = make_clip()
    np.testing.assert_array_equal(Augmentation(mirror=1.0)(joints, layout, draws()), joints)
    everything = Augmentation(
        mirror=1.0, yaw=1.0, crop=(0.5, 1.0), drop_parts=0.5, drop_joints=0.2, jitter=0.01, speed=(0.8, 1.2)
    )
    assert np.isfinite(everything(joints, layout, draws())).all()
