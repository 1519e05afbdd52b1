"""`s2i probe` as a user runs it: raw files in, numbers and a card out, mistakes as one sentence."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from skeleton_files import write_nw_ucla_run


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A run folder, and recordings in the files and names of NW-UCLA: two actions, three subjects, three views."""
    root = tmp_path_factory.mktemp("probe")
    write_nw_ucla_run(root, 64)
    return root, root / "runs" / "mae_nw_ucla_xview", root / "raw"


def test_numbers_and_card(folders):
    root, run, raw = folders
    words = [
        "--model",
        run,
        "--data",
        "nw_ucla_xview",
        "--data_dir",
        raw,
        "--cache_dir",
        root / "cache",
        "--device",
        "cpu",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "s2i_hf", "probe", *map(str, words)], capture_output=True, text=True, cwd=root
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads((run / "results.json").read_text())
    assert len(rows) == 18 and {(row["train_clips"], row["test_clips"]) for row in rows} == {(24, 12)}
    top1 = {
        row["encoder"]: row["value"] for row in rows if row["metric"] == "top1" and row["setting"] == "linear_probe"
    }
    assert top1["raw_joints"] == 1.0
    assert {row["command"] for row in rows} == {
        "s2i probe --model runs/mae_nw_ucla_xview --data nw_ucla_xview --data_dir raw --cache_dir cache --device cpu"
    }
    assert len(json.loads((run / "per_class.json").read_text())["nw_ucla_xview"]["class_names"]) == 10
    assert "linear probe" in (run / "README.md").read_text() and str(root) not in (run / "README.md").read_text()
    assert (run / "confusion.png").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--modle", "x"], "Did you mean '--model'"),
        (
            ["--model", "runs/nowhere/x", "--data", "nw_ucla_xview", "--data_dir", "raw"],
            "model folder 'runs/nowhere/x'",
        ),
        (["--model", "runs/mae_nw_ucla_xview", "--data", "nw_ucla_xvew"], "nw_ucla_xview"),
        (["--model", "runs/mae_nw_ucla_xview", "--data", "nw_ucla_xview", "--data_dir", "runs"], "runs"),
        (["--model", "m", "--data", "d", "--encoders", "raw"], "--encoders"),
        (
            ["--model", "runs/typo", "--data", "nw_ucla_xview", "--data_dir", "raw"],
            "model folder 'runs/typo' does not exist",
        ),
    ],
)
def test_mistakes_are_one_sentence_without_traceback(folders, in_process, words, message):
    root = folders[0]
    code, output = in_process(
        "probe", *words, *(["--cache_dir", root / "cache"] if "--data" in words else []), cwd=root
    )
    assert code == 2 and message in output.err and "Traceback" not in output.err


def test_help_lists_every_setting(in_process):
    code, output = in_process("probe", "--help", cwd=Path.cwd())
    assert code == 0
    for name in ("--model", "--data", "--data_dir", "--pooling", "--results_csv", "--seed"):
        assert name in output.out
