"""Tables of pages that are not cards: of results.csv, and of the data sets in dataset_scripts/README.md.

python -m s2i_hf.hub.tables model_cards/results.csv
python -m s2i_hf.hub.tables datasets
"""

from __future__ import annotations

import math
import re
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..dataset_scripts import BUILDERS
from ..protocols import DATASETS, PROTOCOLS, Dataset, Protocol
from ..runs.results import ENCODERS, read_results_csv
from .markdown import markdown_table, words

_EXPERIMENT = ("dataset", "protocol", "method", "setting")


def summary_table(rows: Iterable[Mapping[str, Any]], metric: str = "top1") -> str:
    """A Markdown table of rows of results, with a line for each data set, protocol, method and setting.

    It has per cent of one of `results.METRICS`, as mean and standard deviation over seeds, of each encoder; last, how far the pretrained
    encoder is ahead of the untrained one in standard errors of the difference of their means (sqrt(s1^2 / n1 + s2^2 / n2)).
    """
    values: dict[tuple[str, ...], dict[str, list[float]]] = {}
    for row in rows:
        if row["metric"] == metric:
            experiment = tuple(str(row[column]) for column in _EXPERIMENT)
            values.setdefault(experiment, {}).setdefault(row["encoder"], []).append(float(row["value"]))
    lines = []
    for (dataset, protocol, method, setting), by_encoder in values.items():
        cells = [mean_and_spread(by_encoder.get(name, [])) for name in ENCODERS]
        seeds = max(len(found) for found in by_encoder.values())
        ahead = _standard_errors(by_encoder.get(ENCODERS[0], []), by_encoder.get(ENCODERS[1], []))
        names = [f"{dataset}_{protocol}", method, setting.replace("_", " "), str(seeds)]
        lines.append((*names, *cells, ahead))
    return markdown_table(("protocol", "method", "setting", "seeds", *map(words, ENCODERS), "ahead by"), lines)


def mean_and_spread(values: Sequence[float]) -> str:
    """Mean and standard deviation in per cent, without the latter for a single value."""
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


def dataset_table() -> str:
    """One row a data set: its builder, layout and protocols."""
    rows = [
        (data.title, f"`{BUILDERS[data.reader][0]}`", f"`{data.layout}`", _protocols_of(data))
        for data in DATASETS.values()
    ]
    return markdown_table(("data set", "builder", "layout", "protocols: train / test clips"), rows)


def _counts(protocol: Protocol) -> str:
    """Clips of each split of the complete data set: "1,020 / 464"."""
    expected = [protocol.expected(split) for split in protocol.splits]
    if None not in expected:
        return " / ".join(f"{count:,}" for count in expected)
    if protocol.expected_videos:
        return " / ".join(f"{count:,}" for count in protocol.expected_videos) + " videos"
    return "not fixed" if protocol.dataset == "synthetic" else "not published"


def _protocols_of(dataset: Dataset) -> str:
    """The protocols of a data set with their counts; a numbered family without counts in one entry: `sbu_fold1` to `sbu_fold5`."""
    found: dict[tuple[str, str], list[str]] = {}
    for protocol in PROTOCOLS.values():
        if protocol.dataset == dataset.name:
            family = re.sub(r"\d+$", "", protocol.rule), _counts(protocol)
            found.setdefault(family, []).append(f"`{protocol.name}`")
    named = {key: f"{names[0]} to {names[-1]}" if len(names) > 3 else ", ".join(names) for key, names in found.items()}
    return "<br>".join(f"{names}: {counts}" for (_, counts), names in named.items())


def dataset_sections() -> str:
    """For each data set where to get it, its terms, the folder that is expected, and its size."""
    sections = []
    for dataset in DATASETS.values():
        where = f"<{dataset.homepage}>, {dataset.get_it}" if dataset.homepage else dataset.get_it
        rate = f" Frames a second: {dataset.fps:g}." if dataset.fps else ""
        sections.append(
            f"### {dataset.title}\n\n- From: {where}\n- Folder: `{dataset.tree}`\n"
            f"- Terms: {dataset.licence}. Cite {dataset.citation}.\n- Size: {dataset.size}.{rate}"
        )
    return "\n\n".join(sections)


def main(argv: Sequence[str]) -> int:
    """Print the table of a results.csv, or those of the data sets; returns the exit status."""
    if len(argv) != 1:
        print("usage: python -m s2i_hf.hub.tables RESULTS.csv | datasets", file=sys.stderr)
        return 2
    if argv[0] == "datasets":
        print(f"{dataset_table()}\n\n{dataset_sections()}")
        return 0
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
