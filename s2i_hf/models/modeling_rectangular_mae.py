"""`RectangularViTMAE`: a ViTMAE for images of any height and width, in the layout of weights of the stock class.

The encoder of a stock `ViTMAEForPreTraining` takes an image_size of (height, width). Two lines elsewhere ask for squares: the decoder fills
its positions for as many rows as columns when it is made, which raises an error unless the number of patches is a square number, and
`patchify` refuses images that are no squares, and with them the loss. These are all that is replaced here. So `ViTModel`, `ViTMAEModel` and
`ViTForImageClassification` of transformers open such weights as they are; the decoder needs this class.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import ViTMAEConfig, ViTMAEForPreTraining, ViTMAEModel
from transformers.conversion_mapping import get_checkpoint_conversion_mapping, register_checkpoint_conversion_mapping
from transformers.models.vit_mae.modeling_vit_mae import ViTMAEDecoder

from .initialization import image_sides, patch_grid, shown_size, sincos_positions


class _Decoder(ViTMAEDecoder):
    """The stock decoder, with positions of its grid."""

    @torch.no_grad()
    def initialize_weights(self, num_patches: int) -> None:
        self.decoder_pos_embed.copy_(sincos_positions(patch_grid(self.config), self.decoder_pos_embed.shape[2]))


class RectangularViTMAE(ViTMAEForPreTraining):
    """A `ViTMAEForPreTraining` whose config has image_size (height, width); of squares it computes what the stock class does."""

    _auto_class: Any = "AutoModelForPreTraining"  # a stock class would refuse the config

    def __init__(self, config: ViTMAEConfig) -> None:
        super(ViTMAEForPreTraining, self).__init__(config)
        self.config = config
        self.vit = ViTMAEModel(config)
        self.decoder = _Decoder(config, num_patches=self.vit.embeddings.patch_embeddings.num_patches)
        self.post_init()

    def patchify(self, pixel_values: Tensor, interpolate_pos_encoding: bool = False) -> Tensor:
        """(B, C, H, W) images of the model's size -> (B, L, P) patches, row by row. Raises ValueError for those of another size."""
        if tuple(pixel_values.shape[2:]) != image_sides(self.config.image_size):
            wanted = shown_size(self.config.image_size)
            raise ValueError(f"images are {shown_size(pixel_values.shape[2:])} pixels; this model takes {wanted}.")
        return super().patchify(pixel_values, interpolate_pos_encoding=True)  # which asks for no square

    def unpatchify(self, patchified_pixel_values: Tensor, original_image_size: tuple[int, int] | None = None) -> Tensor:
        """(B, L, P) patches -> (B, C, H, W) images."""
        return super().unpatchify(patchified_pixel_values, original_image_size or image_sides(self.config.image_size))


# Weights have the names on disk that those of the stock class have; transformers looks them up by the name of the class.
if (_names := get_checkpoint_conversion_mapping("ViTMAEForPreTraining")) is not None:
    register_checkpoint_conversion_mapping("RectangularViTMAE", _names, overwrite=True)
