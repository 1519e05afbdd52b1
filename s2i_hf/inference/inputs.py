"""Clips of whatever a user names: one recording, a folder or zip archive of them, or a converted folder; none of it has to be labelled.

Formats of known data sets are told by their names and contents (`inspection.detection`), all others are read as custom data
(`readers.generic.folder`). What is broken comes out as its error, beside the clips that are well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Unpack

from ..data.storage import META_FILE, read_meta
from ..data.stored_clips import is_converted
from ..inspection.detection import detect
from ..processing.layouts import LayoutLike
from ..processing.skeleton_sequence import SkeletonSequence
from ..processing.suggestions import did_you_mean
from ..protocols import DATASETS, PROTOCOLS, get_protocol
from ..readers import READERS, RawFile, ReadError
from ..readers.benchmarks import select
from ..readers.discovery import raw_clips, read_file
from ..readers.generic.folder import SUFFIXES, FolderOptions, find_folder
from ..readers.raw_files import list_raw_files, on_disk, why_closed, with_suffix, without_gz
from ..readers.recordings import name_in

_GENERIC_ALONE = tuple(suffix for suffix in SUFFIXES if suffix != ".json")  # no data set comes in these

Found = SkeletonSequence | ReadError


@dataclass
class FoundClips:
    """What is at a path, not read yet.

    Args:
        place: The path.
        files: What there is to read, sorted by name. A converted folder counts as one.
        clips_of: The clips of a file, or what is wrong with them.
        fps: Frames a second, where the data set says so.
        left_out: Why files are not read -> their names, sorted.
    """

    place: Path
    files: Sequence[RawFile]
    clips_of: Callable[[RawFile], Iterator[Found]]
    fps: float | None = None
    left_out: dict[str, list[str]] = field(default_factory=dict)

    def read(self) -> Iterator[tuple[str, Found]]:
        """Name of the file, relative to the path, and clip, or what is wrong with it, of all files in order. To be called once."""
        for file in self.files:
            for clip in self.clips_of(file):
                yield name_in(file, self.place), clip


def find_clips(
    path: str | Path,
    protocol: str | None = None,
    default_layout: LayoutLike | None = None,
    **options: Unpack[FolderOptions],
) -> FoundClips:
    """Find what there is to read.

    Args:
        path: A recording, a folder or zip archive of recordings, or a folder made by `s2i convert`.
        protocol: Whose recordings they are; None: found out.
        default_layout: Joint format of general formats that do not say it, if `layout` is None.
        options: layout, unit and the like of general formats, see `readers.generic.folder.find_folder`; with a layout clips are not looked
            at as those of a known data set.

    Raises:
        ValueError: there is nothing there that can be read, or no such protocol.
    """
    place = Path(path).expanduser()
    if not place.exists():
        raise ValueError(f"{place} is not there; expected a recording, a folder or zip archive of them.")
    check_protocol(protocol)
    if place.is_file() and place.suffix.lower() != ".zip":
        clips, fps = clips_of_file(place, protocol, default_layout, **options)
        return FoundClips(place, [RawFile(place)], lambda _: clips, fps)
    if place.is_dir() and is_converted(place):
        fps = read_meta(place).get("fps") if (place / META_FILE).is_file() else None
        return FoundClips(place, [RawFile(place)], lambda _: _converted(place), fps)
    files = list_raw_files(place)
    of_data_sets = tuple({suffix for facts in READERS.values() for suffix in facts.suffixes})
    reader = None if protocol is None else get_protocol(protocol).reader
    if reader is None and options.get("layout") is None and with_suffix(files, of_data_sets):
        detected = detect(place, files=files)
        reader = detected.reader if detected.kind == "dataset" else None
    if reader is not None:
        return _of_reader(place, reader, files)
    return _custom(place, files, default_layout, options)


def check_protocol(protocol: str | None) -> None:
    """Raise ValueError unless there is such a protocol; None is fine."""
    if protocol is not None and protocol not in PROTOCOLS:
        raise ValueError(f"--protocol is {protocol!r}, which is not known.{did_you_mean(protocol, PROTOCOLS)}")


def clips_of_file(
    file: Path,
    protocol: str | None = None,
    default_layout: LayoutLike | None = None,
    **options: Unpack[FolderOptions],
) -> tuple[Iterator[Found], float | None]:
    """All clips of a file, of which there may be none, and their frames a second if known; takes what `find_clips` takes.

    Raises:
        ValueError: it is no recording, or of a general format and nobody says in which joint format.
    """
    name, raw = without_gz(file.name).lower(), on_disk(file)
    if protocol is not None or (options.get("layout") is None and not name.endswith(_GENERIC_ALONE)):
        reader = None if protocol is None else get_protocol(protocol).reader
        if reader is None and (found := detect(file)).kind == "dataset":
            reader, raw = found.reader, found.files[0]
        if reader is None and not name.endswith(SUFFIXES):  # broken: its reader says how
            reader = next((reader for reader, facts in READERS.items() if name.endswith(facts.suffixes)), None)
        clips = iter(()) if reader is None else raw_clips(reader, raw)
        first = next(clips, None)
        if reader is not None and first is not None:
            return chain([first], clips), _fps(reader)
    custom = _custom(file, [raw], default_layout, options)
    return chain.from_iterable(map(custom.clips_of, custom.files)), custom.fps


def _fps(reader: str) -> float | None:
    known = {dataset.fps for dataset in DATASETS.values() if dataset.reader == reader}
    return known.pop() if len(known) == 1 else None


def _of_reader(place: Path, reader: str, found: Sequence[RawFile]) -> FoundClips:
    """All files in the format of a data set, whatever their names are."""
    of_format = set(with_suffix(found, READERS[reader].suffixes))
    files, left_out = select(reader, found)
    others = [file for file in with_suffix(found, SUFFIXES) if file not in of_format]
    left_out["of another format; name them alone"] = [name_in(file, place) for file in others]
    for file in found:
        if reason := why_closed(file):
            left_out.setdefault(reason, []).append(name_in(file, place))
    if not files:
        raise ValueError(f"No recordings in {place}: looked for files like {READERS[reader].example}.")
    left_out = {reason: sorted(names) for reason, names in left_out.items() if names}
    return FoundClips(place, files, lambda file: raw_clips(reader, file), _fps(reader), left_out)


def _custom(
    place: Path, found: Sequence[RawFile], default_layout: LayoutLike | None, options: FolderOptions
) -> FoundClips:
    """Custom data: recordings of general formats."""
    recordings = find_folder(place, default_layout=default_layout, labelled=False, files=found, **options)

    def clips_of(file: RawFile) -> Iterator[Found]:
        clips = read_file(file, recordings.protocol)
        return (clip if isinstance(clip, ReadError) else clip.sequence for clip in clips)

    return FoundClips(place, recordings.all_files, clips_of, recordings.fps, recordings.left_out)


def _converted(place: Path) -> Iterator[Found]:
    from ..data.loading import as_rows, load_skeletons

    for rows in map(as_rows, load_skeletons(str(place)).values()):
        for index in range(len(rows)):
            yield SkeletonSequence(**rows[index])
