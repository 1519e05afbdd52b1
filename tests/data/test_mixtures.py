"""Several datasets as one: labels and ids, recordings that two of them have, test clips held out, and how often each is drawn."""

from __future__ import annotations

import pickle
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from conftest import refused
from hypothesis import given, settings, strategies as st

from s2i_hf.data.mixtures import describe_sources, draws_of_epoch, family, held_out, join, passes, set_weights
from s2i_hf.data.skeleton_rows import SkeletonRows, Sources, as_rows
from s2i_hf.processing.layouts import get_layout
from s2i_hf.processing.rng import hash_ids
from s2i_hf.protocols import PROTOCOLS, get_protocol

UCLA = [
    f"a{action:02}_s{subject:02}_e00_v{view:02}" for action in (1, 2, 8) for subject in (1, 2) for view in (1, 2, 3)
]
NTU60 = [f"S{setup:03}C{view:03}P{who:03}R001A013" for setup in (1, 2) for view in (1, 2, 3) for who in (1, 3)]
NTU120 = [*NTU60, "S018C001P008R001A070", "S018C002P041R001A070"]


class Listed(list):  # type: ignore[type-arg]
    """Rows with the names that a dataset has."""

    name: str
    class_names: list[str]


def rows_of(protocol: str, ids: list[str], layout: str = "", class_names: Any = None) -> SkeletonRows:
    """Rows of two frames whose joints say whose they are."""

    known = PROTOCOLS.get(protocol)
    layout = layout or (known.layout if known else "kinect_v2")
    listed = Listed()
    listed.name = protocol
    listed.class_names = list(known.class_names if known and class_names is None else class_names or [])
    for index, sample_id in enumerate(ids):
        joints = np.full((2, 1, get_layout(layout).num_joints, 3), hash_ids([f"{protocol}{sample_id}"])[0] % 1000)
        label = known.label(sample_id) if known else index % 2 - 1
        listed.append({"joints": joints, "layout": layout, "label": label, "subject": 1, "sample_id": sample_id})
    return as_rows(listed)


def splits_of(protocol: str, ids: list[str]) -> dict[str, SkeletonRows]:
    rule = PROTOCOLS[protocol]
    parts = {split: [name for name in ids if rule.split(name) == split] for split in rule.splits}
    return {split: rows_of(protocol, names) for split, names in parts.items()}


# -- families and test clips -------------------------------------------------------------------------------------------


def test_families() -> None:
    assert family("ntu60_xsub") == family("ntu120_xset") != family("synthetic_xsub")  # of one reader, all three
    assert family("ui_prmd_kinect_xsub") == family("ui_prmd_vicon_xsub")
    assert family("nw_ucla_xview") == family("nw_ucla_xview1")
    assert family("folder") is None
    kinds = {name: family(name) for name in PROTOCOLS}
    assert len({protocol.dataset for protocol in PROTOCOLS.values()}) - len(set(kinds.values())) == 2


@pytest.mark.parametrize(
    ("of", "ids", "rule", "expected"),
    [
        ("ntu120_xsub", NTU120, "ntu60_xview", [name for name in NTU60 if "C001" in name]),
        ("ntu120_xsub", NTU120, "ntu60_xsub", [name for name in NTU60 if "P003" in name]),
        ("ntu60_xsub", NTU60, "ntu120_xset", [name for name in NTU60 if name.startswith("S001")]),
        ("ntu120_xset", NTU120, "ntu120_xsub", [name for name in NTU120 if "P003" in name or "P041" in name]),
        ("nw_ucla_xview", UCLA, "nw_ucla_xview1", [name for name in UCLA if "v01" in name]),
        ("nw_ucla_xview", UCLA, "ntu60_xsub", []),
        ("synthetic_xsub", [name for name in NTU60], "ntu60_xsub", []),  # the same names, other people
        ("ntu60_xsub", NTU60, "synthetic_xsub", []),
        ("folder", NTU60, "ntu60_xsub", []),
        ("ui_prmd_vicon_xsub", ["m01_s01_e01", "m01_s02_e01"], "ui_prmd_kinect_xsub", ["m01_s02_e01"]),
    ],
)
def test_held_out(of: str, ids: list[str], rule: str, expected: list[str]) -> None:
    rows = rows_of(of, ids)
    assert [name for name, out in zip(ids, held_out(rows, PROTOCOLS[rule]), strict=True) if out] == expected
    assert len(expected) < len(ids)


