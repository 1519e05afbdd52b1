"""Which clips every optimizer step takes, at which learning rate, and how they reach the loop: padded, augmented, masked.

All of it is a function of the step and the seed. An epoch's order depends on (seed, epoch) and the clips' ids, and step s
takes the same clips whatever the number of processes and micro-batches, so that a resumed run needs no state of a sampler
and a run of two processes computes what a run of one computes. In a mixture of datasets an epoch draws from each as often as it
is told to (`mixtures.rounds`).
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from ..data.mixtures import rounds
from ..data.skeleton_rows import Sources
from ..processing.encoding import EncodingOptions
from ..processing.layouts import get_layout
from ..processing.masking import mask_noise, mask_weights
from ..processing.resizing import part_columns
from ..processing.rng import hash_ids, uniform
from .interruption import ignore_interruptions

if TYPE_CHECKING:
    from accelerate import Accelerator

    from .pretraining import PretrainArguments


@dataclass(frozen=True)
class Schedule:
    """Steps and learning rate of a run.

    Args:
        steps_per_epoch: Optimizer steps an epoch; the clips left over come in another epoch, whose order is another. An epoch
            of a mixture is as long as that of its clips in one set.
        total_steps: Optimizer steps of the run.
        warmup_steps: The first of them, with rising learning rate.
        effective_batch: Clips an optimizer step: batch x accumulation x processes.
        peak_lr: base_lr x effective_batch / 256.
    """

    steps_per_epoch: int
    total_steps: int
    warmup_steps: int
    effective_batch: int
    peak_lr: float

    @classmethod
    def of(cls, arguments: PretrainArguments, num_clips: int, num_processes: int) -> Schedule:
        """The schedule of these settings. Raises ValueError if the clips do not fill one step."""
        effective = arguments.batch_size * arguments.gradient_accumulation * num_processes
        steps = num_clips // effective
        if steps == 0:
            raise ValueError(
                f"There are {num_clips} training clips, but one optimizer step takes {effective} ({arguments.batch_size} clips x "
                f"{arguments.gradient_accumulation} micro-batches x {num_processes} processes); lower --batch_size."
            )
        total = min(arguments.epochs * steps, arguments.max_steps or arguments.epochs * steps)
        warmup = min(arguments.epochs / 10, 40.0) if arguments.warmup_epochs is None else arguments.warmup_epochs
        warmup_steps = min(round(warmup * steps), total - 1)
        return cls(steps, total, warmup_steps, effective, arguments.base_lr * effective / 256)

    def lr(self, step: int) -> float:
        """Learning rate of optimizer step `step`, counted from 0: linear from 0 to the peak, then half a cosine to 0."""
        if step < self.warmup_steps:
            return self.peak_lr * step / self.warmup_steps
        done = (step - self.warmup_steps) / (self.total_steps - self.warmup_steps)
        return self.peak_lr * 0.5 * (1 + math.cos(math.pi * done))


class ClipOrder(Sampler[list[tuple[int, int]]]):
    """Which clips a process takes in each micro-batch, as (round, index) pairs, from a first step to the last.

    Step s takes the same clips whatever the number of processes and micro-batches, and the clips of an epoch come in an
    order that depends on (seed, epoch) and their ids alone. The round is the epoch, unless the clips are a weighted mixture
    of datasets: there it is how often the clip's own dataset was gone through before.

    Args:
        sample_ids: Ids of all clips.
        arguments: Settings of the run.
        schedule: Its steps.
        first_step: Optimizer steps done already.
        process, num_processes: Which process this is.
        sources: The dataset of each clip (`SkeletonRows.sources`), if they are a mixture.
    """

    def __init__(
        self,
        sample_ids: Sequence[str],
        arguments: PretrainArguments,
        schedule: Schedule,
        first_step: int = 0,
        process: int = 0,
        num_processes: int = 1,
        sources: Sources | None = None,
    ) -> None:
        self.hashes, self.seed, self.schedule = hash_ids(sample_ids), arguments.seed, schedule
        self.batch, self.parts = arguments.batch_size, arguments.gradient_accumulation
        self.first_step, self.process, self.num_processes = first_step, process, num_processes
        self.sources = sources if sources is not None and sources.weights is not None else None

    def __len__(self) -> int:
        return (self.schedule.total_steps - self.first_step) * self.parts

    def epoch_order(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Indices of the clips in the order of this epoch, and the round that each is in."""
        if self.sources is not None:
            count = self.schedule.steps_per_epoch * self.schedule.effective_batch  # none is left over
            return rounds(self.sources, self.hashes, self.seed, epoch, count)
        order = np.argsort(uniform(self.seed, epoch, self.hashes, 1, "order")[:, 0], kind="stable")
        return order, np.full(len(order), epoch)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        known, order, turns = -1, np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        for step in range(self.first_step, self.schedule.total_steps):
            epoch, place = divmod(step, self.schedule.steps_per_epoch)
            if epoch != known:
                known, (order, turns) = epoch, self.epoch_order(epoch)
            for part in range(self.parts):
                start = ((place * self.parts + part) * self.num_processes + self.process) * self.batch
                taken = slice(start, start + self.batch)
                yield list(zip(turns[taken].tolist(), order[taken].tolist(), strict=True))


