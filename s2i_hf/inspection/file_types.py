"""What a file is, from its first bytes: for folders that no reader knows. Nothing is unpickled, and little is read."""

from __future__ import annotations

import io
import json
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Sequence
from itertools import islice
from typing import Any

from ..readers import RawFile, ReadError, read_bytes
from ..readers.generic.arrays import DAMAGE, Header, parse_header, sound
from ..readers.mat_files import variable_names
from ..readers.number_text import is_number
from ..readers.raw_files import check_fetched, open_archive

HEAD = 1 << 16  # bytes looked at
_JSON_BYTES = 16 << 20  # JSON has no header: it is parsed whole, up to here
_SIGNATURES = (
    (b"\x89HDF", "an HDF5 file (also MATLAB 7.3)"),
    (b"PAR1", "a Parquet table"),
    (b"ARROW1", "an Arrow table"),
    (b"Rar!", "a RAR archive: unpack it first"),
    (b"7z\xbc\xaf", "a 7-Zip archive: unpack it first"),
    (b"BZh", "a bzip2 file: unpack it first"),
    (b"\xfd7zXZ", "an xz file: unpack it first"),
    (b"\x89PNG|\xff\xd8\xff", "an image"),
    (b"%PDF", "a PDF document"),
    (b"SQLite", "an SQLite database"),
    (rb"RIFF....AVI |....ftyp|\x1aE\xdf\xa3", "a video, not a skeleton: run a pose estimator on it first"),
)
PICKLE = "a Python pickle, which can run programs when loaded and therefore never is"
_PICKLE_START = re.compile(
    rb"\x80[\x02-\x05]|[}\]]q[\x00-\xff]|\([dl]p\d+\n|c(?:copy_reg|copyreg|numpy|__builtin__|builtins|collections)"
)


def head(file: RawFile, size: int = HEAD) -> bytes:
    """The first `size` bytes of a file on disk or in an archive. Raises ReadError if it cannot be read, or is no regular file."""
    with sound(f"{file.name}: cannot be read"):
        if not file.member and not stat.S_ISREG(file.path.stat().st_mode):
            raise ReadError(f"{file.name}: not a regular file.")
        with open_archive(file.path).open(file.member) if file.member else file.path.open("rb") as stream:
            start = stream.read(size)
        check_fetched(start, file.name)
        return start


def is_pickle(file: RawFile) -> bool:
    """Whether a file is a Python pickle, by its first bytes; also one from torch.save."""
    try:
        start = head(file, 512)
    except ReadError:
        return False
    of_torch = start.startswith(b"PK") and file.suffix in (".pt", ".pth", ".ckpt", ".tar")
    return of_torch or _PICKLE_START.match(start) is not None


def describe(file: RawFile) -> str:
    """A phrase such as "an array of float32, shape (60, 25, 3)"; says so where a file is broken or of no known kind."""
    try:
        start = head(file)
        if not start.strip():
            return "empty"
        if start.startswith(b"\x1f\x8b"):
            start = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(start, HEAD)
            return f"gzip of {_text(file, start)}" if start.lstrip()[:1] not in (b"{", b"[") else "gzip of JSON"
        if start.startswith(b"\x93NUMPY"):
            header = parse_header(io.BytesIO(start))
            if header.dtype.hasobject:
                return "an array of Python objects, that is " + PICKLE
            return f"an array of {header.dtype.name}, shape {header.shape}"
        if is_pickle(file):
            return PICKLE
        if start.startswith(b"PK"):
            return _archive(file)
        for signature, name in _SIGNATURES:
            if re.match(signature, start, re.DOTALL):
                return name
        if start.startswith(b"MATLAB 5.0"):
            names = variable_names(read_bytes(file, text=False), file.name)
            return f"a MATLAB file with {_some(names) or 'nothing in it'}"
        if file.suffix == ".safetensors":
            return _safetensors(file)
        return _text(file, start)
    except ReadError as error:
        return str(error).partition(": ")[2].rstrip(".") or str(error)
    except DAMAGE:
        return "damaged, or of no known kind"


def npz_headers(file: RawFile) -> dict[str, Header]:
    """Shape and type of every array in an .npz file; empty if it is none. Raises ReadError if the file cannot be read."""
    headers = {}
    where = io.BytesIO(file.read()) if file.member else file.path
    with sound(f"{file.name}: cannot be read"), zipfile.ZipFile(where) as archive:
        for name in (name for name in archive.namelist()[:64] if name.endswith(".npy")):
            with archive.open(name) as member:
                headers[name.removesuffix(".npy")] = parse_header(member)
    return headers


