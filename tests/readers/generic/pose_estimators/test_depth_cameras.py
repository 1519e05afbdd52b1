"""Azure Kinect, ZED and Nuitrack: confidences, ids, times, names and numbers of joints."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import refused
from own_files import raw
from pose_files import FRAMES, azure_kinect, nuitrack, places, zed

from s2i_hf.processing.layouts import BUILT_IN
from s2i_hf.readers import ReadError
from s2i_hf.readers.generic.pose_estimators import keypoints_json
from s2i_hf.readers.generic.raw_clip import RawClip, in_layout, layout_of

MILLIMETRES = (places(32) * 1000).round(2)


def read(folder: Path, content: Any) -> RawClip:
    return keypoints_json.read(raw(folder, "a.json", content))


def test_azure_kinect(tmp_path: Path) -> None:
    content = azure_kinect()
    content["frames_per_second"] = 15
    content["frames"][1]["bodies"].reverse()
    content["frames"][3]["bodies"] = []
    for person in content["frames"][2]["bodies"]:
        person["confidence_levels"] = [2] * 31 + [0]
    for frame in (*content["frames"][:2], *content["frames"][3:]):
        for person in frame["bodies"]:
            person["confidence_levels"] = [1] * 32
    del content["frames"][4]
    clip = read(tmp_path, content)
    expected = MILLIMETRES.copy()
    expected[[3, 4]], expected[2, :, 31] = np.nan, np.nan
    np.testing.assert_array_equal(clip.joints, expected)
    assert (clip.layout, clip.unit, clip.up, clip.fps) == ("azure_kinect_32", "mm", "-y", 15)
    joints = in_layout(clip, BUILT_IN["azure_kinect_32"], "a.json")
    np.testing.assert_allclose(joints, expected * (0.001, -0.001, -0.001), atol=1e-5)


def test_names_of_azure_kinect_win_over_places(tmp_path: Path) -> None:
    content = azure_kinect()
    content["joint_names"].reverse()
    for frame in content["frames"]:
        for person in frame["bodies"]:
            person["joint_positions"].reverse()
    joints = in_layout(read(tmp_path, content), BUILT_IN["azure_kinect_32"], "a.json")
    np.testing.assert_allclose(joints, MILLIMETRES * (0.001, -0.001, -0.001), atol=1e-5)
    del content["joint_names"]
    assert read(tmp_path, content).layout == "azure_kinect_32"
    content["joint_names"] = ["PELVIS", "NECK"]
    with refused(ReadError, "a.json: has 2 names of 32 joints"):
        read(tmp_path, content)


def test_zed_joints_without_a_place(tmp_path: Path) -> None:
    content = zed(38)
    first, second, third, *_ = content.values()
    first["body_list"][0]["keypoint"][3] = [float("nan")] * 3
    second["body_list"].reverse()
    second["body_list"][0]["keypoint_confidence"][5] = -1.0
    second["body_list"][0]["keypoint_confidence"][6] = float("nan")  # the camera gives none
    third["body_list"] = []
    clip = read(tmp_path, content)
    expected = places(38)
    expected[0, 0, 3], expected[1, 1, 5], expected[2] = np.nan, np.nan, np.nan
    np.testing.assert_array_equal(clip.joints, expected)
    assert (clip.layout, clip.unit, clip.usual_unit) == ("zed_38", "", "m")
    np.testing.assert_allclose(in_layout(clip, BUILT_IN["zed_38"], "a.json", "cm"), expected / 100, atol=1e-6)


def test_zed_in_lists(tmp_path: Path) -> None:
    frames = list(zed().values())
    keys = ("id", "keypoint", "keypoint_confidence")
    flat = [
        {"ts": frame["timestamp"], **{key: one[key] for key in keys}} for frame in frames for one in frame["body_list"]
    ]
    for content in (frames, {"frames": frames}, flat):
        np.testing.assert_array_equal(read(tmp_path, content).joints, places(34))


def test_zed_18_is_no_openpose_in_pixels(tmp_path: Path) -> None:
    clip = read(tmp_path, zed(18))
    layout = layout_of(clip, "a.json")
    assert (layout.name, layout.unit) == ("openpose_18_m", "m")
    np.testing.assert_allclose(in_layout(clip, layout, "a.json"), places(18), atol=1e-6)
    with refused(ReadError, "those of layout 'openpose_18' in px"):
        in_layout(clip, BUILT_IN["openpose_18"], "a.json")


@pytest.mark.parametrize("types", [False, True])
def test_nuitrack(tmp_path: Path, types: bool) -> None:
    content = nuitrack(types)
    content[1]["Skeletons"].reverse()
    content[2]["Skeletons"][0]["Joints"][0]["confidence"] = 0
    content[3]["Skeletons"][0]["Joints"].append(
        {"type": "JOINT_NONE", "confidence": 0, "real": {"x": 0, "y": 0, "z": 0}}
    )
    clip = read(tmp_path, content)
    expected = (places(20) * 1000).round(2)
    expected[2, 0, -1] = np.nan
    np.testing.assert_array_equal(clip.joints, expected)
    assert (clip.layout, clip.unit, clip.up) == ("nuitrack", "mm", "y")


def test_nuitrack_by_name(tmp_path: Path) -> None:
    content = copy.deepcopy(nuitrack())
    for frame in content:
        for person in frame["Skeletons"]:
            person["Joints"] = {
                joint["type"]: {"Real": list(joint["real"].values()), "confidence": 1} for joint in person["Joints"]
            }
    np.testing.assert_array_equal(read(tmp_path, content).joints, (places(20) * 1000).round(2))


def test_broken_files_are_one_clear_sentence(tmp_path: Path) -> None:
    unknown, typeless, placeless = nuitrack(), nuitrack(), nuitrack()
    unknown[2]["Skeletons"][0]["Joints"][0]["type"] = "JOINT_TAIL"
    typeless[2]["Skeletons"][0]["Joints"][0]["type"] = 99
    del placeless[2]["Skeletons"][0]["Joints"][0]["real"]
    flat, bodiless = azure_kinect(), azure_kinect()
    flat["frames"][2]["bodies"][0]["joint_positions"] = [[1, 2]] * 32
    bodiless["frames"][2]["bodies"][0] = 7
    for content, words in [
        (unknown, "frame 2: a joint is called 'JOINT_TAIL', which Nuitrack knows not"), (typeless, "frame 2: the type of a joint is 99"),
        (placeless, "frame 2: JOINT_RIGHT_ANKLE: has no real x, y and z"), (flat, "frame 2: keypoints of shape (32, 2)"),
        (bodiless, "frame 2: person 1 is 7; expected an object"),
    ]:  # fmt: skip
        with refused(ReadError, "a.json", words):
            read(tmp_path, content)


def test_frames_of_zed_are_as_many_as_it_saw(tmp_path: Path) -> None:
    """Times do not count frames: one that lacks is no gap."""
    content = zed()
    del content[list(content)[2]]
    assert read(tmp_path, content).joints.shape[0] == FRAMES - 1
