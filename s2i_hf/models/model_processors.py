"""The `SkeletonProcessor` for a model: its own, or one that makes what its weights expect.

A model trained here has one in its folder. Weights of photographs come with a processor that cuts photographs, of which only the size
of the image and the mean and deviation of the pixels mean anything for skeletons.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

from ..processing.image_processing_skeleton import SkeletonProcessor
from .backbone_tokens import side_and_patch, stride_of
from .backbones import FAMILIES, Family, fits


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
    return (
        ""
        if known is None or found == [known]
        else f"The encoder learned from {known} skeletons, and these are {', '.join(found)}."
    )


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
