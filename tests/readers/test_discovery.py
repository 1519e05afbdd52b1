from __future__ import annotations

import gzip
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import refused
from hypothesis import given, strategies as st
from paper_files import split_text, walk, write_pku
from skeleton_files import person, skeleton_text, write_nw_ucla

from s2i_hf.inspection.inspector import inspect
from s2i_hf.protocols import PROTOCOLS, SPLITS
from s2i_hf.readers import ReadError
from s2i_hf.readers.discovery import find_recordings, read_file, read_split_file
from s2i_hf.readers.recordings import Clip

NAMES = ["a01_s01_e00_v01", "a01_s01_e00_v02", "a02_s03_e00_v03", "a12_s02_e01_v01"]


def names_of(folder: Path) -> dict[str, list[str]]:
    recordings = find_recordings("nw_ucla_xview", folder)
    return {split: [path.stem for path in recordings.files[split]] for split in SPLITS}


def test_the_folder_or_its_parents(tmp_path: Path) -> None:
    write_nw_ucla(tmp_path / "NW-UCLA" / "all_sqe", NAMES)
    expected = {"train": [NAMES[0], NAMES[1], NAMES[3]], "test": [NAMES[2]]}
    for folder in (tmp_path, tmp_path / "NW-UCLA", tmp_path / "NW-UCLA" / "all_sqe"):
        assert names_of(folder) == expected
    (tmp_path / "link").symlink_to(tmp_path / "NW-UCLA" / "all_sqe")
    (tmp_path / "link" / ".hidden.json").write_text("{}")
    assert names_of(tmp_path / "link") == expected


@pytest.mark.parametrize("suffix", [".JSON", ".Json", ".json.gz", ".JSON.GZ"])
def test_benchmarks_with_suffixes_in_any_case_and_at_any_depth(tmp_path: Path, suffix: str) -> None:
    write_nw_ucla(tmp_path / "a" / "b" / "c" / "d" / "e" / "f", NAMES)
    expected = [
        clip
        for file in find_recordings("nw_ucla_xview", tmp_path).all_files
        for clip in read_file(file, PROTOCOLS["nw_ucla_xview"])
    ]
    for path in sorted(tmp_path.rglob("*.json")):
        content = path.read_bytes()
        path.with_suffix(suffix).write_bytes(gzip.compress(content) if suffix.lower().endswith("gz") else content)
        path.unlink()
    recordings = find_recordings("nw_ucla_xview", tmp_path)
    clips = [clip for file in recordings.all_files for clip in read_file(file, recordings.protocol)]
    assert [file.stem for file in recordings.all_files] == sorted(NAMES) and len(clips) == len(expected)
    for clip, other in zip(clips, expected, strict=True):
        assert isinstance(clip, Clip) and isinstance(other, Clip) and clip.split == other.split
        np.testing.assert_array_equal(clip.sequence.joints, other.sequence.joints)
    assert inspect(tmp_path).verdict.startswith("NW-UCLA")


def test_split_lists_with_suffixes_in_capitals(tmp_path: Path) -> None:
    for name in ("0002-L", "0002-M"):
        write_pku(tmp_path, name, walk(12, 1, 25), [(3, 0, 4, 1), (9, 5, 12, 1)])
    (tmp_path / "cross_subject.txt").write_text(split_text(["0002-L"], ["0002-M"]))
    plain = find_recordings("pku1_xsub", tmp_path)
    for path in sorted(tmp_path.rglob("*.txt")):
        path.rename(path.with_suffix(".TXT"))
    capitals = find_recordings("pku1_xsub", tmp_path)
    for split in SPLITS:
        assert [file.stem for file in capitals.files[split]] == [file.stem for file in plain.files[split]]
    assert capitals.left_out == plain.left_out


