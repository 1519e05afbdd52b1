"""What a training says while it runs: how long it will take, once, and what it measures, each once."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import finetune_clips
import pytest

from s2i_hf.data.skeleton_rows import as_rows
from s2i_hf.training import run_log
from s2i_hf.training.pretrain_arguments import PretrainArguments
from s2i_hf.training.run_log import RunLog
from s2i_hf.training.schedule import Schedule


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that the log sees, to be set by the test."""
    now = [1000.0]
    monkeypatch.setattr(run_log.time, "perf_counter", lambda: now[0])
    return now


def _log(folder: Path, **settings: Any) -> RunLog:
    arguments = PretrainArguments(data="x", output_dir=str(folder), batch_size=4, **settings)
    processes: Any = SimpleNamespace(
        is_main_process=True, num_processes=1, device=SimpleNamespace(type="cpu"), wait_for_everyone=lambda: None
    )
    log = RunLog(arguments, processes, Schedule(10, 1000, 0, 4, 0.1), as_rows(finetune_clips.clips(40)))
    log.metrics.path.parent.mkdir(parents=True, exist_ok=True)
    return log


def _steps(log: RunLog, clock: list[float], seconds: list[float]) -> None:
    for a_step in seconds:
        clock[0] += a_step
        log.progress.step += 1
        log.step_over()


def test_a_log_says_once_how_long_the_rest_takes(
    tmp_path: Path, clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    log = _log(tmp_path / "run")
    _steps(log, clock, [60.0, 2.0, 2.0])  # the first step is like no other, and four seconds are few
    assert capsys.readouterr().out == ""
    _steps(log, clock, [2.0])
    said = capsys.readouterr().out
    assert said == "About 33 min for the 996 steps that are left: 2 s a step on this machine.\n"  # 996 x 2 s
    _steps(log, clock, [2.0] * 6)
    assert capsys.readouterr().out == ""
    log.write_row(loss=1.0)
    assert re.search(r"step 10 of 1000, .*, about 33 min left\n", capsys.readouterr().out)


def test_a_bar_says_it_itself(tmp_path: Path, clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    log = _log(tmp_path / "run", progress=True)
    log.bar = run_log.tqdm(total=1000, disable=False)
    _steps(log, clock, [60.0, 2.0, 20.0])
    log.write_row(loss=1.0)
    out, err = capsys.readouterr()
    assert "left" not in out and out.count("step 3 of 1000") == 1 and "3/1000" in err
    log.bar.close()


def test_a_fine_tuning_draws_one_bar_and_says_a_loss_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finetune_clips.run(tmp_path / "run", max_steps=4, log_every=1, progress=True)
    out, err = capsys.readouterr()
    assert "{'" not in out + err and out.count("step 4 of 4") == 1
    assert "4/4" in err and err.count("4/4") == len(re.findall(r"run: 100%[^\r\n]*4/4", err))


def test_few_clips_are_said_to_come_several_times_a_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finetune_clips.run(tmp_path / "run", finetune_clips.data(train=5), max_steps=1)
    assert "5 clips do not fill a step of 8, so each comes several times a step" in capsys.readouterr().out
    finetune_clips.run(tmp_path / "enough", finetune_clips.data(train=8), max_steps=1)
    assert "several times" not in capsys.readouterr().out
