"""S2I encoding against what a user would write: per-clip permute + `F.interpolate` + stack.

    OMP_NUM_THREADS=1 python benchmarks/encoding.py [--clips 256] [--repeats 9]

Two synthetic sets: NTU-like (25 joints, 40-120 frames, a quarter of the clips with two people) and NW-UCLA-like (20 joints, 15-60
frames). All ways see the same clips in one process and one thread, in turns, and the median of the turns counts; the clock is the CPU
time of the process, which other work on the machine disturbs less. Trust the ratios, not the times. The images of all ways are
compared before anything is timed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from s2i_hf.data.collator import SkeletonCollator
from s2i_hf.processing.encoding import encode
from s2i_hf.processing.encoding_batched import encode_padded
from s2i_hf.processing.layouts import SkeletonLayout, get_layout

TARGETS = {"host encode, fresh batch": 3.0, "collate for the device": 30.0}


def make_clips(
    layout: SkeletonLayout, count: int, frames: tuple[int, int], pairs: float, seed: int
) -> list[np.ndarray]:
    """`count` clips (T, M, V, 3) float32 of random walks, T from `frames`, with two people in a share `pairs` of them."""
    rng = np.random.default_rng(seed)
    clips = []
    for _ in range(count):
        shape = (int(rng.integers(frames[0], frames[1] + 1)), 2 if rng.random() < pairs else 1, layout.num_joints, 3)
        walk = rng.normal(0, 0.02, shape).cumsum(axis=0) + rng.uniform(-0.9, 0.9, (1, *shape[1:])) + np.array([0, 0, 3])
        clips.append(walk.astype(np.float32))
    return clips


def per_clip_interpolate(clips: list[np.ndarray], layout: SkeletonLayout) -> torch.Tensor:
    """The peer: centre, min-max, permute and `F.interpolate` clip by clip, then stack. Each person gets a block of the width."""
    order, center = list(layout.order), layout.center_indices[0]
    images = []
    for clip in clips:
        joints = torch.from_numpy(clip)
        joints = joints - joints[0, 0, center]
        low, high = joints.min(), joints.max()
        joints = (joints - low) / (high - low)
        people = joints[:, :, order].permute(1, 3, 0, 2)  # (M, 3, T, V)
        size = (224, 224 // len(people))
        image = F.interpolate(people, size, mode="bilinear", align_corners=False, antialias=people.shape[2] > 224)
        images.append(torch.cat(list(image), dim=2))
    return torch.stack(images)


def measure(ways: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Median CPU seconds of each way; the ways take turns."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way()
    for _ in range(repeats):
        for name, way in ways.items():
            start = time.process_time()
            way()
            times[name].append(time.process_time() - start)
    return {name: median(values) for name, values in times.items()}


def benchmark(title: str, layout_name: str, frames: tuple[int, int], pairs: float, count: int, repeats: int) -> bool:
    """Print one table; returns whether the targets are met."""
    layout = get_layout(layout_name)
    clips = make_clips(layout, count, frames, pairs, seed=0)
    rows = [{"joints": clip, "layout": layout_name, "sample_id": str(i), "label": 0} for i, clip in enumerate(clips)]
    collate, reused = SkeletonCollator(), torch.empty(count, 3, 224, 224)
    batch = collate(rows)
    padded = batch["joints"], batch["num_frames"], batch["num_people"], batch["layouts"]
    peer = "permute + F.interpolate, stack"
    ways: dict[str, Callable[[], Any]] = {
        peer: lambda: per_clip_interpolate(clips, layout),
        "host encode, fresh batch": lambda: encode(clips, layout)[0],
        "host encode, out= reused": lambda: encode(clips, layout, out=reused)[0],
        "collate for the device": lambda: collate(rows),
    }
    on_device = {"encode_padded on the CPU": lambda: encode_padded(*padded)}  # for the record: its place is a GPU
    expected = ways[peer]()
    furthest = max(
        float((way() - expected).abs().max())
        for name, way in {**ways, **on_device}.items()
        if name != "collate for the device"
    )
    print(
        f"\n{title}: {count} clips of {layout.num_joints} joints, {frames[0]}-{frames[1]} frames; images differ by {furthest:.1e}"
    )
    assert furthest < 2e-4, "the images of the ways differ"
    # not in turns with the others: giving back its large buffers makes the next fresh batch pay for them
    seconds, met = measure(ways, repeats) | measure(on_device, 3), True
    print(f"{'way':32s} {'us/clip':>8s} {'ratio':>7s} {'target':>7s}")
    for name, value in seconds.items():
        ratio, target = seconds[peer] / value, TARGETS.get(name)
        met &= target is None or ratio >= target
        print(f"{name:32s} {value / count * 1e6:8.1f} {ratio:6.1f}x {f'{target:.0f}x' if target else '':>7s}")
    kilobytes = batch["joints"].nbytes / count / 1000
    print(f"shipped to the device: {kilobytes:.0f} kB a clip instead of {reused.nbytes / count / 1000:.0f} kB")
    return met


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=256, help="clips a batch")
    parser.add_argument("--repeats", type=int, default=9, help="turns of every way; their median counts")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    met = [
        benchmark("NTU-like", "kinect_v2", (40, 120), 0.25, arguments.clips, arguments.repeats),
        benchmark("NW-UCLA-like", "kinect_v1", (15, 60), 0.0, arguments.clips, arguments.repeats),
    ]
    print("\ntargets met" if all(met) else "\ntargets missed")


if __name__ == "__main__":
    main()
