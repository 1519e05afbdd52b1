from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import one_sentence, refused
from paper_files import bandai_namco_text
from skeleton_files import person, skeleton_text, write_nw_ucla

import s2i_hf.readers.raw_files
from s2i_hf.data.collator import SkeletonCollator
from s2i_hf.data.convert import convert
from s2i_hf.data.loading import as_rows, describe, load_skeletons
from s2i_hf.processing.augmentation import Augmentation

NAMES = ["a01_s01_e00_v01", "a02_s01_e00_v02", "a08_s02_e00_v03", "a12_s02_e01_v01"]
AUGMENTATION = Augmentation(crop=(0.5, 1.0), yaw=1.0, mirror=0.5, jitter=0.01)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    write_nw_ucla(tmp_path / "raw" / "all_sqe", NAMES)
    return tmp_path / "raw"


# -- load_skeletons and describe ----------------------------------------------------------------------------------------


def test_describe(raw: Path, tmp_path: Path) -> None:
    import hashlib

    convert("nw_ucla_xview", raw, tmp_path / "out", "npz")
    built = load_skeletons("nw_ucla_xview", raw, cache_dir=tmp_path / "cache")
    found = describe(load_skeletons(tmp_path / "out"))
    assert found == describe(built)
    assert (found["name"], found["counts"]) == ("nw_ucla_xview", {"train": 3, "test": 1})
    assert found["frames"] == {"train": sum(len(row["joints"]) for row in as_rows(built["train"])), "test": 6}
    assert found["layouts"] == ["kinect_v1"] and found["subjects"] == {"train": [1, 2], "test": [2]}
    assert found["test_ids_sha256"] == hashlib.sha256(NAMES[2].encode()).hexdigest()
    assert describe(built, "mine")["name"] == "mine"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def test_the_real_data(real_data: Path, cache: Path) -> None:
    data = load_skeletons("nw_ucla_xview", data_dir=real_data / "NW-UCLA", cache_dir=cache)
    assert (len(data["train"]), len(data["test"])) == (1020, 464)
    rows = as_rows(data["test"])
    assert set(rows.cameras.tolist()) == {3} and rows.shapes[:, 0].min() >= 1
    batch = SkeletonCollator()([rows[index] for index in range(len(rows))])
    assert batch["joints"].isfinite().all() and batch["joints"].abs().max() < 10


# -- several, and test clips held out ----------------------------------------------------------------------------------

