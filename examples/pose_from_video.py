# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = ["mediapipe==0.10.21", "tqdm>=4.66"]
# ///
"""The skeleton of one person in a video, by MediaPipe Pose, as a file that `s2i inspect`, `s2i predict` and `s2i convert` read.

uv run examples/pose_from_video.py kick.mp4 clips/kick.npz      # or clips/kick.json; uv makes the environment named above

MediaPipe wants numpy 1, so without uv it gets an environment of its own, in which this file needs nothing of s2i_hf:

python3.11 -m venv pose_env && pose_env/bin/pip install mediapipe==0.10.21 tqdm
pose_env/bin/python examples/pose_from_video.py kick.mp4 clips/kick.npz

.npz: joints (T, 1, 33, 3) float32, visibility (T, 1, 33) float32 of 0 to 1, ids (1,), fps, layout, axes, unit, up.
.json: the same, with `frames` of `pose_world_landmarks` as MediaPipe writes them.

Joints are MediaPipe's world landmarks: metres, y down, the middle of the hips at 0 in every frame, so the way through the room is not in
them. Frames in which nobody is found are NaN (an empty list in JSON). The solution with weights in its wheel follows one person: cut
videos of several. Landmarks out of sight are estimates of low visibility.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

JOINTS = 33
FACTS = {"layout": "mediapipe_33", "unit": "m", "up": "-y"}
Body = np.ndarray | None  # (33, 4): x, y, z, visibility; None: nobody was found in the frame


class PoseError(Exception):
    """What is wrong, in one sentence."""


def check_output(path: Path, overwrite: bool) -> None:
    """Raises PoseError if a result cannot be written to `path`."""
    if path.suffix.lower() not in (".npz", ".json"):
        raise PoseError(
            f"{path}: the output {f'ends in {path.suffix}' if path.suffix else 'has no suffix'}; expected .npz or .json."
        )
    if not path.parent.is_dir():
        raise PoseError(f"{path}: there is no folder {path.parent}; make it first.")
    if path.is_dir():
        raise PoseError(f"{path}: is a folder; expected the name of a file.")
    if path.exists() and not overwrite:
        raise PoseError(f"{path}: exists already; choose another name, or pass --overwrite.")
    if not os.access(path.parent, os.W_OK):
        raise PoseError(f"{path}: the folder {path.parent} cannot be written to.")


def find_bodies(video: Path, fps: float | None = None) -> tuple[list[Body], float]:
    """The person in each frame of a video, and its frames a second. Raises PoseError, also if no frame shows anybody.

    Args:
        video: A file that OpenCV can read.
        fps: Frames a second. None: as the video says.
    """
    if not video.is_file():
        raise PoseError(f"{video}: {'is a folder' if video.is_dir() else 'there is no such file'}; expected a video.")
    os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")  # what they print of a damaged video says less than we do
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    os.environ.setdefault("GLOG_minloglevel", "2")
    try:
        import cv2
        import mediapipe
        from tqdm import tqdm
    except ImportError as error:
        advice = f"run it with `uv run {sys.argv[0]}`, or in an environment of its own with mediapipe==0.10.21 and tqdm"
        raise PoseError(f"{error.name or error} cannot be imported; {advice}.") from None
    capture = cv2.VideoCapture(str(video))
    bodies: list[Body] = []
    try:
        readable, image = capture.read()
        if not readable:
            raise PoseError(f"{video}: OpenCV finds no frames in it; expected a video such as .mp4, .mov or .avi.")
        fps = fps or capture.get(cv2.CAP_PROP_FPS)
        if not 0 < fps < 100_000:
            raise PoseError(f"{video}: does not say how many frames a second it has; pass --fps.")
        total = max(int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)
        # model_complexity=1 is the one model that the wheel holds; the others would be downloaded
        with (
            mediapipe.solutions.pose.Pose(model_complexity=1) as pose,
            tqdm(total=total or None, unit=" frames", desc=video.name) as bar,
        ):
            while readable:
                found = pose.process(cv2.cvtColor(image, cv2.COLOR_BGR2RGB)).pose_world_landmarks
                rows = [] if found is None else [(one.x, one.y, one.z, one.visibility) for one in found.landmark]
                bodies.append(np.array(rows, dtype=np.float32) if rows else None)
                bar.update()
                readable, image = capture.read()
    finally:
        capture.release()
    if len(bodies) < total:
        print(f"{video}: {len(bodies)} of its {total} frames could be read; the others are left out.", file=sys.stderr)
    if all(body is None for body in bodies):
        raise PoseError(f"{video}: nobody was found in any of its {len(bodies)} frames; nothing was written.")
    return bodies, fps


def arrays_of(bodies: Sequence[Body], fps: float) -> dict[str, np.ndarray]:
    """What a `.npz` file holds."""
    nobody = np.full((JOINTS, 4), np.nan, dtype=np.float32)
    people = np.stack([nobody if body is None else body for body in bodies])[:, None]  # (T, 1, 33, 4)
    facts: dict[str, object] = {**FACTS, "axes": "TMVC", "fps": fps, "ids": np.zeros(1, dtype=np.int64)}
    visibility = np.nan_to_num(people[..., 3])
    return {"joints": people[..., :3], "visibility": visibility} | {key: np.asarray(one) for key, one in facts.items()}


def results_of(bodies: Sequence[Body], fps: float) -> dict[str, object]:
    """What a `.json` file holds."""
    keys = ("x", "y", "z", "visibility")
    frames = []
    for number, body in enumerate(bodies):
        people = []
        if body is not None:  # by way of text: the shortest numbers that are the same in float32
            rows = body.astype(np.float32).astype(str).astype(float).tolist()
            people = [[dict(zip(keys, row, strict=True)) for row in rows]]
        frames.append({"frame": number, "pose_world_landmarks": people})
    return {"fps": fps, "ids": [0], **FACTS, "frames": frames}


def write(path: Path, bodies: Sequence[Body], fps: float, overwrite: bool = False) -> None:
    """Write a result beside `path` and rename it, so that `path` is whole or not there. Raises PoseError if that is not possible."""
    check_output(path, overwrite)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with aside.open("wb") as file:
            if path.suffix.lower() == ".npz":
                np.savez_compressed(file, **arrays_of(bodies, fps))
            else:
                file.write(json.dumps(results_of(bodies, fps), allow_nan=False).encode())
        os.replace(aside, path)
    except OSError as error:
        raise PoseError(f"{path}: cannot be written: {error.strerror or error}.") from None
    finally:
        aside.unlink(missing_ok=True)


def frame_rate(text: str) -> float:
    """A number above 0."""
    value = float(text)
    if not (math.isfinite(value) and 0 < value < 100_000):
        raise argparse.ArgumentTypeError(f"{text} is not above 0 and below 100,000")
    return value


def main() -> None:
    """Read a video and write its skeleton."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path, help="a file that OpenCV can read")
    parser.add_argument("output", type=Path, help="a name that ends in .npz or .json")
    parser.add_argument("--fps", type=frame_rate, help="frames a second, where the video does not say or is wrong")
    parser.add_argument("--overwrite", action="store_true", help="replace OUTPUT if it is there")
    if len(sys.argv) == 1:
        sys.exit(__doc__)
    options = parser.parse_args()
    try:
        check_output(options.output, options.overwrite)
        bodies, fps = find_bodies(options.video, options.fps)
        write(options.output, bodies, fps, options.overwrite)
    except PoseError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        print("interrupted; nothing was written.", file=sys.stderr)
        sys.exit(130)
    seen = sum(body is not None for body in bodies)
    print(f"{options.output}: {len(bodies)} frames at {fps:g} a second, a person in {seen} of them.")


if __name__ == "__main__":
    main()
