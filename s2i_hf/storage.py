"""Rows on disk: the schema, and the three formats that `s2i convert` writes and `load_skeletons` reads.

    OUT/s2i.json          protocol, class names, format, counts: the same for every format
    arrow:                what `DatasetDict.save_to_disk` writes
    parquet:              data/train-00000-of-00001.parquet ... and a README.md: a folder the Hub can show and stream
    safetensors:          train.safetensors, test.safetensors: read without `datasets`, on machines that lack it

Rows hold flat float32 joints beside their shape, never images, so formats with different joint counts share one schema.
A safetensors file holds the columns: `joints` of all clips end to end, `shapes` (N, 4), `labels`, `subjects`, `cameras` (N,),
`layouts` (N,) as indices into the metadata's `layouts`, `body_ids` end to end, and `sample_ids` as UTF-8 lines.
"""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import numpy as np

from .protocols import Protocol
from .sequence import SkeletonSequence

if TYPE_CHECKING:
    import datasets

Format = Literal["arrow", "parquet", "safetensors"]
FORMATS: tuple[Format, ...] = ("arrow", "parquet", "safetensors")
META_FILE = "s2i.json"

_BATCH_ROWS = 128  # rows of an Arrow batch or Parquet row group: a few megabytes, small enough for random access
_SHARD_BYTES = 256 << 20  # of raw joints in one Parquet file; streaming deals whole files to nodes


def row_features(class_names: Sequence[str]) -> datasets.Features:
    """The `datasets` schema of a row; class names travel with it."""
    import datasets

    sequence_of = getattr(datasets, "List", datasets.Sequence)  # datasets 3.6 has no List
    return datasets.Features(
        {
            "joints": sequence_of(datasets.Value("float32")),
            "shape": sequence_of(datasets.Value("int32")),
            "layout": datasets.Value("string"),
            "label": datasets.ClassLabel(names=list(class_names)),
            "subject": datasets.Value("int32"),
            "camera": datasets.Value("int32"),
            "body_ids": sequence_of(datasets.Value("int64")),
            "sample_id": datasets.Value("string"),
        }
    )


def empty_split(class_names: Sequence[str]) -> datasets.Dataset:
    """A `datasets.Dataset` of no rows."""
    import datasets

    features = row_features(class_names)
    return datasets.Dataset.from_dict({name: [] for name in features}, features=features)


def read_meta(folder: Path) -> dict[str, Any]:
    """Contents of the `s2i.json` of a converted folder.

    Raises:
        ValueError: the folder has none, or it is not one that this version reads.
    """
    path = folder / META_FILE
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))
        format, protocol, class_names = meta["format"], meta["protocol"], list(meta["class_names"])
        counts = {str(split): int(count) for split, count in meta["counts"].items()}
    except FileNotFoundError:
        raise ValueError(f"{folder} has no {META_FILE}; expected a folder made by `s2i convert`.") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} cannot be read ({error!r}); make the folder again with `s2i convert`.") from None
    if format not in FORMATS:
        raise ValueError(f"{path}: format is {format!r}; expected one of {', '.join(FORMATS)}.")
    return {**meta, "protocol": str(protocol), "class_names": class_names, "counts": counts}


# -- arrow and parquet -------------------------------------------------------------------------------------------------


