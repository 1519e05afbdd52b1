"""Pictures of a run: what a masked autoencoder rebuilds (as an image and as a moving person), the loss curve, the confusions.

All of them raise `MissingExtra` where matplotlib is absent, so that a run can say so and go on.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..processing.layouts import PARTS, SkeletonLayout
from .reconstruction import Reconstruction, reconstruct

# Okabe and Ito's palette (2008), told apart by most colour-blind readers: torso, left arm, right arm, left leg, right leg
PART_COLORS = ("#3a3a3a", "#0072B2", "#D55E00", "#56B4E9", "#E69F00")
GHOST = "#cfcfcf"


class MissingExtra(ImportError):
    """An optional library is not installed; the message says which pip line mends it."""


def _figure(width: float, height: float) -> Any:
    """An empty figure on the Agg canvas: no window, no global pyplot state."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("Pictures need matplotlib; install it with: pip install 's2i-hf[viz]'") from error
    figure = Figure(figsize=(width, height), dpi=110, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Any, path: str | Path) -> Path:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    figure.savefig(temporary, format="png", metadata={"Software": None})
    temporary.replace(path)
    return path


# --- reconstruction ---------------------------------------------------------------------------------------------------


def reconstruction_picture(
    model: Any,
    processor: Any,
    rows: Any,
    path: str | Path,
    mask: str = "random",
    target: str = "joint",
    seed: int = 0,
    num_clips: int = 32,
) -> dict[str, Any]:
    """Rebuild some clips, draw the one of median error (neither the best nor the worst), and say how far off they are.

    Args:
        model, processor, mask, target, seed: See `reconstruct`.
        rows: `data.SkeletonRows`, or any sequence of row dicts; clips the model was not trained on.
        path: PNG to write; the numbers go to a JSON file of the same name beside it.
        num_clips: Clips, evenly spread over `rows`.

    Returns:
        clips, error (mean over clips), hidden_error, unit, sample_id (the clip drawn), mask, mask_ratio, target, uses_target_scale.

    Raises:
        MissingExtra: matplotlib is not installed; the JSON file is written all the same.
        ValueError: there are no rows.
    """
    if len(rows) == 0:
        raise ValueError("There are no clips to reconstruct; pass the rows of a split that has some.")
    chosen = np.unique(np.linspace(0, len(rows) - 1, min(num_clips, len(rows))).round().astype(int))
    clips = reconstruct(model, processor, [rows[int(index)] for index in chosen], mask, target, seed)
    clip = sorted(clips, key=lambda one: one.hidden_error)[len(clips) // 2]
    summary = {
        "clips": len(clips),
        "error": round(float(np.mean([one.error for one in clips])), 3),
        "hidden_error": round(float(np.mean([one.hidden_error for one in clips])), 3),
        "unit": clip.unit,
        "sample_id": clip.sample_id,
        "mask": mask,
        "mask_ratio": clip.ratio,
        "target": target,
        "uses_target_scale": clip.uses_target_scale,
    }
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    draw_reconstruction(clip, path)
    return summary


def draw_reconstruction(clip: Reconstruction, path: str | Path, num_frames: int = 7) -> Path:
    """Three rows: original, masked, rebuilt; each as S2I image (left) and as stick figures of some frames (right)."""
    # Seen from the front, x to the right and y up; every frame is centred on where the people truly are in it.
    truth, predicted = (joints[..., :2].copy() for joints in (clip.truth, clip.predicted))
    middle = clip.truth[:, :, list(clip.layout.center_indices), :2].mean(axis=(1, 2))
    for joints in (truth, predicted):
        joints -= middle[:, None, None]
        joints[..., 1] *= -1 if _y_points_down(clip.truth, clip.layout) else 1
    low, high = float(truth[..., 1].min()), float(truth[..., 1].max()) + 1e-6
    margin = 0.18 * (high - low)
    # half the width of a frame: room for the prediction too, but a stray one must not shrink everything else
    spread = float(np.abs(truth[..., 0]).max())
    spread = max(min(float(np.abs(predicted[..., 0]).max()), 1.5 * spread), spread, 0.25 * (high - low)) + 0.5 * margin
    frame_width = 2 * spread / (high - low + 2 * margin)  # when the strip is 1 high
    image_side, num_frames = 2.35, min(len(truth), max(3, min(num_frames, int(5.5 / frame_width))))
    strip = frame_width * num_frames
    frames = np.linspace(0, len(truth) - 1, num_frames).round().astype(int)
    figure = _figure(max(1.35 + image_side * (1 + strip) + 0.2, 9.0), 3 * image_side + 2.15)
    width, height = figure.get_size_inches()

    def axes(left: float, top: float, w: float, h: float) -> Any:
        return figure.add_axes((left / width, 1 - (top + h) / height, w / width, h / height))

    mean, std = (np.reshape(value, (3, 1, 1)) for value in (clip.image_mean or (0, 0, 0), clip.image_std or (1, 1, 1)))
    plain = clip.original * std + mean  # as it was before mean/std: one range for the three axes
    black, white = plain.min(), max(plain.max(), plain.min() + 1e-6)
    labels = ("original", f"masked {clip.ratio:.0%}", "rebuilt")
    for row, (label, image) in enumerate(zip(labels, (clip.original, clip.masked, clip.rebuilt), strict=True)):
        top = 0.95 + row * (image_side + 0.12)
        picture = axes(0.85, top, image_side, image_side)
        pixels = np.clip(((image * std + mean).transpose(1, 2, 0) - black) / (white - black), 0, 1)
        picture.imshow(np.where(np.isnan(pixels), 0.86, pixels), interpolation="nearest", aspect="auto")
        picture.set_xticks([])
        picture.set_yticks([])
        picture.set_ylabel(label, fontsize=12, labelpad=6)
        if row == 0:
            band = axes(0.85, top - 0.11, image_side, 0.08)
            hexes = (*PART_COLORS, "#ffffff")  # white where no part has a joint
            colors = np.array([[int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)] for color in hexes])
            part = np.where(clip.columns < 0, 5, clip.columns % 5)
            band.imshow(colors[part][None], aspect="auto", interpolation="nearest")
            band.set_axis_off()
        if row == 2:
            picture.set_xlabel("joints, part by part", fontsize=9)
        stage = axes(0.85 + image_side + 0.3, top, image_side * strip, image_side)
        stage.set_axis_off()
        stage.set_aspect("equal")
        stage.set_xlim(-spread, spread * (2 * len(frames) - 1))
        stage.set_ylim(low - margin, high + margin)
        for column, frame in enumerate(frames):
            shift = np.array([2 * spread * column, 0.0], dtype=np.float32)
            true, guess = truth[frame] + shift, predicted[frame] + shift
            if row > 0:
                _draw_people(stage, true, clip.layout, ghost=True)
            if row == 0:
                _draw_people(stage, true, clip.layout)
            elif row == 1:
                _draw_people(stage, true, clip.layout, visible=~clip.hidden[frame])
            else:
                _draw_people(stage, guess, clip.layout)
            if row == 2:
                text = f"frame {frame + 1}"
                stage.text(shift[0], low - 1.1 * margin, text, ha="center", va="top", fontsize=9, color="#555555")
    from matplotlib.lines import Line2D

    def write(x: float, y: float, text: str, **style: Any) -> None:
        figure.text(x / width, y / height, text, **style)

    name = f"{clip.sample_id}  ·  " if clip.sample_id else ""
    write(0.85, height - 0.2, f"{name}{clip.target} stream, {clip.mask} mask", fontsize=13, va="top", weight="bold")
    errors = (
        f"MPJPE {clip.error:.1f} {clip.unit} over all joints, {clip.hidden_error:.1f} {clip.unit} over hidden joints"
    )
    write(0.85, height - 0.48, f"{errors} ({clip.hidden.mean():.0%} of all)", fontsize=11, va="top")
    remarks = textwrap.fill("; ".join(_remarks(clip)), int((width - 1.0) / 0.064))  # inches a character of 8 points
    write(0.85, 0.1, remarks, fontsize=8, va="bottom", color="#555555")
    named = [*zip(PART_COLORS, PARTS, strict=True), (GHOST, "truth, where not drawn in colour")]
    keys = [Line2D([], [], color=color, lw=3, label=label.replace("_", " ")) for color, label in named]
    place = (0.75 / width, 0.4 / height)
    figure.legend(handles=keys, ncols=6, loc="lower left", bbox_to_anchor=place, frameon=False, fontsize=9)
    return _save(figure, path)


