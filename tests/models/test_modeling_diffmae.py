"""DiffMAE against a slow reference; its encoder against stock ViTMAE; ways to compute it; on disk; what it learns and what it refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import one_sentence, refused
from diffmae_micro import DECODERS, draws, make, same, weights
from diffmae_reference import alpha_bars, ddpm_step, forward
from safetensors import safe_open
from torch import Tensor
from transformers import AutoModel, AutoModelForPreTraining, ViTForImageClassification, ViTMAEModel, ViTModel

from s2i_hf.models.backbones import untrained_backbone
from s2i_hf.models.building import build_diffmae, build_mae, encoder_of
from s2i_hf.models.configuration_diffmae import DiffMAEConfig
from s2i_hf.models.initialization import sincos_positions
from s2i_hf.models.modeling_diffmae import DiffMAEForPreTraining, DiffMAEModel, encoder_blocks_seen

# --- against the slow reference ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("decoder_type", "changes"),
    [
        *((decoder, {}) for decoder in DECODERS),
        ("cross", {"noisy_input": "plain", "norm_pix_loss": True, "rho": 0.8}),
        ("cross-self", {"decoder_num_hidden_layers": 1, "rho": 0.8, "rho_on": "alpha_bar"}),
        (
            "joint",
            {
                "noisy_input": "plain",
                "norm_pix_loss": True,
                "mask_ratio": 0.4,
                "num_train_timesteps": 10,
                "beta_end": 0.3,
            },
        ),
        ("cross", {"num_hidden_layers": 2, "decoder_num_hidden_layers": 5, "mask_ratio": 0.9}),
    ],
)
def test_forward_and_loss_equal_the_reference(decoder_type: str, changes: dict[str, Any]) -> None:
    model = make(decoder_type, **changes)
    given = draws(levels=2, steps=model.config.num_train_timesteps)
    with torch.no_grad():
        outputs = model(**given)
    loss, predicted = forward(weights(model), model.config, *(given[name].double().numpy() if name != "timesteps"
                              else given[name].numpy() for name in given))  # fmt: skip
    assert outputs.logits.shape == (2, 2, 16, 192)
    np.testing.assert_allclose(outputs.logits.numpy(), predicted, atol=1e-5, rtol=1e-5)
    assert float(outputs.loss) == pytest.approx(loss, rel=1e-5)
    assert np.abs(predicted).max() > 0.5  # not a comparison of zeros


@pytest.mark.parametrize("decoder_type", DECODERS)
def test_a_ddpm_step_of_the_model_equals_the_reference(decoder_type: str) -> None:
    model = make(decoder_type)
    config, given = model.config, draws(batch=1)
    step, earlier = 300, 280
    given["timesteps"] = torch.tensor([step])
    bars = alpha_bars(config.num_train_timesteps, config.beta_start, config.beta_end, config.rho, config.rho_on)
    _, predicted = forward(
        weights(model),
        config,
        given["pixel_values"].double().numpy(),
        given["noise"].double().numpy(),
        np.array([[step]]),
        given["diffusion_noise"][:, None].double().numpy(),
    )
    with torch.no_grad():
        clean = model(**given).logits
    noisy, fresh = torch.randn(2, 1, 16, 192, generator=torch.Generator().manual_seed(5))
    found = model.schedule.ddpm_step(clean, noisy, step, earlier, fresh)
    expected = ddpm_step(bars, predicted[:, 0], noisy.double().numpy(), step, earlier, fresh.double().numpy())
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


def test_another_target_is_noised_and_predicted() -> None:
    model, given = make(), draws(levels=1)
    targets = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(9))
    with torch.no_grad():
        outputs = model(**given, target_pixel_values=targets)
        own = model(**given)
    loss, predicted = forward(weights(model), model.config, *(given[name].double().numpy() if name != "timesteps"
                              else given[name].numpy() for name in given), targets.double().numpy())  # fmt: skip
    np.testing.assert_allclose(outputs.logits.numpy(), predicted, atol=1e-5, rtol=1e-5)
    assert float(outputs.loss) == pytest.approx(loss, rel=1e-5)
    assert abs(float(own.loss) - loss) > 1e-3


@pytest.mark.parametrize(
    ("encoder", "decoder", "expected"),
    [
        (4, 4, [3, 2, 1, 0]),
        (12, 8, [11, 9, 8, 6, 5, 3, 2, 0]),
        (24, 8, [23, 20, 16, 13, 10, 7, 3, 0]),
        (12, 2, [11, 0]),
        (12, 1, [11]),
        (2, 4, [1, 1, 0, 0]),
        (1, 3, [0, 0, 0]),
    ],
)
def test_decoder_blocks_see_encoder_blocks_in_a_u(encoder: int, decoder: int, expected: list[int]) -> None:
    assert encoder_blocks_seen(encoder, decoder) == expected


@pytest.mark.parametrize("decoder_type", ["cross", "cross-self"])
def test_the_pairing_is_what_the_decoder_looks_at(decoder_type: str) -> None:
    """A change of one encoder block's output changes the prediction only if a decoder block is paired with it."""
    model = make(decoder_type, num_hidden_layers=5, decoder_num_hidden_layers=2)
    generator = torch.Generator().manual_seed(0)
    states = [torch.randn(1, 5, 64, generator=generator) for _ in range(5)]
    noisy, ids = torch.randn(1, 1, 12, 192, generator=generator), torch.arange(16)[None]

    def predict(seen: list[Tensor]) -> Tensor:
        with torch.no_grad():
            return model.denoiser(noisy, torch.tensor([[7]]), ids[:, 4:], ids[:, :4], seen)

    before = predict(states)
    for block in range(5):
        changed = [state + (place == block) for place, state in enumerate(states)]
        changed[block] = states[block].flip(2)
        assert torch.equal(predict(changed), before) == (block in (1, 2, 3))


