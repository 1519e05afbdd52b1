from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from s2i_hf.readers.generic.mocap.kinematics import in_blocks, positions, rotations


def single(axis: str, degrees: float) -> list[list[float]]:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return {
        "x": [[1, 0, 0], [0, c, -s], [0, s, c]],
        "y": [[c, 0, s], [0, 1, 0], [-s, 0, c]],
        "z": [[c, -s, 0], [s, c, 0], [0, 0, 1]],
    }[axis]


def product(a: list[list[float]], b: list[list[float]]) -> list[list[float]]:
    return [[sum(a[i][k] * b[k][j] for k in range(3)) for j in range(3)] for i in range(3)]


@given(st.permutations("xyz"), st.lists(st.floats(-720, 720), min_size=3, max_size=3))
def test_rotations_are_the_product_in_the_order_of_the_axes(order: list[str], degrees: list[float]) -> None:
    expected = [[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]]
    for axis, angle in zip(order, degrees, strict=True):
        expected = product(expected, single(axis, angle))
    np.testing.assert_allclose(rotations("".join(order).upper(), np.array(degrees)), expected, atol=1e-12)


@pytest.mark.parametrize(("axis", "start", "end"), [("x", "y", "z"), ("y", "z", "x"), ("z", "x", "y")])
def test_a_quarter_turn_is_right_handed(axis: str, start: str, end: str) -> None:
    unit = dict(zip("xyz", np.eye(3), strict=True))
    np.testing.assert_allclose(rotations(axis, np.array([90.0])) @ unit[start], unit[end], atol=1e-15)


def test_no_axes_turn_nothing_for_any_number_of_frames() -> None:
    np.testing.assert_array_equal(rotations("", np.empty((4, 0))), np.tile(np.eye(3), (4, 1, 1)))


def test_joints_in_a_circle_have_no_place() -> None:
    with pytest.raises(ValueError, match="cycle"):
        positions([1, 0, -1], np.tile(np.eye(3), (1, 3, 1, 1)), np.zeros((1, 3, 3)))


def slow(joint: int, parents: list[int], local: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotation and place of one joint in one frame, by recursion to the root."""
    if parents[joint] < 0:
        return local[joint], offsets[joint]
    rotation, place = slow(parents[joint], parents, local, offsets)
    return rotation @ local[joint], place + rotation @ offsets[joint]


@given(st.integers(0, 10_000))
def test_positions_are_those_of_a_slow_recursion(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 9))
    names = rng.permutation(count).tolist()  # so that parents are not before their children
    parents = [-1] * count
    for place in range(1, count):
        parents[names[place]] = names[int(rng.integers(0, place))]
    local = rotations("zxy", rng.uniform(-180, 180, (3, count, 3)))
    offsets = rng.normal(size=(3, count, 3))
    placed = positions(parents, local, offsets)
    for frame in range(3):
        for joint in range(count):
            np.testing.assert_allclose(
                placed[frame, joint], slow(joint, parents, local[frame], offsets[frame])[1], atol=1e-12
            )


def test_blocks_are_joined_in_order() -> None:
    channels = np.arange(5000.0)[:, None]
    sizes: list[int] = []

    def pose(block: np.ndarray) -> np.ndarray:
        sizes.append(len(block))
        return np.repeat(block[:, None], 3, axis=2)

    assert np.array_equal(in_blocks(pose, channels)[:, 0, 0], np.arange(5000.0))
    assert len(sizes) > 1 and max(sizes) < 5000
