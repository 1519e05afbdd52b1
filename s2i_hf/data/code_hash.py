"""Hash of the code and lists that decide what a row holds."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import import_module
from pathlib import Path

_FOLDERS = ("processing", "protocols", "readers", "synthetic", "data", "dataset_scripts")


@cache
def code_hash() -> str:
    """16 hex digits: a cache of rows, or a conversion that was interrupted, never outlives the code it was made by."""
    package = __package__.rpartition(".")[0]
    digest = hashlib.sha256()
    for name in _FOLDERS:
        folder = Path(str(import_module(f"{package}.{name}").__file__)).parent
        for file in sorted(file for file in folder.rglob("*") if file.suffix in (".py", ".txt")):
            digest.update(f"{name}/{file.relative_to(folder).as_posix()}".encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]
