"""Top-1, top-5 and mean-class accuracy in numpy: what the metric of the `evaluate` library beside this file computes."""

from __future__ import annotations

import numpy as np


def accuracies(scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Shares, 0 to 1, of (N, C) scores and (N,) labels.

    accuracy; top5_accuracy, which counts all classes where there are fewer than five; and mean_class_accuracy, the recall averaged over
    the classes that occur, as Toyota Smarthome reports it (balanced accuracy). Of equal scores the class that comes first wins.
    """
    labels = np.asarray(labels)
    ranked = np.argsort(-scores, axis=1, kind="stable")
    right = ranked[:, 0] == labels
    return {
        "accuracy": float(right.mean()),
        "top5_accuracy": float((ranked[:, :5] == labels[:, None]).any(axis=1).mean()),
        "mean_class_accuracy": float(np.mean([right[labels == label].mean() for label in np.unique(labels)])),
    }
