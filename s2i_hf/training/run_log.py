"""What a pretraining run writes down: its start or resumption, a row every few steps, checkpoints, and the end.

The loop in `pretraining.py` computes; `RunRecord` reads its losses now and then, knows when a row or a checkpoint is due, and
turns the last step into a run folder.
"""

from __future__ import annotations

import hashlib
import math
import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..hub.push import publish_run
from ..runs.checkpoints import (
    METRICS,
    SUMMARY,
    MetricsFile,
    Progress,
    check_same_settings,
    choose_checkpoint,
    clear_run,
    load_checkpoint,
    remove_later,
    remove_partial,
    save_checkpoint,
    write_json,
)
from ..runs.provenance import current_commit, public_command
from ..utils.arguments import save_arguments
from .batches import Schedule
from .interruption import RunInterrupted

if TYPE_CHECKING:
    from accelerate import Accelerator

    from .pretraining import PretrainArguments

# Settings that do not change what is computed, so a resumed run may have others.
MAY_CHANGE = frozenset(
    {
        *("data", "data_dir", "cache_dir", "output_dir", "resume", "overwrite", "num_workers", "save_every"),
        *("keep_checkpoints", "log_every", "report_to", "progress", "log_sample_ids", "card", "push_to_hub"),
    }
)
_SECONDS_BETWEEN_LINES = 10.0  # of progress in a log that is no terminal


