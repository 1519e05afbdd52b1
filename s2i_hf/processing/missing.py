"""Joints that a sensor lost: found by how they are written down, and filled along time, or from the joints beside them."""

from __future__ import annotations

from functools import lru_cache

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


@lru_cache(maxsize=64)
def bones_apart(parents: tuple[int, ...]) -> np.ndarray:
    """(V, V) int: bones on the way from one joint to another; V, more than any way has, where there is none.

    Args:
        parents: Parent of each joint, -1 for a root, as `SkeletonLayout.parents` has them.
    """
    count = len(parents)
    apart = np.full((count, count), count)
    np.fill_diagonal(apart, 0)
    for joint, parent in enumerate(parents):
        if parent >= 0:
            apart[joint, parent] = apart[parent, joint] = 1
    for via in range(count):  # Floyd and Warshall
        apart = np.minimum(apart, apart[:, via, None] + apart[via])
    return apart


def stand_ins(joints: np.ndarray, lost: np.ndarray, parents: tuple[int, ...]) -> np.ndarray:
    """What takes the place of joints that one person never shows: of the joints that are there, the fewest bones away, or their mean.

    A lost hand goes where its wrist is and not into the middle of the body: classifiers that were trained on whole bodies lose less by it.

    Args:
        joints: (T, V, 3) of one person; those that are there are complete.
        lost: (V,) bool, some but not all of them.
        parents: Parent of each joint; see `bones_apart`.

    Returns:
        (T, lost.sum(), 3) float32.
    """
    apart = bones_apart(parents)[lost][:, ~lost]
    nearest = (apart == apart.min(axis=1, keepdims=True)).astype(np.float32)
    places: np.ndarray = (nearest / nearest.sum(axis=1, keepdims=True)) @ joints[:, ~lost]
    return places


def fill_missing(joints: np.ndarray, parents: tuple[int, ...]) -> tuple[np.ndarray, int]:
    """Fill missing joints along time: linearly between the frames that have them, held before the first and after the last.

    A joint that is missing in every frame takes the place of the joints beside it, frame by frame (see `stand_ins`).

    Args:
        joints: (T, M, V, 3); returned unchanged, not copied, when nothing is missing.
        parents: Parent of each joint; see `bones_apart`.

    Returns:
        The filled joints and how many (frame, person, joint) entries were filled.
    """
    missing = find_missing(joints)
    count = int(missing.sum())
    if count == 0:
        return joints, 0
    filled = np.array(joints, dtype=np.float32)
    frames = np.arange(len(joints))
    never = np.asarray(missing.all(axis=0))
    for person, joint in zip(*np.nonzero(missing.any(axis=0) & ~never), strict=True):
        seen = np.flatnonzero(~missing[:, person, joint])
        for axis in range(3):
            filled[:, person, joint, axis] = np.interp(frames, seen, joints[seen, person, joint, axis])
    for person in np.flatnonzero(never.any(axis=1)):
        lost = never[person]
        filled[:, person, lost] = 0.0 if lost.all() else stand_ins(filled[:, person], lost, parents)
    return filled, count
