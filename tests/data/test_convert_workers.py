from __future__ import annotations

import multiprocessing
import os
import select
import signal
import time
from pathlib import Path

import pytest
from skeleton_files import write_nw_ucla

import s2i_hf.data.convert_workers as workers
from s2i_hf.data.convert_shards import load_piece
from s2i_hf.data.convert_workers import make_pieces
from s2i_hf.readers import RawFile
from s2i_hf.readers.discovery import find_recordings
from s2i_hf.readers.recordings import Recordings

Work = list[tuple[int, list[RawFile]]]
NAMES = [f"a01_s01_e{index:02}_v0{1 + index % 3}" for index in range(12)]
fork_only = pytest.mark.skipif(
    multiprocessing.get_start_method() != "fork", reason="the children must see what the test patched"
)


@pytest.fixture
def recordings(tmp_path: Path) -> Recordings:
    write_nw_ucla(tmp_path / "raw", NAMES)
    (tmp_path / "pieces").mkdir()
    return find_recordings("nw_ucla_xview", tmp_path / "raw")


def work_of(recordings: Recordings) -> Work:
    return [(2 * index, [file]) for index, file in enumerate(recordings.all_files)]


@pytest.mark.parametrize("num_proc", [1, 2, 50])
def test_all_pieces_are_made(tmp_path: Path, recordings: Recordings, num_proc: int) -> None:
    told = []
    make_pieces(
        tmp_path / "pieces", work_of(recordings), recordings.protocol, True, num_proc, lambda *more: told.append(more)
    )
    assert sorted(int(path.name) for path in (tmp_path / "pieces").iterdir()) == [2 * index for index in range(12)]
    assert all(load_piece(tmp_path / "pieces", 2 * index) for index in range(12))
    assert (sum(files for files, _ in told), sum(clips for _, clips in told)) == (12, 12)


@fork_only
def test_a_killed_process_is_one_sentence(
    tmp_path: Path, recordings: Recordings, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = workers.make_piece

    def killed(folder: Path, index: int, *rest: object) -> None:
        if index == 10:
            os.kill(os.getpid(), signal.SIGKILL)
        original(folder, index, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(workers, "make_piece", killed)
    with pytest.raises(ChildProcessError, match="memory ran out; try a smaller --num-proc"):
        make_pieces(tmp_path / "pieces", work_of(recordings), recordings.protocol, True, 2, lambda *more: None)


@fork_only
def test_an_interrupted_caller_leaves_no_process_at_work(
    tmp_path: Path, recordings: Recordings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(files: int, clips: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_pieces(tmp_path / "pieces", work_of(recordings), recordings.protocol, True, 2, interrupted)
    made = sorted(path.name for path in (tmp_path / "pieces").iterdir())
    assert made and all(name.isdigit() for name in made)  # whole ones, and nothing half-made
    assert not [child for child in multiprocessing.active_children() if "Process" in child.name and child.is_alive()]


def _work_for_ever(folder: Path, recordings: Recordings, pipe: int) -> None:
    def slow(*arguments: object) -> None:
        os.write(pipe, b"x")
        time.sleep(3600)

    workers.make_piece = slow  # type: ignore[assignment]
    make_pieces(folder, work_of(recordings), recordings.protocol, True, 2, lambda *more: None)


@fork_only
def test_processes_end_with_a_killed_caller(tmp_path: Path, recordings: Recordings) -> None:
    reading, writing = os.pipe()
    arguments = (tmp_path / "pieces", recordings, writing)
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
