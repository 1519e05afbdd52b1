"""Pipelines of transformers for skeletons: `skeleton-classification` and `skeleton-feature-extraction`.

    pipe = pipeline("skeleton-classification", model="user/name", trust_remote_code=True)
    pipe(joints)                                                     # [{"label": "wave", "score": 0.93}, ...]
    pipe("long.skeleton", window="2s", fps=30, per_person=True)      # one dict a window and person, with "classes"

This file is pushed beside a model. Arrays, rows of a data set and .npy files need nothing else; other recordings are read by s2i_hf.
"""

from __future__ import annotations

import shutil
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import numpy as np
import torch
from transformers.pipelines.base import ChunkPipeline

from .windows import views, window_and_stride

_TIMEOUT = 30  # seconds without a byte from a server
_PREPARING = ("layout", "axes", "window", "stride", "fps", "per_person")


class _Clip(NamedTuple):
    """A recording: (T, M, V, 3) joints, their layout, its name, and the frames a second if known."""

    joints: np.ndarray
    layout: Any
    name: str
    fps: float | None


class SkeletonPipeline(ChunkPipeline):
    """Recordings to images, view by view, and through the model.

    A call takes one recording or a list of them: joints as an array (see `SkeletonProcessor`), a row of a data set, or the path or URL of
    a file; a torch Dataset or a generator of these works, too. Options of a call, or of the pipeline:

        layout, axes: As in `SkeletonProcessor`, where a recording does not say them.
        window: Length of sliding windows, in frames (64) or time ("2s", with `fps`); None: each recording as a whole.
        stride: From the start of one window to that of the next; half the window if None.
        fps: Frames a second; what a recording says of them if None.
        per_person: Whether each person is looked at alone.

    Raises:
        ValueError: what is no recording, shows nobody, or needs s2i_hf to be read, or an option that makes no sense.
    """

    answering: tuple[str, ...] = ()  # options of `postprocess`
    image_processor: Any
    model: Any
    _load_processor: Any = False
    _load_image_processor: Any = True
    _load_feature_extractor: Any = False
    _load_tokenizer: Any = False
    _load_video_processor: Any = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not hasattr(self.image_processor, "clips_of"):
            kind = type(self.image_processor).__name__
            raise ValueError(f"the model's processor is {kind}; expected a SkeletonProcessor, pass image_processor=.")

    def _sanitize_parameters(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        preparing = {name: options.pop(name) for name in _PREPARING if name in options}
        after = {name: options.pop(name) for name in self.answering if name in options}
        if options:
            known = ", ".join((*_PREPARING, *self.answering))
            raise TypeError(
                f"the pipeline has no option {next(iter(options))!r}; it has {known} and those of transformers."
            )
        return preparing, {}, after

    def preprocess(  # type: ignore[override]
        self,
        inputs: Any,
        layout: Any = None,
        axes: str | None = None,
        window: int | str | None = None,
        stride: int | str | None = None,
        fps: float | None = None,
        per_person: bool = False,
    ) -> Iterator[dict[str, Any]]:
        """The images of a recording: one, or one for each window and person."""
        if stride is not None and window is None:
            raise ValueError("stride is the way from one window to the next; pass window too.")
        clips = list(self._clips(inputs, layout, axes))
        parts = []
        for clip in clips:
            rate = clip.fps if fps is None else fps
            seen = views(clip.joints, window_and_stride(window, stride, rate), rate, per_person)
            parts += [(clip, view) for view in seen]
        plain = len(clips) == 1 and window is None and not per_person
        for index, (clip, view) in enumerate(parts):
            images = self.image_processor(
                view.joints, layout=clip.layout, axes="TMVC", allow_empty=not plain, return_tensors="pt"
            )
            facts = {"sample_id": clip.name, **view._asdict()}
            del facts["joints"]
            yield {
                "pixel_values": images["pixel_values"].to(self.dtype),
                "facts": None if plain else facts,
                "is_last": index == len(parts) - 1,
            }

    def _clips(self, inputs: Any, layout: Any, axes: str | None) -> Iterator[_Clip]:
        if isinstance(inputs, str | Path):
            with tempfile.TemporaryDirectory() as folder:
                url = isinstance(inputs, str) and inputs.startswith(("http://", "https://"))
                path = _fetched(str(inputs), folder) if url else Path(inputs).expanduser()
                yield from self._recordings(path, layout, axes)
            return
        clips, layouts, _ = self.image_processor.clips_of(inputs, layout, axes)
        name = str(inputs.get("sample_id", "")) if isinstance(inputs, Mapping) else ""
        for clip, one in zip(clips, layouts, strict=True):
            yield _Clip(clip, one, name, None)

    def _recordings(self, path: Path, layout: Any, axes: str | None) -> Iterator[_Clip]:
        if not path.exists():
            raise ValueError(f"{path} is not there; expected the path or URL of a recording, or joints as an array.")
        if find_spec("s2i_hf") is None:
            if path.suffix != ".npy":
                raise ValueError(
                    f"{path.name} is read by s2i_hf, which is not installed: pip install s2i-hf; or pass an array."
                )
            yield from self._clips(np.load(path, allow_pickle=False), layout, axes)
            return
        options = {"axes": axes} if axes else {}
        found = import_module("s2i_hf.inference.inputs").find_clips(
            path, default_layout=self.image_processor.layout, **({"layout": layout} if layout else {}), **options
        )
        count = 0
        for _, clip in found.read():
            if isinstance(clip, Exception):
                raise ValueError(str(clip))
            count += 1
            yield _Clip(clip.joints, clip.layout, clip.sample_id, found.fps)
        if not count:
            raise ValueError(f"{path.name} holds no recording that can be read.")


class SkeletonClassificationPipeline(SkeletonPipeline):
    """The most probable classes of recordings.

    Beside the options of `SkeletonPipeline`: top_k, how many classes to name, 5 if not given.

    Returns:
        [{"label", "score"}, ...] of a recording, the best first. With `window` or `per_person`, or a file of several recordings, a list
        of views: {"sample_id", "start", "stop", "start_seconds", "stop_seconds", "people", "person", "classes": [...]}: person is None
        where it is about all people, and classes are empty where nobody is in a view.
    """

    answering = ("top_k",)

    def _forward(self, model_inputs: dict[str, Any]) -> dict[str, Any]:  # type: ignore[override]
        logits = self.model(pixel_values=model_inputs.pop("pixel_values")).logits
        return {"logits": logits, **model_inputs}

    def postprocess(self, model_outputs: list[dict[str, Any]], top_k: int = 5) -> list[dict[str, Any]]:  # type: ignore[override]
        """Probabilities by name."""
        if top_k < 1:
            raise ValueError(f"top_k is {top_k}; expected 1 or more.")
        found = []
        for output in model_outputs:
            scores = output["logits"][0].float().softmax(-1)
            best = scores.argsort(descending=True, stable=True)[:top_k].tolist()
            names = self.model.config.id2label
            found.append([{"label": names[index], "score": float(scores[index])} for index in best])
        return _answer(model_outputs, "classes", found, [])


class SkeletonFeatureExtractionPipeline(SkeletonPipeline):
    """Features of recordings by an encoder that sees every patch: nothing is hidden, also in a masked autoencoder.

    Beside the options of `SkeletonPipeline`: pooling, "mean" of the patch tokens, the "cls" token, or "none" for all patch tokens.

    Returns:
        (D,) float32 numpy array of a recording, or (L, D) without pooling. With `window` or `per_person`, or a file of several
        recordings, a list of views as of `SkeletonClassificationPipeline`, with "features", None where nobody is in a view.
    """

    answering = ("pooling",)

    def _forward(self, model_inputs: dict[str, Any]) -> dict[str, Any]:  # type: ignore[override]
        pixels = model_inputs.pop("pixel_values")
        encoder = getattr(self.model, self.model.base_model_prefix or "backbone", self.model)
        config, options = encoder.config, {}
        ratio = getattr(config, "mask_ratio", None)
        if ratio is not None:
            count = encoder.embeddings.patch_embeddings.num_patches
            options["noise"] = torch.arange(count, device=pixels.device).expand(len(pixels), -1)  # keeps their order
            config.mask_ratio = 0.0
        try:
            tokens = encoder(pixel_values=pixels, **options).last_hidden_state
        finally:
            if ratio is not None:
                config.mask_ratio = ratio
        return {"tokens": tokens.flatten(2).transpose(1, 2) if tokens.ndim == 4 else tokens, **model_inputs}

    def postprocess(self, model_outputs: list[dict[str, Any]], pooling: str = "mean") -> Any:  # type: ignore[override]
        """Tokens pooled."""
        if pooling not in ("mean", "cls", "none"):
            raise ValueError(f"pooling is {pooling!r}; expected 'mean', 'cls' or 'none'.")
        found = []
        for output in model_outputs:
            tokens = output["tokens"][0].float()
            extra = len(tokens) - self._patches(len(tokens))
            if pooling == "cls" and not extra:
                raise ValueError("this backbone has no token for the whole image; use pooling='mean'.")
            patches = tokens[extra:]
            pooled = {"mean": patches.mean(0), "cls": tokens[0], "none": patches}[pooling]
            found.append(pooled.numpy(force=True))
        return _answer(model_outputs, "features", found, None)

    def _patches(self, tokens: int) -> int:
        """How many of an image's tokens are patches: the last ones; before them are class tokens and registers."""
        patch = getattr(self.model.config, "patch_size", None)
        size = self.image_processor.size
        count = (size["height"] // patch) * (size["width"] // patch) if isinstance(patch, int) else tokens
        return count if count <= tokens else tokens


# -- recordings --------------------------------------------------------------------------------------------------------


def _fetched(url: str, folder: str) -> Path:
    """The file at a URL, below a folder, under its own name. Raises ValueError if the server does not give it."""
    path = Path(folder) / (Path(urlsplit(url).path).name or "recording")
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer, path.open("wb") as file:
            shutil.copyfileobj(answer, file)
    except OSError as error:
        raise ValueError(f"{url} cannot be fetched ({error}); expected the address of a recording.") from None
    return path


def _answer(outputs: list[dict[str, Any]], name: str, found: list[Any], nobody: Any) -> Any:
    """What was found in a recording, or in each of its views beside its facts; `nobody` where nobody is in a view."""
    if outputs[0]["facts"] is None:
        return found[0]
    facts = [output["facts"] for output in outputs]
    return [{**view, name: one if view["people"] else nobody} for view, one in zip(facts, found, strict=True)]
