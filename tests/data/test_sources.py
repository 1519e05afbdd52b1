"""One data set at a time: built from raw files and cached, or loaded from a converted folder; what is wrong or missing is said."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import one_sentence, refused
from own_files import STAR, joints, leave_frames_out
from skeleton_files import person, skeleton_text, write_nw_ucla

import s2i_hf.readers.discovery
from s2i_hf.data.convert import convert
from s2i_hf.data.loading import as_rows, load_skeletons
from s2i_hf.data.storage import FORMATS, Format, read_meta
from s2i_hf.hub.dataset_card import write_dataset_card
from s2i_hf.inspection.inspector import inspect
from s2i_hf.protocols import PROTOCOLS
from s2i_hf.readers.benchmarks import nw_ucla

NAMES = ["a01_s01_e00_v01", "a02_s01_e00_v02", "a08_s02_e00_v03", "a12_s02_e01_v01"]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    write_nw_ucla(tmp_path / "raw" / "all_sqe", NAMES)
    return tmp_path / "raw"


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


def test_a_one_shot_protocol_has_exemplars(tmp_path: Path) -> None:
    rule = PROTOCOLS["ntu120_oneshot"]
    shown = sorted(rule.exemplars)[0]
    novel, trained = f"{shown[:8]}P099{shown[12:]}", f"{shown[:16]}A{rule_action(rule, 'train'):03}"
    for name in (shown, novel, trained):
        (tmp_path / f"{name}.skeleton").write_bytes(skeleton_text([[(1, person(0))]] * 3))
    data = load_skeletons("ntu120_oneshot", tmp_path, cache_dir=tmp_path / "cache")
    assert list(data) == ["train", "exemplars", "test"]
    assert [list(data[split]["sample_id"]) for split in data] == [[trained], [shown], [novel]]
    kept = load_skeletons("ntu120_xsub", tmp_path, cache_dir=tmp_path / "cache", holdout="ntu120_oneshot")
    assert set(kept["train"].sample_ids) <= {trained}


def rule_action(rule: Any, split: str) -> int:
    """An action of NTU RGB+D 120 that is in this split of a protocol."""
    return next(action for action in range(61, 121) if rule.split(f"S018C001P008R001A{action:03}") == split)


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
    monkeypatch.setattr("s2i_hf.data.sources.code_hash", lambda: "other code")
    load()
    assert built() == 4


def test_the_code_hash_covers_readers_and_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    from s2i_hf.data.recorded_rows import code_hash

    before = code_hash.__wrapped__()
    assert before == code_hash.__wrapped__()
    original = Path.read_bytes
    for name in ("ntu_text.py", "nw_ucla.py", "protocol.py", "ntu60_missing.txt", "skeleton_sequence.py"):
        monkeypatch.setattr(Path, "read_bytes", lambda path, name=name: original(path) + b"#" * (path.name == name))
        assert code_hash.__wrapped__() != before, name
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


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Own recordings with all that can be wrong with them."""
    folder = tmp_path / "own"
    for name in ("train/walk/1", "train/run/1", "train/run/2", "test/Walk/1", "test/run/1", "test/run/bad"):
        path = folder / f"{name}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, joints())
    (folder / "test" / "run" / "bad.npy").write_text("no array")
    (folder / "train" / "run" / "lfs.NPY").write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 9\n"
    )
    (folder / "notes.txt").write_text("x")
    return folder


LEFT_OUT = [
    "Classes differ only in spelling: 'Walk' and 'walk'; give one class one name.",
    "Class 'Walk' has test clips and no training clip.",
    "Class 'walk' has training clips and no test clip.",
    "broken: test/run/bad.npy: no .npy data, or damaged",
    "broken: train/run/lfs.NPY: a pointer of Git LFS, not the file itself; run `git lfs pull` where it was cloned.",
    "left out: train/walk/1.npy: frame 3 of 5 cannot be read; it is left out.",
    "not read, no format of clips (.txt): 1 (notes.txt)",
]


@pytest.mark.parametrize("num_proc", [1, 2])
def test_what_own_recordings_leave_out_is_told_in_one_way(
    own: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, num_proc: int
) -> None:
    leave_frames_out(monkeypatch)
    for _ in range(2):  # from the cache as well
        caplog.clear()
        with caplog.at_level(logging.WARNING, logger="s2i_hf"):
            load_skeletons("folder", own, layout=STAR, cache_dir=tmp_path / "cache", num_proc=num_proc)
        told = [record.getMessage() for record in caplog.records]
        assert len(told) == len(set(told)) == 11  # five clips say that a frame was left out
        for words in LEFT_OUT:
            assert any(line.startswith(f"folder: {words}") for line in told), words
    report = convert("folder", own, tmp_path / "out", layout=STAR, num_proc=num_proc)
    assert inspect(tmp_path / "out").doubts == LEFT_OUT[:3]
    for lines in (report.lines(), inspect(own, layout=STAR).lines()):
        for words in LEFT_OUT:
            assert any(line.strip(" !").startswith(words) for line in lines), words
    assert read_meta(tmp_path / "out")["warnings"] == LEFT_OUT[:3]
    assert convert("folder", own, tmp_path / "out", layout=STAR).lines()[1:] == report.lines()


