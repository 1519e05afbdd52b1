"""Damage of a known size: exactly the share that is named, the same for every model, and not undone by accident."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bodies import nearest_by_walking
from conftest import MakeClip, one_sentence

from s2i_hf.experiments.corruptions import crop_time, drop_joints_exactly, lost_joint_indices
from s2i_hf.processing.encoding import EncodingOptions, decode, encode
from s2i_hf.processing.layouts import LAYOUTS
from s2i_hf.processing.transforms import find_missing, prepare


@pytest.mark.parametrize("name", ["kinect_v2", "kinect_v1", "lcrnet_13"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.2, 0.3, 0.9])
def test_exactly_the_share_is_lost(name: str, share: float, make_clip: MakeClip) -> None:
    joints = make_clip(name, frames=8, people=2)
    before, expected = joints.copy(), round(share * LAYOUTS[name].num_joints)
    for sample_id in ("a", "b", "c"):
        lost = lost_joint_indices(LAYOUTS[name].num_joints, share, 0, sample_id)
        assert len(lost) == expected and len(set(lost.tolist())) == expected
        kept = np.setdiff1d(np.arange(LAYOUTS[name].num_joints), lost)
        for how in ("zero", "missing"):
            damaged = drop_joints_exactly(joints, name, share, 0, sample_id, how)  # type: ignore[arg-type]
            np.testing.assert_array_equal(damaged[:, :, kept], joints[:, :, kept])
            changed = ~(damaged == joints).all(axis=3)
            assert set(np.flatnonzero(changed.any(axis=(0, 1)))) <= set(lost.tolist())
            assert damaged.dtype == np.float32
            if how == "missing":
                assert np.isnan(damaged[:, :, lost]).all()
    np.testing.assert_array_equal(joints, before)


def test_which_joints_depends_on_seed_and_clip_alone_and_grows_with_the_share() -> None:
    def lost(share: float, seed: int, sample_id: str) -> list[int]:
        return lost_joint_indices(25, share, seed, sample_id).tolist()

    assert lost(0.2, 0, "a") == lost(0.2, 0, "a")
    assert len({tuple(lost(0.2, seed, name)) for seed in range(5) for name in "abcde"}) > 20
    assert set(lost(0.1, 3, "a")) < set(lost(0.2, 3, "a")) < set(lost(0.3, 3, "a"))
    often = np.bincount(np.concatenate([lost(0.2, 0, f"clip{n}") for n in range(1000)]), minlength=25)
    assert often.min() > 150 and often.max() < 250  # no joint is spared


@pytest.mark.parametrize("center", ["first_frame", "every_frame", "none"])
def test_zero_is_zero_of_the_centred_body_and_stays_it(center: Any, make_clip: MakeClip) -> None:
    joints = make_clip(frames=12, people=2)
    options = EncodingOptions(size=(12, 100), center=center, value_range="fixed")
    for sample_id in "abcde":  # with and without the joint at the centre
        lost = lost_joint_indices(25, 0.3, 1, sample_id)
        damaged = drop_joints_exactly(joints, "kinect_v2", 0.3, 1, sample_id, "zero", center)
        prepared, filled = prepare(damaged, "kinect_v2")
        assert filled == 0  # the processor takes them for measured
        np.testing.assert_array_equal(prepared, damaged)
        image, metadata = encode([damaged], "kinect_v2", options)
        centred = decode(image, metadata)[0].numpy() - metadata[0].offset[:, None, None]
        np.testing.assert_allclose(centred[:, :, lost], 0, atol=1e-4)
        assert np.abs(centred).max() > 0.5


def test_zero_in_data_that_is_centred_already(make_clip: MakeClip) -> None:
    joints = make_clip("kinect_v1", frames=6)
    joints -= joints[:1, :1, 1:2]  # Spine, the centre of the layout
    damaged = drop_joints_exactly(joints, "kinect_v1", 0.2, 0, "a")
    lost = lost_joint_indices(20, 0.2, 0, "a")
    assert np.abs(damaged[:, :, lost]).max() < 1e-5
    assert not find_missing(damaged)[:, :, lost].any()


def test_missing_is_filled_by_the_processor(make_clip: MakeClip) -> None:
    joints = make_clip(frames=6)
    damaged = drop_joints_exactly(joints, "kinect_v2", 0.2, 0, "a", "missing")
    prepared, filled = prepare(damaged, "kinect_v2")
    lost = lost_joint_indices(25, 0.2, 0, "a")
    assert filled == 6 * 5
    for joint in lost:  # never shown: the joints beside it take its place
        near = nearest_by_walking(joint, set(lost), LAYOUTS["kinect_v2"].parents)
        np.testing.assert_allclose(prepared[:, :, joint], joints[:, :, near].mean(axis=2), atol=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.75])
def test_time_is_cropped_by_the_share_at_the_place(share: float, make_clip: MakeClip) -> None:
    joints = make_clip(frames=40)
    left = 40 - round(share * 40)
    np.testing.assert_array_equal(crop_time(joints, share, "start"), joints[:left])
    np.testing.assert_array_equal(crop_time(joints, share, "end"), joints[40 - left :])
    np.testing.assert_array_equal(crop_time(joints, share, "middle"), joints[(40 - left) // 2 :][:left])
    starts = set()
    for name in range(300):
        cropped = crop_time(joints, share, sample_id=str(name))
        assert len(cropped) == left
        starts.add(int((joints == cropped[0]).all(axis=(1, 2, 3)).argmax()))
        np.testing.assert_array_equal(cropped, crop_time(joints, share, sample_id=str(name)))
    assert starts == set(range(40 - left + 1))
    assert len(crop_time(joints[:1], 0.75)) == 1 and len(crop_time(joints[:2], 0.99)) == 1


CLIP = np.ones((5, 1, 25, 3), dtype=np.float32)
BAD: dict[str, tuple[Any, str]] = {
    "all joints": (lambda: drop_joints_exactly(CLIP, "kinect_v2", 1.0), "share is 1.0"),
    "all but none": (lambda: drop_joints_exactly(CLIP, "kinect_v2", 0.99), "share is 0.99"),
    "a percentage": (lambda: drop_joints_exactly(CLIP, "kinect_v2", 30), "share is 30"),
    "below zero": (lambda: drop_joints_exactly(CLIP, "kinect_v2", -0.1), "share is -0.1"),
    "another layout": (lambda: drop_joints_exactly(CLIP, "kinect_v1", 0.1, 0, "a01"), "'a01'.*20, 3.*kinect_v1"),
    "no people": (lambda: drop_joints_exactly(CLIP[:, 0], "kinect_v2", 0.1), r"\(5, 25, 3\)"),
    "how": (lambda: drop_joints_exactly(CLIP, "kinect_v2", 0.1, how="nan"), "zero, missing"),  # type: ignore[arg-type]
    "center": (lambda: drop_joints_exactly(CLIP, "kinect_v2", 0.1, center="hip"), "first_frame"),  # type: ignore[arg-type]
    "time": (lambda: crop_time(CLIP, 1.0), "share is 1.0"),
    "time below zero": (lambda: crop_time(CLIP, -0.5), "share is -0.5"),
    "place": (lambda: crop_time(CLIP, 0.5, "left"), "random, start, middle, end"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("case", BAD)
def test_refused_in_one_sentence(case: str) -> None:
    call, says = BAD[case]
    with pytest.raises(ValueError, match=says) as caught:
        call()
    assert one_sentence(caught.value)


def test_real_clips_keep_what_was_not_dropped(real_data: Path) -> None:
    import json

    for path in sorted((real_data / "NW-UCLA" / "all_sqe").glob("*.json"))[:20]:
        joints, _ = prepare(np.asarray(json.loads(path.read_text())["skeletons"], dtype=np.float32), "kinect_v1")
        for how in ("zero", "missing"):
            damaged = drop_joints_exactly(joints, "kinect_v1", 0.3, 0, path.stem, how)  # type: ignore[arg-type]
            prepared, filled = prepare(damaged, "kinect_v1")
            assert (prepared == joints).all(axis=(0, 1, 3)).sum() >= 14 and filled == (6 * len(joints)) * (
                how == "missing"
            )
