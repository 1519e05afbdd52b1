"""Figures of a run and of a joint format, and what all figures share: the canvas, the colours, stick figures, writing a PNG.

All of them raise `MissingExtra` where matplotlib is absent, so that a run can say so and go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..processing.layouts import PARTS, SkeletonLayout
from ..runs.run_folder import RunFolder
from ..utils.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette (2008), told apart by most colour-blind readers: torso, left arm, right arm, left leg, right leg
PART_COLORS = ("#3a3a3a", "#0072B2", "#D55E00", "#56B4E9", "#E69F00")


class MissingExtra(ImportError):
    """An optional library is not installed; the message says which pip line mends it."""


@contextmanager
def drawing(path: Path, report: Callable[[str], None] = print) -> Iterator[Path]:
    """The path for a picture that may be left out: without matplotlib a line says why there is none."""
    try:
        yield path
    except MissingExtra as missing:
        report(f"No {path.name}: {missing}")


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of this size in inches on the Agg canvas: no window, no global pyplot state."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("Pictures need matplotlib; install it with: pip install 's2i-hf[viz]'") from error
    figure = Figure(figsize=(width, height), dpi=110, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Write a PNG, whole or not at all; the same figure gives the same bytes."""
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})
    return Path(path)


def part_colors(layout: SkeletonLayout) -> list[str]:
    """V colours, those of the parts that the joints belong to."""
    color_of = {name: color for names, color in zip(layout.parts.values(), PART_COLORS, strict=True) for name in names}
    return [color_of[name] for name in layout.joint_names]


def draw_bones(
    axes: Axes,
    points: np.ndarray,
    layout: SkeletonLayout,
    colors: str | Sequence[str],
    shown: np.ndarray | None = None,
    **style: Any,
) -> None:
    """Draw the bones of one frame (M, V, 2), but for those with an end that is NaN or not in `shown` (M, V) bool.

    `colors` is one for all, or one for the bone that ends in each joint; `style` that of matplotlib's lines.
    """
    colors = [colors] * layout.num_joints if isinstance(colors, str) else colors
    for person, body in enumerate(points):
        for joint, parent in enumerate(layout.parents):
            bone = body[[parent, joint]]
            if parent >= 0 and (shown is None or shown[person, joint]) and not np.isnan(bone).any():
                axes.plot(*bone.T, color=colors[joint], solid_capstyle="round", **style)


def y_points_down(joints: np.ndarray, layout: SkeletonLayout) -> bool:
    """Image-space formats count y downwards: there the top of the torso has a smaller y than the feet."""
    top = layout.joint_names.index(layout.parts["torso"][0]) if layout.parts["torso"] else 0
    feet = [layout.joint_names.index(layout.parts[leg][-1]) for leg in ("left_leg", "right_leg") if layout.parts[leg]]
    return layout.unit != "m" and bool(feet) and joints[:, :, top, 1].mean() < joints[:, :, feet, 1].mean()


