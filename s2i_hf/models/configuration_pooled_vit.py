"""`PooledViTConfig` and `PooledBackboneConfig`: a ViT or another vision backbone, and what a classifier reads of it."""

from __future__ import annotations

from typing import Any, ClassVar

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig, ViTConfig

# "cls": the token that stands for the image; "mean": the mean of its patches; "columns": the mean over time of each patch column, side by
# side, so that the head tells body parts apart.
POOLINGS: tuple[str, ...] = ("cls", "mean", "columns")


def check_choice(name: str, value: str, known: tuple[str, ...]) -> None:
    """Raise ValueError for a value that is none of the known ones."""
    if value not in known:
        raise ValueError(f"{name} is {value!r}; expected one of {', '.join(known)}.")


def side_and_patch(config: Any) -> tuple[Any, Any]:
    """image_size and patch_size in the vision part of a config; None where it has none."""
    config = getattr(config, "vision_config", config)
    return getattr(config, "image_size", None), getattr(config, "patch_size", None)


def stride_of(config: PreTrainedConfig) -> int:
    """Pixels of the image a side of a patch of the last layer; models with stages halve their grid between two of them."""
    _, patch = side_and_patch(config)
    stages = len(config.depths) if hasattr(config, "depths") else 1
    return int(patch) * 2 ** (stages - 1)


@strict
class PooledViTConfig(ViTConfig):
    """Configuration of `PooledViTForImageClassification`: a `ViTConfig` whose `pooling` is "mean" or "columns" (else a ValueError).

    It has a model type of its own: saved as "vit", a checkpoint would silently be loaded as the stock class, which reads the CLS token.
    """

    model_type = "pooled_vit"
    _auto_class: ClassVar[str | None] = "AutoConfig"  # so that `save_pretrained` writes its code beside it

    pooling: str = "mean"

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        check_choice("pooling", self.pooling, POOLINGS[1:])


@strict
class PooledBackboneConfig(PreTrainedConfig):
    """Configuration of `PooledBackboneForImageClassification`.

    Args:
        backbone_config: Config of the backbone, or its dict with a model_type.
        pooling: One of `POOLINGS`.
        image_size: Side of the images in pixels, or (height, width).

    Raises:
        ValueError: an unknown pooling, or a dict without model_type.
    """

    model_type = "pooled_backbone"
    _auto_class: ClassVar[str | None] = "AutoConfig"
    sub_configs = {"backbone_config": AutoConfig}  # noqa: RUF012

    backbone_config: dict | PreTrainedConfig | None = None
    pooling: str = "mean"
    image_size: int | list[int] | tuple[int, int] = 224

    def __post_init__(self, **kwargs: Any) -> None:
        if isinstance(self.backbone_config, dict):
            fields = dict(self.backbone_config)
            kind = fields.pop("model_type", None)
            if kind is None:
                raise ValueError("backbone_config has no model_type, so nobody knows what backbone it describes.")
            self.backbone_config = AutoConfig.for_model(kind, **fields)
        check_choice("pooling", self.pooling, POOLINGS)
        super().__post_init__(**kwargs)
