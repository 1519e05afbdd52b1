"""Raw files on disk, in `.gz` and in zip archives: found, read, and refused when damaged."""

from __future__ import annotations

import gzip
import os
import random
import struct
import unicodedata
import zipfile
from pathlib import Path
from typing import Any

import pytest
from conftest import one_sentence, refused
from hypothesis import given, settings, strategies as st
from skeleton_files import person, skeleton_text

from s2i_hf.inspection.file_types import describe
from s2i_hf.readers import RawFile, ReadError, raw_files, read_bytes
from s2i_hf.readers.discovery import find_recordings, read_file
from s2i_hf.readers.generic.arrays import open_npz
from s2i_hf.readers.raw_files import list_raw_files, open_archive, with_suffix

NAMES = ["S001C001P001R001A001", "S001C002P003R001A002", "S001C001P004R001A003"]


def clip(seed: int) -> bytes:
    return skeleton_text([[(1, person(seed))], [(1, person(seed + 1))]])


def write_zip(path: Path, names: list[str], compression: int = zipfile.ZIP_DEFLATED, extra: bytes = b"") -> None:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name in names:
            archive.writestr(f"nturgb+d_skeletons/{name}.skeleton", clip(NAMES.index(name)) + extra)


@pytest.mark.parametrize(
    "compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_BZIP2], ids=["deflated", "stored", "bzip2"]
)
@pytest.mark.parametrize("inside", [True, False], ids=["folder of archives", "archive"])
def test_an_archive_holds_what_the_folder_does(tmp_path: Path, compression: int, inside: bool) -> None:
    folder, zipped = tmp_path / "folder" / "deep", tmp_path / "zipped"
    folder.mkdir(parents=True)
    zipped.mkdir()
    for seed, name in enumerate(NAMES):
        (folder / f"{name}.skeleton").write_bytes(clip(seed))
    write_zip(zipped / "a.zip", NAMES, compression)
    plain = find_recordings("ntu60_xsub", tmp_path / "folder")
    packed = find_recordings("ntu60_xsub", zipped if inside else zipped / "a.zip")
    assert plain.content == packed.content and plain.fingerprint != packed.fingerprint
    assert [file.stem for file in packed.all_files] == sorted(NAMES)
    for split in ("train", "test"):
        assert [file.stem for file in packed.files[split]] == [file.stem for file in plain.files[split]]
    for one, other in zip(plain.all_files, packed.all_files, strict=True):
        assert one.read() == other.read() and one.name == other.name
        (first,), (second,) = read_file(one, plain.protocol), read_file(other, packed.protocol)
        assert not isinstance(first, ReadError) and not isinstance(second, ReadError)
        assert first.split == second.split and first.sequence.joints.tobytes() == second.sequence.joints.tobytes()


def test_two_archives_make_one_dataset(tmp_path: Path) -> None:
    write_zip(tmp_path / "s001.zip", NAMES[:2])
    write_zip(tmp_path / "s002.zip", NAMES[1:])
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(ValueError, match="two versions"):  # the one they share differs in its contents
        write_zip(tmp_path / "s003.zip", NAMES, extra=b" ")
        find_recordings("ntu60_xsub", tmp_path)
    (tmp_path / "s003.zip").unlink()
    recordings = find_recordings("ntu60_xsub", tmp_path)
    assert [file.stem for file in recordings.all_files] == sorted(NAMES)
    assert recordings.left_out["zip archives that cannot be read"] == ["broken.zip"]
    assert recordings.left_out["there twice"] == [f"{NAMES[1]}.skeleton"]


def listed(folder: Path) -> list[str]:
    return [file.path.relative_to(folder).as_posix() for file in list_raw_files(folder)]


def test_a_folder_is_listed_at_any_depth_and_by_name(tmp_path: Path) -> None:
    deep = "/".join("abcdefghij" * 3) + "/0.json"
    for name in ("b/2.json", "a/2.json", deep):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert listed(tmp_path) == [deep, "a/2.json", "b/2.json"]
    assert [file.path.name for file in list_raw_files(tmp_path, depth=1)] == ["2.json", "2.json"]


