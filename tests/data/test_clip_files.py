from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
from conftest import one_sentence
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from s2i_hf.data.clip_files import ClipFileWriter, checksum, read_ids, read_rows
from s2i_hf.processing.skeleton_sequence import SkeletonSequence


def some_clips(count: int) -> list[SkeletonSequence]:
    clips = []
    for index in range(count):
        rng = np.random.default_rng(index)
        layout, joints = ("kinect_v1", 20) if index % 3 else ("kinect_v2", 25)
        values = rng.normal(size=(int(rng.integers(1, 6)), 1 + index % 2, joints, 3)).astype(np.float32)
        values[0, 0, 0] = np.nan
        ids = rng.integers(-(2**62), 2**62, values.shape[1])
        clips.append(SkeletonSequence(values, layout, index % 5 - 1, index, -1, ids, f"é{index}"))
    return clips


def write(path: Path, clips: list[SkeletonSequence]) -> int:
    writer = ClipFileWriter(path, "some_rule", ["one", "zwei"])
    for clip in clips:
        writer.write(clip.to_row())
    return writer.close()


@pytest.mark.parametrize("count", [0, 1, 7])
def test_rows_come_back(tmp_path: Path, count: int) -> None:
    path, clips = tmp_path / "x.safetensors", some_clips(count)
    crc = write(path, clips)
    assert crc == checksum(path) == zlib.crc32(path.read_bytes())
    rows = list(read_rows(path))
    assert len(rows) == count and read_ids(path) == [clip.sample_id for clip in clips]
    for row, clip in zip(rows, clips, strict=True):
        again, expected = SkeletonSequence.from_row(row), clip
        np.testing.assert_array_equal(again.joints, expected.joints)
        assert again.body_ids.tolist() == expected.body_ids.tolist()
        for name in ("layout", "label", "subject", "camera", "sample_id"):
            assert getattr(again, name) == getattr(expected, name)
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.safetensors"]


def test_the_library_reads_the_file(tmp_path: Path) -> None:
    path, clips = tmp_path / "x.safetensors", some_clips(5)
    write(path, clips)
    with safe_open(path, framework="numpy") as file:
        joints = np.concatenate([clip.joints.ravel() for clip in clips])
        np.testing.assert_array_equal(file.get_tensor("joints"), joints)
        assert file.get_tensor("shapes").tolist() == [list(clip.joints.shape) for clip in clips]
        assert file.get_tensor("labels").tolist() == [clip.label for clip in clips]
        assert file.get_tensor("layouts").tolist() == [0, 1, 1, 0, 1]
        metadata = file.metadata()
    assert metadata["protocol"] == "some_rule" and json.loads(metadata["class_names"]) == ["one", "zwei"]
    assert json.loads(metadata["layouts"]) == ["kinect_v2", "kinect_v1"]


@pytest.mark.parametrize("name", ["a\nb", "a\udc80b"])
def test_ids_that_no_line_can_hold(tmp_path: Path, name: str) -> None:
    writer = ClipFileWriter(tmp_path / "x.safetensors", "some_rule", [])
    with pytest.raises(ValueError, match="rename the recording") as caught:
        writer.write(SkeletonSequence(np.zeros((1, 1, 20, 3)), "kinect_v1", sample_id=name).to_row())
    assert one_sentence(str(caught.value))
    writer.close()


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_a_named_error_or_another_checksum(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("x") / "x.safetensors"
    crc = write(path, some_clips(3))
    good = path.read_bytes()
    at = data.draw(st.integers(0, len(good) - 1))
    if data.draw(st.booleans()):
        path.write_bytes(good[:at])
    else:
        path.write_bytes(good[:at] + bytes([good[at] ^ data.draw(st.integers(1, 255))]) + good[at + 1 :])
    assert checksum(path) != crc
    try:
        read_ids(path)
    except ValueError as error:
        assert "x.safetensors" in str(error)
