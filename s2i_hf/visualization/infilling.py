"""A picture of filled motion: some frames as stick figures, the truth in grey, filled joints in the colour of the method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..processing.layouts import SkeletonLayout
from ..processing.transforms import find_missing
from .figures import draw_bones, new_figure, save_figure, y_points_down

# Okabe and Ito's palette (2008), told apart by most colour-blind readers
_COLORS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7")
_MEASURED, _TRUTH = "#3a3a3a", "#c4c4c4"
_ROW, _TOP, _LEFT = 2.1, 0.95, 1.75  # inches
_MAX_SAMPLES = 8  # faint figures more than this only blur


@dataclass
class FilledRow:
    """One row of the picture: joints (T, M, V, 3), a caption below the name of the method, samples (S, T, M, V, 3) drawn faintly behind."""

    joints: np.ndarray
    caption: str = ""
    samples: np.ndarray | None = None


def draw_infilling(
    rows: Mapping[str, FilledRow],
    filled: np.ndarray,
    layout: SkeletonLayout,
    path: str | Path,
    truth: np.ndarray | None = None,
    title: str = "",
    num_frames: int = 7,
) -> Path:
    """Draw a row of frames for each method as the camera sees them: x to the right, y up, centred on the measured joints.

    Args:
        rows: Name of the method -> what it filled in.
        filled: (T, M, V) bool, joints that were filled; the frames shown, `num_frames` at most, are spread over those that have some.
        path: PNG to write.
        truth: (T, M, V, 3), drawn in grey behind where it is known; None if it is not.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    with_gaps = np.flatnonzero(filled.any(axis=(1, 2)))
    frames = np.unique(with_gaps[np.linspace(0, len(with_gaps) - 1, num_frames).round().astype(int)])
    reference = next(iter(rows.values())).joints
    known = truth if truth is not None else np.where(filled[..., None], np.nan, reference)
    points = np.where(np.isnan(known), reference, known)[..., :2].reshape(len(known), -1, 2)
    centers = (np.nanmin(points, axis=1) + np.nanmax(points, axis=1)) / 2  # of the people in each frame
    upright = (1.0, -1.0 if y_points_down(np.nan_to_num(reference), layout) else 1.0)
    aside, up = (float(extent) for extent in np.nanmax(np.abs(points - centers[:, None])[frames], axis=(0, 1)))
    half_height = max(up, 1e-6) * 1.15
    half_width = max(aside * 1.2, 0.4 * half_height)

    def put(joints: np.ndarray, frame: int, column: int) -> np.ndarray:
        """(M, V, 2) points of a frame."""
        return (joints[frame, ..., :2] - centers[frame]) * upright + ((2 * column + 1) * half_width, 0.0)

    strip = _ROW * half_width / half_height * len(frames)
    width, height = max(_LEFT + strip + 0.15, 6.5), _TOP + _ROW * len(rows) + 0.75
    figure = new_figure(width, height)
    figure.text(0.12 / width, 1 - 0.14 / height, title, fontsize=12, va="top", weight="bold")
    share = f"{filled.sum():,} of {(~find_missing(reference)).sum():,} joints filled; as the camera sees them"
    figure.text(0.12 / width, 1 - 0.42 / height, share, fontsize=9, va="top", color="#555555")
    for number, (name, row) in enumerate(rows.items()):
        top, color = _TOP + number * _ROW, _COLORS[number % len(_COLORS)]
        middle = 1 - (top + _ROW / 2) / height
        figure.text(0.12 / width, middle + 0.06 / height, name, fontsize=11, va="bottom", color=color, weight="bold")
        figure.text(0.12 / width, middle - 0.02 / height, row.caption, fontsize=9.5, va="top", color="#333333")
        axes = figure.add_axes((_LEFT / width, 1 - (top + _ROW) / height, strip / width, _ROW / height))
        axes.set_axis_off()
        axes.set(aspect="equal", xlim=(0, 2 * half_width * len(frames)), ylim=(-half_height, half_height))
        for column, frame in enumerate(frames):
            lost = filled[frame] | filled[frame][:, layout.parents]  # a bone is lost with either end
            if truth is not None:
                draw_bones(axes, put(truth, frame, column), layout, _TRUTH, lw=3.2)
            for sample in [] if row.samples is None else row.samples[:_MAX_SAMPLES]:
                draw_bones(axes, put(sample, frame, column), layout, color, lost, lw=0.7, alpha=0.4)
            points = put(row.joints, frame, column)
            draw_bones(axes, points, layout, _MEASURED, ~lost, lw=1.4)
            draw_bones(axes, points, layout, color, lost, lw=2.0)
            for body, dots in zip(points, filled[frame], strict=True):
                axes.scatter(body[dots, 0], body[dots, 1], s=9, linewidths=0, color=color, zorder=3)
    for column, frame in enumerate(frames):
        across = (_LEFT + strip * (column + 0.5) / len(frames)) / width
        figure.text(across, 0.5 / height, f"frame {frame}", ha="center", fontsize=8.5, color="#555555")
    _legend(figure, width, height, truth is not None, any(row.samples is not None for row in rows.values()))
    return save_figure(figure, path)


def _legend(figure: Any, width: float, height: float, has_truth: bool, has_samples: bool) -> None:
    from matplotlib.lines import Line2D

    keys = [Line2D([], [], color=_TRUTH, lw=3.2, label="truth")] if has_truth else []
    keys.append(Line2D([], [], color=_MEASURED, lw=1.4, label="measured"))
    keys.append(Line2D([], [], color=_COLORS[0], lw=2.0, marker=".", label="filled, in the colour of the method"))
    if has_samples:
        keys.append(Line2D([], [], color=_COLORS[0], lw=0.7, alpha=0.5, label="single samples"))
    place = (0.05 / width, 0.03 / height)
    figure.legend(handles=keys, ncols=4, loc="lower left", bbox_to_anchor=place, frameon=False, fontsize=8.5)
