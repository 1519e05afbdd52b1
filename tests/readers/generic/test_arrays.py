from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import one_sentence
from hypothesis import given, settings, strategies as st
from own_files import FLAT_STAR, STAR, damages, joints, npy, npz, raw, reads_or_refuses

from s2i_hf.processing.layouts import LAYOUTS
from s2i_hf.readers import ReadError
from s2i_hf.readers.generic import arrays

ONE, TWO = joints(12), joints(12, people=2)  # (T, M, V, 3)


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (ONE[:, 0], ONE),
        (ONE, ONE),
        (TWO, TWO),
        (TWO.swapaxes(0, 1), TWO),  # people first, as PYSKL
        (ONE.reshape(12, 12), ONE),
        (TWO.reshape(12, 24), TWO),
        (TWO[:5], TWO[:5]),  # neither axis is longer than ten: time first
        (ONE.astype(np.float16)[:, 0], ONE.astype(np.float16)),
        ((ONE * 1000).astype(np.int32)[:, 0], (ONE * 1000).astype(np.int32)),
    ],
)
def test_accepted_shapes(stored: np.ndarray, expected: np.ndarray) -> None:
    clip = arrays.as_clip(stored, STAR, "a.npy")
    assert clip.dtype == np.float64
    np.testing.assert_array_equal(clip, expected)


def test_pixels_have_two_values_or_three() -> None:
    flat = ONE[..., :2]
    np.testing.assert_array_equal(arrays.as_clip(flat[:, 0], FLAT_STAR, "a"), flat)
    np.testing.assert_array_equal(arrays.as_clip(flat.reshape(12, 8), FLAT_STAR, "a"), flat)
    np.testing.assert_array_equal(arrays.as_clip(ONE.reshape(12, 12), FLAT_STAR, "a"), ONE)
    with pytest.raises(ReadError, match=r"shape \(12, 1, 4, 2\); expected \(T, 4, 3\)"):
        arrays.as_clip(flat, STAR, "a.npy")


@pytest.mark.parametrize(
    "shape", [(12,), (12, 13), (12, 5, 3), (12, 1, 4, 4), (0, 4, 3), (12, 0, 4, 3), (12, 0), (2, 3, 1, 4, 3), (3, 12, 4, 2), ()]
)  # fmt: skip
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ReadError) as caught:
        arrays.as_clip(np.zeros(shape), STAR, "a.npy")
    assert one_sentence(caught.value) and str(shape) in str(caught.value) and "test_star" in str(caught.value)


def test_files_of_all_kinds_hold_the_same_clip(tmp_path: Path) -> None:
    files: dict[str, Any] = {
        "a.npy": npy(TWO),
        "one.npz": npz(anything=TWO),
        "named.npz": npz(True, fps=np.array(30), joints=TWO),
        "a.json": TWO.tolist(),
        "object.json": {"fps": 30, "keypoints": TWO.tolist()},
    }
    for name, content in files.items():
        np.testing.assert_array_equal(arrays.read_joints(raw(tmp_path, name, content), STAR), TWO, err_msg=name)


def test_null_is_missing(tmp_path: Path) -> None:
    lists = ONE[:, 0].tolist()
    lists[3][1] = [None, None, None]
    clip = arrays.read_joints(raw(tmp_path, "a.json", lists), STAR)
    assert np.argwhere(np.isnan(clip)).tolist() == [[3, 0, 1, 0], [3, 0, 1, 1], [3, 0, 1, 2]]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.npz", npz(x=ONE, y=ONE), "arrays x, y"),
        ("a.npz", npz(), "no arrays"),
        ("a.json", {"joints": [[[1, 2, 3]], [[1, 2]]]}, "ragged"),
        ("a.json", [[["1", "2", "3"]]], "<U1"),
        ("a.json", [[[True, False, True]]], "bool"),
        ("a.json", [[[None, "2", 3]]], "ragged or not of numbers"),
        ("a.json", [[[1, 2, 10**400]]], "ragged or not of numbers"),
        ("a.json", {"fps": 30}, "no arrays"),
        ("a.json", 3, "shape ()"),
        ("a.json", "[[[1, 2", "not JSON"),
        ("a.json", "[" * 100_000, "not JSON"),
        ("a.json", "", "empty"),
    ],
)
def test_broken_files_are_one_clear_sentence(tmp_path: Path, name: str, content: Any, words: str) -> None:
    with pytest.raises(ReadError) as caught:
        arrays.read_joints(raw(tmp_path, name, content), STAR)
    assert one_sentence(caught.value) and name in str(caught.value) and words in str(caught.value)


def test_a_confusion_of_layouts_names_both(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"shape \(12, 1, 4, 3\); expected \(T, 25, 3\).*'kinect_v2'"):
        arrays.read_joints(raw(tmp_path, "a.npy", npy(ONE)), LAYOUTS["kinect_v2"])


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_files_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    whole = {"fuzz.npy": npy(ONE), "fuzz.npz": npz(x=ONE), "fuzz.json": json.dumps(ONE.tolist()).encode()}
    name = data.draw(st.sampled_from(sorted(whole)))
    file = raw(tmp_path_factory.getbasetemp(), name, data.draw(damages(whole[name])))
    reads_or_refuses(lambda: arrays.read_joints(file, STAR), name)
