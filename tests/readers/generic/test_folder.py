from __future__ import annotations

import gzip
import json
import logging
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import one_sentence, refused
from own_files import AMC, ASF, BVH, FLAT_STAR, STAR, joints, npy, npz, raw

from s2i_hf.data.collator import SkeletonCollator
from s2i_hf.data.loading import as_rows, load_skeletons
from s2i_hf.processing.image_processing_skeleton import SkeletonProcessor
from s2i_hf.processing.layouts import LAYOUTS, get_layout, register_layout
from s2i_hf.processing.skeleton_layout import SkeletonLayout
from s2i_hf.processing.skeleton_sequence import SkeletonSequence
from s2i_hf.protocols.folder import FolderProtocol
from s2i_hf.readers import READERS, RawFile, ReadError
from s2i_hf.readers.discovery import raw_clips, read_file
from s2i_hf.readers.generic.folder import SUFFIXES, find_folder
from s2i_hf.readers.recordings import Clip, Recordings


@pytest.fixture(autouse=True)
def layouts() -> Iterator[None]:
    """Layouts that a test registers are gone after it."""
    known = dict(LAYOUTS)
    yield
    LAYOUTS.clear()
    LAYOUTS.update(known)


def write(folder: Path, **files: Any) -> Path:
    """Write arrays as .npy; names with __ for /."""
    for name, array in files.items():
        path = folder / f"{name.replace('__', '/')}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, array)
    return folder


def read(recordings: Recordings, split: str = "train") -> list[SkeletonSequence]:
    clips = [clip for file in recordings.files[split] for clip in read_file(file, recordings.protocol)]  # type: ignore[index]
    for clip in clips:
        assert isinstance(clip, Clip), clip
    return [clip.sequence for clip in clips if isinstance(clip, Clip) and clip.split == split]


def first_error(recordings: Recordings) -> str:
    (error,) = read_file(recordings.all_files[0], recordings.protocol)
    assert isinstance(error, ReadError) and one_sentence(error)
    return str(error)


def test_classes_and_splits_from_folders(tmp_path: Path) -> None:
    clips = {
        f"{split}__{name}__{i}": joints(5, seed=i)[:, 0]
        for split in ("train", "test")
        for name in ("sit", "wave")
        for i in (1, 2)
    }
    recordings = find_folder(write(tmp_path, **clips), STAR)
    assert isinstance(recordings.protocol, FolderProtocol) and recordings.protocol.class_names == ("sit", "wave")
    sequences = read(recordings)
    assert [(clip.sample_id, clip.label) for clip in sequences] == [
        ("train/sit/1", 0), ("train/sit/2", 0), ("train/wave/1", 1), ("train/wave/2", 1),
    ]  # fmt: skip
    np.testing.assert_array_equal(sequences[1].joints, joints(5, seed=2).astype(np.float32))
    assert [clip.sample_id for clip in read(recordings, "test")] == [
        "test/sit/1",
        "test/sit/2",
        "test/wave/1",
        "test/wave/2",
    ]
    assert sequences[0].layout == STAR and not recordings.left_out


def test_a_table_in_the_folder_or_anywhere(tmp_path: Path) -> None:
    data = write(tmp_path / "data", a=joints()[:, 0], b=joints()[:, 0], c=joints()[:, 0])
    (tmp_path / "other.csv").write_text("id,label,split\na,run,test\nb,walk,train\nc,walk,train\n")
    recordings = find_folder(data, STAR, labels=tmp_path / "other.csv")
    assert [(clip.sample_id, clip.label) for clip in read(recordings)] == [("b", 1), ("c", 1)]
    (data / "labels.csv").write_text("id,label,subject,camera\na,walk,3,1\nb,walk,4,2\n")
    recordings = find_folder(data, STAR)
    assert [(clip.sample_id, clip.label, clip.subject, clip.camera) for clip in read(recordings)] == [
        ("a", 0, 3, 1),
        ("b", 0, 4, 2),
    ]
    assert recordings.left_out == {"not in labels.csv": ["c"]}
    assert find_folder(data, STAR, labels=str(tmp_path / "other.csv")).fingerprint != recordings.fingerprint


