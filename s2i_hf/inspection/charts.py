"""Charts and stick figures as SVG text, for a page without scripts, libraries or requests. Colours are CSS classes of the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape

import numpy as np

from ..processing.layouts import PARTS, SkeletonLayout
from .body_checks import seen_joints
from .statistics import DrawnClip, quantile

_WIDTH, _HEIGHT = 420, 170  # of a chart, in its own units
_BINS, _MOST_BARS = 30, 40
_ROW, _STAGE = 18, 150  # height of a horizontal bar; of a drawn frame


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _svg(width: float, height: float, body: str, label: str) -> str:
    size = f'viewBox="0 0 {_number(width)} {_number(height)}" width="{_number(width)}" height="{_number(height)}"'
    return f'<svg role="img" aria-label="{escape(label, quote=True)}" {size}>{body}</svg>'


def _text(x: float, y: float, text: str, anchor: str = "middle") -> str:
    return f'<text x="{_number(x)}" y="{_number(y)}" text-anchor="{anchor}" class="small">{escape(text)}</text>'


def _bar(x: float, y: float, width: float, height: float, title: str) -> str:
    place = f'x="{_number(x)}" y="{_number(y)}" width="{_number(max(width, 0.5))}" height="{_number(height)}"'
    return f'<rect class="bar" {place}><title>{escape(title)}</title></rect>'


def columns(bars: Sequence[tuple[str, int]], label: str, axis: str, every: int = 1) -> str:
    """Upright bars, (name, clips), each `every`-th with its name below; `label` tells those who cannot see it what the chart shows."""
    top = max((count for _, count in bars), default=0) or 1
    left, base, height = 44, _HEIGHT - 34, _HEIGHT - 48
    step = (_WIDTH - left - 6) / max(len(bars), 1)
    parts = []
    for share in (0.5, 1.0):
        y = base - share * height
        parts.append(f'<line class="grid" x1="{left}" x2="{_WIDTH}" y1="{_number(y)}" y2="{_number(y)}"/>')
        if top * share == int(top * share):
            parts.append(_text(left - 5, y + 4, f"{int(top * share):,}", "end"))
    for place, (name, count) in enumerate(bars):
        x, tall = left + place * step, height * count / top
        if count:
            parts.append(_bar(x + 0.1 * step, base - tall, 0.8 * step, tall, f"{name}: {count:,}"))
        if place % every == 0:
            parts.append(_text(x + step / 2, base + 13, name))
    parts.append(f'<line class="axis" x1="{left}" x2="{_WIDTH}" y1="{base}" y2="{base}"/>')
    parts.append(_text(left + (_WIDTH - left) / 2, _HEIGHT - 4, axis))
    return _svg(_WIDTH, _HEIGHT, "".join(parts), label)


def rows(bars: Sequence[tuple[str, int]], label: str) -> str:
    """Lying bars with their names to the left, for names that are words."""
    top = max((count for _, count in bars), default=0) or 1
    height, left = _ROW * len(bars) + 4, 190
    parts = []
    for place, (name, count) in enumerate(bars):
        y, wide = place * _ROW + 2, (_WIDTH - left - 46) * count / top
        shown = name if len(name) <= 30 else name[:29] + "…"
        parts.append(_text(left - 6, y + _ROW - 6, shown, "end"))
        parts.append(_bar(left, y + 2, wide, _ROW - 5, f"{name}: {count:,}"))
        parts.append(_text(left + wide + 5, y + _ROW - 6, f"{count:,}", "start"))
    return _svg(_WIDTH, height, "".join(parts), label)


def histogram(counts: Counter[int], label: str, axis: str) -> str:
    """Whole numbers in at most 30 bins of equal width; the uppermost 1 % share the last bin if they are far out."""
    low, high = min(counts), max(counts)
    common = quantile(counts, 0.99)
    high = common if high > 2 * common else high
    width = max(1, -(-(high - low + 1) // _BINS))
    bins = [0] * ((high - low) // width + 1)
    for value, count in counts.items():
        bins[(min(value, high) - low) // width] += count
    bars = [(str(low + place * width), count) for place, count in enumerate(bins)]
    if max(counts) > high:
        bars[-1] = f"{bars[-1][0]}+", bars[-1][1]
    return columns(bars, label, axis, max(1, -(-len(bars) // 8)))


def numbers(counts: Counter[int], label: str, axis: str) -> str:
    """A bar for each number met; -1 is "?". A histogram if there are more than 40."""
    if len(counts) > _MOST_BARS:
        return histogram(Counter({key: count for key, count in counts.items() if key >= 0}) or counts, label, axis)
    bars = [("?" if key < 0 else str(key), counts[key]) for key in sorted(counts)]
    return columns(bars, label, axis, max(1, -(-len(bars) // 14)))


def strip(clip: DrawnClip) -> str:
    """The frames of a clip from the front (x to the right, y up) and, below, from the side (z to the right, y up).

    Each frame is centred on its people; everything has one scale. Missing joints are not drawn.
    """
    joints = seen_joints(clip.joints)[2]
    label = f"{len(clip.frames)} frames of {clip.sample_id}, front and side view"
    with np.errstate(invalid="ignore", over="ignore"):
        middle = (np.fmax.reduce(joints, axis=(1, 2)) + np.fmin.reduce(joints, axis=(1, 2))) / 2  # (frames, 3)
        joints = joints - middle[:, None, None]
        reach = np.fmax.reduce(np.abs(joints), axis=(0, 1, 2))
    if not np.isfinite(reach).all() or not reach.max() > 0:
        return _svg(_STAGE, 30, _text(6, 20, "nobody in these frames", "start"), label)
    views = [[0, 1]] if reach[2] == 0 else [[0, 1], [2, 1]]
    scale, across = (_STAGE - 16) / (2 * max(reach[1], 1e-9)), max(reach[axis] for axis, _ in views)
    scale = min(scale, (2 * _STAGE - 18) / max(2 * across, 1e-9))  # far apart, or lying
    wide, tall, left = max(2 * across * scale + 18, 46), 2 * reach[1] * scale + 16, 30
    parts = []
    for row, axes in enumerate(views):
        y = (row + 0.5) * tall
        parts.append(_text(4, y, ("front", "side")[row], "start"))
        for column, frame in enumerate(joints):
            parts.append(_figure(frame[..., axes] * scale, clip.layout, left + (column + 0.5) * wide, y))
    bottom = len(views) * tall
    for column, number in enumerate(clip.frames):
        parts.append(_text(left + (column + 0.5) * wide, bottom + 12, f"frame {number + 1}"))
    return _svg(left + len(clip.frames) * wide, bottom + 18, "".join(parts), label)


def _figure(people: np.ndarray, layout: SkeletonLayout, x: float, y: float) -> str:
    """Bones and joints of the people in one frame, (M, V, 2) in units of the drawing, y up."""
    part = {name: index for index, names in enumerate(PARTS) for name in layout.parts[names]}
    kinds = [f"part{part[name]}" for name in layout.joint_names]
    shapes = []
    for body in np.stack([x + people[..., 0], y - people[..., 1]], axis=-1):
        seen = np.isfinite(body).all(axis=-1)
        for joint, parent in enumerate(layout.parents):
            if parent >= 0 and seen[joint] and seen[parent]:
                (x1, y1), (x2, y2) = body[parent], body[joint]
                ends = f'x1="{_number(x1)}" y1="{_number(y1)}" x2="{_number(x2)}" y2="{_number(y2)}"'
                shapes.append(f'<line class="bone {kinds[joint]}" {ends}/>')
        for joint in np.flatnonzero(seen).tolist():
            at = f'cx="{_number(body[joint, 0])}" cy="{_number(body[joint, 1])}" r="1.6"'
            shapes.append(f'<circle class="joint {kinds[joint]}" {at}/>')
    return "".join(shapes)
