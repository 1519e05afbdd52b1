"""Metrics of classifiers, which of them a protocol goes by, and the rows of results.json that hold them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..protocols import PROTOCOLS
from ..runs.results import METRICS, result_row


def metrics(scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Metrics of (N, C) scores and (N,) labels, 0 to 1.

    top1, top5 (all classes if there are fewer) and mean_class (recall averaged over the classes that occur).
    """
    labels = np.asarray(labels)
    ranked = np.argsort(-scores, axis=1, kind="stable")
    right = ranked[:, 0] == labels
    return {
        "top1": float(right.mean()),
        "top5": float((ranked[:, :5] == labels[:, None]).any(axis=1).mean()),
        "mean_class": float(np.mean([right[labels == label].mean() for label in np.unique(labels)])),
    }


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
