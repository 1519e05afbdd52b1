"""Raw recordings to a folder in one of the storage formats, all or nothing.

Everything is written to a hidden folder beside the target, which is renamed when it is complete: whatever goes wrong, Ctrl-C
included, the target is either the old one or the new one.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .files import umask
from .protocols import SPLITS, Protocol, Split, get_protocol
from .readers import ReadError
from .readers.recordings import Recordings, find_recordings, read_recordings
from .storage import META_FILE, FolderWriter, Format

_NAMES_SHOWN = 5


class StrictError(ValueError):
    """`strict=True`, and something is broken or missing. `report` says what; nothing was written."""

    def __init__(self, message: str, report: ConversionReport) -> None:
        super().__init__(message)
        self.report = report


@dataclass
class ConversionReport:
    """What became of the recordings.

    Args:
        protocol: What was converted.
        kept: Clips written, for each split.
        broken: Sentences about the recordings that cannot be read.
        left_out: Why other files were left out -> their names.
        missing: Ids that the complete data set has beyond those kept, for each split.
    """

    protocol: Protocol
    kept: dict[Split, int]
    broken: list[str] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=dict)
    missing: dict[Split, list[str]] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """The report as text."""
        kept, left_out = sum(self.kept.values()), sum(map(len, self.left_out.values()))
        lines = [
            f"{self.protocol.name}: {kept + len(self.broken):,} recordings read, {kept:,} kept, {len(self.broken):,} broken"
        ]
        lines += [f"  broken: {sentence}" for sentence in self.broken]
        for reason, names in self.left_out.items():
            shown = ", ".join(names[:_NAMES_SHOWN]) + (", ..." if len(names) > _NAMES_SHOWN else "")
            lines.append(f"  not read, {reason}: {len(names):,} ({shown})")
        if left_out == 0 and not self.broken:
            lines.append("  nothing left out")
        for split in SPLITS:
            expected, missing = self.protocol.expected(split), self.missing.get(split, [])
            if expected is None:
                state = "the protocol expects no fixed number"
            elif not missing and self.kept[split] == expected:
                state = "as the protocol expects"
            else:
                shown = ", ".join(missing[:_NAMES_SHOWN]) + (", ..." if len(missing) > _NAMES_SHOWN else "")
                state = f"the protocol expects {expected:,}; missing: {shown}"
            lines.append(f"  {split}: {self.kept[split]:,} clips, {state}")
        return lines


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
) -> ConversionReport:
    """Convert the recordings of a protocol.

    Args:
        name: Protocol, such as "nw_ucla_xview".
        data_dir: Folder with the raw files, or a parent of it.
        output: Folder to make; `load_skeletons(output)` reads it.
        format: "arrow", "parquet" or "safetensors".
        denoise: Choose the actors, as the readers do by default.
        strict: A broken or missing recording is an error, and nothing is written. Otherwise it is left out and reported.
        overwrite: Replace `output`, if it was made by `convert`.
        num_proc: Processes that read.
        progress: Show a progress bar on stderr.

    Returns:
        What was kept and what was not; also saved in the `s2i.json` of the folder.

    Raises:
        ValueError: wrong name, folder or format, an `output` that may not be replaced, or not a single readable recording.
        StrictError: `strict`, and a recording is broken or missing.
    """
    protocol = get_protocol(name)
    output = Path(output).expanduser()
    _check_output(output, overwrite)
    recordings = find_recordings(protocol, data_dir)
    with _folder_beside(output) as folder:
        writer = FolderWriter(folder, protocol, format, SPLITS)
        report = _write(writer, recordings, denoise, num_proc, progress)
        if not sum(report.kept.values()):
            raise ValueError(f"None of the {len(report.broken)} recordings can be read; the first: {report.broken[0]}")
        missing = sum(map(len, report.missing.values()))
        if strict and (report.broken or missing):
            counts = f"{len(report.broken)} broken and {missing} missing"
            raise StrictError(
                f"{name}: {counts} recordings, which --strict does not accept; nothing was written.", report
            )
        writer.close(
            {
                "denoise": denoise,
                "source": protocol.source,
                "fingerprint": recordings.fingerprint,
                "broken": report.broken,
                "left_out": report.left_out,
                "missing": {split: len(ids) for split, ids in report.missing.items()},
            }
        )
        _check_output(output, overwrite)  # somebody else may have made it meanwhile
        _replace(folder, output)
    return report


def _write(
    writer: FolderWriter, recordings: Recordings, denoise: bool, num_proc: int, progress: bool
) -> ConversionReport:
    from tqdm import tqdm

    report = ConversionReport(recordings.protocol, dict.fromkeys(SPLITS, 0), left_out=recordings.left_out)
    total = sum(map(len, recordings.files.values()))
    with tqdm(total=total, unit=" clips", disable=not progress, file=sys.stderr, leave=False) as bar:
        for split in SPLITS:
            kept: list[str] = []
            for sequence in read_recordings(recordings.files[split], recordings.protocol, denoise, num_proc):
                if isinstance(sequence, ReadError):
                    report.broken.append(str(sequence))
                else:
                    writer.write(split, sequence)
                    kept.append(sequence.sample_id)
                bar.update()
            report.kept[split] = len(kept)
            report.missing[split] = recordings.missing(split, kept)
    return report


def _check_output(output: Path, overwrite: bool) -> None:
    if not output.exists() and not output.is_symlink():
        return
    if not output.is_dir():
        raise ValueError(f"{output} is there and no folder; choose another --output.")
    if not any(output.iterdir()):
        return
    if not overwrite:
        raise ValueError(f"{output} is there already; choose another --output, or pass --overwrite to replace it.")
    if not (output / META_FILE).is_file():
        raise ValueError(f"{output} was not made by `s2i convert` (it has no {META_FILE}), so it is not replaced.")


@contextlib.contextmanager
def _folder_beside(output: Path) -> Iterator[Path]:
    """A fresh hidden folder on the same file system as `output`; gone at the end, unless it was renamed."""
    made: list[Path] = []
    parent = output.resolve().parent
    while not parent.exists():
        made.append(parent)
        parent = parent.parent
    try:
        output.resolve().parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.resolve().parent))
        try:
            folder.chmod(0o777 & ~umask())  # mkdtemp makes it private
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except BaseException:
        for parent in made:  # the parents of the target that were made for nothing
            with contextlib.suppress(OSError):
                parent.rmdir()
        raise


def _replace(folder: Path, output: Path) -> None:
    """Rename `folder` to `output`. An old one is moved away first and deleted last, and comes back if the rename fails."""
    output = output.resolve()
    old: Path | None = None
    if output.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{output.name}.old.", dir=output.parent))
        output.rename(old / output.name)
    try:
        folder.rename(output)
    except BaseException:
        if old is not None:
            (old / output.name).rename(output)
        raise
    finally:
        if old is not None:
            shutil.rmtree(old, ignore_errors=True)
