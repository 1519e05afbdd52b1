"""Loading weights from a folder or the Hub, with one sentence where they are not what was expected."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from ..utils.hub_errors import first_line, has_hub_file, hub_file

_WHOLE, _INDEX = "model.safetensors", "model.safetensors.index.json"
_PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")


def check_model_name(name: str) -> None:
    """Raise FileNotFoundError for the path of a folder that is not there; what is no path may be on the Hub."""
    local = name.startswith((".", "/", "~")) or name.count("/") > 1 or ("/" in name and Path(name).parent.is_dir())
    if local and not Path(name).is_dir():
        raise FileNotFoundError(f"model folder {name!r} does not exist; expected a run folder or a Hub id.")


def model_type(name: str) -> str:
    """`model_type` of the config in a folder or Hub repository.

    Raises:
        FileNotFoundError: there is none, or the Hub does not give it; the message says why and what to do.
    """
    from transformers import AutoConfig

    check_model_name(name)
    file = model_file(name, "config.json")
    if file is None and Path(name).is_dir():
        raise FileNotFoundError(f"{name!r} holds no config.json; expected the folder of a finished run (did it end?).")
    if file is None:
        raise FileNotFoundError(f"the repository {name!r} has no config.json; expected a pushed model.")
    check_object(file, name)
    try:
        return str(AutoConfig.from_pretrained(name).model_type)
    except (OSError, ValueError) as error:
        raise FileNotFoundError(
            f"cannot load model {name!r} ({first_line(error)}); expected a run folder or a Hub id."
        ) from None


def model_file(name: str, file: str) -> Path | None:
    """Path of one file of a model, None if there is none of this name.

    Args:
        name: Folder or Hub id.
        file: Such as "preprocessor_config.json".

    Raises:
        FileNotFoundError: the Hub does not give it; the message says why and what to do.
    """
    if not Path(name).is_dir():
        try:
            return hub_file(name, file)
        except FileNotFoundError as error:
            raise FileNotFoundError(f"cannot load model {name!r}: {error}") from None
    path = Path(name) / file
    return path if path.is_file() else None


def check_object(file: Path, name: str) -> None:
    """Raise FileNotFoundError unless a file of a model holds a JSON object."""
    try:
        whole = isinstance(json.loads(file.read_text(encoding="utf-8")), dict)
    except ValueError:  # bytes that are no text are one, too
        whole = False
    if not whole:
        raise FileNotFoundError(
            f"cannot load model {name!r}: {file.name} is damaged, it holds no JSON object; save or push it again."
        )


def check_weight_files(name: str) -> None:
    """Look at the files of the weights before anything is loaded from them.

    Args:
        name: Folder or Hub id. Of a repository the weights are fetched, and their SHA-256 compared with that on the Hub.

    Raises:
        ValueError: they are pickles, not there, or not what the Hub has.
        FileNotFoundError: the Hub does not give them.
    """
    file = model_file(name, _WHOLE)
    index = None if file else model_file(name, _INDEX)
    if index is not None:
        check_object(index, name)
        shards = json.loads(index.read_text(encoding="utf-8")).get("weight_map")
        if not isinstance(shards, dict) or not shards:
            raise ValueError(
                f"{_INDEX} of model {name!r} is damaged: it names no files of weights; save the model again."
            )
        for shard in sorted(set(map(str, shards.values()))):
            part = model_file(name, shard)
            if part is None:
                raise ValueError(f"model {name!r} lacks {shard}, a part of its weights; save or push it again.")
            _check_sum(part, name)
    elif file is not None:
        _check_sum(file, name)
    elif any(
        (Path(name) / pickle).is_file() if Path(name).is_dir() else has_hub_file(name, pickle) for pickle in _PICKLES
    ):
        raise ValueError(
            f"model {name!r} has its weights as pickles (.bin) only, which may run code when they are read, and is not loaded; if you "
            "trust it, load it with transformers, write it with save_pretrained(DIR), and pass DIR and its processor."
        )
    else:
        raise ValueError(
            f"cannot load the weights in {name!r}: no {_WHOLE} is there; expected a complete model (did its run end?)."
        )


def _check_sum(file: Path, name: str) -> None:
    """Compare a file in the cache of the Hub with its SHA-256, which the cache calls it by."""
    wanted = file.resolve().name
    if not file.is_symlink() or not re.fullmatch("[0-9a-f]{64}", wanted):
        return
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    if digest != wanted:
        raise ValueError(
            f"{file.name} of {name!r} is not what the Hub announced (SHA-256 {digest[:12]}..., not {wanted[:12]}...): damaged on the way "
            f"or changed in the cache; remove it with `hf cache rm model/{name}` and load it again."
        )


def load_weights(model_class: Any, name: str, **changes: Any) -> tuple[Any, set[str]]:
    """`model_class.from_pretrained(name)` that accepts nothing but a whole encoder.

    Args:
        model_class: Class of transformers.
        name: Folder or Hub id.
        **changes: Further arguments of `from_pretrained`, such as fields of the config.

    Returns:
        The model, and the names of the weights that were not in the checkpoint, all of them the decoder's.

    Raises:
        ValueError: unreadable weights, pickles, weights that do not fit their config, or an encoder that is not whole.
        FileNotFoundError: the Hub does not give them.
    """
    from safetensors import SafetensorError
    from transformers.utils import logging

    check_weight_files(name)
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # its table of what was not used; what matters of it is checked below
    try:
        model, report = model_class.from_pretrained(name, output_loading_info=True, use_safetensors=True, **changes)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ValueError(
            f"cannot load the weights in {name!r} ({first_line(error)}); they are damaged or cut off: save, push or fetch the model again."
        ) from None
    finally:
        logging.set_verbosity(verbosity)
    absent = sorted(key for key in report["missing_keys"] if not key.startswith("decoder."))
    wrong = sorted(key if isinstance(key, str) else key[0] for key in report["mismatched_keys"])
    if wrong:
        raise ValueError(
            f"the weights in {name!r} do not fit their config.json: {len(wrong)} tensors, such as {wrong[0]!r}."
        )
    if absent:
        raise ValueError(f"the weights in {name!r} lack {len(absent)} encoder tensors, such as {absent[0]!r}.")
    return model, set(report["missing_keys"])
