"""Raw recordings to `SkeletonSequence`: `benchmarks` has a module a data set, `generic` one a general format."""

from __future__ import annotations

from .benchmarks import READERS, Reader, get_reader
from .raw_files import LeftOut, NoClip, RawFile, ReadError, check_metres, read_bytes

__all__ = ["READERS", "LeftOut", "NoClip", "RawFile", "ReadError", "Reader", "check_metres", "get_reader", "read_bytes"]
