from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from conftest import one_sentence
from skeleton_files import write_nw_ucla

from s2i_hf.data.convert import StrictError, convert, merge
from s2i_hf.data.convert_shards import shards_folder
from s2i_hf.data.storage import FORMATS, Format

NAMES = [f"a0{1 + index % 6}_s01_e{index:02}_v0{1 + index % 3}" for index in range(20)]


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s2i_hf.data.convert_shards._MAX_FILES", 3)  # so that 20 recordings are 7 shards


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    write_nw_ucla(tmp_path / "raw", NAMES)
    (tmp_path / "raw" / "a01_s02_e00_v01.json").write_text("{")
    return tmp_path / "raw"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def machines(tmp_path: Path, raw: Path, count: int = 3, format: Format = "parquet") -> list[Path]:
    """Shards made on several machines, with the same recordings in other places."""
    folders = []
    for index in range(count):
        here = tmp_path / f"machine{index}"
        shutil.copytree(raw, here / "data" / "raw")
        report = convert("nw_ucla_xview", here / "data", here / "out", format, shard=(index, count))
        assert report.done == len(range(index, 7, count)) and not (here / "out").exists()
        folders.append(here)
    return folders


@pytest.mark.parametrize("format", FORMATS)
def test_shards_of_several_machines_are_the_same_data_set(tmp_path: Path, raw: Path, format: Format) -> None:
    convert("nw_ucla_xview", raw, tmp_path / "whole", format, num_proc=2)
    parts = machines(tmp_path, raw, format=format)
    copies = [tmp_path / f"copy{index}" for index in range(3)]
    for part, copy in zip(parts, copies, strict=True):
        shutil.copytree(shards_folder(part / "out"), copy)
    report = merge("nw_ucla_xview", copies, tmp_path / "merged")
    assert sum(report.kept.values()) == 20 and len(report.broken) == 1
    assert contents(tmp_path / "merged") == contents(tmp_path / "whole")
    assert all(copy.is_dir() for copy in copies) and not shards_folder(tmp_path / "merged").exists()


def test_shards_in_one_folder_end_with_the_call_without(tmp_path: Path, raw: Path) -> None:
    convert("nw_ucla_xview", raw, tmp_path / "whole")
    for index in (1, 0):
        report = convert("nw_ucla_xview", raw, tmp_path / "out", shard=(index, 2))
    assert report.done == 7 and report.kept != {"train": 14, "test": 6}
    shutil.move(raw, tmp_path / "elsewhere")
    convert("nw_ucla_xview", tmp_path / "elsewhere", tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert not shards_folder(tmp_path / "out").exists()


def test_a_merge_may_name_the_outputs(tmp_path: Path, raw: Path) -> None:
    parts = machines(tmp_path, raw, 2)
    report = merge("nw_ucla_xview", [part / "out" for part in parts], parts[0] / "out")
    assert sum(report.kept.values()) == 20 and not shards_folder(parts[0] / "out").exists()
    assert shards_folder(parts[1] / "out").exists()  # that of another output is left alone


def test_shards_beside_the_output_need_not_be_named(tmp_path: Path, raw: Path) -> None:
    here, other = (part / "out" for part in machines(tmp_path, raw, 2))
    report = merge("nw_ucla_xview", [other], here)
    assert sum(report.kept.values()) == 20 and len(report.broken) == 1


def test_what_cannot_be_merged(tmp_path: Path, raw: Path) -> None:
    parts = [part / "out" for part in machines(tmp_path, raw, 2)]
    out = tmp_path / "merged"

    def refused(words: str, *folders: Path, name: str = "nw_ucla_xview", **options: object) -> None:
        with pytest.raises(ValueError, match=words) as caught:
            merge(name, folders, out, **options)  # type: ignore[arg-type]
        assert one_sentence(str(caught.value).replace(str(tmp_path), "")) and not out.exists()
        assert not shards_folder(out).exists()

    refused(r"3 of 7 shards are missing \(1, 3, 5\).*I = S mod N", parts[0])
    refused("nothing to merge")
    refused("holds no shards", parts[0], raw)
    refused("are of nw_ucla_xview, not of nw_ucla_xview1", *parts, name="nw_ucla_xview1")
    refused("1 broken and 1,479 missing", *parts, strict=True)
    refused("are in parquet format, not npz", *parts, format="npz")
    convert("nw_ucla_xview", raw, tmp_path / "other", denoise=False, shard=(0, 2))
    refused("different conversions", parts[1], tmp_path / "other")
    path = shards_folder(parts[1]) / "train-00001.parquet"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    other = max(path.parent.glob("*-00005.parquet"))
    other.write_bytes(b"")
    refused(r"2 of 7 files of clips are damaged \(.*train-00001.parquet, .*\); delete them", *parts)
    path.unlink()
    other.unlink()
    refused(r"2 of 7 shards are missing \(1, 5\)", *parts)


def test_a_strict_shard_does_not_accept_broken_recordings(tmp_path: Path, raw: Path) -> None:
    for name in ("S001C001P001R001A001", "S001C002P002R001A014"):
        (tmp_path / "ntu").mkdir(exist_ok=True)
        (tmp_path / "ntu" / f"{name}.skeleton").write_text("nothing of the kind")
    with pytest.raises(StrictError, match="2 broken and 0 missing"):
        convert("synthetic_xsub", tmp_path / "ntu", tmp_path / "out", shard=(0, 1), strict=True)
