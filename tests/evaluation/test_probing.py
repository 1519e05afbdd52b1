"""The probe run: every encoder and setting measured, files written, and test labels without influence on a choice."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml
from vision_backbones import save_backbone

from s2i_hf.evaluation.features import extract_features
from s2i_hf.evaluation.probes import evaluate_probe
from s2i_hf.evaluation.probing import ProbeArguments, load_model_and_processor, probe_run
from s2i_hf.models.building import build_mae, encoder_of
from s2i_hf.models.classification import build_classifier
from s2i_hf.processing.image_processing_skeleton import SkeletonProcessor
from s2i_hf.runs.results import ENCODERS, RESULT_COLUMNS, read_results, read_results_csv


class Rows(list):
    """A torch-like dataset of row dicts."""

    name = "nw_ucla_xview"
    class_names = ("still", "up", "right", "away", "in circles", "never done")


def dataset(labels=None, train=48, test=20):
    """Bodies that move in one direction each, seen from a little aside in the test split."""
    generator = np.random.default_rng(0)
    steps = np.array([[0, 0, 0], [0, 1, 0], [1, 0, 0], [0, 0, 1], [1, 1, 0]])
    splits = {}
    for split, count in (("train", train), ("test", test)):
        rows = Rows()
        for index in range(count):
            label = index % 5
            body = np.random.default_rng(1).normal(scale=0.4, size=(1, 1, 20, 3))
            path = np.linspace(0, 1, 14)[:, None, None, None] * steps[label]
            joints = body + path + 0.05 * generator.normal(size=(14, 1, 20, 3)) + (split == "test") * 0.02
            label = label if split == "train" or labels is None else int(labels[index])
            who = {"subject": index % 6, "camera": 1, "sample_id": f"{split}{index}"}
            rows.append({"joints": joints.astype(np.float32), "layout": "kinect_v1", "label": label, **who})
        splits[split] = rows
    return splits


@pytest.fixture(scope="module")
def model():
    return build_mae("config:micro", image_size=64, seed=2)


def arguments(folder, **changes):
    folder.mkdir(parents=True, exist_ok=True)
    return ProbeArguments(model=str(folder), data="nw_ucla_xview", device="cpu", **{"card": False, **changes})


def run(folder, model, data=None, **changes):
    return probe_run(
        arguments(folder, **changes), model, SkeletonProcessor(size=64), data or dataset(), report=lambda line: None
    )


def test_every_encoder_setting_and_metric_becomes_a_row(tmp_path, model):
    folder = tmp_path / "mae_nw_ucla_xview"
    folder.mkdir()
    (folder / "run.yaml").write_text(yaml.safe_dump({"seed": 7}))
    lines = []
    table = tmp_path / "results.csv"
    probe_run(
        arguments(folder, results_csv=str(table)), model, SkeletonProcessor(size=64), dataset(), report=lines.append
    )
    rows = read_results(folder)
    assert len(rows) == 3 * 2 * 3 and all(tuple(row) == RESULT_COLUMNS for row in rows)
    assert {(row["encoder"], row["setting"], row["metric"]) for row in rows} == {
        (encoder, setting, metric)
        for encoder in ("pretrained", "untrained", "raw_joints")
        for setting in ("linear_probe", "knn")
        for metric in ("top1", "top5", "mean_class")
    }
    facts = {(r["dataset"], r["protocol"], r["method"], r["seed"], r["train_clips"], r["test_clips"]) for r in rows}
    assert facts == {("nw_ucla", "xview", "mae", 7, 48, 20)}  # the seed is the run's
    assert read_results_csv(table) == rows
    measured = [line for line in lines if "top1" in line]
    assert len(measured) == 6 and lines[0].startswith("Probing mae_nw_ucla_xview on nw_ucla_xview: ")
    assert [line.partition(":")[0] for line in lines if "features of" in line][1:] == list(ENCODERS)
    raw = [row["value"] for row in rows if row["encoder"] == "raw_joints" and row["metric"] == "top1"]
    assert min(raw) > 0.9  # directions are easy to tell


def test_measured_again_nothing_doubles(tmp_path, model):
    run(tmp_path, model, settings=("knn",))
    first = read_results(tmp_path)
    run(tmp_path, model, settings=("knn",), encoders=("pretrained",))
    second = read_results(tmp_path)
    assert [row["value"] for row in first] == [row["value"] for row in second] and len(second) == 9
    entry = json.loads((tmp_path / "per_class.json").read_text())["nw_ucla_xview"]
    assert set(entry["encoders"]) == {"pretrained", "untrained", "raw_joints"}


def test_per_class_adds_up_to_the_metrics(tmp_path, model):
    summary = run(tmp_path, model)
    entry = json.loads((tmp_path / "per_class.json").read_text())["nw_ucla_xview"]
    assert entry["class_names"] == list(Rows.class_names) and entry["data"]["counts"] == {"train": 48, "test": 20}
    for encoder, by_setting in entry["encoders"].items():
        for setting, values in by_setting.items():
            result = summary["results"][encoder][setting]
            confusion = np.array(values["confusion"])
            assert confusion.shape == (6, 6) and np.trace(confusion) / 20 == pytest.approx(result.metrics["top1"])
            assert values["test_clips"] == [4, 4, 4, 4, 4, 0] and values["accuracy"][5] is None
            assert np.mean(values["accuracy"][:5]) == pytest.approx(result.metrics["mean_class"], abs=1e-5)
            assert ("pooling" in values["chosen"]) == (encoder != "raw_joints")
    assert len((tmp_path / "per_class.json").read_text().splitlines()) < 200  # a row of numbers is one line


def test_test_labels_change_test_numbers_and_nothing_else(tmp_path, model):
    true = run(tmp_path / "true", model)
    shuffled = np.random.default_rng(5).permutation(np.arange(20) % 5)
    other = run(tmp_path / "other", model, dataset(shuffled))
    changed = False
    for encoder, by_setting in true["results"].items():
        for setting, result in by_setting.items():
            twin = other["results"][encoder][setting]
            assert twin.chosen == result.chosen and twin.validation == result.validation
            np.testing.assert_array_equal(twin.predictions, result.predictions)
            changed |= twin.metrics != result.metrics
    assert changed
    entries = [json.loads((tmp_path / name / "per_class.json").read_text()) for name in ("true", "other")]
    assert entries[0]["nw_ucla_xview"]["data"] == entries[1]["nw_ucla_xview"]["data"]


def test_the_untrained_encoder_shares_seed_grid_and_positions(tmp_path, model):
    """The model here was never trained and has seed 2: only then do both encoders give the same numbers."""
    same = run(tmp_path / "a", model, seed=2, settings=("knn",))["results"]
    np.testing.assert_array_equal(same["pretrained"]["knn"].scores, same["untrained"]["knn"].scores)
    other = run(tmp_path / "b", model, seed=3, settings=("knn",))["results"]
    assert np.abs(other["pretrained"]["knn"].scores - other["untrained"]["knn"].scores).max() > 1e-4


def test_pooling_can_be_fixed(tmp_path, model):
    results = run(tmp_path, model, pooling="cls", encoders=("pretrained",))["results"]
    assert {result.chosen["pooling"] for result in results["pretrained"].values()} == {"cls"}


def test_streams_stand_side_by_side(tmp_path, model, monkeypatch):
    from s2i_hf.evaluation import probing

    seen: list[np.ndarray] = []
    monkeypatch.setattr(
        probing,
        "evaluate_probe",
        lambda *given, **named: seen.append(given[1]["part_std"]) or evaluate_probe(*given, **named),
    )
    wanted = {"pooling": "part_std", "encoders": ("pretrained",), "settings": ("knn",)}
    run(tmp_path / "a", model, streams=("joint", "bone"), **wanted)
    run(tmp_path / "b", model, **wanted)
    run(tmp_path / "c", model, streams=("bone",), **wanted)
    both, joint, bone = seen
    np.testing.assert_array_equal(both, np.concatenate([joint, bone], axis=1))
    assert np.abs(joint - bone).max() > 1e-3 and joint.shape[1] == 10 * 64


def test_card_and_picture_are_written_if_wanted(tmp_path, model):
    run(tmp_path, model, card=True, encoders=("pretrained", "raw_joints"))
    assert "raw joints" in (tmp_path / "README.md").read_text() and (tmp_path / "confusion.png").stat().st_size > 1000


def test_without_matplotlib_the_numbers_and_the_card_are_there(tmp_path, model, monkeypatch):
    import sys

    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    lines = []
    settings = arguments(tmp_path, card=True, encoders=("raw_joints",))
    probe_run(settings, model, SkeletonProcessor(size=64), dataset(), report=lines.append)
    assert lines[-1] == "No confusion.png: Pictures need matplotlib; install it with: pip install 's2i-hf[viz]'"
    assert "raw joints" in (tmp_path / "README.md").read_text()


def test_run_folders_are_loaded_with_their_processor(tmp_path, model):
    model.save_pretrained(tmp_path)
    loaded, processor = load_model_and_processor(str(tmp_path))
    assert processor.encoding_options == SkeletonProcessor(size=64).encoding_options  # none was saved
    SkeletonProcessor(size=64, stream="motion", layout="kinect_v1").save_pretrained(tmp_path)
    loaded, processor = load_model_and_processor(str(tmp_path))
    assert processor.stream == "motion" and processor.layout == "kinect_v1" and not loaded.training
    for name, tensor in model.state_dict().items():
        assert (loaded.state_dict()[name] == tensor).all(), name


def test_a_plain_vit_can_be_probed(tmp_path, model):
    encoder_of(model).save_pretrained(tmp_path / "vit")
    loaded, _ = load_model_and_processor(str(tmp_path / "vit"))
    results = run(tmp_path / "out", loaded, encoders=("pretrained", "untrained"), settings=("knn",))
    masked = run(tmp_path / "other", model, encoders=("pretrained",), settings=("knn",))
    pairs = (run_["results"]["pretrained"]["knn"].scores for run_ in (results, masked))
    np.testing.assert_array_equal(*pairs)
    assert {row["method"] for row in results["rows"]} == {"vit"}


@pytest.mark.parametrize("family", ["deit", "dinov3_vit", "siglip", "convnext", "swin"])
def test_backbones_of_other_families_are_probed(tmp_path, family):
    save_backbone(family, tmp_path / family)
    loaded, processor = load_model_and_processor(str(tmp_path / family))
    assert processor.size == {"height": 64, "width": 64}
    summary = probe_run(
        arguments(tmp_path / family, settings=("knn",), encoders=("pretrained", "untrained")), loaded, processor,
        dataset(), report=lambda line: None,
    )  # fmt: skip
    scores = [summary["results"][encoder]["knn"].scores for encoder in ("pretrained", "untrained")]
    assert np.abs(scores[0] - scores[1]).max() > 1e-4 and len(summary["rows"]) == 6
    if family in ("convnext", "swin"):
        with pytest.raises(ValueError, match="has none; expected one of auto, mean, part, part_std"):
            probe_run(
                arguments(tmp_path / family, settings=("knn",), encoders=("pretrained",), pooling="cls"), loaded,
                processor, dataset(),
            )  # fmt: skip


def test_an_earlier_classifier_is_probed_by_its_encoder(tmp_path, model):
    model.save_pretrained(tmp_path / "mae")
    scores = []
    for pooling in ("cls", "columns"):
        classifier, _ = build_classifier(str(tmp_path / "mae"), ["a", "b"], pooling=pooling)
        classifier.save_pretrained(tmp_path / pooling)
        loaded, _ = load_model_and_processor(str(tmp_path / pooling))
        results = run(tmp_path / "out", loaded, encoders=("pretrained", "untrained"), settings=("knn",))["results"]
        scores.append([results[encoder]["knn"].scores for encoder in ("pretrained", "untrained")])
    np.testing.assert_array_equal(*(encoder[0] for encoder in scores))
    masked = run(tmp_path / "mae", model, encoders=("pretrained",), settings=("knn",))
    np.testing.assert_array_equal(scores[0][0], masked["results"]["pretrained"]["knn"].scores)


def test_another_joint_format_is_a_setting_of_its_own(tmp_path, model):
    run(tmp_path, model, encoders=("pretrained",), settings=("knn",))
    thirteen = run(tmp_path, model, encoders=("pretrained", "raw_joints"), settings=("knn",), to_layout="lcrnet_13")
    rows = {(row["encoder"], row["setting"]) for row in read_results(tmp_path)}
    assert rows == {("pretrained", "knn"), ("pretrained", "knn_lcrnet_13"), ("raw_joints", "knn_lcrnet_13")}
    assert set(thirteen["results"]["pretrained"]) == {"knn_lcrnet_13"}
    with pytest.raises(ValueError, match="no counterpart"):
        run(tmp_path, model, to_layout="kinect_v2")
    with pytest.raises(ValueError, match="lcrnet_31"):
        arguments(tmp_path, to_layout="lcrnet_31")


def test_bad_models_and_data_are_one_sentence(tmp_path, model, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"no config\.json"):
        load_model_and_processor(str(tmp_path))
    with pytest.raises(FileNotFoundError, match="does not exist"):
        load_model_and_processor("runs/a/b")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        probe_run(ProbeArguments(model=str(tmp_path / "typo"), data="d"), dataset=dataset())
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(ValueError, match="is a 'bert'"):
        load_model_and_processor(str(tmp_path))
    out = tmp_path / "out"
    with pytest.raises(ValueError, match="nw_ucla_xview has no test clips"):
        run(out, model, dataset(test=0))
    with pytest.raises(ValueError, match="the model takes 64 x 64"):
        probe_run(arguments(out), model, SkeletonProcessor(size=32), dataset())
    unlabelled = dataset(np.full(20, -1))
    with pytest.raises(ValueError, match="20 test clips have no label"):
        run(out, model, unlabelled, encoders=("raw_joints",))
    monkeypatch.setattr("s2i_hf.evaluation.probing._features", None)  # said before minutes of reading features
    with pytest.raises(ValueError, match=r"All \d+ training clips have one label"):
        one = dataset()
        for row in one["train"]:
            row["label"] = 0
        run(out, model, one)
    assert list(out.iterdir()) == []  # nothing half-written


def test_another_joint_format_is_said(tmp_path, model):
    said = []
    quick = {"encoders": ("raw_joints",), "settings": ("knn",)}
    for name, layout in (("other", "kinect_v2"), ("same", "kinect_v1"), ("any", None)):
        processor = SkeletonProcessor(size=64, layout=layout)
        probe_run(arguments(tmp_path / name, **quick), model, processor, dataset(), report=said.append)
    found = [line for line in said if "learned from" in line]
    assert found == ["The encoder learned from kinect_v2 skeletons, and these are kinect_v1."]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 0}, "--batch_size is 0"),
        ({"encoders": ()}, "--encoders is empty"),
        ({"num_frames": -1}, "--num_frames"),
        ({"streams": ("bone", "bone")}, "--streams names something twice: bone, bone"),
    ],
)
def test_bad_settings_are_one_sentence(change, message):
    with pytest.raises(ValueError, match=message):
        ProbeArguments(model="m", data="d", **change)


def test_results_go_to_the_run_or_to_a_folder_of_their_own(tmp_path):
    assert ProbeArguments(model=str(tmp_path), data="d").run_dir == tmp_path
    assert str(ProbeArguments(model="facebook/vit-mae-base", data="out/nw_ucla_xview").run_dir) == (
        "runs/probe_vit-mae-base_nw_ucla_xview"
    )
    assert str(ProbeArguments(model=str(tmp_path), data="d", output_dir="here").run_dir) == "here"


def test_copies_are_probed_with_but_not_counted_as_clips(tmp_path, model):
    plain = run(tmp_path / "plain", model, encoders=("raw_joints",))
    turned = run(tmp_path / "turned", model, encoders=("raw_joints",), copies=1)
    assert {row["train_clips"] for row in turned["rows"]} == {48}
    scores = [result["results"]["raw_joints"]["linear_probe"].scores for result in (plain, turned)]
    assert np.abs(scores[0] - scores[1]).max() > 1e-3
    with pytest.raises(ValueError, match="copies is -1"):
        ProbeArguments(model="x", data="y", copies=-1)


def test_copies_never_choose_and_copies_of_held_out_clips_are_never_fitted(tmp_path, model, monkeypatch):
    import s2i_hf.evaluation.probing as probing

    given, evaluate = [], probing.evaluate_probe
    monkeypatch.setattr(
        probing, "evaluate_probe", lambda *all_of_it, **by: given.append(by["folds"]) or evaluate(*all_of_it, **by)
    )
    run(tmp_path / "turned", model, encoders=("raw_joints",), settings=("knn",), copies=2)
    [folds] = given
    assert (np.sum([choose[:48] for _, choose in folds], axis=0) == 1).all()  # every clip once
    for fit, choose in ((fit.reshape(3, 48), choose.reshape(3, 48)) for fit, choose in folds):
        assert choose[0].any() and not choose[1:].any()
        assert fit.any() and (fit == fit[0]).all() and not (fit[0] & choose[0]).any()


def test_rotations_are_the_mean_view_of_an_encoder_and_more_clips_of_raw_joints(tmp_path, model, monkeypatch):
    import s2i_hf.evaluation.probing as probing

    given, evaluate = [], probing.evaluate_probe
    monkeypatch.setattr(
        probing, "evaluate_probe", lambda *words, **by: given.append((*words, by["folds"])) or evaluate(*words, **by)
    )
    found = run(tmp_path / "turned", model, settings=("knn",), rotations=3)
    assert {row["train_clips"] for row in found["rows"]} == {48}
    sizes = {encoder: len(next(iter(call[1].values())) if isinstance(call[1], dict) else call[1]) for encoder, call in
             zip(found["results"], given, strict=True)}  # fmt: skip
    assert sizes == {"pretrained": 48, "untrained": 48, "raw_joints": 144}
    rows, processor = dataset()["train"], SkeletonProcessor(layout="kinect_v1", size=model.config.image_size)
    expected = extract_features(encoder_of(model), rows, processor, rotations=3)["mean"]
    np.testing.assert_allclose(given[0][1]["mean"], expected, atol=1e-4)
    fit, choose = given[2][-1][0]
    assert choose[:48].any() and not choose[48:].any() and (fit.reshape(3, 48) == fit[:48]).all()
    np.testing.assert_array_equal(given[2][2], np.tile([row["label"] for row in rows], 3))
    with pytest.raises(ValueError, match="rotations is 0; expected 1 or more"):
        ProbeArguments(model="x", data="y", rotations=0)


def test_a_class_in_another_spelling_is_said_before_the_numbers(tmp_path, model):
    data = dataset()
    for rows in data.values():
        rows.class_names = ("walk", "up", "right", "away", "Walk")
    data["train"] = filtered(data["train"], lambda label: label != 4)
    data["test"] = filtered(data["test"], lambda label: label not in (0, 1))
    lines = []
    settings = arguments(tmp_path, encoders=("raw_joints",), settings=("knn",))
    probe_run(settings, model, SkeletonProcessor(size=64), data, report=lines.append)
    assert lines[:3] == [
        "Warning: Classes differ only in spelling: 'walk' and 'Walk'; give one class one name.",
        "Warning: Class 'Walk' has test clips and no training clip.",
        "Warning: Classes 'walk', 'up' have training clips and no test clip.",
    ]
    noted = json.loads((tmp_path / "per_class.json").read_text())["nw_ucla_xview"]["encoders"]["raw_joints"]["knn"][
        "note"
    ]
    assert "Class 'Walk' has test clips and no training clip" in noted


def filtered(rows, wanted):
    kept = Rows(row for row in rows if wanted(row["label"]))
    kept.class_names = rows.class_names
    return kept
