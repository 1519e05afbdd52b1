"""Orders of the axes of arrays: the right one or a question, whatever their sizes."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from conftest import refused
from hypothesis import assume, given, settings, strategies as st

from s2i_hf.processing.array_axes import MAX_PEOPLE, VALUES, arrange, check_axes, coordinates, find_axes, unmasked
from s2i_hf.processing.layouts import LAYOUTS
from s2i_hf.processing.skeleton_layout import SkeletonLayout
from s2i_hf.processing.skeleton_sequence import SkeletonSequence
from s2i_hf.processing.transforms import prepare

STAR = SkeletonLayout("star", ("spine", "spine1", "spine2", "head"), (-1, 0, 0, 0), center="spine")
K2, OPENPOSE, COCO = LAYOUTS["kinect_v2"], LAYOUTS["openpose_25"], LAYOUTS["coco_17"]
KNOWN = ("TVC", "CTV", "TMVC", "MTVC", "CTVM", "NTMVC", "NMTVC", "NCTVM")


def layout_of(joints: int, unit: str) -> SkeletonLayout:
    return SkeletonLayout(
        "some", tuple(f"spine{n}" for n in range(joints)), (-1, *[0] * (joints - 1)), center="spine0", unit=unit
    )


@pytest.mark.parametrize(
    ("shape", "layout", "axes"),
    [
        ((24, 25, 3), K2, "TVC"),
        ((3, 24, 25), K2, "CTV"),
        ((24, 2, 25, 3), K2, "TMVC"),
        ((2, 24, 25, 3), K2, "MTVC"),
        ((3, 24, 25, 2), K2, "CTVM"),
        ((3, 300, 18, 2), layout_of(18, "normalized"), None),
        ((3, 2, 25, 1), K2, "CTVM"),
        ((1, 7, 25, 3), K2, "MTVC"),
        ((7, 1, 25, 3), K2, "TMVC"),
        ((1, 1, 25, 3), K2, "TMVC"),
        ((3, 1, 25, 3), K2, "TMVC"),
        ((11, 10, 25, 3), K2, "TMVC"),
        ((10, 11, 25, 3), K2, "MTVC"),
        ((24, 25, 4), K2, "TVC"),
        ((24, 17, 2), COCO, "TVC"),
        ((24, 17, 3), COCO, "TVC"),
        ((3, 24, 25, 3), K2, None),
        ((4, 24, 25, 3), K2, None),
        ((2, 8, 25, 3), K2, None),
        ((12, 11, 25, 3), K2, None),
        ((3, 24, 25, 2), OPENPOSE, None),
        ((3, 24, 25, 3), OPENPOSE, None),
        ((3, 4, 4), STAR, None),
    ],
)
def test_sizes_tell_or_both_readings_are_named(
    shape: tuple[int, ...], layout: SkeletonLayout, axes: str | None
) -> None:
    if axes is not None:
        assert find_axes(shape, layout) == axes
    else:
        with refused(ValueError, str(shape), "which may be", "axes='", ", or ", "pass axes"):
            find_axes(shape, layout)


def test_both_readings_are_named_with_their_counts() -> None:
    with refused(ValueError, "2 frames of 8 people", "(axes='TMVC')", "8 frames of 2 people", "(axes='MTVC')"):
        find_axes((2, 8, 25, 3), K2)
    with refused(
        ValueError, "24 frames of 3 people with 2 values a joint (axes='MTVC')", "24 frames of 2 people with 3"
    ):
        find_axes((3, 24, 25, 2), OPENPOSE)
    with refused(ValueError, "24 people"):
        find_axes((3, 8, 25, 24), K2)


@st.composite
def arrays(draw: st.DrawFn) -> tuple[str, dict[str, int], SkeletonLayout]:
    """An order, the sizes of its axes, and a layout."""
    unit = draw(st.sampled_from(sorted(VALUES)))
    layout = layout_of(draw(st.integers(1, 30)), unit)
    sizes = {
        "N": draw(st.integers(1, 4)),
        "T": draw(st.integers(1, 40)),
        "M": draw(st.integers(1, MAX_PEOPLE)),
        "V": layout.num_joints,
        "C": draw(st.sampled_from(VALUES[unit])),
    }
    return draw(st.sampled_from(KNOWN)), sizes, layout


@settings(max_examples=600, deadline=None)
@given(drawn=arrays())
def test_an_array_is_read_right_or_not_at_all(drawn: tuple[str, dict[str, int], SkeletonLayout]) -> None:
    axes, sizes, layout = drawn
    sizes = {letter: size if letter in axes else 1 for letter, size in sizes.items()}
    truth = np.arange(np.prod(list(sizes.values())), dtype=float).reshape(tuple(sizes.values()))  # N T M V C
    stored = truth.squeeze(tuple(at for at, letter in enumerate("NTMVC") if letter not in axes))
    stored = np.transpose(stored, [[one for one in "NTMVC" if one in axes].index(letter) for letter in axes])
    expected = truth if "N" in axes else truth[0]
    np.testing.assert_array_equal(arrange(stored, layout, axes, batches=True), expected)
    for lists in (False, True):
        if sizes["T"] == 1 and sizes["M"] > 1:
            continue  # one frame of several people: an axis of length one is that of the people
        try:
            found = arrange(stored, layout, batches=True, lists=lists)
        except ValueError as error:
            assert "which may be" in str(error) and f"(axes={axes!r})" in str(error), str(error)
        else:
            np.testing.assert_array_equal(found, expected)


@settings(max_examples=200, deadline=None)
@given(drawn=arrays(), data=st.data())
def test_named_axes_decide_whatever_their_order(
    drawn: tuple[str, dict[str, int], SkeletonLayout], data: st.DataObject
) -> None:
    _, sizes, layout = drawn
    axes = "".join(data.draw(st.sampled_from(list(permutations("TMVC")))))
    truth = np.random.default_rng(0).normal(size=tuple(sizes[letter] for letter in "TMVC"))
    stored = np.transpose(truth, ["TMVC".index(letter) for letter in axes])
    np.testing.assert_array_equal(arrange(stored, layout, axes.lower()), truth)
    one = axes.replace("M", "")
    np.testing.assert_array_equal(arrange(np.take(stored, 0, axes.index("M")), layout, one), truth[:, :1])


@settings(max_examples=300, deadline=None)
@given(drawn=arrays())
def test_flat_rows_are_read_right_or_not_at_all(drawn: tuple[str, dict[str, int], SkeletonLayout]) -> None:
    _, sizes, layout = drawn
    truth = np.random.default_rng(0).normal(size=tuple(sizes[letter] for letter in "TMVC"))
    try:
        found = arrange(truth.reshape(len(truth), -1), layout)
    except ValueError as error:
        assert "may be" in str(error) and f"{sizes['M']} people with {sizes['C']} values" in str(error)
    else:
        np.testing.assert_array_equal(found, truth)
    if sizes["M"] == 1:
        turned = truth[:, 0].swapaxes(1, 2)  # all x, then all y
        assume(layout.num_joints > 1)
        np.testing.assert_array_equal(arrange(turned.reshape(len(truth), -1), layout, "TCV"), truth)


def test_flat_rows_of_two_readings_are_refused() -> None:
    assert arrange(np.zeros((9, 75)), K2).shape == (9, 1, 25, 3)
    assert arrange(np.zeros((9, 150)), K2).shape == (9, 2, 25, 3)
    with refused(ValueError, "4 people with 3 values", "3 people with 4 values", "(T, 4, 25, 3) or (T, 3, 25, 4)"):
        arrange(np.zeros((9, 300)), K2)
    with refused(ValueError, "3 people with 2 values", "2 people with 3 values"):
        arrange(np.zeros((9, 102)), COCO)


@pytest.mark.parametrize("axes", ["", "TV", "TVX", "TTVC", "TMVCX", "MVC", 3])
def test_axes_that_are_none(axes: str) -> None:
    with refused(ValueError, "axes is", "'MTVC'"):
        check_axes(axes)


def test_masks_are_kept_wherever_joints_come_in() -> None:
    clip = np.random.default_rng(0).normal(size=(5, 1, 25, 3)).astype(np.float32)
    masked = np.ma.masked_array(clip, np.zeros(clip.shape, dtype=bool))
    masked[2, 0, 7] = np.ma.masked
    assert np.argwhere(np.isnan(SkeletonSequence(masked, K2).joints)).tolist() == [[2, 0, 7, axis] for axis in range(3)]
    assert prepare(masked, K2)[1] == 1
    assert unmasked(clip) is clip and np.isnan(unmasked(masked.astype(int))[2, 0, 7]).all()


def test_scores_and_states_are_no_coordinates() -> None:
    rng = np.random.default_rng(0)
    places, score = rng.normal(size=(5, 2, 25, 3)), rng.uniform(0.1, 1, size=(5, 2, 25, 1))
    score[1, 0, 3], score[2, 1, 4] = 0, np.nan
    lost = ~(score > 0)
    found = coordinates(np.concatenate([places, score], axis=-1))
    np.testing.assert_array_equal(found, np.where(lost, np.nan, places))
    np.testing.assert_array_equal(coordinates(places), places)
    flat = np.concatenate([places[..., :2], score], axis=-1)
    for unit in ("px", "normalized"):
        np.testing.assert_array_equal(coordinates(flat, unit), np.where(lost, np.nan, places[..., :2]))
    np.testing.assert_array_equal(coordinates(places, "normalized"), places)  # depths go below zero
    with refused(ValueError, "quaternions"):
        coordinates(np.concatenate([places, places[..., :1]], axis=-1) * 0 + 0.5)
