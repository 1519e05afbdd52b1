"""Measured numbers as rows: one row = one number, with the command, the commit and the hardware that made it.

A run folder keeps its rows in `results.json` (a list); `model_cards/results.csv` collects rows of many runs under the same
columns. Nothing here computes a number; every file is replaced in one step, so an interrupted write leaves the old one.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from ..utils.files import write_atomically, write_json
from .provenance import current_commit, hardware_name, public_command

PER_CLASS = "per_class.json"  # in a run folder: accuracy of every class and which are taken for which
ENCODERS = ("pretrained", "untrained", "raw_joints")
METRICS = ("top1", "top5", "mean_class")
# What a row measured. A second row with the same identity is a newer measurement of the same thing and replaces the first.
_IDENTITY = ("dataset", "protocol", "setting", "encoder", "method", "metric", "seed")

Row = Mapping[str, Any]
Reports = Mapping[str, Mapping[str, Mapping[str, Any]]]  # encoder -> setting -> `class_report`


@dataclass(kw_only=True)
class ResultRow:
    """A measured number; its fields are the columns of a table of results.

    Args:
        dataset, protocol: "nw_ucla" and "xview" of the protocol name "nw_ucla_xview".
        setting: "linear_probe", "knn", "fine_tune" ...
        encoder: one of `ENCODERS`; metric: one of `METRICS`.
        value: Share of test clips (or mean of class shares), 0 to 1.
        command, commit, hardware: Those of this process if not given.
        seconds: Wall time this number took.

    Raises:
        ValueError: encoder or metric is unknown, or the value is not in [0, 1].
    """

    dataset: str
    protocol: str
    setting: str
    encoder: str
    method: str
    metric: str
    value: float
    train_clips: int
    test_clips: int
    seed: int
    command: str = field(default_factory=public_command)
    commit: str = field(default_factory=current_commit)
    hardware: str = field(default_factory=hardware_name)
    seconds: float

    def __post_init__(self) -> None:
        for name, got, known in (("encoder", self.encoder, ENCODERS), ("metric", self.metric, METRICS)):
            if got not in known:
                raise ValueError(f"A result row has {name} {got!r}; expected one of {', '.join(known)}.")
        if not 0 <= self.value <= 1:
            raise ValueError(f"A result row has {self.metric} {self.value}; expected a share from 0 to 1, no per cent.")
        self.value, self.seconds = round(float(self.value), 6), round(float(self.seconds), 2)


RESULT_COLUMNS: tuple[str, ...] = tuple(column.name for column in fields(ResultRow))


def result_row(**values: Any) -> dict[str, Any]:
    """A row of `RESULT_COLUMNS`, checked: a `ResultRow` of these values as a dict."""
    return asdict(ResultRow(**values))


def read_results(run_dir: str | Path) -> list[dict[str, Any]]:
    """The rows of `run_dir/results.json`; an empty list if there is none. Raises ValueError if it is not a list of rows."""
    path = Path(run_dir) / "results.json"
    if not path.is_file():
        return []
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        rows = None
    if not isinstance(rows, list) or not all(isinstance(row, dict) and set(RESULT_COLUMNS) <= set(row) for row in rows):
        raise ValueError(f"{path} is not a list of result rows; move it away and run the probe again.")
    return rows


def append_results(run_dir: str | Path, rows: Iterable[Row], csv_path: str | Path | None = None) -> list[dict]:
    """Add rows to `run_dir/results.json`, and to a CSV file if asked; rows measured again replace their older selves.

    In the CSV, which holds many runs, only a repetition of the same command counts as the same measurement. Returns all rows of
    `results.json`. Raises ValueError if an existing file has other columns, or a row lacks one.
    """
    new = [{column: row[column] for column in RESULT_COLUMNS} for row in rows]
    merged = _merge(read_results(run_dir), new, _IDENTITY)
    table = [] if csv_path is None else _merge(read_results_csv(csv_path), new, (*_IDENTITY, "command"))
    write_json(Path(run_dir) / "results.json", merged, indent=1)  # first: a table that is locked loses nothing
    if csv_path is not None:
        write_table(Path(csv_path), RESULT_COLUMNS, table)
    return merged


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> None:
    """Write rows as CSV, whole or not at all."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, text.getvalue())


def read_table(path: Path, columns: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of a CSV file as text; an empty list if it does not exist. Raises ValueError on other columns."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if tuple(found := reader.fieldnames or ()) != tuple(columns):
            raise ValueError(f"{path} has the columns {', '.join(found)}; expected {', '.join(columns)}.")
        return [dict(row) for row in reader]


def read_results_csv(path: str | Path) -> list[dict[str, Any]]:
    """Rows of a results CSV, numbers as numbers; an empty list if the file does not exist. Raises ValueError on other columns."""
    rows = read_table(Path(path), RESULT_COLUMNS)
    for row in rows:
        row.update(value=float(row["value"]), seconds=float(row["seconds"]))
        row.update({column: int(row[column]) for column in ("train_clips", "test_clips", "seed")})
    return rows


def _merge(old: list[dict[str, Any]], new: list[dict[str, Any]], identity: Sequence[str]) -> list[dict[str, Any]]:
    # a new row takes the place of the one it replaces, so that a diff of the file shows changed values only
    return list({tuple(str(row[column]) for column in identity): row for row in [*old, *new]}.values())


# --- by class ---------------------------------------------------------------------------------------------------------


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
