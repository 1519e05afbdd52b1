"""Words that error messages share, and settings that are several words."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from difflib import get_close_matches


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`" Did you mean 'kinect_v2'?"` if one of the known names is close to the word that was given, else nothing."""
    close = get_close_matches(word, list(known), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def several(value: str | Sequence[str] | None) -> tuple[str, ...]:
    """The items of a setting that is one or several: `"a,b"` and `["a", "b"]` alike. What is a file or folder is one."""
    if value is None:
        return ()
    if isinstance(value, str):
        parts = [value] if os.path.exists(value) else value.split(",")
        return tuple(part.strip() for part in parts if part.strip())
    return tuple(item for part in value for item in several(str(part)))
