"""Clips by index from tables and .npz files; a damaged .npz is an error that names it."""

from __future__ import annotations

import pickle
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from conftest import one_sentence
from hypothesis import given, settings, strategies as st

from s2i_hf.data.skeleton_rows import SkeletonRows
from s2i_hf.data.storage import ShardWriter
from s2i_hf.processing.skeleton_sequence import SkeletonSequence


def some_clips(count: int, seed: int = 0) -> list[SkeletonSequence]:
    clips = []
    for index in range(count):
        rng = np.random.default_rng([seed, index])
        layout, joints = ("kinect_v1", 20) if index % 3 else ("kinect_v2", 25)
        values = rng.normal(size=(int(rng.integers(1, 6)), 1 + index % 2, joints, 3)).astype(np.float32)
        values[0, 0, 0] = np.nan
        ids = rng.integers(-(2**62), 2**62, values.shape[1])
        clips.append(SkeletonSequence(values, layout, index % 5 - 1, index, -1, ids, f"é{seed} {index}"))
    return clips


def write(folder: Path, clips: list[SkeletonSequence], number: str = "0") -> Path:
    writer = ShardWriter(folder, number, "npz", [])
    for clip in clips:
        writer.write("train", clip.to_row())
    (name,) = writer.close()
    return folder / name


def test_clips_of_several_npz_files_come_back(tmp_path: Path) -> None:
    first, second = some_clips(7), some_clips(3, 1)
    files = [write(tmp_path, first, "0"), write(tmp_path, second, "1")]
    columns = SkeletonRows.of_npz(files, ["one", "zwei"], "some_rule")
    assert (columns.class_names, columns.name) == (["one", "zwei"], "some_rule")
    for again in (columns, pickle.loads(pickle.dumps(columns))):
        assert again.sample_ids == [clip.sample_id for clip in (*first, *second)]
        for index, clip in enumerate((*first, *second)):
            np.testing.assert_array_equal(again.joints(index), clip.joints)
            assert again.layouts[index] == clip.layout.name and again.labels[index] == clip.label
            assert (again.subjects[index], again.cameras[index]) == (clip.subject, -1)
    joints = columns.joints(9)
    assert isinstance(joints.base.base, np.memmap) and joints.flags.aligned and not joints.flags.writeable
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["train-0.npz", "train-1.npz"]


def test_no_files_are_no_clips() -> None:
    columns = SkeletonRows.of_npz([])
    assert columns.shapes.shape == (0, 4) and columns.sample_ids == [] and len(columns.labels) == 0


def test_numpy_reads_an_npz_without_pickle(tmp_path: Path) -> None:
    clips = some_clips(5)
    with np.load(write(tmp_path, clips), allow_pickle=False) as file:
        np.testing.assert_array_equal(file["joints"], np.concatenate([clip.joints.ravel() for clip in clips]))
        assert file["offsets"].tolist() == np.cumsum([0, *(clip.joints.size for clip in clips)]).tolist()
        assert file["shapes"].tolist() == [list(clip.joints.shape) for clip in clips]
        assert file["layouts"].tolist() == ["kinect_v2", "kinect_v1", "kinect_v1", "kinect_v2", "kinect_v1"]
        assert file["labels"].tolist() == [clip.label for clip in clips]
        assert file["body_ids"].tolist() == [number for clip in clips for number in clip.body_ids]


def test_damaged_npz_files_are_refused(tmp_path: Path) -> None:
    good = write(tmp_path, some_clips(4))
    with np.load(good) as file:
        columns = dict(file)
    (tmp_path / "short.npz").write_bytes(good.read_bytes()[:-20])
    (tmp_path / "text.npz").write_bytes(b"no zip at all")
    (tmp_path / "empty.npz").write_bytes(b"")
    np.savez_compressed(tmp_path / "compressed.npz", **columns)
    np.savez(tmp_path / "other.npz", **{name: column for name, column in columns.items() if name != "shapes"})
    np.savez(tmp_path / "sum.npz", **{**columns, "shapes": columns["shapes"] + 1})  # more frames than joints for them
    np.savez(tmp_path / "less.npz", **{**columns, "joints": columns["joints"][:-1]})
    np.savez(tmp_path / "objects.npz", **{**columns, "labels": np.array([None] * 4)})
    for name in ("short", "text", "empty", "compressed", "other", "sum", "less", "objects", "none"):
        with pytest.raises(ValueError) as caught:
            SkeletonRows.of_npz([tmp_path / f"{name}.npz"])
        assert one_sentence(str(caught.value).replace(str(tmp_path), "")) and f"{name}.npz" in str(caught.value)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_any_damage_is_a_named_error_or_does_no_harm(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = write(tmp_path_factory.mktemp("x"), some_clips(3))
    good = path.read_bytes()
    at = data.draw(st.integers(0, len(good) - 1))
    if data.draw(st.booleans()):
        path.write_bytes(good[:at])
    else:
        path.write_bytes(good[:at] + bytes([good[at] ^ data.draw(st.integers(1, 255))]) + good[at + 1 :])
    try:
        columns = SkeletonRows.of_npz([path])
        assert all(len(columns.joints(index)) for index in range(len(columns.labels)))
    except ValueError as error:
        assert "train-0.npz" in str(error)


def test_a_table_needs_its_columns() -> None:
    with pytest.raises(ValueError, match="no column 'joints'") as caught:
        SkeletonRows.of_table(
            SimpleNamespace(table=pa.table({"shape": [[1]], "layout": ["x"], "label": [1], "sample_id": ["a"]}))
        )
    assert one_sentence(str(caught.value))
