"""`WeightAverage`: the exponential moving average of a model's weights.

It lies beside the model, is saved with every checkpoint, and is what is tested.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_model, save_model
from torch import nn
from torch.optim.swa_utils import AveragedModel

AVERAGE = "average.safetensors"  # in a checkpoint


class WeightAverage(AveragedModel):
    """An exponential moving average of a model's weights, which often tests better than the weights of the last step.

    `decay` is the share of the old average kept at each step, 0 or more and below 1. In the first steps less is kept, (1 + n) / (10 + n) at
    step n, so that the weights before training are soon forgotten (as in TensorFlow's ExponentialMovingAverage).
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"the decay of the average is {decay}; expected 0 or more and below 1, such as 0.999.")

        @torch.no_grad()
        def update(averages: Any, weights: Any, _: Any) -> None:
            count = int(self.n_averaged)  # on the CPU: no device is waited for
            torch._foreach_lerp_(averages, weights, 1 - min(decay, count / (9 + count)))

        super().__init__(model, multi_avg_fn=update)
        self.n_averaged += 1  # the first step is averaged like all others, not copied

    def save(self, path: str | Path) -> None:
        """Write the average and its count of steps as safetensors."""
        save_model(self.module, str(path), metadata={"steps": str(int(self.n_averaged) - 1)})

    def load(self, path: str | Path) -> None:
        """Go on from a saved average.

        Raises:
            ValueError: the file has other weights than the model.
        """
        try:
            with safe_open(str(path), framework="pt") as file:
                steps = int((file.metadata() or {}).get("steps", 0))
            load_model(self.module, str(path))
        except (OSError, SafetensorError) as error:
            raise ValueError(f"{path} is no readable weight average ({error}); take another checkpoint.") from None
        except RuntimeError:
            raise ValueError(f"{path} averages other weights than this model has; resume its own run.") from None
        self.n_averaged.fill_(steps + 1)
