"""How long a plan of the accuracy benchmark will take: clips to see, clips a second as measured, and stages beside each other."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from accuracy_plan import Preset, Stage

from s2i_hf.runs.checkpoints import SUMMARY

# Clips a second of one job, and the seconds in which it starts, reads its data and tests. cpu: measured on one core of an AMD EPYC (Zen 4)
# that others used too, config:tiny at 112 px in bf16. gpu: guesses, until summaries of finished stages say better.
RATES: dict[str, dict[str, float]] = {
    "cpu": {
        "pretrain_mae": 150,
        "pretrain_diffmae": 130,
        "finetune": 85,
        "probe": 180,
        "peer": 110,
        "peer_ctrgcn": 8,
        "start": 14,
    },
    "gpu": {
        "pretrain_mae": 1500,
        "pretrain_diffmae": 1200,
        "finetune": 900,
        "probe": 1000,
        "peer": 1500,
        "peer_ctrgcn": 800,
        "start": 25,
    },
}


def measured_rates(plan: Sequence[Stage], runs: Path) -> dict[str, float]:
    """Program -> median of the clips a second in the summaries of finished stages."""
    found: dict[str, list[float]] = {}
    for stage in plan:
        path = runs / stage.name / SUMMARY
        if not path.is_file():
            continue
        summary: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        speed = summary.get("clips_per_second") or summary.get("cost", {}).get("train_clips_per_second")
        if speed:
            found.setdefault(stage.kind, []).append(float(speed))
    return {kind: median(speeds) for kind, speeds in found.items()}


def seconds_of(stage: Stage, rates: Mapping[str, float]) -> float:
    """Expected seconds of a stage."""
    return rates["start"] + stage.clips / rates.get(stage.kind, float("inf"))


def wall_seconds(plan: Sequence[Stage], rates: Mapping[str, float], jobs: int) -> float:
    """Seconds until the last stage ends, `jobs` at a time, each begun as soon as what it needs is there.

    Args:
        plan: Stages that are not finished; what they need and is not among them is.
        rates: Clips a second of each program, and `start`.
        jobs: Stages at a time.
    """
    waiting, names, ended = list(plan), {stage.name for stage in plan}, set[str]()
    running: list[tuple[float, str]] = []
    now = 0.0
    while waiting or running:
        for stage in list(waiting):
            if len(running) < jobs and all(name in ended or name not in names for name in stage.needs):
                waiting.remove(stage)
                running.append((now + seconds_of(stage, rates), stage.name))
        running.sort()
        now, name = running.pop(0)
        ended.add(name)
    return now


def show_plan(
    plan: Sequence[Stage], done: set[str], preset_name: str, preset: Preset, runs: Path, jobs: int
) -> list[str]:
    """The plan as lines: stages, clips, minutes, and how long all of it takes."""
    measured = measured_rates(plan, runs)
    rates = {**RATES[preset_name], **measured}
    width = max([len(stage.name) for stage in plan], default=10)
    lines = [f"{'stage':{width}}  {'clips':>9}  minutes  needs"]
    for stage in plan:
        minutes = "   done" if stage.name in done else f"{seconds_of(stage, rates) / 60:7.1f}"
        needs = ", ".join(stage.needs[:3]) + (" ..." if len(stage.needs) > 3 else "")
        lines.append(f"{stage.name:{width}}  {stage.clips or '':>9}  {minutes}  {needs}".rstrip())
    waiting = [stage for stage in plan if stage.name not in done]
    standard = (preset.model, preset.size) == {"cpu": ("config:tiny", 112), "gpu": ("config:small", 224)}[preset_name]
    if measured:
        basis = "speeds as measured in this folder: " + ", ".join(
            f"{kind} {rate:.0f} clips/s" for kind, rate in measured.items()
        )
    elif preset_name == "cpu" and standard:
        basis = "speeds as measured on one shared core of an AMD EPYC (Zen 4)"
    else:
        basis = "speeds are guesses until a stage of this folder is finished"
    minutes_left = wall_seconds(waiting, rates, jobs) / 60
    lines.append(
        f"{len(waiting)} of {len(plan)} stages to run, {preset.model} at {preset.size} px: about {minutes_left:.0f} minutes "
        f"with {jobs} at a time; {basis}."
    )
    return lines
