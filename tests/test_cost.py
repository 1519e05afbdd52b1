"""Parameters and FLOPs against the models themselves and against counting by hand."""

from __future__ import annotations

import pytest
from transformers import ViTConfig, ViTMAEConfig, ViTMAEForPreTraining, ViTModel

from s2i_hf.cost import model_cost
from s2i_hf.models.initialization import MODEL_SIZES


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


def test_unknown_models_are_not_guessed():
    assert model_cost({}) == {} and model_cost({"model_type": "bert"}) == {}
