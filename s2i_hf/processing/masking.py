"""Which patches are hidden: random, block, joint, temporal or body-part masks, for ViTMAE and DiffMAE alike.

A mask is returned as the `noise` argument of `ViTMAEForPreTraining`: ranks (B, L). The model keeps the int(L (1 - ratio)) patches of
lowest rank and hides the rest, so the mask it returns is exactly the one drawn here. Every strategy hides *units*: single patches, square
blocks, patch columns (whole joints), patch rows (whole frames) or the patches of a body part. The units of each sample are
shuffled and hidden whole until enough patches are hidden, the last unit in part. The strategies and the winner (random, 75 %) are those
of the S2I paper (arXiv 2603.05963); the shuffle-and-keep form is that of MAE (arXiv 2111.06377).

A mask may also be a mixture, `random=0.5,joint=0.3,temporal=0.2`: every clip draws its strategy anew in every epoch. The ratio may be a
range: as a model keeps the same number of patches of every clip in a batch, one ratio is drawn for each optimizer step.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch

from .rng import hash_ids, uniform
from .suggestions import did_you_mean

MASKS: tuple[str, ...] = ("random", "block", "joint", "temporal", "body_part")
Ratio = float | Sequence[float]
"""Share of patches hidden, or the lowest and the highest share."""


def num_visible(num_patches: int, ratio: float) -> int:
    """Patches that stay visible: int(L (1 - ratio)), the rounding of ViTMAE."""
    return int(num_patches * (1 - ratio))


@lru_cache(maxsize=64)
def mask_weights(mask: str) -> dict[str, float]:
    """Strategy -> how likely a clip draws it, adding up to 1; {"joint": 1.0} for a single one.

    Args:
        mask: One of `MASKS`, or a mixture such as "random=0.5,joint=0.3,temporal=0.2", whose weights need not add up to 1.

    Raises:
        ValueError: an unknown or repeated strategy, or weights that are no numbers, negative or all zero.
    """
    weights: dict[str, float] = {}
    for word in mask.split(",") if {",", "="} & set(mask) else [f"{mask}=1"]:
        name, equals, number = (part.strip() for part in word.partition("="))
        if name not in MASKS:
            where = "" if name == mask else f" in {mask!r}"
            raise ValueError(f"mask is {name!r}{where}; expected one of {', '.join(MASKS)}.{did_you_mean(name, MASKS)}")
        try:
            weight = float(number)
        except ValueError:
            got = f"{number!r} as the weight of {name}" if equals else f"no weight for {name}"
            raise ValueError(f"mask {mask!r} has {got}; expected name=number, as in random=0.5,joint=0.5.") from None
        if name in weights:
            raise ValueError(f"mask {mask!r} has two weights for {name}; give it one.")
        if not 0 <= weight < float("inf"):
            raise ValueError(f"mask {mask!r} has the weight {number} for {name}; expected zero or more.")
        weights[name] = weight
    total = sum(weights.values())
    if total == 0:
        raise ValueError(f"mask {mask!r} has weights that are all zero; expected one above zero.")
    return {name: weight / total for name, weight in weights.items() if weight > 0}


def describe_mask(mask: str) -> str:
    """A mask in words: "joint", or "a mixture of random (50 %) and joint (50 %)"."""
    *others, last = [f"{name} ({100 * weight:.3g} %)" for name, weight in mask_weights(mask).items()]
    return f"a mixture of {', '.join(others)} and {last}" if others else next(iter(mask_weights(mask)))


def drawn_strategies(mask: str, sample_ids: Sequence[str], seed: int = 0, epoch: int = 0) -> list[str]:
    """The strategy of each of B samples: that of `mask`, or one drawn from (seed, epoch, id) by the weights of the mixture."""
    weights = mask_weights(mask)
    names = list(weights)
    if len(names) == 1:
        return names * len(sample_ids)
    edges = np.cumsum(list(weights.values()))[:-1]
    picked = np.searchsorted(edges, uniform(seed, epoch, hash_ids(sample_ids), 1, "mask")[:, 0], side="right")
    return [names[index] for index in picked]


def ratio_range(ratio: Ratio) -> tuple[float, float]:
    """Lowest and highest share of patches hidden; the same number twice for a single one.

    Raises:
        ValueError: a range that is not two numbers above 0 and below 1, the lower one first.
    """
    numbers = [float(number) for number in np.atleast_1d(ratio)]
    if len(numbers) not in (1, 2):
        raise ValueError(f"mask_ratio has {len(numbers)} numbers; expected one, or the lowest and the highest.")
    low, high = numbers[0], numbers[-1]
    if low > high:
        raise ValueError(f"mask_ratio is {low} to {high}; expected the lower number first.")
    return low, high


def typical_ratio(ratio: Ratio) -> float:
    """A single ratio as it is, the middle of a range: what a model's config says after training with it."""
    return sum(ratio_range(ratio)) / 2


def ratio_of_step(ratio: Ratio, seed: int, step: int) -> float:
    """The share of patches hidden in one optimizer step: of a range a number drawn from (seed, step) alone, so that all processes
    and micro-batches of the step, and a resumed run, have the same."""
    low, high = ratio_range(ratio)
    if low == high:
        return low
    return low + (high - low) * float(uniform(seed, step, hash_ids(["step"]), 1, "mask_ratio")[0, 0])


