"""README.md: its Python runs, its commands are understood, its links and files exist; and so do the commands of all other pages."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from s2i_hf.cli import COMMANDS
from s2i_hf.protocols import PROTOCOLS
from s2i_hf.utils.arguments import read_arguments, settings_of

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL))
def test_python_blocks_run(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    exec(compile(code, "README.md", "exec"), {})


def test_data_sets_are_counted() -> None:
    assert f"{len({protocol.dataset for protocol in PROTOCOLS.values()} - {'synthetic'})} data sets" in README


def test_links_lead_to_files() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", README)
    assert len(links) >= 5
    for path in links:
        assert (ROOT / path).exists() or path.startswith("docs/generated/"), path


def test_commands_name_files_that_exist() -> None:
    for path in re.findall(r"(?:examples|benchmarks|model_cards|dataset_scripts|s2i_hf)/[\w./]+", README):
        assert (ROOT / path.rstrip("./")).exists(), path


def command_lines(text: str) -> list[str]:
    """Every call of `s2i` in the code blocks of a page, a line each."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    lines = "\n".join(blocks).replace("\\\n", " ")
    return re.findall(r"^(?:s2i|.*?-m s2i_hf) (.+)$", lines, flags=re.MULTILINE)


def test_no_command_line_is_passed_over() -> None:
    page = "```sh\ns2i env\npython -m s2i_hf convert NAME \\\n  --strict\n```\n`s2i probe` is no line.\n\n```\ns2i demo\n```\n"
    assert [line.split() for line in command_lines(page)] == [["env"], ["convert", "NAME", "--strict"], ["demo"]]
    assert len(command_lines(README)) >= 10


@pytest.mark.parametrize("line", command_lines(README))
def test_lines_of_the_readme_are_understood(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, *words = shlex.split(line, comments=True)
    monkeypatch.chdir(tmp_path)
    for recording in (word for word in words if word.endswith(".skeleton")):
        Path(recording).touch()
    assert read_arguments(COMMANDS[name].load(name)[1], words, f"s2i {name}")


PAGES = [
    ROOT / "CONTRIBUTING.md",
    ROOT / "README.md",
    *sorted(ROOT.glob("*/**/*.md")),
    *sorted(ROOT.glob("s2i_hf/configs/**/*.yaml")),
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_flags_that_are_named_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in re.findall(r"\bs2i ([a-z][^\n`#]*)", text):
        name, *words = line.split()
        if name not in COMMANDS:
            continue
        known = settings_of(COMMANDS[name].load(name)[1])
        for word in words:
            flag = re.match(r"--(?:no[-_])?([a-z][a-z_-]*)", word)
            assert not flag or flag[1].replace("-", "_") in {*known, "config", "help"}, line
