"""Writing `.skeleton` and NW-UCLA files for the tests, and a slow reading of the former that shares no code with the reader."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np

Body = tuple[int, np.ndarray]  # tracking id and (25, 3) joints


def skeleton_text(frames: Sequence[Sequence[Body]], newline: str = "\n", number: str = "{:.7f}") -> bytes:
    """The text of a recording, from the bodies of each frame."""
    lines = [str(len(frames))]
    for bodies in frames:
        lines.append(str(len(bodies)))
        for body_id, joints in bodies:
            lines += [f"{body_id} 0 1 1 1 1 0 -0.3712 -0.2265 2", "25"]
            for joint in joints:
                xyz = " ".join(number.format(value) for value in joint)
                lines.append(f"{xyz} 277.419 191.8218 1036.233 519.1677 -0.2059419 0.05349901 0.9692109 -0.1239193 2")
    return (newline.join(lines) + newline).encode()


def person(seed: int, place: float = 0.0, wide: bool = False) -> np.ndarray:
    """(25, 3) joints of somebody upright, or of something wider than high."""
    joints = np.random.default_rng(seed).uniform(-1, 1, (25, 3)) * (0.25, 0.85, 0.2) + (place, 0.0, 3.0)
    return (joints[:, [1, 0, 2]] if wide else joints).astype(np.float32)


def write_nw_ucla(folder: Path, names: Sequence[str], frames: int = 4) -> None:
    """Small NW-UCLA files with the labels their names stand for."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(names):
        joints = np.random.default_rng(seed).uniform(-1, 1, (frames + seed % 3, 20, 3)).round(5)
        action = int(name[1:3])
        label = {8: 7, 9: 8, 11: 9, 12: 10}.get(action, action)
        (folder / f"{name}.json").write_text(
            json.dumps({"file_name": name, "skeletons": joints.tolist(), "label": label})
        )


def write_nw_ucla_run(root: Path, size: int) -> None:
    """runs/mae_nw_ucla_xview, untrained, and raw/: recordings of two actions, each by three subjects in three views."""
    from s2i_hf.models.building import build_mae
    from s2i_hf.processing.image_processing_skeleton import SkeletonProcessor

    run, raw = root / "runs" / "mae_nw_ucla_xview", root / "raw" / "all_sqe"
    build_mae("config:micro", image_size=size).save_pretrained(run)
    SkeletonProcessor(layout="kinect_v1", size=size).save_pretrained(run)
    raw.mkdir(parents=True)
    generator = np.random.default_rng(0)
    body = generator.normal(scale=0.4, size=(20, 3)) + np.array([0, 0, 3])
    for action, subject, example, view in product((1, 2), (1, 2, 3), (0, 1), (1, 2, 3)):
        name = f"a{action:02}_s{subject:02}_e{example:02}_v{view:02}"
        path = np.linspace(0, 1, 12)[:, None, None] * ([1, 0, 0] if action == 1 else [0, 1, 0])
        joints = body + path + 0.02 * generator.normal(size=(12, 20, 3))
        content = {"file_name": name, "label": action, "skeletons": joints.tolist()}
        (raw / f"{name}.json").write_text(json.dumps(content))


def read_slowly(text: bytes, denoise: bool) -> tuple[np.ndarray, list[int]]:
    """(T, M, 25, 3) joints and the body ids of a recording, by loops over lines, frames and joints."""
    lines = iter(text.decode().split("\n"))
    frames: list[dict[int, list[list[float]]]] = []
    for _ in range(int(next(lines))):
        bodies: dict[int, list[list[float]]] = {}
        for _ in range(int(next(lines))):
            body_id = int(next(lines).split()[0])
            bodies[body_id] = [[float(word) for word in next(lines).split()[:3]] for _ in range(int(next(lines)))]
        frames.append(bodies)
    ids: list[int] = []
    for bodies in frames:
        ids += [body_id for body_id in bodies if body_id not in ids]
    where = {body_id: [t for t, bodies in enumerate(frames) if body_id in bodies] for body_id in ids}
    if not denoise:
        return _stack(frames, list(range(len(frames))), [[body_id] for body_id in ids]), ids

    if len(ids) > 1 and any(len(where[body_id]) > 11 for body_id in ids):
        ids = [body_id for body_id in ids if len(where[body_id]) > 11]
    for body_id in list(ids):
        noisy = 0
        for t in where[body_id]:
            x, y = ([joint[axis] for joint in frames[t][body_id]] for axis in (0, 1))
            noisy += max(x) - min(x) > 0.8 * (max(y) - min(y))
        if len(ids) > 1 and noisy / len(where[body_id]) >= 0.69754:
            ids.remove(body_id)

    def motion(body_id: int) -> float:
        total = 0.0
        for axis in range(3):
            values = [joint[axis] for t in where[body_id] for joint in frames[t][body_id]]
            mean = sum(values) / len(values)
            total += sum((value - mean) ** 2 for value in values) / len(values)
        return total

    actors: list[list[int]] = []
    for body_id in sorted(ids, key=motion, reverse=True):
        for actor in actors:
            if not set(where[body_id]) & {t for part in actor for t in where[part]}:
                actor.append(body_id)
                break
        else:
            if len(actors) < 2:
                actors.append([body_id])
    kept = sorted({t for actor in actors for part in actor for t in where[part]})
    return _stack(frames, kept, actors), [actor[0] for actor in actors]


def _stack(frames: list[dict[int, list[list[float]]]], kept: list[int], actors: list[list[int]]) -> np.ndarray:
    joints = np.full((len(kept), len(actors), 25, 3), np.nan, dtype=np.float32)
    for row, t in enumerate(kept):
        for column, actor in enumerate(actors):
            for part in actor:
                if part in frames[t]:
                    joints[row, column] = frames[t][part]
    return joints
