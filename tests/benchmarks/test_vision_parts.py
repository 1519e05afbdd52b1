"""Parts of a ViT-MAE that are carried over: exactly these tensors are the old ones, and all others are new."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from conftest import refused
from transformers import ViTMAEForPreTraining

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from vision_parts import PartArguments, carry_over

from s2i_hf.models.building import build_mae

PROJECTION = {"vit.embeddings.patch_embeddings.projection.weight", "vit.embeddings.patch_embeddings.projection.bias"}
FIXED = {"vit.embeddings.position_embeddings", "decoder.decoder_pos_embed"}  # the same table in any model


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights that no seed gives."""
    model = build_mae("config:micro", image_size=64)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name not in FIXED:
                parameter.add_(0.1 * torch.rand(parameter.shape) + 0.01)
    folder = tmp_path_factory.mktemp("parts") / "source"
    model.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("keep", ["patch_projection", "layers=1", "layers=2", "encoder", "all"])
def test_exactly_the_part_is_kept(keep: str, source: Path, tmp_path: Path) -> None:
    made = carry_over(PartArguments(str(source), keep, str(tmp_path / "out"), seed=4))
    old, new = (ViTMAEForPreTraining.from_pretrained(folder).state_dict() for folder in (source, made))
    assert old.keys() == new.keys() and [path.name for path in tmp_path.iterdir()] == ["out"]
    kept = {name for name in old if torch.equal(old[name], new[name])} - FIXED
    layers = [{name for name in old if name.startswith(f"vit.layers.{index}.")} for index in (0, 1)]
    assert layers[0] and layers[1]
    cut = PROJECTION | {"vit.embeddings.cls_token"} | layers[0]
    wanted = {
        "patch_projection": PROJECTION,
        "layers=1": cut,
        "layers=2": cut | layers[1],
        "encoder": {name for name in old if name.startswith("vit.")} - FIXED,
        "all": old.keys() - FIXED,
    }[keep]
    assert kept == wanted
    fresh = build_mae("config:micro", image_size=64, seed=4).state_dict()
    assert all(torch.equal(new[name], fresh[name]) for name in old if name not in wanted)


def test_what_is_no_part_is_refused(source: Path, tmp_path: Path) -> None:
    for keep, says in (
        ("layer=1", "expected patch_projection"),
        ("layers=3", "has 2 layers"),
        ("layers=0", "keep 1 to 2"),
    ):
        with refused(ValueError, match=says):
            carry_over(PartArguments(str(source), keep, str(tmp_path / "out")))
    with refused(FileNotFoundError, match="does not exist"):
        carry_over(PartArguments(str(tmp_path / "nowhere"), "all", str(tmp_path / "out")))
    assert not (tmp_path / "out").exists()
