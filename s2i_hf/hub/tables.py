"""Tables of pages that are not cards: of results.csv, into pages beside it, and of the data sets in dataset_scripts/README.md.

python -m s2i_hf.hub.tables model_cards/results.csv
python -m s2i_hf.hub.tables datasets
"""

from __future__ import annotations

import re
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from ..dataset_scripts import BUILDERS
from ..protocols import DATASETS, PROTOCOLS, Dataset, Protocol
from .markdown import markdown_table
from .result_pages import write_pages


def mean_and_spread(values: Sequence[float]) -> str:
    """Mean and standard deviation in per cent, without the latter for a single value."""
    if not values:
        return "not measured"
    spread = f" ± {100 * statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{100 * statistics.mean(values):.1f}{spread}"


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
    """Write the pages of a results.csv, or print the tables of the data sets; returns the exit status."""
    if len(argv) != 1:
        print("usage: python -m s2i_hf.hub.tables RESULTS.csv | datasets", file=sys.stderr)
        return 2
    if argv[0] == "datasets":
        print(f"{dataset_table()}\n\n{dataset_sections()}")
        return 0
    try:
        written = write_pages(Path(argv[0]))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"Written: {', '.join(map(str, written))}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
