"""Top-1, top-5 and mean-class accuracy as one metric of the `evaluate` library.

    metric = evaluate.load("path/to/skeleton_metrics")      # this folder; or user/skeleton_metrics once it is pushed
    metric.add_batch(predictions=scores, references=labels)
    metric.compute()   # {"accuracy": ..., "top5_accuracy": ..., "mean_class_accuracy": ...}

`evaluate` copies this file and those that it imports from beside it, so they know nothing of the package around them.
"""

from __future__ import annotations

from typing import Any

import datasets
import evaluate
import numpy as np

from .accuracies import accuracies

_INPUTS = """
Args:
    predictions: (N, C) scores of the classes, such as logits or log-probabilities, the highest for the class that is meant.
    references: (N,) indices of the true classes.
Returns:
    accuracy, top5_accuracy and mean_class_accuracy, shares from 0 to 1.
"""


class SkeletonMetrics(evaluate.Metric):
    """Top-1 accuracy, top-5 accuracy, and the mean over the classes that occur of the share that is right."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"config_name": "default", "keep_in_memory": True, **options})

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=str(SkeletonMetrics.__doc__),
            citation="",
            inputs_description=_INPUTS,
            features=datasets.Features(
                {"predictions": datasets.Sequence(datasets.Value("float64")), "references": datasets.Value("int64")}
            ),
        )

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        return accuracies(np.asarray(predictions, dtype=np.float64), np.asarray(references, dtype=np.int64))
