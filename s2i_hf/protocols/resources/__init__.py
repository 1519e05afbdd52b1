"""Facts that are long lists: class names, names of samples with missing skeletons, who was recorded.

Plain text, one fact a line; the lines that start with `#` say where the facts come from.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files


@lru_cache
def read_list(name: str) -> tuple[str, ...]:
    """Lines of the resource `name` (such as "nw_ucla_classes.txt"), without its comments and blank lines."""
    text = files(__name__).joinpath(name).read_text(encoding="utf-8")
    return tuple(line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#"))
