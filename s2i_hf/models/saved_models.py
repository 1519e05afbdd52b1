"""A fine-tuned classifier back from its run folder or the Hub: whole weights, the recipe of its images, the names of its classes."""

from __future__ import annotations

import json
from typing import Any

from ..data.skeleton_rows import SkeletonRows
from .loading import check_object, load_weights, model_file, model_type


def is_classifier(name: str) -> bool:
    """Whether a folder or Hub repository holds a classifier. Raises FileNotFoundError if there is no model at all."""
    from transformers import AutoConfig

    model_type(name)  # says what is wrong with the name
    return any("ForImageClassification" in word for word in AutoConfig.from_pretrained(name).architectures or [])


def check_classifier(name: str) -> None:
    """Raise ValueError if a folder or Hub repository holds another kind of model, FileNotFoundError if it holds none."""
    if not is_classifier(name):
        raise ValueError(
            f"{name!r} is a {model_type(name)!r} without a classifier's head; expected the folder of a fine-tuning."
        )


def open_classifier(name: str) -> tuple[Any, Any]:
    """A classifier, ready to predict, and the `SkeletonProcessor` that makes its images.

    Args:
        name: Folder written by a fine-tuning, or Hub id.

    Raises:
        FileNotFoundError: there is no such model.
        ValueError: it is no classifier, its weights are not whole, or no `SkeletonProcessor` is beside it.
    """
    from transformers import AutoModelForImageClassification

    from ..processing.image_processing_skeleton import SkeletonProcessor

    check_classifier(name)
    model, fresh = load_weights(AutoModelForImageClassification, name)
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
    """Names of a classifier's classes, in the order of their labels."""
    return [str(model.config.id2label[index]) for index in sorted(model.config.id2label)]


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
    import torch

    return name if name != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