def test_exemplars_are_held_out_too() -> None:
    rule = get_protocol("ntu120_oneshot")
    shown = sorted(rule.exemplars)[0]
    trained = "S001C001P001R001A002"
    assert rule.split(trained) == "train"
    assert held_out(rows_of("ntu120_xsub", [shown, trained]), rule).tolist() == [True, False]


def test_a_list_of_videos_decides_over_their_clips() -> None:
    lists = replace(get_protocol("pku1_xsub"), train=frozenset({"0002-L"}), test=frozenset({"0003-L", "0003-M"}))
    ids = ["0002-L_A05_00123-00245", "0003-L_A05_00001-00020", "0003-M_A06_00001-00020", "0004-L_A05_00001-00020"]
    assert held_out(rows_of("pku1_xview", ids), lists).tolist() == [False, True, True, False]


# -- joining -----------------------------------------------------------------------------------------------------------


def test_two_formats_become_one_set() -> None:
    parts = {"nw_ucla_xview": splits_of("nw_ucla_xview", UCLA), "synthetic_xsub": splits_of("synthetic_xsub", NTU60)}
    joined, _ = join(parts)
    train, test = joined["train"], joined["test"]
    first, second = (parts[name]["train"] for name in parts)
    assert len(train) == len(first) + len(second) and len(test) == sum(len(part["test"]) for part in parts.values())
    assert train.sample_ids == [*first.sample_ids, *second.sample_ids]
    assert train.class_names == test.class_names
    assert train.class_names[1] == "nw_ucla_xview: pick up with two hands"
    assert train.class_names[10 + 12] == f"synthetic_xsub: {PROTOCOLS['synthetic_xsub'].class_names[12]}"
    assert len(train.class_names) == 10 + 14
    for index, row in enumerate(train[i] for i in range(len(train))):
        part, at, up = (first, index, 0) if index < len(first) else (second, index - len(first), 10)
        source = part[at]
        np.testing.assert_array_equal(row["joints"], source["joints"])
        assert row["joints"].flags.writeable and row["label"] == source["label"] + up
        assert (row["layout"], row["sample_id"]) == (source["layout"], source["sample_id"])
    assert train.sources is not None and train.sources.names == tuple(parts) and train.sources.weights is None
    assert train.sources.of.tolist() == [0] * len(first) + [1] * len(second)
    assert train.name == "nw_ucla_xview + synthetic_xsub"
    again = pickle.loads(pickle.dumps(train))
    np.testing.assert_array_equal(again[-1]["joints"], train[-1]["joints"])


def test_a_selection_of_a_mixture_knows_its_sources() -> None:
    joined, _ = join(
        {"a": {"train": rows_of("nw_ucla_xview", UCLA)}, "b": {"train": rows_of("synthetic_xsub", NTU60)}}, "equal"
    )
    picked = joined["train"].select([0, 20, 3])
    assert "test" not in joined
    assert picked.sources is not None and picked.sources.of.tolist() == [0, 1, 0]
    np.testing.assert_array_equal(picked[1]["joints"], joined["train"][20]["joints"])
    assert [picked.select([2]).sample_ids] == [[UCLA[3]]]


def test_a_recording_in_two_sets_counts_once() -> None:
    """NTU-60 is a part of NTU-120; what it has more of train here because the rules differ."""
    parts = {"ntu60_xview": splits_of("ntu60_xview", NTU60), "ntu120_xsub": splits_of("ntu120_xsub", NTU120)}
    joined, left_out = join(parts)
    train, test = joined["train"].sample_ids, joined["test"].sample_ids
    assert len(set(train)) == len(train) and len(set(test)) == len(test) and not set(train) & set(test)
    assert set(train) == {name for part in parts.values() for name in part["train"].sample_ids}
    assert set(test) == {name for part in parts.values() for name in part["test"].sample_ids} - set(train)
    twice = set(parts["ntu60_xview"]["train"].sample_ids) & set(parts["ntu120_xsub"]["train"].sample_ids)
    assert left_out["duplicates"] == {"ntu120_xsub": len(twice)} and len(twice) == 4
    in_both = [name for part in parts.values() for name in part["test"].sample_ids if name in set(train)]
    assert left_out["tests_that_train"] == len(in_both) > 0
    first = rows_of("ntu60_xview", ["S001C002P001R001A013"])[0]["joints"]
    np.testing.assert_array_equal(joined["train"][train.index("S001C002P001R001A013")]["joints"], first)


