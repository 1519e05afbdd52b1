"""`detect` knows every data set by names and contents, general formats by geometry, and says what it sees where it knows neither."""

from __future__ import annotations

import gzip
import os
import pickle
import zipfile

import numpy as np
import pytest
from bodies import walker
from conftest import one_sentence, refused
from skeleton_files import person, skeleton_text, write_nw_ucla

from s2i_hf.inspection.detection import detect
from s2i_hf.processing.layouts import LAYOUTS
from s2i_hf.protocols import PROTOCOLS

NTU = ["S001C001P001R001A001", "S001C002P002R001A014", "S017C003P008R002A060"]


@pytest.fixture
def ntu(tmp_path):
    folder = tmp_path / "ntu" / "nturgb+d_skeletons"
    folder.mkdir(parents=True)
    for name in NTU:
        (folder / f"{name}.skeleton").write_bytes(skeleton_text([[(1, person(0))]] * 3))
    return folder.parent


def test_a_data_set_by_its_names(ntu):
    found = detect(ntu)
    assert (found.kind, found.reader) == ("dataset", "ntu_rgbd") and "NTU RGB+D 60" in found.what
    assert [file.stem for file in found.files] == NTU and found.suffixes[".skeleton"].count == 3
    names = {one.protocol.name for one in found.recordings}
    assert names == {name for name, rule in PROTOCOLS.items() if rule.reader == "ntu_rgbd"}
    assert found.commands == [f"s2i convert ntu60_xsub --data-dir {ntu} --output OUT"]
    assert any("NTU RGB+D 120" in note and "--protocol" in note for note in found.notes)


def test_in_an_archive(ntu, tmp_path):
    with zipfile.ZipFile(tmp_path / "all of it.zip", "w") as archive:
        for path in ntu.rglob("*.skeleton"):
            archive.write(path, f"inside/{path.name}")
    for place in (tmp_path / "all of it.zip", tmp_path):
        found = detect(place)
        assert found.reader == "ntu_rgbd" and len(found.files) == 3
    assert "'" in detect(tmp_path / "all of it.zip").commands[0]  # the blanks are quoted


def test_one_recording(ntu, tmp_path):
    path = next(ntu.rglob(f"{NTU[0]}.skeleton"))
    found = detect(path)
    assert found.what.startswith("one recording of NTU RGB+D") and [file.path for file in found.files] == [path]
    other = path.rename(tmp_path / "somebody.skeleton")
    found = detect(other)
    assert found.reader == "ntu_rgbd" and "not named like one" in found.notes[0]


def test_contents_of_a_data_set_under_other_names(tmp_path):
    for number in range(3):
        (tmp_path / f"take {number}.skeleton").write_bytes(skeleton_text([[(1, person(number))]] * 3))
    found = detect(tmp_path)
    assert found.reader == "ntu_rgbd" and "Rename them" in found.notes[0] and not found.recordings


def test_names_of_a_data_set_with_broken_contents(tmp_path):
    for name in NTU:
        (tmp_path / f"{name}.skeleton").write_text("nothing of the kind")
    found = detect(tmp_path)
    assert found.reader == "ntu_rgbd" and len(found.files) == 3


def test_several_data_sets_in_one_folder(ntu):
    write_nw_ucla(ntu / "nw", ["a01_s01_e00_v01", "a02_s01_e00_v03"])
    found = detect(ntu)
    assert found.reader == "ntu_rgbd" and any(
        "NW-UCLA" in note and "--protocol nw_ucla_xview" in note for note in found.notes
    )
    assert detect(ntu, "nw_ucla_xview").reader == "nw_ucla"


def test_a_complete_data_set_comes_first(monkeypatch, tmp_path):
    names = sorted(PROTOCOLS["nw_ucla_xview"].samples())
    write_nw_ucla(tmp_path, names, frames=1)
    found = detect(tmp_path)
    assert found.recordings[0].protocol.name == "nw_ucla_xview" and len(found.files) == 1484


