"""The decoder of DiffMAE: noisy patches and what the encoder saw in, clean patches out.

Blocks are those of a pre-norm transformer. Which attention they have is the kind of decoder:

    cross        noisy -> visible                 a noisy patch knows of other noisy patches only through nothing at all
    cross-self   noisy -> noisy, noisy -> visible
    joint        (visible + noisy) -> (visible + noisy)

In `cross` and `cross-self` every block looks at the output of another encoder block, in the shape of a U: the first at the last
encoder block, the last at the first, and those between spread evenly (`encoder_blocks_seen`). `joint` starts from the encoder's
last output. Attention goes through the attention functions of transformers, so that `attn_implementation` chooses among eager, SDPA and
flash attention here as in the encoder.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from transformers.activations import ACT2FN
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from .configuration_diffmae import DiffMAEConfig


def encoder_blocks_seen(num_encoder_blocks: int, num_decoder_blocks: int) -> list[int]:
    """Index of the encoder block whose output each decoder block sees, both counted from 0.

    The first decoder block sees the last encoder block and the last sees the first; with equal depths every encoder block is
    seen once, with a shallower decoder evenly spaced ones, with a deeper decoder some are seen again. A single
    decoder block sees the last encoder block. The places are rounded to the nearest block, the later one of a tie.
    """
    if num_decoder_blocks == 1:
        return [num_encoder_blocks - 1]
    step = (num_encoder_blocks - 1) / (num_decoder_blocks - 1)
    return [math.floor((num_decoder_blocks - 1 - index) * step + 0.5) for index in range(num_decoder_blocks)]


def _eager_attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: None, scaling: float, dropout: float = 0.0,
    **kwargs: Any,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    weights = (query @ key.transpose(2, 3) * scaling).softmax(dim=-1, dtype=torch.float32).to(query.dtype)
    weights = nn.functional.dropout(weights, dropout, training=module.training)
    return (weights @ value).transpose(1, 2), weights


class DenoiserAttention(nn.Module):
    """Multi-head attention whose keys and values may come from tokens of another width.

    Nothing here is called `attention` or `q_proj`: names in checkpoints that transformers translates for ViT.

    Args:
        config: Settings of the model.
        memory_size: Channels of the tokens attended to; those of the decoder if None.
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
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(self.config._attn_implementation, _eager_attention)
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
        """
        Args:
            tokens: (B, K, N, D): K sets of tokens a sample that do not see each other.
            memory: (B, S, hidden_size), what the tokens of all sets look at.

        Returns:
            (B, K, N, D).
        """
        if self.sees_tokens:
            sets = self.self_norm(tokens).flatten(0, 1)
            tokens = tokens + self.dropout(self.self_attn(sets, sets)).view_as(tokens)
        if self.sees_encoder:
            assert memory is not None
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
        self, noisy: Tensor, timesteps: Tensor, ids_hidden: Tensor, ids_visible: Tensor, states: list[Tensor]
    ) -> Tensor:
        """
        Args:
            noisy: (B, K, N, P) hidden patches at K noise levels.
            timesteps: (B, K) their steps.
            ids_hidden: (B, N) which patches they are.
            ids_visible: (B, S - 1) which patches the encoder saw.
            states: Outputs of the encoder blocks, each (B, S, hidden_size), the class token first; the last one after the
                encoder's final norm.

        Returns:
            (B, K, N, P) predicted clean patches.
        """
        places = self.decoder_pos_embed[0, 1:]
        tokens = self.noisy_embed(noisy.to(self.noisy_embed.weight.dtype)) + places[ids_hidden][:, None]
        tokens = tokens + self.time_embed(timesteps)[:, :, None]
        if not self.joint:
            for block, index in zip(self.blocks, self.sees, strict=True):
                tokens = block(tokens, states[index])
            return self.predict(self.norm(tokens))
        visible = self.visible_embed(states[-1])
        first = (visible[:, :1] + self.decoder_pos_embed[:, :1], visible[:, 1:] + places[ids_visible])
        visible = torch.cat(first, dim=1)[:, None].expand(-1, tokens.shape[1], -1, -1)
        tokens = torch.cat([visible, tokens], dim=2)
        for block in self.blocks:
            tokens = block(tokens)
        return self.predict(self.norm(tokens[:, :, visible.shape[2] :]))
