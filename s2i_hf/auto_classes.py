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

    from .image_processing_skeleton import SkeletonProcessor

    class SkeletonImageConfig(PreTrainedConfig):
        model_type = "s2i_skeleton_image"

    module.AutoImageProcessor.register(
        SkeletonImageConfig, image_processor_classes={"pil": SkeletonProcessor}, exist_ok=True
    )


def register_diffmae(module: ModuleType) -> None:
    """Register DiffMAE with `AutoConfig` and, once its module is loaded, with `AutoModel` and `AutoModelForPreTraining`.

    The two modules of transformers and the config of ViTMAE need each other, so this is tried when either module has run, and the first
    time that all is there counts. The modeling code needs more than that: a stand-in imports it when it is used.
    """
    try:
        from .models.configuration_diffmae import DiffMAEConfig
    except (ImportError, AttributeError):  # in the middle of their imports; the outer one comes by here again
        return

    class Later:
        """Stands for a model class until somebody asks it for something."""

        config_class = DiffMAEConfig

        def __init__(self, name: str) -> None:
            self.__name__ = name

        def __getattr__(self, attribute: str) -> Any:
            modeling = importlib.import_module(".models.modeling_diffmae", __package__)
            return getattr(getattr(modeling, self.__name__), attribute)

    configs: Any
    models: Any
    configs, models = (sys.modules.get(name) for name in (_CONFIGS, _MODELS))
    if hasattr(configs, "AutoConfig"):
        configs.AutoConfig.register(DiffMAEConfig.model_type, DiffMAEConfig, exist_ok=True)
    if hasattr(models, "AutoModelForPreTraining"):
        models.AutoModel.register(DiffMAEConfig, Later("DiffMAEModel"), exist_ok=True)
        models.AutoModelForPreTraining.register(DiffMAEConfig, Later("DiffMAEForPreTraining"), exist_ok=True)


_CONFIGS, _MODELS = "transformers.models.auto.configuration_auto", "transformers.models.auto.modeling_auto"
REGISTER: dict[str, Callable[[ModuleType], None]] = {
    AUTO_MODULE: register,
    _CONFIGS: register_diffmae,
    _MODELS: register_diffmae,
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
