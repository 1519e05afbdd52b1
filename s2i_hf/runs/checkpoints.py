"""Checkpoints of a training, and the rules of resuming from them.

A checkpoint is written beside its final name and renamed when it is complete, so whatever kills a run, every folder named `step_...`
can be resumed from. It holds `progress.json`, and what accelerate's `save_state` writes in a pretraining and the Trainer in a fine-tuning.
Checkpoints lie between two optimizer steps: a run that is killed in the middle of an accumulation repeats that step.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..utils.files import write_json
from .run_folder import METRICS_FILE, MetricsFile

if TYPE_CHECKING:
    from accelerate import Accelerator

CHECKPOINTS, SUMMARY = "checkpoints", "summary.json"
# Everything a run and what is measured on it may leave in its folder; --overwrite removes these and nothing else.
_RUN_FILES = (
    METRICS_FILE, SUMMARY, CHECKPOINTS, "run.yaml", "data.json", "config.json", "model*.safetensors",
    "model.safetensors.index.json", "preprocessor_config.json", "results.json", "per_class.json", "reconstruction.png",
    "reconstruction.json", "confusion.png", "curve.png", "README.md", "sample_ids_rank*.jsonl", "trackers", ".export",
    "robustness.json", "environment.json", "hub.json", "cost.json", "fusion.json", "checkpoint-[0-9]*",
)  # fmt: skip


@dataclass
class Progress:
    """Where a run stands between two optimizer steps.

    Args:
        step: Optimizer steps done; logged: the step of the last row of `metrics.jsonl`, in fine-tuning.
        window: Losses of the steps since the last row; in fine-tuning their sum.
        seconds: Training time so far, over all resumptions.
        num_processes, train_ids: Processes of the run, and a hash of its clips' ids: an exact resume needs the same.
        best: Metric and negative loss of the best epoch of a fine-tuning.
    """

    step: int = 0
    window: list[float] | float = field(default_factory=list)
    seconds: float = 0.0
    num_processes: int = 1
    train_ids: str = ""
    logged: int = 0
    best: list[float] | None = None


def find_checkpoints(run_dir: Path) -> list[Path]:
    """Complete checkpoint folders, oldest first."""
    return sorted(path for path in run_dir.glob(f"{CHECKPOINTS}/step_*") if re.fullmatch(r"step_\d{8}", path.name))


def is_finished(run_dir: Path) -> bool:
    """Whether the run in this folder came to its end: its summary is the last file it writes."""
    return (run_dir / SUMMARY).is_file()


def choose_checkpoint(run_dir: Path, resume: str) -> Path | None:
    """The checkpoint that `resume` means: "none", "auto" (the newest, None if there is none yet) or a path.

    Raises:
        FileNotFoundError: the path is no checkpoint of this run.
    """
    if resume == "none":
        return None
    checkpoints = find_checkpoints(run_dir)
    if resume == "auto":
        return checkpoints[-1] if checkpoints else None
    wanted, known = Path(resume), {checkpoint.name: checkpoint for checkpoint in checkpoints}
    found = known.get(wanted.name)
    if found is not None and (not wanted.is_dir() or wanted.samefile(found)):
        return found
    there = ", ".join(known) or "none"
    raise FileNotFoundError(
        f"--resume {resume} is no checkpoint of the run in {run_dir} (there: {there}); --resume alone takes the newest."
    )


def check_run_folder(run_dir: Path, resume: str, overwrite: bool, card: bool = False) -> None:
    """Refuse to mix two runs in one folder. Reads only, so that every process comes to the same answer.

    A finished run that lacks the `card` it was to have can be resumed from its last checkpoint, which writes the card.

    Raises:
        ValueError: the folder holds another run, a finished run to be resumed, or files that no run wrote.
        FileNotFoundError: `resume` names no checkpoint of this run.
    """
    if run_dir.exists() and not run_dir.is_dir():
        raise ValueError(f"--output_dir {run_dir} is a file; expected a folder.")
    is_run = (run_dir / METRICS_FILE).is_file() or (run_dir / "run.yaml").is_file()
    # with --overwrite the whole folder is to be that of the run; without, a log that a shell opened there is no harm
    found = [*_run_files(run_dir), *(run_dir.glob("[!.]*") if overwrite else ())]
    foreign = [] if is_run else [path.name for path in found if path.name != "README.md"]
    if foreign:
        raise ValueError(f"{run_dir} holds {foreign[0]}, which no training wrote; choose another --output_dir.")
    if overwrite and resume != "none":
        raise ValueError("--resume and --overwrite exclude each other; add --no-overwrite to go on with the run.")
    finished = is_finished(run_dir)
    if is_run and resume == "none" and not overwrite:
        state = "a finished run; pass" if finished else "an unfinished run; pass --resume to go on with it,"
        raise ValueError(
            f"{run_dir} already holds {state} --overwrite to delete it and start again, or choose another --output_dir."
        )
    lacks_card = card and not (run_dir / "README.md").is_file() and bool(find_checkpoints(run_dir))
    if is_run and resume == "auto" and finished and not lacks_card:
        raise ValueError(f"The run in {run_dir} is finished, there is nothing to resume; --overwrite starts it again.")
    choose_checkpoint(run_dir, resume)


def _run_files(run_dir: Path) -> list[Path]:
    return [path for pattern in _RUN_FILES for path in run_dir.glob(pattern)]


def clear_run(run_dir: Path) -> None:
    """Delete what a run wrote into its folder, and nothing else."""
    # last the two files that make the folder a run, so that an interrupted clearing can be repeated
    for path in sorted(_run_files(run_dir), key=lambda path: path.name in (METRICS_FILE, "run.yaml")):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def check_same_settings(run_dir: Path, settings: Mapping[str, Any], may_change: frozenset[str]) -> None:
    """Refuse to resume a run with other settings than those it was started with.

    Raises:
        ValueError: a setting outside `may_change` differs from the first row of `metrics.jsonl`; the message names it.
    """
    before = next(iter(MetricsFile(run_dir / METRICS_FILE).rows()), {}).get("config", {})
    for name, value in json.loads(json.dumps(settings)).items():
        if name not in may_change and name in before and before[name] != value:
            raise ValueError(
                f"--{name} is {value}, but the run in {run_dir} was started with {before[name]}; resume it with its own "
                f"settings (--config {run_dir / 'run.yaml'} --resume), or choose another --output_dir."
            )


def save_checkpoint(accelerator: Accelerator, run_dir: Path, progress: Progress, keep: int) -> None:
    """Write `checkpoints/step_XXXXXXXX` and delete all but the `keep` newest. Every process calls it."""
    partial = run_dir / CHECKPOINTS / ".new.partial"
    if accelerator.is_main_process:
        _remove_partial(run_dir)
        partial.mkdir(parents=True)
    accelerator.wait_for_everyone()
    accelerator.save_state(str(partial))
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        complete_checkpoint(partial, run_dir, progress, keep)
    accelerator.wait_for_everyone()


def complete_checkpoint(partial: Path, run_dir: Path, progress: Progress, keep: int, spare: int | None = None) -> None:
    """Give a folder of states its name as a checkpoint, and delete all but the `keep` newest and that of step `spare`."""
    write_json(partial / "progress.json", asdict(progress))
    for path in partial.iterdir():  # on the disk, not only in its cache, before the name says so
        _flush(path)
    final = checkpoint_of(run_dir, progress.step)
    final.parent.mkdir(exist_ok=True)
    if final.exists():  # a checkpoint of the same step, written again by a resumed run
        shutil.rmtree(final)
    os.replace(partial, final)
    _flush(final.parent)
    for old in find_checkpoints(run_dir)[:-keep]:
        if spare is None or old != checkpoint_of(run_dir, spare):
            _remove(old)


def checkpoint_of(run_dir: Path, step: int) -> Path:
    """The folder of the checkpoint after `step`."""
    return run_dir / CHECKPOINTS / f"step_{step:08d}"


def _flush(path: Path) -> None:
    if path.is_dir() and os.name == "nt":  # Windows cannot open folders
        return
    descriptor = os.open(path, os.O_RDONLY)
    with contextlib.suppress(OSError):  # some network file systems cannot; the rename still protects from a kill
        os.fsync(descriptor)
    os.close(descriptor)


def _remove(checkpoint: Path) -> None:
    """Delete a checkpoint so that a kill on the way leaves no half of it under a valid name."""
    doomed = checkpoint.with_name(f".{checkpoint.name}.partial")
    os.replace(checkpoint, doomed)
    shutil.rmtree(doomed)


def _remove_partial(run_dir: Path) -> None:
    """Delete what a kill in the middle of writing or deleting a checkpoint left behind."""
    for leftover in [*run_dir.glob(f"{CHECKPOINTS}/.*.partial"), *run_dir.glob("checkpoint-[0-9]*")]:
        shutil.rmtree(leftover)


def rewind(run_dir: Path, step: int) -> None:
    """Delete what a kill left behind, and checkpoints and rows of metrics after `step`: the run goes on from there."""
    _remove_partial(run_dir)
    for checkpoint in find_checkpoints(run_dir):
        if checkpoint > checkpoint_of(run_dir, step):
            _remove(checkpoint)
    MetricsFile(run_dir / METRICS_FILE).keep_until(step)


def resume_point(
    run_dir: Path, resume: str, settings: Mapping[str, Any], may_change: frozenset[str], start: Progress
) -> tuple[Path | None, Progress]:
    """The checkpoint that the run goes on from and where it stood there; None and `start` if there is none.

    Raises:
        ValueError: the checkpoint is damaged, or of other settings, clips, or another number of processes than these.
        FileNotFoundError: `resume` is no checkpoint of this run.
    """
    checkpoint = choose_checkpoint(run_dir, resume)
    if checkpoint is None:
        return None, start
    check_same_settings(run_dir, settings, may_change)
    try:
        progress = Progress(**json.loads((checkpoint / "progress.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(f"{checkpoint} has no readable progress.json ({error}); use another checkpoint.") from None
    if progress.num_processes != start.num_processes:
        raise ValueError(
            f"{checkpoint} was written by {progress.num_processes} processes, this run has {start.num_processes}; "
            f"launch it with --num_processes {progress.num_processes} to go on exactly where it stopped."
        )
    if progress.train_ids != start.train_ids:
        raise ValueError(f"The training clips are not those that {checkpoint} was trained on; pass the same --data.")
    return checkpoint, progress


def load_checkpoint(accelerator: Accelerator, checkpoint: Path) -> None:
    """Put weights, optimizer, loss scaler and random states back. Every process calls it, after `accelerator.prepare`.

    Raises:
        ValueError: the checkpoint is damaged.
    """
    try:
        accelerator.load_state(str(checkpoint), load_kwargs={"weights_only": True})
        _check_random_states(checkpoint / f"random_states_{accelerator.process_index}.pkl")
    except Exception as error:
        detail = " ".join(str(error).split())[:200]
        raise ValueError(
            f"{checkpoint} cannot be loaded ({type(error).__name__}: {detail}); resume from another checkpoint."
        ) from error


def _check_random_states(path: Path) -> None:
    """Raise where accelerate merely logs: without the random states a resume is not exact."""
    from accelerate.utils import load

    states = load(path, weights_only=True)
    pairs: list[tuple[Any, Any]] = [
        (torch.get_rng_state(), states["torch_manual_seed"]),
        *zip(np.random.get_state(), states["numpy_random_seed"], strict=True),
    ]
    if torch.cuda.is_available():
        pairs += zip(torch.cuda.get_rng_state_all(), states["torch_cuda_manual_seed"], strict=True)
    if random.getstate() != states["random_state"] or not all(np.array_equal(*pair) for pair in pairs):
        raise ValueError(f"the random states in {path.name} were not restored")
