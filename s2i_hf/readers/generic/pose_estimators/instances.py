"""Keypoints of people in JSON: COCO and PoseTrack annotations, COCO results, AlphaPose, MMPose and MMAction2, ultralytics.

    COCO          {"images": [{"id": 1, "file_name": "1.jpg"}], "categories": [{"id": 1, "name": "person", "keypoints": ["nose", ...]}],
                  "annotations": [{"image_id": 1, "category_id": 1, "keypoints": [x, y, v, ...], "track_id": 3}]}
    COCO results  [{"image_id": 1, "category_id": 1, "keypoints": [x, y, score, ...], "score": 0.9}, ...]
    AlphaPose     the same, with names of images, idx and box; of its 136 joints the first 26 are those of Halpe
    MMPose        {"meta_info": {"keypoint_id2name": {...}}, "instance_info": [{"frame_id": 1, "instances": [{"keypoints": [[x, y], ...],
                  "keypoint_scores": [...]}]}]}, lists of such instances; with x, y, z if lifted to 3D, where it has z up
    ultralytics   [{"name": "person", "box": {...}, "keypoints": {"x": [...], "y": [...], "visible": [...]}, "track_id": 1}, ...], one
                  image or a list of such lists

Names of joints come from "categories" or "meta_info". Without them AlphaPose fixes 17 joints as COCO's, 26 and 136 as Halpe's, and
ultralytics 17 of a person as COCO's; others are read by a layout of as many joints. Formats: cocodataset.org/#format-data,
AlphaPose docs/output.md and write_json, mmpose.structures.split_instances, ultralytics Results.summary.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from ....processing.skeleton_layout import SkeletonLayout
from ...raw_files import ReadError
from ..raw_clip import RawClip
from ..tracks import FrameId
from .frames import FRAME_KEYS, Frame, Object, is_object, value_of
from .tracks import Bodies, frame_id, image_unit, stated

_PERSON = ("track_id", "person_id", "idx", "instance_id")
# Joints that AlphaPose writes -> the layout of the first of them
_ALPHAPOSE = {17: "coco_17", 26: "halpe_26", 133: "coco_17", 136: "halpe_26"}
_FIRST = {"coco_17": 17, "halpe_26": 26}


def read(content: object, frames: Sequence[Frame], file: str, layout: SkeletonLayout | None) -> RawClip | None:
    """A clip of one of these forms; None if these are others. Raises ReadError, which names the frame, if it is damaged."""
    if is_object(content) and isinstance(content.get("annotations"), list):
        return _coco(content, file, layout)
    people = [person for frame in frames for person in frame.people if is_object(person)]
    if not any("keypoints" in person for person in people):
        return None
    names = _meta_names(content, file)
    bodies = Bodies(file, [frame_id(frame.id, file) for frame in frames])
    classes = {str(person["name"]) for person in people if "name" in person and "class" in person}
    kept, left = classes.pop() if len(classes) == 1 else "person", Counter[str]()
    for number, frame in enumerate(frames, 1):
        _add_people(bodies, frame, f"{file}: frame {number} of {len(frames)}", kept, left)
    bodies.left_out += [f"bodies of class {name!r} are left out: {count:,}." for name, count in left.items()]
    points = bodies.points(layout)
    fixed = "" if names else _fixed(people, points.shape[1])
    if fixed and points.shape[1] > _FIRST[fixed]:
        rest = points.shape[1] - _FIRST[fixed]
        points = points[:, : _FIRST[fixed]]
        bodies.left_out.append(f"{rest} of its {rest + _FIRST[fixed]} joints, of face, hands and feet, are left out.")
    return _clip(bodies, points, names, fixed, file)


def _clip(bodies: Bodies, points: np.ndarray, names: tuple[str, ...], fixed: str, file: str) -> RawClip:
    clip = bodies.clip(points)
    unit = image_unit(points) if points.shape[2] == 2 else ""
    if fixed:
        return stated(clip, fixed, unit)
    if names and len(names) != points.shape[1]:
        raise ReadError(
            f"{file}: names {len(names)} joints and has keypoints of {points.shape[1]}; expected one of each."
        )
    clip.names, clip.unit = names, unit
    return clip


def _add_people(bodies: Bodies, frame: Frame, where: str, kept: str, left: Counter[str]) -> None:
    """Add the people of a frame: those of a class, if it says of which they are; others are counted."""
    for place, person in enumerate(frame.people, 1):
        if not is_object(person) or "keypoints" not in person:
            raise ReadError(f"{where}: instance {place} has no keypoints.")
        values, scores = person["keypoints"], person.get("keypoint_scores")
        if "class" in person and str(person.get("name", kept)) != kept:
            left[str(person["name"])[:40]] += 1
            continue
        if is_object(values):
            values, scores = _by_axis(values, f"{where}: instance {place}")
        several = _depth(values) == 3 and isinstance(values, list) and len(values) > 1
        if several and isinstance(values, list):  # MMAction2: the people of a frame in one array
            rows = scores if isinstance(scores, list) and len(scores) == len(values) else [None] * len(values)
            for points, row in zip(values, rows, strict=True):
                bodies.add(frame.id, None, points, row)
        else:
            bodies.add(frame.id, next((person[key] for key in _PERSON if key in person), None), values, scores)


def _by_axis(values: Object, where: str) -> tuple[object, object]:
    """x, y and visible of ultralytics as points and scores; there 0, 0 is a joint that was not found."""
    x, y, scores = values.get("x"), values.get("y"), values.get("visible", values.get("confidence"))
    if not isinstance(x, list) or not isinstance(y, list) or len(x) != len(y):
        raise ReadError(f"{where}: keypoints are no lists x and y of one length.")
    points = [[None, None] if one == other == 0 else [one, other] for one, other in zip(x, y, strict=True)]
    return points, scores if scores is not None else [1.0] * len(x)


def _depth(value: object) -> int:
    depth = 0
    while isinstance(value, list) and value:
        value, depth = value[0], depth + 1
    return depth


def _fixed(people: Sequence[Object], count: int) -> str:
    """The layout that the program behind the file fixes for so many joints; "" if it leaves that open."""
    first = people[0]
    if is_object(first.get("keypoints")):
        return "coco_17" if count == _FIRST["coco_17"] and any(one.get("name") == "person" for one in people) else ""
    alphapose = isinstance(first.get("image_id"), str) and "score" in first and ("idx" in first or "box" in first)
    return _ALPHAPOSE.get(count, "") if alphapose else ""


def _meta_names(content: object, file: str) -> tuple[str, ...]:
    """The names in MMPose's meta_info: keypoint_id2name, there or in dataset_meta."""
    meta = value_of(content, "meta_info", "dataset_meta") if is_object(content) else None
    inner = value_of(meta, "dataset_meta") if is_object(meta) else None
    table = next((value_of(one, "keypoint_id2name", "keypoint_names") for one in (inner, meta) if is_object(one)), None)
    if is_object(table):
        try:
            table = [table[key] for key in sorted(table, key=int)]
        except ValueError:
            raise ReadError(f"{file}: keypoint_id2name has a key that is no number.") from None
    return _named(table, file) if isinstance(table, list) else ()


