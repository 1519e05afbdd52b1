"""Clips of converted folders come back as they were written, from every format; damage is an error that names the file."""

from __future__ import annotations

import json

import numpy as np
import pytest
from bodies import clip
from conftest import one_sentence

from s2i_hf.data.storage import FORMATS, FolderWriter
from s2i_hf.data.stored_clips import count_rows, custom_layouts, is_converted, read_facts, read_rows, shard_files
from s2i_hf.processing.layouts import LAYOUTS
from s2i_hf.processing.skeleton_sequence import SkeletonSequence
from s2i_hf.protocols import get_protocol
from s2i_hf.readers import ReadError

CLIPS = [clip(f"a01_s0{n}_e00_v01", label=n, subject=n, camera=1) for n in range(1, 6)]


def write(folder, format, clips=CLIPS, **extra):
    folder.mkdir()
    writer = FolderWriter(folder, get_protocol("nw_ucla_xview"), format, ("train", "test"))
    for number, one in enumerate(clips):
        writer.write("test" if number % 2 else "train", one)
    writer.close(extra)
    return folder


@pytest.fixture(params=FORMATS)
def stored(tmp_path, request):
    return write(tmp_path / "out", request.param)


def test_clips_come_back(stored):
    assert is_converted(stored) and set(shard_files(stored)) == {"train", "test"}
    found = [
        one
        for files in map(shard_files(stored).get, ("train", "test"))
        for path in files
        for one in read_rows(path, {})
    ]
    assert [one.sample_id for one in found] == [one.sample_id for one in (*CLIPS[::2], *CLIPS[1::2])]
    for one, known in zip(found, (*CLIPS[::2], *CLIPS[1::2]), strict=True):
        np.testing.assert_array_equal(one.joints, known.joints)
        assert (one.label, one.subject, one.camera, one.layout) == (known.label, known.subject, 1, LAYOUTS["kinect_v1"])


def test_some_of_them(stored):
    (path,) = shard_files(stored)["train"]
    assert count_rows(path) == 3
    assert [one.sample_id for one in read_rows(path, {}, {0, 2}.__contains__)] == [
        CLIPS[0].sample_id,
        CLIPS[4].sample_id,
    ]
    facts = list(read_facts(path))
    assert [row["label"] for row in facts] == [1, 3, 5] and list(facts[0]["shape"]) == [12, 1, 20, 3]
    assert {row["layout"] for row in facts} == {"kinect_v1"} and facts[1]["subject"] == 3 and facts[1]["camera"] == 1


def test_without_its_json(stored):
    (stored / "s2i.json").unlink()
    assert is_converted(stored) and custom_layouts(stored) == {}


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.6, 0.9, 0.99])
def test_a_cut_file_is_an_error_that_names_it(stored, share):
    (path,) = shard_files(stored)["train"]
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    got = []
    with pytest.raises(ReadError) as caught:
        count_rows(path)
        for one in read_rows(path, {}):
            got.append(one)
        raise AssertionError("nothing was noticed")
    assert path.name in str(caught.value) and one_sentence(caught.value) and len(got) < 3


@pytest.mark.parametrize("format", FORMATS)
def test_a_layout_that_nobody_knows_is_an_error_of_that_row(tmp_path, format):
    from s2i_hf.processing.skeleton_layout import SkeletonLayout

    strange = SkeletonLayout("strange", ["head", "left_foot", "right_foot"], [-1, 0, 0])
    odd = SkeletonSequence(np.ones((2, 1, 3, 3), np.float32), strange, sample_id="odd")
    folder = write(tmp_path / "out", format, [CLIPS[0], CLIPS[1], odd])
    (path,) = shard_files(folder)["train"]
    first, second = read_rows(path, {})
    assert isinstance(first, SkeletonSequence) and isinstance(second, ReadError) and "row 2" in str(second)
    assert list(read_rows(path, {"strange": strange}))[1].layout == strange


def test_layouts_of_ones_own_are_in_the_json(tmp_path):
    described = {"strange": {"name": "strange", "joint_names": ["head"], "parents": [-1]}}
    folder = write(tmp_path / "out", "npz", layouts=described)
    assert custom_layouts(folder)["strange"].joint_names == ("head",)


def test_other_folders_are_not_converted(tmp_path):
    assert not is_converted(tmp_path) and shard_files(tmp_path) == {}
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train-00000.parquet").write_bytes(b"PAR1")
    assert not is_converted(tmp_path)
    pytest.importorskip("pyarrow").parquet  # noqa: B018
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "data" / "train-00000.parquet")
    assert not is_converted(tmp_path)
    (tmp_path / "data" / "other.npz").write_bytes(json.dumps({}).encode())
    assert not is_converted(tmp_path)
