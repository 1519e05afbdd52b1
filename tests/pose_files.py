"""Recordings as pose estimators and depth cameras write them, one of every form, with what is in them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from s2i_hf.processing.layouts import BUILT_IN

FRAMES, PEOPLE = 6, 2
Files = dict[str, Any]


def pixels(joints: int, people: int = PEOPLE, frames: int = FRAMES) -> np.ndarray:
    """(T, M, V, 2): people who stand apart and move a little."""
    rng = np.random.default_rng(joints)
    body = (
        rng.uniform(-100, 100, (1, people, joints, 2)) + np.arange(people)[None, :, None, None] * (600, 0) + (300, 300)
    )
    return (body + np.arange(frames)[:, None, None, None] * (3.0, 1.0)).round(3)


def places(joints: int, people: int = PEOPLE) -> np.ndarray:
    """(T, M, V, 3) in metres."""
    rng = np.random.default_rng(joints)
    body = (
        rng.uniform(-0.7, 0.7, (1, people, joints, 3))
        + np.arange(people)[None, :, None, None] * (2.0, 0, 0)
        + (0, 0.1, 2.5)
    )
    return (body + np.arange(FRAMES)[:, None, None, None] * (0.01, 0.0, 0.0)).round(5)


def scored(points: np.ndarray, score: float = 0.8) -> list[float]:
    """x, y, score of each joint, end to end."""
    return np.column_stack([points, np.full(len(points), score)]).reshape(-1).tolist()


def openpose(joints: int = 25) -> Files:
    """--write_json: a file a frame, nobody has an id."""
    empty: dict[str, Any] = {
        key: []
        for key in ("face_keypoints_2d", "hand_left_keypoints_2d", "hand_right_keypoints_2d", "pose_keypoints_3d")
    }
    return {
        f"clip_{frame:012}_keypoints.json": {
            "version": 1.3,
            "people": [{"person_id": [-1], "pose_keypoints_2d": scored(body), **empty} for body in people],
        }
        for frame, people in enumerate(pixels(joints))
    }


def alphapose(joints: int = 17, ids: Callable[[int], Any] = lambda person: [float(person)]) -> list[dict[str, Any]]:
    """alphapose-results.json; people come in another order in every second frame."""
    return [
        {
            "image_id": f"{frame}.jpg", "category_id": 1, "keypoints": scored(points), "score": 2.5, "box": [1.0, 2.0, 3.0, 4.0],
            "idx": ids(person),
        }
        for frame, people in enumerate(pixels(joints))
        for person, points in list(enumerate(people))[:: 1 if frame % 2 == 0 else -1]
    ]  # fmt: skip


def alphapose_open(bodies: str = "people", joints: str = "pose_keypoints_2d") -> dict[str, Any]:
    """--format open; "bodies" and "joints" are --format cmu."""
    frames = enumerate(pixels(18))
    return {
        f"{frame}.jpg": {"version": "AlphaPose v0.3", bodies: [{joints: scored(body)} for body in people]}
        for frame, people in frames
    }


def kinetics() -> dict[str, Any]:
    """Kinetics-Skeleton: parts of the image, frames from 1."""
    points = pixels(18) / 1000
    data = [
        {
            "frame_index": frame,
            "skeleton": [{"pose": body.reshape(-1).tolist(), "score": [0.7] * 18} for body in people],
        }
        for frame, people in enumerate(points, 1)
    ]
    return {"data": data, "label": "waving", "label_index": 3}


def coco(layout: str = "coco_17", named: bool = True) -> dict[str, Any]:
    """Annotations, with the names of the keypoints."""
    names = list(BUILT_IN[layout].joint_names)
    annotations = [
        {
            "id": 10 * frame + person, "image_id": 100 + frame, "category_id": 1, "track_id": person, "iscrowd": 0,
            "keypoints": scored(points, 2), "num_keypoints": len(names), "bbox": [0, 0, 9, 9],
        }
        for frame, people in enumerate(pixels(len(names)))
        for person, points in enumerate(people)
    ]  # fmt: skip
    images = [{"id": 100 + frame, "file_name": f"images/val/000342_mpii/{frame:06}.jpg"} for frame in range(FRAMES)]
    category = {"id": 1, "name": "person", "supercategory": "person"} | ({"keypoints": names} if named else {})
    return {"images": images, "annotations": annotations, "categories": [category]}


def mmpose(layout: str = "coco_17", named: bool = True, points: np.ndarray | None = None) -> dict[str, Any]:
    """Predictions of a video, frames from 1."""
    names = BUILT_IN[layout].joint_names
    points = pixels(len(names)) if points is None else points
    meta = {"dataset_name": layout, "keypoint_id2name": {str(place): name for place, name in enumerate(names)}}
    frames = [
        {
            "frame_id": frame,
            "instances": [
                {"keypoints": body.tolist(), "keypoint_scores": [0.9] * len(names), "bbox": [[0, 0, 1, 1]], "bbox_score": 0.9}
                for body in people
            ],
        }
        for frame, people in enumerate(points, 1)
    ]  # fmt: skip
    return ({"meta_info": meta} if named else {}) | {"instance_info": frames}


def ultralytics(joints: int = 17, track: bool = True) -> list[list[dict[str, Any]]]:
    """json.loads(result.to_json()) of each frame."""
    return [
        [
            {
                "name": "person", "class": 0, "confidence": 0.91, "box": {"x1": 1.0, "y1": 1.0, "x2": 9.0, "y2": 9.0},
                "keypoints": {"x": points[:, 0].tolist(), "y": points[:, 1].tolist(), "visible": [0.95] * joints},
            } | ({"track_id": person + 1} if track else {})
            for person, points in list(enumerate(people))[:: 1 if frame % 2 == 0 or not track else -1]
        ]
        for frame, people in enumerate(pixels(joints))
    ]  # fmt: skip


def yolo(joints: int = 17, track: bool = True, confidence: bool = True) -> Files:
    """save_txt: rows of class, box, keypoints, confidence, track id, in parts of the image."""
    files = {}
    for frame, people in enumerate(pixels(joints) / 1000, 1):
        rows = [
            [0, 0.5, 0.5, 0.2, 0.4, *scored(points), *[0.9] * confidence, *[person + 1] * track]
            for person, points in enumerate(people)
        ]
        files[f"clip_{frame}.txt"] = "\n".join(" ".join(f"{value:g}" for value in row) for row in rows) + "\n"
    return files


def landmarks(points: np.ndarray) -> list[dict[str, float]]:
    """The landmarks of a body, as MediaPipe's tasks give them."""
    return [{"x": x, "y": y, "z": z, "visibility": 0.9, "presence": 0.99} for x, y, z in points.tolist()]


