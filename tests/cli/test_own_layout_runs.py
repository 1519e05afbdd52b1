"""Runs on layouts of one's own in processes that know of the layout what the run folder says, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from s2i_hf.hub.public_files import public_files

# Joint, its parent and its offset in centimetres
BONES = [
    ("Hips", "", (0, 95, 0)), ("Spine", "Hips", (0, 25, 0)), ("Neck", "Spine", (0, 25, 0)), ("Head", "Neck", (0, 15, 0)),
    ("LeftArm", "Spine", (18, 22, 0)), ("LeftHand", "LeftArm", (40, 0, 0)), ("RightArm", "Spine", (-18, 22, 0)),
    ("RightHand", "RightArm", (-40, 0, 0)), ("LeftUpLeg", "Hips", (10, 0, 0)), ("LeftFoot", "LeftUpLeg", (0, -88, 0)),
    ("RightUpLeg", "Hips", (-10, 0, 0)), ("RightFoot", "RightUpLeg", (0, -88, 0)),
]  # fmt: skip
SENSOR = {  # joints of which only the tree and the person who wrote this know what they are
    "name": "my_sensor",
    "joint_names": ["a", "b", "c", "d", "e", "f"],
    "parents": [-1, 0, 1, 1, 1, 0],
    "parts": {"torso": ["a", "b", "c"], "left_arm": ["d"], "right_arm": ["e"], "left_leg": ["f"], "right_leg": []},
    "mirror_pairs": [["d", "e"]],
    "center": ["b"],
}
POSE = np.array([[0, 1, 3], [0, 1.3, 3], [0, 1.7, 3], [0.5, 1.3, 3], [-0.5, 1.3, 3], [0.1, 0.2, 3]])
TINY = ("--model", "config:tiny", "--size", 64, "--epochs", 1, "--batch_size", 3)
CLI = "import sys; from s2i_hf.cli import main; sys.exit(main(sys.argv[1:]))"

# What the first process does: convert, train, pretrain. Commands are JSON lists in a list.
TRAIN = """
import json, sys
from s2i_hf.cli import main
for command in json.loads(sys.argv[1]):
    code = main(command)
    assert not code, (command, code)
"""

# Layouts that a command registered are forgotten before the next one, as if each had a process of its own.
OPEN = """
import contextlib, io, json, sys
import numpy as np

bvh_run, run, pretrained, clip, bvh_clip = sys.argv[1:6]
from transformers import AutoProcessor
remote = AutoProcessor.from_pretrained("pushed", trust_remote_code=True)
assert "s2i_hf" not in sys.modules and remote.layout["name"] == "my_sensor", remote.layout
joints = np.load(clip)
images = remote(joints, return_tensors="np")["pixel_values"]

import s2i_hf
from transformers import pipeline
from s2i_hf.cli import main
from s2i_hf.processing.layouts import BUILT_IN, LAYOUTS, get_layout

def forget():
    for name in LAYOUTS.keys() - BUILT_IN.keys():
        del LAYOUTS[name]

def ask(*command):
    forget()
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        code = main(list(map(str, command)))
    assert not code, (command, code)
    return text.getvalue()

assert not LAYOUTS.keys() - BUILT_IN.keys()
processor = s2i_hf.SkeletonProcessor.from_pretrained(run)
again = s2i_hf.SkeletonProcessor.from_pretrained("pushed")
assert processor.to_dict()["layout"] == again.to_dict()["layout"] == remote.layout
np.testing.assert_allclose(processor(joints, return_tensors="np")["pixel_values"], images, atol=1e-6)
scores = {one["label"]: one["score"] for one in pipeline("image-classification", model=run)(joints)}
found = json.loads(ask("predict", run, clip, "--json"))
assert found["layout"] == "my_sensor"
for one in found["classes"]:
    assert abs(scores[one["label"]] - one["score"]) < 1e-5
