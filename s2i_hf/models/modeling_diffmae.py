"""DiffMAE: a masked autoencoder whose decoder removes noise from the hidden patches (Wei et al., arXiv 2304.03283).

    visible patches, clean -> stock ViTMAE encoder -> outputs of its blocks --.
    hidden patches, noised in pixel space at step t -------------------------> decoder -> hidden patches, clean

The loss is the mean squared error of the predicted clean patches x_0. Weights of `facebook/vit-mae-*` load into the encoder, and the
encoder loads into `ViTModel` and `ViTForImageClassification`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import ViTMAEModel
from transformers import initialization as init
from transformers.conversion_mapping import get_checkpoint_conversion_mapping, register_checkpoint_conversion_mapping
from transformers.models.vit_mae.modeling_vit_mae import ViTMAEPreTrainedModel
from transformers.utils import ModelOutput

from .configuration_diffmae import DiffMAEConfig, check_visible, num_visible
from .decoder_diffmae import DiffMAEDenoiser
from .positions import freeze_positions, sincos_positions
from .sampling_diffmae import fill_in
from .scheduling_diffmae import NoiseSchedule


@dataclass
class DiffMAEForPreTrainingOutput(ModelOutput):
    """What `DiffMAEForPreTraining` returns.

    Args:
        loss: () mean squared error over hidden patches and noise levels.
        logits: (B, L, P) predicted clean patches, P = patch_size^2 * channels in the order row, column, channel; zero where a patch is
            visible. (B, K, L, P) if `timesteps` was (B, K), or absent with `config.noise_levels` above 1.
        mask: (B, L) 1 = hidden, 0 = visible.
        ids_restore: (B, L) as in ViTMAE.
        timesteps: (B, K) noise levels of this pass.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    mask: Tensor | None = None
    ids_restore: Tensor | None = None
    timesteps: Tensor | None = None


def encode_visible(vit: Any, pixel_values: Tensor, ids_visible: Tensor) -> list[Tensor]:
    """Outputs of all blocks of a stock `ViTMAEModel` for chosen patches.

    What its own forward computes, block by block: that returns the blocks' outputs only through hooks, which neither gradient
    checkpointing nor compilation in one graph gets along with, and takes the number of visible patches from its config alone.

    Args:
        vit: `ViTMAEModel`.
        pixel_values: (B, 3, H, W).
        ids_visible: (B, n) which patches to see, in this order.

    Returns:
        One (B, 1 + n, D) for each block, the class token first; the last one after the final norm.
    """
    embeddings = vit.embeddings
    patches = embeddings.patch_embeddings(pixel_values) + embeddings.position_embeddings[:, 1:]
    hidden = _pick(patches, ids_visible)
    class_token = embeddings.cls_token + embeddings.position_embeddings[:, :1]
    hidden = torch.cat([class_token.expand(len(hidden), -1, -1), hidden], dim=1)
    states = []
    for layer in vit.layers:
        hidden = layer(hidden)
        states.append(hidden)
    states[-1] = vit.layernorm(hidden)
    return states


def _pick(patches: Tensor, ids: Tensor) -> Tensor:
    """(B, L, C), (B, n) -> (B, n, C)."""
    return patches.gather(1, ids[..., None].expand(-1, -1, patches.shape[2]))


class DiffMAEPreTrainedModel(ViTMAEPreTrainedModel):
    """What the models below share: names, fixed positions, and how new weights are drawn."""

    config_class = DiffMAEConfig
    base_model_prefix = "vit"
    supports_gradient_checkpointing = True
    _no_split_modules = ["ViTMAEEmbeddings", "ViTMAELayer", "DenoiserBlock"]  # noqa: RUF012

    def post_init(self) -> None:
        """As in transformers; then the encoder's positions and class token, which a stock ViTMAE made from a config leaves at zero."""
        super().post_init()
        embeddings: Any = getattr(self, "vit", self).embeddings
        if not embeddings.position_embeddings.is_meta:  # else they are about to be loaded
            with torch.no_grad():
                embeddings.position_embeddings.copy_(_positions(self.config, embeddings.position_embeddings.shape[2]))
                embeddings.cls_token.normal_(0.0, self.config.initializer_range)
        freeze_positions(self)

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, DiffMAEDenoiser):
            init.copy_(module.decoder_pos_embed, _positions(self.config, module.decoder_pos_embed.shape[2]))


def _positions(config: Any, width: int) -> Tensor:
    side = config.image_size // config.patch_size
    return sincos_positions((side, side), width)


class DiffMAEModel(DiffMAEPreTrainedModel, ViTMAEModel):
    """The encoder alone: a stock `ViTMAEModel` with proper positions, that is (pixel_values, noise) -> last_hidden_state ..."""

    _keys_to_ignore_on_load_unexpected = [r"^denoiser\.", r"^decoder\."]  # noqa: RUF012


