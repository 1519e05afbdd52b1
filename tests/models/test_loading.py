"""`--model facebook/vit-mae-base`: a checkpoint in its layout goes into MAE, DiffMAE and the classifier bit for bit, and each says so.

The full-size checkpoint (112 M numbers, 448 MB) is slow; its small twin has the same files, fields and names.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from finetune_clips import CLASSES, arguments as finetune_arguments, data
from hub_backbones import digests, layout, write_checkpoint
from safetensors.torch import load_file, save_file
from transformers import ViTForImageClassification, ViTMAEForPreTraining
from vision_backbones import save_backbone

from s2i_hf.data.skeleton_rows import as_rows
from s2i_hf.evaluation.probing import load_model_and_processor
from s2i_hf.models.building import build_diffmae, build_mae
from s2i_hf.models.classification import build_classifier
from s2i_hf.models.loading import checkpoint_parts, checkpoint_shapes, start_notes
from s2i_hf.processing.image_processing_skeleton import SkeletonProcessor
from s2i_hf.runs.run_folder import MetricsFile
from s2i_hf.training.finetune_data import load_classifier
from s2i_hf.training.finetuning import finetune
from s2i_hf.training.pretrain_arguments import DiffMAEArguments, PretrainArguments
from s2i_hf.training.pretraining import diffmae_loss, mae_loss, pretrain


@pytest.fixture(scope="module", params=["small", pytest.param("full", marks=pytest.mark.slow)])
def vision(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("hub") / "vit-mae-base"
    return folder, write_checkpoint(folder, small=request.param == "small")


def on_disk(folder: Path, part: str = "") -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in load_file(folder / "model.safetensors").items() if name.startswith(part)}


def step(loss: torch.Tensor) -> None:
    assert torch.isfinite(loss)
    loss.backward()


# --- whose weights go where ---------------------------------------------------------------------------------------------


def test_the_file_is_what_the_hub_has(vision: tuple[Path, dict[str, Any]]) -> None:
    folder, config = vision
    assert checkpoint_shapes(str(folder)) == layout(config)
    _, report = ViTMAEForPreTraining.from_pretrained(
        folder, output_loading_info=True
    )  # the stock class knows every name
    assert not any(report.values()), report
    if config["hidden_size"] == 768:  # the sizes of the files there
        assert (folder / "config.json").stat().st_size == 676
        assert (folder / "preprocessor_config.json").stat().st_size == 217
        assert 447_500_000 < (folder / "model.safetensors").stat().st_size < 448_500_000
        parts = checkpoint_parts(str(folder))
        assert {name: part.tensors for name, part in parts.items()} == {"encoder": 198, "decoder": 136}


def test_mae_takes_over_everything(vision: tuple[Path, dict[str, Any]]) -> None:
    folder, config = vision
    model = build_mae(str(folder), image_size=config["image_size"], seed=9)
    assert digests(model.state_dict()) == digests(on_disk(folder))
    assert [n for n, p in model.named_parameters() if not p.requires_grad] == [
        "vit.embeddings.position_embeddings", "decoder.decoder_pos_embed",
    ]  # fmt: skip
    assert (model.config.norm_pix_loss, model.config.layer_norm_eps) == (True, 1e-12)
    encoder, positions, decoder, left = start_notes(str(folder), model, 9)
    layers, deep = config["num_hidden_layers"], config["decoder_num_hidden_layers"]
    assert encoder.startswith(
        f"Loaded: the encoder of 'vit-mae-base', all {layers} layers of width {config['hidden_size']}, bit"
    )
    assert (
        f"{config['image_size'] // 16} x {config['image_size'] // 16} patches of 16 pixels, which stays fixed"
        in positions
    )
    assert decoder.startswith(f"Loaded: its decoder, {deep} layers of width") and left == "Unused: nothing."
    images = torch.randn(1, 3, config["image_size"], config["image_size"])
    step(mae_loss(model.train(), images, torch.rand(1, (config["image_size"] // 16) ** 2), images))


@pytest.mark.parametrize("decoder_type", ["cross", "joint"])
def test_diffmae_takes_over_the_encoder(vision: tuple[Path, dict[str, Any]], decoder_type: str) -> None:
    folder, config = vision
    model = build_diffmae(str(folder), image_size=config["image_size"], decoder_type=decoder_type, seed=9)
    assert digests(model.vit.state_dict()) == digests(on_disk(folder, "vit."))
    assert not set(digests(dict(model.denoiser.named_parameters()))) & set(digests(on_disk(folder)))
    assert len(model.denoiser.blocks) == config["decoder_num_hidden_layers"]
    notes = start_notes(str(folder), model, 9)
    assert (
        f"Newly initialised: a {decoder_type} decoder (seed 9), {config['decoder_num_hidden_layers']} layers"
        in notes[2]
    )
    assert notes[3].startswith("Unused: its decoder (") and f"{len(on_disk(folder, 'decoder.'))} tensors" in notes[3]
    images = torch.randn(1, 3, config["image_size"], config["image_size"])
    step(diffmae_loss(model.train(), images, torch.rand(1, (config["image_size"] // 16) ** 2), images))


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_the_classifier_takes_over_the_encoder(vision: tuple[Path, dict[str, Any]], pooling: str) -> None:
    folder, config = vision
    model, notes = build_classifier(str(folder), CLASSES, pooling=pooling)
    assert digests(model.vit.state_dict()) == digests(on_disk(folder, "vit."))
    assert (type(model) is ViTForImageClassification) == (pooling == "cls") and model.config.layer_norm_eps == 1e-12
    encoder, head, left = notes
    assert "'vit-mae-base', bit for bit" in encoder and f"{config['num_hidden_layers']} layers" in encoder
    assert head == f"Newly initialised: the head, {config['hidden_size']} features -> 4 classes."
    assert left.startswith("Unused: its decoder (")
    images = torch.randn(1, 3, config["image_size"], config["image_size"])
    step(torch.nn.functional.cross_entropy(model(images).logits, torch.tensor([1])))


def test_the_probe_reads_it_with_its_own_mean_and_deviation(vision: tuple[Path, dict[str, Any]]) -> None:
    folder, config = vision
    if config["image_size"] != 224:  # the preprocessor of the Hub says 224, the small config 64: the config knows
        write = json.loads((folder / "preprocessor_config.json").read_text()) | {"image_mean": [0.1, 0.2, 0.3]}
        (folder / "preprocessor_config.json").write_text(json.dumps(write))
    model, processor = load_model_and_processor(str(folder))
    assert type(model) is ViTMAEForPreTraining and digests(model.state_dict()) == digests(on_disk(folder))
    assert processor.size == {"height": config["image_size"], "width": config["image_size"]}
    assert processor.image_mean == ([0.485, 0.456, 0.406] if config["image_size"] == 224 else [0.1, 0.2, 0.3])


# --- what a run says ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["mae", "diffmae"])
def test_a_pretraining_prints_and_records_it(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_checkpoint(tmp_path / "vit-mae-base")
    options: dict[str, Any] = {
        "data": "nw_ucla_xview", "model": str(tmp_path / "vit-mae-base"), "output_dir": str(tmp_path / "run"), "size": 64,
        "max_steps": 1, "batch_size": 4, "num_workers": 0, "card": False,
    }  # fmt: skip
    arguments = PretrainArguments(**options) if kind == "mae" else DiffMAEArguments(**options)
    build, loss = (build_mae, mae_loss) if kind == "mae" else (build_diffmae, diffmae_loss)
    model = build(arguments.model, **arguments.model_options)
    notes = start_notes(arguments.model, model, arguments.seed)
    processor = SkeletonProcessor(layout="kinect_v1", **arguments.processor_options)
    pretrain(arguments, model, processor, data(8, 4), compute_loss=loss, notes=notes)
    printed = capsys.readouterr().out
    assert printed.startswith(" ".join(notes)) and "\nStarting " in printed
    for written in (
        json.loads((tmp_path / "run" / "summary.json").read_text()),
        MetricsFile(tmp_path / "run" / "metrics.jsonl").rows()[0],
    ):
        assert written["start_notes"] == notes and str(tmp_path) not in " ".join(written["start_notes"])
    again = build(str(tmp_path / "run"), image_size=64)  # and a run that goes on from this one
    assert start_notes(str(tmp_path / "run"), again)[2].startswith("Loaded: its ")
    assert start_notes(str(tmp_path / "run"), again)[3] == "Unused: nothing."


def test_a_fine_tuning_prints_and_records_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_checkpoint(tmp_path / "vit-mae-base")
    settings = finetune_arguments(tmp_path / "run", model=str(tmp_path / "vit-mae-base"), size=None, max_steps=1)
    rows = data(8, 4)
    model, processor, notes = load_classifier(settings, as_rows(rows["train"]))
    finetune(settings, model, processor, rows, notes=notes)
    assert capsys.readouterr().out.startswith(" ".join(notes))
    written = json.loads((tmp_path / "run" / "summary.json").read_text())["start_notes"]
    assert written == notes and "Unused: its decoder (40 tensors" in notes[2] and str(tmp_path) not in " ".join(notes)


def test_new_weights_are_called_new() -> None:
    weights, positions = start_notes("config:micro", build_mae("config:micro", image_size=64, seed=4), 4)
    assert (
        weights.startswith("Newly initialised: all weights of config:micro, seed 4, ")
        and "4 x 4 patches of 16 pixels" in positions
    )


# --- checkpoints that are otherwise ---------------------------------------------------------------------------------------


def test_an_encoder_alone_gets_a_decoder_of_the_seed(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "vit", keep="vit.", architectures=["ViTMAEModel"])
    models = [build_mae(str(tmp_path / "vit"), image_size=64, seed=seed) for seed in (1, 1, 2)]
    first, same, other = (digests(model.decoder.state_dict()) for model in models)
    assert first == same != other
    notes = start_notes(str(tmp_path / "vit"), models[2], 2)
    assert (
        notes[2].startswith("Newly initialised: a decoder (seed 2), 2 layers of width 32")
        and notes[3] == "Unused: nothing."
    )
    assert build_classifier(str(tmp_path / "vit"), CLASSES)[1][2] == "Unused: nothing."


def test_half_a_decoder_is_refused(tmp_path: Path) -> None:
    write_checkpoint(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors["decoder.decoder_layers.1.output.dense.bias"]
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"lack 1 of 40 decoder tensors, such as 'decoder\..*expected all or none"):
        build_mae(str(tmp_path), image_size=64)


def test_half_precision_on_disk_trains_in_float32(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "half", dtype=torch.float16, torch_dtype="float16")
    folder = str(tmp_path / "half")
    build_diffmae(folder, image_size=64).half().save_pretrained(tmp_path / "diffmae")
    models = [
        build_mae(folder, image_size=64), build_diffmae(folder, image_size=64), build_classifier(folder, CLASSES)[0],
        build_diffmae(str(tmp_path / "diffmae"), image_size=64), load_model_and_processor(folder)[0],
    ]  # fmt: skip
    for model in models:
        assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    stored = {name: tensor.float() for name, tensor in on_disk(tmp_path / "half").items()}
    assert digests(models[0].state_dict()) == digests(stored)


def test_shards_and_parts_of_other_families_are_counted(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "whole")
    model = build_mae(str(tmp_path / "whole"), image_size=64)
    model.save_pretrained(tmp_path / "shards", max_shard_size="200KB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 1
    assert checkpoint_parts(str(tmp_path / "shards")) == checkpoint_parts(str(tmp_path / "whole"))
    save_backbone("clip", tmp_path / "clip")
    left = build_classifier(str(tmp_path / "clip"), CLASSES)[1][2]
    assert left.startswith("Unused: its text encoder (") and left.count("(") == 1
    assert checkpoint_parts(str(tmp_path / "nowhere")) == {} == checkpoint_parts("user/not-in-the-cache")
    (tmp_path / "shards" / "model.safetensors.index.json").write_text("{")
    assert checkpoint_parts(str(tmp_path / "shards")) == {}
