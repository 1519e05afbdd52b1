"""Images that are no squares: what a stock ViTMAE takes of them, what ours adds, and weights of another image size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import refused
from transformers import ViTForImageClassification, ViTMAEForPreTraining, ViTMAEModel, ViTModel

from s2i_hf.models.building import build_diffmae, build_mae, encoder_of
from s2i_hf.models.classification import build_classifier
from s2i_hf.models.initialization import sincos_positions
from s2i_hf.models.loading import start_notes
from s2i_hf.models.model_cost import model_cost
from s2i_hf.models.modeling_rectangular_mae import RectangularViTMAE

BUILD: dict[str, Any] = {"mae": build_mae, "diffmae": build_diffmae}
TALL = (64, 32)


def pixels(height: int = 64, width: int = 32) -> torch.Tensor:
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(3))


def without_tables(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in model.state_dict().items() if "pos" not in name.rpartition(".")[2]}


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def loss_by_loop(model: Any, images: torch.Tensor, noise: torch.Tensor) -> float:
    """Masked loss, patch by patch, from the stock encoder and decoder."""
    encoded = model.vit(images, noise=noise)
    logits = model.decoder(encoded.last_hidden_state, encoded.ids_restore).logits
    errors = []
    for clip in range(len(images)):
        for place in range(noise.shape[1]):
            if encoded.mask[clip, place]:
                row, column = divmod(place, images.shape[3] // 16)
                patch = (
                    images[clip, :, 16 * row : 16 * row + 16, 16 * column : 16 * column + 16].permute(1, 2, 0).flatten()
                )
                wanted = (patch - patch.mean()) / (patch.var() + 1e-6) ** 0.5
                errors.append(((logits[clip, place] - wanted) ** 2).mean())
    return float(torch.stack(errors).mean())


@torch.no_grad()
@pytest.mark.parametrize("method", BUILD)
def test_a_rectangle_comes_back_from_its_folder_with_the_same_numbers(method: str, tmp_path: Path) -> None:
    model = BUILD[method]("config:micro", image_size=TALL).eval()
    table = model.vit.embeddings.position_embeddings
    assert torch.equal(table, sincos_positions((4, 2), 64)) and model.config.image_size == [64, 32]
    images, noise = pixels(), torch.rand(2, 8, generator=torch.Generator().manual_seed(1))
    assert torch.equal(model.unpatchify(model.patchify(images)), images)
    model.save_pretrained(tmp_path)
    again = BUILD[method](str(tmp_path), image_size=TALL).eval()
    assert equal(again.state_dict(), model.state_dict()) and type(again) is type(model)
    more = {} if method == "mae" else {"timesteps": torch.tensor([1, 2]), "diffusion_noise": torch.randn(2, 8, 768)}
    found = [one(images, noise=noise, **more).loss for one in (model, again)]
    assert torch.equal(*found)
    if method == "mae":
        assert float(found[0]) == pytest.approx(loss_by_loop(model, images, noise), rel=1e-5)
    with pytest.raises(ValueError, match=r"32"):
        model.patchify(pixels(32, 64))
    stock = ViTModel.from_pretrained(tmp_path, add_pooling_layer=False).eval()
    assert torch.equal(stock(images).last_hidden_state, encoder_of(model)(images).last_hidden_state)
    if method == "mae":
        ids = torch.arange(8.0).expand(2, 8)
        encoders = [model.vit, ViTMAEModel.from_pretrained(tmp_path).eval()]
        assert torch.equal(*(encoder(images, noise=ids).last_hidden_state for encoder in encoders))


def test_what_a_stock_class_makes_of_a_rectangle(tmp_path: Path) -> None:
    """The two lines that `RectangularViTMAE` stands for; once transformers takes rectangles, it can go."""
    build_mae("config:micro", image_size=TALL).save_pretrained(tmp_path)
    with pytest.raises(RuntimeError, match="must match"):
        ViTMAEForPreTraining.from_pretrained(tmp_path)
    build_mae("config:micro", image_size=(128, 32)).save_pretrained(tmp_path / "16 patches")
    stock = ViTMAEForPreTraining.from_pretrained(tmp_path / "16 patches")
    with pytest.raises(ValueError, match="squared size"):
        stock(pixels(128, 32))


@torch.no_grad()
def test_of_squares_it_computes_what_the_stock_class_does() -> None:
    stock = build_mae("config:micro", image_size=64).eval()
    assert type(stock) is ViTMAEForPreTraining
    ours = RectangularViTMAE(stock.config).eval()
    ours.load_state_dict(stock.state_dict())
    images, noise = pixels(64, 64), torch.rand(2, 16, generator=torch.Generator().manual_seed(1))
    first, second = (model(images, noise=noise) for model in (stock, ours))
    assert torch.equal(first.loss, second.loss) and torch.equal(first.logits, second.logits)
    assert torch.equal(ours.unpatchify(first.logits), stock.unpatchify(first.logits))


@pytest.mark.parametrize("method", BUILD)
@pytest.mark.parametrize(("before", "after"), [(64, TALL), (TALL, 64), (TALL, (32, 64)), (64, 96)])
def test_weights_of_another_size_get_its_positions(method: str, before: Any, after: Any, tmp_path: Path) -> None:
    source = BUILD[method]("config:micro", image_size=before, seed=5)
    source.half().save_pretrained(tmp_path)  # rounded tables are sines and cosines all the same
    source.float()
    model = BUILD[method](str(tmp_path), image_size=after, seed=6)
    assert equal(without_tables(model), without_tables(source))
    fresh = BUILD[method]("config:micro", image_size=after)
    for name, table in model.state_dict().items():
        if "pos" in name.rpartition(".")[2]:
            assert torch.equal(table, fresh.state_dict()[name]), name
            assert not model.get_parameter(name).requires_grad
    assert type(model) is type(fresh) and model.config.image_size == fresh.config.image_size
    assert any("made anew in place of the checkpoint's" in note for note in start_notes(str(tmp_path), model))
    sides = (after, after) if isinstance(after, int) else after
    assert model(pixels(*sides)).loss > 0
    if method == "mae":
        taken = build_diffmae(str(tmp_path), image_size=after)
        assert equal(taken.vit.state_dict(), model.vit.state_dict())


def test_learned_positions_are_refused_for_another_size(tmp_path: Path) -> None:
    source = build_mae("config:micro", image_size=64)
    with torch.no_grad():
        source.vit.embeddings.position_embeddings.add_(0.01)
    source.save_pretrained(tmp_path)
    for build in (build_mae, build_diffmae):
        with refused(ValueError, match="are for 64 x 64 images, but the processor makes 64 x 32, and their positions"):
            build(str(tmp_path), image_size=TALL)
    with refused(ValueError, match="positions were learned"):
        build_classifier(str(tmp_path), ["a", "b"], image_size=TALL)


@torch.no_grad()
@pytest.mark.parametrize("pooling", ["cls", "mean", "columns"])
def test_classifiers_of_rectangles(pooling: str, tmp_path: Path) -> None:
    source = build_mae("config:micro", image_size=64)
    source.save_pretrained(tmp_path / "mae")
    model, notes = build_classifier(str(tmp_path / "mae"), ["a", "b"], image_size=TALL, pooling=pooling)
    assert "in place of the checkpoint's 4 x 4, new sine-cosine 4 x 2 positions" in notes[0]
    assert equal(without_tables(model.vit), without_tables(encoder_of(source)))
    assert torch.equal(model.vit.embeddings.position_embeddings, sincos_positions((4, 2), 64))
    assert model.classifier.in_features == 64 * (2 if pooling == "columns" else 1)
    model.eval().save_pretrained(tmp_path / "classifier")
    again, _ = build_classifier(str(tmp_path / "classifier"), ["a", "b"], pooling=pooling)
    assert torch.equal(again.eval()(pixels()).logits, model(pixels()).logits)
    if pooling == "cls":
        stock = ViTForImageClassification.from_pretrained(tmp_path / "classifier").eval()
        assert torch.equal(stock(pixels()).logits, model(pixels()).logits)


def test_half_the_width_costs_about_half() -> None:
    square, half = (model_cost(build_mae("config:micro", image_size=size).config.to_dict()) for size in (64, TALL))
    assert 0.45 < half["encoder_flops"] / square["encoder_flops"] < 0.55
    assert half["pretraining_flops"] < square["pretraining_flops"]
    assert square["encoder_parameters"] - half["encoder_parameters"] == 8 * 64  # positions
