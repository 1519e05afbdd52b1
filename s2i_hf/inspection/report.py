"""What an inspection found, as a record and as text: what the data is, what was counted, what looks wrong."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from ..data.convert_report import left_out_lines, shortened
from ..protocols import Protocol
from ..readers import RawFile
from ..readers.generic.folder import FolderOptions
from ..readers.recordings import Recordings
from .body_checks import nanmedian
from .statistics import ClipStatistics, leading, quantile

Kind = Literal["converted", "dataset", "folder", "pickle", "unknown"]
UNIT_NAMES = {"m": "metres", "cm": "centimetres", "mm": "millimetres", "px": "pixels", "normalized": "normalised"}
NUM_NAMED = 3
NUM_BROKEN_NAMED = 20
_WIDTH = 118


@dataclass(frozen=True)
class Suffix:
    """How many files end alike, their bytes, and the first of them."""

    count: int
    size: int
    first: RawFile


@dataclass
class Detection:
    """What `detect` found."""

    kind: Kind  # "converted": made by `s2i convert`; "dataset": raw files of a known one; "folder": custom data
    what: str  # the verdict in a phrase
    path: Path  # what was looked at
    reader: str = ""  # of a data set
    recordings: list[Recordings] = field(default_factory=list)  # for each protocol that fits, the best fit first
    files: list[RawFile] = field(default_factory=list)  # raw files that should be read
    suffixes: dict[str, Suffix] = field(default_factory=dict)
    misfits: dict[str, float] = field(default_factory=dict)  # layout -> `body_checks.layout_misfit`, the best first
    options: FolderOptions = field(default_factory=lambda: FolderOptions())  # of custom data: what they do not say
    notes: list[str] = field(default_factory=list)  # sentences
    warnings: list[str] = field(default_factory=list)  # what has to be said before the data are used
    commands: list[str] = field(default_factory=list)  # what to try next


@dataclass
class Inspection:
    """The result of `inspect`: what the data is, counts over the clips that were read, and sentences."""

    detection: Detection
    statistics: ClipStatistics = field(default_factory=ClipStatistics)
    num_files: int = 0  # files that there are; of a converted data set clips
    num_read: int = 0  # how many of them were read
    broken: list[str] = field(default_factory=list)  # about recordings that cannot be read
    no_clips: list[str] = field(default_factory=list)  # about entries of the data set that stand for no clip
    parts_left_out: list[str] = field(default_factory=list)  # about what of a clip was left out
    protocol: Protocol | None = None  # the rule whose labels are counted
    class_names: tuple[str, ...] = ()  # of the labels
    expected: list[str] = field(default_factory=list)  # how many clips there are and should be, by protocol
    left_out: Mapping[str, Sequence[str]] = field(default_factory=dict)  # why files are not read -> their names
    doubts: list[str] = field(default_factory=list)  # about the folders or the table that label the recordings
    warnings: list[str] = field(default_factory=list)  # what looks wrong, the gravest first

    @property
    def verdict(self) -> str:
        """One line: what it is, how much of it, and whether something looks wrong."""
        clips, what = self.statistics.clips, self.detection.what[:1].upper() + self.detection.what[1:]
        if not clips:
            return what + (": no clip could be read" if self.broken else "")
        state = f"{counted(len(self.warnings), 'thing')} to look at" if self.warnings else "nothing suspicious"
        return f"{what}: {counted(clips, 'clip')}, {state}"

    def lines(self) -> list[str]:
        """The report as text: the verdict, warnings, counts, and which command to try next."""
        lines = [self.verdict, *(f"  ! {warning}" for warning in self.warnings)]
        lines += [f"  {line}" for line in (*self.left_out_lines(), *self.detection.notes)]
        for name, text in self.facts():
            indent = f"  {name:<10}  "
            wrap = textwrap.TextWrapper(_WIDTH, indent, " " * 14, break_long_words=False, break_on_hyphens=False)
            lines += wrap.wrap(text)
        lines += [f"next: {command}" for command in self.detection.commands]
        return lines

    def left_out_lines(self) -> list[str]:
        """What is not read or not whole, in the words of `s2i convert`."""
        files = {reason: shortened(names) for reason, names in self.left_out.items()}
        return left_out_lines(self.broken, self.no_clips, self.parts_left_out, files)

    def facts(self) -> list[tuple[str, str]]:
        """(name, text) of everything counted."""
        kinds = [
            f"{one.count:,} {suffix or 'without suffix'} ({one.size / 1e6:,.1f} MB)"
            for suffix, one in self.detection.suffixes.items()
        ]
        facts = [("files", "; ".join(kinds[:8]))] if kinds else []
        if self.num_read < self.num_files:
            facts.append(("read", f"{self.num_read:,} of {self.num_files:,}, evenly spread (--max-files)"))
        facts += [("protocol", sentence) for sentence in self.expected]
        return facts + (_counts(self.statistics, self.class_names) if self.statistics.clips else [])


def share(part: float, whole: float) -> str:
    """A share in per cent."""
    value = 100 * part / whole if whole else 0.0
    return f"{value:.0f} %" if value >= 10 or value == 0 else f"{value:.2g} %"


def counted(number: int, what: str) -> str:
    """A number of things."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def listed(names: Sequence[str], count: int = NUM_NAMED) -> str:
    """The first names."""
    return ", ".join(names[:count]) + (" and others" if len(names) > count else "")


