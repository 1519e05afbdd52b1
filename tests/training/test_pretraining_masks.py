"""Mixtures of masks and ranges of ratios in the pretraining loop: what a step hides, resuming, what is written down."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from s2i_hf.data.sampler import EpochSampler
from s2i_hf.models.building import build_diffmae, build_mae
from s2i_hf.processing.image_processing_skeleton import SkeletonProcessor
from s2i_hf.processing.layouts import get_layout
from s2i_hf.processing.masking import drawn_strategies, mask_noise, ratio_of_step
from s2i_hf.processing.resizing import part_columns
from s2i_hf.training.pretrain_arguments import DiffMAEArguments, PretrainArguments
from s2i_hf.training.pretraining import diffmae_loss, mae_loss, pretrain
from s2i_hf.utils.arguments import parse

MICRO = {"model": "config:micro", "size": 64, "epochs": 3, "batch_size": 4, "base_lr": 0.05, "warmup_epochs": 0.5,
         "log_every": 1, "save_every": 2, "card": False, "num_workers": 0}  # fmt: skip
MIXTURE, RANGE = "random=0.5,body_part=0.3,temporal=0.2", (0.4, 0.8)
Seen = list[tuple[Tensor, float, Tensor]]  # noise, ratio of the config, mask of the model: of each micro-batch


def clips(count: int) -> list[dict[str, Any]]:
    generator = np.random.default_rng(0)
    return [
        {"joints": generator.normal(0, 0.4, (8 + index, 1, 20, 3)).astype(np.float32), "layout": "kinect_v1",
         "label": index % 3, "sample_id": f"clip{index:02}"}
        for index in range(count)
    ]  # fmt: skip


def run(
    run_dir: Path, seen: Seen, stop_at: int | None = None, diffmae: bool = False, **settings: Any
) -> dict[str, Any]:
    """Pretrain; `stop_at` breaks off in that micro-batch, as a crash would."""
    kind, build, loss = (
        (DiffMAEArguments, build_diffmae, diffmae_loss) if diffmae else (PretrainArguments, build_mae, mae_loss)
    )
    given = {"data": "random", "output_dir": str(run_dir), **MICRO, "mask": MIXTURE, "mask_ratio": RANGE, **settings}
    arguments = kind(**given)
    processor = SkeletonProcessor(layout="kinect_v1", **arguments.processor_options)
    model = build(arguments.model, **arguments.model_options)

    def spy(model: nn.Module, images: Tensor, noise: Tensor, targets: Tensor) -> Tensor:
        if stop_at is not None and len(seen) == stop_at:
            raise ZeroDivisionError
        with torch.no_grad():
            seen.append((noise.clone(), model.config.mask_ratio, model(images, noise=noise).mask.clone()))
        return loss(model, images, noise, targets)

    return pretrain(arguments, model, processor, {"train": clips(20), "test": clips(3)}, compute_loss=spy)


def curve(run_dir: Path) -> list[tuple[Any, ...]]:
    rows = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    return [(row["step"], row["loss"]) for row in rows if "loss" in row]


@pytest.mark.parametrize("diffmae", [False, True])
def test_every_step_hides_its_own_share_and_every_clip_its_own_kind(tmp_path: Path, diffmae: bool) -> None:
    seen: Seen = []
    run(tmp_path / "run", seen, diffmae=diffmae, seed=5)
    ids = [row["sample_id"] for row in clips(20)]
    order = EpochSampler(ids, 5, 5, 4, 1, lambda: range(15))
    columns, kinds = part_columns(get_layout("kinect_v1"), 1, 64, "joints"), set()
    assert len(seen) == 15
    for step, (batch, (noise, ratio, mask)) in enumerate(zip(order, seen, strict=True)):
        assert ratio == ratio_of_step(RANGE, 5, step)
        hidden = 16 - int(16 * (1 - ratio))
        assert mask.sum(dim=1).tolist() == [hidden] * 4
        names, epoch = [ids[index] for _, index in batch], batch[0][0]
        assert torch.equal(noise, mask_noise(MIXTURE, names, (4, 4), RANGE, 5, epoch, [columns] * 4))
        kinds |= {tuple(drawn_strategies(MIXTURE, names, 5, epoch))}
    assert len({ratio for _, ratio, _ in seen}) == 15 and any(len(set(batch)) > 1 for batch in kinds)


def test_micro_batches_of_a_step_share_its_ratio(tmp_path: Path) -> None:
    whole: Seen = []
    halves: Seen = []
    run(tmp_path / "whole", whole)
    run(tmp_path / "halves", halves, batch_size=2, gradient_accumulation=2)
    assert [ratio for _, ratio, _ in halves] == [ratio for _, ratio, _ in whole for _ in range(2)]
    for step, (noise, _, _) in enumerate(whole):
        assert torch.equal(torch.cat([halves[2 * step][0], halves[2 * step + 1][0]]), noise)
    for (_, one), (_, two) in zip(curve(tmp_path / "whole"), curve(tmp_path / "halves"), strict=True):
        assert one == pytest.approx(two, rel=1e-4)


@pytest.mark.parametrize("diffmae", [False, True])
def test_a_broken_run_goes_on_bit_for_bit(tmp_path: Path, diffmae: bool) -> None:
    run(tmp_path / "undisturbed", [], diffmae=diffmae)
    with pytest.raises(ZeroDivisionError):
        run(tmp_path / "run", [], stop_at=9, diffmae=diffmae)
    run(tmp_path / "run", [], diffmae=diffmae, resume="auto")
    assert curve(tmp_path / "run") == curve(tmp_path / "undisturbed")
    for name in ("model.safetensors", "config.json"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "undisturbed" / name).read_bytes()


def test_a_run_may_not_go_on_with_another_range(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        run(tmp_path / "run", [], stop_at=9)
    with pytest.raises(ValueError, match=r"--mask_ratio is .* was started with"):
        run(tmp_path / "run", [], resume="auto", mask_ratio=(0.4, 0.7))
    with pytest.raises(ValueError, match="--mask is random, but"):
        run(tmp_path / "run", [], resume="auto", mask="random")


def test_the_folder_says_what_was_hidden(tmp_path: Path) -> None:
    run(tmp_path / "run", [], card=True, epochs=1)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["mask_ratio"] == pytest.approx(0.6)  # what a user of the model gets: the middle
    again = parse(PretrainArguments, ["--config", str(tmp_path / "run" / "run.yaml")])
    assert again.mask == MIXTURE and again.mask_ratio == RANGE
    card = (tmp_path / "run" / "README.md").read_text()
    said = "A mixture of random (50 %), body_part (30 %) and temporal (20 %) masks, 40% to 80% (drawn for each optimizer step)"
    assert said in card and "random=0.5" not in card.split("```bash")[0]


def test_flags_and_files(tmp_path: Path) -> None:
    assert parse(PretrainArguments, ["--data", "x", "--mask_ratio", "0.6", "0.9"]).mask_ratio == (0.6, 0.9)
    assert parse(PretrainArguments, ["--data", "x", "--mask_ratio", "0.6,0.9"]).mask_ratio == (0.6, 0.9)
    assert parse(PretrainArguments, ["--data", "x", "--mask_ratio=0.6"]).mask_ratio == 0.6
    path = tmp_path / "a.yaml"
    path.write_text("data: x\nmask: random=0.5,joint=0.5\nmask_ratio: [0.6, 0.9]\n")
    found = parse(PretrainArguments, ["--config", str(path)])
    assert (found.mask, found.mask_ratio) == ("random=0.5,joint=0.5", (0.6, 0.9))
    assert found.model_options["mask_ratio"] == 0.75


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--mask", "bodypart"], "did you mean 'body_part'"),
        (["--mask", "random=0,joint=0"], "all zero"),
        (["--mask_ratio", "0.9", "0.6"], "lower number first"),
        (["--mask_ratio", "1.0"], "--mask_ratio is 1; expected shares above 0 and below 1"),
        (["--mask_ratio", "0", "0.5"], "--mask_ratio is 0 0.5; expected"),
        (["--mask_ratio", "0.1", "0.2", "0.3"], "expected a number or 2 values"),
        (["--joint_order", "sensors"], "did you mean 'sensor'"),
    ],
)
def test_flags_that_cannot_be(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(PretrainArguments, ["--data", "x", *words])
    error = capsys.readouterr().err
    assert says.lower() in error.lower() and len(error.strip().splitlines()) == 1
