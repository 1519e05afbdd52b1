"""Robustness: damage of the size that the table says, the same for every model, and one probe for all lines."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import yaml
from conftest import one_sentence
from finetune_clips import CLASSES, data

from s2i_hf.data.skeleton_rows import as_rows
from s2i_hf.evaluation.features import extract_features
from s2i_hf.evaluation.probes import evaluate_probe, metrics, probe_folds
from s2i_hf.evaluation.scoring import predict_scores
from s2i_hf.experiments.robustness import Damage, RobustnessArguments, robustness_run, robustness_table
from s2i_hf.models.classification import build_classifier
from s2i_hf.models.initialization import build_mae, encoder_of
from s2i_hf.models.saved_models import open_classifier
from s2i_hf.processing.encoding import encode
from s2i_hf.processing.image_processing_skeleton import SkeletonProcessor
from s2i_hf.processing.layouts import get_layout
from s2i_hf.runs.results import read_results


def row(clip, layout="kinect_v1", sample_id="a"):
    return {"joints": clip, "layout": layout, "sample_id": sample_id}


@pytest.mark.parametrize(("share", "lost"), [(0.1, 2), (0.2, 4), (0.3, 6)])
def test_joints_at_zero_are_at_the_centre_of_the_image(make_clip, share, lost):
    """Hyperformer's zero: the encoded joint has no offset from the body's centre, in the pixels of its column."""
    clip = make_clip("kinect_v1", frames=9, people=2)
    damage = Damage("drop_joints", share, "zero")
    damaged = damage(row(clip))["joints"]
    changed = (damaged != clip).any(axis=(0, 1, 3))
    assert changed.sum() == lost and (damaged[:, :, changed] == damaged[0, 0, changed][0]).all()
    options = {"value_range": "fixed", "part_widths": "joints", "size": (9, 40)}  # a pixel a frame, person and joint
    processor = SkeletonProcessor(layout="kinect_v1", do_normalize=False, **options)
    image = encode([damaged], "kinect_v1", processor.encoding_options)[0][0]
    order = np.array(get_layout("kinect_v1").order)
    for person in (0, 1):
        columns = image[:, :, 20 * person + np.flatnonzero(changed[order])]
        assert torch.allclose(columns, torch.zeros(()), atol=1e-5)
    assert damage(row(clip, sample_id="b"))["joints"].tobytes() != damaged.tobytes()
    assert damage(row(clip))["joints"].tobytes() == damaged.tobytes()


def test_filled_joints_and_cropped_time(make_clip):
    clip = make_clip("kinect_v1", frames=40)
    missing = Damage("drop_joints", 0.2, "missing")(row(clip))["joints"]
    assert np.isnan(missing).all(axis=(0, 1, 3)).sum() == 4  # which the processor fills
    window = Damage("crop_time", 0.75, "start")(row(clip))["joints"]
    np.testing.assert_array_equal(window, clip[:10])
    assert Damage()(row(clip))["joints"] is clip


def test_names():
    assert [damage.name for damage in RobustnessArguments(model="m", data="d").damages] == [
        "intact",
        *(f"drop_joints_{share}_{how}" for how in ("zero", "missing") for share in (10, 20, 30)),
        *(f"crop_time_{share}_random" for share in (25, 50, 75)),
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"drop_joints": (10.0,)}, "such as 0.1 for 10 %"),
        ({"crop_time": (0.0,)}, "above 0 and below 1"),
        ({"drop_joints": (), "crop_time": ()}, "name no damage"),
        ({"batch_size": 0}, "--batch_size is 0"),
        ({"copies": -1}, "--copies is -1"),
        ({"turns": 0}, "--turns is 0"),
        ({"model": "./nowhere"}, "does not exist"),
    ],
)
def test_arguments_that_do_not_fit(changes, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message) as refusal:
        RobustnessArguments(**{"model": "m", "data": "d", **changes})
    assert one_sentence(refusal.value)


@pytest.fixture
def classifier(tmp_path):
    model, _ = build_classifier("config:micro", CLASSES, image_size=32)
    torch.nn.init.normal_(model.classifier.weight, generator=torch.Generator().manual_seed(0))
    model.save_pretrained(tmp_path)
    SkeletonProcessor(layout="kinect_v1", size=32, center="every_frame").save_pretrained(tmp_path)
    (tmp_path / "run.yaml").write_text(yaml.safe_dump({"model": "runs/mae", "seed": 7, "setting": "fine_tune"}))
    return tmp_path


def test_a_classifier_is_tested_on_damaged_clips(classifier):
    arguments = RobustnessArguments(
        model=str(classifier), data="nw_ucla_xview", crop_time=(0.5,), drop_joints=(0.3,), device="cpu"
    )
    lines = []
    summary = robustness_run(arguments, data(), report=lines.append)
    model, processor = open_classifier(str(classifier))
    test = as_rows(data()["test"])
    for damage in arguments.damages:
        damaged = [damage(test[index], "every_frame") for index in range(len(test))]
        scores = predict_scores(model, damaged, processor)
        np.testing.assert_allclose(summary["scores"][damage.name], scores, atol=1e-5)
        assert summary["found"][damage.name] == metrics(scores, test.labels)
    rows = read_results(classifier)
    assert {(one["setting"], one["encoder"], one["seed"]) for one in rows} == {
        (f"fine_tune_{name}", "pretrained", 7)
        for name in ("drop_joints_30_zero", "drop_joints_30_missing", "crop_time_50_random")
    }
    assert json.loads((classifier / "robustness.json").read_text())["found"].keys() == summary["found"].keys()
    assert lines == [summary["table"]] and summary["table"].count("\n") == 5


@pytest.mark.parametrize("turns", [1, 3])
def test_a_probe_is_fitted_once_on_intact_clips(tmp_path, turns):
    build_mae("config:micro", image_size=32).save_pretrained(tmp_path)
    SkeletonProcessor(layout="kinect_v1", size=32).save_pretrained(tmp_path)
    arguments = RobustnessArguments(
        model=str(tmp_path), data="nw_ucla_xview", drop_joints=(0.2,), lost_joints=("missing",), crop_time=(),
        pooling="mean", device="cpu", turns=turns,
    )  # fmt: skip
    summary = robustness_run(arguments, data(), report=lambda line: None)
    train, test = as_rows(data()["train"]), as_rows(data()["test"])
    encoder, processor = encoder_of(build_mae("config:micro", image_size=32)), SkeletonProcessor(size=32)
    folds = probe_folds(train, test.cameras)
    fitted = extract_features(encoder, train, processor, turns=turns)["mean"]
    for damage in arguments.damages:
        damaged = [damage(test[index]) for index in range(len(test))]
        seen = extract_features(encoder, damaged, processor, turns=turns)["mean"]
        alone = evaluate_probe(
            "linear_probe", fitted, train.labels, train.subjects, seen, test.labels, num_classes=4, folds=folds
        )
        assert summary["found"][damage.name] == alone.metrics
    assert {one["setting"] for one in summary["rows"]} == {"linear_probe_drop_joints_20_missing"}


def test_zeros_are_not_turned_where_nothing_is_centred(tmp_path):
    build_mae("config:micro", image_size=32).save_pretrained(tmp_path)
    SkeletonProcessor(layout="kinect_v1", size=32, center="none").save_pretrained(tmp_path)
    arguments = RobustnessArguments(model=str(tmp_path), data="nw_ucla_xview", device="cpu", turns=3)
    with pytest.raises(ValueError, match="--turns 3 turns joints at zero") as error:
        robustness_run(arguments, data(), report=lambda line: None)
    assert one_sentence(error.value)


def test_other_classes_are_refused(classifier):
    other = data()
    for split in other.values():
        split.class_names = ("a", "b", "c", "d")
    arguments = RobustnessArguments(model=str(classifier), data="nw_ucla_xview", device="cpu")
    with pytest.raises(ValueError, match="use its own data"):
        robustness_run(arguments, other, report=lambda line: None)


def test_the_table_says_what_damage_costs():
    damages = [Damage(), Damage("drop_joints", 0.1, "zero"), Damage("crop_time", 0.5, "start")]
    values = {
        damage.name: {"top1": top1, "mean_class": 0.5, "top5": 1.0}
        for damage, top1 in zip(damages, (0.9, 0.85, 0.4), strict=True)
    }
    lines = robustness_table(damages, values).splitlines()
    assert lines[2] == "| intact | 90.0 | 50.0 | 100.0 |  |"
    assert lines[3] == "| 10 % of the joints lost, at zero | 85.0 | 50.0 | 100.0 | 5.0 |"
    assert lines[4].startswith("| 50 % of the frames lost, start stays |")
