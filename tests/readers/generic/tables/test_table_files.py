from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import one_sentence, refused
from hypothesis import given, settings, strategies as st
from own_files import FLAT_STAR, STAR, damages, joints, joints_in, layout_in, raw, reads_or_refuses

from s2i_hf.processing.layouts import BUILT_IN, LAYOUTS
from s2i_hf.readers import RawFile, ReadError
from s2i_hf.readers.generic.joint_names import joint_key
from s2i_hf.readers.generic.raw_clip import in_layout, layout_of
from s2i_hf.readers.generic.tables import table_files as tables

CLIP = joints(6)
HEADER = [f"{joint}_{axis}" for joint in STAR.joint_names for axis in "xyz"]


def table(array: np.ndarray = CLIP, header: list[str] | None = None, separator: str = ",") -> str:
    rows = [separator.join(map(str, row)) for row in array.reshape(len(array), -1).tolist()]
    return "\n".join(([separator.join(header)] if header else []) + rows) + "\n"


@pytest.mark.parametrize("separator", [",", ";", "\t", " ", ", "])
@pytest.mark.parametrize("header", [None, HEADER, list(map(str, range(12)))])
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
    "joint without column": ([LINES[0].replace("head_", "neck_"), *LINES[1:]], "no joint 'head', which layout"),
    "axis without column": ([LINES[0].replace("head_z", "head_w"), *LINES[1:]], "no joint 'head', which layout"),
    "axis twice": ([LINES[0].replace("head_z", "head_y"), *LINES[1:]], "'head_y' and 'head_y' are both y"),
    "header only": ([LINES[0]], "a header and no rows"),
    "names of nothing": ([",".join(f"c{i}" for i in range(12)), *LINES[1:]], "c0, c1, c2, c3, ...) names no axis of a joint"),
    "several clips": ([LINES[0] + ",video", *(f"{line},{i // 3}.mp4" for i, line in enumerate(LINES[1:]))], "says that these are 2"),
    "shared frames": ([LINES[0] + ",frame", *(f"{line},{i // 2}" for i, line in enumerate(LINES[1:]))], "2 times in frame 0"),
    "far frames": ([LINES[0] + ",frame", *(f"{line},{10**i}" for i, line in enumerate(LINES[1:]))], "frames 1 to 100,000, of which 6"),
    "frame word": ([LINES[0] + ",frame", *(f"{line},one" for line in LINES[1:])], "line 2: frame is 'one'"),
    "joint number lacks": (["x0,y0,z0,x1,y1,z1,x2,y2,z2,x4,y4,z4", *LINES[1:]], "joints 0 to 4, but none of joint 3"),
    "bare axes": (["x,y,z", "1,2,3"], "columns x, y, z are of no joint"),
    "long name": ([LINES[0].replace("head_x", "_" * 100_000), *LINES[1:]], "no joint 'head'"),
    "other width": (["1,2,3,4,5", "1,2,3,4,5"], "shape (2, 5)"),
    "blank": (["", " "], "empty"),
    "mark only": (["\x1c"], "empty"),
    "many columns": (["1," * 30_000], "columns"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files_are_one_clear_sentence(tmp_path: Path, case: str) -> None:
    lines, words = BROKEN[case]
    with refused(ReadError, "a.csv", words):
        joints_in(tables, raw(tmp_path, "a.csv", "\n".join(lines)), STAR)


# -- what a header says ------------------------------------------------------------------------------------------------


def save(folder: Path, header: list[str], rows: Any) -> RawFile:
    return raw(folder, "a.csv", "\n".join([",".join(header), *(",".join(map(str, row)) for row in rows)]))


@pytest.mark.parametrize(
    "axis_major", [[f"{axis}{j}" for axis in "xyz" for j in range(4)], [f"landmark_{j}_{axis}" for axis in "xyz" for j in range(4)],
                   [f"{axis}_{j}" for axis in "xyz" for j in range(1, 5)], [f"kp{j}.{axis.upper()}" for axis in "xyz" for j in range(4)]],
)  # fmt: skip
def test_a_header_that_counts_joints_axis_by_axis(tmp_path: Path, axis_major: list[str]) -> None:
    file = save(tmp_path, axis_major, CLIP[:, 0].transpose(0, 2, 1).reshape(6, 12))
    np.testing.assert_array_equal(joints_in(tables, file, STAR), CLIP)
    with refused(ReadError, "a.csv does not say which joints it holds"):
        tables.read(file)


def test_a_repeated_header_of_axes(tmp_path: Path) -> None:
    rows = np.insert(CLIP.reshape(6, 4, 3), 3, 1, axis=2).reshape(6, 16)
    rows[2, 7] = 0  # the score of the second joint
    for header in (["x", "y", "z", "score"] * 4, ["X", "Y", "Z", "state"] * 4):
        clip = joints_in(tables, save(tmp_path, header, rows), STAR)
        assert np.isnan(clip[2, 0, 1]).all() and np.isnan(clip).sum() == 3
        np.testing.assert_array_equal(clip[~np.isnan(clip)], np.delete(CLIP.reshape(-1), slice(2 * 12 + 3, 2 * 12 + 6)))


@pytest.mark.parametrize("score", ["visibility", "score", "TrackingState", "likelihood", "Tracking_State", "c"])
def test_scores_are_no_coordinates(tmp_path: Path, score: str) -> None:
    header = [f"{name}_{value}" for name in STAR.joint_names for value in ("x", "y", score)]
    rows = CLIP[:, 0].copy()
    rows[..., 2] = 0.7
    rows[3, 2, 2] = 0
    clip = tables.read(save(tmp_path, header, rows.reshape(6, 12)))
    assert clip.names == STAR.joint_names and clip.joints.shape == (6, 1, 4, 2)
    expected = CLIP[..., :2].copy()
    expected[3, 0, 2] = np.nan
    np.testing.assert_array_equal(clip.joints, expected)


def test_states_may_be_words(tmp_path: Path) -> None:
    header = [
        f"{name}.{value}"
        for name in STAR.joint_names
        for value in ("Position.X", "Position.Y", "Position.Z", "TrackingState")
    ]
    rows = [[cell for point in frame[0].tolist() for cell in (*point, "Tracked")] for frame in CLIP]
    rows[1][3] = "NotTracked"
    clip = joints_in(tables, save(tmp_path, header, rows), STAR)
    assert np.isnan(clip[1, 0, 0]).all() and np.isnan(clip).sum() == 3


def test_rows_with_numbers_of_frames_and_people(tmp_path: Path) -> None:
    two = joints(8, people=2)
    rows = [[30 + t, f"p{person}", *two[t, person].reshape(-1)] for t in (4, 0, 7, 1, 2, 6) for person in (1, 0)]
    clip = joints_in(tables, save(tmp_path, ["Frame No", "track_id", *HEADER], rows), STAR)
    expected = two.copy()
    expected[[3, 5]] = np.nan  # frames without a row
    np.testing.assert_array_equal(clip, expected)
    every = [[3 * t, *CLIP[t].reshape(-1)] for t in range(6)]  # each third frame of a video
    np.testing.assert_array_equal(joints_in(tables, save(tmp_path, ["frame", *HEADER], every), STAR), CLIP)
    counted = [[t, *CLIP[t].reshape(-1)] for t in (2, 0, 1, 3, 5, 4)]
    for name in ("Frame#", "FRAME NO.", "frame_index", "Frame (#)"):
        np.testing.assert_array_equal(joints_in(tables, save(tmp_path, [name, *HEADER], counted), STAR), CLIP)
    images = [[f"img_{t:05}.jpg", *CLIP[t].reshape(-1)] for t in (2, 0, 1, 3, 5, 4)]
    np.testing.assert_array_equal(joints_in(tables, save(tmp_path, ["image_id", *HEADER], images), STAR), CLIP)


def test_more_people_than_fit_are_counted(tmp_path: Path) -> None:
    rows = [[t, person, *CLIP[t].reshape(-1)] for t in range(6) for person in range(12) if person != 3 or t < 2]
    clip = tables.read(save(tmp_path, ["frame", "id", *HEADER], rows))
    assert clip.joints.shape[1] == 10 and clip.left_out == [
        "2 of 12 people (8 bodies) do not fit; the 10 seen longest are kept."
    ]


@pytest.mark.parametrize("numbered", [False, True])
def test_a_row_for_each_joint(tmp_path: Path, numbered: bool) -> None:
    rows = [
        [t, j if numbered else name, *CLIP[t, 0, j]]
        for j, name in enumerate(STAR.joint_names)
        for t in range(6)
        if (t, j) != (2, 3)
    ]
    clip = joints_in(tables, save(tmp_path, ["frame", "landmark", "x", "y", "z"], rows), STAR)
    expected = CLIP.copy()
    expected[2, 0, 3] = np.nan
    np.testing.assert_array_equal(clip, expected)
    with refused(ReadError, "is there twice in frame 0"):
        tables.read(save(tmp_path, ["frame", "landmark", "x", "y", "z"], [*rows, rows[0]]))


def test_other_numbers_beside_the_joints(tmp_path: Path) -> None:
    """A box around the body, a score of the person, a subject beside the track."""
    two = joints(6, people=2)
    rows = [[7, t, 10 + person, 1, 2, 3, 4, 0.9, *two[t, person].reshape(-1)] for t in range(6) for person in range(2)]
    file = save(tmp_path, ["subject", "frame", "track_id", "x", "y", "width", "height", "score", *HEADER], rows)
    np.testing.assert_array_equal(joints_in(tables, file, STAR), two)


@pytest.mark.parametrize("cells", ["clip.mp4", "squat", "2020-01-01 10:00:00.5", '"a, b"', ""])
def test_text_beside_the_joints_is_left_alone(tmp_path: Path, cells: str) -> None:
    rows = [[cells, *CLIP[t].reshape(-1), cells] for t in range(6)]
    np.testing.assert_array_equal(joints_in(tables, save(tmp_path, ["video", *HEADER, "note"], rows), STAR), CLIP)
    assert tables.read(save(tmp_path, ["label", *HEADER, "time"], rows)).joints.shape == CLIP.shape


def test_what_pandas_writes(tmp_path: Path) -> None:
    for frame in (pd.DataFrame(CLIP.reshape(6, 12)), pd.DataFrame(CLIP.reshape(6, 12), columns=HEADER)):
        for index in (False, True):
            file = raw(tmp_path, "a.csv", frame.to_csv(index=index))
            np.testing.assert_array_equal(joints_in(tables, file, STAR), CLIP)
        stream = io.BytesIO()
        frame.rename(columns=str).to_parquet(stream)
        np.testing.assert_array_equal(joints_in(tables, raw(tmp_path, "a.parquet", stream.getvalue()), STAR), CLIP)


@pytest.mark.parametrize("orient", ["records", "split", "columns", "list"])
def test_json_of_the_same_columns(orient: str) -> None:
    frame = pd.DataFrame(CLIP.reshape(6, 12), columns=HEADER).assign(frame=range(6))
    content = (
        frame.to_dict(orient="list")
        if orient == "list"
        else json.loads(frame.to_json(orient=orient, double_precision=15))
    )
    clip = tables.read_records(content, "a.json")
    assert clip is not None and clip.names == STAR.joint_names
    np.testing.assert_allclose(clip.joints, CLIP, rtol=1e-12)


@pytest.mark.parametrize(
    "content",
    [[], {}, [1, 2], [{"a": {"b": 1}}], {"a": 1}, [{"keypoints": [1, 2, 3]}], {"a": [1], "b": [1, 2]}, 3, None],
)
def test_other_json_is_no_table(content: Any) -> None:
    assert tables.read_records(content, "a.json") is None


def test_decimal_commas_and_units(tmp_path: Path) -> None:
    text = table(CLIP, [f"{name} (mm)" for name in HEADER], ";").replace(".", ",")
    clip = tables.read(raw(tmp_path, "a.csv", text))
    np.testing.assert_array_equal(clip.joints, CLIP)
    assert clip.unit == "mm"
    np.testing.assert_array_equal(
        joints_in(tables, raw(tmp_path, "a.csv", table(CLIP, None, ";").replace(".", ",")), STAR), CLIP
    )


def test_headers_of_several_lines(tmp_path: Path) -> None:
    """As DeepLabCut writes them, and as sheets with a joint above its first column."""
    lines = table().splitlines()
    deep = [",".join(["scorer", *["net"] * 12]), ",".join(["bodyparts", *(name for name in STAR.joint_names for _ in range(3))]),
            ",".join(["coords", *"xyz" * 4]), *(f"{t},{line}" for t, line in enumerate(lines))]  # fmt: skip
    sheet = [",,,".join(STAR.joint_names) + ",,", ",".join("xyz" * 4), *lines]
    for text in (deep, sheet):
        np.testing.assert_array_equal(joints_in(tables, raw(tmp_path, "a.csv", "\n".join(text)), STAR), CLIP)


@pytest.mark.parametrize(
    "name", ["{}{}_{}", "{}{}.Position.{}", "JointType_{}{}_{}", "{}{}{}", "{}{} {}", "pos_{}{}_{}"]
)
def test_kinect_names_of_its_maker(tmp_path: Path, name: str) -> None:
    layout, clip = LAYOUTS["kinect_v2"], np.random.default_rng(0).normal(0, 0.4, (5, 1, 25, 3))
    spelt = [
        joint[:-1] + {"L": "Left", "R": "Right"}[joint[-1]] if joint[-1] in "LR" else joint
        for joint in layout.joint_names
    ]
    order = np.argsort(spelt)
    header = [
        name.format(*(spelt[j], "") if name.count("{}") == 3 else (spelt[j],), axis) for j in order for axis in "XYZ"
    ]
    file = save(tmp_path, header, clip[:, 0, order].reshape(5, 75))
    np.testing.assert_array_equal(joints_in(tables, file, layout), clip)
    assert layout_in(tables, file) == layout
    for wrong in LAYOUTS.values():
        if wrong != layout:
            with refused(ReadError, "a.csv"):
                joints_in(tables, file, wrong)


@settings(max_examples=60, deadline=None)
@given(
    order=st.permutations(range(12)),
    spelling=st.sampled_from(["{}_{}", "{}.{}", "{} {}", "{}-{}", "{}:{}", "x"]),
    upper=st.booleans(),
)
def test_order_and_spelling_do_not_matter(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], spelling: str, upper: bool
) -> None:
    names = [
        spelling.format(joint, axis) if spelling != "x" else f"{axis}_{joint}"
        for joint in STAR.joint_names
        for axis in "xyz"
    ]
    header = [names[place].upper() if upper else names[place] for place in order]
    file = save(tmp_path_factory.getbasetemp(), header, CLIP.reshape(6, 12)[:, order])
    np.testing.assert_array_equal(joints_in(tables, file, STAR), CLIP)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), header=st.booleans())