class DiffMAEForPreTraining(DiffMAEPreTrainedModel):
    """Encoder `vit`, a stock `ViTMAEModel`, and `denoiser`.

    Attributes:
        schedule: The `NoiseSchedule` of the config.
    """

    # of a ViTMAE whose encoder is taken over
    _keys_to_ignore_on_load_unexpected = [r"^decoder\."]  # noqa: RUF012

    def __init__(self, config: DiffMAEConfig) -> None:
        super().__init__(config)
        self.vit = ViTMAEModel(config)
        self.denoiser = DiffMAEDenoiser(config)
        self.schedule = NoiseSchedule.of(config)
        self.post_init()

    def patchify(self, pixel_values: Tensor) -> Tensor:
        """(B, C, H, W) images -> (B, L, P) patches, pixels in the order row, column, channel as in ViTMAE.

        Raises:
            ValueError: images of another size or number of channels than the model's.
        """
        size, channels, patch = self.config.image_size, self.config.num_channels, self.config.patch_size
        if pixel_values.ndim != 4 or tuple(pixel_values.shape[1:]) != (channels, size, size):
            raise ValueError(
                f"pixel_values have the shape {tuple(pixel_values.shape)}; this model takes (batch, {channels}, {size}, {size})."
            )
        blocks = pixel_values.unflatten(3, (-1, patch)).unflatten(2, (-1, patch))  # (B, C, gh, p, gw, p)
        return blocks.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)

    def unpatchify(self, patches: Tensor) -> Tensor:
        """(B, L, P) patches -> (B, C, H, W) images; the inverse of `patchify`."""
        patch: Any = self.config.patch_size
        side = self.config.image_size // patch
        blocks = patches.unflatten(2, (patch, patch, -1)).unflatten(1, (side, side))
        return blocks.permute(0, 5, 1, 3, 2, 4).flatten(4).flatten(2, 3)

    def forward(
        self,
        pixel_values: Tensor,
        noise: Tensor | None = None,
        timesteps: Tensor | None = None,
        diffusion_noise: Tensor | None = None,
        target_pixel_values: Tensor | None = None,
        return_dict: bool | None = None,
    ) -> DiffMAEForPreTrainingOutput | tuple[Tensor, ...]:
        """Hide patches, noise them, predict them clean.

        Args:
            pixel_values: (B, C, H, W) images.
            noise: (B, L) mask noise as in ViTMAE: the int(L (1 - mask_ratio)) patches of lowest noise are visible. Drawn if None.
            timesteps: (B,) or (B, K) int64 noise levels in 0 .. T-1. `config.noise_levels` of them are drawn if None.
            diffusion_noise: (B, L, P) or (B, K, L, P) standard normal; only that of hidden patches is used. Drawn if None.
            target_pixel_values: (B, C, H, W) images whose hidden patches are noised and predicted; `pixel_values` if None.
            return_dict: False for a tuple.

        Raises:
            ValueError: shapes or timesteps that do not fit.
        """
        own = self.patchify(pixel_values)
        patches = own if target_pixel_values is None else self.patchify(target_pixel_values)
        batch, length, pixels = patches.shape
        visible = num_visible(self.config.mask_ratio, length)
        if not 0 < visible < length:
            check_visible(self.config.mask_ratio, length)
        if noise is None:
            noise = torch.rand(batch, length, device=patches.device)
        elif noise.shape != (batch, length):
            raise ValueError(
                f"noise has the shape {tuple(noise.shape)}; expected {(batch, length)}, one number a patch."
            )
        order = noise.argsort(dim=1)
        ids_restore = order.argsort(dim=1)
        ids_visible, ids_hidden = order[:, :visible], order[:, visible:]
        clean = _pick(patches, ids_hidden)

        flat = self.config.noise_levels == 1 if timesteps is None else timesteps.ndim == 1
        timesteps = self._timesteps(timesteps, batch, patches.device)
        levels = timesteps.shape[1]
        shape = (batch, levels, length - visible, pixels)
        if diffusion_noise is None:
            drawn = torch.randn(shape, device=patches.device)
        else:
            if diffusion_noise.shape == (batch, length, pixels):
                diffusion_noise = diffusion_noise[:, None]
            if diffusion_noise.shape != (batch, levels, length, pixels):
                raise ValueError(
                    f"diffusion_noise has the shape {tuple(diffusion_noise.shape)}; expected {(batch, levels, length, pixels)} for "
                    f"timesteps of shape {tuple(timesteps.shape)}."
                )
            drawn = diffusion_noise.gather(2, ids_hidden[:, None, :, None].expand(shape))
        noisy = self.schedule.add_noise(clean[:, None], drawn, timesteps)

        states = self.encode(pixel_values, ids_visible)
        predicted = self.predict_clean(noisy, timesteps, ids_hidden, ids_visible, states)
        wanted = normalise_patches(clean) if self.config.norm_pix_loss else clean
        loss = ((predicted.float() - wanted[:, None]) ** 2).mean()

        logits = predicted.new_zeros(batch, levels, length, pixels)
        logits = logits.scatter(2, ids_hidden[:, None, :, None].expand(shape), predicted)
        outputs = DiffMAEForPreTrainingOutput(
            loss=loss,
            logits=logits[:, 0] if flat else logits,
            mask=(ids_restore >= visible).to(patches.dtype),
            ids_restore=ids_restore,
            timesteps=timesteps,
        )
        return outputs.to_tuple() if return_dict is False else outputs

    def encode(self, pixel_values: Tensor, ids_visible: Tensor) -> list[Tensor]:
        """Outputs of all encoder blocks for chosen patches; see `encode_visible`."""
        return encode_visible(self.vit, pixel_values, ids_visible)

    def predict_clean(
        self, noisy: Tensor, timesteps: Tensor, ids_hidden: Tensor, ids_visible: Tensor, states: list[Tensor]
    ) -> Tensor:
        """x_0 as the decoder outputs it, of noisy patches (B, K, N, P) at timesteps (B, K); see `DiffMAEDenoiser.forward`."""
        if self.config.noisy_input == "scaled":
            noisy = self.schedule.signal.to(noisy.device)[timesteps][..., None, None] * noisy
        return self.denoiser(noisy, timesteps, ids_hidden, ids_visible, states)

    def _timesteps(self, timesteps: Tensor | None, batch: int, device: torch.device) -> Tensor:
        """(B, K) noise levels, drawn or checked."""
        total = self.schedule.num_train_timesteps
        if timesteps is None:
            return torch.randint(total, (batch, self.config.noise_levels), device=device)
        if timesteps.ndim not in (1, 2) or len(timesteps) != batch or timesteps.is_floating_point():
            raise ValueError(
                f"timesteps are {timesteps.dtype} of shape {tuple(timesteps.shape)}; expected whole numbers of shape ({batch},) or "
                f"({batch}, noise levels)."
            )
        # not on a GPU, where looking at values waits for it, nor while tracing
        if not torch.compiler.is_compiling() and timesteps.device.type == "cpu" and timesteps.numel():
            low, high = int(timesteps.min()), int(timesteps.max())
            if low < 0 or high >= total:
                raise ValueError(f"timesteps are {low} .. {high}; this model knows 0 .. {total - 1}.")
        return timesteps.view(batch, -1)

    @torch.no_grad()
    def generate(
        self,
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

        The encoder runs once. Rows may have different numbers of hidden patches. What is drawn for a row depends on its own seed
        and not on the rest of the batch: (seed, sample id) if both are given; (seed, place in the batch) without ids; the row's
        own generator if there is a list of them; of a single generator or the global random state every row takes one number
        in turn, so that a batch in two halves draws what the whole does.

        Args:
            pixel_values: (B, C, H, W) images; what hidden patches hold is not looked at.
            mask: (B, L) 1 = hidden, 0 = visible.
            num_inference_steps: Steps of the sampler; 1 is a single prediction from pure noise.
            scheduler: "ddim" (None is the same) or "ddpm", or any scheduler of diffusers made for `prediction_type="sample"`, without
                clipping, and with `trained_betas=model.schedule.betas`.
            eta: Noise of "ddim", from 0, none, to 1.
            seed, sample_ids, generator: Where the noise comes from, see above; `generator` excludes the other two.
            num_samples: S draws for each image, from one pass of the encoder.
            patch_statistics: Mean and variance (B, L, 1) of the pixels of each patch, for a model with `norm_pix_loss`, which
                predicts hidden patches without them.

        Returns:
            (B, C, H, W) float32, or (B, S, C, H, W) if `num_samples` was given.

        Raises:
            ValueError: a mask or a scheduler that does not fit, or normalised patches without statistics.
        """
        return fill_in(
            self, pixel_values, mask, num_inference_steps, scheduler, eta, seed, sample_ids, generator, num_samples,
            patch_statistics,
        )  # fmt: skip


def normalise_patches(patches: Tensor) -> Tensor:
    """(..., P) pixels with mean 0 and variance 1 patch by patch, as the target of a ViTMAE with `norm_pix_loss`."""
    return (patches - patches.mean(dim=-1, keepdim=True)) / (patches.var(dim=-1, keepdim=True) + 1e-6) ** 0.5


# Checkpoints of a ViTMAE have other names on disk than in memory; transformers translates them by class.
if (_names := get_checkpoint_conversion_mapping("ViTMAEModel")) is not None:
    register_checkpoint_conversion_mapping("DiffMAEModel", _names, overwrite=True)
