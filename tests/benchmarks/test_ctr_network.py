"""The network of CTR-GCN's size: its graph convolution against plain loops, its size, other joint formats, and that it learns."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import refused
from torch.nn import functional

from s2i_hf.processing.layouts import get_layout

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

from peers.ctr_network import Aggregation, CtrNetwork, MultiScaleConvolution, RefinedConvolution
from peers.graph_network import network_cost, partitions


def test_graph_convolution_equals_loops():
    torch.manual_seed(0)
    graph = torch.from_numpy(partitions("lcrnet_13"))
    layer, joints = RefinedConvolution(4, 6, graph).double(), graph.shape[1]
    layer.alpha.data = torch.tensor([0.7, -0.3, 1.1], dtype=torch.float64)
    x = torch.randn(2, 4, 5, joints, dtype=torch.float64)
    with torch.no_grad():
        found = layer(x)
        expected = torch.zeros_like(found)
        for n in range(2):
            compared = [layer.compare(x[n, :, :, v].mean(dim=1)).view(2, 3, -1) for v in range(joints)]
            for k in range(3):
                mixed = torch.einsum("oc,ctv->otv", layer.mix[k], x[n])
                for u in range(joints):
                    for v in range(joints):
                        theta, phi = compared[u][0][k], compared[v][1][k]
                        refinement = layer.refine[k] @ torch.tanh(theta - phi)  # (C',)
                        weight = layer.graph[k, u, v] + layer.alpha[k] * refinement
                        expected[n, :, :, u] += weight[:, None] * mixed[:, :, v]
    torch.testing.assert_close(found, expected)


def test_gradients_of_the_aggregation_are_those_of_the_formula():
    torch.manual_seed(0)
    graph = torch.randn(3, 2, 4, 5, 5, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(3, 4, 2, dtype=torch.float64, requires_grad=True)
    x = torch.randn(2, 6 * 5, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(Aggregation.apply, (graph, weight, x))
    expected = torch.einsum("kncvu,kci,ntvi->nctu", graph, weight, x.view(2, 6, 5, 2))
    torch.testing.assert_close(Aggregation.apply(graph, weight, x), expected)


@pytest.mark.parametrize("stride", [1, 2])
def test_temporal_branches_equal_loops(stride):
    torch.manual_seed(0)
    layer = MultiScaleConvolution(8, stride).double().eval()
    x = torch.randn(2, 8, 7, 3, dtype=torch.float64)
    with torch.no_grad():
        entered = functional.relu(layer.enter[1](layer.enter[0](x)))
        branches = [[] for _ in range(4)]
        for t in range(0, 7, stride):
            for branch, (kernel, gap) in enumerate(((layer.near.weight, 1), (layer.far.weight, 2))):
                total = torch.zeros(2, 2, 3, dtype=torch.float64)
                for tap in range(5):
                    if 0 <= (at := t + gap * (tap - 2)) < 7:
                        taken = entered[:, 2 * branch : 2 * branch + 2, at]
                        total += torch.einsum("oi,niv->nov", kernel[:, :, tap, 0], taken)
                branches[branch].append(total)
            branches[2].append(entered[:, 4:6, max(0, t - 1) : t + 2].amax(dim=2))
            branches[3].append(torch.einsum("oi,niv->nov", layer.now.weight[:, :, 0, 0], x[:, :, t]))
        expected = layer.norm(torch.cat([torch.stack(branch, dim=2) for branch in branches], dim=1))
        torch.testing.assert_close(layer(x), expected)


def test_size_is_that_of_the_paper():
    network = CtrNetwork("kinect_v1", 10)
    cost = network_cost(network, "kinect_v1", 52, 1)
    assert 1.35e6 < cost["parameters"] < 1.5e6
    assert (
        1.0e9 < cost["flops"] < 1.4e9
    )  # the paper counts 1.97 G multiply-adds of 64 frames of two people of 25 joints
    shapes = []
    for block in network.blocks:
        block.register_forward_hook(lambda module, inputs, output: shapes.append(tuple(output.shape[1:])))
    with torch.no_grad():
        assert network.eval()(torch.randn(2, 3, 52, 20, 1)).shape == (2, 10)
    assert shapes == [(64, 52, 20)] * 4 + [(128, 26, 20)] * 3 + [(256, 13, 20)] * 3


@pytest.mark.parametrize("name", ["coco_17", "kinect_v2", "vicon_39"])
def test_other_layouts_make_a_network(name):
    layout = get_layout(name)
    network = CtrNetwork(layout, num_classes=7, num_people=2, width=8).eval()
    for block in network.blocks:
        block.norm.weight.data.fill_(1.0)
        block.spatial.alpha.data.fill_(0.5)
    joints = torch.randn(3, 3, 9, layout.num_joints, 2)
    with torch.no_grad():
        scores = network(joints)
        assert scores.shape == (3, 7) and scores.isfinite().all()
        torch.testing.assert_close(network(joints[1:2]), scores[1:2], rtol=1e-4, atol=1e-4)


def test_every_parameter_learns():
    torch.manual_seed(0)
    network = CtrNetwork("kinect_v1", 3, width=8)
    for block in network.blocks:
        block.norm.weight.data.fill_(1.0)  # 1e-6 at first, which hides the graph from the gradient
        block.spatial.alpha.data.fill_(0.5)
    network(torch.randn(4, 3, 8, 20, 1)).logsumexp(dim=1).square().sum().backward()
    silent = [
        name for name, value in network.named_parameters() if value.grad is None or not value.grad.abs().sum() > 0
    ]
    assert not silent


def test_a_joint_hears_of_others_only_through_the_graph():
    graph = torch.from_numpy(partitions("kinect_v1"))
    layer = RefinedConvolution(3, 8, graph).eval()  # alpha is zero at first
    x = torch.randn(1, 3, 4, 20)
    moved = x.clone()
    moved[:, :, :, 0] += 1
    with torch.no_grad():
        changed = (layer(moved) - layer(x)).abs().amax(dim=(0, 1, 2)) > 1e-6
    expected = (graph.sum(dim=0)[:, 0] > 0).numpy()
    np.testing.assert_array_equal(changed.numpy(), expected)


@pytest.mark.parametrize("width", [30, 0])
def test_widths_that_do_not_fit(width):
    with refused(ValueError, match="multiple of 4"):
        CtrNetwork("kinect_v1", 3, width=width)
