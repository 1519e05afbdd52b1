"""Metrics of classifiers, which of them a protocol goes by, and the rows of results.json that hold them.

What is reported (`metrics`: fine-tuning, probe, fusion, robustness and so the cards) is computed by the library `evaluate`, through the
metric in `skeleton_metrics`. Where `evaluate` or `datasets` is not installed, and for the many tries of a search (`quick_metrics`), the
same function is called that the metric calls, so that the numbers are the same to the last bit.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..protocols import PROTOCOLS
from ..runs.results import METRICS, result_row
from .skeleton_metrics.accuracies import accuracies

# here, and as the metric of `evaluate` calls it
NAMES = {"top1": "accuracy", "top5": "top5_accuracy", "mean_class": "mean_class_accuracy"}


def metrics(scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Metrics of (N, C) scores and (N,) labels, 0 to 1, by `evaluate` where it is installed.

    top1, top5 (all classes if there are fewer) and mean_class (recall averaged over the classes that occur).
    """
    try:  # here and not at the top: it imports a good part of transformers
        from .skeleton_metrics.skeleton_metrics import SkeletonMetrics
    except ImportError:
        return quick_metrics(scores, labels)
    with tempfile.TemporaryDirectory() as place:  # a metric wants a folder, though it keeps everything in memory
        found = SkeletonMetrics(cache_dir=place).compute(predictions=scores, references=labels)
    assert found is not None  # in the process that computes
    return {name: found[theirs] for name, theirs in NAMES.items()}


def quick_metrics(scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """`metrics` without `evaluate`."""
    found = accuracies(scores, labels)
    return {name: found[theirs] for name, theirs in NAMES.items()}


def confusion_matrix(predictions: np.ndarray, labels: np.ndarray, num_classes: int) -> np.ndarray:
    """(num_classes, num_classes) counts of (N,) predictions and (N,) labels, a row for each true class."""
    confusion = np.zeros((num_classes, num_classes), dtype=np.int64)
    np.add.at(confusion, (labels, predictions), 1)
    return confusion


def metric_of(protocol: str) -> str:
    """What settings are chosen by: "mean_class" where the protocol reports it, else "top1"."""
    return "mean_class" if protocol in PROTOCOLS and PROTOCOLS[protocol].metric != "accuracy" else "top1"


def metric_rows(found: Mapping[str, float], protocol: str, **facts: Any) -> list[dict[str, Any]]:
    """A row of results.json for each of the `metrics` of a protocol such as "nw_ucla_xview"; `facts` is the rest of a `ResultRow`."""
    dataset, _, rule = protocol.rpartition("_")
    facts |= {"dataset": dataset or protocol, "protocol": rule}
    return [result_row(metric=metric, value=found[metric], **facts) for metric in METRICS]


def shown(found: Mapping[str, float]) -> str:
    """The metrics as text, such as "top1 87.4 %, top5 99.0 %, mean_class 87.1 %"."""
    return ", ".join(f"{metric} {100 * found[metric]:.1f} %" for metric in METRICS)
