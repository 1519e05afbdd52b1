"""What a trained model does with recordings: predict, infill, export."""

from .. import lazy_names

__getattr__, __all__ = lazy_names(
    __name__,
    {
        "export_classifier": "export",
        "find_clips": "inputs",
        "infill": "infilling",
        "predict_clips": "prediction",
    },
)