def _named(names: Sequence[object], file: str) -> tuple[str, ...]:
    texts = tuple(name for name in names if isinstance(name, str))
    if len(texts) != len(names) or len(set(texts)) != len(texts):
        raise ReadError(f"{file}: the names of its keypoints are not all text, or one is there twice.")
    return texts


# -- COCO --------------------------------------------------------------------------------------------------------------


def _coco(content: Object, file: str, layout: SkeletonLayout | None) -> RawClip:
    annotations = content["annotations"]
    assert isinstance(annotations, list)
    ids = _images(content.get("images"), file)
    names, wanted = _category(content.get("categories"), annotations, file)
    bodies, others = Bodies(file, list(ids.values())), 0
    for number, item in enumerate(annotations, 1):
        where = f"{file}: annotation {number}"
        image = next((item[key] for key in FRAME_KEYS if key in item), None) if is_object(item) else None
        if not is_object(item) or image is None:
            raise ReadError(f"{where} has no image_id; expected COCO keypoints.")
        if wanted is not None and item.get("category_id", wanted) != wanted:
            others += 1
        elif item.get("keypoints") or item.get("num_keypoints") != 0:
            if "keypoints" not in item:
                raise ReadError(f"{where} has no keypoints; expected COCO keypoints.")
            image = frame_id(image, where)
            person = next((item[key] for key in _PERSON if key in item), None)
            bodies.add(ids.get(image, image), person, item["keypoints"], item.get("keypoint_scores"))
    if others:
        bodies.left_out.append(f"annotations of other categories are left out: {others:,}.")
    return _clip(bodies, bodies.points(layout), names, "", file)


def _images(images: object, file: str) -> dict[FrameId, FrameId]:
    """What stands for each image: its number or name among the frames of the video. Raises ReadError for images of several videos."""
    if not isinstance(images, list):
        return {}
    known = [(frame_id(image["id"], file), image) for image in images if is_object(image) and _is_id(image.get("id"))]
    videos = {str(image[key]) for _, image in known for key in ("vid_id", "video_id") if key in image}
    names = [
        frame_id(image[key], file) for key in ("file_name", "frame_id") for _, image in known if _is_id(image.get(key))
    ]
    names = names[: len(known)] if len(names) >= len(known) else []
    folders = {name.replace("\\", "/").rpartition("/")[0] for name in names if isinstance(name, str)}
    if len(videos) > 1 or len(folders) > 1:
        first, second, *_ = sorted(videos if len(videos) > 1 else folders)
        raise ReadError(
            f"{file}: has images of several videos, such as {first!r} and {second!r}; write a file for each."
        )
    if len(names) == len(known) and len(set(names)) == len(names):
        return {number: name for (number, _), name in zip(known, names, strict=True)}
    return {number: number for number, _ in known}


def _is_id(value: object) -> bool:
    return isinstance(value, str | int) or (isinstance(value, float) and value.is_integer())


def _category(categories: object, annotations: Sequence[object], file: str) -> tuple[tuple[str, ...], object]:
    """The names of the keypoints, and the id of the category of people that they belong to; None: any.

    Raises ReadError if annotations are of several categories with keypoints, none of which is called person.
    """
    if not isinstance(categories, list):
        return (), None
    known: dict[object, Mapping[str, object]] = {}
    for one in categories:
        if is_object(one) and isinstance(one.get("keypoints"), list) and isinstance(one.get("id", 1), int | str):
            known[one.get("id", 1)] = one
    used = {
        item.get("category_id")
        for item in annotations
        if is_object(item) and isinstance(item.get("category_id"), int | str)
    }
    chosen = {key: one for key, one in known.items() if key in used} if len(known) > 1 else known
    people = {key: one for key, one in chosen.items() if one.get("name") == "person"}
    chosen = people if len(people) == 1 else chosen
    lists = {tuple(map(str, keypoints)) for one in chosen.values() if isinstance(keypoints := one["keypoints"], list)}
    if len(lists) > 1:
        shown = ", ".join(str(one.get("name")) for one in chosen.values())[:80]
        raise ReadError(f"{file}: has keypoints of several categories ({shown}); write a file for each.")
    if not chosen:
        return (), None
    key, one = next(iter(chosen.items()))
    keypoints = one["keypoints"]
    return _named(keypoints if isinstance(keypoints, list) else [], file), key if len(chosen) == 1 else None
