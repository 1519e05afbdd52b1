from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from conftest import refused
from hypothesis import given, settings, strategies as st
from mocap_files import motive_text
from own_files import damages, raw, reads_or_refuses

from s2i_hf.processing.skeleton_layout import SkeletonLayout
from s2i_hf.readers import ReadError
from s2i_hf.readers.generic.mocap import motive_csv
from s2i_hf.readers.generic.raw_clip import in_layout, layout_of
from s2i_hf.readers.generic.tables import table_files

TORSO = ["Hip", "Ab", "Chest", "Neck", "Head"]
LIMBS = ("Shoulder", "UArm", "FArm", "Hand", "Thumb1", "Thumb2", "Thigh", "Shin", "Foot", "Toe")
BONES = TORSO + [side + bone for side in "LR" for bone in LIMBS]
PARENTS = {"Ab": "Hip", "Chest": "Ab", "Neck": "Chest", "Head": "Neck"}
for _side in "LR":
    _pairs = (
        "Shoulder<Chest UArm<S FArm<UArm Hand<FArm Thumb1<Hand Thumb2<Thumb1 Thigh<Hip Shin<Thigh Foot<Shin Toe<Foot"
    )
    for _pair in _pairs.split():
        _bone, _parent = _pair.split("<")
        _parent = "Shoulder" if _parent == "S" else _parent
        PARENTS[_side + _bone] = _parent if _parent in TORSO else _side + _parent
ANNA = [f"Anna:{bone}" for bone in BONES]


@pytest.fixture
def places() -> np.ndarray:
    found = np.random.default_rng(3).normal(0, 0.5, (5, len(BONES), 3))
    found[2, 1] = np.nan
    return found


def in_plain_loop(path: Path, name: str, kind: str) -> list[list[float]]:
    """Position of one bone or marker, row by row."""
    rows = list(csv.reader(path.read_text().splitlines()))
    names = next(row for row in rows if name in row)
    kinds = rows[rows.index(names) - 1]
    start = next(index for index, row in enumerate(rows) if row[:1] == ["Frame"])
    parts = rows[start - 1]
    columns = [i for i in range(2, len(names)) if names[i] == name and parts[i] == "Position" and kinds[i] == kind]
    return [[float(row[i]) if row[i] else np.nan for i in columns] for row in rows[start + 1 :]]


@pytest.mark.parametrize("newer", [False, True])
def test_bones_of_a_skeleton(tmp_path: Path, places: np.ndarray, newer: bool) -> None:
    told = [f"Anna:{PARENTS[bone]}" if bone in PARENTS else "Root" for bone in BONES] if newer else None
    file = raw(tmp_path, "take.csv", motive_text(ANNA, places, parents=told))
    clip = table_files.read(file)  # a table that says whose it is
    assert (
        clip.names == tuple(BONES)
        and clip.unit == "m"
        and clip.usual_up == "y"
        and clip.fps == 120
        and not clip.left_out
    )
    parents = tuple(BONES.index(PARENTS[bone]) if bone in PARENTS else -1 for bone in BONES)
    assert clip.parents == (parents if newer else None) and layout_of(clip, file.name).parents == parents
    for index in (0, 7, len(BONES) - 1):
        np.testing.assert_allclose(clip.joints[:, 0, index], in_plain_loop(file.path, ANNA[index], "Bone"), atol=1e-5)
    layout = layout_of(clip, file.name)
    assert set(layout.parts["torso"]) == set(TORSO) and layout.parts["left_arm"][:3] == ("LShoulder", "LUArm", "LFArm")
    np.testing.assert_allclose(in_layout(clip, layout, file.name)[:, 0], places, atol=1e-5)


def test_a_root_that_is_called_as_its_skeleton(places: np.ndarray) -> None:
    names = ["Skeleton 001", *(f"Skeleton 001:{bone}" for bone in BONES[1:])]
    clip = motive_csv.of_text(motive_text(names, places), "take.csv")
    assert clip.names[0] == "Root" and layout_of(clip, "take.csv").parents[1] == 0
    told = ["", *("Skeleton 001" for _ in BONES[1:])]
    clip = motive_csv.of_text(motive_text(names, places, parents=told), "take.csv")
    assert clip.parents == (-1, *[0] * (len(BONES) - 1))


