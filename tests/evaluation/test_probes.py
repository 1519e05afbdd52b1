"""Classifiers against scikit-learn; what test labels may and may not change."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from s2i_hf.evaluation.probes import C_GRID, SETTINGS, evaluate_probe, knn_scores, softmax_scores
from s2i_hf.evaluation.validation_splits import validation_folds, validation_split

CLASSES = 6


def clusters(count, seed, spread=2.0, dim=12):
    generator = np.random.default_rng(seed)
    centers = np.random.default_rng(1).normal(size=(CLASSES, dim))
    labels = np.arange(count) % CLASSES
    features = (centers[labels] + spread * generator.normal(size=(count, dim))).astype(np.float32)
    return features * np.linspace(0.01, 30, dim, dtype=np.float32), labels, generator.integers(1, 9, count)


# --- classifiers ------------------------------------------------------------------------------------------------------


def test_softmax_regression_finds_the_optimum_of_scikit_learn():
    x, y, _ = clusters(150, 0)
    z, _, _ = clusters(40, 2)
    mean, std = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
    for strength, scores in zip(C_GRID, softmax_scores(x, y, z, C_GRID, CLASSES), strict=True):
        reference = LogisticRegression(C=strength, tol=1e-10, max_iter=10000).fit((x - mean) / std, y)
        expected = reference.predict_proba((z - mean) / std)
        np.testing.assert_allclose(torch.tensor(scores).softmax(dim=1).numpy(), expected, atol=2e-3)


def test_softmax_regression_with_more_features_than_clips():
    generator = np.random.default_rng(3)
    x, z, y = generator.normal(size=(40, 90)), generator.normal(size=(25, 90)), np.arange(40) % CLASSES
    x[:, 7] = 2.5  # constant in training: must not divide by zero
    scores = next(softmax_scores(x, y, z, [0.01], CLASSES))
    std = np.where(x.std(axis=0) < 1e-8, 1, x.std(axis=0))
    reference = LogisticRegression(C=0.01, tol=1e-10, max_iter=10000).fit((x - x.mean(axis=0)) / std, y)
    # a direction that no training clip shows has no weight, in either
    expected = reference.predict_proba((z - x.mean(axis=0)) / std)
    np.testing.assert_allclose(torch.tensor(scores).softmax(dim=1).numpy(), expected, atol=1e-3)


def test_knn_votes_like_scikit_learn():
    x, y, _ = clusters(120, 4)
    z, _, _ = clusters(50, 5)
    mean, std = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
    grid = (1, 3, 10)
    for k, scores in zip(grid, knn_scores(x, y, z, grid, CLASSES), strict=True):
        reference = KNeighborsClassifier(k, metric="cosine").fit((x - mean) / std, y)
        votes = reference.predict_proba((z - mean) / std) * k
        np.testing.assert_allclose(np.floor(scores + 1e-9), np.round(votes))
    one = next(knn_scores(x, y, z, [1], CLASSES))
    for clip_scores, point in zip(one, (z - mean) / std, strict=True):  # classes ranked by their nearest clip
        unit = (x - mean) / std / np.linalg.norm((x - mean) / std, axis=1, keepdims=True)
        similarity = unit @ (point / np.linalg.norm(point))
        nearest = [similarity[y == label].max() for label in range(CLASSES)]
        assert (np.argsort(-clip_scores) == np.argsort(-np.array(nearest))).all()


def test_k_larger_than_the_training_set_is_all_of_it():
    scores = next(knn_scores(np.eye(4), np.array([0, 0, 0, 1]), np.eye(4), [20], 2))
    assert (scores.argmax(axis=1) == 0).all()


# --- choices ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setting", SETTINGS)
def test_with_a_clip_a_class_nothing_is_chosen(setting):
    x, labels, subjects = np.eye(5), np.arange(5), np.zeros(5, dtype=int)
    [(fit, choose)] = validation_folds(subjects, labels, every=True)[0]
    assert fit.all() and not choose.any()
    result = evaluate_probe(setting, x, labels, subjects, x, labels, folds=[(fit, choose)])
    assert result.metrics["top1"] == 1 and "random quarters" in result.note


def test_one_subject_falls_back_to_a_stratified_split_and_says_so():
    x, y, _ = clusters(120, 7)
    held, note = validation_split(np.full(120, 3), y, 0)
    assert [int((held & (y == label)).sum()) for label in range(CLASSES)] == [5] * CLASSES
    result = evaluate_probe("linear_probe", x, y, np.full(120, 3), x, y)
    assert "one subject" in note and result.note == note


@pytest.mark.parametrize("setting", SETTINGS)
def test_test_labels_change_metrics_and_nothing_else(setting):
    x, y, subjects = clusters(160, 8)
    z, labels, _ = clusters(70, 9)
    train, test = {"mean": x, "cls": x[:, ::2], "part": x + 1}, {"mean": z, "cls": z[:, ::2], "part": z + 1}
    true = evaluate_probe(setting, train, y, subjects, test, labels)
    shuffled = evaluate_probe(setting, train, y, subjects, test, np.random.default_rng(0).permutation(labels))
    other = evaluate_probe(setting, train, y, subjects, test, np.full_like(labels, 3))
    beyond = evaluate_probe(setting, train, y, subjects, test, labels + 4)  # even classes that training does not have
    for result in (shuffled, other, beyond):
        assert result.chosen == true.chosen and result.validation == true.validation
        np.testing.assert_array_equal(result.predictions, true.predictions)
        assert result.metrics != true.metrics
    # nor do test clips, whatever is in them
    assert (
        evaluate_probe(setting, train, y, subjects, {k: -v[:9] for k, v in test.items()}, labels[:9]).chosen
        == true.chosen
    )


def test_choices_are_made_on_the_held_out_subjects_alone():
    """Features that say everything about the fitted subjects and nothing about the others must not be chosen."""
    x, y, subjects = clusters(200, 10, spread=0.5)
    held, _ = validation_split(subjects, y, 0)
    leaky = np.eye(CLASSES)[y] * ~held[:, None] * 50 + 0.01 * np.random.default_rng(0).normal(size=(200, CLASSES))
    for setting in SETTINGS:
        result = evaluate_probe(setting, {"leaky": leaky, "honest": x}, y, subjects, {"leaky": leaky, "honest": x}, y)
        assert result.chosen["pooling"] == "honest" and result.validation > 0.9
    named = evaluate_probe("knn", {"leaky": leaky, "honest": x}, y, subjects, {"leaky": leaky}, y, pooling="leaky")
    assert named.chosen["pooling"] == "leaky"


def test_chosen_value_is_the_best_on_the_validation_split():
    x, y, subjects = clusters(200, 11, spread=6.0)
    held, _ = validation_split(subjects, y, 0)
    result = evaluate_probe("linear_probe", x, y, subjects, x, y)
    accuracy = [
        (scores.argmax(axis=1) == y[held]).mean()
        for scores in softmax_scores(x[~held], y[~held], x[held], C_GRID, CLASSES)
    ]
    assert result.validation == accuracy[C_GRID.index(result.chosen["C"])]
    until = C_GRID.index(result.chosen["C"]) + 1
    assert result.validation == max(accuracy[: until + 2]) and result.validation > max([-1, *accuracy[: until - 1]])


def test_confusion_and_predictions_fit_each_other():
    x, y, subjects = clusters(120, 12, spread=5.0)
    result = evaluate_probe("linear_probe", x, y, subjects, x, y)
    confusion = np.zeros((CLASSES, CLASSES))
    for true, predicted in zip(y, result.predictions, strict=True):
        confusion[true, predicted] += 1
    np.testing.assert_array_equal(result.confusion, confusion)
    assert result.metrics["top1"] == pytest.approx(np.trace(confusion) / 120)


def test_a_class_without_training_clips_is_never_right_but_no_error():
    x, y, subjects = clusters(120, 13)
    seen = y != 2
    for setting in SETTINGS:
        result = evaluate_probe(setting, x[seen], y[seen], subjects[seen], x, y)
        assert result.confusion[2, 2] == 0 and 0 < result.metrics["top1"] < 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"setting": "svm"}, "expected one of linear_probe, knn"),
        ({"train_y": np.zeros(40, dtype=int)}, "at least two classes"),
        ({"train_y": np.arange(40) % 3 - 1}, "have no label"),
        ({"test_y": np.full(40, -1)}, "40 test clips have no label"),
        ({"test": np.zeros((0, 12)), "test_y": []}, "no test clips"),
        (
            {"pooling": "max", "train": {"mean": np.zeros((40, 2)), "cls": np.zeros((40, 2))}},
            "expected auto or one of mean, cls",
        ),
    ],
)
def test_bad_input_is_one_sentence(change, message):
    x, y, subjects = clusters(40, 14)
    values = dict(setting="knn", train=x, train_y=y, train_subjects=subjects, test=x, test_y=y)
    with pytest.raises(ValueError, match=message):
        evaluate_probe(**{**values, **change})


def test_settings_are_chosen_by_the_clips_of_all_folds_together():
    """Two folds that want different strengths: the choice is the one with most clips right in both together."""
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(60, 30)), np.arange(60) % 3
    x[:, 0] += 1.5 * y
    fold = np.arange(60) % 5 == 0, np.arange(60) % 5 == 1
    folds = [(~mask, mask) for mask in fold]
    result = evaluate_probe("linear_probe", x, y, np.arange(60), x, y, num_classes=3, folds=folds)
    right = {}
    for strength in C_GRID:
        right[strength] = sum(
            (next(iter(softmax_scores(x[fit], y[fit], x[choose], [strength], 3))).argmax(axis=1) == y[choose]).sum()
            for fit, choose in folds
        )
    assert result.validation == pytest.approx(right[result.chosen["C"]] / 24)
    weaker = C_GRID[C_GRID.index(result.chosen["C"]) + 1 :][:1]
    stronger = C_GRID[: C_GRID.index(result.chosen["C"])]
    assert all(right[strength] < right[result.chosen["C"]] for strength in stronger)
    assert all(right[strength] <= right[result.chosen["C"]] for strength in weaker)


def test_settings_are_chosen_by_the_metric_of_the_protocol() -> None:
    """Two neighbours out of many: k = 1 finds the rare class, a larger k only the common one."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [400, 40])
    x = rng.normal(0, 1, (440, 2))
    x[labels == 1] = np.repeat(rng.normal(0, 1, (20, 2)), 2, axis=0)  # pairs of twins in a sea of others
    subjects = np.arange(440) % 2  # a twin of each pair is held out
    folds = [(subjects == 0, subjects == 1)]
    results = {
        metric: evaluate_probe("knn", x, labels, subjects, x, labels, folds=folds, metric=metric)
        for metric in ("top1", "mean_class")
    }
    assert results["mean_class"].chosen["k"] == 1
    assert results["mean_class"].metrics["mean_class"] >= results["top1"].metrics["mean_class"]
    predicted = results["mean_class"].validation
    assert 0.5 < predicted <= 1.0
