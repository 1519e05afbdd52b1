"""Rows of skeletons: converted, stored, loaded, mixed, drawn and collated."""

from .. import lazy_names

__getattr__, __all__ = lazy_names(
    __name__,
    {
        "AsLayout": "skeleton_rows",
        "SkeletonBuilder": "builders",
        "SkeletonCollator": "collator",
        "SkeletonRows": "skeleton_rows",
        "as_rows": "skeleton_rows",
        "describe": "loading",
        "load_skeletons": "loading",
        "stratified_share": "label_subsets",
    },
)
