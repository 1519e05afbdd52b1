"""Processes that make the pieces of a conversion. Joints never travel between processes: each writes its pieces itself."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Sequence
from multiprocessing import connection
from pathlib import Path
from typing import Any, NamedTuple

from ..protocols import Protocol
from ..readers import RawFile
from .convert_shards import make_piece
from .locks import forget_locks

Advance = Callable[[int, int], None]
"""Told how many more recordings were read, and how many clips they gave."""


class _Stopped(Exception):
    """The main process wants no more of it."""


class _Job(NamedTuple):
    folder: Path
    protocol: Protocol
    denoise: bool
    stop: Any  # a multiprocessing.Event


_job: _Job | None = None  # of this process


def make_pieces(
    folder: Path,
    work: Sequence[tuple[int, Sequence[RawFile]]],
    protocol: Protocol,
    denoise: bool,
    num_proc: int,
    advance: Advance,
) -> None:
    """Make pieces in `num_proc` processes.

    Args:
        folder: The folder of pieces.
        work: Numbers of the pieces to make, with their recordings.
        protocol: What they are split by.
        denoise: Whether the readers choose the actors.
        num_proc: Processes; 1: this one.
        advance: Called as recordings are read.

    Raises:
        ChildProcessError: a process was killed, most likely for its memory.
    """
    num_proc = min(num_proc, len(work))
    if num_proc <= 1:
        for index, files in work:
            make_piece(folder, index, files, protocol, denoise, lambda clips: advance(1, clips))
        return
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    stop = multiprocessing.Event()
    job = _Job(folder, protocol, denoise, stop)
    with ProcessPoolExecutor(num_proc, initializer=_start, initargs=(job,)) as pool:
        try:
            # a window, so that the lists of recordings are not all sent at once
            waiting = deque((files, pool.submit(_make, index, files)) for index, files in work[: 2 * num_proc])
            for index, files in work[2 * num_proc :]:
                done, future = waiting.popleft()
                advance(len(done), future.result())
                waiting.append((files, pool.submit(_make, index, files)))
            for done, future in waiting:
                advance(len(done), future.result())
        except BrokenProcessPool:
            raise ChildProcessError(
                "A process that read recordings was killed, most likely because memory ran out; try a smaller --num-proc"
            ) from None
        finally:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)


def _start(job: _Job) -> None:
    global _job
    _job = job
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C reaches every process of the terminal; the main one handles it
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    forget_locks()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A main process that is killed cannot tell its children to stop, and they would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _make(index: int, files: Sequence[RawFile]) -> int:
    """Make one piece; returns its clips."""
    assert _job is not None
    total, stop = 0, _job.stop

    def after_file(clips: int) -> None:
        nonlocal total
        total += clips
        if stop.is_set():
            raise _Stopped

    make_piece(_job.folder, index, files, _job.protocol, _job.denoise, after_file)
    return total
