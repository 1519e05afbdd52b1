"""benchmarks/accuracy_gpu.py: the bundle gives every bit back, the plan fits its calls, and a rehearsal goes on where time cut it off."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import one_sentence, refused
from finetune_clips import clips
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as arrays
from skeleton_files import write_nw_ucla

from s2i_hf.data.convert import convert
from s2i_hf.data.loading import as_rows, load_skeletons
from s2i_hf.data.skeleton_rows import rows_of_splits
from s2i_hf.data.storage import FolderWriter, read_meta
from s2i_hf.processing.skeleton_sequence import SkeletonSequence
from s2i_hf.protocols import get_protocol

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.append(str(BENCHMARKS))  # where `python benchmarks/accuracy_gpu.py` finds its modules

from accuracy_bundle import FOLDERS, TESTED, make_bundle, pack_joints, read_bundle, same_clips, unpack, unpack_joints  # noqa: E402
from accuracy_gpu import main  # noqa: E402
from accuracy_gpu_plan import FINETUNE, PRETRAIN, finetune_settings, is_wide, make_plan, pretrain_settings, schedule_of  # noqa: E402

NAMES = [f"a{a:02}_s{s:02}_e00_v{v:02}" for a in (1, 2, 3) for s in (1, 2, 3) for v in (1, 2, 3)]
OTHER = "utkinect_xsub"
STREAMS = ("joint", "bone", "motion")


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a few clips of NW-UCLA, raw, and of another set, converted, which is learned from and not tested."""
    folder = tmp_path_factory.mktemp("data")
    write_nw_ucla(folder / "NW-UCLA", NAMES)
    (folder / OTHER).mkdir()
    writer = FolderWriter(folder / OTHER, get_protocol(OTHER), "npz", ("train", "test"))
    for number, row in enumerate(clips(10)):
        writer.write("train" if number < 6 else "test", SkeletonSequence(**{**row, "label": number % 10}))
    writer.close({})
    return folder


