"""Where a number comes from: command, commit, hardware, and the environment that `s2i env` prints and every run leaves in its folder.

All of it is published. So no path, no name of a user or machine, no address, and of environment variables only those listed here, whose
values are numbers or switches. It must work where something is broken: a package that cannot be imported is reported, not raised.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ..utils.files import write_json

ENVIRONMENT = "environment.json"  # in a run folder

# name on the package index -> the extra that brings it; "" for what is always there
PACKAGES: dict[str, str] = {
    **dict.fromkeys(("s2i-hf", "torch", "transformers", "accelerate", "datasets", "evaluate", "huggingface-hub"), ""),
    **dict.fromkeys(("safetensors", "tokenizers", "numpy", "pyarrow", "PyYAML", "Jinja2", "filelock"), ""),
    **{"numba": "fast", "matplotlib": "viz", "diffusers": "diffusers", "tensorboard": "track"},
    **dict.fromkeys(("onnx", "onnxruntime", "onnxscript"), "export"),
    **dict.fromkeys(("scipy", "Pillow", "torchvision"), ""),
}
VARIABLES: tuple[str, ...] = (
    *("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HUB_DISABLE_XET", "TOKENIZERS_PARALLELISM"),
    *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "CUDA_LAUNCH_BLOCKING", "PYTORCH_ALLOC_CONF"),
    *("ACCELERATE_USE_CPU", "ACCELERATE_MIXED_PRECISION", "WORLD_SIZE"),
)
_HARMLESS = re.compile(r"[\w.,:-]{0,60}")  # no slash: paths are not published


def public_command(argv: Sequence[str] | None = None, cwd: str | Path | None = None) -> str:
    """The command line of this process without machine paths, so that it can be published.

    Paths inside the working folder or this repository become relative; paths below a folder named by an environment variable `S2I_*` or
    below the home folder keep their tail (`$S2I_REAL_DATA/NW-UCLA`, `~/runs`); any other absolute path becomes a placeholder
    named after its flag (`--data_dir $DATA_DIR`). `python -m s2i_hf` is written as `s2i`, or as it was launched on several processes.
    """
    launched = int(os.environ.get("WORLD_SIZE", "1")) if argv is None else 1
    argv = list(sys.argv if argv is None else argv)
    base = Path.cwd() if cwd is None else Path(cwd)
    program, name, flag = Path(argv[0]), _public_path(argv[0], base, ""), ""
    if program.name == "s2i" or program.parts[-2:] == ("s2i_hf", "__main__.py"):
        words = [f"accelerate launch --num_processes {launched} -m s2i_hf" if launched > 1 else "s2i"]
    else:
        words = [f"python {name}" if name.endswith(".py") else program.name]
    for word in argv[1:]:
        typed, equals, value = word.partition("=") if word.startswith("-") else ("", "", word)
        flag = typed or flag
        words.append(typed + equals + (_public_path(value, base, flag) if equals or not typed else ""))
    return " ".join(words)


def _public_path(word: str, base: Path, flag: str) -> str:
    """`word` without machine paths: one path, or several as in `--data a,b` and `--data_dir a=DIR,b=DIR`."""
    if os.path.exists(word) or not {",", "="} & set(word):
        return _public_part(word, base, flag)
    return "".join(part if part in ",=" else _public_part(part, base, flag) for part in re.split("([,=])", word))


def _public_part(word: str, base: Path, flag: str) -> str:
    if not word.startswith(("/", "~", "../")) and not Path(word).is_absolute():
        return shlex.quote(word)
    # not resolve(): a link keeps the name the user gave it
    path = Path(os.path.abspath(base / Path(word).expanduser()))
    for start in (base, base.resolve(), Path(__file__).resolve().parents[2]):  # the last: this repository
        if path.is_relative_to(start):
            return shlex.quote(path.relative_to(start).as_posix())
    for name, folder in sorted(os.environ.items()):
        if name.startswith("S2I_") and Path(folder).is_absolute() and path.is_relative_to(folder):
            return f"${name}/{path.relative_to(folder).as_posix()}".removesuffix("/.")
    home = Path.home()
    if home != Path("/") and path.is_relative_to(home):
        return f"~/{path.relative_to(home).as_posix()}"
    return f"${flag.lstrip('-').replace('-', '_').upper()}" if flag else path.name


def current_commit() -> str:
    """Commit of the running code: 12 hex digits, "-dirty" if a tracked file differs, "unknown" outside a git checkout.

    The table of results itself may differ: a measurement that is written there does not make the next one dirty.
    """
    here = Path(__file__).resolve()

    def git(*arguments: str) -> str | None:
        try:
            words = ["git", "-C", str(here.parent), *arguments]
            done = subprocess.run(words, capture_output=True, text=True, timeout=20)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    # An installed copy may lie inside somebody else's checkout, whose commit says nothing about this code.
    if git("ls-files", "--error-unmatch", here.name) is None:
        return "unknown"
    commit = git("rev-parse", "--short=12", "HEAD")
    if not commit:
        return "unknown"
    changes = git("status", "--porcelain", "--untracked-files=no", "--", ":/", ":(top,exclude)model_cards/results.csv")
    return commit if changes == "" else f"{commit}-dirty"


def hardware_name(device: Any = None) -> str:
    """What computed: the GPU's name for a CUDA device, else the processor and the cores this process may use."""
    if device is not None and str(device).startswith("cuda"):
        import torch

        return torch.cuda.get_device_name(device)
    name = platform.processor() or platform.machine() or "CPU"
    # where it is not Linux the platform's own name does
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:
        name = next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), name)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return f"{name} ({cores} core{'s' if cores != 1 else ''})"


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


def write_environment(run_dir: Path) -> None:
    """Write `describe_environment()` into a run folder, as what its model was made with."""
    write_json(run_dir / ENVIRONMENT, describe_environment())


def _installed(name: str, extra: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return f"not installed (pip install 's2i-hf[{extra}]')" if extra else "not installed"


def _devices() -> dict[str, Any]:
    devices: dict[str, Any] = {"cpu cores": os.cpu_count()}
    if hasattr(os, "sched_getaffinity"):
        devices["cpu cores usable"] = len(os.sched_getaffinity(0))
    if hasattr(os, "sysconf") and {"SC_PAGE_SIZE", "SC_PHYS_PAGES"} <= set(os.sysconf_names):
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
    if torch.backends.mps.is_available():
        found["mps"] = "available"
    return found


def run(as_json: bool = False) -> None:
    """Print it, as text to paste into a bug report or as one JSON object."""
    facts = describe_environment()
    if as_json:
        print(json.dumps(facts, indent=1))
        return
    for title, part in facts.items():
        if part:
            print(f"{title}:", *(f"{name}: {value}" for name, value in part.items()), sep="\n  ", flush=True)
