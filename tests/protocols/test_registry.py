from __future__ import annotations

from pathlib import Path

import pytest

from s2i_hf.processing.layouts import LAYOUTS
from s2i_hf.protocols import PROTOCOLS, SPLITS, get_protocol, parse_name, short_names
from s2i_hf.protocols.resources import read_list
from s2i_hf.readers import READERS

COUNTS = {  # of the literature, after the lists of missing skeletons
    "ntu60_xsub": (40_091, 16_487),
    "ntu60_xview": (37_646, 18_932),
    "ntu120_xsub": (63_026, 50_919),
    "ntu120_xset": (54_468, 59_477),
    "ntu120_oneshot": (95_001, 18_924),
    "nw_ucla_xview": (1_020, 464),
    "nw_ucla_xview1": (968, 516),
    "nw_ucla_xview2": (980, 504),
}


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_protocol_is_complete(name: str) -> None:
    protocol = PROTOCOLS[name]
    assert protocol.name == name == f"{protocol.dataset}_{protocol.rule}"
    assert protocol.reader in READERS and protocol.layout in LAYOUTS
    assert len(protocol.class_names) == len(protocol.actions) == len(set(protocol.class_names))
    assert protocol.id2label == dict(enumerate(protocol.class_names))
    assert not protocol.train & (protocol.test or frozenset())
    assert protocol.source


@pytest.mark.parametrize("name", COUNTS)
def test_the_expected_ids_are_as_many_as_published(name: str) -> None:
    protocol = PROTOCOLS[name]
    ids = [protocol.expected_ids(split) for split in SPLITS]
    assert (
        (len(ids[0] or []), len(ids[1] or []))
        == COUNTS[name]
        == (protocol.expected("train"), protocol.expected("test"))
    )
    assert ids[0] == sorted(set(ids[0] or []))


@pytest.mark.parametrize(
    ("folder", "names"), [("ntu", ["ntu60_xsub", "ntu60_xview"]), ("ntu120", ["ntu120_xsub", "ntu120_xset"])]
)
def test_the_real_lists_of_names_give_the_published_counts(real_data: Path, folder: str, names: list[str]) -> None:
    lists = real_data / "NTU-RGBD-lists" / folder / "statistics"
    available = (lists / "skes_available_name.txt").read_text().split()
    missing = next(lists.glob("*missing*")).read_text().split()
    for name in names:
        protocol = PROTOCOLS[name]
        assert protocol.missing_samples == set(missing)
        everything = [*available, *missing]  # as in the folder that is downloaded: the missing ones are files too
        for split, count in zip(SPLITS, COUNTS[name], strict=True):
            ids = sorted(sample for sample in everything if protocol.split(sample) == split)
            assert len(ids) == count and ids == protocol.expected_ids(split)


def test_the_real_names_of_nw_ucla(real_data: Path) -> None:
    protocol = PROTOCOLS["nw_ucla_xview"]
    names = sorted(path.stem for path in (real_data / "NW-UCLA" / "all_sqe").iterdir())
    assert names == sorted([*(protocol.expected_ids("train") or []), *(protocol.expected_ids("test") or [])])


def test_rules() -> None:
    xsub, xview, xset = (PROTOCOLS[name] for name in ("ntu60_xsub", "ntu60_xview", "ntu120_xset"))
    assert xsub.split("S001C001P001R001A001") == "train" and xsub.split("S001C001P003R001A001") == "test"
    assert xview.split("S001C001P001R001A001") == "test" and xview.split("S001C003P001R001A001") == "train"
    assert xset.split("S002C001P003R001A001") == "train" and xset.split("S031C001P006R001A120") == "test"
    assert xsub.split("S018C001P008R001A001") is None  # a setup of NTU-120
    assert xsub.split("S001C001P001R001A061") is None
    assert xsub.split("S001C002P005R002A008") is None  # on the list of missing skeletons
    assert xsub.split("S1C1P1R1A1") is None
    ucla = PROTOCOLS["nw_ucla_xview"]
    assert [ucla.split(f"a01_s01_e00_v0{view}") for view in (1, 2, 3, 4)] == ["train", "train", "test", None]
    assert ucla.split("a07_s01_e00_v01") is None
    synthetic = PROTOCOLS["synthetic_xsub"]
    assert [synthetic.split(f"S001C001P00{subject}R001A014") for subject in (1, 2, 3)] == ["train", "test", "train"]
    assert PROTOCOLS["synthetic_xview"].split("S001C001P001R001A001") == "test"
    assert synthetic.expected("train") is None and synthetic.expected_ids("train") is None


def test_labels() -> None:
    assert PROTOCOLS["ntu60_xsub"].label("S001C002P003R002A013") == 12
    assert [PROTOCOLS["nw_ucla_xview"].label(f"a{a:02}_s01_e00_v01") for a in (1, 6, 8, 12)] == [0, 5, 6, 9]
    with pytest.raises(ValueError, match="no sample of nw_ucla_xview"):
        PROTOCOLS["nw_ucla_xview"].label("a07_s01_e00_v01")


def test_class_names() -> None:
    assert PROTOCOLS["ntu60_xsub"].class_names == PROTOCOLS["ntu120_xsub"].class_names[:60]
    assert PROTOCOLS["ntu60_xsub"].class_names[57] == "handshaking"  # A058
    assert PROTOCOLS["ntu120_xsub"].class_names[111] == "high-five"  # A112
    assert PROTOCOLS["nw_ucla_xview"].class_names[6] == "donning"  # a08
    assert PROTOCOLS["synthetic_xsub"].class_names[12:] == ("handshake", "push_other")


def test_names() -> None:
    name = parse_name("ntu_rgbd", "S001C002P003R002A013")
    assert name is not None and (name.setup, name.camera, name.subject, name.action) == (1, 2, 3, 13)
    assert parse_name("ntu_rgbd", "S001C002P003R002A013.skeleton") is None
    assert parse_name("nw_ucla", "S001C002P003R002A013") is None


def test_an_unknown_name_is_corrected() -> None:
    with pytest.raises(ValueError, match="Did you mean 'ntu60_xsub'"):
        get_protocol("ntu60_xsubj")


def test_every_resource_says_where_its_facts_come_from() -> None:
    folder = Path(__file__).parents[2] / "s2i_hf" / "protocols" / "resources"
    for path in folder.glob("*.txt"):
        assert path.read_text(encoding="utf-8").startswith("# Source: "), path.name
        assert all(line == line.strip() and not line.startswith("#") for line in read_list(path.name))


def test_short_names_stand_for_all_of_them() -> None:
    names: list[str] = []
    for name in short_names():
        first, dots, last = name.partition("..")
        stem = first.rstrip("0123456789")
        names += [f"{stem}{number}" for number in range(int(first[len(stem) :]), int(last) + 1)] if dots else [first]
    assert sorted(names) == sorted(PROTOCOLS)
