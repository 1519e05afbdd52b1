"""Where a number comes from: commands without machine paths, commits, hardware, and `s2i env`."""

from __future__ import annotations

import getpass
import json
import os
import platform
import subprocess
from pathlib import Path

import pytest
import torch

from s2i_hf.cli import main
from s2i_hf.runs import provenance as environment
from s2i_hf.runs.provenance import current_commit, hardware_name, public_command


def shown(capsys: pytest.CaptureFixture[str], *flags: str) -> str:
    assert main(["env", *flags]) == 0
    return capsys.readouterr().out


def test_versions_and_devices(capsys: pytest.CaptureFixture[str]) -> None:
    facts = json.loads(shown(capsys, "--json"))
    assert list(facts) == ["system", "packages", "devices", "variables"]
    assert facts["packages"]["torch"] == torch.__version__ and facts["system"]["python"] == platform.python_version()
    assert facts["devices"]["cpu cores"] >= 1 and "GiB" in facts["devices"]["memory"]
    text = shown(capsys)
    for part in facts.values():
        for name, value in part.items():
            assert f"  {name}: {value}\n" in text


def test_a_package_that_is_not_there_comes_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "PACKAGES", {"no-such-package-of-ours": "viz", "none-either": ""})
    packages = environment.describe_environment()["packages"]
    assert "pip install 's2i-hf[viz]'" in packages["no-such-package-of-ours"]
    assert packages["none-either"] == "not installed"


def test_nothing_private_is_shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_abcdefghijklmnop")
    monkeypatch.setenv("OMP_NUM_THREADS", "/home/somebody/secret")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    text = shown(capsys) + shown(capsys, "--json")
    for word in ("hf_abcdefghijklmnop", "/home", "secret", str(Path.home()) + "/", platform.node()):
        assert not word or word not in text, word
    assert getpass.getuser() not in text.split() and "CUDA_VISIBLE_DEVICES: 0,1" in text and "(set, not shown)" in text


def test_it_works_where_torch_does_not(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken() -> None:
        raise OSError("/home/somebody/venv/lib/libcudart.so.12: cannot open shared object file\nmore")

    monkeypatch.setattr(environment, "_accelerators", broken)
    text = shown(capsys)
    assert "torch: does not work: OSError: .../libcudart.so.12: cannot open" in text and "somebody" not in text


def test_command_has_no_machine_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("S2I_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("S2I_REAL_DATA", "/mnt/disk7/data")
    monkeypatch.setenv("HOME", "/home/somebody")
    repository = tmp_path / "repository"
    argv = [
        str(repository / "examples/probe.py"), "--model", str(repository / "runs/mae_nw_ucla_xview"), "--data", "nw_ucla_xview",
        "--data_dir=/mnt/disk7/data/NW-UCLA", "--output_dir", "/scratch/job17/out", "--results_csv", "../elsewhere/r.csv",
        "--cache_dir", "~/cache", "--method", "two words",
    ]  # fmt: skip
    command = public_command(argv, cwd=repository)
    assert command == (
        "python examples/probe.py --model runs/mae_nw_ucla_xview --data nw_ucla_xview --data_dir=$S2I_REAL_DATA/NW-UCLA "
        "--output_dir $OUTPUT_DIR --results_csv $RESULTS_CSV --cache_dir ~/cache --method 'two words'"
    )
    script = str(Path(environment.__file__).parents[2] / "examples" / "probe.py")
    assert public_command([script], cwd=tmp_path) == "python examples/probe.py"
    assert public_command(["/opt/venv/bin/s2i", "card", "/srv/run"], cwd=repository) == "s2i card run"
    module = ["/opt/venv/site-packages/s2i_hf/__main__.py", "probe", "--model", "runs/mae"]
    assert public_command(module, cwd=repository) == "s2i probe --model runs/mae"
    monkeypatch.setattr("sys.argv", module)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert public_command() == "accelerate launch --num_processes 2 -m s2i_hf probe --model runs/mae"


def test_commit_is_known_marked_and_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "checkout" / "s2i_hf" / "runs" / "provenance.py"
    copy.parent.mkdir(parents=True)
    copy.write_text("x = 1\n")
    (tmp_path / "checkout" / "model_cards").mkdir()
    table = tmp_path / "checkout" / "model_cards" / "results.csv"
    table.write_text("a\n")
    monkeypatch.setattr(environment, "__file__", str(copy))

    def git(*words: str) -> str:
        names = ["-c", "user.name=t", "-c", "user.email=t@t"]
        done = subprocess.run(
            ["git", *names, "-C", str(tmp_path / "checkout"), *words], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    assert current_commit() == "unknown"  # no git at all
    git("init", "-q")
    assert current_commit() == "unknown"  # somebody else's checkout: the file is not tracked
    git("add", ".")
    git("-c", "core.hooksPath=/dev/null", "commit", "-qm", "x")
    assert current_commit() == git("rev-parse", "--short=12", "HEAD")
    table.write_text("b\n")
    assert "dirty" not in current_commit()  # writing a measured number down does not change the code
    copy.write_text("x = 2\n")
    assert current_commit() == git("rev-parse", "--short=12", "HEAD") + "-dirty"


def test_hardware_names_the_processor_and_its_cores() -> None:
    assert hardware_name("cpu").endswith(("core)", "cores)"))
    assert hardware_name() == hardware_name("cpu")
