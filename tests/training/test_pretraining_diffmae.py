"""DiffMAE in the pretraining loop: its loss, noise that batches and interruptions do not change, its settings, and the example."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import refused
from torch import Tensor, nn

from s2i_hf.models.building import build_diffmae
from s2i_hf.models.modeling_diffmae import DiffMAEForPreTraining, normalise_patches
from s2i_hf.processing.image_processing_skeleton import SkeletonProcessor
from s2i_hf.processing.masking import mask_noise
from s2i_hf.training.pretrain_arguments import DiffMAEArguments
from s2i_hf.training.pretraining import build_optimizer, diffmae_loss, draw_noise, pretrain
from s2i_hf.utils.arguments import parse

ROOT = Path(__file__).parents[2]
MICRO = {"data": "random", "model": "config:micro", "size": 64, "epochs": 3, "batch_size": 4, "base_lr": 0.3,
         "warmup_epochs": 0.5, "log_every": 1, "save_every": 3, "card": False, "num_workers": 0, "noise_levels": 2}  # fmt: skip


def clips(count: int) -> list[dict[str, Any]]:
    generator = np.random.default_rng(0)
    rows = []
    for index in range(count):
        shape = (int(generator.integers(5, 31)), 1 + index % 2, 20, 3)
        joints = generator.normal(0, 0.4, (1, *shape[1:])) + np.cumsum(generator.normal(0, 0.05, shape), axis=0)
        rows.append({"joints": joints.astype(np.float32), "layout": "kinect_v1", "label": 0, "subject": 1, "camera": 1,
                     "sample_id": f"clip{index:03}"})  # fmt: skip
    return rows


def run(run_dir: Path, compute_loss: Any = diffmae_loss, **settings: Any) -> dict[str, Any]:
    arguments = DiffMAEArguments(**{"output_dir": str(run_dir), **MICRO, **settings})
    processor = SkeletonProcessor(layout="kinect_v1", **arguments.processor_options)
    model = build_diffmae(arguments.model, **arguments.model_options, hidden_dropout_prob=0.1)
    return pretrain(arguments, model, processor, {"train": clips(28)}, compute_loss=compute_loss)


def curve(run_dir: Path) -> list[tuple[int, float]]:
    rows = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()[1:]]
    return [(row["step"], row["loss"]) for row in rows]


# --- the loss ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm_pix_loss", [False, True])
def test_the_loss_is_the_error_of_the_predicted_patches(norm_pix_loss: bool) -> None:
    model = build_diffmae("config:micro", image_size=64, noise_levels=3, norm_pix_loss=norm_pix_loss).eval()
    images, targets = torch.randn(2, 4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    noise = mask_noise("random", list("abcd"), (4, 4), 0.75)
    for target in (images, targets):
        with torch.no_grad():
            loss = diffmae_loss(model, images, noise, target)
            steps, drawn = draw_noise(noise, 3, 1000, 768)
            outputs = model(images, noise, steps, drawn, target)
        wanted = model.patchify(target)
        wanted = normalise_patches(wanted) if norm_pix_loss else wanted
        errors = [
            float(((outputs.logits[b, k, patch] - wanted[b, patch]) ** 2).mean())
            for b in range(4)
            for k in range(3)
            for patch in range(16)
            if noise[b, patch] >= 4
        ]
        assert len(errors) == 4 * 3 * 12 and float(loss) == pytest.approx(sum(errors) / len(errors), rel=1e-5)


def test_the_loss_of_a_batch_is_the_mean_of_its_parts() -> None:
    """And not another one because other clips lie beside them."""
    model = build_diffmae("config:micro", image_size=64, noise_levels=2).eval()
    images = torch.randn(6, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    noise = mask_noise("random", list("abcdef"), (4, 4), 0.75)
    torch.manual_seed(0)
    with torch.no_grad():
        whole = float(diffmae_loss(model, images, noise, images))
        torch.manual_seed(1)
        parts = [
            float(diffmae_loss(model, images[at], noise[at], images[at]))
            for at in (slice(0, 2), slice(2, 4), slice(4, 6))
        ]
    assert whole == pytest.approx(sum(parts) / 3, rel=1e-5)


def test_a_wrapped_model_is_looked_into() -> None:
    class Wrapped(nn.Module):
        def __init__(self, module: nn.Module) -> None:
            super().__init__()
            self.module = module

        def forward(self, *given: Any, **named: Any) -> Any:
            return self.module(*given, **named)

    model = build_diffmae("config:micro", image_size=64).eval()
    images, noise = torch.randn(2, 3, 64, 64), mask_noise("random", ["a", "b"], (4, 4), 0.75)
    with torch.no_grad():
        assert torch.equal(
            diffmae_loss(Wrapped(model), images, noise, images), diffmae_loss(model, images, noise, images)
        )


def test_everything_is_trained_but_the_positions_and_only_matrices_decay() -> None:
    for decoder_type in ("cross", "cross-self", "joint"):
        model = build_diffmae("config:micro", image_size=64, decoder_type=decoder_type)
        images, noise = torch.randn(2, 3, 64, 64), mask_noise("random", ["a", "b"], (4, 4), 0.75)
        diffmae_loss(model, images, noise, images).backward()
        without = {name for name, p in model.named_parameters() if p.grad is None}
        assert without == {"vit.embeddings.position_embeddings", "denoiser.decoder_pos_embed"}
        optimizer = build_optimizer(model, DiffMAEArguments(data="x"))
        decayed = {id(p) for p in optimizer.param_groups[0]["params"]}
        matrices = {id(m.weight) for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d)}
        assert decayed == matrices


# --- the loop ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = tmp_path_factory.mktemp("undisturbed") / "run"
    summary = run(run_dir)
    assert summary["model_type"] == "DiffMAEForPreTraining" and summary["steps"] == 21
    return run_dir


def test_a_run_learns_and_is_a_model_folder(undisturbed: Path) -> None:
    losses = [loss for _, loss in curve(undisturbed)]
    assert all(map(math.isfinite, losses)) and np.mean(losses[-7:]) < 0.9 * np.mean(losses[:7])
    model = DiffMAEForPreTraining.from_pretrained(undisturbed)
    assert model.config.noise_levels == 2 and not model.config.norm_pix_loss
    assert json.loads((undisturbed / "config.json").read_text())["model_type"] == "diffmae"
    assert SkeletonProcessor.from_pretrained(undisturbed).size == {"height": 64, "width": 64}


def test_interrupted_and_resumed_it_ends_with_the_same_weights(undisturbed: Path, tmp_path: Path) -> None:
    calls = 0

    def breaks(model: nn.Module, images: Tensor, noise: Tensor, targets: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        if calls == 11:  # between checkpoints
            raise InterruptedError
        return diffmae_loss(model, images, noise, targets)

    with pytest.raises(InterruptedError):
        run(tmp_path / "run", breaks)
    torch.manual_seed(99)
    run(tmp_path / "run", resume="auto")
    assert curve(tmp_path / "run") == curve(undisturbed)
    assert (tmp_path / "run/model.safetensors").read_bytes() == (undisturbed / "model.safetensors").read_bytes()


def test_micro_batches_see_the_noise_of_the_whole_batch(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    seen: dict[Path, list[Tensor]] = {whole: [], parts: []}

    def note(run_dir: Path) -> Any:
        def loss(model: nn.Module, images: Tensor, noise: Tensor, targets: Tensor) -> Tensor:
            seen[run_dir].append(draw_noise(noise, 2, 1000, 768)[0])
            return diffmae_loss(model, images, noise, targets)

        return loss

    run(whole, note(whole), batch_size=4, epochs=1, warmup_epochs=0.1)
    run(parts, note(parts), batch_size=2, gradient_accumulation=2, epochs=1, warmup_epochs=0.1)
    assert len(seen[whole]) == 7 and torch.equal(torch.cat(seen[whole]), torch.cat(seen[parts]))


def test_the_motion_of_a_clip_can_be_the_target(tmp_path: Path) -> None:
    assert math.isfinite(run(tmp_path / "run", target="motion", epochs=1, warmup_epochs=0.1)["loss"])


# --- settings and the example -----------------------------------------------------------------------------------------


def test_settings_of_the_decoder_reach_the_model() -> None:
    arguments = DiffMAEArguments(
        data="ntu60_xsub", decoder_type="joint", noise_levels=3, rho=0.8, rho_on="alpha_bar", num_train_timesteps=100,
        beta_end=0.1, noisy_input="plain", size=64,
    )  # fmt: skip
    config = build_diffmae("config:micro", **arguments.model_options).config
    for name in ("decoder_type", "noise_levels", "rho", "rho_on", "num_train_timesteps", "beta_end", "noisy_input"):
        assert getattr(config, name) == getattr(arguments, name), name
    assert arguments.output_dir == "runs/diffmae_ntu60_xsub" and config.norm_pix_loss is False
    assert DiffMAEArguments(data="a", output_dir="mine").output_dir == "mine"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"noise_levels": 0}, "--noise_levels is 0"),
        ({"rho": -1.0}, "rho is -1.0"),
        ({"beta_start": 0.5}, "beta_start is 0.5"),
        ({"num_train_timesteps": 0}, "num_train_timesteps is 0"),
        ({"epochs": 0}, "--epochs is 0"),
    ],
)
def test_settings_out_of_range(settings: dict[str, Any], says: str) -> None:
    with refused(ValueError, match=says):
        DiffMAEArguments(data="x", **settings)


def test_an_unknown_decoder_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(DiffMAEArguments, ["--data", "x", "--decoder_type", "corss"])
    assert "--decoder_type is 'corss'; expected one of cross, cross-self, joint" in capsys.readouterr().err


def test_the_command_runs_from_raw_files(tmp_path: Path) -> None:
    from s2i_hf.synthetic.people import write_dataset

    write_dataset(tmp_path / "raw", subjects=2, replications=1)
    words = ["--data", "synthetic_xsub", "--data_dir", tmp_path / "raw", "--cache_dir", tmp_path / "cache"]
    words += [
        "--model",
        "config:micro",
        "--size",
        64,
        "--batch_size",
        6,
        "--max_steps",
        3,
        "--no-card",
        "--noise_levels",
        2,
    ]
    words += ["--output_dir", tmp_path / "run"]
    done = subprocess.run(
        [sys.executable, "-m", "s2i_hf", "pretrain", "--method", "diffmae", *map(str, words)],
        capture_output=True, text=True, timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [step for step, _ in curve(tmp_path / "run")] == [3] and "DiffMAEForPreTraining" in done.stdout
    assert DiffMAEForPreTraining.from_pretrained(tmp_path / "run").config.noise_levels == 2
