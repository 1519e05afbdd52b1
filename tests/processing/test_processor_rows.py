"""`SkeletonProcessor` on rows of data sets, on batches of the collator, and what a call says of devices, types and axes."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from conftest import MakeClip, refused
from transformers.image_utils import SizeDict

import s2i_hf
from s2i_hf.data.storage import row_features
from s2i_hf.processing.image_processing_skeleton import SkeletonProcessor, _encode_on
from s2i_hf.processing.layouts import get_layout

PROCESSOR = SkeletonProcessor(layout="kinect_v1", size=32)  # not the layout of all rows: theirs wins


@pytest.fixture
def clips(make_clip: MakeClip) -> list[tuple[np.ndarray, str, int]]:
    return [
        (make_clip("kinect_v2", 12, 2), "kinect_v2", 0),
        (make_clip("kinect_v1", 7), "kinect_v1", -1),
        (make_clip("kinect_v1", 7), "kinect_v1", 1),
    ]


@pytest.fixture
def data(clips: list[tuple[np.ndarray, str, int]]) -> datasets.Dataset:
    rows = [
        {"joints": clip.ravel(), "shape": clip.shape, "layout": layout, "label": label, "subject": 1, "camera": -1,
         "body_ids": [0] * clip.shape[1], "sample_id": f"clip {index}"}
        for index, (clip, layout, label) in enumerate(clips)
    ]  # fmt: skip
    return datasets.Dataset.from_list(rows, features=row_features(["sit", "wave"]))


def expected(clips: list[tuple[np.ndarray, str, int]]) -> torch.Tensor:
    return torch.cat([PROCESSOR(clip, layout=layout)["pixel_values"] for clip, layout, _ in clips])


def test_rows_of_any_form_give_the_images_of_their_joints(clips: Any, data: datasets.Dataset) -> None:
    images = expected(clips)
    rows = s2i_hf.as_rows(data)
    for format in (None, "numpy", "torch"):
        stored = data.with_format(format)
        for given in (stored[0:3], [stored[index] for index in range(3)]):
            found = PROCESSOR(given)
            assert torch.equal(found["pixel_values"], images), format
            assert found["labels"].tolist() == [0, -100, 1] and found["labels"].dtype == torch.int64
        assert torch.equal(PROCESSOR(stored[1])["pixel_values"], images[1:2]), format
        assert torch.equal(PROCESSOR(stored[1:3])["pixel_values"], images[1:]), format  # of equal shapes, in one array
    assert torch.equal(PROCESSOR([rows[index] for index in range(3)])["pixel_values"], images)
    assert torch.equal(PROCESSOR({"joints": clips[1][0]})["pixel_values"], images[1:2])  # the processor's own layout
    assert "labels" not in PROCESSOR({"joints": clips[1][0]})
    found = PROCESSOR(data[0:3], return_tensors=None, return_metadata=True)
    assert [type(label.item()) for label in found["labels"]] == [int] * 3 and len(found["metadata"]) == 3


def test_a_transform_of_datasets_feeds_a_stock_collator(clips: Any, data: datasets.Dataset) -> None:
    from transformers import default_data_collator

    images, shown = expected(clips), data.with_transform(PROCESSOR)
    assert torch.equal(shown[1]["pixel_values"], images[1]) and shown[1]["labels"] == -100
    batch = default_data_collator([shown[index] for index in range(3)])
    assert torch.equal(batch["pixel_values"], images) and batch["labels"].tolist() == [0, -100, 1]
    mapped = data.map(PROCESSOR, batched=True, batch_size=2, remove_columns=data.column_names)
    assert torch.equal(mapped.with_format("torch")[:]["pixel_values"], images)


def test_torch_rows_collate_and_the_batch_becomes_images(clips: Any, data: datasets.Dataset) -> None:
    loader = torch.utils.data.DataLoader(data.with_format("torch"), batch_size=3, collate_fn=s2i_hf.SkeletonCollator())
    (batch,) = loader
    found = PROCESSOR(batch)
    torch.testing.assert_close(found["pixel_values"], expected(clips), atol=2e-5, rtol=0)
    assert found["labels"].tolist() == [0, -100, 1]
    assert refused(lambda: PROCESSOR(batch, return_metadata=True), "a batch of SkeletonCollator has no metadata")


def test_what_rows_lack_or_contradict_is_said(clips: Any, data: datasets.Dataset) -> None:
    row = data[0]
    for given, words in (
        ({"points": [1]}, "a row has points and no 'joints'"),
        ({}, "a row has nothing and no 'joints'"),
        ({**row, "shape": [12, 2, 25, 4]}, "1800 coordinates, but shape [12, 2, 25, 4]"),
        ({**row, "layout": "kinect_v7"}, "Unknown layout 'kinect_v7'"),
    ):
        assert refused(lambda given=given: PROCESSOR(given), words)
    assert refused(lambda: PROCESSOR(row, layout="coco_17"), "the row is of layout 'kinect_v2', and layout='coco_17'")
    assert refused(lambda: SkeletonProcessor()({"joints": clips[0][0]}), "The row has no layout")
    assert PROCESSOR(row, layout="kinect_v2")["pixel_values"].shape == (1, 3, 32, 32)


def test_a_clip_that_shows_nobody_is_an_error_unless_it_may_be(make_clip: MakeClip) -> None:
    seen, nobody = make_clip("kinect_v1", 5), np.zeros((5, 1, 20, 3), np.float32)
    for empty in (nobody, np.full_like(nobody, np.nan)):
        assert refused(lambda empty=empty: PROCESSOR(empty), "the clip has no measured joint")
        assert refused(lambda empty=empty: PROCESSOR([seen, empty]), "clip 1 of 2 has no measured joint")
        assert PROCESSOR([seen, empty], allow_empty=True)["pixel_values"].shape == (2, 3, 32, 32)
    constant = PROCESSOR(nobody, allow_empty=True)["pixel_values"]
    assert torch.equal(constant, constant[..., :1, :1].expand_as(constant))


def test_device_type_and_axes_of_the_images(make_clip: MakeClip) -> None:
    clips = [make_clip("kinect_v1", 5), make_clip("kinect_v1", 12, 2)]
    images = PROCESSOR(clips)["pixel_values"]
    last = PROCESSOR(clips, data_format="channels_last", dtype=torch.bfloat16, device="cpu")["pixel_values"]
    assert last.shape == (2, 32, 32, 3) and torch.equal(last.movedim(3, 1), images.to(torch.bfloat16))
    assert PROCESSOR(clips, return_tensors="np", dtype=torch.float64)["pixel_values"].dtype == np.float64
    assert refused(lambda: PROCESSOR(clips, data_format="first"), "expected 'channels_first' or 'channels_last'")
    at_once = _encode_on(
        "cpu", clips, [get_layout("kinect_v1")] * 2, PROCESSOR.encoding_options
    )  # as on an accelerator
    torch.testing.assert_close(at_once, images, atol=2e-5, rtol=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_images_made_on_a_gpu_are_those_of_the_host(make_clip: MakeClip) -> None:
    clips = [make_clip("kinect_v1", 5), make_clip("kinect_v1", 90, 2)]
    found = PROCESSOR(clips, device="cuda")["pixel_values"]
    torch.testing.assert_close(found.cpu(), PROCESSOR(clips)["pixel_values"], atol=2e-5, rtol=0)


def test_sizes_are_those_of_transformers(tmp_path: Path) -> None:
    for size in (SizeDict(height=64, width=32), {"height": 64, "width": 32}, (64, 32)):
        processor = SkeletonProcessor(size=size)
        assert (processor.size.height, processor.size["width"]) == (64, 32) and processor.size == SizeDict(
            height=64, width=32
        )
        processor.save_pretrained(tmp_path)
        assert SkeletonProcessor.from_pretrained(tmp_path).to_dict()["size"] == {"height": 64, "width": 32}
    assert refused(lambda: SkeletonProcessor(size=SizeDict(shortest_edge=3)), "size has keys ['shortest_edge']")


def test_an_unknown_key_of_from_pretrained_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    PROCESSOR.save_pretrained(tmp_path)
    with caplog.at_level(logging.WARNING):
        assert SkeletonProcessor.from_pretrained(tmp_path, strem="bone").stream == "joint"
    (record,) = caplog.records
    assert "no option 'strem'. Did you mean 'stream'?" in record.message and record.message.endswith("It is ignored.")
    caplog.clear()
    assert SkeletonProcessor.from_pretrained(tmp_path, stream="bone", trust_remote_code=True).stream == "bone"
    assert caplog.records == []
