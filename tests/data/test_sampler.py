"""Which clips a step takes: every clip once an epoch, the same however a step is split, mixtures by their weights."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch

from s2i_hf.data.mixtures import join
from s2i_hf.data.sampler import EpochSampler, training_loader
from s2i_hf.data.skeleton_rows import as_rows

Pairs = list[tuple[int, int]]


def order(
    ids: list[str], steps: range, batch: int, per_epoch: int, parts: int = 1, num: int = 1, sources: Any = None
) -> list[list[Pairs]]:
    """Micro-batches of every process."""
    return [
        list(EpochSampler(ids, 0, per_epoch, batch, parts, lambda: steps, process, num, sources))
        for process in range(num)
    ]


def taken(
    ids: list[str], batch: int, parts: int, num: int, first: int = 0, epochs: int = 3, sources: Any = None
) -> list[set[tuple[int, str]]]:
    """(pass, id) of the clips of every step from `first` on, over all processes."""
    per_epoch = len(ids) // (batch * parts * num)
    orders = order(ids, range(first, epochs * per_epoch), batch, per_epoch, parts, num, sources)
    assert {len(one) for one in orders} == {(epochs * per_epoch - first) * parts}
    found = []
    for step in range(epochs * per_epoch - first):
        pairs = [pair for one in orders for micro in one[step * parts : (step + 1) * parts] for pair in micro]
        assert len(set(pairs)) == len(pairs) == batch * parts * num  # disjoint
        found.append({(turn, ids[index]) for turn, index in pairs})
    return found


def test_a_step_takes_the_same_clips_however_it_is_split() -> None:
    ids = [f"clip{index}" for index in range(37)]
    whole = taken(ids, 8, 1, 1)
    assert whole == taken(ids, 4, 1, 2) == taken(ids, 2, 2, 2) == taken(ids, 1, 4, 2) == taken(ids, 2, 4, 1)
    assert whole[5:] == taken(ids, 4, 1, 2, first=5)
    for epoch in range(3):
        seen = [pair for step in whole[epoch * 4 : (epoch + 1) * 4] for pair in step]
        assert len(set(seen)) == 32 and {pair[0] for pair in seen} == {epoch}  # five are left over
    assert whole[0] != {(0, clip) for _, clip in whole[4]}  # every epoch has an order of its own
    assert taken(ids[::-1], 8, 1, 1) == whole  # rows in another order, as another way of storing them may have


def test_which_steps_is_asked_when_an_iteration_begins() -> None:
    step = 0
    sampler = EpochSampler([f"clip{index}" for index in range(26)], 3, 3, 8, 1, lambda: range(step, step + 3))
    first = list(sampler)
    step = 3
    assert len(sampler) == 3 and list(sampler) != first and {turn for batch in sampler for turn, _ in batch} == {1}


def test_clips_that_fill_no_step_are_repeated_in_further_rounds() -> None:
    [[batch]] = order(["a", "b", "c"], range(1, 2), 8, 1)
    assert len(batch) == 8 and {turn for turn, _ in batch} == {3, 4, 5}
    assert all(sorted(index for turn, index in batch if turn == number) == [0, 1, 2] for number in (3, 4))


def test_a_weighted_mixture_is_the_same_however_it_is_split() -> None:
    def rows(name: str, count: int) -> list[dict[str, Any]]:
        joints = np.zeros((5, 1, 20, 3), np.float32)
        return [
            {"joints": joints, "layout": "kinect_v1", "label": 0, "sample_id": f"{name}{at}"} for at in range(count)
        ]

    joined, _ = join(
        {"many": {"train": as_rows(rows("clip", 12))}, "few": {"train": as_rows(rows("other", 4))}}, "equal"
    )
    ids, more = joined["train"].sample_ids, {"epochs": 4, "sources": joined["train"].sources}
    whole = taken(ids, 4, 1, 1, **more)
    assert whole == taken(ids, 2, 1, 2, **more) == taken(ids, 1, 2, 2, **more)
    assert whole[5:] == taken(ids, 4, 1, 1, first=5, **more)
    for epoch in range(4):
        seen = [pair for step in whole[4 * epoch : 4 * (epoch + 1)] for pair in step]
        few = [pair for pair in seen if pair[1].startswith("other")]
        assert (len(seen), len(few)) == (16, 8)  # half of an epoch, so each of the 4 twice
        assert set(few) == {(turn, f"other{index}") for turn in (2 * epoch, 2 * epoch + 1) for index in range(4)}
    assert len({name for step in whole for _, name in step}) == 16  # 8 draws an epoch from 12 clips: all within two


def test_loader_workers_stay_from_epoch_to_epoch_and_bring_its_clips() -> None:
    rows = as_rows([{"joints": np.zeros((2, 1, 3, 3)), "layout": "x", "sample_id": f"clip{n}"} for n in range(6)])
    done = [0]
    sampler = EpochSampler(rows.sample_ids, 0, 3, 2, 1, lambda: range(3 * done[0], 3 * done[0] + 3))
    loader = training_loader(rows, sampler, _seen, 1, torch.device("cpu"))
    workers = set()
    for epoch in range(3):
        done[0] = epoch  # as the Trainer asks for one epoch after the other
        batches = list(loader)
        workers |= {worker for worker, _ in batches}
        assert [pairs for _, pairs in batches] == order(rows.sample_ids, range(3 * epoch, 3 * epoch + 3), 2, 3)[0]
    assert len(workers) == 1 and os.getpid() not in workers


def _seen(batch: list[dict[str, Any]]) -> tuple[int, Pairs]:
    return os.getpid(), [(row["epoch"], int(row["sample_id"].removeprefix("clip"))) for row in batch]
