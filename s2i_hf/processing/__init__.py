"""Skeleton array -> S2I image and mask; the folder whose files lie beside a pushed model."""

from .. import lazy_names

__getattr__, __all__ = lazy_names(
    __name__,
    {
        "Augmentation": "augmentation",
        "ClipMetadata": "encoding",
        "EncodingOptions": "encoding",
        "LAYOUTS": "layouts",
        "PARTS": "layouts",
        "SkeletonLayout": "skeleton_layout",
        "SkeletonProcessor": "image_processing_skeleton",
        "SkeletonSequence": "skeleton_sequence",
        "decode": "encoding",
        "encode": "encoding",
        "encode_padded": "encoding_batched",
        "get_layout": "layouts",
        "mask_noise": "masking",
        "register_layout": "layouts",
        "to_layout": "layout_conversion",
    },
)
