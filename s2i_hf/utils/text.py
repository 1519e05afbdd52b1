"""Text that may be shown anywhere: names of files may hold anything."""

from __future__ import annotations


def printable(text: str) -> str:
    """Text without control sequences of a terminal and without broken characters, each of which becomes a question mark."""
    return "".join(mark if mark.isprintable() else "?" for mark in text)
