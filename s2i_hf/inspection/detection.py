"""What is in this folder, archive or file? Names first, then contents; nothing is unpickled and no file is changed.

`detect` says which data set it is and which protocols it serves, or which of the general formats, or what the files look like
when neither fits, and always which command to try next.
"""

from __future__ import annotations

import contextlib
import math
import re
import shlex
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Unpack

import numpy as np

from ..data.stored_clips import is_converted
from ..processing.layouts import BUILT_IN, LAYOUTS, get_layout
from ..processing.skeleton_sequence import SkeletonSequence
from ..protocols import DATASETS, PROTOCOLS, Protocol, parse_name
from ..readers import READERS, NoClip, RawFile, ReadError, get_reader
from ..readers.benchmarks import recording_name, select
from ..readers.discovery import find_recordings, raw_clips, read_file
from ..readers.generic.body_size import LONGEST, SHORTEST, body_length, fitting_units
from ..readers.generic.folder import FolderOptions, LayoutOption, find_folder, logger as folder_logger, may_be_clips
from ..readers.raw_files import SilentFile, list_raw_files, with_suffix
from ..readers.recordings import Clip, Recordings
from .body_checks import CLEAR, layout_misfit, nanmedian
from .file_types import PICKLE, describe, is_pickle, npz_headers
from .report import Detection, Suffix
from .statistics import spread

_PROBES = 3  # recordings that are opened to see whether a reader or a layout fits
_CLIPS = 4  # clips looked at in each of them, to see whether a layout fits

# What readers say of files with more or fewer joints than a layout
_OTHER_COUNT = re.compile(r"has \d+ joints; layout|; expected \(T, ")
_HINTS = (
    ((".avi", ".mp4", ".mkv", ".mov"), "Videos are not skeletons: run a pose estimator on them first"),
    ((".png", ".jpg", ".jpeg", ".bmp"), "Images are not skeletons"),
    ((".rar", ".7z", ".tgz", ".tar", ".bz2", ".xz"), "Unpack the archives first; .zip is read as it is"),
    ((".pt", ".pth", ".ckpt"), f"Files of torch.save are {PICKLE}"),
)


