from __future__ import annotations

from pathlib import Path
from unicodedata import normalize

import pytest
from conftest import one_sentence, refused
from hypothesis import given, settings, strategies as st
from own_files import damages, raw

from s2i_hf.protocols import SPLITS
from s2i_hf.protocols.folder import FolderSample
from s2i_hf.readers.generic.folder_labels import Labels, doubts_about_classes, from_folders
from s2i_hf.readers.generic.label_tables import from_table

TRAIN, TEST = (lambda label: FolderSample("train", label)), (lambda label: FolderSample("test", label))


@pytest.mark.parametrize(
    ("ids", "names", "table"),
    [
        (["sit/1", "wave/1"], ("sit", "wave"), {"sit/1": TRAIN(0), "wave/1": TRAIN(1)}),
        (["all/sit/1", "all/wave/s01/1"], ("sit", "wave"), {"all/sit/1": TRAIN(0), "all/wave/s01/1": TRAIN(1)}),
        (["train/sit/1", "Test/sit/1", "train/wave/1"], ("sit", "wave"),
         {"train/sit/1": TRAIN(0), "Test/sit/1": TEST(0), "train/wave/1": TRAIN(1)}),
        (["d/training/a/1", "d/validation/b/1"], ("a", "b"), {"d/training/a/1": TRAIN(0), "d/validation/b/1": TEST(1)}),
        (["test/a/1", "test/b/1"], ("a", "b"), {"test/a/1": TEST(0), "test/b/1": TEST(1)}),
        (["train/1", "test/1"], (), {"train/1": TRAIN(-1), "test/1": TEST(-1)}),
        (["1", "2"], (), {"1": TRAIN(-1), "2": TRAIN(-1)}),
        (["clips/1", "clips/2"], (), {"clips/1": TRAIN(-1), "clips/2": TRAIN(-1)}),
    ],
)  # fmt: skip
def test_folders(ids: list[str], names: tuple[str, ...], table: dict[str, FolderSample]) -> None:
    labels = from_folders(ids)
    assert labels.names == names and labels.table == table and not labels.left_out


def test_a_validation_folder_beside_the_test_folder_is_left_out() -> None:
    labels = from_folders(["train/a/1", "val/a/1", "test/a/1"])
    assert labels.table == {"train/a/1": TRAIN(0), "test/a/1": TEST(0)}
    assert labels.left_out == {"in a val folder beside the test folder": ["val/a/1"]}


def test_files_beside_the_class_folders_are_left_out() -> None:
    labels = from_folders(["a/1", "b/1", "stray"])
    assert set(labels.table) == {"a/1", "b/1"}
    assert labels.left_out == {"in none of the folders that are the classes": ["stray"]}


@pytest.mark.parametrize(
    ("ids", "names", "table"),
    [
        (["walk/train/1", "walk/test/2", "run/train/1"], ("run", "walk"),
         {"walk/train/1": TRAIN(1), "walk/test/2": TEST(1), "run/train/1": TRAIN(0)}),
        (["d/walk/s1/TRAIN/1", "d/run/s1/Val/1"], ("run", "walk"), {"d/walk/s1/TRAIN/1": TRAIN(1), "d/run/s1/Val/1": TEST(0)}),
        (["train/k/walk/1", "train/k/run/1", "test/k/run/2"], ("run", "walk"),
         {"train/k/walk/1": TRAIN(1), "train/k/run/1": TRAIN(0), "test/k/run/2": TEST(0)}),
        (["train/cafe\u0301/1", "test/caf\u00e9/2"], ("caf\u00e9",), {"train/cafe\u0301/1": TRAIN(0), "test/caf\u00e9/2": TEST(0)}),
    ],
)  # fmt: skip
def test_splits_below_the_classes_and_accents(
    ids: list[str], names: tuple[str, ...], table: dict[str, FolderSample]
) -> None:
    labels = from_folders(ids)
    assert labels.names == names and labels.table == table and not labels.left_out and not labels.warnings


def split_of(labels: Labels) -> dict[str, str]:
    return {name: f"{sample.split} {sample.label}" for name, sample in labels.table.items()}


