"""What a clip shows of its body is told from geometry, checked on bodies whose geometry is known."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from bodies import LEG, pose, turned, walker
from hypothesis import given, settings, strategies as st

from s2i_hf.inspection.body_checks import bone_pairs, check_body, landmarks, layout_misfit, nanmedian
from s2i_hf.processing.layouts import LAYOUTS, SkeletonLayout

V1 = LAYOUTS["kinect_v1"]
KNOWN = tuple(LAYOUTS.values())  # before tests make formats of their own known


def index(name, layout=V1):
    return layout.joint_names.index(name)


@pytest.mark.parametrize("layout", ["kinect_v1", "kinect_v2", "utd_mhad"])
def test_a_rigid_body_in_metres(layout):
    checks = check_body(walker(layout), LAYOUTS[layout])
    assert checks.bone_variation < 1e-5 and checks.unit == "m" and checks.size == pytest.approx(LEG, abs=1e-4)
    assert (checks.up, checks.sides) == ("+y", "as named")
    assert (checks.nan, checks.zero, checks.absent, checks.empty_frames, checks.still) == (0, 0, 0, 0, 0)


def test_lengths_of_bones_by_hand():
    lengths = check_body(walker(), V1).bone_lengths
    expected = {"KneeL": 0.45, "AnkleR": 0.4, "Spine": 0.1, "Head": 0.2, "FootL": float(np.hypot(0.03, 0.12))}
    assert {name: lengths[index(name)] for name in expected} == pytest.approx(expected, abs=1e-4)
    assert np.isnan(lengths[index("HipCenter")])  # the root has no bone


def test_variation_against_loops():
    rng = np.random.default_rng(3)
    joints = np.concatenate([walker(seed=1), walker(seed=2)], axis=1) + rng.normal(0, 0.02, (12, 2, 20, 3)).astype(
        np.float32
    )
    joints[2, 0, 5] = np.nan
    deviation = total = 0.0
    for person in range(2):
        for joint, parent in enumerate(V1.parents):
            if parent < 0:
                continue
            lengths = [
                float(
                    np.sqrt(sum((float(a) - float(b)) ** 2 for a, b in zip(frame[joint], frame[parent], strict=True)))
                )
                for frame in joints[:, person]
            ]
            lengths = [length for length in lengths if length == length]
            middle = float(np.median(lengths))
            total += middle
            deviation += sum(abs(length - middle) for length in lengths) / len(lengths)
    assert check_body(joints, V1).bone_variation == pytest.approx(deviation / total, rel=1e-6)


@pytest.mark.parametrize(("scale", "unit"), [(1, "m"), (100, "cm"), (1000, "mm"), (1e5, "unknown")])
def test_unit_is_told_from_the_legs(scale, unit):
    assert check_body(walker() * scale, V1).unit == unit


@pytest.mark.parametrize(("scale", "unit"), [(400, "px"), (0.2, "normalized")])
def test_flat_bodies_are_in_an_image(scale, unit):
    joints = (walker() - np.float32([0, 0, 3])) * scale
    joints[..., 2] = 0
    checks = check_body(joints, V1)
    assert (checks.unit, checks.up, checks.sides) == (
        unit,
        "+y",
        "mirrored",
    )  # Kinect's x grows to the left of an image
    assert check_body(joints * np.float32([-1, 1, 1]), V1).sides == "as named"


@pytest.mark.parametrize(
    ("axes", "signs", "up"), [((0, 2, 1), (1, 1, 1), "+z"), ((1, 0, 2), (1, 1, 1), "+x"), ((0, 1, 2), (1, -1, 1), "-y")]
)
def test_up_is_where_the_head_is(axes, signs, up):
    assert check_body(walker()[..., list(axes)] * np.float32(signs), V1).up == up


def test_somebody_who_lies_or_bows_does_not_say_what_is_up():
    joints = walker()
    tilt = np.float32([[1, 0, 0], [0, np.cos(0.7), -np.sin(0.7)], [0, np.sin(0.7), np.cos(0.7)]])
    assert check_body(joints @ tilt.T, V1).up == ""


@settings(deadline=None)
@given(yaw=st.floats(-3.2, 3.2), seed=st.integers(0, 9))
def test_sides_do_not_depend_on_where_somebody_faces(yaw, seed):
    joints = walker(yaw=yaw, seed=seed)
    assert check_body(joints, V1).sides == "as named"
    assert check_body(joints * np.float32([-1, 1, 1]), V1).sides == "mirrored"  # one axis is flipped
    assert check_body(joints[:, :, list(V1.mirror)], V1).sides == "mirrored"  # left and right are swapped
    assert check_body(joints[:, :, list(V1.mirror)] * np.float32([1, 1, -1]), V1).sides == "as named"


def test_without_toes_the_hands_tell_the_front():
    sbu = LAYOUTS["sbu_15"]
    assert landmarks(sbu).toes == () and landmarks(sbu).hands  # LFoot hangs on the knee: it is the ankle
    body = pose()
    names = {"Shoulder": "Shoulder", "Elbow": "Elbow", "Hand": "Hand", "Hip": "Hip", "Knee": "Knee", "Foot": "Ankle"}
    place = {"head": "Head", "neck": "ShoulderCenter", "torso": "Spine"}
    place |= {f"{side}{ours}": f"{theirs}{side}" for side in "LR" for ours, theirs in names.items()}
    joints = np.float32([[body[index(place[name])] for name in sbu.joint_names]] * 4)[:, None] + np.float32([0, 0, 3])
    assert check_body(joints, sbu).sides == "as named"
    assert check_body(joints * np.float32([-1, 1, 1]), sbu).sides == "mirrored"


def test_what_is_missing_is_counted():
    joints = np.concatenate([walker(), walker(seed=1)], axis=1)  # (12, 2, 20, 3)
    joints[0, 0, :3] = np.nan  # three joints
    joints[1, 0, 4] = 0  # one joint
    joints[2:4, 1] = np.nan  # the second is away for two frames
    joints[5] = 0  # nobody
    joints[8] = joints[7]
    joints[9, 0, 0] = np.inf
    checks = check_body(joints, V1)
    assert (checks.nan, checks.zero, checks.absent, checks.empty_frames, checks.still) == (4, 1, 4, 1, 1)
    assert checks.total == 12 * 2 * 20 and checks.bone_variation < 1e-5


def test_nobody_at_all():
    for joints in (np.zeros((3, 1, 20, 3), np.float32), np.full((3, 1, 20, 3), np.nan, np.float32)):
        checks = check_body(joints, V1)
        assert np.isnan(checks.bone_variation) and (checks.unit, checks.up, checks.sides) == (
            "unknown",
            "",
            "cannot tell",
        )
        assert checks.empty_frames == 3 and np.isnan(layout_misfit(joints, V1))


def test_the_right_tree_fits_best():
    assert layout_misfit(walker("kinect_v2"), LAYOUTS["kinect_v2"]) < 0.5 * layout_misfit(
        walker("kinect_v2"), LAYOUTS["openpose_25"]
    )
    for right, wrong in (("kinect_v1", "utd_mhad"), ("utd_mhad", "kinect_v1")):
        assert layout_misfit(walker(right), LAYOUTS[right]) < 0.88 * layout_misfit(walker(right), LAYOUTS[wrong])


def test_every_layout_has_bones_and_mirrored_landmarks():
    for layout in KNOWN:
        joints, parents = bone_pairs(layout)
        assert len(joints) == sum(parent >= 0 for parent in layout.parents) and (parents >= 0).all()
        marks = landmarks(layout)
        for left, right in (*marks.shoulders, *marks.hips):
            assert layout.mirror[left] == right
        assert marks.head and len(marks.feet) == 2 and len(marks.hands) == 2


def test_a_format_of_ones_own_that_says_little():
    dots = SkeletonLayout("dots", ["a", "b"], [-1, 0], parts={"torso": ["a", "b"]}, mirror_pairs=[], center="a")
    checks = check_body(np.random.default_rng(0).normal(size=(5, 1, 2, 3)).astype(np.float32), dots)
    assert checks.sides == "cannot tell" and checks.up == "" and checks.bone_variation > 0
    one = SkeletonLayout("one", ["head"], [-1])
    assert np.isnan(check_body(np.ones((5, 1, 1, 3), np.float32), one).bone_variation)


@settings(max_examples=60, deadline=None)
@given(
    layout=st.sampled_from(sorted(LAYOUTS)), frames=st.integers(1, 4), people=st.integers(1, 3), seed=st.integers(0, 99),
    bad=st.sampled_from([0.0, np.nan, np.inf, -np.inf, 3e38]), share=st.floats(0, 1),
)  # fmt: skip
def test_any_clip_is_checked_without_a_warning(layout, frames, people, seed, bad, share):
    rng = np.random.default_rng(seed)
    joints = rng.normal(size=(frames, people, LAYOUTS[layout].num_joints, 3)).astype(np.float32)
    joints[rng.random(joints.shape[:3]) < share] = bad
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checks = check_body(joints, LAYOUTS[layout])
        layout_misfit(joints, LAYOUTS[layout])
    assert 0 <= checks.nan + checks.zero <= checks.total and checks.up in ("", "+x", "-x", "+y", "-y", "+z", "-z")


@settings(deadline=None)
@given(st.lists(st.lists(st.one_of(st.just(float("nan")), st.floats(-5, 5)), min_size=3, max_size=3), max_size=7))
def test_nanmedian_is_that_of_numpy(values):
    array = np.array(values, dtype=float).reshape(-1, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = np.nanmedian(array, axis=0) if len(array) else np.full(3, np.nan)
    np.testing.assert_allclose(nanmedian(array), expected)


def test_turning_is_a_rotation():
    body = pose()
    np.testing.assert_allclose(turned(body, np.pi)[:, 1], body[:, 1])
    np.testing.assert_allclose(turned(turned(body, 0.4), -0.4), body, atol=1e-12)


def test_real_people_have_their_left_on_their_left(real_data):
    from s2i_hf.readers.benchmarks import nw_ucla

    files = sorted((real_data / "NW-UCLA" / "all_sqe").glob("*.json"))[::25]
    checks = [check_body(clip.joints, clip.layout) for clip in map(nw_ucla.read, files)]
    assert len(checks) == 60 and all(check.unit == "m" and check.up == "+y" for check in checks)
    assert sum(check.sides == "as named" for check in checks) >= 58
