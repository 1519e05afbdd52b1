"""The page of `s2i inspect --html`: one file, no script, nothing loaded from anywhere; light and dark."""

from __future__ import annotations

import math
from dataclasses import replace
from html import escape
from pathlib import Path

from ..processing.layouts import PARTS
from ..utils.files import write_atomically
from .charts import columns, histogram, numbers, rows, strip
from .report import UNIT_NAMES, Inspection, class_name, printable
from .statistics import ClipStatistics, DrawnClip

_CLIPS_DRAWN = 6
_CLASSES_DRAWN = 130  # more are left to the text report
_ASYMMETRY = 0.1  # left and right bones that differ by more are marked

_STYLE = """
:root { color-scheme: light dark; --page: #ffffff; --card: #f5f6f8; --ink: #1d2129; --soft: #5b6370; --line: #d8dce3;
  --bar: #3b6ea8; --warn: #fff4dc; --warn-line: #c98a00; --torso: #2b2f36; --left-arm: #0072b2; --right-arm: #d55e00;
  --left-leg: #3d9bd6; --right-leg: #c58a00; }
@media (prefers-color-scheme: dark) { :root { --page: #14171c; --card: #1d2128; --ink: #e6e9ee; --soft: #9aa3b0;
  --line: #363c46; --bar: #6fa3dc; --warn: #332a14; --warn-line: #e0a93a; --torso: #e0e3e8; --left-arm: #4fb3e8;
  --right-arm: #ff8f45; --left-leg: #8fd0f5; --right-leg: #f0bd4a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 24px; max-width: 1320px; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 22px; margin: 0 0 4px; } h2 { font-size: 17px; margin: 32px 0 10px; }
p { margin: 4px 0; } .soft { color: var(--soft); } code { background: var(--card); padding: 1px 5px; border-radius: 4px; }
code, td, h1 { overflow-wrap: anywhere; } th { white-space: nowrap; }
.warnings { background: var(--warn); border-left: 4px solid var(--warn-line); padding: 10px 16px; margin: 14px 0; border-radius: 4px; }
.warnings ul { margin: 0; padding-left: 18px; }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(360px, 100%), 1fr)); gap: 16px; align-items: start; }
figure { margin: 0; min-width: 0; overflow-x: auto;
  background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 12px; }
figcaption { font-weight: 600; margin-bottom: 6px; overflow-wrap: anywhere; } figcaption span { font-weight: 400; color: var(--soft); }
svg { max-width: 100%; height: auto; display: block; } svg text { fill: var(--ink); font-size: 13px; }
svg text.small { font-size: 11px; fill: var(--soft); } .bar { fill: var(--bar); } .grid line.grid { stroke: var(--line); }
line.axis { stroke: var(--soft); } .bone { stroke-width: 2.2; stroke-linecap: round; } .joint { stroke: none; }
table { border-collapse: collapse; }
td, th { padding: 3px 14px 3px 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
td.number { text-align: right; font-variant-numeric: tabular-nums; } .marked { color: var(--warn-line); font-weight: 600; }
.legend span { margin-right: 16px; white-space: nowrap; }
.legend i { display: inline-block; width: 12px; height: 12px; border-radius: 3px; margin-right: 5px; }
"""
_PART_VARIABLES = tuple(part.replace("_", "-") for part in PARTS)


