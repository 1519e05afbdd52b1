"""Scores of clips: log-probabilities that batches, devices' padding and the order of clips do not change; windows averaged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from conftest import refused
from finetune_clips import clips

from s2i_hf.evaluation.scoring import predict_scores
from s2i_hf.models.classification import build_classifier
from s2i_hf.processing.image_processing_skeleton import SkeletonProcessor
from s2i_hf.processing.transforms import clip_windows


@pytest.fixture(scope="module")
def classifier() -> tuple[Any, Any]:
    model, _ = build_classifier("config:micro", ["a", "b", "c"], image_size=32, drop_path=0.5)
    torch.nn.init.normal_(model.classifier.weight, generator=torch.Generator().manual_seed(0))
    return model, SkeletonProcessor(size=32)


def test_scores_are_log_probabilities_of_the_images(classifier: tuple[Any, Any]) -> None:
    model, processor = classifier
    rows = clips(9)
    found = predict_scores(model, rows, processor, batch_size=4)
    assert found.shape == (9, 3) and found.dtype == np.float32 and model.training  # as it was before
    images = processor([row["joints"] for row in rows], layout="kinect_v1", return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        wanted = torch.log_softmax(model.eval()(pixel_values=images).logits, dim=-1).numpy()
    model.train()
    np.testing.assert_allclose(found, wanted, atol=2e-4)
    np.testing.assert_allclose(predict_scores(model, rows, processor, batch_size=64), found, atol=1e-5)


def test_probabilities_of_windows_are_averaged(classifier: tuple[Any, Any]) -> None:
    model, processor = classifier
    rows = clips(5)
    found = predict_scores(model, rows, processor, test_clips=4, batch_size=3)
    for row, scores in zip(rows, found, strict=True):
        views = [{**row, "joints": window} for window in clip_windows(row["joints"], 4)]
        assert len(views) == 4
        wanted = np.exp(predict_scores(model, views, processor)).mean(axis=0)
        np.testing.assert_allclose(np.exp(scores), wanted, rtol=1e-4)
    assert np.abs(found - predict_scores(model, rows, processor)).max() > 1e-3


def test_probabilities_of_rotations_of_windows_are_averaged(classifier: tuple[Any, Any]) -> None:
    """Against rotations written out; another batch size gives the same numbers."""
    model, processor = classifier
    rows = clips(5)
    found = predict_scores(model, rows, processor, test_clips=2, test_rotations=3, batch_size=4)
    for row, scores in zip(rows, found, strict=True):
        views = []
        for window in clip_windows(row["joints"], 2):
            x, y, z = np.moveaxis(window.astype(np.float64), -1, 0)
            for angle in (0, 2 * np.pi / 3, 4 * np.pi / 3):
                cos, sin = np.cos(angle), np.sin(angle)
                turned = np.stack([cos * x + sin * z, y, cos * z - sin * x], axis=-1).astype(np.float32)
                views.append({**row, "joints": turned})
        wanted = np.exp(predict_scores(model, views, processor)).mean(axis=0)
        np.testing.assert_allclose(np.exp(scores), wanted, rtol=2e-3)
    assert np.abs(found - predict_scores(model, rows, processor, test_clips=2)).max() > 1e-3
    whole = predict_scores(model, rows, processor, test_clips=2, test_rotations=3)
    np.testing.assert_allclose(whole, found, atol=1e-5)


def test_mistakes_are_said(classifier: tuple[Any, Any]) -> None:
    model, processor = classifier
    rows = clips(4)
    for mistake in ({"rows": []}, {"rows": rows, "test_clips": 0}, {"rows": rows, "test_rotations": 0}):
        with refused(ValueError):
            predict_scores(model, processor=processor, **mistake)  # type: ignore[arg-type]
