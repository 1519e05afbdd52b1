"""Clips as arrays: `.npy`, `.npz` or nested lists in `.json`, one clip a file.

Accepted are (T, V, C), (T, M, V, C), the orders of other programs and flat rows, as `processing.array_axes` tells them apart; V are the
joints of the layout. In metres C is x y z or x y z and a score, in pixels x y or x y and a score: joints of score 0 were not seen. Missing
joints are NaN (null in JSON). What stands beside the joints in a `.npz` or a JSON object is read by `array_facts`.

`.npy` and `.npz` are read without surprises: numbers and text only, never a pickle, and no memory for what is not in the file.
"""

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
from typing import IO, Any, NamedTuple

import numpy as np

from ...processing.array_axes import MAX_PEOPLE, arrange, coordinates
from ...processing.skeleton_layout import SkeletonLayout
from ..raw_files import MAX_CLIP, RawFile, ReadError, SilentFile, check_fetched, read_bytes
from .raw_clip import RawClip

__all__ = ["MAX_PEOPLE", "as_clip", "number_array", "open_npy", "open_npz", "read_array"]
# Widths of rows that are features of a motion, and what to read in their place
_FEATURES = {263: "HumanML3D", 251: "KIT-ML", 623: "Motion-X"}
_MAX_SIDE = 1 << 31
NUMBERS = "fiu"
FACTS = "fiubUS"  # numbers, yes and no, and text
# What the zip and npy parsers of the standard library and of numpy come up with on damaged files
DAMAGE = (
    OSError, ValueError, EOFError, SyntaxError, RuntimeError, KeyError, TypeError, AttributeError, OverflowError, MemoryError, zlib.error,
    struct.error, lzma.LZMAError, zipfile.BadZipFile, tokenize.TokenError,
)  # fmt: skip


def number_array(content: Any, name: str, kinds: str = NUMBERS) -> np.ndarray:
    """Nested lists of numbers as float64; null is NaN. Raises ReadError if they are ragged, or of none of `kinds`."""
    try:
        array = np.asarray(content)
        if array.dtype.kind == "O":  # null, or a number that no float can hold
            flat = [value for value in array.reshape(-1).tolist() if value is not None]
            if not all(type(value) in (int, float) for value in flat):
                raise ValueError("something else than numbers in them")
            array = array.astype(np.float64)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise ReadError(f"{name}: the lists are ragged or not of numbers ({error}).") from None
    if array.dtype.kind not in kinds:
        raise ReadError(f"{name}: the lists hold {array.dtype} values; expected numbers.")
    return array.astype(np.float64) if array.dtype.kind in NUMBERS else array


def as_clip(array: np.ndarray, layout: SkeletonLayout | None, name: str, axes: str | None = None) -> RawClip:
    """A clip from an array of any accepted shape, `axes` as in `array_axes`. Raises ReadError if it has none, or several."""
    refuse_features(array, layout.num_joints if layout else 25, name)
    if layout is None:
        raise SilentFile(name)
    try:
        joints = coordinates(arrange(array, layout, axes), layout.unit)
    except ValueError as error:
        raise ReadError(f"{name}: {error}") from None
    return RawClip(joints.astype(np.float64))


def refuse_features(array: np.ndarray, joints: int, name: str) -> None:
    """Raise ReadError for the motion features that text-to-motion data sets keep beside their joints."""
    source = _FEATURES.get(array.shape[1]) if array.ndim == 2 else None
    if source is not None and array.shape[1] % joints:
        features = f"rows of {array.shape[1]} numbers are motion features of {source} (new_joint_vecs)"
        raise ReadError(f"{name}: {features}, not places of joints; read the file of this name in new_joints.")


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


