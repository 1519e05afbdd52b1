"""Skeleton-to-Image Encoding for transformers: pretrain vision models on 3D skeletons of any joint format.

Names are loaded when they are used, so that `import s2i_hf` costs little and imports no transformers; after it the Auto classes
of transformers know `SkeletonProcessor`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "data.collator": "SkeletonCollator",
    "data.loading": "load_skeletons",
    "data.skeleton_rows": "SkeletonRows as_rows",
    "inference.infilling": "infill",
    "models.backbones": "load_backbone",
    "models.building": "build_diffmae build_mae encoder_of",
    "models.classification": "build_classifier",
    "models.configuration_diffmae": "DiffMAEConfig",
    "models.configuration_pooled_vit": "PooledViTConfig",
    "models.layerwise": "lr_groups set_drop_path",
    "models.modeling_diffmae": "DiffMAEForPreTraining DiffMAEModel",
    "models.modeling_pooled_vit": "PooledViTForImageClassification",
    "models.saved_models": "processor_for",
    "processing.augmentation": "Augmentation",
    "processing.encoding": "EncodingOptions decode encode",
    "processing.encoding_batched": "encode_padded",
    "processing.image_processing_skeleton": "SkeletonProcessor",
    "processing.layouts": "LAYOUTS PARTS SkeletonLayout get_layout register_layout",
    "processing.masking": "mask_noise",
    "processing.skeleton_sequence": "SkeletonSequence",
    "protocols": "DATASETS PROTOCOLS",
}

if TYPE_CHECKING:
    from .data.collator import SkeletonCollator as SkeletonCollator
    from .data.loading import load_skeletons as load_skeletons
    from .data.skeleton_rows import SkeletonRows as SkeletonRows, as_rows as as_rows
    from .inference.infilling import infill as infill
    from .models.backbones import load_backbone as load_backbone
    from .models.building import build_diffmae as build_diffmae, build_mae as build_mae, encoder_of as encoder_of
    from .models.classification import build_classifier as build_classifier
    from .models.configuration_diffmae import DiffMAEConfig as DiffMAEConfig
    from .models.configuration_pooled_vit import PooledViTConfig as PooledViTConfig
    from .models.layerwise import lr_groups as lr_groups, set_drop_path as set_drop_path
    from .models.modeling_diffmae import DiffMAEForPreTraining as DiffMAEForPreTraining, DiffMAEModel as DiffMAEModel
    from .models.modeling_pooled_vit import PooledViTForImageClassification as PooledViTForImageClassification
    from .models.saved_models import processor_for as processor_for
    from .processing.augmentation import Augmentation as Augmentation
    from .processing.encoding import EncodingOptions as EncodingOptions, decode as decode, encode as encode
    from .processing.encoding_batched import encode_padded as encode_padded
    from .processing.image_processing_skeleton import SkeletonProcessor as SkeletonProcessor
    from .processing.layouts import (
        LAYOUTS as LAYOUTS,
        PARTS as PARTS,
        SkeletonLayout as SkeletonLayout,
        get_layout as get_layout,
        register_layout as register_layout,
    )
    from .processing.masking import mask_noise as mask_noise
    from .processing.skeleton_sequence import SkeletonSequence as SkeletonSequence
    from .protocols import DATASETS as DATASETS, PROTOCOLS as PROTOCOLS


def lazy_names(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], list[str]]:
    """`__getattr__` and `__all__` of a package whose public names are imported when they are used (PEP 562).

    Args:
        package: Its `__name__`.
        homes: Module below it -> the public names that are defined there.
    """
    home = {name: module for module, names in homes.items() for name in names.split()}

    def get(name: str) -> Any:
        if name in home:
            return getattr(import_module(f"{package}.{home[name]}"), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return get, sorted(home)


def __dir__() -> list[str]:
    return __all__


__getattr__, __all__ = lazy_names(__name__, _HOMES)
__all__ += ["__version__"]

from .models.registration import install  # noqa: E402  # the sub-packages take `lazy_names` from here

install()
