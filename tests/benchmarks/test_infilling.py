"""benchmarks/infilling.py: settings chosen on training subjects, seeds of a method taken together, and what the numbers are."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skeleton_files import write_nw_ucla

from s2i_hf.data.loading import as_rows, describe, load_skeletons
from s2i_hf.evaluation.validation_splits import validation_split
from s2i_hf.inference.infilling import infill, load_infilling_model
from s2i_hf.inference.infilling_gaps import fill_linear, lost_joints, mean_error, mean_pose
from s2i_hf.models.building import build_diffmae, build_mae
from s2i_hf.processing.image_processing_skeleton import SkeletonProcessor
from s2i_hf.processing.layouts import get_layout

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
KINECT = get_layout("kinect_v1")
ARM, MIDDLE = "left arm, whole clip", "30 frames in the middle"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Raw clips of four subjects, some too short for the gap of 30 frames, and three models."""
    root = tmp_path_factory.mktemp("benchmark")
    names = [f"a{a:02}_s{s:02}_e00_v{v:02}" for a in (1, 2) for s in (1, 2, 3, 4) for v in (1, 3)]
    write_nw_ucla(root / "raw", [name for name in names if name.startswith("a01")], frames=50)
    write_nw_ucla(root / "raw", [name for name in names if name.startswith("a02")], frames=20)
    # so many patches that the 20 frames that are left show some
    built = {"mae0": build_mae("config:micro", image_size=64, patch_size=8, norm_pix_loss=False)}
    built["mae1"] = build_mae("config:micro", image_size=64, patch_size=8, norm_pix_loss=False, seed=1)
    built["diffmae"] = build_diffmae("config:micro", image_size=64, patch_size=8)
    for name, model in built.items():
        model.save_pretrained(root / name)
        SkeletonProcessor(layout="kinect_v1", size=64).save_pretrained(root / name)
    return root


def run(monkeypatch: pytest.MonkeyPatch, folders: Path, *words: object) -> None:
    data = ["--data", "nw_ucla_xview", "--data_dir", folders / "raw", "--cache_dir", folders / "cache"]
    argv = [str(BENCHMARKS / "infilling.py"), *map(str, [*data, *words])]
    monkeypatch.setattr(sys, "argv", argv)
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.chdir(folders)
    runpy.run_path(argv[0], run_name="__main__")


def rows_of(folder: Path) -> dict[tuple[str, str, str, bool | None], dict[str, Any]]:
    found = json.loads((folder / "infilling.json").read_text())["rows"]
    return {(row["task"], row["method"], row["model"], row["settings"].get("meet")): row for row in found}


