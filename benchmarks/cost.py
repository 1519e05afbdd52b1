"""Clips a second of a run's model and of a graph network on one machine, for the card of the run.

    OMP_NUM_THREADS=1 python benchmarks/cost.py runs/finetune [--batch_size 32] [--repeats 5] [--device auto]

Both go forward only, from what they read (images; joints of one person in 52 frames) to scores or features, in float32, one batch each in
turn; the median of the turns counts. Weights do not change the speed, so the graph network is not trained. Writes cost.json into the folder
and its card anew, which shows the model's speed beside its parameters and FLOPs.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from peers.arguments import PeerArguments
from peers.training import build_network

from s2i_hf.evaluation.probing import load_model_and_processor
from s2i_hf.hub.model_card import check_has_card, write_card
from s2i_hf.models.backbones import backbone_of
from s2i_hf.models.saved_models import is_classifier, open_classifier, pick_device
from s2i_hf.processing.layouts import get_layout
from s2i_hf.runs.provenance import current_commit, hardware_name, public_command
from s2i_hf.runs.run_folder import RunFolder
from s2i_hf.utils.files import write_atomically


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run_dir", help="folder of a pretraining or fine-tuning")
    parser.add_argument("--batch_size", type=int, default=32, help="clips a forward pass")
    parser.add_argument("--repeats", type=int, default=5, help="turns of each network; their median counts")
    parser.add_argument(
        "--device", default="auto", help="cpu, cuda, cuda:1 ...; auto takes an accelerator if there is one"
    )
    arguments = parser.parse_args(argv)
    if arguments.batch_size < 1 or arguments.repeats < 1:
        parser.error("--batch_size and --repeats are numbers of 1 or more")
    try:
        measured = measure(
            Path(arguments.run_dir), arguments.batch_size, arguments.repeats, pick_device(arguments.device)
        )
    except (ValueError, OSError) as error:
        print(f"cost: {error}", file=sys.stderr)
        return 2
    speeds = measured["clips_per_second"]
    print(
        f"model {speeds['model']:.1f}, graph network {speeds['graph_network']:.1f} clips/s; written to {arguments.run_dir}"
    )
    return 0


def measure(run_dir: Path, batch_size: int, repeats: int, device: str) -> dict[str, Any]:
    """Time both networks, and write cost.json and the card.

    Args:
        run_dir: Folder of a pretraining or fine-tuning.
        batch_size: Clips a forward pass.
        repeats: Turns of each.
        device: Such as "cpu".

    Returns:
        What cost.json holds: clips_per_second ("model" and "graph_network"), batch_size, precision, threads, hardware, command, commit.

    Raises:
        FileNotFoundError, ValueError: there is no model, or it has no joint format.
    """
    if not run_dir.is_dir():
        raise FileNotFoundError(f"Run folder {str(run_dir)!r} does not exist; there is nothing to measure.")
    check_has_card(run_dir)
    run, model = RunFolder(run_dir), _model(str(run_dir))
    layout = run.processor.get("layout") or next(iter(run.data.get("layouts") or []), None)
    if layout is None:
        raise ValueError(
            f"{run_dir} names no joint format (preprocessor_config.json, data.json), so it has no graph to compare with."
        )
    settings = PeerArguments(data="")
    classes = max(len(run.config.get("id2label") or {}), len(run.data.get("class_names") or []), 1)
    graph = build_network(get_layout(layout), classes, 1, settings).eval().to(device)
    image = torch.rand(batch_size, 3, model.config.image_size, model.config.image_size, device=device)
    joints = torch.rand(batch_size, 3, settings.num_frames, get_layout(layout).num_joints, 1, device=device)
    networks: dict[str, Callable[[], Any]] = {
        "model": lambda: model.to(device)(image),
        "graph_network": lambda: graph(joints),
    }
    seconds: dict[str, list[float]] = {name: [] for name in networks}
    with torch.inference_mode():
        for turn in range(repeats + 1):
            for name, forward in networks.items():
                began = time.perf_counter()
                forward()
                if device.startswith("cuda"):
                    torch.cuda.synchronize(device)
                if turn:  # the first one warms up
                    seconds[name].append(time.perf_counter() - began)
    measured = {
        "clips_per_second": {name: round(batch_size / median(times), 2) for name, times in seconds.items()},
        "batch_size": batch_size, "precision": "float32", "threads": torch.get_num_threads(), "hardware": hardware_name(device),
        "command": public_command(), "commit": current_commit(),
    }  # fmt: skip
    write_atomically(run_dir / "cost.json", json.dumps(measured, indent=1) + "\n")
    write_card(run_dir)
    return measured


def _model(run_dir: str) -> Any:
    """The classifier; of an autoencoder the encoder, which sees every patch."""
    if is_classifier(run_dir):
        return open_classifier(run_dir)[0]
    model, _ = load_model_and_processor(run_dir)
    return backbone_of(model).eval()


if __name__ == "__main__":
    raise SystemExit(main())
