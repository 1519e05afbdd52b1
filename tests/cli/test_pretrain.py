"""`s2i pretrain` as a user runs it: from a shell, killed, resumed, and on two processes."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file
from skeleton_files import write_nw_ucla

from s2i_hf.data.convert import convert
from s2i_hf.processing.image_processing_skeleton import SkeletonProcessor
from s2i_hf.synthetic.people import write_dataset

ROOT = Path(__file__).parents[2]
PRETRAIN = ["-m", "s2i_hf", "pretrain"]
# of accelerate 1.15: `--cpu --num_processes 2` would start one process
TWO_PROCESSES = ["--multi_gpu", "--num_processes=2", "--num_machines=1", "--mixed_precision=no", "--dynamo_backend=no"]
SETTINGS = [
    "--model=config:micro",
    "--size=64",
    "--epochs=8",
    "--base_lr=0.02",
    "--log_every=1",
    "--save_every=5",
    "--no-card",
]


def environment(**changes: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ACCELERATE", "MASTER_"))}
    return {**inherited, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **changes}


def command(*words: object, launcher: list[str] | None = None) -> list[str]:
    if launcher is None:
        return [sys.executable, *PRETRAIN, *map(str, words)]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    start = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch", "--main_process_port", str(port)]
    return [*start, *launcher, *PRETRAIN, *map(str, words)]


def execute(words: list[str], env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, env=env or environment(), timeout=300)


def rows(run_dir: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]


def curve(run_dir: Path) -> list[tuple[int, float]]:
    return [(row["step"], row["loss"]) for row in rows(run_dir)[1:]]


def stop_after(
    words: list[str], run_dir: Path, steps: int, signal_number: int, env: Mapping[str, str]
) -> tuple[int, str]:
    """Start a run, send it a signal once it has logged so many steps, and wait for its end."""
    process = subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    metrics, deadline = run_dir / "metrics.jsonl", time.monotonic() + 120
    while not (metrics.is_file() and metrics.read_text().count("\n") > steps):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.002)
    process.send_signal(signal_number)
    _, err = process.communicate(timeout=120)
    return process.returncode, err


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`raw`: .skeleton files; `out`: the same converted. 42 training clips, some of two people."""
    folder = tmp_path_factory.mktemp("synthetic")
    write_dataset(folder / "raw", subjects=2, replications=1)
    convert("synthetic_xsub", folder / "raw", folder / "out", format="npz")
    return folder


