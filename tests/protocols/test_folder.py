from __future__ import annotations

import pickle

import pytest

from s2i_hf.protocols.folder import FolderProtocol, FolderSample

PROTOCOL = FolderProtocol(
    layout="coco_17",
    names=("sit", "wave"),
    root="/data/clips",
    table={
        "wave/1": FolderSample("train", 1, 7, 2),
        "2": FolderSample("test"),
        "all_test_000000": FolderSample("test", 0),
    },
    containers={"all": ("train", "test")},
)


def test_splits_and_labels_come_from_the_table() -> None:
    assert (PROTOCOL.name, PROTOCOL.dataset, PROTOCOL.splits) == ("folder", "folder", ("train", "test"))
    assert [PROTOCOL.split(name) for name in ("wave/1", "2", "all_test_000000", "3")] == ["train", "test", "test", None]
    assert [PROTOCOL.label(name) for name in ("wave/1", "2", "all_test_000000")] == [1, -1, 0]
    with pytest.raises(ValueError, match="'3' is no clip of /data/clips"):
        PROTOCOL.label("3")


def test_files_belong_to_the_splits_of_what_is_in_them() -> None:
    assert [PROTOCOL.file_splits(name) for name in ("wave/1", "2", "all", "3")] == [
        ("train",), ("test",), ("train", "test"), (),
    ]  # fmt: skip


def test_classes_are_named_and_nothing_is_expected() -> None:
    assert PROTOCOL.class_names == ("sit", "wave") and PROTOCOL.id2label == {0: "sit", 1: "wave"}
    assert PROTOCOL.expected("train") is None and PROTOCOL.expected_ids("test") is None
    assert PROTOCOL.missing_samples == frozenset()


def test_it_travels_to_other_processes() -> None:
    copy = pickle.loads(pickle.dumps(PROTOCOL))
    assert copy.table == PROTOCOL.table and copy.class_names == PROTOCOL.class_names
    assert copy != PROTOCOL and PROTOCOL == PROTOCOL and len({PROTOCOL, copy}) == 2  # two folders are never the same
