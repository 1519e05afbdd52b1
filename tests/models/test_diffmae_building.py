"""`build_diffmae`: from a size, from weights of MAE, from its own weights, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import one_sentence
from transformers import ViTConfig, ViTMAEForPreTraining, ViTModel

from s2i_hf.models.building import MODEL_SIZES, build_diffmae, build_mae
from s2i_hf.models.configuration_diffmae import DiffMAEConfig
from s2i_hf.models.modeling_diffmae import DiffMAEForPreTraining, DiffMAEModel

FROZEN = {"vit.embeddings.position_embeddings", "denoiser.decoder_pos_embed"}


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    first, second = a.state_dict(), b.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def frozen(model: torch.nn.Module) -> set[str]:
    return {name for name, parameter in model.named_parameters() if not parameter.requires_grad}


@pytest.mark.parametrize("size", MODEL_SIZES)
def test_every_size_is_that_of_the_mae(size: str) -> None:
    config = DiffMAEConfig(**MODEL_SIZES[size])
    with torch.device("meta"):
        model = DiffMAEForPreTraining(config)
        mae = ViTMAEForPreTraining(config)
    assert {n: p.shape for n, p in model.vit.named_parameters()} == {n: p.shape for n, p in mae.vit.named_parameters()}
    assert len(model.denoiser.blocks) == len(mae.decoder.decoder_layers)
    assert model.denoiser.predict.weight.shape == mae.decoder.decoder_pred.weight.shape
    assert model.schedule.signal.device.type == "cpu" and model.schedule.signal[0] > 0.99  # also beside meta weights


def test_same_seed_same_weights_whatever_ran_before() -> None:
    torch.manual_seed(1)
    first = build_diffmae("config:micro", image_size=64, seed=7)
    state = torch.get_rng_state()
    torch.manual_seed(2)
    assert same(build_diffmae("config:micro", image_size=64, seed=7), first)
    torch.set_rng_state(state)
    build_diffmae("config:micro", image_size=64, seed=8)
    assert torch.equal(torch.get_rng_state(), state)
    other = build_diffmae("config:micro", image_size=64, seed=8)
    moved = {n for n, p in other.named_parameters() if not torch.equal(p, first.get_parameter(n))}
    assert {"vit.embeddings.cls_token", "denoiser.predict.weight", "denoiser.time_embed.fc1.weight"} <= moved
    assert frozen(first) == FROZEN


def test_settings_reach_the_config() -> None:
    model = build_diffmae(
        "config:micro", image_size=96, patch_size=8, mask_ratio=0.6, norm_pix_loss=True, decoder_type="joint", rho=0.8,
        rho_on="alpha_bar", noise_levels=3, num_hidden_layers=1, noisy_input="plain",
    )  # fmt: skip
    config = model.config
    assert (config.image_size, config.patch_size, config.mask_ratio, config.norm_pix_loss) == (96, 8, 0.6, True)
    assert (config.decoder_type, config.rho, config.rho_on, config.noise_levels) == ("joint", 0.8, "alpha_bar", 3)
    assert config.noisy_input == "plain" and config.layer_norm_eps == 1e-6 and len(model.vit.layers) == 1
    assert model.vit.embeddings.position_embeddings.shape == (1, 1 + 144, 64)


@pytest.mark.parametrize("saved", ["whole", "encoder"])
def test_weights_of_mae_go_into_the_encoder_bit_for_bit(tmp_path: Path, saved: str) -> None:
    mae = build_mae("config:micro", image_size=64, seed=3, layer_norm_eps=1e-12, decoder_num_hidden_layers=2)
    with torch.no_grad():
        for parameter in mae.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
    (mae if saved == "whole" else mae.vit).save_pretrained(tmp_path)
    model = build_diffmae(str(tmp_path), image_size=64, decoder_type="cross-self", seed=5).eval()
    assert same(model.vit, mae.vit) and frozen(model) == FROZEN
    assert model.config.layer_norm_eps == 1e-12 and model.config.decoder_type == "cross-self"
    assert len(model.denoiser.blocks) == 2 and model.config.model_type == "diffmae"
    assert same(model.denoiser, build_diffmae(str(tmp_path), image_size=64, decoder_type="cross-self", seed=5).denoiser)
    pixels, ids = torch.randn(2, 3, 64, 64), torch.arange(16).expand(2, 16)
    with torch.no_grad():
        states = model.encode(pixels, ids)
        mae.config.mask_ratio = 0.0
        expected = mae.eval().vit(pixels, noise=torch.arange(16.0).expand(2, 16)).last_hidden_state
    assert torch.equal(states[-1], expected)
    if saved == "whole":  # also without build_diffmae
        plain = DiffMAEForPreTraining.from_pretrained(tmp_path)
        assert same(plain.vit, mae.vit) and float(plain.denoiser.decoder_pos_embed.detach().abs().sum()) > 0
        assert same(DiffMAEModel.from_pretrained(tmp_path), mae.vit)


def test_its_own_weights_come_back_whole(tmp_path: Path) -> None:
    model = build_diffmae("config:micro", image_size=64, seed=3, rho=0.8)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1)
    model.save_pretrained(tmp_path)
    again = build_diffmae(str(tmp_path), image_size=64, mask_ratio=0.5, noise_levels=2, rho=1.0)
    assert same(again, model) and frozen(again) == FROZEN
    config = again.config
    assert (config.mask_ratio, config.noise_levels, config.rho) == (0.5, 2, 1.0)
    assert again.schedule.alphas_cumprod[500] > 10 * model.schedule.alphas_cumprod[500]
    assert build_diffmae(str(tmp_path), image_size=64).config.rho == 0.8  # what is not said stays


def test_wrong_models_are_one_sentence(tmp_path: Path) -> None:
    for name, model in {
        "joint": build_diffmae("config:micro", image_size=64, decoder_type="joint"),
        "vit": ViTModel(ViTConfig(hidden_size=64, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64)),
        "mae": build_mae("config:micro", image_size=64),
    }.items():
        model.save_pretrained(tmp_path / name)
    DiffMAEModel.from_pretrained(tmp_path / "joint").save_pretrained(tmp_path / "encoder")
    (tmp_path / "empty").mkdir()
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "config.json").write_text((tmp_path / "joint" / "config.json").read_text())
    (tmp_path / "cut" / "model.safetensors").write_bytes((tmp_path / "joint" / "model.safetensors").read_bytes()[:1000])
    cases: list[tuple[str, dict[str, Any], str]] = [
        ("config:huge", {}, "the sizes are config:micro"),
        ("nowhere", {}, "does not exist"),
        ("empty", {}, "holds no config.json"),
        ("vit", {}, "is a 'vit'; DiffMAE starts from a 'diffmae' or 'vit_mae' model"),
        ("mae", {"image_size": 224}, "are for 64 x 64 images, but the processor makes 224 x 224; set the size to 64"),
        ("joint", {"image_size": 224}, "set the size to 64"),
        ("joint", {"decoder_type": "cross"}, "have decoder_type 'joint', not 'cross'; set it to 'joint'"),
        ("joint", {"decoder_hidden_size": 64}, "have decoder_hidden_size 32, not 64"),
        ("encoder", {}, "the weights in .* lack"),
        ("cut", {}, "cannot load the weights"),
        ("config:micro", {"decoder_typ": "joint"}, "'decoder_typ' is no field"),
        ("config:micro", {"decoder_type": "both"}, "expected one of cross, cross-self, joint"),
        ("config:micro", {"mask_ratio": 0.99}, "leaves 0 of 16 patches visible"),
        ("config:micro", {"image_size": 100}, "image size 100 is not a multiple of the patch size 16"),
    ]
    for name, changes, says in cases:
        folder = name if name.startswith("config:") else str(tmp_path / name)
        with pytest.raises((ValueError, FileNotFoundError), match=says) as caught:
            build_diffmae(folder, **{"image_size": 64, **changes})
        assert one_sentence(caught.value), (name, str(caught.value))
