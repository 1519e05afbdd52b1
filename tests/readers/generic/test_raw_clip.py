"""What a file states against what is asked for: turns by hand, and contradictions."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import refused
from own_files import FLAT_STAR, STAR, joints

from s2i_hf.processing.layouts import LAYOUTS
from s2i_hf.readers import ReadError
from s2i_hf.readers.generic.raw_clip import RawClip, in_layout, layout_of

CLIP = joints(5)


@pytest.mark.parametrize(("up", "turn"), [("y", [[1, 0, 0], [0, 1, 0], [0, 0, 1]]), ("-y", [[1, 0, 0], [0, -1, 0], [0, 0, -1]]),
                                          ("z", [[1, 0, 0], [0, 0, 1], [0, -1, 0]])])  # fmt: skip
def test_axes_are_turned_and_never_mirrored(up: str, turn: list[list[int]]) -> None:
    assert np.linalg.det(turn) == pytest.approx(1)
    for clip, asked in ((RawClip(CLIP, up=up), None), (RawClip(CLIP), up), (RawClip(CLIP, up=up), up)):
        np.testing.assert_allclose(in_layout(clip, STAR, "a", up=asked), CLIP @ np.array(turn).T, rtol=1e-6)


def test_what_a_file_states_wins() -> None:
    cases = [
        (RawClip(CLIP, up="z"), {"up": "y"}, "says that z is up"),
        (RawClip(CLIP, unit="mm"), {"unit": "cm"}, "says that it is in mm"),
        (RawClip(CLIP, layout="kinect_v1"), {}, "holds joints of kinect_v1, not of 'test_star'"),
        (RawClip(CLIP, names=("a", "b", "c", "d")), {}, "has no joint 'pelvis'"),
        (RawClip(CLIP[:, :, :3]), {}, "has 3 joints; layout 'test_star' has 4"),
        (RawClip(CLIP, unit="px"), {}, "in px, those of layout 'test_star' in m"),
        (RawClip(CLIP[..., :2]), {}, "has x and y of each joint"),
    ]
    for clip, options, words in cases:
        with refused(ReadError, words):
            in_layout(clip, STAR, "a", **options)
    stated = in_layout(RawClip(CLIP * 1000, unit="mm"), STAR, "a", unit="mm")
    np.testing.assert_allclose(stated, CLIP, rtol=1e-5)
    custom = (
        in_layout(RawClip(CLIP, usual_unit="0.5"), STAR, "a"),
        in_layout(RawClip(CLIP, usual_unit="0.5"), STAR, "a", unit="m"),
    )
    np.testing.assert_allclose(custom[0] * 2, custom[1])


def test_names_pick_the_joints() -> None:
    order = [2, 0, 3, 1]
    clip = RawClip(CLIP[:, :, order], names=tuple(STAR.joint_names[place].upper() for place in order))
    np.testing.assert_allclose(in_layout(clip, STAR, "a"), CLIP, rtol=1e-6)
    kinect = LAYOUTS["kinect_v1"]
    wide = RawClip(joints(5, layout=kinect), names=kinect.joint_names)
    assert layout_of(wide, "a") == kinect
    with refused(ReadError, "names the joints of kinect_v1, not of 'coco_17'"):
        in_layout(wide, LAYOUTS["coco_17"], "a")


def test_image_landmarks_of_mediapipe_are_no_metres() -> None:
    layout = LAYOUTS["mediapipe_33"]
    world = joints(8, layout=layout)
    world -= world[:, :, 23:25].mean(axis=2, keepdims=True)
    np.testing.assert_allclose(in_layout(RawClip(world), layout, "a"), world * (1, -1, -1), atol=1e-6)
    image = 0.5 + world / 4
    with refused(ReadError, "look like parts of an image", "unit='m'"):
        in_layout(RawClip(image), layout, "a")
    np.testing.assert_allclose(in_layout(RawClip(image), layout, "a", unit="m"), image * (1, -1, -1), atol=1e-6)
    far = world + 3  # somebody moved them into a room
    np.testing.assert_allclose(in_layout(RawClip(far), layout, "a"), far * (1, -1, -1), atol=1e-6)


def test_pixels_have_no_depth_and_point_down() -> None:
    for points in (CLIP, CLIP[..., :2]):
        np.testing.assert_allclose(in_layout(RawClip(points), FLAT_STAR, "a"), CLIP * (1, -1, 0), rtol=1e-6)


def test_a_file_that_names_joints_of_nobody_says_how_to_go_on() -> None:
    with refused(ReadError, "its 4 joints (M1, M2, M3, M4) are those of no known layout", "a layout of your own"):
        layout_of(RawClip(CLIP, names=("M1", "M2", "M3", "M4")), "a")