@pytest.mark.parametrize(
    ("ids", "words", "expected"),
    [
        (["train/a/1", "test/a/1", "a/2", "b/3"], "2 of 4 clips lie in no train or test folder, such as a/2",
         {"train/a/1": "train 0", "test/a/1": "test 0", "a/2": "train 0", "b/3": "train 1"}),
        (["a/train/1", "a/test/1", "b/1"], "1 of 3 clips lie in no train or test folder, such as b/1",
         {"a/train/1": "train 0", "a/test/1": "test 0", "b/1": "train 1"}),
        (["train/a/1", "a/test/1", "b/test/1"], "at several levels",
         {"train/a/1": "train 0", "a/test/1": "test 0", "b/test/1": "test 1"}),
        (["train/a/test/1", "train/b/1", "test/a/1"], "several train and test folders in the path of train/a/test/1; 'train'",
         {"train/a/test/1": "train 0", "train/b/1": "train 1", "test/a/1": "test 0"}),
        (["walk/1", "run/1", "test/1"], "Clips lie directly in test",
         {"walk/1": "train 2", "run/1": "train 0", "test/1": "train 1"}),
        (["train/1", "test/1", "2"], "1 of 3 clips lie in no train or test folder",
         {"train/1": "train -1", "test/1": "test -1", "2": "train -1"}),
        (["Train_set/1", "test set/1"], "if these are splits", {"Train_set/1": "train 0", "test set/1": "train 1"}),
        (["01_train/1", "02_test/1"], "if these are splits", {"01_train/1": "train 0", "02_test/1": "train 1"}),
    ],
)  # fmt: skip
def test_doubtful_splits_are_told(ids: list[str], words: str, expected: dict[str, str]) -> None:
    labels = from_folders(ids)
    (warning,) = labels.warnings
    assert words in warning and one_sentence(warning) and split_of(labels) == expected


@pytest.mark.parametrize(
    "ids",
    [
        ["s01/cam1/walk/a", "s01/cam1/run/a", "s02/cam1/walk/a"],
        ["anna/walk/1", "anna/run/1", "ben/walk/1", "ben/run/2"],
        ["P07/walk/1", "P08/run/1"],
        ["2024-05-01/walk/1", "2024-05-02/run/1", "2024-05-02/walk/1"],
        ["train/s01/walk/1", "train/s01/run/1", "test/s02/walk/1"],
    ],
)
def test_one_level_too_many_is_told(ids: list[str]) -> None:
    labels = from_folders(ids)
    (warning,) = labels.warnings
    assert "The classes are " + ", ".join(labels.names) in warning and "run, walk" in warning and one_sentence(warning)


@pytest.mark.parametrize(
    "ids",
    [
        ["walk/s01/1", "walk/s02/1", "run/s01/1", "run/s02/1"],
        ["walk/cam_1/take 2/1", "run/cam_2/take 2/1"],
        ["A001/P001/1", "A002/P001/1"],
        ["walk/raw/1", "run/raw/1"],
        ["01/s1/1", "02/s1/1"],
        ["walk/old/1", "run/new/1"],
    ],
)
def test_subjects_and_cameras_below_the_classes_are_no_reason_to_worry(ids: list[str]) -> None:
    assert not from_folders(ids).warnings


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_tree_of_splits_and_classes(data: st.DataObject) -> None:
    """Splits above or below the classes, in any case, below any folders, accents written in either way."""
    classes = data.draw(
        st.lists(st.sampled_from(["caf\u00e9", "walk", "\u00fcben", "sit down"]), min_size=2, unique=True)
    )
    outer = data.draw(st.lists(st.sampled_from(["data", "v1", "clips"]), max_size=6))
    inner = data.draw(st.lists(st.sampled_from(["s1", "cam2", "7"]), max_size=5))
    above = data.draw(st.booleans())
    expected: dict[str, tuple[str, str]] = {}
    for number, name in enumerate(classes):
        for split, spelled in (("train", "train"), ("train", "Training"), ("test", "TEST"), ("test", "testing")):
            shown = normalize(data.draw(st.sampled_from(["NFC", "NFD"])), name)
            middle = [spelled, shown] if above else [shown, spelled]
            expected["/".join([*outer, *middle, *inner, f"{number}{spelled}"])] = split, name
    labels = from_folders(list(expected))
    assert labels.names == tuple(sorted(classes)) and not labels.left_out and not labels.warnings
    assert {key: (one.split, labels.names[one.label]) for key, one in labels.table.items()} == expected


def samples(train: str, test: str, names: str) -> list[FolderSample]:
    of = {"train": train, "test": test}
    return [FolderSample(split, names.find(letter)) for split in SPLITS for letter in of[split]]


