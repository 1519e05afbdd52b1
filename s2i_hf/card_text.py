"""Small pieces of Markdown that the cards of runs are made of."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

NOT_MEASURED = "Not measured."


def words(name: str) -> str:
    """A key of our files as words."""
    return {"knn": "kNN"}.get(name, name.replace("_", " "))


def per_cent(value: float) -> str:
    """A share, 0 to 1, in per cent."""
    return f"{100 * value:.1f}"


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Rows of cells as a Markdown table; bars in cells are escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def pairs(values: Mapping[str, Any], keys: Iterable[str]) -> str:
    """The settings among `keys` that are there, as a table."""
    known = [(f"`{key}`", f"`{show(values[key])}`") for key in keys if values.get(key) is not None]
    return markdown_table(("setting", "value"), known) if known else ""


def show(value: Any) -> str:
    """A value for print; a path on this machine is reduced to its last part."""
    if isinstance(value, Mapping) and "joint_names" in value:  # a custom layout
        return f"{value.get('name', 'custom')} ({len(value['joint_names'])} joints)"
    if isinstance(value, str) and (os.path.isabs(value) or value.startswith(("~", ".."))):
        return Path(value).name
    if isinstance(value, list | tuple):
        return " ".join(show(item) for item in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {show(item)}" for key, item in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)


def is_path(value: Any) -> bool:
    """Whether a value names a place on this machine."""
    return isinstance(value, str) and (os.path.isabs(value) or value.startswith(("~", "..")))
