"""Vision backbones of every family: whole, read right, trainable, and refused in one sentence where they do not fit."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import refused
from diffmae_micro import same
from transformers import AutoModelForImageClassification, ViTModel
from vision_backbones import FAMILIES, save_backbone

from s2i_hf.models.backbones import FAMILIES as KNOWN, backbone_of, fits, load_backbone, poolings_of, untrained_backbone
from s2i_hf.models.building import build_mae, encoder_of
from s2i_hf.models.classification import build_classifier
from s2i_hf.models.configuration_pooled_vit import stride_of
from s2i_hf.models.initialization import sincos_positions
from s2i_hf.models.layerwise import blocks_of, lr_groups, set_drop_path
from s2i_hf.models.modeling_pooled_vit import PooledBackboneForImageClassification, backbone_tokens

CLASSES = ["wave", "kick", "fall"]
# family -> prefix tokens, grid, blocks, has a summary
SHAPES = {
    "vit": (1, 4, 2, True),
    "deit": (2, 4, 2, True),
    "dinov2": (1, 4, 2, True),
    "dinov2_with_registers": (5, 4, 2, True),
    "dinov3_vit": (4, 4, 2, True),
    "clip": (1, 4, 2, True),
    "clip_vision_model": (1, 4, 2, True),
    "siglip": (0, 4, 2, True),
    "siglip_vision_model": (0, 4, 2, True),
    "convnext": (0, 2, 5, False),
    "convnextv2": (0, 2, 5, False),
    "swin": (0, 8, 2, False),
    "swinv2": (0, 8, 2, False),
}
families = pytest.mark.parametrize("family", FAMILIES)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Any]]:
    """Family -> folder and the model in it."""
    where = tmp_path_factory.mktemp("backbones")
    return {family: (where / family, save_backbone(family, where / family)) for family in FAMILIES}


def images(side: int = 64) -> torch.Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(4))


def test_every_family_is_tried_here() -> None:
    assert set(KNOWN) - set(FAMILIES) == {"vit_mae", "diffmae", "pooled_vit"} and set(SHAPES) == set(FAMILIES)


@families
def test_tokens_are_those_of_the_family_itself(saved: dict[str, tuple[Path, Any]], family: str) -> None:
    folder, model = saved[family]
    encoder = load_backbone(str(folder))
    whole = getattr(model, "vision_model", model)
    with torch.no_grad():
        output, tokens = whole(images()), backbone_tokens(encoder, images())
    extra, side, blocks, summary = SHAPES[family]
    hidden = output.last_hidden_state
    patches = hidden.flatten(2).transpose(1, 2) if hidden.ndim == 4 else hidden[:, extra:]
    assert torch.equal(tokens.patches, patches) and tokens.grid == (side, side) and side * side == patches.shape[1]
    if not summary:
        assert tokens.summary is None
    else:
        assert torch.equal(tokens.summary, output.pooler_output if family.startswith("siglip") else hidden[:, 0])
    assert poolings_of(encoder.config) == (("mean", "cls", "part") if summary else ("mean", "part"))
    assert stride_of(encoder.config) == 64 // side and len(blocks_of(encoder)[0]) == blocks
    assert not encoder.training and type(backbone_of(encoder)) is type(encoder)


@families
def test_the_untrained_twin_differs_by_seed_and_knows_places(saved: dict[str, tuple[Path, Any]], family: str) -> None:
    encoder = load_backbone(str(saved[family][0]))
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first, again, other = (untrained_backbone(encoder, seed) for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    pairs = [(a, b, c) for a, b, c in zip(*(one.state_dict().values() for one in (first, again, other)), strict=True)]
    assert all(torch.equal(a, b) for a, b, _ in pairs) and not all(torch.equal(a, c) for a, _, c in pairs)
    for name, parameter in first.named_parameters():
        if "position_embedding" in name:
            assert parameter.std() > 1e-3, name


@families
@pytest.mark.parametrize("pooling", ["cls", "mean", "columns"])
def test_classifiers_keep_the_encoder_train_and_come_back(
    saved: dict[str, tuple[Path, Any]], family: str, pooling: str, tmp_path: Path
) -> None:
    if family == "vit":
        pytest.skip("test_models_classification.py has ViT")
    source = str(saved[family][0])
    model, notes = build_classifier(source, CLASSES, pooling=pooling, drop_path=0.2)
    stock = pooling == "cls" and family != "dinov3_vit"
    assert isinstance(model, PooledBackboneForImageClassification) != stock and "bit for bit" in notes[0]
    assert [model.config.id2label[index] for index in range(3)] == CLASSES
    encoder = load_backbone(source)
    inner = next(child for child in model.children() if type(child) is type(encoder))
    given = encoder.state_dict()
    assert all(torch.equal(tensor, given[name]) for name, tensor in inner.state_dict().items()) and inner.state_dict()
    model(images(), labels=torch.tensor([0, 1])).loss.backward()
    for name, parameter in model.named_parameters():  # several processes would wait for a gradient that never comes
        assert (parameter.grad is not None) == parameter.requires_grad, name
    groups = lr_groups(model, 1.0, 0.05, 0.5)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    assert sorted(id(p) for group in groups for p in group["params"]) == sorted(id(p) for p in trained)
    head = next(group for group in groups if any(p is model.classifier.weight for p in group["params"]))
    blocks = len(blocks_of(model)[0])
    assert head["lr"] == 1.0 and min(group["lr"] for group in groups) == pytest.approx(0.5 ** (blocks + 1))
    model.save_pretrained(tmp_path)
    loaded = AutoModelForImageClassification.from_pretrained(tmp_path).eval()
    with torch.no_grad():
        expected = model.eval()(images()).logits
        assert torch.equal(loaded(images()).logits, expected)
        kept, notes = build_classifier(str(tmp_path), CLASSES, pooling=pooling)
        assert torch.equal(kept.eval()(images()).logits, expected) and "as its 3 classes are the same" in notes[1]
    again = load_backbone(str(tmp_path)).state_dict()
    assert all(torch.equal(tensor, again[name]) for name, tensor in inner.state_dict().items())


@families
def test_drop_path_reaches_every_family(saved: dict[str, tuple[Path, Any]], family: str) -> None:
    model = load_backbone(str(saved[family][0]))
    keys, plain = list(model.state_dict()), backbone_tokens(model, images()).patches
    set_drop_path(model, 0.5)
    assert list(model.state_dict()) == keys and torch.equal(backbone_tokens(model, images()).patches, plain)
    torch.manual_seed(0)
    outputs = [backbone_tokens(model.train(), images()[:1].repeat(16, 1, 1, 1)).patches for _ in range(2)]
    assert not torch.equal(*outputs) and len({tuple(sample.flatten().tolist()) for sample in outputs[0]}) > 1
    set_drop_path(model, 0.2)
    set_drop_path(model, 0.0)
    model.train(family != "dinov3_vit")  # which rescales positions at random in training
    assert torch.equal(backbone_tokens(model, images()).patches, plain)


@pytest.mark.parametrize("family", ["clip", "swin"])
def test_both_residual_branches_of_a_block_are_dropped(saved: dict[str, tuple[Path, Any]], family: str) -> None:
    """At a rate of all but 1, what is left of the last block is its input."""
    model = set_drop_path(load_backbone(str(saved[family][0])), 1 - 1e-6).train()
    block, seen = blocks_of(model)[0][-1][1], {}
    block.register_forward_hook(lambda module, given, output: seen.update(given=given[0], output=output))
    torch.manual_seed(0)
    backbone_tokens(model, images())
    output = seen["output"][0] if isinstance(seen["output"], tuple) else seen["output"]
    assert torch.equal(output.reshape(seen["given"].shape), seen["given"])


def test_stages_share_at_most_twelve_rates() -> None:
    import transformers as hf

    config = hf.ConvNextConfig(hidden_sizes=[4, 4, 8, 8], depths=[3, 3, 9, 3], num_labels=2)
    groups = lr_groups(hf.ConvNextForImageClassification(config), 1.0, 0.05, 0.5)
    assert sorted({group["lr"] for group in groups}) == [0.5**level for level in range(13, -1, -1)]


def test_sizes_fit_or_are_refused(saved: dict[str, tuple[Path, Any]]) -> None:
    sizes = {family: [side for side in (32, 48, 64, 80, 96) if fits(load_backbone(str(saved[family][0])).config, side)]
             for family in ("vit", "clip_vision_model", "swin", "dinov2", "dinov3_vit", "convnext")}  # fmt: skip
    assert sizes["vit"] == sizes["clip_vision_model"] == sizes["swin"] == [64]
    assert sizes["dinov2"] == sizes["dinov3_vit"] == [32, 48, 64, 80, 96] and sizes["convnext"] == [32, 64, 96]
    for family, side, message in (("deit", 96, "set the size to 64"), ("convnext", 80, "multiples of 32")):
        with refused(ValueError, match=message):
            build_classifier(str(saved[family][0]), CLASSES, image_size=side)
    model, _ = build_classifier(str(saved["dinov3_vit"][0]), CLASSES, image_size=96, pooling="columns")
    assert model(images(96)).logits.shape == (2, 3) and fits(model.config, 96) and not fits(model.config, 64)


def test_what_a_family_does_not_have_is_refused_in_one_sentence(
    saved: dict[str, tuple[Path, Any]], tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "resnet"}')
    for opened in (lambda: load_backbone(str(tmp_path)), lambda: build_classifier(str(tmp_path), CLASSES)):
        with refused(ValueError, match=r"is a 'resnet'; the vision backbones known here are"):
            opened()
    with pytest.raises(FileNotFoundError, match="does not exist"):
        load_backbone(str(tmp_path / "nothing"))
    folder = saved["swin"][0]
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    with pytest.raises(ValueError, match="cannot load the weights"):
        load_backbone(str(tmp_path))


@pytest.mark.parametrize("kind", ["mae", "encoder", "stock vit"])
def test_the_untrained_backbone_is_the_same_architecture_with_fresh_weights(kind: str) -> None:
    model: torch.nn.Module = build_mae("config:micro", image_size=64, seed=1, mask_ratio=0.6)
    if kind != "mae":
        model = encoder_of(model) if kind == "encoder" else ViTModel(encoder_of(model).config)
    before = deepcopy(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1)  # training
    trained = deepcopy(model)
    fresh = untrained_backbone(model, seed=1)
    assert type(fresh) is type(model) and not fresh.training
    assert fresh.state_dict().keys() == trained.state_dict().keys()
    assert same(model, trained)  # the trained model is left alone
    table = next(p for name, p in fresh.named_parameters() if name.endswith("embeddings.position_embeddings"))
    assert torch.equal(table, sincos_positions((4, 4), 64))
    if kind == "mae":
        assert same(fresh, before)  # same seed, same start
        assert fresh.config.mask_ratio == 0.6 and fresh.config is not model.config
    assert not same(untrained_backbone(model, seed=2), fresh)
