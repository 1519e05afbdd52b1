"""Rows -> (B, 3, T, V, M): what the graph network reads, made as CTR-GCN makes it for NW-UCLA.

A clip is augmented, each axis is stretched to -1 .. 1 over the whole clip (all people together), and a fixed number of frames is taken:
at random and in order when training, evenly for the test. Bones and motion are made of what results.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from s2i_hf.data.collator import SkeletonCollator
from s2i_hf.processing.augmentation import Augmentation
from s2i_hf.processing.layouts import SkeletonLayout
from s2i_hf.processing.rng import hash_ids, uniform

STREAMS = ("joint", "bone", "motion", "bone_motion")


def stretch(joints: np.ndarray) -> np.ndarray:
    """(T, M, V, 3) with each axis from -1 to 1; an axis without extent becomes zero."""
    low, high = joints.min(axis=(0, 1, 2)), joints.max(axis=(0, 1, 2))
    extent = np.where(high > low, high - low, 1)
    return np.where(high > low, 2 * (joints - low) / extent - 1, 0).astype(np.float32)


def stream_of(joints: np.ndarray, layout: SkeletonLayout, stream: str) -> np.ndarray:
    """One of `STREAMS` of (T, M, V, 3) joints, of the same shape.

    "bone": each joint minus its parent, roots zero; "motion": the next frame minus this one, the last zero; "bone_motion": motion of bones.
    """
    if "bone" in stream:
        parents = np.array([joint if parent < 0 else parent for joint, parent in enumerate(layout.parents)])
        joints = joints - joints[:, :, parents]
    if "motion" in stream:
        joints = np.diff(joints, axis=0, append=joints[-1:])
    return joints


class PeerInputs:
    """Rows to a batch, reproducible: what is drawn depends on (seed, pass over the clips, sample id) alone.

    Args:
        layout: Joint format of all rows.
        num_people: M; zeros where fewer are present.
        num_frames: T.
        stream: One of `STREAMS`.
        augmentation: Of training; None for the test, which then takes frames evenly.
        seed: Of what is drawn.
    """

    def __init__(
        self,
        layout: SkeletonLayout,
        num_people: int,
        num_frames: int,
        stream: str = "joint",
        augmentation: Augmentation | None = None,
        seed: int = 0,
    ) -> None:
        self.layout, self.num_people, self.num_frames = layout, num_people, num_frames
        self.stream, self.training, self.seed = stream, augmentation is not None, seed
        self.collate = SkeletonCollator(augmentation, seed=seed, with_labels=False)

    def __call__(self, rows: Sequence[dict[str, Any]], turn: int = 0) -> torch.Tensor:
        """(B, 3, T, V, M) float32; `turn` counts the passes over the clips."""
        batch = self.collate([{**row, "epoch": turn} for row in rows])
        frames = np.tile(np.linspace(0, 1, self.num_frames), (len(rows), 1))
        if self.training:
            drawn = uniform(self.seed, turn, hash_ids(batch["sample_ids"]), self.num_frames, "peer_frames")
            frames = np.sort(drawn, axis=1)
        made = np.zeros((len(rows), self.num_frames, self.num_people, self.layout.num_joints, 3), dtype=np.float32)
        for into, joints, length, people, where in zip(
            made, batch["joints"].numpy(), batch["num_frames"], batch["num_people"], frames, strict=True
        ):
            # of a random number, the frame it falls into; of an even one, the frame at or before it
            index = np.minimum(np.floor(where * (length if self.training else length - 1) + 1e-9), length - 1).astype(
                int
            )
            people = min(people, self.num_people)
            into[:, :people] = stream_of(stretch(joints[:length, :people])[index], self.layout, self.stream)
        return torch.from_numpy(made).permute(0, 4, 1, 3, 2)
