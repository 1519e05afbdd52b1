"""What the formats of markers share: units by their names, and labels such as "Anna:LFHD" that say whose marker it is."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from ...raw_files import ReadError

_UNITS = {
    "m": "m meter meters metre metres",
    "cm": "cm centimeter centimeters centimetre centimetres",
    "mm": "mm millimeter millimeters millimetre millimetres",
    "inch": "inch inches in",
}
_UNNAMED = re.compile(r"\*?\d*|\*.*|(unlabell?ed|unnamed|unknown)[ _-]*\d*|_?\d+", re.IGNORECASE)


def unit_of(text: str, file: str) -> str:
    """The unit, as `RawClip` calls it, that a file names; "" if it names none. Raises ReadError for one that is no length."""
    name = text.strip().lower()
    unit = next((unit for unit, names in _UNITS.items() if name in names.split()), "")
    if name and not unit:
        raise ReadError(f"{file}: says that its unit is {text.strip()[:40]!r}; expected one of {', '.join(_UNITS)}.")
    return unit


def by_person(labels: Sequence[str], points: np.ndarray, file: str) -> tuple[tuple[str, ...], np.ndarray, list[str]]:
    """Names of V markers, (T, M, V, 3) places of the M people who wear them, and sentences about markers that are nobody's.

    Args:
        labels: What each of N markers is called: "LFHD" or "Anna:LFHD". Whoever has half of the names of the most marked is a person.
        points: (T, N, 3), NaN where a marker was not seen.
        file: Name of the file, for errors.

    Raises ReadError if no marker has a name, or two of one person have the same.
    """
    owned: dict[str, dict[str, int]] = {}
    unnamed = 0
    for index, label in enumerate(labels):
        owner, _, name = (part.strip() for part in label.strip().rpartition(":"))
        if _UNNAMED.fullmatch(name):
            unnamed += 1
        elif owned.setdefault(owner, {}).setdefault(name, index) != index:
            raise ReadError(f"{file}: has two markers named {label!r}; name or remove one of them.")
    if not owned:
        raise ReadError(f"{file}: its {len(labels)} markers have no names; label them before they are exported.")
    names = max(owned.values(), key=len)
    people = [markers for markers in owned.values() if 2 * len(names.keys() & markers) >= len(names)]
    others = sum(map(len, owned.values())) - sum(len(names.keys() & markers) for markers in people)
    apart = [owner or "nobody" for owner, markers in owned.items() if markers not in people]
    left_out = [f"{unnamed} markers without a name are left out."] if unnamed else []
    if others:
        whose = f" ({', '.join(apart[:3])}{', ...' if len(apart) > 3 else ''})" if apart else ""
        left_out.append(f"{others} markers that are not worn by people with {len(names)} markers{whose} are left out.")
    placed = np.full((len(points), len(people), len(names), 3), np.nan)
    for person, markers in enumerate(people):
        for place, name in enumerate(names):
            if name in markers:
                placed[:, person, place] = points[:, markers[name]]
    return tuple(names), placed, left_out
