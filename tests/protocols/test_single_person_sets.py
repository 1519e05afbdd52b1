from __future__ import annotations

from pathlib import Path

import pytest
from scipy.io import loadmat

from s2i_hf.processing.layouts import LAYOUTS
from s2i_hf.protocols import DATASETS, PROTOCOLS, SampleName, parse_name
from s2i_hf.readers import READERS, RawFile, get_reader
from s2i_hf.readers.discovery import find_recordings
from s2i_hf.readers.recordings import file_id

COUNTS = {  # of the complete sets
    "utd_mhad_xsub": (431, 430),
    "msr_action3d_xsub": (290, 275),  # of 292 and 275: two odd ones are no clips
    "msr_action3d_as1": (118, 106),
    "msr_action3d_as2": (118, 113),
    "msr_action3d_as3": (114, 112),
    "utkinect_xsub": (100, 99),
    "ui_prmd_kinect_xsub": (500, 500),
}
OPEN = [*COUNTS, "ui_prmd_vicon_xsub", "irds_xsub"]


@pytest.mark.parametrize("name", OPEN)
def test_a_protocol_belongs_to_a_described_dataset(name: str) -> None:
    protocol = PROTOCOLS[name]
    dataset = DATASETS[protocol.dataset]
    assert (dataset.reader, dataset.layout) == (protocol.reader, protocol.layout)
    assert dataset.homepage.startswith("https://") and dataset.licence and dataset.citation == protocol.source
    assert dataset.layout in LAYOUTS
    assert sum(hasattr(get_reader(dataset.reader), function) for function in ("read", "read_clips")) == 1
    assert len(protocol.class_names) == len(protocol.actions)


@pytest.mark.parametrize("name", COUNTS)
def test_the_lists_give_the_counts(name: str) -> None:
    protocol = PROTOCOLS[name]
    assert (protocol.expected("train"), protocol.expected("test")) == COUNTS[name]
    train, test = (protocol.expected_ids(split) or [] for split in ("train", "test"))
    assert (len(train), len(test)) == COUNTS[name] and not set(train) & set(test)
    subjects = [{parse_name(protocol.reader, sample).subject % 2 for sample in ids} for ids in (train, test)]  # type: ignore[union-attr]
    assert subjects == [{1}, {0}]
    assert {protocol.label(sample) for sample in train} == set(range(len(protocol.actions)))


@pytest.mark.parametrize("name", ["ui_prmd_vicon_xsub", "irds_xsub"])
def test_nothing_is_expected_of_sets_whose_files_nobody_lists(name: str) -> None:
    assert PROTOCOLS[name].expected("train") is None and PROTOCOLS[name].expected_ids("test") is None


@pytest.mark.parametrize(
    ("reader", "name", "expected"),
    [
        ("utd_mhad", "a27_s8_t3", SampleName(27, 8)),
        ("utd_mhad", "a07_s8_t3", None),
        ("utd_mhad", "a7_s8_t3_skeleton", None),
        ("msr_action3d", "a20_s10_e03", SampleName(20, 10)),
        ("msr_action3d", "a20_s10_e03_skeleton3D", None),
        ("utkinect", "s10_e02_a05", SampleName(5, 10, video="s10_e02")),
        ("utkinect", "joints_s10_e02", SampleName(-1, 10, video="s10_e02")),
        ("utkinect", "actionLabel", None),
        ("ui_prmd_kinect", "m10_s09_e01", SampleName(10, 9)),
        ("ui_prmd_vicon", "m10_s09_e01", SampleName(10, 9)),
        ("ui_prmd_kinect", "m10_s09_e01_inc", None),
        ("irds", "217_18_0_7_1_wheelchair", SampleName(0, 217)),
        ("irds", "217_18_9_7_1_stand", SampleName(9, 217)),  # no gesture of the protocol
        ("irds", "217_18_0_7_1", None),
    ],
)
def test_names(reader: str, name: str, expected: SampleName | None) -> None:
    assert parse_name(reader, name) == expected


def test_splits_and_labels() -> None:
    assert (
        PROTOCOLS["utd_mhad_xsub"].split("a1_s1_t1") == "train" and PROTOCOLS["utd_mhad_xsub"].label("a27_s8_t3") == 26
    )
    msr = PROTOCOLS["msr_action3d_as1"]
    assert [msr.split(name) for name in ("a02_s01_e01", "a02_s02_e01", "a01_s01_e01", "a13_s09_e02")] == [
        "train", "test", None, None,
    ]  # fmt: skip
    assert [msr.label(f"a{action:02}_s01_e01") for action in (2, 3, 5, 6, 10, 13, 18, 20)] == list(range(8))
    assert msr.class_names == (
        "horizontal arm wave", "hammer", "forward punch", "high throw", "hand clap", "bend", "tennis serve", "pickup and throw",
    )  # fmt: skip
    irds = PROTOCOLS["irds_xsub"]
    assert [irds.split(f"{subject}_18_8_1_3_stand") for subject in (101, 216)] == ["train", "test"]
    assert irds.label("101_18_0_1_1_stand") == 0 and irds.class_names[6] == "shoulder forward elevation"
    assert irds.split("101_18_9_1_1_stand") is None
    utkinect = PROTOCOLS["utkinect_xsub"]
    assert utkinect.file_splits("joints_s02_e01") == ("test",) and utkinect.split("joints_s02_e01") is None
    assert utkinect.label("s02_e01_a09") == 8 and utkinect.class_names[8] == "wave hands"