def test_damaged_files_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, header: bool
) -> None:
    content = data.draw(damages(table(CLIP, HEADER if header else None).encode()))
    file = raw(tmp_path_factory.getbasetemp(), "fuzz.csv", content)
    reads_or_refuses(lambda: joints_in(tables, file, STAR), "fuzz.csv")


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_table_that_names_its_joints_is_read_as_nothing_else(tmp_path: Path, name: str) -> None:
    layout = BUILT_IN[name]
    axes = "xyz" if layout.unit == "m" else "xy"
    clip = joints(4, layout=layout)[..., : len(axes)]
    file = save(tmp_path, [f"{joint}_{axis}" for joint in layout.joint_names for axis in axes], clip.reshape(4, -1))
    stated = tables.read(file)
    assert layout_of(stated, "a.csv").num_joints == layout.num_joints
    alike = {tuple(sorted(map(joint_key, one.joint_names))) for one in (layout, layout_of(stated, "a.csv"))}
    assert len(alike) == 1  # UTD-MHAD's joints are those of Kinect v1 in another order
    for other in BUILT_IN.values():
        try:
            found = in_layout(stated, other, "a.csv")
        except ReadError as error:
            assert one_sentence(error) and other != layout
        else:
            assert tuple(sorted(map(joint_key, other.joint_names))) in alike
            order = [
                [joint_key(one) for one in layout.joint_names].index(joint_key(joint)) for joint in other.joint_names
            ]
            np.testing.assert_allclose(found[..., 0], clip[:, :, order, 0], rtol=1e-5)


