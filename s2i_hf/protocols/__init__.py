"""Benchmark protocols, one module a family of datasets: `PROTOCOLS`, `DATASETS`, and what the names of samples say.

Adding a dataset is a module here, with its lists in `resources/`, listed in `_FAMILIES`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..processing.suggestions import did_you_mean
from . import bandai_namco, ntu, nw_ucla, pku_mmd, sbu, single_person_sets, smarthome, synthetic
from .protocol import SPLITS, Dataset, NameParser, Protocol, SampleName, Split

__all__ = [
    "DATASETS",
    "PROTOCOLS",
    "SPLITS",
    "Dataset",
    "Protocol",
    "SampleName",
    "Split",
    "get_protocol",
    "parse_name",
]

_FAMILIES = (nw_ucla, ntu, pku_mmd, smarthome, single_person_sets, sbu, bandai_namco, synthetic)

DATASETS: dict[str, Dataset] = {dataset.name: dataset for family in _FAMILIES for dataset in family.DATASETS}
PROTOCOLS: dict[str, Protocol] = {protocol.name: protocol for family in _FAMILIES for protocol in family.PROTOCOLS}
_NAMES: Mapping[str, NameParser] = {
    reader: parser for family in _FAMILIES for reader, parser in getattr(family, "NAMES", {}).items()
}


def _read(match: re.Match[str]) -> SampleName:
    found = {name: text for name, text in match.groupdict().items() if text is not None}
    return SampleName(**{name: text if name == "video" else int(text) for name, text in found.items()})  # type: ignore[arg-type]


def parse_name(reader: str, sample_id: str) -> SampleName | None:
    """Read the numbers in the name of a sample or of a raw file; None if it is not named like that.

    Args:
        reader: Whose names these are: "ntu_rgbd" (S001C002P003R002A013), "nw_ucla" (a01_s02_e03_v01), ...
        sample_id: Id of a sample, or file name without folder and extension.
    """
    parser = _NAMES[reader]
    pattern, read = parser if isinstance(parser, tuple) else (parser, _read)
    match = pattern.fullmatch(sample_id)
    return read(match) if match else None


def get_protocol(name: str) -> Protocol:
    """The protocol called `name`. Raises ValueError if there is none; the message names the closest one."""
    if name in PROTOCOLS:
        return PROTOCOLS[name]
    hint = did_you_mean(str(name), PROTOCOLS)
    raise ValueError(f"Unknown protocol {name!r}.{hint} Known: {', '.join(short_names())}.")


def short_names() -> list[str]:
    """Names of the protocols; of three or more that differ in a last number, the first and that number: "sbu_fold1..5"."""
    families: dict[str, list[str]] = {}
    for name in PROTOCOLS:
        families.setdefault(re.sub(r"\d+$", "#", name), []).append(name)
    short: list[str] = []
    for stem, names in families.items():
        short += names if len(names) < 3 else [f"{names[0]}..{names[-1][len(stem) - 1 :]}"]
    return short
