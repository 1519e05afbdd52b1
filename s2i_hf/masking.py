"""Which patches are hidden: random, block, joint, temporal or body-part masks, for ViTMAE and DiffMAE alike.

A mask is returned as the `noise` argument of `ViTMAEForPreTraining`: ranks (B, L). The model keeps the int(L (1 - ratio)) patches of
lowest rank and hides the rest, so the mask it returns is exactly the one drawn here. Every strategy hides *units*: single patches, square
blocks, patch columns (whole joints), patch rows (whole frames) or the patches of a body part. The units of each sample are
shuffled and hidden whole until enough patches are hidden, the last unit in part. The strategies and the winner (random, 75 %) are those
of the S2I paper (arXiv 2603.05963); the shuffle-and-keep form is that of MAE (arXiv 2111.06377).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from .rng import hash_ids, uniform

MASKS: tuple[str, ...] = ("random", "block", "joint", "temporal", "body_part")


def num_visible(num_patches: int, ratio: float) -> int:
    """Patches that stay visible: int(L (1 - ratio)), the rounding of ViTMAE."""
    return int(num_patches * (1 - ratio))


def check_mask(strategy: str, ratio: float, num_patches: int) -> None:
    """Raise ValueError for an unknown strategy, or a ratio that leaves nothing visible or nothing hidden."""
    if strategy not in MASKS:
        raise ValueError(f"mask is {strategy!r}; expected one of {', '.join(MASKS)}.")
    visible = num_visible(num_patches, ratio) if 0 <= ratio <= 1 else 0
    if not 0 < visible < num_patches:
        raise ValueError(
            f"mask_ratio {ratio} leaves {visible} of {num_patches} patches visible; expected a ratio above 0 and below 1 that "
            "leaves something visible and something hidden."
        )


def patch_parts(part_of_column: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """(gw,) unit of each patch column: the person and part that cover most of its pixels, the left one of a tie.

    Args:
        part_of_column: (W,) int from `encoding.part_columns`.
        grid: (rows, columns) of patches; W is a multiple of the columns.
    """
    columns = np.asarray(part_of_column)
    patch = len(columns) // grid[1]
    if patch * grid[1] != len(columns):
        raise ValueError(f"{len(columns)} pixel columns do not divide into {grid[1]} patch columns.")
    owners = []
    for column in range(grid[1]):
        parts, first, counts = np.unique(
            columns[column * patch : (column + 1) * patch], return_index=True, return_counts=True
        )
        best = counts == counts.max()
        owners.append(int(parts[best][first[best].argmin()]))
    return np.array(owners)


def _units(
    strategy: str,
    grid: tuple[int, int],
    draws: np.ndarray,
    part_of_column: Sequence[np.ndarray] | None,
    block_size: int,
) -> np.ndarray:
    """(B, L) int: the unit of every patch. `draws` (B, 2) place the block grid."""
    rows, columns = np.divmod(np.arange(grid[0] * grid[1]), grid[1])
    batch = len(draws)
    if strategy == "random":
        return np.tile(np.arange(len(rows)), (batch, 1))
    if strategy == "joint":
        return np.tile(columns, (batch, 1))
    if strategy == "temporal":
        return np.tile(rows, (batch, 1))
    if strategy == "block":  # tiles of block_size x block_size patches, their grid at a random place
        shift = (draws * block_size).astype(np.int64)
        across = (grid[1] + block_size - 2) // block_size + 1
        return (rows + shift[:, :1]) // block_size * across + (columns + shift[:, 1:]) // block_size
    if part_of_column is None or len(part_of_column) != batch:
        raise ValueError(
            "mask 'body_part' needs part_of_column, one (W,) array from encoding.part_columns for each sample."
        )
    known: dict[int, np.ndarray] = {}  # the same few arrays come back for every clip of a format
    for part in part_of_column:
        if id(part) not in known:  # numbered from 0, as a small grid has fewer patches than a crowd has parts
            known[id(part)] = np.unique(patch_parts(part, grid), return_inverse=True)[1][columns]
    return np.stack([known[id(part)] for part in part_of_column])


def mask_noise(
    strategy: str,
    sample_ids: Sequence[str],
    grid: tuple[int, int],
    ratio: float,
    seed: int = 0,
    epoch: int = 0,
    part_of_column: Sequence[np.ndarray] | None = None,
    block_size: int = 4,
) -> torch.Tensor:
    """Draw one mask a sample.

    Args:
        strategy: One of `MASKS`.
        sample_ids: B ids; the mask of a sample depends on (seed, epoch, id) alone, never on the process or the batch.
        grid: (rows, columns) of patches; L is their product.
        ratio: Share of patches hidden: L - int(L (1 - ratio)) of them.
        seed: Seed of the run.
        epoch: Epoch.
        part_of_column: For "body_part": a (W,) array for each sample from `encoding.part_columns`; each person's parts are units
            of their own, and a patch column belongs to the one that covers most of it.
        block_size: For "block": side of a block in patches.

    Returns:
        (B, L) float32 ranks 0 .. L-1; patch i of a sample is hidden if its rank is int(L (1 - ratio)) or more.

    Raises:
        ValueError: unknown strategy, or a ratio that leaves nothing visible or nothing hidden.
    """
    num_patches = grid[0] * grid[1]
    check_mask(strategy, ratio, num_patches)
    draws = uniform(seed, epoch, hash_ids(sample_ids), 2 + 3 * num_patches, f"mask/{strategy}")
    units = _units(strategy, grid, draws[:, :2], part_of_column, block_size)
    within = draws[:, 2 : 2 + num_patches]  # order of the patches inside a unit
    # a unit's place in the shuffle; at most (2 L) units: the shifted grid of 1 x 1 blocks has no more than L + rows + columns
    place = np.take_along_axis(draws[:, 2 + num_patches :], units, axis=1)
    order = np.lexsort((within, place), axis=1)  # units in shuffled order, patches in shuffled order inside each
    ranks = np.empty_like(order)
    # the first patches of `order` are hidden first, so they get the highest ranks
    np.put_along_axis(ranks, order, np.arange(num_patches - 1, -1, -1)[None, :], axis=1)
    return torch.from_numpy(ranks.astype(np.float32))


def mask_from_noise(noise: torch.Tensor, ratio: float) -> torch.Tensor:
    """(B, L) float32, 1 = hidden and 0 = visible: what ViTMAE makes of `noise` ranks."""
    return (noise >= num_visible(noise.shape[1], ratio)).float()
