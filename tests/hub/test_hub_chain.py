"""From recordings to a stranger's computer by way of the Hub: what was pushed is enough, the same to the last bit, and tells no tales."""

from __future__ import annotations

import getpass
import importlib.util
import json
import os
import platform
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hub_programs import CLI, a_run, commits, run
from hub_stand_in import TOKEN, HubStandIn
from skeleton_files import write_nw_ucla

from s2i_hf.hub.public_files import NAMES
from s2i_hf.hub.remote_code import pushed_code_names

S2I = ("-m", "s2i_hf")
CLIPS = [f"a0{1 + index % 3}_s0{1 + index % 5}_e{index:02}_v0{1 + index % 3}" for index in range(24)]
DATA = ("--data", "nw_ucla_xview", "--data_dir", "raw", "--cache_dir", "cache")
FEW = ("--epochs", 1, "--max_steps", 2, "--batch_size", 4)
MICRO = ("--model", "config:micro", "--size", 32)


@pytest.fixture
def hub() -> Iterator[HubStandIn]:
    with HubStandIn() as running:
        yield running


def example(hub: HubStandIn, cwd: Path, *words: object) -> subprocess.CompletedProcess[str]:
    variables = {**hub.environment, "HF_HOME": str(cwd / "home"), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *map(str, words)], capture_output=True, text=True, timeout=300, cwd=cwd, env={**os.environ, **variables}
    )  # fmt: skip


class Stranger:
    """A Python with the same libraries in which this package is not installed in any way.

    `-S` leaves out the .pth files of an editable installation; the folder of libraries is one of links to all the others.
    """

    def __init__(self, hub: HubStandIn, folder: Path) -> None:
        self.hub, self.folder, self.libraries = hub, folder, folder / "libraries"
        self.libraries.mkdir(parents=True)
        for place in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
            for path in Path(place).iterdir():
                if not path.name.startswith(("s2i_hf", "__editable__")):
                    (self.libraries / path.name).symlink_to(path)
        done = self.run("import s2i_hf")
        assert done.returncode == 1 and "No module named 's2i_hf'" in done.stderr, done.stderr

    def run(self, program: str, *argv: object) -> subprocess.CompletedProcess[str]:
        variables = {**self.hub.environment, "HF_HOME": str(self.folder / "home"), "OMP_NUM_THREADS": "1"}
        return subprocess.run(
            [sys.executable, "-S", "-c", program, *map(str, argv)], capture_output=True, text=True, timeout=300, cwd=self.folder,
            env={**os.environ, **variables, "PYTHONPATH": str(self.libraries)},
        )  # fmt: skip


CLASSIFY = """
import json, sys
name, clip, home = sys.argv[1:4]
if home == "ours":
    import s2i_hf
import numpy, torch
from transformers import pipeline
classify = pipeline("image-classification", model=name, trust_remote_code=home != "ours", device="cpu")
assert type(classify.image_processor).__module__.partition(".")[0] == ("s2i_hf" if home == "ours" else "transformers_modules")
with torch.no_grad():
    logits = classify.model(**classify.image_processor(numpy.load(clip))).logits.numpy()
print(json.dumps([classify(numpy.load(clip), top_k=3), logits.tobytes().hex()]))
"""
ENCODE = """
import json, sys
name, clip, home = sys.argv[1:4]
if home == "ours":
    import s2i_hf
import hashlib, numpy, torch
from transformers import AutoModel, AutoModelForPreTraining
from transformers.models.auto.image_processing_auto import AutoImageProcessor
trust = home != "ours"
processor = AutoImageProcessor.from_pretrained(name, trust_remote_code=trust)
images = processor(numpy.load(clip)).pixel_values
found = []
for kind in (AutoModel, AutoModelForPreTraining):
    model, report = kind.from_pretrained(name, trust_remote_code=trust, output_loading_info=True)
    assert not report["missing_keys"] and not report["mismatched_keys"], report
    assert type(model).__module__.partition(".")[0] == ("transformers_modules" if trust else "s2i_hf")
    torch.manual_seed(0)
    with torch.no_grad():
        output = model.eval()(pixel_values=images, noise=torch.linspace(0, 1, 4)[None])
    values = {key: value for key, value in output.items() if torch.is_tensor(value)}
    assert values and all(value.isfinite().all() for value in values.values())
    found.append({key: hashlib.sha256(value.numpy().tobytes()).hexdigest() for key, value in values.items()})
print(json.dumps(found))
"""
STREAM = """
import json, sys
from datasets import load_dataset
rows = list(load_dataset("someone/ucla", split="train", streaming=True))
print(json.dumps({row["sample_id"]: [float(value) for value in row["joints"]] for row in rows}))
"""


