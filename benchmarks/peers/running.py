"""One run of a peer: train, score the test clips once, write rows, summary and scores; or choose settings within the training clips."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from s2i_hf.data.label_subsets import stratified_share
from s2i_hf.data.loading import as_rows, load_skeletons
from s2i_hf.evaluation.metrics import metric_rows, metrics, shown
from s2i_hf.evaluation.validation_splits import validation_folds
from s2i_hf.models.saved_models import pick_device
from s2i_hf.runs.checkpoints import CHECKPOINTS
from s2i_hf.runs.provenance import hardware_name
from s2i_hf.runs.results import append_results
from s2i_hf.utils.arguments import save_arguments
from s2i_hf.utils.files import write_atomically

from .arguments import PeerArguments
from .training import check_splits, fit_peer


def peer_run(
    arguments: PeerArguments, dataset: Mapping[str, Any] | None = None, report: Callable[[str], None] = print
) -> dict[str, Any]:
    """Train on the training split, score the test split once, after the last epoch, and write what came out.

    With a `label_share`, the training split is that share of it, the clips that `s2i finetune` takes for it. A run that was stopped or
    killed goes on from its last checkpoint. Into the output folder go results.json (setting "supervised", or "semi_10" of 10 % of the
    labels; encoder "untrained"), summary.json (accuracy, loss of every epoch, measured cost), metrics.jsonl, run.yaml and
    scores.safetensors (scores (N_test, num_classes) and labels, for a fusion of streams).

    Args:
        arguments: Settings; with `validate`, see `validate`, nothing is written.
        dataset: "train" and "test" rows; loaded here if None.
        report: Gets a line an epoch, and the numbers.

    Returns:
        metrics; and unless `validate`: rows (of results.json, this run's alone), cost, scores, run_dir.

    Raises:
        ValueError: clips without labels or classes, or of several joint formats; an unfinished run of other settings in the folder.
        RunInterrupted: Ctrl-C or SIGTERM, after a checkpoint.
    """
    if dataset is None:
        dataset = load_skeletons(arguments.data, arguments.data_dir, cache_dir=arguments.cache_dir)
    train, test = as_rows(dataset["train"]), as_rows(dataset["test"])
    protocol = getattr(train, "name", None) or Path(arguments.data).name
    if arguments.label_share < 1:
        train = train.select(stratified_share(train.labels, arguments.label_share, arguments.label_seed))
    if arguments.validate:
        return {"metrics": validate(train, test.cameras, arguments, report)}
    check_splits(train, test, labelled=True)
    folder = arguments.run_dir
    folder.mkdir(parents=True, exist_ok=True)
    save_arguments(arguments, folder / "run.yaml")
    peer = fit_peer(train, arguments, report, folder)
    began = time.perf_counter()
    scores = peer.score(test)
    seconds = peer.cost["train_seconds"] + time.perf_counter() - began
    found = metrics(scores, test.labels)
    rows = metric_rows(
        found, protocol, setting=arguments.setting, encoder="untrained", method=arguments.method_name, seed=arguments.seed,
        train_clips=len(train), test_clips=len(test), seconds=seconds, hardware=hardware_name(pick_device(arguments.device)),
    )  # fmt: skip
    summary = {
        "protocol": protocol, "method": arguments.method_name, "seed": arguments.seed, "metrics": found,
        "cost": peer.cost, "losses": peer.losses,
    }  # fmt: skip
    append_results(folder, rows, arguments.results_csv)
    write_atomically(folder / "summary.json", json.dumps(summary, indent=1) + "\n")
    _save_scores(folder / "scores.safetensors", scores, test.labels)
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)  # not needed any more
    report(f"{arguments.method_name} on {protocol}: {shown(found)}; {_cost_told(peer.cost)}")
    return {"metrics": found, "rows": rows, "cost": peer.cost, "scores": scores, "run_dir": folder}


def validate(
    train: Any, test_cameras: np.ndarray, arguments: PeerArguments, report: Callable[[str], None] = print
) -> dict[str, float]:
    """Metrics on held-out training clips: whole subjects, and where the test cameras are new, each training camera in turn unseen.

    Args:
        train: Training rows; the only clips that are read.
        test_cameras: (N_test,) views of the test clips, to know whether they are new.
        arguments: Settings.
        report: Gets a line an epoch, and the numbers.

    Raises:
        ValueError: see `peer_run`.
    """
    train = as_rows(train)
    folds, note = validation_folds(train.subjects, train.labels, 0, train.cameras, test_cameras)
    scores, labels = [], []
    for fit, choose in folds:
        held = train.select(np.flatnonzero(choose))
        scores.append(fit_peer(train.select(np.flatnonzero(fit)), arguments, report).score(held))
        labels.append(held.labels)
    found = metrics(np.concatenate(scores), np.concatenate(labels))
    report(f"validation on {sum(map(len, labels))} training clips: {shown(found)}" + (f" ({note})" if note else ""))
    return found


def _cost_told(cost: Mapping[str, float]) -> str:
    return (
        f"{cost['parameters'] / 1e6:.2f} M parameters, {cost['flops'] / 1e6:.0f} MFLOPs a clip, "
        f"{cost['train_clips_per_second']:.0f} clips/s training, {cost['test_clips_per_second']:.0f} testing"
    )


def _save_scores(path: Path, scores: np.ndarray, labels: np.ndarray) -> None:
    from safetensors.numpy import save_file

    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    save_file({"scores": scores, "labels": np.ascontiguousarray(labels)}, temporary)
    os.replace(temporary, path)
