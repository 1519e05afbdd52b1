"""`SkeletonSequence`: what it checks, and the way to a dataset row and back."""

from __future__ import annotations

import json

import numpy as np
import pytest
from conftest import MakeClip, refused

from s2i_hf.processing.layouts import LAYOUTS
from s2i_hf.processing.skeleton_sequence import SkeletonSequence


def test_row_round_trip(make_clip: MakeClip) -> None:
    joints = make_clip("kinect_v2", frames=7, people=2)
    joints[3, 1] = np.nan
    ids = np.array([72057594037931101, 72057594037931102])  # two real tracking ids that are one number as float64
    sequence = SkeletonSequence(joints, LAYOUTS["kinect_v2"], 59, 12, 3, ids, "S001C003P012R001A060")
    row = sequence.to_row()
    assert (
        row["shape"] == [7, 2, 25, 3] and row["joints"].shape == (7 * 2 * 25 * 3,) and row["joints"].dtype == np.float32
    )
    assert (row["layout"], row["label"], row["subject"], row["camera"]) == ("kinect_v2", 59, 12, 3)
    assert row["body_ids"] == [72057594037931101, 72057594037931102] and row["sample_id"] == "S001C003P012R001A060"
    through_json = json.loads(json.dumps({**row, "joints": row["joints"].tolist()}))
    for source in (row, through_json):
        stored = np.asarray(source["joints"], dtype=np.float32).reshape(source["shape"])
        again = SkeletonSequence(stored, **{key: source[key] for key in source if key not in ("joints", "shape")})
        np.testing.assert_array_equal(again.joints, joints)
        assert (
            again.layout is sequence.layout
            and again.body_ids.tolist() == ids.tolist()
            and again.body_ids.dtype == np.int64
        )
        assert (again.label, again.subject, again.camera, again.sample_id) == (59, 12, 3, "S001C003P012R001A060")


def test_defaults_and_types() -> None:
    sequence = SkeletonSequence(np.zeros((2, 3, 20, 3), dtype=np.float64).tolist(), "kinect_v1")  # type: ignore[arg-type]
    assert sequence.joints.dtype == np.float32 and sequence.joints.flags.c_contiguous
    assert sequence.layout is LAYOUTS["kinect_v1"] and sequence.body_ids.tolist() == [0, 1, 2]
    assert (sequence.label, sequence.subject, sequence.camera) == (-1, -1, -1)
    assert sequence == sequence and sequence != SkeletonSequence(
        sequence.joints, "kinect_v1"
    )  # not numpy's ambiguous answer


@pytest.mark.parametrize(
    ("shape", "body_ids", "says"),
    [
        ((5, 1, 20, 3), None, "kinect_v2"),
        ((5, 25, 3), None, r"\(5, 25, 3\)"),
        ((5, 1, 25, 2), None, r"\(5, 1, 25, 2\)"),
        ((0, 1, 25, 3), None, "at least one frame"),
        ((5, 0, 25, 3), None, "frame and person"),
        ((5, 2, 25, 3), [1], "body ids"),
    ],
)
def test_errors_name_the_clip(shape: tuple[int, ...], body_ids: list[int] | None, says: str) -> None:
    with refused(ValueError, "S001C001", match=says):
        SkeletonSequence(np.zeros(shape), "kinect_v2", body_ids=body_ids, sample_id="S001C001")  # type: ignore[arg-type]
