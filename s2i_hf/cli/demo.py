"""`s2i demo`: the whole chain in minutes, in runs/demo."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ..data.loading import as_rows, load_skeletons
from ..protocols import get_protocol
from ..utils.arguments import arg

WORK = Path("runs/demo_data")


@dataclass
class DemoArguments:
    """Flags of `s2i demo`."""

    data: str = arg("synthetic_xsub", "Protocol, such as bandai_namco_by_index.", was="dataset")
    data_dir: str | None = arg(None, "Folder with its raw files; synthetic people are written if none.")
    max_steps: int = arg(700, "Optimizer steps of the pretraining.")

    def __post_init__(self) -> None:
        get_protocol(self.data)  # an unknown one is named before its files are asked for
        if not self.data_dir and not self.data.startswith("synthetic_"):
            raise ValueError(f"--data {self.data} needs its raw files: --data_dir path/to/them.")


def demo(arguments: DemoArguments) -> None:
    """The seven steps, each a command that is shown.

    Raw skeleton files, skeleton arrays, S2I images, masks, a small ViT-MAE, a probe, a card: see runs/demo/README.md at the end.
    """
    converted, raw = str(WORK / "converted"), arguments.data_dir
    if not raw:
        raw = str(WORK / "skeletons")
        shutil.rmtree(raw, ignore_errors=True)
        _step("1. Raw skeleton files: synthetic people", "synthesize", "--output", raw)
    words = ["convert", arguments.data, "--data_dir", raw, "--output", converted, "--overwrite"]
    _step("2. Skeleton arrays: read, split by the protocol, converted once", *words)
    words = ["pretrain", "--config", "demo", "--max_steps", str(arguments.max_steps), "--no-progress"]
    _step("3-5. S2I images, masks and a small ViT-MAE", *words)
    _step("6-7. Probe and card", "probe", *f"--model runs/demo --data {converted} --copies 1 --pooling part".split())
    clip = as_rows(load_skeletons(converted)["test"])[0]
    np.save(WORK / "clip.npy", clip["joints"])
    words = [
        "infill",
        str(WORK / "clip.npy"),
        *f"--layout {clip['layout']} --model runs/demo --drop_joints left_arm".split(),
    ]
    words += ["--picture", "runs/demo/infilled.png"] if find_spec("matplotlib") else []
    _step("Everything again from the files: an arm is taken out of a test clip, and filled in", *words)
    print("\n== Done. See runs/demo/README.md, results.json and reconstruction.png")


def _step(title: str, *words: str) -> None:
    """Run a command of `s2i` in a fresh process; what goes wrong there ends the demo."""
    print(f"\n== {title}\n$ s2i {shlex.join(words)}", flush=True)
    done = subprocess.run([sys.executable, "-m", __package__.partition(".")[0], *words])
    if done.returncode:
        raise SystemExit(done.returncode)