@pytest.mark.parametrize("layout", ["kinect_v1", "kinect_v2", "utd_mhad"])
@pytest.mark.parametrize(("unit", "scale"), [(None, 1), ("mm", 1000), ("cm", 100)])
def test_own_recordings_by_their_geometry(tmp_path, layout, unit, scale):
    for seed in range(4):
        np.save(tmp_path / f"clip{seed}.npy", walker(layout, seed=seed)[:, 0] * scale)
    found = detect(tmp_path)
    assert found.kind == "folder" and next(iter(found.misfits)) == layout and found.options.get("unit") == unit
    assert (
        len(found.misfits) > 1
        and f"under the tree of {layout}" in found.warnings[0]
        and "--layout" in found.warnings[0]
    )
    assert found.commands == []  # a number of joints says nothing
    flag = f" --unit {unit}" if unit else ""
    named = detect(tmp_path, layout=layout)
    assert named.commands == [f"s2i convert folder --data-dir {tmp_path} --layout {layout}{flag} --output OUT"]


def test_own_recordings_in_text(tmp_path):
    for seed in range(2):
        np.savetxt(tmp_path / f"clip{seed}.csv", walker("kinect_v2", seed=seed).reshape(12, -1), delimiter=",")
    found = detect(tmp_path)
    assert found.kind == "folder" and next(iter(found.misfits)) == "kinect_v2"
    assert detect(tmp_path / "clip1.csv").kind == "folder"


def test_a_layout_that_was_named(tmp_path):
    np.save(tmp_path / "clip.npy", walker("kinect_v2")[:, 0])
    assert list(detect(tmp_path, layout="openpose_25").misfits) == ["openpose_25"]
    with refused(ValueError, match=r"clip\.npy"):
        detect(tmp_path, layout="coco_17")


def test_ctr_gcn_arrays(tmp_path):
    joints = np.zeros((4, 30, 150), np.float32)
    joints[:, :12, :75] = walker("kinect_v2").reshape(12, 75)
    labels = np.eye(3)[[0, 1, 2, 0]]
    np.savez(tmp_path / "NTU60_CS.npz", x_train=joints, y_train=labels, x_test=joints[:2], y_test=labels[:2])
    for path in (tmp_path, tmp_path / "NTU60_CS.npz"):
        found = detect(path)
        assert found.kind == "folder" and "CTR-GCN or MAMP" in found.what and "x_train (4, 30, 150)" in found.what


def test_motion_capture_names_its_joints(tmp_path):
    joints = ["Hips", "Spine", "Head", "LeftUpLeg", "LeftLeg", "LeftFoot", "RightUpLeg", "RightLeg", "RightFoot"]
    parents = [-1, 0, 1, 0, 3, 4, 0, 6, 7]
    offsets = [
        (0, 90, 0),
        (0, 20, 0),
        (0, 40, 0),
        (9, 0, 0),
        (0, -45, 0),
        (0, -40, 3),
        (-9, 0, 0),
        (0, -45, 0),
        (0, -40, 3),
    ]

    def block(joint, depth=0):
        pad, children = "  " * depth, [child for child, parent in enumerate(parents) if parent == joint]
        channels = "6 Xposition Yposition Zposition " if joint == 0 else "3 "
        lines = [f"{pad}{'ROOT' if joint == 0 else 'JOINT'} {joints[joint]}", pad + "{"]
        lines += [
            f"{pad}  OFFSET {' '.join(map(str, offsets[joint]))}",
            f"{pad}  CHANNELS {channels}Zrotation Xrotation Yrotation",
        ]
        lines += [line for child in children for line in block(child, depth + 1)]
        lines += [] if children else [f"{pad}  End Site", pad + "  {", f"{pad}    OFFSET 0 0 5", pad + "  }"]
        return [*lines, pad + "}"]

    rows = [" ".join(["0", "90", "0", *["0"] * (3 * len(joints))])] * 5
    text = ["HIERARCHY", *block(0), "MOTION", "Frames: 5", "Frame Time: 0.0333", *rows]
    (tmp_path / "walk.bvh").write_text("\n".join(text) + "\n")
    found = detect(tmp_path)
    assert found.kind == "folder" and found.options["unit"] == "cm" and len(found.misfits) == 1
    assert "--layout" not in found.commands[0] and "--unit cm" in found.commands[0]


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


