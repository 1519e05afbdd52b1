"""The recordings of a protocol, each with its split, and the hashes that tell one set of files from another."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ..processing.skeleton_sequence import SkeletonSequence
from ..protocols import Protocol, Split
from ..protocols.folder import FolderProtocol
from ..utils.text import printable
from .benchmarks import recording_name
from .generic.pose_estimators.frame_files import FRAME_SUFFIXES, clip_name
from .raw_files import RawFile, without_gz


class Clip(NamedTuple):
    """One clip and the split it belongs to; its label is the protocol's."""

    split: Split
    sequence: SkeletonSequence


@dataclass
class Recordings:
    """What is in a data folder."""

    protocol: Protocol  # the rule they are split by; where a file beside the data decides, with what it says
    files: dict[
        Split, list[RawFile]
    ]  # of each split, sorted by name; one with clips of several splits is in all of them
    left_out: dict[str, list[str]] = field(default_factory=dict)  # why files were left out -> their names
    notes: list[str] = field(default_factory=list)  # sentences about how the folder was read
    warnings: list[str] = field(default_factory=list)  # and about what looks wrong with it

    def __post_init__(self) -> None:
        left_out = [(printable(reason), sorted(map(printable, names))) for reason, names in self.left_out.items()]
        self.left_out = {reason: names for reason, names in left_out if names}
        self.notes, self.warnings = [*map(printable, self.notes)], [*map(printable, self.warnings)]

    @cached_property
    def all_files(self) -> list[RawFile]:
        """Every file once, sorted by name."""
        files = {str(file): file for files in self.files.values() for file in files}
        return sorted(files.values(), key=lambda file: (file_id(self.protocol, file), str(file)))

    @property
    def fps(self) -> float | None:
        """Frames a second of custom data, if somebody says it."""
        return self.protocol.fps if isinstance(self.protocol, FolderProtocol) else None

    def missing(self, split: Split, found: Sequence[str]) -> list[str]:
        """Sorted ids that `split` should have and `found` lacks; empty if nobody lists what should be there."""
        if self.protocol.expected(split) in (None, len(found)):
            return []
        return sorted(set(self.protocol.expected_ids(split) or ()) - set(found))

    @property
    def fingerprint(self) -> str:
        """Hash of names, sizes and times of change of `files`, and of what labels them: another one means other data."""
        return self._hashes[0]

    @property
    def content(self) -> str:
        """`fingerprint` without times of change and places, which stays the same on another machine."""
        return self._hashes[1]

    @cached_property
    def _hashes(self) -> tuple[str, str]:
        rule = self.protocol
        files = [(file_id(rule, file), part) for file in self.all_files for part in (file, *file.companions)]
        named = [f"{name}\t{part.name}\t{part.size}\n" for name, part in files]
        placed = [f"{line}{part}\t{part.stamp}\n" for line, (_, part) in zip(named, files, strict=True)]
        if rule.split_by == "sample":  # lists come from a file, which may change
            lists = repr([sorted(map(str, part)) for part in (rule.train, rule.test or ())])
            named, placed = [*named, lists], [*placed, lists]
        changed, content = _sha256("".join(placed)), _sha256("".join(named))
        if isinstance(rule, FolderProtocol):  # labels, layout and unit change the rows as the files do
            joints = {key: value for key, value in rule.skeleton.to_dict().items() if key != "source"}
            facts = (joints, rule.unit, rule.up, rule.any_size, rule.axes, rule.names, sorted(rule.table.items()))
            changed, content = (_sha256(f"{one}{facts!r}") for one in (changed, content))
        return changed, content


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def name_in(file: RawFile, place: Path) -> str:
    """Name of a file with the folders it lies in below `place`, a folder, archive or file; of `place` itself its own."""
    beside = file.path.relative_to(place).as_posix() if file.path.is_relative_to(place) else file.path.name
    return "!".join(part for part in (beside, file.member) if part and part != ".") or place.name


def file_id(protocol: Protocol, file: RawFile) -> str:
    """What names a file of this protocol: its stem, or what its reader makes of the folders it lies in."""
    if isinstance(protocol, FolderProtocol):  # "wave/clip_01": its path in the folder or archive, without extension
        root = Path(protocol.root)
        beside = file.path.name if file.path == root or file.member else file.path.relative_to(root).as_posix()
        path = PurePosixPath(unicodedata.normalize("NFC", file.member or beside))  # macOS writes accents apart
        path = path.with_name(without_gz(path.name)).with_suffix("")
        name = clip_name(path.name, bool(file.companions)) if file.suffix in FRAME_SUFFIXES else path.name
        return path.with_name(name or path.parent.name or path.name).as_posix()
    return recording_name(protocol.reader, file)
