"""Forward kinematics: from bone offsets and joint angles to positions, for all frames at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

_BLOCK = 2048  # frames


def rotations(axes: str, degrees: np.ndarray) -> np.ndarray:
    """Rotation matrices of Euler angles.

    Args:
        axes: The axis of each angle, such as "ZXY"; upper or lower case.
        degrees: (..., len(axes)).

    Returns:
        (..., 3, 3) float64: the product of the single rotations in the order of `axes`, so that the last one acts first on a
        column vector. "ZXY" gives Rz @ Rx @ Ry.
    """
    angles = np.radians(degrees)
    matrix = np.broadcast_to(np.eye(3), (*angles.shape[:-1], 3, 3))
    for index, axis in enumerate(axes.lower()):
        i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
        cos, sin = np.cos(angles[..., index]), np.sin(angles[..., index])
        single = np.zeros((*angles.shape[:-1], 3, 3))
        single[..., 3 - i - j, 3 - i - j] = 1
        single[..., i, i], single[..., i, j] = cos, -sin
        single[..., j, i], single[..., j, j] = sin, cos
        matrix = single if index == 0 else matrix @ single
    return np.array(matrix)


def topological_order(parents: Sequence[int]) -> list[int]:
    """Joints with every parent before its children.

    Args:
        parents: Parent of each joint, -1 for a root.

    Raises:
        ValueError: the parents form a cycle.
    """
    children: dict[int, list[int]] = {}
    for joint, parent in enumerate(parents):
        children.setdefault(parent, []).append(joint)
    order, waiting = [], list(reversed(children.get(-1, [])))
    while waiting:
        joint = waiting.pop()
        order.append(joint)
        waiting += reversed(children.get(joint, []))
    if len(order) != len(parents):
        raise ValueError("the joints form a cycle")
    return order


def positions(parents: Sequence[int], local: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Where the joints are, down the tree: p = p_parent + R_parent @ offset, R = R_parent @ local.

    Args:
        parents: Parent of each of V joints, -1 for a root.
        local: (T, V, 3, 3), rotation of each joint relative to its parent.
        offsets: (T, V, 3), place of each joint in the frame of its parent; of a root in the world.

    Returns:
        (T, V, 3) float64, in the unit of the offsets.

    Raises:
        ValueError: the parents form a cycle.
    """
    turned, placed = np.empty(local.shape), np.empty(offsets.shape)
    for joint in topological_order(parents):
        parent = parents[joint]
        if parent < 0:
            turned[:, joint], placed[:, joint] = local[:, joint], offsets[:, joint]
        else:
            turned[:, joint] = turned[:, parent] @ local[:, joint]
            placed[:, joint] = placed[:, parent] + (turned[:, parent] @ offsets[:, joint, :, None])[..., 0]
    return placed


def in_blocks(pose: Callable[[np.ndarray], np.ndarray], channels: np.ndarray) -> np.ndarray:
    """`pose` of many frames, some thousand at a time, because rotation matrices take much more memory than what they are made from.

    Args:
        pose: (t, C) -> (t, V, 3).
        channels: (T, C), T at least 1.

    Returns:
        (T, V, 3).
    """
    return np.concatenate([pose(channels[start : start + _BLOCK]) for start in range(0, len(channels), _BLOCK)])
