"""A ViT classifier that reads the patch tokens instead of the CLS token: `PooledViTForImageClassification`.

A masked autoencoder trains its patch tokens; its CLS token takes part in nothing that is predicted. So MAE fine-tunes on the mean of
the patch tokens, followed by a layer norm (He et al., arXiv 2111.06377). In an S2I image a column of patches is a body part through time:
"columns" keeps the columns apart and averages over time alone.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from transformers import ViTModel
from transformers.modeling_outputs import ImageClassifierOutput
from transformers.models.vit.modeling_vit import ViTPreTrainedModel
from transformers.utils.generic import can_return_tuple

from .configuration_pooled_vit import PooledViTConfig


def pool_patches(patches: Tensor, grid: tuple[int, int], pooling: str) -> Tensor:
    """Patch tokens as features.

    Args:
        patches: (B, rows * columns, D), row by row.
        grid: (rows, columns); rows are time, columns are body parts.
        pooling: "mean" or "columns".

    Returns:
        (B, 1, D) for "mean", (B, columns, D) for "columns".
    """
    if pooling == "mean":
        return patches.mean(dim=1, keepdim=True)
    return patches.unflatten(1, grid).mean(dim=1)


class PooledViTForImageClassification(ViTPreTrainedModel):
    """The stock `ViTModel`, a pooling of its patch tokens, a layer norm, and a linear head.

    The encoder stays whole, its own last layer norm included (MAE's code leaves that out here), so that its features are those a probe
    sees and its weights load into `ViTModel`. The layer norm of the head is shared by all columns.

    Example:
        >>> model = PooledViTForImageClassification(PooledViTConfig(image_size=64, num_labels=10, pooling="columns"))
        >>> model(pixel_values).logits.shape  # pixel_values: (B, 3, 64, 64)
        torch.Size([B, 10])
    """

    config: PooledViTConfig
    config_class = PooledViTConfig

    def __init__(self, config: PooledViTConfig) -> None:
        super().__init__(config)
        self.num_labels = len(config.id2label)  # type: ignore[arg-type]  # filled by the config
        side, patch = config.image_size, config.patch_size
        if not isinstance(side, int) or not isinstance(patch, int):
            raise ValueError(
                f"image_size is {side} and patch_size {patch}; expected one number each, as images are square."
            )
        self.grid = (side // patch, side // patch)
        self.vit = ViTModel(config, add_pooling_layer=False)
        self.fc_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        columns = self.grid[1] if config.pooling == "columns" else 1
        self.classifier = nn.Linear(columns * config.hidden_size, self.num_labels)
        self.post_init()

    @can_return_tuple
    def forward(
        self, pixel_values: Tensor | None = None, labels: Tensor | None = None, **kwargs: Any
    ) -> ImageClassifierOutput:
        """Logits of images.

        Args:
            pixel_values: (B, 3, H, W).
            labels: (B,) class indices; with them the output has the mean cross-entropy as `loss`.
            **kwargs: Passed on to the encoder, such as output_hidden_states.

        Returns:
            `ImageClassifierOutput` with logits (B, num_labels).
        """
        outputs = self.vit(pixel_values, **kwargs)
        features = pool_patches(outputs.last_hidden_state[:, 1:], self.grid, self.config.pooling)
        logits = self.classifier(self.fc_norm(features).flatten(1))
        loss = None if labels is None else self.loss_function(labels, logits, self.config, **kwargs)
        return ImageClassifierOutput(
            loss=loss, logits=logits, hidden_states=outputs.hidden_states, attentions=outputs.attentions
        )


__all__ = ["PooledViTForImageClassification"]
