"""Joints against forward kinematics by scipy in a plain loop, on files in the form of the set."""

from __future__ import annotations

import gzip
import re
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from conftest import refused
from hypothesis import given, settings, strategies as st
from own_files import damages
from paper_files import bandai_namco_text
from scipy.spatial.transform import Rotation

from s2i_hf.processing.layouts import LAYOUTS
from s2i_hf.processing.skeleton_sequence import SkeletonSequence
from s2i_hf.readers import ReadError
from s2i_hf.readers.benchmarks import bandai_namco
from s2i_hf.readers.discovery import find_recordings, read_file
from s2i_hf.readers.generic.folder import find_folder

NAME = "dataset-2_walk-turn-left_active_003.bvh"
LAYOUT = LAYOUTS["bandai_namco_22"]


def by_scipy(text: str) -> np.ndarray:
    """(T, 22, 3) metres, with nothing of the package: names and tree off the braces, then joint by joint and frame by frame."""
    header, motion = text.split("MOTION")
    names: list[str] = []
    parents: list[int] = []
    stack: list[int] = []
    for line in header.splitlines()[1:]:
        words = line.split()
        if words[0] in ("ROOT", "JOINT"):
            parents.append(stack[-1] if stack else -1)
            names.append(words[1])
            stack.append(len(names) - 1)
        elif words[0] == "End":
            stack.append(-1)
        elif words[0] == "}":
            stack.pop()
    rows = np.array([line.split() for line in motion.strip().splitlines()[2:]], dtype=float)
    places = np.zeros((len(rows), len(names), 3))
    for frame, row in enumerate(rows):
        turns: list[Rotation] = []
        for joint, parent in enumerate(parents):
            position, (z, x, y) = row[6 * joint : 6 * joint + 3], row[6 * joint + 3 : 6 * joint + 6]
            own = Rotation.from_euler("ZXY", [z, x, y], degrees=True)
            above = turns[parent] if parent >= 0 else Rotation.identity()
            start = places[frame, parent] if parent >= 0 else np.zeros(3)
            places[frame, joint] = start + above.apply(position)
            turns.append(above * own)
    return places[:, [names.index(name) for name in LAYOUT.joint_names]] / 100


@pytest.mark.parametrize("seed", range(3))
def test_joints_are_those_of_scipy(tmp_path: Path, seed: int) -> None:
    text = bandai_namco_text(seed=seed)
    (tmp_path / NAME).write_text(text)
    sequence = bandai_namco.read(tmp_path / NAME)
    assert sequence.joints.shape == (4, 1, 22, 3) and sequence.joints.dtype == np.float32
    np.testing.assert_allclose(sequence.joints[:, 0], by_scipy(text), atol=1e-5)
    assert (sequence.joints[:, 0, 0] == 0).all()  # joint_Root
    assert (sequence.sample_id, sequence.label, sequence.subject, sequence.camera) == (NAME[:-4], 1, -1, -1)
    assert sequence.layout == LAYOUT


def test_joints_are_found_by_their_names(tmp_path: Path) -> None:
    """Two arms in the other order are the same clip; the generic reader says the same of it."""
    text = bandai_namco_text()
    (tmp_path / NAME).write_text(text)
    first = bandai_namco.read(tmp_path / NAME).joints
    swapped = re.sub(r"(Shoulder|UpperArm|LowerArm|Hand)_([LR])", lambda m: f"{m[1]}_{'RL'['LR'.index(m[2])]}", text)
    (tmp_path / NAME).write_text(swapped)
    np.testing.assert_array_equal(bandai_namco.read(tmp_path / NAME).joints, first[:, :, LAYOUT_ARMS_SWAPPED])
    generic = find_folder(tmp_path, unit="cm")
    (clip,) = read_file(generic.all_files[0], generic.protocol)
    assert not isinstance(clip, ReadError) and clip.sequence.layout == LAYOUT
    np.testing.assert_array_equal(clip.sequence.joints, first[:, :, LAYOUT_ARMS_SWAPPED])


