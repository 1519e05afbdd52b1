"""Figures: curves, skeletons, reconstructions, filled gaps, layouts."""

from .. import lazy_names

__getattr__, __all__ = lazy_names(
    __name__,
    {
        "figures": "confusion_picture curve_picture draw_layout",
        "infilling": "draw_infilling",
        "reconstruction": "Reconstruction reconstruct reconstruction_picture",
    },
)
