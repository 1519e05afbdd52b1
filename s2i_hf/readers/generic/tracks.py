"""People in frames: bodies with the number of their frame and the name of their person, as one clip.

Frames come in the order of their numbers, and numbers that lack between others are frames in which nobody was seen. More people than a
clip has room for are people if they are there at once, and one person continued if they are not.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence

import numpy as np

from ..raw_files import MAX_CLIP, ReadError
from .arrays import MAX_PEOPLE

_MAX_FRAMES = 1_000_000
_MOST = 4 * MAX_CLIP  # bytes of a clip in memory
_ENDING = re.compile(r"\.[^./\\]*[A-Za-z][^./\\]*$")  # of the name of an image
_AT_ONCE = 1000  # people
FrameId = int | str


def assemble(
    frames: Sequence[int], people: Sequence[Hashable], points: np.ndarray, name: str
) -> tuple[np.ndarray, list[str]]:
    """Bodies of frames as a clip, and sentences about what does not fit in; see `in_frames`.

    Args:
        frames: N numbers of frames, in any order.
        people: N names of people.
        points: (N, V, C).

    Raises ReadError if one person is there twice in a frame, or the numbers are far apart.
    """
    (frame, person), most = Counter(zip(frames, people, strict=True)).most_common(1)[0]
    if most > 1:
        whose = f"person {person}" if person != "" else "somebody"
        raise ReadError(
            f"{name}: {whose} is there {most} times in frame {frame}; expected a column that tells people apart, such as person_id."
        )
    rows, count = frame_rows(frames, name)
    if count > max(1000, 100 * len(rows)):
        held = f"frames {min(frames):,} to {max(frames):,}, of which {len(rows):,} are there"
        raise ReadError(f"{name}: {held}; expected one clip.")
    place = {person: index for index, person in enumerate(dict.fromkeys(people))}
    tracks = np.array([place[person] for person in people])
    return in_frames(np.array([rows[frame] for frame in frames]), count, tracks, points, name)


def in_frames(
    frames: np.ndarray, count: int, tracks: np.ndarray, points: np.ndarray, file: str
) -> tuple[np.ndarray, list[str]]:
    """A clip of `count` frames, (T, M, V, C), of bodies (N, V, C), with the frame and the track of each, and sentences about tracks.

    At most `MAX_PEOPLE` tracks stay apart; more are people continued by others, of whom those seen longest are kept.
    """
    order = np.argsort(frames, kind="stable")
    frames, points = frames[order], points[order]
    columns, notes = _columns(frames, tracks[order], points, file)
    people = int(columns.max()) + 1
    if count * people * points[0].size * 8 > _MOST:
        raise ReadError(f"{file}: {count:,} frames of {people} people; expected one video.")
    joints = np.full((count, people, *points.shape[1:]), np.nan)
    kept = columns >= 0
    joints[frames[kept], columns[kept]] = points[kept]
    return joints, notes


def _columns(frames: np.ndarray, tracks: np.ndarray, points: np.ndarray, file: str) -> tuple[np.ndarray, list[str]]:
    """The place of each body among the people of the clip, -1 if it has none, and sentences about those of too many tracks."""
    count = int(tracks.max()) + 1
    if count <= MAX_PEOPLE:
        return tracks, []
    if (most := int(np.bincount(frames).max())) > _AT_ONCE:
        raise ReadError(f"{file}: {most:,} people in one frame; expected one video.")
    with np.errstate(invalid="ignore"):
        centres = np.nansum(points, axis=1) / np.maximum((~np.isnan(points)).sum(axis=1), 1)
    starts = np.unique(tracks, return_index=True)[1]  # bodies are in the order of their frames
    ends = len(tracks) - 1 - np.unique(tracks[::-1], return_index=True)[1]
    chain = np.empty(count, dtype=int)
    last = np.empty(count, dtype=int)  # frame and centre of the last of each chain
    at = np.empty((count, points.shape[2]))
    chains = 0
    for track in np.argsort(frames[starts], kind="stable"):
        free = np.flatnonzero(last[:chains] < frames[starts[track]])
        if len(free):
            place = free[np.argmin(np.abs(at[free] - centres[starts[track]]).sum(axis=1))]
        else:
            place, chains = chains, chains + 1
        chain[track], last[place], at[place] = place, frames[ends[track]], centres[ends[track]]
    lengths = np.bincount(chain[tracks], minlength=chains)
    kept = np.sort(np.argsort(-lengths, kind="stable")[:MAX_PEOPLE])
    place_of = np.full(chains, -1)
    place_of[kept] = np.arange(len(kept))
    notes = []
    if chains < count:
        notes.append(
            f"of {count:,} tracks those that are never there at once are taken for one person continued: {chains:,} people."
        )
    if chains > MAX_PEOPLE:
        lost = int((place_of[chain[tracks]] < 0).sum())
        notes.append(
            f"{chains - MAX_PEOPLE:,} of {chains:,} people ({lost:,} bodies) do not fit; the {MAX_PEOPLE} seen longest are kept."
        )
    return place_of[chain[tracks]], notes


def frame_rows(ids: Iterable[FrameId], file: str) -> tuple[dict[FrameId, int], int]:
    """The row of each frame in the clip, and how many there are, with those of numbers that lack in between.

    Numbers are taken from names that differ in nothing else, such as img_9.jpg and img_10.jpg. Where all steps between them have a
    common factor, as when every fifth frame was looked at, nothing lacks. Raises ReadError if there would be more than a million.
    """
    unique = list(dict.fromkeys(ids))
    numbers = _numbers(unique)
    if numbers is None:
        rows = {frame: row for row, frame in enumerate(sorted(unique, key=_natural))}
        count = len(rows)
    else:
        first = min(numbers, default=0)
        steps = [after - before for before, after in itertools.pairwise(sorted(numbers))]
        step = math.gcd(*steps) if len(steps) > 1 else 1
        rows = {frame: (number - first) // step for frame, number in zip(unique, numbers, strict=True)}
        count = max(rows.values(), default=-1) + 1
    if count > _MAX_FRAMES:
        held = f"{count:,} frames, of which {len(unique):,} are there" if len(unique) < count else f"{count:,} frames"
        raise ReadError(f"{file}: {held}; expected one video, of at most {_MAX_FRAMES:,}.")
    return rows, count


def _numbers(ids: Sequence[FrameId]) -> list[int] | None:
    """What number each frame has; None if they are not told apart by one alone."""
    found: list[int] = []
    around: set[tuple[str, str]] = set()
    for frame in ids:
        text = _ENDING.sub("", str(frame))
        match = re.fullmatch(r"(.*?)(\d{1,18})(\D*)", text, re.DOTALL)
        if match is None:
            return None
        sign = -1 if match[1] == "-" else 1
        around.add(("" if match[1] == "-" else match[1], match[3]))
        found.append(sign * int(match[2]))
    return found if len(around) == 1 and len(set(found)) == len(found) else None


def _natural(frame: FrameId) -> list[tuple[int, str, str]]:
    """Digits and text of `"img_9.jpg"` in turn, so that 9 comes before 10."""
    parts = (match.groups() for match in re.finditer(r"(\d*)(\D*)", str(frame)) if match[0])
    return [(len(digits.lstrip("0")), digits.lstrip("0"), text) for digits, text in parts]
