"""Synthetic people: anatomy, view, files that the real reader takes, and a labelled difficulty that is measured."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch

from s2i_hf.processing.layouts import LAYOUTS
from s2i_hf.processing.skeleton_sequence import SkeletonSequence
from s2i_hf.readers.benchmarks import ntu_rgbd
from s2i_hf.synthetic.actions import JOINT, TOUCH
from s2i_hf.synthetic.people import ACTIONS, anatomy, generate, perform, write_dataset, write_skeleton

PARENTS = LAYOUTS["kinect_v2"].parents


def read_line_by_line(path: Path) -> list[dict[int, np.ndarray]]:
    """The slow way: per frame, body id -> (25, 12) values. Independent of the package."""
    with path.open(newline=None) as lines:
        frames = []
        for _ in range(int(next(lines))):
            bodies = {}
            for _ in range(int(next(lines))):
                header = next(lines).split()
                assert len(header) == 10
                assert all(float(value) == float(value) for value in header)
                num_joints = int(next(lines))
                assert num_joints == 25
                rows = [next(lines).split() for _ in range(num_joints)]
                assert all(len(row) == 12 and row[11] in ("0", "1", "2") for row in rows)
                bodies[int(header[0])] = np.array(rows, dtype=np.float64)
            frames.append(bodies)
        assert not list(lines), "text after the last frame"
    return frames


def test_actions_are_the_classes_of_the_protocol():
    text = files("s2i_hf.protocols.resources").joinpath("synthetic_classes.txt").read_text()
    assert [line for line in text.splitlines() if line and not line.startswith("#")] == list(ACTIONS)


@pytest.mark.parametrize("action", ACTIONS)
def test_people_have_bones_floor_and_partners(action: str):
    joints = perform(action, subject=4, replication=2, seed=3)
    assert 40 <= len(joints) <= 120
    assert joints.shape[1:] == (2 if action in TOUCH else 1, 25, 3)
    lengths = np.linalg.norm(joints - joints[:, :, list(PARENTS)], axis=-1)[..., 1:]  # joint 0 is the root
    np.testing.assert_allclose(lengths, np.broadcast_to(lengths[:1], lengths.shape), atol=1e-9)
    np.testing.assert_allclose(lengths[0, 0], np.linalg.norm(anatomy(4, seed=3), axis=-1)[1:], atol=1e-9)
    lowest = joints[..., 1].min(axis=2)
    assert (lowest > -0.03).all(), "a foot sinks into the floor"
    assert lowest.max() < (0.35 if action == "jump" else 0.06), "nobody flies, but in a jump"
    speed = np.abs(np.diff(joints, axis=0)).max() * 30
    assert speed < 15, "m/s, faster than a hand"


def test_anatomy_is_symmetric_and_differs_between_subjects():
    bones = np.array([anatomy(subject) for subject in range(1, 41)])
    mirrored = bones[:, list(LAYOUTS["kinect_v2"].mirror)] * (-1, 1, 1)
    np.testing.assert_array_equal(bones, mirrored)
    chain = ["Head", "Neck", "SpineShoulder", "SpineMid", "HipL", "KneeL", "AnkleL", "FootL"]
    heights = np.abs(bones[:, [JOINT[name] for name in chain], 1]).sum(axis=1)
    assert 1.3 < heights.min() < heights.max() < 2.0
    assert heights.std() > 0.05


def test_actions_do_what_they_are_called():
    def clip(action: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        joints = perform(action, 1, 1)
        return joints[:, 0], {name: joints[:, 0, index] for name, index in JOINT.items()}

    for action, hands in (("wave_right", "R"), ("wave_both", "LR"), ("raise_arms", "LR")):
        _, at = clip(action)
        for side in hands:
            assert (at[f"Hand{side}"][:, 1] > at[f"Shoulder{side}"][:, 1]).any(), action
    assert (clip("wave_right")[1]["HandL"][:, 1] < clip("wave_right")[1]["Neck"][:, 1]).all()
    _, at = clip("clap")
    assert np.linalg.norm(at["HandL"] - at["HandR"], axis=1).min() < 0.06
    _, at = clip("squat")
    assert np.ptp(at["SpineBase"][:, 1]) > 0.15
    _, at = clip("jump")
    assert (np.minimum(at["AnkleL"], at["AnkleR"])[:, 1] > 0.1).any()
    for action, least, most in (("walk", 0.5, 3), ("march", 0, 0.3)):
        hips = [perform(action, subject, 1)[:, 0, 0] for subject in range(1, 12)]
        assert least < np.median([np.linalg.norm(way[-1] - way[0]) for way in hips]) < most, action
    _, at = clip("bow")
    assert np.ptp(at["Head"][:, 1]) > 0.15 > np.ptp(at["SpineBase"][:, 1])
    shake = perform("handshake", 1, 1)[:, :, JOINT["HandR"]]
    assert np.linalg.norm(shake[:, 0] - shake[:, 1], axis=1).min() < 0.3
    push = perform("push_other", 1, 1)[:, :, JOINT["SpineBase"]]
    apart = np.linalg.norm(push[:, 0] - push[:, 1], axis=1)
    assert apart[-1] > apart[0] + 0.1


def test_the_camera_sees_left_at_smaller_x_and_depth_in_range():
    toward = []
    for camera in (1, 2, 3):
        for subject in range(1, 9):
            joints = generate("wave_right", subject, camera, 1).joints[:, 0]
            assert np.nanmin(joints[:, 0, 2]) > 2
            assert np.nanmax(joints[:, 0, 2]) < 4.5
            assert np.nanmean(joints[:, JOINT["Head"], 1]) > np.nanmean(joints[:, JOINT["FootL"], 1]) + 1
            # right-handed axes: whoever looks along z (away from the camera) has the left at larger x, and vice versa
            left = joints[:, JOINT["ShoulderL"]] - joints[:, JOINT["ShoulderR"]]
            up = joints[:, JOINT["Neck"]] - joints[:, JOINT["SpineBase"]]
            toes = joints[:, JOINT["FootL"]] - joints[:, JOINT["AnkleL"]]
            assert np.nanmean((np.cross(left, up) * toes).sum(axis=1)) > 0
            toward.append(np.nanmean(toes[:, 2]) < 0)
    assert np.mean(toward) > 0.6, "most people look at the camera"


def test_same_arguments_same_clip():
    one = generate("throw", 3, 2, 1, seed=5)
    perform.cache_clear()
    again = generate(list(ACTIONS).index("throw"), 3, 2, 1, seed=5)
    np.testing.assert_array_equal(one.joints, again.joints)
    assert (one.sample_id, one.label, one.subject, one.camera) == ("S001C002P003R001A012", 11, 3, 2)
    assert one.body_ids.dtype == np.int64
    assert len(str(one.body_ids[0])) == 17
    for others in (("throw", 4, 2, 1, 5), ("throw", 3, 2, 2, 5), ("throw", 3, 2, 1, 6), ("throw", 3, 1, 1, 5)):
        other = generate(*others).joints
        assert other.shape != one.joints.shape or not np.array_equal(other, one.joints)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("wiggle", 1, 1, 1), "Unknown action 'wiggle'"),
        ((14, 1, 1, 1), "label from 0 to 13"),
        (("walk", 0, 1, 1), "subject is 0"),
        (("walk", 1, 4, 1), "camera is 4; expected a number from 1 to 3"),
        (("walk", 1, 1, 1000), "replication is 1000"),
    ],
)
def test_bad_arguments_are_named(arguments: tuple, message: str):
    with pytest.raises(ValueError, match=message):
        generate(*arguments)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_written_files_read_back_line_by_line(tmp_path: Path, newline: str):
    clip = generate("push_other", 2, 3, 1, seed=1)
    joints = clip.joints.copy()
    joints[3, 0] = joints[5:8] = np.nan  # one person is lost for a frame, then both for three
    joints[10, 1, 4] = joints[9, 1, 4]  # one joint stands still
    clip = SkeletonSequence(joints, clip.layout, clip.label, 2, 3, clip.body_ids, clip.sample_id)
    path = write_skeleton(clip, tmp_path / f"{clip.sample_id}.skeleton", newline)
    assert path.read_bytes().count(b"\r\n") == (path.read_bytes().count(b"\n") if newline == "\r\n" else 0)
    frames = read_line_by_line(path)
    assert [len(bodies) for bodies in frames[2:9]] == [2, 1, 2, 0, 0, 0, 2]
    assert len(set(clip.body_ids.astype(np.float64))) == 1, "ids must be read as integers, as in real files"
    for t, bodies in enumerate(frames):
        for person, body_id in enumerate(clip.body_ids.tolist()):
            assert (body_id in bodies) == (not np.isnan(joints[t, person]).any())
            if body_id in bodies:
                values = bodies[body_id]
                np.testing.assert_allclose(values[:, :3], joints[t, person], atol=6e-7)
                x, y, z = values[:, :3].T
                np.testing.assert_allclose(values[:, 3], 257 + 366 * x / z, atol=1e-3)
                np.testing.assert_allclose(values[:, 4], 207 - 366 * y / z, atol=1e-3)
                assert ((values[:, 3:7] > -200) & (values[:, 3:7] < 2000)).all()
                norms = np.linalg.norm(values[:, 7:11], axis=1)
                assert set(np.round(norms, 4)) == {0.0, 1.0}  # Kinect gives head, finger tips, thumbs and feet none
    assert frames[10][int(clip.body_ids[1])][4, 11] == 1


def test_numbers_are_written_exactly(tmp_path: Path):
    """The digits written column by column are those of Python's own formatting."""
    values = np.random.default_rng(0).normal(size=(2, 1, 25, 3)).astype(np.float32)
    values[0, 0, 0], values[0, 0, 1] = (0, -0.0, -1e-7), (-0.9999999, 9.9999996, -12.5)
    path = write_skeleton(SkeletonSequence(values, LAYOUTS["kinect_v2"]), tmp_path / "x.skeleton", "\n")
    rows = [line.split() for line in path.read_text().splitlines()]
    rows = [row[:3] for row in rows if len(row) == 12]
    expected = [[f"{float(value):.6f}" for value in joint] for joint in values.reshape(-1, 3)]
    assert rows == [["0.000000" if text == "-0.000000" else text for text in row] for row in expected]


