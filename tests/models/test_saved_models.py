"""Classifiers from their folders: whole, with their images' recipe, for their own classes, or refused."""

from __future__ import annotations

import pytest
import torch
from conftest import one_sentence
from finetune_clips import CLASSES, data
from safetensors.torch import load_file, save_file

from s2i_hf.data.skeleton_rows import as_rows
from s2i_hf.models.building import build_mae
from s2i_hf.models.classification import build_classifier
from s2i_hf.models.saved_models import check_classes, class_names_of, is_classifier, open_classifier
from s2i_hf.processing.image_processing_skeleton import SkeletonProcessor


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
    with pytest.raises(ValueError, match="'vit_mae' without a classifier's head") as refusal:
        open_classifier(str(tmp_path))
    assert one_sentence(refusal.value)


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
        (("still", "up", "left", "away"), "such as 'right' for 'left'"),
        (CLASSES[:3], "knows 4 classes and the data has 3"),
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
