from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from conftest import one_sentence

from s2i_hf.data.loading import load_skeletons
from s2i_hf.data.skeleton_rows import SafetensorsColumns, as_rows
from s2i_hf.data.storage import FORMATS, META_FILE, FolderWriter, Format, is_whole, read_meta, row_features
from s2i_hf.processing.skeleton_sequence import SkeletonSequence
from s2i_hf.protocols import PROTOCOLS, SPLITS

PROTOCOL = PROTOCOLS["nw_ucla_xview"]


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


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_returns_what_was_written(tmp_path: Path, format: Format) -> None:
    splits = {"train": clips(300, 0), "test": clips(3, 1)}  # more than two batches, and less than one
    folder = write(tmp_path / "out", format, splits)
    data = load_skeletons(folder, cache_dir=tmp_path / "cache")
    for split in SPLITS:
        rows = as_rows(data[split])
        assert rows.name == PROTOCOL.name and rows.class_names == list(PROTOCOL.class_names)
        assert rows.sample_ids == [sequence.sample_id for sequence in splits[split]]
        for index, sequence in enumerate(splits[split]):
            row = rows[index]
            np.testing.assert_array_equal(row["joints"], sequence.joints)
            assert (row["label"], row["subject"], row["camera"]) == (sequence.label, sequence.subject, sequence.camera)
            assert row["layout"] == "kinect_v1"
    ids = [sequence.body_ids.tolist() for sequence in splits["test"]]
    if format == "safetensors":
        assert data["test"].columns.body_ids.tolist() == [number for pair in ids for number in pair]
    else:
        assert list(data["test"]["body_ids"]) == ids
        assert data["train"].features == row_features(PROTOCOL.class_names)
    meta = read_meta(folder)
    assert (meta["protocol"], meta["format"], meta["note"]) == (PROTOCOL.name, format, "kept")
    assert meta["counts"] == {"train": 300, "test": 3} and meta["class_names"] == list(PROTOCOL.class_names)
    assert not list(folder.rglob("*.part"))


@pytest.mark.parametrize("format", FORMATS)
def test_a_split_may_be_empty(tmp_path: Path, format: Format) -> None:
    folder = write(tmp_path / "out", format, {"train": clips(2, 0), "test": []})
    data = load_skeletons(folder, cache_dir=tmp_path / "cache")
    assert [len(as_rows(data[split])) for split in SPLITS] == [2, 0]


def test_parquet_folders_load_as_plain_datasets_and_in_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr("s2i_hf.data.storage._SHARD_BYTES", 50_000)
    folder = write(tmp_path / "out", "parquet", {"train": clips(400, 0), "test": clips(2, 1)})
    shards = sorted(path.name for path in (folder / "data").glob("train-*"))
    assert len(shards) > 1 and shards[0] == f"train-00000-of-{len(shards):05}.parquet"
    data = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    assert len(data["train"]) == 400 and data["train"].features["label"].names == list(PROTOCOL.class_names)
    assert as_rows(data["train"]).name == PROTOCOL.name
    streamed = datasets.load_dataset(str(folder), split="test", streaming=True)
    assert [row["sample_id"] for row in streamed] == [sequence.sample_id for sequence in clips(2, 1)]


def test_damaged_safetensors_files_are_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "out", "safetensors", {"train": clips(4, 0), "test": []})
    good = (folder / "train.safetensors").read_bytes()
    (folder / "other.safetensors").write_bytes(good.replace(b'"shapes"', b'"shape5"'))
    (folder / "short.safetensors").write_bytes(good[:-20])
    (folder / "text.safetensors").write_bytes(b"no safetensors at all")
    (folder / "empty.safetensors").write_bytes(b"")
    damaged = bytearray(good)
    at = good.index(np.array([s.joints.shape for s in clips(4, 0)], dtype=np.int32).tobytes())
    damaged[at] += 1  # one more frame than there are joints for
    (folder / "sum.safetensors").write_bytes(bytes(damaged))
    for name in ("other", "short", "text", "empty", "sum", "none"):
        with pytest.raises(ValueError) as caught:
            SafetensorsColumns(folder / f"{name}.safetensors")
        assert one_sentence(caught.value) and f"{name}.safetensors" in str(caught.value)


@pytest.mark.parametrize(
    "text", [None, "", "{}", "[]", '{"format": "xls", "protocol": "x", "class_names": []}', "\udc80"]
)
def test_a_folder_without_a_proper_description(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / META_FILE).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ValueError) as caught:
        read_meta(tmp_path)
    assert one_sentence(caught.value) and META_FILE in str(caught.value)


def test_unknown_formats(tmp_path: Path) -> None:
    assert get_args(Format) == FORMATS
    with pytest.raises(ValueError, match="expected one of arrow, parquet, safetensors"):
        FolderWriter(tmp_path, PROTOCOL, "csv", SPLITS)  # type: ignore[arg-type]


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


def test_file_names_that_are_no_text_do_no_harm(tmp_path: Path) -> None:
    writer = FolderWriter(tmp_path, PROTOCOL, "safetensors", SPLITS)
    writer.close({"broken": ["a\udc80.json: broken."]})
    assert read_meta(tmp_path)["broken"] == ["a\udc80.json: broken."]


def test_the_readme_has_a_header_for_the_hub(tmp_path: Path) -> None:
    import yaml

    folder = write(tmp_path / "out", "parquet", {"train": clips(2, 0), "test": []})
    header = (folder / "README.md").read_text().split("---\n")[1]
    files = [{"split": "train", "path": "data/train-*.parquet"}]  # a split without clips has no file
    assert yaml.safe_load(header)["configs"] == [{"config_name": PROTOCOL.name, "data_files": files}]
