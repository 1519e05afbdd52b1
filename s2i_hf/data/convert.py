"""Raw recordings to a folder in one of the storage formats: in pieces that survive a crash, and all or nothing.

The recordings are read in pieces (`pieces`), which are kept until all of them are there; then they are put together, in the
order of the recordings, to a hidden folder that is renamed to the target when it is complete. Whatever goes wrong, Ctrl-C
included, the target is either the old one or the new one, and the same command goes on where it stopped. The bytes of the
result depend on the recordings and the options alone: not on processes, shards, interruptions, machine or time.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..protocols import Protocol
from ..readers import RawFile, get_reader
from ..readers.discovery import find_recordings
from ..readers.recordings import Recordings, file_id
from .convert_merge import accepted, bar, check_output, pieces_in, put_together
from .convert_plans import PackedFiles, Plan, cut, newest_change
from .convert_report import ConversionReport, StrictError
from .convert_shards import PIECE_FILE, load_piece, load_plan, piece_folder, pieces_folder, working_on
from .convert_workers import make_pieces
from .storage import FORMATS, META_FILE, Format, is_whole, read_meta

__all__ = ["ConversionReport", "StrictError", "convert", "merge"]

OWN = "folder"
"""Name that stands for recordings of one's own."""
_GO_ON = "run the same command again to go on"


def convert(
    name: str,
    data_dir: str | Path,
    output: str | Path,
    format: Format = "arrow",
    *,
    denoise: bool = True,
    strict: bool = False,
    overwrite: bool = False,
    num_proc: int = 1,
    progress: bool = False,
    shard: tuple[int, int] | None = None,
    layout: Any = None,
    labels: str | Path | None = None,
    unit: str | None = None,
) -> ConversionReport:
    """Convert the recordings of a protocol. Interrupted at any time, the same call goes on where it stopped.

    Args:
        name: Protocol, such as "nw_ucla_xview"; "folder" for recordings of one's own.
        data_dir: Folder with the raw files, or a parent of it, or the archive they are in.
        output: Folder to make; `load_skeletons(output)` reads it. One that holds this very conversion already is left as it is.
        format: "arrow", "parquet" or "safetensors".
        denoise: Choose the actors, as the readers do by default.
        strict: A broken or missing recording is an error, and `output` is not made. Otherwise it is left out and reported.
        overwrite: Replace `output`, if it was made by `convert`.
        num_proc: Processes that read.
        progress: Show a progress bar on stderr.
        shard: (I, N) with 0 <= I < N: read every N-th piece from the I-th on, and leave the pieces beside `output`. The call
            without it, or `merge`, makes the folder of all shards.
        layout, labels, unit: Of recordings of one's own; see `readers.own.find_own`.

    Returns:
        What was kept and what was not; also saved in the `s2i.json` of the folder.

    Raises:
        ValueError: wrong name, folder or format, an `output` that may not be replaced, another process that makes it, or not a
            single readable recording.
        StrictError: `strict`, and a recording is broken or missing.
        OSError: the disk is full, or a process was killed; what was read stays.
        KeyboardInterrupt: with a message that says how to go on.
    """
    _check_options(format, num_proc, shard)
    output = Path(os.path.realpath(Path(output).expanduser()))
    recordings = _find(name, data_dir, layout, labels, unit)
    files = recordings.all_files
    work, newest = [PackedFiles(piece) for piece in cut(files)], newest_change(files)
    plan, protocol = Plan.of(recordings, denoise, len(work)), recordings.protocol
    if not overwrite and shard is None:
        report = _made_before(output, plan, format, newest)
        if report is not None:
            return accepted(report, strict)
    check_output(output, overwrite)
    if strict:
        _check_names(recordings, plan)
    del recordings, files  # from here on `work` has them, in less memory
    folder = pieces_folder(output)
    with _tidy_parents(output), working_on(output, plan, shard) as note, _kept_for_later(folder, plan, shard is None):
        check_output(output, overwrite)  # somebody else may have made it meanwhile
        mine = [index for index in range(len(work)) if shard is None or index % shard[1] == shard[0]]
        _read(folder, [(index, work[index]) for index in mine], protocol, denoise, num_proc, progress)
        if shard is not None:
            report = _shard_report(folder, plan, mine, sum(len(work[index]) for index in mine))
            accepted(report, strict)
        else:
            report = put_together([folder], plan, output, format, strict, overwrite, progress)
        report.notes += [note] if note else []
        return report


def merge(
    name: str,
    folders: Sequence[str | Path],
    output: str | Path,
    format: Format = "arrow",
    *,
    strict: bool = False,
    overwrite: bool = False,
    progress: bool = False,
) -> ConversionReport:
    """Put the pieces that shards made, on this machine or others, together to one folder; needs no raw files.

    Args:
        name: The protocol they are of.
        folders: Folders of pieces (`.OUT.pieces`, under whatever name they were copied to), or the `output` they were made for.
        output, format, strict, overwrite, progress: As in `convert`.

    Raises:
        ValueError: a folder holds no pieces, or those of another conversion; or pieces are missing, and the message says which
            shards to run. Else as in `convert`.
    """
    _check_options(format, 1, None)
    output = Path(os.path.realpath(Path(output).expanduser()))
    sources = [pieces_in(Path(folder).expanduser()) for folder in folders]
    if not sources:
        raise ValueError("There is nothing to merge; name the folders of pieces that the shards left.")
    plan = load_plan(sources[0])
    assert plan is not None
    for source in sources:
        other = load_plan(source)
        if other is None or other.id != plan.id:
            raise ValueError(
                f"The pieces in {source} and {sources[0]} are of different conversions: other protocol, data, options or code."
            )
    if plan.name != name:
        raise ValueError(f"The pieces in {sources[0]} are of {plan.name}, not of {name}.")
    check_output(output, overwrite)
    folder = pieces_folder(output)
    with _tidy_parents(output), working_on(output, plan, None) as note, _kept_for_later(folder, plan, True):
        check_output(output, overwrite)
        report = put_together([folder, *sources], plan, output, format, strict, overwrite, progress)
        report.notes += [note] if note else []
        return report


