"""Fusion of streams: the mean of probabilities, weights from validation clips alone, and runs that do not go together refused."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from conftest import refused
from finetune_clips import data, run

from s2i_hf.data.skeleton_rows import as_rows, rows_of_splits
from s2i_hf.evaluation.metrics import metrics
from s2i_hf.evaluation.scoring import predict_scores
from s2i_hf.experiments.fusion import FuseArguments, choose_weights, fuse_runs, fuse_scores, held_out_by_all
from s2i_hf.models.saved_models import open_classifier
from s2i_hf.processing.encoding import STREAMS
from s2i_hf.runs.results import read_results, read_results_csv


def logs(*probabilities):
    return np.log(np.array(probabilities, dtype=np.float32))


def test_the_mean_of_probabilities():
    one, other = logs([0.9, 0.1], [0.5, 0.5]), logs([0.2, 0.8], [0.1, 0.9])
    np.testing.assert_allclose(np.exp(fuse_scores([one, other])), [[0.55, 0.45], [0.3, 0.7]], atol=1e-6)
    np.testing.assert_allclose(np.exp(fuse_scores([one, other], [3, 1]))[0], [0.725, 0.275], atol=1e-6)
    np.testing.assert_allclose(fuse_scores([one, other], [1, 0]), one, atol=1e-6)
    assert fuse_scores([one, other]).dtype == np.float32
    assert np.isfinite(fuse_scores([logs([1.0, 1e-38]), logs([1.0, 1e-38])])).all()


def test_a_sure_stream_beats_two_unsure_ones():
    """The mean of probabilities, not of votes and not of log-probabilities."""
    sure, unsure = logs([0.05, 0.95]), logs([0.6, 0.4])
    assert fuse_scores([sure, unsure, unsure]).argmax() == 1
    certain = logs([1e-30, 1.0])  # a geometric mean would let one stream veto all others
    assert fuse_scores([certain, logs([0.99, 0.01]), logs([0.99, 0.01])]).argmax() == 0


def test_weights_from_validation():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 4, 400)
    truth = np.eye(4)[labels]

    def model(quality):
        odds = quality * truth + generator.normal(size=truth.shape)
        return (odds - np.log(np.exp(odds).sum(axis=1, keepdims=True))).astype(np.float32)

    good, poor, noise = model(2.0), model(1.0), model(0.0)
    weights, value = choose_weights([good, poor, noise], labels)
    assert weights.sum() == pytest.approx(1) and weights[0] > weights[1] > weights[2]
    assert value == metrics(fuse_scores([good, poor, noise], weights), labels)["top1"]
    assert value >= metrics(good, labels)["top1"]
    assert choose_weights([good, noise], labels, metric="mean_class", steps=2)[0].tolist() in ([1, 0], [0.5, 0.5])


@pytest.mark.parametrize(
    ("scores", "weights", "message"),
    [
        ([np.zeros((2, 3)), np.zeros((2, 4))], None, "shapes"),
        ([np.zeros((2, 3)), np.zeros((2, 3))], [1, 1, 1], "3 weights for 2 models"),
        ([np.zeros((2, 3)), np.zeros((2, 3))], [1, -1], "zero or more"),
        ([np.zeros((2, 3)), np.zeros((2, 3))], [0, 0], "not all zero"),
    ],
)
def test_scores_that_do_not_fit(scores, weights, message):
    with refused(ValueError, match=message):
        fuse_scores(scores, weights)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"models": ("a",)}, "at least two"),
        ({"models": ("a", "a")}, "twice"),
        ({"weights": "best"}, "expected equal, validation, or 2 numbers"),
        ({"weights": "1,2,3"}, "expected equal, validation, or 2 numbers"),
        ({"test_clips": 0}, "--test_clips is 0"),
        ({"test_rotations": 0}, "--test_rotations is 0"),
    ],
)
def test_arguments_that_do_not_fit(changes, message):
    with refused(ValueError, match=message):
        FuseArguments(**{"models": ("a", "b"), "data": "nw_ucla_xview", **changes})
    np.testing.assert_allclose(FuseArguments(models=("a", "b"), data="d", weights="3, 1").fixed_weights, [0.75, 0.25])


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run with a quarter of the subjects held out, and copies of it: of other streams, with other clips held out, of 13 joints."""
    root = tmp_path_factory.mktemp("streams")
    run(root / "joint", validation="subjects", epochs=2)
    for name, file, old, new in (
        ("bone", "preprocessor_config.json", '"stream": "joint"', '"stream": "bone"'),
        ("motion", "preprocessor_config.json", '"stream": "joint"', '"stream": "motion"'),
        ("bone_motion", "preprocessor_config.json", '"stream": "joint"', '"stream": "bone_motion"'),
        ("all_labels", "run.yaml", "validation: subjects", "validation: none"),
        ("other", "run.yaml", "\nseed: 0\n", "\nseed: 3\n"),
        ("thirteen", "run.yaml", "to_layout: null", "to_layout: lcrnet_13"),
    ):
        shutil.copytree(root / "joint", root / name)
        text = (root / name / file).read_text()
        assert old in text
        (root / name / file).write_text(text.replace(old, new))
    return root


