"""UI-PRMD by Kinect and by Vicon, against hand-made poses and against each other: the same movements were recorded by both."""

from __future__ import annotations

import gzip
import zipfile
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from conftest import refused
from hypothesis import HealthCheck, given, settings, strategies as st

from s2i_hf.processing.layouts import LAYOUTS
from s2i_hf.readers import RawFile, ReadError
from s2i_hf.readers.benchmarks import recording_name
from s2i_hf.readers.benchmarks.ui_prmd import forward_kinematics, ui_prmd_kinect, ui_prmd_vicon
from s2i_hf.readers.discovery import find_recordings, read_file

KINECT, VICON = LAYOUTS["ui_prmd_22"], LAYOUTS["vicon_39"]
NAME = "m04_s07_e10_positions.txt"


def text(values: np.ndarray) -> str:
    return "\n".join(",".join(f"{value:.6f}" for value in row) for row in values.reshape(len(values), -1)) + "\n"


def write(folder: Path, content: str | np.ndarray, name: str = NAME) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    data = (content if isinstance(content, str) else text(content)).encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def pair(
    root: Path, offsets: str | np.ndarray, angles: str | np.ndarray, name: str = NAME, sensor: str = "Kinect"
) -> Path:
    write(root / sensor / "Angles", angles, name.replace("_positions", "_angles"))
    return write(root / sensor / "Positions", offsets, name)


def offsets(frames: int = 3) -> np.ndarray:
    """(T, 22, 3) centimetres: the waist 2.4 m away, bones of 10 to 30 cm."""
    values = np.random.default_rng(0).uniform(10, 30, (frames, 22, 3)).round(3)
    values[:, 0] = (-4, 82, -240)
    return values


