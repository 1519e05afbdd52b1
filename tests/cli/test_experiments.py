"""`s2i fuse`, `robustness`, `cross-layout` and `ablate`: they run, and say what is wrong."""

from __future__ import annotations

import json
from types import SimpleNamespace

import command_line
import pytest
import torch
from skeleton_files import write_nw_ucla

from s2i_hf.data.convert import convert
from s2i_hf.data.loading import as_rows, load_skeletons
from s2i_hf.models.building import build_mae
from s2i_hf.models.classification import build_classifier
from s2i_hf.processing.image_processing_skeleton import SkeletonProcessor


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    """Run a command in this process, which has imported everything already."""

    def run(name, *words):
        monkeypatch.chdir(tmp_path)
        code, out, err = command_line.run(capsys, name, *words)
        return code, SimpleNamespace(out=out, err=err)

    return run


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("settings")
    clips = [f"a{a:02}_s{s:02}_e00_v{v:02}" for a in (1, 2, 3) for s in (1, 2, 3) for v in (1, 2, 3)]
    write_nw_ucla(root / "raw", clips)
    convert("nw_ucla_xview", root / "raw", root / "data", format="npz")
    names = as_rows(load_skeletons(root / "data")["train"]).class_names
    for run, stream in (("joint", "joint"), ("bone", "bone")):
        model, _ = build_classifier("config:micro", names, image_size=32)
        torch.nn.init.normal_(model.classifier.weight, generator=torch.Generator().manual_seed(1))
        model.save_pretrained(root / run)
        SkeletonProcessor(layout="kinect_v1", size=32, stream=stream).save_pretrained(root / run)
    build_mae("config:micro", image_size=32).save_pretrained(root / "mae")
    SkeletonProcessor(layout="kinect_v1", size=32).save_pretrained(root / "mae")
    return root


def test_fuse(command, folders, tmp_path):
    words = ["--models", folders / "joint", folders / "bone", "--data", folders / "data", "--device", "cpu"]
    code, output = command("fuse", *words, "--output_dir", tmp_path / "out")
    assert code == 0, output.err
    assert "fusion with weights 0.5 : 0.5: top1" in output.out
    assert {row["setting"] for row in json.loads((tmp_path / "out" / "results.json").read_text())} == {"fusion"}


@pytest.mark.parametrize("run", ["joint", "mae"])
def test_robustness(command, folders, tmp_path, run):
    words = ["--model", folders / run, "--data", folders / "data", "--device", "cpu", "--drop_joints", 0.2]
    code, output = command("robustness", *words, "--output_dir", tmp_path / "out", "--crop_time", 0.5)
    assert code == 0, output.err
    assert "| intact |" in output.out and "20 % of the joints lost, filled" in output.out
    assert len(json.loads((tmp_path / "out" / "results.json").read_text())) == 9


def test_cross_layout(command, folders, tmp_path):
    words = ["--model", folders / "mae", "--data", folders / "data", "--device", "cpu"]
    code, output = command("cross-layout", *words, "--output_dir", tmp_path / "out", "--queries", "lcrnet_13")
    assert code == 0, output.err
    assert "pretrained, gallery kinect_v1, queries lcrnet_13: top1" in output.out


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("fuse", ["--models", "{root}/joint", "{root}/mae", "--data", "{root}/data"], "without a classifier's head"),
        ("fuse", ["--models", "{root}/joint", "{root}/bone", "--data", "{root}/data", "--weights", "validation"], "held out"),
        ("robustness", ["--model", "{root}/nowhere", "--data", "{root}/data"], "does not exist"),
        ("robustness", ["--model", "{root}/mae", "--data", "{root}/data", "--drop_joints", "0.99"], "leaves at least one"),
        ("cross-layout", ["--model", "{root}/mae", "--data", "d", "--queries", "lcrnet"], "lcrnet_13"),
        ("cross-layout", ["--model", "{root}/mae", "--data", "{root}/data", "--queries", "kinect_v2"], "no counterpart"),
    ],
)  # fmt: skip
def test_mistakes_are_one_sentence(command, folders, name, words, message):
    code, output = command(name, *(word.format(root=folders) for word in words))
    assert code == 2 and message in output.err.splitlines()[-1] and "Traceback" not in output.err