assert json.loads(ask("predict", bvh_run, bvh_clip, "--unit", "cm", "--json"))["layout"].startswith("mocap_12_")
assert "my_sensor" in ask("infill", clip, "--model", pretrained, "--drop-joints", "d", "--output", "filled.json")
filled = json.loads(open("filled.json").read())
assert filled["layout"] == processor.layout and np.shape(filled["joints"]) == (*joints.shape[:1], 1, 6, 3)
assert "parity" in ask("export", run, "--format", "torch", "--output", "model.pt2", "--clips", clip)
assert "files written" in ask("push", pretrained, "someone/own", "--output", "pushed_mae")
assert "Written" in ask("card", pretrained)
forget()
from s2i_hf import infill
from s2i_hf.inference.infilling import load_infilling_model
model, mae = load_infilling_model("pushed_mae")
assert infill(joints, model, mae, drop_joints="left_arm").layout == get_layout(processor.layout)
rows = s2i_hf.as_rows(s2i_hf.load_skeletons("data")["test"])
assert set(rows.layouts) == {"my_sensor"} and LAYOUTS["my_sensor"] == get_layout(processor.layout)
print("all opened")
"""


def bvh(seed: int, frames: int = 12) -> str:
    """A BVH file of `BONES` in centimetres, whose angles are drawn."""

    def joint(name: str, parent: str, offset: tuple[int, ...]) -> list[str]:
        children = [line for bone in BONES if bone[1] == name for line in joint(*bone)]
        place = "" if parent else "Xposition Yposition Zposition "
        head = f"{'JOINT' if parent else 'ROOT'} {name}"
        channels = f"CHANNELS {3 if parent else 6} {place}Zrotation Xrotation Yrotation"
        end = children or ["End Site", "{", "OFFSET 0 5 0", "}"]
        return [head, "{", "OFFSET " + " ".join(map(str, offset)), channels, *end, "}"]

    angles = np.random.default_rng(seed).normal(0, 10, (frames, 3 * len(BONES)))
    rows = [" ".join(f"{value:.3f}" for value in (0, 95, frame, *row)) for frame, row in enumerate(angles)]
    return "\n".join(["HIERARCHY", *joint(*BONES[0]), "MOTION", f"Frames: {frames}", "Frame Time: 0.033", *rows, ""])


def process(folder: Path, program: str, *argv: object) -> subprocess.CompletedProcess[str]:
    variables = {"HF_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, argv)], capture_output=True, text=True, timeout=300, cwd=folder,
        env={**os.environ, **variables},
    )  # fmt: skip


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two BVH folders and one of arrays, a classifier of each kind, and an autoencoder of the arrays without labels and test clips."""
    folder = tmp_path_factory.mktemp("own")
    rng = np.random.default_rng(0)
    (folder / "layout.json").write_text(json.dumps(SENSOR))
    for split in ("train", "test"):
        for number, name in enumerate(("walk", "jump")):
            for place in ("first", "second", "arrays"):
                (folder / place / split / name).mkdir(parents=True)
            for index in range(3):
                (folder / "first" / split / name / f"monday_{index}.bvh").write_text(bvh(10 * number + index))
                (folder / "second" / split / name / f"friday_{index}.bvh").write_text(bvh(50 + 10 * number + index))
                clip = (POSE + rng.normal(0, 0.02, (15, 6, 3)).cumsum(axis=0)).astype(np.float32)
                np.save(folder / "arrays" / split / name / f"{index}.npy", clip)
    (folder / "unlabelled").mkdir()
    for path in (folder / "arrays" / "train" / "walk").iterdir():
        (folder / "unlabelled" / path.name).write_bytes(path.read_bytes())
    convert = ("convert", "folder", "--layout", "layout.json", "--data-dir")
    scratch = ("finetune", *TINY, "--encoder", "untrained", "--data")
    commands = [
        ("convert", "folder", "--data-dir", "first", "--unit", "cm", "--output", "bvh_data"),
        ("convert", "folder", "--data-dir", "second", "--unit", "cm", "--output", "bvh_data_2"),
        (*convert, "arrays", "--output", "data"),
        (*convert, "unlabelled", "--output", "unlabelled_data"),
        (*scratch, "bvh_data", "--output_dir", "bvh_run"),
        (*scratch, "data", "--output_dir", "run"),
        ("pretrain", *TINY, "--data", "unlabelled_data", "--output_dir", "mae"),
        ("pretrain", *TINY, "--method", "diffmae", "--data", "bvh_data,bvh_data_2", "--output_dir", "mixed", "--mirror", 0.5),
        ("push", "run", "someone/own", "--output", "pushed"),
    ]  # fmt: skip
    done = process(folder, TRAIN, json.dumps([[str(word) for word in command] for command in commands]))
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.slow
def test_a_run_opens_where_nobody_registered_its_layout(base: Path) -> None:
    clip, recording = "arrays/test/walk/0.npy", "first/test/walk/monday_0.bvh"
    done = process(base, OPEN, "bvh_run", "run", "mae", clip, recording)
    assert done.returncode == 0 and "all opened" in done.stdout, done.stderr[-3000:]
    alone = process(base, CLI, "predict", "run", clip)
    assert alone.returncode == 0 and "layout my_sensor" in alone.stdout and "expect less" not in alone.stderr


def test_the_same_skeleton_is_one_layout_whatever_file_it_came_from(base: Path) -> None:
    layouts = [json.loads((base / name / "s2i.json").read_text())["layouts"] for name in ("bvh_data", "bvh_data_2")]
    assert layouts[0] == layouts[1] and len(layouts[0]) == 1
    data = json.loads((base / "mixed" / "data.json").read_text())
    assert data["layouts"] == list(layouts[0]) and [one["clips"] for one in data["sources"].values()] == [6, 6]
    saved = json.loads((base / "mixed" / "preprocessor_config.json").read_text())
    assert saved["layout"] == layouts[0][data["layouts"][0]]


def test_a_pretraining_without_test_clips_has_its_card(base: Path) -> None:
    picture = json.loads((base / "mae" / "reconstruction.json").read_text())
    assert picture["split"] == "train" and picture["clips"] == 3
    card = (base / "mae" / "README.md").read_text()
    assert "3 training clips are off by" in card and "There were no test clips" in card
    assert "6 test clips" not in card and "12 test clips are off by" in (base / "mixed" / "README.md").read_text()


def test_a_run_of_before_says_what_it_lacks(base: Path, tmp_path: Path) -> None:
    """Earlier versions wrote the name of a layout alone if it was registered in their process."""
    old = tmp_path / "old"
    old.mkdir()
    for path in (base / "run").iterdir():
        if path.is_file():
            (old / path.name).write_bytes(path.read_bytes())
    config = json.loads((old / "preprocessor_config.json").read_text())
    (old / "preprocessor_config.json").write_text(json.dumps({**config, "layout": "my_sensor"}))
    done = process(base, CLI, "predict", old, "arrays/test/walk/0.npy")
    assert done.returncode == 2 and "Traceback" not in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert "'my_sensor'): if that is one of your own, put its JSON there in place of the name" in done.stderr
    with pytest.raises(ValueError, match=r"old/preprocessor_config\.json says its joint format by a name alone"):
        public_files(old, "someone/own")
