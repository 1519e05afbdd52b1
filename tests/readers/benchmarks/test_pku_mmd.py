from __future__ import annotations

import functools
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import one_sentence, refused
from hypothesis import given, settings, strategies as st
from paper_files import pku_text, split_text, walk, write_pku

from s2i_hf.processing.skeleton_sequence import SkeletonSequence
from s2i_hf.protocols import get_protocol
from s2i_hf.readers import RawFile, ReadError
from s2i_hf.readers.benchmarks import pku_mmd
from s2i_hf.readers.discovery import find_recordings, read_file
from s2i_hf.readers.raw_files import list_raw_files


def clips_of(file: RawFile, denoise: bool = True) -> list[SkeletonSequence]:
    clips = list(pku_mmd.read_clips(file, denoise=denoise))
    assert all(isinstance(clip, SkeletonSequence) for clip in clips), clips
    return clips  # type: ignore[return-value]


def test_cuts_the_actions_out_of_a_video(tmp_path: Path) -> None:
    bodies = walk(40, 1, 25)
    first, second = clips_of(write_pku(tmp_path, "0002-L", bodies, [(5, 3, 20, 2), (51, 25, 90, 1)]))
    np.testing.assert_array_equal(first.joints, bodies[3:20].astype(np.float32))
    np.testing.assert_array_equal(second.joints, bodies[25:].astype(np.float32))  # cut at the end of the video
    assert (first.sample_id, first.label, first.camera, first.subject) == ("0002-L_A05_00003-00020", 4, 1, -1)
    assert (second.sample_id, second.label, second.layout.name) == ("0002-L_A51_00025-00090", 50, "kinect_v2")
    (clip,) = clips_of(write_pku(tmp_path, "A10N08-R", bodies, [(1, 0, 40, 1)]))
    assert (clip.subject, clip.camera, clip.joints.shape) == (8, 3, (40, 1, 25, 3))


def test_as_the_way_that_reads_the_video_for_every_action(tmp_path: Path) -> None:
    bodies = walk(60, 2, 25, seed=4)
    rows = [(1, 0, 10, 1), (7, 8, 33, 1), (12, 30, 60, 2)]
    file = write_pku(tmp_path, "0007-M", bodies, rows)
    for clip, (_, start, end, _) in zip(clips_of(file, denoise=False), rows, strict=True):
        again = np.loadtxt(file.path)[start:end].reshape(-1, 2, 25, 3)
        np.testing.assert_array_equal(clip.joints, again.astype(np.float32))


def test_people_who_come_and_go(tmp_path: Path) -> None:
    bodies = walk(30, 2, 25, seed=1)
    bodies[:10, 1] = 0  # enters at frame 10
    bodies[20:, 0] = 0  # leaves at frame 20
    file = write_pku(tmp_path, "0002-R", bodies, [(1, 0, 10, 1), (14, 5, 25, 1), (3, 20, 30, 1)])
    alone, both, other = clips_of(file, denoise=False)
    assert (alone.body_ids.tolist(), both.body_ids.tolist(), other.body_ids.tolist()) == ([0], [0, 1], [1])
    expected = bodies[5:25].astype(np.float32)
    expected[:5, 1] = expected[15:, 0] = np.nan
    np.testing.assert_array_equal(both.joints, expected)


