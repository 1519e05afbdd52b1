"""A model and the `SkeletonProcessor` that makes its images, from a run folder or the Hub.

A model trained here has its processor in its folder. Weights of photographs come with a processor that cuts photographs, of which only the
size of the image and the mean and deviation of the pixels mean anything for skeletons.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from typing import Any

import torch
from transformers import AutoModelForImageClassification, PreTrainedModel

from ..data.skeleton_rows import SkeletonRows
from ..processing.image_processing_skeleton import SkeletonProcessor
from .backbones import FAMILIES, Family, fits
from .configuration_pooled_vit import side_and_patch, stride_of
from .loading import check_object, load_config, load_weights, model_file

# --- processors -------------------------------------------------------------------------------------------------------


def processor_for(config: Any, name: str, size: int | None = None, **options: Any) -> SkeletonProcessor:
    """The processor for a model.

    Args:
        config: Config of the model.
        name: Folder or Hub id of the model; also "config:tiny" and the like, which has none.
        size: Side of the images, for a model that takes several; the model's own if None.
        **options: Options of `SkeletonProcessor` in place of what was found, such as stream="bone".

    Returns:
        The processor in the folder if it is a `SkeletonProcessor`. Otherwise the default recipe, in the size of the model and with mean and
        deviation from its preprocessor_config.json, or where there is none those of the family's published weights.

    Raises:
        ValueError: the model takes no images of this size, or the processor in the folder makes others.
    """
    values: dict[str, Any] = {}
    if not name.startswith("config:"):
        with contextlib.suppress(OSError):  # there is none
            values, _ = SkeletonProcessor.get_image_processor_dict(name)
    if values.get("image_processor_type") == "SkeletonProcessor":
        own: Any = options if size is None else {"size": size, **options}
        processor = SkeletonProcessor.from_pretrained(name, **own)
    else:
        fallback = FAMILIES.get(str(config.model_type), Family("", ""))
        mean, std = (
            values.get(key) or known for key, known in zip(("image_mean", "image_std"), fallback.mean_std, strict=True)
        )
        side = size or _side(config, values)
        processor = SkeletonProcessor(**{"size": side, "image_mean": mean, "image_std": std, **options})
    check_size(processor, config)
    return processor


def layout_note(processor: SkeletonProcessor, layouts: Iterable[str]) -> str:
    """A sentence where an encoder learned from skeletons of another joint format than these clips; "" where it did not, or may have."""
    known = processor.layout if isinstance(processor.layout, str | None) else processor.layout["name"]
    found = sorted(set(map(str, layouts)))
    if known is None or found == [known]:
        return ""
    return f"The encoder learned from {known} skeletons, and these are {', '.join(found)}."


def _side(config: Any, values: dict[str, Any]) -> int:
    """Side of the images where nobody asked for one: that of the weights' own processor if the model takes several, else the config's."""
    known = side_and_patch(config)[0]
    for key in ("crop_size", "size"):
        sides = values.get(key)
        side = sides.get("height", sides.get("shortest_edge")) if isinstance(sides, dict) else sides
        if isinstance(side, int) and fits(config, side):
            return side
    return known if isinstance(known, int) else 224


def check_size(processor: SkeletonProcessor, config: Any) -> None:
    """Raise ValueError if a processor makes images that the model does not take."""
    height, width = processor.size["height"], processor.size["width"]
    if height != width or not fits(config, height):
        family = FAMILIES.get(str(config.model_type))
        several = family is not None and family.any_size
        takes = f"squares of a multiple of {stride_of(config)}" if several else f"{side_and_patch(config)[0]} squares"
        raise ValueError(f"the processor makes {processor.size} images, but the model takes {takes}.")


# --- classifiers ------------------------------------------------------------------------------------------------------


def is_classifier(name: str) -> bool:
    """Whether a folder or Hub repository holds a classifier. Raises FileNotFoundError if there is no model at all."""
    return any("ForImageClassification" in word for word in load_config(name).architectures or [])


def check_classifier(name: str) -> None:
    """Raise ValueError if a folder or Hub repository holds another kind of model, FileNotFoundError if it holds none."""
    if not is_classifier(name):
        raise ValueError(
            f"{name!r} is a {load_config(name).model_type!r} without a classifier's head; expected the folder of a fine-tuning."
        )


def open_classifier(name: str) -> tuple[PreTrainedModel, SkeletonProcessor]:
    """A classifier, ready to predict, and the `SkeletonProcessor` that makes its images.

    Args:
        name: Folder written by a fine-tuning, or Hub id.

    Raises:
        FileNotFoundError: there is no such model.
        ValueError: it is no classifier, its weights are not whole, or no `SkeletonProcessor` is beside it.
    """
    check_classifier(name)
    any_class: Any = AutoModelForImageClassification
    model, fresh = load_weights(any_class, name)
    if fresh:
        raise ValueError(f"the weights in {name!r} lack {len(fresh)} tensors, such as {min(fresh)!r}.")
    file = model_file(name, "preprocessor_config.json")
    if file is not None:
        check_object(file, name)
    values = json.loads(file.read_text(encoding="utf-8")) if file is not None else {}
    if values.get("image_processor_type") != "SkeletonProcessor":
        raise ValueError(f"{name!r} has no SkeletonProcessor (preprocessor_config.json); how are its images made?")
    return model.float().eval(), SkeletonProcessor.from_pretrained(name)


def class_names_of(model: Any) -> list[str]:
    """Names of a classifier's classes, in the order of their labels; of the model or its config."""
    config = getattr(model, "config", model)
    return [str(config.id2label[index]) for index in sorted(config.id2label)]


def check_classes(model: Any, rows: SkeletonRows, name: str) -> None:
    """Raise ValueError unless the classes of a classifier are those of the clips, in the same order, and every clip has one."""
    known, wanted = class_names_of(model), list(rows.class_names)
    if wanted and known != wanted:
        differing = next((pair for pair in zip(known, wanted, strict=False) if pair[0] != pair[1]), None)
        shown = f", such as {differing[0]!r} for {differing[1]!r}" if differing else ""
        raise ValueError(
            f"{name!r} knows {len(known)} classes and the data has {len(wanted)}{shown}; use its own data."
        )
    if len(rows) == 0:
        raise ValueError("there are no test clips; check the data folder and the protocol.")
    if rows.labels.min() < 0 or rows.labels.max() >= len(known):
        raise ValueError(
            f"test labels go from {rows.labels.min()} to {rows.labels.max()}; {name!r} has {len(known)} classes."
        )


def pick_device(name: str) -> str:
    """The device of `--device`: an accelerator, if there is one, for "auto"."""
    return name if name != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
