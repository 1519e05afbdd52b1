"""DiffMAE on disk: saved, loaded elsewhere, found by the Auto classes, and its encoder inside stock ViT."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from diffmae_micro import DECODERS, draws, make, same
from safetensors import safe_open
from transformers import AutoModel, AutoModelForPreTraining, ViTForImageClassification, ViTModel

from s2i_hf.models.building import encoder_of
from s2i_hf.models.configuration_diffmae import DiffMAEConfig
from s2i_hf.models.modeling_diffmae import DiffMAEForPreTraining, DiffMAEModel


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


def test_files_of_remote_code_know_each_other_only_as_neighbours(tmp_path: Path) -> None:
    """`from .x import` within models/, at the top or in a function: all else is not copied, or not found."""
    models = Path(__file__).parents[2] / "s2i_hf" / "models"
    wanted, seen = ["modeling_diffmae"], set()
    while wanted:
        name = wanted.pop()
        seen.add(name)
        for node in ast.walk(ast.parse((models / f"{name}.py").read_text())):
            if isinstance(node, ast.Import):
                assert not any(alias.name.split(".")[0] == "s2i_hf" for alias in node.names), name
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                assert (node.module or "").split(".")[0] != "s2i_hf", name
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 1 and node.module and "." not in node.module, name
                if node.module not in seen:
                    wanted.append(node.module)
    assert seen == {
        "configuration_diffmae", "initialization", "modeling_diffmae", "sampling_diffmae", "scheduling_diffmae",
    }  # fmt: skip
    assert all((models / f"{name}.py").is_file() for name in seen)
