"""What tests of commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import command_line
import pytest


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """A command of `s2i` in this process, which has imported everything already: exit code, and what it printed."""

    def run(command: str, *words: Any, cwd: Path) -> tuple[Any, Any]:
        monkeypatch.chdir(cwd)
        code, out, err = command_line.run(capsys, command, *words)
        return code, SimpleNamespace(out=out, err=err)

    return run
