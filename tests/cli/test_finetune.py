"""`s2i finetune` as a user runs it: raw files in, a classifier, numbers and a card out, mistakes as one sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from finetune_clips import curve
from skeleton_files import write_nw_ucla_run

from s2i_hf.processing.layouts import LAYOUTS
from s2i_hf.training.finetune_arguments import FinetuneArguments

SMALL = ["--epochs", 2, "--batch_size", 8, "--device", "cpu", "--cache_dir", "cache"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pretrained run, and recordings in the files and names of NW-UCLA: two actions, three subjects, three views."""
    root = tmp_path_factory.mktemp("finetune")
    write_nw_ucla_run(root, 32)
    return root


def test_a_classifier_numbers_and_a_card(root: Path, in_process: Any) -> None:
    words = ["--model", "runs/mae_nw_ucla_xview", "--data", "nw_ucla_xview", "--data_dir", "raw", *SMALL]
    code, output = in_process("finetune", *words, "--results_csv", "all.csv", cwd=root)
    assert code == 0, output.err
    run = root / "runs" / "finetune_mae_nw_ucla_xview"
    assert "bit for bit" in output.out and "Test: top1" in output.out
    rows = json.loads((run / "results.json").read_text())
    assert {(row["metric"], row["setting"], row["encoder"], row["method"]) for row in rows} == {
        (metric, "fine_tune", "pretrained", "mae") for metric in ("top1", "top5", "mean_class")
    }
    assert {(row["train_clips"], row["test_clips"]) for row in rows} == {(24, 12)}
    assert len((root / "all.csv").read_text().splitlines()) == 4
    card = (run / "README.md").read_text()
    assert "fine-tuned from `mae_nw_ucla_xview`" in card or "fine-tuned from `runs/mae_nw_ucla_xview`" in card
    assert "The encoder is frozen" not in card and str(root) not in card
    assert "AutoModelForImageClassification.from_pretrained" in card and "model-index" in card
    assert yaml.safe_load((run / "run.yaml").read_text())["layer_decay"] == 0.75
    assert json.loads((run / "config.json").read_text())["architectures"] == ["ViTForImageClassification"]


def test_the_formats_few_labels_and_windows_of_the_command_line(root: Path, in_process: Any) -> None:
    words = ["--model", "runs/mae_nw_ucla_xview", "--data", "nw_ucla_xview", "--data_dir", "raw", *SMALL, "--no-card"]
    fewer = next(name for name, layout in LAYOUTS.items() if layout.num_joints == 15)
    asked = [
        "--to_layout",
        fewer,
        "--label_share",
        0.25,
        "--test_clips",
        3,
        "--test_rotations",
        2,
        "--pooling",
        "columns",
    ]
    code, output = in_process("finetune", *words, *asked, "--output_dir", "runs/few", "--setting", "semi", cwd=root)
    assert code == 0, output.err
    rows = json.loads((root / "runs" / "few" / "results.json").read_text())
    assert {(row["train_clips"], row["setting"]) for row in rows} == {(6, "semi")}
    assert "The encoder learned from kinect_v1 skeletons" in output.out
    assert json.loads((root / "runs" / "few" / "config.json").read_text())["model_type"] == "pooled_vit"
    assert json.loads((root / "runs" / "few" / "preprocessor_config.json").read_text())["layout"] == fewer


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--modle", "x"], "Did you mean '--model'"),
        (
            ["--model", "runs/typo", "--data", "nw_ucla_xview", "--data_dir", "raw"],
            "model folder 'runs/typo' does not exist",
        ),
        (["--model", "config:huge", "--data", "nw_ucla_xview", "--data_dir", "raw"], "the sizes are"),
        (["--model", "config:micro", "--data", "nw_ucla_xview", "--best"], "add --validation subjects"),
        (["--model", "config:micro", "--data", "nw_ucla_xview", "--pooling", "men"], "Did you mean 'mean'"),
        (
            ["--model", "runs/mae_nw_ucla_xview", "--data", "nw_ucla_xview", "--data_dir", "raw", "--size", "40"],
            "is not a multiple of the patch size 16",
        ),
        (
            [
                "--model",
                "runs/mae_nw_ucla_xview",
                "--data",
                "nw_ucla_xview",
                "--data_dir",
                "raw",
                "--label_share",
                "0.01",
            ],
            "the smallest share that works",
        ),
    ],
)
def test_mistakes_are_one_sentence_without_traceback(
    root: Path, in_process: Any, words: list[str], message: str
) -> None:
    more = ["--cache_dir", "cache", "--device", "cpu", "--output_dir", "runs/wrong"] if "--data" in words else []
    code, output = in_process("finetune", *words, *more, cwd=root)
    assert code == 2 and message in output.err and "Traceback" not in output.err, output.err
    assert not (root / "runs" / "wrong" / "metrics.jsonl").exists()


def test_help_lists_every_setting(in_process: Any) -> None:
    code, output = in_process("finetune", "--help", cwd=Path.cwd())
    assert code == 0 and all(f"--{name} " in output.out for name in FinetuneArguments.__dataclass_fields__)


@pytest.mark.slow
def test_two_processes_compute_what_one_does(root: Path) -> None:
    words = ["--model", "config:micro", "--size", 32, "--data", "nw_ucla_xview", "--data_dir", "raw", "--epochs", 3, "--no-card",
             "--drop_path", 0.0, "--ema", 0.9, "--validation", "subjects", "--best", "--log_every", 1, "--cache_dir", "cache"]  # fmt: skip
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    for processes, batch in ((1, 8), (2, 4)):
        launcher = (
            [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
            if processes == 2
            else [sys.executable]
        )
        more = ["--batch_size", batch, "--output_dir", f"runs/of_{processes}"]
        done = subprocess.run(
            [*launcher, "-m", "s2i_hf", "finetune", *map(str, [*words, *more])],
            cwd=root,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
    one, two = (curve(root / "runs" / f"of_{processes}") for processes in (1, 2))
    assert len(one) == len(two) > 4
    for first, second in zip(one, two, strict=True):
        assert first == {name: pytest.approx(value, abs=1e-4) for name, value in second.items()}
    summaries = [json.loads((root / "runs" / f"of_{processes}" / "summary.json").read_text()) for processes in (1, 2)]
    assert [summary["num_processes"] for summary in summaries] == [1, 2]
    assert summaries[0]["top1"] == summaries[1]["top1"]