def test_ids_that_stand_for_two_recordings_get_the_name_of_their_set() -> None:
    parts = {
        "ntu60_xsub": splits_of("ntu60_xsub", NTU60),
        "nw_ucla_xview": splits_of("nw_ucla_xview", UCLA),
        "synthetic_xview": splits_of("synthetic_xview", NTU60[:4]),
    }
    joined, left_out = join(parts)
    assert left_out == {"duplicates": {}, "tests_that_train": 0}
    ids = [*joined["train"].sample_ids, *joined["test"].sample_ids]
    assert len(set(ids)) == len(ids) == len(NTU60) + len(UCLA) + 4
    assert {f"ntu60_xsub/{NTU60[0]}", f"synthetic_xview/{NTU60[0]}", UCLA[0]} <= set(ids)


def test_two_sensors_of_one_recording_are_two_clips() -> None:
    ids = ["m01_s01_e01", "m02_s03_e01"]
    parts = {name: {"train": rows_of(name, ids)} for name in ("ui_prmd_kinect_xsub", "ui_prmd_vicon_xsub")}
    joined, _ = join(parts)
    assert joined["train"].sample_ids == [f"{name}/{sample_id}" for name in parts for sample_id in ids]


def test_sets_without_labels_or_clips() -> None:
    mine = rows_of("folder", ["one", "two", "three"])  # labels -1, 0, -1, and no names
    joined, _ = join({"mine": {"train": mine}, "ucla": {"train": rows_of("nw_ucla_xview", UCLA[:2])}})
    assert joined["train"].labels.tolist() == [-1, 0, -1, 1, 1]
    assert joined["train"].class_names[:2] == ["mine: 0", "ucla: pick up with one hand"]
    empty = {"train": mine.select([])}
    joined, _ = join({"none": empty, "mine": {"train": mine}}, {"none": 1, "mine": 2})
    assert joined["train"].sources is not None and joined["train"].sources.names == ("mine",)
    assert joined["train"].sample_ids == mine.sample_ids
    with refused(ValueError, match="no training clip in none"):
        join({"none": empty})


def test_facts_about_each_set() -> None:
    joined, _ = join(
        {"a": {"train": rows_of("nw_ucla_xview", UCLA)}, "b": {"train": rows_of("synthetic_xsub", NTU60[:6])}}, 0.5
    )
    facts = describe_sources(joined["train"])
    assert [facts[name]["clips"] for name in facts] == [18, 6]
    assert facts["a"]["share"] == pytest.approx(18**0.5 / (18**0.5 + 6**0.5), abs=1e-4)
    assert facts["a"]["layouts"] == ["kinect_v1"] and facts["b"]["layouts"] == ["kinect_v2"]
    assert describe_sources(rows_of("nw_ucla_xview", UCLA)) == {}
    plain, _ = join(
        {"a": {"train": rows_of("nw_ucla_xview", UCLA)}, "b": {"train": rows_of("synthetic_xsub", NTU60[:6])}}
    )
    assert describe_sources(plain["train"])["b"]["share"] == 0.25


# -- how often ---------------------------------------------------------------------------------------------------------


