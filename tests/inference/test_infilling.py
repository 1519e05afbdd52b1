"""Filling in lost motion: what stays, what is never seen, exact masks, baselines, and `s2i infill`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from command_line import run
from conftest import refused

from s2i_hf.inference.infilling import infill, infill_clips, predict_hidden
from s2i_hf.inference.infilling_gaps import (
    fill_linear,
    fill_mean_pose,
    lost_joints,
    mean_error,
    mean_pose,
    touched_pixels,
)
from s2i_hf.models.building import build_diffmae, build_mae
from s2i_hf.processing.encoding import encode
from s2i_hf.processing.image_processing_skeleton import SkeletonProcessor
from s2i_hf.processing.layouts import get_layout

KINECT = get_layout("kinect_v1")
FIXED = {"value_range": "fixed", "value_scale": 2.0, "center": "none", "do_normalize": False}
MakeClip = Callable[..., np.ndarray]


def processor(**options: Any) -> SkeletonProcessor:
    return SkeletonProcessor(**{"layout": "kinect_v1", "size": 64, **options})


def models() -> dict[str, Any]:
    return {
        "mae": build_mae("config:micro", image_size=64),
        "mae, plain pixels": build_mae("config:micro", image_size=64, norm_pix_loss=False),
        "diffmae": build_diffmae("config:micro", image_size=64),
        "diffmae, normalised": build_diffmae("config:micro", image_size=64, norm_pix_loss=True),
    }


class Oracle(torch.nn.Module):
    """A ViTMAE whose answer is given as images (B, 3, H, W)."""

    def __init__(self, images: torch.Tensor) -> None:
        super().__init__()
        stock = build_mae("config:micro", image_size=64)
        self.config: Any = SimpleNamespace(
            patch_size=16, mask_ratio=0.75, norm_pix_loss=False, image_size=64, model_type="vit_mae"
        )
        self.answer, self.decoder = stock.patchify(images), torch.nn.Linear(1, 1)
        self.patchify, self.unpatchify, self.ratios = stock.patchify, stock.unpatchify, []

    def forward(self, images: torch.Tensor, noise: torch.Tensor) -> Any:
        self.ratios.append(self.config.mask_ratio)
        return SimpleNamespace(logits=self.answer[: len(images)])


# --- what the model may see ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(models()))
@pytest.mark.parametrize("options", [{}, {"value_range": "per_axis", "center": "every_frame"}, {"stream": "bone"}])
def test_measured_joints_stay_and_lost_values_do_not_matter(
    make_clip: MakeClip, name: str, options: dict[str, Any]
) -> None:
    truth, model = make_clip("kinect_v1", frames=30, people=2), models()[name]
    drop: dict[str, Any] = {"drop_joints": "left_arm@3:9,Head", "drop_frames": "12:18"}
    settings = {} if name.startswith("mae") else {"num_inference_steps": 2}
    filled = infill(truth, model, processor(**options), **drop, **settings)
    assert filled.joints.dtype == np.float32 and filled.joints.shape == truth.shape
    np.testing.assert_array_equal(filled.joints[~filled.filled], truth[~filled.filled])
    assert np.isfinite(filled.joints).all() and (filled.joints[filled.filled] != truth[filled.filled]).any()
    for garbage in (1e30, np.nan, 0.0):
        other = truth.copy()
        other[filled.filled] = garbage
        again = infill(other, model, processor(**options), **drop, **settings)
        np.testing.assert_array_equal(again.joints, filled.joints)
        np.testing.assert_array_equal(again.mask, filled.mask)


@pytest.mark.parametrize(
    "options",
    [{}, {"part_widths": "equal"}, {"stream": "bone"}, {"stream": "motion"}, {"stream": "bone_motion"}, {"interpolation": "cubic"},
     {"joint_order": "sensor"}],
)  # fmt: skip
@pytest.mark.parametrize("frames", [20, 90])
def test_exactly_the_patches_that_lost_joints_reach_are_hidden(
    make_clip: MakeClip, options: dict[str, Any], frames: int
) -> None:
    """Against the encoder: the pixels that change when lost joints move."""
    clip = make_clip("kinect_v1", frames=frames)
    made = processor(**FIXED, **options).encoding_options
    lost = lost_joints(clip, KINECT, "left_leg,WristR@2:5", (7, 9))
    moved = clip + lost[..., None] * np.random.default_rng(0).uniform(0.5, 1.0, clip.shape).astype(np.float32)
    before, after = (encode([one], KINECT, made)[0][0] for one in (clip, moved))
    changed = ((before - after).abs() > 1e-5).any(dim=0).numpy()
    touched = touched_pixels(lost, KINECT, made)
    assert not (changed & ~touched).any()
    # a lost joint may move a pixel by nothing, as where both ends of a bone move alike; hardly ever by chance
    assert changed.sum() > (0.5 if options.get("stream") else 0.97) * touched.sum()
    filled = infill(clip, models()["mae"], processor(**FIXED, **options), missing=lost)
    patches = touched.reshape(4, 16, 4, 16).any(axis=(1, 3)).reshape(-1)
    np.testing.assert_array_equal(filled.mask, patches)


def test_a_model_that_knows_the_truth_makes_no_error(make_clip: MakeClip) -> None:
    truth = make_clip("kinect_v1", frames=25)
    images, _ = encode([truth], KINECT, processor(**FIXED).encoding_options)
    oracle = Oracle(images)
    for drop in ({"drop_joints": "left_arm"}, {"drop_frames": "10:15"}):
        filled = infill(truth, oracle, processor(**FIXED), **drop)
        assert filled.error(truth) < 0.1  # millimetres
        assert int(16 * (1 - oracle.ratios[-1])) == 16 - filled.mask.sum() and oracle.config.mask_ratio == 0.75


def test_paths_meet_what_was_measured(make_clip: MakeClip) -> None:
    """An answer that is 100 mm off everywhere is put right where there are measured frames to compare with."""
    truth = make_clip("kinect_v1", frames=25)
    images, _ = encode([truth + np.float32([0.1, 0, 0])], KINECT, processor(**FIXED).encoding_options)
    frames = {"drop_frames": "10:14"}
    assert infill(truth, Oracle(images), processor(**FIXED), **frames, meet=False).error(truth) > 80
    assert infill(truth, Oracle(images), processor(**FIXED), **frames).error(truth) < 45
    arm = infill(truth, Oracle(images), processor(**FIXED), drop_joints="left_arm")
    assert arm.error(truth) == pytest.approx(100, rel=0.1)  # nothing to compare with


def test_hidden_patches_are_those_of_a_stock_forward(make_clip: MakeClip) -> None:
    model = build_mae("config:micro", image_size=64, norm_pix_loss=False).train()
    images, _ = encode([make_clip("kinect_v1", seed=s) for s in range(3)], KINECT, processor().encoding_options)
    hidden = torch.rand(3, 16, generator=torch.Generator().manual_seed(0)) < 0.5
    hidden[2] = hidden[1]
    model.config.mask_ratio = 0.75
    filled = predict_hidden(model, images, hidden)
    assert model.config.mask_ratio == 0.75 and model.training
    for row in range(3):
        count = int(hidden[row].sum())
        stock = build_mae("config:micro", image_size=64, norm_pix_loss=False, mask_ratio=count / 16).eval()
        with torch.no_grad():
            outputs = stock(images[row : row + 1], noise=hidden[row : row + 1].float())
        np.testing.assert_array_equal(outputs.mask[0].bool(), hidden[row])
        expected = torch.where(hidden[row][:, None], outputs.logits[0], stock.patchify(images[row : row + 1])[0])
        torch.testing.assert_close(stock.patchify(filled[row : row + 1])[0], expected, atol=1e-5, rtol=1e-5)


def test_a_clip_does_not_depend_on_its_batch(make_clip: MakeClip) -> None:
    clips = [make_clip("kinect_v1", frames=frames) for frames in (20, 33, 90)]
    lost = [lost_joints(clips[0], KINECT, "left_arm"), lost_joints(clips[1], KINECT, None, "4:9")]
    lost.append(lost_joints(clips[2], KINECT, "Head", [(0, 3), (80, 90)]))
    for name, model in models().items():
        settings = {} if name.startswith("mae") else {"num_inference_steps": 2, "num_samples": 2, "seed": 3}
        together = infill_clips(clips, lost, model, processor(), KINECT, batch_size=2, **settings)
        for clip, mask, one in zip(clips, lost, together, strict=True):
            alone = infill(clip, model, processor(), missing=mask, **settings)
            np.testing.assert_allclose(one.samples, alone.samples, atol=1e-4)


def test_samples_mean_and_spread(make_clip: MakeClip) -> None:
    clip, model = make_clip("kinect_v1"), models()["diffmae"]
    settings = {"num_inference_steps": 2, "num_samples": 5, "drop_joints": "left_arm"}
    one = infill(clip, model, processor(), **settings)
    assert one.samples.shape == (5, *clip.shape) and one.method == "diffmae" and one.unit == "mm"
    np.testing.assert_allclose(one.joints, one.samples.mean(axis=0), atol=1e-5)
    variance = one.samples.astype(np.float64).var(axis=0).sum(axis=-1)
    np.testing.assert_allclose(one.spread, np.sqrt(variance), atol=1e-5)
    assert (one.spread[one.filled] > 0).all() and (one.spread[~one.filled] == 0).all()
    np.testing.assert_array_equal(infill(clip, model, processor(), **settings).samples, one.samples)
    assert (infill(clip, model, processor(), **settings, seed=1).samples != one.samples)[:, one.filled].all()


def test_people_who_are_not_there_stay_away(make_clip: MakeClip) -> None:
    clip = make_clip("kinect_v1", people=3)
    clip[:, 1] = np.nan
    clip[5:8, 2, 4] = np.nan
    filled = infill(clip, models()["mae"], processor())
    assert filled.filled.sum() == 3 and filled.filled[5:8, 2, 4].all() and np.isnan(filled.joints[:, 1]).all()
    first = infill(clip, models()["mae"], processor(people="first"), drop_joints="Head")
    assert not first.filled[:, 1:].any() and first.filled[:, 0, KINECT.joint_names.index("Head")].all()


# --- baselines ----------------------------------------------------------------------------------------------------------


def test_linear_interpolation_is_that_of_numpy(make_clip: MakeClip) -> None:
    clip = make_clip("kinect_v1", frames=31, people=2)
    lost = np.random.default_rng(1).random(clip.shape[:3]) < 0.6
    lost[:, 0, 3] = True
    expected = clip.copy()
    for person, joint in np.ndindex(2, 20):
        seen = np.flatnonzero(~lost[:, person, joint])
        for axis in range(3):
            if len(seen):
                values = clip[seen, person, joint, axis]
                expected[:, person, joint, axis] = np.interp(np.arange(31), seen, values)
    others = [joint for joint in range(20) if joint != 3]
    expected[:, 0, 3] = expected[:, 0, others].mean(axis=1)
    np.testing.assert_allclose(fill_linear(np.where(lost[..., None], 1e9, clip), lost, KINECT), expected, atol=1e-5)


def test_mean_pose_by_hand() -> None:
    """Bodies that are the same up to their place have themselves as their mean pose."""
    rng = np.random.default_rng(2)
    body, places = rng.normal(0, 0.4, (20, 3)), rng.normal(0, 1.0, (9, 1, 1, 3))
    clip = (body + places).astype(np.float32)
    broken = clip.copy()
    broken[0, 0, 5] = np.nan
    rows = [{"joints": broken, "layout": "kinect_v1"}, {"joints": np.zeros((4, 1, 25, 3)), "layout": "kinect_v2"}]
    pose = mean_pose(rows, "kinect_v1")
    np.testing.assert_allclose(pose.offsets, body - body[list(KINECT.center_indices)].mean(axis=0), atol=1e-6)
    lost = lost_joints(clip, KINECT, "right_arm")
    np.testing.assert_allclose(fill_mean_pose(clip, lost, pose), clip, atol=1e-5)
    np.testing.assert_allclose(fill_linear(clip, lost, KINECT, pose), clip, atol=1e-5)
    torso = lost_joints(clip, KINECT, "torso")  # the centre, too, and for good
    np.testing.assert_allclose(fill_linear(clip, torso, KINECT, pose), clip, atol=1e-5)
    gap = lost_joints(clip, KINECT, None, "3:5")
    between = (places[2] + (places[5] - places[2]) * np.array([1 / 3, 2 / 3])[:, None, None, None] + body)[:, 0]
    np.testing.assert_allclose(fill_mean_pose(clip, gap, pose)[3:5, 0], between, atol=1e-5)
    with pytest.raises(ValueError, match="no clip there shows a body"):
        mean_pose(rows[:1], "kinect_v2")


def test_errors_count_lost_joints_whose_truth_is_known() -> None:
    truth = np.ones((2, 1, 20, 3), dtype=np.float32)
    guess, where = truth.copy(), np.zeros((2, 1, 20), dtype=bool)
    guess[0, 0, 0], guess[0, 0, 1], guess[1, 0, 5] = (1.03, 1.04, 1.0), (1, 1, 1.15), 9
    where[0, 0, :3] = True
    truth[0, 0, 2] = np.nan
    assert mean_error(guess, truth, where, KINECT) == pytest.approx((50 + 150) / 2, rel=1e-4)
    assert np.isnan(mean_error(guess, truth, where & False, KINECT))


# --- names and defaults -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["HandL", "handl", "hand_left", "left_hand", "LeftHand", "hand-l", "Left Hand"])
def test_joints_by_their_words(make_clip: MakeClip, name: str) -> None:
    lost = lost_joints(make_clip("kinect_v1"), KINECT, name)
    assert np.flatnonzero(lost[0, 0]).tolist() == [KINECT.joint_names.index("HandL")]
    assert not np.array_equal(lost, lost_joints(make_clip("kinect_v1"), KINECT, "hand_right"))


def test_one_answer_is_the_mean_and_several_are_samples(make_clip: MakeClip) -> None:
    clip, model = make_clip("kinect_v1"), models()["diffmae"]
    for samples, steps in ((1, 1), (2, 50)):
        default = infill(clip, model, processor(), "left_arm", num_samples=samples)
        said = infill(clip, model, processor(), "left_arm", num_samples=samples, num_inference_steps=steps)
        np.testing.assert_array_equal(default.samples, said.samples)


# --- bad input ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("drop", "words"),
    [
        ({"drop_joints": "left_am"}, "Did you mean 'left_arm'"),
        ({"drop_joints": "left_arm", "drop_frames": "10:50"}, "not inside this clip of 20 frames"),
        ({"drop_frames": "7"}, "are no range"),
        ({"drop_frames": "-3:4"}, "are no range"),
        ({"drop_frames": (5, 5)}, "0 <= first < stop"),
        ({}, "nothing is lost"),
        ({"drop_frames": ":"}, "everything in this clip is lost"),
        ({"drop_frames": "1:20"}, "touches all 16 patches"),
        ({"missing": np.zeros((3, 1, 20), dtype=bool)}, "expected bool of shape"),
        ({"drop_joints": "head", "num_samples": 2}, "an MAE has one answer"),
        ({"drop_joints": "head", "layout": "kinect_v2"}, "kinect_v2"),
    ],
)
def test_mistakes_are_one_sentence(make_clip: MakeClip, drop: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError) as error:
        infill(make_clip("kinect_v1"), models()["mae"], processor(), **drop)
    assert words in str(error.value) and "\n" not in str(error.value) and str(error.value)[-1] == "."


def test_models_that_do_not_fit(make_clip: MakeClip) -> None:
    for model, made in (
        (build_mae("config:micro", image_size=64).vit, processor()),
        (models()["mae"], processor(size=32)),
    ):
        with refused(ValueError):
            infill(make_clip("kinect_v1"), model, made, "head")


# --- s2i infill ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("infilling")
    for name, model in (("mae", models()["mae"]), ("diffmae", models()["diffmae"])):
        model.save_pretrained(root / name)
        processor().save_pretrained(root / name)
    return root


def test_the_command_fills_tells_and_draws(
    folders: Path, tmp_path: Path, make_clip: MakeClip, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = make_clip("kinect_v1", frames=24)
    clip = tmp_path / "a01_s01_e00_v03.json"
    content = {"file_name": clip.stem, "label": 1, "skeletons": truth[:, 0].tolist()}
    clip.write_text(json.dumps(content))
    pytest.importorskip("matplotlib")
    flags = ("--drop-joints", "left_arm", "--drop-frames", "8:12", "--output")
    code, out, err = run(
        capsys, "infill", clip, "--model", folders / "mae", *flags, tmp_path / "o.json", "--picture", tmp_path / "p.png"
    )
    assert code == 0 and "a01_s01_e00_v03: 24 frames, 1 person, layout kinect_v1" in out, err
    assert out.count("error") == 2 and "MAE" in out and "linear" in out and "--data" in out
    assert (tmp_path / "p.png").read_bytes()[:4] == b"\x89PNG"
    written = json.loads((tmp_path / "o.json").read_text())
    lost = lost_joints(truth, KINECT, "left_arm", "8:12")
    np.testing.assert_allclose(np.array(written["joints"])[~lost], truth[~lost], atol=1e-6)
    assert sorted(map(tuple, written["filled"])) == sorted(map(tuple, np.argwhere(lost)))

    np.save(tmp_path / "own.npy", truth)
    flags = ("--drop-joints", "left_arm", "--samples", 3, "--steps", 2, "--output", tmp_path / "o.npz")
    code, out, err = run(capsys, "infill", tmp_path / "own.npy", "--model", folders / "diffmae", *flags)
    assert code == 0 and "mean of 3 samples" in out and "spread" in out and "was pretrained on" not in out, err
    with np.load(tmp_path / "o.npz") as arrays:
        assert arrays["samples"].shape == (3, *truth.shape) and arrays["filled"].sum() == 4 * 24
        np.testing.assert_array_equal(arrays["joints"][~arrays["filled"]], truth[~arrays["filled"]])


def test_gaps_of_the_sensor_have_no_known_truth(
    folders: Path, tmp_path: Path, make_clip: MakeClip, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = make_clip("kinect_v1")
    clip[4:9, 0, 7] = np.nan
    np.save(tmp_path / "own.npy", clip)
    code, out, _ = run(
        capsys, "infill", tmp_path / "own.npy", "--model", folders / "mae", "--output", tmp_path / "o.npy"
    )
    assert code == 0 and "5 of 400 joints filled" in out and "truth is not known" in out and " mm" not in out
    assert np.isfinite(np.load(tmp_path / "o.npy")).all()


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["own.npy", "--model", "mae", "--drop-joints", "left_amr"], "Did you mean 'left_arm'"),
        (["own.npy", "--model", "mae", "--drop-frames", "10:99"], "not inside this clip of 20 frames"),
        (["own.npy", "--model", "mae"], "nothing is lost"),
        (["own.npy", "--model", "mae", "--drop-joints", "ThumbL"], "no joint of layout 'kinect_v1'"),
        (["own.npy", "--model", "mae", "--drop-joints", "head", "--samples", "0"], "--samples is 0"),
        (["own.npy", "--model", "mae", "--drop-joints", "head", "--output", "own.npy/x.npy"], "cannot be written"),
        (["no.npy", "--model", "/no/model", "--drop-joints", "head"], "not there"),  # the clip is looked at first
        (["own.npy", "--model", "mae", "--drop-joints", "head", "--samples", "2"], "an MAE has one answer"),
        (["own.npy", "--model", "mae", "--drop-joints", "head", "--output", "x.txt"], "--output"),
        (["own.npy", "--model", "mae", "--drop-joints", "head", "--data-dir", "x"], "--data-dir needs --data"),
        (["own.npy", "--model", "mae", "--drop-joints", "head", "--protocol", "ntu60_xsb"], "Did you mean"),
        (["own.npy", "--model", "mae", "--drop-joints", "head", "--sample-id", "other"], "holds no clip 'other'"),
        (["no.npy", "--model", "mae", "--drop-joints", "head"], "not there"),
        (["own.npy", "--model", "/no/model", "--drop-joints", "head"], "does not exist"),
        (["own.npy", "--model", "vit", "--drop-joints", "head"], "cannot fill in motion"),
        (["own.npy", "--model", "motion", "--drop-joints", "head"], "motion stream"),
        (["own.npy", "--model", "bare", "--drop-joints", "head"], "preprocessor_config.json"),
    ],
)
def test_mistakes_at_the_command_line(
    folders: Path, tmp_path: Path, make_clip: MakeClip, capsys: pytest.CaptureFixture[str], argv: list[str], words: str
) -> None:
    from transformers import ViTConfig

    np.save(tmp_path / "own.npy", make_clip("kinect_v1"))
    ViTConfig().save_pretrained(tmp_path / "vit")
    for name in ("motion", "bare"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text((folders / "mae" / "config.json").read_text())
    (tmp_path / "motion" / "run.yaml").write_text("target: motion\n")
    argv = [
        str(tmp_path / word) if word.endswith(".npy") or word in ("vit", "motion", "bare") else word for word in argv
    ]
    code, out, err = run(capsys, "infill", *(str(folders / word) if word == "mae" else word for word in argv))
    assert code == 2 and words in err and err.count("\n") == 1 and err.startswith("s2i infill: ") and out == ""


def test_another_joint_format_than_the_models_is_told(
    folders: Path, tmp_path: Path, make_clip: MakeClip, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "own.npy", make_clip("kinect_v2"))
    flags = ("--layout", "kinect_v2", "--drop-joints", "ThumbL")
    code, out, err = run(capsys, "infill", tmp_path / "own.npy", "--model", folders / "mae", *flags)
    assert code == 0 and "pretrained on layout kinect_v1; on kinect_v2 expect less of it." in out, err


def test_a_real_clip_of_nw_ucla(real_data: Path, folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = next(real_data.rglob("a01_s03_e03_v03.json"))
    code, out, err = run(capsys, "infill", clip, "--model", folders / "mae", "--drop-frames", "15:25")
    assert code == 0 and "200 of 820 joints filled" in out and "mm" in out, err
