"""DiffMAE once more, slowly: plain loops over images, tokens and heads in float64, from the paper and this project's docs alone.

One image at a time; weights are a dict of numpy arrays under their names in the torch model; patches are vectors in the order row, column,
channel. Nothing of the package is imported.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

Array = np.ndarray
Weights = Mapping[str, Array]


def alpha_bars(steps: int, first: float, last: float, rho: float, place: str) -> list[float]:
    """abar_t for t = 0 .. steps - 1."""
    product, found = 1.0, []
    for t in range(steps):
        beta = first + (last - first) * t / (steps - 1) if steps > 1 else first
        product *= 1 - (beta**rho if place == "beta" else beta)
        found.append(product if place == "beta" else product**rho)
    return found


def patches_of(image: Array, patch: int) -> list[Array]:
    """(C, H, W) -> L vectors."""
    channels, height, width = image.shape
    found = []
    for top in range(0, height, patch):
        for left in range(0, width, patch):
            numbers = [
                image[channel, top + row, left + column]
                for row in range(patch)
                for column in range(patch)
                for channel in range(channels)
            ]
            found.append(np.array(numbers, dtype=np.float64))
    return found


def linear(weights: Weights, name: str, x: Array) -> Array:
    return weights[f"{name}.weight"] @ x + weights[f"{name}.bias"]


def norm(weights: Weights, name: str, x: Array, eps: float) -> Array:
    centred = x - x.sum() / len(x)
    spread = math.sqrt((centred**2).sum() / len(x) + eps)
    return centred / spread * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def gelu(x: Array) -> Array:
    return np.array([0.5 * value * (1 + math.erf(value / math.sqrt(2))) for value in x])


def attention(
    weights: Weights, names: Sequence[str], tokens: Sequence[Array], memory: Sequence[Array], heads: int
) -> list[Array]:
    """Every token asks every token of the memory; `names` are the layers of query, key, value and output."""
    query, key, value, out = names
    queries = [linear(weights, query, token) for token in tokens]
    keys = [linear(weights, key, token) for token in memory]
    values = [linear(weights, value, token) for token in memory]
    size = len(queries[0]) // heads
    found = []
    for asking in queries:
        mixed = np.zeros_like(asking)
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            scores = [float(asking[part] @ answering[part]) / math.sqrt(size) for answering in keys]
            top = max(scores)
            shares = [math.exp(score - top) for score in scores]
            total = sum(shares)
            for share, carried in zip(shares, values, strict=True):
                mixed[part] += share / total * carried[part]
        found.append(linear(weights, out, mixed))
    return found


def encoder(weights: Weights, config: Any, image: Array, visible: Sequence[int]) -> list[list[Array]]:
    """Outputs of every block, [block][token], the class token first; those of the last block after the final norm."""
    kernel = weights["vit.embeddings.patch_embeddings.projection.weight"]  # (D, C, p, p)
    bias = weights["vit.embeddings.patch_embeddings.projection.bias"]
    places = weights["vit.embeddings.position_embeddings"][0]
    columns = kernel.transpose(0, 2, 3, 1).reshape(len(kernel), -1)
    tokens = [weights["vit.embeddings.cls_token"][0, 0] + places[0]]
    all_patches = patches_of(image, config.patch_size)
    for index in visible:
        tokens.append(columns @ all_patches[index] + bias + places[1 + index])
    states = []
    for block in range(config.num_hidden_layers):
        name = f"vit.layers.{block}"
        normed = [norm(weights, f"{name}.layernorm_before", token, config.layer_norm_eps) for token in tokens]
        layers = [f"{name}.attention.{which}" for which in ("q_proj", "k_proj", "v_proj", "o_proj")]
        seen = attention(weights, layers, normed, normed, config.num_attention_heads)
        tokens = [token + more for token, more in zip(tokens, seen, strict=True)]
        for place, token in enumerate(tokens):
            inner = linear(
                weights, f"{name}.mlp.fc1", norm(weights, f"{name}.layernorm_after", token, config.layer_norm_eps)
            )
            tokens[place] = token + linear(weights, f"{name}.mlp.fc2", gelu(inner))
        states.append(list(tokens))
    states[-1] = [norm(weights, "vit.layernorm", token, config.layer_norm_eps) for token in tokens]
    return states


def time_embedding(weights: Weights, config: Any, step: int) -> Array:
    half = config.time_embedding_size // 2
    waves = [math.sin(step / 10000 ** (k / half)) for k in range(half)]
    waves += [math.cos(step / 10000 ** (k / half)) for k in range(half)]
    inner = linear(weights, "denoiser.time_embed.fc1", np.array(waves))
    return linear(weights, "denoiser.time_embed.fc2", inner / (1 + np.exp(-inner)))


def denoise(
    weights: Weights,
    config: Any,
    states: list[list[Array]],
    visible: Sequence[int],
    hidden: Sequence[int],
    noisy: Sequence[Array],
    step: int,
) -> list[Array]:
    """Clean patches predicted from noisy ones, in the order of `hidden`."""
    if config.noisy_input == "scaled":
        bars = alpha_bars(config.num_train_timesteps, config.beta_start, config.beta_end, config.rho, config.rho_on)
        noisy = [math.sqrt(bars[step]) * patch for patch in noisy]
    places = weights["denoiser.decoder_pos_embed"][0]
    when = time_embedding(weights, config, step)
    tokens = [
        linear(weights, "denoiser.noisy_embed", patch) + places[1 + index] + when
        for index, patch in zip(hidden, noisy, strict=True)
    ]
    if config.decoder_type == "joint":
        embedded = [linear(weights, "denoiser.visible_embed", token) for token in states[-1]]
        where = [0, *(1 + index for index in visible)]
        tokens = [token + places[index] for token, index in zip(embedded, where, strict=True)] + tokens
    heads, eps, depth = config.decoder_num_attention_heads, config.layer_norm_eps, config.decoder_num_hidden_layers
    for block in range(depth):
        name = f"denoiser.blocks.{block}"
        if config.decoder_type != "cross":
            normed = [norm(weights, f"{name}.self_norm", token, eps) for token in tokens]
            layers = [f"{name}.self_attn.{which}" for which in ("to_q", "to_k", "to_v", "to_out")]
            seen = attention(weights, layers, normed, normed, heads)
            tokens = [token + more for token, more in zip(tokens, seen, strict=True)]
        if config.decoder_type != "joint":
            last = config.num_hidden_layers - 1
            # from the last encoder block to the first in even steps, rounded, halves up
            place = Fraction(last * (depth - 1 - block), depth - 1) if depth > 1 else Fraction(last)
            source = states[math.floor(place + Fraction(1, 2))]
            normed = [norm(weights, f"{name}.cross_norm", token, eps) for token in tokens]
            memory = [norm(weights, f"{name}.memory_norm", token, eps) for token in source]
            layers = [f"{name}.cross_attn.{which}" for which in ("to_q", "to_k", "to_v", "to_out")]
            seen = attention(weights, layers, normed, memory, heads)
            tokens = [token + more for token, more in zip(tokens, seen, strict=True)]
        for place, token in enumerate(tokens):
            inner = gelu(linear(weights, f"{name}.fc1", norm(weights, f"{name}.mlp_norm", token, eps)))
            tokens[place] = token + linear(weights, f"{name}.fc2", inner)
    tokens = tokens[len(tokens) - len(hidden) :]
    return [linear(weights, "denoiser.predict", norm(weights, "denoiser.norm", token, eps)) for token in tokens]


def forward(
    weights: Weights,
    config: Any,
    images: Array,
    noise: Array,
    timesteps: Array,
    diffusion_noise: Array,
    targets: Array | None = None,
) -> tuple[float, Array]:
    """Loss and predictions (B, K, L, P), zero where a patch is visible, for timesteps (B, K) and noise (B, K, L, P)."""
    bars = alpha_bars(config.num_train_timesteps, config.beta_start, config.beta_end, config.rho, config.rho_on)
    predicted = np.zeros(diffusion_noise.shape)
    errors = []
    for b, image in enumerate(images):
        kept = int(noise.shape[1] * (1 - config.mask_ratio))
        order = sorted(range(noise.shape[1]), key=lambda patch: noise[b, patch])
        visible, hidden = order[:kept], order[kept:]
        clean = patches_of(image if targets is None else targets[b], config.patch_size)
        states = encoder(weights, config, image, visible)
        for k, step in enumerate(timesteps[b]):
            noisy = [
                math.sqrt(bars[step]) * clean[patch] + math.sqrt(1 - bars[step]) * diffusion_noise[b, k, patch]
                for patch in hidden
            ]
            found = denoise(weights, config, states, visible, hidden, noisy, int(step))
            for patch, guess in zip(hidden, found, strict=True):
                predicted[b, k, patch] = guess
                wanted = clean[patch]
                if config.norm_pix_loss:
                    centred = wanted - wanted.mean()
                    wanted = centred / math.sqrt((centred**2).sum() / (len(wanted) - 1) + 1e-6)
                errors += [(x - y) ** 2 for x, y in zip(guess, wanted, strict=True)]
    return sum(errors) / len(errors), predicted


def ddpm_step(bars: Sequence[float], clean: Array, noisy: Array, step: int, earlier: int, noise: Array) -> Array:
    """A draw from q(x_s | x_t, x_0), s = `earlier`, -1 for x_0: the product of two Gaussians, by precisions.

    x_s given x_0 has mean sqrt(abar_s) x_0 and variance 1 - abar_s; x_t given x_s has mean sqrt(a) x_s and variance 1 - a with
    a = abar_t / abar_s.
    """
    if earlier < 0:
        return clean
    a = bars[step] / bars[earlier]
    of_clean, of_noisy = 1 / (1 - bars[earlier]), a / (1 - a)
    variance = 1 / (of_clean + of_noisy)
    mean = variance * (of_clean * math.sqrt(bars[earlier]) * clean + of_noisy * noisy / math.sqrt(a))
    return mean + math.sqrt(variance) * noise
