"""What a model costs: parameters and FLOPs, counted without weights and without computing anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def model_cost(config: Mapping[str, Any]) -> dict[str, int]:
    """Parameters and FLOPs of a ViTMAE, DiffMAE or ViT by its config.json, counted on weightless (meta) tensors.

    Of a classifier the encoder is counted, and not its last linear layer. A multiplication and an addition are two FLOPs.

    Returns:
        encoder_parameters, encoder_flops (one clip, every patch, as for features), and for a ViTMAE or DiffMAE parameters and
        pretraining_flops (one clip, forward, masked; of a DiffMAE with all its `noise_levels`). Empty for another kind of model.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import ViTConfig, ViTMAEConfig, ViTModel

    from .building import pretraining_class
    from .configuration_diffmae import DiffMAEConfig
    from .initialization import image_sides

    known: dict[Any, Any] = {
        "vit_mae": ViTMAEConfig,
        "diffmae": DiffMAEConfig,
        "vit": ViTConfig,
        "pooled_vit": ViTConfig,
    }
    kind = config.get("model_type")
    if kind not in known:
        return {}
    # fused attention hides its products from the counter on meta tensors
    built = known[kind].from_dict(dict(config), attn_implementation="eager")
    with torch.device("meta"):
        alone = known[kind] is ViTConfig  # the encoder
        model: Any = ViTModel(built, add_pooling_layer=False) if alone else pretraining_class(built)(built)
        image = torch.empty(1, built.num_channels, *image_sides(built.image_size))

    def flops(module: Any) -> int:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            module(image)
        return int(counter.get_total_flops())

    def parameters(module: Any) -> int:
        return sum(parameter.numel() for parameter in module.parameters())

    encoder = getattr(model, "vit", model)
    counts = {} if encoder is model else {"parameters": parameters(model), "pretraining_flops": flops(model)}
    encoder.config.mask_ratio = 0.0
    return counts | {"encoder_parameters": parameters(encoder), "encoder_flops": flops(encoder)}
