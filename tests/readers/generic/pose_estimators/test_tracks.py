"""Ids of frames and people, gaps, people without ids, and more tracks than a clip has room for."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from conftest import refused
from hypothesis import given, strategies as st

from s2i_hf.readers import ReadError
from s2i_hf.readers.generic.pose_estimators.tracks import Bodies, frame_rows, image_unit, person_id
from s2i_hf.readers.generic.raw_clip import RawClip


def clip(*seen: tuple[object, object, float], listed: tuple[int | str, ...] = ()) -> RawClip:
    """Of bodies of one joint: frame, person, x."""
    bodies = Bodies("a.json", list(listed))
    for frame, person, x in seen:
        bodies.add(frame, person, [[x, 1.0]])
    return bodies.clip(bodies.points())


def places(found: RawClip) -> list[list[float]]:
    """x of each person in each frame."""
    return found.joints[:, :, 0, 0].tolist()


@pytest.mark.parametrize(
    ("ids", "rows", "count"),
    [
        ([3, 1, 2], [2, 0, 1], 3),
        ([0, 1, 5, 6], [0, 1, 5, 6], 7),  # a gap
        ([0, 5, 10, 20], [0, 1, 2, 4], 5),  # every fifth frame, of which one lacks
        (["0.jpg", "9.jpg", "10.jpg"], [0, 9, 10], 11),
        (["v/img_0008.png", "v/img_0009.png", "v/img_0011.png"], [0, 1, 3], 4),
        (["a1_x", "a2_y", "a10_x"], [0, 1, 2], 3),  # names that differ in more than a number
        (["v1/2.jpg", "v2/1.jpg"], [0, 1], 2),
        (["12", 13, 15], [0, 1, 3], 4),
        (["x.mp4", "y.mp4"], [0, 1], 2),
        ([7], [0], 1),
        ([], [], 0),
        (["0" * 30, "1" * 30], [0, 1], 2),
    ],
)
def test_rows_of_frames(ids: list[int | str], rows: list[int], count: int) -> None:
    found, frames = frame_rows(ids, "a.json")
    assert [found[frame] for frame in ids] == rows and frames == count


@given(st.lists(st.integers(0, 5000), min_size=3, unique=True), st.integers(0, 10**6))
def test_gaps_are_frames(numbers: list[int], first: int) -> None:
    """A plain loop: the greatest step that all numbers are apart by."""
    step = next(size for size in range(5000, 0, -1) if all((one - numbers[0]) % size == 0 for one in numbers))
    rows, count = frame_rows([f"{first + number:08}.png" for number in numbers], "a.json")
    assert count == (max(numbers) - min(numbers)) // step + 1
    assert [rows[f"{first + number:08}.png"] for number in numbers] == [(one - min(numbers)) // step for one in numbers]


def test_frames_that_are_far_apart_are_refused() -> None:
    with refused(ReadError, "a.json: 5,000,001 frames, of which 3 are there"):
        clip((0, 1, 1.0), (1, 1, 1.0), (5_000_000, 1, 1.0))
    bodies = Bodies("a.json", [*range(5), 500_000])
    bodies.add(0, None, [1.0] * 120)
    with refused(ReadError, "a.json: 500,001 frames of 1 people; expected one video"):
        bodies.clip(bodies.points())


@pytest.mark.parametrize(
    ("value", "person"),
    [
        (3, 3), (3.0, 3), ([3.0], 3), ([3], 3), ("3", 3), (" 3 ", 3), ("anna", "anna"), (2.5, 2.5), (72057594037934458, 72057594037934458),
        (-1, None), ([-1], None), (None, None), ([], None), ("", None), (float("nan"), None), (True, None), ([3.0, 4.0], 3),
    ],
)  # fmt: skip
def test_ids_of_people(value: object, person: object) -> None:
    assert person_id(value, "a.json: frame 1") == person


def test_ids_that_are_none_are_refused() -> None:
    with refused(ReadError, "frame 1: the id of a person is {'a': 1}"):
        person_id({"a": 1}, "a.json: frame 1")
    with refused(ReadError, "a.json: the id of a frame is 1.5"):
        clip((1.5, 1, 1.0))


@pytest.mark.parametrize("ids", [(1, 2), (1.0, 2.0), ([1.0], [2.0]), ("a", "b"), ("1", "2"), (7.5, 8.5)])
def test_people_are_followed_by_their_ids(ids: tuple[object, object]) -> None:
    one, other = ids
    found = clip((0, one, 10), (0, other, 90), (1, other, 91), (1, one, 11), (2, one, 12), (2, other, 92))
    assert places(found) == [[10, 90], [11, 91], [12, 92]] and not found.left_out


def test_people_without_ids_are_told_apart_by_their_place() -> None:
    found = clip((0, None, 10), (0, -1, 90), (1, [], 11), (1, None, 91))
    assert places(found) == [[10, 90], [11, 91]] and not found.left_out


def test_people_without_ids_who_change_places_are_said() -> None:
    frames = itertools.chain.from_iterable(
        [(frame, None, 10 + 80 * ((frame + at) % 2)) for at in (0, 1)] for frame in range(4)
    )
    found = clip(*frames)
    assert found.joints.shape[:2] == (4, 2)
    assert found.left_out == [
        "in 3 of 4 frames people seem to change places, and no id says who is who; track them first."
    ]


def test_one_id_for_everybody_is_none() -> None:
    """AlphaPose without tracking."""
    found = clip((0, [0.0], 10), (0, [0.0], 90), (1, [0.0], 11), (1, [0.0], 91))
    assert places(found) == [[10, 90], [11, 91]] and not found.left_out


def test_an_id_that_is_there_twice_in_a_frame_loses_nobody() -> None:
    found = clip((0, 1, 10), (0, 2, 90), (1, 1, 11), (1, 1, 50), (1, 2, 91))
    np.testing.assert_array_equal(places(found), [[10, 90, np.nan], [11, 91, 50]])
    assert found.left_out == ["people of one id in one frame are taken for several, in frames: 1."]


def test_who_is_nowhere_seen_takes_no_place() -> None:
    bodies = Bodies("a.json")
    for frame in range(3):
        if frame == 1:
            bodies.add(frame, None, [0, 0, 0, 0, 0, 0])
        bodies.add(frame, None, [10 + frame, 20, 2, 30, 40, 0])
    found = bodies.clip(bodies.points())
    np.testing.assert_array_equal(found.joints[:, 0, :, 0], [[10, np.nan], [11, np.nan], [12, np.nan]])
    assert found.joints.shape == (3, 1, 2, 2)


def test_tracks_that_follow_each_other_are_one_person_continued() -> None:
    """A tracker that loses a person again and again, beside one who stays."""
    lost = [(frame, frame // 2, 10.0 + frame) for frame in range(24)]
    found = clip(*lost, *((frame, "stays", 500.0) for frame in range(24)))
    assert places(found) == [[10.0 + frame, 500.0] for frame in range(24)]
    assert found.left_out == [
        "of 13 tracks those that are never there at once are taken for one person continued: 2 people."
    ]


def test_few_tracks_stay_apart() -> None:
    found = clip((0, 1, 10), (1, 2, 11), (2, 3, 12))
    assert found.joints.shape[:2] == (3, 3) and not found.left_out


def test_of_more_people_than_fit_those_seen_longest_are_kept() -> None:
    seen = [(frame, person, 100.0 * person) for person in range(14) for frame in range(1 if person < 4 else 3)]
    found = clip(*seen)
    assert places(found) == [[100.0 * person for person in range(4, 14)]] * 3
    assert found.left_out == ["4 of 14 people (4 bodies) do not fit; the 10 seen longest are kept."]


@given(st.data())
def test_nobody_is_lost_without_a_word(data: st.DataObject) -> None:
    people = data.draw(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 25)), min_size=1, max_size=200))
    found = clip(*((frame, person, 1.0 + number) for number, (frame, person) in enumerate(people)))
    kept = set(found.joints[..., 0, 0][~np.isnan(found.joints[..., 0, 0])].tolist())
    lost = len(people) - len(kept)
    said = sum(
        int(one.partition("(")[2].partition(" ")[0].replace(",", "")) for one in found.left_out if "do not fit" in one
    )
    assert lost == said and found.joints.shape[1] <= 10
    assert len(kept) == int((~np.isnan(found.joints[..., 0, 0])).sum())


def test_many_tracks_take_no_time() -> None:
    found = clip(*((number // 40, number, float(number % 40)) for number in range(20_000)))
    assert found.joints.shape[:2] == (500, 10) and "do not fit" in found.left_out[-1]


def test_keypoints_by_their_scores() -> None:
    bodies = Bodies("a.json")
    bodies.add(0, None, [1.0, 2.0, 3.0, 4.0], [0.5, 0.0])  # x, y of two joints
    np.testing.assert_array_equal(bodies.points(), [[[1, 2], [np.nan, np.nan]]])
    nested = Bodies("a.json")
    nested.add(0, None, [[1.0, 2.0, 0.5], [3.0, 4.0, -0.1]])
    np.testing.assert_array_equal(nested.points(), [[[1, 2], [np.nan, np.nan]]])


def test_what_keypoints_cannot_be() -> None:
    for values, scores, words in [
        ([1.0] * 10, None, "keypoints of shape (10,); expected x, y, score"),
        ([1.0] * 10, [1.0] * 4, "10 keypoint values of 4 scores"),
        ([[1.0] * 5], None, "keypoints of shape (1, 5)"),
        ([], None, "keypoints of shape (0,)"),
        ("far", None, "numbers"),
        (None, None, "somebody has no keypoints"),
    ]:
        bodies = Bodies("a.json")
        with refused(ReadError, "a.json: frame 3", words) if words != "numbers" else refused(ReadError, words):
            bodies.add(3, None, values, scores)
            bodies.points()


def test_units_of_images() -> None:
    assert image_unit(np.array([[0.2, 0.9]])) == "normalized" and image_unit(np.array([[0.2, 3.0]])) == "px"
    assert image_unit(np.array([[np.nan, -0.9]])) == "normalized"