# -- before ------------------------------------------------------------------------------------------------------------


def _check_options(format: str, num_proc: int, shard: tuple[int, int] | None) -> None:
    if format not in FORMATS:
        raise ValueError(f"format is {format!r}; expected one of {', '.join(FORMATS)}.")
    if num_proc < 1:
        raise ValueError(f"num_proc is {num_proc}; expected the number of processes, at least 1.")
    if shard is not None and not 0 <= shard[0] < shard[1]:
        raise ValueError(f"Shard {shard[0]}/{shard[1]} does not exist; expected I/N with I from 0 to N - 1.")


def _find(name: str, data_dir: str | Path, layout: Any, labels: str | Path | None, unit: str | None) -> Recordings:
    if name == OWN:
        from ..readers.generic.folder import find_own

        return find_own(data_dir, layout=layout, labels=labels, unit=unit)
    for option, value in (("layout", layout), ("labels", labels), ("unit", unit)):
        if value is not None:
            raise ValueError(f"{option} is for recordings of your own ({OWN!r}), not for {name!r}.")
    return find_recordings(name, data_dir)


def _check_names(recordings: Recordings, plan: Plan) -> None:
    """Where a file is a clip, the names tell what is missing before hours of reading."""
    if plan.name == OWN or hasattr(get_reader(recordings.protocol.reader), "read_clips"):
        return
    ids = {split: [file_id(recordings.protocol, file) for file in files] for split, files in recordings.files.items()}
    accepted(ConversionReport.of(plan, ids), True)  # type: ignore[arg-type]


def _made_before(output: Path, plan: Plan, format: Format, newest: float) -> ConversionReport | None:
    """The report on `output`, if it is what is asked for. Its pieces, if a kill left some, are cleared away."""
    try:
        meta = read_meta(output)
        if meta.get("plan") != plan.id or meta["format"] != format or not is_whole(output, meta):
            return None
        if newest > (output / META_FILE).stat().st_mtime:
            return None
        report = ConversionReport.from_meta(meta)
    except (ValueError, OSError, KeyError, TypeError, AttributeError):
        return None
    folder = pieces_folder(output)
    if folder.exists():
        with contextlib.suppress(ValueError), working_on(output, plan, None):
            shutil.rmtree(folder, ignore_errors=True)
    report.notes.append(f"{output} holds this conversion already; nothing was done.")
    return report


@contextlib.contextmanager
def _tidy_parents(output: Path) -> Iterator[None]:
    """Folders above `output` that were made for nothing go again."""
    made = []
    parent = output.parent
    while not parent.exists():
        made.append(parent)
        parent = parent.parent
    try:
        yield
    except BaseException:
        for parent in made:
            with contextlib.suppress(OSError):
                parent.rmdir()
        raise


@contextlib.contextmanager
def _kept_for_later(folder: Path, plan: Plan, alone: bool) -> Iterator[None]:
    """Whatever happens, pieces that are done stay, and the error says how to go on; a folder without any goes."""
    try:
        yield
    except BaseException as error:
        done = sum(load_piece(folder, index) is not None for index in range(plan.pieces))
        if not done:
            if alone:
                shutil.rmtree(folder, ignore_errors=True)
            raise
        stays = f"{done:,} of {plan.pieces:,} pieces are in {folder}: {_GO_ON}"
        if isinstance(error, KeyboardInterrupt):
            raise KeyboardInterrupt(f"interrupted; {stays}.") from None
        if isinstance(error, OSError):
            raise type(error)(f"{str(error).rstrip('.')}; {stays}.") from error
        raise


# -- reading -----------------------------------------------------------------------------------------------------------


def _read(
    folder: Path,
    work: Sequence[tuple[int, Sequence[RawFile]]],
    protocol: Protocol,
    denoise: bool,
    num_proc: int,
    progress: bool,
) -> None:
    """Make the pieces that are not there yet, or whose recordings changed since."""
    todo = []
    for index, files in work:
        made = load_piece(folder, index)
        if made is not None and newest_change(files) > (piece_folder(folder, index) / PIECE_FILE).stat().st_mtime:
            shutil.rmtree(piece_folder(folder, index), ignore_errors=True)
            made = None
        if made is None:
            todo.append((index, files))
    total = sum(len(files) for _, files in work)
    with bar(progress, total, total - sum(len(files) for _, files in todo), "read", "files") as advance:
        make_pieces(folder, todo, protocol, denoise, num_proc, advance)


def _shard_report(folder: Path, plan: Plan, mine: Sequence[int], files: int) -> ConversionReport:
    made = {index: piece for index in range(plan.pieces) if (piece := load_piece(folder, index)) is not None}
    kept = {split: sum(made[index].counts.get(split, 0) for index in mine) for split in plan.splits}
    broken = [sentence for index in mine for sentence in made[index].broken]
    report = ConversionReport(plan.name, kept=kept, expected={}, broken=broken, files=files)
    report.no_clips = [sentence for index in mine for sentence in made[index].no_clips]
    report.pieces = len(made), plan.pieces
    return report
