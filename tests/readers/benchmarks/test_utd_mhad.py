from __future__ import annotations

import io
import struct
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from conftest import refused
from hypothesis import HealthCheck, given, settings, strategies as st
from scipy.io import loadmat, savemat

from s2i_hf.readers import ReadError
from s2i_hf.readers.benchmarks import utd_mhad
from s2i_hf.readers.discovery import find_recordings, read_file
from s2i_hf.readers.mat_files import read_array
from s2i_hf.readers.recordings import file_id

NAME = "a3_s2_t4_skeleton.mat"


def mat(compressed: bool = False, **variables: object) -> bytes:
    """A MATLAB file as scipy writes it."""
    stream = io.BytesIO()
    savemat(stream, variables, do_compression=compressed)
    return stream.getvalue()


def skeleton(frames: int = 5) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 3, (20, 3, frames))


def write(folder: Path, data: bytes) -> Path:
    (folder / NAME).write_bytes(data)
    return folder / NAME


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("frames", [1, 5])
def test_reads_what_is_in_the_file(tmp_path: Path, frames: int, compressed: bool) -> None:
    values = skeleton(frames)
    stored = values[..., 0] if frames == 1 else values  # MATLAB has no last axis of length 1
    sequence = utd_mhad.read(write(tmp_path, mat(compressed, other=np.arange(3), d_skel=stored)))
    assert sequence.joints.shape == (frames, 1, 20, 3)
    for t in range(frames):
        for joint in range(20):
            assert sequence.joints[t, 0, joint].tolist() == [float(np.float32(v)) for v in values[joint, :, t]]
    assert (sequence.sample_id, sequence.label, sequence.subject) == ("a3_s2_t4", 2, 2)
    assert sequence.layout.name == "utd_mhad"


@pytest.mark.parametrize("dtype", ["f8", "f4", "i2", "u1", "i4", "i8"])
@pytest.mark.parametrize("compressed", [False, True])
def test_arrays_are_those_that_scipy_reads(dtype: str, compressed: bool) -> None:
    array = np.random.default_rng(0).uniform(0, 99, (4, 3, 2)).astype(dtype)
    data = mat(compressed, first=np.ones((2, 2)), x=array, text="abc", cell=np.array([1, "a"], dtype=object))
    np.testing.assert_array_equal(read_array(data, "x", "f"), loadmat(io.BytesIO(data))["x"])


def test_big_endian_and_small_elements() -> None:
    def element(kind: int, data: bytes) -> bytes:
        return struct.pack(">II", kind, len(data)) + data + b"\0" * (-len(data) % 8)

    small_name = struct.pack(">HH", 2, 1) + b"ab\0\0"  # size and type in one word
    body = element(6, struct.pack(">II", 6, 0)) + element(5, struct.pack(">ii", 2, 1)) + small_name
    body += element(3, struct.pack(">hh", -7, 300))  # doubles that are stored as whole numbers
    data = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x01\x00MI" + element(14, body)
    assert read_array(data, "ab", "f").tolist() == [[-7], [300]]
    assert loadmat(io.BytesIO(data))["ab"].tolist() == [[-7], [300]]


