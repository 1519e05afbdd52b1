"""Copies and turns of training clips: what they change, and what they leave."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from s2i_hf.evaluation.probes import folds_with_copies
from s2i_hf.evaluation.views import WithCopies, WithTurns
from s2i_hf.processing.augmentation import Augmentation, rotation_matrix


def clips(count: int = 9) -> list[dict[str, Any]]:
    generator = np.random.default_rng(0)
    body, walk = (
        generator.normal(size=(1, 1, 20, 3)),
        generator.normal(scale=0.05, size=(count, 12, 1, 1, 3)).cumsum(axis=1),
    )
    joints = (body + walk + generator.normal(scale=0.02, size=(count, 12, 1, 20, 3))).astype(np.float32)
    return [
        {"joints": joints[index], "layout": "kinect_v1", "label": index % 3, "sample_id": f"clip{index}"}
        for index in range(count)
    ]


def test_copies_follow_the_clips_and_turn_about_the_vertical() -> None:
    rows, turn = clips(), Augmentation(yaw=1.5)
    both = WithCopies(rows, 2, turn, seed=3)
    assert len(both) == 3 * len(rows)
    for index in (0, 7, len(rows) - 1):
        clip, first, second = (both[index + copy * len(rows)] for copy in range(3))
        assert clip is rows[index]
        for copy in (first, second):
            assert (copy["label"], copy["sample_id"]) == (clip["label"], clip["sample_id"])
            np.testing.assert_allclose(copy["joints"][..., 1], clip["joints"][..., 1], atol=1e-5)  # heights stay
            bones = [np.linalg.norm(row["joints"][:, :, 1:] - row["joints"][:, :, :1], axis=-1) for row in (copy, clip)]
            np.testing.assert_allclose(*bones, atol=1e-5)
        assert np.abs(first["joints"] - second["joints"]).max() > 0.01
        again = WithCopies(rows[index : index + 1], 2, turn, seed=3)[1]
        np.testing.assert_array_equal(again["joints"], first["joints"])  # whatever rows are beside it


def test_turns_follow_the_clips_all_around() -> None:
    rows = clips()
    seen = WithTurns(rows, 4)
    assert len(seen) == 36 and seen[5] is rows[5]
    pivot = rows[5]["joints"][0, 0, 1]  # the spine
    for turn in range(1, 4):
        expected = (rows[5]["joints"] - pivot) @ rotation_matrix(turn * np.pi / 2, 0, 0).T + pivot
        np.testing.assert_allclose(seen[turn * 9 + 5]["joints"], expected, atol=1e-5)
        assert seen[turn * 9 + 5]["label"] == rows[5]["label"]


@pytest.mark.parametrize("seen", [WithTurns(clips(3), 4), WithCopies(clips(3), 3, Augmentation(yaw=1.0), seed=0)])
def test_views_end_with_the_last(seen: Any) -> None:
    assert len(list(seen)) == len(seen) == 12
    for index in (-1, 12):
        with pytest.raises(IndexError, match=rf"index is {index}; expected 0 to 11"):
            seen[index]


def test_copies_are_held_out_with_their_clip_and_never_choose() -> None:
    fit, choose = np.array([True, False, True, False]), np.array([False, True, False, False])
    [(fitted, chosen)] = folds_with_copies([(fit, choose)], 3)
    np.testing.assert_array_equal(fitted, [*fit, *fit, *fit])
    np.testing.assert_array_equal(chosen, [*choose, *[False] * 8])