def test_links_are_followed_once(tmp_path: Path) -> None:
    for name in ("elsewhere/walk", "data/run"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "1.json").touch()
    data = tmp_path / "data"
    (data / "walk").symlink_to(tmp_path / "elsewhere" / "walk")
    (data / "again").symlink_to(data / "run")
    (data / "run" / "round").symlink_to(data)
    assert listed(data) == ["run/1.json", "walk/1.json", "again", "run/round"]  # what is not read stands for itself


def test_a_folder_that_may_not_be_opened_stands_for_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "1.json").touch()
    original = os.scandir

    def refuse(place: Any) -> Any:
        if str(place).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return original(place)

    monkeypatch.setattr(os, "scandir", refuse)
    assert listed(tmp_path) == ["1.json", "closed"]


def test_far_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw_files, "_MAX_FILES", 2)
    for name in "abc":
        (tmp_path / name).touch()
    with refused(ReadError, "more than 2 files"):
        list_raw_files(tmp_path)


@pytest.mark.parametrize("name", ["a.json", "A.JSON", "a.Json.GZ", "b.c.json.gz"])
def test_suffixes_are_read_in_any_case(tmp_path: Path, name: str) -> None:
    file = RawFile(tmp_path / name)
    file.path.write_bytes(gzip.compress(b"[1]") if name.lower().endswith("gz") else b"[1]")
    assert with_suffix([file], [".json"]) == [file] and file.suffix == ".json" and read_bytes(file) == b"[1]"
    assert file.stem == name.partition(".json")[0].partition(".J")[0]


def test_names_in_archives_of_macos(tmp_path: Path) -> None:
    info = zipfile.ZipInfo(unicodedata.normalize("NFD", "café/1.json"))
    name = info.filename.encode()
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr(info, b"[1]")
    data = bytearray((tmp_path / "a.zip").read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # take the flag away that says UTF-8
        data[data.index(mark) + flags + 1] &= ~0x08
    (tmp_path / "a.zip").write_bytes(data)
    (file,) = list_raw_files(tmp_path / "a.zip")
    assert file.member.encode() == name and read_bytes(file) == b"[1]"
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist()[0].encode() != name


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


@pytest.mark.parametrize(
    ("content", "command"), [(LFS, "git lfs pull"), (b"/annex/objects/SHA256E-s5--ab.npy\n", "git annex get")]
)
@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.json.gz", "a.skeleton", "a.mat", "a.zip"])
def test_pointers_to_files_that_were_not_fetched(tmp_path: Path, content: bytes, command: str, name: str) -> None:
    (tmp_path / name).write_bytes(content)
    file = RawFile(tmp_path / name)
    with refused(ReadError, name, command):
        read_bytes(file, text=False)
    with refused(ReadError, name, command):
        if name == "a.npz":
            with open_npz(file):
                pass
        elif name == "a.zip":
            open_archive(file.path)
        else:
            file.read()
    assert command in describe(file)
    with zipfile.ZipFile(tmp_path / "whole.zip", "w") as archive:
        archive.writestr(name, content)
    with refused(ReadError, name, command):
        read_bytes(RawFile(tmp_path / "whole.zip", name), text=False)
    assert command in describe(RawFile(tmp_path / "whole.zip", name))


def test_a_link_of_git_annex_without_its_file(tmp_path: Path) -> None:
    (tmp_path / "a.npy").symlink_to("../.git/annex/objects/Xk/a.npy")
    (tmp_path / "b.npy").symlink_to("../nowhere/b.npy")
    with refused(ReadError, "a.npy", "git annex get"):
        read_bytes(tmp_path / "a.npy")
    with refused(ReadError, "b.npy", "No such file"):
        read_bytes(tmp_path / "b.npy")


def test_names_that_point_elsewhere_are_not_looked_at(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in (f"../{NAMES[0]}", f"/etc/{NAMES[1]}", f"__MACOSX/{NAMES[2]}", f"a/.{NAMES[2]}", f"ok/{NAMES[2]}"):
            archive.writestr(f"{name}.skeleton", clip(0))
    before = sorted(tmp_path.rglob("*"))
    assert [file.member for file in list_raw_files(tmp_path)] == [f"ok/{NAMES[2]}.skeleton"]
    assert sorted(tmp_path.rglob("*")) == before


def damaged(tmp_path: Path, how: str) -> RawFile:
    path = tmp_path / "a.zip"
    write_zip(path, NAMES[:1])
    data = bytearray(path.read_bytes())
    central = data.rindex(b"PK\x01\x02")
    if how == "contents":
        data[200] ^= 0xFF
    elif how == "bomb":  # declares 64 bytes and unpacks to more
        data[central + 24 : central + 28] = struct.pack("<I", 64)
    elif how == "huge":
        data[central + 24 : central + 28] = struct.pack("<I", 1 << 30)
    elif how == "offset":
        data[central + 42 : central + 46] = struct.pack("<I", 7)
    elif how == "encrypted":
        data[central + 8] |= 1
    elif how == "method":
        data[central + 10 : central + 12] = struct.pack("<H", 97)
    path.write_bytes(data)
    return RawFile(path, f"nturgb+d_skeletons/{NAMES[0]}.skeleton" if how != "gone" else "nobody.skeleton")


@pytest.mark.parametrize("how", ["contents", "bomb", "huge", "offset", "encrypted", "method", "gone"])
def test_damaged_members_are_one_clear_sentence(tmp_path: Path, how: str) -> None:
    with pytest.raises(ReadError) as caught:
        read_bytes(damaged(tmp_path, how))
    assert one_sentence(caught.value) and "a.zip" in str(caught.value) + str(how == "huge" and "a.zip")


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 10_000), flips=st.lists(st.integers(0, 10_000), max_size=4), seed=st.integers(0, 99))
def test_no_damage_to_an_archive_escapes(
    tmp_path_factory: pytest.TempPathFactory, cut: int, flips: list[int], seed: int
) -> None:
    path = tmp_path_factory.mktemp("zip") / "a.zip"
    write_zip(path, NAMES)
    data = bytearray(path.read_bytes())
    for flip in flips:
        data[flip % len(data)] = random.Random(seed).randrange(256)
    path.write_bytes(data[: len(data) - cut % 50])
    try:
        for file in list_raw_files(path):
            try:
                assert len(read_bytes(file)) == file.size
            except ReadError as error:
                assert one_sentence(error)
    except ReadError as error:
        assert one_sentence(error)


