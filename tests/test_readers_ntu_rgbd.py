from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from conftest import one_sentence
from hypothesis import given, settings
from hypothesis import strategies as st
from skeleton_files import Body, person, read_slowly, skeleton_text

from s2i_hf.readers import ReadError, ntu_rgbd
from s2i_hf.readers import skeleton_text as text_module

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


@given(
    st.lists(st.floats(-19, 19, width=32) | st.floats(-(2.0**-20), 2.0**-20, width=32), min_size=1, max_size=75),
    st.data(),
)
@settings(max_examples=60, deadline=None)
def test_numbers_are_those_of_float(values: list[float], data: st.DataObject) -> None:
    joints = np.resize(np.array(values), (25, 3))
    form = data.draw(st.sampled_from(["{:.7f}", "{:.9g}", "{:.12f}", "{:.17f}", "{:.17g}", "{:E}", "{:.1f}", "{:.0f}"]))
    text = skeleton_text([[(1, joints)]], number=form)
    words = [line.split()[:3] for line in text.decode().splitlines()[4:]]
    expected = np.array([[np.float32(float(word)) for word in joint] for joint in words])
    np.testing.assert_array_equal(text_module.parse_text(text, NAME).joints[0], expected)


def test_both_parsers_agree_on_broken_files() -> None:
    """Random damage: the fast way either says what the definition says, or leaves the file to it; nothing else is raised."""
    rng = np.random.default_rng(0)
    base = skeleton_text(clip((ID, range(3), 0.5, False), (ID + 1, [1], 0.1, False), length=3), "\r\n")
    tokens = [
        b"nan",
        b"inf",
        b"-",
        b"1e400",
        b" ",
        b"\n",
        b"\r",
        b"\t",
        b"\0",
        b"9" * 20,
        b"1_0",
        b"\xff",
        b".5",
        b"\x0b",
    ]
    agreed = 0
    for _ in range(1500):
        broken = bytearray(base)
        at = int(rng.integers(len(broken)))
        if rng.random() < 0.6:
            broken[at : at + int(rng.integers(4))] = tokens[rng.integers(len(tokens))]
        else:
            del broken[at : at + int(rng.choice([1, 30, 900]))]
        try:
            exact = text_module._parse_lines(bytes(broken), "x")
        except ReadError as error:
            assert one_sentence(error)
            assert text_module._parse_fast(bytes(broken)) is None
            continue
        fast = text_module._parse_fast(bytes(broken))
        if fast is not None:
            agreed += 1
            np.testing.assert_array_equal(fast.joints, exact.joints)
            assert fast.body_id.tolist() == exact.body_id.tolist() and fast.frame.tolist() == exact.frame.tolist()
    assert agreed > 50


def test_files_as_the_recorder_writes_them_take_the_fast_way() -> None:
    text = skeleton_text(clip((ID, range(9), 0.5, False), length=9), "\r\n")
    assert text_module._parse_fast(text) is not None
    assert text_module._parse_fast(text.rstrip()) is not None  # no line break at the end


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
        with pytest.raises(ReadError) as caught:
            ntu_rgbd.read(path, denoise)
        assert one_sentence(caught.value) and NAME in str(caught.value)
        for word in words:
            assert word in str(caught.value)


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.skeleton")
    for path in (tmp_path, tmp_path / "none.skeleton", tmp_path / "pipe.skeleton", Path("/dev/zero")):
        with pytest.raises(ReadError) as caught:
            ntu_rgbd.read(path)
        assert one_sentence(caught.value)
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
