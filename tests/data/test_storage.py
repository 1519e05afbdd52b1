from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, get_args

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import one_sentence, refused

from s2i_hf.data import storage
from s2i_hf.data.loading import load_skeletons
from s2i_hf.data.skeleton_rows import as_rows
from s2i_hf.data.storage import (
    FORMATS,
    META_FILE,
    FolderWriter,
    Format,
    ShardWriter,
    is_whole,
    protocol_of,
    read_meta,
    row_features,
)
from s2i_hf.processing.skeleton_sequence import SkeletonSequence
from s2i_hf.protocols import PROTOCOLS, SPLITS

PROTOCOL = PROTOCOLS["nw_ucla_xview"]
NAMES = ["wave", "sit"]


def clips(count: int, seed: int) -> list[SkeletonSequence]:
    made = []
    for index in range(count):
        rng = np.random.default_rng([seed, index])
        joints = rng.normal(size=(int(rng.integers(1, 9)), int(rng.integers(1, 3)), 20, 3)).astype(np.float32)
        joints[0, 0, 0] = np.nan
        ids = rng.integers(-(2**62), 2**62, joints.shape[1])
        made.append(SkeletonSequence(joints, "kinect_v1", index % 10, index % 7, index % 3, ids, f"s{seed}é{index:04}"))
    return made


def write(folder: Path, format: Format, splits: dict[str, list[SkeletonSequence]]) -> Path:
    folder.mkdir()
    writer = FolderWriter(folder, PROTOCOL, format, list(splits))
    for split, sequences in splits.items():
        for sequence in sequences:
            writer.write(split, sequence)
    writer.close({"note": "kept"})
    return folder


def row(index: int, numbers: int = 6) -> dict[str, Any]:
    joints = np.random.default_rng(index).normal(size=numbers * 3).astype(np.float32)
    return {
        "joints": joints, "shape": [1, 1, numbers, 3], "layout": "x", "label": index % 2, "subject": index,
        "camera": -1, "body_ids": [2**60 + index], "sample_id": f"c{index}",
    }  # fmt: skip


# -- folders -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_returns_what_was_written(tmp_path: Path, format: Format) -> None:
    splits = {"train": clips(300, 0), "test": clips(3, 1)}
    folder = write(tmp_path / "out", format, splits)
    data = load_skeletons(folder, cache_dir=tmp_path / "cache")
    for split in SPLITS:
        rows = as_rows(data[split])
        assert rows.name == PROTOCOL.name and rows.class_names == list(PROTOCOL.class_names)
        assert rows.sample_ids == [sequence.sample_id for sequence in splits[split]]
        for index, sequence in enumerate(splits[split]):
            found = rows[index]
            np.testing.assert_array_equal(found["joints"], sequence.joints)
            assert (found["label"], found["subject"], found["camera"]) == (
                sequence.label, sequence.subject, sequence.camera,
            )  # fmt: skip
            assert found["layout"] == "kinect_v1"
    ids = [sequence.body_ids.tolist() for sequence in splits["test"]]
    if format == "npz":
        with np.load(next((folder / "data").glob("test-*"))) as file:
            assert file["body_ids"].tolist() == [number for pair in ids for number in pair]
    else:
        assert list(data["test"]["body_ids"]) == ids
        assert data["train"].features == row_features(PROTOCOL.class_names)
    meta = read_meta(folder)
    assert (meta["protocol"], meta["format"], meta["note"]) == (PROTOCOL.name, format, "kept")
    assert meta["counts"] == {"train": 300, "test": 3} and meta["class_names"] == list(PROTOCOL.class_names)
    assert not list(folder.rglob("*.tmp"))


@pytest.mark.parametrize("format", FORMATS)
def test_a_split_may_be_empty(tmp_path: Path, format: Format) -> None:
    folder = write(tmp_path / "out", format, {"train": clips(2, 0), "test": []})
    data = load_skeletons(folder, cache_dir=tmp_path / "cache")
    assert [len(as_rows(data[split])) for split in SPLITS] == [2, 0]


def test_parquet_folders_load_as_plain_datasets(tmp_path: Path) -> None:
    folder = write(tmp_path / "out", "parquet", {"train": clips(400, 0), "test": clips(2, 1)})
    assert [path.name for path in (folder / "data").glob("train-*")] == ["train-00000-of-00001.parquet"]
    data = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    assert len(data["train"]) == 400 and data["train"].features["label"].names == list(PROTOCOL.class_names)
    assert as_rows(data["train"]).name == PROTOCOL.name
    streamed = datasets.load_dataset(str(folder), split="test", streaming=True)
    assert [each["sample_id"] for each in streamed] == [sequence.sample_id for sequence in clips(2, 1)]


def test_parquet_is_read_by_pyarrow_alone(tmp_path: Path) -> None:
    folder = write(tmp_path / "out", "parquet", {"train": clips(5, 0), "test": []})
    program = textwrap.dedent(f"""
        import sys
        for name in ("datasets", "evaluate"):
            sys.modules[name] = None  # importing it fails
        from s2i_hf.data.loading import as_rows, load_skeletons
        data = load_skeletons({str(folder)!r})
        print(as_rows(data["train"])[4]["joints"].sum(), len(data["test"]), data["train"].class_names[0])
    """)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{clips(5, 0)[4].joints.sum()} 0 {PROTOCOL.class_names[0]}\n"


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_rows_give_the_same_bytes(tmp_path: Path, format: Format) -> None:
    first, second = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (write(tmp_path / name, format, {"train": clips(200, 0), "test": clips(3, 1)}) for name in "ab")
    )
    assert first == second and Path(META_FILE) in first


