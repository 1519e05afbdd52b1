"""Figures: curves, skeletons, reconstructions, filled gaps, layouts."""

from .. import lazy_names

__getattr__, __all__ = lazy_names(
    __name__,
    {
        "Reconstruction": "reconstruction",
        "confusion_picture": "figures",
        "curve_picture": "figures",
        "draw_infilling": "infilling",
        "draw_layout": "figures",
        "reconstruct": "reconstruction",
        "reconstruction_picture": "reconstruction",
    },
)
