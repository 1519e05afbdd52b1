"""Whatever the Hub, the network, the cache or a damaged repository comes up with is one sentence with the way out.

The real clients meet the faults of the stand-in. They read their settings when they are imported, so the program below is a process of its
own that runs server and clients, many faults one after the other.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import one_sentence, refused
from hub_stand_in import HubStandIn, Repository
from skeleton_files import write_nw_ucla

from s2i_hf.data.convert import convert
from s2i_hf.processing.image_processing_skeleton import SkeletonProcessor
from s2i_hf.utils import hub_errors

NOBODY = {"HF_TOKEN": "", "HF_TOKEN_PATH": "/nowhere"}
WEIGHTS, CONFIG, PROCESSOR = "model.safetensors", "config.json", "preprocessor_config.json"

PROGRAM = """
import contextlib, io, json, os, sys, time, traceback
sys.path.insert(0, sys.argv[1])
from hub_stand_in import HubStandIn, Repository
cases = json.loads(sys.stdin.read())
hub = HubStandIn().__enter__()
os.environ.update(hub.environment)
time.sleep = lambda seconds: None  # clients wait longer and longer between their attempts
from pathlib import Path
from s2i_hf.utils.arguments import arg, parse, run_main
from s2i_hf.cli import main
from s2i_hf.data import load_skeletons
import dataclasses

@dataclasses.dataclass
class Settings:
    seed: int = arg(0, "seed")

def action(words):
    if words[0] == "data":
        run_main(lambda: load_skeletons(words[1]))
    elif words[0] == "stream":
        run_main(lambda: load_skeletons(words[1], streaming=True))
    elif words[0] == "config":
        parse(Settings, ["--config", words[1]])
    else:
        return main(words)

