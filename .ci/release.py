"""Builds what a package index gets, in `dist/`, and checks it: python .ci/release.py [--tag v0.1.0 --repository https://HOST/OWNER/NAME]

It is built from a copy of the files that git tracks. With an address, links of README.md that lead into the repository become absolute
there, since an index has no other files to show, and the address stands beside the package. Needs `build` and `twine`.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {
    "s2i_hf": "s2i_hf",
    "dataset_scripts": "s2i_hf/dataset_scripts",
    "model_cards": "s2i_hf/model_cards",
}  # of a wheel
INDEX_PAGE = "README.index.md"  # README.md with absolute links
README, URLS = 'readme = "README.md"\n', "[project.urls]\n"  # lines of pyproject.toml
CODE = re.compile(r"(```.*?```|`[^`\n]*`)", flags=re.DOTALL)
LINK = re.compile(r"(!\[[^]\n]*)?\]\((?![a-z]+:|#)([^)\s]+)\)")


def absolute_links(page: str, repository: str, tag: str) -> str:
    """A page whose relative links lead to the files of a tag; code is left as it is."""

    def link(match: re.Match[str]) -> str:
        return f"{match[1] or ''}]({repository}/{'raw' if match[1] else 'blob'}/{tag}/{match[2]})"

    return "".join(part if part.startswith("`") else LINK.sub(link, part) for part in CODE.split(page))


def with_addresses(project: str, repository: str, tag: str) -> str:
    """The text of pyproject.toml with the addresses of a repository among those of the paper, and the index's own page."""
    urls = {
        "Repository": repository,
        "Changelog": f"{repository}/blob/{tag}/CHANGELOG.md",
        "Issues": f"{repository}/issues",
    }
    lines = "".join(f'{name} = "{url}"\n' for name, url in urls.items())
    for line, instead in ((URLS, URLS + lines), (README, README.replace("README.md", INDEX_PAGE))):
        if line not in project:
            raise ValueError(f"pyproject.toml has no line {line.strip()}, where the address of the repository belongs.")
        project = project.replace(line, instead)
    return project


def version_faults(files: Mapping[str, str], tag: str = "") -> list[str]:
    """What says another version than pyproject.toml, in sentences; `files` are texts by their paths."""
    version = tomllib.loads(files["pyproject.toml"])["project"]["version"]
    told = {
        "CHANGELOG.md": r"^## (\S+)",
        "CITATION.cff": r"^version: (\S+)$",
        "s2i_hf/__init__.py": r'^__version__ = "(.*)"$',
    }
    faults = []
    for path, pattern in told.items():
        found = re.search(pattern, files[path], flags=re.MULTILINE)
        if not found or found[1] != version:
            faults.append(f"{path} says version {found[1] if found else 'nothing'}, pyproject.toml {version}.")
    if tag and tag != f"v{version}":
        faults.append(f"The tag is {tag}, and pyproject.toml says {version}: expected v{version}.")
    heading = re.search(r"^## .*$", files["CHANGELOG.md"], flags=re.MULTILINE)
    if tag and heading and "not released" in heading[0]:
        faults.append(f"CHANGELOG.md still says '{heading[0]}'; put the day of the release there.")
    return faults


def content_faults(kind: str, found: set[str], expected: set[str]) -> list[str]:
    """Files of an archive that are missing or too many, in sentences."""
    faults = [f"The {kind} lacks {path}." for path in sorted(expected - found)]
    return faults + [f"The {kind} has {path}, which does not belong there." for path in sorted(found - expected)]


def expected_in_wheel(tracked: set[str]) -> set[str]:
    """What a wheel holds of the tracked files: the package, the builders and the cards; no tests."""
    tops = {path: path.partition("/") for path in tracked}
    return {f"{FOLDERS[top]}/{rest}" for top, slash, rest in tops.values() if slash and top in FOLDERS}


def archive_faults(folder: Path, tracked: set[str]) -> list[str]:
    """What is wrong with the files in the one sdist and the one wheel of a folder."""
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    with tarfile.open(sdist) as archive:
        inside = {name.name.partition("/")[2] for name in archive if name.isfile()}
    made = {path for path in inside if path in ("PKG-INFO", "setup.cfg") or path.startswith("s2i_hf.egg-info/")}
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    faults = content_faults("sdist", inside - made, tracked)
    return faults + content_faults("wheel", packed, expected_in_wheel(tracked))


def main() -> int:
    """Build and check; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--tag", default="", help="the tag that is released, such as v0.1.0; versions must agree with it"
    )
    parser.add_argument("--repository", default="", help="address of the repository, for links")
    asked = parser.parse_args()
    named = ("pyproject.toml", "CHANGELOG.md", "CITATION.cff", "s2i_hf/__init__.py")
    faults = version_faults({path: (ROOT / path).read_text(encoding="utf-8") for path in named}, asked.tag)
    if asked.tag and not asked.repository:
        faults.append("A release needs --repository, or the links of its page lead nowhere.")
    if faults:
        sys.exit("\n".join(faults))
    tracked = set(subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True).strip("\0").split("\0"))
    missing = [path for path in sorted(tracked) if not (ROOT / path).is_file()]
    if missing:
        sys.exit(f"{missing[0]} is tracked by git and not there; restore it, or remove it from the index.")

    output = ROOT / "dist"
    shutil.rmtree(output, ignore_errors=True)
    with tempfile.TemporaryDirectory() as name:
        source = Path(name, "source")
        for path in tracked:
            (source / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / path, source / path)
        if asked.repository:
            tag = asked.tag or "main"
            page, project = (ROOT / "README.md").read_text(encoding="utf-8"), source / "pyproject.toml"
            where = asked.repository.rstrip("/"), tag
            (source / INDEX_PAGE).write_text(absolute_links(page, *where), encoding="utf-8")
            project.write_text(with_addresses(project.read_text(encoding="utf-8"), *where), encoding="utf-8")
            tracked.add(INDEX_PAGE)
        subprocess.run([sys.executable, "-m", "build", "--outdir", output, source], check=True)
    subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *sorted(output.iterdir())], check=True)
    faults = archive_faults(output, tracked)
    print(
        "\n".join(faults) or f"{', '.join(sorted(path.name for path in output.iterdir()))}: complete, versions agree."
    )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
