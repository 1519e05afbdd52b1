"""What is in this folder, archive or file? Names first, then contents; nothing is unpickled and no file is changed.

`detect` says which data set it is and which protocols it serves, or which of the general formats, or what the files look like
when neither fits, and always which command to try next.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from ..data.stored_clips import is_converted
from ..processing.layouts import LAYOUTS
from ..processing.skeleton_sequence import SkeletonSequence
from ..protocols import DATASETS, PROTOCOLS, Protocol, parse_name
from ..readers import READERS, RawFile, ReadError, get_reader
from ..readers.discovery import find_recordings
from ..readers.generic.folder import SUFFIXES
from ..readers.raw_files import find_raw_files, list_raw_files, with_suffix
from ..readers.recordings import Recordings
from .detection_generic import LayoutLike, compare_layouts, ctr_gcn_shapes, fit_layouts, spread
from .file_types import PICKLE, describe, is_pickle
from .report import Detection, Suffix

_SHOWN = 3  # files of each suffix that are kept as examples
_PROBES = 3  # recordings that are opened to see whether a reader or a layout fits

_HINTS = (
    ((".avi", ".mp4", ".mkv", ".mov"), "videos are not skeletons: run a pose estimator on them first"),
    ((".png", ".jpg", ".jpeg", ".bmp"), "images are not skeletons"),
    ((".rar", ".7z", ".tgz", ".tar", ".bz2", ".xz"), "unpack the archives first; .zip is read as it is"),
    ((".pt", ".pth", ".ckpt"), f"files of torch.save are {PICKLE}"),
)


def detect(path: str | Path, protocol: str | Protocol | None = None, layout: LayoutLike | None = None) -> Detection:
    """Say what `path` is.

    Args:
        path: A folder, a zip archive, a single recording, or a folder made by `s2i convert`.
        protocol: Whose recordings they are; None: found out.
        layout: Joint layout of custom data, as `load_skeletons` takes it; None: found out.

    Raises:
        ValueError: there is no such file or folder, it is empty, or it does not serve the protocol that was asked for.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise ValueError(f"{path} is not there; expected a folder, a zip archive or a recording.")
    if path.is_dir() and is_converted(path):
        return Detection("converted", "a data set made by `s2i convert`", path)
    found: Detection | None
    if protocol is not None:
        recordings = find_recordings(protocol, path)
        rule = recordings.protocol
        found = Detection("dataset", _title(rule.reader, rule), path, rule.reader, [recordings], recordings.all_files)
        found.suffixes = count_suffixes(recordings.all_files)
        found.commands = [_convert(rule.name, path)]
        return found
    files = list_raw_files(path)
    if not files:
        raise ValueError(f"{path} has no files in it, three levels of folders deep; expected recordings.")
    suffixes = count_suffixes(files)
    notes: list[str] = []
    known, broken = _dataset(path, files) if layout is None else (None, None)
    found = (
        known
        or _pickles(path, files)
        or _folder(path, files, layout, notes)
        or broken
        or _unknown(path, suffixes, notes)
    )
    found.suffixes = suffixes
    return found


def _convert(name: str, path: Path) -> str:
    return f"s2i convert {name} --data-dir {shlex.quote(str(path))} --output OUT"


def first_clips(reader: Any, file: RawFile) -> Iterator[SkeletonSequence | ReadError]:
    """The clips of a raw file, read as its data set numbers them; see `readers`."""
    try:
        if hasattr(reader, "read_clips"):
            yield from reader.read_clips(file)
        else:
            yield reader.read(file)
    except ReadError as error:
        yield error


# -- known data sets ---------------------------------------------------------------------------------------------------


def _title(reader: str, protocol: Protocol | None) -> str:
    titles = [data.title for data in DATASETS.values() if data.reader == reader]
    if protocol is not None and protocol.dataset in DATASETS:
        titles = [DATASETS[protocol.dataset].title]
    return f"{' or '.join(titles) or reader}, raw files as read by {reader}"


