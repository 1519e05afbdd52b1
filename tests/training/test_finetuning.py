"""Fine-tuning: it learns, tests once at the end, weighs and holds out what it says, and says what cannot work before it begins."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from conftest import one_sentence, refused
from finetune_clips import CLASSES, Rows, arguments, clips, curve, data, run, weights
from transformers import TrainerControl, TrainerState

from s2i_hf.data.skeleton_rows import as_layout, as_rows
from s2i_hf.evaluation.scoring import predict_scores
from s2i_hf.models.building import build_mae
from s2i_hf.models.classification import build_classifier
from s2i_hf.processing.image_processing_skeleton import SkeletonProcessor
from s2i_hf.runs.checkpoints import Progress
from s2i_hf.runs.results import read_results
from s2i_hf.training.finetune_data import balanced_weights, check_fit, choose_clips, load_classifier
from s2i_hf.training.finetuning import finetune, start
from s2i_hf.training.trainer import RunCallback

# --- a run ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    run_dir = tmp_path_factory.mktemp("learned") / "run"
    return run_dir, run(run_dir, epochs=20, yaw=0.0, tilt=0.0, crop=(0.9, 1.0), drop_path=0.0, card=True)


def test_it_learns_and_leaves_a_stock_classifier(learned: tuple[Path, dict[str, Any]]) -> None:
    from transformers import AutoModelForImageClassification, ViTForImageClassification

    run_dir, summary = learned
    assert summary["top1"] > 0.9 and summary["steps"] == 100
    model = AutoModelForImageClassification.from_pretrained(run_dir)
    assert type(model) is ViTForImageClassification and model.config.id2label == dict(enumerate(CLASSES))
    assert "use_cache" not in json.loads((run_dir / "config.json").read_text())
    processor = SkeletonProcessor.from_pretrained(run_dir)
    assert processor.layout == "kinect_v1"
    again = predict_scores(model, data()["test"], processor)
    np.testing.assert_array_equal(again, summary["scores"])
    np.testing.assert_allclose(np.exp(again).sum(axis=1), 1, rtol=1e-5)


def test_numbers_become_rows_and_files(learned: tuple[Path, dict[str, Any]]) -> None:
    run_dir, summary = learned
    rows = read_results(run_dir)
    assert {(row["setting"], row["encoder"], row["method"], row["train_clips"], row["test_clips"]) for row in rows} == {
        ("fine_tune", "untrained", "micro", 40, 16)
    }
    assert {row["metric"]: row["value"] for row in rows} == {
        name: pytest.approx(summary[name], abs=1e-6) for name in ("top1", "top5", "mean_class")
    }
    entry = json.loads((run_dir / "per_class.json").read_text())["nw_ucla_xview"]
    confusion = np.array(entry["encoders"]["untrained"]["fine_tune"]["confusion"])
    assert confusion.sum() == 16 and np.trace(confusion) / 16 == pytest.approx(summary["top1"])
    assert (run_dir / "confusion.png").is_file() and (run_dir / "README.md").is_file()
    assert not list(run_dir.rglob("training_args.bin"))  # a pickle with paths of this machine
    assert len(curve(run_dir)) == 50 and not (run_dir / "checkpoint-100").exists()


def test_test_labels_change_test_numbers_and_nothing_else(tmp_path: Path) -> None:
    true = run(tmp_path / "true", validation="subjects", best=True)
    other_data = data()
    for row in other_data["test"]:
        row["label"] = (row["label"] + 1) % len(CLASSES)
    other = run(tmp_path / "other", other_data, validation="subjects", best=True)
    np.testing.assert_array_equal(true["scores"], other["scores"])
    assert weights(tmp_path / "true") == weights(tmp_path / "other")
    assert curve(tmp_path / "true") == curve(tmp_path / "other") and true["best_step"] == other["best_step"]


# --- which clips, in which order --------------------------------------------------------------------------------------


def test_shares_and_validation_come_from_the_training_clips() -> None:
    rows = as_rows(clips(40))
    whole, nothing = choose_clips(arguments(Path("run")), rows)
    assert len(whole) == 40 and nothing is None
    few, _ = choose_clips(arguments(Path("run"), label_share=0.2), rows)
    assert len(few) == 8 and set(few.labels.tolist()) == {0, 1, 2, 3}
    other, _ = choose_clips(arguments(Path("run"), label_share=0.2, label_seed=1), rows)
    assert other.sample_ids != few.sample_ids
    for validation, share in (("subjects", 0.25), ("stratified", 0.25), ("0.1", 0.1)):
        learn, held = choose_clips(arguments(Path("run"), validation=validation), rows)
        assert not set(learn.sample_ids) & set(held.sample_ids) and len(learn) + len(held) == 40
        assert share - 0.06 < len(held) / 40 < share + 0.16
        assert validation != "subjects" or not set(learn.subjects.tolist()) & set(held.subjects.tolist())


def test_a_training_camera_is_held_out_whole() -> None:
    one = as_rows(clips(40))
    several = Rows({**row, "camera": 1 + index // 4 % 3} for index, row in enumerate(clips(40)))
    rows = as_rows(several)
    held_cameras = set()
    for seed in range(6):
        learn, held = choose_clips(arguments(Path("run"), validation="cameras", seed=seed), rows)
        cameras = set(held.cameras.tolist())
        assert len(cameras) == 1 and not cameras & set(learn.cameras.tolist()) and len(learn) + len(held) == 40
        held_cameras |= cameras
    assert len(held_cameras) > 1
    for word, rows in (("cameras", one), ("subjects", as_rows(Rows({**row, "subject": 1} for row in clips(40))))):
        with refused(ValueError, match=f"all 40 are of {word[:-1]} 1; pass --validation stratified"):
            choose_clips(arguments(Path("run"), validation=word), rows)


def test_called_directly_it_reads_clips_in_the_format_asked_for(tmp_path: Path) -> None:
    settings = arguments(tmp_path / "direct", to_layout="lcrnet_13", max_steps=2)
    rows = data(16, 8)
    model, processor, _ = load_classifier(settings, as_rows(rows["train"]))
    assert processor.layout == "lcrnet_13"
    found = finetune(settings, model, processor, rows)  # as `s2i finetune` does it, which converts them itself
    converted = {split: as_layout(clips, "lcrnet_13") for split, clips in rows.items()}
    twin = run(tmp_path / "converted", converted, max_steps=2)
    np.testing.assert_array_equal(found["scores"], twin["scores"])
    assert json.loads((tmp_path / "direct" / "data.json").read_text())["layouts"] == ["lcrnet_13"]
    other = run(tmp_path / "as_recorded", rows, max_steps=2)
    assert not np.array_equal(found["scores"], other["scores"])


def test_balanced_weights_make_every_class_count_alike() -> None:
    labels = np.array([0] * 6 + [1] * 2 + [3] * 4)
    found = balanced_weights(labels, 5).numpy()
    assert found[2] == found[4] == 1 and found[labels].mean() == pytest.approx(1)
    np.testing.assert_allclose([found[0] * 6, found[1] * 2], found[3] * 4)


def test_rare_classes_are_learned_with_weights(tmp_path: Path) -> None:
    rows = Rows(row for row in clips(80) if row["label"] != 3 or int(row["sample_id"][-2:]) < 8)
    changes = {"epochs": 3, "drop_path": 0.0, "label_smoothing": 0.0, "base_lr": 0.02}
    dataset = {"train": rows, "test": Rows(row for row in clips(32, seed=1) if row["label"] == 3)}
    plain = run(tmp_path / "plain", dataset, **changes)
    balanced = run(tmp_path / "balanced", dataset, class_weights="balanced", **changes)
    assert balanced["scores"][:, 3].mean() > plain["scores"][:, 3].mean() + 0.1


# --- a pretrained encoder ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "mae_nw_ucla_xview"
    build_mae("config:micro", image_size=32, seed=5).save_pretrained(folder)
    SkeletonProcessor(layout="kinect_v2", size=32, stream="bone", value_range="per_axis").save_pretrained(folder)
    return folder


def test_it_starts_from_the_encoder_and_the_images_of_the_run(pretrained: Path, tmp_path: Path) -> None:
    settings = arguments(tmp_path / "run", model=str(pretrained), size=None)
    model, processor, notes = load_classifier(settings, as_rows(clips(8)))
    encoder = build_mae("config:micro", image_size=32, seed=5).vit.state_dict()
    assert all(torch.equal(tensor, encoder[name]) for name, tensor in model.vit.state_dict().items())
    assert (processor.stream, processor.value_range, processor.layout) == ("bone", "per_axis", "kinect_v1")
    assert any("learned from kinect_v2 skeletons, and these are kinect_v1" in note for note in notes)
    settings = arguments(tmp_path / "run", model=str(pretrained), size=None, stream="motion", encoder="untrained")
    fresh, processor, notes = load_classifier(settings, as_rows(clips(8)))
    assert processor.stream == "motion" and any("bone images, and these are motion images" in note for note in notes)
    assert not torch.equal(fresh.vit.layers[0].mlp.fc1.weight, model.vit.layers[0].mlp.fc1.weight)
    assert (settings.encoder_name, settings.method_name) == ("untrained", "mae")
    default = arguments(tmp_path / "run", model=str(pretrained), output_dir=None, encoder="untrained")
    assert default.output_dir == "runs/finetune_untrained_mae_nw_ucla_xview"


def test_layer_decay_schedule_and_weight_decay_reach_the_optimizer(tmp_path: Path, monkeypatch: Any) -> None:
    from s2i_hf.training.trainer import SkeletonTrainer

    rates = []
    step = SkeletonTrainer.training_step

    def noted(self: Any, *words: Any) -> Any:
        rates.append({group["name"]: group["lr"] for group in self.optimizer.param_groups})
        return step(self, *words)

    monkeypatch.setattr(SkeletonTrainer, "training_step", noted)
    run(tmp_path / "run", epochs=2, warmup_epochs=0.4, layer_decay=0.5, base_lr=0.032)
    tops = [max(found.values()) for found in rates]
    assert tops[:3] == pytest.approx([0, 0.0005, 0.001]) and tops[-1] < 0.001 and len(tops) == 10
    found = sorted({round(value / tops[2], 6) for value in rates[2].values()})
    assert found == [0.125, 0.25, 0.5, 1.0]  # embeddings, two layers, head


# --- what cannot work, said before training ---------------------------------------------------------------------------


def test_mistakes_in_the_data_are_said_before_training(tmp_path: Path) -> None:
    settings = arguments(tmp_path / "run")
    one_class = Rows(row for row in clips(40) if row["label"] == 1)
    unlabelled = clips(8)
    unlabelled[3]["label"] = -1
    for rows, message in ((Rows(), "no training clips"), (one_class, "one label"), (unlabelled, r"no label \(-1\)")):
        with refused(ValueError, match=message):
            load_classifier(settings, as_rows(rows) if rows else _empty())
    model, processor, _ = load_classifier(settings, as_rows(clips(8)))
    stranger = clips(8)
    stranger[0]["label"] = 7
    wrong = build_classifier("config:micro", ["a", "b"], image_size=32)[0]
    for classifier, train, test, message in (
        (model, clips(8), _empty(), "no test clips"),
        (wrong, clips(8), clips(8), "has 2 classes, but the training clips have 4"),
        (model, clips(8), stranger, "1 test clips have no label among the 4"),
    ):
        with refused(ValueError, match=message):
            finetune(settings, classifier, processor, {"train": train, "test": test})
    with refused(ValueError, match="32"):
        check_fit(model, SkeletonProcessor(size=64), as_rows(clips(8)), as_rows(clips(8)))
    flat = Rows([{**row, "layout": "coco_17", "joints": row["joints"][:, :, :17]} for row in clips(8)])
    check_fit(model, SkeletonProcessor(size=32), as_rows(clips(8)), as_rows(flat))
    with refused(ValueError, match="pixels"):
        check_fit(model, SkeletonProcessor(size=32), as_rows(clips(8)), as_rows(flat), rotations=2)
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


def _empty() -> Any:
    return as_rows(clips(4)).select([])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label_share": 0.05}, "smallest share that works"),
        ({"validation": "0.99"}, "without a clip to learn from"),
        ({"validation": "0.01"}, "holds out none"),
    ],
)
def test_shares_that_leave_nothing_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        run(tmp_path / "run", **changes)
    assert one_sentence(error.value) and not (tmp_path / "run" / "metrics.jsonl").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"best": True}, "add --validation"),
        ({"validation": "half"}, "--validation is 'half'"),
        ({"layer_decay": 0.0}, "--layer_decay"),
        ({"ema": 1.0}, "--ema"),
        ({"drop_path": 1.0}, "--drop_path"),
        ({"epochs": 0}, "--epochs"),
        ({"base_lr": float("nan")}, "--base_lr"),
        ({"warmup_epochs": 3.0}, "leaves none of 3 epochs"),
        ({"mirror": 2.0}, "mirror"),
        ({"seed": -1}, "--seed"),
    ],
)
def test_settings_that_make_no_sense(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=message) as error:
        arguments(tmp_path / "run", **changes)
    assert one_sentence(error.value)


def test_the_machine_lacks_what_was_asked_for(tmp_path: Path) -> None:
    for changes, message in (
        ({"precision": "fp16"}, "needs a GPU"),
        ({"report_to": "trackio"}, "pip install trackio"),
        ({"model": "runs/nowhere/x"}, "does not exist"),
    ):
        with pytest.raises((ValueError, ImportError, FileNotFoundError), match=message) as error:
            start(arguments(tmp_path / "run", **changes))
        assert one_sentence(error.value)


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not finite") as error:
        run(tmp_path / "run", base_lr=1e30, grad_clip=None)
    assert one_sentence(error.value) and not (tmp_path / "run" / "summary.json").exists()


def test_bf16_trains_and_is_tested_in_float32(tmp_path: Path, fused_attention: list[torch.dtype]) -> None:
    from transformers import AutoModelForImageClassification

    summary = run(tmp_path / "run", precision="bf16")
    assert set(fused_attention) == {
        torch.float32
    }  # tested like a loaded model, trained with the attention that is faster here

    model = AutoModelForImageClassification.from_pretrained(tmp_path / "run")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    again = predict_scores(model, data()["test"], SkeletonProcessor.from_pretrained(tmp_path / "run"))
    np.testing.assert_array_equal(again, summary["scores"])


def test_the_best_epoch_is_the_first_of_those_with_the_least_loss_among_equals(tmp_path: Path) -> None:
    log: Any = SimpleNamespace(progress=Progress(), run_dir=tmp_path, write_row=lambda **_: None)
    args: Any = SimpleNamespace(load_best_model_at_end=True)
    callback, state = RunCallback(log, True, "top1", None), TrainerState()  # type: ignore[arg-type]  # nobody is asked
    saved = []
    for step, (top1, loss) in enumerate([(0.5, 1.0), (0.5, 1.2), (0.5, 0.9), (0.5, 0.9), (0.25, 0.1)]):
        control, state.global_step = TrainerControl(), step
        callback.on_evaluate(args, state, control, metrics={"eval_top1": top1, "eval_loss": loss})
        saved.append(control.should_save)
    assert saved == [True, False, True, False, False]
    assert state.best_global_step == 2 and log.progress.best == [0.5, -0.9]


def test_the_average_of_the_weights_is_what_is_kept(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    summary = run(tmp_path / "run", ema=0.5)
    kept = load_file(str(tmp_path / "run" / "model.safetensors"))
    last = tmp_path / "run" / "checkpoints" / "step_00000015"
    plain = load_file(str(last / "model.safetensors"))
    assert set(kept) == set(plain) and any(not torch.equal(kept[name], plain[name]) for name in kept)
    model, processor, _ = load_classifier(arguments(tmp_path / "x", model=str(tmp_path / "run")), as_rows(clips(8)))
    np.testing.assert_array_equal(predict_scores(model, data()["test"], processor), summary["scores"])


def test_a_class_that_is_never_trained_is_said_before_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = clips(8)
    rows.class_names = ("walk", "Walk", "run", "sit")
    train, test = Rows(row for row in rows if row["label"] != 1), Rows(row for row in rows if row["label"] != 0)
    train.class_names = test.class_names = rows.class_names
    settings = arguments(tmp_path / "run", epochs=1, batch_size=2, card=True)
    model, processor, notes = load_classifier(settings, as_rows(train))
    finetune(settings, model, processor, {"train": train, "test": test}, notes=notes)
    told = capsys.readouterr().out
    spelt = "Classes differ only in spelling: 'walk' and 'Walk'; give one class one name."
    lonely = "Class 'Walk' has test clips and no training clip."
    assert told.index(f"Warning: {spelt}") < told.index(f"Warning: {lonely}") < told.index("Test: top1")
    assert f"- {lonely}" in (tmp_path / "run" / "README.md").read_text()
