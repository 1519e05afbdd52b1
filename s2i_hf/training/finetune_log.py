"""What a fine-tuning writes down while it runs: rows of metrics.jsonl, a line now and then, and when checkpoints are due."""

from __future__ import annotations

import hashlib
import math
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from ..runs.checkpoints import METRICS, MetricsFile, clear_run, remove_later, remove_partial, write_json
from ..runs.provenance import current_commit, public_command
from ..utils.arguments import save_arguments
from .interruption import StopRequest

# Settings that do not change what is computed, so a resumed run may have others.
MAY_CHANGE = frozenset(
    {
        *("data", "data_dir", "cache_dir", "output_dir", "resume", "overwrite", "num_workers", "save_every", "device"),
        *(
            "keep_checkpoints",
            "log_every",
            "report_to",
            "progress",
            "card",
            "push_to_hub",
            "results_csv",
            "setting",
            "method",
            "test_clips",
        ),
    }
)
_SECONDS_BETWEEN_LINES = 10.0  # of progress in a log


def hash_of_ids(sample_ids: list[str]) -> str:
    """Hash of the training clips' ids, so that a run does not go on with other data."""
    return hashlib.sha256("\n".join(sorted(sample_ids)).encode()).hexdigest()


def begin_folder(
    run_dir: Path, arguments: Any, data: Mapping[str, Any], facts: Mapping[str, Any], checkpoint: Path | None, step: int
) -> None:
    """Empty the run folder for a new run, or cut it back to the checkpoint that the run goes on from. For the main process alone."""
    import accelerate
    import transformers

    metrics = MetricsFile(run_dir / METRICS)
    if checkpoint is None:
        clear_run(run_dir)
        run_dir.mkdir(parents=True, exist_ok=True)
        versions = {module.__name__: module.__version__ for module in (torch, transformers, accelerate)}
        metrics.append(
            {
                "event": "start",
                "config": asdict(arguments),
                **facts,
                "command": public_command(),
                "commit": current_commit(),
                "versions": {"python": sys.version.split()[0], **versions},
            }
        )
    else:
        remove_partial(run_dir)
        remove_later(run_dir, step)
        metrics.keep_until(step)
    save_arguments(arguments, run_dir / "run.yaml", resume="none", overwrite=False)
    write_json(run_dir / "data.json", data)


class RunCallback(TrainerCallback):
    """Tells the Trainer when to evaluate, save and stop, and writes down what it logs.

    Args:
        arguments: `FinetuneArguments`.
        schedule: Steps of the run.
        has_validation: Whether there are clips to evaluate after each epoch.
        stop: Asked after each step.
        progress: Of the checkpoint that the run goes on from: step, seconds ...
    """

    def __init__(
        self, arguments: Any, schedule: Any, has_validation: bool, stop: StopRequest, progress: Mapping[str, Any]
    ) -> None:
        self.arguments, self.schedule, self.has_validation, self.stop = arguments, schedule, has_validation, stop
        self.trainer: Any = None  # set once it exists
        self.metrics = MetricsFile(arguments.run_dir / METRICS)
        self.stopped, self.progress = False, progress
        self._began = self._row_time = time.perf_counter()
        self._row_step, self._line_time = -1, -math.inf

    @property
    def seconds(self) -> float:
        """Training time so far, over all resumptions."""
        return float(self.progress["seconds"]) + time.perf_counter() - self._began

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Time begins to count, and the loss goes on where it was."""
        self._began = self._row_time = time.perf_counter()
        self._row_step = state.global_step
        self.trainer.restore_progress(self.progress)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """After an optimizer step: the average of the weights, and what is due."""
        step, schedule, trainer = state.global_step, self.schedule, self.trainer
        if trainer.average is not None:
            trainer.average.update(trainer.accelerator.unwrap_model(trainer.model))
        last = step >= schedule.total_steps
        # here and not at the end of the epoch: a checkpoint of this step must know whether the epoch was the best
        control.should_evaluate = self.has_validation and (step % schedule.steps_per_epoch == 0 or last)
        control.should_log |= last
        self.stopped = self.stop.agreed(trainer.accelerator) and not last
        control.should_save = step % self.arguments.save_every == 0 or last or self.stopped
        control.should_training_stop |= self.stopped
        if control.should_save or control.should_log:
            trainer.extra["seconds"] = round(self.seconds, 3)
            trainer.check_losses()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        """A row of metrics.jsonl, and a line if there was none for a while."""
        if not state.is_world_process_zero or logs is None or "train_runtime" in logs:
            return
        step, now = state.global_step, time.perf_counter()
        row: dict[str, Any] = {"step": step, "epoch": round(step / self.schedule.steps_per_epoch, 4)}
        if "loss" not in logs:
            row |= {
                name.replace("eval_", "validation_"): value for name, value in logs.items() if name.startswith("eval_")
            }
            self.metrics.append(row)
            self._say(
                state, " ".join(f"{name} {value:.4f}" for name, value in row.items() if name.startswith("validation"))
            )
            return
        clips = (step - self._row_step) * self.schedule.effective_batch
        speed = round(clips / max(now - self._row_time, 1e-9), 2)
        row |= {"loss": logs["loss"], "lr": self.schedule.lr(step - 1), "clips_per_second": speed}
        self._row_step, self._row_time = step, now
        self.metrics.append(row)
        if now - self._line_time > _SECONDS_BETWEEN_LINES or step == self.schedule.total_steps:
            self._line_time = now
            self._say(state, f"loss {row['loss']:.4f}, lr {row['lr']:.3g}, {speed:.0f} clips/s")

    def _say(self, state: Any, text: str) -> None:
        total = self.schedule.total_steps
        epoch = state.global_step / self.schedule.steps_per_epoch
        print(f"step {state.global_step} of {total}, epoch {epoch:.1f}: {text}", flush=True)
