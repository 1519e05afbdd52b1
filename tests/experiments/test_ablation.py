"""The runs of an ablation: their numbers against the probe of one run, what is skipped, what fails, and the test clips left alone."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ablation_files import write_data, write_plan
from filelock import FileLock

from s2i_hf.data.loading import as_rows, load_skeletons
from s2i_hf.data.skeleton_rows import SkeletonRows
from s2i_hf.evaluation.probing import ProbeArguments, probe_run
from s2i_hf.experiments import ablation
from s2i_hf.experiments.ablation import AblateArguments, Ablation, ablate, measure
from s2i_hf.experiments.ablation_report import difference, standard_errors
from s2i_hf.models.building import build_mae, encoder_of
from s2i_hf.processing.image_processing_skeleton import SkeletonProcessor
from s2i_hf.training.interruption import RunInterrupted

VARY = {"vary": {"mask": ["joint"], "mask_ratio": [[0.4, 0.8]]}, "seeds": [0, 1]}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


def go(config: Path, folder: Path, **changes: Any) -> tuple[Ablation, list[str]]:
    said: list[str] = []
    arguments = AblateArguments(config=str(config), output_dir=str(folder), device="cpu", **changes)
    return ablate(arguments, said.append), said


def numbers(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Ablation]:
    """Three variants and two seeds, with test clips."""
    folder = tmp_path_factory.mktemp("whole")
    config = write_plan(folder / "small.yaml", data, **VARY)
    return config, folder / "out", go(config, folder / "out", report="both")[0]


def test_one_row_a_run_with_the_numbers_of_the_probe(data: Path, whole: tuple[Path, Path, Ablation]) -> None:
    _, folder, found = whole
    assert [(row["variant"], row["seed"]) for row in found.rows] == [
        (name, seed) for seed in (0, 1) for name in ("base", "mask=joint", "mask_ratio=0.4 0.8")
    ]
    assert found.failed == []
    with (folder / "ablation.csv").open() as file:
        saved = list(csv.DictReader(file))
    assert [{name: str(value) for name, value in row.items()} for row in found.rows] == saved
    row = found.rows[4]
    run_dir = folder / "mask=joint_seed1"
    assert json.loads((run_dir / "metrics.jsonl").read_text().splitlines()[0])["config"]["mask"] == "joint"
    assert row["loss"] == pytest.approx(json.loads((run_dir / "summary.json").read_text())["loss"], abs=1e-6)
    assert row["steps"] == 3 and row["changes"] == "mask=joint" and row["command"] and row["commit"]
    assert not (run_dir / "checkpoints").exists()
    # the same through `s2i probe`
    arguments = ProbeArguments(
        model=str(run_dir),
        data=str(data),
        settings=("knn",),
        encoders=("pretrained", "untrained"),
        card=False,
        device="cpu",
    )
    probe_run(arguments, report=lambda line: None)
    encoders = json.loads((run_dir / "per_class.json").read_text())["nw_ucla_xview"]["encoders"]
    results = {(r["encoder"], r["metric"]): r["value"] for r in json.loads((run_dir / "results.json").read_text())}
    for encoder, ours in (("pretrained", ""), ("untrained", "_untrained")):
        assert row[f"validation{ours}_top1"] == encoders[encoder]["knn"]["validation_top1"]
        for metric in ("top1", "mean_class"):
            assert row[f"test{ours}_{metric}"] == results[encoder, metric]


def test_the_table_says_mean_spread_and_distance(whole: tuple[Path, Path, Ablation]) -> None:
    _, folder, found = whole
    table = (folder / "table.md").read_text()
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines() if line.startswith("|")]
    assert lines[0][:6] == ["variant", "seeds", "validation top1", "untrained", "to the base", "in SE"]
    cells = {line[0]: line for line in lines[2:]}
    assert list(cells) == ["base", "mask=joint", "mask_ratio=0.4 0.8"] and cells["base"][4:6] == ["", ""]
    values = {name: [100 * r["validation_top1"] for r in found.rows if r["variant"] == name] for name in cells}
    for name, line in cells.items():
        mean, spread = np.mean(values[name]), np.std(values[name], ddof=1)
        assert line[1:3] == ["2", f"{mean:.1f} ± {spread:.1f}"]
        if name != "base":
            assert line[4] == f"{mean - np.mean(values['base']):+.1f}"
    assert (folder / "plot.png").stat().st_size > 5000


def test_standard_errors_by_hand() -> None:
    # mean 0.1, deviations -0.1, 0, 0.1: variance 0.02 / 2, standard error sqrt(0.01 / 3)
    assert standard_errors([0.0, 0.1, 0.2]) == f"{0.1 / math.sqrt(0.01 / 3):+.1f}" == "+1.7"
    assert standard_errors([0.1]) == "not measured" and standard_errors([0.1, 0.1]) == "no spread"
    assert difference([0.0, 0.1, -0.4]) == "-10.0" and difference([]) == "not measured"


def test_what_is_done_is_not_done_again(
    data: Path, whole: tuple[Path, Path, Ablation], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, folder, found = whole
    monkeypatch.setattr(ablation, "pretrain", None)  # calling it would fail
    monkeypatch.setattr(ablation, "measure", None)
    again, said = go(config, folder)
    assert numbers(again.rows) == numbers(found.rows) and again.failed == []
    assert len(said) == 6 and all("done before" in line for line in said)


def test_test_clips_are_left_alone_unless_asked_for(data: Path) -> None:
    dataset = load_skeletons(str(data))
    train, test = as_rows(dataset["train"]), as_rows(dataset["test"])
    encoder = encoder_of(build_mae("config:micro", image_size=64))
    processor = SkeletonProcessor(layout="kinect_v1", size=64)
    probe = ProbeArguments(model="m", data="", settings=("linear_probe",), device="cpu", copies=1)
    plain = measure(probe, encoder, processor, {"train": train, "test": test}, seed=0)

    class Guarded(SkeletonRows):
        def __init__(self) -> None:
            self.__dict__.update(test.__dict__)

        def __getitem__(self, index: Any) -> Any:
            raise AssertionError("a test clip was read")

    guarded = Guarded()
    guarded.__dict__["labels"] = None
    assert measure(probe, encoder, processor, {"train": train, "test": guarded}, seed=0) == plain
    assert plain[1] is None and set(plain[0].chosen) == {"C", "pooling"}
    choice, tested = measure(probe, encoder, processor, {"train": train, "test": test}, seed=0, with_test=True)
    assert choice == plain[0] and set(tested or {}) >= {"top1", "mean_class"}
    guarded.__dict__["labels"] = np.full(len(test), -1)
    with pytest.raises(ValueError, match="test clips have no label"):
        measure(probe, encoder, processor, {"train": train, "test": guarded}, seed=0, with_test=True)


@pytest.mark.parametrize(
    "settings", [{"rotations": 3, "pooling": "part_std"}, {"rotations": 2, "copies": 1, "validation": "subjects"}]
)
def test_the_settings_of_the_probe_are_those_of_its_program(
    data: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    dataset, model = load_skeletons(str(data)), build_mae("config:micro", image_size=64)
    processor = SkeletonProcessor(layout="kinect_v1", size=64)
    probe = ProbeArguments(
        model=str(tmp_path), data=str(data), settings=("linear_probe",), encoders=("pretrained",), device="cpu",
        card=False, seed=0, **settings,
    )  # fmt: skip
    ours, tested = measure(probe, encoder_of(model), processor, dataset, seed=0, with_test=True)
    theirs = probe_run(probe, model, processor, dataset, report=lambda line: None)["results"]["pretrained"][
        "linear_probe"
    ]
    assert tested == theirs.metrics and ours.validation["top1"] == theirs.validation
    # the pooling is named where there was one to choose
    assert {"C": theirs.chosen["C"], **ours.chosen} == theirs.chosen


def test_a_failing_variant_is_recorded_and_the_rest_goes_on(data: Path, tmp_path: Path) -> None:
    variants = [{"name": "odd size", "size": 40}, {"name": "nothing seen", "mask_ratio": 0.99},
                {"name": "block", "mask": "block"}]  # fmt: skip
    config = write_plan(tmp_path / "a.yaml", data, variants=variants)
    found, said = go(config, tmp_path / "out")
    assert [row["variant"] for row in found.rows] == ["base", "block"] and "test_top1" in found.rows[0]
    assert found.rows[0]["test_top1"] == ""
    assert [row["variant"] for row in found.failed] == ["odd size", "nothing seen"]
    assert "leaves 0 of 16 patches" in found.failed[1]["error"] and "failed: " in said[1]
    table = (tmp_path / "out" / "table.md").read_text()
    assert "Failed:" in table and "- nothing seen, seed 0: mask_ratio 0.99" in table
    assert (tmp_path / "out" / "failed.csv").read_text().count("\n") == 3
    # mended, the failed ones alone are run
    variants[0]["size"], variants[1]["mask_ratio"] = 32, 0.5
    again, said = go(write_plan(tmp_path / "a.yaml", data, variants=variants), tmp_path / "out")
    assert [row["variant"] for row in again.rows] == ["base", "odd size", "nothing seen", "block"] and not again.failed
    assert sum("done before" in line for line in said) == 2
    assert "Failed" not in (tmp_path / "out" / "table.md").read_text()


def test_rows_of_other_settings_and_a_folder_in_use_are_refused(data: Path, whole: tuple[Path, Path, Ablation]) -> None:
    config, folder, _ = whole
    changed = write_plan(config.with_name("other.yaml"), data, **VARY, base={"base_lr": 0.1})
    with pytest.raises(ValueError, match=r"ablation.csv has 'base', seed 0, with other settings than other.yaml"):
        go(changed, folder)
    with FileLock(folder / ".lock"), pytest.raises(ValueError, match="Another ablation works in"):
        go(config, folder)
    (config.parent / "foreign").mkdir()
    (config.parent / "foreign" / "ablation.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="is no table of this ablation"):
        go(config, config.parent / "foreign")


def test_an_interruption_says_how_to_go_on(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*given: Any, **more: Any) -> None:
        raise RunInterrupted("Stopped after step 2; repeat the command with --resume.")

    def interrupted_in_the_probe(*given: Any, **more: Any) -> None:
        raise KeyboardInterrupt

    config = write_plan(tmp_path / "a.yaml", data, **VARY)
    for name, stop in (("pretrain", interrupted), ("measure", interrupted_in_the_probe)):
        with monkeypatch.context() as stopped:
            stopped.setattr(ablation, name, stop)
            with pytest.raises(RunInterrupted, match=r"Stopped in \[1/6\] base, seed 0; repeat the command to go on"):
                go(config, tmp_path / "out")


def test_several_processes_are_refused(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="one process"):
        go(write_plan(tmp_path / "a.yaml", data, **VARY), tmp_path / "out")


def test_diffmae_and_a_probe_broken_off(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that was finished, but not probed, is loaded and probed, to the same numbers."""
    config = write_plan(tmp_path / "a.yaml", data, method="diffmae", vary={"decoder_type": ["joint"]})
    with monkeypatch.context() as broken:
        broken.setattr(ablation, "measure", None)
        found, _ = go(config, tmp_path / "out")
        assert len(found.failed) == 2 and "TypeError" in found.failed[0]["error"]
    monkeypatch.setattr(ablation, "pretrain", None)
    found, _ = go(config, tmp_path / "out")
    monkeypatch.undo()
    undisturbed, _ = go(config, tmp_path / "again")
    assert numbers(found.rows) == numbers(undisturbed.rows) and not found.failed
    assert {row["variant"] for row in found.rows} == {"base", "decoder_type=joint"}


def test_clips_without_labels_fail_before_they_are_pretrained_on(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = {name: as_rows(part) for name, part in load_skeletons(str(data)).items()}
    rows["train"].labels[:] = -1
    monkeypatch.setattr(ablation, "load_skeletons", lambda *words, **options: rows)
    monkeypatch.setattr(ablation, "pretrain", lambda *words, **options: pytest.fail("it was pretrained"))
    found, said = go(write_plan(tmp_path / "small.yaml", data, vary={"mask": ["joint"]}), tmp_path / "out")
    assert not found.rows and len(found.failed) == 2 and "have no label (-1)" in said[0]
