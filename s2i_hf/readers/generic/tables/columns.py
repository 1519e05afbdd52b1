"""Roles of the columns of a table, read off their names: frame, time, person, and an axis or the score of a joint.

    left_elbow_x   ShoulderLeft.Position.X   mixamorig:Head.z   x_nose   LeftHandX        an axis of a joint
    x0   0_x   landmark_12_y   x                                                          of a joint that has a number, or no name
    nose_score   visibility_3   HandLeft_TrackingState                                    how sure it is
    frame   time   person_id   video                                                      what a row is about

Order and case do not matter; "(mm)" after a name is its unit. Anything else is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..joint_names import joint_key


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_AXES = frozenset("xyz")
_SCORES = _words(
    "score confidence conf likelihood visibility visible vis presence probability prob state tracked trackingstate tracking status "
    "s c v p"
)
_PLACE = _words(
    "position positions pos location locations loc translation translations coordinate coordinates coord coords world"
)
_NUMBERED = _words("landmark landmarks keypoint keypoints kp kpt joint joints point points pt lm pose marker")
_ROWS = {
    "frame": "frame frameid frameno frameidx frameindex framenumber framenum framecount fno imageid framename imagename imgname image img",
    "time": "time timestamp t seconds sec timems timestampms ms timeus timestampus milliseconds",
    "person": "person personid personidx pid trackid track id bodyid body bodyidx userid user skeletonid trackingid player playerid "
    "subject",
    "clip": "video videoid videoname file filename filepath clip clipid sequence sequenceid sample sampleid recording trial",
    "joint": "landmark landmarkid landmarkindex landmarkname joint jointid jointname jointindex jointtype keypoint keypointid "
    "keypointname bodypart bodyparts marker markername name part type",
}
_ROLES = {word: role for role, words in _ROWS.items() for word in words.split()}
_UNIT = re.compile(r"[\[(](mm|cm|m|px|inch|in)[\])]$", re.IGNORECASE)
_SPLIT = re.compile(r"[\s_./|\-]+|:(?=[xyz]$)", re.IGNORECASE)
_MAX_NAME = 200  # characters of a header cell; longer ones name nothing

Joint = str | int  # a name, a number, or "" for none


@dataclass
class Roles:
    """What the columns of a table are.

    Args:
        rows: "frame", "time", "person", "clip" or "joint" -> the column that says it.
        joints: Joint -> "x", "y", "z" or "score" -> columns, several if names repeat. A joint is a name, a number, or "".
        unit: The unit that the names state, "" if none.
    """

    rows: dict[str, int] = field(default_factory=dict)
    joints: dict[Joint, dict[str, list[int]]] = field(default_factory=dict)
    unit: str = ""


def roles_of(header: Sequence[str]) -> Roles:
    """What each column of a table is, by the names in its header."""
    roles = Roles()
    ranks: dict[str, int] = {}  # how well a word names a role
    spelt: dict[str, str] = {}  # key of a joint -> how it is spelt first
    glued: dict[str, dict[str, int]] = {}
    for column, cell in enumerate(header):
        name = cell.strip()[: _MAX_NAME + 1]
        if len(name) > _MAX_NAME:
            continue
        if unit := _UNIT.search(name):
            name = name[: unit.start()].rstrip(" _.")
        words = [word for word in _SPLIT.split(name) if word]
        if not unit and len(words) > 2 and words[-2].lower() in _AXES and (unit := _UNIT.fullmatch(f"({words[-1]})")):
            words = words[:-1]  # "Head_x_mm"
        if word := _ROLES.get(plain := re.sub(r"[^a-z0-9]", "", name.lower())):
            if word not in ranks or _ROWS[word].split().index(plain) < ranks[word]:  # person_id rather than subject
                roles.rows[word], ranks[word] = column, _ROWS[word].split().index(plain)
        elif found := _value(words):
            joint, value = found
            joint = spelt.setdefault(joint_key(joint), joint) if isinstance(joint, str) else joint
            roles.joints.setdefault(joint, {}).setdefault(value, []).append(column)
            if unit and value != "score":
                roles.unit = {"in": "inch"}.get(unit[1].lower(), unit[1].lower())
        elif match := re.fullmatch(r"(.+)([xyz])", name):  # "lefthandy", if there is a "lefthandx"
            glued.setdefault(joint_key(match[1]), {})[match[2]] = column
    for key, axes in glued.items():
        if key in spelt or {"x", "y"} <= axes.keys():
            for axis, column in axes.items():
                joint = spelt.setdefault(key, header[column].strip()[:-1])
                roles.joints.setdefault(joint, {}).setdefault(axis, []).append(column)
    roles.joints = {joint: axes for joint, axes in roles.joints.items() if axes.keys() & _AXES}
    return roles


def _value(words: Sequence[str]) -> tuple[Joint, str] | None:
    """The joint that a column is about, and which of its values; None if it is about none."""
    lower = [word.lower() for word in words]
    for at in (-1, 0) if words else ():  # "nose_x", then "x_nose"
        rest = list(words[:-1] if at else words[1:])
        if lower[at] in _AXES:
            return _joint(rest), lower[at]
        if lower[at] in _SCORES:
            if len(rest) > 1 and rest[at].lower() == "tracking":
                rest = rest[:-1] if at else rest[1:]
            return _joint(rest), "score"
        if at and (match := re.fullmatch(r"(.*[a-z0-9])([XYZ])", words[-1])):  # "ShoulderLeftX"
            return _joint([*rest, match[1]]), match[2].lower()
        if (
            not at and (match := re.fullmatch(r"([a-z]+)(\d{1,4})", lower[0])) and match[1] in _AXES | _SCORES
        ):  # "x12", "v0"
            return _joint([match[2], *rest]), match[1] if match[1] in _AXES else "score"
    return None


def _joint(words: Sequence[str]) -> Joint:
    kept = [word for word in words if word.lower() not in _PLACE] or list(words)
    numbers = [
        re.sub(r"^[a-z]+(?=\d+$)", "", word.lower()) if re.sub(r"\d+$", "", word.lower()) in _NUMBERED else word
        for word in kept
    ]
    numbers = [word for word in numbers if word.lower() not in _NUMBERED]
    if len(numbers) == 1 and numbers[0].isdecimal() and len(numbers[0]) < 5:
        return int(numbers[0])
    return "_".join(kept)
