from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import refused
from hypothesis import given, settings, strategies as st
from paper_files import smarthome_content, walk, write_smarthome

from s2i_hf.readers import ReadError
from s2i_hf.readers.benchmarks import smarthome

NAME = "Cook.Cut_p03_r00_v12_c07"


@pytest.mark.parametrize("scores", [None, [3.5]])
def test_reads_what_is_in_the_file(tmp_path: Path, scores: list[float] | None) -> None:
    poses = walk(6, 1, 13)
    sequence = smarthome.read(write_smarthome(tmp_path, smarthome_content(poses, scores)))
    assert sequence.joints.shape == (6, 1, 13, 3) and sequence.layout.name == "lcrnet_13"
    np.testing.assert_array_equal(sequence.joints, poses.astype(np.float32))
    assert (sequence.label, sequence.subject, sequence.camera, sequence.sample_id) == (2, 3, 7, NAME)


def test_numbers_are_coordinate_major(tmp_path: Path) -> None:
    content = {"njts": 13, "frames": [[{"pose3d": [*range(13), *range(100, 113), *range(200, 213)]}]]}
    content["frames"][0][0]["pose3d"] = [value / 100 for value in content["frames"][0][0]["pose3d"]]  # type: ignore[index]
    joints = smarthome.read(write_smarthome(tmp_path, content)).joints[0, 0]
    np.testing.assert_allclose(joints[4], [0.04, 1.04, 2.04], rtol=1e-6)


def test_of_several_detections_the_best_or_the_first(tmp_path: Path) -> None:
    poses = walk(5, 3, 13)
    poses[2, 1] = np.nan
    found = smarthome.read(write_smarthome(tmp_path, smarthome_content(poses, [1.0, 9.5, 4.0]))).joints
    expected = poses[:, 1].copy()
    expected[2] = poses[2, 2]
    np.testing.assert_array_equal(found[:, 0], expected.astype(np.float32))
    found = smarthome.read(write_smarthome(tmp_path, smarthome_content(poses))).joints
    np.testing.assert_array_equal(found[:, 0], poses[:, 0].astype(np.float32))


def test_frames_without_a_detection_stay_as_nan(tmp_path: Path) -> None:
    poses = walk(6, 1, 13)
    poses[[0, 3]] = np.nan
    joints = smarthome.read(write_smarthome(tmp_path, smarthome_content(poses))).joints
    np.testing.assert_array_equal(joints, poses.astype(np.float32))


def test_an_unlisted_activity_has_no_label(tmp_path: Path) -> None:
    sequence = smarthome.read(
        write_smarthome(tmp_path, smarthome_content(walk(2, 1, 13)), "Pour.Fromcup_p02_r00_v01_c02")
    )
    assert (sequence.label, sequence.subject) == (-1, 2)
    assert smarthome.read(write_smarthome(tmp_path, smarthome_content(walk(2, 1, 13)), "mine")).label == -1


def broken() -> dict[str, tuple[Any, list[str]]]:
    def with_pose(pose: Any) -> dict[str, Any]:
        content = smarthome_content(walk(4, 1, 13))
        content["frames"][2][0]["pose3d"] = pose
        return content

    numbers = list(np.linspace(-1, 1, 39))
    return {
        "17 joints": ({**smarthome_content(walk(2, 1, 13)), "njts": 17}, ["njts is 17", "13"]),
        "short": (with_pose(numbers[:38]), ["frame 3 of 4", "38 numbers", "39"]),
        "no pose": (with_pose(None), ["frame 3 of 4", "no numbers"]),
        "text": (with_pose([*numbers[:38], "1"]), ["frame 3 of 4", "'1'"]),
        "null": (with_pose([*numbers[:38], None]), ["frame 3 of 4", "None"]),
        "true": (with_pose([*numbers[:38], True]), ["frame 3 of 4", "True"]),
        "NaN": (with_pose([*numbers[:38], float("nan")]), ["frame 3 of 4", "nan"]),
        "huge": (with_pose([*numbers[:38], 10**400]), ["frame 3 of 4"]),
        "nested": (with_pose([*numbers[:38], [1]]), ["frame 3 of 4", "[1]"]),
        "millimetres": (smarthome_content(walk(4, 1, 13) * 1000), ["millimetres"]),
        "nobody": ({"njts": 13, "frames": [[], []]}, ["nobody", "2 frames"]),
        "no frame": ({"njts": 13, "frames": []}, ["0 frames"]),
        "a detection in the place of a list": (
            {"njts": 13, "frames": [{"pose3d": numbers}]},
            ["frame 1 of 1", "no list"],
        ),
        "a number for a detection": ({"njts": 13, "frames": [[1]]}, ["frame 1 of 1", "no list"]),
        "frames is no list": ({"njts": 13, "frames": 7}, ["'frames'"]),
        "a list": ([1], ["'frames'"]),
        "truncated": (json.dumps(smarthome_content(walk(2, 1, 13)))[:-9], ["not JSON"]),
        "deep": ("[" * 100_000, ["not JSON"]),
        "empty": ("", ["empty"]),
    }


@pytest.mark.parametrize("case", broken())
def test_broken_files_are_one_clear_sentence(tmp_path: Path, case: str) -> None:
    content, words = broken()[case]
    with refused(ReadError, f"{NAME}.json", *words):
        smarthome.read(write_smarthome(tmp_path, content))


def test_a_score_that_is_none_does_not_count(tmp_path: Path) -> None:
    poses = walk(2, 2, 13)
    content = smarthome_content(poses, [1.0, 2.0])
    for frame in content["frames"]:
        frame[0]["cumscore"] = "high"
        frame[1]["cumscore"] = float("nan")
    np.testing.assert_array_equal(
        smarthome.read(write_smarthome(tmp_path, content)).joints[:, 0], poses[:, 0].astype(np.float32)
    )


@functools.cache
def whole() -> bytes:
    return json.dumps(smarthome_content(walk(3, 2, 13), [1.0, 2.0])).encode()


@settings(deadline=None)
@given(st.data())
def test_damaged_files_are_named(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("smarthome") / f"{NAME}.json"
    text = whole()
    at = data.draw(st.integers(0, len(text)))
    junk = data.draw(
        st.sampled_from([b"", b"NaN", b"[", b"]", b"{}", b"\xff", b"\x00", b"1e999", b"-", b"null", b"9" * 400])
    )
    path.write_bytes(
        text[:at] + junk + (b"" if data.draw(st.booleans()) else text[at + data.draw(st.integers(0, 30)) :])
    )
    try:
        sequence = smarthome.read(path)
    except ReadError as error:
        assert f"{NAME}.json" in str(error)
    else:
        assert sequence.joints.shape[1:] == (1, 13, 3) and not np.isinf(sequence.joints).any()
