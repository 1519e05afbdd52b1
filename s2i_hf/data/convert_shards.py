"""The pieces of a conversion: a few dozen recordings each, read by one process, kept until all are there.

A conversion to OUT works in the hidden folder `.OUT.pieces` beside it:

    plan.json           what is converted, and into how many pieces; pieces of another plan are never used
    00007/              one piece, renamed into place when it is complete: piece.json and one clip file a split
    lock, lock-0-of-4   held by the process that works there, and by those that make one shard each
    output/             the folder that becomes OUT, while the pieces are merged
    old/                the OUT that it replaces, for the moment between two renamings

So a conversion that is killed at any moment goes on where it was, pieces made on several machines fit together, and the result
is the same in any case: which recordings a piece holds depends on nothing but their names and sizes.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..processing.layouts import OWN_LAYOUTS
from ..protocols import Protocol
from ..readers import NoClip, RawFile, ReadError
from ..readers.discovery import read_file
from ..utils.files import umask, write_atomically
from .clip_files import ClipFileWriter, checksum
from .convert_plans import Plan
from .locks import PATIENCE, Lock

PLAN_FILE, PIECE_FILE, LOCK_FILE = "plan.json", "piece.json", "lock"


# -- one piece ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Piece:
    """What `piece.json` says.

    Args:
        counts: Clips of each split; a split without clips has no file.
        broken: Sentences about what cannot be read.
        no_clips: Sentences about entries of the data set that stand for no clip.
        layouts: Joint formats that are not built in, as `SkeletonLayout.to_dict` gives them.
        checks: Bytes and CRC-32 of each clip file.
    """

    counts: dict[str, int]
    broken: list[str] = field(default_factory=list)
    no_clips: list[str] = field(default_factory=list)
    layouts: dict[str, Any] = field(default_factory=dict)
    checks: dict[str, list[int]] = field(default_factory=dict)


def piece_folder(folder: Path, index: int) -> Path:
    """Where piece number `index` is."""
    return folder / f"{index:05}"


def clip_file(folder: Path, index: int, split: str) -> Path:
    """Where the clips of a split are in piece number `index`."""
    return piece_folder(folder, index) / f"{split}.safetensors"


def load_piece(folder: Path, index: int) -> Piece | None:
    """What a piece holds; None if it is not there, or not whole."""
    inside = piece_folder(folder, index)
    try:
        piece = Piece(**json.loads((inside / PIECE_FILE).read_text(encoding="utf-8")))
        whole = all((inside / name).stat().st_size == check[0] for name, check in piece.checks.items())
    except (OSError, ValueError, TypeError, AttributeError, IndexError):
        return None
    return piece if whole else None


def check_piece(folder: Path, index: int, piece: Piece) -> None:
    """Read a piece through.

    Raises:
        ValueError: a file of it is not what was written.
    """
    inside = piece_folder(folder, index)
    for name, (_, expected) in piece.checks.items():
        if checksum(inside / name) != expected:
            raise ValueError(f"{inside / name} is damaged; delete the folder {inside} and run the same command again.")


def make_piece(
    folder: Path,
    index: int,
    files: Sequence[RawFile],
    protocol: Protocol,
    denoise: bool,
    after_file: Callable[[int], None] = lambda clips: None,
) -> None:
    """Read some recordings and write their piece, all or nothing.

    Args:
        folder: The folder of pieces.
        index: Number of the piece.
        files: Its recordings.
        protocol: What they are split by.
        denoise: Whether the readers choose the actors.
        after_file: Called with the number of its clips after each recording; what it raises ends the work.
    """
    made = Path(tempfile.mkdtemp(prefix=f".{index:05}.", dir=folder))
    writers: dict[str, ClipFileWriter] = {}
    counts: dict[str, int] = {}
    broken: list[str] = []
    no_clips: list[str] = []
    layouts: dict[str, Any] = {}
    try:
        for file in files:
            clips = 0
            for clip in read_file(file, protocol, denoise):
                if isinstance(clip, ReadError):
                    (no_clips if isinstance(clip, NoClip) else broken).append(str(clip))
                    continue
                split, sequence = str(clip.split), clip.sequence
                if split not in writers:
                    path = made / f"{split}.safetensors"
                    writers[split] = ClipFileWriter(path, protocol.name, protocol.class_names)
                try:
                    writers[split].write(sequence.to_row())
                except ValueError as error:
                    broken.append(str(error))
                    continue
                if sequence.layout.name in OWN_LAYOUTS:
                    layouts[sequence.layout.name] = sequence.layout.to_dict()
                counts[split] = counts.get(split, 0) + 1
                clips += 1
            after_file(clips)
        checks = {}
        for split, writer in writers.items():
            crc = writer.close()
            checks[f"{split}.safetensors"] = [writer.path.stat().st_size, crc]
        text = json.dumps(asdict(Piece(counts, broken, no_clips, layouts, checks)))
        (made / PIECE_FILE).write_text(text, encoding="utf-8")
        made.chmod(0o777 & ~umask())  # mkdtemp makes it private
        _put(made, folder, index)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _put(made: Path, folder: Path, index: int) -> None:
    """Rename a piece into its place, where another process may have put the same one meanwhile."""
    if load_piece(folder, index) is not None:
        return
    place = piece_folder(folder, index)
    shutil.rmtree(place, ignore_errors=True)
    try:
        made.rename(place)
    except OSError:
        if load_piece(folder, index) is None:
            raise


# -- the folder of pieces ----------------------------------------------------------------------------------------------


def pieces_folder(output: Path) -> Path:
    """The folder of the pieces of `output`."""
    return output.parent / f".{output.name}.pieces"


def load_plan(folder: Path) -> Plan | None:
    """The plan of a folder of pieces; None if it has none that can be read."""
    try:
        return Plan.from_json((folder / PLAN_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


@contextlib.contextmanager
def working_on(output: Path, plan: Plan, shard: tuple[int, int] | None) -> Iterator[str]:
    """Hold the pieces of `output` for this process, made ready for `plan`; other shards may work there at the same time.

    Args:
        output: What is to be made.
        plan: What is converted. Pieces of another plan are thrown away.
        shard: (I, N) to make the pieces of one shard only.

    Yields:
        A sentence, if pieces were thrown away; else "".

    Raises:
        ValueError: another process works in the folder.
    """
    folder = pieces_folder(output)
    with contextlib.ExitStack() as stack:
        if shard is not None:
            own = Lock(folder / f"{LOCK_FILE}-{shard[0]}-of-{shard[1]}")
            stack.enter_context(own.held(f"shard {shard[0]}/{shard[1]}"))
        lock = Lock(folder / LOCK_FILE)
        note = stack.enter_context(_prepared(lock, output, plan, shared=shard is not None))
        yield note


@contextlib.contextmanager
def _prepared(lock: Lock, output: Path, plan: Plan, shared: bool) -> Iterator[str]:
    folder = pieces_folder(output)
    stop = time.monotonic() + PATIENCE
    try:
        while True:
            if lock.take():
                note = _use(output, plan)
                if shared:
                    lock.share()
                break
            if shared and lock.take(shared=True):
                found = load_plan(folder)
                if found is not None and found.id == plan.id:
                    note = ""
                    break
                lock.release()
            if time.monotonic() > stop:
                raise ValueError(
                    f"Another `s2i convert` works in {folder}; wait for it, or choose another --output (several machines or "
                    "processes can share the work with --shard I/N)."
                )
            time.sleep(0.05)
        yield note
    finally:
        lock.release()


def _use(output: Path, plan: Plan) -> str:
    """Make an exclusively held folder ready: leftovers of killed processes go, and pieces of another plan."""
    folder = pieces_folder(output)
    old = folder / "old"
    if old.exists() and not output.exists():
        old.rename(output)  # killed between moving it away and putting the new one in its place
    found = load_plan(folder)
    note = ""
    same = found is not None and found.id == plan.id
    for entry in folder.iterdir():
        stale = entry.name.isdigit() and not same
        if stale and not note:
            note = f"Pieces of another conversion in {folder} were thrown away: other data, options or code."
        if stale or entry.name in ("output", "old") or (entry.name.startswith(".") and entry.is_dir()):
            shutil.rmtree(entry, ignore_errors=True)
    if not same:
        write_atomically(folder / PLAN_FILE, plan.to_json())
    return note