def test_in_cross_a_noisy_patch_does_not_see_another() -> None:
    for decoder_type in DECODERS:
        model, given = make(decoder_type), draws(batch=1)
        moved = {**given, "diffusion_noise": given["diffusion_noise"].clone()}
        hidden = int(given["noise"].argmax())
        moved["diffusion_noise"][0, hidden] += 1
        with torch.no_grad():
            change = (model(**moved).logits - model(**given).logits)[0].abs().amax(dim=1) > 1e-7
        assert change[hidden]
        assert int(change.sum()) == (1 if decoder_type == "cross" else 12)


def test_levels_do_not_see_each_other() -> None:
    for decoder_type in DECODERS:
        model, given = make(decoder_type), draws(levels=3)
        with torch.no_grad():
            together = model(**given)
            apart = [
                model(given["pixel_values"], given["noise"], given["timesteps"][:, k], given["diffusion_noise"][:, k])
                for k in range(3)
            ]
        assert apart[0].logits.shape == (2, 16, 192)
        for k in range(3):
            torch.testing.assert_close(together.logits[:, k], apart[k].logits, atol=1e-5, rtol=1e-5)
        assert float(together.loss) == pytest.approx(float(sum(one.loss for one in apart)) / 3, rel=1e-5)


# --- the stock encoder ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ratio", [0.75, 0.3])
def test_the_encoder_computes_what_stock_vitmae_computes(ratio: float) -> None:
    model, given = make(mask_ratio=ratio), draws()
    assert type(model.vit) is ViTMAEModel
    kept = int(16 * (1 - ratio))
    with torch.no_grad():
        stock = model.vit(given["pixel_values"], noise=given["noise"], output_hidden_states=True)
        states = model.encode(given["pixel_values"], given["noise"].argsort(dim=1)[:, :kept])
        outputs = model(**given)
    assert torch.equal(states[-1], stock.last_hidden_state)
    for ours, theirs in zip(states[:-1], stock.hidden_states[1:-1], strict=True):
        assert torch.equal(ours, theirs)
    assert torch.equal(outputs.mask, stock.mask) and torch.equal(outputs.ids_restore, stock.ids_restore)
    assert (outputs.logits[stock.mask == 0] == 0).all() and (outputs.logits[stock.mask == 1] != 0).all()


