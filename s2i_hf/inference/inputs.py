"""Clips of whatever a user names: one recording, a folder or zip archive of them, or a converted folder; none of it has to be labelled.

Formats of known data sets are told by their names and contents (`inspection.detection`), all others are read as recordings of one's own
(`readers.own`). What is broken comes out as its error, beside the clips that are well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from ..data.stored_clips import is_converted
from ..processing.skeleton_sequence import SkeletonSequence
from ..processing.suggestions import did_you_mean
from ..protocols import DATASETS, PROTOCOLS, get_protocol
from ..readers import READERS, RawFile, ReadError, get_reader
from ..readers.discovery import read_file
from ..readers.generic import folder as own
from ..readers.raw_files import find_raw_files

_OWN_ALONE = tuple(suffix for suffix in own.SUFFIXES if suffix != ".json")  # no data set comes in these
_MOTION = (".bvh", ".amc", ".asf")  # they name their joints themselves

Found = SkeletonSequence | ReadError


@dataclass
class FoundClips:
    """What is at a path, not read yet.

    Args:
        files: What there is to read: file names, relative to the path, sorted. A converted folder counts as one.
        fps: Frames a second, where the data set says so.
        left_out: Why files are not read -> their names, sorted.
    """

    files: list[str]
    fps: float | None = None
    left_out: dict[str, list[str]] = field(default_factory=dict)
    _read: Callable[[], Iterator[tuple[str, Found]]] = lambda: iter(())

    def read(self) -> Iterator[tuple[str, Found]]:
        """Name of the file and clip, or what is wrong with it, of all files in order. To be called once."""
        yield from self._read()


def find_clips(
    path: str | Path,
    layout: Any = None,
    unit: str | None = None,
    protocol: str | None = None,
    default_layout: Any = None,
) -> FoundClips:
    """Find what there is to read.

    Args:
        path: A recording, a folder or zip archive of recordings, or a folder made by `s2i convert`.
        layout: Joint format of general formats; clips are then not looked at as those of a known data set.
        unit: "m", "cm" or "mm", where a general format does not say it.
        protocol: Whose recordings they are; None: found out.
        default_layout: Joint format of general formats if `layout` is None.

    Raises:
        ValueError: there is nothing there that can be read, or no such protocol.
    """
    place = Path(path).expanduser()
    if not place.exists():
        raise ValueError(f"{place} is not there; expected a recording, a folder or zip archive of them.")
    check_protocol(protocol)
    if place.is_file() and place.suffix.lower() != ".zip":
        clips, fps = clips_of_file(place, layout, unit, protocol, default_layout)
        return FoundClips([place.name], fps, _read=lambda: ((place.name, clip) for clip in clips))
    if place.is_dir() and is_converted(place):
        return FoundClips([place.name], _read=lambda: ((place.name, clip) for clip in _converted(place)))
    reader = _reader_of(place, layout, protocol)
    return _of_reader(place, reader) if reader is not None else _of_own(place, layout, unit, default_layout)


def check_protocol(protocol: str | None) -> None:
    """Raise ValueError unless there is such a protocol; None is fine."""
    if protocol is not None and protocol not in PROTOCOLS:
        raise ValueError(f"--protocol is {protocol!r}, which is not known.{did_you_mean(protocol, PROTOCOLS)}")


# -- one file ----------------------------------------------------------------------------------------------------------


def clips_of_file(
    file: Path, layout: Any = None, unit: str | None = None, protocol: str | None = None, default_layout: Any = None
) -> tuple[Iterator[Found], float | None]:
    """All clips of a file, of which there may be none, and their frames a second if known; takes what `find_clips` takes.

    Raises:
        ValueError: it is no recording, or of a general format and nobody says in which joint format.
    """
    name = file.name.removesuffix(".gz")
    if protocol is not None or (layout is None and not name.endswith(_OWN_ALONE)):
        clips, fps = _known_clips(file, protocol)
        first = next(clips, None)
        if first is not None:
            return chain([first], clips), fps
    return _own_clips(file, layout if layout is not None else default_layout, unit, layout is not None), None


def _known_clips(file: Path, protocol: str | None) -> tuple[Iterator[Found], float | None]:
    """The clips of a recording of a known data set; none if it is none."""
    from ..inspection.detection import detect, first_clips

    reader, raw = None if protocol is None else get_protocol(protocol).reader, RawFile(file)
    if reader is None:
        found = detect(file)
        if found.kind == "dataset" and found.reader is not None:
            reader, raw = found.reader, found.files[0]
    name = file.name.removesuffix(".gz")
    if reader is None and not name.endswith(own.SUFFIXES):  # broken: its reader says how
        reader = next((reader for reader, facts in READERS.items() if name.endswith(facts.suffixes)), None)
    if reader is None:
        return iter(()), None
    return first_clips(get_reader(reader), raw), _fps(reader)


def _own_clips(file: Path, layout: Any, unit: str | None, named: bool) -> Iterator[Found]:
    motion = file.name.removesuffix(".gz").endswith((".bvh", ".amc"))
    layout = None if motion and not named else layout
    recordings = own.find_own(file, layout=layout, unit=unit, labelled=False)
    clips = (clip for raw in recordings.all_files for clip in read_file(raw, recordings.protocol))
    return (clip if isinstance(clip, ReadError) else clip.sequence for clip in clips)


def _fps(reader: str) -> float | None:
    known = {dataset.fps for dataset in DATASETS.values() if dataset.reader == reader}
    return known.pop() if len(known) == 1 else None


# -- many --------------------------------------------------------------------------------------------------------------


def _reader_of(place: Path, layout: Any, protocol: str | None) -> str | None:
    """Reader of the data set that the files are from; None for general formats."""
    from ..inspection.detection import detect

    if protocol is not None:
        return get_protocol(protocol).reader
    foreign = {suffix for facts in READERS.values() for suffix in facts.suffixes}
    if layout is not None or not find_raw_files(place, tuple(foreign)):
        return None
    found = detect(place)
    return found.reader if found.kind == "dataset" else None


def _of_reader(place: Path, reader: str) -> FoundClips:
    """All files in the format of a data set, whatever their names are."""
    from ..inspection.detection import first_clips

    module, suffixes = get_reader(reader), READERS[reader].suffixes
    broken: list[str] = []
    files = found = find_raw_files(place, suffixes, broken)
    left_out: dict[str, list[str]] = {}
    if hasattr(module, "select"):
        files, left_out = module.select(found)
    others = [file for file in find_raw_files(place, own.SUFFIXES) if not file.name.endswith(suffixes)]
    if others:
        left_out["of another format; name them alone"] = [_name(file, place) for file in others]
    if broken:
        left_out["zip archives that cannot be read"] = broken
    if not files:
        raise ValueError(f"No recordings in {place}: looked for files like {READERS[reader].example}.")
    left_out = {reason: sorted(names) for reason, names in left_out.items()}
    return FoundClips(
        [_name(file, place) for file in files], _fps(reader), left_out,
        lambda: ((_name(file, place), clip) for file in files for clip in first_clips(module, file)),
    )  # fmt: skip


def _of_own(place: Path, layout: Any, unit: str | None, default_layout: Any) -> FoundClips:
    if layout is None and not any(not file.name.endswith(_MOTION) for file in find_raw_files(place, own.SUFFIXES)):
        default_layout = None
    layout = layout if layout is not None else default_layout
    recordings = own.find_own(place, layout=layout, unit=unit, labelled=False)
    files = recordings.all_files

    def read() -> Iterator[tuple[str, Found]]:
        for file in files:
            for clip in read_file(file, recordings.protocol):
                yield _name(file, place), clip if isinstance(clip, ReadError) else clip.sequence

    return FoundClips([_name(file, place) for file in files], None, recordings.left_out, read)


def _converted(place: Path) -> Iterator[Found]:
    from ..data.loading import as_rows, load_skeletons

    for split in load_skeletons(str(place)).values():
        rows = as_rows(split)
        for index in range(len(rows)):
            yield SkeletonSequence(**rows[index])


def _name(file: RawFile, place: Path) -> str:
    """Name of a file in a folder or archive."""
    try:
        name = file.path.relative_to(place).as_posix() if file.path != place else ""
    except ValueError:
        name = file.path.name
    return "!".join(part for part in (name, file.member) if part)