def detect(
    path: str | Path,
    protocol: str | None = None,
    files: Sequence[RawFile] | None = None,
    **options: Unpack[FolderOptions],
) -> Detection:
    """Say what `path` is.

    Args:
        path: A folder, a zip archive, a single recording, or a folder made by `s2i convert`.
        protocol: Whose recordings they are; None: found out.
        files: What is in a folder or archive, if `raw_files.list_raw_files` was asked before.
        options: layout, unit and the like of custom data, as `load_skeletons` takes them; None: as the files say.

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
    known, broken = _known(path, files) if options.get("layout") is None else (None, None)
    found = known or _pickles(path, files) or _folder(path, files, options, unknown) or broken or _described(unknown)
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
# Files that do not name their joints are read by every layout that has as many, to say which trees fit: 25 joints are Kinect v2 or
# OpenPose, but only under the right one are bones short, steady and as long on the left as on the right (`body_checks.layout_misfit`).


def _pickles(path: Path, files: Sequence[RawFile]) -> Detection | None:
    pickles = [file for file in files if _suffix_of(file) in (".pkl", ".pickle") and not file.stem.endswith("label")]
    pickles += [file for file in files[:1] if len(files) == 1 and not pickles and is_pickle(file)]
    if not pickles or len(pickles) < len(files) / 2:
        return None
    note = "PYSKL and MMAction2 keep their annotations in such files; the converter takes arrays, strings and numbers only."
    found, first = Detection("pickle", PICKLE, path, files=pickles, notes=[note]), pickles[0]
    if not first.member:
        found.commands = [f"s2i convert-pickle {shlex.quote(str(first.path))} --output OUT"]
    return found


def _folder(path: Path, files: Sequence[RawFile], options: FolderOptions, unknown: Detection) -> Detection | None:
    """Recordings in a general format, and the layouts that fit them best; what keeps them from being read goes to `unknown`."""
    custom, where = may_be_clips(files), shlex.quote(str(path))
    if not custom:
        return None
    what = f"recordings in a general format ({', '.join(_count_suffixes(custom))})"
    if shapes := _ctr_gcn_shapes(custom):
        what = f"a padded .npz of CTR-GCN or MAMP, {shapes}"
        options = {"layout": "kinect_v2"} | options  # what their scripts write
    given = options.get("layout") is not None
    problems: list[str] = []
    fits: dict[str, tuple[float, list[SkeletonSequence]]] = {}
    candidates = [options.get("layout")]
    silent = False
    while candidates:
        try:
            clips = _some_clips(path, files, options | {"layout": candidates.pop(0), "any_size": True})
        except SilentFile:
            candidates, silent = list(BUILT_IN), True
            files = spread(custom, 10 * _PROBES)  # each layout would look at all of them again
        except (ValueError, ImportError) as error:
            problems.append(str(error))
        else:
            misfit = float(np.median([layout_misfit(clip.joints, clip.layout) for clip in clips]))
            fits[clips[0].layout.name] = (math.inf if math.isnan(misfit) else misfit, clips)
    if not fits:
        if given:
            raise ValueError(next(iter(problems)))
        others = [problem for problem in problems if not _OTHER_COUNT.search(problem)]
        unknown.notes += [f"Read as custom data: {one}" for one in (*others, *problems)[:1]]
        if len(set(problems)) > 1 and not others:  # a damaged file is the same to all layouts
            unknown.notes.append("It does not say which joints it holds, and no known layout has as many.")
            unknown.commands.append(f"s2i inspect {where} --layout LAYOUT")
        return None
    misfits = dict(sorted(((name, misfit) for name, (misfit, _) in fits.items()), key=lambda item: item[1]))
    best = next(iter(misfits))
    options = options.copy()
    found = Detection("folder", what, path, files=custom, misfits=misfits, options=options)
    if silent:  # nobody may take one of them because its number of joints fits
        found.warnings = [_compare_layouts(misfits)]
        options["layout"] = best
    unit = _unit_of(fits[best][1], found) if options.get("unit") is None else options["unit"]
    if unit == "":
        return found
    options["unit"] = unit
    if not silent:
        flags = dict(options) | {"layout": _shown(options["layout"]) if given else None}
        names = [name for name in ("layout", "unit", "up", "axes", "fps") if flags.get(name) is not None]
        shown = [f"--{name} {shlex.quote(str(flags[name]))}" for name in names]
        shown += ["--any-size"] if options.get("any_size") else []
        found.commands = [" ".join(["s2i convert folder --data-dir", where, *shown, "--output OUT"])]
    return found


def _shown(layout: LayoutOption | None) -> str:
    """A layout as a flag takes it."""
    return str(layout) if layout is None or isinstance(layout, str | Path) else get_layout(layout).name


def _unit_of(clips: Sequence[SkeletonSequence], found: Detection) -> str | None:
    """The one unit that makes people of bodies that are none in metres; None if they are people, "" if that is not clear."""
    layout = clips[0].layout
    lengths = [body_length(clip.joints, layout) for clip in clips] if layout.unit == "m" else []
    length = float(nanmedian(np.array(lengths)))
    if math.isnan(length) or SHORTEST <= length <= LONGEST or found.options.get("any_size"):
        return None
    fitting = fitting_units(length)
    sizes = " or ".join(f"{value:.2f} m with --unit {unit}" for unit, value in fitting.items())
    size = f"Bodies are {length:.3g} units long from head to foot along their bones"
    if len(fitting) == 1:
        found.notes.append(f"{size}: {sizes}, the only unit in which they are people.")
        return next(iter(fitting))
    found.warnings.append(f"{size}: {sizes or 'no people in any known unit'}; say which unit it is.")
    return ""


def _some_clips(path: Path, files: Sequence[RawFile], options: FolderOptions) -> list[SkeletonSequence]:
    """Some clips of a folder. Raises ValueError if none can be read, SilentFile if that is for want of a layout."""
    with quietly():
        recordings = find_folder(path, labelled=False, files=files, **options)
    clips: list[SkeletonSequence] = []
    problem: ReadError | None = None
    few = spread(recordings.all_files, _PROBES)
    for file in chain(few, spread(recordings.all_files, 10 * _PROBES)):
        if clips and file not in few:  # more are tried only if those were the broken ones
            break
        for clip in islice(read_file(file, recordings.protocol), _CLIPS):
            if isinstance(clip, Clip):
                clips.append(clip.sequence)
            elif not isinstance(clip, NoClip):
                problem = problem or clip
    if not clips:
        raise problem or ValueError(f"{path} holds no clip.")
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
    """Which layouts have as many joints as files that do not name theirs, and what the bones say of them, as a sentence."""
    best, *others = misfits
    names = f"The files do not say which joints they hold; their {BUILT_IN[best].num_joints} could be {' or '.join(misfits)}"
    shown = ", ".join(f"{name} {value:.2f}" for name, value in misfits.items())
    sure = "" if not others else f"{best} and {others[0]} fit about as well, so look up the joint order; "
    if others and misfits[best] < CLEAR * misfits[others[0]]:
        sure = f"bones are short, steady and alike on both sides under the tree of {best}; "
    return f"{names}: {sure}say which with --layout (misfit {shown}). It is looked at as {best}."


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
        "Custom data may be arrays (.npy, .npz, lists in .json), tables (.csv, .tsv, .parquet), JSON of pose estimators, or motion capture "
        "(.bvh, .amc, .c3d, .trc, .mvnx), see the README; "
        f"layouts with {', '.join(map(str, counts))} joints are known, others are a JSON file for --layout."
    )
    return unknown
