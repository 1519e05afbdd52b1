"""`s2i convert` on many files: does memory stay, does time grow in proportion, does it survive being killed?

    OMP_NUM_THREADS=1 python benchmarks/conversion.py [--files 20000] [--num-proc 1] [--format parquet]
    OMP_NUM_THREADS=1 python benchmarks/conversion.py --kill [--files 2000] [--num-proc 1]

The files are those of synthetic people: 200 different ones under as many names of NTU-60 as are wanted (hard links, so they
need no space). The first form converts a tenth of them and all of them, each in a process of its own, and compares the largest
resident memory (of the process, and of the largest of its children) and the time a file. The second form converts undisturbed, then
once more for each of ten moments drawn at random: killed with SIGKILL at that moment, and run again. All files of all outputs
must be the same, byte by byte; the formats take turns.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from s2i_hf.data.storage import FORMATS
from s2i_hf.protocols import PROTOCOLS
from s2i_hf.synthetic.people import write_dataset

PROTOCOL = PROTOCOLS["ntu60_xsub"]
MOST_MEMORY = 1.10  # all files against a tenth of them
LINEAR = 1.25  # seconds a file, likewise

PROGRAM = """
import resource, sys, time
from s2i_hf.cli import main
start = time.perf_counter()
code = main(sys.argv[1:])
own, children = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
print("measured", time.perf_counter() - start, own, children)
sys.exit(code)
"""


def ntu_names() -> Iterator[str]:
    """Names of NTU-60 samples, complete ones only, with setups, cameras, people and actions mixed."""
    for replication, camera, setup, action, person in itertools.product(
        (1, 2), (1, 2, 3), range(1, 18), range(1, 61), range(1, 41)
    ):
        name = f"S{setup:03}C{camera:03}P{person:03}R{replication:03}A{action:03}"
        if PROTOCOL.split(name) is not None:
            yield name


def make_files(folder: Path, source: list[Path], count: int) -> None:
    """`count` recordings that are hard links to those of `source`, in turns."""
    folder.mkdir()
    for name, path in zip(itertools.islice(ntu_names(), count), itertools.cycle(source), strict=False):
        os.link(path, folder / f"{name}.skeleton")


class Run(NamedTuple):
    """Seconds, and megabytes of the process and of its largest child."""

    seconds: float
    own: float
    children: float


def command(raw: Path, output: Path, format: str, num_proc: int) -> list[str]:
    """A program that converts in a process of its own and prints what it took."""
    flags = ["--data-dir", str(raw), "--output", str(output), "--format", format, "--num-proc", str(num_proc)]
    return [sys.executable, "-c", PROGRAM, "convert", PROTOCOL.name, *flags]


def run(raw: Path, output: Path, format: str, num_proc: int) -> Run:
    """Convert, and measure."""
    done = subprocess.run(command(raw, output, format, num_proc), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"the conversion failed: {done.stderr}")
    _, seconds, own, children = done.stdout.splitlines()[-1].split()
    return Run(float(seconds), int(own) / 1024, int(children) / 1024)


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file in a folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                found[path.relative_to(folder).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def growth(base: Path, source: list[Path], files: int, num_proc: int, format: str) -> bool:
    """Convert a tenth and all; returns whether memory stays and time is in proportion."""
    print(f"{'files':>8s} {'raw MB':>8s} {'seconds':>8s} {'files/s':>8s} {'MB of memory':>13s} {'of a child':>11s}")
    runs = []
    for count in (files // 10, files):
        raw, output = base / f"raw{count}", base / f"out{count}"
        make_files(raw, source, count)
        raw_bytes = sum(entry.stat().st_size for entry in os.scandir(raw))
        took = run(raw, output, format, num_proc)
        runs.append(took)
        print(
            f"{count:8,d} {raw_bytes / 1e6:8,.0f} {took.seconds:8.1f} {count / took.seconds:8.0f} {took.own:13.1f} {took.children:11.1f}"
        )
    small, large = runs
    memory = max(large.own / small.own, large.children / max(small.children, 1))
    pace = (large.seconds / files) / (small.seconds / (files // 10))
    print(f"memory x {memory:.3f} (target <= {MOST_MEMORY}), seconds a file x {pace:.2f} (target <= {LINEAR})")
    return memory <= MOST_MEMORY and pace <= LINEAR


def survival(base: Path, source: list[Path], files: int, num_proc: int, seed: int, moments: int = 10) -> bool:
    """Kill ten conversions at random moments and finish them; returns whether all are what an undisturbed one is."""
    raw = base / "raw"
    make_files(raw, source, files)
    expected, seconds = {}, {}
    for format in FORMATS:
        took = run(raw, base / f"whole-{format}", format, num_proc)
        expected[format], seconds[format] = digests(base / f"whole-{format}"), took.seconds
        print(f"{format}: {len(expected[format])} files in {took.seconds:.1f} s undisturbed")
    rng, same = random.Random(seed), True
    for number in range(moments):
        format = FORMATS[number % len(FORMATS)]
        moment = rng.uniform(0.3, 1.15 * seconds[format])  # the interpreter takes a moment to start
        output = base / f"killed-{number}"
        process = subprocess.Popen(
            command(raw, output, format, num_proc), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
        process.wait()
        shards = base / f".{output.name}.shards"
        left = len(list(shards.glob("[0-9]*.json"))) if shards.exists() else 0
        state = "complete" if output.exists() else f"{left} shards"
        took = run(raw, output, format, num_proc)
        equal = digests(output) == expected[format] and not shards.exists()
        same &= equal
        print(
            f"{number + 1:2d}. {format:11s} killed after {moment:5.1f} s with {state:>10s} there, "
            f"finished in {took.seconds:5.1f} s: {'identical' if equal else 'DIFFERENT'}"
        )
        shutil.rmtree(output)
    return same


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, help="recordings (default 20000, with --kill 2000)")
    parser.add_argument("--num-proc", type=int, default=1, help="processes that read")
    parser.add_argument("--format", choices=FORMATS, default="parquet", help="what is written")
    parser.add_argument("--kill", action="store_true", help="kill and go on instead of measuring")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments")
    arguments = parser.parse_args()
    base = Path(tempfile.mkdtemp(prefix="s2i-conversion-"))
    try:
        source = write_dataset(base / "source", subjects=5, replications=1, cameras=3)[:200]
        if arguments.kill:
            met = survival(base, source, arguments.files or 2000, arguments.num_proc, arguments.seed)
        else:
            met = growth(base, source, arguments.files or 20_000, arguments.num_proc, arguments.format)
    finally:
        shutil.rmtree(base)
    print("targets met" if met else "targets missed")


if __name__ == "__main__":
    main()
