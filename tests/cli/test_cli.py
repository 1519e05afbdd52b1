from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import pytest
from command_line import run
from skeleton_files import write_nw_ucla

NAMES = ["a01_s01_e00_v01", "a02_s01_e00_v02", "a08_s02_e00_v03"]


NW_UCLA = ["convert", "nw_ucla_xview", "--data-dir", "RAW", "--output", "OUT"]

NO_OPTIONS = {"layout": None, "unit": None, "up": None, "axes": None, "fps": None, "any_size": False}


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    write_nw_ucla(tmp_path / "raw", NAMES)
    return tmp_path / "raw"


def test_convert_reports_and_ends_well(raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (raw / "a02_s01_e01_v02.json").write_text("{")
    arguments = ("convert", "nw_ucla_xview", "--data-dir", raw, "--output", tmp_path / "out", "--format", "npz")
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
        code == 2
        and "0 broken and 1,480 missing" in err
        and "missing: a01" in out
        and (tmp_path / "out" / "s2i.json").is_file()
    )


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["convrt"], ["'convrt'", "Did you mean 'convert'?"]),
        (["--vers"], ["--vers", "Did you mean '--version'?"]),
        (["pretrain", "--turns", "3"], ["Unknown flag --turns. See --help for all flags."]),  # nothing is like it
        (["convert"], ["required", "NAME", "--output"]),
        (["convert", "nw_ucla_xview", "--output", "OUT"], ["--data-dir is required"]),
        (["convert", "nw_ucla_xview", "--data-dri", "RAW"], ["--data-dri", "Did you mean '--data-dir'?"]),
        (
            ["convert", "nw_ucla_xview", "--data-dir", "RAW", "--output", "OUT", "--format", "parket"],
            ["Did you mean 'parquet'?"],
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
        ([*NW_UCLA, "--shard", "2/2"], ["'2/2' is no shard", "I/N"]),
        ([*NW_UCLA, "--shard", "1:2"], ["'1:2' is no shard", "0/4"]),
        ([*NW_UCLA, "--shard", "0/2", "--merge", "RAW"], ["--shard makes shards only", "--merge"]),
        ([*NW_UCLA, "--shard", "0/2", "--push-to-hub", "a/b"], ["--shard makes shards only", "--push-to-hub"]),
        ([*NW_UCLA, "--merge", "RAW"], ["holds no shards"]),
        ([*NW_UCLA, "--push-to-hub", "a/b", "--format", "npz"], ["uploads Parquet, not npz"]),
        ([*NW_UCLA, "--push-to-hub", "no name"], ["'no name' is no repository", "user/name"]),
        ([*NW_UCLA, "--layout", "kinect_v1"], ["convert: --layout is for custom data"]),
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


def test_help_says_which_flags_are_for_one_method(capsys: pytest.CaptureFixture[str]) -> None:
    shown = dict(re.findall(r"  --(\w+) .*\n((?: {6}.*\n)+)", run(capsys, "pretrain", "--help")[1]))
    marked = {name for name, help in shown.items() if "For --method diffmae." in help}
    assert {"decoder_type", "rho"} <= marked and not {"data", "mask_ratio", "norm_pix_loss"} & marked
    assert "With --method diffmae: false. (default true)" in shown["norm_pix_loss"]


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\nfrom s2i_hf.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
        "print([n for n in ('torch', 'numpy', 'transformers', 'datasets', 'pyarrow') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


@pytest.mark.parametrize(
    ("number", "num_proc"),
    [(signal.SIGINT, 1), (signal.SIGTERM, 1), pytest.param(signal.SIGINT, 2, marks=pytest.mark.slow)],
)
def test_ctrl_c_says_how_to_go_on(tmp_path: Path, number: signal.Signals, num_proc: int) -> None:
    names = [f"a{a:02}_s{s:02}_e{e:02}_v01" for a in (1, 2) for s in range(1, 11) for e in range(10)]
    write_nw_ucla(tmp_path / "raw", names)
    program = (
        "import sys, time\nimport s2i_hf.data.recorded_rows as module, s2i_hf.data.convert_shards as shards\n"
        "read = module.read_file\nshards._MAX_FILES = 4\n"
        "def slow(*args):\n    time.sleep(0.05)\n    return read(*args)\nmodule.read_file = slow\n"
        "from s2i_hf.cli import main\nsys.exit(main(sys.argv[1:]))"
    )
    argv = ["convert", "nw_ucla_xview", "--data-dir", str(tmp_path / "raw"), "--output", str(tmp_path / "new" / "out")]
    process = subprocess.Popen(
        [sys.executable, "-c", program, *argv, "--num-proc", str(num_proc), "--format", "parquet"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored in what a shell runs in the background
    )  # fmt: skip
    shards = tmp_path / "new" / ".out.shards"
    try:
        while len(list(shards.glob("[0-9]*.json"))) < 2 and process.poll() is None:  # two processes finish in any order
            time.sleep(0.02)
        os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert out == "" and re.fullmatch(
        r"s2i convert: interrupted; \d+ of 50 shards are in .*: run the same .* to go on\.", err.strip()
    )
    made = [path.name for path in shards.iterdir()]
    assert len([name for name in made if name.startswith("train-")]) >= 2 and not [
        name for name in made if ".tmp" in name
    ]
    assert [path.name for path in (tmp_path / "new").iterdir()] == [".out.shards"]


def test_shards_say_what_to_do_next(raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    convert = ("convert", "nw_ucla_xview", "--data-dir", raw, "--output", tmp_path / "out", "--num-proc", 2)
    code, out, err = run(capsys, *convert, "--shard", "0/2")
    assert code == 0 and err == "" and "Part 0/2 is done; 1 of 1 shards are in" in out and "--merge" in out
    code, out, _ = run(capsys, "convert", "nw_ucla_xview", "--merge", tmp_path / "out", "--output", tmp_path / "new")
    assert code == 0 and f"Written to {tmp_path / 'new'} (parquet)." in out
    code, out, _ = run(capsys, *convert, "--shard", "1/2")  # there is nothing for it to do
    assert code == 0 and "0 files with 0 clips" not in out
    code, out, _ = run(capsys, *convert)
    assert code == 0 and "3 recordings read, 3 kept, 0 broken" in out
    code, out, _ = run(capsys, *convert)
    assert code == 0 and out.startswith(f"{tmp_path / 'out'} holds this conversion already")


@pytest.mark.parametrize(
    ("argv", "module", "function", "expected"),
    [
        (
            ["inspect", "DIR", "--html", "x.html", "--max-files", "7"],
            "s2i_hf.inspection", "run", ((), {"path": "DIR", "protocol": None, "html": "x.html", "max_files": 7} | NO_OPTIONS),
        ),
        (
            ["convert-pickle", "x.pkl", "--output", "OUT", "--layout", "coco_17"],
            "s2i_hf.readers.generic.annotation_pickle", "convert_pickle", (("x.pkl", "OUT"), {"layout": "coco_17"}),
        ),
    ],
)  # fmt: skip
def test_other_commands_pass_their_flags_on(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    argv: list[str],
    module: str,
    function: str,
    expected: tuple[tuple[str, ...], dict[str, object]],
) -> None:
    seen = []

    def called(*arguments: object, **options: object) -> object:
        seen.append((arguments, options))
        return 0 if function == "run" else ["3 clips"]

    monkeypatch.setattr(import_module(module), function, called)
    code, out, _ = run(capsys, *argv)
    assert code == 0 and seen == [expected] and (function == "run" or out == "3 clips\n")


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_shells_complete_commands_and_flags(capsys: pytest.CaptureFixture[str], shell: str) -> None:
    code, out, _ = run(capsys, "--print-completion", shell)
    assert code == 0 and "cross-layout" in out and "--decoder_type" in out
    assert run(capsys, "--print-completion", "cmd")[0] == 2


@pytest.mark.parametrize(
    "module", ["s2i_hf.utils.arguments", "s2i_hf.experiments.ablation"]
)  # of all commands; of this one
def test_ctrl_c_during_imports_is_silent(module: str) -> None:
    program = (
        "import os, runpy, signal, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {module!r}: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
        "sys.argv[1:] = ['ablate', '--help']\n"
        "runpy.run_module('s2i_hf', run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_the_program_is_that_of_the_module() -> None:
    import tomllib

    root = Path(__file__).parents[2]
    assert tomllib.loads((root / "pyproject.toml").read_text())["project"]["scripts"] == {"s2i": "s2i_hf.__main__:main"}


def test_of_two_mistakes_the_one_is_said_that_comes_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder before the token, the data before the model, and both before any long work."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("HF_TOKEN_PATH", "/nowhere")
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    write_nw_ucla(tmp_path / "raw", NAMES)
    (tmp_path / "runs").mkdir()
    data, ucla = "--data nowhere", "--data nw_ucla_xview"
    for words, said in (
        ("push nowhere user/name", "'nowhere'"),
        ("push nowhere noname", "'noname' is no repository"),
        ("convert nope --data-dir nowhere --output out --push-to-hub a/b", "Unknown protocol 'nope'"),
        ("convert nw_ucla_xview --data-dir nowhere --output out --push-to-hub a/b", "data folder nowhere is not there"),
        ("convert nw_ucla_xview --data-dir raw --output out --push-to-hub a/b", "no token"),
        (f"pretrain {data} --model config:huge --push_to_hub a/b", "'nowhere' is neither a protocol nor a folder"),
        (f"pretrain {ucla} --data_dir raw --model config:huge --push_to_hub a/b", "the sizes are config:micro"),
        (f"pretrain {ucla} --data_dir raw --model runs/typo --push_to_hub a/b", "model folder 'runs/typo' does not"),
        (f"pretrain {ucla} --data_dir raw --output_dir raw --overwrite --push_to_hub a/b", "raw holds a0"),
        (f"pretrain {ucla} --data_dir raw --push_to_hub a/b", "no token"),
        (f"finetune {data} --model runs/typo", "'nowhere' is neither a protocol nor a folder"),
        (f"finetune {ucla} --data_dir raw --model runs/typo --push_to_hub a/b", "model folder 'runs/typo' does not"),
        (f"probe {data} --model runs/typo", "'nowhere' is neither a protocol nor a folder"),
        (f"probe {ucla} --data_dir raw --model config:micro", "model 'config:micro' has no weights"),
        (f"fuse {data} --models runs/typo runs/other", "'nowhere' is neither a protocol nor a folder"),
        ("export nowhere/x/y --format torch --clips nowhere", "model folder 'nowhere/x/y' does not exist"),
        ("convert-pickle nowhere.pkl --output raw", "nowhere.pkl is not there"),
        ("synthesize --output raw --actions fly", "Unknown action 'fly'"),
        ("demo --data nw_ucla_xview --data_dir nowhere --model runs/typo", "data folder nowhere is not there"),
        ("demo --data nw_ucla_xview --data_dir raw --model runs/typo", "model folder 'runs/typo' does not exist"),
    ):
        code, out, err = run(capsys, *words.split())
        assert code == 2 and out == "" and said in err and err.count("\n") == 1, (words, err)
