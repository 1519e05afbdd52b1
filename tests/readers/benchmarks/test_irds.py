from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from conftest import refused
from hypothesis import HealthCheck, given, settings, strategies as st

from s2i_hf.processing.layouts import LAYOUTS
from s2i_hf.readers import ReadError
from s2i_hf.readers.benchmarks import irds
from s2i_hf.readers.discovery import find_recordings, read_file

NAME = "217_18_4_7_2_wheelchair.txt"
JOINTS = [re.sub("L$", "Left", re.sub("R$", "Right", name)) for name in LAYOUTS["kinect_v2"].joint_names]


def line(joints: np.ndarray, frame: int, body: int = 3, states: dict[str, str] | None = None) -> str:
    cells = [
        f"({name},{(states or {}).get(name, 'Tracked')},{x},{y},{z},193.3,{205.4})"
        for name, (x, y, z) in zip(JOINTS, joints, strict=True)
    ]
    return f"{frame},{body},{100 * frame}," + ",".join(cells)


def recording(frames: int = 4) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 3, (frames, 25, 3)).round(6)


def text(frames: np.ndarray) -> str:
    return "\n".join(["Version0.1", *(line(joints, 50 + t) for t, joints in enumerate(frames))]) + "\n"


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / NAME
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_reads_what_is_in_the_file(tmp_path: Path) -> None:
    frames = recording()
    sequence = irds.read(write(tmp_path, text(frames)))
    np.testing.assert_array_equal(sequence.joints[:, 0], frames.astype(np.float32))
    assert (sequence.sample_id, sequence.label, sequence.subject) == (NAME[:-4], 4, 217)
    assert (sequence.layout.name, sequence.body_ids.tolist()) == ("kinect_v2", [3])


def test_joints_go_by_their_names(tmp_path: Path) -> None:
    frames = recording()
    lines = text(frames).splitlines()
    cells = re.findall(r"\([^)]*\)", lines[1])
    lines[1] = lines[1].split("(")[0] + ",".join(reversed(cells))
    np.testing.assert_array_equal(
        irds.read(write(tmp_path, "\r\n".join(lines))).joints[0, 0], frames[0].astype(np.float32)
    )


def test_joints_that_are_not_tracked_are_missing(tmp_path: Path) -> None:
    frames = recording(2)
    states = {"HandLeft": "NotTracked", "Head": "Inferred"}
    path = write(tmp_path, line(frames[0], 1, states=states) + "\n" + line(frames[1], 2))  # and without the first line
    joints = irds.read(path).joints[:, 0]
    assert np.isnan(joints[0, 7]).all() and np.isnan(joints).sum() == 3
    np.testing.assert_array_equal(joints[0, 3], frames[0, 3].astype(np.float32))


def test_several_bodies(tmp_path: Path) -> None:
    frames = recording(4)
    rows = [line(frames[0], 1, 5), line(frames[1], 1, 2), line(frames[2], 2, 2), line(frames[3], 3, 2)]
    path = write(tmp_path, "\n".join(["Version0.1", *rows]))
    everybody = irds.read(path, denoise=False)
    assert everybody.joints.shape == (3, 2, 25, 3) and everybody.body_ids.tolist() == [5, 2]
    assert np.isnan(everybody.joints[1:, 0]).all()
    np.testing.assert_array_equal(everybody.joints[:, 1], frames[1:].astype(np.float32))
    actor = irds.read(path)
    assert actor.body_ids.tolist() == [2]
    np.testing.assert_array_equal(actor.joints[:, 0], frames[1:].astype(np.float32))
    path = write(tmp_path, "\n".join(rows[:1] * 1 + rows[2:3] + [line(frames[0], 3, 5)]))
    np.testing.assert_array_equal(irds.read(path).joints[:, 0], frames[[0, 0]].astype(np.float32))  # without frame 2


