from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import one_sentence
from skeleton_files import person, skeleton_text, write_nw_ucla

import s2i_hf.conversion
from s2i_hf.conversion import StrictError, convert
from s2i_hf.data import as_rows, load_skeletons
from s2i_hf.storage import FORMATS, Format

NAMES = ["a01_s01_e00_v01", "a02_s01_e00_v02", "a08_s02_e00_v03", "a12_s02_e01_v01"]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    write_nw_ucla(tmp_path / "raw", NAMES)
    return tmp_path / "raw"


def only(folder: Path) -> list[str]:
    """Everything in a folder, hidden things too."""
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("format", FORMATS)
def test_a_broken_recording_is_left_out_listed_and_counted(tmp_path: Path, raw: Path, format: Format) -> None:
    (raw / "a02_s01_e01_v02.json").write_text('{"skeletons": [')
    report = convert("nw_ucla_xview", raw, tmp_path / "out" / "deeper", format)
    assert report.kept == {"train": 3, "test": 1} and len(report.broken) == 1
    text = "\n".join(report.lines())
    for words in ("5 recordings read, 4 kept, 1 broken", "a02_s01_e01_v02.json: not JSON"):
        assert words in text
    assert "train: 3 clips, the protocol expects 1,020; missing: a01_s01_e00_v02, a01_s01_e01_v01" in text
    data = load_skeletons(tmp_path / "out" / "deeper", cache_dir=tmp_path / "cache")
    assert as_rows(data["train"]).sample_ids == [NAMES[0], NAMES[1], NAMES[3]]
    assert as_rows(data["test"]).labels.tolist() == [6]
    meta = json.loads((tmp_path / "out" / "deeper" / "s2i.json").read_text())
    assert meta["broken"] == report.broken and meta["missing"] == {"train": 1017, "test": 463}
    assert only(tmp_path / "out") == ["deeper"]


def test_strict_writes_nothing(tmp_path: Path, raw: Path) -> None:
    (raw / NAMES[0]).with_suffix(".json").write_text("")
    with pytest.raises(StrictError, match="1 broken and 1481 missing") as caught:
        convert("nw_ucla_xview", raw, tmp_path / "made" / "for" / "nothing", strict=True)
    assert one_sentence(caught.value) and "a01_s01_e00_v01.json" in "\n".join(caught.value.report.lines())
    assert only(tmp_path) == ["raw"]


def test_a_complete_folder_of_a_protocol_without_fixed_size_passes_strict(tmp_path: Path) -> None:
    for name in ("S001C001P001R001A001", "S001C002P002R001A014"):
        (tmp_path / f"{name}.skeleton").write_bytes(skeleton_text([[(1, person(0))]] * 3))
    report = convert("synthetic_xsub", tmp_path, tmp_path / "out", strict=True, num_proc=2)
    assert report.kept == {"train": 1, "test": 1} and "nothing left out" in "\n".join(report.lines())
    assert as_rows(load_skeletons(tmp_path / "out")["test"]).labels.tolist() == [13]


def test_files_of_other_protocols_are_counted_by_reason(tmp_path: Path) -> None:
    for name in ("S001C001P001R001A001", "S001C001P003R001A001", "S018C001P008R001A061", "S001C002P005R002A008", "x"):
        (tmp_path / f"{name}.skeleton").write_bytes(skeleton_text([[(1, person(0))]] * 3))
    text = "\n".join(convert("ntu60_xsub", tmp_path, tmp_path / "out").lines())
    assert "2 recordings read, 2 kept, 0 broken" in text
    assert "not part of this protocol: 1 (S018C001P008R001A061.skeleton)" in text
    assert "on the list of missing skeletons: 1 (S001C002P005R002A008.skeleton)" in text
    assert "not named like a recording: 1 (x.skeleton)" in text


