"""The tables of dataset_scripts/README.md, from the facts in `protocols/`: `python -m s2i_hf.hub.dataset_table`."""

from __future__ import annotations

import re

from ..dataset_scripts import BUILDERS
from ..protocols import DATASETS, PROTOCOLS, Dataset, Protocol


def counts(protocol: Protocol) -> str:
    """Clips of each split of the complete data set: "1,020 / 464"."""
    expected = [protocol.expected(split) for split in protocol.splits]
    if None not in expected:
        return " / ".join(f"{count:,}" for count in expected)
    if protocol.expected_videos:
        return " / ".join(f"{count:,}" for count in protocol.expected_videos) + " videos"
    return "not fixed" if protocol.dataset == "synthetic" else "not published"


def protocols_of(dataset: Dataset) -> str:
    """The protocols of a data set with their counts; a numbered family without counts in one entry: `sbu_fold1` to `sbu_fold5`."""
    entries: list[str] = []
    family: dict[str, list[Protocol]] = {}
    for protocol in PROTOCOLS.values():
        if protocol.dataset == dataset.name:
            family.setdefault(re.sub(r"\d+$", "", protocol.rule) + counts(protocol), []).append(protocol)
    for members in family.values():
        names = [f"`{protocol.name}`" for protocol in members]
        named = ", ".join(names) if len(names) < 4 else f"{names[0]} to {names[-1]}"
        entries.append(f"{named}: {counts(members[0])}")
    return "<br>".join(entries)


def dataset_table() -> str:
    """One row a data set: its builder, layout and protocols."""
    rows = ["| data set | builder | layout | protocols: train / test clips |", "|---|---|---|---|"]
    for dataset in DATASETS.values():
        script, _ = BUILDERS[dataset.reader]
        rows.append(f"| {dataset.title} | `{script}` | `{dataset.layout}` | {protocols_of(dataset)} |")
    return "\n".join(rows)


def dataset_sections() -> str:
    """For each data set where to get it, its terms, the folder that is expected, and its size."""
    sections = []
    for dataset in DATASETS.values():
        where = f"<{dataset.homepage}>, {dataset.get_it}" if dataset.homepage else dataset.get_it
        rate = f" Frames a second: {dataset.fps:g}." if dataset.fps else ""
        sections.append(
            f"### {dataset.title}\n\n"
            f"- From: {where}\n"
            f"- Folder: `{dataset.tree}`\n"
            f"- Terms: {dataset.licence}. Cite {dataset.citation}.\n"
            f"- Size: {dataset.size}.{rate}"
        )
    return "\n\n".join(sections)


if __name__ == "__main__":
    print(f"{dataset_table()}\n\n{dataset_sections()}")
