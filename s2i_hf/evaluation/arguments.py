"""Settings that evaluations of trained models share, and the clips and facts that all of them begin with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from torch import nn

from ..data.loading import load_skeletons
from ..data.skeleton_rows import SkeletonRows, rows_of_splits
from ..data.sources import check_source
from ..models.loading import check_model_name
from ..models.saved_models import pick_device
from ..processing.augmentation import Augmentation
from ..processing.layouts import get_layout
from ..runs.provenance import current_commit, hardware_name, public_command
from ..utils.arguments import arg
from .features import Features, MoreViews, Rows, Views, extract_features
from .validation_splits import probe_folds

if TYPE_CHECKING:
    from ..processing.image_processing_skeleton import SkeletonProcessor


@dataclass(kw_only=True)
class EvaluationArguments:
    """Data, output and device of an evaluation."""

    data: str = arg(help="Protocol, such as nw_ucla_xview, or a folder written by `s2i convert`.")
    data_dir: str | None = arg(None, "Folder with the raw files of the protocol.")
    cache_dir: str | None = arg(None, "Where converted data is cached; the cache of `datasets` if none.")
    output_dir: str | None = arg(None, "Where the results go; the run folder itself if none.")
    method: str | None = arg(None, "Name in the results; that of the run, or the kind of model, if none.")
    results_csv: str | None = arg(None, "Also append the rows to this table, such as model_cards/results.csv.")
    device: str = arg("auto", "cpu, cuda, cuda:1 ...; auto takes an accelerator if there is one.")
    batch_size: int = arg(64, "Clips a forward pass.")

    def __post_init__(self) -> None:
        for name in ("batch_size", "num_frames", "rotations", "test_clips", "test_rotations"):
            if getattr(self, name, 1) < 1:
                raise ValueError(f"--{name} is {getattr(self, name)}; expected 1 or more.")
        for name in ("encoders", "settings", "queries"):
            if not getattr(self, name, True):
                raise ValueError(f"--{name} is empty; name at least one.")

    def facts(self, train: SkeletonRows, test: SkeletonRows, protocol: str, **more: Any) -> dict[str, Any]:
        """What all rows of this evaluation share, for `metrics.metric_rows`: numbers of clips, origin and `more`."""
        return {"protocol": protocol, "train_clips": len(train), "test_clips": len(test), **self.origin, **more}

    @property
    def origin(self) -> dict[str, str]:
        """Command, commit and hardware of its numbers."""
        device = hardware_name(pick_device(self.device))
        return {"command": public_command(), "commit": current_commit(), "hardware": device}

    @property
    def model_names(self) -> tuple[str, ...]:
        """The models that are evaluated."""
        return ()

    def check(self, data: Mapping[str, Any] | None) -> None:
        """Look whether the data, unless they are given, and then the models can be there at all; not after minutes of reading."""
        if data is None:
            check_source(self.data, self.data_dir)
        for name in self.model_names:
            check_model_name(name)

    def clips(self, data: Mapping[str, Any] | None, layout: str | None = None) -> tuple[dict[str, SkeletonRows], str]:
        """The splits of a data set, loaded here if None, in this joint layout; and the name of the protocol."""
        self.check(data)
        if data is None:
            data = load_skeletons(self.data, self.data_dir, cache_dir=self.cache_dir)
        splits = rows_of_splits(data, layout)
        return splits, splits["train"].name or Path(self.data).name


@dataclass(kw_only=True)
class EncoderArguments(EvaluationArguments):
    """An evaluation of one model, whose encoder is compared with its untrained twin."""

    kind: ClassVar[str]  # of evaluation, in the name of the folder where a model has none

    model: str = arg(
        help="Run folder of a training, vision:tiny, or Hub id: ViTMAE, ViT, DeiT, DINOv2, CLIP, SigLIP, Swin ..."
    )
    rotations: int = arg(
        1,
        "Views that an encoder's features are the mean of: the clip rotated about the vertical axis, evenly over the circle; raw "
        "joints are fitted on all of them.",
        was="turns",
    )
    seed: int = arg(0, "Seed of the untrained encoder, of the held-out subjects and of all that is drawn.")

    def __post_init__(self) -> None:
        super().__post_init__()

    @property
    def model_names(self) -> tuple[str, ...]:
        """The model."""
        return (self.model,)

    @property
    def run_dir(self) -> Path:
        """Where results go: `output_dir` if given, else the model's own folder, else runs/<kind>_<model>_<data>."""
        own, name = self.model if Path(self.model).is_dir() else None, self.model.rpartition("/")[2].replace(":", "_")
        return Path(self.output_dir or own or f"runs/{self.kind}_{name}_{Path(self.data).name}")

    def features(self, encoder: nn.Module, rows: Rows, processor: SkeletonProcessor, **options: Any) -> Features:
        """`extract_features` with the batch size, device and rotations of these settings."""
        options |= {"batch_size": self.batch_size, "device": pick_device(self.device), "rotations": self.rotations}
        return extract_features(encoder, rows, processor, **options)


@dataclass(kw_only=True)
class FittedArguments(EncoderArguments):
    """A classifier that is fitted on training clips, and on augmented copies of them if wanted."""

    to_layout: str | None = arg(None, "Read all clips in this joint layout, such as kinect_v1.")
    copies: int = arg(0, "Augmented copies of each training clip that every encoder is probed with, beside it.")
    crop: tuple[float, float] = arg((0.8, 1.0), "Of the copies: range of the share of frames kept.")
    yaw: float = arg(1.5, "Of the copies: largest rotation about the vertical axis, radians.")

    def __post_init__(self) -> None:
        if self.copies < 0:
            raise ValueError(f"--copies is {self.copies}; expected 0 or more.")
        _ = self.augmentation  # refuses bad values now
        if self.to_layout is not None:
            get_layout(self.to_layout)
        super().__post_init__()

    @property
    def augmentation(self) -> Augmentation:
        """Augmentation of the copies."""
        return Augmentation(crop=self.crop, yaw=self.yaw)

    def views(self, train: SkeletonRows, test: SkeletonRows, seed: int, by: str = "auto", rotations: int = 1) -> Views:
        """The training clips and their copies, all of these at so many `rotations`; the rest as in `probe_folds`."""
        rows = MoreViews(train, self.copies, self.augmentation, seed, rotations)
        times = (1 + self.copies) * rotations
        folds = probe_folds(train, test.cameras, seed, by, times)
        return Views(rows, np.tile(train.labels, times), np.tile(train.subjects, times), folds)
