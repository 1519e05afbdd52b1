"""benchmarks/grids.py: every grid spends the same, test clips choose nothing, and a killed run goes on."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import refused

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import grids as program
from accuracy_plan import DataSet
from grids import GRIDS, GridArguments, GridMaker, collect, cost_of, make_plan, table_text

from s2i_hf.runs.results import append_results, result_row


@pytest.fixture
def plan_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Arguments -> plan and maker, with a data set that is not read."""
    one = DataSet("nw_ucla_xview", tmp_path / "data", True, 1020, 464)
    monkeypatch.setattr(program, "find_sets", lambda data, names: ({one.name: one}, []))

    def plan(**changes: Any) -> tuple[list[Any], GridMaker]:
        return make_plan(GridArguments(str(tmp_path), str(tmp_path / "runs"), model="config:micro", **changes))

    return plan


def flops_by_hand(grid: Any) -> float:
    """Forward of config:micro on every patch: projection, then attention and MLP of two layers of width 64."""
    tokens, width = grid.tokens + 1, 64
    projection = 2 * grid.tokens * 3 * grid.patch**2 * width
    layer = 2 * tokens * width * (4 * width + 2 * 256) + 2 * 2 * tokens**2 * width
    return projection + 2 * layer


@pytest.mark.parametrize("grid", GRIDS, ids=lambda grid: grid.name)
def test_a_step_costs_what_it_costs_by_hand(grid: Any) -> None:
    assert cost_of("config:micro", grid).finetuning == pytest.approx(3 * flops_by_hand(grid), rel=1e-6)
    assert cost_of("config:micro", grid).pretraining < 3 * flops_by_hand(
        grid
    )  # a quarter of the patches, and a small decoder


def test_every_grid_spends_the_same(plan_of: Any) -> None:
    plan, maker = plan_of(budget=0.5)
    assert maker.budget.pretraining == pytest.approx(0.5e12)
    for stage in plan:
        if stage.kind in ("pretrain_mae", "finetune"):
            cost = maker.costs[stage.arm]
            spent = stage.clips * (cost.finetuning if stage.kind == "finetune" else cost.pretraining)
            wanted = maker.budget.finetuning if stage.kind == "finetune" else maker.budget.pretraining
            step = 32 * (cost.finetuning if stage.kind == "finetune" else cost.pretraining)
            assert abs(spent - wanted) <= 0.51 * step, stage.name
            flags = stage.flags
            assert flags["max_steps"] * flags["batch_size"] == stage.clips
            clips = 255 if stage.name.startswith("people") else 1020
            per_epoch = clips // flags["batch_size"]
            assert (flags["epochs"] - 1) * per_epoch < flags["max_steps"] <= flags["epochs"] * per_epoch
    sizes = {
        stage.arm: (stage.flags["size"], stage.flags["patch_size"]) for stage in plan if stage.kind == "pretrain_mae"
    }
    assert sizes["224x112p16"] == ((224, 112), 16) and sizes["112x112p8"] == (112, 8)
    alike = [{key: value for key, value in stage.flags.items() if key not in ("size", "patch_size", "max_steps", "epochs", "output_dir")}
             for stage in plan if stage.kind == "pretrain_mae"]  # fmt: skip
    assert all(one == alike[0] for one in alike)


def test_what_chooses_reads_no_test_clip(plan_of: Any) -> None:
    plan, _ = plan_of()
    stages = {stage.name: stage for stage in plan}
    held = [stage for stage in plan if stage.word == "validation"]
    assert len(held) == 2 * len(GRIDS)
    for stage in held:
        assert stage.flags["data"].endswith("people_nw_ucla_xview") and "data_dir" not in stage.flags
        test = stages[stage.name.removeprefix("people_")]
        assert set(stage.needs) == {*test.needs, "people_nw_ucla_xview"}
        different = {key for key in stage.flags if stage.flags[key] != test.flags.get(key)}
        assert different <= {"data", "output_dir", "epochs"}
        assert stage.flags["output_dir"].endswith(stage.name)
    for stage in plan:
        assert set(stage.needs) <= set(stages)


def test_the_table_says_what_was_measured(plan_of: Any, tmp_path: Path) -> None:
    plan, maker = plan_of(grids=("112x112p16", "160x64p8"), seeds=(0, 1))
    facts = {
        "dataset": "nw_ucla",
        "protocol": "xview",
        "metric": "top1",
        "train_clips": 9,
        "test_clips": 9,
        "method": "x",
    }
    for stage in plan:
        if stage.setting:
            better = stage.arm == "160x64p8"
            value = (0.6 if stage.word == "validation" else 0.8) + 0.1 * better + 0.02 * stage.seed
            row = result_row(
                **facts, setting=stage.setting, encoder="pretrained", seed=stage.seed, value=value, seconds=1.0
            )
            append_results(tmp_path / "runs" / stage.name, [row], None)
            (tmp_path / "runs" / stage.name / "summary.json").write_text("{}")
    text = table_text(maker, ["nw_ucla_xview"], collect(plan, tmp_path / "runs"))
    line = next(line for line in text.splitlines() if line.startswith("| 160 x 64"))
    assert line.endswith("| 71.0 ± 1.0 | 71.0 ± 1.0 | 91.0 ± 1.0 | 91.0 ± 1.0 |")
    assert re.match(r"\| 160 x 64 \| 8 \| 160 \| ", line)
    assert "Best on held-out people, mean of probe and fine-tuning: 160x64p8." in text
    some = [replace(stage) for stage in plan if stage.arm != "160x64p8"]
    assert "Best on" not in table_text(maker, ["nw_ucla_xview"], collect(some, tmp_path / "runs"))


def test_what_is_no_grid_is_refused() -> None:
    with refused(ValueError, match="--grids has '100x100p16'; expected some of 112x112p16"):
        GridArguments("data", grids=("100x100p16",))
    with refused(ValueError, match="--budget is 0 TFLOPs"):
        GridArguments("data", budget=0.0)
