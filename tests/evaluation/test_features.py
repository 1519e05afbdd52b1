"""Features against plain loops over tokens, pixels and rotations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from conftest import refused

from s2i_hf.evaluation.features import MoreViews, extract_features, part_weights, raw_features, rotated
from s2i_hf.models.backbones import untrained_backbone
from s2i_hf.models.building import build_mae, encoder_of
from s2i_hf.processing.augmentation import Augmentation, rotation_matrix
from s2i_hf.processing.encoding import encode
from s2i_hf.processing.image_processing_skeleton import SkeletonProcessor
from s2i_hf.processing.layouts import LAYOUTS
from s2i_hf.processing.transforms import prepare

CLASSES = 6


def clip(seed, frames=9, people=1, layout="kinect_v1"):
    generator = np.random.default_rng(seed)
    body = generator.normal(size=(1, 1, LAYOUTS[layout].num_joints, 3))
    walk = generator.normal(scale=0.05, size=(frames, people, 1, 3)).cumsum(axis=0)
    joints = (body + walk + generator.normal(size=(1, people, 1, 3))).astype(np.float32)
    return {
        "joints": joints,
        "layout": layout,
        "label": seed % CLASSES,
        "subject": seed % 4,
        "sample_id": f"clip{seed}",
    }


@pytest.fixture(scope="module")
def model():
    return build_mae("config:micro", image_size=64, patch_size=16, seed=3)


def test_features_are_means_of_the_tokens(model):
    rows = [clip(0), clip(1, frames=80), clip(2, people=2), clip(3, layout="kinect_v2"), clip(4, frames=1)]
    processor = SkeletonProcessor(size=64)
    encoder = encoder_of(model)
    features = extract_features(encoder, rows, processor, batch_size=2)
    for index, row in enumerate(rows):
        images, _ = encode([row["joints"]], row["layout"], processor.encoding_options)
        with torch.no_grad():
            tokens = encoder(images).last_hidden_state[0]
        torch.testing.assert_close(torch.tensor(features["mean"][index]), tokens[1:].mean(dim=0), atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(torch.tensor(features["cls"][index]), tokens[0], atol=1e-5, rtol=1e-4)
    assert features["part"].shape == (5, 5 * 64)


@pytest.mark.parametrize(("layout", "people"), [("kinect_v1", 1), ("kinect_v2", 1), ("kinect_v2", 2), ("lcrnet_13", 3)])
def test_part_features_average_the_patches_of_a_part(model, layout, people):
    """Against a loop over pixel columns: each belongs to the joint whose centre is nearest, each patch counts by its columns."""
    row = clip(5, people=people, layout=layout)
    width, patch, joints = 64, 16, LAYOUTS[layout].num_joints
    part_of_slot = [part for part, size in enumerate(LAYOUTS[layout].part_sizes) for _ in range(size)]
    edges = [int(k * width / people + 0.5) for k in range(people + 1)]
    encoder, processor = encoder_of(model), SkeletonProcessor(size=width)
    images, _ = encode([row["joints"]], layout, processor.encoding_options)
    with torch.no_grad():
        patches = encoder(images).last_hidden_state[0, 1:].reshape(4, 4, -1).double()
    in_time = torch.zeros(4, 5, patches.shape[-1], dtype=torch.float64)
    for part in range(5):
        for person in range(people):
            block = edges[person + 1] - edges[person]
            total, columns = torch.zeros(4, patches.shape[-1], dtype=torch.float64), 0
            for column in range(edges[person], edges[person + 1]):
                slot = min(max((column - edges[person] + 0.5) * joints / block - 0.5, 0), joints - 1)
                weights = np.zeros(5)
                weights[part_of_slot[int(slot)]] += 1 - (slot - int(slot))
                weights[part_of_slot[min(int(slot) + 1, joints - 1)]] += slot - int(slot)
                if weights.argmax() == part:
                    total += patches[:, column // patch]
                    columns += 1
            in_time[:, part] += total / max(columns, 1) / people
    features = extract_features(encoder, [row], processor, poolings=("part", "part_std"))
    assert list(features) == ["part", "part_std"]
    expected = in_time.mean(dim=0)
    found = torch.tensor(features["part"][0]).reshape(5, -1)
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=1e-4)
    varies = (in_time - expected).square().mean(dim=0).sqrt()
    found = torch.tensor(features["part_std"][0]).reshape(2, 5, -1)
    torch.testing.assert_close(found.double(), torch.stack([expected, varies]), atol=1e-5, rtol=1e-4)


def test_features_of_another_stream(model):
    rows, processor, encoder = [clip(0), clip(1, people=2)], SkeletonProcessor(size=64), encoder_of(model)
    bones = extract_features(encoder, rows, processor, stream="bone")["mean"]
    np.testing.assert_array_equal(
        bones, extract_features(encoder, rows, SkeletonProcessor(size=64, stream="bone"))["mean"]
    )
    assert np.abs(bones - extract_features(encoder, rows, processor)["mean"]).max() > 1e-3


@pytest.mark.parametrize("stream", ["joint", "motion", "bone_motion"])
def test_features_of_rotations_are_the_mean_over_views(model, stream):
    """Against rotations written out; two people, and a gap, which is filled before anything is rotated."""
    rows, processor, encoder = [clip(0), clip(1, people=2), clip(2)], SkeletonProcessor(size=64), encoder_of(model)
    rows[2]["joints"][:, 0, 7] = np.nan
    features = extract_features(encoder, rows, processor, stream=stream, rotations=3, batch_size=2)
    filled = [prepare(row["joints"], "kinect_v1")[0] for row in rows]
    for pooling in ("mean", "cls", "part"):
        expected = []
        for angle in (0, 2 * np.pi / 3, 4 * np.pi / 3):
            seen = []
            for row, joints in zip(rows, filled, strict=True):
                x, y, z = np.moveaxis(joints.astype(np.float64), -1, 0)
                cos, sin = np.cos(angle), np.sin(angle)
                seen.append(
                    {**row, "joints": np.stack([cos * x + sin * z, y, cos * z - sin * x], axis=-1).astype(np.float32)}
                )
            expected.append(extract_features(encoder, seen, processor, stream=stream)[pooling])
        np.testing.assert_allclose(features[pooling], np.mean(expected, axis=0), atol=2e-4)


def test_a_rotated_clip_has_the_features_of_the_clip(model):
    processor, encoder = SkeletonProcessor(size=64), encoder_of(model)
    other = [rotated(clip(0), 2 * np.pi / 4), rotated(clip(1, people=2), np.pi)]
    here, there = (
        extract_features(encoder, rows, processor, rotations=4)["part"]
        for rows in ([clip(0), clip(1, people=2)], other)
    )
    alone = [extract_features(encoder, rows, processor)["part"] for rows in ([clip(0), clip(1, people=2)], other)]
    np.testing.assert_allclose(here, there, atol=1e-4)
    assert np.abs(alone[0] - alone[1]).max() > 1e-2
    with pytest.raises(ValueError, match="rotations is 0; expected 1 or more"):
        extract_features(encoder, [clip(0)], processor, rotations=0)


def test_turning_keeps_heights_and_distances():
    row = clip(3, people=2)
    joints = rotated(row, 1.0)["joints"]
    np.testing.assert_allclose(joints[..., 1], row["joints"][..., 1], atol=1e-5)
    pairs = lambda points: np.linalg.norm(points[:, :, :, None] - points[:, :, None], axis=-1)  # noqa: E731
    np.testing.assert_allclose(pairs(joints), pairs(row["joints"]), atol=1e-4)
    spine = LAYOUTS["kinect_v1"].joint_names.index("Spine")
    np.testing.assert_allclose(joints[0, 0, spine], row["joints"][0, 0, spine], atol=1e-5)
    np.testing.assert_allclose(rotated({**row, "joints": joints}, -1.0)["joints"], row["joints"], atol=1e-5)


def test_who_walks_far_stays_in_the_scene_when_rotated():
    row = clip(5, frames=40)
    row["joints"][..., 2] += np.linspace(11, 0, 40)[:, None, None]  # metres, towards the camera
    joints = rotated(row, np.pi)["joints"]
    assert np.ptp(joints[..., 2]) > 10 and np.abs(joints).max() < 20
    np.testing.assert_allclose(
        np.diff(joints[..., [0, 2]], axis=0), -np.diff(row["joints"][..., [0, 2]], axis=0), atol=1e-4
    )
    again, _ = prepare(joints, "kinect_v1")  # not taken for millimetres
    np.testing.assert_array_equal(again, joints)


def test_pixels_are_not_rotated(model):
    flat = clip(0, layout="coco_17")
    with refused(ValueError, match="'coco_17' is in pixels and has no depth"):
        extract_features(encoder_of(model), [flat], SkeletonProcessor(size=64), rotations=3)


def test_part_weights_add_up():
    for people in (1, 2, 3, 4):
        weights = part_weights(LAYOUTS["kinect_v2"], people, 14, 224, "joints")
        np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)  # also where a part is narrower than a patch


def test_extraction_leaves_the_encoder_as_it_was(model):
    encoder = encoder_of(model).train()
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    first = extract_features(encoder, [clip(0), clip(1)], SkeletonProcessor(size=64))
    assert encoder.training and all(parameter.grad is None for parameter in encoder.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in encoder.state_dict().items())
    again = extract_features(encoder, [clip(0), clip(1)], SkeletonProcessor(size=64), batch_size=1)
    np.testing.assert_allclose(first["mean"], again["mean"], atol=1e-5)


def test_the_untrained_encoder_is_the_start_of_the_pretrained_one():
    model = build_mae("config:micro", image_size=64, seed=5)
    rows = [clip(index) for index in range(3)]
    processor = SkeletonProcessor(size=64)
    start = extract_features(encoder_of(model), rows, processor)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    trained = extract_features(encoder_of(model), rows, processor)
    untrained = extract_features(encoder_of(untrained_backbone(model, 5)), rows, processor)
    np.testing.assert_array_equal(untrained["mean"], start["mean"])
    assert np.abs(untrained["mean"] - trained["mean"]).max() > 1e-2
    table = encoder_of(untrained_backbone(model, 5)).embeddings.position_embeddings
    assert table[0, 1:].abs().max() > 0.5  # a stock model without positions would be an unfair baseline


def test_raw_features_are_centred_and_resampled():
    rows = [clip(0, frames=23), clip(1, frames=5, people=2), clip(2, frames=1)]
    features = raw_features(rows).reshape(3, 16, 2, 20, 3)
    spine = LAYOUTS["kinect_v1"].joint_names.index("Spine")
    for index, row in enumerate(rows):
        joints = row["joints"] - row["joints"][0, 0, spine]
        for person in range(joints.shape[1]):
            for joint in (0, 7, 19):
                for axis in range(3):
                    expected = np.interp(
                        np.linspace(0, len(joints) - 1, 16), np.arange(len(joints)), joints[:, person, joint, axis]
                    )
                    np.testing.assert_allclose(features[index, :, person, joint, axis], expected, atol=1e-5)
    assert (features[0, :, 1] == 0).all() and (features[2, :, 1] == 0).all()
    assert raw_features(rows[1:2], num_frames=4, num_people=1).shape == (1, 4 * 20 * 3)


def test_raw_features_need_one_format():
    with pytest.raises(ValueError, match=r"\[20, 25\] joints"):
        raw_features([clip(0), clip(1, layout="kinect_v2")])


# --- more views ---------------------------------------------------------------------------------------------------------


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
    both = MoreViews(rows, 2, turn, seed=3)
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
        again = MoreViews(rows[index : index + 1], 2, turn, seed=3)[1]
        np.testing.assert_array_equal(again["joints"], first["joints"])  # whatever rows are beside it


def test_rotations_follow_the_clips_all_around() -> None:
    rows = clips()
    seen = MoreViews(rows, 0, Augmentation(), 0, 4)
    assert len(seen) == 36 and seen[5] is rows[5]
    pivot = rows[5]["joints"][0, 0, 1]  # the spine
    for turn in range(1, 4):
        expected = (rows[5]["joints"] - pivot) @ rotation_matrix(turn * np.pi / 2, 0, 0).T + pivot
        np.testing.assert_allclose(seen[turn * 9 + 5]["joints"], expected, atol=1e-5)
        assert seen[turn * 9 + 5]["label"] == rows[5]["label"]


@pytest.mark.parametrize(
    "seen", [MoreViews(clips(3), 0, Augmentation(), 0, 4), MoreViews(clips(3), 1, Augmentation(yaw=1.0), 0, 2)]
)
def test_views_end_with_the_last(seen: Any) -> None:
    assert len(list(seen)) == len(seen) == 12
    for index in (-1, 12):
        with pytest.raises(IndexError, match=rf"index is {index}; expected 0 to 11"):
            seen[index]
