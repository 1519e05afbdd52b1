"""Positions and initial weights of from-scratch ViT-MAEs as in the MAE code, for stock transformers classes.

A stock `ViTMAEForPreTraining(config)` leaves fixed position tables at zero (the decoder's, in some versions the encoder's
too), so the decoder cannot tell patches apart and learns their mean. `initialize_mae` fills what the original MAE fills: 2-D
sine-cosine positions, Xavier-uniform linear layers and patch projection, and normal(0.02) class and mask tokens (He et al.,
arXiv 2111.06377; facebookresearch/mae). A pushed DiffMAE carries this file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

_TABLES = ("embeddings.position_embeddings", "decoder_pos_embed")
_HALF = 1e-3  # what a table of sines and cosines in half precision may be off


def image_sides(size: int | Sequence[int]) -> tuple[int, int]:
    """(height, width) in pixels of an image size, which is one number for a square."""
    height, width = (size, size) if isinstance(size, int) else size
    return int(height), int(width)


def shown_size(size: int | Sequence[int]) -> str:
    """An image size in words: "224 x 112"."""
    return " x ".join(map(str, image_sides(size)))


def patch_grid(config: Any) -> tuple[int, int]:
    """(rows, columns) of the patches of a model by its config; rows are time, columns joints."""
    height, width = image_sides(config.image_size)
    return height // config.patch_size, width // config.patch_size


@torch.no_grad()
def initialize_mae(model: Any, seed: int) -> None:
    """Initialise a ViTMAE or ViT in place, the same for the same seed; the global random state is left as it was."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            matrix = torch.empty(module.weight.flatten(1).shape)  # the patch projection counts as a linear layer
            nn.init.xavier_uniform_(matrix, generator=generator)
            module.weight.copy_(matrix.view_as(module.weight))
            if module.bias is not None:
                module.bias.zero_()
        elif isinstance(module, nn.LayerNorm):
            module.weight.fill_(1.0)
            module.bias.zero_()
    for name, parameter in model.named_parameters():
        if name.endswith(("cls_token", "mask_token")):
            parameter.copy_(torch.empty(parameter.shape).normal_(0.0, 0.02, generator=generator))
    for table in freeze_positions(model):
        table.copy_(sincos_positions(patch_grid(model.config), table.shape[2]))


def sincos_positions(grid: tuple[int, int], dim: int) -> torch.Tensor:
    """2-D sine-cosine positions of (rows, columns) of patches in the channel order of facebook/vit-mae: sin w, cos w, sin h, cos h.

    Returns:
        (1, 1 + rows * columns, dim) float32; the CLS row is zero.

    Raises:
        ValueError: `dim` is not a multiple of 4.
    """
    if dim % 4:
        raise ValueError(f"hidden size {dim} is not a multiple of 4, which 2-D sine-cosine positions need.")
    frequency = 1.0 / 10000 ** (torch.arange(dim // 4, dtype=torch.float64) / (dim // 4))
    row, column = torch.meshgrid(torch.arange(grid[0]), torch.arange(grid[1]), indexing="ij")
    angles = [place.reshape(-1, 1).double() * frequency for place in (column, row)]
    table = torch.cat([wave for angle in angles for wave in (angle.sin(), angle.cos())], dim=1)
    return torch.cat([torch.zeros(1, dim, dtype=torch.float64), table])[None].float()


def freeze_positions(model: nn.Module) -> list[torch.Tensor]:
    """Freeze the position tables of a ViTMAE's encoder and decoder, which `from_pretrained` of transformers 5 un-freezes, and list them."""
    return [table.requires_grad_(False) for name, table in model.named_parameters() if name.endswith(_TABLES)]


def positions_of_grid(
    weights: Mapping[str, torch.Tensor], before: tuple[int, int], after: tuple[int, int]
) -> dict[str, torch.Tensor] | None:
    """Weights of a ViTMAE, DiffMAE or their encoder with the position tables of another grid (rows, columns) of patches.

    That is exact, as the tables are functions of the grid. None where one is not: it was learned, and would have to be interpolated.
    """
    found = dict(weights)
    for name, table in weights.items():
        if name.endswith(_TABLES) and before != after:
            known = sincos_positions(before, table.shape[2])
            if table.shape != known.shape or not torch.allclose(table.float(), known, rtol=0.0, atol=_HALF):
                return None
            found[name] = sincos_positions(after, table.shape[2])
    return found
