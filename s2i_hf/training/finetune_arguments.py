"""`FinetuneArguments`: every setting of a fine-tuning, as flags of `s2i finetune` and keys of its YAML files."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..processing.encoding import Stream
from ..utils.arguments import arg
from .common_arguments import CommonArguments


@dataclass
class _FinetuneTask:
    """What is learned: the classifier, its loss, its clips; before the common settings in `--help`."""

    model: str = arg(
        help="Run folder or Hub id of what to start from, config:micro|tiny|small|base|large, or vision:tiny."
    )
    data: str = arg(help="Protocol, such as nw_ucla_xview, or a folder written by `s2i convert`.")
    data_dir: str | None = arg(None, "Folder with the raw files of the protocol.")
    # the model
    encoder: Literal["pretrained", "untrained"] = arg(
        "pretrained", "Weights of --model, or fresh ones in its architecture: the from-scratch arm."
    )
    pooling: Literal["cls", "mean", "columns"] = arg(
        "cls", "What the head reads: the CLS token, the mean of the patches, or the mean over time of each column."
    )
    size: int | tuple[int, int] | None = arg(
        None,
        "Side of the image in pixels, or height (time) and width (joints): 224 112, 224x112; the model's if none (224 for config:...).",
    )
    stream: Stream | None = arg(None, "What the image shows; the processor's if none.")
    people: Literal["adaptive", "first"] | None = arg(
        None, "Blocks of as many people as present, or actor 1 alone; the processor's if none."
    )
    to_layout: str | None = arg(None, "Convert all clips to this joint format first, such as kinect_v1.")
    # the loss and what keeps the model from learning by heart
    mixup: float = arg(0.0, "Parameter of mixup on the images (MAE: 0.8); 0: none.")
    cutmix: float = arg(0.0, "Parameter of cutmix on the images (MAE: 1.0); 0: none.")
    label_smoothing: float = arg(0.1, "Share of the target that goes to all classes alike.")
    class_weights: Literal["none", "balanced"] = arg("none", "Loss of each class, or of rare classes the more.")
    drop_path: float = arg(0.1, "Probability of skipping the last layer; the first one's is 0.")
    layer_decay: float = arg(0.75, "Learning rate of a layer as a share of that of the layer above it.")
    ema: float | None = arg(None, "Decay of a moving average of the weights, which is tested then; such as 0.999.")
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
    test_rotations: int = arg(
        1, "Rotations of them, over the circle, averaged too: for a camera that was not trained on."
    )
    # the run
    setting: str = arg("fine_tune", "Name of the setting in the results.")
    method: str | None = arg(None, "Name in the results; from the name of the model if none.")
    results_csv: str | None = arg(None, "Also append the rows to this table, such as model_cards/results.csv.")
    device: Literal["auto", "cpu", "cuda"] = arg("auto", "auto takes an accelerator if there is one.")
    compile: bool = arg(False, "Compile the model with torch.compile.")


@dataclass
class FinetuneArguments(CommonArguments, _FinetuneTask):
    """Settings of a fine-tuning; each is a flag of `s2i finetune` and a key of its YAML files."""

    longest_warmup = 10.0

    def __post_init__(self) -> None:
        if self.output_dir is None:
            arm = "untrained_" if self.encoder == "untrained" and not self.from_scratch else ""
            self.output_dir = f"runs/finetune_{arm}{self.method_name}_{Path(self.data).name}"
        super().__post_init__()
        if self.best and self.validation_share == 0:
            raise ValueError(
                "--best needs clips to choose the epoch by, and test clips are not for choosing; add --validation subjects."
            )
        _ = self.validation_share  # refuses bad values now

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
        """Name in the results: `mae` for `runs/mae_nw_ucla_xview`, `tiny` for `config:tiny`, `vision_tiny` for `vision:tiny`."""
        if self.method:
            return self.method
        name = Path(self.model.removeprefix("config:").replace(":", "_")).name
        return name.removesuffix(f"_{Path(self.data).name}") or name

    @property
    def validation_share(self) -> float:
        """Share of the training clips held out, 0 for none; of whole people or cameras as many clips as they have.

        Raises:
            ValueError: `validation` is neither a word nor a share.
        """
        words = {"none": 0.0, "subjects": 0.25, "cameras": 0.25, "stratified": 0.25}
        if self.validation in words:
            return words[self.validation]
        with suppress(ValueError):
            if 0 < float(self.validation) < 1:
                return float(self.validation)
        expected = ", ".join(words)
        raise ValueError(f"--validation is {self.validation!r}; expected {expected}, or a share above 0 and below 1.")