def curve_picture(run_dir: str | Path, path: str | Path | None = None) -> Path | None:
    """Draw loss and learning rate over steps from `metrics.jsonl`; None if it holds no steps. Raises MissingExtra."""
    rows = [*{row["step"]: row for row in RunFolder(Path(run_dir)).metrics}.values()]  # a resumed run logs some again
    if not rows:
        return None
    steps, losses = np.array([row["step"] for row in rows]), np.array([row["loss"] for row in rows], dtype=float)
    figure = new_figure(7.0, 3.6)
    axes = figure.add_axes((0.1, 0.15, 0.78, 0.74))
    window = max(1, len(losses) // 50)
    if window > 1:
        axes.plot(steps, losses, color="#0072B2", lw=0.8, alpha=0.3)
        kernel = np.ones(window)
        smooth = np.convolve(losses, kernel, mode="same") / np.convolve(np.ones_like(losses), kernel, mode="same")
        axes.plot(steps, smooth, color="#0072B2", lw=1.8, label=f"loss (mean of {window} logged values)")
    else:
        axes.plot(steps, losses, color="#0072B2", lw=1.8, marker="." if len(losses) < 40 else None, label="loss")
    handles = axes.get_lines()[-1:]
    if all("lr" in row for row in rows):
        other = axes.twinx()
        rates = [row["lr"] for row in rows]
        handles += other.plot(steps, rates, color="#999999", lw=1.0, ls="--", label="learning rate")
        other.set_ylim(bottom=0)
        other.tick_params(labelsize=8, colors="#777777")
        other.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
        other.spines[["top"]].set_visible(False)
    axes.set(xlabel="optimizer step", ylabel="loss")
    axes.spines[["top"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.legend(handles=handles, loc="upper right", frameon=False, fontsize=9)
    title = f"{Path(run_dir).resolve().name}: loss {losses[-1]:.4f} at step {steps[-1]}"
    axes.set_title(title, fontsize=11, loc="left")
    return save_figure(figure, Path(path) if path else Path(run_dir) / "curve.png")


def confusion_picture(confusion: Any, class_names: Sequence[str], path: str | Path, title: str = "") -> Path:
    """Draw a confusion matrix (K, K) of counts, a row for each true class, scaled to the clips of that class; K names.

    Raises:
        ValueError: the names do not fit the matrix. MissingExtra: matplotlib is not installed.
    """
    counts = np.asarray(confusion, dtype=float)
    size = len(counts)
    if counts.shape != (size, size) or len(class_names) != size:
        raise ValueError(f"a matrix {counts.shape} has {len(class_names)} class names; expected (K, K) and K.")
    class_names = [name if len(name) <= 30 else f"{name[:29]}…" for name in map(str, class_names)]
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    cell = 0.46 if size <= 20 else 0.24 if size <= 60 else 0.13
    font = 9.5 if size <= 20 else 7 if size <= 60 else 4.2
    margin = 0.5 + max((len(name) for name in class_names), default=1) * font * 0.0085
    side = cell * size
    figure = new_figure(max(margin + side + 0.4, 4.2), margin + side + 0.75)
    width, height = figure.get_size_inches()
    axes = figure.add_axes((margin / width, margin / height, side / width, side / height))
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(size), class_names, rotation=90, fontsize=font)
    axes.set_yticks(range(size), class_names, fontsize=font)
    axes.tick_params(length=0)
    axes.set_xlabel("predicted", fontsize=10)
    axes.set_ylabel("true", fontsize=10)
    if size <= 30:
        for i, j in zip(*np.nonzero(counts), strict=True):
            color = "white" if share[i, j] > 0.55 else "#333333"
            axes.text(j, i, f"{100 * share[i, j]:.0f}", ha="center", va="center", fontsize=font - 1, color=color)
    figure.text(0.1 / width, 1 - 0.12 / height, title, fontsize=11, va="top")
    figure.text(0.1 / width, 1 - 0.36 / height, "per cent of the true class", fontsize=8.5, va="top", color="#555555")
    return save_figure(figure, path)


def draw_layout(layout: SkeletonLayout, joints: np.ndarray, path: str | Path) -> Path:
    """Draw one body (V, 3), all finite, from the front, x to the right and y up, with the index of each joint and the names beside it."""
    figure = new_figure(7.2, max(4.2, 0.19 * layout.num_joints + 1.2))
    stage = figure.add_axes((0.01, 0.02, 0.62, 0.9))
    stage.set_axis_off()
    stage.set_aspect("equal")
    colors = part_colors(layout)
    x, y = joints[:, 0], joints[:, 1]
    draw_bones(stage, joints[None, :, :2], layout, colors, lw=2.4)
    stage.scatter(x, y, s=26, c=colors, zorder=3)
    size = max(float(np.ptp(x)), float(np.ptp(y)), 1e-6)
    middle = float(np.median(x))
    for joint in range(layout.num_joints):
        side = 1 if x[joint] >= middle else -1
        place = (x[joint] + 0.018 * size * side, y[joint] + 0.008 * size)
        stage.text(*place, str(joint), fontsize=8, color="#333333", ha="left" if side > 0 else "right")
    stage.margins(0.12)
    step, row = 0.88 / (layout.num_joints + len(PARTS)), 0.0
    for part, color in zip(PARTS, PART_COLORS, strict=True):
        figure.text(0.68, 0.93 - row * step, part.replace("_", " "), color=color, fontsize=9.5, weight="bold")
        for name in layout.parts[part]:
            row += 1
            number = str(layout.joint_names.index(name))
            figure.text(0.715, 0.93 - row * step, number, fontsize=8.5, color="#222222", ha="right")
            figure.text(0.73, 0.93 - row * step, name, fontsize=8.5, color="#222222")
        row += 1
    figure.text(0.02, 0.95, f"{layout.name}: {layout.num_joints} joints, in image order", fontsize=12, weight="bold")
    return save_figure(figure, path)
