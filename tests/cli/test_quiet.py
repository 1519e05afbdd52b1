"""What commands say is for people: no bars and tables of libraries, nothing twice, and nothing on stderr when all is well.

The commands run one after the other in a process of their own, which has everything imported once: with a pipe, and on a terminal.
"""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import termios
import threading
from collections import Counter
from pathlib import Path

import pytest

PHRASES = (
    "Loading weights", "Writing model shards", "LOAD REPORT", "UNEXPECTED", "MISSING", "Some weights", "newly initialized",
    "You should probably TRAIN", "UserWarning", "FutureWarning", "DeprecationWarning", "Traceback", "train_runtime", "{'loss'",
    "`use_fast`", "slow processor", "Using the latest cached version",
)  # fmt: skip
TRAIN = "--size 32 --max_steps 3 --batch_size 8 --log_every 1 --device cpu"
COMMANDS = [
    "synthesize --output raw --subjects 2 --replications 1 --cameras 1",
    "inspect raw --max-files 3",
    "convert synthetic_xsub --data-dir raw --output out",
    "pretrain --data out --output_dir runs/mae --model config:micro --size 32 --max_steps 3 --batch_size 8 --log_every 1",
    "pretrain --data out --output_dir runs/vision --model vision:tiny --size 32 --max_steps 1 --batch_size 64",
    "probe --model runs/mae --data out --settings knn --encoders pretrained untrained",
    f"finetune --model runs/mae --data out --output_dir runs/ft {TRAIN}",
    f"finetune --model config:micro --data synthetic_xsub --data_dir raw --cache_dir cache --output_dir runs/new {TRAIN}",
    "robustness --model runs/ft --data out --drop_joints 0.1 --crop_time",
    "fuse --models runs/ft runs/new --data out",
    "cross-layout --model runs/mae --data out --queries florence_15",
    "predict runs/ft raw/S001C001P002R001A001.skeleton",
    "infill raw/S001C001P002R001A001.skeleton --model runs/mae --drop-joints left_arm",
    "card runs/ft",
    "env",
    "push runs/ft user/name --output pushed",
]
PROGRAM = """
import sys
from s2i_hf.__main__ import main
for line in sys.stdin.read().splitlines():
    print(f"$ {line}", flush=True)
    sys.argv[1:] = line.split()
    try:
        code = main()
    except SystemExit as end:
        code = end.code
    print(f"# {code}", flush=True)
"""


def _run(folder: Path, terminal: bool) -> tuple[str, str]:
    """Stdout and stderr of all commands; on a terminal they are one."""
    inside, outside = pty.openpty() if terminal else (None, None)
    if outside is not None:
        termios.tcsetwinsize(outside, (50, 200))  # on one without a size bars have no width
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], cwd=folder, stdin=subprocess.PIPE, text=True,
        stdout=outside if terminal else subprocess.PIPE, stderr=outside if terminal else subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"},
    )  # fmt: skip
    lines = "\n".join(COMMANDS)
    if not terminal:
        return process.communicate(lines, timeout=500)
    assert process.stdin is not None and inside is not None and outside is not None
    os.close(outside)
    parts: list[bytes] = []

    def read() -> None:
        while True:
            try:
                parts.append(os.read(inside, 65536))
            except OSError:  # the other end is closed
                return

    reader = threading.Thread(target=read)
    reader.start()
    process.stdin.write(lines)
    process.stdin.close()
    process.wait(timeout=500)
    reader.join()
    return b"".join(parts).decode(), ""


@pytest.mark.parametrize("terminal", [pytest.param(False, marks=pytest.mark.slow), True])
def test_commands_say_what_is_for_people_and_say_it_once(tmp_path: Path, terminal: bool) -> None:
    out, err = _run(tmp_path, terminal)
    assert err == ""
    for phrase in PHRASES:
        assert phrase not in out, out
    said = re.split(r"^\$ ([^\r\n]*)\r?\n", out, flags=re.MULTILINE)[1:]
    assert said[::2] == COMMANDS
    for command, text in zip(said[::2], said[1::2], strict=True):
        *lines, code = re.sub(r"[^\n]*\r(?=[^\n])", "", text).strip().splitlines()  # what a bar drew before is gone
        assert code.strip() == "# 0", text
        assert lines, command
        twice = [line for line, count in Counter(map(str.strip, lines)).items() if count > 1 and line]
        assert not twice, (command, twice)
    assert ("%|" in out) is terminal  # the bars of the trainings, where a person looks on
    assert terminal or "\r" not in out
