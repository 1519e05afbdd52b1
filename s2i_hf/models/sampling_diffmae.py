"""Filling hidden patches by denoising: where the noise comes from, which steps are taken, and what of the image stays.

Noise is a function of a key and a counter: the same on every device and in every batch. A sample has a 64-bit key; what is drawn for it
depends on that key and the step alone, never on its place in a batch, on the other samples or on a global random state. The mixer is
SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), as in `processing.rng`, in the two's complement arithmetic of int64 tensors.
"""

from __future__ import annotations

import hashlib
import inspect
import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .scheduling_diffmae import NoiseSchedule

SAMPLERS: tuple[str, ...] = ("ddim", "ddpm")
Predict = Callable[[Tensor, Tensor], Tensor]  # noisy patches (R, S, N, P), their steps (R, S) -> clean patches

# --- noise ------------------------------------------------------------------------------------------------------------

_WORDS = np.array([0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB], dtype=np.uint64)
_GOLDEN, _FIRST, _SECOND = _WORDS.view(np.int64).tolist()


def _shift(x: Tensor, bits: int) -> Tensor:
    """Logical right shift; that of torch drags the sign along."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _mix(x: Tensor) -> Tensor:
    x = (x ^ _shift(x, 30)) * _FIRST
    x = (x ^ _shift(x, 27)) * _SECOND
    return x ^ _shift(x, 31)


def _digest(text: str) -> int:
    """64 bits of a text, the same in every process."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little", signed=True)


def keys_of_ids(sample_ids: Sequence[str], seed: int) -> Tensor:
    """(B,) int64, one key for each (seed, sample id), the same in every process."""
    return torch.tensor([_digest(f"{seed}/{name}") for name in sample_ids], dtype=torch.int64)


def keys_of_order(noise: Tensor) -> Tensor:
    """(B, L) mask noise as a ViTMAE takes it -> (B,) int64 keys: a hash of which patch comes at which place, and of nothing else."""
    order = noise.argsort(dim=1)
    place = torch.arange(order.shape[1], device=order.device)
    return _mix(_mix(_mix(place * _GOLDEN) + order * _FIRST).sum(dim=1) + _GOLDEN)


def random_bits(keys: Tensor, purpose: str, count: int) -> Tensor:
    """(...) int64 keys -> (..., count) int64 of 64 random bits; two purposes draw independently. With "key" they are keys of samples."""
    counter = torch.arange(1, count + 1, device=keys.device) * _GOLDEN
    return _mix(_mix(keys ^ _digest(purpose))[..., None] + counter)


def integers(keys: Tensor, purpose: str, count: int, high: int) -> Tensor:
    """(...) int64 keys -> (..., count) int64, uniform in 0 .. high - 1, `high` at most 2^31; purposes as in `random_bits`."""
    return _shift(random_bits(keys, purpose, count), 33) * high >> 31


