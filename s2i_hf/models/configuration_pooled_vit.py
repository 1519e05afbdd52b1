"""`PooledViTConfig`: a ViT, and how its patch tokens become the features of a classifier."""

from __future__ import annotations

from typing import Any

from huggingface_hub.dataclasses import strict
from transformers import ViTConfig

POOLINGS: tuple[str, ...] = ("mean", "columns")


def check_pooling(pooling: str) -> None:
    """Raise ValueError for a pooling of patch tokens that is none of `POOLINGS`."""
    if pooling not in POOLINGS:
        raise ValueError(f"pooling is {pooling!r}; expected one of {', '.join(POOLINGS)}.")


@strict
class PooledViTConfig(ViTConfig):
    """Configuration of `PooledViTForImageClassification`. All fields of `ViTConfig` mean what they mean there.

    It has a model type of its own: saved as "vit", a checkpoint would silently be loaded as the stock class, which reads the CLS token.

    Args:
        pooling: "mean": the mean of all patch tokens. "columns": the mean over time of each patch column, side by side, so that the
            head tells body parts apart.

    Raises:
        ValueError: an unknown pooling.
    """

    model_type = "pooled_vit"

    pooling: str = "mean"

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        check_pooling(self.pooling)
