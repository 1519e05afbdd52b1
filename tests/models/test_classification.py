"""Classifiers on pretrained encoders: the encoder bit for bit, the stock class where it is stock, one sentence for what does not fit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import refused
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageClassification, ViTConfig, ViTForImageClassification

from s2i_hf.models.building import build_diffmae, build_mae, encoder_of
from s2i_hf.models.classification import build_classifier, initialize_head
from s2i_hf.models.configuration_pooled_vit import PooledViTConfig
from s2i_hf.models.initialization import sincos_positions
from s2i_hf.models.layerwise import lr_groups
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
        with refused(ValueError, match=reason):
            build_classifier(source, names, head="keep", **options)
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
    with refused(ValueError, match=message):
        build_classifier(str(folders.get(source, source)), names, **options)


def test_weights_that_are_not_whole_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    tensors = load_file(folders["mae"] / "model.safetensors")
    (tmp_path / "config.json").write_text((folders["mae"] / "config.json").read_text())
    lost = next(name for name in tensors if "layernorm_before.weight" in name and "decoder" not in name)
    save_file(
        {name: tensor for name, tensor in tensors.items() if name != lost},
        tmp_path / "model.safetensors",
        {"format": "pt"},
    )
    with refused(ValueError, match="lack 1 encoder tensors"):
        build_classifier(str(tmp_path), CLASSES)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        build_classifier(str(tmp_path / "nothing"), CLASSES)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(ValueError, match=r"is a 'bert'; the vision backbones known here are vit"):
        build_classifier(str(tmp_path), CLASSES)


def test_a_pooling_that_is_none_is_refused_by_the_config() -> None:
    with pytest.raises(ValueError, match="pooling is 'cls'; expected one of mean, columns"):
        PooledViTConfig(pooling="cls")


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
