"""NTU RGB+D 60 and 120: cross-subject, cross-view, cross-setup, and one-shot recognition of 20 new classes."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Literal

from .protocol import Dataset, NameParser, Protocol, SampleName, numbers
from .resources import read_list

_NAME = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R\d{3}A(\d{3})", re.ASCII)


def _parse(name: str) -> SampleName | None:
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    setup, camera, subject, action = match.groups()
    return SampleName(int(action), int(subject), int(camera), int(setup))


NAMES: dict[str, NameParser] = {"ntu_rgbd": _parse}

_NTU60 = "Shahroudy et al., NTU RGB+D, CVPR 2016"
_NTU120 = "Liu et al., NTU RGB+D 120, TPAMI 2019"
_COMMON: dict[str, Any] = {
    "reader": "ntu_rgbd",
    "layout": "kinect_v2",
    "homepage": "https://rose1.ntu.edu.sg/dataset/actionRecognition/",
    "licence": "academic research only, on request",
    "tree": "nturgb+d_skeletons/S001C001P001R001A001.skeleton",
}

DATASETS = (
    Dataset(
        name="ntu60", title="NTU RGB+D 60", citation=_NTU60,
        get_it='"3D skeletons (body joints)", nturgbd_skeletons_s001_to_s017.zip', size="56,880 files, about 15 GB of text", **_COMMON,
    ),
    Dataset(
        name="ntu120", title="NTU RGB+D 120", citation=_NTU120,
        get_it='"3D skeletons (body joints)", both archives (s001_to_s017 and s018_to_s032)',
        size="114,480 files, about 30 GB of text", **_COMMON,
    ),
)  # fmt: skip

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


def _ntu60(
    rule: str, split_by: Literal["subject", "camera"], train: frozenset[int], counts: tuple[int, int]
) -> Protocol:
    return Protocol(
        dataset="ntu60", rule=rule, reader="ntu_rgbd", layout="kinect_v2", split_by=split_by, train=train,
        actions=tuple(range(1, 61)), setups=range(1, 18), classes="ntu120_classes.txt", missing="ntu60_missing.txt",
        expected_train=counts[0], expected_test=counts[1], samples=_names, source=_NTU60,
    )  # fmt: skip


def _ntu120(
    rule: str, split_by: Literal["subject", "setup"], train: frozenset[int], counts: tuple[int, int]
) -> Protocol:
    return Protocol(
        dataset="ntu120", rule=rule, reader="ntu_rgbd", layout="kinect_v2", split_by=split_by, train=train,
        actions=tuple(range(1, 121)), setups=range(1, 33), classes="ntu120_classes.txt", missing="ntu120_missing.txt",
        expected_train=counts[0], expected_test=counts[1], samples=_names, source=_NTU120,
    )  # fmt: skip


# One-shot: 100 classes train; of each new class one sample is shown, the others test. As listed in the README of
# github.com/shahroudy/NTURGB-D, "Evaluation protocol of one-shot action recognition".
_NEW_CLASSES = frozenset(range(1, 121, 6))
_EXEMPLARS = frozenset(f"{'S001' if action <= 60 else 'S018'}C003P008R001A{action:03}" for action in _NEW_CLASSES)


def _one_shot() -> Protocol:
    return Protocol(
        dataset="ntu120", rule="oneshot", reader="ntu_rgbd", layout="kinect_v2", split_by="action",
        train=frozenset(range(1, 121)) - _NEW_CLASSES, test=_NEW_CLASSES, exemplars=_EXEMPLARS,
        actions=tuple(range(1, 121)), setups=range(1, 33), classes="ntu120_classes.txt", missing="ntu120_missing.txt",
        expected_train=95_001, expected_test=18_924, samples=_names, source=_NTU120,
    )  # fmt: skip


PROTOCOLS = (
    _ntu60("xsub", "subject", _NTU60_SUBJECTS, (40091, 16487)),
    _ntu60("xview", "camera", frozenset({2, 3}), (37646, 18932)),
    _ntu120("xsub", "subject", _NTU120_SUBJECTS, (63026, 50919)),
    _ntu120("xset", "setup", frozenset(range(2, 33, 2)), (54468, 59477)),
    _one_shot(),
)
