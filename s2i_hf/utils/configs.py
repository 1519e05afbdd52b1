"""YAML files of settings: the recipes of this package, files of one's own, and those of pushed runs."""

from __future__ import annotations

from pathlib import Path

from ..processing.suggestions import did_you_mean
from .hub_errors import hub_file

RECIPES = Path(__file__).parents[1] / "configs"


def find_config(name: str) -> Path:
    """The YAML file that `--config` names: a path, a recipe of this package (`s2i configs`), or the run.yaml of hf://user/name[@revision].

    Raises:
        ValueError: none of them is there.
    """
    if name.startswith("hf://"):
        repository, _, revision = name.removeprefix("hf://").partition("@")
        try:
            path = hub_file(repository, "run.yaml", revision=revision or None)
        except FileNotFoundError as error:
            raise ValueError(f"--config {name}: run.yaml not found: {error}") from None
        if path is None:
            raise ValueError(f"--config {name}: no run.yaml is there; expected hf://user/name of a pushed run.")
        return Path(path)
    recipe = RECIPES / f"{name.removesuffix('.yaml')}.yaml"
    if recipe.is_file() and not Path(name).is_file():
        return recipe
    if not Path(name).exists():
        close = did_you_mean(name.removesuffix(".yaml"), recipes())
        raise ValueError(f"--config {name}: neither a file nor a recipe; `s2i configs` lists the recipes.{close}")
    return Path(name)


def recipes() -> list[str]:
    """Names of the recipes in the package, such as nw_ucla_xview/finetune."""
    return sorted(path.relative_to(RECIPES).with_suffix("").as_posix() for path in RECIPES.rglob("*.yaml"))