def test_what_is_left_out_and_why(tmp_path: Path) -> None:
    names = ["S001C001P001R001A001", "S001C002P005R002A008", "S018C001P008R001A061", "S001C001P001R001A002", "notes"]
    for name in names:
        (tmp_path / f"{name}.skeleton").write_bytes(skeleton_text([[(1, person(0))]]))
    (tmp_path / "again").mkdir()
    shutil.copy(tmp_path / "S001C001P001R001A002.skeleton", tmp_path / "again")
    (tmp_path / "folder.skeleton").mkdir()
    recordings = find_recordings(PROTOCOLS["ntu60_xsub"], tmp_path)
    assert [path.stem for path in recordings.files["train"]] == ["S001C001P001R001A001", "S001C001P001R001A002"]
    assert recordings.left_out == {
        "on the list of missing skeletons": ["S001C002P005R002A008.skeleton"],
        "not part of this protocol": ["S018C001P008R001A061.skeleton"],
        "not named like a recording": ["notes.skeleton"],
        "there twice": ["S001C001P001R001A002.skeleton"],
    }
    (tmp_path / "again" / "S001C001P001R001A002.skeleton").write_bytes(b"another version")
    with refused(ValueError, match="two versions"):
        find_recordings("ntu60_xsub", tmp_path)


def test_the_fingerprint_follows_the_files(tmp_path: Path) -> None:
    write_nw_ucla(tmp_path, NAMES)
    seen = [find_recordings("nw_ucla_xview", tmp_path).fingerprint]
    assert find_recordings("nw_ucla_xview", tmp_path).fingerprint == seen[0]
    path = tmp_path / f"{NAMES[0]}.json"
    text = path.read_text()
    for change in (
        lambda: path.write_text(text + " "),  # another size
        lambda: os.utime(path, ns=(1, 1)),  # the same size, edited at another time
        lambda: write_nw_ucla(tmp_path, ["a03_s01_e00_v01"]),  # one more
        lambda: path.rename(tmp_path / "a01_s01_e09_v01.json"),  # another name
    ):
        change()
        seen.append(find_recordings("nw_ucla_xview", tmp_path).fingerprint)
    assert len(set(seen)) == 5
    (tmp_path / "notes.txt").write_text("no recording")
    assert find_recordings("nw_ucla_xview", tmp_path).fingerprint == seen[-1]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (None, ["pass data_dir", "S001C001P001R001A001.skeleton"]),
        ("nowhere", ["is not there"]),
        ("a_file", ["a file, not a folder"]),
        ("empty", ["No recordings of ntu60_xsub", "looked for files like S001C001P001R001A001.skeleton"]),
        ("other", ["none of the 1 .skeleton files", "S018C001P008R001A061.skeleton"]),
    ],
)
def test_a_wrong_folder_is_told_what_was_looked_for(tmp_path: Path, make: str | None, words: list[str]) -> None:
    (tmp_path / "a_file").write_text("")
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "S018C001P008R001A061.skeleton").write_text("")
    with refused(ValueError, *words):
        find_recordings("ntu60_xsub", None if make is None else tmp_path / make)


def test_reading_keeps_the_order_and_hands_on_errors(tmp_path: Path) -> None:
    names = [f"a{action:02}_s01_e{episode:02}_v01" for action in (1, 2, 3) for episode in range(20)]
    write_nw_ucla(tmp_path, names)
    (tmp_path / f"{names[7]}.json").write_text('{"skeletons": [')
    (tmp_path / f"{names[40]}.json").unlink()
    (tmp_path / f"{names[40]}.json").symlink_to(tmp_path / "gone")
    recordings = find_recordings("nw_ucla_xview", tmp_path)
    found = [clip for file in recordings.files["train"] for clip in read_file(file, recordings.protocol)]
    assert len(found) == 60
    for index, (name, clip) in enumerate(zip(names, found, strict=True)):
        if index in (7, 40):
            assert isinstance(clip, ReadError) and name in str(clip)
        else:
            assert not isinstance(clip, ReadError) and (clip.split, clip.sequence.sample_id) == ("train", name)
            (single,) = read_file(tmp_path / f"{name}.json", recordings.protocol)
            assert not isinstance(single, ReadError)
            np.testing.assert_array_equal(clip.sequence.joints, single.sequence.joints)


def test_a_label_that_is_not_that_of_the_name(tmp_path: Path) -> None:
    write_nw_ucla(tmp_path, ["a01_s01_e00_v01"])
    (tmp_path / "a01_s01_e00_v01.json").rename(tmp_path / "a02_s01_e00_v01.json")
    (error,) = read_file(tmp_path / "a02_s01_e00_v01.json", PROTOCOLS["nw_ucla_xview"])
    assert isinstance(error, ReadError)
    assert str(error) == "a02_s01_e00_v01.json: holds label 1, but its name stands for 2."