@pytest.mark.parametrize(
    ("names", "train", "test", "expected"),
    [
        ("ab", "aab", "ab", []),
        ("ab", "aab", "", []),
        ("ab", "", "ab", []),
        ("abc", "aab", "abc", ["Class 'c' has test clips and no training clip."]),
        ("abc", "abc", "ab", ["Class 'c' has training clips and no test clip."]),
        ("abcdef", "a", "abcdef", ["Classes 'b', 'c', 'd' and 2 more have test clips and no training clip."]),
        ("ab?", "ab", "ab.", []),  # a clip without a label
        ("aA", "a", "A", ["Classes differ only in spelling: 'a' and 'A'; give one class one name.",
                          "Class 'A' has test clips and no training clip.", "Class 'a' has training clips and no test clip."]),
    ],
)  # fmt: skip
def test_classes_that_are_not_in_both_splits(names: str, train: str, test: str, expected: list[str]) -> None:
    assert doubts_about_classes(tuple(names), samples(train, test, names)) == expected


@pytest.mark.parametrize("pair", [("sit down", "sit_down"), ("Walk", "walk"), ("stand-up", "Stand Up")])
def test_classes_that_differ_only_in_spelling(pair: tuple[str, str]) -> None:
    (sentence,) = doubts_about_classes(("jump", *pair), [])
    assert repr(pair[0]) in sentence and repr(pair[1]) in sentence and one_sentence(sentence)
    assert doubts_about_classes(("+", "-", "\u8d70", "\u8dd1"), []) == []


def test_names_of_subjects_and_cameras_are_numbered(tmp_path: Path) -> None:
    text = "id,label,subject,camera\nclip_1,a,ben,left\nx/clip_2,b,anna,right\ny/clip_2,a,ben,\nclip.v3,b,,left\n"
    labels = from_table(raw(tmp_path, "labels.csv", text), IDS)
    found = {name: (sample.subject, sample.camera) for name, sample in labels.table.items()}
    assert found == {"x/clip_1": (1, 0), "x/clip_2": (0, 1), "y/clip_2": (1, -1), "clip.v3": (-1, 0)}
    assert labels.notes == [
        "labels.csv: every subject has a number, in the order of their names: 0 anna, 1 ben.",
        "labels.csv: every camera has a number, in the order of their names: 0 left, 1 right.",
    ]


@pytest.mark.parametrize(
    ("texts", "expected", "told"),
    [
        (["3", "12", "", "0"], [3, 12, -1, 0], ""),
        (["3.0", "12.00", "", "-1"], [3, 12, -1, -1], ""),
        (["3", "P01", "", "12"], [3, 13, -1, 12], "13 P01"),
        (["s2", "s10", "s2", "s1"], [2, 1, 2, 0], "0 s1, 1 s10, 2 s2"),
        (["1234567890", "2", "", ""], [3, 2, -1, -1], "3 1234567890"),
        (["A\u0308", "\u00c4", "", "B"], [1, 1, -1, 0], "0 B, 1 \u00c4"),
    ],
)
def test_numbers_stay_numbers_beside_names(tmp_path: Path, texts: list[str], expected: list[int], told: str) -> None:
    rows = "".join(f"{name},a,{text}\n" for name, text in zip(IDS, texts, strict=True))
    labels = from_table(raw(tmp_path, "labels.csv", f"id,label,subject\n{rows}".encode()), IDS)
    assert [labels.table[name].subject for name in IDS] == expected
    assert told in "".join(labels.notes) and bool(told) == bool(labels.notes)


def test_a_table_and_files_may_write_accents_differently(tmp_path: Path) -> None:
    ids = [normalize("NFD", "caf\u00e9/\u00fc1"), "caf\u00e9/\u00fc2"]
    apart = normalize("NFD", "n\u00e4hen"), normalize("NFD", "\u00fc2")
    text = f"id,label\ncaf\u00e9/\u00fc1,{apart[0]}\n{apart[1]}.npy,n\u00e4hen\n"
    labels = from_table(raw(tmp_path, "labels.csv", text.encode()), ids)
    assert labels.names == ("n\u00e4hen",) and {name: one.label for name, one in labels.table.items()} == dict.fromkeys(
        ids, 0
    )


