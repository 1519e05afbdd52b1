"""What goes to the Hub: cards, public files, remote code, pushes."""

from .. import lazy_names

__getattr__, __all__ = lazy_names(
    __name__,
    {
        "dataset_card": "write_dataset_card",
        "model_card": "render_card write_card",
        "push": "publish publish_run",
    },
)
