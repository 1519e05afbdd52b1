from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from conftest import refused
from hypothesis import given, settings, strategies as st
from own_files import FLAT_STAR, STAR, damages, joints, npy, npz, raw, reads_or_refuses

from s2i_hf.data.loading import load_skeletons
from s2i_hf.processing.layouts import LAYOUTS
from s2i_hf.readers import RawFile, ReadError
from s2i_hf.readers.discovery import read_file
from s2i_hf.readers.generic import clip_arrays
from s2i_hf.readers.generic.folder import find_folder
from s2i_hf.readers.recordings import Clip, Recordings

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
    assert clip_arrays.is_container(file)
    labels, classes = clip_arrays.read_labels(file)
    assert {split: found.labels.tolist() for split, found in labels.items()} == {"train": [2, 0, 3], "test": [1]}
    assert classes == 4
    clips = list(clip_arrays.read_clips(file, STAR))
    assert [name for name, _ in clips] == ["train_000000", "train_000001", "train_000002", "test_000000"]
    assert [name for found in labels.values() for name in found.names] == [name for name, _ in clips]
    shapes = []
    for index, (_, clip) in enumerate(clips[:3]):
        assert isinstance(clip, np.ndarray)
        shapes.append(clip.shape)
        np.testing.assert_array_equal(clip[:, 0], np.float32(joints(LENGTHS[index], seed=index)[:, 0]))
    assert shapes == [(3, 1, 4, 3), (7, 2, 4, 3), (5, 1, 4, 3)]
    second = clips[1][1]
    assert isinstance(second, np.ndarray)
    assert np.isnan(second[0, 1]).all() and not np.isnan(second[1:]).any()


def test_labels_as_numbers_or_none_at_all(tmp_path: Path) -> None:
    file = raw(tmp_path, "a.npz", npz(x_train=padded(), y_train=np.array([4, 0, 2]), x_test=padded((2,))))
    labels, classes = clip_arrays.read_labels(file)
    assert (labels["train"].labels.tolist(), labels["test"].labels.tolist(), classes) == ([4, 0, 2], [-1], 5)


def test_other_npz_files_are_no_container(tmp_path: Path) -> None:
    assert not clip_arrays.is_container(raw(tmp_path, "a.npz", npz(joints=joints())))
    assert not clip_arrays.is_container(raw(tmp_path, "b.npy", npy(joints())))
    assert not clip_arrays.is_container(raw(tmp_path, "c.npz", b"PK nothing"))


def test_an_empty_clip_is_an_error_of_its_own(tmp_path: Path) -> None:
    clips = padded()
    clips[1] = 0
    found = [clip for _, clip in clip_arrays.read_clips(raw(tmp_path, "a.npz", npz(**content(x_train=clips))), STAR)]
    assert isinstance(found[1], ReadError) and "a.npz: x_train: clip 2 is all zero" in str(found[1])
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
        clip_arrays.read_labels(file)
        list(clip_arrays.read_clips(file, STAR))


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
        for _, clip in clip_arrays.read_clips(raw(tmp_path, "cut.npz", (tmp_path / "cut.npz").read_bytes()), STAR):
            found.append(clip)
    assert len(found) > 30


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_files_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    file = raw(tmp_path_factory.getbasetemp(), "fuzz.npz", data.draw(damages(npz(**content()))))
    clip_arrays.is_container(file)
    reads_or_refuses(lambda: clip_arrays.read_labels(file), "fuzz.npz")
    reads_or_refuses(lambda: list(clip_arrays.read_clips(file, STAR)), "fuzz.npz")


# -- arrays of ST-GCN and those after it -------------------------------------------------------------------------------

K2 = LAYOUTS["kinect_v2"]
NAMES = [f"S001C00{number}P001R001A00{number}" for number in (1, 2, 3)]


def clips_of(lengths: tuple[int, ...] = LENGTHS, people: int = 2) -> list[np.ndarray]:
    """(T, M, V, 3) each: the second person is there in every other clip, from the second frame on."""
    clips = []
    for index, length in enumerate(lengths):
        clip = joints(length, people if index % 2 else 1, K2, seed=index)
        clip[:1, 1:] = np.nan
        clips.append(clip)
    return clips


def stored(clips: list[np.ndarray], frames: int = 30, axes: str = "NCTVM") -> np.ndarray:
    """Clips padded with zeros, as ST-GCN keeps them."""
    whole = np.zeros((len(clips), 3, frames, 25, 2), dtype=np.float32)
    for clip, place in zip(clips, whole, strict=True):
        place[:, : len(clip), :, : clip.shape[1]] = np.nan_to_num(clip).transpose(3, 0, 2, 1)
    return whole.transpose(["NCTVM".index(letter) for letter in axes])


