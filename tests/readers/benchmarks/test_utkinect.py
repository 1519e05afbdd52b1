from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import one_sentence, refused
from hypothesis import HealthCheck, given, settings, strategies as st

from s2i_hf.processing.skeleton_sequence import SkeletonSequence
from s2i_hf.readers import RawFile, ReadError
from s2i_hf.readers.benchmarks import utkinect
from s2i_hf.readers.discovery import find_recordings, read_file

IDS = (100, 102, 106, 106, 110, 112, 118, 120)  # gaps, and one twice
LABELS = "s03_e01\nwalk: 1 5\ns03_e02\nwalk: 100 106\nsitDown: 107 112 \nstandUp: 112 900\n"


def recording() -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 3, (len(IDS), 20, 3)).round(6)


def text(joints: np.ndarray) -> str:
    rows = (
        f"{i}   " + "  ".join(f"{value:.6f}" for value in frame.ravel()) for i, frame in zip(IDS, joints, strict=True)
    )
    return "\n".join(rows) + "\n"


def write(folder: Path, content: str | bytes | None = None, labels: str | bytes | None = LABELS) -> Path:
    path = folder / "joints_s03_e02.txt"
    content = text(recording()) if content is None else content
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    if labels is not None:
        (folder / "actionLabel.txt").write_bytes(labels.encode() if isinstance(labels, str) else labels)
    return path


def clips(path: Path | RawFile) -> tuple[list[SkeletonSequence], list[str]]:
    found = list(utkinect.read_clips(path))
    return (
        [clip for clip in found if not isinstance(clip, ReadError)],
        [str(clip) for clip in found if isinstance(clip, ReadError)],
    )


def test_cuts_a_recording_by_its_labels(tmp_path: Path) -> None:
    joints = recording().astype(np.float32)
    found, errors = clips(write(tmp_path))
    assert errors == []
    assert [clip.sample_id for clip in found] == ["s03_e02_a01", "s03_e02_a02", "s03_e02_a03"]
    assert [(clip.label, clip.subject, clip.layout.name) for clip in found] == [(i, 3, "kinect_v1") for i in range(3)]
    for clip, rows in zip(
        found, ([0, 1, 2, 3], [4, 5], [5, 6, 7]), strict=True
    ):  # last frame included, repeated ids kept
        np.testing.assert_array_equal(clip.joints[:, 0], joints[rows])


def test_the_label_file_may_lie_above_or_beside(tmp_path: Path) -> None:
    (tmp_path / "joints").mkdir()
    path = write(tmp_path / "joints", labels=None)
    with pytest.raises(ReadError, match=r"no actionLabel\.txt with it"):
        clips(path)
    (tmp_path / "actionLabel.txt").write_text(LABELS)
    assert len(clips(path)[0]) == 3
    (tmp_path / "actionLabel_modified.txt").write_text(LABELS)
    with zipfile.ZipFile(tmp_path / "copy.zip", "w") as archive:
        archive.write(path, "UTKinect/joints/joints_s03_e01.txt")
    recordings = find_recordings("utkinect_xsub", tmp_path)
    assert [len(files) for files in recordings.files.values()] == [2, 0]
    assert recordings.left_out == {"changed labels, not the original ones": ["actionLabel_modified.txt"]}
    found = [clip for file in recordings.all_files for clip in read_file(file, recordings.protocol)]
    assert [str(c) if isinstance(c, ReadError) else c.sequence.sample_id for c in found] == [
        "joints_s03_e01.txt: no frame of walk, 1 to 5 in actionLabel.txt.",
        *("s03_e02_a01", "s03_e02_a02", "s03_e02_a03"),
    ]


def test_the_nearest_of_several_label_files() -> None:
    files = [RawFile(Path(name)) for name in ("d/actionLabel.txt", "d/x/actionLabel.txt", "d/x/j/joints_s01_e01.txt")]
    (chosen,) = utkinect.select(files)[0]
    assert chosen.companions == (files[1],)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("carry:  NaN NaN", "line 7 (s03_e02): 'carry:  NaN NaN' has no first and last frame"),
        ("carry: 5", "no first and last frame"),
        ("carry: 5 6 7", "no first and last frame"),
        ("carry: -5 6", "no first and last frame"),
        ("carry: 5 " + "9" * 5000, "no first and last frame"),
        ("carry: 6 5", "ends before it begins"),
        ("dance: 5 6", "unknown action 'dance'"),
        ("walk: 100 102", "twice"),
        ("carry: 113 117", "joints_s03_e02.txt: no frame of carry, 113 to 117"),
    ],
)
def test_an_action_that_cannot_be_cut_out_is_reported(tmp_path: Path, line: str, words: str) -> None:
    found, errors = clips(write(tmp_path, labels=f"{LABELS}{line}\n"))
    assert len(found) == 3 and len(errors) == 1
    assert words in errors[0] and one_sentence(errors[0])


