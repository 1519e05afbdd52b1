"""`s2i demo`: what its commands are, and its last line, worked out by hand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from command_line import run

from s2i_hf.cli import demo
from s2i_hf.cli.finetune import FinetuneArguments
from s2i_hf.runs.results import append_results, result_row
from s2i_hf.utils.arguments import read_arguments

LAST_LINE = r"With \d+ labels a class: [\d.]+ ± [\d.]+ from the pretrained encoder, [\d.]+ ± [\d.]+ from new weights \(3 draws\)\."


def test_the_verdict_is_mean_and_standard_error() -> None:
    values = {"pretrained": [0.70, 0.72, 0.74], "untrained": [0.5, 0.5, 0.5]}
    line = demo.verdict(values, 2.9)  # s = 0.02, over sqrt(3): 0.01155
    assert (
        line == "With 3 labels a class: 72.0 ± 1.2 from the pretrained encoder, 50.0 ± 0.0 from new weights (3 draws)."
    )
    assert re.fullmatch(LAST_LINE, line)


class Finetuning:
    """Stands for the process of a fine-tuning: leaves the row that it would."""

    seen: ClassVar[list[FinetuneArguments]] = []
    returncode = 0

    def __init__(self, command: list[str], **options: Any) -> None:
        assert options["env"]["HF_HUB_DISABLE_PROGRESS_BARS"] == "1"
        found = read_arguments(FinetuneArguments, command[command.index("finetune") + 1 :], "s2i finetune")
        self.seen.append(found)
        value = (0.6 if found.encoder == "pretrained" else 0.4) + 0.1 * found.label_seed
        facts = {
            "dataset": "synthetic",
            "protocol": "xsub",
            "setting": "semi_10",
            "method": "demo",
            "metric": "top1",
            "seconds": 1.0,
        }
        facts |= {"train_clips": 6, "test_clips": 9, "seed": found.seed, "command": "c", "commit": "c", "hardware": "h"}
        append_results(found.run_dir, [result_row(encoder=found.encoder_name, value=value, **facts)])

    def communicate(self) -> tuple[str, None]:
        return "said", None


def test_both_arms_get_the_same_labels_and_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "demo").mkdir(parents=True)
    monkeypatch.setattr(demo.subprocess, "Popen", Finetuning)
    monkeypatch.setattr(Finetuning, "seen", [])
    line = demo.few_labels("data", np.repeat(np.arange(14), 30), 60)
    assert (
        line == "With 3 labels a class: 70.0 ± 5.8 from the pretrained encoder, 50.0 ± 5.8 from new weights (3 draws)."
    )
    assert "labels of seed 1: 70.0 % from the pretrained encoder, 50.0 % from new weights" in capsys.readouterr().out
    shared = [{**vars(found), "encoder": "", "output_dir": ""} for found in Finetuning.seen]
    assert shared[::2] == shared[1::2] and [found.label_seed for found in Finetuning.seen] == [0, 0, 1, 1, 2, 2]
    assert len({str(found.run_dir) for found in Finetuning.seen}) == 6 and {
        found.max_steps for found in Finetuning.seen
    } == {60}


def test_a_fine_tuning_that_fails_ends_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "demo").mkdir(parents=True)
    monkeypatch.setattr(demo.subprocess, "Popen", Finetuning)
    monkeypatch.setattr(Finetuning, "returncode", 2)
    with pytest.raises(SystemExit):
        demo.few_labels("data", np.repeat(np.arange(14), 30), 60)
    assert "said" in capsys.readouterr().err


def test_it_needs_files_of_a_real_data_set(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "demo", "--data", "nw_ucla_xview")
    assert code == 2 and err == "s2i demo: --data nw_ucla_xview needs its raw files: --data_dir path/to/them.\n"


def test_an_unknown_protocol_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "demo", "--data", "nope")
    assert code == 2 and "Unknown protocol 'nope'" in err and "--data path" not in err


@pytest.mark.slow
def test_all_of_it_without_bars_and_doubled_lines(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "s2i_hf", "demo", "--max-steps", "2"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and "== Done." in done.stdout and "joints filled" in done.stdout, done.stderr
    lines = (done.stdout + done.stderr).splitlines()
    assert re.fullmatch(LAST_LINE, done.stdout.splitlines()[-1])
    assert not [line for line in lines if re.search(r"it/s|examples/s|Loading weights|Generating|\d%\|", line)]
    said = [line for line in lines if line.strip()]
    assert len(said) == len(set(said)), [line for line in said if said.count(line) > 1]
    assert "s2i pretrain --config demo" in (tmp_path / "runs" / "demo" / "README.md").read_text()
