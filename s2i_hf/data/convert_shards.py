"""The shards of a conversion: some hundreds of recordings each, read by one process, kept until all are there.

A conversion to OUT works in the hidden folder `.OUT.shards` beside it:

    plan.json             what is converted: all that s2i.json says before anything is read; shards of another plan are never used
    train-00007.parquet   a finished file of shard 7, written aside and renamed
    00007.json            written last: what shard 7 holds, and the digests of its files
    lock, lock-0-of-4     held by the process that works there, and by those that make one part each
    output/, old/         the folder that becomes OUT; the OUT that it replaces, for the moment between two renamings

So a conversion that is killed at any moment goes on where it was, shards made on several machines fit together, and the result is
the same in any case: which recordings a shard holds depends on nothing but their names and sizes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ..processing.layouts import layout_json
from ..protocols import SPLITS, Protocol
from ..protocols.folder import FolderProtocol
from ..readers import LeftOut, NoClip, RawFile, ReadError
from ..readers.recordings import Recordings
from ..utils.files import write_atomically
from ..utils.text import printable
from .convert_report import shortened
from .recorded_rows import code_hash, recorded_rows
from .storage import Format, ShardWriter, protocol_of

PLAN_FILE, LOCK_FILE = "plan.json", "lock"
PATIENCE = 5.0  # seconds to wait for a process that is just looking, or just dying
_MAX_FILES = 1024  # recordings in a shard: some seconds of work
_MAX_BYTES = 256 << 20  # of raw files in a shard

Plan = Mapping[str, Any]
"""What is converted, as `s2i.json` says it; two conversions with the same `plan` (its hash) make the same shards."""


# -- the plan ----------------------------------------------------------------------------------------------------------


def make_plan(recordings: Recordings, denoise: bool, format: Format, shards: int) -> Plan:
    """The plan for these recordings, in that many shards; nothing in it depends on the machine, the place or the time."""
    protocol = recordings.protocol
    videos = dict(zip(SPLITS, protocol.expected_videos or (), strict=False))
    plan: dict[str, Any] = {
        "format": format,
        "protocol": protocol.name,
        "class_names": list(protocol.class_names),
        "command": f"s2i convert {protocol.name} --format {format}" + ("" if denoise else " --no-denoise"),
        "made_by": f"s2i-hf {version('s2i-hf')}",
        "layout": str(getattr(protocol.layout, "name", protocol.layout) or ""),
        "denoise": denoise,
        "source": protocol.source,
        "content": recordings.content,
        "code": code_hash(),
        "recordings": len(recordings.all_files),
        "shards": shards,
        "expected": {split: protocol.expected(split) for split in protocol.splits},
        "videos": {split: [len(recordings.files.get(split, ())), count] for split, count in videos.items()},
        "left_out": {reason: shortened(names) for reason, names in sorted(recordings.left_out.items())},
    }
    plan |= {key: words for key in ("warnings", "notes", "fps") if (words := getattr(recordings, key))}
    if protocol.needs_data and protocol.split_by == "sample":
        plan["split_lists"] = {"train": sorted(map(str, protocol.train)), "test": sorted(map(str, protocol.test or ()))}
    return {**plan, "plan": hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()[:16]}


def load_plan(folder: Path) -> Plan | None:
    """The plan of a folder of shards; None if it has none that can be read."""
    try:
        plan = json.loads((folder / PLAN_FILE).read_text(encoding="utf-8"))
        return plan if isinstance(plan, dict) and "plan" in plan else None
    except (OSError, ValueError):
        return None


def cut(files: Sequence[RawFile]) -> list[list[RawFile]]:
    """Cut files into shards of at most 1,024 files, or about 256 MB; which ones depends on their order and sizes alone."""
    shards: list[list[RawFile]] = []
    filled = 0
    for file in files:
        size = sum(max(part.size, 0) for part in (file, *file.companions))
        if not shards or len(shards[-1]) == _MAX_FILES or filled + size > _MAX_BYTES:
            shards.append([])
            filled = 0
        shards[-1].append(file)
        filled += size
    return shards


# -- one shard ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shard:
    """What the JSON file of a shard says.

    Args:
        ids: Sample ids of each split that has clips in it.
        broken: Sentences about what cannot be read.
        no_clips: Sentences about entries of the data set that stand for no clip.
        parts_left_out: Sentences about what of a clip was left out.
        layouts: Joint formats that are not built in, as `SkeletonLayout.to_dict` gives them.
        sha256: Name -> digest of its files.
    """

    ids: dict[str, list[str]] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    no_clips: list[str] = field(default_factory=list)
    parts_left_out: list[str] = field(default_factory=list)
    layouts: dict[str, Any] = field(default_factory=dict)
    sha256: dict[str, str] = field(default_factory=dict)


def described(plan: Plan, shards: Sequence[Shard]) -> dict[str, Any]:
    """Entries of `s2i.json` once these shards of a plan are there."""
    protocol = protocol_of(plan)
    ids = {split: [name for shard in shards for name in shard.ids.get(split, ())] for split in plan["expected"]}
    missing = {split: shortened([]) for split in ids}
    for split, found in ids.items():
        if (expected := plan["expected"][split]) not in (None, len(found)):
            listed = Recordings(protocol, {}).missing(split, found) if protocol else []  # type: ignore[arg-type]
            missing[split] = shortened(listed, expected - len(found))
    layouts = {name: layout for shard in shards for name, layout in shard.layouts.items()}
    return {
        **plan,
        "counts": {split: len(found) for split, found in ids.items()},
        "broken": [sentence for shard in shards for sentence in shard.broken],
        "no_clips": [sentence for shard in shards for sentence in shard.no_clips],
        "parts_left_out": [sentence for shard in shards for sentence in shard.parts_left_out],
        "missing": missing,
        **({"layouts": dict(sorted(layouts.items()))} if layouts else {}),
    }


def shard_json(folder: Path, index: int) -> Path:
    """The file that says what a shard holds; there when the shard is finished."""
    return folder / f"{index:05}.json"


def load_shard(folder: Path, index: int) -> Shard | None:
    """What a shard holds; None if it is not there, or a file of it is not."""
    try:
        shard = Shard(**json.loads(shard_json(folder, index).read_text(encoding="utf-8")))
        return shard if all((folder / name).is_file() for name in shard.sha256) else None
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def make_shard(
    folder: Path,
    plan: Plan,
    index: int,
    files: Sequence[RawFile],
    protocol: Protocol,
    after_file: Callable[[int], object] = lambda clips: None,
) -> int:
    """Read some recordings and write their shard, all or nothing; returns how many clips it holds.

    `after_file` is called with the number of its clips after each recording; what it raises ends the work.
    """
    shard = Shard()
    own = layout_json(protocol.skeleton) if isinstance(protocol, FolderProtocol) else None
    writer = ShardWriter(folder, f"{index:05}", plan["format"], plan["class_names"])
    try:
        for file in files:
            clips = 0
            for found in recorded_rows(file, protocol, plan["denoise"]):
                if isinstance(found, LeftOut):
                    shard.parts_left_out.append(printable(str(found)))
                    continue
                if isinstance(found, ReadError):
                    (shard.no_clips if isinstance(found, NoClip) else shard.broken).append(printable(str(found)))
                    continue
                split, row = found
                writer.write(split, row)
                shard.ids.setdefault(split, []).append(row["sample_id"])
                clips += 1
                if isinstance(own, dict):
                    shard.layouts[row["layout"]] = own
            after_file(clips)
        shard.sha256.update(writer.close())
    except BaseException:
        writer.discard()
        raise
    write_atomically(shard_json(folder, index), json.dumps(asdict(shard)))
    return sum(map(len, shard.ids.values()))


# -- in several processes ----------------------------------------------------------------------------------------------


_stop: Any = None  # of a child: the multiprocessing.Event by which the main process says that it wants no more


def make_shards(
    folder: Path,
    plan: Plan,
    work: Mapping[int, Sequence[RawFile]],
    protocol: Protocol,
    num_proc: int,
    advance: Callable[[int, int], object],
) -> None:
    """Make shards in `num_proc` processes; joints never travel between them, each writes its shards itself.

    Args:
        folder, plan, protocol: Where to, what they are part of, and what they are split by.
        work: Numbers of the shards to make -> their recordings.
        num_proc: Processes; 1: this one.
        advance: Told how many more recordings were read, and how many clips they gave.

    Raises:
        ChildProcessError: a process was killed, most likely for its memory.
    """
    num_proc = min(num_proc, len(work))
    if num_proc <= 1:
        for index, files in work.items():
            make_shard(folder, plan, index, files, protocol, lambda clips: advance(1, clips))
        return
    stop = multiprocessing.Event()
    with ProcessPoolExecutor(num_proc, initializer=_start, initargs=(stop,)) as pool:
        try:
            made = {
                pool.submit(make_shard, folder, plan, index, files, protocol, _check_stop): len(files)
                for index, files in work.items()
            }
            for future in as_completed(made):
                advance(made[future], future.result())
        except BrokenProcessPool:
            raise ChildProcessError(
                "A process that read recordings was killed, most likely because memory ran out; try a smaller --num-proc"
            ) from None
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)


def _start(stop: Any) -> None:
    global _stop
    _stop = stop
    # Ctrl-C reaches every process of the terminal; the main one handles it
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _check_stop(clips: int) -> None:
    if _stop.is_set():
        raise InterruptedError


def _end_with_parent() -> None:
    """A main process that is killed cannot tell its children to stop, and they would wait for work for ever."""
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)


# -- the folder of shards ----------------------------------------------------------------------------------------------


def shards_folder(output: Path) -> Path:
    """The folder of the shards of `output`."""
    return output.parent / f".{output.name}.shards"


@contextlib.contextmanager
def working_on(output: Path, plan: Plan, part: tuple[int, int] | None = None) -> Iterator[str]:
    """Hold the shards of `output` for this process, made ready for `plan`; other parts may be made there at the same time.

    Shards of another plan are thrown away. `part` is (I, N) to make the shards of one part only. Yields a sentence, if shards were
    thrown away; else "". Raises ValueError if another process works in the folder.
    """
    folder, note = shards_folder(output), ""
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as held:
        try:
            whole = held.enter_context(FileLock(folder / LOCK_FILE, timeout=PATIENCE))
            found = load_plan(folder)
            if part is None or found is None or found["plan"] != plan["plan"]:
                for path in folder.glob(f"{LOCK_FILE}-*"):
                    held.enter_context(FileLock(path, timeout=PATIENCE)).release()  # nobody makes a part
                note = _make_ready(output, plan, found)
            if part is not None:
                own = FileLock(folder / f"{LOCK_FILE}-{part[0]}-of-{part[1]}", timeout=PATIENCE)
                held.enter_context(own)
                whole.release()
        except Timeout:
            raise ValueError(
                f"Another `s2i convert` works in {folder}; wait for it, or choose another --output (several machines or processes "
                "can share the work with --shard I/N)."
            ) from None
        yield note


def _make_ready(output: Path, plan: Plan, found: Plan | None) -> str:
    """Make an exclusively held folder ready: leftovers of killed processes go, and shards of another plan."""
    folder = shards_folder(output)
    if (folder / "old").exists() and not output.exists():
        (folder / "old").rename(output)  # killed between moving it away and putting the new one in its place
    same = found is not None and found["plan"] == plan["plan"]
    thrown = not same and any(folder.glob("[0-9]*.json"))
    for entry in folder.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        elif entry.suffix == ".tmp" or not (same or entry.name.startswith(LOCK_FILE)):
            entry.unlink()
    if not same:
        write_atomically(folder / PLAN_FILE, json.dumps(plan, indent=1))
    return f"Shards of another conversion in {folder} were thrown away: other data, options or code." if thrown else ""
