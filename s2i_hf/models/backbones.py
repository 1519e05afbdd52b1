"""Vision backbones of other families than ViT: DeiT, DINOv2 and v3, CLIP, SigLIP, ConvNeXt, Swin, through transformers' own classes.

A backbone here is an encoder alone, whole and checked; `modeling_pooled_vit.backbone_tokens` reads it. Images of skeletons are made for it
by `processor_for`: in its size, with the mean and deviation it was trained with.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any, NamedTuple

import torch
import transformers
from torch import nn
from transformers import PreTrainedConfig

from .building import Size, config_size, encoder_of
from .configuration_pooled_vit import PooledBackboneConfig, side_and_patch, stride_of
from .initialization import image_sides, initialize_mae, shown_size
from .loading import load_config, load_weights
from .modeling_pooled_vit import PooledBackboneForImageClassification

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
_CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))


class Family(NamedTuple):
    """A family of backbones.

    Args:
        encoder: Class of transformers that is the encoder alone.
        classifier: Stock classifier, "" where there is none.
        mean_std: Mean and deviation of each channel (pixels 0 to 1) of the published weights, used where a folder does not say.
        any_size: Whether images may have another size than that in the config: no fixed table of positions stands against it.
        unused: Parts that take no part in a classification, by the ends of their names.
    """

    encoder: str
    classifier: str
    mean_std: tuple[tuple[float, ...], tuple[float, ...]] = _IMAGENET
    any_size: bool = False
    unused: tuple[str, ...] = ()


FAMILIES: dict[str, Family] = {
    # our own are trained with the numbers of ImageNet; the published ones (0.5) say theirs in their folders
    "vit": Family("ViTModel", "ViTForImageClassification"),
    "vit_mae": Family("ViTMAEModel", "ViTForImageClassification"),
    "diffmae": Family("ViTMAEModel", "ViTForImageClassification"),
    "pooled_vit": Family("ViTModel", ""),
    "deit": Family("DeiTModel", "DeiTForImageClassification"),
    "dinov2": Family("Dinov2Model", "Dinov2ForImageClassification", any_size=True, unused=("mask_token",)),
    "dinov2_with_registers": Family(
        "Dinov2WithRegistersModel", "Dinov2WithRegistersForImageClassification", any_size=True, unused=("mask_token",)
    ),
    "dinov3_vit": Family("DINOv3ViTModel", "", any_size=True, unused=("mask_token",)),
    "clip": Family("CLIPVisionModel", "CLIPForImageClassification", _CLIP, unused=("post_layernorm",)),
    "clip_vision_model": Family("CLIPVisionModel", "CLIPForImageClassification", _CLIP, unused=("post_layernorm",)),
    "siglip": Family("SiglipVisionModel", "SiglipForImageClassification", _HALF),
    "siglip_vision_model": Family("SiglipVisionModel", "SiglipForImageClassification", _HALF),
    "convnext": Family("ConvNextModel", "ConvNextForImageClassification", any_size=True),
    "convnextv2": Family("ConvNextV2Model", "ConvNextV2ForImageClassification", any_size=True),
    "swin": Family("SwinModel", "SwinForImageClassification"),
    "swinv2": Family("Swinv2Model", "Swinv2ForImageClassification"),
}


def family_of(config: PreTrainedConfig) -> Family:
    """The family of a config. Raises ValueError for a kind of model that is none of them."""
    kind = str(config.model_type)
    if kind not in FAMILIES:
        which = f"model {config.name_or_path!r}" if config.name_or_path else "the model"
        raise ValueError(f"{which} is a {kind!r}; the vision backbones known here are {', '.join(FAMILIES)}.")
    return FAMILIES[kind]


def load_backbone(name: str) -> nn.Module:
    """The encoder of a folder or Hub repository of a model of `FAMILIES` or a classifier on one, for features: every weight is from there.

    Of CLIP and SigLIP the vision part is taken.

    Returns:
        `ViTModel` for ViT and its kin, otherwise the family's own class, in evaluation mode and float32, whatever the file has.

    Raises:
        ValueError: another kind of model, or weights that are not whole.
        FileNotFoundError: the folder or repository does not exist.
    """
    config = load_config(name)
    kind = config.model_type
    if kind == "pooled_backbone":
        return load_weights(PooledBackboneForImageClassification, name)[0].float().backbone.eval()
    options: dict[str, Any] = {"add_pooling_layer": False} if kind in ("vit", "deit", "pooled_vit") else {}
    encoder = load_weights(getattr(transformers, family_of(config).encoder), name, **options)[0].float()
    return encoder_of(encoder) if kind in ("vit_mae", "diffmae", "pooled_vit") else encoder.eval()


def _is_vit(model: Any) -> bool:
    return hasattr(model, "vit") or model.config.model_type in ("vit", "vit_mae", "diffmae")


def backbone_of(model: nn.Module) -> nn.Module:
    """The encoder alone of a model that is loaded already: a `ViTModel` of ViT and its kin, otherwise the backbone as it is."""
    if _is_vit(model):
        return encoder_of(model)
    config: Any = model.config
    family_of(config)
    return model.eval()


def untrained_backbone(model: nn.Module, seed: int) -> nn.Module:
    """The same architecture before any training, with weights drawn from `seed`, and with positions that differ."""
    options = {"add_pooling_layer": False} if getattr(model, "pooler", model) is None else {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = type(model)(deepcopy(model.config), **options)  # type: ignore[call-arg, arg-type]
        if not _is_vit(model):
            fill_positions(fresh)
    if _is_vit(model):
        initialize_mae(fresh, seed)
    return fresh.eval()


@torch.no_grad()
def fill_positions(model: nn.Module) -> None:
    """Draw position tables and class tokens that a constructor of transformers leaves at zero (DeiT: all of them)."""
    for name, parameter in model.named_parameters():
        end = name.rpartition(".")[2]
        if ("position" in end or end in ("cls_token", "distillation_token")) and not parameter.any():
            nn.init.trunc_normal_(parameter, std=0.02)


def poolings_of(config: PreTrainedConfig) -> tuple[str, ...]:
    """Kinds of features that `features.extract_features` finds in an encoder: "cls" needs a token that stands for the image."""
    no_token = hasattr(config, "depths") or getattr(config, "vision_use_head", True) is False
    return ("mean", "part") if no_token else ("mean", "cls", "part")


def fits(config: PreTrainedConfig, size: Size) -> bool:
    """Whether a model takes images of this side, or (height, width)."""
    known, _ = side_and_patch(config)
    sides, inner = image_sides(size), getattr(config, "backbone_config", None)
    own = known is not None and sides == image_sides(known)
    if inner is not None:
        return own or (config.pooling != "columns" and fits(inner, size))
    family = FAMILIES.get(str(config.model_type))
    return not any(side % stride_of(config) for side in sides) if family and family.any_size else own


def sides_of(config: PreTrainedConfig) -> str:
    """The images that a model takes, in words: "224 x 224", or "multiples of 32"."""
    family = FAMILIES.get(str(config.model_type))
    return f"multiples of {stride_of(config)}" if family and family.any_size else shown_size(side_and_patch(config)[0])


def fresh_classifier(
    encoder: nn.Module, labels: dict[str, Any], pooling: str, image_size: Size | None, source: str, seed: int
) -> tuple[Any, nn.Module]:
    """A classifier with new weights on the architecture of an encoder.

    Args:
        encoder: What `load_backbone` returned, for a family other than ViT.
        labels: Fields of the config that name the classes.
        pooling: "cls": the stock classifier of the family (which reads the mean in some), or the class token where there is none
            (DINOv3); "mean" or "columns" of its patches.
        image_size, source, seed: As in `classification.build_classifier`.

    Returns:
        The classifier and the encoder inside it.

    Raises:
        ValueError: images of a size that the encoder does not take.
    """
    config: Any = deepcopy(encoder.config)
    family = family_of(config)
    size = image_size or side_and_patch(config)[0]
    if not fits(config, size):
        fitting = f"set the size to {sides_of(config)}"
        raise ValueError(f"images of {shown_size(size)} do not fit the weights of {source!r}; {fitting}.")
    if config.model_type.startswith("siglip"):
        config.vision_use_head = False  # SigLIP's own summary, which its classifier does not read
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if pooling == "cls" and family.classifier:
            stock: Any = getattr(transformers, family.classifier)
            if config.model_type.endswith("_vision_model"):
                config = stock.config_class(vision_config=config.to_dict())
            for field, value in labels.items():
                setattr(config, field, value)
            model = stock(config)
        else:
            model = PooledBackboneForImageClassification(
                PooledBackboneConfig(
                    backbone_config=config.to_dict(), pooling=pooling, image_size=config_size(size), **labels
                )
            )
        fill_positions(model)
    # ConvNeXt norms its own mean of the map, which a pooling of the patches does not read
    more = ("backbone.layernorm",) if hasattr(model, "fc_norm") and "convnext" in config.model_type else ()
    for name, parameter in model.named_parameters():
        # where there is no gradient, several processes would wait for it in vain
        parameter.requires_grad_(not any(part in name for part in family.unused + more))
    inner = next(child for child in model.children() if type(child) is type(encoder))
    return model, inner
