"""Fine-tuning that is stopped goes on as if it had not been, and what is loaded again is what was saved: the encoder, too.

Runs that are killed live in child processes of a fork server that has everything imported, so that each costs about a second.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import one_sentence, refused
from finetune_clips import arguments, curve, data, run, weights
from killable import Launch, launcher

from s2i_hf.data.skeleton_rows import as_rows
from s2i_hf.runs.checkpoints import find_checkpoints
from s2i_hf.runs.results import read_results
from s2i_hf.training import trainer as training
from s2i_hf.training.finetune_data import load_classifier
from s2i_hf.training.finetuning import finetune
from s2i_hf.training.trainer import SkeletonTrainer
from s2i_hf.utils.arguments import run_main

HARD: dict[str, Any] = {  # everything that draws random numbers, and everything that has a state
    "mixup": 0.8, "cutmix": 1.0, "drop_path": 0.3, "ema": 0.9, "yaw": 0.5, "jitter": 0.01, "gradient_accumulation": 2, "batch_size": 4,
    "validation": "0.25", "best": True, "epochs": 4, "save_every": 4,
}  # fmt: skip  # 32 clips to learn from, 4 steps an epoch


def _child(run_dir: str, settings: dict[str, Any], kill_at: int | None, how: str) -> None:
    """One run in a process of its own, that in its micro-batch number `kill_at` is hit by a signal."""
    torch.set_num_threads(1)
    os.dup2(os.open(f"{run_dir}.stderr", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), sys.stderr.fileno())
    count, compute_loss = 0, SkeletonTrainer.compute_loss

    def counted(self: Any, *words: Any, **named: Any) -> Any:
        nonlocal count
        count += 1
        if count == kill_at and how.startswith("SIG"):
            os.kill(os.getpid(), getattr(signal, how))
        return compute_loss(self, *words, **named)

    SkeletonTrainer.compute_loss = counted  # type: ignore[method-assign]
    save, complete = SkeletonTrainer._save_scaler, training.complete_checkpoint

    def save_and_die(self: Any, folder: str) -> None:
        save(self, folder)
        if how == "while saving" and self.state.global_step >= 8:
            os.kill(os.getpid(), signal.SIGKILL)

    def keep_and_die(*words: Any) -> None:
        complete(*words)
        if how == "after it was saved" and words[2].step >= 8:
            os.kill(os.getpid(), signal.SIGKILL)

    SkeletonTrainer._save_scaler, training.complete_checkpoint = save_and_die, keep_and_die  # type: ignore[method-assign]
    run_main(lambda: run(Path(run_dir), **{**HARD, **settings}))


@pytest.fixture(scope="module")
def launch() -> Launch:
    return launcher(
        _child,
        [
            "s2i_hf.training.trainer",
            "s2i_hf.training.finetuning",
            "s2i_hf.processing.image_processing_skeleton",
            "transformers.models.vit.modeling_vit",
        ],
    )


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = tmp_path_factory.mktemp("undisturbed") / "run"
    run(run_dir, **HARD)
    assert len(curve(run_dir)) == 8 + 4 and find_checkpoints(run_dir)[-1].name == "step_00000016"
    return run_dir


def assert_same(run_dir: Path, other: Path) -> None:
    assert curve(run_dir) == curve(other)
    assert weights(run_dir) == weights(other)
    assert read_results(run_dir)[0]["value"] == read_results(other)[0]["value"]


@pytest.mark.parametrize(
    ("kill_at", "how"), [(5, "SIGKILL"), (19, "SIGKILL"), (None, "while saving"), (None, "after it was saved")]
)
def test_killed_and_resumed_is_undisturbed(
    launch: Any, undisturbed: Path, tmp_path: Path, kill_at: int | None, how: str
) -> None:
    """Before the first checkpoint, in the middle of an epoch and of an accumulation, and while something is written."""
    run_dir = tmp_path / "run"
    code = launch(run_dir, kill_at, how, save_every=3)
    assert code == -signal.SIGKILL
    assert (find_checkpoints(run_dir) == []) == (kill_at == 5)
    run(run_dir, **{**HARD, "resume": "auto"})
    assert_same(run_dir, undisturbed)
    assert not [*run_dir.glob("checkpoints/.*"), *run_dir.glob("checkpoint-*")]


def test_asked_to_stop_it_saves_and_says_how_to_go_on(launch: Any, undisturbed: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    assert launch(run_dir, 9, "SIGTERM") == 130
    error = (tmp_path / "run.stderr").read_text()
    assert (
        "Stopped after step 5 of 16" in error
        and "step_00000005" in error
        and "--resume" in error
        and "Traceback" not in error
    )
    run(run_dir, **{**HARD, "resume": "auto", "log_every": 2})
    assert_same(run_dir, undisturbed)


def test_killed_after_the_last_step_only_the_test_is_left(undisturbed: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    shutil.copytree(undisturbed, run_dir)
    for name in ("summary.json", "model.safetensors", "results.json"):
        (run_dir / name).unlink()
    before = curve(run_dir)
    run(run_dir, **{**HARD, "resume": "auto"})
    assert curve(run_dir) == before
    assert_same(run_dir, undisturbed)


def test_a_resumed_model_has_the_encoder_of_the_checkpoint(undisturbed: Path, tmp_path: Path) -> None:
    """What the stock Trainer leaves at its initial weights, with a warning (transformers #43701)."""
    from accelerate import Accelerator
    from safetensors.torch import load_file, save_file
    from transformers import ViTForImageClassification

    from s2i_hf.training.ema import WeightAverage

    checkpoint = find_checkpoints(undisturbed)[-1]
    saved = ViTForImageClassification.from_pretrained(checkpoint).state_dict()
    settings, dataset = arguments(tmp_path / "run", ema=0.9), data()
    model, _, _ = load_classifier(settings, as_rows(dataset["train"]))
    fresh = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    trainer = object.__new__(SkeletonTrainer)  # without what a run needs
    trainer.model, trainer.average, trainer.accelerator = model, WeightAverage(model, 0.9), Accelerator(cpu=True)
    trainer._load_from_checkpoint(str(checkpoint))
    assert any("attention" in name and not torch.equal(tensor, saved[name]) for name, tensor in fresh.items())
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, saved[name]), name
    average = load_file(str(checkpoint / "average.safetensors"))
    for name, value in trainer.average.module.named_parameters():
        assert torch.equal(value, average[name]) and not torch.equal(value, saved[name])

    shutil.copytree(checkpoint, tmp_path / "damaged")
    tensors = load_file(str(tmp_path / "damaged" / "model.safetensors"))
    lost = next(name for name in tensors if "layer" in name)
    left = {name: tensor for name, tensor in tensors.items() if name != lost}
    save_file(left, str(tmp_path / "damaged" / "model.safetensors"), {"format": "pt"})
    with refused(ValueError, match="does not hold this model"):
        trainer._load_from_checkpoint(str(tmp_path / "damaged"))


