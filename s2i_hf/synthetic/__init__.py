"""Forward-kinematic people who perform labelled actions, written as the files of a real sensor."""

from .. import lazy_names

__getattr__, __all__ = lazy_names(
    __name__,
    {
        "actions": "ACTIONS",
        "ntu_writer": "write_skeleton",
        "people": "anatomy generate perform write_dataset",
    },
)