def test_patches_are_those_of_vitmae_and_fold_back() -> None:
    model, mae = make(), build_mae("config:micro", image_size=32, patch_size=8)
    images = draws()["pixel_values"]
    assert torch.equal(model.patchify(images), mae.patchify(images))
    assert torch.equal(model.unpatchify(model.patchify(images)), images)


@pytest.mark.parametrize("built_by", ["constructor", "build_diffmae", "untrained_backbone"])
def test_a_new_model_has_positions_and_tokens(built_by: str) -> None:
    config = DiffMAEConfig(hidden_size=64, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64,
                           decoder_hidden_size=32, decoder_num_hidden_layers=1, decoder_num_attention_heads=2,
                           decoder_intermediate_size=64, image_size=64)  # fmt: skip
    model: Any = (
        DiffMAEForPreTraining(config) if built_by == "constructor" else build_diffmae("config:micro", image_size=64)
    )
    if built_by == "untrained_backbone":
        model = untrained_backbone(model, seed=3)
    tables = {
        "vit.embeddings.position_embeddings": sincos_positions((4, 4), 64),
        "denoiser.decoder_pos_embed": sincos_positions((4, 4), 32),
    }
    for name, table in tables.items():
        assert torch.equal(model.get_parameter(name).detach(), table), name
    assert {name for name, p in model.named_parameters() if not p.requires_grad} == set(tables)
    assert 0.005 < float(model.vit.embeddings.cls_token.detach().std()) < 0.05


def test_the_encoder_alone_has_positions_too() -> None:
    encoder = DiffMAEModel(make().config)
    assert torch.equal(encoder.embeddings.position_embeddings.detach(), sincos_positions((4, 4), 64))
    assert not encoder.embeddings.position_embeddings.requires_grad
    assert float(encoder.embeddings.cls_token.detach().std()) > 0


# --- learning ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("decoder_type", DECODERS)
def test_a_tiny_model_learns_to_paint_a_template(decoder_type: str) -> None:
    """Every image is the same picture and a little noise: a model that knows where a patch is and how noisy it is rebuilds it."""
    colours = torch.randn(3, 4, 4, generator=torch.Generator().manual_seed(0))
    template = colours.repeat_interleave(8, dim=1).repeat_interleave(8, dim=2)
    model = build_diffmae(
        "config:micro", image_size=32, patch_size=8, decoder_type=decoder_type, noise_levels=2
    ).train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=3e-3)
    generator = torch.Generator().manual_seed(1)
    losses = []
    for _ in range(150):
        pixels = template + 0.05 * torch.randn(8, 3, 32, 32, generator=generator)
        given = {
            "noise": torch.rand(8, 16, generator=generator),
            "timesteps": torch.randint(1000, (8, 2), generator=generator),
            "diffusion_noise": torch.randn(8, 2, 16, 192, generator=generator),
        }
        loss = model(pixels, **given).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 0.8 and np.mean(losses[-10:]) < 0.2, (losses[0], losses[-5:])


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"decoder_type": "crosss"}, "decoder_type is 'crosss'; expected one of cross, cross-self, joint"),
        ({"mask_ratio": 1.0}, "leaves 0 of 196 patches visible"),
        ({"mask_ratio": 0.999}, "leaves 0 of 196 patches visible"),
        ({"mask_ratio": 0.0}, "leaves 196 of 196 patches visible"),
        ({"mask_ratio": -0.5}, "mask_ratio -0.5"),
        ({"image_size": 100}, "image size 100 is not a multiple of the patch size 16"),
        ({"image_size": 8}, "image size 8"),
        ({"image_size": [224, 100]}, "image size 224 x 100 is not a multiple"),
        ({"noise_levels": 0}, "noise_levels is 0"),
        ({"time_embedding_size": 7}, "time_embedding_size is 7"),
        ({"decoder_hidden_size": 500}, "the decoder has 500 channels and 16 heads"),
        ({"num_attention_heads": 5}, "the encoder has 768 channels and 5 heads"),
        ({"noisy_input": "raw"}, "noisy_input is 'raw'; expected one of scaled, plain"),
        ({"rho_on": "gamma"}, "rho_on is 'gamma'"),
    ],
)
def test_configs_that_cannot_be_built_are_refused(settings: dict[str, Any], says: str) -> None:
    with refused(ValueError, match=says):
        DiffMAEConfig(**settings)


