"""Body sizes against bones added up by hand, and units that are refused, suggested and taken."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from bodies import walker
from conftest import refused
from hypothesis import given, settings, strategies as st
from own_files import STAR, joints

from s2i_hf.processing.layouts import BUILT_IN, LAYOUTS
from s2i_hf.readers.discovery import read_file
from s2i_hf.readers.generic.body_size import LONGEST, SHORTEST, body_length, fitting_units
from s2i_hf.readers.generic.folder import find_folder
from s2i_hf.readers.generic.raw_clip import metres_per

KINECT = LAYOUTS["kinect_v2"]


def along(pose: np.ndarray, names: str) -> float:
    """Length of the way over some joints of Kinect v2, (V, 3)."""
    way = [pose[KINECT.joint_names.index(name)] for name in names.split()]
    return float(sum(np.linalg.norm(after - before) for before, after in itertools.pairwise(way)))


def test_length_is_the_way_from_head_to_foot() -> None:
    clip = walker("kinect_v2", frames=9)
    left, right = (
        along(clip[0, 0], f"Head Neck SpineShoulder SpineMid SpineBase Hip{s} Knee{s} Ankle{s} Foot{s}") for s in "LR"
    )
    assert body_length(clip, KINECT) == pytest.approx((left + right) / 2, rel=1e-5)
    seen = clip.copy()
    seen[:3, 0, 3] = np.nan  # the head, in the first frames
    seen[5:, 0, 15] = np.nan
    assert body_length(seen, KINECT) == pytest.approx((left + right) / 2, rel=1e-5)
    seen[:, 0, 15] = np.nan
    assert math.isnan(body_length(seen, KINECT))
    assert math.isnan(body_length(joints(5), STAR))  # it has no legs


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_layout_of_whole_bodies_has_a_length(name: str) -> None:
    layout = BUILT_IN[name]
    pose = np.arange(layout.num_joints * 3, dtype=float).reshape(1, 1, -1, 3)
    assert body_length(pose, layout) > 0


@settings(max_examples=50, deadline=None)
@given(length=st.floats(1e-4, 1e4))
def test_fitting_units_are_those_of_people(length: float) -> None:
    fitting = fitting_units(length)
    units = ("m", "cm", "mm", "inch", "0.056444")
    assert set(fitting) == {unit for unit in units if SHORTEST <= length * metres_per(unit) <= LONGEST}
    assert all(value == pytest.approx(length * metres_per(unit)) for unit, value in fitting.items())


def write(folder: Path, scale: float) -> Path:
    for index in range(3):
        np.save(folder / f"{index}.npy", walker("kinect_v2", seed=index) * scale)
    return folder


@pytest.mark.parametrize(
    ("scale", "unit", "right"),
    [
        (100, None, "unit='cm' (1.7"), (1000, None, "unit='mm' (1.7"), (1 / 0.0254, None, "unit='inch' (1.7"),
        (1 / 0.056444, None, "unit='0.056444' (1.7"), (1 / 0.056444, "cm", "unit='0.056444' (1.7"), (1, "mm", "unit='m' (1.7"),
        (1000, "cm", "unit='mm' (1.7"), (0.1, None, "any_size=True"),
    ],
)  # fmt: skip
def test_a_set_of_another_unit_is_refused_with_the_one_that_fits(
    tmp_path: Path, scale: float, unit: str | None, right: str
) -> None:
    folder = write(tmp_path, scale)
    with refused(ValueError, "units long from head to foot", right):
        find_folder(folder, "kinect_v2", unit=unit)
    recordings = find_folder(folder, "kinect_v2", unit=unit, any_size=True)
    clips = [clip for file in recordings.all_files for clip in read_file(file, recordings.protocol)]
    expected = walker("kinect_v2") * np.float32(scale * metres_per(unit))
    np.testing.assert_allclose(clips[0].sequence.joints, expected, rtol=1e-5)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("scale", "unit"),
    [(100, "cm"), (1000, "mm"), (1 / 0.0254, "inch"), (1 / 0.056444, "0.056444"), (1, "m"), (1, None)],
)
def test_units_are_metres_afterwards(tmp_path: Path, scale: float, unit: str | None) -> None:
    recordings = find_folder(write(tmp_path, scale), "kinect_v2", unit=unit)
    (clip,) = read_file(recordings.all_files[0], recordings.protocol)
    np.testing.assert_allclose(clip.sequence.joints, walker("kinect_v2"), atol=1e-5)  # type: ignore[union-attr]


def test_one_clip_of_another_unit_is_broken_and_the_others_are_read(tmp_path: Path) -> None:
    np.save(write(tmp_path, 1) / "9.npy", walker("kinect_v2") * 1000)
    recordings = find_folder(tmp_path, "kinect_v2")
    found = [clip for file in recordings.all_files for clip in read_file(file, recordings.protocol)]
    assert len(found) == 4 and "9.npy: bodies are 1," in str(found[3]) and "unit='mm'" in str(found[3])


@pytest.mark.parametrize("unit", ["feet", "0", "-1", "nan", "", "1e9", "inf"])
def test_units_that_are_none(tmp_path: Path, unit: str) -> None:
    with refused(ValueError, "expected m, cm, mm, inch, or metres per unit"):
        find_folder(write(tmp_path, 1), "kinect_v2", unit=unit)
