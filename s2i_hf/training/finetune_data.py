"""Before a fine-tuning: the classifier and its images, the clips it learns from, and what would go wrong later, said now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from ..data.skeleton_rows import SkeletonRows
from ..evaluation.features import check_depth
from ..evaluation.probes import check_labels
from ..evaluation.validation_splits import validation_split
from ..models.classification import build_classifier
from ..models.saved_models import check_size, layout_note, processor_for
from ..processing.layouts import get_layout
from .finetune_arguments import FinetuneArguments

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from ..processing.image_processing_skeleton import SkeletonProcessor


def load_classifier(
    arguments: FinetuneArguments, rows: SkeletonRows
) -> tuple[PreTrainedModel, SkeletonProcessor, list[str]]:
    """The classifier and its processor for these training clips.

    The class names of the `SkeletonRows` become id2label, and their layouts, or `arguments.to_layout`, that of the processor.

    Returns:
        Model, `SkeletonProcessor`, and the loading report in sentences, and one where clips are of another joint format.

    Raises:
        ValueError, FileNotFoundError: as of `models.classification.build_classifier` and `class_names_of`.
    """
    layouts = sorted(set(map(str, rows.layouts)))
    if arguments.to_layout is not None:
        layouts = [get_layout(arguments.to_layout).name]
    options = {name: getattr(arguments, name) for name in ("pooling", "drop_path", "encoder", "seed")}
    model, notes = build_classifier(arguments.model, class_names_of(rows), image_size=arguments.size, **options)
    before = processor_for(model.config, arguments.model, arguments.size)
    layout = layouts[0] if len(layouts) == 1 else None  # of several, each clip says its own
    options = {name: value for name in ("stream", "people") if (value := getattr(arguments, name)) is not None}
    processor = processor_for(model.config, arguments.model, arguments.size, layout=layout, **options)
    if not arguments.from_scratch:
        notes += filter(None, [layout_note(before, layouts)])
        if before.stream != processor.stream:
            notes.append(f"The encoder learned from {before.stream} images, and these are {processor.stream} images.")
    return model, processor, notes


def class_names_of(rows: SkeletonRows) -> list[str]:
    """Names of the classes of the training clips, by label; "0", "1" ... where the data has no names.

    Raises:
        ValueError: there are no clips, clips without a label, or clips of one class only.
    """
    check_labels(rows.labels, data=rows.name)
    names = [str(name) for name in rows.class_names]
    if names and rows.labels.max() >= len(names):
        raise ValueError(f"A training clip has label {rows.labels.max()}, but there are {len(names)} class names.")
    return names or [str(label) for label in range(int(rows.labels.max()) + 1)]


def choose_clips(arguments: FinetuneArguments, rows: SkeletonRows) -> tuple[SkeletonRows, SkeletonRows | None]:
    """The clips to learn from, and those to choose the best epoch by (None without validation), both of the training clips.

    The share of labels is drawn first, so that validation clips count as labelled clips, too.

    Raises:
        ValueError: a share that leaves a class without a clip to learn from.
    """
    if arguments.label_share < 1:
        from ..data.label_subsets import stratified_share

        rows = rows.select(stratified_share(rows.labels, arguments.label_share, arguments.label_seed))
    share, kind = arguments.validation_share, arguments.validation
    if share == 0:
        return rows, None
    groups = {"subjects": rows.subjects, "cameras": rows.cameras}.get(kind)
    if groups is not None and len(found := np.unique(groups)) < 2:
        all_of = f"all {len(rows)} are of {kind[:-1]} {found[0]}"
        of_whom = all_of if found[0] >= 0 else f"nothing says of which {kind} these {len(rows)} are"
        raise ValueError(
            f"--validation {kind} needs training clips of several {kind}, and {of_whom}; pass --validation stratified."
        )
    generator = np.random.Generator(np.random.Philox(key=arguments.seed))
    if kind == "subjects":
        held, _ = validation_split(rows.subjects, rows.labels, arguments.seed)
    elif kind == "cameras":
        held = np.asarray(rows.cameras) == generator.permutation(np.unique(rows.cameras))[0]
    else:
        held = np.zeros(len(rows), dtype=bool)
        for label in np.unique(rows.labels):
            clips = generator.permutation(np.flatnonzero(rows.labels == label))
            held[clips[: round(len(clips) * share)]] = True
    lost = sorted(set(rows.labels.tolist()) - set(rows.labels[~held].tolist()))
    if lost:
        names = ", ".join(str(rows.class_names[label]) if rows.class_names else str(label) for label in lost[:3])
        raise ValueError(
            f"--validation {kind} leaves {len(lost)} classes without a clip to learn from ({names}); hold out fewer."
        )
    if not held.any():
        raise ValueError(f"--validation {kind} holds out none of {len(rows)} training clips; hold out more.")
    return rows.select(np.flatnonzero(~held)), rows.select(np.flatnonzero(held))


def check_fit(
    model: PreTrainedModel, processor: SkeletonProcessor, rows: SkeletonRows, test: SkeletonRows, rotations: int = 1
) -> None:
    """Say before training what would not work after it.

    Raises:
        ValueError: labels that the model has no output for, images of another size, no test clips, or `rotations` of clips in pixels.
    """
    if len(test) == 0:
        raise ValueError(
            f"The data{f' ({rows.name})' if rows.name else ''} has no test clips, on which the classifier would be tested; put some into a "
            "folder named test, or check the data folder and the protocol."
        )
    classes = len(class_names_of(rows))
    if model.config.num_labels != classes:
        raise ValueError(
            f"The model has {model.config.num_labels} classes, but the training clips have {classes}; build it for them."
        )
    if test.labels.min() < 0 or test.labels.max() >= classes:
        wrong = int(((test.labels < 0) | (test.labels >= classes)).sum())
        raise ValueError(f"{wrong} test clips have no label among the {classes} classes; check data and protocol.")
    check_size(processor, model.config)
    for layout in set(test.layouts) if rotations > 1 else ():
        check_depth(layout)


def balanced_weights(labels: np.ndarray, num_classes: int) -> torch.Tensor:
    """(C,) weights of the classes, inversely as frequent as their clips; 1 on the average of the clips, and for absent classes."""
    counts = np.bincount(labels, minlength=num_classes)
    weights = np.where(counts > 0, len(labels) / ((counts > 0).sum() * np.maximum(counts, 1)), 1.0)
    return torch.from_numpy(weights.astype(np.float32))