@pytest.mark.parametrize(
    ("lacking", "beside", "words"),
    [
        (["ThumbL"], [], "but 24 of them those of kinect_v2 without ThumbL"),
        (["HandTipL", "HandTipR", "ThumbL", "ThumbR"], [], "but 21 of them those of kinect_v2 without HandTipL"),
        ([], ["Racket"], "but 25 of them those of kinect_v2, and layout='kinect_v2' leaves out Racket"),
    ],
)  # fmt: skip
def test_a_few_joints_more_or_fewer_are_no_other_layout(
    tmp_path: Path, lacking: list[str], beside: list[str], words: str
) -> None:
    names = [name for name in LAYOUTS["kinect_v2"].joint_names if name not in lacking] + beside
    clip = np.random.default_rng(0).normal(0, 0.1, (5, 1, len(names), 3))
    file = save(tmp_path, [f"{name}_{axis}" for name in names for axis in "xyz"], clip.reshape(5, -1))
    with refused(ReadError, f"its {len(names)} joints (", words, "pass a layout of your own"):
        layout_in(tables, file)
    if lacking:
        with refused(ReadError, f"has no joint '{lacking[0]}', which layout 'kinect_v2' needs"):
            joints_in(tables, file, LAYOUTS["kinect_v2"])
    else:
        np.testing.assert_array_equal(joints_in(tables, file, LAYOUTS["kinect_v2"]), clip[:, :, :25])


def test_people_come_in_the_order_of_their_ids(tmp_path: Path) -> None:
    two = joints(6, people=2)
    rows = [[t, (2, 10)[person], *two[t, person].reshape(-1)] for t in (3, 0, 5, 1, 2, 4) for person in (1, 0)]
    np.testing.assert_array_equal(joints_in(tables, save(tmp_path, ["frame", "id", *HEADER], rows), STAR), two)


def test_units_after_an_axis(tmp_path: Path) -> None:
    clip = tables.read(save(tmp_path, [f"{name}_mm" for name in HEADER], CLIP.reshape(6, 12)))
    np.testing.assert_array_equal(clip.joints, CLIP)
    assert clip.unit == "mm" and clip.names == STAR.joint_names
