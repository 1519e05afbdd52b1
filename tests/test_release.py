""".ci/release.py: what it changes for a package index, and what it refuses."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
spec = importlib.util.spec_from_file_location("release", ROOT / ".ci" / "release.py")
assert spec and spec.loader
release = importlib.util.module_from_spec(spec)
spec.loader.exec_module(release)

ADDRESS = "https://repository.test/owner/name"
PAGE = """See [one](docs/one.md#top), [`two`](two.md), ![a picture](docs/p.png), [far](https://a.test/b), [here](#here).
`names[0](call)` and

```python
steps[1](call)
```
"""


def texts() -> dict[str, str]:
    """The files that state a version."""
    names = ("pyproject.toml", "CHANGELOG.md", "CITATION.cff", "s2i_hf/__init__.py")
    return {name: (ROOT / name).read_text(encoding="utf-8") for name in names}


def test_links_into_the_repository_become_absolute_and_code_stays() -> None:
    made = release.absolute_links(PAGE, ADDRESS, "v1")
    assert f"[one]({ADDRESS}/blob/v1/docs/one.md#top), [`two`]({ADDRESS}/blob/v1/two.md)" in made
    assert f"![a picture]({ADDRESS}/raw/v1/docs/p.png), [far](https://a.test/b), [here](#here)" in made
    assert made.endswith(PAGE[PAGE.index("`names") :]) and made.count(ADDRESS) == 3


def test_no_relative_link_of_the_readme_is_left() -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    made = release.absolute_links(page, ADDRESS, "v1")
    targets = re.findall(rf"\]\({ADDRESS}/(?:blob|raw)/v1/([^)#]*)", made)
    assert targets and release.URLS in texts()["pyproject.toml"] and all((ROOT / target).exists() for target in targets)
    for link in re.findall(r"\]\(([^)]*)\)", re.sub(r"```.*?```|`[^`\n]*`", "", made, flags=re.DOTALL)):
        assert link.startswith(("https://", "#")), link


def test_addresses_stand_beside_those_of_the_paper_and_the_page_is_that_of_an_index() -> None:
    text = '[project]\nreadme = "README.md"\n\n[project.urls]\nPaper = "https://a.test"\n'
    made = tomllib.loads(release.with_addresses(text, ADDRESS, "v1"))["project"]
    assert made["readme"] == "README.index.md" and made["urls"]["Paper"] == "https://a.test"
    assert made["urls"]["Repository"] == ADDRESS and made["urls"]["Changelog"] == f"{ADDRESS}/blob/v1/CHANGELOG.md"
    with pytest.raises(ValueError, match=r"has no line \[project.urls\]"):
        release.with_addresses('[project]\nreadme = "README.md"\n', ADDRESS, "v1")


def test_one_version_is_told_everywhere() -> None:
    files = texts()
    assert release.version_faults(files) == []
    for path in set(files) - {"pyproject.toml"}:
        version = tomllib.loads(files["pyproject.toml"])["project"]["version"]
        (fault,) = release.version_faults(files | {path: files[path].replace(version, "9.9.9")})
        assert fault == f"{path} says version 9.9.9, pyproject.toml {version}."


def test_a_tag_is_of_this_version_and_of_a_day() -> None:
    files = texts()
    version = tomllib.loads(files["pyproject.toml"])["project"]["version"]
    files["CHANGELOG.md"] = f"# Changes\n\n## {version} (2026-12-01)\n"
    assert release.version_faults(files, f"v{version}") == []
    assert "expected v" + version in release.version_faults(files, version)[0]
    files["CHANGELOG.md"] = f"# Changes\n\n## {version} (not released yet)\n"
    assert "put the day of the release there" in release.version_faults(files, f"v{version}")[0]


def test_missing_files_and_tests_in_a_wheel_are_faults() -> None:
    tracked = {"s2i_hf/configs/a.yaml", "model_cards/b.md", "tests/test_c.py", "README.md"}
    expected = release.expected_in_wheel(tracked)
    assert expected == {"s2i_hf/configs/a.yaml", "s2i_hf/model_cards/b.md"}
    found = {"s2i_hf/model_cards/b.md", "tests/test_c.py"}
    assert release.content_faults("wheel", found, expected) == [
        "The wheel lacks s2i_hf/configs/a.yaml.",
        "The wheel has tests/test_c.py, which does not belong there.",
    ]


def test_a_release_without_an_address_is_refused_before_anything_is_built() -> None:
    version = tomllib.loads(texts()["pyproject.toml"])["project"]["version"]
    words = ["python3", str(ROOT / ".ci" / "release.py"), "--tag", f"v{version}"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "A release needs --repository" in done.stderr and not done.stdout
