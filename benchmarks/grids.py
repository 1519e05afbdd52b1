"""Finer grids of patches at equal compute: what a token should hold of time and of joints.

    python benchmarks/grids.py --data DIR --dry_run                       # grids, tokens, FLOPs, clips, and the stages
    python benchmarks/grids.py --data DIR --runs runs/grids               # the same command goes on
    python benchmarks/grids.py --data DIR --runs runs/grids --budget 20   # TFLOPs of each pretraining

DIR is that of benchmarks/accuracy.py. Images are height x width: rows are time, columns joints. A patch of 16 pixels at 112 x 112 blurs
three joints and five frames of a clip of NW-UCLA into one token. Of every grid: a pretraining from new weights on the training clips of the
set, a linear probe, and a fine-tuning. Every pretraining spends the same FLOPs, forward and backward (three times the forward, counted by
`models/model_cost.py`), and so does every fine-tuning: a grid of four times the tokens sees about a quarter of the clips. Learning rates,
batch and augmentation are the same.

Grids are compared on held-out people of the training split, seen by a camera that was not learned from where the test camera is new: probe
and fine-tuning with a quarter of the training clips (accuracy_prepare.py). The grid that is best there is named; test clips choose nothing,
and the test numbers of all grids are written beside them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any, Literal, NamedTuple

from accuracy_plan import PRESETS, DataSet, Stage, find_sets
from accuracy_running import Runner, hand_over, is_done, stage_rows
from accuracy_stages import PREPARE, Maker
from accuracy_table import with_error
from transformers import ViTMAEConfig

from s2i_hf.models.building import size_fields
from s2i_hf.models.model_cost import model_cost
from s2i_hf.runs.provenance import public_command
from s2i_hf.runs.results import append_results
from s2i_hf.utils.arguments import arg, parse, run_main

VALIDATION_SEED, VALIDATION_SHARE, ROTATIONS = 100, 0.25, 3
BACKWARD = 3  # forward and backward, in forwards
TERA, GIGA = 1e12, 1e9


class Grid(NamedTuple):
    """Images of height x width pixels in patches of a side; the first of `GRIDS` is what the others are measured against."""

    height: int
    width: int
    patch: int

    @property
    def name(self) -> str:
        """Such as 224x112p16."""
        return f"{self.height}x{self.width}p{self.patch}"

    @property
    def size(self) -> int | tuple[int, int]:
        """As --size takes it."""
        return self.height if self.height == self.width else (self.height, self.width)

    @property
    def tokens(self) -> int:
        """Patches of an image."""
        return self.height // self.patch * (self.width // self.patch)


GRIDS = (
    Grid(112, 112, 16), Grid(112, 112, 8), Grid(224, 224, 16), Grid(224, 112, 16), Grid(112, 56, 8), Grid(160, 64, 16), Grid(160, 64, 8),
)  # fmt: skip


@dataclass
class GridArguments:
    """Settings of the measurement."""

    data: str = arg(help="Folder with a sub-folder for each data set.")
    runs: str = arg("runs/grids", "Gets a folder for each stage.")
    sets: tuple[str, ...] = arg(("nw_ucla_xview",), "Protocols to measure on.")
    grids: tuple[str, ...] = arg(tuple(grid.name for grid in GRIDS), "Which: height x width p patch.")
    budget: float | None = arg(None, "TFLOPs of a pretraining; if none, those of 32,000 clips on the first grid.")
    seeds: tuple[int, ...] = arg((0,), "Of everything that is trained.")
    model: str = arg("config:tiny", "config:micro|tiny|small.")
    jobs: int = arg(2, "Stages at a time, a core each.")
    pin: bool = arg(True, "A core of its own for each job; --no-pin where others work too.")
    precision: Literal["no", "bf16"] = arg("no", "Of the trainings; bf16 pays on a CPU that computes in it.")
    cache_dir: str | None = arg(None, "Where converted data is cached; the cache of `datasets` if none.")
    results_csv: str | None = arg(None, "Also append the test rows to this table, such as model_cards/results.csv.")
    table: str | None = arg(None, "Write the table here; printed if none.")
    dry_run: bool = arg(False, "Print the plan, and the table of what is finished, but run nothing.")

    def __post_init__(self) -> None:
        known = {grid.name: grid for grid in GRIDS}
        for name in self.grids:
            if name not in known:
                raise ValueError(f"--grids has {name!r}; expected some of {', '.join(known)}.")
        if self.budget is not None and not 0 < self.budget < math.inf:
            raise ValueError(f"--budget is {self.budget:g} TFLOPs; expected a number above 0.")
        if not self.seeds or not self.grids or min(self.seeds) < 0 or len(set(self.seeds)) < len(self.seeds):
            raise ValueError("--seeds and --grids name each once, and seeds are whole numbers from 0.")

    @property
    def chosen(self) -> list[Grid]:
        """The grids."""
        return [grid for grid in GRIDS if grid.name in self.grids]


class Cost(NamedTuple):
    """FLOPs of a training step of a clip, forward and backward: of pretraining, of fine-tuning."""

    pretraining: float
    finetuning: float


def cost_of(model: str, grid: Grid) -> Cost:
    """What a clip costs on a grid."""
    config = ViTMAEConfig(**size_fields(model, grid.size, grid.patch))
    counted = model_cost(config.to_dict())
    return Cost(BACKWARD * counted["pretraining_flops"], BACKWARD * counted["encoder_flops"])


class GridMaker(Maker):
    """Makes the stages; an arm is the name of a grid."""

    def __init__(self, arguments: GridArguments, sets: dict[str, DataSet]) -> None:
        preset = replace(
            PRESETS["cpu"], model=arguments.model, precision=arguments.precision, jobs=arguments.jobs, most_epochs=1_000_000
        )  # fmt: skip
        super().__init__(preset, sets, Path(arguments.runs), 1.0, None, arguments.cache_dir)
        self.grids = {grid.name: grid for grid in arguments.chosen}
        first = cost_of(arguments.model, GRIDS[0])
        usual = preset.pretrain_clips * first.pretraining
        share = 1.0 if arguments.budget is None else arguments.budget * TERA / usual
        self.budget = Cost(share * usual, share * preset.finetune_clips * first.finetuning)
        self.costs = {name: cost_of(arguments.model, grid) for name, grid in self.grids.items()}

    def steps(self, arm: str) -> tuple[int, int]:
        """Optimizer steps that the budget pays for: of the pretraining, of the fine-tuning."""
        pairs = zip(self.budget, self.costs[arm], strict=True)
        first, second = (max(1, round(budget / cost / self.preset.batch_size)) for budget, cost in pairs)
        return first, second

    def _of_steps(self, name: str, steps: int, clips: int, **flags: Any) -> str:
        """A stage that is there already, to train for so many steps on a set of so many clips."""
        stage = self.stages[name]
        batch = min(stage.flags["batch_size"], clips)
        schedule = {"batch_size": batch, "max_steps": steps, "epochs": math.ceil(steps / max(1, clips // batch))}
        self.stages[name] = replace(stage, flags={**stage.flags, **schedule, **flags}, clips=steps * batch)
        return name

    def encoder(self, arm: str, seed: int, one: DataSet) -> str:
        """The pretraining on a grid."""
        grid, yaw = self.grids[arm], 3.1416 if one.new_view else one.view["yaw"]
        name = f"pretrain_{arm}_{one.name}_seed{seed}"
        if name not in self.stages:
            self._pretrain(name, "pretrain", "mae", seed, [one], yaw, self.preset.pretrain_clips)
            self.stages[name] = replace(self.stages[name], arm=arm)
            self._of_steps(name, self.steps(arm)[0], one.train, size=grid.size, patch_size=grid.patch)
        return name

    def measured(self, arm: str, seed: int, one: DataSet) -> None:
        """Probe and fine-tuning, on held-out people and on the test clips."""
        probe, finetune = self.probe(arm, seed, one), self.finetune(arm, seed, one)
        if one.new_view:
            views = {"rotations": ROTATIONS}
            self.stages[probe] = replace(self.stages[probe], flags={**self.stages[probe].flags, **views})
        self._of_steps(finetune, self.steps(arm)[1], one.train)
        subset, clips = f"people_{one.name}", max(2, round(VALIDATION_SHARE * one.train))
        flags = {**one.flags, "what": "subset", "clips": clips, "seed": VALIDATION_SEED}
        self.add(Stage(subset, PREPARE, "", one.name, "", VALIDATION_SEED, flags))
        for name in (probe, finetune):
            test = self.stages[name]
            there = {key: value for key, value in test.flags.items() if key != "data_dir"}
            held = {**there, "data": str(self.folder(subset))}
            stage = replace(test, name=f"people_{name}", flags=held, needs=(*test.needs, subset), word="validation")
            self.add(stage)
        self._of_steps(f"people_{finetune}", self.steps(arm)[1], clips)


def make_plan(arguments: GridArguments) -> tuple[list[Stage], GridMaker]:
    """All stages in the order they are begun, and what made them.

    Raises:
        ValueError: a data set that is not there.
    """
    sets, _ = find_sets(Path(arguments.data).expanduser(), arguments.sets)
    if lacks := [name for name in arguments.sets if name not in sets]:
        raise ValueError(f"--sets has {lacks[0]!r}, which is not in {arguments.data}; there: {', '.join(sets)}.")
    maker = GridMaker(arguments, sets)
    for seed in arguments.seeds:
        for grid in arguments.chosen:
            for name in arguments.sets:
                maker.measured(grid.name, seed, sets[name])
    return list(maker.stages.values()), maker


COLUMNS = ("people_probe", "people_finetune", "probe", "finetune")


def collect(plan: Sequence[Stage], runs: Path) -> dict[tuple[str, str, str], list[float]]:
    """(set, arm, column of `COLUMNS`) -> top-1 of each seed, of what is finished."""
    found: dict[tuple[str, str, str], list[float]] = {}
    for stage in plan:
        column = f"people_{stage.kind}" if stage.word == "validation" else stage.kind
        if column in COLUMNS and is_done(stage, runs):
            for row in stage_rows(stage, runs):
                if row["metric"] == "top1" and row["setting"] == stage.setting:
                    found.setdefault((stage.set, stage.arm, column), []).append(row["value"])
    return found


def table_text(maker: GridMaker, sets: Sequence[str], values: dict[tuple[str, str, str], list[float]]) -> str:
    """A table for each set: what a grid costs, how many clips it sees, and what it reaches."""
    spent = [f"{budget / TERA:.3g}" for budget in maker.budget]
    lines = [
        "# Grids of patches at equal compute", "",
        f"Top-1 in per cent. Every pretraining spends {spent[0]} TFLOPs and every fine-tuning {spent[1]}; {maker.preset.model}, batch "
        f"{maker.preset.batch_size}.",
    ]  # fmt: skip
    head = ("size", "patch", "tokens", "GFLOP a clip", "clips seen", "probe, held-out people", "fine-tuned, held-out people",
            "probe, test", "fine-tuned, test")  # fmt: skip
    for name in sets:
        lines += ["", f"## {name}", "", f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
        held: dict[str, float] = {}
        for arm, grid in maker.grids.items():
            cells = [values.get((name, arm, column), []) for column in COLUMNS]
            if cells[0] and cells[1]:
                held[arm] = mean([mean(cells[0]), mean(cells[1])])
            clips = maker.steps(arm)[0] * maker.preset.batch_size
            facts = (
                f"{grid.height} x {grid.width}",
                grid.patch,
                grid.tokens,
                f"{maker.costs[arm].pretraining / GIGA:.3g}",
                f"{clips:,}",
            )
            lines.append(f"| {' | '.join([*map(str, facts), *map(with_error, cells)])} |")
        if len(held) == len(maker.grids):
            best = max(held, key=lambda arm: held[arm])
            lines += ["", f"Best on held-out people, mean of probe and fine-tuning: {best}."]
    return "\n".join(lines) + "\n"


def grids(arguments: GridArguments) -> str:
    """Measure, or say what would be measured; returns the table.

    Raises:
        ValueError: data that is not there, or stages that failed.
        RunInterrupted: Ctrl-C or SIGTERM; the same command goes on.
    """
    plan, maker = make_plan(arguments)
    runs = Path(arguments.runs)
    failed: dict[str, str] = {}
    if arguments.dry_run:
        for stage in plan:
            state = "done" if is_done(stage, runs) else f"{stage.clips:,} clips" if stage.clips else ""
            print(f"{stage.name}  {state}".rstrip())
    else:
        runner = Runner(
            plan, runs, jobs=arguments.jobs, device="cpu", pin=arguments.pin, report=lambda line: print(line, flush=True)
        )  # fmt: skip
        failed = runner.run().failed
    if arguments.results_csv:
        for stage in plan:
            if stage.setting and stage.word != "validation" and (rows := stage_rows(stage, runs)):
                append_results(runs / stage.name, rows, arguments.results_csv)
    text = f"{table_text(maker, arguments.sets, collect(plan, runs))}\n    {public_command()}\n"
    hand_over(text, arguments.table, failed, len(plan))
    return text


def main() -> None:
    grids(parse(GridArguments, description=__doc__))


if __name__ == "__main__":
    run_main(main)
