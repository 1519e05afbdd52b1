"""Reports are counted against data whose counts are known, and every warning is provoked."""

from __future__ import annotations

import json

import numpy as np
import pytest
from bodies import clip, pose, walker
from conftest import refused
from own_files import leave_frames_out
from skeleton_files import skeleton_text

from s2i_hf.data.storage import FORMATS, FolderWriter, shard_files
from s2i_hf.inspection.inspector import inspect, run
from s2i_hf.inspection.statistics import leading
from s2i_hf.processing.layouts import LAYOUTS
from s2i_hf.processing.skeleton_sequence import SkeletonSequence
from s2i_hf.protocols import get_protocol

NAMES = [f"a0{action}_s{subject:02}_e00_v0{view}" for action in (1, 2, 3) for subject in (1, 2) for view in (1, 2, 3)]


def write_people(folder, names=NAMES, frames=12):
    """NW-UCLA files with bodies in them."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(names):
        content = {
            "file_name": name,
            "skeletons": walker(frames=frames, seed=seed)[:, 0].tolist(),
            "label": int(name[1:3]),
        }
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


@pytest.fixture
def raw(tmp_path):
    return write_people(tmp_path / "raw")


def write_own(folder, clips):
    folder.mkdir(parents=True, exist_ok=True)
    for number, joints in enumerate(clips):
        np.save(folder / f"clip{number}.npy", joints[:, 0])
    return folder


def warned(report, words):
    return any(words in warning for warning in report.warnings)


def test_counts_of_raw_files(raw):
    report = inspect(raw)
    assert report.verdict.startswith(
        "NW-UCLA Multiview Action 3D, raw files as read by nw_ucla: 18 clips, 1 thing to look at"
    )
    assert report.warnings == ["7 of 10 classes have no clip: walk around, sit down, stand up and others."]
    stats = report.statistics
    assert stats.labels == {0: 6, 1: 6, 2: 6} and stats.subjects == {1: 9, 2: 9} and stats.cameras == {1: 6, 2: 6, 3: 6}
    text = "\n".join(report.lines())
    for words in (
        "nw_ucla_xview: train 12 of 1,020, test 6 of 464; ", "18 (train 12, test 6)", "12 a clip, median 12; 216 in all",
        "3, of 6 clips: pick up with one hand 6", "metres in 100 % of the clips", "+y in 100 %", "as named 100 %",
        f"next: s2i convert nw_ucla_xview --data-dir {raw} --output OUT", "18 .json",
    ):  # fmt: skip
        assert words in text
    missing = 1484 - sum(name in set(get_protocol("nw_ucla_xview").samples()) for name in NAMES)
    assert f"{missing:,} missing, first a01_s01_e01_v01" in " ".join(text.split())


def test_broken_files_are_named_and_counted(raw):
    for number in range(25):
        (raw / f"a04_s01_e{number:02}_v01.json").write_text('{"skeletons": [')
    report = inspect(raw)
    assert len(report.broken) == 25 and report.statistics.clips == 18
    assert report.warnings[0] == "25 recordings cannot be read and will be left out; see below."
    text = "\n".join(report.lines())
    assert (
        text.count("broken: a04") == 20
        and "broken: a04_s01_e00_v01.json: not JSON" in text
        and "broken: and 5 more" in text
    )


def test_parts_that_are_left_out_are_named(tmp_path, monkeypatch):
    leave_frames_out(monkeypatch)
    report = inspect(write_own(tmp_path, [walker("kinect_v2")]), layout="kinect_v2")
    assert "  left out: clip0.npy: frame 3 of 5 cannot be read; it is left out." in report.lines()
    assert not report.broken and report.statistics.clips == 1


@pytest.mark.parametrize(("layout", "bad"), [("kinect_v2", [0]), ("kinect_v2", [0, 3, 6]), (None, [0]), (None, [3, 6])])
def test_broken_files_do_not_end_an_inspection(tmp_path, layout, bad):
    folder = write_own(tmp_path / "walk", [walker("kinect_v2", seed=seed) for seed in range(7)])
    for number in bad:
        (folder / f"clip{number}.npy").write_text("no array")
    report = inspect(tmp_path, layout=layout)
    assert report.statistics.clips == 7 - len(bad)
    assert [sentence.partition(":")[0] for sentence in report.broken] == [f"walk/clip{number}.npy" for number in bad]


def test_folders_are_understood_as_they_are_told(tmp_path):
    for seed, name in enumerate(("s01/walk", "s01/run", "s02/walk")):
        write_own(tmp_path / name, [walker("kinect_v2", seed=seed)])
    (tmp_path / "film.MP4").write_text("x")
    report = inspect(tmp_path, layout="kinect_v2")
    assert warned(report, "The classes are s01, s02, the outermost folders, while run, walk repeat below them")
    assert "  not read, no format of clips (.mp4): 1 (film.MP4)" in report.lines() and "things" not in report.verdict
    (tmp_path / "labels.csv").write_text("id,label,subject\ns01/walk/clip0,walk,anna\ns01/run/clip0,run,ben\n")
    report = inspect(tmp_path, layout="kinect_v2")
    assert "  labels.csv: every subject has a number, in the order of their names: 0 anna, 1 ben." in report.lines()
    assert (
        not warned(report, "The classes are") and "  not read, not in labels.csv: 1 (s02/walk/clip0)" in report.lines()
    )


def test_nothing_but_broken_files(tmp_path, capsys):
    (tmp_path / "a01_s01_e00_v01.json").write_text("{")
    assert run(tmp_path) == 1
    assert "no clip could be read" in capsys.readouterr().out.splitlines()[0]


def test_some_of_many_files(raw):
    report = inspect(raw, max_files=5)
    assert report.statistics.clips == 5 and "5 of 18, evenly spread" in "\n".join(report.lines())
    assert report.expected[0].startswith(
        "nw_ucla_xview: train 12 of 1,020, test 6 of 464; "
    )  # names tell without reading
    assert not warned(report, "classes have no clip")
    with pytest.raises(ValueError, match="--max-files is 0"):
        inspect(raw, max_files=0)


def test_two_people_and_gaps(tmp_path):
    body = pose("kinect_v2").astype(np.float32) + np.float32([0, 0, 3])
    both = [(7, body), (9, body + np.float32([0.8, 0, 0]))]
    (tmp_path / "S001C001P001R001A050.skeleton").write_bytes(skeleton_text([*[both] * 15, *[both[:1]] * 5]))
    stats = inspect(tmp_path).statistics
    assert stats.people == {2: 1} and stats.totals["absent"] == 5
    assert stats.totals["empty_frames"] == 0 and stats.totals["nan"] == 0


def test_left_and_right_swapped(tmp_path):
    mirrored = [walker("kinect_v2", seed=seed) * np.float32([-1, 1, 1]) for seed in range(4)]
    report = inspect(write_own(tmp_path, mirrored))
    assert warned(report, "Left and right look swapped in 100 %") and warned(report, "clip0, clip1, clip2 and others")
    assert not warned(inspect(write_own(tmp_path / "right", [walker("kinect_v2")])), "swapped")


def test_another_axis_points_up(tmp_path):
    turned = [(walker("kinect_v2", seed=seed) @ np.float32([[1, 0, 0], [0, 0, -1], [0, 1, 0]])) for seed in range(3)]
    report = inspect(write_own(tmp_path, turned))
    assert warned(report, "along -z in 100 % of the clips; expected +y") and not warned(report, "swapped")


def test_millimetres_are_read_as_such(tmp_path):
    folder = write_own(tmp_path, [walker("kinect_v2", seed=seed) * 1000 for seed in range(3)])
    report = inspect(folder, layout="kinect_v2")
    assert any("with --unit mm, the only unit in which they are people" in note for note in report.detection.notes)
    assert report.detection.commands[0].endswith("--layout kinect_v2 --unit mm --output OUT")
    assert report.statistics.units == {"m": 3}


def test_a_wrong_joint_order_is_noticed(tmp_path):
    report = inspect(write_own(tmp_path, [walker("utd_mhad", seed=seed) for seed in range(3)]), layout="kinect_v1")
    assert warned(report, "fit the tree of utd_mhad better than that of kinect_v1")


def test_bad_tracking_and_missing_joints(tmp_path):
    rng = np.random.default_rng(0)
    clips = [walker("kinect_v2", seed=seed) for seed in range(5)]
    clips[3] = clips[3] + rng.normal(0, 0.3, clips[3].shape).astype(np.float32)
    clips[1][:, :, :7] = 0
    clips[4] = np.repeat(clips[4][:1], 12, axis=0)
    report = inspect(write_own(tmp_path, [*clips, clips[0][:2]]), layout="kinect_v2")
    assert warned(report, "Bones vary by more than 30 % of their length in 1 clip, such as clip3")
    assert warned(report, "5.4 % of the joints are missing") and warned(
        report, "Fewer than 8 frames: 1 clip, such as clip5"
    )
    assert warned(report, "18 % of the frames repeat the one before") and report.statistics.totals["still"] == 11
    assert "clip3" in dict(report.facts())["bones"].split("worst: ")[1].split(",")[0]


def test_classes_of_very_different_size(tmp_path):
    for number in range(21):
        write_own(tmp_path / ("often" if number else "once") / str(number), [walker("kinect_v2", seed=number)])
    report = inspect(tmp_path, layout="kinect_v2")
    assert warned(report, "largest class has 20 clips, the smallest 1")


@pytest.mark.parametrize("format", FORMATS)
def test_converted_folders(tmp_path, raw, format):
    from s2i_hf.data.convert import convert

    convert("nw_ucla_xview", raw, tmp_path / "out", format)
    report, before = inspect(tmp_path / "out"), inspect(raw)
    assert f"converted by `s2i convert nw_ucla_xview` to {format}: 18 clips" in report.verdict
    for name in ("splits", "frames", "people", "labels", "subjects", "cameras", "units", "ups", "sides", "variations"):
        assert getattr(report.statistics, name) == getattr(before.statistics, name)
    assert report.expected[0].startswith("nw_ucla_xview: train 12 of 1,020, test 6 of 464; 1,4")
    assert "s2i pretrain --data" in report.detection.commands[0]
    assert inspect(tmp_path / "out", max_files=4).statistics.clips == 4
    (data,) = shard_files(tmp_path / "out")["train"]
    data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])
    damaged = inspect(tmp_path / "out")
    assert damaged.broken and data.name in " ".join(damaged.broken) and damaged.statistics.clips < 18
    data.unlink()
    assert any("clips, but 0 are there" in sentence for sentence in inspect(tmp_path / "out").broken)


def test_clips_in_both_splits_are_a_leak(tmp_path):
    writer = FolderWriter(tmp_path, get_protocol("nw_ucla_xview"), "parquet", ("train", "test"))
    for split, name in (("train", "a"), ("train", "b"), ("train", "b"), ("test", "a")):
        writer.write(split, clip(name, label=0))
    writer.close({})
    report = inspect(tmp_path)
    assert report.warnings[:2] == [
        "Clips are in two splits at once, such as a: convert again.", "Clips are there twice, such as b: convert again.",
    ]  # fmt: skip


def test_formats_of_ones_own_are_known_from_the_json(tmp_path):
    from s2i_hf.processing.skeleton_layout import SkeletonLayout

    mine = SkeletonLayout("only_here", ["pelvis", "head", "left_foot", "right_foot"], [-1, 0, 0, 0])
    writer = FolderWriter(tmp_path, get_protocol("nw_ucla_xview"), "npz", ("train", "test"))
    writer.write("train", SkeletonSequence(np.random.default_rng(0).normal(size=(9, 1, 4, 3)), mine, sample_id="x"))
    writer.close({"layouts": {"only_here": mine.to_dict()}})
    report = inspect(tmp_path)
    assert report.broken == [] and dict(report.facts())["joints"] == "only_here (4)" and "only_here" not in LAYOUTS


def test_the_command(tmp_path, raw, capsys):
    assert run(raw, html=tmp_path / "page.html") == 0
    lines = capsys.readouterr().out.splitlines()
    assert (
        lines[0].startswith("NW-UCLA")
        and lines[1].startswith("  ! ")
        and lines[-1] == f"page: {tmp_path / 'page.html'}"
    )
    assert all(len(line) < 200 for line in lines)
    with refused(ValueError, match="is not there"):
        run(tmp_path / "absent")


def test_names_cannot_reach_the_terminal(tmp_path, capsys):
    write_own(tmp_path, [walker("kinect_v2")])
    (tmp_path / "clip0.npy").rename(tmp_path / "clip\x1b[31m0.npy")
    run(tmp_path, layout="kinect_v2")
    out = capsys.readouterr().out
    assert "\x1b" not in out and "clip?[31m0" in out


REAL = {
    "NW-UCLA": ("NW-UCLA Multiview Action 3D", 1484, "nw_ucla_xview: train 1,020 of 1,020, test 464 of 464"),
    "UTD-MHAD": ("UTD-MHAD", 861, "utd_mhad_xsub: train 431 of 431, test 430 of 430"),
    "MSRAction3D": ("MSR-Action3D", 565, "msr_action3d_xsub: train 290 of 290, test 275 of 275"),
    "UTKinect": ("UTKinect-Action3D", 199, "utkinect_xsub: train 100 of 100, test 99 of 99"),
    "UI-PRMD": ("UI-PRMD, Kinect", 1000, "ui_prmd_kinect_xsub: train 500 of 500, test 500 of 500"),
    "IRDS": ("IntelliRehabDS", 188, "irds_xsub: train 134, test 54"),
}


@pytest.mark.parametrize("folder", REAL)
def test_real_folders(real_data, folder):
    title, clips, counts = REAL[folder]
    sampled = clips > 300
    report = inspect(real_data / folder, max_files=150 if sampled else None)
    stats = report.statistics
    assert report.verdict.startswith(title) and (sampled or stats.clips == clips)
    assert report.expected[0].startswith(counts)
    assert stats.units["m"] == stats.clips and leading(stats.ups) == ("+y", 1.0)
    assert (
        stats.sides["mirrored"] <= 0.03 * stats.clips
        and not warned(report, "tree of")
        and not warned(report, "Bones vary")
    )
    if folder == "UTKinect":
        assert report.broken == [] and "s10_e02" in report.no_clips[0]
    if folder == "MSRAction3D":
        assert "a13_s09_e02" in "\n".join(report.lines()) and "a13_s09_e03" in "\n".join(report.lines())


def lines_of(path, **options) -> str:
    return "\n".join(inspect(path, **options).lines())


def test_a_command_is_printed_only_for_what_is_beyond_doubt(tmp_path):
    names = [f"{joint}_{axis}" for joint in LAYOUTS["kinect_v2"].joint_names for axis in "xyz"]
    body = walker("kinect_v2", frames=20)

    def folder(name, joints, named=True):
        (tmp_path / name).mkdir()
        header = ",".join(names) if named else ""
        np.savetxt(tmp_path / name / "a.csv", joints.reshape(20, 75), delimiter=",", header=header, comments="")
        return tmp_path / name

    assert "next: s2i convert folder" in lines_of(folder("metres", body))
    assert "--unit mm --output" in lines_of(folder("millimetres", body * 1000))  # no other unit makes people of them
    for name, scale, words in (
        ("inches", 1 / 0.0254, "with --unit inch or 0."),
        ("cmu", 1 / 0.056444, "with --unit 0.056444 or 0."),
        ("dolls", 0.1, "no people in any known unit"),
    ):
        text = lines_of(folder(name, body * scale))
        assert "s2i convert" not in text and words in text and "centimetres" not in text and "millimetres" not in text
        assert "to look at" in text
    unnamed = folder("unnamed", body, named=False)
    assert "s2i convert" not in (text := lines_of(unnamed)) and "could be kinect_v2 or openpose_25" in text
    assert "--layout kinect_v2 --output" in lines_of(unnamed, layout="kinect_v2")
    x, y, z = np.moveaxis(body, -1, 0)
    for name, turned, flag in (
        ("lying", np.stack([x, -z, y], -1), "--up z"),
        ("falling", np.stack([x, -y, -z], -1), "--up -y"),
    ):
        text = lines_of(folder(name, turned))
        assert "s2i convert" not in text and f"say so with {flag}." in text
        assert f"{flag} --output" in lines_of(tmp_path / name, up=flag.split()[1])