class _TableWriter:
    """Rows of one split to Arrow batches. A split without rows is no file: `datasets` cannot read empty ones."""

    def __init__(self, folder: Path, split: str, protocol: Protocol, format: Literal["arrow", "parquet"]) -> None:
        self.folder, self.split, self.format = folder, split, format
        self.features = row_features(protocol.class_names)
        self.schema = self.features.arrow_schema
        self.rows: list[dict[str, Any]] = []
        self.shard_bytes = 0
        self.shards: list[Path] = []
        self.sink: Any = None

    def write(self, sequence: SkeletonSequence) -> None:
        self.rows.append(sequence.to_row())
        if len(self.rows) == _BATCH_ROWS:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self.sink is None:
            self._open()
        columns = [pa.array([row[field.name] for row in self.rows], type=field.type) for field in self.schema]
        batch = pa.RecordBatch.from_arrays(columns, schema=self.schema)
        self.sink.write_batch(batch)
        self.rows = []
        self.shard_bytes += batch.nbytes
        if self.format == "parquet" and self.shard_bytes > _SHARD_BYTES:
            self._close()

    def _open(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self.folder / f"{self.split}-{len(self.shards):05}.part"
        self.shards.append(path)
        if self.format == "arrow":
            self.sink = pa.ipc.new_stream(path, self.schema)
        else:
            # Neighbouring frames share the high bytes of their coordinates: split by byte they compress to 3/4.
            self.sink = pq.ParquetWriter(
                path,
                self.schema,
                compression="zstd",
                use_dictionary=["layout"],
                use_byte_stream_split=["joints.list.element"],
            )

    def _close(self) -> None:
        self.sink.close()
        self.sink, self.shard_bytes = None, 0

    def close(self) -> None:
        if self.rows:
            self._flush()
        if self.sink is not None:
            self._close()


def _finish_arrow(folder: Path, writers: Mapping[str, _TableWriter], protocol: Protocol) -> None:
    import datasets

    quiet = not datasets.utils.are_progress_bars_disabled()
    if quiet:
        datasets.disable_progress_bars()
    try:
        info = datasets.DatasetInfo(
            description=protocol.source, dataset_name=protocol.dataset, config_name=protocol.name
        )
        splits = {
            split: datasets.Dataset.from_file(str(writer.shards[0]), info=info, split=datasets.Split(split))
            for split, writer in writers.items()
            if writer.shards
        }
        datasets.DatasetDict(splits).save_to_disk(folder)
    finally:
        if quiet:
            datasets.enable_progress_bars()
    for writer in writers.values():
        for shard in writer.shards:
            shard.unlink()


def _finish_parquet(
    folder: Path, writers: Mapping[str, _TableWriter], protocol: Protocol, counts: dict[str, int]
) -> None:
    (folder / "data").mkdir()
    for split, writer in writers.items():
        for index, shard in enumerate(writer.shards):
            shard.rename(folder / "data" / f"{split}-{index:05}-of-{len(writer.shards):05}.parquet")
    rows = "".join(f"| {split} | {count:,} |\n" for split, count in counts.items())
    (folder / "README.md").write_text(
        "---\n"
        "configs:\n"
        f"- config_name: {protocol.name}\n"
        "  data_files:\n"
        + "".join(
            f"  - split: {split}\n    path: data/{split}-*.parquet\n" for split in writers if writers[split].shards
        )
        + f"---\n\n# {protocol.name}\n\n"
        f"3D skeletons as flat float32 joints with their shape (T frames, M people, V joints, 3), layout `{protocol.layout}`, "
        f"converted by `s2i convert {protocol.name}`.\nData and protocol: {protocol.source}. The terms of the data set hold "
        f"for this copy of it too.\n\n| split | clips |\n|---|---|\n{rows}",
        encoding="utf-8",
    )


# -- safetensors -------------------------------------------------------------------------------------------------------


class _SafetensorsWriter:
    """Rows of one split to one safetensors file. Joints wait in a file beside it, so memory holds the other columns only."""

    def __init__(self, folder: Path, split: str, protocol: Protocol) -> None:
        self.path = folder / f"{split}.safetensors"
        self.protocol = protocol
        self.spool_path = folder / f"{split}.part"
        self.spool: BinaryIO = self.spool_path.open("wb")
        self.shapes: list[tuple[int, ...]] = []
        self.columns: dict[str, list[int]] = {"labels": [], "subjects": [], "cameras": [], "layouts": []}
        self.body_ids: list[np.ndarray] = []
        self.sample_ids: list[str] = []
        self.layouts: list[str] = []

    def write(self, sequence: SkeletonSequence) -> None:
        name = sequence.layout.name
        if name not in self.layouts:
            self.layouts.append(name)
        if "\n" in sequence.sample_id:
            raise ValueError(f"Sample id {sequence.sample_id!r} has a line break in it; rename the recording.")
        self.spool.write(np.ascontiguousarray(sequence.joints, dtype="<f4").tobytes())
        self.shapes.append(sequence.joints.shape)
        for column, value in (
            ("labels", sequence.label),
            ("subjects", sequence.subject),
            ("cameras", sequence.camera),
            ("layouts", self.layouts.index(name)),
        ):
            self.columns[column].append(value)
        self.body_ids.append(sequence.body_ids)
        self.sample_ids.append(sequence.sample_id)

    def close(self) -> None:
        self.spool.close()
        count = len(self.shapes)
        columns: dict[str, np.ndarray] = {
            "shapes": np.array(self.shapes, dtype=np.int32).reshape(count, 4),
            **{name: np.array(values, dtype=np.int32) for name, values in self.columns.items()},
            "body_ids": np.concatenate([np.empty(0, np.int64), *self.body_ids]),
            "sample_ids": np.frombuffer("\n".join(self.sample_ids).encode(), dtype=np.uint8),
        }
        metadata = {
            "format": "s2i-hf rows 1",
            "protocol": self.protocol.name,
            "class_names": json.dumps(self.protocol.class_names),
            "layouts": json.dumps(self.layouts),
        }
        _write_safetensors(self.path, self.spool_path, columns, metadata)
        self.spool_path.unlink()


_DTYPES = {"int32": "I32", "int64": "I64", "uint8": "U8"}


def _write_safetensors(
    path: Path, joints: Path, columns: Mapping[str, np.ndarray], metadata: Mapping[str, str]
) -> None:
    """Write by hand what `safetensors.numpy.save_file` would, because that wants all joints in memory.

    Format: 8 bytes with the length of a JSON header, the header (padded to 8 bytes), the tensors end to end.
    """
    size = joints.stat().st_size
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    header["joints"] = {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]}
    for name, column in columns.items():
        header[name] = {
            "dtype": _DTYPES[column.dtype.name],
            "shape": list(column.shape),
            "data_offsets": [size, size + column.nbytes],
        }
        size += column.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file, joints.open("rb") as spooled:
        file.write(struct.pack("<Q", len(text)) + text)
        shutil.copyfileobj(spooled, file, 1 << 20)
        for column in columns.values():
            file.write(np.ascontiguousarray(column).astype(column.dtype.newbyteorder("<"), copy=False).tobytes())


