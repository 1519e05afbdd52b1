"""Filling in lost motion: MAE and DiffMAE against linear interpolation in time and the mean pose, in millimetres.

    export OMP_NUM_THREADS=1
    python benchmarks/infilling.py --data nw_ucla_xview --data_dir DIR --write_subset SUBSET
    s2i pretrain --data SUBSET ...                                                     # and with --method diffmae
    python benchmarks/infilling.py --data nw_ucla_xview --data_dir DIR --models mae=RUN diffmae=RUN --split validation \\
        --steps 1 10 50 --samples 1 8 --meet both --output chosen
    python benchmarks/infilling.py --data nw_ucla_xview --data_dir DIR --models mae=RUN0 mae=RUN1 diffmae=RUN2 ... \\
        --chosen chosen/infilling.json --output infilling

Two tasks: the left arm lost in the whole clip, and the 30 frames in the middle of every clip of at least 45 lost with all joints. The
error of a clip is the mean distance of its lost joints from where they were (MPJPE). The mean pose is that of the training clips;
the interpolation takes it for joints that are lost in every frame, as between nothing and nothing there is no line. Models
named alike, such as mae=SEED0 mae=SEED1, are seeds of one method: the number is the mean over them.

Settings are chosen on clips of training subjects (`evaluation.validation_splits`), best with models that were pretrained without them, on
what --write_subset writes; a model that trained on these subjects is marked. Test clips choose nothing.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from infilling_report import LINEAR, MEAN_POSE, Row, ordinary_clip, report, show, write

from s2i_hf.data.loading import as_rows, load_skeletons
from s2i_hf.data.storage import FolderWriter
from s2i_hf.evaluation.validation_splits import validation_split
from s2i_hf.inference.infilling import infill_clips, load_infilling_model
from s2i_hf.inference.infilling_gaps import (
    MeanPose,
    error_unit,
    fill_linear,
    fill_mean_pose,
    lost_joints,
    mean_error,
    mean_pose,
)
from s2i_hf.models.saved_models import pick_device
from s2i_hf.processing.layouts import SkeletonLayout, get_layout
from s2i_hf.processing.skeleton_sequence import SkeletonSequence
from s2i_hf.protocols import PROTOCOLS
from s2i_hf.runs.run_folder import RunFolder
from s2i_hf.utils.arguments import run_main
from s2i_hf.visualization.figures import MissingExtra
from s2i_hf.visualization.infilling import FilledRow, draw_infilling

GAP, SHORTEST = 30, 45  # frames


@dataclass
class Task:
    """Clips and what is lost of them."""

    name: str
    clips: list[np.ndarray] = field(default_factory=list)
    lost: list[np.ndarray] = field(default_factory=list)
    sample_ids: list[str] = field(default_factory=list)


def make_tasks(rows: Any, layout: SkeletonLayout) -> list[Task]:
    """Both tasks on the clips of a split."""
    arm, middle = Task("left arm, whole clip"), Task(f"{GAP} frames in the middle")
    for row in rows:
        joints = row["joints"]
        start = (len(joints) - GAP) // 2
        for task, drop in ((arm, {"drop_joints": "left_arm"}), (middle, {"drop_frames": (start, start + GAP)})):
            if task is middle and len(joints) < SHORTEST:
                continue
            task.clips.append(joints)
            task.lost.append(lost_joints(joints, layout, **drop))
            task.sample_ids.append(row["sample_id"])
    return [task for task in (arm, middle) if task.clips]


def errors_of(task: Task, filled: Iterable[np.ndarray], layout: SkeletonLayout) -> np.ndarray:
    """(N,) error of each clip."""
    return np.array([mean_error(*clip, layout) for clip in zip(filled, task.clips, task.lost, strict=True)])


def baselines(task: Task, layout: SkeletonLayout, pose: MeanPose) -> tuple[list[Row], dict[str, list[np.ndarray]]]:
    """The rows of the two methods without a model, and what they filled in."""
    rows, filled = [], {}
    for method in (LINEAR, MEAN_POSE):
        start = time.perf_counter()
        filled[method] = [
            fill_linear(clip, lost, layout, pose) if method == LINEAR else fill_mean_pose(clip, lost, pose)
            for clip, lost in zip(task.clips, task.lost, strict=True)
        ]
        seconds = round(time.perf_counter() - start, 2)
        rows.append(Row(task.name, method, "", {}, "", seconds, errors_of(task, filled[method], layout)))
    return rows, filled


@dataclass
class Tried:
    """What is tried of a method.

    Args:
        options: steps and samples, each in turn; of an MAE nothing.
        meets: Whether paths meet, each in turn; costs no more passes of the model.
    """

    options: list[dict[str, int]]
    meets: list[bool]

    @classmethod
    def of(cls, arguments: argparse.Namespace, method: str, diffuses: bool) -> Tried:
        """The one chosen setting, or all combinations of the flags."""
        if arguments.chosen is not None:
            chosen = json.loads(Path(arguments.chosen).read_text(encoding="utf-8")).get("chosen", {})
            if method not in chosen:
                raise ValueError(
                    f"{arguments.chosen} has no choice for {method!r}; it has {', '.join(chosen) or 'none'}."
                )
            setting = dict(chosen[method])
            return cls(meets=[setting.pop("meet")], options=[setting])
        meets = {"yes": [True], "no": [False], "both": [True, False]}[arguments.meet]
        if not diffuses:
            return cls([{}], meets)
        # a single step from pure noise is the mean of what may be there: more samples of it are the same
        pairs = dict.fromkeys(
            (steps, samples if steps > 1 else 1) for steps, samples in product(arguments.steps, arguments.samples)
        )
        return cls([{"steps": steps, "samples": samples} for steps, samples in pairs], meets)


Pictured = dict[tuple[str, str], dict[str, FilledRow]]  # (task, sample id) -> what each method filled in


def measure(
    arguments: argparse.Namespace,
    tasks: Sequence[Task],
    layout: SkeletonLayout,
    pose: MeanPose,
    subjects: set[int] | None,
) -> tuple[list[Row], Pictured]:
    """All rows, and for each task what the first model of every method, in its first setting, made of an ordinary clip.

    Args:
        subjects: Those held out of training; None on the test split.
    """
    rows: list[Row] = []
    filled: dict[str, dict[str, list[np.ndarray]]] = {}
    for task in tasks:
        found, filled[task.name] = baselines(task, layout, pose)
        rows += found
    device = pick_device(arguments.device or "auto")
    for method, _, folder in (model.partition("=") for model in arguments.models):
        model, processor = load_infilling_model(folder)
        model.to(device)
        tried = Tried.of(arguments, method, model.config.model_type == "diffmae")
        known = "" if subjects is None else trained_on(folder, arguments.data, subjects)
        for task, options in product(tasks, tried.options):
            names = {"steps": "num_inference_steps", "samples": "num_samples"}
            start = time.perf_counter()
            outputs = infill_clips(
                task.clips, task.lost, model, processor, layout, pose=pose, sample_ids=task.sample_ids,
                batch_size=arguments.batch_size, **{names[name]: value for name, value in options.items()},
            )  # fmt: skip
            seconds = round(time.perf_counter() - start, 2)
            for meet in tried.meets:
                joints = [(output if meet else output.unshifted()).joints for output in outputs]
                row = Row(task.name, method, Path(folder).resolve().name, {**options, "meet": meet}, known, seconds,
                          errors_of(task, joints, layout))  # fmt: skip
                rows.append(row)
                filled[task.name].setdefault(method, joints)
                error = f"{np.nanmean(row.errors):.1f} {error_unit(layout)}"
                print(f"{method} ({show(row.settings)}) on {task.name}: {error}, {seconds:.0f} s", flush=True)
    pictured: Pictured = {}
    for task in tasks:
        place = ordinary_clip([row.errors for row in rows if row.task == task.name])
        truth, lost = task.clips[place], task.lost[place]
        drawn = {method: joints[place] for method, joints in filled[task.name].items()}
        pictured[task.name, task.sample_ids[place]] = {
            method: FilledRow(joints, f"error {mean_error(joints, truth, lost, layout):.0f} {error_unit(layout)}")
            for method, joints in drawn.items()
        }
    return rows, pictured


def trained_on(folder: str, data: str, subjects: set[int]) -> str:
    """Whether a model learned from clips of these subjects of `data`: "yes", "no" or "unknown"."""
    facts = RunFolder(Path(folder)).data if Path(folder).is_dir() else {}
    names, found = str(facts.get("name", "")), facts.get("subjects", {}).get("train")
    if not names or found is None or Path(data).name not in names.split(" + "):
        return "unknown"
    return "yes" if " + " in names or subjects & {int(one) for one in found} else "no"


def draw(folder: Path, tasks: Sequence[Task], layout: SkeletonLayout, pictured: Pictured) -> list[str]:
    """A picture for each task; returns their names."""
    names = []
    for number, (task, ((_, sample_id), drawn)) in enumerate(zip(tasks, pictured.items(), strict=True), start=1):
        place, name = task.sample_ids.index(sample_id), f"infilling_{number}.png"
        title = f"{sample_id}: {task.name} lost"
        try:
            draw_infilling(drawn, task.lost[place], layout, folder / name, truth=task.clips[place], title=title)
        except MissingExtra as missing:
            print(f"No {name}: {missing}")
        else:
            names.append(name)
    return names


def write_subset(rows: Any, held: np.ndarray, protocol: str, folder: Path) -> None:
    """The training clips of the subjects that are not held out, as a folder to pretrain on; the others are its test split."""
    if protocol not in PROTOCOLS:
        raise ValueError(f"--write_subset takes a protocol for --data, and {protocol!r} is none.")
    if folder.exists():
        raise ValueError(f"{folder} exists; choose another folder for --write_subset.")
    folder.mkdir(parents=True)
    writer = FolderWriter(folder, PROTOCOLS[protocol], "npz", ("train", "test"))
    for index in range(len(rows)):
        writer.write("test" if held[index] else "train", SkeletonSequence(**rows[index]))
    writer.close({})
    print(f"{folder}: {(~held).sum():,} clips to train on, {held.sum():,} of held-out subjects.")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    flag = parser.add_argument
    flag("--data", default="nw_ucla_xview", help="protocol, or a folder made by `s2i convert` (default: %(default)s)")
    flag("--data_dir", help="raw files of the protocol")
    flag("--cache_dir", help="where converted data is cached")
    flag(
        "--models", nargs="+", default=[], metavar="NAME=DIR", help="run folders; models named alike are seeds of one method"
    )  # fmt: skip
    flag("--split", choices=("test", "validation"), default="test", help="validation: held-out training subjects")
    flag("--seed", type=int, default=0, help="draws the held-out subjects (default: %(default)s)")
    flag("--steps", type=int, nargs="+", default=[1], help="sampling steps of DiffMAE, each in turn (default: 1)")
    flag("--samples", type=int, nargs="+", default=[1], help="samples of DiffMAE to take the mean of (default: 1)")
    flag("--meet", choices=("yes", "no", "both"), default="yes", help="whether filled paths meet measured ones")
    flag("--no-meet", dest="meet", action="store_const", const="no", help="the same as --meet no")
    flag("--chosen", metavar="FILE", help="infilling.json of the validation: its choice of steps, samples and meet")
    flag("--max_clips", "--clips", type=int, help="only the first so many clips, spread over the split")
    flag("--batch_size", type=int, default=64, help="clips in memory at a time (default: %(default)s)")
    flag("--device", help="of the models (default: an accelerator if there is one)")
    flag("--output", metavar="DIR", help="gets infilling.md, infilling.json and pictures")
    flag("--write_subset", metavar="DIR", help="write the clips that are not held out, to pretrain on, and stop")
    arguments = parser.parse_args()
    for model in arguments.models:
        name, equals, folder = model.partition("=")
        if not (name and equals and folder):
            raise ValueError(f"--models has {model!r}; expected NAME=DIR.")
        if name in (LINEAR, MEAN_POSE):
            raise ValueError(f"--models calls a model {name!r}, which is a baseline; choose another name.")
    if min([*arguments.steps, *arguments.samples, arguments.batch_size, arguments.max_clips or 1]) < 1:
        raise ValueError("--steps, --samples, --batch_size and --max_clips are 1 or more.")
    return arguments


def main() -> None:
    arguments = parse()
    data = load_skeletons(arguments.data, arguments.data_dir, cache_dir=arguments.cache_dir)
    train = as_rows(data["train"])
    subjects: set[int] | None = None
    if arguments.split == "validation" or arguments.write_subset:
        held, note = validation_split(train.subjects, train.labels, arguments.seed)
        if note:
            whose = "one training subject" if (train.subjects >= 0).any() else "training subjects that nothing names"
            raise ValueError(f"{arguments.data} has clips of {whose}, so none can be held out.")
        if arguments.write_subset:
            return write_subset(train, held, train.name, Path(arguments.write_subset))
        subjects = {int(subject) for subject in np.unique(train.subjects[held])}
        train, clips = train.select(np.flatnonzero(~held)), train.select(np.flatnonzero(held))
        print(f"Held-out training subjects: {', '.join(map(str, sorted(subjects)))}; {len(clips):,} clips.")
    else:
        clips = as_rows(data["test"])
    if not len(clips):
        raise ValueError(f"{arguments.data} has no test clips to take joints out of; check the data and its protocol.")
    if arguments.max_clips is not None and arguments.max_clips < len(clips):
        clips = clips.select(np.linspace(0, len(clips) - 1, arguments.max_clips).round().astype(int))
    layout = get_layout(clips.layouts[0])
    tasks = make_tasks(clips, layout)
    rows, pictured = measure(arguments, tasks, layout, mean_pose(train, layout), subjects)
    data_name, unit, chosen = Path(arguments.data).name, error_unit(layout), arguments.chosen is not None
    print(f"\n{report(rows, unit, data_name, arguments.split, chosen)}")
    if arguments.output:
        folder = Path(arguments.output)
        folder.mkdir(parents=True, exist_ok=True)
        pictures = draw(folder, tasks, layout, pictured)
        write(folder, rows, unit, data_name, arguments.split, chosen, pictures)
        print(f"Written to {folder}: {', '.join(['infilling.md', 'infilling.json', *pictures])}")


if __name__ == "__main__":
    run_main(main)
