"""What is in this folder, archive or file? Names first, then contents; nothing is unpickled and no file is changed.

`detect` says which data set it is and which protocols it serves, or which of the general formats, or what the files look like
when neither fits, and always which command to try next.
"""

from __future__ import annotations

import contextlib
import math
import shlex
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from ..data.stored_clips import is_converted
from ..processing.layouts import LAYOUTS, SkeletonLayout
from ..processing.skeleton_sequence import SkeletonSequence
from ..protocols import DATASETS, PROTOCOLS, Protocol, parse_name
from ..readers import READERS, NoClip, RawFile, ReadError, get_reader
from ..readers.benchmarks import recording_name, select
from ..readers.discovery import find_recordings, raw_clips, read_file
from ..readers.generic.folder import SUFFIXES, TABLES, find_folder, logger as folder_logger
from ..readers.raw_files import list_raw_files, with_suffix
from ..readers.recordings import Recordings
from .body_checks import CLEAR, check_body, layout_misfit
from .file_types import PICKLE, describe, is_pickle, npz_headers
from .report import Detection, Suffix
from .statistics import spread

_PROBES = 3  # recordings that are opened to see whether a reader or a layout fits
_CLIPS = 4  # clips looked at in each of them, to see whether a layout fits
_UNITS = (None, "mm", "cm")  # as `find_folder` takes them; None: that of the layout
_MOTION = (".bvh", ".amc", ".asf", ".c3d", ".trc", ".mvnx")  # they name their joints themselves
LayoutLike = str | Path | SkeletonLayout  # as `find_folder` takes it

_HINTS = (
    ((".avi", ".mp4", ".mkv", ".mov"), "Videos are not skeletons: run a pose estimator on them first"),
    ((".png", ".jpg", ".jpeg", ".bmp"), "Images are not skeletons"),
    ((".rar", ".7z", ".tgz", ".tar", ".bz2", ".xz"), "Unpack the archives first; .zip is read as it is"),
    ((".pt", ".pth", ".ckpt"), f"Files of torch.save are {PICKLE}"),
)


