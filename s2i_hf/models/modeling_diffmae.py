"""DiffMAE: a masked autoencoder whose decoder removes noise from the hidden patches (Wei et al., arXiv 2304.03283).

    visible patches, clean -> stock ViTMAE encoder -> outputs of its blocks --.
    hidden patches, noised in pixel space at step t -------------------------> decoder -> hidden patches, clean

The loss is the mean squared error of the predicted clean patches x_0. Weights of `facebook/vit-mae-*` load into the encoder, and the
encoder loads into `ViTModel` and `ViTForImageClassification`.

Blocks of the decoder are those of a pre-norm transformer. Which attention they have is the kind of decoder:

    cross        noisy -> visible
    cross-self   noisy -> noisy, noisy -> visible
    joint        (visible + noisy) -> (visible + noisy)

In `cross` and `cross-self` every block looks at the output of another encoder block, in the shape of a U (`encoder_blocks_seen`). `joint`
starts from the encoder's last output. Attention goes through the attention functions of transformers, so that `attn_implementation`
chooses among eager, SDPA and flash attention here as in the encoder.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import ViTMAEForPreTraining, ViTMAEModel, initialization as init
from transformers.activations import ACT2FN
from transformers.conversion_mapping import get_checkpoint_conversion_mapping, register_checkpoint_conversion_mapping
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.vit_mae.modeling_vit_mae import ViTMAEPreTrainedModel, eager_attention_forward
from transformers.utils import ModelOutput
from transformers.utils.output_capturing import capture_outputs

from .configuration_diffmae import DiffMAEConfig, num_visible
from .initialization import freeze_positions, image_sides, patch_grid, sincos_positions
from .sampling_diffmae import DiffMAEGenerationMixin
from .scheduling_diffmae import NoiseSchedule

# --- decoder ----------------------------------------------------------------------------------------------------------


def encoder_blocks_seen(num_encoder_blocks: int, num_decoder_blocks: int) -> list[int]:
    """Index of the encoder block whose output each decoder block sees, both counted from 0.

    The first decoder block sees the last encoder block, the last sees the first, and those between see evenly spaced ones, rounded to the
    nearest block, the later one of a tie. A single decoder block sees the last encoder block.
    """
    if num_decoder_blocks == 1:
        return [num_encoder_blocks - 1]
    step = (num_encoder_blocks - 1) / (num_decoder_blocks - 1)
    return [math.floor((num_decoder_blocks - 1 - index) * step + 0.5) for index in range(num_decoder_blocks)]


class DenoiserAttention(nn.Module):
    """Multi-head attention whose keys and values may come from tokens of another width (`memory_size`).

    Nothing here is called `attention` or `q_proj`: names in checkpoints that transformers translates for ViT.
    """

    is_causal = False

    def __init__(self, config: DiffMAEConfig, memory_size: int | None = None) -> None:
        super().__init__()
        self.config = config  # that of the model itself, so that a later choice of attention arrives here
        width = config.decoder_hidden_size
        self.head_size = width // config.decoder_num_attention_heads
        self.dropout = config.attention_probs_dropout_prob
        self.to_q = nn.Linear(width, width, bias=config.qkv_bias)
        self.to_k = nn.Linear(memory_size or width, width, bias=config.qkv_bias)
        self.to_v = nn.Linear(memory_size or width, width, bias=config.qkv_bias)
        self.to_out = nn.Linear(width, width)

    def forward(self, tokens: Tensor, memory: Tensor) -> Tensor:
        """(B, N, D) that attend to (B, S, memory_size) -> (B, N, D)."""
        query, key, value = (
            projected.unflatten(-1, (-1, self.head_size)).transpose(1, 2)
            for projected in (self.to_q(tokens), self.to_k(memory), self.to_v(memory))
        )
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(self.config._attn_implementation, eager_attention_forward)
        dropout = self.dropout if self.training else 0.0
        mixed, _ = attend(self, query, key, value, None, scaling=self.head_size**-0.5, dropout=dropout)
        return self.to_out(mixed.flatten(2))


class DenoiserBlock(GradientCheckpointingLayer):
    """Attention among the tokens, attention to the encoder, and two linear layers, each of them added to the tokens."""

    def __init__(self, config: DiffMAEConfig) -> None:
        super().__init__()
        width, eps = config.decoder_hidden_size, config.layer_norm_eps
        self.sees_tokens = config.decoder_type in ("cross-self", "joint")
        self.sees_encoder = config.decoder_type in ("cross-self", "cross")
        if self.sees_tokens:
            self.self_norm = nn.LayerNorm(width, eps=eps)
            self.self_attn = DenoiserAttention(config)
        if self.sees_encoder:
            self.cross_norm = nn.LayerNorm(width, eps=eps)
            self.memory_norm = nn.LayerNorm(config.hidden_size, eps=eps)  # outputs of encoder blocks are not normalised
            self.cross_attn = DenoiserAttention(config, config.hidden_size)
        self.mlp_norm = nn.LayerNorm(width, eps=eps)
        self.fc1 = nn.Linear(width, config.decoder_intermediate_size)
        self.activation = ACT2FN[config.hidden_act]
        self.fc2 = nn.Linear(config.decoder_intermediate_size, width)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, tokens: Tensor, memory: Tensor | None = None) -> Tensor:
        """(B, K, N, D), K sets of tokens a sample that do not see each other, and memory (B, S, hidden_size) for all -> (B, K, N, D)."""
        if self.sees_tokens:
            sets = self.self_norm(tokens).flatten(0, 1)
            tokens = tokens + self.dropout(self.self_attn(sets, sets)).view_as(tokens)
        if self.sees_encoder:
            queries = self.cross_norm(tokens).flatten(1, 2)
            seen = self.cross_attn(queries, self.memory_norm(memory))
            tokens = tokens + self.dropout(seen).view_as(tokens)
        hidden = self.fc2(self.activation(self.fc1(self.mlp_norm(tokens))))
        return tokens + self.dropout(hidden)


class TimestepEmbedding(nn.Module):
    """Sine and cosine of the timestep at frequencies from 1 down to 1/10000, and two linear layers."""

    def __init__(self, config: DiffMAEConfig) -> None:
        super().__init__()
        self.size = config.time_embedding_size
        self.fc1 = nn.Linear(self.size, config.decoder_hidden_size)
        self.fc2 = nn.Linear(config.decoder_hidden_size, config.decoder_hidden_size)

    def forward(self, timesteps: Tensor) -> Tensor:
        """(...) numbers -> (..., D)."""
        half = self.size // 2
        # float32 would be 6e-5 off in an angle of 999; Apple's GPUs have nothing better
        precise = torch.float32 if timesteps.device.type == "mps" else torch.float64
        exponent = torch.arange(half, device=timesteps.device, dtype=precise) / half
        angle = timesteps[..., None].to(precise) * 10000.0**-exponent
        waves = torch.cat([angle.sin(), angle.cos()], dim=-1).to(self.fc1.weight.dtype)
        return self.fc2(nn.functional.silu(self.fc1(waves)))


class DiffMAEDenoiser(nn.Module):
    """Predicts clean patches from noisy ones, their noise level and the encoder's view of the visible patches."""

    def __init__(self, config: DiffMAEConfig) -> None:
        super().__init__()
        width, pixels = config.decoder_hidden_size, config.patch_size**2 * config.num_channels  # type: ignore[operator]
        self.noisy_embed = nn.Linear(pixels, width)
        self.time_embed = TimestepEmbedding(config)
        # fixed sines and cosines, filled and frozen as the table of that name of a ViTMAE
        self.decoder_pos_embed = nn.Parameter(torch.zeros(1, config.num_patches + 1, width), requires_grad=False)
        self.joint = config.decoder_type == "joint"
        if self.joint:
            self.visible_embed = nn.Linear(config.hidden_size, width)
        depth = config.decoder_num_hidden_layers
        self.sees = encoder_blocks_seen(config.num_hidden_layers, depth)
        self.blocks = nn.ModuleList(DenoiserBlock(config) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.predict = nn.Linear(width, pixels)

    def forward(
        self,
        noisy: Tensor,
        timesteps: Tensor,
        ids_hidden: Tensor,
        ids_visible: Tensor,
        states: list[Tensor],
        positions: Tensor | None = None,
    ) -> Tensor:
        """
        Args:
            noisy: (B, K, N, P) hidden patches at K noise levels.
            timesteps: (B, K) their steps.
            ids_hidden: (B, N) which patches they are.
            ids_visible: (B, S - 1) which patches the encoder saw.
            states: Outputs of the encoder blocks, each (B, S, hidden_size), as `DiffMAEForPreTraining.encode` gives them.
            positions: (1, 1 + L, D) of another grid than the model's.

        Returns:
            (B, K, N, P) predicted clean patches.
        """
        table = self.decoder_pos_embed if positions is None else positions
        places = table[0, 1:]
        tokens = self.noisy_embed(noisy.to(self.noisy_embed.weight.dtype)) + places[ids_hidden][:, None]
        tokens = tokens + self.time_embed(timesteps)[:, :, None]
        if not self.joint:
            for block, index in zip(self.blocks, self.sees, strict=True):
                tokens = block(tokens, states[index])
            return self.predict(self.norm(tokens))
        visible = self.visible_embed(states[-1])
        first = (visible[:, :1] + table[:, :1], visible[:, 1:] + places[ids_visible])
        visible = torch.cat(first, dim=1)[:, None].expand(-1, tokens.shape[1], -1, -1)
        tokens = torch.cat([visible, tokens], dim=2)
        for block in self.blocks:
            tokens = block(tokens)
        return self.predict(self.norm(tokens[:, :, visible.shape[2] :]))


# --- model ------------------------------------------------------------------------------------------------------------


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
        hidden_states: If asked for, of the encoder: tokens (B, 1 + visible, hidden_size) before its first block and after each.
        attentions: If asked for, of the encoder: (B, heads, 1 + visible, 1 + visible) of each block.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    mask: Tensor | None = None
    ids_restore: Tensor | None = None
    timesteps: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


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

    def save_pretrained(self, *args: Any, **kwargs: Any) -> None:
        """As in transformers; the code is written beside it, and config.json says that both classes below open it."""
        both = {"AutoModel": "DiffMAEModel", "AutoModelForPreTraining": "DiffMAEForPreTraining"}
        self.config.auto_map = {name: f"modeling_diffmae.{one}" for name, one in both.items()}
        super().save_pretrained(*args, **kwargs)

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, DiffMAEDenoiser):
            init.copy_(module.decoder_pos_embed, _positions(self.config, module.decoder_pos_embed.shape[2]))


