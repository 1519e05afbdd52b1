"""Runs the sections of accuracy_gpu.py one after the other within the seconds of a call, and reports after each."""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import torch
from accuracy_bundle import read_bundle, unpack
from accuracy_gpu_plan import (
    FINETUNE,
    FUSE,
    MOST_PASSES,
    PRETRAIN,
    PROBE,
    Section,
    finetune_settings,
    is_new_view,
    make_plan,
    pretrain_settings,
    schedule_of,
)  # fmt: skip

from s2i_hf.data.loading import load_skeletons
from s2i_hf.data.skeleton_rows import SkeletonRows, rows_of_splits
from s2i_hf.evaluation.metrics import metric_of
from s2i_hf.evaluation.probing import ProbeArguments, probe_run
from s2i_hf.experiments.fusion import FuseArguments, fuse_runs
from s2i_hf.models.building import build_mae
from s2i_hf.models.loading import start_notes
from s2i_hf.processing.image_processing_skeleton import SkeletonProcessor
from s2i_hf.runs.checkpoints import SUMMARY, is_finished
from s2i_hf.runs.provenance import current_commit, hardware_name
from s2i_hf.runs.results import RESULT_COLUMNS, append_results, read_results, write_table
from s2i_hf.runs.run_folder import METRICS_FILE, MetricsFile
from s2i_hf.training import finetuning
from s2i_hf.training.finetune_arguments import FinetuneArguments
from s2i_hf.training.finetune_data import load_classifier
from s2i_hf.training.interruption import RunInterrupted
from s2i_hf.training.pretrain_arguments import PretrainArguments
from s2i_hf.training.pretraining import pretrain, start as start_pretraining
from s2i_hf.utils.files import write_atomically, write_json

if TYPE_CHECKING:
    from accuracy_gpu import RunArguments

STATE = "state.json"
RESERVE = 0.04  # of a call: for the last checkpoint and report
OVERHEAD = 0.85  # of the share of a training is for its steps; the rest for what is before and after them
LEAST = 0.03  # of a call that must be left for a training to begin
ROTATIONS = 3  # views that the features of a probe are the mean of, where the test camera is new
WORKERS = 4  # loader processes of a fine-tuning beside a GPU
FIXED = (
    "model",
    "size",
    "sets",
    "streams",
    "batch_size",
    "finetune_batch_size",
    "precision",
    "seed",
    "max_steps",
)  # in all calls


class Clock:
    """The seconds of a call.

    Args:
        began: Time of `time.monotonic` when the program began.
        seconds: Of the call.
    """

    def __init__(self, began: float, seconds: float) -> None:
        self.seconds, self.began = seconds, began
        self.last = began + seconds * (1 - RESERVE)

    @property
    def left(self) -> float:
        """Seconds until work must stop."""
        return self.last - time.monotonic()

    @contextmanager
    def alarm(self) -> Iterator[None]:
        """Within it a training is asked to stop, as by SIGTERM, when the time is up, and anything else is interrupted."""

        def interrupt(number: int, frame: Any) -> None:
            raise RunInterrupted("The time is up.")

        before = signal.signal(signal.SIGTERM, interrupt)
        timer = threading.Timer(max(0.0, self.left), os.kill, (os.getpid(), signal.SIGTERM))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            signal.signal(signal.SIGTERM, before)


