from __future__ import annotations

import logging
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import MakeClip, one_sentence
from skeleton_files import person, skeleton_text, write_nw_ucla

from s2i_hf.conversion import convert
from s2i_hf.data import SkeletonCollator, as_rows, describe, load_skeletons
from s2i_hf.layouts import SkeletonLayout
from s2i_hf.protocols import PROTOCOLS
from s2i_hf.readers import nw_ucla
from s2i_hf.transforms import Augmentation

NAMES = ["a01_s01_e00_v01", "a02_s01_e00_v02", "a08_s02_e00_v03", "a12_s02_e01_v01"]
AUGMENTATION = Augmentation(crop=(0.5, 1.0), yaw=1.0, mirror=0.5, jitter=0.01)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    write_nw_ucla(tmp_path / "raw" / "all_sqe", NAMES)
    return tmp_path / "raw"


# -- load_skeletons ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("num_proc", [None, 2])
def test_a_protocol_is_built_from_raw_files(raw: Path, tmp_path: Path, num_proc: int | None) -> None:
    data = load_skeletons("nw_ucla_xview", raw, cache_dir=tmp_path / "cache", num_proc=num_proc)
    train = as_rows(data["train"])
    assert train.sample_ids == [NAMES[0], NAMES[1], NAMES[3]] and as_rows(data["test"]).sample_ids == [NAMES[2]]
    assert train.name == "nw_ucla_xview" and train.class_names == list(PROTOCOLS["nw_ucla_xview"].class_names)
    for index, name in enumerate(train.sample_ids):
        sequence = nw_ucla.read(raw / "all_sqe" / f"{name}.json")
        np.testing.assert_array_equal(train[index]["joints"], sequence.joints)
        assert (train.labels[index], train.subjects[index]) == (sequence.label, sequence.subject)


def test_ntu_files_and_a_split_without_clips(tmp_path: Path) -> None:
    frames = [[(72057594037931691, person(0)), (72057594037931692, person(1, place=1.0))]] * 14
    for name in ("S001C001P001R001A014", "S001C002P003R001A001"):
        (tmp_path / f"{name}.skeleton").write_bytes(skeleton_text(frames))
    data = load_skeletons("synthetic_xsub", tmp_path, cache_dir=tmp_path / "cache")
    rows = as_rows(data["train"])
    assert rows.shapes.tolist() == [[14, 2, 25, 3]] * 2 and rows.labels.tolist() == [13, 0]
    assert sorted(data["train"]["body_ids"][0]) == [72057594037931691, 72057594037931692]
    assert len(data["test"]) == 0 and as_rows(data["test"]).name == "synthetic_xsub"


def test_the_cache_is_used_and_never_stale(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load = lambda: as_rows(load_skeletons("nw_ucla_xview", raw, cache_dir=tmp_path / "cache")["train"])  # noqa: E731
    first = load()
    built = lambda: len(list((tmp_path / "cache").rglob("*train*.arrow")))  # noqa: E731
    assert built() == 1 and load().sample_ids == first.sample_ids and built() == 1
    path = raw / "all_sqe" / f"{NAMES[0]}.json"
    changed = path.read_text().replace("0.", "1.", 1)  # the same size
    path.write_text(changed)
    second = load()
    assert built() == 2 and not np.array_equal(second[0]["joints"], first[0]["joints"])
    write_nw_ucla(raw / "all_sqe", ["a03_s01_e00_v01"])
    assert len(load()) == 4 and built() == 3
    monkeypatch.setattr("s2i_hf.data._code_hash", lambda: "other code")
    load()
    assert built() == 4


def test_the_code_hash_covers_readers_and_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    from s2i_hf.data import _code_hash

    before = _code_hash()
    assert before == _code_hash()
    original = Path.read_bytes
    for name in ("skeleton_text.py", "nw_ucla.py", "protocols.py", "ntu60_missing.txt", "sequence.py"):
        monkeypatch.setattr(Path, "read_bytes", lambda path, name=name: original(path) + b"#" * (path.name == name))
        assert _code_hash() != before, name
        monkeypatch.undo()


def test_broken_and_missing_recordings_are_told(raw: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (raw / "all_sqe" / f"{NAMES[1]}.json").write_text("{}")
    for _ in range(2):  # from the cache as well
        caplog.clear()
        with caplog.at_level(logging.WARNING, logger="s2i_hf"):
            data = load_skeletons("nw_ucla_xview", raw, cache_dir=tmp_path / "cache")
        assert len(data["train"]) == 2
        assert (
            f"1 of 3 recordings of the train split could not be read and are left out, the first is {NAMES[1]}"
            in caplog.text
        )
        assert (
            "the test split has 1 clips, the complete one has 464; the first that is missing is a01_s01_e00_v03"
            in caplog.text
        )


def test_nothing_readable(raw: Path, tmp_path: Path) -> None:
    for name in NAMES:
        (raw / "all_sqe" / f"{name}.json").write_text("{}")
    with pytest.raises(ValueError, match="None of the 4 recordings"):
        load_skeletons("nw_ucla_xview", raw, cache_dir=tmp_path / "cache")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("nw_ucla_xview", ["pass data_dir"]),
        ("nw_ucla_xvie", ["neither a protocol nor a folder", "Did you mean 'nw_ucla_xview'"]),
        ("raw", ["no converted data set", "s2i convert", "data_dir="]),
        ("broken", ["s2i.json", "s2i convert"]),
        ("/no/such/folder", ["neither"]),
        ("nobody/nothing-at-all", ["no folder here", "Hub"]),
    ],
)
def test_wrong_sources(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "s2i.json").write_text("{")
    with pytest.raises(ValueError) as caught:
        load_skeletons(source, cache_dir=tmp_path / "cache")
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("format", ["arrow", "parquet", "safetensors"])
def test_a_folder_that_lost_a_part(raw: Path, tmp_path: Path, format: Any) -> None:
    convert("nw_ucla_xview", raw, tmp_path / "out", format)
    lost = next(path for path in (tmp_path / "out").rglob("*test*") if not path.is_dir() or format == "arrow")
    lost.rename(tmp_path / "elsewhere")
    with pytest.raises(ValueError) as caught:
        load_skeletons(tmp_path / "out", cache_dir=tmp_path / "cache")
    assert one_sentence(caught.value) and "s2i convert" in str(caught.value)


