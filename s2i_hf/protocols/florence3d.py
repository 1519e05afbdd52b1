"""Florence 3D Actions: odd actors train and even ones test, or all actors but one train, as its authors suggest."""

from __future__ import annotations

import re
from typing import Any

from .protocol import Dataset, NameParser, Protocol, SampleName

NUM_ACTIONS = 9
_ACTORS = frozenset(range(1, 11))
_CLIP = re.compile(
    r"v\d{3,4}_s(?P<subject>\d{2})_a(?P<action>\d{2})|a(?P<action_first>\d{2})_s(?P<subject_next>\d{2})_e\d{2}",
    re.ASCII,
)
_ALL_CLIPS = re.compile(r"florence.*worldcoordinates", re.IGNORECASE)


def _parse(name: str) -> SampleName | None:
    """`v001_s01_a01`, a clip of the file of all clips; `a01_s01_e01`, a file of its own; else the file of all clips."""
    match = _CLIP.fullmatch(name)
    if match:
        return SampleName(int(match["action"] or match["action_first"]), int(match["subject"] or match["subject_next"]))
    return SampleName(-1) if _ALL_CLIPS.fullmatch(name) else None


NAMES: dict[str, NameParser] = {"florence3d": _parse}

_SOURCE = (
    "Seidenari et al., Recognizing Actions from Depth Cameras as Weakly Aligned Multi-Part Bag-of-Poses, CVPR-W 2013"
)

DATASETS = (
    Dataset(
        name="florence3d", title="Florence 3D Actions", reader="florence3d", layout="florence_15",
        homepage="https://www.micc.unifi.it/resources/datasets/florence-3d-actions-dataset/", licence="research use, cite (not seen)",
        citation=_SOURCE, get_it="`Florence_dataset_WorldCoordinates.txt`", fps=None,
        tree="Florence_3d_actions/Florence_dataset_WorldCoordinates.txt", size="215 clips in one file",
    ),
)  # fmt: skip


def _protocol(rule: str, test: frozenset[int]) -> Protocol:
    fields: dict[str, Any] = {"train": _ACTORS - test, "test": test, "actions": tuple(range(1, NUM_ACTIONS + 1))}
    return Protocol(
        dataset="florence3d", rule=rule, reader="florence3d", layout="florence_15", classes="florence3d_classes.txt",
        source=_SOURCE, **fields,
    )  # fmt: skip


# 215 clips in all; how many each actor did is written nowhere that was at hand.
PROTOCOLS = (
    _protocol("xsub", frozenset(range(2, 11, 2))),
    *(_protocol(f"actor{actor}", frozenset({actor})) for actor in sorted(_ACTORS)),  # that one tests
)