def test_arguments_that_do_not_fit_are_refused() -> None:
    model, given = make(), draws()
    cases: list[tuple[dict[str, Any], str]] = [
        ({"pixel_values": torch.zeros(2, 3, 64, 64)}, r"shape \(2, 3, 64, 64\); this model takes \(batch, 3, 32, 32\)"),
        ({"pixel_values": torch.zeros(2, 1, 32, 32)}, r"takes \(batch, 3, 32, 32\)"),
        ({"pixel_values": torch.zeros(3, 32, 32)}, r"takes \(batch, 3, 32, 32\)"),
        ({"target_pixel_values": torch.zeros(2, 3, 8, 8)}, r"takes \(batch, 3, 32, 32\)"),
        ({"noise": torch.zeros(2, 15)}, r"noise has the shape \(2, 15\); expected \(2, 16\)"),
        ({"timesteps": torch.tensor([0, 1000])}, "timesteps are 0 .. 1000; this model knows 0 .. 999"),
        ({"timesteps": torch.tensor([-1, 5])}, "timesteps are -1 .. 5"),
        ({"timesteps": torch.tensor([0.5, 0.1])}, "expected whole numbers"),
        ({"timesteps": torch.tensor([1, 2, 3])}, r"of shape \(3,\); expected whole numbers of shape \(2,\)"),
        (
            {"timesteps": torch.ones(2, 3, dtype=torch.long)},
            r"diffusion_noise has the shape .* expected \(2, 3, 16, 192\)",
        ),
        ({"diffusion_noise": torch.zeros(2, 12, 192)}, r"expected \(2, 1, 16, 192\)"),
    ]
    for changes, says in cases:
        with pytest.raises(ValueError, match=says) as caught:
            model(**{**given, **changes})
        assert one_sentence(caught.value), str(caught.value)
    model.config.mask_ratio = 0.99
    with pytest.raises(ValueError, match="leaves 0 of 16 patches visible"):
        model(**given)


def test_what_is_not_given_is_drawn() -> None:
    model, pixels = make(noise_levels=3), draws()["pixel_values"]
    with torch.no_grad():
        torch.manual_seed(0)
        first, second = model(pixels), model(pixels)
        torch.manual_seed(0)
        again = model(pixels)
    assert first.logits.shape == (2, 3, 16, 192) and first.timesteps.shape == (2, 3)
    assert not torch.equal(first.mask, second.mask) and float(first.loss) != float(second.loss)
    assert float(first.loss) == float(again.loss)
    with torch.no_grad():
        as_tuple = model(pixels, return_dict=False)
    assert isinstance(as_tuple, tuple) and as_tuple[0].ndim == 0 and len(as_tuple) == 5


# --- how it is computed must not change what is computed: attention, checkpointing, compilation, half precision -------


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


# --- on disk ----------------------------------------------------------------------------------------------------------


