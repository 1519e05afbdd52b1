from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import refused
from hypothesis import given, settings, strategies as st
from own_files import FLAT_STAR, STAR, damages, joints, joints_in, npy, npz, raw, reads_or_refuses

from s2i_hf.processing.layouts import LAYOUTS
from s2i_hf.readers import RawFile, ReadError
from s2i_hf.readers.generic import array_facts, arrays
from s2i_hf.readers.generic.arrays import open_npz, read_array
from s2i_hf.readers.generic.pose_estimators import keypoints_json

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
        (TWO.transpose(3, 0, 2, 1), TWO),  # values first, as ST-GCN
        (ONE[:, 0].transpose(2, 0, 1), ONE),
        (np.asfortranarray(TWO), TWO),
        (ONE.astype(np.float16)[:, 0], ONE.astype(np.float16)),
        ((ONE * 1000).astype(np.int32)[:, 0], (ONE * 1000).astype(np.int32)),
    ],
)
def test_accepted_shapes(stored: np.ndarray, expected: np.ndarray) -> None:
    clip = arrays.as_clip(stored, STAR, "a.npy").joints
    assert clip.dtype == np.float64
    np.testing.assert_array_equal(clip, expected)


def test_a_score_or_state_follows_the_coordinates() -> None:
    state = np.random.default_rng(0).integers(0, 3, (12, 2, 4, 1))
    clip = arrays.as_clip(np.concatenate([TWO, state], axis=-1), STAR, "a.npy").joints
    np.testing.assert_array_equal(clip, np.where(state > 0, TWO, np.nan))


def test_axes_decide() -> None:
    with refused(ReadError, "a.npy", "5 frames of 2 people", "2 frames of 5 people", "'TMVC'", "'MTVC'"):
        arrays.as_clip(TWO[:5], STAR, "a.npy")
    np.testing.assert_array_equal(arrays.as_clip(TWO[:5], STAR, "a.npy", "TMVC").joints, TWO[:5])
    np.testing.assert_array_equal(arrays.as_clip(TWO[:5].swapaxes(0, 1), STAR, "a.npy", "mtvc").joints, TWO[:5])


@pytest.mark.parametrize(("width", "source"), [(263, "HumanML3D"), (251, "KIT-ML"), (623, "Motion-X")])
def test_motion_features_are_no_joints(tmp_path: Path, width: int, source: str) -> None:
    file = raw(tmp_path, "000021.npy", npy(np.zeros((40, width), np.float32)))
    for layout in (None, STAR, LAYOUTS["smpl_22"]):
        with refused(ReadError, "000021.npy", source, "new_joint_vecs", "new_joints"):
            array_facts.read(file, layout)


def test_pixels_have_two_values_or_three() -> None:
    flat = ONE[..., :2]
    np.testing.assert_array_equal(arrays.as_clip(flat[:, 0], FLAT_STAR, "a").joints, flat)
    np.testing.assert_array_equal(arrays.as_clip(flat.reshape(12, 8), FLAT_STAR, "a").joints, flat)
    scored = np.where(ONE[..., 2:] > 0, ONE[..., :2], np.nan)  # the third value is a score
    np.testing.assert_array_equal(arrays.as_clip(ONE.reshape(12, 12), FLAT_STAR, "a").joints, scored)
    with pytest.raises(ReadError, match=r"shape \(12, 1, 4, 2\); expected \(T, 4, 3 or 4\)"):
        arrays.as_clip(flat, STAR, "a.npy")


@pytest.mark.parametrize(
    "shape", [(12,), (12, 13), (12, 5, 3), (12, 1, 4, 5), (0, 4, 3), (12, 0, 4, 3), (12, 0), (2, 3, 1, 4, 3), (3, 12, 4, 11), ()]
)  # fmt: skip
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with refused(ReadError, str(shape), "test_star"):
        arrays.as_clip(np.zeros(shape), STAR, "a.npy")


def test_files_of_all_kinds_hold_the_same_clip(tmp_path: Path) -> None:
    files: dict[str, Any] = {
        "a.npy": npy(TWO),
        "one.npz": npz(anything=TWO),
        "named.npz": npz(True, fps=np.array(30), joints=TWO),
        "a.json": TWO.tolist(),
        "object.json": {"fps": 30, "keypoints": TWO.tolist()},
    }
    for name, content in files.items():
        np.testing.assert_array_equal(
            joints_in(keypoints_json if name.endswith("json") else array_facts, raw(tmp_path, name, content), STAR),
            TWO,
            err_msg=name,
        )


def test_null_is_missing(tmp_path: Path) -> None:
    lists = ONE[:, 0].tolist()
    lists[3][1] = [None, None, None]
    clip = joints_in(keypoints_json, raw(tmp_path, "a.json", lists), STAR)
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
    with refused(ReadError, name, words):
        joints_in(keypoints_json if name.endswith("json") else array_facts, raw(tmp_path, name, content), STAR)


