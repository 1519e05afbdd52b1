"""What a model costs: parameters and FLOPs, counted without weights and without computing anything."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any


def model_cost(config: Mapping[str, Any]) -> dict[str, int]:
    """Parameters and FLOPs of a ViTMAE, DiffMAE or ViT, counted on weightless (meta) tensors.

    Of a classifier the encoder is counted, and not its last linear layer.

    Args:
        config: Content of config.json.

    Returns:
        encoder_parameters, encoder_flops (one clip, every patch, as for features), and for a ViTMAE or DiffMAE parameters and
        pretraining_flops (one clip, forward, masked; of a DiffMAE with all its `noise_levels`). A multiplication and an addition are
        two FLOPs. Empty for another kind of model.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import ViTConfig, ViTMAEConfig, ViTMAEForPreTraining, ViTModel

    kind = config.get("model_type")
    config_class: Any
    model_class: Any
    if kind == "diffmae":
        from .configuration_diffmae import DiffMAEConfig
        from .modeling_diffmae import DiffMAEForPreTraining

        config_class, model_class = DiffMAEConfig, DiffMAEForPreTraining
    elif kind == "vit_mae":
        config_class, model_class = ViTMAEConfig, ViTMAEForPreTraining
    elif kind in ("vit", "pooled_vit"):
        config_class, model_class = ViTConfig, partial(ViTModel, add_pooling_layer=False)
    else:
        return {}
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

    if kind not in ("vit_mae", "diffmae"):
        return {"encoder_parameters": parameters(model), "encoder_flops": flops(model)}
    counts = {"parameters": parameters(model), "pretraining_flops": flops(model)}
    model.vit.config.mask_ratio = 0.0
    return counts | {"encoder_parameters": parameters(model.vit), "encoder_flops": flops(model.vit)}


GRAPH_FRAMES, _WIDTHS, _STRIDES = 52, (1, 1, 1, 2, 2, 2, 4, 4), (2, 1, 1, 2, 1, 1, 2, 1)


def graph_network_cost(num_joints: int, num_classes: int, width: int = 32, groups: int = 4) -> dict[str, int]:
    """Parameters and FLOPs of the graph network that benchmarks/peer.py trains (of the kind of ST-GCN and CTR-GCN), by its sizes.

    The yardstick of the cards, which have no access to the benchmarks; a test compares it with what is counted on that network.

    Args:
        num_joints: V of the joint format.
        num_classes: Classes of the last layer.
        width, groups: As of the network.

    Returns:
        parameters, and flops of one person in one clip of `GRAPH_FRAMES` frames. A multiplication and an addition are two FLOPs.
    """
    joints, frames = num_joints, GRAPH_FRAMES
    parameters, flops, before = 2 * joints * 3, 0, 3
    for index, (times, stride) in enumerate(zip(_WIDTHS, _STRIDES, strict=True)):
        after, sets = width * times, groups if index else 1
        later, compared, branch = -(-frames // stride), 6 * max(8, after // 8), (after // 4) ** 2 * 5
        # the graph, its refinement by the clip, and the mix of channels; then a way around
        parameters += (
            3 * joints**2 + (before + 1) * compared + compared // 2 * sets + 1 + 3 * before * after + 2 * after
        )
        flops += 2 * joints * before * compared + joints**2 * compared * sets
        flops += 2 * joints * frames * (3 * joints * before + 3 * before * after)
        if before != after:
            parameters += before * after + 2 * after
            flops += 2 * joints * frames * before * after
        # time at several scales; then a way around, except in the first block
        parameters += after**2 + 2 * branch + 4 * after
        flops += 2 * joints * (frames * after**2 + later * 2 * branch)
        if index and (before != after or stride > 1):
            parameters += before * after + 2 * after
            flops += 2 * joints * later * before * after
        before, frames = after, later
    return {"parameters": parameters + (before + 1) * num_classes, "flops": flops + 2 * before * num_classes}
