"""The synthetic people of `s2i_hf.synthetic.people`, in files like those of NTU RGB+D."""

from __future__ import annotations

from typing import Literal

from .protocol import Dataset, Protocol

DATASETS = (
    Dataset(
        name="synthetic", title="Synthetic people", reader="ntu_rgbd", layout="kinect_v2", homepage="", licence="none needed",
        citation="s2i_hf/synthetic/people.py", get_it="`s2i synthesize --output DIR`",
        tree="S001C001P001R001A001.skeleton",
        size="as many as you ask for",
    ),
)  # fmt: skip


def _synthetic(rule: str, split_by: Literal["subject", "camera"], train: frozenset[int]) -> Protocol:
    return Protocol(
        dataset="synthetic", rule=rule, reader="ntu_rgbd", layout="kinect_v2", split_by=split_by, train=train,
        actions=tuple(range(1, 15)), classes="synthetic_classes.txt", source="s2i_hf/synthetic/people.py",
    )  # fmt: skip


PROTOCOLS = (
    _synthetic("xsub", "subject", frozenset(range(1, 1000, 2))),  # odd subjects train, even ones test
    _synthetic("xview", "camera", frozenset({2, 3})),
)
