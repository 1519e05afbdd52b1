"""Loading weights from a folder or the Hub, with one sentence where they are not what was expected, and a report of what became of them.

A run that starts from weights says so before it trains: which parts of the checkpoint were loaded, which are unused (another task's head, a
text encoder), and what was newly initialised.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from torch import nn

from ..processing.suggestions import did_you_mean
from ..utils.hub_errors import first_line, has_hub_file, hub_file
from ..utils.progress import quiet_transformers
from .initialization import patch_grid, shown_size
from .vision_weights import announced_digest, is_vision, local_name

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

Model = TypeVar("Model", bound="PreTrainedModel")

_WHOLE, _INDEX = "model.safetensors", "model.safetensors.index.json"
_PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")
# A word of a tensor's name -> the part of the model it belongs to; whatever has none of them is the encoder.
_PART_OF = {
    "decoder": "decoder", "denoiser": "denoiser", "pooler": "pooling layer",
    "classifier": "head", "cls_classifier": "head", "distillation_classifier": "head", "fc_norm": "head",
    "text_model": "text encoder", "text_projection": "text encoder", "visual_projection": "text encoder",
    "logit_scale": "text encoder", "logit_bias": "text encoder",
}  # fmt: skip

# --- loading ----------------------------------------------------------------------------------------------------------


def check_model_name(name: str) -> None:
    """Raise FileNotFoundError for the path of a folder that is not there; what is no path may be on the Hub, or come with the package."""
    if name.startswith("config:"):
        raise FileNotFoundError(f"model {name!r} has no weights; expected a run folder, vision:tiny or a Hub id.")
    name = local_name(name)
    path = Path(name)
    if path.is_file():
        raise FileNotFoundError(f"model {name!r} is a file; expected the folder that it lies in, or a Hub id.")
    local = name.startswith((".", "/", "~")) or name.count("/") > 1 or ("/" in name and path.parent.is_dir())
    if local and not path.is_dir():
        beside = [one.name for one in path.parent.iterdir() if one.is_dir()] if path.parent.is_dir() else []
        close = did_you_mean(path.name, beside)
        raise FileNotFoundError(f"model folder {name!r} does not exist; expected a run folder or a Hub id.{close}")


def load_config(name: str) -> PreTrainedConfig:
    """The config in a folder or Hub repository.

    Raises:
        FileNotFoundError: there is none, or the Hub does not give it; the message says why and what to do.
    """
    from transformers import AutoConfig

    check_model_name(name)
    file = model_file(name, "config.json")
    if file is None:
        wanted = "the folder of a finished run (did it end?)" if Path(name).is_dir() else "a pushed model"
        raise FileNotFoundError(f"{name!r} holds no config.json; expected {wanted}.")
    read_object(file, name)
    try:
        return AutoConfig.from_pretrained(local_name(name))
    except (OSError, ValueError) as error:
        reason = f"cannot load model {name!r} ({first_line(error)})"
        raise FileNotFoundError(f"{reason}; expected a run folder or a Hub id.") from None


def model_file(name: str, file: str) -> Path | None:
    """Path of a file such as "config.json" in a folder or Hub repository, None if there is none; raises what `load_config` raises."""
    name = local_name(name)
    if not Path(name).is_dir():
        try:
            return hub_file(name, file)
        except FileNotFoundError as error:
            raise FileNotFoundError(f"cannot load model {name!r}, which is no folder here: {error}") from None
    path = Path(name) / file
    return path if path.is_file() else None


def read_object(file: Path, name: str) -> dict[str, Any]:
    """The JSON object in a file of a model. Raises FileNotFoundError if it holds none."""
    with suppress(ValueError):  # bytes that are no text are one, too
        if isinstance(content := json.loads(file.read_text(encoding="utf-8")), dict):
            return content
    damage = f"{file.name} is damaged, it holds no JSON object"
    raise FileNotFoundError(f"cannot load model {name!r}: {damage}; save or push it again.")


def weight_files(name: str) -> list[Path]:
    """The safetensors files of the weights in a folder or Hub repository, fetched from there.

    Raises:
        ValueError: the weights are pickles, not there, or lack a file.
        FileNotFoundError: the Hub does not give them.
    """
    if (whole := model_file(name, _WHOLE)) is not None:
        return [whole]
    index = model_file(name, _INDEX)
    if index is None:
        here = Path(name).is_dir()
        if any((Path(name) / pickle).is_file() if here else has_hub_file(name, pickle) for pickle in _PICKLES):
            raise ValueError(
                f"model {name!r} has its weights as pickles (.bin) only, which may run code when they are read, and is not loaded; if "
                "you trust it, load it with transformers, write it with save_pretrained(DIR), and pass DIR and its processor."
            )
        reason = f"cannot load the weights in {name!r}: no {_WHOLE} is there"
        raise ValueError(f"{reason}; expected a complete model (did its run end?).")
    shards = read_object(index, name).get("weight_map")
    if not isinstance(shards, dict) or not shards:
        raise ValueError(f"{_INDEX} of model {name!r} is damaged: it names no files of weights; save the model again.")
    files = []
    for shard in sorted(set(map(str, shards.values()))):
        if (file := model_file(name, shard)) is None:
            raise ValueError(f"model {name!r} lacks {shard}, a part of its weights; save or push it again.")
        files.append(file)
    return files


def _check_sum(file: Path, name: str) -> None:
    """Compare a file in the cache of the Hub with its SHA-256, which the cache calls it by; one of the package with that beside it."""
    ours = is_vision(name)
    wanted = announced_digest(name) if ours else file.resolve().name
    if not ours and (not file.is_symlink() or not re.fullmatch("[0-9a-f]{64}", wanted)):
        return
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    if digest == wanted:
        return
    which = f"(SHA-256 {digest[:12]}..., not {wanted[:12]}...)"
    if ours:
        raise ValueError(f"{file.name} of {name!r} is not what it was packed as {which}; install s2i-hf again.")
    raise ValueError(
        f"{file.name} of {name!r} is not what the Hub announced {which}: damaged on the way or changed in the cache; remove it with "
        f"`hf cache rm model/{name}` and load it again."
    )


def load_weights(model_class: type[Model], name: str, **changes: Any) -> tuple[Model, set[str]]:
    """`model_class.from_pretrained(name, **changes)` that accepts nothing but a whole encoder.

    Returns:
        The model, and the names of the weights that were not in the checkpoint, all of them the decoder's.

    Raises:
        ValueError: unreadable weights, pickles, weights that do not fit their config, or an encoder that is not whole.
        FileNotFoundError: the Hub does not give them.
    """
    from safetensors import SafetensorError

    for file in weight_files(name):
        _check_sum(file, name)
    try:
        with quiet_transformers():
            loaded: Any = model_class.from_pretrained(
                local_name(name), output_loading_info=True, use_safetensors=True, **changes
            )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = f"cannot load the weights in {name!r} ({first_line(error)})"
        raise ValueError(f"{reason}; they are damaged or cut off: save, push or fetch the model again.") from None
    model, report = loaded
    absent = sorted(key for key in report["missing_keys"] if not key.startswith("decoder."))
    wrong = sorted(key if isinstance(key, str) else key[0] for key in report["mismatched_keys"])
    if wrong:
        raise ValueError(f"the weights in {name!r} do not fit config.json: {len(wrong)} tensors, such as {wrong[0]!r}.")
    if absent:
        raise ValueError(f"the weights in {name!r} lack {len(absent)} encoder tensors, such as {absent[0]!r}.")
    return model, set(report["missing_keys"])


# --- report -----------------------------------------------------------------------------------------------------------


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
    """Name of each tensor in a folder or Hub repository -> its shape, without reading the tensors; {} where there are none to read."""
    from safetensors import SafetensorError, safe_open

    shapes: dict[str, tuple[int, ...]] = {}
    try:
        for path in weight_files(source):
            with safe_open(path, framework="pt") as file:
                shapes |= {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (OSError, ValueError, SafetensorError):  # load_weights says what is wrong with a file
        return {}
    return shapes


def checkpoint_parts(source: str) -> dict[str, Part]:
    """The parts of a checkpoint, "encoder" and maybe "decoder", "denoiser", "head" ..., the largest first; {} if unknown."""
    parts: dict[str, Part] = {}
    for name, shape in checkpoint_shapes(source).items():
        part = next((_PART_OF[word] for word in name.split(".") if word in _PART_OF), "encoder")
        before = parts.get(part, Part(0, 0))
        parts[part] = Part(before.tensors + 1, before.numbers + prod(shape))
    return dict(sorted(parts.items(), key=lambda item: -item[1].numbers))


def unused(parts: Mapping[str, Part], used: Iterable[str]) -> str:
    """A sentence about the parts of a checkpoint that a model does not use; "" if the checkpoint could not be looked into."""
    rest = [f"its {name} ({part})" for name, part in parts.items() if name not in set(used)]
    return f"Unused: {' and '.join(rest) or 'nothing'}." if parts else ""


def part_of(module: nn.Module) -> Part:
    """Tensors and numbers of a module in memory."""
    state = module.state_dict()
    return Part(len(state), sum(tensor.numel() for tensor in state.values()))


def start_notes(source: str, model: Any, seed: int = 0) -> list[str]:
    """The loading report, in sentences, of the model that `build_mae` or `build_diffmae` made of a source: loaded, new, unused."""
    config = model.config
    grid = f"{shown_size(patch_grid(config))} patches of {config.patch_size} pixels"
    if source.startswith("config:"):
        return [
            f"Newly initialised: all weights of {source}, seed {seed}, {part_of(model).numbers:,} numbers.",
            f"Positions: the fixed sine-cosine table of {grid}.",
        ]
    name, layers = ("denoiser", "blocks") if hasattr(model, "denoiser") else ("decoder", "decoder_layers")
    decoder = getattr(model, name)
    depth = len(getattr(decoder, layers))
    size = f"{depth} layer{'s' if depth > 1 else ''} of width {config.decoder_hidden_size}: {part_of(decoder)}"
    kind = f"{config.decoder_type} decoder" if name == "denoiser" else "decoder"
    parts = checkpoint_parts(source)
    before = patch_grid(load_config(source))
    table = f"the checkpoint's table of {grid}"
    if before != patch_grid(config):
        table = f"the sine-cosine table of {grid}, made anew in place of the checkpoint's of {shown_size(before)}"
    notes = [
        f"Loaded: the encoder of {shown(source)!r}, all {config.num_hidden_layers} layers of width {config.hidden_size}, bit for bit: "
        f"{part_of(model.vit)}.",
        f"Positions: {table}, which stays fixed.",
    ]
    if parts:
        made = f"Loaded: its {kind}" if name in parts else f"Newly initialised: a {kind} (seed {seed})"
        notes += [f"{made}, {size}.", unused(parts, ("encoder", name))]
    return notes
