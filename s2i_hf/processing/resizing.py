"""The constant matrices of the S2I resize: in time, over the joints of each body part, and their inverses.

The order of the joints, the widths of the parts and the blocks of several people are folded into the matrix over joints. A
bilinear axis that grows needs two neighbours a pixel: their indices and the weight of the second are its taps.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch

from .layouts import SkeletonLayout
from .rng import hash_ids, uniform

Taps = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Of two neighbours for each of the places (N,): the index of the first, that of the second, and the weight of the second."""


class Columns(NamedTuple):
    """How joints become image columns: the options of `EncodingOptions` of these names. Where functions below take `columns`, a
    text stands for `part_widths` alone."""

    part_widths: str = "joints"
    joint_order: str = "parts"
    order_seed: int = 0
    interpolation: str = "linear"


@lru_cache(maxsize=128)  # a clip of 4,000 frames costs 7 MB here
def resize_weights(size_in: int, size_out: int, interpolation: str = "linear") -> np.ndarray:
    """(size_out, size_in) float64 weights of a resize with `align_corners=False` along one axis.

    Same rules as `torch.nn.functional.interpolate` with mode "bilinear" ("linear") and "bicubic" ("cubic"), antialiased when the
    axis shrinks, and with mode "nearest-exact" ("nearest").
    """
    scale = size_in / size_out
    rows, center = np.arange(size_out), (np.arange(size_out) + 0.5) * scale - 0.5
    weights = np.zeros((size_out, size_in))
    if interpolation == "nearest":
        weights[rows, np.minimum(np.floor(center + 0.5).astype(np.int64), size_in - 1)] = 1.0
        return weights
    if size_in > size_out:
        away = np.abs(np.arange(size_in)[None, :] - center[:, None]) / scale
        weights = np.maximum(0.0, 1.0 - away) if interpolation == "linear" else _keys(away, -0.5)
        return weights / weights.sum(axis=1, keepdims=True)
    if interpolation == "linear":
        center = np.clip(center, 0, size_in - 1)
        low = np.floor(center).astype(np.int64)
        weights[rows, low] += 1 - (center - low)
        weights[rows, np.minimum(low + 1, size_in - 1)] += center - low
        return weights
    low = np.floor(center).astype(np.int64)
    for step in (-1, 0, 1, 2):  # a neighbour beyond the edge is the one at the edge
        at = np.clip(low + step, 0, size_in - 1)
        np.add.at(weights, (rows, at), _keys(np.abs(center - low - step), -0.75))
    return weights


def _keys(x: np.ndarray, a: float) -> np.ndarray:
    """The cubic convolution kernel at distances `x` (Keys 1981); torch has a = -0.75, and -0.5 where it antialiases."""
    near, far = ((a + 2) * x - (a + 3)) * x * x + 1, ((x - 5) * x + 8) * x * a - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def _edges(parts: int, width: int) -> list[int]:
    return [int(k * width / parts + 0.5) for k in range(parts + 1)]


@lru_cache(maxsize=1024)
def image_order(layout: SkeletonLayout, joint_order: str = "parts", order_seed: int = 0) -> tuple[int, ...]:
    """Joints, as the layout numbers them, from left to right in a person's block.

    Args:
        joint_order: "parts": part by part, top-down; "sensor": as the layout lists them; "random": a shuffling that depends on
            `order_seed` and the names of the joints alone.
    """
    if joint_order == "parts":
        return tuple(layout.order)
    if joint_order == "sensor":
        return tuple(range(layout.num_joints))
    draws = uniform(order_seed, 0, hash_ids(layout.joint_names), 1, "joint_order")[:, 0]
    return tuple(int(joint) for joint in draws.argsort(kind="stable"))


