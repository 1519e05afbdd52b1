"""Masked autoencoders from a size, a folder or the Hub, and the encoder in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedConfig, ViTConfig, ViTMAEConfig, ViTMAEForPreTraining, ViTMAEModel, ViTModel

from .configuration_diffmae import DiffMAEConfig
from .initialization import freeze_positions, initialize_mae
from .loading import Model, load_config, load_weights
from .modeling_diffmae import DiffMAEForPreTraining

# Width, layers, heads and MLP width of the encoder, and the same of the decoder. base and large are those of MAE, small is ViT-S of DeiT;
# tiny and micro train on a laptop and in tests.
_SIZES: dict[str, tuple[int, ...]] = {
    "micro": (64, 2, 2, 256, 32, 1, 2, 128),
    "tiny": (192, 8, 3, 768, 128, 2, 4, 512),
    "small": (384, 12, 6, 1536, 256, 4, 8, 1024),
    "base": (768, 12, 12, 3072, 512, 8, 16, 2048),
    "large": (1024, 24, 16, 4096, 512, 8, 16, 2048),
}
_NAMES = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
MODEL_SIZES: dict[str, dict[str, int]] = {
    name: dict(zip((*_NAMES, *(f"decoder_{field}" for field in _NAMES)), sizes, strict=True))
    for name, sizes in _SIZES.items()
}
# What a ViT is made of; nothing of a decoder, a mask or another task's labels gets into the config of an encoder.
_VIT_FIELDS = (
    "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act", "hidden_dropout_prob",
    "attention_probs_dropout_prob", "initializer_range", "layer_norm_eps", "image_size", "patch_size", "num_channels", "qkv_bias",
)  # fmt: skip
# Fields that say how a DiffMAE is trained and not what its weights are: they may differ from those it was saved with.
_FREE = frozenset(
    ("mask_ratio", "norm_pix_loss", "noise_levels", "num_train_timesteps", "beta_start", "beta_end", "rho", "rho_on")
)


def build_mae(
    name: str,
    *,
    image_size: int = 224,
    patch_size: int = 16,
    mask_ratio: float = 0.75,
    norm_pix_loss: bool = True,
    seed: int = 0,
    **config_changes: Any,
) -> ViTMAEForPreTraining:
    """A ViT-MAE from a size (`"config:small"`), a local folder or a Hub repository of MAE weights.

    Args:
        name: "config:micro", "config:tiny", "config:small", "config:base", "config:large"; or what `from_pretrained` takes.
        image_size: Side of the image in pixels.
        patch_size: Side of a patch; weights come with their own.
        mask_ratio: Share of patches hidden, written to the config.
        norm_pix_loss: Predict pixels normalised patch by patch.
        seed: Seed of the initial weights of a size, and of a decoder for weights that have none.
        **config_changes: Further fields of `ViTMAEConfig` for a size.

    Returns:
        `ViTMAEForPreTraining` with frozen, filled position tables.

    Raises:
        ValueError: unknown size; image size not a multiple of the patch; weights of another image size or another kind of model.
        FileNotFoundError: the folder or repository does not exist.
    """
    changes = {"mask_ratio": mask_ratio, "norm_pix_loss": norm_pix_loss}
    if name.startswith("config:"):
        fields = size_fields(name, image_size, patch_size) | config_changes | changes
        return _fresh(ViTMAEForPreTraining, ViTMAEConfig(**fields), seed)
    config = load_config(name)
    if config.model_type != "vit_mae":
        raise ValueError(f"model {name!r} is a {config.model_type!r}; masked pretraining starts from a 'vit_mae'.")
    check_image_size(name, config.image_size, image_size)
    model, missing = load_weights(ViTMAEForPreTraining, name, **changes)
    if missing:
        fresh = _fresh(ViTMAEForPreTraining, model.config, seed).decoder.state_dict()
        if len(missing) < len(fresh):  # a new decoder in place of half of one would be a silent loss
            lack = f"lack {len(missing)} of {len(fresh)} decoder tensors, such as {min(missing)!r}"
            raise ValueError(f"the weights in {name!r} {lack}; expected all or none.")
        model.decoder.load_state_dict(fresh)
    return _ready(model)


def build_diffmae(
    name: str,
    *,
    image_size: int = 224,
    patch_size: int = 16,
    mask_ratio: float = 0.75,
    norm_pix_loss: bool = False,
    seed: int = 0,
    **config_changes: Any,
) -> DiffMAEForPreTraining:
    """A DiffMAE from a size (`"config:small"`), or from the weights of a DiffMAE or of a ViTMAE in a folder or on the Hub.

    Args:
        name: As in `build_mae`. A ViTMAE gives its encoder; the decoder is new, of the same width and depth as the ViTMAE's.
        image_size, patch_size, mask_ratio, norm_pix_loss, seed: As in `build_mae`.
        **config_changes: Further fields of `DiffMAEConfig`.

    Returns:
        `DiffMAEForPreTraining` with frozen, filled position tables.

    Raises:
        ValueError: unknown size or field; settings that cannot be built; weights of another image size, decoder or kind of model.
        FileNotFoundError: the folder or repository does not exist.
    """
    known = DiffMAEConfig().to_dict()
    if odd := sorted(config_changes.keys() - known.keys()):
        raise ValueError(f"{odd[0]!r} is no field of DiffMAEConfig.")
    changes = {"mask_ratio": mask_ratio, "norm_pix_loss": norm_pix_loss, **config_changes}
    if name.startswith("config:"):
        fields = size_fields(name, image_size, patch_size) | changes
        return _fresh(DiffMAEForPreTraining, DiffMAEConfig(**fields), seed)
    source = load_config(name)
    kind = source.model_type
    if kind not in ("diffmae", "vit_mae"):
        raise ValueError(f"model {name!r} is a {kind!r}; DiffMAE starts from a 'diffmae' or 'vit_mae' model.")
    check_image_size(name, source.image_size, image_size)
    fields = {field: value for field, value in source.to_dict().items() if field in known and field != "model_type"}
    if kind == "vit_mae":
        model = _fresh(DiffMAEForPreTraining, DiffMAEConfig(**fields | {"architectures": None} | changes), seed)
        model.vit.load_state_dict(load_weights(ViTMAEModel, name)[0].state_dict())
        return _ready(model)
    for field, value in changes.items():
        if field not in _FREE and fields[field] != value:
            had = f"{field} {fields[field]!r}, not {value!r}; set it to {fields[field]!r}, or start from a size"
            raise ValueError(f"the weights of {name!r} have {had}.")
    return _ready(load_weights(DiffMAEForPreTraining, name, config=DiffMAEConfig(**fields | changes))[0])


def size_fields(name: str, image_size: int, patch_size: int) -> dict[str, Any]:
    """Fields of a config for "config:small" and the like. Raises ValueError for an unknown size, or images of no whole patches."""
    size = name.removeprefix("config:")
    if size not in MODEL_SIZES:
        raise ValueError(f"model is {name!r}; the sizes are {', '.join('config:' + known for known in MODEL_SIZES)}.")
    if patch_size < 1 or image_size % patch_size:
        raise ValueError(f"image size {image_size} is not a multiple of the patch size {patch_size}.")
    return {**MODEL_SIZES[size], "layer_norm_eps": 1e-6, "image_size": image_size, "patch_size": patch_size}


def check_image_size(source: str, known: object, wanted: int | None) -> None:
    """Raise ValueError if the images are not of the size that the weights are for."""
    if wanted is not None and known != wanted:
        sizes = f"are for {known} x {known} images, but the processor makes {wanted} x {wanted}"
        raise ValueError(f"the weights of {source!r} {sizes}; set the size to {known}.")


def _fresh(model_class: Callable[[Any], Model], config: PreTrainedConfig, seed: int) -> Model:
    with torch.random.fork_rng(devices=[]):  # constructors draw weights that are overwritten here
        model = model_class(config)
    initialize_mae(model, seed)
    return model


def _ready(model: Model) -> Model:
    """In float32, as transformers keeps the precision of the file and --precision says what training computes in; positions fixed."""
    freeze_positions(model)
    return model.float()


def encoder_fields(config: Any) -> dict[str, Any]:
    """Fields of a `ViTConfig` for the encoder in a ViT, ViTMAE, DiffMAE or pooled ViT."""
    return {name: getattr(config, name) for name in _VIT_FIELDS}


def encoder_of(model: nn.Module) -> ViTModel:
    """The encoder of a ViTMAE, DiffMAE or ViT as a stock `ViTModel` that sees every patch in order; its weights are copied.

    Returns:
        `ViTModel` without pooling layer, in evaluation mode: (B, 3, H, W) -> last_hidden_state (B, 1 + L, D).

    Raises:
        ValueError: the model has no ViT encoder.
    """
    source = getattr(model, "vit", model)
    if not hasattr(source, "embeddings") or not hasattr(source, "layernorm"):
        raise ValueError(f"{type(model).__name__} has no ViT encoder; expected a ViTMAEForPreTraining or a ViTModel.")
    with torch.random.fork_rng(devices=[]):
        encoder = ViTModel(ViTConfig(**encoder_fields(source.config)), add_pooling_layer=False)
    wanted = encoder.state_dict()
    encoder.load_state_dict({name: tensor for name, tensor in source.state_dict().items() if name in wanted})  # strict
    nn.Module.to(encoder, next(source.parameters()).device)
    return encoder.eval()
