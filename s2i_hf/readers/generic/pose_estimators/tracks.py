"""`Bodies`: who is in which frame, as pose estimators list them, and how they become one clip.

Frames come in the order of their numbers, and numbers that lack between others are frames in which nobody was seen. People are told apart
by their ids; where there are none, by their place among those seen in the frame. More tracks than a clip has room for are people if
they are there at once, and one person continued if they are not.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ....processing.layouts import BUILT_IN
from ....processing.skeleton_layout import SkeletonLayout
from ...raw_files import MAX_CLIP, ReadError
from ..arrays import MAX_PEOPLE, number_array
from ..raw_clip import RawClip

MAX_FRAMES = 1_000_000
_MOST = 4 * MAX_CLIP  # bytes of a clip in memory
_LARGEST = 1.5  # what is no larger all over an image is in parts of it: nobody is one pixel large
_FAR = 20.0  # beside such an x or y, what lies between 0 and 2 all over is a score
_NOBODY = -1  # what stands for "no id" in OpenPose and others
_ENDING = re.compile(r"\.[^./\\]*[A-Za-z][^./\\]*$")  # of the name of an image
_AT_ONCE = 1000  # people
FrameId = int | str


@dataclass
class Bodies:
    """People in frames.

    Args:
        file: Name of the file, for errors.
        listed: Frames that are there, whoever is in them.
        left_out: Sentences about what is not in them.
    """

    file: str
    listed: list[FrameId] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    _frames: list[FrameId] = field(default_factory=list)
    _people: list[Hashable] = field(default_factory=list)
    _values: list[object] = field(default_factory=list)
    _scores: list[object] = field(default_factory=list)

    def add(self, frame: object, person: object, values: object, scores: object = None) -> None:
        """A person in a frame, of any id: coordinates of joints, with their scores or beside them; what is not > 0 was not seen."""
        key = frame_id(frame, self.file)
        where = f"{self.file}: frame {key}"
        if values is None:
            raise ReadError(f"{where}: somebody has no keypoints; expected a list of numbers.")
        self._frames.append(key)
        self._people.append(person_id(person, where))
        self._values.append(values)
        self._scores.append(scores)

    def points(self, layout: SkeletonLayout | None = None) -> np.ndarray:
        """(N, V, 2 or 3), NaN where not seen.

        A flat list is x, y, score of each joint, or x, y if there are scores beside it. In a list of three values a joint the last
        is z if there are scores, or `layout`, which a silent file is read by, is in metres and it may be one. Raises ReadError, which
        names the frame.
        """
        if not self._values:
            frames = len(set(self.listed))
            raise ReadError(f"{self.file}: nobody is in any of its {frames:,} frames.")
        values = self._stacked(self._values, "keypoints")
        scores = None
        if any(one is not None for one in self._scores):
            if None in self._scores:
                raise ReadError(f"{self._where(self._scores.index(None))}: somebody has no scores, and others have.")
            scores = self._stacked(self._scores, "scores").reshape(len(values), -1)
        if values.ndim == 4 and values.shape[1] == 1:
            values = values[:, 0]
        if values.ndim == 2:
            values = self._unrolled(values, scores, layout)
        elif (
            scores is None
            and values.ndim == 3
            and (values.shape[2] == 4 or (values.shape[2] == 3 and _is_score(values, layout)))
        ):
            values, scores = values[..., :-1], values[..., -1]
        if values.ndim != 3 or values.shape[2] not in (2, 3) or values.shape[1] == 0:
            shape = values.shape[1:]
            raise ReadError(f"{self._where(0)}: keypoints of shape {shape}; expected x, y (and z) of each joint.")
        if scores is not None and scores.shape[1] != values.shape[1]:
            many = f"{scores.shape[1]} scores of {values.shape[1]} keypoints"
            raise ReadError(f"{self._where(0)}: {many}; expected one of each.")
        return values if scores is None else np.where((scores > 0)[..., None], values, np.nan)

    def _where(self, index: int) -> str:
        return f"{self.file}: frame {self._frames[index]}"

    def _stacked(self, values: Sequence[object], what: str) -> np.ndarray:
        try:
            return number_array(values, self.file)
        except ReadError:
            first: tuple[int, ...] | None = None
            for index, value in enumerate(values):  # which frame it is
                one = number_array([] if value is None else value, self._where(index))
                if first is not None and one.shape != first:
                    shapes = f"{what} of shape {one.shape}; expected {first} as before"
                    raise ReadError(f"{self._where(index)}: {shapes}.") from None
                first = one.shape
            raise

    def _unrolled(self, values: np.ndarray, scores: np.ndarray | None, layout: SkeletonLayout | None) -> np.ndarray:
        """Flat lists as (N, V, 2 or 3); joints whose score, the third of each three, is not above 0 are NaN."""
        size = values.shape[1]
        if scores is not None:
            count = scores.shape[1]
            if count and size in (2 * count, 3 * count):
                return values.reshape(len(values), count, -1)
            raise ReadError(f"{self._where(0)}: {size} keypoint values of {count} scores; expected x and y of each.")
        if size % 3 == 0 and size:
            values = values.reshape(len(values), -1, 3)
            return np.where(values[..., 2:] > 0, values[..., :2], np.nan)
        if layout is not None and size == 2 * layout.num_joints:
            return values.reshape(len(values), -1, 2)
        raise ReadError(f"{self._where(0)}: keypoints of shape ({size},); expected x, y, score of each joint.")

    def clip(self, points: np.ndarray) -> RawClip:
        """The clip of the people, of `points` (N, V, C): one of them each, in the order in which they were added.

        Who is nowhere seen is nobody. Raises ReadError if that is everybody, or frames are too far apart.
        """
        rows, count = frame_rows([*self.listed, *self._frames], self.file)
        seen = ~np.isnan(points).any(axis=-1).all(axis=-1)
        if not seen.any():
            raise ReadError(f"{self.file}: nobody is in any of its {count:,} frames.")
        points = points[seen]
        frames = np.array([rows[frame] for frame in self._frames])[seen]
        people = [person for person, is_seen in zip(self._people, seen.tolist(), strict=True) if is_seen]
        order = np.argsort(frames, kind="stable")
        frames, points = frames[order], points[order]
        tracks, of_ids, notes = _tracks(frames.tolist(), [people[index] for index in order])
        columns, more = _columns(frames, tracks, points, self.file)
        people_count = int(columns.max()) + 1
        if count * people_count * points[0].size * 8 > _MOST:
            raise ReadError(f"{self.file}: {count:,} frames of {people_count} people; expected one video.")
        joints = np.full((count, people_count, *points.shape[1:]), np.nan)
        kept = columns >= 0
        joints[frames[kept], columns[kept]] = points[kept]
        if not of_ids and (swaps := _swaps(joints)):
            say = f"in {swaps:,} of {count:,} frames people seem to change places, and no id says who is who; track them first"
            notes.append(f"{say}.")
        return RawClip(joints, left_out=[*self.left_out, *notes, *more])


def _is_score(values: np.ndarray, layout: SkeletonLayout | None) -> bool:
    """Whether the third value of each joint, (N, V, 3), is a score: it is no place in metres, or cannot be one beside these x and y."""
    if layout is None or layout.unit != "m":
        return True
    place, third = np.abs(values[..., :2]), values[..., 2]
    return bool(
        np.nanmax(place, initial=0) > _FAR and np.nanmin(third, initial=0) >= 0 and np.nanmax(third, initial=0) <= 2
    )


def stated(clip: RawClip, layout: str, unit: str = "") -> RawClip:
    """The clip, with the joints that its format fixes: those of a known layout, which is named if that is in the same kind of unit."""
    known = BUILT_IN[layout]
    clip.names, clip.parents, clip.unit = known.joint_names, known.parents, unit
    kind = unit or clip.usual_unit
    clip.layout = layout if (known.unit == kind if kind in ("px", "normalized") else known.unit == "m") else ""
    return clip


def image_unit(points: np.ndarray) -> str:
    """Whether coordinates in an image, (..., 2), are "px" or "normalized": in pixels nobody is smaller than one of them."""
    return "normalized" if np.nanmax(np.abs(points), initial=0.0) <= _LARGEST else "px"


# -- ids ---------------------------------------------------------------------------------------------------------------


def frame_id(value: object, where: str) -> FrameId:
    """The id of a frame: a whole number or text. Raises ReadError if it is neither."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, int | str) and not isinstance(value, bool):
        return value
    raise ReadError(f"{where}: the id of a frame is {str(value)[:40]}; expected a whole number or a name.")


