"""Classifiers on pretrained encoders: whose weights go where, and a head for these classes.

The default is the stock `ViTForImageClassification`, which `pipeline` and everybody's code can load. What reads the patch tokens instead of
the CLS token has classes of its own, with model types of their own, so that it cannot be mistaken for the stock one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import ViTConfig, ViTForImageClassification

from .backbones import fresh_classifier, load_backbone
from .building import Size, check_sizes, encoder_fields, size_fields, weights_of_size
from .configuration_pooled_vit import POOLINGS, PooledViTConfig, check_choice
from .initialization import initialize_mae, patch_grid, shown_size
from .layerwise import set_drop_path
from .loading import checkpoint_parts, load_config, load_weights, part_of, shown, unused
from .modeling_pooled_vit import PooledViTForImageClassification
from .saved_models import class_difference, class_names_of, is_classifier

# Deviation of the new head's weights. As MAE has it: the first predictions are uniform whatever the features are and however many
# (columns have thousands), so that the first steps teach the head before they disturb the encoder.
HEAD_STD = 2e-5
_HEAD_KEPT = "Loaded: the head of"
_VIT_LIKE = ("vit", "vit_mae", "diffmae", "pooled_vit")


def build_classifier(
    source: str,
    class_names: Sequence[str],
    *,
    pooling: str = "cls",
    drop_path: float = 0.0,
    image_size: Size | None = None,
    patch_size: int = 16,
    encoder: str = "pretrained",
    head: str = "auto",
    seed: int = 0,
) -> tuple[Any, list[str]]:
    """A classifier for these classes on the encoder of a checkpoint, or on one from scratch.

    Args:
        source: A size for a ViT from scratch ("config:micro", "config:tiny", "config:small", "config:base", "config:large"); "vision:tiny",
            weights that come with the package; or a folder or Hub id of a ViTMAE, DiffMAE, ViT, an earlier classifier, or a model of
            another family (see `backbones.FAMILIES`).
        class_names: Names of the classes, in the order of their labels; they become id2label and label2id.
        pooling: What the head reads. "cls": the stock classifier of the family (for a ViT its CLS token). "mean": mean of the patch tokens.
            "columns": mean over time of each patch column, side by side.
        drop_path: Largest probability of stochastic depth; see `set_drop_path`.
        image_size: Side of the images in pixels, or (height, width); that of the checkpoint if None (224 for a size).
        patch_size: Side of a patch of a size; checkpoints come with their own.
        encoder: "pretrained", or "untrained" for the same architecture with new weights of `seed`: the arm from scratch.
        head: For an earlier classifier. "auto": kept if it has the same classes, new otherwise. "keep": refused unless it has. "new".
        seed: Seed of the new weights, of the head's as well; the global random state is left as it was.

    Returns:
        The model, in training mode with every weight trainable (positions as well, as in MAE's fine-tuning), and the loading report:
        sentences about what was loaded, newly initialised, and unused.

    Raises:
        ValueError: fewer than two classes or a name twice; an unknown size, pooling, encoder or kind of model; weights of another image
            size or that are not whole; a head of other classes that was to be kept.
        FileNotFoundError: the folder or repository does not exist.
    """
    names = [str(name) for name in class_names]
    if len(names) < 2:
        raise ValueError(f"there {'is 1 class' if names else 'are no classes'}; a classifier needs at least two.")
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise ValueError(f"the class name {twice[0]!r} stands for more than one class; expected names that differ.")
    check_choice("pooling", pooling, POOLINGS)
    check_choice("encoder", encoder, ("pretrained", "untrained"))
    check_choice("head", head, ("auto", "keep", "new"))
    labels: dict[str, Any] = {
        "id2label": dict(enumerate(names)),
        "label2id": {name: index for index, name in enumerate(names)},
        "problem_type": "single_label_classification",
    }
    if source.startswith("config:"):
        fields = size_fields(source, image_size or 224, patch_size)
        plain = {name: value for name, value in fields.items() if not name.startswith("decoder_")}
        model = _fresh_vit({**plain, **labels}, pooling, seed)
        notes = [f"Newly initialised: the encoder, {source} (seed {seed}).", _new_head(model)]
    else:
        model, note = _on_encoder(source, labels, pooling, image_size, encoder, seed)
        notes = [note, _take_head(model, source, names, head if encoder == "pretrained" else "new")]
        if encoder == "pretrained":
            used = ("encoder", "head") if notes[-1].startswith(_HEAD_KEPT) else ("encoder",)
            notes += filter(None, [unused(checkpoint_parts(source), used)])
    set_drop_path(model, drop_path)
    return model.train(), notes


def _on_encoder(
    source: str, labels: dict[str, Any], pooling: str, image_size: Size | None, encoder: str, seed: int
) -> tuple[Any, str]:
    """A classifier with the encoder of a checkpoint, or with one like it, and a new head; and a sentence about the encoder."""
    config: Any = load_config(source)
    more, size = "", None
    if config.model_type in _VIT_LIKE:
        size = check_sizes(source, config, image_size)
        model = _fresh_vit({**encoder_fields(config), **labels, "image_size": size}, pooling, seed)
        inner, before, grid = model.vit, patch_grid(config), patch_grid(model.config)
        whose = (
            "the checkpoint's"
            if before == grid
            else f"in place of the checkpoint's {shown_size(before)}, new sine-cosine"
        )
        more = f" It has {config.num_hidden_layers} layers of width {config.hidden_size}; {whose} {shown_size(grid)} positions are "
        more += "trained from here on."
    else:
        model, inner = fresh_classifier(load_backbone(source), labels, pooling, image_size, source, seed)
        initialize_head(model, seed)
    if encoder == "untrained":
        return model, f"Newly initialised: an encoder as that of {shown(source)!r} (seed {seed})."
    loaded = load_backbone(source)
    weights = weights_of_size(source, loaded, size) if size else loaded.state_dict()
    return model, copy_encoder(inner, weights, source) + more


def _fresh_vit(fields: dict[str, Any], pooling: str, seed: int) -> Any:
    with torch.random.fork_rng(devices=[]):  # the constructors draw weights that are overwritten here
        model: Any = (
            ViTForImageClassification(ViTConfig(**fields))
            if pooling == "cls"
            else PooledViTForImageClassification(PooledViTConfig(**fields, pooling=pooling))
        )
    initialize_mae(model.vit, seed)
    initialize_head(model, seed)
    return model.requires_grad_(True)  # positions too, which `initialize_mae` freezes for pretraining


# --- heads and weights ------------------------------------------------------------------------------------------------


def initialize_head(model: Any, seed: int) -> None:
    """New weights for `classifier` (and nothing else): truncated normal of deviation 2e-5, zero bias; the same for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    nn.init.trunc_normal_(model.classifier.weight, 0.0, HEAD_STD, -2 * HEAD_STD, 2 * HEAD_STD, generator)
    nn.init.zeros_(model.classifier.bias)


def copy_encoder(target: nn.Module, given: Mapping[str, Tensor], source: str) -> str:
    """Copy weights into `target`, bit for bit, and say so in a sentence; ValueError if one is missing or does not fit."""
    wanted = target.state_dict()
    wrong = [name for name, tensor in wanted.items() if name not in given or given[name].shape != tensor.shape]
    if wrong:
        shown_wrong = f"{len(wrong)} tensors, such as {wrong[0]!r}"
        raise ValueError(f"the weights of {source!r} do not fit the classifier's encoder: {shown_wrong}.")
    target.load_state_dict({name: given[name] for name in wanted})
    left = [name for name in given if name not in wanted]
    also = f" Unused of it: {', '.join(left[:3])}{' ...' if len(left) > 3 else ''}." if left else ""
    return f"Loaded: the encoder of {shown(source)!r}, bit for bit: {part_of(target)}.{also}"


def _new_head(model: Any) -> str:
    head = model.classifier
    return f"Newly initialised: the head, {head.in_features} features -> {head.out_features} classes."


def _take_head(model: Any, source: str, names: list[str], head: str) -> str:
    """Put an earlier classifier's head into the model if it fits, and say so in a sentence; ValueError if it was to be kept."""
    config: Any = load_config(source)
    known = class_names_of(config) if is_classifier(source) else None
    if head == "new" or (known is None and head == "auto"):
        return _new_head(model)
    reason = "it has none" if known is None else class_difference(known, names)
    poolings = [getattr(one, "pooling", "cls") for one in (config, model.config)]
    if not reason and (type(model).__name__ not in config.architectures or poolings[0] != poolings[1]):
        reason = "it reads other features"
    if not reason and config.model_type in _VIT_LIKE and patch_grid(config) != patch_grid(model.config):
        reason = "it reads images of another size"
    if reason and head == "keep":
        raise ValueError(f"the head of {source!r} cannot be kept: {reason}; set head to 'new' to train another.")
    if reason:
        return f"{_new_head(model)} That of {shown(source)!r} is unused: {reason}."
    model.load_state_dict(load_weights(type(model), source)[0].state_dict())
    return f"{_HEAD_KEPT} {shown(source)!r}, as its {len(names)} classes are the same."
