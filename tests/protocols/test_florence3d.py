from __future__ import annotations

from s2i_hf.protocols import PROTOCOLS, SampleName, parse_name


def test_names() -> None:
    assert parse_name("florence3d", "v215_s10_a09") == SampleName(9, 10)
    assert parse_name("florence3d", "a02_s03_e01") == SampleName(2, 3)
    assert parse_name("florence3d", "Florence_dataset_WorldCoordinates") == SampleName(-1)
    assert parse_name("florence3d", "Florence_dataset_Features") is None


def test_odd_actors_train() -> None:
    protocol = PROTOCOLS["florence3d_xsub"]
    assert [protocol.split(f"v001_s{actor:02}_a01") for actor in (1, 2, 9, 10, 11)] == [
        "train",
        "test",
        "train",
        "test",
        None,
    ]
    assert protocol.file_splits("Florence_dataset_WorldCoordinates") == ("train", "test")
    assert protocol.split("Florence_dataset_WorldCoordinates") is None
    assert protocol.class_names[protocol.label("v001_s01_a05")] == "tight lace"


def test_all_actors_but_one_train() -> None:
    clips = [f"v{video:03}_s{video % 10 + 1:02}_a01" for video in range(215)]
    tested = []
    for actor in range(1, 11):
        splits = [PROTOCOLS[f"florence3d_actor{actor}"].split(clip) for clip in clips]
        assert splits.count(None) == 0
        tested += [clip for clip, split in zip(clips, splits, strict=True) if split == "test"]
    assert sorted(tested) == clips  # everybody is tested once