def test_safetensors_need_no_datasets(raw: Path, tmp_path: Path) -> None:
    convert("nw_ucla_xview", raw, tmp_path / "out", "safetensors")
    convert("nw_ucla_xview", raw, tmp_path / "tables", "arrow")
    program = textwrap.dedent(f"""
        import sys
        for name in ("datasets", "evaluate", "sklearn", "matplotlib", "pandas", "pyarrow"):
            sys.modules[name] = None  # importing it fails
        from s2i_hf.conversion import convert
        from s2i_hf.data import SkeletonCollator, as_rows, describe, load_skeletons
        data = load_skeletons({str(tmp_path / "out")!r})
        rows = as_rows(data["train"])
        assert SkeletonCollator()([rows[0], rows[1]])["joints"].shape[0] == 2
        assert describe(data)["counts"] == {{"train": 3, "test": 1}}
        convert("nw_ucla_xview", {str(raw)!r}, {str(tmp_path / "again")!r}, "safetensors")
        try:
            load_skeletons({str(tmp_path / "tables")!r})
        except ValueError as error:
            print(error)
    """)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "pip install datasets" in done.stdout


def test_describe(raw: Path, tmp_path: Path) -> None:
    import hashlib

    convert("nw_ucla_xview", raw, tmp_path / "out", "safetensors")
    built = load_skeletons("nw_ucla_xview", raw, cache_dir=tmp_path / "cache")
    found = describe(load_skeletons(tmp_path / "out"))
    assert found == describe(built)
    assert (found["name"], found["counts"]) == ("nw_ucla_xview", {"train": 3, "test": 1})
    assert found["frames"] == {"train": sum(len(row["joints"]) for row in as_rows(built["train"])), "test": 6}
    assert found["layouts"] == ["kinect_v1"] and found["subjects"] == {"train": [1, 2], "test": [2]}
    assert found["test_ids_sha256"] == hashlib.sha256(NAMES[2].encode()).hexdigest()
    assert describe(built, "mine")["name"] == "mine"


def test_the_real_data(real_data: Path, tmp_path: Path) -> None:
    data = load_skeletons("nw_ucla_xview", data_dir=real_data / "NW-UCLA", cache_dir=tmp_path)
    assert (len(data["train"]), len(data["test"])) == (1020, 464)
    rows = as_rows(data["test"])
    assert set(rows.cameras.tolist()) == {3} and rows.shapes[:, 0].min() >= 1
    batch = SkeletonCollator()([rows[index] for index in range(len(rows))])
    assert batch["joints"].isfinite().all() and batch["joints"].abs().max() < 10


# -- SkeletonCollator --------------------------------------------------------------------------------------------------


def row(joints: np.ndarray, layout: Any = "kinect_v2", label: int = 0, sample_id: str = "clip") -> dict[str, Any]:
    return {"joints": joints, "layout": layout, "label": label, "sample_id": sample_id}


