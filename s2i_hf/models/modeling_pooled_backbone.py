"""A classifier on any vision backbone: `PooledBackboneForImageClassification`.

For families without a stock classifier (DINOv3), and for those whose patches are to be read in another way than the stock one does.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from transformers import AutoModel, PreTrainedModel
from transformers.modeling_outputs import ImageClassifierOutput
from transformers.utils.generic import can_return_tuple

from .backbone_tokens import backbone_tokens, stride_of
from .configuration_pooled_backbone import PooledBackboneConfig
from .modeling_pooled_vit import pool_patches

# Backbones that make a pooling layer which is not used here if they are not told otherwise.
_WITHOUT_POOLER = ("deit", "vit")


class PooledBackboneForImageClassification(PreTrainedModel):
    """A backbone of transformers, a pooling of its patches, a layer norm, and a linear head."""

    config: PooledBackboneConfig
    config_class = PooledBackboneConfig
    main_input_name = "pixel_values"
    _supports_sdpa = True
    _supports_flash_attn = True
    supports_gradient_checkpointing = True

    def __init__(self, config: PooledBackboneConfig) -> None:
        super().__init__(config)
        inner: Any = config.backbone_config
        if inner is None:
            raise ValueError("backbone_config is missing; expected the config of a vision backbone.")
        self.num_labels = len(config.id2label)  # type: ignore[arg-type]  # filled by the config
        options = {"add_pooling_layer": False} if inner.model_type in _WITHOUT_POOLER else {}
        self.backbone = AutoModel.from_config(inner, **options)
        width = inner.hidden_sizes[-1] if hasattr(inner, "hidden_sizes") else inner.hidden_size
        self.fc_norm = nn.LayerNorm(width, eps=1e-6)
        columns = config.image_size // stride_of(inner) if config.pooling == "columns" else 1
        self.classifier = nn.Linear(columns * width, self.num_labels)
        self.post_init()

    @can_return_tuple
    def forward(
        self, pixel_values: Tensor | None = None, labels: Tensor | None = None, **kwargs: Any
    ) -> ImageClassifierOutput:
        """Logits of images.

        Args:
            pixel_values: (B, 3, H, W).
            labels: (B,) class indices; with them the output has the mean cross-entropy as `loss`.

        Returns:
            `ImageClassifierOutput` with logits (B, num_labels).
        """
        if pixel_values is None:
            raise ValueError("pixel_values are missing; expected images (B, 3, H, W).")
        tokens = backbone_tokens(self.backbone, pixel_values)
        if self.config.pooling == "cls":
            if tokens.summary is None:
                raise ValueError(f"{type(self.backbone).__name__} has no token for the image; pool by mean or columns.")
            features = tokens.summary[:, None]
        else:
            features = pool_patches(tokens.patches, tokens.grid, self.config.pooling)
        logits = self.classifier(self.fc_norm(features).flatten(1))
        loss = None if labels is None else self.loss_function(labels, logits, self.config, **kwargs)
        return ImageClassifierOutput(loss=loss, logits=logits)
