from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import one_sentence
from skeleton_files import write_nw_ucla

import s2i_hf.data.convert_shards as pieces
import s2i_hf.data.locks
from s2i_hf.data.clip_files import read_ids
from s2i_hf.data.convert_plans import Plan, cut
from s2i_hf.data.convert_shards import (
    check_piece,
    clip_file,
    load_piece,
    load_plan,
    make_piece,
    piece_folder,
    pieces_folder,
    working_on,
)
from s2i_hf.readers import RawFile
from s2i_hf.readers.discovery import find_recordings
from s2i_hf.readers.recordings import Recordings

NAMES = ["a01_s01_e00_v01", "a02_s01_e00_v02", "a08_s02_e00_v03"]


@pytest.fixture
def recordings(tmp_path: Path) -> Recordings:
    write_nw_ucla(tmp_path / "raw", NAMES)
    (tmp_path / "raw" / "a03_s01_e00_v01.json").write_text("{")
    return find_recordings("nw_ucla_xview", tmp_path / "raw")


@pytest.fixture
def plan(recordings: Recordings) -> Plan:
    return Plan.of(recordings, True, len(cut(recordings.all_files)))


def make(recordings: Recordings, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    make_piece(folder, 0, recordings.all_files, recordings.protocol, True)


def test_a_piece_holds_clips_and_errors(tmp_path: Path, recordings: Recordings) -> None:
    folder = tmp_path / "pieces"
    assert load_piece(folder, 0) is None
    make(recordings, folder)
    piece = load_piece(folder, 0)
    assert piece is not None and piece.counts == {"train": 2, "test": 1} and piece.layouts == {}
    assert len(piece.broken) == 1 and piece.broken[0].startswith("a03_s01_e00_v01.json: ")
    assert read_ids(clip_file(folder, 0, "train")) == NAMES[:2] and read_ids(clip_file(folder, 0, "test")) == NAMES[2:]
    check_piece(folder, 0, piece)
    assert [path.name for path in folder.iterdir()] == ["00000"]
    before = piece_folder(folder, 0).stat().st_ino
    make(recordings, folder)  # somebody else made it meanwhile: the first one stays
    assert piece_folder(folder, 0).stat().st_ino == before


def test_a_piece_is_whole_or_not_there(tmp_path: Path, recordings: Recordings) -> None:
    folder = tmp_path / "pieces"
    folder.mkdir()

    def stop(clips: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_piece(folder, 0, recordings.all_files, recordings.protocol, True, stop)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("damage", ["shorter", "gone", "no json", "other json", "flipped"])
def test_damaged_pieces_are_not_used(tmp_path: Path, recordings: Recordings, damage: str) -> None:
    folder = tmp_path / "pieces"
    make(recordings, folder)
    clips, described = clip_file(folder, 0, "train"), piece_folder(folder, 0) / "piece.json"
    content = clips.read_bytes()
    if damage == "flipped":  # the size is right: only reading it through tells
        clips.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        piece = load_piece(folder, 0)
        assert piece is not None
        with pytest.raises(ValueError, match="is damaged; delete the folder") as caught:
            check_piece(folder, 0, piece)
        assert one_sentence(str(caught.value).replace(str(tmp_path), "")) and "train.safetensors" in str(caught.value)
        return
    if damage == "shorter":
        clips.write_bytes(content[:-1])
    elif damage == "gone":
        clips.unlink()
    else:
        described.write_text({"no json": "{", "other json": "[1]"}[damage])
    assert load_piece(folder, 0) is None
    make(recordings, folder)  # and are replaced
    assert load_piece(folder, 0) is not None and clips.read_bytes() == content


def test_the_folder_is_made_ready(tmp_path: Path, recordings: Recordings, plan: Plan) -> None:
    output = tmp_path / "out"
    folder = pieces_folder(output)
    assert folder == tmp_path / ".out.pieces" and load_plan(folder) is None
    with working_on(output, plan, None) as note:
        assert note == ""
        make(recordings, folder)
    (folder / ".00001.x7").mkdir()  # what killed processes leave
    (folder / "output").mkdir()
    (folder / "old").mkdir()
    (folder / "old" / "s2i.json").write_text("the previous one")
    with working_on(output, plan, None) as note:
        assert note == "" and load_piece(folder, 0) is not None and load_plan(folder) == plan
        assert sorted(path.name for path in folder.iterdir()) == ["00000", "lock", "plan.json"]
        assert (output / "s2i.json").read_text() == "the previous one"  # killed between two renamings
    other = Plan.from_json(plan.to_json().replace('"denoise": true', '"denoise": false'))
    with working_on(output, other, None) as note:
        assert "thrown away" in note and one_sentence(note.replace(str(tmp_path), ""))
        assert load_piece(folder, 0) is None and load_plan(folder) == other


def test_two_at_once(tmp_path: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fcntl")
    for module in (s2i_hf.data.locks, pieces):
        monkeypatch.setattr(module, "PATIENCE", 0.1)
    output = tmp_path / "out"
    other = Plan.from_json(plan.to_json().replace('"denoise": true', '"denoise": false'))
    with working_on(output, plan, (0, 2)), working_on(output, plan, (1, 2)):
        for wrong_plan, shard in ((plan, None), (plan, (1, 2)), (other, (2, 3))):
            with (
                pytest.raises(ValueError, match="Another `s2i convert` works") as caught,
                working_on(output, wrong_plan, shard),
            ):
                pass
            assert one_sentence(str(caught.value).replace(str(tmp_path), ""))
    with working_on(output, plan, None):
        for shard in (None, (0, 2)):
            with pytest.raises(ValueError, match="Another"), working_on(output, plan, shard):
                pass
    with working_on(output, other, (0, 2)) as note:
        assert note == ""  # there was no piece to throw away
    assert json.loads((pieces_folder(output) / "plan.json").read_text())["denoise"] is False


def test_ids_that_cannot_be_stored_are_broken_recordings(
    tmp_path: Path, recordings: Recordings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    original = pieces.read_file

    def with_line_break(*arguments: object) -> object:
        for clip in original(*arguments):  # type: ignore[arg-type]
            yield clip._replace(sequence=replace(clip.sequence, sample_id="a\nb"))  # type: ignore[union-attr]

    monkeypatch.setattr(pieces, "read_file", with_line_break)
    (tmp_path / "pieces").mkdir()
    make_piece(tmp_path / "pieces", 0, [RawFile(tmp_path / "raw" / f"{NAMES[0]}.json")], recordings.protocol, True)
    piece = load_piece(tmp_path / "pieces", 0)
    assert piece is not None and piece.counts == {} and "line break" in piece.broken[0]
