"""`decode(encode(x))` returns x to 0.1 mm: on every format and option, and on random trees with invented names."""

from __future__ import annotations

import itertools
import json
import string
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import MakeClip, refused
from hypothesis import given, settings, strategies as st

from s2i_hf.processing.encoding import STREAMS, EncodingOptions, decode, encode
from s2i_hf.processing.layouts import LAYOUTS, PARTS, SkeletonLayout

METRES = 1e-4
IMAGENET = {"image_mean": (0.485, 0.456, 0.406), "image_std": (0.229, 0.224, 0.225)}


def error(clips: list[np.ndarray], layouts: object, **options: object) -> float:
    images, metadata = encode(clips, layouts, **options)  # type: ignore[arg-type]
    decoded = decode(images, metadata)
    assert [tuple(found.shape) for found in decoded] == [clip.shape for clip in clips]
    return max(float(np.abs(found.numpy() - clip).max()) for found, clip in zip(decoded, clips, strict=True))


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("stream", STREAMS)
def test_every_format_and_option(name: str, stream: str, make_clip: MakeClip) -> None:
    clips = [make_clip(name, frames=17, people=2), make_clip(name, frames=60)]
    choices = itertools.product(
        ("joints", "equal"), ("sequence", "per_axis", "fixed"), ("first_frame", "every_frame", "none"), ({}, IMAGENET)
    )
    for part_widths, value_range, center, normalize in choices:
        found = error(clips, name, stream=stream, part_widths=part_widths, value_range=value_range, center=center, value_scale=2.0,
                      **normalize)  # fmt: skip
        assert found < METRES, (part_widths, value_range, center, normalize)


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("frames", [1, 2, 3, 111, 112, 113, 170, 222, 223, 224])
def test_every_length_up_to_the_height(stream: str, frames: int, make_clip: MakeClip) -> None:
    clips = [make_clip("kinect_v2", frames=frames, seed=seed) for seed in range(2)]
    assert error(clips, "kinect_v2", stream=stream) < METRES
    assert error(clips, "kinect_v2", stream=stream, part_widths="equal", center="every_frame", **IMAGENET) < METRES


def test_a_crowd_and_a_far_away_person(make_clip: MakeClip) -> None:
    assert error([make_clip("kinect_v2", frames=30, people=4)], "kinect_v2") < METRES
    far = make_clip("kinect_v1", frames=50) + np.array([5, 0, 9], dtype=np.float32)
    for stream in STREAMS:
        assert error([far], "kinect_v1", stream=stream, center="none") < METRES


def test_people_first_returns_the_first(make_clip: MakeClip) -> None:
    clip = make_clip(frames=12, people=3)
    decoded = decode(*encode([clip], "kinect_v2", people="first", center="every_frame"))[0]
    np.testing.assert_allclose(decoded.numpy(), clip[:, :1], atol=METRES)


@pytest.mark.parametrize("stream", STREAMS)
def test_longer_than_the_height_comes_back_smoothed(stream: str, make_clip: MakeClip) -> None:
    """A slow motion of 400 frames in 224 rows: not to float precision, but to millimetres."""
    times = np.linspace(0, 2 * np.pi, 400)[:, None, None, None]
    clip = (make_clip("kinect_v2", frames=1) + 0.3 * np.sin(times + np.arange(25)[:, None])).astype(np.float32)
    assert error([clip], "kinect_v2", stream=stream) < 0.005


def test_nw_ucla_recordings_come_back(real_data: Path) -> None:
    clips = []
    for path in sorted((real_data / "NW-UCLA" / "all_sqe").glob("*.json"))[::150]:
        clips.append(np.asarray(json.loads(path.read_text())["skeletons"], dtype=np.float32)[:, None])
    for stream in STREAMS:
        assert error(clips, "kinect_v1", stream=stream) < METRES


def test_images_may_be_numpy_or_half_or_require_a_gradient(make_clip: MakeClip) -> None:
    clip = make_clip(frames=20)
    images, metadata = encode([clip], "kinect_v2")
    expected = decode(images, metadata)[0]
    assert torch.equal(decode(images.numpy(), metadata)[0], expected) and expected.dtype == torch.float32
    assert torch.equal(decode(images.clone().requires_grad_(), metadata)[0], expected)
    assert (decode(images.bfloat16(), metadata)[0] - expected).abs().max() < 0.05


def test_decode_is_the_least_squares_answer(make_clip: MakeClip) -> None:
    """Noise in the pixels that no skeleton could make is averaged away, and re-encoding a decoded image is a projection."""
    clip = make_clip(frames=20)
    images, metadata = encode([clip], "kinect_v2", value_range="fixed", center="none")
    noisy = images + 0.05 * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    decoded = decode(noisy, metadata)
    assert (decoded[0] - torch.from_numpy(clip)).abs().mean() < 0.02
    again, _ = encode(decoded, "kinect_v2", value_range="fixed", center="none")
    residual = noisy - again
    assert residual.norm() <= (noisy - images).norm()  # closer than the true skeleton is
    assert abs(float((residual * again).sum())) < 1e-3 * float(noisy.norm() * again.norm())  # and at a right angle


@pytest.mark.parametrize("stream", ["motion", "bone_motion"])
def test_a_reconstructed_motion_starts_at_the_known_pose(stream: str, make_clip: MakeClip) -> None:
    clip = make_clip(frames=20)
    images, metadata = encode([clip], "kinect_v2", stream=stream)
    decoded = decode(images + 0.02, metadata)[0].numpy()  # a model errs in every row, the first too
    np.testing.assert_allclose(decoded[0], clip[0], atol=1e-5)


