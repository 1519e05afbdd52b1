"""`Schedule`: how many optimizer steps a training takes, and the learning rate of each."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TypeVar

from .common_arguments import CommonArguments

Arguments = TypeVar("Arguments", bound=CommonArguments)


def fit_batch(arguments: Arguments, num_clips: int, num_processes: int) -> tuple[Arguments, str]:
    """Settings whose optimizer step takes no more clips than there are, and a sentence on what was lowered, or "".

    Fewer micro-batches come before smaller ones. The learning rate follows, as it does for any effective batch.
    """
    asked = arguments.batch_size * arguments.gradient_accumulation * num_processes
    if not num_processes <= num_clips < asked:
        return arguments, ""
    a_process = num_clips // num_processes
    batch = min(arguments.batch_size, a_process)
    fitting = replace(arguments, batch_size=batch, gradient_accumulation=a_process // batch)
    rate = fitting.base_lr * batch * fitting.gradient_accumulation * num_processes / 256
    lowered = [
        f"--{name} {getattr(arguments, name)} to {getattr(fitting, name)}"
        for name in ("batch_size", "gradient_accumulation")
        if getattr(arguments, name) != getattr(fitting, name)
    ]
    return fitting, (
        f"{num_clips} training clips do not fill a step of {asked}: lowered {' and '.join(lowered)}, and with that the learning rate "
        f"to {rate:.3g}."
    )


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
    def of(cls, arguments: CommonArguments, num_clips: int, num_processes: int, repeat: bool = False) -> Schedule:
        """The schedule of these settings for so many clips to learn from.

        With `repeat`, clips too few for one step are repeated, each time augmented anew, so that an epoch is at least one step.

        Raises:
            ValueError: the clips do not fill one step, and are not repeated.
        """
        effective = arguments.batch_size * arguments.gradient_accumulation * num_processes
        steps = num_clips // effective or int(repeat)
        if steps == 0:
            raise ValueError(
                f"There are {num_clips} training clips, but one optimizer step takes {effective} ({arguments.batch_size} clips x "
                f"{arguments.gradient_accumulation} micro-batches x {num_processes} processes); lower --batch_size."
            )
        total = min(arguments.epochs * steps, arguments.max_steps or arguments.epochs * steps)
        warmup = arguments.warmup_epochs
        if warmup is None:
            warmup = min(arguments.epochs / 10, arguments.longest_warmup)
        return cls(steps, total, min(round(warmup * steps), total - 1), effective, arguments.base_lr * effective / 256)

    def lr(self, step: int) -> float:
        """Learning rate of optimizer step `step`, counted from 0: linear from 0 to the peak, then half a cosine to 0."""
        if step < self.warmup_steps:
            return self.peak_lr * step / self.warmup_steps
        done = (step - self.warmup_steps) / (self.total_steps - self.warmup_steps)
        return self.peak_lr * 0.5 * (1 + math.cos(math.pi * done))
