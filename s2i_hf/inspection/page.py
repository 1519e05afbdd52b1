"""The page of `s2i inspect --html`: one file, no script, nothing loaded from anywhere; light and dark. `page.html.j2` is its text."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from ..processing.layouts import PARTS
from ..utils.files import write_atomically
from ..utils.text import printable
from .charts import columns, histogram, numbers, rows, strip
from .report import NUM_BROKEN_NAMED, UNIT_NAMES, Inspection, class_name
from .statistics import ClipStatistics

_CLIPS_DRAWN = 6
_CLASSES_DRAWN = 130  # more are left to the text report
_ASYMMETRY = 0.1  # left and right bones that differ by more are marked

Figure = tuple[str, str, str]
"""Title, SVG and remark."""


def write_page(report: Inspection, path: str | Path) -> Path:
    """Write the page of an inspection, whole or not at all. Raises ValueError if `path` is a folder, OSError if it cannot be written."""
    path = Path(path).expanduser()
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name the HTML file to write, such as {path / 'inspection.html'}.")
    write_atomically(path, render_page(report))
    return path


def render_page(report: Inspection) -> str:
    """The page as text, HTML and XML alike; every name and sentence in it is escaped."""
    stats, layout = report.statistics, report.statistics.layout
    environment = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined, finalize=_printable
    )
    template = resources.files(__package__).joinpath("page.html.j2").read_text(encoding="utf-8")
    return environment.from_string(template).render(
        report=report,
        parts=PARTS,
        charts=_charts(report) if stats.clips else (),
        clips=_clips(report),
        bones=_bones(stats),
        layout=layout,
        unit=UNIT_NAMES[layout.unit] if layout is not None else "",
        asymmetry=_ASYMMETRY,
        num_named=NUM_BROKEN_NAMED,
        left_out=[line for line in report.left_out_lines() if not line.startswith("broken: ")],
    )


def _printable(value: Any) -> Any:
    """Control characters and halves of surrogate pairs, which neither HTML nor XML allows, become question marks."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _charts(report: Inspection) -> Iterator[Figure]:
    stats = report.statistics
    yield "Frames", histogram(stats.frames, "clips by number of frames", "frames a clip"), ""
    if stats.variations:
        chart = histogram(stats.variations, "clips by variation of their bones", "per cent")
        yield "Bone variation", chart, "mean change of bone lengths within a clip"
    counted = {"Subjects": (stats.subjects, "subject"), "Views": (stats.cameras, "camera")}
    for title, (counts, axis) in {**counted, "People": (stats.people, "people a clip")}.items():
        if len(counts) > 1:
            yield title, numbers(counts, f"clips by {axis}", axis), ""
    known = sorted(label for label in stats.labels if label >= 0)
    if known and len(known) <= _CLASSES_DRAWN:
        bars = [(printable(class_name(label, report.class_names)), stats.labels[label]) for label in known]
        size = len(bars) if len(bars) <= 30 else -(-len(bars) // 3)
        for start in range(0, len(bars), size):
            part = bars[start : start + size]
            remark = f"{start + 1} to {start + len(part)} of {len(bars)}" if size < len(bars) else ""
            yield "Classes", rows(part, "clips by class"), remark
    if len(stats.splits) > 1:
        bars = [(printable(name or "none"), count) for name, count in stats.splits.items()]
        yield "Splits", columns(bars, "clips by split", "split"), ""


def _clips(report: Inspection) -> Iterator[Figure]:
    clips = report.statistics.drawn.items
    for clip in clips[:: max(1, len(clips) // _CLIPS_DRAWN)][:_CLIPS_DRAWN]:
        named = f"{class_name(clip.label, report.class_names)}, " if clip.label >= 0 else ""
        drawing = strip(replace(clip, sample_id=printable(clip.sample_id)))
        yield clip.sample_id, drawing, f"{named}{clip.total} frames, {clip.layout.name}"


def _bones(stats: ClipStatistics) -> list[tuple[str, str, str, str, float]]:
    """Parent, joint, its length and that of its mirror image (or nothing), and by what share they differ."""

    def shown(value: float) -> str:
        return "not measured" if math.isnan(value) else f"{value:.3g}"

    rows = []
    for parent, joint, length, mirrored in stats.bone_table():
        uneven = abs(length - mirrored) / max((length + mirrored) / 2, 1e-12)
        rows.append((parent, joint, shown(length), "" if math.isnan(mirrored) else shown(mirrored), uneven))
    return rows