def _remarks(clip: Reconstruction) -> list[str]:
    remarks = ["rebuilt = prediction in hidden patches, original elsewhere"]
    if clip.uses_target_scale:
        remarks.append("mean and contrast of hidden patches are the original's (the model predicts normalised pixels)")
    if clip.target == "motion":
        remarks.append("the model saw joint positions; motion is summed from the true first frame, so errors add up")
    return remarks


def _y_points_down(joints: np.ndarray, layout: SkeletonLayout) -> bool:
    """Image-space formats count y downwards: there the top of the torso has a smaller y than the feet."""
    top = layout.joint_names.index(layout.parts["torso"][0]) if layout.parts["torso"] else 0
    feet = [layout.joint_names.index(layout.parts[leg][-1]) for leg in ("left_leg", "right_leg") if layout.parts[leg]]
    return layout.unit != "m" and bool(feet) and joints[:, :, top, 1].mean() < joints[:, :, feet, 1].mean()


def _draw_people(
    axes: Any, points: np.ndarray, layout: SkeletonLayout, visible: np.ndarray | None = None, ghost: bool = False
) -> None:
    """Stick figures of one frame: points (M, V, 2); bones and joints that are not `visible` (M, V) are left out."""
    part_of = {name: part for part, names in enumerate(layout.parts.values()) for name in names}
    colors = [GHOST if ghost else PART_COLORS[part_of[name]] for name in layout.joint_names]
    for person, body in enumerate(points):
        seen = np.ones(len(body), dtype=bool) if visible is None else visible[person]
        for joint, parent in enumerate(layout.parents):
            if parent >= 0 and seen[joint] and seen[parent]:
                axes.plot(
                    *body[[parent, joint]].T,
                    color=colors[joint],
                    lw=2.0,
                    solid_capstyle="round",
                    zorder=1 if ghost else 2,
                )
        if not ghost:
            axes.scatter(*body[seen].T, c=[colors[j] for j in np.flatnonzero(seen)], s=7, linewidths=0, zorder=3)


