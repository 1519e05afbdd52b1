"""The files that a repository is expected to have: true, and in the form that GitHub reads."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from s2i_hf.cli import COMMANDS
from s2i_hf.runs.provenance import PACKAGES

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def test_the_citation_is_of_the_paper_and_of_this_version() -> None:
    citation = yaml.safe_load(read("CITATION.cff"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation)  # what the format demands
    assert (
        citation["version"] == PROJECT["version"] and citation["license"] == PROJECT["license"].split(" AND ")[0]
    )  # the rest is of weights
    paper = citation["preferred-citation"]
    assert "2603.05963" in paper["url"] and len(paper["authors"]) == 8 and {"type", "title", "year"} <= set(paper)


def test_the_changes_of_this_version_are_listed() -> None:
    headings = re.findall(r"^## (\S+)", read("CHANGELOG.md"), flags=re.MULTILINE)
    assert headings[0] == PROJECT["version"] and len(headings) == len(set(headings))


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "CHANGELOG.md"])
def test_what_a_page_names_is_there(page: str) -> None:
    text = read(page)
    for path in re.findall(r"(?:examples|benchmarks|model_cards|dataset_scripts|tests)/[\w/.]+\w", text):
        assert (ROOT / path).exists(), path
    for command in re.findall(r"`s2i ([\w-]+)", text):
        assert command in COMMANDS, command
    for target in re.findall(r"^make ([\w-]+)", text, flags=re.MULTILINE):
        assert f"\n{target}: " in read("Makefile"), target
    assert max(map(len, text.splitlines())) <= 160


def test_an_example_in_contributing_is_code_of_ours() -> None:
    assert "def num_visible(num_patches: int, ratio: float) -> int:" in read("s2i_hf/processing/masking.py")
    assert "longer than the --window of {window}; frames would be left out." in read("s2i_hf/inference/windows.py")


def test_the_workflow_runs_what_runs_here() -> None:
    workflow: dict[Any, Any] = yaml.safe_load(read(".github/workflows/ci.yml"))
    steps = workflow["jobs"]["ci"]["steps"]
    assert any(step.get("run") == ".ci/run" for step in steps) and os.access(ROOT / ".ci" / "run", os.X_OK)
    assert {"push", "pull_request"} <= set(workflow[True])  # YAML 1.1 reads `on` as true
    assert workflow["permissions"] == {"contents": "read"}
    versions = workflow["jobs"]["ci"]["strategy"]["matrix"]["python-version"]
    assert PROJECT["requires-python"] == f">={versions[0]}"
    listed = {line.rsplit(" ", 1)[1] for line in PROJECT["classifiers"] if ":: Python :: 3." in line}
    assert set(versions) == listed


def test_issue_forms_are_as_github_takes_them() -> None:
    assert len(FORMS) >= 3
    for path in FORMS:
        form = yaml.safe_load(path.read_text(encoding="utf-8"))
        if path.name == "config.yml":
            assert set(form) <= {"blank_issues_enabled", "contact_links"}
            continue
        assert {"name", "description", "body"} <= set(form) <= {"name", "description", "body", "labels", "title"}
        ids = [field["id"] for field in form["body"]]
        assert len(ids) == len(set(ids)) and all(field["attributes"]["label"] for field in form["body"])
        assert all(field["type"] in {"input", "textarea", "dropdown", "checkboxes"} for field in form["body"])
        for command in re.findall(r"`s2i ([\w-]+)", path.read_text(encoding="utf-8")):
            assert command in COMMANDS


def test_every_package_of_the_environment_is_one_we_name() -> None:
    extras = PROJECT["optional-dependencies"]
    for package, extra in PACKAGES.items():
        assert not extra or any(need.startswith(package) for need in extras[extra]), package
    needed = {re.split(r"[<>=\[ ;]", need)[0].lower() for need in PROJECT["dependencies"]}
    assert needed - {"tqdm", "shtab"} <= {name.lower() for name in PACKAGES}
