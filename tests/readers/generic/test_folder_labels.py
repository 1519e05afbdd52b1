from __future__ import annotations

from pathlib import Path

import pytest
from conftest import one_sentence, refused
from hypothesis import given, settings, strategies as st
from own_files import damages, raw

from s2i_hf.protocols.folder import FolderSample
from s2i_hf.readers.generic.folder_labels import from_folders
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