# -- all formats -------------------------------------------------------------------------------------------------------


class FolderWriter:
    """Write the splits of a protocol into an existing empty folder.

    Args:
        folder: Where to.
        protocol: What its rows belong to; its name and class names are saved.
        format: One of `FORMATS`.
        splits: Names of the splits.

    Raises:
        ValueError: unknown format.
    """

    def __init__(self, folder: Path, protocol: Protocol, format: Format, splits: Sequence[str]) -> None:
        if format not in FORMATS:
            raise ValueError(f"format is {format!r}; expected one of {', '.join(FORMATS)}.")
        self.folder, self.protocol, self.format = folder, protocol, format
        self.counts = dict.fromkeys(splits, 0)
        self.tables: dict[str, _TableWriter] = {}
        self.tensors: dict[str, _SafetensorsWriter] = {}
        if format == "safetensors":
            self.tensors = {split: _SafetensorsWriter(folder, split, protocol) for split in splits}
        else:
            self.tables = {split: _TableWriter(folder, split, protocol, format) for split in splits}

    def write(self, split: str, sequence: SkeletonSequence) -> None:
        """Append one clip to a split."""
        writer = self.tensors[split] if self.tensors else self.tables[split]
        writer.write(sequence)
        self.counts[split] += 1

    def close(self, extra: Mapping[str, Any]) -> None:
        """Finish the files and write `s2i.json`, with the entries of `extra` (JSON values) in it."""
        for writer in (self.tensors or self.tables).values():
            writer.close()
        if self.format == "arrow":
            _finish_arrow(self.folder, self.tables, self.protocol)
        elif self.format == "parquet":
            _finish_parquet(self.folder, self.tables, self.protocol, self.counts)
        meta = {
            "format": self.format,
            "protocol": self.protocol.name,
            "class_names": list(self.protocol.class_names),
            "counts": self.counts,
            **extra,
        }
        (self.folder / META_FILE).write_text(json.dumps(meta, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
