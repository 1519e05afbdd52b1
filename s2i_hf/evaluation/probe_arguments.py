"""`ProbeArguments`: every setting of a probe, as flags of `examples/probe.py` and keys of its YAML files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..models.loading import check_model_name
from ..processing.augmentation import Augmentation
from ..processing.layouts import get_layout
from ..runs.results import ENCODERS, results_dir
from ..utils.arguments import arg
from .probes import SETTINGS


@dataclass
class ProbeArguments:
    """Settings of a probe; each is a flag of `examples/probe.py` and a key of its YAML files."""

    model: str = arg(
        help="Run folder of a pretraining, or a Hub id: ViTMAE, ViT, DeiT, DINOv2, CLIP, SigLIP, ConvNeXt, Swin ..."
    )
    data: str = arg(help="Protocol, such as nw_ucla_xview, or a folder written by `s2i convert`.")
    data_dir: str | None = arg(None, "Folder with the raw files of the protocol.")
    cache_dir: str | None = arg(None, "Where converted data is cached; the cache of `datasets` if none.")
    to_layout: str | None = arg(None, "Convert all clips to this joint format first, such as kinect_v1.")
    output_dir: str | None = arg(None, "Where the results go; the run folder itself if none.")
    encoders: tuple[Literal["pretrained", "untrained", "raw_joints"], ...] = arg(ENCODERS, "What to probe.")
    settings: tuple[Literal["linear_probe", "knn"], ...] = arg(SETTINGS, "How to probe it.")
    pooling: Literal["auto", "mean", "cls", "part", "part_std"] = arg(
        "auto",
        "Features; auto chooses mean, cls or part on held-out training subjects. part_std: part, and its variation in time.",
    )
    streams: tuple[Literal["joint", "bone", "motion"], ...] = arg(
        (), "Features of these images of each clip side by side; of the processor's own stream if none."
    )
    validation: Literal["auto", "subjects", "cameras"] = arg(
        "auto", "Held out to choose settings: subjects; or a training camera in turn; auto: as the test's cameras ask."
    )
    num_frames: int = arg(16, "Frames that raw joints are resampled to.")
    copies: int = arg(
        0, "Augmented copies of each training clip that every encoder is probed with, beside the clip itself."
    )
    crop: tuple[float, float] = arg((0.8, 1.0), "Of the copies: range of the share of frames kept.")
    yaw: float = arg(1.5, "Of the copies: largest rotation about the vertical axis, radians.")
    turns: int = arg(
        1,
        "Views that an encoder's features are the mean of: the clip turned about the vertical axis, evenly over the circle; raw "
        "joints are fitted on all of them.",
    )
    batch_size: int = arg(64, "Clips a forward pass.")
    seed: int | None = arg(None, "Seed of the untrained encoder and of the held-out subjects; the run's own if none.")
    method: str | None = arg(None, "Name in the results; from the name of the run folder if none.")
    results_csv: str | None = arg(None, "Also append the rows to this table, such as model_cards/results.csv.")
    device: str = arg("auto", "cpu, cuda, cuda:1 ...; auto takes an accelerator if there is one.")
    card: bool = arg(True, "Write README.md and confusion.png.")

    def __post_init__(self) -> None:
        for name in ("batch_size", "num_frames", "turns"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name} is {getattr(self, name)}; expected 1 or more.")
        if self.copies < 0:
            raise ValueError(f"--copies is {self.copies}; expected 0 or more.")
        _ = self.augmentation  # refuses bad values now
        if self.to_layout is not None:
            get_layout(self.to_layout)
        for name in ("encoders", "settings"):
            if not getattr(self, name):
                raise ValueError(f"--{name} is empty; name at least one.")
        if len(set(self.streams)) < len(self.streams):
            raise ValueError(f"--streams names something twice: {', '.join(self.streams)}; expected each once.")
        check_model_name(self.model)  # now, not after minutes of reading data

    @property
    def augmentation(self) -> Augmentation:
        """Augmentation of the copies."""
        return Augmentation(crop=self.crop, yaw=self.yaw)

    @property
    def run_dir(self) -> Path:
        """Where results go."""
        return results_dir("probe", self.output_dir, self.model, self.data)
