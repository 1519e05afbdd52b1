"""`vision:tiny`: the file is what it was packed as, every way to open it gives these numbers, and nothing else goes by such a name."""

from __future__ import annotations

import hashlib
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from conftest import refused
from finetune_clips import CLASSES, arguments as finetune_arguments, data
from hub_backbones import digests
from safetensors.torch import load_file
from transformers import ViTMAEForPreTraining

from s2i_hf.data.skeleton_rows import as_rows
from s2i_hf.evaluation.probing import ProbeArguments, load_model_and_processor
from s2i_hf.inference.infilling import load_infilling_model
from s2i_hf.models import vision_weights
from s2i_hf.models.backbones import load_backbone
from s2i_hf.models.building import MODEL_SIZES, build_diffmae, build_mae, check_start_name
from s2i_hf.models.classification import build_classifier
from s2i_hf.models.initialization import sincos_positions
from s2i_hf.models.loading import check_model_name, checkpoint_parts, start_notes
from s2i_hf.models.saved_models import open_classifier
from s2i_hf.models.vision_weights import DIGESTS, TERMS, VISION_WEIGHTS, announced_digest, is_vision, local_name
from s2i_hf.processing.image_processing_skeleton import SkeletonProcessor
from s2i_hf.runs.run_folder import MetricsFile, RunFolder
from s2i_hf.training.finetune_arguments import FinetuneArguments
from s2i_hf.training.finetune_data import load_classifier
from s2i_hf.training.finetuning import finetune, start as start_finetuning
from s2i_hf.training.pretrain_arguments import DiffMAEArguments, PretrainArguments
from s2i_hf.training.pretraining import pretrain, start as start_pretraining

FOLDER = VISION_WEIGHTS["vision:tiny"]
ROOT = Path(__file__).parents[2]
POSITIONS = ("vit.embeddings.position_embeddings", "decoder.decoder_pos_embed")


@pytest.fixture(scope="module")
def stored() -> dict[str, torch.Tensor]:
    return load_file(FOLDER / "model.safetensors")


def encoder(stored: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in stored.items() if name.startswith("vit.")}