def test_denoising_can_be_switched_off(tmp_path: Path) -> None:
    frames: list[Any] = [[(number, person(number, place=number)) for number in range(3)]] * 15 + [[]]
    (tmp_path / "S001C001P001R001A001.skeleton").write_bytes(skeleton_text(frames))
    for denoise, shape in ((True, [15, 2, 25, 3]), (False, [16, 3, 25, 3])):
        out = tmp_path / f"out{denoise}"
        convert("synthetic_xsub", tmp_path, out, "safetensors", denoise=denoise)
        assert load_skeletons(out)["train"].shapes.tolist() == [shape]


def test_an_existing_output_is_safe(tmp_path: Path, raw: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    convert("nw_ucla_xview", raw, out)  # an empty folder is no loss
    before = (out / "s2i.json").read_text()
    with pytest.raises(ValueError, match=r"is there already.*--overwrite"):
        convert("nw_ucla_xview", raw, out, "parquet")
    assert (out / "s2i.json").read_text() == before
    convert("nw_ucla_xview", raw, out, "parquet", overwrite=True)
    assert json.loads((out / "s2i.json").read_text())["format"] == "parquet" and not (out / "train").exists()
    precious = tmp_path / "photos"
    precious.mkdir()
    (precious / "me.png").write_text("me")
    with pytest.raises(ValueError, match="not made by `s2i convert`"):
        convert("nw_ucla_xview", raw, precious, overwrite=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="no folder"):
        convert("nw_ucla_xview", raw, tmp_path / "file", overwrite=True)
    assert only(tmp_path) == ["file", "out", "photos", "raw"] and only(precious) == ["me.png"]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError("No space left on device")])
def test_nothing_half_written_stays(
    tmp_path: Path, raw: Path, monkeypatch: pytest.MonkeyPatch, format: Format, error: Any
) -> None:
    out = tmp_path / "new" / "out"
    original = s2i_hf.conversion.read_recordings

    def interrupted(*args: Any, **options: Any) -> Iterator[Any]:
        yield next(iter(original(*args, **options)))
        raise error

    monkeypatch.setattr(s2i_hf.conversion, "read_recordings", interrupted)
    with pytest.raises(BaseException) as caught:
        convert("nw_ucla_xview", raw, out, format)
    assert isinstance(caught.value, KeyboardInterrupt | OSError)
    assert only(tmp_path) == ["raw"]

    monkeypatch.undo()
    convert("nw_ucla_xview", raw, out, format)
    monkeypatch.setattr(s2i_hf.conversion, "read_recordings", interrupted)
    before = {path: path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}
    with pytest.raises(BaseException):  # noqa: B017
        convert("nw_ucla_xview", raw, out, format, overwrite=True)
    assert {path: path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()} == before
    assert only(tmp_path / "new") == ["out"]


def test_nothing_readable_at_all(tmp_path: Path, raw: Path) -> None:
    for path in raw.iterdir():
        path.write_text("[]")
    with pytest.raises(ValueError, match="None of the 4 recordings can be read") as caught:
        convert("nw_ucla_xview", raw, tmp_path / "out")
    assert one_sentence(caught.value) and only(tmp_path) == ["raw"]


def test_wrong_names(tmp_path: Path, raw: Path) -> None:
    with pytest.raises(ValueError, match="Did you mean 'nw_ucla_xview'"):
        convert("nw_ucla_xvew", raw, tmp_path / "out")
    with pytest.raises(ValueError, match="is not there"):
        convert("nw_ucla_xview", tmp_path / "nowhere", tmp_path / "out")
    assert only(tmp_path) == ["raw"]


def test_all_of_nw_ucla(real_data: Path, tmp_path: Path) -> None:
    report = convert("nw_ucla_xview", real_data / "NW-UCLA", tmp_path / "out", "safetensors", strict=True)
    assert report.kept == {"train": 1020, "test": 464} and not report.broken
    assert "train: 1,020 clips, as the protocol expects" in "\n".join(report.lines())
