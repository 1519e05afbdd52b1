"""Batches that a small data set fills, and the rate that follows them; the schedule itself is tested beside the loop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, strategies as st

from s2i_hf.models.building import build_mae
from s2i_hf.processing.image_processing_skeleton import SkeletonProcessor
from s2i_hf.runs.run_folder import MetricsFile
from s2i_hf.training.pretrain_arguments import PretrainArguments
from s2i_hf.training.pretraining import pretrain
from s2i_hf.training.schedule import Schedule, fit_batch

COUNTS = st.integers(1, 40)


@given(clips=st.integers(1, 200), batch=COUNTS, accumulation=COUNTS, processes=st.integers(1, 8))
def test_a_step_takes_no_more_clips_than_there_are(clips: int, batch: int, accumulation: int, processes: int) -> None:
    asked = PretrainArguments(data="x", batch_size=batch, gradient_accumulation=accumulation)
    fitting, said = fit_batch(asked, clips, processes)
    before = batch * accumulation * processes
    after = fitting.batch_size * fitting.gradient_accumulation * processes
    if clips >= before or clips < processes:  # it fits, or nothing would
        assert (fitting, said) == (asked, "")
        return
    assert clips / 2 < after + processes and after <= clips and "lowered" in said and f"{clips} training clips" in said
    assert fitting.batch_size <= batch and fitting.gradient_accumulation <= accumulation
    schedule = Schedule.of(fitting, clips, processes)
    assert schedule.peak_lr == pytest.approx(asked.base_lr * after / 256)
    assert f"learning rate to {schedule.peak_lr:.3g}" in said
    assert fit_batch(fitting, clips, processes) == (fitting, "")  # so that a resumed run agrees


def _run(folder: Path, **settings: Any) -> dict[str, Any]:
    arguments = PretrainArguments(
        data="random", output_dir=str(folder), model="config:micro", size=32, card=False, save_every=1, **settings
    )
    rng = np.random.default_rng(0)
    rows = [
        {"joints": rng.normal(size=(6, 1, 20, 3)).astype(np.float32), "layout": "kinect_v1", "label": 0, "subject": 1,
         "camera": 1, "sample_id": f"clip{index}"}
        for index in range(11)
    ]  # fmt: skip
    processor = SkeletonProcessor(layout="kinect_v1", **arguments.processor_options)
    model = build_mae(arguments.model, **arguments.model_options)
    return pretrain(arguments, model, processor, {"train": rows})


def test_a_small_data_set_lowers_the_batch_writes_it_down_and_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = {"batch_size": 4, "gradient_accumulation": 16, "base_lr": 0.256, "max_steps": 2}
    summary = _run(tmp_path / "run", **asked)
    said = capsys.readouterr().out
    assert "11 training clips do not fill a step of 64: lowered --gradient_accumulation 16 to 2, and with that" in said
    assert said.count("lowered") == 1
    assert summary["effective_batch"] == 8 and summary["peak_lr"] == pytest.approx(0.008)
    settings = yaml.safe_load((tmp_path / "run" / "run.yaml").read_text())
    assert (settings["batch_size"], settings["gradient_accumulation"]) == (4, 2)
    start = MetricsFile(tmp_path / "run" / "metrics.jsonl").rows()[0]
    assert start["config"]["gradient_accumulation"] == 2
    # killed before its end: what was asked for and what was written down both go on
    for settings_again in (asked, {**asked, "gradient_accumulation": 2}):
        (tmp_path / "run" / "summary.json").unlink()
        again = _run(tmp_path / "run", **settings_again, resume="auto")
        assert again["effective_batch"] == 8 and again["steps"] == 2
