"""Which axis of an array of joints is which: T frames, M people, V joints, C values a joint, and N clips where it holds several.

    TVC TMVC NTMVC    this package, HumanML3D, most pose estimators
    MTVC NMTVC        PYSKL, MMAction2
    CTV CTVM NCTVM    ST-GCN, 2s-AGCN, MS-G3D, Shift-GCN, CTR-GCN
    (T, V C)          flat rows, joints end to end: x y z x y z ...; (T, M V C) for several people

Sizes tell these apart: V is that of the layout, C is x y z or x y, maybe with a score behind, and nobody records more than ten people.
Where two orders fit, an error names both, and `axes`, which decides: the letters in the order of the array, such as "MTVC".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .skeleton_layout import SkeletonLayout

MAX_PEOPLE = 10
VALUES = {"m": (3, 4), "px": (2, 3), "normalized": (2, 3, 4)}  # unit of a layout -> how many values a joint may have
_ORDERS = {3: ("TVC", "CTV"), 4: ("TMVC", "MTVC", "CTVM")}


def check_axes(axes: str) -> str:
    """The letters of `axes`, in capitals. Raises ValueError if they are no order of T, V, C and maybe M and N."""
    letters = str(axes).upper()
    if not set("TVC") <= set(letters) <= set("NTMVC") or len(set(letters)) != len(letters):
        known = "T (frames), V (joints), C (values a joint), and M (people) or N (clips) if there are any"
        raise ValueError(f"axes is {axes!r}; expected the letters of {known}, each once, such as 'MTVC'.")
    return letters


def arrange(
    array: np.ndarray,
    layout: SkeletonLayout,
    axes: str | None = None,
    joints: int | None = None,
    batches: bool = False,
    lists: bool = False,
) -> np.ndarray:
    """An array of any of these orders as (T, M, V, C), a view where that can be; (N, T, M, V, C) if it holds several clips.

    Args:
        array: The array, which may also be flat: (T, V C) or (T, M V C).
        layout: Its joint format.
        axes: What the caller knows of the order; None: told by the sizes.
        joints: V; None: as many as the layout has.
        batches: Whether it may hold several clips: the first of five axes, or N in `axes`.
        lists: Whether it comes from nested lists, of which four levels may also be several clips of one person.

    Raises ValueError if no order fits, or several do; names them.
    """
    count = layout.num_joints if joints is None else joints
    if array.ndim == 2:
        array, axes = _unfold(array, layout, count, axes)
    found = find_axes(array.shape, layout, axes, count, batches, lists)
    wanted = "NTMVC" if "N" in found else "TMVC"
    array = array.transpose([found.index(letter) for letter in wanted if letter in found])
    return array if "M" in found else np.expand_dims(array, wanted.index("M"))


def find_axes(
    shape: Sequence[int],
    layout: SkeletonLayout,
    axes: str | None = None,
    joints: int | None = None,
    batches: bool = False,
    lists: bool = False,
) -> str:
    """The letters of the axes of an array of this shape, in its order; takes, and raises, what `arrange` does."""
    shape, count = tuple(shape), layout.num_joints if joints is None else joints
    several = "N" if batches and len(shape) == 5 else ""
    if axes is not None:
        letters = check_axes(axes)
        letters = several + letters if len(letters) == 4 and "N" not in letters else letters
        if not _fits(letters, shape, layout, count) or ("N" in letters and not batches):
            raise ValueError(f"the array has shape {shape}, which cannot be {letters}; {_expected(layout, count)}.")
        return letters
    orders = _ORDERS.get(len(shape) - len(several), ())
    orders = (*orders, "NTVC") if lists and len(shape) == 4 else orders
    found = [several + order for order in orders if _fits(several + order, shape, layout, count)]
    likely = [order for order in found if _likely(order, shape)]
    if len(likely) > 1 and likely[1].endswith("MTVC") and shape[len(several) :][:2] == (1, 1):
        del likely[1]  # one frame of one person, either way
    if not likely:
        reading = ", without a frame or a person" if 0 in shape else ""
        reading = f", which would be {_read_as(found[0], shape)}" if found else reading
        raise ValueError(f"the array has shape {shape}{reading}; {_expected(layout, count)}.")
    if len(likely) > 1:
        readings = ", or ".join(_read_as(order, shape) for order in likely)
        raise ValueError(f"the array has shape {shape}, which may be {readings}; pass axes to say which.")
    return likely[0]


def _fits(axes: str, shape: tuple[int, ...], layout: SkeletonLayout, joints: int) -> bool:
    sizes = dict(zip(axes, shape, strict=False))
    return len(axes) == len(shape) and sizes["V"] == joints and sizes["C"] in VALUES[layout.unit] and 0 not in shape


def _likely(axes: str, shape: tuple[int, ...]) -> bool:
    """Whether people are at most ten; where either axis may be theirs, the one of at most ten or of length one is."""
    sizes = dict(zip(axes, shape, strict=True))
    frames, people = sizes["T"], sizes.get("M", 1)
    if axes.endswith(("TMVC", "MTVC")):
        return people == 1 or (frames > 1 and not people > MAX_PEOPLE >= frames)
    if axes == "NTVC":
        return sizes["N"] > 1 and frames > 1 and not sizes["N"] > MAX_PEOPLE >= frames
    return people <= MAX_PEOPLE and (frames > 1 or people == 1)


def _read_as(axes: str, shape: tuple[int, ...]) -> str:
    sizes = dict(zip(axes, shape, strict=True))
    clips = f"{sizes['N']} clip{'s' if sizes['N'] > 1 else ''} of " if "N" in sizes else ""
    frames = f"{sizes['T']} frame{'s' if sizes['T'] > 1 else ''}"
    people = f"{sizes['M']} people" if sizes.get("M", 1) > 1 else "one person"
    return f"{clips}{frames} of {people} with {sizes['C']} values a joint (axes={axes!r})"


def _expected(layout: SkeletonLayout, joints: int) -> str:
    last = f"{joints}, {' or '.join(map(str, VALUES[layout.unit]))}"
    wanted = f"expected (T, {last}) or (T, M, {last}) for layout {layout.name!r}"
    return f"{wanted}, the layout of other joints, or axes such as 'CTVM' for another order"


def _unfold(array: np.ndarray, layout: SkeletonLayout, joints: int, axes: str | None) -> tuple[np.ndarray, str]:
    """Flat rows with an axis for each of people, joints and values, and what these are."""
    letters = "TMVC" if axes is None else check_axes(axes)
    frames, columns = array.shape
    sizes = {
        columns // (joints * values): values
        for values in VALUES[layout.unit]
        if columns % (joints * values) == 0 and ("M" in letters or columns == joints * values)
    }
    people = [count for count in sizes if count <= MAX_PEOPLE] or list(sizes)
    if not people or not array.size or letters[0] != "T" or "N" in letters:
        raise ValueError(f"the array has shape {array.shape}; {_expected(layout, joints)}.")
    if len(people) > 1:
        readings = ", or ".join(f"{count} people with {sizes[count]} values a joint" for count in people)
        shapes = " or ".join(f"(T, {count}, {joints}, {sizes[count]})" for count in people)
        raise ValueError(
            f"the array has shape {array.shape}, whose rows may be {readings}; store it as {shapes} to say which."
        )
    side = {"M": people[0], "V": joints, "C": sizes[people[0]]}
    return array.reshape(frames, *(side[letter] for letter in letters[1:])), letters


def coordinates(array: np.ndarray, unit: str = "m") -> np.ndarray:
    """The coordinates in (..., V, C): (..., V, 2 or 3), NaN where the score or tracking state that follows them is not above 0.

    In pixels a third value is a score; in normalized coordinates it is one where it lies from 0 to 1 throughout, for depths do not.

    Raises ValueError if four values a joint are rotations (quaternions).
    """
    count = array.shape[-1]
    scored = count == 4 or (count == 3 and unit == "px") or (unit == "normalized" and count == 3 and _are_scores(array))
    if not scored:
        return array
    if count == 4 and unit == "m" and _are_rotations(array):
        raise ValueError("four values a joint of length 1 are rotations (quaternions); expected the places of joints.")
    return np.where(array[..., -1:] > 0, array[..., :-1], np.nan)


def unmasked(array: Any) -> Any:
    """A masked array as plain float32 with NaN where it is masked; anything else as it is."""
    return np.ma.filled(array.astype(np.float32), np.nan) if isinstance(array, np.ma.MaskedArray) else array


def in_space(clip: np.ndarray, layout: SkeletonLayout) -> np.ndarray:
    """(T, M, V, 3) from (T, M, V, C): `coordinates`, z = 0 where there is none; x y 0 in pixels, as here, stays."""
    last = clip[..., -1]
    if layout.unit != "px" or clip.shape[-1] == 2 or ((last > 0).any() and not (last < 0).any()):
        clip = coordinates(clip, layout.unit)
    return clip if clip.shape[-1] == 3 else np.concatenate([clip, np.zeros_like(clip[..., :1])], axis=-1)


def _are_scores(array: np.ndarray) -> bool:
    last = array[..., -1]
    return bool((last > 0).any()) and not bool(((last < 0) | (last > 1)).any())


def _are_rotations(array: np.ndarray) -> bool:
    lengths = (np.asarray(array, dtype=np.float64) ** 2).sum(axis=-1)
    return bool((np.abs(lengths - 1) < 1e-3).all())
