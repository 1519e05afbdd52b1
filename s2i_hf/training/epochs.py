"""Which clips a fine-tuning takes at which step: whole epochs of its clips, repeated where they do not fill a step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

from ..processing.rng import hash_ids, uniform
from .batches import Schedule
from .finetune_arguments import FinetuneArguments


def finetune_schedule(arguments: FinetuneArguments, num_clips: int, num_processes: int) -> Schedule:
    """Steps and learning rate of a fine-tuning.

    An epoch takes each clip once and leaves those out that fill no step; clips too few for one step are repeated, each time augmented
    anew, so that an epoch is at least one step.
    """
    effective = arguments.batch_size * arguments.gradient_accumulation * num_processes
    steps = max(1, num_clips // effective)
    total = min(arguments.epochs * steps, arguments.max_steps or arguments.epochs * steps)
    warmup = min(arguments.epochs / 10, 10.0) if arguments.warmup_epochs is None else arguments.warmup_epochs
    return Schedule(steps, total, min(round(warmup * steps), total - 1), effective, arguments.base_lr * effective / 256)


class EpochOrder(Sampler[list[tuple[int, int]]]):
    """Micro-batches of one epoch for one process, as (round, index) pairs; which epoch, `step` tells when the loop begins.

    Args:
        sample_ids: Ids of all clips.
        seed: Seed of the order.
        schedule: Steps of the run.
        parts: Micro-batches an optimizer step.
        process, num_processes: Which process this is.
        step: Returns the optimizer steps done so far.
    """

    def __init__(
        self,
        sample_ids: Sequence[str],
        seed: int,
        schedule: Schedule,
        parts: int,
        process: int,
        num_processes: int,
        step: Callable[[], int],
    ) -> None:
        self.hashes, self.seed, self.schedule, self.parts = hash_ids(sample_ids), seed, schedule, parts
        self.process, self.num_processes, self.step = process, num_processes, step

    def __len__(self) -> int:
        return self.schedule.steps_per_epoch * self.parts

    def epoch_order(self, epoch: int) -> list[tuple[int, int]]:
        """(round, index) of every clip that this epoch takes, over all processes."""
        wanted = self.schedule.steps_per_epoch * self.schedule.effective_batch
        rounds = -(-wanted // len(self.hashes))  # more than one where the clips do not fill a step
        taken: list[tuple[int, int]] = []
        for turn in range(epoch * rounds, (epoch + 1) * rounds):
            order = np.argsort(uniform(self.seed, turn, self.hashes, 1, "order")[:, 0], kind="stable")
            taken += [(turn, int(index)) for index in order]
        return taken[:wanted]

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        order = self.epoch_order(self.step() // self.schedule.steps_per_epoch)
        batch = self.schedule.effective_batch // (self.parts * self.num_processes)
        for part in range(len(self)):
            start = (part * self.num_processes + self.process) * batch
            yield order[start : start + batch]