@pytest.fixture(scope="module")
def one(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one process on raw files: 24 steps of 2 x 6 clips."""
    folder = tmp_path_factory.mktemp("one")
    words = ["--data", "synthetic_xsub", "--data_dir", data / "raw", "--cache_dir", folder / "cache", *SETTINGS]
    words += ["--batch_size", 6, "--gradient_accumulation", 2, "--output_dir", folder / "run"]
    done = execute(command(*words))
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr and "step/s" not in done.stderr  # no bar where there is no terminal
    assert [step for step, _ in curve(folder / "run")] == list(range(1, 25))
    return folder / "run"


def test_a_mistake_is_one_sentence(tmp_path: Path, data: Path) -> None:
    done = execute(command("--data", data / "out", "--model", "config:huge", "--output_dir", tmp_path / "run"))
    assert done.returncode == 2 and "config:huge" in done.stderr and "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_killed_from_outside_and_resumed(data: Path, one: Path, tmp_path: Path) -> None:
    """Killed twice at random: still the curve and the weights of the run on raw files.

    It reads the converted files, on a machine that lacks what only other parts of the package need.
    """
    (tmp_path / "sitecustomize.py").write_text(
        "import sys; sys.modules.update(dict.fromkeys(['datasets', 'evaluate', 'PIL', 'sklearn', 'matplotlib']))"
    )
    bare = environment(PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    run_dir, dice = tmp_path / "run", random.Random(int(time.time()))
    words = command(
        "--data", data / "out", *SETTINGS, "--batch_size", 6, "--gradient_accumulation", 2, "--output_dir", run_dir
    )
    steps = dice.randint(1, 12), dice.randint(13, 22)
    for more, killed_at in zip(([], ["--resume"]), steps, strict=True):
        code, err = stop_after([*words, *more], run_dir, killed_at, signal.SIGKILL, bare)
        assert code == -signal.SIGKILL, err
    done = execute([*words, "--resume"], bare)
    assert done.returncode == 0, done.stderr
    assert curve(run_dir) == curve(one), f"killed after steps {steps}"
    assert (run_dir / "model.safetensors").read_bytes() == (one / "model.safetensors").read_bytes()


def test_two_processes_are_one_run(data: Path, one: Path, tmp_path: Path) -> None:
    """Two processes stopped by SIGTERM and resumed: the curve of one process with the same effective batch."""
    run_dir = tmp_path / "run"
    words = [
        "--data",
        data / "out",
        *SETTINGS,
        "--batch_size",
        3,
        "--gradient_accumulation",
        2,
        "--output_dir",
        run_dir,
    ]
    env = environment(ACCELERATE_USE_CPU="true")
    start = command(*words, "--log_sample_ids", launcher=TWO_PROCESSES)
    code, err = stop_after(start, run_dir, 7, signal.SIGTERM, env)
    assert code != 0 and "Stopped after step" in err, err
    assert len(curve(run_dir)) < 24
    done = execute(command(*words, "--log_sample_ids", "--resume", launcher=TWO_PROCESSES), env)
    assert done.returncode == 0, done.stderr
    assert rows(run_dir)[0]["num_processes"] == 2 and rows(one)[0]["num_processes"] == 1
    commands = [rows(folder)[0]["command"].partition(" --data")[0] for folder in (run_dir, one)]
    assert commands == ["accelerate launch --num_processes 2 -m s2i_hf pretrain", "s2i pretrain"]
    assert [step for step, _ in curve(run_dir)] == [step for step, _ in curve(one)]
    assert [loss for _, loss in curve(run_dir)] == pytest.approx([loss for _, loss in curve(one)], rel=1e-4)
    ours, theirs = load_file(run_dir / "model.safetensors"), load_file(one / "model.safetensors")
    assert ours.keys() == theirs.keys()
    assert all(np.allclose(ours[name], theirs[name], atol=1e-4) for name in theirs)
    seen: list[dict[tuple[int, int], set[str]]] = []
    for rank in range(2):
        logged: dict[tuple[int, int], set[str]] = {}
        for line in (run_dir / f"sample_ids_rank{rank}.jsonl").read_text().splitlines():
            row = json.loads(line)
            logged.setdefault((row["epoch"], row["step"]), set()).update(row["sample_ids"])
        assert len(logged) == 24 and all(len(clips) == 6 for clips in logged.values())
        seen.append(logged)
    for epoch in range(8):
        taken = [clip for logged in seen for (at, _), clips in logged.items() if at == epoch for clip in clips]
        assert len(taken) == len(set(taken)) == 36  # of 42 clips, none twice


def test_two_joint_formats_are_trained_on_together(data: Path, tmp_path: Path) -> None:
    """A converted folder of 25 joints and raw files of 20, each half of an epoch; a camera of the latter is held out."""
    names = [
        f"a{action:02}_s{subject:02}_e00_v{view:02}" for action in (1, 2) for subject in (1, 2, 3) for view in (1, 2, 3)
    ]
    write_nw_ucla(tmp_path / "ucla", names, frames=12)
    run_dir = tmp_path / "run"
    words = ["--data", f"{data / 'out'},nw_ucla_xview", "--data_dir", f"nw_ucla_xview={tmp_path / 'ucla'}"]
    words += [
        "--mixture",
        "equal",
        "--holdout",
        "nw_ucla_xview1,ntu60_xsub",
        "--cache_dir",
        str(tmp_path / "cache"),
        *SETTINGS,
    ]
    words += ["--epochs=2", "--batch_size=6", "--output_dir", str(run_dir), "--log_sample_ids", "--card"]
    done = execute(command(*words))
    assert done.returncode == 0, done.stderr
    assert "nw_ucla_xview: 6 of 12 training clips are held out" in done.stderr and "Traceback" not in done.stderr
    described = json.loads((run_dir / "data.json").read_text())
    assert described["name"] == "synthetic_xsub + nw_ucla_xview" and described["layouts"] == ["kinect_v1", "kinect_v2"]
    assert described["held_out"] == {"nw_ucla_xview1": 6, "ntu60_xsub": 0}
    assert [facts["clips"] for facts in described["sources"].values()] == [42, 6]
    assert [facts["share"] for facts in described["sources"].values()] == [0.5, 0.5]
    drawn = [name for line in (run_dir / "sample_ids_rank0.jsonl").read_text().splitlines()
             for name in json.loads(line)["sample_ids"]]  # fmt: skip
    ours = [name for name in drawn if name.startswith("a")]
    assert len(drawn) == 2 * 48 and len(ours) == 48 and set(ours) == {name for name in names if name.endswith("v02")}
    processor = SkeletonProcessor.from_pretrained(run_dir)
    assert processor.layout is None
    assert (
        processor(np.zeros((4, 1, 20, 3)) + np.arange(20)[:, None], layout="kinect_v1")["pixel_values"].shape[-1] == 64
    )
    card = (run_dir / "README.md").read_text()
    assert "| synthetic_xsub | 42 | 50.0% | kinect_v2 |" in card and "6 of `nw_ucla_xview1`" in card
    assert str(tmp_path) not in card


def test_a_launch_that_would_train_apart_is_refused(data: Path, tmp_path: Path) -> None:
    words = ["--data", data / "out", *SETTINGS, "--output_dir", tmp_path / "run"]
    done = execute(command(*words, launcher=["--cpu", "--num_processes", "2"]), environment(CUDA_VISIBLE_DEVICES=""))
    assert done.returncode != 0 and "started one; on CPUs launch with `ACCELERATE_USE_CPU=true" in done.stderr
    assert not (tmp_path / "run").exists()
