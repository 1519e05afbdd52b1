"""Latency of a classifier in torch, torch.compile and onnxruntime, on the CPU, in one run.

    OMP_NUM_THREADS=2 python benchmarks/export.py [--model config:base] [--batches 1 32] [--repeats 9] [--threads 2]

From images to logits, as that is what is exported. All ways get the same images, have the same number of threads and take turns in one
process; the median of the turns counts, and the ratio to torch is that of neighbouring turns, as what disturbs one disturbs the other.
Exporting and compiling are timed apart. The logits of all ways are compared before anything is timed. On a machine that others use
too, trust the ratios, not the times.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnxruntime
import torch

from s2i_hf.inference.export import TOLERANCE, export_classifier
from s2i_hf.models.classification import build_classifier
from s2i_hf.models.saved_models import open_classifier
from s2i_hf.processing.image_processing_skeleton import SkeletonProcessor

Way = Callable[[np.ndarray], np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--model", default="config:base", help="folder of a fine-tuning, or config:micro ... config:large"
    )
    parser.add_argument("--classes", type=int, default=60, help="classes of a config:...")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out; it needs a C++ compiler")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.model
        if folder.startswith("config:"):
            folder = make_classifier(folder, arguments.classes, temporary)
        start = time.perf_counter()
        file, parity = export_classifier(folder, Path(temporary) / "timed.onnx")
        print(f"exported in {time.perf_counter() - start:.1f} s; {parity}")
        model, _ = open_classifier(folder)
        model.requires_grad_(False)
        ways = make_ways(model, str(file), arguments.threads, not arguments.no_compile)
    parameters, side = sum(parameter.numel() for parameter in model.parameters()), model.config.image_size
    print(f"{arguments.model}: {parameters / 1e6:.1f} M parameters, {side} x {side}, {arguments.threads} threads, "
          f"torch {torch.__version__}, onnxruntime {onnxruntime.__version__}")  # fmt: skip
    for batch in arguments.batches:
        benchmark(ways, batch, side, arguments.repeats)


def make_classifier(source: str, classes: int, folder: str) -> str:
    """A folder like that of a fine-tuning, with new weights: what they are changes no time."""
    model, _ = build_classifier(source, [f"class {index}" for index in range(classes)])
    torch.nn.init.normal_(model.classifier.weight, std=0.02)  # a new head is so small that all logits would be equal
    model.save_pretrained(folder)
    SkeletonProcessor(layout="kinect_v2", size=model.config.image_size).save_pretrained(folder)
    return folder


def make_ways(model: Any, file: str, threads: int, compiled: bool) -> dict[str, Way]:
    """The ways from images (B, 3, H, W) to logits (B, C), by name."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])

    def in_torch(module: Any) -> Way:
        def run(images: np.ndarray) -> np.ndarray:
            with torch.inference_mode():
                return module(pixel_values=torch.from_numpy(images)).logits.numpy()

        return run

    ways = {"torch": in_torch(model)}
    if compiled:
        ways["torch.compile"] = in_torch(torch.compile(model, dynamic=False))
    return ways | {"onnxruntime": lambda images: session.run(["logits"], {"pixel_values": images})[0]}


def benchmark(ways: dict[str, Way], batch: int, side: int, repeats: int) -> None:
    """Print a table of one batch size."""
    images = np.random.default_rng(0).normal(size=(batch, 3, side, side)).astype(np.float32)
    expected, first, usable = ways["torch"](images), {}, dict(ways)
    for name, way in ways.items():
        start = time.perf_counter()
        try:
            found = way(images)
        except Exception as error:  # no compiler, or a model it cannot compile: the other ways are timed all the same
            print(f"{name} left out: {(str(error).strip() or type(error).__name__).splitlines()[0]}")
            del usable[name]
            continue
        first[name] = time.perf_counter() - start
        if not np.abs(found - expected).max() <= TOLERANCE:
            raise SystemExit(f"{name} gives other logits, by {np.abs(found - expected).max():.1e}.")
    seconds: dict[str, list[float]] = {name: [] for name in usable}
    for _ in range(repeats):
        for name, way in usable.items():
            start = time.perf_counter()
            way(images)
            seconds[name].append(time.perf_counter() - start)
    print(f"\n| batch {batch} | ms a clip | clips/s | speed against torch | first call, s |\n|---|---:|---:|---:|---:|")
    for name, times in seconds.items():
        faster = median(torch_time / own for own, torch_time in zip(times, seconds["torch"], strict=True))
        each = median(times) / batch
        print(f"| {name} | {1000 * each:.2f} | {1 / each:.1f} | {faster:.2f} x | {first[name]:.1f} |")


if __name__ == "__main__":
    main()
