"""Who is held out to choose settings: whole subjects, each once, and cameras where the test has new ones."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import refused

from s2i_hf.evaluation.validation_splits import held_out_in_turn, probe_folds, validation_folds, validation_split


@pytest.mark.parametrize("seed", range(5))
def test_whole_subjects_are_held_out(seed):
    generator = np.random.default_rng(6)
    labels, subjects = np.arange(300) % 6, generator.integers(1, 9, 300)
    held, note = validation_split(subjects, labels, seed)
    assert note == "" and 0.15 < held.mean() < 0.5
    assert not set(subjects[held]) & set(subjects[~held])
    assert (held == validation_split(subjects, labels, seed)[0]).all()


def test_of_two_subjects_one_remains_to_train_on():
    held, _ = validation_split(np.repeat([7, 9], [90, 10]), np.zeros(100, dtype=int), 0)
    assert 0 < held.sum() < 100


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("people", [2, 3, 4, 5, 9, 40])
def test_every_subject_is_held_out_once(seed, people):
    subjects = np.random.default_rng(people).integers(0, people, 400)
    masks, note = held_out_in_turn(subjects, np.zeros(400, dtype=int), seed)
    assert note == "" and 2 <= len(masks) <= 5
    assert (np.sum(masks, axis=0) == 1).all()  # every clip chooses once
    for mask in masks:
        assert not set(subjects[mask]) & set(subjects[~mask])
    assert (masks[0] == validation_split(subjects, np.zeros(400, dtype=int), seed)[0]).all()
    if people == 40:
        assert all(0.12 < mask.mean() < 0.4 for mask in masks)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("clips", [(3, 94, 3), (10, 90), (5, 80, 15)])
def test_a_subject_with_nearly_all_clips_is_never_held_out(clips, seed):
    subjects = np.repeat(np.arange(len(clips)), clips)
    masks, note = held_out_in_turn(subjects, np.zeros(100, dtype=int), seed)
    held = np.sum(masks, axis=0)
    assert note == "" and held.max() == 1 and not held[subjects == np.argmax(clips)].any() and held.any()


def test_one_subject_is_held_out_by_quarters_of_each_class():
    labels = np.repeat([0, 1, 2], [40, 10, 1])
    masks, note = held_out_in_turn(np.full(51, 3), labels, 0)
    assert "one subject" in note and (np.sum(masks, axis=0) == 1).all()
    assert [int(mask[:40].sum()) for mask in masks] == [10] * 4
    masks, _ = held_out_in_turn(np.full(2, 3), np.array([0, 1]), 0)
    assert masks == []  # nothing would be left to fit on


def test_a_probe_lets_few_clips_all_choose_and_many_a_quarter(monkeypatch):
    class Rows:
        subjects, labels, cameras = np.repeat(np.arange(8), 6), np.arange(48) % 4, np.tile([1, 1, 2, 2, 3, 3], 8)

        def __len__(self):
            return 48

    rows = Rows()
    folds = probe_folds(rows, np.array([4]), 5)  # a new view
    assert len(folds) == 4 * 3 and (np.sum([choose for _, choose in folds], axis=0) == 1).all()
    for fit, choose in folds:
        assert not set(rows.subjects[fit]) & set(rows.subjects[choose])
        assert not set(rows.cameras[fit]) & set(rows.cameras[choose])
    assert len(probe_folds(rows, np.array([1]), 5)) == 4 and len(probe_folds(rows, np.array([4]), 5, "subjects")) == 4
    monkeypatch.setattr("s2i_hf.evaluation.validation_splits.CROSS_VALIDATED_VIEWS", 48 * 9)
    copied = probe_folds(rows, np.array([1]), 5, times=9)
    # copies are held out with their clip, and never choose
    for (fit, choose), (fitted, chosen) in zip(probe_folds(rows, np.array([1]), 5), copied, strict=True):
        np.testing.assert_array_equal(fitted, [*fit] * 9)
        np.testing.assert_array_equal(chosen, [*choose, *[False] * (8 * 48)])
    assert len(copied) == 4
    assert len(probe_folds(rows, np.array([1]), 5, times=10)) == 1
    monkeypatch.setattr("s2i_hf.evaluation.validation_splits.CROSS_VALIDATED", 47)
    [(fit, choose)] = probe_folds(rows, np.array([1]), 5)
    np.testing.assert_array_equal(choose, validation_split(rows.subjects, rows.labels, 5)[0])
    np.testing.assert_array_equal(fit, ~choose)


def test_unseen_cameras_choose_on_held_out_subjects_of_a_camera_not_fitted_on():
    subjects, cameras = np.repeat(np.arange(8), 6), np.tile([1, 1, 2, 2, 3, 3], 8)
    labels = np.arange(48) % 4
    folds, note = validation_folds(subjects, labels, 5, cameras, np.array([4, 4]))
    held, _ = validation_split(subjects, labels, 5)
    assert len(folds) == 3 and note == ""
    for unseen, (fit, choose) in zip((1, 2, 3), folds, strict=True):
        assert set(cameras[choose]) == {unseen} and unseen not in cameras[fit]
        assert not set(subjects[fit]) & set(subjects[choose])
    np.testing.assert_array_equal(np.any([choose for _, choose in folds], axis=0), held)
    for known in (np.array([1, 4]), None):  # a shared camera, or cameras unknown: held-out subjects alone
        [(fit, choose)], _ = validation_folds(subjects, labels, 5, cameras if known is not None else None, known)
        np.testing.assert_array_equal(choose, held)
        np.testing.assert_array_equal(fit, ~held)


def test_what_is_held_out_can_be_asked_for():
    subjects, cameras = np.repeat(np.arange(8), 6), np.tile([1, 1, 2, 2, 3, 3], 8)
    labels = np.arange(48) % 4
    by_cameras, _ = validation_folds(
        subjects, labels, 5, cameras, cameras, "cameras"
    )  # though the test has no new view
    assert [set(cameras[choose]) for _, choose in by_cameras] == [{1}, {2}, {3}]
    by_subjects, _ = validation_folds(subjects, labels, 5, cameras, np.array([4]), "subjects")  # though it has
    np.testing.assert_array_equal(by_subjects[0][1], validation_split(subjects, labels, 5)[0])
    with refused(ValueError, match="several training cameras, and there are 1; hold out subjects"):
        validation_folds(subjects, labels, 5, np.ones(48), np.array([4]), "cameras")


def test_of_unknown_subjects_nothing_is_claimed():
    masks, note = held_out_in_turn(np.full(40, -1), np.repeat([0, 1], 20), 0)
    assert len(masks) == 4 and note.startswith("nothing says which subjects the training clips are of, so settings")


def test_without_test_clips_no_camera_is_unseen():
    subjects, labels = np.repeat(np.arange(4), 10), np.tile([0, 1], 20)
    cameras = np.tile([1, 2], 20)
    folds, _ = validation_folds(subjects, labels, 0, cameras, np.array([], dtype=int))
    same, _ = validation_folds(subjects, labels, 0)
    np.testing.assert_array_equal(folds, same)
