"""per_class.json: accuracy and confusion of the classes, added to what is there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from s2i_hf.runs.class_report import class_report, write_class_report

CONFUSION = np.array([[3, 1, 0], [0, 2, 0], [0, 0, 0]])


def test_a_class_without_clips_has_no_accuracy() -> None:
    report = class_report(CONFUSION, {"k": 5}, "few clips", validation_top1=0.5)
    assert report["accuracy"] == [0.75, 1.0, None] and report["test_clips"] == [4, 2, 0]
    assert report["chosen"] == {"k": 5} and report["note"] == "few clips" and report["validation_top1"] == 0.5


def test_reports_are_added_and_rows_stay_on_a_line(tmp_path: Path) -> None:
    report, names = class_report(CONFUSION, {}), ["a", "b", "c"]
    write_class_report(tmp_path, "set_xview", names, {"clips": 6}, {"pretrained": {"knn": report}})
    write_class_report(tmp_path, "set_xview", names, {"clips": 6}, {"pretrained": {"linear_probe": report}})
    text = (tmp_path / "per_class.json").read_text()
    assert list(json.loads(text)["set_xview"]["encoders"]["pretrained"]) == ["knn", "linear_probe"]
    assert "[ 3, 1, 0 ]" in text
    write_class_report(tmp_path, "set_xview", names[::-1], {"clips": 6}, {"untrained": {"knn": report}})
    assert list(json.loads((tmp_path / "per_class.json").read_text())["set_xview"]["encoders"]) == ["untrained"]