def tales(hub: HubStandIn, *places: Path) -> list[str]:
    """Whatever of all pushed bytes, in all commits, names this machine, its user or the token."""
    own = (Path.home(), Path.cwd(), Path(sys.prefix), Path(sys.base_prefix))
    words = {TOKEN, *(f"{place}/" for place in own if len(str(place)) > 5)}
    words |= {str(place) for place in places} | {word for word in (platform.node(), getpass.getuser()) if len(word) > 5}
    known = NAMES | pushed_code_names()
    found = []
    for (kind, name), repository in hub.repositories.items():
        for files in repository.snapshots.values():
            for path, data in files.items():
                found += [f"{name}/{path}: {word}" for word in words if word.encode() in data]
                if kind == "model" and path not in known:
                    found.append(f"{name}/{path}: nothing that is pushed on purpose")
                if path.endswith(".safetensors"):
                    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
                    found += (
                        [f"{name}/{path}: {header['__metadata__']}"]
                        if header["__metadata__"] != {"format": "pt"}
                        else []
                    )
    return found


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("PIL") is None, reason="the pipeline class of transformers needs Pillow")
def test_a_stranger_gets_the_same_probabilities(hub: HubStandIn, tmp_path: Path) -> None:
    home = tmp_path / "here"
    write_nw_ucla(home / "raw", CLIPS)
    clip = tmp_path / "clip.npy"
    np.save(clip, np.random.default_rng(0).normal(size=(9, 20, 3)).astype(np.float32))
    steps = (
        ("pretrain", *MICRO, "--output_dir", "runs/mae", "--push_to_hub", "someone/mae"),
        ("finetune", "--model", "someone/mae", "--pooling", "mean", "--device", "cpu", "--output_dir", "runs/classifier",
         "--push_to_hub", "someone/classifier"),
    )  # fmt: skip
    for program, *words in steps:
        done = example(hub, home, *S2I, program, *DATA, *FEW, *words)
        assert done.returncode == 0 and "Uploaded: http" in done.stdout, done.stderr
    assert commits(hub, "someone/mae") == commits(hub, "someone/classifier") == 1

    card = hub.repositories["model", "someone/classifier"].files["README.md"].decode()
    assert "base_model: someone/mae" in card and "\n# classifier\n" in card and "- name: classifier\n" in card
    settings = hub.repositories["model", "someone/classifier"].files["run.yaml"].decode()
    assert "model: someone/mae" in settings and "data_dir: null" in settings

    ours = example(hub, home, "-c", CLASSIFY, "runs/classifier", clip, "ours")
    theirs = Stranger(hub, tmp_path / "there").run(CLASSIFY, "someone/classifier", clip, "theirs")
    assert ours.returncode == theirs.returncode == 0, ours.stderr + theirs.stderr
    assert json.loads(ours.stdout) == json.loads(theirs.stdout)
    assert len({answer["score"] for answer in json.loads(ours.stdout)[0]}) == 3
    assert tales(hub, tmp_path) == []


@pytest.mark.slow
def test_a_stranger_loads_a_diffmae(hub: HubStandIn, tmp_path: Path) -> None:
    home = tmp_path / "here"
    write_nw_ucla(home / "raw", CLIPS)
    clip = tmp_path / "clip.npy"
    np.save(clip, np.random.default_rng(0).normal(size=(9, 20, 3)).astype(np.float32))
    done = example(
        hub, home, *S2I, "pretrain", "--method", "diffmae", *DATA, *FEW, *MICRO, "--output_dir", "runs/dm",
        "--push_to_hub", "someone/diffmae",
    )  # fmt: skip
    assert done.returncode == 0 and "Uploaded: http" in done.stdout, done.stderr
    files = hub.repositories["model", "someone/diffmae"].files
    assert {"AutoConfig", "AutoModel", "AutoModelForPreTraining"} == set(json.loads(files["config.json"])["auto_map"])
    ours = example(hub, home, "-c", ENCODE, "runs/dm", clip, "ours")
    theirs = Stranger(hub, tmp_path / "there").run(ENCODE, "someone/diffmae", clip, "theirs")
    assert ours.returncode == theirs.returncode == 0, ours.stderr + theirs.stderr
    assert json.loads(ours.stdout) == json.loads(theirs.stdout)
    assert tales(hub, tmp_path) == []


