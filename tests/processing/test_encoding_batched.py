"""Batches of any clips: padded against listed, device operations against host, joint orders against each other, part columns."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import MakeClip

from s2i_hf.processing.encoding import EncodingOptions, encode
from s2i_hf.processing.encoding_batched import _encode_groups, encode_padded
from s2i_hf.processing.layouts import LAYOUTS, PARTS, SkeletonLayout
from s2i_hf.processing.resizing import part_columns


def ragged_batch(make_clip: MakeClip) -> tuple[list[np.ndarray], list[str]]:
    """Mixed lengths (some beyond the height of 40), formats and numbers of people."""
    names = [
        "kinect_v2",
        "kinect_v1",
        "kinect_v2",
        "lcrnet_13",
        "mediapipe_33",
        "kinect_v2",
        "kinect_v1",
        "mediapipe_33",
        "cmu_31",
    ]
    frames, people = [1, 7, 41, 40, 150, 39, 300, 12, 2], [1, 1, 2, 3, 1, 1, 2, 3, 2]
    return [
        make_clip(name, f, m, seed=i) for i, (name, f, m) in enumerate(zip(names, frames, people, strict=True))
    ], names


def padded(clips: list[np.ndarray]) -> tuple[torch.Tensor, list[int], list[int]]:
    joints = torch.zeros(len(clips), *np.max([clip.shape[:3] for clip in clips], axis=0), 3)
    for row, clip in zip(joints, clips, strict=True):
        row[: clip.shape[0], : clip.shape[1], : clip.shape[2]] = torch.from_numpy(clip)
    return joints, [clip.shape[0] for clip in clips], [clip.shape[1] for clip in clips]


OPTIONS = [
    EncodingOptions(size=(40, 100)),
    EncodingOptions(size=(40, 48)),  # three people of 33 joints share 48 columns: joints shrink too
    EncodingOptions(
        size=(40, 100), people="first", stream="bone", image_mean=(0.5, 0.4, 0.3), image_std=(0.2, 0.3, 0.4)
    ),
    EncodingOptions(size=(40, 100), part_widths="equal", value_range="per_axis", center="every_frame", stream="motion"),
    EncodingOptions(size=(40, 100), value_range="fixed", value_scale=1.7, center="none"),
    EncodingOptions(size=224, stream="bone", value_range="per_axis", center="none"),
    EncodingOptions(size=(40, 100), stream="bone_motion", value_range="per_axis"),
    EncodingOptions(size=(100, 40), stream="bone_motion", center="every_frame", part_widths="equal"),
]


@pytest.mark.parametrize("options", OPTIONS, ids=range(len(OPTIONS)))
@pytest.mark.parametrize("autocast", [False, True])
def test_padded_batches_give_the_numbers_of_lists(
    options: EncodingOptions, autocast: bool, make_clip: MakeClip
) -> None:
    clips, names = ragged_batch(make_clip)
    expected, _ = encode(clips, names, options)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        images, again = encode_padded(*padded(clips), names, options), encode(clips, names, options)[0]
    assert torch.equal(images, expected) and torch.equal(again, expected)


@pytest.mark.parametrize("options", OPTIONS, ids=range(len(OPTIONS)))
def test_the_operations_of_the_device_give_the_numbers_of_the_host(
    options: EncodingOptions, make_clip: MakeClip
) -> None:
    clips, names = ragged_batch(make_clip)
    for chosen in (slice(None), slice(0, 1), slice(2, 6, 3), slice(None, None, 5)):  # mixed groups, and one group alone
        joints, frames, people = padded(clips[chosen])
        people = [1] * len(people) if options.people == "first" else people
        found = _encode_groups(joints, frames, people, [LAYOUTS[name] for name in names[chosen]], options)
        assert found.dtype == torch.float32 and found.is_contiguous()
        torch.testing.assert_close(found, encode(clips[chosen], names[chosen], options)[0], atol=2e-5, rtol=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize("options", OPTIONS, ids=range(len(OPTIONS)))
def test_a_gpu_gives_the_numbers_of_the_host(options: EncodingOptions, make_clip: MakeClip) -> None:
    clips, names = ragged_batch(make_clip)
    joints, frames, people = padded(clips)
    with torch.autocast("cuda", dtype=torch.bfloat16):
        images = encode_padded(joints.cuda(), frames, people, names, options)
    assert images.is_cuda and images.dtype == torch.float32
    torch.testing.assert_close(images.cpu(), encode(clips, names, options)[0], atol=5e-5, rtol=0)


def test_a_clip_is_encoded_alike_in_any_batch(make_clip: MakeClip) -> None:
    clips, names = ragged_batch(make_clip)
    together, _ = encode(clips, names)
    for index in (0, 3, 6):
        assert torch.equal(encode([clips[index]], names[index])[0][0], together[index])


def test_clips_may_be_torch_or_lists_or_without_people_and_are_not_changed(make_clip: MakeClip) -> None:
    clip = make_clip(frames=6)
    before = clip.copy()
    expected, _ = encode([clip], "kinect_v2")
    for given in (
        torch.from_numpy(clip),
        clip[:, 0],
        torch.from_numpy(clip[:, 0]),
        clip.tolist(),
        clip.astype(np.float64),
    ):
        for stream in ("motion", "bone", "bone_motion"):
            encode([given], "kinect_v2", stream=stream)
        assert torch.equal(encode([given], "kinect_v2")[0], expected)
    np.testing.assert_array_equal(clip, before)
    assert torch.equal(
        encode(clip[None], LAYOUTS["kinect_v2"].to_dict())[0], expected
    )  # an array of clips is a list of them


def test_out_is_written_in_place(make_clip: MakeClip) -> None:
    clips = [make_clip(frames=frames) for frames in (5, 300)]
    out = torch.full((2, 3, 224, 224), 7.0)
    images, _ = encode(clips, "kinect_v2", out=out)
    assert images is out and torch.equal(out, encode(clips, "kinect_v2")[0])


def test_encoding_wants_no_gradient(make_clip: MakeClip) -> None:
    clip = torch.from_numpy(make_clip()).requires_grad_()
    assert not encode([clip], "kinect_v2")[0].requires_grad
    assert not encode_padded(clip[None], [20], [1], "kinect_v2").requires_grad


# --- formats ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_permuted_joint_order_gives_the_same_image(name: str, make_clip: MakeClip) -> None:
    layout = LAYOUTS[name]
    order = np.random.default_rng(1).permutation(layout.num_joints)
    new_place = {int(old): new for new, old in enumerate(order)}
    permuted = SkeletonLayout(
        "permuted",
        [layout.joint_names[old] for old in order],
        [new_place.get(layout.parents[old], -1) for old in order],
        parts=layout.parts, mirror_pairs=layout.mirror_pairs, center=layout.center, unit=layout.unit,
    )  # fmt: skip
    clip = make_clip(name, frames=17, people=2)
    for changes in ({}, {"stream": "bone", "part_widths": "equal"}):
        images, _ = encode([clip], layout, **changes)  # type: ignore[arg-type]
        torch.testing.assert_close(encode([clip[:, :, order]], permuted, **changes)[0], images, atol=2e-6, rtol=0)  # type: ignore[arg-type]


@pytest.mark.parametrize("part_widths", ["joints", "equal"])
@pytest.mark.parametrize("people", [1, 2, 4])
def test_part_columns_are_where_a_part_shows(part_widths: str, people: int) -> None:
    """Each part is lit alone, and must be brightest in its own columns."""
    for layout in LAYOUTS.values():
        columns = part_columns(layout, people, 224, part_widths)
        light = []
        for person in range(people):
            for part in PARTS:
                clip = np.zeros((1, people, layout.num_joints, 3), dtype=np.float32)
                clip[..., 0] = 0.25  # everyone is there
                clip[:, person, [layout.joint_names.index(joint) for joint in layout.parts[part]], 0] = 1.25
                image, _ = encode([clip], layout, center="none", value_range="fixed", part_widths=part_widths)
                light.append(image[0, 0, 0].numpy() - 0.25)
        light_of = np.stack(light)  # (M * 5, W)
        np.testing.assert_allclose(light_of.sum(axis=0), 1, atol=1e-5)
        np.testing.assert_allclose(light_of[columns, np.arange(224)], light_of.max(axis=0), atol=1e-5)


def test_equal_parts_have_the_documented_edges_in_every_format() -> None:
    for layout in LAYOUTS.values():
        columns = part_columns(layout, 2, 224, "equal")
        edges = [0, 22, 45, 67, 90, 112]  # round(k * 112 / 5)
        expected = np.concatenate(
            [np.repeat(np.arange(5), np.diff(edges)), 5 + np.repeat(np.arange(5), np.diff(edges))]
        )
        np.testing.assert_array_equal(columns, expected)
