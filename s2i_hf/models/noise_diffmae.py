"""Random numbers as a function of a key and a counter, in torch: the same on every device and in every batch.

The mixer is SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) in the two's complement arithmetic of int64 tensors. A sample has a
64-bit key; what is drawn for it depends on that key alone, never on its place in a batch, on the other samples or on a
global random state.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import torch
from torch import Tensor


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


_GOLDEN, _FIRST, _SECOND = (_signed(word) for word in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def _shift(x: Tensor, bits: int) -> Tensor:
    """Logical right shift; that of torch drags the sign along."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _mix(x: Tensor) -> Tensor:
    x = (x ^ _shift(x, 30)) * _FIRST
    x = (x ^ _shift(x, 27)) * _SECOND
    return x ^ _shift(x, 31)


def keys_of_ids(sample_ids: Sequence[str], seed: int) -> Tensor:
    """(B,) int64, one key for each (seed, sample id), the same in every process."""
    digests = (hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest() for name in sample_ids)
    return torch.tensor([int.from_bytes(digest, "little", signed=True) for digest in digests], dtype=torch.int64)


def keys_of_order(noise: Tensor) -> Tensor:
    """One key for each mask: a hash of the order of its ranks.

    Args:
        noise: (B, L) mask noise as a ViTMAE takes it; only which patch comes at which place counts.

    Returns:
        (B,) int64. Two different orders share a key with probability 2^-64.
    """
    order = noise.argsort(dim=1)
    place = torch.arange(order.shape[1], device=order.device)
    return _mix(_mix(_mix(place * _GOLDEN) + order * _FIRST).sum(dim=1) + _GOLDEN)


def derived_keys(keys: Tensor, count: int) -> Tensor:
    """(B, count) int64: further keys for each key, the first of them not the key itself."""
    return _bits(keys, "key", count)


def _bits(keys: Tensor, purpose: str, count: int) -> Tensor:
    salt = int.from_bytes(hashlib.blake2b(purpose.encode(), digest_size=8).digest(), "little", signed=True)
    state = _mix(keys ^ salt)
    counter = torch.arange(1, count + 1, device=keys.device) * _GOLDEN
    return _mix(state[..., None] + counter)


def integers(keys: Tensor, purpose: str, count: int, high: int) -> Tensor:
    """Uniform whole numbers in 0 .. high - 1.

    Args:
        keys: (B,) int64.
        purpose: Name of the use; two purposes draw independently.
        count: Numbers a key.
        high: At most 2^31.

    Returns:
        (B, count) int64.
    """
    return _shift(_bits(keys, purpose, count), 33) * high >> 31


def normals(keys: Tensor, purpose: str, count: int) -> Tensor:
    """Standard normal numbers by the transform of Box and Muller, two from 64 bits.

    Args:
        keys: (...) int64.
        purpose: Name of the use; two purposes draw independently.
        count: Numbers a key.

    Returns:
        (..., count) float32, of magnitude 6.8 at most.
    """
    bits = _bits(keys, purpose, (count + 1) // 2)
    radius = (-2 * torch.log((_shift(bits, 32).float() + 0.5) * 2.0**-32)).clamp(min=0).sqrt()
    angle = (bits & 0xFFFFFFFF).float() * (2 * math.pi * 2.0**-32)
    return torch.cat([radius * angle.cos(), radius * angle.sin()], dim=-1)[..., :count]
