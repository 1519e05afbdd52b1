"""A compact graph network for skeletons, built for any joint format: written from the papers, sized for one CPU core.

From ST-GCN (Yan, Xiong and Lin, AAAI 2018): joints are a graph whose edges fall in three partitions (the joint itself, its neighbour
towards the root, its neighbours away from it), and every block convolves over the graph, then over time. From CTR-GCN (Chen et al.,
ICCV 2021): the graph is a learned parameter, refined for every clip by what the joints do, differently in groups of channels; time is
convolved on several scales at once; the graph branch starts at almost zero. Two things differ for speed: one refinement serves a group of
channels (CTR-GCN: every channel), and neighbours are summed before channels are mixed, which is the same linear map computed cheaper.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from s2i_hf.processing.layouts import SkeletonLayout, get_layout

PARTITIONS = 3
CHANNELS, STRIDES = (1, 1, 1, 2, 2, 2, 4, 4), (2, 1, 1, 2, 1, 1, 2, 1)  # of the blocks, in widths and in frames


def partitions(layout: str | SkeletonLayout) -> np.ndarray:
    """The graph of a joint format: itself, towards the root, away from the root.

    Args:
        layout: Its parents are the edges.

    Returns:
        (3, V, V) float32; entry [k, u, v] is how much joint v gives to joint u, and the rows of a joint with neighbours add up to 1.
    """
    layout = get_layout(layout)
    graph = np.zeros((PARTITIONS, layout.num_joints, layout.num_joints), dtype=np.float32)
    graph[0] = np.eye(layout.num_joints)
    for joint, parent in enumerate(layout.parents):
        if parent >= 0:
            graph[1, joint, parent] = 1
            graph[2, parent, joint] = 1
    neighbours: np.ndarray = graph.sum(axis=2, keepdims=True)
    return graph / np.maximum(neighbours, 1)


class GraphConvolution(nn.Module):
    """(N, C, T, V) -> (N, C', T, V): sums over neighbours with a learned graph, refined for each clip, then mixes channels.

    Args:
        in_channels, out_channels: C and C'.
        graph: (3, V, V), the start of the learned graph.
        groups: Groups of channels with a refinement of their own; must divide C.
    """

    def __init__(self, in_channels: int, out_channels: int, graph: Tensor, groups: int) -> None:
        super().__init__()
        self.groups, self.reduced = groups, max(8, out_channels // 8)
        self.graph = nn.Parameter(graph.clone())
        self.compare = nn.Linear(in_channels, 2 * PARTITIONS * self.reduced)
        self.refine = nn.Parameter(torch.randn(PARTITIONS, self.reduced, groups) / math.sqrt(self.reduced))
        self.strength = nn.Parameter(torch.zeros(1))  # training decides whether to look at the clip, as in CTR-GCN
        self.mix = nn.Conv2d(PARTITIONS * in_channels, out_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        count, _, frames, joints = x.shape
        compared = self.compare(x.mean(dim=2).transpose(1, 2)).view(count, joints, 2, PARTITIONS, self.reduced)
        receiver, giver = compared.permute(2, 0, 3, 1, 4)  # (N, 3, V, R) each
        difference = torch.tanh(receiver.unsqueeze(3) - giver.unsqueeze(2))
        refinement = torch.einsum("nkuvr,krg->ngukv", difference, self.refine)
        graph = self.graph.transpose(0, 1) + self.strength * refinement  # (N, G, V, 3, V)
        # joints first and the channels of a group last, so that the sum over neighbours is one large matrix product
        x = x.permute(0, 3, 2, 1).reshape(count, joints, frames, self.groups, -1).permute(0, 3, 1, 2, 4)
        summed = graph.flatten(2, 3) @ x.reshape(count, self.groups, joints, -1)
        summed = summed.view(count, self.groups, joints, PARTITIONS, frames, -1).permute(0, 4, 2, 3, 1, 5)
        mixed: Tensor = self.mix(summed.reshape(count, frames, joints, -1).permute(0, 3, 1, 2))
        return mixed


class TemporalConvolution(nn.Module):
    """(N, C, T, V) -> (N, C, T / stride, V): four scales side by side: 5 frames, 9 frames with gaps, the largest of 3, one frame."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        branch = channels // 4
        self.stride = stride
        # what would be a 1x1 convolution of each branch, in one
        self.enter = nn.Sequential(
            nn.Conv2d(channels, channels, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(inplace=True)
        )
        self.near = nn.Conv2d(branch, branch, (5, 1), (stride, 1), (2, 0), bias=False)
        self.far = nn.Conv2d(branch, branch, (5, 1), (stride, 1), (4, 0), (2, 1), bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        near, far, largest, now = self.enter(x).chunk(4, dim=1)
        largest = functional.max_pool2d(largest, (3, 1), (self.stride, 1), (1, 0))
        scales = [self.near(near), self.far(far), largest, now[:, :, :: self.stride]]
        normed: Tensor = self.norm(torch.cat(scales, dim=1))
        return normed


def _projection(in_channels: int, out_channels: int, stride: int = 1) -> nn.Module:
    if in_channels == out_channels and stride == 1:
        return nn.Identity()
    convolution = nn.Conv2d(in_channels, out_channels, 1, (stride, 1), bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(out_channels))


class Block(nn.Module):
    """Graph, then time, each with a way around; the first block of a network has none around the whole.

    Args:
        in_channels, out_channels, stride: Of the block.
        first: Whether the network begins with it.
        spatial: Makes what convolves over the graph, of (in_channels, out_channels).
        temporal: Makes what convolves over time, of (out_channels, stride).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        first: bool,
        spatial: Callable[[int, int], nn.Module],
        temporal: Callable[[int, int], nn.Module],
    ) -> None:
        super().__init__()
        self.spatial = spatial(in_channels, out_channels)
        self.norm = nn.BatchNorm2d(out_channels)
        nn.init.constant_(self.norm.weight, 1e-6)  # a block starts as its way around, as in CTR-GCN
        self.around_space = _projection(in_channels, out_channels)
        self.temporal = temporal(out_channels, stride)
        self.around = None if first else _projection(in_channels, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.norm(self.spatial(x)) + self.around_space(x), inplace=True)
        y = self.temporal(y)
        return functional.relu(y if self.around is None else y + self.around(x), inplace=True)


class JointNetwork(nn.Module):
    """(B, 3, T, V, M) joints -> (B, num_classes) scores before the softmax: joints are normalised, pass the blocks, and are averaged.

    Args:
        num_joints, num_people: V and M; people share the blocks, and their features are averaged.
        blocks: (B M, 3, T, V) -> (B M, features, T', V).
        features: Channels of the last block.
        num_classes: Classes.
        dropout: Before the classifier.
    """

    def __init__(
        self,
        num_joints: int,
        num_people: int,
        blocks: Sequence[nn.Module],
        features: int,
        num_classes: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(num_people * num_joints * 3)
        self.blocks = nn.Sequential(*blocks)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(features, num_classes)
        nn.init.normal_(self.classifier.weight, std=math.sqrt(2 / num_classes))
        nn.init.zeros_(self.classifier.bias)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, joints: Tensor) -> Tensor:
        count, axes, frames, number, people = joints.shape
        x = joints.permute(0, 4, 3, 1, 2).reshape(count, people * number * axes, frames)
        x = self.norm(x).view(count * people, number, axes, frames).permute(0, 2, 3, 1)
        x = self.blocks(x.contiguous(memory_format=torch.channels_last))
        scores: Tensor = self.classifier(self.dropout(x.mean(dim=(2, 3)).view(count, people, -1).mean(dim=1)))
        return scores


class GraphNetwork(JointNetwork):
    """The compact network.

    Args:
        layout: Joint format; its parents are the graph.
        num_classes, num_people, dropout: See `JointNetwork`.
        width: Channels of the first blocks, a multiple of 4; later blocks have 2 and 4 times as many.
        groups: Groups of channels whose graph is refined on its own; must divide width.
        channels, strides: Of the blocks, in widths and in frames.

    Raises:
        ValueError: a width or number of groups that does not fit.
    """

    def __init__(
        self,
        layout: str | SkeletonLayout,
        num_classes: int,
        num_people: int = 1,
        width: int = 32,
        groups: int = 4,
        dropout: float = 0.0,
        channels: Sequence[int] = CHANNELS,
        strides: Sequence[int] = STRIDES,
    ) -> None:
        if width < 4 or width % 4 or groups < 1 or width % groups:
            raise ValueError(
                f"width is {width} with {groups} groups; expected a width that is a multiple of 4 and of the groups."
            )
        graph = torch.from_numpy(partitions(layout))
        sizes = [3, *(width * times for times in channels)]
        first, later = (partial(GraphConvolution, graph=graph, groups=number) for number in (1, groups))
        blocks = [
            Block(before, after, stride, index == 0, later if index else first, TemporalConvolution)
            for index, (before, after, stride) in enumerate(zip(sizes[:-1], sizes[1:], strides, strict=True))
        ]
        super().__init__(graph.shape[1], num_people, blocks, sizes[-1], num_classes, dropout)


def network_cost(
    network: JointNetwork, layout: str | SkeletonLayout, num_frames: int, num_people: int
) -> dict[str, int]:
    """Parameters, and FLOPs of one clip forward; a multiplication and an addition are two, as in `s2i_hf.models.model_cost`."""
    from copy import deepcopy

    from torch.utils.flop_counter import FlopCounterMode

    clip = torch.empty(1, 3, num_frames, get_layout(layout).num_joints, num_people, device="meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        deepcopy(network).to("meta").eval()(clip)
    return {
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "flops": int(counter.get_total_flops()),
    }
