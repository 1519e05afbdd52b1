from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from conftest import refused
from hypothesis import given, settings, strategies as st
from skeleton_files import Body, person, read_slowly, skeleton_text

from s2i_hf.readers import ReadError
from s2i_hf.readers.benchmarks import ntu_rgbd

NAME = "S001C002P003R002A013"
ID = 72057594037931691  # a real tracking id has 17 digits


def check(text: bytes, denoise: bool = True) -> ntu_rgbd.SkeletonSequence:
    """Read, and hold against the slow reference."""
    sequence = ntu_rgbd.parse(text, NAME, denoise)
    joints, ids = read_slowly(text, denoise)
    np.testing.assert_array_equal(sequence.joints, joints)
    assert sequence.body_ids.tolist() == ids
    return sequence


def clip(*tracks: tuple[int, range | list[int], float, bool], length: int) -> list[list[Body]]:
    """Frames in which each body (id, frames, amount of movement, wide) walks sideways."""
    frames: list[list[Body]] = [[] for _ in range(length)]
    for number, (body_id, present, movement, wide) in enumerate(tracks):
        for t in present:
            shift = np.array([movement * np.sin(t), 0, 0], dtype=np.float32)
            frames[t].append((body_id, person(number, place=number, wide=wide) + shift))
    return frames


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("denoise", [True, False])
def test_reads_what_is_in_the_file(tmp_path: Path, newline: str, denoise: bool) -> None:
    text = skeleton_text(clip((ID, range(20), 0.5, False), (ID + 1, range(20), 0.1, False), length=20), newline)
    (tmp_path / f"{NAME}.skeleton").write_bytes(text)
    sequence = ntu_rgbd.read(tmp_path / f"{NAME}.skeleton", denoise)
    np.testing.assert_array_equal(sequence.joints, read_slowly(text, denoise)[0])
    assert (sequence.label, sequence.subject, sequence.camera) == (12, 3, 2)
    assert (sequence.sample_id, sequence.layout.name) == (NAME, "kinect_v2")
    assert sequence.joints.shape == (20, 2, 25, 3) and sequence.joints.dtype == np.float32


def test_ids_that_are_equal_as_floats_stay_apart() -> None:
    assert float(ID) == float(ID + 1)
    sequence = check(skeleton_text(clip((ID, range(15), 0.5, False), (ID + 1, range(15), 0.1, False), length=15)))
    assert sequence.body_ids.dtype == np.int64 and sequence.body_ids.tolist() == [ID, ID + 1]


def test_a_name_of_another_kind_leaves_the_numbers_unknown() -> None:
    sequence = ntu_rgbd.parse(skeleton_text([[(1, person(0))]]), "living_room")
    assert (sequence.label, sequence.subject, sequence.camera, sequence.sample_id) == (-1, -1, -1, "living_room")


def test_frames_without_a_body() -> None:
    text = skeleton_text(clip((7, [2, 3, 5], 0.5, False), length=8))
    assert check(text).joints.shape[0] == 3
    kept = check(text, denoise=False)
    assert kept.joints.shape[0] == 8
    assert np.isnan(kept.joints[[0, 1, 4, 6, 7]]).all() and not np.isnan(kept.joints[[2, 3, 5]]).any()


def test_an_absent_person_is_nan_and_nobody_is_copied() -> None:
    text = skeleton_text(clip((1, range(30), 0.5, False), (2, range(10, 30), 0.1, False), length=30))
    sequence = check(text)
    assert sequence.joints.shape[1] == 2
    assert np.isnan(sequence.joints[:10, 1]).all() and not np.isnan(sequence.joints[10:]).any()
    assert check(skeleton_text(clip((1, range(30), 0.5, False), length=30))).joints.shape[1] == 1


def test_short_bodies_are_dropped_up_to_eleven_frames() -> None:
    for seen, people in ((11, 1), (12, 2)):
        text = skeleton_text(clip((1, range(30), 0.1, False), (2, range(seen), 0.9, False), length=30))
        assert check(text).joints.shape[1] == people
    short_clip = skeleton_text(clip((1, range(5), 0.1, False), (2, range(5), 0.9, False), length=5))
    assert check(short_clip).body_ids.tolist() == [2, 1]  # all are short: nobody is dropped for it


