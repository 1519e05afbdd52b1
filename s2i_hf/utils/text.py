"""Text that may be shown anywhere: names of files may hold anything."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """A length of time in the two units that matter: "40 s", "12 min", "3 h 20 min", "2 days 5 h"."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min"
    days, hours = divmod(hours, 24)
    return f"{days} {'day' if days == 1 else 'days'} {hours} h"


def printable(text: str) -> str:
    """Text without control sequences of a terminal and without broken characters, each of which becomes a question mark."""
    return "".join(mark if mark.isprintable() else "?" for mark in text)
