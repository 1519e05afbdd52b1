from __future__ import annotations

import json

from s2i_hf.data.convert_plans import Names, Plan
from s2i_hf.data.convert_report import ConversionReport


def a_plan(**changes: object) -> Plan:
    values: dict[str, object] = {
        "name": "nw_ucla_xview", "dataset": "nw_ucla", "source": "a paper", "layout": "kinect_v1", "class_names": ["a"],
        "splits": ["train", "test"], "expected": {"train": 1020, "test": None}, "split_lists": {}, "videos": {}, "denoise": True,
        "content": "c", "code": "d", "files": 3, "pieces": 1, "left_out": {},
    }  # fmt: skip
    return Plan(**{**values, **changes})  # type: ignore[arg-type]


def test_the_report_counts_names_and_compares() -> None:
    left_out = {"named otherwise": Names.of([f"x{index}" for index in range(30)])}
    plan = a_plan(files=4, left_out=left_out)
    report = ConversionReport.of(plan, {"train": ["a01_s01_e00_v01", "a02_s01_e00_v02"], "test": ["t"]}, ["f: bad."])
    assert report.lines() == [
        "nw_ucla_xview: 4 recordings read, 3 kept, 1 broken",
        "  broken: f: bad.",
        "  not read, named otherwise: 30 (x0, x1, x2, x3, x4, ...)",
        "  train: 2 clips, the protocol expects 1,020; missing: a01_s01_e00_v02, a01_s01_e01_v01, a01_s01_e01_v02, "
        "a01_s01_e02_v01, a01_s01_e02_v02, ...",
        "  test: 1 clips, the protocol expects no fixed number",
    ]
    assert report.missing["train"].count == 1018 and report.unexpected == "1 broken and 1,018 missing"
    again = ConversionReport.from_meta(
        json.loads(json.dumps({"protocol": report.name, "counts": report.kept, **report.to_meta()}))
    )
    assert again.lines() == report.lines() and again.unexpected == report.unexpected


def test_a_complete_set_is_as_expected() -> None:
    plan = a_plan(expected={"train": 2, "test": 1})
    report = ConversionReport.of(plan, {"train": ["a", "b"], "test": ["c"]}, [])
    assert report.unexpected == "" and report.lines()[1:] == [
        "  nothing left out",
        "  train: 2 clips, as the protocol expects",
        "  test: 1 clips, as the protocol expects",
    ]


def test_counts_without_a_list_of_names() -> None:
    plan = a_plan(name="folder", expected={"train": 5, "test": 1})
    report = ConversionReport.of(plan, {"train": ["a", "b"], "test": ["c", "d"]}, [])
    assert "  train: 2 clips, the protocol expects 5, 3 more" in report.lines()
    assert "  test: 2 clips, the protocol expects 1, 1 fewer" in report.lines()
    assert report.unexpected == "0 broken and 3 missing and 1 surplus"


def test_clips_cut_from_videos() -> None:
    plan = a_plan(files=2, videos={"train": [1, 944], "test": [1, 132]}, expected={"train": None, "test": None})
    report = ConversionReport.of(plan, {"train": ["a", "b"], "test": ["c", "d"]}, [])
    assert report.lines()[0] == "nw_ucla_xview: 2 files with 4 clips read, 4 kept, 0 broken"
    assert report.lines()[-1] == "  test: 2 clips, the protocol expects no fixed number, from 1 of 132 videos"


def test_only_the_first_broken_ones_are_shown() -> None:
    report = ConversionReport(
        "x", 50, {"train": 0}, {"train": None}, [f"f{index}: bad." for index in range(50)], ["row 1: no."]
    )
    lines = report.lines()
    assert "  broken: f19: bad." in lines and "  broken: f20: bad." not in lines
    assert "  broken: and 30 more, all in s2i.json" in lines and "  no clip: row 1: no." in lines
