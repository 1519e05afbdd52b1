"""What accuracy_gpu.py measures in which order, the share of a call that each part gets, and the settings of the trainings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accuracy_plan import FRONTAL, NEW_VIEW, SETS

from s2i_hf.models.building import MODEL_SIZES
from s2i_hf.models.loading import load_config

PRETRAIN, PROBE, FINETUNE, FUSE = "pretrain", "probe", "finetune", "fuse"
# Shares of --seconds: the chain of the first start on the first set and the pretraining of the second start fill a call, the rest another.
FIRST = {PRETRAIN: 0.22, PROBE: 0.05, FINETUNE: 0.28, FUSE: 0.02}
LARGER = {PRETRAIN: 0.28, PROBE: 0.06, FINETUNE: 0.36, FUSE: 0.02}
OTHER_SETS = {PROBE: 0.03, FINETUNE: 0.16, FUSE: 0.02}
MOST_PASSES = 325  # over the clips that a fine-tuning learns from
_ALL_AROUND = 3.1416  # radians about the vertical: from every side
_IMAGES: dict[str, Any] = {"crop": (0.5, 1.0), "scale": 0.1}
_WIDE = 768  # from ViT-B on, smaller steps


@dataclass(frozen=True)
class Section:
    """One part of a run: a training or a measurement, with a folder of its own.

    Args:
        name: Also its folder below --output_dir.
        kind: pretrain, probe, finetune or fuse.
        start: What the arm started from, such as config:small or a folder; arm: what it is called in the results.
        set: Protocol it is measured on; "" of a pretraining.
        stream: What the images of a fine-tuning show.
        share: Of --seconds.
        needs: Sections whose folders it reads.
    """

    name: str
    kind: str
    start: str
    arm: str
    set: str = ""
    stream: str = "joint"
    share: float = 0.0
    needs: tuple[str, ...] = ()


def make_plan(starts: Sequence[str], sets: Sequence[str], streams: Sequence[str]) -> list[Section]:
    """All sections in their order: the whole chain of the first start on the first set, of the other starts there, then the other sets.

    Raises:
        ValueError: two starts of one name.
    """
    arms = [Path(start.removeprefix("config:").rstrip("/")).name.replace(":", "_") for start in starts]
    if len(set(arms)) < len(arms):
        raise ValueError(f"--model has two starts that are called alike: {', '.join(arms)}; rename a folder.")
    plan: list[Section] = []

    def measure(start: str, arm: str, one: str, shares: dict[str, float]) -> None:
        pretrained = (f"pretrain_{arm}",)
        plan.append(Section(f"probe_{arm}_{one}", PROBE, start, arm, one, share=shares[PROBE], needs=pretrained))
        tuned = tuple(f"finetune_{arm}_{one}_{stream}" for stream in streams)
        for name, stream in zip(tuned, streams, strict=True):
            share = shares[FINETUNE] / len(streams)
            plan.append(Section(name, FINETUNE, start, arm, one, stream, share, pretrained))
        if len(streams) > 1:
            plan.append(Section(f"fuse_{arm}_{one}", FUSE, start, arm, one, share=shares[FUSE], needs=tuned))

    for place, (start, arm) in enumerate(zip(starts, arms, strict=True)):
        shares = LARGER if place else FIRST
        plan.append(Section(f"pretrain_{arm}", PRETRAIN, start, arm, share=shares[PRETRAIN]))
        measure(start, arm, sets[0], shares)
    for one in sets[1:]:
        measure(starts[0], arms[0], one, OTHER_SETS)
    return plan


def schedule_of(seconds: float, rate: float, clips: int, batch: int, most_passes: float) -> dict[str, Any]:
    """Batch, epochs, steps and warm-up of a training of about so many seconds.

    Args:
        seconds: Of training steps; rate: clips a second.
        clips: To learn from; most_passes: over them.
        batch: Clips a step.
    """
    steps = max(1, round(min(seconds * rate, most_passes * clips) / batch))
    per_epoch = max(1, clips // batch)
    epochs = -(-steps // per_epoch)
    warmup = min(steps / per_epoch / 10, epochs / 2)
    return {"batch_size": batch, "epochs": epochs, "max_steps": steps, "warmup_epochs": round(warmup, 4)}


def pretrain_settings(start: str) -> dict[str, Any]:
    """Of a universal pretraining: those of the recipe universal/pretrain_open, with a peak of 1e-3 (ViT-B: 6e-4) at a batch of 256."""
    return {"base_lr": 6e-4 if is_wide(start) else 1e-3, "grad_clip": 1.0, **_IMAGES, "yaw": _ALL_AROUND, "tilt": 0.3}


def finetune_settings(start: str, one: str, steps: int) -> dict[str, Any]:
    """Of a fine-tuning: those of the recipe nw_ucla_xview/finetune, with a peak of 2e-3 (ViT-B: 1e-3) at a batch of 64."""
    view = SETS.get(one, ("", FRONTAL))[1]
    memory = round(
        max(0.5, 1 - 4 / max(steps, 1)), 6
    )  # the average is over the last quarter of the steps, as 0.998 is in the recipe
    shared = {"pooling": "columns", "ema": memory, "drop_path": 0.1, "layer_decay": 0.75, **_IMAGES, "tilt": 0.2}
    return {**shared, **view, "base_lr": 4e-3 if is_wide(start) else 8e-3}


def is_new_view(one: str) -> bool:
    """Whether a set is tested by a camera that nothing was trained on."""
    return SETS.get(one, ("", FRONTAL))[1] is NEW_VIEW


def is_wide(start: str) -> bool:
    """Whether a start is a ViT-B or larger."""
    if start.startswith("config:"):
        size = start.removeprefix("config:")
        return MODEL_SIZES[size]["hidden_size"] >= _WIDE if size in MODEL_SIZES else False
    config: Any = load_config(start)
    return config.hidden_size >= _WIDE
