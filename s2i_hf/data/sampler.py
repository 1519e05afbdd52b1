"""Which clips every optimizer step takes: `EpochSampler`, and the loader around it.

All of it is a function of the step and the seed. An epoch's order depends on (seed, epoch) and the clips' ids, and step s
takes the same clips whatever the number of processes and micro-batches, so that a resumed run needs no state of a sampler
and a run of two processes computes what a run of one computes. In a mixture of datasets an epoch draws from each as often as it
is told to (`mixtures.passes`).
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from ..processing.rng import hash_ids, uniform
from .mixtures import passes
from .skeleton_rows import SkeletonRows, Sources


class EpochSampler(Sampler[list[tuple[int, int]]]):
    """Micro-batches of one process, as (pass, index) pairs, each a list of `batch_size`.

    An epoch takes each clip once and leaves those out that fill no step: they come in another epoch, whose order is another. Clips too
    few for one step are repeated in further passes. The pass is what augmentation and mask are drawn in: the epoch itself, the
    repetition, or, in a weighted mixture of datasets, how often the clip's own dataset was gone through before.

    Args:
        sample_ids: Ids of all clips.
        seed: Seed of the order.
        steps_per_epoch, micro_batches: Optimizer steps an epoch; micro-batches an optimizer step.
        batch_size: Clips a process and micro-batch.
        steps: Returns the optimizer steps to go through, counted from the start of the run; asked when an iteration begins.
        process, num_processes: Which process this is.
        sources: The dataset of each clip (`SkeletonRows.sources`), to be drawn from as its weights say; None: all clips alike.
    """

    def __init__(
        self,
        sample_ids: Sequence[str],
        seed: int,
        steps_per_epoch: int,
        batch_size: int,
        micro_batches: int,
        steps: Callable[[], range],
        process: int = 0,
        num_processes: int = 1,
        sources: Sources | None = None,
    ) -> None:
        self.hashes, self.seed, self.steps_per_epoch, self.steps = hash_ids(sample_ids), seed, steps_per_epoch, steps
        self.batch_size, self.micro_batches = batch_size, micro_batches
        self.process, self.num_processes = process, num_processes
        self.sources = sources if sources is not None and sources.weights is not None else None

    def __len__(self) -> int:
        return len(self.steps()) * self.micro_batches

    def epoch_order(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Indices of the clips that this epoch takes, over all processes, in their order, and the pass that each is in."""
        count = self.steps_per_epoch * self.batch_size * self.micro_batches * self.num_processes
        if self.sources is not None:
            return passes(self.sources, self.hashes, self.seed, epoch, count)
        repeats = -(-count // len(self.hashes))
        numbers = range(epoch * repeats, (epoch + 1) * repeats)
        draws = [uniform(self.seed, number, self.hashes, 1, "order")[:, 0] for number in numbers]
        order = np.concatenate([np.argsort(drawn, kind="stable") for drawn in draws])
        return order[:count], np.repeat(numbers, len(self.hashes))[:count]

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        known, order, numbers = -1, np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        for step in self.steps():
            epoch, place = divmod(step, self.steps_per_epoch)
            if epoch != known:
                known, (order, numbers) = epoch, self.epoch_order(epoch)
            for part in range(place * self.micro_batches, (place + 1) * self.micro_batches):
                start = (part * self.num_processes + self.process) * self.batch_size
                taken = slice(start, start + self.batch_size)
                yield list(zip(numbers[taken].tolist(), order[taken].tolist(), strict=True))


class _PassRows(Dataset[dict[str, Any]]):
    """Rows by (pass, index): the pass travels with the row as its epoch, so that loader workers may run ahead."""

    def __init__(self, rows: SkeletonRows) -> None:
        self.rows = rows

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Any]:
        return {**self.rows[key[1]], "epoch": key[0]}


def training_loader(
    rows: SkeletonRows,
    sampler: EpochSampler,
    collate: Callable[[list[dict[str, Any]]], dict[str, Any]],
    num_workers: int | None,
    device: torch.device,
) -> DataLoader[Any]:
    """The batches of a sampler, read by workers that are safe to kill and to repeat.

    Args:
        rows, sampler: The clips, and which of them come when.
        collate: Rows, each with its pass as "epoch", -> a batch.
        num_workers: Loader processes; if None, 0 on a CPU and up to 8 beside an accelerator.
        device: Where the batches go.
    """
    if num_workers is None:
        share = (os.cpu_count() or 1) // sampler.num_processes - 1
        num_workers = 0 if device.type == "cpu" else min(8, max(1, share))
    return DataLoader(
        _PassRows(rows),
        batch_sampler=sampler,
        collate_fn=collate,
        num_workers=num_workers,
        pin_memory=device.type == "cuda",
        worker_init_fn=_ignore_interruptions,
        persistent_workers=bool(num_workers),  # or every epoch of a fine-tuning would start its own
        # also where Python prefers a fork server: its children do not notice when this process is killed, and stay
        multiprocessing_context="fork" if num_workers and sys.platform == "linux" else None,
        generator=torch.Generator(),  # its own, or starting the loader would draw from the model's random state
    )


def _ignore_interruptions(worker: int) -> None:
    """Signals reach a whole process group, but loader workers must live until the last step."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
