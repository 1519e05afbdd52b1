"""Synthetic people: forward-kinematic actors who perform labelled actions before a simulated Kinect v2.

For tests, demos and CI without a licensed dataset. `generate` makes one clip, `write_dataset` a folder of true NTU RGB+D `.skeleton`
files, read by the same reader as real recordings: `python -m s2i_hf.synthetic --output DIR --subjects 10`.

An action is a function that turns joints over time (`ACTIONS`); everything else is nuisance that a model has to see through: body
proportions, posture, handedness, tempo, amplitude, start delay, number of repetitions, facing direction, idle sway, view and sensor noise.
Where the ideas come from: segment lengths as fractions of body height from Drillis & Contini (1966), as in Winter, "Biomechanics and
Motor Control of Human Movement" (2009); the shoulder as plane, elevation and axial rotation from Wu et al., J. Biomech. 38 (2005); the
lowest foot stands still, the foot-plant constraint of character animation (Kovar et al., SCA 2002); three cameras 45 degrees apart from NTU
RGB+D (Shahroudy et al., CVPR 2016); depth noise that grows with the square of the distance from Nguyen et al., 3DIMPVT 2012.

Axes of a person at home: x to the person's left, y up, z forward; metres; degrees in the action functions; 30 frames a second.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from .sequence import SkeletonSequence
from .synthetic_actions import ACTIONS, JOINT, LAYOUT, PITCH, ROLL, TOUCH, TWIST, YAW, Mover, ease

FRAMES_PER_SECOND = 30
CAMERAS = {1: (0.0, 1.1, 4.0), 2: (45.0, 1.4, 9.0), 3: (-45.0, 0.8, -1.0)}  # yaw (degrees), height (m), downward tilt (degrees)

# Bone from the parent to the joint, standing upright with hanging arms, as fractions of body height (left side; the right mirrors it).
_BONES = {
    "SpineMid": (0, 0.165, 0), "SpineShoulder": (0, 0.13, -0.005), "Neck": (0, 0.043, 0), "Head": (0, 0.078, 0.012),
    "ShoulderL": (0.105, -0.012, 0), "ElbowL": (0, -0.172, 0), "WristL": (0, -0.146, 0), "HandL": (0, -0.045, 0),
    "HandTipL": (0, -0.045, 0), "ThumbL": (0, -0.018, 0.03),
    "HipL": (0.05, -0.01, 0), "KneeL": (0, -0.24, 0), "AnkleL": (0, -0.24, 0), "FootL": (0, -0.035, 0.07),
}  # fmt: skip
_ROOT_FIRST = [0, 1, 20, *(joint for joint in range(LAYOUT.num_joints) if joint not in (0, 1, 20))]  # parents before children


# Kinematics -------------------------------------------------------------------------------------------------------------------------------------
def anatomy(subject: int, seed: int = 0) -> np.ndarray:
    """(25, 3) metres: the bone of every joint from its parent, of one person; symmetric, between 1.45 and 1.95 m tall."""
    rng = np.random.default_rng((seed, 1, subject))
    height = np.clip(rng.normal(1.70, 0.10), 1.45, 1.95)
    scale = {part: rng.normal(1, 0.04) for part in ("Spine", "Neck", "Head", "Shoulder", "Hip", "arm", "leg", "Foot")}
    bones = np.zeros((LAYOUT.num_joints, 3))
    for name, bone in _BONES.items():
        kind = next((part for part in scale if name.startswith(part)), "leg" if name[0] in "KA" else "arm")
        bones[JOINT[name]] = np.multiply(bone, height * scale[kind])
        if name.endswith("L"):
            bones[JOINT[name[:-1] + "R"]] = bones[JOINT[name]] * (-1, 1, 1)
    return bones


def _turn(degrees: np.ndarray | float, axis: int) -> np.ndarray:
    """(..., 3, 3) rotation about the x (0), y (1) or z (2) axis."""
    angle = np.radians(degrees)
    first, second = (axis + 1) % 3, (axis + 2) % 3
    matrix = np.zeros((*np.shape(angle), 3, 3))
    matrix[..., axis, axis] = 1
    matrix[..., first, first] = matrix[..., second, second] = np.cos(angle)
    matrix[..., second, first] = np.sin(angle)
    matrix[..., first, second] = -matrix[..., second, first]
    return matrix


def forward_kinematics(mover: Mover, bones: np.ndarray) -> np.ndarray:
    """(T, 25, 3) joints of a person with these bones: turned joint by joint from the root, then put on the floor."""
    angles = mover.angles.copy()
    for side in "LR":  # soles stay level
        angles[:, JOINT["Ankle" + side], PITCH] = -sum(angles[:, JOINT[name], PITCH] for name in ("SpineBase", "Hip" + side, "Knee" + side))
    local = _turn(angles[..., YAW], 1) @ _turn(angles[..., PITCH], 0)
    local = local @ _turn(angles[..., ROLL], 2) @ _turn(angles[..., TWIST], 1)
    frames, joints = local.copy(), np.zeros(angles.shape[:2] + (3,))
    for joint in _ROOT_FIRST[1:]:
        parent = LAYOUT.parents[joint]
        frames[:, joint] = frames[:, parent] @ local[:, joint]
        joints[:, joint] = joints[:, parent] + frames[:, parent] @ bones[joint]
    ankles = joints[:, [JOINT["AnkleL"], JOINT["AnkleR"]]]
    left = 1 / (1 + np.exp(np.clip((ankles[:-1, 0, 1] - ankles[:-1, 1, 1]) / 0.015, -50, 50)))  # share of the weight
    slip = left[:, None] * np.diff(ankles[:, 0], axis=0) + (1 - left[:, None]) * np.diff(ankles[:, 1], axis=0)
    slip[mover.lift[:-1] > 0] = 0  # nothing to stand on
    root = np.zeros((len(joints), 3))
    root[1:] = -np.cumsum(slip, axis=0)  # the foot that carries the weight stands still
    soles = np.minimum(ankles[..., 1], joints[:, [JOINT["FootL"], JOINT["FootR"]], 1] - bones[JOINT["FootL"], 1])
    root[:, 1] = mover.lift - soles.min(axis=1) - 0.75 * bones[JOINT["FootL"], 1]
    root[:, 2] += mover.travel
    return joints + root[:, None]


def perform(action: str, subject: int, replication: int, seed: int = 0) -> np.ndarray:
    """One performance, before any sensor: (T, M, 25, 3) float64 metres on the floor y = 0, around the origin, facing -z more or less."""
    rng = np.random.default_rng((seed, 2, list(ACTIONS).index(action), subject, replication))
    habit = np.random.default_rng((seed, 3, subject))  # what a subject does alike in every performance
    usual_side, usual_tempo = habit.choice(["L", "R"], p=[0.3, 0.7]), habit.uniform(0.85, 1.2)
    frames = int(rng.integers(40, 121))
    duration = frames / FRAMES_PER_SECOND
    timing = {
        "seconds": np.arange(frames) / FRAMES_PER_SECOND,
        "begin": rng.uniform(0, 0.2) * duration,
        "finish": rng.uniform(0.8, 1) * duration,
        "tempo": usual_tempo * rng.uniform(0.8, 1.25),
        "phase": rng.uniform(0, 1),
    }
    movers = []
    for _ in range(2 if action in TOUCH else 1):
        movers.append(Mover(rng, side=usual_side if rng.random() < 0.7 else rng.choice(["L", "R"]), **timing))
        movers[-1].idle()
    if len(movers) == 1:
        movers[0].turn("SpineBase", YAW, rng.normal(0, 25) * ease(timing["seconds"], np.sort(rng.uniform(0, duration, 2)), (0, 1)))
    ACTIONS[action](*movers)
    partner = int(rng.integers(1000, 2000))  # a person who is no subject, so that subjects stay apart
    people = [forward_kinematics(mover, anatomy(who, seed)) for mover, who in zip(movers, (subject, partner), strict=False)]
    facing = 180 + rng.uniform(-60, 60)
    if len(people) == 2:
        people = _face_each_other(people[0], people[1] @ _turn(180, 1).T, *TOUCH[action])
        facing += rng.choice([-90, 90])  # seen from the side, both visible
    joints = np.stack(people, axis=1)
    joints[..., [0, 2]] -= joints[:, :, :1, [0, 2]].mean(axis=(0, 1))
    joints[..., [0, 2]] += rng.uniform(-0.35, 0.35, size=2)
    return joints @ _turn(facing, 1).T


def _face_each_other(one: np.ndarray, other: np.ndarray, hands: tuple[str, ...], target: tuple[str, ...]) -> list[np.ndarray]:
    """Move `other` so that `target` is where the `hands` of `one` are when they reach furthest."""
    hand = one[:, [JOINT[name] for name in hands]].mean(axis=1)
    goal = other[:, [JOINT[name] for name in target]].mean(axis=1)
    moment = np.argmax(hand[:, 2] - one[:, 0, 2])
    offset = hand[moment] - goal[moment] + (0, 0, 0.05)
    return [one, other + offset * (1, 0, 1)]


# Sensor -----------------------------------------------------------------------------------------------------------------------------------------
def observe(joints: np.ndarray, camera: int, subject: int, rng: np.random.Generator, seed: int = 0) -> np.ndarray:
    """World joints (T, M, 25, 3) as a Kinect v2 tracks them: camera frame, jitter, inferred joints, frames without a body (NaN)."""
    yaw, height, tilt = CAMERAS[camera] + np.random.default_rng((seed, 4, subject, camera)).normal(0, (4, 0.08, 1.5))
    distance = np.random.default_rng((seed, 5, subject)).uniform(3.0, 3.6)  # the room of a subject
    seen = (joints @ _turn(yaw, 1).T + (0, -height, distance)) @ _turn(-tilt, 0).T
    frames, people = seen.shape[:2]
    extremity = np.array([0.7 if name.startswith(("Spine", "Neck", "Head")) else 1.0 for name in LAYOUT.joint_names])
    extremity[[JOINT[name] for name in ("HandTipL", "HandTipR", "ThumbL", "ThumbR", "HandL", "HandR", "FootL", "FootR")]] = 1.8
    noise = rng.normal(size=(frames + 4, people, LAYOUT.num_joints, 3))
    noise = sum(weight * noise[i : frames + i] for i, weight in enumerate((0.25, 0.5, 0.6, 0.5, 0.25)))  # the SDK smooths over time
    seen = seen + 0.006 * extremity[:, None] * (seen[:, :, :1, 2:] / 3) ** 2 * noise
    for person in range(people):
        for _ in range(rng.poisson(1.5)):  # joints the sensor infers: they freeze, or jump aside
            joint, start, length = int(rng.integers(2, LAYOUT.num_joints)), int(rng.integers(0, frames)), int(rng.integers(3, 16))
            if rng.random() < 0.5:
                seen[start : start + length, person, joint] = seen[start, person, joint]
            else:
                seen[start : start + length, person, joint] += rng.normal(0, 0.08, size=3)
        if rng.random() < 0.1:  # the body is lost for a moment
            start = int(rng.integers(0, frames - 10))
            seen[start : start + int(rng.integers(1, 6)), person] = np.nan
    return seen.astype(np.float32)


def generate(action: int | str, subject: int, camera: int, replication: int, seed: int = 0) -> SkeletonSequence:
    """One labelled clip of 40 to 120 frames at 30 fps, the same for the same arguments on every machine.

    The three cameras see the same performance. People come in the sensor's order, not the reader's; a body lost for some frames is NaN.

    Args:
        action: Name or 0-based label in `ACTIONS`.
        subject, replication: From 1. camera: 1, 2 or 3.
        seed: The whole data set changes with it.

    Raises:
        ValueError: no such action or camera, or a number outside 1..999.
    """
    names = list(ACTIONS)
    if action not in (names if isinstance(action, str) else range(len(names))):
        raise ValueError(f"No synthetic action {action!r}; choose a label 0..{len(names) - 1} or one of {', '.join(names)}.")
    label = names.index(action) if isinstance(action, str) else int(action)
    if camera not in CAMERAS:
        raise ValueError(f"No camera {camera!r}; choose one of 1, 2, 3.")
    for what, number in (("subject", subject), ("replication", replication)):
        if not 1 <= number <= 999:
            raise ValueError(f"The {what} is {number}; NTU file names have room for 1 to 999.")
    joints = perform(names[label], subject, replication, seed)
    rng = np.random.default_rng((seed, 6, label, subject, replication, camera))
    joints = observe(joints, camera, subject, rng, seed)[:, rng.permutation(joints.shape[1])]
    # Ids as the SDK gives them: neighbours that become equal when read as float64, a trap that real files hold too.
    body_ids = 2**56 + 16 * int(rng.integers(1, 600)) + np.arange(joints.shape[1])
    sample_id = f"S001C{camera:03d}P{subject:03d}R{replication:03d}A{label + 1:03d}"
    return SkeletonSequence(joints, LAYOUT, label, subject, camera, body_ids, sample_id)


# Files ------------------------------------------------------------------------------------------------------------------------------------------
def _decimal_text(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers below 10,000 as ASCII: (..., 13) bytes "-1234.567890 " and which of them to keep. A fifth of the time of `%` formatting."""
    thousands, thousand = (np.array([list(f"{i:0{n}d}".encode()) for i in range(10**n)], np.uint8) for n in (4, 3))
    micro = np.rint(np.abs(values) * 1e6).astype(np.int64)
    whole, fraction = np.divmod(micro, 10**6)
    text = np.empty((*values.shape, 13), np.uint8)
    text[..., 0], text[..., 5], text[..., 12] = ord("-"), ord("."), ord(" ")
    text[..., 1:5], text[..., 6:9], text[..., 9:12] = thousands[whole], thousand[fraction // 1000], thousand[fraction % 1000]
    keep = np.ones(text.shape, bool)
    keep[..., 0] = (values < 0) & (micro > 0)
    for digit, least in ((1, 1000), (2, 100), (3, 10)):
        keep[..., digit] = whole >= least
    return text, keep


def write_skeleton(sequence: SkeletonSequence, path: str | Path, newline: Literal["\n", "\r\n"] = "\r\n") -> Path:
    """Write a clip as an NTU RGB+D `.skeleton` file; real ones come with both line ends.

    A person with NaN joints in a frame is absent from it. Depth and colour positions are projected with the nominal intrinsics of the
    Kinect v2 (focal lengths 366 and 1,060 pixels), orientations are the shortest turn of the y axis onto the bone, and a joint that stands
    perfectly still has tracking state 1 (inferred). Coordinates are rounded to 1e-6 m.

    Raises:
        ValueError: the layout is not kinect_v2.
    """
    if sequence.layout.num_joints != LAYOUT.num_joints:
        raise ValueError(f"An NTU .skeleton file holds kinect_v2 (25 joints); clip {sequence.sample_id!r} is {sequence.layout.name!r}.")
    present = ~np.isnan(sequence.joints).any(axis=(2, 3))  # (T, M)
    frozen = np.zeros(sequence.joints.shape[:3], bool)
    frozen[1:] = (sequence.joints[1:] == sequence.joints[:-1]).all(axis=-1)
    joints = sequence.joints[present].astype(np.float64)  # (bodies in all frames, 25, 3)
    x, y, z = np.moveaxis(joints, -1, 0)
    z = np.maximum(z, 0.1)
    values = np.zeros((*joints.shape[:2], 11))
    values[..., :3] = joints
    values[..., 3:7] = np.stack([256 + 366 * x / z, 208 - 366 * y / z, 972 + 1060 * x / z, 528 - 1060 * y / z], axis=-1).clip(-999, 9999)
    bone = joints - joints[:, list(LAYOUT.parents)]
    bone[:, 0] = joints[:, 1] - joints[:, 0]
    bone /= np.maximum(np.linalg.norm(bone, axis=-1, keepdims=True), 1e-9)
    turn = np.stack([1 + bone[..., 1], bone[..., 2], np.zeros_like(x), -bone[..., 0]], axis=-1) + (1e-9, 0, 0, 0)
    values[..., 7:] = turn / np.linalg.norm(turn, axis=-1, keepdims=True)
    leaves = [joint for joint in range(LAYOUT.num_joints) if joint not in LAYOUT.parents]
    values[:, leaves, 7:] = 0  # as the SDK has it

    text, keep = _decimal_text(values)
    state = np.where(frozen[present], b"1", b"2").astype("S1").view(np.uint8).reshape(*joints.shape[:2], 1)
    ends = np.broadcast_to(np.frombuffer(newline.encode(), np.uint8), (*joints.shape[:2], len(newline)))
    text = np.concatenate([text.reshape(*joints.shape[:2], -1), state, ends], axis=-1)
    keep = np.concatenate([keep.reshape(*joints.shape[:2], -1), np.ones((*joints.shape[:2], 1 + len(newline)), bool)], axis=-1)
    stops = np.cumsum(keep.sum(axis=(1, 2))).tolist()
    rows, start, body = text[keep].tobytes(), 0, 0
    trunk = joints[:, 20] - joints[:, 0]
    lean = (trunk / np.maximum(np.linalg.norm(trunk, axis=-1, keepdims=True), 1e-9)).tolist()
    pieces = [f"{len(present)}{newline}".encode()]
    for there in present:
        pieces.append(f"{there.sum()}{newline}".encode())
        for body_id in sequence.body_ids[there]:
            header = f"{body_id} 0 1 1 1 1 0 {lean[body][0]:.6f} {-lean[body][2]:.6f} 2{newline}{LAYOUT.num_joints}{newline}"
            pieces += [header.encode(), rows[start : stops[body]]]
            start, body = stops[body], body + 1
    Path(path).write_bytes(b"".join(pieces))
    return Path(path)


def write_dataset(
    folder: str | Path, subjects: int = 10, replications: int = 2, cameras: int = 3, seed: int = 0, actions: Sequence[int | str] | None = None
) -> list[Path]:
    """Write actions x subjects x cameras x replications files `SsssCcccPpppRrrrAaaa.skeleton`, half of them with CRLF line ends.

    The folder appears only when all its files are written.

    Raises:
        FileExistsError: the folder exists and is not empty.
        ValueError: a number or action `generate` does not know.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} exists and is not an empty folder; choose another output folder or remove it.")
    partial = folder.with_name(f".{folder.name}.partial-{os.getpid()}")
    partial.mkdir(parents=True)
    names: list[str] = []
    try:
        for action in ACTIONS if actions is None else actions:
            for subject in range(1, subjects + 1):
                for replication in range(1, replications + 1):
                    for camera in range(1, cameras + 1):
                        clip = generate(action, subject, camera, replication, seed)
                        names.append(f"{clip.sample_id}.skeleton")
                        write_skeleton(clip, partial / names[-1], "\r\n" if len(names) % 2 else "\n")
        if folder.exists():
            folder.rmdir()
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return [folder / name for name in names]


def main(argv: Sequence[str] | None = None) -> int:
    """`python -m s2i_hf.synthetic --output DIR`."""
    parser = argparse.ArgumentParser("python -m s2i_hf.synthetic", description="Write a folder of synthetic NTU .skeleton files.")
    parser.add_argument("--output", required=True, help="folder to make")
    parser.add_argument("--subjects", type=int, default=10, help="odd ones train, even ones test in synthetic_xsub (default: %(default)s)")
    parser.add_argument("--replications", type=int, default=2, help="performances of an action by a subject (default: %(default)s)")
    parser.add_argument("--cameras", type=int, default=3, help="1 to 3 views of every performance (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="another seed makes another data set (default: %(default)s)")
    parser.add_argument("--actions", nargs="+", metavar="NAME", help=f"some of: {', '.join(ACTIONS)} (default: all)")
    options = parser.parse_args(argv)
    try:
        paths = write_dataset(options.output, options.subjects, options.replications, options.cameras, options.seed, options.actions)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{len(paths)} files in {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
