"""`SkeletonLayout`: names of joints, kinematic tree, five body parts, mirror pairs and the joint a body is centred on.

A layout is all that S2I has to know about a sensor or pose estimator. A format of your own is one constructor call:
`SkeletonLayout("mine", joint_names=[...], parents=[...])`; the well-known ones are in `layouts.py`.
The five parts and their order follow the S2I paper (arXiv 2603.05963): torso, left arm, right arm, left leg, right leg,
each listed top-down along its kinematic chain.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from .suggestions import did_you_mean

PARTS: tuple[str, ...] = ("torso", "left_arm", "right_arm", "left_leg", "right_leg")

# Words that place a joint in a part, matched against the words of its name. Order matters: "hip_center" is torso.
_WORDS = {
    "torso": "head neck nose eye ear mouth jaw face chin skull brow spine torso trunk chest thorax back lowerback upperback "
    "belly abdomen waist pelvis root center centre mid middle sternum lowerneck upperneck hips",
    "arm": "shoulder clavicle collar scapula arm upperarm forearm lowerarm humerus elbow radius ulna wrist hand finger "
    "fingers thumb index pinky ring palm tip sho elb wri shldr uparm lowarm",
    "leg": "hip hipjoint leg upleg lowleg upperleg lowerleg buttock thigh femur knee shin tibia calf ankle foot toe toes toebase heel "
    "kne ank bigtoe smalltoe",
}
_TORSO_WORDS, _ARM_WORDS, _LEG_WORDS = (frozenset(words.split()) for words in _WORDS.values())
_BODY_WORDS = _TORSO_WORDS | _ARM_WORDS | _LEG_WORDS
_MIDDLE = frozenset({"middle", "mid"})  # of the body, but with a side a finger
_SIDES = dict.fromkeys(("left", "l", "lft", "lf"), "left") | dict.fromkeys(("right", "r", "rgt", "rt"), "right")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=(?<![A-Za-z])[LR])(?=[A-Z]{2}[a-z])")
# L5, Spine_L3, jL5S1
_VERTEBRA = re.compile(r"(?:.*:)?(?:spine|vertebra|j)?[ ._-]*L[1-5](?:[ST]\d+|L\d)?", re.IGNORECASE)


def _read(name: str) -> tuple[str | None, list[str]]:
    """Side and other words of a joint name: `"ElbowLeft"`, `"elbow_left"`, `"l.elbow"`, `"LElbow"` and `"lhumerus"` all have both."""
    words: list[str] = []
    for word in re.findall(r"[a-z]+", _CAMEL.sub(" ", name).lower()):
        apart = re.fullmatch(r"(left|right|l|r)(.+)", word)
        glued = apart and apart[2] in _BODY_WORDS and word not in _BODY_WORDS and word not in _SIDES
        words += apart.groups() if apart and glued else [word]
    if _VERTEBRA.fullmatch(name):
        return None, words
    side = next((_SIDES[word] for word in words if word in _SIDES), None)
    return side, [word for word in words if word not in _SIDES]


def _mirror_key(name: str) -> tuple[str, ...]:
    """What two mirrored joints share: the words of the name, with the side taken out."""
    return (*_read(name)[1], *re.findall(r"\d+", name))


def joint_depths(parents: Sequence[int]) -> list[int]:
    """Bones between each joint and its root."""
    depths = [0] * len(parents)
    for joint, at in enumerate(parents):
        while at >= 0:
            at, depths[joint] = parents[at], depths[joint] + 1
    return depths


def name_key(name: str) -> tuple[str | None, list[str]]:
    """What two spellings of a joint share: HandL, left_hand and hand-left are all ("left", ["hand"])."""
    return _read(name)[0], sorted(_mirror_key(name))


def _told_part(name: str) -> str | None:
    """The part that the words of a name place a joint in; None if they do not tell."""
    side, words = _read(name)
    if side and not _LEG_WORDS.isdisjoint(words):  # before arms: "foot_index"
        return f"{side}_leg"
    if side and not _ARM_WORDS.isdisjoint(words):
        return f"{side}_arm"
    return None if (_TORSO_WORDS - _MIDDLE if side else _TORSO_WORDS).isdisjoint(words) else "torso"


def _infer_parts(names: Sequence[str], parents: Sequence[int], layout: str) -> dict[str, tuple[str, ...]]:
    """Place every joint in a part from the words of its name, else from what hangs below it and above, and order each part top-down.

    A joint without side that is on the way to both sides, or to none, is in the torso: "hip", "Ab" or "L5".
    """
    depths = joint_depths(parents)
    downwards = sorted(range(len(names)), key=lambda j: depths[j])
    told = [_told_part(name) for name in names]
    below: list[set[str]] = [set() for _ in names]  # the parts that begin below each joint
    for joint in reversed(downwards):
        if (parent := parents[joint]) >= 0:
            below[parent] |= {part} if (part := told[joint]) else below[joint]
    part_of: dict[int, str] = {}
    lost = []  # joints that nothing places
    for joint in downwards:
        side = _read(names[joint])[0]
        above = part_of.get(parents[joint], "torso")
        hanging = {part for part in below[joint] if not side or part.startswith(side)}
        if part := told[joint]:
            part_of[joint] = part
        elif len(hanging) == 1 and (side or parents[joint] >= 0):
            (part_of[joint],) = hanging
        elif above != "torso" and not hanging and (side is None or above.startswith(side)):
            part_of[joint] = above  # an oddly named joint further down a known limb
        else:
            part_of[joint] = "torso"
            lost += [joint] if not hanging else []
    whole = {"arm", "leg"} <= {part.partition("_")[2] for part in part_of.values()}
    if lost := [joint for joint in lost if not whole or part_of.get(parents[joint], "torso") != "torso"]:
        raise ValueError(
            f"Layout {layout!r}: cannot tell which body part joint {names[lost[0]]!r} belongs to. Use a name with a side "
            f"and a body word (such as 'left_elbow'), or pass parts={{'torso': [...], 'left_arm': [...], ...}}."
        )
    torso = [j for j, part in part_of.items() if part == "torso"]
    heads = [depths[j] for j in torso if {"head", "neck", "nose"} & set(_read(names[j])[1])]
    upwards = -1 if heads and min(heads) > 0 else 1  # rooted at the pelvis or the spine, not at the head
    ordered = sorted(part_of, key=lambda j: (depths[j] * (upwards if part_of[j] == "torso" else 1), j))
    return {part: tuple(names[j] for j in ordered if part_of[j] == part) for part in PARTS}


def _infer_mirror_pairs(names: Sequence[str], layout: str) -> tuple[tuple[str, str], ...]:
    """(left, right) of all joints whose names differ in their side; what is no body part, such as "RightSword", may have no partner."""
    left, right = ({_mirror_key(name): name for name in names if _read(name)[0] == side} for side in ("left", "right"))
    both = {**left, **right}
    lonely = next(
        (key for key in both if (key in left) != (key in right) and (_told_part(both[key]) or not _read(both[key])[1])),
        None,
    )
    if lonely is not None:
        raise ValueError(
            f"Layout {layout!r}: joint {both[lonely]!r} has no partner on the other side of the body. Name its partner alike, "
            "or pass mirror_pairs=[('left ...', 'right ...'), ...] (an empty list switches mirroring off)."
        )
    return tuple((left[key], right[key]) for key in left if key in right)


@dataclass(frozen=True)
class SkeletonLayout:
    """One joint format.

    Args:
        name: How the format is called in rows, configs and errors.
        joint_names: V names in the order of the joint axis.
        parents: V parents, as joint index or joint name; -1 or None for a root. Bones run from parent to joint.
        parts: Joint names of each of the five `PARTS`, top-down along the chain; inferred from names and tree if None.
        mirror_pairs: (left, right) joint names; inferred from the names if None. Joints in no pair mirror onto themselves.
        center: The joint whose position is subtracted, or several whose mean is; if None: the middle of the spine, else the
            mean of the hips, else the root.
        unit: Unit of the coordinates: "m", "px" (image pixels) or "normalized".
        source: Where names and order are documented. Two layouts that differ in nothing else are equal.

    Raises:
        ValueError: names repeat, a parent does not exist, the tree has a cycle, a joint is in no part or in two, or a part,
            pair or centre could not be inferred. The message names the joint.
    """

    name: str
    joint_names: tuple[str, ...]
    parents: tuple[int, ...]
    parts: dict[str, tuple[str, ...]] = None  # type: ignore[assignment]  # None is inferred in __post_init__
    mirror_pairs: tuple[tuple[str, str], ...] = None  # type: ignore[assignment]
    center: tuple[str, ...] = None  # type: ignore[assignment]
    unit: str = "m"
    source: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        names = tuple(str(name) for name in self.joint_names)
        if not names:
            raise ValueError(f"Layout {self.name!r} has no joints; pass joint_names with at least one name.")
        if repeated := [name for i, name in enumerate(names) if name in names[:i]]:
            raise self._error(f"joint name {repeated[0]!r} is used twice; joint names must differ.")
        object.__setattr__(self, "joint_names", names)
        object.__setattr__(self, "parents", self._check_parents(self.parents))
        parts = _infer_parts(names, self.parents, self.name) if self.parts is None else self.parts
        object.__setattr__(self, "parts", self._check_parts(parts))
        pairs = _infer_mirror_pairs(names, self.name) if self.mirror_pairs is None else self.mirror_pairs
        pairs = tuple((str(left), str(right)) for left, right in pairs)
        seen: set[str] = set()
        for joint in (joint for pair in pairs for joint in pair):
            self._check_joint(joint, "mirror_pairs")
            if joint in seen:
                raise self._error(f"joint {joint!r} is in two mirror pairs; it can have one partner.")
            seen.add(joint)
        object.__setattr__(self, "mirror_pairs", pairs)
        center = self._infer_center() if self.center is None else self.center
        center = (center,) if isinstance(center, str) else tuple(center)
        if not center:
            raise self._error("center is empty; name at least one joint.")
        for joint in center:
            self._check_joint(joint, "center")
        object.__setattr__(self, "center", center)
        if self.unit not in ("m", "px", "normalized"):
            raise self._error(f"unit is {self.unit!r}; expected 'm', 'px' or 'normalized'.")

    def _error(self, problem: str) -> ValueError:
        return ValueError(f"Layout {self.name!r}: {problem}")

    def _check_joint(self, joint: str, where: str) -> None:
        if joint not in self.joint_names:
            hint = did_you_mean(joint, self.joint_names)
            raise self._error(f"{where} names joint {joint!r}, which is not in joint_names.{hint}")

    def _check_parents(self, given: Sequence[Any]) -> tuple[int, ...]:
        names, count = self.joint_names, self.num_joints
        if len(given) != count:
            raise self._error(f"{count} joint names but {len(given)} parents; give one parent a joint, -1 for a root.")
        parents = []
        for joint, parent in zip(names, given, strict=True):
            if isinstance(parent, str):
                self._check_joint(parent, f"the parent of {joint!r}")
                parent = names.index(parent)
            parents.append(-1 if parent is None else int(parent))
            if not -1 <= parents[-1] < count:
                raise self._error(f"the parent of {joint!r} is {parent}, not one of -1..{count - 1}.")
        for start, at in enumerate(parents):
            for _ in range(count):
                at = at if at < 0 else parents[at]
            if at >= 0:
                raise self._error(f"the parents of joint {names[start]!r} form a cycle; a skeleton is a tree.")
        return tuple(parents)

    def _check_parts(self, given: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
        if unknown := [part for part in given if part not in PARTS]:
            raise self._error(f"unknown part {unknown[0]!r}; the parts are {', '.join(PARTS)}.")
        parts = {part: tuple(str(joint) for joint in given.get(part, ())) for part in PARTS}
        seen: dict[str, str] = {}
        for part, joints in parts.items():
            for joint in joints:
                self._check_joint(joint, f"part {part!r}")
                if joint in seen:
                    raise self._error(f"joint {joint!r} is in parts {seen[joint]!r} and {part!r}; it belongs to one.")
                seen[joint] = part
        missing = next((joint for joint in self.joint_names if joint not in seen), None)
        if missing is not None:
            raise self._error(f"joint {missing!r} is in none of the five parts; add it to one.")
        return parts

    def _infer_center(self) -> tuple[str, ...]:
        spine = [name for name in self.parts["torso"] if "spine" in _read(name)[1]]
        if spine:
            return (spine[len(spine) // 2],)
        hip, read = {"hip", "hipjoint", "thigh", "femur"}, {name: _read(name) for name in self.joint_names}
        hips = [name for name, (side, words) in read.items() if side and hip.intersection(words)]
        return tuple(hips) if len(hips) == 2 else (self.joint_names[self.parents.index(-1)],)

    @property
    def num_joints(self) -> int:
        """V, the number of joints."""
        return len(self.joint_names)

    @property
    def order(self) -> tuple[int, ...]:
        """V joint indices in image order: part by part, top-down."""
        return tuple(self.joint_names.index(joint) for part in PARTS for joint in self.parts[part])

    @property
    def part_sizes(self) -> tuple[int, ...]:
        """Number of joints in each of the five `PARTS`; they add up to V."""
        return tuple(len(self.parts[part]) for part in PARTS)

    @property
    def center_indices(self) -> tuple[int, ...]:
        """Indices of the joints whose mean is the centre of the body."""
        return tuple(self.joint_names.index(joint) for joint in self.center)

    @property
    def mirror(self) -> tuple[int, ...]:
        """V joint indices after swapping left and right."""
        swap = list(range(self.num_joints))
        for left, right in self.mirror_pairs:
            i, j = self.joint_names.index(left), self.joint_names.index(right)
            swap[i], swap[j] = j, i
        return tuple(swap)

    def __hash__(self) -> int:
        return hash((self.name, self.joint_names, self.parents, self.unit))

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON types; `from_dict` is its inverse."""
        values: dict[str, Any] = json.loads(json.dumps(vars(self)))
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SkeletonLayout:
        """Build a layout from `to_dict` output. Raises ValueError for unknown or missing keys."""
        known = [field.name for field in fields(cls)]
        unknown = [key for key in values if key not in known]
        absent = [key for key in known[:3] if key not in values]
        if unknown or absent:
            problem = f"unknown key {unknown[0]!r}" if unknown else f"no key {absent[0]!r}"
            raise ValueError(
                f"A layout has name, joint_names, parents and maybe {', '.join(known[3:])}; got {problem}."
            )
        return cls(**dict(values))
