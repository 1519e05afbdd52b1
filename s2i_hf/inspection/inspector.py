"""`s2i inspect`: what is in a folder, an archive, a file or a converted data set, and what is wrong with it.

    NW-UCLA Multiview Action 3D, raw files as read by nw_ucla: 1,484 clips, nothing suspicious

Every clip is read once and counted (`statistics`), so that memory holds names alone of most of them. `findings` makes sentences of
the counts, `page` one HTML page.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Unpack

from tqdm import tqdm

from ..data.storage import META_FILE, read_meta, shard_files
from ..data.stored_clips import count_rows, custom_layouts, read_rows
from ..processing.skeleton_sequence import SkeletonSequence
from ..protocols import DATASETS, PROTOCOLS
from ..readers import LeftOut, NoClip, ReadError
from ..readers.discovery import raw_clips, read_file
from ..readers.generic.folder import FolderOptions, find_folder
from ..utils.text import printable
from .detection import detect, protocols_of, quietly
from .findings import doubts, expectations, findings
from .page import write_page
from .report import Inspection, counted
from .statistics import spread

Clips = Iterator[tuple[str, SkeletonSequence | ReadError]]
"""Each clip, or what is wrong with it, and its split."""


def inspect(
    path: str | Path,
    protocol: str | None = None,
    max_files: int | None = None,
    progress: bool = False,
    **options: Unpack[FolderOptions],
) -> Inspection:
    """Look at recordings or at a converted data set.

    Args:
        path: A folder, a zip archive, a single recording, or a folder made by `s2i convert`.
        protocol: Name of the protocol whose recordings they are; None: found out.
        max_files: Read so many files (of a converted data set: clips) at most, evenly spread; None: all.
        progress: Show a progress bar on stderr.
        options: layout, unit and the like of custom data, where they do not say it; see `find_folder`.

    Raises:
        ValueError: there is nothing at `path`, or no such protocol or layout.
    """
    if max_files is not None and max_files < 1:
        raise ValueError(f"--max-files is {max_files}; expected at least 1.")
    found = detect(path, protocol, **options)
    report = Inspection(found)
    source: Clips
    if found.kind == "converted":
        source = _converted(report, max_files)
    elif found.kind == "dataset":
        source = _raw(report, max_files)
    elif found.kind == "folder":
        source = _folder(report, max_files)
    else:
        return report
    ids: list[tuple[str, str]] = []
    with tqdm(unit=" clips", disable=not progress, leave=False) as bar:
        for split, clip in source:
            bar.total = report.num_files if report.num_read <= report.num_files else None
            bar.update()
            if isinstance(clip, LeftOut):
                report.parts_left_out.append(str(clip))
            elif isinstance(clip, NoClip):
                report.no_clips.append(str(clip))
            elif isinstance(clip, ReadError):
                report.broken.append(str(clip))
            else:
                report.statistics.add(clip, split)
                ids.append((split, clip.sample_id))
    report.expected = expectations(report, ids)
    report.warnings = found.warnings + findings(report, ids)
    if found.kind == "folder" and report.statistics.clips and doubts(report.statistics):
        found.commands = []  # nobody should convert them as they are
    return report


def run(
    path: str | Path,
    protocol: str | None = None,
    html: str | Path | None = None,
    max_files: int | None = None,
    **options: Unpack[FolderOptions],
) -> int:
    """`s2i inspect`: print the report, and write the page if `html` names one; raises like `inspect`.

    Returns:
        Exit code: 0; 1 if not one clip could be read.
    """
    report = inspect(path, protocol, max_files, progress=sys.stderr.isatty(), **options)
    print("\n".join(map(printable, report.lines())))
    if html is not None:
        print(f"page: {write_page(report, html)}")
    return 0 if report.statistics.clips else 1


# -- where clips come from ---------------------------------------------------------------------------------------------


def _raw(report: Inspection, max_files: int | None) -> Clips:
    """Raw files of a known data set; labels are those of the protocol that fits best."""
    found = report.detection
    rules = [one.protocol for one in found.recordings] or protocols_of(found.files[0], found.reader)
    rule = report.protocol = rules[0] if rules else None
    report.num_files = len(found.files)
    report.left_out = found.recordings[0].left_out if found.recordings else {}  # by the protocol that fits best
    report.class_names = rule.class_names if rule is not None else ()
    for file in spread(found.files, max_files or len(found.files)):
        report.num_read += 1
        for clip in raw_clips(found.reader, file):
            if isinstance(clip, ReadError) or rule is None:
                yield "", clip
                continue
            try:
                label = rule.label(clip.sample_id)
            except ValueError:
                label = -1
            yield rule.split(clip.sample_id) or "", replace(clip, label=label)


def _folder(report: Inspection, max_files: int | None) -> Clips:
    found = report.detection
    with quietly():
        recordings = find_folder(found.path, **found.options | {"any_size": True})
    rule, files = recordings.protocol, recordings.all_files
    report.protocol, report.class_names, report.num_files = rule, rule.class_names, len(files)
    if not rule.class_names:
        found.notes.append(
            "Nothing says what the clips show: put each in a folder named after its class, or list them in a labels.csv with the "
            "columns id and label."
        )
    found.notes += recordings.notes
    report.left_out, report.doubts = recordings.left_out, recordings.warnings
    for file in spread(files, max_files or len(files)):
        report.num_read += 1
        for clip in read_file(file, rule):
            yield ("", clip) if isinstance(clip, ReadError) else (clip.split, clip.sequence)


def _converted(report: Inspection, max_files: int | None) -> Clips:
    found, meta = report.detection, {}
    files = dict(sorted(shard_files(found.path).items(), key=lambda item: (item[0] == "test", item[0] != "train")))
    if (found.path / META_FILE).is_file():
        meta = read_meta(found.path)
        report.class_names = tuple(meta["class_names"])
        report.protocol = PROTOCOLS.get(meta["protocol"])
        title = DATASETS[report.protocol.dataset].title if report.protocol else "custom data"
        found.what = f"{title}, converted by `s2i convert {meta['protocol']}` to {meta['format']}"
        report.doubts = meta.get("warnings", [])
        found.notes += meta.get("notes", [])
        if broken := meta.get("broken"):
            found.notes.append(f"{counted(len(broken), 'recording')} could not be converted, the first: {broken[0]}")
    else:
        found.notes.append(f"It has no {META_FILE}, so names of classes and the protocol are not known.")
    found.commands = [f"s2i pretrain --data {shlex.quote(str(found.path))} --output_dir runs/mae"]
    sizes: dict[Path, int] = {}
    for path in chain.from_iterable(files.values()):
        try:
            sizes[path] = count_rows(path)
        except ReadError as error:
            sizes[path] = 0
            report.broken.append(str(error))
    for split, count in meta.get("counts", {}).items():  # clips that are promised
        there = sum(sizes[path] for path in files.get(split, ()))
        if there != count:
            report.broken.append(f"{META_FILE} says that split {split} has {count:,} clips, but {there:,} are there.")
    report.num_files, layouts = sum(sizes.values()), custom_layouts(found.path)
    chosen, start = set(spread(range(report.num_files), max_files or report.num_files)), 0
    for split, path in ((split, path) for split, paths in files.items() for path in paths):
        wanted = {row for row in range(sizes[path]) if start + row in chosen}
        start += sizes[path]
        report.num_read += len(wanted)
        try:
            for clip in read_rows(path, layouts, wanted.__contains__) if wanted else ():
                yield split, clip
        except ReadError as error:
            yield split, error