def same(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> bool:
    """Whether these are all of `wanted` in float32, bit for bit; names on disk are not those in memory, values are."""
    return digests(found) == digests({name: tensor.float() for name, tensor in wanted.items()})


# --- the file ---------------------------------------------------------------------------------------------------------


def test_the_weights_are_there_and_are_what_was_packed(stored: dict[str, torch.Tensor]) -> None:
    file = FOLDER / "model.safetensors"
    assert file.is_file(), "the package lacks vision:tiny; python benchmarks/photographs_package.py RUN makes it"
    assert hashlib.sha256(file.read_bytes()).hexdigest() == announced_digest("vision:tiny")
    assert (FOLDER / DIGESTS).read_text() == f"{announced_digest('vision:tiny')}  model.safetensors\n"
    assert 8e6 < file.stat().st_size < 9e6
    assert {name for name, tensor in stored.items() if tensor.dtype != torch.float16} == set(POSITIONS)
    assert all(torch.isfinite(tensor).all() for tensor in stored.values())


def test_positions_are_those_of_mae(stored: dict[str, torch.Tensor]) -> None:
    for name in POSITIONS:
        width = stored[name].shape[2]
        assert stored[name].dtype == torch.float32
        torch.testing.assert_close(stored[name], sincos_positions((7, 7), width), rtol=0, atol=1e-6)


def test_it_has_seen_photographs_and_is_no_new_model(stored: dict[str, torch.Tensor]) -> None:
    new = build_mae("config:tiny", image_size=112).state_dict()
    assert sorted(tensor.shape for tensor in stored.values()) == sorted(tensor.shape for tensor in new.values())
    biases = [name for name in stored if name.endswith("value.bias")]
    assert len(biases) == 10 and all(stored[name].any() for name in biases)  # those of a new model are zero


def test_the_card_and_the_terms_go_with_it() -> None:
    assert (FOLDER / "LICENSE-weights").read_bytes() == (ROOT / "LICENSE-weights").read_bytes()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "LICENSE-weights" in project["project"]["license-files"]
    assert project["tool"]["setuptools"]["package-data"]["s2i_hf.models.vision_weights"] == ["tiny/*"]
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    header = yaml.safe_load(text.split("---\n")[1])
    assert (header["license"], header["license_name"], header["license_link"]) == ("other", TERMS, "LICENSE-weights")
    for words in ("Tiny ImageNet", "200 classes", "Intended use", "benchmarks/photographs.py", "held out", "## Limits"):
        assert words in text
    terms = vision_weights.terms_text()
    assert "non-commercial research" in terms and "image-net.org" in terms and "vision:tiny" in terms
    assert "LICENSE-weights" in (ROOT / "README.md").read_text(encoding="utf-8")


# --- opening it -------------------------------------------------------------------------------------------------------


def test_every_way_to_open_it_gives_the_numbers_of_the_file(stored: dict[str, torch.Tensor]) -> None:
    model = build_mae("vision:tiny", image_size=112)
    assert type(model) is ViTMAEForPreTraining and same(model.state_dict(), stored)
    assert [name for name, p in model.named_parameters() if not p.requires_grad] == list(POSITIONS)
    assert same(ViTMAEForPreTraining.from_pretrained(FOLDER).state_dict(), stored)  # the stock class, as it is
    diffmae = build_diffmae("vision:tiny", image_size=112)
    assert same(diffmae.vit.state_dict(), encoder(stored))
    assert "Newly initialised: a cross decoder" in " ".join(start_notes("vision:tiny", diffmae))
    assert same(load_backbone("vision:tiny").state_dict(), encoder(stored))
    classifier, notes = build_classifier("vision:tiny", CLASSES)
    assert notes[0].startswith("Loaded: the encoder of 'vision:tiny', bit for bit")
    assert same(classifier.vit.state_dict(), encoder(stored))
    probed, processor = load_model_and_processor("vision:tiny")
    assert same(probed.state_dict(), stored)
    assert processor.size == {"height": 112, "width": 112} and processor.image_mean == [0.485, 0.456, 0.406]
    assert set(checkpoint_parts("vision:tiny")) == {"encoder", "decoder"}
    assert model.config.hidden_size == MODEL_SIZES["tiny"]["hidden_size"]


@pytest.mark.parametrize(
    "open_it",
    [
        build_mae,
        build_diffmae,
        load_backbone,
        lambda name: build_classifier(name, CLASSES),
        check_start_name,  # of a training, before its data are read
        check_model_name,  # of an evaluation
        lambda name: start_pretraining(DiffMAEArguments(data="nw_ucla_xview", model=name)),
        lambda name: start_finetuning(FinetuneArguments(data="nw_ucla_xview", model=name)),
        lambda name: ProbeArguments(data="nw_ucla_xview", model=name).check({}),
    ],
)
def test_other_names_are_refused_with_those_that_are_known(open_it: Callable[[str], Any]) -> None:
    with refused(ValueError, "'vision:small'", "are vision:tiny"):
        open_it("vision:small")


def test_what_it_is_not_is_said() -> None:
    with refused(ValueError, "'vision:tiny'", "without a classifier's head"):
        open_classifier("vision:tiny")
    with refused(ValueError, "'vision:tiny'", "preprocessor_config.json"):
        load_infilling_model("vision:tiny")


def test_other_names_stay_as_they_are() -> None:
    for name in ("config:tiny", "facebook/vit-mae-base", "runs/vision", "vision"):
        assert local_name(name) == name and not is_vision(name)
    assert local_name("vision:tiny") == str(FOLDER)


def test_damage_is_found_before_it_is_learned_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "tiny"
    shutil.copytree(FOLDER, folder)
    monkeypatch.setitem(VISION_WEIGHTS, "vision:tiny", folder)
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(content)
    with refused(ValueError, "'vision:tiny'", "is not what it was packed as"):
        build_mae("vision:tiny", image_size=112)
    (folder / "model.safetensors").unlink()
    with refused(FileNotFoundError, "'vision:tiny'", "not in this installation"):
        build_mae("vision:tiny", image_size=112)


def test_folders_that_are_named_after_it_are_folders_everywhere() -> None:
    assert (
        FinetuneArguments(data="nw_ucla_xview", model="vision:tiny").output_dir
        == "runs/finetune_vision_tiny_nw_ucla_xview"
    )
    probe = ProbeArguments(data="nw_ucla_xview", model="vision:tiny")
    assert probe.run_dir == Path("runs/probe_vision_tiny_nw_ucla_xview")


# --- what is trained from it ------------------------------------------------------------------------------------------


def test_its_terms_hold_for_a_fine_tuning_of_a_pretraining_of_it(tmp_path: Path) -> None:
    """Also where only the last folder is left."""
    common: dict[str, Any] = {"max_steps": 1, "epochs": 1, "batch_size": 8, "warmup_epochs": 0, "num_workers": 0}
    settings = PretrainArguments(
        data="nw_ucla_xview", output_dir=str(tmp_path / "mae"), model="vision:tiny", size=112, **common
    )
    model = build_mae(settings.model, **settings.model_options)
    pretrain(settings, model, SkeletonProcessor(layout="kinect_v1", size=112), data(8, 4))
    last = finetune_arguments(
        tmp_path / "classifier", model=str(tmp_path / "mae"), size=112, **common | {"card": True, "epochs": 1}
    )
    rows = data(8, 8)
    classifier, processor, _ = load_classifier(last, as_rows(rows["train"]))
    finetune(last, classifier, processor, rows)
    shutil.rmtree(tmp_path / "mae")
    shutil.move(tmp_path / "classifier", tmp_path / "elsewhere")
    run = RunFolder(tmp_path / "elsewhere")
    start = MetricsFile(tmp_path / "elsewhere" / "metrics.jsonl").rows()[0]
    assert start["started_from"] == ["mae", "vision:tiny"]
    assert run.has_vision_terms and run.licence == "other"
    text = (tmp_path / "elsewhere" / "README.md").read_text()
    assert f"license: other\nlicense_name: {TERMS}\nlicense_link: LICENSE\n" in text
    assert "non-commercial research\n  and education only" in text and "itself from `vision:tiny`" in text
    assert (tmp_path / "elsewhere" / "LICENSE").read_text() == vision_weights.terms_text()
