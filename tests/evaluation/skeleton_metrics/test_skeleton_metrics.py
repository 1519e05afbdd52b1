"""The metric of the `evaluate` library: held against scikit-learn, loaded as strangers load it, and complete as a Space."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hub_stand_in import HubStandIn, Repository
from hypothesis import given, settings, strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, top_k_accuracy_score

from s2i_hf.evaluation import SkeletonMetrics, skeleton_metrics
from s2i_hf.evaluation.skeleton_metrics.accuracies import accuracies

FOLDER = Path(skeleton_metrics.__file__).parent
README = (FOLDER / "README.md").read_text(encoding="utf-8")
FRONT = yaml.safe_load(README.split("---")[1])

# where this package cannot be imported
PROGRAM = """
import json, sys
sys.modules["s2i_hf"] = None
import evaluate
metric = evaluate.load(sys.argv[1])
print(json.dumps([metric.compute(predictions=[[0.1, 0.9], [0.8, 0.2]], references=[0, 0]), metric.name]))
"""


def test_it_agrees_with_scikit_learn_in_batches() -> None:
    generator = np.random.default_rng(0)
    scores, labels = generator.normal(size=(50, 7)), generator.integers(0, 7, 50)
    metric = SkeletonMetrics()
    for part in np.array_split(np.arange(50), 4):
        metric.add_batch(predictions=scores[part], references=labels[part])
    found = metric.compute()
    assert found == {
        "accuracy": pytest.approx(accuracy_score(labels, scores.argmax(1))),
        "mean_class_accuracy": pytest.approx(balanced_accuracy_score(labels, scores.argmax(1))),
        "top5_accuracy": pytest.approx(top_k_accuracy_score(labels, scores, k=5)),
    }
    assert SkeletonMetrics().compute(predictions=scores, references=labels) == found == accuracies(scores, labels)


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(6, 12))
@settings(max_examples=50, deadline=None)
def test_numbers_are_those_of_scikit_learn(seed: int, clips: int, classes: int) -> None:
    generator = np.random.default_rng(seed)
    scores, labels = generator.normal(size=(clips, classes)), generator.integers(0, classes, clips)
    found = accuracies(scores, labels)
    assert found["accuracy"] == pytest.approx(accuracy_score(labels, scores.argmax(1)))
    assert found["top5_accuracy"] == pytest.approx(top_k_accuracy_score(labels, scores, k=5, labels=range(classes)))
    recalls = [np.mean(scores.argmax(1)[labels == label] == label) for label in set(labels.tolist())]
    assert found["mean_class_accuracy"] == pytest.approx(np.mean(recalls))


def test_few_classes_are_all_among_the_top_five() -> None:
    found = SkeletonMetrics().compute(predictions=[[0.1, 0.9], [0.8, 0.2]], references=[0, 0])
    assert found == {"accuracy": 0.5, "mean_class_accuracy": 0.5, "top5_accuracy": 1.0}


def _load(source: object, home: Path, **environment: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(source)], capture_output=True, text=True, timeout=240, cwd=home,
        env={**os.environ, "HF_HOME": str(home), "OMP_NUM_THREADS": "1", **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_strangers_load_the_folder_and_the_space(tmp_path: Path) -> None:
    wanted = [{"accuracy": 0.5, "top5_accuracy": 1.0, "mean_class_accuracy": 0.5}, "skeleton_metrics"]
    shutil.copytree(FOLDER, tmp_path / "skeleton_metrics")
    assert _load(tmp_path / "skeleton_metrics", tmp_path) == wanted
    (tmp_path / "elsewhere").mkdir()
    with HubStandIn() as hub:
        hub.repositories["space", "someone/skeleton_metrics"] = Repository(private=False)
        files = {path.name: path.read_bytes() for path in FOLDER.iterdir() if path.is_file()}
        hub.repositories["space", "someone/skeleton_metrics"].commit("main", files)
        found, name = _load("someone/skeleton_metrics", tmp_path / "elsewhere", **hub.environment)
    assert found == wanted[0] and name.endswith("skeleton_metrics")


def test_it_is_a_space_of_a_metric() -> None:
    assert FRONT["sdk"] == "gradio" and {"evaluate", "metric"} <= set(FRONT["tags"])
    assert (FOLDER / FRONT["app_file"]).is_file() and FRONT["license"] == "apache-2.0"
    needed = {line.partition(">")[0] for line in (FOLDER / "requirements.txt").read_text().split()}
    used = {
        module
        for path in FOLDER.glob("*.py")
        for module in re.findall(r"^(?:import|from) (\w+)", path.read_text(), flags=re.MULTILINE)
    }
    assert used - set(sys.stdlib_module_names) == needed


def test_its_card_shows_what_it_computes() -> None:
    code = re.search(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert code is not None
    source = code[1].replace("path/to/skeleton_metrics", str(FOLDER))
    shown = source.rpartition("# ")[2]
    values: dict[str, Any] = {}
    exec(source.replace("print(", "found = ("), values)
    assert repr(values["found"]) == shown.strip()


def test_its_page_shows_this_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    monkeypatch.setattr("evaluate.utils.launch_gradio_widget", shown.append)
    runpy.run_path(str(FOLDER / "app.py"), run_name="__main__")
    assert [metric.name for metric in shown] == ["skeleton_metrics"]
