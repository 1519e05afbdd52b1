"""Settings of a command: a dataclass, filled from `--config` (YAML) and then from command-line flags, which win.

A field is a flag and a YAML key of the same name, written `--a_b` or `--a-b`. Whatever is wrong (an unknown name, a value of the
wrong kind, a missing setting) is one sentence on stderr that names it and exit code 2; `run_main` gives the rest of a program the
same manners. Kinds of field: str, int, float, bool (`--flag`, `--no-flag`, `--flag false`), Literal, tuple
(`--crop 0.5 1.0`), Path, and any of them `| None` (`--flag none`).

Own code, because what tyro and jsonargparse say of a mistake is a box or a usage of twenty lines, and neither reads `1e5` as a whole
number, `none`, or `a,b` as a tuple.
"""

from __future__ import annotations

import dataclasses
import os
import re
import sys
import textwrap
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

from ..processing.suggestions import did_you_mean
from .configs import find_config
from .files import write_atomically

Arguments = TypeVar("Arguments")
Result = TypeVar("Result")
SETTINGS_HEADER = "# Every setting of this run; repeat it with --config and this file.\n"
_TRUE, _FALSE, _NONE = ("true", "yes", "on", "1"), ("false", "no", "off", "0"), ("none", "null", "~")
_KINDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false", Path: "a path"}


def arg(
    default: Any = dataclasses.MISSING,
    help: str = "",
    *,
    bare: Any = dataclasses.MISSING,
    was: str = "",
    positional: bool = False,
) -> Any:
    """A dataclass field with a help text.

    Args:
        default: Value when neither YAML nor a flag sets it; without one the setting is required.
        help: One line for `--help`.
        bare: Value of the flag when no word follows it (`--resume` for `--resume auto`).
        was: What the setting was called before; whoever still says so is told the new name.
        positional: The value may stand without its flag: `s2i convert NAME`.
    """
    metadata = {"help": help, "bare": bare, "was": was, "positional": positional}
    return dataclasses.field(default=default, metadata=metadata)


class Setting(NamedTuple):
    """A flag and YAML key; see `arg`."""

    name: str
    kind: Any
    default: Any = dataclasses.MISSING
    help: str = ""
    bare: Any = dataclasses.MISSING
    was: str = ""
    positional: bool = False

    @property
    def shown(self) -> str:
        """The setting as help and errors name it."""
        return self.name.upper() if self.positional else f"--{self.name}"

    @property
    def required(self) -> bool:
        """Whether it must be set."""
        return self.default is dataclasses.MISSING

    @property
    def kinds(self) -> list[Any]:
        """The types that it may have."""
        return _options(self.kind)

    @property
    def choices(self) -> list[Any]:
        """The words it may be, if it is one of several words."""
        return [choice for kind in self.kinds if get_origin(kind) is Literal for choice in get_args(kind)]

    @property
    def items(self) -> tuple[Any, ...]:
        """The types of its items, if it is a tuple."""
        return next((get_args(kind) for kind in self.kinds if get_origin(kind) is tuple), ())


def settings_of(kinds: type | Mapping[str, type]) -> dict[str, Setting]:
    """The settings of a dataclass, by name; of several dataclasses, those of all of them and `method`, which picks one."""
    if isinstance(kinds, Mapping):
        return _of_methods({name: settings_of(kind) for name, kind in kinds.items()})
    hints = get_type_hints(kinds)
    found = {}
    for field in sorted(
        dataclasses.fields(kinds), key=lambda field: field.kw_only is True
    ):  # what several commands share last
        default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        found[field.name] = Setting(field.name, hints[field.name], default, **field.metadata)
    return found


def _of_methods(known: Mapping[str, Mapping[str, Setting]]) -> dict[str, Setting]:
    """The settings of all methods; the help says which are not for every method, and where a default is another."""
    first = next(iter(known))
    found = {"method": Setting("method", Literal[tuple(known)], first, "What is trained; see its own flags below.")}
    for name, setting in ChainMap(*map(dict, known.values())).items():
        defaults = {method: settings[name].default for method, settings in known.items() if name in settings}
        notes = [f"For --method {' or '.join(defaults)}."] if len(defaults) < len(known) else []
        notes += [f"With --method {way}: {_shown(one)}." for way, one in defaults.items() if one != setting.default]
        found[name] = setting._replace(help=" ".join([setting.help, *notes]))
    return found


def _shown(default: Any) -> str:
    """A default as help shows it."""
    if default in (None, True, False):
        return str(default).lower()
    return " ".join(map(str, default)) or "none" if isinstance(default, tuple) else str(default) or "none"


