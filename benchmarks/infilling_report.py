"""What benchmarks/infilling.py found, as a table, as JSON values and as text: means over seeds beside the baselines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from s2i_hf.runs.provenance import current_commit, public_command
from s2i_hf.utils.files import write_atomically

LINEAR, MEAN_POSE = "linear interpolation", "mean pose"


@dataclass
class Row:
    """The errors of a method with some settings on a task; seeds of a method are rows of their own.

    Args:
        model: Name of the run folder; "" for a baseline.
        settings: meet, and of a DiffMAE steps and samples.
        trained_on_them: Whether the model learned from clips of these subjects: "yes", "no", "unknown", or "" on the test split.
        errors: (N,) error of each clip, NaN where no truth is known.
    """

    task: str
    method: str
    model: str
    settings: dict[str, Any]
    trained_on_them: str
    seconds: float
    errors: np.ndarray

    def summary(self, unit: str) -> dict[str, Any]:
        """JSON values: what the row says, and mean, median and standard error over clips."""
        known = self.errors[~np.isnan(self.errors)]
        facts = {name: value for name, value in asdict(self).items() if name != "errors"}
        return facts | {
            "clips": len(known),
            "mean": round(float(known.mean()), 3),
            "median": round(float(np.median(known)), 3),
            "standard_error": round(float(known.std(ddof=1) / len(known) ** 0.5), 3) if len(known) > 1 else None,
            "unit": unit,
        }


def show(settings: Mapping[str, Any]) -> str:
    """Settings as words of a table."""
    words = []
    if "steps" in settings:
        words.append(f"{settings['steps']} step{'s' if settings['steps'] > 1 else ''}")
        words += [f"mean of {settings['samples']} samples"] if settings["samples"] > 1 else []
    if "meet" in settings:
        words.append("paths meet" if settings["meet"] else "as decoded")
    return ", ".join(words)


def by_settings(rows: Sequence[Row]) -> dict[tuple[str, str, str], list[Row]]:
    """Rows of the models of a method, by task, method and settings."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.task, row.method, json.dumps(row.settings, sort_keys=True)), []).append(row)
    return groups


def choose(rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """The settings of each method with the lowest mean error, over tasks and models alike."""
    totals: dict[str, dict[str, list[float]]] = {}
    for (_, method, settings), group in by_settings(rows).items():
        if group[0].settings:
            error = float(np.mean([np.nanmean(row.errors) for row in group]))
            totals.setdefault(method, {}).setdefault(settings, []).append(error)
    return {
        method: json.loads(min(found, key=lambda settings: float(np.mean(found[settings]))))
        for method, found in totals.items()
    }


def table(rows: Sequence[Row], unit: str) -> str:
    """Markdown: a line for each task, method and setting, models of a method taken together."""
    header = (
        "task",
        "method",
        "settings",
        "models",
        f"mean, {unit}",
        f"median, {unit}",
        "against interpolation",
        "clips",
    )
    lines = [header, ("---",) * len(header)]
    linear = {row.task: row.errors for row in rows if row.method == LINEAR}
    for (task, method, _), group in sorted(by_settings(rows).items(), key=lambda item: list(linear).index(item[0][0])):
        means = [float(np.nanmean(row.errors)) for row in group]
        spread = f" ± {np.std(means, ddof=1):.1f}" if len(means) > 1 else ""
        away = np.mean([row.errors for row in group], axis=0) - linear[task]
        away = away[~np.isnan(away)]
        error = f" ± {away.std(ddof=1) / len(away) ** 0.5:.1f}" if len(away) > 1 else ""
        median = float(np.mean([np.nanmedian(row.errors) for row in group]))
        against = "" if method == LINEAR else f"{round(float(away.mean()), 1) + 0.0:+.1f}{error}"
        models = str(len(group)) if group[0].model else ""
        cells = (
            task,
            method,
            show(group[0].settings),
            models,
            f"{np.mean(means):.1f}{spread}",
            f"{median:.1f}",
            against,
        )
        lines.append((*cells, str(len(away))))
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def report(rows: Sequence[Row], unit: str, data: str, split: str, chosen: bool, pictures: Sequence[str] = ()) -> str:
    """The text of infilling.md."""
    trained = sorted({row.model for row in rows if row.trained_on_them in ("yes", "unknown")})
    where = "test clips" if split == "test" else "clips of held-out training subjects"
    parts = [
        f"# Filling in lost motion: {data}, {where}",
        table(rows, unit),
        "The error of a clip is the mean distance of its lost joints from where they were. Mean ± standard deviation over models (seeds) "
        "of a method; *against interpolation*: mean difference of a clip to linear interpolation ± its standard error over clips, negative "
        "if the method is nearer to the truth. An arm that is lost in every frame leaves nothing to interpolate between, so there the "
        "interpolation is the mean pose of the training clips.",
    ]
    if split == "validation":
        best = "; ".join(f"{method}: {show(settings)}" for method, settings in choose(rows).items())
        parts.append(f"Lowest mean error over both tasks: {best or 'no model was given'}.")
        if trained:
            parts.append(
                f"Trained on these subjects, or it is not known that they were not: {', '.join(trained)}. Their errors are too low "
                "here; use them to compare settings alone."
            )
    elif chosen:
        parts.append("Settings were chosen on clips of training subjects; test clips chose nothing.")
    parts += [f"![{name}]({name})" for name in pictures]
    commit = current_commit()
    parts.append(f"`{public_command()}`" + (f" at commit {commit}" if commit else ""))
    return "\n\n".join(parts) + "\n"


def ordinary_clip(errors: Sequence[np.ndarray]) -> int:
    """The clip whose error, mean over methods, is the median one: a picture of it flatters nobody."""
    means = np.nan_to_num(np.mean(errors, axis=0), nan=np.inf)
    return int(np.argsort(means, kind="stable")[int(np.isfinite(means).sum() - 1) // 2])


def write(
    folder: Path, rows: Sequence[Row], unit: str, data: str, split: str, chosen: bool, pictures: Sequence[str]
) -> None:
    """Write infilling.json and infilling.md into `folder`."""
    content = {
        "data": data,
        "split": split,
        "chosen": choose(rows),
        "rows": [row.summary(unit) for row in rows],
        "command": public_command(),
        "commit": current_commit(),
    }
    write_atomically(folder / "infilling.json", json.dumps(content, indent=1) + "\n")
    write_atomically(folder / "infilling.md", report(rows, unit, data, split, chosen, pictures))