def test_only_kinect_v2_is_written(tmp_path: Path):
    clip = SkeletonSequence(np.zeros((2, 1, 20, 3)), LAYOUTS["kinect_v1"], sample_id="x")
    with pytest.raises(ValueError, match=r"kinect_v1.*kinect_v2 only"):
        write_skeleton(clip, tmp_path / "x.skeleton")
    assert not list(tmp_path.iterdir())


def test_the_ntu_reader_keeps_the_people(tmp_path: Path):
    paths = write_dataset(tmp_path / "ntu", subjects=3, replications=1, seed=2)
    assert len(paths) == len(ACTIONS) * 3 * 3
    assert paths == [tmp_path / "ntu" / path.name for path in paths]
    assert sorted(paths) == sorted((tmp_path / "ntu").iterdir())
    assert {b"\r\n" in path.read_bytes() for path in paths} == {True, False}
    lost = 0
    for path in paths:
        read = ntu_rgbd.read(path, denoise=True)
        clip = generate(read.label, read.subject, read.camera, 1, seed=2)
        assert read.sample_id == clip.sample_id == path.stem
        assert sorted(read.body_ids) == sorted(clip.body_ids)
        seen = (
            ~np.isnan(clip.joints).any(axis=(1, 2, 3))
            if clip.joints.shape[1] == 1
            else ~np.isnan(clip.joints).all(axis=(1, 2, 3))
        )
        lost += (~seen).sum()
        order = [list(clip.body_ids).index(body_id) for body_id in read.body_ids]
        np.testing.assert_allclose(read.joints, clip.joints[seen][:, order], atol=6e-7)
        motion = np.nanvar(read.joints.astype(np.float64), axis=(0, 2)).sum(axis=-1)
        assert (np.diff(motion) <= 1e-9).all(), "actor 1 moves most"
        if read.joints.shape[1] == 2:
            wide = np.ptp(clip.joints[..., 0], axis=2) > 0.8 * np.ptp(clip.joints[..., 1], axis=2)
            assert wide.mean() < 0.3
    assert lost > 0, "frames without a body occur"


