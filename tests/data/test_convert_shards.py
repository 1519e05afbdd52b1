from __future__ import annotations

import json
import multiprocessing
import os
import select
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import one_sentence
from skeleton_files import write_nw_ucla

import s2i_hf.data.convert_shards as shards
import s2i_hf.data.recorded_rows as recorded_rows
from s2i_hf.data.convert_shards import (
    Plan,
    cut,
    load_plan,
    load_shard,
    make_plan,
    make_shard,
    make_shards,
    shard_json,
    shards_folder,
    working_on,
)
from s2i_hf.data.skeleton_rows import SkeletonRows
from s2i_hf.data.storage import protocol_of
from s2i_hf.protocols import PROTOCOLS
from s2i_hf.readers import RawFile
from s2i_hf.readers.discovery import find_recordings
from s2i_hf.readers.recordings import Recordings

NAMES = ["a01_s01_e00_v01", "a02_s01_e00_v02", "a08_s02_e00_v03"]
MANY = [f"a01_s01_e{index:02}_v0{1 + index % 3}" for index in range(12)]
fork_only = pytest.mark.skipif(
    multiprocessing.get_start_method() != "fork", reason="the children must see what the test patched"
)


@pytest.fixture
def recordings(tmp_path: Path) -> Recordings:
    write_nw_ucla(tmp_path / "raw", NAMES)
    (tmp_path / "raw" / "a03_s01_e00_v01.json").write_text("{")
    return find_recordings("nw_ucla_xview", tmp_path / "raw")


def a_plan(recordings: Recordings, denoise: bool = True) -> Plan:
    return make_plan(recordings, denoise, "npz", len(cut(recordings.all_files)))