@pytest.mark.parametrize("format", FORMATS)
def test_a_folder_knows_whether_it_is_whole(tmp_path: Path, format: Format) -> None:
    folder = write(tmp_path / "out", format, {"train": clips(2, 0), "test": clips(1, 1)})
    meta = read_meta(folder)
    assert is_whole(folder, meta) and META_FILE not in meta["files"]
    assert not is_whole(folder, {}) and not is_whole(folder, {"files": [1]})
    largest = folder / max(meta["files"], key=meta["files"].__getitem__)
    largest.write_bytes(largest.read_bytes()[:-1])
    assert not is_whole(folder, meta)
    largest.unlink()
    assert not is_whole(folder, meta)


# -- s2i.json and README.md --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", [None, "", "{}", "[]", '{"format": "xls", "protocol": "x", "class_names": []}', "\udc80"]
)
def test_a_folder_without_a_proper_description(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / META_FILE).write_bytes(text.encode(errors="surrogateescape"))
    with refused(ValueError, META_FILE):
        read_meta(tmp_path)


@pytest.mark.parametrize("format", ["arrow", "safetensors"])
def test_formats_that_are_no_longer_read(tmp_path: Path, format: str) -> None:
    meta = {"format": format, "protocol": PROTOCOL.name, "class_names": [], "counts": {"train": 1}}
    (tmp_path / META_FILE).write_text(json.dumps(meta))
    with pytest.raises(ValueError, match="convert again, with `s2i convert nw_ucla_xview") as caught:
        load_skeletons(tmp_path)
    assert one_sentence(str(caught.value).replace(str(tmp_path), ""))


def test_unknown_formats(tmp_path: Path) -> None:
    assert get_args(Format) == FORMATS
    with pytest.raises(ValueError, match="expected one of parquet, npz"):
        FolderWriter(tmp_path, PROTOCOL, "csv", SPLITS)  # type: ignore[arg-type]


def test_file_names_that_are_no_text_do_no_harm(tmp_path: Path) -> None:
    writer = FolderWriter(tmp_path, PROTOCOL, "npz", SPLITS)
    writer.close({"broken": ["a\udc80.json: broken."]})
    assert read_meta(tmp_path)["broken"] == ["a\udc80.json: broken."]


def test_the_lists_that_decided_are_in_the_protocol() -> None:
    assert protocol_of({"protocol": "nw_ucla_xview"}) is PROTOCOL and protocol_of({"protocol": "folder"}) is None
    found = protocol_of({"protocol": "pku1_xsub", "split_lists": {"train": ["0002-L"], "test": []}})
    assert found is not None and found.split_by == "sample" and (found.train, found.test) == ({"0002-L"}, None)


def test_the_readme_has_a_header_for_the_hub(tmp_path: Path) -> None:
    import yaml

    folder = write(tmp_path / "out", "parquet", {"train": clips(2, 0), "test": []})
    header = (folder / "README.md").read_text().split("---\n")[1]
    files = [{"split": "train", "path": "data/train-*.parquet"}]  # a split without clips has no file
    assert yaml.safe_load(header)["configs"] == [{"config_name": PROTOCOL.name, "default": True, "data_files": files}]


# -- Parquet -----------------------------------------------------------------------------------------------------------


def test_features_are_what_datasets_makes_of_a_row() -> None:
    features = row_features(NAMES)
    assert features["joints"] == datasets.List(datasets.Value("float32"))
    assert features["label"].names == NAMES and features["body_ids"] == datasets.List(datasets.Value("int64"))


def written(folder: Path, rows: list[dict[str, Any]]) -> pq.ParquetFile:
    writer = ShardWriter(folder, "00000", "parquet", NAMES)
    for each in rows:
        writer.write("train", each)
    assert list(writer.close()) == ["train-00000.parquet"]
    return pq.ParquetFile(folder / "train-00000.parquet")


def test_parquet_is_compressed_by_bytes_and_described_as_datasets_3_understands_it(tmp_path: Path) -> None:
    rows = [row(index, 100) for index in range(50)]
    file = written(tmp_path, rows)
    joints = file.metadata.row_group(0).column(0)
    assert joints.compression == "ZSTD" and "BYTE_STREAM_SPLIT" in joints.encodings
    np.testing.assert_array_equal(np.float32(file.read()["joints"].to_pylist()), [each["joints"] for each in rows])
    described = json.loads(file.schema_arrow.metadata[b"huggingface"])["info"]["features"]
    assert described["joints"] == {"feature": {"dtype": "float32", "_type": "Value"}, "_type": "Sequence"}
    assert list(described) == list(row_features(NAMES)) == file.schema_arrow.names


def test_row_groups_are_bounded_in_rows_and_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def groups(file: pq.ParquetFile) -> list[int]:
        return [file.metadata.row_group(index).num_rows for index in range(file.num_row_groups)]

    monkeypatch.setattr(storage, "_GROUP_ROWS", 128)
    assert groups(written(tmp_path, [row(index) for index in range(300)])) == [128, 128, 44]
    monkeypatch.setattr(storage, "_GROUP_BYTES", 1000)
    sizes = [50, 30, 60, 10, 500, 10]  # times 12 bytes
    assert groups(written(tmp_path, [row(index, size) for index, size in enumerate(sizes)])) == [2, 2, 1, 1]


@pytest.mark.parametrize("format", FORMATS)
def test_a_shard_that_is_discarded_leaves_nothing(tmp_path: Path, format: Format) -> None:
    writer = ShardWriter(tmp_path, "00000", format, NAMES)
    writer.write("train", row(0))
    writer.discard()
    assert list(tmp_path.iterdir()) == []