def _positions(config: Any, width: int) -> Tensor:
    return sincos_positions(patch_grid(config), width)


class DiffMAEModel(DiffMAEPreTrainedModel, ViTMAEModel):
    """The encoder alone: a stock `ViTMAEModel` with proper positions, that is (pixel_values, noise) -> last_hidden_state ..."""

    _auto_class: Any = "AutoModel"
    _keys_to_ignore_on_load_unexpected = [r"^denoiser\.", r"^decoder\."]  # noqa: RUF012


class DiffMAEForPreTraining(DiffMAEGenerationMixin, DiffMAEPreTrainedModel):
    """Encoder `vit`, a stock `ViTMAEModel`, `denoiser`, and `schedule`, the `NoiseSchedule` of the config."""

    _auto_class: Any = "AutoModelForPreTraining"
    _keys_to_ignore_on_load_unexpected = [r"^decoder\."]  # noqa: RUF012 - of a ViTMAE whose encoder is loaded

    def __init__(self, config: DiffMAEConfig) -> None:
        super().__init__(config)
        self.vit = ViTMAEModel(config)
        self.denoiser = DiffMAEDenoiser(config)
        self.schedule = NoiseSchedule.of(config)
        self.post_init()

    def patchify(self, pixel_values: Tensor, interpolate_pos_encoding: bool = False) -> Tensor:
        """(B, C, H, W) images -> (B, L, P) patches, pixels in the order row, column, channel as in ViTMAE.

        Raises:
            ValueError: images of another number of channels than the model's, or, unless positions are interpolated, of another size.
        """
        channels, patch, shape = self.config.num_channels, int(self.config.patch_size), tuple(pixel_values.shape)  # type: ignore[arg-type]
        fits = len(shape) == 4 and shape[1] == channels and not any(side % patch for side in shape[2:])
        if not fits or not (interpolate_pos_encoding or shape[2:] == image_sides(self.config.image_size)):
            wanted = ", ".join(map(str, (channels, *image_sides(self.config.image_size))))
            other = f" or other multiples of {patch} pixels" if interpolate_pos_encoding else ""
            raise ValueError(f"pixel_values have shape {shape}; this model takes (batch, {wanted}){other}.")
        blocks = pixel_values.unflatten(3, (-1, patch)).unflatten(2, (-1, patch))  # (B, C, gh, p, gw, p)
        return blocks.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)

    def unpatchify(self, patches: Tensor) -> Tensor:
        """(B, L, P) patches -> (B, C, H, W) images; the inverse of `patchify`."""
        return ViTMAEForPreTraining.unpatchify(self, patches, image_sides(self.config.image_size))  # type: ignore[arg-type]

    @capture_outputs(tie_last_hidden_states=False)
    def forward(
        self,
        pixel_values: Tensor,
        noise: Tensor | None = None,
        timesteps: Tensor | None = None,
        diffusion_noise: Tensor | None = None,
        target_pixel_values: Tensor | None = None,
        interpolate_pos_encoding: bool | None = None,
        **kwargs: Any,
    ) -> DiffMAEForPreTrainingOutput:
        """Hide patches, noise them, predict them clean.

        Args:
            pixel_values: (B, C, H, W) images.
            noise: (B, L) mask noise as in ViTMAE: the int(L (1 - mask_ratio)) patches of lowest noise are visible. Drawn if None.
            timesteps: (B,) or (B, K) int64 noise levels in 0 .. T-1. `config.noise_levels` of them are drawn if None.
            diffusion_noise: (B, L, P) or (B, K, L, P) standard normal; only that of hidden patches is used. Drawn if None.
            target_pixel_values: (B, C, H, W) images whose hidden patches are noised and predicted; `pixel_values` if None.
            interpolate_pos_encoding: Whether images of another size are taken, with the sine-cosine positions of their grid, which
                for such a table is exact.
            **kwargs: output_hidden_states and output_attentions, of the encoder, as in transformers: None: as the config says.
                Attentions need a model with attn_implementation="eager". return_dict: False for a tuple.

        Raises:
            ValueError: shapes or timesteps that do not fit, or attentions that this implementation does not give.
        """
        if kwargs.get("output_attentions") and self.config._attn_implementation != "eager":
            raise ValueError("attentions are given with attn_implementation='eager' alone; load the model with it.")
        resized = bool(interpolate_pos_encoding)
        own = self.patchify(pixel_values, resized)
        patches = own if target_pixel_values is None else self.patchify(target_pixel_values, resized)
        batch, length, pixels = patches.shape
        visible = num_visible(self.config.mask_ratio, length)
        if noise is None:
            noise = torch.rand(batch, length, device=patches.device)
        elif noise.shape != (batch, length):
            raise ValueError(f"noise has the shape {tuple(noise.shape)}; expected {(batch, length)}, one a patch.")
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

        tables: list[Tensor | None] = [None, None]
        if resized:
            rows, columns = (side // self.config.patch_size for side in pixel_values.shape[2:])  # type: ignore[operator]
            widths = self.config.hidden_size, self.config.decoder_hidden_size
            tables = [sincos_positions((rows, columns), width).to(pixel_values) for width in widths]
        states = self.encode(pixel_values, ids_visible, tables[0])
        predicted = self.predict_clean(noisy, timesteps, ids_hidden, ids_visible, states, tables[1])
        wanted = normalise_patches(clean) if self.config.norm_pix_loss else clean
        loss = ((predicted.float() - wanted[:, None]) ** 2).mean()

        logits = predicted.new_zeros(batch, levels, length, pixels)
        logits = logits.scatter(2, ids_hidden[:, None, :, None].expand(shape), predicted)
        return DiffMAEForPreTrainingOutput(
            loss=loss,
            logits=logits[:, 0] if flat else logits,
            mask=(ids_restore >= visible).to(patches.dtype),
            ids_restore=ids_restore,
            timesteps=timesteps,
        )

    def encode(self, pixel_values: Tensor, ids_visible: Tensor, positions: Tensor | None = None) -> list[Tensor]:
        """Outputs of all encoder blocks for chosen patches.

        What the forward of `ViTMAEModel` computes, block by block: that returns the blocks' outputs only through hooks, which neither
        gradient checkpointing nor compilation in one graph gets along with, and takes the number of visible patches from its config alone.

        Args:
            pixel_values: (B, 3, H, W).
            ids_visible: (B, n) which patches to see, in this order.
            positions: (1, 1 + L, hidden_size) of another grid than the model's.

        Returns:
            (B, 1 + n, hidden_size) for each block, the class token first; the last one after the final norm.
        """
        embeddings: Any = self.vit.embeddings
        positions = embeddings.position_embeddings if positions is None else positions
        patches = embeddings.patch_embeddings(pixel_values) + positions[:, 1:]
        hidden = _pick(patches, ids_visible)
        class_token = embeddings.cls_token + positions[:, :1]
        hidden = torch.cat([class_token.expand(len(hidden), -1, -1), hidden], dim=1)
        states = []
        for layer in self.vit.layers:
            hidden = layer(hidden)
            states.append(hidden)
        states[-1] = self.vit.layernorm(hidden)
        return states

    def predict_clean(
        self,
        noisy: Tensor,
        timesteps: Tensor,
        ids_hidden: Tensor,
        ids_visible: Tensor,
        states: list[Tensor],
        positions: Tensor | None = None,
    ) -> Tensor:
        """x_0 as the decoder outputs it, of noisy patches (B, K, N, P) at timesteps (B, K); see `DiffMAEDenoiser.forward`."""
        if self.config.noisy_input == "scaled":
            noisy = self.schedule.signal.to(noisy.device)[timesteps][..., None, None] * noisy
        return self.denoiser(noisy, timesteps, ids_hidden, ids_visible, states, positions)

    def _timesteps(self, timesteps: Tensor | None, batch: int, device: torch.device) -> Tensor:
        """(B, K) noise levels, drawn or checked."""
        total = self.schedule.num_train_timesteps
        if timesteps is None:
            return torch.randint(total, (batch, self.config.noise_levels), device=device)
        if timesteps.ndim not in (1, 2) or len(timesteps) != batch or timesteps.is_floating_point():
            given = f"{timesteps.dtype} of shape {tuple(timesteps.shape)}"
            fitting = f"of shape ({batch},) or ({batch}, noise levels)"
            raise ValueError(f"timesteps are {given}; expected whole numbers {fitting}.")
        # not on a GPU, where looking at values waits for it, nor while tracing
        if not torch.compiler.is_compiling() and timesteps.device.type == "cpu" and timesteps.numel():
            low, high = int(timesteps.min()), int(timesteps.max())
            if low < 0 or high >= total:
                raise ValueError(f"timesteps are {low} .. {high}; this model knows 0 .. {total - 1}.")
        return timesteps.view(batch, -1)


def normalise_patches(patches: Tensor) -> Tensor:
    """(..., P) pixels with mean 0 and variance 1 patch by patch, as the target of a ViTMAE with `norm_pix_loss`."""
    return (patches - patches.mean(dim=-1, keepdim=True)) / (patches.var(dim=-1, keepdim=True) + 1e-6) ** 0.5


# Checkpoints of a ViTMAE have other names on disk than in memory; transformers translates them by class.
if (_names := get_checkpoint_conversion_mapping("ViTMAEModel")) is not None:
    register_checkpoint_conversion_mapping("DiffMAEModel", _names, overwrite=True)