def test_without_labels_everything_trains_and_it_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        recordings = find_folder(write(tmp_path, clips__a=joints()[:, 0], clips__b=joints()[:, 0]), STAR)
        assert [(clip.sample_id, clip.label) for clip in read(recordings)] == [("clips/a", -1), ("clips/b", -1)]
    assert len(caplog.records) == 1 and "nothing says what the clips show" in caplog.text


def test_every_format_gives_the_same_clip(tmp_path: Path) -> None:
    clip = joints(6)
    for name, content in {
        "a.npy": npy(clip), "b.npz": npz(joints=clip), "c.json": clip[:, 0].tolist(),
        "d.csv": "\n".join(",".join(map(str, row)) for row in clip.reshape(6, -1).tolist()),
        "e.json": {"instance_info": [{"frame_id": t, "instances": [{"keypoints": clip[t, 0].tolist(), "keypoint_scores": [1] * 4}]}
                                     for t in range(6)]},
    }.items():  # fmt: skip
        raw(tmp_path, name, content)
    sequences = read(find_folder(tmp_path, STAR))
    assert [sequence.sample_id for sequence in sequences] == ["a", "b", "c", "d", "e"]
    for sequence in sequences:
        np.testing.assert_array_equal(sequence.joints, clip.astype(np.float32))


def test_many_clips_in_one_file(tmp_path: Path) -> None:
    clips = np.zeros((3, 8, 2, 4, 3), dtype=np.float32)
    clips[:, :5, 0] = joints(5, seed=1)[:, 0]
    content = npz(
        x_train=clips.reshape(3, 8, -1),
        y_train=np.eye(4)[[2, 0, 3]],
        x_test=clips[:1].reshape(1, 8, -1),
        y_test=np.eye(4)[[1]],
    )
    raw(tmp_path, "NTU60_CS.npz", content)
    for data_dir in (tmp_path, tmp_path / "NTU60_CS.npz"):
        recordings = find_folder(data_dir, STAR)
        assert recordings.protocol.class_names == ("0", "1", "2", "3") and len(recordings.all_files) == 1
        found = [
            (clip.sample_id, clip.label, clip.joints.shape)
            for split in ("train", "test")
            for clip in read(recordings, split)
        ]
        assert found == [
            ("NTU60_CS_train_000000", 2, (5, 1, 4, 3)),
            ("NTU60_CS_train_000001", 0, (5, 1, 4, 3)),
            ("NTU60_CS_train_000002", 3, (5, 1, 4, 3)),
            ("NTU60_CS_test_000000", 1, (5, 1, 4, 3)),
        ]
    np.save(tmp_path / "stray.npy", joints())
    assert find_folder(tmp_path, STAR).left_out == {"beside a file that holds many clips": ["stray"]}


def test_archives_are_read_like_folders(tmp_path: Path) -> None:
    folder = write(tmp_path / "data", sit__1=joints()[:, 0], wave__1=joints()[:, 0])
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        for path in sorted(folder.rglob("*.npy")):
            archive.write(path, f"top/{path.relative_to(folder)}")
    recordings = find_folder(tmp_path / "data.zip", STAR)
    assert [(clip.sample_id, clip.label) for clip in read(recordings)] == [("top/sit/1", 0), ("top/wave/1", 1)]


def test_motion_capture_brings_its_own_layout(tmp_path: Path) -> None:
    raw(tmp_path, "walk.bvh", BVH)
    recordings = find_folder(tmp_path)
    (clip,) = read(recordings)
    assert clip.layout.joint_names[0] == "Hips" and get_layout(clip.layout.name) == clip.layout
    assert clip.joints[0, 0, 0].tolist() == [0, np.float32(0.9), 0]
    folder = tmp_path / "acclaim"
    folder.mkdir()
    raw(folder, "07.asf", ASF)
    raw(folder, "07_01.amc", AMC)
    recordings = find_folder(folder)
    (clip,) = read(recordings)
    assert clip.sample_id == "07_01" and clip.joints[0, 0, 0, 1] == pytest.approx(17.9 / 0.45 * 0.0254)


@pytest.mark.parametrize(("unit", "factor"), [(None, 1), ("m", 1), ("cm", 100), ("mm", 1000)])
def test_units(tmp_path: Path, unit: str | None, factor: float) -> None:
    recordings = find_folder(write(tmp_path, a=joints() * factor), STAR, unit=unit)
    np.testing.assert_allclose(read(recordings)[0].joints, joints(), rtol=1e-6)