def parse(dataclass_type: type[Arguments], argv: Sequence[str] | None = None, description: str = "") -> Arguments:
    """Fill a dataclass from `--config` and the flags in `argv`, or this program's; explain what is wrong and exit, as `run_main` does.

    The fields are the flags; `__post_init__` may raise ValueError to check values against each other. `--help` shows the description.
    """
    words = sys.argv[1:] if argv is None else argv
    return run_main(lambda: read_arguments(dataclass_type, words, Path(sys.argv[0]).name, description))


def read_arguments(kinds: Any, words: Sequence[str], program: str, description: str = "") -> Any:
    """Fill a dataclass from `--config` and flags; `--help` is printed and ends the program.

    Args:
        kinds: A dataclass; or several by name, of which `--method` or the keys of the YAML file pick one.
        words: What follows the name of the program.
        program, description: For `--help`.

    Raises:
        ValueError, OSError: one sentence on what is wrong.
    """
    settings = settings_of(kinds)
    flags = _read_flags(words, settings)
    if flags.pop("help", None):
        print("\n".join(_help(settings, program, description)))
        raise SystemExit(0)
    values: dict[str, Any] = {}
    if "config" in flags and "config" not in settings:
        values.update(_read_yaml(flags.pop("config"), settings))
    if isinstance(kinds, Mapping):
        known = {name: settings_of(kind) for name, kind in kinds.items()}
        method = next((name for name in known if set(values) - {"method"} <= set(known[name])), next(iter(known)))
        method = flags.pop("method", values.pop("method", method))
        for name in {**values, **flags}:
            if name not in known[method]:
                owner = next(other for other in known if name in known[other])
                raise ValueError(f"--{name} is a setting of --method {owner}, and this is --method {method}.")
        kinds, settings = kinds[method], known[method]
    values.update(flags)
    missing = [one for name, one in settings.items() if one.required and name not in values]
    if missing:
        names = " and ".join(one.shown for one in missing)
        more = f"is not set, but required. {missing[0].help}" if len(missing) == 1 else "are not set, but required."
        raise ValueError(f"{names} {more} See --help.")
    return kinds(**values)


def from_values(dataclass_type: type[Arguments], values: Mapping[str, Any], where: str) -> Arguments:
    """Fill a dataclass from values as YAML reads them, such as one part of a file; `where` begins messages, such as "ablate.yaml, base".

    Settings of earlier versions may have their earlier names.

    Raises:
        ValueError: an unknown setting, a value of the wrong kind, or a setting that is missing.
    """
    settings = settings_of(dataclass_type)
    now = {setting.was or name: name for name, setting in settings.items()}
    converted = _converted({now.get(key, key): value for key, value in values.items()}, settings, where)
    for name, setting in settings.items():
        if setting.required and name not in converted:
            raise ValueError(f"{where} does not set {name}. {setting.help}".rstrip())
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


def naming_flags(sentence: str, settings: Mapping[str, Setting]) -> str:
    """What a function says of its arguments as the command line says it: `layout is ...`, `data_dir` and `layout=x` get their dashes.

    A short word in the middle of a sentence stays, as it may be any word, and so does what follows the name of a file.
    """
    flags = [name for name, setting in settings.items() if not setting.positional]
    any_flag = "|".join(flags) or "(?!)"  # which is nowhere
    of_words = "|".join(name for name in flags if "_" in name) or "(?!)"
    at_start = rf"^({any_flag})(?= (is|has|needs) )"
    within = rf"(?<![\w./'\"-])(?<!: )(({any_flag})(?==)|({of_words})(?![\w/.]))"
    return re.sub(r"(--\w+)=True\b", r"\1", re.sub(f"{at_start}|{within}", r"--\g<0>", sentence))


def save_arguments(arguments: Any, path: str | Path, **changes: Any) -> None:
    """Write a dataclass as YAML that `--config` reads back, in one step; `changes` replace single values."""
    import yaml

    values = dataclasses.asdict(arguments) | changes
    for name, value in values.items():
        values[name] = list(value) if isinstance(value, tuple) else str(value) if isinstance(value, Path) else value
    write_atomically(path, SETTINGS_HEADER + yaml.safe_dump(values, sort_keys=False))