def read_header(stream: IO[bytes], where: str, kinds: str = NUMBERS) -> Header:
    """Read the header of a `.npy` stream, up to its data. Raises ReadError, which names `where`, unless it is one of `kinds`."""
    with sound(f"{where}: no .npy data, or damaged"):
        header = parse_header(stream)
    if header.dtype.hasobject:
        raise ReadError(f"{where}: holds Python objects, which are never loaded; save plain numbers with np.save.")
    if header.dtype.names:
        fields = ", ".join(header.dtype.names)[:80]
        raise ReadError(f"{where}: holds a structured array ({fields}); expected numbers: save each field as an array.")
    if header.dtype.kind not in kinds or header.dtype.subdtype is not None:
        raise ReadError(f"{where}: holds {header.dtype}; expected numbers.")
    if any(type(side) is not int or not 0 <= side < _MAX_SIDE for side in header.shape):
        raise ReadError(f"{where}: has shape {str(header.shape)[:80]}; the file is damaged.")
    return header


def read_array(stream: IO[bytes], where: str, limit: int = MAX_CLIP, kinds: str = NUMBERS) -> np.ndarray:
    """Read one whole array. Raises ReadError if it is none of `kinds`, larger than `limit` bytes, or cut off."""
    shape, fortran, dtype = read_header(stream, where, kinds)
    size = math.prod(shape) * dtype.itemsize
    if size > limit:
        raise ReadError(f"{where}: an array of {size >> 20:,} MB; expected at most {limit >> 20} MB.")
    with sound(f"{where}: damaged"):
        data = stream.read(size)
    if len(data) != size:
        raise ReadError(f"{where}: ends after {len(data):,} of {size:,} bytes of shape {shape}; the file is truncated.")
    return np.ndarray(shape, dtype, data, order="F" if fortran else "C")


def read_rows(stream: IO[bytes], where: str) -> Iterator[np.ndarray]:
    """The items of a `.npy` stream along its first axis, one after the other; memory holds one.

    Raises ReadError if they are damaged, stored column by column, or a single one is larger than 64 MB.
    """
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
def open_npy(file: RawFile) -> Iterator[IO[bytes]]:
    """The stream of a `.npy`, of any size on disk, of at most 256 MB inside an archive or packed. Raises ReadError if it cannot be read."""
    if file.member or file.name.lower().endswith(".gz"):
        yield io.BytesIO(read_bytes(file, text=False))
        return
    check_fetched(file.path, file.name)
    with sound(f"{file.name}: damaged or cannot be read"):
        if not file.path.is_file():
            raise ReadError(f"{file.name}: not a regular file; expected a recording.")
        with file.path.open("rb") as stream:
            yield stream


class Npz:
    """An open `.npz`: its arrays one by one, or row by row; `name` is what it is called in errors."""

    def __init__(self, archive: zipfile.ZipFile, name: str) -> None:
        self.archive, self.name = archive, name
        self.keys: list[str] = [member.removesuffix(".npy") for member in archive.namelist() if member.endswith(".npy")]

    @contextmanager
    def _open(self, key: str) -> Iterator[IO[bytes]]:
        with sound(f"{self.name}: {key} is damaged"), self.archive.open(f"{key}.npy") as stream:
            yield stream

    def header(self, key: str, kinds: str = NUMBERS) -> Header:
        """Shape and type of an array. Raises ReadError if it is none of `kinds`."""
        with self._open(key) as stream:
            return read_header(stream, f"{self.name}: {key}", kinds)

    def array(self, key: str, limit: int = MAX_CLIP, kinds: str = NUMBERS) -> np.ndarray:
        """A whole array. Raises ReadError if it is none of `kinds`, damaged, or larger than `limit` bytes."""
        with self._open(key) as stream:
            return read_array(stream, f"{self.name}: {key}", limit, kinds)

    def rows(self, key: str) -> Iterator[np.ndarray]:
        """The items along the first axis, one after the other; see `read_rows`."""
        with self._open(key) as stream:
            yield from read_rows(stream, f"{self.name}: {key}")


@contextmanager
def open_npz(file: RawFile) -> Iterator[Npz]:
    """Open a `.npz`, of any size on disk, of at most 256 MB inside another archive. Raises ReadError if it is none."""
    if not file.member:
        check_fetched(file.path, file.name)
    with sound(f"{file.name}: no readable .npz file"):
        archive = zipfile.ZipFile(io.BytesIO(read_bytes(file, text=False)) if file.member else file.path)
    with archive:
        yield Npz(archive, file.name)
