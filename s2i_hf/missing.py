"""Joints that a sensor lost: found by how they are written down, and filled along time."""

from __future__ import annotations

import numpy as np

ORIGIN_RADIUS = 1.0  # metres; a body this near to zero is root-centred, for sensors see nothing so close


def find_missing(joints: np.ndarray) -> np.ndarray:
    """Where a joint was not measured: NaN, or exactly zero in a frame whose other joints are not (sensors write 0 0 0).

    Somebody who is all zero in a frame that shows somebody else is missing there, too. A joint at zero throughout is no gap where the
    body is around it: it is the origin of root-centred data.

    Args:
        joints: (T, M, V, 3).

    Returns:
        (T, M, V) bool.
    """
    x, y, z = np.moveaxis(joints, -1, 0)  # plane by plane: numpy is slow at reducing an axis of three
    missing = np.isnan(x) | np.isnan(y) | np.isnan(z)
    zero = (x == 0) & (y == 0) & (z == 0)
    if zero.any():
        missing |= zero & ~zero.all(axis=(1, 2), keepdims=True)
        origin = zero.all(axis=0)
        for person in np.flatnonzero(origin.any(axis=1)):
            seen = joints[:, person][~missing[:, person]]
            if len(seen) and np.abs(seen.mean(axis=0)).max() < ORIGIN_RADIUS:
                missing[:, person, origin[person]] = False
    return missing


def fill_missing(joints: np.ndarray) -> tuple[np.ndarray, int]:
    """Fill missing joints along time: linearly between the frames that have them, held before the first and after the last.

    A joint that is missing in every frame takes the place of the person's other joints (their mean, frame by frame).

    Args:
        joints: (T, M, V, 3); returned unchanged, not copied, when nothing is missing.

    Returns:
        The filled joints and how many (frame, person, joint) entries were filled.
    """
    missing = find_missing(joints)
    count = int(missing.sum())
    if count == 0:
        return joints, 0
    filled = np.array(joints, dtype=np.float32)
    frames = np.arange(len(joints))
    never: list[tuple[int, int]] = []
    for person, joint in zip(*np.nonzero(missing.any(axis=0)), strict=True):
        seen = np.flatnonzero(~missing[:, person, joint])
        if len(seen) == 0:
            never.append((person, joint))
            continue
        for axis in range(3):
            filled[:, person, joint, axis] = np.interp(frames, seen, joints[seen, person, joint, axis])
    for person, joint in never:
        others = [j for j in range(joints.shape[2]) if (person, j) not in never]
        filled[:, person, joint] = filled[:, person, others].mean(axis=1) if others else 0.0
    return filled, count
