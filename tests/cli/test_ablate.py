"""`s2i ablate` as a user runs it: killed, repeated, and with a variant that fails."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ablation_files import write_data, write_plan
from command_line import run

from s2i_hf.experiments.ablation import AblateArguments, ablate

ROOT = Path(__file__).parents[2]


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "ablation.csv").open() as file:
        found = list(csv.DictReader(file))
    return [{name: value for name, value in row.items() if name not in ("seconds", "command")} for row in found]


@pytest.mark.slow
def test_killed_and_repeated(tmp_path: Path) -> None:
    """Killed in the middle of the second run; the same command then goes on, and ends with the numbers of an undisturbed one."""
    data = write_data(tmp_path)
    variants = [{"name": "joint", "mask": "joint"}, {"name": "impossible", "mask_ratio": 0.99}]
    config = write_plan(tmp_path / "a.yaml", data, variants=variants, base={"max_steps": 30})
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    words = [
        sys.executable,
        "-m",
        "s2i_hf",
        "ablate",
        "--config",
        str(config),
        "--output_dir",
        "out",
        "--device",
        "cpu",
    ]
    process = subprocess.Popen(words, env=env, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    log, deadline = tmp_path / "out" / "joint_seed0" / "metrics.jsonl", time.monotonic() + 120
    while not (log.is_file() and log.read_text().count("\n") > 4):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert [row["variant"] for row in rows(tmp_path / "out")] == ["base"]
    assert not (tmp_path / "out" / "joint_seed0" / "summary.json").exists()
    done = subprocess.run(words, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    assert "base, seed 0: done before" in done.stdout and "Resuming from" in done.stdout
    assert "impossible, seed 0: failed: mask_ratio 0.99 leaves 0 of 16" in done.stdout
    assert "| joint | 1 |" in done.stdout and "- impossible, seed 0" in done.stdout  # the table is printed
    ablate(
        AblateArguments(config=str(config), output_dir=str(tmp_path / "undisturbed"), device="cpu"), lambda line: None
    )
    assert rows(tmp_path / "out") == rows(tmp_path / "undisturbed")
    with (tmp_path / "out" / "ablation.csv").open() as file:
        commands = {row["command"] for row in csv.DictReader(file)}
    assert commands == {"s2i ablate --config a.yaml --output_dir out --device cpu"}


def test_a_mistake_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.yaml").write_text("base: {data: nw_ucla_xview}\nvary: {maks: [joint]}\n")
    monkeypatch.chdir(tmp_path)
    code, _, error = run(capsys, "ablate", "--config", "a.yaml")
    assert code == 2 and "Did you mean 'mask'" in error and len(error.strip().splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.yaml"]
