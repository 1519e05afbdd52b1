from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest
from conftest import one_sentence, refused
from hypothesis import given, settings, strategies as st
from paper_files import florence_text, walk

from s2i_hf.processing.skeleton_sequence import SkeletonSequence
from s2i_hf.readers import ReadError
from s2i_hf.readers.benchmarks import florence3d
from s2i_hf.readers.discovery import find_recordings, read_file
from s2i_hf.readers.raw_files import list_raw_files

ALL = "Florence_dataset_WorldCoordinates.txt"


def clip(frames: int, seed: int = 0) -> np.ndarray:
    return walk(frames, 1, 15, seed)[:, 0]


@functools.cache
def clips() -> tuple[tuple[int, int, int, np.ndarray], ...]:
    return tuple(
        (video, actor, action, clip(3 + video, video)) for video, actor, action in [(1, 1, 1), (2, 1, 9), (3, 2, 4)]
    )


def test_cuts_the_file_into_its_clips(tmp_path: Path) -> None:
    (tmp_path / ALL).write_text(florence_text(clips()))
    found = list(florence3d.read_clips(tmp_path / ALL))
    for sequence, (_, actor, action, joints) in zip(found, clips(), strict=True):
        assert isinstance(sequence, SkeletonSequence) and sequence.joints.shape == (len(joints), 1, 15, 3)
        np.testing.assert_allclose(sequence.joints[:, 0], joints, atol=1e-6)
        assert (sequence.subject, sequence.label, sequence.layout.name) == (actor, action - 1, "florence_15")
    assert [s.sample_id for s in found if isinstance(s, SkeletonSequence)] == [
        "v001_s01_a01",
        "v002_s01_a09",
        "v003_s02_a04",
    ]


@pytest.mark.parametrize("per_line", [1, 15])
@pytest.mark.parametrize("name", ["v007_s02_a05", "a05_s02_e01"])
def test_a_file_of_one_clip(tmp_path: Path, name: str, per_line: int) -> None:
    joints = clip(4)
    path = tmp_path / f"{name}.txt"
    rows = (1000 * joints).reshape(4 * per_line, -1)
    path.write_text("\n".join(" ".join(f"{value:.3f}" for value in row) for row in rows))
    (sequence,) = florence3d.read_clips(path)
    assert isinstance(sequence, SkeletonSequence)
    np.testing.assert_allclose(sequence.joints[:, 0], joints, atol=1e-6)
    assert (sequence.subject, sequence.label, sequence.sample_id) == (2, 4, name)


def test_a_clip_that_is_broken_leaves_the_others(tmp_path: Path) -> None:
    changes = [(4, 3, 1, clip(3)), (4, 3, 2, clip(2))]  # the category changes inside of the video
    more = [(5, 3, 10, clip(2)), (1, 1, 1, clip(2)), (6, 3, 0, clip(2)), (7, 10, 9, clip(1))]
    (tmp_path / ALL).write_text(florence_text([*clips(), *changes, *more]))
    found = list(florence3d.read_clips(tmp_path / ALL))
    errors = [str(error) for error in found if isinstance(error, ReadError)]
    assert all(one_sentence(error) and ALL in error for error in errors)
    assert [
        word in error
        for word, error in zip(["video 4", "category 10", "second time", "category 0"], errors, strict=True)
    ]
    assert len(found) - len(errors) == 4


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (florence_text(clips()).replace(" ", ",", 1), ["line 1"]),
        (florence_text(clips())[:-30], ["line 15"]),
        (florence_text(clips()).replace("2 1 9 ", "2.5 1 9 ", 1), ["row 5", "video is 2.5"]),
        (florence_text(clips()).replace("2 1 9 ", "2 -1 9 ", 1), ["row 5", "actor is -1"]),
        (florence_text(clips()).replace("2 1 9 ", "2 1 nan ", 1), ["nan"]),
        (florence_text([(1, 1, 1, clip(3) / 1000)]), ["millimetres"]),
        (florence_text([(1, 1, 1, clip(3) * 1000)]), ["cannot be metres"]),
    ],
)
def test_a_broken_file_is_one_clear_sentence(tmp_path: Path, text: str, words: list[str]) -> None:
    (tmp_path / ALL).write_text(text)
    with refused(ReadError, ALL, *words):
        list(florence3d.read_clips(tmp_path / ALL))


def test_lines_that_make_no_whole_frame(tmp_path: Path) -> None:
    path = tmp_path / "v001_s01_a01.txt"
    path.write_text("1 2 3\n" * 29)
    with pytest.raises(ReadError, match="29 lines; expected 15"):
        list(florence3d.read_clips(path))


@settings(deadline=None)
@given(st.data())
def test_damaged_files_are_named(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([ALL, "v001_s01_a01.txt"]))
    path = tmp_path_factory.mktemp("florence") / name
    text = florence_text(clips()).encode()
    at = data.draw(st.integers(0, len(text)))
    junk = data.draw(
        st.sampled_from([b"", b"nan", b"inf", b"\n", b"\xff", b"\x00", b"1e999", b"-", b"9" * 400, b"PK", b"_"])
    )
    path.write_bytes(
        text[:at] + junk + (b"" if data.draw(st.booleans()) else text[at + data.draw(st.integers(0, 30)) :])
    )
    try:
        found = list(florence3d.read_clips(path))
    except ReadError as error:
        assert name in str(error)
        return
    for sequence in found:
        assert name in str(sequence) if isinstance(sequence, ReadError) else np.isfinite(sequence.joints).all()


def test_the_clips_of_one_file_are_sorted_one_by_one(tmp_path: Path) -> None:
    (tmp_path / ALL).write_text(florence_text(clips()))
    (tmp_path / "v001_s01_a01.txt").write_text("1 2 3\n")
    (tmp_path / "Florence_dataset_Features.txt").write_text("1 1 1 0.5\n")
    recordings = find_recordings("florence3d_xsub", tmp_path)
    assert recordings.files["train"] == recordings.files["test"] == recordings.all_files
    assert recordings.left_out == {
        "also in the file of all clips": ["v001_s01_a01.txt"],
        "not named like a recording": ["Florence_dataset_Features.txt"],
    }
    (file,) = recordings.all_files
    found = [clip for clip in read_file(file, recordings.protocol) if not isinstance(clip, ReadError)]
    assert [(clip.split, clip.sequence.sample_id) for clip in found] == [
        ("train", "v001_s01_a01"),
        ("train", "v002_s01_a09"),
        ("test", "v003_s02_a04"),
    ]
    (tmp_path / ALL).unlink()
    assert [file.name for file in florence3d.select(list_raw_files(tmp_path))[0]] == ["v001_s01_a01.txt"]
