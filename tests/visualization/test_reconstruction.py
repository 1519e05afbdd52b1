"""Masked clips and what a model makes of them: pixels against stock ViTMAE, joints in millimetres."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from s2i_hf.models.building import build_mae
from s2i_hf.processing.encoding import encode
from s2i_hf.processing.image_processing_skeleton import SkeletonProcessor
from s2i_hf.processing.layouts import LAYOUTS
from s2i_hf.processing.masking import MASKS, mask_noise
from s2i_hf.visualization.figures import PART_COLORS
from s2i_hf.visualization.reconstruction import _remarks, reconstruct, reconstruction_picture


def clip(seed, frames=20, people=1, layout="kinect_v1"):
    generator = np.random.default_rng(seed)
    body = generator.normal(scale=0.5, size=(1, people, LAYOUTS[layout].num_joints, 3))
    walk = generator.normal(scale=0.03, size=(frames, people, 1, 3)).cumsum(axis=0)
    return {"joints": (body + walk).astype(np.float32), "layout": layout, "sample_id": f"clip{seed}"}


MICRO, WHOLE = (build_mae("config:micro", image_size=size, seed=0) for size in (64, 224))


class Oracle(torch.nn.Module):
    """A model whose prediction is given: what ViTMAE would return that knew it."""

    def __init__(self, prediction, norm_pix_loss=False, ratio=0.75):
        super().__init__()
        self.config = SimpleNamespace(patch_size=WHOLE.config.patch_size, mask_ratio=ratio, norm_pix_loss=norm_pix_loss)
        self.prediction = prediction
        self.patchify, self.unpatchify = WHOLE.patchify, WHOLE.unpatchify
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, images, noise):
        return SimpleNamespace(logits=self.prediction)


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("norm_pix_loss", [False, True])
def test_hidden_pixels_are_predicted_and_visible_ones_kept(mask, norm_pix_loss):
    """The model's own loss is the mean squared difference of the hidden pixels of original and rebuilt image."""
    torch.manual_seed(0)
    rows, processor = [clip(0), clip(1, frames=33, people=2)], SkeletonProcessor(size=64)
    model = build_mae("config:micro", image_size=64, norm_pix_loss=norm_pix_loss, seed=1)
    for one, row in zip(reconstruct(model, processor, rows, mask, seed=4), rows, strict=True):
        images, _ = encode([row["joints"]], row["layout"], processor.encoding_options)
        np.testing.assert_array_equal(one.original, images[0].numpy())
        hidden = np.isnan(one.masked)
        assert hidden.mean() == 0.75 and (hidden[0] == hidden[1]).all()
        np.testing.assert_array_equal(one.rebuilt[~hidden], one.original[~hidden])
        np.testing.assert_array_equal(one.masked[~hidden], one.original[~hidden])
        noise = mask_noise(mask, [row["sample_id"]], (4, 4), 0.75, 4, 0, part_of_column=[one.columns])
        with torch.no_grad():
            outputs = model(images, noise=noise)
        error = torch.from_numpy(one.rebuilt - one.original)[None]
        error = model.patchify(error)
        if norm_pix_loss:
            error = error / (model.patchify(images).var(dim=-1, keepdim=True) + 1e-6).sqrt()
        loss = (error.square().mean(dim=-1) * outputs.mask).sum() / outputs.mask.sum()
        torch.testing.assert_close(loss, outputs.loss, atol=1e-4, rtol=1e-3)
        assert one.uses_target_scale == norm_pix_loss


@pytest.mark.parametrize("norm_pix_loss", [False, True])
@pytest.mark.parametrize("target", ["joint", "motion"])
def test_a_perfect_model_has_no_error(norm_pix_loss, target):
    processor = SkeletonProcessor()
    rows = [clip(2), clip(3, people=2, layout="kinect_v2")]
    stream = {"joint": {}, "motion": {"stream": "motion"}}[target]
    images, _ = encode(
        [row["joints"] for row in rows], [row["layout"] for row in rows], processor.encoding_options, **stream
    )
    patches = WHOLE.patchify(images)
    if norm_pix_loss:
        patches = (patches - patches.mean(dim=-1, keepdim=True)) / (patches.var(dim=-1, keepdim=True) + 1e-6).sqrt()
    for one, row in zip(reconstruct(Oracle(patches, norm_pix_loss), processor, rows, target=target), rows, strict=True):
        np.testing.assert_allclose(one.truth, row["joints"], atol=1e-4)
        np.testing.assert_allclose(one.predicted, row["joints"], atol=1e-3)
        assert one.error < 0.5 and one.unit == "mm"


