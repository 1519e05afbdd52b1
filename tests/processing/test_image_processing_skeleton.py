"""`SkeletonProcessor`: accepted inputs, the saved recipe, Auto class and pipeline, decoding, and one sentence an error."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import MakeClip, one_sentence, refused

import s2i_hf
from s2i_hf.processing.encoding import EncodingOptions, encode
from s2i_hf.processing.image_processing_skeleton import IMAGENET_MEAN, IMAGENET_STD, PRESETS, SkeletonProcessor
from s2i_hf.processing.layouts import LAYOUTS, SkeletonLayout, get_layout, register_layout

HAS_PILLOW = importlib.util.find_spec("PIL") is not None
ALL_OPTIONS = {
    "layout", "size", "people", "part_widths", "value_range", "value_scale", "center", "stream", "do_normalize", "image_mean",
    "image_std", "joint_order", "order_seed", "interpolation",
}  # fmt: skip


def pixels(processor: SkeletonProcessor, *args: Any, **kwargs: Any) -> torch.Tensor:
    return processor(*args, **kwargs)["pixel_values"]


def test_every_accepted_input_gives_the_same_images(make_clip: MakeClip) -> None:
    processor = SkeletonProcessor(layout="kinect_v2")
    one, two = make_clip(frames=12), make_clip(frames=12, people=2)
    expected = encode([one, two], "kinect_v2", image_mean=IMAGENET_MEAN, image_std=IMAGENET_STD)[0]
    tensor = torch.from_numpy(one)
    singles: list[Any] = [one, one[:, 0], tensor, tensor[:, 0], one.tolist(), one[:, 0].tolist(), one.astype(np.float64),
                          list(one[:, 0]), list(tensor[:, 0]), [one], (one,), [one[:, 0]], [tensor], one[None], tensor[None],
                          [one.tolist()]]  # fmt: skip
    for index, given in enumerate(singles):
        found = pixels(processor, given, return_tensors="pt")
        assert found.shape == (1, 3, 224, 224) and found.dtype == torch.float32, index
        assert torch.equal(found, expected[:1]), index
    batches: list[Any] = [[one, two], (one, two), [one[:, 0], torch.from_numpy(two)], [one, two.tolist()]]
    for index, given in enumerate(batches):
        assert torch.equal(pixels(processor, given), expected), index
    assert torch.equal(pixels(processor, np.stack([two, two])), expected[[1, 1]])  # (B, T, M, V, 3)
    assert torch.equal(processor.preprocess(one)["pixel_values"], expected[:1])


def test_every_order_of_axes_gives_the_same_images(make_clip: MakeClip) -> None:
    clip = make_clip(frames=12, people=2)
    expected = pixels(K2, clip)
    stored = {"MTVC": clip.transpose(1, 0, 2, 3), "CTVM": clip.transpose(3, 0, 2, 1), "TMVC": clip}
    for axes, array in stored.items():
        for given in (
            array,
            [array],
            torch.from_numpy(array.copy()),
            np.asfortranarray(array),
            np.ma.masked_array(array),
        ):
            assert torch.equal(pixels(K2, given), expected), axes
        assert torch.equal(pixels(K2, array.tolist(), axes=axes), expected)
        assert torch.equal(pixels(K2, array[None], axes=axes), expected)
    for axes, array in stored.items():
        assert torch.equal(pixels(K2, np.stack([array] * 3)), expected.expand(3, -1, -1, -1)), axes
    assert torch.equal(pixels(K2, clip[:, 0].transpose(2, 0, 1)), pixels(K2, clip[:, :1]))
    assert torch.equal(pixels(K2, clip.reshape(12, -1)), expected)
    assert torch.equal(
        pixels(K2, np.stack([clip[:, 0], clip[:, 1]]), axes="NTVC"), pixels(K2, [clip[:, :1], clip[:, 1:]])
    )


def test_people_first_in_a_short_clip_are_people_or_a_question(make_clip: MakeClip) -> None:
    long, short = make_clip(frames=24, people=2), make_clip(frames=8, people=2)
    inputs = K2(long.swapaxes(0, 1), return_metadata=True)
    assert (inputs["metadata"][0].num_frames, inputs["metadata"][0].num_people) == (24, 2)
    np.testing.assert_allclose(K2.decode(**inputs)[0].numpy(), long, atol=1e-4)
    for given in (short, short.swapaxes(0, 1), [short, long], [short.swapaxes(0, 1), long]):
        with pytest.raises(
            ValueError, match=r"8 frames of 2 people.*2 frames of 8 people|2 frames of 8.*8 frames of 2"
        ):
            K2(given)
    inputs = K2(short.swapaxes(0, 1), axes="MTVC", return_metadata=True)
    assert (inputs["metadata"][0].num_frames, inputs["metadata"][0].num_people) == (8, 2)
    np.testing.assert_allclose(K2.decode(**inputs)[0].numpy(), short, atol=1e-4)
    with pytest.raises(ValueError, match=r"2 people.*2 clips"):  # of nested lists nobody knows which level is what
        K2(long.swapaxes(0, 1).tolist())


def test_masked_and_untracked_joints_are_missing(make_clip: MakeClip) -> None:
    clip = make_clip(frames=12)
    lost = clip.copy()
    lost[3:5, 0, 7] = np.nan
    expected = K2(lost, return_metadata=True)
    mask = np.zeros(clip.shape, dtype=bool)
    mask[3:5, 0, 7] = True
    masked = np.ma.masked_array(clip, mask)
    state = np.where(mask[..., :1], 0.0, 2.0)
    for given in (
        masked,
        masked[:, 0],
        [masked],
        list(masked[:, 0]),
        np.concatenate([clip, state], axis=-1),
        masked.astype(int) * 0 + masked,
    ):
        inputs = K2(given, return_metadata=True)
        assert inputs["metadata"][0].num_missing == 2
        assert torch.equal(inputs["pixel_values"], expected["pixel_values"])


def test_pixels_may_have_a_score_or_no_depth() -> None:
    joints = np.random.default_rng(0).uniform(1, 900, (12, 17, 2)).astype(np.float32)
    flat = np.concatenate([joints, np.zeros((12, 17, 1), np.float32)], axis=-1)
    processor = SkeletonProcessor(layout="coco_17")
    expected = pixels(processor, flat)
    assert torch.equal(pixels(processor, joints), expected)
    scores = np.random.default_rng(1).uniform(0.1, 1, (12, 17, 1))
    assert torch.equal(pixels(processor, np.concatenate([joints, scores], axis=-1)), expected)
    scores[5, 3] = 0
    lost = processor(np.concatenate([joints, scores], axis=-1), return_metadata=True)
    assert lost["metadata"][0].num_missing == 1


def test_clips_of_any_length_and_format(make_clip: MakeClip) -> None:
    names = ["kinect_v2", "lcrnet_13", "kinect_v1"]
    clips = [make_clip(name, frames=frames) for name, frames in zip(names, (1, 300, 40), strict=True)]
    processor = SkeletonProcessor()
    found = pixels(processor, clips, layout=names)
    assert found.shape == (3, 3, 224, 224)
    for index in range(3):
        assert torch.equal(found[index], pixels(processor, clips[index], layout=names[index])[0])
    assert torch.equal(pixels(processor, clips[0], layout=LAYOUTS["kinect_v2"]), found[:1])
    assert torch.equal(pixels(SkeletonProcessor(layout="kinect_v1"), clips[0], layout="kinect_v2"), found[:1])


def test_return_types(make_clip: MakeClip) -> None:
    processor, clip = SkeletonProcessor(layout="kinect_v2"), make_clip()
    as_torch, as_numpy = pixels(processor, clip, return_tensors="pt"), pixels(processor, clip, return_tensors="np")
    as_list = pixels(processor, [clip, clip], return_tensors=None)
    assert isinstance(as_numpy, np.ndarray) and isinstance(as_list, list) and len(as_list) == 2
    np.testing.assert_array_equal(as_numpy, as_torch.numpy())
    np.testing.assert_array_equal(as_list[1], as_torch[0].numpy())
    assert set(processor(clip)) == {"pixel_values"}
    with_metadata = processor(clip, return_metadata=True)
    assert set(with_metadata) == {"pixel_values", "metadata"}
    moved = with_metadata.to("cpu", torch.float16)  # what users do with any BatchFeature
    assert moved["pixel_values"].dtype == torch.float16 and moved["metadata"][0].num_frames == 20


@pytest.mark.parametrize("stream", ["joint", "bone", "motion", "bone_motion"])
@pytest.mark.parametrize("do_normalize", [True, False])
def test_decode_returns_absolute_metres(stream: str, do_normalize: bool, make_clip: MakeClip) -> None:
    processor = SkeletonProcessor(layout="kinect_v2", stream=stream, do_normalize=do_normalize)
    clips = [make_clip(frames=33, people=2), make_clip(frames=1)]
    inputs = processor(clips, return_tensors="pt", return_metadata=True)
    for returned in (inputs["pixel_values"], inputs["pixel_values"].numpy()):
        for found, clip in zip(processor.decode(returned, inputs["metadata"]), clips, strict=True):
            np.testing.assert_allclose(np.asarray(found), clip, atol=1e-4)
    metadata = inputs["metadata"][0]
    assert (metadata.num_frames, metadata.num_people, metadata.layout.name) == (33, 2, "kinect_v2")
    assert metadata.offset.shape == (1, 3) and metadata.low.shape == metadata.high.shape == (3,)
    np.testing.assert_array_equal(metadata.offset[0], clips[0][0, 0, 1])


def test_options_for_one_call(make_clip: MakeClip) -> None:
    processor, clip = SkeletonProcessor(layout="kinect_v2"), make_clip(frames=30, people=2)
    changes = {"stream": "bone", "people": "first", "size": {"height": 64, "width": 96}, "do_normalize": False,
               "value_range": "fixed", "value_scale": 2.0, "center": "every_frame", "part_widths": "equal"}  # fmt: skip
    expected = SkeletonProcessor(layout="kinect_v2", **changes)
    before = processor.to_json_string()
    inputs = processor(clip, return_metadata=True, **changes)
    assert torch.equal(inputs["pixel_values"], pixels(expected, clip)) and inputs["pixel_values"].shape == (
        1,
        3,
        64,
        96,
    )
    np.testing.assert_allclose(processor.decode(**inputs)[0].numpy(), clip[:, :1], atol=1e-4)
    assert processor.to_json_string() == before


def test_encoding_options_carry_mean_and_std_only_if_asked_for() -> None:
    assert SkeletonProcessor().encoding_options == EncodingOptions(image_mean=IMAGENET_MEAN, image_std=IMAGENET_STD)
    assert SkeletonProcessor(do_normalize=False).encoding_options == EncodingOptions()
    assert SkeletonProcessor(size=96).encoding_options.size == (96, 96)


# --- the saved recipe ---------------------------------------------------------------------------------------------------

OWN = SkeletonLayout("own", ["pelvis", "head", "left_hand", "right_hand"], [-1, 0, 1, 1], unit="m", source="a test")
CHANGED = {"layout": OWN, "size": {"height": 64, "width": 128}, "people": "first",
           "value_range": "fixed", "value_scale": 1.5, "center": "every_frame", "stream": "motion", "do_normalize": False,
           "image_mean": [0.1, 0.2, 0.3], "image_std": [1.0, 2.0, 3.0], "part_widths": "joints", "joint_order": "random",
           "order_seed": 3, "interpolation": "cubic"}  # fmt: skip


@pytest.mark.parametrize(
    "values",
    [{}, {"layout": "kinect_v1"}, CHANGED, {"layout": OWN, "part_widths": "equal"}],
    ids=["defaults", "named layout", "all changed", "equal parts"],
)
def test_saved_and_loaded_processors_are_equal(values: dict[str, Any], tmp_path: Path) -> None:
    processor = SkeletonProcessor(**values)
    processor.save_pretrained(tmp_path / "a")
    saved = json.loads((tmp_path / "a" / "preprocessor_config.json").read_text())
    written = ALL_OPTIONS if "layout" in values else ALL_OPTIONS - {"layout"}  # no layout is no key
    assert set(saved) == written | {"image_processor_type", "auto_map"}  # all options, defaults too
    loaded = SkeletonProcessor.from_pretrained(tmp_path / "a")
    assert loaded.encoding_options == processor.encoding_options and loaded.layout == processor.layout
    loaded.save_pretrained(tmp_path / "b")
    assert (tmp_path / "b" / "preprocessor_config.json").read_text() == (
        tmp_path / "a" / "preprocessor_config.json"
    ).read_text()


def test_a_custom_layout_is_saved_in_full_and_works_where_it_was_never_defined(
    tmp_path: Path, make_clip: MakeClip
) -> None:
    processor = SkeletonProcessor(layout=OWN)
    processor.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "preprocessor_config.json").read_text())["layout"] == OWN.to_dict()
    clip = make_clip(OWN, frames=9)
    assert torch.equal(pixels(SkeletonProcessor.from_pretrained(tmp_path), clip), pixels(processor, clip))
    assert SkeletonProcessor(layout=LAYOUTS["kinect_v2"]).layout == "kinect_v2"
    impostor = LAYOUTS["kinect_v2"].to_dict() | {"center": ["Head"]}
    assert SkeletonProcessor(layout=impostor).layout == impostor  # called kinect_v2, but not it: saved in full


def test_changed_options_change_the_json_and_the_image(make_clip: MakeClip) -> None:
    plain, clip = SkeletonProcessor(layout="kinect_v2"), make_clip(frames=20, people=2)
    for name, value in CHANGED.items():
        if name == "layout":
            continue
        fixed = {"value_scale": {"value_range": "fixed"}, "order_seed": {"joint_order": "random"}}.get(name, {})
        value = "equal" if name == "part_widths" else value  # which the other changes exclude
        base, other = (
            SkeletonProcessor(layout="kinect_v2", **fixed),
            SkeletonProcessor(layout="kinect_v2", **fixed, **{name: value}),
        )
        assert other.to_json_string() != base.to_json_string(), name
        image = pixels(other, clip)
        assert image.shape != (1, 3, 224, 224) or not torch.allclose(image, pixels(base, clip)), name
    assert plain.to_json_string() == SkeletonProcessor(layout="kinect_v2").to_json_string()


def test_from_pretrained_takes_changes_and_refuses_typing_errors(tmp_path: Path) -> None:
    SkeletonProcessor(layout="kinect_v2").save_pretrained(tmp_path)
    assert SkeletonProcessor.from_pretrained(tmp_path, stream="bone").stream == "bone"
    config = tmp_path / "preprocessor_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"part_width": "equal"}))
    with pytest.raises(ValueError, match=r"Did you mean 'part_widths'.*newer s2i_hf, or damaged"):
        SkeletonProcessor.from_pretrained(tmp_path)


def test_a_hand_written_config_may_leave_defaults_out(tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(
        '{"image_processor_type": "SkeletonProcessor", "layout": "kinect_v1"}'
    )
    assert (
        SkeletonProcessor.from_pretrained(tmp_path).to_json_string()
        == SkeletonProcessor(layout="kinect_v1").to_json_string()
    )


def test_the_paper_is_a_recipe_by_name(make_clip: MakeClip) -> None:
    paper = SkeletonProcessor.preset("paper")
    assert json.loads(paper.to_json_string()) == {
        "image_processor_type": "SkeletonProcessor", "size": {"height": 224, "width": 224}, "joint_order": "parts",
        "part_widths": "joints", "interpolation": "linear", "do_normalize": True, "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225], "stream": "joint", "people": "adaptive", "value_range": "sequence",
        "value_scale": 1.0, "center": "first_frame", "order_seed": 0,
    }  # fmt: skip
    assert set(PRESETS["paper"]) == ALL_OPTIONS - {"layout"}  # nothing is left to defaults, which may change
    bone = SkeletonProcessor.preset("paper", layout="kinect_v2", stream="bone", size=96)
    assert (bone.layout, bone.stream, bone.size) == ("kinect_v2", "bone", {"height": 96, "width": 96})
    clip = make_clip(frames=20, people=2)
    same = SkeletonProcessor(layout="kinect_v2", **PRESETS["paper"])
    assert torch.equal(pixels(SkeletonProcessor.preset("paper", layout="kinect_v2"), clip), pixels(same, clip))


# --- inside transformers ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def classifier_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny stock ViT classifier beside our processor, as a fine-tuned model is published."""
    from transformers import ViTConfig, ViTForImageClassification

    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 16}
    labels = {0: "drink", 1: "clap", 2: "wave"}
    config = ViTConfig(
        **sizes, image_size=64, patch_size=16, id2label=labels, label2id={v: k for k, v in labels.items()}
    )
    folder = tmp_path_factory.mktemp("classifier")
    ViTForImageClassification(config).save_pretrained(folder)
    SkeletonProcessor(layout="kinect_v2", size=64).save_pretrained(folder)
    return folder


