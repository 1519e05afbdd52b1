"""What a checkpoint holds, and sentences about what of it a model took over, left out and made anew.

A run that starts from weights says so before it trains: that the encoder is whole, whether the decoder came along, and which parts of the
checkpoint (another task's head, a text encoder) are not used. The parts are read from the headers of the safetensors files.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

_WEIGHTS, _INDEX = "model.safetensors", "model.safetensors.index.json"
_HEADER_LIMIT = 100_000_000  # bytes; that of the safetensors library
# A word of a tensor's name -> the part of the model it belongs to; whatever has none of them is the encoder.
_PART_OF = {
    "decoder": "decoder", "denoiser": "denoiser", "pooler": "pooling layer",
    "classifier": "head", "cls_classifier": "head", "distillation_classifier": "head", "fc_norm": "head",
    "text_model": "text encoder", "text_projection": "text encoder", "visual_projection": "text encoder",
    "logit_scale": "text encoder", "logit_bias": "text encoder",
}  # fmt: skip


class Part(NamedTuple):
    """Tensors of one part of a checkpoint, and the numbers in them."""

    tensors: int
    numbers: int

    def __str__(self) -> str:
        return f"{self.tensors:,} tensor{'s' if self.tensors > 1 else ''}, {self.numbers:,} numbers"


def shown(source: str) -> str:
    """A model's name for print and for files: a Hub id or a size as it is, of a folder the last part."""
    return Path(source).expanduser().resolve().name if Path(source).expanduser().is_dir() else source


def checkpoint_shapes(source: str) -> dict[str, tuple[int, ...]]:
    """Name of each tensor on disk -> its shape, without reading the tensors.

    Args:
        source: Folder, or Hub id whose files are in the cache, as they are once it was loaded.

    Returns:
        {} where there are no readable safetensors files.
    """
    try:
        index = _file(source, _INDEX)
        files = [_WEIGHTS]
        if index is not None:
            files = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        paths = [path for name in files if (path := _file(source, name)) is not None]
        return {name: shape for path in paths for name, shape in _shapes(path).items()}
    except (OSError, ValueError, KeyError, AttributeError):  # load_weights says what is wrong with a file
        return {}


def _file(source: str, name: str) -> Path | None:
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder / name if (folder / name).is_file() else None
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(source, name)
    except HFValidationError:
        return None
    return Path(found) if isinstance(found, str) else None


def _shapes(path: Path) -> dict[str, tuple[int, ...]]:
    with path.open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(min(size, _HEADER_LIMIT)))
    return {name: tuple(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}


def checkpoint_parts(source: str) -> dict[str, Part]:
    """The parts of a checkpoint, "encoder" and maybe "decoder", "denoiser", "head" ..., in the order of their sizes; {} if unknown."""
    counts: dict[str, tuple[int, int]] = {}
    for name, shape in checkpoint_shapes(source).items():
        part = next((_PART_OF[word] for word in name.split(".") if word in _PART_OF), "encoder")
        numbers = 1
        for side in shape:
            numbers *= side
        before = counts.get(part, (0, 0))
        counts[part] = (before[0] + 1, before[1] + numbers)
    return {name: Part(*counts[name]) for name in sorted(counts, key=lambda name: -counts[name][1])}


def left_out(parts: Mapping[str, Part], used: Iterable[str]) -> str:
    """A sentence about the parts of a checkpoint that a model does not use; "" if the checkpoint could not be looked into."""
    if not parts:
        return ""
    rest = [f"its {name} ({part})" for name, part in parts.items() if name not in set(used)]
    return f"Left out: {' and '.join(rest) or 'nothing'}."


def part_of(module: nn.Module) -> Part:
    """Tensors and numbers of a module in memory."""
    state = module.state_dict()
    return Part(len(state), sum(tensor.numel() for tensor in state.values()))


def start_notes(source: str, model: Any, seed: int = 0) -> list[str]:
    """Sentences about what a masked autoencoder starts from: taken over, made anew, left out.

    Args:
        source: What `build_mae` or `build_diffmae` was called with.
        model: What it returned: `ViTMAEForPreTraining` or `DiffMAEForPreTraining`.
        seed: Seed of new weights.
    """
    config = model.config
    side = config.image_size // config.patch_size
    grid = f"{side} x {side} patches of {config.patch_size} pixels"
    if source.startswith("config:"):
        return [
            f"All weights are new: {source}, seed {seed}, {part_of(model).numbers:,} numbers.",
            f"Positions: the fixed sine-cosine table of {grid}.",
        ]
    name, layers = ("denoiser", "blocks") if hasattr(model, "denoiser") else ("decoder", "decoder_layers")
    own = getattr(model, name)
    depth = len(getattr(own, layers))
    size = f"{depth} layer{'s' if depth > 1 else ''} of width {config.decoder_hidden_size}"
    kind = f"{config.decoder_type} decoder" if name == "denoiser" else "decoder"
    parts = checkpoint_parts(source)
    notes = [
        f"Encoder: all {config.num_hidden_layers} layers of width {config.hidden_size} are those of {shown(source)!r}, bit for bit: "
        f"{part_of(model.vit)}.",
        f"Positions: the checkpoint's table of {grid}, which stays fixed.",
    ]
    if name in parts:
        notes.append(f"Decoder: its {kind} was taken over too, {size}: {part_of(own)}.")
    elif parts:
        notes.append(f"Decoder: a new {kind} (seed {seed}), {size}: {part_of(own)}.")
    return [*notes, *filter(None, [left_out(parts, ("encoder", name))])]