def _counts(stats: ClipStatistics, class_names: Sequence[str]) -> list[tuple[str, str]]:
    """(name, text) of each count over clips."""
    low, middle, high = min(stats.frames), quantile(stats.frames, 0.5), max(stats.frames)
    length = low if low == high else f"{low} to {high}"
    people = ", ".join(f"{counted(clips, 'clip')} of {number}" for number, clips in sorted(stats.people.items()))
    up, part = leading(stats.ups)
    facts = [
        ("clips", f"{stats.clips:,}{_splits(stats)}"),
        ("frames", f"{length} a clip, median {middle}; {stats.total_frames:,} in all"),
        ("joints", ", ".join(f"{name} ({stats.joint_formats[name].num_joints})" for name in stats.layouts)),
        ("people", people),
        ("classes", _classes(stats.labels, class_names)),
        ("subjects", _numbers(stats.subjects)),
        ("views", _numbers(stats.cameras)),
        ("missing", _missing(stats)),
        ("unit", _unit(stats)),
        ("up", f"{up} in {share(part, 1)} of the clips that tell" if up else "cannot tell"),
        ("sides", ", ".join(f"{name} {share(n, stats.clips)}" for name, n in stats.sides.most_common())),
    ]
    if stats.variations:
        median, top = quantile(stats.variations, 0.5), max(stats.variations)
        worst = ", ".join(f"{name} {100 * value:.0f} % ({joint})" for value, name, joint in stats.worst)
        facts.append(("bones", f"vary by {median} % of their length (median clip), {top} % at most; worst: {worst}"))
    return facts


def _splits(stats: ClipStatistics) -> str:
    order = {"train": 0, "test": 2, "": 3}
    names = sorted(stats.splits, key=lambda name: (order.get(name, 1), name))
    shown = [f"{name or 'in neither'} {stats.splits[name]:,}" for name in names]
    return f" ({', '.join(shown)})" if any(names) else ""


def class_name(label: int, class_names: Sequence[str]) -> str:
    """Name of a 0-based label, or its number."""
    return class_names[label] if 0 <= label < len(class_names) else ("unknown" if label < 0 else f"class {label}")


def _classes(labels: Counter[int], class_names: Sequence[str]) -> str:
    known = {label: labels[label] for label in sorted(labels) if label >= 0}
    if not known:
        return "not known"
    low, high = min(known.values()), max(known.values())
    text = f"{len(known)}, of {counted(high, 'clip') if low == high else f'{low:,} to {high:,} clips'}"
    if len(known) <= 30:
        text += ": " + ", ".join(f"{class_name(label, class_names)} {count:,}" for label, count in known.items())
    return text + (f"; {labels[-1]:,} clips without a label" if -1 in labels else "")


def _numbers(counts: Counter[int]) -> str:
    known = {number: counts[number] for number in sorted(counts) if number >= 0}
    if not known:
        return "not known"
    if len(known) > 30:
        low, high = min(known.values()), max(known.values())
        return f"{len(known)}, numbered {min(known)} to {max(known)}, of {low:,} to {high:,} clips"
    return f"{len(known)}: " + ", ".join(f"{number} ({count:,})" for number, count in known.items())


def _missing(stats: ClipStatistics) -> str:
    totals = stats.totals
    if not (totals["nan"] or totals["zero"] or totals["absent"]):
        return "no joint"
    nan, zero = share(totals["nan"], totals["total"]), share(totals["zero"], totals["total"])
    absent = f"absent in {share(totals['absent'], totals['person_frames'])} of their frames"
    return f"{nan} of the joints NaN, {zero} zero; people {absent}, {totals['empty_frames']:,} frames without anybody"


def _unit(stats: ClipStatistics) -> str:
    unit, part = leading(stats.units)
    if not unit:
        return "cannot tell"
    legs = stats.layout is not None and stats.layout.parts["left_leg"] and unit in ("m", "cm", "mm")
    size = float(nanmedian(np.array(stats.sizes.items)))
    what = "a leg measures" if legs else "a body is"
    return f"{UNIT_NAMES[unit]} in {share(part, 1)} of the clips that tell ({what} {size:.3g})"
