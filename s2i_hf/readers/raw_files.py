"""Raw files as they were downloaded: in a folder, or still inside the zip archives that the owners offer.

Nothing is ever unpacked to disk, so a member's name cannot write anywhere.
"""

from __future__ import annotations

import contextlib
import heapq
import json
import math
import os
import stat
import struct
import threading
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

import numpy as np

MAX_CLIP = 64 << 20  # bytes of one clip: 200,000 frames of 25 joints
_MAX_BYTES = 256 << 20  # the longest recordings have a few megabytes; anything like this is not one
_MAX_FILES = 2_000_000  # in an archive or a folder; NTU-120 has 114,480
_LOCAL_HEADER = 30  # bytes before the name in a zip archive's record of a member
_ARCHIVE_LOCK = threading.Lock()
_MIN_EXTENT = 0.1  # metres; a body that seems smaller was not in millimetres
_MAX_EXTENT = 20.0  # no body is 20 metres wide; 1.7 m in millimetres is 1,700
_POINTERS = {  # how they begin -> of what, and what fetches the file
    b"version https://git-lfs.github.com/spec/": ("Git LFS", "git lfs pull"),
    b"/annex/objects/": ("git-annex", "git annex get"),
}
_TEXT_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"PK": "a zip archive", b"\x1f\x8b": "gzip"}


FileLike: TypeAlias = "str | Path | RawFile"  # what readers take


class ReadError(ValueError):
    """A recording that cannot be read. The message is one sentence that names the file and the line or frame."""


class SilentFile(ReadError):
    """A recording that does not say which joints it holds, and nobody else did."""

    def __init__(self, name: str, advice: str = "") -> None:
        super().__init__(f"{name} does not say which joints it holds. {advice}".rstrip())


class NoClip(ReadError):
    """An entry of the data set that stands for no clip (a label row without frames): counted, but nothing is broken."""


class LeftOut(NoClip):
    """A part of a clip that was read without it: frames that could not be read, people who did not fit.

    Readers yield it beside the clip, in any order. The message is one sentence that names the file and says what of it was left out.
    It is shown and counted wherever clips are read; neither is anything broken, nor does a strict conversion fail.
    """


@dataclass(frozen=True)
class RawFile:
    """One raw file."""

    path: Path  # the file, or the zip archive it is in
    member: str = ""  # its name inside the archive; "" for a file of its own
    companions: tuple[RawFile, ...] = ()  # files that are read with it: labels of a video, angles beside positions
    size: int = -1  # bytes, unpacked
    stamp: int = 0  # time of change (ns), or the checksum inside an archive: another one means other contents

    @classmethod
    def of(cls, file: FileLike) -> RawFile:
        """`file` itself, or the file at this path."""
        return file if isinstance(file, RawFile) else cls(Path(file))

    @property
    def _pure(self) -> PurePosixPath | Path:
        return PurePosixPath(self.member) if self.member else self.path

    @property
    def name(self) -> str:
        """File name without folders."""
        return self._pure.name

    @property
    def stem(self) -> str:
        """File name without folders, extension and `.gz`."""
        return Path(without_gz(self.name)).stem

    @property
    def suffix(self) -> str:
        """Extension of its name, before `.gz`, in small letters: recorders under Windows write .CSV and .BVH."""
        return Path(without_gz(self.name)).suffix.lower()

    @property
    def folders(self) -> tuple[str, ...]:
        """Names of the folders it lies in, the outermost first; inside an archive those of the archive."""
        return tuple(self._pure.parts[:-1])

    def __str__(self) -> str:
        return f"{self.path}!{self.member}" if self.member else str(self.path)

    def with_companions(self, *companions: RawFile) -> RawFile:
        """The same file, with these beside it."""
        return replace(self, companions=companions)

    def read(self) -> bytes:
        """Contents as stored, `.gz` not unpacked. Raises ReadError if they are not there, too large or damaged, or were not fetched."""
        data = _read_member(self) if self.member else _read_file(self)
        check_fetched(data, self.name)
        return data


def _read_file(file: RawFile) -> bytes:
    try:
        status = file.path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe without a writer would wait for ever
            raise ReadError(f"{file.name}: not a regular file; expected a recording.")
        _check_size(file, status.st_size)
        with file.path.open("rb", buffering=0) as stream:
            return stream.read(status.st_size + 1)  # no more than was promised, should it grow meanwhile
    except OSError as error:
        with contextlib.suppress(OSError):  # in a git-annex it is a link to where it will be
            inside = os.readlink(file.path).replace(os.sep, "/").partition("/annex/objects/")[1]
            check_fetched(inside.encode(), file.name)
        raise ReadError(f"{file.name}: cannot be read ({error.strerror or error}).") from None


def without_gz(name: str) -> str:
    """The name of a file without `.gz`, in any case."""
    return name[:-3] if name.lower().endswith(".gz") else name


