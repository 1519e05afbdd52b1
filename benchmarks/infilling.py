"""Filling in lost motion: MAE and DiffMAE against linear interpolation in time and the mean pose, in millimetres.

    OMP_NUM_THREADS=1 python benchmarks/infilling.py --data nw_ucla_xview --data_dir DIR --models mae=RUN_DIR diffmae=RUN_DIR ...

Two tasks on the test clips: the left arm lost in the whole clip, and the 30 frames in the middle of every clip of at least 45 lost with
all joints. The error of a clip is the mean distance of its lost joints from where they were (MPJPE); a row is the mean over clips with its
standard error. Models named alike, such as mae=SEED0 mae=SEED1, are seeds of one method: their mean and the standard deviation over
seeds follow. The mean pose is that of the training clips; the interpolation takes it for joints that are lost in every frame.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from s2i_hf.arguments import run_main
from s2i_hf.data import as_rows, load_skeletons
from s2i_hf.infilling import infill_clips
from s2i_hf.infilling_baselines import MeanPose, error_unit, fill_linear, fill_mean_pose, mean_error, mean_pose
from s2i_hf.infilling_gaps import lost_joints
from s2i_hf.infilling_models import load_infilling_model
from s2i_hf.layouts import SkeletonLayout, get_layout

GAP, SHORTEST = 30, 45  # frames


@dataclass
class Task:
    """Clips and what is lost of them."""

    name: str
    clips: list[np.ndarray]
    lost: list[np.ndarray]
    sample_ids: list[str]


@dataclass
class Row:
    """One measured number: the error of a method on a task, mean over clips."""

    task: str
    method: str
    model: str
    clips: int
    error: float
    standard_error: float
    unit: str
    seconds: float


def make_tasks(rows: Any, layout: SkeletonLayout) -> list[Task]:
    """Both tasks on the clips of a split."""
    clips = [(row["joints"], row["sample_id"]) for row in rows]
    arm = Task("left arm, whole clip", [], [], [])
    middle = Task(f"{GAP} frames in the middle", [], [], [])
    for joints, sample_id in clips:
        start = (len(joints) - GAP) // 2
        for task, drop in ((arm, {"drop_joints": "left_arm"}), (middle, {"drop_frames": (start, start + GAP)})):
            if task is middle and len(joints) < SHORTEST:
                continue
            task.clips.append(joints)
            task.lost.append(lost_joints(joints, layout, **drop))
            task.sample_ids.append(sample_id)
    return [task for task in (arm, middle) if task.clips]


def measure(
    task: Task, method: str, model: str, layout: SkeletonLayout, filled: list[np.ndarray], seconds: float
) -> Row:
    """The row of one method."""
    errors = np.array([mean_error(*clip, layout) for clip in zip(filled, task.clips, task.lost, strict=True)])
    errors = errors[~np.isnan(errors)]
    standard_error = float(errors.std(ddof=1) / len(errors) ** 0.5) if len(errors) > 1 else float("nan")
    return Row(task.name, method, model, len(errors), float(errors.mean()), standard_error, error_unit(layout), seconds)


def baselines(task: Task, layout: SkeletonLayout, pose: MeanPose) -> list[Row]:
    """The rows of the two methods without a model."""
    rows = []
    for method in ("linear interpolation", "mean pose"):
        start = time.perf_counter()
        filled = [
            fill_linear(clip, lost, layout, pose) if method.startswith("linear") else fill_mean_pose(clip, lost, pose)
            for clip, lost in zip(task.clips, task.lost, strict=True)
        ]
        rows.append(measure(task, method, "", layout, filled, time.perf_counter() - start))
    return rows


def markdown(rows: list[Row]) -> str:
    """The rows as a table, and below models named alike their mean and standard deviation."""
    lines = ["| task | method | clips | error | standard error |", "|---|---|---|---|---|"]
    for row in rows:
        lines.append(
            f"| {row.task} | {row.method} | {row.clips} | {row.error:.1f} {row.unit} | {row.standard_error:.1f} |"
        )
    for task in dict.fromkeys(row.task for row in rows):
        for method in dict.fromkeys(row.method for row in rows):
            errors = [row.error for row in rows if (row.task, row.method) == (task, method)]
            if len(errors) > 1:
                lines.append(
                    f"| {task} | {method}, {len(errors)} seeds | | {np.mean(errors):.1f} {rows[0].unit} | "
                    f"sd {np.std(errors, ddof=1):.1f} |"
                )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="nw_ucla_xview", help="protocol, or a folder made by `s2i convert`")
    parser.add_argument("--data_dir", help="raw files of the protocol")
    parser.add_argument("--models", nargs="+", default=[], metavar="NAME=DIR", help="run folders")
    parser.add_argument("--steps", type=int, nargs="+", default=[50], help="sampling steps of DiffMAE, one row each")
    parser.add_argument("--samples", type=int, default=1, help="samples of DiffMAE whose mean is taken")
    parser.add_argument("--no-meet", action="store_true", help="leave paths as the model has them; see infilling.py")
    parser.add_argument("--clips", type=int, help="only the first so many test clips")
    parser.add_argument("--output", help="JSON file for the rows")
    arguments = parser.parse_args()
    named = [model.partition("=") for model in arguments.models]
    for name, equals, folder in named:
        if not (name and equals and folder):
            raise ValueError(f"--models got {name!r}; expected NAME=DIR.")

    data = load_skeletons(arguments.data, arguments.data_dir)
    test = as_rows(data["test"])
    test = test.select(range(min(arguments.clips or len(test), len(test))))
    layout = get_layout(test.layouts[0])
    pose = mean_pose(as_rows(data["train"]), layout)
    tasks = make_tasks(test, layout)
    rows = [row for task in tasks for row in baselines(task, layout, pose)]
    for name, _, folder in named:
        model, processor = load_infilling_model(folder)
        diffuses = model.config.model_type == "diffmae"
        for task in tasks:
            for steps in arguments.steps if diffuses else [0]:
                settings: dict[str, Any] = {"meet": not arguments.no_meet}
                if diffuses:
                    settings |= {"num_inference_steps": steps, "num_samples": arguments.samples}
                start = time.perf_counter()
                filled = infill_clips(
                    task.clips, task.lost, model, processor, layout, pose=pose, sample_ids=task.sample_ids, **settings
                )
                seconds = time.perf_counter() - start
                method = f"{name}, {steps} steps x {arguments.samples}" if diffuses else name
                rows.append(measure(task, method, folder, layout, [one.joints for one in filled], seconds))
                print(f"{rows[-1].method} on {task.name}: {rows[-1].error:.1f} {rows[-1].unit}, {seconds:.0f} s")
    rows.sort(key=lambda row: [task.name for task in tasks].index(row.task))
    print(markdown(rows))
    if arguments.output:
        Path(arguments.output).write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_main(main)
