"""Measured numbers as rows: one row = one number, with the command, the commit and the hardware that made it.

A run folder keeps its rows in `results.json` (a list); `model_cards/results.csv` collects rows of many runs under the same
columns. Nothing here computes a number; every file is replaced in one step, so an interrupted write leaves the old one.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..utils.files import write_atomically
from .provenance import current_commit, hardware_name, public_command

RESULT_COLUMNS: tuple[str, ...] = (
    "dataset", "protocol", "setting", "encoder", "method", "metric", "value", "train_clips", "test_clips", "seed", "command",
    "commit", "hardware", "seconds",
)  # fmt: skip
ENCODERS = ("pretrained", "untrained", "raw_joints")
METRICS = ("top1", "top5", "mean_class")
# What a row measured. A second row with the same identity is a newer measurement of the same thing and replaces the first.
_IDENTITY = ("dataset", "protocol", "setting", "encoder", "method", "metric", "seed")


def result_row(
    *,
    dataset: str,
    protocol: str,
    setting: str,
    encoder: str,
    method: str,
    metric: str,
    value: float,
    train_clips: int,
    test_clips: int,
    seed: int,
    seconds: float,
    command: str | None = None,
    commit: str | None = None,
    hardware: str | None = None,
) -> dict[str, Any]:
    """One row of `RESULT_COLUMNS`, checked.

    Args:
        dataset, protocol: "nw_ucla" and "xview" of the protocol name "nw_ucla_xview".
        setting: "linear_probe", "knn", "fine_tune" ...
        encoder: one of `ENCODERS`; metric: one of `METRICS`.
        value: Share of test clips (or mean of class shares), 0 to 1.
        seconds: Wall time this number took.
        command, commit, hardware: Taken from this process if None.

    Raises:
        ValueError: encoder or metric is unknown, or the value is not in [0, 1].
    """
    for name, got, known in (("encoder", encoder, ENCODERS), ("metric", metric, METRICS)):
        if got not in known:
            raise ValueError(f"A result row has {name} {got!r}; expected one of {', '.join(known)}.")
    value = float(value)
    if not (math.isfinite(value) and 0.0 <= value <= 1.0):
        raise ValueError(f"A result row has value {value} for {metric}; expected a share from 0 to 1 (not per cent).")
    row = {
        "dataset": dataset, "protocol": protocol, "setting": setting, "encoder": encoder, "method": method, "metric": metric,
        "value": round(value, 6), "train_clips": int(train_clips), "test_clips": int(test_clips), "seed": int(seed),
        "command": public_command() if command is None else command,
        "commit": current_commit() if commit is None else commit,
        "hardware": hardware_name() if hardware is None else hardware,
        "seconds": round(float(seconds), 2),
    }  # fmt: skip
    return {column: row[column] for column in RESULT_COLUMNS}


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


def results_dir(kind: str, output_dir: str | None, model: str, data: str) -> Path:
    """Where the results of an evaluation go: `output_dir` if given, else the model's own folder, else runs/<kind>_<model>_<data>."""
    if output_dir:
        return Path(output_dir)
    if Path(model).is_dir():
        return Path(model)
    return Path("runs") / f"{kind}_{model.rsplit('/', 1)[-1]}_{Path(data).name}"


def append_results(
    run_dir: str | Path, rows: Iterable[Mapping[str, Any]], csv_path: str | Path | None = None
) -> list[dict]:
    """Add rows to `run_dir/results.json` and, if asked, to a CSV file; rows measured again replace their older selves.

    In the CSV, which holds many runs, only a repetition of the same command counts as the same measurement.

    Returns:
        All rows of `results.json` after the update.

    Raises:
        ValueError: an existing file has other columns, or a row lacks one.
    """
    new = [{column: row[column] for column in RESULT_COLUMNS} for row in rows]
    merged = _merge(read_results(run_dir), new, _IDENTITY)
    table = None if csv_path is None else _merge(read_results_csv(csv_path), new, (*_IDENTITY, "command"))
    Path(run_dir).mkdir(parents=True, exist_ok=True)
    write_atomically(Path(run_dir) / "results.json", json.dumps(merged, indent=1) + "\n")
    if csv_path is not None and table is not None:
        write_table(Path(csv_path), RESULT_COLUMNS, table)
    return merged


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
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
    def key(row: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(str(row[column]) for column in identity)

    merged = {key(row): row for row in old}
    for row in new:
        # keeps the place of the row it replaces, so a diff of the file shows changed values only
        merged[key(row)] = row
    return list(merged.values())
