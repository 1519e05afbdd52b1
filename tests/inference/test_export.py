"""Exported classifiers: the same logits, all of the recipe, nothing of this machine; wrong requests are refused and leave nothing."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bodies import walker
from command_line import run
from conftest import refused
from finetune_clips import CLASSES
from vision_backbones import save_backbone

from s2i_hf.evaluation.scoring import predict_scores
from s2i_hf.hub.public_files import is_fresh_export, sidecar
from s2i_hf.inference import export as exporting
from s2i_hf.inference.export import Parity, check_private, export_classifier, synthetic_clips
from s2i_hf.models.classification import build_classifier
from s2i_hf.models.saved_models import open_classifier
from s2i_hf.processing.image_processing_skeleton import SkeletonProcessor
from s2i_hf.processing.layouts import get_layout

EXAMPLE = Path(__file__).parents[2] / "examples" / "predict_onnx.py"


def save(folder: Path, source: str = "config:micro", pooling: str = "cls", **recipe: object) -> Path:
    model, _ = build_classifier(
        source, CLASSES, pooling=pooling, image_size=32 if source.startswith("config") else None
    )
    with torch.no_grad():  # a new head is so small that everything is equal
        model.classifier.weight.normal_(std=0.5, generator=torch.Generator().manual_seed(1))
    model.save_pretrained(folder)
    SkeletonProcessor(**{"layout": "kinect_v1", "size": model.config.image_size, **recipe}).save_pretrained(folder)
    return folder


def read_metadata(program: Path) -> dict[str, Any]:
    """The facts inside a .pt2 file."""
    extra: dict[str, Any] = {"s2i.json": ""}
    torch.export.load(program, extra_files=extra)
    facts: dict[str, Any] = json.loads(extra["s2i.json"])
    return facts


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save(tmp_path / "classifier")


@pytest.mark.parametrize("pooling", ["cls", "columns"])
def test_torch_program(tmp_path: Path, pooling: str) -> None:
    folder = save(tmp_path / "classifier", pooling=pooling)
    file, parity = export_classifier(str(folder), format="torch")
    assert file == folder / "model.pt2" and parity.holds and parity.same_class == parity.clips == 16
    program = torch.export.load(file).module()
    model, _ = open_classifier(str(folder))
    for batch in (1, 7):
        images = torch.randn(batch, 3, 32, 32, generator=torch.Generator().manual_seed(batch))
        torch.testing.assert_close(program(images), model(pixel_values=images).logits, atol=1e-5, rtol=0)
    facts = read_metadata(file)
    assert facts["class_names"] == list(CLASSES) and facts["processor"]["image_processor_type"] == "SkeletonProcessor"
    with zipfile.ZipFile(file) as archive:
        assert not any(str(Path.cwd()).encode() in archive.read(name) for name in archive.namelist())


def test_onnx_and_the_example_without_torch(folder: Path, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    file, parity = export_classifier(str(folder), opset=20)
    assert file == folder / "model.onnx" and parity.holds
    proto = onnx.load(file)
    assert (
        proto.opset_import[0].version == 20 and proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    )
    assert b"site-packages" not in file.read_bytes() and b"stack_trace" not in file.read_bytes()
    written = sorted(path.name for path in folder.iterdir() if "model." in path.name)
    assert written == ["model.onnx", "model.onnx.json", "model.safetensors"]
    facts = {entry.key: entry.value for entry in proto.metadata_props}
    assert facts["opset"] == "20" and json.loads(facts["class_names"]) == list(CLASSES)
    assert is_fresh_export(file, folder) and str(tmp_path) not in sidecar(file).read_text()
    (folder / "config.json").write_text((folder / "config.json").read_text() + "\n")
    assert not is_fresh_export(file, folder)

    model, processor = open_classifier(str(folder))
    joints = np.concatenate(
        [clip := synthetic_clips(20, 1)[0], np.zeros_like(clip)], axis=1
    )  # and somebody who is not there
    np.save(tmp_path / "clip.npy", joints)
    scores = predict_scores(model, [{"joints": joints, "layout": "kinect_v1"}], processor)
    blocked = "import sys, runpy\nfor name in ('torch', 's2i_hf', 'transformers'): sys.modules[name] = None\n"
    words = ["x", str(file), str(tmp_path / "clip.npy")]
    script = f"{blocked}sys.argv = {words!r}\nrunpy.run_path({str(EXAMPLE)!r}, run_name='__main__')"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    theirs = {line.split("  ")[1]: float(line.split("  ")[0]) for line in said.splitlines()}
    assert theirs == pytest.approx(dict(zip(CLASSES, np.exp(scores[0]), strict=True)), abs=5e-6)


@pytest.mark.parametrize(
    ("recipe", "people"),
    [
        ({}, 1),
        ({}, 2),
        ({"stream": "bone", "value_range": "per_axis", "center": "every_frame", "part_widths": "equal"}, 2),
        ({"stream": "motion", "do_normalize": False, "people": "first", "joint_order": "random"}, 2),
        ({"stream": "bone_motion", "center": "every_frame"}, 2),
        ({"value_range": "fixed", "value_scale": 2.5, "center": "none", "joint_order": "sensor"}, 2),
    ],
)
def test_the_example_makes_the_images_of_the_processor(recipe: dict[str, Any], people: int) -> None:
    pytest.importorskip("onnxruntime")
    make_image = runpy.run_path(str(EXAMPLE))["make_image"]
    processor = SkeletonProcessor(layout="kinect_v1", size=32, **recipe)
    model, _ = build_classifier("config:micro", CLASSES, image_size=32)
    facts = {key: json.dumps(value) for key, value in exporting.metadata_of(model, processor).items()}
    for frames in (1, 13, 32, 90):  # time grows, stays, shrinks
        joints = np.concatenate([synthetic_clips(20, 4, seed)[3][:13] for seed in range(7 * people)])
        joints = joints[: frames * people].reshape(frames, people, 20, 3)
        image = processor(joints, return_tensors="np", axes="TMVC")["pixel_values"][0]
        np.testing.assert_allclose(make_image(joints.astype(np.float64), facts), image, atol=2e-5)


def test_joint_weights_are_those_of_the_encoder(folder: Path) -> None:
    from s2i_hf.processing.resizing import joint_matrix

    model, processor = open_classifier(str(folder))
    facts = json.loads(json.dumps(exporting.metadata_of(model, processor)))
    for people in (1, 2):
        matrix = joint_matrix(get_layout("kinect_v1"), people, 32, processor.encoding_options.columns)
        assert torch.equal(torch.tensor(facts["joint_weights"][str(people)]).T, matrix)
    assert facts["layout"] == get_layout("kinect_v1").to_dict() and str(folder) not in json.dumps(facts)


@pytest.mark.parametrize(
    "family", ["convnext", *(pytest.param(family, marks=pytest.mark.slow) for family in ("dinov2", "swin"))]
)
def test_other_families(tmp_path: Path, family: str) -> None:
    save_backbone(family, tmp_path / "backbone")
    folder = save(tmp_path / "classifier", str(tmp_path / "backbone"))
    assert export_classifier(str(folder), format="torch")[1].holds


def test_other_answers_are_not_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.zeros(2, 3, 32, 32)
    wrong = exporting.compare(torch.nn.Flatten(), lambda batch: batch.reshape(len(batch), -1) + 1e-3, images, "real")
    assert not wrong.holds and not Parity(2, float("nan"), 2, "real").holds
    nan = exporting.compare(torch.nn.Flatten(), lambda batch: batch.reshape(len(batch), -1) * np.nan, images, "real")
    assert not nan.holds
    (folder / "model.pt2").write_text("old")
    monkeypatch.setattr(exporting, "compare", lambda *_: wrong)
    with refused(ValueError, match="other answers than the model"):
        export_classifier(str(folder), format="torch", overwrite=True)
    assert (folder / "model.pt2").read_text() == "old" and not list(folder.glob(".*"))


def test_a_path_of_this_machine_is_found(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_text(f'File "{Path.cwd()}/x.py"')
    with pytest.raises(RuntimeError, match="path"):
        check_private(tmp_path / "model.onnx")


def test_command_on_real_clips(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = walker("kinect_v1", frames=30)
    np.save(tmp_path / "clip.npy", clip)
    command = ("export", folder, "--format", "torch", "--clips", tmp_path / "clip.npy")
    code, out, err = run(capsys, *command)
    assert code == 0, err
    assert "real clips" in out and "(batch, 3, 32, 32)" in out and "logits (batch, 4)" in out
    code, _, err = run(capsys, *command)
    assert code == 2 and "--overwrite" in err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--opset", 7), "opset is 7; expected one from 18 to 23"),
        (("--format", "torch", "--output", "x.onnx"), "ends in .pt2"),
        (("--format", "torch", "--layout", "kinect_v3"), "kinect_v3"),
        (("--format", "torch", "--clips", "nowhere"), "nowhere is not there"),
        (("--format", "torch", "--clips", "CLIP", "--layout", "kinect_v2"), "kinect_v2"),
    ],
)
def test_wrong_requests(folder, tmp_path, capsys, flags, message) -> None:  # type: ignore[no-untyped-def]
    np.save(tmp_path / "clip.npy", synthetic_clips(20, 1)[0])
    flags = tuple(tmp_path / "clip.npy" if flag == "CLIP" else flag for flag in flags)
    code, out, err = run(capsys, "export", folder, *flags)
    assert code == 2 and message in err and out == "" and err.splitlines()[-1].startswith("s2i export: ")
    assert not list(folder.glob("*.pt2")) and not list(folder.glob(".*"))


def test_absent_packages_are_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "find_spec", lambda name: None)
    with pytest.raises(
        ImportError, match=r"onnx, onnxruntime, onnxscript; install with: pip install 's2i-hf\[export\]'"
    ):
        export_classifier(str(folder))


def test_a_processor_without_layout_asks_for_one(tmp_path: Path) -> None:
    folder = save(tmp_path / "classifier", layout=None)
    with pytest.raises(ValueError, match="pass --layout"):
        export_classifier(str(folder), format="torch")
    assert (
        read_metadata(export_classifier(str(folder), format="torch", layout="coco_17")[0])["layout"]["name"]
        == "coco_17"
    )
