"""`DiffMAEConfig`: what a ViTMAE has, and which decoder denoises how much noise."""

from __future__ import annotations

from typing import Any, ClassVar

from huggingface_hub.dataclasses import strict
from transformers import ViTMAEConfig

from .initialization import image_sides, patch_grid, shown_size
from .scheduling_diffmae import NoiseSchedule

DECODER_TYPES: tuple[str, ...] = ("cross", "cross-self", "joint")
NOISY_INPUTS: tuple[str, ...] = ("scaled", "plain")


@strict
class DiffMAEConfig(ViTMAEConfig):
    """Configuration of `DiffMAEForPreTraining` (DiffMAE, Wei et al., arXiv 2304.03283).

    All fields of `ViTMAEConfig` mean what they mean there: image_size, patch_size, mask_ratio, the encoder's hidden_size,
    num_hidden_layers, num_attention_heads and intermediate_size, and the same with `decoder_` for the decoder.

    Args:
        decoder_type: Which tokens a decoder block sees. "cross": noisy patches attend to the encoder's visible patches, and not to each
            other; the cheapest. "cross-self": to each other as well. "joint": self-attention over both together, as in MAE.
        num_train_timesteps: Number of noise levels.
        beta_start, beta_end: First and last variance of the noise, which grows linearly.
        rho, rho_on: An exponent on the noise, and where it applies; see `NoiseSchedule`. rho 1 is plain DDPM; DiffMAE has 0.8 on "beta".
        noisy_input: What of a noisy patch x_t enters the decoder. "plain": x_t, as in the paper. "scaled": sqrt(abar_t) x_t, the best
            linear guess of x_0 for pixels of variance 1, which fades out where noise is strong and x_t holds little; the decoder knows t.
        noise_levels: Noise levels learned from in one pass of the encoder; more of them cost the decoder's work alone.
        time_embedding_size: Channels of the sine-cosine embedding of the timestep, before its two linear layers.
        norm_pix_loss: Predict hidden patches normalised one by one. The noise is added to the pixels either way, so a sampler needs mean
            and variance of every hidden patch then; leave it off for generation.

    Raises:
        ValueError: in one sentence, for what cannot be built.
    """

    model_type = "diffmae"
    _auto_class: ClassVar[str | None] = "AutoConfig"  # so that `save_pretrained` writes its code beside it

    layer_norm_eps: float = 1e-6
    decoder_type: str = "cross"
    num_train_timesteps: int = 1000
    beta_start: float = 1e-4
    beta_end: float = 2e-2
    rho: float | int = 1.0
    rho_on: str = "beta"
    noisy_input: str = "scaled"
    noise_levels: int = 1
    time_embedding_size: int = 256

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        for field, known in (("decoder_type", DECODER_TYPES), ("noisy_input", NOISY_INPUTS)):
            if getattr(self, field) not in known:
                raise ValueError(f"{field} is {getattr(self, field)!r}; expected one of {', '.join(known)}.")
        NoiseSchedule.of(self)  # its checks
        if self.noise_levels < 1:
            raise ValueError(f"noise_levels is {self.noise_levels}; expected 1 or more.")
        if self.time_embedding_size < 2 or self.time_embedding_size % 2:
            raise ValueError(f"time_embedding_size is {self.time_embedding_size}; expected an even number.")
        for role, width, heads in (
            ("encoder", self.hidden_size, self.num_attention_heads),
            ("decoder", self.decoder_hidden_size, self.decoder_num_attention_heads),
        ):
            if width % heads or width % 4:
                raise ValueError(
                    f"the {role} has {width} channels and {heads} heads; expected channels that are a multiple of the heads and of 4."
                )
        size, patch = self.image_size, self.patch_size
        if not isinstance(patch, int):
            raise ValueError(f"patch_size is {patch}; expected one number, for squares.")
        if patch < 1 or any(side < patch or side % patch for side in image_sides(size)):
            shown = size if isinstance(size, int) else shown_size(size)
            raise ValueError(f"image size {shown} is not a multiple of the patch size {patch}.")
        num_visible(self.mask_ratio, self.num_patches)  # its check

    @property
    def num_patches(self) -> int:
        """L, the patches of an image."""
        rows, columns = patch_grid(self)
        return rows * columns


def num_visible(mask_ratio: float, num_patches: int) -> int:
    """Patches that stay visible, with the rounding of ViTMAE. Raises ValueError if that is none of them or all."""
    visible = int(num_patches * (1 - mask_ratio)) if 0 <= mask_ratio <= 1 else 0
    if not 0 < visible < num_patches:
        raise ValueError(
            f"mask_ratio {mask_ratio} leaves {visible} of {num_patches} patches visible; expected a ratio above 0 and below 1 that "
            "leaves something visible and something hidden."
        )
    return visible
