"""Masked autoencoders from a size, vision weights or their own folder, and what is refused; the encoder alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import one_sentence, refused
from transformers import ViTConfig, ViTForImageClassification, ViTMAEConfig, ViTMAEForPreTraining, ViTMAEModel, ViTModel

from s2i_hf.models.building import MODEL_SIZES, build_diffmae, build_mae, encoder_of
from s2i_hf.models.configuration_diffmae import DiffMAEConfig
from s2i_hf.models.initialization import sincos_positions
from s2i_hf.models.modeling_diffmae import DiffMAEForPreTraining, DiffMAEModel

Weights = dict[str, torch.Tensor]


def same(a: torch.nn.Module | Weights, b: torch.nn.Module | Weights) -> bool:
    first, second = (one if isinstance(one, dict) else one.state_dict() for one in (a, b))
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def copy(model: torch.nn.Module) -> Weights:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def micro(**changes: object) -> ViTMAEForPreTraining:
    return build_mae("config:micro", image_size=64, **changes)  # type: ignore[arg-type]


FROZEN = {"vit.embeddings.position_embeddings", "denoiser.decoder_pos_embed"}


def frozen(model: torch.nn.Module) -> set[str]:
    return {name for name, parameter in model.named_parameters() if not parameter.requires_grad}


# --- sizes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", MODEL_SIZES)
def test_sizes_are_valid_configs(size: str) -> None:
    config = ViTMAEConfig(**MODEL_SIZES[size])
    assert config.hidden_size % config.num_attention_heads == 0 and config.hidden_size % 4 == 0
    assert config.decoder_hidden_size % config.decoder_num_attention_heads == 0 and config.decoder_hidden_size % 4 == 0
    assert config.intermediate_size == 4 * config.hidden_size
    if size == "base":  # that of facebook/vit-mae-base
        defaults = ViTMAEConfig()
        assert all(getattr(defaults, name) == value for name, value in MODEL_SIZES[size].items())


def test_the_config_says_what_was_asked_for() -> None:
    model = build_mae(
        "config:micro", image_size=96, patch_size=8, mask_ratio=0.6, norm_pix_loss=False, num_hidden_layers=1
    )
    config = model.config
    assert (config.image_size, config.patch_size, config.mask_ratio, config.norm_pix_loss) == (96, 8, 0.6, False)
    assert config.layer_norm_eps == 1e-6 and config.num_hidden_layers == 1
    assert model.vit.embeddings.position_embeddings.shape == (1, 1 + 144, 64)


# --- weights from a folder ----------------------------------------------------------------------------------------------


@pytest.fixture
def vision_weights(tmp_path: Path) -> tuple[Path, ViTMAEForPreTraining]:
    """A folder like facebook/vit-mae-base, small, written by the stock class with weights that no seed of ours gives."""
    sizes = dict(
        zip(
            ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"),
            (32, 2, 2, 64),
            strict=True,
        )
    )
    model = ViTMAEForPreTraining(
        ViTMAEConfig(**sizes, **{f"decoder_{key}": size for key, size in sizes.items()}, image_size=64, mask_ratio=0.5)
    )
    generator = torch.Generator().manual_seed(11)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    model.save_pretrained(tmp_path / "mae")
    return tmp_path / "mae", model


def test_a_folder_gives_its_weights_bit_by_bit(vision_weights: tuple[Path, ViTMAEForPreTraining]) -> None:
    folder, source = vision_weights
    model = build_mae(str(folder), image_size=64, mask_ratio=0.9, norm_pix_loss=True)
    assert same(copy(model), copy(source))
    assert model.config.mask_ratio == 0.9 and model.config.norm_pix_loss is True
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert frozen == {"vit.embeddings.position_embeddings", "decoder.decoder_pos_embed"}


def test_our_own_checkpoint_comes_back(tmp_path: Path) -> None:
    model = micro(seed=2)
    model.save_pretrained(tmp_path)
    again = build_mae(str(tmp_path), image_size=64)
    assert same(copy(again), copy(model))
    assert {n for n, p in again.named_parameters() if not p.requires_grad} == {
        n for n, p in model.named_parameters() if not p.requires_grad
    }


def test_an_encoder_without_decoder_gets_a_proper_one(
    vision_weights: tuple[Path, ViTMAEForPreTraining], tmp_path: Path
) -> None:
    _, source = vision_weights
    encoder = ViTMAEModel(source.config)
    encoder.load_state_dict(source.vit.state_dict())
    encoder.save_pretrained(tmp_path / "encoder")
    model = build_mae(str(tmp_path / "encoder"), image_size=64)
    assert same(copy(model.vit), copy(source.vit))
    table = model.decoder.decoder_pos_embed
    assert torch.equal(table, sincos_positions((4, 4), 32))
    assert not table.requires_grad and model.decoder.mask_token.abs().sum() > 0
    again = build_mae(str(tmp_path / "encoder"), image_size=64)
    assert same(copy(again), copy(model))  # the new decoder is no accident


def test_folder_errors_are_one_sentence(vision_weights: tuple[Path, ViTMAEForPreTraining], tmp_path: Path) -> None:
    folder, _ = vision_weights
    (tmp_path / "empty").mkdir()
    ViTConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=1, image_size=64).save_pretrained(
        tmp_path / "vit"
    )
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "config.json").write_text('{"model_type": "vit_m')
    for name, spoil in {
        "no weights": lambda path: path.unlink(),
        "cut off": lambda path: path.write_bytes(path.read_bytes()[:1000]),
        "not weights": lambda path: path.write_bytes(b"hello"),
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text((folder / "config.json").read_text())
        (tmp_path / name / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
        spoil(tmp_path / name / "model.safetensors")
    other_size = tmp_path / "other size"
    other_size.mkdir()
    (other_size / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    (other_size / "config.json").write_text(
        json.dumps(json.loads((folder / "config.json").read_text()) | {"hidden_size": 64})
    )
    cases = {
        str(tmp_path / "nowhere"): "does not exist",
        "./nowhere": "does not exist",
        "nobody/has-this-model": "cannot load model .* no folder here",
        str(tmp_path / "empty"): "config.json",
        str(tmp_path / "torn"): "cannot load model",
        str(tmp_path / "vit"): "is a 'vit'",
        str(tmp_path / "no weights"): "weights",
        str(tmp_path / "cut off"): "weights",
        str(tmp_path / "not weights"): "weights",
        str(other_size): "weights",
        str(folder): "64 x 64 images",
        "config:huge": "config:small",
        "config:": "config:small",
    }
    for name, says in cases.items():
        with pytest.raises((ValueError, FileNotFoundError), match=says) as caught:
            build_mae(name)  # image_size 224
        assert one_sentence(caught.value), (name, str(caught.value))
    with pytest.raises(ValueError, match="image size 100 is not a multiple of the patch size 16"):
        build_mae("config:micro", image_size=100)


# --- the encoder alone --------------------------------------------------------------------------------------------------


def test_encoder_features_equal_those_of_the_unmasked_mae() -> None:
    mae = micro(seed=1).eval()
    with torch.no_grad():
        for parameter in mae.parameters():  # no zero bias may hide a mistake
            if parameter.requires_grad:
                parameter.add_(0.02 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
    pixels = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    encoder = encoder_of(mae)
    mae.config.mask_ratio = mae.vit.config.mask_ratio = 0.0
    with torch.no_grad():
        expected = mae.vit(pixels, noise=torch.arange(16.0).expand(3, 16)).last_hidden_state
        found = encoder(pixels).last_hidden_state
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
        assert found.shape == (3, 17, 64) and not encoder.training
        for source in (mae.vit, encoder):
            assert torch.equal(encoder_of(source)(pixels).last_hidden_state, found)


def test_the_encoder_is_a_stock_vit_with_copied_weights(tmp_path: Path) -> None:
    mae = micro()
    encoder = encoder_of(mae)
    assert type(encoder) is ViTModel and encoder.pooler is None and encoder.config.layer_norm_eps == 1e-6
    assert not [key for key in encoder.config.to_dict() if "decoder_" in key]  # no trace of the MAE
    with torch.no_grad():
        encoder.embeddings.cls_token.add_(1)
    assert not torch.equal(encoder.embeddings.cls_token, mae.vit.embeddings.cls_token)
    encoder.save_pretrained(tmp_path)
    classifier = ViTForImageClassification.from_pretrained(tmp_path)
    assert same(copy(ViTModel.from_pretrained(tmp_path, add_pooling_layer=False)), copy(encoder))
    assert torch.equal(classifier.vit.embeddings.cls_token, encoder.embeddings.cls_token)
    assert encoder_of(ViTModel(encoder.config)).pooler is None
    with refused(ValueError, match="Linear has no ViT encoder"):
        encoder_of(torch.nn.Linear(2, 2))


# --- DiffMAE ----------------------------------------------------------------------------------------------------------


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
        ("mae", {"patch_size": 8}, "have patches of 16 pixels, not 8; set patch_size to 16"),
        ("joint", {"image_size": (64, 40)}, "image size 64 x 40 is not a multiple of the patch size 16"),
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
