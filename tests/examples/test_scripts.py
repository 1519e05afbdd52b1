"""The examples as a user runs them, on synthetic people: each shows the seven steps and ends well."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from skeleton_files import person
from transformers import ViTForImageClassification, pipeline

from s2i_hf import as_rows, load_skeletons
from s2i_hf.data.convert import convert
from s2i_hf.models.building import build_mae
from s2i_hf.processing.image_processing_skeleton import SkeletonProcessor
from s2i_hf.synthetic.people import write_dataset

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("examples")
    write_dataset(root / "raw", subjects=2, replications=1, cameras=1, actions=["kick", "handshake", "clap"])
    convert("synthetic_xsub", root / "raw", root / "out")
    np.save(root / "clip.npy", np.stack([person(at) for at in range(12)]))
    return root


def test_pretrain_quickstart_probe_finetune(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(root)
    told = {}
    for name, *words in (
        ("pretrain", "out", "mae"), ("quickstart", "mae", "out"), ("probe", "mae", "out"), ("finetune", "mae", "out", "classifier"),
    ):  # fmt: skip
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *words])
        runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
        told[name], err = capsys.readouterr()
        assert not re.search("Loading weights|Writing model shards|LOAD REPORT", told[name] + err)
    assert "epoch 5: loss" in told["pretrain"] and "3 clips" in (root / "mae" / "README.md").read_text()
    assert "image (1, 3, 112, 112)" in told["quickstart"] and re.search(r"within 0\.\d+ mm", told["quickstart"])
    assert re.search(r"pretrained: top1 [\d.]+ %.*\nuntrained: top1 ", told["probe"])
    assert "Test: top1" in told["finetune"] and "14 classes" in (root / "classifier" / "README.md").read_text()


@pytest.mark.parametrize("name", ["stock_trainer", "accelerate_loop", "lora"])
def test_scripts_of_a_stranger(
    name: str, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if name == "lora":
        pytest.importorskip("peft", reason="peft is not installed")
    monkeypatch.chdir(root)
    build_mae("config:micro", image_size=32).save_pretrained("small")
    SkeletonProcessor(layout="kinect_v2", size=32).save_pretrained("small")
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "small", "out", name])
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    assert "Test: top1" in capsys.readouterr().out
    if name == "lora":
        from peft import PeftModel

        names = {index: str(index) for index in range(14)}
        model = ViTForImageClassification.from_pretrained("small", id2label=names)
        before = model.vit.layers[0].attention.q_proj.weight.clone()
        merged = PeftModel.from_pretrained(model, name).merge_and_unload()
        assert not torch.equal(merged.vit.layers[0].attention.q_proj.weight, before)
    else:
        found = pipeline("skeleton-classification", model=name)(np.load("clip.npy"), top_k=2)
        assert len(found) == 2 and found[0]["label"] in as_rows(load_skeletons("out")["train"]).class_names


@pytest.mark.parametrize("name", ["quickstart", "pretrain", "finetune", "probe"])
def test_the_seven_steps_are_numbered_and_nothing_is_hidden(name: str) -> None:
    text = (EXAMPLES / f"{name}.py").read_text()
    steps = re.findall(r"\b([1-7])\. ", " ".join(line for line in text.splitlines() if line.startswith(("#", " "))))
    assert sorted(set(steps)) == list("1234567") and len(text.splitlines()) < 70
    assert "argparse" not in text and "utils.arguments" not in text and re.findall(r"from s2i_hf\S*", text) == []


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_a_script_says_how_it_is_called(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [path.name])
    with pytest.raises(SystemExit, match=f"python examples/{path.name} "):
        runpy.run_path(str(path), run_name="__main__")


def test_the_quickstart_says_that_there_are_no_test_clips(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for index in range(4):
        np.save(tmp_path / f"{index}.npy", 0.3 * np.stack([person(index + at) for at in range(12)]))
    convert("folder", tmp_path, root / "unlabelled", layout="kinect_v2")
    build_mae("config:micro", image_size=32).save_pretrained(root / "micro")
    SkeletonProcessor(layout="kinect_v2", size=32).save_pretrained(root / "micro")
    monkeypatch.setattr(sys, "argv", ["quickstart.py", str(root / "micro"), str(root / "unlabelled")])
    runpy.run_path(str(EXAMPLES / "quickstart.py"), run_name="__main__")
    out = capsys.readouterr().out
    assert "unlabelled has no test clips" in out and "image (1, 3, 32, 32)" in out