def _dataset(path: Path, files: Sequence[RawFile]) -> tuple[Detection | None, Detection | None]:
    """The data set whose names and contents the files have; and that whose names they have, if none can be read."""
    if path.is_file() and path.suffix.lower() != ".zip":
        return _single(path), None
    named = {reader: _named(reader, files) for reader in READERS}
    known: list[Detection] = []
    broken: list[Detection] = []
    for reader in sorted((name for name in READERS if named[name]), key=lambda name: -len(named[name])):
        recordings, notes = _protocols(reader, path, files)
        chosen = list({str(file): file for one in recordings for file in one.all_files}.values()) or named[reader]
        found = Detection("dataset", _title(reader, recordings[0].protocol if recordings else None), path, reader)
        found.recordings, found.files, found.notes = recordings, chosen, notes
        if recordings:
            name = recordings[0].protocol.name
            found.commands = [_convert(name, path)]
            datasets = {one.protocol.dataset: DATASETS[one.protocol.dataset].title for one in recordings}
            if len(datasets) > 1 and not _completeness(recordings[0]):
                found.notes.append(
                    f"The names are those of {' and of '.join(datasets.values())}; --protocol says which it is."
                )
        (known if _readable(reader, chosen) else broken).append(found)
    for other in known[1:]:
        flag = f" --protocol {other.recordings[0].protocol.name}" if other.recordings else ""
        known[0].notes.append(
            f"It also holds {other.what}: {len(other.files):,} files; see them with{flag or ' a path to them'}."
        )
    first = known[0] if known else _unnamed(path, files)
    return first, broken[0] if broken else None


def _named(reader: str, files: Sequence[RawFile]) -> list[RawFile]:
    """The files that are named like recordings of a reader."""
    module = _module(reader)
    if module is None:
        return []
    named = []
    for file in with_suffix(files, READERS[reader].suffixes):
        try:
            if parse_name(reader, _recording_name(module, file)) is not None:
                named.append(file)
        except (KeyError, ValueError):
            return []
    return named


def _recording_name(module: Any, file: RawFile) -> str:
    """What names a file for its reader."""
    name_of: Callable[[RawFile], str] | None = getattr(module, "sample_id", None)
    return name_of(file) if name_of else file.stem


def protocols_of(file: RawFile, reader: str) -> list[Protocol]:
    """The protocols of a reader that have a split for a file of this name."""
    name = _recording_name(get_reader(reader), file)
    return [rule for rule in PROTOCOLS.values() if rule.reader == reader and rule.file_splits(name)]


def _module(reader: str) -> Any:
    try:
        return get_reader(reader)
    except ImportError:  # what it needs is not installed
        return None


def _protocols(reader: str, path: Path, files: Sequence[RawFile]) -> tuple[list[Recordings], list[str]]:
    """What each protocol of a reader finds, complete ones first, then by size; and why some find nothing."""
    found, notes = [], []
    for protocol in (one for one in PROTOCOLS.values() if one.reader == reader):
        try:
            found.append(find_recordings(protocol, path, files))
        except ValueError as error:
            if not str(error).startswith("No recordings of"):
                notes.append(str(error))
    return sorted(found, key=lambda one: (-_completeness(one), -len(one.all_files))), notes


def _completeness(recordings: Recordings) -> int:
    """1 if every split has as many files as the complete data set has clips."""
    rule = recordings.protocol
    return int(all(rule.expected(split) == len(files) for split, files in recordings.files.items()))


def _readable(reader: str, files: Sequence[RawFile]) -> bool:
    """Whether one of some files, spread over all, gives a clip."""
    module = _module(reader)
    return module is not None and any(
        isinstance(clip, SkeletonSequence)
        for file in spread(files, 2 * _PROBES)
        for clip in islice(first_clips(module, file), 2)
    )


def _single(path: Path) -> Detection | None:
    """A single recording; what belongs to it (angles, labels) is looked for in the folders around it."""
    file = RawFile(path, size=path.stat().st_size)
    for fits_name in (True, False):
        for reader in READERS:
            module = _module(reader)
            if module is None or not with_suffix([file], READERS[reader].suffixes):
                continue
            if fits_name != bool(_named(reader, [file])):
                continue
            for one in _with_companions(module, reader, file):
                if any(isinstance(clip, SkeletonSequence) for clip in islice(first_clips(module, one), 2)):
                    rules = protocols_of(file, reader)
                    title = _title(reader, rules[0] if rules else None)
                    found = Detection("dataset", f"one recording of {title}", path, reader, files=[one])
                    if not fits_name:
                        found.notes.append(f"It is not named like one; expected a name like {READERS[reader].example}.")
                    elif rules:
                        found.notes.append(f"A recording of {', '.join(rule.name for rule in rules)}.")
                    return found
    return None


