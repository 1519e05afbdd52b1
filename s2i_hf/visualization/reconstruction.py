"""What a masked autoencoder rebuilds of clips it sees only in part: as an image, and as a moving person in millimetres.

Because the encoding can be inverted, a rebuilt image is a rebuilt skeleton, and its error is a distance of joints.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..processing.encoding import ClipMetadata, decode, encode
from ..processing.image_processing_skeleton import SkeletonProcessor
from ..processing.layouts import PARTS, get_layout
from ..processing.masking import drawn_strategies, mask_from_noise, mask_noise
from ..processing.resizing import joint_weights, part_columns, resize_weights
from .figures import PART_COLORS, draw_bones, new_figure, part_colors, save_figure, y_points_down

GHOST = "#cfcfcf"  # the truth behind


@dataclass
class Reconstruction:
    """One clip, masked and rebuilt.

    Args:
        metadata: Of `original`.
        original, masked, rebuilt: (3, H, W) float32 images before display scaling; hidden pixels of `masked` are NaN.
        truth, predicted: (T, M, V, 3) joints decoded from `original` and `rebuilt`, in the unit of the layout.
        hidden: (T, M, V) bool, joints most of whose pixels the model did not see.
        error: Mean distance of predicted to true joints (MPJPE) over all joints, frames and people; in millimetres for layouts in
            metres, else in the layout's unit.
        hidden_error: The same over hidden joints alone.
        columns: (W,) int, body part of each image column (`resizing.part_columns`).
        target: "joint" if the picture is the model's input stream, "motion" if the model predicts the motion stream of its input.
        uses_target_scale: The model predicts pixels normalised patch by patch, and the mean and contrast of each hidden patch were
            taken from the original to show it, as the MAE authors do. The error is then that of the shape alone.
    """

    sample_id: str
    metadata: ClipMetadata
    original: np.ndarray
    masked: np.ndarray
    rebuilt: np.ndarray
    truth: np.ndarray
    predicted: np.ndarray
    hidden: np.ndarray
    error: float
    hidden_error: float
    unit: str
    columns: np.ndarray
    mask: str
    ratio: float
    target: str
    uses_target_scale: bool


@torch.no_grad()
def reconstruct(
    model: Any,
    processor: SkeletonProcessor,
    rows: Sequence[Any],
    mask: str = "random",
    target: str = "joint",
    seed: int = 0,
    epoch: int = 0,
) -> list[Reconstruction]:
    """Mask clips, let a ViTMAE fill the hole, and decode both to joints.

    The rebuilt image has the model's prediction in hidden patches and the original in visible ones.

    Args:
        model: `ViTMAEForPreTraining`; the share of hidden patches is its `config.mask_ratio`.
        processor: `SkeletonProcessor`.
        rows: Row dicts with joints, layout and sample_id.
        mask: One of `masking.MASKS`, or a mixture of them.
        target: "joint", or "motion" for a model that was trained to predict the motion stream.
        seed, epoch: Of the masks.
    """
    options = processor.encoding_options
    clips, layouts = [row["joints"] for row in rows], [get_layout(row["layout"]) for row in rows]
    sample_ids = [str(row.get("sample_id", index)) for index, row in enumerate(rows)]
    images, metadata = encode(clips, layouts, options)
    wanted = images
    if target == "motion" and options.stream != "motion":
        wanted, metadata = encode(clips, layouts, replace(options, stream="motion"))
    patch, ratio = model.config.patch_size, model.config.mask_ratio
    height, width = images.shape[2:]
    grid = (height // patch, width // patch)
    columns = [part_columns(clip.layout, clip.num_people, width, options.columns) for clip in metadata]
    strategies = drawn_strategies(mask, sample_ids, seed, epoch)
    noise = mask_noise(mask, sample_ids, grid, ratio, seed, epoch, part_of_column=columns)
    was_training, device = model.training, next(model.parameters()).device
    patches, hidden = model.patchify(wanted), mask_from_noise(noise, ratio)
    mean, variance = patches.mean(dim=-1, keepdim=True), patches.var(dim=-1, keepdim=True)
    if hasattr(model, "generate"):  # DiffMAE; in a single step it predicts the mean, as a ViTMAE does
        statistics = (mean, variance) if model.config.norm_pix_loss else None
        given = images.to(device), hidden.to(device), 1
        drawn = model.generate(*given, seed=seed, sample_ids=sample_ids, patch_statistics=statistics)
        logits = model.patchify(drawn.float().cpu())
    else:
        logits = model.eval()(images.to(device), noise=noise.to(device)).logits.float().cpu()
        if model.config.norm_pix_loss:  # the inverse of the normalisation in ViTMAEForPreTraining
            logits = logits * (variance + 1e-6).sqrt() + mean
    model.train(was_training)
    rebuilt = model.unpatchify(torch.where(hidden[..., None].bool(), logits, patches))
    hidden_pixels = hidden.reshape(-1, *grid).repeat_interleave(patch, 1).repeat_interleave(patch, 2).bool().numpy()
    truth, predicted = decode(wanted, metadata), decode(rebuilt, metadata)
    results = []
    for index, clip in enumerate(metadata):
        distance = (predicted[index] - truth[index]).norm(dim=-1).numpy()
        unseen = _hidden_joints(hidden_pixels[index], clip)
        scale, unit = (1000.0, "mm") if clip.layout.unit == "m" else (1.0, clip.layout.unit)
        results.append(
            Reconstruction(
                sample_id=sample_ids[index],
                metadata=clip,
                original=wanted[index].numpy(),
                masked=np.where(hidden_pixels[index], np.nan, wanted[index].numpy()).astype(np.float32),
                rebuilt=rebuilt[index].numpy(),
                truth=truth[index].numpy(),
                predicted=predicted[index].numpy(),
                hidden=unseen,
                error=float(distance.mean()) * scale,
                hidden_error=float(distance[unseen].mean()) * scale if unseen.any() else 0.0,
                unit=unit,
                columns=columns[index],
                mask=strategies[index],
                ratio=ratio,
                target=target,
                uses_target_scale=bool(model.config.norm_pix_loss),
            )
        )
    return results


def _hidden_joints(pixels: np.ndarray, clip: ClipMetadata) -> np.ndarray:
    """(T, M, V) bool: more than half of the pixels that a joint of a frame contributes to, by weight, are hidden."""
    layout, frames, people, options = clip.layout, clip.num_frames, clip.num_people, clip.options
    # how much of a pixel is a joint's: a cubic resize has negative weights as well
    in_time = np.abs(resize_weights(frames, len(pixels), options.interpolation))  # (H, T)
    in_width = np.abs(joint_weights(layout, people, pixels.shape[1], options.columns))  # (W, M V)
    covered = in_time.T @ pixels @ in_width
    share = covered / np.maximum(in_time.sum(axis=0)[:, None] * in_width.sum(axis=0)[None], 1e-12)
    return (share > 0.5).reshape(frames, people, layout.num_joints)


def reconstruction_picture(
    model: Any,
    processor: SkeletonProcessor,
    rows: Any,
    path: str | Path,
    mask: str = "random",
    target: str = "joint",
    seed: int = 0,
    num_clips: int = 32,
    split: str = "test",
) -> dict[str, Any]:
    """Rebuild some clips, draw the one of median error (neither the best nor the worst), and say how far off they are.

    Args:
        model, processor, mask, target, seed: See `reconstruct`.
        rows: `SkeletonRows`, or any sequence of row dicts; clips the model was not trained on, unless there are no others.
        path: PNG to write; the numbers go to a JSON file of the same name beside it.
        num_clips: Clips, evenly spread over `rows`.
        split: Which clips `rows` are, "train" or "test", for the card.

    Returns:
        clips, split, error (mean over clips), hidden_error, unit, sample_id (the clip drawn), mask, mask_ratio, target,
        uses_target_scale.

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
        "split": split,
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
    layout, options = clip.metadata.layout, clip.metadata.options
    middle = clip.truth[:, :, list(layout.center_indices), :2].mean(axis=(1, 2))[:, None, None]
    upright = np.array([1, -1 if y_points_down(clip.truth, layout) else 1], dtype=np.float32)
    truth, predicted = ((joints[..., :2] - middle) * upright for joints in (clip.truth, clip.predicted))
    low, high = float(truth[..., 1].min()), float(truth[..., 1].max()) + 1e-6
    margin = 0.18 * (high - low)
    # half the width of a frame: room for the prediction too, but a stray one must not shrink everything else
    spread = float(np.abs(truth[..., 0]).max())
    spread = max(min(float(np.abs(predicted[..., 0]).max()), 1.5 * spread), spread, 0.25 * (high - low)) + 0.5 * margin
    frame_width = 2 * spread / (high - low + 2 * margin)  # when the strip is 1 high
    image_side, num_frames = 2.35, min(len(truth), max(3, min(num_frames, int(5.5 / frame_width))))
    strip, colors = frame_width * num_frames, part_colors(layout)
    frames = np.linspace(0, len(truth) - 1, num_frames).round().astype(int)
    figure = new_figure(max(1.35 + image_side * (1 + strip) + 0.2, 9.0), 3 * image_side + 2.15)
    width, height = figure.get_size_inches()

    def axes(left: float, top: float, w: float, h: float) -> Any:
        return figure.add_axes((left / width, 1 - (top + h) / height, w / width, h / height))

    mean = np.reshape(options.image_mean or (0, 0, 0), (3, 1, 1))
    std = np.reshape(options.image_std or (1, 1, 1), (3, 1, 1))
    plain = clip.original * std + mean  # as it was before mean/std: one range for the three axes
    black, white = plain.min(), max(plain.max(), plain.min() + 1e-6)
    labels = ("original", f"masked {clip.ratio:.0%}", "rebuilt")
    for row, (label, image) in enumerate(zip(labels, (clip.original, clip.masked, clip.rebuilt), strict=True)):
        top = 0.95 + row * (image_side + 0.12)
        picture = axes(0.85, top, image_side, image_side)
        pixels = np.clip(((image * std + mean).transpose(1, 2, 0) - black) / (white - black), 0, 1)
        picture.imshow(np.where(np.isnan(pixels), 0.86, pixels), interpolation="nearest", aspect="auto")
        picture.set(xticks=[], yticks=[])
        picture.set_ylabel(label, fontsize=12, labelpad=6)
        if row == 0:
            band = axes(0.85, top - 0.11, image_side, 0.08)
            hexes = (*PART_COLORS, "#ffffff")  # white where no part has a joint
            rgb = np.array([[int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)] for color in hexes])
            part = np.where(clip.columns < 0, 5, clip.columns % 5)
            band.imshow(rgb[part][None], aspect="auto", interpolation="nearest")
            band.set_axis_off()
        if row == 2:
            picture.set_xlabel("joints, part by part", fontsize=9)
        stage = axes(0.85 + image_side + 0.3, top, image_side * strip, image_side)
        stage.set_axis_off()
        stage.set(aspect="equal", xlim=(-spread, spread * (2 * len(frames) - 1)), ylim=(low - margin, high + margin))
        for column, frame in enumerate(frames):
            shift = np.array([2 * spread * column, 0.0], dtype=np.float32)
            true, guess = truth[frame] + shift, predicted[frame] + shift
            if row > 0:
                draw_bones(stage, true, layout, GHOST, lw=2.0, zorder=1)
            seen = ~clip.hidden[frame] if row == 1 else np.ones(true.shape[:2], dtype=bool)
            points = guess if row == 2 else true
            draw_bones(stage, points, layout, colors, seen & seen[:, layout.parents], lw=2.0, zorder=2)
            for body, dots in zip(points, seen, strict=True):
                stage.scatter(*body[dots].T, c=np.array(colors)[dots], s=7, linewidths=0, zorder=3)
            if row == 2:
                text = f"frame {frame + 1}"
                stage.text(shift[0], low - 1.1 * margin, text, ha="center", va="top", fontsize=9, color="#555555")
    from matplotlib.lines import Line2D

    def write(x: float, y: float, text: str, **style: Any) -> None:
        figure.text(x / width, y / height, text, **style)

    name = f"{clip.sample_id}  ·  " if clip.sample_id else ""
    write(0.85, height - 0.2, f"{name}{clip.target} stream, {clip.mask} mask", fontsize=13, va="top", weight="bold")
    hidden = f"{clip.hidden_error:.1f} {clip.unit} over hidden joints ({clip.hidden.mean():.0%} of all)"
    write(0.85, height - 0.48, f"MPJPE {clip.error:.1f} {clip.unit} over all joints, {hidden}", fontsize=11, va="top")
    remarks = textwrap.fill("; ".join(_remarks(clip)), int((width - 1.0) / 0.064))  # inches a character of 8 points
    write(0.85, 0.1, remarks, fontsize=8, va="bottom", color="#555555")
    named = [*zip(PART_COLORS, PARTS, strict=True), (GHOST, "truth, where not drawn in colour")]
    keys = [Line2D([], [], color=color, lw=3, label=label.replace("_", " ")) for color, label in named]
    place = (0.75 / width, 0.4 / height)
    figure.legend(handles=keys, ncols=6, loc="lower left", bbox_to_anchor=place, frameon=False, fontsize=9)
    return save_figure(figure, path)


def _remarks(clip: Reconstruction) -> list[str]:
    remarks = ["rebuilt = prediction in hidden patches, original elsewhere"]
    if clip.uses_target_scale:
        remarks.append("mean and contrast of hidden patches are the original's (the model predicts normalised pixels)")
    if clip.target == "motion":
        remarks.append("the model saw joint positions; motion is summed from the true first frame, so errors add up")
    return remarks
