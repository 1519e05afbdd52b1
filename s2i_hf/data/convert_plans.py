"""What a conversion converts, and how its recordings are cut into pieces."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..protocols import PROTOCOLS, Protocol
from ..readers import RawFile
from ..readers.recordings import Recordings
from .recorded_rows import code_hash

_MAX_FILES = 64  # recordings in a piece: about a second of work
_MAX_BYTES = 64 << 20  # of raw files in a piece
_NAMES_KEPT = 20  # of long lists


@dataclass(frozen=True)
class Names:
    """How many there are, and the first of them."""

    count: int
    first: list[str]

    @classmethod
    def of(cls, names: Sequence[str]) -> Names:
        """The beginning of a list of names."""
        return cls(len(names), list(names[:_NAMES_KEPT]))

    def __str__(self) -> str:
        return ", ".join(self.first[:5]) + (", ..." if self.count > 5 else "")


@dataclass(frozen=True)
class Plan:
    """What is converted; two conversions with equal plans give equal pieces.

    Args:
        name: The protocol.
        dataset: Its data set.
        source: Where it is published.
        layout: Joint format of the recordings; "" if they have several.
        class_names: Names of the classes.
        splits: Names of the splits.
        expected: Clips that each split has when the data set is complete; None if not fixed.
        split_lists: What decides, for each split, where that is a file beside the data.
        videos: Videos found for each split and videos expected, where clips are cut from videos.
        denoise: Whether the readers choose the actors.
        content: `Recordings.content`.
        code: Hash of the code and lists that decide what a row holds.
        files: Recordings.
        pieces: Pieces that they are cut into.
        left_out: Why other files are left out -> their names.
    """

    name: str
    dataset: str
    source: str
    layout: str
    class_names: list[str]
    splits: list[str]
    expected: dict[str, int | None]
    split_lists: dict[str, list[str]]
    videos: dict[str, list[int]]
    denoise: bool
    content: str
    code: str
    files: int
    pieces: int
    left_out: dict[str, Names]

    @classmethod
    def of(cls, recordings: Recordings, denoise: bool, pieces: int) -> Plan:
        """The plan for these recordings."""
        protocol = recordings.protocol
        lists: dict[str, list[str]] = {}
        if protocol.split_files and protocol.split_by == "sample":
            lists = {"train": sorted(map(str, protocol.train)), "test": sorted(map(str, protocol.test or ()))}
        videos = {}
        for split, expected in zip(("train", "test"), protocol.expected_videos or (), strict=False):
            videos[split] = [len(recordings.files.get(split, ())), expected]  # type: ignore[call-overload]
        return cls(
            name=protocol.name,
            dataset=protocol.dataset,
            source=protocol.source,
            layout=str(getattr(protocol.layout, "name", protocol.layout) or ""),
            class_names=list(protocol.class_names),
            splits=list(protocol.splits),
            expected={split: protocol.expected(split) for split in protocol.splits},
            split_lists=lists,
            videos=videos,
            denoise=denoise,
            content=recordings.content,
            code=code_hash(),
            files=len(recordings.all_files),
            pieces=pieces,
            left_out={reason: Names.of(names) for reason, names in sorted(recordings.left_out.items())},
        )

    @property
    def id(self) -> str:
        """16 hexadecimal digits; equal for equal plans."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    @property
    def protocol(self) -> Protocol | None:
        """The protocol of that name, with the lists that decided; None for recordings of one's own."""
        protocol = PROTOCOLS.get(self.name)
        if protocol is None or not self.split_lists:
            return protocol
        train, test = (frozenset(self.split_lists[split]) for split in ("train", "test"))
        return replace(protocol, split_by="sample", train=train, test=test or None)

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Inverse of `to_json`. Raises ValueError for anything else."""
        try:
            values = json.loads(text)
            values["left_out"] = {reason: Names(**names) for reason, names in values["left_out"].items()}
            return cls(**values)
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"not a plan of `s2i convert` ({error!r})") from None


def cut(files: Sequence[RawFile]) -> list[list[RawFile]]:
    """Cut files into pieces of at most 64 files, or about 64 MB; which ones depends on their order and sizes alone."""
    pieces: list[list[RawFile]] = []
    filled = 0
    for file in files:
        size = sum(max(part.size, 0) for part in (file, *file.companions))
        if not pieces or len(pieces[-1]) == _MAX_FILES or filled + size > _MAX_BYTES:
            pieces.append([])
            filled = 0
        pieces[-1].append(file)
        filled += size
    return pieces


class PackedFiles(Sequence[RawFile]):
    """Recordings as text: a hundred thousand of them as objects take more memory than all else in a conversion."""

    def __init__(self, files: Sequence[RawFile]) -> None:
        self._count, self._text = len(files), json.dumps([_packed(file) for file in files])

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Any:
        return [_unpacked(values) for values in json.loads(self._text)][index]

    def __iter__(self) -> Iterator[RawFile]:
        return map(_unpacked, json.loads(self._text))


def _packed(file: RawFile) -> list[Any]:
    return [str(file.path), file.member, [_packed(part) for part in file.companions], file.size, file.stamp]


def _unpacked(values: list[Any]) -> RawFile:
    path, member, companions, size, stamp = values
    return RawFile(Path(path), member, tuple(map(_unpacked, companions)), size, stamp)


def newest_change(files: Sequence[RawFile]) -> float:
    """Seconds since the epoch at which the last of these files, or of the archives they are in, changed."""
    parts = [part for file in files for part in (file, *file.companions)]
    times = [0.0, *(part.stamp / 1e9 for part in parts if not part.member)]
    for path in {part.path for part in parts if part.member}:
        with contextlib.suppress(OSError):
            times.append(path.stat().st_mtime)
    return max(times)