@pytest.fixture(scope="module")
def bundle(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("bundle") / "bundle"
    make_bundle(raw, output, ("nw_ucla_xview", OTHER), ("nw_ucla_xview",), 50, report=lambda line: None)
    return output


# --- bundle -----------------------------------------------------------------------------------------------------------

CLIPS = st.tuples(st.integers(1, 6), st.integers(1, 2), st.integers(1, 4), st.just(3)).flatmap(
    lambda shape: arrays.arrays(np.uint32, shape)  # any bits: NaN of every kind, infinities, -0, subnormals
)


@settings(max_examples=60, deadline=None)
@given(st.lists(CLIPS, min_size=1, max_size=4))
def test_packed_joints_come_back_bit_for_bit(clips: list[np.ndarray]) -> None:
    planes = pack_joints([clip.view(np.float32) for clip in clips])
    assert planes.dtype == np.uint8 and planes.shape == (4, sum(clip.size for clip in clips))
    back = unpack_joints(planes, np.array([clip.shape for clip in clips]))
    for clip, one in zip(clips, back, strict=True):
        assert one.dtype == np.float32 and np.array_equal(one.view(np.uint32), clip)


def test_joints_that_hardly_move_have_empty_upper_planes() -> None:
    clip = np.full((40, 1, 5, 3), 1.25, np.float32)
    clip[1::2] = np.nextafter(np.float32(1.25), np.float32(2))  # one unit up, one unit down
    planes = pack_joints([clip])
    assert set(planes[0].reshape(15, 40)[:, 1:].ravel().tolist()) == {1, 2}  # -1 -> 1, +1 -> 2
    assert not planes[1:].reshape(3, 15, 40)[..., 1:].any()


def test_a_bundle_restores_folders_as_convert_makes_them(raw: Path, bundle: Path, tmp_path: Path) -> None:
    folders = unpack(bundle, tmp_path)
    made, asked = rows_of_splits(load_skeletons(folders["nw_ucla_xview"])), tmp_path / "asked"
    convert("nw_ucla_xview", raw / "NW-UCLA", asked, format="npz")
    expected = rows_of_splits(load_skeletons(asked))
    for split in ("train", "test"):
        assert same_clips(made[split], expected[split])
        assert made[split].class_names == expected[split].class_names and made[split].name == "nw_ucla_xview"
    assert read_meta(folders["nw_ucla_xview"])["protocol"] == "nw_ucla_xview"
    assert read_bundle(bundle)["sets"]["nw_ucla_xview"]["counts"] == {"train": 18, "test": 9}


def test_sets_that_are_not_tested_leave_their_test_clips_behind(bundle: Path, tmp_path: Path) -> None:
    other = load_skeletons(unpack(bundle, tmp_path)[OTHER])
    assert list(other) == ["train"] and as_rows(other["train"]).sample_ids == [
        f"clip0_{number:03}" for number in range(6)
    ]
    assert read_bundle(bundle)["tested"] == ["nw_ucla_xview"]


def test_a_changed_clip_is_noticed(bundle: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(bundle, copy)
    shutil.copy(copy / "utkinect_xsub.npz", copy / "nw_ucla_xview.npz")
    with refused(ValueError, "does not hold the clips"):
        unpack(copy, tmp_path / "clips")


def test_a_bundle_that_is_too_large_is_refused_and_an_older_one_stays(raw: Path, bundle: Path, tmp_path: Path) -> None:
    older = tmp_path / "bundle"
    shutil.copytree(bundle, older)
    with refused(ValueError, "--limit_mb 0.001", "--sets"):
        make_bundle(raw, older, ("nw_ucla_xview",), (), 0.001, report=lambda line: None)
    assert set(read_bundle(older)["sets"]) == {"nw_ucla_xview", OTHER}
    with refused(ValueError, "none of the sets"):
        make_bundle(tmp_path, tmp_path / "new", ("utkinect_xsub",), (), 50, report=lambda line: None)


def test_what_is_bundled_are_the_open_sets() -> None:
    assert set(TESTED) <= set(FOLDERS) and len(FOLDERS) == 7


# --- plan -------------------------------------------------------------------------------------------------------------


def test_everything_comes_after_what_it_needs_and_fits_two_calls() -> None:
    plan = make_plan(("config:small", "config:base"), TESTED, (*STREAMS, "fourth"))
    names = [section.name for section in plan]
    assert len(set(names)) == len(names)
    for place, section in enumerate(plan):
        assert set(section.needs) <= set(names[:place])
    assert sum(section.share for section in plan) < 1.8  # what is left is for starting up, twice
    until_base = names.index("pretrain_base")
    assert 0.7 < sum(section.share for section in plan[: until_base + 1]) < 0.9
    assert names[:2] == ["pretrain_small", "probe_small_nw_ucla_xview"] and "fuse_small_msr_action3d_xsub" in names


def test_one_stream_is_not_fused_and_starts_need_names_of_their_own() -> None:
    assert not [section for section in make_plan(("config:tiny",), TESTED[:1], ("joint",)) if section.kind == "fuse"]
    with refused(ValueError, "called alike"):
        make_plan(("a/weights", "b/weights"), TESTED, STREAMS)


@given(st.floats(0.1, 600), st.floats(1, 2e4), st.integers(1, 5000), st.sampled_from([8, 64, 256]))
def test_a_schedule_is_what_fits(seconds: float, rate: float, clips: int, batch: int) -> None:
    found = schedule_of(seconds, rate, clips, batch, 325)
    steps, per_epoch = found["max_steps"], max(1, clips // batch)
    assert steps >= 1 and (found["epochs"] - 1) * per_epoch < steps <= found["epochs"] * per_epoch
    assert steps == 1 or (steps - 0.51) * batch <= min(seconds * rate, 325 * clips) + 1e-6
    assert found["warmup_epochs"] < found["epochs"]  # as trainings ask for


def test_larger_models_take_smaller_steps() -> None:
    assert is_wide("config:base") and not is_wide("config:small")
    assert pretrain_settings("config:base")["base_lr"] < pretrain_settings("config:small")["base_lr"]
    small, base = (finetune_settings(start, "nw_ucla_xview", 2000) for start in ("config:small", "config:base"))
    assert base["base_lr"] < small["base_lr"] and base["ema"] == 0.998 and base["yaw"] > 1


# --- rehearsal --------------------------------------------------------------------------------------------------------

BLOCKED = """
import sys

for name in ("datasets", "evaluate", "pyarrow", "pandas", "PIL", "matplotlib"):
    sys.modules[name] = None  # an import of it fails, as where it is not installed
# nor is this package, which then is found beside the benchmarks
sys.meta_path[:] = [finder for finder in sys.meta_path if "__editable__" not in getattr(finder, "__module__", "") + str(finder)]
sys.path.insert(0, sys.argv[1])
from accuracy_gpu import main
from s2i_hf.utils.arguments import run_main

run_main(lambda: main(sys.argv[2:]))
"""


def rehearse(bundle: Path, output: Path, *more: str) -> subprocess.CompletedProcess[str]:
    flags = ["--bundle", str(bundle), "--output_dir", str(output), "--model", "config:micro", "--size", "32"]
    flags += [
        "--streams",
        "joint",
        "motion",
        "--batch_size",
        "8",
        "--finetune_batch_size",
        "8",
        "--calibration_steps",
        "2",
    ]
    words = [sys.executable, "-c", BLOCKED, str(BENCHMARKS), "run", *flags, *more]
    return subprocess.run(
        words, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""}, capture_output=True, text=True, timeout=550
    )


def test_a_rehearsal_without_libraries_of_data_ends_with_all_done(bundle: Path, tmp_path: Path) -> None:
    # a small share of many seconds sizes the parts, so that a slow machine is not cut off, and a fast one does little
    output = tmp_path / "gpu"
    done = rehearse(bundle, output, "--seconds", "3000", "--max_steps", "3")
    assert done.returncode == 0, done.stderr
    assert "all is done" in done.stdout and "a rehearsal" in done.stdout
    state = json.loads((output / "report" / "state.json").read_text())
    parts = state["sections"]
    assert {part["state"] for part in parts.values()} == {"done"} and len(parts) == 5
    assert parts["pretrain_micro"]["steps"] == 3 and state["rates"]["pretrain_micro"] > 0
    rows = json.loads((output / "report" / "results.json").read_text())
    found = {(row["setting"], row["encoder"]) for row in rows}
    assert found == {
        ("linear_probe", "pretrained"), ("linear_probe", "untrained"), ("knn", "pretrained"), ("knn", "untrained"),
        ("fine_tune", "pretrained"), ("fine_tune_motion", "pretrained"), ("fusion", "pretrained"),
    }  # fmt: skip
    learned = json.loads((output / "pretrain_micro" / "data.json").read_text())
    assert learned["counts"] == {"train": 18 + 6}  # and no test clip
    assert {row["train_clips"] for row in rows} == {18} and {row["test_clips"] for row in rows} == {9}
    assert (output / "fuse_micro_nw_ucla_xview" / "README.md").is_file()  # the templates of cards were found
    run = (output / "finetune_micro_nw_ucla_xview_motion" / "run.yaml").read_text()
    assert "precision: bf16" in run and "stream: motion" in run
    assert "| nw_ucla_xview | mae_universal_micro |" in (output / "report" / "table.md").read_text()


def quick_runner(bundle: Path, output: Path, **changes):
    from accuracy_gpu import RunArguments
    from accuracy_gpu_running import Runner

    began = changes.pop("began", time.monotonic())
    options = {"bundle": str(bundle), "output_dir": str(output), "seconds": 3000.0, "model": ("config:micro",), "size": 32,
               "streams": ("joint",), "batch_size": 8, "finetune_batch_size": 8, "calibration_steps": 2, "max_steps": 2}  # fmt: skip
    lines: list[str] = []
    runner = Runner(RunArguments(**{**options, **changes}), began, say=lines.append)
    runner.lines = lines
    return runner


@pytest.mark.slow
def test_what_time_cuts_off_goes_on_from_its_checkpoint(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import accuracy_gpu_running as running

    long = {"max_steps": 12}
    runner = quick_runner(bundle, tmp_path, **long)
    from s2i_hf.training import pretraining

    draws, once = [], pretraining.encode_padded

    def slow(*arguments, **options):
        draws.append(1)
        if len(draws) == 2 + 5:  # after the calibration, in the fifth step
            os.kill(os.getpid(), running.signal.SIGTERM)
            runner.clock.last = time.monotonic()  # as if the alarm had rung
        return once(*arguments, **options)

    monkeypatch.setattr(pretraining, "encode_padded", slow)
    assert runner.run() == []
    state = json.loads((tmp_path / "report" / "state.json").read_text())
    assert state["sections"]["pretrain_micro"]["state"] == "stopped"
    assert (tmp_path / "pretrain_micro" / "checkpoints" / "step_00000005").is_dir()
    assert "the same command goes on" in runner.lines[-1]
    monkeypatch.setattr(pretraining, "encode_padded", once)
    again = quick_runner(bundle, tmp_path, **long)
    assert again.run() == [] and "all is done" in again.lines[-1]
    state = json.loads((tmp_path / "report" / "state.json").read_text())
    assert state["sections"]["pretrain_micro"]["steps"] == 12 and len(state["calls"]) == 2
    before = (tmp_path / "report" / "results.json").read_bytes()
    third = quick_runner(bundle, tmp_path, **long)
    assert third.run() == [] and "all is done" in third.lines[-1]
    assert not any(line.startswith("--") for line in third.lines)  # no part began
    assert (tmp_path / "report" / "results.json").read_bytes() == before


def test_no_time_begins_nothing_and_other_settings_are_refused(bundle: Path, tmp_path: Path) -> None:
    runner = quick_runner(bundle, tmp_path, seconds=1.0, began=time.monotonic() - 100)
    assert runner.run() == [] and "the same command goes on" in runner.lines[-1]
    assert not (tmp_path / "pretrain_micro").exists()
    with refused(ValueError, "--size 32"):
        quick_runner(bundle, tmp_path, size=64)
    with refused(ValueError, "test clips of nw_ucla_xview"):
        quick_runner(bundle, tmp_path, sets=("utd_mhad_xsub",))


def test_a_part_that_fails_is_told_and_what_needs_it_waits(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import accuracy_gpu_running as running

    def broken(*_, **__):
        raise RuntimeError("out of\nmemory")

    monkeypatch.setattr(running, "probe_run", broken)
    runner = quick_runner(bundle, tmp_path)
    assert runner.run() == ["probe_micro_nw_ucla_xview"]
    parts = json.loads((tmp_path / "report" / "state.json").read_text())["sections"]
    assert parts["probe_micro_nw_ucla_xview"]["error"] == "RuntimeError: out of memory"
    assert parts["finetune_micro_nw_ucla_xview_joint"]["state"] == "done"


def test_a_wrong_word_gets_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with refused(ValueError, "bundle or run"):
        main(["rum"])
    main(["--help"])
    assert "nine minutes" in capsys.readouterr().out
    for words in (["run", "--seconds", "0"], ["run", "--streams", "joints"]):
        with pytest.raises(ValueError) as caught:
            main(words)
        assert one_sentence(caught.value)


def test_kinds_have_shares() -> None:
    shares = {section.kind: section.share for section in make_plan(("config:small",), TESTED, STREAMS)}
    assert all(value > 0 for value in shares.values()) and {PRETRAIN, FINETUNE} <= set(shares)
