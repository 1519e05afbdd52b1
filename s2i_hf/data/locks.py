"""Locks between processes: files that one of them holds, or several share."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

PATIENCE = 5.0  # seconds to wait for a process that is just looking, or just dying
_HELD: set[int] = set()  # descriptors of the locks of this process


def forget_locks() -> None:
    """In a child process: close the locks it inherited, which would outlive its parent with it."""
    while _HELD:
        with contextlib.suppress(OSError):
            os.close(_HELD.pop())


class Lock:
    """A file that one process holds, or several share; where a system has no such locks everybody gets it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor = -1

    def take(self, shared: bool = False) -> bool:
        """Take it, if nobody else has it."""
        try:
            import fcntl
        except ImportError:  # Windows
            self.path.parent.mkdir(parents=True, exist_ok=True)
            return True
        while True:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
            except FileNotFoundError:  # the folder went away just now
                continue
            try:
                fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return False
            except OSError:  # a file system without locks
                pass
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), os.stat(self.path)):
                    self.descriptor = descriptor
                    _HELD.add(descriptor)
                    return True
            os.close(descriptor)  # it was deleted between opening and locking, and guards nothing any more

    def share(self) -> None:
        """Let others share it."""
        if self.descriptor >= 0:
            import fcntl

            with contextlib.suppress(OSError):
                fcntl.flock(self.descriptor, fcntl.LOCK_SH)

    def release(self) -> None:
        """Give it back."""
        if self.descriptor >= 0:
            _HELD.discard(self.descriptor)
            os.close(self.descriptor)
            self.descriptor = -1

    @contextlib.contextmanager
    def held(self, what: str) -> Iterator[None]:
        """Hold it alone.

        Raises:
            ValueError: somebody else has it.
        """
        stop = time.monotonic() + PATIENCE
        while not self.take():
            if time.monotonic() > stop:
                raise ValueError(f"Another `s2i convert` works on {what} in {self.path.parent}; wait for it.")
            time.sleep(0.05)
        try:
            yield
        finally:
            self.release()
