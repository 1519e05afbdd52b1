"""Plain attention on a CPU: the same numbers, in every part of a model, and nothing of it in what is saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from s2i_hf.models.building import build_diffmae, build_mae
from s2i_hf.models.classification import build_classifier
from s2i_hf.utils.attention import suited_attention


def mae() -> Any:
    return build_mae("config:micro", image_size=64)


def diffmae() -> Any:
    return build_diffmae("config:micro", image_size=64, decoder_type="cross-self")


def classifier() -> Any:
    return build_classifier("config:micro", ["sit", "wave"], pooling="columns", image_size=64)[0]


@pytest.mark.parametrize("build", [mae, diffmae, classifier])
def test_all_parts_compute_the_same_without_fused_attention(build: Any, fused_attention: list[torch.dtype]) -> None:
    model, calls = build().train(), fused_attention
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(3, 3, 64, 64, generator=generator)
    extra = {} if build is classifier else {"noise": torch.rand(3, 16, generator=generator)}

    def gradients() -> tuple[torch.Tensor, list[torch.Tensor]]:
        torch.manual_seed(0)  # the noise of DiffMAE
        model.zero_grad()
        out = model(pixel_values=images, **extra)
        loss = out.logits[:, 0].sum() if build is classifier else out.loss
        loss.backward()
        return loss.detach(), [weight.grad.clone() for weight in model.parameters() if weight.grad is not None]

    usual = gradients()
    assert len(calls) >= 2
    calls.clear()
    with suited_attention(model, "cpu", "bf16"):
        plain = gradients()
        assert not calls  # neither in the encoder nor in the decoder
    again = gradients()
    assert calls and torch.equal(again[0], usual[0])
    torch.testing.assert_close(plain[0], usual[0], atol=1e-5, rtol=1e-5)
    for one, other in zip(plain[1], usual[1], strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3)


def test_a_gpu_keeps_what_transformers_takes_and_so_does_who_asked_for_another() -> None:
    model = mae()
    for device, precision in (("cuda", "bf16"), ("cpu", "no")):
        with suited_attention(model, device, precision):
            assert model.config._attn_implementation == "sdpa"
    model.config._attn_implementation = "flash_attention_2"
    with suited_attention(model, "cpu", "bf16"):
        assert model.config._attn_implementation == "flash_attention_2"
    assert model.config._attn_implementation == "flash_attention_2"


def test_nothing_of_it_is_saved(tmp_path: Path) -> None:
    model = mae()
    model.save_pretrained(tmp_path / "before")
    with suited_attention(model, "cpu", "bf16"):
        model.save_pretrained(tmp_path / "after")
    assert (tmp_path / "before" / "config.json").read_bytes() == (tmp_path / "after" / "config.json").read_bytes()
    loaded = type(model).from_pretrained(tmp_path / "after")
    assert loaded.config._attn_implementation == "sdpa"
