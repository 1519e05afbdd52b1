"""What a run folder holds: checkpoints, results, where they come from."""

from .. import lazy_names

__getattr__, __all__ = lazy_names(
    __name__,
    {
        "provenance": "describe_environment",
        "results": "append_results read_results result_row write_class_report",
        "run_folder": "RunFolder",
    },
)