@pytest.mark.parametrize(
    ("factor", "unit", "words"),
    [
        (100, None, "which cannot be metres; pass the unit they are in, such as unit='cm'"),
        (1000, None, "which cannot be metres; pass the unit they are in, such as unit='mm'"),
        (1000, "cm", "which cannot be cm; pass the unit they are in, such as unit='mm'"),
        (1, "mm", "which cannot be mm; pass the unit they are in"),
    ],
)
def test_a_wrong_unit_is_an_error_and_never_guessed(
    tmp_path: Path, factor: float, unit: str | None, words: str
) -> None:
    assert words in first_error(find_folder(write(tmp_path, a=joints() * factor), STAR, unit=unit))


def test_pixels_point_up_and_unseen_joints_are_nan(tmp_path: Path) -> None:
    points = np.concatenate([joints()[..., :2] * 500 + 600, np.ones((5, 1, 4, 1))], axis=-1)
    points[2, 0, 1, 2] = 0
    recordings = find_folder(write(tmp_path, a=points), FLAT_STAR)
    (clip,) = read(recordings)
    expected = points * [1, -1, 0]
    expected[2, 0, 1] = np.nan
    np.testing.assert_allclose(clip.joints, expected, rtol=1e-6)
    assert not np.signbit(clip.joints[..., 2]).any()
    with pytest.raises(ValueError, match="is in px; leave unit out"):
        find_folder(tmp_path, FLAT_STAR, unit="mm")


def test_mediapipe_is_turned_upright_and_not_mirrored(tmp_path: Path) -> None:
    world = np.random.default_rng(0).normal(0, 0.1, (3, 33, 3))
    (clip,) = read(find_folder(write(tmp_path, a=world), "mediapipe_33"))
    np.testing.assert_allclose(clip.joints[:, 0], world * [1, -1, -1], rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda clip: clip.__setitem__((2, 0, 1, 1), np.inf), "frame 3 of 5: y of head is no finite number"),
        (lambda clip: clip.__setitem__((2, 0, 1, 1), 1e300), "frame 3 of 5: y of head is no finite number"),
        (lambda clip: clip.fill(np.nan), "nobody is seen in any of its 5 frames"),
    ],
)
def test_values_that_are_none(tmp_path: Path, change: Any, words: str) -> None:
    clip = joints()
    change(clip)
    error = first_error(find_folder(write(tmp_path, bad=clip), STAR))
    assert error.startswith("bad.npy: ") and words in error


@pytest.mark.parametrize(
    ("files", "options", "words"),
    [
        ({}, {"layout": STAR}, "No clips in"),
        ({"a": joints()}, {}, "a.npy does not say which joints it holds. Pass layout"),
        ({"a": joints()}, {"layout": "kinect_v3"}, "Unknown layout 'kinect_v3'"),
        (
            {"a": joints()},
            {"layout": STAR, "unit": "feet"},
            "unit is 'feet'; expected m, cm, mm, inch, or metres per unit such as 0.056444",
        ),
        ({"a": joints()}, {"layout": STAR, "labels": "gone.csv"}, "gone.csv is not there"),
        ({"a": joints()}, {"layout": "gone.json"}, "gone.json is no layout"),
    ],
)
def test_mistakes_are_one_clear_sentence(
    tmp_path: Path, files: dict[str, Any], options: dict[str, Any], words: str
) -> None:
    with refused(ValueError, words):
        find_folder(write(tmp_path, **files), **options)