logging_off = __import__("logging").disable(30)
for case in cases:
    for kind, name, folder, changes in case["repositories"]:
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}
        for file, content in changes.items():
            files.pop(file, None)
            if content is not None:
                files[file] = content.encode("latin1")
        hub.repositories[kind, name] = Repository(private=case.get("private", True))
        hub.repositories[kind, name].commit("main", files)
    hub.heal()
    for name, value in case["faults"].items():
        setattr(hub, name, value)
    before = dict(os.environ)
    os.environ.update(case["environment"])
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = action(case["words"]) or 0
        except SystemExit as end:
            code = end.code
        except BaseException:
            code, err = "traceback", io.StringIO(traceback.format_exc())
    os.environ.clear()
    os.environ.update(before)
    print(json.dumps([code, err.getvalue()]), flush=True)
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier, a clip and a converted data set."""
    from transformers import ViTConfig, ViTForImageClassification

    base = tmp_path_factory.mktemp("hub")
    config = ViTConfig(
        image_size=32, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, num_labels=3
    )
    ViTForImageClassification(config).save_pretrained(base / "model")
    SkeletonProcessor(layout="kinect_v1", size=32).save_pretrained(base / "model")
    np.save(base / "clip.npy", 0.1 * np.random.default_rng(0).normal(size=(9, 20, 3)).astype(np.float32))
    write_nw_ucla(base / "raw", ["a01_s01_e00_v01", "a02_s01_e00_v02", "a08_s02_e00_v03"])
    convert("nw_ucla_xview", base / "raw", base / "data", "parquet")
    return base


def run(cases: list[dict[str, Any]], home: Path) -> list[tuple[Any, str]]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(Path(__file__).parents[1])], input=json.dumps(cases), capture_output=True, text=True,
        timeout=400, env={**os.environ, "HF_HOME": str(home), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [(code, err) for code, err in map(json.loads, done.stdout.splitlines())]


def case(*words: object, repositories: Any = (), environment: Any = None, private: bool = True, **faults: Any) -> Any:
    return {
        "words": list(map(str, words)), "repositories": [[*map(str, one[:3]), one[3]] for one in repositories], "faults": faults,
        "environment": environment or {}, "private": private,
    }  # fmt: skip


def check(cases: list[dict[str, Any]], wanted: list[tuple[str, str]], home: Path) -> None:
    """Each case ends with code 2, one sentence, and these two pieces of it: the reason and the way out."""
    for one, (reason, way), (code, err) in zip(cases, wanted, run(cases, home), strict=True):
        *noise, sentence = err.strip().splitlines() or [""]
        assert code == 2, (one, code, err)
        assert one_sentence(sentence) and reason in sentence and way in sentence, (one, err)
        assert "hf_stand_in" not in err
        assert not [line for line in noise if "Traceback" in line], err


def test_a_model_that_cannot_be_had(base: Path, tmp_path: Path) -> None:
    processor = json.loads((base / "model" / PROCESSOR).read_text())
    weights = (base / "model" / WEIGHTS).read_bytes().decode("latin1")

    def changed(**changes: Any) -> str:
        return json.dumps({**processor, **changes})

    table: list[tuple[dict[str, Any], dict[str, Any], str, str]] = [
        ({}, {"environment": NOBODY}, "there is no token here", "hf auth login"),
        ({}, {"environment": {"HF_TOKEN": "hf_wrong"}}, "does not know the token", "hf auth login"),
        ({}, {"failing": "/resolve/", "failing_status": 403}, "forbids", "hf auth login"),
        ({}, {"failing": "/resolve/", "failing_status": 403, "failing_code": "GatedRepo"}, "gated", "ask for access"),
        ({}, {"failing": "/resolve/", "failing_status": 429}, "too many requests", "wait a few minutes"),
        ({}, {"failing": "/resolve/", "failing_status": 503}, "out of order (503)", "wait a few minutes"),
        ({}, {"failing": "safetensors$", "failing_status": 500}, "out of order (500)", "wait a few minutes"),
        ({}, {"failing": "GET .*safetensors$", "cut_after": 500}, "broke off", "check the network"),
        ({WEIGHTS: weights[:-100]}, {}, "damaged or cut off", "push or fetch the model again"),
        ({WEIGHTS: weights[:100]}, {}, "damaged or cut off", "push or fetch the model again"),
        ({WEIGHTS: "<html>" * 300}, {}, "damaged or cut off", "push or fetch the model again"),
        ({WEIGHTS: None}, {}, "no model.safetensors", "expected a complete model"),
        ({WEIGHTS: None, "pytorch_model.bin": "\x80\x02}" * 500}, {}, "pickles (.bin)", "save_pretrained"),
        ({CONFIG: "{"}, {}, "config.json is damaged", "again"),
        ({CONFIG: "[]"}, {}, "config.json is damaged", "again"),
        ({CONFIG: None}, {}, "no config.json", "expected a pushed model"),
        ({PROCESSOR: '{"layout'}, {}, "preprocessor_config.json is damaged", "again"),
        ({PROCESSOR: "[]"}, {}, "preprocessor_config.json is damaged", "again"),
        ({PROCESSOR: None}, {}, "no SkeletonProcessor", "how are its images made"),
        ({PROCESSOR: changed(wavelets=3)}, {}, "no option 'wavelets'", "update s2i_hf"),
        ({PROCESSOR: changed(people="all")}, {}, "people is 'all'", "update s2i_hf"),
        ({PROCESSOR: changed(layout="kinect_v9")}, {}, "Unknown layout 'kinect_v9'", "update s2i_hf"),
    ]  # fmt: skip
    cases = [
        case("predict", name := f"someone/m{index}", base / "clip.npy", repositories=[("model", name, base / "model", changes)], **more)
        for index, (changes, more, _, _) in enumerate(table)
    ]  # fmt: skip
    wanted = [(reason, way) for *_, reason, way in table]
    cases += [
        case("predict", "someone/none", base / "clip.npy"),
        case("predict", "other/m", base / "clip.npy", repositories=[("model", "other/m", base / "model", {})]),
        case("predict", "someone/m0@v9", base / "clip.npy"),
    ]
    wanted += [
        ("is not on the Hub", "check the name"),
        ("private and not yours", "log in"),
        ("no name of a repository", "--revision v9"),
    ]
    check(cases, wanted, tmp_path)
    good = ("model", "someone/open", base / "model", {})
    public = case("predict", "someone/open", base / "clip.npy", repositories=[good], private=False, environment=NOBODY)
    assert run([public], tmp_path) == [(0, "")]  # what is public needs no token


@pytest.mark.slow
def test_a_push_a_data_set_and_settings(base: Path, tmp_path: Path) -> None:
    push = ("push", base / "model", "someone/pushed")
    data, model = [("dataset", "someone/ucla", base / "data", {})], [("model", "someone/model", base / "model", {})]
    broken = [("dataset", "someone/broken", base / "data", {"s2i.json": "{"})]
    foreign = [("model", "other/open", base / "model", {})]
    rows: list[tuple[dict[str, Any], str, str]] = [
        (case(*push, environment=NOBODY), "no token", "hf auth login"),
        (case(*push, environment={"HF_TOKEN": "hf_wrong"}), "does not know", "hf auth login"),
        (case(*push, failing="PUT /lfs", failing_status=500), "out of order (500)", "wait"),
        (case(*push, failing="POST .*/commit/", failing_status=409), "somebody else", "repeat"),
        (case(*push, failing="POST .*/commit/", failing_status=429), "too many requests", "wait"),
        (case(*push, failing="POST .*/commit/", failing_status=503), "out of order (503)", "wait"),
        (case(*push, failing="/repos/create", cut_after=3), "", "`s2i push` uploads it"),
        (case("push", base / "model", "other/new"), "forbids the token here to write", "is it yours"),
        (case("push", base / "model", "other/open", "--public", repositories=foreign, private=False), "forbids", "is it yours"),
        (case("data", "someone/none"), "not on the Hub", "check the name"),
        (case("data", "someone/ucla", repositories=data, environment=NOBODY), "there is no token here", "hf auth login"),
        (case("data", "someone/ucla", failing="/api/datasets|/resolve/", failing_status=503), "out of order (503)", "wait"),
        (case("data", "someone/broken", repositories=broken), "s2i.json", "push it again"),
        (case("stream", "someone/none"), "not on the Hub", "check the name"),
        (case("stream", "someone/ucla", failing="/resolve/", failing_status=403), "forbids", "hf auth login"),
        (case("config", "hf://someone/none"), "not on the Hub", "check the name"),
        (case("config", "hf://someone/model", repositories=model), "no run.yaml is there", "expected hf://user/name"),
        (case("config", "hf://someone/model@v9"), "has no revision 'v9'", "expected one of its branches"),
        (case("config", "hf://no such"), "no name of a repository", "expected user/name"),
        (case("config", "hf://someone/model", environment=NOBODY), "there is no token here", "hf auth login"),
    ]  # fmt: skip
    check([one for one, *_ in rows], [(reason, way) for _, reason, way in rows], tmp_path)


@pytest.mark.slow
def test_offline_works_from_the_cache(base: Path, tmp_path: Path) -> None:
    program = "import sys; from s2i_hf.cli import main; sys.exit(main(sys.argv[1:]))"
    rows = (
        "import sys; from s2i_hf.data.loading import load_skeletons; print(len(load_skeletons(sys.argv[1])['train']))"
    )

    def start(program: str, *words: object, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", program, *map(str, words)], capture_output=True, text=True, timeout=300,
            env={**os.environ, **hub.environment, "HF_HOME": str(tmp_path), "OMP_NUM_THREADS": "1", **environment},
        )  # fmt: skip

    predict = (program, "predict", "someone/model", base / "clip.npy")
    with HubStandIn() as hub:
        for kind in ("model", "data"):
            key = ("dataset" if kind == "data" else kind, f"someone/{kind}")
            hub.repositories[key] = Repository(private=True)
            files = [path for path in (base / kind).rglob("*") if path.is_file()]
            hub.repositories[key].commit(
                "main", {str(path.relative_to(base / kind)): path.read_bytes() for path in files}
            )
        online, counted = start(*predict), start(rows, "someone/data")
        assert online.returncode == counted.returncode == 0, online.stderr + counted.stderr
    offline = start(*predict, HF_HUB_OFFLINE="1")
    assert (offline.returncode, offline.stdout) == (0, online.stdout), offline.stderr
    gone = start(*predict)  # the server is gone, and nobody said so
    assert (gone.returncode, gone.stdout) == (0, online.stdout), gone.stderr
    assert start(rows, "someone/data", HF_HUB_OFFLINE="1").stdout == counted.stdout
    for environment, words in ({"HF_HUB_OFFLINE": "1"}, "not in the cache"), ({}, "cannot be reached"):
        done = start(program, "predict", "someone/other", base / "clip.npy", **environment)
        assert done.returncode == 2 and words in done.stderr and one_sentence(done.stderr.splitlines()[-1]), done.stderr
    (blob,) = (
        path
        for path in (tmp_path / "hub").rglob("blobs/*")
        if len(path.name) == 64 and b"classifier" in path.read_bytes()
    )
    content = bytearray(blob.read_bytes())
    content[-1] ^= 1
    blob.chmod(0o644)
    blob.write_bytes(content)
    done = start(*predict, HF_HUB_OFFLINE="1")
    assert done.returncode == 2 and "not what the Hub announced" in done.stderr and "hf cache rm" in done.stderr


def test_a_hub_that_does_not_answer_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def dead(url: str) -> None:
        asked.append(url)
        raise ConnectionError("Name or service not known")

    monkeypatch.setattr(hub_errors, "is_offline", lambda: False)
    monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", dead)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *_, **__: pytest.fail("it waits for half a minute"))
    with refused(FileNotFoundError, "the Hub cannot be reached", "check the network"):
        hub_errors.hub_file("someone/never-loaded", CONFIG)
    assert len(asked) == 1 and asked[0].endswith(f"someone/never-loaded/resolve/main/{CONFIG}")


def test_a_processor_of_a_newer_version_and_an_option_of_the_caller(tmp_path: Path) -> None:
    SkeletonProcessor(layout="kinect_v1", size=32).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="people is 'all'") as error:  # not the file's fault
        SkeletonProcessor.from_pretrained(tmp_path, people="all")
    assert "newer" not in str(error.value)
    values = json.loads((tmp_path / PROCESSOR).read_text())
    (tmp_path / PROCESSOR).write_text(json.dumps({**values, "wavelets": 3}))
    with refused(ValueError, match="newer s2i_hf"):
        SkeletonProcessor.from_pretrained(tmp_path)
