"""Runs the stages of the accuracy benchmark: several at a time, each in a process of its own, and again from where they stopped.

A stage is finished when its folder says so: summary.json of a training, rows in results.json of whatever is measured. What a stage was
asked for is kept in `stages/<name>.json`, what it printed in `logs/<name>.log`. A killed benchmark leaves checkpoints; the same command
goes on.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

from accuracy_plan import Stage

from s2i_hf.data.storage import META_FILE
from s2i_hf.runs.checkpoints import CHECKPOINTS, SUMMARY
from s2i_hf.runs.results import append_results, read_results
from s2i_hf.runs.run_folder import METRICS_FILE
from s2i_hf.training.interruption import RunInterrupted, StopRequest
from s2i_hf.utils.files import write_json

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 120.0  # seconds that a stage has to write its checkpoint


def stage_rows(stage: Stage, runs: Path) -> list[dict[str, Any]]:
    """Rows that this stage measured; of a probe, linear and kNN."""
    settings = {stage.setting} | ({"knn"} if stage.kind == "probe" else set())
    if stage.flags.get("setting"):
        settings.add(str(stage.flags["setting"]))
    seed = stage.seed
    return [row for row in read_results(runs / stage.name) if row["setting"] in settings and row["seed"] == seed]


def is_done(stage: Stage, runs: Path) -> bool:
    """Whether the stage came to its end."""
    folder = runs / stage.name
    if stage.kind == "accuracy_prepare":
        return (folder / META_FILE).is_file() or (folder / "model.safetensors").is_file()
    if stage.kind == "photographs":
        return (folder / "photographs.json").is_file()
    if stage.kind == "vision_parts":
        return (folder / "model.safetensors").is_file()
    if stage.kind.startswith("pretrain"):
        return (folder / SUMMARY).is_file()
    measured = bool(stage_rows(stage, runs))
    return measured and (stage.kind != "finetune" or (folder / SUMMARY).is_file())


def choose(stage: Stage, runs: Path) -> tuple[str, dict[str, Any], dict[str, float]]:
    """The setting that was best on validation clips: its label, its flags, and top-1 of every one; the first of equals."""
    found = {
        label: mean(
            row["value"] for name in names for row in read_results(runs / name) if row["metric"] == "top1"
        )
        for label, (_, names) in stage.choices.items()
    }  # fmt: skip
    best = max(found, key=lambda label: found[label])
    return best, dict(stage.choices[best][0]), found


def words_of(stage: Stage, flags: Mapping[str, Any], resume: bool = False) -> list[str]:
    """The command line of a stage, without the interpreter."""
    command = stage.script.split()
    words = ["-m", "s2i_hf", *command[1:]] if command[0] == "s2i" else [str(ROOT / stage.script)]
    for name, value in flags.items():
        if value is None:
            continue
        if isinstance(value, bool):
            words.append(f"--{name}" if value else f"--no-{name}")
        else:
            words += [f"--{name}", *(map(str, value) if isinstance(value, (tuple, list)) else [str(value)])]
    return words + (["--resume"] if resume else [])


def check_settings(plan: Sequence[Stage], runs: Path) -> None:
    """Refuse to go on with stages that were begun with other settings.

    Raises:
        ValueError: one of them; the message names the setting.
    """
    for stage in plan:
        record = runs / "stages" / f"{stage.name}.json"
        if not (record.is_file() and (runs / stage.name).exists()):
            continue
        before, now = json.loads(record.read_text(encoding="utf-8")), json.loads(json.dumps(stage.settings()))
        for name in [*now, *(name for name in before if name not in now)]:
            if before.get(name) != now.get(name) and name != "output_dir":
                raise ValueError(
                    f"{runs / stage.name} was begun with {name} {before.get(name)}, and this plan has {now.get(name)}; choose another "
                    f"--runs, or delete {runs / stage.name} and {record}."
                )


@dataclass
class Outcome:
    """What came of the stages: names of those finished now or before, and of those that failed, with the reason."""

    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


@dataclass
class _Job:
    stage: Stage
    process: subprocess.Popen[bytes]
    log: Path
    began: float


class Runner:
    """Runs a plan.

    Args:
        plan: Stages; what a stage needs comes before it.
        runs: Parent of the run folders.
        jobs: Stages at a time; with `pin`, each on a core of its own.
        threads: Of each.
        device: "cpu" hides accelerators.
        results_csv: Gets the rows of measured stages; written by this process alone.
        report: Gets a line for each stage.
    """

    def __init__(
        self, plan: Sequence[Stage], runs: Path, *, jobs: int = 1, threads: int = 1, device: str = "cpu", pin: bool = False,
        results_csv: str | None = None, report: Callable[[str], None] = print,
    ) -> None:  # fmt: skip
        self.plan, self.runs, self.jobs, self.threads, self.device = list(plan), runs, jobs, threads, device
        self.results_csv, self.report = results_csv, report
        # the cores this process may use, one a job
        cores = sorted(os.sched_getaffinity(0)) if pin and hasattr(os, "sched_getaffinity") else []
        self.cores: list[int | None] = [cores[job % len(cores)] if cores else None for job in range(jobs)]

    def run(self) -> Outcome:
        """Run what is not finished yet.

        Raises:
            ValueError: stages begun with other settings, or another benchmark in this folder.
            RunInterrupted: Ctrl-C or SIGTERM; what was going on left checkpoints.
        """
        check_settings(self.plan, self.runs)
        self.runs.mkdir(parents=True, exist_ok=True)
        with (self.runs / ".lock").open("a") as self.lock:
            try:
                fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ValueError(
                    f"A benchmark works in {self.runs}, or a stage of a killed one still does; wait for it, or choose another --runs."
                ) from None
            with StopRequest() as stop:
                return self._run(stop)

    def _run(self, stop: StopRequest) -> Outcome:
        outcome, running = Outcome(), dict[int, _Job]()
        waiting: list[Stage] = []
        for stage in self.plan:
            if is_done(stage, self.runs):
                outcome.done.append(stage.name)
                self._record_rows(stage)
            else:
                waiting.append(stage)
        if outcome.done:
            self.report(f"{len(outcome.done)} of {len(self.plan)} stages were finished before.")
        try:
            while (waiting or running) and not stop.requested:
                self._begin(waiting, running, outcome)
                time.sleep(0.1)
                self._collect(running, outcome)
        finally:
            self._end(running, outcome)
        if stop.requested:
            raise RunInterrupted(
                f"Stopped after {len(outcome.done)} of {len(self.plan)} stages; repeat the command to go on from there."
            )
        return outcome

    def _begin(self, waiting: list[Stage], running: dict[int, _Job], outcome: Outcome) -> None:
        for stage in list(waiting):
            possible = {*outcome.done, *(one.name for one in waiting), *(job.stage.name for job in running.values())}
            broken = next((name for name in stage.needs if name not in possible), None)
            if broken is not None:
                waiting.remove(stage)
                outcome.failed[stage.name] = f"needs {broken}, which failed"
                self.report(f"{stage.name}: not run, it needs {broken}.")
        for slot in range(self.jobs):
            ready = [stage for stage in waiting if set(stage.needs) <= set(outcome.done)]
            if slot not in running and ready:
                waiting.remove(ready[0])
                try:
                    running[slot] = self._start(ready[0], slot)
                except (OSError, ValueError) as error:
                    outcome.failed[ready[0].name] = str(error)
                    self.report(f"{ready[0].name}: failed: {error}")

    def _start(self, stage: Stage, slot: int) -> _Job:
        flags, note = dict(stage.flags), ""
        if stage.choices:
            label, chosen, found = choose(stage, self.runs)
            flags |= chosen
            write_json(self.runs / "chosen" / f"{stage.name}.json", {"chosen": label, "validation_top1": found})
            note = f" with {label}"
        folder = self.runs / stage.name
        resume = stage.trains and ((folder / METRICS_FILE).is_file() or (folder / "run.yaml").is_file())
        log = self.runs / "logs" / f"{stage.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        write_json(self.runs / "stages" / f"{stage.name}.json", stage.settings())
        environment = {**os.environ, "OMP_NUM_THREADS": str(self.threads)}
        if self.device == "cpu":
            environment["CUDA_VISIBLE_DEVICES"] = ""
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, *words_of(stage, flags, resume)], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,  # Ctrl-C reaches this process alone, which asks each stage once
                # a stage that outlives a killed benchmark keeps its lock
                pass_fds=(self.lock.fileno(),),
            )  # fmt: skip
        core = self.cores[slot]
        if core is not None:
            os.sched_setaffinity(process.pid, {core})
        self.report(f"{stage.name}: {'goes on' if resume else 'begins'}{note}")
        return _Job(stage, process, log, time.monotonic())

    def _collect(self, running: dict[int, _Job], outcome: Outcome) -> None:
        for slot, job in list(running.items()):
            code = job.process.poll()
            if code is None:
                continue
            del running[slot]
            minutes = (time.monotonic() - job.began) / 60
            if code == 0 and is_done(job.stage, self.runs):
                outcome.done.append(job.stage.name)
                self._record_rows(job.stage)
                # three times the weights, and not needed any more
                shutil.rmtree(self.runs / job.stage.name / CHECKPOINTS, ignore_errors=True)
                values = [row for row in stage_rows(job.stage, self.runs) if row["metric"] == "top1"]
                shown = "".join(f", {row['setting']} top-1 {100 * row['value']:.1f} %" for row in values)
                self.report(f"{job.stage.name}: done in {minutes:.1f} min{shown}")
            else:
                outcome.failed[job.stage.name] = _last_line(job.log) if code else "it ended without a result"
                if not outcome.failed[job.stage.name]:
                    outcome.failed[job.stage.name] = f"exit status {code}"
                self.report(f"{job.stage.name}: failed: {outcome.failed[job.stage.name]} ({job.log})")

    def _record_rows(self, stage: Stage) -> None:
        if self.results_csv and stage.setting and (rows := stage_rows(stage, self.runs)):
            append_results(self.runs / stage.name, rows, self.results_csv)

    def _end(self, running: dict[int, _Job], outcome: Outcome) -> None:
        """Ask what still runs to stop, and wait for its checkpoint."""
        try:
            for job in running.values():
                job.process.terminate()
            last = time.monotonic() + PATIENCE
            for job in running.values():
                job.process.wait(timeout=max(0.1, last - time.monotonic()))
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            for job in running.values():
                job.process.kill()
        outcome.done += [job.stage.name for job in running.values() if is_done(job.stage, self.runs)]


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""