def mediapipe(world: str = "pose_world_landmarks", image: str = "pose_landmarks") -> dict[str, Any]:
    """Results of each frame of a video, of one or both kinds."""
    held = [(key, points) for key, points in ((world, places(33)), (image, places(33) / 10)) if key]
    frames = [
        {"frame_index": frame, "timestamp_ms": frame * 33, **{key: [landmarks(body) for body in points[frame]] for key, points in held}}
        for frame in range(FRAMES)
    ]  # fmt: skip
    return {"fps": 29.97, "frames": frames}


def azure_kinect() -> dict[str, Any]:
    """Of the offline processor: millimetres with y down."""
    names = BUILT_IN["azure_kinect_32"].joint_names
    frames = [
        {
            "frame_id": frame, "timestamp_usec": 33_333 * frame, "num_bodies": len(people),
            "bodies": [
                {"body_id": person + 1, "joint_positions": points.tolist(), "joint_orientations": [[1, 0, 0, 0]] * 32}
                for person, points in enumerate(people)
            ],
        }
        for frame, people in enumerate((places(32) * 1000).round(2))
    ]  # fmt: skip
    bones = [["PELVIS", "SPINE_NAVEL"], ["SPINE_NAVEL", "SPINE_CHEST"]]
    return {
        "k4abt_sdk_version": "1.1.2",
        "source_file": "a.mkv",
        "joint_names": list(names),
        "bone_list": bones,
        "frames": frames,
    }


def zed(joints: int = 34) -> dict[str, Any]:
    """Of the export sample: a time in milliseconds -> bodies; metres with y up."""
    return {
        str(1_700_000_000_000 + 33 * frame): {
            "is_new": True, "is_tracked": True, "timestamp": (1_700_000_000_000 + 33 * frame) * 1_000_000,
            "body_list": [
                {
                    "id": person, "unique_object_id": f"7cc-{person}", "tracking_state": "OK", "position": [0.0, 0.0, 1.0],
                    "confidence": 88.5, "keypoint": points.tolist(), "keypoint_confidence": [80.0] * joints,
                }
                for person, points in enumerate(people)
            ],
        }
        for frame, people in enumerate(places(joints))
    }  # fmt: skip


def nuitrack(types: bool = False) -> list[dict[str, Any]]:
    """Skeletons with joints in any order; millimetres with y up; `types`: numbers instead of names."""
    names = BUILT_IN["nuitrack"].joint_names
    arm, leg = ("collar", "shoulder", "elbow", "wrist", "hand", "fingertip"), ("hip", "knee", "ankle", "foot")
    limbs = [f"{side}_{joint}" for joints in (arm, leg) for side in ("left", "right") for joint in joints]
    order = ["none", "head", "neck", "torso", "waist", *limbs]  # JointType
    return [
        {
            "Timestamp": 33_333 * frame,
            "Skeletons": [
                {
                    "UserID": person + 1,
                    "Joints": [
                        {
                            "type": order.index(name) if types else f"JOINT_{name.upper()}",
                            "confidence": 0.75,
                            "real": dict(zip("xyz", points[names.index(name)].tolist(), strict=True)),
                            "proj": {"x": 0.5, "y": 0.5, "z": 2000.0},
                        }
                        for name in reversed(names)
                    ],
                }
                for person, points in enumerate(people)
            ],
        }
        for frame, people in enumerate((places(len(names)) * 1000).round(2))
    ]