def test_auto_image_processor_finds_it_beside_a_stock_vit(classifier_folder: Path) -> None:
    from transformers.models.auto.image_processing_auto import AutoImageProcessor

    processor = AutoImageProcessor.from_pretrained(classifier_folder)
    assert type(processor) is s2i_hf.SkeletonProcessor
    assert processor.to_json_string() == SkeletonProcessor(layout="kinect_v2", size=64).to_json_string()


@pytest.mark.skipif(not HAS_PILLOW, reason="the pipeline class of transformers needs Pillow, which is not installed")
@pytest.mark.parametrize("batch_size", [1, 2])
def test_pipeline_classifies_skeletons(classifier_folder: Path, batch_size: int, make_clip: MakeClip) -> None:
    from transformers import ViTForImageClassification, pipeline

    classify = pipeline("image-classification", model=str(classifier_folder), trust_remote_code=False, device="cpu")
    clips = [make_clip(frames=frames, people=people) for frames, people in ((5, 1), (100, 2), (30, 1))]
    found = classify(clips, batch_size=batch_size, top_k=3)
    model = ViTForImageClassification.from_pretrained(classifier_folder).eval()
    with torch.no_grad():
        logits = model(**SkeletonProcessor.from_pretrained(classifier_folder)(clips, return_tensors="pt")).logits
    for answers, scores in zip(found, logits.softmax(dim=-1), strict=True):
        expected = {model.config.id2label[index]: float(score) for index, score in enumerate(scores)}
        assert {answer["label"]: answer["score"] for answer in answers} == pytest.approx(expected, abs=1e-5)
    alone = classify(clips[1], top_k=3)  # one array instead of a list
    assert {a["label"]: a["score"] for a in alone} == pytest.approx(
        {a["label"]: a["score"] for a in found[1]}, abs=1e-5
    )


