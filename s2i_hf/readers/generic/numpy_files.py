"""`.npy` and `.npz` files without surprises: numbers only, never a pickle, and no memory for what is not in the file."""

from __future__ import annotations

import io
import lzma
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

import numpy as np

from ..raw_files import RawFile, ReadError, read_bytes

MAX_ARRAY = 64 << 20  # bytes of a clip: 200,000 frames of 25 joints
_MAX_SIDE = 1 << 31
_NUMBERS = "fiu"
# What the zip and npy parsers of the standard library and of numpy come up with on damaged files
_DAMAGE = (
    OSError, ValueError, EOFError, SyntaxError, RuntimeError, KeyError, TypeError, AttributeError, OverflowError, MemoryError, zlib.error,
    struct.error, lzma.LZMAError, zipfile.BadZipFile, tokenize.TokenError,
)  # fmt: skip


def _reason(error: Exception) -> str:
    text = str(getattr(error, "strerror", None) or error)
    return text.splitlines()[0][:120].rstrip(".") if text else type(error).__name__


@dataclass(frozen=True)
class Header:
    """What an array is: shape, type, and whether it is stored column by column."""

    shape: tuple[int, ...]
    dtype: np.dtype
    fortran: bool

    @property
    def size(self) -> int:
        """Bytes."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(stream: IO[bytes], where: str) -> Header:
    """Read the header of a `.npy` stream, up to its data.

    Raises:
        ReadError: it is none, or its array holds Python objects, text or records; `where` is named.
    """
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(stream)
    except _DAMAGE as error:
        raise ReadError(f"{where}: no .npy data, or damaged ({_reason(error)}).") from None
    if dtype.hasobject:
        raise ReadError(
            f"{where}: holds Python objects, which are never loaded; save plain numbers, one array a clip, with np.save."
        )
    if dtype.kind not in _NUMBERS or dtype.subdtype is not None:
        raise ReadError(f"{where}: holds {dtype}; expected numbers.")
    if any(type(side) is not int or not 0 <= side < _MAX_SIDE for side in shape):
        raise ReadError(f"{where}: has shape {str(shape)[:80]}; the file is damaged.")
    return Header(shape, dtype, bool(fortran))


def read_array(stream: IO[bytes], where: str, limit: int = MAX_ARRAY) -> np.ndarray:
    """Read one whole array.

    Raises:
        ReadError: no array of numbers, larger than `limit` bytes, or cut off.
    """
    header = read_header(stream, where)
    if header.size > limit:
        raise ReadError(f"{where}: an array of {header.size >> 20:,} MB; expected at most {limit >> 20} MB.")
    try:
        data = stream.read(header.size)
    except _DAMAGE as error:
        raise ReadError(f"{where}: damaged ({_reason(error)}).") from None
    if len(data) != header.size:
        raise ReadError(
            f"{where}: ends after {len(data):,} of {header.size:,} bytes of shape {header.shape}; the file is truncated."
        )
    return np.frombuffer(data, header.dtype).reshape(header.shape, order="F" if header.fortran else "C")


def read_npy(file: RawFile) -> np.ndarray:
    """Read a `.npy` file.

    Raises:
        ReadError: see `read_array`.
    """
    return read_array(io.BytesIO(read_bytes(file, text=False)), file.name)


class Npz:
    """An open `.npz`: its arrays one by one, or row by row.

    Args:
        archive: The archive.
        name: What the file is called in errors.
    """

    def __init__(self, archive: zipfile.ZipFile, name: str) -> None:
        self.archive, self.name = archive, name
        self.keys: list[str] = [member.removesuffix(".npy") for member in archive.namelist() if member.endswith(".npy")]

    @contextmanager
    def _open(self, key: str) -> Iterator[IO[bytes]]:
        try:
            with self.archive.open(f"{key}.npy") as stream:
                yield stream
        except ReadError:
            raise
        except _DAMAGE as error:
            raise ReadError(f"{self.name}: {key} is damaged ({_reason(error)}).") from None

    def header(self, key: str) -> Header:
        """Shape and type of an array. Raises ReadError if it is none of numbers."""
        with self._open(key) as stream:
            return read_header(stream, f"{self.name}: {key}")

    def array(self, key: str, limit: int = MAX_ARRAY) -> np.ndarray:
        """A whole array. Raises ReadError if it is none of numbers, damaged, or larger than `limit` bytes."""
        with self._open(key) as stream:
            return read_array(stream, f"{self.name}: {key}", limit)

    def rows(self, key: str) -> Iterator[np.ndarray]:
        """The items along the first axis, one after the other; memory holds one.

        Raises:
            ReadError: damaged, stored column by column, or a single item is larger than 64 MB.
        """
        where = f"{self.name}: {key}"
        with self._open(key) as stream:
            header = read_header(stream, where)
            if header.fortran and len(header.shape) > 1:
                raise ReadError(f"{where}: stored column by column; save it with np.ascontiguousarray.")
            size = math.prod(header.shape[1:]) * header.dtype.itemsize
            if size > MAX_ARRAY:
                raise ReadError(f"{where}: a clip of {size >> 20:,} MB; expected at most {MAX_ARRAY >> 20} MB.")
            for index in range(header.shape[0]):
                data = stream.read(size)
                if len(data) != size:
                    raise ReadError(f"{where}: ends in clip {index + 1} of {header.shape[0]}; the file is truncated.")
                yield np.frombuffer(data, header.dtype).reshape(header.shape[1:])


@contextmanager
def open_npz(file: RawFile) -> Iterator[Npz]:
    """Open a `.npz`, of any size on disk, of at most 256 MB inside another archive.

    Raises:
        ReadError: not there, or no zip archive.
    """
    source = io.BytesIO(read_bytes(file, text=False)) if file.member else file.path
    try:
        archive = zipfile.ZipFile(source)
    except _DAMAGE as error:
        raise ReadError(f"{file.name}: no readable .npz file ({_reason(error)}).") from None
    with archive:
        yield Npz(archive, file.name)
