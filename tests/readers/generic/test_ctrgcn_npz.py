from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import refused
from hypothesis import given, settings, strategies as st
from own_files import STAR, damages, joints, npy, npz, raw, reads_or_refuses

from s2i_hf.readers import ReadError
from s2i_hf.readers.generic import ctrgcn_npz

LENGTHS = (3, 7, 5)


def padded(lengths: tuple[int, ...] = LENGTHS, frames: int = 8, people: int = 2) -> np.ndarray:
    """(N, T, M * V * 3): the second person is there in every other clip, from the second frame on."""
    clips = np.zeros((len(lengths), frames, people, STAR.num_joints, 3), dtype=np.float32)
    for index, length in enumerate(lengths):
        clips[index, :length, 0] = joints(length, seed=index)[:, 0]
        if index % 2:
            clips[index, 1:length, 1] = joints(length, seed=index)[1:, 0] + 1
    return clips.reshape(len(lengths), frames, -1)


def one_hot(labels: list[int], classes: int = 4) -> np.ndarray:
    return np.eye(classes)[labels]


def content(**changes: np.ndarray) -> dict[str, np.ndarray]:
    whole = {"x_train": padded(), "y_train": one_hot([2, 0, 3]), "x_test": padded((2,)), "y_test": one_hot([1])}
    return {**whole, **changes}


@pytest.mark.parametrize("compressed", [False, True])
def test_padding_is_taken_off_again(tmp_path: Path, compressed: bool) -> None:
    file = raw(tmp_path, "NTU60_CS.npz", npz(compressed, **content()))
    assert ctrgcn_npz.is_container(file)
    labels, classes = ctrgcn_npz.read_labels(file)
    assert {split: numbers.tolist() for split, numbers in labels.items()} == {"train": [2, 0, 3], "test": [1]}
    assert classes == 4
    clips = list(ctrgcn_npz.read_clips(file, STAR))
    assert [(split, index) for split, index, _ in clips] == [("train", 0), ("train", 1), ("train", 2), ("test", 0)]
    shapes = []
    for _, index, clip in clips[:3]:
        assert isinstance(clip, np.ndarray)
        shapes.append(clip.shape)
        np.testing.assert_array_equal(clip[:, 0], np.float32(joints(LENGTHS[index], seed=index)[:, 0]))
    assert shapes == [(3, 1, 4, 3), (7, 2, 4, 3), (5, 1, 4, 3)]
    second = clips[1][2]
    assert isinstance(second, np.ndarray)
    assert np.isnan(second[0, 1]).all() and not np.isnan(second[1:]).any()


def test_labels_as_numbers_or_none_at_all(tmp_path: Path) -> None:
    file = raw(tmp_path, "a.npz", npz(x_train=padded(), y_train=np.array([4, 0, 2]), x_test=padded((2,))))
    labels, classes = ctrgcn_npz.read_labels(file)
    assert (labels["train"].tolist(), labels["test"].tolist(), classes) == ([4, 0, 2], [-1], 5)


def test_other_npz_files_are_no_container(tmp_path: Path) -> None:
    assert not ctrgcn_npz.is_container(raw(tmp_path, "a.npz", npz(joints=joints())))
    assert not ctrgcn_npz.is_container(raw(tmp_path, "b.npy", npy(joints())))
    assert not ctrgcn_npz.is_container(raw(tmp_path, "c.npz", b"PK nothing"))


def test_an_empty_clip_is_an_error_of_its_own(tmp_path: Path) -> None:
    clips = padded()
    clips[1] = 0
    found = [clip for _, _, clip in ctrgcn_npz.read_clips(raw(tmp_path, "a.npz", npz(**content(x_train=clips))), STAR)]
    assert isinstance(found[1], ReadError) and "a.npz: clip 2 of x_train is all zero" in str(found[1])
    assert all(isinstance(found[index], np.ndarray) for index in (0, 2, 3))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"y_train": one_hot([2, 0])}, "2 labels in y_train for 3 clips"),
        ({"y_train": one_hot([2, 0, 3]) * 2}, "not one-hot in row 1"),
        ({"y_train": np.zeros((3, 4))}, "not one-hot in row 1"),
        ({"y_train": np.array([0, -1, 2])}, "from -1 to 2"),
        ({"y_train": np.array([0.5, 1, 2])}, "one-hot rows or whole numbers"),
        ({"y_train": np.array([np.nan, 1, 2])}, "one-hot rows or whole numbers"),
        ({"x_train": np.zeros((3, 8, 25))}, "expected (N, T, M * 12)"),
        ({"x_train": np.zeros((3, 8))}, "expected (N, T, M * 12)"),
        ({"x_train": np.asfortranarray(padded())}, "column by column"),
        ({"x_train": np.array(["a", "b", "c"])}, "expected numbers"),
    ],
)
def test_broken_files_are_one_clear_sentence(tmp_path: Path, changes: dict[str, np.ndarray], words: str) -> None:
    file = raw(tmp_path, "a.npz", npz(**content(**changes)))
    with refused(ReadError, "a.npz", words):
        ctrgcn_npz.read_labels(file)
        list(ctrgcn_npz.read_clips(file, STAR))


def test_memory_holds_one_clip(tmp_path: Path) -> None:
    """Clips come out before the file is read to its end: of a file that is cut off, the first ones are still there."""
    whole = npz(**content(x_train=padded((8,) * 50)))
    import zipfile

    path = tmp_path / "a.npz"
    path.write_bytes(whole)
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(tmp_path / "cut.npz", "w") as cut:
        cut.writestr("x_train.npy", archive.read("x_train.npy")[:-10_000])
    found = []
    with pytest.raises(ReadError, match=r"cut\.npz: x_train: ends in clip 3\d of 50"):
        for _, _, clip in ctrgcn_npz.read_clips(raw(tmp_path, "cut.npz", (tmp_path / "cut.npz").read_bytes()), STAR):
            found.append(clip)
    assert len(found) > 30


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_files_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    file = raw(tmp_path_factory.getbasetemp(), "fuzz.npz", data.draw(damages(npz(**content()))))
    ctrgcn_npz.is_container(file)
    reads_or_refuses(lambda: ctrgcn_npz.read_labels(file), "fuzz.npz")
    reads_or_refuses(lambda: list(ctrgcn_npz.read_clips(file, STAR)), "fuzz.npz")
