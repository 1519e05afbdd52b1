""".ci/wheel.py: which lines of README.md it runs with the wheel alone, and how."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest

from s2i_hf.cli import COMMANDS
from s2i_hf.utils.arguments import settings_of

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
spec = importlib.util.spec_from_file_location("wheel", ROOT / ".ci" / "wheel.py")
assert spec and spec.loader
wheel = importlib.util.module_from_spec(spec)
spec.loader.exec_module(wheel)

LINES = [line for language, block in wheel.blocks(README) if language == "sh" for line in wheel.lines_of(block)]


def test_lines_are_those_of_a_shell() -> None:
    block = "s2i env  # what is here\n\n# nothing\ns2i pretrain --data a,b \\\n  --output_dir 'my runs'\n"
    assert wheel.lines_of(block) == ["s2i env", "s2i pretrain --data a,b --output_dir 'my runs'"]
    page = "```python\nx = 1\n```\n\ntext\n```sh\ns2i env\n```\n"
    assert wheel.blocks(page) == [("python", "x = 1\n"), ("sh", "s2i env\n")]


@pytest.mark.parametrize("line", LINES)
def test_every_line_of_the_readme_has_a_way(line: str) -> None:
    run = wheel.as_run(line)
    assert not run or run.split()[0] in ("s2i", "python")


def test_the_chain_and_a_training_are_run() -> None:
    run = [wheel.as_run(line) for line in LINES]
    commands = {line.split()[1] for line in run if line.startswith("s2i")}
    assert {"inspect", "convert", "pretrain", "probe", "finetune", "predict", "push"} <= commands
    assert "s2i convert synthetic_xsub --data-dir Bandai-Namco --output out" in run
    assert any(line.startswith("python examples/") for line in run)
    assert run.count("") <= len(wheel.ELSEWHERE) + 2


def test_an_unknown_program_is_no_line_to_pass_over() -> None:
    with pytest.raises(ValueError, match=r"README.md has the line 'curl x'; say in .ci/wheel.py how it is run\."):
        wheel.as_run("curl x")


@pytest.mark.parametrize("name", wheel.SHORT)
def test_what_shortens_a_command_is_a_flag_of_it(name: str) -> None:
    known = settings_of(COMMANDS[name].load(name)[1])
    for flag in re.findall(r"--([a-z_]+)", wheel.SHORT[name]):
        assert flag in known


def test_a_program_that_fails_ends_it_and_one_that_lacks_an_extra_has_to_say_so(tmp_path: Path) -> None:
    def python(code: str, lacks: str = "") -> None:
        wheel.call(code, [sys.executable, "-c", code], tmp_path, lacks)

    python("print('well')")
    python("raise SystemExit('install s2i-hf[export]')", lacks="s2i-hf[export]")
    wrong = {
        "fails": ("raise SystemExit(3)", ""),
        "fails otherwise": ("raise SystemExit(3)", "[export]"),
        "works": ("print('[export]')", "[export]"),
    }
    for code, lacks in wrong.values():
        with pytest.raises(SystemExit, match="Exit status"):
            python(code, lacks)
