"""Converted folders against a padded Array4D dataset: size, opening, random reads.

    OMP_NUM_THREADS=1 python benchmarks/storage.py [--clips 5000] [--repeats 7]

The clips are NTU-like random walks (25 joints, 30-110 frames, a quarter of them with two people). The peer is what one would write
with `datasets` alone: people padded to two, an Array4D column whose first dimension (the frames) varies, saved to disk, read with
`with_format("numpy")` one item at a time. Ours are read through `as_rows(load_skeletons(folder)["train"])[i]`. All see the same
clips at the same random places in one process, in turns; medians count. What they return is compared before anything is timed.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import datasets
import numpy as np

from s2i_hf.data.loading import as_rows, load_skeletons
from s2i_hf.data.storage import FORMATS, FolderWriter
from s2i_hf.processing.skeleton_sequence import SkeletonSequence
from s2i_hf.protocols import PROTOCOLS

TARGETS = {"size": 1.05, "opening": 0.1, "reads": 10.0}
JOINTS, PEOPLE = 25, 2
PEER = "padded Array4D, numpy"


def make_clips(count: int) -> Iterator[SkeletonSequence]:
    """Clips one after the other, the same each time."""
    for index in range(count):
        rng = np.random.default_rng(index)
        shape = (int(rng.integers(30, 111)), 2 if rng.random() < 0.25 else 1, JOINTS, 3)
        walk = rng.normal(0, 0.01, shape).cumsum(axis=0) + rng.uniform(-0.9, 0.9, (1, *shape[1:])) + np.array([0, 0, 3])
        joints = walk.astype(np.float32)
        yield SkeletonSequence(joints, "kinect_v2", index % 60, index % 40, index % 3, sample_id=f"clip{index:06}")


def write_peer(folder: Path, count: int) -> None:
    """The same clips as an Array4D with people padded to two."""
    features = datasets.Features(
        {
            "joints": datasets.Array4D((None, PEOPLE, JOINTS, 3), "float32"),
            "label": datasets.Value("int64"),
            "sample_id": datasets.Value("string"),
        }
    )

    def rows() -> Iterator[dict[str, Any]]:
        for clip in make_clips(count):
            joints = np.zeros((len(clip.joints), PEOPLE, JOINTS, 3), np.float32)
            joints[:, : clip.joints.shape[1]] = clip.joints
            yield {"joints": joints, "label": clip.label, "sample_id": clip.sample_id}

    cache = folder.with_name("cache")
    datasets.Dataset.from_generator(rows, features=features, cache_dir=str(cache)).save_to_disk(folder)
    shutil.rmtree(cache)


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def timed(action: Callable[..., Any], *arguments: Any) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    action(*arguments)
    return time.perf_counter() - start


def read_all(source: Any, places: list[int]) -> None:
    """One item at a time."""
    for place in places:
        source[place]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=5000, help="clips in each store")
    parser.add_argument("--repeats", type=int, default=7, help="turns of every way; their median counts")
    arguments = parser.parse_args()
    datasets.disable_progress_bars()
    base = Path(tempfile.mkdtemp(prefix="s2i-storage-"))
    try:
        met = compare(base, arguments.clips, arguments.repeats)
    finally:
        shutil.rmtree(base)
    print("targets met" if met else "targets missed")


def compare(base: Path, count: int, repeats: int) -> bool:
    """Write, check, measure and print; returns whether the targets are met."""
    raw = sum(clip.joints.nbytes for clip in make_clips(count))
    for format in FORMATS:
        (base / format).mkdir()
        writer = FolderWriter(base / format, PROTOCOLS["ntu60_xsub"], format, ["train", "test"])
        for clip in make_clips(count):
            writer.write("train", clip)
        writer.close({})
    write_peer(base / PEER, count)

    def open_ours(format: str) -> Any:
        return as_rows(load_skeletons(base / format, cache_dir=base / "cache")["train"])

    openers: dict[str, Callable[[], Any]] = {
        PEER: lambda: datasets.load_from_disk(str(base / PEER)).with_format("numpy"),
        "parquet": lambda: open_ours("parquet"),
        "npz": lambda: open_ours("npz"),
    }
    sources = {
        name: opener() for name, opener in openers.items()
    }  # the first time Parquet is unpacked into the Arrow cache of datasets
    rng = np.random.default_rng(0)
    for place in rng.integers(0, count, 50).tolist():
        expected = sources[PEER][place]["joints"]
        for format in FORMATS:
            joints = sources[format][place]["joints"]
            assert np.array_equal(joints, expected[:, : joints.shape[1]]), f"{format} differs"
    opening: dict[str, list[float]] = {name: [] for name in openers}
    reading: dict[str, list[float]] = {name: [] for name in openers}
    for _ in range(repeats):
        places = rng.permutation(count)[:1000].tolist()
        for name, opener in openers.items():
            opening[name].append(timed(opener))
            reading[name].append(timed(read_all, sources[name], places) / len(places))
    print(f"{count:,} clips, {raw / 1e6:,.0f} MB of joints")
    print(f"{'store':24s} {'x raw':>6s} {'open, s':>8s} {'rows/s':>9s} {'x peer':>7s}")
    slow = median(reading[PEER])
    for name in openers:
        seconds = median(reading[name])
        print(
            f"{name:24s} {size_of(base / name) / raw:6.3f} {median(opening[name]):8.3f} {1 / seconds:9,.0f} {slow / seconds:7.1f}"
        )
    print(
        f"targets for both: size <= {TARGETS['size']} x raw, opening <= {TARGETS['opening']} s, reads >= {TARGETS['reads']} x"
    )
    return all(
        size_of(base / format) <= TARGETS["size"] * raw
        and median(opening[format]) <= TARGETS["opening"]
        and slow / median(reading[format]) >= TARGETS["reads"]
        for format in FORMATS
    )


if __name__ == "__main__":
    main()
