"""Classifiers on pretrained encoders: the encoder bit for bit, the stock class where it is stock, one sentence for what does not fit."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import one_sentence
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageClassification, ViTConfig, ViTForImageClassification

from s2i_hf.models.building import build_diffmae, build_mae, encoder_of
from s2i_hf.models.classification import build_classifier, initialize_head
from s2i_hf.models.configuration_pooled_vit import PooledViTConfig
from s2i_hf.models.initialization import sincos_positions
from s2i_hf.models.layerwise import DropPath, blocks_of, lr_groups, set_drop_path
from s2i_hf.models.modeling_pooled_vit import PooledViTForImageClassification

CLASSES = ["wave", "kick", "fall"]
POOLINGS = ["cls", "mean", "columns"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Checkpoints of every kind that a ViT classifier starts from, none of whose encoder weights is a 0 or 1 that a new one has too."""
    where = tmp_path_factory.mktemp("checkpoints")
    made = {"mae": build_mae("config:micro", image_size=64, seed=1)}
    made["diffmae"] = build_diffmae("config:micro", image_size=64, seed=1)
    for model in made.values():
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.03 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)))
    made["vit"] = encoder_of(made["mae"])
    for name, model in made.items():
        model.save_pretrained(where / name)
    for pooling in POOLINGS:
        model, _ = build_classifier(str(where / "mae"), CLASSES, pooling=pooling)
        with torch.no_grad():
            model.classifier.weight.normal_(generator=torch.Generator().manual_seed(3))
        model.save_pretrained(where / pooling)
    return {folder.name: folder for folder in where.iterdir()}


def images(count: int = 3, side: int = 64) -> torch.Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(4))


# --- encoders ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("source", ["mae", "diffmae", "vit", "cls", "mean", "columns"])
def test_the_encoder_is_that_of_the_checkpoint(folders: dict[str, Path], source: str, pooling: str) -> None:
    model, notes = build_classifier(str(folders[source]), CLASSES, pooling=pooling)
    stored = load_file(folders[source] / "model.safetensors")
    values = {tensor.numpy().tobytes() for tensor in stored.values()}
    for name, tensor in model.vit.state_dict().items():  # names on disk are not those in memory, values are
        assert tensor.numpy().tobytes() in values, name
    assert type(model) is (ViTForImageClassification if pooling == "cls" else PooledViTForImageClassification)
    assert model.training and all(parameter.requires_grad for parameter in model.parameters())
    assert "bit for bit" in notes[0] and all(note.endswith(".") for note in notes)
    kept = source == pooling
    left = {"mae": "its decoder", "diffmae": "its denoiser", "vit": "nothing"}.get(
        source, "nothing" if kept else "its head"
    )
    assert notes[2].startswith(f"Unused: {left}") and len(notes) == 3
    assert notes[1].startswith("Loaded: the head of" if kept else "Newly initialised: the head")
    assert (model.classifier.weight.abs().max() > 0.1) == kept


def test_the_config_names_the_classes_and_knows_nothing_of_a_decoder(folders: dict[str, Path]) -> None:
    model, _ = build_classifier(str(folders["diffmae"]), CLASSES)
    fields = model.config.to_dict()
    assert (
        fields["id2label"] == dict(enumerate(CLASSES))
        and fields["label2id"]["fall"] == 2
        and fields["model_type"] == "vit"
    )
    assert not [name for name in fields if name.startswith(("decoder_", "mask_")) or name in ("rho", "norm_pix_loss")]
    assert set(fields) - set(ViTConfig().to_dict()) <= {"problem_type", "id2label", "label2id"}


def test_features_are_pooled_as_they_say(folders: dict[str, Path]) -> None:
    tokens = encoder_of(build_classifier(str(folders["mae"]), CLASSES)[0])(images()).last_hidden_state
    grid = tokens[:, 1:].reshape(3, 4, 4, 64)  # time, body parts
    expected = {
        "cls": tokens[:, 0],
        "mean": grid.mean(dim=(1, 2)),
        "columns": torch.stack([grid[:, :, column].mean(dim=1) for column in range(4)], dim=1),
    }
    for pooling, features in expected.items():
        model = AutoModelForImageClassification.from_pretrained(folders[pooling]).eval()
        if pooling != "cls":
            features = torch.nn.functional.layer_norm(features, (64,), eps=1e-6).flatten(1)
        torch.testing.assert_close(model(images()).logits, model.classifier(features), atol=1e-5, rtol=1e-4)


