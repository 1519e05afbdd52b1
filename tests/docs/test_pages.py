"""docs/: links lead somewhere, commands and flags exist, code of how-to pages runs, and every public name has its place.

What the tutorials say is checked by `make docs`, which runs every cell.
"""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import yaml

import s2i_hf
from s2i_hf.cli import COMMANDS
from s2i_hf.utils.arguments import read_arguments

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if not {"_build", "generated"} & set(path.parts))
TEXTS = {str(path.relative_to(DOCS)): path.read_text(encoding="utf-8") for path in PAGES}
BLOCKS = re.compile(r"^```(\S*)[^\n]*\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def pages() -> ModuleType:
    """`docs/pages.py`, which is no part of the package."""
    sys.path.insert(0, str(DOCS))
    try:
        return importlib.import_module("pages")
    finally:
        sys.path.remove(str(DOCS))


def blocks(text: str, *languages: str) -> list[str]:
    return [code for language, code in BLOCKS.findall(text) if language in languages]


def command_lines(text: str) -> list[str]:
    """Every call of `s2i` in blocks for a terminal and in cells."""
    cells = "\n".join(blocks(text, "sh", "{code-cell}")).replace("\\\n", " ")
    return re.findall(r"^(?:s2i|.*?-m s2i_hf) (.+)$", cells, flags=re.MULTILINE)


def test_there_is_what_a_newcomer_looks_for() -> None:
    tutorials = "first_run own_recordings pretrain few_labels across_joint_formats share_on_the_hub several_gpus"
    how_to = "convert refused_files choose_a_mask vision_weights fuse_streams robustness infill predict export_onnx push resume"
    assert {f"tutorials/{name}.md" for name in tutorials.split()} <= set(TEXTS)
    assert {f"how_to/{name}.md" for name in [*how_to.split(), "own_trainer"]} <= set(TEXTS)


@pytest.mark.parametrize("page", TEXTS)
def test_links_lead_somewhere(page: str, pages: ModuleType) -> None:
    names = {name for names in pages.public_names().values() for name in names}
    made = {"generated/layouts.md", "generated/protocols.md", "generated/commands.md", "generated/kick.png"}
    made |= {f"generated/api/{package}.md" for package in pages.PACKAGES}
    text = BLOCKS.sub("", TEXTS[page])
    for target in re.findall(r"\]\(([^)\s]+)\)", text.replace("\n", " ")):
        if target.startswith("https://"):
            continue
        if target.startswith("#"):
            assert target[1:] in names, target
            continue
        path = ((DOCS / page).parent / target.partition("#")[0]).resolve().relative_to(DOCS)
        assert str(path) in TEXTS or str(path) in made or (DOCS / path).is_file(), target


def test_every_page_is_in_a_table_of_contents() -> None:
    listed = {"index.md"}
    for page, text in TEXTS.items():
        for entries in blocks(text, "{toctree}"):
            for entry in (line for line in entries.splitlines() if line.strip() and not line.startswith(":")):
                path = ((DOCS / page).parent / entry.strip()).resolve().relative_to(DOCS)
                assert path.parts[0] == "generated" or f"{path}.md" in TEXTS, entry
                listed.add(f"{path}.md")
    assert set(TEXTS) <= listed


@pytest.mark.parametrize("page", TEXTS)
def test_files_that_are_named_exist(page: str) -> None:
    for path in re.findall(
        r"(?<![\w/])(?:examples|benchmarks|model_cards|dataset_scripts|s2i_hf)/[\w./]*\w", TEXTS[page]
    ):
        assert (ROOT / path).exists(), path
    for target in re.findall(r"`make ([\w-]+)", TEXTS[page]):
        assert f"\n{target}: " in (ROOT / "Makefile").read_text(encoding="utf-8"), target


@pytest.mark.parametrize(
    ("page", "line"), [(page, line) for page, text in TEXTS.items() for line in command_lines(text)], ids=str
)
def test_commands_are_understood(page: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, *words = shlex.split(line.partition(" > ")[0], comments=True)
    monkeypatch.chdir(tmp_path)
    Path("recordings").mkdir()
    if name != "push":  # those that push ask for a token at once
        words = [word for word in words if "push" not in word and not word.startswith("you/")]
    for word in words:
        if word.endswith(".skeleton"):
            Path(word).parent.mkdir(parents=True, exist_ok=True)
            Path(word).touch()
        elif word.endswith(".yaml"):
            Path(word).write_text(yaml.safe_dump({"model": "config:tiny", "data": "data"}))
    assert read_arguments(COMMANDS[name].load(name)[1], words, f"s2i {name}")


def test_commands_are_found_in_cells_and_blocks() -> None:
    assert len(command_lines(TEXTS["tutorials/first_run.md"])) >= 4
    assert len(command_lines(TEXTS["how_to/predict.md"])) == 5


@pytest.mark.parametrize("page", TEXTS)
def test_a_cell_for_the_shell_is_one_command(page: str) -> None:
    """A shell goes on after a command that failed, and only the last one is looked at."""
    for code in blocks(TEXTS[page], "{code-cell}"):
        if code.startswith("%%bash\n"):
            assert len(code.replace("\\\n", " ").strip().splitlines()) == 2, code
        else:
            assert not code.startswith(("!", "%")), code


@pytest.mark.parametrize(
    ("page", "code"),
    [(page, code) for page, text in TEXTS.items() for code in blocks(text, "python")],
    ids=lambda value: value if value.endswith(".md") else "",
)
def test_python_blocks_run(page: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    exec(compile(code, page, "exec"), {})


def test_messages_that_are_explained_exist() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "s2i_hf").rglob("*.py"))
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \| [^|]+ \|$", TEXTS["how_to/refused_files.md"], flags=re.MULTILINE)[1:]
    assert len(rows) >= 9
    for part in (part.strip(" ;,") for row in rows for part in row.split("...")):
        assert part in sources, part


@pytest.mark.parametrize("page", [page for page, text in TEXTS.items() if "{code-cell}" in text])
def test_cells_use_names_that_an_earlier_cell_made(page: str) -> None:
    cells = [code for code in blocks(TEXTS[page], "{code-cell}") if not code.startswith("%%bash\n")]
    words = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F821,E9", "-"]
    done = subprocess.run(words, input="\n".join(cells), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_tree_is_the_folders() -> None:
    tree = TEXTS["concepts/where_things_are.md"].split("```")[1]
    named = [line.split("/")[0].strip() for line in tree.strip().splitlines()]
    inside = {path.parent.name for path in (ROOT / "s2i_hf").glob("*/__init__.py")}
    assert inside <= set(named) and all((ROOT / name).is_dir() or (ROOT / "s2i_hf" / name).is_dir() for name in named)
    assert len(named) <= 25 and "*" not in tree


def test_what_to_change_is_where_the_table_says() -> None:
    table = TEXTS["concepts/where_things_are.md"].split("| I want to change")[1]
    for path in re.findall(r"`([\w/]+(?:\.py|/))`", table):
        assert (ROOT / "s2i_hf" / path).exists() or (ROOT / path).exists(), path


def test_every_public_name_is_in_the_reference(pages: ModuleType) -> None:
    listed = pages.public_names()
    everywhere = [name for names in listed.values() for name in names]
    assert len(everywhere) == len(set(everywhere))
    assert {f"s2i_hf.{name}" for name in s2i_hf.__all__ if name != "__version__"} <= set(everywhere)
    for package, names in listed.items():
        text = pages.api_page(package, names)
        for name in names:
            assert re.search(rf"^\.\. (autoclass|autofunction|py:data):: {re.escape(name)}$", text, re.MULTILINE), name
            assert re.search(rf"^\| \[`[\w.]+`\]\(#{re.escape(name)}\) \| \S.* \|$", text, re.MULTILINE), name


def test_every_flag_is_on_the_page_of_the_commands(pages: ModuleType) -> None:
    page = pages.command_page()
    assert re.findall(r"^## (\S+)$", page, flags=re.MULTILINE) == list(COMMANDS)
    assert "| `--mask_ratio` |" in page and "| `CLIPS` |" in page


def test_a_body_stands_in_every_joint_format(pages: ModuleType) -> None:
    for layout in s2i_hf.LAYOUTS.values():
        body = pages.standing_bodies.standing(layout)
        assert body.shape == (layout.num_joints, 3) and np.isfinite(body).all()
        for pair in layout.mirror_pairs:
            left, right = (body[layout.joint_names.index(name)] for name in pair)
            assert left[0] >= 0 and np.allclose(left * (-1, 1, 1), right), (layout.name, pair)
        feet = [layout.joint_names.index(layout.parts[leg][-1]) for leg in ("left_leg", "right_leg")]
        assert body[feet, 1].max() < -0.8 < 0.3 < body[layout.joint_names.index(layout.parts["torso"][0]), 1]


def test_the_pages_of_the_layouts_name_them_all(pages: ModuleType) -> None:
    for layout in s2i_hf.LAYOUTS.values():
        text = pages.layout_page(layout)
        assert all(name in text for name in layout.joint_names) and f"layouts/{layout.name}.png" in text