def test_splits_that_a_table_leaves_open_are_told(tmp_path: Path) -> None:
    text = "id,label,split\nclip_1,a,train\nx/clip_2,a,val\ny/clip_2,a,test\nclip.v3,a,\n"
    labels = from_table(raw(tmp_path, "labels.csv", text), IDS)
    assert labels.warnings == [
        "labels.csv: 1 of 4 clips have no split, such as clip.v3, and are taken to train.",
        "labels.csv: 1 clips are val and others test; all of them are taken to test, such as x/clip_2.",
    ]
    assert not from_table(raw(tmp_path, "labels.csv", "id,label,split\nclip_1,a,\nclip.v3,b,\n"), IDS).warnings


def test_a_file_beside_the_split_folders_is_left_out() -> None:
    labels = from_folders(["train/a/1", "test/a/1", "train/b/1", "test/b/1", "stray"])
    assert labels.left_out == {"in none of the folders that are the classes": ["stray"]} and not labels.warnings
    assert labels.names == ("a", "b") and len(labels.table) == 4


IDS = ["x/clip_1", "x/clip_2", "y/clip_2", "clip.v3"]


def test_a_table_names_clips_in_any_way(tmp_path: Path) -> None:
    text = (
        "\ufeffID , Label,split,subject,camera,note\nclip_1.npy,wave,train,7,2,a\nx/clip_2,sit,val,,,b\n"
        ".\\y\\clip_2.csv.gz, ,TEST,1,,\nclip.v3,sit,,,,\n"
    )
    labels = from_table(raw(tmp_path, "labels.csv", text.encode()), IDS)
    assert labels.names == ("sit", "wave") and not labels.left_out
    assert labels.table == {
        "x/clip_1": FolderSample("train", 1, 7, 2),
        "x/clip_2": FolderSample("test", 0),
        "y/clip_2": FolderSample("test", -1, 1),
        "clip.v3": FolderSample("train", 0),
    }


def test_numbers_stay_what_they_are(tmp_path: Path) -> None:
    labels = from_table(raw(tmp_path, "labels.csv", "id;label\nclip_1;10\nclip.v3;2\n"), IDS)
    assert labels.names == tuple(map(str, range(11)))
    assert [labels.table[name].label for name in ("x/clip_1", "clip.v3")] == [10, 2]
    assert labels.left_out == {"not in labels.csv": ["x/clip_2", "y/clip_2"]}


def test_rows_without_a_file_are_listed(tmp_path: Path) -> None:
    labels = from_table(raw(tmp_path, "labels.csv", 'id,label\nclip_1,"walk, fast"\ngone,sit\n'), ["x/clip_1"])
    assert labels.names == ("walk, fast",) and labels.left_out == {"in labels.csv, but no such file": ["gone"]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id,labels\nclip_1,a\n", "no column 'label'"),
        ("clip_1,a\n", "no column 'id'"),
        ("id,label\n", "it has no rows"),
        ("id,label\nno,a\n", "'no' is none of the clips, such as 'x/clip_1'"),
        ("id,label\nclip_2,a\n", "line 2: 'clip_2' can be 'x/clip_2' or 'y/clip_2'"),
        ("id,label\nclip_1,a\nx/clip_1,b\n", "line 3: 'x/clip_1' is there twice"),
        ("id,label,split\nclip_1,a,dev\n", "line 2: split is 'dev'"),
        ("id,label\nclip_1\n", "line 2 has 1 cells"),
        ("id,label\n,a\n", "line 2 has no id"),
        ("id,label\nclip_1,99999999\n", "label 99999999"),
        ("", "empty"),
        ("\ufeff".encode(), "empty"),
        (b"id,label\nclip_1,\xff\xff\n", "no CSV text in UTF-8"),
        (b"\xff\xfei\x00d\x00", "UTF-16"),
    ],
)
def test_wrong_tables_are_one_clear_sentence(tmp_path: Path, text: str | bytes, words: str) -> None:
    with refused(ValueError, "labels.csv", words):
        from_table(raw(tmp_path, "labels.csv", text), IDS)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_damaged_tables_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    whole = b'id,label,split,subject,camera\nclip_1,"wave",train,1,2\nx/clip_2,sit,test,,\n'
    file = raw(tmp_path_factory.getbasetemp(), "labels.csv", data.draw(damages(whole)))
    try:
        labels = from_table(file, IDS)
        assert all(-1 <= sample.label < len(labels.names) for sample in labels.table.values())
    except ValueError as error:
        assert one_sentence(error) and "labels.csv" in str(error)
