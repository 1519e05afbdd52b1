"""The pretraining loop: recipe, order of the clips, masks and targets, and that nothing that stops a run changes it.

Runs that are killed live in child processes of a fork server that has everything imported, so that each costs about a second.
"""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from killable import Launch, launcher
from torch import Tensor, nn

from s2i_hf.data.mixtures import join
from s2i_hf.data.sampler import EpochSampler
from s2i_hf.data.skeleton_rows import as_rows
from s2i_hf.models.building import build_mae
from s2i_hf.processing.encoding import encode
from s2i_hf.processing.image_processing_skeleton import SkeletonProcessor
from s2i_hf.processing.masking import mask_noise
from s2i_hf.runs import checkpoints
from s2i_hf.runs.checkpoints import find_checkpoints
from s2i_hf.runs.run_folder import MetricsFile
from s2i_hf.training import interruption as processes, pretraining
from s2i_hf.training.pretrain_arguments import PretrainArguments
from s2i_hf.training.pretraining import build_optimizer, mae_loss, pretrain, start
from s2i_hf.training.schedule import Schedule
from s2i_hf.utils.arguments import parse, run_main

MICRO = {"model": "config:micro", "size": 64, "epochs": 3, "batch_size": 4, "base_lr": 0.05, "warmup_epochs": 0.5,
         "log_every": 1, "save_every": 3, "card": False, "num_workers": 0}  # fmt: skip
KILLABLE = {**MICRO, "gradient_accumulation": 2, "log_every": 2, "save_every": 3, "keep_checkpoints": 2}