def test_chosen_on_training_subjects_and_measured_on_test_clips(
    folders: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    models = ["--models", *(f"{name.rstrip('01')}={name}" for name in ("mae0", "mae1", "diffmae"))]
    (folders / "mae0" / "data.json").write_text(
        json.dumps({"name": "nw_ucla_xview", "subjects": {"train": [1, 2, 3, 4]}})
    )
    flags = ("--split", "validation", "--meet", "both", "--steps", 1, 2, "--samples", 1, 2)
    run(monkeypatch, folders, *models, *flags, "--output", "chosen")
    out = capsys.readouterr().out
    train = as_rows(load_skeletons("nw_ucla_xview", folders / "raw", cache_dir=folders / "cache")["train"])
    held, _ = validation_split(train.subjects, train.labels, 0)
    rows = rows_of(folders / "chosen")
    assert rows[ARM, "mae", "mae0", True]["clips"] == held.sum() == 2
    assert rows[MIDDLE, "mae", "mae0", True]["clips"] == 1  # the other one is too short
    everything = json.loads((folders / "chosen" / "infilling.json").read_text())
    tried = {(row["settings"].get("steps"), row["settings"].get("samples")) for row in everything["rows"]}
    assert tried == {(None, None), (1, 1), (2, 1), (2, 2)}
    # without the held-out subjects in the mean pose, and as `infill` has it
    pose = mean_pose(train.select(np.flatnonzero(~held)), KINECT)
    model, processor = load_infilling_model(str(folders / "mae1"))
    for meet in (True, False):
        errors = []
        for index in np.flatnonzero(held):
            clip = train[index]["joints"]
            errors.append(infill(clip, model, processor, "left_arm", pose=pose, meet=meet).error(clip))
        assert rows[ARM, "mae", "mae1", meet]["mean"] == pytest.approx(np.mean(errors), abs=0.01)
        assert rows[ARM, "mae", "mae1", meet]["median"] == pytest.approx(np.median(errors), abs=0.01)
    clip = next(train[index]["joints"] for index in np.flatnonzero(held) if len(train[index]["joints"]) >= 45)
    lost = lost_joints(clip, KINECT, None, ((len(clip) - 30) // 2, (len(clip) - 30) // 2 + 30))
    linear = mean_error(fill_linear(clip, lost, KINECT), clip, lost, KINECT)
    assert rows[MIDDLE, "linear interpolation", "", None]["mean"] == pytest.approx(linear, abs=0.01)
    # what is chosen is what is best over both tasks
    chosen = everything["chosen"]
    totals = {
        meet: sum(rows[task, "mae", name, meet]["mean"] for task in (ARM, MIDDLE) for name in ("mae0", "mae1"))
        for meet in (True, False)
    }
    assert chosen["mae"] == {"meet": min(totals, key=lambda meet: totals[meet])}
    assert set(chosen) == {"mae", "diffmae"} and set(chosen["diffmae"]) == {"meet", "steps", "samples"}
    text = (folders / "chosen" / "infilling.md").read_text()
    assert "Trained on these subjects, or it is not known that they were not: diffmae, mae0, mae1" in text
    assert [row["trained_on_them"] for row in rows.values() if row["model"] == "mae0"] == ["yes"] * 4
    line = next(line for line in text.splitlines() if line.startswith(f"| {ARM} | mae | paths meet | 2 |"))
    means = [rows[ARM, "mae", name, True]["mean"] for name in ("mae0", "mae1")]
    assert f"| {np.mean(means):.1f} ± {np.std(means, ddof=1):.1f} |" in line
    assert f"| {MIDDLE} | diffmae | 2 steps, mean of 2 samples, as decoded | 1 |" in text
    assert (folders / "chosen" / "infilling_1.png").read_bytes()[:4] == b"\x89PNG" and "infilling_2.png" in text
    assert "Lowest mean error over both tasks" in out and "| models |" in out

    run(monkeypatch, folders, *models, "--chosen", "chosen/infilling.json", "--output", "test")
    found = json.loads((folders / "test" / "infilling.json").read_text())
    assert {row["settings"]["meet"] for row in found["rows"] if row["method"] == "mae"} == {chosen["mae"]["meet"]}
    assert found["chosen"] == chosen and found["split"] == "test" and len(found["rows"]) == 2 * (2 + 3)
    assert {row["clips"] for row in found["rows"]} == {8, 4}
    text = (folders / "test" / "infilling.md").read_text()
    assert "test clips chose nothing" in text and str(folders) not in text


def test_a_subset_without_the_held_out_subjects(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, folders, "--write_subset", "subset")
    whole = as_rows(load_skeletons("nw_ucla_xview", folders / "raw", cache_dir=folders / "cache")["train"])
    held, _ = validation_split(whole.subjects, whole.labels, 0)
    data = load_skeletons(str(folders / "subset"))
    for split, chosen in (("train", ~held), ("test", held)):
        rows = as_rows(data[split])
        assert [rows[i]["sample_id"] for i in range(len(rows))] == [
            whole[i]["sample_id"] for i in np.flatnonzero(chosen)
        ]
        np.testing.assert_array_equal(rows[0]["joints"], whole[int(np.flatnonzero(chosen)[0])]["joints"])
    facts = describe(data)
    assert facts["name"] == "nw_ucla_xview"
    assert not set(facts["subjects"]["train"]) & set(facts["subjects"]["test"])
    (folders / "diffmae" / "data.json").write_text(json.dumps(facts))
    run(monkeypatch, folders, "--models", "d=diffmae", "--split", "validation", "--steps", 1, "--output", "clean")
    assert {row["trained_on_them"] for row in rows_of(folders / "clean").values() if row["model"]} == {"no"}
    assert "Trained on these subjects" not in (folders / "clean" / "infilling.md").read_text()
    (folders / "diffmae" / "data.json").unlink()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--models", "mae0"], "expected NAME=DIR"),
        (["--models", "mean pose=mae0"], "is a baseline"),
        (["--models", "m=nowhere"], "nowhere"),
        (["--models", "m=mae0", "--chosen", "empty.json"], "has no choice for 'm'"),
        (["--steps", "0"], "are 1 or more"),
        (["--write_subset", "raw"], "exists"),
    ],
)
def test_mistakes_are_one_sentence(
    folders: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    (folders / "empty.json").write_text('{"chosen": {}}')
    with pytest.raises(SystemExit) as stop:
        run(monkeypatch, folders, *words)
    error = capsys.readouterr().err
    assert stop.value.code == 2 and says in error and len(error.strip().splitlines()) == 1, error
