"""A micro DiffMAE without zeros, what to feed it, and its weights: shared by the tests of DiffMAE."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from s2i_hf.models.building import build_diffmae
from s2i_hf.models.modeling_diffmae import DiffMAEForPreTraining

DECODERS = ["cross", "cross-self", "joint"]
SMALL = {"image_size": 32, "patch_size": 8, "num_hidden_layers": 4, "decoder_num_hidden_layers": 3}


def make(decoder_type: str = "cross", **changes: Any) -> DiffMAEForPreTraining:
    """A micro model none of whose weights is a zero that could hide a mistake."""
    model = build_diffmae("config:micro", decoder_type=decoder_type, **{**SMALL, **changes}).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return model


def draws(
    batch: int = 2, levels: int | None = None, steps: int = 1000, pixels: int = 192, seed: int = 0
) -> dict[str, Tensor]:
    """Arguments of forward for 32 x 32 images of 16 patches."""
    generator = torch.Generator().manual_seed(seed)
    shape = (batch,) if levels is None else (batch, levels)
    return {
        "pixel_values": torch.randn(batch, 3, 32, 32, generator=generator),
        "noise": torch.rand(batch, 16, generator=generator),
        "timesteps": torch.randint(steps, shape, generator=generator),
        "diffusion_noise": torch.randn(*shape, 16, pixels, generator=generator),
    }


def weights(model: torch.nn.Module) -> dict[str, np.ndarray]:
    return {name: tensor.double().numpy() for name, tensor in model.state_dict().items()}


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    first, second = a.state_dict(), b.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
