"""Robustness: damage of the size that the table says, the same for every model, and one probe for all lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from bodies import nearest_by_walking
from conftest import MakeClip, one_sentence, refused
from finetune_clips import CLASSES, data

from s2i_hf.data.skeleton_rows import as_rows
from s2i_hf.evaluation.features import extract_features
from s2i_hf.evaluation.metrics import metrics
from s2i_hf.evaluation.probes import evaluate_probe
from s2i_hf.evaluation.scoring import predict_scores
from s2i_hf.evaluation.validation_splits import probe_folds
from s2i_hf.experiments.robustness import (
    Damage,
    RobustnessArguments,
    crop_time,
    drop_joints_exactly,
    lost_joint_indices,
    robustness_run,
)
from s2i_hf.hub.card_sections import damage_table
from s2i_hf.models.building import build_mae, encoder_of
from s2i_hf.models.classification import build_classifier
from s2i_hf.models.saved_models import open_classifier
from s2i_hf.processing.encoding import EncodingOptions, decode, encode
from s2i_hf.processing.image_processing_skeleton import SkeletonProcessor
from s2i_hf.processing.layouts import LAYOUTS, get_layout
from s2i_hf.processing.transforms import find_missing, prepare
from s2i_hf.runs.results import read_results

# --- damage --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["kinect_v2", "kinect_v1", "lcrnet_13"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.2, 0.3, 0.9])
def test_exactly_the_share_is_lost(name: str, share: float, make_clip: MakeClip) -> None:
    joints = make_clip(name, frames=8, people=2)
    before, expected = joints.copy(), round(share * LAYOUTS[name].num_joints)
    for sample_id in ("a", "b", "c"):
        lost = lost_joint_indices(LAYOUTS[name].num_joints, share, 0, sample_id)
        assert len(lost) == expected and len(set(lost.tolist())) == expected
        kept = np.setdiff1d(np.arange(LAYOUTS[name].num_joints), lost)
        for how in ("zero", "missing"):
            damaged = drop_joints_exactly(joints, name, share, 0, sample_id, how)  # type: ignore[arg-type]
            np.testing.assert_array_equal(damaged[:, :, kept], joints[:, :, kept])
            changed = ~(damaged == joints).all(axis=3)
            assert set(np.flatnonzero(changed.any(axis=(0, 1)))) <= set(lost.tolist())
            assert damaged.dtype == np.float32
            if how == "missing":
                assert np.isnan(damaged[:, :, lost]).all()
    np.testing.assert_array_equal(joints, before)


def test_which_joints_depends_on_seed_and_clip_alone_and_grows_with_the_share() -> None:
    def lost(share: float, seed: int, sample_id: str) -> list[int]:
        return lost_joint_indices(25, share, seed, sample_id).tolist()

    assert lost(0.2, 0, "a") == lost(0.2, 0, "a")
    assert len({tuple(lost(0.2, seed, name)) for seed in range(5) for name in "abcde"}) > 20
    assert set(lost(0.1, 3, "a")) < set(lost(0.2, 3, "a")) < set(lost(0.3, 3, "a"))
    often = np.bincount(np.concatenate([lost(0.2, 0, f"clip{n}") for n in range(1000)]), minlength=25)
    assert often.min() > 150 and often.max() < 250  # no joint is spared


@pytest.mark.parametrize("center", ["first_frame", "every_frame", "none"])
def test_zero_is_zero_of_the_centred_body_and_stays_it(center: Any, make_clip: MakeClip) -> None:
    joints = make_clip(frames=12, people=2)
    options = EncodingOptions(size=(12, 100), center=center, value_range="fixed")
    for sample_id in "abcde":  # with and without the joint at the centre
        lost = lost_joint_indices(25, 0.3, 1, sample_id)
        damaged = drop_joints_exactly(joints, "kinect_v2", 0.3, 1, sample_id, "zero", center)
        prepared, filled = prepare(damaged, "kinect_v2")
        assert filled == 0  # the processor takes them for measured
        np.testing.assert_array_equal(prepared, damaged)
        image, metadata = encode([damaged], "kinect_v2", options)
        centred = decode(image, metadata)[0].numpy() - metadata[0].offset[:, None, None]
        np.testing.assert_allclose(centred[:, :, lost], 0, atol=1e-4)
        assert np.abs(centred).max() > 0.5


def test_zero_in_data_that_is_centred_already(make_clip: MakeClip) -> None:
    joints = make_clip("kinect_v1", frames=6)
    joints -= joints[:1, :1, 1:2]  # Spine, the centre of the layout
    damaged = drop_joints_exactly(joints, "kinect_v1", 0.2, 0, "a")
    lost = lost_joint_indices(20, 0.2, 0, "a")
    assert np.abs(damaged[:, :, lost]).max() < 1e-5
    assert not find_missing(damaged)[:, :, lost].any()


def test_missing_is_filled_by_the_processor(make_clip: MakeClip) -> None:
    joints = make_clip(frames=6)
    damaged = drop_joints_exactly(joints, "kinect_v2", 0.2, 0, "a", "missing")
    prepared, filled = prepare(damaged, "kinect_v2")
    lost = lost_joint_indices(25, 0.2, 0, "a")
    assert filled == 6 * 5
    for joint in lost:  # never shown: the joints beside it take its place
        near = nearest_by_walking(joint, set(lost), LAYOUTS["kinect_v2"].parents)
        np.testing.assert_allclose(prepared[:, :, joint], joints[:, :, near].mean(axis=2), atol=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.75])
def test_time_is_cropped_by_the_share_at_the_place(share: float, make_clip: MakeClip) -> None:
    joints = make_clip(frames=40)
    left = 40 - round(share * 40)
    np.testing.assert_array_equal(crop_time(joints, share, "start"), joints[:left])
    np.testing.assert_array_equal(crop_time(joints, share, "end"), joints[40 - left :])
    np.testing.assert_array_equal(crop_time(joints, share, "middle"), joints[(40 - left) // 2 :][:left])
    starts = set()
    for name in range(300):
        cropped = crop_time(joints, share, sample_id=str(name))
        assert len(cropped) == left
        starts.add(int((joints == cropped[0]).all(axis=(1, 2, 3)).argmax()))
        np.testing.assert_array_equal(cropped, crop_time(joints, share, sample_id=str(name)))
    assert starts == set(range(40 - left + 1))
    assert len(crop_time(joints[:1], 0.75)) == 1 and len(crop_time(joints[:2], 0.99)) == 1


CLIP = np.ones((5, 1, 25, 3), dtype=np.float32)
BAD: dict[str, tuple[Any, str]] = {
    "all joints": (lambda: drop_joints_exactly(CLIP, "kinect_v2", 1.0), "share is 1.0"),
    "all but none": (lambda: drop_joints_exactly(CLIP, "kinect_v2", 0.99), "share is 0.99"),
    "a percentage": (lambda: drop_joints_exactly(CLIP, "kinect_v2", 30), "share is 30"),
    "below zero": (lambda: drop_joints_exactly(CLIP, "kinect_v2", -0.1), "share is -0.1"),
    "another layout": (lambda: drop_joints_exactly(CLIP, "kinect_v1", 0.1, 0, "a01"), "'a01'.*20, 3.*kinect_v1"),
    "no people": (lambda: drop_joints_exactly(CLIP[:, 0], "kinect_v2", 0.1), r"\(5, 25, 3\)"),
    "how": (lambda: drop_joints_exactly(CLIP, "kinect_v2", 0.1, how="nan"), "zero, missing"),  # type: ignore[arg-type]
    "center": (lambda: drop_joints_exactly(CLIP, "kinect_v2", 0.1, center="hip"), "first_frame"),  # type: ignore[arg-type]
    "time": (lambda: crop_time(CLIP, 1.0), "share is 1.0"),
    "time below zero": (lambda: crop_time(CLIP, -0.5), "share is -0.5"),
    "place": (lambda: crop_time(CLIP, 0.5, "left"), "random, start, middle, end"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("case", BAD)
def test_refused_in_one_sentence(case: str) -> None:
    call, says = BAD[case]
    with refused(ValueError, match=says):
        call()


def test_real_clips_keep_what_was_not_dropped(real_data: Path) -> None:
    for path in sorted((real_data / "NW-UCLA" / "all_sqe").glob("*.json"))[:20]:
        joints, _ = prepare(np.asarray(json.loads(path.read_text())["skeletons"], dtype=np.float32), "kinect_v1")
        for how in ("zero", "missing"):
            damaged = drop_joints_exactly(joints, "kinect_v1", 0.3, 0, path.stem, how)  # type: ignore[arg-type]
            prepared, filled = prepare(damaged, "kinect_v1")
            assert (prepared == joints).all(axis=(0, 1, 3)).sum() >= 14 and filled == (6 * len(joints)) * (
                how == "missing"
            )


# --- the table -----------------------------------------------------------------------------------------------------------


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
        ({"rotations": 0}, "--rotations is 0"),
        ({"test_rotations": 0}, "--test_rotations is 0"),
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
        model=str(classifier),
        data="nw_ucla_xview",
        crop_time=(0.5,),
        drop_joints=(0.3,),
        device="cpu",
        test_rotations=3,
    )
    lines = []
    summary = robustness_run(arguments, data(), report=lines.append)
    model, processor = open_classifier(str(classifier))
    test = as_rows(data()["test"])
    for damage in arguments.damages:
        damaged = [damage(test[index], "every_frame") for index in range(len(test))]
        scores = predict_scores(model, damaged, processor, test_rotations=3)
        np.testing.assert_allclose(summary["scores"][damage.name], scores, atol=1e-5)
        assert summary["found"][damage.name] == metrics(scores, test.labels)
    rows = read_results(classifier)
    assert {(one["setting"], one["encoder"], one["seed"]) for one in rows} == {
        (f"fine_tune_{name}", "pretrained", 7)
        for name in ("drop_joints_30_zero", "drop_joints_30_missing", "crop_time_50_random")
    }
    assert json.loads((classifier / "robustness.json").read_text())["found"].keys() == summary["found"].keys()
    said = f"on nw_ucla_xview: {len(test)} clips, intact and damaged in 3 ways"
    assert len(lines) == 2 and said in lines[0] and lines[1] == summary["table"] and summary["table"].count("\n") == 5


@pytest.mark.parametrize("rotations", [1, 3])
def test_a_probe_is_fitted_once_on_intact_clips(tmp_path, rotations):
    build_mae("config:micro", image_size=32).save_pretrained(tmp_path)
    SkeletonProcessor(layout="kinect_v1", size=32).save_pretrained(tmp_path)
    arguments = RobustnessArguments(
        model=str(tmp_path), data="nw_ucla_xview", drop_joints=(0.2,), lost_joints=("missing",), crop_time=(),
        pooling="mean", device="cpu", rotations=rotations,
    )  # fmt: skip
    summary = robustness_run(arguments, data(), report=lambda line: None)
    train, test = as_rows(data()["train"]), as_rows(data()["test"])
    encoder, processor = encoder_of(build_mae("config:micro", image_size=32)), SkeletonProcessor(size=32)
    folds = probe_folds(train, test.cameras)
    fitted = extract_features(encoder, train, processor, rotations=rotations)["mean"]
    for damage in arguments.damages:
        damaged = [damage(test[index]) for index in range(len(test))]
        seen = extract_features(encoder, damaged, processor, rotations=rotations)["mean"]
        alone = evaluate_probe(
            "linear_probe", fitted, train.labels, train.subjects, seen, test.labels, num_classes=4, folds=folds
        )
        assert summary["found"][damage.name] == alone.metrics
    assert {one["setting"] for one in summary["rows"]} == {"linear_probe_drop_joints_20_missing"}


def test_zeros_are_not_rotated_where_nothing_is_centred(tmp_path):
    build_mae("config:micro", image_size=32).save_pretrained(tmp_path)
    SkeletonProcessor(layout="kinect_v1", size=32, center="none").save_pretrained(tmp_path)
    arguments = RobustnessArguments(model=str(tmp_path), data="nw_ucla_xview", device="cpu", rotations=3)
    with refused(ValueError, match="--rotations 3 moves joints at zero"):
        robustness_run(arguments, data(), report=lambda line: None)


def test_nor_are_those_of_a_classifier(classifier):
    SkeletonProcessor(layout="kinect_v1", size=32, center="none").save_pretrained(classifier)
    arguments = RobustnessArguments(model=str(classifier), data="nw_ucla_xview", device="cpu", test_rotations=3)
    with refused(ValueError, match="--test_rotations 3 moves joints at zero"):
        robustness_run(arguments, data(), report=lambda line: None)


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
    lines = damage_table({damage.name: values[damage.name] for damage in damages}).splitlines()
    assert lines[2] == "| intact | 90.0 | 50.0 | 100.0 |  |"
    assert lines[3] == "| 10 % of the joints lost, at zero | 85.0 | 50.0 | 100.0 | 5.0 |"
    assert lines[4].startswith("| 50 % of the frames lost, start stays |")


@pytest.mark.parametrize(("split", "message"), [("test", "x has no test clips"), ("train", "no label")])
def test_data_that_a_probe_cannot_use_is_said_first(tmp_path, split, message):
    build_mae("config:micro", image_size=32).save_pretrained(tmp_path)
    SkeletonProcessor(layout="kinect_v1", size=32).save_pretrained(tmp_path)
    splits = {name: as_rows(rows) for name, rows in data().items()}
    if split == "test":
        splits["test"] = splits["test"].select([])
    else:
        splits["train"].labels[:] = -1
    arguments = RobustnessArguments(model=str(tmp_path), data="x", device="cpu")
    with refused(ValueError, match=message):
        robustness_run(arguments, splits, report=lambda line: None)
