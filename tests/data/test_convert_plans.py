from __future__ import annotations

import os
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from skeleton_files import write_nw_ucla

from s2i_hf.data.convert_plans import Names, PackedFiles, Plan, cut, newest_change
from s2i_hf.protocols import PROTOCOLS
from s2i_hf.readers import RawFile
from s2i_hf.readers.discovery import find_recordings
from s2i_hf.readers.raw_files import find_raw_files
from s2i_hf.readers.recordings import Recordings

NAMES = ["a01_s01_e00_v01", "a02_s01_e00_v02", "a08_s02_e00_v03"]


def a_plan(folder: Path, denoise: bool = True) -> Plan:
    recordings = find_recordings("nw_ucla_xview", folder)
    return Plan.of(recordings, denoise, len(cut(recordings.all_files)))


def test_plans_are_equal_for_equal_data_wherever_it_is(tmp_path: Path) -> None:
    write_nw_ucla(tmp_path / "a", NAMES)
    write_nw_ucla(tmp_path / "b" / "deeper", NAMES)
    os.utime(tmp_path / "a" / f"{NAMES[0]}.json", (1, 1))
    plan = a_plan(tmp_path / "a")
    assert plan == a_plan(tmp_path / "b") and plan.id == a_plan(tmp_path / "b").id
    assert (plan.name, plan.files, plan.pieces, plan.layout) == ("nw_ucla_xview", 3, 1, "kinect_v1")
    assert plan.expected == {"train": 1020, "test": 464} and plan.protocol is PROTOCOLS["nw_ucla_xview"]
    assert a_plan(tmp_path / "a", denoise=False).id != plan.id
    path = tmp_path / "b" / "deeper" / f"{NAMES[0]}.json"
    path.write_text(path.read_text() + " ")
    assert a_plan(tmp_path / "b").id != plan.id


def test_plans_survive_being_written(tmp_path: Path) -> None:
    write_nw_ucla(tmp_path, NAMES)
    (tmp_path / "nothing_like_it.json").write_text("{}")
    plan = a_plan(tmp_path)
    assert plan.left_out == {"not named like a recording": Names(1, ["nothing_like_it.json"])}
    again = Plan.from_json(plan.to_json())
    assert again == plan and again.id == plan.id
    for text in ("", "[]", "{}", "null", plan.to_json()[:-9], '{"left_out": {"x": 1}}'):
        with pytest.raises(ValueError):
            Plan.from_json(text)


def test_lists_beside_the_data_travel_with_the_plan(tmp_path: Path) -> None:
    lists = {"train": frozenset({"0002-L"}), "test": frozenset({"0003-M"})}
    protocol = replace(PROTOCOLS["nw_ucla_xview"], split_by="sample", split_files=("rule.txt",), **lists)
    plan = Plan.from_json(Plan.of(Recordings(protocol, {"train": [], "test": []}), True, 0).to_json())
    assert plan.split_lists == {"train": ["0002-L"], "test": ["0003-M"]}
    assert plan.protocol is not None and plan.protocol.split_by == "sample"
    assert (plan.protocol.train, plan.protocol.test) == (lists["train"], lists["test"])


def test_cutting_follows_numbers_and_bytes() -> None:
    def files(*sizes: int) -> list[RawFile]:
        return [RawFile(Path(f"{index}.txt"), size=size) for index, size in enumerate(sizes)]

    assert [len(piece) for piece in cut(files(*[1000] * 150))] == [64, 64, 22]
    mega = 1 << 20
    assert [len(piece) for piece in cut(files(40 * mega, 24 * mega, 1, 200 * mega, 1, -1))] == [2, 1, 1, 2]
    beside = files(40 * mega, 1)
    beside[1] = beside[1].with_companions(RawFile(Path("labels.txt"), size=30 * mega))
    assert [len(piece) for piece in cut(beside)] == [1, 1]
    assert cut([]) == []


def test_the_newest_change_is_that_of_files_or_their_archive(tmp_path: Path) -> None:
    write_nw_ucla(tmp_path / "a", NAMES)
    for number, name in enumerate(NAMES):
        os.utime(tmp_path / "a" / f"{name}.json", (number + 10, number + 10))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x.json", "{}")
    os.utime(tmp_path / "a.zip", (99, 99))
    found = find_raw_files(tmp_path / "a", (".json",))
    assert newest_change(found) == 12 and newest_change(found[:1]) == 10 and newest_change([]) == 0
    assert newest_change(find_raw_files(tmp_path / "a.zip", (".json",))) == 99
    assert newest_change([found[0].with_companions(found[2])]) == 12


def test_packed_files_are_the_same_files() -> None:
    labels = RawFile(Path("labels.txt"), size=3, stamp=2**62)
    files = [RawFile(Path("/a/b\udc80.txt")), RawFile(Path("x.zip"), "in/side.txt", (labels,), 7, 9)]
    packed = PackedFiles(files)
    assert list(packed) == files and len(packed) == 2 and packed[1] == files[1] and packed[:1] == files[:1]


def test_names_are_shortened() -> None:
    assert str(Names.of(["a", "b"])) == "a, b" and str(Names.of([])) == ""
    many = Names.of([f"n{index}" for index in range(1000)])
    assert str(many) == "n0, n1, n2, n3, n4, ..." and many.count == 1000 and len(many.first) == 20
