"""The one error of all readers."""

from __future__ import annotations


class ReadError(ValueError):
    """A recording that cannot be read. The message is one sentence that names the file and the line or frame."""


class NoClip(ReadError):
    """An entry of the data set that stands for no clip (a label row without frames): counted, but nothing is broken."""