def broken() -> dict[str, tuple[str | bytes, list[str]]]:
    good = text(recording())
    rows = good.splitlines()
    return {
        "only the first line": ("Version0.1\n", ["0 bodies in 0 frames"]),
        "a joint is missing": ("\n".join([*rows[:2], rows[2].rsplit(",(", 1)[0]]), ["line 3", "24 joints"]),
        "a joint twice": (good.replace("(Neck,", "(Head,", 1), ["line 2", "Head"]),
        "an unknown joint": (good.replace("(Neck,", "(Tail,", 1), ["line 2", "Tail"]),
        "an unknown state": (good.replace("Tracked", "Guessed", 1), ["line 2", "'Guessed'", "Inferred"]),
        "a word": (re.sub(r"(Neck,Tracked),[^,]*", r"\1,half", good, count=1), ["line 2: Neck: 'half'"]),
        "NaN": (re.sub(r"(Neck,Tracked),[^,]*", r"\1,NaN", good, count=1), ["line 2: Neck: 'NaN'"]),
        "a short joint": (re.sub(r"\(Neck,[^)]*", "(Neck,Tracked,1", good, count=1), ["line 2", "Neck"]),
        "no numbers in front": (good.replace("50,3,", "5o,3,", 1), ["line 2", "5o,3"]),
        "the simple form": (",".join(["0.5"] * 75), ["line 1", "0.5"]),
        "a frame twice": ("\n".join([rows[0], rows[1], rows[1]]), ["line 3", "body 3 is in frame 50 twice"]),
        "seven bodies": ("\n".join(line(recording()[0], 1, body) for body in range(7)), ["7 bodies"]),
        "nobody": (good.replace(",Tracked", ",NotTracked"), ["nobody is seen", "4 frames"]),
        "a long line": (rows[1] * 20, ["line 1", "characters"]),
        "millimetres": (text(recording() * 1000), ["millimetres"]),
        "empty": ("\n", ["empty"]),
    }


@pytest.mark.parametrize("case", broken())
def test_broken_files_are_one_clear_sentence(tmp_path: Path, case: str) -> None:
    content, words = broken()[case]
    with refused(ReadError, NAME, *words):
        irds.read(write(tmp_path, content))


TOKENS = st.sampled_from([",", "(", ")", "nan", "\n", "\0", "9" * 30, "é", "-", "Tracked", "1e999", "_"])


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3_000), TOKENS), max_size=4), st.integers(0, 6_000))
def test_damaged_files_give_joints_or_an_error(tmp_path: Path, changes: list[tuple[int, str]], end: int) -> None:
    content = text(recording(3))
    for place, token in changes:
        content = content[:place] + token + content[place + 1 :]
    try:
        sequence = irds.read(write(tmp_path, content.encode("latin-1")[:end]))
    except ReadError as error:
        assert NAME in str(error) and "\n" not in str(error)
    else:
        assert sequence.joints.shape[1:] == (1, 25, 3) and not np.isinf(sequence.joints).any()


def test_all_real_recordings(real_data: Path) -> None:
    """Counts of the copy, and joints as a regular expression has them."""
    recordings = find_recordings("irds_xsub", real_data / "IRDS")
    clips = [clip for file in recordings.all_files for clip in read_file(file, recordings.protocol)]
    sequences = [clip.sequence for clip in clips if not isinstance(clip, ReadError)]
    assert (len(clips), len(sequences), sum(len(sequence.joints) for sequence in sequences)) == (188, 188, 14_142)
    assert {sequence.label for sequence in sequences} == set(range(9))
    assert {sequence.subject for sequence in sequences} == {215, 216, 217}
    assert [len(recordings.files[split]) for split in ("train", "test")] == [134, 54]
    for sequence, file in list(zip(sequences, recordings.all_files, strict=True))[::40]:
        numbers = re.findall(r"(?:Tracked|Inferred),([^,]*),([^,]*),([^,]*),", file.path.read_text())
        expected = np.array(numbers, dtype=np.float64).reshape(-1, 25, 3).astype(np.float32)
        np.testing.assert_array_equal(sequence.joints[:, 0], expected)
    assert all(np.median(s.joints[:, 0, 3, 1] - s.joints[:, 0, 0, 1]) > 0.5 for s in sequences)  # head above the hips


def test_the_sides_of_the_real_gestures(real_data: Path) -> None:
    """What the resource says: elbow flexion "left" (0) moves the hand that the sensor calls right."""
    files = find_recordings("irds_xsub", real_data / "IRDS").all_files
    for gesture, still, moving in ((0, 7, 11), (1, 11, 7)):
        moved = []
        for file in files:
            if file.name.split("_")[2] == str(gesture):
                joints = irds.read(file).joints
                moved.append([np.ptp(joints[:, 0, hand, 1]) for hand in (still, moving)])
        assert np.median(moved, axis=0)[0] < 0.2 < 0.3 < np.median(moved, axis=0)[1]
