"""`Bodies`: who is in which frame, as pose estimators list them, and how they become one clip.

People are told apart by their ids; where there are none, by their place among those seen in the frame.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ....processing.layouts import BUILT_IN
from ....processing.skeleton_layout import SkeletonLayout
from ...raw_files import ReadError
from ..arrays import number_array
from ..raw_clip import RawClip
from ..tracks import FrameId, frame_rows, in_frames

_LARGEST = 1.5  # what is no larger all over an image is in parts of it: nobody is one pixel large
_FAR = 20.0  # beside such an x or y, what lies between 0 and 2 all over is a score
_NOBODY = -1  # what stands for "no id" in OpenPose and others


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
        tracks, of_ids, notes = _tracks(frames[order].tolist(), [people[index] for index in order])
        joints, more = in_frames(frames[order], count, tracks, points[order], self.file)
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
    note = f"people of one id in one frame are taken for several, in frames: {len(repeats):,}."
    return np.array(tracks), of_ids, [note] if repeats and of_ids else []


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
