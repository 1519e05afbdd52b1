"""Parameters and FLOPs against the models themselves and against counting by hand."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from transformers import ViTConfig, ViTMAEConfig, ViTMAEForPreTraining, ViTModel

from s2i_hf.models.building import MODEL_SIZES
from s2i_hf.models.configuration_diffmae import DiffMAEConfig
from s2i_hf.models.model_cost import model_cost
from s2i_hf.models.modeling_diffmae import DiffMAEForPreTraining


def transformer_flops(tokens, width, inner, layers):
    """Two FLOPs for each multiplication and addition of the matrix products."""
    projections = 4 * tokens * width * width
    attention = 2 * tokens * tokens * width
    return 2 * layers * (projections + attention + 2 * tokens * width * inner)


@pytest.mark.parametrize("size", ["micro", "small"])
def test_vit_mae(size):
    config = ViTMAEConfig(**MODEL_SIZES[size])
    cost = model_cost(config.to_dict())
    model = ViTMAEForPreTraining(config)
    assert cost["parameters"] == sum(parameter.numel() for parameter in model.parameters())
    assert cost["encoder_parameters"] == sum(parameter.numel() for parameter in model.vit.parameters())
    width, inner, layers = config.hidden_size, config.intermediate_size, config.num_hidden_layers
    patches = 2 * 196 * width * 16 * 16 * 3
    assert cost["encoder_flops"] == patches + transformer_flops(197, width, inner, layers)
    narrow = config.decoder_hidden_size
    decoder = transformer_flops(197, narrow, config.decoder_intermediate_size, config.decoder_num_hidden_layers)
    ends = 2 * 50 * width * narrow + 2 * 197 * narrow * 16 * 16 * 3  # 49 visible patches and the class token go in
    assert cost["pretraining_flops"] == patches + transformer_flops(50, width, inner, layers) + decoder + ends


def test_base_is_the_17_6_gigamacs_of_the_literature():
    assert model_cost(ViTMAEConfig().to_dict())["encoder_flops"] / 2e9 == pytest.approx(17.6, abs=0.1)


def test_vit_has_no_decoder():
    config = ViTConfig(hidden_size=64, num_hidden_layers=2, num_attention_heads=2, intermediate_size=128, image_size=32)
    cost = model_cost(config.to_dict())
    model = ViTModel(config, add_pooling_layer=False)
    assert cost["encoder_parameters"] == sum(parameter.numel() for parameter in model.parameters())
    assert cost["encoder_flops"] == 2 * 4 * 64 * 768 + transformer_flops(5, 64, 128, 2)
    assert set(cost) == {"encoder_parameters", "encoder_flops"}
    assert model_cost({**config.to_dict(), "model_type": "pooled_vit", "pooling": "mean"}) == cost


def test_unknown_models_are_not_guessed():
    assert model_cost({}) == {} and model_cost({"model_type": "bert"}) == {}


@pytest.mark.parametrize("levels", [1, 3])
@pytest.mark.parametrize("decoder_type", ["cross", "cross-self", "joint"])
def test_diffmae(decoder_type, levels):
    config = DiffMAEConfig(**MODEL_SIZES["micro"], decoder_type=decoder_type, noise_levels=levels, mask_ratio=0.5)
    cost = model_cost(config.to_dict())
    model = DiffMAEForPreTraining(config)
    assert cost["parameters"] == sum(parameter.numel() for parameter in model.parameters())
    assert cost["encoder_parameters"] == sum(parameter.numel() for parameter in model.vit.parameters())
    width, narrow, inner = config.hidden_size, config.decoder_hidden_size, config.decoder_intermediate_size
    depth, patches = config.decoder_num_hidden_layers, 2 * 196 * width * 16 * 16 * 3
    assert cost["encoder_flops"] == patches + transformer_flops(197, width, config.intermediate_size, 2)
    seen, noisy = 99, 98  # half of the patches and the class token; the other half, at each noise level
    ends = 2 * levels * noisy * 2 * narrow * 16 * 16 * 3  # in and out
    time = 2 * levels * (config.time_embedding_size * narrow + narrow * narrow)
    feed_forward = 4 * levels * noisy * narrow * inner
    queries_and_out = 2 * levels * noisy * 2 * narrow * narrow
    # keys and values of what the encoder saw, once for all noise levels; products with the queries of each
    cross = queries_and_out + 2 * seen * 2 * width * narrow + 2 * levels * 2 * noisy * seen * narrow
    among = queries_and_out + 2 * levels * noisy * 2 * narrow * narrow + 2 * levels * 2 * noisy * noisy * narrow
    block = {
        "cross": cross + feed_forward,
        "cross-self": cross + among + feed_forward,
        "joint": levels * transformer_flops(seen + noisy, narrow, inner, 1),
    }[decoder_type]
    taken_over = 2 * seen * width * narrow if decoder_type == "joint" else 0
    encoder = patches + transformer_flops(seen, width, config.intermediate_size, 2)
    assert cost["pretraining_flops"] == encoder + taken_over + depth * block + ends + time


def test_measuring_speed_writes_it_into_the_card(tmp_path, monkeypatch, capsys):
    """benchmarks/cost.py: a run's model and the graph network, timed on this machine; a folder of something else is refused."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    import cost

    from s2i_hf.models.classification import build_classifier
    from s2i_hf.processing.image_processing_skeleton import SkeletonProcessor

    model, _ = build_classifier("config:micro", ["wave", "throw"], image_size=32)
    model.save_pretrained(tmp_path / "run")
    SkeletonProcessor(layout="kinect_v1", size=32).save_pretrained(tmp_path / "run")
    (tmp_path / "run" / "run.yaml").write_text("model: config:micro\nlayer_decay: 0.75\n")
    assert cost.main([str(tmp_path / "run"), "--batch_size", "2", "--repeats", "1", "--device", "cpu"]) == 0
    measured = json.loads((tmp_path / "run" / "cost.json").read_text())
    assert measured["batch_size"] == 2 and all(speed > 0 for speed in measured["clips_per_second"].values())
    shown = f"{measured['clips_per_second']['model']:.0f}"
    text = (tmp_path / "run" / "README.md").read_text()
    assert re.search(rf"^\| clips a second, forward, batch 2, float32.* \| {shown} \|$", text, re.MULTILINE)
    assert cost.main([str(tmp_path)]) == 2 and cost.main([str(tmp_path / "nowhere")]) == 2
    assert "no folder of a pretraining" in capsys.readouterr().err and not (tmp_path / "README.md").exists()
