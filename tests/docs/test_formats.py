"""docs/how_to/convert.md: every row of its table of tools - what the tool exports is converted by the command that the row gives."""

from __future__ import annotations

import json
import pickle
import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from bodies import walker
from command_line import run
from mocap_files import c3d_file, motive_text, mvnx_file, mvnx_text, trc_text, vicon_text
from own_files import AMC, ASF
from pose_files import SAMPLES

from s2i_hf.data.loading import as_rows, load_skeletons
from s2i_hf.processing.layouts import LAYOUTS
from s2i_hf.processing.skeleton_layout import SkeletonLayout

PAGE = (Path(__file__).parents[2] / "docs" / "how_to" / "convert.md").read_text(encoding="utf-8")
TABLE = PAGE[PAGE.index("| made with |") :].partition("\n\n")[0].splitlines()[2:]
ROWS = {cells[0].strip(): cells[1:] for line in TABLE if (cells := re.split(r"(?<!\\)\|", line.strip("|")))}
KINECT = walker("kinect_v2", frames=20)  # (T, 1, V, 3), metres
LANDMARKS = np.random.default_rng(0).normal(0, 0.12, (33, 3)) - 0.01 * np.arange(20)[:, None, None, None]
MIXAMO = [
    "Hips", "Spine", "Spine1", "Neck", "Head", "LeftShoulder", "LeftArm", "LeftForeArm", "LeftHand", "RightShoulder",
    "RightArm", "RightForeArm", "RightHand", "LeftUpLeg", "LeftLeg", "LeftFoot", "RightUpLeg", "RightLeg",
    "RightFoot",
]  # fmt: skip
SMPL = [
    "Hips", "LeftUpLeg", "RightUpLeg", "Spine", "LeftLeg", "RightLeg", "Spine", "LeftFoot", "RightFoot", "Spine1",
    "LeftFoot", "RightFoot", "Neck", "LeftShoulder", "RightShoulder", "Head", "LeftArm", "RightArm", "LeftForeArm",
    "RightForeArm", "LeftHand", "RightHand",
]  # fmt: skip
PARENTS = (-1, 0, 1, 2, 3, 2, 5, 6, 7, 2, 9, 10, 11, 0, 13, 14, 0, 16, 17)
_LIMB = [(0.05, 0.15, 0), (0.15, 0, 0), (0.28, 0, 0), (0.25, 0, 0)]
ABOVE = ["Root" if parent < 0 else MIXAMO[parent] for parent in PARENTS]
BONES = np.array(
    [(0, 0.95, 0), (0, 0.15, 0), (0, 0.2, 0), (0, 0.2, 0), (0, 0.12, 0), *_LIMB, *((-x, y, z) for x, y, z in _LIMB),
     (0.1, -0.05, 0), (0, -0.42, 0), (0, -0.42, 0.02), (-0.1, -0.05, 0), (0, -0.42, 0), (0, -0.42, 0.02)]
)  # fmt: skip


def rig() -> np.ndarray:
    """(T, V, 3): somebody with Mixamo's joints, who moves along, in metres with y up."""
    placed = np.zeros((20, len(MIXAMO), 3))
    for joint, parent in enumerate(PARENTS):
        placed[:, joint] = BONES[joint] + (placed[:, parent] if parent >= 0 else 0)
    return placed + np.arange(20)[:, None, None] * 0.01


def bvh(scale: float) -> str:
    """A BVH in which every joint has channels of position."""
    places = rig() / scale
    local = places.copy()
    for joint, parent in enumerate(PARENTS):
        local[:, joint] -= places[:, parent] if parent >= 0 else 0

    def block(joint: int) -> list[str]:
        below = [line for child, parent in enumerate(PARENTS) if parent == joint for line in block(child)]
        below = below or ["End Site", "{", "OFFSET 0 0 0", "}"]
        head = f"{'ROOT' if joint == 0 else 'JOINT'} {MIXAMO[joint]}"
        return [head, "{", "OFFSET 0 0 0", "CHANNELS 3 Xposition Yposition Zposition", *below, "}"]

    rows = [" ".join(f"{value:.6f}" for value in row.ravel()) for row in local]
    return "\n".join(["HIERARCHY", *block(0), "MOTION", "Frames: 20", "Frame Time: 0.0333333", *rows, ""])