@dataclass(frozen=True)
class Sample:
    """A recording.

    Args:
        make: Its files, or the content of the one JSON file.
        points: (T, M, V, 2 or 3), as they are in the file.
        layout: Name of the layout that it states; "": it does not, and layouts of as many joints read it.
        unit: What the points are in.
        down: Whether y points down in it.
        also: Other layouts that it can be read by.
    """

    make: Callable[[], Any]
    points: np.ndarray
    layout: str
    unit: str = "px"
    down: bool = True
    also: tuple[str, ...] = ()

    def write(self, folder: Path) -> Path:
        """Write it to a folder of its own."""
        folder.mkdir(parents=True, exist_ok=True)
        content = self.make()
        files = (
            content
            if isinstance(content, dict) and all("." in name and "jpg" not in name for name in content)
            else {"clip.json": content}
        )
        for name, one in files.items():
            (folder / name).write_text(one if isinstance(one, str) else json.dumps(one))
        return folder

    def expected(self, unit: str | None = None) -> np.ndarray:
        """The joints as they are to come out, (T, M, V, 3): metres or parts of the image, y up; pixels without z."""
        joints = self.points / 1000 if self.unit == "mm" else self.points
        if joints.shape[-1] == 2:
            joints = np.concatenate([joints, np.zeros_like(joints[..., :1])], axis=-1)
        return joints * (1, -1, -1) if self.down else joints


_IMAGE = "mediapipe_33_image" if "mediapipe_33_image" in BUILT_IN else "mediapipe_33_normalized"
SAMPLES: dict[str, Sample] = {
    "OpenPose, BODY_25": Sample(openpose, pixels(25), "openpose_25"),
    "OpenPose, COCO": Sample(lambda: openpose(18), pixels(18), "openpose_18"),
    "AlphaPose in OpenPose's form": Sample(alphapose_open, pixels(18), "openpose_18"),
    "AlphaPose in CMU's form": Sample(lambda: alphapose_open("bodies", "joints"), pixels(18), "openpose_18"),
    "Kinetics-Skeleton": Sample(kinetics, pixels(18) / 1000, "openpose_18_normalized", "normalized"),
    "AlphaPose, COCO": Sample(alphapose, pixels(17), "coco_17"),
    "AlphaPose, Halpe": Sample(lambda: alphapose(26), pixels(26), "halpe_26"),
    "AlphaPose, Halpe with face and hands": Sample(lambda: alphapose(136), pixels(136)[:, :, :26], "halpe_26"),
    "COCO": Sample(coco, pixels(17), "coco_17"),
    "COCO without names": Sample(lambda: coco(named=False), pixels(17), "", also=("coco_17", "posetrack_17")),
    "PoseTrack": Sample(lambda: coco("posetrack_17"), pixels(17), "posetrack_17"),
    "MMPose, COCO": Sample(mmpose, pixels(17), "coco_17"),
    "MMPose, Halpe": Sample(lambda: mmpose("halpe_26"), pixels(26), "halpe_26"),
    "MMPose, 3D": Sample(lambda: mmpose("h36m_17", points=places(17)), places(17), "h36m_17", "m", down=False),
    "ultralytics": Sample(ultralytics, pixels(17), "coco_17"),
    "ultralytics, texts in a list": Sample(lambda: list(map(json.dumps, ultralytics())), pixels(17), "coco_17"),
    "YOLO": Sample(yolo, pixels(17) / 1000, "coco_17_normalized", "normalized"),
    "MediaPipe": Sample(mediapipe, places(33), "mediapipe_33", "m"),
    "MediaPipe, image": Sample(lambda: mediapipe(""), places(33) / 10, _IMAGE, "normalized"),
    "MediaPipe, Tasks for the web": Sample(
        lambda: mediapipe("worldLandmarks", "landmarks")["frames"], places(33), "mediapipe_33", "m"
    ),
    "Azure Kinect": Sample(azure_kinect, (places(32) * 1000).round(2), "azure_kinect_32", "mm"),
    "ZED, 18": Sample(lambda: zed(18), places(18), "openpose_18_m", "m", down=False),
    "ZED, 34": Sample(zed, places(34), "zed_34", "m", down=False),
    "ZED, 38": Sample(lambda: zed(38), places(38), "zed_38", "m", down=False),
    "Nuitrack": Sample(nuitrack, (places(20) * 1000).round(2), "nuitrack", "mm", down=False),
}