def test_wide_bodies_are_dropped_while_another_is_left() -> None:
    text = skeleton_text(clip((1, range(30), 0.1, False), (2, range(30), 0.9, True), length=30))
    assert check(text).body_ids.tolist() == [1]
    only = skeleton_text(clip((1, range(30), 0.1, True), (2, range(30), 0.9, True), length=30))
    assert check(only).body_ids.tolist() == [2]
    assert check(skeleton_text(clip((2, range(30), 0.9, True), length=30))).body_ids.tolist() == [2]


def test_frames_whose_only_body_is_noise_are_dropped() -> None:
    text = skeleton_text(clip((1, range(20), 0.1, False), (2, range(15, 40), 0.1, True), length=40))
    assert check(text).joints.shape[:2] == (20, 1)


def test_who_moves_most_comes_first() -> None:
    text = skeleton_text(clip((1, range(30), 0.1, False), (2, range(30), 0.9, False), length=30))
    assert check(text).body_ids.tolist() == [2, 1]
    assert check(text, denoise=False).body_ids.tolist() == [1, 2]  # in the order they appear


def test_a_person_found_again_under_a_new_id_is_one_actor() -> None:
    text = skeleton_text(clip((1, range(20), 0.9, False), (2, range(20, 40), 0.5, False), length=40))
    sequence = check(text)
    assert sequence.body_ids.tolist() == [1] and not np.isnan(sequence.joints).any()


def test_a_person_who_leaves_and_returns_leaves_room_for_another() -> None:
    away = [*range(15), *range(30, 45)]
    text = skeleton_text(clip((1, away, 0.9, False), (2, range(15, 30), 0.3, False), length=45))
    assert check(text).body_ids.tolist() == [1]  # frame by frame the two never meet
    text = skeleton_text(clip((1, away, 0.9, False), (2, range(45), 0.3, False), length=45))
    sequence = check(text)
    assert np.isnan(sequence.joints[15:30, 0]).all() and not np.isnan(sequence.joints[:, 1]).any()


def test_a_third_person_at_the_same_time_is_dropped() -> None:
    bodies = [(number, range(20), movement, False) for number, movement in ((1, 0.1), (2, 0.9), (3, 0.5))]
    assert check(skeleton_text(clip(*bodies, length=20))).body_ids.tolist() == [2, 3]


def sgn_slowly(frames: list[list[Body]]) -> np.ndarray:
    """(T, M, 25, 3) as the scripts of SGN leave it, 0 where nobody is: bodies in consecutive places from their first one on."""
    counted = [bodies for bodies in frames if bodies]
    seen: dict[int, list[np.ndarray]] = {}
    first: dict[int, int] = {}
    for place, bodies in enumerate(counted):
        for body_id, joints in bodies:
            first.setdefault(body_id, place)
            seen.setdefault(body_id, []).append(joints.astype(np.float64))
    if any(len(poses) > 11 for poses in seen.values()) and len(seen) > 1:
        seen = {body_id: poses for body_id, poses in seen.items() if len(poses) > 11}

    def motion(poses: list[np.ndarray]) -> float:
        return sum(np.concatenate([pose[:, axis] for pose in poses]).var() for axis in range(3))

    motions: dict[int, float] = {}
    left = len(seen)
    for body_id, poses in seen.items():
        calm = [pose for pose in poses if np.ptp(pose[:, 0]) <= 0.8 * np.ptp(pose[:, 1])]
        if left > 1 and 1 - len(calm) / len(poses) >= 0.69754:
            left -= 1
        else:
            motions[body_id] = min(motion(poses), motion(calm or poses))
    one, two = np.zeros((2, len(counted), 25, 3), dtype=np.float32)
    spans: list[tuple[int, int] | None] = [None, (0, 0)]
    used = 1
    for body_id in sorted(motions, key=lambda body_id: motions[body_id], reverse=True):
        begin, end = first[body_id], first[body_id] + len(seen[body_id]) - 1
        for number, (actor, span) in enumerate(zip((one, two), spans, strict=True)):
            if span is None or min(span[1], end) <= max(span[0], begin):
                actor[begin : end + 1] = seen[body_id]
                spans[number] = (begin, end) if span is None else (min(span[0], begin), max(span[1], end))
                used = max(used, number + 1)
                break
    joints = np.stack([one, two][:used], axis=1)
    return joints[(joints != 0).any(axis=(1, 2, 3))]


