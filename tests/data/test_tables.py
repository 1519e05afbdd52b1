from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from s2i_hf.data.tables import TableWriter, empty_split, finish_arrow, finish_parquet, row_features

NAMES = ["wave", "sit"]


def row(index: int, numbers: int = 6) -> dict[str, Any]:
    joints = np.random.default_rng(index).normal(size=numbers * 3).astype(np.float32)
    joints[0] = np.nan
    return {
        "joints": joints, "shape": [1, 1, numbers, 3], "layout": "x", "label": index % 2, "subject": index,
        "camera": -1, "body_ids": [2**60 + index], "sample_id": f"c{index}",
    }  # fmt: skip


def written(
    folder: Path, rows: list[dict[str, Any]], format: Literal["arrow", "parquet"], shard: int | None = None
) -> TableWriter:
    folder.mkdir()
    writer = TableWriter(folder, "train", NAMES, format, shard)
    for each in rows:
        writer.write(each)
    writer.close()
    return writer


def test_features_are_what_datasets_makes_of_a_row() -> None:
    features = row_features(NAMES)
    assert features["joints"] == datasets.List(datasets.Value("float32"))
    assert features["label"].names == NAMES and features["body_ids"] == datasets.List(datasets.Value("int64"))
    assert empty_split(NAMES).features == features and len(empty_split(NAMES)) == 0


def test_an_arrow_folder_is_one_of_datasets(tmp_path: Path) -> None:
    rows = [row(index) for index in range(300)]
    writer = written(tmp_path / "out", rows, "arrow")
    finish_arrow(
        tmp_path / "out", {"train": writer}, NAMES, {"description": "d", "config_name": "rule", "dataset_name": "set"}
    )
    loaded = datasets.load_from_disk(str(tmp_path / "out"))["train"]
    assert loaded.features == row_features(NAMES) and loaded.info.config_name == "rule"
    assert json.loads((tmp_path / "out" / "train" / "state.json").read_text())["_fingerprint"] == writer.fingerprint
    for index in (0, 127, 128, 299):
        np.testing.assert_array_equal(np.float32(loaded[index]["joints"]), rows[index]["joints"])
        assert {name: loaded[index][name] for name in rows[0] if name != "joints"} == {
            name: value for name, value in rows[index].items() if name != "joints"
        }
    # what datasets itself writes for the same rows, apart from random and local things
    again = tmp_path / "again"
    datasets.DatasetDict({"train": loaded}).save_to_disk(again)
    for name in ("dataset_dict.json", "train/state.json", "train/dataset_info.json"):
        theirs, ours = (json.loads((folder / name).read_text()) for folder in (again, tmp_path / "out"))
        assert theirs.keys() == ours.keys(), name


def test_lists_are_described_as_datasets_3_understands_them(tmp_path: Path) -> None:
    writer = written(tmp_path / "out", [row(0)], "parquet")
    described = json.loads(pq.read_schema(writer.shards[0]).metadata[b"huggingface"])["info"]["features"]
    assert described["joints"] == {"feature": {"dtype": "float32", "_type": "Value"}, "_type": "Sequence"}
    assert list(described) == list(row_features(NAMES)) == pq.read_schema(writer.shards[0]).names


def test_batches_are_bounded_in_rows_and_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def batches(path: Path) -> list[int]:
        with pa.ipc.open_stream(path) as stream:
            return [batch.num_rows for batch in stream]

    small = written(tmp_path / "small", [row(index) for index in range(300)], "arrow")
    assert batches(small.shards[0]) == [128, 128, 44]
    monkeypatch.setattr("s2i_hf.data.tables._BATCH_BYTES", 1000)
    sizes = [50, 30, 60, 10, 500, 10]  # times 12 bytes
    large = written(tmp_path / "large", [row(index, size) for index, size in enumerate(sizes)], "arrow")
    assert batches(large.shards[0]) == [2, 2, 1, 1]


def test_parquet_files_are_split_compressed_and_by_bytes(tmp_path: Path) -> None:
    rows = [row(index, 100) for index in range(50)]  # 1200 bytes each
    writer = written(tmp_path / "out", rows, "parquet", 12_000)
    assert len(writer.shards) == 5
    finish_parquet(tmp_path / "out", {"train": writer})
    files = sorted((tmp_path / "out" / "data").iterdir())
    assert [path.name for path in files] == [f"train-{index:05}-of-00005.parquet" for index in range(5)]
    joints = pq.ParquetFile(files[0]).metadata.row_group(0).column(0)
    assert joints.compression == "ZSTD" and "BYTE_STREAM_SPLIT" in joints.encodings
    found = [joints for path in files for joints in pq.read_table(path)["joints"].to_pylist()]
    np.testing.assert_array_equal(np.float32(found), [each["joints"] for each in rows])


def test_fingerprints_follow_the_rows(tmp_path: Path) -> None:
    rows = [row(index) for index in range(3)]
    changed = [dict(each) for each in rows]
    changed[1] = {**changed[1], "joints": changed[1]["joints"] + np.float32(1e-3)}
    relabelled = [*rows[:2], {**rows[2], "label": 1 - rows[2]["label"]}]
    prints = [
        written(tmp_path / str(k), r, "arrow").fingerprint for k, r in enumerate((rows, rows, changed, relabelled))
    ]
    assert prints[0] == prints[1] and len(set(prints)) == 3
