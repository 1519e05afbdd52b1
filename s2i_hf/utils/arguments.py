"""Settings of a run: a dataclass, filled from `--config file.yaml` and then from command-line flags, which win.

A field is a flag and a YAML key of the same name. Whatever is wrong (an unknown name, a value of the wrong kind, a
missing setting) is one sentence on stderr that names it and exit code 2; `run_main` gives the rest of a program the
same manners. Kinds of field: str, int, float, bool (`--flag`, `--no-flag`, `--flag false`), Literal, tuple
(`--crop 0.5 1.0`), Path, and any of them `| None` (`--flag none`).
"""

from __future__ import annotations

import dataclasses
import os
import re
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints

from .files import write_atomically
from .hub_errors import hub_file

Arguments = TypeVar("Arguments")
_TRUE, _FALSE, _NONE = ("true", "yes", "on", "1"), ("false", "no", "off", "0"), ("none", "null", "~")
SETTINGS_HEADER = "# Every setting of this run; repeat it with --config and this file.\n"
_KINDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false", Path: "a path"}


def arg(default: Any = dataclasses.MISSING, help: str = "", *, bare: Any = dataclasses.MISSING, was: str = "") -> Any:
    """A dataclass field with a help text.

    Args:
        default: Value when neither YAML nor a flag sets it; without one the setting is required.
        help: One line for `--help`.
        bare: Value of the flag when no word follows it (`--resume` for `--resume auto`).
        was: What the setting was called before; whoever still says so is told the new name.
    """
    return dataclasses.field(default=default, metadata={"help": help, "bare": bare, "was": was})


def parse(
    dataclass_type: type[Arguments], argv: Sequence[str] | None = None, description: str | None = None
) -> Arguments:
    """Fill a dataclass from `--config` and flags, or explain what is wrong and exit.

    Args:
        dataclass_type: Its fields are the flags; its `__post_init__` may raise ValueError
            to check values against each other.
        argv: Words after the program name; `sys.argv[1:]` if None.
        description: Text above the flags in `--help`.

    Raises:
        SystemExit: code 2 after one sentence on stderr for a user's mistake, code 0 after `--help`.
    """
    hints = get_type_hints(dataclass_type)
    known = {field.name: field for field in dataclasses.fields(dataclass_type)}  # type: ignore[arg-type]
    try:
        flags = _read_flags(sys.argv[1:] if argv is None else argv, known, hints)
        if flags.pop("help", None):
            print(_help(known, hints, description))
            raise SystemExit(0)
        values: dict[str, Any] = {}
        if "config" in flags and "config" not in known:
            values.update(_read_yaml(flags.pop("config"), known, hints))
        values.update(flags)
        for name, field in known.items():
            no_default = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
            if no_default and name not in values:
                raise ValueError(f"--{name} is not set; pass it as a flag or in --config. {_help_of(field)}".rstrip())
        return dataclass_type(**values)
    except BrokenPipeError:  # `--help | head`
        raise
    except (ValueError, OSError) as error:
        fail(error)


def from_values(dataclass_type: type[Arguments], values: Mapping[str, Any], where: str) -> Arguments:
    """Fill a dataclass from values as YAML reads them, such as one part of a file.

    Args:
        dataclass_type: As for `parse`.
        values: Setting -> value.
        where: What messages begin with, such as "ablate.yaml, base".

    Raises:
        ValueError: an unknown setting, a value of the wrong kind, or a setting that is missing.
    """
    known = {field.name: field for field in dataclasses.fields(dataclass_type)}  # type: ignore[arg-type]
    converted = _converted(values, known, get_type_hints(dataclass_type), where)
    for name, field in known.items():
        if field.default is field.default_factory is dataclasses.MISSING and name not in converted:
            raise ValueError(f"{where} does not set {name}. {_help_of(field)}".rstrip())
    return dataclass_type(**converted)


def several(value: str | Sequence[str] | None) -> tuple[str, ...]:
    """The items of a setting that is one or several: `"a,b"` and `["a", "b"]` alike. What is a file or folder is one."""
    if value is None:
        return ()
    if isinstance(value, str):
        parts = [value] if os.path.exists(value) else value.split(",")
        return tuple(part.strip() for part in parts if part.strip())
    return tuple(item for part in value for item in several(str(part)))


