"""Ctrl-C while modules are imported."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def silent_interruption() -> Iterator[None]:
    """While this lasts, Ctrl-C ends the process at once with code 130 and says nothing.

    For imports: there is nothing to clean up, their traceback helps nobody, and libraries catch or print what is raised within them. A
    Ctrl-C that is ignored (a command in the background of a shell) or handled otherwise stays so.
    """

    def end(number: int, frame: FrameType | None) -> None:
        os._exit(130)

    own = threading.current_thread() is threading.main_thread()  # no other thread may set a handler
    before = signal.getsignal(signal.SIGINT)
    if not own or before is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