# --- curve and confusion ----------------------------------------------------------------------------------------------


def read_metrics(run_dir: str | Path) -> list[dict[str, Any]]:
    """The step rows of `metrics.jsonl` (those with a loss); a last line cut short by a crash is skipped."""
    path = Path(run_dir) / "metrics.jsonl"
    rows: dict[int, dict[str, Any]] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and "loss" in row and "step" in row:
            rows[int(row["step"])] = row  # a resumed run logs some steps again
    return [rows[step] for step in sorted(rows)]


def curve_picture(run_dir: str | Path, path: str | Path | None = None) -> Path | None:
    """Draw loss and learning rate over steps from `metrics.jsonl`; None if it holds no steps. Raises MissingExtra."""
    rows = read_metrics(run_dir)
    if not rows:
        return None
    steps, losses = np.array([row["step"] for row in rows]), np.array([row["loss"] for row in rows], dtype=float)
    figure = _figure(7.0, 3.6)
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
        handles += other.plot(
            steps, [row["lr"] for row in rows], color="#999999", lw=1.0, ls="--", label="learning rate"
        )
        other.set_ylim(bottom=0)
        other.tick_params(labelsize=8, colors="#777777")
        other.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
        other.spines[["top"]].set_visible(False)
    axes.set_xlabel("optimizer step")
    axes.set_ylabel("loss")
    axes.spines[["top"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.legend(handles=handles, loc="upper right", frameon=False, fontsize=9)
    axes.set_title(
        f"{Path(run_dir).resolve().name}: loss {losses[-1]:.4f} at step {steps[-1]}", fontsize=11, loc="left"
    )
    return _save(figure, Path(path) if path else Path(run_dir) / "curve.png")


def confusion_picture(confusion: Any, class_names: Sequence[str], path: str | Path, title: str = "") -> Path:
    """Draw a confusion matrix, each row scaled to the clips of its true class.

    Args:
        confusion: (K, K) counts, a row for each true class.
        class_names: K names.

    Raises:
        ValueError: the names do not fit the matrix. MissingExtra: matplotlib is not installed.
    """
    counts = np.asarray(confusion, dtype=float)
    size = len(counts)
    if counts.shape != (size, size) or len(class_names) != size:
        raise ValueError(
            f"a confusion matrix of shape {counts.shape} has {len(class_names)} class names; expected (K, K) and K."
        )
    class_names = [name if len(name) <= 30 else f"{name[:29]}…" for name in map(str, class_names)]
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    cell = 0.46 if size <= 20 else 0.24 if size <= 60 else 0.13
    font = 9.5 if size <= 20 else 7 if size <= 60 else 4.2
    margin = 0.5 + max((len(name) for name in class_names), default=1) * font * 0.0085
    side = cell * size
    figure = _figure(max(margin + side + 0.4, 4.2), margin + side + 0.75)
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
    return _save(figure, path)
