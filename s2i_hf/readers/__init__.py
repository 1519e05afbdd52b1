"""Raw recordings to `SkeletonSequence`, one module a format, each with `read(path, denoise=True)`.

Readers neither centre nor scale nor pad: they return what the sensor saw, in metres.
"""

from __future__ import annotations

import stat
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np

from ..sequence import SkeletonSequence

# Each reader, with the name of one of its files. Its module here and its builder in dataset_scripts are called alike.
READERS: dict[str, str] = {"nw_ucla": "a01_s01_e00_v01.json", "ntu_rgbd": "S001C001P001R001A001.skeleton"}

_MAX_BYTES = 256 << 20  # the longest recordings have a few megabytes; anything like this is not one
_MAX_EXTENT = 20.0  # no body is 20 metres wide; 1.7 m in millimetres is 1,700
_TEXT_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"PK": "a zip archive", b"\x1f\x8b": "gzip"}


class ReadError(ValueError):
    """A recording that cannot be read. The message is one sentence that names the file and the line or frame."""


def get_reader(name: str) -> Callable[..., SkeletonSequence]:
    """The `read` function of the reader called `name`.

    Raises:
        ValueError: there is no such reader.
    """
    if name not in READERS:
        raise ValueError(f"Unknown reader {name!r}; known: {', '.join(READERS)}.")
    read: Callable[..., SkeletonSequence] = import_module(f"{__name__}.{name}").read
    return read


def read_bytes(path: str | Path) -> bytes:
    """Contents of a recording.

    Raises:
        ReadError: there is no such file, it is a folder, a pipe or a device, it is far too large, or not text.
    """
    path = Path(path)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ReadError(f"{path.name}: not a regular file; expected a recording.")
        if status.st_size > _MAX_BYTES:
            size = status.st_size >> 20
            raise ReadError(f"{path.name}: {size:,} MB large; expected a recording of at most {_MAX_BYTES >> 20} MB.")
        data = path.read_bytes()
    except OSError as error:
        raise ReadError(f"{path.name}: cannot be read ({error.strerror or error}).") from None
    if not data.strip():
        raise ReadError(f"{path.name}: the file is empty.")
    for mark, kind in _TEXT_MARKS.items():
        if data.startswith(mark):
            raise ReadError(f"{path.name}: the file is {kind}; expected plain ASCII text.")
    return data.removeprefix(b"\xef\xbb\xbf")  # the byte order mark that some Windows editors write


def check_metres(bodies: np.ndarray, path: str | Path) -> None:
    """Refuse joints in millimetres.

    Args:
        bodies: (N, V, 3), the joints of one body in one frame each; NaN where not measured.
        path: The recording, named in the error.

    Raises:
        ReadError: the median body is more than 20 units wide. The median, because a single ghost body may well be.
    """
    extents = (np.fmax.reduce(bodies, axis=1) - np.fmin.reduce(bodies, axis=1)).max(axis=-1)
    extent = float(np.nanmedian(extents))
    if extent > _MAX_EXTENT:
        raise ReadError(
            f"{Path(path).name}: the bodies are {extent:,.0f} units large, which cannot be metres; if the file is in "
            "millimetres, divide its coordinates by 1000."
        )
