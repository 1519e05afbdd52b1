"""Mixup and cutmix on skeleton images: two clips in one picture, and the target says how much of each.

Mixup (Zhang et al., arXiv 1710.09412) blends whole images, cutmix (Yun et al., arXiv 1905.04899) puts a box of the one into the
other; a box of a skeleton image is some joints for some time. Every clip draws its own share and partner. The draws depend on
the numbers given as `key` alone (seed, step, ...), so that a resumed run mixes what an undisturbed one would.
"""

from __future__ import annotations

import numpy as np
import torch


def mix(
    images: torch.Tensor, targets: torch.Tensor, mixup: float, cutmix: float, key: tuple[int, ...]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mix the images (B, 3, H, W) of a batch among each other, and their targets, (B, C) probabilities, alike.

    Args:
        mixup: Parameter a of the share drawn from Beta(a, a); 0: no mixup.
        cutmix: The same for the area of the box; 0: no cutmix. With both set, each clip takes one of the two at equal odds.
        key: Whole numbers that the draws depend on.

    Returns:
        Images and targets of the same shapes; those that came in if nothing is mixed.
    """
    count, _, height, width = images.shape
    if (mixup == 0 and cutmix == 0) or count < 2:
        return images, targets
    generator = np.random.default_rng(list(key))
    order = generator.permutation(count)
    partner = np.empty(count, dtype=np.int64)  # never the clip itself: the next one in a random round
    partner[order] = np.roll(order, 1)
    cuts = generator.random(count) < 0.5 if mixup and cutmix else np.full(count, bool(cutmix))
    keep = np.ones(count)  # share of the clip itself
    if mixup:
        keep[~cuts] = generator.beta(mixup, mixup, count)[~cuts]
    mask = np.broadcast_to(keep[:, None, None], (count, height, width))
    if cuts.any():
        area = generator.beta(cutmix, cutmix, count)
        inside = _boxes(generator, 1 - area, height, width)
        mask = np.where(cuts[:, None, None], ~inside, mask)
        keep[cuts] = 1 - inside[cuts].mean(axis=(1, 2))  # a box at the edge is smaller than it was meant to be
    weight = torch.from_numpy(np.ascontiguousarray(mask, dtype=np.float32)).to(images.device)[:, None]
    share = torch.from_numpy(keep.astype(np.float32)).to(images.device)[:, None]
    other = torch.from_numpy(partner).to(images.device)
    return torch.lerp(images[other], images, weight), torch.lerp(targets[other], targets, share)


def _boxes(generator: np.random.Generator, share: np.ndarray, height: int, width: int) -> np.ndarray:
    """(B, H, W) bool, true in a box of about that share of the area around a random centre."""
    side = np.sqrt(share)
    middle = generator.random((2, len(share)))
    inside = []
    for size, centre in ((height, middle[0]), (width, middle[1])):
        first = np.clip(np.round(centre * size - side * size / 2), 0, size)
        last = np.clip(np.round(centre * size + side * size / 2), 0, size)
        at = np.arange(size)
        inside.append((at >= first[:, None]) & (at < last[:, None]))
    return inside[0][:, :, None] & inside[1][:, None, :]
