"""Raw recordings to `SkeletonSequence`, one module a format.

A module has `read(file, denoise=True)`, if a file holds one clip, or `read_clips(file, denoise=True)`, which yields the
clips of a file and the errors of those that are broken. It may have `select(files)`, which picks and pairs the files to read,
and `sample_id(file)`, where the file name alone is no id. Readers neither centre nor scale nor pad: they return what the
sensor saw, in metres.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np

from .errors import NoClip, ReadError
from .raw_files import RawFile

__all__ = ["READERS", "NoClip", "RawFile", "ReadError", "Reader", "check_metres", "get_reader", "read_bytes"]


@dataclass(frozen=True)
class Reader:
    """What the files of a format are called.

    Args:
        example: Name of one of its files.
        suffixes: Endings of their names, without `.gz`.
    """

    example: str
    suffixes: tuple[str, ...]


# The module here and the builder in dataset_scripts are called alike.
READERS: dict[str, Reader] = {
    "nw_ucla": Reader("a01_s01_e00_v01.json", (".json",)),
    "ntu_rgbd": Reader("S001C001P001R001A001.skeleton", (".skeleton",)),
    "pku_mmd": Reader("0002-L.txt", (".txt",)),
    "smarthome": Reader("Cook.Cleandishes_p02_r00_v03_c03.json", (".json",)),
    "utd_mhad": Reader("a1_s1_t1_skeleton.mat", (".mat",)),
    "msr_action3d": Reader("a01_s01_e01_skeleton3D.txt", (".txt",)),
    "utkinect": Reader("joints_s01_e01.txt", (".txt",)),
    "ui_prmd_kinect": Reader("m01_s01_e01_positions.txt", (".txt",)),
    "ui_prmd_vicon": Reader("m01_s01_e01_positions.txt", (".txt",)),
    "irds": Reader("217_18_0_7_1_wheelchair.txt", (".txt",)),
    "florence3d": Reader("Florence_dataset_WorldCoordinates.txt", (".txt",)),
    "sbu": Reader("skeleton_pos.txt", (".txt",)),
}

_MAX_UNPACKED = 256 << 20
_MAX_EXTENT = 20.0  # no body is 20 metres wide; 1.7 m in millimetres is 1,700
_TEXT_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"PK": "a zip archive", b"\x1f\x8b": "gzip"}


def get_reader(name: str) -> ModuleType:
    """The module of the reader called `name`.

    Raises:
        ValueError: there is no such reader.
    """
    if name not in READERS:
        raise ValueError(f"Unknown reader {name!r}; known: {', '.join(READERS)}.")
    return import_module(f"{__name__}.{name}")


def read_bytes(file: str | Path | RawFile, text: bool = True) -> bytes:
    """Contents of a recording, on disk or in an archive; `.gz` is unpacked.

    Args:
        file: Where it is.
        text: Whether it must be plain text; a byte order mark is taken off.

    Raises:
        ReadError: there is no such file, it is a folder, a pipe or a device, it is far too large, damaged, or not text.
    """
    file = RawFile.of(file)
    data = file.read()
    if file.name.endswith(".gz"):
        data = _gunzip(data, file.name)
    if not data or data.isspace():
        raise ReadError(f"{file.name}: the file is empty.")
    if not text:
        return data
    for mark, kind in _TEXT_MARKS.items():
        if data.startswith(mark):
            raise ReadError(f"{file.name}: the file is {kind}; expected plain ASCII text.")
    return data.removeprefix(b"\xef\xbb\xbf")  # the byte order mark that some Windows editors write


def _gunzip(data: bytes, name: str) -> bytes:
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        unpacked = unpacker.decompress(data, _MAX_UNPACKED)
    except zlib.error as error:
        raise ReadError(f"{name}: damaged gzip ({error}); download it again.") from None
    if unpacker.unconsumed_tail:
        raise ReadError(f"{name}: unpacks to more than {_MAX_UNPACKED >> 20} MB; expected a recording.")
    if not unpacker.eof:
        raise ReadError(f"{name}: the gzip file ends too early; download it again.")
    return unpacked


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