def test_names_that_are_no_text_do_not_end_a_conversion(
    own: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in (b"caf\xe9.t\xe9t", b"walk/caf\xe9.npy", b"escape\x1b[31m.txt", b"run/caf\xe9.csv"):
        place = os.path.join(os.fsencode(own / "train"), name)
        with open(place, "wb") as file:
            file.write(b"nothing to read")
    report = convert("folder", own, tmp_path / "out", layout=STAR, write_card=write_dataset_card)
    with caplog.at_level(logging.WARNING, logger="s2i_hf"):
        load_skeletons("folder", own, layout=STAR, cache_dir=tmp_path / "cache")
    for text in ("\n".join(report.lines()), caplog.text, (tmp_path / "out" / "README.md").read_text()):
        assert "caf?" in text or "t?t" in text
        assert text.encode() and "\x1b" not in text and "\udce9" not in text


def test_a_converted_folder_that_was_cloned_without_its_files(own: Path, tmp_path: Path) -> None:
    for format in FORMATS:
        out = tmp_path / format
        convert("folder", own, out, format, layout=STAR)
        for path in (next(iter((out / "data").iterdir())), out / "s2i.json"):
            path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 9\n")
            with refused(ValueError, path.name, "git lfs pull"):
                load_skeletons(str(out), cache_dir=tmp_path / "cache")
            with refused(ValueError, "git lfs pull"):
                inspect(out)


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
        (None, ["neither a protocol nor a folder"]),
        ("raw", ["no converted data set", "s2i convert", "data_dir="]),
        ("broken", ["s2i.json", "s2i convert"]),
        ("/no/such/folder", ["neither"]),
        ("nobody/nothing-at-all", ["no folder here", "Hub"]),
    ],
)
def test_wrong_sources(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: Any, words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "s2i.json").write_text("{")
    with pytest.raises(ValueError) as caught:
        load_skeletons(source, cache_dir=tmp_path / "cache")
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("format", FORMATS)
def test_a_folder_that_lost_a_part(raw: Path, tmp_path: Path, format: Format) -> None:
    convert("nw_ucla_xview", raw, tmp_path / "out", format)
    (lost,) = (tmp_path / "out" / "data").glob("test-*")
    lost.rename(tmp_path / "elsewhere")
    with refused(ValueError, "s2i convert"):
        load_skeletons(tmp_path / "out", cache_dir=tmp_path / "cache")


def test_npz_needs_numpy_alone(raw: Path, tmp_path: Path) -> None:
    convert("nw_ucla_xview", raw, tmp_path / "out", "npz")
    convert("nw_ucla_xview", raw, tmp_path / "tables")
    program = textwrap.dedent(f"""
        import sys
        for name in ("datasets", "evaluate", "sklearn", "matplotlib", "pandas", "pyarrow", "PIL"):
            sys.modules[name] = None  # importing it fails
        from s2i_hf.data.collator import SkeletonCollator
        from s2i_hf.data.convert import convert
        from s2i_hf.data.loading import as_rows, describe, load_skeletons
        data = load_skeletons({str(tmp_path / "out")!r})
        rows = as_rows(data["train"])
        assert SkeletonCollator()([rows[0], rows[1]])["joints"].shape[0] == 2
        assert describe(data)["counts"] == {{"train": 3, "test": 1}}
        convert("nw_ucla_xview", {str(raw)!r}, {str(tmp_path / "again")!r}, "npz")
        try:
            load_skeletons({str(tmp_path / "tables")!r})
        except ValueError as error:
            print(error)
    """)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "pip install datasets" in done.stdout and one_sentence(done.stdout.strip().replace(str(tmp_path), ""))


def test_folders_are_scanned_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scans = []
    original = s2i_hf.readers.raw_files._in_folder
    monkeypatch.setattr(
        "s2i_hf.readers.raw_files._in_folder", lambda *given: scans.append(given[0]) or original(*given)
    )
    write_nw_ucla(tmp_path / "raw", NAMES)
    load_skeletons("nw_ucla_xview", tmp_path / "raw", cache_dir=tmp_path / "cache")
    assert scans == [tmp_path / "raw"]
