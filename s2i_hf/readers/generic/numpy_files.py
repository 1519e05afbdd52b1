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
from typing import IO, NamedTuple

import numpy as np

from ..raw_files import MAX_CLIP, RawFile, ReadError, read_bytes

_MAX_SIDE = 1 << 31
_NUMBERS = "fiu"
# What the zip and npy parsers of the standard library and of numpy come up with on damaged files
DAMAGE = (
    OSError, ValueError, EOFError, SyntaxError, RuntimeError, KeyError, TypeError, AttributeError, OverflowError, MemoryError, zlib.error,
    struct.error, lzma.LZMAError, zipfile.BadZipFile, tokenize.TokenError,
)  # fmt: skip


@contextmanager
def sound(problem: str) -> Iterator[None]:
    """Say `problem` and the reason where a parser fails."""
    try:
        yield
    except ReadError:
        raise
    except DAMAGE as error:
        text = str(getattr(error, "strerror", None) or error)
        reason = text.splitlines()[0][:120].rstrip(".") if text else type(error).__name__
        raise ReadError(f"{problem} ({reason}).") from None


class Header(NamedTuple):
    """What an array is: shape, whether it is stored column by column, and type."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype


def parse_header(stream: IO[bytes]) -> Header:
    """What an array is, whatever it holds; `stream` goes on with its data. Raises one of `DAMAGE` if it is none."""
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return Header(*read(stream))


def read_header(stream: IO[bytes], where: str) -> Header:
    """Read the header of a `.npy` stream, up to its data.

    Raises:
        ReadError: it is none, or its array holds Python objects, text or records; `where` is named.
    """
    with sound(f"{where}: no .npy data, or damaged"):
        header = parse_header(stream)
    if header.dtype.hasobject:
        raise ReadError(
            f"{where}: holds Python objects, which are never loaded; save plain numbers, one array a clip, with np.save."
        )
    if header.dtype.kind not in _NUMBERS or header.dtype.subdtype is not None:
        raise ReadError(f"{where}: holds {header.dtype}; expected numbers.")
    if any(type(side) is not int or not 0 <= side < _MAX_SIDE for side in header.shape):
        raise ReadError(f"{where}: has shape {str(header.shape)[:80]}; the file is damaged.")
    return header


def read_array(stream: IO[bytes], where: str, limit: int = MAX_CLIP) -> np.ndarray:
    """Read one whole array.

    Raises:
        ReadError: no array of numbers, larger than `limit` bytes, or cut off.
    """
    shape, fortran, dtype = read_header(stream, where)
    size = math.prod(shape) * dtype.itemsize
    if size > limit:
        raise ReadError(f"{where}: an array of {size >> 20:,} MB; expected at most {limit >> 20} MB.")
    with sound(f"{where}: damaged"):
        data = stream.read(size)
    if len(data) != size:
        raise ReadError(f"{where}: ends after {len(data):,} of {size:,} bytes of shape {shape}; the file is truncated.")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


def read_npy(file: RawFile) -> np.ndarray:
    """Read a `.npy` file; raises ReadError as `read_array` does."""
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
        with sound(f"{self.name}: {key} is damaged"), self.archive.open(f"{key}.npy") as stream:
            yield stream

    def header(self, key: str) -> Header:
        """Shape and type of an array. Raises ReadError if it is none of numbers."""
        with self._open(key) as stream:
            return read_header(stream, f"{self.name}: {key}")

    def array(self, key: str, limit: int = MAX_CLIP) -> np.ndarray:
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
            (count, *item), fortran, dtype = read_header(stream, where)
            if fortran and item:
                raise ReadError(f"{where}: stored column by column; save it with np.ascontiguousarray.")
            size = math.prod(item) * dtype.itemsize
            if size > MAX_CLIP:
                raise ReadError(f"{where}: a clip of {size >> 20:,} MB; expected at most {MAX_CLIP >> 20} MB.")
            for index in range(count):
                data = stream.read(size)
                if len(data) != size:
                    raise ReadError(f"{where}: ends in clip {index + 1} of {count}; the file is truncated.")
                yield np.frombuffer(data, dtype).reshape(item)


@contextmanager
def open_npz(file: RawFile) -> Iterator[Npz]:
    """Open a `.npz`, of any size on disk, of at most 256 MB inside another archive.

    Raises:
        ReadError: not there, or no zip archive.
    """
    source = io.BytesIO(read_bytes(file, text=False)) if file.member else file.path
    with sound(f"{file.name}: no readable .npz file"):
        archive = zipfile.ZipFile(source)
    with archive:
        yield Npz(archive, file.name)
