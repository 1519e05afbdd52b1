"""Saved models: classifiers from their folders, whole or refused; the processor in the folder, or one that fits the weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from conftest import refused
from finetune_clips import CLASSES, data
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, CLIPConfig, ConvNextConfig, Dinov2Config, SiglipVisionConfig, ViTConfig
from vision_backbones import save_backbone

from s2i_hf.data.skeleton_rows import as_rows
from s2i_hf.models.building import build_mae
from s2i_hf.models.classification import build_classifier
from s2i_hf.models.saved_models import (
    check_classes,
    check_size,
    class_names_of,
    is_classifier,
    open_classifier,
    processor_for,
)
from s2i_hf.processing.image_processing_skeleton import IMAGENET_MEAN, IMAGENET_STD, SkeletonProcessor

# --- classifiers ------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["cls", "mean"])
def folder(request, tmp_path):
    model, _ = build_classifier("config:micro", CLASSES, pooling=request.param, image_size=32)
    model.save_pretrained(tmp_path)
    SkeletonProcessor(layout="kinect_v1", size=32, stream="bone").save_pretrained(tmp_path)
    return tmp_path, model.eval()


def test_as_it_was_saved(folder):
    path, saved = folder
    assert is_classifier(str(path))
    model, processor = open_classifier(str(path))
    assert type(model) is type(saved) and processor.stream == "bone" and class_names_of(model) == list(CLASSES)
    pixels = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(model(pixel_values=pixels).logits, saved(pixel_values=pixels).logits)


def test_a_pretraining_is_no_classifier(tmp_path):
    build_mae("config:micro", image_size=32).save_pretrained(tmp_path)
    assert not is_classifier(str(tmp_path))
    with refused(ValueError, match="'vit_mae' without a classifier's head"):
        open_classifier(str(tmp_path))


def test_no_recipe_for_images_is_refused(folder):
    (folder[0] / "preprocessor_config.json").unlink()
    with pytest.raises(ValueError, match="no SkeletonProcessor"):
        open_classifier(str(folder[0]))


@pytest.mark.parametrize("name", ["classifier.weight", "encoder"])
def test_weights_that_are_not_whole_are_refused(folder, name):
    path = folder[0] / "model.safetensors"
    weights = load_file(path)
    lost = next(key for key in weights if name in key)
    save_file({key: value for key, value in weights.items() if key != lost}, path, {"format": "pt"})
    with pytest.raises(ValueError, match="lack 1"):
        open_classifier(str(folder[0]))


def test_no_such_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        is_classifier(str(tmp_path / "nowhere"))


def test_classes_of_the_data(folder):
    model = folder[1]
    check_classes(model, as_rows(data()["test"]), "run")
    for names, message in (
        (("still", "up", "left", "away"), "its class 2 is 'right', and here it is 'left'"),
        (CLASSES[:3], "it has 4 classes, and here are 3"),
    ):
        rows = as_rows(data()["test"])
        rows.class_names = list(names)
        with pytest.raises(ValueError, match=message):
            check_classes(model, rows, "run")
    unlabelled = as_rows([{**row, "label": -1} for row in data()["test"]])
    with pytest.raises(ValueError, match="test labels go from -1"):
        check_classes(model, unlabelled, "run")
    with pytest.raises(ValueError, match="no test clips"):
        check_classes(model, as_rows(data()["test"]).select([]), "run")


# --- processors -------------------------------------------------------------------------------------------------------


CLIP_MEAN = [0.48145466, 0.4578275, 0.40821073]


def photographs(folder: Path, **values: object) -> str:
    """The processor of published weights, as it lies beside them."""
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"image_processor_type": "ViTImageProcessor", **values})
    )
    return str(folder)


def test_numbers_of_the_folder_come_before_those_of_the_family(tmp_path: Path) -> None:
    mine = photographs(
        tmp_path, image_mean=[0.5, 0.5, 0.5], image_std=[0.4, 0.4, 0.4], size={"height": 64, "width": 64}
    )
    found = processor_for(ViTConfig(image_size=96), mine)
    assert found.image_mean == [0.5] * 3 and found.image_std == [0.4] * 3
    assert found.size == {"height": 96, "width": 96}  # a ViT has its size in its table of positions
    assert processor_for(ViTConfig(image_size=96), mine, stream="bone").stream == "bone"
    assert processor_for(Dinov2Config(image_size=518, patch_size=16), mine).size["height"] == 64


def test_without_a_processor_the_family_says(tmp_path: Path) -> None:
    nothing = str(tmp_path)
    assert processor_for(CLIPConfig(), nothing).image_mean == CLIP_MEAN
    assert processor_for(SiglipVisionConfig(), nothing).image_std == [0.5] * 3
    for config in (ViTConfig(), ConvNextConfig()):
        found = processor_for(config, nothing)
        assert found.image_mean == list(IMAGENET_MEAN) and found.image_std == list(IMAGENET_STD)
        assert found.size == {"height": 224, "width": 224}
    assert processor_for(ViTConfig(image_size=64), "config:micro").size["width"] == 64


def test_a_cropped_size_counts_and_one_that_does_not_fit_does_not(tmp_path: Path) -> None:
    config = Dinov2Config(image_size=518, patch_size=14)
    crops = {"size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224}}
    assert processor_for(config, photographs(tmp_path, **crops)).size["height"] == 224
    assert processor_for(config, photographs(tmp_path, size={"shortest_edge": 256})).size["height"] == 518
    assert processor_for(config, str(tmp_path), size=56).size["height"] == 56


def test_the_processor_of_skeletons_is_taken_as_it_is(tmp_path: Path) -> None:
    SkeletonProcessor(size=64, stream="motion", layout="kinect_v1", image_mean=(0.1, 0.2, 0.3)).save_pretrained(
        tmp_path
    )
    found = processor_for(ViTConfig(image_size=64), str(tmp_path))
    assert (found.stream, found.layout, found.image_mean) == ("motion", "kinect_v1", [0.1, 0.2, 0.3])
    assert processor_for(ViTConfig(image_size=64), str(tmp_path), stream="joint").stream == "joint"
    with refused(ValueError, match="but the model takes 96 x 96"):
        processor_for(ViTConfig(image_size=96), str(tmp_path))


@pytest.mark.parametrize(
    ("config", "size", "message"),
    [
        (ViTConfig(image_size=64), 32, "the model takes 64 x 64"),
        (ConvNextConfig(), 80, "multiples of 32"),
        (Dinov2Config(patch_size=14), 64, "multiples of 14"),
        (Dinov2Config(patch_size=14), (28, 60), "multiples of 14"),
    ],
)
def test_sizes_that_do_not_fit_are_one_sentence(config: object, size: object, message: str) -> None:
    with refused(ValueError, match=message):
        check_size(SkeletonProcessor(size=size), config)


def test_a_saved_backbone_gets_its_processor(tmp_path: Path) -> None:
    save_backbone("clip", tmp_path)
    found = processor_for(AutoConfig.from_pretrained(tmp_path), str(tmp_path))
    assert found.size == {"height": 64, "width": 64} and found.image_mean == CLIP_MEAN
