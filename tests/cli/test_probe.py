"""`s2i probe` as a user runs it: raw files in, numbers and a card out, mistakes as one sentence."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import command_line
import numpy as np
import pytest

from s2i_hf.models.building import build_mae
from s2i_hf.processing.image_processing_skeleton import SkeletonProcessor


@pytest.fixture
def in_process(monkeypatch, capsys):
    """`s2i probe` in this process, which has imported everything already."""

    def run(*words, cwd):
        monkeypatch.chdir(cwd)
        code, out, err = command_line.run(capsys, "probe", *words)
        return code, SimpleNamespace(out=out, err=err)

    return run


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A run folder, and recordings in the files and names of NW-UCLA: two actions, three subjects, three views."""
    root = tmp_path_factory.mktemp("probe")
    run = root / "runs" / "mae_nw_ucla_xview"
    build_mae("config:micro", image_size=64).save_pretrained(run)
    SkeletonProcessor(layout="kinect_v1", size=64).save_pretrained(run)
    raw = root / "raw" / "all_sqe"
    raw.mkdir(parents=True)
    generator = np.random.default_rng(0)
    body = generator.normal(scale=0.4, size=(20, 3)) + np.array([0, 0, 3])
    for action in (1, 2):
        for subject in (1, 2, 3):
            for example in (0, 1):
                for view in (1, 2, 3):
                    name = f"a{action:02}_s{subject:02}_e{example:02}_v{view:02}"
                    path = np.linspace(0, 1, 12)[:, None, None] * ([1, 0, 0] if action == 1 else [0, 1, 0])
                    joints = body + path + 0.02 * generator.normal(size=(12, 20, 3))
                    content = {"file_name": name, "label": action, "skeletons": joints.tolist()}
                    (raw / f"{name}.json").write_text(json.dumps(content))
    return root, run, root / "raw"


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
    code, output = in_process(*words, *(["--cache_dir", root / "cache"] if "--data" in words else []), cwd=root)
    assert code == 2 and message in output.err and "Traceback" not in output.err


def test_help_lists_every_setting(in_process):
    code, output = in_process("--help", cwd=Path.cwd())
    assert code == 0
    for name in ("--model", "--data", "--data_dir", "--pooling", "--results_csv", "--seed"):
        assert name in output.out
