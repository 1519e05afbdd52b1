"""benchmarks/vision_weights.py: every start gets the same, nothing is chosen on test clips, and the table says what was measured."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from conftest import one_sentence

from s2i_hf.runs.results import result_row

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import accuracy_plan
from accuracy_plan import DataSet
from vision_weights import (
    OPEN_CLIPS,
    OPEN_SETS,
    PRETRAININGS,
    STARTS,
    VisionArguments,
    collect,
    effect,
    make_plan,
    table_text,
    with_error,
)

SETS = {
    name: DataSet(name, Path("data") / name, True, train, test)
    for name, train, test in zip(OPEN_SETS, (1020, 431, 290, 500), (464, 430, 275, 500), strict=True)
}
ARMS = [f"{start}+{pretraining}" for start in STARTS for pretraining in PRETRAININGS]


@pytest.fixture
def arguments(tmp_path: Path) -> VisionArguments:
    return VisionArguments("images.parquet", "data", str(tmp_path), stages=("A", "repeat", "B", "parts"))


def test_every_start_gets_the_same_budget_and_the_same_settings(arguments: VisionArguments) -> None:
    plan = make_plan(arguments, SETS)
    own = ("model", "size", "output_dir", "method", "encoder", "encoders", "kind")
    for kind in ("pretrain_mae", "finetune", "probe", "photographs"):
        groups: dict[tuple[object, ...], set[str]] = {}
        for stage in plan:
            if stage.kind == kind and "." not in stage.name.partition("_0.")[0] and not stage.name.startswith("tune_"):
                flags = {name: value for name, value in stage.flags.items() if name not in own}
                key = (stage.word, stage.set, stage.seed, str(sorted(flags.items())), stage.clips, tuple(stage.choices))
                groups.setdefault(key, set()).add(stage.arm if kind != "pretrain_mae" else stage.name.split("_")[1])
        assert groups
        for arms in groups.values():
            assert len(arms) == {"photographs": 3, "pretrain_mae": len(STARTS)}.get(kind, len(ARMS)), arms
    vision = [stage for stage in plan if stage.kind == "photographs"]
    assert {stage.arm for stage in vision} == {"noise", "scrambled", "photographs"}
    assert len({stage.clips for stage in vision}) == 1
    seen = [stage.clips for stage in plan if stage.name == "pretrain_photographs_seed0"]
    assert abs(seen[0] - OPEN_CLIPS) < 0.05 * OPEN_CLIPS


def test_nothing_is_chosen_on_test_clips(arguments: VisionArguments) -> None:
    stages = {stage.name: stage for stage in make_plan(arguments, SETS)}
    chosen = [stage for stage in stages.values() if stage.choices]
    assert chosen
    for stage in chosen:
        for _, tried in stage.choices.values():
            for name in tried:
                folder = Path(str(stages[name].flags["data"])).name
                assert folder.startswith(("people_", "subset_")), f"{name} reads {folder}"
                assert stages[folder].flags["what"] == "subset"
    for stage in stages.values():
        if Path(str(stage.flags.get("data", ""))).name.startswith(("people_", "subset_")):
            assert not stage.setting, f"{stage.name} would stand in a table of test numbers"
        if stage.kind == "pretrain_mae":
            assert set(stage.flags["holdout"]) == set(OPEN_SETS)  # no test clip of any


def test_what_a_stage_needs_is_in_the_plan_and_what_it_reads_is_needed(arguments: VisionArguments) -> None:
    plan = make_plan(arguments, SETS)
    names = {stage.name for stage in plan}
    for stage in plan:
        assert set(stage.needs) <= names
        for flag in ("model", "data"):
            folder = Path(str(stage.flags.get(flag, "")))
            if folder.parent == Path(arguments.runs):
                assert folder.name in stage.needs, f"{stage.name} reads {folder.name}"
        assert not set(stage.name) & set(':=?*"<>|/')  # a folder on any system
    for arm in ARMS:
        for seed in range(3):
            for name in ("nw_ucla_xview", "utd_mhad_xsub"):
                assert f"probe_{arm}_{name}_seed{seed}" in names
                for draw in range(3):
                    assert f"labels10_{arm}_{name}_seed{3 * seed + draw}" in names
        assert f"labels10_{arm}_nw_ucla_xview_seed17" in names


def test_another_seed_is_another_pretraining(arguments: VisionArguments) -> None:
    stages = {stage.name: stage for stage in make_plan(arguments, SETS)}
    for seed in range(6):
        assert stages[f"pretrain_photographs_seed{seed}"].flags["seed"] == seed
        for draw in range(3):
            stage = stages[f"labels10_photographs+open_nw_ucla_xview_seed{3 * seed + draw}"]
            assert Path(str(stage.flags["model"])).name == f"pretrain_photographs_seed{seed}"
            assert stage.flags["label_seed"] == stage.flags["seed"] == 3 * seed + draw


def test_a_missing_set_is_named(arguments: VisionArguments) -> None:
    with pytest.raises(ValueError) as error:
        make_plan(arguments, {"nw_ucla_xview": SETS["nw_ucla_xview"]})
    assert one_sentence(error.value) and "msr_action3d_xsub" in str(error.value)


def test_the_table_has_means_standard_errors_and_paired_effects(arguments: VisionArguments) -> None:
    plan, runs = make_plan(arguments, SETS), Path(arguments.runs)
    numbers = {"new+open": (0.60, 0.62, 0.64), "photographs+open": (0.70, 0.74, 0.72)}
    for stage in plan:
        if stage.word == "labels10" and stage.set == "nw_ucla_xview" and stage.arm in numbers and stage.seed < 9:
            value = numbers[stage.arm][stage.seed // 3] + 0.01 * (
                stage.seed % 3 - 1
            )  # the mean of the draws is the number
            folder = runs / stage.name
            folder.mkdir(parents=True)
            row = result_row(dataset="nw_ucla", protocol="xview", setting="semi_10", encoder="pretrained", method=stage.arm, metric="top1",
                           value=value, train_clips=102, test_clips=464, seed=stage.seed, seconds=1)  # fmt: skip
            (folder / "results.json").write_text(json.dumps([row]))
            (folder / "summary.json").write_text("{}")
    values = collect(plan, runs)
    assert values["semi_10", "nw_ucla_xview", "new+open"] == pytest.approx({0: 0.60, 1: 0.62, 2: 0.64})
    found = effect(values, "semi_10", "nw_ucla_xview", "photographs+open", "new+open", (0, 1, 2))
    assert found == pytest.approx([0.10, 0.12, 0.08])
    lines = table_text(values).splitlines()
    assert "| new | open | 62.0 ± 1.2 |" in lines  # stdev 0.02 / sqrt(3)
    assert "| photographs | open | 72.0 ± 1.2 |" in lines
    assert "| photographs - new | open | 10.0 ± 1.2 |" in lines
    assert not any("noise" in line or "utd_mhad" in line for line in lines)  # nothing was measured there


def test_one_number_has_no_error() -> None:
    assert with_error([0.5]) == "50.0"


def test_budgets_are_those_of_the_accuracy_benchmark(arguments: VisionArguments) -> None:
    stages = [stage for stage in make_plan(arguments, SETS) if stage.word == "labels10"]
    assert {stage.clips for stage in stages} <= set(range(2300, 2500))
    assert accuracy_plan.PRESETS["cpu"].labels_clips == 2400