@cache
def broken() -> dict[str, tuple[bytes, list[str]]]:
    nan, far = skeleton(), skeleton()
    nan[7, 2, 3] = np.nan
    far[0, 0, 0] = 1e300
    good = mat(d_skel=skeleton())
    header = good[:128]
    bomb = zlib.compress(b"\0" * (80 << 20))
    return {
        "no MATLAB": (b"x" * 400, ["no MATLAB 5 file"]),
        "7.3": (b"MATLAB 7.3 MAT-file" + b" " * 400, ["-v7"]),
        "other variable": (mat(skel=skeleton()), ["d_skel", "'skel'"]),
        "no variable": (header, ["d_skel", "none"]),
        "other shape": (mat(d_skel=np.zeros((25, 3, 4))), ["25 x 3 x 4", "20 x 3"]),
        "no frame": (mat(d_skel=np.zeros((20, 3, 0))), ["20 x 3 x 0"]),
        "text": (mat(d_skel="hello"), ["real numbers"]),
        "objects": (mat(d_skel=np.array([[1, "a"]], dtype=object)), ["real numbers"]),
        "structure": (mat(d_skel={"a": 1}), ["real numbers"]),
        "complex": (mat(d_skel=skeleton() * 1j), ["real numbers"]),
        "NaN": (mat(d_skel=nan), ["frame 4 of 5", "z of joint 8", "nan"]),
        "too far": (mat(d_skel=far), ["frame 1 of 5", "1e+300"]),
        "millimetres": (mat(d_skel=1000 * skeleton()), ["millimetres"]),
        "truncated": (good[:-100], ["ends too early"]),
        "bomb": (header + struct.pack("<II", 15, len(bomb)) + bomb, ["64 MB"]),
        "not compressed": (header + struct.pack("<II", 15, 40) + b"\1" * 40, ["damaged"]),
        "many variables": (mat(**{f"v{i}": 1 for i in range(150)}), ["100 variables"]),
        "huge": (good.replace(struct.pack("<3i", 20, 3, 5), struct.pack("<3i", 20, 3, 2**31 - 1)), ["2147483647"]),
        "negative": (good.replace(struct.pack("<3i", 20, 3, 5), struct.pack("<3i", 20, -3, -5)), ["-3"]),
        "empty": (b"", ["empty"]),
    }


@pytest.mark.parametrize("case", broken())
def test_broken_files_are_one_clear_sentence(tmp_path: Path, case: str) -> None:
    data, words = broken()[case]
    with refused(ReadError, NAME, *words):
        utd_mhad.read(write(tmp_path, data))


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.booleans(), st.lists(st.tuples(st.integers(0, 700), st.integers(0, 255)), max_size=5), st.integers(1, 2700))
def test_damaged_files_give_joints_or_an_error(
    tmp_path: Path, compressed: bool, changes: list[tuple[int, int]], end: int
) -> None:
    data = bytearray(mat(compressed, d_skel=skeleton()))
    for place, value in changes:
        data[place % len(data)] = value
    try:
        sequence = utd_mhad.read(write(tmp_path, bytes(data[:end])))
    except ReadError as error:
        assert NAME in str(error) and "\n" not in str(error)
    else:
        assert sequence.joints.shape[2:] == (20, 3) and np.isfinite(sequence.joints).all()


def test_all_real_recordings(real_data: Path) -> None:
    """Counts of the data set, and joints as scipy has them."""
    recordings = find_recordings("utd_mhad_xsub", real_data / "UTD-MHAD")
    assert [len(recordings.files[split]) for split in ("train", "test")] == [431, 430]
    assert all(
        recordings.missing(s, [file_id(recordings.protocol, f) for f in recordings.files[s]]) == []
        for s in ("train", "test")
    )
    frames, labels = [], []
    for file in recordings.all_files:
        (clip,) = read_file(file, recordings.protocol)
        assert not isinstance(clip, ReadError)
        frames.append(len(clip.sequence.joints))
        labels.append(clip.sequence.label)
        if len(frames) % 90 == 0:
            expected = loadmat(file.path)["d_skel"].transpose(2, 0, 1)
            np.testing.assert_array_equal(clip.sequence.joints[:, 0], expected.astype(np.float32))
        head, feet, left, right = (clip.sequence.joints[:, 0, joint].mean(axis=0) for joint in (0, 15, 12, 16))
        assert head[1] > feet[1] + 0.8 and head[2] > 1.5  # upright in a frame with y up, some metres from the camera
        assert left[0] < right[0]  # a person who faces the camera has the right hip on the side of +x
    assert (len(frames), sum(frames), min(frames), max(frames)) == (861, 58_299, 41, 125)
    assert sorted(set(labels)) == list(range(27))
    order = (real_data / "UTD-MHAD" / "Skeleton" / "Skeleton_joint_order.txt").read_text()
    for number, joint in enumerate(clip.sequence.layout.joint_names, 1):
        assert f"{number}. {joint};" in order