def detect(
    path: str | Path,
    protocol: str | None = None,
    layout: LayoutLike | None = None,
    files: Sequence[RawFile] | None = None,
) -> Detection:
    """Say what `path` is.

    Args:
        path: A folder, a zip archive, a single recording, or a folder made by `s2i convert`.
        protocol: Whose recordings they are; None: found out.
        layout: Joint layout of custom data, as `load_skeletons` takes it; None: found out.
        files: What is in a folder or archive, if `raw_files.list_raw_files` was asked before.

    Raises:
        ValueError: there is no such file or folder, it is empty, or it does not serve the protocol that was asked for.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise ValueError(f"{path} is not there; expected a folder, a zip archive or a recording.")
    if path.is_dir() and is_converted(path):
        return Detection("converted", "a data set made by `s2i convert`", path)
    if protocol is not None:
        recordings = find_recordings(protocol, path)
        found = _data_set(path, recordings.protocol.reader, [recordings])
        found.suffixes = _count_suffixes(found.files)
        return found
    files = list_raw_files(path) if files is None else files
    if not files:
        raise ValueError(f"{path} has no files in it; expected recordings.")
    unknown = Detection("unknown", "no format that s2i-hf knows", path, suffixes=_count_suffixes(files))
    known, broken = _known(path, files) if layout is None else (None, None)
    found = known or _pickles(path, files) or _folder(path, files, layout, unknown) or broken or _described(unknown)
    found.suffixes = unknown.suffixes
    return found


# -- known data sets ---------------------------------------------------------------------------------------------------


def _title(reader: str, rule: Protocol | None = None) -> str:
    titles = [data.title for data in DATASETS.values() if data.reader == reader]
    titles = titles if rule is None else [DATASETS[rule.dataset].title]
    return f"{' or '.join(titles)}, raw files as read by {reader}"


def _data_set(
    path: Path, reader: str, recordings: list[Recordings], files: Sequence[RawFile] = (), notes: Sequence[str] = ()
) -> Detection:
    """Raw files of a known data set: those of its protocols, or `files` if none finds any."""
    rule = recordings[0].protocol if recordings else None
    found = Detection("dataset", _title(reader, rule), path, reader, recordings, notes=list(notes))
    found.files = list({str(file): file for one in recordings for file in one.all_files}.values()) or list(files)
    if rule is not None:
        found.commands = [f"s2i convert {rule.name} --data-dir {shlex.quote(str(path))} --output OUT"]
    return found


def _known(path: Path, files: Sequence[RawFile]) -> tuple[Detection | None, Detection | None]:
    """The data set whose names and contents the files have; and that whose names they have, if none can be read."""
    if path.is_file() and path.suffix.lower() != ".zip":
        return _single(path), None
    known: list[Detection] = []
    broken: list[Detection] = []
    named = {reader: _named(reader, files) for reader in READERS}
    for reader in sorted(filter(named.get, READERS), key=lambda name: -len(named[name])):
        recordings, notes = [], []
        for protocol in (one for one in PROTOCOLS.values() if one.reader == reader):
            try:
                recordings.append(find_recordings(protocol, path, files))
            except ValueError as error:
                if not str(error).startswith("No recordings of"):
                    notes.append(str(error))
        recordings.sort(key=lambda one: (not _is_complete(one), -len(one.all_files)))
        titles = list(dict.fromkeys(DATASETS[one.protocol.dataset].title for one in recordings))
        if len(titles) > 1 and not _is_complete(recordings[0]):
            notes.append(f"The names are those of {' and of '.join(titles)}; --protocol says which it is.")
        found = _data_set(path, reader, recordings, named[reader], notes)
        readable = any(_gives_clip(reader, file) for file in spread(found.files, 2 * _PROBES))
        (known if readable else broken).append(found)
    for other in known[1:]:
        flag = f" --protocol {other.recordings[0].protocol.name}" if other.recordings else " a path to them"
        known[0].notes.append(f"It also holds {other.what}: {len(other.files):,} files; see them with{flag}.")
    return known[0] if known else _unnamed(path, files), broken[0] if broken else None


def _named(reader: str, files: Sequence[RawFile]) -> list[RawFile]:
    """The files that are named like recordings of a reader."""
    try:
        files = with_suffix(files, READERS[reader].suffixes)
        return [file for file in files if parse_name(reader, recording_name(reader, file)) is not None]
    except (KeyError, ValueError):
        return []


def protocols_of(file: RawFile, reader: str) -> list[Protocol]:
    """The protocols of a reader that have a split for a file of this name."""
    name = recording_name(reader, file)
    return [rule for rule in PROTOCOLS.values() if rule.reader == reader and rule.file_splits(name)]


def _is_complete(recordings: Recordings) -> bool:
    """Whether every split has as many files as the complete data set has clips."""
    return all(recordings.protocol.expected(split) == len(files) for split, files in recordings.files.items())


def _gives_clip(reader: str, file: RawFile) -> bool:
    return any(isinstance(clip, SkeletonSequence) for clip in islice(raw_clips(reader, file), 2))


def _single(path: Path) -> Detection | None:
    """A single recording; what belongs to it (angles, labels) is looked for in the folders around it."""
    file = RawFile(path, size=path.stat().st_size)
    readers = [reader for reader, facts in READERS.items() if with_suffix([file], facts.suffixes)]
    named = {reader for reader in readers if _named(reader, [file])}
    for reader in sorted(readers, key=lambda reader: reader not in named):
        for one in filter(partial(_gives_clip, reader), _with_companions(reader, file)):
            rules = protocols_of(file, reader)
            title = _title(reader, rules[0] if rules else None)
            found = Detection("dataset", f"one recording of {title}", path, reader, files=[one])
            if reader not in named:
                found.notes = [f"It is not named like one; expected a name like {READERS[reader].example}."]
            elif rules:
                found.notes = [f"A recording of {', '.join(rule.name for rule in rules)}."]
            return found
    return None


def _with_companions(reader: str, file: RawFile) -> list[RawFile]:
    for folder in (file.path.parent, file.path.parent.parent) if hasattr(get_reader(reader), "select") else ():
        with contextlib.suppress(ValueError, OSError):
            chosen, _ = select(reader, list_raw_files(folder, depth=4))
            if same := [one for one in chosen if one.path == file.path]:
                return same
    return [file]


def _unnamed(path: Path, files: Sequence[RawFile]) -> Detection | None:
    """Contents of a known data set under other names."""
    for reader, facts in READERS.items():
        candidates = with_suffix(files, facts.suffixes)
        clips = [next(raw_clips(reader, file), None) for file in spread(candidates, _PROBES)]
        if clips and all(isinstance(clip, SkeletonSequence) for clip in clips):
            note = (
                f"The contents are those of {reader} files, the names are not: expected names like {facts.example}, got "
                f"{candidates[0].name}. Rename them, since subject, view and action are read off the names."
            )
            return _data_set(path, reader, [], candidates, [note])
    return None


# -- files --------------------------------------------------------------------------------------------------------------


def _suffix_of(file: RawFile) -> str:
    return file.suffix + (".gz" if file.name.lower().endswith(".gz") else "")


def _count_suffixes(files: Sequence[RawFile]) -> dict[str, Suffix]:
    """What files there are, the commonest suffix first."""
    groups: dict[str, list[RawFile]] = {}
    for file in files:
        groups.setdefault(_suffix_of(file), []).append(file)
    return {
        suffix: Suffix(len(group), sum(max(file.size, 0) for file in group), group[0])
        for suffix, group in sorted(groups.items(), key=lambda item: -len(item[1]))
    }


# -- general formats ---------------------------------------------------------------------------------------------------
# Formats with as many joints are told apart by geometry: 25 joints are Kinect v2 or OpenPose, but only under the right tree are
# bones short, steady and as long on the left as on the right (`body_checks.layout_misfit`).


def _pickles(path: Path, files: Sequence[RawFile]) -> Detection | None:
    pickles = [file for file in files if _suffix_of(file) in (".pkl", ".pickle")]
    pickles += [file for file in files[:1] if len(files) == 1 and not pickles and is_pickle(file)]
    if not pickles or len(pickles) < len(files) / 2:
        return None
    note = "PYSKL and MMAction2 keep their annotations in such files; the converter takes arrays, strings and numbers only."
    found, first = Detection("pickle", PICKLE, path, files=pickles, notes=[note]), pickles[0]
    if not first.member:
        found.commands = [f"s2i convert-pickle {shlex.quote(str(first.path))} --output OUT"]
    return found


def _folder(path: Path, files: Sequence[RawFile], layout: LayoutLike | None, unknown: Detection) -> Detection | None:
    """Recordings in a general format, and the layouts that fit them best; what keeps them from being read goes to `unknown`."""
    custom, where = with_suffix(files, SUFFIXES), shlex.quote(str(path))
    if not custom:
        return None
    what = f"recordings in a general format ({', '.join(_count_suffixes(custom))})"
    if shapes := _ctr_gcn_shapes(custom):
        what = f"a padded .npz of CTR-GCN or MAMP, {shapes}"
        layout = layout if layout is not None else "kinect_v2"
    clips = [file for file in custom if not TABLES.fullmatch(file.name)] or custom
    misfits, unit, problems = _fit_layouts(path, clips, layout)
    if not misfits and layout is not None and len(clips) > _PROBES:  # those that were tried may be the broken ones
        misfits, unit, problems = _fit_layouts(path, clips, layout, 10 * _PROBES)
    if not misfits:
        if layout is not None:
            raise ValueError(next(iter(problems), f"None of the {len(custom)} recordings in {path} fits that layout."))
        if problems:
            unknown.notes.append(
                f"Read as custom data they fit no known layout; the first that was tried: {problems[0]}"
            )
        if len(problems) == 1 or len(set(problems)) > 1:  # a damaged file is the same to all layouts
            unknown.commands.append(f"s2i inspect {where} --layout LAYOUT")
        return None
    shown = str(layout) if isinstance(layout, (str, Path)) else next(iter(misfits))
    flag = "" if layout is None and _suffix_of(custom[0]) in _MOTION else f" --layout {shlex.quote(shown)}"
    flag += f" --unit {unit}" if unit else ""
    found = Detection("folder", what, path, files=list(files), misfits=misfits, unit=unit)
    found.notes = [_compare_layouts(misfits)] if len(misfits) > 1 else []
    found.commands = [f"s2i convert folder --data-dir {where}{flag} --output OUT"]
    return found


def _fit_layouts(
    path: Path, files: Sequence[RawFile], layout: LayoutLike | None, probes: int = _PROBES
) -> tuple[dict[str, float], str | None, list[str]]:
    """Try a layout, or all of `LAYOUTS`, or what motion capture files say themselves, on some clips, of which some may be broken.

    Returns:
        Name -> misfit of the layouts that most of the recordings can be read by, the best first; the unit of the best (None: that of
        the layout); and for each layout that cannot be read by in its own unit, a sentence that says why.
    """
    motion = files[0].suffix in _MOTION
    places: list[tuple[Path, Sequence[RawFile] | None]] = [(path, files)]
    if not motion and not files[0].member:
        places = [(file.path, None) for file in spread(files, probes)]
    candidates: Sequence[LayoutLike | None] = [layout] if layout is not None or motion else list(LAYOUTS)
    problems: list[str] = []
    fits: dict[str, tuple[int, float, str | None]] = {}  # clips that can be read, misfit, unit
    for candidate in candidates:
        readable: list[tuple[float, str | None, list[SkeletonSequence]]] = []
        for unit in _UNITS:
            clips: list[SkeletonSequence] = []
            for place in places:
                try:
                    clips += _some_clips(*place, candidate, unit, probes)
                except (ValueError, ImportError) as error:
                    problems += [str(error)] if unit is None else []
            if clips:  # and how many have bodies of the size that the unit of the layout lets expect
                right = [check_body(clip.joints, clip.layout).unit == clip.layout.unit for clip in clips]
                readable.append((float(np.mean(right)), unit, clips))
        if readable:
            _, unit, clips = max(readable, key=lambda one: (len(one[2]), one[0]))  # the first of equals
            misfit = float(np.median([layout_misfit(clip.joints, clip.layout) for clip in clips]))
            fits[clips[0].layout.name] = (len(clips), math.inf if math.isnan(misfit) else misfit, unit)
    most = max((count for count, _, _ in fits.values()), default=0)
    ordered = sorted((name for name in fits if fits[name][0] == most), key=lambda name: fits[name][1])
    return {name: fits[name][1] for name in ordered}, fits[ordered[0]][2] if ordered else None, problems


def _some_clips(
    path: Path, files: Sequence[RawFile] | None, layout: LayoutLike | None, unit: str | None, probes: int
) -> list[SkeletonSequence]:
    """Some clips, read by a layout. Raises ValueError if none can be."""
    with quietly():
        recordings = find_folder(path, layout=layout, unit=unit, files=files)
    found = [
        clip
        for file in spread(recordings.all_files, probes)
        for clip in islice(read_file(file, recordings.protocol), _CLIPS)
        if not isinstance(clip, NoClip)
    ]
    clips = [clip.sequence for clip in found if not isinstance(clip, ReadError)]
    for error in (clip for clip in found if isinstance(clip, ReadError)):
        if not clips:
            raise error
    return clips


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Without the warnings of `find_folder`, which would come once a try; reports say the same."""
    before, folder_logger.disabled = folder_logger.disabled, True
    try:
        yield
    finally:
        folder_logger.disabled = before


