"""The noise schedule against loops, against Gaussian algebra, and against diffusers."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from conftest import refused
from diffmae_reference import alpha_bars, ddpm_step

from s2i_hf.models.configuration_diffmae import DiffMAEConfig
from s2i_hf.models.scheduling_diffmae import NoiseSchedule

KINDS = [(1.0, "beta"), (0.8, "beta"), (1.2, "beta"), (0.8, "alpha_bar"), (1.5, "alpha_bar")]


@pytest.mark.parametrize(("rho", "place"), KINDS)
@pytest.mark.parametrize("steps", [1, 7, 1000])
def test_alpha_bar_equals_the_loop(steps: int, rho: float, place: str) -> None:
    schedule = NoiseSchedule(steps, 1e-4, 2e-2, rho, place)
    expected = alpha_bars(steps, 1e-4, 2e-2, rho, place)
    np.testing.assert_allclose(schedule.alphas_cumprod, expected, rtol=1e-10)
    np.testing.assert_allclose(
        np.cumprod(1 - schedule.betas), expected, rtol=1e-10
    )  # the variances are those of the product
    np.testing.assert_allclose(schedule.signal.numpy() ** 2 + schedule.sigma.numpy() ** 2, 1, rtol=1e-6)
    assert schedule.num_train_timesteps == steps


def test_where_rho_applies_matters() -> None:
    plain = NoiseSchedule().alphas_cumprod
    assert plain[0] == pytest.approx(1 - 1e-4) and plain[-1] == pytest.approx(4.04e-5, rel=0.01)
    assert plain[500] == pytest.approx(0.0775, rel=0.02)
    of_the_paper = NoiseSchedule(rho=0.8, rho_on="beta").alphas_cumprod
    assert of_the_paper[500] == pytest.approx(8e-4, rel=0.2)  # the later half is all but pure noise
    assert (of_the_paper < plain).all()
    np.testing.assert_allclose(NoiseSchedule(rho=0.8, rho_on="alpha_bar").alphas_cumprod, plain**0.8, rtol=1e-12)


@pytest.mark.parametrize(("rho", "place"), KINDS)
def test_noise_is_added_in_closed_form(rho: float, place: str) -> None:
    schedule, bars = NoiseSchedule(50, 1e-3, 0.1, rho, place), alpha_bars(50, 1e-3, 0.1, rho, place)
    generator = torch.Generator().manual_seed(0)
    clean, noise = torch.randn(4, 1, 5, 6, generator=generator), torch.randn(4, 3, 5, 6, generator=generator)
    steps = torch.randint(50, (4, 3), generator=generator)
    found = schedule.add_noise(clean, noise, steps)
    for b in range(4):
        for k in range(3):
            bar = bars[int(steps[b, k])]
            expected = math.sqrt(bar) * clean[b, 0].double() + math.sqrt(1 - bar) * noise[b, k].double()
            torch.testing.assert_close(found[b, k].double(), expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(("rho", "place"), KINDS)
def test_one_step_at_a_time_gives_the_closed_form(rho: float, place: str) -> None:
    """Adding b_t at every step, as the chain is defined, ends with the mean and variance of the closed form."""
    schedule = NoiseSchedule(200, 1e-4, 0.05, rho, place)
    mean, variance = 1.0, 0.0
    for t, beta in enumerate(schedule.betas):
        mean, variance = mean * math.sqrt(1 - beta), variance * (1 - beta) + beta
        assert mean == pytest.approx(float(schedule.signal[t]), rel=1e-5)
        assert variance == pytest.approx(float(schedule.sigma[t]) ** 2, rel=1e-5)


@pytest.mark.parametrize(("rho", "place"), KINDS)
@pytest.mark.parametrize(("step", "earlier"), [(1, 0), (30, 29), (99, 60), (40, 0), (99, -1), (0, -1)])
def test_a_ddpm_step_is_the_product_of_two_gaussians(step: int, earlier: int, rho: float, place: str) -> None:
    schedule, bars = NoiseSchedule(100, 1e-3, 0.05, rho, place), alpha_bars(100, 1e-3, 0.05, rho, place)
    rng = np.random.default_rng(step)
    clean, noisy, noise = rng.normal(size=(3, 4, 5))
    expected = ddpm_step(bars, clean, noisy, step, earlier, noise)
    found = schedule.ddpm_step(*(torch.from_numpy(x) for x in (clean, noisy)), step, earlier, torch.from_numpy(noise))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-10)


def test_ddim_steps_keep_the_noise_they_find() -> None:
    """With the true x_0, DDIM lands on the same noise at the earlier level, and eta 1 has the moments of DDPM."""
    schedule = NoiseSchedule(100, 1e-3, 0.05)
    rng = np.random.default_rng(0)
    clean, noise, fresh = (torch.from_numpy(x) for x in rng.normal(size=(3, 4, 5)))
    bars = schedule.alphas_cumprod
    noisy = bars[80] ** 0.5 * clean + (1 - bars[80]) ** 0.5 * noise
    expected = bars[20] ** 0.5 * clean + (1 - bars[20]) ** 0.5 * noise
    torch.testing.assert_close(schedule.ddim_step(clean, noisy, 80, 20), expected)
    torch.testing.assert_close(schedule.ddim_step(clean, noisy, 80, -1), clean)
    torch.testing.assert_close(
        schedule.ddim_step(clean, noisy, 80, 20, 1.0, fresh), schedule.ddpm_step(clean, noisy, 80, 20, fresh)
    )


def test_samplers_start_at_the_noisiest_step_and_go_down_evenly() -> None:
    schedule = NoiseSchedule(1000)
    assert schedule.timesteps(1) == [999]
    assert schedule.timesteps(4) == [999, 749, 499, 249]
    assert schedule.timesteps(1000) == list(range(999, -1, -1))
    for count in (3, 7, 50, 333, 999):
        steps = schedule.timesteps(count)
        gaps = {early - late for early, late in pairwise(steps)}
        assert len(steps) == count and steps[0] == 999 and steps[-1] >= 0 and max(gaps) - min(gaps) <= 1


# --- diffusers --------------------------------------------------------------------------------------------------------


def schedulers(kind: str, schedule: NoiseSchedule, **options: Any) -> Any:
    diffusers = pytest.importorskip("diffusers", reason="diffusers is not installed: nothing to compare with")
    settings = {"prediction_type": "sample", "clip_sample": False, "timestep_spacing": "trailing"}
    return getattr(diffusers, kind)(len(schedule.betas), trained_betas=schedule.betas, **{**settings, **options})


def test_the_plain_schedule_is_that_of_diffusers() -> None:
    diffusers = pytest.importorskip("diffusers", reason="diffusers is not installed: nothing to compare with")
    theirs = diffusers.DDPMScheduler(1000, beta_start=1e-4, beta_end=2e-2, beta_schedule="linear")
    ours = NoiseSchedule(1000, 1e-4, 2e-2)
    # theirs are products of float32 numbers
    np.testing.assert_allclose(ours.alphas_cumprod, theirs.alphas_cumprod.double().numpy(), rtol=1e-4)
    clean, noise = torch.randn(2, 8, 3, 4, generator=torch.Generator().manual_seed(0))
    steps = torch.tensor([0, 1, 50, 200, 500, 700, 998, 999])
    torch.testing.assert_close(
        ours.add_noise(clean, noise, steps), theirs.add_noise(clean, noise, steps), atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("rho", [1.0, 0.8])
@pytest.mark.parametrize("count", [1, 10, 50, 1000])
def test_ddpm_steps_equal_those_of_diffusers(count: int, rho: float) -> None:
    ours = NoiseSchedule(rho=rho)
    theirs = schedulers("DDPMScheduler", ours)
    theirs.set_timesteps(count)
    steps = ours.timesteps(count)
    assert theirs.timesteps.tolist() == steps
    clean, noisy = torch.randn(2, 2, 3, 4, generator=torch.Generator().manual_seed(0))
    for step, earlier in [*pairwise(steps), (steps[-1], -1)][:: max(1, count // 10)]:
        noise = torch.randn(noisy.shape, generator=torch.Generator().manual_seed(step))
        expected = theirs.step(clean, step, noisy, generator=torch.Generator().manual_seed(step)).prev_sample
        torch.testing.assert_close(ours.ddpm_step(clean, noisy, step, earlier, noise), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("rho", [1.0, 0.8])
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("count", [1, 10, 50])
def test_ddim_steps_equal_those_of_diffusers(count: int, eta: float, rho: float) -> None:
    ours = NoiseSchedule(rho=rho)
    theirs = schedulers("DDIMScheduler", ours)
    theirs.set_timesteps(count)
    steps = ours.timesteps(count)
    clean, noisy, noise = torch.randn(3, 2, 3, 4, generator=torch.Generator().manual_seed(0))
    for step, earlier in [*pairwise(steps), (steps[-1], -1)]:
        given = {} if eta == 0 else {"variance_noise": noise}
        expected = theirs.step(clean, step, noisy, eta=eta, **given).prev_sample
        found = ours.ddim_step(clean, noisy, step, earlier, eta, noise if earlier >= 0 else None)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"num_train_timesteps": 0}, "num_train_timesteps is 0"),
        ({"beta_start": 0.0}, "beta_start is 0.0"),
        ({"beta_start": 0.5, "beta_end": 0.1}, "beta_start <= beta_end"),
        ({"beta_end": 1.0}, "beta_end 1.0"),
        ({"beta_end": math.nan}, "beta_end nan"),
        ({"rho": 0.0}, "rho is 0.0"),
        ({"rho": math.inf}, "rho is inf"),
        ({"rho_on": "sigma"}, "rho_on is 'sigma'; expected one of beta, alpha_bar"),
    ],
)
def test_what_is_no_schedule_is_refused(settings: dict[str, Any], says: str) -> None:
    for build in (NoiseSchedule, DiffMAEConfig):
        with refused(ValueError, match=says):
            build(**settings)


@pytest.mark.parametrize(("step", "earlier"), [(5, 5), (5, 6), (5, -2), (10, 3)])
def test_steps_that_go_nowhere_are_refused(step: int, earlier: int) -> None:
    schedule, x = NoiseSchedule(10), torch.zeros(1)
    for take in (schedule.ddpm_step, schedule.ddim_step):
        with refused(ValueError, match=f"cannot step from {step} to {earlier}"):
            take(x, x, step, earlier)


@pytest.mark.parametrize("count", [0, -1, 11])
def test_a_number_of_steps_that_cannot_be_taken(count: int) -> None:
    with refused(ValueError, match=f"num_inference_steps is {count}; expected 1 to 10"):
        NoiseSchedule(10).timesteps(count)
