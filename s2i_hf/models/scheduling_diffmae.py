"""The noise of a denoising diffusion model in closed form: how much at which step, and how to step back.

    x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) e,    abar_t = (1 - b_0) ... (1 - b_t),    e standard normal

The variances b_t grow linearly. DiffMAE (Wei et al., arXiv 2304.03283) has an exponent rho on top; rho 1 is plain DDPM (Ho et al.,
arXiv 2006.11239). The model predicts the clean x_0, so both steps back, DDPM and DDIM (Song et al., arXiv 2010.02502), are
written for that. Steps count from 0, the least noise, to T - 1, as in diffusers.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

RHO_PLACES: tuple[str, ...] = ("beta", "alpha_bar")


@dataclass
class NoiseSchedule:
    """Linear variances with an exponent.

    Args:
        num_train_timesteps: T.
        beta_start, beta_end: b_0 and b_{T-1} before the exponent.
        rho: Exponent.
        rho_on: "beta": b_t becomes b_t ** rho, as DiffMAE says; with rho 0.8 there is more noise at every step, and the later half of
            1,000 steps is all but pure noise (abar_500 = 8e-4). "alpha_bar": abar_t becomes abar_t ** rho; rho 0.8 is less noise.

    Attributes:
        betas, alphas_cumprod: (T,) float64 numpy, b_t and abar_t with the exponent.
        signal, sigma: (T,) float32 tensors on the CPU, sqrt(abar_t) and sqrt(1 - abar_t).

    Raises:
        ValueError: in one sentence, for settings that are no noise schedule.
    """

    num_train_timesteps: int = 1000
    beta_start: float = 1e-4
    beta_end: float = 2e-2
    rho: float = 1.0
    rho_on: str = "beta"

    def __post_init__(self) -> None:
        if self.num_train_timesteps < 1:
            raise ValueError(f"num_train_timesteps is {self.num_train_timesteps}; expected 1 or more.")
        if not 0 < self.beta_start <= self.beta_end < 1:
            raise ValueError(
                f"beta_start is {self.beta_start} and beta_end {self.beta_end}; expected 0 < beta_start <= beta_end < 1, as variances "
                "rise from one to the other."
            )
        if not 0 < self.rho <= 10:
            raise ValueError(f"rho is {self.rho}; expected above 0 and at most 10 (1 is plain DDPM, 0.8 DiffMAE).")
        if self.rho_on not in RHO_PLACES:
            raise ValueError(f"rho_on is {self.rho_on!r}; expected one of {', '.join(RHO_PLACES)}.")
        betas = np.linspace(self.beta_start, self.beta_end, self.num_train_timesteps, dtype=np.float64)
        # the exponent of a product is that of its factors
        self.betas = betas**self.rho if self.rho_on == "beta" else 1 - (1 - betas) ** self.rho
        self.alphas_cumprod = np.cumprod(1 - self.betas)
        # On the CPU also while a model is built on the meta device, and no buffers: those would be lost in `from_pretrained`
        # and rounded when a model is cast to bfloat16.
        self.signal = torch.tensor(np.sqrt(self.alphas_cumprod), dtype=torch.float32, device="cpu")
        self.sigma = torch.tensor(np.sqrt(1 - self.alphas_cumprod), dtype=torch.float32, device="cpu")

    @classmethod
    def of(cls, config: Any) -> NoiseSchedule:
        """The schedule of a `DiffMAEConfig`, or of what else has its fields."""
        return cls(**{field.name: getattr(config, field.name) for field in fields(cls)})

    def add_noise(self, clean: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """x_0 and standard normal noise `(*N, ...)`, and timesteps `(*N)` int64 in 0 .. T-1 -> x_t `(*N, ...)` float32."""
        shape = (*timesteps.shape, *[1] * (noise.ndim - timesteps.ndim))
        signal, sigma = (table.to(clean.device)[timesteps].view(shape) for table in (self.signal, self.sigma))
        return signal * clean + sigma * noise

    def timesteps(self, num_inference_steps: int) -> list[int]:
        """Steps of a sampler, evenly spaced from T - 1, pure noise, downwards ("trailing" in diffusers); ValueError if not 1 to T."""
        total = self.num_train_timesteps
        if not 1 <= num_inference_steps <= total:
            raise ValueError(f"num_inference_steps is {num_inference_steps}; expected 1 to {total}, all there are.")
        return [round(total - index * total / num_inference_steps) - 1 for index in range(num_inference_steps)]

    def ddpm_step(
        self, clean: Tensor, noisy: Tensor, timestep: int, previous: int, noise: Tensor | None = None
    ) -> Tensor:
        """One step of ancestral sampling: x_s given x_t (`noisy`) and the model's x_0 (`clean`) of any one shape.

        From t (`timestep`) to s < t (`previous`), of which -1 is the clean end; with standard normal noise a draw, without it the mean.
        """
        now, then = self._alpha_bars(timestep, previous)
        alpha = now / then
        mean = (then**0.5 * (1 - alpha) * clean + alpha**0.5 * (1 - then) * noisy) / (1 - now)
        if noise is None or previous < 0:
            return mean
        return mean + ((1 - then) / (1 - now) * (1 - alpha)) ** 0.5 * noise

    def ddim_step(
        self, clean: Tensor, noisy: Tensor, timestep: int, previous: int, eta: float = 0.0, noise: Tensor | None = None
    ) -> Tensor:
        """One DDIM step, from t to s < t; deterministic with eta 0, the variance of DDPM with eta 1. Arguments as `ddpm_step`."""
        now, then = self._alpha_bars(timestep, previous)
        error = (noisy - now**0.5 * clean) / (1 - now) ** 0.5
        variance = eta**2 * (1 - then) / (1 - now) * (1 - now / then)
        back = then**0.5 * clean + max(1 - then - variance, 0.0) ** 0.5 * error
        if noise is None or variance == 0:
            return back
        return back + variance**0.5 * noise

    def _alpha_bars(self, timestep: int, previous: int) -> tuple[float, float]:
        total = self.num_train_timesteps
        if not -1 <= previous < timestep < total:
            raise ValueError(f"cannot step from {timestep} to {previous}; expected -1 <= to < from < {total}.")
        return float(self.alphas_cumprod[timestep]), float(self.alphas_cumprod[previous]) if previous >= 0 else 1.0
