"""What a fine-tuned model was found to be worth, as files: rows of results.json, per_class.json and confusion.png."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..evaluation.metrics import metrics
from ..runs.provenance import current_commit, public_command
from ..runs.results import METRICS, append_results, result_row
from ..utils.files import write_atomically
from .finetune_arguments import FinetuneArguments


def write_report(
    arguments: FinetuneArguments,
    class_names: Sequence[str],
    data: Mapping[str, Any],
    scores: np.ndarray,
    labels: np.ndarray,
    train_clips: int,
    protocol: str,
    seconds: float,
    chosen: Mapping[str, Any],
    hardware: str,
) -> list[dict[str, Any]]:
    """Write the test result of a run into its folder.

    Args:
        arguments: Settings of the run.
        class_names: (C) names.
        data: `data.describe` of the dataset.
        scores: (N, C) log-probabilities of the test clips; labels: (N,).
        train_clips: Clips learned from.
        protocol: Its name; that of the data folder if empty.
        seconds: Training time.
        chosen: What was chosen on validation clips, such as the epoch.
        hardware: What computed.

    Returns:
        The rows added to results.json.
    """
    protocol = protocol or Path(arguments.data).name
    found = metrics(scores, labels)
    rows = [
        result_row(
            dataset=protocol.rpartition("_")[0] or protocol, protocol=protocol.rpartition("_")[2], setting=arguments.setting,
            encoder=arguments.encoder_name, method=arguments.method_name, metric=metric, value=found[metric],
            train_clips=train_clips, test_clips=len(labels), seed=arguments.seed, seconds=seconds,
            command=public_command(), commit=current_commit(), hardware=hardware,
        )
        for metric in METRICS
    ]  # fmt: skip
    append_results(arguments.run_dir, rows, arguments.results_csv)
    confusion = np.zeros((len(class_names), len(class_names)), dtype=np.int64)
    np.add.at(confusion, (labels, scores.argmax(axis=1)), 1)
    support = confusion.sum(axis=1)
    accuracy = np.diag(confusion) / np.maximum(support, 1)
    values = {
        "chosen": dict(chosen),
        "note": "",
        "accuracy": [round(float(value), 6) if count else None for value, count in zip(accuracy, support, strict=True)],
        "test_clips": support.tolist(),
        "confusion": confusion.tolist(),
    }
    entry = {
        "data": dict(data),
        "class_names": list(class_names),
        "encoders": {arguments.encoder_name: {arguments.setting: values}},
    }
    text = re.sub(  # a row of numbers on one line
        r"\[[\s\d.,nul]*\]", lambda match: re.sub(r"\s+", " ", match[0]), json.dumps({protocol: entry}, indent=1)
    )
    write_atomically(arguments.run_dir / "per_class.json", text + "\n")
    if arguments.card:
        _picture(arguments, confusion, class_names, f"{protocol}, fine-tuned: top-1 {100 * found['top1']:.1f} %")
    return rows


def _picture(arguments: FinetuneArguments, confusion: np.ndarray, class_names: Sequence[str], title: str) -> None:
    from ..visualization.figures import MissingExtra, confusion_picture

    try:
        confusion_picture(confusion, class_names, arguments.run_dir / "confusion.png", title)
    except MissingExtra as missing:
        print(f"No confusion.png: {missing}")
