"""Benchmark protocols: who trains and who tests, how many clips that should give, what the classes are called.

A protocol is plain data: `PROTOCOLS["ntu60_xsub"].split("S001C001P001R001A001")` is "train". Adding one is an entry
here, with its lists in `resources/`.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal, NamedTuple

from .resources import read_list
from .wording import did_you_mean

Split = Literal["train", "test"]
SPLITS: tuple[Split, ...] = ("train", "test")


class SampleName(NamedTuple):
    """What the name of a recording says, with the dataset's own numbers (actions from 1); -1 where it says nothing."""

    action: int
    subject: int
    camera: int
    setup: int = -1


_NAMES = {
    "ntu_rgbd": re.compile(r"S(?P<setup>\d{3})C(?P<camera>\d{3})P(?P<subject>\d{3})R\d{3}A(?P<action>\d{3})"),
    "nw_ucla": re.compile(r"a(?P<action>\d{2})_s(?P<subject>\d{2})_e\d{2}_v(?P<camera>\d{2})"),
}


def parse_name(reader: str, sample_id: str) -> SampleName | None:
    """Read the numbers in the name of a recording.

    Args:
        reader: Whose names these are: "ntu_rgbd" (S001C002P003R002A013) or "nw_ucla" (a01_s02_e03_v01).
        sample_id: File name without folder and extension.

    Returns:
        The numbers, or None if `sample_id` is not named like that.
    """
    match = _NAMES[reader].fullmatch(sample_id)
    if match is None:
        return None
    return SampleName(**{field: int(number) for field, number in match.groupdict().items()})


