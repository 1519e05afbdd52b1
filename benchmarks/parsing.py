"""Reading NTU RGB+D and PKU-MMD text against what a user would write: a reader that splits lines.

    OMP_NUM_THREADS=1 python benchmarks/parsing.py [--files 48] [--repeats 9] [--check]

1. `.skeleton` files of synthetic people, a quarter with two, numbers with seven digits as the recorder writes them, from a
   folder: the line reader makes a float of each of the 12 values of a joint, as those of ST-GCN and its followers do.
2. The same files from a zip archive, against inflating the archive and doing nothing with it.
3. A PKU-MMD video of 5,000 frames with 20 actions, against reading all of it once for each action, as is done for MAMP.

All ways see the same files in one process and one thread, in turns, and the median of the turns counts; the clock is the CPU time
of the process, which other work on the machine disturbs less. Trust the ratios, not the times. What the ways return is compared
before anything is timed. With --check the exit status is 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from s2i_hf.readers import RawFile, read_bytes
from s2i_hf.readers.benchmarks import ntu_rgbd, pku_mmd
from s2i_hf.readers.benchmarks.ntu_text import WAY_VARIABLE, Way, parse_text
from s2i_hf.readers.raw_files import list_raw_files
from s2i_hf.synthetic.actions import ACTIONS, LAYOUT, TOUCH
from s2i_hf.synthetic.people import generate

TARGETS = {"numpy": 10.0, "numba": 25.0, "zip": 1.75, "pku": 15.0}
LINE_READER = "line reader"
JOINT_KEYS = ["x", "y", "z", *(f"joint value {number}" for number in range(4, 13))]
BODY_KEYS = ["bodyID", *(f"body value {number}" for number in range(2, 11))]

# -- files -------------------------------------------------------------------------------------------------------------


def skeleton_text(joints: np.ndarray, body_ids: np.ndarray, newline: str) -> bytes:
    """Text of a clip (T, M, 25, 3) with seven significant digits, which `write_skeleton`, at six decimals, does not give."""
    line = " ".join(["%.7g"] * 11) + " 2"
    lines = [str(len(joints))]
    for people in joints:
        present = ~np.isnan(people).any(axis=(1, 2))
        lines.append(str(present.sum()))
        for body, body_id in zip(people[present], body_ids[present], strict=True):
            x, y, z = body.T.astype(np.float64)
            bone = body - body[list(LAYOUT.parents)] + 1e-3
            turn = np.column_stack((1.000001 + bone[:, 1], bone[:, 2], 0 * x, -bone[:, 0]))
            turn /= np.linalg.norm(turn, axis=1, keepdims=True)
            pixels = (257 + 366 * x / z, 207 - 366 * y / z, 960 + 1081 * x / z, 540 - 1081 * y / z)
            values = np.column_stack((body, *pixels, turn)).astype(np.float32)
            lines += [f"{body_id} 0 1 1 1 1 0 {bone[20, 0]:.7g} {bone[20, 2]:.7g} 2", "25"]
            lines += [line % tuple(row) for row in values.tolist()]
    return (newline.join(lines) + newline).encode()


def write_skeletons(folder: Path, count: int) -> list[Path]:
    """`count` files of 40 to 120 frames, every fourth of an action of two people, every other one with CRLF."""
    alone, together = [name for name in ACTIONS if name not in TOUCH], list(TOUCH)
    paths = []
    for number in range(count):
        actions = together if number % 4 == 3 else alone
        clip = generate(actions[number % len(actions)], 1 + number % 40, 1 + number % 3, 1 + number // 120)
        paths.append(folder / f"{clip.sample_id[:-4]}A{number % 120 + 1:03}.skeleton")
        paths[-1].write_bytes(skeleton_text(clip.joints, clip.body_ids, "\r\n" if number % 2 else "\n"))
    return paths


def write_video(folder: Path, frames: int = 5000, actions: int = 20) -> tuple[Path, Path]:
    """A PKU-MMD video of two people, and its label file."""
    rng = np.random.default_rng(0)
    people = rng.normal(0, 0.01, (frames, 2, 25, 3)).cumsum(axis=0).clip(-2, 2) + rng.uniform(-0.8, 0.8, (2, 25, 3))
    people[..., 2] += 3
    people[frames // 2 :, 1] = 0  # the second one has gone
    paths = folder / "skeleton" / "0002-L.txt", folder / "label" / "0002-L.txt"
    for path in paths:
        path.parent.mkdir()
    line = " ".join(["%.7g"] * 150)
    paths[0].write_text("\n ".join(line % tuple(row) for row in people.reshape(frames, 150).tolist()) + "\n")
    starts = range(20, frames - 200, (frames - 220) // actions)
    paths[1].write_text("".join(f"{1 + row},{start},{start + 180},1\n" for row, start in enumerate(starts[:actions])))
    return paths


# -- what a user would write -------------------------------------------------------------------------------------------


def read_lines(path: Path) -> np.ndarray:
    """(N, 25, 3) float32: the bodies of all frames, by way of a dictionary of every joint."""
    with open(path) as file:
        frames = []
        for _ in range(int(file.readline())):
            bodies = []
            for _ in range(int(file.readline())):
                body: dict[str, Any] = dict(zip(BODY_KEYS, map(float, file.readline().split()), strict=True))
                body["joints"] = []
                for _ in range(int(file.readline())):
                    values = file.readline().split()
                    body["joints"].append({key: float(value) for key, value in zip(JOINT_KEYS, values, strict=True)})
                bodies.append(body)
            frames.append(bodies)
    joints = [
        [(joint["x"], joint["y"], joint["z"]) for joint in body["joints"]] for bodies in frames for body in bodies
    ]
    return np.array(joints, dtype=np.float32)


def read_actions(video: Path, labels: Path) -> list[np.ndarray]:
    """(T, 2, 25, 3) float32 of every action, each from a reading of its own."""
    clips = []
    for row in labels.read_text().splitlines():
        _, start, end, _ = map(int, row.split(","))
        with open(video) as file:
            frames = [[float(value) for value in line.split()] for line in file.readlines()]
        clips.append(np.array(frames, dtype=np.float32)[start:end].reshape(-1, 2, 25, 3))
    return clips


# -- the comparison ----------------------------------------------------------------------------------------------------


def measure(ways: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Median CPU seconds of each way; the ways take turns."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            start = time.process_time()
            way()
            times[name].append(time.process_time() - start)
    return {name: median(values) for name, values in times.items()}


def report(seconds: dict[str, float], unit: int, title: str, targets: dict[str, float], most: bool = False) -> bool:
    """Print one table, with ratios to the first way or, with `most`, of the others to it; whether the targets are met."""
    print(f"\n{title}\n{'way':36s} {'ms':>9s} {'ratio':>8s} {'target':>8s}")
    first, met = next(iter(seconds.values())), True
    for name, value in seconds.items():
        ratio, target = (value / first if most else first / value), targets.get(name)
        if target is not None:
            met &= ratio <= target if most else ratio >= target
        bound = f"{'<=' if most else '>='}{target:g}x" if target else ""
        print(f"{name:36s} {value / unit * 1e3:9.3f} {ratio:7.2f}x {bound:>8s}")
    return met


def in_way(way: Way, read: Callable[[], Any]) -> Callable[[], Any]:
    """`read`, with .skeleton text taken in this way."""

    def run() -> Any:
        os.environ[WAY_VARIABLE] = way
        return read()

    return run


def compare_folder(paths: Sequence[Path], fast: Sequence[Way], repeats: int) -> bool:
    for path in paths:
        expected = read_lines(path).view(np.uint32)
        for way in fast:
            found = parse_text(path.read_bytes(), path.name, way).joints
            assert np.array_equal(found.view(np.uint32), expected), f"{way} reads {path.name} differently"
    ways: dict[str, Callable[[], Any]] = {LINE_READER: lambda: [read_lines(path) for path in paths]}
    for way in fast:
        parse: Callable[[], Any] = lambda: [parse_text(read_bytes(path), path.name) for path in paths]  # noqa: E731
        ways[f"{way}, text"] = in_way(way, parse)
        ways[f"{way}, text and denoising"] = in_way(way, lambda: [ntu_rgbd.read(path) for path in paths])
    size = sum(path.stat().st_size for path in paths) / len(paths)
    title = f"NTU RGB+D from a folder: {len(paths)} files of {size / 1000:.0f} kB; ms a file"
    return report(measure(ways, repeats), len(paths), title, {f"{way}, text": TARGETS[way] for way in fast})


def compare_zip(paths: Sequence[Path], fast: Sequence[Way], repeats: int) -> bool:
    archive = paths[0].parent / "skeletons.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for path in paths:
            out.write(path, f"nturgb+d_skeletons/{path.name}")

    def inflate() -> None:
        with zipfile.ZipFile(archive) as opened:
            for name in opened.namelist():
                opened.read(name)

    def read() -> list[np.ndarray]:
        return [ntu_rgbd.read(file).joints for file in list_raw_files(archive)]

    for found, path in zip(read(), sorted(paths), strict=True):
        assert np.array_equal(found, ntu_rgbd.read(path).joints, equal_nan=True), f"{path.name} differs in the archive"
    ways: dict[str, Callable[[], Any]] = {"inflating alone": inflate}
    ways |= {f"{way}, text and denoising": in_way(way, read) for way in fast}
    title = f"NTU RGB+D from a zip archive of {len(paths)} files; ms a file"
    targets = {f"{fast[-1]}, text and denoising": TARGETS["zip"]}
    return report(measure(ways, repeats), len(paths), title, targets, most=True)


def compare_video(folder: Path, repeats: int) -> bool:
    video, labels = write_video(folder)
    file = RawFile.of(video).with_companions(RawFile.of(labels))

    def read() -> list[np.ndarray]:
        clips = []
        for clip in pku_mmd.read_clips(file, denoise=False):
            if isinstance(clip, ValueError):
                raise clip
            clips.append(clip.joints)
        return clips

    found, expected = read(), read_actions(video, labels)
    for clip, other in zip(found, expected, strict=True):
        people = clip.shape[1]
        assert np.array_equal(np.nan_to_num(clip), other[:, :people]) and not other[:, people:].any(), (
            "the clips differ"
        )
    ways = {"once an action": lambda: read_actions(video, labels), "read_clips": read}
    title = f"PKU-MMD: a video of {video.stat().st_size / 1e6:.1f} MB with {len(found)} actions; ms a video"
    return report(measure(ways, repeats), 1, title, {"read_clips": TARGETS["pku"]})


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=48, help=".skeleton files")
    parser.add_argument("--repeats", type=int, default=9, help="turns of every way; their median counts")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a target is missed")
    arguments = parser.parse_args(argv)
    fast: list[Way] = ["numpy"]
    try:
        parse_text(b"1\n0\n", "warm-up", "numba")
        fast.append("numba")
    except ImportError as error:
        print(error)
    with tempfile.TemporaryDirectory() as folder:
        paths = write_skeletons(Path(folder), arguments.files)
        met = [
            compare_folder(paths, fast, arguments.repeats),
            compare_zip(paths, fast, arguments.repeats),
            compare_video(Path(folder), min(3, arguments.repeats)),
        ]
    print("\ntargets met" if all(met) else "\ntargets missed")
    return 1 if arguments.check and not all(met) else 0


if __name__ == "__main__":
    sys.exit(main())
