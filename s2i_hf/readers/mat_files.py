"""Arrays of numbers out of MATLAB 5 files (all that `save` writes but -v7.3), in plain Python.

Not scipy.io: it crashes the interpreter on damaged files, and builds objects where only an array of numbers is wanted. The format
is in "MAT-File Format", The MathWorks. A file is a header of 128 bytes and elements: a tag (type, bytes), data, and padding
to eight bytes. An element of type 14 is a variable: flags, dimensions, name and values, as elements; one of type 15 is such
an element, compressed.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from math import prod

import numpy as np

from .raw_files import ReadError

_HEADER = 128
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_MATRIX, _COMPRESSED = 14, 15
_REAL_CLASSES = range(6, 16)  # double, single and whole numbers; below are cells, structures, objects, text and sparse
_COMPLEX = 0x0800
_MAX_UNPACKED = 64 << 20
_MAX_VARIABLES = 100


class _Damaged(Exception):
    """What is wrong with the file, in words."""


def read_array(data: bytes, variable: str, file: str) -> np.ndarray:
    """The values of one variable in the contents of `file`: an array of any shape, in the type that is stored.

    Raises ReadError if it is no MATLAB 5 file, damaged, without that variable, or that is no array of real numbers.
    """
    names = []
    for name, array in _variables(data, variable, file):
        if array is not None:
            return array
        names.append(name)
    found = f"it has {', '.join(map(repr, names))[:80]}" if names else "it has none"
    raise ReadError(f"{file}: no array {variable} in it ({found}).")


def variable_names(data: bytes, file: str) -> list[str]:
    """Names of the variables in a file, whose contents stay unread. Raises ReadError as `read_array` does."""
    return [name for name, _ in _variables(data, None, file)]


def _variables(data: bytes, wanted: str | None, file: str) -> Iterator[tuple[str, np.ndarray | None]]:
    """Name of each variable, with the values of the one that is wanted."""
    if not data.startswith(b"MATLAB 5.0 MAT-file") or data[126:128] not in (b"IM", b"MI"):
        version = "MATLAB 7.3 file; save it again with -v7" if data.startswith(b"MATLAB 7.3") else "no MATLAB 5 file"
        raise ReadError(f"{file}: {version}; expected one with {f'the array {wanted}' if wanted else 'arrays'}.")
    order = "<" if data[126:128] == b"IM" else ">"
    try:
        for count, (kind, element) in enumerate(_elements(data[_HEADER:], order)):
            if kind == _COMPRESSED:
                element = zlib.decompressobj().decompress(element, _MAX_UNPACKED + 1)
                if len(element) > _MAX_UNPACKED:
                    raise _Damaged(f"a variable of more than {_MAX_UNPACKED >> 20} MB")
                kind, element = next(_elements(element, order), (0, b""))
            if count >= _MAX_VARIABLES:
                raise _Damaged(f"more than {_MAX_VARIABLES} variables")
            if kind == _MATRIX:
                yield _variable(element, order, wanted)
    except (_Damaged, zlib.error) as error:
        raise ReadError(f"{file}: damaged MATLAB file ({error}); download it again.") from None


def _elements(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Type and data of each element."""
    at = 0
    while at < len(data):
        if at + 8 > len(data):
            raise _Damaged("it ends too early")
        kind, size = struct.unpack(f"{order}II", data[at : at + 8])
        start = at + 8
        if kind >> 16:  # a small element: type and size share a word, the data is in the other
            kind, size, start = kind & 0xFFFF, kind >> 16, at + 4
            if size > 4:
                raise _Damaged(f"a small element of {size} bytes")
        if start + size > len(data):
            raise _Damaged("it ends too early")
        yield kind, data[start : start + size]
        at = start + size if kind == _COMPRESSED else (start + size + 7) // 8 * 8


def _variable(data: bytes, order: str, wanted: str | None) -> tuple[str, np.ndarray | None]:
    """Name of a variable, and its values if it is the one that is wanted."""
    parts = _elements(data, order)
    (_, flags), (_, dimensions), (_, letters) = (next(parts, (0, b"")) for _ in range(3))
    name = letters.decode("ascii", "replace")
    if name != wanted:
        return name, None
    if len(flags) != 8 or len(dimensions) % 4 or not 8 <= len(dimensions) <= 32:
        raise _Damaged(f"the header of {name} is not one")
    (flag,) = struct.unpack(f"{order}I", flags[:4])
    shape = struct.unpack(f"{order}{len(dimensions) // 4}i", dimensions)
    if flag & 0xFF not in _REAL_CLASSES or flag & _COMPLEX:
        raise _Damaged(f"{name} is no array of real numbers")
    kind, values = next(parts, (0, b""))
    if kind not in _NUMBERS:
        raise _Damaged(f"the values of {name} are of an unknown type")
    dtype = np.dtype(order + _NUMBERS[kind])
    if min(shape) < 0 or prod(shape) * dtype.itemsize != len(values):
        raise _Damaged(f"{name} is {' x '.join(map(str, shape))}, but has {len(values):,} bytes")
    return name, np.frombuffer(values, dtype).reshape(shape, order="F")
