"""A training step of DiffMAE against one of ViT-MAE: forward, backward and fused AdamW, on the CPU.

    OMP_NUM_THREADS=2 python benchmarks/diffmae.py [--size base] [--batch 8] [--repeats 5] [--threads 2] [--levels 1]

All models have the same encoder and a decoder of the same depth and width, hide the same 75 % of the patches, and take steps in
turns in one process; the median of the turns counts. The encoder runs on visible patches alone in all of them, so what differs is the
decoder. Trust the ratios, not the times; where others use the machine too, trust those of CPU time with --threads 1, as threads that
wait for each other burn it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import torch

from s2i_hf.models.building import build_diffmae, build_mae
from s2i_hf.training.pretrain_arguments import PretrainArguments
from s2i_hf.training.pretraining import build_optimizer, diffmae_loss, mae_loss

TARGETS = {"DiffMAE cross": 0.88, "DiffMAE cross-self": 1.0}


def make_steps(size: str, batch: int, levels: int) -> dict[str, Callable[[], None]]:
    """One training step of each model, on the same random images and masks."""
    models: dict[str, torch.nn.Module] = {"MAE": build_mae(f"config:{size}")}
    for decoder in ("cross", "cross-self", "joint"):
        models[f"DiffMAE {decoder}"] = build_diffmae(f"config:{size}", decoder_type=decoder, noise_levels=levels)
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randn(batch, 3, 224, 224, generator=generator)

    def make(model: torch.nn.Module) -> Callable[[], None]:
        optimizer = build_optimizer(model.train(), PretrainArguments(data="random"))
        for group in optimizer.param_groups:
            group["lr"] = 1e-4
        compute_loss = mae_loss if type(model).__name__ == "ViTMAEForPreTraining" else diffmae_loss

        def step() -> None:
            compute_loss(model, pixels, torch.rand(batch, 196, generator=generator), pixels).backward()
            optimizer.step()
            optimizer.zero_grad()

        return step

    return {name: make(model) for name, model in models.items()}


def against(seconds: list[float], others: list[float]) -> float:
    """Median ratio, turn by turn, as what disturbs one step disturbs its neighbours."""
    return median(own / other for own, other in zip(seconds, others, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="base", help="micro, tiny, small, base or large")
    parser.add_argument("--batch", type=int, default=8, help="images a step")
    parser.add_argument("--repeats", type=int, default=5, help="turns of every model; their median counts")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch")
    parser.add_argument("--levels", type=int, default=1, help="noise levels a pass of the encoder")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    steps = make_steps(arguments.size, arguments.batch, arguments.levels)
    wall: dict[str, list[float]] = {name: [] for name in steps}
    busy: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(arguments.repeats + 1):
        for name, step in steps.items():
            start, start_busy = time.perf_counter(), time.process_time()
            step()
            if turn:  # the first makes the optimizer's state
                wall[name].append(time.perf_counter() - start)
                busy[name].append(time.process_time() - start_busy)
    print(
        f"ViT {arguments.size}, batch {arguments.batch}, {arguments.threads} threads, {arguments.levels} noise levels"
    )
    print(f"{'model':20s} {'s/step':>8s} {'x MAE':>7s} {'CPU s':>8s} {'x MAE':>7s} {'target':>7s}")
    for name in steps:
        ratio = against(wall[name], wall["MAE"])
        target = TARGETS.get(name) if arguments.levels == 1 else None
        verdict = "" if target is None else f"{target:7.2f} {'met' if ratio <= target else 'missed'}"
        print(
            f"{name:20s} {median(wall[name]):8.3f} {ratio:7.2f} {median(busy[name]):8.3f} "
            f"{against(busy[name], busy['MAE']):7.2f} {verdict}"
        )


if __name__ == "__main__":
    main()
