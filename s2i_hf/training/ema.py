"""An exponential moving average of a model's weights, which often tests better than the weights of the last step.

The average lies beside the model, is saved with every checkpoint, and takes the model's place while it is tested.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn


class WeightAverage:
    """Moving average of the trainable parameters of a model.

    Args:
        model: Its weights are the first value.
        decay: Share of the old average kept at each step, 0 to 1. In the first steps less is kept, (1 + n) / (10 + n) at step n, so
            that the weights before training are soon forgotten (as in TensorFlow's ExponentialMovingAverage).

    Raises:
        ValueError: `decay` is no share.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        if not 0 <= decay < 1:
            raise ValueError(
                f"the decay of the weight average is {decay}; expected 0 or more and below 1, such as 0.999."
            )
        self.decay, self.steps = decay, 0
        self.names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
        self.values = [parameter.detach().clone() for parameter in self._of(model)]

    def _of(self, model: nn.Module) -> list[nn.Parameter]:
        parameters = dict(model.named_parameters())
        return [parameters[name] for name in self.names]

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take the weights after an optimizer step into the average."""
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        self.steps += 1
        torch._foreach_lerp_(self.values, [parameter.detach() for parameter in self._of(model)], 1 - decay)

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """While this context lasts, the model has the average as its weights."""
        parameters = self._of(model)
        kept = [parameter.detach().clone() for parameter in parameters]
        self.copy_to(model)
        try:
            yield
        finally:
            with torch.no_grad():
                torch._foreach_copy_(list(parameters), kept)

    @torch.no_grad()
    def copy_to(self, model: nn.Module) -> None:
        """Give the model the average as its weights, for good."""
        torch._foreach_copy_(list(self._of(model)), self.values)

    def save(self, path: str | Path) -> None:
        """Write the average and its count of steps as safetensors."""
        from safetensors.torch import save_file

        tensors = {name: value.contiguous() for name, value in zip(self.names, self.values, strict=True)}
        save_file(tensors, str(path), metadata={"steps": str(self.steps)})

    def load(self, path: str | Path) -> None:
        """Go on from a saved average.

        Raises:
            ValueError: the file has other weights than the model.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(str(path), framework="pt") as file:
                known, metadata = set(file.keys()), file.metadata() or {}
                if known != set(self.names):
                    raise ValueError(
                        f"{path} averages other weights than this model has; resume the run it belongs to."
                    )
                for name, value in zip(self.names, self.values, strict=True):
                    value.copy_(file.get_tensor(name))
        except (OSError, SafetensorError) as error:
            raise ValueError(
                f"{path} is no readable weight average ({error}); resume from another checkpoint."
            ) from None
        self.steps = int(metadata.get("steps", 0))
