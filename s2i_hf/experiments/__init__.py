"""Many runs or models compared: ablation, robustness, fusion, across joint layouts."""

from .. import lazy_names

__getattr__, __all__ = lazy_names(
    __name__,
    {
        "AblateArguments": "ablation",
        "CrossLayoutArguments": "cross_layout",
        "FuseArguments": "fusion",
        "RobustnessArguments": "robustness",
        "ablate": "ablation",
        "cross_layout_run": "cross_layout",
        "fuse_runs": "fusion",
        "robustness_run": "robustness",
    },
)
