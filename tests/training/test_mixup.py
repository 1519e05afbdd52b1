"""Mixup and cutmix: shares of image and target agree, partners are others, draws repeat."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from s2i_hf.training.mixup import mix


def batch(count: int = 64, size: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    """Images of one colour each, whose number is their class."""
    images = torch.arange(count, dtype=torch.float32)[:, None, None, None].expand(count, 3, size, size).contiguous()
    return images, torch.eye(count)


def test_nothing_to_mix_is_the_same_objects() -> None:
    images, targets = batch()
    assert all(a is b for a, b in zip(mix(images, targets, 0.0, 0.0, (1,)), (images, targets), strict=True))
    assert mix(images[:1], targets[:1], 1.0, 1.0, (1,))[0].shape == (1, 3, 8, 8)  # no partner


@pytest.mark.parametrize(("mixup", "cutmix"), [(0.8, 0.0), (0.0, 1.0), (0.8, 1.0)])
def test_the_target_says_how_much_of_each_clip_is_in_the_image(mixup: float, cutmix: float) -> None:
    images, targets = batch()
    mixed, soft = mix(images, targets, mixup, cutmix, (3, 1))
    torch.testing.assert_close(soft.sum(dim=1), torch.ones(64))
    # the mean colour is the mean of the two clips' numbers, each by its share
    torch.testing.assert_close(mixed.mean(dim=(1, 2, 3)), soft @ torch.arange(64.0), rtol=1e-4, atol=1e-3)
    assert ((soft > 0).sum(dim=1) <= 2).all() and (torch.diagonal(soft) < 1).any()
    boxes = torch.stack([torch.tensor(float(len(image.unique()) == 2)) for image in mixed]).sum()
    plain = torch.stack([torch.tensor(float(len(image.unique()) == 1)) for image in mixed]).sum()
    assert boxes + plain == 64
    assert (boxes > 10) == bool(cutmix) and (plain > 10) == bool(mixup)


def test_every_clip_has_a_partner_that_is_not_itself() -> None:
    images, targets = batch(5)
    for key in range(20):
        _, soft = mix(images, targets, 1.0, 0.0, (key,))
        assert (soft > 0).sum(dim=1).tolist() == [2] * 5
        assert ((soft > 0).sum(dim=0) == 2).all()  # and each is a partner once


def test_draws_are_those_of_the_key() -> None:
    images, targets = batch()
    first, second = (mix(images, targets, 0.8, 1.0, (0, 7, 0))[0] for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, mix(images, targets, 0.8, 1.0, (0, 8, 0))[0])
    state = torch.get_rng_state(), np.random.get_state()[1].copy()
    mix(images, targets, 0.8, 1.0, (1,))
    assert torch.equal(state[0], torch.get_rng_state()) and (np.random.get_state()[1] == state[1]).all()
