"""What a model costs: parameters and FLOPs, counted without weights and without computing anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def model_cost(config: Mapping[str, Any]) -> dict[str, int]:
    """Parameters and FLOPs of a ViTMAE or ViT, counted on weightless (meta) tensors.

    Args:
        config: Content of config.json.

    Returns:
        encoder_parameters, encoder_flops (one clip, every patch, as for features), and for a ViTMAE parameters and pretraining_flops (one
        clip, forward, masked). A multiplication and an addition are two FLOPs. Empty for another kind of model.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import ViTConfig, ViTMAEConfig, ViTMAEForPreTraining, ViTModel

    kind = config.get("model_type")
    if kind not in ("vit_mae", "vit"):
        return {}
    # fused attention hides its products from the counter on meta tensors
    config_class: Any = ViTMAEConfig if kind == "vit_mae" else ViTConfig
    built = config_class.from_dict(dict(config), attn_implementation="eager")
    with torch.device("meta"):
        model: Any = ViTMAEForPreTraining(built) if kind == "vit_mae" else ViTModel(built, add_pooling_layer=False)
        image = torch.empty(1, built.num_channels, built.image_size, built.image_size)

    def flops(module: Any) -> int:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            module(image)
        return int(counter.get_total_flops())

    def parameters(module: Any) -> int:
        return sum(parameter.numel() for parameter in module.parameters())

    if kind == "vit":
        return {"encoder_parameters": parameters(model), "encoder_flops": flops(model)}
    counts = {"parameters": parameters(model), "pretraining_flops": flops(model)}
    model.vit.config.mask_ratio = 0.0
    return counts | {"encoder_parameters": parameters(model.vit), "encoder_flops": flops(model.vit)}
