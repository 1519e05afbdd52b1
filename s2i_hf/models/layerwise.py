"""Stochastic depth and layer-wise learning rates for any vision model of transformers, without touching its code or its weights.

Both need to know what the blocks of a model are. They are found by structure: a list of blocks, or a list of stages with a list of blocks
each (ConvNeXt, Swin).
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

# Modules of a block whose outputs are its residual branches, where there is no dropout to take the place of (CLIP, SigLIP).
_BRANCHES = ("self_attn", "mlp")
MAX_LEVELS = 12  # levels of learning rate in models with stages; the authors of ConvNeXt have as many


class DropPath(nn.Module):
    """Stochastic depth (Huang et al., arXiv 1603.09382): in training, a residual branch is left out of whole samples at random.

    Stands where a block has its dropout of the residual branch, of probability `dropout`, which goes on beside it. It has no weights, and
    draws from the global generator of torch as dropout does.
    """

    def __init__(self, rate: float, dropout: float = 0.0) -> None:
        super().__init__()
        self.rate, self.p = rate, dropout

    def forward(self, branch: Tensor) -> Tensor:
        """(B, ...) -> (B, ...)."""
        return drop_samples(nn.functional.dropout(branch, self.p), self.rate) if self.training else branch

    def extra_repr(self) -> str:
        """What print shows."""
        return f"rate={self.rate:g}" + (f", dropout={self.p:g}" if self.p else "")


def drop_samples(branch: Tensor, rate: float) -> Tensor:
    """(B, ...) with each sample zero with probability `rate`, and divided by 1 - rate otherwise."""
    if rate <= 0:
        return branch
    kept = branch.new_empty((len(branch),) + (1,) * (branch.ndim - 1)).bernoulli_(1 - rate)
    return branch * kept.div_(1 - rate)


class _BranchHook:
    """A forward hook that drops what a module returns. An object and not a closure, so that a model can be copied."""

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def __call__(self, module: nn.Module, inputs: Any, output: Any) -> Any:
        if not module.training:
            return output
        if isinstance(output, tuple):
            return (drop_samples(output[0], self.rate), *output[1:])
        return drop_samples(output, self.rate)


def blocks_of(model: nn.Module) -> tuple[list[tuple[str, nn.Module]], bool]:
    """(name, block) of the residual blocks of a vision model, the first first, and whether they come in stages of different widths."""
    lists = {name: list(module) for name, module in model.named_modules() if isinstance(module, nn.ModuleList)}
    of_blocks = {name: blocks for name, blocks in lists.items() if blocks and _is_block(blocks[0])}
    for name, stages in lists.items():  # outermost first
        inner = [[at for at in of_blocks if at.startswith(f"{name}.{index}.")] for index in range(len(stages))]
        whole = [found[0] for found in inner if found] if stages and all(inner) else []
        if whole or name in of_blocks:
            chosen = whole or [name]
            return [(f"{at}.{index}", block) for at in chosen for index, block in enumerate(lists[at])], bool(whole)
    return [], False


def _is_block(module: nn.Module) -> bool:
    """Transformer blocks have an MLP and an attention among their children, whatever these are called."""
    names = " ".join(name for name, _ in module.named_children())
    return ("att" in names and ("mlp" in names or "intermediate" in names)) or hasattr(module, "drop_path")


def set_drop_path(model: nn.Module, rate: float) -> nn.Module:
    """Give the blocks of a model stochastic depth, growing linearly from 0 in the first to `rate` in the last.

    For training only: it is not part of the config or the weights (no key of the state dict changes), so a model that is loaded again
    has none. Calling it again replaces what was set; rate 0 takes it away.

    Args:
        model: A classifier or encoder: ViT and its kin, DINOv2 and v3, CLIP, SigLIP, Swin, ConvNeXt. Changed in place, and returned.
        rate: Largest probability that a sample loses a residual branch.

    Raises:
        ValueError: a rate outside 0 to below 1, or a model without blocks to drop.
    """
    if not 0 <= rate < 1:
        raise ValueError(f"drop_path is {rate}; expected 0 to below 1.")
    blocks, _ = blocks_of(model)
    if not blocks:
        if rate == 0:
            return model
        raise ValueError(f"{type(model).__name__} has no residual blocks that are known here; set drop_path to 0.")
    for index, (_, block) in enumerate(blocks):
        _set_block(block, rate * (index / (len(blocks) - 1) if len(blocks) > 1 else 1.0))
    return model


def _set_block(block: nn.Module, rate: float) -> None:
    if isinstance(getattr(block, "drop_path", None), nn.Module):  # DINOv2, DINOv3, ConvNeXt, Swin: the place is there
        block.drop_path = (DropPath(rate) if rate > 0 else nn.Identity()).train(block.training)
        if isinstance(getattr(block, "dropout", None), nn.Dropout):
            _set_hook(block.mlp, rate)  # Swin has it on the attention only; its dropout sees windows and not samples
        return
    inner = getattr(block, "dropout", None)
    if isinstance(inner, nn.Dropout | DropPath):  # ViT, DeiT: one dropout for the ends of both branches
        block.dropout = (DropPath(rate, inner.p) if rate > 0 else nn.Dropout(inner.p)).train(block.training)
        return
    branches = [getattr(block, name, None) for name in _BRANCHES]
    if not all(isinstance(branch, nn.Module) for branch in branches):
        raise ValueError(f"{type(block).__name__} has no place for stochastic depth; set drop_path to 0.")
    for branch in branches:
        _set_hook(branch, rate)


def _set_hook(branch: Any, rate: float) -> None:
    for key in [key for key, hook in branch._forward_hooks.items() if isinstance(hook, _BranchHook)]:
        del branch._forward_hooks[key]
    if rate > 0:
        branch.register_forward_hook(_BranchHook(rate))


def lr_groups(model: nn.Module, lr: float, weight_decay: float, layer_decay: float) -> list[dict[str, Any]]:
    """Parameter groups with a learning rate for each depth, as in the fine-tuning of BEiT and MAE.

    The head, and what comes after the last block, learns at `lr`; every block below learns `layer_decay` times slower than the one above
    it, and the embeddings the slowest. In models with stages (ConvNeXt, Swin) neighbouring blocks share a level, 12 levels at most; what
    lies between two blocks belongs to the one before it. Where no blocks are found, all but the head is one level.

    Args:
        model: A classifier whose head is called `classifier`.
        lr: Learning rate of the head.
        weight_decay: Of matrices; vectors, tokens and positions have none.
        layer_decay: Factor from one level to the next below, above 0 to 1.

    Returns:
        Groups for an optimizer of torch, deepest first: params, lr, weight_decay and a name such as "level_3_decay". Frozen parameters are
        left out, every other one is in exactly one group.

    Raises:
        ValueError: a layer_decay outside its range, or nothing to train.
    """
    if not 0 < layer_decay <= 1:
        raise ValueError(f"layer_decay is {layer_decay}; expected a number above 0 and at most 1.")
    depths, top = _depths(model)
    groups: dict[tuple[int, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        plain = parameter.squeeze().ndim <= 1 or "position" in name or "token" in name
        groups.setdefault((depths[name], plain), []).append(parameter)
    if not groups:
        raise ValueError(f"all parameters of {type(model).__name__} are frozen; there is nothing to train.")
    return [
        {
            "params": parameters,
            "lr": lr * layer_decay ** (top - depth),
            "weight_decay": 0.0 if plain else weight_decay,
            "name": f"level_{depth}_{'plain' if plain else 'decay'}",
        }
        for (depth, plain), parameters in sorted(groups.items())
    ]


def _depths(model: nn.Module) -> tuple[dict[str, int], int]:
    """Level of each parameter, 0 for the embeddings, and the highest level, that of the head."""
    blocks, staged = blocks_of(model)
    levels = min(len(blocks), MAX_LEVELS) if staged else len(blocks)
    level = {name: 1 + index * levels // len(blocks) for index, (name, _) in enumerate(blocks)}
    owner = {f"{name}.{inner}": level[name] for name, block in blocks for inner, _ in block.named_parameters()}
    names = [name for name, _ in model.named_parameters()]
    last = max((index for index, name in enumerate(names) if name in owner), default=-1)
    depths, current = {}, 0
    for index, name in enumerate(names):
        current = owner.get(name, current)
        after = index > last if blocks else name.startswith("classifier.")
        depths[name] = levels + 1 if after else current
    return depths, levels + 1
