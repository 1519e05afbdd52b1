"""Vision weights that come with the package: small ones of our own, of photographs, for where published ones cannot be had.

Each is a stock folder (config.json, model.safetensors in half precision, a card and LICENSE-weights, its terms), made by
`benchmarks/photographs_package.py`, and goes by a name wherever a model is asked for.
"""

from __future__ import annotations

from pathlib import Path

PREFIX = "vision:"
VISION_WEIGHTS: dict[str, Path] = {"vision:tiny": Path(__file__).with_name("tiny")}
DIGESTS = "SHA256SUMS"  # beside the weights, as `sha256sum -c` reads it
TERMS_FILE = "LICENSE-weights"
# What cards call the terms in TERMS_FILE, which hold for every model that goes on from such weights.
TERMS = "imagenet-non-commercial-research"


def is_vision(name: str) -> bool:
    """Whether a model is asked for by a name of this package's own."""
    return name.startswith(PREFIX)


def local_name(name: str) -> str:
    """The folder of "vision:tiny"; any other model's name as it is.

    Raises:
        ValueError: there are no such vision weights.
        FileNotFoundError: they are not in this installation.
    """
    if not is_vision(name):
        return name
    if name not in VISION_WEIGHTS:
        raise ValueError(
            f"model is {name!r}; the vision weights that come with s2i-hf are {', '.join(VISION_WEIGHTS)}."
        )
    folder = VISION_WEIGHTS[name]
    if not (folder / "model.safetensors").is_file():
        raise FileNotFoundError(f"the weights of {name!r} are not in this installation; install s2i-hf again.")
    return str(folder)


def announced_digest(name: str) -> str:
    """SHA-256, in hex, that the weights of "vision:tiny" were packed with."""
    return (VISION_WEIGHTS[name] / DIGESTS).read_text(encoding="utf-8").split()[0]


def terms_text() -> str:
    """The terms, to go with a model."""
    return (VISION_WEIGHTS["vision:tiny"] / TERMS_FILE).read_text(encoding="utf-8")
