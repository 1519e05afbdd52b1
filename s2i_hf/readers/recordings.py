"""The recordings of a protocol in a folder: found, split, fingerprinted and read one after the other."""

from __future__ import annotations

import hashlib
import os
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..protocols import SPLITS, Protocol, Split, get_protocol, parse_name
from ..sequence import SkeletonSequence
from . import READERS, ReadError, get_reader

_DEPTH = 2  # levels of folders below the one that is named: archives unpack into one or two of their own
_BATCH = 16  # recordings that a process reads at a time


@dataclass
class Recordings:
    """What is in a data folder.

    Args:
        protocol: The rule they are split by.
        files: Paths that train and that test, sorted by sample id.
        left_out: Why files were left out -> sorted names.
        fingerprint: Hash of the names, sizes and times of change of `files`: another one means other data.
    """

    protocol: Protocol
    files: dict[Split, list[Path]]
    left_out: dict[str, list[str]] = field(default_factory=dict)
    fingerprint: str = ""

    def missing(self, split: Split, found: Sequence[str]) -> list[str]:
        """Sorted ids that `split` should have and `found` lacks; empty if the protocol has no fixed size."""
        if self.protocol.expected(split) in (None, len(found)):
            return []
        return sorted(set(self.protocol.expected_ids(split) or ()) - set(found))


def find_recordings(protocol: str | Protocol, data_dir: str | Path | None) -> Recordings:
    """Find the recordings of a protocol in `data_dir` and in the folders up to two levels below it.

    Raises:
        ValueError: no such protocol or folder, no recording of it there, or one recording there in two versions. The
            message says what was looked for.
    """
    protocol = get_protocol(protocol) if isinstance(protocol, str) else protocol
    example = READERS[protocol.reader]
    suffix = Path(example).suffix
    if data_dir is None:
        raise ValueError(
            f"{protocol.name} is made from raw files: pass data_dir, the folder with files like {example}."
        )
    folder = Path(data_dir).expanduser()
    if not folder.is_dir():
        kind = "a file, not a folder" if folder.exists() else "not there"
        raise ValueError(f"The data folder {folder} is {kind}; expected the folder with files like {example}.")
    found = sorted(_walk(folder, suffix, _DEPTH), key=lambda entry: (Path(entry.path).stem, entry.path))
    files: dict[Split, list[Path]] = {split: [] for split in SPLITS}
    left_out: dict[str, list[str]] = {}
    seen: dict[str, tuple[str, int]] = {}  # id -> path and size
    digest = hashlib.sha256()
    for entry in found:
        sample_id = Path(entry.path).stem
        split = protocol.split(sample_id)
        if split is None:
            left_out.setdefault(_why_not(protocol, sample_id), []).append(entry.name)
            continue
        try:
            size, changed = entry.stat().st_size, entry.stat().st_mtime_ns
        except OSError:
            size, changed = -1, -1  # a dangling link: reading it will say so
        if sample_id in seen:
            first, first_size = seen[sample_id]
            if first_size != size:
                raise ValueError(f"{first} and {entry.path} are two versions of one recording; keep one of them.")
            left_out.setdefault("there twice", []).append(entry.name)
            continue
        seen[sample_id] = entry.path, size
        files[split].append(Path(entry.path))
        digest.update(f"{os.path.relpath(entry.path, folder)}\t{size}\t{changed}\n".encode(errors="surrogateescape"))
    if not seen:
        looked = f"looked for files like {example} in it and two levels of folders below"
        if found:
            looked += f", and none of the {len(found)} {suffix} files there (such as {found[0].name}) belongs to it"
        raise ValueError(f"No recordings of {protocol.name} in {folder}: {looked}.")
    return Recordings(protocol, files, left_out, digest.hexdigest())


def _walk(folder: Path, suffix: str, depth: int) -> Iterator[os.DirEntry[str]]:
    """Files with `suffix` in `folder` and `depth` levels below; links to folders are followed, hidden ones are not."""
    try:
        with os.scandir(folder) as entries:
            listed = [entry for entry in entries if not entry.name.startswith(".")]
    except OSError:
        return  # a folder that may not be listed holds nothing for us
    for entry in listed:
        if os.path.isdir(entry.path):
            if depth > 0:
                yield from _walk(Path(entry.path), suffix, depth - 1)
        elif entry.name.endswith(suffix):
            yield entry


def _why_not(protocol: Protocol, sample_id: str) -> str:
    if parse_name(protocol.reader, sample_id) is None:
        return "not named like a recording"
    if sample_id in protocol.missing_samples:
        return "on the list of missing skeletons"
    return "not part of this protocol"


def read_recording(path: str | Path, protocol: Protocol, denoise: bool = True) -> SkeletonSequence:
    """Read one recording and hold it against its name.

    Raises:
        ReadError: it cannot be read, or the label inside is not the one in its name.
    """
    path = Path(path)
    sequence = get_reader(protocol.reader)(path, denoise=denoise)
    label = protocol.label(path.stem)
    if sequence.label != label:
        raise ReadError(f"{path.name}: holds label {sequence.label}, but its name stands for label {label}.")
    return sequence


def read_recordings(
    files: Sequence[Path], protocol: Protocol, denoise: bool = True, num_proc: int = 1
) -> Iterator[SkeletonSequence | ReadError]:
    """Read many recordings in their order, in `num_proc` processes; a broken one comes out as its error.

    Raises:
        ChildProcessError: a process was killed, most likely for its memory.
    """
    if num_proc <= 1 or len(files) <= _BATCH:
        for path in files:
            yield from _read_batch([path], protocol, denoise)
        return
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    batches = [files[start : start + _BATCH] for start in range(0, len(files), _BATCH)]
    with ProcessPoolExecutor(min(num_proc, len(batches)), initializer=_leave_interrupts) as pool:
        try:
            pending = deque(pool.submit(_read_batch, batch, protocol, denoise) for batch in batches[: 2 * num_proc])
            for batch in batches[2 * num_proc :]:  # a window of batches, so that reading never runs far ahead
                yield from pending.popleft().result()
                pending.append(pool.submit(_read_batch, batch, protocol, denoise))
            while pending:
                yield from pending.popleft().result()
        except BrokenProcessPool:
            raise ChildProcessError("A process that read recordings was killed; try again with fewer.") from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _read_batch(files: Sequence[Path], protocol: Protocol, denoise: bool) -> list[SkeletonSequence | ReadError]:
    sequences: list[SkeletonSequence | ReadError] = []
    for path in files:
        try:
            sequences.append(read_recording(path, protocol, denoise))
        except ReadError as error:
            sequences.append(error)
    return sequences


def _leave_interrupts() -> None:
    """Ctrl-C reaches every process of the terminal; the main one handles it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
