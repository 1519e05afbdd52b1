"""The known name that was probably meant, for error messages."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`" Did you mean 'kinect_v2'?"` if one of the known names is close to the word that was given, else nothing.

    The dashes that flags begin with are no likeness.
    """
    names = {name.lstrip("-"): name for name in known}
    close = get_close_matches(word.lstrip("-"), names, n=1)
    return f" Did you mean {names[close[0]]!r}?" if close else ""
