"""Converted folders: the two formats that `s2i convert` writes, their shards and their s2i.json.

    OUT/s2i.json     protocol, class names, format, counts, the size of each file and the digest of each shard
    OUT/data/        train-00000-of-00003.parquet ...: for `datasets`, pyarrow and the Hub, which shows and streams it
                     train-00000-of-00003.npz ...: for numpy alone, which maps it into memory
    OUT/README.md    of a Parquet folder: which shards belong to which split

Rows hold flat float32 joints beside their shape, never images, so formats with different joint counts share one schema. The same rows
give the same bytes, whenever and wherever they are written.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..processing.skeleton_sequence import SkeletonSequence
from ..protocols import PROTOCOLS, SPLITS, Protocol
from ..readers.raw_files import check_fetched

if TYPE_CHECKING:
    import datasets

Format = Literal["parquet", "npz"]
FORMATS: tuple[Format, ...] = ("parquet", "npz")
META_FILE = "s2i.json"
REPOSITORY = "user/repo"  # what a card calls the repository until it is uploaded to one
_OLD_FORMATS = ("arrow", "safetensors")
_NOT_TEXT = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}  # to a reader of YAML, unless quoted

_GROUP_BYTES = 8 << 20  # of joints in a row group, whatever the number of rows: long clips have a megabyte each
_GROUP_ROWS = 1024
_COLUMNS = {
    "joints": "float32[]", "shape": "int32[]", "layout": "string", "label": "int64", "subject": "int32", "camera": "int32",
    "body_ids": "int64[]", "sample_id": "string",
}  # fmt: skip


# -- what a folder says of itself --------------------------------------------------------------------------------------


def read_meta(folder: Path) -> dict[str, Any]:
    """Contents of the `s2i.json` of a converted folder. Raises ValueError if it has none, or not one that this version reads."""
    path = folder / META_FILE
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))
        format, protocol, class_names = meta["format"], meta["protocol"], list(meta["class_names"])
        counts = {str(split): int(count) for split, count in meta["counts"].items()}
    except FileNotFoundError:
        raise ValueError(f"{folder} has no {META_FILE}; expected a folder made by `s2i convert`.") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        check_fetched(path, str(path))
        raise ValueError(f"{path} cannot be read ({error!r}); make the folder again with `s2i convert`.") from None
    if format in _OLD_FORMATS:
        raise ValueError(
            f"{folder} is in {format} format, which is no longer read: convert again, with `s2i convert {protocol} --data-dir RAW "
            f"--output {folder} --overwrite`."
        )
    if format not in FORMATS:
        raise ValueError(f"{path}: format is {format!r}; expected one of {', '.join(FORMATS)}.")
    return {**meta, "protocol": str(protocol), "class_names": class_names, "counts": counts}


def write_meta(folder: Path, meta: Mapping[str, Any]) -> None:
    """Write `s2i.json`: `meta`, and the size of each file there is; in a Parquet folder also a README.md for the Hub."""
    if meta["format"] == "parquet":
        text = f"{readme_header(meta['protocol'], meta['counts'])}# {meta['protocol']}\n"
        (folder / "README.md").write_text(text, encoding="utf-8", errors="replace")
    text = json.dumps({**meta, "files": _sizes(folder)}, indent=1, ensure_ascii=False) + "\n"
    # file names need not be valid text; JSON can write them with backslashes
    (folder / META_FILE).write_text(text, encoding="utf-8", errors="backslashreplace")


def _sizes(folder: Path) -> dict[str, int]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != META_FILE)
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}


def is_whole(folder: Path, meta: Mapping[str, Any]) -> bool:
    """Whether all files of a converted folder are there with the sizes that its `s2i.json` says."""
    return bool(meta.get("files")) and _sizes(folder) == meta["files"]


def protocol_of(meta: Mapping[str, Any]) -> Protocol | None:
    """How a converted data set was split, with the lists of a file beside the data that decided; None for custom data."""
    protocol, lists = PROTOCOLS.get(meta.get("protocol", "")), meta.get("split_lists")
    if protocol is None or not lists:
        return protocol
    train, test = (frozenset(lists.get(split) or ()) for split in SPLITS)
    return replace(protocol, split_by="sample", train=train, test=test or None)


def shard_files(folder: Path) -> dict[str, list[Path]]:
    """The shards of each split of a converted folder, in order; also of one whose s2i.json is gone. Empty if it has none.

    Raises ReadError if one is a pointer of Git LFS, as in a repository of the Hub that was cloned without it.
    """
    found: dict[str, list[Path]] = {}
    for path in sorted(path for format in FORMATS for path in folder.glob(f"data/*.{format}")):
        check_fetched(path, str(path))
        found.setdefault(path.stem.partition("-")[0], []).append(path)
    return found


def readme_header(protocol: str, counts: Mapping[str, int], preview: bool = False) -> str:
    """YAML header of the README.md of a Parquet folder: which files belong to which split of which configuration.

    With a preview its images are a second one; the first is what `load_dataset` takes where nobody names one.
    """

    def files(folder: str) -> str:
        lines = (
            f"  - split: {split}\n    path: {folder}/{split}-*.parquet\n" for split, count in counts.items() if count
        )
        return "  data_files:\n" + "".join(lines)

    bare = re.fullmatch(r"[A-Za-z_][\w-]*", protocol) and protocol.lower() not in _NOT_TEXT
    name = protocol if bare else json.dumps(protocol)
    second = f"- config_name: preview\n{files('preview')}" if preview else ""
    return f"---\nconfigs:\n- config_name: {name}\n  default: true\n{files('data')}{second}---\n\n"


# -- the schema --------------------------------------------------------------------------------------------------------


def row_features(class_names: Sequence[str]) -> datasets.Features:
    """The `datasets` schema of a row; class names travel with it."""
    import datasets

    return datasets.Features.from_dict(_features(class_names))


def _features(class_names: Sequence[str]) -> dict[str, Any]:
    """The schema as `datasets` keeps it in JSON; lists are a `Sequence`, which every version from 3.6 on understands."""
    features: dict[str, Any] = {}
    for name, kind in _COLUMNS.items():
        value = {"dtype": kind.removesuffix("[]"), "_type": "Value"}
        features[name] = {"feature": value, "_type": "Sequence"} if kind.endswith("[]") else value
    return {**features, "label": {"names": list(class_names), "_type": "ClassLabel"}}


def arrow_schema(class_names: Sequence[str]) -> Any:
    """The pyarrow schema, with the features in its metadata where `datasets` looks for them."""
    import pyarrow as pa

    types = {name: pa.type_for_alias(kind.removesuffix("[]")) for name, kind in _COLUMNS.items()}
    columns = [(name, pa.list_(types[name]) if kind.endswith("[]") else types[name]) for name, kind in _COLUMNS.items()]
    return pa.schema(columns, metadata={"huggingface": json.dumps({"info": {"features": _features(class_names)}})})


# -- writing -----------------------------------------------------------------------------------------------------------


class _ParquetFile:
    """Rows to a Parquet file, a row group at a time."""

    def __init__(self, path: Path, class_names: Sequence[str]) -> None:
        import pyarrow.parquet as pq

        self._schema = arrow_schema(class_names)
        # Neighbouring frames share the high bytes of their coordinates: split by byte they compress to 3/4
        options: dict[str, Any] = {"use_dictionary": ["layout"], "use_byte_stream_split": ["joints.list.element"]}
        self._sink = pq.ParquetWriter(path, self._schema, compression="zstd", **options)
        self._rows: list[Mapping[str, Any]] = []
        self._bytes = 0

    def write(self, row: Mapping[str, Any]) -> None:
        size = row["joints"].nbytes
        if self._rows and (self._bytes + size > _GROUP_BYTES or len(self._rows) == _GROUP_ROWS):
            self._flush()
        self._rows.append(row)
        self._bytes += size

    def _flush(self) -> None:
        import pyarrow as pa

        columns = []
        for field in self._schema:
            values = [row[field.name] for row in self._rows]
            if field.name == "joints":  # row by row this would take most of the time
                offsets = pa.array(np.cumsum([0, *map(len, values)], dtype=np.int32))
                columns.append(pa.ListArray.from_arrays(offsets, pa.array(np.concatenate(values)), type=field.type))
            else:
                columns.append(pa.array(values, type=field.type))
        self._sink.write_batch(pa.RecordBatch.from_arrays(columns, schema=self._schema))
        self._rows, self._bytes = [], 0

    def close(self) -> None:
        if self._rows:
            self._flush()
        self._sink.close()


class _NpzFile:
    """Rows to an uncompressed .npz, which `columns.npz_chunks` maps into memory; they wait in memory for `close`.

    joints, flat float32 of all clips, which begins at a multiple of 4 bytes; offsets (N + 1,) of clips in it; shapes (N, 4);
    labels, subjects, cameras, layouts, sample_ids (N,); body_ids of all clips, flat.
    """

    def __init__(self, path: Path, class_names: Sequence[str]) -> None:
        self._path = path
        self._rows: list[Mapping[str, Any]] = []

    def write(self, row: Mapping[str, Any]) -> None:
        self._rows.append(row)

    def close(self) -> None:
        rows, form = self._rows, np.lib.format
        offsets = np.cumsum([0, *(len(row["joints"]) for row in rows)], dtype=np.int64)
        columns: dict[str, np.ndarray] = {
            "offsets": offsets,
            "shapes": np.array([row["shape"] for row in rows], dtype=np.int32).reshape(-1, 4),
            **{f"{name}s": np.array([row[name] for row in rows], np.int32) for name in ("label", "subject", "camera")},
            **{f"{name}s": np.array([row[name] for row in rows], np.str_) for name in ("layout", "sample_id")},
            "body_ids": np.array([number for row in rows for number in row["body_ids"]], dtype=np.int64),
        }
        with zipfile.ZipFile(self._path, "w") as archive:  # not compressed, and its times are always 1980
            with archive.open(zipfile.ZipInfo("joints.npy"), "w", force_zip64=True) as file:
                header = {"descr": "<f4", "fortran_order": False, "shape": (int(offsets[-1]),)}
                form.write_array_header_1_0(file, header)
                for row in rows:
                    file.write(np.ascontiguousarray(row["joints"], dtype="<f4").data)
            for name, column in columns.items():
                with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as file:
                    form.write_array(file, column, allow_pickle=False)


class ShardWriter:
    """A shard: one file for each split that has clips in it, written aside, and renamed when all of them are complete.

    Args:
        folder: Where to.
        number: Of the shard, as names have it: "00007" makes train-00007.parquet.
        format: One of `FORMATS`, else ValueError.
        class_names: Names of the classes.
    """

    def __init__(self, folder: Path, number: str, format: Format, class_names: Sequence[str]) -> None:
        if format not in FORMATS:
            raise ValueError(f"format is {format!r}; expected one of {', '.join(FORMATS)}.")
        self.folder, self.number, self.format, self.class_names = folder, number, format, class_names
        self._files: dict[Path, _ParquetFile | _NpzFile] = {}

    def _aside(self, path: Path) -> Path:
        return path.with_name(f"{path.name}.{os.getpid()}.tmp")

    def write(self, split: str, row: Mapping[str, Any]) -> None:
        """Append a row, as `SkeletonSequence.to_row` makes it."""
        path = self.folder / f"{split}-{self.number}.{self.format}"
        if path not in self._files:
            make = _ParquetFile if self.format == "parquet" else _NpzFile
            self._files[path] = make(self._aside(path), self.class_names)
        self._files[path].write(row)

    def close(self) -> dict[str, str]:
        """Put the files in their places; returns name -> SHA-256 of each."""
        digests = {}
        for path, file in self._files.items():
            file.close()
            with self._aside(path).open("rb+") as written:
                os.fsync(written.fileno())
                digests[path.name] = hashlib.file_digest(written, "sha256").hexdigest()
        for path in self._files:
            self._aside(path).replace(path)
        return digests

    def discard(self) -> None:
        """Forget what was written, after an error."""
        for path in self._files:
            self._aside(path).unlink(missing_ok=True)


class FolderWriter:
    """Clips that are already in memory to a converted folder, with one shard.

    Args:
        folder: An empty folder.
        protocol: What its rows belong to; its name and class names are saved.
        format: One of `FORMATS`.
        splits: Names of the splits.
    """

    def __init__(self, folder: Path, protocol: Protocol, format: Format, splits: Sequence[str]) -> None:
        self.folder, self.counts = folder, dict.fromkeys(splits, 0)
        self._meta = {"format": format, "protocol": protocol.name, "class_names": list(protocol.class_names)}
        self._shard = ShardWriter(folder / "data", "00000-of-00001", format, protocol.class_names)
        (folder / "data").mkdir()

    def write(self, split: str, clip: SkeletonSequence) -> None:
        """Append a clip to a split."""
        self._shard.write(split, clip.to_row())
        self.counts[split] += 1

    def close(self, extra: Mapping[str, Any]) -> None:
        """Finish the shard and write `s2i.json`, with these JSON values beside its own."""
        digests = {f"data/{name}": digest for name, digest in self._shard.close().items()}
        write_meta(self.folder, {**self._meta, "counts": self.counts, **extra, "sha256": digests})
