"""Loading a model that can fill in motion, with the processor that was saved beside it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..models.loading import load_weights, model_type
from ..processing.image_processing_skeleton import SkeletonProcessor
from ..runs.run_folder import RunFolder


def load_infilling_model(name: str) -> tuple[Any, SkeletonProcessor]:
    """A pretrained MAE or DiffMAE, decoder included, in evaluation mode, and its processor.

    Args:
        name: Run folder or Hub id.

    Raises:
        ValueError: a model of another kind, one without its decoder, or one that predicts something else than its own image.
        FileNotFoundError: there is no such folder or repository.
    """
    from transformers import ViTMAEForPreTraining

    from ..models.building_diffmae import register_auto_classes
    from ..models.modeling_diffmae import DiffMAEForPreTraining

    register_auto_classes()
    classes: dict[str, Any] = {"vit_mae": ViTMAEForPreTraining, "diffmae": DiffMAEForPreTraining}
    kind = model_type(name)
    if kind not in classes:
        raise ValueError(
            f"model {name!r} is a {kind!r}, which cannot fill in motion; expected a 'vit_mae' or 'diffmae'."
        )
    if Path(name).is_dir() and RunFolder(Path(name)).settings.get("target", "joint") != "joint":
        raise ValueError(
            f"model {name!r} was trained to predict the motion stream of its image, so it cannot fill gaps of the image; take one "
            "pretrained with --target joint."
        )
    try:
        processor = SkeletonProcessor.from_pretrained(name)
    except (OSError, TypeError, ValueError) as error:
        raise ValueError(
            f"{name!r} has no usable preprocessor_config.json ({' '.join(str(error).split())[:120].rstrip('.')}); expected a run "
            "folder of the pretraining examples."
        ) from None
    with _no_progress_bar():
        model, absent = load_weights(classes[kind], name)
    if absent:
        raise ValueError(
            f"{name!r} holds no decoder ({len(absent)} tensors are missing), so it cannot fill in anything; take the folder of the "
            "pretraining run."
        )
    return model.eval(), processor


@contextlib.contextmanager
def _no_progress_bar() -> Iterator[None]:
    """Without the bar that transformers draws on stderr for each file of weights."""
    from transformers.utils import logging

    before = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if before:
            logging.enable_progress_bar()
