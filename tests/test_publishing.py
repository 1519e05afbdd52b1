from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_stand_in import HubStandIn, Repository
from skeleton_files import write_nw_ucla

from s2i_hf.conversion import convert
from s2i_hf.publishing import check_repository, publish

NAMES = [f"a0{1 + index % 6}_s01_e{index:02}_v0{1 + index % 3}" for index in range(20)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("data")
    write_nw_ucla(base / "raw", NAMES)
    convert("nw_ucla_xview", base / "raw", base / "out", "parquet")
    return base / "out"


@pytest.fixture
def hub() -> Iterator[HubStandIn]:
    with HubStandIn() as running:
        yield running


def run(
    hub: HubStandIn, home: Path, program: str, *argv: object, **environment: str
) -> subprocess.CompletedProcess[str]:
    """A program of its own, because the clients read their settings when they are imported."""
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, argv)], capture_output=True, text=True, timeout=120,
        env={**os.environ, **hub.environment, "HF_HOME": str(home), "OMP_NUM_THREADS": "1", **environment},
    )  # fmt: skip


CLI = "import sys; from s2i_hf.cli import main; sys.exit(main(sys.argv[1:]))"


def test_there_and_back(hub: HubStandIn, folder: Path, tmp_path: Path) -> None:
    argv = ("convert", "nw_ucla_xview", "--data-dir", folder.parent / "raw", "--output", folder)
    stale = {"data/train-00000-of-00009.parquet": b"of an earlier upload", "notes.txt": b"kept"}
    hub.repositories["dataset", "someone/ucla"] = Repository(private=True)
    hub.repositories["dataset", "someone/ucla"].commit("main", stale)
    done = run(hub, tmp_path, CLI, *argv, "--push-to-hub", "someone/ucla")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert "holds this conversion already" in done.stdout
    assert f"Uploaded to {hub.endpoint}/datasets/someone/ucla." in done.stdout
    uploaded = hub.repositories["dataset", "someone/ucla"]
    local = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert b'load_dataset("user/repo")' in local["README.md"]  # which the uploaded one knows better
    local["README.md"] = local["README.md"].replace(b"user/repo", b"someone/ucla")
    assert uploaded.private and uploaded.files == {**local, "notes.txt": b"kept"}

    program = """
import json, sys
import datasets
from s2i_hf.data import as_rows, load_skeletons
plain = datasets.load_dataset("someone/ucla")
streamed = datasets.load_dataset("someone/ucla", split="train", streaming=True)
ours = load_skeletons("someone/ucla")
print(json.dumps({
    "plain": {split: part["sample_id"][:] for split, part in plain.items()},
    "names": plain["train"].features["label"].names,
    "streamed": [row["sample_id"] for row in streamed],
    "ours": {split: as_rows(part).sample_ids for split, part in ours.items()},
    "sums": [float(sum(row["joints"])) for row in streamed] == [float(sum(row["joints"])) for row in plain["train"]],
    "protocol": as_rows(ours["test"]).name,
}))
"""
    done = run(hub, tmp_path, program)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    expected = {
        "train": sorted(name for name in NAMES if name[-1] != "3"),
        "test": sorted(name for name in NAMES if name[-1] == "3"),
    }
    assert seen["plain"] == seen["ours"] == expected and seen["streamed"] == expected["train"]
    assert seen["sums"] and seen["protocol"] == "nw_ucla_xview" and len(seen["names"]) == 10


def test_a_new_repository_is_private_and_a_public_one_is_left_alone(
    hub: HubStandIn, folder: Path, tmp_path: Path
) -> None:
    program = """
import sys
from s2i_hf.publishing import publish
for name, private in (("new", True), ("open", True), ("meant", False), ("open", False)):
    try:
        print(publish(sys.argv[1], "someone/" + name, private=private))
    except ValueError as error:
        print(error)
"""
    hub.repositories["dataset", "someone/open"] = Repository(private=False)
    done = run(hub, tmp_path, program, folder)
    lines = done.stdout.splitlines()
    assert lines[0].endswith("/datasets/someone/new") and hub.repositories["dataset", "someone/new"].private, (
        done.stderr
    )
    assert lines[1].startswith("someone/open is there and public") and lines[1].endswith("or pass --public.")
    assert not hub.repositories["dataset", "someone/meant"].private and lines[3].endswith("/datasets/someone/open")
    assert sorted(hub.repositories["dataset", "someone/open"].files) == sorted(
        hub.repositories["dataset", "someone/new"].files
    )


@pytest.mark.parametrize(
    ("failing", "environment", "words", "made"),
    [
        ("whoami", {}, "The Hub does not know who you are", False),
        ("", {"HF_TOKEN": "", "HF_TOKEN_PATH": "/nowhere"}, "There is no token", False),
        ("", {"HF_HUB_OFFLINE": "1"}, "The Hub does not know who you are", False),
        ("POST .*/commit/", {}, "The upload to someone/ucla failed", True),
    ],
)
def test_what_the_hub_refuses_is_one_sentence(
    hub: HubStandIn, folder: Path, tmp_path: Path, failing: str, environment: dict[str, str], words: str, made: bool
) -> None:
    hub.failing = failing
    argv = ["convert", "nw_ucla_xview", "--data-dir", folder.parent / "raw", "--output", tmp_path / "out"]
    done = run(hub, tmp_path, CLI, *argv, "--push-to-hub", "someone/ucla", **environment)
    assert done.returncode == 2 and done.stderr.startswith(f"s2i convert: {words}") and done.stderr.count("\n") == 1
    assert (tmp_path / "out").exists() == made  # known before hours of work, where it can be


@pytest.mark.parametrize("name", ["ucla", "a/b/c", "", "a b/c", "/ucla", "https://huggingface.co/a/b"])
def test_names_that_are_no_repository(name: str) -> None:
    with pytest.raises(ValueError, match="expected user/name"):
        check_repository(name)


def test_only_parquet_is_uploaded(folder: Path, tmp_path: Path) -> None:
    convert("nw_ucla_xview", folder.parent / "raw", tmp_path / "out", "safetensors")
    with pytest.raises(ValueError, match="--format parquet"):
        publish(tmp_path / "out", "someone/ucla")
    with pytest.raises(ValueError, match=r"no s2i\.json"):
        publish(folder.parent / "raw", "someone/ucla")


def test_the_stand_in_holds_models_too(hub: HubStandIn, tmp_path: Path) -> None:
    program = """
from huggingface_hub import HfApi
from pathlib import Path
api = HfApi()
api.create_repo("someone/model", private=True)
for name, content in (("config.json", b"{}"), ("deep/weights.bin", b"w" * 5000)):
    api.upload_file(path_or_fileobj=content, path_in_repo=name, repo_id="someone/model")
api.create_tag("someone/model", tag="v1")
api.create_branch("someone/model", branch="dev")
api.upload_file(path_or_fileobj=b"[]", path_in_repo="config.json", repo_id="someone/model", revision="dev")
folder = Path(api.snapshot_download("someone/model", revision="v1"))
assert (folder / "config.json").read_bytes() == b"{}" and (folder / "deep" / "weights.bin").read_bytes() == b"w" * 5000
assert Path(api.hf_hub_download("someone/model", "config.json", revision="dev")).read_bytes() == b"[]"
assert api.model_info("someone/model").private and api.file_exists("someone/model", "deep/weights.bin")
assert not api.file_exists("someone/model", "other") and not api.repo_exists("someone/other")
api.delete_repo("someone/model")
assert not api.repo_exists("someone/model")
"""
    done = run(hub, tmp_path, program)
    assert done.returncode == 0, done.stderr
