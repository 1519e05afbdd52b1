"""A share of the labels: exactly that share, every class, nested for one seed, and said beforehand where it cannot be."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import refused

from s2i_hf.data.label_subsets import smallest_share, stratified_share

UNEVEN = np.random.default_rng(0).permutation(np.repeat(np.arange(6), [400, 200, 100, 50, 30, 12]))


@pytest.mark.parametrize("share", [0.01, 0.05, 0.1, 0.333, 0.9, 1.0])
def test_the_share_is_exact_and_every_class_is_there(share):
    chosen = stratified_share(UNEVEN, share, seed=3)
    assert chosen.dtype == np.int64 and np.all(np.diff(chosen) > 0)
    assert len(chosen) == int(share * len(UNEVEN) + 0.5)
    counts = np.bincount(UNEVEN[chosen], minlength=6)
    wanted = np.bincount(UNEVEN) * share
    assert counts.min() >= 1
    others = wanted >= 1  # a class that is owed a clip is off by less than one and what small classes were given
    assert np.abs(counts - wanted)[others].max() < 1 + (~others).sum()


def test_equal_classes_differ_by_one_at_most():
    labels = np.tile(np.arange(27), 16)
    counts = np.bincount(labels[stratified_share(labels, 0.1, seed=0)])
    assert counts.sum() == 43 and set(counts) == {1, 2}


def test_shares_of_one_seed_are_nested_and_seeds_differ():
    small, middle, large = (set(stratified_share(UNEVEN, share, seed=1)) for share in (0.01, 0.05, 0.1))
    assert small < middle < large
    assert set(stratified_share(UNEVEN, 0.1, seed=2)) != large
    assert set(stratified_share(UNEVEN, 0.1, seed=1)) == large


def test_every_clip_has_the_same_chance():
    labels = np.repeat([0, 1], 10)
    drawn = np.concatenate([stratified_share(labels, 0.2, seed) for seed in range(500)])
    assert np.bincount(drawn, minlength=20).min() > 60  # of 100 expected


def test_labels_need_not_be_contiguous():
    labels = np.array([7, 3, 7, 3, 40, 40])
    assert set(labels[stratified_share(labels, 0.5, seed=0)]) == {3, 7, 40}


@pytest.mark.parametrize(
    ("labels", "share", "message"),
    [
        (np.tile(np.arange(27), 16), 0.05, "the smallest share that works is 0.062"),
        ([0, 1], 0.0, "expected above 0"),
        ([0, 1], 10, "expected above 0"),
        ([0, 1], float("nan"), "expected above 0"),
        ([0, -1], 0.5, "no label"),
        ([], 0.5, "no training clips"),
    ],
)
def test_refused(labels, share, message):
    with refused(ValueError, match=message):
        stratified_share(labels, share, seed=0)


@pytest.mark.parametrize("classes", [2, 10, 27, 60])
@pytest.mark.parametrize("clips", [60, 431, 1020, 40091])
def test_the_smallest_share_works_and_less_does_not(classes, clips):
    labels = np.arange(clips) % classes
    share = smallest_share(labels)
    assert len(np.unique(labels[stratified_share(labels, share, seed=0)])) == classes
    if share > 0.001:
        with pytest.raises(ValueError, match="smallest share"):
            stratified_share(labels, share - 0.001, seed=0)
