"""How good frozen features and classifiers are: probes, validation splits, metrics."""

from .. import lazy_names

__getattr__, __all__ = lazy_names(
    __name__,
    {
        "ProbeArguments": "probing",
        "SkeletonMetrics": "evaluate_metric",
        "evaluate_probe": "probes",
        "extract_features": "features",
        "knn_scores": "probes",
        "predict_scores": "scoring",
        "probe_run": "probing",
        "raw_features": "features",
        "softmax_scores": "probes",
        "validation_folds": "validation_splits",
    },
)