def write(folder: Path, label_form: str = "pkl", data: str = "train_data.npy") -> list[np.ndarray]:
    folder.mkdir(parents=True, exist_ok=True)
    clips = clips_of()
    np.save(folder / data, stored(clips))
    label = folder / f"{data.partition('data')[0]}label"
    if label_form == "pkl":
        label.with_suffix(".pkl").write_bytes(pickle.dumps(([f"{name}.skeleton" for name in NAMES], [2, 0, 3])))
    elif label_form == "npy":
        np.save(label.with_suffix(".npy"), np.array([2, 0, 3]))
    elif label_form == "one-hot":
        np.save(label.with_suffix(".npy"), one_hot([2, 0, 3]))
    return clips


def read(recordings: Recordings, split: str) -> list[Clip]:
    found = [clip for file in recordings.files[split] for clip in read_file(file, recordings.protocol)]  # type: ignore[index]
    assert all(isinstance(clip, Clip) for clip in found), found
    return [clip for clip in found if isinstance(clip, Clip)]


@pytest.mark.parametrize("form", ["pkl", "npy", "one-hot", "none"])
@pytest.mark.parametrize("data", ["train_data.npy", "train_data_joint.npy", "val_data.npy", "data.npy"])
def test_whole_data_sets_with_their_labels(tmp_path: Path, form: str, data: str) -> None:
    clips = write(tmp_path / "set", form, data)
    for place in (tmp_path / "set", tmp_path / "set" / data):
        recordings = find_folder(place, "kinect_v2")
        split = "test" if data.startswith("val") else "train"
        found = [clip.sequence for clip in read(recordings, split)]
        assert [clip.label for clip in found] == ([-1, -1, -1] if form == "none" else [2, 0, 3])
        assert bool([line for line in recordings.warnings if "no labels" in line]) == (form == "none")
        stem = data.removesuffix(".npy")
        ids = NAMES if form == "pkl" else [f"{split}_{index:06}" for index in range(3)]
        assert [clip.sample_id for clip in found] == [f"{stem}_{name}" for name in ids]
        for clip, expected in zip(found, clips, strict=True):
            np.testing.assert_array_equal(clip.joints, expected.astype(np.float32))
        assert not recordings.left_out


def test_train_and_test_as_one_data_set(tmp_path: Path) -> None:
    folder = tmp_path / "raw" / "xsub"
    write(folder)
    write(folder, data="val_data.npy")
    np.save(folder / "train_data_bone.npy", stored(clips_of()))
    np.save(folder / "train_data_joint_motion.npy", stored(clips_of()))
    data = load_skeletons("folder", data_dir=tmp_path / "raw", layout="kinect_v2", cache_dir=tmp_path / "cache")
    assert {split: len(rows) for split, rows in data.items()} == {"train": 3, "test": 3}
    left_out = find_folder(tmp_path / "raw", "kinect_v2").left_out
    (reason,) = left_out
    assert "bones or motions" in reason and len(left_out[reason]) == 2


@pytest.mark.parametrize("axes", ["NCTVM", "NMTVC", "NTMVC"])
def test_clips_of_every_order(tmp_path: Path, axes: str) -> None:
    clips = clips_of()
    np.save(tmp_path / "train_data.npy", stored(clips, axes=axes))
    for said in (None, axes):
        found = read(find_folder(tmp_path, "kinect_v2", axes=said), "train")
        for clip, expected in zip(found, clips, strict=True):
            np.testing.assert_array_equal(clip.sequence.joints, expected.astype(np.float32))


def test_whole_data_sets_of_two_readings_are_refused(tmp_path: Path) -> None:
    np.save(
        tmp_path / "train_data.npy", stored(clips_of())[:1]
    )  # (1, 3, 30, 25, 2) in pixels: x y score, or three people
    (error,) = read_file(*(lambda found: (found.all_files[0], found.protocol))(find_folder(tmp_path, "openpose_25")))
    assert isinstance(error, ReadError) and "NMTVC" in str(error) and "NCTVM" in str(error)
    short = np.stack([np.nan_to_num(clip.swapaxes(0, 1)) for clip in clips_of((8, 8), 2)[1:]])  # (1, 2, 8, 25, 3)
    np.save(tmp_path / "train_data.npy", short)
    (error,) = read_file(*(lambda found: (found.all_files[0], found.protocol))(find_folder(tmp_path, "kinect_v2")))
    assert isinstance(error, ReadError) and "8 frames of 2 people" in str(error) and "pass axes" in str(error)
    (clip,) = read(find_folder(tmp_path, "kinect_v2", axes="MTVC"), "train")
    assert clip.sequence.joints.shape == (8, 2, 25, 3)