@pytest.mark.parametrize(
    ("content", "labels", "words"),
    [
        ("", LABELS, ["empty"]),
        ("100 1 2 3\n", LABELS, ["line 1", "4 numbers", "61"]),
        (text(recording()).replace("\n106 ", "\n1o6 ", 1), LABELS, ["line 3", "'1o6'"]),
        (text(recording() * 1000), LABELS, ["millimetres"]),
        (None, "s03_e01\nwalk: 1 5\n", ["actionLabel.txt", "no labels of s03_e02"]),
        (None, "", ["actionLabel.txt", "empty"]),
        (None, "s03_e02\n" + "\n" * 20_000 + "x", ["actionLabel.txt", "10,000 lines"]),
    ],
)
def test_broken_files_are_one_clear_sentence(
    tmp_path: Path, content: str | None, labels: str, words: list[str]
) -> None:
    with refused(ReadError, *words):
        list(utkinect.read_clips(write(tmp_path, content, labels)))


def test_other_names_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path).rename(tmp_path / "joints_1.txt")
    with pytest.raises(ReadError, match="not named like a recording"):
        clips(path)


def test_all_zero_rows(tmp_path: Path) -> None:
    """A frame of zeros stays what it is: nobody knows whether that is a lost person; the pipeline treats zeros as missing."""
    joints = recording()
    joints[1] = 0
    assert not clips(write(tmp_path, text(joints)))[0][0].joints[1].any()


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.integers(0, 5_000), st.integers(0, len(LABELS)), st.integers(0, len(LABELS) - 1),
    st.sampled_from([b"", b"NaN", b"\xff", b":", b"9" * 99, b"\n", b"\0"]),
)  # fmt: skip
def test_damaged_files_give_clips_or_errors(tmp_path: Path, end: int, labels_end: int, place: int, junk: bytes) -> None:
    labels = LABELS.encode()
    path = write(tmp_path, text(recording())[:end], (labels[:place] + junk + labels[place:])[:labels_end])
    try:
        found = list(utkinect.read_clips(path))
    except ReadError as error:
        found = [error]
    for clip in found:
        if isinstance(clip, ReadError):
            assert (path.name in str(clip) or "actionLabel.txt" in str(clip)) and "\n" not in str(clip)
        else:
            assert np.isfinite(clip.joints).all()


def test_all_real_recordings(real_data: Path) -> None:
    """200 labels, 199 of which say where: 100 train, 99 test, 6,222 frames."""
    recordings = find_recordings("utkinect_xsub", real_data / "UTKinect")
    found = [clip for file in recordings.all_files for clip in read_file(file, recordings.protocol)]
    errors = [str(clip) for clip in found if isinstance(clip, ReadError)]
    assert len(errors) == 1 and "(s10_e02): 'carry:  NaN NaN' has no first and last frame" in errors[0]
    good = [clip for clip in found if not isinstance(clip, ReadError)]
    for split, count in (("train", 100), ("test", 99)):
        ids = [clip.sequence.sample_id for clip in good if clip.split == split]
        assert len(ids) == count and sorted(ids) == recordings.protocol.expected_ids(split)
    assert sum(len(clip.sequence.joints) for clip in good) == 6_222
    for clip in good:
        joints = clip.sequence.joints[:, 0]
        assert (
            np.median(joints[:, 3, 1] - joints[:, 15, 1]) > 0.5 and np.median(joints[..., 2]) > 1
        )  # upright, in front
    rows = np.loadtxt(real_data / "UTKinect" / "joints" / "joints_s07_e02.txt")  # sitDown: 880 1014
    (clip,) = (clip for clip in good if clip.sequence.sample_id == "s07_e02_a02")
    inside = rows[(rows[:, 0] >= 880) & (rows[:, 0] <= 1014), 1:]
    np.testing.assert_array_equal(clip.sequence.joints.reshape(-1, 60), inside.astype(np.float32))
