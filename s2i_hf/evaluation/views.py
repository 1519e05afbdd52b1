"""More views of training clips for a frozen encoder: augmented copies, and turns all around."""

from __future__ import annotations

import math
from typing import Any

from ..processing.augmentation import NUM_DRAWS, Augmentation
from ..processing.layouts import get_layout
from ..processing.rng import hash_ids, uniform
from ..processing.transforms import prepare
from .features import turned


class WithCopies:
    """Rows, and after them augmented copies of each: a probe for another view must not cling to the view of its clips.

    Args:
        rows: `data.SkeletonRows`.
        copies: Copies of each row.
        augmentation: How a copy differs; drawn from (seed, copy, sample id).
        seed: Seed of the draws.
    """

    def __init__(self, rows: Any, copies: int, augmentation: Augmentation, seed: int) -> None:
        self.rows, self.copies, self.augmentation, self.seed = rows, copies, augmentation, seed

    def __len__(self) -> int:
        return len(self.rows) * (1 + self.copies)

    def __getitem__(self, index: int) -> dict[str, Any]:
        copy, index = _which(index, self)
        row = self.rows[index]
        if copy == 0:
            return row
        layout = get_layout(row["layout"])
        joints, _ = prepare(row["joints"], layout)
        draws = uniform(self.seed, copy, hash_ids([row["sample_id"]]), NUM_DRAWS + layout.num_joints, "probe")
        return {**row, "joints": self.augmentation(joints, layout, draws[0])}


class WithTurns:
    """Rows, and after them all of them turned about the vertical axis, once for each of `turns` - 1 angles evenly over the circle.

    Args:
        rows: `data.SkeletonRows`, or rows of this module.
        turns: Views of each row, itself the first; the others at 2 pi / turns, twice that, and so on (see `features.turned`).
    """

    def __init__(self, rows: Any, turns: int) -> None:
        self.rows, self.turns = rows, turns

    def __len__(self) -> int:
        return len(self.rows) * self.turns

    def __getitem__(self, index: int) -> dict[str, Any]:
        turn, index = _which(index, self)
        row: dict[str, Any] = self.rows[index]
        return row if turn == 0 else turned(row, 2 * math.pi * turn / self.turns)


def _which(index: int, views: WithCopies | WithTurns) -> tuple[int, int]:
    """(view, row) of an item. Raises IndexError beyond the last, where iterating stops."""
    if not 0 <= index < len(views):
        raise IndexError(f"index is {index}; expected 0 to {len(views) - 1}.")
    return divmod(index, len(views.rows))
