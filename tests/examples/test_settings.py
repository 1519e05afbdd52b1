"""examples/cross_format.py, fuse.py and robustness.py, and the recipes of the paper's settings: they run, and what they name exists."""

from __future__ import annotations

import json
import re
import runpy
import sys
from pathlib import Path

import pytest
import torch
import yaml
from skeleton_files import write_nw_ucla

from s2i_hf.data.convert import convert
from s2i_hf.data.loading import as_rows, load_skeletons
from s2i_hf.evaluation.probing import ProbeArguments
from s2i_hf.experiments.cross_layout import CrossLayoutArguments
from s2i_hf.experiments.fusion import FuseArguments
from s2i_hf.experiments.robustness import RobustnessArguments
from s2i_hf.models.building import build_mae
from s2i_hf.models.classification import build_classifier
from s2i_hf.processing.image_processing_skeleton import SkeletonProcessor
from s2i_hf.processing.layout_conversion import joint_indices
from s2i_hf.processing.layouts import get_layout
from s2i_hf.protocols import PROTOCOLS
from s2i_hf.training.finetune_arguments import FinetuneArguments
from s2i_hf.training.pretrain_arguments import PretrainArguments
from s2i_hf.utils.arguments import parse, several

EXAMPLES = Path(__file__).parents[2] / "examples"
SETTINGS = sorted((EXAMPLES / "configs" / "settings").glob("*.yaml"))
SCRIPTS = {
    "cross_format": CrossLayoutArguments,
    "finetune": FinetuneArguments,
    "fuse": FuseArguments,
    "pretrain_mae": PretrainArguments,
    "probe": ProbeArguments,
    "robustness": RobustnessArguments,
}


