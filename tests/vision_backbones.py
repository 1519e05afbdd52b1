"""Small models of every vision family with random weights, as their folders on disk; shared by tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers as hf

SIDE = 64
TOKENS = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64, "image_size": SIDE, "patch_size": 16,
}  # fmt: skip
TEXT = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, "vocab_size": 50}
MAPS: dict[str, Any] = {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 2, 1], "image_size": SIDE}
WINDOWS: dict[str, Any] = {
    "embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4, "image_size": SIDE, "patch_size": 4,
}  # fmt: skip

# family -> class, config class, fields
FAMILIES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "vit": ("ViTModel", "ViTConfig", TOKENS),
    "deit": ("DeiTModel", "DeiTConfig", TOKENS),
    "dinov2": ("Dinov2Model", "Dinov2Config", {**TOKENS, "mlp_ratio": 2}),
    "dinov2_with_registers": ("Dinov2WithRegistersModel", "Dinov2WithRegistersConfig", {**TOKENS, "mlp_ratio": 2}),
    "dinov3_vit": ("DINOv3ViTModel", "DINOv3ViTConfig", {**TOKENS, "num_register_tokens": 3}),
    "clip": ("CLIPModel", "CLIPConfig", {"vision_config": TOKENS, "text_config": TEXT}),
    "clip_vision_model": ("CLIPVisionModel", "CLIPVisionConfig", TOKENS),
    "siglip": ("SiglipModel", "SiglipConfig", {"vision_config": TOKENS, "text_config": TEXT}),
    "siglip_vision_model": ("SiglipVisionModel", "SiglipVisionConfig", TOKENS),
    "convnext": ("ConvNextModel", "ConvNextConfig", MAPS),
    "convnextv2": ("ConvNextV2Model", "ConvNextV2Config", MAPS),
    "swin": ("SwinModel", "SwinConfig", WINDOWS),
    "swinv2": ("Swinv2Model", "Swinv2Config", WINDOWS),
}


def save_backbone(family: str, folder: Path) -> Any:
    """A model whose every weight is random, those that start as 0 or 1 as well; saved, and returned."""
    model_class, config_class, fields = FAMILIES[family]
    model = getattr(hf, model_class)(getattr(hf, config_class)(**fields)).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    model.save_pretrained(folder)
    return model