def clips(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Rows of people who wander about, of one and of two people, 5 to 30 frames."""
    generator = np.random.default_rng(seed)
    rows = []
    for index in range(count):
        shape = (int(generator.integers(5, 31)), 1 + index % 2, 20, 3)
        pose = generator.normal(0, 0.4, (1, *shape[1:]))
        joints = (pose + np.cumsum(generator.normal(0, 0.05, shape), axis=0)).astype(np.float32)
        rows.append({"joints": joints, "layout": "kinect_v1", "label": index % 3, "subject": 1, "camera": 1,
                     "sample_id": f"clip{seed}_{index:03}"})  # fmt: skip
    return rows


def make(run_dir: Path, **settings: Any) -> tuple[PretrainArguments, nn.Module, SkeletonProcessor, dict[str, Any]]:
    """Settings, a micro model that draws random numbers (dropout), its processor and some data."""
    dropout, count = settings.pop("dropout", 0.0), settings.pop("count", 28)
    arguments = PretrainArguments(**{"data": "random", "output_dir": str(run_dir), **MICRO, **settings})
    processor = SkeletonProcessor(layout="kinect_v1", **arguments.processor_options)
    model = build_mae(arguments.model, **arguments.model_options, hidden_dropout_prob=dropout)
    return arguments, model, processor, {"train": clips(count), "test": clips(4, seed=1)}


def run(run_dir: Path, compute_loss: Any = mae_loss, **settings: Any) -> dict[str, Any]:
    return pretrain(*make(run_dir, **settings), compute_loss=compute_loss)


def curve(run_dir: Path) -> list[tuple[Any, ...]]:
    """What must repeat: everything in metrics.jsonl but the time."""
    rows = MetricsFile(run_dir / "metrics.jsonl").rows()[1:]
    return [tuple(row[name] for name in ("step", "epoch", "loss", "lr")) for row in rows]


def weights(run_dir: Path) -> bytes:
    return (run_dir / "model.safetensors").read_bytes()


@pytest.mark.parametrize(("precision", "fused"), [("bf16", False), ("no", True)])
def test_attention_is_plain_in_bfloat16_and_as_before_afterwards(
    tmp_path: Path, precision: str, fused: bool, fused_attention: list[torch.dtype]
) -> None:
    made = make(tmp_path / "run", precision=precision, max_steps=2)
    losses: list[bool] = []

    def loss(*arguments: Any) -> Tensor:
        fused_attention.clear()
        found = mae_loss(*arguments)
        losses.append(bool(fused_attention))
        return found

    pretrain(*made, compute_loss=loss)
    assert losses == [fused] * 2 and made[1].config._attn_implementation == "sdpa"


# --- recipe -----------------------------------------------------------------------------------------------------------


def test_the_schedule_is_that_of_transformers_with_the_lr_rule() -> None:
    from transformers import get_cosine_schedule_with_warmup

    arguments = PretrainArguments(data="x", epochs=10, warmup_epochs=2, batch_size=8, gradient_accumulation=2)
    schedule = Schedule.of(arguments, num_clips=200, num_processes=4)
    assert schedule.effective_batch == 8 * 2 * 4
    assert schedule.peak_lr == 1.5e-4 * 64 / 256
    assert (schedule.steps_per_epoch, schedule.total_steps, schedule.warmup_steps) == (3, 30, 6)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=schedule.peak_lr)
    reference = get_cosine_schedule_with_warmup(optimizer, 6, 30)
    for step in range(30):
        assert schedule.lr(step) == pytest.approx(reference.get_last_lr()[0], rel=1e-9, abs=1e-15)
        optimizer.step()
        reference.step()
    shorter = Schedule.of(PretrainArguments(data="x", epochs=10, max_steps=7, batch_size=50), 200, 1)
    assert (shorter.total_steps, shorter.warmup_steps) == (7, 4)  # a tenth of the epochs, if nothing is said
    with pytest.raises(ValueError, match="63 training clips, but one optimizer step takes 64"):
        Schedule.of(arguments, 63, 4)


def test_only_matrices_decay() -> None:
    model = build_mae("config:micro", image_size=64)
    optimizer = build_optimizer(model, PretrainArguments(data="x", weight_decay=0.1))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    decayed, spared = ({names[id(p)] for p in group["params"]} for group in optimizer.param_groups)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0.0]
    assert all(group["betas"] == (0.9, 0.95) for group in optimizer.param_groups)
    tables = {name for name in names.values() if "pos" in name}  # frozen
    matrices = {name for name, module in model.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)}
    assert decayed == {f"{name}.weight" for name in matrices}
    assert spared == set(names.values()) - decayed - tables
    assert {name.rsplit(".", 1)[-1] for name in spared} >= {"cls_token", "mask_token", "bias"}


@pytest.mark.parametrize("norm_pix_loss", [True, False])
def test_the_loss_for_another_target_is_the_models_own_formula(norm_pix_loss: bool) -> None:
    model = build_mae("config:micro", image_size=64, norm_pix_loss=norm_pix_loss)
    images, noise = torch.rand(3, 3, 64, 64), torch.rand(3, 16)
    own = mae_loss(model, images, noise, images)
    assert own.item() == model(images, noise=noise).loss.item()
    assert mae_loss(model, images, noise, images.clone()).item() == pytest.approx(own.item(), rel=1e-6)
    assert abs(mae_loss(model, images, noise, torch.rand(3, 3, 64, 64)).item() - own.item()) > 1e-4


# --- what a step sees -------------------------------------------------------------------------------------------------


def sampler(arguments: PretrainArguments, rows: Any) -> EpochSampler:
    """The order of a run of one process, from its first step."""
    schedule = Schedule.of(arguments, len(rows), 1)
    size, parts = arguments.batch_size, arguments.gradient_accumulation
    steps = range(schedule.total_steps)
    return EpochSampler(
        rows.sample_ids, arguments.seed, schedule.steps_per_epoch, size, parts, lambda: steps, sources=rows.sources
    )


def two_formats(weights: Any = None) -> tuple[Any, list[str]]:
    """Rows of two joint formats: 12 clips of 20 joints (some of two people) and 4 of 25."""
    other = [{**row, "layout": "kinect_v2", "sample_id": f"other{index}",
              "joints": np.repeat(row["joints"], 2, axis=2)[:, :, :25]} for index, row in enumerate(clips(4, seed=2))]  # fmt: skip
    joined, _ = join({"many": {"train": as_rows(clips(12))}, "few": {"train": as_rows(other)}}, weights)
    return joined["train"], joined["train"].sample_ids


@pytest.mark.parametrize("mask", ["random", "body_part"])
def test_images_and_masks_of_a_mixture_are_drawn_by_round(tmp_path: Path, mask: str) -> None:
    """Two joint formats in one batch, and a clip that comes twice in an epoch is hidden differently."""
    seen: list[tuple[Tensor, Tensor]] = []

    def spy(model: nn.Module, images: Tensor, noise: Tensor, targets: Tensor) -> Tensor:
        seen.append((images.clone(), noise.clone()))
        return mae_loss(model, images, noise, targets)

    rows, ids = two_formats("equal")
    still = {"crop": (1.0, 1.0), "yaw": 0.0, "tilt": 0.0}
    arguments, model, processor, _ = make(tmp_path / "run", mask=mask, epochs=2, mask_ratio=0.5, **still)
    pretrain(arguments, model, processor, {"train": rows}, compute_loss=spy)
    of_clip: dict[str, list[Tensor]] = {}
    for batch, (images, noise) in zip(sampler(arguments, rows), seen, strict=True):
        for at, (turn, index) in enumerate(batch):
            row = rows[index]
            image, metadata = encode([row["joints"]], row["layout"], processor.encoding_options)
            torch.testing.assert_close(images[at], image[0], atol=2e-4, rtol=0)
            parts = None
            if mask == "body_part":
                from s2i_hf.processing.resizing import part_columns

                parts = [part_columns(metadata[0].layout, metadata[0].num_people, 64, "joints")]
            drawn = mask_noise(mask, [ids[index]], (4, 4), 0.5, arguments.seed, turn, parts)
            assert torch.equal(noise[at], drawn[0])
            of_clip.setdefault(ids[index], []).append(drawn[0])
    twice = [masks for name, masks in of_clip.items() if name.startswith("other")]
    assert {len(masks) for masks in twice} == {4}
    assert any(not torch.equal(masks[0], masks[1]) for masks in twice)


def test_augmentation_of_a_mixture_is_drawn_by_round(tmp_path: Path) -> None:
    seen: dict[tuple[str, int], Tensor] = {}
    rows, ids = two_formats({"many": 1, "few": 1})
    arguments, model, processor, _ = make(tmp_path / "run", epochs=1, yaw=1.0)
    order = iter(sampler(arguments, rows))

    def spy(model: nn.Module, images: Tensor, noise: Tensor, targets: Tensor) -> Tensor:
        for (turn, index), image in zip(next(order), images, strict=True):
            seen[ids[index], turn] = image.clone()
        return mae_loss(model, images, noise, targets)

    pretrain(arguments, model, processor, {"train": rows}, compute_loss=spy)
    for index in range(4):
        assert not torch.equal(seen[f"other{index}", 0], seen[f"other{index}", 1])


def test_a_run_on_two_formats_leaves_a_folder_that_says_so(tmp_path: Path) -> None:
    rows, _ = two_formats(0.5)
    rows.description = {"held_out": {"ntu60_xsub": 7}}
    arguments, model, _, _ = make(
        tmp_path / "run", data=("many", "few"), mixture=0.5, holdout=("ntu60_xsub",), card=True
    )
    processor = SkeletonProcessor(layout=None, **arguments.processor_options)
    pretrain(arguments, model, processor, {"train": rows})
    data = json.loads((tmp_path / "run" / "data.json").read_text())
    assert data["held_out"] == {"ntu60_xsub": 7} and data["layouts"] == ["kinect_v1", "kinect_v2"]
    assert data["sources"]["few"]["clips"] == 4 and data["sources"]["few"]["share"] == pytest.approx(0.366, abs=1e-3)
    assert parse(PretrainArguments, ["--config", str(tmp_path / "run" / "run.yaml")]) == arguments
    again = SkeletonProcessor.from_pretrained(tmp_path / "run")
    assert again.layout is None and again.encoding_options == processor.encoding_options
    with pytest.raises(ValueError, match="which joints are these"):
        again(rows[0]["joints"])
    assert (
        again([rows[0]["joints"], rows[-1]["joints"]], layout=["kinect_v1", "kinect_v2"])["pixel_values"].shape[0] == 2
    )
    card = (tmp_path / "run" / "README.md").read_text()
    for words in ("many + few", "Held out", "ntu60_xsub", 'layout="kinect_v1"'):
        assert words in card, words


def test_a_mixture_is_resumed_and_may_not_change(tmp_path: Path) -> None:
    rows, _ = two_formats("equal")

    def go(run_dir: Path, **settings: Any) -> Any:
        arguments, model, processor, _ = make(run_dir, data=("many", "few"), mixture="equal", **settings)
        return pretrain(arguments, model, processor, {"train": rows})

    go(tmp_path / "whole")
    go(tmp_path / "part", save_every=2, keep_checkpoints=9)
    middle = str(find_checkpoints(tmp_path / "part")[2])  # inside an epoch
    with pytest.raises(ValueError, match=r"--mixture is 0\.5, but the run in"):
        arguments, model, processor, _ = make(tmp_path / "part", data=("many", "few"), mixture=0.5, resume=middle)
        pretrain(arguments, model, processor, {"train": rows})
    go(tmp_path / "part", save_every=2, resume=middle)
    assert curve(tmp_path / "part") == curve(tmp_path / "whole")
    assert weights(tmp_path / "part") == weights(tmp_path / "whole")


def test_settings_of_several_data_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    read = lambda *words: parse(PretrainArguments, list(words))  # noqa: E731
    one = read("--data", "nw_ucla_xview", "--data_dir", "a=b")
    assert one.data_options == {
        "source": "nw_ucla_xview", "data_dir": "a=b", "mixture": None, "holdout": (), "cache_dir": None,
    }  # fmt: skip
    several = read("--data", "ntu60_xsub,out/pku", "--data_dir", "ntu60_xsub=my NTU", "--mixture", "0.5", "--holdout",
                   "ntu60_xview,pku1_xsub")  # fmt: skip
    assert several.data_options == {
        "source": ["ntu60_xsub", "out/pku"], "data_dir": {"ntu60_xsub": "my NTU"}, "mixture": 0.5,
        "holdout": ("ntu60_xview", "pku1_xsub"), "cache_dir": None,
    }  # fmt: skip
    assert several.output_dir == "runs/mae_ntu60_xsub+pku"
    (tmp_path / "run.yaml").write_text(
        "data: [ntu60_xsub, out/pku]\ndata_dir: [ntu60_xsub=my NTU, out/pku=x]\nmixture: ntu60_xsub=2,out/pku=1\n"
    )
    listed = read("--config", "run.yaml")
    assert listed.data_options["data_dir"] == {"ntu60_xsub": "my NTU", "out/pku": "x"}
    assert listed.data_options["mixture"] == {"ntu60_xsub": 2.0, "out/pku": 1.0}
    assert read("--data", "a", "b", "--mixture", "equal").data_options["mixture"] == "equal"
    (tmp_path / "a,b").mkdir()
    assert read("--data", "a,b").sources == ("a,b",)  # a folder of that name


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--data", "a", "--mixture", "equal"], "--mixture equal needs several data sets"),
        (["--data", "a,b", "--mixture", "often"], "--mixture has 'often'; expected name=value pairs"),
        (["--data", "a,b", "--mixture", "a=much,b=1"], "weight 'much'; expected a number"),
        (["--data", "a,b", "--mixture", "a=1,a=2"], "two values for a"),
        (["--data", "a,b", "--data_dir", "x", "y"], "--data_dir has 2 values"),
        (["--data", "a,b", "--data_dir", "a=x,c=y"], "'c=y'; expected name=value pairs"),
        (["--data", ","], "--data names nothing"),
    ],
)
def test_settings_of_several_data_sets_that_are_wrong(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse(PretrainArguments, words)
    error = capsys.readouterr().err
    assert sentence in error and len(error.strip().splitlines()) == 1


@pytest.mark.parametrize(("target", "mask"), [("joint", "random"), ("motion", "body_part")])
def test_images_targets_and_masks_of_a_step(tmp_path: Path, target: str, mask: str) -> None:
    seen: list[tuple[Tensor, Tensor, Tensor]] = []

    def spy(model: nn.Module, images: Tensor, noise: Tensor, targets: Tensor) -> Tensor:
        seen.append((images.clone(), noise.clone(), targets.clone()))
        assert (targets is images) == (target == "joint")
        return mae_loss(model, images, noise, targets)

    settings = {
        "crop": (1.0, 1.0),
        "yaw": 0.0,
        "tilt": 0.0,
        "target": target,
        "mask": mask,
        "mask_ratio": 0.6,
        "seed": 3,
    }
    arguments, model, processor, data = make(tmp_path / "run", log_sample_ids=True, **settings)
    pretrain(arguments, model, processor, data, compute_loss=spy)
    assert model.config.mask_ratio == 0.6
    rows = {row["sample_id"]: row for row in data["train"]}
    log = MetricsFile(tmp_path / "run" / "sample_ids_rank0.jsonl").rows()
    assert len(log) == len(seen) == 21 and [row["step"] for row in log] == list(range(1, 22))
    for row, (images, noise, targets) in zip(log, seen, strict=True):
        joints = [rows[clip]["joints"] for clip in row["sample_ids"]]
        expected, metadata = encode(joints, "kinect_v1", processor.encoding_options)  # the host path
        torch.testing.assert_close(images, expected, atol=2e-4, rtol=0)
        if target == "motion":
            moved, _ = encode(joints, "kinect_v1", processor.encoding_options, stream="motion")
            torch.testing.assert_close(targets, moved, atol=2e-4, rtol=0)
        parts = None
        if mask == "body_part":
            from s2i_hf.processing.resizing import part_columns

            parts = [part_columns(clip.layout, clip.num_people, 64, "joints") for clip in metadata]
        drawn = mask_noise(mask, row["sample_ids"], (4, 4), 0.6, 3, row["epoch"], parts)
        assert torch.equal(noise, drawn)


def test_a_run_learns_and_leaves_a_folder_that_loads(tmp_path: Path) -> None:
    from transformers import ViTMAEForPreTraining

    run_dir = tmp_path / "run"
    arguments, model, processor, data = make(run_dir, epochs=12, mask_ratio=0.5, save_every=1000)
    tables = {name: p.detach().clone() for name, p in model.named_parameters() if "pos" in name}
    for name, parameter in model.named_parameters():
        if name in tables:
            parameter.requires_grad_(True)  # as from_pretrained of transformers 5 leaves them
    summary = pretrain(arguments, model, processor, data)
    rows = MetricsFile(run_dir / "metrics.jsonl").rows()
    first, steps = rows[0], rows[1:]
    assert first["event"] == "start" and first["num_processes"] == 1 and first["train_clips"] == 28
    assert first["config"]["mask_ratio"] == 0.5 and first["peak_lr"] == 0.05 * 4 / 256
    assert first["parameters"] == summary["parameters"] == sum(p.numel() for p in model.parameters())
    assert [row["step"] for row in steps] == list(range(1, 85)) and steps[-1]["epoch"] == 12
    assert {"step", "epoch", "loss", "lr", "clips_per_second"} == set(steps[0])
    losses = [row["loss"] for row in steps]
    assert np.mean(losses[-10:]) < 0.9 * np.mean(losses[:3])
    assert summary["steps"] == 84 and summary["loss"] == losses[-1]
    loaded = ViTMAEForPreTraining.from_pretrained(run_dir)
    assert loaded.config.mask_ratio == 0.5
    trained = dict(model.named_parameters())
    for name, parameter in loaded.named_parameters():
        assert torch.equal(parameter, trained[name])
        if name in tables:
            assert torch.equal(parameter, tables[name]), f"{name} was trained"
    again = SkeletonProcessor.from_pretrained(run_dir)
    assert again.encoding_options == processor.encoding_options
    assert parse(PretrainArguments, ["--config", str(run_dir / "run.yaml")]) == arguments
    assert json.loads((run_dir / "data.json").read_text())
    names = {path.name for path in run_dir.iterdir() if path.suffix != ".py"}  # beside the code that opens it elsewhere
    assert names == {"checkpoints", "config.json", "data.json", "environment.json", "metrics.jsonl", "model.safetensors",
                     "preprocessor_config.json", "run.yaml", "summary.json"}  # fmt: skip


def test_a_tracker_gets_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    from accelerate import tracking

    told: list[Any] = []

    class Notebook(tracking.GeneralTracker):
        name, requires_logging_directory, main_process_only = "tensorboard", True, True
        tracker = None

        def __init__(self, run_name: str, logging_dir: str, **options: Any) -> None:
            super().__init__()
            told.append((run_name, Path(logging_dir)))

        def start(self) -> None: ...

        def store_init_configuration(self, values: dict[str, Any]) -> None:
            assert all(isinstance(value, (bool, int, float, str)) for value in values.values())

        def log(self, values: dict[str, Any], step: int | None = None, **options: Any) -> None:
            told.append((step, values["loss"], values["lr"]))

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: name == "tensorboard" or find(name, *more))
    monkeypatch.setattr(tracking, "get_available_trackers", lambda: [tracking.LoggerType.TENSORBOARD])
    monkeypatch.setitem(tracking.LOGGER_TYPE_TO_CLASS, "tensorboard", Notebook)
    run_dir = tmp_path / "run"
    run(run_dir, epochs=1, report_to="tensorboard")
    assert told[0] == ("run", run_dir / "trackers")
    assert told[1:] == [(step, loss, lr) for step, _, loss, lr in curve(run_dir)]


def test_bf16_and_clipping_run(tmp_path: Path) -> None:
    assert math.isfinite(run(tmp_path / "run", precision="bf16", grad_clip=0.1, epochs=1)["loss"])
    assert run(tmp_path / "other", epochs=1)["precision"] == "no"  # another precision in the same Python process


# --- stopped and resumed ----------------------------------------------------------------------------------------------


def _child(run_dir: str, settings: dict[str, Any], kill_at: int | None, how: str) -> None:
    """One run in a process of its own, that in its micro-batch number `kill_at` is hit by `how`."""
    torch.set_num_threads(1)
    Path(run_dir).parent.mkdir(exist_ok=True)
    os.dup2(os.open(f"{run_dir}.stderr", os.O_WRONLY | os.O_CREAT), sys.stderr.fileno())
    count = 0

    def compute_loss(model: nn.Module, images: Tensor, noise: Tensor, targets: Tensor) -> Tensor:
        nonlocal count
        count += 1
        if count == kill_at and how in ("SIGKILL", "SIGINT", "SIGTERM"):
            os.kill(os.getpid(), getattr(signal, how))
        return mae_loss(model, images, noise, targets)

    if how == "random state not restored":
        load = pretraining.load_checkpoint

        def forgetful(*arguments: Any) -> None:
            load(*arguments)
            torch.manual_seed(12345)

        pretraining.load_checkpoint = forgetful
    elif how == "killed while saving":
        write = checkpoints.write_json

        def deadly(path: Path, value: Any) -> None:
            if path.name == "progress.json" and value["step"] >= 6:
                os.kill(os.getpid(), signal.SIGKILL)
            write(path, value)

        checkpoints.write_json = deadly
    run_main(lambda: run(Path(run_dir), compute_loss, **{**KILLABLE, "dropout": 0.1, **settings}))


@pytest.fixture(scope="module")
def launch() -> Launch:
    return launcher(
        _child,
        [
            "s2i_hf.training.pretraining",
            "s2i_hf.data.loading",
            "s2i_hf.processing.image_processing_skeleton",
            "accelerate",
            "transformers.models.vit_mae.modeling_vit_mae",
        ],
    )


@pytest.fixture(scope="module")
def undisturbed(launch: Launch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = tmp_path_factory.mktemp("undisturbed") / "run"
    assert launch(run_dir) == 0
    assert len(curve(run_dir)) == 5  # 3 epochs of 3 steps, a row every two steps and at the end
    return run_dir


def test_killed_at_random_and_resumed_is_undisturbed(launch: Launch, undisturbed: Path, tmp_path: Path) -> None:
    """Several kills of one run, in any micro-batch: before the first checkpoint, mid-epoch and mid-accumulation."""
    dice = random.Random()
    for attempt in range(4):
        run_dir, kills = tmp_path / str(attempt), []
        while True:  # resume until it gets through; the first attempt resumes a run without any checkpoint as well
            kill_at = dice.randint(2, 5) if attempt == 0 and not kills else dice.randint(7, 17)
            loader = {"num_workers": 2 if attempt == 1 else 0, "save_every": dice.choice([2, 3])}
            code = launch(run_dir, kill_at, resume="auto" if kills else "none", **loader)
            if code == 0:
                break
            assert code == -signal.SIGKILL
            kills.append(kill_at)
            assert len(kills) < 20
        assert kills
        assert curve(run_dir) == curve(undisturbed), f"killed in micro-batches {kills}"
        assert weights(run_dir) == weights(undisturbed), f"killed in micro-batches {kills}"


def test_without_the_random_state_a_resumed_run_differs(launch: Launch, undisturbed: Path, tmp_path: Path) -> None:
    """The mutation that shows that the test above can fail."""
    assert launch(tmp_path / "run", 10) == -signal.SIGKILL
    assert launch(tmp_path / "run", None, "random state not restored", resume="auto") == 0
    assert curve(tmp_path / "run")[-1] != curve(undisturbed)[-1]
    assert weights(tmp_path / "run") != weights(undisturbed)


def test_killed_while_writing_a_checkpoint(launch: Launch, undisturbed: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    assert launch(run_dir, None, "killed while saving") == -signal.SIGKILL
    assert [path.name for path in find_checkpoints(run_dir)] == ["step_00000003"]
    assert list(run_dir.glob("checkpoints/.*.partial"))
    assert launch(run_dir, resume="auto") == 0
    assert curve(run_dir) == curve(undisturbed) and weights(run_dir) == weights(undisturbed)
    assert not list(run_dir.glob("checkpoints/.*.partial"))


@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM"])
def test_asked_to_stop_it_saves_and_says_how_to_go_on(
    launch: Launch, undisturbed: Path, tmp_path: Path, how: str
) -> None:
    run_dir = tmp_path / "run"
    workers = 1 if how == "SIGINT" else 0
    assert launch(run_dir, 9, how, num_workers=workers) == 130  # the first part of step 5, which is carried to its end
    err = (tmp_path / "run.stderr").read_text()
    assert (
        "Stopped after step 5 of 9" in err and "step_00000005" in err and "--resume" in err and "Traceback" not in err
    )
    assert [path.name for path in find_checkpoints(run_dir)] == ["step_00000003", "step_00000005"]
    assert launch(run_dir, resume="auto") == 0
    assert curve(run_dir) == curve(undisturbed) and weights(run_dir) == weights(undisturbed)


def test_resume_from_an_older_checkpoint_and_rotation(launch: Launch, undisturbed: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    assert launch(run_dir, 16, save_every=1, keep_checkpoints=3) == -signal.SIGKILL
    assert [path.name[-1] for path in find_checkpoints(run_dir)] == ["5", "6", "7"]
    older = str(run_dir / "checkpoints" / "step_00000006")
    assert launch(run_dir, 1, resume=older) == -signal.SIGKILL
    assert [path.name[-1] for path in find_checkpoints(run_dir)] == ["5", "6"]  # the future is void
    assert launch(run_dir, resume=older, keep_checkpoints=1) == 0
    assert [path.name[-1] for path in find_checkpoints(run_dir)] == ["9"]
    assert curve(run_dir) == curve(undisturbed) and weights(run_dir) == weights(undisturbed)


@pytest.fixture
def stopped(undisturbed: Path, tmp_path: Path) -> Path:
    """A copy of a run that was killed after its first checkpoint."""
    run_dir = tmp_path / "stopped"
    shutil.copytree(undisturbed, run_dir)
    for name in ("summary.json", "model.safetensors", "config.json"):
        (run_dir / name).unlink()
    shutil.rmtree(run_dir / "checkpoints" / "step_00000009")
    return run_dir


def _resume(run_dir: Path, **settings: Any) -> dict[str, Any]:
    return run(run_dir, **{**KILLABLE, "dropout": 0.1, "resume": "auto", **settings})


def test_states_are_loaded_without_pickles(stopped: Path, undisturbed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    load = torch.load

    def watched(*arguments: Any, **options: Any) -> Any:
        calls.append(options.get("weights_only"))
        return load(*arguments, **options)

    monkeypatch.setattr(torch, "load", watched)
    _resume(stopped)
    assert len(calls) >= 2 and all(calls)
    assert curve(stopped) == curve(undisturbed)


def test_killed_after_the_last_step(undisturbed: Path, stopped: Path) -> None:
    """The last checkpoint is there, the model and the summary are not: resuming only writes them."""
    shutil.copytree(undisturbed / "checkpoints" / "step_00000009", stopped / "checkpoints" / "step_00000009")
    _resume(stopped)
    assert curve(stopped) == curve(undisturbed) and weights(stopped) == weights(undisturbed)


def test_what_cannot_be_resumed_says_why(stopped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path: path.read_bytes() for path in stopped.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match=r"--base_lr is 0.1, but the run in .* was started with 0.05"):
        _resume(stopped, base_lr=0.1)
    with pytest.raises(ValueError, match="training clips are not those"):
        _resume(stopped, count=24)
    with pytest.raises(FileNotFoundError, match=r"step_00000004 is no checkpoint .*there: step_00000006"):
        _resume(stopped, resume=str(stopped / "checkpoints" / "step_00000004"))
    with pytest.raises(FileNotFoundError, match="is no checkpoint"):
        _resume(stopped.parent / "nothing", resume="step_00000006")
    monkeypatch.setattr(torch, "set_rng_state", lambda state: None)
    with pytest.raises(ValueError, match=r"random states .* were not restored"):
        _resume(stopped)
    monkeypatch.undo()
    assert {path: path.read_bytes() for path in stopped.rglob("*") if path.is_file()} == before
    checkpoint = find_checkpoints(stopped)[-1]
    progress = (checkpoint / "progress.json").read_text()
    (checkpoint / "progress.json").write_text(progress.replace('"num_processes": 1', '"num_processes": 2'))
    with pytest.raises(ValueError, match="written by 2 processes, this run has 1"):
        _resume(stopped)
    (checkpoint / "progress.json").write_text(progress)
    (checkpoint / "optimizer.bin").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="step_00000006 cannot be loaded"):
        _resume(stopped)


def test_a_folder_in_use_is_refused(undisturbed: Path, stopped: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="finished run; pass --overwrite"):
        run(undisturbed)
    with pytest.raises(ValueError, match="is finished, there is nothing to resume"):
        run(undisturbed, resume="auto")
    with pytest.raises(ValueError, match="unfinished run; pass --resume"):
        run(stopped)
    with pytest.raises(ValueError, match="exclude each other"):
        run(stopped, resume="auto", overwrite=True)
    foreign = tmp_path / "model"
    foreign.mkdir()
    (foreign / "config.json").write_text("{}")
    for overwrite in (False, True):
        with pytest.raises(ValueError, match=r"holds config.json, which no training wrote"):
            run(foreign, overwrite=overwrite)
    with pytest.raises(ValueError, match="is a file"):
        run(foreign / "config.json")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("")
    with pytest.raises(
        ValueError, match=r"mine holds thesis.tex, which no training wrote; choose another --output_dir"
    ):
        run(tmp_path / "mine", overwrite=True)
    notes = stopped / "notes.txt"
    notes.write_text("mine")
    (stopped / "results.json").write_text("[]")
    run(stopped, overwrite=True, epochs=1)
    assert notes.read_text() == "mine" and not (stopped / "results.json").exists()
    assert [row["step"] for row in MetricsFile(stopped / "metrics.jsonl").rows()[1:]] == list(range(1, 8))


# --- what goes wrong --------------------------------------------------------------------------------------------------


def test_a_loss_that_is_not_finite_names_its_step(tmp_path: Path) -> None:
    count = 0

    def diverges(model: nn.Module, images: Tensor, noise: Tensor, targets: Tensor) -> Tensor:
        nonlocal count
        count += 1
        return mae_loss(model, images, noise, targets) * (math.nan if count == 5 else 1.0)

    with pytest.raises(ValueError, match=r"became nan at step 5 \(epoch 0\); try a lower --base_lr"):
        run(tmp_path / "run", diverges, log_every=4, save_every=100)
    assert find_checkpoints(tmp_path / "run") == []  # nothing poisoned is saved


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"mask_ratio": 0.99}, "leaves 0 of 16 patches visible"),
        ({"precision": "fp16"}, "fp16 needs a GPU"),
        ({"report_to": "wandb"}, "--report_to wandb needs"),
    ],
)
def test_settings_that_cannot_run(tmp_path: Path, settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises((ValueError, ImportError), match=sentence):
        run(tmp_path / "run", **settings)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "settings",
    [{"epochs": 0}, {"base_lr": -1.0}, {"warmup_epochs": 9.0, "epochs": 9}, {"crop": (0.9, 0.5)}, {"save_every": 0}],
)
def test_settings_out_of_range(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        PretrainArguments(data="x", **settings)


def test_a_model_of_another_image_size_is_refused(tmp_path: Path) -> None:
    arguments, model, _, data = make(tmp_path / "run")
    with pytest.raises(ValueError, match="makes 32 x 32 images, but the model takes 64 x 64"):
        pretrain(arguments, model, SkeletonProcessor(size=32), data)


def test_processes_that_do_not_know_of_each_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    accelerator = start(make(tmp_path / "run")[0])
    processes.check_processes(accelerator)
    monkeypatch.setenv("WORLD_SIZE", "2")  # as `accelerate launch --multi_gpu` does on a machine without GPUs
    with pytest.raises(ValueError, match=r"started 2 processes, but accelerate sees 1.*ACCELERATE_USE_CPU=true"):
        processes.check_processes(accelerator)
    monkeypatch.delenv("WORLD_SIZE")
    monkeypatch.setenv("ACCELERATE_USE_CPU", "True")  # as `accelerate launch --cpu --num_processes 2` does
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    with pytest.raises(ValueError, match="asked for several processes and started one"):
        processes.check_processes(accelerator)


def test_a_missing_matplotlib_costs_only_the_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from s2i_hf.visualization import figures, reconstruction

    def missing(*arguments: Any, **options: Any) -> None:
        raise figures.MissingExtra("Pictures need matplotlib; install it with: pip install 's2i-hf[viz]'")

    monkeypatch.setattr(reconstruction, "reconstruction_picture", missing)
    run(tmp_path / "run", epochs=1, card=True)
    assert "No reconstruction.png: Pictures need matplotlib" in capsys.readouterr().out
    assert (tmp_path / "run" / "README.md").is_file()


def test_without_test_clips_the_picture_is_of_training_clips_and_a_card_that_lacks_is_written_by_resuming(
    tmp_path: Path,
) -> None:
    arguments, model, processor, data = make(tmp_path / "run", card=True)
    for row in data["train"]:
        row.update(label=-1, subject=-1)
    pretrain(arguments, model, processor, {"train": data["train"], "test": as_rows(data["test"]).select([])})
    picture, card = tmp_path / "run" / "reconstruction.json", tmp_path / "run" / "README.md"
    assert json.loads(picture.read_text())["split"] == "train" and "28 training clips are off by" in card.read_text()
    with pytest.raises(ValueError, match="is finished, there is nothing to resume"):
        start(PretrainArguments(**{**vars(arguments), "resume": "auto"}))
    before = weights(tmp_path / "run")
    card.unlink()  # as a run that ended before its card did
    again, fresh, processor, _ = make(tmp_path / "run", card=True, resume="auto")
    pretrain(again, fresh, processor, {"train": data["train"]}, accelerator=start(again))
    assert "28 training clips are off by" in card.read_text() and weights(tmp_path / "run") == before
