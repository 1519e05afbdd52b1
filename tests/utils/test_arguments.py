"""Settings from YAML and flags: what is accepted, what wins, and how mistakes are told."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest

from s2i_hf.utils.arguments import (
    arg,
    from_values,
    naming_flags,
    parse,
    read_arguments,
    run_main,
    save_arguments,
    settings_of,
)


@dataclasses.dataclass
class Settings:
    data: str = arg(help="What to read.")
    epochs: int = arg(10, "How often.")
    lr: float = 1e-3
    mask: Literal["random", "block", "body_part"] = "random"
    precision: Literal["no", "bf16"] = "no"
    crop: tuple[float, float] = (0.5, 1.0)
    names: tuple[str, ...] = ()
    flip: bool = False
    clip: float | None = None
    bar: bool | None = None
    resume: str = arg("none", "Go on.", bare="auto")
    where: Path | None = None

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise ValueError(f"--epochs is {self.epochs}; expected 1 or more.")


@dataclasses.dataclass
class Renamed:
    name: str = arg(help="What.", positional=True)
    rotations: int = arg(1, "How many.", was="turns")
    strict: bool = False
    merge: tuple[str, ...] = ()


@dataclasses.dataclass
class More(Renamed):
    levels: int = 1


def test_values_without_a_flag_and_both_ways_to_write_one() -> None:
    for words in ("x --strict", "--strict x", "--strict --rotations 2 x", "x --merge a b --strict"):
        assert parse(Renamed, words.split()).name == "x" and parse(Renamed, words.split()).strict
    assert parse(Settings, ["--data", "x", "--no-bar"]).bar is False
    assert read_arguments({"a": Renamed, "b": More}, ["x", "--method", "b", "--levels", "2"], "p") == More(
        "x", levels=2
    )
    with pytest.raises(ValueError, match="--levels is a setting of --method b, and this is --method a"):
        read_arguments({"a": Renamed, "b": More}, ["x", "--levels", "2"], "p")


def test_a_renamed_setting_says_its_new_name(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("turns: 3\nlevels: 2\n")
    for words, says in (
        (["x", "--turns", "3"], "^--turns is called --rotations now.$"),
        (["x", "--config", str(tmp_path / "a.yaml")], "a.yaml: turns is called rotations now.$"),
    ):
        with pytest.raises(ValueError, match=says):
            read_arguments(More, words, "p")
    assert from_values(Renamed, {"name": "x", "turns": 3}, "an old run").rotations == 3
    (tmp_path / "a.yaml").write_text("levels: 2\n")  # the keys of a file tell the method that it is of
    words = ["x", "--config", str(tmp_path / "a.yaml")]
    assert read_arguments({"a": Renamed, "b": More}, words, "p") == More("x", levels=2)


def test_sentences_of_the_package_name_flags() -> None:
    @dataclasses.dataclass
    class Flags:
        name: str = arg(help="What.", positional=True)
        data_dir: str | None = None
        layout: str = ""

    for said, shown in (
        ("layout is for custom data", "--layout is for custom data"),
        ("layout has two values", "--layout has two values"),
        ("layout needs a name, and layout is a word here", "--layout needs a name, and layout is a word here"),
        ("layout 'kinect_v2' is in px, name=x", "layout 'kinect_v2' is in px, name=x"),
        ("data_dir is not set; pass data_dir or layout=x", "--data_dir is not set; pass --data_dir or --layout=x"),
        ("a/data_dir/b: no file, --data_dir 'data_dir'", "a/data_dir/b: no file, --data_dir 'data_dir'"),
        ("a.yaml: data_dir is 3", "a.yaml: data_dir is 3"),
    ):
        assert naming_flags(said, settings_of(Flags)) == shown
    assert naming_flags("epochs is 0", settings_of(Settings)) == "--epochs is 0"


def complaint(capsys: pytest.CaptureFixture[str], argv: list[str]) -> str:
    """The one sentence that `parse` leaves on stderr."""
    with pytest.raises(SystemExit) as exit:
        parse(Settings, argv)
    out, err = capsys.readouterr()
    assert exit.value.code == 2 and out == "" and err.count("\n") == 1 and "Traceback" not in err
    return err.strip()


def test_every_kind_of_field() -> None:
    words = (
        "--data x --epochs 1e1 --lr=-0.5 --mask body_part --crop 0.25 1 --names a b c --flip --clip none --where /a/b"
    )
    settings = parse(Settings, words.split())
    assert settings == Settings(
        data="x",
        epochs=10,
        lr=-0.5,
        mask="body_part",
        crop=(0.25, 1.0),
        names=("a", "b", "c"),
        flip=True,
        where=Path("/a/b"),
    )
    assert parse(Settings, ["--data", "x", "--no-flip", "--bar", "false"]).bar is False
    assert parse(Settings, ["--data", "x", "--flip", "no"]).flip is False
    assert parse(Settings, ["--data", "x", "--crop", "0.1,0.2", "--clip", "2"]) == Settings(
        "x", crop=(0.1, 0.2), clip=2.0
    )
    assert parse(Settings, ["--data", "x", "--resume"]).resume == "auto"
    assert parse(Settings, ["--data", "x", "--resume", "some/where"]).resume == "some/where"
    assert parse(Settings, ["--data", "x", "--names"]).names == ()


def test_flags_win_over_yaml_and_a_saved_file_reads_back(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("data: from_yaml\nepochs: 3\nlr: 1e-4\nprecision: no\ncrop: [0.2, 0.8]\nclip: null\n")
    settings = parse(Settings, ["--epochs", "7", "--config", str(config)])  # whatever their order
    # YAML reads 1e-4 as text and a bare no as false; both mean what they say here
    assert settings == Settings("from_yaml", epochs=7, lr=1e-4, precision="no", crop=(0.2, 0.8))
    full = Settings("x", 3, 1e-5, "block", "no", (0.1, 0.9), ("a", "none"), True, 1.5, False, "auto", Path("/a"))
    save_arguments(full, tmp_path / "run.yaml")
    assert parse(Settings, ["--config", str(tmp_path / "run.yaml")]) == full
    save_arguments(full, tmp_path / "run.yaml", resume="none")
    assert parse(Settings, ["--config", str(tmp_path / "run.yaml")]) == dataclasses.replace(full, resume="none")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml", "run.yaml"]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--dat", "x"], ["--dat", "did you mean '--data'"]),
        (["--data", "x", "--epoch", "3"], ["--epoch", "did you mean '--epochs'"]),
        (["--data", "x", "--zzz"], ["unknown flag --zzz", "--help"]),
        (["--data", "x", "--epochs", "ten"], ["--epochs", "'ten'", "whole number"]),
        (["--data", "x", "--epochs", "1.5"], ["--epochs", "'1.5'", "whole number"]),
        (["--data", "x", "--epochs", "0"], ["--epochs is 0"]),
        (["--data", "x", "--epochs"], ["--epochs has no value"]),
        (["--data", "x", "--epochs", "1", "2"], ["--epochs got 2 values"]),
        (["--data", "x", "--mask", "bodypart"], ["--mask", "random, block, body_part", "did you mean 'body_part'"]),
        (["--data", "x", "--crop", "0.5"], ["--crop", "2 values"]),
        (["--data", "x", "--crop", "0.5", "y"], ["--crop", "'y'", "a number"]),
        (["--data", "x", "--flip", "maybe"], ["--flip", "'maybe'", "true or false"]),
        (["--data", "x", "--no-flip", "1"], ["--no-flip takes no value"]),
        (["--data", "x", "--no-epochs"], ["unknown flag --no-epochs"]),
        (["x"], ["unexpected word 'x'"]),
        ([], ["--data is not set"]),
        (["--config", "no/such.yaml"], ["no/such.yaml"]),
    ],
)
def test_a_mistake_is_one_sentence(capsys: pytest.CaptureFixture[str], argv: list[str], words: list[str]) -> None:
    sentence = complaint(capsys, argv)
    for word in words:
        assert word.lower() in sentence.lower()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("data: x\nepoch: 3\n", ["unknown setting 'epoch'", "Did you mean 'epochs'?"]),
        ("data: x\nepochs: many\n", ["epochs", "'many'", "whole number"]),
        ("data: x\nepochs: true\n", ["epochs", "True", "whole number"]),
        ("data: {a: 1}\n", ["data", "a text"]),
        ("data: [x\n", ["not valid YAML"]),
        ("- data\n", ["holds a list"]),
        ("data: !!python/object/apply:os.getcwd []\n", ["not valid YAML"]),
    ],
)
def test_a_mistake_in_yaml_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: list[str]
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(text)
    sentence = complaint(capsys, ["--config", str(config)])
    for word in ["config.yaml", *words]:
        assert word in sentence


def test_help_shows_a_config_of_the_programs_own_once(capsys: pytest.CaptureFixture[str]) -> None:
    @dataclasses.dataclass
    class OwnConfig:
        config: str = arg(help="A grid.")

    with pytest.raises(SystemExit):
        parse(OwnConfig, ["--help"])
    text = capsys.readouterr().out
    assert text.count("\n  --config") == 1 and "A grid." in text


def test_help_shows_every_field(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit:
        parse(Settings, ["--help"], description="Does things.")
    out = capsys.readouterr().out
    assert (
        exit.value.code == 0 and "Does things." in out and "What to read. (required)" in out and "(default 10)" in out
    )
    for field in dataclasses.fields(Settings):
        assert f"--{field.name} " in out


def test_help_brackets_a_word_that_may_be_left_out_and_says_none_for_no_values(
    capsys: pytest.CaptureFixture[str],
) -> None:
    @dataclasses.dataclass
    class Words:
        folder: str = arg(help="Where.", positional=True)
        name: str | None = arg(None, "Which.", positional=True)
        parts: tuple[str, ...] = arg((), "Some of them.")

    with pytest.raises(SystemExit):
        parse(Words, ["--help"])
    out = capsys.readouterr().out
    assert " FOLDER [NAME] [--config" in out and "Some of them. (default none)" in out


def _exit_code(main: object) -> int | str | None:
    with pytest.raises(SystemExit) as exit:
        run_main(main)  # type: ignore[arg-type]
    return exit.value.code


def test_run_main_turns_errors_into_sentences(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def raises(error: BaseException) -> object:
        def main() -> None:
            raise error

        return main

    run_main(lambda: None)
    assert capsys.readouterr() == ("", "")
    for error, sentence in (
        (ValueError("two\n  lines"), "two lines\n"),
        (FileNotFoundError(2, "No such file or directory", "a/b"), "a/b: no such file or directory.\n"),
        (ImportError("Pictures need matplotlib"), "Pictures need matplotlib\n"),
        (
            ModuleNotFoundError("No module named 'shtab.main'", name="shtab.main"),
            "This needs shtab, which is not installed: pip install shtab.\n",
        ),
    ):
        assert _exit_code(raises(error)) == 2
        assert capsys.readouterr().err == sentence
    assert _exit_code(raises(KeyboardInterrupt("Stopped; go on so."))) == 130
    assert capsys.readouterr().err == "Stopped; go on so.\n"
    monkeypatch.setenv("RANK", "1")  # as torchrun sets it: a launcher mixes the complaints of its processes
    assert _exit_code(raises(ValueError("what"))) == 2
    assert capsys.readouterr().err == "[process 1] what\n"
    with pytest.raises(KeyError):  # a fault of the program, not of its user
        run_main(raises(KeyError("bug")))  # type: ignore[arg-type]
    monkeypatch.setenv("S2I_TRACEBACK", "1")
    with pytest.raises(ValueError, match="what"):
        run_main(raises(ValueError("what")))  # type: ignore[arg-type]


def test_an_error_of_a_loader_worker_keeps_its_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    from torch.utils.data import DataLoader

    class Bad(list[int]):
        def __getitem__(self, index: object) -> int:
            raise ValueError("Clip 'a': no joints.")

    loader = DataLoader(Bad([1, 2]), num_workers=1)
    assert _exit_code(lambda: list(loader)) == 2
    assert capsys.readouterr().err == "Clip 'a': no joints.\n"


def test_a_closed_pipe_is_no_error() -> None:
    script = "from s2i_hf.utils.arguments import run_main\nrun_main(lambda: [print('x' * 1000) for _ in range(10000)])"
    reader = f'{sys.executable} -c "{script}" | head -n 1'
    done = subprocess.run(
        reader, shell=True, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": os.getcwd()}
    )
    assert done.returncode == 0 and done.stderr == ""


@dataclasses.dataclass
class _Sized:
    size: int | tuple[int, int] | None = arg(None)


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ([], None), (["--size", "224"], 224), (["--size", "224", "112"], (224, 112)), (["--size", "224x112"], (224, 112)),
        (["--size", "224,112"], (224, 112)), (["--size=none"], None),
    ],
)  # fmt: skip
def test_a_setting_of_one_number_or_two(words: list[str], value: object) -> None:
    assert read_arguments(_Sized, words, "program").size == value


def test_a_size_of_three_numbers_is_refused() -> None:
    with pytest.raises(ValueError, match="--size is '1 2 3'; expected a whole number or 2 values"):
        read_arguments(_Sized, ["--size", "1", "2", "3"], "program")
    with pytest.raises(ValueError, match="--size is '10y20'"):
        read_arguments(_Sized, ["--size", "10y20"], "program")
