"""What the tests of the ablation share: a small converted data set, and an ablation of micro models on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from skeleton_files import write_nw_ucla

from s2i_hf.data.convert import convert

BASE: dict[str, Any] = {
    "model": "config:micro", "size": 64, "max_steps": 3, "batch_size": 8, "base_lr": 0.05, "warmup_epochs": 0.5,
    "log_every": 1, "save_every": 1, "num_workers": 0,
}  # fmt: skip


def write_data(folder: Path) -> Path:
    """Random clips of two actions by four subjects in three views, converted; 16 train and 8 test."""
    names = [f"a{a:02}_s{s:02}_e00_v{v:02}" for a in (1, 2) for s in (1, 2, 3, 4) for v in (1, 2, 3)]
    write_nw_ucla(folder / "raw", names, frames=8)
    convert("nw_ucla_xview", folder / "raw", folder / "out", format="npz")
    return folder / "out"


def write_plan(path: Path, data: Path, **parts: Any) -> Path:
    """A YAML file of an ablation; `base` and `probe` are added to what all have."""
    plan = {"base": {"data": str(data), **BASE, **parts.pop("base", {})}, "probe": {"settings": ["knn"]}, **parts}
    path.write_text(yaml.safe_dump(plan))
    return path
