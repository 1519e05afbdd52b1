from __future__ import annotations

import functools
import json
import multiprocessing
import os
import re
import shutil
import signal
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tqdm
from conftest import one_sentence
from own_files import BVH, STAR, joints, leave_frames_out
from paper_files import split_text, walk, write_pku
from skeleton_files import person, skeleton_text, write_nw_ucla

import s2i_hf.data.convert
import s2i_hf.data.convert_shards
import s2i_hf.data.recorded_rows
import s2i_hf.data.storage
from s2i_hf.data.convert import StrictError, convert, merge
from s2i_hf.data.convert_shards import shards_folder
from s2i_hf.data.loading import as_rows, load_skeletons
from s2i_hf.data.storage import FORMATS, Format, read_meta
from s2i_hf.hub.dataset_card import write_dataset_card
from s2i_hf.inference.inputs import find_clips
from s2i_hf.processing.layouts import SkeletonLayout
from s2i_hf.readers.raw_files import list_raw_files

NAMES = ["a01_s01_e00_v01", "a02_s01_e00_v02", "a08_s02_e00_v03", "a12_s02_e01_v01"]
fork_only = pytest.mark.skipif(
    multiprocessing.get_start_method() != "fork", reason="the child must see what the test patched"
)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    write_nw_ucla(tmp_path / "raw", NAMES)
    return tmp_path / "raw"


def only(folder: Path) -> list[str]:
    """Everything in a folder, hidden things too."""
    return sorted(path.name for path in folder.iterdir())


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# -- what is converted, and what is said about it ----------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
def test_a_broken_recording_is_left_out_listed_and_counted(tmp_path: Path, raw: Path, format: Format) -> None:
    (raw / "a02_s01_e01_v02.json").write_text('{"skeletons": [')
    report = convert("nw_ucla_xview", raw, tmp_path / "out" / "deeper", format)
    assert report.kept == {"train": 3, "test": 1} and len(report.broken) == 1
    text = "\n".join(report.lines())
    for words in ("5 recordings read, 4 kept, 1 broken", "a02_s01_e01_v02.json: not JSON"):
        assert words in text
    assert "train: 3 clips, the protocol expects 1,020; missing: a01_s01_e00_v02, a01_s01_e01_v01" in text
    data = load_skeletons(tmp_path / "out" / "deeper", cache_dir=tmp_path / "cache")
    assert as_rows(data["train"]).sample_ids == [NAMES[0], NAMES[1], NAMES[3]]
    assert as_rows(data["test"]).labels.tolist() == [6]
    meta = json.loads((tmp_path / "out" / "deeper" / "s2i.json").read_text())
    assert meta["broken"] == report.broken and meta["layout"] == "kinect_v1" and meta["recordings"] == 5
    assert {split: names["count"] for split, names in meta["missing"].items()} == {"train": 1017, "test": 463}
    assert only(tmp_path / "out") == ["deeper"]


def test_a_part_that_is_left_out_is_listed_and_strict_accepts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "raw").mkdir()
    for name in ("a", "b"):
        np.save(tmp_path / "raw" / f"{name}.npy", joints())
    leave_frames_out(monkeypatch)
    report = convert("folder", tmp_path / "raw", tmp_path / "out", "npz", layout=STAR, strict=True)
    assert report.lines()[:3] == [
        "folder: 2 recordings read, 2 kept, 0 broken",
        "  left out: a.npy: frame 3 of 5 cannot be read; it is left out.",
        "  left out: b.npy: frame 3 of 5 cannot be read; it is left out.",
    ]
    meta = json.loads((tmp_path / "out" / "s2i.json").read_text())
    assert len(meta["parts_left_out"]) == 2 and meta["broken"] == meta["no_clips"] == []


def test_a_card_comes_with_parquet(tmp_path: Path, raw: Path) -> None:
    for _ in range(2):
        report = convert("nw_ucla_xview", raw, tmp_path / "out", write_card=write_dataset_card)
    assert "holds this conversion already" in report.lines()[0]  # its size is in s2i.json
    assert "NW-UCLA" in (tmp_path / "out" / "README.md").read_text()
    convert("nw_ucla_xview", raw, tmp_path / "npz", "npz", write_card=write_dataset_card)
    assert only(tmp_path / "npz") == ["data", "s2i.json"]