def test_more_mistakes(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not there"):
        find_folder(tmp_path / "gone", STAR)
    (tmp_path / "video.mp4").touch()
    with pytest.raises(ValueError, match=r"video\.mp4 is none of"):
        find_folder(tmp_path / "video.mp4", STAR)
    (tmp_path / "ntu.pkl").touch()
    with pytest.raises(ValueError, match="convert-pickle"):
        find_folder(tmp_path, STAR)
    raw(tmp_path, "lonely.amc", AMC)
    with pytest.raises(ValueError, match=r"lonely\.amc: no \.asf file belongs to it"):
        find_folder(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "s2i.json").write_text("{}")
    with pytest.raises(ValueError, match="was made by `s2i convert`"):
        find_folder(tmp_path / "out", STAR)
    write(tmp_path, a=joints())
    raw(tmp_path, "a.csv", "1,2")
    with pytest.raises(ValueError, match="would be one clip 'a'"):
        find_folder(tmp_path, STAR)


def test_broken_clips_do_not_stop_the_others(tmp_path: Path) -> None:
    write(tmp_path, a=joints(), c=joints())
    raw(tmp_path, "b.npy", npy(joints())[:-7])
    recordings = find_folder(tmp_path, STAR)
    clips = [clip for file in recordings.files["train"] for clip in read_file(file, recordings.protocol)]
    assert [type(clip) for clip in clips] == [Clip, ReadError, Clip] and "b.npy" in str(clips[1])


def test_a_layout_of_your_own_as_object_dict_or_file(tmp_path: Path) -> None:
    data = write(tmp_path / "data", a=joints())
    beside, inside = tmp_path / "layout.json", data / "layout.json"
    beside.write_text(json.dumps(STAR.to_dict()))
    for layout in (STAR, STAR.to_dict(), beside, inside, str(inside)):
        if layout is inside:
            beside.rename(inside)  # which is no clip then
        recordings = find_folder(data, layout)
        assert [file.name for file in recordings.all_files] == ["a.npy"] and read(recordings)[0].layout == STAR
    assert get_layout("test_star") == STAR


def test_a_known_name_cannot_be_given_to_another_layout() -> None:
    assert register_layout(STAR) is register_layout(SkeletonLayout.from_dict(STAR.to_dict()))
    other = SkeletonLayout("test_star", ["pelvis", "head"], [None, "pelvis"])
    with pytest.raises(ValueError, match=r"'test_star' stands for another layout, of 4 joints"):
        register_layout(other)
    with pytest.raises(ValueError, match="'coco_17'"):
        register_layout(SkeletonLayout("coco_17", ["pelvis", "head"], [None, "pelvis"]))


def test_fingerprints_follow_files_labels_layout_and_unit(tmp_path: Path) -> None:
    data = write(tmp_path / "data", a=joints(), b=joints())
    seen = {find_folder(data, STAR).fingerprint}
    assert find_folder(data, STAR).fingerprint in seen
    for change in (
        lambda: find_folder(data, STAR, unit="cm"),
        lambda: find_folder(data, SkeletonLayout("test_other", STAR.joint_names, STAR.parents)),
        lambda: (data / "labels.csv").write_text("id,label\na,x\nb,x\n") and find_folder(data, STAR),
        lambda: (data / "labels.csv").write_text("id,label\na,x\nb,y\n") and find_folder(data, STAR),
        lambda: find_folder(write(data, a=joints(6)), STAR),
    ):
        fingerprint = change().fingerprint  # type: ignore[union-attr]
        assert fingerprint not in seen
        seen.add(fingerprint)


@pytest.mark.parametrize("layout", [STAR, FLAT_STAR])
def test_rows_batches_and_images(tmp_path: Path, layout: SkeletonLayout) -> None:
    """Own layouts, in metres and in pixels, go all the way: dataset, batch, image and back."""
    sizes = {
        f"{name}__{i}": joints(12 + i, people=1 + i, layout=layout, seed=i) for name in ("sit", "wave") for i in (0, 1)
    }
    if layout.unit == "px":
        sizes = {name: clip[..., :2] * 300 + 600 for name, clip in sizes.items()}
        sizes["sit__0"][3, 0, 2] = np.nan
    data = load_skeletons(
        "folder", data_dir=write(tmp_path / "data", **sizes), layout=layout, cache_dir=tmp_path / "cache"
    )
    assert data["train"].features["label"].names == ["sit", "wave"] and len(data["test"]) == 0
    rows = as_rows(data["train"])
    assert rows.sample_ids == ["sit/0", "sit/1", "wave/0", "wave/1"] and rows.labels.tolist() == [0, 0, 1, 1]
    batch = SkeletonCollator()([rows[index] for index in range(4)])
    assert batch["joints"].shape == (4, 13, 2, 4, 3) and set(batch["layouts"]) == {layout.name}
    processor = SkeletonProcessor(layout=layout)
    inputs = processor(rows[1]["joints"], return_metadata=True)
    decoded = processor.decode(inputs["pixel_values"], inputs["metadata"])[0].numpy()
    np.testing.assert_allclose(decoded, rows[1]["joints"], atol=1e-5 * np.abs(rows[1]["joints"]).max())


# -- what is found, and what is not read -------------------------------------------------------------------------------

LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


def in_all_suffixes(folder: Path, change: Callable[[str], str]) -> Path:
    clip = joints(5)
    for name, content in {
        "walk/a.npy": npy(clip), "walk/b.npz": npz(joints=clip), "run/c.json": clip[:, 0].tolist(),
        "run/d.json.gz": gzip.compress(json.dumps(clip[:, 0].tolist()).encode()),
    }.items():  # fmt: skip
        stem, _, suffix = name.partition(".")
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        raw(folder, f"{stem}.{change(suffix)}", content)
    return folder


@pytest.mark.parametrize("change", [str.lower, str.upper, str.title, str.swapcase])
def test_suffixes_in_any_case(tmp_path: Path, change: Callable[[str], str]) -> None:
    recordings = find_folder(in_all_suffixes(tmp_path, change), STAR)
    assert recordings.protocol.class_names == ("run", "walk") and not recordings.left_out
    clips = read(recordings)
    assert [(clip.sample_id, clip.label) for clip in clips] == [
        ("run/c", 0),
        ("run/d", 0),
        ("walk/a", 1),
        ("walk/b", 1),
    ]
    for clip in clips:
        np.testing.assert_array_equal(clip.joints, joints(5).astype(np.float32))


def test_motion_capture_with_suffixes_in_capitals(tmp_path: Path) -> None:
    for name, content in {"a.BVH": BVH, "b.bvh": BVH}.items():
        raw(tmp_path, name, content)
    first, second = read(find_folder(tmp_path))
    np.testing.assert_array_equal(first.joints, second.joints)
    (tmp_path / "amc").mkdir()
    for name, content in {"07.ASF": ASF, "07_01.AMC": AMC, "07_02.amc": AMC}.items():
        raw(tmp_path / "amc", name, content)
    recordings = find_folder(tmp_path / "amc")
    first, second = read(recordings)
    np.testing.assert_array_equal(first.joints, second.joints)
    assert not recordings.left_out


def test_one_clip_in_two_cases_is_refused(tmp_path: Path) -> None:
    write(tmp_path, a=joints())
    (tmp_path / "a.NPY").write_bytes(npy(joints()))
    with refused(ValueError, "would be one clip 'a'"):
        find_folder(tmp_path, STAR)


def test_clips_at_any_depth(tmp_path: Path) -> None:
    deep = "/".join("abcdefghij")
    recordings = find_folder(write(tmp_path, **{f"{deep}/walk/x/y/1": joints(), f"{deep}/run/2": joints()}), STAR)
    assert [(clip.sample_id, clip.label) for clip in read(recordings)] == [
        (f"{deep}/run/2", 0),
        (f"{deep}/walk/x/y/1", 1),
    ]


@pytest.mark.parametrize("zipped", [False, True])
def test_classes_of_macos_are_those_of_others(tmp_path: Path, zipped: bool) -> None:
    names = ["train/caf\u00e9/1", "test/cafe\u0301/2", "train/run/1", "test/run/1"]
    folder = write(tmp_path / "data", **{name: joints(seed=seed) for seed, name in enumerate(names)})
    if zipped:
        with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
            for path in sorted(folder.rglob("*.npy")):
                archive.write(path, path.relative_to(folder))
        folder = tmp_path / "data.zip"
    recordings = find_folder(folder, STAR)
    assert recordings.protocol.class_names == ("caf\u00e9", "run") and not recordings.warnings
    (clip,) = (clip for clip in read(recordings, "test") if clip.label == 0)
    assert clip.sample_id == "test/caf\u00e9/2"
    np.testing.assert_array_equal(clip.joints, joints(seed=1).astype(np.float32))


def test_every_file_that_is_not_read_is_counted(tmp_path: Path) -> None:
    write(tmp_path, walk__1=joints(), run__1=joints(), run__2=joints())
    (tmp_path / "labels.CSV").write_text("id,label\nwalk/1,walk\nrun/1,run\n")
    (tmp_path / "loop").symlink_to(tmp_path)
    for name, content in {
        "labels_more.csv": "id,label\n", "walk/labels.csv": "id,label\n", "walk/notes.txt": "x", "Film.MP4": "x", "README": "x",
        "bad.zip": "x", "far.zip": LFS, ".hidden": "x", "01.asf": ASF, "layout.json": json.dumps(STAR.to_dict()),
    }.items():  # fmt: skip
        (tmp_path / name).write_text(content)
    recordings = find_folder(tmp_path, tmp_path / "layout.json")
    assert recordings.left_out == {
        "a pointer of Git LFS, not the file itself; run `git lfs pull` where it was cloned": ["far.zip"],
        "a table of labels that is not used": ["labels_more.csv", "walk/labels.csv"],
        "folders that cannot be opened, or are read already": ["loop"],
        "no .amc file belongs to it": ["01.asf"],
        "no format of clips (.mp4)": ["Film.MP4"],
        "no format of clips (.txt)": ["walk/notes.txt"],
        "no format of clips (without suffix)": ["README"],
        "not in labels.CSV": ["run/2"],
        "zip archives that cannot be read": ["bad.zip"],
    }


def test_broken_clips_are_named_with_their_folders(tmp_path: Path) -> None:
    write(tmp_path, walk__1=joints(), run__1=joints())
    (tmp_path / "walk" / "bad.npy").write_text(LFS)
    (tmp_path / "run" / "bad.csv").write_bytes(b"\0")
    recordings = find_folder(tmp_path, STAR)
    errors = [
        clip
        for file in recordings.all_files
        for clip in read_file(file, recordings.protocol)
        if isinstance(clip, ReadError)
    ]
    assert all(map(one_sentence, errors)) and [str(error).partition(":")[0] for error in errors] == [
        "run/bad.csv",
        "walk/bad.npy",
    ]
    assert "git lfs pull" in str(errors[1])
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.write(tmp_path / "walk" / "bad.npy", "walk/bad.npy")
    assert first_error(find_folder(tmp_path / "all.zip", STAR)).startswith("walk/bad.npy: ")
    assert first_error(find_folder(tmp_path / "walk" / "bad.npy", STAR)).startswith("bad.npy: ")


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".JSON", ".npy.gz", ".csv.GZ"])
def test_pointers_are_told_in_every_format(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"a{suffix}").write_text(LFS)
    (tmp_path / "b.npy").write_bytes(npy(joints()))
    if suffix in (".asf", ".amc"):
        raw(tmp_path, "a.asf" if suffix == ".amc" else "a.amc", ASF if suffix == ".amc" else AMC)
    recordings = find_folder(tmp_path, STAR)
    first, *_ = (clip for file in recordings.all_files for clip in read_file(file, recordings.protocol))
    assert (
        isinstance(first, ReadError)
        and one_sentence(first)
        and "git lfs pull" in str(first)
        and f"a{suffix}" in str(first)
    )


