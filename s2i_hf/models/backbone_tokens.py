"""What a vision backbone says about an image, in one shape for every family: patches on a grid, and a summary if there is one.

Nothing here knows families by name: it is read off the output. A feature map is (B, D, h, w). Tokens are (B, L, D): the last ones are
the patches, row by row, and before them come the class token and further ones (DeiT's second token, registers).
"""

from __future__ import annotations

from math import isqrt
from typing import Any, NamedTuple

from torch import Tensor, nn


class BackboneTokens(NamedTuple):
    """Output of a backbone.

    Args:
        patches: (B, rows * columns, D), row by row.
        grid: (rows, columns).
        summary: (B, D): the class token, or what the backbone has for one; None in families without (ConvNeXt, Swin).
    """

    patches: Tensor
    grid: tuple[int, int]
    summary: Tensor | None


def side_and_patch(config: Any) -> tuple[Any, Any]:
    """image_size and patch_size of the vision part of a config; None where it has none."""
    config = getattr(config, "vision_config", config)
    return getattr(config, "image_size", None), getattr(config, "patch_size", None)


def stride_of(config: Any) -> int:
    """Pixels of the image a side of a patch of the last layer; models with stages halve their grid between two of them."""
    _, patch = side_and_patch(config)
    stages = len(config.depths) if hasattr(config, "depths") else 1
    return int(patch) * 2 ** (stages - 1)


def backbone_tokens(encoder: nn.Module, pixel_values: Tensor) -> BackboneTokens:
    """Run a backbone on (B, 3, H, W) images that are not masked.

    Raises:
        ValueError: its output is neither a feature map nor tokens on a grid.
    """
    output = encoder(pixel_values)
    hidden = output.last_hidden_state
    if hidden.ndim == 4:
        return BackboneTokens(hidden.flatten(2).transpose(1, 2), tuple(hidden.shape[2:]), None)
    length = hidden.shape[1]
    _, patch = side_and_patch(encoder.config)
    rows, columns = (side // patch for side in pixel_values.shape[2:]) if isinstance(patch, int) else (0, 0)
    extra = length - rows * columns
    if 0 < rows * columns <= length:
        summary = hidden[:, 0] if extra else getattr(output, "pooler_output", None)
        return BackboneTokens(hidden[:, extra:], (rows, columns), summary)
    side = isqrt(length)  # stages that merged patches
    if side * side != length:
        raise ValueError(f"{type(encoder).__name__} returns {length} tokens, which are no square grid of patches.")
    return BackboneTokens(hidden, (side, side), None)