def write_page(report: Inspection, path: str | Path) -> Path:
    """Write the page of an inspection, whole or not at all.

    Raises:
        ValueError: `path` is a folder.
        OSError: it cannot be written.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name the HTML file to write, such as {path / 'inspection.html'}.")
    write_atomically(path, render_page(report))
    return path


def render_page(report: Inspection) -> str:
    """The page as text; every name and sentence in it is escaped."""
    stats = report.statistics
    parts = [_head(report)]
    if stats.clips:
        parts += [_charts(report), _skeletons(stats, report.class_names), _bones(stats)]
    parts.append(_broken(report))
    style = _STYLE + "".join(
        f".part{index} {{ stroke: var(--{name}); fill: var(--{name}); background: var(--{name}); }}"
        for index, name in enumerate(_PART_VARIABLES)
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"/>"
        f"<title>{_safe(report.verdict)}</title><style>{style}</style></head>\n<body>\n{''.join(parts)}</body></html>\n"
    )


def _safe(text: str) -> str:
    """Escaped for HTML and XML; control characters and halves of surrogate pairs, which neither allows, become question marks."""
    return escape(printable(text))


def _head(report: Inspection) -> str:
    found = report.detection
    text = f'<h1>{_safe(report.verdict)}</h1>\n<p class="soft">{_safe(str(found.path))}</p>\n'
    if report.warnings:
        items = "".join(f"<li>{_safe(warning)}</li>" for warning in report.warnings)
        text += f'<div class="warnings"><ul>{items}</ul></div>\n'
    text += "".join(f"<p>{_safe(note)}</p>\n" for note in found.notes)
    facts = "".join(f"<tr><th>{_safe(name)}</th><td>{_safe(value)}</td></tr>" for name, value in report.facts())
    text += f"<table>{facts}</table>\n" if facts else ""
    return text + "".join(f"<p>Next: <code>{_safe(command)}</code></p>\n" for command in found.commands)


def _figure(title: str, drawing: str, remark: str = "") -> str:
    remark = f" <span>{_safe(remark)}</span>" if remark else ""
    return f"<figure><figcaption>{_safe(title)}{remark}</figcaption>{drawing}</figure>\n"


def _charts(report: Inspection) -> str:
    stats, names = report.statistics, report.class_names
    figures = [_figure("Frames", histogram(stats.frames, "clips by number of frames", "frames a clip"))]
    if stats.variations:
        chart = histogram(stats.variations, "clips by variation of their bones", "per cent")
        figures.append(_figure("Bone variation", chart, "mean change of bone lengths within a clip"))
    for title, counts, axis in (
        ("Subjects", stats.subjects, "subject"), ("Views", stats.cameras, "camera"), ("People", stats.people, "people a clip"),
    ):  # fmt: skip
        if len(counts) > 1:
            figures.append(_figure(title, numbers(counts, f"clips by {axis}", axis)))
    known = sorted(label for label in stats.labels if label >= 0)
    if known and len(known) <= _CLASSES_DRAWN:
        bars = [(printable(class_name(label, names)), stats.labels[label]) for label in known]
        half = len(bars) if len(bars) <= 30 else -(-len(bars) // 3)
        for start in range(0, len(bars), half):
            part = bars[start : start + half]
            remark = f"{start + 1} to {start + len(part)} of {len(bars)}" if half < len(bars) else ""
            figures.append(_figure("Classes", rows(part, "clips by class"), remark))
    if len(stats.splits) > 1:
        bars = [(printable(name or "none"), count) for name, count in stats.splits.items()]
        figures.append(_figure("Splits", columns(bars, "clips by split", "split")))
    return f'<h2>Counts</h2>\n<div class="grid">\n{"".join(figures)}</div>\n'


def _skeletons(stats: ClipStatistics, class_names: tuple[str, ...]) -> str:
    clips = stats.drawn.items
    step = max(1, len(clips) // _CLIPS_DRAWN)
    chosen = clips[::step][:_CLIPS_DRAWN]
    legend = "".join(
        f'<span><i class="part{index}"></i>{escape(part.replace("_", " "))}</span>' for index, part in enumerate(PARTS)
    )
    figures = "".join(_clip(clip, class_names) for clip in chosen)
    return (
        '<h2>Sample skeletons</h2>\n<p class="soft">Front: x to the right, y up. Side: z to the right, y up. Sides are those of the '
        f'person, by the names of the joints.</p>\n<p class="legend">{legend}</p>\n<div class="grid">\n{figures}</div>\n'
    )


def _clip(clip: DrawnClip, class_names: tuple[str, ...]) -> str:
    drawn = replace(clip, sample_id=printable(clip.sample_id))
    named = f"{class_name(clip.label, class_names)}, " if clip.label >= 0 else ""
    return _figure(clip.sample_id, strip(drawn), f"{named}{clip.total} frames, {clip.layout.name}")


def _bones(stats: ClipStatistics) -> str:
    layout, table = stats.layout, stats.bone_table()
    if layout is None or not table:
        return ""
    unit = UNIT_NAMES[layout.unit]
    names = ("from", "to", f"median length, {unit}", "its mirror image", "difference")
    header = "".join(f"<th>{name}</th>" for name in names)
    lines = "".join(_bone(*bone) for bone in table)
    return f"<h2>Bones of {_safe(layout.name)}</h2>\n<table><tr>{header}</tr>{lines}</table>\n"


def _bone(parent: str, joint: str, length: float, mirrored: float) -> str:
    away = abs(length - mirrored) / max((length + mirrored) / 2, 1e-12)
    marked = " marked" if away > _ASYMMETRY else ""
    cells = f'<td>{_safe(parent)}</td><td>{_safe(joint)}</td><td class="number">{_length(length)}</td>'
    if math.isnan(mirrored):
        return f"<tr>{cells}<td></td><td></td></tr>"
    return f'<tr>{cells}<td class="number">{_length(mirrored)}</td><td class="number{marked}">{away:.0%}</td></tr>'


def _length(value: float) -> str:
    return "not measured" if math.isnan(value) else f"{value:.3g}"


def _broken(report: Inspection) -> str:
    if not report.broken:
        return ""
    items = "".join(f"<li>{_safe(sentence)}</li>" for sentence in report.broken)
    more = report.num_broken - len(report.broken)
    rest = f"<p>... and {more:,} more.</p>" if more > 0 else ""
    return f"<h2>Broken recordings</h2>\n<ul>{items}</ul>{rest}\n"
