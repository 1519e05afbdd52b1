"""Two people: an action that only the partner tells apart is told apart with `people="adaptive"`, and is not with `people="first"`."""

from __future__ import annotations

import numpy as np
import pytest

from s2i_hf.data.skeleton_rows import as_layout, as_rows
from s2i_hf.evaluation.features import extract_features
from s2i_hf.evaluation.probes import evaluate_probe
from s2i_hf.experiments.robustness import Damage
from s2i_hf.models.building import build_mae, encoder_of
from s2i_hf.processing.image_processing_skeleton import SkeletonProcessor


def pairs(count: int, seed: int):
    """Actor 1 steps about alike in every class; the partner goes up, to the right, or away."""
    generator = np.random.default_rng(seed)
    ways = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1]])
    bodies = np.random.default_rng(1).normal(scale=0.4, size=(2, 20, 3)) + np.array([[[0, 0, 3]], [[1.2, 0, 3]]])
    rows = []
    for index in range(count):
        time = np.linspace(0, 1, int(generator.integers(10, 16)))[:, None, None]
        one = bodies[0] + 0.6 * np.sin(3 * time) * np.array([1.0, 0.3, 0.2])
        other = bodies[1] + time * ways[index % 3]
        joints = np.stack([one, other], axis=1) + 0.02 * generator.normal(size=(len(time), 2, 20, 3))
        rows.append({"joints": joints.astype(np.float32), "layout": "kinect_v1", "label": index % 3, "subject": index % 4,
                     "camera": 1, "sample_id": f"{seed}_{index}"})  # fmt: skip
    return as_rows(rows)


def accuracy(people: str, train, test) -> float:
    encoder = encoder_of(build_mae("config:micro", image_size=32))
    processor = SkeletonProcessor(layout="kinect_v1", size=32, people=people, value_range="fixed")
    features = [extract_features(encoder, rows, processor) for rows in (train, test)]
    result = evaluate_probe(
        "linear_probe", features[0], train.labels, train.subjects, features[1], test.labels, pooling="mean"
    )
    return result.metrics["top1"]


@pytest.mark.parametrize("layout", ["kinect_v1", "lcrnet_13"])
def test_what_the_partner_does_is_seen(layout):
    train, test = as_layout(pairs(60, 0), layout), as_layout(pairs(30, 1), layout)
    assert test[0]["joints"].shape[1] == 2
    assert accuracy("adaptive", train, test) > 0.9
    assert accuracy("first", train, test) < 0.6  # a third is chance


def test_both_lose_the_same_joints():
    row = pairs(1, 0)[0]
    damaged = Damage("drop_joints", 0.2, "missing")(row)["joints"]
    lost = np.isnan(damaged).all(axis=(0, 3))
    assert lost.sum(axis=1).tolist() == [4, 4] and (lost[0] == lost[1]).all()
