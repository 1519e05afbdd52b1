"""What a masked autoencoder rebuilds of clips it sees only in part: as an image, and as a moving person in millimetres.

Because the encoding can be inverted, a rebuilt image is a rebuilt skeleton, and its error is a distance of joints. Everything here is
arrays and numbers; `visualization` draws them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from ..processing.encoding import ClipMetadata, decode, encode
from ..processing.layouts import SkeletonLayout, get_layout
from ..processing.masking import drawn_strategies, mask_from_noise, mask_noise
from ..processing.resizing import joint_weights, part_columns, resize_weights


@dataclass
class Reconstruction:
    """One clip, masked and rebuilt.

    Args:
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
    layout: SkeletonLayout
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
    image_mean: tuple[float, float, float] | None = None
    image_std: tuple[float, float, float] | None = None


@torch.no_grad()
def reconstruct(
    model: Any,
    processor: Any,
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
    was_training = model.training
    device = next(model.parameters()).device
    patches, hidden = _patchify(wanted, patch), mask_from_noise(noise, ratio)
    mean, variance = patches.mean(dim=-1, keepdim=True), patches.var(dim=-1, keepdim=True)
    if hasattr(model, "generate"):  # DiffMAE; in a single step it predicts the mean, as a ViTMAE does
        statistics = (mean, variance) if model.config.norm_pix_loss else None
        given = images.to(device), hidden.to(device), 1
        drawn = model.generate(*given, seed=seed, sample_ids=sample_ids, patch_statistics=statistics)
        logits = _patchify(drawn.float().cpu(), patch)
    else:
        logits = model.eval()(images.to(device), noise=noise.to(device)).logits.float().cpu()
        if model.config.norm_pix_loss:  # the inverse of the normalisation in ViTMAEForPreTraining
            logits = logits * (variance + 1e-6).sqrt() + mean
    model.train(was_training)
    rebuilt = _unpatchify(torch.where(hidden[..., None].bool(), logits, patches), grid, patch)
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
                layout=clip.layout,
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
                image_mean=options.image_mean,
                image_std=options.image_std,
            )
        )
    return results


def _patchify(images: torch.Tensor, patch: int) -> torch.Tensor:
    """(B, 3, H, W) -> (B, L, patch * patch * 3), pixels in the order of ViTMAE: row, column, channel."""
    blocks = images.unflatten(3, (-1, patch)).unflatten(2, (-1, patch))  # (B, 3, gh, p, gw, p)
    return blocks.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)


def _unpatchify(patches: torch.Tensor, grid: tuple[int, int], patch: int) -> torch.Tensor:
    blocks = patches.reshape(len(patches), *grid, patch, patch, 3)
    return blocks.permute(0, 5, 1, 3, 2, 4).flatten(4).flatten(2, 3)


def _hidden_joints(pixels: np.ndarray, clip: ClipMetadata) -> np.ndarray:
    """(T, M, V) bool: more than half of the pixels that a joint of a frame contributes to, by weight, are hidden."""
    layout, frames, people, options = clip.layout, clip.num_frames, clip.num_people, clip.options
    # how much of a pixel is a joint's: a cubic resize has negative weights as well
    in_time = np.abs(resize_weights(frames, pixels.shape[0], options.interpolation))  # (H, T)
    in_width = np.abs(joint_weights(layout, people, pixels.shape[1], options.columns))  # (W, M V)
    covered = in_time.T @ pixels @ in_width
    share = covered / np.maximum(in_time.sum(axis=0)[:, None] * in_width.sum(axis=0)[None], 1e-12)
    return (share > 0.5).reshape(frames, people, layout.num_joints)