def run_main(main: Callable[[], Result], program: str = "") -> Result:
    """Run a program; what a user can mend becomes one sentence on stderr and exit code 2, an interruption code 130.

    Sentences begin with `program`, such as "s2i convert". S2I_TRACEBACK=1 in the environment shows the traceback instead.
    """
    try:
        return main()
    except KeyboardInterrupt as interruption:
        code, text = 130, str(interruption) or "interrupted; nothing half-written was left behind."
    except BrokenPipeError:  # `s2i ... | head`: the reader went away, which is no error of ours
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        out_of_memory = type(error).__name__ == "OutOfMemoryError"  # torch's, of any device
        if os.environ.get("S2I_TRACEBACK") or (isinstance(error, RuntimeError) and not out_of_memory):
            raise
        advice = "The accelerator ran out of memory; halve --batch_size and double --gradient_accumulation."
        code, text = 2, advice if out_of_memory else _sentence(error)
    rank = os.environ.get("RANK", "0")  # under a launcher every process complains; tell them apart
    names = [*([f"[process {rank}]"] if rank != "0" else []), *([f"{program}:"] if program else [])]
    print(*names, text, file=sys.stderr, flush=True)
    raise SystemExit(code)


def _sentence(error: BaseException) -> str:
    """An error in one line."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror.lower()}."
    if type(error) is ModuleNotFoundError and error.name:  # of another library; ours say which extra is meant
        package = error.name.partition(".")[0]
        return f"This needs {package}, which is not installed: pip install {package}."
    text = str(error).strip() or type(error).__name__
    if text.startswith("Caught ") and "Original Traceback" in text:  # torch wraps what a DataLoader worker raised
        text = re.sub(r"^[\w.]+: ", "", text.splitlines()[-1])
    return " ".join(text.split())


def _read_flags(argv: Sequence[str], settings: Mapping[str, Setting]) -> dict[str, Any]:
    """Flag -> value, converted; `config` as it was given."""
    places = [setting for setting in settings.values() if setting.positional]
    known = {"config": Setting("config", str), **settings}
    renamed = {setting.was: name for name, setting in settings.items() if setting.was}
    values: dict[str, Any] = {}
    loose: list[str] = []
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word in ("-h", "--help"):
            return {"help": True}
        if not word.startswith("--") or word == "--":
            loose.append(word)
            continue
        typed, inline, value = word.partition("=")
        name = typed[2:].replace("-", "_")
        off = name not in known and bool in known.get(name.removeprefix("no_"), known["config"]).kinds
        name = name.removeprefix("no_") if off else name
        if name in renamed:
            raise ValueError(f"{typed} is called --{renamed[name]} now.")
        if name not in known:
            old, new = ("_", "-") if "-" in typed[2:] else ("-", "_")  # flags as this one is written
            flags = ["--" + flag.replace(old, new) for flag in (*known, "help")]
            close = did_you_mean("--" + typed[2:].replace(old, new), flags)
            raise ValueError(f"Unknown flag {typed}.{close or ' See --help for all flags.'}")
        following = next((at for at, one in enumerate(rest) if one.startswith("--")), len(rest))
        if places:  # a word that the flag cannot take is one that stands without a flag
            following = min(following, 0 if off else _most_words(known[name], rest))
        words = [value] if inline else rest[:following]
        rest = rest if inline else rest[following:]
        if off and words:
            raise ValueError(f"{typed} takes no value, got {words[0]!r}.")
        values[name] = False if off else _from_words(words, known[name], typed)
    for setting, word in zip(places, loose, strict=False):
        values[setting.name] = _convert(word, setting.kind, setting.shown)
    if len(loose) > len(places):
        raise ValueError(
            f"Unexpected word {loose[len(places)]!r}; a value follows its flag, as in --seed 1. See --help."
        )
    return values


def _most_words(setting: Setting, words: Sequence[str]) -> int:
    """How many of the words that follow a flag may be its value."""
    if bool in setting.kinds and words and words[0].lower() not in _TRUE + _FALSE:
        return 0
    return len(words) if Ellipsis in setting.items else len(setting.items) or 1


def _from_words(words: list[str], setting: Setting, where: str) -> Any:
    if not words and (bool in setting.kinds or setting.bare is not dataclasses.MISSING):
        return True if bool in setting.kinds else setting.bare
    if len(words) != 1 and not setting.items:
        got = f"got {len(words)} values ({' '.join(words)})" if words else "has no value"
        raise ValueError(f"{where} {got}; expected {_describe(setting.kind)}.")
    return _convert(words[0] if len(words) == 1 else words, setting.kind, where)


def _read_yaml(name: str, settings: Mapping[str, Setting]) -> dict[str, Any]:
    import yaml

    path = find_config(name)
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not valid YAML: {error}") from None
    if loaded is not None and not isinstance(loaded, dict):
        raise ValueError(f"{path} holds a {type(loaded).__name__}; expected 'name: value' lines.")
    return _converted(loaded or {}, settings, str(path))


def _converted(given: Mapping[str, Any], settings: Mapping[str, Setting], where: str) -> dict[str, Any]:
    values = {}
    renamed = {setting.was: name for name, setting in settings.items() if setting.was}
    for key, value in given.items():
        name = str(key).replace("-", "_")
        if name in renamed:
            raise ValueError(f"{where}: {name} is called {renamed[name]} now.")
        if name not in settings:
            raise ValueError(f"{where}: unknown setting {name!r}.{did_you_mean(name, settings)}")
        values[name] = _convert(value, settings[name].kind, f"{where}: {name}")
    return values


def _options(hint: Any) -> list[Any]:
    return list(get_args(hint)) if get_origin(hint) in (Union, UnionType) else [hint]


def _describe(hint: Any) -> str:
    texts = []
    for kind in _options(hint):
        items = get_args(kind)
        if get_origin(kind) is Literal:
            texts.append("one of " + ", ".join(map(str, items)))
        elif get_origin(kind) is tuple:
            texts.append("several values" if Ellipsis in items else f"{len(items)} values, each {_describe(items[0])}")
        else:
            texts.append(_KINDS.get(kind, "none" if kind is NoneType else str(kind)))
    return " or ".join(texts)


def _convert(value: Any, hint: Any, where: str) -> Any:
    """`value`, a command-line word or what YAML made of it, in the type of the field; ValueError names `where`."""
    setting = Setting(where, hint)
    if NoneType in setting.kinds and str(value).lower() in _NONE:
        return None
    for kind in setting.kinds:
        converted = _convert_one(value, kind, where)
        if converted is not NotImplemented:
            return converted
    shown = " ".join(map(str, value)) if isinstance(value, list | tuple) else value
    close = did_you_mean(str(shown), map(str, setting.choices))
    raise ValueError(f"{where} is {shown!r}; expected {_describe(hint)}.{close}")


def _convert_one(value: Any, kind: Any, where: str) -> Any:
    """`value` as one of the types of a field; NotImplemented if it is none."""
    if get_origin(kind) is Literal:
        text = ("no", "yes")[value] if isinstance(value, bool) else str(value)  # a bare no is false in YAML
        return next((choice for choice in get_args(kind) if str(choice) == text), NotImplemented)
    if get_origin(kind) is tuple:
        kinds = get_args(kind)
        between = r"[\s,]+|(?<=\d)x(?=\d)" if kinds[0] is int else r"[\s,]+"  # 224x112
        items = re.split(between, value.strip("()[] ")) if isinstance(value, str) else value
        if not isinstance(items, list | tuple) or (Ellipsis not in kinds and len(items) != len(kinds)):
            return NotImplemented
        kinds = kinds[:1] * len(items) if Ellipsis in kinds else kinds
        return tuple(_convert(item, kind, where) for item, kind in zip(items, kinds, strict=True))
    if kind is bool:
        text = str(value).lower()
        return text in _TRUE if text in _TRUE + _FALSE else NotImplemented
    if value is None or isinstance(value, bool | dict | list):
        return NotImplemented
    try:
        if kind is int and not isinstance(value, int):
            number = float(value)  # 1e5 is a whole number too
            return int(number) if number.is_integer() else NotImplemented
        return kind(value)
    except (TypeError, ValueError, OverflowError):
        return NotImplemented


def _help(settings: Mapping[str, Setting], program: str, description: str) -> Iterator[str]:
    places = [one.shown if one.required else f"[{one.shown}]" for one in settings.values() if one.positional]
    yield f"usage: {' '.join([program, *places])} [--config FILE.yaml] [--flag value ...]\n"
    if description:
        yield f"{description.strip()}\n"
    if "config" not in settings:  # it may be a setting of the program's own
        yield "  --config FILE.yaml"
        yield "      Settings from a file, a recipe (s2i configs) or a pushed run, hf://user/name[@revision]; flags win over them."
    for setting in settings.values():
        ending = "(required)" if setting.required else f"(default {_shown(setting.default)})"
        yield f"  {setting.shown} <{_describe(setting.kind)}>"
        yield textwrap.fill(f"{setting.help} {ending}".strip(), 112, initial_indent=" " * 6, subsequent_indent=" " * 6)
