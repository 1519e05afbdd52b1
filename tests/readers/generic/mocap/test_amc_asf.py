from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import refused
from hypothesis import given, settings, strategies as st
from own_files import AMC, ASF, damages, joints_in, layout_in, raw, reads_or_refuses

from s2i_hf.processing.layouts import LAYOUTS
from s2i_hf.processing.skeleton_layout import SkeletonLayout
from s2i_hf.readers import RawFile, ReadError
from s2i_hf.readers.generic.mocap import amc_asf

METRES = 0.0254 / 0.45
# name, parent, direction, length, axis (degrees about x, y, z), degrees of freedom: ASF as a person reads it
BONES: list[tuple[str, str, tuple[float, ...], float, tuple[float, ...], str]] = [
    ("lhipjoint", "root", (0.6, -0.8, 0), 2.5, (0, 0, 0), ""),
    ("lfemur", "lhipjoint", (0.34202, -0.939693, 0), 7.2, (0, 0, 20), "xyz"),
    ("ltibia", "lfemur", (0.34202, -0.939693, 0), 7.9, (-90, 7.62852e-016, 20), "xz"),
    ("rhipjoint", "root", (-0.6, -0.8, 0), 2.5, (0, 0, 0), ""),
    ("rfemur", "rhipjoint", (-0.34202, -0.939693, 0), 7.2, (0, 0, -20), "xyz"),
    ("rtibia", "rfemur", (-0.34202, -0.939693, 0), 7.9, (0, 0, -20), "x"),
    ("upperback", "root", (0, 1, 0), 5, (0, 0, 0), "xyz"),
]


@pytest.fixture
def file(tmp_path: Path) -> RawFile:
    return raw(tmp_path, "07_01.amc", AMC, raw(tmp_path, "07.asf", ASF))


