"""OpenPose's forms in a single file, Kinetics-Skeleton, and other counts of keypoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import refused
from own_files import FLAT_STAR, raw
from pose_files import FRAMES, alphapose_open, kinetics, openpose, pixels, scored

from s2i_hf.processing.layouts import BUILT_IN
from s2i_hf.processing.skeleton_layout import SkeletonLayout
from s2i_hf.readers import ReadError
from s2i_hf.readers.generic.pose_estimators import keypoints_json
from s2i_hf.readers.generic.raw_clip import RawClip, in_layout, layout_of


def read(folder: Path, content: Any, layout: SkeletonLayout | None = None) -> RawClip:
    return keypoints_json.read(raw(folder, "a.json", content), layout)


def test_frames_in_one_file(tmp_path: Path) -> None:
    frames = [{"frame": number, **frame} for number, frame in enumerate(openpose().values())]
    for content in (frames, {"frames": frames}, list(openpose().values())):
        clip = read(tmp_path, content)
        np.testing.assert_array_equal(clip.joints, pixels(25))
        assert clip.layout == "openpose_25" and clip.unit == "px"


def test_names_of_images_are_in_natural_order_with_gaps(tmp_path: Path) -> None:
    content = {f"{int(name[0]) + 8}.jpg": one for name, one in reversed(alphapose_open().items())}
    del content["10.jpg"]
    expected = pixels(18)
    expected[2] = np.nan
    np.testing.assert_array_equal(read(tmp_path, content).joints, expected)


def test_kinetics_skeleton(tmp_path: Path) -> None:
    content = kinetics()
    content["data"][2]["skeleton"] = []
    content["data"][3]["skeleton"][0]["score"][4] = 0.0
    clip = read(tmp_path, content)
    expected = pixels(18) / 1000
    expected[2], expected[3, 0, 4] = np.nan, np.nan
    np.testing.assert_allclose(clip.joints, expected)
    layout = layout_of(clip, "a.json")
    assert (layout.name, layout.unit, layout.joint_names) == (
        "openpose_18_normalized",
        "normalized",
        BUILT_IN["openpose_18"].joint_names,
    )
    with refused(ReadError, "in normalized, those of layout 'openpose_18' in px; pass no layout, or one in normalized"):
        in_layout(clip, BUILT_IN["openpose_18"], "a.json")


def test_ids_of_people(tmp_path: Path) -> None:
    frames = list(openpose().values())
    for number, frame in enumerate(frames):
        for person, body in enumerate(frame["people"]):
            body["person_id"] = [person + 5]
        if number % 2:
            frame["people"].reverse()
    np.testing.assert_array_equal(read(tmp_path, frames).joints, pixels(25))


def test_older_files(tmp_path: Path) -> None:
    """pose_keypoints, before OpenPose 1.3."""
    content = [
        {"version": 1.0, "people": [{"pose_keypoints": scored(body), "face_keypoints": []} for body in people]}
        for people in pixels(18)
    ]
    assert read(tmp_path, content).layout == "openpose_18"


def test_other_counts_need_a_layout(tmp_path: Path) -> None:
    content = list(openpose(4).values())
    np.testing.assert_array_equal(read(tmp_path, content, FLAT_STAR).joints, pixels(4))
    with refused(ReadError, "a.json does not say which joints it holds"):
        layout_of(read(tmp_path, content), "a.json")
    with refused(ReadError, "has 4 joints; layout 'openpose_25' has 25"):
        in_layout(read(tmp_path, content), BUILT_IN["openpose_25"], "a.json")


@pytest.mark.parametrize(("change", "words"), [
    ({"pose_keypoints_2d": [1.0, 2.0]}, "frame 1: keypoints of shape (2,); expected (75,) as before"),
    ({"pose_keypoints_2d": None}, "frame 1: person 1 has no pose_keypoints_2d"),
    ({"pose_keypoints_2d": [1.0, "x"]}, "frame 1"),
    ({"person_id": {"a": 1}}, "frame 1: the id of a person is {'a': 1}"),
])  # fmt: skip
def test_broken_people(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    frames = list(openpose().values())
    frames[1]["people"][0].update(change)
    with refused(ReadError, "a.json", words):
        read(tmp_path, frames)


def test_bodies_that_were_not_looked_for(tmp_path: Path) -> None:
    frames = list(openpose().values())
    frames[1]["people"][0]["pose_keypoints_2d"] = []
    assert read(tmp_path, frames).joints.shape[:2] == (FRAMES, 2)
    for frame in frames:
        for person in frame["people"]:
            person["pose_keypoints_2d"] = []
    with refused(ReadError, "nobody is in any of its 6 frames"):
        read(tmp_path, frames)
