"""Train the graph network on the clips of a protocol, with the recipe of the papers it comes from, and score the test clips.

SGD with Nesterov momentum, learning rate 0.1 after a linear warm-up, weight decay 4e-4, every clip several times an epoch (CTR-GCN; its
learning rate falls in steps, here along a cosine as in PYSKL), random rotation because a test camera may be new. The last epoch counts.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch.nn import functional

from s2i_hf.data.loading import as_rows
from s2i_hf.models.saved_models import pick_device
from s2i_hf.processing.augmentation import Augmentation
from s2i_hf.processing.encoding import Stream
from s2i_hf.processing.layouts import SkeletonLayout, get_layout
from s2i_hf.processing.rng import hash_ids, uniform
from s2i_hf.processing.transforms import prepare
from s2i_hf.utils.arguments import arg

from .graph_network import GraphNetwork, network_cost
from .inputs import PeerInputs

MOST_PEOPLE = 2  # as every paper on these data sets


@dataclass
class PeerArguments:
    """Settings of a peer; each is a flag of `benchmarks/peer.py` and a key of its YAML files."""

    data: str = arg(help="Protocol, such as nw_ucla_xview, or a folder written by `s2i convert`.")
    data_dir: str | None = arg(None, "Folder with the raw files of the protocol.")
    cache_dir: str | None = arg(None, "Where converted data is cached; the cache of `datasets` if none.")
    output_dir: str | None = arg(None, "Where the results go; runs/<method>_<data> if none.")
    stream: Stream = arg("joint", "What the network reads.")
    num_frames: int = arg(52, "Frames taken from every clip.")
    width: int = arg(32, "Channels of the first blocks; a multiple of 4.")
    groups: int = arg(4, "Groups of channels whose graph is refined for each clip on its own.")
    dropout: float = arg(0.0, "Before the classifier.")
    epochs: int = arg(30, "Epochs; each takes every clip `repeat` times.")
    repeat: int = arg(5, "Times that an epoch takes every clip.")
    batch_size: int = arg(32, "Clips a step.")
    lr: float = arg(0.1, "Highest learning rate.")
    warmup_epochs: float = arg(3.0, "Epochs of rising learning rate.")
    weight_decay: float = arg(4e-4, "Of all parameters.")
    label_smoothing: float = arg(0.1, "Share of the target that is spread over all classes.")
    yaw: float = arg(1.05, "Largest rotation about the vertical axis, radians.")
    tilt: float = arg(0.5, "Largest rotation about the two horizontal axes, radians.")
    crop: tuple[float, float] = arg((1.0, 1.0), "Range of the share of frames kept.")
    mirror: float = arg(0.0, "Probability of swapping left and right.")
    drop_joints: float = arg(0.0, "Probability of losing each joint for the whole clip.")
    jitter: float = arg(0.0, "Standard deviation of noise, in the unit of the layout.")
    precision: Literal["no", "bf16"] = arg("no", "bf16: about 1.4 x faster on processors that compute in it.")
    threads: int | None = arg(None, "Threads of torch; its own choice if none.")
    seed: int = arg(0, "Seed of weights, order and augmentation.")
    validate: bool = arg(False, "Train and test on parts of the training clips, to choose settings; no row is written.")
    method: str | None = arg(None, "Name in the results; stgcn, or stgcn_<stream>, if none.")
    results_csv: str | None = arg(None, "Also append the rows to this table, such as model_cards/results.csv.")
    device: str = arg("auto", "cpu, cuda, cuda:1 ...; auto takes an accelerator if there is one.")

    def __post_init__(self) -> None:
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
        return self.method or ("stgcn" if self.stream == "joint" else f"stgcn_{self.stream}")

    @property
    def run_dir(self) -> Path:
        """Where results go."""
        return Path(self.output_dir or Path("runs") / f"{self.method_name}_{Path(self.data).name}")


@dataclass
class Peer:
    """A trained graph network and what it took.

    Args:
        network: In evaluation mode, on the device it was trained on.
        layout: Joint format; num_people: M that it reads.
        arguments: Settings.
        cost: parameters, flops (one clip, forward), train_clips_per_second, train_seconds; `score` adds test_clips_per_second.
        losses: Mean loss of every epoch.
    """

    network: GraphNetwork
    layout: SkeletonLayout
    num_people: int
    arguments: PeerArguments
    cost: dict[str, float]
    losses: list[float] = field(default_factory=list)

    @torch.no_grad()
    def score(self, rows: Any, batch_size: int = 64) -> np.ndarray:
        """(N, num_classes) float32 log-probabilities of the clips, in float32 whatever the precision of training was.

        Raises:
            ValueError: the clips are of another joint format.
        """
        rows, began = as_rows(rows), time.perf_counter()
        _check_layout(rows, self.layout)
        inputs = PeerInputs(self.layout, self.num_people, self.arguments.num_frames, self.arguments.stream)
        device = next(self.network.parameters()).device
        scores = []
        with _threads(self.arguments.threads):
            for start in range(0, len(rows), batch_size):
                batch = [rows[index] for index in range(start, min(start + batch_size, len(rows)))]
                scores.append(self.network(inputs(batch).to(device)))
        self.cost["test_clips_per_second"] = len(rows) / (time.perf_counter() - began)
        return torch.cat(scores).float().log_softmax(dim=1).cpu().numpy()


def train_peer(
    rows_train: Any, rows_test: Any, arguments: PeerArguments, report: Callable[[str], None] = print
) -> np.ndarray:
    """Train on one split and score the other, once, after the last epoch.

    Args:
        rows_train, rows_test: What `as_rows` takes; labels of the test rows are not read.
        arguments: Settings.
        report: Gets a line an epoch.

    Returns:
        (N_test, num_classes) float32 log-probabilities.

    Raises:
        ValueError: no clips, no labels, one class, or several joint formats.
    """
    check_splits(rows_train, rows_test)  # before training
    return fit_peer(rows_train, arguments, report).score(rows_test)


def fit_peer(rows: Any, arguments: PeerArguments, report: Callable[[str], None] = print) -> Peer:
    """Train on labelled clips; the random state of the caller is left as it was. See `train_peer`."""
    rows = as_rows(rows)
    layout = _check_training(rows)
    device = torch.device(pick_device(arguments.device))
    num_classes = len(rows.class_names) or int(rows.labels.max()) + 1
    num_people = _count_people(rows, layout)
    inputs = PeerInputs(
        layout, num_people, arguments.num_frames, arguments.stream, arguments.augmentation, arguments.seed
    )
    random_state = torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])
    with random_state, _threads(arguments.threads):
        torch.manual_seed(arguments.seed)
        network = GraphNetwork(layout, num_classes, num_people, arguments.width, arguments.groups, arguments.dropout)
        cost: dict[str, float] = dict(network_cost(network, layout, arguments.num_frames, num_people))
        network = network.to(device).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        losses = _train(network, rows, inputs, arguments, device, cost, report)
    return Peer(network.eval(), layout, num_people, arguments, cost, losses)


@contextmanager
def _threads(number: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _train(
    network: GraphNetwork, rows: Any, inputs: PeerInputs, arguments: PeerArguments, device: torch.device,
    cost: dict[str, float], report: Callable[[str], None],
) -> list[float]:  # fmt: skip
    optimizer = torch.optim.SGD(
        network.parameters(), lr=arguments.lr, momentum=0.9, nesterov=True, weight_decay=arguments.weight_decay
    )
    steps = max(1, len(rows) * arguments.repeat // arguments.batch_size)
    began, clips, losses = time.perf_counter(), 0, []
    for epoch in range(arguments.epochs):
        total = 0.0
        for step, (turns, indices) in enumerate(_batches(rows.sample_ids, arguments, epoch, steps)):
            learning_rate = lr_at(epoch * steps + step, steps, arguments)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate
            joints = torch.cat(
                [inputs([rows[index] for index in indices[turns == turn]], int(turn)) for turn in np.unique(turns)]
            ).to(device)
            labels = torch.from_numpy(rows.labels[indices]).to(device)
            with torch.autocast(device.type, torch.bfloat16, enabled=arguments.precision == "bf16"):
                scores = network(joints)
            loss = functional.cross_entropy(scores.float(), labels, label_smoothing=arguments.label_smoothing)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += float(loss.detach())
            clips += len(indices)
        losses.append(total / steps)
        cost["train_seconds"] = time.perf_counter() - began
        cost["train_clips_per_second"] = clips / cost["train_seconds"]
        speed = f"{cost['train_clips_per_second']:.0f} clips/s"
        report(f"epoch {epoch + 1}/{arguments.epochs}: loss {losses[-1]:.4f}, {speed}, {cost['train_seconds']:.0f} s")
    return losses


def lr_at(step: int, steps_per_epoch: int, arguments: PeerArguments) -> float:
    """Learning rate of a step, counted from 0: linear up to the highest, then half a cosine to 0."""
    warmup, last = arguments.warmup_epochs * steps_per_epoch, arguments.epochs * steps_per_epoch
    if step < warmup:
        return arguments.lr * (step + 1) / (warmup + 1)
    return arguments.lr * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(last - warmup, 1)))


def _batches(
    sample_ids: list[str], arguments: PeerArguments, epoch: int, steps: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(pass over the clips, index) of the clips of every step, sorted by pass; what does not fill a batch is left out."""
    hashes, turns = hash_ids(sample_ids), epoch * arguments.repeat + np.arange(arguments.repeat)
    orders = [np.argsort(uniform(arguments.seed, int(turn), hashes, 1, "peer_order")[:, 0]) for turn in turns]
    order, turn_of = np.concatenate(orders), np.repeat(turns, len(hashes))
    for step in range(steps):
        taken = slice(step * arguments.batch_size, (step + 1) * arguments.batch_size)
        yield turn_of[taken], order[taken]