LAYOUT_ARMS_SWAPPED = [*range(6), 10, 11, 12, 13, 6, 7, 8, 9, *range(14, 22)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace("Hand_R", "Claw_R"), ["'Hand_R'"]),
        (lambda text: text[:-200], ["line "]),
        (lambda text: text.replace("0.0333333\n0", "0.0333333\nnan"), ["line "]),
        (lambda text: text.replace("HIERARCHY", "hierarchical"), ["line 1"]),
        (lambda text: bandai_namco_text(scale=1000), ["cannot be metres"]),
        (lambda text: "", ["empty"]),
    ],
)
def test_a_broken_file_is_one_clear_sentence(tmp_path: Path, change, words: list[str]) -> None:
    (tmp_path / NAME).write_text(change(bandai_namco_text()))
    with refused(ReadError, NAME, *words):
        bandai_namco.read(tmp_path / NAME)


@cache
def _bytes() -> bytes:
    return bandai_namco_text(2).encode()


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_damaged_files_give_joints_or_an_error(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.getbasetemp() / NAME
    path.write_bytes(data.draw(damages(_bytes())))
    try:
        sequence = bandai_namco.read(path)
    except ReadError as error:
        assert NAME in str(error) and "\n" not in str(error)
    else:
        assert sequence.joints.shape[1:] == (1, 22, 3) and np.isfinite(sequence.joints).all()


def test_archives_of_any_method_and_gz_are_read_as_they_are(tmp_path: Path) -> None:
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        folder = tmp_path / str(method)
        folder.mkdir()
        with zipfile.ZipFile(folder / "data.zip", "w", method) as archive:
            for index in (1, 2, 3):
                archive.writestr(f"data/dataset-2_run_normal_{index:03}.bvh", bandai_namco_text(seed=index))
                archive.writestr(f"data/dataset-2_run_normal_{index:03}.json", "{}")
        (folder / "dataset-2_run_normal_004.bvh.gz").write_bytes(gzip.compress(bandai_namco_text(seed=4).encode()))
        found = find_recordings("bandai_namco_by_index", folder)
        assert [len(found.files[split]) for split in ("train", "test")] == [2, 2] and not found.left_out
        for index, file in enumerate(found.all_files, 1):
            (clip,) = read_file(file, found.protocol)
            assert not isinstance(clip, ReadError) and (clip.split, clip.sequence.label) == (
                ("test", "train")[index % 2],
                3,
            )
            np.testing.assert_allclose(clip.sequence.joints[:, 0], by_scipy(bandai_namco_text(seed=index)), atol=1e-5)


def test_real_recordings(real_data: Path) -> None:
    """Some forty clips of both sets: joints as scipy has them, people who stand upright, their left on the left."""
    folder = real_data / "Bandai-Namco"
    clips: list[SkeletonSequence] = []
    for number, rule in ((1, "bandai_namco_set1_style1"), (2, "bandai_namco_by_index")):
        archive = zipfile.ZipFile(next(folder.glob(f"*-{number}*.zip")))
        found = find_recordings(rule, folder)
        for file in found.all_files[:: len(found.all_files) // 20]:
            (clip,) = read_file(file, found.protocol)
            assert not isinstance(clip, ReadError)
            clips.append(clip.sequence)
            if len(clips) % 5 == 0:
                text = archive.read(f"data/{clip.sequence.sample_id}.bvh").decode()
                np.testing.assert_allclose(clip.sequence.joints[:, 0], by_scipy(text), atol=1e-5)
                assert "Frame Time:\t0.0333333" in text
    assert len(clips) >= 40
    for sequence in clips:
        place = dict(zip(LAYOUT.joint_names, sequence.joints[:, 0].mean(axis=0), strict=True))
        assert 1.2 < place["Head"][1] < 1.7 and place["Toes_L"][1] < 0.4  # y up, metres, feet on the floor
        first = dict(zip(LAYOUT.joint_names, sequence.joints[0, 0], strict=True))
        ahead = (first["Toes_L"] - first["Foot_L"] + first["Toes_R"] - first["Foot_R"])[[0, 2]]
        left = (first["UpperLeg_L"] - first["UpperLeg_R"])[[0, 2]]
        assert ahead[1] * left[0] - ahead[0] * left[1] > 0  # up x ahead = left in a right-handed frame
