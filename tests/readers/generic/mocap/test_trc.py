from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import refused
from hypothesis import given, settings, strategies as st
from mocap_files import trc_text
from own_files import damages, raw, reads_or_refuses

from s2i_hf.processing.layouts import LAYOUTS
from s2i_hf.processing.skeleton_layout import SkeletonLayout
from s2i_hf.readers import ReadError
from s2i_hf.readers.generic.mocap import trc
from s2i_hf.readers.generic.raw_clip import in_layout, layout_of

NAMES = ["R.ASIS", "L.ASIS", "V.Sacral", "R.Toe.Tip"]
TOES = SkeletonLayout(
    "test_toes", ["R.Toe.Tip", "V.Sacral"], [1, -1], parts={"torso": ["R.Toe.Tip", "V.Sacral"]}, mirror_pairs=[]
)


@pytest.fixture
def places() -> np.ndarray:
    found = np.random.default_rng(3).normal(0, 700, (6, 4, 3))
    found[2, 1] = found[4, 3] = np.nan
    return found


def test_markers_of_a_laboratory(tmp_path: Path, places: np.ndarray) -> None:
    file = raw(tmp_path, "walk.trc", trc_text(NAMES, places))
    clip = trc.read(file)
    assert clip.names == tuple(NAMES) and clip.unit == "mm" and clip.up == "" and clip.fps == 100 and not clip.left_out
    table = pd.read_csv(file.path, sep="\t", skiprows=5, header=None)
    np.testing.assert_allclose(clip.joints[:, 0].reshape(6, -1), table.iloc[:, 2:14].to_numpy(), atol=1e-5)
    joints = in_layout(clip, TOES, file.name, up="z")[:, 0]
    x, y, z = np.moveaxis(places[:, [3, 2]] / 1000, -1, 0)
    np.testing.assert_allclose(joints, np.stack([x, z, -y], axis=-1), atol=1e-6)


@pytest.mark.parametrize(
    ("unit", "metres"), [("m", 1.0), ("Meters", 1.0), ("cm", 0.01), ("inches", 0.0254), ("MM", 0.001)]
)
def test_units_that_the_file_states(tmp_path: Path, places: np.ndarray, unit: str, metres: float) -> None:
    clip = trc.read(raw(tmp_path, "walk.trc", trc_text(NAMES, places, unit)))
    np.testing.assert_allclose(
        in_layout(clip, TOES, "walk.trc")[:, 0], places[:, [3, 2]] * metres, rtol=1e-5, atol=1e-5
    )


def test_forms_of_other_writers(tmp_path: Path, places: np.ndarray) -> None:
    expected = trc.read(raw(tmp_path, "walk.trc", trc_text(NAMES, places))).joints
    text = trc_text(NAMES, places)
    lines = text.splitlines()
    forms = {
        "trailing tabs": "\n".join(line + "\t" for line in lines),
        "no blank line": text.replace("\n\n", "\n"),
        "Windows": text.replace("\n", "\r\n"),
        "names in a row": "\n".join(["Frame#\tTime\t" + "\t".join(NAMES) if line.startswith("Frame#") else line for line in lines]),
        "a prefix": text.replace("R.ASIS", "Anna:R.ASIS").replace("L.ASIS", "Anna:L.ASIS")
        .replace("V.Sacral", "Anna:V.Sacral").replace("R.Toe", "Anna:R.Toe"),
        "other order": "\n".join([*lines[:6], *lines[:5:-1]]),
    }  # fmt: skip
    for form, content in forms.items():
        clip = trc.read(raw(tmp_path, "other.trc", content))
        np.testing.assert_array_equal(clip.joints, expected, err_msg=form)
        assert clip.names == tuple(NAMES), form


def test_a_gap_in_the_frame_numbers_is_not_seen(tmp_path: Path, places: np.ndarray) -> None:
    lines = trc_text(NAMES, places).replace("\t6\t4\t", "\t5\t4\t").splitlines()
    clip = trc.read(raw(tmp_path, "walk.trc", "\n".join(line for line in lines if not line.startswith("4\t"))))
    assert len(clip.joints) == 6 and np.isnan(clip.joints[3]).all()
    np.testing.assert_allclose(clip.joints[5, 0], places[5], atol=1e-5)


