"""`RunLog`: the run folder of a training that is going on, from the first row of metrics.jsonl to the finished model and its card."""

from __future__ import annotations

import hashlib
import importlib.util
import math
import os
import platform
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import torch
from tqdm import tqdm

from ..hub.push import check_repository, publish_run
from ..models.building import check_start_name
from ..runs.checkpoints import SUMMARY, Progress, check_run_folder, checkpoint_of, clear_run, resume_point, rewind
from ..runs.provenance import current_commit, public_command, write_environment
from ..runs.run_folder import METRICS_FILE, MetricsFile, started_from
from ..utils.arguments import save_arguments
from ..utils.files import write_json
from ..utils.progress import quiet_transformers
from ..utils.text import duration
from .common_arguments import MAY_CHANGE, CommonArguments
from .interruption import RunInterrupted
from .schedule import Schedule

if TYPE_CHECKING:
    from accelerate import Accelerator, PartialState
    from transformers import PreTrainedModel

    from ..data.skeleton_rows import SkeletonRows
    from ..processing.image_processing_skeleton import SkeletonProcessor
    from .finetune_arguments import FinetuneArguments
    from .pretrain_arguments import PretrainArguments

_SECONDS_BETWEEN_LINES = 10.0  # of progress in a log that is no terminal
_SECONDS_TO_TELL = 5.0  # of steps, the first left out, after which one can say how long the rest will take


def check_tracker(tracker: str) -> None:
    """Raise ImportError if the package of a tracker is missing; before accelerate or the Trainer say so in their way."""
    if tracker != "none" and importlib.util.find_spec(tracker) is None:
        hint = "'s2i-hf[track]'" if tracker == "tensorboard" else tracker
        raise ImportError(f"--report_to {tracker} needs a package that is not installed: pip install {hint}.")


def check_start(arguments: PretrainArguments | FinetuneArguments, on_cpu: bool) -> None:
    """Precision, model, run folder and repository looked at, before any long work.

    Raises:
        ValueError: a precision that the device lacks, an unknown size of model, a run folder in use, or a repository that cannot be
            written to.
        FileNotFoundError: the folder of the model is not there.
    """
    if arguments.precision == "fp16" and on_cpu:  # accelerate would quietly compute in float32
        raise ValueError("--precision fp16 needs a GPU, and this run is on a CPU; use bf16 or no.")
    check_start_name(arguments.model)
    check_run_folder(arguments.run_dir, arguments.resume, arguments.overwrite, arguments.card)
    if arguments.push_to_hub:
        check_repository(arguments.push_to_hub)


def wants_progress(arguments: CommonArguments) -> bool:
    """Whether to draw progress bars: on a terminal, or if asked for."""
    return sys.stderr.isatty() if arguments.progress is None else arguments.progress


