from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_programs import CLI, a_run, commits, run
from hub_stand_in import HubStandIn, Repository
from skeleton_files import write_nw_ucla

from s2i_hf.data.convert import convert
from s2i_hf.hub.dataset_card import write_dataset_card
from s2i_hf.hub.push import check_repository, publish, split_branch

NAMES = [f"a0{1 + index % 6}_s01_e{index:02}_v0{1 + index % 3}" for index in range(20)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("data")
    write_nw_ucla(base / "raw", NAMES)
    convert("nw_ucla_xview", base / "raw", base / "out", write_card=write_dataset_card)
    return base / "out"


@pytest.fixture
def hub() -> Iterator[HubStandIn]:
    with HubStandIn() as running:
        yield running


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
    assert len(uploaded.snapshots) == 3  # the empty one, the stale one, and one commit

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
from s2i_hf.hub.push import publish
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
        pytest.param("", {"HF_HUB_OFFLINE": "1"}, "The Hub does not know who you are", False, marks=pytest.mark.slow),
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


def test_a_repository_may_name_its_branch() -> None:
    assert split_branch("a/b") == ("a/b", "main") and split_branch("a/b@dev") == ("a/b", "dev")
    assert split_branch("a/b", "x/1") == ("a/b", "x/1") and split_branch("a/b@dev", "main") == ("a/b", "dev")
    for name, branch in (("a/b@", None), ("a/b@x y", None), ("a/b", "x y"), ("a/b@dev", "other"), ("a@dev", None)):
        with pytest.raises(ValueError, match=r"expected|say it once"):
            split_branch(name, branch)


def test_only_parquet_is_uploaded(folder: Path, tmp_path: Path) -> None:
    convert("nw_ucla_xview", folder.parent / "raw", tmp_path / "out", "npz")
    with pytest.raises(ValueError, match="--format parquet"):
        publish(tmp_path / "out", "someone/ucla")
    with pytest.raises(ValueError, match=r"no s2i\.json"):
        publish(folder.parent / "raw", "someone/ucla")


@pytest.mark.slow
def test_a_run_is_pushed_in_one_commit_and_loads_from_the_hub(hub: HubStandIn, tmp_path: Path) -> None:
    run_dir = a_run(tmp_path / "run")
    done = run(hub, tmp_path / "home", CLI, "push", run_dir, "someone/model")
    assert done.returncode == 0 and done.stderr == "" and done.stdout.startswith("Uploaded: http"), done.stderr
    repository = hub.repositories["model", "someone/model"]
    assert repository.private and commits(hub) == 1
    assert {"model.safetensors", "config.json", "README.md", "run.yaml", "encoding.py", "environment.json"} <= set(
        repository.files
    )
    assert not [
        name for name, data in repository.files.items() if str(tmp_path).encode() in data or b"hf_stand_in" in data
    ]
    assert json.loads((run_dir / "hub.json").read_text())["repository"] == "someone/model"
    assert repository.files["model.safetensors"] == (run_dir / "model.safetensors").read_bytes()

    # the same again is no commit; a file that went goes there too, and what others put there stays
    repository.commit(
        "main", {**repository.files, "modeling_diffmae.py": b"old", "sampling.py": b"old", "notes.txt": b"kept"}
    )
    before = commits(hub)
    done = run(hub, tmp_path / "home", CLI, "push", run_dir, "someone/model")
    assert done.returncode == 0 and commits(hub) == before + 1, done.stderr
    assert not {"modeling_diffmae.py", "sampling.py"} & set(repository.files)  # of another model, of an earlier version
    assert repository.files["notes.txt"] == b"kept"
    done = run(hub, tmp_path / "home", CLI, "push", run_dir, "someone/model")
    assert done.returncode == 0 and commits(hub) == before + 1, done.stderr

    program = """
import json, sys
sys.modules["s2i_hf"] = None
import numpy
from transformers import AutoModelForImageClassification
from transformers import AutoProcessor
model = AutoModelForImageClassification.from_pretrained("someone/model", trust_remote_code=True)
processor = AutoProcessor.from_pretrained("someone/model", trust_remote_code=True)
print(model(**processor(numpy.ones((4, 20, 3)))).logits.shape)
"""
    done = run(hub, tmp_path / "home", program)
    assert done.returncode == 0 and "[1, 3]" in done.stdout, done.stderr
    offline = run(hub, tmp_path / "home", program, HF_HUB_OFFLINE="1")  # from the cache
    assert offline.returncode == 0 and "[1, 3]" in offline.stdout, offline.stderr


@pytest.mark.slow
def test_a_branch_a_base_model_and_a_public_repository(hub: HubStandIn, tmp_path: Path) -> None:
    first, second = a_run(tmp_path / "first"), a_run(tmp_path / "second", model=str(tmp_path / "first"))
    done = run(hub, tmp_path / "home", CLI, "push", first, "someone/first")
    done = run(hub, tmp_path / "home", CLI, "push", second, "someone/model@dev", "--message", "a try")
    assert done.returncode == 0, done.stderr
    repository = hub.repositories["model", "someone/model"]
    assert repository.files == {}
    pushed = repository.snapshots[repository.revisions["dev"]]
    assert b"base_model: someone/first" in pushed["README.md"] and b"model: someone/first" in pushed["run.yaml"]
    hub.repositories["model", "someone/open"] = Repository(private=False)
    done = run(hub, tmp_path / "home", CLI, "push", second, "someone/open")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "pass --public" in done.stderr
    assert hub.repositories["model", "someone/open"].files == {}
    done = run(hub, tmp_path / "home", CLI, "push", second, "someone/open", "--public")
    assert done.returncode == 0 and "README.md" in hub.repositories["model", "someone/open"].files


@pytest.mark.parametrize(
    "failing",
    [
        "POST .*/commit/",
        pytest.param("PUT /lfs/", marks=pytest.mark.slow),
        pytest.param("POST .*/preupload/", marks=pytest.mark.slow),
    ],
)
def test_a_push_that_is_cut_off_leaves_no_commit_and_can_be_repeated(
    hub: HubStandIn, tmp_path: Path, failing: str
) -> None:
    run_dir = a_run(tmp_path / "run")
    hub.failing, hub.failing_status = failing, 403
    done = run(hub, tmp_path / "home", CLI, "push", run_dir, "someone/model")
    assert done.returncode == 2 and done.stderr.startswith("s2i push: The upload to someone/model failed")
    assert done.stderr.count("\n") == 1 and commits(hub) == 0 and not (run_dir / "hub.json").exists()
    hub.failing = ""
    hub.requests.clear()
    done = run(hub, tmp_path / "home", CLI, "push", run_dir, "someone/model")
    assert done.returncode == 0 and commits(hub) == 1, done.stderr
    if "commit" in failing:  # its objects are there already
        assert not [request for request in hub.requests if request.startswith("PUT")]


@pytest.mark.slow
def test_a_busy_hub_is_asked_again(hub: HubStandIn, tmp_path: Path) -> None:
    run_dir = a_run(tmp_path / "run")
    hub.failing, hub.failing_status, hub.failures_left = "PUT /lfs/", 503, 1
    done = run(hub, tmp_path / "home", CLI, "push", run_dir, "someone/model")
    assert done.returncode == 0 and commits(hub) == 1, done.stderr


def test_what_would_be_pushed_can_be_looked_at(hub: HubStandIn, tmp_path: Path) -> None:
    run_dir = a_run(tmp_path / "run")
    done = run(hub, tmp_path / "home", CLI, "push", run_dir, "someone/model", "--output", tmp_path / "out")
    assert done.returncode == 0 and hub.requests == [] and (tmp_path / "out" / "encoding.py").is_file(), done.stderr
    done = run(hub, tmp_path / "home", CLI, "card", run_dir)
    assert done.returncode == 0 and (run_dir / "README.md").read_text().startswith("---"), done.stderr
    (run_dir / "README.md").write_text("my token is hf_stand_in")
    done = run(hub, tmp_path / "home", CLI, "push", run_dir, "someone/model")
    assert done.returncode == 2 and "README.md holds a secret" in done.stderr and "hf_stand_in" not in done.stderr
    assert ("model", "someone/model") not in hub.repositories


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
