"""Stochastic depth and layer-wise learning rates."""

from __future__ import annotations

import copy

import pytest
import torch
from conftest import refused
from transformers import ViTConfig, ViTForImageClassification

from s2i_hf.models.classification import build_classifier
from s2i_hf.models.configuration_pooled_vit import POOLINGS
from s2i_hf.models.layerwise import DropPath, blocks_of, lr_groups, set_drop_path

CLASSES = ["wave", "kick", "fall"]
IMAGES = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(4))


# --- stochastic depth -------------------------------------------------------------------------------------------------


def test_drop_path_grows_with_depth_and_leaves_no_trace_in_the_weights() -> None:
    model, _ = build_classifier("config:tiny", CLASSES, image_size=32)
    keys = list(model.state_dict())
    assert not any(isinstance(module, DropPath) for module in model.modules())
    set_drop_path(model, 0.35)
    rates = [getattr(block.dropout, "rate", 0.0) for _, block in blocks_of(model)[0]]
    assert rates == pytest.approx([0.05 * index for index in range(8)]) and list(model.state_dict()) == keys
    model.eval()
    plain, _ = build_classifier("config:tiny", CLASSES, image_size=32)
    assert torch.equal(model(IMAGES).logits, plain.eval()(IMAGES).logits)
    set_drop_path(model, 0.7)
    assert blocks_of(model)[0][-1][1].dropout.rate == pytest.approx(0.7)  # replaced, and not added to
    set_drop_path(model, 0.0)
    assert not any(isinstance(module, DropPath) for module in model.modules())


def test_drop_path_drops_whole_samples_and_keeps_the_mean() -> None:
    drop = DropPath(0.25).train()
    torch.manual_seed(0)
    out = drop(torch.ones(4000, 3, 2))
    assert {round(value, 5) for value in out.unique().tolist()} == {0.0, round(1 / 0.75, 5)}
    assert torch.equal(out, out[:, :1, :1].expand_as(out)) and out.mean().item() == pytest.approx(1, abs=0.04)
    assert torch.equal(DropPath(0.25).eval()(out), out)
    both = DropPath(0.5, dropout=0.5).train()(torch.ones(200, 50))
    dropped = (both == 0).all(dim=1)
    assert 60 < dropped.sum() < 140 and (both[~dropped] == 0).float().mean().item() == pytest.approx(0.5, abs=0.05)


def test_the_dropout_that_drop_path_stands_in_for_goes_on() -> None:
    config = ViTConfig(hidden_size=16, num_hidden_layers=2, num_attention_heads=1, intermediate_size=16, image_size=32)
    config.hidden_dropout_prob = 0.2
    model = set_drop_path(ViTForImageClassification(config), 0.5)
    assert [block.dropout.p for block in model.vit.layers] == [0.2, 0.2]
    assert [block.dropout.p for block in set_drop_path(model, 0.0).vit.layers] == [0.2, 0.2]
    copied = copy.deepcopy(set_drop_path(model, 0.5))
    assert copied.vit.layers[1].dropout.rate == 0.5
    with refused(ValueError, match="no residual blocks"):
        set_drop_path(torch.nn.Linear(2, 2), 0.1)
    assert set_drop_path(torch.nn.Linear(2, 2), 0.0) is not None


# --- learning rates ---------------------------------------------------------------------------------------------------


def mae_level(name: str, num_layers: int) -> int:
    """The rule of MAE's fine-tuning: 0 for what makes the tokens, 1 .. n for the layers, n + 1 for the rest."""
    if ".embeddings." in name:
        return 0
    if ".layers." in name:
        return int(name.split(".layers.")[1].split(".")[0]) + 1
    return num_layers + 1


@pytest.mark.parametrize("pooling", POOLINGS)
def test_learning_rates_follow_the_depth_as_in_mae(pooling: str) -> None:
    model, _ = build_classifier("config:tiny", CLASSES, image_size=32, pooling=pooling, drop_path=0.1)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = lr_groups(model, 2e-3, 0.05, 0.65)
    seen: list[str] = []
    for group in groups:
        for parameter in group["params"]:
            name = names[id(parameter)]
            seen.append(name)
            assert group["lr"] == pytest.approx(2e-3 * 0.65 ** (9 - mae_level(name, 8))), name
            vector = parameter.ndim == 1 or "token" in name or "position" in name
            assert group["weight_decay"] == (0.0 if vector else 0.05), name
    assert sorted(seen) == sorted(names.values())
    torch.optim.AdamW(groups, lr=1.0)
    flat = lr_groups(model, 2e-3, 0.05, 1.0)
    assert {group["lr"] for group in flat} == {2e-3}


def test_frozen_weights_are_in_no_group_and_bad_decays_are_refused() -> None:
    model, _ = build_classifier("config:micro", CLASSES, image_size=32)
    model.vit.requires_grad_(False)
    [weight, bias] = lr_groups(model, 1e-3, 0.1, 0.5)
    assert weight["params"][0] is model.classifier.weight and weight["lr"] == bias["lr"] == 1e-3
    for decay in (0.0, 1.5):
        with pytest.raises(ValueError, match="layer_decay is"):
            lr_groups(model, 1e-3, 0.1, decay)
    with pytest.raises(ValueError, match="nothing to train"):
        lr_groups(model.requires_grad_(False), 1e-3, 0.1, 0.5)
