"""Which model an exported file was made of, so that an export of earlier weights is not taken for one of these.

The exporter writes a digest of the model's files into the metadata; whoever passes the file on compares. The metadata of an ONNX file is
read here by the rules of Protocol Buffers, so that a machine without the package `onnx` can pass one on as well.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
SOURCE = "source"  # key of the digest in the metadata
_METADATA_PROPS = 14  # field of ONNX's ModelProto: entries of key (1) and value (2)
_VARINT, _EIGHT_BYTES, _MESSAGE, _FOUR_BYTES = 0, 1, 2, 5  # wire types


def digest_of_model(folder: str | Path) -> str:
    """SHA-256, in hex, of the weights, config.json and preprocessor_config.json in a folder, as far as they are there."""
    folder, digest = Path(folder), hashlib.sha256()
    names = ["config.json", "preprocessor_config.json", WEIGHTS, INDEX]
    for path in [*(folder / name for name in names), *sorted(folder.glob("model-*-of-*.safetensors"))]:
        if path.is_file():
            digest.update(path.name.encode() + b"\0")
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def is_fresh_export(file: Path, folder: Path) -> bool:
    """Whether an ONNX file was exported from the model that is in the folder now."""
    try:
        return onnx_metadata(file).get(SOURCE) == digest_of_model(folder)
    except ValueError:
        return False


def onnx_metadata(file: Path) -> dict[str, str]:
    """Metadata of an ONNX file; its weights are passed over.

    Raises:
        ValueError: it is no ONNX file, or not all of it.
    """
    entries: dict[str, str] = {}
    try:
        with file.open("rb") as stream:
            for field, start, size in _fields(stream, 0, file.stat().st_size):
                if field == _METADATA_PROPS:
                    inside = {}
                    for key, at, length in _fields(stream, start, start + size):
                        stream.seek(at)
                        inside[key] = stream.read(length).decode("utf-8")
                    entries[inside.get(1, "")] = inside.get(2, "")
    except (OSError, UnicodeDecodeError):
        raise ValueError(f"{file} is no ONNX file; export it again.") from None
    return entries


def _fields(stream: BinaryIO, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, place and size of the length-delimited fields of a message."""
    at = start
    while at < end:
        stream.seek(at)
        field, wire = divmod(_varint(stream), 8)
        size = {_EIGHT_BYTES: 8, _FOUR_BYTES: 4}.get(wire, 0)
        if wire in (_VARINT, _MESSAGE):
            value = _varint(stream)
            size = value if wire == _MESSAGE else 0
        elif not size:
            raise ValueError(f"an ONNX file has no wire type {wire}; export it again.")
        at = stream.tell() + size
        if at > end:
            raise ValueError("the ONNX file is cut off; export it again.")
        if wire == _MESSAGE:
            yield field, at - size, size


def _varint(stream: BinaryIO) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = stream.read(1)
        if not byte:
            break
        value |= (byte[0] & 127) << shift
        if byte[0] < 128:
            return value
    raise ValueError("the ONNX file is cut off; export it again.")