class RoundRows(Dataset[dict[str, Any]]):
    """Rows by (round, index): the round travels with the row as its epoch, so that loader workers may run ahead."""

    def __init__(self, rows: Any) -> None:
        self.rows = rows

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Any]:
        return {**self.rows[key[1]], "epoch": key[0]}


class _MaskingCollator:
    """Rows -> padded joints (see `data.SkeletonCollator`) and `noise`, the mask of every clip as ranks."""

    def __init__(self, arguments: PretrainArguments, options: EncodingOptions, grid: tuple[int, int]) -> None:
        from ..data.collator import SkeletonCollator

        self.arguments, self.options, self.grid = arguments, options, grid
        self.collate = SkeletonCollator(arguments.augmentation, seed=arguments.seed, with_labels=False)

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        batch: dict[str, Any] = self.collate(rows)
        return {**batch, "noise": self._noise(batch, np.array([row["epoch"] for row in rows]))}

    def _noise(self, batch: dict[str, Any], epochs: np.ndarray) -> torch.Tensor:
        """(B, L) ranks, drawn for each clip in its own epoch."""
        options, arguments = self.options, self.arguments
        parts = None
        if "body_part" in mask_weights(arguments.mask):
            people = [1 if options.people == "first" else number for number in batch["num_people"]]
            parts = [
                part_columns(get_layout(layout), number, options.size[1], options.columns)
                for layout, number in zip(batch["layouts"], people, strict=True)
            ]
        noise = torch.empty(len(epochs), self.grid[0] * self.grid[1])
        for epoch in np.unique(epochs):  # one, except in a weighted mixture
            at = np.flatnonzero(epochs == epoch)
            ids, of_epoch = [batch["sample_ids"][index] for index in at], None
            if parts is not None:
                of_epoch = [parts[index] for index in at]
            noise[at] = mask_noise(
                arguments.mask, ids, self.grid, arguments.mask_ratio, arguments.seed, int(epoch), of_epoch
            )
        return noise


def make_loader(
    rows: Any,
    arguments: PretrainArguments,
    schedule: Schedule,
    first_step: int,
    options: EncodingOptions,
    grid: tuple[int, int],
    accelerator: Accelerator,
) -> DataLoader[Any]:
    """One pass from `first_step` to the last step of the run, this process's micro-batches only.

    Args:
        rows: `rows.SkeletonRows` of the training clips.
        arguments: Settings of the run.
        schedule: Its steps.
        first_step: Optimizer steps done already.
        options: How clips become images, for the body-part mask.
        grid: (rows, columns) of patches.
        accelerator: Tells process and device.
    """
    return DataLoader(
        RoundRows(rows),
        batch_sampler=ClipOrder(
            rows.sample_ids,
            arguments,
            schedule,
            first_step,
            accelerator.process_index,
            accelerator.num_processes,
            rows.sources,
        ),
        collate_fn=_MaskingCollator(arguments, options, grid),
        **loader_options(arguments.num_workers, accelerator.device, accelerator.num_processes),
    )


def loader_options(num_workers: int | None, device: torch.device, num_processes: int) -> dict[str, Any]:
    """How a `DataLoader` runs: its workers, if None as many as suit the device, and what makes them safe to kill and to repeat."""
    workers = num_workers
    if workers is None:
        workers = 0 if device.type == "cpu" else min(8, max(1, (os.cpu_count() or 1) // num_processes - 1))
    return {
        "num_workers": workers,
        "pin_memory": device.type == "cuda",
        "worker_init_fn": ignore_interruptions,
        # also where Python prefers a fork server: its children do not notice when this process is killed, and stay
        "multiprocessing_context": "fork" if workers and sys.platform == "linux" else None,
        "generator": torch.Generator(),  # its own, or starting the loader would draw from the model's random state
    }
