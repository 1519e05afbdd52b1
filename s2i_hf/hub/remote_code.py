"""The code a pushed model needs where `s2i_hf` is not installed: flat files beside it, and the `auto_map` that points to them.

transformers runs such files with `trust_remote_code=True`. It finds them by their `from .x import`, so a file may import files beside it
and nothing else of this package; `code_files` follows these imports and refuses what would not work there.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..models.registration import OWN_MODELS, PIPELINES, RECTANGULAR, own_classes

PROCESSOR_CLASS = "image_processing_skeleton.SkeletonProcessor"
_PACKAGE = Path(__file__).parents[1]
# Files that versions before this one pushed, under names that are no longer used.
_EARLIER = (
    "augmentation", "backbone_tokens", "configuration_pooled_backbone", "counter_noise", "diffmae_decoder", "loading", "missing",
    "pooled_backbone", "pooled_vit", "positions", "sampling", "schedule", "temporal", "wording",
)  # fmt: skip
_HEADER = "# A file of s2i-hf {version} (Apache-2.0), for `trust_remote_code=True`; with the package installed it is not used.\n"


def custom_pipelines(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a config.json says of our pipeline for its model: one alone, so that `pipeline(model=...)` needs no task."""
    classifies = any("ForImageClassification" in name for name in config.get("architectures") or ())
    task = "skeleton-classification" if classifies else "skeleton-feature-extraction"
    impl, auto_classes = PIPELINES[task]
    return {task: {"impl": impl, "pt": list(auto_classes), "type": "image"}}


def code_files(config: Mapping[str, Any]) -> dict[str, str]:
    """The source files, such as "encoding.py" -> its text, that the processor, the pipeline and the model of a config.json need.

    Raises:
        ValueError: a file imports what is not beside it, or two files have one name: a fault of this package.
    """
    start = [f"processing.{PROCESSOR_CLASS}", *(f"inference.{impl}" for impl, _ in PIPELINES.values())]
    start += [f"models.{name}" for name in own_classes(config).values()]
    waiting = [name.rpartition(".")[0] for name in start]
    found: dict[str, str] = {}
    origin: dict[str, str] = {}
    while waiting:
        module = waiting.pop()
        folder, _, name = module.rpartition(".")
        file = f"{name}.py"
        if origin.setdefault(file, module) != module:
            raise ValueError(f"{origin[file]} and {module} would both be {file} beside a pushed model; rename one.")
        if file not in found:
            text = (_PACKAGE / folder / file).read_text(encoding="utf-8")
            found[file] = _HEADER.format(version=version("s2i-hf")) + text
            waiting += [f"{folder}.{beside}" for beside in _beside(text, module)]
    return dict(sorted(found.items()))


def pushed_code_names() -> frozenset[str]:
    """Names of all code files that may lie beside any pushed model, of this version or an earlier one."""
    models: list[dict[str, Any]] = [{"model_type": name} for name in OWN_MODELS]
    models += [{"architectures": [home.partition(".")[2]]} for home in RECTANGULAR.values()]
    now = frozenset(name for config in models for name in code_files(config))
    return now | {f"{name}.py" for name in _EARLIER}


def _beside(text: str, module: str) -> list[str]:
    """Modules that a file imports from its own folder, at its top or later."""
    names = []
    for node in ast.walk(ast.parse(text)):
        absolute = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            if node.level > 1 or (node.level == 1 and (not node.module or "." in node.module)):
                raise ValueError(
                    f"{module} has a relative import other than `from .x import`; a pushed file needs that."
                )
            if node.level == 1:
                names.append(str(node.module))
            else:
                absolute.append(str(node.module))
        if any(name.partition(".")[0] == "s2i_hf" for name in absolute):
            raise ValueError(f"{module} imports s2i_hf by its name, which a pushed file cannot.")
    return names


def with_code(config: dict[str, Any], classes: dict[str, str]) -> dict[str, Any]:
    """A config.json or preprocessor_config.json that names its classes; one it had from elsewhere goes."""
    plain = {key: value for key, value in config.items() if key not in ("auto_map", "_name_or_path")}
    return {**plain, "auto_map": classes} if classes else plain
