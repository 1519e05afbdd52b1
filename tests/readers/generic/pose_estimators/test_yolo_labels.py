"""Rows of YOLO's text files: with and without confidence and track id, other classes, other keypoints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import refused
from own_files import FLAT_STAR, raw
from pose_files import pixels, yolo

from s2i_hf.inspection.detection import detect
from s2i_hf.processing.layouts import BUILT_IN
from s2i_hf.readers import RawFile, ReadError
from s2i_hf.readers.generic.pose_estimators import yolo_labels


def series(folder: Path, files: dict[str, str]) -> RawFile:
    first, *others = (raw(folder, name, content) for name, content in files.items())
    return first.with_companions(*others)


@pytest.mark.parametrize("track", [False, True])
@pytest.mark.parametrize("confidence", [False, True])
def test_what_follows_the_keypoints(tmp_path: Path, track: bool, confidence: bool) -> None:
    clip = yolo_labels.read(series(tmp_path, yolo(track=track, confidence=confidence)))
    np.testing.assert_allclose(clip.joints, pixels(17) / 1000, atol=1e-6)
    assert clip.unit == "normalized" and clip.names == BUILT_IN["coco_17"].joint_names and not clip.left_out


def test_ids_tell_people_apart(tmp_path: Path) -> None:
    files = yolo()
    files["clip_2.txt"] = "\n".join(reversed(files["clip_2.txt"].splitlines()))
    np.testing.assert_allclose(yolo_labels.read(series(tmp_path, files)).joints, pixels(17) / 1000, atol=1e-6)


def test_a_frame_without_a_file_and_joints_that_were_not_found(tmp_path: Path) -> None:
    files = yolo(confidence=False)
    del files["clip_3.txt"]
    cells = files["clip_1.txt"].split(" ")
    cells[5:8], cells[8:11] = ["0", "0", "0.9"], ["0.4", "0.4", "0"]
    files["clip_1.txt"] = " ".join(cells)
    clip = yolo_labels.read(series(tmp_path, files))
    assert (
        clip.joints.shape == (6, 2, 17, 2) and np.isnan(clip.joints[2]).all() and np.isnan(clip.joints[0, 0, :2]).all()
    )


def test_other_classes_are_counted(tmp_path: Path) -> None:
    files = yolo()
    row = files["clip_1.txt"].splitlines()[0]
    files["clip_1.txt"] += "16" + row[1:] + "\n"
    clip = yolo_labels.read(series(tmp_path, files))
    assert clip.joints.shape[1] == 2 and clip.left_out == ["bodies of other classes than 0 are left out: 1."]


def test_other_keypoints_need_a_layout_of_as_many(tmp_path: Path) -> None:
    file = series(tmp_path, yolo(4))
    np.testing.assert_allclose(yolo_labels.read(file, FLAT_STAR).joints, pixels(4) / 1000, atol=1e-6)
    with refused(ReadError, "clip_1.txt: rows of 19 numbers", "pass a layout of your own"):
        yolo_labels.read(file)
    with refused(ReadError, "rows of 19 numbers"):
        yolo_labels.read(file, BUILT_IN["openpose_25"])


def test_broken_rows(tmp_path: Path) -> None:
    good = yolo()["clip_1.txt"]
    for content, words in [
        ("0 0.5 x", "something else than numbers"), (good + "0 0.5 0.5\n", "several lengths"), ("", "is empty"),
        ("0.5 1 2 3 4 5 6 7", "has no rows of class"),
    ]:  # fmt: skip
        with refused(ReadError, "a_1.txt", words):
            yolo_labels.read(raw(tmp_path, "a_1.txt", content))
    with refused(ReadError, "rows of 19 to 58 numbers"):
        yolo_labels.read(series(tmp_path, {"a_1.txt": good, "a_2.txt": yolo(4)["clip_1.txt"]}))


def test_a_folder_of_them_is_looked_at(tmp_path: Path) -> None:
    for name, content in yolo().items():
        (tmp_path / name).write_text(content)
    (tmp_path / "README.txt").write_text("Recorded in May.")
    found = detect(tmp_path)
    assert found.kind == "folder" and [file.name for file in found.files] == ["clip_1.txt"]
