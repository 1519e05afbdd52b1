"""The moving average of weights: its arithmetic, and coming back from a file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from conftest import refused
from torch import nn

from s2i_hf.training.ema import WeightAverage


def test_it_is_the_average_it_says() -> None:
    model = nn.Linear(2, 1, bias=False)
    model.weight.data.fill_(1.0)
    average, wanted = WeightAverage(model, 0.6), 1.0
    for step in range(20):
        model.weight.data.fill_(float(step))
        average.update_parameters(model)
        decay = min(0.6, (1 + step) / (10 + step))
        wanted = decay * wanted + (1 - decay) * step
    assert average.module.weight.tolist() == [[pytest.approx(wanted, rel=1e-5)] * 2]


def test_weights_that_are_not_trained_stay() -> None:
    model = nn.Linear(3, 3)
    model.bias.requires_grad_(False)
    average, bias = WeightAverage(model, 0.5), model.bias.clone()
    model.weight.data += 1
    average.update_parameters(model)
    assert torch.equal(average.module.bias, bias) and not torch.equal(average.module.weight, model.weight)


def test_saved_and_loaded_it_goes_on(tmp_path: Path) -> None:
    model = nn.Linear(3, 3)
    first = WeightAverage(model, 0.9)
    first.update_parameters(model)
    first.save(tmp_path / "average.safetensors")
    second = WeightAverage(nn.Linear(3, 3), 0.9)
    second.load(tmp_path / "average.safetensors")
    assert all(
        torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )
    for other, path in ((nn.Linear(3, 3, bias=False), "average.safetensors"), (nn.Linear(3, 3), "none.safetensors")):
        with refused(ValueError):
            WeightAverage(other, 0.9).load(tmp_path / path)
    with pytest.raises(ValueError, match="0 or more and below 1"):
        WeightAverage(model, 1.0)
