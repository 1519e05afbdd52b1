"""Bodies of depth cameras in JSON: Azure Kinect's offline processor, ZED's body tracking, Nuitrack.

    Azure Kinect  {"joint_names": [...], "bone_list": [...], "frames": [{"frame_id": 0, "bodies": [{"body_id": 1,
                  "joint_positions": [[x, y, z], ...]}]}]}                                                       millimetres, y down
    ZED           {"1700000000000": {"is_new": true, "body_list": [{"id": 0, "keypoint": [[x, y, z], ...],
                  "keypoint_confidence": [...]}]}, ...}      18, 34 or 38 keypoints; in the unit and axes of the camera, by custom metres
    Nuitrack      [{"Timestamp": 1, "Skeletons": [{"UserID": 1, "Joints": [{"type": "JOINT_HEAD", "confidence": 0.75, "real": {"x": 0, "y":
                  400, "z": 2000}, "proj": {...}}]}]}, ...]                                                      millimetres, y up

Joints of confidence 0 were not seen. Formats: Azure-Kinect-Samples offline_processor, zed-sdk "body tracking/export", nuitrack JointType.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from ....processing.layouts import BUILT_IN
from ....processing.skeleton_layout import SkeletonLayout
from ...raw_files import ReadError
from ..arrays import number_array
from ..joint_names import joint_key
from ..raw_clip import RawClip
from ..tracks import FrameId
from .frames import Frame, Object, is_object, value_of
from .tracks import Bodies, frame_id, stated

_ZED = {18: "openpose_18", 34: "zed_34", 38: "zed_38"}
_TYPES = tuple(  # JointType of Nuitrack, from 0
    re.findall(
        r"\w+",
        "none head neck torso waist left_collar left_shoulder left_elbow left_wrist left_hand left_fingertip right_collar "
        "right_shoulder right_elbow right_wrist right_hand right_fingertip left_hip left_knee left_ankle left_foot right_hip "
        "right_knee right_ankle right_foot",
    )
)


def read(content: object, frames: Sequence[Frame], file: str, _: SkeletonLayout | None) -> RawClip | None:
    """A clip of one of these cameras; None if it is of none. Raises ReadError, which names the frame, if it is damaged."""
    first = next((person for frame in frames for person in frame.people if is_object(person)), {})
    if "joint_positions" in first:
        return _azure_kinect(content, frames, file)
    if "keypoint" in first:
        return _zed(frames, file)
    joints = first.get("joints")
    typed = isinstance(joints, list) and joints and is_object(joints[0]) and value_of(joints[0], "type") is not None
    if typed or (value_of(first, "joints") is not None and "joints" not in first):
        return _nuitrack(frames, file)
    return None


def _people(frame: Frame, where: str) -> list[Object]:
    for place, person in enumerate(frame.people, 1):
        if not is_object(person):
            raise ReadError(f"{where}: person {place} is {str(person)[:40]}; expected an object.")
    return [person for person in frame.people if is_object(person)]


def _azure_kinect(content: object, frames: Sequence[Frame], file: str) -> RawClip:
    bodies = Bodies(file, [frame_id(frame.id, file) for frame in frames])
    for frame in frames:
        for person in _people(frame, f"{file}: frame {frame.id}"):
            scores = value_of(person, "confidence_levels", "joint_confidence", "confidence_level", "joint_confidences")
            given = scores if isinstance(scores, list) else None
            bodies.add(frame.id, value_of(person, "body_id", "id"), person.get("joint_positions"), given)
    clip = bodies.clip(_in_space(bodies, file))
    names = value_of(content, "joint_names") if is_object(content) else None
    known = BUILT_IN["azure_kinect_32"].joint_names
    if names is None and clip.joints.shape[2] == len(known):
        names = list(known)
    if not isinstance(names, list) or len(names) != clip.joints.shape[2]:
        held = f"{len(names)} names" if isinstance(names, list) else "no names"
        raise ReadError(f"{file}: has {held} of {clip.joints.shape[2]} joints; expected one of each.")
    if list(map(joint_key, map(str, names))) == list(map(joint_key, known)):
        stated(clip, "azure_kinect_32", "mm")
    else:
        clip.names, clip.unit = tuple(map(str, names)), "mm"
    clip.up = "-y"
    rate = value_of(content, "frames_per_second") if is_object(content) else None
    clip.fps = float(rate) if isinstance(rate, int | float) and 0 < rate < 1000 else None
    return clip


def _in_space(bodies: Bodies, file: str) -> np.ndarray:
    points = bodies.points(BUILT_IN["kinect_v2"])  # three values a joint are x, y, z
    if points.shape[2] != 3:
        raise ReadError(f"{file}: joints of {points.shape[2]} coordinates; expected x, y and z.")
    return points


def _zed(frames: Sequence[Frame], file: str) -> RawClip:
    places: dict[FrameId, int] = {}  # frames are called by their times, which do not count them
    for frame in frames:
        places.setdefault(frame_id(frame.id, file), len(places))
    bodies = Bodies(file, list(places.values()))
    for frame in frames:
        where, number = f"{file}: frame {frame.id}", places[frame_id(frame.id, file)]
        for person in _people(frame, where):
            scores = person.get("keypoint_confidence")
            if scores is not None:  # NaN where the camera gives none
                scores = np.nan_to_num(number_array(scores, where), nan=1.0).tolist()
            bodies.add(number, person.get("id", person.get("unique_object_id")), person.get("keypoint"), scores)
    clip = bodies.clip(_in_space(bodies, file))
    clip.usual_unit = "m"
    layout = _ZED.get(clip.joints.shape[2])
    return clip if layout is None else stated(clip, layout)


# -- Nuitrack ----------------------------------------------------------------------------------------------------------


def _nuitrack(frames: Sequence[Frame], file: str) -> RawClip:
    names = {joint_key(name): place for place, name in enumerate(BUILT_IN["nuitrack"].joint_names)}
    bodies = Bodies(file, [frame_id(frame.id, file) for frame in frames])
    for frame in frames:
        where = f"{file}: frame {frame.id}"
        for person in _people(frame, where):
            joints = np.full((len(names), 4), np.nan)
            for name, joint in _joints(value_of(person, "joints"), where):
                key = joint_key(name)
                if key not in names and key not in map(joint_key, _TYPES):
                    raise ReadError(f"{where}: a joint is called {name[:40]!r}, which Nuitrack knows not.")
                if key in names:  # the others it does not track
                    joints[names[key]] = _place(joint, f"{where}: {name}")
            bodies.add(frame.id, value_of(person, "user_id", "id"), joints[:, :3].tolist(), joints[:, 3].tolist())
    clip = stated(bodies.clip(_in_space(bodies, file)), "nuitrack", "mm")
    clip.up = "y"
    return clip


def _joints(value: object, where: str) -> list[tuple[str, Object]]:
    """Names of joints, and what is known of them."""
    if is_object(value):
        return [(name, joint) for name, joint in value.items() if is_object(joint)]
    found = []
    for joint in value if isinstance(value, list) else ():
        kind = value_of(joint, "type") if is_object(joint) else None
        if isinstance(kind, int) and not isinstance(kind, bool) and 0 <= kind < len(_TYPES):
            kind = _TYPES[kind]
        if not is_object(joint) or not isinstance(kind, str):
            raise ReadError(f"{where}: the type of a joint is {str(kind)[:40]}; expected a name such as JOINT_HEAD.")
        found.append((kind, joint))
    return found


def _place(joint: Object, where: str) -> list[float]:
    """x, y, z and confidence of a joint, in the room: what it is in the image is not read."""
    real, score = value_of(joint, "real"), value_of(joint, "confidence")
    if is_object(real):
        real = [value_of(real, axis) for axis in "xyz"]
    values = number_array([*real, 1.0 if score is None else score] if isinstance(real, list) else [], where)
    if values.shape != (4,):
        raise ReadError(f"{where}: has no real x, y and z.")
    return [float(value) for value in values]
