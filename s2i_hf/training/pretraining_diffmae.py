"""Pretraining of DiffMAE: what it adds to `pretraining`, namely its settings and its loss.

The loop is that of `pretraining.pretrain`, which gives every clip a mask drawn from (seed, epoch, sample id). Noise levels and noise
are drawn from the mask's order, and so from the same three: a resumed run, or one spread over more processes, sees the noise
of an undisturbed run.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn

from ..models.noise_diffmae import integers, keys_of_order, normals
from ..models.scheduling_diffmae import check_schedule
from ..utils.arguments import arg
from .pretraining import PretrainArguments


@dataclass
class DiffMAEArguments(PretrainArguments):
    """Settings of DiffMAE pretraining: those of `PretrainArguments`, and the decoder and its noise."""

    model: str = arg("config:small", "config:micro|tiny|small|base|large, or a DiffMAE or ViTMAE folder or Hub id.")
    norm_pix_loss: bool = arg(False, "Predict pixels normalised patch by patch; such a model cannot fill in motion.")
    # the decoder and its noise
    decoder_type: Literal["cross", "cross-self", "joint"] = arg("cross", "What noisy patches attend to.")
    noisy_input: Literal["scaled", "plain"] = arg("scaled", "Noisy patches times sqrt(abar_t), or as they are.")
    noise_levels: int = arg(1, "Noise levels learned from in one pass of the encoder.")
    num_train_timesteps: int = arg(1000, "Number of noise levels there are.")
    beta_start: float = arg(1e-4, "First variance of the noise.")
    beta_end: float = arg(2e-2, "Last variance of the noise.")
    rho: float = arg(1.0, "Exponent of the noise: 1 is plain DDPM, 0.8 (more noise) that of the DiffMAE paper.")
    rho_on: Literal["beta", "alpha_bar"] = arg("beta", "What the exponent is on.")

    def __post_init__(self) -> None:
        if self.output_dir is None:
            self.output_dir = f"runs/diffmae_{'+'.join(Path(name).name for name in self.sources)}"
        super().__post_init__()
        if self.noise_levels < 1:
            raise ValueError(f"--noise_levels is {self.noise_levels}; expected 1 or more.")
        check_schedule(self.num_train_timesteps, self.beta_start, self.beta_end, self.rho, self.rho_on)

    @property
    def model_options(self) -> dict[str, Any]:
        """What `build_diffmae` is called with."""
        names = (
            *("decoder_type", "noisy_input", "noise_levels"),
            *("num_train_timesteps", "beta_start", "beta_end", "rho", "rho_on"),
        )
        return super().model_options | {name: getattr(self, name) for name in names}


def draw_noise(noise: Tensor, levels: int, num_train_timesteps: int, patch_values: int) -> tuple[Tensor, Tensor]:
    """Noise levels and noise as a function of the order of each clip's mask.

    Args:
        noise: (B, L) mask noise.
        levels: K noise levels a clip.
        num_train_timesteps: T.
        patch_values: P numbers a patch.

    Returns:
        timesteps (B, K) int64, uniform in 0 .. T-1, and diffusion noise (B, K, L, P) float32, standard normal.
    """
    keys = keys_of_order(noise)
    timesteps = integers(keys, "timestep", levels, num_train_timesteps)
    drawn = normals(keys, "noise", levels * noise.shape[1] * patch_values)
    return timesteps, drawn.view(len(noise), levels, noise.shape[1], patch_values)


def diffmae_loss(model: nn.Module, pixel_values: Tensor, noise: Tensor, target_pixel_values: Tensor) -> Tensor:
    """Loss of DiffMAE for `pretrain(compute_loss=)`: mean squared error of the clean hidden patches.

    Args:
        model: `DiffMAEForPreTraining`, bare or wrapped for several processes.
        pixel_values: (B, 3, H, W) images, whose visible patches are encoded.
        noise: (B, L) ranks; the patches of highest rank are hidden.
        target_pixel_values: (B, 3, H, W) images whose hidden patches are noised and predicted.
    """
    inner: Any = getattr(model, "module", model)
    config = inner.config
    patch_values = config.patch_size**2 * config.num_channels
    timesteps, drawn = draw_noise(noise, config.noise_levels, config.num_train_timesteps, patch_values)
    outputs = model(
        pixel_values,
        noise=noise,
        timesteps=timesteps,
        diffusion_noise=drawn,
        target_pixel_values=target_pixel_values,
    )
    return outputs.loss
