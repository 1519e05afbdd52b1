from __future__ import annotations

import csv
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import one_sentence, refused
from hypothesis import given, settings, strategies as st
from own_files import STAR, damages

from s2i_hf.readers import ReadError
from s2i_hf.readers.discovery import read_file
from s2i_hf.readers.generic.annotation_pickle import convert_pickle
from s2i_hf.readers.generic.folder import find_folder
from s2i_hf.readers.recordings import Clip


def annotation(name: str, label: int, frames: int = 4, people: int = 2, values: int = 2) -> dict[str, Any]:
    rng = np.random.default_rng(label)
    keypoint = rng.uniform(10, 900, (people, frames, 17, values)).astype(np.float16)
    item: dict[str, Any] = {"frame_dir": name, "label": label, "total_frames": frames, "keypoint": keypoint}
    if values == 2:
        item |= {
            "keypoint_score": rng.uniform(0.1, 1, (people, frames, 17)).astype(np.float16),
            "img_shape": (1080, 1920),
        }
    return item


def content(**changes: Any) -> dict[str, Any]:
    annotations = [annotation(f"S001A{label:03}", label) for label in range(4)]
    names = [item["frame_dir"] for item in annotations]
    split = {
        "xsub_train": names[:3], "xsub_val": names[3:], "xview_train": names[:1], "xview_val": [*names[1:], "not among them"],
    }  # fmt: skip
    return {"split": split, "annotations": annotations, **changes}


def write(folder: Path, value: Any, protocol: int = 4) -> Path:
    path = folder / "ntu.pkl"
    path.write_bytes(pickle.dumps(value, protocol))
    return path


def table(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_clips_and_tables(tmp_path: Path, protocol: int) -> None:
    whole = content()
    whole["annotations"][1]["keypoint_score"][0, 2, 5] = 0
    whole["annotations"][2]["keypoint"][1] = 0  # the second person is not there
    whole["annotations"][3]["keypoint"][1, 3] = 0
    lines = convert_pickle(write(tmp_path, whole, protocol), tmp_path / "out", "coco_17")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "clips",
        "labels_xsub.csv",
        "labels_xview.csv",
    ]
    files = [tmp_path / "out" / "clips" / f"S001A{label:03}.npz" for label in range(4)]
    clips = [np.load(file, allow_pickle=False)["joints"] for file in files]
    assert [clip.shape for clip in clips] == [(4, 2, 17, 2), (4, 2, 17, 2), (4, 1, 17, 2), (4, 2, 17, 2)]
    assert clips[0].dtype == np.float32
    np.testing.assert_array_equal(clips[0], whole["annotations"][0]["keypoint"].swapaxes(0, 1))
    assert np.argwhere(np.isnan(clips[1])).tolist() == [[2, 0, 5, 0], [2, 0, 5, 1]]
    assert np.isnan(clips[3][3, 1]).all() and np.isnan(clips[3]).sum() == 34
    assert table(tmp_path / "out" / "labels_xsub.csv") == [
        ["id", "label", "split"],
        *([f"S001A{label:03}", str(label), "test" if label == 3 else "train"] for label in range(4)),
    ]
    assert [row[2] for row in table(tmp_path / "out" / "labels_xview.csv")[1:]] == ["train", "test", "test", "test"]
    assert "4 clips" in lines[0] and "s2i convert folder" in lines[-1] and "--labels" in lines[-1]


def test_the_folder_is_one_that_can_be_read(tmp_path: Path) -> None:
    whole = content()
    convert_pickle(write(tmp_path, whole), tmp_path / "out")
    with pytest.raises(ValueError, match=r"several tables.*labels_xsub\.csv, labels_xview\.csv"):
        find_folder(tmp_path / "out", "coco_17")
    recordings = find_folder(tmp_path / "out", "coco_17", labels=tmp_path / "out" / "labels_xsub.csv")
    assert {split: len(files) for split, files in recordings.files.items()} == {"train": 3, "test": 1}
    (clip,) = read_file(recordings.files["test"][0], recordings.protocol)
    assert isinstance(clip, Clip)
    expected = whole["annotations"][3]["keypoint"].swapaxes(0, 1).astype(np.float32)
    np.testing.assert_array_equal(clip.sequence.joints[..., 0], expected[..., 0])
    np.testing.assert_array_equal(clip.sequence.joints[..., 1], -expected[..., 1])
    assert (clip.sequence.label, clip.sequence.sample_id) == (3, "clips/S001A003")


def test_3d_without_splits_and_unlabelled(tmp_path: Path) -> None:
    items = [
        annotation("a", 0, values=3),
        {**annotation("b", 1, values=3), "label": -1},
        {"frame_dir": "empty", "label": 2},
    ]
    lines = convert_pickle(write(tmp_path, items), tmp_path / "out")
    assert table(tmp_path / "out" / "labels.csv") == [["id", "label", "split"], ["a", "0", "train"], ["b", "", "train"]]
    assert "left out, without keypoints: 1 (empty)" in lines


