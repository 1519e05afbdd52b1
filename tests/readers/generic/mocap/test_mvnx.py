from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from conftest import refused
from hypothesis import given, settings, strategies as st
from mocap_files import mvnx_file, mvnx_text
from own_files import damages, raw, reads_or_refuses

from s2i_hf.readers import ReadError
from s2i_hf.readers.generic.mocap import mvnx
from s2i_hf.readers.generic.raw_clip import in_layout, layout_of

NAMES = ["Pelvis", "L5", "L3", "T12", "T8", "Neck", "Head"] + [
    side + bone
    for side in ("Right", "Left")
    for bone in ("Shoulder", "UpperArm", "ForeArm", "Hand", "UpperLeg", "LowerLeg", "Foot", "Toe")
]
PARENTS = (-1, 0, 1, 2, 3, 4, 5, *(p if p < 5 else p + 8 * s for s in (0, 1) for p in (4, 7, 8, 9, 0, 11, 12, 13)))


@pytest.fixture
def places() -> np.ndarray:
    return np.random.default_rng(3).normal(0, 0.5, (5, 23, 3))


def test_segments_in_metres_with_y_up(tmp_path: Path, places: np.ndarray) -> None:
    file = raw(tmp_path, "walk.mvnx", mvnx_file(mvnx_text(NAMES, PARENTS, places)))
    clip = mvnx.read(file)
    assert (
        clip.names == tuple(NAMES)
        and clip.parents == PARENTS
        and clip.unit == "m"
        and clip.up == "z"
        and clip.fps == 60
    )
    space = "{http://www.xsens.com/mvn/mvnx}"
    frames = [one for one in ElementTree.parse(file.path).iter(f"{space}frame") if one.get("type") == "normal"]
    for index, frame in enumerate(frames):
        words = frame.find(f"{space}position").text.split()  # type: ignore[union-attr]
        np.testing.assert_allclose(clip.joints[index, 0].ravel(), [float(word) for word in words], atol=1e-5)
    layout = layout_of(clip, file.name)
    assert {"L5", "L3", "T12", "T8"} <= set(layout.parts["torso"]) and len(layout.mirror_pairs) == 8
    x, y, z = np.moveaxis(places, -1, 0)
    np.testing.assert_allclose(in_layout(clip, layout, file.name)[:, 0], np.stack([x, z, -y], axis=-1), atol=1e-5)


def test_two_subjects_are_people(tmp_path: Path, places: np.ndarray) -> None:
    both = mvnx_file(mvnx_text(NAMES, PARENTS, places), mvnx_text(NAMES, PARENTS, places[:3] + 1, "Ben"))
    clip = mvnx.read(raw(tmp_path, "two.mvnx", both))
    assert clip.joints.shape == (5, 2, 23, 3) and np.isnan(clip.joints[3:, 1]).all()
    np.testing.assert_allclose(clip.joints[:3, 1], places[:3] + 1, atol=1e-5)
    with refused(ReadError, "two.mvnx", "other segments"):
        mvnx.read(raw(tmp_path, "two.mvnx", both.replace('label="Head"', 'label="Hat"', 1)))


def test_fingers_beside_the_body_and_no_name_space(tmp_path: Path, places: np.ndarray) -> None:
    text = mvnx_file(mvnx_text(NAMES, PARENTS, places)).replace(' xmlns="http://www.xsens.com/mvn/mvnx"', "")
    text = text.replace(
        "<joints>", '<fingerTrackingSegmentsLeft><segment label="LeftCarpus"/></fingerTrackingSegmentsLeft><joints>'
    )
    text = text.replace("<velocity>", "<positionFingersLeft>9 9 9</positionFingersLeft><velocity>")
    clip = mvnx.read(raw(tmp_path, "walk.mvnx", text))
    assert clip.names == tuple(NAMES)
    np.testing.assert_allclose(clip.joints[:, 0], places, atol=1e-5)


def test_a_gap_in_the_frame_numbers_is_not_seen(tmp_path: Path, places: np.ndarray) -> None:
    text = mvnx_file(mvnx_text(NAMES, PARENTS, places))
    kept = [line for line in text.split("\n") if 'index="2"' not in line]
    clip = mvnx.read(raw(tmp_path, "walk.mvnx", "\n".join(kept)))
    assert len(clip.joints) == 5 and np.isnan(clip.joints[2]).all()


ONE = mvnx_file(mvnx_text(["Pelvis", "Head"], [-1, 0], np.ones((2, 2, 3))))
BOMB = '<!DOCTYPE a [<!ENTITY b "bbbbbbbb"><!ENTITY c "&b;&b;&b;&b;">]>'
BROKEN = {
    "another format": ("HIERARCHY\n", "no XML"),
    "truncated": (ONE[:-40], "truncated or damaged"),
    "entities": (ONE.replace("?>\n", f"?>\n{BOMB}", 1), "declares a document type"),
    "another XML": ("<a><b/></a>", "no frame of type normal"),
    "no frames": (ONE.replace('type="normal"', 'type="npose"'), "no frame of type normal"),
    "short": (ONE.replace("1.000000 1.000000</position>", "1.000000</position>", 1), "frame 0: position has 5 numbers"),
    "word": (ONE.replace("1.000000", "one", 1), "frame 0: position has 0 numbers"),
    "frame twice": (ONE.replace('index="1"', 'index="0"'), "2 times in frame 0"),
    "deep": ("<mvnx>" + "<a>" * 99, "50 deep"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files_are_one_clear_sentence(tmp_path: Path, case: str) -> None:
    content, words = BROKEN[case]
    with refused(ReadError, "walk.mvnx", words):
        mvnx.read(raw(tmp_path, "walk.mvnx", content))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_files_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    file = raw(tmp_path_factory.getbasetemp(), "fuzz.mvnx", data.draw(damages(ONE.encode())))
    reads_or_refuses(lambda: mvnx.read(file), "fuzz.mvnx")