@pytest.mark.parametrize("reader", READERS)
def test_pointers_are_told_of_every_data_set(tmp_path: Path, reader: str) -> None:
    path = tmp_path / READERS[reader].example
    path.write_text(LFS)
    file = RawFile(path)
    if reader in ("pku_mmd", "utkinect", "ui_prmd_kinect"):  # read with what belongs to them
        other = tmp_path / "other.txt"
        other.write_text("1,0,5,1\n")
        file = file.with_companions(RawFile(other))
    error = next(raw_clips(reader, file))
    assert isinstance(error, ReadError) and "git lfs pull" in str(error), error


def test_doubts_and_notes_come_with_the_recordings(tmp_path: Path) -> None:
    folder = write(
        tmp_path, train__walk__1=joints(), train__run__1=joints(), test__Walk__1=joints(), test__run__1=joints()
    )
    recordings = find_folder(folder, STAR)
    assert [warning for warning in recordings.warnings if "'Walk' has test clips and no training clip" in warning]
    assert not find_folder(folder, STAR, labelled=False).warnings
    (tmp_path / "labels.csv").write_text("id,label,subject\ntrain/walk/1,walk,anna\n")
    (note,) = find_folder(folder, STAR).notes
    assert "0 anna" in note


def test_frame_rates_that_differ_are_nobodys(tmp_path: Path) -> None:
    for name, seconds in (("a", "0.0333333"), ("b", "0.0333"), ("c", "0.0083333")):
        raw(tmp_path, f"{name}.bvh", BVH.replace("0.0333333", seconds))
    assert find_folder(tmp_path, any_size=True).fps is None
    (tmp_path / "c.bvh").unlink()
    assert find_folder(tmp_path, any_size=True).fps == pytest.approx(30, rel=0.01)
