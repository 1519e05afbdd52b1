from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import refused
from hypothesis import given, settings, strategies as st
from mocap_files import LABELS, PLACES, c3d_file
from own_files import damages, joints_in, layout_in, raw, reads_or_refuses

from s2i_hf.processing.layouts import LAYOUTS
from s2i_hf.processing.skeleton_layout import SkeletonLayout
from s2i_hf.readers import ReadError
from s2i_hf.readers.generic.mocap import c3d
from s2i_hf.readers.generic.raw_clip import in_layout, layout_of

HANDS = SkeletonLayout("test_hands", ["RHAND", "LHAND"], [-1, 0], parts={"torso": ["RHAND", "LHAND"]}, mirror_pairs=[])


@pytest.mark.parametrize("integers", [False, True])
@pytest.mark.parametrize("processor", [84, 85, 86])
def test_every_kind_of_number(tmp_path: Path, processor: int, integers: bool) -> None:
    file = raw(tmp_path, "walk.c3d", c3d_file(processor=processor, integers=integers, unseen=[(2, 1)]))
    clip = c3d.read(file)
    assert clip.names == LABELS and clip.unit == "mm" and clip.up == "z" and clip.fps == 120 and not clip.left_out
    expected = PLACES.astype(float)
    expected[2, 1] = np.nan
    np.testing.assert_allclose(clip.joints[:, 0], expected, atol=1e-5 if not integers else 0.25)
    ezc3d = pytest.importorskip("ezc3d")
    if processor == 84:
        plain = raw(tmp_path, "plain.c3d", c3d_file(integers=integers, unseen=[(2, 1)], analog=0))
        other = ezc3d.c3d(str(plain.path))["data"]
        residuals = other["meta_points"]["residuals"].transpose(2, 1, 0)
        other = np.where(residuals < 0, np.nan, other["points"][:3].transpose(2, 1, 0))
        np.testing.assert_allclose(clip.joints[:, 0], other, atol=1e-5)


def test_metres_with_y_up(tmp_path: Path) -> None:
    file = raw(tmp_path, "walk.c3d", c3d_file(unseen=[(0, 0)]))
    joints = in_layout(c3d.read(file), HANDS, file.name)
    x, y, z = np.moveaxis(PLACES[:, [3, 2]].astype(float) / 1000, -1, 0)
    np.testing.assert_allclose(joints[:, 0], np.stack([x, z, -y], axis=-1), atol=1e-6)
    with refused(ReadError, "walk.c3d", "says that it is in mm"):
        in_layout(c3d.read(file), HANDS, file.name, unit="cm")
    with refused(ReadError, "walk.c3d", "says that z is up"):
        in_layout(c3d.read(file), HANDS, file.name, up="y")


def test_a_file_of_ezc3d(tmp_path: Path) -> None:
    ezc3d = pytest.importorskip("ezc3d")
    other = ezc3d.c3d()
    points = np.ones((4, 4, 7))
    points[:3] = np.random.default_rng(0).normal(0, 500, (3, 4, 7))
    points[:3, 1, 3] = np.nan
    other["parameters"]["POINT"]["RATE"]["value"] = [60.0]
    other["parameters"]["POINT"]["LABELS"]["value"] = LABELS
    other["parameters"]["POINT"]["UNITS"]["value"] = ["m"]
    other["data"]["points"] = points
    other.write(str(tmp_path / "own.c3d"))
    clip = c3d.read(raw(tmp_path, "copy.c3d", (tmp_path / "own.c3d").read_bytes()))
    assert clip.names == LABELS and clip.unit == "m" and clip.fps == 60
    np.testing.assert_allclose(clip.joints[:, 0], points[:3].transpose(2, 1, 0), atol=1e-3)
    assert np.isnan(clip.joints[3, 0, 1]).all() and np.isnan(clip.joints).sum() == 3


def test_people_props_and_markers_without_a_name(tmp_path: Path) -> None:
    labels = ["Anna:LHAND", "Anna:RHAND", "Ben:RHAND", "Ben:LHAND", "Box:top", "*7", "Anna:LHandAngles"]
    places = np.arange(2 * 7 * 3, dtype=np.float32).reshape(2, 7, 3)
    file = raw(tmp_path, "two.c3d", c3d_file(labels, places, more=[("ANGLES", ["Anna:LHandAngles"])]))
    clip = c3d.read(file)
    assert clip.names == ("LHAND", "RHAND") and clip.joints.shape == (2, 2, 2, 3)
    np.testing.assert_array_equal(clip.joints, places[:, [[0, 1], [3, 2]]])
    assert len(clip.left_out) == 3 and "Box" in " ".join(clip.left_out)


def test_the_markers_of_plug_in_gait_are_known_and_others_are_not(tmp_path: Path) -> None:
    names = LAYOUTS["vicon_39"].joint_names[::-1]
    places = np.random.default_rng(0).normal(0, 500, (2, 39, 3)).astype(np.float32)
    clip = c3d.read(raw(tmp_path, "gait.c3d", c3d_file([f"Sub 1:{name}" for name in names], places)))
    assert layout_of(clip, "gait.c3d").name == "vicon_39"
    with refused(ReadError, "walk.c3d", "4 joints (LFHD", "pass a layout of your own", "by these names"):
        layout_in(c3d, raw(tmp_path, "walk.c3d", c3d_file()))


BROKEN = {
    "another format": (b"HIERARCHY" + c3d_file(), "does not begin as a C3D"),
    "processor": (c3d_file()[:515] + b"\x07" + c3d_file()[516:], "processor 7"),
    "no markers": (c3d_file(labels=["*1", "*2", "", "Unlabeled 12"]), "have no names"),
    "twice": (c3d_file(labels=["A", "B", "A", "C"]), "two markers named 'A'"),
    "unit": (c3d_file(unit="furlong"), "'furlong'"),
    "truncated": (c3d_file(places=np.ones((40, 4, 3)))[:-900], "of 40; the file is truncated"),
    "header only": (c3d_file()[:512], "damaged"),
    "short": (b"\x02\x50", "does not begin as a C3D"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files_are_one_clear_sentence(tmp_path: Path, case: str) -> None:
    content, words = BROKEN[case]
    with refused(ReadError, "walk.c3d", words):
        c3d.read(raw(tmp_path, "walk.c3d", content))


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_damaged_files_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    content = c3d_file(processor=data.draw(st.sampled_from([84, 85, 86])), integers=data.draw(st.booleans()))
    file = raw(tmp_path_factory.getbasetemp(), "fuzz.c3d", data.draw(damages(content)))
    reads_or_refuses(lambda: joints_in(c3d, file, HANDS), "fuzz.c3d")
    overwritten = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        overwritten[data.draw(st.integers(0, 800))] = data.draw(st.integers(0, 255))
    file = raw(tmp_path_factory.getbasetemp(), "fuzz.c3d", bytes(overwritten))
    reads_or_refuses(lambda: joints_in(c3d, file, HANDS), "fuzz.c3d")
