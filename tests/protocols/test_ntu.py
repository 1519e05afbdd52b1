from __future__ import annotations

from s2i_hf.protocols import PROTOCOLS

NEW = range(1, 121, 6)  # A001, A007, ..., A115


def test_one_shot() -> None:
    protocol = PROTOCOLS["ntu120_oneshot"]
    assert protocol.splits == ("train", "exemplars", "test")
    ids = {split: protocol.expected_ids(split) or [] for split in protocol.splits}
    assert {split: len(names) for split, names in ids.items()} == {"train": 95_001, "exemplars": 20, "test": 18_924}
    assert sum(map(len, ids.values())) == 113_945  # every sample that has a skeleton, once
    assert (
        {name[-4:] for name in ids["exemplars"]}
        == {name[-4:] for name in ids["test"]}
        == {f"A{action:03}" for action in NEW}
    )
    assert not {name[-4:] for name in ids["train"]} & {name[-4:] for name in ids["test"]}
    assert all(protocol.expected(split) == len(names) for split, names in ids.items())


def test_the_exemplars_of_the_authors() -> None:
    protocol = PROTOCOLS["ntu120_oneshot"]
    for name in ("S001C003P008R001A001", "S001C003P008R001A055", "S018C003P008R001A061", "S018C003P008R001A115"):
        assert protocol.split(name) == "exemplars"
    assert protocol.split("S001C003P008R002A001") == "test" and protocol.split("S001C003P008R001A002") == "train"
    assert not protocol.exemplars & protocol.missing_samples
    assert protocol.label("S018C003P008R001A115") == 114