def _archive(file: RawFile) -> str:
    headers = npz_headers(file).items()
    arrays = [f"{name} {shape}{' of objects' if dtype.hasobject else ''}" for name, (shape, _, dtype) in headers]
    return f"arrays {_some(arrays)}" if arrays else "a zip archive without arrays in it"


def _safetensors(file: RawFile) -> str:
    (length,) = struct.unpack("<Q", head(file, 8))
    if length > HEAD << 8:
        raise ValueError("a header of megabytes")
    tensors = json.loads(head(file, 8 + length)[8:])
    shown = [f"{name} {tuple(value['shape'])}" for name, value in tensors.items() if name != "__metadata__"]
    return f"tensors {_some(shown)}"


def _some(names: Sequence[str], count: int = 8) -> str:
    return ", ".join(names[:count]) + (", ..." if len(names) > count else "")


def _text(file: RawFile, start: bytes) -> str:
    if b"\0" in start[:1024]:
        utf16 = start.startswith((b"\xff\xfe", b"\xfe\xff"))
        return "UTF-16 text: save it as plain text" if utf16 else "binary, of no known kind"
    text = start.decode("utf-8-sig", errors="replace")
    if text.lstrip()[:1] in ("{", "["):
        return _json(file)
    if text.lstrip().startswith("HIERARCHY"):
        joints = len(re.findall(r"^\s*(?:ROOT|JOINT)\s", text, re.MULTILINE))
        return f"BVH motion capture with {joints} joints"
    if re.match(r"\s*#?.*?\n?:(?:ASF|version|name|units)", text, re.IGNORECASE | re.DOTALL) and ":root" in text:
        return "an ASF skeleton (Acclaim motion capture)"
    if file.suffix == ".amc":
        return "AMC motion (Acclaim), which needs its ASF skeleton"
    lines = [line for line in text.splitlines() if line.strip()]
    if len(start) >= HEAD and len(lines) > 1:
        lines = lines[:-1]  # cut off
    return _columns(lines)


def _columns(lines: list[str]) -> str:
    if not lines:
        return "text without a line"
    separator = next((mark for mark in (",", ";", "\t") if mark in lines[len(lines) // 2]), None)
    kind = {",": "commas", ";": "semicolons", "\t": "tabs", None: "blanks"}[separator]
    rows = [[cell for cell in line.split(separator) if cell.strip()] for line in lines[:200]]
    numeric = [all(map(is_number, row)) for row in rows]
    if not any(numeric):
        return f"text, first line {_short(lines[0])!r}"
    first = numeric.index(True)
    widths = sorted({len(row) for row, of_numbers in zip(rows, numeric, strict=True) if of_numbers})
    shown = str(widths[0]) if len(widths) == 1 else f"{widths[0]} to {widths[-1]}"
    above = "" if first == 0 else f" below {first} line{'s' if first > 1 else ''} such as {_short(lines[0])!r}"
    return f"text, {shown} number{'' if shown == '1' else 's'} a line, between {kind}{above}"


def _short(text: str, length: int = 60) -> str:
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 3] + "..."


def _json(file: RawFile) -> str:
    data = head(file, _JSON_BYTES + 1)
    if len(data) > _JSON_BYTES:
        return f"JSON of more than {_JSON_BYTES >> 20} MB, begins {_short(data[:200].decode(errors='replace'))!r}"
    try:
        return f"JSON, {json_shape(json.loads(data))}"
    except (ValueError, RecursionError):
        return "broken JSON (truncated?)"


def json_shape(value: Any, depth: int = 3) -> str:
    """Structure of a JSON value: "an object with skeletons (31 x 20 x 3 numbers), label (a number)"."""
    if isinstance(value, dict):
        if depth == 0:
            return "an object"
        items = [f"{_short(str(key), 30)} ({json_shape(item, depth - 1)})" for key, item in islice(value.items(), 7)]
        return f"an object with {_some(items, 6)}" if items else "an empty object"
    if isinstance(value, list):
        sizes: list[int] = []
        while isinstance(value, list):
            sizes.append(len(value))
            if not value:
                return "an empty list" if len(sizes) == 1 else "lists, some empty"
            value = value[0]
        shape = " x ".join(map(str, sizes))
        if isinstance(value, (int, float)):
            return f"{shape} numbers"
        return f"a list of {shape}, each {json_shape(value, depth - 1) if depth else 'an object'}"
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    return "a number" if isinstance(value, (int, float)) else f"text {_short(str(value), 20)!r}"
