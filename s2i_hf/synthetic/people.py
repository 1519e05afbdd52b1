"""Synthetic people: forward-kinematic actors who perform labelled actions before a simulated Kinect v2.

For tests, demos and CI without a licensed dataset: `generate` makes one clip, `write_dataset` a folder of true NTU RGB+D
`.skeleton` files for the reader of the real ones. From a shell: `s2i synthesize --output DIR --subjects 10`.

An action is a function that turns joints over time (`actions`); everything else is nuisance that a model has to
see through: proportions, posture, handedness, tempo, reach, start delay, repetitions, facing direction, sway, view, sensor.
Trained on odd subjects and tested on even ones (2 performances of each action by 10 subjects, 3 cameras), a linear classifier
on joints resampled to 16 frames gets about 0.65 right, a small temporal convolution net over 0.95.

Where the ideas come from: segment lengths as fractions of height from Drillis & Contini (1966) as in Winter, "Biomechanics
and Motor Control of Human Movement" (2009), with the landmarks of Kinect v2; the foot that carries the weight stands still,
the foot plant of Kovar et al. (SCA 2002); three cameras 45 degrees apart that see one performance from NTU RGB+D (Shahroudy
et al., CVPR 2016); noise that grows with the square of the distance from Nguyen et al. (3DIMPVT 2012).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from pathlib import Path

import numpy as np

from ..processing.skeleton_sequence import SkeletonSequence
from ..utils.files import replacing
from .actions import ACTIONS, JOINT, LAYOUT, PITCH, ROLL, TOUCH, TWIST, YAW, Mover, ease
from .ntu_writer import write_skeleton

FRAMES_PER_SECOND = 30
CAMERAS = {1: (0, 1.1, 4), 2: (45, 1.4, 9), 3: (-45, 0.8, -1)}  # yaw in degrees, height in m, downward tilt in degrees

# Bone from the parent to the joint of someone upright with hanging arms, as fractions of body height; x to the left, y up,
# z forward. The right side mirrors the left. Bones of one group vary together from person to person.
_BONES: dict[str, dict[str, tuple[float, float, float]]] = {
    "trunk": {"SpineMid": (0, 0.165, 0), "SpineShoulder": (0, 0.13, -0.005)},
    "head": {"Neck": (0, 0.043, 0), "Head": (0, 0.078, 0.012)},
    "shoulders": {"ShoulderL": (0.105, -0.012, 0)},
    "arms": {"ElbowL": (0, -0.172, 0), "WristL": (0, -0.146, 0)},
    "hands": {"HandL": (0, -0.045, 0), "HandTipL": (0, -0.045, 0), "ThumbL": (0, -0.018, 0.03)},
    "hips": {"HipL": (0.05, -0.01, 0)},
    "legs": {"KneeL": (0, -0.24, 0), "AnkleL": (0, -0.24, 0)},
    "feet": {"FootL": (0, -0.035, 0.07)},
}
_PARENTS_FIRST = ("SpineMid", "SpineShoulder", *(name for name in LAYOUT.joint_names if not name.startswith("Spine")))


def anatomy(subject: int, seed: int = 0) -> np.ndarray:
    """(25, 3) metres: the bones of one person, each from its parent to the joint; 1.45 to 1.95 m tall, left like right."""
    rng = np.random.default_rng((seed, 1, subject))
    height = np.clip(rng.normal(1.70, 0.10), 1.45, 1.95)
    bones = np.zeros((LAYOUT.num_joints, 3))
    for group in _BONES.values():
        length = height * rng.normal(1, 0.04)
        for name, bone in group.items():
            bones[JOINT[name]] = np.multiply(bone, length)
            if name.endswith("L"):
                bones[JOINT[name[:-1] + "R"]] = np.multiply(bone, length) * (-1, 1, 1)
    return bones


def _turn(degrees: np.ndarray | float, axis: int) -> np.ndarray:
    """(..., 3, 3) rotations about the x (0), y (1) or z (2) axis."""
    angle, first, second = np.radians(degrees), (axis + 1) % 3, (axis + 2) % 3
    matrix = np.zeros((*np.shape(angle), 3, 3))
    matrix[..., axis, axis] = 1
    matrix[..., first, first] = matrix[..., second, second] = np.cos(angle)
    matrix[..., second, first] = np.sin(angle)
    matrix[..., first, second] = -matrix[..., second, first]
    return matrix


def forward_kinematics(mover: Mover, bones: np.ndarray) -> np.ndarray:
    """(T, 25, 3) metres: a person with these bones (25, 3), turned joint by joint from the root, then put on the floor."""
    angles = mover.angles.copy()
    for side in "LR":  # the ankles undo the turns above them, so that soles stay level
        leg = [JOINT[name] for name in ("SpineBase", "Hip" + side, "Knee" + side)]
        angles[:, JOINT["Ankle" + side], PITCH] = -angles[:, leg, PITCH].sum(axis=1)
    local = _turn(angles[..., YAW], 1) @ _turn(angles[..., PITCH], 0)
    local = local @ _turn(angles[..., ROLL], 2) @ _turn(angles[..., TWIST], 1)
    frames, joints = local.copy(), np.zeros((*angles.shape[:2], 3))
    for joint in (JOINT[name] for name in _PARENTS_FIRST):
        parent = LAYOUT.parents[joint]
        frames[:, joint] = frames[:, parent] @ local[:, joint]
        joints[:, joint] = joints[:, parent] + frames[:, parent] @ bones[joint]

    ankles, feet = joints[:, [JOINT["AnkleL"], JOINT["AnkleR"]]], joints[:, [JOINT["FootL"], JOINT["FootR"]]]
    # left over right; 15 mm blend the feet
    higher = np.clip((ankles[:-1, :1, 1] - ankles[:-1, 1:, 1]) / 0.015, -50, 50)
    load = 1 / (1 + np.exp(higher))  # share of the weight on the left foot
    slip = load * np.diff(ankles[:, 0], axis=0) + (1 - load) * np.diff(ankles[:, 1], axis=0)
    slip[mover.lift[:-1] > 0] = 0  # in the air there is nothing to stand on
    root = np.zeros((len(joints), 3))
    root[1:] = -np.cumsum(slip, axis=0)
    sole = -bones[JOINT["FootL"], 1]  # height of the ankle over the floor
    root[:, 1] = mover.lift + sole - np.minimum(ankles[..., 1], feet[..., 1] + sole).min(axis=1)
    root[:, 2] += mover.travel
    return joints + root[:, None]


def _face_each_other(people: list[np.ndarray], action: str) -> list[np.ndarray]:
    """Turn the other towards the one, and put it where the hand of the one meets it at its furthest reach; both (T, 25, 3)."""
    one, other = people
    other = other @ _turn(180, 1).T
    hand, goal = (
        person[:, [JOINT[name] for name in names]].mean(axis=1)
        for person, names in zip((one, other), TOUCH[action], strict=True)
    )
    meeting = np.argmax(hand[:, 2] - one[:, 0, 2])
    between = hand[meeting] - goal[meeting] + (0, 0, 0.05)  # the thickness of a hand
    return [one, other + between * (1, 0, 1)]


@lru_cache(maxsize=8)  # the three cameras see the same performance
def perform(action: str, subject: int, replication: int, seed: int = 0) -> np.ndarray:
    """One performance before any sensor.

    Returns:
        (T, M, 25, 3) float64 metres, read-only: around the origin, floor at y = 0, facing -z more or less. T is 40 to 120
        frames at 30 fps; M is 2 for the actions in `actions.TOUCH`, else 1.
    """
    rng = np.random.default_rng((seed, 2, list(ACTIONS).index(action), subject, replication))
    habit = np.random.default_rng((seed, 3, subject))  # what a subject does alike in every performance
    usual_side, usual_tempo = habit.choice(["L", "R"], p=[0.3, 0.7]), habit.uniform(0.85, 1.2)
    seconds = np.arange(rng.integers(40, 121)) / FRAMES_PER_SECOND
    begin, finish = rng.uniform(0, 0.3) * seconds[-1], rng.uniform(0.75, 1) * seconds[-1]
    tempo, phase = usual_tempo * rng.uniform(0.8, 1.25), rng.uniform(0, 1)
    movers = []
    for _ in range(2 if action in TOUCH else 1):
        side = str(usual_side if rng.random() < 0.7 else rng.choice(["L", "R"]))
        movers.append(Mover(rng, seconds, begin, finish, tempo, phase, side))
        movers[-1].idle()
    facing = 180 + rng.uniform(-90, 90)
    if len(movers) == 2:
        facing += rng.choice([-90, 90])
    else:  # people turn about meanwhile; a pair stays face to face
        turning = ease(seconds, seconds[-1] * rng.uniform((0, 0.6), (0.4, 1)), (0, 1))
        movers[0].turn("SpineBase", YAW, rng.normal(0, 30) * turning)
    ACTIONS[action](*movers)
    bodies = (subject, int(rng.integers(1000, 2000)))  # partners are no subjects, so that train and test share nobody
    people = [forward_kinematics(mover, anatomy(body, seed)) for mover, body in zip(movers, bodies, strict=False)]
    joints = np.stack(_face_each_other(people, action) if len(people) == 2 else people, axis=1)
    joints[..., [0, 2]] += rng.uniform(-0.35, 0.35, size=2) - joints[:, :, 0][..., [0, 2]].mean(axis=(0, 1))
    joints = joints @ _turn(facing, 1).T
    joints.setflags(write=False)
    return joints


def observe(joints: np.ndarray, camera: int, subject: int, rng: np.random.Generator, seed: int = 0) -> np.ndarray:
    """What a Kinect v2 in the room of a subject tracks.

    Args:
        joints: (T, M, 25, 3) world metres, floor at y = 0.

    Returns:
        (T, M, 25, 3) float32 metres in the camera frame (x to the camera's left, so that a person who faces it has the left
        hand at smaller x; y up; z depth), with jitter, inferred joints that freeze or jump, and NaN while a body is lost.
    """
    mounting = np.random.default_rng((seed, 4, subject, camera)).normal(0, (4, 0.08, 1.5))
    yaw, height, tilt = np.asarray(CAMERAS[camera]) + mounting
    distance = np.random.default_rng((seed, 5, subject)).uniform(3.0, 3.6)
    seen = (joints @ _turn(yaw, 1).T + (0, -height, distance)) @ _turn(-tilt, 0).T
    num_frames, num_people = seen.shape[:2]
    ends = ("Hand", "Thumb", "Foot")
    size = np.array([1.8 if name.startswith(ends) else 1.0 for name in LAYOUT.joint_names])[:, None]
    size = 0.007 * size * (seen[:, :, :1, 2:] / 3) ** 2  # metres
    noise = rng.normal(size=(num_frames + 2, num_people, LAYOUT.num_joints, 3))
    seen = seen + size * (0.5 * noise[:-2] + 0.7 * noise[1:-1] + 0.5 * noise[2:])  # trackers smooth over time
    for person in range(num_people):
        for _ in range(rng.poisson(2)):  # inferred joints
            joint, start = rng.integers(2, LAYOUT.num_joints), rng.integers(0, num_frames)
            span = slice(start, start + rng.integers(3, 16))
            if rng.random() < 0.5:
                seen[span, person, joint] = seen[start, person, joint]
            else:
                seen[span, person, joint] += rng.normal(0, 0.08, size=3)
        if rng.random() < 0.1:
            start = rng.integers(0, num_frames - 10)
            seen[start : start + rng.integers(1, 6), person] = np.nan
    return seen.astype(np.float32)


def _label_of(action: int | str) -> int:
    """The label of an action, by its name or label. Raises ValueError if there is none."""
    names = list(ACTIONS)
    if action not in (names if isinstance(action, str) else range(len(names))):
        expected = f"one of {', '.join(names)}, or a label from 0 to {len(names) - 1}"
        raise ValueError(f"Unknown action {action!r}; expected {expected}.")
    return names.index(action) if isinstance(action, str) else int(action)


def generate(action: int | str, subject: int, camera: int, replication: int, seed: int = 0) -> SkeletonSequence:
    """One labelled clip (T, M, 25, 3) as `observe` gives it, people in no particular order; the same for the same arguments.

    Args:
        action: Name or 0-based label in `ACTIONS`.
        subject, replication: From 1; another performance by the same subject has another replication.
        camera: 1, 2 or 3.
        seed: Another seed, from 0, is another dataset.

    Raises:
        ValueError: no such action or camera, or a number that file names have no room for.
    """
    label = _label_of(action)
    for what, number, most in (("subject", subject, 999), ("camera", camera, 3), ("replication", replication, 999)):
        if not 1 <= number <= most:
            raise ValueError(f"The {what} is {number}; expected a number from 1 to {most}.")
    rng = np.random.default_rng((seed, 6, label, subject, replication, camera))
    joints = observe(perform(list(ACTIONS)[label], subject, replication, seed), camera, subject, rng, seed)
    joints = joints[:, rng.permutation(joints.shape[1])]
    # Like the sensor's own ids, two in one clip are equal once read as float64: a trap real files hold, too.
    body_ids = 2**56 + 16 * int(rng.integers(1, 600)) + np.arange(joints.shape[1])
    sample_id = f"S001C{camera:03d}P{subject:03d}R{replication:03d}A{label + 1:03d}"
    return SkeletonSequence(joints, LAYOUT, label, subject, camera, body_ids, sample_id)


def write_dataset(
    folder: str | Path,
    subjects: int = 10,
    replications: int = 2,
    cameras: int = 3,
    seed: int = 0,
    actions: Sequence[int | str] | None = None,
) -> list[Path]:
    """Write actions x subjects x replications x cameras files `SsssCcccPpppRrrrAaaa.skeleton`, every other one with CRLF.

    All 14 `ACTIONS` if `actions` names none. The folder appears once all its files are written, or not at all.

    Raises:
        FileExistsError: the folder exists and is not empty.
        ValueError: a number below 1, or what `generate` does not take.
    """
    folder = Path(folder)
    for what, number in (("subjects", subjects), ("replications", replications), ("cameras", cameras)):
        if number < 1:
            raise ValueError(f"{what} is {number}; expected 1 or more.")
    for action in actions or ():
        _label_of(action)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} exists and is not an empty folder; choose another folder or remove it first.")
    names: list[str] = []
    numbers = [range(1, count + 1) for count in (subjects, replications, cameras)]
    with replacing(folder.absolute()) as partial:
        partial.mkdir()
        for action in actions or ACTIONS:
            for subject, replication, camera in product(*numbers):
                clip = generate(action, subject, camera, replication, seed)
                names.append(f"{clip.sample_id}.skeleton")
                write_skeleton(clip, partial / names[-1], "\r\n" if len(names) % 2 else "\n")
        if folder.exists():
            folder.rmdir()
    return [folder / name for name in names]
