"""Features of clips: what a frozen encoder makes of their images and of more views of them, and the joints as the number to beat."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import torch

from ..models.modeling_pooled_vit import backbone_tokens
from ..processing.augmentation import NUM_DRAWS, Augmentation, about_center, rotation_matrix
from ..processing.encoding import Stream, encode
from ..processing.layouts import SkeletonLayout, get_layout
from ..processing.resizing import Columns, part_columns
from ..processing.rng import hash_ids, uniform
from ..processing.transforms import MAX_METRES, prepare, resample
from .validation_splits import Folds

if TYPE_CHECKING:
    from ..processing.image_processing_skeleton import SkeletonProcessor

POOLINGS = ("mean", "cls", "part")
WIDE_POOLING = "part_std"  # twice as long as part: asked for by name, so that "auto" chooses among what it always did
Row = Mapping[str, Any]  # joints (T, M, V, 3), layout and what else is known of a clip
Features = Mapping[str, np.ndarray]  # pooling -> (N, D)


class Rows(Protocol):
    """Clips by number: `SkeletonRows`, a list of row dicts, or one of the views below."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Row: ...


def part_weights(layout: SkeletonLayout, people: int, grid: int, width: int, columns: Columns | str) -> np.ndarray:
    """How much each patch column counts in the mean of each body part: by the share of its pixels that show the part.

    So a part narrower than a patch has a mean too; several people are averaged. Returns (5, grid) float32 whose rows add up to 1, or
    to 0 for a part without joints.
    """
    owner = part_columns(layout, people, width, columns).reshape(grid, width // grid)
    shown = owner == np.arange(people * 5).reshape(people, 5, 1, 1)
    weights = shown.mean(axis=3)  # (people, parts, grid)
    total = weights.sum(axis=2, keepdims=True)
    weights = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
    return weights.mean(axis=0).astype(np.float32)


@torch.no_grad()
def extract_features(
    encoder: torch.nn.Module,
    rows: Rows,
    processor: SkeletonProcessor,
    batch_size: int = 64,
    device: str | torch.device | None = None,
    *,
    poolings: Sequence[str] = POOLINGS,
    stream: Stream | None = None,
    rotations: int = 1,
) -> dict[str, np.ndarray]:
    """Features of a frozen encoder, one vector a clip and pooling.

    With `rotations` they are the mean over that many rotations of the clip about the vertical axis, evenly spaced over the full circle.
    Such an average over a group is what all views of a clip have in common: a clip seen by a camera that stands elsewhere has the
    same features, up to the gaps between the rotations.

    Args:
        encoder: `ViTModel`, or what `backbones.load_backbone` returned; sees every patch, nothing is masked.
        rows: Clips with joints (T, M, V, 3) and layout.
        device: Where the encoder runs; where it already is if None.
        poolings: Which of those below.
        stream: What the images show (`EncodingOptions.stream`); the processor's own if None.

    Returns:
        "mean": (N, D) mean of the patch tokens; "cls": (N, D) the CLS token, or what the family has for one (ConvNeXt and Swin
        have none); "part": (N, 5 D) the means over the patches of torso, left arm, right arm, left leg and right leg side by side;
        "part_std": (N, 10 D) these, and how much each part's tokens vary in time (standard deviation over the patch rows).

    Raises:
        ValueError: `rotations` is below 1, or above it for clips in pixels, or a clip does not fit its layout.
    """
    if rotations < 1:
        raise ValueError(f"rotations is {rotations}; expected 1 or more.")
    was_training = encoder.training
    device = next(encoder.parameters()).device if device is None else torch.device(device)
    encoder = encoder.to(device).eval()
    features: dict[str, list[torch.Tensor]] = {pooling: [] for pooling in poolings}
    for start in range(0, len(rows), batch_size):
        batch = [rows[index] for index in range(start, min(start + batch_size, len(rows)))]
        total: dict[str, torch.Tensor] = {}
        for number in range(rotations):
            clips = [rotation(row, number, rotations) for row in batch]
            found = _pooled(encoder, clips, processor, device, WIDE_POOLING in features, stream)
            total = {pooling: value if number == 0 else total[pooling] + value for pooling, value in found.items()}
        for pooling in features.keys() & total:
            features[pooling].append((total[pooling] / rotations).cpu())
    encoder.train(was_training)
    return {pooling: torch.cat(values).numpy() for pooling, values in features.items() if values}


def _pooled(
    encoder: torch.nn.Module,
    batch: Sequence[Row],
    processor: SkeletonProcessor,
    device: torch.device,
    wide: bool,
    stream: Stream | None,
) -> dict[str, torch.Tensor]:
    """Pooling -> (B, D) float32 features of a batch of rows, part_std only if `wide`."""
    joints, layouts = [row["joints"] for row in batch], [row["layout"] for row in batch]
    pixels, metadata = encode(joints, layouts, processor.encoding_options, stream=stream or processor.stream)
    images = pixels.to(device)
    tokens = backbone_tokens(encoder, images)
    grid_width, width = tokens.grid[1], images.shape[3]
    owned = [part_weights(clip.layout, clip.num_people, grid_width, width, clip.options.columns) for clip in metadata]
    weights = torch.from_numpy(np.stack(owned)).to(device)
    patches = tokens.patches.float()
    rows_of_patches = patches.unflatten(1, tokens.grid)  # (B, grid_h, grid_w, D)
    parts = weights @ rows_of_patches.mean(dim=1)  # (B, 5, D): the mean over time
    found = {"mean": patches.mean(dim=1), "part": parts.flatten(1)}
    if tokens.summary is not None:
        found["cls"] = tokens.summary.float()
    if wide:
        varies = (weights[:, None] @ rows_of_patches).std(dim=1, unbiased=False)  # of (B, grid_h, 5, D)
        found[WIDE_POOLING] = torch.cat([parts.flatten(1), varies.flatten(1)], dim=1)
    return found


def check_depth(layout: str | SkeletonLayout) -> None:
    """Raise ValueError if bodies of this layout cannot be rotated: it is in pixels."""
    layout = get_layout(layout)
    if layout.unit == "px":
        raise ValueError(f"layout {layout.name!r} is in pixels and has no depth to rotate in; take 1 for rotations.")


def rotation(row: Row, number: int, rotations: int) -> Row:
    """One of so many rotations of a row, evenly spaced over the full circle; number 0 is the row as it is. See `rotated`."""
    return rotated(row, 2 * math.pi * number / rotations) if number else row


def rotated(row: Row, angle: float) -> Row:
    """A row whose people are rotated about the vertical axis, around the first one's centre in the first frame.

    Args:
        row: joints (T, M, V, 3) and layout.
        angle: Radians, counter-clockwise as seen from above.

    Returns:
        The row with joints (T, M', V, 3) float32, gaps filled. Whoever walks so far that a rotation takes somebody out of the scene
        (`transforms.MAX_METRES`) is moved, with all others and in all frames alike, until it has the origin in its middle.

    Raises:
        ValueError: joints that do not fit the layout, or a layout in pixels, which has no depth.
    """
    layout = get_layout(row["layout"])
    check_depth(layout)
    joints, _ = prepare(row["joints"], layout)  # filled, as a gap at zero would be moved to a place
    joints = about_center(joints, layout, rotation_matrix(angle, 0, 0))
    if layout.unit == "m" and np.abs(joints).max() > MAX_METRES:  # the next check would take them for millimetres
        joints = joints - (joints.min(axis=(0, 1, 2)) + joints.max(axis=(0, 1, 2))) / 2
    return {**row, "joints": joints}


def raw_features(rows: Rows, num_frames: int = 16, num_people: int | None = None) -> np.ndarray:
    """The joints themselves as features: the number that learned features have to beat.

    Joints are prepared as for the encoder, centred on the layout's centre of actor 1 in the first frame, and resampled to `num_frames`.

    Args:
        rows: Clips of one joint layout.
        num_people: People kept, zeros where fewer are present; the most in any clip if None (take the training rows' number).

    Returns:
        (N, num_frames * num_people * V * 3) float32.

    Raises:
        ValueError: the clips have different numbers of joints.
    """
    clips = []
    for row in (rows[index] for index in range(len(rows))):
        layout = get_layout(row["layout"])
        joints, _ = prepare(row["joints"], layout)
        clips.append(resample(joints - joints[0, 0, list(layout.center_indices)].mean(axis=0), num_frames))
    sizes = {clip.shape[2] for clip in clips}
    if len(sizes) > 1:
        raise ValueError(f"raw joints need one joint layout, and clips have {sorted(sizes)} joints; drop raw_joints.")
    num_people = num_people or max(clip.shape[1] for clip in clips)
    features = np.zeros((len(clips), num_frames, num_people, *clips[0].shape[2:]), dtype=np.float32)
    for feature, clip in zip(features, clips, strict=True):
        feature[:, : clip.shape[1]] = clip[:, :num_people]
    return features.reshape(len(clips), -1)


class MoreViews:
    """Rows, after them augmented copies of each, and after these all of them rotated about the vertical axis.

    A probe for another view must not cling to the view of its clips.

    Args:
        rows: Clips with sample_id.
        augmentation: How each of the `copies` of a row differs; drawn from (seed, copy, sample id).
        rotations: Views of each of these, itself the first; the others at 2 pi / rotations, twice that, and so on (see `rotated`).
    """

    def __init__(self, rows: Rows, copies: int, augmentation: Augmentation, seed: int, rotations: int = 1) -> None:
        self.rows, self.augmentation, self.seed = rows, augmentation, seed
        self.copies, self.rotations = copies, rotations

    def __len__(self) -> int:
        return len(self.rows) * (1 + self.copies) * self.rotations

    def __getitem__(self, index: int, /) -> Row:
        if not 0 <= index < len(self):  # where iterating stops
            raise IndexError(f"index is {index}; expected 0 to {len(self) - 1}.")
        view, index = divmod(index, len(self.rows))
        turn, copy = divmod(view, 1 + self.copies)
        row = self.rows[index]
        if copy:
            layout = get_layout(row["layout"])
            joints, _ = prepare(row["joints"], layout)
            draws = uniform(self.seed, copy, hash_ids([row["sample_id"]]), NUM_DRAWS + layout.num_joints, "probe")
            row = {**row, "joints": self.augmentation(joints, layout, draws[0])}
        return rotation(row, turn, self.rotations)


class Views(NamedTuple):
    """What a probe is fitted on: `times` views of each of N training clips, the clips themselves first.

    `labels` and `subjects` are (times * N,), and so are the masks of `folds`, in which views are held out with their clip and never
    choose.
    """

    rows: Rows
    labels: np.ndarray
    subjects: np.ndarray
    folds: Folds
