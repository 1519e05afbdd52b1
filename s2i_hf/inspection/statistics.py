"""Counts over any number of clips in constant memory: what `s2i inspect` and dataset cards print."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np

from ..processing.layouts import SkeletonLayout
from ..processing.skeleton_sequence import SkeletonSequence
from .body_checks import check_body, nanmedian

Item = TypeVar("Item")

_TOTALS = ("total", "nan", "zero", "absent", "empty_frames", "still")  # fields of `BodyChecks` that are added up
NUM_WORST = NUM_EXAMPLES = 5  # clips with the most restless bones that are named; examples of each finding
NUM_DRAWN, FRAMES_DRAWN = 12, 5  # clips kept for drawing, at most, and their frames
FEW_FRAMES = 8  # what is shorter shows hardly any motion


class EvenSample(Generic[Item]):
    """Every k-th of the items that come by, k doubling whenever there are too many: evenly spread, without knowing their number."""

    def __init__(self, capacity: int) -> None:
        self.capacity, self.stride, self.count = capacity, 1, 0
        self.items: list[Item] = []

    def add(self, item: Item) -> None:
        """Count an item."""
        if self.count % self.stride == 0:
            self.items.append(item)
        self.count += 1
        if len(self.items) > self.capacity:
            self.items, self.stride = self.items[::2], 2 * self.stride


@dataclass(frozen=True)
class DrawnClip:
    """Some frames of a clip, to draw: joints (frames, M, V, 3), and which frames of how many they are."""

    sample_id: str
    label: int
    layout: SkeletonLayout
    joints: np.ndarray
    frames: tuple[int, ...]
    total: int


@dataclass
class ClipStatistics:
    """Add clips, then read the counters. Keys are the values met: numbers of frames, 0-based labels, subjects, "m", "+y" ...

    `totals` has the sums of the counts of `BodyChecks`, and person_frames, people times frames. `variations` counts clips by bone
    variation in whole per cent; `worst` holds (variation, sample id, joint at the bone) of the largest; `examples` the first sample ids
    for each ("unit" | "sides" | "short" | "empty", value).
    """

    clips: int = 0
    splits: Counter[str] = field(default_factory=Counter)
    frames: Counter[int] = field(default_factory=Counter)
    people: Counter[int] = field(default_factory=Counter)
    labels: Counter[int] = field(default_factory=Counter)
    subjects: Counter[int] = field(default_factory=Counter)
    cameras: Counter[int] = field(default_factory=Counter)
    layouts: Counter[str] = field(default_factory=Counter)
    units: Counter[str] = field(default_factory=Counter)
    ups: Counter[str] = field(default_factory=Counter)
    sides: Counter[str] = field(default_factory=Counter)
    variations: Counter[int] = field(default_factory=Counter)
    totals: Counter[str] = field(default_factory=Counter)
    examples: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    worst: list[tuple[float, str, str]] = field(default_factory=list)
    joint_formats: dict[str, SkeletonLayout] = field(default_factory=dict)
    bones: dict[str, EvenSample[np.ndarray]] = field(default_factory=dict)
    sizes: EvenSample[float] = field(default_factory=lambda: EvenSample(4096))
    drawn: EvenSample[DrawnClip] = field(default_factory=lambda: EvenSample(NUM_DRAWN))

    def add(self, clip: SkeletonSequence, split: str = "") -> None:
        """Count one clip."""
        layout, frames = clip.layout, len(clip.joints)
        checks = check_body(clip.joints, layout)
        self.clips += 1
        self.splits[split] += 1
        self.frames[frames] += 1
        self.people[clip.joints.shape[1]] += 1
        self.labels[clip.label] += 1
        self.subjects[clip.subject] += 1
        self.cameras[clip.camera] += 1
        self.layouts[layout.name] += 1
        self.units[checks.unit] += 1
        self.ups[checks.up] += 1
        self.sides[checks.sides] += 1
        self.joint_formats.setdefault(layout.name, layout)
        self.totals.update({name: getattr(checks, name) for name in _TOTALS})
        self.totals["person_frames"] += frames * clip.joints.shape[1]
        examples = [("unit", checks.unit), ("sides", checks.sides)]
        examples += [("empty", "")] if checks.empty_frames else []
        examples += [("short", "")] if frames < FEW_FRAMES else []
        for key in examples:
            if len(named := self.examples.setdefault(key, [])) < NUM_EXAMPLES:
                named.append(clip.sample_id)
        if not math.isnan(checks.bone_variation):
            self.variations[min(round(100 * checks.bone_variation), 1000)] += 1
            found = (checks.bone_variation, clip.sample_id, layout.joint_names[checks.worst_bone])
            self.worst = heapq.nlargest(NUM_WORST, [*self.worst, found])
        self.bones.setdefault(layout.name, EvenSample(2048)).add(checks.bone_lengths)
        self.sizes.add(checks.size)
        shown = spread(range(frames), FRAMES_DRAWN)
        drawn = DrawnClip(clip.sample_id, clip.label, layout, clip.joints[shown].copy(), tuple(shown), frames)
        self.drawn.add(drawn)

    @property
    def layout(self) -> SkeletonLayout | None:
        """The joint format of most clips; None if there are no clips."""
        return self.joint_formats[self.layouts.most_common(1)[0][0]] if self.layouts else None

    @property
    def total_frames(self) -> int:
        """Frames of all clips."""
        return sum(frames * clips for frames, clips in self.frames.items())

    def bone_table(self) -> list[tuple[str, str, float, float]]:
        """Each bone of the commonest layout: parent, joint, median length over clips, and the median's mirror image (or NaN)."""
        layout = self.layout
        if layout is None:
            return []
        names, mirror, lengths = layout.joint_names, layout.mirror, nanmedian(np.array(self.bones[layout.name].items))
        mirrored = np.where(np.arange(len(names)) == mirror, np.nan, lengths[list(mirror)])
        return [
            (names[parent], names[joint], float(lengths[joint]), float(mirrored[joint]))
            for joint, parent in enumerate(layout.parents)
            if parent >= 0
        ]


def spread(items: Sequence[Item], count: int) -> list[Item]:
    """At most `count` of the items, evenly spread."""
    places = np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int)
    return [items[place] for place in np.unique(places).tolist()]


def quantile(counts: Counter[int], share: float) -> int:
    """The value that `share` of a counted population does not exceed; raises ValueError if nothing was counted."""
    wanted, so_far = share * sum(counts.values()), 0
    for value in sorted(counts):
        so_far += counts[value]
        if so_far >= wanted:
            return value
    raise ValueError("Nothing was counted; add clips first.")


def leading(counts: Counter[str], ignore: Sequence[str] = ("", "cannot tell", "unknown")) -> tuple[str, float]:
    """The commonest value, and its share among those that are not in `ignore`; ("", 0.0) if all are."""
    told = {value: count for value, count in counts.items() if value not in ignore}
    if not told:
        return "", 0.0
    value = max(told, key=lambda key: told[key])
    return value, told[value] / sum(told.values())
