"""Rows of measured numbers: columns, replacement, atomic files, and commands without machine paths."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from s2i_hf.runs import results
from s2i_hf.runs.results import (
    RESULT_COLUMNS,
    append_results,
    class_report,
    read_results,
    read_results_csv,
    result_row,
    write_atomically,
    write_class_report,
)


def row(**changes):
    values = dict(
        dataset="nw_ucla", protocol="xview", setting="linear_probe", encoder="pretrained", method="mae", metric="top1", value=0.5,
        train_clips=1020, test_clips=464, seed=0, command="python examples/probe.py", commit="abc", hardware="CPU", seconds=1.25,
    )  # fmt: skip
    return result_row(**{**values, **changes})


def test_columns_are_those_of_the_table_in_the_repository():
    expected = "dataset protocol setting encoder method metric value train_clips test_clips seed command commit hardware seconds"
    assert tuple(expected.split()) == RESULT_COLUMNS
    assert tuple(row()) == RESULT_COLUMNS
    table = Path(results.__file__).parents[2] / "model_cards" / "results.csv"
    assert table.read_text(encoding="utf-8").splitlines()[0] == ",".join(RESULT_COLUMNS)
    read_results_csv(table)  # and whatever was measured since can be read


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"value": 67.0}, "share from 0 to 1"),
        ({"value": float("nan")}, "share from 0 to 1"),
        ({"metric": "top2"}, "metric 'top2'"),
        ({"encoder": "frozen"}, "encoder 'frozen'"),
    ],
)
def test_a_bad_row_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        row(**change)


def test_measured_again_replaces_and_other_rows_stay(tmp_path):
    table = tmp_path / "results.csv"
    append_results(tmp_path, [row(), row(encoder="untrained", value=0.3), row(seed=1, value=0.6)], table)
    append_results(tmp_path, [row(value=0.7, commit="def")], table)
    values = {(one["encoder"], one["seed"]): (one["value"], one["commit"]) for one in read_results(tmp_path)}
    assert values == {("pretrained", 0): (0.7, "def"), ("untrained", 0): (0.3, "abc"), ("pretrained", 1): (0.6, "abc")}
    assert read_results_csv(table) == read_results(tmp_path)
    assert isinstance(json.loads((tmp_path / "results.json").read_text()), list)
    with table.open(newline="") as file:
        assert tuple(next(csv.reader(file))) == RESULT_COLUMNS


def test_the_table_keeps_runs_apart_by_their_command(tmp_path):
    table = tmp_path / "results.csv"
    append_results(tmp_path / "a", [row(command="python examples/probe.py --model runs/a")], table)
    append_results(tmp_path / "b", [row(command="python examples/probe.py --model runs/b")], table)
    append_results(tmp_path / "a", [row(command="python examples/probe.py --model runs/a", value=0.9)], table)
    assert [(one["command"][-1], one["value"]) for one in read_results_csv(table)] == [("a", 0.9), ("b", 0.5)]


def test_without_being_asked_no_table_is_written(tmp_path):
    append_results(tmp_path, [row()])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results.json"]


def test_foreign_files_are_left_alone_and_nothing_is_half_written(tmp_path):
    table = tmp_path / "results.csv"
    table.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="expected dataset, protocol"):
        append_results(tmp_path, [row()], table)
    assert table.read_text() == "a,b\n1,2\n" and not (tmp_path / "results.json").exists()
    (tmp_path / "results.json").write_text('{"top1": 1}')
    with pytest.raises(ValueError, match="not a list of result rows"):
        append_results(tmp_path, [row()])
    assert (tmp_path / "results.json").read_text() == '{"top1": 1}'


def test_a_crash_while_writing_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "results.json"
    write_atomically(path, "old")

    def crash(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, "new")
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["results.json"]


def test_import_is_light():
    heavy = "torch transformers datasets matplotlib sklearn"
    code = f"import sys; import s2i_hf.runs.results; print([m for m in '{heavy}'.split() if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


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
