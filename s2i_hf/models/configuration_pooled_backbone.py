"""`PooledBackboneConfig`: any vision backbone of transformers, and what a classifier reads of it."""

from __future__ import annotations

from typing import Any

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig

POOLINGS: tuple[str, ...] = ("cls", "mean", "columns")


@strict
class PooledBackboneConfig(PreTrainedConfig):
    """Configuration of `PooledBackboneForImageClassification`.

    Args:
        backbone_config: Config of the backbone, or its dict with a model_type.
        pooling: "cls": the token that stands for the image; "mean": the mean of its patches; "columns": the mean over time of each patch
            column, side by side.
        image_size: Side of the images in pixels.

    Raises:
        ValueError: an unknown pooling, or a dict without model_type.
    """

    model_type = "pooled_backbone"
    sub_configs = {"backbone_config": AutoConfig}  # noqa: RUF012

    backbone_config: dict | PreTrainedConfig | None = None
    pooling: str = "mean"
    image_size: int = 224

    def __post_init__(self, **kwargs: Any) -> None:
        if isinstance(self.backbone_config, dict):
            fields = dict(self.backbone_config)
            kind = fields.pop("model_type", None)
            if kind is None:
                raise ValueError("backbone_config has no model_type, so nobody knows what backbone it describes.")
            self.backbone_config = AutoConfig.for_model(kind, **fields)
        if self.pooling not in POOLINGS:
            raise ValueError(f"pooling is {self.pooling!r}; expected one of {', '.join(POOLINGS)}.")
        super().__post_init__(**kwargs)
