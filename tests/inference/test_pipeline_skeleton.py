"""The pipelines of transformers for skeletons: what they take, what they say, and what they refuse."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import MakeClip, refused
from transformers import ViTConfig, ViTForImageClassification, pipeline

import s2i_hf
from s2i_hf.inference.prediction import predict_clips
from s2i_hf.models.building import build_diffmae, build_mae, encoder_of
from s2i_hf.processing.layouts import get_layout
from s2i_hf.processing.skeleton_sequence import SkeletonSequence

NAMES = ["sit", "stand", "walk", "wave"]
SMALL = {"image_size": 32, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("classifier")
    torch.manual_seed(0)
    model = ViTForImageClassification(ViTConfig(**SMALL, id2label=dict(enumerate(NAMES)), initializer_range=0.3))
    model.save_pretrained(folder)
    s2i_hf.SkeletonProcessor(layout="kinect_v1", size=32).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def pipe(folder: Path) -> Any:
    return pipeline("skeleton-classification", model=str(folder))


@pytest.fixture
def clip(make_clip: MakeClip) -> np.ndarray:
    joints = make_clip("kinect_v1", 60, 2)
    joints[30:, 1] = 0  # the second person leaves
    return joints


def probabilities(pipe: Any, joints: np.ndarray) -> dict[str, float]:
    with torch.no_grad():
        logits = pipe.model(**pipe.image_processor(joints, axes="TMVC")).logits
    return dict(zip(NAMES, logits.softmax(-1)[0].tolist(), strict=True))


def test_classes_are_those_of_the_model(pipe: Any, clip: np.ndarray, make_clip: MakeClip) -> None:
    wanted = probabilities(pipe, clip)
    found = pipe(clip)
    assert {one["label"]: one["score"] for one in found} == pytest.approx(wanted, abs=1e-6)
    assert [one["score"] for one in found] == sorted(wanted.values(), reverse=True) and len(found) == 4
    other = make_clip("kinect_v2", 20)
    row = {"joints": other.ravel(), "shape": other.shape, "layout": "kinect_v2", "label": 3, "sample_id": "a"}
    several = pipe([clip, row, torch.from_numpy(clip)], top_k=1, batch_size=2)
    wanted_of = [found[0], pipe(other, layout="kinect_v2")[0], found[0]]
    assert [one["label"] for (one,) in several] == [one["label"] for one in wanted_of]
    assert [one["score"] for (one,) in several] == pytest.approx([one["score"] for one in wanted_of], abs=1e-6)
    assert [one[0]["label"] for one in pipe((each for each in [clip, row]), top_k=1)] == [
        one["label"] for one in wanted_of[:2]
    ]


@pytest.mark.parametrize("batch_size", [1, 4])
def test_windows_and_people_are_those_of_predict(pipe: Any, clip: np.ndarray, batch_size: int) -> None:
    sequence = SkeletonSequence(clip, get_layout("kinect_v1"), sample_id="a")
    said = predict_clips(
        pipe.model, pipe.image_processor, [("", sequence)], top_k=2, window=24, stride=18, per_person=True
    )
    ((_, wanted),) = said
    assert not isinstance(wanted, Exception)
    found = pipe(clip, window=24, stride=18, per_person=True, top_k=2, batch_size=batch_size)
    assert [(one["start"], one["stop"], one["people"], one["person"]) for one in found] == [
        (one.start, one.stop, one.people, one.person) for one in wanted
    ]
    for one, other in zip(found, wanted, strict=True):
        assert [each["label"] for each in one["classes"]] == [name for name, _ in other.classes]
        assert [each["score"] for each in one["classes"]] == pytest.approx(
            [score for _, score in other.classes], abs=1e-5
        )
    seconds = pipe(clip, window="1s", fps=20, top_k=1)
    assert [(one["start_seconds"], one["stop"]) for one in seconds[:2]] == [(0.0, 20), (0.5, 30)]


def test_a_window_without_anybody_has_no_classes(pipe: Any, clip: np.ndarray) -> None:
    clip[20:40] = 0
    found = pipe(clip, window=20, stride=20)
    assert [(one["people"], bool(one["classes"])) for one in found] == [(2, True), (0, False), (1, True)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(quiet, directory=str(tmp_path))) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_files_and_addresses_are_read(pipe: Any, clip: np.ndarray, tmp_path: Path, server: str) -> None:
    np.save(tmp_path / "a.npy", clip)
    wanted = pipe(clip)
    assert pipe(str(tmp_path / "a.npy")) == pipe(tmp_path / "a.npy") == pipe(f"{server}/a.npy") == wanted
    found = pipe(str(tmp_path / "a.npy"), window=40, top_k=1)
    assert [one["sample_id"] for one in found] == ["a", "a"]
    assert refused(lambda: pipe(f"{server}/b.npy"), "cannot be fetched (HTTP Error 404")
    assert refused(lambda: pipe(str(tmp_path / "none.skeleton")), "none.skeleton is not there")
    (tmp_path / "broken.npy").write_bytes(b"\x93NUMPY")
    assert refused(lambda: pipe(str(tmp_path / "broken.npy")), "broken.npy")


def test_a_wrong_call_is_one_sentence(pipe: Any, clip: np.ndarray, folder: Path) -> None:
    with pytest.raises(TypeError, match="no option 'windows'; it has layout"):
        pipe(clip, windows=3)
    assert refused(lambda: pipe(clip, top_k=0), "top_k is 0; expected 1 or more")
    assert refused(lambda: pipe(clip, stride=3), "pass window too")
    assert refused(lambda: pipe(clip, window="2s", fps=0), "fps is 0; expected frames a second")
    assert refused(lambda: pipe(clip * 0), "no measured joint")
    assert refused(lambda: pipe(clip[:, :, :9]), "expected (T, 20, 3 or 4)")
    from transformers import ViTImageProcessorPil

    stock = ViTImageProcessorPil()
    assert refused(
        lambda: pipeline("skeleton-classification", model=str(folder), image_processor=stock), "SkeletonProcessor"
    )


def test_features_are_of_every_patch(folder: Path, clip: np.ndarray, tmp_path: Path) -> None:
    mae, diffmae = build_mae("config:micro", image_size=32), build_diffmae("config:micro", image_size=32)
    classifier = ViTForImageClassification.from_pretrained(folder)
    processor = s2i_hf.SkeletonProcessor(layout="kinect_v1", size=32)
    for model in (mae, diffmae, classifier):
        place = tmp_path / type(model).__name__
        model.save_pretrained(place)
        processor.save_pretrained(place)
        extract = pipeline("skeleton-feature-extraction", model=str(place), trust_remote_code=False)
        with torch.no_grad():
            tokens = encoder_of(model)(processor(clip)["pixel_values"]).last_hidden_state[0]
        for pooling, wanted in (("mean", tokens[1:].mean(0)), ("cls", tokens[0]), ("none", tokens[1:])):
            found = extract(clip, pooling=pooling)
            np.testing.assert_allclose(found, wanted.numpy(), atol=1e-5)
            assert found.dtype == np.float32
        windows = extract(clip, window=30, batch_size=3)
        assert [one["start"] for one in windows] == [0, 15, 30] and windows[0]["features"].shape == (tokens.shape[1],)
        assert getattr(extract.model.config, "mask_ratio", 0.75) == 0.75  # as it was
    assert refused(lambda: extract(clip, pooling="sum"), "expected 'mean', 'cls' or 'none'")