@pytest.mark.parametrize("middle", ["Hip", ""])
def test_keypoints_of_pose2sim(tmp_path: Path, middle: str) -> None:
    """Pose2Sim and Sports2D write keypoints of a pose estimator in metres, with y up."""
    side = ["Hip", "Knee", "Ankle", "BigToe", "SmallToe", "Heel"]
    names = (
        [middle] * bool(middle) + [f"R{one}" for one in side] + [f"L{one}" for one in side] + ["Neck", "Head", "Nose"]
    )
    names += ["RShoulder", "RElbow", "RWrist", "LShoulder", "LElbow", "LWrist"]
    found = np.random.default_rng(1).normal(0, 0.5, (2, len(names), 3))
    clip = trc.read(raw(tmp_path, "pose.trc", trc_text(names, found, "m", "60")))
    layout = layout_of(clip, "pose.trc")
    above = [layout.joint_names[parent] if parent >= 0 else "" for parent in layout.parents]
    told = dict(zip(layout.joint_names, above, strict=True))
    assert told["RKnee"] == "RHip" and told["LHeel"] == "LAnkle" and told["RHip"] == (middle or "Neck")
    assert told["Nose"] == "Head" and told["LWrist"] == "LElbow" and list(told.values()).count("") == 1
    assert len(layout.mirror_pairs) == 9 and layout.unit == "m" and clip.fps == 60
    np.testing.assert_allclose(in_layout(clip, layout, "pose.trc")[:, 0], found, atol=1e-5)


BROKEN = {
    "another format": ("HIERARCHY\nROOT a\n", "does not begin with PathFileType"),
    "truncated header": ("PathFileType\t4\t(X/Y/Z)\n", "does not begin with PathFileType and four more"),
    "no axes": (trc_text(NAMES, np.ones((2, 4, 3))).replace("X2\tY2\tZ2", "X2\tY2"), "4 names above 11 columns"),
    "more axes": (trc_text(NAMES, np.ones((2, 4, 3))).replace("R.Toe.Tip", ""), "3 names above 12 columns"),
    "unit": (trc_text(NAMES, np.ones((2, 4, 3)), "feet"), "'feet'"),
    "truncated": ("\n".join(trc_text(NAMES, np.ones((9, 4, 3))).splitlines()[:-2]), "ends after 7 of 9 frames"),
    "decimal comma": (trc_text(NAMES, np.full((2, 4, 3), 0.5)).replace("0.500000", "0,5"), "line 7: '0,5' is no number"),
    "wide": (trc_text(NAMES, np.ones((2, 4, 3))).rstrip() + "\t1.0\n", "line 8"),
    "frame": (trc_text(NAMES, np.ones((2, 4, 3))).replace("\n2\t", "\nb\t"), "line 8: frame 'b'"),
    "frame twice": (trc_text(NAMES, np.ones((2, 4, 3))).replace("\n2\t", "\n1\t"), "2 times in frame 1"),
    "marker twice": (trc_text(["a", "b", "a", "c"], np.ones((2, 4, 3))), "two markers named 'a'"),
    "no frames": (trc_text(NAMES, np.ones((0, 4, 3))), "in 0 frames"),
    "empty": ("\n", "empty"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files_are_one_clear_sentence(tmp_path: Path, case: str) -> None:
    content, words = BROKEN[case]
    with refused(ReadError, "walk.trc", words):
        trc.read(raw(tmp_path, "walk.trc", content))


def test_a_layout_in_pixels_is_refused(tmp_path: Path) -> None:
    names = LAYOUTS["coco_17"].joint_names
    clip = trc.read(raw(tmp_path, "pose.trc", trc_text(names, np.ones((2, 17, 3)), "m")))
    with refused(ReadError, "pose.trc", "coordinates are in m, those of layout 'coco_17' in px"):
        in_layout(clip, LAYOUTS["coco_17"], "pose.trc")


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_files_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    content = trc_text(NAMES, np.ones((3, 4, 3))).encode()
    file = raw(tmp_path_factory.getbasetemp(), "fuzz.trc", data.draw(damages(content)))
    reads_or_refuses(lambda: in_layout(trc.read(file), TOES, file.name), "fuzz.trc")
