"""`s2i env`: what a bug report needs to know of a machine, and nothing that should stay private.

A run leaves the same facts in its folder, as environment.json, and takes them along to the Hub.

No path, no name of a user or machine, no address, and of environment variables only those listed here, whose values are numbers or
switches. It must work where something is broken, so a package that cannot be imported is reported, not raised.
"""

from __future__ import annotations

import json
import os
import platform
import re
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ..utils.files import write_atomically
from .results import current_commit

ENVIRONMENT = "environment.json"  # in a run folder

# name on the package index -> the extra that brings it; "" for what is always there
PACKAGES: dict[str, str] = {
    **dict.fromkeys(
        (
            *("s2i-hf", "torch", "transformers", "accelerate", "datasets", "evaluate", "huggingface-hub"),
            *("safetensors", "tokenizers", "numpy", "scikit-learn", "pyarrow", "PyYAML"),
        ),
        "",
    ),
    "numba": "fast",
    "matplotlib": "viz",
    "diffusers": "diffusers",
    "tensorboard": "track",
    **dict.fromkeys(("onnx", "onnxruntime", "onnxscript"), "export"),
    **dict.fromkeys(("scipy", "Pillow", "torchvision"), ""),
}
VARIABLES: tuple[str, ...] = (
    *("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HUB_DISABLE_XET", "TOKENIZERS_PARALLELISM"),
    *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "CUDA_LAUNCH_BLOCKING", "PYTORCH_ALLOC_CONF"),
    *("ACCELERATE_USE_CPU", "ACCELERATE_MIXED_PRECISION", "WORLD_SIZE"),
)
_HARMLESS = re.compile(r"[\w.,:-]{0,60}")  # no slash: a path is nobody's business


def describe_environment() -> dict[str, Any]:
    """What `s2i env` shows, as JSON types.

    Returns:
        "system", "packages" and "devices": name -> fact; "variables": those of `VARIABLES` that are set.
    """
    return {
        "system": {
            "python": platform.python_version(),
            "platform": f"{platform.system()} {platform.machine()}",
            "kernel": platform.release() if platform.system() != "Linux" else platform.release().split("-")[0],
            "commit of s2i-hf": current_commit(),
        },
        "packages": {name: _installed(name, extra) for name, extra in PACKAGES.items()},
        "devices": _devices(),
        "variables": {
            name: value if _HARMLESS.fullmatch(value) else "(set, not shown)"
            for name in VARIABLES
            if (value := os.environ.get(name)) is not None
        },
    }


def write_environment(run_dir: str | Path) -> Path:
    """Write `describe_environment()` into a run folder, as what its model was made with."""
    path = Path(run_dir) / ENVIRONMENT
    write_atomically(path, json.dumps(describe_environment(), indent=2) + "\n")
    return path


def _installed(name: str, extra: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return f"not installed (pip install 's2i-hf[{extra}]')" if extra else "not installed"


def _devices() -> dict[str, Any]:
    devices: dict[str, Any] = {"cpu cores": os.cpu_count()}
    if hasattr(os, "sched_getaffinity"):
        devices["cpu cores usable"] = len(os.sched_getaffinity(0))
    with_memory = hasattr(os, "sysconf") and {"SC_PAGE_SIZE", "SC_PHYS_PAGES"} <= set(os.sysconf_names)
    if with_memory:
        devices["memory"] = f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB"
    try:
        devices |= _accelerators()
    except Exception as error:  # a broken torch is what the report is about
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        devices["torch"] = f"does not work: {type(error).__name__}: {re.sub(r'(/[^/ ]+)+/', '.../', first)}"
    return devices


def _accelerators() -> dict[str, Any]:
    import torch

    found: dict[str, Any] = {
        "torch built for": f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU, or no CUDA",
        "torch threads": torch.get_num_threads(),
    }
    for index in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(index)
        memory, capability = f"{facts.total_memory / 2**30:.0f} GiB", f"{facts.major}.{facts.minor}"
        found[f"cuda:{index}"] = f"{facts.name}, {memory}, compute capability {capability}"
    if torch.cuda.is_available():
        found["cudnn"] = torch.backends.cudnn.version()
        found["bf16"] = torch.cuda.is_bf16_supported()
    if getattr(torch.backends, "mps", None) is not None and torch.backends.mps.is_available():
        found["mps"] = "available"
    return found


def run(as_json: bool = False) -> int:
    """Print it, as text to paste into a bug report or as one JSON object."""
    facts = describe_environment()
    if as_json:
        print(json.dumps(facts, indent=1))
        return 0
    for title, part in facts.items():
        if part:
            print(f"{title}:")
            for name, value in part.items():
                print(f"  {name}: {value}")
    sys.stdout.flush()
    return 0
