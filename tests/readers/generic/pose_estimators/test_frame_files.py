"""Which files of frames belong together, what the clip is called, and frames that cannot be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import refused
from pose_files import FRAMES, alphapose_open, mediapipe, mmpose, openpose, pixels, ultralytics, yolo

from s2i_hf.readers import LeftOut, ReadError
from s2i_hf.readers.discovery import read_file
from s2i_hf.readers.generic.folder import find_folder
from s2i_hf.readers.generic.pose_estimators.frame_files import clip_name
from s2i_hf.readers.recordings import Clip


def write(folder: Path, files: dict[str, Any]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def read(folder: Path, layout: str | None = None) -> tuple[dict[str, np.ndarray], list[str], list[int]]:
    """The joints of each clip by its id, what is left out of them, and their labels."""
    recordings = find_folder(folder, layout=layout, any_size=True)
    clips, left, labels = {}, [], []
    for file in recordings.all_files:
        for one in read_file(file, recordings.protocol):
            if isinstance(one, Clip):
                clips[one.sequence.sample_id] = one.sequence.joints
                labels.append(one.sequence.label)
            elif isinstance(one, LeftOut):
                left.append(str(one))
            else:
                raise one
    return clips, left, labels


def expected(joints: int) -> np.ndarray:
    flat = pixels(joints)
    return np.concatenate([flat, np.zeros_like(flat[..., :1])], axis=-1) * (1, -1, 1)


def test_an_openpose_folder_is_one_clip(tmp_path: Path) -> None:
    """Frame 3 has nobody in it, frame 2 was cut off, and the run was stopped before the last was written."""
    files = openpose()
    names = list(files)
    files[names[3]] = {"version": 1.3, "people": []}
    files[names[2]] = json.dumps(files[names[2]])[:40]
    files["clip_000000000006_keypoints.json"] = ""
    clips, left, _ = read(write(tmp_path / "wave", {f"clip/{name}": content for name, content in files.items()}))
    (joints,) = clips.values()
    assert list(clips) == ["clip/clip"] and joints.shape == (FRAMES, 2, 25, 3)
    assert np.isnan(joints[[2, 3]]).all()
    np.testing.assert_allclose(joints[[0, 1, 4, 5]], expected(25)[[0, 1, 4, 5]], atol=1e-4)
    assert left == [
        "clip: 1 of 6 frames cannot be read, such as clip_000000000002_keypoints.json.",
        "clip: empty files at its end are no frames: 1, such as clip_000000000006_keypoints.json.",
    ]


def test_frames_without_a_file_are_nan(tmp_path: Path) -> None:
    files = openpose(18)
    del files["clip_000000000002_keypoints.json"], files["clip_000000000003_keypoints.json"]
    files["clip_000000000001_keypoints.json"] = ""  # empty, but not at the end
    clips, left, _ = read(write(tmp_path, files))
    joints = clips["clip"]
    assert joints.shape == (FRAMES, 2, 18, 3) and np.isnan(joints[1:4]).all() and not np.isnan(joints[[0, 4, 5]]).any()
    assert left == ["clip: 1 of 4 frames cannot be read, such as clip_000000000001_keypoints.json."]


def test_several_clips_in_one_folder_are_told_apart_by_their_names(tmp_path: Path) -> None:
    names = [(label, clip, name) for label in ("run", "wave") for clip in ("a_01", "a_02") for name in openpose()]
    files = {f"{label}/{name.replace('clip', clip)}": openpose()[name] for label, clip, name in names}
    files["wave/IMG_7_keypoints.json"] = openpose()["clip_000000000000_keypoints.json"]
    clips, left, labels = read(write(tmp_path, files))
    assert sorted(clips) == ["run/a_01", "run/a_02", "wave/IMG", "wave/a_01", "wave/a_02"] and not left
    assert [len(clips[name]) for name in sorted(clips)] == [6, 6, 1, 6, 6]
    assert sorted(labels) == [0, 0, 1, 1, 1]


def test_frames_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    files = {f"v_{int(name[5:17]) + 8}_keypoints.json": content for name, content in openpose().items()}  # 8 ... 13
    np.testing.assert_allclose(read(write(tmp_path, files))[0]["v"], expected(25), atol=1e-4)


@pytest.mark.parametrize(
    ("frames", "count", "layout"),
    [
        ([frame["instances"] for frame in mmpose()["instance_info"]], 17, "coco_17"),
        (
            [
                {"meta_info": mmpose()["meta_info"], "instance_info": one["instances"]}
                for one in mmpose()["instance_info"]
            ],
            17,
            None,
        ),
        (ultralytics(track=False), 17, None),
        (list(alphapose_open().values()), 18, None),
        (list(alphapose_open("bodies", "joints").values()), 18, None),
    ],
    ids=["MMPose", "MMPose with its names", "ultralytics", "AlphaPose open", "AlphaPose cmu"],
)
def test_frames_of_other_programs(tmp_path: Path, frames: list[Any], count: int, layout: str | None) -> None:
    files = {f"wave/{number:06}.json": content for number, content in enumerate(frames)}
    files |= {f"run/b/{number}.json": content for number, content in enumerate(frames)}
    clips, left, _ = read(write(tmp_path, files), layout)
    assert list(clips) == ["run/b/b", "wave/wave"] and not left
    for joints in clips.values():
        np.testing.assert_allclose(joints, expected(count), atol=1e-4)


def test_results_of_mediapipe_frame_by_frame(tmp_path: Path) -> None:
    files = {f"a_{number}.json": content for number, content in enumerate(mediapipe()["frames"])}
    (joints,) = read(write(tmp_path, files))[0].values()
    assert joints.shape == (FRAMES, 2, 33, 3)


def test_numbered_clips_are_no_frames(tmp_path: Path) -> None:
    files = {f"wave/clip_{number}.json": mmpose() for number in range(3)}
    assert list(read(write(tmp_path, files))[0]) == ["wave/clip_0", "wave/clip_1", "wave/clip_2"]


def test_text_files_of_other_kinds_are_no_clips(tmp_path: Path) -> None:
    files = {f"wave/{name}": content for name, content in yolo().items()}
    files |= {"README.txt": "Recorded in May.", "classes.txt": "person\n", "numbers_1.txt": "1 2 3\n4 5 6\n"}
    recordings = find_folder(write(tmp_path, files))
    assert [file.name for file in recordings.all_files] == ["clip_1.txt"]
    (names,) = recordings.left_out.values()
    assert names == ["README.txt", "classes.txt", "numbers_1.txt"]


def test_all_frames_of_a_clip_are_broken(tmp_path: Path) -> None:
    files = {f"a_{number:012}_keypoints.json": "" for number in range(3)}
    with refused(ValueError, "a_000000000000_keypoints.json: the file is empty", "None of the 3 frames can be read"):
        read(write(tmp_path, files))


def test_two_files_of_one_frame(tmp_path: Path) -> None:
    frame = openpose()["clip_000000000000_keypoints.json"]
    with refused(ReadError, "two files are of frame 1"):
        read(write(tmp_path, {"a_1_keypoints.json": frame, "a_01_keypoints.json": frame}), "openpose_25")


@pytest.mark.parametrize(
    ("stem", "grouped", "name"),
    [
        ("clip_000000000012_keypoints", True, "clip"), ("clip_7_keypoints", False, "clip"), ("clip12", True, "clip"),
        ("clip12", False, "clip12"),
        ("S001C001_A3_000000000012_keypoints", True, "S001C001_A3"), ("0001", True, ""), ("0001", False, "0001"), ("a-3.12", True, "a-3"),
        ("photo_keypoints", False, "photo"), ("000000000012_keypoints", True, ""),
    ],
)  # fmt: skip
def test_names_of_clips(stem: str, grouped: bool, name: str) -> None:
    assert clip_name(stem, grouped) == name


def test_another_frame_is_other_data(tmp_path: Path) -> None:
    folder = write(tmp_path, openpose())
    before = find_folder(folder).fingerprint
    (folder / "clip_000000000005_keypoints.json").unlink()
    assert find_folder(folder).fingerprint != before
