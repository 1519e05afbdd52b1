"""Pretraining and fine-tuning of list rows and of .npz where `datasets`, `evaluate`, pyarrow, pandas and Pillow are not installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from skeleton_files import write_nw_ucla

from s2i_hf.data.convert import convert

PROGRAM = """
import sys

for name in ("datasets", "evaluate", "pyarrow", "pandas", "PIL"):
    sys.modules[name] = None  # an import of it fails, as where it is not installed

from pathlib import Path

import finetune_clips as clips
from s2i_hf import SkeletonProcessor, as_rows, build_mae, load_skeletons
from s2i_hf.training import PretrainArguments, pretrain

here, data = Path(sys.argv[1]), clips.data()
arguments = PretrainArguments(
    data=sys.argv[2], output_dir=str(here / "mae"), model="config:micro", size=32, batch_size=8, max_steps=3, log_every=1
)
processor = SkeletonProcessor(layout="kinect_v1", **arguments.processor_options)
stored = load_skeletons(**arguments.data_options)
assert len(as_rows(stored["train"])) == 18
pretrain(arguments, build_mae(arguments.model, **arguments.model_options), processor, stored)
summary = clips.run(here / "classifier", data, model=str(here / "mae"), max_steps=3, ema=0.9, card=True)
assert summary["steps"] == 3 and 0 <= summary["top1"] <= 1
"""


def test_a_training_needs_no_library_of_data(tmp_path: Path) -> None:
    names = [f"a{a:02}_s{s:02}_e00_v{v:02}" for a in (1, 2, 3) for s in (1, 2, 3) for v in (1, 2, 3)]
    write_nw_ucla(tmp_path / "raw", names)
    convert("nw_ucla_xview", tmp_path / "raw", tmp_path / "npz", format="npz")
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    words = [sys.executable, "-c", PROGRAM, str(tmp_path), str(tmp_path / "npz")]
    done = subprocess.run(words, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    for run in ("mae", "classifier"):
        names = {path.name for path in (tmp_path / run).iterdir()}
        assert {"model.safetensors", "preprocessor_config.json", "summary.json", "README.md"} <= names
    assert "No reconstruction.png: " in done.stdout and "No confusion.png: " in done.stdout
