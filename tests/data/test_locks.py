from __future__ import annotations

import multiprocessing
import shutil
from pathlib import Path

import pytest
from conftest import one_sentence

import s2i_hf.data.locks
from s2i_hf.data.locks import Lock, forget_locks

pytest.importorskip("fcntl")


def test_one_holds_or_several_share(tmp_path: Path) -> None:
    path = tmp_path / "new" / "lock"
    first, second = Lock(path), Lock(path)
    assert first.take() and not second.take() and not second.take(shared=True)
    first.share()
    assert second.take(shared=True) and not Lock(path).take()
    first.release()
    second.release()
    third = Lock(path)
    assert third.take()
    third.release()


def test_a_lock_in_a_deleted_folder_guards_nothing(tmp_path: Path) -> None:
    path = tmp_path / "pieces" / "lock"
    first = Lock(path)
    assert first.take()
    shutil.rmtree(tmp_path / "pieces")
    second = Lock(path)
    assert second.take()  # of a new file
    first.release()
    assert not Lock(path).take()
    second.release()


def test_waiting_ends_with_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s2i_hf.data.locks, "PATIENCE", 0.1)
    lock = Lock(tmp_path / "lock")
    with (
        lock.held("shard 0/2"),
        pytest.raises(ValueError, match="works on shard 0/2") as caught,
        Lock(tmp_path / "lock").held("shard 0/2"),
    ):
        pass
    assert one_sentence(caught.value)
    with Lock(tmp_path / "lock").held("shard 0/2"):
        assert not Lock(tmp_path / "lock").take()


def _forget_and_wait(pipe: object) -> None:
    forget_locks()
    pipe.send("ready")  # type: ignore[attr-defined]
    pipe.recv()  # type: ignore[attr-defined]


def test_children_do_not_keep_a_lock_alive(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "lock")
    assert lock.take()
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    child = context.Process(target=_forget_and_wait, args=(theirs,))
    child.start()
    try:
        assert ours.recv() == "ready"
        lock.release()
        other = Lock(tmp_path / "lock")
        assert other.take()
        other.release()
    finally:
        ours.send("go")
        child.join()
