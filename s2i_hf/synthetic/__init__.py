"""Forward-kinematic people who perform labelled actions, written as the files of a real sensor."""

from .. import lazy_names

__getattr__, __all__ = lazy_names(
    __name__,
    {
        "ACTIONS": "actions",
        "anatomy": "people",
        "generate": "people",
        "perform": "people",
        "write_dataset": "people",
        "write_skeleton": "ntu_writer",
    },
)
