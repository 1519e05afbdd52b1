"""What a classifier says of clips: log-probabilities of every class, of the clip itself or averaged over windows and rotations of it.

One function for validation, test, fusion of streams and robustness, so that their numbers are of the same kind: float32,
nothing augmented, clips in the order they come in.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..data.collator import SkeletonCollator
from ..processing.encoding_batched import encode_padded
from ..processing.layouts import get_layout
from ..processing.transforms import clip_windows, prepare
from .features import Row, Rows, rotation

if TYPE_CHECKING:
    from ..processing.image_processing_skeleton import SkeletonProcessor


@torch.no_grad()
def predict_scores(
    model: torch.nn.Module,
    rows: Rows,
    processor: SkeletonProcessor,
    *,
    test_clips: int = 1,
    test_rotations: int = 1,
    batch_size: int = 64,
    device: str | torch.device | None = None,
) -> np.ndarray:
    """Log-probabilities of the classes for every clip.

    Args:
        model: Classifier: (B, 3, H, W) -> `.logits` (B, C).
        rows: Clips with joints (T, M, V, 3) and layout.
        test_clips: Windows of each clip whose probabilities are averaged (`transforms.clip_windows`); 1: the clip itself.
        test_rotations: Rotations of each of these, about the vertical axis and evenly over the circle, that are averaged likewise
            (`features.rotation`): for classifiers that were trained on large rotations because the test camera stands elsewhere.
        device: Where the model runs; where it already is if None.

    Returns:
        (N, C) float32; `np.exp` of a row adds up to 1.

    Raises:
        ValueError: there are no clips, `test_clips` or `test_rotations` is below 1, or clips in pixels are to be rotated.
    """
    if len(rows) == 0:
        raise ValueError("There are no clips to classify; check the data folder and the protocol.")
    for name, number in (("test_clips", test_clips), ("test_rotations", test_rotations)):
        if number < 1:
            raise ValueError(f"{name} is {number}; expected 1 or more.")
    was_training = model.training
    device = next(model.parameters()).device if device is None else torch.device(device)
    model = model.to(device).eval()
    collate, scores = SkeletonCollator(with_labels=False), []
    for views in _batches(rows, test_clips, test_rotations, batch_size):
        batch = collate([view for views_of_clip in views for view in views_of_clip])
        clips = (batch["num_frames"], batch["num_people"], batch["layouts"])
        images = encode_padded(batch["joints"].to(device), *clips, processor.encoding_options)
        logits = torch.cat([model(pixel_values=part).logits.float() for part in images.split(batch_size)])
        found = torch.log_softmax(logits, dim=-1)
        if test_clips * test_rotations > 1:
            parts = found.split([len(views_of_clip) for views_of_clip in views])
            found = torch.stack([part.logsumexp(dim=0) - np.log(len(part)) for part in parts])
        scores.append(found.cpu())
    model.train(was_training)
    return torch.cat(scores).numpy()


def _batches(rows: Rows, test_clips: int, test_rotations: int, batch_size: int) -> Iterator[list[list[Row]]]:
    """Batches of clips, each clip as the list of its views."""
    batch: list[list[Row]] = []
    for index in range(len(rows)):
        views = [row := rows[index]]
        if test_clips > 1:
            joints, _ = prepare(row["joints"], get_layout(row["layout"]), sample_id=str(row.get("sample_id", "")))
            views = [{**row, "joints": window} for window in clip_windows(joints, test_clips)]
        batch.append([rotation(view, number, test_rotations) for view in views for number in range(test_rotations)])
        if sum(map(len, batch)) >= batch_size or index == len(rows) - 1:
            yield batch
            batch = []