def check_fetched(file: Path | bytes, name: str) -> None:
    """Raise ReadError if a file, or its first bytes, is a pointer of Git LFS or git-annex, which stands for one that was not fetched."""
    start = file if isinstance(file, bytes) else b""
    with contextlib.suppress(OSError):
        if isinstance(file, Path) and file.is_file():
            with file.open("rb") as stream:
                start = stream.read(64)
    for mark, (system, command) in _POINTERS.items():
        if start.startswith(mark):
            raise ReadError(f"{name}: a pointer of {system}, not the file itself; run `{command}` where it was cloned.")


def _check_size(file: RawFile, size: int) -> None:
    if size > _MAX_BYTES:
        raise ReadError(f"{file.name}: {size >> 20:,} MB large; expected a recording of at most {_MAX_BYTES >> 20} MB.")


@lru_cache(maxsize=8)
def _archive(path: Path, changed: int, process: int) -> zipfile.ZipFile:
    """An open archive; `changed` and `process` keep apart what may not be shared."""
    try:  # macOS writes names in UTF-8 and does not say so
        return zipfile.ZipFile(path, metadata_encoding="utf-8")
    except UnicodeDecodeError:
        return zipfile.ZipFile(path)


def open_archive(path: Path) -> zipfile.ZipFile:
    """An archive, opened once a process. Raises ReadError if it is not there, or no zip archive, or damaged."""
    try:
        archive = _archive(path, path.stat().st_mtime_ns, os.getpid())
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
        check_fetched(path, path.name)
        raise ReadError(f"{path.name}: no readable zip archive ({error}); download it again.") from None
    if len(archive.NameToInfo) > _MAX_FILES:
        raise ReadError(f"{path.name}: {len(archive.NameToInfo):,} members; expected at most {_MAX_FILES:,}.")
    return archive