class RunLog:
    """What a training writes down. Every process has one; the main process writes.

    Args:
        processes: Tells processes and devices apart: an `Accelerator` or its state.
        rows: The training clips.
        notes: Sentences about which weights were loaded, and which are new.
        **facts: More for the first row and the summary.

    Attributes:
        checkpoint: What the run goes on from, None from the start; progress: where it stands.

    Raises:
        ValueError, FileNotFoundError: as of `checkpoints.resume_point`.
    """

    def __init__(
        self,
        arguments: CommonArguments,
        processes: Accelerator | PartialState,
        schedule: Schedule,
        rows: SkeletonRows,
        notes: Sequence[str] = (),
        **facts: Any,
    ) -> None:
        self.arguments, self.schedule, self.run_dir = arguments, schedule, arguments.run_dir
        self.processes, self.main, self.notes = processes, processes.is_main_process, list(notes)
        ids = hashlib.sha256("\n".join(sorted(rows.sample_ids)).encode()).hexdigest()
        started = Progress(num_processes=processes.num_processes, train_ids=ids)
        settings = asdict(arguments)
        self.checkpoint, self.progress = resume_point(self.run_dir, arguments.resume, settings, MAY_CHANGE, started)
        device = processes.device
        self.facts: dict[str, Any] = {
            "num_processes": processes.num_processes,
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
            **{"train_clips": len(rows), **facts, **asdict(schedule), "start_notes": self.notes},
            "started_from": started_from(settings),
        }
        self.metrics = MetricsFile(self.run_dir / METRICS_FILE)
        self._row_step, self._row_time, self._line_time, self._saved = 0, 0.0, -math.inf, 0.0
        self._first: tuple[int, float] | None = None  # step and time when the first step of this process was over
        self._told = False  # how long the run will take
        self.bar: tqdm[Any] = tqdm(disable=True)

    def begin(self, model: torch.nn.Module, data: Mapping[str, Any]) -> None:
        """Start a fresh folder, or rewind it to the checkpoint that the run goes on from; from now on time counts.

        Args:
            model: Its parameters are counted.
            data: `data.loading.describe` of the dataset, written as data.json.
        """
        parameters = sum(parameter.numel() for parameter in model.parameters())
        self.facts |= {"parameters": parameters, "model_type": type(model).__name__}
        self.processes.wait_for_everyone()  # everybody has read before anything is deleted
        if self.main:
            if self.checkpoint is None:
                clear_run(self.run_dir)
                self.run_dir.mkdir(parents=True, exist_ok=True)
                versions = {name: version(name) for name in ("torch", "transformers", "accelerate")}
                code = {"commit": current_commit(), "versions": {"python": platform.python_version(), **versions}}
                start = {"event": "start", "config": asdict(self.arguments), **self.facts}
                self.metrics.append({**start, "command": public_command(), **code})
            else:
                rewind(self.run_dir, self.progress.step)
            save_arguments(self.arguments, self.run_dir / "run.yaml", resume="none", overwrite=False)
            write_json(self.run_dir / "data.json", data)
        self.processes.wait_for_everyone()
        if self.checkpoint is None and self.notes:
            self.say(" ".join(self.notes))
        self.say(self._introduction())
        self._saved = self._row_time = time.perf_counter()
        self._row_step = self.progress.step
        self.bar = tqdm(
            total=self.schedule.total_steps,
            initial=self.progress.step,
            desc=self.run_dir.name,
            unit="step",
            disable=not (self.main and wants_progress(self.arguments)),
        )

    def _introduction(self) -> str:
        facts, schedule, settings = self.facts, self.schedule, self.arguments
        held = f" ({facts['validation_clips']:,} held out)" if "validation_clips" in facts else ""
        return (
            f"{f'Resuming from {self.checkpoint}' if self.checkpoint else f'Starting {self.run_dir}'}: {facts['model_type']} with "
            f"{facts['parameters'] / 1e6:.1f} M parameters on {facts['train_clips']:,} clips{held}, {schedule.total_steps:,} steps of "
            f"{schedule.effective_batch} clips (batch {settings.batch_size} x accumulation {settings.gradient_accumulation} x processes "
            f"{facts['num_processes']}), lr {schedule.peak_lr:.3g}, {facts['device']}, precision {settings.precision}."
        )

    def say(self, text: str) -> None:
        """Print a line, once for all processes; above the bar, if one is drawn."""
        if self.main and self.bar.disable:
            print(text, flush=True)
        elif self.main:
            tqdm.write(text)

    def step_over(self) -> None:
        """Move the bar on; where none is drawn, say once how long the run will take, as soon as the first steps tell."""
        step, now = self.progress.step, time.perf_counter()
        self.bar.update()
        if self._first is None:  # a step like no other: it allocates, compiles and opens files
            self._first = (step, now)
        elif not self._told and now - self._first[1] > _SECONDS_TO_TELL and not self.is_last():
            self._told = True
            if self.bar.disable:
                a_step = (now - self._first[1]) / (step - self._first[0])
                self.say(
                    f"About {self._time_left()} for the {self.schedule.total_steps - step:,} steps that are left: {a_step:.2g} s a step on "
                    "this machine."
                )

    def _time_left(self) -> str:
        """How long the rest of the steps will take, by those of this process."""
        step, (first, since) = self.progress.step, self._first or (0, 0.0)
        return duration((time.perf_counter() - since) / (step - first) * (self.schedule.total_steps - step))

    def is_last(self) -> bool:
        """Whether the run is at its end."""
        return self.progress.step >= self.schedule.total_steps

    def must_save(self) -> bool:
        """Whether a checkpoint is due after this step."""
        return self.progress.step % self.arguments.save_every == 0 or self.is_last()

    def count_time(self) -> None:
        """Add the time since the last checkpoint to the progress, which is about to be saved."""
        now = time.perf_counter()
        self.progress.seconds += now - self._saved
        self._saved = now

    def interrupted(self) -> RunInterrupted:
        """What to raise when the run was asked to stop and has saved."""
        step, again = self.progress.step, " --no-overwrite" if self.arguments.overwrite else ""
        return RunInterrupted(
            f"Stopped after step {step} of {self.schedule.total_steps}, saved in {checkpoint_of(self.run_dir, step)}; to go on, repeat "
            f"the command with --resume{again} added."
        )

    def write_row(self, **values: Any) -> dict[str, Any]:
        """A row of metrics.jsonl after this step, and a line if there was none for a while.

        `values` are the `loss` of the steps since the row before, to which rate and speed are added; or what validation found.
        """
        step, now = self.progress.step, time.perf_counter()
        row = {"step": step, "epoch": round(step / self.schedule.steps_per_epoch, 4), **values}
        text = " ".join(f"{name} {value:.4f}" for name, value in values.items())
        if "loss" in values:
            clips = (step - self._row_step) * self.schedule.effective_batch
            speed = round(clips / max(now - self._row_time, 1e-9), 2)
            row |= {"lr": self.schedule.lr(step - 1), "clips_per_second": speed}
            text += f", lr {row['lr']:.3g}, {speed:.0f} clips/s"
            self._row_step, self._row_time = step, now
        if self.main:
            self.metrics.append(row)
        if "loss" not in values or self.is_last() or now - self._line_time > _SECONDS_BETWEEN_LINES:
            self._line_time = now
            if self._told and self.bar.disable and not self.is_last():
                text += f", about {self._time_left()} left"
            self.say(f"step {step} of {self.schedule.total_steps}, epoch {row['epoch']:.1f}: {text}")
        return row

    def finish(
        self, model: PreTrainedModel, state: Mapping[str, torch.Tensor], processor: SkeletonProcessor, **found: Any
    ) -> dict[str, Any]:
        """Write model, processor and environment, and then the summary, which is returned: from there on the run is finished.

        Args:
            state: The weights of the model.
            **found: What the summary begins with.
        """
        progress, schedule = self.progress, self.schedule
        speed = progress.step * schedule.effective_batch / max(progress.seconds, 1e-9)
        summary = {
            **{**found, "steps": progress.step, "epochs": round(progress.step / schedule.steps_per_epoch, 4)},
            **{"seconds": round(progress.seconds, 3), "clips_per_second": round(speed, 2)},
            **{"precision": self.arguments.precision, **self.facts},
        }
        if self.main:
            export = self.run_dir / ".export"  # from there each file comes into the run folder in one step
            shutil.rmtree(export, ignore_errors=True)
            with quiet_transformers():
                model.save_pretrained(export, state_dict=dict(state))
                processor.save_pretrained(export)
            mode = (export / "config.json").stat().st_mode
            for path in export.iterdir():
                path.chmod(mode)  # safetensors makes files that only their owner may read
                os.replace(path, self.run_dir / path.name)
            export.rmdir()
            write_environment(self.run_dir)
            write_json(self.run_dir / SUMMARY, summary)
        return summary

    def write_card(self) -> None:
        """Write the card, if it is asked for; the processes wait for it."""
        from ..hub.model_card import write_card

        if self.main and self.arguments.card:
            write_card(self.run_dir)
        self.processes.wait_for_everyone()

    def publish(self) -> None:
        """Upload the run, if it is asked for; no process waits, as an upload may last longer than they wait for each other."""
        self.say(f"Done: {self.run_dir}")
        if self.main and self.arguments.push_to_hub:
            self.say(f"Uploaded: {publish_run(self.run_dir, self.arguments.push_to_hub)}")
