"""Where the training of a peer stands: weights, momentum and random state, as checkpoints of its run folder."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn

from s2i_hf.runs.checkpoints import CHECKPOINTS, Progress, complete_checkpoint, resume_point, rewind
from s2i_hf.runs.run_folder import METRICS_FILE, MetricsFile

from .arguments import PeerArguments

# what a run may be resumed with that differs from how it was begun
MAY_CHANGE = frozenset(
    {"data", "data_dir", "cache_dir", "output_dir", "threads", "device", "results_csv", "resume", "method"}
)
_STATE, _WEIGHTS, _MOMENTUM = "state.safetensors", "weights.", "momentum."


class Checkpoints:
    """The checkpoints of one training; without a folder, none.

    Args:
        run_dir: Run folder.
        arguments: Settings.
        sample_ids: Of the clips that are trained on, in their order.
        network, optimizer: What is put back and saved; the optimizer is SGD with momentum.

    Raises:
        ValueError: the run in this folder was begun with other settings or clips.
        FileNotFoundError: `arguments.resume` is no checkpoint of it.
    """

    def __init__(
        self, run_dir: Path | None, arguments: PeerArguments, sample_ids: Sequence[str], network: nn.Module,
        optimizer: torch.optim.Optimizer,
    ) -> None:  # fmt: skip
        self.run_dir, self.network, self.optimizer = run_dir, network, optimizer
        self.progress, self.losses = Progress(window=0.0), list[float]()
        if run_dir is None:
            return
        ids = hashlib.sha256("\n".join(sample_ids).encode()).hexdigest()
        start, settings = Progress(window=0.0, train_ids=ids), asdict(arguments)
        checkpoint, self.progress = resume_point(run_dir, arguments.resume, settings, MAY_CHANGE, start)
        rewind(run_dir, self.progress.step)
        self.log = MetricsFile(run_dir / METRICS_FILE)
        if checkpoint is None:
            self.log.path.unlink(missing_ok=True)
            run_dir.mkdir(parents=True, exist_ok=True)
            self.log.append({"event": "start", "config": settings})
        else:
            self._restore(checkpoint / _STATE)
            self.losses = [row["loss"] for row in self.log.rows() if "loss" in row]

    def end_epoch(self, loss: float, clips_per_second: float) -> None:
        """Note the mean loss of an epoch."""
        self.losses.append(loss)
        if self.run_dir is not None:
            epoch, step = len(self.losses), self.progress.step
            self.log.append(
                {"step": step, "epoch": epoch, "loss": loss, "clips_per_second": round(clips_per_second, 1)}
            )

    def save(self) -> None:
        """Write a checkpoint and delete the one before."""
        from safetensors.torch import save_file

        if self.run_dir is None:
            return
        partial = self.run_dir / CHECKPOINTS / ".new.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        state = {_WEIGHTS + name: value.contiguous() for name, value in self.network.state_dict().items()}
        state |= {_MOMENTUM + name: value.contiguous() for name, value in self._momentum().items()}
        save_file(state | {"random_cpu": torch.get_rng_state()} | self._random_of_device(), partial / _STATE)
        complete_checkpoint(partial, self.run_dir, self.progress, keep=1)

    def _momentum(self) -> dict[str, Tensor]:
        return {name: self.optimizer.state[one]["momentum_buffer"] for name, one in self.network.named_parameters()}

    def _random_of_device(self) -> dict[str, Tensor]:
        device = next(self.network.parameters()).device
        return {"random_cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else {}

    def _restore(self, file: Path) -> None:
        from safetensors.torch import load_file

        try:
            state = load_file(file)
            self.network.load_state_dict(
                {name.removeprefix(_WEIGHTS): value for name, value in state.items() if name.startswith(_WEIGHTS)}
            )
            for name, parameter in self.network.named_parameters():  # in the memory format of the parameter
                momentum = torch.empty_like(parameter).copy_(state[_MOMENTUM + name])
                self.optimizer.state[parameter]["momentum_buffer"] = momentum.detach()
            torch.set_rng_state(state["random_cpu"])
            if self._random_of_device() and "random_cuda" in state:
                torch.cuda.set_rng_state(state["random_cuda"], next(self.network.parameters()).device)
        except (OSError, KeyError, RuntimeError) as error:
            detail = " ".join(str(error).split())[:200]
            raise ValueError(f"{file} cannot be loaded ({detail}); --resume none starts again.") from None
