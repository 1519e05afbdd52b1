from __future__ import annotations

from s2i_hf.protocols import PROTOCOLS, SampleName, parse_name

PAIRS = sorted(
    f"s0{first}s0{second}"
    for first, others in enumerate(("237", "1367", "2456", "236", "23", "234", "13"), 1)
    for second in others
)


def test_names() -> None:
    assert parse_name("sbu", "s01s02_03_001") == SampleName(3, 102)
    assert parse_name("sbu", "skeleton_pos") is None


def test_every_pair_is_tested_once() -> None:
    tested = []
    for fold in range(1, 6):
        protocol = PROTOCOLS[f"sbu_fold{fold}"]
        splits = {pair: protocol.split(f"{pair}_01_001") for pair in PAIRS}
        assert set(splits.values()) == {"train", "test"}
        tested += [pair for pair, split in splits.items() if split == "test"]
    assert sorted(tested) == PAIRS


def test_the_folds_of_public_code() -> None:
    """By position in the sorted list of pairs, as the loaders of several groups number them."""
    folds = [[1, 9, 15, 19], [5, 7, 10, 16], [2, 3, 20, 21], [4, 6, 8, 11], [12, 13, 14, 17, 18]]
    for number, fold in enumerate(folds, start=1):
        protocol = PROTOCOLS[f"sbu_fold{number}"]
        assert [i for i, pair in enumerate(PAIRS, start=1) if protocol.split(f"{pair}_08_001") == "test"] == fold


def test_other_pairs_and_actions_belong_to_nobody() -> None:
    protocol = PROTOCOLS["sbu_fold1"]
    assert protocol.split("s01s04_01_001") is None and protocol.split("s01s02_09_001") is None
    assert protocol.class_names[protocol.label("s01s02_08_001")] == "punching"
