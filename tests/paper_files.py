"""Writing the files of PKU-MMD, Toyota Smarthome, Florence-3D, SBU and Bandai-Namco for the tests, and reading numbers slowly."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from s2i_hf.processing.layouts import LAYOUTS
from s2i_hf.readers import RawFile


def walk(frames: int, people: int, joints: int, seed: int = 0) -> np.ndarray:
    """(T, M, V, 3): people some metres from the sensor, rounded as recorders do."""
    rng = np.random.default_rng([seed, frames, people, joints])
    body = rng.uniform(-0.9, 0.9, size=(1, people, joints, 3))
    steps = rng.normal(0, 0.03, size=(frames, people, joints, 3)).cumsum(axis=0)
    return (body + np.clip(steps, -1, 1) + (0.3, 0.1, 3.0)).round(6)


def pku_text(bodies: np.ndarray) -> bytes:
    """The text of a video: (T, M, 25, 3), body 2 zeros if M is 1. Lines from the second on begin with a blank, as in the files."""
    full = np.zeros((len(bodies), 2, 25, 3))
    full[:, : bodies.shape[1]] = bodies
    return "\n ".join(" ".join(f"{value:.6f}" for value in frame.ravel()) for frame in full).encode() + b"\n"


def write_pku(
    folder: Path,
    name: str,
    bodies: np.ndarray,
    rows: Sequence[Sequence[int]],
    labels: str = "label",
    video: str = "skeleton",
) -> RawFile:
    """A video and its label file; the video with the label file as companion."""
    for part in (labels, video):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / labels / f"{name}.txt").write_text("".join(",".join(map(str, row)) + "\n" for row in rows))
    (folder / video / f"{name}.txt").write_bytes(pku_text(bodies))
    return RawFile(folder / video / f"{name}.txt").with_companions(RawFile(folder / labels / f"{name}.txt"))


def split_text(train: Sequence[str], test: Sequence[str]) -> str:
    """A split file, with the header as the authors spell it and a comma after the last name."""
    return f"Training videos: \n{', '.join(train)}, \nValidataion videos: \n{', '.join(test)}, \n"


def smarthome_content(poses: np.ndarray, scores: Sequence[float] | None = None) -> dict[str, Any]:
    """The JSON of a recording: (T, people, 13, 3), a frame of NaN is one without detections; with scores version 1.1."""
    frames = []
    for frame in poses:
        detections = []
        for person, pose in enumerate(frame):
            if not np.isnan(pose).any():
                detection = {"pose2d": [0.5] * 26, "pose3d": pose.T.ravel().tolist()}
                detections.append(detection if scores is None else {**detection, "cumscore": scores[person]})
        frames.append(detections)
    return {"njts": 13, "frames": frames}


def write_smarthome(folder: Path, content: Any, name: str = "Cook.Cut_p03_r00_v12_c07") -> Path:
    """A recording of Toyota Smarthome."""
    path = folder / f"{name}.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def florence_text(clips: Sequence[tuple[int, int, int, np.ndarray]]) -> str:
    """The file of all clips: video, actor, category and (T, 15, 3) metres each."""
    return "".join(
        f"{video} {actor} {category} " + " ".join(f"{1000 * value:.4f}" for value in frame.ravel()) + "\n"
        for video, actor, category, joints in clips
        for frame in joints
    )


def sbu_text(joints: np.ndarray) -> str:
    """The file of a clip: (T, 2, 15, 3) metres, normalised as the dataset's README has it."""
    lines = []
    for number, frame in enumerate(joints, start=1):
        values = [
            value
            for x, y, z in frame.reshape(-1, 3) * 1000
            for value in ((1280 - x) / 2560, (960 - y) / 1920, z * 7.8125 / 10000)
        ]
        lines.append(",".join([str(number), *(f"{value:.6f}" for value in values)]))
    return "\n".join(lines) + "\n"


def bandai_namco_text(frames: int = 4, seed: int = 0, scale: float = 1.0) -> str:
    """A clip as the set writes it: six channels a joint, in centimetres, tabs after "Frames:"."""
    layout, rng = LAYOUTS["bandai_namco_22"], np.random.default_rng(seed)
    channels = "Xposition Yposition Zposition Zrotation Xrotation Yrotation"
    offsets = {name: rng.uniform(-20, 20, 3) for name in layout.joint_names} | {"joint_Root": np.zeros(3)}
    offsets["Hips"] = np.array([2.0, 92.0, 30.0])
    lines: list[str] = ["HIERARCHY"]

    def write(joint: int, depth: int) -> None:
        name, pad = layout.joint_names[joint], "  " * depth
        offset = " ".join(f"{value:g}" for value in scale * offsets[name])
        lines.extend([f"{pad}{'JOINT' if depth else 'ROOT'} {name}", f"{pad}{{", f"{pad}  OFFSET {offset}"])
        lines.append(f"{pad}  channels 6 {channels}")
        children = [child for child, parent in enumerate(layout.parents) if parent == joint]
        for child in children:
            write(child, depth + 1)
        if not children:
            lines.extend([f"{pad}  End Site", f"{pad}  {{", f"{pad}    OFFSET 0 0 0", f"{pad}  }}"])
        lines.append(f"{pad}}}")

    write(0, 0)
    lines += ["MOTION", f"Frames:\t{frames}", "Frame Time:\t0.0333333"]
    for _ in range(frames):
        row = [np.zeros(6)]
        for name in layout.joint_names[1:]:
            row.append(np.concatenate([scale * (offsets[name] + rng.normal(0, 0.5, 3)), rng.uniform(-180, 180, 3)]))
        lines.append(" ".join(f"{value:.6g}" for value in np.concatenate(row)))
    return "\n".join(lines) + "\n"
