"""Makes the Auto classes of transformers know ours, without importing transformers.

`import s2i_hf` must stay light, so nothing is imported for the registration: if the module of `AutoImageProcessor` is loaded already, our
processor is registered at once, and otherwise as soon as somebody loads it.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType

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


class _RegisterAfterImport(importlib.abc.MetaPathFinder):
    """Finds `AUTO_MODULE` as Python would, and registers once it has run."""

    _searching = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != AUTO_MODULE or self._searching:
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
            register(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def install() -> None:
    """Register now if `AutoImageProcessor` is loaded, else when it will be."""
    if AUTO_MODULE in sys.modules:
        register(sys.modules[AUTO_MODULE])
    elif not any(isinstance(finder, _RegisterAfterImport) for finder in sys.meta_path):
        sys.meta_path.insert(0, _RegisterAfterImport())
