"""`s2i demo`: the whole chain in minutes, in runs/demo."""

from __future__ import annotations

import os
import shlex
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ..data.label_subsets import smallest_share, stratified_share
from ..data.loading import as_rows, load_skeletons
from ..data.sources import check_source
from ..hub.markdown import per_cent
from ..hub.result_pages import standard_error
from ..models.building import check_start_name
from ..protocols import get_protocol
from ..runs.results import read_results
from ..utils.arguments import arg
from ..utils.progress import NO_BARS
from ..utils.text import duration

WORK = Path("runs/demo_data")
DRAWS = 3  # of the labels
LABEL_SHARE = 0.1
LABEL_STEPS = 60
ARMS = {"pretrained": "the pretrained encoder", "untrained": "new weights"}  # --encoder, and in words


@dataclass
class DemoArguments:
    """Flags of `s2i demo`."""

    data: str = arg("synthetic_xsub", "Protocol, such as bandai_namco_by_index.", was="dataset")
    data_dir: str | None = arg(None, "Folder with its raw files; synthetic people are written if none.")
    model: str = arg(
        "vision:tiny", "What the pretraining starts from: vision weights, a size such as config:tiny, or a folder."
    )
    max_steps: int = arg(700, f"Optimizer steps of the pretraining; a fine-tuning takes {LABEL_STEPS} of them at most.")

    def __post_init__(self) -> None:
        get_protocol(self.data)  # an unknown one is named before its files are asked for
        if not self.data_dir and not self.data.startswith("synthetic_"):
            raise ValueError(f"--data {self.data} needs its raw files: --data_dir path/to/them.")


def demo(arguments: DemoArguments) -> None:
    """The seven steps, each a command that is shown, and what they buy.

    Raw skeleton files, skeleton arrays, S2I images, masks, a small ViT-MAE, a probe, a card: see runs/demo/README.md at the end. The
    last line says what a classifier from few labels gets from the pretrained encoder, and what from new weights.
    """
    if arguments.data_dir:
        check_source(arguments.data, arguments.data_dir)
    check_start_name(arguments.model)  # not after the conversion
    converted, raw = str(WORK / "converted"), arguments.data_dir
    if not raw:
        raw = str(WORK / "skeletons")
        shutil.rmtree(raw, ignore_errors=True)
        _step("1. Raw skeleton files: synthetic people", "synthesize", "--output", raw)
    words = ["convert", arguments.data, "--data_dir", raw, "--output", converted, "--overwrite"]
    _step("2. Skeleton arrays: read, split by the protocol, converted once", *words)
    words = ["pretrain", "--config", "demo", "--model", arguments.model, "--max_steps", str(arguments.max_steps)]
    _step("3-5. S2I images, masks and a small ViT-MAE", *words, "--no-progress")
    _step("6-7. Probe and card", "probe", *f"--model runs/demo --data {converted} --pooling part".split())
    data = load_skeletons(converted)
    clip = as_rows(data["test"])[0]
    np.save(WORK / "clip.npy", clip["joints"])
    words = [
        "infill",
        str(WORK / "clip.npy"),
        *f"--layout {clip['layout']} --model runs/demo --drop_joints left_arm".split(),
    ]
    words += ["--picture", "runs/demo/infilled.png"] if find_spec("matplotlib") else []
    _step("Everything again from the files: an arm is taken out of a test clip, and filled in", *words)
    learned = few_labels(converted, as_rows(data["train"]).labels, min(LABEL_STEPS, arguments.max_steps))
    print("\n== Done. See runs/demo/README.md, results.json and reconstruction.png")
    print(learned)


def few_labels(data: str, labels: np.ndarray, steps: int) -> str:
    """Fine-tune on a tenth of the labels, drawn anew each time, from the pretrained encoder and from new weights beside each other.

    Args:
        data: Folder of `s2i convert`.
        labels: (N,) of its training clips.
        steps: Of each fine-tuning.

    Returns:
        The sentence of `verdict`.
    """
    share = max(LABEL_SHARE, smallest_share(labels))
    words = f"finetune --config demo_finetune --data {data} --max_steps {steps} --label_share {share:g}".split()
    print("\n== What pretraining buys: a classifier from few labels, and the same from new weights")
    print(f"$ s2i {shlex.join(words)} --label_seed 0 --seed 0 [--encoder untrained] ...  # also 1 and 2", flush=True)
    values: dict[str, list[float]] = {encoder: [] for encoder in ARMS}
    for draw in range(DRAWS):
        began, running = time.perf_counter(), {}
        for encoder in ARMS:
            own = f"--label_seed {draw} --seed {draw} --encoder {encoder} --output_dir {_run_of(encoder, draw)}".split()
            options: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
            running[encoder] = subprocess.Popen(_command(*words, *own), env=_environment(len(ARMS)), **options)
        said = {encoder: process.communicate()[0] for encoder, process in running.items()}
        for encoder, process in running.items():
            if process.returncode:
                print(said[encoder], file=sys.stderr)
                raise SystemExit(process.returncode)
            rows = read_results(_run_of(encoder, draw))
            values[encoder].append(next(float(row["value"]) for row in rows if row["metric"] == "top1"))
        found = ", ".join(f"{per_cent(shares[-1])} % from {ARMS[encoder]}" for encoder, shares in values.items())
        more = f"; {DRAWS - 1} more, about {duration(time.perf_counter() - began)} each" if draw == 0 else ""
        print(f"labels of seed {draw}: {found}{more}", flush=True)
    return verdict(values, len(stratified_share(labels, share, 0)) / len(np.unique(labels)))


def verdict(values: Mapping[str, Sequence[float]], labels_a_class: float) -> str:
    """What few labels gave each encoder, shares of right clips a draw, as one line: mean and standard error in per cent."""
    told = [
        f"{per_cent(statistics.mean(of))} ± {per_cent(standard_error(of))} from {ARMS[name]}"
        for name, of in values.items()
    ]
    return f"With {labels_a_class:.0f} labels a class: {', '.join(told)} ({len(values['pretrained'])} draws)."


def _run_of(encoder: str, draw: int) -> Path:
    return WORK / "few_labels" / f"{encoder}_{draw}"


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", __package__.partition(".")[0], *words]


def _environment(beside: int = 1) -> dict[str, str]:
    """Of a process that draws no bars and leaves the cores to as many `beside` each other."""
    threads = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // beside))} if beside > 1 else {}
    return {**threads, **os.environ, **NO_BARS}


def _step(title: str, *words: str) -> None:
    """Run a command of `s2i` in a fresh process; what goes wrong there ends the demo."""
    print(f"\n== {title}\n$ s2i {shlex.join(words)}", flush=True)
    done = subprocess.run(_command(*words), env=_environment())
    if done.returncode:
        raise SystemExit(done.returncode)
