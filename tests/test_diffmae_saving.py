"""DiffMAE on disk: saved, loaded elsewhere, found by the Auto classes, and its encoder inside stock ViT."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import torch
from diffmae_micro import DECODERS, draws, make, same
from safetensors import safe_open
from transformers import AutoModel, AutoModelForPreTraining, ViTForImageClassification, ViTModel

from s2i_hf.models.configuration_diffmae import DiffMAEConfig
from s2i_hf.models.initialization import encoder_of
from s2i_hf.models.modeling_diffmae import DiffMAEForPreTraining, DiffMAEModel, encode_visible


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
        expected = encode_visible(model.vit, pixels, torch.arange(16).expand(2, 16))[-1]
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
