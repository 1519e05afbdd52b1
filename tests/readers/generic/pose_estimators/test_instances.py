"""COCO, PoseTrack, AlphaPose, MMPose and ultralytics: ids, gaps, names, categories, and what is left open."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import refused
from own_files import FLAT_STAR, raw
from pose_files import FRAMES, SAMPLES, alphapose, coco, mmpose, pixels, places, scored, ultralytics

from s2i_hf.processing.layouts import BUILT_IN
from s2i_hf.processing.skeleton_layout import SkeletonLayout
from s2i_hf.readers import ReadError
from s2i_hf.readers.generic.pose_estimators import keypoints_json
from s2i_hf.readers.generic.raw_clip import RawClip, in_layout, layout_of

COCO = BUILT_IN["coco_17"]


def read(folder: Path, content: Any, layout: SkeletonLayout | None = None) -> RawClip:
    return keypoints_json.read(raw(folder, "a.json", content), layout)


# -- people and frames -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ids",
    [lambda person: person, float, lambda person: [float(person)], lambda person: [person], lambda person: f"id{person}", str],
    ids=["int", "float", "list of a float", "list of an int", "text", "digits"],
)  # fmt: skip
def test_ids_of_any_type(tmp_path: Path, ids: Any) -> None:
    clip = read(tmp_path, alphapose(ids=lambda person: ids(person + 1)))
    np.testing.assert_array_equal(clip.joints, pixels(17))


def test_alphapose_without_tracking_gives_everybody_the_id_0(tmp_path: Path) -> None:
    clip = read(tmp_path, alphapose(ids=lambda person: [0.0]))
    assert clip.joints.shape[:2] == (FRAMES, 2)
    assert "people seem to change places" in clip.left_out[0]


@pytest.mark.parametrize("form", ["AlphaPose, COCO", "MMPose, COCO", "COCO results", "track after track"])
def test_frames_that_are_not_there_are_nan(tmp_path: Path, form: str) -> None:
    if form == "MMPose, COCO":
        content = mmpose()
        del content["instance_info"][2:4]
    elif form == "track after track":
        bodies = ((person, frame) for person in range(2) for frame in range(FRAMES) if frame not in (2, 3))
        content = {}
        for person, frame in bodies:
            content.setdefault(str(person), {})[str(frame)] = {
                "keypoints": scored(pixels(17)[frame, person]),
                "scores": 2.5,
            }
    else:
        content = [item for item in alphapose() if item["image_id"] not in ("2.jpg", "3.jpg")]
        if form == "COCO results":
            content = [{**item, "image_id": int(item["image_id"][0])} for item in content]
    clip = read(tmp_path, content, COCO)
    expected = pixels(17)
    expected[2:4] = np.nan
    np.testing.assert_array_equal(clip.joints, expected)


def test_images_are_in_the_order_of_their_names(tmp_path: Path) -> None:
    content = coco()
    for image, number in zip(content["images"], (50, 3, 17, 4, 99, 12), strict=True):
        for item in content["annotations"]:
            if item["image_id"] == image["id"]:
                item["image_id"] = -number
        image["id"] = -number
    np.testing.assert_array_equal(read(tmp_path, content).joints, pixels(17))


def test_images_in_the_order_of_their_frame_id(tmp_path: Path) -> None:
    content = coco()
    for frame, image in enumerate(content["images"]):
        del image["file_name"]
        image["frame_id"] = frame
    content["images"].reverse()
    del content["images"][2]["frame_id"]
    np.testing.assert_array_equal(read(tmp_path, content).joints, pixels(17))  # one has none: by their ids


def test_images_of_several_videos_are_refused(tmp_path: Path) -> None:
    content = coco()
    content["images"][4]["file_name"] = "images/val/000999_mpii/000004.jpg"
    with refused(ReadError, "a.json: has images of several videos, such as 'images/val/000342_mpii'"):
        read(tmp_path, content)
    content = coco()
    for image in content["images"]:
        image["vid_id"] = str(image["id"] % 2)
    with refused(ReadError, "has images of several videos, such as '0' and '1'"):
        read(tmp_path, content)


@pytest.mark.parametrize("empty", [
    {"keypoints": [0] * 51, "num_keypoints": 0}, {"keypoints": [], "num_keypoints": 0}, {"num_keypoints": 0}, {"keypoints": [0.0] * 51},
])  # fmt: skip
def test_who_has_no_keypoints_is_nobody(tmp_path: Path, empty: dict[str, Any]) -> None:
    content = coco()
    for item in content["annotations"]:
        del item["track_id"]
    for frame in (2, 3):
        content["annotations"].insert(0, {"id": 900 + frame, "image_id": 100 + frame, "category_id": 1, **empty})
    clip = read(tmp_path, content)
    np.testing.assert_array_equal(clip.joints, pixels(17))
    assert not clip.left_out


def test_listed_frames_and_joints_of_score_zero_are_nan(tmp_path: Path) -> None:
    content = coco()
    content["images"].append({"id": 106, "file_name": "images/val/000342_mpii/000006.jpg"})
    content["images"].append({"id": 102.5})  # no id that can be
    content["annotations"][0]["keypoints"][3:6] = [0, 0, 0]
    clip = read(tmp_path, content)
    assert (
        clip.joints.shape[0] == FRAMES + 1 and np.isnan(clip.joints[6]).all() and np.isnan(clip.joints[0, 0, 1]).all()
    )
    assert np.isnan(clip.joints[:6]).sum() == 2


# -- joints ------------------------------------------------------------------------------------------------------------


def test_names_win_over_places(tmp_path: Path) -> None:
    content = coco()
    content["categories"][0]["keypoints"].reverse()
    for item in content["annotations"]:
        item["keypoints"] = np.array(item["keypoints"]).reshape(-1, 3)[::-1].reshape(-1).tolist()
    clip = read(tmp_path, content)
    assert layout_of(clip, "a.json") == COCO
    np.testing.assert_allclose(in_layout(clip, COCO, "a.json")[..., :2] * (1, -1), pixels(17), atol=1e-4)


def test_names_of_mmpose_win_over_places(tmp_path: Path) -> None:
    content = mmpose("posetrack_17")
    with refused(ReadError, "names the joints of posetrack_17"):
        in_layout(read(tmp_path, content), COCO, "a.json")
    inner = {"meta_info": {"dataset_meta": content["meta_info"]}, "instance_info": content["instance_info"]}
    assert layout_of(read(tmp_path, inner), "a.json").name == "posetrack_17"


def test_a_layout_of_ones_own_picks_by_name(tmp_path: Path) -> None:
    own = SkeletonLayout("own", ["right_wrist", "nose", "left_wrist"], [1, -1, 1], unit="px")
    for name in ("COCO", "AlphaPose, COCO", "ultralytics", "MMPose, COCO"):
        clip = read(tmp_path, SAMPLES[name].make(), own)
        np.testing.assert_allclose(
            in_layout(clip, own, "a.json")[..., :2] * (1, -1), pixels(17)[:, :, [10, 0, 9]], atol=1e-4
        )


def test_names_of_unknown_joints_are_said(tmp_path: Path) -> None:
    content = coco()
    content["categories"][0]["keypoints"] = [f"point {number}" for number in range(17)]
    with refused(ReadError, "its 17 joints (point 0, point 1, point 2, point 3, ...) are those of no known layout"):
        layout_of(read(tmp_path, content), "a.json")
    content["categories"][0]["keypoints"].pop()
    with refused(ReadError, "names 16 joints and has keypoints of 17"):
        read(tmp_path, content)
    content["categories"][0]["keypoints"][3:5] = ["nose", "nose"]
    with refused(ReadError, "one is there twice"):
        read(tmp_path, content)


def test_categories(tmp_path: Path) -> None:
    content = coco()
    dog = {"id": 7, "name": "dog", "keypoints": ["snout", "tail"]}
    content["categories"].insert(0, dog)
    content["annotations"].insert(0, {"image_id": 100, "category_id": 7, "keypoints": [1, 2, 2, 3, 4, 2]})
    content["annotations"].append({"image_id": 100, "category_id": 3, "bbox": [1, 2, 3, 4]})
    clip = read(tmp_path, content)
    np.testing.assert_array_equal(clip.joints, pixels(17))
    assert clip.left_out == ["annotations of other categories are left out: 2."]
    content["categories"][1]["name"] = "actor"
    with refused(ReadError, "has keypoints of several categories (dog, actor)"):
        read(tmp_path, content)


def test_counts_fix_a_layout_only_where_the_program_does(tmp_path: Path) -> None:
    for count, name in ((17, "coco_17"), (26, "halpe_26"), (133, "coco_17"), (136, "halpe_26")):
        assert read(tmp_path, alphapose(count)).layout == name
    assert "110 of its 136 joints" in read(tmp_path, alphapose(136)).left_out[0]
    plain = [
        {key: item[key] for key in ("image_id", "keypoints", "score")} for item in alphapose(17)
    ]  # whoever wrote this
    for content in (plain, mmpose(named=False), coco(named=False), alphapose(20)):
        with refused(ReadError, "a.json does not say which joints it holds"):
            layout_of(read(tmp_path, content), "a.json")
    other = json.loads(json.dumps(ultralytics()).replace('"person"', '"player"'))
    with refused(ReadError, "a.json does not say which joints it holds"):
        layout_of(read(tmp_path, other), "a.json")
    np.testing.assert_array_equal(read(tmp_path, other, COCO).joints, pixels(17))


@pytest.mark.parametrize("joints", [17, 26, 20])
@pytest.mark.parametrize("layout", ["vicon_39", "openpose_25", "kinect_v1", "smpl_24"])
def test_three_numbers_a_joint_are_never_pairs(tmp_path: Path, joints: int, layout: str) -> None:
    """78 numbers are 26 joints, not 39; and 2D keypoints are no joints in metres."""
    content = [{key: item[key] for key in ("image_id", "keypoints")} for item in alphapose(joints)]
    with pytest.raises(ReadError):
        in_layout(read(tmp_path, content, BUILT_IN[layout]), BUILT_IN[layout], "a.json")


def test_pairs_are_read_where_they_can_be_nothing_else(tmp_path: Path) -> None:
    content = [{"image_id": 0, "keypoints": pixels(4)[0, 0].reshape(-1).tolist()}]
    np.testing.assert_array_equal(read(tmp_path, content, FLAT_STAR).joints[0, 0], pixels(4)[0, 0])
    with refused(ReadError, "keypoints of shape (8,)"):
        read(tmp_path, content)


def test_scores_are_no_depth(tmp_path: Path) -> None:
    """A list of x, y, score of each joint, by a layout in metres of as many joints."""
    content = [
        [{"keypoints": np.column_stack([body, np.full(17, 0.9)]).tolist()} for body in people] for people in pixels(17)
    ]
    with refused(ReadError, "its coordinates are in px, those of layout 'h36m_17' in m"):
        in_layout(read(tmp_path, content, BUILT_IN["h36m_17"]), BUILT_IN["h36m_17"], "a.json")


# -- forms -------------------------------------------------------------------------------------------------------------


def test_mmpose_lifted_to_3d(tmp_path: Path) -> None:
    names = "root right_hip right_knee right_foot left_hip left_knee left_foot spine thorax neck_base head left_shoulder left_elbow"
    content = mmpose("h36m_17", points=places(17))
    order = [*names.split(), "left_wrist", "right_shoulder", "right_elbow", "right_wrist"]
    content["meta_info"]["keypoint_id2name"] = {str(place): name for place, name in enumerate(order)}
    clip = read(tmp_path, content)
    assert layout_of(clip, "a.json").name == "h36m_17"
    np.testing.assert_allclose(in_layout(clip, BUILT_IN["h36m_17"], "a.json"), places(17), atol=1e-5)


def test_the_people_of_a_frame_in_one_array(tmp_path: Path) -> None:
    """As MMAction2's pose_inference gives them."""
    frames = enumerate(pixels(17).tolist())
    bodies = {"keypoint_scores": [[0.9] * 17] * 2}
    content = [{"frame_id": frame, "instances": [{"keypoints": people, **bodies}]} for frame, people in frames]
    np.testing.assert_array_equal(read(tmp_path, content, COCO).joints, pixels(17))