def _read_member(file: RawFile) -> bytes:
    archive = open_archive(file.path)
    if (info := archive.NameToInfo.get(file.member)) is None:
        raise ReadError(f"{file}: the archive has no such member.")
    _check_size(file, info.file_size)
    if info.flag_bits & 1:
        raise ReadError(f"{file.name}: encrypted in {file.path.name}; unpack the archive with its password first.")
    stream = archive.fp
    assert stream is not None
    try:
        with _ARCHIVE_LOCK:  # threads share the place in the file
            stream.seek(info.header_offset)
            header = stream.read(_LOCAL_HEADER)
            if header[:4] != b"PK\x03\x04":
                raise zipfile.BadZipFile("no member begins where the index says")
            stream.seek(sum(struct.unpack("<HH", header[26:30])), os.SEEK_CUR)  # its name, and what else is there
            data = stream.read(info.compress_size)
        if info.compress_type == zipfile.ZIP_DEFLATED:
            # At most one byte more than was declared, so that a bomb does not blow up
            data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, info.file_size + 1)
        elif info.compress_type != zipfile.ZIP_STORED:
            data = archive.read(info)
        if len(data) != info.file_size or zlib.crc32(data) != info.CRC:
            raise zipfile.BadZipFile("its size or checksum is another")
    except (OSError, zlib.error, struct.error, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise ReadError(f"{file.name}: damaged in {file.path.name} ({error}); download the archive again.") from None
    return data


def list_raw_files(data_dir: Path, depth: float = math.inf) -> list[RawFile]:
    """Every file in a folder, at most `depth` levels of folders below it, and in its archives, or in one archive, sorted by name.

    What cannot be opened stands for itself: an archive, a folder, a link to a folder that is read already. Raises ReadError if an
    archive that cannot be read is `data_dir`, or there are more than two million files.
    """
    if data_dir.is_file():
        one = on_disk(data_dir)
        files = _members(data_dir) if is_archive(one) else iter([one])
    else:
        files = _in_folder(data_dir, depth)
    found = list(islice(files, _MAX_FILES + 1))
    if len(found) > _MAX_FILES:
        raise ReadError(f"{data_dir} holds more than {_MAX_FILES:,} files; name a folder nearer to the recordings.")
    return sorted(found, key=lambda file: (file.stem, file.folders, str(file)))


def is_archive(file: RawFile) -> bool:
    """Whether a file is a zip archive, by its name."""
    return not file.member and file.name.lower().endswith(".zip")


def why_closed(file: RawFile) -> str:
    """Why an archive or a folder stands for itself among the files; "" for any other file."""
    if file.size < 0 and file.path.is_dir():
        return "folders that cannot be opened, or are read already"
    if not is_archive(file):
        return ""
    try:
        check_fetched(file.path, file.name)
    except ReadError as error:
        return str(error).removeprefix(f"{file.name}: ").removesuffix(".")
    return "zip archives that cannot be read"


def with_suffix(files: Iterable[RawFile], suffixes: Sequence[str]) -> list[RawFile]:
    """The files with one of `suffixes`, such as (".skeleton",), or that and `.gz`, in small or capital letters."""
    return [file for file in files if without_gz(file.name).lower().endswith(tuple(suffixes))]


def on_disk(path: Path) -> RawFile:
    """A file that is in no archive, with its size and time of change."""
    try:
        status = path.stat()
    except OSError:
        return RawFile(path)  # a dangling link: reading it will say so
    return RawFile(path, size=status.st_size, stamp=status.st_mtime_ns)


def _members(path: Path) -> Iterator[RawFile]:
    for name, info in open_archive(path).NameToInfo.items():
        hidden = any(part.startswith((".", "__MACOSX", "/")) for part in PurePosixPath(name).parts)  # ".." as well
        if not hidden and not name.endswith("/"):
            yield RawFile(path, name, size=info.file_size, stamp=info.CRC)


def _in_folder(folder: Path, depth: float) -> Iterator[RawFile]:
    """Files that are not hidden; links to folders are followed, after all folders that are none, but no folder is read twice."""
    seen: set[tuple[int, int]] = set()
    folders, links = [(str(folder), 0)], list[tuple[str, int]]()
    while folders or links:
        path, level = folders.pop() if folders else heapq.heappop(links)
        try:
            status = os.stat(path)
            if (place := (status.st_dev, status.st_ino)) in seen:
                raise OSError
            seen.add(place)
            with os.scandir(path) as listing:
                entries = [entry for entry in listing if not entry.name.startswith(".")]
        except OSError:
            if level > 0:
                yield RawFile(Path(path))
            continue
        for entry in entries:
            if not os.path.isdir(entry.path):  # False, and no error, where it may not be looked at
                file = on_disk(Path(entry.path))
                try:
                    yield from _members(file.path) if is_archive(file) else [file]
                except ReadError:
                    yield file
            elif level < depth and entry.is_symlink():
                heapq.heappush(links, (entry.path, level + 1))
            elif level < depth:
                folders.append((entry.path, level + 1))


def read_bytes(file: FileLike, text: bool = True, limit: int | None = None) -> bytes:
    """Contents of a recording, on disk or in an archive; `.gz` is unpacked.

    If it must be plain `text`, a byte order mark is taken off; `limit` are the bytes that one clip may have, unpacked.
    Raises ReadError if there is no such file, it is a folder, a pipe or a device, it is far too large, damaged, or not text.
    """
    file = RawFile.of(file)
    data = file.read()
    if file.name.lower().endswith(".gz"):
        data = _gunzip(data, file.name)
    if limit is not None and len(data) > limit:
        raise ReadError(f"{file.name}: {len(data) >> 20} MB; expected one clip, of at most {limit >> 20} MB.")
    if not data or data.isspace():
        raise ReadError(f"{file.name}: the file is empty.")
    if not text:
        return data
    for mark, kind in _TEXT_MARKS.items():
        if data.startswith(mark):
            raise ReadError(f"{file.name}: the file is {kind}; expected plain ASCII text.")
    return data.removeprefix(b"\xef\xbb\xbf")  # the byte order mark that some Windows editors write


def read_json(file: RawFile, limit: int | None = None) -> Any:
    """Contents of a JSON file; `limit` as in `read_bytes`. Raises ReadError as it does, or for what is no JSON."""
    data = read_bytes(file, limit=limit)
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ReadError(f"{file.name}: not JSON ({error}); the file is truncated or corrupt.") from None


def _gunzip(data: bytes, name: str) -> bytes:
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        unpacked = unpacker.decompress(data, _MAX_BYTES)
    except zlib.error as error:
        raise ReadError(f"{name}: damaged gzip ({error}); download it again.") from None
    if unpacker.unconsumed_tail:
        raise ReadError(f"{name}: unpacks to more than {_MAX_BYTES >> 20} MB; expected a recording.")
    if not unpacker.eof:
        raise ReadError(f"{name}: the gzip file ends too early; download it again.")
    return unpacked


def check_finite(joints: np.ndarray, file: str, limit: float = np.inf) -> None:
    """Refuse joints, (T, V, 3), that are NaN or not below `limit`; the error names the first of them."""
    bad = np.argwhere(~(np.abs(joints) < limit))
    if len(bad):
        frame, joint, axis = (int(index) for index in bad[0])
        where = f"{file}: frame {frame + 1} of {len(joints)}: {'xyz'[axis]} of joint {joint + 1}"
        raise ReadError(f"{where} is {joints[frame, joint, axis]:g}; expected a number of metres.")


def body_extent(bodies: np.ndarray) -> float:
    """Width of the median body of (..., V, 3), with NaN where not measured; a single ghost may well be any size."""
    extents = (np.fmax.reduce(bodies, axis=-2) - np.fmin.reduce(bodies, axis=-2)).max(axis=-1)
    return float(np.nanmedian(extents))


def check_metres(bodies: np.ndarray, path: str | Path, millimetres: bool = False) -> None:
    """Refuse bodies, (..., V, 3) with NaN where not measured, that are no people in metres; the error names the recording.

    Raises ReadError if the median body is more than 20 units wide; or below 0.1, where the file should have `millimetres`, of which
    `bodies` are a thousandth.
    """
    extent, file = body_extent(bodies), Path(path).name
    if millimetres and extent < _MIN_EXTENT:
        raise ReadError(f"{file}: the bodies are {1000 * extent:.3g} units large; expected millimetres.")
    if extent > _MAX_EXTENT:
        problem = f"{file}: the bodies are {extent:,.0f} units large, which cannot be metres"
        raise ReadError(f"{problem}; if the file is in millimetres, divide its coordinates by 1000.")