def test_write_dataset_refuses_and_leaves_nothing_half_written(tmp_path: Path):
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("keep")
    with pytest.raises(FileExistsError, match="not an empty folder"):
        write_dataset(full)
    with pytest.raises(ValueError, match="camera is 4"):
        write_dataset(tmp_path / "new", subjects=1, replications=1, cameras=4, actions=["bow"])
    with pytest.raises(ValueError, match="subjects is 0"):
        write_dataset(tmp_path / "new", subjects=0)
    with pytest.raises(ValueError, match="Unknown action 'fly'"):
        write_dataset(tmp_path / "new", actions=["bow", "fly"])
    assert [path.name for path in tmp_path.iterdir()] == ["full"]
    assert [path.name for path in full.iterdir()] == ["mine.txt"]


def prepared(clip: SkeletonSequence, num_frames: int) -> np.ndarray:
    """(num_frames, 2, 25, 3): who moves most first, gaps filled, centred on SpineMid of the first frame, resampled."""
    joints = clip.joints[:, np.argsort(-np.nanvar(clip.joints, axis=(0, 2)).sum(axis=-1))]
    out = np.zeros((num_frames, 2, 25, 3), np.float32)
    for person in range(joints.shape[1]):
        seen = np.flatnonzero(~np.isnan(joints[:, person]).any(axis=(1, 2)))
        at = np.linspace(0, len(joints) - 1, num_frames)
        flat = joints[seen, person].reshape(len(seen), -1)
        out[:, person] = np.stack([np.interp(at, seen, column) for column in flat.T], axis=-1).reshape(-1, 25, 3)
    out[:, : joints.shape[1]] -= out[0, 0, 1]
    return out


