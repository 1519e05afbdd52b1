"""Progress bars of transformers, which `from_pretrained` and `save_pretrained` draw on stderr for each file of weights."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

NO_BARS = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
"""Environment of a process in which the Hub, transformers and `datasets`, once imported, draw no bars at all."""


@contextmanager
def no_progress_bars(on_terminals: bool = True) -> Iterator[None]:
    """Without these bars; `on_terminals=False` leaves them where a person looks on."""
    from transformers.utils import logging

    hidden = logging.is_progress_bar_enabled() and (on_terminals or not sys.stderr.isatty())
    if hidden:
        logging.disable_progress_bar()
    try:
        yield
    finally:
        if hidden:
            logging.enable_progress_bar()
