from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import refused
from hypothesis import given, settings, strategies as st
from own_files import FLAT_STAR, STAR, damages, joints, joints_in, raw, reads_or_refuses

from s2i_hf.readers import ReadError
from s2i_hf.readers.generic.pose_estimators import keypoints_json

POINTS = (joints(4, people=2)[..., :2] * 500 + 600).round(2)  # (T, M, V, 2) pixels


def scored(frame: int, person: int, scores: list[float] | None = None) -> list[float]:
    """x, y, score of each joint, end to end."""
    given = np.array([0.9, 0.8, 0.7, 0.6] if scores is None else scores)
    return np.column_stack([POINTS[frame, person], given]).reshape(-1).tolist()


def read(folder: Path, content: Any, layout: Any = FLAT_STAR) -> np.ndarray:
    return joints_in(keypoints_json, raw(folder, "clip.json", content), layout)


def coco() -> dict[str, Any]:
    """People swap their places in the frames; images come in no order."""
    annotations = [
        {"id": 10 * frame + person, "image_id": 100 + frame, "track_id": 7 + person, "keypoints": scored(frame, person)}
        for frame in (2, 0, 1, 3)
        for person in ((0, 1) if frame % 2 else (1, 0))
    ]
    return {"images": [{"id": 100 + frame} for frame in (3, 1, 2, 0)], "annotations": annotations}


def test_coco_annotations_by_frame_and_track(tmp_path: Path) -> None:
    clip = read(tmp_path, coco())
    np.testing.assert_array_equal(clip, POINTS[:, [1, 0]])  # the track that came first is the first person


def test_joints_of_score_zero_and_frames_without_anybody_are_nan(tmp_path: Path) -> None:
    content = coco()
    content["images"].insert(0, {"id": 102.5})  # no id that can be: left alone
    content["images"].append({"id": 104})
    content["annotations"] = [item for item in content["annotations"] if item["track_id"] == 7]
    content["annotations"][1]["keypoints"] = scored(0, 0, [0.9, 0, 0.7, 0.6])
    clip = read(tmp_path, content)
    assert clip.shape == (5, 1, 4, 2)
    assert np.isnan(clip[4]).all() and np.isnan(clip[0, 0, 1]).all() and np.isnan(clip).sum() == 8 + 2


def test_results_with_names_of_images_are_in_natural_order(tmp_path: Path) -> None:
    """As AlphaPose writes them; 9.jpg comes before 10.jpg."""
    frames = [8, 9, 10, 11]
    content = [
        {"image_id": f"{number}.jpg", "category_id": 1, "keypoints": scored(frame, person), "idx": person}
        for frame, number in reversed(list(enumerate(frames)))
        for person in (0, 1)
    ]
    np.testing.assert_array_equal(read(tmp_path, content), POINTS)


def test_without_tracks_people_are_told_apart_by_their_place(tmp_path: Path) -> None:
    content = [{"image_id": frame, "keypoints": scored(frame, person)} for frame in range(4) for person in (0, 1)]
    np.testing.assert_array_equal(read(tmp_path, content), POINTS)


def mmpose(three: bool = False) -> dict[str, Any]:
    points = joints(4, people=2) if three else POINTS
    frames = [
        {
            "frame_id": frame + 1,
            "instances": [
                {
                    "keypoints": points[frame, person].tolist(),
                    "keypoint_scores": [0.9, 0.8, 0.7, 0.6],
                    "bbox": [[0, 0, 1, 1]],
                }
                for person in (0, 1)
            ],
        }
        for frame in range(4)
    ]
    return {"meta_info": {"dataset_name": "coco"}, "instance_info": frames}


def test_mmpose_predictions(tmp_path: Path) -> None:
    content = mmpose()
    np.testing.assert_array_equal(read(tmp_path, content), POINTS)
    np.testing.assert_array_equal(read(tmp_path, content["instance_info"]), POINTS)
    content["instance_info"][2]["instances"] = []
    content["instance_info"][1]["instances"][1]["keypoint_scores"][3] = 0
    clip = read(tmp_path, content)
    assert np.isnan(clip[2]).all() and np.isnan(clip[1, 1, 3]).all() and np.isnan(clip).sum() == 16 + 2


def test_mmpose_lifted_to_3d_and_a_single_image(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read(tmp_path, mmpose(three=True), STAR), joints(4, people=2))
    np.testing.assert_array_equal(read(tmp_path, mmpose()["instance_info"][0]["instances"]), POINTS[:1])


