"""The moving average of weights: its arithmetic, taking the model's place, and coming back from a file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from conftest import one_sentence
from torch import nn

from s2i_hf.training.ema import WeightAverage


def test_it_is_the_average_it_says() -> None:
    model = nn.Linear(2, 1, bias=False)
    model.weight.data.fill_(1.0)
    average, wanted = WeightAverage(model, 0.6), 1.0
    for step in range(20):
        model.weight.data.fill_(float(step))
        average.update(model)
        decay = min(0.6, (1 + step) / (10 + step))
        wanted = decay * wanted + (1 - decay) * step
    assert average.values[0].tolist() == [[pytest.approx(wanted, rel=1e-5)] * 2]


def test_it_takes_the_place_of_the_weights_for_a_while() -> None:
    model = nn.Linear(3, 3)
    model.bias.requires_grad_(False)
    average = WeightAverage(model, 0.5)
    kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.weight.data += 1
    with average.applied(model):
        assert torch.equal(model.weight, kept["weight"])
    assert torch.equal(model.weight, kept["weight"] + 1) and average.names == ["weight"]
    with pytest.raises(RuntimeError), average.applied(model):
        raise RuntimeError
    assert torch.equal(model.weight, kept["weight"] + 1)  # also after an error
    average.copy_to(model)
    assert torch.equal(model.weight, kept["weight"]) and model.weight.requires_grad


def test_saved_and_loaded_it_goes_on(tmp_path: Path) -> None:
    model = nn.Linear(3, 3)
    first = WeightAverage(model, 0.9)
    first.update(model)
    first.save(tmp_path / "average.safetensors")
    second = WeightAverage(nn.Linear(3, 3), 0.9)
    second.load(tmp_path / "average.safetensors")
    assert second.steps == 1 and all(torch.equal(a, b) for a, b in zip(first.values, second.values, strict=True))
    for other, path in ((nn.Linear(3, 3, bias=False), "average.safetensors"), (nn.Linear(3, 3), "none.safetensors")):
        with pytest.raises(ValueError) as error:
            WeightAverage(other, 0.9).load(tmp_path / path)
        assert one_sentence(error.value)
    with pytest.raises(ValueError, match="0 or more and below 1"):
        WeightAverage(model, 1.0)
