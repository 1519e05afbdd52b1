"""`FinetuneArguments`: every setting of a fine-tuning, as flags of `examples/finetune.py` and keys of its YAML files."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from ..models.loading import check_model_name
from ..processing.augmentation import Augmentation
from ..utils.arguments import arg


@dataclass
class FinetuneArguments:
    """Settings of a fine-tuning; each is a flag of `examples/finetune.py` and a key of its YAML files."""

    model: str = arg(help="Run folder or Hub id of what to start from, or config:micro|tiny|small|base|large.")
    data: str = arg(help="Protocol, such as nw_ucla_xview, or a folder written by `s2i convert`.")
    data_dir: str | None = arg(None, "Folder with the raw files of the protocol.")
    cache_dir: str | None = arg(None, "Where converted data is cached; the cache of `datasets` if none.")
    output_dir: str | None = arg(None, "Run folder; runs/finetune_<method>_<data> if none.")
    # the model
    encoder: Literal["pretrained", "untrained"] = arg(
        "pretrained", "Weights of --model, or fresh ones in its architecture: the from-scratch arm."
    )
    pooling: Literal["cls", "mean", "columns"] = arg(
        "cls",
        "What the head reads: the CLS token, the mean of the patches, or the mean over time of every patch column.",
    )
    size: int | None = arg(None, "Side of the image in pixels; the model's if none (224 for config:...).")
    stream: Literal["joint", "bone", "motion"] | None = arg(None, "What the image shows; the processor's if none.")
    people: Literal["adaptive", "first"] | None = arg(
        None, "Blocks of as many people as present, or actor 1 alone; the processor's if none."
    )
    to_layout: str | None = arg(None, "Convert all clips to this joint format first, such as kinect_v1.")
    # augmentation, on the joints
    crop: tuple[float, float] = arg((0.5, 1.0), "Range of the share of frames kept.")
    speed: tuple[float, float] = arg((1.0, 1.0), "Range of the playing speed, which changes within the clip.")
    yaw: float = arg(0.3, "Largest rotation about the vertical axis, radians.")
    tilt: float = arg(0.3, "Largest rotation about the horizontal axes, radians.")
    scale: float = arg(0.0, "Largest relative change of size.")
    shear: float = arg(0.0, "Largest share of an axis that is added to another.")
    mirror: float = arg(0.0, "Probability of swapping left and right.")
    drop_joints: float = arg(0.0, "Probability of losing a joint for the whole clip.")
    drop_parts: float = arg(0.0, "Probability of losing a body part for the whole clip.")
    drop_frames: float = arg(0.0, "Largest share of the frames lost, in one span.")
    jitter: float = arg(0.0, "Standard deviation of noise on every joint, metres.")
    jitter_frames: int = arg(1, "Frames over which that noise changes; 1: drawn anew in every frame.")
    # the loss and what keeps the model from learning by heart
    mixup: float = arg(0.0, "Parameter of mixup on the images (MAE: 0.8); 0: none.")
    cutmix: float = arg(0.0, "Parameter of cutmix on the images (MAE: 1.0); 0: none.")
    label_smoothing: float = arg(0.1, "Share of the target that goes to all classes alike.")
    class_weights: Literal["none", "balanced"] = arg("none", "Loss of each class, or of rare classes the more.")
    drop_path: float = arg(0.1, "Probability of skipping the last layer; the first one's is 0.")
    layer_decay: float = arg(0.75, "Learning rate of a layer as a share of that of the layer above it.")
    ema: float | None = arg(
        None, "Decay of a moving average of the weights, which is then what is tested; such as 0.999."
    )
    # which clips
    label_share: float = arg(1.0, "Share of the training clips that keep their label, such as 0.1; stratified.")
    label_seed: int = arg(0, "Draws that share.")
    validation: str = arg(
        "none",
        "Training clips held out: none, subjects (a quarter, whole people), cameras (one, for a test with a new view), stratified (a "
        "quarter), or a share such as 0.1.",
    )
    best: bool = arg(False, "Keep the epoch that is best on the validation clips rather than the last.")
    test_clips: int = arg(1, "Windows of each test clip whose probabilities are averaged.")
    # the optimisation
    epochs: int = arg(50, "Passes over the training clips.")
    max_steps: int | None = arg(None, "Stop after so many optimizer steps, with the schedule ending there.")
    batch_size: int = arg(32, "Clips a process and micro-batch.")
    gradient_accumulation: int = arg(1, "Micro-batches an optimizer step.")
    base_lr: float = arg(4e-3, "Learning rate of an effective batch of 256; scaled with the effective batch.")
    weight_decay: float = arg(0.05, "On matrices only.")
    warmup_epochs: float | None = arg(None, "Epochs of linear warm-up; if none a tenth of the epochs, at most 10.")
    grad_clip: float | None = arg(1.0, "Largest norm of the gradient.")
    precision: Literal["no", "bf16", "fp16"] = arg("no", "Mixed precision; no is float32.")
    compile: bool = arg(False, "Compile the model with torch.compile.")
    seed: int = arg(0, "Seed of new weights, order, augmentation, mixing and drop path.")
    # the run
    setting: str = arg("fine_tune", "Name of the setting in the results.")
    method: str | None = arg(None, "Name in the results; from the name of the model if none.")
    results_csv: str | None = arg(None, "Also append the rows to this table, such as model_cards/results.csv.")
    device: Literal["auto", "cpu", "cuda"] = arg("auto", "auto takes an accelerator if there is one.")
    num_workers: int | None = arg(None, "Loader processes; if none, 0 on a CPU and up to 8 beside an accelerator.")
    save_every: int = arg(500, "Optimizer steps between checkpoints.")
    keep_checkpoints: int = arg(2, "Newest checkpoints kept.")
    resume: str = arg("none", "auto: go on from the newest checkpoint; a path: from that one.", bare="auto")
    overwrite: bool = arg(False, "Delete the run in output_dir and start again.")
    log_every: int = arg(10, "Optimizer steps between rows of metrics.jsonl.")
    report_to: Literal["none", "tensorboard", "wandb", "mlflow", "trackio"] = arg(
        "none", "Tracker that gets the rows too."
    )
    progress: bool | None = arg(None, "Progress bar; if none, only on a terminal.")
    card: bool = arg(True, "Write README.md and confusion.png at the end.")
    push_to_hub: str | None = arg(None, "Upload the finished run to user/name or user/name@branch; private if new.")

    def __post_init__(self) -> None:
        if self.output_dir is None:
            arm = "untrained_" if self.encoder == "untrained" and not self.from_scratch else ""
            self.output_dir = f"runs/finetune_{arm}{self.method_name}_{Path(self.data).name}"
        for name in ("size", "epochs", "batch_size", "gradient_accumulation", "save_every", "keep_checkpoints", "log_every",
                     "max_steps", "test_clips"):  # fmt: skip
            if (value := getattr(self, name)) is not None and value < 1:
                raise ValueError(f"--{name} is {value}; expected 1 or more.")
        for name in ("base_lr", "grad_clip"):
            if (value := getattr(self, name)) is not None and not 0 < value < math.inf:
                raise ValueError(f"--{name} is {value}; expected a number above zero.")
        for name in ("weight_decay", "warmup_epochs", "num_workers", "mixup", "cutmix", "seed", "label_seed"):
            if (value := getattr(self, name)) is not None and not 0 <= value < math.inf:
                raise ValueError(f"--{name} is {value}; expected zero or more.")
        for name in ("label_smoothing", "drop_path", "ema"):
            if (value := getattr(self, name)) is not None and not 0 <= value < 1:
                raise ValueError(f"--{name} is {value}; expected a share from 0 to below 1.")
        for name in ("layer_decay", "label_share"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"--{name} is {getattr(self, name)}; expected a share above 0 and at most 1.")
        if self.warmup_epochs is not None and self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"--warmup_epochs {self.warmup_epochs:g} leaves none of {self.epochs} epochs; expected fewer."
            )
        if self.best and self.validation_share == 0:
            raise ValueError(
                "--best needs clips to choose the epoch by, and test clips are not for choosing; add --validation subjects."
            )
        _ = self.augmentation, self.validation_share  # refuses bad values now
        if not self.from_scratch:
            check_model_name(self.model)  # now, not after minutes of reading data

    @property
    def run_dir(self) -> Path:
        """The run folder."""
        return Path(str(self.output_dir))

    @property
    def from_scratch(self) -> bool:
        """Whether `model` is a size and not weights."""
        return self.model.startswith("config:")

    @property
    def encoder_name(self) -> str:
        """The encoder of the results: "pretrained" or "untrained"."""
        return "untrained" if self.from_scratch else self.encoder

    @property
    def method_name(self) -> str:
        """Name in the results: `mae` for `runs/mae_nw_ucla_xview`, `tiny` for `config:tiny`."""
        if self.method:
            return self.method
        name = Path(self.model.removeprefix("config:")).name
        return name.removesuffix(f"_{Path(self.data).name}") or name

    @property
    def augmentation(self) -> Augmentation:
        """Training-time augmentation of the joints."""
        return Augmentation(**{field.name: getattr(self, field.name) for field in fields(Augmentation)})

    @property
    def validation_share(self) -> float:
        """Share of the training clips held out, 0 for none; of whole people or cameras as many clips as they have.

        Raises:
            ValueError: `validation` is neither a word nor a share.
        """
        words = {"none": 0.0, "subjects": 0.25, "cameras": 0.25, "stratified": 0.25}
        if self.validation in words:
            return words[self.validation]
        try:
            share = float(self.validation)
        except ValueError:
            share = -1.0
        if not 0 < share < 1:
            raise ValueError(
                f"--validation is {self.validation!r}; expected none, subjects, cameras, stratified, or a share above 0 "
                "and below 1."
            )
        return share