class Runner:
    """Runs what is not done yet.

    Args:
        arguments: Settings of `run`.
        began: Time of `time.monotonic` when the program began.
        say: Gets lines.

    Raises:
        ValueError: no bundle, a set that it has no test clips of, or a folder that was begun with other settings.
    """

    def __init__(self, arguments: RunArguments, began: float, say: Callable[[str], None] = print) -> None:
        self.arguments, self.clock, self.say = arguments, Clock(began, arguments.seconds), say
        self.folder = Path(arguments.output_dir)
        self.report = self.folder / "report"
        self.on_gpu = torch.cuda.is_available()
        self.bundle = read_bundle(Path(arguments.bundle))
        self.sets = arguments.sets or tuple(self.bundle["tested"])
        for one in self.sets:
            if one not in self.bundle["tested"]:
                raise ValueError(
                    f"--sets has {one!r}; the bundle has test clips of {', '.join(self.bundle['tested'])}."
                )
        self.plan = make_plan(arguments.model, self.sets, arguments.streams)
        self.state = self._open_state()
        self._rows: dict[str, dict[str, SkeletonRows]] = {}

    def _open_state(self) -> dict[str, Any]:
        """What was measured before, if it was with the same settings."""
        values = {name: getattr(self.arguments, name) for name in FIXED}
        fixed = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
        fixed["clips"] = {name: one["sha256"] for name, one in self.bundle["sets"].items()}
        path = self.report / STATE
        if not path.is_file():
            named = {
                "bundle_commit": self.bundle["commit"],
                "commit": current_commit(),
                "seconds": self.arguments.seconds,
            }
            return {"settings": fixed, **named, "rates": {}, "sections": {}, "calls": []}
        state = json.loads(path.read_text(encoding="utf-8"))
        for name, value in fixed.items():
            if state["settings"].get(name) != value:
                before = "other clips" if name == "clips" else f"--{name} {state['settings'].get(name)}"
                raise ValueError(
                    f"{self.folder} was begun with {before}; choose another --output_dir, or delete this one."
                )
        return state

    def run(self) -> list[str]:
        """Measure until the time is up or all is done; returns the names of the sections that failed.

        Raises:
            KeyboardInterrupt: Ctrl-C; the same command goes on.
        """
        device = hardware_name("cuda" if self.on_gpu else None)
        if not self.on_gpu:
            self.say("torch sees no GPU here: a rehearsal.")
        self.call = {
            "began": datetime.now(UTC).isoformat(timespec="seconds"),
            "hardware": device,
            "torch": torch.__version__,
        }
        self.state["calls"].append(self.call)
        failed: list[str] = []
        try:
            with self.clock.alarm():
                self.folders = unpack(Path(self.arguments.bundle), self.folder / "clips")
                self._save()
                for section in self.plan:
                    if self._may_begin(section):
                        failed += self._one(section)
                    elif self.clock.left < self._least(section):
                        break
        except RunInterrupted:
            if self.clock.left > 0:  # somebody else's signal
                raise
        finally:
            self._save()
        waiting = [section.name for section in self.plan if not self._is_done(section)]
        for line in self._table():
            self.say(line)
        ends = "all is done" if not waiting else f"{len(waiting)} to go, next {waiting[0]}; the same command goes on"
        self.say(f"{self.report}: {len(self.plan) - len(waiting)} of {len(self.plan)} parts; {ends}.")
        return failed

    # -- one section ---------------------------------------------------------------------------------------------------

    def _is_done(self, section: Section) -> bool:
        return self.state["sections"].get(section.name, {}).get("state") == "done"

    def _least(self, section: Section) -> float:
        """Seconds that must be left for a section to begin: a training may stop on the way, a measurement may not."""
        trains = section.kind in (PRETRAIN, FINETUNE)
        return LEAST * self.arguments.seconds if trains else 0.5 * section.share * self.state["seconds"]

    def _may_begin(self, section: Section) -> bool:
        if self._is_done(section) or self.clock.left < self._least(section):
            return False
        done = {one.name for one in self.plan if self._is_done(one)}
        return set(section.needs) <= done

    def _one(self, section: Section) -> list[str]:
        """Run a section and note what came of it; returns its name if it failed."""
        known = self.state["sections"].setdefault(section.name, {"seconds": 0.0})
        known["state"], began = "stopped", time.monotonic()
        self.say(f"-- {section.name}, {self.clock.left:.0f} s left")
        if self.on_gpu:
            torch.cuda.reset_peak_memory_stats()
        try:
            found = {PRETRAIN: self._pretrain, PROBE: self._probe, FINETUNE: self._finetune, FUSE: self._fuse}[
                section.kind
            ](section)
            known.pop("error", None)
            known |= {"state": "done", **found}
        except (ValueError, RuntimeError, OSError, ImportError) as error:  # what follows may not need it
            known |= {"state": "failed", "error": " ".join(f"{type(error).__name__}: {error}".split())[:500]}
            self.say(f"{section.name} failed: {known['error']}")
        finally:
            known["seconds"] = round(known["seconds"] + time.monotonic() - began, 2)
            if self.on_gpu:
                known["peak_memory_gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
            gc.collect()  # the optimizer of a training, before the next one makes its own
            self._save()
        return [section.name] if known["state"] == "failed" else []

    def _data(self, one: str) -> dict[str, SkeletonRows]:
        if one not in self._rows:
            self._rows[one] = rows_of_splits(load_skeletons(self.folders[one]))
        return self._rows[one]

    def _training(
        self, section: Section, most_passes: float, clips: int, calibrate: Callable[[dict[str, Any]], Path]
    ) -> dict[str, Any]:
        """Settings of a training that fits into its share; those of its first call, when it goes on."""
        known, pretrains = self.state["sections"][section.name], section.kind == PRETRAIN
        if "schedule" not in known:
            asked = self.arguments.batch_size if pretrains else self.arguments.finetune_batch_size
            batch = min(asked or ((256 if pretrains else 64) if self.on_gpu else 32), clips if pretrains else 1 << 30)
            rates = self.state["rates"]
            key = "_".join(filter(None, [section.kind, section.arm, section.set]))  # short epochs are slower ones
            if key not in rates:
                steps = self.arguments.calibration_steps
                short = {"batch_size": batch, "epochs": steps, "max_steps": steps, "log_every": max(1, steps // 4)}
                rates[key] = speed_of(
                    calibrate({**short, **self._common("calibration"), "resume": "none", "overwrite": True})
                )
                self.say(f"{key}: {rates[key]:,.0f} clips a second at a batch of {batch}.")
                shutil.rmtree(self.folder / "calibration")
            seconds = OVERHEAD * section.share * self.state["seconds"]
            if self.arguments.max_steps is not None:
                most_passes = min(most_passes, self.arguments.max_steps * batch / clips)
            known["schedule"] = schedule_of(seconds, rates[key], clips, batch, most_passes)
            self._save()
        steps = known["schedule"]["max_steps"]
        often = {"save_every": max(1, steps // 3 + 1), "log_every": max(1, min(50, steps // 4))}
        return {**known["schedule"], **often, **self._common(section.name), "card": True}

    def _common(self, name: str) -> dict[str, Any]:
        settings = {
            "precision": self.arguments.precision,
            "seed": self.arguments.seed,
            "progress": False,
            "card": False,
        }
        return {**settings, "output_dir": str(self.folder / name), "resume": "auto", "keep_checkpoints": 1}

    def _pretrain(self, section: Section) -> dict[str, Any]:
        names, start = list(self.folders), section.start
        arguments = PretrainArguments(
            data=tuple(str(self.folders[name]) for name in names), mixture=0.5 if len(names) > 1 else None, holdout=self.sets, model=start,
            size=self.arguments.size, **pretrain_settings(start), **self._common(section.name),
        )  # fmt: skip
        folder = self.folder / section.name
        if not is_finished(folder):
            splits = rows_of_splits(load_skeletons(**arguments.data_options))
            # no test clip is seen in a pretraining, nor in its picture
            data = {"train": splits["train"]}

            def trained(changes: Mapping[str, Any]) -> Path:
                settings = replace(arguments, **changes)
                accelerator = start_pretraining(settings)
                processor = SkeletonProcessor(layout=None, **settings.processor_options)
                model = build_mae(start, **settings.model_options)
                notes = start_notes(start, model, settings.seed)
                pretrain(settings, model, processor, data, accelerator=accelerator, notes=notes)
                return settings.run_dir

            trained(self._training(section, float("inf"), len(data["train"]), trained))
        return self._summary(folder, "loss")

    def _finetune(self, section: Section) -> dict[str, Any]:
        start, one, folder = section.start, section.set, self.folder / section.name
        data = self._data(one)
        if not is_finished(folder):

            def trained(changes: Mapping[str, Any]) -> Path:
                tried = "calibration" in str(changes["output_dir"])
                settings = FinetuneArguments(
                    model=str(self.folder / section.needs[0]), data=str(self.folders[one]), method=f"mae_universal_{section.arm}",
                    setting="fine_tune" if section.stream == "joint" else f"fine_tune_{section.stream}", stream=section.stream,  # type: ignore[arg-type]
                    num_workers=WORKERS if self.on_gpu else 0, **finetune_settings(start, one, changes["max_steps"]), **changes,
                )  # fmt: skip
                # a speed is measured on training clips alone, and no test clip is read
                splits = {**data, "test": data["train"].select(range(min(8, len(data["train"]))))} if tried else data
                devices = finetuning.start(settings)
                model, processor, notes = load_classifier(settings, splits["train"])
                finetuning.finetune(settings, model, processor, splits, settings=devices, notes=notes)
                return settings.run_dir

            trained(self._training(section, MOST_PASSES, len(data["train"]), trained))
        return self._measured(folder, section) | self._summary(folder)

    def _probe(self, section: Section) -> dict[str, Any]:
        folder = self.folder / section.name
        arguments = ProbeArguments(
            model=str(self.folder / section.needs[0]), data=str(self.folders[section.set]), output_dir=str(folder),
            encoders=("pretrained", "untrained"), pooling="part", rotations=ROTATIONS if is_new_view(section.set) else 1,
            method=f"mae_universal_{section.arm}", seed=self.arguments.seed, batch_size=256, card=False,
        )  # fmt: skip
        probe_run(arguments, dataset=self._data(section.set), report=self.say)
        return self._measured(folder, section)

    def _fuse(self, section: Section) -> dict[str, Any]:
        folder = self.folder / section.name
        arguments = FuseArguments(
            models=tuple(str(self.folder / name) for name in section.needs), data=str(self.folders[section.set]), output_dir=str(folder),
            method=f"mae_universal_{section.arm}", batch_size=256,
        )  # fmt: skip
        fuse_runs(arguments, dataset=self._data(section.set), report=self.say)
        return self._measured(folder, section)

    def _summary(self, folder: Path, *more: str) -> dict[str, Any]:
        """What of the summary of a training is reported; its picture comes into the report."""
        summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
        for name in ("reconstruction.png", "confusion.png"):
            if (folder / name).is_file():
                shutil.copyfile(folder / name, self.report / f"{folder.name}_{name}")
        names = ("steps", "epochs", "effective_batch", "clips_per_second", "parameters", *more)
        return {**{name: summary[name] for name in names}, "training_seconds": summary["seconds"]}

    def _measured(self, folder: Path, section: Section) -> dict[str, Any]:
        """Put the rows of a section into the report; returns its main metric by setting."""
        rows = read_results(folder)
        append_results(self.report, rows)
        metric = metric_of(section.set)
        best = {f"{row['encoder']} {row['setting']}": row["value"] for row in rows if row["metric"] == metric}
        return {metric: best}

    # -- report --------------------------------------------------------------------------------------------------------

    def _save(self) -> None:
        """All that is known, into the report."""
        self.call["seconds"] = round(time.monotonic() - self.clock.began, 1)
        write_json(self.report / STATE, self.state, indent=1)
        write_table(self.report / "results.csv", RESULT_COLUMNS, read_results(self.report))
        write_atomically(self.report / "table.md", "\n".join(self._table()) + "\n")

    def _table(self) -> list[str]:
        """A line for each arm and set, a column for each setting; and what each part took."""
        cells: dict[tuple[str, str], dict[str, float]] = {}
        for row in read_results(self.report):
            protocol = f"{row['dataset']}_{row['protocol']}"
            if row["metric"] == metric_of(protocol):
                untrained = "untrained, " if row["encoder"] == "untrained" else ""
                cells.setdefault((protocol, row["method"]), {})[f"{untrained}{row['setting']}"] = row["value"]
        columns = list(dict.fromkeys(column for found in cells.values() for column in found))
        lines = [f"| protocol | method | {' | '.join(columns)} |", "|---" * (2 + len(columns)) + "|"] if cells else []
        for (protocol, method), found in cells.items():
            values = [f"{100 * found[column]:.1f}" if column in found else "-" for column in columns]
            lines.append(f"| {protocol} | {method} | {' | '.join(values)} |")
        lines += ["", "| part | state | seconds | steps | clips/s |", "|---|---|---|---|---|"]
        for section in self.plan:
            known = self.state["sections"].get(section.name, {})
            facts = [
                known.get("state", "waits"),
                known.get("seconds", ""),
                known.get("steps", ""),
                known.get("clips_per_second", ""),
            ]
            lines.append(f"| {section.name} | {' | '.join(map(str, facts))} |")
        return lines


def speed_of(folder: Path) -> float:
    """Clips a second of a short training: the median of its rows but the first, whose steps are slow."""
    speeds = [row["clips_per_second"] for row in MetricsFile(folder / METRICS_FILE).rows() if "clips_per_second" in row]
    return median(speeds[1:] or speeds)
