"""Skeleton array -> S2I image and mask; the folder whose files lie beside a pushed model."""

from .. import lazy_names

__getattr__, __all__ = lazy_names(
    __name__,
    {
        "augmentation": "Augmentation",
        "encoding": "ClipMetadata EncodingOptions decode encode",
        "encoding_batched": "encode_padded",
        "image_processing_skeleton": "SkeletonProcessor",
        "layout_conversion": "to_layout",
        "layouts": "LAYOUTS PARTS get_layout register_layout",
        "masking": "mask_noise",
        "skeleton_layout": "SkeletonLayout",
        "skeleton_sequence": "SkeletonSequence",
    },
)
