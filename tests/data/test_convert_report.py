from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from s2i_hf.data.convert_report import ConversionReport, shortened
from s2i_hf.data.convert_shards import Shard, described


def report_of(ids: dict[str, list[str]], broken: Sequence[str] = (), **changes: object) -> ConversionReport:
    plan: dict[str, Any] = {
        "protocol": "nw_ucla_xview", "expected": {"train": 1020, "test": None}, "videos": {}, "recordings": 3, "shards": 1, "left_out": {},
    }  # fmt: skip
    meta = described({**plan, **changes}, [Shard(ids, list(broken))])
    assert json.loads(json.dumps(meta)) == meta  # s2i.json holds all of it
    return ConversionReport(meta, 1)


def test_the_report_counts_names_and_compares() -> None:
    left_out = {"named otherwise": shortened([f"x{index}" for index in range(30)])}
    ids = {"train": ["a01_s01_e00_v01", "a02_s01_e00_v02"], "test": ["t"]}
    report = report_of(ids, ["f: bad."], recordings=4, left_out=left_out)
    assert report.lines() == [
        "nw_ucla_xview: 4 recordings read, 3 kept, 1 broken",
        "  broken: f: bad.",
        "  not read, named otherwise: 30 (x0, x1, x2, x3, x4, ...)",
        "  train: 2 clips, the protocol expects 1,020; missing: a01_s01_e00_v02, a01_s01_e01_v01, a01_s01_e01_v02, "
        "a01_s01_e02_v01, a01_s01_e02_v02, ...",
        "  test: 1 clips, the protocol expects no fixed number",
    ]
    assert report.meta["missing"]["train"]["count"] == 1018 and report.unexpected == "1 broken and 1,018 missing"


def test_a_complete_set_is_as_expected() -> None:
    report = report_of({"train": ["a", "b"], "test": ["c"]}, expected={"train": 2, "test": 1})
    assert report.unexpected == "" and report.lines()[1:] == [
        "  nothing left out",
        "  train: 2 clips, as the protocol expects",
        "  test: 1 clips, as the protocol expects",
    ]


def test_counts_without_a_list_of_names() -> None:
    ids = {"train": ["a", "b"], "test": ["c", "d"]}
    report = report_of(ids, protocol="folder", expected={"train": 5, "test": 1})
    assert "  train: 2 clips, the protocol expects 5, 3 more" in report.lines()
    assert "  test: 2 clips, the protocol expects 1, 1 fewer" in report.lines()
    assert report.unexpected == "0 broken and 3 missing and 1 surplus"


def test_clips_cut_from_videos() -> None:
    videos, ids = {"train": [1, 944], "test": [1, 132]}, {"train": ["a", "b"], "test": ["c", "d"]}
    report = report_of(ids, recordings=2, videos=videos, expected={"train": None, "test": None})
    assert report.lines()[0] == "nw_ucla_xview: 2 files with 4 clips read, 4 kept, 0 broken"
    assert report.lines()[-1] == "  test: 2 clips, the protocol expects no fixed number, from 1 of 132 videos"


def test_only_the_first_broken_ones_are_shown() -> None:
    broken = [f"f{index}: bad." for index in range(50)]
    meta = described(
        {"protocol": "folder", "expected": {"train": None}, "videos": {}, "recordings": 50, "left_out": {}},
        [Shard({}, broken, ["row 1: no."])],
    )
    report = ConversionReport(meta, 1)
    lines = report.lines()
    assert "  broken: f19: bad." in lines and "  broken: f20: bad." not in lines
    assert "  broken: and 30 more, all in s2i.json" in lines and "  no clip: row 1: no." in lines


def test_names_are_shortened() -> None:
    assert shortened(["a", "b"]) == {"count": 2, "first": ["a", "b"]} and shortened([], 7) == {"count": 7, "first": []}
    many = shortened([f"n{index}" for index in range(1000)])
    assert many["count"] == 1000 and len(many["first"]) == 20
