"""The recordings of a protocol in a folder or archive: found, split, fingerprinted and read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from ..processing.skeleton_sequence import SkeletonSequence
from ..protocols import Protocol, Split, get_protocol, parse_name
from ..protocols.folder import FolderProtocol
from . import READERS, RawFile, ReadError, get_reader, read_bytes
from .raw_files import find_raw_files


class Clip(NamedTuple):
    """One clip and the split it belongs to; its label is the protocol's."""

    split: Split
    sequence: SkeletonSequence


@dataclass
class Recordings:
    """What is in a data folder.

    Args:
        protocol: The rule they are split by; where a file beside the data decides, with what it says.
        files: The files of each split, sorted by name. A file with clips of several splits is in all of them.
        left_out: Why files were left out -> sorted names.
        fingerprint: Hash of names, sizes and times of change of `files`: another one means other data.
        content: Hash of names and sizes alone, which stays the same on another machine.
    """

    protocol: Protocol
    files: dict[Split, list[RawFile]]
    left_out: dict[str, list[str]] = field(default_factory=dict)
    fingerprint: str = ""
    content: str = ""

    @property
    def all_files(self) -> list[RawFile]:
        """Every file once, sorted by name."""
        files = {str(file): file for files in self.files.values() for file in files}
        return sorted(files.values(), key=lambda file: (file_id(self.protocol, file), str(file)))

    def missing(self, split: Split, found: Sequence[str]) -> list[str]:
        """Sorted ids that `split` should have and `found` lacks; empty if nobody lists what should be there."""
        if self.protocol.expected(split) in (None, len(found)):
            return []
        return sorted(set(self.protocol.expected_ids(split) or ()) - set(found))


def file_id(protocol: Protocol, file: RawFile) -> str:
    """What names a file of this protocol: its stem, or what its reader makes of the folders it lies in."""
    if isinstance(protocol, FolderProtocol):
        return protocol.file_id(file)
    name_of: Callable[[RawFile], str] | None = getattr(get_reader(protocol.reader), "sample_id", None)
    return name_of(file) if name_of else file.stem


def find_recordings(protocol: str | Protocol, data_dir: str | Path | None) -> Recordings:
    """Find the recordings of a protocol in `data_dir`.

    Args:
        protocol: The protocol or its name.
        data_dir: Folder with the raw files or with the archives they come in, up to four levels deep; or one archive.

    Raises:
        ValueError: no such protocol or folder, no recording of it there, or one recording there in two versions. The
            message says what was looked for.
    """
    protocol = get_protocol(protocol) if isinstance(protocol, str) else protocol
    reader = READERS[protocol.reader]
    if data_dir is None:
        raise ValueError(
            f"{protocol.name} is made from raw files: pass data_dir, the folder with files like {reader.example}."
        )
    folder = Path(data_dir).expanduser()
    if not folder.is_dir() and folder.suffix.lower() != ".zip":
        kind = "a file, not a folder or zip archive" if folder.exists() else "not there"
        raise ValueError(f"The data folder {folder} is {kind}; expected the folder with files like {reader.example}.")
    broken: list[str] = []
    found = find_raw_files(folder, reader.suffixes, broken)
    protocol = _with_split_file(protocol, found)
    chosen, left_out = found, {}
    select: Callable[[Sequence[RawFile]], tuple[list[RawFile], dict[str, list[str]]]] | None
    if (select := getattr(get_reader(protocol.reader), "select", None)) is not None:
        chosen, left_out = select([file for file in found if file.name not in protocol.split_files])
    if broken:
        left_out = {**left_out, "zip archives that cannot be read": broken}
    files = _split(protocol, chosen, left_out)
    if not any(files.values()):
        looked = f"looked for files like {reader.example} in it, in its archives and four levels of folders below"
        if found:
            looked += f", and none of the {len(found)} {reader.suffixes[0]} files there (such as {found[0].name}) belongs to it"
        raise ValueError(f"No recordings of {protocol.name} in {folder}: {looked}.")
    recordings = Recordings(protocol, files, {reason: sorted(names) for reason, names in left_out.items()})
    fingerprint(recordings)
    return recordings