def test_a_known_shift_is_measured_in_millimetres():
    """A prediction that puts everybody 25 mm to the right is 25 mm off where it is hidden, and 0 where it is visible."""
    options = dict(value_range="fixed", value_scale=2.0, do_normalize=False, center="none")
    processor, rows = SkeletonProcessor(**options), [clip(4, frames=28)]
    images, _ = encode([rows[0]["joints"] + np.float32([0.025, 0, 0])], "kinect_v1", processor.encoding_options)
    everything = reconstruct(Oracle(WHOLE.patchify(images), ratio=0.99), processor, rows)[0]
    assert everything.hidden.mean() > 0.98  # all but one patch
    assert everything.hidden_error == pytest.approx(25, rel=0.02) and everything.error == pytest.approx(25, rel=0.02)
    rows_hidden = reconstruct(Oracle(WHOLE.patchify(images), ratio=0.5), processor, rows, mask="temporal")[0]
    frames = rows_hidden.hidden.all(axis=(1, 2))
    assert 0.3 < frames.mean() < 0.7  # whole frames are hidden, so whole bodies
    assert (rows_hidden.hidden.any(axis=(1, 2)) == frames).all()
    distance = np.linalg.norm(rows_hidden.predicted - rows_hidden.truth, axis=-1) * 1000
    assert distance[frames].mean() == pytest.approx(25, rel=0.15) and distance[~frames].mean() < 5
    assert rows_hidden.error == pytest.approx(distance.mean(), rel=1e-4)


def test_joint_masks_hide_joints_in_every_frame():
    model = build_mae("config:micro", mask_ratio=0.5)  # 7 of 14 patch columns, none in part
    one = reconstruct(model, SkeletonProcessor(), [clip(5)], mask="joint")[0]
    assert (one.hidden == one.hidden[:1]).all() and 0.3 < one.hidden.mean() < 0.7


def test_masks_depend_on_seed_and_sample_alone():
    model, processor = build_mae("config:micro", image_size=64), SkeletonProcessor(size=64)
    alone = reconstruct(model, processor, [clip(6)], seed=1)[0]
    together = reconstruct(model, processor, [clip(7), clip(6)], seed=1)[1]
    np.testing.assert_array_equal(np.isnan(alone.masked), np.isnan(together.masked))
    other = reconstruct(model, processor, [clip(6)], seed=2)[0]
    assert (np.isnan(alone.masked) != np.isnan(other.masked)).any()


def test_pixels_stay_pixels():
    row = {**clip(8, layout="coco_17"), "sample_id": "flat"}
    one = reconstruct(build_mae("config:micro", image_size=64), SkeletonProcessor(size=64), [row])[0]
    assert one.unit == "px" and one.error > 0


def test_the_model_is_left_as_it_was():
    model = build_mae("config:micro", image_size=64).train()
    reconstruct(model, SkeletonProcessor(size=64), [clip(9)])
    assert model.training and all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize(
    ("layout", "frames", "people", "mask", "target"),
    [
        ("kinect_v1", 12, 1, "random", "joint"),
        ("kinect_v2", 90, 2, "body_part", "joint"),
        ("kinect_v2", 1, 1, "temporal", "motion"),
        ("coco_17", 3, 1, "joint", "joint"),
    ],
)
def test_reconstruction_picture(tmp_path, layout, frames, people, mask, target):
    rows = [clip(seed, frames, people, layout) for seed in range(3)]
    matplotlib_image = pytest.importorskip("matplotlib.image")
    path = tmp_path / "new folder" / "reconstruction.png"
    summary = reconstruction_picture(MICRO, SkeletonProcessor(size=64), rows, path, mask, target)
    picture = matplotlib_image.imread(path)[..., :3]
    assert picture.shape[0] > 500 and picture.shape[1] > 800
    for color in PART_COLORS:  # all five parts are drawn
        wanted = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        assert (np.abs(picture - wanted).max(axis=-1) < 0.01).sum() > 20
    assert json.loads(path.with_suffix(".json").read_text()) == summary
    each = reconstruct(MICRO, SkeletonProcessor(size=64), rows, mask, target)
    assert summary["clips"] == 3 and summary["error"] == pytest.approx(np.mean([one.error for one in each]), abs=1e-3)
    drawn = next(one for one in each if one.sample_id == summary["sample_id"])
    assert drawn.hidden_error == np.median([one.hidden_error for one in each])
    assert sorted(p.name for p in path.parent.iterdir()) == ["reconstruction.json", "reconstruction.png"]


def test_no_clips_is_one_sentence(tmp_path):
    with pytest.raises(ValueError, match="no clips to reconstruct"):
        reconstruction_picture(MICRO, SkeletonProcessor(size=64), [], tmp_path / "x.png")


def test_the_caption_says_what_was_borrowed_from_the_original():
    one = reconstruct(MICRO, SkeletonProcessor(size=64), [clip(0, frames=12)])[0]
    assert any("contrast of hidden patches are the original's" in remark for remark in _remarks(one))
    one = reconstruct(MICRO, SkeletonProcessor(size=64), [clip(0, frames=12)], target="motion")[0]
    assert any("summed from the true first frame" in remark for remark in _remarks(one))
