"""Processors for models: the one in the folder, or one with the size, mean and deviation that the weights expect."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import one_sentence
from transformers import AutoConfig, CLIPConfig, ConvNextConfig, Dinov2Config, SiglipVisionConfig, ViTConfig
from vision_backbones import save_backbone

from s2i_hf.models.saved_models import check_size, processor_for
from s2i_hf.processing.image_processing_skeleton import IMAGENET_MEAN, IMAGENET_STD, SkeletonProcessor

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
    with pytest.raises(ValueError, match="but the model takes 96 squares") as error:
        processor_for(ViTConfig(image_size=96), str(tmp_path))
    assert one_sentence(error.value)


@pytest.mark.parametrize(
    ("config", "size", "message"),
    [
        (ViTConfig(image_size=64), 32, "the model takes 64 squares"),
        (ConvNextConfig(), 80, "squares of a multiple of 32"),
        (Dinov2Config(patch_size=14), 64, "squares of a multiple of 14"),
        (Dinov2Config(patch_size=14), (28, 56), "squares of a multiple of 14"),
    ],
)
def test_sizes_that_do_not_fit_are_one_sentence(config: object, size: object, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        check_size(SkeletonProcessor(size=size), config)
    assert one_sentence(error.value)


def test_a_saved_backbone_gets_its_processor(tmp_path: Path) -> None:
    save_backbone("clip", tmp_path)
    found = processor_for(AutoConfig.from_pretrained(tmp_path), str(tmp_path))
    assert found.size == {"height": 64, "width": 64} and found.image_mean == CLIP_MEAN
