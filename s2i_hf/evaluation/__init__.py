"""How good frozen features and classifiers are: probes, validation splits, metrics."""

from .. import lazy_names

__getattr__, __all__ = lazy_names(
    __name__,
    {
        "skeleton_metrics.skeleton_metrics": "SkeletonMetrics",
        "features": "extract_features raw_features",
        "probes": "evaluate_probe knn_scores softmax_scores",
        "probing": "ProbeArguments probe_run",
        "scoring": "predict_scores",
        "validation_splits": "validation_folds",
    },
)