def test_contiguous_moves_a_body_that_returns_as_sgn_does() -> None:
    away = [*range(15), *range(30, 45)]
    frames = clip((1, away, 0.9, False), (2, range(15, 30), 0.3, False), length=45)
    text = skeleton_text(frames, number="{:.9g}")
    mended, like_sgn = ntu_rgbd.parse(text, NAME), ntu_rgbd.parse(text, NAME, contiguous=True)
    assert mended.joints.shape[:2] == (45, 1) and like_sgn.joints.shape[:2] == (30, 2)
    np.testing.assert_array_equal(like_sgn.joints[15:, 0], mended.joints[30:, 0])  # moved over where body 2 was
    np.testing.assert_array_equal(np.nan_to_num(like_sgn.joints), sgn_slowly(frames))


def test_contiguous_is_no_other_where_nobody_returns() -> None:
    frames = clip((1, range(2, 30), 0.9, False), (2, range(10, 40), 0.3, False), length=45)
    text = skeleton_text(frames)
    np.testing.assert_array_equal(ntu_rgbd.parse(text, NAME, contiguous=True).joints, check(text).joints)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_contiguous_equals_a_slow_sgn(data: st.DataObject) -> None:
    length = data.draw(st.integers(12, 40))
    tracks = []
    for number in range(data.draw(st.integers(1, 5))):
        present = sorted(data.draw(st.sets(st.integers(0, length - 1), min_size=1)))
        if data.draw(st.booleans()):
            present = list(range(present[0], present[-1] + 1))
        tracks.append((ID + number, present, data.draw(st.floats(0, 1)), data.draw(st.booleans())))
    frames = clip(*tracks, length=length)
    sequence = ntu_rgbd.parse(skeleton_text(frames, number="{:.9g}"), NAME, contiguous=True)
    np.testing.assert_array_equal(np.nan_to_num(sequence.joints), sgn_slowly(frames))


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_any_coming_and_going_equals_the_slow_reference(data: st.DataObject) -> None:
    length = data.draw(st.integers(1, 30))
    tracks = []
    for number in range(data.draw(st.integers(1, 4))):
        present = sorted(data.draw(st.sets(st.integers(0, length - 1), min_size=1)))
        tracks.append((ID + number, present, data.draw(st.floats(0, 1)), data.draw(st.booleans())))
    newline = data.draw(st.sampled_from(["\n", "\r\n"]))
    number = data.draw(st.sampled_from(["{:.7f}", "{:.9g}", "{:.17g}", "{:e}", "{:+.3f}"]))
    text = skeleton_text(clip(*tracks, length=length), newline, number)
    check(text)
    check(text, denoise=False)


GOOD = skeleton_text([[(ID, person(0)), (ID + 1, person(1))]] * 3)
LINES = GOOD.split(b"\n")