@pytest.mark.parametrize(("unit", "metres"), [("Meters", 1.0), ("Centimeters", 0.01), ("Millimeters", 0.001)])
def test_units_that_the_file_states(places: np.ndarray, unit: str, metres: float) -> None:
    clip = motive_csv.of_text(motive_text(ANNA, places / metres, unit=unit), "take.csv")
    np.testing.assert_allclose(in_layout(clip, layout_of(clip, "take.csv"), "take.csv")[:, 0], places, atol=1e-5)


def test_two_people_beside_markers_and_rigid_bodies(places: np.ndarray) -> None:
    names = ["Anna:Hip", "Anna:Head", "Ben:Head", "Ben:Hip", "Anna:WaistLFront", "Box", "Unlabeled 1203"]
    kinds = ["Bone"] * 4 + ["Bone Marker", "Rigid Body", "Marker"]
    clip = motive_csv.of_text(motive_text(names, places[:, :7], kinds), "take.csv")
    assert clip.names == ("Hip", "Head")
    np.testing.assert_allclose(clip.joints, places[:, [[0, 1], [3, 2]]], atol=1e-5)
    assert clip.left_out == ["its columns of type Bone Marker and Marker and Rigid Body are left out."]


def test_markers_alone(places: np.ndarray) -> None:
    names = ["Leg:hip", "Leg:knee", "Leg:ankle", "Unlabeled 1203"]
    clip = motive_csv.of_text(motive_text(names, places[:, :4], "Marker", unit="Millimeters"), "take.csv")
    assert clip.names == ("hip", "knee", "ankle") and clip.parents is None and clip.unit == "mm"
    assert clip.left_out == ["markers without a name are left out: 1."]
    with refused(ReadError, "take.csv", "3 joints (hip, knee, ankle)", "pass a layout of your own"):
        layout_of(clip, "take.csv")
    leg = SkeletonLayout("test_leg", ["ankle", "hip"], [1, -1], parts={"torso": ["ankle", "hip"]}, mirror_pairs=[])
    np.testing.assert_allclose(in_layout(clip, leg, "take.csv")[:, 0], places[:, [2, 0]] / 1000, atol=1e-5)


def test_rigid_bodies_are_no_people(places: np.ndarray) -> None:
    names = ["Shank:Marker1", "Shank:Marker2", "Thigh:Marker1", "Thigh:Marker2"]
    clip = motive_csv.of_text(motive_text(names, places[:, :4], "Rigid Body Marker"), "take.csv")
    assert clip.names == tuple(names) and clip.joints.shape == (5, 1, 4, 3)


BROKEN = {
    "local": (motive_text(ANNA, np.ones((2, len(BONES), 3)), space="Local"), "coordinate space is 'Local'"),
    "unit": (motive_text(ANNA, np.ones((2, len(BONES), 3)), unit="Furlongs"), "'Furlongs'"),
    "no positions": (motive_text(ANNA, np.ones((2, len(BONES), 3))).replace("Position", "Rotation"), "no positions"),
    "no header": ("Format Version,1.23,Take Name,walk\n\n", "no header of Motive"),
    "number": (
        motive_text(["A:Hip", "A:Head"], np.full((2, 2, 3), 7.5)).replace("7.500000", "high", 1),
        "line 8: 'high'",
    ),
    "twice": (motive_text(["A:x", "A:y", "A:x"], np.ones((2, 3, 3)), "Marker"), "two markers named 'A:x'"),
    "no frames": (motive_text(ANNA, np.ones((0, len(BONES), 3))), "in 0 frames"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files_are_one_clear_sentence(tmp_path: Path, case: str) -> None:
    content, words = BROKEN[case]
    with refused(ReadError, "take.csv", words):
        table_files.read(raw(tmp_path, "take.csv", content))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_files_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    content = motive_text(["A:Hip", "A:Head"], np.ones((3, 2, 3)), parents=["Root", "A:Hip"]).encode()
    file = raw(tmp_path_factory.getbasetemp(), "fuzz.csv", data.draw(damages(content)))
    reads_or_refuses(lambda: table_files.read(file), "fuzz.csv")
