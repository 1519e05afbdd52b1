"""The skeleton of a video: what is written reads back without a word about its format, and what cannot be done is said in one sentence.

MediaPipe itself runs where S2I_POSE_ENV names a Python that has it and S2I_POSE_VIDEO a video of one person.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import s2i_hf
from s2i_hf.readers.generic.folder import find_folder

SCRIPT = Path(__file__).parents[2] / "examples" / "pose_from_video.py"
POSE = runpy.run_path(str(SCRIPT))
PYTHON, VIDEO = os.environ.get("S2I_POSE_ENV", ""), os.environ.get("S2I_POSE_VIDEO", "")
needs_mediapipe = pytest.mark.skipif(
    not (PYTHON and VIDEO), reason="S2I_POSE_ENV names no Python with mediapipe, or S2I_POSE_VIDEO no video"
)


def people(frames: int, absent: set[int], seed: int = 0) -> list[Any]:
    """Bodies as `find_bodies` returns them, of a person's size, y down."""
    generator = np.random.default_rng(seed)
    heights = (
        [-0.6] * 11 + [-0.5, -0.5, -0.25, -0.25] + [0.0] * 10 + [0.4, 0.4] + [0.8] * 6
    )  # of MediaPipe's 33, y down
    base = np.stack([np.where(np.arange(33) % 2, 0.15, -0.15), heights, np.zeros(33)], axis=1)
    found = []
    for number in range(frames):
        points = base + generator.normal(0, 0.01, (33, 3))
        body = np.concatenate([points, generator.uniform(0.01, 1, (33, 1))], axis=1).astype(np.float32)
        found.append(None if number in absent else body)
    return found


def loaded(folder: Path) -> dict[str, Any]:
    """The one clip of a folder, read without flags, and its frames a second."""
    row = s2i_hf.as_rows(s2i_hf.load_skeletons("folder", data_dir=folder)["train"])[0]
    return {**row, "fps": find_folder(folder).fps}


def run(
    words: list[object], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[object, str, str]:
    """What the script exits with, prints and prints as an error."""
    monkeypatch.setattr(sys, "argv", [SCRIPT.name, *map(str, words)])
    with pytest.raises(SystemExit) as exit:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    told = capsys.readouterr()
    return exit.value.code, told.out, told.err


@pytest.mark.parametrize("suffix", [".npz", ".json", ".JSON"])
@pytest.mark.parametrize("absent", [set(), {0}, {3, 4}, {6}])
def test_a_result_reads_back_without_flags(tmp_path: Path, suffix: str, absent: set[int]) -> None:
    bodies = people(7, absent)
    POSE["write"](tmp_path / f"kick{suffix}", bodies, 25.0)
    row = loaded(tmp_path)
    joints = np.asarray(row["joints"])
    assert row["layout"] == "mediapipe_33" and joints.shape == (7, 1, 33, 3) and row["fps"] == 25
    for number, body in enumerate(bodies):
        if body is None:
            assert np.isnan(joints[number]).all()
        else:  # y down is turned about x
            np.testing.assert_allclose(joints[number, 0], body[:, :3] * [1, -1, -1], atol=1e-6)
    seen = next(number for number in range(7) if number not in absent)
    assert joints[seen, 0, 0, 1] > joints[seen, 0, 27, 1]  # a nose above an ankle
    assert [path.name for path in tmp_path.iterdir()] == [f"kick{suffix}"]


def test_the_arrays_are_those_that_the_script_names(tmp_path: Path) -> None:
    bodies = people(5, {2})
    POSE["write"](tmp_path / "a.npz", bodies, 29.97)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        held = {key: arrays[key] for key in arrays}
    assert held["joints"].shape == (5, 1, 33, 3) and held["joints"].dtype == held["visibility"].dtype == np.float32
    assert held["visibility"].shape == (5, 1, 33) and held["ids"].shape == (1,) and held["fps"] == 29.97
    assert (held["layout"], held["axes"], held["unit"], held["up"]) == ("mediapipe_33", "TMVC", "m", "-y")
    assert np.isnan(held["joints"][2]).all() and not held["visibility"][2].any()
    np.testing.assert_array_equal(held["joints"][4, 0], bodies[4][:, :3])
    np.testing.assert_array_equal(held["visibility"][4, 0], bodies[4][:, 3])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-3, 3, width=32), min_size=132, max_size=132), st.floats(1, 240), st.sets(st.integers(0, 3)))
