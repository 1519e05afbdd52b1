"""Makes the Auto classes of transformers know ours, without importing transformers or any of our classes.

The Auto classes have tables of names ("vit" -> "ViTConfig") and import a class from `transformers.models.vit` when they need it. Our names
are entered as soon as the module of such a table has run, be it before or after `import s2i_hf`. Python has no other place for "after
that import" than `sys.meta_path`. And this module stands where `transformers.models.diffmae` would be: it imports a class when asked.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import Any

OWN_MODELS: dict[str, dict[str, str]] = {
    "diffmae": {
        "AutoConfig": "configuration_diffmae.DiffMAEConfig",
        "AutoModel": "modeling_diffmae.DiffMAEModel",
        "AutoModelForPreTraining": "modeling_diffmae.DiffMAEForPreTraining",
    },
    "pooled_vit": {
        "AutoConfig": "configuration_pooled_vit.PooledViTConfig",
        "AutoModelForImageClassification": "modeling_pooled_vit.PooledViTForImageClassification",
    },
    "pooled_backbone": {
        "AutoConfig": "configuration_pooled_vit.PooledBackboneConfig",
        "AutoModelForImageClassification": "modeling_pooled_vit.PooledBackboneForImageClassification",
    },
}
"""`model_type` -> Auto class -> "module.Class" in this folder."""

PIPELINES: dict[str, tuple[str, tuple[str, ...]]] = {
    "skeleton-classification": (
        "pipeline_skeleton.SkeletonClassificationPipeline",
        ("AutoModelForImageClassification",),
    ),
    "skeleton-feature-extraction": (
        "pipeline_skeleton.SkeletonFeatureExtractionPipeline",
        ("AutoModel", "AutoModelForImageClassification"),
    ),
}
"""Task -> "module.Class" in inference/, and the Auto classes that open its models, the first that can."""

RECTANGULAR = {"AutoModelForPreTraining": "modeling_rectangular_mae.RectangularViTMAE"}
"""What opens a ViTMAE of rectangular images, whose model type is the stock one."""

_PROCESSOR = "s2i_skeleton"  # the model type that our processor stands under; it works with any model
_PIPELINES = "transformers.pipelines"
_AUTO_MODULES = {
    f"transformers.models.auto.{name}_auto" for name in ("configuration", "modeling", "image_processing")
} | {_PIPELINES}
_TABLES = {
    "AutoConfig": "CONFIG_MAPPING_NAMES",
    "AutoModel": "MODEL_MAPPING_NAMES",
    "AutoModelForPreTraining": "MODEL_FOR_PRETRAINING_MAPPING_NAMES",
    "AutoModelForImageClassification": "MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES",
}
_HOMES = {"SkeletonProcessor": "..processing.image_processing_skeleton"}  # class -> its module


def own_classes(config: Mapping[str, Any]) -> dict[str, str]:
    """Auto class -> "module.Class" in this folder, of the model that a config.json describes; {} for one of transformers."""
    if "RectangularViTMAE" in (config.get("architectures") or ()):
        return RECTANGULAR
    return OWN_MODELS.get(str(config.get("model_type", "")), {})


def enter_names(auto_module: ModuleType) -> None:
    """Enter our names into the tables that an Auto module of transformers has, or into its pipelines."""
    if auto_module.__name__ == _PIPELINES:
        return _enter_pipelines(auto_module)
    tables = vars(auto_module)
    for model_type in (_PROCESSOR, *OWN_MODELS):
        sys.modules[f"transformers.models.{model_type}"] = sys.modules[__name__]
    for model_type, classes in OWN_MODELS.items():
        for auto_class, home in classes.items():
            module, _, name = home.partition(".")
            _HOMES[name] = f".{module}"
            tables.get(_TABLES[auto_class], {})[model_type] = name
        for table in tables.values():
            if hasattr(table, "_reverse_config_mapping"):  # made of the configs that were known when the module ran
                table._reverse_config_mapping[classes["AutoConfig"].partition(".")[2]] = model_type
    tables.get("IMAGE_PROCESSOR_MAPPING_NAMES", {})[_PROCESSOR] = {"pil": "SkeletonProcessor"}


def _enter_pipelines(pipelines: ModuleType) -> None:
    """Register ours under their tasks."""
    import transformers

    for task, (home, auto_classes) in PIPELINES.items():
        if task not in pipelines.PIPELINE_REGISTRY.get_supported_tasks():
            module, _, name = home.partition(".")
            found = getattr(import_module(f"..inference.{module}", __package__), name)
            models = tuple(getattr(transformers, auto_class) for auto_class in auto_classes)
            pipelines.PIPELINE_REGISTRY.register_pipeline(task, found, models, type="image")


def __getattr__(name: str) -> type:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name], __package__), name)  # type: ignore[no-any-return]


class _Loader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        enter_names(module)


class _Finder(MetaPathFinder):
    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path) if fullname in _AUTO_MODULES else None  # type: ignore[arg-type]
        if spec is not None and spec.origin is not None:
            spec.loader = _Loader(fullname, spec.origin)
        return spec


def install() -> None:
    """Enter our names into the Auto modules that are loaded now, and into the others when they will be."""
    for name in _AUTO_MODULES & set(sys.modules):
        enter_names(sys.modules[name])
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