@pytest.mark.parametrize(
    ("name", "joints"),
    [
        (
            "msr_action3d",
            "ShoulderL ShoulderR ShoulderCenter Spine HipL HipR HipCenter ElbowL ElbowR WristL WristR HandL HandR KneeL KneeR "
            "AnkleL AnkleR FootL FootR Head",
        ),
        (
            "ui_prmd_22",
            "Waist Spine Chest Neck Head HeadTip CollarL UpperArmL ForearmL HandL CollarR UpperArmR ForearmR HandR "
            "UpperLegL LowerLegL FootL ToesL UpperLegR LowerLegR FootR ToesR",
        ),
        (
            "vicon_39",
            "LFHD RFHD LBHD RBHD C7 T10 CLAV STRN RBAK LSHO LUPA LELB LFRM LWRA LWRB LFIN RSHO RUPA RELB RFRM RWRA RWRB RFIN "
            "LASI RASI LPSI RPSI LTHI LKNE LTIB LANK LHEE LTOE RTHI RKNE RTIB RANK RHEE RTOE",
        ),
    ],
)
def test_joint_orders(name: str, joints: str) -> None:
    layout = LAYOUTS[name]
    assert list(layout.joint_names) == joints.split()
    assert layout.unit == "m" and len(layout.mirror_pairs) == {"msr_action3d": 8, "ui_prmd_22": 8, "vicon_39": 17}[name]


@pytest.mark.parametrize(
    ("folder", "name"),
    [("UTD-MHAD", "utd_mhad_xsub"), ("MSRAction3D", "msr_action3d_xsub"), ("UI-PRMD", "ui_prmd_kinect_xsub")],
)
def test_the_real_folders_are_complete(real_data: Path, folder: str, name: str) -> None:
    recordings = find_recordings(name, real_data / folder)
    for split in ("train", "test"):
        assert sorted(file_id(recordings.protocol, file) for file in recordings.files[split]) == PROTOCOLS[
            name
        ].expected_ids(split)


def test_the_real_action_sets(real_data: Path) -> None:
    """AS1 to AS3 as R. Vemulapalli's code has them, and the actions' names in their order."""
    splits = real_data / "MSRAction3D" / "_splits"
    sets = loadmat(splits / "tr_te_splits.mat")["action_sets"][0]
    for number, actions in enumerate(sets, 1):
        assert PROTOCOLS[f"msr_action3d_as{number}"].actions == tuple(actions.ravel().tolist())
    names = [str(name[0]).lower() for name in loadmat(splits / "action_names.mat")["action_names"].ravel()]
    assert list(PROTOCOLS["msr_action3d_xsub"].class_names) == names
    used = (splits / "real_world_coordinates" / "files_used_in_cvpr12_paper.txt").read_text().split()
    assert PROTOCOLS["msr_action3d_xsub"].missing_samples.isdisjoint(used)
    assert sum(PROTOCOLS["msr_action3d_xsub"].split(sample) is not None for sample in used) == 557


@pytest.mark.parametrize("name", [name for name in OPEN if name.endswith("_xsub")])
def test_the_example_file_of_each_reader_is_a_recording(name: str) -> None:
    protocol = PROTOCOLS[name]
    assert protocol.file_splits(file_id(protocol, RawFile(Path(READERS[protocol.reader].example))))


def test_names_of_florence() -> None:
    assert parse_name("florence3d", "v215_s10_a09") == SampleName(9, 10)
    assert parse_name("florence3d", "a02_s03_e01") == SampleName(2, 3)
    assert parse_name("florence3d", "Florence_dataset_WorldCoordinates") == SampleName(-1)
    assert parse_name("florence3d", "Florence_dataset_Features") is None


def test_odd_actors_of_florence_train() -> None:
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


def test_all_actors_of_florence_but_one_train() -> None:
    clips = [f"v{video:03}_s{video % 10 + 1:02}_a01" for video in range(215)]
    tested = []
    for actor in range(1, 11):
        splits = [PROTOCOLS[f"florence3d_actor{actor}"].split(clip) for clip in clips]
        assert splits.count(None) == 0
        tested += [clip for clip, split in zip(clips, splits, strict=True) if split == "test"]
    assert sorted(tested) == clips  # everybody is tested once