def person_id(value: object, where: str) -> Hashable:
    """Who somebody is: 3, 3.0, [3.0] and "3" are one; None for -1, null and the like, with which nobody says so."""
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, str):
        text = value.strip()
        value = int(text) if re.fullmatch(r"-?\d{1,18}", text) else text or None
    if isinstance(value, float):
        value = int(value) if value.is_integer() else None if math.isnan(value) else value
    if value is None or isinstance(value, bool) or value == _NOBODY:
        return None
    if isinstance(value, int | float | str):
        return value
    raise ReadError(f"{where}: the id of a person is {str(value)[:40]}; expected a number or a name.")


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
    if count > MAX_FRAMES:
        held = f"{count:,} frames, of which {len(unique):,} are there" if len(unique) < count else f"{count:,} frames"
        raise ReadError(f"{file}: {held}; expected one video, of at most {MAX_FRAMES:,}.")
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


# -- people ------------------------------------------------------------------------------------------------------------


def _tracks(frames: Sequence[int], people: Sequence[Hashable]) -> tuple[np.ndarray, bool, list[str]]:
    """The track of each body, numbered as they appear; whether ids say so; and a sentence if an id is in a frame twice."""
    repeats = {
        pair[0]
        for pair, times in Counter(zip(frames, people, strict=True)).items()
        if times > 1 and pair[1] is not None
    }
    of_ids = set(people) != {None} and not (repeats and len(set(people)) == 1)
    places: Counter[tuple[int, Hashable]] = Counter()
    number: dict[tuple[Hashable, int], int] = {}
    tracks = []
    for frame, person in zip(frames, people, strict=True):
        tracks.append(number.setdefault((person, places[frame, person]), len(number)))
        places[frame, person] += 1
    notes = (
        [f"people of one id in one frame are taken for several, in frames: {len(repeats):,}."]
        if repeats and of_ids
        else []
    )
    return np.array(tracks), of_ids, notes


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


def _swaps(joints: np.ndarray) -> int:
    """Frames in which two people who have no ids are far nearer to each other's places of the frame before than to their own."""
    swaps = np.zeros(max(len(joints) - 1, 0), dtype=bool)
    with np.errstate(invalid="ignore"):
        centres = np.nansum(joints, axis=2) / np.where(
            np.isnan(joints).all(axis=2), np.nan, (~np.isnan(joints)).sum(axis=2)
        )
    for one, other in itertools.combinations(range(joints.shape[1]), 2):
        a, b = centres[:, one], centres[:, other]
        stay = np.abs(a[1:] - a[:-1]).sum(axis=-1) + np.abs(b[1:] - b[:-1]).sum(axis=-1)
        turn = np.abs(a[1:] - b[:-1]).sum(axis=-1) + np.abs(b[1:] - a[:-1]).sum(axis=-1)
        swaps |= turn < 0.5 * stay
    return int(swaps.sum())
