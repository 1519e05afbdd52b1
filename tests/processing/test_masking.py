"""Every strategy against a loop that hides unit after unit, and against the mask the stock ViTMAE makes of the same noise."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import refused

from s2i_hf.processing.layouts import LAYOUTS, PARTS, SkeletonLayout
from s2i_hf.processing.masking import (
    MASKS,
    check_mask,
    describe_mask,
    drawn_strategies,
    mask_from_noise,
    mask_noise,
    mask_weights,
    num_visible,
    patch_parts,
    ratio_of_step,
    ratio_range,
    typical_ratio,
)
from s2i_hf.processing.resizing import part_columns

GRID = (14, 14)
IDS = [f"S001C001P001R001A{number:03d}" for number in range(64)]
FORMATS = [
    ("kinect_v2", 1, "joints"),
    ("kinect_v1", 2, "joints"),
    ("lcrnet_13", 1, "equal"),
    ("mediapipe_33", 3, "equal"),
]


def columns_of(count: int) -> list[np.ndarray]:
    """`part_columns` of a batch of mixed formats."""
    kinds = [part_columns(LAYOUTS[name], people, 224, widths) for name, people, widths in FORMATS]
    return [kinds[index % len(kinds)] for index in range(count)]


def covering_part(
    layout: SkeletonLayout, people: int, part_widths: str, patch: int, width: int = 224
) -> list[Counter[int]]:
    """Pixels of each patch column by (person, part), from `F.interpolate` of a map that is 1 where a part is."""
    owner = []
    for person in range(people):
        first, last = round(person * width / people), round((person + 1) * width / people)
        if part_widths == "equal":
            span = last - first
            owner += [person * 5 + k for k in range(5) for _ in range(round(k * span / 5), round((k + 1) * span / 5))]
        else:
            lit = torch.zeros(1, 5, 1, layout.num_joints)
            for place, joint in enumerate(joint for part in PARTS for joint in layout.parts[part]):
                lit[0, [part for part in range(5) if joint in layout.parts[PARTS[part]]], 0, place] = 1
            shown = F.interpolate(lit, (1, last - first), mode="bilinear", align_corners=False)[0, :, 0]
            owner += [person * 5 + int(part) for part in shown.argmax(dim=0)]
    return [Counter(owner[column : column + patch]) for column in range(0, width, patch)]


def hide(units_in_order: list[list[int]], patches: int, ratio: float) -> np.ndarray:
    """The definition: units hidden whole, one after the other, until L - int(L (1 - ratio)) patches are, the last in part."""
    wanted, mask = patches - int(patches * (1 - ratio)), np.zeros(patches)
    for unit in units_in_order:
        for patch in unit:
            if mask.sum() < wanted:
                mask[patch] = 1
    return mask


def hiding_order(noise: np.ndarray, unit_of: np.ndarray) -> list[list[int]]:
    """Patches from the first hidden to the last, by unit. Raises if a unit is begun before the one before it is used up."""
    order = [int(patch) for patch in np.argsort(-noise)]
    units: list[list[int]] = []
    for patch in order:
        if units and unit_of[units[-1][0]] == unit_of[patch]:
            units[-1].append(patch)
        else:
            units.append([patch])
    for unit in units:
        assert len(unit) == int((unit_of == unit_of[unit[0]]).sum()), "a unit is hidden in two pieces"
    return units


def in_one_piece(noise: np.ndarray, unit_of: np.ndarray) -> bool:
    hidden_units = unit_of[np.argsort(-noise)]
    return int((hidden_units[1:] != hidden_units[:-1]).sum()) == len(np.unique(unit_of)) - 1


def tiles(grid: tuple[int, int], down: int, right: int, side: int) -> np.ndarray:
    return np.array([(y + down) // side * 100 + (x + right) // side for y in range(grid[0]) for x in range(grid[1])])


def units_of(strategy: str, noise: np.ndarray, columns: np.ndarray, side: int = 4) -> np.ndarray:
    """The unit of each patch from the definition; for blocks the one placement of the tiles that explains the noise."""
    rows, across = np.divmod(np.arange(GRID[0] * GRID[1]), GRID[1])
    if strategy == "block":
        places = [(down, right) for down in range(side) for right in range(side)]
        fitting = [place for place in places if in_one_piece(noise, tiles(GRID, *place, side))]
        assert len(fitting) == 1, fitting
        return tiles(GRID, *fitting[0], side)
    if strategy == "body_part":
        return patch_parts(columns, GRID)[across]
    return {"random": np.arange(len(rows)), "joint": across, "temporal": rows}[strategy]


@pytest.mark.parametrize("ratio", [0.75, 0.5, 0.9, 0.33])
@pytest.mark.parametrize("strategy", MASKS)
def test_equals_the_loop_for_every_sample(strategy: str, ratio: float) -> None:
    columns = columns_of(len(IDS))
    noise = mask_noise(strategy, IDS, GRID, ratio, seed=3, epoch=2, part_of_column=columns)
    mask = mask_from_noise(noise, ratio)
    assert noise.shape == mask.shape == (64, 196) and noise.dtype == mask.dtype == torch.float32
    for row in range(len(IDS)):
        assert sorted(noise[row].tolist()) == list(range(196))
        unit_of = units_of(strategy, noise[row].numpy(), columns[row])
        order = hiding_order(noise[row].numpy(), unit_of)
        np.testing.assert_array_equal(mask[row].numpy(), hide(order, 196, ratio))
        assert mask[row].sum() == 196 - int(196 * (1 - ratio))
        in_part = [unit for unit in np.unique(unit_of) if 0 < mask[row].numpy()[unit_of == unit].mean() < 1]
        assert len(in_part) <= 1


@pytest.mark.parametrize("training", [True, False])
def test_the_stock_vitmae_hides_exactly_these_patches(training: bool) -> None:
    from transformers import ViTMAEConfig, ViTMAEForPreTraining

    names = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    sizes = dict(zip(names, (16, 1, 1, 16), strict=True))
    decoder = {f"decoder_{name}": size for name, size in sizes.items()}
    model = ViTMAEForPreTraining(ViTMAEConfig(**sizes, **decoder, image_size=224, patch_size=16)).train(training)
    pixels = torch.rand(8, 3, 224, 224)
    for ratio in (0.75, 0.6, 0.5, 0.9, 0.33):
        model.config.mask_ratio = ratio
        for strategy in MASKS:
            noise = mask_noise(strategy, IDS[:8], GRID, ratio, part_of_column=columns_of(8))
            with torch.no_grad():
                found = model(pixels, noise=noise).mask
            assert torch.equal(found, mask_from_noise(noise, ratio)), (ratio, strategy)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_patch_belongs_to_the_part_that_covers_most_of_it(kind: tuple[str, int, str]) -> None:
    name, people, part_widths = kind
    layout = LAYOUTS[name]
    found = patch_parts(part_columns(layout, people, 224, part_widths), GRID)
    counts = covering_part(layout, people, part_widths, patch=16)
    for owner, count in zip(found.tolist(), counts, strict=True):
        assert count[owner] == max(count.values()), (owner, count)
    assert sorted(set(found.tolist())) == sorted({count.most_common(1)[0][0] for count in counts})


def test_a_tie_goes_to_the_left_part_and_the_grid_must_fit() -> None:
    columns = np.repeat([4, 1, 2, 2, 0, 3], 8)
    assert patch_parts(columns, (3, 3)).tolist() == [4, 2, 0]
    with pytest.raises(ValueError, match="48 pixel columns do not divide into 5"):
        patch_parts(columns, (3, 5))


def test_body_parts_are_hidden_whole_from_top_to_bottom() -> None:
    columns = columns_of(4)
    mask = mask_from_noise(mask_noise("body_part", IDS[:4], GRID, 0.75, part_of_column=columns), 0.75).reshape(
        4, 14, 14
    )
    for row in range(4):
        parts = patch_parts(columns[row], GRID)
        shares = [float(mask[row][:, parts == part].mean()) for part in np.unique(parts)]
        assert sum(0 < share < 1 for share in shares) <= 1 and 1.0 in shares and min(shares) < 1


def test_small_grids_and_crowds() -> None:
    for strategy in MASKS:
        for grid in ((2, 2), (1, 2), (2, 1), (1, 14), (3, 5)):
            for side in (1, 2, 7):
                crowd = [np.arange(20 * grid[1]) // grid[1]] * 5  # four people in a strip of few patches
                noise = mask_noise(strategy, IDS[:5], grid, 0.5, part_of_column=crowd, block_size=side)
                assert all(sorted(row.tolist()) == list(range(grid[0] * grid[1])) for row in noise)


def test_columns_of_no_part_are_a_unit_of_their_own() -> None:
    layout = SkeletonLayout("own", ["hips", "left_hand", "right_hand"], [-1, 0, 0])
    columns = part_columns(layout, 1, 80, "equal")
    assert columns.tolist() == [0] * 16 + [1] * 16 + [2] * 16 + [-1] * 32
    noise = mask_noise("body_part", IDS[:20], (5, 5), 0.5, part_of_column=[columns] * 20)
    for row in noise:
        hiding_order(row.numpy(), np.tile([0, 1, 2, 3, 3], 5))


# --- randomness ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", MASKS)
def test_a_mask_depends_on_seed_epoch_and_sample_alone(strategy: str) -> None:
    columns = columns_of(len(IDS))
    together = mask_noise(strategy, IDS, GRID, 0.75, seed=1, epoch=5, part_of_column=columns)
    for row in (0, 9, 63):
        alone = mask_noise(strategy, [IDS[row]], GRID, 0.75, seed=1, epoch=5, part_of_column=[columns[row]])
        assert torch.equal(alone[0], together[row])
    torch.manual_seed(99)
    assert torch.equal(mask_noise(strategy, IDS, GRID, 0.75, seed=1, epoch=5, part_of_column=columns), together)
    for seed, epoch in ((1, 6), (2, 5)):
        other = mask_noise(strategy, IDS, GRID, 0.75, seed=seed, epoch=epoch, part_of_column=columns)
        assert (other != together).any(dim=1).all()
    assert len({tuple(row.tolist()) for row in together}) == len(IDS)


def test_another_process_draws_the_same_masks() -> None:
    code = (
        "from s2i_hf.processing.masking import mask_noise;"
        "print(mask_noise('block', ['x', 'y'], (4, 4), 0.5, seed=7, epoch=3).int().tolist())"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "5", "PATH": ""},
    )
    assert found.stdout.strip() == str(mask_noise("block", ["x", "y"], (4, 4), 0.5, seed=7, epoch=3).int().tolist())


@pytest.mark.parametrize("strategy", MASKS)
def test_every_patch_is_hidden_as_often_as_any_other(strategy: str) -> None:
    ids = [str(number) for number in range(4000)]
    columns = [part_columns(LAYOUTS["kinect_v1"], 1, 224, "equal")] * len(ids)
    share = mask_from_noise(mask_noise(strategy, ids, GRID, 0.75, part_of_column=columns), 0.75).mean(dim=0)
    assert abs(float(share.mean()) - 0.75) < 0.005  # 147 of 196
    assert (share - 0.75).abs().max() < 0.05


def test_unit_orders_patch_orders_and_tile_places_are_random() -> None:
    ids = [str(number) for number in range(3000)]
    noise = mask_noise("joint", ids, GRID, 0.75).reshape(-1, 14, 14).numpy()
    first_column = Counter(int(row.max(axis=0).argmax()) for row in noise)
    assert len(first_column) == 14 and min(first_column.values()) > 150  # 214 expected
    pairs = Counter(tuple(np.argsort(-row.max(axis=0))[:2]) for row in noise)
    assert len(pairs) == 14 * 13
    inside = Counter(int(row[:, row.max(axis=0).argmax()].argmax()) for row in noise)
    assert len(inside) == 14 and min(inside.values()) > 150
    places = Counter()
    for row in mask_noise("block", ids[:200], GRID, 0.75).numpy():
        unit_of = units_of("block", row, np.empty(0))
        places[int(unit_of[0])] += 1
        places["corner", int((unit_of == unit_of[0]).sum())] += 1
    assert {key[1] for key in places if isinstance(key, tuple)} == {
        1,
        2,
        3,
        4,
        6,
        8,
        9,
        12,
        16,
    }  # all 16 placements of tiles


# --- errors -------------------------------------------------------------------------------------------------------------


def test_errors() -> None:
    cases = {
        "mask is 'column'; expected one of random": lambda: mask_noise("column", ["a"], GRID, 0.75),
        "mask_ratio 1.0 leaves 0 of 196": lambda: mask_noise("random", ["a"], GRID, 1.0),
        "mask_ratio 0.0": lambda: mask_noise("random", ["a"], GRID, 0.0),
        "mask_ratio 1.5": lambda: check_mask("random", 1.5, 196),
        "mask_ratio nan": lambda: check_mask("random", float("nan"), 196),
        "needs part_of_column": lambda: mask_noise("body_part", ["a"], GRID, 0.75),
        "one .W,. array": lambda: mask_noise("body_part", ["a", "b"], GRID, 0.75, part_of_column=columns_of(1)),
    }
    for says, call in cases.items():
        with refused(ValueError, match=says):
            call()


def test_the_number_of_visible_patches_is_that_of_vitmae() -> None:
    assert [num_visible(196, ratio) for ratio in (0.75, 0.9, 0.5, 0.6)] == [49, 19, 98, 78]


# --- mixtures and ranges ------------------------------------------------------------------------------------------------

MIXTURE = "random=0.4, joint=0.3,temporal=0.1,body_part=0.2"


def test_a_mixture_gives_each_clip_the_mask_of_one_of_its_strategies() -> None:
    columns = columns_of(len(IDS))
    found = mask_noise(MIXTURE, IDS, GRID, 0.75, seed=4, epoch=7, part_of_column=columns)
    kinds = drawn_strategies(MIXTURE, IDS, seed=4, epoch=7)
    assert set(kinds) == {"random", "joint", "temporal", "body_part"}
    single = {kind: mask_noise(kind, IDS, GRID, 0.75, 4, 7, part_of_column=columns) for kind in set(kinds)}
    for row, kind in enumerate(kinds):
        assert torch.equal(found[row], single[kind][row])
    alone = mask_noise(MIXTURE, IDS[9:10], GRID, 0.75, seed=4, epoch=7, part_of_column=columns[9:10])
    assert torch.equal(alone[0], found[9])
    assert drawn_strategies(MIXTURE, IDS, seed=4, epoch=8) != kinds != drawn_strategies(MIXTURE, IDS, seed=5, epoch=7)
    assert mask_noise(MIXTURE, [], GRID, 0.75).shape == (0, 196)


def test_strategies_are_drawn_as_often_as_their_weights_say() -> None:
    ids = [str(number) for number in range(20000)]
    shares = Counter(drawn_strategies("random=5,joint=3,temporal=2,block=0", ids))
    assert set(shares) == {"random", "joint", "temporal"}
    for name, share in (("random", 0.5), ("joint", 0.3), ("temporal", 0.2)):
        assert abs(shares[name] / len(ids) - share) < 0.015  # over four standard deviations
    assert mask_weights("random=5,joint=3,temporal=2,block=0") == {"random": 0.5, "joint": 0.3, "temporal": 0.2}
    assert mask_weights("joint") == mask_weights("joint=2") == {"joint": 1.0}


def test_a_mixture_in_words() -> None:
    assert describe_mask("joint") == describe_mask("joint=3") == "joint"
    assert describe_mask("random=1,joint=1") == "a mixture of random (50 %) and joint (50 %)"
    assert describe_mask("random=5,joint=3,block=2") == "a mixture of random (50 %), joint (30 %) and block (20 %)"


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        ("jiont", "mask is 'jiont'; expected one of random.*Did you mean 'joint'"),
        ("random=0.5,jiont=0.5", "mask is 'jiont' in 'random=0.5,jiont=0.5'.*Did you mean 'joint'"),
        ("random=0.5,joint", "no weight for joint"),
        ("random,joint", "no weight for random"),
        ("random=half,joint=1", "'half' as the weight of random"),
        ("random=-1,joint=2", "weight -1 for random; expected zero or more"),
        ("random=nan,joint=2", "weight nan"),
        ("random=inf,joint=2", "weight inf"),
        ("random=0,joint=0", "all zero"),
        ("random=1,random=2", "two weights for random"),
        ("", "mask is ''"),
    ],
)
def test_mixtures_that_cannot_be_drawn_from(mask: str, says: str) -> None:
    for call in (lambda: mask_weights(mask), lambda: mask_noise(mask, ["a"], GRID, 0.75)):
        with refused(ValueError, match=says):
            call()


def test_a_ratio_is_drawn_for_a_step_from_its_range() -> None:
    drawn = np.array([ratio_of_step((0.6, 0.9), seed=3, step=step) for step in range(3000)])
    assert drawn.min() >= 0.6 and drawn.max() < 0.9 and len(set(drawn)) == 3000
    assert abs(drawn.mean() - 0.75) < 0.006 and abs(np.quantile(drawn, 0.1) - 0.63) < 0.006
    assert ratio_of_step([0.6, 0.9], 3, 17) == drawn[17] != ratio_of_step((0.6, 0.9), 4, 17)
    assert abs(np.corrcoef(drawn[1:], drawn[:-1])[0, 1]) < 0.08
    assert ratio_of_step(0.75, 3, 17) == typical_ratio(0.75) == 0.75 and typical_ratio((0.6, 0.9)) == 0.75
    assert ratio_range(np.float32(0.5)) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("ratio", "says"),
    [
        ((0.9, 0.6), "0.9 to 0.6; expected the lower number first"),
        ((0.5, 1.0), "mask_ratio 1.0 leaves 0 of 196"),
        ((0.0, 0.5), "mask_ratio 0.0 leaves 196 of 196"),
        ((0.1, 0.2, 0.3), "3 numbers"),
        ((0.5, float("nan")), "mask_ratio nan"),
    ],
)
def test_ranges_that_cannot_be_drawn_from(ratio: tuple[float, ...], says: str) -> None:
    with refused(ValueError, match=says):
        check_mask("random", ratio, 196)