def test_who_moves_most_comes_first(tmp_path: Path) -> None:
    bodies = walk(20, 2, 25)
    bodies[:, 0] = bodies[:1, 0]  # frozen, and small
    bodies[:, 0] *= 0.1
    file = write_pku(tmp_path, "0002-R", bodies, [(14, 0, 20, 1)])
    assert clips_of(file)[0].body_ids.tolist() == [1, 0]
    np.testing.assert_array_equal(clips_of(file)[0].joints[:, 0], bodies[:, 1].astype(np.float32))
    assert clips_of(file, denoise=False)[0].body_ids.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("5,20,20,1", ["row 2", "20 to 20", "start before"]),
        ("5,20,10,1", ["row 2", "20 to 10"]),
        ("5,30,40,1", ["row 2", "frame 30", "30 frames"]),
        ("52,1,9,1", ["row 2", "action 52", "51"]),
        ("0,1,9,1", ["row 2", "action 0"]),
        ("5,-3,9,1", ["row 2", "expected action,start,end"]),
        ("5;1;9;1", ["row 2", "5;1;9;1"]),
        ("5,1,1e3,1", ["row 2"]),
        ("5," + "9" * 400 + ",2,1", ["row 2"]),
        ("\x00\x01\x02", ["row 2"]),
        ("1,1,9,1", ["row 2", "second time"]),
        ("8,12,18,1", ["row 2", "nobody"]),
    ],
)
def test_a_row_that_cannot_be_used_is_one_clear_sentence(tmp_path: Path, row: str, words: list[str]) -> None:
    bodies = walk(30, 1, 25)
    bodies[12:18] = 0
    file = write_pku(tmp_path, "0002-L", bodies, [])
    file.companions[0].path.write_text(f"1,1,9,1\n{row}\n2,20,30,1\n")
    first, error, last = pku_mmd.read_clips(file)
    assert isinstance(first, SkeletonSequence) and isinstance(last, SkeletonSequence) and last.label == 1
    assert isinstance(error, ReadError) and one_sentence(error) and "0002-L.txt" in str(error)
    for word in words:
        assert word in str(error)


def test_a_label_file_of_one_row_and_blank_lines(tmp_path: Path) -> None:
    file = write_pku(tmp_path, "0002-L", walk(9, 1, 25), [])
    file.companions[0].path.write_bytes(b" 1, 2 ,9\r\n\r\n")
    assert clips_of(file)[0].sample_id == "0002-L_A01_00002-00009"


@pytest.mark.parametrize("labels", [b"", b"1 2 3\n4 5 6\n", b"\xff\xfe1\x00", b"1,2,9,1\n" * 20_000])
def test_what_is_no_label_file(tmp_path: Path, labels: bytes) -> None:
    file = write_pku(tmp_path, "0002-L", walk(9, 1, 25), [])
    file.companions[0].path.write_bytes(labels)
    with refused(ReadError, match=r"0002-L\.txt"):
        list(pku_mmd.read_clips(file))


def test_without_labels_and_in_millimetres(tmp_path: Path) -> None:
    file = write_pku(tmp_path, "0002-L", walk(9, 1, 25) * 1000, [(1, 2, 9, 1)])
    with pytest.raises(ReadError, match="millimetres"):
        list(pku_mmd.read_clips(file))
    with refused(ReadError, match="no label file"):
        list(pku_mmd.read_clips(file.path))


@functools.cache
def whole() -> bytes:
    return pku_text(walk(4, 2, 25))


