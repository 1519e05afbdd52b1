"""Random numbers that depend on (seed, epoch, sample id, purpose) and on nothing else.

Masks and augmentations drawn here are the same whatever the number of processes, workers or the batch a clip lands in, so a
run on two GPUs repeats a run on one, and a resumed run repeats an undisturbed one. The mixer is SplitMix64 (Steele, Lea and
Flood, OOPSLA 2014), used as a counter-based generator and vectorised over the batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@lru_cache(maxsize=1 << 20)
def _hash_text(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def hash_ids(sample_ids: Sequence[str]) -> np.ndarray:
    """(B,) uint64, one stable 64-bit hash a sample id; the same in every process and Python version."""
    return np.array([_hash_text(sample_id) for sample_id in sample_ids], dtype=np.uint64)


def _mix(x: np.ndarray) -> np.ndarray:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def uniform(seed: int, epoch: int, ids: np.ndarray, count: int, purpose: str) -> np.ndarray:
    """(B, count) float64 in [0, 1): numbers for every sample, whose `ids` (B,) uint64 are from `hash_ids`.

    Every epoch draws anew, and two purposes ("mask", "rotate", ...) draw independently.
    """
    with np.errstate(over="ignore"):  # arithmetic modulo 2^64 is meant
        key = np.uint64(_hash_text(f"{purpose}/{seed}/{epoch}"))
        state = _mix(np.asarray(ids, dtype=np.uint64) ^ key)
        counter = np.arange(1, count + 1, dtype=np.uint64) * _GOLDEN
        bits = _mix(state[:, None] + counter[None, :])
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53
