"""Metrics against scikit-learn."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, top_k_accuracy_score

from s2i_hf.evaluation import SkeletonMetrics, metrics as module
from s2i_hf.evaluation.metrics import metric_of, metrics


def test_metrics_agree_with_scikit_learn():
    generator = np.random.default_rng(0)
    scores, labels = generator.normal(size=(200, 9)), generator.integers(0, 9, 200)
    scores[np.arange(200), labels] += 1
    found = metrics(scores, labels)
    assert found["top1"] == pytest.approx(top_k_accuracy_score(labels, scores, k=1))
    assert found["top5"] == pytest.approx(top_k_accuracy_score(labels, scores, k=5))
    assert found["mean_class"] == pytest.approx(balanced_accuracy_score(labels, scores.argmax(axis=1)))
    assert metrics(np.eye(3), np.array([0, 1, 2])) == {"top1": 1.0, "top5": 1.0, "mean_class": 1.0}


def test_what_is_reported_goes_through_evaluate_and_is_the_same_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(2)
    scores, labels = generator.normal(size=(60, 11)), generator.integers(0, 8, 60)
    scores[:9] = -np.inf  # ties, and a class that only test clips have
    scores[:9, :3] = 0.25
    calls: list[tuple[int, ...]] = []
    compute = SkeletonMetrics.compute

    def counted(self: SkeletonMetrics, **inputs: np.ndarray) -> dict[str, float] | None:
        """As before, and counted."""
        calls.append(inputs["predictions"].shape)
        return compute(self, **inputs)

    monkeypatch.setattr(SkeletonMetrics, "compute", counted)
    found = metrics(scores, labels)
    assert calls == [(60, 11)] and found == module.quick_metrics(scores, labels)
    name = "s2i_hf.evaluation.skeleton_metrics.skeleton_metrics"
    monkeypatch.setitem(sys.modules, name, None)  # its import fails, as where `evaluate` is not installed
    assert metrics(scores, labels) == found and len(calls) == 1


def test_confusion_has_a_row_for_each_true_class():
    generator = np.random.default_rng(1)
    predictions, labels = generator.integers(0, 4, (2, 50))
    found = module.confusion_matrix(predictions, labels, 5)
    np.testing.assert_array_equal(found, confusion_matrix(labels, predictions, labels=range(5)))


def test_settings_go_by_what_the_protocol_reports():
    assert [metric_of(name) for name in ("nw_ucla_xview", "smarthome_cs", "")] == ["top1", "mean_class", "top1"]