NTU = [f"S{setup:03}C{view:03}P{who:03}R001A001" for setup in (1, 2) for view in (1, 2, 3) for who in (1, 3, 8)]
PKU = ["0002-L", "0003-L", "0002-M"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Raw files of three datasets, in folders named like them or like their protocol below `all`."""
    made = tmp_path_factory.mktemp("folders")
    ntu, pku = made / "all" / "ntu60", made / "all" / "pku1_xsub"
    write_nw_ucla(made / "all" / "nw_ucla" / "all_sqe", NAMES)
    ntu.mkdir()
    frames = [[(72057594037931691, person(0))]] * 5
    for name in NTU:
        (ntu / f"{name}.skeleton").write_bytes(skeleton_text(frames))
    write_pku(pku)
    return {
        "all": made / "all",
        "nw_ucla_xview": made / "all" / "nw_ucla",
        "ntu60_xsub": ntu,
        "pku1_xsub": pku,
        "cache": made / "cache",
    }


def write_pku(folder: Path) -> None:
    """Three videos of two actions each, and the list of those that test across subjects."""
    (folder / "skeleton").mkdir(parents=True)
    (folder / "label").mkdir()
    for name in PKU:
        lines = [" ".join(f"{value:.6f}" for value in [*person(at).reshape(-1), *np.zeros(75)]) for at in range(30)]
        (folder / "skeleton" / f"{name}.txt").write_text("\n".join(lines) + "\n")
        (folder / "label" / f"{name}.txt").write_text("5,2,9,2\n7,12,25,2\n")
    (folder / "cross_subject.txt").write_text("Training videos:\n0002-L, 0002-M,\n\nValidation videos:\n0003-L,\n")


def test_several_sources_are_one(folders: dict[str, Path]) -> None:
    names = ["nw_ucla_xview", "ntu60_xsub"]
    load = lambda given: load_skeletons(names, given, cache_dir=folders["cache"], mixture="equal")  # noqa: E731
    data = load({name: folders[name] for name in names})
    assert set(data) == {"train", "test"}
    train, alone = (
        data["train"],
        as_rows(load_skeletons(names[1], folders[names[1]], cache_dir=folders["cache"])["train"]),
    )
    assert (len(train), len(data["test"])) == (3 + 12, 1 + 6)
    assert train.sources is not None and train.sources.names == tuple(names) and train.sources.weights == (0.5, 0.5)
    assert sorted(set(train.layouts)) == ["kinect_v1", "kinect_v2"]
    np.testing.assert_array_equal(train[3]["joints"], alone[0]["joints"])
    assert train.class_names[10] == "ntu60_xsub: drink water" and train.labels[3] == 10
    parent = load(folders["all"])  # one folder above all
    assert parent["train"].sample_ids == train.sample_ids


@pytest.mark.parametrize("format", ["parquet", "npz"])
def test_converted_folders_are_called_like_their_protocol(
    folders: dict[str, Path], tmp_path: Path, format: Any
) -> None:
    for name in ("nw_ucla_xview", "ntu60_xsub"):
        convert(name, folders[name], tmp_path / "out" / name[:3], format)
    sources = [tmp_path / "out" / "nw_", tmp_path / "out" / "ntu"]
    weights = {str(sources[0]): 3, "ntu60_xsub": 1}  # by what was given, or by protocol
    data = load_skeletons(sources, cache_dir=folders["cache"], mixture=weights, holdout="nw_ucla_xview1")
    found = describe(data)
    assert found["name"] == "nw_ucla_xview + ntu60_xsub" and found["layouts"] == ["kinect_v1", "kinect_v2"]
    assert found["counts"] == {"train": 1 + 12, "test": 1 + 6} and found["subjects"] == {}
    assert found["held_out"] == {"nw_ucla_xview1": 2}
    assert found["sources"] == {
        "nw_ucla_xview": {"clips": 1, "share": 0.75, "layouts": ["kinect_v1"], "subjects": 1},
        "ntu60_xsub": {"clips": 12, "share": 0.25, "layouts": ["kinect_v2"], "subjects": 2},
    }
    json.dumps(found)
    rows = data["train"]
    batch = SkeletonCollator()([rows[index] for index in range(len(rows))])
    assert batch["joints"].shape[3] == 25 and batch["layouts"][0] == "kinect_v1"


def test_what_is_held_out_is_told(folders: dict[str, Path], caplog: pytest.LogCaptureFixture) -> None:
    """Of one source as well; subjects 1 and 8 of NTU-60 train, and view 1 would test."""
    with caplog.at_level(logging.WARNING, logger="s2i_hf"):
        data = load_skeletons(
            "ntu60_xsub", folders["ntu60_xsub"], cache_dir=folders["cache"], holdout=["ntu60_xview", "ntu120_xset"]
        )
    assert sorted(data["train"].sample_ids) == [
        name for name in NTU if "P003" not in name and "S002" in name and "C001" not in name
    ]
    assert len(data["test"]) == 6
    assert describe(data)["held_out"] == {"ntu60_xview": 4, "ntu120_xset": 6}
    assert "ntu60_xsub: 8 of 12 training clips are held out" in caplog.text  # two are in both
    assert "because ntu120_xset tests on them: 6 training clips" in caplog.text
    ucla = {"data_dir": folders["nw_ucla_xview"], "cache_dir": folders["cache"]}
    with refused(ValueError, match="Every training clip of nw_ucla_xview is a test clip of nw_ucla_xview1 or"):
        load_skeletons("nw_ucla_xview", **ucla, holdout=["nw_ucla_xview1", "nw_ucla_xview2"])


def test_of_several_processes_the_main_one_tells(
    folders: dict[str, Path], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for rank, lines in (("0", 2), ("1", 0)):
        monkeypatch.setenv("RANK", rank)
        caplog.clear()
        load_skeletons("ntu60_xsub", folders["ntu60_xsub"], cache_dir=folders["cache"], holdout="ntu60_xview")
        assert caplog.text.lower().count("held out") == lines


def test_a_recording_in_two_sources_counts_once(folders: dict[str, Path], caplog: pytest.LogCaptureFixture) -> None:
    data = load_skeletons(
        ["ntu60_xsub", "ntu120_xsub"], folders["ntu60_xsub"], cache_dir=folders["cache"], holdout="ntu60_xview"
    )
    assert len(data["train"]) == len(set(data["train"].sample_ids)) == 8
    assert describe(data)["duplicates"] == {"ntu120_xsub": 8} and len(data["test"]) == 6
    assert "ntu120_xsub: 8 training clips are in a source before it as well and count once" in caplog.text


def test_the_list_of_a_split_file_holds_out(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PKU-MMD: who tests across subjects is in a file beside the data; view L tests across views."""
    pku, options = tmp_path / "pku", {"cache_dir": folders["cache"]}
    write_pku(pku)
    views = load_skeletons("pku1_xview", pku, **options)
    assert [len(views[split]) for split in ("train", "test")] == [2, 4]
    subjects = load_skeletons("pku1_xsub", pku, **options)
    assert {name[:6] for name in subjects["test"]["sample_id"]} == {"0003-L"}
    held = load_skeletons("pku1_xsub", pku, holdout="pku1_xview", **options)
    assert {name[:6] for name in held["train"].sample_ids} == {"0002-M"}
    (pku / "cross_view.txt").write_text("Training videos:\n0003-L, 0002-L\nValidation videos:\n0002-M\n")
    scans = []
    original = s2i_hf.readers.raw_files._in_folder
    monkeypatch.setattr(
        s2i_hf.readers.raw_files, "_in_folder", lambda *place: scans.append(place[0]) or original(*place)
    )
    views = load_skeletons("pku1_xview", pku, holdout="pku1_xsub", **options)  # finds the other file
    assert scans.count(pku) == 1  # in the one list that there is of the folder
    assert describe(views)["held_out"] == {"pku1_xsub": 2}
    assert {name[:6] for name in views["train"].sample_ids} == {"0002-L"}


def test_the_lists_travel_with_a_converted_folder(folders: dict[str, Path], tmp_path: Path) -> None:
    for name in ("pku1_xsub", "pku1_xview"):
        convert(name, folders["pku1_xsub"], tmp_path / name, "npz")
    both = load_skeletons([tmp_path / "pku1_xsub", tmp_path / "pku1_xview"], holdout=["pku1_xsub", "pku1_xview"])
    assert {name[:6] for name in both["train"].sample_ids} == {"0002-M"}
    with pytest.raises(ValueError) as caught:
        load_skeletons(tmp_path / "pku1_xview", holdout=["pku1_xsub"])
    assert "cross_subject.txt" in str(caught.value) and one_sentence(caught.value)
    assert len(load_skeletons(tmp_path / "pku1_xview", holdout=["ntu60_xsub"])["train"]) == 2


def test_clips_that_are_there_take_turns_wherever_they_are_opened(tmp_path: Path) -> None:
    """Bandai-Namco by index, where every even clip is missing: 3 and 7 test, of a folder, a conversion and as what is held out."""
    raw, name = tmp_path / "raw", "dataset-2_run_{}_{:03}"
    raw.mkdir()
    for style in ("normal", "active"):
        for index in (1, 3, 5, 7):
            text = bandai_namco_text(frames=2, seed=index)
            (raw / f"{name.format(style, index)}.bvh").write_text(text)
    tested = {name.format(style, index) for style in ("normal", "active") for index in (3, 7)}
    built = load_skeletons("bandai_namco_by_index", raw, cache_dir=tmp_path / "cache")
    convert("bandai_namco_by_index", raw, tmp_path / "out", "npz")
    converted = load_skeletons(tmp_path / "out", holdout="bandai_namco_by_index")
    for data in (built, converted):
        assert set(data["test"].sample_ids if data is converted else data["test"]["sample_id"]) == tested
    assert describe(converted)["held_out"] == {"bandai_namco_by_index": 0}
    held = load_skeletons(
        "bandai_namco_style1",
        raw,
        cache_dir=tmp_path / "cache",
        holdout=["bandai_namco_style1", "bandai_namco_by_index"],
    )
    assert set(held["train"].sample_ids) == {name.format("normal", index) for index in (1, 5)}
    assert set(held["test"].sample_ids) == {name.format("active", index) for index in (1, 3, 5, 7)}


def test_a_video_that_gives_no_clip_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_pku(tmp_path / "pku")
    (tmp_path / "pku" / "skeleton" / "0002-M.txt").write_text("not numbers\n")
    with caplog.at_level(logging.WARNING, logger="s2i_hf"):
        data = load_skeletons("pku1_xsub", tmp_path / "pku", cache_dir=tmp_path / "cache")
    assert {name[:6] for name in data["train"]["sample_id"]} == {"0002-L"}
    assert "1 of 2 recordings of the train split could not be read and are left out, the first is 0002-M" in caplog.text


@pytest.mark.parametrize(
    ("source", "options", "words"),
    [
        ([], {}, "list of sources is empty"),
        (["ntu60_xsub", "ntu60_xsub"], {}, "twice"),
        (["ntu60_xsub", "nw_ucla_xview"], {"mixture": "often"}, "expected 'equal'"),
        (["ntu60_xsub", "nw_ucla_xview"], {"mixture": {"ntu60_xsub": 1, "pku": 2}}, "'pku'"),
        (["ntu60_xsub"], {"data_dir": {"pku1_xsub": "x"}}, "data_dir names 'pku1_xsub'"),
        ("ntu60_xsub", {"mixture": "equal"}, "pass a list"),
        ("ntu60_xsub", {"holdout": ["ntu60_xsu"]}, "Did you mean 'ntu60_xsub'"),
        ("ntu60_xsub", {"layout": "kinect_v2"}, "layout is for custom data"),
        ("folder", {"data_dir": None}, "pass data_dir"),
    ],
)
def test_options_that_do_not_go_together(
    folders: dict[str, Path], source: Any, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError) as caught:
        load_skeletons(source, **{"data_dir": folders["all"], "cache_dir": folders["cache"], **options})
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_mixture_of_real_data(real_data: Path, cache: Path) -> None:
    """Views 1 and 2 of NW-UCLA train; view 1 has 516 clips and is the test set of another rule."""
    sources = {"nw_ucla_xview": real_data / "NW-UCLA", "nw_ucla_xview2": real_data / "NW-UCLA"}
    data = load_skeletons(list(sources), sources, cache_dir=cache, holdout=["nw_ucla_xview"])
    found = describe(data)
    assert found["held_out"] == {"nw_ucla_xview": 464} and found["duplicates"] == {"nw_ucla_xview2": 516}
    assert found["counts"] == {"train": 1020, "test": 464} and found["tests_that_train"] == 504


def test_labels_spelt_differently_in_two_folders_of_ones_own_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for folder, names in (("first", ("walk", "run")), ("second", ("Walk", "run"))):
        for name in names:
            (tmp_path / folder / name).mkdir(parents=True)
            np.save(tmp_path / folder / name / f"{folder}.npy", 0.3 * np.stack([person(at) for at in range(9)]))
        convert("folder", tmp_path / folder, tmp_path / f"out_{folder}", "npz", layout="kinect_v2")
    caplog.clear()
    data = load_skeletons([tmp_path / "out_first", tmp_path / "out_second"])
    assert "Classes differ only in spelling: 'Walk' and 'walk'" in caplog.text
    assert len(data["train"]) == 4 and describe(data)["sources"]["out_first"]["subjects"] == 0
