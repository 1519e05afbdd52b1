"""Rows of skeletons: converted, stored, loaded, mixed, drawn and collated."""

from .. import lazy_names

__getattr__, __all__ = lazy_names(
    __name__,
    {
        "builders": "SkeletonBuilder",
        "collator": "SkeletonCollator",
        "label_subsets": "stratified_share",
        "loading": "describe load_skeletons",
        "skeleton_rows": "SkeletonRows as_layout as_rows",
    },
)
