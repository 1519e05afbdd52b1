"""Classifiers that read patch tokens: `PooledViTForImageClassification`, and `PooledBackboneForImageClassification` on any backbone.

A masked autoencoder trains its patch tokens; its CLS token takes part in nothing that is predicted. So MAE fine-tunes on the mean of
the patch tokens, followed by a layer norm (He et al., arXiv 2111.06377). In an S2I image a column of patches is a body part through time:
"columns" keeps the columns apart and averages over time alone.

Nothing here knows families of backbones by name: what one says about an image is read off its output. A feature map is (B, D, h, w). Tokens
are (B, L, D): the last ones are the patches, row by row, and before them come the class token and further ones (DeiT's second token,
registers).
"""

from __future__ import annotations

from math import isqrt
from typing import Any, NamedTuple

from torch import Tensor, nn
from transformers import AutoModel, PreTrainedModel, ViTModel
from transformers.modeling_outputs import ImageClassifierOutput
from transformers.models.vit.modeling_vit import ViTPreTrainedModel
from transformers.utils import ModelOutput
from transformers.utils.generic import can_return_tuple

from .configuration_pooled_vit import PooledBackboneConfig, PooledViTConfig, side_and_patch, stride_of
from .initialization import image_sides, patch_grid

# Backbones that make a pooling layer which is not used here if they are not told otherwise.
_WITHOUT_POOLER = ("deit", "vit")


class BackboneTokens(NamedTuple):
    """Patches (B, rows * columns, D), row by row, on a grid (rows, columns), and a summary (B, D) of the image.

    That is the class token, or what the backbone has for one; None in families without (ConvNeXt, Swin).
    """

    patches: Tensor
    grid: tuple[int, int]
    summary: Tensor | None


