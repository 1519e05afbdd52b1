"""Arrays with names, scores and other facts beside them, in .npz files and JSON objects alike."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import refused
from hypothesis import given, settings, strategies as st
from own_files import STAR, damages, joints, npz, raw, reads_or_refuses

from s2i_hf.processing.layouts import LAYOUTS
from s2i_hf.readers import RawFile, ReadError
from s2i_hf.readers.discovery import read_file
from s2i_hf.readers.generic import array_facts
from s2i_hf.readers.generic.folder import find_folder
from s2i_hf.readers.generic.pose_estimators import keypoints_json
from s2i_hf.readers.generic.raw_clip import RawClip, in_layout, layout_of
from s2i_hf.readers.recordings import Clip

TWO = joints(12, people=2)
SCORES = np.random.default_rng(1).integers(0, 2, TWO.shape[:3]).astype(float)
SCORES[0] = 1


def written(folder: Path, form: str, **content: Any) -> RawFile:
    """The same arrays as a .npz file or a JSON object."""
    if form == "npz":
        return raw(folder, "a.npz", npz(**{key: np.asarray(value) for key, value in content.items()}))
    return raw(
        folder, "a.json", {key: value.tolist() if hasattr(value, "tolist") else value for key, value in content.items()}
    )


def read(file: RawFile, *args: Any) -> RawClip:
    return (keypoints_json if file.name.endswith("json") else array_facts).read(file, *args)


forms = pytest.mark.parametrize("form", ["npz", "json"])


@forms
def test_the_file_of_the_video_example(tmp_path: Path, form: str) -> None:
    layout = LAYOUTS["mediapipe_33"]
    for frames, people in ((40, 1), (40, 3), (2, 5), (7, 1), (3, 2)):
        truth, seen = joints(frames, people, layout), np.ones((frames, people, 33))
        seen[0, 0, 4], seen[-1, -1, 30] = 0, 0
        file = written(
            tmp_path, form, joints=truth, visibility=seen, ids=np.arange(people) + 3, fps=29.97, layout="mediapipe_33"
        )
        clip = read(file)
        assert (clip.layout, clip.fps, clip.left_out) == ("mediapipe_33", 29.97, [])
        assert layout_of(clip, "a") == layout
        np.testing.assert_array_equal(clip.joints, np.where(seen[..., None] > 0, truth, np.nan))
        with refused(ReadError, "mediapipe_33", "kinect_v2"):
            in_layout(read(file, LAYOUTS["kinect_v2"]), LAYOUTS["kinect_v2"], "a")


@forms
def test_names_pick_the_joints(tmp_path: Path, form: str) -> None:
    names = ["right_hand", "belly", "head", "pelvis", "left_hand"]
    stored = np.concatenate([TWO, TWO[:, :, :1] + 9], axis=2)[:, :, [3, 4, 1, 0, 2]]
    file = written(
        tmp_path, form, positions=stored, joint_names=names, fps=np.float32(25), unit="cm", up="z", subject="x"
    )
    clip = read(file, STAR)
    assert (clip.names, clip.fps, clip.unit, clip.up, clip.layout) == (tuple(names), 25, "cm", "z", "")
    x, y, z = np.moveaxis(TWO, -1, 0) / 100
    np.testing.assert_allclose(in_layout(clip, STAR, "a"), np.stack([x, z, -y], axis=-1), atol=1e-6)
    with refused(ReadError, "no known layout"):
        read(file)


@forms
@pytest.mark.parametrize("key", ["visibility", "scores", "confidence", "keypoint_scores", "tracking_state"])
def test_scores_of_every_order(tmp_path: Path, form: str, key: str) -> None:
    expected = np.where(SCORES[..., None] > 0, TWO, np.nan)
    for axes, stored, marks in (
        ("TMVC", TWO, SCORES),
        ("TMVC", TWO, SCORES[..., None]),
        ("MTVC", TWO.swapaxes(0, 1), SCORES.swapaxes(0, 1)),
        ("CTVM", TWO.transpose(3, 0, 2, 1), SCORES.transpose(0, 2, 1)),
        ("TMVC", TWO.reshape(12, -1), SCORES.reshape(12, -1)),
    ):
        file = written(tmp_path, form, keypoints=stored, **{key: marks})
        np.testing.assert_array_equal(read(file, STAR).joints, expected, axes)
        if stored.ndim == 4:
            file = written(tmp_path, form, keypoints=stored[:, :, :, :] if axes else stored, axes=axes, **{key: marks})
            np.testing.assert_array_equal(read(file, STAR).joints, expected)
    missing = SCORES == 0
    np.testing.assert_array_equal(read(written(tmp_path, form, joints=TWO, missing=missing), STAR).joints, expected)


@forms
def test_axes_are_those_of_the_file(tmp_path: Path, form: str) -> None:
    short = TWO[:5]
    np.testing.assert_array_equal(read(written(tmp_path, form, joints=short, axes="TMVC"), STAR).joints, short)
    file = written(tmp_path, form, joints=short.swapaxes(0, 1), axes="mtvc")
    np.testing.assert_array_equal(read(file, STAR, "MTVC").joints, short)
    with refused(ReadError, "MTVC", "TMVC", "leave axes out"):
        read(file, STAR, "TMVC")
    np.testing.assert_array_equal(read(written(tmp_path, form, joints=short, ids=[4, 9]), STAR).joints, short)
    with refused(ReadError, "'TMVC'", "'MTVC'"):
        read(written(tmp_path, form, joints=short), STAR)


@forms
@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"layout": "my_robot"}, "'my_robot'"),
        ({"layout": 3}, "its layout is 3"),
        ({"fps": 0}, "its fps is 0"),
        ({"fps": [30, 30]}, "its fps"),
        ({"unit": "furlongs"}, "'furlongs'"),
        ({"up": "x"}, "'x' is up"),
        ({"axes": "TVX"}, "'TVX'"),
        ({"axes": "CTVM"}, "cannot be CTVM"),
        ({"names": ["a", "b", "c", "c"]}, "its names"),
        ({"names": ["a", "b", "c"]}, "expected (T, 3, 3 or 4)"),
        ({"scores": np.ones((12, 4))}, "its scores are"),
        ({"scores": ["a", "b"]}, "its scores"),
        ({"mask": np.ones((12, 2, 4))}, "missing (True was not seen)"),
    ],
)
def test_what_is_stated_and_not_understood_is_refused(tmp_path: Path, form: str, content: Any, words: str) -> None:
    with refused(ReadError, f"a.{form}", words):
        read(written(tmp_path, form, joints=TWO, **content), STAR)


@pytest.mark.parametrize(
    "keys",
    [
        ("poses", "trans", "betas", "dmpls", "mocap_framerate", "gender"),
        ("poses", "trans", "betas", "mocap_frame_rate", "gender", "root_orient", "pose_body", "pose_hand"),  # stageii
        ("smpl_poses", "smpl_trans", "smpl_scaling"),
        ("global_orient", "body_pose", "transl", "betas"),
    ],
)
@forms
def test_rotations_of_a_body_model_are_refused(tmp_path: Path, form: str, keys: tuple[str, ...]) -> None:
    arrays: dict[str, Any] = {key: np.zeros((20, 156)) for key in keys}
    arrays |= {"gender": "male"} if "gender" in keys else {}
    for layout in (None, STAR, LAYOUTS["smpl_22"]):
        with refused(ReadError, keys[0], "body model", "(T, 22, 3)", "BVH"):
            read(written(tmp_path, form, **arrays), layout)


def test_objects_beside_joints_are_left_alone_and_as_facts_refused(tmp_path: Path) -> None:
    objects = np.array([{"a": 1}], dtype=object)
    clip = read(written(tmp_path, "npz", joints=TWO, meta=objects), STAR)
    np.testing.assert_array_equal(clip.joints, TWO)
    with refused(ReadError, "names", "never loaded"):
        read(written(tmp_path, "npz", joints=TWO, names=np.array(list("abcd"), dtype=object)), STAR)
    with refused(ReadError, "structured array (x, y)"):
        read(written(tmp_path, "npz", joints=np.zeros((12, 4), [("x", "f4"), ("y", "f4")])), STAR)


@forms
def test_other_arrays_are_said_to_be_left_out(tmp_path: Path, form: str) -> None:
    clip = read(written(tmp_path, form, joints=TWO, velocities=TWO, label=3, name="a"), STAR)
    assert len(clip.left_out) == 1 and "velocities" in clip.left_out[0]


def test_a_layout_of_ones_own_in_json(tmp_path: Path) -> None:
    clip = read(written(tmp_path, "json", joints=TWO, layout=STAR.to_dict()))
    assert clip.names == STAR.joint_names and clip.parents == STAR.parents
    with refused(ReadError, "its layout cannot be read"):
        read(written(tmp_path, "json", joints=TWO, layout={"name": "x"}))


# -- folders of arrays -------------------------------------------------------------------------------------------------


def clips_in(folder: Path, layout: str, **options: Any) -> list[np.ndarray | str]:
    """Joints of the clips of a folder, or what is wrong with them."""
    found = find_folder(folder, layout, **options)
    clips = [clip for file in found.all_files for clip in read_file(file, found.protocol)]
    return [clip.sequence.joints if isinstance(clip, Clip) else str(clip) for clip in clips]


def test_values_first_are_two_people_and_not_three(tmp_path: Path) -> None:
    truth = joints(24, 2, LAYOUTS["kinect_v2"]).astype(np.float32)
    np.save(tmp_path / "a.npy", truth.transpose(3, 0, 2, 1))
    (clip,) = clips_in(tmp_path, "kinect_v2")
    np.testing.assert_array_equal(clip, truth)
    (error,) = clips_in(tmp_path, "openpose_25")  # x y score of two people, or x y of three
    assert isinstance(error, str) and "axes='MTVC'" in error and "axes='CTVM'" in error
    for other in ("kinect_v1", "smpl_22", "coco_17", "mediapipe_33"):
        (error,) = clips_in(tmp_path, other)
        assert isinstance(error, str) and "(3, 24, 25, 2)" in error and other in error


def test_people_first_of_one_recorder(tmp_path: Path) -> None:
    long, short = (joints(frames, 2, LAYOUTS["kinect_v2"]).astype(np.float32) for frames in (24, 8))
    np.save(tmp_path / "long.npy", long.swapaxes(0, 1))
    np.save(tmp_path / "short.npy", short.swapaxes(0, 1))
    first, second = clips_in(tmp_path, "kinect_v2")
    np.testing.assert_array_equal(first, long)
    assert isinstance(second, str) and "2 frames of 8 people" in second and "8 frames of 2 people" in second
    for axes in ("MTVC", "mtvc"):
        first, second = clips_in(tmp_path, "kinect_v2", axes=axes)
        np.testing.assert_array_equal(first, long)
        np.testing.assert_array_equal(second, short)
    assert find_folder(tmp_path, "kinect_v2").fingerprint != find_folder(tmp_path, "kinect_v2", axes="MTVC").fingerprint
    with refused(ValueError, "'MTV'", "'MTVC'"):
        find_folder(tmp_path, "kinect_v2", axes="MTV")


def test_a_stated_layout_needs_axes_alone(tmp_path: Path) -> None:
    truth = joints(5, 2, LAYOUTS["kinect_v2"]).astype(np.float32)
    np.savez(tmp_path / "a.npz", joints=truth, layout="kinect_v2")
    with pytest.raises(ValueError, match=r"'TMVC'.*pass axes"):
        find_folder(tmp_path)
    found = find_folder(tmp_path, axes="TMVC")
    (clip,) = read_file(found.all_files[0], found.protocol)
    assert isinstance(clip, Clip)
    np.testing.assert_array_equal(clip.sequence.joints, truth)


@pytest.mark.parametrize("name", ["smpl_22", "smplh_52"])
def test_joints_of_text_to_motion(tmp_path: Path, name: str) -> None:
    layout = LAYOUTS[name]
    truth = joints(24, 1, layout).astype(np.float32)
    np.save(tmp_path / "000001.npy", truth[:, 0])
    (clip,) = clips_in(tmp_path, name)
    np.testing.assert_array_equal(clip, truth)
    with refused(ValueError, "does not say which joints"):
        find_folder(tmp_path)
    assert [layout.joint_names[joint] for joint in (0, 1, 2, 3, 15)] == [
        "pelvis",
        "left_hip",
        "right_hip",
        "spine1",
        "head",
    ]


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_files_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    facts = {
        "joints": TWO,
        "names": list(STAR.joint_names),
        "fps": 30.0,
        "scores": SCORES,
        "layout": "mediapipe_33",
        "unit": "m",
    }
    content = json.dumps({key: value.tolist() if hasattr(value, "tolist") else value for key, value in facts.items()})
    whole = {"fuzz.npz": npz(**{key: np.asarray(value) for key, value in facts.items()}), "fuzz.json": content.encode()}
    name = data.draw(st.sampled_from(sorted(whole)))
    file = raw(tmp_path_factory.getbasetemp(), name, data.draw(damages(whole[name])))
    reads_or_refuses(lambda: read(file, data.draw(st.sampled_from([STAR, None]))), name)
