"""A run among processes and signals: was it launched right, and how it stops with grace when it is asked to."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from accelerate import Accelerator

_LAUNCH = (
    "on CPUs launch with `ACCELERATE_USE_CPU=true accelerate launch --multi_gpu --num_processes 2 --num_machines 1 "
    "--mixed_precision no --dynamo_backend no -m s2i_hf pretrain ...` (or torchrun with the same variable), on GPUs with `accelerate "
    "launch --multi_gpu --num_processes 2 -m s2i_hf pretrain ...`"
)


def wants_cpu() -> bool:
    """Whether the environment keeps accelerate from using an accelerator."""
    return os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true")


def check_processes(accelerator: Accelerator) -> None:
    """Refuse a launch whose processes do not know of each other: each would train alone, and all write into one folder.

    Raises:
        ValueError: the launcher started another number of processes than accelerate sees; the message says what to run.
    """
    started = int(os.environ.get("WORLD_SIZE", "1"))
    if accelerator.num_processes != started:
        raise ValueError(
            f"The launcher started {started} processes, but accelerate sees {accelerator.num_processes}, so they would train "
            f"apart; {_LAUNCH}."
        )
    # `accelerate launch --cpu --num_processes 2` starts one process; all that it leaves of the two is this address
    if wants_cpu() and "MASTER_ADDR" in os.environ and "WORLD_SIZE" not in os.environ:
        raise ValueError(f"`accelerate launch --cpu` was asked for several processes and started one; {_LAUNCH}.")


class RunInterrupted(KeyboardInterrupt):
    """A run stopped because it was asked to, with a checkpoint; the message says how to go on."""


class StopRequest:
    """While this context lasts, the first SIGINT or SIGTERM asks the run to stop, the second one interrupts it at once.

    The loop asks `agreed` after each step, and leaves if it says so.
    """

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[int, Any] = {}
        self._votes: torch.Tensor | None = None

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():  # Python allows handlers nowhere else
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: Any) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt("Interrupted twice; the newest checkpoint stays.")
        self.requested = True

    def agreed(self, accelerator: Accelerator) -> bool:
        """Whether to stop after this step, the same answer in every process.

        Signals reach processes at different times, or one of them only, and all must leave the loop after the same step.
        The votes of one step are read at the next, so that no device waits for them.
        """
        if accelerator.num_processes == 1:
            return self.requested
        before = self._votes
        vote = torch.tensor(float(self.requested), device=accelerator.device)
        self._votes = accelerator.reduce(vote, reduction="sum")
        return before is not None and bool(before.item() > 0)
