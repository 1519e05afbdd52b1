"""Joint order and interpolation: against `F.interpolate`, on host and device alike, and back to joints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import MakeClip, refused

from s2i_hf.processing.encoding import EncodingOptions, decode, encode
from s2i_hf.processing.encoding_batched import _encode_groups, encode_padded
from s2i_hf.processing.image_processing_skeleton import SkeletonProcessor
from s2i_hf.processing.layouts import LAYOUTS
from s2i_hf.processing.resizing import Columns, image_order, joint_weights, part_columns, resize_weights, time_taps

LENGTHS = [(1, 7), (7, 7), (5, 224), (223, 224), (225, 224), (900, 224), (33, 14), (3, 1), (2, 224)]
PLAIN = {"center": "none", "value_range": "fixed"}


def interpolated(values: torch.Tensor, size: tuple[int, int], interpolation: str) -> torch.Tensor:
    """(3, T, V) -> (3, H, W) by torch, one axis after the other."""
    mode = {"linear": "bilinear", "cubic": "bicubic", "nearest": "nearest-exact"}[interpolation]
    for step in ((size[0], values.shape[2]), size):
        shrinks = step[0] < values.shape[1] or step[1] < values.shape[2]
        more = {} if mode == "nearest-exact" else {"align_corners": False, "antialias": shrinks}
        values = F.interpolate(values[None], step, mode=mode, **more)[0]
    return values


@pytest.mark.parametrize("interpolation", ["linear", "nearest", "cubic"])
@pytest.mark.parametrize(("size_in", "size_out"), LENGTHS)
def test_resize_weights_are_those_of_torch(size_in: int, size_out: int, interpolation: str) -> None:
    unit = torch.eye(size_in, dtype=torch.float64)[None]  # every input alone
    expected = interpolated(unit, (size_out, size_in), interpolation)[0]
    np.testing.assert_allclose(resize_weights(size_in, size_out, interpolation), expected.numpy(), atol=1e-12)


@pytest.mark.parametrize("interpolation", ["linear", "nearest", "cubic"])
@pytest.mark.parametrize("joint_order", ["parts", "sensor", "random"])
@pytest.mark.parametrize("frames", [5, 40, 90])
def test_images_equal_torch_and_the_padded_batch_and_come_back(
    interpolation: str, joint_order: str, frames: int, make_clip: MakeClip
) -> None:
    clips = [make_clip("kinect_v1", frames=frames), make_clip("kinect_v1", frames=31, people=2)]
    options = EncodingOptions(size=(64, 96), joint_order=joint_order, interpolation=interpolation, **PLAIN)  # type: ignore[arg-type]
    images, metadata = encode(clips, "kinect_v1", options)
    order = image_order(LAYOUTS["kinect_v1"], joint_order)
    for person in range(2):  # of the second clip
        block = torch.from_numpy(clips[1][:, person, list(order)]).permute(2, 0, 1)
        expected = interpolated(block, (64, 48), interpolation)
        torch.testing.assert_close(images[1, :, :, 48 * person : 48 * person + 48], expected, atol=1e-5, rtol=0)
    padded = torch.zeros(2, max(frames, 31), 2, 20, 3)
    for index, clip in enumerate(clips):
        padded[index, : len(clip), : clip.shape[1]] = torch.from_numpy(clip)
    sizes = ([frames, 31], [1, 2])
    torch.testing.assert_close(encode_padded(padded, *sizes, "kinect_v1", options), images, atol=1e-5, rtol=0)
    on_device = _encode_groups(padded, *sizes, [LAYOUTS["kinect_v1"]] * 2, options)
    torch.testing.assert_close(on_device, images, atol=1e-5, rtol=0)
    for found, clip in zip(decode(images, metadata), clips, strict=True):
        if len(clip) <= 64:
            np.testing.assert_allclose(found.numpy(), clip, atol=1e-4)
        else:
            assert found.shape == clip.shape and np.isfinite(found.numpy()).all()


def test_joint_orders() -> None:
    layout = LAYOUTS["kinect_v2"]
    assert image_order(layout) == tuple(layout.order) and image_order(layout, "sensor") == tuple(range(25))
    shuffled = image_order(layout, "random", 0)
    assert sorted(shuffled) == list(range(25)) and shuffled != image_order(layout, "random", 1)
    # fixed for good: a saved processor must mean the same order on any machine
    assert shuffled[:6] == (1, 22, 16, 9, 7, 5)
    weights = joint_weights(layout, 1, 25, Columns(joint_order="random"))
    assert weights.argmax(axis=1).tolist() == list(shuffled)


@pytest.mark.parametrize("joint_order", ["sensor", "random"])
def test_part_columns_follow_the_order(joint_order: str) -> None:
    layout = LAYOUTS["kinect_v1"]
    columns = part_columns(layout, 2, 40, Columns(joint_order=joint_order))  # a pixel a joint
    part_of = {joint: part for part, joints in enumerate(layout.parts.values()) for joint in joints}
    expected = [part_of[layout.joint_names[joint]] for joint in image_order(layout, joint_order)]
    assert columns.tolist() == [*expected, *(5 + part for part in expected)]


def test_only_cubic_mixes_more_than_two_frames() -> None:
    assert time_taps(10, 64) is not None and time_taps(10, 64, "nearest") is not None
    assert time_taps(10, 64, "cubic") is None


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"joint_order": "shuffled"}, "parts, sensor, random"),
        ({"interpolation": "bilinear"}, "linear, nearest, cubic"),
        ({"joint_order": "sensor", "part_widths": "equal"}, "joint_order 'sensor' has no parts"),
    ],
)
def test_options_that_do_not_go_together(values: dict[str, Any], says: str) -> None:
    for make in (EncodingOptions, SkeletonProcessor):
        with refused(ValueError, match=says):
            make(**values)


def test_a_config_from_before_these_options_means_what_it_meant(tmp_path: Path, make_clip: MakeClip) -> None:
    processor = SkeletonProcessor(layout="kinect_v2", stream="bone")
    processor.save_pretrained(tmp_path)
    path = tmp_path / "preprocessor_config.json"
    saved = json.loads(path.read_text())
    assert [saved.pop(name) for name in ("joint_order", "order_seed", "interpolation")] == ["parts", 0, "linear"]
    path.write_text(json.dumps(saved))
    old = SkeletonProcessor.from_pretrained(tmp_path)
    assert old.encoding_options == processor.encoding_options
    clip = make_clip(frames=9)
    assert torch.equal(old(clip)["pixel_values"], processor(clip)["pixel_values"])
