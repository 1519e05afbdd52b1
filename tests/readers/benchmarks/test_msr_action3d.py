from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from conftest import refused
from hypothesis import HealthCheck, example, given, settings, strategies as st

from s2i_hf.processing.layouts import LAYOUTS
from s2i_hf.readers import RawFile, ReadError
from s2i_hf.readers.benchmarks import msr_action3d
from s2i_hf.readers.discovery import find_recordings, read_file

NAME = "a05_s03_e02_skeleton3D.txt"
GONE = np.zeros((20, 3))


def recording(frames: int = 4) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 3, (frames, 20, 3)).round(6)


def text(frames: np.ndarray, newline: str = "\n") -> str:
    lines = [f"{x:.6f} {y:.6f} {z:.6f} {0.5:.6f}" for frame in frames for x, y, z in frame]
    return newline.join(lines) + newline


def write(folder: Path, content: str | bytes, name: str = NAME) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("newline", ["\n", "\r\n", " \n\n"])
def test_reads_what_is_in_the_file(tmp_path: Path, newline: str) -> None:
    frames = recording()
    sequence = msr_action3d.read(write(tmp_path, text(frames, newline)))
    assert sequence.joints.shape == (4, 1, 20, 3)
    for t in range(4):
        for joint in range(20):
            assert sequence.joints[t, 0, joint].tolist() == [float(np.float32(v)) for v in frames[t][joint]]
    assert (sequence.sample_id, sequence.label, sequence.subject) == ("a05_s03_e02", 4, 3)
    assert sequence.layout.name == "msr_action3d"


def test_frames_without_anybody(tmp_path: Path) -> None:
    frames = recording(5)
    frames[1:3] = GONE
    path = write(tmp_path, text(frames))
    kept, everything = msr_action3d.read(path), msr_action3d.read(path, denoise=False)
    np.testing.assert_array_equal(kept.joints[:, 0], frames[[0, 3, 4]].astype(np.float32))
    assert np.isnan(everything.joints[1:3]).all() and np.isfinite(everything.joints[[0, 3, 4]]).all()
    frames[0, 4] = 0  # one joint alone is a measurement
    assert not msr_action3d.read(write(tmp_path, text(frames))).joints[0, 0, 4].any()


def broken() -> dict[str, tuple[str | bytes, list[str]]]:
    good = text(recording())
    lines = good.splitlines(keepends=True)
    return {
        "nobody": (text(np.zeros((3, 20, 3))), ["nobody", "3 frames"]),
        "joints are missing": ("".join(lines[:-3]), ["77 lines", "20 a frame"]),
        "three numbers": ("".join([*lines[:4], "1 2 3\n", *lines[5:]]), ["line 5", "3 numbers", "4"]),
        "five numbers": ("".join([*lines[:4], "1 2 3 4 5\n", *lines[5:]]), ["line 5", "5 numbers"]),
        "after a blank line": ("\n\n" + good.replace("0.500000", "x", 1), ["line 3", "'x'"]),
        "a word": (good.replace(lines[21].split()[1], "half", 1), ["'half'", "confidence"]),
        "underscores": (good.replace(lines[21].split()[1], "1_0", 1), ["'1_0'"]),
        "NaN": (good.replace(lines[21].split()[1], "nan", 1), ["line 22", "number 2", "nan"]),
        "too large": (good.replace(lines[21].split()[1], "1e30", 1), ["line 22", "1e+30"]),
        "a long line": ("1" * 100_000, ["line 1", "100,000 characters"]),
        "millimetres": (text(recording() * 1000), ["millimetres"]),
        "no text": (b"\xff\xfe1\x00 \x00", ["UTF-16"]),
        "bytes": (b"\x80\x81 2 3 4\n", ["line 1"]),
        "empty": ("\n \n", ["empty"]),
    }


@pytest.mark.parametrize("case", broken())
def test_broken_files_are_one_clear_sentence(tmp_path: Path, case: str) -> None:
    content, words = broken()[case]
    with refused(ReadError, NAME, *words):
        msr_action3d.read(write(tmp_path, content))


