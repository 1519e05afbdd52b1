"""Accuracy, mean-class accuracy and top-5 accuracy as one metric of the `evaluate` library, without the Hub.

`evaluate.load("accuracy")` downloads a script; this class is imported instead, and computes what the probe computes.

    metric = SkeletonMetrics()
    metric.add_batch(predictions=scores, references=labels)
    metric.compute()   # {"accuracy": ..., "mean_class_accuracy": ..., "top5_accuracy": ...}
"""

from __future__ import annotations

from typing import Any

import datasets
import evaluate
import numpy as np

from .metrics import metrics

NAMES = {"top1": "accuracy", "mean_class": "mean_class_accuracy", "top5": "top5_accuracy"}


class SkeletonMetrics(evaluate.Metric):
    """Metric over (B, C) scores as `predictions` and (B,) labels as `references`; each value is a share, 0 to 1.

    `mean_class_accuracy` is the mean over the classes that occur of the share that is right (Toyota Smarthome reports it), and
    `top5_accuracy` counts all classes where there are fewer than five.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"config_name": "skeletons", "keep_in_memory": True, **options})

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=str(SkeletonMetrics.__doc__),
            citation="",
            features=datasets.Features(
                {"predictions": datasets.Sequence(datasets.Value("float32")), "references": datasets.Value("int64")}
            ),
        )

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        found = metrics(np.asarray(predictions, dtype=np.float32), np.asarray(references, dtype=np.int64))
        return {NAMES[name]: value for name, value in found.items()}