def fixed(x: float, y: float, z: float) -> np.ndarray:
    """Rotation about the fixed x axis, then the fixed y axis, then the fixed z axis."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(np.radians([x, y, z])), np.sin(np.radians([x, y, z]))
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def slow(frame: dict[str, list[float]]) -> dict[str, np.ndarray]:
    """Ends of the bones in one frame, bone by bone."""
    rotation = {"root": fixed(*frame["root"][3:])}
    place = {"root": np.array(frame["root"][:3])}
    for name, parent, direction, length, axis, dof in BONES:
        angles = dict(zip(dof, frame.get(name, []), strict=True))
        motion = fixed(*(angles.get(turn, 0.0) for turn in "xyz"))
        rotation[name] = rotation[parent] @ fixed(*axis) @ motion @ np.linalg.inv(fixed(*axis))
        place[name] = place[parent] + rotation[name] @ np.array(direction) * length
    return place


def frames() -> list[dict[str, list[float]]]:
    found: list[dict[str, list[float]]] = []
    for line in AMC.splitlines()[3:]:
        words = line.split()
        if len(words) == 1:
            found.append({})
        else:
            found[-1][words[0]] = [float(word) for word in words[1:]]
    return found


def test_equals_a_slow_walk_down_the_bones(file: RawFile) -> None:
    layout = layout_in(amc_asf, file)
    clip = joints_in(amc_asf, file, layout)
    assert clip.shape == (2, 1, 8, 3)
    for index, frame in enumerate(frames()):
        place = slow(frame)
        for joint, name in enumerate(layout.joint_names):
            np.testing.assert_allclose(clip[index, 0, joint], place[name], atol=1e-9)
    assert float(amc_asf.read(file).usual_unit) == pytest.approx(METRES)


def test_rest_pose_by_hand(file: RawFile) -> None:
    """All angles zero: bones point where the skeleton says, whatever their axis."""
    layout = layout_in(amc_asf, file)
    joint = layout.joint_names.index
    clip = joints_in(amc_asf, file, layout)[0, 0]
    np.testing.assert_allclose(clip[joint("upperback")], [0, 22.9, 1.5], atol=1e-9)
    np.testing.assert_allclose(clip[joint("lhipjoint")], [1.5, 15.9, 1.5], atol=1e-9)
    np.testing.assert_allclose(clip[joint("rtibia")], [-1.5 - 15.1 * 0.34202, 15.9 - 15.1 * 0.939693, 1.5], atol=1e-9)


def test_layout_of_cmu_is_recognised(tmp_path: Path) -> None:
    layout = LAYOUTS["cmu_31"]
    bones = "".join(
        f"begin\nid {i}\nname {name}\ndirection 0 1 0\nlength 1\naxis 0 0 0 XYZ\nend\n"
        for i, name in enumerate(layout.joint_names)
        if name != "root"
    )
    tree = "".join(
        f"{layout.joint_names[parent]} {name}\n"
        for name, parent in zip(layout.joint_names, layout.parents, strict=True)
        if parent >= 0
    )
    asf = f":units\nlength 0.45\n:root\norder TX TY TZ RX RY RZ\n:bonedata\n{bones}:hierarchy\nbegin\n{tree}end\n"
    file = raw(tmp_path, "1.amc", ":DEGREES\n1\nroot 0 0 0 0 0 0\n", raw(tmp_path, "1.asf", asf))
    assert layout_in(amc_asf, file) == layout
    clip = joints_in(amc_asf, file, layout)
    depth = clip[0, 0, layout.joint_names.index("head"), 1]
    assert depth == pytest.approx(6)  # lowerback upperback thorax lowerneck upperneck head


def test_radians_and_another_order_of_the_root(tmp_path: Path, file: RawFile) -> None:
    layout = layout_in(amc_asf, file)
    lines = []
    for line in AMC.replace(":DEGREES", ":RADIANS").splitlines():
        words = line.split()
        if words[0] in dict.fromkeys([bone[0] for bone in BONES]):
            line = " ".join([words[0], *(repr(float(np.radians(float(word)))) for word in words[1:])])
        elif words[0] == "root":
            turned = [repr(float(np.radians(float(word)))) for word in words[4:]]
            line = " ".join(["root", turned[0], *words[1:4], *turned[1:]])
        lines.append(line)
    asf = ASF.replace("order TX TY TZ RX RY RZ", "order RX TX TY TZ RY RZ")
    other = raw(tmp_path, "08_01.amc", "\n".join(lines), raw(tmp_path, "08.asf", asf))
    np.testing.assert_allclose(joints_in(amc_asf, other, layout), joints_in(amc_asf, file, layout), atol=1e-9)


def test_every_motion_finds_the_skeleton_of_its_subject(tmp_path: Path) -> None:
    for name in (
        "07/07.asf",
        "07/07_01.amc",
        "08/08.asf",
        "08/08_11.amc",
        "HDM_bd.asf",
        "HDM_tr.asf",
        "HDM_tr_x_1.amc",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    files = [RawFile(path) for path in sorted(tmp_path.rglob("*.a*"))]
    paired, left_out = amc_asf.select(files)
    assert {file.name: [other.name for other in file.companions] for file in paired} == {
        "07_01.amc": ["07.asf"],
        "08_11.amc": ["08.asf"],
        "HDM_tr_x_1.amc": ["HDM_tr.asf"],
    }
    assert not any(left_out.values())
    (tmp_path / "lost.amc").touch()
    paired, left_out = amc_asf.select([*files, RawFile(tmp_path / "lost.amc")])
    assert len(paired) == 3 and left_out == {"no .asf file belongs to it": ["lost.amc"]}
    alone = [RawFile(tmp_path / "07" / "07_01.amc"), RawFile(tmp_path / "HDM_tr.asf")]
    assert amc_asf.select(alone)[0][0].companions[0].name == "HDM_tr.asf"  # the only one there


BROKEN = {
    "no bones": (ASF.replace(":bonedata", ":bones"), AMC, "07.asf: has no section :bonedata"),
    "truncated skeleton": (ASF[: ASF.index(":hierarchy")], AMC, ":hierarchy"),
    "loose bone": (ASF.replace("    rfemur rtibia\n", ""), AMC, "'rtibia'"),
    "bone twice": (ASF.replace("name rtibia", "name rfemur"), AMC, "name of its own"),
    "cycle": (ASF.replace("rfemur rtibia\n", "rfemur rhipjoint\n"), AMC, "each once"),
    "unknown freedom": (ASF.replace("dof rx rz", "dof rx tz"), AMC, "dof and some of rx ry rz"),
    "no axis order": (ASF.replace("axis 0 0 -20  XYZ", "axis 0 0 -20"), AMC, "their order"),
    "turned root": (ASF.replace("orientation 0 0 0", "orientation 0 90 0"), AMC, "orientation 0 0 0"),
    "zero scale": (ASF.replace("length 0.45", "length 0"), AMC, "above zero"),
    "NaN length": (ASF.replace("length 7.9", "length nan"), AMC, "length and a number"),
    "frame cut": (ASF, AMC.replace("rtibia 45\n", ""), "frame 2 lacks 'rtibia'"),
    "other bone": (ASF, AMC.replace("rtibia 45", "rtoes 45"), "line 17: 'rtoes 45'"),
    "bone twice in a frame": (ASF, AMC.replace("rtibia 45", "rfemur 1 2 3"), "once a frame"),
    "too few angles": (ASF, AMC.replace("rfemur 90 0 0", "rfemur 90 0"), "3 numbers for rfemur"),
    "infinite": (ASF, AMC.replace("rtibia 45", "rtibia 1e999"), "line 17"),
    "no frames": (ASF, ":DEGREES\n", "no frames"),
    "empty": (ASF, "", "empty"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files_are_one_clear_sentence(tmp_path: Path, case: str) -> None:
    asf, amc, words = BROKEN[case]
    file = raw(tmp_path, "07_01.amc", amc, raw(tmp_path, "07.asf", asf))
    with refused(ReadError, words):
        joints_in(amc_asf, file, _layout(tmp_path))


def _layout(folder: Path) -> SkeletonLayout:
    good = raw(folder, "good_01.amc", AMC, raw(folder, "good.asf", ASF))
    return layout_in(amc_asf, good)


def test_a_motion_without_skeleton_or_with_that_of_another(tmp_path: Path, file: RawFile) -> None:
    with pytest.raises(ReadError, match=r"07_01\.amc: no \.asf file"):
        joints_in(amc_asf, RawFile(file.path), LAYOUTS["cmu_31"])
    with pytest.raises(ReadError, match=r"07_01\.amc: has no joint '\w+', which layout 'cmu_31' needs"):
        joints_in(amc_asf, file, LAYOUTS["cmu_31"])


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_files_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.getbasetemp()
    layout = _layout(folder)
    asf, amc = ASF.encode(), AMC.encode("latin-1")
    if data.draw(st.booleans()):
        asf = data.draw(damages(asf))
    else:
        amc = data.draw(damages(amc))
    file = raw(folder, "fuzz.amc", amc, raw(folder, "fuzz.asf", asf))
    reads_or_refuses(lambda: joints_in(amc_asf, file, layout), "fuzz.a")
    reads_or_refuses(lambda: layout_in(amc_asf, file), "fuzz.a")