def test_decode_refuses_what_does_not_fit(make_clip: MakeClip) -> None:
    images, metadata = encode([make_clip(frames=4)], "kinect_v2")
    for says, arguments in {
        "for 2 clips": (images, metadata * 2),
        r"\(3, 224, 224\)": (images[0], metadata),
        r"\(3, 224, 100\)": (images[..., :100], metadata),
    }.items():
        with refused(ValueError, match=says):
            decode(*arguments)
    assert decode(images[:0], []) == []


# --- formats nobody has seen ---------------------------------------------------------------------------------------------


@st.composite
def invented_layouts(draw: st.DrawFn) -> SkeletonLayout:
    """A random tree of 1 to 22 joints with meaningless names in any order, thrown into parts at random."""
    count = draw(st.integers(1, 22))
    text = st.text(string.ascii_letters + string.digits + "äß_ .:中", min_size=1, max_size=8)
    names = draw(st.lists(text, min_size=count, max_size=count, unique=True))
    tree = [-1] + [draw(st.integers(-1, joint - 1)) for joint in range(1, count)]  # some forests too
    order = draw(st.permutations(range(count)))
    place = {old: new for new, old in enumerate(order)}
    parents = [-1 if tree[old] < 0 else place[tree[old]] for old in order]
    part_of = [draw(st.integers(0, 4)) for _ in range(count)]
    inside = draw(st.permutations(range(count)))
    parts = {part: [names[joint] for joint in inside if part_of[joint] == index] for index, part in enumerate(PARTS)}
    center = draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True))
    return SkeletonLayout("invented", names, parents, parts=parts, mirror_pairs=[], center=center)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    layout=invented_layouts(),
    frames=st.sampled_from([1, 2, 5, 33, 64]),
    people=st.integers(1, 2),
    options=st.builds(
        EncodingOptions,
        size=st.sampled_from([(64, 224), (224, 224), (96, 160)]),
        part_widths=st.sampled_from(["joints", "equal"]),
        value_range=st.sampled_from(["sequence", "per_axis", "fixed"]),
        center=st.sampled_from(["first_frame", "every_frame", "none"]),
        stream=st.sampled_from(STREAMS),
    ),
    seed=st.integers(0, 1000),
)
def test_random_trees_with_invented_names(
    layout: SkeletonLayout, frames: int, people: int, options: EncodingOptions, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    clip = (rng.uniform(-1, 1, (frames, people, layout.num_joints, 3)) + np.array([0.2, 0.1, 3])).astype(np.float32)
    if options.part_widths == "equal":  # the columns of a part must hold its joints
        narrowest = options.size[1] // people // 5
        if max(layout.part_sizes) > narrowest:
            return
    assert error([clip], layout, options=options) < METRES
    assert SkeletonLayout.from_dict(json.loads(json.dumps(layout.to_dict()))) == layout


NAMING_STYLES = [
    "{side}_{word}", "{word}.{Initial}", "{Side}{Word}", "{initial}{word}", "{Word}{Side}", "rig:{Side}{Word}",
]  # fmt: skip


@st.composite
def inferable_layouts(draw: st.DrawFn) -> tuple[SkeletonLayout, dict[str, list[str]], set[tuple[str, str]]]:
    """A body with limbs of random length in a random naming style; the layout is made from names and parents alone."""
    style = draw(st.sampled_from(NAMING_STYLES))

    def limb(side: str, words: list[str]) -> list[str]:
        return [style.format(side=side, Side=side.title(), initial=side[0], Initial=side[0].upper(), word=word, Word=word.title())
                for word in words]  # fmt: skip

    torso = ["pelvis", *[f"spine{k}" for k in range(draw(st.integers(0, 3)))], "neck", "head"]
    arm_words = ["clavicle", "shoulder", "elbow", "wrist", "hand", "thumb"][: draw(st.integers(1, 6))]
    leg_words = ["hip", "knee", "ankle", "foot", "toe"][: draw(st.integers(1, 5))]
    parts = {"torso": torso[::-1]}
    parents: dict[str, str | None] = dict(zip(torso, [None, *torso[:-1]], strict=True))
    for kind, words, root in (("arm", arm_words, "neck"), ("leg", leg_words, "pelvis")):
        for side in ("left", "right"):
            names = limb(side, words)
            parts[f"{side}_{kind}"] = names
            parents.update(zip(names, [root, *names[:-1]], strict=True))
    pairs = {
        pair for kind in ("arm", "leg") for pair in zip(parts[f"left_{kind}"], parts[f"right_{kind}"], strict=True)
    }
    order = draw(st.permutations(list(parents)))
    return SkeletonLayout("inferred", order, [parents[name] for name in order]), parts, pairs  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(inferable_layouts(), st.sampled_from(STREAMS), st.integers(0, 1000))
def test_random_bodies_with_telling_names_need_nothing_but_names_and_parents(
    body: tuple[SkeletonLayout, dict[str, list[str]], set[tuple[str, str]]], stream: str, seed: int
) -> None:
    layout, parts, pairs = body
    assert {part: list(joints) for part, joints in layout.parts.items()} == parts
    assert set(layout.mirror_pairs) == pairs
    rng = np.random.default_rng(seed)
    clip = (rng.uniform(-1, 1, (20, 2, layout.num_joints, 3)) + np.array([0, 0, 3])).astype(np.float32)
    assert error([clip], layout, stream=stream, size=(64, 224)) < METRES
