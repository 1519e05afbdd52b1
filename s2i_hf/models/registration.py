"""Makes the Auto classes of transformers know ours, without importing transformers.

`import s2i_hf` must stay light, so nothing is imported for the registration: if the module of `AutoImageProcessor` is loaded already, our
processor is registered at once, and otherwise as soon as somebody loads it.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

AUTO_MODULE = "transformers.models.auto.image_processing_auto"


def register(module: ModuleType) -> None:
    """Register `SkeletonProcessor` with the `AutoImageProcessor` of `module`.

    `AutoImageProcessor` looks a processor up by the class name in preprocessor_config.json among the registered ones, whatever the model
    beside it. Registration wants a config class as key; the stock ViT and ViTMAE configs belong to the stock processors, so the key is
    a config of our own.
    """
    from transformers.configuration_utils import PreTrainedConfig

    from ..processing.image_processing_skeleton import SkeletonProcessor

    class SkeletonImageConfig(PreTrainedConfig):
        model_type = "s2i_skeleton_image"

    module.AutoImageProcessor.register(
        SkeletonImageConfig, image_processor_classes={"pil": SkeletonProcessor}, exist_ok=True
    )


# Config classes of our own models, and which of their classes which Auto class makes, as "module.Class" in `models`.
OWN_MODELS: dict[str, dict[str, str]] = {
    "configuration_diffmae.DiffMAEConfig": {
        "AutoModel": "modeling_diffmae.DiffMAEModel",
        "AutoModelForPreTraining": "modeling_diffmae.DiffMAEForPreTraining",
    },
    "configuration_pooled_vit.PooledViTConfig": {
        "AutoModelForImageClassification": "modeling_pooled_vit.PooledViTForImageClassification",
    },
    "configuration_pooled_backbone.PooledBackboneConfig": {
        "AutoModelForImageClassification": "modeling_pooled_backbone.PooledBackboneForImageClassification",
    },
}


def _own_class(name: str) -> Any:
    module, _, name = name.partition(".")
    return getattr(importlib.import_module(f".{module}", __package__), name)


class _Later:
    """Stands for a model class until somebody asks it for something."""

    def __init__(self, name: str, config_class: type) -> None:
        self._name, self.config_class = name, config_class
        self.__name__ = name.rpartition(".")[2]

    def __getattr__(self, attribute: str) -> Any:
        return getattr(_own_class(self._name), attribute)


def register_models(module: ModuleType) -> None:
    """Register our models with `AutoConfig` and, once their module is loaded, with the Auto classes of models.

    Modules of transformers and the configs that ours derive from need one another, so this is tried when each of them has run, and what is
    there by then counts. The modeling code needs more than that: a stand-in imports it when it is used.
    """
    for name, classes in OWN_MODELS.items():
        try:
            config_class = _own_class(name)
        except (ImportError, AttributeError):  # in the middle of its imports; whoever is importing comes by here again
            continue
        configs: Any = sys.modules.get(_CONFIGS)  # only now: the import of a config may have loaded them
        models: Any = sys.modules.get(_MODELS)
        if hasattr(configs, "AutoConfig"):
            configs.AutoConfig.register(config_class.model_type, config_class, exist_ok=True)
        for auto_class, model in classes.items():
            if hasattr(models, auto_class):
                getattr(models, auto_class).register(config_class, _Later(model, config_class), exist_ok=True)


_CONFIGS, _MODELS = "transformers.models.auto.configuration_auto", "transformers.models.auto.modeling_auto"
_BASES = ("transformers.models.vit.configuration_vit", "transformers.models.vit_mae.configuration_vit_mae")
REGISTER: dict[str, Callable[[ModuleType], None]] = {
    AUTO_MODULE: register,
    **dict.fromkeys((_CONFIGS, _MODELS, *_BASES), register_models),
    **{f"{__package__}.{name.partition('.')[0]}": register_models for name in OWN_MODELS},
}


class _RegisterAfterImport(importlib.abc.MetaPathFinder):
    """Finds a module as Python would, and registers once it has run."""

    _searching = False

    def __init__(self, name: str) -> None:
        self.name = name

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self.name or self._searching:
            return None
        self._searching = True  # ask the other finders, without this one
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._searching = False
        if spec is None or spec.loader is None:
            return spec
        loader_exec = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            loader_exec(module)
            if self in sys.meta_path:
                sys.meta_path.remove(self)
            REGISTER[self.name](module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def install() -> None:
    """Register with every Auto module that is loaded now, and with the others when they will be."""
    for name, enter in REGISTER.items():
        if name in sys.modules:
            enter(sys.modules[name])
        elif not any(isinstance(finder, _RegisterAfterImport) and finder.name == name for finder in sys.meta_path):
            sys.meta_path.insert(0, _RegisterAfterImport(name))