def test_json_holds_the_very_numbers(values: list[float], fps: float, absent: set[int]) -> None:
    body = np.array(values, dtype=np.float32).reshape(33, 4)
    bodies = [None if number in absent else body for number in range(4)]
    content = json.loads(json.dumps(POSE["results_of"](bodies, fps), allow_nan=False))
    assert content["fps"] == fps and [frame["frame"] for frame in content["frames"]] == [0, 1, 2, 3]
    for number, frame in enumerate(content["frames"]):
        found = [
            [[one[key] for key in ("x", "y", "z", "visibility")] for one in person]
            for person in frame["pose_world_landmarks"]
        ]
        assert len(found) == (number not in absent)
        if found:
            np.testing.assert_array_equal(np.array(found[0], dtype=np.float32), body)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere.mp4", "a.npz"], "nowhere.mp4: there is no such file"),
        ([".", "a.npz"], "is a folder; expected a video"),
        (["video.mp4", "a.csv"], "a.csv: the output ends in .csv; expected .npz or .json"),
        (["video.mp4", "a"], "a: the output has no suffix; expected .npz or .json"),
        (["video.mp4", "none/a.npz"], "there is no folder none"),
        (["video.mp4", "folder.npz"], "folder.npz: is a folder"),
        (["video.mp4", "old.json"], "old.json: exists already; choose another name, or pass --overwrite"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    words: list[object], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "video.mp4").write_text("no video")
    (tmp_path / "old.json").write_text("old")
    code, _, _ = run(words, monkeypatch, capsys)
    assert str(code).startswith("error: ") and said in str(code) and "\n" not in str(code)
    assert {path.name for path in tmp_path.iterdir()} == {"folder.npz", "video.mp4", "old.json"}
    assert (tmp_path / "old.json").read_text() == "old"


def test_without_mediapipe_it_says_where_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "video.mp4").write_text("no video")
    for name in ("cv2", "mediapipe"):
        monkeypatch.setitem(sys.modules, name, None)
    code, _, _ = run([tmp_path / "video.mp4", tmp_path / "a.npz"], monkeypatch, capsys)
    assert "uv run" in str(code) and "mediapipe==0.10.21" in str(code) and not (tmp_path / "a.npz").exists()


@pytest.mark.parametrize("fps", ["0", "-1", "nan", "inf", "fast"])
def test_a_frame_rate_is_a_number_above_0(
    fps: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(["a.mp4", "a.npz", f"--fps={fps}"], monkeypatch, capsys)
    assert code == 2 and "--fps" in err


@pytest.mark.parametrize("suffix", [".npz", ".json"])
def test_a_write_that_breaks_leaves_what_was_there(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_text("old")
    with pytest.raises(POSE["PoseError"], match="exists already"):
        POSE["write"](path, people(3, set()), 30.0)
    with pytest.raises(ValueError):  # a body of another size
        POSE["write"](path, [*people(3, set()), np.zeros((33, 5), np.float32)], 30.0, overwrite=True)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
    POSE["write"](path, people(3, set()), 30.0, overwrite=True)
    assert path.read_bytes() != b"old" and list(tmp_path.iterdir()) == [path]


def test_the_environment_it_names_is_the_one_it_imports() -> None:
    text = SCRIPT.read_text()
    header = [line[2:] for line in text.splitlines()[1:3]]
    assert text.startswith("# /// script\n") and header[1] == 'dependencies = ["mediapipe==0.10.21", "tqdm>=4.66"]'
    assert "s2i_hf" not in "".join(line for line in text.splitlines() if "import" in line)


@needs_mediapipe
@pytest.mark.parametrize("suffix", [".npz", ".json"])
def test_a_video_becomes_a_clip(tmp_path: Path, suffix: str) -> None:
    done = subprocess.run(
        [PYTHON, SCRIPT, VIDEO, tmp_path / f"clip{suffix}"], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    row = loaded(tmp_path)
    joints = np.asarray(row["joints"])
    names = s2i_hf.get_layout("mediapipe_33").joint_names
    assert row["layout"] == "mediapipe_33" and f": {len(joints)} frames at {row['fps']:g} a second" in done.stdout
    height = {name: np.nanmedian(joints[:, 0, index, 1]) for index, name in enumerate(names)}
    assert height["nose"] > height["left_hip"] > height["left_ankle"] and height["nose"] > height["right_ankle"]


@needs_mediapipe
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_an_interruption_leaves_nothing(tmp_path: Path) -> None:
    process = subprocess.Popen([PYTHON, SCRIPT, VIDEO, tmp_path / "a.npz"], stderr=subprocess.PIPE, bufsize=0)
    told, end = b"", time.monotonic() + 120
    assert process.stderr is not None
    while b" frames/s" not in told and time.monotonic() < end:
        told += process.stderr.read(64) or b""
    process.send_signal(signal.SIGINT)
    told += process.communicate(timeout=60)[1]
    assert process.returncode == 130 and b"interrupted; nothing was written." in told and b"Traceback" not in told
    assert not list(tmp_path.iterdir())


@needs_mediapipe
def test_a_file_that_is_no_video_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video at all" * 100)
    done = subprocess.run(
        [PYTHON, SCRIPT, tmp_path / "a.mp4", tmp_path / "a.npz"], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 1 and "OpenCV finds no frames in it" in done.stderr and "Traceback" not in done.stderr
