from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import refused

from s2i_hf.readers import ReadError
from s2i_hf.readers.benchmarks import nw_ucla

NAME = "a08_s03_e01_v02"


def write(folder: Path, content: Any, name: str = NAME) -> Path:
    path = folder / f"{name}.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def recording(frames: int = 5, joints: int = 20, label: Any = 7) -> dict[str, Any]:
    values = np.random.default_rng(0).uniform(-1, 3, (frames, joints, 3)).round(6)
    return {"file_name": NAME, "skeletons": values.tolist(), "label": label}


@pytest.mark.parametrize("frames", [1, 5])
def test_reads_what_is_in_the_file(tmp_path: Path, frames: int) -> None:
    content = recording(frames)
    sequence = nw_ucla.read(write(tmp_path, content))
    assert sequence.joints.shape == (frames, 1, 20, 3) and sequence.joints.dtype == np.float32
    for t in range(frames):
        for joint in range(20):
            assert sequence.joints[t, 0, joint].tolist() == [
                float(np.float32(v)) for v in content["skeletons"][t][joint]
            ]
    assert (sequence.label, sequence.subject, sequence.camera) == (6, 3, 2)
    assert (sequence.sample_id, sequence.layout.name) == (NAME, "kinect_v1")
    np.testing.assert_array_equal(nw_ucla.read(write(tmp_path, content), denoise=False).joints, sequence.joints)


def test_joints_that_were_not_seen_are_left_as_they_are(tmp_path: Path) -> None:
    content = recording()
    content["skeletons"][2][4] = [0, 0, 0]
    sequence = nw_ucla.read(write(tmp_path, content))
    assert not sequence.joints[2, 0, 4].any()


def broken() -> dict[str, tuple[Any, list[str]]]:
    ragged, words, nothing, infinite, huge = (recording() for _ in range(5))
    ragged["skeletons"][3] = ragged["skeletons"][3][:19]
    words["skeletons"][1][2] = [0.1, "0.2", 0.3]
    nothing["skeletons"][1][2] = [0.1, None, 0.3]
    infinite["skeletons"][4][7][2] = float("nan")
    huge["skeletons"][0][0] = [1, 10**400, 1]
    millimetres = recording()
    millimetres["skeletons"] = (np.array(millimetres["skeletons"]) * 1000).tolist()
    return {
        "other joints": (recording(joints=25), ["frame 1 of 5", "25 joints", "20"]),
        "ragged": (ragged, ["frame 4 of 5", "19 joints"]),
        "text for a number": (words, ["frame 2 of 5", "0.2"]),
        "null for a number": (nothing, ["frame 2 of 5", "None"]),
        "NaN": (infinite, ["frame 5 of 5", "z of joint 8", "nan"]),
        "no float": (huge, ["no float"]),
        "no frame": (recording(0), ["no frames"]),
        "label 0": (recording(label=0), ["label", "'0'", "1 to 10"]),
        "label 11": (recording(label=11), ["label"]),
        "label as text": (recording(label="3"), ["label"]),
        "label true": (recording(label=True), ["label"]),
        "millimetres": (millimetres, ["millimetres", "1000"]),
        "truncated": (json.dumps(recording())[:-400], ["not JSON"]),
        "deep": ("[" * 100_000, ["not JSON"]),
        "a list": ([1, 2], ["'skeletons'"]),
        "other keys": ({"joints": []}, ["'skeletons'"]),
        "empty": ("", ["empty"]),
        "a number": ({"skeletons": 3, "label": 1}, ["no frames"]),
    }


@pytest.mark.parametrize("case", broken())
def test_broken_files_are_one_clear_sentence(tmp_path: Path, case: str) -> None:
    content, words = broken()[case]
    with refused(ReadError, f"{NAME}.json", *words):
        nw_ucla.read(write(tmp_path, content))


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.json").write_bytes(b"\x80\x81" + json.dumps(recording()).encode())
    with pytest.raises(ReadError, match="not JSON"):
        nw_ucla.read(tmp_path / f"{NAME}.json")


def test_all_real_recordings(real_data: Path) -> None:
    """Frames, classes and views as counted when the data was collected, and joints as a plain JSON reading has them."""
    paths = sorted((real_data / "NW-UCLA" / "all_sqe").glob("*.json"))
    sequences = [nw_ucla.read(path) for path in paths]
    lengths = [len(sequence.joints) for sequence in sequences]
    assert (len(sequences), sum(lengths), min(lengths), max(lengths)) == (1484, 58534, 1, 201)
    assert {sequence.label for sequence in sequences} == set(range(10))
    assert {sequence.subject for sequence in sequences} == set(range(1, 11))
    assert [sum(sequence.camera == view for sequence in sequences) for view in (1, 2, 3)] == [516, 504, 464]
    for sequence, path in list(zip(sequences, paths, strict=True))[::150]:
        np.testing.assert_array_equal(sequence.joints[:, 0], np.float32(json.loads(path.read_text())["skeletons"]))
