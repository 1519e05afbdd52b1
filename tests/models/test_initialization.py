"""From-scratch ViT-MAEs: positions, seeds, and what they can learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from transformers import ViTMAEForPreTraining

from s2i_hf.models.backbones import untrained_backbone
from s2i_hf.models.building import build_mae, encoder_of
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