def check_mask(mask: str, ratio: Ratio, num_patches: int) -> None:
    """Raise ValueError for an unknown strategy, weights that cannot be drawn by, or a ratio that leaves nothing visible or hidden."""
    mask_weights(mask)
    for number in ratio_range(ratio):
        visible = num_visible(num_patches, number) if 0 <= number <= 1 else 0
        if not 0 < visible < num_patches:
            raise ValueError(
                f"mask_ratio {number} leaves {visible} of {num_patches} patches visible; expected a ratio above 0 and below 1 "
                "that leaves something visible and something hidden."
            )


def patch_parts(part_of_column: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """(gw,) unit of each patch column: the person and part that cover most of its pixels, the left one of a tie.

    Args:
        part_of_column: (W,) int from `resizing.part_columns`.
        grid: (rows, columns) of patches; W is a multiple of the columns.
    """
    if len(part_of_column) % grid[1]:
        raise ValueError(f"{len(part_of_column)} pixel columns do not divide into {grid[1]} patch columns.")
    patches = np.reshape(part_of_column, (grid[1], -1)).tolist()
    return np.array([Counter(patch).most_common(1)[0][0] for patch in patches])  # equal counts: the first, on the left


def _units(
    strategy: str,
    grid: tuple[int, int],
    draws: np.ndarray,
    part_of_column: Sequence[np.ndarray] | None,
    block_size: int,
) -> np.ndarray:
    """(B, L) int: the unit of every patch. `draws` (B, 2) place the block grid."""
    patches = np.arange(grid[0] * grid[1])
    rows, columns = np.divmod(patches, grid[1])
    alike = {"random": patches, "joint": columns, "temporal": rows}
    if strategy in alike:
        return np.tile(alike[strategy], (len(draws), 1))
    if strategy == "block":  # tiles of block_size x block_size patches, their grid at a random place
        shift = (draws * block_size).astype(np.int64)
        across = (grid[1] + block_size - 2) // block_size + 1
        return (rows + shift[:, :1]) // block_size * across + (columns + shift[:, 1:]) // block_size
    if part_of_column is None:
        raise ValueError("mask 'body_part' needs part_of_column: what resizing.part_columns gives for each sample.")
    known: dict[int, np.ndarray] = {}  # the same few arrays come back for every clip of a format
    for part in part_of_column:
        if id(part) not in known:  # numbered from 0, as a small grid has fewer patches than a crowd has parts
            known[id(part)] = np.unique(patch_parts(part, grid), return_inverse=True)[1][columns]
    return np.stack([known[id(part)] for part in part_of_column])


def mask_noise(
    mask: str,
    sample_ids: Sequence[str],
    grid: tuple[int, int],
    ratio: Ratio,
    seed: int = 0,
    epoch: int = 0,
    part_of_column: Sequence[np.ndarray] | None = None,
    block_size: int = 4,
) -> torch.Tensor:
    """Draw one mask a sample, from (seed, epoch, id) alone, never from the process or the batch.

    Args:
        mask: One of `MASKS`, or a mixture of them (`mask_weights`).
        sample_ids: B ids.
        grid: (rows, columns) of patches; L is their product.
        ratio: Share of patches hidden: L - int(L (1 - ratio)) of them. Only checked: the ranks serve every ratio.
        part_of_column: For "body_part": a (W,) array for each sample from `resizing.part_columns`; each person's parts are units
            of their own, and a patch column belongs to the one that covers most of it.
        block_size: For "block": side of a block in patches.

    Returns:
        (B, L) float32 ranks 0 .. L-1; patch i of a sample is hidden if its rank is int(L (1 - ratio)) or more.

    Raises:
        ValueError: unknown strategy, or a ratio that leaves nothing visible or nothing hidden.
    """
    num_patches = grid[0] * grid[1]
    check_mask(mask, ratio, num_patches)
    if part_of_column is not None and len(part_of_column) != len(sample_ids):
        expected = f"one (W,) array for each of the {len(sample_ids)} samples."
        raise ValueError(f"part_of_column has {len(part_of_column)} arrays; expected {expected}")
    strategies = drawn_strategies(mask, sample_ids, seed, epoch)
    noise = torch.empty(len(sample_ids), num_patches)
    for strategy in dict.fromkeys(strategies):  # what a sample draws does not depend on which mixture it was drawn from
        at = [index for index, name in enumerate(strategies) if name == strategy]
        ids = hash_ids([sample_ids[index] for index in at])
        draws = uniform(seed, epoch, ids, 2 + 3 * num_patches, f"mask/{strategy}")
        parts = None if part_of_column is None else [part_of_column[index] for index in at]
        units = _units(strategy, grid, draws[:, :2], parts, block_size)
        within = draws[:, 2 : 2 + num_patches]  # order of the patches inside a unit
        # a unit's place in the shuffle; at most (2 L) units: the shifted grid of 1 x 1 blocks has no more than L + rows + columns
        place = np.take_along_axis(draws[:, 2 + num_patches :], units, axis=1)
        order = np.lexsort((within, place), axis=1)  # units in shuffled order, patches in shuffled order inside each
        ranks = np.empty_like(order)
        # the first patches of `order` are hidden first, so they get the highest ranks
        np.put_along_axis(ranks, order, np.arange(num_patches - 1, -1, -1)[None, :], axis=1)
        noise[at] = torch.from_numpy(ranks.astype(np.float32))
    return noise


def mask_from_noise(noise: torch.Tensor, ratio: float) -> torch.Tensor:
    """(B, L) float32, 1 = hidden and 0 = visible: what ViTMAE makes of `noise` ranks."""
    return (noise >= num_visible(noise.shape[1], ratio)).float()