@pytest.mark.parametrize("ema", [None, 0.8])
def test_the_best_epoch_has_exactly_the_logits_it_had(tmp_path: Path, monkeypatch: Any, ema: float | None) -> None:
    settings, dataset = (
        arguments(tmp_path / "run", validation="0.25", best=True, ema=ema, epochs=6, base_lr=0.3),
        data(),
    )
    model, processor, _ = load_classifier(settings, as_rows(dataset["train"]))
    seen: dict[int, np.ndarray] = {}
    scores = SkeletonTrainer.scores

    def noted(self: Any, rows: Any, **views: int) -> np.ndarray:
        found = scores(self, rows, **views)
        if len(rows) == 8:  # those held out
            seen[self.state.global_step] = found
        else:
            seen[-1] = scores(self, self.eval_dataset)
        return found

    monkeypatch.setattr(SkeletonTrainer, "scores", noted)
    summary = finetune(settings, model, processor, dataset)
    assert len(seen) == 7
    rows = [row for row in curve(tmp_path / "run") if "validation_top1" in row]
    best = max(rows, key=lambda row: (row["validation_top1"], -row["validation_loss"]))
    assert summary["best_step"] == best["step"] and summary["validation"] == pytest.approx(best["validation_top1"])
    np.testing.assert_array_equal(seen[-1], seen[best["step"]])
    if best["step"] != 24:
        assert not np.array_equal(seen[-1], seen[24])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"resume": "none"}, "already holds a finished run"),
        ({"resume": "auto"}, "is finished"),
        ({"resume": "step_00000099"}, "no checkpoint"),
        ({"resume": "step_00000012", "layer_decay": 0.5}, "--layer_decay is 0.5"),
    ],
)
def test_a_run_that_cannot_go_on_says_why(
    undisturbed: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=message) as error:
        run(undisturbed, **{**HARD, **changes})
    assert one_sentence(error.value)


def test_other_clips_or_processes_are_refused(undisturbed: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    shutil.copytree(undisturbed, run_dir)
    (run_dir / "summary.json").unlink()
    with pytest.raises(ValueError, match="training clips are not those"):
        run(run_dir, data(train=48), **{**HARD, "resume": "auto"})
    path = find_checkpoints(run_dir)[-1] / "progress.json"
    path.write_text(path.read_text().replace('"num_processes": 1', '"num_processes": 2'))
    with refused(ValueError, match="written by 2 processes"):
        run(run_dir, **{**HARD, "resume": "auto"})
