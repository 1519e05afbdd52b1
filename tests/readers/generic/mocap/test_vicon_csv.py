from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import refused
from hypothesis import given, settings, strategies as st
from mocap_files import vicon_text
from own_files import damages, raw, reads_or_refuses

from s2i_hf.processing.layouts import LAYOUTS
from s2i_hf.readers import ReadError
from s2i_hf.readers.generic.mocap import vicon_csv
from s2i_hf.readers.generic.raw_clip import in_layout, layout_of
from s2i_hf.readers.generic.tables import table_files

NAMES = LAYOUTS["vicon_39"].joint_names[::-1]


@pytest.fixture
def places() -> np.ndarray:
    found = np.random.default_rng(3).normal(0, 700, (5, 39, 3))
    found[2, 1] = found[4, 38] = np.nan
    return found


def test_plug_in_gait_in_metres_with_y_up(tmp_path: Path, places: np.ndarray) -> None:
    file = raw(tmp_path, "walk.csv", vicon_text([f"Anna:{name}" for name in NAMES], places))
    clip = table_files.read(file)  # a table that says whose it is
    assert clip.names == NAMES and clip.unit == "mm" and clip.usual_up == "z" and clip.fps == 100 and not clip.left_out
    table = pd.read_csv(file.path, skiprows=5, header=None).iloc[:, 2:].to_numpy().reshape(5, 39, 3)
    np.testing.assert_allclose(clip.joints[:, 0], table, atol=1e-5)
    layout = layout_of(clip, file.name)
    assert layout.name == "vicon_39"
    x, y, z = np.moveaxis(table[:, ::-1] / 1000, -1, 0)
    np.testing.assert_allclose(in_layout(clip, layout, file.name)[:, 0], np.stack([x, z, -y], axis=-1), atol=1e-6)
    np.testing.assert_allclose(
        in_layout(clip, layout, file.name, up="y")[:, 0], np.stack([x, y, z], axis=-1), atol=1e-6
    )


def test_two_people_and_a_box(places: np.ndarray) -> None:
    names = ["Ben:C7", "Ben:LKNE", "Anna:LKNE", "Anna:C7", "Box:1a", "*3"]
    clip = vicon_csv.of_text(vicon_text(names, places[:, :6]), "walk.csv")
    assert clip.names == ("C7", "LKNE")
    np.testing.assert_allclose(clip.joints, places[:, [[0, 1], [3, 2]]], atol=1e-5)
    assert any("Box" in sentence for sentence in clip.left_out) and any(
        "without a name" in one for one in clip.left_out
    )


DEVICES = "Devices\n1000\n,,Force plate\nFrame,Sub Frame,Fx\n,,N\n1,0,3.5\n1,1,3.6\n\n"


def test_other_sections_and_velocities_are_left_out(places: np.ndarray) -> None:
    names = NAMES[:4]
    expected = vicon_csv.of_text(vicon_text(names, places[:, :4]), "walk.csv").joints
    clip = vicon_csv.of_text(vicon_text(names, places[:, :4], before=DEVICES, after="\n" + DEVICES), "walk.csv")
    np.testing.assert_array_equal(clip.joints, expected)
    assert clip.left_out == ["its devices are left out."]
    lines = vicon_text(names, places[:, :4]).splitlines()
    wider = [
        *lines[:2],
        lines[2] + ",,,v",
        lines[3] + ",X',Y',Z'",
        lines[4] + ",mm/s,mm/s,mm/s",
        *(f"{line},1,2,3" for line in lines[5:]),
    ]
    np.testing.assert_array_equal(vicon_csv.of_text("\n".join(wider), "walk.csv").joints, expected)


def test_leading_blank_lines_semicolons_and_metres(places: np.ndarray) -> None:
    expected = vicon_csv.of_text(vicon_text(NAMES[:4], places[:, :4]), "walk.csv").joints
    text = "\n\n" + vicon_text(NAMES[:4], places[:, :4]).replace("\n", "\r\n").replace(",", ";")
    assert vicon_csv.states_itself(text)
    np.testing.assert_array_equal(vicon_csv.of_text(text, "walk.csv").joints, expected)
    assert vicon_csv.of_text(vicon_text(NAMES[:4], places[:, :4], unit="m"), "walk.csv").unit == "m"


BROKEN = {
    "no trajectories": (DEVICES, "holds Devices alone"),
    "no header": ("Trajectories\n100\n,,A:B\n1,0,3\n", "line 4: no header"),
    "units differ": (vicon_text(["a", "b"], np.ones((2, 2, 3))).replace("mm,mm,mm\n", "mm,mm,deg\n"), "'deg, mm'"),
    "unit": (vicon_text(["a", "b"], np.ones((2, 2, 3)), unit="deg"), "'deg'"),
    "axis": (vicon_text(["a", "b"], np.ones((2, 2, 3))).replace("X,Y,Z\n", "X,Y,W\n"), "'b' has columns X, Y alone"),
    "number": (vicon_text(["a", "b"], np.full((2, 2, 3), 0.5)).replace("0.500000", "half", 1), "line 6: 'half'"),
    "no names": (vicon_text(["*1", "*2"], np.ones((2, 2, 3))), "have no names"),
    "no frame": (vicon_text(["a", "b"], np.ones((0, 2, 3))), "line 4: no header"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files_are_one_clear_sentence(tmp_path: Path, case: str) -> None:
    content, words = BROKEN[case]
    with refused(ReadError, "walk.csv", words):
        table_files.read(raw(tmp_path, "walk.csv", content))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_files_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    content = vicon_text(["LHND", "RHND", "HEAD"], np.ones((3, 3, 3))).encode()
    file = raw(tmp_path_factory.getbasetemp(), "fuzz.csv", data.draw(damages(content)))
    reads_or_refuses(lambda: table_files.read(file), "fuzz.csv")
