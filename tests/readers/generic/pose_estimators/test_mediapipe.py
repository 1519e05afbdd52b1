"""Results of MediaPipe Pose as people write them out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import refused
from own_files import raw
from pose_files import FRAMES, landmarks, mediapipe, places

from s2i_hf.processing.layouts import BUILT_IN
from s2i_hf.processing.skeleton_layout import SkeletonLayout
from s2i_hf.readers import ReadError
from s2i_hf.readers.generic.pose_estimators import keypoints_json
from s2i_hf.readers.generic.raw_clip import RawClip

POSE = BUILT_IN["mediapipe_33"]
WORLD = places(33)


def read(folder: Path, content: Any, layout: SkeletonLayout | None = None) -> RawClip:
    return keypoints_json.read(raw(folder, "a.json", content), layout)


def one(points: np.ndarray = WORLD) -> list[list[dict[str, float]]]:
    """Landmarks of the first person in each frame."""
    return [landmarks(people[0]) for people in points]


@pytest.mark.parametrize(
    "content",
    [
        mediapipe(),
        mediapipe()["frames"],
        {"video_metadata": {"fps": 29.97}, "frames": mediapipe("poseWorldLandmarks", "poseLandmarks")["frames"]},
        {"results": mediapipe("world_landmarks", "landmarks")["frames"]},
        {str(frame["frame_index"]): frame for frame in mediapipe()["frames"]},
        [
            {"frame": 7 + frame, "poses": [{"id": person, "world_landmarks": landmarks(body)} for person, body in enumerate(people)]}
            for frame, people in enumerate(WORLD)
        ],
        [{"pose_world_landmarks": [[[*point, 0.9] for point in body] for body in people.tolist()]} for people in WORLD],
        [{"pose_world_landmarks": [{"landmark": landmarks(body)} for body in people]} for people in WORLD],
    ],
    ids=["frames", "list", "camel case", "results", "by number", "people", "lists of numbers", "protobuf"],
)  # fmt: skip
def test_world_landmarks(tmp_path: Path, content: Any) -> None:
    clip = read(tmp_path, content)
    np.testing.assert_allclose(clip.joints, WORLD, atol=1e-9)
    assert (clip.layout, clip.unit, clip.up) == ("mediapipe_33", "m", "-y") and clip.names == POSE.joint_names


@pytest.mark.parametrize(
    "content",
    [
        [{"frame": frame, "timestamp": frame / 30, "poseWorldLandmarks": body, "poseLandmarks": body} for frame, body in enumerate(one())],
        [{"pose_world_landmarks": {"landmark": body}} for body in one()],
        [{"worldLandmarks": dict(zip(POSE.joint_names, body, strict=True))} for body in one()],
        [
            {"worldLandmarks": [{**point, "name": name.upper()} for name, point in zip(POSE.joint_names, body, strict=True)][::-1]}
            for body in one()
        ],
        [{"worldLandmarks": [{**point, "landmark_index": place} for place, point in enumerate(body)][::-1]} for body in one()],
    ],
    ids=["one person", "protobuf", "by name", "named", "indexed"],
)  # fmt: skip
def test_one_person(tmp_path: Path, content: Any) -> None:
    np.testing.assert_allclose(read(tmp_path, content).joints, WORLD[:, :1], atol=1e-9)


def test_image_landmarks_are_parts_of_the_image(tmp_path: Path) -> None:
    clip = read(tmp_path, mediapipe(""))
    np.testing.assert_allclose(clip.joints, WORLD / 10, atol=1e-9)
    assert clip.unit == "normalized" and clip.fps == 29.97
    layout = SkeletonLayout("image", POSE.joint_names, POSE.parents, unit="normalized")
    np.testing.assert_allclose(
        read(tmp_path, mediapipe(), layout).joints, WORLD / 10, atol=1e-9
    )  # where both are there
    np.testing.assert_allclose(read(tmp_path, mediapipe(), POSE).joints, WORLD, atol=1e-9)


def test_who_is_not_there_and_what_is_not_visible(tmp_path: Path) -> None:
    content = mediapipe()
    content["frames"][1]["pose_world_landmarks"] = []
    content["frames"][2]["pose_world_landmarks"] = None
    content["frames"][3]["pose_world_landmarks"][0][5]["visibility"] = 0.0
    content["frames"][3]["pose_world_landmarks"][0][6]["presence"] = 0
    content["frames"][3]["pose_world_landmarks"][0][7]["x"] = None
    del content["frames"][4]
    clip = read(tmp_path, content)
    assert clip.joints.shape == (FRAMES, 2, 33, 3)
    assert np.isnan(clip.joints[[1, 2, 4]]).all() and np.isnan(clip.joints[3, 0, 5:7]).all()
    assert np.isnan(clip.joints[[0, 3, 5]]).sum() == 7


def test_some_of_the_landmarks_by_their_numbers(tmp_path: Path) -> None:
    content = [{"world_landmarks": [{**body[place], "index": place} for place in (11, 12, 23)]} for body in one()]
    clip = read(tmp_path, content)
    assert clip.joints.shape == (FRAMES, 1, 33, 3)
    np.testing.assert_allclose(clip.joints[:, 0, [11, 12, 23]], WORLD[:, 0, [11, 12, 23]], atol=1e-9)
    assert np.isnan(clip.joints).sum() == FRAMES * 30 * 3


def test_bare_lists_need_a_layout(tmp_path: Path) -> None:
    np.testing.assert_allclose(read(tmp_path, one(), POSE).joints, WORLD[:, :1], atol=1e-9)
    with refused(ReadError, "a.json"):
        read(tmp_path, one())
    with refused(ReadError, "a.json"):
        read(tmp_path, one(), BUILT_IN["kinect_v2"])


def test_what_are_no_landmarks_of_a_body(tmp_path: Path) -> None:
    hand = [{"frame": 4, "landmarks": landmarks(WORLD[0, 0])[:21]}]
    with refused(ReadError, "a.json: frame 4: has 21 landmarks; expected the 33 of MediaPipe Pose"):
        read(tmp_path, hand)
    with refused(ReadError, "frame 0: has a landmark 'tail'"):
        read(tmp_path, {"landmarks": [{"name": "tail", "x": 1, "y": 2, "z": 3}]})
    with refused(ReadError, "frame 0: the landmarks are far"):
        read(tmp_path, {"landmarks": "far"})
    with refused(ReadError, "nobody is in any of its 2 frames"):
        read(tmp_path, [{"landmarks": []}, {"landmarks": None}])
