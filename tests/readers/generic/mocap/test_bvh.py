from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from conftest import refused
from hypothesis import given, settings, strategies as st
from own_files import BVH, damages, joints_in, layout_in, raw, reads_or_refuses
from scipy.spatial.transform import Rotation

from s2i_hf.processing.layouts import LAYOUTS
from s2i_hf.processing.skeleton_layout import SkeletonLayout
from s2i_hf.readers import RawFile, ReadError
from s2i_hf.readers.generic.mocap import bvh
from s2i_hf.readers.generic.raw_clip import in_layout

ARMS = SkeletonLayout("test_arms", ["right_arm", "hips", "left_hand"], [1, -1, 1], mirror_pairs=())


def turn(axis: str, degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array(
        {
            "X": [[1, 0, 0], [0, c, -s], [0, s, c]],
            "Y": [[c, 0, s], [0, 1, 0], [-s, 0, c]],
            "Z": [[c, -s, 0], [s, c, 0], [0, 0, 1]],
        }[axis]
    )


@pytest.fixture
def file(tmp_path: Path) -> RawFile:
    return raw(tmp_path, "walk.bvh", BVH)


def test_layout_is_that_of_the_file(file: RawFile, tmp_path: Path) -> None:
    layout = layout_in(bvh, file)
    assert layout.joint_names == ("Hips", "LeftArm", "LeftHand", "RightArm", "RightHand")  # End Sites are no joints
    assert layout.parents == (-1, 0, 1, 0, 3)
    assert layout.parts["left_arm"] == ("LeftArm", "LeftHand") and layout.parts["torso"] == ("Hips",)
    assert layout_in(bvh, raw(tmp_path, "run.bvh", BVH.replace("0.9", "0.8"))).name == layout.name
    assert layout_in(bvh, raw(tmp_path, "other.bvh", BVH.replace("Hand", "Wrist"))).name != layout.name


def test_hand_computed_frames(file: RawFile) -> None:
    clip = joints_in(bvh, file, layout_in(bvh, file))
    assert clip.shape == (3, 1, 5, 3)
    np.testing.assert_allclose(
        clip[0, 0], [[0, 0.9, 0], [0.2, 1.4, 0], [0.5, 1.4, 0], [-0.2, 1.4, 0], [-0.5, 1.4, 0]], atol=1e-12
    )
    # hips turned a quarter about y: x points to -z; the left arm a quarter about its z: x points up
    np.testing.assert_allclose(
        clip[1, 0], [[0.1, 0.9, 0], [0.1, 1.4, -0.2], [0.1, 1.7, -0.2], [0.1, 1.4, 0.2], [0.1, 1.4, 0.5]], atol=1e-12
    )


def test_rotations_follow_the_order_of_the_channels(file: RawFile) -> None:
    clip = joints_in(bvh, file, layout_in(bvh, file))[2, 0]
    hips = turn("Z", 10) @ turn("X", 20) @ turn("Y", 30)
    arm = hips @ turn("Z", 40) @ turn("X", 50) @ turn("Y", 60)
    root = np.array([0.2, 0.9, -0.15])
    np.testing.assert_allclose(clip[1], root + hips @ [0.2, 0.5, 0], atol=1e-12)
    np.testing.assert_allclose(clip[2], root + hips @ [0.2, 0.5, 0] + arm @ [0.3, 0, 0], atol=1e-12)


def test_joints_are_picked_by_name(file: RawFile, tmp_path: Path) -> None:
    whole = joints_in(bvh, file, layout_in(bvh, file))
    np.testing.assert_array_equal(joints_in(bvh, file, ARMS), whole[:, :, [3, 0, 2]])
    prefixed = raw(tmp_path, "mixamo.bvh", BVH.replace("JOINT ", "JOINT mixamorig:"))
    np.testing.assert_array_equal(joints_in(bvh, prefixed, ARMS), whole[:, :, [3, 0, 2]])
    with pytest.raises(ReadError, match=r"no joint 'HipCenter', which layout 'kinect_v1' needs"):
        joints_in(bvh, file, LAYOUTS["kinect_v1"])


def test_a_position_channel_takes_the_place_of_the_offset(tmp_path: Path) -> None:
    text = BVH.replace("CHANNELS 3 Zrotation Xrotation Yrotation\n    JOINT L", "CHANNELS 1 Yposition\n    JOINT L")
    text = text.replace("90 0 0  0 0 0", "0.7  0 0 0").replace(
        "0 0 0  0 0 0  0 0 0  0 0 0  0 0 0\n", "0 0 0  0.7  0 0 0  0 0 0  0 0 0\n"
    )
    text = text.replace("40 50 60  70", "0.7  70")
    file = raw(tmp_path, "moving.bvh", text)
    np.testing.assert_allclose(joints_in(bvh, file, layout_in(bvh, file))[0, 0, 1], [0.2, 0.9 + 0.7, 0], atol=1e-12)


def test_windows_line_ends_and_braces_on_the_line_of_the_name(tmp_path: Path, file: RawFile) -> None:
    text = BVH.replace("Hips\n{", "Hips {").replace("\n", "\r\n")
    other = raw(tmp_path, "windows.bvh", text)
    layout = layout_in(bvh, file)
    np.testing.assert_array_equal(joints_in(bvh, other, layout), joints_in(bvh, file, layout))


def test_comments_tabs_blank_lines_and_names_with_blanks(tmp_path: Path, file: RawFile) -> None:
    text = BVH.replace("OFFSET", "OFFSET\t").replace("MOTION", "\n# by hand\n\nMOTION").replace("LeftHand", "Left Hand")
    other = raw(tmp_path, "spaced.bvh", "// made by an exporter\r" + text.replace("\n", "\r"))
    assert "Left Hand" in layout_in(bvh, other).joint_names
    np.testing.assert_array_equal(bvh.read(other).joints, bvh.read(file).joints)


@pytest.mark.parametrize(
    "line", ["Frame Time:\t.0333333", "Frame Time 0.0333333", "FrameTime:3.33333e-2", "FRAME TIME : 0.0333333"]
)
def test_frame_time_in_other_forms(tmp_path: Path, line: str) -> None:
    clip = bvh.read(
        raw(tmp_path, "walk.bvh", BVH.replace("Frame Time: 0.0333333", line).replace("Frames: 3", "Frames:3"))
    )
    assert clip.fps == pytest.approx(30, rel=1e-5)


def test_names_in_utf8_and_in_latin1(tmp_path: Path) -> None:
    for coding in ("utf-8", "latin-1"):
        clip = bvh.read(raw(tmp_path, "walk.bvh", BVH.replace("Hips", "Hüfte").encode(coding)))
        assert clip.names[0] == "Hüfte"


def test_two_roots_with_the_same_joints_are_people(tmp_path: Path, file: RawFile) -> None:
    tree, _, motion = BVH.removeprefix("HIERARCHY\n").partition("MOTION\n")
    lines = motion.splitlines()
    twice = [*lines[:2], *(f"{line} {other}" for line, other in zip(lines[2:], lines[:1:-1], strict=True))]
    trees = [re.sub(r"(ROOT|JOINT) ", rf"\1 {who}:", tree) for who in ("anna", "ben")]
    clip = bvh.read(raw(tmp_path, "two.bvh", "HIERARCHY\n" + "".join(trees) + "MOTION\n" + "\n".join(twice)))
    one = bvh.read(file).joints
    assert clip.joints.shape == (3, 2, 5, 3) and clip.names[1] == "LeftArm" and clip.parents == (-1, 0, 1, 0, 3)
    np.testing.assert_array_equal(clip.joints, np.concatenate([one, one[::-1]], axis=1))
    other = trees[1].replace("RightHand", "RightClaw")
    with refused(ReadError, "two.bvh", "ROOT 'Hips' has other joints"):
        bvh.read(raw(tmp_path, "two.bvh", "HIERARCHY\n" + trees[0] + other + "MOTION\n" + "\n".join(twice)))


def test_up_z_turns_the_body_upright(tmp_path: Path, file: RawFile) -> None:
    clip = bvh.read(file)
    x, y, z = np.moveaxis(clip.joints, -1, 0)
    lying = bvh.read(file)
    lying.joints = np.stack([x, -z, y], axis=-1)  # the same body, written with z up
    np.testing.assert_allclose(in_layout(lying, ARMS, "a", up="z"), in_layout(clip, ARMS, "a"), atol=1e-6)


# child < parent, offset: exporters' names, with a body 1.7 m tall in centimetres
DAZ = "hip abdomen<hip,0,12,0 chest<abdomen,0,20,0 neck<chest,0,22,0 head<neck,0,12,2"
LIMBS = {
    "{}Collar<chest,6,18,0 {}Shldr<{}Collar,12,0,0 {}ForeArm<{}Shldr,28,0,0 {}Hand<{}ForeArm,25,0,0": "arm",
    "{}Buttock<hip,5,-2,0 {}Thigh<{}Buttock,4,-3,0 {}Shin<{}Thigh,0,-42,0 {}Foot<{}Shin,0,-42,0": "leg",
}


def test_a_body_of_daz_agrees_with_scipy(tmp_path: Path) -> None:
    pairs = DAZ.split() + [pair.replace("{}", side) for side in "lr" for limb in LIMBS for pair in limb.split()]
    names = [pair.partition("<")[0] for pair in pairs]
    told = [pair.partition("<")[2].split(",") for pair in pairs]
    parents = [names.index(words[0]) if words[0] else -1 for words in told]
    offsets = np.array([[float(word) for word in words[1:]] or [0, 0, 0] for words in told])
    offsets[[name.startswith("r") for name in names], 0] *= -1

    order: list[int] = []

    def written(joint: int) -> str:
        order.append(joint)
        channels = "6 Xposition Yposition Zposition " if parents[joint] < 0 else "3 "
        inner = "".join(written(child) for child, parent in enumerate(parents) if parent == joint)
        offset = " ".join(f"{value:g}" for value in offsets[joint])
        return (
            f"{'ROOT' if parents[joint] < 0 else 'JOINT'} {names[joint]}\n{{\n\tOFFSET {offset}\n"
            f"\tCHANNELS {channels}Zrotation Yrotation Xrotation\n{inner or 'End Site { OFFSET 0 0 0 }'}}}\n"
        ).replace("End Site { OFFSET 0 0 0 }", "End Site\n{\nOFFSET 0 0 0\n}\n")

    tree = written(0)
    angles = np.random.default_rng(4).uniform(-60, 60, (4, len(names), 3))
    root = np.array([[0, 95, frame] for frame in range(4)])
    rows = [
        "\t".join([*map(str, root[t]), *(f"{a:.6f}" for joint in order for a in angles[t, joint])]) for t in range(4)
    ]
    file = raw(
        tmp_path, "a.bvh", f"HIERARCHY\n{tree}MOTION\nFrames: 4\nFrame Time: 0.033333\n" + "\n".join(rows) + "\n"
    )
    clip = bvh.read(file)
    layout = layout_in(bvh, file)
    assert layout.parts["torso"] == ("head", "neck", "chest", "abdomen", "hip")
    assert layout.parts["left_leg"] == ("lButtock", "lThigh", "lShin", "lFoot")
    assert layout.parts["right_arm"] == ("rCollar", "rShldr", "rForeArm", "rHand")
    joints = in_layout(clip, layout, file.name, unit="cm")[:, 0]
    for t in range(4):
        placed: dict[int, np.ndarray] = {}
        turned: dict[int, Rotation] = {}
        for joint in order:
            local = Rotation.from_euler("ZYX", angles[t, joint], degrees=True)
            up = parents[joint]
            turned[joint] = local if up < 0 else turned[up] * local
            placed[joint] = root[t] if up < 0 else placed[up] + turned[up].apply(offsets[joint])
            np.testing.assert_allclose(
                joints[t, layout.joint_names.index(names[joint])], placed[joint] / 100, atol=1e-5
            )


BROKEN = {
    "another format": (BVH.replace("HIERARCHY", "HIERARCHIE"), "line 1"),
    "two roots": (BVH.replace("JOINT RightArm", "ROOT RightArm"), "line 20"),
    "offset of two": (BVH.replace("OFFSET 0.2 0.5 0.0", "OFFSET 0.2 0.5"), "line 8"),
    "NaN offset": (BVH.replace("OFFSET 0.2 0.5 0.0", "OFFSET 0.2 nan 0.0"), "line 8"),
    "channel of no kind": (BVH.replace("Zrotation Xrotation Yrotation\n  JOINT", "Zrotation Wrotation Yrotation\n  JOINT"), "line 5"),
    "count of channels": (BVH.replace("CHANNELS 6", "CHANNELS 5"), "line 5"),
    "channels twice": (BVH.replace("OFFSET -0.2", "CHANNELS 1 Zrotation\n OFFSET -0.2"), "line 24"),
    "no braces": (BVH.replace("}", ""), "line 2"),
    "frames": (BVH.replace("Frames: 3", "Frames: 4"), "found 3"),
    "fewer frames": (BVH.replace("Frames: 3", "Frames: 2"), "line 36"),
    "decimal comma": (BVH.replace("0.1 0.9 0", "0,1 0,9 0"), "line 35: '0,1'; expected a decimal point"),
    "frame rate": (BVH.replace("Frame Time: 0.0333333", "Frame Rate: 30"), "Frame Time: and the seconds"),
    "comma in the time": (BVH.replace("0.0333333", "0,0333333"), "decimal point"),
    "joint outside": (BVH.replace("MOTION", "JOINT Tail\n{\nOFFSET 0 0 0\n}\nMOTION"), "a ROOT, and every JOINT inside one"),
    "no frame": (BVH.replace("Frames: 3", "Frames: 0"), "line 32"),
    "huge count": (BVH.replace("Frames: 3", "Frames: 999999999"), "found 3"),
    "short frame": (BVH.replace("10 20 30\n0.2", "10 20\n0.2"), "line 35: frame 2 has 17 numbers; expected 18"),
    "infinite": (BVH.replace("-1.5e-1", "1e999"), "line 36"),
    "word": (BVH.replace("-1.5e-1", "one"), "line 36"),
    "empty": ("\n", "empty"),
    "UTF-16": (BVH.encode("utf-16"), "UTF-16"),
    "deep": ("HIERARCHY\n" + "ROOT a {\n" + "JOINT b {\n" * 5000, "at most 1000 joints"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files_are_one_clear_sentence(tmp_path: Path, case: str) -> None:
    content, words = BROKEN[case]
    with refused(ReadError, "walk.bvh", words):
        joints_in(bvh, raw(tmp_path, "walk.bvh", content), ARMS)


def test_names_that_say_nothing_ask_for_a_layout(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"walk\.bvh: .*'Bone7'.*pass layout="):
        layout_in(bvh, raw(tmp_path, "walk.bvh", BVH.replace("RightArm", "Bone7").replace("Hand", "7")))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_files_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    file = raw(tmp_path_factory.getbasetemp(), "fuzz.bvh", data.draw(damages(BVH.encode())))
    reads_or_refuses(lambda: joints_in(bvh, file, ARMS), "fuzz.bvh")
    reads_or_refuses(lambda: layout_in(bvh, file), "fuzz.bvh")
