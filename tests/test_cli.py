from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from skeleton_files import write_nw_ucla

from s2i_hf.cli import main

NAMES = ["a01_s01_e00_v01", "a02_s01_e00_v02", "a08_s02_e00_v03"]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    write_nw_ucla(tmp_path / "raw", NAMES)
    return tmp_path / "raw"


def run(capsys: pytest.CaptureFixture[str], *argv: object) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command."""
    try:
        code = main([str(word) for word in argv])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    out, err = capsys.readouterr()
    return code, out, err


def test_convert_reports_and_ends_well(raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (raw / "a02_s01_e01_v02.json").write_text("{")
    arguments = ("convert", "nw_ucla_xview", "--data-dir", raw, "--output", tmp_path / "out", "--format", "safetensors")
    code, out, err = run(capsys, *arguments)
    assert code == 0 and err == ""
    for words in (
        "4 recordings read, 3 kept, 1 broken",
        "a02_s01_e01_v02.json",
        "train: 2 clips",
        f"{tmp_path / 'out'}",
    ):
        assert words in out
    code, out, err = run(capsys, *arguments, "--overwrite", "--strict")
    assert (
        code == 2 and "1 broken" in err and "a02_s01_e01_v02.json" in out and (tmp_path / "out" / "s2i.json").is_file()
    )


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["convrt"], ["'convrt'", "did you mean convert?"]),
        (["--vers"], ["--vers", "did you mean --version?"]),
        (["convert"], ["required", "--data-dir"]),
        (["convert", "nw_ucla_xview", "--data-dri", "RAW"], ["--data-dri", "did you mean --data-dir?"]),
        (
            ["convert", "nw_ucla_xview", "--data-dir", "RAW", "--output", "OUT", "--format", "arro"],
            ["did you mean arrow?"],
        ),
        (
            ["convert", "nw_ucla_xview", "--data-dir", "RAW", "--output", "OUT", "--num-proc", "x"],
            ["--num-proc", "'x'"],
        ),
        (["convert", "nw_ucla_xvie", "--data-dir", "RAW", "--output", "OUT"], ["Did you mean 'nw_ucla_xview'?"]),
        (["convert", "ntu60_xsub", "--data-dir", "RAW", "--output", "OUT"], ["looked for files like S001"]),
        (["convert", "nw_ucla_xview", "--data-dir", "/nowhere", "--output", "OUT"], ["/nowhere", "not there"]),
        (["convert", "nw_ucla_xview", "--data-dir", "RAW", "--output", "RAW"], ["is there already"]),
        (["convert", "nw_ucla_xview", "--data-dir", "RAW", "--output", "/proc/none/out"], ["/proc"]),
    ],
)
def test_errors_are_one_sentence(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], argv: list[str], words: list[str]
) -> None:
    places = {"RAW": str(raw), "OUT": str(tmp_path / "out")}
    code, out, err = run(capsys, *(places.get(word, word) for word in argv))
    assert code == 2 and out == "" and err.startswith("s2i") and err.count("\n") == 1
    for word in words:
        assert word in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["raw"]


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    for argv in ([], ["--help"], ["convert", "--help"]):
        code, out, err = run(capsys, *argv)
        assert code == 0 and "convert" in out and err == ""
    code, out, _ = run(capsys, "--version")
    assert code == 0 and out.startswith("s2i-hf ")


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\nfrom s2i_hf.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
        "print([n for n in ('torch', 'numpy', 'transformers', 'datasets', 'pyarrow') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


@pytest.mark.parametrize(("number", "num_proc"), [(signal.SIGINT, 1), (signal.SIGTERM, 1), (signal.SIGINT, 2)])
def test_ctrl_c_leaves_nothing(tmp_path: Path, number: signal.Signals, num_proc: int) -> None:
    write_nw_ucla(
        tmp_path / "raw", [f"a{a:02}_s{s:02}_e{e:02}_v01" for a in (1, 2) for s in range(1, 11) for e in range(60)], 20
    )
    program = (
        "import sys, time\nimport s2i_hf.readers.recordings as module\nread = module.read_recording\n"
        "def slow(*args):\n    time.sleep(0.02)\n    return read(*args)\nmodule.read_recording = slow\n"
        "from s2i_hf.cli import main\nsys.exit(main(sys.argv[1:]))"
    )
    argv = ["convert", "nw_ucla_xview", "--data-dir", str(tmp_path / "raw"), "--output", str(tmp_path / "new" / "out")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", program, *argv, "--num-proc", str(num_proc), "--format", "parquet"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True,
    )  # fmt: skip
    try:
        for _ in range(600):
            if any((tmp_path / "new").glob(".out.*")):
                break
            time.sleep(0.05)
        time.sleep(0.5)  # into the reading
        os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert out == "" and err.strip() == "s2i convert: interrupted; nothing half-written was left behind."
    assert sorted(path.name for path in tmp_path.iterdir()) == ["raw"]
