"""What lies in a folder or archive: all files, how many end alike, and the record in which `detection` says what they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

from ..readers import RawFile, ReadError
from ..readers.raw_files import find_raw_files
from ..readers.recordings import Recordings
from .detection_generic import spread

Kind = Literal["converted", "dataset", "own", "pickle", "unknown"]
_SHOWN = 3  # files of each suffix that are kept as examples


@dataclass
class Suffix:
    """How many files end alike, their bytes, and some of them, evenly spread over the names."""

    count: int
    size: int
    some: list[RawFile]


@dataclass
class Detection:
    """What `detect` found.

    Args:
        kind: "converted" (made by `s2i convert`), "dataset" (raw files of a known one), "own" (a general format), "pickle", "unknown".
        what: The verdict in a phrase.
        path: What was looked at.
        reader: Name of the reader of a data set.
        recordings: For each protocol that fits what it finds, the best fit first.
        files: The raw files that should be read.
        census: Suffix -> what ends so.
        misfits: Layout -> how badly its tree fits, see `body_checks.layout_misfit`; the best first.
        unit: Unit in which own recordings have to be read; None: metres.
        notes: Sentences.
        commands: What to try next.
    """

    kind: Kind
    what: str
    path: Path
    reader: str = ""
    recordings: list[Recordings] = field(default_factory=list)
    files: list[RawFile] = field(default_factory=list)
    census: dict[str, Suffix] = field(default_factory=dict)
    misfits: dict[str, float] = field(default_factory=dict)
    unit: str | None = None
    notes: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)


def all_files(path: Path) -> list[RawFile]:
    """Every file in a folder or archive, with those in archives in it; or the one file."""
    if path.is_file() and path.suffix.lower() != ".zip":
        return [RawFile(path, size=path.stat().st_size)]
    files: list[RawFile] = []
    for file in find_raw_files(path, ("",)):
        if file.member or not file.name.lower().endswith(".zip"):
            files.append(file)
        else:
            try:
                files += find_raw_files(file.path, ("",))
            except ReadError:
                files.append(file)
    return [file for file in files if not file.name.endswith("/") and (not file.member or file.size)]


def suffix_of(file: RawFile) -> str:
    return PurePosixPath(file.name.removesuffix(".gz")).suffix.lower() + (".gz" if file.name.endswith(".gz") else "")


def count_suffixes(files: Sequence[RawFile]) -> dict[str, Suffix]:
    groups: dict[str, list[RawFile]] = {}
    for file in files:
        groups.setdefault(suffix_of(file), []).append(file)
    ordered = sorted(groups.items(), key=lambda item: -len(item[1]))
    return {
        suffix: Suffix(len(group), sum(max(file.size, 0) for file in group), spread(group, _SHOWN))
        for suffix, group in ordered
    }


def with_suffix(files: Sequence[RawFile], suffixes: tuple[str, ...]) -> list[RawFile]:
    return [file for file in files if file.name.removesuffix(".gz").endswith(suffixes)]
