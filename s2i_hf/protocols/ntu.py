"""NTU RGB+D 60 and 120: cross-subject, cross-view, cross-setup, and one-shot recognition of 20 new classes."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache
from typing import Any

from .protocol import Dataset, NameParser, Protocol, SampleName, numbers
from .resources import read_list

_NAME = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R\d{3}A(\d{3})", re.ASCII)


def _read(match: re.Match[str]) -> SampleName:
    setup, camera, subject, action = match.groups()
    return SampleName(int(action), int(subject), int(camera), int(setup))


NAMES: dict[str, NameParser] = {"ntu_rgbd": (_NAME, _read)}

_NTU60 = Dataset(
    name="ntu60", title="NTU RGB+D 60", reader="ntu_rgbd", layout="kinect_v2", citation="Shahroudy et al., NTU RGB+D, CVPR 2016",
    homepage="https://rose1.ntu.edu.sg/dataset/actionRecognition/", licence="academic research only, on request",
    get_it='"3D skeletons (body joints)", nturgbd_skeletons_s001_to_s017.zip', size="56,880 files, about 15 GB of text",
    tree="nturgb+d_skeletons/S001C001P001R001A001.skeleton",
)  # fmt: skip
_NTU120 = replace(
    _NTU60, name="ntu120", title="NTU RGB+D 120", citation="Liu et al., NTU RGB+D 120, TPAMI 2019",
    get_it='"3D skeletons (body joints)", both archives (s001_to_s017 and s018_to_s032)', size="114,480 files, about 30 GB of text",
)  # fmt: skip
DATASETS = (_NTU60, _NTU120)

_NTU60_SUBJECTS = numbers("1 2 4 5 8 9 13-19 25 27 28 31 34 35 38")
_NTU120_SUBJECTS = _NTU60_SUBJECTS | numbers("45-47 49 50 52-59 70 74 78 80-86 89 91-95 97 98 100 103")


@lru_cache
def _names() -> tuple[str, ...]:
    """The 114,480 names of NTU RGB+D 120, from who was recorded in which setup."""
    names = []
    for line in read_list("ntu120_performers.txt"):
        setup, *performers = line.split()
        actions = range(1, 61) if int(setup[1:]) <= 17 else range(61, 121)
        names += [
            f"{setup}C{camera:03}P{int(performer):03}R{replication:03}A{action:03}"
            for performer in performers
            for camera in (1, 2, 3)
            for replication in (1, 2)
            for action in actions
        ]
    return tuple(names)


def _protocol(
    dataset: Dataset, rule: str, split_by: str, train: frozenset[int], counts: tuple[int, int], **fields: Any
) -> Protocol:
    actions, setups = (60, 17) if dataset is _NTU60 else (120, 32)
    return dataset.protocol(
        rule, range(1, actions + 1), "ntu120_classes.txt", split_by=split_by, train=train, expected_clips=counts, samples=_names,
        setups=range(1, setups + 1), missing=f"{dataset.name}_missing.txt", **fields,
    )  # fmt: skip


# One-shot: 100 classes train; of each new class one sample is shown, the others test. As listed in the README of
# github.com/shahroudy/NTURGB-D, "Evaluation protocol of one-shot action recognition".
_NEW_CLASSES = frozenset(range(1, 121, 6))
_EXEMPLARS = frozenset(f"{'S001' if action <= 60 else 'S018'}C003P008R001A{action:03}" for action in _NEW_CLASSES)

PROTOCOLS = (
    _protocol(_NTU60, "xsub", "subject", _NTU60_SUBJECTS, (40091, 16487)),
    _protocol(_NTU60, "xview", "camera", frozenset({2, 3}), (37646, 18932)),
    _protocol(_NTU120, "xsub", "subject", _NTU120_SUBJECTS, (63026, 50919)),
    _protocol(_NTU120, "xset", "setup", frozenset(range(2, 33, 2)), (54468, 59477)),
    _protocol(
        _NTU120, "oneshot", "action", frozenset(range(1, 121)) - _NEW_CLASSES, (95_001, 18_924), test=_NEW_CLASSES, exemplars=_EXEMPLARS,
    ),
)  # fmt: skip