def fuse(root, names=STREAMS, dataset=None, **changes):
    arguments = FuseArguments(
        models=tuple(str(root / name) for name in names), data="nw_ucla_xview", output_dir=str(root / "fused"), device="cpu",
        **changes,
    )  # fmt: skip
    return fuse_runs(arguments, dataset or data(), report=lambda line: None)


def test_four_streams_become_rows(runs, tmp_path):
    table = tmp_path / "results.csv"
    summary = fuse(runs, results_csv=str(table))
    rows = read_results(runs / "fused")
    assert rows == summary["rows"] == read_results_csv(table)
    assert {(row["setting"], row["method"], row["encoder"]) for row in rows} == {
        ("fusion", "joint+bone+motion+bone_motion", "untrained")
    }
    scores = []
    for name in STREAMS:
        model, processor = open_classifier(str(runs / name))
        assert processor.stream == name and not model.training
        scores.append(predict_scores(model, as_rows(data()["test"]), processor))
    np.testing.assert_allclose(np.exp(summary["scores"]), np.mean(np.exp(scores), axis=0), atol=1e-6)
    written = json.loads((runs / "fused" / "fusion.json").read_text())
    assert written["streams"] == list(STREAMS) and str(runs) not in json.dumps(written)
    top1 = json.loads((runs / "joint" / "summary.json").read_text())["top1"]
    assert written["alone"]["joint"]["top1"] == top1  # what the run itself was found to be worth


def test_weights_are_chosen_on_held_out_clips_and_never_on_the_test(runs):
    summary = fuse(runs, weights="validation")
    other = data()
    for row in other["test"]:
        row["label"] = (row["label"] + 1) % 4
    twin = fuse(runs, weights="validation", dataset=other)
    np.testing.assert_array_equal(summary["weights"], twin["weights"])
    assert summary["fused"] != twin["fused"]
    assert summary["weights"].sum() == pytest.approx(1)
    rows = as_rows(data()["train"])
    settings = {"data": "d", "validation": "subjects"}
    held = held_out_by_all(rows, [settings, settings], ["a", "b"])
    assert 0 < len(held) < len(rows) and not set(rows.subjects[held]) & set(np.delete(rows.subjects, held))


@pytest.mark.parametrize(
    ("names", "message"),
    [(("joint", "all_labels"), "held out no training clips"), (("joint", "other"), "held out other training clips")],
)
def test_runs_without_common_validation_clips_are_refused(runs, names, message):
    with pytest.raises(ValueError, match=message):
        fuse(runs, names, weights="validation")


def test_a_run_of_another_format_sees_its_own_format(runs):
    summary = fuse(runs, ("joint", "thirteen"))
    model, processor = open_classifier(str(runs / "thirteen"))
    converted = rows_of_splits(data(), "lcrnet_13")["test"]
    scores = [predict_scores(model, rows, processor) for rows in (as_rows(data()["test"]), converted)]
    assert np.abs(scores[0] - scores[1]).max() > 1e-3
    np.testing.assert_allclose(np.exp(summary["scores"]), np.mean(np.exp(scores), axis=0), atol=1e-6)
