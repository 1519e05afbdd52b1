"""Every form by itself, by every layout, in archives, damaged; and which form a JSON file is."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import one_sentence, refused
from hypothesis import given, settings, strategies as st
from own_files import FLAT_STAR, STAR, damages, joints_in, raw, reads_or_refuses
from pose_files import SAMPLES, Sample, pixels

from s2i_hf.processing.layouts import BUILT_IN
from s2i_hf.readers import LeftOut, ReadError
from s2i_hf.readers.discovery import read_file
from s2i_hf.readers.generic.folder import find_folder
from s2i_hf.readers.generic.pose_estimators import keypoints_json, yolo_labels
from s2i_hf.readers.recordings import Clip

ALL = pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)


def read(folder: Path, layout: Any = None, **options: Any) -> Clip:
    """The one clip of a folder; nothing of it is left out but joints and empty files."""
    recordings = find_folder(folder, layout=layout, labelled=False, any_size=True, **options)
    (file,) = recordings.all_files
    found = list(read_file(file, recordings.protocol))
    clips = [one for one in found if isinstance(one, Clip)]
    errors = [one for one in found if isinstance(one, ReadError) and not isinstance(one, LeftOut)]
    if errors:
        raise errors[0]
    (clip,) = clips
    return clip


@ALL
def test_a_file_says_which_joints_it_holds(tmp_path: Path, sample: Sample) -> None:
    folder = sample.write(tmp_path)
    if not sample.layout:
        with refused(ValueError, "does not say which joints it holds"):
            read(folder)
        return
    clip = read(folder)
    assert clip.sequence.layout.name == sample.layout
    np.testing.assert_allclose(clip.sequence.joints, sample.expected(), atol=1e-4 if sample.unit == "px" else 1e-5)


@ALL
def test_it_is_read_as_nothing_else(tmp_path: Path, sample: Sample) -> None:
    folder = sample.write(tmp_path)
    right = {sample.layout, *sample.also}
    for name in BUILT_IN:
        if name in right:
            joints = read(folder, name).sequence.joints
            np.testing.assert_allclose(joints, sample.expected(), atol=1e-4 if sample.unit == "px" else 1e-5)
        elif name == "mediapipe_33_image" and sample.layout == "mediapipe_33":
            read(folder, name)  # it has landmarks of both kinds
        else:
            with pytest.raises(ValueError) as caught:
                read(folder, name)
            assert one_sentence(caught.value), caught.value


@ALL
def test_zip_archives_are_read_alike(tmp_path: Path, sample: Sample) -> None:
    folder = sample.write(tmp_path / "clip")
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"wave/{file.name}")
    layout = sample.layout if sample.layout in BUILT_IN else (*sample.also, None)[0]
    packed, plain = read(tmp_path / "all.zip", layout), read(folder, layout)
    np.testing.assert_array_equal(packed.sequence.joints, plain.sequence.joints)


@ALL
def test_what_a_file_states_is_not_overruled(tmp_path: Path, sample: Sample) -> None:
    folder = sample.write(tmp_path)
    if sample.unit in ("mm",):
        with refused(ValueError, "says that it is in mm"):
            read(folder, unit="cm")
    if sample.down and sample.unit in ("mm", "m"):
        with refused(ValueError, "says that -y is up"):
            read(folder, up="z")


def test_plain_lists_are_read_as_such(tmp_path: Path) -> None:
    points = pixels(4, frames=12)
    np.testing.assert_array_equal(
        joints_in(keypoints_json, raw(tmp_path, "a.json", points.tolist()), FLAT_STAR), points
    )
    one = raw(tmp_path, "b.json", {"joints": points[:, 0].tolist()})
    np.testing.assert_array_equal(joints_in(keypoints_json, one, FLAT_STAR), points[:, :1])


def test_records_that_are_rows_of_a_table(tmp_path: Path) -> None:
    points = pixels(4, people=1)[:, 0]
    columns = [f"{joint}_{axis}" for joint in FLAT_STAR.joint_names for axis in "xy"]
    rows = [
        {"frame": frame, **dict(zip(columns, body.reshape(-1).tolist(), strict=True))}
        for frame, body in reversed(list(enumerate(points)))
    ]
    clip = joints_in(keypoints_json, raw(tmp_path, "a.json", rows), FLAT_STAR)
    np.testing.assert_array_equal(clip[:, 0], points)


@pytest.mark.parametrize("content", [
    {"images": [{"id": 1}], "annotations": []}, {"people": []}, [[], []], {"frames": [{"bodies": []}]},
    {"1700000000000": {"body_list": []}}, [{"frame_id": 1, "instances": []}],
])  # fmt: skip
def test_nobody_in_any_frame(tmp_path: Path, content: Any) -> None:
    with refused(ReadError, "a.json", "nobody is in any of its"):
        keypoints_json.read(raw(tmp_path, "a.json", content), FLAT_STAR)


def test_people_in_a_form_of_their_own_are_said(tmp_path: Path) -> None:
    content = [{"frame": 3, "people": [{"skeleton_data": 3, "colour": "red"}]}]
    with refused(ReadError, "frame 3: somebody in it has skeleton_data, colour"):
        keypoints_json.read(raw(tmp_path, "a.json", content), FLAT_STAR)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_files_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    sample = data.draw(st.sampled_from(list(SAMPLES.values())))
    content = sample.make()
    folder, reader = tmp_path_factory.getbasetemp(), keypoints_json
    if isinstance(content, dict) and next(iter(content)).startswith("clip_"):
        names = list(content)[:3]
        texts = [one if isinstance(one, str) else json.dumps(one) for one in map(content.get, names)]
        damaged = data.draw(damages(str(texts[0]).encode()))
        reader = yolo_labels if names[0].endswith(".txt") else keypoints_json
        files = [raw(folder, name, text) for name, text in zip(names, [damaged, *texts[1:]], strict=True)]
        file = files[0].with_companions(*files[1:])
    else:
        file = raw(folder, "fuzz.json", data.draw(damages(json.dumps(content).encode())))
    for layout in (None, FLAT_STAR, STAR, BUILT_IN["coco_17"], BUILT_IN["h36m_17"]):
        reads_or_refuses(lambda layout=layout: reader.read(file, layout), "")


KEYS = [
    "images", "annotations", "categories", "image_id", "category_id", "keypoints", "keypoint_scores", "instances", "instance_info",
    "meta_info", "keypoint_id2name", "frame_id", "frame", "track_id", "idx", "id", "joints", "people", "bodies", "pose_keypoints_2d",
    "person_id", "data", "skeleton", "pose", "score", "frames", "landmarks", "pose_world_landmarks", "landmark", "x", "y", "z",
    "visibility", "name", "0", "17", "body_list", "keypoint", "keypoint_confidence", "joint_positions", "joint_names", "body_id",
    "Skeletons", "Joints", "type", "real", "timestamp", "file_name", "predictions",
]  # fmt: skip
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.sampled_from(KEYS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(content=ANYTHING)
def test_any_json_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: Any) -> None:
    file = raw(tmp_path_factory.getbasetemp(), "any.json", json.dumps(content))
    for layout in (None, FLAT_STAR, BUILT_IN["mediapipe_33"]):
        reads_or_refuses(lambda layout=layout: keypoints_json.read(file, layout), "any.json")


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_values_of_other_kinds_in_a_valid_file(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """One value anywhere becomes another."""
    content = json.loads(json.dumps(data.draw(st.sampled_from(list(SAMPLES.values()))).make()))
    at = content
    for _ in range(data.draw(st.integers(0, 7))):
        if not isinstance(at, dict | list) or not at:
            break
        key = data.draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at))))
        if not isinstance(at[key], dict | list) or not at[key] or data.draw(st.integers(0, 3)) == 0:
            at[key] = data.draw(ANYTHING | st.just(10**400) | st.just(1e308) | st.just("9" * 30))
            break
        at = at[key]
    file = raw(tmp_path_factory.getbasetemp(), "other.json", json.dumps(content))
    for layout in (None, FLAT_STAR, STAR, BUILT_IN["coco_17"]):
        reads_or_refuses(lambda layout=layout: keypoints_json.read(file, layout), "other.json")
