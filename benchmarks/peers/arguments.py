"""Settings of a peer, and the recipe that each network was published with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from s2i_hf.processing.augmentation import Augmentation
from s2i_hf.processing.encoding import Stream
from s2i_hf.utils.arguments import arg

# What is not set is as the network's recipe has it. stgcn: this project's, of the papers that graph_network.py names. ctrgcn: of its paper
# and its authors' settings for NW-UCLA: 65 epochs that take every clip five times, a tenth of the learning rate after 50 (for NTU the
# weight decay is 4e-4).
RECIPES: dict[str, dict[str, Any]] = {
    "stgcn": {
        "width": 32, "epochs": 30, "batch_size": 32, "warmup_epochs": 3.0, "weight_decay": 4e-4, "label_smoothing": 0.1, "lr_drop": None,
        "tilt": 0.5,
    },
    "ctrgcn": {
        "width": 64, "epochs": 65, "batch_size": 16, "warmup_epochs": 5.0, "weight_decay": 1e-4, "label_smoothing": 0.0, "lr_drop": 50 / 65,
        "tilt": 0.52,
    },
}  # fmt: skip
_RECIPE = "; as the network's recipe has it if none."


@dataclass
class PeerArguments:
    """Settings of a peer; each is a flag of `benchmarks/peer.py` and a key of its YAML files."""

    data: str = arg(help="Protocol, such as nw_ucla_xview, or a folder written by `s2i convert`.")
    data_dir: str | None = arg(None, "Folder with the raw files of the protocol.")
    cache_dir: str | None = arg(None, "Where converted data is cached; the cache of `datasets` if none.")
    output_dir: str | None = arg(None, "Where the results go; runs/<method>_<data> if none.")
    network: Literal["stgcn", "ctrgcn"] = arg(
        "stgcn", "Compact, or of the size and kind of CTR-GCN; each with its own recipe."
    )
    stream: Stream = arg("joint", "What the network reads.")
    num_frames: int = arg(52, "Frames taken from every clip.")
    width: int = arg(None, f"Channels of the first blocks, a multiple of 4{_RECIPE}")
    groups: int = arg(
        4, "Of stgcn: groups of channels whose graph is refined for each clip on its own; ctrgcn has one a channel."
    )
    dropout: float = arg(0.0, "Before the classifier.")
    epochs: int = arg(None, f"Epochs, each of which takes every clip `repeat` times{_RECIPE}")
    repeat: int = arg(5, "Times that an epoch takes every clip.")
    batch_size: int = arg(None, f"Clips a step{_RECIPE}")
    lr: float = arg(0.1, "Highest learning rate.")
    warmup_epochs: float = arg(None, f"Epochs of rising learning rate{_RECIPE}")
    lr_drop: float | None = arg(
        None,
        "Share of the epochs after which the learning rate is a tenth; ctrgcn 50 of 65, stgcn a cosine from the start.",
    )
    weight_decay: float = arg(None, f"Of all parameters{_RECIPE}")
    label_smoothing: float = arg(None, f"Share of the target that is spread over all classes{_RECIPE}")
    yaw: float = arg(1.05, "Largest rotation about the vertical axis, radians.")
    tilt: float = arg(None, f"Largest rotation about the two horizontal axes, radians{_RECIPE}")
    crop: tuple[float, float] = arg((1.0, 1.0), "Range of the share of frames kept.")
    mirror: float = arg(0.0, "Probability of swapping left and right.")
    drop_joints: float = arg(0.0, "Probability of losing each joint for the whole clip.")
    jitter: float = arg(0.0, "Standard deviation of noise, in the unit of the layout.")
    precision: Literal["no", "bf16"] = arg("no", "bf16: about 1.4 x faster on processors that compute in it.")
    threads: int | None = arg(None, "Threads of torch; its own choice if none.")
    label_share: float = arg(
        1.0, "Share of the training clips that keep their label, such as 0.1; as of `s2i finetune`."
    )
    label_seed: int = arg(0, "Draws that share.")
    seed: int = arg(0, "Seed of weights, order and augmentation.")
    validate: bool = arg(False, "Train and test on parts of the training clips, to choose settings; no row is written.")
    method: str | None = arg(None, "Name in the results; the network, or <network>_<stream>, if none.")
    resume: str = arg(
        "auto",
        "Checkpoint of this run to go on from; auto: the newest if there is one; none: from the start.",
        bare="auto",
    )
    results_csv: str | None = arg(None, "Also append the rows to this table, such as model_cards/results.csv.")
    device: str = arg("auto", "cpu, cuda, cuda:1 ...; auto takes an accelerator if there is one.")

    def __post_init__(self) -> None:
        for name, value in RECIPES[self.network].items():
            if getattr(self, name) is None:
                setattr(self, name, value)
        for name in ("num_frames", "epochs", "repeat"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name} is {getattr(self, name)}; expected 1 or more.")
        if self.batch_size < 2:
            raise ValueError(f"--batch_size is {self.batch_size}; batch normalisation needs 2 clips or more.")
        for name in ("dropout", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"--{name} is {getattr(self, name)}; expected a share from 0 to below 1.")
        if not 0 <= self.warmup_epochs <= self.epochs:
            raise ValueError(f"--warmup_epochs is {self.warmup_epochs}; expected 0 to --epochs, {self.epochs}.")
        if self.lr_drop is not None and not 0 < self.lr_drop <= 1:
            raise ValueError(f"--lr_drop is {self.lr_drop}; expected a share of the epochs, above 0 and at most 1.")
        if not 0 < self.label_share <= 1 or self.label_seed < 0:
            raise ValueError(
                f"--label_share is {self.label_share} and --label_seed {self.label_seed}; expected above 0 and at most 1, and 0 or more."
            )
        if self.lr <= 0 or self.weight_decay < 0:
            raise ValueError(
                f"--lr is {self.lr} and --weight_decay {self.weight_decay}; expected above 0, and 0 or more."
            )
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"--threads is {self.threads}; expected 1 or more.")
        _ = self.augmentation  # refuses bad values now

    @property
    def augmentation(self) -> Augmentation:
        """Augmentation of the training clips; size is not changed, as axes are stretched to one range afterwards."""
        return Augmentation(
            crop=self.crop, yaw=self.yaw, tilt=self.tilt, mirror=self.mirror, drop_joints=self.drop_joints,
            jitter=self.jitter,
        )  # fmt: skip

    @property
    def method_name(self) -> str:
        """Name in the results."""
        return self.method or (self.network if self.stream == "joint" else f"{self.network}_{self.stream}")

    @property
    def setting(self) -> str:
        """Setting in the results, as `s2i finetune` runs of few labels are named."""
        return "supervised" if self.label_share == 1 else f"semi_{100 * self.label_share:g}"

    @property
    def run_dir(self) -> Path:
        """Where results go."""
        return Path(self.output_dir or Path("runs") / f"{self.method_name}_{Path(self.data).name}")
