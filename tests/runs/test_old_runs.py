"""Run folders that version 0.1.0 wrote before its modules got rooms still open, and give the numbers they gave.

`tests/old_runs` holds an MAE, a DiffMAE and a classifier of `config:micro` at 32 x 32 pixels, trained for two epochs on synthetic people at
commit 11262cf; `expected.json` is what that commit computed from them for one clip.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from command_line import run

import s2i_hf
from s2i_hf.models.saved_models import open_classifier
from s2i_hf.runs.run_folder import RunFolder
from s2i_hf.synthetic.people import generate

OLD = Path(__file__).parents[1] / "old_runs"
EXPECTED: dict[str, Any] = json.loads((OLD / "expected.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def clip() -> np.ndarray:
    return generate("walk", 2, 1, 1, 0).joints[:40]


def test_a_classifier_gives_the_logits_it_gave(clip: np.ndarray) -> None:
    model, processor = open_classifier(str(OLD / "classifier"))
    pixels = processor(clip, return_tensors="pt")["pixel_values"]
    assert pixels.mean((0, 2, 3)).tolist() == pytest.approx(EXPECTED["pixel_mean"], abs=1e-5)
    with torch.no_grad():
        assert model(pixels).logits[0].tolist() == pytest.approx(EXPECTED["logits"], abs=2e-6)


@pytest.mark.parametrize("name", ["mae", "diffmae"])
def test_a_pretrained_model_reads_a_clip_as_it_did(name: str, clip: np.ndarray) -> None:
    from transformers import AutoModelForPreTraining

    model = AutoModelForPreTraining.from_pretrained(OLD / name).eval()
    pixels = s2i_hf.SkeletonProcessor.from_pretrained(OLD / name)(clip, return_tensors="pt")["pixel_values"]
    encoder = s2i_hf.encoder_of(model) if name == "mae" else model.vit
    with torch.no_grad():
        if name == "mae":
            noise = s2i_hf.mask_noise("joint", ["a clip"], grid=(2, 2), ratio=0.75)
            assert float(model(pixels, noise=noise).loss) == pytest.approx(EXPECTED["mae_loss"], abs=1e-5)
        first = encoder(pixels, noise=torch.arange(4)[None].float()).last_hidden_state[0, 0, :4]
    assert first.tolist() == pytest.approx(EXPECTED[f"{name}_cls"], abs=2e-5)


@pytest.mark.parametrize("name", ["mae", "diffmae", "classifier"])
def test_the_card_of_an_old_run_is_written_anew(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = shutil.copytree(OLD / name, tmp_path / name)
    (folder / "README.md").unlink()
    code, _, err = run(capsys, "card", folder)
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert code == 0 and err == "" and text.startswith("---\n") and "synthetic_xsub" in text
    results = json.loads((folder / "results.json").read_text()) if name != "diffmae" else []
    assert all(f"{100 * row['value']:.1f}" in text for row in results if row["metric"] == "top1")


def test_old_settings_are_settings_still() -> None:
    for name in ("mae", "diffmae", "classifier"):
        written = yaml.safe_load((OLD / name / "run.yaml").read_text(encoding="utf-8"))
        assert RunFolder(OLD / name).settings == written


def test_an_old_run_predicts_and_fills_in(clip: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "clip.npy", clip)
    code, out, err = run(capsys, "predict", OLD / "classifier", tmp_path / "clip.npy", "--json")
    top = json.loads(out)["classes"][0]["label"] if code == 0 else err
    names = json.loads((OLD / "classifier" / "data.json").read_text())["class_names"]
    assert code == 0 and top == names[int(np.argmax(EXPECTED["logits"]))]
    filled = tmp_path / "filled.npy"
    argv = ("infill", tmp_path / "clip.npy", "--model", OLD / "mae", "--drop-frames", "5:10", "--output", filled)
    code, _, err = run(capsys, *argv)
    assert code == 0 and np.isfinite(np.load(filled)).all(), err


def test_an_old_run_of_the_motion_stream_still_refuses_to_fill(
    clip: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(OLD / "mae", tmp_path / "motion")
    settings = (folder / "run.yaml").read_text()
    (folder / "run.yaml").write_text(settings.replace("target: joint", "target: motion"))
    np.save(tmp_path / "clip.npy", clip)
    code, _, err = run(capsys, "infill", tmp_path / "clip.npy", "--model", folder, "--drop-frames", "5:10")
    assert code == 2 and "motion stream" in err
