"""A model and the `SkeletonProcessor` that makes its images, from a run folder or the Hub.

A model trained here has its processor in its folder. Weights of photographs come with a processor that cuts photographs, of which only the
size of the image and the mean and deviation of the pixels mean anything for skeletons.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

import torch
from transformers import AutoModelForImageClassification, PreTrainedConfig, PreTrainedModel

from ..data.skeleton_rows import SkeletonRows
from ..processing.image_processing_skeleton import SkeletonProcessor
from .backbones import FAMILIES, Family, fits, sides_of
from .building import Size
from .configuration_pooled_vit import side_and_patch
from .initialization import shown_size
from .loading import load_config, load_weights, model_file, read_object
from .vision_weights import local_name

# --- processors -------------------------------------------------------------------------------------------------------


def processor_for(config: PreTrainedConfig, name: str, size: Size | None = None, **options: Any) -> SkeletonProcessor:
    """The processor for a model of this config.

    Args:
        name: Folder or Hub id of the model; also "config:tiny" and the like, which has none.
        size: Side of the images, or (height, width), for a model that takes several; the model's own if None.
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
            values, _ = SkeletonProcessor.get_image_processor_dict(local_name(name))
    if values.get("image_processor_type") == "SkeletonProcessor":
        own: Any = options if size is None else {"size": size, **options}
        processor = SkeletonProcessor.from_pretrained(name, **own)
    else:
        fallback = FAMILIES.get(str(config.model_type), Family("", ""))
        numbers = zip(("image_mean", "image_std"), fallback.mean_std, strict=True)
        found: dict[str, Any] = {key: values.get(key) or known for key, known in numbers}
        processor = SkeletonProcessor(**{"size": size or _size(config, values), **found, **options})
    check_size(processor, config)
    return processor


def layout_note(processor: SkeletonProcessor, layouts: Iterable[str]) -> str:
    """A sentence where an encoder learned from skeletons of another joint format than these clips; "" where it did not, or may have."""
    known = processor.layout if isinstance(processor.layout, str | None) else processor.layout["name"]
    found = sorted(set(map(str, layouts)))
    if known is None or found == [known]:
        return ""
    return f"The encoder learned from {known} skeletons, and these are {', '.join(found)}."


def _size(config: PreTrainedConfig, values: dict[str, Any]) -> Size:
    """Size of the images where nobody asked for one: that of the weights' own processor if the model takes several, else the config's."""
    known = side_and_patch(config)[0]
    for key in ("crop_size", "size"):
        sides = values.get(key)
        side = sides.get("height", sides.get("shortest_edge")) if isinstance(sides, dict) else sides
        if isinstance(side, int) and fits(config, side):
            return side
    return known if isinstance(known, int | list | tuple) else 224


def check_size(processor: SkeletonProcessor, config: PreTrainedConfig) -> None:
    """Raise ValueError if a processor makes images that the model does not take."""
    size = processor.size["height"], processor.size["width"]
    if not fits(config, size):
        made = f"images of {shown_size(size)} pixels"
        raise ValueError(
            f"the processor makes {made}, but the model takes {sides_of(config)}; give both the same size."
        )


# --- classifiers ------------------------------------------------------------------------------------------------------


def is_classifier(name: str) -> bool:
    """Whether a folder or Hub repository holds a classifier. Raises FileNotFoundError if there is no model at all."""
    return any("ForImageClassification" in word for word in load_config(name).architectures or [])


def check_classifier(name: str) -> None:
    """Raise ValueError if a folder or Hub repository holds another kind of model, FileNotFoundError if it holds none."""
    if not is_classifier(name):
        kind = load_config(name).model_type
        raise ValueError(f"{name!r} is a {kind!r} without a classifier's head; expected the folder of a fine-tuning.")


def open_classifier(name: str) -> tuple[PreTrainedModel, SkeletonProcessor]:
    """The classifier in the folder of a fine-tuning or on the Hub, ready to predict, and the `SkeletonProcessor` that makes its images.

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
    if file is None or read_object(file, name).get("image_processor_type") != "SkeletonProcessor":
        raise ValueError(f"{name!r} has no SkeletonProcessor (preprocessor_config.json); how are its images made?")
    return model.float().eval(), SkeletonProcessor.from_pretrained(name)


def class_names_of(model: Any) -> list[str]:
    """Names of a classifier's classes, in the order of their labels; of the model or its config."""
    config = getattr(model, "config", model)
    return [str(config.id2label[index]) for index in sorted(config.id2label)]


def check_classes(model: PreTrainedModel, rows: SkeletonRows, name: str) -> None:
    """Raise ValueError unless the classes of a classifier are those of the clips, in the same order, and every clip has one."""
    known = class_names_of(model)
    if rows.class_names and (differing := class_difference(known, list(rows.class_names))):
        raise ValueError(f"{name!r} does not fit the data: {differing}; use its own data.")
    if len(rows) == 0:
        raise ValueError("there are no test clips; check the data folder and the protocol.")
    low, high = rows.labels.min(), rows.labels.max()
    if low < 0 or high >= len(known):
        raise ValueError(f"test labels go from {low} to {high}; {name!r} has {len(known)} classes.")


def class_difference(known: list[str], names: list[str]) -> str:
    """How the classes of a classifier differ from these, in words; "" if they do not."""
    if len(known) != len(names):
        return f"it has {len(known)} classes, and here are {len(names)}"
    pairs = [(index, *pair) for index, pair in enumerate(zip(known, names, strict=True)) if pair[0] != pair[1]]
    return f"its class {pairs[0][0]} is {pairs[0][1]!r}, and here it is {pairs[0][2]!r}" if pairs else ""


def pick_device(name: str) -> str:
    """The device of `--device`: an accelerator, if there is one, for "auto"."""
    return name if name != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
