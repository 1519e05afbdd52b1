"""Runs the stages of the accuracy benchmark: several at a time, each in a process of its own, and again from where they stopped.

A stage is finished when its folder says so: summary.json of a training, rows in results.json of whatever is measured. What a stage was
asked for is kept in `stages/<name>.json`, what it printed in `logs/<name>.log`. A killed benchmark leaves checkpoints; the same command
goes on.
"""

from __future__ import annotations

import fcntl
import json
import os
import runpy
import shutil
import signal
import sys
import time
import traceback
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
from s2i_hf.utils.files import write_atomically, write_json

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


def hand_over(text: str, table: str | None, failed: Mapping[str, str], planned: int, show: bool = True) -> None:
    """The end of a benchmark: its text goes into a file or, if it is to be shown, to the terminal.

    Raises:
        ValueError: stages failed (name -> reason), of so many that were planned.
    """
    if table:
        write_atomically(table, text)
        print(f"Written: {table}")
    elif show:
        print(text)
    if failed:
        first, reason = next(iter(failed.items()))
        raise ValueError(
            f"{len(failed)} of {planned} stages failed, first {first} ({reason.rstrip('.')}); repeat the command to try again."
        )


def spent(stage: Stage, runs: Path) -> float:
    """Seconds that a stage has taken in all, each time it ran."""
    file = runs / "seconds" / f"{stage.name}.json"
    return float(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else 0.0


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
    """The command line of a stage: s2i, or a file, and its arguments."""
    command = stage.script.split()
    words = command if command[0] == "s2i" else [str(ROOT / stage.script)]
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


class _Process:
    """A program in a fork of this process, which has imported torch and transformers once for all: that takes ten seconds of a core.

    Args:
        words: s2i, or a file, and its arguments.
        log: Gets its output.
        environment: What it finds changed in its environment.
        threads: Of its computations.
        core: The only one it may use, if not None.
    """

    def __init__(
        self, words: Sequence[str], log: Path, environment: Mapping[str, str], threads: int, core: int | None
    ) -> None:
        import s2i_hf.evaluation.probing
        import s2i_hf.training.finetuning
        import s2i_hf.training.pretraining  # noqa: F401

        self.code: int | None = None
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                os.setsid()  # Ctrl-C reaches the benchmark alone, which asks each stage once
                for number in (signal.SIGINT, signal.SIGTERM):
                    signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.default_int_handler)
                if core is not None:
                    os.sched_setaffinity(0, {core})
                code = _run_program(words, log, environment, threads)
            finally:
                os._exit(code)

    def poll(self) -> int | None:
        """The exit status, None while it runs."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if pid else None
        return self.code

    def send(self, number: signal.Signals) -> None:
        """A signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def ended(self, seconds: float) -> bool:
        """Whether it ended within this time."""
        last = time.monotonic() + seconds
        while self.poll() is None and time.monotonic() < last:
            time.sleep(0.05)
        return self.code is not None


def _run_program(words: Sequence[str], log: Path, environment: Mapping[str, str], threads: int) -> int:
    """In the fork: run the program as the interpreter would; its exit status."""
    import torch

    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for descriptor in (1, 2):
        os.dup2(output, descriptor)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    sys.stdin, sys.stdout, sys.stderr = (open(number, "w" if number else "r") for number in range(3))  # noqa: SIM115 (they stay)
    os.environ.update(environment)
    torch.set_num_threads(threads)
    code = 0
    try:
        if words[0] == "s2i":
            sys.argv = ["s2i", *words[1:]]
            runpy.run_module("s2i_hf", run_name="__main__", alter_sys=True)
        else:
            sys.argv, sys.path[0] = list(words), str(Path(words[0]).parent)
            runpy.run_path(words[0], run_name="__main__")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code


@dataclass
class _Job:
    stage: Stage
    process: _Process
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
        environment = {"OMP_NUM_THREADS": str(self.threads)}
        if self.device == "cpu":
            environment["CUDA_VISIBLE_DEVICES"] = ""
        # the fork has the lock too: a stage that outlives a killed benchmark keeps it
        process = _Process(words_of(stage, flags, resume), log, environment, self.threads, self.cores[slot])
        self.report(f"{stage.name}: {'goes on' if resume else 'begins'}{note}")
        return _Job(stage, process, log, time.monotonic())

    def _collect(self, running: dict[int, _Job], outcome: Outcome) -> None:
        for slot, job in list(running.items()):
            code = job.process.poll()
            if code is None:
                continue
            del running[slot]
            minutes = self._spend(job) / 60
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

    def _spend(self, job: _Job) -> float:
        """Seconds that a stage has taken this time; all of them are kept in `seconds/<name>.json`."""
        seconds = time.monotonic() - job.began
        write_json(self.runs / "seconds" / f"{job.stage.name}.json", spent(job.stage, self.runs) + seconds)
        return seconds

    def _record_rows(self, stage: Stage) -> None:
        if self.results_csv and stage.setting and (rows := stage_rows(stage, self.runs)):
            append_results(self.runs / stage.name, rows, self.results_csv)

    def _end(self, running: dict[int, _Job], outcome: Outcome) -> None:
        """Ask what still runs to stop, and wait for its checkpoint."""
        try:
            for job in running.values():
                job.process.send(signal.SIGTERM)
            last = time.monotonic() + PATIENCE
            for job in running.values():
                job.process.ended(max(0.1, last - time.monotonic()))
        finally:
            for job in running.values():
                job.process.send(signal.SIGKILL)
                job.process.ended(1.0)
        for job in running.values():
            self._spend(job)
        outcome.done += [job.stage.name for job in running.values() if is_done(job.stage, self.runs)]


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""
