"""`s2i configs`."""

from __future__ import annotations

from dataclasses import dataclass

from ..utils.arguments import arg
from ..utils.configs import find_config, recipes


@dataclass
class ConfigsArguments:
    """Flags of `s2i configs`."""

    name: str | None = arg(None, "Print this recipe, such as nw_ucla_xview/finetune.", positional=True)


def configs(arguments: ConfigsArguments) -> None:
    """Recipes.

    s2i configs nw_ucla_xview/finetune > mine.yaml     # to change it
    """
    if arguments.name is not None:
        print(find_config(arguments.name).read_text(encoding="utf-8"), end="")
        return
    for name in recipes():
        comment = find_config(name).read_text(encoding="utf-8").partition("\n")[0]
        print(f"{name:44}{comment.removeprefix('#').strip()}")
