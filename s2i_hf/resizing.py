"""The constant matrices of the S2I resize: bilinear in time, bilinear over the joints of each body part, and their inverses.

The order of the joints, the widths of the parts and the blocks of several people are folded into the matrix over joints. An axis that grows
needs two neighbours a pixel: their indices and the weight of the second are its taps.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

from .layouts import SkeletonLayout


@lru_cache(maxsize=128)  # a clip of 4,000 frames costs 7 MB here
def linear_weights(size_in: int, size_out: int) -> np.ndarray:
    """(size_out, size_in) float64 weights of a linear resize with `align_corners=False`, antialiased when it shrinks.

    Same rule as `torch.nn.functional.interpolate(mode="bilinear", antialias=size_in > size_out)` along one axis.
    """
    scale = size_in / size_out
    center = (np.arange(size_out) + 0.5) * scale - 0.5
    if size_in > size_out:  # a triangle as wide as one output pixel on each side
        weights = np.maximum(0.0, 1.0 - np.abs(np.arange(size_in)[None, :] - center[:, None]) / scale)
        return weights / weights.sum(axis=1, keepdims=True)
    center = np.clip(center, 0, size_in - 1)
    low = np.floor(center).astype(np.int64)
    high = np.minimum(low + 1, size_in - 1)
    weights = np.zeros((size_out, size_in))
    weights[np.arange(size_out), low] += 1 - (center - low)
    weights[np.arange(size_out), high] += center - low
    return weights


def _edges(parts: int, width: int) -> list[int]:
    return [int(k * width / parts + 0.5) for k in range(parts + 1)]


@lru_cache(maxsize=1024)
def joint_weights(layout: SkeletonLayout, num_people: int, width: int, part_widths: str) -> np.ndarray:
    """(width, M * V) float64: how much each joint of each person adds to each image column.

    Joints are indexed as the layout lists them; the order of the image is folded in.

    Raises:
        ValueError: `width` gives a person, or with equal part widths a part, less than one column.
    """
    num_joints, order, sizes = layout.num_joints, layout.order, layout.part_sizes
    weights = np.zeros((width, num_people * num_joints))
    blocks = _edges(num_people, width)
    for person in range(num_people):
        left, right = blocks[person : person + 2]
        if right - left < 5:
            raise ValueError(
                f"{num_people} people leave {right - left} of {width} columns to one of them; a person needs 5. Keep fewer "
                "people (people='first') or use a wider image."
            )
        spans = [(left, right, 0, num_joints)]
        if part_widths == "equal":
            edges = [left + edge for edge in _edges(5, right - left)]
            starts = np.concatenate([[0], np.cumsum(sizes)])
            spans = [(edges[k], edges[k + 1], int(starts[k]), int(starts[k + 1])) for k in range(5)]
        for first, last, start, stop in spans:
            if stop > start:  # the columns of a part without joints stay zero
                columns = [person * num_joints + joint for joint in order[start:stop]]
                weights[first:last, columns] = linear_weights(stop - start, last - first)
    return weights


@lru_cache(maxsize=1024)
def part_columns(layout: SkeletonLayout, num_people: int, width: int, part_widths: str) -> np.ndarray:
    """(width,) int64: `person * 5 + part` whose joint weighs most in each image column; -1 where there is none."""
    weights = joint_weights(layout, num_people, width, part_widths)
    part_of = {joint: part for part, joints in enumerate(layout.parts.values()) for joint in joints}
    parts = np.array([part_of[name] for name in layout.joint_names])
    owner = np.concatenate([person * 5 + parts for person in range(num_people)])
    column = np.array([weights[:, owner == k].sum(axis=1) for k in range(5 * num_people)])
    return np.where(column.max(axis=0) > 0, column.argmax(axis=0), -1)


@lru_cache(maxsize=4096)
def time_taps(size_in: int, size_out: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Row indices low and high (size_out,) and the weight of high, for an axis that grows."""
    return two_taps(linear_weights(size_in, size_out))


def two_taps(weights: np.ndarray) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rows = np.arange(len(weights))
    first = weights.argmax(axis=1)  # the heavier of the two taps
    rest = weights.copy()
    rest[rows, first] = 0
    second = rest.argmax(axis=1)
    share = rest[rows, second]
    second = np.where(share > 0, second, first)
    return torch.from_numpy(first), torch.from_numpy(second), torch.from_numpy(share.astype(np.float32))


@lru_cache(maxsize=1024)
def joint_taps(
    layout: SkeletonLayout, num_people: int, width: int, part_widths: str
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None:
    """`joint_weights` as two joints and a share for each column; None if some column mixes more, or none."""
    weights = joint_weights(layout, num_people, width, part_widths)
    mixed = np.count_nonzero(weights, axis=1)
    return two_taps(weights) if mixed.min() >= 1 and mixed.max() <= 2 else None


@lru_cache(maxsize=1024)
def joint_matrix(layout: SkeletonLayout, num_people: int, width: int, part_widths: str) -> torch.Tensor:
    """(M * V, width) float32, `joint_weights` ready to multiply."""
    return torch.from_numpy(joint_weights(layout, num_people, width, part_widths).T.astype(np.float32)).contiguous()


@lru_cache(maxsize=512)
def time_inverse(num_frames: int, height: int) -> np.ndarray:
    if num_frames > height:  # the least-squares answer of smallest norm would tremble: take the frames between the rows
        return linear_weights(height, num_frames)
    return np.linalg.pinv(linear_weights(num_frames, height))


@lru_cache(maxsize=512)
def joint_inverse(layout: SkeletonLayout, num_people: int, width: int, part_widths: str) -> np.ndarray:
    return np.linalg.pinv(joint_weights(layout, num_people, width, part_widths))