def _split(protocol: Protocol, chosen: Iterable[RawFile], left_out: dict[str, list[str]]) -> dict[Split, list[RawFile]]:
    """The files of each split; what belongs to none goes to `left_out`."""
    files: dict[Split, list[RawFile]] = {split: [] for split in protocol.splits}
    seen: dict[str, RawFile] = {}
    for name, file in sorted(((file_id(protocol, file), file) for file in chosen), key=lambda pair: pair[0]):
        splits = protocol.file_splits(name)
        if not splits:
            left_out.setdefault(_why_not(protocol, name), []).append(file.name)
        elif name in seen:
            if seen[name].size != file.size:
                raise ValueError(f"{seen[name]} and {file} are two versions of one recording; keep one of them.")
            left_out.setdefault("there twice", []).append(file.name)
        else:
            seen[name] = file
            for split in splits:
                files[split].append(file)
    return files


def fingerprint(recordings: Recordings) -> None:
    """Fill in `fingerprint` and `content`."""
    changed, content = hashlib.sha256(), hashlib.sha256()
    for file in recordings.all_files:
        for part in (file, *file.companions):
            line = f"{file_id(recordings.protocol, file)}\t{part.name}\t{part.size}\n".encode(errors="surrogateescape")
            content.update(line)
            changed.update(line + f"{part}\t{part.stamp}\n".encode(errors="surrogateescape"))
    rule = recordings.protocol
    if rule.split_by == "sample":  # lists come from a file, which may change
        lists = repr([sorted(map(str, part)) for part in (rule.train, rule.test or ())]).encode()
        content.update(lists)
        changed.update(lists)
    recordings.fingerprint, recordings.content = changed.hexdigest(), content.hexdigest()


def _with_split_file(protocol: Protocol, found: Sequence[RawFile]) -> Protocol:
    """The protocol, decided by the lists of a file that came with the data, where it has one.

    Raises:
        ValueError: it needs one, and there is none.
    """
    if not protocol.split_files:
        return protocol
    file = next((file for name in protocol.split_files for file in found if file.name == name), None)
    if file is not None:
        from .split_files import read_split_file

        train, test = read_split_file(read_bytes(file), file.name)
        return replace(protocol, split_by="sample", train=train, test=test)
    if not protocol.train:
        raise ValueError(
            f"{protocol.name} is decided by a file that comes with the data: expected {protocol.split_files[0]} in the data folder."
        )
    return protocol


def _why_not(protocol: Protocol, name: str) -> str:
    if isinstance(protocol, FolderProtocol):
        return "not in the list of labels"
    if parse_name(protocol.reader, name) is None:
        return "not named like a recording"
    if name in protocol.missing_samples:
        return "on the list of missing skeletons"
    return "not part of this protocol"


def read_file(file: str | Path | RawFile, protocol: Protocol, denoise: bool = True) -> Iterator[Clip | ReadError]:
    """Read all clips of a file that the protocol keeps; a broken clip, or the whole file, comes out as its error.

    Args:
        file: As `find_recordings` lists it, with its companions.
        protocol: The protocol of `Recordings`.
        denoise: Choose the actors, where a format has more bodies than people.
    """
    file = RawFile.of(file)
    try:
        for sequence in _sequences(file, protocol, denoise):
            if isinstance(sequence, ReadError):
                yield sequence
            elif (split := protocol.split(sequence.sample_id)) is not None:
                yield Clip(split, replace(sequence, label=protocol.label(sequence.sample_id)))
    except ReadError as error:
        yield error


def _sequences(file: RawFile, protocol: Protocol, denoise: bool) -> Iterator[SkeletonSequence | ReadError]:
    if isinstance(protocol, FolderProtocol):
        from . import own

        yield from own.read_clips(file, protocol)
        return
    reader = get_reader(protocol.reader)
    if hasattr(reader, "read_clips"):
        yield from reader.read_clips(file, denoise=denoise)
    else:
        yield reader.read(file, denoise=denoise)