def test_weights_of_the_sets() -> None:
    sizes = {"a": 900, "b": 100}
    assert set_weights(None, sizes) is None
    assert set_weights("equal", sizes) == set_weights(0, sizes) == (0.5, 0.5)
    assert set_weights(1, sizes) == pytest.approx((0.9, 0.1))
    assert set_weights(0.5, sizes) == pytest.approx((0.75, 0.25))
    assert set_weights({"b": 3, "a": 1}, sizes) == (0.25, 0.75)
    for mixture, words in (
        ("often", "expected 'equal'"),
        (-1, "expected 'equal'"),
        (float("nan"), "expected 'equal'"),
        ({"a": 1}, "no weight for b"),
        ({"a": 1, "b": 1, "c": 1}, "names 'c'"),
        ({"a": 1, "b": 0}, "above zero"),
        (1e6, "above zero"),  # a share too small for a number
        ({"a": 1, "b": float("inf")}, "above zero"),
    ):
        with refused(ValueError, match=words):
            set_weights(mixture, sizes)  # type: ignore[arg-type]


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=6), st.integers(1, 5000))
@settings(max_examples=60, deadline=None)
def test_draws_add_up_and_stay_near_the_weights(numbers: list[int], count: int) -> None:
    weights = np.array(numbers) / sum(numbers)
    names = [f"set{index}" for index in range(len(numbers))]
    try:
        draws = draws_of_epoch(weights, names, count)
    except ValueError as error:
        assert "takes none of" in str(error) and (weights * count < 1).any()
        return
    assert sum(draws) == count and np.abs(np.array(draws) - weights * count).max() < 1
    swapped = draws_of_epoch(weights[::-1], names[::-1], count)
    assert swapped[::-1] == draws  # whatever the order of the sets


def epochs(
    sizes: dict[str, int], weights: Any, count: int, number: int, seed: int = 0
) -> list[list[tuple[str, int, int]]]:
    """(id, set, pass) of the clips of each epoch."""
    of = np.repeat(np.arange(len(sizes)), list(sizes.values()))
    ids = [f"{name}{index}" for name, size in sizes.items() for index in range(size)]
    sources = Sources(tuple(sizes), of, weights)
    found = []
    for epoch in range(number):
        indices, numbers = passes(sources, hash_ids(ids), seed, epoch, count)
        found.append([(ids[at], int(of[at]), int(turn)) for at, turn in zip(indices, numbers, strict=True)])
    return found


def test_rounds_against_a_slow_count() -> None:
    """Every clip once a pass of its set, passes one after the other, and the next epoch goes on where one stopped."""
    sizes, weights, count = {"big": 50, "small": 4, "middle": 13}, (0.5, 0.3, 0.2), 40
    drawn = epochs(sizes, weights, count, 9)
    for at, (name, size) in enumerate(sizes.items()):
        number = round(weights[at] * count)
        stream: list[tuple[str, int]] = []
        for clips in drawn:
            taken = [(clip, turn) for clip, of, turn in clips if of == at]
            assert len(taken) == number
            stream += sorted(taken, key=lambda pair: pair[1])
        assert [turn for _, turn in stream] == [place // size for place in range(9 * number)]
        assert len(set(stream)) == len(stream)  # none twice in a pass
        for turn in range(9 * number // size):
            assert {clip for clip, of_turn in stream if of_turn == turn} == {f"{name}{index}" for index in range(size)}
    small = Counter(clip for clip, of, _ in drawn[0] if of == 1)
    assert sorted(small.values()) == [3, 3, 3, 3]  # 12 draws of 4 clips in one epoch


def test_rounds_are_a_function_of_seed_epoch_ids_and_weights() -> None:
    sizes, count = {"a": 30, "b": 6}, 24
    found = epochs(sizes, (0.5, 0.5), count, 3)
    assert found == epochs(sizes, (0.5, 0.5), count, 3)
    assert found[0] != found[1] and found[0] != epochs(sizes, (0.5, 0.5), count, 1, seed=1)[0]
    backwards = epochs({"b": 6, "a": 30}, (0.5, 0.5), count, 3)
    assert [[clip[::2] for clip in epoch] for epoch in backwards] == [[clip[::2] for clip in epoch] for epoch in found]
    places = [np.mean([index for index, clip in enumerate(epoch) if clip[1] == 1]) for epoch in found]
    assert all(6 < place < 17 for place in places)  # the sets are mixed, not one after the other


def test_a_selection_without_one_of_the_sets_still_has_epochs() -> None:
    sources = Sources(("a", "b"), np.zeros(5, dtype=np.int64), (0.5, 0.5))
    indices, numbers = passes(sources, hash_ids(list("vwxyz")), 0, 0, 10)
    assert sorted(indices.tolist()) == sorted(2 * list(range(5))) and Counter(numbers.tolist()) == {0: 5, 1: 5}


def test_a_set_that_would_never_come() -> None:
    with refused(ValueError, match="none of the 8 clips of an epoch from b"):
        draws_of_epoch([0.99, 0.01], ["a", "b"], 8)