def turn(axis: str, degrees: float) -> np.ndarray:
    """Rotation about one axis, by the right hand."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return {
        "x": np.array([[1, 0, 0], [0, c, -s], [0, s, c]]),
        "y": np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]),
        "z": np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]),
    }[axis]


def slow_kinematics(offset: np.ndarray, angle: np.ndarray, order: str = "zxy") -> np.ndarray:
    """(22, 3) positions of one frame, joint by joint up its own chain."""

    def rotation(joint: int) -> np.ndarray:
        local = np.eye(3)
        for axis in order:
            local = local @ turn(axis, angle[joint]["xyz".index(axis)])
        parent = KINECT.parents[joint]
        return local if parent < 0 else rotation(parent) @ local

    def position(joint: int) -> np.ndarray:
        parent = KINECT.parents[joint]
        return offset[joint] if parent < 0 else position(parent) + rotation(parent) @ offset[joint]

    return np.array([position(joint) for joint in range(22)])


def test_forward_kinematics_by_hand() -> None:
    """A body of unit bones straight up that bends at the waist by 90 degrees about x, and turns its chest about y."""
    offset, angle = np.zeros((1, 22, 3)), np.zeros((1, 22, 3))
    offset[0, :, 1] = 1  # every joint 1 above the one before
    angle[0, 0, 0] = 90  # the waist: up becomes forward, +z
    angle[0, 2, 2] = 90  # the chest: its own up becomes its left, -x
    joints = forward_kinematics(offset, angle)[0]
    expected = {"Waist": (0, 1, 0), "Spine": (0, 1, 1), "Chest": (0, 1, 2), "Neck": (-1, 1, 2), "Head": (-2, 1, 2)}
    for name, place in expected.items():
        np.testing.assert_allclose(joints[KINECT.joint_names.index(name)], place, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000))
def test_forward_kinematics_is_that_of_single_joints(seed: int) -> None:
    rng = np.random.default_rng(seed)
    offset, angle = rng.normal(0, 30, (3, 22, 3)), rng.uniform(-360, 360, (3, 22, 3))
    joints = forward_kinematics(offset, angle)
    for t in range(3):
        np.testing.assert_allclose(joints[t], slow_kinematics(offset[t], angle[t]), atol=1e-9)


@pytest.mark.parametrize("name", [NAME, NAME + ".gz"])
def test_reads_kinect_positions_with_their_angles(tmp_path: Path, name: str) -> None:
    angles = np.random.default_rng(1).uniform(-90, 90, (3, 22, 3)).round(3)
    sequence = ui_prmd_kinect.read(pair(tmp_path, offsets(), angles, name))
    expected = [slow_kinematics(o, a) * (-0.01, 0.01, -0.01) for o, a in zip(offsets(), angles, strict=True)]
    np.testing.assert_allclose(sequence.joints[:, 0], expected, rtol=0, atol=1e-5)
    assert (sequence.sample_id, sequence.label, sequence.subject) == ("m04_s07_e10", 3, 7)
    assert sequence.layout.name == "ui_prmd_22"
    recordings = find_recordings("ui_prmd_kinect_xsub", tmp_path)  # the angles as companion
    (file,) = recordings.files["train"]
    assert [companion.name for companion in file.companions] == [name.replace("_positions", "_angles")]
    np.testing.assert_array_equal(ui_prmd_kinect.read(file).joints, sequence.joints)
    assert recordings.left_out == {}


def test_reads_vicon_markers(tmp_path: Path) -> None:
    markers = np.random.default_rng(0).uniform(1, 1800, (4, 39, 3)).round(3)
    markers[2, 5] = 0
    sequence = ui_prmd_vicon.read(write(tmp_path, markers))
    assert sequence.joints.shape == (4, 1, 39, 3) and np.isnan(sequence.joints[2, 0, 5]).all()
    assert np.isnan(sequence.joints).sum() == 3
    ahead, left, up = markers[1, 7]
    np.testing.assert_allclose(sequence.joints[1, 0, 7], [-left / 1000, up / 1000, -ahead / 1000], rtol=1e-6)
    assert (sequence.sample_id, sequence.label, sequence.subject) == ("m04_s07_e10", 3, 7)


def test_one_folder_holds_both_sensors(tmp_path: Path) -> None:
    zeros, markers = np.zeros((3, 22, 3)), np.full((3, 39, 3), 9.0)
    folder = tmp_path / "Segmented Movements"
    pair(folder, offsets(), zeros)
    pair(folder, markers, markers, sensor="Vicon")
    wrong = tmp_path / "Incorrect Segmented Movements"
    pair(wrong, offsets(), zeros, "m04_s07_e10_positions_inc.txt")
    pair(wrong, offsets(), zeros)  # named like a correct one, in the folder of the others
    write(folder / "Kinect" / "Angles", zeros, "m05_s07_e10_angles.txt")
    kinect, vicon = (find_recordings(f"ui_prmd_{sensor}_xsub", tmp_path) for sensor in ("kinect", "vicon"))
    assert [file.folders[-2:] for file in kinect.all_files] == [("Kinect", "Positions")]
    assert [file.folders[-2:] for file in vicon.all_files] == [("Vicon", "Positions")]
    incorrect = [
        "m04_s07_e10_angles.txt",
        "m04_s07_e10_angles_inc.txt",
        "m04_s07_e10_positions.txt",
        "m04_s07_e10_positions_inc.txt",
    ]
    assert kinect.left_out == {
        "incorrect executions of the exercises": incorrect,
        "of the other sensor": ["m04_s07_e10_angles.txt", NAME],
        "angles without positions": ["m05_s07_e10_angles.txt"],
    }
    assert vicon.left_out["angles, which Vicon positions do not need"] == ["m04_s07_e10_angles.txt"]


def test_from_a_zip(tmp_path: Path) -> None:
    path = pair(tmp_path / "x", offsets(), np.zeros((3, 22, 3)))
    with zipfile.ZipFile(tmp_path / "Movements.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in (path, path.parent.parent / "Angles" / NAME.replace("_positions", "_angles")):
            archive.write(file, str(file.relative_to(tmp_path / "x")))
    (file,) = find_recordings("ui_prmd_kinect_xsub", tmp_path / "Movements.zip").all_files
    expected = ui_prmd_kinect.read(path).joints
    np.testing.assert_array_equal(ui_prmd_kinect.read(file).joints, expected)
    alone = RawFile(file.path, file.member)  # without companion
    np.testing.assert_array_equal(ui_prmd_kinect.read(alone).joints, expected)


def broken() -> dict[str, tuple[str | np.ndarray, str | np.ndarray | None, list[str]]]:
    zeros = np.zeros((3, 22, 3))
    good = text(offsets())
    return {
        "no angles": (offsets(), None, [NAME, "m04_s07_e10_angles.txt", "Angles"]),
        "fewer angles": (offsets(), zeros[:2], [NAME, "3 frames", "2 in m04_s07_e10_angles.txt"]),
        "angles are empty": (offsets(), "\n", ["m04_s07_e10_angles.txt", "empty"]),
        "a word": (good.replace(",82.", ",x.", 1), zeros, [NAME, "line 1", "'x.000000'"]),
        "angle NaN": (
            offsets(),
            text(zeros).replace("0.000000", "nan", 1),
            ["_angles.txt", "line 1", "number 1 is nan"],
        ),
        "markers": (np.full((3, 39, 3), 9.0), zeros, [NAME, "117 numbers", "66"]),
        "blanks for commas": (good.replace(",", " "), zeros, [NAME, "1 numbers", "with commas"]),
        "truncated": (good[:-100], zeros, [NAME, "line 3"]),
        "millimetres": (offsets() * 1000, zeros, [NAME, "metres"]),
    }


@pytest.mark.parametrize("case", broken())
def test_broken_kinect_files_are_one_clear_sentence(tmp_path: Path, case: str) -> None:
    positions, angles, words = broken()[case]
    path = write(tmp_path / "Positions", positions) if angles is None else pair(tmp_path, positions, angles)
    with refused(ReadError, *words):
        ui_prmd_kinect.read(path)


@pytest.mark.parametrize(
    ("markers", "words"),
    [
        (offsets(), ["66 numbers", "117", "39 markers"]),
        (np.zeros((3, 39, 3)), ["nobody is seen", "3 frames"]),
        (np.random.default_rng(0).uniform(0, 1.8, (3, 39, 3)), ["expected millimetres"]),
        (np.random.default_rng(0).uniform(0, 1.8e6, (3, 39, 3)), ["cannot be metres"]),
    ],
)
def test_broken_vicon_files_are_one_clear_sentence(tmp_path: Path, markers: np.ndarray, words: list[str]) -> None:
    with refused(ReadError, NAME, *words):
        ui_prmd_vicon.read(write(tmp_path, markers))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.booleans(), st.booleans(), st.integers(0, 4_000),
    st.lists(st.tuples(st.integers(0, 2_000), st.sampled_from(["nan", "1e308", ",", "\n", "\0", "-", "_", "é"])), max_size=3),
)  # fmt: skip
def test_damaged_files_give_joints_or_an_error(
    tmp_path: Path, vicon: bool, damage_angles: bool, end: int, changes: list[tuple[int, str]]
) -> None:
    damaged = text(np.full((3, 39, 3), 900.0) if vicon else offsets())
    for place, token in changes:
        damaged = damaged[:place] + token + damaged[place + 1 :]
    damaged = damaged[:end]
    try:
        if vicon:
            sequence = ui_prmd_vicon.read(write(tmp_path, damaged))
        elif damage_angles:
            sequence = ui_prmd_kinect.read(pair(tmp_path, offsets(), damaged))
        else:
            sequence = ui_prmd_kinect.read(pair(tmp_path, damaged, np.zeros((3, 22, 3))))
    except ReadError as error:
        assert "m04_s07_e10" in str(error) and "\n" not in str(error)
    else:
        assert np.isfinite(sequence.joints).all()


def test_all_real_vicon_recordings(real_data: Path) -> None:
    recordings = find_recordings("ui_prmd_vicon_xsub", real_data / "UI-PRMD")
    assert len(recordings.all_files) == 297  # three repetitions, without those of m03_s03
    total, lost, toes, shoulders = 0, 0, [], []
    for file in recordings.all_files:
        (clip,) = read_file(file, recordings.protocol)
        assert not isinstance(clip, ReadError)
        joints = clip.sequence.joints[:, 0]
        total += len(joints)
        lost += int(np.isnan(joints[..., 0]).sum())
        assert np.nanmedian(joints[:, 0, 1]) > np.nanmedian(joints[:, 30, 1]) + 0.7  # head above ankle
        shoulders.append(np.median(joints[:, 16, 0] - joints[:, 9, 0]))
        toes.append(np.median(joints[:, 38, 2] - joints[:, 37, 2]))
    assert (total, lost) == (71_331, 2_985)
    assert np.percentile(shoulders, 10) > 0.1  # the right one on the side of +x, but for who turned aside
    assert np.percentile(toes, 90) < -0.1  # toes before heels, towards the camera; not under the knee of a lunge


def test_all_real_kinect_recordings(real_data: Path) -> None:
    """All 1,000; ankles that stand on the floor, with a head above."""
    recordings = find_recordings("ui_prmd_kinect_xsub", real_data / "UI-PRMD")
    assert [len(recordings.files[split]) for split in ("train", "test")] == [500, 500]
    ids = {
        split: [recording_name("ui_prmd_kinect", file) for file in files] for split, files in recordings.files.items()
    }
    assert all(
        recordings.missing(split, ids[split]) == [] and sorted(ids[split]) == recordings.protocol.expected_ids(split)
        for split in ids
    )
    total = 0
    for file in recordings.all_files:
        (clip,) = read_file(file, recordings.protocol)
        assert not isinstance(clip, ReadError)
        joints = clip.sequence.joints[:, 0]
        total += len(joints)
        ankle = np.median(joints[:, [16, 20], 1].min(axis=1))
        assert 0.02 < ankle < 0.25 and np.median(joints[:, 4, 1]) > 0.8
        assert np.median(joints[:, 18, 0] - joints[:, 14, 0]) > 0.05  # the right hip on the side of +x
        assert 1.5 < np.median(joints[..., 2]) < 3.5
    assert total == 74_625


def test_the_order_of_the_angles_is_the_one_that_agrees_with_vicon(real_data: Path) -> None:
    """Of all orders, z x y brings the Kinect's joints closest to the markers of the same movement, rigidly aligned."""
    folder = real_data / "UI-PRMD" / "Segmented Movements"
    markers = {
        7: 9,
        8: 11,
        9: 13,
        11: 16,
        12: 18,
        13: 20,
        15: 28,
        16: 30,
        19: 34,
        20: 36,
    }  # shoulder, elbow, wrist, knee, ankle
    distances: dict[str, list[float]] = {"".join(order): [] for order in permutations("xyz")}
    for exercise in (1, 2, 4, 5, 7, 8):
        for subject in (2, 6):
            name = f"m{exercise:02}_s{subject:02}_e02"
            kinect = [
                np.loadtxt(folder / "Kinect" / kind / f"{name}_{kind.lower()}.txt.gz", delimiter=",").reshape(-1, 22, 3)
                for kind in ("Positions", "Angles")
            ]
            vicon = ui_prmd_vicon.read(folder / "Vicon" / "Positions" / f"{name}_positions.txt.gz").joints[:, 0]
            for share in (0.0, 0.25, 0.5, 0.75):
                k, v = (int(share * len(clip)) for clip in (kinect[0], vicon))
                target = vicon[v, list(markers.values())].astype(np.float64)
                if np.isnan(target).any():
                    continue
                for order, found in distances.items():
                    joints = slow_kinematics(kinect[0][k], kinect[1][k], order)[list(markers)] * (-0.01, 0.01, -0.01)
                    found.append(_distance_after_alignment(joints, target))
    means = {order: float(np.mean(found)) for order, found in distances.items()}
    assert means["zxy"] < 0.09 and all(mean > 1.3 * means["zxy"] for order, mean in means.items() if order != "zxy")


def _distance_after_alignment(joints: np.ndarray, target: np.ndarray) -> float:
    """Mean distance of (N, 3) points in metres after the best rotation and shift (Kabsch, 1976)."""
    a, b = joints - joints.mean(axis=0), target - target.mean(axis=0)
    u, _, vt = np.linalg.svd(a.T @ b)
    rotation = u @ np.diag([1, 1, np.sign(np.linalg.det(u @ vt))]) @ vt
    return float(np.linalg.norm(a @ rotation - b, axis=1).mean())