def test_saved_and_loaded_in_another_process_the_loss_is_the_same(tmp_path: Path) -> None:
    given, expected = draws(levels=2), []
    torch.save(given, tmp_path / "given.pt")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for decoder_type in DECODERS:
        model = make(decoder_type, rho=0.8, noise_levels=2)
        model.save_pretrained(tmp_path / decoder_type)
        with torch.no_grad():
            expected.append(model(**given).loss.item().hex())
    torch.set_num_threads(threads)
    code = (
        "import sys, torch; from s2i_hf.models.modeling_diffmae import DiffMAEForPreTraining as M; torch.set_num_threads(1)\n"
        "given = torch.load(sys.argv[1] + '/given.pt', weights_only=True)\n"
        "for name in sys.argv[2:]:\n"
        "    m, report = M.from_pretrained(sys.argv[1] + '/' + name, output_loading_info=True)\n"
        "    assert not any(report.values()), report\n"
        "    with torch.no_grad(): print(m(**given).loss.item().hex())"
    )
    words = [sys.executable, "-c", code, str(tmp_path), *DECODERS]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == expected and len(set(expected)) == 3


def test_names_on_disk_are_names_in_memory_in_the_denoiser(tmp_path: Path) -> None:
    """What transformers translates for ViT must not touch our own names, or another version of it could not read them."""
    for decoder_type in DECODERS:
        model = make(decoder_type)
        model.save_pretrained(tmp_path / decoder_type)
        with safe_open(tmp_path / decoder_type / "model.safetensors", "pt") as file:
            stored = {name for name in file.keys() if not name.startswith("vit.")}  # noqa: SIM118
        assert stored == {name for name in model.state_dict() if not name.startswith("vit.")}


def test_the_config_comes_back(tmp_path: Path) -> None:
    config = DiffMAEConfig(decoder_type="joint", rho=0.8, rho_on="alpha_bar", noise_levels=4, time_embedding_size=64)
    config.save_pretrained(tmp_path)
    again = DiffMAEConfig.from_pretrained(tmp_path)
    assert again.to_dict() == config.to_dict() and again.model_type == "diffmae"
    assert json.loads((tmp_path / "config.json").read_text())["rho_on"] == "alpha_bar"
    assert DiffMAEConfig().layer_norm_eps == 1e-6 and not DiffMAEConfig().norm_pix_loss


def test_the_encoder_in_a_vit_classifier_gives_the_same_features(tmp_path: Path) -> None:
    model, pixels = make(), draws()["pixel_values"]
    model.save_pretrained(tmp_path)
    classifier = ViTForImageClassification.from_pretrained(tmp_path).eval()
    vit = ViTModel.from_pretrained(tmp_path, add_pooling_layer=False).eval()
    with torch.no_grad():
        expected = model.encode(pixels, torch.arange(16).expand(2, 16))[-1]
        assert torch.equal(classifier.vit(pixels).last_hidden_state, expected)
        assert torch.equal(vit(pixels).last_hidden_state, expected)
        assert torch.equal(encoder_of(model)(pixels).last_hidden_state, expected)


def test_auto_classes_know_it(tmp_path: Path) -> None:
    model = make()
    model.save_pretrained(tmp_path)
    again, encoder = AutoModelForPreTraining.from_pretrained(tmp_path), AutoModel.from_pretrained(tmp_path)
    assert type(again) is DiffMAEForPreTraining and same(again, model)
    assert type(encoder) is DiffMAEModel and same(encoder, model.vit)
    with torch.no_grad():
        given = draws()
        expected = model.vit(given["pixel_values"], noise=given["noise"]).last_hidden_state
        assert torch.equal(encoder.eval()(given["pixel_values"], noise=given["noise"]).last_hidden_state, expected)
    encoder.save_pretrained(tmp_path / "encoder")
    assert same(AutoModel.from_pretrained(tmp_path / "encoder"), model.vit)


