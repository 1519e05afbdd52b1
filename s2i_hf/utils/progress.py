"""What libraries draw and print while models are loaded and saved, and how to have none of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

NO_BARS = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
"""Environment of a process in which the Hub, transformers and `datasets`, once imported, draw no bars at all."""


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """`from_pretrained` and `save_pretrained` without their bars and tables, whose content is checked or told in a sentence here.

    What is fetched from the Hub is fetched before, with a bar where a person looks on.
    """
    from transformers.utils import logging

    bars, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.set_verbosity_error()
    if bars:
        logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
