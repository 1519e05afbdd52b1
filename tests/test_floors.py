"""The lowest versions that pyproject.toml allows are those that `make test-floors` installs; workflows run what the Makefile has."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
USED = (
    "fast",
    "viz",
    "diffusers",
    "export",
    "track",
)  # extras of users; the others are of those who work on the project
HIGHEST = {
    "transformers": "5.17",
    "huggingface-hub": "1.31",
    "accelerate": "1.15",
    "torch": "2.11",
}  # of a machine in use
NEEDS = [Requirement(line) for line in [*PROJECT["dependencies"], *(line for name in USED for line in EXTRAS[name])]]


def pins(name: str) -> dict[str, Version]:
    """Versions by package of a file of constraints."""
    rows = re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / name).read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {canonicalize_name(package): Version(version) for package, version in rows}


def floor(need: Requirement) -> Version:
    (lowest,) = (one.version for one in need.specifier if one.operator == ">=")
    return Version(lowest)


@pytest.mark.parametrize("need", NEEDS, ids=lambda need: need.name)
def test_a_floor_is_what_the_floors_are_tested_with(need: Requirement) -> None:
    name = canonicalize_name(need.name)
    assert pins("constraints-min.txt")[name] == floor(need)
    assert pins("constraints.txt")[name] in need.specifier, "the tested version is not one that is allowed"


def test_no_floor_is_above_a_machine_in_use() -> None:
    floors = {canonicalize_name(need.name): floor(need) for need in NEEDS}
    for name, version in HIGHEST.items():
        assert floors[name] <= Version(version), name


def test_a_package_has_one_floor() -> None:
    told: dict[str, set[str]] = {}
    for line in [*PROJECT["dependencies"], *(line for extra in EXTRAS.values() for line in extra)]:
        need = Requirement(line)
        if need.name != PROJECT["name"]:
            told.setdefault(canonicalize_name(need.name), set()).add(str(need.specifier))
    assert {name: floors for name, floors in told.items() if len(floors) > 1} == {}


def test_whoever_works_on_the_project_has_every_extra_that_tests_use() -> None:
    (ours,) = (Requirement(line) for line in EXTRAS["dev"] if line.startswith(PROJECT["name"]))
    assert ours.extras == set(USED) - {"track"}


def test_the_workflow_runs_the_three_environments() -> None:
    workflow: dict[Any, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    job = workflow["jobs"]["environments"]
    targets = [entry["target"].split() for entry in job["strategy"]["matrix"]["include"]]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert {words[0] for words in targets} == {"test-wheel", "test-floors", "test-newest"}
    assert all(f"\n{words[0]}: " in makefile for words in targets)
    assert ["test-floors", f"TORCH={pins('constraints-min.txt')['torch']}"] in targets
    assert job["steps"][-1]["run"] == "make ${{ matrix.target }}"


def test_a_release_is_built_checked_and_tried_before_it_is_published() -> None:
    workflow: dict[Any, Any] = yaml.safe_load(
        (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    )
    assert workflow[True] == {"push": {"tags": ["v*"]}} and workflow["permissions"] == {"contents": "read"}
    build, publish = workflow["jobs"]["build"], workflow["jobs"]["publish"]
    commands = [step["run"] for step in build["steps"] if "run" in step]
    assert commands[0] == "make release-check" and ".ci/wheel.py" in commands[1]
    assert {"TAG", "REPOSITORY"} <= set(build["env"])
    assert publish["needs"] == "build" and publish["permissions"] == {"id-token": "write"} and publish["environment"]
    assert "secrets" not in str(workflow) and "password" not in str(publish["steps"])
