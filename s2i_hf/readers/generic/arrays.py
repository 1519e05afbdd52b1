"""Clips as arrays: `.npy`, `.npz` or nested lists in `.json`, one clip a file.

Accepted shapes, V being the joints of the layout:

    (T, V, 3)       T frames of one person
    (T, M, V, 3)    T frames of M people; or (M, T, V, 3), which it is taken for when the second axis is longer than ten and
                    the first is not: nobody records eleven people, and PYSKL stores people first
    (T, V * 3)      joints end to end, x y z x y z ...; (T, M * V * 3) for M people

With 2 in place of 3 where the layout is in pixels. Three values a joint are x, y and a score there, as pose estimators
write them: joints of score 0 were not seen. Missing joints are NaN (null in JSON).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...processing.skeleton_layout import SkeletonLayout
from ..raw_files import MAX_CLIP, RawFile, ReadError, read_json
from .numpy_files import open_npz, read_npy

MAX_PEOPLE = 10
_KEYS = ("joints", "keypoints", "keypoint", "skeletons", "skeleton", "data", "positions")


def read_joints(file: RawFile, layout: SkeletonLayout) -> np.ndarray:
    """Read a clip from a `.npy` or `.npz` file, or from nested lists in a `.json` file.

    Returns:
        (T, M, V, 2 or 3) float64, as stored.

    Raises:
        ReadError: no array of numbers, or of none of the shapes above.
    """
    if file.suffix == ".npy":
        return as_clip(read_npy(file), layout, file.name)
    if file.name.endswith(".npz"):
        with open_npz(file) as arrays:
            return as_clip(arrays.array(_key(arrays.keys, file.name)), layout, file.name)
    return from_lists(read_json(file, MAX_CLIP), layout, file.name)


def _key(keys: list[str], name: str) -> str:
    """The array that holds the joints."""
    known = [key for key in _KEYS if key in keys] or keys
    if len(known) == 1 or (known and known[0] in _KEYS):
        return known[0]
    held = f"the arrays {', '.join(keys)[:200]}" if keys else "no arrays"
    raise ReadError(f"{name}: holds {held}; expected one, or one called {_KEYS[0]!r}.")


def from_lists(content: Any, layout: SkeletonLayout, name: str) -> np.ndarray:
    """Joints from nested lists, or from an object that holds them under "joints" or a like name.

    Returns:
        (T, M, V, 2 or 3) float64.

    Raises:
        ReadError: ragged, not numbers, or of none of the shapes above.
    """
    if isinstance(content, dict):
        content = content[_key([key for key, value in content.items() if isinstance(value, list)], name)]
    return as_clip(number_array(content, name), layout, name)


def number_array(content: Any, name: str) -> np.ndarray:
    """Nested lists of numbers as float64; null is NaN.

    Raises:
        ReadError: ragged, or something else than numbers in them.
    """
    try:
        array = np.asarray(content)
        if array.dtype.kind == "O":  # null, or a number that no float can hold
            flat = [value for value in array.reshape(-1).tolist() if value is not None]
            if not all(type(value) in (int, float) for value in flat):
                raise ValueError("something else than numbers in them")
            array = array.astype(np.float64)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise ReadError(f"{name}: the lists are ragged or not of numbers ({error}).") from None
    if array.dtype.kind not in "fiu":
        raise ReadError(f"{name}: the lists hold {array.dtype} values; expected numbers.")
    return array.astype(np.float64)


def as_clip(array: np.ndarray, layout: SkeletonLayout, name: str) -> np.ndarray:
    """Bring an array of any accepted shape to (T, M, V, 2 or 3) float64.

    Raises:
        ReadError: it has none of the shapes above.
    """
    joints, shape = layout.num_joints, array.shape
    sizes = (3,) if layout.unit == "m" else (2, 3)  # how many numbers a joint may have
    if array.ndim == 2:
        people = {array.shape[1] // (joints * size): size for size in sizes if array.shape[1] % (joints * size) == 0}
        if people and min(people) > 0:  # the fewest people that the numbers can be
            array = array.reshape(len(array), min(people), joints, people[min(people)])
    elif array.ndim == 3:
        array = array[:, None]
    elif array.ndim == 4 and array.shape[0] <= MAX_PEOPLE < array.shape[1]:
        array = array.swapaxes(0, 1)
    if array.ndim != 4 or array.shape[2] != joints or array.shape[3] not in sizes or 0 in array.shape:
        size = " or ".join(map(str, sizes))
        raise ReadError(
            f"{name}: the array has shape {shape}; expected (T, {joints}, {size}) or (T, M, {joints}, {size}) for "
            f"layout {layout.name!r}."
        )
    return array.astype(np.float64)
