"""PKU-MMD I and II: cross-subject and cross-view, decided video by video.

The split files that come with the data (in either spelling) decide, where they are there. Without them the views and the
subjects of part II are known from the names; who was recorded in a video of part I is not, so its cross-subject protocol needs
the file.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from .protocol import Dataset, NameParser, Protocol, SampleName, numbers

NUM_ACTIONS = 51
_VIEWS = {"L": 1, "M": 2, "R": 3}
_NAME = re.compile(
    r"(?P<video>(?:\d{4}|A\d{2}N(?P<subject>\d{2}))-(?P<view>[LMR]))(?:_A(?P<action>\d{2})_\d{5,9}-\d{5,9})?", re.ASCII
)


def _read(match: re.Match[str]) -> SampleName:
    """`0002-L`, a video of part I; `A01N08-L`, one of part II; `0002-L_A05_00123-00245`, a clip: action and frames."""
    subject = match["subject"]
    action, part = int(match["action"] or -1), 2 if subject else 1
    return SampleName(action, int(subject or -1), _VIEWS[match["view"]], part, match["video"])


NAMES: dict[str, NameParser] = {"pku_mmd": (_NAME, _read)}

_PKU1 = Dataset(
    name="pku1", title="PKU-MMD I", reader="pku_mmd", layout="kinect_v2", homepage="https://struct002.github.io/PKUMMD",
    licence="research use, on request by mail (not seen)",
    citation="Liu et al., PKU-MMD: A Large Scale Benchmark for Continuous Multi-Modal Human Action Understanding, arXiv 1703.07475, 2017",
    get_it="`Skeleton.7z`, `Label_PKUMMD.7z`, `cross_subject.txt` and `cross_view.txt` of phase 1; unpack the archives",
    tree="skeleton/0002-L.txt, label/0002-L.txt and cross_subject.txt beside them",
    size="1,076 videos, 5,312,580 frames, 21,545 actions; about 6 GB of text",
)  # fmt: skip
_PKU2 = replace(
    _PKU1, name="pku2", title="PKU-MMD II",
    get_it="`Skeleton_v2.7z`, `Label_PKUMMD_v2.7z`, `cross_subject_v2.txt` and `cross_view_v2.txt` of phase 2; unpack the archives",
    tree="skeleton/A01N01-L.txt, label/A01N01-L.txt and cross_subject_v2.txt beside them",
    size="1,009 videos, about 7,000 actions; about 1.5 GB of text",
)  # fmt: skip
DATASETS = (_PKU1, _PKU2)


def _protocol(dataset: Dataset, rule: str, file: str, videos: tuple[int, int], **fields: Any) -> Protocol:
    part, ending = (1, "") if dataset is _PKU1 else (2, "_v2")
    spellings = [file + ending, file.replace("_", "-") + ending, file + ending.replace("_", "-")]
    spellings += [file.replace("_", "-") + ending.replace("_", "-")] + ([f"{file}_v1"] if part == 1 else [])
    return dataset.protocol(
        rule, range(1, NUM_ACTIONS + 1), "pku_mmd_classes.txt", setups=(part,), expected_videos=videos,
        split_files=tuple(dict.fromkeys(f"{name}.txt" for name in spellings)), **fields,
    )  # fmt: skip


_OTHERS, _LEFT = frozenset({2, 3}), frozenset({1})
# Part II has 26 sessions of 13 people in 3 views, without the middle view of five; 41 of the 51 actions occur in it.
PROTOCOLS = (
    # Counts of rows in the label files, from the literature (together the 21,545 of the authors); a few have no frames
    _protocol(_PKU1, "xsub", "cross_subject", (944, 132), split_by="sample", expected_clips=(18_841, 2_704)),
    _protocol(_PKU1, "xview", "cross_view", (717, 359), split_by="camera", train=_OTHERS, test=_LEFT),
    _protocol(_PKU2, "xsub", "cross_subject", (775, 234), train=numbers("1 4-6 8-13"), test=numbers("2 3 7")),
    _protocol(_PKU2, "xview", "cross_view", (671, 338), split_by="camera", train=_OTHERS, test=_LEFT),
)
