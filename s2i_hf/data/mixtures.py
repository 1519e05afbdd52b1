"""Several datasets as one: joined without copying joints, drawn from in a chosen mixture, and clear of test clips.

    rows = join({"ntu120_xsub": ..., "pku1_xsub": ...})["train"]     # two joint formats, one set of rows
    set_weights("equal", ...), set_weights(0.5, ...)                 # how often an epoch draws from each
    held_out(rows, PROTOCOLS["ntu60_xview"])                         # which rows are test clips of another rule

An epoch of a mixture has as many clips as the sets together. Each set is gone through in passes, every clip once a pass,
each pass in an order of its own, and goes on in the next epoch where it stopped, so that a small set is seen several times an
epoch, a large one over several epochs, and no clip twice as often as another of its set. See `passes`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..processing.layouts import get_layout
from ..processing.rng import uniform
from ..protocols import PROTOCOLS, Protocol
from .skeleton_rows import SkeletonRows, Sources

Mixture = str | float | Mapping[str, float]

# Datasets whose clips have each other's names for the same recordings; any other dataset is a family of its own.
_FAMILIES = {"ntu60": "ntu", "ntu120": "ntu", "ui_prmd_kinect": "ui_prmd", "ui_prmd_vicon": "ui_prmd"}


def family(protocol: str) -> str | None:
    """The datasets that a protocol shares its recordings with: equal names in one family are one recording; None if it is unknown.

    NTU RGB+D 60 is a part of NTU RGB+D 120, and UI-PRMD was recorded by two sensors at once.
    """
    if protocol not in PROTOCOLS:
        return None
    dataset = PROTOCOLS[protocol].dataset
    return _FAMILIES.get(dataset, dataset)


# -- test clips --------------------------------------------------------------------------------------------------------


def held_out(rows: SkeletonRows, protocol: Protocol) -> np.ndarray:
    """(N,) bool: which rows are test clips (or, in one-shot protocols, exemplars) of `protocol`, by their ids.

    Rows of other datasets are none, whatever their ids look like.
    """
    kind = family(rows.name)
    if kind is None or kind != family(protocol.name):
        return np.zeros(len(rows), dtype=bool)
    return np.array([protocol.split(name) in ("test", "exemplars") for name in rows.sample_ids], dtype=bool)


# -- joining -----------------------------------------------------------------------------------------------------------


def _joined(parts: Mapping[str, SkeletonRows], prefixed: set[str], weights: tuple[float, ...] | None) -> SkeletonRows:
    """The clips of several sets behind one another; joints stay where they are.

    Labels are those of the sets, moved up so that no two share one; -1 stays -1. A class is called "set: class". Subjects and
    cameras keep the numbers of their own set. Ids of the sets in `prefixed` get the name of their set in front.
    """
    rows = list(parts.values())
    sizes = [len(part) for part in rows]
    counts = [max(len(part.class_names), int(part.labels.max(initial=-1)) + 1) for part in rows]
    part_of = np.repeat(np.arange(len(rows)), sizes)
    labels = np.concatenate([part.labels for part in rows])
    classes = [
        f"{name}: {part.class_names[label] if label < len(part.class_names) else label}"
        for (name, part), count in zip(parts.items(), counts, strict=True)
        for label in range(count)
    ]
    ids = [
        f"{name}/{sample_id}" if name in prefixed else sample_id
        for name, part in parts.items()
        for sample_id in part.sample_ids
    ]
    return SkeletonRows(
        partial(_joints_of_part, rows, part_of, np.cumsum([0, *sizes])),
        np.concatenate([part.shapes for part in rows]),
        np.where(labels < 0, -1, labels + np.cumsum([0, *counts])[part_of]),
        np.concatenate([part.subjects for part in rows]),
        np.concatenate([part.cameras for part in rows]),
        ids,
        [layout for part in rows for layout in part.layouts],
        classes,
        " + ".join(parts),
        sources=Sources(tuple(parts), part_of, weights),
    )


def _joints_of_part(rows: Sequence[SkeletonRows], part_of: np.ndarray, starts: np.ndarray, index: int) -> np.ndarray:
    at = part_of[index]
    return rows[at].joints(index - int(starts[at]))


def join(
    parts: Mapping[str, Mapping[str, SkeletonRows]], mixture: Mixture | None = None
) -> tuple[dict[str, SkeletonRows], dict[str, Any]]:
    """Several datasets as one, with a "train" and a "test" split.

    A recording that several sets have (NTU RGB+D 60 and 120) is kept once, in the first of them; a test clip that trains in any
    set is left out of the test split. Sets that share ids without sharing recordings get ids "set/id".

    Args:
        parts: Name of each set -> its splits. Of other splits than "train" and "test" nothing is taken.
        mixture: See `set_weights`.

    Returns:
        The splits, without copies of joints. And what was left out: `duplicates`, set -> its training clips that a set before it has (if
        any), and `tests_that_train`, how many test clips train in another set.

    Raises:
        ValueError: no clip trains, or the mixture does not fit.
    """
    prefixed = _collisions(parts)
    train, test = ({name: one[split] for name, one in parts.items() if split in one} for split in ("train", "test"))
    seen: set[tuple[str, ...]] = set()
    used = _first_of_each(train, seen)
    duplicates = {name: count for name, rows in used.items() if (count := len(train[name]) - len(rows))}
    if not any(map(len, used.values())):
        raise ValueError(f"There is no training clip in {', '.join(parts)}, or none is left.")
    tests_that_train = sum(key in seen for name, rows in test.items() for key in _recordings(name, rows))
    tested = _first_of_each(test, seen)
    used = {name: rows for name, rows in used.items() if len(rows)}
    weights = set_weights(mixture, {name: len(rows) for name, rows in used.items()}, list(parts))
    joined = {"train": _joined(used, prefixed, weights)}
    if tested:
        joined["test"] = _joined(tested, prefixed, None)
    return joined, {"duplicates": duplicates, "tests_that_train": tests_that_train}


def _first_of_each(parts: Mapping[str, SkeletonRows], seen: set[tuple[str, ...]]) -> dict[str, SkeletonRows]:
    """Each set without the recordings that are in `seen`, which grows."""
    kept = {}
    for name, rows in parts.items():
        new = []
        for index, key in enumerate(_recordings(name, rows)):
            if key not in seen:
                seen.add(key)
                new.append(index)
        kept[name] = rows.select(new) if len(new) < len(rows) else rows
    return kept


def _recordings(name: str, rows: SkeletonRows) -> Iterator[tuple[str, ...]]:
    """What tells recordings apart: within a family id and joint format, otherwise the set and the id."""
    kind = family(rows.name)
    for sample_id, layout in zip(rows.sample_ids, rows.layouts, strict=True):
        yield (name, sample_id) if kind is None else (kind, sample_id, get_layout(layout).name)


def _collisions(parts: Mapping[str, Mapping[str, SkeletonRows]]) -> set[str]:
    """Sets with an id that stands for another recording in another set."""
    owner: dict[str, tuple[tuple[str, ...], str]] = {}
    colliding: set[str] = set()
    for name, splits in parts.items():
        for rows in splits.values():
            for key, sample_id in zip(_recordings(name, rows), rows.sample_ids, strict=True):
                first, of = owner.setdefault(sample_id, (key, name))
                if first != key:
                    colliding |= {name, of}
    return colliding


# -- how often ---------------------------------------------------------------------------------------------------------


def set_weights(
    mixture: Mixture | None, sizes: Mapping[str, int], known: Sequence[str] = ()
) -> tuple[float, ...] | None:
    """Share of an epoch's clips that each set gives.

    Args:
        mixture: None: as many as it has. "equal": the same number from each set. A number alpha: in proportion to
            size ** alpha (1: to its size, 0: equal, 0.5 between the two). A mapping: in proportion to these numbers.
        sizes: Name of each set -> its clips.
        known: Sets that the mapping may name although they have no clips.

    Raises:
        ValueError: not one of these, or a mapping that does not name the sets.
    """
    if mixture is None:
        return None
    if isinstance(mixture, Mapping):
        expected = f"expected a weight for each of {', '.join(sizes)}"
        if unknown := [name for name in mixture if name not in {*sizes, *known}]:
            raise ValueError(f"mixture names {unknown[0]!r}; {expected}.")
        if lacking := [name for name in sizes if name not in mixture]:
            raise ValueError(f"mixture has no weight for {lacking[0]}; {expected}.")
        numbers = [mixture[name] for name in sizes]
    else:
        alpha = 0.0 if mixture == "equal" else mixture
        if not isinstance(alpha, (int, float)) or not 0 <= alpha < math.inf:
            raise ValueError(
                f"mixture is {mixture!r}; expected 'equal', an exponent of the size such as 0.5, or a weight for each set."
            )
        largest = max(sizes.values())  # so that a large exponent does not overflow
        numbers = [(size / largest) ** alpha for size in sizes.values()]
    if not all(isinstance(number, (int, float)) and 0 < number < math.inf for number in numbers):
        raise ValueError(
            f"mixture has the weights {dict(zip(sizes, numbers, strict=True))}; expected numbers above zero. Leave a set out to "
            "draw nothing from it."
        )
    total = math.fsum(numbers)
    return tuple(number / total for number in numbers)


def draws_of_epoch(weights: Sequence[float], names: Sequence[str], count: int) -> list[int]:
    """How many of `count` clips each set gives: its weight of them, rounded so that the sum is `count`. Raises ValueError if it is none."""
    exact = [weight * count for weight in weights]
    draws = list(map(int, exact))
    # The largest remainders are rounded up; ties by name, so that the order of the sets does not matter
    order = sorted(range(len(draws)), key=lambda at: (round(draws[at] - exact[at], 9), names[at]))
    for at in order[: count - sum(draws)]:
        draws[at] += 1
    if 0 in draws:
        name = names[draws.index(0)]
        raise ValueError(f"The mixture takes none of the {count} clips of an epoch from {name}; give it more weight.")
    return draws


def passes(sources: Sources, hashes: np.ndarray, seed: int, epoch: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The clips of an epoch of a mixture, in their order.

    Set k gives `draws_of_epoch` clips: the next ones of its passes. What an epoch takes depends on (seed, epoch), the clips' ids
    and the weights alone.

    Args:
        sources: The set of each clip, and the weights.
        hashes: (N,) uint64 of the clips' ids.
        seed, epoch, count: Of the run; which epoch; clips of an epoch.

    Returns:
        (count,) indices, and (count,) the pass that each clip is in: no clip comes twice in one pass, so masks and augmentation
        drawn by pass differ whenever a clip comes again.
    """
    assert sources.weights is not None
    present = np.unique(sources.of)
    weights = np.array([sources.weights[at] for at in present])
    names = [sources.names[at] for at in present]
    draws = draws_of_epoch(weights / weights.sum(), names, count)
    indices, numbers, places = [], [], []
    for at, number in zip(present, draws, strict=True):
        members = np.flatnonzero(sources.of == at)
        begin, end = epoch * number, (epoch + 1) * number
        first = begin // len(members)
        for nth in range(first, (end - 1) // len(members) + 1):
            order = members[np.argsort(uniform(seed, nth, hashes[members], 1, "order")[:, 0], kind="stable")]
            chosen = order[max(begin - nth * len(members), 0) : end - nth * len(members)]
            indices.append(chosen)
            numbers.append(np.full(len(chosen), nth))
            # where in the epoch: a draw for each pass of the clip, as one epoch may have it in several
            purpose = f"mixture order/{nth - first}"
            places.append(uniform(seed, epoch, hashes[chosen], 1, purpose)[:, 0])
    order = np.argsort(np.concatenate(places), kind="stable")
    return np.concatenate(indices)[order], np.concatenate(numbers)[order]


def known_numbers(numbers: np.ndarray) -> list[int]:
    """The different subjects or cameras among (N,) numbers, sorted, without the -1 of those that are not known."""
    found = np.unique(numbers)
    return list(found[found >= 0].tolist())


def describe_sources(rows: SkeletonRows) -> dict[str, Any]:
    """Facts about each set of a mixture, as JSON values: name -> clips, share of an epoch, joint formats, subjects."""
    sources, facts = rows.sources, {}
    if sources is None:
        return {}
    for at, name in enumerate(sources.names):
        members = np.flatnonzero(sources.of == at)
        share = sources.weights[at] if sources.weights else len(members) / max(len(rows), 1)
        facts[name] = {
            "clips": len(members),
            "share": round(share, 4),
            "layouts": sorted({get_layout(rows.layouts[index]).name for index in members}),
            "subjects": len(known_numbers(rows.subjects[members])),
        }
    return facts
