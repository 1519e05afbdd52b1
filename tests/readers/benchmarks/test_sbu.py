from __future__ import annotations

import functools
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import refused
from hypothesis import given, settings, strategies as st
from paper_files import sbu_text, walk

from s2i_hf.readers import RawFile, ReadError
from s2i_hf.readers.benchmarks import recording_name, sbu
from s2i_hf.readers.discovery import find_recordings, read_file


def write(folder: Path, text: str | bytes, where: str = "s01s02/04/002") -> Path:
    path = folder / where / "skeleton_pos.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_reads_what_is_in_the_file(tmp_path: Path) -> None:
    joints = walk(7, 2, 15)
    sequence = sbu.read(write(tmp_path, sbu_text(joints)))
    assert sequence.joints.shape == (7, 2, 15, 3)
    np.testing.assert_allclose(sequence.joints, joints, atol=3e-6)
    assert (sequence.label, sequence.subject, sequence.sample_id) == (3, 102, "s01s02_04_002")
    assert sequence.layout.name == "sbu_15"


def test_the_formula_of_the_readme(tmp_path: Path) -> None:
    row = ["1", *["0.25", "0.125", "2.0"] * 30]
    joints = sbu.read(write(tmp_path, ",".join(row))).joints
    np.testing.assert_allclose(joints[0, 1, 14], [(1280 - 640) / 1000, (960 - 240) / 1000, 2.56], rtol=1e-6)


def test_somebody_who_is_not_there(tmp_path: Path) -> None:
    lines = sbu_text(walk(4, 2, 15)).splitlines()
    for number in (1, 2):
        values = lines[number].split(",")
        lines[number] = ",".join([*values[:46], *["0"] * 45])
    joints = sbu.read(write(tmp_path, "\n".join(lines))).joints
    assert np.isnan(joints[1:3, 1]).all() and np.isfinite(joints[[0, 3]]).all() and np.isfinite(joints[:, 0]).all()
    alone = [",".join([*line.split(",")[:46], *["0"] * 45]) for line in lines]
    sequence = sbu.read(write(tmp_path, "\n".join(alone)))
    assert sequence.joints.shape == (4, 1, 15, 3) and sequence.body_ids.tolist() == [0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (sbu_text(walk(4, 2, 15))[:-20], ["line 4"]),
        (sbu_text(walk(4, 2, 15)).replace(",", " "), ["line 1", "91"]),
        (sbu_text(walk(4, 1, 15)), ["line 1", "91"]),
        (sbu_text(walk(4, 2, 15)).replace("\n2,", "\n2,nan,", 1).replace("\n3,", ",\n3,", 1), ["line 2"]),
        ("\n".join(",".join(["1", *["0"] * 90]) for _ in range(3)), ["nobody is seen in any of its 3 frames"]),
        ("\n".join(",".join(["1", *["1500"] * 90]) for _ in range(3)), ["normalised"]),
    ],
)
def test_a_broken_file_is_one_clear_sentence(tmp_path: Path, text: str, words: list[str]) -> None:
    with refused(ReadError, "skeleton_pos.txt", *words):
        sbu.read(write(tmp_path, text))


@functools.cache
def whole() -> bytes:
    return sbu_text(walk(3, 2, 15)).encode()


@settings(deadline=None)
@given(st.data())
def test_damaged_files_are_named(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    text = whole()
    at = data.draw(st.integers(0, len(text)))
    junk = data.draw(
        st.sampled_from([b"", b"nan", b",", b"\n", b"\xff", b"\x00", b"1e999", b"-", b"9" * 400, b"PK", b"_", b"7"])
    )
    rest = b"" if data.draw(st.booleans()) else text[at + data.draw(st.integers(0, 30)) :]
    path = write(tmp_path_factory.mktemp("sbu"), text[:at] + junk + rest)
    try:
        sequence = sbu.read(path)
    except ReadError as error:
        assert "skeleton_pos.txt" in str(error)
    else:
        assert sequence.joints.shape[2:] == (15, 3) and not np.isinf(sequence.joints).any()


def test_ids_come_from_the_folders() -> None:
    assert recording_name("sbu", RawFile(Path("/data/s07s03/08/001/skeleton_pos.txt"))) == "s07s03_08_001"
    assert recording_name("sbu", RawFile(Path("all.zip"), "clean/s01s02/01/002/skeleton_pos.txt")) == "s01s02_01_002"
    assert recording_name("sbu", RawFile(Path("/data/mine/skeleton_pos.txt"))) == "skeleton_pos"


@pytest.mark.parametrize("zipped", [False, True])
def test_folds(tmp_path: Path, zipped: bool) -> None:
    names = ["s01s02/01/001", "s01s02/08/001", "s02s03/01/001", "s06s03/05/002"]
    for seed, name in enumerate(names):
        write(tmp_path / "sbu", sbu_text(walk(3, 2, 15, seed)), name)
    folder = tmp_path / "sbu"
    if zipped:
        folder = tmp_path / "sbu.zip"
        with zipfile.ZipFile(folder, "w") as archive:
            for path in sorted((tmp_path / "sbu").rglob("*.txt")):
                archive.write(path, Path("clean") / path.relative_to(tmp_path / "sbu"))
    recordings = find_recordings("sbu_fold1", folder)
    found = [clip for file in recordings.all_files for clip in read_file(file, recordings.protocol)]
    kept = [
        (clip.split, clip.sequence.sample_id, clip.sequence.label) for clip in found if not isinstance(clip, ReadError)
    ]
    assert kept == [
        ("test", "s01s02_01_001", 0),
        ("test", "s01s02_08_001", 7),
        ("train", "s02s03_01_001", 0),
        ("train", "s06s03_05_002", 4),
    ]
