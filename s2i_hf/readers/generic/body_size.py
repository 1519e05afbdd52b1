"""How long bodies are along their bones, and which units make them people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from ...processing.skeleton_layout import SkeletonLayout
from ..raw_files import ReadError, body_extent
from .raw_clip import metres_per

SHORTEST, LONGEST = 0.4, 2.6  # metres from head to foot: nobody is shorter or longer
_USUAL = 1.65  # metres, of adults without the top of the head
_UNITS = ("m", "cm", "mm", "inch", "0.056444")  # the last is that of many files made from CMU's recordings
_LARGEST, _SMALLEST = 4.0, 0.05  # metres: what a body can measure, from fingertip to fingertip; a hand alone has 0.2


@lru_cache(maxsize=256)
def _paths(layout: SkeletonLayout) -> list[list[tuple[int, int]]]:
    """The bones, (joint, parent), on the way from the top of the body to each foot; empty if the layout has no way to both."""
    index = {name: joint for joint, name in enumerate(layout.joint_names)}
    parts = layout.parts
    if not (parts["torso"] and parts["left_leg"] and parts["right_leg"]):
        return []

    def upwards(joint: int) -> list[int]:
        chain = [joint]
        while layout.parents[chain[-1]] >= 0:
            chain.append(layout.parents[chain[-1]])
        return chain

    top = upwards(index[parts["torso"][0]])
    feet = [upwards(index[parts[leg][-1]]) for leg in ("left_leg", "right_leg")]
    if any(foot[-1] != top[-1] for foot in feet):
        return []
    return [[(joint, layout.parents[joint]) for joint in set(top) ^ set(foot)] for foot in feet]


def body_length(joints: np.ndarray, layout: SkeletonLayout) -> float:
    """Length of the bones from head to foot, the mean of both sides, in the unit of `joints`, (..., V, 3) with NaN where not measured.

    Each bone counts with its median. NaN if one was never measured, or the layout has no head and feet in one tree.
    """
    sides = []
    for bones in _paths(layout):
        ends, starts = np.array(bones).T
        lengths = np.linalg.norm(joints[..., ends, :] - joints[..., starts, :], axis=-1).reshape(-1, len(bones))
        measured = ~np.isnan(lengths)
        if not measured.any(axis=0).all():
            return math.nan
        sides.append(sum(float(np.median(lengths[measured[:, bone], bone])) for bone in range(len(bones))))
    return float(np.mean(sides)) if sides else math.nan


def fitting_units(length: float) -> dict[str, float]:
    """The units in which a body of so many units is as long as a person, and how long it is then, the likeliest first."""
    metres = {unit: length * metres_per(unit) for unit in _UNITS}
    fitting = [unit for unit, value in metres.items() if SHORTEST <= value <= LONGEST]
    return {unit: metres[unit] for unit in sorted(fitting, key=lambda unit: abs(math.log(metres[unit] / _USUAL)))}


def check_lengths(lengths: Sequence[float], unit: str | None, where: str) -> None:
    """Refuse the set `where`, read in `unit`, whose bodies are no people by the median of some `body_length` in metres (or NaN).

    Raises ValueError, which says which unit would fit.
    """
    known = [length for length in lengths if not math.isnan(length)]
    if not known or SHORTEST <= (length := float(np.median(known))) <= LONGEST:
        return
    given = length / metres_per(unit)
    fitting = [f"unit={name!r} ({value:.2f} m)" for name, value in fitting_units(given).items()]
    advice = f"pass {' or '.join(fitting)}" if fitting else "pass the metres of a unit, such as unit='0.056444'"
    size = f"{given:.3g} units long from head to foot along their bones, {length:.3g} m in {unit or 'metres'}"
    raise ValueError(f"{where}: bodies are {size}, and no people: {advice}, or any_size=True to read them as they are.")


def check_extent(joints: np.ndarray, layout: SkeletonLayout, file: str, unit: str | None) -> None:
    """Refuse a clip whose bodies, (T, M, V, 3) in metres, are as wide as no person can be. Raises ReadError."""
    seen = ~np.isnan(joints).any(axis=-1)
    extent = body_extent(joints[seen.any(axis=-1)])
    given = extent / metres_per(unit)
    problem = f"{file}: bodies are {given:,.6g} units large, which cannot be {unit or 'metres'}"
    if extent > _LARGEST:
        raise ReadError(f"{problem}; pass the unit they are in, such as unit={'cm' if given < 400 else 'mm'!r}.")
    if layout.num_joints > 1 and 0 < extent < _SMALLEST:
        raise ReadError(f"{problem}; pass the unit they are in, such as unit='m', or metres per unit.")