def table(names: Sequence[str], joints: np.ndarray, joined: str = "{}_{}") -> pd.DataFrame:
    columns = [joined.format(name, axis) for name in names for axis in "xyz"]
    return pd.DataFrame(joints.reshape(len(joints), -1), columns=columns)


def smpl() -> np.ndarray:
    """(T, 22, 3): `rig` in the joints of SMPL."""
    return rig()[:, [MIXAMO.index(name) for name in SMPL]] + np.arange(22)[:, None] * 1e-3  # no two joints in one place


def sample(name: str) -> Callable[[Path], str]:
    def write(folder: Path) -> str:
        SAMPLES[name].write(folder)
        return SAMPLES[name].layout

    return write


def text(name: str, content: str | bytes, layout: str = "") -> Callable[[Path], str]:
    def write(folder: Path) -> str:
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return layout

    return write


def npy(folder: Path, joints: np.ndarray, name: str = "clip.npy") -> None:
    np.save(folder / name, joints)


def named_npz(folder: Path) -> str:
    names, fps = np.array(LAYOUTS["kinect_v2"].joint_names), 30.0
    np.savez(folder / "clip.npz", joints=KINECT, names=names, visibility=np.ones(KINECT.shape[:3]), fps=fps)
    return "kinect_v2"


def pandas_csv(folder: Path) -> str:
    names = LAYOUTS["kinect_v2"].joint_names
    rows = table(names, KINECT).assign(frame=range(20), person_id=3).sample(frac=1, random_state=0)
    rows.to_csv(folder / "clip.csv")
    return "kinect_v2"


def recorder_csv(folder: Path) -> str:
    rows = np.concatenate([KINECT[:, 0], np.full((20, 25, 1), 2)], axis=-1)
    np.savetxt(folder / "clip.csv", rows.reshape(20, 100), delimiter=",")
    return "kinect_v2"


def sdk_csv(folder: Path) -> str:
    spelt = [
        re.sub("([LR])$", lambda side: {"L": "Left", "R": "Right"}[side[0]], name)
        for name in LAYOUTS["kinect_v2"].joint_names
    ]
    rows = table(spelt, KINECT, "{}.Position.{}")
    for name in spelt:
        rows[f"{name}_TrackingState"] = "Tracked"
    rows[sorted(rows)].to_csv(folder / "clip.csv", index=False)
    return "kinect_v2"


def video_npz(folder: Path) -> str:
    joints = LANDMARKS * (1, -1, -1)
    facts = {
        "visibility": np.ones(joints.shape[:3]),
        "ids": np.zeros(1, np.int64),
        "fps": 25.0,
        "layout": "mediapipe_33",
        "axes": "TMVC",
    }
    np.savez(folder / "clip.npz", joints=joints, **facts)
    return "mediapipe_33"


def mediapipe_csv(folder: Path) -> str:
    joints = LANDMARKS[:, 0] * (1, -1, -1)
    header = [f"{axis}{joint}" for axis in "xyz" for joint in range(33)]
    pd.DataFrame(joints.transpose(0, 2, 1).reshape(20, 99), columns=header).to_csv(folder / "clip.csv", index=False)
    return "mediapipe_33"


def st_gcn(folder: Path) -> str:
    data = np.stack([np.concatenate([KINECT, np.zeros_like(KINECT)], axis=1)] * 3).transpose(0, 4, 1, 3, 2)
    np.save(folder / "train_data.npy", data.astype(np.float32))
    (folder / "train_label.pkl").write_bytes(pickle.dumps((["a", "b", "c"], [0, 1, 1])))
    return "kinect_v2"


def ctr_gcn(folder: Path) -> str:
    x = np.zeros((2, 20, 150), np.float32)
    x[..., :75] = KINECT.reshape(20, 75)
    np.savez(folder / "NTU60_CS.npz", x_train=x, y_train=np.eye(2), x_test=x, y_test=np.eye(2))
    return "kinect_v2"


def amc(folder: Path) -> str:
    (folder / "07.asf").write_text(ASF)
    (folder / "07_01.amc").write_bytes(AMC.encode("latin-1"))
    return ""


def upright() -> np.ndarray:
    """`rig` with z up."""
    x, y, z = np.moveaxis(rig(), -1, 0)
    return np.stack([x, -z, y], axis=-1)


def markers(folder: Path) -> None:
    """A layout of one's own for markers that files name."""
    layout = SkeletonLayout("markers", MIXAMO, PARENTS).to_dict()
    Path("markers.json").write_text(json.dumps(layout))


