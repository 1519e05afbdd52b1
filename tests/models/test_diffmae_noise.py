"""Noise as a function of keys: is it uniform, normal, independent, and the same wherever it is drawn?"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from s2i_hf.models.sampling_diffmae import derived_keys, integers, keys_of_ids, keys_of_order, normals
from s2i_hf.processing.masking import MASKS, mask_noise
from s2i_hf.processing.rng import uniform
from s2i_hf.training.pretraining import draw_noise

IDS = [f"clip{index:05}" for index in range(4000)]


def test_the_mixer_is_splitmix64() -> None:
    """The same bits as the numpy generator of `rng`, from a key made to be its state."""
    from s2i_hf.models import sampling_diffmae
    from s2i_hf.processing import rng

    words = np.array([0, 1, 2**63, 0xDEADBEEFDEADBEEF, 2**64 - 1], dtype=np.uint64)
    with np.errstate(over="ignore"):
        expected = rng._mix(words)
    found = sampling_diffmae._mix(torch.from_numpy(words.view(np.int64)))
    assert np.array_equal(found.numpy().view(np.uint64), expected)


def test_normals_are_standard_and_independent() -> None:
    drawn = normals(keys_of_ids(IDS[:200], seed=0), "noise", 2501).double().numpy()
    assert drawn.shape == (200, 2501)
    count = drawn.size
    for power, moment in ((1, 0), (2, 1), (3, 0), (4, 3), (6, 15)):
        spread = {1: 1, 2: 2, 3: 15, 4: 96, 6: 10170}[power]  # variance of the power of a normal number
        assert abs((drawn**power).mean() - moment) < 5 * np.sqrt(spread / count), power
    edges = np.array([-3, -2, -1, -0.5, 0, 0.5, 1, 2, 3])
    shares = np.array([0.0013499, 0.0227501, 0.1586553, 0.3085375, 0.5, 0.6914625, 0.8413447, 0.9772499, 0.9986501])
    below = (drawn[..., None] < edges).mean(axis=(0, 1))
    assert (np.abs(below - shares) < 5 * np.sqrt(shares * (1 - shares) / count)).all()
    limit = 5 / np.sqrt(count)
    for lag in (1, 2, 1250, 1251):  # neighbours, and the two numbers of a pair
        assert abs((drawn[:, lag:] * drawn[:, :-lag]).mean()) < 5 / np.sqrt(drawn[:, lag:].size), lag
    assert abs((drawn[1:] * drawn[:-1]).mean()) < limit  # another sample
    assert abs((drawn**2 - 1)[1:].ravel() @ (drawn**2 - 1)[:-1].ravel()) / count < 2 * limit


def test_purposes_seeds_and_derived_keys_draw_independently() -> None:
    keys = keys_of_ids(IDS[:100], seed=0)
    base = normals(keys, "noise", 1000)
    others = [
        normals(keys, "start", 1000),
        normals(keys_of_ids(IDS[:100], seed=1), "noise", 1000),
        *(normals(key, "noise", 1000) for key in derived_keys(keys, 3).unbind(1)),
    ]
    for other in others:
        assert abs(float((base * other).mean())) < 5 / np.sqrt(base.numel())
    assert len(torch.cat([keys[:, None], derived_keys(keys, 3)], dim=1).unique()) == 400


def test_integers_are_uniform() -> None:
    for high in (1, 7, 1000):
        drawn = integers(keys_of_ids(IDS, seed=3), "timestep", 5, high).numpy()
        assert drawn.shape == (4000, 5) and drawn.min() == 0 and drawn.max() == high - 1
        counts = np.bincount(drawn.ravel(), minlength=high)
        excess = ((counts - 20000 / high) ** 2 / (20000 / high)).sum() - (high - 1)
        assert abs(excess) < 5 * np.sqrt(2 * max(high - 1, 1))
        if high > 1:
            centred = drawn - (high - 1) / 2
            assert abs((centred[:, 0] * centred[:, 1]).mean()) < 5 * centred.var() / np.sqrt(4000)


@pytest.mark.parametrize("strategy", [mask for mask in MASKS if mask != "body_part"])
def test_noise_of_masks_is_uniform_and_new_for_every_clip_and_epoch(strategy: str) -> None:
    noise = [mask_noise(strategy, IDS[:1000], (7, 7), 0.75, seed=0, epoch=epoch) for epoch in (0, 1)]
    steps, drawn = zip(*(draw_noise(one, 2, 1000, 3) for one in noise), strict=True)
    for one in steps:
        counts = np.bincount(one.numpy().ravel() // 100, minlength=10)
        assert ((counts - 200) ** 2 / 200).sum() < 40  # chi squared of 9 degrees of freedom
    assert len(torch.cat([keys_of_order(one) for one in noise]).unique()) == 2000
    assert (steps[0] != steps[1]).float().mean() > 0.99
    assert drawn[0].shape == (1000, 2, 49, 3) and drawn[0].dtype == torch.float32
    limit = 5 / np.sqrt(drawn[0].numel())
    assert abs(float(drawn[0].mean())) < limit and abs(float((drawn[0] * drawn[1]).mean())) < limit
    assert abs(float((drawn[0][:, 0] * drawn[0][:, 1]).mean())) < 2 * limit  # the two noise levels of a clip
    hidden = noise[0] >= 12
    level = drawn[0][:, 0].mean(dim=-1)
    assert abs(float(level[hidden].mean())) < 5 / np.sqrt(3 * int(hidden.sum()))  # it does not know what is hidden
    early = steps[0][:, :1].float() / 999 - 0.5
    place = noise[0] / 48 - 0.5
    assert (np.abs((early * place).mean(dim=0).numpy()) < 5 / 12 / np.sqrt(1000)).all()  # nor does the timestep


def test_noise_depends_on_the_mask_alone() -> None:
    noise = mask_noise("random", IDS[:8], (4, 4), 0.75, seed=5, epoch=2)
    steps, drawn = draw_noise(noise, 2, 1000, 12)
    shuffled = torch.tensor([3, 1, 7])
    some_steps, some = draw_noise(noise[shuffled], 2, 1000, 12)
    assert torch.equal(some_steps, steps[shuffled]) and torch.equal(some, drawn[shuffled])
    again = draw_noise(noise / 100 - 3, 2, 1000, 12)  # only the order counts
    assert torch.equal(again[0], steps) and torch.equal(again[1], drawn)
    swapped = noise.clone()
    swapped[:, [0, 1]] = noise[:, [1, 0]]
    assert not torch.equal(draw_noise(swapped, 2, 1000, 12)[1], drawn)
    state = torch.get_rng_state()
    draw_noise(noise, 1, 10, 3)
    assert torch.equal(torch.get_rng_state(), state)


def test_it_is_as_good_as_the_generator_of_the_masks() -> None:
    """Uniform numbers of `rng` and these normals, drawn for the same clips, do not know of each other."""
    from s2i_hf.processing.rng import hash_ids

    flat = uniform(0, 0, hash_ids(IDS[:500]), 200, "mask/random") - 0.5
    drawn = normals(keys_of_ids(IDS[:500], 0), "noise", 200).numpy()
    assert abs((flat * drawn).mean()) < 5 / np.sqrt(12 * drawn.size)
