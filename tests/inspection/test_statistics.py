"""Counters over clips agree with counts by hand, and keep their size however many clips come by."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from bodies import clip, walker
from hypothesis import given, settings, strategies as st

from s2i_hf.inspection.statistics import NUM_WORST, ClipStatistics, EvenSample, leading, quantile
from s2i_hf.processing.layouts import LAYOUTS
from s2i_hf.processing.skeleton_sequence import SkeletonSequence


def sequence(joints, sample_id="clip", **facts):
    return SkeletonSequence(joints, LAYOUTS["kinect_v1"], sample_id=sample_id, **facts)


def test_counts_by_hand():
    stats = ClipStatistics()
    stats.add(clip("a", label=0, subject=1, camera=2), "train")
    stats.add(clip("b", label=0, subject=2), "train")
    two = np.concatenate([walker(frames=3), walker(frames=3, seed=1)], axis=1)
    two[1, 1] = np.nan
    stats.add(sequence(two, "c", label=4, subject=2), "test")
    stats.add(clip("d", "kinect_v2"))
    assert stats.clips == 4 and stats.total_frames == 39 and stats.frames == {12: 3, 3: 1}
    assert stats.people == {1: 3, 2: 1} and stats.labels == {0: 2, 4: 1, -1: 1}
    assert stats.subjects == {1: 1, 2: 2, -1: 1} and stats.cameras == {2: 1, -1: 3}
    assert stats.splits == {"train": 2, "test": 1, "": 1}
    assert tuple(stats.totals[name] for name in ("absent", "person_frames", "empty_frames")) == (1, 12 + 12 + 6 + 12, 0)
    assert stats.layout is LAYOUTS["kinect_v1"] and stats.layouts == {"kinect_v1": 3, "kinect_v2": 1}
    assert stats.examples["short", ""] == ["c"] and stats.examples["sides", "as named"] == ["a", "b", "c", "d"]


def test_the_most_restless_clips_are_named_with_their_bone():
    stats = ClipStatistics()
    for number in range(9):
        joints = walker(seed=number)
        joints[::2, 0, 3] += np.float32([0, 0.02 * number, 0])  # the head bobs
        stats.add(sequence(joints, f"clip {number}"))
    assert [name for _, name, _ in stats.worst] == [f"clip {n}" for n in (8, 7, 6, 5, 4)]
    assert {bone for *_, bone in stats.worst} == {"Head"} and len(stats.worst) == NUM_WORST
    assert sum(stats.variations.values()) == 9


def test_bone_table():
    stats = ClipStatistics()
    for seed in range(3):
        stats.add(sequence(walker(seed=seed)))
    table = {joint: (parent, length, mirrored) for parent, joint, length, mirrored in stats.bone_table()}
    assert len(table) == 19 and table["KneeL"] == ("HipL", pytest.approx(0.45, abs=1e-4), pytest.approx(0.45, abs=1e-4))
    assert np.isnan(table["Head"][2]) and ClipStatistics().bone_table() == [] and ClipStatistics().layout is None


def test_what_is_kept_does_not_grow():
    stats, small = ClipStatistics(), walker(frames=6)
    for number in range(3000):
        stats.add(sequence(small, f"clip {number}"))
    assert len(stats.drawn.items) <= 12 and len(stats.bones["kinect_v1"].items) <= 2048
    assert all(len(names) <= 5 for names in stats.examples.values())
    numbers = [int(drawn.sample_id.split()[1]) for drawn in stats.drawn.items]
    assert len(numbers) >= 6 and len(set(np.diff(numbers))) == 1  # evenly spread
    assert stats.drawn.items[0].joints.shape == (5, 1, 20, 3) and stats.drawn.items[0].frames == (0, 1, 2, 4, 5)


@settings(deadline=None)
@given(count=st.integers(0, 300), capacity=st.integers(1, 20))
def test_even_samples(count, capacity):
    sample: EvenSample[int] = EvenSample(capacity)
    for number in range(count):
        sample.add(number)
    assert sample.items == list(range(0, count, sample.stride)) and len(sample.items) <= capacity
    assert sample.stride == 1 or 2 * len(sample.items) >= capacity


@settings(deadline=None)
@given(st.lists(st.integers(0, 50), min_size=1), st.floats(0.01, 1))
def test_quantiles_are_those_of_numpy(values, share):
    assert quantile(Counter(values), share) == np.quantile(values, share, method="inverted_cdf")


def test_quantile_of_nothing():
    with pytest.raises(ValueError, match="Nothing was counted"):
        quantile(Counter(), 0.5)


def test_leading_ignores_those_that_do_not_tell():
    assert leading(Counter({"": 50, "+y": 3, "-y": 1})) == ("+y", 0.75)
    assert leading(Counter({"cannot tell": 2})) == ("", 0.0)