def normals(keys: Tensor, purpose: str, count: int) -> Tensor:
    """(...) int64 keys -> (..., count) float32, standard normal (Box and Muller, two from 64 bits), of magnitude 6.8 at most."""
    bits = random_bits(keys, purpose, (count + 1) // 2)
    radius = (-2 * torch.log((_shift(bits, 32).float() + 0.5) * 2.0**-32)).clamp(min=0).sqrt()
    angle = (bits & 0xFFFFFFFF).float() * (2 * math.pi * 2.0**-32)
    return torch.cat([radius * angle.cos(), radius * angle.sin()], dim=-1)[..., :count]


# --- sampling ---------------------------------------------------------------------------------------------------------


class DiffMAEGenerationMixin:
    """`DiffMAEForPreTraining.generate`."""

    @torch.no_grad()
    def generate(
        self: Any,
        pixel_values: Tensor,
        mask: Tensor,
        num_inference_steps: int = 50,
        scheduler: Any = "ddim",
        *,
        eta: float = 0.0,
        seed: int | None = None,
        sample_ids: Sequence[str] | None = None,
        generator: torch.Generator | Sequence[torch.Generator] | None = None,
        num_samples: int | None = None,
        patch_statistics: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """Fill hidden patches by removing noise step by step; visible patches come back bit for bit.

        The encoder runs once. Rows may have different numbers of hidden patches. What is drawn for a row depends on its own seed and not on
        the rest of the batch: (seed, sample id) if both are given; (seed, place in the batch) without ids; the row's own generator if there
        is a list of them; of a single generator or the global random state every row takes one number in turn, so that a batch in two
        halves draws what the whole does.

        Args:
            pixel_values: (B, C, H, W) images; what hidden patches hold is not looked at.
            mask: (B, L) 1 = hidden, 0 = visible.
            num_inference_steps: Steps of the sampler; 1 is a single prediction from pure noise.
            scheduler: "ddim" (None is the same) or "ddpm", or any scheduler of diffusers made for `prediction_type="sample"`, without
                clipping, and with `trained_betas=model.schedule.betas`.
            eta: Noise of "ddim", from 0, none, to 1.
            seed, sample_ids, generator: Where the noise comes from, see above; `generator` excludes the other two.
            num_samples: S draws for each image, from one pass of the encoder.
            patch_statistics: Mean and variance (B, L, 1) of the pixels of each patch, which a model with `norm_pix_loss` leaves out.

        Returns:
            (B, C, H, W) float32, or (B, S, C, H, W) if `num_samples` was given.

        Raises:
            ValueError: a mask or a scheduler that does not fit, or normalised patches without statistics.
        """
        patches = self.patchify(pixel_values.float())
        batch, length, pixels = patches.shape
        hidden = _check_mask(mask, batch, length).to(patches.device)
        samples = 1 if num_samples is None else num_samples
        if samples < 1:
            raise ValueError(f"num_samples is {samples}; expected 1 or more.")
        scales = _check_statistics(self.config.norm_pix_loss, patch_statistics, batch, length)
        sampler = check_scheduler(scheduler, self.schedule, num_inference_steps, eta)
        keys = random_bits(row_keys(batch, seed, sample_ids, generator), "key", samples).to(patches.device)  # (B, S)

        was_training = self.training
        self.eval()
        try:
            filled = patches[:, None].repeat(1, samples, 1, 1)
            counts = hidden.sum(dim=1)
            for count in counts.unique().tolist():  # rows with equally many hidden patches go together
                rows = (counts == count).nonzero()[:, 0]
                order = hidden[rows].long().argsort(dim=1, stable=True)
                ids_visible, ids_hidden = order[:, : length - count], order[:, length - count :]
                states = self.encode(pixel_values[rows].to(self.dtype), ids_visible)

                given = {"ids_hidden": ids_hidden, "ids_visible": ids_visible, "states": states}
                known = [table.to(patches.device)[rows[:, None], ids_hidden][:, None] for table in scales]
                predict = partial(_predict, self, known, given)
                drawn = denoise(predict, self.schedule, keys[rows], (count, pixels), sampler, num_inference_steps, eta)
                filled[rows[:, None], :, ids_hidden] = drawn.transpose(1, 2)
        finally:
            self.train(was_training)
        images = self.unpatchify(filled.flatten(0, 1)).unflatten(0, (batch, samples))
        return images[:, 0] if num_samples is None else images


def _predict(model: Any, scales: Sequence[Tensor], given: dict[str, Any], noisy: Tensor, timesteps: Tensor) -> Tensor:
    """Clean patches in float32; with mean and variance (R, 1, N, 1) those of a model that predicts normalised ones are brought back."""
    clean = model.predict_clean(noisy, timesteps, **given).float()
    return clean * (scales[1] + 1e-6) ** 0.5 + scales[0] if scales else clean


def denoise(
    predict: Predict, schedule: NoiseSchedule, keys: Tensor, size: tuple[int, int], sampler: Any, steps: int, eta: float
) -> Tensor:
    """From pure noise to clean patches, in `steps` steps.

    Args:
        predict: The model's x_0.
        schedule: Noise of the model.
        keys: (R, S) int64, one for each row and sample.
        size: (N, P) of the patches.
        sampler: "ddim", with noise `eta`, "ddpm", or a scheduler of diffusers.

    Returns:
        (R, S, N, P) float32.
    """

    def draw(purpose: str) -> Tensor:
        return normals(keys, purpose, size[0] * size[1]).unflatten(-1, size)

    noisy = draw("start")
    if not isinstance(sampler, str):
        return _by_diffusers(predict, noisy, keys, sampler, steps, eta)
    for step, previous in pairwise([*schedule.timesteps(steps), -1]):
        clean = predict(noisy, torch.full(keys.shape, step, device=keys.device))
        noise = draw(f"step {step}") if previous >= 0 and (eta > 0 or sampler == "ddpm") else None
        if sampler == "ddpm":
            noisy = schedule.ddpm_step(clean, noisy, step, previous, noise)
        else:
            noisy = schedule.ddim_step(clean, noisy, step, previous, eta, noise)
    return noisy


def _by_diffusers(predict: Predict, noisy: Tensor, keys: Tensor, scheduler: Any, steps: int, eta: float) -> Tensor:
    rows, samples = keys.shape
    scheduler.set_timesteps(steps, device=noisy.device)
    takes = inspect.signature(scheduler.step).parameters
    options: dict[str, Any] = {"eta": eta} if "eta" in takes else {}
    if "generator" in takes:  # one a row and sample, or rows would share what is drawn
        generators = [torch.Generator(noisy.device) for _ in range(rows * samples)]
        for made, key in zip(generators, keys.flatten().tolist(), strict=True):
            made.manual_seed(key & ((1 << 63) - 1))
        options["generator"] = generators
    state = noisy.flatten(0, 1) * scheduler.init_noise_sigma  # diffusers knows one batch axis
    for step in scheduler.timesteps:
        given = scheduler.scale_model_input(state, step).unflatten(0, (rows, samples))
        known = step.round().long().to(noisy.device)  # some step between the whole ones that the model knows
        clean = predict(given, known.expand(rows, samples)).flatten(0, 1)
        try:
            state = scheduler.step(clean, step, state, **options).prev_sample
        except (NotImplementedError, ValueError):  # some of them take prediction_type="sample" and cannot step with it
            raise ValueError(
                f"{type(scheduler).__name__} cannot step from predicted clean patches; take DDIMScheduler, DDPMScheduler, "
                "EulerDiscreteScheduler or DPMSolverMultistepScheduler."
            ) from None
    return state.unflatten(0, (rows, samples))


def row_keys(
    batch: int,
    seed: int | None,
    sample_ids: Sequence[str] | None,
    generator: torch.Generator | Sequence[torch.Generator] | None,
) -> Tensor:
    """(B,) int64 key of each row; see `DiffMAEForPreTraining.generate`. Raises ValueError for sources that exclude each other."""
    if generator is not None and (seed is not None or sample_ids is not None):
        raise ValueError("generator excludes seed and sample_ids; pass one or the other.")
    if sample_ids is not None and len(sample_ids) != batch:
        raise ValueError(f"there are {len(sample_ids)} sample_ids for {batch} images; expected one each.")
    if seed is not None or sample_ids is not None:
        return keys_of_ids(list(map(str, range(batch))) if sample_ids is None else sample_ids, seed or 0)
    if generator is None or isinstance(generator, torch.Generator):
        return _any_key(batch, generator)
    if len(generator) != batch:
        raise ValueError(f"{len(generator)} generators for {batch} images; expected one each, or a single one.")
    return torch.cat([_any_key(1, one).cpu() for one in generator])


def _any_key(count: int, generator: torch.Generator | None) -> Tensor:
    device = "cpu" if generator is None else generator.device
    return torch.randint(-(2**63), 2**63 - 1, (count,), generator=generator, device=device)


def check_scheduler(scheduler: Any, schedule: NoiseSchedule, num_inference_steps: int, eta: float) -> Any:
    """The sampler to use: a name, or a scheduler of diffusers that fits the model.

    Raises:
        ValueError: an unknown name, a bad number of steps or eta, or a scheduler made for another prediction or other noise.
    """
    schedule.timesteps(num_inference_steps)
    if not 0 <= eta <= 1:
        raise ValueError(f"eta is {eta}; expected 0 to 1.")
    if scheduler is None or scheduler in SAMPLERS:
        return scheduler or "ddim"
    name, config = type(scheduler).__name__, getattr(scheduler, "config", None)
    if config is None or not hasattr(scheduler, "set_timesteps"):
        given = repr(scheduler) if isinstance(scheduler, str) else f"a {name}"
        raise ValueError(f"scheduler is {given}; expected one of {', '.join(SAMPLERS)}, or a scheduler of diffusers.")
    if (kind := config.get("prediction_type")) != "sample":
        wanted = "this model predicts clean patches; make it with prediction_type='sample'"
        raise ValueError(f"{name} has prediction_type {kind!r}, but {wanted}.")
    if config.get("clip_sample") or config.get("thresholding"):
        raise ValueError(f"{name} clips what the model predicts; give it clip_sample=False and thresholding=False.")
    noise = np.asarray(getattr(scheduler, "alphas_cumprod", ()), dtype=np.float64)
    if noise.shape != schedule.alphas_cumprod.shape or not np.allclose(noise, schedule.alphas_cumprod, atol=1e-4):
        raise ValueError(f"{name} has other noise than this model; make it with trained_betas=model.schedule.betas.")
    return scheduler


def _check_mask(mask: Tensor, batch: int, length: int) -> Tensor:
    if mask.shape != (batch, length):
        raise ValueError(f"mask has the shape {tuple(mask.shape)}; expected {(batch, length)}, one number a patch.")
    hidden = mask == 1
    if not bool((hidden | (mask == 0)).all()):
        raise ValueError("mask holds other numbers than 0, for visible, and 1, for hidden.")
    for row, count in enumerate(hidden.sum(dim=1).tolist()):
        if not 0 < count < length:
            raise ValueError(f"mask hides {count} of {length} patches of image {row}; expected some, but not all.")
    return hidden


def _check_statistics(
    normalised: bool, statistics: tuple[Tensor, Tensor] | None, batch: int, length: int
) -> tuple[Tensor, ...]:
    if not normalised:
        if statistics is not None:
            raise ValueError("patch_statistics are for a model with norm_pix_loss, and this one predicts plain pixels.")
        return ()
    if statistics is None:
        raise ValueError(
            "this model predicts patches normalised one by one (norm_pix_loss), so what it fills in has no brightness and contrast; "
            "pass patch_statistics, or train with --no-norm_pix_loss."
        )
    if len(statistics) != 2 or any(table.shape != (batch, length, 1) for table in statistics):
        raise ValueError(f"patch_statistics have a wrong shape; expected mean and variance, {(batch, length, 1)} each.")
    return statistics[0].float(), statistics[1].float()
