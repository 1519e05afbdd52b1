"""NW-UCLA Multiview Action 3D: two views train, the third one tests."""

from __future__ import annotations

import re

from .protocol import Dataset, Protocol
from .resources import read_list

NAMES = {"nw_ucla": re.compile(r"a(?P<action>\d{2})_s(?P<subject>\d{2})_e\d{2}_v(?P<camera>\d{2})")}

ACTIONS = (1, 2, 3, 4, 5, 6, 8, 9, 11, 12)
_VIEWS = frozenset({1, 2, 3})

_NW_UCLA = Dataset(
    name="nw_ucla", title="NW-UCLA Multiview Action 3D", reader="nw_ucla", layout="kinect_v1",
    homepage="https://wangjiangb.github.io/my_data.html", licence="research use, cite (not seen)",
    citation="Wang et al., Cross-view Action Modeling, Learning and Recognition, CVPR 2014",
    get_it="the JSON files (`all_sqe`) that CTR-GCN links to", tree="all_sqe/a01_s01_e00_v01.json", size="1,484 files, 39 MB",
)  # fmt: skip
DATASETS = (_NW_UCLA,)


def _names() -> tuple[str, ...]:
    rows = map(str.split, read_list("nw_ucla_samples.txt"))
    return tuple(f"{name}_v0{view}" for name, views in rows for view in views)


def _leave_out(view: int, rule: str, counts: tuple[int, int]) -> Protocol:
    test = frozenset({view})
    return _NW_UCLA.protocol(
        rule, ACTIONS, split_by="camera", train=_VIEWS - test, test=test, expected_clips=counts, samples=_names
    )


PROTOCOLS = (
    _leave_out(3, "xview", (1020, 464)),  # the standard one
    _leave_out(1, "xview1", (968, 516)),
    _leave_out(2, "xview2", (980, 504)),
)
