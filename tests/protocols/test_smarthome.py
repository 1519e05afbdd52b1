from __future__ import annotations

from s2i_hf.protocols import PROTOCOLS, SampleName, parse_name


def name(action: str = "Walk", subject: int = 3, camera: int = 1) -> str:
    return f"{action}_p{subject:02}_r01_v12_c{camera:02}"


def test_names() -> None:
    assert parse_name("smarthome", "Cook.Cleandishes_p02_r00_v03_c03") == SampleName(1, 2, 3)
    assert parse_name("smarthome", "WatchTV_p25_r11_v03_c07") == SampleName(31, 25, 7)
    assert parse_name("smarthome", "Pour.Fromcup_p02_r00_v03_c03") == SampleName(
        0, 2, 3
    )  # in the download, in no protocol
    assert parse_name("smarthome", "Walk_p02_r00_v03") is None


def test_cross_subject() -> None:
    protocol = PROTOCOLS["smarthome_cs"]
    splits = {subject: protocol.split(name(subject=subject)) for subject in range(1, 26)}
    assert [subject for subject, split in splits.items() if split == "train"] == [3, 4, 6, 7, 9, 12, 13, 15, 17, 19, 25]
    assert [subject for subject, split in splits.items() if split == "test"] == [2, 10, 11, 14, 16, 18, 20]
    assert protocol.split(name("Pour.Fromcup")) is None
    assert len(protocol.class_names) == 31 and protocol.class_names[protocol.label(name("Walk"))] == "Walk"


def test_cross_view() -> None:
    cameras = range(1, 8)
    for rule, train in (("cv1", [1]), ("cv2", [1, 3, 4, 6, 7])):
        protocol = PROTOCOLS[f"smarthome_{rule}"]
        splits = {camera: protocol.split(name(camera=camera)) for camera in cameras}
        assert [camera for camera in cameras if splits[camera] == "train"] == train
        assert [camera for camera in cameras if splits[camera] == "test"] == [2]
        assert splits[5] is None  # validation
        assert protocol.split(name("Laydown")) is None and protocol.split(name("Cutbread")) == "train"
        assert (
            len(protocol.class_names) == 19
            and protocol.class_names[protocol.label(name("Usetelephone"))] == "Usetelephone"
        )


def test_the_metric_weighs_classes_alike() -> None:
    assert {PROTOCOLS[f"smarthome_{rule}"].metric for rule in ("cs", "cv1", "cv2")} == {"mean_class_accuracy"}