@pytest.mark.parametrize("form", ["list", "predictions", "single image", "inferencer", "by number"])
def test_other_ways_to_write_instances(tmp_path: Path, form: str) -> None:
    frames = mmpose()["instance_info"]
    lists = [frame["instances"] for frame in frames]
    content: Any = {
        "list": frames, "predictions": {"predictions": lists}, "single image": lists[0], "inferencer": lists,
        "by number": {f"{number}": one for number, one in enumerate(lists)},
    }[form]  # fmt: skip
    expected = pixels(17)[:1] if form == "single image" else pixels(17)
    np.testing.assert_array_equal(read(tmp_path, content, COCO).joints, expected)


def test_ultralytics_of_other_things_than_people(tmp_path: Path) -> None:
    content = copy.deepcopy(ultralytics())
    content[0].insert(0, {**content[0][0], "name": "horse", "class": 17})
    content[1][0]["keypoints"]["x"][3] = content[1][0]["keypoints"]["y"][3] = 0.0
    clip = read(tmp_path, content)
    assert clip.left_out == ["bodies of class 'horse' are left out: 1."]
    assert np.isnan(clip.joints).sum() == 2 and np.isnan(clip.joints[1, 1, 3]).all()


def test_parts_of_the_image_are_no_pixels(tmp_path: Path) -> None:
    """to_json(normalize=True)."""
    content = json.loads(json.dumps(ultralytics()))
    for people in content:
        for person in people:
            for axis in "xy":
                person["keypoints"][axis] = [value / 1000 for value in person["keypoints"][axis]]
    clip = read(tmp_path, content)
    assert clip.unit == "normalized" and layout_of(clip, "a.json").name == "coco_17_normalized"
    with refused(
        ReadError,
        "its coordinates are in normalized, those of layout 'coco_17' in px; pass no layout, or one in normalized",
    ):
        in_layout(clip, COCO, "a.json")