@settings(deadline=None)
@given(st.data())
def test_damaged_videos_are_named(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    file = write_pku(tmp_path_factory.mktemp("pku"), "0002-L", walk(4, 2, 25), [(1, 0, 4, 1), (2, 3, 4, 1)])
    text = bytearray(whole())
    at = data.draw(st.integers(0, len(text)))
    junk = data.draw(
        st.sampled_from([b"", b"nan", b" ", b"\n", b",", b"\xff", b"\x00", b"1e999", b"-", b"9" * 50, b"PK"])
    )
    text = text[:at] + junk + (b"" if data.draw(st.booleans()) else text[at + data.draw(st.integers(0, 9)) :])
    file.path.write_bytes(text)
    try:
        clips = list(pku_mmd.read_clips(file))
    except ReadError as error:
        assert "0002-L.txt" in str(error)
        return
    for clip in clips:
        if isinstance(clip, ReadError):
            assert "0002-L.txt" in str(clip)
        else:
            assert clip.joints.shape[2:] == (25, 3) and not np.isinf(clip.joints).any()


@pytest.mark.parametrize(
    ("labels", "video"),
    [("label", "skeleton"), ("Train_Label_PKU_final", "PKU_Skeleton_Renew"), ("b", "a"), ("a", "b")],
)
def test_videos_find_their_labels(tmp_path: Path, labels: str, video: str) -> None:
    for name in ("0002-L", "A01N01-M"):
        write_pku(tmp_path, name, walk(5, 1, 25), [(1, 0, 5, 1)], labels, video)
    (tmp_path / video / "0003-R.txt").write_bytes(pku_text(walk(5, 1, 25)))
    (tmp_path / labels / "0004-R.txt").write_text("1,0,5,1\n")
    (tmp_path / "readme.txt").write_text("PKU-MMD")
    chosen, left_out = pku_mmd.select(list_raw_files(tmp_path))
    assert [file.path.parent.name for file in chosen] == [video, video]
    assert [[part.path.parent.name for part in file.companions] for file in chosen] == [[labels], [labels]]
    assert {reason: names for reason, names in left_out.items() if names} == {
        "not named like a recording": ["readme.txt"],
        "without a label file": ["0003-R.txt"],
        "label file without a video": ["0004-R.txt"],
    }


def test_two_label_files_of_a_video(tmp_path: Path) -> None:
    write_pku(tmp_path, "0002-L", walk(5, 1, 25), [(1, 0, 5, 1)])
    (tmp_path / "old_labels").mkdir()
    (tmp_path / "old_labels" / "0002-L.txt").write_text("2,0,5,1\n")
    chosen, left_out = pku_mmd.select(list_raw_files(tmp_path))
    assert len(chosen) == 1 and [reason for reason in left_out if left_out[reason]] == ["second label file of a video"]


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("spelling", ["cross_subject.txt", "cross-subject.txt"])
def test_the_split_file_decides(tmp_path: Path, spelling: str, zipped: bool) -> None:
    for name in ("0002-L", "0002-M", "0003-L", "0004-R", "A01N02-L"):
        write_pku(tmp_path / "pku", name, walk(12, 1, 25), [(3, 0, 4, 1), (9, 5, 12, 1), (3, 7, 7, 1)])
    (tmp_path / "pku" / spelling).write_text(split_text(["0002-L", "0003-L"], ["0002-M"]))
    folder = tmp_path / "pku"
    if zipped:
        folder = tmp_path / "pku.zip"
        with zipfile.ZipFile(folder, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted((tmp_path / "pku").rglob("*.txt")):
                archive.write(path, path.relative_to(tmp_path / "pku"))
    recordings = find_recordings("pku1_xsub", folder)
    assert [file.stem for file in recordings.files["train"]] == ["0002-L", "0003-L"]
    assert [file.stem for file in recordings.files["test"]] == ["0002-M"]
    assert recordings.left_out == {"not part of this protocol": ["0004-R.txt", "A01N02-L.txt"]}
    found = [clip for file in recordings.all_files for clip in read_file(file, recordings.protocol)]
    kept = [
        (clip.split, clip.sequence.sample_id, clip.sequence.label) for clip in found if not isinstance(clip, ReadError)
    ]
    assert kept[:2] == [("train", "0002-L_A03_00000-00004", 2), ("train", "0002-L_A09_00005-00012", 8)]
    assert [split for split, *_ in kept] == ["train", "train", "test", "test", "train", "train"]
    assert sum(isinstance(clip, ReadError) for clip in found) == 3


def test_cross_subject_of_part_one_needs_its_split_file(tmp_path: Path) -> None:
    write_pku(tmp_path, "0002-L", walk(5, 1, 25), [(1, 0, 5, 1)])
    with pytest.raises(ValueError, match=r"cross_subject\.txt"):
        find_recordings("pku1_xsub", tmp_path)
    assert [file.stem for file in find_recordings("pku1_xview", tmp_path).files["test"]] == ["0002-L"]


def test_a_split_file_beside_part_two_wins_over_the_names(tmp_path: Path) -> None:
    for name in ("A01N02-L", "A01N05-L"):
        write_pku(tmp_path, name, walk(5, 1, 25), [(1, 0, 5, 1)])
    assert [file.stem for file in find_recordings("pku2_xsub", tmp_path).files["test"]] == ["A01N02-L"]
    (tmp_path / "cross_subject_v2.txt").write_text(split_text(["A01N02-L"], ["A01N05-L"]))
    assert [file.stem for file in find_recordings("pku2_xsub", tmp_path).files["test"]] == ["A01N05-L"]
    assert get_protocol("pku2_xsub").split("A01N05-L_A01_00000-00005") == "train"
