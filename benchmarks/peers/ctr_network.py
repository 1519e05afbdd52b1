"""A graph network of the size and kind of CTR-GCN (Chen et al., ICCV 2021, arXiv 2107.12213): written from the paper.

Ten blocks of 64, 128 and 256 channels, 1.4 M parameters. Space: three subsets of edges (a joint itself, its neighbour towards the root,
its neighbours away from it), each with a graph that all clips share and training adapts, and a refinement of it for every clip and every
output channel: a 1x1 convolution of tanh(theta(x)_u - phi(x)_v). Time: four branches of a quarter of the channels, two convolutions over
five frames, one of them dilated, the largest of three frames, and one frame. What differs is how it is computed: theta and phi, which are
linear, are applied after the mean over time, and 1x1 convolutions of the same input are one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from s2i_hf.processing.layouts import SkeletonLayout

from .graph_network import PARTITIONS, Block, JointNetwork, partitions

CHANNELS, STRIDES = (1, 1, 1, 1, 2, 2, 2, 4, 4, 4), (1, 1, 1, 1, 2, 1, 1, 2, 1, 1)  # in widths and in frames
REDUCTION = 8  # theta and phi have an eighth of the channels, and at least eight


class Aggregation(torch.autograd.Function):
    """out[n, c, t, u] = sum over k and v of graph[k, n, c, v, u] (W_k x)[n, c, t, v]: channels mixed, then neighbours summed.

    Each clip and channel has a graph of its own. All of it is batched matrix products that add up in place, forward and backward; autograd
    would write the gradient of every subset of edges, and then add them.
    """

    @staticmethod
    def forward(ctx: Any, graph: Tensor, weight: Tensor, x: Tensor) -> Tensor:
        """(K, N, C', V, V), (K, C', C) and (N, T V, C) -> (N, C', T, V)."""
        count, (_, channels, _), joints = len(x), weight.shape, graph.shape[-1]
        turned = x.transpose(1, 2)
        mixed, summed = [], None
        for one, mix in zip(graph.flatten(1, 2), weight, strict=True):
            mixed.append(torch.bmm(mix.expand(count, -1, -1), turned).view(count * channels, -1, joints))
            summed = torch.bmm(mixed[-1], one) if summed is None else summed.baddbmm_(mixed[-1], one)
        assert summed is not None
        ctx.save_for_backward(graph, weight, x, *mixed)
        return summed.view(count, channels, -1, joints)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # type: ignore[override]
        """Of the three."""
        graph, weight, x, *mixed = ctx.saved_tensors
        count, channels = gradient.shape[:2]
        gradient = gradient.contiguous().flatten(0, 1)
        of_graph, of_weight, of_x = torch.empty_like(graph), [], None
        for subset, (one, mix) in enumerate(zip(graph.flatten(1, 2), weight, strict=True)):
            torch.bmm(mixed[subset].transpose(1, 2), gradient, out=of_graph[subset].flatten(0, 1))
            of_mixed = torch.bmm(gradient, one.transpose(1, 2)).view(count, channels, -1)
            of_weight.append(torch.bmm(of_mixed, x).sum(dim=0))
            back, spread = of_mixed.transpose(1, 2), mix.expand(count, -1, -1)
            of_x = torch.bmm(back, spread) if of_x is None else of_x.baddbmm_(back, spread)
        assert of_x is not None
        return of_graph, torch.stack(of_weight), of_x


class RefinedConvolution(nn.Module):
    """(N, C, T, V) -> (N, C', T, V): channel-wise topology refinement graph convolution.

    out[n, c, t, u] = sum over subsets k and joints v of (graph_k[u, v] + alpha_k xi_k(tanh(theta_k(x)_u - phi_k(x)_v))[n, c])
    (W_k x)[n, c, t, v], where theta and phi are of the mean over time.

    Args:
        in_channels, out_channels: C and C'.
        graph: (3, V, V), the start of the shared graphs.
    """

    def __init__(self, in_channels: int, out_channels: int, graph: Tensor) -> None:
        super().__init__()
        self.reduced = max(8, in_channels // REDUCTION)
        self.graph = nn.Parameter(graph.clone())
        self.compare = nn.Linear(in_channels, 2 * PARTITIONS * self.reduced)  # theta and phi of all subsets
        self.refine = nn.Parameter(torch.randn(PARTITIONS, out_channels, self.reduced) / math.sqrt(self.reduced))  # xi
        self.alpha = nn.Parameter(torch.zeros(PARTITIONS))
        self.mix = nn.Parameter(torch.randn(PARTITIONS, out_channels, in_channels) * math.sqrt(2 / out_channels))  # W

    def forward(self, x: Tensor) -> Tensor:
        count, channels, frames, joints = x.shape
        out = self.refine.shape[1]
        compared = self.compare(x.mean(dim=2).transpose(1, 2)).view(count, joints, 2, PARTITIONS, self.reduced)
        receiver, giver = compared.permute(2, 3, 0, 4, 1)  # (3, N, R, V) each
        # [..., v, u], as the product with (T, V) needs it
        difference = torch.tanh(receiver.unsqueeze(3) - giver.unsqueeze(4)).flatten(3).flatten(0, 1)
        shared = self.graph.transpose(1, 2).reshape(PARTITIONS, 1, 1, -1).expand(-1, count, out, -1).flatten(0, 1)
        refine = (self.alpha.view(-1, 1, 1) * self.refine).unsqueeze(1).expand(-1, count, -1, -1).flatten(0, 1)
        graph = torch.baddbmm(shared, refine, difference).view(PARTITIONS, count, out, joints, joints)
        pixels = x.permute(0, 2, 3, 1).reshape(count, frames * joints, channels)  # as they lie in memory
        summed: Tensor = Aggregation.apply(graph, self.mix, pixels)
        return summed.contiguous(memory_format=torch.channels_last)


class MultiScaleConvolution(nn.Module):
    """(N, C, T, V) -> (N, C, T / stride, V): four branches, each begins with a 1x1 convolution to a quarter of the channels."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        branch = channels // 4
        self.stride = stride
        self.enter = nn.Sequential(
            nn.Conv2d(channels, 3 * branch, 1, bias=False), nn.BatchNorm2d(3 * branch), nn.ReLU(inplace=True)
        )
        self.near = nn.Conv2d(branch, branch, (5, 1), (stride, 1), (2, 0), bias=False)
        self.far = nn.Conv2d(branch, branch, (5, 1), (stride, 1), (4, 0), (2, 1), bias=False)
        self.now = nn.Conv2d(channels, branch, 1, (stride, 1), bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        near, far, largest = self.enter(x).chunk(3, dim=1)
        largest = functional.max_pool2d(largest, (3, 1), (self.stride, 1), (1, 0))
        normed: Tensor = self.norm(torch.cat([self.near(near), self.far(far), largest, self.now(x)], dim=1))
        return normed


class CtrNetwork(JointNetwork):
    """The whole network.

    Args:
        layout: Joint format; its parents are the graph.
        num_classes, num_people, dropout: See `JointNetwork`.
        width: Channels of the first blocks, a multiple of 4; later blocks have 2 and 4 times as many. The paper has 64.
        channels, strides: Of the blocks, in widths and in frames.

    Raises:
        ValueError: a width that is no multiple of 4.
    """

    def __init__(
        self,
        layout: str | SkeletonLayout,
        num_classes: int,
        num_people: int = 1,
        width: int = 64,
        dropout: float = 0.0,
        channels: Sequence[int] = CHANNELS,
        strides: Sequence[int] = STRIDES,
    ) -> None:
        if width < 4 or width % 4:
            raise ValueError(f"width is {width}; expected a multiple of 4, as there are four branches.")
        graph = torch.from_numpy(partitions(layout))
        sizes = [3, *(width * times for times in channels)]
        spatial = partial(RefinedConvolution, graph=graph)
        blocks = [
            Block(before, after, stride, index == 0, spatial, MultiScaleConvolution)
            for index, (before, after, stride) in enumerate(zip(sizes[:-1], sizes[1:], strides, strict=True))
        ]
        super().__init__(graph.shape[1], num_people, blocks, sizes[-1], num_classes, dropout)