def with_line(number: int, line: bytes) -> bytes:
    return b"\n".join([*LINES[: number - 1], line, *LINES[number:]])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", ["empty"]),
        (b"   \n \n", ["empty"]),
        (b"1000000000000\n" + GOOD, ["line 1", "1000000000000 frames"]),
        (b"0\n", ["line 1", "0 frames"]),
        (with_line(1, b"4"), ["ends", "frame 4 of 4"]),
        (with_line(1, b"2"), ["line 112", "goes on after"]),
        (GOOD[: len(GOOD) // 2], ["line ", "frame 2 of 3"]),
        (GOOD[:1500], ["frame 1 of 3"]),
        (with_line(10, b"nan 0 3 0 0 0 0 0 0 0 0 2"), ["line 10", "frame 1 of 3", "x of joint 6", "'nan'"]),
        (with_line(10, b"0 inf 3 0 0 0 0 0 0 0 0 2"), ["line 10", "y of joint 6", "'inf'"]),
        (with_line(10, b"0 0 1_0 0 0 0 0 0 0 0 0 2"), ["line 10", "z of joint 6", "'1_0'"]),
        (with_line(10, b"0,1 0 3 0 0 0 0 0 0 0 0 2"), ["line 10", "'0,1'"]),
        (with_line(10, b"1e39 0 3 0 0 0 0 0 0 0 0 2"), ["line 10", "1e39"]),
        (with_line(10, b"0.1 0.2 0.3"), ["line 10", "3 values", "expected 12"]),
        (with_line(2, b"two"), ["line 2", "'two'"]),
        (with_line(2, b"-1"), ["line 2", "'-1'"]),
        (with_line(2, b"999999999999999999"), ["frame 1"]),
        (with_line(3, b"7.2e16 0 1 1 1 1 0 0 0 2"), ["line 3", "body id", "7.2e16"]),
        (with_line(3, b"99999999999999999999 0 1 1 1 1 0 0 0 2"), ["line 3", "body id"]),
        (with_line(3, b"1 0 1 1"), ["line 3", "4 values"]),
        (with_line(4, b"20"), ["line 4", "20 joints", "25"]),
        (with_line(30, LINES[2]), ["frame 1", "twice"]),
        (b"3\n0\n0\n0\n", ["none of its 3 frames"]),
        (b"\xff\xfe" + GOOD.decode().encode("utf-16-le"), ["UTF-16"]),
        (b"PK\x03\x04" + GOOD, ["zip"]),
        (b"\x80abc\n" + GOOD, ["line 1"]),
        (bytes(range(256)) * 40, ["line 1"]),
    ],
)
def test_broken_files_are_one_clear_sentence(tmp_path: Path, text: bytes, words: list[str]) -> None:
    path = tmp_path / f"{NAME}.skeleton"
    path.write_bytes(text)
    for denoise in (True, False):
        with refused(ReadError, NAME, *words):
            ntu_rgbd.read(path, denoise)


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.skeleton")
    for path in (tmp_path, tmp_path / "none.skeleton", tmp_path / "pipe.skeleton", Path("/dev/zero")):
        with refused(ReadError):
            ntu_rgbd.read(path)
    with (tmp_path / "huge.skeleton").open("wb") as file:
        file.truncate(1 << 40)  # a sparse file: a terabyte that takes no space
    with pytest.raises(ReadError, match=r"huge.skeleton: .* MB large"):
        ntu_rgbd.read(tmp_path / "huge.skeleton")


def test_a_byte_order_mark_is_no_harm(tmp_path: Path) -> None:
    (tmp_path / "x.skeleton").write_bytes(b"\xef\xbb\xbf" + GOOD)
    assert ntu_rgbd.read(tmp_path / "x.skeleton").joints.shape == (3, 2, 25, 3)


def test_millimetres_are_named() -> None:
    with pytest.raises(ReadError, match=r"metres.*millimetres.*1000"):
        ntu_rgbd.parse(skeleton_text([[(1, person(0) * 1000)]] * 4), NAME)
    ghost = [[(1, person(0)), (2, person(1) * 1000)]] * 2 + [[(1, person(0))]] * 12
    assert ntu_rgbd.parse(skeleton_text(ghost), NAME).joints.shape[1] == 1  # one wild body is noise, not a unit


def test_memory_is_bounded_by_the_file_not_by_what_it_declares() -> None:
    empty = b"50000\n" + b"0\n" * 50000
    text = b"2000\n" + b"".join(
        b"1\n" + str(t).encode() + b" 0 1 1 1 1 0 0 0 2\n25\n" + _joint_lines() for t in range(2000)
    )
    tracemalloc.start()
    with pytest.raises(ReadError, match="none of its 50000 frames"):
        ntu_rgbd.parse(empty, NAME)
    assert tracemalloc.get_traced_memory()[1] < 20e6
    with pytest.raises(ReadError, match="2,000 bodies in 2,000 frames"):  # dense they would take 1.2 GB
        ntu_rgbd.parse(text, NAME, denoise=False)
    assert tracemalloc.get_traced_memory()[1] < 400e6
    tracemalloc.stop()
    assert ntu_rgbd.parse(text, NAME).joints.shape == (2000, 1, 25, 3)


def _joint_lines() -> bytes:
    return b"".join(b"0.%d 1.%d 3.0 0 0 0 0 0 0 0 0 2\n" % (joint % 5, joint) for joint in range(25))
