"""Tiny labelled clips and a fine-tuning of them, for the tests of fine-tuning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from s2i_hf.data.skeleton_rows import as_rows
from s2i_hf.runs.run_folder import MetricsFile
from s2i_hf.training.finetune_arguments import FinetuneArguments
from s2i_hf.training.finetune_data import load_classifier
from s2i_hf.training.finetuning import finetune

CLASSES = ("still", "up", "right", "away")
MICRO: dict[str, Any] = {
    "model": "config:micro", "size": 32, "epochs": 3, "batch_size": 8, "base_lr": 0.05, "log_every": 2, "save_every": 4,
    "device": "cpu", "num_workers": 0, "card": False,
}  # fmt: skip


class Rows(list):
    """A torch-like dataset of row dicts."""

    name = "nw_ucla_xview"
    class_names = CLASSES


def clips(count: int, seed: int = 0, layout_joints: int = 20) -> Rows:
    """Bodies that each move in the direction of their class."""
    generator = np.random.default_rng(seed)
    steps = np.array([[0, 0, 0], [0, 1, 0], [1, 0, 0], [0, 0, 1]])
    rows = Rows()
    for index in range(count):
        label = index % len(CLASSES)
        frames = int(generator.integers(6, 14))
        body = np.random.default_rng(1).normal(scale=0.4, size=(1, 1, layout_joints, 3))
        joints = body + np.linspace(0, 1, frames)[:, None, None, None] * steps[label]
        joints = joints + 0.03 * generator.normal(size=(frames, 1, layout_joints, 3))
        rows.append({"joints": joints.astype(np.float32), "layout": "kinect_v1", "label": label, "subject": index % 5,
                     "camera": 1, "sample_id": f"clip{seed}_{index:03}"})  # fmt: skip
    return rows


def data(train: int = 40, test: int = 16) -> dict[str, Any]:
    return {"train": clips(train), "test": clips(test, seed=1)}


def arguments(run_dir: Path, **changes: Any) -> FinetuneArguments:
    return FinetuneArguments(**{"data": "nw_ucla_xview", "output_dir": str(run_dir), **MICRO, **changes})


def run(run_dir: Path, dataset: Any = None, **changes: Any) -> dict[str, Any]:
    settings, dataset = arguments(run_dir, **changes), dataset or data()
    model, processor, _ = load_classifier(settings, as_rows(dataset["train"]))
    return finetune(settings, model, processor, dataset)


def curve(run_dir: Path) -> list[dict[str, Any]]:
    """What must repeat: everything in metrics.jsonl but the time."""
    rows = MetricsFile(run_dir / "metrics.jsonl").rows()[1:]
    return [{name: value for name, value in row.items() if name != "clips_per_second"} for row in rows]


def weights(run_dir: Path) -> bytes:
    return (run_dir / "model.safetensors").read_bytes()
