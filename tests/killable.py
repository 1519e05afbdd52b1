"""Runs in child processes of a fork server that has everything imported, to be killed: each costs about a second."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Launch = Callable[..., int]


def launcher(target: Callable[..., None], preload: Sequence[str]) -> Launch:
    """`launch(run_dir, kill_at, how, **settings)`: `target` in a child, and its exit code.

    Args:
        target: Called as `target(run_dir, settings, kill_at, how)`.
        preload: Modules that the fork server imports, once.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preload))

    def launch(run_dir: Path, kill_at: int | None = None, how: str = "SIGKILL", **settings: Any) -> int:
        child = context.Process(target=target, args=(str(run_dir), settings, kill_at, how))
        child.start()
        child.join(120)
        assert child.exitcode is not None, "the run hangs"
        return child.exitcode

    return launch