def test_clips_of_a_video_that_the_protocol_does_not_have_are_left_out(tmp_path: Path) -> None:
    file = write_pku(tmp_path, "0002-M", walk(60, 2, 25), [(5, 3, 20, 2), (51, 25, 40, 1), (7, 41, 50, 1)])
    whole = PROTOCOLS["pku1_xview"]
    assert [clip.sequence.label for clip in read_file(file, whole) if not isinstance(clip, ReadError)] == [4, 50, 6]
    part = replace(whole, actions=(7, 5))  # their order is that of the labels
    clips = [clip for clip in read_file(file, part) if not isinstance(clip, ReadError)]
    assert [(clip.split, clip.sequence.label) for clip in clips] == [("train", 1), ("train", 0)]


# -- lists of videos that train and test -------------------------------------------------------------------------------

TRAIN, TEST = ["0002-L", "0002-M", "0003-R"], ["0291-L", "0295-M"]


@pytest.mark.parametrize(
    "text",
    [
        split_text(TRAIN, TEST),
        split_text(TRAIN, TEST).replace("\n", "\r\n"),
        "Training videos:\n0002-L,0002-M\n0003-R\n\nValidation videos:\n0291-L\n0295-M",
        "Training videos: 0002-L, 0002-M, 0003-R\nTest videos: 0291-L, 0295-M",
        "train\n0002-L.txt, 0002-M.txt, 0003-R.txt\ntest\n0291-L.txt, 0295-M.txt\n",
        split_text(TEST, TRAIN).replace("Training", "X").replace("Validataion", "Training").replace("X", "Validation"),
    ],
)
def test_lists_of_videos(text: str) -> None:
    assert read_split_file(text.encode(), "cross_subject.txt") == (frozenset(TRAIN), frozenset(TEST))


def test_the_hashes_follow_the_lists_and_the_files_beside_a_video(tmp_path: Path) -> None:
    write_pku(tmp_path, "0002-M", walk(20, 1, 25), [(5, 3, 20, 2)])
    labels, lists = tmp_path / "label" / "0002-M.txt", tmp_path / "cross_subject.txt"
    seen: set[str] = set()
    for change in (
        lambda: lists.write_text(split_text(TRAIN, TEST)),
        lambda: lists.write_text(split_text(TRAIN[:2], [*TEST, TRAIN[2]])),  # of a video that is not there
        lambda: labels.write_text("5,3,19,2\n5,4,19,2\n"),
    ):
        change()
        recordings = find_recordings("pku1_xsub", tmp_path)
        assert seen.isdisjoint((recordings.content, recordings.fingerprint))
        seen |= {recordings.content, recordings.fingerprint}


def test_names_of_part_two() -> None:
    assert read_split_file(split_text(["A01N01-L"], ["A01N02-R"]).encode(), "x")[1] == {"A01N02-R"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0002-L, 0002-M\n", ["line 1", "before any header"]),
        ("Training videos:\n0002-L\n", ["no video that tests"]),
        ("Validation videos:\n0002-L\n", ["no video that trains"]),
        (split_text(TRAIN, ["0002-M"]), ["0002-M", "both"]),
        ("Training videos:\n0002-L, 17\n", ["line 2", "header"]),
        ("Training videos: 0002-L, 0017\n", ["line 1", "0017"]),
        ("1,2,3,4\n", ["line 1"]),
        ("", ["no video"]),
        ("Training videos:\n0002-L\u00fc\n", ["ASCII"]),
        (split_text(TRAIN, TEST) * 20_000, ["large"]),
    ],
)
def test_other_files_are_one_clear_sentence(text: str, words: list[str]) -> None:
    with refused(ReadError, "cross_subject.txt", *words):
        read_split_file(text.encode(), "cross_subject.txt")


@given(st.one_of(st.binary(max_size=300), st.integers(0, 200).map(lambda n: split_text(TRAIN, TEST).encode()[:n])))
def test_whatever_is_in_it_is_read_or_named(data: bytes) -> None:
    try:
        train, test = read_split_file(data, "cross_view.txt")
    except ReadError as error:
        assert "cross_view.txt" in str(error)
    else:
        assert train and test and not train & test