def vicon(folder: Path) -> str:
    markers(folder)
    places = upright() * 1000
    (folder / "nexus.csv").write_text(vicon_text([f"A:{name}" for name in MIXAMO], places))
    (folder / "walk.c3d").write_bytes(c3d_file(MIXAMO, places.astype(np.float32)))
    return "markers"


def trc(folder: Path) -> str:
    markers(folder)
    return text("walk.trc", trc_text(MIXAMO, rig() * 1000), "markers")(folder)


def array(layout: str, joints: np.ndarray) -> Callable[[Path], str]:
    def write(folder: Path) -> str:
        np.save(folder / "clip.npy", joints)
        return layout

    return write


MADE: dict[str, Callable[[Path], str]] = {
    "NumPy, PyTorch": array("kinect_v2", KINECT.transpose(3, 0, 2, 1)),
    "NumPy, with names": named_npz,
    "pandas, a spreadsheet": pandas_csv,
    "a recorder of rows": recorder_csv,
    "Kinect for Windows SDK": sdk_csv,
    "Azure Kinect": sample("Azure Kinect"),
    "ZED SDK": sample("ZED, 34"),
    "Nuitrack": sample("Nuitrack"),
    "a video": video_npz,
    "MediaPipe": sample("MediaPipe"),
    "MediaPipe, pandas": mediapipe_csv,
    "OpenPose": sample("OpenPose, BODY_25"),
    "AlphaPose": sample("AlphaPose, Halpe"),
    "ultralytics YOLO": sample("ultralytics"),
    "MMPose": sample("MMPose, COCO"),
    "COCO, PoseTrack": sample("PoseTrack"),
    "Kinetics-Skeleton": sample("Kinetics-Skeleton"),
    "ST-GCN, MS-G3D": st_gcn,
    "CTR-GCN, MAMP": ctr_gcn,
    "HumanML3D": array("smpl_22", smpl()),
    "Blender, Mixamo, Rokoko": text("walk.bvh", bvh(0.01)),
    "CMU's recordings as BVH": text("walk.bvh", bvh(0.056444)),
    "CMU, HDM05": amc,
    "OptiTrack Motive": text("take.csv", motive_text(MIXAMO, rig(), parents=ABOVE)),
    "Vicon Nexus": vicon,
    "OpenSim, Pose2Sim": trc,
    "Xsens MVN": text("walk.mvnx", mvnx_file(mvnx_text(MIXAMO, PARENTS, upright()))),
}  # fmt: skip
RANDOM = {"Azure Kinect", "ZED SDK", "Nuitrack", "MediaPipe", "CMU, HDM05"}  # bodies of these tests that are no people
EXPECTED = {"kinect_v2": KINECT[:, 0], "smpl_22": smpl(), "mediapipe_33": LANDMARKS[:, 0]}


def test_every_row_is_tried() -> None:
    assert list(ROWS) == list(MADE)


@pytest.mark.parametrize("tool", MADE)
def test_what_a_tool_exports_is_converted(
    tool: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path("clips", "walk")
    folder.mkdir(parents=True)
    layout = MADE[tool](folder)
    flags = [word for cell in re.findall("`([^`]*)`", ROWS[tool][-1]) for word in shlex.split(cell)]
    flags += ["--any-size"] if tool in RANDOM else []
    inspected = run(capsys, "inspect", "clips", *flags)
    assert inspected[0] == 0, inspected
    code, out, err = run(
        capsys, "convert", "folder", "--data-dir", "clips", *flags, "--format", "npz", "--output", "out"
    )
    assert code == 0 and " 0 broken" in out, out + err
    rows = as_rows(load_skeletons("out")["train"])
    name = rows[0]["layout"].name if isinstance(rows[0]["layout"], SkeletonLayout) else rows[0]["layout"]
    assert layout in ("", name), name
    if layout in EXPECTED and tool not in RANDOM:
        np.testing.assert_allclose(rows[0]["joints"][:, 0], EXPECTED[layout], atol=1e-5)
    if tool in (
        "Blender, Mixamo, Rokoko",
        "CMU's recordings as BVH",
        "OptiTrack Motive",
        "Vicon Nexus",
        "OpenSim, Pose2Sim",
        "Xsens MVN",
    ):
        for row in rows:
            np.testing.assert_allclose(row["joints"][:, 0], rig(), atol=1e-5)
