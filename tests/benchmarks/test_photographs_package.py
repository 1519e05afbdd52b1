"""`vision:tiny` is packed as its file says: rounded once, by the rules of float16, with a card of the run's own numbers."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import refused
from safetensors.numpy import load_file

from s2i_hf.models.building import build_mae

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("photographs_package", ROOT / "benchmarks" / "photographs_package.py")
assert spec and spec.loader
package = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = package
spec.loader.exec_module(package)

RECIPE: dict[str, Any] = {
    "kind": "photographs", "model": "config:tiny", "passes": 12.5, "batch_size": 64, "lr": 1e-3, "warmup_steps": 400, "crop": [0.45, 1.0],
    "seed": 3, "learned_images": 39000, "steps": 7617, "held_out_loss": 0.51234, "loss": [[100, 1.0371], [7600, 0.5678]],
    "code": "0123456789ab",
}  # fmt: skip


def run_folder(folder: Path, model: str = "config:tiny", change: Any = None, **recipe: Any) -> Path:
    made = build_mae(model, image_size=112)
    if change is not None:
        with torch.no_grad():
            change(made)
    made.config.use_cache = False  # as the Trainer leaves it
    made.save_pretrained(folder)
    (folder / "photographs.json").write_text(json.dumps({**RECIPE, **recipe}))
    return folder


def test_what_is_packed(tmp_path: Path) -> None:
    made = package.pack(run_folder(tmp_path / "run"), tmp_path / "out")
    before, after = (load_file(tmp_path / name / "model.safetensors") for name in ("run", "out"))
    assert before.keys() == after.keys()
    for name, values in before.items():
        positions = name.endswith(("position_embeddings", "decoder_pos_embed"))
        assert after[name].dtype == (np.float32 if positions else np.float16)
        np.testing.assert_array_equal(after[name], values.astype(after[name].dtype))
    digest = hashlib.sha256((made / "model.safetensors").read_bytes()).hexdigest()
    assert (made / "SHA256SUMS").read_text().split() == [digest, "model.safetensors"]
    config = json.loads((made / "config.json").read_text())
    assert config["dtype"] == "float32" and "use_cache" not in config and str(tmp_path) not in json.dumps(config)
    assert (made / "LICENSE-weights").read_bytes() == (ROOT / "LICENSE-weights").read_bytes()
    assert {path.name for path in made.iterdir()} == {
        "LICENSE-weights", "README.md", "SHA256SUMS", "config.json", "model.safetensors"
    }  # fmt: skip


def test_the_card_has_the_numbers_of_the_run(tmp_path: Path) -> None:
    package.pack(run_folder(tmp_path / "run", model="config:tiny"), tmp_path / "out")
    text = (tmp_path / "out" / "README.md").read_text()
    for words in ("39,000 of 40,000 photographs", "1,000 were", "12.5 passes", "7,617 steps of 64", "0.5123", "0.5678", "seed 3",
                  "commit 0123456789ab", "start config:tiny", "4,243,840 numbers"):  # fmt: skip
        assert words in text, words
    assert max(map(len, text.splitlines())) < 180


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "scrambled"}, "scrambled; expected photographs"),
        ({"model": "config:micro"}, "is no config:tiny"),
        ({"change": lambda model: model.vit.layernorm.weight.fill_(1e5)}, "float16 cannot hold"),
    ],
)
def test_what_is_not_packed(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    run = run_folder(tmp_path / "run", **changes)
    with refused(ValueError, words):
        package.pack(run, tmp_path / "out")
    assert not (tmp_path / "out" / "model.safetensors").exists()


def test_a_run_that_is_not_finished_is_not_packed(tmp_path: Path) -> None:
    (run_folder(tmp_path / "run") / "photographs.json").unlink()
    with refused(ValueError, "finished benchmarks/photographs.py"):
        package.pack(tmp_path / "run", tmp_path / "out")
