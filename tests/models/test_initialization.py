"""From-scratch ViT-MAEs: positions, seeds, what they can learn; vision weights from a folder; the encoder alone."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import one_sentence
from transformers import ViTConfig, ViTForImageClassification, ViTMAEConfig, ViTMAEForPreTraining, ViTMAEModel, ViTModel

from s2i_hf.models.backbones import untrained_backbone
from s2i_hf.models.building import MODEL_SIZES, build_mae, encoder_of
from s2i_hf.models.initialization import initialize_mae, sincos_positions

Weights = dict[str, torch.Tensor]


def same(a: Weights, b: Weights) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def copy(model: torch.nn.Module) -> Weights:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def micro(**changes: object) -> ViTMAEForPreTraining:
    return build_mae("config:micro", image_size=64, **changes)  # type: ignore[arg-type]


# --- positions ----------------------------------------------------------------------------------------------------------


def positions_by_loop(rows: int, columns: int, dim: int) -> np.ndarray:
    """facebookresearch/mae: a quarter of the channels each for sin and cos of the column, then of the row; CLS is zero."""
    table = np.zeros((1 + rows * columns, dim))
    quarter = dim // 4
    for row in range(rows):
        for column in range(columns):
            for k in range(quarter):
                speed = 1 / 10000 ** (k / quarter)
                place = 1 + row * columns + column
                table[place, k] = math.sin(column * speed)
                table[place, quarter + k] = math.cos(column * speed)
                table[place, 2 * quarter + k] = math.sin(row * speed)
                table[place, 3 * quarter + k] = math.cos(row * speed)
    return table


@pytest.mark.parametrize(("grid", "dim"), [((14, 14), 64), ((4, 4), 192), ((3, 5), 32)])
def test_positions_equal_the_loop(grid: tuple[int, int], dim: int) -> None:
    found = sincos_positions(grid, dim)
    assert found.shape == (1, 1 + grid[0] * grid[1], dim) and found.dtype == torch.float32
    np.testing.assert_allclose(found[0].numpy(), positions_by_loop(*grid, dim), atol=1e-6)
    with pytest.raises(ValueError, match="hidden size 30"):
        sincos_positions((2, 2), 30)


def test_positions_equal_those_transformers_would_fill() -> None:
    embeddings = micro().vit.embeddings
    with torch.no_grad():
        embeddings.position_embeddings.zero_()
    embeddings.patch_embeddings.projection._is_hf_initialized = False  # type: ignore[assignment]
    embeddings.initialize_weights()  # never called by the constructor, which is why `initialize_mae` exists
    torch.testing.assert_close(embeddings.position_embeddings.detach(), sincos_positions((4, 4), 64), atol=1e-6, rtol=0)


@pytest.mark.parametrize("size", ["micro", "tiny"])
def test_no_table_of_a_new_model_is_zero_and_both_are_frozen(size: str) -> None:
    model = build_mae(f"config:{size}")
    tables = {"encoder": model.vit.embeddings.position_embeddings, "decoder": model.decoder.decoder_pos_embed}
    for table in tables.values():
        np.testing.assert_allclose(table[0].detach().numpy(), positions_by_loop(14, 14, table.shape[2]), atol=1e-6)
        assert not table.requires_grad
    assert len({tuple(row.tolist()) for row in tables["decoder"][0]}) == 197
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert frozen == {"vit.embeddings.position_embeddings", "decoder.decoder_pos_embed"}


def test_weights_are_drawn_as_in_mae() -> None:
    model = build_mae("config:tiny", seed=4)
    for name, parameter in model.named_parameters():
        values = parameter.detach()
        if name.endswith(("cls_token", "mask_token")):
            assert 0.015 < values.std() < 0.025, name
        elif "norm" in name:
            assert (values == (1.0 if name.endswith("weight") else 0.0)).all(), name
        elif name.endswith("bias"):
            assert (values == 0).all(), name
        elif values.ndim >= 2 and "pos" not in name:
            fan_out, fan_in = len(values), values[0].numel()  # the patch projection counts as a linear layer
            bound = math.sqrt(6 / (fan_in + fan_out))
            assert values.abs().max() <= bound and 0.95 < values.std() / (bound / math.sqrt(3)) < 1.05, name


def test_same_seed_same_weights_whatever_ran_before() -> None:
    torch.manual_seed(1)
    first = copy(micro(seed=7))
    torch.manual_seed(2)
    torch.rand(10)
    assert same(copy(micro(seed=7)), first)
    other = copy(micro(seed=8))
    moved = [name for name in first if not torch.equal(first[name], other[name])]
    assert any("query" in name or "q_proj" in name for name in moved) and any("mask_token" in name for name in moved)


def test_the_global_random_state_is_left_alone() -> None:
    state = torch.get_rng_state()
    model = micro(seed=3)
    encoder = encoder_of(model)
    untrained_backbone(encoder, 5)
    initialize_mae(model, 6)
    assert torch.equal(torch.get_rng_state(), state)


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


def test_positions_let_the_decoder_paint_a_template() -> None:
    """Every image is the same picture and a little noise: the loss falls only if the decoder knows where a patch is."""
    colours = torch.randn(3, 4, 4, generator=torch.Generator().manual_seed(0))
    template = colours.repeat_interleave(8, dim=1).repeat_interleave(8, dim=2)  # a colour a patch
    losses = {}
    for positions in ("proper", "zero in the decoder"):
        model = build_mae("config:micro", image_size=32, patch_size=8, norm_pix_loss=False, seed=0)
        if positions != "proper":
            model.decoder.decoder_pos_embed.data.zero_()
        optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=3e-3)
        generator = torch.Generator().manual_seed(1)
        for _ in range(80):
            pixels = template + 0.05 * torch.randn(8, 3, 32, 32, generator=generator)
            loss = model(pixels, noise=torch.rand(8, 16, generator=generator)).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        losses[positions] = loss.item()
    assert losses["proper"] < 0.2 and losses["zero in the decoder"] > 0.7, losses


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
    np.testing.assert_allclose(table[0].detach(), positions_by_loop(4, 4, 32), atol=1e-6)
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
        "nobody/has-this-model": "cannot load model",
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
    with pytest.raises(ValueError, match="Linear has no ViT encoder") as caught:
        encoder_of(torch.nn.Linear(2, 2))
    assert one_sentence(caught.value)


@pytest.mark.parametrize("kind", ["mae", "encoder", "stock vit"])
def test_the_untrained_backbone_is_the_same_architecture_with_fresh_weights(kind: str) -> None:
    model: torch.nn.Module = micro(seed=1, mask_ratio=0.6)
    if kind != "mae":
        model = encoder_of(model) if kind == "encoder" else ViTModel(encoder_of(model).config)
    before = copy(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1)  # training
    trained = copy(model)
    fresh = untrained_backbone(model, seed=1)
    assert type(fresh) is type(model) and not fresh.training
    assert {name: tensor.shape for name, tensor in fresh.state_dict().items()} == {
        n: t.shape for n, t in trained.items()
    }
    assert same(copy(model), trained)  # the trained model is left alone
    table = next(p for name, p in fresh.named_parameters() if name.endswith("embeddings.position_embeddings"))
    np.testing.assert_allclose(table[0].detach(), positions_by_loop(4, 4, 64), atol=1e-6)
    if kind == "mae":
        assert same(copy(fresh), before)  # same seed, same start
        assert fresh.config.mask_ratio == 0.6 and fresh.config is not model.config
    assert not same(copy(untrained_backbone(model, seed=2)), copy(fresh))
