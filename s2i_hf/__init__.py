"""Skeleton-to-Image Encoding for transformers: pretrain vision models on 3D skeletons of any joint format.

Names are loaded when they are used, so that `import s2i_hf` costs little and imports no transformers; after it the Auto classes
of transformers know `SkeletonProcessor`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME: dict[str, str] = {
    "LAYOUTS": "processing.layouts",
    "PARTS": "processing.layouts",
    "SkeletonLayout": "processing.layouts",
    "get_layout": "processing.layouts",
    "register_layout": "processing.layouts",
    "DATASETS": "protocols",
    "PROTOCOLS": "protocols",
    "SkeletonSequence": "processing.skeleton_sequence",
    "EncodingOptions": "processing.encoding",
    "encode": "processing.encoding",
    "encode_padded": "processing.encoding_batched",
    "decode": "processing.encoding",
    "mask_noise": "processing.masking",
    "Augmentation": "processing.augmentation",
    "SkeletonProcessor": "processing.image_processing_skeleton",
    "SkeletonCollator": "data.collator",
    "SkeletonRows": "data.skeleton_rows",
    "as_rows": "data.skeleton_rows",
    "load_skeletons": "data.loading",
    "build_mae": "models.building",
    "infill": "inference.infilling",
    "build_diffmae": "models.building",
    "DiffMAEConfig": "models.configuration_diffmae",
    "DiffMAEForPreTraining": "models.modeling_diffmae",
    "DiffMAEModel": "models.modeling_diffmae",
    "encoder_of": "models.building",
    "build_classifier": "models.classification",
    "lr_groups": "models.layerwise",
    "set_drop_path": "models.layerwise",
    "PooledViTConfig": "models.configuration_pooled_vit",
    "PooledViTForImageClassification": "models.modeling_pooled_vit",
    "load_backbone": "models.backbones",
    "processor_for": "models.saved_models",
}

__all__ = [
    "DATASETS",
    "LAYOUTS",
    "PARTS",
    "PROTOCOLS",
    "Augmentation",
    "DiffMAEConfig",
    "DiffMAEForPreTraining",
    "DiffMAEModel",
    "EncodingOptions",
    "PooledViTConfig",
    "PooledViTForImageClassification",
    "SkeletonCollator",
    "SkeletonLayout",
    "SkeletonProcessor",
    "SkeletonRows",
    "SkeletonSequence",
    "__version__",
    "as_rows",
    "build_classifier",
    "build_diffmae",
    "build_mae",
    "decode",
    "encode",
    "encode_padded",
    "encoder_of",
    "get_layout",
    "infill",
    "load_backbone",
    "load_skeletons",
    "lr_groups",
    "mask_noise",
    "processor_for",
    "register_layout",
    "set_drop_path",
]

if TYPE_CHECKING:
    from .data.collator import SkeletonCollator
    from .data.loading import load_skeletons
    from .data.skeleton_rows import SkeletonRows, as_rows
    from .inference.infilling import infill
    from .models.backbones import load_backbone
    from .models.building import build_diffmae, build_mae, encoder_of
    from .models.classification import build_classifier
    from .models.configuration_diffmae import DiffMAEConfig
    from .models.configuration_pooled_vit import PooledViTConfig
    from .models.layerwise import lr_groups, set_drop_path
    from .models.modeling_diffmae import DiffMAEForPreTraining, DiffMAEModel
    from .models.modeling_pooled_vit import PooledViTForImageClassification
    from .models.saved_models import processor_for
    from .processing.augmentation import Augmentation
    from .processing.encoding import EncodingOptions, decode, encode
    from .processing.encoding_batched import encode_padded
    from .processing.image_processing_skeleton import SkeletonProcessor
    from .processing.layouts import LAYOUTS, PARTS, SkeletonLayout, get_layout, register_layout
    from .processing.masking import mask_noise
    from .processing.skeleton_sequence import SkeletonSequence
    from .protocols import DATASETS, PROTOCOLS


def lazy_names(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], list[str]]:
    """`__getattr__` and `__all__` of a package whose public names are imported when they are used (PEP 562).

    Args:
        package: Its `__name__`.
        homes: Public name -> the module below it that defines it.
    """

    def get(name: str) -> Any:
        if name in homes:
            return getattr(import_module(f"{package}.{homes[name]}"), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return get, sorted(homes)


def __dir__() -> list[str]:
    return __all__


__getattr__, _ = lazy_names(__name__, _HOME)

from .models.registration import install  # noqa: E402  # the sub-packages take `lazy_names` from here

install()
