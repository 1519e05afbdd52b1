"""Rows of results.csv as a table: mean over seeds, and how many standard errors pretraining is ahead.

python -m s2i_hf.hub.tables model_cards/results.csv
"""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..runs.results import ENCODERS, read_results_csv

_EXPERIMENT = ("dataset", "protocol", "method", "setting")


def summary_table(rows: Iterable[Mapping[str, Any]], metric: str = "top1") -> str:
    """A Markdown table with a line for each data set, protocol, method and setting.

    Args:
        rows: Rows of `results.RESULT_COLUMNS`.
        metric: One of `results.METRICS`.

    Returns:
        Percentages, as mean and standard deviation over seeds, of each encoder; last, how far the pretrained encoder is ahead of the
        untrained one in standard errors of the difference of their means (sqrt(s1^2 / n1 + s2^2 / n2)).
    """
    values: dict[tuple[str, ...], dict[str, list[float]]] = {}
    for row in rows:
        if row["metric"] == metric:
            experiment = tuple(str(row[column]) for column in _EXPERIMENT)
            values.setdefault(experiment, {}).setdefault(row["encoder"], []).append(float(row["value"]))
    lines = [
        "| protocol | method | setting | seeds | "
        + " | ".join(name.replace("_", " ") for name in ENCODERS)
        + " | ahead by |",
        "|---" * (5 + len(ENCODERS)) + "|",
    ]
    for (dataset, protocol, method, setting), by_encoder in values.items():
        cells = [_mean_and_spread(by_encoder.get(name, [])) for name in ENCODERS]
        seeds = max(len(found) for found in by_encoder.values())
        ahead = _standard_errors(by_encoder.get(ENCODERS[0], []), by_encoder.get(ENCODERS[1], []))
        names = [f"{dataset}_{protocol}", method, setting.replace("_", " "), str(seeds)]
        lines.append(f"| {' | '.join([*names, *cells, ahead])} |")
    return "\n".join(lines)


def _mean_and_spread(values: Sequence[float]) -> str:
    if not values:
        return "not measured"
    spread = f" ± {100 * statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{100 * statistics.mean(values):.1f}{spread}"


def _standard_errors(trained: Sequence[float], untrained: Sequence[float]) -> str:
    if len(trained) < 2 or len(untrained) < 2:
        return "not measured"
    error = math.sqrt(statistics.variance(trained) / len(trained) + statistics.variance(untrained) / len(untrained))
    difference = statistics.mean(trained) - statistics.mean(untrained)
    return f"{difference / error:.1f} SE" if error else "no spread"


def main(argv: Sequence[str]) -> int:
    """Print the table of a results.csv; returns the exit status."""
    if len(argv) != 1:
        print("usage: python -m s2i_hf.hub.tables RESULTS.csv", file=sys.stderr)
        return 2
    try:
        rows = read_results_csv(argv[0])
        if not rows:
            raise ValueError(f"{argv[0]} is not there or has no rows; expected a results.csv that a probe has written.")
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    print(summary_table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
