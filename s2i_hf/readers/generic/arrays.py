"""Clips as arrays: `.npy`, `.npz` or nested lists in `.json`, one clip a file.

Accepted shapes, V being the joints of the layout:

    (T, V, 3)       T frames of one person
    (T, M, V, 3)    T frames of M people; or (M, T, V, 3), which it is taken for when the second axis is longer than ten and
                    the first is not: nobody records eleven people, and PYSKL stores people first
    (T, V * 3)      joints end to end, x y z x y z ...; (T, M * V * 3) for M people

With 2 in place of 3 where the layout is in pixels. Three values a joint are x, y and a score there, as pose estimators
write them: joints of score 0 were not seen. Missing joints are NaN (null in JSON).

`.npy` and `.npz` are read without surprises: numbers only, never a pickle, and no memory for what is not in the file.
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

from ...processing.skeleton_layout import SkeletonLayout
from ..raw_files import MAX_CLIP, RawFile, ReadError, check_fetched, read_bytes
from .raw_clip import RawClip

MAX_PEOPLE = 10
_KEYS = ("joints", "keypoints", "keypoint", "skeletons", "skeleton", "data", "positions")
_MAX_SIDE = 1 << 31
_NUMBERS = "fiu"
# What the zip and npy parsers of the standard library and of numpy come up with on damaged files
DAMAGE = (
    OSError, ValueError, EOFError, SyntaxError, RuntimeError, KeyError, TypeError, AttributeError, OverflowError, MemoryError, zlib.error,
    struct.error, lzma.LZMAError, zipfile.BadZipFile, tokenize.TokenError,
)  # fmt: skip


def read(file: RawFile, layout: SkeletonLayout | None = None) -> RawClip:
    """Read a clip from a `.npy` or `.npz` file, whose joints have to be those of a layout: arrays do not name them.

    Raises ReadError if there is no array of numbers, or of none of the shapes above.
    """
    if layout is None:
        raise ReadError(f"{file.name} does not say which joints it holds.")
    if file.suffix == ".npy":
        return as_clip(read_array(io.BytesIO(read_bytes(file, text=False)), file.name), layout, file.name)
    with open_npz(file) as arrays:
        return as_clip(arrays.array(_key(arrays.keys, file.name)), layout, file.name)


def _key(keys: list[str], name: str) -> str:
    """The array that holds the joints."""
    known = [key for key in _KEYS if key in keys] or keys
    if len(known) == 1 or (known and known[0] in _KEYS):
        return known[0]
    held = f"the arrays {', '.join(keys)[:200]}" if keys else "no arrays"
    raise ReadError(f"{name}: holds {held}; expected one, or one called {_KEYS[0]!r}.")


def from_lists(content: Any, layout: SkeletonLayout, name: str) -> RawClip:
    """A clip from nested lists, or from an object that holds them under "joints" or a like name.

    Raises ReadError if they are ragged, not numbers, or of none of the shapes above.
    """
    if isinstance(content, dict):
        content = content[_key([key for key, value in content.items() if isinstance(value, list)], name)]
    return as_clip(number_array(content, name), layout, name)


def number_array(content: Any, name: str) -> np.ndarray:
    """Nested lists of numbers as float64; null is NaN. Raises ReadError if they are ragged, or not of numbers."""
    try:
        array = np.asarray(content)
        if array.dtype.kind == "O":  # null, or a number that no float can hold
            flat = [value for value in array.reshape(-1).tolist() if value is not None]
            if not all(type(value) in (int, float) for value in flat):
                raise ValueError("something else than numbers in them")
            array = array.astype(np.float64)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise ReadError(f"{name}: the lists are ragged or not of numbers ({error}).") from None
    if array.dtype.kind not in "fiu":
        raise ReadError(f"{name}: the lists hold {array.dtype} values; expected numbers.")
    return array.astype(np.float64)


def as_clip(array: np.ndarray, layout: SkeletonLayout, name: str) -> RawClip:
    """A clip from an array of any accepted shape. Raises ReadError if it has none of those above."""
    joints, shape = layout.num_joints, array.shape
    sizes = (3,) if layout.unit == "m" else (2, 3)  # how many numbers a joint may have
    if array.ndim == 2:
        people = {array.shape[1] // (joints * size): size for size in sizes if array.shape[1] % (joints * size) == 0}
        if people and min(people) > 0:  # the fewest people that the numbers can be
            array = array.reshape(len(array), min(people), joints, people[min(people)])
    elif array.ndim == 3:
        array = array[:, None]
    elif array.ndim == 4 and array.shape[0] <= MAX_PEOPLE < array.shape[1]:
        array = array.swapaxes(0, 1)
    if array.ndim != 4 or array.shape[2] != joints or array.shape[3] not in sizes or 0 in array.shape:
        last = f"{joints}, {' or '.join(map(str, sizes))}"
        expected = f"expected (T, {last}) or (T, M, {last}) for layout {layout.name!r}"
        raise ReadError(f"{name}: the array has shape {shape}; {expected}.")
    array = array.astype(np.float64)
    if layout.unit == "px" and array.shape[-1] == 3:  # x, y and a score
        array = np.where(array[..., 2:] > 0, array[..., :2], np.nan)
    return RawClip(array)


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
    """Read the header of a `.npy` stream, up to its data. Raises ReadError, which names `where`, unless it is one of numbers."""
    with sound(f"{where}: no .npy data, or damaged"):
        header = parse_header(stream)
    if header.dtype.hasobject:
        raise ReadError(f"{where}: holds Python objects, which are never loaded; save plain numbers with np.save.")
    if header.dtype.kind not in _NUMBERS or header.dtype.subdtype is not None:
        raise ReadError(f"{where}: holds {header.dtype}; expected numbers.")
    if any(type(side) is not int or not 0 <= side < _MAX_SIDE for side in header.shape):
        raise ReadError(f"{where}: has shape {str(header.shape)[:80]}; the file is damaged.")
    return header


def read_array(stream: IO[bytes], where: str, limit: int = MAX_CLIP) -> np.ndarray:
    """Read one whole array. Raises ReadError if it is none of numbers, larger than `limit` bytes, or cut off."""
    shape, fortran, dtype = read_header(stream, where)
    size = math.prod(shape) * dtype.itemsize
    if size > limit:
        raise ReadError(f"{where}: an array of {size >> 20:,} MB; expected at most {limit >> 20} MB.")
    with sound(f"{where}: damaged"):
        data = stream.read(size)
    if len(data) != size:
        raise ReadError(f"{where}: ends after {len(data):,} of {size:,} bytes of shape {shape}; the file is truncated.")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


class Npz:
    """An open `.npz`: its arrays one by one, or row by row; `name` is what it is called in errors."""

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

        Raises ReadError if they are damaged, stored column by column, or a single one is larger than 64 MB.
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
    """Open a `.npz`, of any size on disk, of at most 256 MB inside another archive. Raises ReadError if it is none."""
    source = io.BytesIO(read_bytes(file, text=False)) if file.member else file.path
    try:
        with sound(f"{file.name}: no readable .npz file"):
            archive = zipfile.ZipFile(source)
    except ReadError:
        if not file.member:
            check_fetched(file.path, file.name)
        raise
    with archive:
        yield Npz(archive, file.name)
