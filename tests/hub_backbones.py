"""A checkpoint in exactly the layout of facebook/vit-mae-base, with random numbers: for tests of `--model facebook/vit-mae-base`.

Files, fields and names of tensors are those of the repository: config.json (676 bytes), preprocessor_config.json (217 bytes) and
model.safetensors (448 MB). The stock `save_pretrained` of transformers 5 writes other names for the decoder's layers
(decoder.decoder_encoder.layer.0 ...), so the file is written by the rule below.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

CONFIG: dict[str, Any] = {
    "architectures": ["ViTMAEForPreTraining"], "attention_probs_dropout_prob": 0.0, "decoder_hidden_size": 512,
    "decoder_intermediate_size": 2048, "decoder_num_attention_heads": 16, "decoder_num_hidden_layers": 8, "hidden_act": "gelu",
    "hidden_dropout_prob": 0.0, "hidden_size": 768, "image_size": 224, "initializer_range": 0.02, "intermediate_size": 3072,
    "layer_norm_eps": 1e-12, "mask_ratio": 0.75, "model_type": "vit_mae", "norm_pix_loss": False, "num_attention_heads": 12,
    "num_channels": 3, "num_hidden_layers": 12, "patch_size": 16, "qkv_bias": True, "torch_dtype": "float32",
    "transformers_version": "4.16.0.dev0",
}  # fmt: skip
PREPROCESSOR: dict[str, Any] = {
    "_processor_class": None, "do_normalize": True, "do_resize": True, "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225], "resample": 2, "size": 224,
}  # fmt: skip
SMALL: dict[str, Any] = {
    "hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 128, "image_size": 64,
    "decoder_hidden_size": 32, "decoder_num_hidden_layers": 2, "decoder_num_attention_heads": 2, "decoder_intermediate_size": 64,
}  # fmt: skip


def _block(prefix: str, width: int, inner: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for word in ("query", "key", "value"):
        shapes[f"attention.attention.{word}.weight"], shapes[f"attention.attention.{word}.bias"] = (
            (width, width),
            (width,),
        )
    shapes["attention.output.dense.weight"], shapes["attention.output.dense.bias"] = (width, width), (width,)
    shapes["intermediate.dense.weight"], shapes["intermediate.dense.bias"] = (inner, width), (inner,)
    shapes["output.dense.weight"], shapes["output.dense.bias"] = (width, inner), (width,)
    for word in ("layernorm_before", "layernorm_after"):
        shapes[f"{word}.weight"] = shapes[f"{word}.bias"] = (width,)
    return {f"{prefix}.{name}": shape for name, shape in shapes.items()}


def layout(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Name of each tensor on disk -> its shape."""
    width, narrow, patch = config["hidden_size"], config["decoder_hidden_size"], config["patch_size"]
    patches, values = (config["image_size"] // patch) ** 2, patch * patch * config["num_channels"]
    shapes: dict[str, tuple[int, ...]] = {
        "vit.embeddings.cls_token": (1, 1, width),
        "vit.embeddings.position_embeddings": (1, 1 + patches, width),
        "vit.embeddings.patch_embeddings.projection.weight": (width, config["num_channels"], patch, patch),
        "vit.embeddings.patch_embeddings.projection.bias": (width,),
        "vit.layernorm.weight": (width,),
        "vit.layernorm.bias": (width,),
        "decoder.mask_token": (1, 1, narrow),
        "decoder.decoder_pos_embed": (1, 1 + patches, narrow),
        "decoder.decoder_embed.weight": (narrow, width),
        "decoder.decoder_embed.bias": (narrow,),
        "decoder.decoder_norm.weight": (narrow,),
        "decoder.decoder_norm.bias": (narrow,),
        "decoder.decoder_pred.weight": (values, narrow),
        "decoder.decoder_pred.bias": (values,),
    }
    for index in range(config["num_hidden_layers"]):
        shapes |= _block(f"vit.encoder.layer.{index}", width, config["intermediate_size"])
    for index in range(config["decoder_num_hidden_layers"]):
        shapes |= _block(f"decoder.decoder_layers.{index}", narrow, config["decoder_intermediate_size"])
    return shapes


def write_checkpoint(
    folder: Path, small: bool = True, keep: str = "", dtype: torch.dtype = torch.float32, **changes: Any
) -> dict[str, Any]:
    """Write the three files.

    Args:
        folder: Made if it is not there.
        small: Few layers and narrow ones, in place of all 112 M numbers.
        keep: Start of the names of the tensors that are written; "" for all.
        dtype: Of the tensors on disk.
        **changes: Fields of config.json.

    Returns:
        The fields of config.json.
    """
    config = {**CONFIG, **(SMALL if small else {}), **changes}
    generator = torch.Generator().manual_seed(5)
    tensors = {
        name: (0.02 * torch.randn(shape, generator=generator)).to(dtype)
        for name, shape in layout(config).items()
        if name.startswith(keep)
    }
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    for name, values in (("config.json", config), ("preprocessor_config.json", PREPROCESSOR)):
        (folder / name).write_text(json.dumps(values, indent=2) + "\n")
    return config


def digests(tensors: dict[str, torch.Tensor]) -> list[str]:
    """A hash of the shape and the bits of each tensor, sorted: names on disk are not those in memory, values are."""
    return sorted(
        f"{tuple(tensor.shape)} {hashlib.sha1(tensor.detach().contiguous().numpy().tobytes()).hexdigest()}"
        for tensor in tensors.values()
    )