def test_saved_models_answer_alike_in_a_fresh_process_and_the_stock_one_without_our_code(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.save(images(), tmp_path / "images.pt")
    expected = []
    for pooling in POOLINGS:
        with torch.no_grad():
            model = build_classifier(str(folders[pooling]), CLASSES, pooling=pooling, drop_path=0.5)[0].eval()
            expected += [value.hex() for value in model(images()).logits.flatten().tolist()]
    torch.set_num_threads(threads)
    code = (
        "import sys, torch; torch.set_num_threads(1)\n"
        "from transformers import AutoModelForImageClassification as Auto\n"
        "given = torch.load(sys.argv[1], weights_only=True)\n"
        "for index, name in enumerate(sys.argv[2:]):\n"
        "    if index == 1: import s2i_hf\n"
        "    else: assert index or 's2i_hf' not in sys.modules\n"
        "    model, report = Auto.from_pretrained(name, output_loading_info=True)\n"
        "    assert not any(report.values()), report\n"
        "    with torch.no_grad(): print(*(value.hex() for value in model.eval()(given).logits.flatten().tolist()))\n"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "images.pt"), *(str(folders[pooling]) for pooling in POOLINGS)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == expected and len(set(expected)) == 27


@pytest.mark.parametrize("pooling", POOLINGS)
def test_new_weights_come_from_the_seed_and_have_positions(folders: dict[str, Path], pooling: str) -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    make = {"pooling": pooling, "encoder": "untrained"}
    first, notes = build_classifier(str(folders["mae"]), CLASSES, seed=5, **make)
    again, _ = build_classifier(str(folders["mae"]), CLASSES, seed=5, **make)
    sized, _ = build_classifier("config:micro", CLASSES, pooling=pooling, image_size=64, seed=5)
    other, _ = build_classifier("config:micro", CLASSES, pooling=pooling, image_size=64, seed=6)
    assert torch.equal(torch.get_rng_state(), before)
    for model in (again, sized):
        assert all(
            torch.equal(a, b) for a, b in zip(first.state_dict().values(), model.state_dict().values(), strict=True)
        )
    assert not torch.equal(first.vit.layers[0].mlp.fc1.weight, other.vit.layers[0].mlp.fc1.weight)
    assert torch.equal(first.vit.embeddings.position_embeddings, sincos_positions((4, 4), 64))
    assert "Newly initialised: an encoder" in notes[0] and first.vit.embeddings.position_embeddings.requires_grad
    trained, _ = build_classifier(str(folders["mae"]), CLASSES, seed=5, pooling=pooling)
    assert torch.equal(trained.classifier.weight, first.classifier.weight)  # both arms start from one head


def test_a_new_head_says_nothing_yet_but_learns(folders: dict[str, Path]) -> None:
    for pooling in POOLINGS:
        model, _ = build_classifier(str(folders["mae"]), CLASSES, pooling=pooling)
        output = model(images(), labels=torch.tensor([0, 1, 2]))
        output.loss.backward()
        assert output.logits.detach().softmax(1).sub(1 / 3).abs().max() < 1e-3
        assert model.classifier.weight.grad.abs().max() > 0.01 and not model.classifier.bias.any()
        assert all(parameter.grad is not None for parameter in model.parameters())
        assert output.loss.item() == pytest.approx(1.0986, abs=1e-3)
        initialize_head(model, 1)
        assert 0 < model.classifier.weight.abs().max() <= 4.0001e-5


# --- heads of earlier classifiers -------------------------------------------------------------------------------------


def test_a_head_is_kept_for_the_same_classes_only_and_the_notes_say_so(folders: dict[str, Path]) -> None:
    source = str(folders["cls"])
    cases: list[tuple[list[str], dict[str, Any], str]] = [
        (["wave", "kick", "jump"], {}, "its class 2 is 'fall', and here it is 'jump'"),
        (["wave", "kick"], {}, "it has 3 classes, and here are 2"),
        (CLASSES, {"pooling": "mean"}, "it reads other features"),
    ]
    for names, options, reason in cases:
        model, notes = build_classifier(source, names, **options)
        assert (
            reason in notes[1]
            and notes[1].startswith("Newly initialised: the head")
            and model.config.num_labels == len(names)
        )
        with pytest.raises(ValueError, match=reason) as error:
            build_classifier(source, names, head="keep", **options)
        assert one_sentence(error.value)
    kept, _ = build_classifier(source, CLASSES, head="keep")
    assert torch.equal(kept.classifier.weight, ViTForImageClassification.from_pretrained(source).classifier.weight)
    assert build_classifier(source, CLASSES, head="new")[0].classifier.weight.abs().max() < 1e-3
    assert build_classifier(source, CLASSES, encoder="untrained")[0].classifier.weight.abs().max() < 1e-3
    with pytest.raises(ValueError, match="it has none"):
        build_classifier(str(folders["mae"]), CLASSES, head="keep")


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "names", "options", "message"),
    [
        ("mae", ["one"], {}, "1 class; a classifier needs at least two"),
        ("mae", [], {}, "are no classes"),
        ("mae", ["a", "b", "a"], {}, "'a' stands for more than one class"),
        ("mae", CLASSES, {"pooling": "max"}, "pooling is 'max'; expected one of cls, mean, columns"),
        ("mae", CLASSES, {"encoder": "random"}, "encoder is 'random'"),
        ("mae", CLASSES, {"head": "old"}, "head is 'old'"),
        ("mae", CLASSES, {"image_size": 224}, "are for 64 x 64 images, but the processor makes 224 x 224"),
        ("cls", CLASSES, {"image_size": 32}, "set the size to 64"),
        ("mae", CLASSES, {"drop_path": 1.0}, "drop_path is 1.0; expected 0 to below 1"),
        ("config:huge", CLASSES, {}, "the sizes are config:micro"),
        ("config:micro", CLASSES, {"image_size": 50}, "not a multiple of the patch size"),
    ],
)
def test_bad_input_is_one_sentence(
    folders: dict[str, Path], source: str, names: list[str], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as error:
        build_classifier(str(folders.get(source, source)), names, **options)
    assert one_sentence(error.value)


def test_weights_that_are_not_whole_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    tensors = load_file(folders["mae"] / "model.safetensors")
    (tmp_path / "config.json").write_text((folders["mae"] / "config.json").read_text())
    lost = next(name for name in tensors if "layernorm_before.weight" in name and "decoder" not in name)
    save_file(
        {name: tensor for name, tensor in tensors.items() if name != lost},
        tmp_path / "model.safetensors",
        {"format": "pt"},
    )
    with pytest.raises(ValueError, match="lack 1 encoder tensors") as error:
        build_classifier(str(tmp_path), CLASSES)
    assert one_sentence(error.value)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        build_classifier(str(tmp_path / "nothing"), CLASSES)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(ValueError, match=r"is a 'bert'; the vision backbones known here are vit"):
        build_classifier(str(tmp_path), CLASSES)


def test_a_pooling_that_is_none_is_refused_by_the_config() -> None:
    with pytest.raises(ValueError, match="pooling is 'cls'; expected one of mean, columns"):
        PooledViTConfig(pooling="cls")


# --- stochastic depth -------------------------------------------------------------------------------------------------


def test_drop_path_grows_with_depth_and_leaves_no_trace_in_the_weights() -> None:
    model, _ = build_classifier("config:tiny", CLASSES, image_size=32)
    keys = list(model.state_dict())
    assert not any(isinstance(module, DropPath) for module in model.modules())
    set_drop_path(model, 0.35)
    rates = [getattr(block.dropout, "rate", 0.0) for _, block in blocks_of(model)[0]]
    assert rates == pytest.approx([0.05 * index for index in range(8)]) and list(model.state_dict()) == keys
    model.eval()
    plain, _ = build_classifier("config:tiny", CLASSES, image_size=32)
    assert torch.equal(model(images(side=32)).logits, plain.eval()(images(side=32)).logits)
    set_drop_path(model, 0.7)
    assert blocks_of(model)[0][-1][1].dropout.rate == pytest.approx(0.7)  # replaced, and not added to
    set_drop_path(model, 0.0)
    assert not any(isinstance(module, DropPath) for module in model.modules())


def test_drop_path_drops_whole_samples_and_keeps_the_mean() -> None:
    drop = DropPath(0.25).train()
    torch.manual_seed(0)
    out = drop(torch.ones(4000, 3, 2))
    assert {round(value, 5) for value in out.unique().tolist()} == {0.0, round(1 / 0.75, 5)}
    assert torch.equal(out, out[:, :1, :1].expand_as(out)) and out.mean().item() == pytest.approx(1, abs=0.04)
    assert torch.equal(DropPath(0.25).eval()(out), out)
    both = DropPath(0.5, dropout=0.5).train()(torch.ones(200, 50))
    dropped = (both == 0).all(dim=1)
    assert 60 < dropped.sum() < 140 and (both[~dropped] == 0).float().mean().item() == pytest.approx(0.5, abs=0.05)


def test_the_dropout_that_drop_path_stands_in_for_goes_on() -> None:
    config = ViTConfig(hidden_size=16, num_hidden_layers=2, num_attention_heads=1, intermediate_size=16, image_size=32)
    config.hidden_dropout_prob = 0.2
    model = set_drop_path(ViTForImageClassification(config), 0.5)
    assert [block.dropout.p for block in model.vit.layers] == [0.2, 0.2]
    assert [block.dropout.p for block in set_drop_path(model, 0.0).vit.layers] == [0.2, 0.2]
    copied = copy.deepcopy(set_drop_path(model, 0.5))
    assert copied.vit.layers[1].dropout.rate == 0.5
    with pytest.raises(ValueError, match="no residual blocks") as error:
        set_drop_path(torch.nn.Linear(2, 2), 0.1)
    assert one_sentence(error.value)
    assert set_drop_path(torch.nn.Linear(2, 2), 0.0) is not None


# --- learning rates ---------------------------------------------------------------------------------------------------


def mae_level(name: str, num_layers: int) -> int:
    """The rule of MAE's fine-tuning: 0 for what makes the tokens, 1 .. n for the layers, n + 1 for the rest."""
    if ".embeddings." in name:
        return 0
    if ".layers." in name:
        return int(name.split(".layers.")[1].split(".")[0]) + 1
    return num_layers + 1


@pytest.mark.parametrize("pooling", POOLINGS)
def test_learning_rates_follow_the_depth_as_in_mae(pooling: str) -> None:
    model, _ = build_classifier("config:tiny", CLASSES, image_size=32, pooling=pooling, drop_path=0.1)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = lr_groups(model, 2e-3, 0.05, 0.65)
    seen: list[str] = []
    for group in groups:
        for parameter in group["params"]:
            name = names[id(parameter)]
            seen.append(name)
            assert group["lr"] == pytest.approx(2e-3 * 0.65 ** (9 - mae_level(name, 8))), name
            vector = parameter.ndim == 1 or "token" in name or "position" in name
            assert group["weight_decay"] == (0.0 if vector else 0.05), name
    assert sorted(seen) == sorted(names.values())
    torch.optim.AdamW(groups, lr=1.0)
    flat = lr_groups(model, 2e-3, 0.05, 1.0)
    assert {group["lr"] for group in flat} == {2e-3}


def test_frozen_weights_are_in_no_group_and_bad_decays_are_refused() -> None:
    model, _ = build_classifier("config:micro", CLASSES, image_size=32)
    model.vit.requires_grad_(False)
    [weight, bias] = lr_groups(model, 1e-3, 0.1, 0.5)
    assert weight["params"][0] is model.classifier.weight and weight["lr"] == bias["lr"] == 1e-3
    for decay in (0.0, 1.5):
        with pytest.raises(ValueError, match="layer_decay is"):
            lr_groups(model, 1e-3, 0.1, decay)
    with pytest.raises(ValueError, match="nothing to train"):
        lr_groups(model.requires_grad_(False), 1e-3, 0.1, 0.5)


def test_a_step_with_everything_on_is_the_same_again(folders: dict[str, Path]) -> None:
    def trained() -> torch.Tensor:
        model, _ = build_classifier(str(folders["mae"]), CLASSES, pooling="columns", drop_path=0.3, seed=1)
        optimizer = torch.optim.AdamW(lr_groups(model, 1e-3, 0.05, 0.75))
        torch.manual_seed(7)
        for _ in range(2):
            optimizer.zero_grad()
            model(images(), labels=torch.tensor([0, 1, 2])).loss.backward()
            optimizer.step()
        return model.classifier.weight.detach()

    assert torch.equal(trained(), trained())
