"""How DiffMAE is computed must not change what is computed: attention functions, checkpointing, compilation, half precision."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from diffmae_micro import DECODERS, draws, make
from torch import Tensor

from s2i_hf.models.modeling_diffmae import DiffMAEForPreTraining


@pytest.mark.parametrize("decoder_type", DECODERS)
def test_attention_is_chosen_as_in_transformers(decoder_type: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, given = make(decoder_type), draws()
    calls = []
    sdpa = torch.nn.functional.scaled_dot_product_attention

    def counted(*arguments: Any, **options: Any) -> Tensor:
        calls.append(arguments[0].shape)
        return sdpa(*arguments, **options)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", counted)
    with torch.no_grad():
        fused = model(**given)
        wanted = 4 + 3 * (2 if decoder_type == "cross-self" else 1)  # every block of encoder and decoder
        assert len(calls) == wanted and model.config._attn_implementation == "sdpa"
        model.set_attn_implementation("eager")
        eager = model(**given)
    assert len(calls) == wanted
    torch.testing.assert_close(eager.logits, fused.logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("decoder_type", DECODERS)
def test_gradient_checkpointing_changes_nothing(decoder_type: str) -> None:
    model, given = make(decoder_type).train(), draws(levels=2)

    def gradients() -> dict[str, Tensor]:
        model.zero_grad()
        model(**given).loss.backward()
        return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}

    plain = gradients()
    assert plain.keys() == {name for name, p in model.named_parameters() if p.requires_grad}  # none is left out
    counted = []
    for block in (*model.vit.layers, *model.denoiser.blocks):
        block.mlp_norm_calls = 0
        norm = block.mlp_norm if hasattr(block, "mlp_norm") else block.layernorm_after
        norm.register_forward_hook(lambda *_, block=block: counted.append(block))
    gradients()
    assert len(counted) == 7
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # transformers 5.23 has another name for it
        model.gradient_checkpointing_enable()
    counted.clear()
    checkpointed = gradients()
    assert len(counted) == 14  # every block of encoder and decoder was computed twice
    assert plain.keys() == checkpointed.keys()
    for name in plain:
        torch.testing.assert_close(checkpointed[name], plain[name], msg=name)


def _compiled(decoder_type: str, backend: str) -> None:
    torch._dynamo.reset()
    depth = {"num_hidden_layers": 2, "decoder_num_hidden_layers": 2}
    model, given = make(decoder_type, noise_levels=2, **depth).train(), draws(levels=2)
    step = torch.compile(
        lambda **named: model(**named).loss, fullgraph=True, backend=backend
    )  # fullgraph: no graph breaks
    loss = step(**given)
    loss.backward()
    found = {name: p.grad.clone() for name, p in model.named_parameters() if p.requires_grad}
    model.zero_grad()
    expected = model(**given).loss
    expected.backward()
    torch.testing.assert_close(loss, expected)
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, model.get_parameter(name).grad, atol=1e-5, rtol=1e-3, msg=name)
    if decoder_type == "cross":
        drawn = step(pixel_values=given["pixel_values"])  # what is drawn inside is no break either
        assert torch.isfinite(drawn)


@pytest.mark.parametrize("decoder_type", DECODERS)
def test_a_training_step_is_one_graph(decoder_type: str) -> None:
    _compiled(decoder_type, "aot_eager")


@pytest.mark.slow
@pytest.mark.parametrize("decoder_type", DECODERS)
def test_a_training_step_compiles_to_code(decoder_type: str) -> None:
    _compiled(decoder_type, "inductor")


@pytest.mark.parametrize("decoder_type", DECODERS)
def test_half_precision_keeps_the_noise_levels_apart(decoder_type: str, tmp_path: Path) -> None:
    """bfloat16 cannot tell abar_0 = 0.9999 from 1: the schedule must not follow the weights."""
    model, given = make(decoder_type), draws(levels=2)
    with torch.no_grad():
        expected = model(**given)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            mixed = model(**given)
        model.save_pretrained(tmp_path)
        half = DiffMAEForPreTraining.from_pretrained(tmp_path, dtype=torch.bfloat16).eval()
        low = half(**{name: value.bfloat16() if name == "pixel_values" else value for name, value in given.items()})
    assert half.schedule.sigma.dtype == torch.float32 and 0.009 < float(half.schedule.sigma[0]) < 0.011
    for outputs in (mixed, low):
        assert float(outputs.loss) == pytest.approx(float(expected.loss), rel=0.03)
        torch.testing.assert_close(outputs.logits.float(), expected.logits, atol=0.1, rtol=0.1)
