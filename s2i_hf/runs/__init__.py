"""What a run folder holds: checkpoints, results, where they come from."""

from .. import lazy_names

__getattr__, __all__ = lazy_names(
    __name__,
    {
        "RunFolder": "run_folder",
        "append_results": "results",
        "describe_environment": "provenance",
        "read_results": "results",
        "result_row": "results",
        "write_class_report": "class_report",
    },
)