def test_the_ten_who_are_there_the_longest_are_kept(tmp_path: Path) -> None:
    content = [
        {"image_id": frame, "track_id": person, "keypoints": scored(frame % 4, person % 2)}
        for person in range(14)
        for frame in range(1 if person < 4 else 3)
    ]
    clip = read(tmp_path, content)
    assert clip.shape[1] == 10
    assert not np.isnan(clip).any()  # those of a single frame are gone


def test_plain_lists_are_read_as_such(tmp_path: Path) -> None:
    with refused(ReadError, "4 frames of 2 people", "2 frames of 4 people"):
        read(tmp_path, POINTS.tolist())
    np.testing.assert_array_equal(read(tmp_path, {"joints": POINTS.tolist(), "axes": "TMVC"}), POINTS)
    np.testing.assert_array_equal(read(tmp_path, {"joints": POINTS[:, 0].tolist()}), POINTS[:, :1])


def broken() -> dict[str, tuple[Any, str]]:
    short, odd, text, none, scores, deep = (coco() for _ in range(6))
    short["annotations"][3]["keypoints"] = scored(0, 0)[:9]
    odd["annotations"][3]["keypoints"] = None
    text["annotations"][3]["keypoints"][4] = "far"
    del none["annotations"][3]["image_id"]
    scores["annotations"][3]["keypoint_scores"] = [1, 2]
    deep["annotations"][3] = [deep["annotations"][3]]
    mixed = mmpose()
    mixed["instance_info"][2]["instances"][0]["keypoints"] = joints(1)[0, 0].tolist()
    lacking = mmpose()
    del lacking["instance_info"][1]["instances"][0]["keypoints"]
    return {
        "joints of another layout": (short, "frame 100: keypoints of shape (9,); expected (12,) as before"),
        "no keypoints": (odd, "frame 100"),
        "text": (text, "frame 100"),
        "no frame": (none, "annotation 4 has no image_id"),
        "scores": (scores, "frame 102: somebody has no scores"),
        "list for an annotation": (deep, "annotation 4"),
        "nobody": ({"images": [{"id": 1}], "annotations": []}, "nobody is in any of its 1 frames"),
        "instances are no list": (
            {"instance_info": [{"instances": []}, {"instances": 3}]},
            "frame 1: somebody in it has 3",
        ),
        "no keypoints of an instance": (lacking, "frame 2 of 4: instance 1"),
        "2D and 3D": (mixed, "frame 3: keypoints of shape (4, 3); expected (4, 2)"),
        "neither": ({"a": 1}, "no arrays"),
        "truncated": (json.dumps(coco())[:-9], "not JSON"),
    }


@pytest.mark.parametrize("case", broken())
def test_broken_files_are_one_clear_sentence(tmp_path: Path, case: str) -> None:
    content, words = broken()[case]
    with refused(ReadError, "clip.json", words):
        read(tmp_path, content)


def test_a_list_of_many_frames_takes_no_memory(tmp_path: Path) -> None:
    content = coco()
    content["images"] = [{"id": number} for number in range(500_000)]
    content["annotations"] = [
        {**content["annotations"][0], "track_id": track, "image_id": track} for track in range(10)
    ]
    with pytest.raises(ReadError, match="500,000 frames of 10 people"):
        read(tmp_path, content)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_files_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    whole = json.dumps(data.draw(st.sampled_from([coco(), mmpose(), coco()["annotations"]]))).encode()
    file = raw(tmp_path_factory.getbasetemp(), "fuzz.json", data.draw(damages(whole)))
    reads_or_refuses(lambda: joints_in(keypoints_json, file, FLAT_STAR), "fuzz.json")
    reads_or_refuses(lambda: joints_in(keypoints_json, file, STAR), "fuzz.json")


KEYS = [
    "images",
    "annotations",
    "image_id",
    "keypoints",
    "instances",
    "instance_info",
    "frame_id",
    "track_id",
    "id",
    "joints",
]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(content=ANYTHING)
def test_any_json_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: Any) -> None:
    file = raw(tmp_path_factory.getbasetemp(), "any.json", json.dumps(content))
    reads_or_refuses(lambda: joints_in(keypoints_json, file, FLAT_STAR), "any.json")
