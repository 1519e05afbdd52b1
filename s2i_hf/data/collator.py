"""The collator: rows of any source to one padded batch of joints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ..processing.augmentation import NUM_DRAWS, Augmentation
from ..processing.layouts import LAYOUTS, get_layout
from ..processing.rng import hash_ids, uniform
from ..processing.transforms import Center, padded, prepare
from .skeleton_rows import row_of_table


class SkeletonCollator:
    """Rows to one batch of joints, padded with zeros, ready for `encoding_batched.encode_padded`.

    Args:
        augmentation: Applied to every clip; None: nothing.
        seed: Of the augmentation, which depends on seed, epoch and sample id alone: neither on the batch nor on the worker. A row
            that has an "epoch" is augmented as in that one.
        with_labels: Whether the batch holds `labels`.
        center: What the images' processor subtracts, for joints that the augmentation puts to zero.

    Calling it with a list of rows (dicts, or Arrow tables of one row each, of a stream) returns a dict: joints (B, T, M, V, 3)
    float32 of the largest T, M and V in the batch, num_frames and num_people (lists of B int), layouts (list of B names, or
    `SkeletonLayout` for those not in `LAYOUTS`), sample_ids (list of B str), num_missing (joints that were filled in, over the
    batch), labels (B,) int64.

    Raises:
        ValueError: a clip does not match its layout, is not in metres, or has no frame; the message names it.
    """

    def __init__(
        self,
        augmentation: Augmentation | None = None,
        seed: int = 0,
        with_labels: bool = True,
        center: Center = "first_frame",
    ) -> None:
        self.augmentation, self.center = augmentation, center
        self.seed = seed
        self.with_labels = with_labels
        self._epoch = torch.zeros(1, dtype=torch.int64).share_memory_()  # so that running workers see it change

    @property
    def epoch(self) -> int:
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Draw the augmentation of this epoch from now on, in all workers."""
        self._epoch.fill_(epoch)

    def __call__(self, rows: Sequence[Any]) -> dict[str, Any]:
        rows = [row if isinstance(row, Mapping) else row_of_table(row) for row in rows]
        sample_ids = [str(row.get("sample_id", "")) for row in rows]
        layouts = [get_layout(row["layout"]) for row in rows]
        clips, num_missing = [], 0
        for row, layout, sample_id in zip(rows, layouts, sample_ids, strict=True):
            joints = row["joints"]
            if "shape" in row:  # a row as it is stored
                joints = np.asarray(joints, dtype=np.float32).reshape([int(size) for size in row["shape"]])
            clip, missing = prepare(joints, layout, sample_id=sample_id)
            clips.append(clip)
            num_missing += missing
        if self.augmentation is not None:
            count = NUM_DRAWS + max(layout.num_joints for layout in layouts)
            draws, hashes = np.empty((len(rows), count)), hash_ids(sample_ids)
            epochs = np.array([row.get("epoch", self.epoch) for row in rows])
            for epoch in np.unique(epochs):
                of_epoch = epochs == epoch
                draws[of_epoch] = uniform(self.seed, int(epoch), hashes[of_epoch], count, "augment")
            clips = [self.augmentation(*one, self.center) for one in zip(clips, layouts, draws, strict=True)]
        batch: dict[str, Any] = {
            "joints": torch.from_numpy(padded(clips)),
            "num_frames": [clip.shape[0] for clip in clips],
            "num_people": [clip.shape[1] for clip in clips],
            "layouts": [layout.name if LAYOUTS.get(layout.name) == layout else layout for layout in layouts],
            "sample_ids": sample_ids,
            "num_missing": num_missing,
        }
        if self.with_labels:
            batch["labels"] = torch.tensor([int(row.get("label", -1)) for row in rows])
        return batch
