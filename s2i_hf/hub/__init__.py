"""What goes to the Hub: cards, public files, remote code, pushes."""

from .. import lazy_names

__getattr__, __all__ = lazy_names(
    __name__,
    {
        "public_files": "public_files",
        "publish": "push",
        "publish_run": "push",
        "render_card": "model_card",
        "write_card": "model_card",
        "write_dataset_card": "dataset_card",
    },
)
