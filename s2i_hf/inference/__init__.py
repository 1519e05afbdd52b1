"""What a trained model does with recordings: predict, infill, export."""

from .. import lazy_names

__getattr__, __all__ = lazy_names(
    __name__,
    {
        "export": "export_classifier",
        "infilling": "infill",
        "inputs": "find_clips",
        "prediction": "predict_clips",
    },
)