class SmallNet(torch.nn.Module):
    """Three temporal convolutions over the coordinates and velocities of all joints, (B, 300, T) -> (B, 14)."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[torch.nn.Module] = []
        for inputs, stride in ((300, 1), (96, 2), (96, 1)):
            layers += [torch.nn.Conv1d(inputs, 96, 5, stride, 2), torch.nn.BatchNorm1d(96), torch.nn.GELU()]
        self.body = torch.nn.Sequential(*layers)
        self.head = torch.nn.Sequential(torch.nn.Dropout(0.3), torch.nn.Linear(192, len(ACTIONS)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.body(x)
        return self.head(torch.cat([x.mean(dim=-1), x.amax(dim=-1)], dim=1))


@pytest.mark.slow
def test_too_hard_for_a_linear_classifier_but_learnable():
    """Odd subjects train, even ones test: linear on 16 frames of raw joints 40-80 %, a small convolution net over 90 %."""
    from sklearn.linear_model import LogisticRegression

    torch.manual_seed(0)
    clips = [generate(a, s, c, r) for a in range(14) for s in range(1, 11) for c in (1, 2, 3) for r in (1, 2)]
    labels, train = np.array([clip.label for clip in clips]), np.array([clip.subject % 2 == 1 for clip in clips])
    raw = np.stack([prepared(clip, 16) for clip in clips]).reshape(len(clips), -1)
    linear = LogisticRegression(C=0.1, max_iter=200).fit(raw[train], labels[train])
    score = linear.score(raw[~train], labels[~train])
    print(f"linear on raw joints: {score:.3f}")
    assert 0.4 < score < 0.8

    moving = np.stack([prepared(clip, 32) for clip in clips])
    posture = moving - moving[:, :, :, 1:2] * (1, 0, 1) * (moving != 0)  # over the ground where the person stands
    velocity = 5 * np.diff(moving, axis=1, prepend=moving[:, :1])
    features = np.concatenate([posture, velocity], axis=2).reshape(len(clips), 32, 300)
    x, y = torch.tensor(features.transpose(0, 2, 1)).float(), torch.tensor(labels)
    rows, net, steps = torch.tensor(np.flatnonzero(train)), SmallNet(), 180
    optimizer = torch.optim.AdamW(net.parameters(), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for _ in range(steps):
        batch = rows[torch.randint(len(rows), (48,))]
        angle = torch.rand(48) * 2 * np.pi  # about the vertical axis, because the view is nuisance
        sin, cos, zero, one = angle.sin(), angle.cos(), 0 * angle, 1 + 0 * angle
        turn = torch.stack([cos, zero, sin, zero, one, zero, -sin, zero, cos], dim=-1).view(48, 1, 3, 3)
        seen = (turn @ x[batch].view(48, 100, 3, 32)).view(48, 300, 32)
        loss = torch.nn.functional.cross_entropy(net(seen), y[batch], label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    net.eval()
    with torch.no_grad():
        right = (net(x).argmax(dim=1) == y).numpy()
    print(f"convolution net: {right[~train].mean():.3f}")
    assert right[~train].mean() > 0.9