@lru_cache(maxsize=1024)
def joint_weights(layout: SkeletonLayout, num_people: int, width: int, columns: Columns | str) -> np.ndarray:
    """(width, M * V) float64: how much each joint of each person adds to each image column.

    Joints are indexed as the layout lists them; the order of the image is folded in.

    Raises:
        ValueError: `width` gives a person, or with equal part widths a part, less than one column.
    """
    part_widths, joint_order, order_seed, interpolation = Columns(columns) if isinstance(columns, str) else columns
    num_joints, sizes = layout.num_joints, layout.part_sizes
    order = image_order(layout, joint_order, order_seed)
    weights = np.zeros((width, num_people * num_joints))
    blocks = _edges(num_people, width)
    for person in range(num_people):
        left, right = blocks[person : person + 2]
        if right - left < 5:
            few = f"{num_people} people leave {right - left} of {width} columns to one of them; a person needs 5."
            raise ValueError(f"{few} Keep fewer people (people='first') or use a wider image.")
        spans = [(left, right, 0, num_joints)]
        if part_widths == "equal":
            edges = [left + edge for edge in _edges(5, right - left)]
            starts = np.concatenate([[0], np.cumsum(sizes)])
            spans = [(edges[k], edges[k + 1], int(starts[k]), int(starts[k + 1])) for k in range(5)]
        for first, last, start, stop in spans:
            if stop > start:  # the columns of a part without joints stay zero
                joints = [person * num_joints + joint for joint in order[start:stop]]
                weights[first:last, joints] = resize_weights(stop - start, last - first, interpolation)
    return weights


@lru_cache(maxsize=1024)
def part_columns(layout: SkeletonLayout, num_people: int, width: int, columns: Columns | str) -> np.ndarray:
    """(width,) int64: `person * 5 + part` whose joint weighs most in each image column; -1 where there is none."""
    weights = joint_weights(layout, num_people, width, columns)
    part_of = {joint: part for part, joints in enumerate(layout.parts.values()) for joint in joints}
    parts = np.array([part_of[name] for name in layout.joint_names])
    owner = np.concatenate([person * 5 + parts for person in range(num_people)])
    column = np.array([weights[:, owner == k].sum(axis=1) for k in range(5 * num_people)])
    return np.where(column.max(axis=0) > 0, column.argmax(axis=0), -1)


@lru_cache(maxsize=4096)
def time_taps(size_in: int, size_out: int, interpolation: str = "linear") -> Taps | None:
    """`resize_weights` as two rows and a share; None if some row mixes more than two."""
    weights = resize_weights(size_in, size_out, interpolation)
    return two_taps(weights) if np.count_nonzero(weights, axis=1).max() <= 2 else None


def two_taps(weights: np.ndarray) -> Taps:
    rows = np.arange(len(weights))
    first = weights.argmax(axis=1)  # the heavier of the two taps
    rest = weights.copy()
    rest[rows, first] = 0
    second = rest.argmax(axis=1)
    share = rest[rows, second]
    second = np.where(share > 0, second, first)
    return torch.from_numpy(first), torch.from_numpy(second), torch.from_numpy(share.astype(np.float32))


@lru_cache(maxsize=1024)
def joint_taps(layout: SkeletonLayout, num_people: int, width: int, columns: Columns | str) -> Taps | None:
    """`joint_weights` as two joints and a share for each column; None if some column mixes more, or none."""
    weights = joint_weights(layout, num_people, width, columns)
    mixed = np.count_nonzero(weights, axis=1)
    return two_taps(weights) if mixed.min() >= 1 and mixed.max() <= 2 else None


@lru_cache(maxsize=1024)
def joint_matrix(layout: SkeletonLayout, num_people: int, width: int, columns: Columns | str) -> torch.Tensor:
    """(M * V, width) float32, `joint_weights` ready to multiply."""
    return torch.from_numpy(joint_weights(layout, num_people, width, columns).T.astype(np.float32)).contiguous()


@lru_cache(maxsize=512)
def time_inverse(num_frames: int, height: int, interpolation: str = "linear") -> np.ndarray:
    if num_frames > height:  # the least-squares answer of smallest norm would tremble: take the frames between the rows
        return resize_weights(height, num_frames, interpolation)
    return np.linalg.pinv(resize_weights(num_frames, height, interpolation))


@lru_cache(maxsize=512)
def joint_inverse(layout: SkeletonLayout, num_people: int, width: int, columns: Columns | str) -> np.ndarray:
    return np.linalg.pinv(joint_weights(layout, num_people, width, columns))
