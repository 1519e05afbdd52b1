"""People in frames: bodies with the number of their frame and the name of their person, as one clip."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np

from ..raw_files import MAX_CLIP, ReadError
from .arrays import MAX_PEOPLE


def assemble(
    frames: Sequence[int], people: Sequence[Hashable], points: np.ndarray, name: str
) -> tuple[np.ndarray, list[str]]:
    """Bodies of frames as a clip, and sentences about what does not fit in.

    Args:
        frames: N numbers of frames, in any order; one that lacks between others becomes NaN, but for steps that all frames share.
        people: N names of people.
        points: (N, V, C).

    Returns (T, M, V, C), people in the order in which they appear, at most `MAX_PEOPLE`: those who are there the longest.

    Raises ReadError if one person is there twice in a frame, or the numbers are far apart.
    """
    pairs = Counter(zip(frames, people, strict=True))
    (frame, person), most = pairs.most_common(1)[0]
    if most > 1:
        whose = f"person {person}" if person != "" else "somebody"
        raise ReadError(
            f"{name}: {whose} is there {most} times in frame {frame}; expected a column that tells people apart, such as person_id."
        )
    numbers = sorted(set(frames))
    step = math.gcd(*(after - before for before, after in itertools.pairwise(numbers))) if len(numbers) > 2 else 1
    count = (numbers[-1] - numbers[0]) // step + 1
    longest = dict(Counter(people).most_common(MAX_PEOPLE))
    kept = [person for person in dict.fromkeys(people) if person in longest]
    if count * len(kept) * points[0].size * 8 > 4 * MAX_CLIP or count > max(1000, 100 * len(numbers)):
        raise ReadError(
            f"{name}: frames {numbers[0]:,} to {numbers[-1]:,}, of which {len(numbers):,} are there; expected one clip."
        )
    clip = np.full((count, len(kept), *points.shape[1:]), np.nan)
    place = {person: index for index, person in enumerate(kept)}
    chosen = [row for row, person in enumerate(people) if person in place]
    clip[[(frames[row] - numbers[0]) // step for row in chosen], [place[people[row]] for row in chosen]] = points[
        chosen
    ]
    lost = len(set(people)) - len(kept)
    return clip, [
        f"{lost:,} of {lost + len(kept):,} people do not fit; the {MAX_PEOPLE} who are there the longest are kept."
    ] if lost else []