def test_pickles_are_for_the_converter(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ntu60_hrnet.pkl").write_bytes(pickle.dumps({"annotations": [Bomb()]}))
    (tmp_path / "annotations").write_bytes(pickle.dumps([Bomb()]))
    found = detect(tmp_path / "ntu60_hrnet.pkl")
    assert found.kind == "pickle" and found.commands == [
        f"s2i convert-pickle {tmp_path / 'ntu60_hrnet.pkl'} --output OUT"
    ]
    assert detect(tmp_path / "annotations").kind == "pickle" and detect(tmp_path).kind == "pickle"
    assert not (tmp_path / "exploded").exists()


def test_what_nobody_knows_is_described(tmp_path):
    (tmp_path / "features.txt").write_text("1.5 2.5 3.5\n")
    (tmp_path / "more.txt.gz").write_bytes(gzip.compress(b"a b\n"))
    (tmp_path / "clip.avi").write_bytes(b"RIFF0000AVI LIST")
    np.save(tmp_path / "odd.npy", np.zeros((5, 21, 3)))
    found = detect(tmp_path)
    text = " ".join(found.notes)
    assert found.kind == "unknown" and found.commands == [f"s2i inspect {tmp_path} --layout LAYOUT"]
    for words in ("features.txt: text, 3 numbers a line", "pose estimator", "odd.npy", "(.npy, .npz, lists in .json)"):
        assert words in text
    assert set(found.suffixes) == {".txt", ".txt.gz", ".avi", ".npy"}
    assert str(sorted({layout.num_joints for layout in LAYOUTS.values()})[0]) in text


@pytest.mark.parametrize("name", ["odd.npy", "odd.npz", "odd.csv", "odd.json"])
def test_no_layout_is_asked_for_where_none_can_help(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x00 no recording")
    found = detect(tmp_path / name)
    assert found.kind == "unknown" and found.commands == [] and f"Read as custom data: {name}: " in found.notes[0]


def test_nothing_there(tmp_path):
    with pytest.raises(ValueError, match="is not there") as absent:
        detect(tmp_path / "absent")
    with pytest.raises(ValueError, match="no files in it") as empty:
        detect(tmp_path)
    with pytest.raises(ValueError, match="Unknown protocol 'nw_ucla'"):
        detect(tmp_path, "nw_ucla")
    assert one_sentence(absent.value) and one_sentence(empty.value)


def test_odd_files_do_not_stop_it(tmp_path):
    os.mkfifo(tmp_path / "pipe.skeleton")
    (tmp_path / "dangling.json").symlink_to(tmp_path / "absent")
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 no archive")
    (tmp_path / "S001C001P001R001A001.skeleton").write_bytes(skeleton_text([[(1, person(0))]] * 3))
    (tmp_path / os.fsdecode(b"\xff\xfe.txt")).write_text("1 2")
    assert detect(tmp_path).reader == "ntu_rgbd"


@pytest.mark.parametrize(
    ("folder", "reader", "files"),
    [
        ("NW-UCLA", "nw_ucla", 1484), ("UTD-MHAD", "utd_mhad", 861), ("MSRAction3D", "msr_action3d", 565),
        ("UTKinect", "utkinect", 20), ("UI-PRMD", "ui_prmd_kinect", 1000), ("IRDS", "irds", 188),
    ],
)  # fmt: skip
def test_real_folders(real_data, folder, reader, files):
    found = detect(real_data / folder)
    assert (found.kind, found.reader, len(found.files)) == ("dataset", reader, files)