def test_remote_code_needs_no_s2i_hf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files beside the weights are enough, in a process that cannot import the package: same loss, same samples."""
    for class_, auto in ((DiffMAEConfig, "AutoConfig"), (DiffMAEForPreTraining, "AutoModelForPreTraining")):
        monkeypatch.setattr(class_, "_auto_class", class_._auto_class)  # taken back after the test
        class_.register_for_auto_class(auto)
    given, mask = draws(levels=2), (torch.arange(16) % 3 > 0).float().expand(2, 16)
    torch.save({**given, "mask": mask.clone()}, tmp_path / "given.pt")
    expected, threads = [], torch.get_num_threads()
    torch.set_num_threads(1)
    for decoder_type in DECODERS:
        model = make(decoder_type, rho=0.8, noise_levels=2)
        model.save_pretrained(tmp_path / decoder_type)
        with torch.no_grad():
            expected.append(model(**given).loss.item().hex())
        expected.append(model.generate(given["pixel_values"], mask, 2, "ddpm", seed=3).double().sum().item().hex())
    torch.set_num_threads(threads)
    code = """
import sys
sys.modules["s2i_hf"] = None  # an import of it fails from here on
import torch
from transformers import AutoModelForPreTraining
torch.set_num_threads(1)
given = torch.load("given.pt", weights_only=True)
mask = given.pop("mask")
for name in sys.argv[1:]:
    model, report = AutoModelForPreTraining.from_pretrained(name, trust_remote_code=True, output_loading_info=True)
    assert not any(report.values()), report
    assert type(model).__module__.startswith("transformers_modules."), type(model)
    with torch.no_grad():
        print(model(**given).loss.item().hex())
    print(model.generate(given["pixel_values"], mask, 2, "ddpm", seed=3).double().sum().item().hex())
assert not [name for name in sys.modules if name.startswith("s2i_hf.")]
"""
    env = {**os.environ, "HF_MODULES_CACHE": str(tmp_path / "modules"), "HF_HUB_OFFLINE": "1"}
    words = [sys.executable, "-c", code, *DECODERS]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == expected and len(set(expected)) == 6


def test_states_and_attentions_of_the_encoder_are_given_when_asked_for() -> None:
    model = make("joint").eval()
    model.set_attn_implementation("eager")
    images, noise = torch.randn(2, 3, 32, 32), torch.rand(2, model.config.num_patches)
    model.config.mask_ratio = 0.5
    with torch.no_grad():
        found = model(images, noise=noise, output_hidden_states=True, output_attentions=True)
        stock = ViTMAEModel(model.config)
        stock.load_state_dict(model.vit.state_dict())
        stock.set_attn_implementation("eager")
        wanted = stock.eval()(images, noise=noise, output_hidden_states=True, output_attentions=True)
        for name in ("hidden_states", "attentions"):
            assert len(found[name]) == len(wanted[name])
            for one, other in zip(found[name], wanted[name], strict=True):
                torch.testing.assert_close(one, other)
        plain = model(images, noise=noise)
    assert plain.hidden_states is None and plain.attentions is None
    model.set_attn_implementation("sdpa")
    assert refused(lambda: model(images, output_attentions=True), "attn_implementation='eager' alone")


@pytest.mark.parametrize("decoder_type", DECODERS)
def test_images_of_another_size_are_seen_as_by_a_model_of_that_size(decoder_type: str) -> None:
    model = make(decoder_type).eval()
    other = DiffMAEForPreTraining(DiffMAEConfig(**{**model.config.to_dict(), "image_size": (64, 16)})).eval()
    state = {
        name: value for name, value in model.state_dict().items() if "position" not in name and "pos_embed" not in name
    }
    other.load_state_dict(state, strict=False)
    images, patch = torch.randn(2, 3, 64, 16), model.config.patch_size
    length = (64 // patch) * (16 // patch)
    given = {
        "noise": torch.rand(2, length), "timesteps": torch.tensor([3, 9]),
        "diffusion_noise": torch.randn(2, length, 3 * patch**2),
    }  # fmt: skip
    with torch.no_grad():
        found, wanted = model(images, interpolate_pos_encoding=True, **given), other(images, **given)
    torch.testing.assert_close(found.logits, wanted.logits)
    assert refused(lambda: model(images), "this model takes (batch, 3, 32, 32).")
    assert refused(
        lambda: model(images[..., :15], interpolate_pos_encoding=True), f"or other multiples of {patch} pixels"
    )
