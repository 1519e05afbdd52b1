"""The metric of the `evaluate` library, held against scikit-learn, and without a network."""

from __future__ import annotations

import numpy as np
import pytest

from s2i_hf.evaluation.evaluate_metric import SkeletonMetrics


def test_it_agrees_with_scikit_learn_in_batches() -> None:
    from sklearn.metrics import accuracy_score, balanced_accuracy_score, top_k_accuracy_score

    generator = np.random.default_rng(0)
    scores, labels = generator.normal(size=(50, 7)).astype(np.float32), generator.integers(0, 7, 50)
    metric = SkeletonMetrics()
    for part in np.array_split(np.arange(50), 4):
        metric.add_batch(predictions=scores[part], references=labels[part])
    found = metric.compute()
    assert found == {
        "accuracy": pytest.approx(accuracy_score(labels, scores.argmax(1))),
        "mean_class_accuracy": pytest.approx(balanced_accuracy_score(labels, scores.argmax(1))),
        "top5_accuracy": pytest.approx(top_k_accuracy_score(labels, scores, k=5)),
    }
    assert SkeletonMetrics().compute(predictions=scores, references=labels) == found


def test_few_classes_are_all_among_the_top_five() -> None:
    found = SkeletonMetrics().compute(predictions=[[0.1, 0.9], [0.8, 0.2]], references=[0, 0])
    assert found == {"accuracy": 0.5, "mean_class_accuracy": 0.5, "top5_accuracy": 1.0}
