"""A training step with plain attention, as s2i-hf takes it in bf16 on a CPU, against the fused one that transformers takes.

    python benchmarks/attention.py [--models tiny,base] [--repeats 7] [--threads 1]

Both compute the same model on the same images, in turns in one process; the median of the ratios counts. "MAE" is a pretraining with 75 %
of the patches hidden, "classifier" a fine-tuning. In float32 and on a GPU s2i-hf changes nothing; float32 is here to show why.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from s2i_hf.models.building import build_mae
from s2i_hf.models.classification import build_classifier
from s2i_hf.training.pretraining import mae_loss
from s2i_hf.utils.attention import suited_attention

BATCHES = {"micro": (64, 112), "tiny": (32, 112), "small": (16, 112), "base": (4, 224)}  # size -> clips a step, pixels


def make_step(kind: str, size: str, bf16: bool, plain: bool) -> Callable[[], None]:
    """One training step of a model of its own, on random images."""
    batch, pixels = BATCHES[size]
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(batch, 3, pixels, pixels, generator=generator)
    noise = torch.rand(batch, (pixels // 16) ** 2, generator=generator)
    labels = torch.arange(batch) % 10
    model: Any
    if kind == "MAE":
        model = build_mae(f"config:{size}", image_size=pixels)
    else:
        model, _ = build_classifier(f"config:{size}", [str(label) for label in range(10)], image_size=pixels)
    optimizer = torch.optim.AdamW(model.train().parameters(), lr=1e-4, fused=True)

    def step() -> None:
        with (
            suited_attention(model, "cpu", "bf16" if plain else "no"),
            torch.autocast("cpu", torch.bfloat16, enabled=bf16),
        ):
            if kind == "MAE":
                loss = mae_loss(model, images, noise, images)
            else:
                loss = cross_entropy(model(pixel_values=images).logits.float(), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def seconds_of(step: Callable[[], None]) -> float:
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", default="tiny,base", help=", ".join(BATCHES))
    parser.add_argument("--repeats", type=int, default=7, help="measured steps of each")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    sizes = arguments.models.split(",")
    if unknown := [size for size in sizes if size not in BATCHES]:
        parser.error(f"--models has {unknown[0]!r}; expected some of {', '.join(BATCHES)}.")
    for name in ("repeats", "threads"):
        if getattr(arguments, name) < 1:
            parser.error(f"--{name} is {getattr(arguments, name)}; expected 1 or more.")
    torch.set_num_threads(arguments.threads)
    print(f"{'training step':34} {'fused':>14} {'plain':>14} {'ratio':>7}   ({arguments.threads} threads)")
    for size in sizes:
        batch, pixels = BATCHES[size]
        for kind in ("MAE", "classifier"):
            for bf16 in (False, True):
                fused, plain = (make_step(kind, size, bf16, plain) for plain in (False, True))
                for step in (fused, plain):
                    step()  # warms up
                turns = [(seconds_of(fused), seconds_of(plain)) for _ in range(arguments.repeats)]
                theirs, ours = (median(turn[index] for turn in turns) for index in (0, 1))
                ratio = median(other / own for other, own in turns)
                name = f"{kind} {size}, {pixels} px, {'bf16' if bf16 else 'float32'}"
                print(f"{name:34} {batch / theirs:8.1f} clip/s {batch / ours:8.1f} clip/s {ratio:6.2f}x", flush=True)


if __name__ == "__main__":
    main()