def backbone_tokens(encoder: nn.Module, pixel_values: Tensor) -> BackboneTokens:
    """Run a backbone on (B, 3, H, W) images that are not masked; a ValueError if it gives neither a feature map nor tokens on a grid."""
    output = encoder(pixel_values)
    hidden = output.last_hidden_state
    if hidden.ndim == 4:
        return BackboneTokens(hidden.flatten(2).transpose(1, 2), tuple(hidden.shape[2:]), None)
    length = hidden.shape[1]
    _, patch = side_and_patch(encoder.config)
    rows, columns = (side // patch for side in pixel_values.shape[2:]) if isinstance(patch, int) else (0, 0)
    extra = length - rows * columns
    if 0 <= extra < length:
        summary = hidden[:, 0] if extra else getattr(output, "pooler_output", None)
        return BackboneTokens(hidden[:, extra:], (rows, columns), summary)
    side = isqrt(length)  # stages that merged patches
    if side * side != length:
        raise ValueError(f"{type(encoder).__name__} returns {length} tokens, which are no square grid of patches.")
    return BackboneTokens(hidden, (side, side), None)


def pool_patches(patches: Tensor, grid: tuple[int, int], pooling: str) -> Tensor:
    """Patch tokens (B, rows * columns, D), row by row, as features: (B, 1, D) for "mean", (B, columns, D) for "columns".

    Of the grid (rows, columns) rows are time, and columns are body parts.
    """
    if pooling == "mean":
        return patches.mean(dim=1, keepdim=True)
    return patches.unflatten(1, grid).mean(dim=1)


class PooledHeadMixin:
    """A layer norm, shared by all columns, and a linear head, on what `features` of the model says."""

    def add_head(self: Any, columns: int, width: int, eps: float) -> None:
        """End of a model's construction: `width` features, or of each of the columns as many."""
        self.num_labels = len(self.config.id2label)
        self.fc_norm = nn.LayerNorm(width, eps=eps)
        self.classifier = nn.Linear((columns if self.config.pooling == "columns" else 1) * width, self.num_labels)
        self.post_init()

    @can_return_tuple
    def forward(
        self: Any, pixel_values: Tensor | None = None, labels: Tensor | None = None, **kwargs: Any
    ) -> ImageClassifierOutput:
        """Images (B, 3, H, W) -> logits (B, num_labels), and with class indices (B,) as `labels` the mean cross-entropy as `loss`.

        `kwargs` are passed on to a ViT, such as output_hidden_states.
        """
        if pixel_values is None:
            raise ValueError("pixel_values are missing; expected images (B, 3, H, W).")
        features, encoded = self.features(pixel_values, **kwargs)
        logits = self.classifier(self.fc_norm(features).flatten(1))
        return ImageClassifierOutput(
            loss=None if labels is None else self.loss_function(labels, logits, self.config, **kwargs),
            logits=logits,
            hidden_states=getattr(encoded, "hidden_states", None),
            attentions=getattr(encoded, "attentions", None),
        )


class PooledViTForImageClassification(PooledHeadMixin, ViTPreTrainedModel):
    """The stock `ViTModel`, a pooling of its patch tokens, a layer norm, and a linear head.

    The encoder stays whole, its own last layer norm included (MAE's code leaves that out here), so that its features are those a probe
    sees and its weights load into `ViTModel`.

    Example:
        >>> model = PooledViTForImageClassification(PooledViTConfig(image_size=64, num_labels=10, pooling="columns"))
        >>> model(pixel_values).logits.shape  # pixel_values: (B, 3, 64, 64)
        torch.Size([B, 10])
    """

    config: PooledViTConfig
    config_class = PooledViTConfig
    _auto_class: Any = "AutoModelForImageClassification"

    def __init__(self, config: PooledViTConfig) -> None:
        super().__init__(config)
        if not isinstance(config.patch_size, int):
            raise ValueError(f"patch_size is {config.patch_size}; expected one number, for squares.")
        self.grid = patch_grid(config)
        self.vit = ViTModel(config, add_pooling_layer=False)
        self.add_head(self.grid[1], config.hidden_size, config.layer_norm_eps)

    def features(self, pixel_values: Tensor, **kwargs: Any) -> tuple[Tensor, ModelOutput]:
        """(B, 3, H, W) -> (B, 1 or columns, D), and what the encoder returned."""
        outputs = self.vit(pixel_values, **kwargs)
        return pool_patches(outputs.last_hidden_state[:, 1:], self.grid, self.config.pooling), outputs


class PooledBackboneForImageClassification(PooledHeadMixin, PreTrainedModel):
    """A backbone of transformers, a pooling of its patches, a layer norm, and a linear head.

    For families without a stock classifier (DINOv3), and for those whose patches are to be read in another way than the stock one does.
    """

    config: PooledBackboneConfig
    config_class = PooledBackboneConfig
    _auto_class: Any = "AutoModelForImageClassification"
    main_input_name = "pixel_values"
    _supports_sdpa = True
    _supports_flash_attn = True
    supports_gradient_checkpointing = True

    def __init__(self, config: PooledBackboneConfig) -> None:
        super().__init__(config)
        inner: Any = config.backbone_config
        if inner is None:
            raise ValueError("backbone_config is missing; expected the config of a vision backbone.")
        options = {"add_pooling_layer": False} if inner.model_type in _WITHOUT_POOLER else {}
        self.backbone = AutoModel.from_config(inner, **options)
        width = inner.hidden_sizes[-1] if hasattr(inner, "hidden_sizes") else inner.hidden_size
        self.add_head(image_sides(config.image_size)[1] // stride_of(inner), width, 1e-6)

    def features(self, pixel_values: Tensor, **kwargs: Any) -> tuple[Tensor, None]:
        """(B, 3, H, W) -> (B, 1 or columns, D)."""
        tokens = backbone_tokens(self.backbone, pixel_values)
        if self.config.pooling != "cls":
            return pool_patches(tokens.patches, tokens.grid, self.config.pooling), None
        if tokens.summary is None:
            raise ValueError(f"{type(self.backbone).__name__} has no token for the image; pool by mean or columns.")
        return tokens.summary[:, None], None
