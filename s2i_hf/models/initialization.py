"""From-scratch ViT-MAEs that work: positions, tokens and weights as in the MAE code, for stock transformers classes.

A stock `ViTMAEForPreTraining(config)` leaves fixed position tables at zero (the decoder's, in some versions the encoder's
too), so the decoder cannot tell patches apart and learns their mean. `initialize_mae` fills what the original MAE fills: 2-D
sine-cosine positions, Xavier-uniform linear layers and patch projection, and normal(0.02) class and mask tokens (He et al.,
arXiv 2111.06377; facebookresearch/mae).
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from .loading import load_weights, model_type
from .positions import freeze_positions, position_tables, sincos_positions

if TYPE_CHECKING:
    from transformers import ViTMAEConfig, ViTMAEForPreTraining, ViTModel

# hidden_size, num_hidden_layers, num_attention_heads, decoder_hidden_size, decoder_num_hidden_layers, decoder_num_attention_heads.
# base and large are those of MAE, small is ViT-S of DeiT; tiny and micro train on a laptop and in tests.
_SIZES: dict[str, tuple[int, int, int, int, int, int]] = {
    "micro": (64, 2, 2, 32, 1, 2),
    "tiny": (192, 8, 3, 128, 2, 4),
    "small": (384, 12, 6, 256, 4, 8),
    "base": (768, 12, 12, 512, 8, 16),
    "large": (1024, 24, 16, 512, 8, 16),
}
_NAMES = (
    "hidden_size", "num_hidden_layers", "num_attention_heads",
    "decoder_hidden_size", "decoder_num_hidden_layers", "decoder_num_attention_heads",
)  # fmt: skip

MODEL_SIZES: dict[str, dict[str, int]] = {
    name: {
        **dict(zip(_NAMES, sizes, strict=True)),
        "intermediate_size": 4 * sizes[0],
        "decoder_intermediate_size": 4 * sizes[3],
    }
    for name, sizes in _SIZES.items()
}


@torch.no_grad()
def initialize_mae(model: nn.Module, seed: int) -> None:
    """Initialise a ViTMAE in place, the same for the same seed whatever ran before.

    Args:
        model: `ViTMAEForPreTraining`, `ViTMAEModel` or `ViTModel` with square grids.
        seed: Seed; the global random state is left as it was.
    """
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            weight = module.weight.view(
                len(module.weight), -1
            )  # the patch projection is initialised like a linear layer
            fresh = torch.empty(weight.shape)
            nn.init.xavier_uniform_(fresh, generator=generator)
            weight.copy_(fresh)
            if module.bias is not None:
                module.bias.zero_()
        elif isinstance(module, nn.LayerNorm):
            module.weight.fill_(1.0)
            module.bias.zero_()
    for name, parameter in model.named_parameters():
        if name.endswith(("cls_token", "mask_token")):
            parameter.copy_(torch.empty(parameter.shape).normal_(0.0, 0.02, generator=generator))
    for table in position_tables(model):
        side = round((table.shape[1] - 1) ** 0.5)
        table.copy_(sincos_positions((side, side), table.shape[2]))
    freeze_positions(model)


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
    from transformers import ViTMAEConfig

    if name.startswith("config:"):
        size = name.removeprefix("config:")
        if size not in MODEL_SIZES:
            raise ValueError(
                f"model is {name!r}; the sizes are {', '.join('config:' + known for known in MODEL_SIZES)}."
            )
        if image_size % patch_size:
            raise ValueError(f"image size {image_size} is not a multiple of the patch size {patch_size}.")
        config = ViTMAEConfig(
            **{**MODEL_SIZES[size], "layer_norm_eps": 1e-6, **config_changes},
            image_size=image_size,
            patch_size=patch_size,
            mask_ratio=mask_ratio,
            norm_pix_loss=norm_pix_loss,
        )
        return _fresh_mae(config, seed)
    model = _load_mae(name, seed, mask_ratio=mask_ratio, norm_pix_loss=norm_pix_loss)
    if model.config.image_size != image_size:
        raise ValueError(
            f"the weights of {name!r} are for {model.config.image_size} x {model.config.image_size} images, but the processor "
            f"makes {image_size} x {image_size}; set the size to {model.config.image_size}."
        )
    freeze_positions(model)
    return model


def _fresh_mae(config: ViTMAEConfig, seed: int) -> ViTMAEForPreTraining:
    from transformers import ViTMAEForPreTraining

    with torch.random.fork_rng(devices=[]):  # the stock constructor draws weights that are overwritten here
        model = ViTMAEForPreTraining(config)
    initialize_mae(model, seed)
    return model


def _load_mae(name: str, seed: int, **config_changes: Any) -> ViTMAEForPreTraining:
    from transformers import ViTMAEForPreTraining

    kind = model_type(name)
    if kind != "vit_mae":
        raise ValueError(f"model {name!r} is a {kind!r}; masked pretraining starts from a 'vit_mae' model.")
    model, missing = load_weights(ViTMAEForPreTraining, name, **config_changes)
    if missing:
        fresh = _fresh_mae(model.config, seed)
        lacking, whole = len(missing), len(fresh.decoder.state_dict())
        if lacking < whole:  # a new decoder in place of half of one would be a silent loss
            raise ValueError(
                f"the weights in {name!r} lack {lacking} of {whole} decoder tensors, such as {min(missing)!r}; expected all or none."
            )
        model.decoder.load_state_dict(fresh.decoder.state_dict())  # an encoder-only checkpoint gets a new decoder
    return model.float()  # transformers keeps the precision of the file; --precision says what training computes in


def encoder_of(model: nn.Module) -> ViTModel:
    """The encoder as a stock `ViTModel` that sees every patch in order, for features and fine-tuning.

    Args:
        model: `ViTMAEForPreTraining`, `ViTMAEModel` or `ViTModel`; its weights are copied.

    Returns:
        `ViTModel` without pooling layer, in evaluation mode: (B, 3, H, W) -> last_hidden_state (B, 1 + L, D).

    Raises:
        ValueError: the model has no ViT encoder.
    """
    from transformers import ViTConfig, ViTModel

    source = getattr(model, "vit", model)
    if not hasattr(source, "embeddings") or not hasattr(source, "layernorm"):
        raise ValueError(
            f"{type(model).__name__} has no ViT encoder; expected ViTMAEForPreTraining, ViTMAEModel or ViTModel."
        )
    names = (
        "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act", "hidden_dropout_prob",
        "attention_probs_dropout_prob", "initializer_range", "layer_norm_eps", "image_size", "patch_size", "num_channels", "qkv_bias",
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        encoder = ViTModel(ViTConfig(**{name: getattr(source.config, name) for name in names}), add_pooling_layer=False)
    wanted = encoder.state_dict()
    encoder.load_state_dict({name: tensor for name, tensor in source.state_dict().items() if name in wanted})  # strict
    device = next(source.parameters()).device
    torch.nn.Module.to(encoder, device)
    return encoder.eval()


def untrained_like(model: nn.Module, seed: int) -> nn.Module:
    """The same architecture before any training: proper positions, weights drawn from `seed`."""
    with torch.random.fork_rng(devices=[]):
        fresh = type(model)(deepcopy(model.config))  # type: ignore[call-arg]
    if getattr(model, "pooler", fresh) is None:
        fresh.register_module("pooler", None)  # a ViTModel without pooling layer, as from `encoder_of`
    initialize_mae(fresh, seed)
    return fresh.eval()
