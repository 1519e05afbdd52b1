"""Keypoints in OpenPose's order: its own JSON, the same forms of AlphaPose, and Kinetics-Skeleton of ST-GCN.

    OpenPose     {"people": [{"person_id": [-1], "pose_keypoints_2d": [x, y, score, ...]}]}, a file a frame; hands and face are left alone
    AlphaPose    {"0.jpg": {"people": [...]}, ...}, or {"0.jpg": {"bodies": [{"joints": [x, y, score, ...]}]}, ...}
    Kinetics     {"data": [{"frame_index": 1, "skeleton": [{"pose": [x, y, ...], "score": [...]}]}], "label": "...", "label_index": 0}

25 joints are BODY_25, 18 are COCO's with a neck. Formats: OpenPose doc/02_output.md, AlphaPose write_json, mmskeleton SKELETON_DATA.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from ....processing.skeleton_layout import SkeletonLayout
from ...raw_files import ReadError
from ..raw_clip import RawClip
from .frames import Frame, is_object
from .tracks import Bodies, frame_id, image_unit, stated

_LAYOUTS = {25: "openpose_25", 18: "openpose_18"}
_KEYS = ("pose_keypoints_2d", "pose_keypoints", "joints", "pose")


def read(content: object, frames: Sequence[Frame], file: str, layout: SkeletonLayout | None) -> RawClip | None:
    """A clip of one of these forms; None if `frames` are in none. Raises ReadError, which names the frame, if it is damaged."""
    if not any(_key(person) for frame in frames for person in frame.people):
        return None
    bodies = Bodies(file, [frame_id(frame.id, file) for frame in frames])
    for frame in frames:
        where = f"{file}: frame {frame.id}"
        for place, person in enumerate(frame.people, 1):
            key = _key(person)
            if not is_object(person) or not key:
                raise ReadError(f"{where}: person {place} has no {_KEYS[0]}; expected the form of OpenPose.")
            if person[key]:  # [] where the body was not looked for
                scores = person.get("score") if key == "pose" else None
                bodies.add(frame.id, person.get("person_id", person.get("idx")), person[key], scores)
    points = bodies.points(layout)
    if points.shape[2] != 2:
        raise ReadError(f"{file}: keypoints of {points.shape[2]} coordinates; expected x, y and score of each joint.")
    clip, unit = bodies.clip(points), image_unit(points)
    if (name := _LAYOUTS.get(points.shape[1])) is not None:
        return stated(clip, name, unit)
    clip.unit = unit
    return clip


def _key(person: object) -> str:
    """Where the numbers of a person are; "" if they are nowhere, or lists of something else."""
    if not is_object(person):
        return ""
    lists = {key: person[key] for key in _KEYS if isinstance(person.get(key), list)}
    return next(
        (key for key, one in lists.items() if isinstance(one, list) and (not one or isinstance(one[0], int | float))),
        "",
    )