def test_names_of_splits_without_a_rule_and_with_numbers(tmp_path: Path) -> None:
    whole = content(split={"train": ["S001A000"], "val": ["S001A001"]})
    convert_pickle(write(tmp_path, whole), tmp_path / "one")
    assert len(table(tmp_path / "one" / "labels.csv")) == 3
    whole = content(
        split={"train1": ["S001A000"], "test1": ["S001A001"], "train2": ["S001A001"], "test2": ["S001A000"]}
    )
    convert_pickle(write(tmp_path, whole), tmp_path / "two")
    assert sorted(path.name for path in (tmp_path / "two").glob("*.csv")) == ["labels_1.csv", "labels_2.csv"]


def test_names_cannot_leave_the_folder(tmp_path: Path) -> None:
    names = ["../../outside", "/etc/passwd", "..", "a b/c\\d", "x" * 400, "\x00\n", "Å.mp4"]
    items = [annotation(name, label) for label, name in enumerate(names)]
    folder = tmp_path / "some" / "where" / "deep"
    folder.mkdir(parents=True)
    convert_pickle(write(folder, items), folder / "out")
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    inside = [path.name for path in written if path.parent == folder / "out" / "clips"]
    assert len(inside) == len(names) and all(name.endswith(".npz") and not name.startswith(".") for name in inside)
    assert len(written) == len(names) + 2  # the table and the pickle
    assert len(find_folder(folder / "out", "coco_17").files["train"]) == len(names)


class Harmful:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> Any:
        return os.system, (self.command,)


def objects() -> np.ndarray:
    array = np.empty((1, 1), dtype=object)
    array[0, 0] = [1]
    return array


def broken() -> dict[str, tuple[Any, str]]:
    return {
        "code": ({"split": {}, "annotations": [Harmful("touch {marker}")]}, "nothing of it was run"),
        "object array": ([{**annotation("a", 1), "keypoint": objects()}], "expected plain numbers"),
        "no dict": ("hello", "no dict with 'annotations'"),
        "no list": ({"annotations": {}}, "no dict with 'annotations'"),
        "splits": (content(split=[1]), "'split' is no dict of lists"),
        "name of a split": (content(split={"first": []}), "a split called 'first'"),
        "member of a split": (content(split={"train": [3]}), "something else than names"),
        "both splits": (content(split={"train": ["S001A000"], "val": ["S001A000"]}), "trains and tests"),
        "no name": ([{"label": 1}], "annotation 1 of 1: no dict with a 'frame_dir'"),
        "name twice": ([annotation("a", 0), annotation("a", 1)], "annotation 2 of 2: 'a' is there twice"),
        "files alike": ([annotation("a b", 0), annotation("a_b", 1)], "'a_b' is there twice"),
        "label": ([annotation("a", 0) | {"label": "walk"}], "label is no whole number"),
        "shape": ([annotation("a", 0) | {"keypoint": np.zeros((4, 17, 2))}], "'keypoint' is (4, 17, 2)"),
        "no array": ([annotation("a", 0) | {"keypoint": [[1, 2]]}], "'keypoint' is list"),
        "nobody": ([annotation("a", 0) | {"keypoint": np.zeros((0, 4, 17, 2))}], "without a person"),
        "scores": ([annotation("a", 0) | {"keypoint_score": np.zeros((1, 4, 17))}], "'keypoint_score' does not fit"),
        "no keypoints at all": ([{"frame_dir": "a"}], "none of its 1 annotations has keypoints"),
    }


@pytest.mark.parametrize("case", broken())
def test_other_files_are_refused_and_leave_nothing(tmp_path: Path, case: str) -> None:
    value, words = broken()[case]
    path = write(tmp_path, value)
    with refused(ReadError, "ntu.pkl", words):
        convert_pickle(path, tmp_path / "out")
    assert [entry.name for entry in tmp_path.iterdir()] == ["ntu.pkl"]


def test_files_that_are_none_and_outputs_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "empty.pkl").touch()
    with pytest.raises(ReadError, match=r"empty\.pkl: the file is empty"):
        convert_pickle(tmp_path / "empty.pkl", tmp_path / "out")
    with pytest.raises(ReadError, match=r"gone\.pkl is not there; expected"):
        convert_pickle(tmp_path / "gone.pkl", tmp_path / "out")
    with pytest.raises(ReadError, match="is a folder; expected"):
        convert_pickle(tmp_path, tmp_path / "out")
    path = write(tmp_path, content())
    with pytest.raises(ValueError, match="there already"):
        convert_pickle(path, tmp_path)
    with pytest.raises(ValueError, match="Unknown layout"):
        convert_pickle(path, tmp_path / "out", "coco_71")
    with pytest.raises(ReadError, match=r"17 joints; layout 'test_star' has 4"):
        convert_pickle(path, tmp_path / "out", STAR)
    assert not (tmp_path / "out").exists()


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_damaged_files_are_converted_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    path = folder / "ntu.pkl"
    path.write_bytes(data.draw(damages(pickle.dumps(content(), 4))))
    try:
        convert_pickle(path, folder / "out")
    except ReadError as error:
        assert one_sentence(error) and "ntu.pkl" in str(error)
        assert [entry.name for entry in folder.iterdir()] == ["ntu.pkl"]
