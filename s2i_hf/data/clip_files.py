"""Clips end to end in one safetensors file: the form of the format "safetensors", and of the pieces of a conversion.

A file holds columns: `joints` of all clips one after the other, `shapes` (N, 4), `labels`, `subjects`, `cameras` (N,), `layouts`
(N,) as indices into the metadata's `layouts`, `body_ids` end to end, and `sample_ids` as UTF-8 lines. It is written and read by
hand, because the library wants all joints in memory at once; the format is 8 bytes with the length of a JSON header, the
header (padded to 8 bytes), and the tensors.
"""

from __future__ import annotations

import json
import struct
import zlib
from array import array
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

_DTYPES = {"int32": "I32", "int64": "I64", "uint8": "U8"}
_NUMPY = {"F32": "<f4", "I32": "<i4", "I64": "<i8", "U8": "u1"}
_COPIED_AT_ONCE = 1 << 20
_MAX_HEADER = 1 << 28


class ClipFileWriter:
    """Rows of one split, one after the other. Joints wait in a file beside it, so memory holds the small columns only.

    Args:
        path: The file to make.
        protocol: Name of the protocol, for the header.
        class_names: Names of the classes, for the header.
    """

    def __init__(self, path: Path, protocol: str, class_names: Sequence[str]) -> None:
        self.path, self.protocol, self.class_names = path, protocol, class_names
        self._spool_path = path.with_suffix(".part")
        self._spool: BinaryIO = self._spool_path.open("wb")
        self._shapes = array("i")
        self._numbers = {name: array("i") for name in ("labels", "subjects", "cameras", "layouts")}
        self._body_ids = array("q")
        self._sample_ids: list[str] = []
        self._layouts: dict[str, int] = {}

    def write(self, row: Mapping[str, Any]) -> None:
        """Append a row, as `SkeletonSequence.to_row` makes it.

        Raises:
            ValueError: its sample id has a line break in it, or bytes that are no text.
        """
        sample_id: str = row["sample_id"]
        if "\n" in sample_id or (not sample_id.isascii() and sample_id != sample_id.encode(errors="replace").decode()):
            raise ValueError(
                f"Sample id {sample_id!r} has a line break or broken characters in it; rename the recording."
            )
        self._spool.write(np.ascontiguousarray(row["joints"], dtype="<f4").data)
        self._shapes.extend(row["shape"])
        for name in ("label", "subject", "camera"):
            self._numbers[f"{name}s"].append(row[name])
        self._numbers["layouts"].append(self._layouts.setdefault(row["layout"], len(self._layouts)))
        self._body_ids.extend(row["body_ids"])
        self._sample_ids.append(row["sample_id"])

    def close(self) -> int:
        """Put the file together; returns its CRC-32."""
        size = self._spool.tell()
        self._spool.close()
        columns = {
            "shapes": np.array(self._shapes, dtype="<i4").reshape(-1, 4),
            **{name: np.array(values, dtype="<i4") for name, values in self._numbers.items()},
            "body_ids": np.array(self._body_ids, dtype="<i8"),
            "sample_ids": np.frombuffer("\n".join(self._sample_ids).encode(), dtype=np.uint8),
        }
        metadata = {
            "format": "s2i-hf rows 1",
            "protocol": self.protocol,
            "class_names": json.dumps(list(self.class_names)),
            "layouts": json.dumps(list(self._layouts)),
        }
        header: dict[str, Any] = {
            "__metadata__": metadata,
            "joints": {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]},
        }
        for name, column in columns.items():
            span = [size, size := size + column.nbytes]
            header[name] = {"dtype": _DTYPES[column.dtype.name], "shape": list(column.shape), "data_offsets": span}
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        checksum = 0
        with self.path.open("wb") as file, self._spool_path.open("rb") as spooled:
            head, tail = (struct.pack("<Q", len(text)), text), map(np.ndarray.tobytes, columns.values())
            for part in chain(head, _parts_of(spooled), tail):
                file.write(part)
                checksum = zlib.crc32(part, checksum)
        self._spool_path.unlink()
        return checksum


def _parts_of(file: BinaryIO) -> Iterator[bytes]:
    while part := file.read(_COPIED_AT_ONCE):
        yield part


def checksum(path: Path) -> int:
    """CRC-32 of a file."""
    value = 0
    with path.open("rb") as file:
        for part in _parts_of(file):
            value = zlib.crc32(part, value)
    return value


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a clip file in their order, one in memory at a time; as `SkeletonSequence.to_row` makes them.

    Raises:
        ValueError: the file is damaged.
    """
    with path.open("rb") as file:
        columns, layouts, start = _small_columns(file, path)
        file.seek(start)
        people = 0
        ids = _lines(columns["sample_ids"], path)
        for index, shape in enumerate(columns["shapes"].tolist()):
            count = shape[0] * shape[1] * shape[2] * shape[3]
            joints = np.frombuffer(file.read(4 * count), dtype="<f4")
            if len(joints) != count:
                raise ValueError(f"{path} ends too early.")
            yield {
                "joints": joints,
                "shape": shape,
                "layout": layouts[columns["layouts"][index]],
                **{name: int(columns[f"{name}s"][index]) for name in ("label", "subject", "camera")},
                "body_ids": columns["body_ids"][people : people + shape[1]].tolist(),
                "sample_id": ids[index],
            }
            people += shape[1]


def read_ids(path: Path) -> list[str]:
    """Sample ids of a clip file in their order.

    Raises:
        ValueError: the file is damaged.
    """
    with path.open("rb") as file:
        return _lines(_small_columns(file, path, ("sample_ids",))[0]["sample_ids"], path)


def _lines(text: np.ndarray, path: Path) -> list[str]:
    try:
        return text.tobytes().decode().split("\n") if text.size else []
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is damaged: its sample ids are no text ({error}).") from None


def _small_columns(
    file: BinaryIO, path: Path, wanted: Sequence[str] | None = None
) -> tuple[dict[str, np.ndarray], list[str], int]:
    """All columns but the joints (or those wanted), the names of layouts, and where in the file the joints begin."""
    try:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(min(length, _MAX_HEADER)))
        layouts = json.loads(header.pop("__metadata__")["layouts"])
        start = 8 + length
        begin = start + header.pop("joints")["data_offsets"][0]
        columns = {}
        for name in wanted or header:
            low, high = header[name]["data_offsets"]
            file.seek(start + low)
            data = np.frombuffer(file.read(high - low), dtype=_NUMPY[header[name]["dtype"]])
            columns[name] = data.reshape(header[name]["shape"])
    except (struct.error, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no file of clips, or damaged ({error!r}).") from None
    return columns, layouts, begin