def test_screen_coordinates_are_another_format(tmp_path: Path) -> None:
    world, screen = write(tmp_path, text(recording())), write(tmp_path, "1 2 3 4\n" * 20, "a05_s03_e02_skeleton.txt")
    chosen, left_out = msr_action3d.select([RawFile(screen), RawFile(world)])
    assert chosen == [RawFile(world)] and list(left_out.values()) == [[screen.name]]
    with pytest.raises(ReadError, match=r"screen coordinates; expected the file a05_s03_e02_skeleton3D\.txt"):
        msr_action3d.read(screen)


TOKENS = st.sampled_from(["nan", "-inf", "1e400", "", "0x1p3", "٣", "1,5", "1e-300", "-0", "\0", "9" * 400, "True"])


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(st.integers(0, 319), TOKENS), max_size=4), st.integers(0, 4_000), st.binary(max_size=4))
@example([(0, "1e400")], 4_000, b"")
def test_damaged_files_give_joints_or_an_error(
    tmp_path: Path, swaps: list[tuple[int, str]], end: int, junk: bytes
) -> None:
    words = re.split(r"(\s)", text(recording()))
    for place, token in swaps:
        words[2 * place] = token
    try:
        sequence = msr_action3d.read(write(tmp_path, "".join(words).encode()[:end] + junk))
    except ReadError as error:
        assert NAME in str(error) and "\n" not in str(error)
    else:
        assert sequence.joints.shape[2:] == (20, 3) and np.isfinite(sequence.joints).all()


def test_all_real_recordings(real_data: Path) -> None:
    """567 files, of which two are known to be no clips."""
    recordings = find_recordings("msr_action3d_xsub", real_data / "MSRAction3D")
    bad = ["a13_s09_e02_skeleton3D.txt", "a13_s09_e03_skeleton3D.txt"]
    assert recordings.left_out["on the list of missing skeletons"] == bad
    assert len(recordings.left_out["screen coordinates, which are not metres"]) == 20
    assert len(recordings.all_files) + len(bad) == 567
    folder = real_data / "MSRAction3D" / "MSRAction3DSkeletonReal3D"
    with pytest.raises(ReadError, match="nobody is seen in any of its 38 frames"):
        msr_action3d.read(folder / bad[0])
    whole = msr_action3d.read(folder / bad[1], denoise=False).joints
    assert len(whole) == 936 and np.isnan(whole[196:]).all() and np.isfinite(whole[:196]).all()
    total, with_gaps, moved = 0, 0, []
    for file in recordings.all_files:
        (clip,) = read_file(file, recordings.protocol, denoise=False)
        assert not isinstance(clip, ReadError)
        joints = clip.sequence.joints[:, 0]
        total += len(joints)
        with_gaps += bool(np.isnan(joints).any())
        if clip.sequence.label == 0:  # high arm wave: subjects were asked to use the right arm
            moved.append([np.ptp(joints[:, joint], axis=0).max() for joint in (11, 12)])  # left hand, right hand
    assert (total, with_gaps) == (23_478 - 38 - 936, 18)  # 23,478 frames in all files
    left, right = np.median(moved, axis=0)
    assert right > 1.0 and left < 0.2


def test_the_joint_order_is_the_one_that_keeps_bones_rigid(real_data: Path) -> None:
    """Bones of this layout vary little; those of Kinect v1's order on the same joints vary much."""
    files = find_recordings("msr_action3d_as3", real_data / "MSRAction3D").files["train"]
    joints = np.concatenate([msr_action3d.read(file).joints[:, 0] for file in files if "s05" in file.name])

    def variation(layout: str) -> float:
        parents = np.array(LAYOUTS[layout].parents)
        bones = np.linalg.norm(joints - joints[:, parents], axis=-1)[:, parents >= 0]
        return float((bones.std(axis=0) / bones.mean(axis=0)).mean())

    assert variation("msr_action3d") < 0.03 < 0.1 < variation("kinect_v1")
