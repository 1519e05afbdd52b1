"""benchmarks/accuracy.py: what is planned, how long it takes, the folders that stages start from, and the table that is made of them."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import one_sentence, refused

from s2i_hf.cli import COMMANDS
from s2i_hf.data.loading import as_rows, load_skeletons
from s2i_hf.data.storage import FolderWriter
from s2i_hf.evaluation.probing import ProbeArguments, load_model_and_processor
from s2i_hf.processing.skeleton_sequence import SkeletonSequence
from s2i_hf.protocols import PROTOCOLS
from s2i_hf.runs.results import append_results, result_row
from s2i_hf.training.finetune_arguments import FinetuneArguments
from s2i_hf.training.pretrain_arguments import DiffMAEArguments, PretrainArguments
from s2i_hf.utils.arguments import parse

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.append(str(BENCHMARKS))  # where `python benchmarks/accuracy.py` finds its modules

from accuracy import AccuracyArguments, accuracy, planned  # noqa: E402
from accuracy_cost import RATES, measured_rates, wall_seconds  # noqa: E402
from accuracy_plan import PRESETS, STAGES, DataSet, Stage, find_sets  # noqa: E402
from accuracy_prepare import PrepareArguments, prepare_folder  # noqa: E402
from accuracy_running import words_of  # noqa: E402
from accuracy_stages import make_plan  # noqa: E402
from accuracy_table import arm_lines, collect, line_of, shown, table_text  # noqa: E402
from peers.arguments import PeerArguments  # noqa: E402

TWO = [
    DataSet("nw_ucla_xview", Path("NW-UCLA"), False, 1020, 464),
    DataSet("utd_mhad_xsub", Path("UTD-MHAD"), False, 431, 430),
]
PROGRAMS = {
    "pretrain_mae": PretrainArguments, "pretrain_diffmae": DiffMAEArguments, "probe": ProbeArguments, "finetune": FinetuneArguments,
    "peer": PeerArguments, "peer_ctrgcn": PeerArguments, "accuracy_prepare": PrepareArguments,
}  # fmt: skip


def plan_of(*stages, sets=TWO, all_sets=TWO, preset="cpu", **options):
    return make_plan(PRESETS[preset], sets, all_sets, Path("runs"), stages=stages or STAGES, **options)


def write_rows(folder, setting, value, seed=0, dataset="nw_ucla", protocol="xview", command="test"):
    row = result_row(dataset=dataset, protocol=protocol, setting=setting, encoder="pretrained", method="mae", metric="top1", value=value,
                     train_clips=10, test_clips=10, seed=seed, seconds=1, command=command, commit="c", hardware="h")  # fmt: skip
    append_results(folder, [row])


# --- plan -------------------------------------------------------------------------------------------------------------


def test_everything_is_planned_once_and_after_what_it_needs():
    plan = plan_of()
    names = [stage.name for stage in plan]
    assert len(set(names)) == len(names)
    for place, stage in enumerate(plan):
        assert set(stage.needs) <= set(names[:place]), stage.name
    measured = {(stage.word, stage.set, stage.arm) for stage in plan if stage.setting}
    for one in ("nw_ucla_xview", "utd_mhad_xsub"):
        for arm in ("mae", "diffmae", "mae_universal", "diffmae_universal"):
            assert {("probe", one, arm), ("finetune", one, arm)} <= measured
        assert {("baseline", one, "raw_joints"), ("untrained", one, "untrained"), ("peer", one, "stgcn")} <= measured
        assert {("finetune", one, "scratch"), ("labels10", one, "scratch"), ("labels10", one, "mae")} <= measured
    assert ("finetune", "nw_ucla_xview", "mae_others") in measured and (
        "finetune",
        "utd_mhad_xsub",
        "mae_others",
    ) not in measured
    draws = {
        stage.seed
        for stage in plan
        if stage.word == "labels10" and stage.arm == "scratch" and stage.set == "utd_mhad_xsub"
    }
    assert draws == {0, 1, 2, 3, 4}


def test_what_is_needed_comes_along_and_nothing_else():
    assert [stage.name for stage in plan_of("baseline", sets=TWO[:1])] == [
        "untrained_nw_ucla_xview_seed0",
        "baseline_nw_ucla_xview_seed0",
    ]
    names = [stage.name for stage in plan_of("probe", sets=TWO[:1], methods=("mae",))]
    assert names == ["pretrain_mae_nw_ucla_xview_seed0", "probe_mae_nw_ucla_xview_seed0"]
    arms = {stage.arm for stage in plan_of("universal", "finetune", methods=("mae",)) if stage.word == "finetune"}
    assert arms == {"scratch", "mae_universal"}
    alone = plan_of(sets=TWO[:1], all_sets=TWO[:1])
    assert not [stage.name for stage in alone if "universal" in stage.name or "others" in stage.name]


def test_pretraining_on_others_leaves_the_set_out():
    (others,) = [stage for stage in plan_of() if stage.word == "others"]
    assert others.flags["data"] == "utd_mhad_xsub" and "nw_ucla" not in json.dumps(others.flags["data_dir"])
    universal = next(stage for stage in plan_of() if stage.word == "universal")
    assert universal.flags["data"] == "nw_ucla_xview,utd_mhad_xsub"
    assert set(universal.flags["holdout"]) == {"nw_ucla_xview", "utd_mhad_xsub"}


def test_both_arms_have_the_same_budget():
    plan = plan_of("pretrain", "finetune", "labels10")
    start = {"model", "size", "method", "output_dir"}
    for word in ("finetune", "labels10"):
        for one in ("nw_ucla_xview", "utd_mhad_xsub"):
            arms = [stage for stage in plan if stage.word == word and stage.set == one and stage.seed == 0]
            assert {stage.arm for stage in arms} >= {"scratch", "mae"}
            kept = [{name: value for name, value in stage.flags.items() if name not in start} for stage in arms]
            assert all(flags == kept[0] for flags in kept) and len({stage.clips for stage in arms}) == 1
            assert (
                len({json.dumps({label: flags for label, (flags, _) in stage.choices.items()}) for stage in arms}) == 1
            )
    labelled = [stage for stage in plan if stage.word == "labels10"]
    assert all("base_lr" not in stage.flags and len(stage.choices) >= 2 for stage in labelled)


def test_settings_are_tried_on_training_clips_alone():
    plan = {stage.name: stage for stage in plan_of("labels10")}
    for stage in plan.values():
        for _, names in stage.choices.values():
            for tried in (plan[name] for name in names):
                assert Path(tried.flags["data"]).name.startswith("subset_") and not tried.setting
                subset = plan[Path(tried.flags["data"]).name]
                assert subset.flags["what"] == "subset" and subset.flags["clips"] == round(
                    0.1 * subset_size(subset.set)
                )


def subset_size(name):
    return {one.name: one.train for one in TWO}[name]


@pytest.mark.parametrize("preset", ["cpu", "gpu"])
def test_every_command_is_one_that_its_program_takes(preset):
    for stage in plan_of(sets=TWO[:1], preset=preset, cache_dir="cache", max_steps=3):
        choices = list(stage.choices.values()) or [({}, ())]
        for flags, _ in choices:
            words = words_of(stage, {**stage.flags, **flags})
            flags_at = next(place for place, word in enumerate(words) if word.startswith("--") and word != "--method")
            program = words[:flags_at]
            assert Path(program[0]).is_file() or (program[0] == "s2i" and program[1] in COMMANDS)
            arguments = parse(PROGRAMS[stage.kind], words[flags_at:])
            assert Path(arguments.output_dir) == Path("runs") / stage.name
            for name, value in flags.items():
                assert getattr(arguments, name) == value
            if stage.word == "labels10":
                assert (arguments.label_share, arguments.label_seed, arguments.setting) == (0.1, stage.seed, "semi_10")


def test_scale_and_seeds():
    once, twice = plan_of("pretrain"), plan_of("pretrain", scale=2.0, seeds=(0, 1))
    assert len(twice) == 2 * len(once)
    assert twice[0].clips == pytest.approx(2 * once[0].clips, rel=0.1)
    assert all(stage.clips <= 3 * 32 for stage in plan_of("pretrain", max_steps=3))
    few = [replace(TWO[0], train=20)]
    assert plan_of("pretrain", sets=few, all_sets=few)[0].flags["batch_size"] == 20


@pytest.mark.parametrize(
    "options", [{"label_arms": ("mae_universl",)}, {"label_arms": ("diffmae",), "methods": ("mae",)}]
)
def test_arms_that_there_are_not(options):
    with refused(ValueError, match="--label_arms"):
        plan_of(**options)


def test_sets_are_found_by_name(tmp_path):
    with refused(ValueError, match="not a folder"):
        find_sets(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="none of the sub-folders"):
        find_sets(tmp_path)
    for name in ("nw_ucla", "MSRAction3D", "else"):
        (tmp_path / name).mkdir()
    found, missing = find_sets(tmp_path)
    assert list(found) == ["nw_ucla_xview", "msr_action3d_xsub"] and found["nw_ucla_xview"].train == 1020
    assert missing == ["utd_mhad_xsub", "utkinect_xsub", "irds_xsub", "ui_prmd_kinect_xsub"]


# --- time -------------------------------------------------------------------------------------------------------------


def a_stage(name, needs=(), clips=0, script="s2i probe", **more):
    flags = {"output_dir": name, **more.pop("flags", {})}
    return Stage(
        name,
        script,
        "probe",
        "nw_ucla_xview",
        "mae",
        0,
        flags,
        needs,
        clips,
        more.pop("setting", "linear_probe"),
        **more,
    )


def test_minutes_of_chains_and_of_stages_beside_each_other():
    rates = {"start": 10.0, "probe": 2.0}
    alone = [a_stage("a", clips=20), a_stage("b", clips=20), a_stage("c")]
    assert (
        wall_seconds(alone, rates, 1) == 50
        and wall_seconds(alone, rates, 2) == 30
        and wall_seconds(alone, rates, 3) == 20
    )
    chain = [a_stage("a", clips=20), a_stage("b", ("a",), 20), a_stage("c", ("gone",))]
    assert wall_seconds(chain, rates, 3) == 40
    assert wall_seconds(plan_of(), RATES["cpu"], 2) < wall_seconds(plan_of(), RATES["cpu"], 1)


def test_measured_speeds_take_the_place_of_guesses(tmp_path):
    plan = [a_stage("a", script="s2i finetune"), a_stage("b", script="benchmarks/peer.py")]
    for name, summary in (("a", {"clips_per_second": 70.0}), ("b", {"cost": {"train_clips_per_second": 9.0}})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "summary.json").write_text(json.dumps(summary))
    assert measured_rates(plan, tmp_path) == {"finetune": 70.0, "peer": 9.0}


# --- table ------------------------------------------------------------------------------------------------------------


def test_the_line_of_a_set(tmp_path):
    plan = make_plan(PRESETS["cpu"], TWO[:1], TWO[:1], tmp_path, methods=("mae",), label_seeds=(0, 1, 2))
    found = {"baseline": 0.57, "probe": 0.8, "untrained": 0.5, "finetune": 0.9, "peer": 0.85}
    for stage in plan:
        if not stage.setting or (stage.word == "finetune" and stage.arm == "scratch"):
            continue
        value = found.get(
            stage.word, (0.6 if stage.arm == "mae" else 0.5) + 0.2 * stage.seed * (stage.arm == "scratch")
        )
        write_rows(tmp_path / stage.name, stage.setting, value, stage.seed)
        (tmp_path / stage.name / "summary.json").write_text("{}")
        if stage.kind == "probe":
            write_rows(tmp_path / stage.name, "knn", value - 0.1)
    cells = line_of("nw_ucla_xview", collect(plan, tmp_path)[0])
    assert cells == {
        "raw joints": "57.0 / 47.0", "untrained": "50.0 / 40.0", "pretrained": "80.0 / 70.0",
        "10 % labels, new weights": "70.0 ± 11.5", "10 % labels, pretrained": "60.0 ± 0.0", "all labels, new weights": "",
        "all labels, pretrained": "90.0", "graph network": "85.0",
    }  # fmt: skip
    assert arm_lines("nw_ucla_xview", collect(plan, tmp_path)[0]) == [
        ("nw_ucla_xview", "MAE", "80.0 / 70.0", "60.0 ± 0.0 (ahead in 1 of 3)", "90.0")
    ]
    text = table_text(
        plan, TWO[:1], ["irds_xsub"], PRESETS["cpu"], tmp_path, "python benchmarks/accuracy.py --data $DATA"
    )
    assert "| nw_ucla_xview | 1020 / 464 | 57.0 / 47.0 |" in text and "Not in the data folder: irds_xsub." in text
    assert "stages are finished" in text and "    python benchmarks/accuracy.py --data $DATA\n" in text
    assert max(len(line) for line in text.splitlines() if not line.startswith("|")) <= 140


def test_the_larger_peer_is_a_second_arm(tmp_path):
    preset = replace(PRESETS["cpu"], peers=("stgcn", "ctrgcn"))
    plan = make_plan(preset, TWO, TWO, tmp_path, methods=("mae",), label_seeds=(0, 1), stages=("labels10", "peer"))
    large = {stage.name: stage for stage in plan if stage.arm == "ctrgcn"}
    assert set(large) == {
        f"{word}_ctrgcn_{one.name}_seed{seed}"
        for one in TWO
        for word, seeds in (("peer", [0]), ("labels10", [0, 1]))
        for seed in seeds
    }
    authors, other = (large[f"peer_ctrgcn_{one.name}_seed0"] for one in TWO)
    assert authors.clips == 65 * 5 * TWO[0].train and authors.flags["warmup_epochs"] == 5  # as its authors
    scratch = next(stage for stage in plan_of("finetune", sets=TWO[1:]) if stage.arm == "scratch")
    assert abs(other.clips - scratch.clips) <= TWO[1].train  # as our fine-tuning
    few = large["labels10_ctrgcn_utd_mhad_xsub_seed1"]
    assert (few.flags["label_share"], few.flags["label_seed"], few.kind) == (0.1, 1, "peer_ctrgcn")
    cost = {"parameters": 1.4e6, "flops": 1.06e9, "train_clips_per_second": 8.0, "test_clips_per_second": 30.0}
    for stage in large.values():
        write_rows(tmp_path / stage.name, stage.setting, 0.9, stage.seed)
        (tmp_path / stage.name / "summary.json").write_text(json.dumps({"cost": cost}))
    cells = line_of("nw_ucla_xview", collect(plan, tmp_path)[0])
    assert cells["graph network"] == "large 90.0" and cells["10 % labels, pretrained"] == ""
    assert not arm_lines("nw_ucla_xview", collect(plan, tmp_path)[0])
    text = table_text(plan, TWO, [], preset, tmp_path, "command")
    assert f"| nw_ucla_xview | ctrgcn | 90.0 ± 0.0 | 90.0 | {authors.clips} | 1.40 M | 1060 M | 8 / 30 |" in text
    assert max(len(line) for line in text.splitlines() if not line.startswith("|")) <= 140


def test_means_and_spreads():
    assert shown(None) == "" and shown({0: 0.5}) == "50.0" and shown({0: 0.4, 1: 0.6}) == "50.0 ± 10.0"


# --- folders that stages start from, and all of it --------------------------------------------------------------------


def write_clips(folder, protocol="utkinect_xsub", subjects=8, classes=10):
    """A converted folder of random clips, odd subjects train."""
    folder.mkdir(parents=True)
    writer = FolderWriter(folder, PROTOCOLS[protocol], "npz", ("train", "test"))
    for split, first in (("train", 1), ("test", 2)):
        for subject in range(first, subjects + 1, 2):
            for label in range(classes):
                joints = np.random.default_rng([subject, label]).normal(0, 0.5, (9, 1, 20, 3)).astype(np.float32)
                name = f"s{subject:02}_e01_a{label:02}"
                writer.write(split, SkeletonSequence(joints, "kinect_v1", label, subject, 1, sample_id=name))
    writer.close({})
    return folder


def test_a_subset_holds_people_out_and_has_no_test_clip(tmp_path):
    data = write_clips(tmp_path / "utkinect_xsub")
    flags = {"what": "subset", "data": str(data), "output_dir": str(tmp_path / "subset"), "seed": 100}
    prepare_folder(PrepareArguments(clips=12, **flags))
    whole, part = (load_skeletons(str(folder)) for folder in (data, tmp_path / "subset"))
    learn, held = as_rows(part["train"]), as_rows(part["test"])
    assert len(learn) == 12 and set(learn.labels) == set(range(10)) and learn.name == "utkinect_xsub"
    assert not set(learn.subjects) & set(held.subjects)
    assert set(learn.sample_ids) | set(held.sample_ids) <= set(as_rows(whole["train"]).sample_ids)
    with refused(ValueError, match="remain beside"):
        prepare_folder(PrepareArguments(clips=39, **flags))


def test_an_untrained_model_can_be_probed(tmp_path):
    data = write_clips(tmp_path / "utkinect_xsub", subjects=2)
    out = tmp_path / "untrained"
    prepare_folder(PrepareArguments("untrained", str(data), str(out), model="config:micro", size=32, seed=3))
    model, processor = load_model_and_processor(str(out))
    assert model.config.image_size == 32 and processor.layout == "kinect_v1"
    assert model.vit.embeddings.position_embeddings.abs().sum() > 0


def test_dry_run_tells_and_runs_nothing(tmp_path, capsys):
    write_clips(tmp_path / "data" / "utkinect_xsub", subjects=2)
    runs, table = tmp_path / "runs", tmp_path / "table.md"
    where = {"data": str(tmp_path / "data"), "runs": str(runs), "table": str(table)}
    plan = accuracy(AccuracyArguments(**where, dry_run=True, stages=("probe", "baseline")))
    text = capsys.readouterr().out
    assert (
        all(stage.name in text for stage in plan)
        and f"{len(plan)} of {len(plan)} stages to run" in text
        and "irds_xsub" in text
    )
    assert not runs.exists() and "| utkinect_xsub | 10 / 10 |  |" in table.read_text()
    assert plan[0].flags["data"] == str(tmp_path / "data" / "utkinect_xsub") and "data_dir" not in plan[0].flags


@pytest.mark.parametrize(
    ("flags", "said"),
    [({"stages": ()}, "--stages"), ({"seeds": (0, 0)}, "--seeds"), ({"scale": 0.0}, "--scale"), ({"jobs": 0}, "--jobs"),
     ({"model": "google/vit"}, "--model"), ({"seeds": (-1,)}, "--seeds")],
)  # fmt: skip
def test_bad_settings(flags, said):
    with refused(ValueError, match=said):
        AccuracyArguments(data="data", **flags)


def test_a_set_that_is_not_there(tmp_path):
    (tmp_path / "NW-UCLA").mkdir()
    for flags in ({"sets": ("utd_mhad_xsub",)}, {"others": ("irds_xsub",)}):
        with pytest.raises(ValueError, match="there: nw_ucla_xview") as caught:
            planned(AccuracyArguments(data=str(tmp_path), **flags))
        assert one_sentence(str(caught.value).replace(str(tmp_path), "data"))


def test_the_preset_can_be_changed():
    preset = AccuracyArguments(data="x", model="config:base", size=224, jobs=1).chosen_preset
    assert preset == replace(PRESETS["cpu"], model="config:base", size=224, jobs=1)


@pytest.mark.slow
def test_all_of_it_on_two_tiny_sets(tmp_path):
    """Every kind of stage, with the real commands."""
    write_clips(tmp_path / "data" / "utkinect_xsub", subjects=4)
    write_clips(tmp_path / "data" / "nw_ucla_xview1", "nw_ucla_xview1", subjects=24)  # 12 labels of 10 classes
    command = [
        sys.executable, str(BENCHMARKS / "accuracy.py"), "--data", "data", "--runs", "runs", "--model", "config:micro", "--size", "32",
        "--max_steps", "2", "--sets", "nw_ucla_xview1", "--label_seeds", "0", "--methods", "mae", "--others", "nw_ucla_xview1", "--no-pin",
        "--table", "table.md",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    line = next(
        line for line in (tmp_path / "table.md").read_text().splitlines() if line.startswith("| nw_ucla_xview1")
    )
    assert "|  |" not in line
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert again.returncode == 0 and "begins" not in again.stdout
