"""Counts over clips to sentences: what was counted, and what a protocol expects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..protocols import SPLITS, Protocol, Split
from ..readers import get_reader
from ..readers.recordings import Recordings, file_id
from .census import Detection
from .statistics import ClipStatistics, leading, quantile

if TYPE_CHECKING:
    from .inspector import Inspection

UNIT_NAMES = {"m": "metres", "cm": "centimetres", "mm": "millimetres", "px": "pixels", "normalized": "normalised"}
NUM_NAMED = 3


class Tally:
    """Ids of the clips in each split, for each protocol that fits raw files, or of a converted data set (under "")."""

    def __init__(self, found: Detection) -> None:
        self.rules: list[Protocol] = [recordings.protocol for recordings in found.recordings]
        self.ids: dict[tuple[str, str], set[str]] = {}
        self.stored: dict[str, str] = {}  # id -> split
        self.repeated: list[str] = []  # the first ids that are there twice
        self.leaked: list[str] = []  # the first ids that are in two splits
        self.converted = found.kind == "converted"

    def add(self, split: str, sample_id: str) -> None:
        """Count a clip."""
        for rule in self.rules:
            part = rule.split(sample_id)
            if part is not None:
                self.ids.setdefault((rule.name, part), set()).add(sample_id)
        if not self.converted:
            return
        before = self.stored.setdefault(sample_id, split)
        if sample_id in self.ids.setdefault(("", split), set()):
            self.repeated += [sample_id] if len(self.repeated) <= NUM_NAMED else []
        elif before != split:
            self.leaked += [sample_id] if len(self.leaked) <= NUM_NAMED else []
        self.ids["", split].add(sample_id)

    def of(self, rule: str, split: str) -> set[str]:
        """Ids of a split."""
        return self.ids.get((rule, split), set())


def share(part: float, whole: float) -> str:
    value = 100 * part / whole if whole else 0.0
    return f"{value:.0f} %" if value >= 10 or value == 0 else f"{value:.2g} %"


def counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def listed(names: Sequence[str], count: int = NUM_NAMED) -> str:
    return ", ".join(names[:count]) + (" and others" if len(names) > count else "")


# -- what was counted --------------------------------------------------------------------------------------------------


def counts_text(stats: ClipStatistics, class_names: Sequence[str]) -> list[tuple[str, str]]:
    """(name, text) of each count."""
    low, middle, high = min(stats.frames), quantile(stats.frames, 0.5), max(stats.frames)
    facts = [("clips", f"{stats.clips:,}{_splits(stats)}")]
    facts.append(
        (
            "frames",
            f"{low if low == high else f'{low} to {high}'} a clip, median {middle}; {stats.total_frames:,} in all",
        )
    )
    formats = [f"{name} ({stats.joint_formats[name].num_joints})" for name in stats.layouts]
    facts.append(("joints", ", ".join(formats)))
    facts.append(
        ("people", ", ".join(f"{counted(count, 'clip')} of {people}" for people, count in sorted(stats.people.items())))
    )
    facts.append(("classes", _classes(stats.labels, class_names)))
    facts.append(("subjects", _numbers(stats.subjects)))
    facts.append(("views", _numbers(stats.cameras)))
    facts.append(("missing", _missing(stats)))
    facts.append(("unit", _unit(stats)))
    up, part = leading(stats.ups)
    facts.append(("up", f"{up} in {share(part, 1)} of the clips that tell" if up else "cannot tell"))
    facts.append(("sides", ", ".join(f"{name} {share(n, stats.clips)}" for name, n in stats.sides.most_common())))
    if stats.variations:
        median, top = quantile(stats.variations, 0.5), max(stats.variations)
        worst = [f"{name} {100 * value:.0f} % ({joint})" for value, name, joint in sorted(stats.worst, reverse=True)]
        facts.append(
            ("bones", f"vary by {median} % of their length (median clip), {top} % at most; worst: {listed(worst, 5)}")
        )
    return facts


def _splits(stats: ClipStatistics) -> str:
    ordered = sorted(stats.splits.items(), key=lambda item: (item[0] != "train", item[0] == "test", item[0]))
    shown = [f"{split} {count:,}" for split, count in ordered if split]
    if not shown:
        return ""
    if stats.splits.get(""):
        shown.append(f"in neither {stats.splits['']:,}")
    return f" ({', '.join(shown)})"


def class_name(label: int, class_names: Sequence[str]) -> str:
    """Name of a 0-based label, or its number."""
    return class_names[label] if 0 <= label < len(class_names) else ("unknown" if label < 0 else f"class {label}")


def _classes(labels: Counter[int], class_names: Sequence[str]) -> str:
    known = {label: count for label, count in labels.items() if label >= 0}
    if not known:
        return "not known"
    shown = [f"{class_name(label, class_names)} {labels[label]:,}" for label in sorted(known)]
    low, high = min(known.values()), max(known.values())
    text = f"{len(known)}, of {counted(high, 'clip') if low == high else f'{low:,} to {high:,} clips'}"
    if len(shown) <= 30:
        text += f": {', '.join(shown)}"
    if labels.get(-1):
        text += f"; {labels[-1]:,} clips without a label"
    return text


def _numbers(counts: Counter[int]) -> str:
    known = sorted(number for number in counts if number >= 0)
    if not known:
        return "not known"
    if len(known) > 30:
        low, high = min(counts[n] for n in known), max(counts[n] for n in known)
        return f"{len(known)}, numbered {known[0]} to {known[-1]}, of {low:,} to {high:,} clips"
    return f"{len(known)}: " + ", ".join(f"{number} ({counts[number]:,})" for number in known)


def _missing(stats: ClipStatistics) -> str:
    if not (stats.nan or stats.zero or stats.absent):
        return "no joint"
    return (
        f"{share(stats.nan, stats.joints)} of the joints NaN, {share(stats.zero, stats.joints)} zero; people absent in "
        f"{share(stats.absent, stats.person_frames)} of their frames, {stats.empty_frames:,} frames without anybody"
    )


def _unit(stats: ClipStatistics) -> str:
    unit, part = leading(stats.units)
    if not unit:
        return "cannot tell"
    layout, sizes = stats.layout, [size for size in stats.sizes.items if size == size]
    size = float(np.median(sizes)) if sizes else float("nan")
    what = (
        "a leg measures"
        if layout is not None and layout.parts["left_leg"] and unit in ("m", "cm", "mm")
        else "a body is"
    )
    return f"{UNIT_NAMES[unit]} in {share(part, 1)} of the clips that tell ({what} {size:.3g})"


# -- what a protocol expects -------------------------------------------------------------------------------------------


def expectations(report: Inspection, tally: Tally) -> list[str]:
    """A sentence a protocol: how many clips of each split there are and should be, and the first that are missing."""
    found = report.detection
    all_read = report.num_read >= report.num_files
    if found.kind == "converted":
        if report.protocol is None or not all_read:
            return []
        rule = report.protocol
        return [_sentence(rule, {split: len(tally.of("", split)) for split in rule.splits}, tally, "", "", True)]
    sentences: list[str] = []
    one_clip = bool(found.reader) and not hasattr(get_reader(found.reader), "read_clips")
    for recordings in found.recordings:
        rule = recordings.protocol
        if all_read:
            counts = {split: len(tally.of(rule.name, split)) for split in rule.splits}
            sentences.append(_sentence(rule, counts, tally, rule.name, "", not sentences) + _videos(recordings))
            continue
        if one_clip:  # names say it all
            for split, files in recordings.files.items():
                tally.ids[rule.name, split] = {file_id(rule, file) for file in files}
        counts = {split: len(files) for split, files in recordings.files.items()}
        sentences.append(
            _sentence(rule, counts, tally, rule.name, "" if one_clip else " files", not sentences) + _videos(recordings)
        )
    return sentences


def _videos(recordings: Recordings) -> str:
    """How many untrimmed videos there are and should be, where the protocol says that."""
    expected = recordings.protocol.expected_videos
    if expected is None:
        return ""
    parts = [f"{split} {len(recordings.files[split]):,} of {n:,}" for split, n in zip(SPLITS, expected, strict=True)]
    return f"; videos: {', '.join(parts)}"


def _sentence(rule: Protocol, counts: Mapping[Split, int], tally: Tally, key: str, what: str, named: bool) -> str:
    """`named`: whether missing clips are named, which takes seconds for the largest data sets."""
    parts, short = [], []
    for split, count in counts.items():
        expected = rule.expected(split) if not what else None
        parts.append(f"{split} {count:,}{what}" + (f" of {expected:,}" if expected is not None else ""))
        if expected is not None and count < expected:
            short.append(split)
    text = f"{rule.name}: {', '.join(parts)}"
    if not (short and named and rule.samples is not None):
        return text
    missing = [
        name for name in sorted(rule.samples()) if (at := rule.split(name)) in short and name not in tally.of(key, at)
    ]
    return f"{text}; {len(missing):,} missing, first {listed(missing)}"


def left_out(found: Detection) -> str:
    """Files that the protocol that fits best leaves out, and why; "" if it leaves out none."""
    if not found.recordings:
        return ""
    reasons = found.recordings[0].left_out
    return "; ".join(
        f"{len(names):,} {reason}" + (f" ({', '.join(names)})" if len(names) <= NUM_NAMED else "")
        for reason, names in reasons.items()
    )
