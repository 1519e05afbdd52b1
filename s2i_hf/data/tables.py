"""Rows as Arrow tables: the schema, and the writers of the formats "arrow" and "parquet".

The same rows give the same bytes, whenever and wherever they are written: what `datasets` makes up at random when it saves (a
fingerprint) is computed from the rows here. Lists are described as `Sequence`, which every `datasets` from 3.6 on understands.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    import datasets

_BATCH_BYTES = 8 << 20  # of joints in a batch, whatever the number of rows: long clips have a megabyte each
_BATCH_ROWS = {"arrow": 128, "parquet": 1024}  # small enough for random access; large enough to compress
_LISTS = {"joints": "float32", "shape": "int32", "body_ids": "int64"}
_VALUES = {"layout": "string", "subject": "int32", "camera": "int32", "sample_id": "string"}
_COLUMNS = ("joints", "shape", "layout", "label", "subject", "camera", "body_ids", "sample_id")


def row_features(class_names: Sequence[str]) -> datasets.Features:
    """The `datasets` schema of a row; class names travel with it."""
    import datasets

    return datasets.Features.from_dict(_features(class_names))


def empty_split(class_names: Sequence[str]) -> datasets.Dataset:
    """A `datasets.Dataset` of no rows."""
    import datasets

    features = row_features(class_names)
    return datasets.Dataset.from_dict({name: [] for name in features}, features=features)


def _features(class_names: Sequence[str]) -> dict[str, Any]:
    """The schema as `datasets` keeps it in JSON."""
    features: dict[str, Any] = {
        name: {"feature": {"dtype": dtype, "_type": "Value"}, "_type": "Sequence"} for name, dtype in _LISTS.items()
    }
    features |= {name: {"dtype": dtype, "_type": "Value"} for name, dtype in _VALUES.items()}
    features["label"] = {"names": list(class_names), "_type": "ClassLabel"}
    return {name: features[name] for name in _COLUMNS}


def _schema(class_names: Sequence[str]) -> Any:
    """The pyarrow schema, with the features in its metadata where `datasets` looks for them."""
    import pyarrow as pa

    types = {"float32": pa.float32(), "int32": pa.int32(), "int64": pa.int64(), "string": pa.string()}
    columns = {name: pa.list_(types[dtype]) for name, dtype in _LISTS.items()}
    columns |= {name: types[dtype] for name, dtype in _VALUES.items()}
    columns["label"] = pa.int64()
    described = json.dumps({"info": {"features": _features(class_names)}})
    return pa.schema([(name, columns[name]) for name in _COLUMNS], metadata={"huggingface": described})


class TableWriter:
    """Rows of one split to Arrow streams or Parquet files. A split without rows is no file: `datasets` cannot read empty ones.

    Args:
        folder: Where the files `<split>-00000.part` ... are made; renaming them is left to the caller.
        split: Name of the split.
        class_names: Names of the classes.
        format: What to write.
        shard_bytes: Raw joints after which the next file begins; None: all in one.
    """

    def __init__(
        self,
        folder: Path,
        split: str,
        class_names: Sequence[str],
        format: Literal["arrow", "parquet"],
        shard_bytes: int | None = None,
    ) -> None:
        self.folder, self.split, self.format, self.shard_bytes = folder, split, format, shard_bytes
        self.shards: list[Path] = []
        self._schema = _schema(class_names)
        self._rows: list[Mapping[str, Any]] = []
        self._row_bytes = self._shard_filled = 0
        self._sink: Any = None
        self._hash = hashlib.sha256()

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits, the same for the same rows."""
        return self._hash.hexdigest()[:16]

    def write(self, row: Mapping[str, Any]) -> None:
        """Append a row, as `SkeletonSequence.to_row` makes it."""
        size = row["joints"].nbytes
        if self._rows and self._row_bytes + size > _BATCH_BYTES:
            self._flush()
        self._rows.append(row)
        self._row_bytes += size
        full = self.shard_bytes is not None and self._shard_filled + self._row_bytes > self.shard_bytes
        if full or len(self._rows) == _BATCH_ROWS[self.format]:
            self._flush()
        if full:
            self._close()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._sink is None:
            self._open()
        columns = []
        for field in self._schema:
            values = [row[field.name] for row in self._rows]
            if field.name == "joints":  # row by row this would take most of the time
                offsets = np.cumsum([0, *map(len, values)], dtype=np.int32)
                joints = np.concatenate(values)
                columns.append(pa.ListArray.from_arrays(pa.array(offsets), pa.array(joints), type=field.type))
                self._hash.update(joints.data)
            else:
                columns.append(pa.array(values, type=field.type))
                self._hash.update(json.dumps(values).encode())
        self._sink.write_batch(pa.RecordBatch.from_arrays(columns, schema=self._schema))
        self._shard_filled += self._row_bytes
        self._rows, self._row_bytes = [], 0

    def _open(self) -> None:
        import pyarrow as pa

        path = self.folder / f"{self.split}-{len(self.shards):05}.part"
        self.shards.append(path)
        if self.format == "arrow":
            self._sink = pa.ipc.new_stream(path, self._schema)
        else:
            import pyarrow.parquet as pq

            # Neighbouring frames share the high bytes of their coordinates: split by byte they compress to 3/4.
            self._sink = pq.ParquetWriter(
                path,
                self._schema,
                compression="zstd",
                use_dictionary=["layout"],
                use_byte_stream_split=["joints.list.element"],
            )

    def _close(self) -> None:
        self._sink.close()
        self._sink, self._shard_filled = None, 0

    def close(self) -> None:
        """Write what is left."""
        if self._rows:
            self._flush()
        if self._sink is not None:
            self._close()


def finish_arrow(
    folder: Path, writers: Mapping[str, TableWriter], class_names: Sequence[str], info: Mapping[str, str]
) -> None:
    """Make of the written streams a folder as `DatasetDict.save_to_disk` makes it, for `load_from_disk`.

    Args:
        folder: Where the streams are.
        writers: Closed writer of each split.
        class_names: Names of the classes.
        info: description, dataset_name and config_name.
    """
    splits = [split for split, writer in writers.items() if writer.shards]
    for split in splits:
        inside = folder / split
        inside.mkdir()
        names = []
        for index, shard in enumerate(writers[split].shards):
            names.append(f"data-{index:05}-of-{len(writers[split].shards):05}.arrow")
            shard.rename(inside / names[-1])
        described = {"citation": "", "features": _features(class_names), "homepage": "", "license": "", **info}
        state: dict[str, Any] = {
            "_data_files": [{"filename": name} for name in names],
            "_fingerprint": writers[split].fingerprint,
            "_format_columns": None,
            "_format_kwargs": {},
            "_format_type": None,
            "_output_all_columns": False,
            "_split": split,
        }
        _write_json(inside / "dataset_info.json", described)
        _write_json(inside / "state.json", state)
    _write_json(folder / "dataset_dict.json", {"splits": splits})


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    text = json.dumps(dict(sorted(content.items())), indent=2)  # the order of the columns inside stays
    path.write_text(text + "\n", encoding="utf-8")


def finish_parquet(folder: Path, writers: Mapping[str, TableWriter]) -> None:
    """Give the written Parquet files the names under which the Hub and `load_dataset` know their splits."""
    (folder / "data").mkdir()
    for split, writer in writers.items():
        for index, shard in enumerate(writer.shards):
            shard.rename(folder / "data" / f"{split}-{index:05}-of-{len(writer.shards):05}.parquet")
