"""What is there of what a protocol expects, and what looks wrong, with the threshold of each warning."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from ..processing.layouts import LAYOUTS, SkeletonLayout
from ..protocols import SPLITS, Protocol, Split
from ..readers import get_reader
from ..readers.recordings import file_id
from .body_checks import CLEAR, layout_misfit, nanmedian
from .report import UNIT_NAMES, Inspection, counted, listed, share
from .statistics import FEW_FRAMES, ClipStatistics, leading

_MIRRORED = 0.2  # share of clips from which on it is no accident; bodies seen from behind are mistaken now and then
_MISSING = 0.05
_STILL = 0.1
_RESTLESS = 30  # per cent by which bones vary around their lengths; sensors have 3 to 15
_IMBALANCE = 20


def expectations(report: Inspection, ids: Sequence[tuple[str, str]]) -> list[str]:
    """A sentence a protocol: how many clips of each split there are and should be, and the first that are missing.

    Args:
        report: Counts of the clips that were read.
        ids: Split and sample id of each of them.
    """
    found, all_read = report.detection, report.num_read >= report.num_files
    if found.kind == "converted":
        if report.protocol is None or not all_read:
            return []
        stored = {split: {name for part, name in ids if part == split} for split in report.protocol.splits}
        return [_sentence(report.protocol, stored)]
    one_clip = bool(found.reader) and not hasattr(get_reader(found.reader), "read_clips")  # a file; names say it all
    sentences: list[str] = []
    for recordings in found.recordings:
        rule, what, there = recordings.protocol, "", {}
        if all_read:
            splits = [(rule.split(name), name) for _, name in ids]
            there = {split: {name for part, name in splits if part == split} for split in rule.splits}
        elif one_clip:
            there = {split: {file_id(rule, file) for file in files} for split, files in recordings.files.items()}
        else:
            what, there = " files", {split: set(map(str, files)) for split, files in recordings.files.items()}
        # what is missing is named for the best fit alone: it takes seconds for the largest data sets
        sentence = _sentence(rule, there, what, named=not sentences)
        if rule.expected_videos is not None:
            videos = zip(SPLITS, rule.expected_videos, strict=True)
            parts = [f"{split} {len(recordings.files[split]):,} of {count:,}" for split, count in videos]
            sentence += f"; videos: {', '.join(parts)}"
        sentences.append(sentence)
    return sentences


def _sentence(rule: Protocol, there: Mapping[Split, set[str]], what: str = "", named: bool = True) -> str:
    expected = {split: None if what else rule.expected(split) for split in rule.splits}
    parts = [
        f"{split} {len(there[split]):,}{what}" + (f" of {count:,}" if count is not None else "")
        for split, count in expected.items()
    ]
    text = f"{rule.name}: {', '.join(parts)}"
    short = [split for split, count in expected.items() if count is not None and len(there[split]) < count]
    if not (short and named and rule.samples is not None):
        return text
    missing = [name for name in sorted(rule.samples()) if (at := rule.split(name)) in short and name not in there[at]]
    return f"{text}; {len(missing):,} missing, first {listed(missing)}"


# -- what looks wrong -----------------------------------------------------------------------------------------------------


def findings(report: Inspection, ids: Sequence[tuple[str, str]]) -> list[str]:
    """Sentences about what looks wrong, the gravest first; takes what `expectations` takes."""
    stats, found = report.statistics, report.detection
    warnings = []
    if report.broken:
        warnings.append(f"{counted(len(report.broken), 'recording')} cannot be read and will be left out; see below.")
    warnings += report.doubts
    if not stats.clips:
        return warnings
    if found.kind == "converted":
        times = Counter(ids)
        splits = Counter(name for _, name in times)
        if leaked := [name for name, count in splits.items() if count > 1]:
            warnings.append(f"Clips are in two splits at once, such as {listed(leaked)}: convert again.")
        if repeated := [name for (_, name), count in times.items() if count > 1]:
            warnings.append(f"Clips are there twice, such as {listed(repeated)}: convert again.")
    warnings += doubts(stats) + _about_bones(stats)
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


def doubts(stats: ClipStatistics) -> list[str]:
    """Sentences about layout, unit and axes, if most clips speak against them: such data is not to be converted as it is."""
    warnings, layout = [], stats.layout
    assert layout is not None
    if other := _better_layout(stats, layout):
        warnings.append(
            f"The bones fit the tree of {other} better than that of {layout.name}: is that the joint order?"
        )
    unit, part = leading(stats.units)
    if unit and unit != layout.unit and part > 0.5:
        warnings.append(
            f"Joints look like {UNIT_NAMES[unit]}, but layout {layout.name} has {UNIT_NAMES[layout.unit]}; convert them, or training "
            "sees bodies of another size."
        )
    odd = {value: count for value, count in stats.units.items() if value not in (unit, "unknown")}
    if odd and 0.5 < part < 0.98:
        names = [name for value in odd for name in stats.examples["unit", value]]
        warnings.append(f"Bodies are of another size in {counted(sum(odd.values()), 'clip')}, such as {listed(names)}.")
    up, part = leading(stats.ups)
    if up and up != "+y":
        warnings.append(
            f"Heads are above feet along {up} in {share(part, 1)} of the clips; expected +y: "
            + (f"say so with --up {up.removeprefix('+')}." if up in ("+z", "-y") else "turn the axes, y up.")
        )
    mirrored, told = stats.sides["mirrored"], stats.sides["as named"] + stats.sides["mirrored"]
    if mirrored > _MIRRORED * told:
        names = stats.examples["sides", "mirrored"]
        warnings.append(
            f"Left and right look swapped in {share(mirrored, told)} of the clips that tell, such as {listed(names)}: "
            "joints named left are on the person's right, or one axis is mirrored; change the sign of an axis, or the names, in the export."
        )
    return warnings


def _about_bones(stats: ClipStatistics) -> list[str]:
    warnings, layout = [], stats.layout
    assert layout is not None
    restless = sum(count for value, count in stats.variations.items() if value > _RESTLESS)
    if restless and layout.unit == "m":  # in an image bones look shorter as they turn
        worst = [name for value, name, _ in stats.worst if 100 * value > _RESTLESS]
        warnings.append(
            f"Bones vary by more than {_RESTLESS} % of their length in {counted(restless, 'clip')}, such as {listed(worst)}: bad tracking."
        )
    return warnings


def _better_layout(stats: ClipStatistics, layout: SkeletonLayout) -> str:
    """A well-known layout with as many joints whose tree fits the drawn clips clearly better; "" if there is none."""
    clips = [clip.joints for clip in stats.drawn.items if clip.layout == layout]
    misfits = {
        name: float(nanmedian(np.array([layout_misfit(joints, one) for joints in clips])))
        for name, one in LAYOUTS.items()
        if one.num_joints == layout.num_joints
    }
    mine = misfits.pop(layout.name, float("nan"))
    better = {name: misfit for name, misfit in misfits.items() if misfit < CLEAR * mine}
    return min(better, key=lambda name: better[name]) if better else ""


def _about_values(stats: ClipStatistics) -> list[str]:
    """Missing joints, empty and repeated frames, clips of a few frames."""
    warnings, totals = [], stats.totals
    missing = totals["nan"] + totals["zero"]
    if missing > _MISSING * totals["total"]:
        warnings.append(
            f"{share(missing, totals['total'])} of the joints are missing (NaN or 0 0 0); they are filled along time."
        )
    if empty := totals["empty_frames"]:
        names = listed(stats.examples["empty", ""])
        warnings.append(f"Nobody is there in {counted(empty, 'frame')}, in clips such as {names}.")
    if totals["still"] > _STILL * stats.total_frames:
        warnings.append(f"{share(totals['still'], stats.total_frames)} of the frames repeat the one before.")
    if short := sum(count for frames, count in stats.frames.items() if frames < FEW_FRAMES):
        names = listed(stats.examples["short", ""])
        warnings.append(f"Fewer than {FEW_FRAMES} frames: {counted(short, 'clip')}, such as {names}.")
    return warnings
