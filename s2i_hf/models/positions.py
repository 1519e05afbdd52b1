"""Fixed positions of patches, as MAE has them. A pushed DiffMAE carries this file, so it imports nothing of this package."""

from __future__ import annotations

import torch
from torch import nn


def sincos_positions(grid: tuple[int, int], dim: int) -> torch.Tensor:
    """2-D sine-cosine positions in the channel order of facebook/vit-mae: sin w, cos w, sin h, cos h; the CLS row is zero.

    Args:
        grid: (rows, columns) of patches.
        dim: Channels, a multiple of 4.

    Returns:
        (1, 1 + rows * columns, dim) float32.

    Raises:
        ValueError: `dim` is not a multiple of 4.
    """
    if dim % 4:
        raise ValueError(f"hidden size {dim} is not a multiple of 4, which 2-D sine-cosine positions need.")
    frequency = 1.0 / 10000 ** (torch.arange(dim // 4, dtype=torch.float64) / (dim // 4))
    row, column = torch.meshgrid(torch.arange(grid[0]), torch.arange(grid[1]), indexing="ij")
    halves = []
    for place in (column, row):
        angle = place.reshape(-1, 1).double() * frequency
        halves += [angle.sin(), angle.cos()]
    table = torch.cat(halves, dim=1)
    return torch.cat([torch.zeros(1, dim, dtype=torch.float64), table])[None].float()


def position_tables(model: nn.Module) -> list[nn.Parameter]:
    """The frozen tables of a ViTMAE: encoder positions, and decoder positions if it has a decoder."""
    return [
        parameter
        for name, parameter in model.named_parameters()
        if name.endswith(("embeddings.position_embeddings", "decoder_pos_embed"))
    ]


def freeze_positions(model: nn.Module) -> None:
    """Freeze the position tables of a ViTMAE; `from_pretrained` of transformers 5 un-freezes them."""
    for table in position_tables(model):
        table.requires_grad_(False)