def broken() -> dict[str, tuple[Any, str]]:
    short, odd, text, none, deep = (coco() for _ in range(5))
    short["annotations"][3]["keypoints"] = scored(pixels(3)[0, 0])
    odd["annotations"][3]["keypoints"] = None
    text["annotations"][3]["keypoints"][4] = "far"
    del none["annotations"][3]["image_id"]
    deep["annotations"][3] = [deep["annotations"][3]]
    mixed, lacking, half = mmpose(), mmpose(), mmpose()
    mixed["instance_info"][2]["instances"][0]["keypoints"] = places(17)[0, 0].tolist()
    del lacking["instance_info"][1]["instances"][0]["keypoints"]
    del half["instance_info"][1]["instances"][0]["keypoint_scores"]
    half["meta_info"]["keypoint_id2name"] = {"a": "nose"}
    return {
        "fewer joints": (short, "keypoints of shape (9,); expected (51,) as before"),
        "no keypoints": (odd, "000001.jpg: somebody has no keypoints"),
        "text": (text, "000001.jpg"),
        "no frame": (none, "annotation 4 has no image_id"),
        "list for an annotation": (deep, "annotation 4"),
        "no keypoints of an instance": (lacking, "frame 2 of 6: instance 1"),
        "2D and 3D": (mixed, "frame 3: keypoints of shape (17, 3); expected (17, 2)"),
        "names without numbers": (half, "keypoint_id2name has a key that is no number"),
        "truncated": (json.dumps(coco())[:-9], "not JSON"),
    }


@pytest.mark.parametrize("case", broken())
def test_broken_files_are_one_clear_sentence(tmp_path: Path, case: str) -> None:
    content, words = broken()[case]
    with refused(ReadError, "a.json", words):
        read(tmp_path, content, COCO)
