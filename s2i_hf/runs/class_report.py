"""The report by class in per_class.json: accuracy of every class and which are taken for which, in each protocol, encoder and setting."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..utils.files import write_atomically

PER_CLASS = "per_class.json"  # in a run folder
Reports = Mapping[str, Mapping[str, Mapping[str, Any]]]


def class_report(confusion: np.ndarray, chosen: Mapping[str, Any], note: str = "", **more: Any) -> dict[str, Any]:
    """What one classifier did on the test clips, as JSON types: chosen, more, note, accuracy, test_clips and confusion.

    Args:
        confusion: (C, C) counts of clips, rows are the true classes; the accuracy of a class without clips is None.
        chosen: What was chosen on validation clips, such as the epoch; `more` are further numbers about the choice.
        note: A sentence that the numbers should be read with.
    """
    support = confusion.sum(axis=1)
    shares = np.diag(confusion) / np.maximum(support, 1)
    accuracy = [round(float(share), 6) if count else None for share, count in zip(shares, support, strict=True)]
    return {
        **{"chosen": dict(chosen), **more, "note": note, "accuracy": accuracy},
        **{"test_clips": support.tolist(), "confusion": confusion.tolist()},
    }


def write_class_report(
    run_dir: Path, protocol: str, class_names: Sequence[str], data: Mapping[str, Any], reports: Reports
) -> None:
    """Add reports to per_class.json; those of other protocols, encoders and settings stay, unless the classes have changed.

    Args:
        protocol: Such as nw_ucla_xview, with these classes; `data` is `data.loading.describe` of the dataset.
        reports: Encoder -> setting -> `class_report`.
    """
    path = run_dir / PER_CLASS
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = {}
    entry = known.get(protocol, {})
    encoders = entry.get("encoders", {}) if entry.get("class_names") == list(class_names) else {}
    for encoder, by_setting in reports.items():
        encoders.setdefault(encoder, {}).update(by_setting)
    known[protocol] = {"data": dict(data), "class_names": list(class_names), "encoders": encoders}
    # a row of numbers on one line
    text = re.sub(r"\[[\s\d.,nul]*\]", lambda row: re.sub(r"\s+", " ", row[0]), json.dumps(known, indent=1))
    write_atomically(path, text + "\n")
