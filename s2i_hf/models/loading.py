"""Loading weights from a folder or the Hub, with one sentence where they are not what was expected."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def check_model_name(name: str) -> None:
    """Raise FileNotFoundError for the path of a folder that is not there; what is no path may be on the Hub."""
    local = name.startswith((".", "/", "~")) or name.count("/") > 1 or ("/" in name and Path(name).parent.is_dir())
    if local and not Path(name).is_dir():
        raise FileNotFoundError(f"model folder {name!r} does not exist; expected a run folder or a Hub id.")


def model_type(name: str) -> str:
    """`model_type` of the config in a folder or Hub repository. Raises FileNotFoundError if there is none."""
    from transformers import AutoConfig

    check_model_name(name)
    if Path(name).is_dir() and not (Path(name) / "config.json").is_file():
        raise FileNotFoundError(f"{name!r} holds no config.json; expected the folder of a finished run (did it end?).")
    try:
        return str(AutoConfig.from_pretrained(name).model_type)
    except (OSError, ValueError) as error:
        raise FileNotFoundError(
            f"cannot load model {name!r} ({_first_line(error)}); expected a run folder or a Hub id."
        ) from None


def load_weights(model_class: Any, name: str, **changes: Any) -> tuple[Any, set[str]]:
    """`model_class.from_pretrained(name)` that accepts nothing but a whole encoder.

    Args:
        model_class: Class of transformers.
        name: Folder or Hub id.
        **changes: Further arguments of `from_pretrained`, such as fields of the config.

    Returns:
        The model, and the names of the weights that were not in the checkpoint, all of them the decoder's.

    Raises:
        ValueError: unreadable weights, weights that do not fit their config, or an encoder that is not whole.
    """
    from safetensors import SafetensorError
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # its table of what was not used; what matters of it is checked below
    try:
        model, report = model_class.from_pretrained(name, output_loading_info=True, **changes)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ValueError(
            f"cannot load the weights in {name!r} ({_first_line(error)}); expected a complete model."
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


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