def _count_people(rows: Any, layout: SkeletonLayout) -> int:
    """The most people who are present in a training clip, at most two."""
    many = np.flatnonzero(rows.shapes[:, 1] > 1)
    for index in many:
        joints, _ = prepare(rows[int(index)]["joints"], layout)
        if joints.shape[1] > 1:
            return MOST_PEOPLE
    return 1


def _check_layout(rows: Any, layout: SkeletonLayout) -> None:
    for name in dict.fromkeys(rows.layouts):
        if get_layout(name) != layout:
            raise ValueError(
                f"The graph network was built for layout {layout.name!r}, but there are clips of {get_layout(name).name!r}; "
                "it reads one joint format."
            )


def _check_training(rows: Any) -> SkeletonLayout:
    if len(rows) < 2:
        raise ValueError(f"There are {len(rows)} training clips; a peer needs at least 2.")
    _check_labels(rows, "training")
    if len(np.unique(rows.labels)) < 2:
        raise ValueError(f"All {len(rows)} training clips have one label; a peer needs at least two classes.")
    layout = get_layout(rows.layouts[0])
    _check_layout(rows, layout)
    return layout


def _check_labels(rows: Any, name: str) -> None:
    if (rows.labels < 0).any():
        count = int((rows.labels < 0).sum())
        raise ValueError(f"{count} {name} clips have no label (-1); a peer needs labelled clips.")


def check_splits(rows_train: Any, rows_test: Any, labelled: bool = False) -> None:
    """Raise ValueError, before training, if a peer cannot be trained on one split and tested on the other.

    Args:
        rows_train, rows_test: What `as_rows` takes.
        labelled: Whether the test clips need labels too.
    """
    layout, rows_test = _check_training(as_rows(rows_train)), as_rows(rows_test)
    if len(rows_test) == 0:
        raise ValueError("There are no test clips; check the data folder and the protocol.")
    _check_layout(rows_test, layout)
    if labelled:
        _check_labels(rows_test, "test")