def _compare_layouts(misfits: dict[str, float]) -> str:
    """How sure the choice between layouts with equally many joints is, as a sentence."""
    (best, low), (second, high) = list(misfits.items())[:2]
    shown = ", ".join(f"{name} {value:.2f}" for name, value in misfits.items())
    sure = f"{best} and {second} fit about as well, so look up the joint order"
    if low < CLEAR * high:
        sure = f"bones are short, steady and alike on both sides under the tree of {best}"
    joints = f"{LAYOUTS[best].num_joints} joints" if best in LAYOUTS else "They"
    return f"{joints} could be {' or '.join(misfits)}: {sure} (misfit {shown})."


def _ctr_gcn_shapes(files: Sequence[RawFile]) -> str:
    """Shapes of the arrays, if the first .npz is such as CTR-GCN's preparation writes (x_train, y_train ...); else nothing."""
    first = next((file for file in files if file.suffix == ".npz"), None)
    try:
        headers = npz_headers(first) if first is not None else {}
    except ReadError:
        return ""
    names = [name for name in ("x_train", "y_train", "x_test", "y_test") if name in headers]
    return ", ".join(f"{name} {headers[name][0]}" for name in names) if "x_train" in names else ""


# -- neither -----------------------------------------------------------------------------------------------------------


def _described(unknown: Detection) -> Detection:
    """What nobody knows, with what its files look like and which formats are read."""
    for suffix, group in list(unknown.suffixes.items())[:6]:
        unknown.notes.append(f"{group.first.name}: {describe(group.first)}.")
        unknown.notes += [f"{hint}." for those, hint in _HINTS if suffix in those]
    counts = sorted({layout.num_joints for layout in LAYOUTS.values()})
    unknown.notes.append(
        "Custom data may be .npy or .npz of shape (T, V, 3) or (T, M, V, 3), .csv with a row a frame, lists in .json, .bvh or .amc; "
        f"layouts with {', '.join(map(str, counts))} joints are known, others are a JSON file for --layout."
    )
    return unknown
