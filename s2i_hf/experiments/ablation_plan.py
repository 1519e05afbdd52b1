"""What an ablation runs: a YAML file that names variants of a pretraining.

    method: mae                        # or diffmae
    base: {data: nw_ucla_xview, ...}   # settings of `s2i pretrain`
    probe: {settings: knn, ...}        # settings of `s2i probe`
    vary: {mask: [joint, block], size: [64, 96]}           # each value alone, all else as in the base
    grid: {mask: [joint, block], mask_ratio: [0.5, 0.9]}   # every combination
    variants: [{name: sensor order, joint_order: sensor}]  # by name
    seeds: [0, 1, 2]

The base itself is always run, once a seed.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from ..evaluation.probing import ProbeArguments
from ..processing.suggestions import did_you_mean
from ..training.common_arguments import MAY_CHANGE
from ..training.pretrain_arguments import METHODS, PretrainArguments
from ..utils.arguments import from_values

BASE = "base"
_OURS = ("seed", "output_dir", "resume", "overwrite")  # settings that the ablation gives each run
_PROBE_OURS = (
    "model", "data", "data_dir", "cache_dir", "output_dir", "results_csv", "seed", "encoders", "device", "card", "method",
)  # fmt: skip


@dataclass(frozen=True)
class Variant:
    """What differs from the base, and under which name."""

    name: str
    changes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shown(self) -> str:
        """The changes as text, "" for the base."""
        return ", ".join(f"{name}={show(value)}" for name, value in self.changes.items())


@dataclass(frozen=True)
class AblationPlan:
    """A read YAML file. `base` and `probe` are settings as YAML has them; the first variant is the base."""

    title: str
    method: str
    base: Mapping[str, Any]
    probe: Mapping[str, Any]
    variants: tuple[Variant, ...]
    seeds: tuple[int, ...]

    def pretraining(self, variant: Variant, seed: int, folder: Path) -> PretrainArguments:
        """Settings of one run. Raises ValueError if they are none."""
        ours = {"seed": seed, "output_dir": str(folder / run_name(variant, seed)), "resume": "auto"}
        where = f"{self.title}, {BASE if variant.name == BASE else f'variant {variant.name!r}'}"
        return from_values(METHODS[self.method], {"card": False, **self.base, **variant.changes, **ours}, where)

    def probing(self, device: str = "auto") -> ProbeArguments:
        """Settings of the probes, for a model in memory. Raises ValueError if they are none."""
        given = {"settings": ["linear_probe"], **self.probe, "device": device, "card": False}
        found = from_values(ProbeArguments, {"model": "in_memory", "data": "", **given}, f"{self.title}, probe")
        if len(found.settings) != 1:
            raise ValueError(f"{self.title}, probe has {len(found.settings)} settings; an ablation compares by one.")
        return found


def show(value: Any) -> str:
    """A setting as a word of a table."""
    return " ".join(map(show, value)) if isinstance(value, list | tuple) else str(value)


def run_name(variant: Variant, seed: int) -> str:
    """Folder of one run below the output folder."""
    return f"{re.sub(r'[^A-Za-z0-9.=+-]+', '_', variant.name).strip('_.')}_seed{seed}"


def read_plan(path: str | Path, **base_changes: Any) -> AblationPlan:
    """Read the YAML of an ablation, see the head of `ablation_plan`; `base_changes` replace settings of the base if they are not None.

    Raises:
        ValueError: it is no such file; the message says which part is wrong.
    """
    import yaml

    path = Path(path)
    try:
        given = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    kinds = {"method": str, "base": dict, "probe": dict, "vary": dict, "grid": dict, "variants": list, "seeds": list}
    if not isinstance(given, dict):
        raise ValueError(f"{path} holds a {type(given).__name__}; expected 'name: value' lines: {', '.join(kinds)}.")
    for name, value in given.items():
        if name not in kinds:
            hint = did_you_mean(str(name), kinds)
            raise ValueError(f"{path}: unknown part {name!r}; expected {', '.join(kinds)}.{hint}")
        if not isinstance(value, kinds[name]):
            raise ValueError(f"{path}: {name} is a {type(value).__name__}; expected a {kinds[name].__name__}.")
    method = given.get("method", "mae")
    if method not in METHODS:
        raise ValueError(f"{path}: method is {method!r}; expected one of {', '.join(METHODS)}.")
    seeds = given.get("seeds", [0])
    if not seeds or any(type(seed) is not int for seed in seeds) or len(set(seeds)) < len(seeds):
        raise ValueError(f"{path}: seeds are {seeds}; expected different whole numbers.")
    base = {**given.get("base", {}), **{name: value for name, value in base_changes.items() if value is not None}}
    plan = AblationPlan(path.name, method, base, given.get("probe", {}), (), tuple(seeds))
    _check_given(f"{path}: base", base, _OURS)
    _check_given(f"{path}: probe", plan.probe, _PROBE_OURS)
    probe = plan.probing()
    for name in ("streams", "to_layout"):
        if getattr(probe, name):
            raise ValueError(f"{path}: probe sets {name}, but an ablation reads the images that it trains on; drop it.")
    return replace(plan, variants=_variants(plan, given, path))


def _variants(plan: AblationPlan, given: Mapping[str, Any], path: Path) -> tuple[Variant, ...]:
    """All variants, the base first; those that say what the base says already are left out."""
    vary, grid = given.get("vary", {}), given.get("grid", {})
    for part, lists in (("vary", vary), ("grid", grid)):
        for name, values in lists.items():
            if not isinstance(values, list) or not values:
                raise ValueError(f"{path}: {part} gives {name} no list of values; expected [value, value].")
    changes = [{name: value} for name, values in vary.items() for value in values]
    changes += [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())] if grid else []
    wanted = [Variant(Variant("", change).shown, change) for change in changes]
    for number, entry in enumerate(given.get("variants", []), start=1):
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise ValueError(f"{path}: variant {number} has no name; expected {{name: TEXT, setting: value}}.")
        wanted.append(Variant(entry["name"], {name: value for name, value in entry.items() if name != "name"}))
    different: dict[str, Variant] = {}  # by what decides the numbers
    for variant in [Variant(BASE), *wanted]:
        _check_given(f"{path}: variant {variant.name!r}", variant.changes, _OURS)
        different.setdefault(settings_digest(plan, plan.pretraining(variant, 0, Path("runs"))), variant)
    folders: dict[str, Variant] = {}
    for variant in different.values():
        if folders.setdefault(run_name(variant, 0), variant) is not variant:
            raise ValueError(f"{path}: two variants are called {variant.name!r}; give each a name of its own.")
    if len(folders) == 1:
        raise ValueError(f"{path} varies nothing; give vary, grid or variants a value that the base does not have.")
    return tuple(folders.values())


def _check_given(where: str, settings: Mapping[str, Any], ours: Sequence[str]) -> None:
    for name in settings:
        if str(name).replace("-", "_") in ours:
            raise ValueError(f"{where} sets {name}, which the ablation gives each run; leave it out.")


_LATER = ("zero_joints",)  # settings that earlier rows do not know


def settings_digest(plan: AblationPlan, arguments: PretrainArguments) -> str:
    """Hash of all that decides the numbers of a run."""
    settings = {name: value for name, value in _as_named_first(arguments).items() if name not in MAY_CHANGE}
    settings["data"] = [Path(name).name for name in arguments.sources]
    probe = {name: value for name, value in _as_named_first(plan.probing()).items() if name not in _PROBE_OURS}
    text = json.dumps([plan.method, settings, probe], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _as_named_first(arguments: PretrainArguments | ProbeArguments) -> dict[str, Any]:
    """The settings under their first names, and without those that came later and change nothing: neither parts a run from its row."""
    values = asdict(arguments)
    return {
        one.metadata.get("was") or one.name: values[one.name]
        for one in fields(arguments)
        if not (one.name in _LATER and values[one.name] == one.default)
    }
