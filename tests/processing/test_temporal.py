"""Resampling, playing speed and windows, against loops written here."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import MakeClip, one_sentence

from s2i_hf.processing.temporal import central_crop, clip_windows, frames_at, play, resample


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


def test_resample_and_crop_refuse_nonsense(make_clip: MakeClip) -> None:
    with pytest.raises(ValueError, match="num_frames is 0"):
        resample(make_clip(), 0)
    for ratio in (0.0, 1.5, -1.0):
        with pytest.raises(ValueError, match="ratio is"):
            central_crop(make_clip(), ratio)


def test_central_crop(make_clip: MakeClip) -> None:
    joints = make_clip(frames=100)
    np.testing.assert_array_equal(central_crop(joints, 0.9), joints[5:95])
    np.testing.assert_array_equal(central_crop(joints, 1.0), joints)
    assert len(central_crop(joints[:1], 0.5)) == 1


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
    with pytest.raises(ValueError, match=says) as caught:
        clip_windows(make_clip(), num, ratio)
    assert one_sentence(caught.value)
