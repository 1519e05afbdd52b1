"""What is there of what a protocol expects, and what looks wrong, with the threshold of each warning."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..processing.layouts import LAYOUTS
from ..protocols import SPLITS, Protocol, Split
from ..readers import get_reader
from ..readers.recordings import Recordings, file_id
from .body_checks import CLEAR, layout_misfit
from .report import NUM_NAMED, UNIT_NAMES, Detection, Inspection, counted, listed, share
from .statistics import ClipStatistics, leading

_FEW = 8  # frames; what is shorter shows hardly any motion
_MIRRORED = 0.2  # share of clips from which on it is no accident; bodies seen from behind are mistaken now and then
_MISSING = 0.05
_STILL = 0.1
_RESTLESS = 30  # per cent by which bones vary around their lengths; sensors have 3 to 15
_IMBALANCE = 20


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
        what = "" if all_read or one_clip else " files"
        if all_read:
            counts = {split: len(tally.of(rule.name, split)) for split in rule.splits}
        else:
            counts = {split: len(files) for split, files in recordings.files.items()}
            if one_clip:  # names say it all
                for split, files in recordings.files.items():
                    tally.ids[rule.name, split] = {file_id(rule, file) for file in files}
        sentences.append(_sentence(rule, counts, tally, rule.name, what, not sentences) + _videos(recordings))
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


# -- what looks wrong -----------------------------------------------------------------------------------------------------


def findings(report: Inspection, tally: Tally) -> list[str]:
    """Sentences about what looks wrong, the gravest first."""
    stats, found = report.statistics, report.detection
    warnings = []
    if report.num_broken:
        warnings.append(f"{counted(report.num_broken, 'recording')} cannot be read and will be left out; see below.")
    if not stats.clips:
        return warnings
    if tally.leaked:
        warnings.append(f"Clips are in two splits at once, such as {listed(tally.leaked)}: convert again.")
    if tally.repeated:
        warnings.append(f"Clips are there twice, such as {listed(tally.repeated)}: convert again.")
    warnings += _about_bodies(stats)
    warnings += _about_values(stats)
    if report.protocol is not None and report.num_read >= report.num_files and found.path.is_dir():
        absent = [name for label, name in enumerate(report.class_names) if not stats.labels.get(label)]
        if absent:
            warnings.append(f"{len(absent)} of {len(report.class_names)} classes have no clip: {listed(absent)}.")
    known = [count for label, count in stats.labels.items() if label >= 0]
    if known and max(known) >= _IMBALANCE * min(known):
        warnings.append(
            f"The largest class has {max(known):,} clips, the smallest {min(known):,}: report the mean over classes as well."
        )
    return warnings


def _about_bodies(stats: ClipStatistics) -> list[str]:
    """Layout, unit, axes and bones."""
    warnings, layout = [], stats.layout
    assert layout is not None
    other = _better_layout(stats)
    if other:
        warnings.append(
            f"The bones fit the tree of {other} better than that of {layout.name}: is that the joint order?"
        )
    unit, part = leading(stats.units)
    if unit and unit != layout.unit and part > 0.5:
        warnings.append(
            f"Joints look like {UNIT_NAMES[unit]}, but layout {layout.name} has {UNIT_NAMES[layout.unit]}; convert them, or training "
            "sees bodies of another size."
        )
    odd = [value for value in stats.units if value not in (unit, "unknown")]
    if odd and part < 0.98 and part > 0.5:
        names = [name for value in odd for name in stats.examples["unit", value]]
        warnings.append(
            f"Bodies are of another size in {counted(sum(stats.units[value] for value in odd), 'clip')}, such as {listed(names)}."
        )
    up, part = leading(stats.ups)
    if up and up != "+y":
        warnings.append(
            f"Heads are above feet along {up} in {share(part, 1)} of the clips; expected +y: turn the axes, y up."
        )
    told = stats.sides["as named"] + stats.sides["mirrored"]
    if told and stats.sides["mirrored"] > _MIRRORED * told:
        names = stats.examples["sides", "mirrored"]
        warnings.append(
            f"Left and right look swapped in {share(stats.sides['mirrored'], told)} of the clips that tell, such as {listed(names)}: "
            "joints named left are on the person's right, or one axis is mirrored."
        )
    restless = sum(count for value, count in stats.variations.items() if value > _RESTLESS)
    if restless and layout.unit == "m":  # in an image bones look shorter as they turn
        worst = [name for value, name, _ in sorted(stats.worst, reverse=True) if 100 * value > _RESTLESS]
        warnings.append(
            f"Bones vary by more than {_RESTLESS} % of their length in {counted(restless, 'clip')}, such as {listed(worst)}: bad tracking."
        )
    return warnings


def _better_layout(stats: ClipStatistics) -> str:
    """A well-known layout with as many joints whose tree fits the drawn clips clearly better; "" if there is none."""
    layout = stats.layout
    assert layout is not None
    clips = [clip.joints for clip in stats.drawn.items if clip.layout == layout]

    def misfit(name: str) -> float:
        values = [layout_misfit(joints, LAYOUTS[name]) for joints in clips]
        known = [value for value in values if value == value]
        return float(np.median(known)) if known else float("nan")

    rivals = {name: misfit(name) for name, one in LAYOUTS.items() if one.num_joints == layout.num_joints}
    mine = rivals.pop(layout.name, float("nan"))
    better = [name for name, value in rivals.items() if value < CLEAR * mine]
    return min(better, key=lambda name: rivals[name]) if better else ""


def _about_values(stats: ClipStatistics) -> list[str]:
    """Missing joints, empty and repeated frames, clips of a few frames."""
    warnings = []
    totals = stats.totals
    missing = totals["nan"] + totals["zero"]
    if missing > _MISSING * totals["total"]:
        warnings.append(
            f"{share(missing, totals['total'])} of the joints are missing (NaN or 0 0 0); they are filled along time."
        )
    if totals["empty_frames"]:
        names = stats.examples["empty", ""]
        warnings.append(
            f"Nobody is there in {counted(totals['empty_frames'], 'frame')}, in clips such as {listed(names)}."
        )
    if totals["still"] > _STILL * stats.total_frames:
        warnings.append(f"{share(totals['still'], stats.total_frames)} of the frames repeat the one before.")
    short = sum(count for frames, count in stats.frames.items() if frames < _FEW)
    if short:
        names = stats.examples["short", ""]
        warnings.append(f"Fewer than {_FEW} frames: {counted(short, 'clip')}, such as {listed(names)}.")
    return warnings
