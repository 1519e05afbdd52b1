"""What a classifier says of recordings: of the whole clip, of windows sliding over a long one, and of each person alone.

Recordings are taken one by one from any iterator, cut into views, and the views of several of them go through the model together.
The probabilities are those of `scoring.predict_scores`, which tests and robustness use as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from ..evaluation.scoring import predict_scores
from ..models.saved_models import class_names_of
from ..processing.image_processing_skeleton import SkeletonProcessor
from ..processing.skeleton_sequence import SkeletonSequence
from ..processing.transforms import prepare
from ..readers import ReadError
from .windows import views, window_and_stride


@dataclass(frozen=True)
class Prediction:
    """The classes of one view of a recording.

    Args:
        file: Where the recording is from.
        sample_id: Its name.
        layout: Name of its joint format.
        num_frames: Frames of the whole recording.
        start, stop: Frames of the view, `stop` excluded.
        start_seconds, stop_seconds: The same in time; None if the frames a second are not known.
        people: People in the view.
        person: Which person it is about, from 0; None: all of them.
        body_id: The sensor's id of this person; None for all of them.
        classes: (name, probability) of the most probable classes, the best first; empty if nobody is in the view.
    """

    file: str
    sample_id: str
    layout: str
    num_frames: int
    start: int
    stop: int
    start_seconds: float | None
    stop_seconds: float | None
    people: int
    person: int | None = None
    body_id: int | None = None
    classes: tuple[tuple[str, float], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return {**vars(self), "classes": [{"label": name, "score": score} for name, score in self.classes]}


_View = tuple[Prediction, dict[str, Any] | None]
"""What is known of part of a recording before it is classified, and its row; None if nobody is in it."""


def predict_clips(
    model: Any,
    processor: SkeletonProcessor,
    clips: Iterable[tuple[str, SkeletonSequence | ReadError]],
    *,
    top_k: int = 5,
    window: int | str | None = None,
    stride: int | str | None = None,
    fps: float | None = None,
    per_person: bool = False,
    batch_size: int = 32,
    device: str | torch.device | None = None,
) -> Iterator[tuple[str, list[Prediction] | ReadError]]:
    """Classify recordings.

    Args:
        model, processor: Classifier and its `SkeletonProcessor`, as `open_classifier` gives them.
        clips: (file name, recording or the error of a broken one), as `inputs.FoundClips.read` gives them.
        top_k: How many classes to name.
        window: Length of the windows in frames or seconds, see `frames_in`; None: each recording as a whole.
        stride: From the start of a window to that of the next; half the window if None.
        fps: Frames a second.
        per_person: Whether each person is classified alone, in every view in which the person is seen.
        batch_size: Views a forward pass.
        device: Where the model runs; where it already is if None.

    Yields:
        File name and the results of one recording, view by view, in the order of `clips`; or what is wrong with it. Joints that a
        sensor lost are filled within a view, so that nobody is made up in windows without them.

    Raises:
        ValueError: a setting makes no sense, or the model's answers are not finite.
    """
    names = class_names_of(model)
    if top_k < 1 or batch_size < 1:
        raise ValueError(f"top_k is {top_k} and batch_size {batch_size}; expected 1 or more.")
    if stride is not None and window is None:
        raise ValueError("--stride is the way from one window to the next; pass --window too.")
    frames = window_and_stride(window, stride, fps)
    waiting: list[tuple[str, list[_View] | ReadError]] = []

    def named(view: Prediction, probabilities: np.ndarray) -> Prediction:
        best = np.argsort(-probabilities, kind="stable")[:top_k]
        return replace(view, classes=tuple((names[index], float(probabilities[index])) for index in best))

    def classified() -> Iterator[tuple[str, list[Prediction] | ReadError]]:
        rows = [row for _, part in waiting if isinstance(part, list) for _, row in part if row is not None]
        found = predict_scores(model, rows, processor, batch_size=batch_size, device=device) if rows else np.empty(0)
        if not np.isfinite(found).all():
            raise ValueError("the model answers with numbers that are not finite; are its weights damaged?")
        scores = iter(np.exp(found.astype(np.float64)))
        for file, part in waiting:
            if isinstance(part, list):
                yield file, [view if row is None else named(view, next(scores)) for view, row in part]
            else:
                yield file, part
        waiting.clear()

    count = 0
    for file, clip in clips:
        part = clip if isinstance(clip, ReadError) else _views(file, clip, frames, per_person, processor.people, fps)
        waiting.append((file, part))
        count += len(part) if isinstance(part, list) else 0
        if count >= batch_size:
            yield from classified()
            count = 0
    yield from classified()


def _views(
    file: str, clip: SkeletonSequence, frames: tuple[int, int] | None, per_person: bool, people: str, fps: float | None
) -> list[_View] | ReadError:
    """The parts of a recording to classify, or why it cannot be."""
    try:  # here, because in a batch nobody would know whose fault it is
        prepare(clip.joints, clip.layout, people)
    except ValueError as error:
        return ReadError(f"{file}: {error}")
    parts: list[_View] = []
    for view in views(clip.joints, frames, fps, per_person):
        body = None if view.person is None else int(clip.body_ids[view.person])
        about = Prediction(
            file, clip.sample_id, clip.layout.name, len(clip.joints), *view[1:], body_id=body
        )  # what a view says of itself, in its order
        row = {"joints": view.joints, "layout": clip.layout, "sample_id": clip.sample_id}
        parts.append((about, row if view.people else None))
    return parts