# --- errors -------------------------------------------------------------------------------------------------------------

CLIP = np.random.default_rng(0).uniform(0.1, 1.0, (6, 1, 25, 3)).astype(np.float32)
K2 = SkeletonProcessor(layout="kinect_v2")
BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "no layout": (lambda: SkeletonProcessor()(CLIP), ValueError, "layout="),
    "unknown layout": (lambda: SkeletonProcessor(layout="kinectv2"), ValueError, "Did you mean 'kinect_v2'"),
    "unknown option": (lambda: SkeletonProcessor(part_width="equal"), TypeError, "Did you mean 'part_widths'"),
    "unknown option of a call": (lambda: K2(CLIP, steam="bone"), TypeError, "Did you mean 'stream'"),
    "bad value": (
        lambda: SkeletonProcessor(stream="bones"),
        ValueError,
        "expected one of joint, bone, motion, bone_motion",
    ),
    "bad value of a call": (lambda: K2(CLIP, center="hip"), ValueError, "first_frame, every_frame, none"),
    "bad size": (lambda: SkeletonProcessor(size=0), ValueError, "size"),
    "bad size keys": (lambda: SkeletonProcessor(size={"shortest_edge": 224}), ValueError, "height and width"),
    "three sides": (lambda: SkeletonProcessor(size=[1, 2, 3]), ValueError, "size"),
    "bad mean": (lambda: SkeletonProcessor(image_mean=[0.5]), ValueError, "image_mean"),
    "no mean": (lambda: SkeletonProcessor(image_mean=None), ValueError, "do_normalize"),
    "bad return_tensors": (lambda: K2(CLIP, return_tensors="tf"), ValueError, "'pt' or 'np' or None"),
    "another layout": (lambda: K2(CLIP[:, :, :20]), ValueError, r"shape \(6, 1, 20, 3\).*layout 'kinect_v2'"),
    "layouts for clips": (lambda: K2([CLIP], layout=["kinect_v2"] * 2), ValueError, "2 layouts for 1 clips"),
    "millimetres": (lambda: K2(CLIP * 1000), ValueError, "millimetres"),
    "infinite": (lambda: K2(CLIP / 0), ValueError, "infinite"),
    "two coordinates": (lambda: K2(CLIP[..., :2]), ValueError, r"\(T, 25, 3 or 4\) or \(T, M, 25, 3 or 4\)"),
    "one frame without time": (lambda: K2(CLIP[0, 0]), ValueError, r"\(25, 3\)"),
    "six axes": (lambda: K2(CLIP[None, None]), ValueError, r"\(T, M, 25, 3 or 4\)"),
    "no frame": (lambda: K2(CLIP[:0]), ValueError, "without a frame"),
    "no clip": (lambda: K2([]), ValueError, "empty list"),
    "nothing": (lambda: K2(None), ValueError, "NoneType"),
    "unknown preset": (lambda: SkeletonProcessor.preset("papre"), ValueError, "Did you mean 'paper'.*Known: paper"),
    "bad value in a preset": (
        lambda: SkeletonProcessor.preset("paper", stream="bones"),
        ValueError,
        "joint, bone, motion, bone_motion",
    ),
    "unknown option in a preset": (lambda: SkeletonProcessor.preset("paper", steam="bone"), TypeError, "'stream'"),
    "people or frames": (lambda: K2(np.ones((2, 8, 25, 3))), ValueError, "'TMVC'.*'MTVC'.*axes"),
    "axes": (lambda: K2(CLIP, axes="TVX"), ValueError, "'TVX'.*'MTVC'"),
    "axes of another shape": (lambda: K2(CLIP, axes="CTVM"), ValueError, "cannot be CTVM"),
    "fields": (lambda: K2(np.zeros((6, 25), "f4, f4, f4")), ValueError, "expected numbers"),
    "complex": (lambda: K2(CLIP.astype(complex)), ValueError, "complex128"),
    "text": (lambda: K2("clip.npy"), ValueError, "got str"),
    "ragged lists": (lambda: K2([[[[0.1] * 3] * 25], [[[0.1] * 3] * 24]]), ValueError, "ragged"),
    "decode count": (lambda: K2.decode(torch.zeros(2, 3, 224, 224), []), ValueError, "0 clips"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_every_error_is_one_sentence(case: str) -> None:
    call, kind, says = BAD[case]
    with pytest.raises(kind, match=says) as caught:
        call()
    assert one_sentence(caught.value), caught.value
    assert not re.search(r"inhomogeneous|broadcast|unpack", str(caught.value))


def test_options_are_given_by_name() -> None:
    with pytest.raises(TypeError, match="positional"):
        SkeletonProcessor("kinect_v2", 224, "first")  # type: ignore[misc]


def test_nan_is_a_missing_joint_and_not_an_error() -> None:
    clip = CLIP.copy()
    clip[2:4, 0, 3] = np.nan
    inputs = K2([clip, CLIP], return_metadata=True)
    assert torch.isfinite(inputs["pixel_values"]).all() and [m.num_missing for m in inputs["metadata"]] == [2, 0]
    everything = K2(np.full_like(CLIP, np.nan), return_metadata=True, allow_empty=True)
    assert torch.isfinite(everything["pixel_values"]).all()


def test_what_a_process_knows_by_name_is_saved_in_full(tmp_path: Path) -> None:
    mine = register_layout(SkeletonLayout("my_sensor", ["hips", "left_hand", "right_hand"], [-1, 0, 0]))
    for processor in (SkeletonProcessor(layout="my_sensor"), SkeletonProcessor(layout=mine), SkeletonProcessor()):
        processor.layout = processor.layout or "my_sensor"
        processor.save_pretrained(tmp_path)
        del LAYOUTS["my_sensor"]  # as in another process
        assert get_layout(SkeletonProcessor.from_pretrained(tmp_path).layout) == mine
        register_layout(mine)
    config = tmp_path / "preprocessor_config.json"
    config.write_text(
        json.dumps({**json.loads(config.read_text()), "layout": "my_sensor"})
    )  # as earlier versions wrote it
    assert SkeletonProcessor.from_pretrained(tmp_path).to_dict()["layout"] == mine.to_dict()
    del LAYOUTS["my_sensor"]
    with refused(ValueError, "put its JSON there in place of the name", match=r"Unknown layout 'my_sensor'"):
        SkeletonProcessor.from_pretrained(tmp_path)
