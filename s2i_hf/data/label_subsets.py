"""Few labels: the stratified share of the training clips that a semi-supervised run may learn from.

    rows = rows.select(stratified_share(rows.labels, 0.1, seed=0))   # 10 %, every class is there

The share is of all clips, so that "10 %" is 10 % of the labels however small the classes are. Each class has one clip before any
has two; the others go to the classes in proportion to their size (the method of Sainte-Lague, as seats go to parties). For one seed
the 1 % are among the 5 %, and these among the 10 %, so that a curve over shares shows more labels and not other ones.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def stratified_share(labels: Any, share: float, seed: int) -> np.ndarray:
    """Which clips keep their label.

    Args:
        labels: (N,) class of each training clip.
        share: Of the clips, above 0 and at most 1 (0.1 for 10 %).
        seed: Draws the clips of each class.

    Returns:
        (round(share * N),) int64 indices in ascending order; all of them for a share of 1.

    Raises:
        ValueError: the share is no share, leaves a class without a clip, or there are clips without a label.
    """
    labels = np.asarray(labels, dtype=np.int64)
    if not 0 < share <= 1:
        raise ValueError(f"the share of labels is {share}; expected above 0 and at most 1, such as 0.1 for 10 %.")
    if len(labels) == 0:
        raise ValueError("there are no training clips to take a share of; check the data folder and the protocol.")
    if labels.min() < 0:
        raise ValueError(
            f"{int((labels < 0).sum())} training clips have no label (-1); a share of labels needs labelled clips."
        )
    classes, of, counts = np.unique(labels, return_inverse=True, return_counts=True)
    total = _rounded(share * len(labels))
    if total < len(classes):
        raise ValueError(
            f"{100 * share:g} % of {len(labels)} training clips are {total}, which leaves a class without a clip: there are "
            f"{len(classes)} classes; the smallest share that works is {smallest_share(labels):g}."
        )
    # a clip's place among those of its class, drawn anew for each seed
    drawn = np.random.Generator(np.random.Philox(key=seed)).permutation(len(labels))
    rank = np.empty(len(labels), dtype=np.int64)
    for label, count in enumerate(counts):
        rank[drawn[of[drawn] == label]] = np.arange(count)
    # the first of each class, then by (rank + 1/2) / size; equals as drawn
    order = np.lexsort((np.argsort(drawn), (rank + 0.5) / counts[of], rank > 0))
    return np.sort(order[:total])


def smallest_share(labels: Any) -> float:
    """The smallest share, in steps of 0.001 (0.1 %), that leaves every class a clip."""
    labels = np.asarray(labels)
    classes, shares = len(np.unique(labels)), (thousandths / 1000 for thousandths in range(1, 1000))
    return next((share for share in shares if _rounded(share * len(labels)) >= classes), 1.0)


def _rounded(number: float) -> int:
    """The nearest whole number, halves upwards; Python's `round` takes 0.5 to 0."""
    return math.floor(number + 0.5 + 1e-9)  # 0.15 * 10 is 1.4999999999999998
