"""What a model costs: parameters and FLOPs, counted without weights and without computing anything."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
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
    from transformers import ViTConfig, ViTMAEConfig, ViTMAEForPreTraining, ViTModel

    from .configuration_diffmae import DiffMAEConfig
    from .modeling_diffmae import DiffMAEForPreTraining

    vit = (ViTConfig, partial(ViTModel, add_pooling_layer=False))
    known: dict[Any, tuple[Any, Any]] = {
        "vit_mae": (ViTMAEConfig, ViTMAEForPreTraining),
        "diffmae": (DiffMAEConfig, DiffMAEForPreTraining),
        "vit": vit,
        "pooled_vit": vit,
    }
    kind = config.get("model_type")
    if kind not in known:
        return {}
    config_class, model_class = known[kind]
    # fused attention hides its products from the counter on meta tensors
    built = config_class.from_dict(dict(config), attn_implementation="eager")
    with torch.device("meta"):
        model: Any = model_class(built)
        image = torch.empty(1, built.num_channels, built.image_size, built.image_size)

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