def test_the_progress_bar_counts_files_and_tells_clips_a_second(
    tmp_path: Path, raw: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("s2i_hf.data.convert.tqdm", functools.partial(tqdm.tqdm, mininterval=0))
    convert("nw_ucla_xview", raw, tmp_path / "out", progress=True)
    shown = capsys.readouterr().err
    assert "| 4/4 [" in shown and re.search(r"files/s, [\d,]+ clips/s\]", shown)
    convert("nw_ucla_xview", raw, tmp_path / "silent")
    assert capsys.readouterr().err == ""


def test_a_complete_folder_of_a_protocol_without_fixed_size_passes_strict(tmp_path: Path) -> None:
    for name in ("S001C001P001R001A001", "S001C002P002R001A014"):
        (tmp_path / f"{name}.skeleton").write_bytes(skeleton_text([[(1, person(0))]] * 3))
    report = convert("synthetic_xsub", tmp_path, tmp_path / "out", strict=True, num_proc=2)
    assert report.kept == {"train": 1, "test": 1} and "nothing left out" in "\n".join(report.lines())
    assert as_rows(load_skeletons(tmp_path / "out")["test"]).labels.tolist() == [13]


def test_files_of_other_protocols_are_counted_by_reason(tmp_path: Path) -> None:
    for name in ("S001C001P001R001A001", "S001C001P003R001A001", "S018C001P008R001A061", "S001C002P005R002A008", "x"):
        (tmp_path / f"{name}.skeleton").write_bytes(skeleton_text([[(1, person(0))]] * 3))
    text = "\n".join(convert("ntu60_xsub", tmp_path, tmp_path / "out").lines())
    assert "2 recordings read, 2 kept, 0 broken" in text
    assert "not part of this protocol: 1 (S018C001P008R001A061.skeleton)" in text
    assert "on the list of missing skeletons: 1 (S001C002P005R002A008.skeleton)" in text
    assert "not named like a recording: 1 (x.skeleton)" in text


def test_denoising_can_be_switched_off(tmp_path: Path) -> None:
    frames: list[Any] = [[(number, person(number, place=number)) for number in range(3)]] * 15 + [[]]
    (tmp_path / "S001C001P001R001A001.skeleton").write_bytes(skeleton_text(frames))
    for denoise, shape in ((True, [15, 2, 25, 3]), (False, [16, 3, 25, 3])):
        out = tmp_path / f"out{denoise}"
        convert("synthetic_xsub", tmp_path, out, "npz", denoise=denoise)
        assert load_skeletons(out)["train"].shapes.tolist() == [shape]


def test_clips_of_videos_with_the_lists_beside_them(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    for number, name in enumerate(("0002-L", "0003-M", "0004-R")):
        write_pku(raw, name, walk(60, 2, 25, number), [(5, 0, 20, 1), (7, 30, 50, 1), (9, 40, 40, 1)])
    (raw / "cross_subject.txt").write_text(split_text(["0002-L", "0004-R"], ["0003-M"]))
    report = convert("pku1_xsub", raw, tmp_path / "out")
    assert report.kept == {"train": 4, "test": 2} and not report.broken and len(report.meta["no_clips"]) == 3
    lines = report.lines()
    assert lines[0] == "pku1_xsub: 3 files with 6 clips read, 6 kept, 0 broken" and "no clip: 0002-L" in lines[1]
    assert lines[-2].endswith(", from 2 of 944 videos") and lines[-1].endswith(", from 1 of 132 videos")
    meta = json.loads((tmp_path / "out" / "s2i.json").read_text())
    assert meta["split_lists"] == {"train": ["0002-L", "0004-R"], "test": ["0003-M"]}
    assert as_rows(load_skeletons(tmp_path / "out")["test"]).labels.tolist() == [4, 6]
    convert("pku1_xsub", raw, tmp_path / "parts", shard=(0, 1))
    merge("pku1_xsub", [tmp_path / "parts"], tmp_path / "merged")
    assert contents(tmp_path / "merged") == contents(tmp_path / "out")


def test_recordings_of_ones_own(tmp_path: Path) -> None:
    names = ["pelvis", "head", "left_hand", "right_hand", "left_foot", "right_foot"]
    layout = {"name": "tests_own_six", "joint_names": names, "parents": [None, *["pelvis"] * 5]}
    described = SkeletonLayout(**layout).to_dict()  # type: ignore[arg-type]
    (tmp_path / "layout.json").write_text(json.dumps(described))
    for index, name in enumerate(("wave/a", "wave/b", "sit/a")):
        path = tmp_path / "raw" / f"{name}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, walk(5, 1, 6, index)[:, 0] / 2)
    found = []
    for num_proc in (1, 2):
        out = tmp_path / f"out{num_proc}"
        convert("folder", tmp_path / "raw", out, "parquet", layout=tmp_path / "layout.json", num_proc=num_proc)
        found.append(contents(out))
    assert found[0] == found[1]
    assert json.loads(found[0]["s2i.json"])["layouts"] == {"tests_own_six": described}
    rows = as_rows(load_skeletons(tmp_path / "out1", cache_dir=tmp_path / "cache")["train"])
    assert rows.class_names == ["sit", "wave"] and rows.labels.tolist() == [0, 1, 1]
    np.testing.assert_array_equal(rows[1]["joints"], np.float32(walk(5, 1, 6, 0) / 2))


def test_all_of_utkinect(real_data: Path, tmp_path: Path) -> None:
    report = convert("utkinect_xsub", real_data / "UTKinect", tmp_path / "out", "npz", strict=True)
    assert (
        report.kept == {"train": 100, "test": 99}
        and len(report.meta["no_clips"]) == 1
        and "NaN NaN" in report.meta["no_clips"][0]
    )


def test_all_of_nw_ucla(real_data: Path, tmp_path: Path) -> None:
    report = convert("nw_ucla_xview", real_data / "NW-UCLA", tmp_path / "out", "npz", strict=True)
    assert report.kept == {"train": 1020, "test": 464} and not report.broken
    assert "train: 1,020 clips, as the protocol expects" in "\n".join(report.lines())


# -- what is refused ---------------------------------------------------------------------------------------------------


def test_strict_makes_no_output_and_looks_at_names_first(
    tmp_path: Path, raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "made" / "for" / "nothing"
    with pytest.raises(StrictError, match="0 broken and 1,480 missing") as caught:
        convert("nw_ucla_xview", raw, out, strict=True)
    assert one_sentence(caught.value) and "missing: a01_s01_e00_v02" in "\n".join(caught.value.report.lines())
    assert only(tmp_path) == ["raw"]
    monkeypatch.setattr("s2i_hf.data.storage.PROTOCOLS", {})
    monkeypatch.setattr(
        "s2i_hf.protocols.protocol.Protocol.expected", lambda self, split: {"train": 3, "test": 1}[split]
    )
    (raw / NAMES[0]).with_suffix(".json").write_text("")
    with pytest.raises(StrictError, match="1 broken and 1 missing") as caught:
        convert("nw_ucla_xview", raw, out, strict=True)
    assert "a01_s01_e00_v01.json" in "\n".join(caught.value.report.lines())
    assert not out.exists() and shards_folder(out).exists()  # what was read can be used without --strict
    convert("nw_ucla_xview", raw, out)
    assert only(tmp_path / "made" / "for") == ["nothing"]


def test_an_existing_output_is_safe(tmp_path: Path, raw: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    convert("nw_ucla_xview", raw, out)  # an empty folder is no loss
    before = (out / "s2i.json").read_text()
    with pytest.raises(ValueError, match=r"is there already.*--overwrite"):
        convert("nw_ucla_xview", raw, out, "npz")
    assert (out / "s2i.json").read_text() == before
    convert("nw_ucla_xview", raw, out, "npz", overwrite=True)
    assert json.loads((out / "s2i.json").read_text())["format"] == "npz" and not (out / "README.md").exists()
    precious = tmp_path / "photos"
    precious.mkdir()
    (precious / "me.png").write_text("me")
    with pytest.raises(ValueError, match="not made by `s2i convert`"):
        convert("nw_ucla_xview", raw, precious, overwrite=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="no folder"):
        convert("nw_ucla_xview", raw, tmp_path / "file", overwrite=True)
    assert only(tmp_path) == ["file", "out", "photos", "raw"] and only(precious) == ["me.png"]


def test_nothing_readable_at_all(tmp_path: Path, raw: Path) -> None:
    for path in raw.iterdir():
        path.write_text("[]")
    with pytest.raises(ValueError, match="None of the 4 recordings of nw_ucla_xview can be read") as caught:
        convert("nw_ucla_xview", raw, tmp_path / "out")
    assert one_sentence(caught.value) and only(tmp_path) == ["raw"]


def test_wrong_arguments(tmp_path: Path, raw: Path) -> None:
    out = tmp_path / "out"
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("Did you mean 'nw_ucla_xview'", {"name": "nw_ucla_xvew"}),
        ("is not there", {"data_dir": tmp_path / "nowhere"}),
        ("expected one of parquet", {"format": "csv"}),
        ("num_proc is 0", {"num_proc": 0}),
        ("Shard 2/2 does not exist", {"shard": (2, 2)}),
        ("labels is for custom data", {"labels": "x.csv"}),
    ]
    for words, changes in wrong:
        with pytest.raises(ValueError, match=words):
            convert(**{"name": "nw_ucla_xview", "data_dir": raw, "output": out, **changes})
    assert only(tmp_path) == ["raw"]


# -- going on ----------------------------------------------------------------------------------------------------------

MANY = [f"a0{1 + index % 6}_s01_e{index:02}_v0{1 + index % 3}" for index in range(20)]


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s2i_hf.data.convert_shards._MAX_FILES", 3)  # so that 20 recordings are 7 shards


@pytest.fixture
def many(tmp_path: Path, small_shards: None) -> Path:
    write_nw_ucla(tmp_path / "raw", MANY)
    (tmp_path / "raw" / "a01_s02_e00_v01.json").write_text("{")
    return tmp_path / "raw"


def at_call(owner: Any, name: str, number: int, action: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Do something before the call of that number, from 1 on."""
    original, calls = getattr(owner, name), [0]

    def counted(*arguments: Any, **options: Any) -> Any:
        calls[0] += 1
        if calls[0] == number:
            action()
        return original(*arguments, **options)

    monkeypatch.setattr(owner, name, counted)


PLACES: list[tuple[Any, str, int]] = [
    (s2i_hf.data.storage.ShardWriter, "write", 1),  # in the first shard
    (s2i_hf.data.storage.ShardWriter, "close", 4),
    (s2i_hf.data.convert_shards, "write_atomically", 6),  # the fifth shard: its files are there, what they are is not
    (s2i_hf.data.convert, "_put_in_place", 1),
    (s2i_hf.data.convert, "_place", 7),
    (s2i_hf.data.convert, "write_meta", 1),
    (s2i_hf.data.convert, "_replace", 1),
    (s2i_hf.data.convert.shutil, "rmtree", 2),  # clearing away
]

CASES: list[tuple[int, Format, bool]] = [(place, "parquet", False) for place in range(len(PLACES))]
CASES += [(place, "parquet", True) for place in range(4, len(PLACES))]
CASES += [(place, "npz", False) for place in (1, 4, 7)]


@fork_only
@pytest.mark.parametrize(("place", "format", "overwrite"), CASES)
def test_killed_anywhere_it_goes_on_to_the_same_bytes(
    tmp_path: Path, many: Path, monkeypatch: pytest.MonkeyPatch, place: int, format: Format, overwrite: bool
) -> None:
    convert("nw_ucla_xview", many, tmp_path / "undisturbed", format)
    out = tmp_path / "out"
    if overwrite:
        convert("nw_ucla_xview", many, out, format, denoise=False)

    def kill() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def killed() -> None:
        at_call(*PLACES[place], kill, monkeypatch)
        convert("nw_ucla_xview", many, out, format, overwrite=overwrite)

    child = multiprocessing.get_context("fork").Process(target=killed)
    child.start()
    child.join()
    assert child.exitcode in ({-signal.SIGKILL, 0} if PLACES[place][1] == "rmtree" else {-signal.SIGKILL})
    convert("nw_ucla_xview", many, out, format, overwrite=overwrite)
    assert contents(out) == contents(tmp_path / "undisturbed")
    assert only(tmp_path) == ["out", "raw", "undisturbed"]


@fork_only
def test_killed_between_two_renamings_the_old_output_comes_back(
    tmp_path: Path, many: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    convert("nw_ucla_xview", many, out, denoise=False)
    before = contents(out)

    def killed() -> None:
        original = Path.rename

        def rename(self: Path, target: Any) -> Any:
            if Path(target) == out:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(self, target)

        monkeypatch.setattr(Path, "rename", rename)
        convert("nw_ucla_xview", many, out, overwrite=True)

    child = multiprocessing.get_context("fork").Process(target=killed)
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL and not out.exists()
    with pytest.raises(ValueError, match="is there already"):  # without overwrite; but it is there again
        convert("nw_ucla_xview", many, out)
    assert contents(out) == before


def test_only_the_rest_is_done(tmp_path: Path, many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, read = tmp_path / "new" / "out", []
    original = s2i_hf.data.recorded_rows.read_file

    def interrupted(file: Any, *rest: Any) -> Any:
        read.append(file.stem)
        if len(read) == 11:
            raise KeyboardInterrupt
        return original(file, *rest)

    monkeypatch.setattr(s2i_hf.data.recorded_rows, "read_file", interrupted)
    with pytest.raises(
        KeyboardInterrupt, match=r"interrupted; 3 of 7 shards are in .*: run the same command again to go on\."
    ):
        convert("nw_ucla_xview", many, out)
    assert only(out.parent) == [".out.shards"]
    report = convert("nw_ucla_xview", many, out)
    assert len(read) == 11 + 21 - 9 and sum(report.kept.values()) == 20 and len(report.broken) == 1
    assert only(out.parent) == ["out"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
@pytest.mark.parametrize("place", [0, 1, 4])
def test_errors_leave_the_old_output_and_say_how_to_go_on(
    tmp_path: Path, many: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, place: int
) -> None:
    out = tmp_path / "new" / "out"

    def fail() -> None:
        raise error

    with monkeypatch.context() as patch:
        at_call(*PLACES[place], fail, patch)
        with pytest.raises(type(error)) as caught:
            convert("nw_ucla_xview", many, out)
    if place == 0:
        assert only(tmp_path) == ["raw"]  # not a single shard: nothing stays
    else:
        assert str(caught.value).endswith("run the same command again to go on.") and not out.exists()
    convert("nw_ucla_xview", many, out)
    before = contents(out)
    with monkeypatch.context() as patch:
        at_call(*PLACES[place], fail, patch)
        with pytest.raises(type(error)):
            convert("nw_ucla_xview", many, out, denoise=False, overwrite=True)
    assert contents(out) == before


def test_the_same_bytes_for_any_number_of_processes_and_from_a_zip(tmp_path: Path, many: Path) -> None:
    convert("nw_ucla_xview", many, tmp_path / "one")
    convert("nw_ucla_xview", many, tmp_path / "three", num_proc=3)
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", many)
    convert("nw_ucla_xview", archive, tmp_path / "zipped", num_proc=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "three") == contents(tmp_path / "zipped")
    assert not re.search(rb"20\d\d-\d", (tmp_path / "one" / "s2i.json").read_bytes())  # no date in it


def test_a_finished_output_is_left_as_it_is(tmp_path: Path, many: Path) -> None:
    out = tmp_path / "out"
    first = convert("nw_ucla_xview", many, out, "npz")
    stamp = (out / "s2i.json").stat().st_mtime_ns
    shards_folder(out).mkdir()  # as if killed while clearing away
    again = convert("nw_ucla_xview", many, out, "npz")
    assert "holds this conversion already" in again.lines()[0] and again.lines()[1:] == first.lines()
    assert (out / "s2i.json").stat().st_mtime_ns == stamp and only(tmp_path) == ["out", "raw"]
    with pytest.raises(StrictError):
        convert("nw_ucla_xview", many, out, "npz", strict=True)
    for changes in ({"format": "parquet"}, {"denoise": False}, {"name": "nw_ucla_xview1"}):
        with pytest.raises(ValueError, match="is there already"):
            convert(**{"name": "nw_ucla_xview", "data_dir": many, "output": out, "format": "npz", **changes})  # type: ignore[arg-type]
    path = many / f"{MANY[0]}.json"
    os.utime(path, ns=(stamp + 10**9, stamp + 10**9))  # edited since, with the same size
    with pytest.raises(ValueError, match="is there already"):
        convert("nw_ucla_xview", many, out, "npz")


def test_the_newest_change_is_that_of_files_or_their_archive(tmp_path: Path, raw: Path) -> None:
    for number, name in enumerate(NAMES):
        os.utime(raw / f"{name}.json", (number + 10, number + 10))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x.json", "{}")
    os.utime(tmp_path / "a.zip", (99, 99))
    newest, found = s2i_hf.data.convert._newest_change, list_raw_files(raw)
    assert newest(found) == 13 and newest(found[:1]) == 10 and newest([]) == 0
    assert newest(list_raw_files(tmp_path / "a.zip")) == 99
    assert newest([found[0].with_companions(found[3])]) == 13


def test_a_recording_that_changes_meanwhile_is_read_again(tmp_path: Path, many: Path) -> None:
    out = tmp_path / "out"
    convert("nw_ucla_xview", many, out, "npz", shard=(0, 1))
    path = many / f"{MANY[0]}.json"
    text = path.read_text()
    digit = next(at for at, character in enumerate(text) if character == "." and text[at + 1] != "9") + 1
    path.write_text(text[:digit] + "9" + text[digit + 1 :])  # of the same size
    os.utime(path, (2**32, 2**32))
    convert("nw_ucla_xview", many, out, "npz")
    found = as_rows(load_skeletons(out)["train"])
    joints = json.loads(path.read_text())["skeletons"]
    np.testing.assert_array_equal(found[found.sample_ids.index(MANY[0])]["joints"][:, 0], np.float32(joints))


def test_shards_of_other_data_are_thrown_away_and_it_is_said(tmp_path: Path, many: Path) -> None:
    out = tmp_path / "out"
    convert("nw_ucla_xview", many, out, shard=(0, 2))
    write_nw_ucla(many, ["a06_s09_e00_v01"])
    report = convert("nw_ucla_xview", many, out)
    assert report.lines()[0].endswith("were thrown away: other data, options or code.")
    assert sum(report.kept.values()) == 21


def test_a_killed_reader_is_one_sentence(tmp_path: Path, many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = s2i_hf.data.recorded_rows.read_file

    def killed(file: Any, *rest: Any) -> Any:
        if file.stem == MANY[-1]:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(file, *rest)

    monkeypatch.setattr(s2i_hf.data.recorded_rows, "read_file", killed)
    with pytest.raises(ChildProcessError, match="memory ran out; try a smaller --num-proc") as caught:
        convert("nw_ucla_xview", many, tmp_path / "out", num_proc=2)
    assert one_sentence(str(caught.value).replace(str(tmp_path), "")) and not (tmp_path / "out").exists()
    monkeypatch.undo()
    assert sum(convert("nw_ucla_xview", many, tmp_path / "out").kept.values()) == 20


def test_the_frame_rate_that_files_state_or_somebody_says(tmp_path: Path) -> None:
    stated, said = tmp_path / "stated", tmp_path / "said"
    for folder in (stated, said):
        folder.mkdir()
    (stated / "walk.bvh").write_text(BVH)
    np.save(said / "a.npy", walk(5, 1, 6, 0)[:, 0] / 2)
    convert("folder", stated, tmp_path / "a", any_size=True)
    assert read_meta(tmp_path / "a")["fps"] == pytest.approx(30, rel=1e-3)
    with pytest.raises(ValueError, match="the files say 30 frames a second, and fps is 60"):
        convert("folder", stated, tmp_path / "b", any_size=True, fps=60)
    layout = {
        "name": "tests_own_rate",
        "joint_names": list("abcdef"),
        "parents": [-1] * 6,
        "parts": {"torso": list("abcdef")},
    }
    convert("folder", said, tmp_path / "c", layout=layout, fps=50)
    assert read_meta(tmp_path / "c")["fps"] == 50 and find_clips(tmp_path / "c").fps == 50