def test_one_person_clips_by_axes(tmp_path: Path) -> None:
    clips = np.stack([joints(12, 1, K2, seed=seed)[:, 0] for seed in range(4)])
    np.save(tmp_path / "all.npy", clips)
    found = read(find_folder(tmp_path, "kinect_v2", axes="NTVC"), "train")
    np.testing.assert_array_equal(np.stack([clip.sequence.joints[:, 0] for clip in found]), clips.astype(np.float32))


@pytest.mark.parametrize(
    ("label", "content", "words"),
    [
        ("train_label.pkl", pickle.dumps((NAMES[:2], [2, 0])), "2 labels for 3 clips"),
        ("train_label.pkl", pickle.dumps((NAMES, [2, 0])), "2 labels for 3 names"),
        ("train_label.pkl", pickle.dumps({"a": 1}), "holds no labels"),
        ("train_label.pkl", pickle.dumps((NAMES, NAMES)), "holds no labels"),
        ("train_label.pkl", pickle.dumps((NAMES, [2, 0, -3])), "labels from 0"),
        ("train_label.pkl", pickle.dumps(Path("x")), "nothing of it was run"),
        ("train_label.pkl", pickle.dumps((NAMES, [2, 0, 1]), 0), "protocol 2 to 5"),
        ("train_label.npy", npy(np.array([1, 2])), "2 labels for 3 clips"),
        ("train_label.npy", npy(np.array([0.5, 1, 2])), "whole numbers"),
        ("train_label.npy", npy(one_hot([1, 2, 3]) * 2), "not one-hot"),
    ],
)
def test_labels_that_do_not_fit(tmp_path: Path, label: str, content: bytes, words: str) -> None:
    np.save(tmp_path / "train_data.npy", stored(clips_of()))
    (tmp_path / label).write_bytes(content)
    with refused(ValueError, label, words):
        find_folder(tmp_path, "kinect_v2")


def test_other_joints_and_columns_are_refused(tmp_path: Path) -> None:
    file = raw(tmp_path, "train_data.npy", npy(stored(clips_of())))
    with refused(ReadError, "train_data.npy", "(3, 3, 30, 25, 2)", "'test_star'"):
        list(clip_arrays.read_clips(file, STAR))
    with refused(ReadError, "train_data.npy", "'coco_17'"):
        list(clip_arrays.read_clips(file, LAYOUTS["coco_17"]))
    file = raw(tmp_path, "train_data.npy", npy(np.asfortranarray(stored(clips_of()))))
    with refused(ReadError, "column by column"):
        list(clip_arrays.read_clips(file, K2))


def test_scores_and_states_follow_the_coordinates(tmp_path: Path) -> None:
    whole = np.random.default_rng(0).uniform(1, 900, (2, 3, 20, 4, 2))
    whole[0, 2, 3, 1, 0] = 0
    (_, first), (_, second) = clip_arrays.read_clips(raw(tmp_path, "data.npy", npy(whole)), FLAT_STAR, "NCTVM")
    assert isinstance(first, np.ndarray) and isinstance(second, np.ndarray)
    assert first.shape == second.shape == (20, 2, 4, 2)
    assert np.argwhere(np.isnan(first)).tolist() == [[3, 0, 1, 0], [3, 0, 1, 1]]
    np.testing.assert_array_equal(second, whole[1, :2].transpose(1, 3, 2, 0))


def test_memory_holds_one_clip_of_an_array(tmp_path: Path) -> None:
    whole = npy(stored(clips_of((8,) * 40)))
    found = []
    with pytest.raises(ReadError, match=r"cut\.npy: ends in clip 3\d of 40"):
        for _, clip in clip_arrays.read_clips(raw(tmp_path, "cut.npy", whole[:-100_000]), K2):
            found.append(clip)
    assert len(found) > 30
    with (tmp_path / "train_data.npy").open("wb") as file:  # 20 GB that take no place on the disk
        np.lib.format.write_array_header_1_0(  # type: ignore[attr-defined]
            file, {"descr": "<f4", "fortran_order": False, "shape": (450_000, 3, 150, 25, 1)}
        )
        file.truncate(file.tell() + 4 * 450_000 * 3 * 150 * 25)
    first = next(iter(clip_arrays.read_clips(RawFile(tmp_path / "train_data.npy"), K2)))
    assert isinstance(first[1], ReadError) and "all zero" in str(first[1])


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_damaged_arrays_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.getbasetemp()
    label = raw(folder, "fuzz_label.pkl", data.draw(damages(pickle.dumps((NAMES, [2, 0, 3])))))
    file = raw(folder, "fuzz_data.npy", data.draw(damages(npy(stored(clips_of())))), label)
    clip_arrays.is_container(file)
    reads_or_refuses(lambda: clip_arrays.read_labels(file), "fuzz_")
    reads_or_refuses(lambda: list(clip_arrays.read_clips(file, K2)), "fuzz_")
