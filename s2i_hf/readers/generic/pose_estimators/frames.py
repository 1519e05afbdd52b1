"""JSON of pose estimators as frames, whoever wrote them: each with its id, and the people in it.

{"frames": [...]}                             or instance_info, predictions, results, data
[{"frame_id": 1, "instances": [...]}, ...]    objects with a list of people
[[person, ...], ...]                          lists of people, in their order
{"0": [...], "1": {"people": [...]}, ...}     numbers or names of frames -> people
[{"image_id": 1, ...}, ...]                   people, each with the frame or time that they are in
{"7": {"0": {"keypoints": [...]}}, ...}       people -> frames
[person, ...]                                 the people of a single image
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple, TypeGuard

FRAME_KEYS = ("image_id", "frame_id", "frame_index", "frame", "frame_number", "frame_idx", "frame_no")
_LISTS = (
    "instances", "people", "bodies", "body_list", "skeletons", "skeleton", "detections", "persons", "objects", "poses", "annotations",
    "instance_info", "predictions", "results",
)  # fmt: skip
AROUND = ("frames", "instance_info", "predictions", "results", "data")
_TIMES = ("timestamp", "ts", "timestamp_ms", "timestamp_usec", "time")
_MOST = 1_000_000  # frames or bodies in a list
_TEXTS = 2  # JSON in a text in JSON, as `[result.to_json() for result in results]` gives
Object = dict[str, object]


class Frame(NamedTuple):
    """A frame: its id, the object it is, if it is one, and the people in it; `single` if nothing says that there could be others."""

    id: object
    content: Object
    people: Sequence[object]
    single: bool = False


@lru_cache(maxsize=1 << 12)
def plain(key: str) -> str:
    """A key of an object in small letters, without marks between its words: UserID and user_id are one."""
    return key.lower().replace("_", "").replace("-", "").replace(" ", "")


def is_object(value: object) -> TypeGuard[Object]:
    """Whether a JSON value is an object."""
    return isinstance(value, dict)


def value_of(item: Object, *keys: str) -> object:
    """The value of the first of `keys`, as `plain` writes them, that an object has; None if it has none."""
    known = {plain(key): value for key, value in reversed(item.items())}
    return next((known[key] for key in map(plain, keys) if known.get(key) is not None), None)


def frames_of(content: object, depth: int = _TEXTS) -> list[Frame]:
    """The frames of a file, in its order; [] if it has none of the forms above."""
    if isinstance(content, str) and depth > 0:
        content = _parsed(content)
    if is_object(content):
        around = next((content[key] for key in AROUND if isinstance(content.get(key), list | dict)), None)
        if around is not None:
            return frames_of(around, depth - 1) if depth > 0 else []
        if any(isinstance(value_of(content, key), list) for key in _LISTS):
            return [Frame(0, content, _people(content), single=True)]
        return list(_keyed(content)) if all(isinstance(one, list | dict) for one in content.values()) else []
    if not isinstance(content, list) or not 0 < len(content) <= _MOST:
        return []
    if all(isinstance(item, str) for item in content):
        content = [_parsed(item) for item in content]
    if all(isinstance(item, list) for item in content):
        return [Frame(number, {}, people) for number, people in enumerate(content)]
    items = [item for item in content if is_object(item)]
    if len(items) < len(content):
        return []
    if any(isinstance(value_of(item, key), list) for item in items for key in _LISTS):
        return [Frame(_id(item, number), item, _people(item)) for number, item in enumerate(items)]
    ids = [value_of(item, *FRAME_KEYS) for item in items]
    if all(one is None for one in ids):
        times = [value_of(item, *_TIMES) for item in items]
        numbers = {
            time: place for place, time in enumerate(sorted({time for time in times if isinstance(time, int | float)}))
        }
        if None in times or len(numbers) < 2:
            return [Frame(0, {}, items, single=True)]
        ids = [numbers.get(time) if isinstance(time, int | float) else time for time in times]
    return [Frame(one, item, [item]) for one, item in zip(ids, items, strict=True)]


def _id(item: Object, number: int) -> object:
    given = value_of(item, *FRAME_KEYS)
    return number if given is None else given


def _people(item: Object) -> Sequence[object]:
    found = next((found for key in _LISTS if (found := value_of(item, key)) is not None), [])
    return found if isinstance(found, list) else [found]  # which nobody can be


def _keyed(content: Object) -> Iterator[Frame]:
    for key, value in content.items():
        if isinstance(value, list):
            yield Frame(key, {}, value)
        elif is_object(value) and value and all(is_object(one) and "keypoints" in one for one in value.values()):
            for frame, body in value.items():
                yield Frame(frame, {}, [{**body, "track_id": key} if is_object(body) else body])
        elif is_object(value):
            yield Frame(key, value, _people(value))


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
