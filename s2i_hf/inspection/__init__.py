"""`s2i inspect`: what is in a folder, before and after conversion. `inspector` has the whole of it."""

from .. import lazy_names

__getattr__, __all__ = lazy_names(__name__, {"inspector": "inspect run", "report": "Inspection"})
