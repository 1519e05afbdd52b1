"""Images against the loop reference of s2i_reference.py and `F.interpolate`; people, missing joints, errors."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import MakeClip, refused
from s2i_reference import reference_image, taps

from s2i_hf.processing.encoding import STREAMS, ClipMetadata, EncodingOptions, decode, encode
from s2i_hf.processing.layouts import LAYOUTS
from s2i_hf.processing.resizing import resize_weights
from s2i_hf.processing.transforms import prepare

# Image order of four formats, typed from the description of the method: torso, left arm, right arm, left leg, right leg, top-down.
# Joint indices are those of the public format definitions; then the parents and the joints of the centre.
KINECT_V1 = (
    [[3, 2, 1, 0], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14, 15], [16, 17, 18, 19]],
    [-1, 0, 1, 2, 2, 4, 5, 6, 2, 8, 9, 10, 0, 12, 13, 14, 0, 16, 17, 18],
    [1],
)
KINECT_V2 = (
    [[3, 2, 20, 1, 0], [4, 5, 6, 7, 21, 22], [8, 9, 10, 11, 23, 24], [12, 13, 14, 15], [16, 17, 18, 19]],
    [-1, 0, 20, 2, 20, 4, 5, 6, 20, 8, 9, 10, 0, 12, 13, 14, 0, 16, 17, 18, 1, 7, 7, 11, 11],
    [1],
)
LCRNET = ([[12], [11, 9, 7], [10, 8, 6], [5, 3, 1], [4, 2, 0]], [2, 3, 4, 5, 10, 11, 8, 9, 10, 11, 12, 12, -1], [5, 4])
SBU = (
    [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11], [12, 13, 14]],
    [1, 2, -1, 1, 3, 4, 1, 6, 7, 2, 9, 10, 2, 12, 13],
    [2],
)
FORMATS = {"kinect_v1": KINECT_V1, "kinect_v2": KINECT_V2, "lcrnet_13": LCRNET, "sbu_15": SBU}
TOLERANCE = 2e-4


def check(clip: np.ndarray, name: str, **changes: Any) -> None:
    size = changes.pop("size", (36, 60))
    images, metadata = encode([clip], name, size=size, **changes)
    expected = reference_image(clip, *FORMATS[name], size=size, **changes)
    assert images.shape == (1, 3, *size) and images.dtype == torch.float32
    np.testing.assert_allclose(images[0].numpy(), expected, atol=TOLERANCE)
    assert metadata[0].num_frames == len(clip) and metadata[0].num_people == clip.shape[1]
    assert metadata[0].layout is LAYOUTS[name] and metadata[0].num_missing == 0


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("part_widths", ["joints", "equal"])
def test_equals_the_loop_reference_at_full_size(name: str, part_widths: str, make_clip: MakeClip) -> None:
    check(
        make_clip(name, frames=31, people=2 if name == "sbu_15" else 1), name, size=(224, 224), part_widths=part_widths
    )


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("value_range", ["sequence", "per_axis", "fixed"])
@pytest.mark.parametrize("center", ["first_frame", "every_frame", "none"])
def test_equals_the_loop_reference_with_every_option(
    stream: str, value_range: str, center: str, make_clip: MakeClip
) -> None:
    options = {"stream": stream, "value_range": value_range, "center": center, "value_scale": 1.0}
    if value_range == "fixed":
        options["value_scale"] = 2.5
    check(make_clip("lcrnet_13", frames=9, people=2), "lcrnet_13", **options)
    check(make_clip("kinect_v2", frames=9, people=1), "kinect_v2", **options)


@pytest.mark.parametrize("frames", [1, 2, 35, 36, 37, 71, 72, 150])
@pytest.mark.parametrize("people", [1, 2, 3])
def test_equals_the_loop_reference_for_any_length_and_number_of_people(
    frames: int, people: int, make_clip: MakeClip
) -> None:
    for part_widths in ("joints", "equal"):  # 13 joints shrink when three people share 36 columns
        check(make_clip("lcrnet_13", frames=frames, people=people), "lcrnet_13", size=(36, 36), part_widths=part_widths)


@pytest.mark.parametrize("frames", [1, 5, 60, 224, 225, 500])
def test_equals_f_interpolate(frames: int, make_clip: MakeClip) -> None:
    clip = make_clip("kinect_v2", frames=frames)
    centred = torch.from_numpy(clip - clip[0, 0, 1])[:, 0]
    scaled = (centred - centred.min()) / (centred.max() - centred.min())
    ordered = scaled[:, [joint for part in KINECT_V2[0] for joint in part]].permute(2, 0, 1)[None]
    expected = F.interpolate(ordered, (224, 224), mode="bilinear", align_corners=False, antialias=frames > 224)
    torch.testing.assert_close(encode([clip], "kinect_v2")[0], expected, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize(
    ("size_in", "size_out"), [(1, 7), (7, 7), (5, 224), (223, 224), (225, 224), (1000, 224), (33, 14), (3, 1)]
)
def test_resize_weights_equal_the_loop_reference(size_in: int, size_out: int) -> None:
    expected = np.zeros((size_out, size_in))
    for i, pairs in enumerate(taps(size_in, size_out, antialias=True)):
        for j, weight in pairs:
            expected[i, j] += weight
    np.testing.assert_allclose(resize_weights(size_in, size_out), expected, atol=1e-12)


def test_the_defaults_are_the_first_listed_values() -> None:
    assert EncodingOptions() == EncodingOptions(
        (224, 224), "adaptive", "joints", "sequence", 1.0, "first_frame", "joint", None, None
    )
    assert (
        EncodingOptions(size=96).size
        == EncodingOptions(size=[96, 96]).size
        == EncodingOptions(size=np.int64(96)).size
        == (96, 96)
    )  # type: ignore[arg-type]
    assert json.loads(json.dumps(EncodingOptions().to_dict()))["size"] == [224, 224]
    assert EncodingOptions(**json.loads(json.dumps(EncodingOptions(image_mean=(0, 1, 2)).to_dict()))).image_mean == (
        0,
        1,
        2,
    )  # type: ignore[arg-type]


def test_mean_and_std_are_per_channel_after_the_value_range(make_clip: MakeClip) -> None:
    clip, mean, std = make_clip(frames=20, people=2), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    plain = encode([clip], "kinect_v2")[0]
    assert plain.min() >= -1e-6 and plain.max() <= 1 + 1e-6
    expected = (plain - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    normalised = encode([clip], "kinect_v2", image_mean=mean, image_std=std)[0]
    torch.testing.assert_close(normalised, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(encode([clip], "kinect_v2", image_std=std)[0], plain / torch.tensor(std)[:, None, None])


def test_channels_are_x_y_z_and_time_runs_down_and_actor_one_is_left() -> None:
    clip = np.full((4, 2, 20, 3), 0.5, dtype=np.float32)
    clip[2:, 0, :, 1] = 1.0  # actor 1 rises in the second half
    clip[:, 1, :, 2] = 0.25  # actor 2 is elsewhere in z
    image = encode([clip], "kinect_v1", center="none", value_range="fixed")[0][0]
    assert (image[0] == 0.5).all()
    assert (image[1, :56, :112] == 0.5).all() and (image[1, 168:, :112] == 1).all() and (image[1, :, 112:] == 0.5).all()
    assert (image[2, :, :112] == 0.5).all() and (image[2, :, 112:] == 0.25).all()


def test_people_who_are_absent_get_no_block(make_clip: MakeClip) -> None:
    clip = make_clip(frames=20, people=2)
    padded = np.concatenate([np.full_like(clip[:, :1], np.nan), clip, np.zeros_like(clip[:, :1])], axis=1)
    expected, _ = encode([clip], "kinect_v2")
    images, metadata = encode([padded], "kinect_v2")
    assert torch.equal(images, expected) and metadata[0].num_people == 2
    images, metadata = encode([padded], "kinect_v2", people="first")
    assert torch.equal(images, encode([clip[:, :1]], "kinect_v2")[0]) and metadata[0].num_people == 1


# --- missing joints and odd clips ---------------------------------------------------------------------------------------


def test_missing_joints_are_filled_and_counted(make_clip: MakeClip) -> None:
    clip = make_clip(frames=20, people=2)
    for t in (5, 6, 7):  # on a straight line, so filling must restore it
        clip[t, 0, 7] = clip[4, 0, 7] + (clip[8, 0, 7] - clip[4, 0, 7]) * (t - 4) / 4
    clip[12, 1, 3] = (clip[11, 1, 3] + clip[13, 1, 3]) / 2
    broken = clip.copy()
    broken[5:8, 0, 7] = np.nan
    broken[12, 1, 3] = 0.0
    images, metadata = encode([broken, clip], "kinect_v2")
    assert [clip_metadata.num_missing for clip_metadata in metadata] == [4, 0]
    torch.testing.assert_close(images[0], images[1], atol=1e-5, rtol=0)


def test_the_missing_joints_of_nw_ucla_are_counted(real_data: Path) -> None:
    counts = {}
    for name in ("a04_s01_e01_v01", "a04_s04_e02_v01", "a01_s01_e00_v01"):
        content = json.loads((real_data / "NW-UCLA" / "all_sqe" / f"{name}.json").read_text())
        images, metadata = encode([np.asarray(content["skeletons"])], "kinect_v1")
        counts[name] = metadata[0].num_missing
        assert torch.isfinite(images).all()
    assert counts == {"a04_s01_e01_v01": 6, "a04_s04_e02_v01": 6, "a01_s01_e00_v01": 0}


def test_someone_absent_in_the_middle_keeps_a_block(make_clip: MakeClip) -> None:
    clip = make_clip(frames=12, people=2)
    clip[4:8, 1] = np.nan
    images, metadata = encode([clip], "kinect_v2")
    assert metadata[0].num_people == 2 and metadata[0].num_missing == 4 * 25 and torch.isfinite(images).all()
    decoded = decode(images, metadata)[0].numpy()
    for t in range(4, 8):
        np.testing.assert_allclose(decoded[t, 1], clip[3, 1] + (clip[8, 1] - clip[3, 1]) * (t - 3) / 5, atol=1e-4)


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("value_range", ["sequence", "per_axis", "fixed"])
def test_a_clip_of_zeros_or_of_one_point_gives_a_finite_image(stream: str, value_range: str) -> None:
    for value in (0.0, 1.5):
        clip = np.full((6, 2, 25, 3), value, dtype=np.float32)
        images, metadata = encode([clip], "kinect_v2", stream=stream, value_range=value_range, center="none")
        assert torch.isfinite(images).all() and metadata[0].num_missing == 0
        assert metadata[0].num_people == (2 if value else 1)
        np.testing.assert_allclose(decode(images, metadata)[0].numpy(), clip[:, : metadata[0].num_people], atol=1e-5)


def test_one_frame_fills_the_height(make_clip: MakeClip) -> None:
    image = encode([make_clip(frames=1)], "kinect_v2")[0]
    assert torch.equal(image, image[:, :, :1].expand_as(image)) and image.std() > 0.01
    for stream in ("motion", "bone_motion"):
        assert (encode([make_clip(frames=1)], "kinect_v2", stream=stream)[0] == 0).all()


def test_bone_motion_is_the_motion_of_the_bones_and_knows_no_place(make_clip: MakeClip) -> None:
    """Of a body that only moves as a whole, the root alone moves: every bone stays what it was."""
    clip = np.repeat(make_clip("kinect_v2", frames=1), 9, axis=0) + np.linspace(0, 1, 9)[:, None, None, None]
    options = {"stream": "bone_motion", "value_range": "fixed", "center": "none", "size": (9, 25)}
    image = encode([clip.astype(np.float32)], "kinect_v2", **options)[0][0]  # type: ignore[arg-type]
    root = [joint for part in KINECT_V2[0] for joint in part].index(0)
    assert image[:, 1:, root].sub(1 / 8).abs().max() < 1e-6
    assert image[:, :, [column for column in range(25) if column != root]].abs().max() < 1e-6


# --- errors -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"people": "all"}, "people is 'all'; expected one of adaptive, first"),
        ({"part_widths": "even"}, "joints, equal"),
        ({"value_range": "clip"}, "sequence, per_axis, fixed"),
        ({"center": "hip"}, "first_frame, every_frame, none"),
        ({"stream": "joints"}, "joint, bone, motion, bone_motion"),
        ({"stream": None}, "joint, bone, motion, bone_motion"),
        ({"value_scale": 0.0}, "value_scale"),
        ({"value_scale": float("nan")}, "value_scale"),
        ({"size": 0}, "size is 0"),
        ({"size": (1, 2, 3)}, "size"),
        ({"image_mean": (0.5,)}, "image_mean has 1 numbers"),
        ({"image_std": (1.0, 0.0, 1.0)}, "image_std"),
    ],
)
def test_options_refuse_bad_values(values: dict[str, Any], says: str) -> None:
    with refused(ValueError, match=says):
        EncodingOptions(**values)


def test_encode_refuses_what_does_not_fit(make_clip: MakeClip) -> None:
    clip = make_clip(frames=4)
    cases = {
        r"shape \(4, 1, 25, 3\)": lambda: encode(clip, "kinect_v2"),
        "25 joints a person, but layout 'kinect_v1' has 20": lambda: encode([clip], "kinect_v1"),
        "2 layouts for 1 clips": lambda: encode([clip], ["kinect_v2", "kinect_v2"]),
        "Did you mean 'kinect_v2'": lambda: encode([clip], "kinect_v22"),
        r"out is \(2, 3, 224, 224\)": lambda: encode([clip], "kinect_v2", out=torch.empty(2, 3, 224, 224)),
        "torch.float64": lambda: encode([clip], "kinect_v2", out=torch.empty(1, 3, 224, 224, dtype=torch.float64)),
        "a person needs 5": lambda: encode([clip], "kinect_v2", size=(224, 4)),
    }
    for says, call in cases.items():
        with refused(ValueError, match=says):
            call()
    images, metadata = encode([], "kinect_v2")
    assert images.shape == (0, 3, 224, 224) and metadata == []


def test_metadata_can_be_changed_and_compared(make_clip: MakeClip) -> None:
    _, metadata = encode([make_clip(), make_clip()], "kinect_v2")
    changed = replace(metadata[0], num_missing=3)
    assert isinstance(changed, ClipMetadata) and changed.num_missing == 3
    assert metadata[0] == metadata[0] and metadata[0] != metadata[1]  # not numpy's ambiguous answer


def test_prepared_clips_encode_like_raw_ones(make_clip: MakeClip) -> None:
    clip = make_clip(frames=15, people=2)
    clip[3, 0, 4] = np.nan
    ready, _ = prepare(clip, "kinect_v2")
    assert torch.equal(encode([ready], "kinect_v2")[0], encode([clip], "kinect_v2")[0])