def test_gzip(tmp_path: Path) -> None:
    path = tmp_path / "m01.txt.gz"
    path.write_bytes(gzip.compress(b"1 2 3\n"))
    assert read_bytes(path) == b"1 2 3\n" and RawFile(path).stem == "m01"
    assert [file.name for file in with_suffix(list_raw_files(tmp_path), [".txt"])] == ["m01.txt.gz"]
    for data, words in (
        (gzip.compress(b"1 2 3\n" * 99)[:-9], "ends too early"),
        (b"\x1f\x8bno gzip at all", "damaged gzip"),
        (gzip.compress(bytes(300 << 20), 1), "unpacks to more than"),
    ):
        path.write_bytes(data)
        with refused(ReadError, match=words):
            read_bytes(path)


def test_what_is_no_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "folder.json").mkdir()
    for name in ("pipe.json", "folder.json", "nothing.json"):
        with refused(ReadError, name):
            read_bytes(tmp_path / name)


def test_a_file_that_may_not_be_looked_at_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    path.write_text("[]")

    def refusing(original: Any) -> Any:
        def refuse(place: Any, *more: Any, **given: Any) -> Any:
            if str(place) == str(path):
                raise PermissionError(13, "Permission denied")
            return original(place, *more, **given)

        return refuse

    for name in ("stat", "open"):
        monkeypatch.setattr(os, name, refusing(getattr(os, name)))
    assert list_raw_files(tmp_path) == [RawFile(path)]
    with pytest.raises(ReadError, match=r"a\.json: cannot be read \(Permission denied\)"):
        read_bytes(path)


def test_companions_and_folders() -> None:
    label = RawFile(Path("/data/labels/0002-L.txt"))
    video = RawFile(Path("/data/pku.zip"), "Data/skeleton/0002-L.txt").with_companions(label)
    assert video.companions == (label,) and video.folders == ("Data", "skeleton")
    assert (video.name, video.stem) == ("0002-L.txt", "0002-L") and str(video).endswith(
        "pku.zip!Data/skeleton/0002-L.txt"
    )


def test_a_changed_byte_of_a_stored_member_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    write_zip(path, NAMES[:1], zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[300] ^= 1  # nothing but the checksum tells
    path.write_bytes(data)
    with pytest.raises(ReadError, match="its size or checksum is another"):
        read_bytes(RawFile(path, f"nturgb+d_skeletons/{NAMES[0]}.skeleton"))