def test_a_batch_is_padded_with_zeros(make_clip: MakeClip) -> None:
    clips = [make_clip("kinect_v2", 7, 2), make_clip("kinect_v1", 9, 1), make_clip("kinect_v2", 1, 1)]
    layouts = ["kinect_v2", "kinect_v1", "kinect_v2"]
    names = [f"clip{index}" for index in range(3)]
    rows = [row(clip, layouts[index], index + 3, names[index]) for index, clip in enumerate(clips)]
    batch = SkeletonCollator()(rows)
    assert batch["joints"].shape == (3, 9, 2, 25, 3) and batch["joints"].dtype == torch.float32
    assert (batch["num_frames"], batch["num_people"]) == ([7, 9, 1], [2, 1, 1])
    assert (batch["layouts"], batch["sample_ids"]) == (layouts, names)
    assert batch["labels"].tolist() == [3, 4, 5] and batch["labels"].dtype == torch.int64 and batch["num_missing"] == 0
    expected = np.zeros((3, 9, 2, 25, 3), dtype=np.float32)
    for index, clip in enumerate(clips):
        frames, people, joints = clip.shape[:3]
        expected[index, :frames, :people, :joints] = clip
    np.testing.assert_array_equal(batch["joints"].numpy(), expected)
    assert "labels" not in SkeletonCollator(with_labels=False)(rows)


def test_rows_as_they_are_stored(make_clip: MakeClip) -> None:
    clip = make_clip("kinect_v2", 5, 1)
    stored = {**row(clip), "joints": clip.reshape(-1).tolist(), "shape": list(clip.shape)}
    assert torch.equal(SkeletonCollator()([stored])["joints"], SkeletonCollator()([row(clip)])["joints"])


def test_absent_people_and_missing_joints(make_clip: MakeClip) -> None:
    clip = make_clip("kinect_v2", 6, 2)
    clip[:, 1] = np.nan
    clip[2, 0, 4] = np.nan
    batch = SkeletonCollator()([row(clip)])
    assert batch["num_people"] == [1] and batch["num_missing"] == 1 and batch["joints"].isfinite().all()


def test_a_layout_of_ones_own(make_clip: MakeClip) -> None:
    mine = SkeletonLayout(
        "mine", ["head", "spine", "left_hand", "right_hand", "left_foot", "right_foot"], [1, -1, 1, 1, 1, 1]
    )
    batch = SkeletonCollator()([row(make_clip(mine, 4), mine), row(make_clip(mine, 3), mine.to_dict())])
    assert batch["layouts"] == [mine, mine] and batch["joints"].shape == (2, 4, 1, 6, 3)


def test_augmentation_depends_on_seed_epoch_and_id_alone(make_clip: MakeClip) -> None:
    rows = [row(make_clip("kinect_v2", 30, 1, seed=index), sample_id=f"clip{index}") for index in range(4)]

    def clips(collator: SkeletonCollator, some: list[dict[str, Any]]) -> list[np.ndarray]:
        batch = collator(some)
        return [joints[:frames].numpy() for joints, frames in zip(batch["joints"], batch["num_frames"], strict=True)]

    collator = SkeletonCollator(AUGMENTATION, seed=5)
    together = clips(collator, rows)
    for index in (3, 1):
        np.testing.assert_array_equal(clips(SkeletonCollator(AUGMENTATION, seed=5), [rows[index]])[0], together[index])
    collator.set_epoch(1)
    assert collator.epoch == 1
    other_epoch, other_seed = clips(collator, rows), clips(SkeletonCollator(AUGMENTATION, seed=6), rows)
    for index in range(4):
        for changed in (other_epoch[index], other_seed[index]):
            assert changed.shape != together[index].shape or not np.array_equal(changed, together[index])


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_the_epoch_reaches_running_workers(context: str) -> None:
    rows = as_rows([row(np.random.default_rng(i).normal(size=(20, 1, 25, 3)), sample_id=str(i)) for i in range(6)])
    collator = SkeletonCollator(AUGMENTATION)
    loader = torch.utils.data.DataLoader(
        rows, batch_size=2, num_workers=1, persistent_workers=True, collate_fn=collator, multiprocessing_context=context
    )
    for epoch in (0, 1, 4):
        collator.set_epoch(epoch)
        alone = SkeletonCollator(AUGMENTATION)
        alone.set_epoch(epoch)
        for index, batch in enumerate(loader):
            assert torch.equal(batch["joints"], alone([rows[2 * index], rows[2 * index + 1]])["joints"])


def test_a_bad_clip_is_named(make_clip: MakeClip) -> None:
    for clip, words in ((make_clip("kinect_v1"), "25"), (make_clip() * 1000, "metres"), (make_clip()[:0], "frame")):
        with pytest.raises(ValueError, match=words) as caught:
            SkeletonCollator()([row(make_clip()), row(clip, sample_id="the_bad_one")])
        assert "the_bad_one" in str(caught.value)
