"""DiffMAEs from a size, a folder or the Hub, and their names for the Auto classes of transformers."""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoConfig, AutoModel, AutoModelForPreTraining, ViTMAEConfig, ViTMAEModel

from .configuration_diffmae import DiffMAEConfig
from .initialization import MODEL_SIZES, initialize_mae
from .loading import load_weights, model_type
from .modeling_diffmae import DiffMAEForPreTraining, DiffMAEModel
from .positions import freeze_positions

# Fields that say how a DiffMAE is trained and not what its weights are: they may differ from those it was saved with.
_FREE = frozenset(
    ("mask_ratio", "norm_pix_loss", "noise_levels", "num_train_timesteps", "beta_start", "beta_end", "rho", "rho_on")
)


def register_auto_classes() -> None:
    """Let `AutoConfig`, `AutoModel` and `AutoModelForPreTraining` find DiffMAE by its model type."""
    AutoConfig.register(DiffMAEConfig.model_type, DiffMAEConfig, exist_ok=True)
    AutoModel.register(DiffMAEConfig, DiffMAEModel, exist_ok=True)
    AutoModelForPreTraining.register(DiffMAEConfig, DiffMAEForPreTraining, exist_ok=True)


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
        name: "config:micro", "config:tiny", "config:small", "config:base", "config:large"; or what `from_pretrained` takes. A ViTMAE
            gives its encoder; the decoder is new, of the same width and depth as the ViTMAE's.
        image_size: Side of the image in pixels.
        patch_size: Side of a patch; weights come with their own.
        mask_ratio: Share of patches hidden, written to the config.
        norm_pix_loss: Predict pixels normalised patch by patch.
        seed: Seed of the initial weights.
        **config_changes: Further fields of `DiffMAEConfig`.

    Returns:
        `DiffMAEForPreTraining` with frozen, filled position tables.

    Raises:
        ValueError: unknown size or field; settings that cannot be built; weights of another image size, decoder or kind of model.
        FileNotFoundError: the folder or repository does not exist.
    """
    register_auto_classes()
    known = DiffMAEConfig().to_dict()
    for field in config_changes:
        if field not in known:
            raise ValueError(f"{field!r} is no field of DiffMAEConfig.")
    changes = {"mask_ratio": mask_ratio, "norm_pix_loss": norm_pix_loss, **config_changes}
    if name.startswith("config:"):
        size = name.removeprefix("config:")
        if size not in MODEL_SIZES:
            raise ValueError(f"model is {name!r}; the sizes are {', '.join('config:' + one for one in MODEL_SIZES)}.")
        return _fresh(
            DiffMAEConfig(**{**MODEL_SIZES[size], "image_size": image_size, "patch_size": patch_size, **changes}), seed
        )
    kind = model_type(name)
    if kind not in ("diffmae", "vit_mae"):
        raise ValueError(f"model {name!r} is a {kind!r}; DiffMAE starts from a 'diffmae' or 'vit_mae' model.")
    source = (DiffMAEConfig if kind == "diffmae" else ViTMAEConfig).from_pretrained(name)
    if source.image_size != image_size:
        raise ValueError(
            f"the weights of {name!r} are for {source.image_size} x {source.image_size} images, but the processor makes "
            f"{image_size} x {image_size}; set the size to {source.image_size}."
        )
    fields = {field: value for field, value in source.to_dict().items() if field in known and field != "model_type"}
    if kind == "vit_mae":
        model = _fresh(DiffMAEConfig(**{**fields, "architectures": None, **changes}), seed)
        encoder, _ = load_weights(ViTMAEModel, name)
        model.vit.load_state_dict(encoder.state_dict())
    else:
        for field, value in changes.items():
            if field not in _FREE and fields[field] != value:
                raise ValueError(
                    f"the weights of {name!r} have {field} {fields[field]!r}, not {value!r}; set it to {fields[field]!r}, or start "
                    "from a size."
                )
        model, _ = load_weights(DiffMAEForPreTraining, name, config=DiffMAEConfig(**{**fields, **changes}))
    model = model.float()  # transformers keeps the precision of the file
    freeze_positions(model)
    return model


def _fresh(config: DiffMAEConfig, seed: int) -> DiffMAEForPreTraining:
    with torch.random.fork_rng(devices=[]):  # the constructor draws weights that are overwritten here
        model = DiffMAEForPreTraining(config)
    initialize_mae(model, seed)
    return model
