"""Settings from flags and YAML, files that are whole or not there, and what the Hub refused in one sentence."""

from .. import lazy_names

__getattr__, __all__ = lazy_names(
    __name__,
    {
        "arguments": "parse",
        "files": "write_atomically",
        "hub_errors": "explained",
    },
)
