"""Clips as pose estimators write them in JSON, one video a file: COCO keypoints, and predictions of MMPose.

    COCO          {"images": [{"id": 1}, ...], "annotations": [{"image_id": 1, "keypoints": [x, y, score, ...], "track_id": 3}]}
    COCO results  [{"image_id": "0.jpg", "keypoints": [x, y, score, ...], "idx": 1}, ...]        also of AlphaPose
    MMPose        {"instance_info": [{"frame_id": 1, "instances": [{"keypoints": [[x, y], ...], "keypoint_scores": [...]}]}]}

Frames come in the order of their ids, numbers in names compared as numbers; a frame that "images" or "instance_info" lists and nobody
is in stays, as NaN. People are told apart by track_id, person_id or idx; where there is none of these, by their place in the
frame. Joints with score 0 (COCO: not labelled) are NaN. At most ten people are kept, those who are there the longest.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ....processing.skeleton_layout import SkeletonLayout
from ...raw_files import MAX_CLIP, RawFile, ReadError, read_json
from ..array_facts import from_lists
from ..arrays import MAX_PEOPLE, number_array
from ..raw_clip import RawClip

_FRAME_KEYS = ("image_id", "frame_id", "frame_index", "frame")
_TRACK_KEYS = ("track_id", "person_id", "idx")
_MAX_FRAMES = 1_000_000


class _Body(NamedTuple):
    frame: Hashable
    person: Hashable
    keypoints: Any
    scores: Any


def read(file: RawFile, layout: SkeletonLayout | None = None, axes: str | None = None) -> RawClip:
    """Read a clip in one of the forms above, or as nested lists (see `array_facts`, also for `axes`); NaN where a joint was not seen.

    Raises ReadError if it is no JSON of these forms, or has keypoints of another count than the layout; names the frame.
    """
    content = read_json(file, MAX_CLIP)
    found = _bodies(content, file.name)
    if found is None:
        return from_lists(content, layout, file.name, axes)
    if layout is None:
        raise ReadError(f"{file.name} does not say which joints it holds.")
    frames, bodies = found
    frames = sorted(dict.fromkeys(frames), key=_frame_order)
    if len(frames) > _MAX_FRAMES:
        raise ReadError(f"{file.name}: {len(frames):,} frames; expected one video, of at most {_MAX_FRAMES:,}.")
    if not bodies:
        raise ReadError(f"{file.name}: nobody is in any of its {len(frames):,} frames.")
    return RawClip(_assemble(frames, bodies, layout, file.name))


def _bodies(content: Any, name: str) -> tuple[list[Hashable], list[_Body]] | None:
    """Ids of the frames, maybe several times, and who is in them; None if the content has none of the known forms."""
    if isinstance(content, dict):
        if isinstance(content.get("annotations"), list):
            images = content.get("images")
            listed = [image["id"] for image in images if _has(image, "id")] if isinstance(images, list) else []
            return _from_annotations(content["annotations"], listed, name)
        content = content.get("instance_info")
    if not isinstance(content, list) or not content or not isinstance(content[0], dict):
        return None
    if "instances" in content[0]:
        return _from_frames(content, name)
    if "keypoints" not in content[0]:
        return None
    if not any(key in content[0] for key in _FRAME_KEYS):
        return _from_frames([{"frame_id": 0, "instances": content}], name)  # MMPose's predictions of a single image
    return _from_annotations(content, [], name)


def _has(item: Any, key: str) -> bool:
    return isinstance(item, dict) and isinstance(item.get(key), int | str)


def _from_annotations(
    annotations: Sequence[Any], listed: Sequence[Hashable], name: str
) -> tuple[list[Hashable], list[_Body]]:
    bodies, seen = [], Counter[Hashable]()
    for number, item in enumerate(annotations, 1):
        key = next((key for key in _FRAME_KEYS if _has(item, key)), None)
        if key is None or "keypoints" not in item:
            raise ReadError(f"{name}: annotation {number} has no image_id or no keypoints; expected COCO keypoints.")
        bodies.append(_body(item[key], item, seen[item[key]]))
        seen[item[key]] += 1
    return [*listed, *seen], bodies


def _from_frames(content: Sequence[Any], name: str) -> tuple[list[Hashable], list[_Body]]:
    bodies, frames = [], []
    for number, item in enumerate(content, 1):
        where = f"{name}: frame {number} of {len(content)}"
        instances = item.get("instances") if isinstance(item, dict) else None
        if not isinstance(instances, list):
            raise ReadError(f"{where} has no list of instances; expected MMPose's form.")
        frames.append(item["frame_id"] if _has(item, "frame_id") else number)
        for place, instance in enumerate(instances):
            if not isinstance(instance, dict) or "keypoints" not in instance:
                raise ReadError(f"{where}: instance {place + 1} has no keypoints.")
            bodies.append(_body(frames[-1], instance, place))
    return frames, bodies


def _body(frame: Hashable, item: Mapping[str, Any], place: int) -> _Body:
    person = next((("track", item[key]) for key in _TRACK_KEYS if _has(item, key)), ("place", place))
    return _Body(frame, person, item["keypoints"], item.get("keypoint_scores"))


def _frame_order(frame: Hashable) -> list[tuple[int, str, str]]:
    """Digits and text of `"img_9.jpg"` in turn, so that 9 comes before 10."""
    parts = (match.groups() for match in re.finditer(r"(\d*)(\D*)", str(frame)) if match[0])
    return [(len(digits.lstrip("0")), digits.lstrip("0"), text) for digits, text in parts]


def _assemble(frames: Sequence[Hashable], bodies: Sequence[_Body], layout: SkeletonLayout, name: str) -> np.ndarray:
    """(T, M, V, 2 or 3); people in the order in which they appear."""
    row = {frame: index for index, frame in enumerate(frames)}
    counts = Counter(body.person for body in bodies)
    longest = {person for person, _ in counts.most_common(MAX_PEOPLE)}
    column = {person: index for index, person in enumerate(person for person in counts if person in longest)}
    joints: np.ndarray | None = None
    for body in bodies:
        if body.person not in column:
            continue
        where = f"{name}: frame {body.frame}"
        points = _points(body, layout, where)
        if joints is None:
            shape = (len(frames), len(column), *points.shape)
            if math.prod(shape) * 8 > MAX_CLIP:
                raise ReadError(f"{name}: {len(frames):,} frames of {len(column)} people; expected one video.")
            joints = np.full(shape, np.nan)
        if points.shape[1] != joints.shape[3]:
            raise ReadError(f"{where}: keypoints of {points.shape[1]} values; expected {joints.shape[3]} as before.")
        joints[row[body.frame], column[body.person]] = points
    assert joints is not None  # somebody is there
    return joints


def _points(body: _Body, layout: SkeletonLayout, where: str) -> np.ndarray:
    """(V, 2 or 3), NaN where the score is 0."""
    values = number_array(body.keypoints, where)
    count = layout.num_joints
    if values.ndim == 1 and values.size in (2 * count, 3 * count):
        values = values.reshape(count, -1)
    if values.ndim == 3 and len(values) == 1:
        values = values[0]
    if values.ndim != 2 or len(values) != count or values.shape[1] not in (2, 3):
        raise ReadError(f"{where}: keypoints of shape {values.shape}; expected the {count} of layout {layout.name!r}.")
    if body.scores is not None:
        scores = number_array(body.scores, where).reshape(-1)
        if len(scores) != count:
            raise ReadError(f"{where}: {len(scores)} keypoint_scores; expected {count}.")
    elif values.shape[1] == 3 and layout.unit != "m":
        values, scores = values[:, :2], values[:, 2]
    else:
        return values
    return np.where((scores > 0)[:, None], values, np.nan)
