"""Zero-shot across layouts: gallery and queries in their own layouts, settings without the test, numbers into rows."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import refused
from finetune_clips import data

from s2i_hf.data.skeleton_rows import as_layout
from s2i_hf.evaluation.features import extract_features
from s2i_hf.evaluation.probes import K_GRID, evaluate_probe
from s2i_hf.evaluation.validation_splits import probe_folds
from s2i_hf.experiments.cross_layout import CrossLayoutArguments, cross_layout_run
from s2i_hf.models.building import build_mae, encoder_of
from s2i_hf.processing.image_processing_skeleton import SkeletonProcessor
from s2i_hf.runs.results import read_results


@pytest.fixture(scope="module")
def model():
    return build_mae("config:micro", image_size=32, seed=1)


def run(folder, model, dataset=None, **changes):
    folder.mkdir(exist_ok=True)
    settings = {"model": str(folder), "data": "nw_ucla_xview", "device": "cpu", **changes}
    return cross_layout_run(
        CrossLayoutArguments(**settings), model, SkeletonProcessor(size=32), dataset or data(), report=lambda line: None
    )


def test_rows_for_every_pair_of_layouts(tmp_path, model):
    run(tmp_path, model)
    rows = read_results(tmp_path)
    pairs = [("kinect_v1", "kinect_v1")]
    pairs += [(one, other) for other in ("florence_15", "lcrnet_13") for one in ("kinect_v1", other)]
    assert [(row["setting"], row["encoder"]) for row in rows if row["metric"] == "top1"] == [
        (f"knn_{one}_to_{other}", encoder) for encoder in ("pretrained", "untrained") for one, other in pairs
    ]
    assert {row["method"] for row in rows} == {"mae"}


@pytest.mark.parametrize("rotations", [1, 3])
def test_one_layout_is_the_knn_of_the_probe(tmp_path, model, rotations, monkeypatch):
    galleries = []

    def evaluate(setting, gallery, *rest, **more):
        galleries.append(gallery)
        return evaluate_probe(setting, gallery, *rest, **more)

    monkeypatch.setattr("s2i_hf.experiments.cross_layout.evaluate_probe", evaluate)
    found = run(tmp_path, model, queries=("lcrnet_13",), encoders=("pretrained",), rotations=rotations)["results"]
    splits = {name: as_layout(rows, "lcrnet_13") for name, rows in data().items()}
    features = {
        name: extract_features(encoder_of(model), rows, SkeletonProcessor(size=32), rotations=rotations)
        for name, rows in splits.items()
    }
    train, test = splits["train"], splits["test"]
    twin = evaluate_probe(
        "knn", features["train"], train.labels, train.subjects, features["test"], test.labels,
        folds=probe_folds(train, test.cameras),
    )  # fmt: skip
    same = found["pretrained", "lcrnet_13", "lcrnet_13"]
    assert same.metrics == twin.metrics and same.chosen == twin.chosen and same.validation == twin.validation
    np.testing.assert_array_equal(same.predictions, twin.predictions)
    for pooling, learned in features["train"].items():  # few clips are named alike by many features
        np.testing.assert_allclose(galleries[-1][pooling], learned, atol=1e-5)


def knn_across(gallery, labels, gallery_as_queries, queries, queries_labels, folds):
    """kNN whose gallery and queries are two kinds of clip; the gallery's as queries choose settings."""
    return evaluate_probe(
        "knn", gallery, labels, np.arange(len(labels)), queries, queries_labels, folds=folds,
        train_as_test=gallery_as_queries, patience=len(K_GRID),
    )  # fmt: skip


def test_with_a_clip_a_class_the_first_k_is_taken(recwarn):
    x, labels = np.eye(5), np.arange(5)
    folds = [(np.ones(5, dtype=bool), np.zeros(5, dtype=bool))]
    found = knn_across({"a": x}, labels, {"a": x}, {"a": x}, labels, folds)
    assert found.metrics["top1"] == 1 and found.chosen["k"] == 1 and found.validation == 0 and not recwarn.list


def test_the_gallery_is_in_its_layout_and_the_queries_in_theirs():
    generator = np.random.default_rng(0)
    labels, subjects = np.arange(60) % 3, np.arange(60) // 15
    gallery = np.eye(3)[labels] + 0.01 * generator.normal(size=(60, 3))
    queries = np.roll(np.eye(3), 1, axis=1)[labels] + 0.01 * generator.normal(size=(60, 3))
    held = subjects == 3
    found = knn_across({"a": gallery}, labels, {"a": queries}, {"a": queries}, labels, [(~held, held)])
    assert found.metrics["top1"] == 0 and found.validation == 0  # queries lie where another class is in the gallery
    found = knn_across({"a": queries}, labels, {"a": queries}, {"a": queries}, labels, [(~held, held)])
    assert found.metrics["top1"] == 1 and found.validation == 1


def test_pooling_is_chosen_by_queries_of_the_other_layout():
    generator = np.random.default_rng(0)
    labels, held = np.arange(60) % 3, np.arange(60) >= 45
    good, noise = np.eye(3)[labels] + 0.01 * generator.normal(size=(60, 3)), generator.normal(size=(60, 3))
    # "b" tells the classes apart within the gallery's layout alone
    found = knn_across(
        {"b": good, "a": good}, labels, {"b": noise, "a": good}, {"b": noise, "a": good}, labels, [(~held, held)]
    )
    assert found.chosen["pooling"] == "a" and found.metrics["top1"] == 1


def test_test_labels_are_only_counted(tmp_path, model):
    other = data()
    for row in other["test"]:
        row["label"] = (row["label"] + 1) % 4
    one = run(tmp_path, model, encoders=("pretrained",))["results"]
    twin = run(tmp_path, model, other, encoders=("pretrained",))["results"]
    for key, result in one.items():
        assert twin[key].chosen == result.chosen and twin[key].metrics != result.metrics
        np.testing.assert_array_equal(twin[key].predictions, result.predictions)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"queries": ("kinect_v2",)}, "no counterpart"),
        ({"queries": ()}, "--queries is empty"),
        ({"gallery": "kinect1"}, "Did you mean 'kinect_v1'"),
        ({"batch_size": 0}, "--batch_size is 0"),
    ],
)
def test_refused(tmp_path, model, changes, message):
    with refused(ValueError, match=message):
        run(tmp_path, model, **changes)


def test_unlabelled_and_absent_clips(tmp_path, model):
    empty = {**data(), "test": data()["test"][:0]}
    with pytest.raises(ValueError, match="nw_ucla_xview has no test clips"):
        run(tmp_path, model, empty)
    unlabelled = data()
    unlabelled["train"][0]["label"] = -1
    with pytest.raises(ValueError, match="1 training clips have no label"):
        run(tmp_path, model, unlabelled)