def pairs(flag: str, value: str | Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """`"a=x,b=y"` as a dict, for a setting that has a value for each of `names`, which may have an equals sign in them.

    Raises:
        ValueError: a word is not `name=value`, or a name is there twice.
    """
    found: dict[str, str] = {}
    for word in several(value):
        name = next((name for name in names if word.startswith(f"{name}=")), None)
        if name is None:
            raise ValueError(f"--{flag} has {word!r}; expected name=value pairs, with a name of {', '.join(names)}.")
        if name in found:
            raise ValueError(f"--{flag} has two values for {name}.")
        found[name] = word[len(name) + 1 :]
    return found


def save_arguments(arguments: Any, path: str | Path, **changes: Any) -> None:
    """Write a dataclass as YAML that `--config` reads back, in one step; `changes` replace single values."""
    import yaml

    values = {
        key: list(value) if isinstance(value, tuple) else value for key, value in dataclasses.asdict(arguments).items()
    }
    values = {key: str(value) if isinstance(value, Path) else value for key, value in {**values, **changes}.items()}
    write_atomically(path, SETTINGS_HEADER + yaml.safe_dump(values, sort_keys=False))


def run_main(main: Callable[[], Any]) -> None:
    """Run a program; what a user can mend becomes one sentence on stderr and exit code 2, an interruption code 130.

    Set S2I_TRACEBACK=1 in the environment to see the traceback instead.
    """
    try:
        main()
    except KeyboardInterrupt as interruption:
        _complain(str(interruption) or "Interrupted.")
        raise SystemExit(130) from None
    except BrokenPipeError:  # `s2i ... | head`: the reader went away, which is no error of ours
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
    except (ValueError, OSError, ImportError) as error:
        fail(error)
    except RuntimeError as error:
        if type(error).__name__ != "OutOfMemoryError":  # torch's, of any device
            raise
        fail(MemoryError("The accelerator ran out of memory; halve --batch_size and double --gradient_accumulation."))


def fail(error: BaseException) -> NoReturn:
    """Print an error as one sentence and exit with code 2."""
    if os.environ.get("S2I_TRACEBACK"):
        raise error
    _complain(_sentence(error))
    raise SystemExit(2) from None


def _complain(sentence: str) -> None:
    rank = os.environ.get("RANK", "0")  # under a launcher every process complains; tell them apart
    print(sentence if rank == "0" else f"[process {rank}] {sentence}", file=sys.stderr, flush=True)


def _sentence(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror.lower()}."
    text = str(error).strip() or type(error).__name__
    if text.startswith("Caught ") and "Original Traceback" in text:  # torch wraps what a DataLoader worker raised
        text = re.sub(r"^[\w.]+: ", "", text.splitlines()[-1])
    return " ".join(text.split())


def _read_flags(argv: Sequence[str], known: Mapping[str, Any], hints: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    at = 0
    while at < len(argv):
        word = argv[at]
        at += 1
        if word in ("-h", "--help"):
            return {"help": True}
        if not word.startswith("--") or word == "--":
            raise ValueError(f"Unexpected word {word!r}; every value follows its flag, as in --seed 1. See --help.")
        name, inline, value = word[2:].partition("=")
        name = name.replace("-", "_")
        words = [value] if inline else []
        while not inline and at < len(argv) and not argv[at].startswith("--"):
            words.append(argv[at])
            at += 1
        if name.startswith("no_") and name not in known and hints.get(name[3:]) is bool:
            if words:
                raise ValueError(f"--{name} takes no value, got {words[0]!r}.")
            values[name[3:]] = False
        elif name == "config" and name not in known:
            values[name] = _scalar(words, "--config", "a YAML file")
        elif name not in known:
            names = [*known, "config", "help"]
            raise ValueError(f"Unknown flag --{name}{_did_you_mean(name, names, '--')}. See --help for all flags.")
        else:
            values[name] = _from_words(words, known[name], hints[name])
    return values


def _from_words(words: list[str], field: Any, hint: Any) -> Any:
    where = f"--{field.name}"
    if not words and hint is bool:
        return True
    if not words and field.metadata.get("bare", dataclasses.MISSING) is not dataclasses.MISSING:
        return field.metadata["bare"]
    if _tuple_of(hint) is not None and len(words) != 1:
        return _convert(words, hint, where)
    return _convert(_scalar(words, where, _describe(hint)), hint, where)


def _scalar(words: list[str], where: str, kind: str) -> str:
    if len(words) != 1:
        raise ValueError(f"{where} got {len(words)} values ({' '.join(words)}); expected {kind}." if words
                         else f"{where} has no value; expected {kind}.")  # fmt: skip
    return words[0]


def _read_yaml(path: str, known: Mapping[str, Any], hints: Mapping[str, Any]) -> dict[str, Any]:
    import yaml

    if path.startswith("hf://"):
        path = _from_hub(path)
    try:
        loaded = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not valid YAML: {error}") from None
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise ValueError(f"{path} holds a {type(loaded).__name__}; expected 'name: value' lines.")
    return _converted(loaded, known, hints, path)


def _from_hub(address: str) -> str:
    """Path of the run.yaml of a pushed run, from "hf://user/name" or "hf://user/name@revision"."""
    repository, _, revision = address.removeprefix("hf://").partition("@")
    try:
        path = hub_file(repository, "run.yaml", revision=revision or None)
    except FileNotFoundError as error:
        raise ValueError(f"--config {address}: no run.yaml to be had there: {error}") from None
    if path is None:
        raise ValueError(f"--config {address}: no run.yaml is there; expected hf://user/name of a pushed run.")
    return str(path)


def _converted(
    given: Mapping[str, Any], known: Mapping[str, Any], hints: Mapping[str, Any], where: str
) -> dict[str, Any]:
    values = {}
    for key, value in given.items():
        name = str(key).replace("-", "_")
        if name not in known:
            raise ValueError(f"{where}: unknown setting {name!r}{_did_you_mean(name, known)}.")
        values[name] = _convert(value, hints[name], f"{where}: {name}")
    return values


def _did_you_mean(name: str, names: Sequence[str] | Mapping[str, Any], prefix: str = "") -> str:
    close = get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f"; did you mean {prefix}{close[0]}?"[:-1] if close else ""


def _options(hint: Any) -> list[Any]:
    return list(get_args(hint)) if get_origin(hint) in (Union, UnionType) else [hint]


def _tuple_of(hint: Any) -> Any:
    """The tuple type in a hint such as `tuple[float, float] | None`, or None."""
    return next((option for option in _options(hint) if get_origin(option) is tuple), None)


def _describe(hint: Any) -> str:
    kinds = []
    for option in _options(hint):
        if option is NoneType:
            kinds.append("none")
        elif get_origin(option) is Literal:
            kinds.append("one of " + ", ".join(str(choice) for choice in get_args(option)))
        elif get_origin(option) is tuple:
            items = get_args(option)
            kinds.append("several values" if Ellipsis in items else f"{len(items)} values, each {_describe(items[0])}")
        else:
            kinds.append(_KINDS.get(option, str(option)))
    return " or ".join(kinds)


def _convert(value: Any, hint: Any, where: str) -> Any:
    """`value`, a command-line word or what YAML made of it, in the type of the field; ValueError names `where`."""
    options = _options(hint)
    if NoneType in options and (value is None or (isinstance(value, str) and value.lower() in _NONE)):
        return None
    for option in options:
        converted = NotImplemented if option is NoneType else _convert_one(value, option, where)
        if converted is not NotImplemented:
            return converted
    choices = [str(choice) for option in options if get_origin(option) is Literal for choice in get_args(option)]
    shown = " ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
    raise ValueError(f"{where} is {shown!r}; expected {_describe(hint)}{_did_you_mean(str(shown), choices)}.")


def _convert_one(value: Any, kind: Any, where: str) -> Any:
    if get_origin(kind) is Literal:
        text = (
            {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
        )  # a bare no is false in YAML
        return next((choice for choice in get_args(kind) if str(choice) == text), NotImplemented)
    if get_origin(kind) is tuple:
        items, wanted = re.split(r"[\s,]+", value.strip("()[] ")) if isinstance(value, str) else value, get_args(kind)
        if not isinstance(items, (list, tuple)) or (Ellipsis not in wanted and len(items) != len(wanted)):
            return NotImplemented
        kinds = [wanted[0]] * len(items) if Ellipsis in wanted else wanted
        return tuple(_convert(item, kind, where) for item, kind in zip(items, kinds, strict=True))
    if kind is bool:
        text = str(value).lower()
        return text in _TRUE if text in _TRUE + _FALSE else NotImplemented
    if value is None or isinstance(value, (bool, dict, list)):
        return NotImplemented
    try:
        if kind is int and not isinstance(value, int):
            number = float(value)  # 1e5 is a whole number too
            return int(number) if number.is_integer() else NotImplemented
        return kind(value)
    except (TypeError, ValueError, OverflowError):
        return NotImplemented


def _help_of(field: Any) -> str:
    return str(field.metadata.get("help", ""))


def _help(known: Mapping[str, Any], hints: Mapping[str, Any], description: str | None) -> str:
    program = Path(sys.argv[0]).name
    lines = [f"usage: {program} [--config FILE.yaml] [--flag value ...]", ""]
    lines += [description.strip(), ""] if description else []
    if "config" not in known:  # it may be a setting of the program's own
        lines += [
            "  --config FILE.yaml",
            "      Settings from a file, or of a pushed run: hf://user/name[@revision]; flags win over them.",
        ]
    for name, field in known.items():
        kind = _describe(hints[name])
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        default = field.default if field.default is not dataclasses.MISSING else "..."
        shown = " ".join(map(str, default)) if isinstance(default, tuple) else str(default)
        ending = "(required)" if required else f"(default {shown.lower() if default in (None, True, False) else shown})"
        lines.append(f"  --{name} <{kind}>")
        lines += textwrap.wrap(
            f"{_help_of(field)} {ending}".strip(), 112, initial_indent=" " * 6, subsequent_indent=" " * 6
        )
    return "\n".join(lines)
