"""The recordings of a protocol in a folder or archive: found, split and read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ..processing.skeleton_sequence import SkeletonSequence
from ..protocols import Protocol, Split, get_protocol, parse_name
from ..protocols.folder import FolderProtocol
from .benchmarks import READERS, get_reader, select
from .generic.folder import read_clips
from .raw_files import FileLike, RawFile, ReadError, list_raw_files, read_bytes, why_closed, with_suffix
from .recordings import Clip, Recordings, file_id, name_in

_MAX_SPLIT_FILE = 1 << 20  # the longest has 10 kB
_VIDEO = re.compile(r"[A-Za-z0-9_]+-[LMR]")
_PARTS = {"train": "train", "val": "test", "test": "test"}  # what a header says -> whose videos follow


def find_recordings(
    protocol: str | Protocol, data_dir: str | Path | None, files: Sequence[RawFile] | None = None
) -> Recordings:
    """The recordings of a protocol, with their splits, in `data_dir`: a folder of raw files or archives, at any depth, or one archive.

    `files` is what is in it, if `list_raw_files` was asked before. Raises ValueError, which says what was looked for, if there is no such
    protocol or folder, no recording of it there, or one there in two versions.
    """
    protocol = get_protocol(protocol) if isinstance(protocol, str) else protocol
    reader = READERS[protocol.reader]
    if data_dir is None:
        expected = f"pass data_dir, the folder with files like {reader.example}"
        raise ValueError(f"{protocol.name} is made from raw files: {expected}.")
    folder = Path(data_dir).expanduser()
    if not folder.is_dir() and folder.suffix.lower() != ".zip":
        kind = "a file, not a folder or zip archive" if folder.exists() else "not there"
        raise ValueError(f"The data folder {folder} is {kind}; expected the folder with files like {reader.example}.")
    files = list_raw_files(folder) if files is None else files
    found = with_suffix(files, reader.suffixes)
    protocol = _with_split_file(protocol, found)
    clips = [file for file in found if file.name.lower() not in protocol.split_files]
    chosen, left_out = select(protocol.reader, clips)
    protocol = _in_turns(protocol, chosen)
    for file in files:
        if reason := why_closed(file):
            left_out.setdefault(reason, []).append(file.name)
    parts = _split(protocol, chosen, left_out)
    if not any(parts.values()):
        looked = f"looked for files like {reader.example} in it, in its archives and in the folders below"
        if found:
            looked += f", and none of the {len(found)} {reader.suffixes[0]} files there (such as {found[0].name}) belongs to it"
        raise ValueError(f"No recordings of {protocol.name} in {folder}: {looked}.")
    return Recordings(protocol, parts, left_out)


def _split(protocol: Protocol, chosen: Iterable[RawFile], left_out: dict[str, list[str]]) -> dict[Split, list[RawFile]]:
    """The files of each split; what belongs to none goes to `left_out`."""
    files: dict[Split, list[RawFile]] = {split: [] for split in protocol.splits}
    seen: dict[str, RawFile] = {}
    for name, file in sorted(((file_id(protocol, file), file) for file in chosen), key=lambda pair: pair[0]):
        splits = protocol.file_splits(name)
        if not splits:
            left_out.setdefault(_why_not(protocol, name), []).append(file.name)
        elif name not in seen:
            seen[name] = file
            for split in splits:
                files[split].append(file)
        elif seen[name].size == file.size:
            left_out.setdefault("there twice", []).append(file.name)
        else:
            raise ValueError(f"{seen[name]} and {file} are two versions of one recording; keep one of them.")
    return files


def _with_split_file(protocol: Protocol, found: Sequence[RawFile]) -> Protocol:
    """The protocol, decided by the lists of a file that came with the data, where it has one. ValueError if it needs one."""
    for file in (file for name in protocol.split_files for file in found if file.name.lower() == name):
        train, test = read_split_file(read_bytes(file), file.name)
        return replace(protocol, split_by="sample", train=train, test=test)
    if protocol.split_files and not protocol.train:
        expected = f"expected {protocol.split_files[0]} in the data folder"
        raise ValueError(f"{protocol.name} is decided by a file that comes with the data: {expected}.")
    return protocol


def _in_turns(protocol: Protocol, chosen: Iterable[RawFile]) -> Protocol:
    """The protocol with lists of who trains and who tests, where that depends on which clips are there (`Protocol.in_turns`)."""
    if not protocol.in_turns:
        return protocol
    groups: dict[tuple[int, int], list[tuple[int, str]]] = {}
    for name in {file_id(protocol, file) for file in chosen}:
        sample = parse_name(protocol.reader, name)
        if sample is not None and protocol.file_splits(name):
            groups.setdefault((sample.action, sample.style), []).append((sample.take, name))
    order = [sorted(group) for group in groups.values()]
    train, test = (frozenset(name for group in order for _, name in group[turn::2]) for turn in range(2))
    return replace(protocol, split_by="sample", train=train, test=test)


def _why_not(protocol: Protocol, name: str) -> str:
    if parse_name(protocol.reader, name) is None:
        return "not named like a recording"
    if name in protocol.missing_samples:
        return "on the list of missing skeletons"
    return "not part of this protocol"


def read_file(file: FileLike, protocol: Protocol, denoise: bool = True) -> Iterator[Clip | ReadError]:
    """Read all clips of a file that the protocol keeps; a broken clip, or the whole file, comes out as its error.

    `file` and `protocol` are those of `Recordings`; `denoise` chooses the actors, where a format has more bodies than people.
    """
    file = RawFile.of(file)
    try:
        if isinstance(protocol, FolderProtocol):
            sequences = read_clips(file, protocol)
        else:
            sequences = raw_clips(protocol.reader, file, denoise)
        for sequence in sequences:
            if isinstance(sequence, ReadError):
                yield _placed(sequence, file, protocol)
            elif (split := protocol.split(sequence.sample_id)) is not None:
                yield Clip(split, replace(sequence, label=protocol.label(sequence.sample_id)))
    except ReadError as error:
        yield _placed(error, file, protocol)


def _placed(error: ReadError, file: RawFile, protocol: Protocol) -> ReadError:
    """An error of custom data that names its file with the folders it lies in, which many of one name may do: walk/1.npy."""
    text = str(error)
    if not isinstance(protocol, FolderProtocol) or not text.startswith(file.name):
        return error
    return type(error)(name_in(file, Path(protocol.root)) + text.removeprefix(file.name))


def raw_clips(reader: str, file: RawFile, denoise: bool = True) -> Iterator[SkeletonSequence | ReadError]:
    """The clips of a raw file, read as its data set numbers them; a broken clip, or the whole file, comes out as its error."""
    module = get_reader(reader)
    try:
        if hasattr(module, "read_clips"):
            yield from module.read_clips(file, denoise=denoise)
        else:
            yield module.read(file, denoise=denoise)
    except ReadError as error:
        yield error


def read_split_file(data: bytes, name: str) -> tuple[frozenset[str], frozenset[str]]:
    """Videos that train and videos that test, such as "0002-L", from the contents of the file `name`.

        Training videos:
        0002-L, 0002-M, 0002-R, ...,
        Validataion videos:                   (spelled like this)
        0291-L, ...

    Raises ReadError, which names the line, if it is not such a list, a video is in both parts, or a part is empty.
    """
    if len(data) > _MAX_SPLIT_FILE:
        raise ReadError(f"{name}: {len(data) >> 10:,} kB large; expected two lists of videos.")
    if not data.isascii():
        raise ReadError(f"{name}: holds bytes that are no ASCII text; expected two lists of videos.")
    parts: dict[str, set[str]] = {"train": set(), "test": set()}
    part = ""
    for number, line in enumerate(data.decode().splitlines(), start=1):
        where = f"{name}: line {number}"
        header, colon, rest = line.rpartition(":")
        videos = [word.removesuffix(".txt") for word in re.split(r"[,\s]+", rest) if word]
        if not colon and not all(map(_VIDEO.fullmatch, videos)):
            header, videos = rest, []
        if header or colon:
            part = next((part for word, part in _PARTS.items() if word in header.lower()), "")
            if not part:
                expected = "expected a list of videos, or a header such as 'Training videos:'"
                raise ReadError(f"{where} is {line[:40]!r}; {expected}.")
        for video in videos:
            if not part:
                raise ReadError(f"{where} lists videos before any header; expected 'Training videos:' first.")
            if not _VIDEO.fullmatch(video):
                raise ReadError(f"{where}: {video[:40]!r} is no video; expected names such as 0002-L.")
            parts[part].add(video)
    if empty := [part for part, found in parts.items() if not found]:
        raise ReadError(f"{name}: lists no video that {empty[0]}s; the file is cut off, or no split file.")
    if both := sorted(parts["train"] & parts["test"]):
        raise ReadError(f"{name}: {both[0]} is in both lists; expected every video in one of them.")
    return frozenset(parts["train"]), frozenset(parts["test"])
