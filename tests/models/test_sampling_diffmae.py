"""DiffMAE fills hidden patches: its noise, what stays, what it depends on, samplers of our own and of diffusers, and refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from conftest import refused
from diffmae_reference import alpha_bars, ddpm_step, denoise, encoder
from torch import Tensor

from s2i_hf.models import sampling_diffmae as sampling
from s2i_hf.models.building import build_diffmae
from s2i_hf.models.modeling_diffmae import DiffMAEForPreTraining
from s2i_hf.models.sampling_diffmae import integers, keys_of_ids, keys_of_order, normals, random_bits
from s2i_hf.models.scheduling_diffmae import NoiseSchedule
from s2i_hf.processing.masking import MASKS, mask_noise
from s2i_hf.processing.rng import uniform
from s2i_hf.training.pretraining import draw_noise

# --- noise ------------------------------------------------------------------------------------------------------------


CLIPS = [f"clip{index:05}" for index in range(4000)]


def test_the_mixer_is_splitmix64() -> None:
    """The same bits as the numpy generator of `rng`, from a key made to be its state."""
    from s2i_hf.processing import rng

    words = np.array([0, 1, 2**63, 0xDEADBEEFDEADBEEF, 2**64 - 1], dtype=np.uint64)
    with np.errstate(over="ignore"):
        expected = rng._mix(words)
    found = sampling._mix(torch.from_numpy(words.view(np.int64)))
    assert np.array_equal(found.numpy().view(np.uint64), expected)


def test_normals_are_standard_and_independent() -> None:
    drawn = normals(keys_of_ids(CLIPS[:200], seed=0), "noise", 2501).double().numpy()
    assert drawn.shape == (200, 2501)
    count = drawn.size
    for power, moment in ((1, 0), (2, 1), (3, 0), (4, 3), (6, 15)):
        spread = {1: 1, 2: 2, 3: 15, 4: 96, 6: 10170}[power]  # variance of the power of a normal number
        assert abs((drawn**power).mean() - moment) < 5 * np.sqrt(spread / count), power
    edges = np.array([-3, -2, -1, -0.5, 0, 0.5, 1, 2, 3])
    shares = np.array([0.0013499, 0.0227501, 0.1586553, 0.3085375, 0.5, 0.6914625, 0.8413447, 0.9772499, 0.9986501])
    below = (drawn[..., None] < edges).mean(axis=(0, 1))
    assert (np.abs(below - shares) < 5 * np.sqrt(shares * (1 - shares) / count)).all()
    limit = 5 / np.sqrt(count)
    for lag in (1, 2, 1250, 1251):  # neighbours, and the two numbers of a pair
        assert abs((drawn[:, lag:] * drawn[:, :-lag]).mean()) < 5 / np.sqrt(drawn[:, lag:].size), lag
    assert abs((drawn[1:] * drawn[:-1]).mean()) < limit  # another sample
    assert abs((drawn**2 - 1)[1:].ravel() @ (drawn**2 - 1)[:-1].ravel()) / count < 2 * limit


def test_purposes_seeds_and_derived_keys_draw_independently() -> None:
    keys = keys_of_ids(CLIPS[:100], seed=0)
    base = normals(keys, "noise", 1000)
    others = [
        normals(keys, "start", 1000),
        normals(keys_of_ids(CLIPS[:100], seed=1), "noise", 1000),
        *(normals(key, "noise", 1000) for key in random_bits(keys, "key", 3).unbind(1)),
    ]
    for other in others:
        assert abs(float((base * other).mean())) < 5 / np.sqrt(base.numel())
    assert len(torch.cat([keys[:, None], random_bits(keys, "key", 3)], dim=1).unique()) == 400


def test_integers_are_uniform() -> None:
    for high in (1, 7, 1000):
        drawn = integers(keys_of_ids(CLIPS, seed=3), "timestep", 5, high).numpy()
        assert drawn.shape == (4000, 5) and drawn.min() == 0 and drawn.max() == high - 1
        counts = np.bincount(drawn.ravel(), minlength=high)
        excess = ((counts - 20000 / high) ** 2 / (20000 / high)).sum() - (high - 1)
        assert abs(excess) < 5 * np.sqrt(2 * max(high - 1, 1))
        if high > 1:
            centred = drawn - (high - 1) / 2
            assert abs((centred[:, 0] * centred[:, 1]).mean()) < 5 * centred.var() / np.sqrt(4000)


@pytest.mark.parametrize("strategy", [mask for mask in MASKS if mask != "body_part"])
def test_noise_of_masks_is_uniform_and_new_for_every_clip_and_epoch(strategy: str) -> None:
    noise = [mask_noise(strategy, CLIPS[:1000], (7, 7), 0.75, seed=0, epoch=epoch) for epoch in (0, 1)]
    steps, drawn = zip(*(draw_noise(one, 2, 1000, 3) for one in noise), strict=True)
    for one in steps:
        counts = np.bincount(one.numpy().ravel() // 100, minlength=10)
        assert ((counts - 200) ** 2 / 200).sum() < 40  # chi squared of 9 degrees of freedom
    assert len(torch.cat([keys_of_order(one) for one in noise]).unique()) == 2000
    assert (steps[0] != steps[1]).float().mean() > 0.99
    assert drawn[0].shape == (1000, 2, 49, 3) and drawn[0].dtype == torch.float32
    limit = 5 / np.sqrt(drawn[0].numel())
    assert abs(float(drawn[0].mean())) < limit and abs(float((drawn[0] * drawn[1]).mean())) < limit
    assert abs(float((drawn[0][:, 0] * drawn[0][:, 1]).mean())) < 2 * limit  # the two noise levels of a clip
    hidden = noise[0] >= 12
    level = drawn[0][:, 0].mean(dim=-1)
    assert abs(float(level[hidden].mean())) < 5 / np.sqrt(3 * int(hidden.sum()))  # it does not know what is hidden
    early = steps[0][:, :1].float() / 999 - 0.5
    place = noise[0] / 48 - 0.5
    assert (np.abs((early * place).mean(dim=0).numpy()) < 5 / 12 / np.sqrt(1000)).all()  # nor does the timestep


def test_noise_depends_on_the_mask_alone() -> None:
    noise = mask_noise("random", CLIPS[:8], (4, 4), 0.75, seed=5, epoch=2)
    steps, drawn = draw_noise(noise, 2, 1000, 12)
    shuffled = torch.tensor([3, 1, 7])
    some_steps, some = draw_noise(noise[shuffled], 2, 1000, 12)
    assert torch.equal(some_steps, steps[shuffled]) and torch.equal(some, drawn[shuffled])
    again = draw_noise(noise / 100 - 3, 2, 1000, 12)  # only the order counts
    assert torch.equal(again[0], steps) and torch.equal(again[1], drawn)
    swapped = noise.clone()
    swapped[:, [0, 1]] = noise[:, [1, 0]]
    assert not torch.equal(draw_noise(swapped, 2, 1000, 12)[1], drawn)
    state = torch.get_rng_state()
    draw_noise(noise, 1, 10, 3)
    assert torch.equal(torch.get_rng_state(), state)


def test_it_is_as_good_as_the_generator_of_the_masks() -> None:
    """Uniform numbers of `rng` and these normals, drawn for the same clips, do not know of each other."""
    from s2i_hf.processing.rng import hash_ids

    flat = uniform(0, 0, hash_ids(CLIPS[:500]), 200, "mask/random") - 0.5
    drawn = normals(keys_of_ids(CLIPS[:500], 0), "noise", 200).numpy()
    assert abs((flat * drawn).mean()) < 5 / np.sqrt(12 * drawn.size)


# --- what is filled in ------------------------------------------------------------------------------------------------

IDS = ["a", "b", "c", "d"]


@pytest.fixture(scope="module")
def model() -> DiffMAEForPreTraining:
    made = build_diffmae("config:micro", image_size=32, patch_size=8, decoder_type="cross-self").eval()
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return made


def images(batch: int = 4) -> Tensor:
    return torch.randn(batch, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def masks(batch: int = 4, hidden: int = 10) -> Tensor:
    return (torch.rand(batch, 16, generator=torch.Generator().manual_seed(1)).argsort(dim=1) < hidden).float()


def pixels_of(mask: Tensor) -> Tensor:
    """(B, 1, 32, 32) bool, hidden pixels."""
    return mask.view(-1, 1, 4, 4).repeat_interleave(8, 2).repeat_interleave(8, 3).bool()


@pytest.mark.parametrize("scheduler", ["ddpm", "ddim", None])
@pytest.mark.parametrize("steps", [1, 3])
def test_visible_patches_come_back_bit_for_bit(model: DiffMAEForPreTraining, scheduler: Any, steps: int) -> None:
    given, mask = images(), masks()
    filled = model.generate(given, mask, steps, scheduler, seed=0)
    hidden = pixels_of(mask).expand_as(given)
    assert filled.shape == given.shape and torch.equal(filled[~hidden], given[~hidden])
    assert (filled[hidden] != given[hidden]).all() and torch.isfinite(filled).all()


def test_what_hidden_patches_hold_is_not_looked_at(model: DiffMAEForPreTraining) -> None:
    given, mask = images(), masks()
    blank = torch.where(pixels_of(mask), torch.nan, given)
    assert torch.equal(model.generate(blank, mask, 2, seed=0), model.generate(given, mask, 2, seed=0))


@pytest.mark.parametrize("scheduler", ["ddpm", "ddim"])
def test_a_row_does_not_depend_on_its_batch(model: DiffMAEForPreTraining, scheduler: str) -> None:
    given, mask = images(), masks()
    mask[1, mask[1].argmax()] = 0  # rows of several sizes
    mask[3] = torch.arange(16) >= 13
    together = model.generate(given, mask, 3, scheduler, eta=0.5, seed=7, sample_ids=IDS, num_samples=2)
    for order in ([2], [3, 0], [1, 2, 3, 0]):
        ids = [IDS[row] for row in order]
        apart = model.generate(given[order], mask[order], 3, scheduler, eta=0.5, seed=7, sample_ids=ids, num_samples=2)
        torch.testing.assert_close(apart, together[order], atol=1e-5, rtol=1e-5)
    fewer = model.generate(given, mask, 3, scheduler, eta=0.5, seed=7, sample_ids=IDS)
    torch.testing.assert_close(fewer, together[:, 0], atol=1e-5, rtol=1e-5)  # the first sample is the first of several
    with_generators = [torch.Generator().manual_seed(row) for row in range(4)]
    listed = model.generate(given, mask, 2, scheduler, generator=with_generators)
    alone = model.generate(given[2:3], mask[2:3], 2, scheduler, generator=[torch.Generator().manual_seed(2)])
    torch.testing.assert_close(alone, listed[2:3], atol=1e-5, rtol=1e-5)


def test_a_single_generator_serves_rows_in_turn(model: DiffMAEForPreTraining) -> None:
    given, mask = images(), masks()
    whole = model.generate(given, mask, 2, generator=torch.Generator().manual_seed(3))
    one = torch.Generator().manual_seed(3)
    halves = torch.cat(
        [model.generate(given[part], mask[part], 2, generator=one) for part in (slice(0, 1), slice(1, 4))]
    )
    torch.testing.assert_close(halves, whole, atol=1e-5, rtol=1e-5)


def test_seeds_repeat_and_differ(model: DiffMAEForPreTraining) -> None:
    given, mask = images(), masks()
    first = model.generate(given, mask, 2, seed=0)
    state = torch.get_rng_state()
    assert torch.equal(model.generate(given, mask, 2, seed=0), first)
    assert torch.equal(torch.get_rng_state(), state)
    for other in ({"seed": 1}, {"seed": 0, "sample_ids": IDS}, {"sample_ids": IDS}, {}):
        assert not torch.equal(model.generate(given, mask, 2, **other), first)  # type: ignore[arg-type]
    torch.manual_seed(4)
    drawn = model.generate(given, mask, 2)
    torch.manual_seed(4)
    assert torch.equal(model.generate(given, mask, 2), drawn)
    twins = model.generate(given[:1].repeat(2, 1, 1, 1), mask[:1].repeat(2, 1), 2, seed=0, num_samples=3)
    flat = twins.flatten(0, 1).flatten(1)
    assert twins.shape == (2, 3, 3, 32, 32) and len(flat.unique(dim=0)) == 6  # same clip, other draws


def test_the_encoder_runs_once(model: DiffMAEForPreTraining, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = {"encoder": 0, "decoder": 0}
    hooks = [
        model.vit.layers[0].register_forward_hook(lambda *_: calls.__setitem__("encoder", calls["encoder"] + 1)),
        model.denoiser.register_forward_hook(lambda *_: calls.__setitem__("decoder", calls["decoder"] + 1)),
    ]
    model.train()
    model.generate(images(), masks(), 6, "ddpm", seed=0, num_samples=5)
    assert calls == {"encoder": 1, "decoder": 6} and model.training
    model.eval()
    for hook in hooks:
        hook.remove()


def test_two_ddpm_steps_equal_the_reference(model: DiffMAEForPreTraining) -> None:
    given, mask = images(1), masks(1)
    filled = model.patchify(model.generate(given, mask, 2, "ddpm", seed=5, sample_ids=["clip"]))[0]
    weights = {name: tensor.double().numpy() for name, tensor in model.state_dict().items()}
    visible, hidden = (np.flatnonzero(mask[0].numpy() == value).tolist() for value in (0, 1))
    key = random_bits(keys_of_ids(["clip"], 5), "key", 1)
    start, fresh = (normals(key, purpose, 10 * 192).view(10, 192).double().numpy() for purpose in ("start", "step 999"))
    bars = alpha_bars(1000, 1e-4, 2e-2, 1.0, "beta")
    states = encoder(weights, model.config, given[0].double().numpy(), visible)
    clean = np.stack(denoise(weights, model.config, states, visible, hidden, list(start), 999))
    noisy = ddpm_step(bars, clean, start, 999, 499, fresh)
    clean = np.stack(denoise(weights, model.config, states, visible, hidden, list(noisy), 499))
    np.testing.assert_allclose(filled[hidden].numpy(), clean, atol=1e-5)


@pytest.mark.parametrize(("sampler", "eta"), [("ddim", 0.0), ("ddim", 1.0), ("ddpm", 0.0)])
def test_a_sampler_with_the_right_answer_draws_the_right_distribution(sampler: str, eta: float) -> None:
    """Where x_0 is N(m, s^2), its mean given x_t is known: samplers fed with it must end with that mean and variance."""
    schedule, m, s = NoiseSchedule(), 0.7, 0.5
    bars = torch.tensor(schedule.alphas_cumprod)

    def predict(noisy: Tensor, steps: Tensor) -> Tensor:
        bar = bars[steps][..., None, None]
        gain = bar.sqrt() * s**2 / (bar * s**2 + 1 - bar)
        return (m + gain * (noisy - bar.sqrt() * m)).float()

    drawn = sampling.denoise(predict, schedule, keys_of_ids(IDS, 0)[:, None], (50, 100), sampler, 200, eta)
    assert drawn.shape == (4, 1, 50, 100)
    assert abs(float(drawn.mean()) - m) < 0.02
    assert float(drawn.std()) == pytest.approx(s, abs=0.03)


def test_normalised_patches_need_statistics() -> None:
    model = build_diffmae("config:micro", image_size=32, patch_size=8, norm_pix_loss=True).eval()
    given, mask = images(), masks()
    patches = model.patchify(given)
    truth = patches.mean(dim=-1, keepdim=True), patches.var(dim=-1, keepdim=True)
    with refused(ValueError, match=r"normalised one by one .* pass patch_statistics"):
        model.generate(given, mask, 2)
    with pytest.raises(ValueError, match="wrong shape"):
        model.generate(given, mask, 2, patch_statistics=(truth[0][:2], truth[1][:2]))
    once = model.patchify(model.generate(given, mask, 1, seed=0, patch_statistics=truth))
    flat = model.patchify(model.generate(given, mask, 1, seed=0, patch_statistics=(truth[0] * 0, truth[1] * 0 + 1)))
    hidden = mask.bool()
    expected = flat * (truth[1] + 1e-6).sqrt() / (1 + 1e-6) ** 0.5 + truth[0]
    torch.testing.assert_close(once[hidden], expected[hidden], atol=1e-4, rtol=1e-4)
    plain = build_diffmae("config:micro", image_size=32, patch_size=8)
    with pytest.raises(ValueError, match="predicts plain pixels"):
        plain.generate(given, mask, 2, patch_statistics=truth)


# --- diffusers --------------------------------------------------------------------------------------------------------


def scheduler_of(name: str, model: DiffMAEForPreTraining, **options: Any) -> Any:
    diffusers = pytest.importorskip("diffusers", reason="diffusers is not installed: no schedulers to pass")
    settings = {"prediction_type": "sample", "timestep_spacing": "trailing", "trained_betas": model.schedule.betas}
    if name.startswith("DD"):
        settings["clip_sample"] = False
    return getattr(diffusers, name)(1000, **{**settings, **options})


def test_ddim_of_diffusers_gives_our_images(model: DiffMAEForPreTraining) -> None:
    given, mask = images(), masks()
    theirs = model.generate(given, mask, 10, scheduler_of("DDIMScheduler", model), seed=0, num_samples=2)
    ours = model.generate(given, mask, 10, "ddim", seed=0, num_samples=2)
    torch.testing.assert_close(theirs, ours, atol=1e-4, rtol=1e-4)


@pytest.mark.filterwarnings("ignore:__array__")  # of diffusers and numpy 2
@pytest.mark.parametrize("name", ["DDPMScheduler", "DPMSolverMultistepScheduler", "EulerDiscreteScheduler", "UniPCMultistepScheduler",
                                  "HeunDiscreteScheduler"])  # fmt: skip
def test_schedulers_of_diffusers_fill_in(model: DiffMAEForPreTraining, name: str) -> None:
    given, mask = images(), masks()
    mask[0] = torch.arange(16) >= 9
    filled = model.generate(given, mask, 8, scheduler_of(name, model), seed=0)
    hidden = pixels_of(mask).expand_as(given)
    assert torch.equal(filled[~hidden], given[~hidden]) and torch.isfinite(filled).all()
    last = model.generate(given[-1:], mask[-1:], 8, scheduler_of(name, model), seed=0, sample_ids=["x"])
    again = model.generate(given[-2:], mask[-2:], 8, scheduler_of(name, model), seed=0, sample_ids=["y", "x"])
    torch.testing.assert_close(again[1:], last, atol=1e-3, rtol=1e-3)


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"scheduler": "dpm"}, "scheduler is 'dpm'; expected one of ddim, ddpm"),
        ({"scheduler": 5}, "scheduler is a int"),
        ({"num_inference_steps": 0}, "num_inference_steps is 0; expected 1 to 1000"),
        ({"num_inference_steps": 1001}, "num_inference_steps is 1001"),
        ({"eta": 2.0}, "eta is 2.0"),
        ({"num_samples": 0}, "num_samples is 0"),
        ({"mask": torch.ones(4, 15)}, r"mask has the shape \(4, 15\); expected \(4, 16\)"),
        ({"mask": torch.full((4, 16), 0.5)}, "other numbers than 0"),
        ({"mask": torch.ones(4, 16)}, "hides 16 of 16 patches of image 0"),
        ({"mask": torch.eye(4, 16) * torch.tensor([[1], [1], [0], [1]])}, "hides 0 of 16 patches of image 2"),
        ({"pixel_values": torch.zeros(4, 3, 16, 16)}, r"takes \(batch, 3, 32, 32\)"),
        ({"sample_ids": ["a"]}, "1 sample_ids for 4 images"),
        ({"generator": torch.Generator(), "seed": 1}, "generator excludes seed"),
        ({"generator": [torch.Generator()]}, "1 generators for 4 images"),
    ],
)
def test_what_cannot_be_filled_is_refused(model: DiffMAEForPreTraining, changes: dict[str, Any], says: str) -> None:
    with refused(ValueError, match=says):
        model.generate(**{"pixel_values": images(), "mask": masks(), "num_inference_steps": 2, **changes})


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"prediction_type": "epsilon"}, "prediction_type 'epsilon', but this model predicts clean patches"),
        ({"clip_sample": True}, "clips what the model predicts"),
        ({"trained_betas": np.linspace(1e-4, 0.03, 1000)}, "other noise than this model"),
    ],
)
def test_schedulers_that_do_not_fit_are_refused(
    model: DiffMAEForPreTraining, options: dict[str, Any], says: str
) -> None:
    with refused(ValueError, match=says):
        model.generate(images(), masks(), 2, scheduler_of("DDPMScheduler", model, **options))


@pytest.mark.filterwarnings("ignore:__array__")
@pytest.mark.parametrize("name", ["EulerAncestralDiscreteScheduler", "PNDMScheduler"])
def test_schedulers_that_cannot_step_from_samples_are_refused(model: DiffMAEForPreTraining, name: str) -> None:
    with refused(ValueError, match=f"{name} cannot step from predicted clean patches"):
        model.generate(images(), masks(), 8, scheduler_of(name, model), seed=0)