@dataclass(frozen=True)
class Protocol:
    """One train/test rule of one dataset.

    Args:
        dataset: Name of the dataset, first half of the protocol's name: "ntu60".
        rule: Name of the rule, second half of it: "xsub".
        reader: Module of `s2i_hf.readers` (and of `s2i_hf.dataset_scripts`) that knows the files.
        layout: Joint format of the recordings.
        split_by: The number of the sample that decides.
        train: Values of that number that train.
        test: Values that test; None: all others.
        actions: File numbers of the actions, in the order of the labels: label 0 is `actions[0]`.
        classes: Resource with the class names; the first `len(actions)` of them are meant.
        expected_train: Clips that train when the dataset is complete; None if it has no fixed size.
        expected_test: Clips that test then.
        setups: Setups (NTU) that belong to the dataset; None: any.
        missing: Resource with the samples to leave out because their skeletons are missing.
        source: Where the rule is published.
    """

    dataset: str
    rule: str
    reader: str
    layout: str
    split_by: Literal["subject", "camera", "setup"]
    train: frozenset[int]
    actions: tuple[int, ...]
    classes: str
    source: str
    test: frozenset[int] | None = None
    expected_train: int | None = None
    expected_test: int | None = None
    setups: Collection[int] | None = None
    missing: str | None = None

    @property
    def name(self) -> str:
        """Such as "ntu60_xsub"."""
        return f"{self.dataset}_{self.rule}"

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the labels."""
        return read_list(self.classes)[: len(self.actions)]

    @property
    def id2label(self) -> dict[int, str]:
        """Label -> class name, as a model config takes it."""
        return dict(enumerate(self.class_names))

    @cached_property
    def missing_samples(self) -> frozenset[str]:
        """Ids of the samples whose skeletons are missing or incomplete; they neither train nor test."""
        return frozenset(read_list(self.missing)) if self.missing else frozenset()

    @cached_property
    def _action_set(self) -> frozenset[int]:
        return frozenset(self.actions)

    def split(self, sample_id: str) -> Split | None:
        """Where a sample belongs, from its name alone.

        Returns:
            "train" or "test"; None if it is no sample of this protocol: named otherwise, an action or setup of another
            dataset, on the list of missing skeletons, or in neither part of the rule.
        """
        sample = parse_name(self.reader, sample_id)
        if sample is None or sample.action not in self._action_set or sample_id in self.missing_samples:
            return None
        if self.setups is not None and sample.setup not in self.setups:
            return None
        number: int = getattr(sample, self.split_by)
        if number in self.train:
            return "train"
        return "test" if self.test is None or number in self.test else None

    def label(self, sample_id: str) -> int:
        """0-based label of a sample, from its name.

        Raises:
            ValueError: `sample_id` is not a name of this dataset, or names an action that is not in this protocol.
        """
        sample = parse_name(self.reader, sample_id)
        if sample is None or sample.action not in self.actions:
            raise ValueError(
                f"{sample_id!r} is no sample of {self.name}; its actions are {self.actions[0]}..{self.actions[-1]}."
            )
        return self.actions.index(sample.action)

    def expected(self, split: Split) -> int | None:
        """Clips that `split` has when the dataset is complete."""
        return self.expected_train if split == "train" else self.expected_test

    def expected_ids(self, split: Split) -> list[str] | None:
        """Sorted ids of the samples that `split` has when the dataset is complete; None if it has no fixed size."""
        if self.expected(split) is None:
            return None
        names = _nw_ucla_names() if self.reader == "nw_ucla" else _ntu_names()
        return sorted(name for name in names if self.split(name) == split)


@lru_cache
def _ntu_names() -> tuple[str, ...]:
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


@lru_cache
def _nw_ucla_names() -> tuple[str, ...]:
    return tuple(
        f"{name}_v0{view}" for name, views in map(str.split, read_list("nw_ucla_samples.txt")) for view in views
    )


def _numbers(text: str) -> frozenset[int]:
    """`"1 2 5-7"` -> {1, 2, 5, 6, 7}."""
    spans = [span.partition("-") for span in text.split()]
    return frozenset(number for low, _, high in spans for number in range(int(low), int(high or low) + 1))


_NTU60 = "Shahroudy et al., NTU RGB+D, CVPR 2016"
_NTU120 = "Liu et al., NTU RGB+D 120, TPAMI 2019"
_NTU60_SUBJECTS = _numbers("1 2 4 5 8 9 13-19 25 27 28 31 34 35 38")
_NTU120_SUBJECTS = _NTU60_SUBJECTS | _numbers("45-47 49 50 52-59 70 74 78 80-86 89 91-95 97 98 100 103")


def _ntu60(
    rule: str, split_by: Literal["subject", "camera"], train: frozenset[int], counts: tuple[int, int]
) -> Protocol:
    return Protocol(
        dataset="ntu60", rule=rule, reader="ntu_rgbd", layout="kinect_v2", split_by=split_by, train=train,
        actions=tuple(range(1, 61)), setups=range(1, 18), classes="ntu120_classes.txt", missing="ntu60_missing.txt",
        expected_train=counts[0], expected_test=counts[1], source=_NTU60,
    )  # fmt: skip


def _ntu120(
    rule: str, split_by: Literal["subject", "setup"], train: frozenset[int], counts: tuple[int, int]
) -> Protocol:
    return Protocol(
        dataset="ntu120", rule=rule, reader="ntu_rgbd", layout="kinect_v2", split_by=split_by, train=train,
        actions=tuple(range(1, 121)), setups=range(1, 33), classes="ntu120_classes.txt", missing="ntu120_missing.txt",
        expected_train=counts[0], expected_test=counts[1], source=_NTU120,
    )  # fmt: skip


def _synthetic(rule: str, split_by: Literal["subject", "camera"], train: frozenset[int]) -> Protocol:
    return Protocol(
        dataset="synthetic", rule=rule, reader="ntu_rgbd", layout="kinect_v2", split_by=split_by, train=train,
        actions=tuple(range(1, 15)), classes="synthetic_classes.txt", source="s2i_hf/synthetic.py",
    )  # fmt: skip


PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            dataset="nw_ucla", rule="xview", reader="nw_ucla", layout="kinect_v1", split_by="camera",
            train=frozenset({1, 2}), test=frozenset({3}), actions=(1, 2, 3, 4, 5, 6, 8, 9, 11, 12),
            classes="nw_ucla_classes.txt", expected_train=1020, expected_test=464,
            source="Wang et al., Cross-view Action Modeling, Learning and Recognition, CVPR 2014",
        ),
        _ntu60("xsub", "subject", _NTU60_SUBJECTS, (40091, 16487)),
        _ntu60("xview", "camera", frozenset({2, 3}), (37646, 18932)),
        _ntu120("xsub", "subject", _NTU120_SUBJECTS, (63026, 50919)),
        _ntu120("xset", "setup", frozenset(range(2, 33, 2)), (54468, 59477)),
        _synthetic("xsub", "subject", frozenset(range(1, 1000, 2))),  # odd subjects train, even ones test
        _synthetic("xview", "camera", frozenset({2, 3})),
    )
}  # fmt: skip


def get_protocol(name: str) -> Protocol:
    """The protocol called `name`.

    Raises:
        ValueError: there is none; the message names the closest one.
    """
    if name in PROTOCOLS:
        return PROTOCOLS[name]
    raise ValueError(f"Unknown protocol {name!r}.{did_you_mean(str(name), PROTOCOLS)} Known: {', '.join(PROTOCOLS)}.")
