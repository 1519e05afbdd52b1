"""Many runs or models compared: ablation, robustness, fusion, across joint layouts."""

from .. import lazy_names

__getattr__, __all__ = lazy_names(
    __name__,
    {
        "ablation": "AblateArguments ablate",
        "cross_layout": "CrossLayoutArguments cross_layout_run",
        "fusion": "FuseArguments fuse_runs",
        "robustness": "RobustnessArguments robustness_run",
    },
)