def test_a_stranger_streams_a_data_set(hub: HubStandIn, tmp_path: Path) -> None:
    from s2i_hf.data.loading import as_rows, load_skeletons

    write_nw_ucla(tmp_path / "raw", CLIPS)
    argv = (
        "convert",
        "nw_ucla_xview",
        "--data-dir",
        tmp_path / "raw",
        "--output",
        tmp_path / "out",
        "--push-to-hub",
        "someone/ucla",
    )
    done = run(hub, tmp_path / "home", CLI, *argv)
    assert done.returncode == 0 and len(hub.repositories["dataset", "someone/ucla"].snapshots) == 2, done.stderr
    done = Stranger(hub, tmp_path / "there").run(STREAM)
    assert done.returncode == 0, done.stderr
    rows = as_rows(load_skeletons(str(tmp_path / "out"), cache_dir=tmp_path / "cache")["train"])
    streamed = json.loads(done.stdout)
    assert list(streamed) == list(rows.sample_ids) and len(streamed) == 16
    for row in (rows[index] for index in range(len(rows))):
        assert np.array_equal(np.float32(streamed[row["sample_id"]]), np.asarray(row["joints"], np.float32).ravel())
    assert tales(hub, tmp_path) == []


@pytest.mark.slow
def test_an_upload_cut_off_half_way_and_repeated_is_one_complete_commit(hub: HubStandIn, tmp_path: Path) -> None:
    run_dir = a_run(tmp_path / "run")
    size = (run_dir / "model.safetensors").stat().st_size
    hub.failing, hub.cut_upload_after = "PUT /lfs/", size // 2
    variables = {**os.environ, **hub.environment, "HF_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-c", CLI, "push", str(run_dir), "someone/model"]
    with subprocess.Popen(words, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as cut_off:
        for _ in range(6000):
            if any(request.startswith("PUT") for request in hub.requests) or cut_off.poll() is not None:
                break
            time.sleep(0.05)
        cut_off.kill()  # while the client waits to try again
    assert any(request.startswith("PUT") for request in hub.requests) and hub.objects == {}
    assert commits(hub) == 0 and not (run_dir / "hub.json").exists()
    hub.heal()
    done = run(hub, tmp_path / "home", CLI, "push", run_dir, "someone/model")
    assert done.returncode == 0 and commits(hub) == 1, done.stderr
    files = hub.repositories["model", "someone/model"].files
    assert files["model.safetensors"] == (run_dir / "model.safetensors").read_bytes()
    assert {"config.json", "preprocessor_config.json", "README.md", "encoding.py"} <= set(files)
    assert tales(hub, tmp_path) == []


TRAINER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import finetune_clips
from s2i_hf.training.trainer import SkeletonTrainer
caught, original = [], SkeletonTrainer.use_final_weights
SkeletonTrainer.use_final_weights = lambda trainer: caught.append(trainer) or original(trainer)
finetune_clips.run(Path(sys.argv[1]), max_steps=2, epochs=1)
trainer = caught[0]
(Path(sys.argv[1]) / "README.md").write_text("# of the stock Trainer")
for options in ({"blocking": False}, {}):
    try:
        trainer.push_to_hub(**options)
    except ValueError as error:
        print(error)
trainer.args.hub_model_id = "someone/model"
print(trainer.push_to_hub(commit_message="by hand", revision="dev"))
"""


def test_the_trainer_pushes_what_s2i_push_does(hub: HubStandIn, tmp_path: Path) -> None:
    done = run(hub, tmp_path / "home", TRAINER, tmp_path / "run", Path(__file__).parents[1])
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()[-3:]
    assert lines[0].startswith("blocking=False is not") and "hub_model_id" in lines[1] and "/commit/" in lines[2]
    repository = hub.repositories["model", "someone/model"]
    assert repository.private and repository.files == {} and commits(hub) == 1
    files = repository.snapshots[repository.revisions["dev"]]
    assert {"model.safetensors", "encoding.py", "environment.json", "run.yaml"} <= set(files)
    card = files["README.md"].decode()
    assert "\n# model\n" in card and "pipeline_tag: image-classification" in card and "stock" not in card
    assert json.loads(files["environment.json"])["trained"]["packages"]["torch"]
    assert tales(hub, tmp_path) == []
