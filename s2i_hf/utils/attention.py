"""Which attention trains fastest where: in bfloat16 on a CPU the plain one; elsewhere what transformers takes by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


@contextmanager
def suited_attention(model: nn.Module, device: str | torch.device, precision: str) -> Iterator[None]:
    """A model that trains in bfloat16 on a CPU computes attention as matrix products and a softmax; others stay as they are.

    The fused attention that transformers takes saves memory, which a GPU is short of. On a CPU it is as fast as the plain one in float32,
    and slower in bfloat16 (`benchmarks/attention.py`). The results are the same up to rounding, and nothing of the choice is saved: outside
    of the block a model says to the last bit what it will say when it is loaded. Parts with a config of their own, such as the decoder of
    ViTMAE, are set as well, which `set_attn_implementation` of transformers leaves out. `precision` is "no", "bf16" or "fp16".
    """
    changed: list[Any] = []
    for module in model.modules() if torch.device(device).type == "cpu" and precision == "bf16" else ():
        config: Any = getattr(module, "config", None)
        if getattr(config, "_attn_implementation", None) == "sdpa":  # what nobody has asked for
            config._attn_implementation = "eager"
            changed.append(config)
    try:
        yield
    finally:
        for config in changed:
            config._attn_implementation = "sdpa"