def test_a_confusion_of_layouts_names_both(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"shape \(12, 1, 4, 3\); expected \(T, 25, 3 or 4\).*'kinect_v2'"):
        joints_in(array_facts, raw(tmp_path, "a.npy", npy(ONE)), LAYOUTS["kinect_v2"])


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_files_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    whole = {"fuzz.npy": npy(ONE), "fuzz.npz": npz(x=ONE), "fuzz.json": json.dumps(ONE.tolist()).encode()}
    name = data.draw(st.sampled_from(sorted(whole)))
    file = raw(tmp_path_factory.getbasetemp(), name, data.draw(damages(whole[name])))
    reads_or_refuses(lambda: joints_in(array_facts, file, STAR), name)


# -- files of numpy ----------------------------------------------------------------------------------------------------


def read_npy(file: RawFile) -> np.ndarray:
    return read_array(io.BytesIO(file.read()), file.name)


CLIP = np.random.default_rng(0).normal(size=(4, 5, 3)).astype(np.float32)


@pytest.mark.parametrize(
    "array", [CLIP, CLIP.astype(">f8"), np.asfortranarray(CLIP), np.zeros((0, 3)), np.arange(6).reshape(2, 3)]
)
def test_reads_what_numpy_wrote(tmp_path: Path, array: np.ndarray) -> None:
    np.testing.assert_array_equal(read_npy(raw(tmp_path, "a.npy", npy(array))), array)
    with open_npz(raw(tmp_path, "a.npz", npz(x=array, y=CLIP))) as arrays:
        assert arrays.keys == ["x", "y"] and arrays.header("x").shape == array.shape
        np.testing.assert_array_equal(arrays.array("x"), array)


@pytest.mark.parametrize("compressed", [False, True])
def test_rows_come_one_by_one(tmp_path: Path, compressed: bool) -> None:
    with open_npz(raw(tmp_path, "a.npz", npz(compressed, x=CLIP))) as arrays:
        np.testing.assert_array_equal(np.stack(list(arrays.rows("x"))), CLIP)


class Harmful:
    def __reduce__(self) -> object:
        return print, ("this must not run",)


def test_objects_are_never_loaded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.array([Harmful()], dtype=object), allow_pickle=True)
    with pytest.raises(ReadError, match=r"a\.npy: holds Python objects, which are never loaded"):
        read_npy(raw(tmp_path, "a.npy", buffer.getvalue()))
    with pytest.raises(ReadError, match=r"a\.npy: no \.npy data"):
        read_npy(raw(tmp_path, "a.npy", pickle.dumps(Harmful())))
    np.savez(tmp_path / "a.npz", x=np.array([Harmful()], dtype=object))
    with open_npz(RawFile(tmp_path / "a.npz")) as arrays, pytest.raises(ReadError, match="never loaded"):
        arrays.array("x")
    assert capsys.readouterr().out == ""


def header(shape: str, descr: str = "'<f4'") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (header("(1000000000, 1000, 1000)"), "MB"),  # a bomb: no memory is taken for it
        (header("(4, 5, 3)"), "ends after 0 of 240 bytes"),
        (header("(-1, 3)") + bytes(12), "shape (-1, 3)"),
        (header(f"({10**30},)"), "shape"),
        (header("(2,)", "'<U5'"), "holds"),
        (header("(2,)", "[('x', '<f4')]"), "holds"),
        (header("(2,)", "'<c8'"), "complex"),
        (header("__import__('os')"), "no .npy data"),
        (npy(CLIP)[:100], "no .npy data"),
        (b"PK\x03\x04", "no .npy data"),
    ],
)
def test_bad_headers_are_one_clear_sentence(tmp_path: Path, content: bytes, words: str) -> None:
    with refused(ReadError, "a.npy", words):
        read_npy(raw(tmp_path, "a.npy", content))


def test_archives_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"gone\.npz: no readable"), open_npz(RawFile(tmp_path / "gone.npz")):
        pass
    with (
        open_npz(raw(tmp_path, "a.npz", npz(x=CLIP))) as arrays,
        pytest.raises(ReadError, match=r"a\.npz: y is damaged"),
    ):
        arrays.array("y")
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("x.npy", header("(9, 5, 3)") + CLIP.tobytes())
    with open_npz(RawFile(tmp_path / "b.npz")) as arrays, pytest.raises(ReadError, match="ends in clip 5 of 9"):
        list(arrays.rows("x"))


def test_an_archive_inside_an_archive(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("clips/a.npz", npz(x=CLIP))
    with open_npz(RawFile(tmp_path / "all.zip", "clips/a.npz")) as arrays:
        np.testing.assert_array_equal(arrays.array("x"), CLIP)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), compressed=st.booleans())
def test_damaged_files_of_numpy_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, compressed: bool
) -> None:
    folder = tmp_path_factory.getbasetemp()
    file = raw(folder, "fuzz.npy", data.draw(damages(npy(CLIP))))
    reads_or_refuses(lambda: read_npy(file), "fuzz.npy")
    archive = raw(folder, "fuzz.npz", data.draw(damages(npz(compressed, x=CLIP))))

    def read() -> None:
        with open_npz(archive) as arrays:
            for key in arrays.keys:
                arrays.array(key)
                list(arrays.rows(key))

    reads_or_refuses(read, "fuzz.npz")