def _with_companions(module: Any, reader: str, file: RawFile) -> list[RawFile]:
    select = getattr(module, "select", None)
    if select is None:
        return [file]
    for folder in (file.path.parent, file.path.parent.parent):
        try:
            chosen = select(find_raw_files(folder, READERS[reader].suffixes))[0]
        except (ValueError, OSError):
            continue
        same = [one for one in chosen if one.path == file.path]
        if same:
            return same
    return [file]


def _unnamed(path: Path, files: Sequence[RawFile]) -> Detection | None:
    """Contents of a known data set under other names."""
    for reader, facts in READERS.items():
        candidates = with_suffix(files, facts.suffixes)
        module = _module(reader)
        if module is None or not candidates:
            continue
        some = spread(candidates, _PROBES)
        clips = [next(first_clips(module, file), None) for file in some]
        if all(isinstance(clip, SkeletonSequence) for clip in clips):
            found = Detection("dataset", _title(reader, None), path, reader, files=candidates)
            found.notes = [
                f"The contents are those of {reader} files, the names are not: expected names like {facts.example}, got "
                f"{candidates[0].name}. Rename them, since subject, view and action are read off the names."
            ]
            return found
    return None


# -- files --------------------------------------------------------------------------------------------------------------


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


# -- general formats ---------------------------------------------------------------------------------------------------


def _pickles(path: Path, files: Sequence[RawFile]) -> Detection | None:
    pickles = [file for file in files if suffix_of(file) in (".pkl", ".pickle")]
    pickles += [file for file in files[:1] if len(files) == 1 and not pickles and is_pickle(file)]
    if not pickles or len(pickles) < len(files) / 2:
        return None
    found = Detection("pickle", PICKLE, path, files=pickles)
    found.notes = [
        "PYSKL and MMAction2 keep their annotations in such files; the converter takes arrays, strings and numbers only."
    ]
    where = pickles[0]
    if not where.member:
        found.commands = [f"s2i convert-pickle {shlex.quote(str(where.path))} --output OUT"]
    return found


def _folder(path: Path, files: Sequence[RawFile], layout: LayoutLike | None, notes: list[str]) -> Detection | None:
    """Recordings in a general format, and the layouts that fit them best; what keeps them from being read goes to `notes`."""
    custom = with_suffix(files, SUFFIXES)
    if not custom:
        return None
    found = Detection(
        "folder", f"recordings in a general format ({', '.join(count_suffixes(custom))})", path, files=custom
    )
    if shapes := ctr_gcn_shapes(custom):
        found.what = f"a padded .npz of CTR-GCN or MAMP, {shapes}"
        layout = layout if layout is not None else "kinect_v2"
    found.misfits, found.unit, problem = fit_layouts(path, custom, layout)
    if not found.misfits:
        if layout is not None:
            raise ValueError(problem or f"None of the {len(custom)} recordings in {path} fits that layout.")
        notes += (
            [f"Read as recordings of your own they fit no known layout; the first that was tried: {problem}"]
            if problem
            else []
        )
        return None
    if len(found.misfits) > 1:
        found.notes.append(compare_layouts(found.misfits))
    shown = str(layout) if isinstance(layout, (str, Path)) else next(iter(found.misfits))
    unit = f" --unit {found.unit}" if found.unit else ""
    where = shlex.quote(str(path))
    flag = "" if layout is None and custom[0].name.endswith(".bvh") else f" --layout {shlex.quote(shown)}"
    found.commands = [f"s2i convert folder --data-dir {where}{flag}{unit} --output OUT"]
    return found


# -- neither -----------------------------------------------------------------------------------------------------------


def _unknown(path: Path, suffixes: dict[str, Suffix], notes: list[str]) -> Detection:
    found = Detection("unknown", "no format that s2i-hf knows", path, notes=notes)
    for suffix, group in list(suffixes.items())[:6]:
        for file in group.some[:1]:
            found.notes.append(f"{file.name}: {describe(file)}.")
        found.notes += [f"{hint[0].upper()}{hint[1:]}." for those, hint in _HINTS if suffix in those]
    counts = Counter(layout.num_joints for layout in LAYOUTS.values())
    found.notes.append(
        "Own recordings may be .npy or .npz of shape (T, V, 3) or (T, M, V, 3), .csv with a row a frame, lists in .json, .bvh or .amc; "
        f"layouts with {', '.join(map(str, sorted(counts)))} joints are known, others are a JSON file for --layout."
    )
    if set(suffixes) & set(SUFFIXES):
        found.commands = [f"s2i inspect {shlex.quote(str(path))} --layout LAYOUT"]
    return found
