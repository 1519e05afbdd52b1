"""`s2i inspect`: what is in a folder, before and after conversion. `inspector` has the whole of it."""

from __future__ import annotations

from .inspector import Inspection, inspect, run

__all__ = ["Inspection", "inspect", "run"]
