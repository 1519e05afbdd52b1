"""Masked autoencoders from a size, a folder or the Hub, and the encoder in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedConfig, ViTConfig, ViTMAEConfig, ViTMAEForPreTraining, ViTMAEModel, ViTModel

from .configuration_diffmae import DiffMAEConfig
from .initialization import (
    freeze_positions,
    image_sides,
    initialize_mae,
    patch_grid,
    positions_of_grid,
    shown_size,
)
from .loading import Model, check_model_name, load_config, load_weights
from .modeling_diffmae import DiffMAEForPreTraining
from .modeling_rectangular_mae import RectangularViTMAE

Size = int | Sequence[int]

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
    image_size: Size = 224,
    patch_size: int = 16,
    mask_ratio: float = 0.75,
    norm_pix_loss: bool = True,
    seed: int = 0,
    **config_changes: Any,
) -> ViTMAEForPreTraining:
    """A ViT-MAE from a size (`"config:small"`), the weights of the package (`"vision:tiny"`), a local folder or a Hub repository.

    Args:
        name: "config:micro", "config:tiny", "config:small", "config:base", "config:large"; "vision:tiny", weights of photographs that come
            with the package; or what `from_pretrained` takes.
        image_size: Side of the image in pixels, or (height, width). Weights of another size get the sine-cosine positions of this one.
        patch_size: Side of a patch; weights come with their own, and 16 leaves it to them.
        mask_ratio: Share of patches hidden, written to the config.
        norm_pix_loss: Predict pixels normalised patch by patch.
        seed: Seed of the initial weights of a size, and of a decoder for weights that have none.
        **config_changes: Further fields of `ViTMAEConfig` for a size.

    Returns:
        `ViTMAEForPreTraining` with frozen, filled position tables; of images that are no squares its subclass `RectangularViTMAE`.

    Raises:
        ValueError: unknown size; image size not a multiple of the patch; weights of another patch size, another kind of model, or of
            another image size with positions that were learned.
        FileNotFoundError: the folder or repository does not exist.
    """
    changes = {"mask_ratio": mask_ratio, "norm_pix_loss": norm_pix_loss}
    if name.startswith("config:"):
        fields = size_fields(name, image_size, patch_size) | config_changes | changes
        made = ViTMAEConfig(**fields)
        return _fresh(pretraining_class(made), made, seed)
    config: Any = load_config(name)
    if config.model_type != "vit_mae":
        raise ValueError(f"model {name!r} is a {config.model_type!r}; masked pretraining starts from a 'vit_mae'.")
    check_sizes(name, config, image_size, patch_size)
    model, missing = load_weights(pretraining_class(config), name, **changes)
    if missing:
        fresh = _fresh(type(model), model.config, seed).decoder.state_dict()
        if len(missing) < len(fresh):  # a new decoder in place of half of one would be a silent loss
            lack = f"lack {len(missing)} of {len(fresh)} decoder tensors, such as {min(missing)!r}"
            raise ValueError(f"the weights in {name!r} {lack}; expected all or none.")
        model.decoder.load_state_dict(fresh)
    return _ready(_of_size(name, model, image_size))


def build_diffmae(
    name: str,
    *,
    image_size: Size = 224,
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
        ValueError: unknown size or field; settings that cannot be built; weights of another patch size, decoder or kind of model, or of
            another image size with positions that were learned.
        FileNotFoundError: the folder or repository does not exist.
    """
    known = DiffMAEConfig().to_dict()
    if odd := sorted(config_changes.keys() - known.keys()):
        raise ValueError(f"{odd[0]!r} is no field of DiffMAEConfig.")
    changes = {"mask_ratio": mask_ratio, "norm_pix_loss": norm_pix_loss, **config_changes}
    if name.startswith("config:"):
        fields = size_fields(name, image_size, patch_size) | changes
        return _fresh(DiffMAEForPreTraining, DiffMAEConfig(**fields), seed)
    source: Any = load_config(name)
    kind = source.model_type
    if kind not in ("diffmae", "vit_mae"):
        raise ValueError(f"model {name!r} is a {kind!r}; DiffMAE starts from a 'diffmae' or 'vit_mae' model.")
    size = check_sizes(name, source, image_size, patch_size)
    fields = {field: value for field, value in source.to_dict().items() if field in known and field != "model_type"}
    if kind == "vit_mae":
        new = {"architectures": None, "image_size": size}
        model = _fresh(DiffMAEForPreTraining, DiffMAEConfig(**fields | new | changes), seed)
        encoder = load_weights(ViTMAEModel, name)[0]
        model.vit.load_state_dict(weights_of_size(name, encoder, size))
        return _ready(model)
    for field, value in changes.items():
        if field not in _FREE and fields[field] != value:
            had = f"{field} {fields[field]!r}, not {value!r}; set it to {fields[field]!r}, or start from a size"
            raise ValueError(f"the weights of {name!r} have {had}.")
    own = load_weights(DiffMAEForPreTraining, name, config=DiffMAEConfig(**fields | changes))[0]
    return _ready(_of_size(name, own, size))


