"""`CommonArguments`: the settings that pretraining and fine-tuning share, and what is checked of all of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from ..processing.augmentation import Augmentation
from ..utils.arguments import arg

# Settings that do not change what is computed, so a resumed run may have others.
MAY_CHANGE = frozenset(
    {
        *("data", "data_dir", "cache_dir", "output_dir", "resume", "overwrite", "num_workers", "save_every", "device"),
        *("keep_checkpoints", "log_every", "report_to", "progress", "log_sample_ids", "card", "push_to_hub"),
        *("results_csv", "setting", "method", "test_clips", "test_rotations"),
    }
)
# What a setting of one of these names may be; None is left alone.
_ONE_OR_MORE = (
    *("size", "patch_size", "epochs", "max_steps", "batch_size", "gradient_accumulation", "save_every"),
    *("keep_checkpoints", "log_every", "test_clips", "test_rotations", "noise_levels"),
)
_ABOVE_ZERO = ("base_lr", "grad_clip")
_ZERO_OR_MORE = ("weight_decay", "warmup_epochs", "num_workers", "seed", "label_seed", "mixup", "cutmix")
_BELOW_ONE = ("label_smoothing", "drop_path", "ema")
_ABOVE_ZERO_TO_ONE = ("layer_decay", "label_share")


@dataclass
class CommonArguments:
    """Settings of any training; each is a flag and a YAML key."""

    longest_warmup = 40.0  # epochs

    output_dir: str | None = arg(None, "Run folder; if none, one in runs/ named after method and data.")
    cache_dir: str | None = arg(None, "Where converted data is cached; the cache of `datasets` if none.")
    # augmentation, on the joints; the defaults are those of MAMP, whose rotation is 0.3 about every axis
    crop: tuple[float, float] = arg((0.5, 1.0), "Range of the share of frames kept.")
    speed: tuple[float, float] = arg((1.0, 1.0), "Range of the playing speed, which changes within the clip.")
    yaw: float = arg(0.3, "Largest rotation about the vertical axis, radians.")
    tilt: float = arg(0.3, "Largest rotation about the horizontal axes, radians.")
    scale: float = arg(0.0, "Largest relative change of size.")
    shear: float = arg(0.0, "Largest share of an axis that is added to another.")
    mirror: float = arg(0.0, "Probability of swapping left and right.")
    drop_joints: float = arg(0.0, "Probability of losing a joint for the whole clip.")
    zero_joints: float = arg(0.0, "Largest share of the joints at zero for the whole clip, drawn from 0 up to it.")
    drop_parts: float = arg(0.0, "Probability of losing a body part for the whole clip.")
    drop_frames: float = arg(0.0, "Largest share of the frames lost, in one span.")
    jitter: float = arg(0.0, "Standard deviation of noise on every joint, metres.")
    jitter_frames: int = arg(1, "Frames over which that noise changes; 1: drawn anew in every frame.")
    # the optimisation
    epochs: int = arg(50, "Passes over the training clips.")
    max_steps: int | None = arg(None, "Stop after so many optimizer steps, with the schedule ending there.")
    batch_size: int = arg(32, "Clips a process and micro-batch.")
    gradient_accumulation: int = arg(1, "Micro-batches an optimizer step.")
    base_lr: float = arg(4e-3, "Learning rate of an effective batch of 256; scaled with the effective batch.")
    weight_decay: float = arg(0.05, "On matrices only.")
    warmup_epochs: float | None = arg(
        None, "Epochs of linear warm-up; if none a tenth of all, at most 40 in pretraining and 10 in fine-tuning."
    )
    grad_clip: float | None = arg(1.0, "Largest norm of the gradient.")
    precision: Literal["no", "bf16", "fp16"] = arg("no", "Mixed precision; no is float32.")
    seed: int = arg(0, "Seed of new weights and of everything that is drawn: order, augmentation, masks, mixing ...")
    # the run
    num_workers: int | None = arg(None, "Loader processes; if none, 0 on a CPU and up to 8 beside an accelerator.")
    save_every: int = arg(500, "Optimizer steps between checkpoints.")
    keep_checkpoints: int = arg(2, "Newest checkpoints kept, and with --best that of the best epoch.")
    resume: str = arg("none", "auto: go on from the newest checkpoint; a path: from that one.", bare="auto")
    overwrite: bool = arg(False, "Delete the run in output_dir and start again.")
    log_every: int = arg(10, "Optimizer steps between rows of metrics.jsonl.")
    report_to: Literal["none", "tensorboard", "wandb", "mlflow", "trackio"] = arg(
        "none", "Tracker that gets the rows too."
    )
    progress: bool | None = arg(None, "Progress bar; if none, only on a terminal.")
    card: bool = arg(True, "Write README.md and a picture of the results at the end.")
    push_to_hub: str | None = arg(None, "Upload the finished run to user/name or user/name@branch; private if new.")

    def __post_init__(self) -> None:
        size = getattr(self, "size", None)
        if isinstance(size, tuple) and size[0] == size[1]:
            self.size = size[0]
        self._check(_ONE_OR_MORE, "1 or more", lambda value: value >= 1)
        self._check(_ABOVE_ZERO, "a number above zero", lambda value: 0 < value < math.inf)
        self._check(_ZERO_OR_MORE, "zero or more", lambda value: 0 <= value < math.inf)
        self._check(_BELOW_ONE, "a share from 0 to below 1", lambda value: 0 <= value < 1)
        self._check(_ABOVE_ZERO_TO_ONE, "a share above 0 and at most 1", lambda value: 0 < value <= 1)
        if self.warmup_epochs is not None and self.warmup_epochs >= self.epochs:
            raise ValueError(f"--warmup_epochs {self.warmup_epochs:g} leaves none of {self.epochs} epochs; use fewer.")
        _ = self.augmentation  # refuses bad values now

    def _check(self, names: tuple[str, ...], expected: str, allowed: Callable[[float], bool]) -> None:
        for name in names:
            value = getattr(self, name, None)
            values = value if isinstance(value, tuple) else (value,)
            if value is not None and not all(map(allowed, values)):
                raise ValueError(f"--{name} is {' '.join(map(str, values))}; expected {expected}.")

    @property
    def run_dir(self) -> Path:
        """The run folder."""
        return Path(str(self.output_dir))

    @property
    def augmentation(self) -> Augmentation:
        """Training-time augmentation of the joints."""
        return Augmentation(**{field.name: getattr(self, field.name) for field in fields(Augmentation)})
