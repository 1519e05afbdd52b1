"""Files are described from their first bytes, and nothing in them is run."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from s2i_hf.inspection.file_types import describe, head, is_pickle, json_shape, npz_headers
from s2i_hf.readers import RawFile, ReadError


def described(path):
    return describe(RawFile(path))


def test_arrays(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((7, 25, 3), np.float32))
    assert described(tmp_path / "a.npy") == "an array of float32, shape (7, 25, 3)"
    np.savez_compressed(tmp_path / "b.npz", x_train=np.zeros((4, 300, 150)), y_train=np.zeros((4, 60)))
    assert described(tmp_path / "b.npz") == "arrays x_train (4, 300, 150), y_train (4, 60)"
    assert npz_headers(RawFile(tmp_path / "b.npz"))["y_train"] == ((4, 60), False, np.dtype("float64"))
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        archive.write(tmp_path / "a.npy", "deep/a.npy")
        archive.write(tmp_path / "b.npz", "deep/b.npz")
    assert describe(RawFile(tmp_path / "in.zip", "deep/a.npy")) == "an array of float32, shape (7, 25, 3)"
    assert "x_train" in describe(RawFile(tmp_path / "in.zip", "deep/b.npz"))


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_are_recognised_and_never_loaded(tmp_path, monkeypatch, protocol):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"annotations": [Bomb()]}, protocol))
    assert is_pickle(RawFile(tmp_path / "a.pkl")) and "pickle" in described(tmp_path / "a.pkl")
    array = np.empty(2, dtype=object)
    array[:] = [Bomb(), Bomb()]
    np.save(tmp_path / "b.npy", array, allow_pickle=True)
    assert "pickle" in described(tmp_path / "b.npy")
    assert sorted(os.listdir(tmp_path)) == ["a.pkl", "b.npy"]


def test_text_is_no_pickle(tmp_path):
    for text in ("clap\nwave\n", "(dance)\n", "cnn_features 1 2\n", "lp\n"):
        (tmp_path / "classes.txt").write_text(text)
        assert not is_pickle(RawFile(tmp_path / "classes.txt"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 2 3\n4 5 6\n", "text, 3 numbers a line, between blanks"),
        ("x,y\n1,2\n", "text, 2 numbers a line, between commas below 1 line such as 'x,y'"),
        ("1;2\n1;2;3\n", "text, 2 to 3 numbers a line, between semicolons"),
        ("S001C001P001R001A001\n", "text, first line 'S001C001P001R001A001'"),
        ("HIERARCHY\nROOT Hips\n{\nJOINT Spine\n", "BVH motion capture with 2 joints"),
        ('{"skeletons": [[[1, 2, 3]]], "label": 2}', "JSON, an object with skeletons (1 x 1 x 3 numbers), label (a number)"),
        ('{"skeletons": [[[1, 2', "broken JSON (truncated?)"),
        ("", "empty"),
    ],
)  # fmt: skip
def test_text(tmp_path, text, expected):
    (tmp_path / "a").write_text(text)
    assert described(tmp_path / "a") == expected
    (tmp_path / "a.gz").write_bytes(gzip.compress(text.encode()))
    if text and text[0] != "{":
        assert described(tmp_path / "a.gz") == f"gzip of {expected}"


def test_structure_of_json():
    assert json_shape([]) == "an empty list" and json_shape({}) == "an empty object" and json_shape(None) == "none"
    detections = [[{"keypoints": [1, 2, 3], "score": 0.5}]]
    assert json_shape(detections) == "a list of 1 x 1, each an object with keypoints (3 numbers), score (a number)"
    assert json_shape({"a": True, "b": "text"}) == "an object with a (true), b (text 'text')"
    deep: object = 1
    for _ in range(50):
        deep = {"inside": deep}
    assert len(json_shape(deep)) < 200


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x89HDF\r\n", "HDF5"), (b"Rar!\x1a", "RAR"), (b"RIFF1234AVI LIST", "video"), (b"\x00\x00\x00\x18ftypmp42", "video"),
        (b"\xff\xfe1\x002\x00", "UTF-16"), (b"\x00\x01\x02" * 50, "binary"), (b"PAR1xxxx", "Parquet"),
    ],
)  # fmt: skip
def test_signatures(tmp_path, data, words):
    (tmp_path / "a.bin").write_bytes(data)
    assert words in described(tmp_path / "a.bin")


def test_what_cannot_be_read(tmp_path):
    assert "cannot be read" in described(tmp_path / "absent")
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in described(tmp_path / "pipe")
    with pytest.raises(ReadError, match="absent"):
        head(RawFile(tmp_path / "absent"))
    with pytest.raises(ReadError, match=r"absent\.npz"):
        npz_headers(RawFile(tmp_path / "absent.npz"))
    assert not is_pickle(RawFile(tmp_path / "absent"))


SEEDS = [
    b"\x93NUMPY\x01\x00",
    b"PK\x03\x04",
    b"MATLAB 5.0 MAT-file",
    b"{",
    b"[[",
    b"\x1f\x8b\x08",
    b"HIERARCHY",
    b"\x80\x04",
    b"1 2,3\n",
    b"",
]


@settings(max_examples=200, deadline=None)
@given(
    start=st.sampled_from(SEEDS),
    rest=st.binary(max_size=200),
    name=st.sampled_from(["a.npy", "a.npz", "a.json", "a.safetensors", "a.txt"]),
)
def test_any_bytes_are_described_in_a_phrase(tmp_path_factory, start, rest, name):
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(start + rest)
    text = described(path)
    assert text and "\n" not in text and len(text) < 1000


@settings(deadline=None)
@given(st.integers(0, 400))
def test_cut_off_arrays(tmp_path_factory, cut):
    path = tmp_path_factory.getbasetemp() / "cut.npz"
    np.savez(path, a=np.zeros(3))
    path.write_bytes(path.read_bytes()[:cut])
    assert described(path)
    path.write_text(json.dumps({"a": [1.5] * 30})[: cut // 3])
    assert described(path)


def test_matlab_files(tmp_path: Path) -> None:
    from scipy.io import savemat

    savemat(tmp_path / "a.mat", {"d_skel": np.zeros((20, 3, 5)), "fps": 30})
    assert describe(RawFile(tmp_path / "a.mat")) == "a MATLAB file with d_skel, fps"
    (tmp_path / "b.mat").write_bytes((tmp_path / "a.mat").read_bytes()[:300])
    assert "damaged MATLAB file" in describe(RawFile(tmp_path / "b.mat"))
