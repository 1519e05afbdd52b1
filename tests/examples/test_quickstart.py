"""examples/quickstart.py and the recipes in examples/configs: they run, and they name settings that exist."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest
import yaml

from s2i_hf.data.convert import convert
from s2i_hf.evaluation.probing import ProbeArguments
from s2i_hf.models.building import build_mae
from s2i_hf.processing.image_processing_skeleton import SkeletonProcessor
from s2i_hf.synthetic.people import write_dataset
from s2i_hf.training.finetune_arguments import FinetuneArguments
from s2i_hf.training.pretrain_arguments import DiffMAEArguments, PretrainArguments
from s2i_hf.utils.arguments import parse, several

EXAMPLES = Path(__file__).parents[2] / "examples"


def quickstart(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["quickstart.py", *map(str, words)])
    try:
        runpy.run_path(str(EXAMPLES / "quickstart.py"), run_name="__main__")
    except SystemExit as stop:
        return stop.code
    return 0


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("quickstart")
    write_dataset(root / "raw", subjects=2, replications=1, cameras=1, actions=["kick", "handshake"])
    convert("synthetic_xsub", root / "raw", root / "out", format="npz")
    build_mae("config:micro", image_size=64).save_pretrained(root / "run")
    SkeletonProcessor(layout="kinect_v2", size=64).save_pretrained(root / "run")
    return root


def test_tour_of_a_clip(folders, monkeypatch, capsys):
    assert quickstart(monkeypatch, "--model", folders / "run", "--data", folders / "out") == 0
    told = capsys.readouterr().out
    assert "image (1, 3, 64, 64)" in told and "features (1, 64)" in told


def test_clip_that_is_not_there(folders, monkeypatch, capsys):
    assert quickstart(monkeypatch, "--model", folders / "run", "--data", folders / "out", "--clip", 99) == 2
    assert "there are 2 test clips" in capsys.readouterr().err


@pytest.mark.parametrize("path", sorted((EXAMPLES / "configs").glob("[!a]*.yaml")), ids=lambda path: path.stem)
def test_recipe_parses_and_is_named_after_its_experiment(path, tmp_path):
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    kinds = {
        "probe": ProbeArguments,
        "finetune": FinetuneArguments,
        "pretrain_diffmae": DiffMAEArguments,
        "pretrain_mae": PretrainArguments,
        "demo": PretrainArguments,
    }
    kind = next(kind for name, kind in kinds.items() if path.stem.startswith(name))
    words = ["--config", str(path)] + (
        ["--model", str(tmp_path)] if kind in (ProbeArguments, FinetuneArguments) else []
    )
    arguments = parse(kind, words)
    assert several(arguments.data) == several(values["data"])
    if path.stem.startswith("pretrain_"):
        assert path.stem == f"pretrain_{Path(arguments.output_dir).name}"