@pytest.fixture
def example(monkeypatch, capsys, tmp_path):
    """Run an example in this process, which has imported everything already."""

    def run(name, *words):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [str(EXAMPLES / f"{name}.py"), *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
            raise SystemExit(0)
        return stop.value.code, capsys.readouterr()

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


@pytest.mark.parametrize("path", SETTINGS, ids=lambda path: path.stem)
def test_a_recipe_parses_and_says_how_it_is_used(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where no run folder is: names are taken for those of the Hub
    text = path.read_text(encoding="utf-8")
    script = re.search(rf"examples/(\w+)\.py --config examples/configs/settings/{path.name}\b", text)
    assert script is not None, "the comment does not show its command"
    arguments = parse(SCRIPTS[script[1]], ["--config", str(path)])
    values = yaml.safe_load(text)
    assert set(several(values["data"])) <= set(PROTOCOLS)
    if "output_dir" in values:
        assert str(arguments.run_dir if script[1] != "pretrain_mae" else arguments.output_dir) == values["output_dir"]
    source = get_layout(PROTOCOLS[several(values["data"])[0]].layout)
    wanted = [values.get("to_layout"), values.get("gallery"), *values.get("queries", [])]
    for layout in filter(None, wanted):
        joint_indices(source, get_layout(layout))  # raises where a joint is missing
    for name in re.findall(r"[\w/.]+\.yaml", " ".join(line for line in text.splitlines() if line.startswith("#"))):
        assert (EXAMPLES.parent / name).is_file() or (path.parent / name).is_file(), name


def test_folders_of_one_recipe_are_found_by_the_next(tmp_path, monkeypatch):
    """What a recipe starts from is what another one, here or beside, leaves behind."""
    monkeypatch.chdir(tmp_path)
    made, used = set(), set()
    for path in [*SETTINGS, *(EXAMPLES / "configs").glob("pretrain_mae_*.yaml")]:
        text, values = path.read_text(encoding="utf-8"), yaml.safe_load(path.read_text(encoding="utf-8"))
        made |= {values.get("output_dir", ""), *re.findall(r"--output_dir (\S+)", text)}
        starts = [values["model"]] if path in SETTINGS and "model" in values else values.get("models", [])
        used |= {model for model in starts if not model.startswith("config:")}
    assert used - made == {"runs/finetune_mae_nw_ucla_xview"}  # the folder that a fine-tuning takes by itself
    assert FinetuneArguments(model="runs/mae_nw_ucla_xview", data="nw_ucla_xview").output_dir in used


def test_recipes_of_nw_ucla_differ_by_their_setting_alone():
    """Numbers of two settings are compared, so what is not the setting is the recipe of the plain fine-tuning."""
    base = yaml.safe_load((EXAMPLES / "configs" / "finetune_nw_ucla_xview.yaml").read_text(encoding="utf-8"))
    same, checked = ("pooling", "crop", "yaw", "tilt", "scale", "base_lr", "batch_size", "layer_decay", "precision"), 0
    plain = FinetuneArguments(model="config:tiny", **base)
    for path in SETTINGS:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        if "examples/finetune.py" in path.read_text(encoding="utf-8") and values["data"] == "nw_ucla_xview":
            arguments = FinetuneArguments(**{**values, "model": "config:tiny"})
            for name in same:
                assert str(getattr(arguments, name)).strip("[()]") == str(getattr(plain, name)).strip("[()]"), (
                    path,
                    name,
                )
            checked += 1
    assert checked >= 9


def test_one_output_folder_each():
    folders = [yaml.safe_load(path.read_text(encoding="utf-8")).get("output_dir") for path in SETTINGS]
    folders = [folder for folder in folders if folder]
    assert len(set(folders)) == len(folders) > 10


def test_every_setting_that_was_asked_for_has_a_recipe_and_a_line():
    table = (EXAMPLES / "configs" / "settings" / "README.md").read_text(encoding="utf-8")
    shares = set()
    for path in SETTINGS:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        shares.add(values.get("label_share"))
        stem = path.stem.removesuffix("_nw_ucla_xview") if path.stem.startswith(("semi", "stream")) else path.stem
        assert re.sub(r"(cross_format_(probe|finetune))_.*", r"\1_", stem) in table, path.name
    assert shares >= {0.01, 0.05, 0.1}


def test_fuse(example, folders, tmp_path):
    words = ["--models", folders / "joint", folders / "bone", "--data", folders / "data", "--device", "cpu"]
    code, output = example("fuse", *words, "--output_dir", tmp_path / "out")
    assert code == 0, output.err
    assert "fusion with weights 0.5 : 0.5: top1" in output.out
    assert {row["setting"] for row in json.loads((tmp_path / "out" / "results.json").read_text())} == {"fusion"}


@pytest.mark.parametrize("run", ["joint", "mae"])
def test_robustness(example, folders, tmp_path, run):
    words = ["--model", folders / run, "--data", folders / "data", "--device", "cpu", "--drop_joints", 0.2]
    code, output = example("robustness", *words, "--output_dir", tmp_path / "out", "--crop_time", 0.5)
    assert code == 0, output.err
    assert "| intact |" in output.out and "20 % of the joints lost, filled" in output.out
    assert len(json.loads((tmp_path / "out" / "results.json").read_text())) == 9


def test_cross_format(example, folders, tmp_path):
    words = ["--model", folders / "mae", "--data", folders / "data", "--device", "cpu"]
    code, output = example("cross_format", *words, "--output_dir", tmp_path / "out", "--queries", "lcrnet_13")
    assert code == 0, output.err
    assert "pretrained, gallery kinect_v1, queries lcrnet_13: top1" in output.out


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("fuse", ["--models", "{root}/joint", "{root}/mae", "--data", "{root}/data"], "without a classifier's head"),
        ("fuse", ["--models", "{root}/joint", "{root}/bone", "--data", "{root}/data", "--weights", "validation"], "held out"),
        ("robustness", ["--model", "{root}/nowhere", "--data", "d"], "does not exist"),
        ("robustness", ["--model", "{root}/mae", "--data", "{root}/data", "--drop_joints", "0.99"], "leaves at least one"),
        ("cross_format", ["--model", "{root}/mae", "--data", "d", "--queries", "lcrnet"], "lcrnet_13"),
        ("cross_format", ["--model", "{root}/mae", "--data", "{root}/data", "--queries", "kinect_v2"], "no counterpart"),
    ],
)  # fmt: skip
def test_mistakes_are_one_sentence(example, folders, name, words, message):
    code, output = example(name, *(word.format(root=folders) for word in words))
    assert code == 2 and message in output.err.splitlines()[-1] and "Traceback" not in output.err


@pytest.mark.parametrize("name", ["cross_format", "fuse", "robustness"])
def test_the_examples_are_the_chain(name, example):
    text = (EXAMPLES / f"{name}.py").read_text()
    comments = "\n".join(line for line in text.splitlines() if "#" in line)
    assert re.findall(r"(\d)\. ", comments) == list("1234567") and len(text.splitlines()) < 80
    code, output = example(name, "--help")
    assert code == 0 and "--data_dir" in output.out