def make(recordings: Recordings, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    make_shard(folder, a_plan(recordings), 0, recordings.all_files, recordings.protocol)


# -- plans -------------------------------------------------------------------------------------------------------------


def test_plans_are_equal_for_equal_data_wherever_it_is(tmp_path: Path) -> None:
    write_nw_ucla(tmp_path / "a", NAMES)
    write_nw_ucla(tmp_path / "b" / "deeper", NAMES)
    os.utime(tmp_path / "a" / f"{NAMES[0]}.json", (1, 1))
    plan_of = lambda folder, denoise=True: a_plan(find_recordings("nw_ucla_xview", folder), denoise)  # noqa: E731
    plan = plan_of(tmp_path / "a")
    assert plan == plan_of(tmp_path / "b")
    facts = {"protocol": "nw_ucla_xview", "recordings": 3, "shards": 1, "layout": "kinect_v1", "format": "npz"}
    assert facts.items() <= plan.items() and plan["expected"] == {"train": 1020, "test": 464}
    assert plan_of(tmp_path / "a", denoise=False)["plan"] != plan["plan"]
    path = tmp_path / "b" / "deeper" / f"{NAMES[0]}.json"
    path.write_text(path.read_text() + " ")
    assert plan_of(tmp_path / "b")["plan"] != plan["plan"]


def test_what_is_left_out_is_in_the_plan_and_shortened(tmp_path: Path) -> None:
    write_nw_ucla(tmp_path, NAMES)
    for index in range(30):
        (tmp_path / f"x{index:02}.json").write_text("{}")
    found = a_plan(find_recordings("nw_ucla_xview", tmp_path))["left_out"]["not named like a recording"]
    assert found["count"] == 30 and found["first"] == [f"x{index:02}.json" for index in range(20)]


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"plan'])
def test_what_is_no_plan(tmp_path: Path, text: str) -> None:
    (tmp_path / "plan.json").write_text(text)
    assert load_plan(tmp_path) is None


def test_lists_beside_the_data_travel_with_the_plan() -> None:
    lists = {"train": frozenset({"0002-L"}), "test": frozenset({"0003-M"})}
    protocol = replace(PROTOCOLS["nw_ucla_xview"], split_by="sample", split_files=("rule.txt",), **lists)
    plan = make_plan(Recordings(protocol, {"train": [], "test": []}), True, "npz", 0)
    assert plan["split_lists"] == {"train": ["0002-L"], "test": ["0003-M"]}
    found = protocol_of(plan)
    assert found is not None and found.split_by == "sample" and (found.train, found.test) == tuple(lists.values())


def test_cutting_follows_numbers_and_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    def files(*sizes: int) -> list[RawFile]:
        return [RawFile(Path(f"{index}.txt"), size=size) for index, size in enumerate(sizes)]

    assert [len(shard) for shard in cut(files(*[1000] * 2100))] == [1024, 1024, 52]
    mega = 1 << 20
    assert [len(shard) for shard in cut(files(160 * mega, 96 * mega, 1, 800 * mega, 1, -1))] == [2, 1, 1, 2]
    beside = files(160 * mega, 1)
    beside[1] = beside[1].with_companions(RawFile(Path("labels.txt"), size=120 * mega))
    assert [len(shard) for shard in cut(beside)] == [1, 1]
    assert cut([]) == []


# -- one shard ---------------------------------------------------------------------------------------------------------


def test_a_shard_holds_clips_and_errors(tmp_path: Path, recordings: Recordings) -> None:
    folder = tmp_path / "shards"
    assert load_shard(folder, 0) is None
    make(recordings, folder)
    shard = load_shard(folder, 0)
    assert shard is not None and shard.ids == {"train": NAMES[:2], "test": NAMES[2:]} and shard.layouts == {}
    assert len(shard.broken) == 1 and shard.broken[0].startswith("a03_s01_e00_v01.json: ")
    assert SkeletonRows.of_npz([folder / "train-00000.npz"]).sample_ids == NAMES[:2]
    assert {path.name for path in folder.iterdir()} == {"00000.json", "train-00000.npz", "test-00000.npz"}
    assert set(shard.sha256) == {"train-00000.npz", "test-00000.npz"}
    before = (folder / "train-00000.npz").read_bytes()
    make(recordings, folder)
    assert (folder / "train-00000.npz").read_bytes() == before


def test_a_shard_is_whole_or_not_there(tmp_path: Path, recordings: Recordings) -> None:
    def stop(clips: int) -> None:
        raise KeyboardInterrupt

    folder = tmp_path / "shards"
    folder.mkdir()
    with pytest.raises(KeyboardInterrupt):
        make_shard(folder, a_plan(recordings), 0, recordings.all_files, recordings.protocol, stop)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("damage", ["gone", "no json", "other json"])
def test_damaged_shards_are_not_used(tmp_path: Path, recordings: Recordings, damage: str) -> None:
    folder = tmp_path / "shards"
    make(recordings, folder)
    clips = folder / "train-00000.npz"
    content = clips.read_bytes()
    if damage == "gone":
        clips.unlink()
    else:
        shard_json(folder, 0).write_text({"no json": "{", "other json": "[1]"}[damage])
    assert load_shard(folder, 0) is None
    make(recordings, folder)  # and are replaced
    assert load_shard(folder, 0) is not None and clips.read_bytes() == content


@pytest.mark.parametrize("name", ["a\nb", "a\udc80b"])
def test_ids_that_cannot_be_stored_are_broken_recordings(
    tmp_path: Path, recordings: Recordings, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    original = recorded_rows.read_file

    def renamed(*arguments: Any) -> Any:
        for clip in original(*arguments):
            yield clip._replace(sequence=replace(clip.sequence, sample_id=name))  # type: ignore[union-attr]

    monkeypatch.setattr(recorded_rows, "read_file", renamed)
    files = [RawFile(tmp_path / "raw" / f"{NAMES[0]}.json")]
    make_shard(tmp_path, a_plan(recordings), 0, files, recordings.protocol)
    shard = load_shard(tmp_path, 0)
    assert shard is not None and shard.ids == {} and "rename the recording" in shard.broken[0]
    assert one_sentence(shard.broken[0])


# -- in several processes ----------------------------------------------------------------------------------------------


@pytest.fixture
def many(tmp_path: Path) -> Recordings:
    write_nw_ucla(tmp_path / "raw", MANY)
    (tmp_path / "shards").mkdir()
    return find_recordings("nw_ucla_xview", tmp_path / "raw")


def make_all(recordings: Recordings, folder: Path, num_proc: int, advance: Any = lambda *more: None) -> None:
    work = {2 * index: [file] for index, file in enumerate(recordings.all_files)}
    make_shards(folder, a_plan(recordings), work, recordings.protocol, num_proc, advance)


@pytest.mark.parametrize("num_proc", [1, 2, 50])
def test_all_shards_are_made(tmp_path: Path, many: Recordings, num_proc: int) -> None:
    told: list[tuple[int, int]] = []
    make_all(many, tmp_path / "shards", num_proc, lambda *more: told.append(more))
    assert all(load_shard(tmp_path / "shards", 2 * index) for index in range(12))
    assert (sum(files for files, _ in told), sum(clips for _, clips in told)) == (12, 12)


@fork_only
def test_a_killed_process_is_one_sentence(tmp_path: Path, many: Recordings, monkeypatch: pytest.MonkeyPatch) -> None:
    original = shards.recorded_rows

    def killed(file: RawFile, *rest: Any) -> Any:
        if file.stem == MANY[5]:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(file, *rest)

    monkeypatch.setattr(shards, "recorded_rows", killed)
    with pytest.raises(ChildProcessError, match="memory ran out; try a smaller --num-proc"):
        make_all(many, tmp_path / "shards", 2)


def test_an_interrupted_caller_leaves_no_process_at_work(tmp_path: Path, many: Recordings) -> None:
    def interrupted(files: int, clips: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_all(many, tmp_path / "shards", 2, interrupted)
    made = [path.name for path in (tmp_path / "shards").iterdir()]
    assert made and not [name for name in made if name.endswith(".tmp")]  # whole ones, and nothing half-made
    assert not [child for child in multiprocessing.active_children() if "Process" in child.name and child.is_alive()]


def _work_for_ever(folder: Path, recordings: Recordings, pipe: int) -> None:
    def slow(*arguments: object) -> None:
        os.write(pipe, b"x")
        time.sleep(3600)

    shards.recorded_rows = slow  # type: ignore[assignment]
    make_all(recordings, folder, 2)


@fork_only
def test_processes_end_with_a_killed_caller(tmp_path: Path, many: Recordings) -> None:
    reading, writing = os.pipe()
    arguments = (tmp_path / "shards", many, writing)
    caller = multiprocessing.get_context("fork").Process(target=_work_for_ever, args=arguments)
    caller.start()
    os.close(writing)
    for _ in range(2):  # both processes are at work
        assert os.read(reading, 1) == b"x"
    os.kill(caller.pid or 0, signal.SIGKILL)
    caller.join()
    try:  # the pipe ends when nobody is left who could write to it
        assert select.select([reading], [], [], 30)[0] == [reading]
    finally:
        os.close(reading)


# -- the folder of shards ----------------------------------------------------------------------------------------------


def test_the_folder_is_made_ready(tmp_path: Path, recordings: Recordings) -> None:
    output, plan = tmp_path / "out", a_plan(recordings)
    folder = shards_folder(output)
    assert folder == tmp_path / ".out.shards" and load_plan(folder) is None
    with working_on(output, plan) as note:
        assert note == ""
        make(recordings, folder)
    (folder / "train-00001.npz.7.tmp").write_bytes(b"")  # what killed processes leave
    (folder / "output").mkdir()
    (folder / "old").mkdir()
    (folder / "old" / "s2i.json").write_text("the previous one")
    with working_on(output, plan) as note:
        assert note == "" and load_shard(folder, 0) is not None and load_plan(folder) == plan
        expected = ["00000.json", "lock", "plan.json", "test-00000.npz", "train-00000.npz"]
        assert sorted(path.name for path in folder.iterdir()) == expected
        assert (output / "s2i.json").read_text() == "the previous one"  # killed between two renamings
    other = a_plan(recordings, denoise=False)
    with working_on(output, other) as note:
        assert "thrown away" in note and one_sentence(note.replace(str(tmp_path), ""))
        assert sorted(path.name for path in folder.iterdir()) == ["lock", "plan.json"] and load_plan(folder) == other


def test_two_at_once(tmp_path: Path, recordings: Recordings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "PATIENCE", 0.1)
    output, plan, other = tmp_path / "out", a_plan(recordings), a_plan(recordings, denoise=False)
    with working_on(output, plan, (0, 2)), working_on(output, plan, (1, 2)):
        for wrong_plan, part in ((plan, None), (plan, (1, 2)), (other, (2, 3))):
            with (
                pytest.raises(ValueError, match="Another `s2i convert` works") as caught,
                working_on(output, wrong_plan, part),
            ):
                pass
            assert one_sentence(str(caught.value).replace(str(tmp_path), ""))
    with working_on(output, plan):
        for part in (None, (0, 2)):
            with pytest.raises(ValueError, match="Another"), working_on(output, plan, part):
                pass
    with working_on(output, other, (0, 2)) as note:
        assert note == ""  # there was no shard to throw away
    assert json.loads((shards_folder(output) / "plan.json").read_text())["denoise"] is False


def _hold_and_wait(pipe: Any, output: Path, plan: Plan) -> None:
    with working_on(output, plan):
        child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(3600,), daemon=True)
        child.start()
        pipe.send(child.pid)
        pipe.recv()


@fork_only
def test_children_do_not_keep_a_lock_alive(tmp_path: Path, recordings: Recordings) -> None:
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    holder = context.Process(target=_hold_and_wait, args=(theirs, tmp_path / "out", a_plan(recordings)))
    holder.start()
    child = ours.recv()
    try:
        os.kill(holder.pid or 0, signal.SIGKILL)
        holder.join()
        with working_on(tmp_path / "out", a_plan(recordings)):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