def check_start_name(name: str) -> None:
    """Raise ValueError for an unknown size such as "config:huge", and for weights what `check_model_name` raises."""
    if not name.startswith("config:"):
        check_model_name(name)
    elif name.removeprefix("config:") not in MODEL_SIZES:
        raise ValueError(f"model is {name!r}; the sizes are {', '.join('config:' + known for known in MODEL_SIZES)}.")


def size_fields(name: str, image_size: Size, patch_size: int) -> dict[str, Any]:
    """Fields of a config for "config:small" and the like. Raises ValueError for an unknown size, or images of no whole patches."""
    check_start_name(name)
    size = name.removeprefix("config:")
    fields = {"image_size": config_size(image_size), "patch_size": patch_size}
    _check_multiple(image_size, patch_size)
    return {**MODEL_SIZES[size], "layer_norm_eps": 1e-6, **fields}


def config_size(size: Size) -> int | list[int]:
    """An image size as a config has it: one number of a square, [height, width] otherwise."""
    height, width = image_sides(size)
    return height if height == width else [height, width]


def pretraining_class(config: Any) -> Any:
    """The class of a ViTMAE or DiffMAE with its decoder, by its config: of a ViTMAE the stock one for squares."""
    height, width = image_sides(config.image_size)
    if config.model_type == "diffmae":
        return DiffMAEForPreTraining
    return ViTMAEForPreTraining if height == width else RectangularViTMAE


def _check_multiple(image_size: Size, patch_size: int) -> None:
    height, width = image_sides(image_size)
    if patch_size < 1 or height % patch_size or width % patch_size:
        shown = height if height == width else shown_size(image_size)
        raise ValueError(f"image size {shown} is not a multiple of the patch size {patch_size}.")


# --- weights of another image size ------------------------------------------------------------------------------------


def check_sizes(source: str, config: Any, image_size: Size | None, patch_size: int = 16) -> int | list[int]:
    """The image size, as a config has it, of a model on these weights: theirs if None.

    Raises:
        ValueError: another patch size than that of the weights (16 asks for none), or images of no whole patches.
    """
    if patch_size not in (16, config.patch_size):
        reason = f"have patches of {config.patch_size} pixels, not {patch_size}"
        raise ValueError(f"the weights of {source!r} {reason}; set patch_size to {config.patch_size}.")
    size = config.image_size if image_size is None else image_size
    _check_multiple(size, config.patch_size)
    return config_size(size)


def weights_of_size(source: str, model: Any, image_size: Size) -> dict[str, torch.Tensor]:
    """The weights of a ViTMAE, DiffMAE or their encoder, with the sine-cosine positions of another image size if it has another.

    Raises:
        ValueError: the positions of the weights are not these, so they were learned, and no others can be made.
    """
    known, weights = model.config, model.state_dict()
    before, sides = patch_grid(known), image_sides(image_size)
    after = sides[0] // known.patch_size, sides[1] // known.patch_size
    if (found := positions_of_grid(weights, before, after)) is None:
        sizes = f"are for {shown_size(known.image_size)} images, but the processor makes {shown_size(image_size)}"
        reason = "their positions were learned, so there are none for other sizes"
        raise ValueError(
            f"the weights of {source!r} {sizes}, and {reason}; set the size to {shown_size(known.image_size)}."
        )
    return found


def _of_size(source: str, model: Model, image_size: Size) -> Model:
    """The model itself if it takes images of this size, otherwise one with the same weights that does."""
    known: Any = model.config
    if image_sides(known.image_size) == image_sides(image_size):
        return model
    weights = weights_of_size(source, model, image_size)
    config = deepcopy(known)
    config.image_size = config_size(image_size)
    with torch.random.fork_rng(devices=[]):
        other: Model = pretraining_class(config)(config)
    other.load_state_dict(weights)
    return other


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
