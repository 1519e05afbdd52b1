"""Landmarks of MediaPipe Pose in JSON, as its results are written out, frame by frame.

    [{"pose_landmarks": [[{"x": 0.5, "y": 0.4, "z": -0.2, "visibility": 0.9, "presence": 1.0}, ...]], "pose_world_landmarks": [...]}, ...]
    {"fps": 30, "frames": [{"frame": 0, "poseLandmarks": [...], "poseWorldLandmarks": [...]}, ...]}

Also landmarks and worldLandmarks (Tasks for JavaScript), {"landmark": [...]} (protobuf), lists of numbers for x, y, z, visibility, and
objects with the names of landmarks. World landmarks are metres with y down, the others parts of the image; where both are there, world
landmarks are read, unless the layout is in parts of the image. Results: developers.google.com/mediapipe, pose_landmarker.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np

from ....processing.layouts import BUILT_IN
from ....processing.skeleton_layout import SkeletonLayout
from ...raw_files import ReadError
from ..arrays import number_array
from ..joint_names import joint_key
from ..raw_clip import RawClip
from .frames import AROUND, FRAME_KEYS, Frame, Object, is_object, plain, value_of
from .tracks import Bodies, frame_id, stated

_WORLD = ("pose_world_landmarks", "world_landmarks", "landmarks_world", "pose_landmarks_world", "world")
_IMAGE = ("pose_landmarks", "landmarks", "image_landmarks", "normalized_landmarks", "pose_landmarks_normalized")
_KEYS = {"m": frozenset(map(plain, _WORLD)), "normalized": frozenset(map(plain, _IMAGE))}
_PEOPLE = ("poses", "people", "persons", "detections")
_PERSON = ("track_id", "person_id", "id")
_SCORES = ("visibility", "presence")
_PLACES = ("landmark_index", "index", "id", "idx")
_JOINTS = 33
_POINT = {"x", "y", "z", *_SCORES}


def is_result(content: object) -> bool:
    """Whether a value is the result of one image."""
    return is_object(content) and not all(known.isdisjoint(map(plain, content)) for known in _KEYS.values())


def read(content: object, _: Sequence[Frame], file: str, layout: SkeletonLayout | None) -> RawClip | None:
    """A clip of landmarks; None if `content` has none. Raises ReadError, which names the frame, if it is damaged."""
    frames = list(_frames(content, layout))
    held = {plain(key) for _, holders in frames for holder in holders for key in holder}
    units = [unit for unit, known in _KEYS.items() if known & held]
    if not units:
        return None
    unit = layout.unit if layout is not None and layout.unit in units else units[0]
    bodies = Bodies(file, [frame_id(number, file) for number, _ in frames])
    for number, holders in frames:
        where = f"{file}: frame {number}"
        for holder in holders:
            person = value_of(holder, *_PERSON) if len(holders) > 1 else None
            for body in _people(next((one for key, one in holder.items() if plain(key) in _KEYS[unit]), None), where):
                bodies.add(number, person, body[:, :3].tolist(), body[:, 3].tolist())
    clip, world = bodies.clip(bodies.points()), unit == "m"
    stated(clip, "mediapipe_33", unit)
    clip.up, clip.fps = "-y" if world else "", _fps(content)
    return clip


def _frames(content: object, layout: SkeletonLayout | None) -> Iterator[tuple[object, Sequence[Object]]]:
    """The number of each frame, and the objects in it that may have landmarks: itself, or its people."""
    if is_object(content) and not is_result(content):
        content = next((content[key] for key in AROUND if isinstance(content.get(key), list | dict)), content)
    items: list[tuple[object, object]] = []
    if is_object(content):
        items = [(0, content)] if is_result(content) else list(content.items())
    elif isinstance(content, list):
        ids = [value_of(one, *FRAME_KEYS) if is_object(one) else None for one in content]
        items = list(zip(range(len(ids)) if None in ids else ids, content, strict=True))
        if layout is not None and layout.joint_names == BUILT_IN["mediapipe_33"].joint_names and _is_points(content):
            key = (_WORLD if layout.unit == "m" else _IMAGE)[0]  # lists alone do not say of what kind they are
            items = [(number, {key: one}) for number, one in items]
    for number, one in items:
        people = value_of(one, *_PEOPLE) if is_object(one) and not is_result(one) else None
        holders = people if isinstance(people, list) else [one]
        yield number, [holder for holder in holders if is_object(holder)]


def _is_points(value: object) -> bool:
    """Whether lists end in objects with x and y."""
    while isinstance(value, list) and value:
        value = next((one for one in value if one), None)
    return is_object(value) and "x" in value and "y" in value


def _people(value: object, where: str) -> list[np.ndarray]:
    """x, y, z, score of 33 landmarks of each person in a frame."""
    if value is None or value == []:
        return []
    if isinstance(value, list) and all(_is_body(one) for one in value):
        return [_body(one, where) for one in value if one]
    return [_body(value, where)]


def _is_body(value: object) -> bool:
    """Whether a value is a list of landmarks, which are objects or lists."""
    if is_object(value):
        return "landmark" in value
    return isinstance(value, list) and (not value or isinstance(value[0], dict | list))


@cache
def _numbers() -> dict[str, int]:
    return {joint_key(name): number for number, name in enumerate(BUILT_IN["mediapipe_33"].joint_names)}


def _body(value: object, where: str) -> np.ndarray:
    """(33, 4): x, y, z, score."""
    if is_object(value) and "landmark" in value:
        value = value["landmark"]
    if is_object(value):  # names of landmarks -> landmarks
        value = [{**one, "name": name} if is_object(one) else one for name, one in value.items()]
    if not isinstance(value, list):
        raise ReadError(f"{where}: the landmarks are {str(value)[:40]}; expected a list.")
    body = np.full((_JOINTS, 4), np.nan)
    if len(value) == _JOINTS and all(is_object(one) and one.keys() <= _POINT for one in value):
        cells = [[one.get(key) for key in ("x", "y", "z", *_SCORES)] for one in value if is_object(one)]
        table = number_array(cells, where)
        body[:, :3], body[:, 3] = table[:, :3], np.nan_to_num(table[:, 3:], nan=1.0).min(axis=1)
        return body
    for number, one in enumerate(value):
        place: object = number if len(value) == _JOINTS else None
        if is_object(one):
            place = next((one[key] for key in _PLACES if key in one), place)
            if isinstance(name := one.get("name"), str):
                place = _numbers().get(joint_key(name), name)
            scores = [_number(one[key]) for key in _SCORES if one.get(key) is not None]
            row = [*(_number(one.get(axis)) for axis in "xyz"), min(scores, default=1.0)]
        else:
            row = [_number(cell) for cell in one[:4]] if isinstance(one, list) else []
            row += [1.0] if len(row) == 3 else []
        if not isinstance(place, int) or not 0 <= place < _JOINTS:
            shown = f"{len(value)} landmarks" if place is None else f"a landmark {str(place)[:40]!r}"
            raise ReadError(f"{where}: has {shown}; expected the {_JOINTS} of MediaPipe Pose.")
        if len(row) != 4:
            raise ReadError(f"{where}: landmark {place} has no x, y and z.")
        body[place] = row
    return body


def _number(value: object) -> float:
    try:
        return float(value) if isinstance(value, int | float) else np.nan
    except OverflowError:
        return np.nan


def _fps(content: object) -> float | None:
    """Frames a second, if the file says so, in itself or in an object such as "metadata"."""
    if not is_object(content):
        return None
    for holder in (content, *filter(is_object, content.values())):
        value = value_of(holder, "fps", "frame_rate", "frames_per_second")
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e6:
            return float(value)
    return None
