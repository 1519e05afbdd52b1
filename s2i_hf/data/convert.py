"""Conversion of raw recordings to a folder: in shards that survive a crash, and all or nothing.

The recordings are read in shards (`convert_shards`), which are kept until all of them are there; then they get their final names in a
hidden folder that is renamed to the target when it is complete. Whatever goes wrong, Ctrl-C included, the target is either the old one
or the new one, and the same command goes on where it stopped. The bytes of the result depend on the recordings and the options alone:
not on processes, parts, interruptions, machine or time.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

from tqdm import tqdm

from ..protocols import Protocol
from ..readers import RawFile, get_reader
from ..readers.generic.folder import FolderOptions
from ..readers.recordings import Recordings, file_id
from .convert_report import ConversionReport, StrictError, listed, shortened
from .convert_shards import (
    Plan,
    Shard,
    cut,
    described,
    load_plan,
    load_shard,
    make_plan,
    make_shards,
    shard_json,
    shards_folder,
    working_on,
)
from .recorded_rows import CUSTOM, find_source
from .storage import FORMATS, META_FILE, Format, is_whole, read_meta, write_meta

__all__ = ["ConversionReport", "StrictError", "convert", "merge"]

WriteCard = Callable[[Path], object]
"""Writes README.md into a finished folder, such as `hub.dataset_card.write_dataset_card`."""


def convert(
    name: str,
    data_dir: str | Path,
    output: str | Path,
    format: Format = "parquet",
    *,
    denoise: bool = True,
    strict: bool = False,
    overwrite: bool = False,
    num_proc: int = 1,
    progress: bool = False,
    shard: tuple[int, int] | None = None,
    write_card: WriteCard | None = None,
    **options: Unpack[FolderOptions],
) -> ConversionReport:
    """Convert the recordings of a protocol. Interrupted at any time, the same call goes on where it stopped.

    Args:
        name: Protocol, such as "nw_ucla_xview"; "folder" for custom data.
        data_dir: Folder with the raw files, or a parent of it, or the archive they are in.
        output: Folder to make; `load_skeletons(output)` reads it. One that holds this very conversion already is left as it is.
        format: "parquet" or "npz".
        denoise: Choose the actors, as the readers do by default.
        strict: A broken or missing recording is an error, and `output` is not made. Otherwise it is left out and reported.
            Files that are not read, and what was left out of a clip, are reported in either case.
        overwrite: Replace `output`, if it was made by `convert`.
        num_proc: Processes that read.
        progress: Show a progress bar on stderr.
        shard: (I, N) with 0 <= I < N: make every N-th shard from the I-th on, and leave them beside `output`. The call without it,
            or `merge`, makes the folder of all.
        write_card: Called with a Parquet folder before it becomes `output`; None: README.md is what the Hub's viewer needs.
        options: layout, labels, unit and the like of custom data; see `readers.generic.folder.find_folder`.

    Returns:
        What was kept and what was not; also saved in the `s2i.json` of the folder.

    Raises:
        ValueError: wrong name, folder or format, an `output` that may not be replaced, another process that makes it, or not a
            single readable recording.
        StrictError: `strict`, and a recording is broken or missing.
        OSError: the disk is full, or a process was killed; what was read stays.
        KeyboardInterrupt: with a message that says how to go on.
    """
    if format not in FORMATS:
        raise ValueError(f"format is {format!r}; expected one of {', '.join(FORMATS)}.")
    if num_proc < 1:
        raise ValueError(f"num_proc is {num_proc}; expected the number of processes, at least 1.")
    if shard is not None and not 0 <= shard[0] < shard[1]:
        raise ValueError(f"Shard {shard[0]}/{shard[1]} does not exist; expected I/N with I from 0 to N - 1.")
    output = Path(os.path.realpath(Path(output).expanduser()))
    recordings = find_source(name, data_dir, **options)
    protocol, work = recordings.protocol, cut(recordings.all_files)
    plan = make_plan(recordings, denoise, format, len(work))
    if not overwrite and shard is None:
        report = _made_before(output, plan, _newest_change(recordings.all_files))
        if report is not None:
            return _accepted(report, strict)
    _check_output(output, overwrite)
    if strict:
        _check_names(recordings, plan)
    with _resumable(output, plan, overwrite, shard) as notes:
        mine = {index: files for index, files in enumerate(work) if shard is None or index % shard[1] == shard[0]}
        _read(shards_folder(output), plan, mine, protocol, num_proc, progress)
        if shard is None:
            return _put_in_place([], plan, output, strict, overwrite, progress, write_card, notes)
        made = {index: load_shard(shards_folder(output), index) for index in range(len(work))}
        meta = described(plan, [one for index, one in made.items() if one is not None and index in mine])
        meta.update(expected={}, missing={}, left_out={}, videos={}, recordings=sum(map(len, mine.values())))
        return _accepted(ConversionReport(meta, sum(one is not None for one in made.values()), notes), strict)


def merge(
    name: str,
    folders: Sequence[str | Path],
    output: str | Path,
    format: Format | None = None,
    *,
    strict: bool = False,
    overwrite: bool = False,
    progress: bool = False,
    write_card: WriteCard | None = None,
) -> ConversionReport:
    """Make one folder of the shards of several parts, made on this machine or others; needs no raw files.

    Args:
        name: The protocol they are of.
        folders: Folders of shards (`.OUT.shards`, under whatever name they were copied to), or the `output` they were made for.
        format: The one they are in; None: whichever that is.
        output, strict, overwrite, progress, write_card: As in `convert`.

    Raises:
        ValueError: a folder holds no shards, or those of another conversion; or shards are missing, and the message says which
            parts to run. Else as in `convert`.
    """
    output = Path(os.path.realpath(Path(output).expanduser()))
    sources = [_shards_in(Path(folder).expanduser()) for folder in folders]
    if not sources:
        raise ValueError("There is nothing to merge; name the folders of shards that the parts left.")
    plans = [load_plan(source) or {} for source in sources]
    plan = plans[0]
    for source, other in zip(sources, plans, strict=True):
        if other["plan"] != plan["plan"]:
            raise ValueError(
                f"The shards in {source} and {sources[0]} are of different conversions: other protocol, data, options or code."
            )
    if plan["protocol"] != name:
        raise ValueError(f"The shards in {sources[0]} are of {plan['protocol']}, not of {name}.")
    if format not in (None, plan["format"]):
        raise ValueError(f"The shards in {sources[0]} are in {plan['format']} format, not {format}.")
    _check_output(output, overwrite)
    with _resumable(output, plan, overwrite) as notes:
        return _put_in_place(sources, plan, output, strict, overwrite, progress, write_card, notes)


# -- before ------------------------------------------------------------------------------------------------------------


def _check_output(output: Path, overwrite: bool) -> None:
    """ValueError if something is at `output` that may not be replaced."""
    folder = output.is_dir()
    if not folder and (output.exists() or output.is_symlink()):
        raise ValueError(f"{output} is there and no folder; choose another --output.")
    if not folder or not any(output.iterdir()):
        return
    if not overwrite:
        raise ValueError(f"{output} is there already; choose another --output, or pass --overwrite to replace it.")
    if not (output / META_FILE).is_file():
        raise ValueError(f"{output} was not made by `s2i convert` (it has no {META_FILE}), so it is not replaced.")


def _check_names(recordings: Recordings, plan: Plan) -> None:
    """Where a file is a clip, the names tell what is missing before hours of reading."""
    if plan["protocol"] == CUSTOM or hasattr(get_reader(recordings.protocol.reader), "read_clips"):
        return
    names = {
        str(split): [file_id(recordings.protocol, file) for file in recordings.files[split]]
        for split in recordings.files
    }
    _accepted(ConversionReport(described(plan, [Shard(names)]), 0), True)


def _accepted(report: ConversionReport, strict: bool) -> ConversionReport:
    """The report itself; StrictError if it has to be `strict`, and a recording is broken or missing."""
    if strict and report.unexpected:
        those = f"{report.meta['protocol']}: {report.unexpected} recordings"
        raise StrictError(f"{those}, which --strict does not accept; the output was not made.", report)
    return report


def _newest_change(files: Sequence[RawFile]) -> float:
    """Seconds since the epoch at which the last of these files, or of the archives they are in, changed."""
    parts = [part for file in files for part in (file, *file.companions)]
    archives = {part.path for part in parts if part.member}
    times = [path.stat().st_mtime for path in archives if path.exists()]
    return max([0.0, *times, *(part.stamp / 1e9 for part in parts if not part.member)])


def _made_before(output: Path, plan: Plan, newest: float) -> ConversionReport | None:
    """The report on `output`, if it is what is asked for. Its shards, if a kill left some, are cleared away."""
    try:
        meta = read_meta(output)
        older = newest > (output / META_FILE).stat().st_mtime
        if older or meta["plan"] != plan["plan"] or not is_whole(output, meta):
            return None
        report = ConversionReport(meta, meta["shards"])
    except (ValueError, OSError, KeyError, TypeError, AttributeError):
        return None
    if shards_folder(output).exists():
        with contextlib.suppress(ValueError), working_on(output, plan):
            shutil.rmtree(shards_folder(output), ignore_errors=True)
    report.notes.append(f"{output} holds this conversion already; nothing was done.")
    return report


@contextlib.contextmanager
def _resumable(output: Path, plan: Plan, overwrite: bool, part: tuple[int, int] | None = None) -> Iterator[list[str]]:
    """Work on `output`, see `working_on`. Whatever happens, shards that are done stay, and the error says how to go on.

    Folders that were made for nothing go again. Yields what the report has to say of it.
    """
    folder, made = shards_folder(output), [parent for parent in output.parents if not parent.exists()]
    with working_on(output, plan, part) as note:
        try:
            _check_output(output, overwrite)  # somebody else may have made it meanwhile
            yield [note] if note else []
        except BaseException as error:
            done = sum(load_shard(folder, index) is not None for index in range(plan["shards"]))
            if not done:
                if part is None:
                    shutil.rmtree(folder, ignore_errors=True)
                for parent in made:
                    with contextlib.suppress(OSError):
                        parent.rmdir()
                raise
            stays = f"{done:,} of {plan['shards']:,} shards are in {folder}: run the same command again to go on."
            if isinstance(error, KeyboardInterrupt):
                raise KeyboardInterrupt(f"interrupted; {stays}") from None
            if isinstance(error, OSError):
                raise type(error)(f"{str(error).rstrip('.')}; {stays}") from error
            raise


# -- reading -----------------------------------------------------------------------------------------------------------


def _bar(progress: bool, verb: str, unit: str, total: int, done: int = 0) -> tqdm[Any]:
    return tqdm(desc=verb, unit=f" {unit}", total=total, initial=done, disable=not progress, leave=False)


def _read(
    folder: Path, plan: Plan, work: Mapping[int, Sequence[RawFile]], protocol: Protocol, num_proc: int, progress: bool
) -> None:
    """Make the shards that are not there yet, or whose recordings changed since."""
    todo = {
        index: files
        for index, files in work.items()
        if load_shard(folder, index) is None or _newest_change(files) > shard_json(folder, index).stat().st_mtime
    }
    for index in todo:
        shard_json(folder, index).unlink(missing_ok=True)
    total, read = sum(map(len, work.values())), 0
    with _bar(progress, "read", "files", total, total - sum(map(len, todo.values()))) as bar:

        def advance(files: int, clips: int) -> None:
            nonlocal read
            read += clips
            if not bar.disable:
                bar.set_postfix_str(f"{read / max(bar.format_dict['elapsed'], 1e-9):,.0f} clips/s", refresh=False)
            bar.update(files)

        make_shards(folder, plan, todo, protocol, num_proc, advance)


# -- all shards to one folder ------------------------------------------------------------------------------------------


def _shards_in(folder: Path) -> Path:
    """The folder of shards that `folder` is, or that lies beside it if it is an output. Raises ValueError if it is neither."""
    for place in (folder, shards_folder(Path(os.path.realpath(folder)))):
        if load_plan(place) is not None:
            return place
    raise ValueError(
        f"{folder} holds no shards of a conversion; expected a folder such as .OUT.shards, made by --shard."
    )


def _gather(sources: Sequence[Path], plan: Plan) -> list[tuple[Path, Shard]]:
    """Where each shard is, in order."""
    found: dict[int, tuple[Path, Shard]] = {}
    for index in range(plan["shards"]):
        for source in sources:
            if index not in found and (shard := load_shard(source, index)) is not None:
                found[index] = source, shard
    if lacking := [str(index) for index in range(plan["shards"]) if index not in found]:
        raise ValueError(
            f"{len(lacking):,} of {plan['shards']:,} shards are missing ({listed(shortened(lacking))}); with --shard I/N shard S is made "
            "by the part I = S mod N: run or copy the parts that lack."
        )
    return list(found.values())


def _put_in_place(
    sources: Sequence[Path],
    plan: Plan,
    output: Path,
    strict: bool,
    overwrite: bool,
    progress: bool,
    write_card: WriteCard | None,
    notes: list[str],
) -> ConversionReport:
    """Make `output` of finished shards: check them, give them their final names, say what is in them. Raises what `merge` raises.

    `sources` are folders of shards beside the one of `output`, which is held for `plan`; `notes` are those of the report.
    """
    folder = shards_folder(output)
    found = _gather([folder, *sources], plan)
    meta = described(plan, [shard for _, shard in found])
    if not any(meta["counts"].values()):
        shutil.rmtree(folder, ignore_errors=True)  # nothing in there is of any use
        reason = f"the first: {meta['broken'][0]}" if meta["broken"] else "none of their clips belongs to it."
        raise ValueError(f"None of the {plan['recordings']:,} recordings of {plan['protocol']} can be read; {reason}")
    report = _accepted(ConversionReport(meta, plan["shards"], notes), strict)
    made = folder / "output"
    shutil.rmtree(made, ignore_errors=True)
    (made / "data").mkdir(parents=True)
    files: dict[str, list[tuple[Path, str]]] = {split: [] for split in plan["expected"]}
    for source, shard in found:
        for name, digest in shard.sha256.items():
            files[name.partition("-")[0]].append((source / name, digest))
    meta["sha256"], damaged = {}, []
    with _bar(progress, "check", "shards", sum(map(len, files.values()))) as bar:
        for split, parts in files.items():
            for number, (path, digest) in enumerate(parts):
                name = f"data/{split}-{number:05}-of-{len(parts):05}.{plan['format']}"
                meta["sha256"][name] = digest
                if not _place(path, made / name, digest):
                    damaged.append(str(path))
                bar.update()
    if damaged:
        those = f"{len(damaged):,} of {len(meta['sha256']):,} files of clips are damaged ({listed(shortened(damaged))})"
        raise ValueError(f"{those}; delete them and run the same command again.")
    write_meta(made, meta)
    if write_card is not None and plan["format"] == "parquet":
        write_card(made)
    _check_output(output, overwrite)  # somebody else may have made it meanwhile
    _replace(made, output, folder / "old")
    shutil.rmtree(folder, ignore_errors=True)
    return report


def _place(path: Path, target: Path, digest: str) -> bool:
    """Give a file a second name (a copy, where a file system has no such thing); False if it is not what was written."""
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != digest:
            return False
    try:
        os.link(path, target)
    except OSError:
        shutil.copyfile(path, target)
    return True


def _replace(made: Path, output: Path, old: Path) -> None:
    """Rename `made` to `output`. An old one is moved to `old` first, and comes back if the rename fails."""
    if output.exists():
        output.rename(old)
    try:
        made.rename(output)
    except BaseException:
        if old.exists():
            old.rename(output)
        raise
