from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import refused
from hypothesis import given, settings, strategies as st
from own_files import FLAT_STAR, STAR, damages, joints, joints_in, raw, reads_or_refuses

from s2i_hf.readers import ReadError
from s2i_hf.readers.generic.tables import csv_files as tables

CLIP = joints(6)
HEADER = [f"{joint}_{axis}" for joint in STAR.joint_names for axis in "xyz"]


def table(array: np.ndarray = CLIP, header: list[str] | None = None, separator: str = ",") -> str:
    rows = [separator.join(map(str, row)) for row in array.reshape(len(array), -1).tolist()]
    return "\n".join(([separator.join(header)] if header else []) + rows) + "\n"


@pytest.mark.parametrize("separator", [",", ";", "\t", " ", ", "])
@pytest.mark.parametrize("header", [None, HEADER, [f"c{i}" for i in range(12)]])
def test_plain_tables(tmp_path: Path, separator: str, header: list[str] | None) -> None:
    np.testing.assert_array_equal(joints_in(tables, raw(tmp_path, "a.csv", table(CLIP, header, separator)), STAR), CLIP)


def test_joints_are_picked_by_name_in_any_order_and_spelling(tmp_path: Path) -> None:
    order = [7, 0, 11, 3, 2, 9, 4, 10, 1, 5, 8, 6]
    spelt = ["Pelvis.X", "pelvis y", "pelvis_z", "Head:x", "HEAD_Y", "head_z", "LeftHand_x", "lefthandy", "left hand z",
             "rightHand-x", "right_hand_y", "right_hand_Z"]  # fmt: skip
    header = ["frame", *(spelt[place] for place in order), "head_score"]
    shuffled = CLIP.reshape(6, 12)[:, order]
    content = np.column_stack([np.arange(6), shuffled, np.ones(6)])
    np.testing.assert_array_equal(joints_in(tables, raw(tmp_path, "a.csv", table(content, header)), STAR), CLIP)


def test_two_people_and_windows_text(tmp_path: Path) -> None:
    two = joints(6, people=2)
    text = "\ufeff" + table(two).replace("\n", "\r\n")
    np.testing.assert_array_equal(joints_in(tables, raw(tmp_path, "a.csv", text.encode()), STAR), two)


def test_pixels(tmp_path: Path) -> None:
    flat = CLIP[..., :2]
    header = [f"{joint}_{axis}" for joint in STAR.joint_names for axis in "xy"]
    for text in (table(flat), table(flat, header)):
        np.testing.assert_array_equal(joints_in(tables, raw(tmp_path, "a.csv", text), FLAT_STAR), flat)


def test_empty_and_quoted_cells(tmp_path: Path) -> None:
    lines = table().splitlines()
    cells = lines[2].split(",")
    lines[2] = ",".join([f'"{cells[0]}"', "", " nan ", *cells[3:]])
    clip = joints_in(tables, raw(tmp_path, "a.csv", "\n".join(lines)), STAR)
    assert np.isnan(clip[2, 0, 0]).tolist() == [False, True, True] and np.isnan(clip).sum() == 2
    assert clip[2, 0, 0, 0] == CLIP[2, 0, 0, 0]


LINES = table(CLIP, HEADER).splitlines()
BROKEN = {
    "word": ([*LINES[:3], LINES[3].replace(LINES[3].split(",")[4], "one"), *LINES[4:]], "line 4, column 5: 'one'"),
    "short row": ([*LINES[:3], LINES[3].rpartition(",")[0], *LINES[4:]], "line 4 has 11 columns; expected the 12"),
    "all rows short": ([LINES[0], *(line.rpartition(",")[0] for line in LINES[1:])], "line 2 has 11"),
    "underscore": ([*LINES[:3], LINES[3].replace(",", ",1_0", 1)], "line 4, column 2"),
    "joint without column": (["x" + LINES[0].replace("head_x", "neck_x"), *LINES[1:]], "no column pelvis_x"),
    "axis without column": ([LINES[0].replace("head_z", "head_w"), *LINES[1:]], "no column head_z"),
    "header only": ([LINES[0]], "a header and no rows"),
    "other width": (["1,2,3,4,5", "1,2,3,4,5"], "shape (2, 5)"),
    "blank": (["", " "], "empty"),
    "mark only": (["\x1c"], "empty"),
    "many columns": (["1," * 30_000], "columns"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files_are_one_clear_sentence(tmp_path: Path, case: str) -> None:
    lines, words = BROKEN[case]
    with refused(ReadError, "a.csv", words):
        joints_in(tables, raw(tmp_path, "a.csv", "\n".join(lines)), STAR)


@pytest.mark.parametrize("name", ["LeftElbow", "left_elbow", "left elbow", "mixamorig:LeftElbow", "LEFT-ELBOW"])
def test_spellings_of_one_joint(name: str) -> None:
    assert tables.joint_key(name) == "leftelbow"


@settings(max_examples=150, deadline=None)
@given(data=st.data(), header=st.booleans())
def test_damaged_files_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, header: bool
) -> None:
    content = data.draw(damages(table(CLIP, HEADER if header else None).encode()))
    file = raw(tmp_path_factory.getbasetemp(), "fuzz.csv", content)
    reads_or_refuses(lambda: joints_in(tables, file, STAR), "fuzz.csv")
