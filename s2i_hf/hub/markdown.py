"""Cards as text: the Jinja templates of model_cards/, the Markdown pieces that they use, and the YAML front matter."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined

# What a reader of YAML 1.2 takes for a number or a truth value and PyYAML, which knows YAML 1.1, leaves bare: 1e5, 0o17, +1.
_YAML_12 = re.compile(
    r"[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?|0o[0-7]+|0x[0-9a-fA-F]+|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)


def render(template: str, **values: Any) -> str:
    """A template of model_cards/ filled with values; what has nothing to say leaves no gap."""
    text = _templates().get_template(template).render(values)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


@lru_cache(maxsize=1)
def _templates() -> Environment:
    """The templates; a name that nobody gave them is an error."""
    folder = resources.files("s2i_hf.model_cards")
    environment = Environment(
        loader=FunctionLoader(lambda name: folder.joinpath(name).read_text(encoding="utf-8")),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.globals |= {"table": markdown_table, "pairs": pairs}
    environment.filters |= {
        "paragraph": lambda text: " ".join(text.split()),
        "capital": lambda text: text[:1].upper() + text[1:],
        "cell": lambda value: plain(value).replace("|", "\\|"),
        "thousands": "{:,}".format,
        "share": "{:.0%}".format,
        **{function.__name__: function for function in (per_cent, plain, show, words)},
    }
    return environment


def front_matter_yaml(values: Mapping[str, Any]) -> str:
    """JSON values, but for None and empty ones, as lines of a card's front matter, which YAML 1.1 (Python) and 1.2 (the Hub) read alike."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Quotes what YAML 1.2 would not read as text; writes no anchors."""

        def ignore_aliases(self, _: Any) -> bool:
            return True

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, "'" if _YAML_12.fullmatch(value) else None)

    Dumper.add_representer(str, text)
    known = {key: value for key, value in values.items() if value not in (None, [], {}, "")}
    dumped: str = yaml.dump(known, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=1_000_000)
    return dumped


def plain(value: object) -> str:
    """Text of somebody else's, such as the name of a class, on one line, with nothing that Markdown or HTML would take for its own."""
    return " ".join(str(value).split()).replace("\\", "\\\\").replace("<", "&lt;").replace("[", "\\[")


def words(name: str) -> str:
    """A key of our files as words."""
    return {"knn": "kNN"}.get(name, name.replace("_", " "))


def per_cent(value: float) -> str:
    """A share, 0 to 1, in per cent."""
    return f"{100 * value:.1f}"


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Rows of cells as a Markdown table; bars in cells are escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def pairs(values: Mapping[str, Any], keys: Iterable[str]) -> str:
    """The settings among `keys` that are there, as a table."""
    known = [(f"`{key}`", f"`{show(values[key])}`") for key in keys if values.get(key) is not None]
    return markdown_table(("setting", "value"), known) if known else ""


def is_path(value: object) -> bool:
    """Whether a value names a place on this machine."""
    return isinstance(value, str) and (os.path.isabs(value) or value.startswith(("~", "..")))


def show(value: object) -> str:
    """A value for print; a path on this machine is reduced to its last part."""
    if isinstance(value, Mapping) and "joint_names" in value:  # a custom layout
        return f"{value.get('name', 'custom')} ({len(value['joint_names'])} joints)"
    if is_path(value):
        return Path(str(value)).name
    if isinstance(value, list | tuple):
        return " ".join(show(item) for item in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {show(item)}" for key, item in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)
