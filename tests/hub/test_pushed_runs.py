"""From pretraining to a classifier by way of the Hub, in fresh processes that know it by its name alone."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hub_stand_in import HubStandIn
from skeleton_files import write_nw_ucla

S2I = ("-m", "s2i_hf")
NAMES = [f"a0{1 + index % 3}_s0{1 + index % 5}_e{index:02}_v0{1 + index % 3}" for index in range(24)]
DATA = ("--data", "nw_ucla_xview", "--data_dir", "raw", "--cache_dir", "cache")
FEW = ("--epochs", 1, "--max_steps", 2, "--batch_size", 4)


@pytest.fixture
def hub() -> Iterator[HubStandIn]:
    with HubStandIn() as running:
        yield running


def run(hub: HubStandIn, cwd: Path, *words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {**hub.environment, "HF_HOME": str(cwd / "home"), "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run(
        [sys.executable, *map(str, words)], capture_output=True, text=True, timeout=300, cwd=cwd, env={**os.environ, **variables}
    )  # fmt: skip


CLASSIFY = """
import json, sys
if sys.argv[1] == "without":
    sys.modules["s2i_hf"] = None
else:
    import s2i_hf
import numpy
from transformers import pipeline
trust = sys.argv[1] == "without"
classify = pipeline("image-classification", model="someone/classifier", trust_remote_code=trust, device="cpu")
print(json.dumps([type(classify.image_processor).__module__, classify(numpy.load("clip.npy"), top_k=3)]))
"""


@pytest.mark.slow
def test_pretrain_push_finetune_push_classify(hub: HubStandIn, tmp_path: Path) -> None:
    write_nw_ucla(tmp_path / "raw", NAMES)
    done = run(
        hub, tmp_path, *S2I, "pretrain", *DATA, *FEW, "--model", "config:micro", "--size", 32,
        "--push_to_hub", "someone/mae",
    )  # fmt: skip
    assert done.returncode == 0 and "Uploaded: http" in done.stdout, done.stderr
    pretrained = hub.repositories["model", "someone/mae"]
    assert pretrained.private and len(pretrained.snapshots) == 2  # the empty one and one commit

    done = run(
        hub, tmp_path, *S2I, "finetune", *DATA, *FEW, "--model", "someone/mae", "--pooling", "mean", "--device", "cpu",
        "--push_to_hub", "someone/classifier",
    )  # fmt: skip
    assert done.returncode == 0 and "Uploaded: http" in done.stdout, done.stderr
    classifier = hub.repositories["model", "someone/classifier"]
    assert len(classifier.snapshots) == 2 and b"base_model: someone/mae" in classifier.files["README.md"]
    assert {"results.json", "modeling_pooled_vit.py", "run.yaml"} <= set(classifier.files)
    for files in (pretrained.files, classifier.files):
        assert not [name for name, data in files.items() if str(tmp_path).encode() in data or b"hf_stand_in" in data]

    if importlib.util.find_spec("PIL") is not None:  # the pipeline class of transformers needs Pillow
        np.save(tmp_path / "clip.npy", np.random.default_rng(0).normal(size=(9, 20, 3)).astype(np.float32))
        answers = []
        for package in ("with", "without"):
            done = run(hub, tmp_path, "-c", CLASSIFY, package)
            assert done.returncode == 0, done.stderr
            answers.append(json.loads(done.stdout))
        assert (
            answers[0][1] == answers[1][1]
            and answers[0][0] == "s2i_hf.processing.image_processing_skeleton" != answers[1][0]
        )

    # the pushed settings repeat the run, bit for bit
    again = ("--data_dir", "raw", "--cache_dir", "cache", "--output_dir", "again")
    done = run(hub, tmp_path, *S2I, "pretrain", "--config", "hf://someone/mae", *again)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "again" / "model.safetensors").read_bytes() == pretrained.files["model.safetensors"]
    for address in ("hf://someone/none", "hf://someone/mae@v9", "hf://no such name"):
        done = run(hub, tmp_path, *S2I, "pretrain", "--config", address)
        assert done.returncode == 2 and re.match(f"s2i pretrain: --config {address}: .*run.yaml", done.stderr), (
            done.stderr
        )
        assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_a_push_that_cannot_work_is_known_before_training(hub: HubStandIn, tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    words = (*DATA, "--model", "config:micro", "--push_to_hub")
    done = run(hub, tmp_path, *S2I, "pretrain", *words, "someone/mae", HF_TOKEN="", HF_TOKEN_PATH="/nowhere")
    assert done.returncode == 2 and "no token of the Hub" in done.stderr, done.stderr
    done = run(hub, tmp_path, *S2I, "finetune", *words, "mae")
    assert done.returncode == 2 and "expected user/name" in done.stderr, done.stderr
    assert not (tmp_path / "runs").exists()