class RunRecord:
    """The run folder of a run that is going on.

    Args:
        arguments: Settings.
        accelerator: Tells processes apart.
        schedule: Steps of the run.
        train_ids: Ids of the training clips.
        notes: What of the weights was taken over, new or left out, in sentences.
    """

    def __init__(
        self, arguments: PretrainArguments, accelerator: Accelerator, schedule: Schedule, train_ids: list[str],
        notes: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self.arguments, self.accelerator, self.schedule = arguments, accelerator, schedule
        self.run_dir = arguments.run_dir
        self.main = accelerator.is_main_process
        text = "\n".join(sorted(train_ids))
        self.progress = Progress(
            num_processes=accelerator.num_processes, train_ids=hashlib.sha256(text.encode()).hexdigest()
        )
        self.notes = list(notes)
        self.facts = {"train_clips": len(train_ids), **asdict(schedule), "start_notes": self.notes}
        self.metrics = MetricsFile(self.run_dir / METRICS)
        self.ids_file = MetricsFile(self.run_dir / f"sample_ids_rank{accelerator.process_index}.jsonl")
        self._pending: list[torch.Tensor] = []
        self._last_row_step, self._last_row_time, self._last_line_time = 0, 0.0, -math.inf
        self._started = 0.0

    def begin(self, model: torch.nn.Module, data: Mapping[str, Any]) -> None:
        """Start a fresh folder, or put back the state of the checkpoint to resume from.

        Args:
            model: Its parameters are counted.
            data: `data.describe` of the dataset, written as data.json.
        """
        checkpoint = choose_checkpoint(self.run_dir, self.arguments.resume)
        if checkpoint is not None:
            check_same_settings(self.run_dir, asdict(self.arguments), MAY_CHANGE)
            train_ids = self.progress.train_ids
            self.progress = load_checkpoint(self.accelerator, checkpoint)
            if self.progress.train_ids != train_ids:
                raise ValueError(
                    f"The training clips are not those that {checkpoint} was trained on; pass the same --data."
                )
        self.accelerator.wait_for_everyone()  # everybody has read before anything is deleted
        parameters = sum(parameter.numel() for parameter in model.parameters())
        self.facts |= {"parameters": parameters, "model_type": type(model).__name__}
        if self.main:
            if checkpoint is None:
                clear_run(self.run_dir)
                self.run_dir.mkdir(parents=True, exist_ok=True)
                self.metrics.append(self._first_row())
            else:
                remove_partial(self.run_dir)
                remove_later(self.run_dir, self.progress.step)
                self.metrics.keep_until(self.progress.step)
            save_arguments(self.arguments, self.run_dir / "run.yaml", resume="none", overwrite=False)
            write_json(self.run_dir / "data.json", data)
        self.accelerator.wait_for_everyone()
        if self.ids_file.path.is_file():
            self.ids_file.keep_until(self.progress.step)
        if self.arguments.report_to != "none":
            config = {name: value if isinstance(value, (bool, int, float)) else str(value) for name, value in
                      asdict(self.arguments).items()}  # fmt: skip
            self.accelerator.init_trackers(self.run_dir.name, config=config)
        if checkpoint is None and self.notes:
            self._say(" ".join(self.notes))
        self._say(self._introduction(checkpoint))
        self._started = self._last_row_time = time.perf_counter()
        self._last_row_step = self.progress.step

    def _first_row(self) -> dict[str, Any]:
        import accelerate
        import transformers

        return {
            "event": "start",
            "config": asdict(self.arguments),
            "num_processes": self.accelerator.num_processes,
            "device": self._device(),
            **self.facts,
            "command": public_command(),
            "commit": current_commit(),
            "versions": {
                "python": sys.version.split()[0],
                **{module.__name__: module.__version__ for module in (torch, transformers, accelerate)},
            },
        }

    def _device(self) -> str:
        device = self.accelerator.device
        return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type

    def _introduction(self, checkpoint: Any) -> str:
        schedule, settings = self.schedule, self.arguments
        return (
            f"{'Resuming from ' + str(checkpoint) if checkpoint else 'Starting ' + str(self.run_dir)}: "
            f"{self.facts['model_type']} with {self.facts['parameters'] / 1e6:.1f} M parameters on "
            f"{self.facts['train_clips']:,} clips, {schedule.total_steps:,} steps of {schedule.effective_batch} clips "
            f"(batch {settings.batch_size} x accumulation {settings.gradient_accumulation} x processes "
            f"{self.accelerator.num_processes}), lr {schedule.peak_lr:.3g}, {self._device()}, precision {settings.precision}."
        )

    def _say(self, text: str) -> None:
        if self.main:
            print(text, flush=True)

    def progress_bar(self) -> Any:
        """A tqdm bar over optimizer steps; silent unless this is the main process, on a terminal or asked for."""
        from tqdm import tqdm

        wanted = sys.stderr.isatty() if self.arguments.progress is None else self.arguments.progress
        total, done = self.schedule.total_steps, self.progress.step
        return tqdm(total=total, initial=done, desc=self.run_dir.name, unit="step", disable=not (self.main and wanted))

    def saw(self, sample_ids: list[str]) -> None:
        """Note which clips this process took, if asked for."""
        if self.arguments.log_sample_ids:
            step = self.progress.step
            epoch = step // self.schedule.steps_per_epoch
            self.ids_file.append({"step": step + 1, "epoch": epoch, "sample_ids": sample_ids})

    def step_done(self, loss: torch.Tensor, stop: bool) -> None:
        """Count an optimizer step; write the row and the checkpoint that are due.

        Args:
            loss: () mean over this process's micro-batches, on its device; read only when it is needed.
            stop: Whether to save and leave after this step.

        Raises:
            ValueError: a loss is not finite; the message names the step.
            RunInterrupted: `stop`, and the run is not over.
        """
        progress, settings = self.progress, self.arguments
        progress.step += 1
        self._pending.append(loss)
        last = progress.step == self.schedule.total_steps
        log = progress.step % settings.log_every == 0 or last
        save = progress.step % settings.save_every == 0 or last or stop
        if log or save:
            self._read_losses()
        if log:
            self._write_row()
        if save:
            now = time.perf_counter()
            progress.seconds += now - self._started
            self._started = now
            checkpoint = save_checkpoint(self.accelerator, self.run_dir, progress, settings.keep_checkpoints)
        if stop and not last:
            raise RunInterrupted(
                f"Stopped after step {progress.step} of {self.schedule.total_steps}, saved in {checkpoint}; to go on, repeat the "
                f"command with --resume{' --no-overwrite' if settings.overwrite else ''} added."
            )

    def _read_losses(self) -> None:
        """Average the losses since the last reading over the processes and check them."""
        if not self._pending:
            return
        losses = self.accelerator.reduce(torch.stack(self._pending), reduction="mean").tolist()
        first = self.progress.step - len(losses) + 1
        self._pending = []
        for step, loss in enumerate(losses, start=first):
            if not math.isfinite(loss):
                raise ValueError(
                    f"The loss became {loss} at step {step} (epoch {(step - 1) // self.schedule.steps_per_epoch}); try a lower "
                    "--base_lr, more --warmup_epochs, --grad_clip 1.0 or --precision no, in a new --output_dir."
                )
        self.progress.window += losses

    def _write_row(self) -> None:
        step, now = self.progress.step, time.perf_counter()
        clips = (step - self._last_row_step) * self.schedule.effective_batch
        row = {
            "step": step,
            "epoch": round(step / self.schedule.steps_per_epoch, 4),
            "loss": math.fsum(self.progress.window) / len(self.progress.window),
            "lr": self.schedule.lr(step - 1),
            "clips_per_second": round(clips / max(now - self._last_row_time, 1e-9), 2),
        }
        self.progress.window = []
        self._last_row_step, self._last_row_time = step, now
        if self.main:
            self.metrics.append(row)
        if self.arguments.report_to != "none":
            self.accelerator.log({name: row[name] for name in ("loss", "lr", "epoch")}, step=step)
        if now - self._last_line_time > _SECONDS_BETWEEN_LINES or step == self.schedule.total_steps:
            self._last_line_time = now
            self._say(
                "step {step}, epoch {epoch}: loss {loss:.4f}, lr {lr:.3g}, {clips_per_second:.0f} clips/s".format(**row)
            )

    def finish(self, wrapped: torch.nn.Module, processor: Any, rows: Any) -> dict[str, Any]:
        """Write the model, the processor, the summary, and then the picture and the card.

        Args:
            wrapped: The model as `accelerator.prepare` returned it.
            processor: Saved beside it.
            rows: Clips for the picture.

        Returns:
            The summary.
        """
        state = self.accelerator.get_state_dict(wrapped)
        model = self.accelerator.unwrap_model(wrapped).eval()
        last = self.metrics.rows()[-1:]
        summary = {
            "steps": self.progress.step,
            "epochs": round(self.progress.step / self.schedule.steps_per_epoch, 4),
            "loss": last[0].get("loss") if last else None,
            "seconds": round(self.progress.seconds, 3),
            "clips_per_second": round(
                self.progress.step * self.schedule.effective_batch / max(self.progress.seconds, 1e-9), 2
            ),
            "num_processes": self.accelerator.num_processes,
            "device": self._device(),
            "precision": self.arguments.precision,
            **self.facts,
        }
        if self.main:
            export_model(self.run_dir, model, state, processor)
            write_json(self.run_dir / SUMMARY, summary)  # from here on the run is finished
            if self.arguments.card:
                self._picture_and_card(model, processor, rows)
        self.accelerator.end_training()
        self._say(f"Done: {self.run_dir}")
        if self.main and self.arguments.push_to_hub:
            self._say(f"Uploaded: {publish_run(self.run_dir, self.arguments.push_to_hub)}")
        return summary

    def _picture_and_card(self, model: Any, processor: Any, rows: Any) -> None:
        from ..hub.model_card import write_card
        from ..visualization.figures import MissingExtra
        from ..visualization.reconstruction import reconstruction_picture

        path, settings = self.run_dir / "reconstruction.png", self.arguments
        try:
            reconstruction_picture(model, processor, rows, path, settings.mask, settings.target, settings.seed)
        except MissingExtra as missing:
            self._say(f"No {path.name}: {missing}")
        write_card(self.run_dir)


def export_model(run_dir: Path, model: Any, state: Mapping[str, torch.Tensor], processor: Any) -> None:
    """Write model and processor into a run folder as `from_pretrained` reads them, each file in one step, and environment.json."""
    from transformers.utils import logging

    from ..runs.provenance import write_environment

    bars = logging.is_progress_bar_enabled()
    if not sys.stderr.isatty():
        logging.disable_progress_bar()  # save_pretrained draws one
    export = run_dir / ".export"
    shutil.rmtree(export, ignore_errors=True)
    model.save_pretrained(export, state_dict=state)
    processor.save_pretrained(export)
    mode = (export / "config.json").stat().st_mode
    for path in export.iterdir():
        path.chmod(mode)  # safetensors makes files that only their owner may read
        os.replace(path, run_dir / path.name)
    export.rmdir()
    write_environment(run_dir)
    if bars:
        logging.enable_progress_bar()
