from __future__ import annotations

import pytest

from s2i_hf.protocols import PROTOCOLS, SampleName, parse_name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("0002-L", SampleName(-1, -1, 1, 1, "0002-L")),
        ("0364-R_A51_00123-00245", SampleName(51, -1, 3, 1, "0364-R")),
        ("A01N13-M", SampleName(-1, 13, 2, 2, "A01N13-M")),
        ("A26N07-L_A08_00000-12345", SampleName(8, 7, 1, 2, "A26N07-L")),
        ("0002-L_A5_00123-00245", None),
        ("0002-X", None),
        ("A01N01", None),
        ("٠٠٠٢-L", None),  # digits, but not those of file names
        ("cross_subject", None),
    ],
)
def test_names(name: str, expected: SampleName | None) -> None:
    assert parse_name("pku_mmd", name) == expected


def part_two() -> list[str]:
    """Names of all videos of part II: 26 sessions of 13 people in 3 views, five of them without the middle one."""
    missing = {"A05N04-M", "A07N12-M", "A08N12-M", "A14N12-M", "A20N01-M"}
    names = [
        f"A{session:02}N{subject:02}-{view}" for session in range(1, 27) for subject in range(1, 14) for view in "LMR"
    ]
    return [name for name in names if name not in missing]


@pytest.mark.parametrize("rule", ["xsub", "xview"])
def test_part_two_is_split_as_published(rule: str) -> None:
    protocol = PROTOCOLS[f"pku2_{rule}"]
    splits = [protocol.file_splits(name) for name in part_two()]
    assert (splits.count(("train",)), splits.count(("test",))) == protocol.expected_videos
    assert len(splits) == 1009 == sum(protocol.expected_videos or ())


def test_the_parts_are_told_apart_by_name() -> None:
    assert PROTOCOLS["pku1_xview"].split("A01N01-L_A05_00001-00009") is None
    assert PROTOCOLS["pku2_xview"].split("0002-L_A05_00001-00009") is None
    assert [PROTOCOLS["pku1_xview"].split(f"0002-{view}_A05_00001-00009") for view in "LMR"] == [
        "test",
        "train",
        "train",
    ]
    assert PROTOCOLS["pku1_xview"].split("0002-L_A52_00001-00009") is None


def test_videos_and_actions_of_part_one_add_up() -> None:
    xsub, xview = PROTOCOLS["pku1_xsub"], PROTOCOLS["pku1_xview"]
    assert sum(xsub.expected_videos or ()) == sum(xview.expected_videos or ()) == 1076
    assert sum(xsub.expected_clips or ()) == 21_545
    assert not xsub.train  # a file decides


def test_both_spellings_of_the_split_files() -> None:
    assert {"cross_subject.txt", "cross-subject.txt"} <= set(PROTOCOLS["pku1_xsub"].split_files)
    assert {"cross_view_v2.txt", "cross-view-v2.txt", "cross-view_v2.txt"} <= set(PROTOCOLS["pku2_xview"].split_files)
    files = [set(PROTOCOLS[name].split_files) for name in ("pku1_xsub", "pku1_xview", "pku2_xsub", "pku2_xview")]
    assert len(set.union(*files)) == sum(map(len, files))  # nobody reads another one's


def test_classes() -> None:
    protocol = PROTOCOLS["pku2_xsub"]
    assert len(protocol.class_names) == 51
    assert protocol.class_names[protocol.label("A01N01-L_A14_00001-00009")] == "handshaking"
    assert protocol.class_names[50] == "writing"
