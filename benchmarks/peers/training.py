"""Train a graph network on the clips of a protocol, with the recipe of the papers it comes from, and score the test clips.

SGD with Nesterov momentum, learning rate 0.1 after a linear warm-up, every clip several times an epoch, random rotation because a test
camera may be new. The learning rate falls once to a tenth (CTR-GCN) or along a cosine (the compact network, as in PYSKL). The last epoch
counts.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from s2i_hf.data.loading import as_rows
from s2i_hf.models.saved_models import pick_device
from s2i_hf.processing.layouts import SkeletonLayout, get_layout
from s2i_hf.processing.rng import hash_ids, uniform
from s2i_hf.processing.transforms import prepare
from s2i_hf.training.interruption import RunInterrupted, StopRequest

from .arguments import PeerArguments
from .ctr_network import CtrNetwork
from .graph_network import GraphNetwork, JointNetwork, network_cost
from .inputs import PeerInputs
from .resuming import Checkpoints

MOST_PEOPLE = 2  # as every paper on these data sets
CHECKPOINT_SECONDS = 300.0


@dataclass
class Peer:
    """A trained network and what it took.

    Args:
        network: In evaluation mode, on the device it was trained on.
        layout: Joint format; num_people: M that it reads.
        arguments: Settings.
        cost: parameters, flops (one clip, forward), train_clips_per_second, train_seconds; `score` adds test_clips_per_second.
        losses: Mean loss of every epoch.
    """

    network: JointNetwork
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


def fit_peer(
    rows: Any, arguments: PeerArguments, report: Callable[[str], None] = print, run_dir: Path | None = None
) -> Peer:
    """Train on labelled clips; the random state of the caller is left as it was. See `train_peer`.

    With a `run_dir` there are checkpoints in it, from which the same call goes on.

    Raises:
        RunInterrupted: Ctrl-C or SIGTERM, after a checkpoint.
    """
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
        network = build_network(layout, num_classes, num_people, arguments)
        cost: dict[str, float] = dict(network_cost(network, layout, arguments.num_frames, num_people))
        network = network.to(device).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        losses = _train(network, rows, inputs, arguments, device, cost, report, run_dir)
    return Peer(network.eval(), layout, num_people, arguments, cost, losses)


def build_network(layout: SkeletonLayout, num_classes: int, num_people: int, arguments: PeerArguments) -> JointNetwork:
    """The network that the settings name, with new weights."""
    if arguments.network == "ctrgcn":
        return CtrNetwork(layout, num_classes, num_people, arguments.width, arguments.dropout)
    return GraphNetwork(layout, num_classes, num_people, arguments.width, arguments.groups, arguments.dropout)


@contextmanager
def _threads(number: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _train(
    network: JointNetwork, rows: Any, inputs: PeerInputs, arguments: PeerArguments, device: torch.device,
    cost: dict[str, float], report: Callable[[str], None], run_dir: Path | None,
) -> list[float]:  # fmt: skip
    optimizer = torch.optim.SGD(
        network.parameters(), lr=arguments.lr, momentum=0.9, nesterov=True, weight_decay=arguments.weight_decay
    )
    kept = Checkpoints(run_dir, arguments, rows.sample_ids, network, optimizer)
    progress, before = kept.progress, kept.progress.seconds
    steps = max(1, len(rows) * arguments.repeat // arguments.batch_size)
    if progress.step:
        report(f"goes on after step {progress.step} of {arguments.epochs * steps}")
    began = saved = time.perf_counter()
    with StopRequest() as stop:
        for epoch in range(progress.step // steps, arguments.epochs):
            for turns, indices in _batches(rows.sample_ids, arguments, epoch, steps, progress.step % steps):
                for group in optimizer.param_groups:
                    group["lr"] = lr_at(progress.step, steps, arguments)
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
                progress.window += float(loss.detach())
                progress.step += 1
                now = time.perf_counter()
                progress.seconds = before + now - began
                if progress.step % steps == 0:
                    _end_epoch(kept, steps, len(indices), arguments.epochs, cost, report)
                if stop.requested or progress.step == steps * arguments.epochs or now - saved > CHECKPOINT_SECONDS:
                    kept.save()
                    saved = now
                if stop.requested:
                    raise RunInterrupted(
                        f"Stopped after {progress.step} of {steps * arguments.epochs} steps"
                        + ("; repeat the command to go on from there." if run_dir else ".")
                    )
    return kept.losses


def _end_epoch(
    kept: Checkpoints, steps: int, batch: int, epochs: int, cost: dict[str, float], report: Callable[[str], None]
) -> None:
    progress = kept.progress
    cost["train_seconds"] = progress.seconds
    cost["train_clips_per_second"] = speed = progress.step * batch / progress.seconds
    kept.end_epoch(progress.window / steps, speed)
    progress.window = 0.0
    done = len(kept.losses)
    report(f"epoch {done}/{epochs}: loss {kept.losses[-1]:.4f}, {speed:.1f} clips/s, {progress.seconds:.0f} s")


def lr_at(step: int, steps_per_epoch: int, arguments: PeerArguments) -> float:
    """Learning rate of a step, counted from 0: linear up to the highest, then half a cosine to 0, or after `lr_drop` a tenth."""
    warmup, last = arguments.warmup_epochs * steps_per_epoch, arguments.epochs * steps_per_epoch
    if step < warmup:
        return arguments.lr * (step + 1) / (warmup + 1)
    if arguments.lr_drop is not None:
        return arguments.lr * (1 if step < round(arguments.lr_drop * last) else 0.1)
    return arguments.lr * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(last - warmup, 1)))


def _batches(
    sample_ids: list[str], arguments: PeerArguments, epoch: int, steps: int, first: int = 0
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(pass over the clips, index) of the clips of every step from `first` on, sorted by pass; what does not fill a batch is left out."""
    hashes, turns = hash_ids(sample_ids), epoch * arguments.repeat + np.arange(arguments.repeat)
    orders = [np.argsort(uniform(arguments.seed, int(turn), hashes, 1, "peer_order")[:, 0]) for turn in turns]
    order, turn_of = np.concatenate(orders), np.repeat(turns, len(hashes))
    for step in range(first, steps):
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
