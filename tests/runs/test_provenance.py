from __future__ import annotations

import getpass
import json
import platform
from pathlib import Path

import pytest
import torch

from s2i_hf.cli import main
from s2i_hf.runs import provenance as environment


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
