"""Do vision weights help? A ViT-MAE that has seen photographs, and its controls, learn skeletons from the same budget.

    python benchmarks/vision_weights.py --images tiny-imagenet-40k.parquet --data DIR --dry_run   # the plan, and how long it takes
    python benchmarks/vision_weights.py --images tiny-imagenet-40k.parquet --data DIR             # the same command goes on
    python benchmarks/vision_weights.py --images tiny-imagenet-40k.parquet --data DIR --stages A,repeat,B,parts

DIR is that of benchmarks/accuracy.py: NW-UCLA, UTD-MHAD, MSRAction3D and UI-PRMD, raw or as folders of `s2i convert` named like
the protocol. Every stage is one command in a folder of its own below --runs; Ctrl-C, and the same command goes on.

Registered before any number on test clips was seen:

Question. Does an encoder that was pretrained on photographs give better skeleton features than one that starts from new weights, and is
it the structure of photographs that does it?
Starts. new: weights as MAE draws them; noise, scrambled, photographs: a stock ViTMAE `config:tiny` at 112 px after 13 passes over 39,000
images of 64 x 64 (benchmarks/photographs.py: batch 64, 1e-3 to 0 along a cosine, crops of 45 to 100 %, mirrored half of the time, 75 %
hidden, normalised pixels), one training each. scrambled has the spectrum and the colours of every photograph and no shapes; noise has
neither.
Skeleton pretraining. none; or open: 30,000 clips seen of the training clips of NW-UCLA, UTD-MHAD, MSR-Action3D and UI-PRMD (Kinect), no
test clip of any, batch 32, the settings of benchmarks/accuracy.py. Every start has the same budget.
Measured, stage A: NW-UCLA (test camera new) and UTD-MHAD (test people new): linear probe, kNN, and fine-tuning on 10 % of the labels
(three draws a seed; the mean of the draws is the number of the seed), seeds 0, 1 and 2 of everything after the vision training. Stage
repeat: NW-UCLA again, all of it, with seeds 3, 4 and 5. Stage B: fine-tuning on all labels of both sets, seeds 0, 1 and 2.
Settings. The learning rate of the skeleton pretraining (8e-3 or 2e-3 for a batch of 256) is chosen for each start, by probes on held-out
people of the training splits after a third of the budget; learning rate and layer decay of the fine-tuning for each start and
pretraining, as in benchmarks/accuracy.py, on held-out people and with 10 % of the labels. Test clips choose nothing. The last epoch
counts.
Answer. The effect is the mean over seeds of (photographs - new), paired by seed, with its standard error, for each measure and set.
"Vision weights help" is said of a measure if the effect is above two standard errors on both sets and in the repetition; "it is the
structure of photographs" if the same holds of photographs - scrambled. Whatever comes out is reported.
Stage parts, exploratory, NW-UCLA, photographs + open: what is carried over (the patch projection alone, four layers of eight, the encoder
without the decoder), and another grid of patches with positions made anew, beside new weights on that grid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any, Literal

from accuracy_cost import show_plan
from accuracy_plan import PRESETS, DataSet, Stage, find_sets
from accuracy_running import Runner, hand_over, is_done, spent, stage_rows
from accuracy_stages import PREPARE, PROBE, Maker
from accuracy_table import with_error

from s2i_hf.runs.provenance import public_command
from s2i_hf.utils.arguments import arg, parse, run_main

STARTS = ("photographs", "new", "scrambled", "noise")
PRETRAININGS = ("none", "open")
OPEN_SETS = ("nw_ucla_xview", "utd_mhad_xsub", "msr_action3d_xsub", "ui_prmd_kinect_xsub")
MEASURED, REPEATED = ("nw_ucla_xview", "utd_mhad_xsub"), ("nw_ucla_xview",)
SEEDS, OTHER_SEEDS, DRAWS = (0, 1, 2), (3, 4, 5), 3
OPEN_CLIPS = 30_000
RATES = (8e-3, 2e-3)  # of the skeleton pretraining
TUNE_CLIPS = {"nw_ucla_xview": 300, "utd_mhad_xsub": 200}  # labelled clips beside those of the held-out people
TUNE_SEED = 100
PARTS = {"patch": "patch_projection", "layers4": "layers=4", "encoder": "encoder"}  # name -> what is carried over
GRID = ("160", "64")  # rows of time, columns of joints, in pixels
ROTATIONS = 3  # of a probe where the test camera is new
WORDS = {"linear_probe": "linear probe", "knn": "kNN", "semi_10": "10 % of the labels", "fine_tune": "all labels"}


@dataclass
class VisionArguments:
    """Settings of the experiment."""

    images: str = arg(help="Parquet file with a row per photograph: image {bytes}.")
    data: str = arg(help="Folder with a sub-folder for each data set.")
    runs: str = arg("runs/vision", "Gets a folder for each stage.")
    stages: tuple[Literal["A", "repeat", "B", "parts"], ...] = arg(
        ("A", "repeat"),
        "A: probes and 10 % of the labels; repeat: NW-UCLA on other seeds; B: all labels; parts: see above.",
    )
    passes: float = arg(13.0, "Passes over the photographs.")
    scale: float = arg(1.0, "Times the clips that everything is trained on.")
    model: str = arg("config:tiny", "config:micro|tiny|small.")
    size: int = arg(112, "Side of the image in pixels.")
    seeds: tuple[int, ...] | None = arg(None, "In place of 0,1,2 and 3,4,5: a part of them, to share the work.")
    max_steps: int | None = arg(None, "Stop every skeleton training after so many steps: a smoke test.")
    max_images: int | None = arg(None, "Photographs used: a smoke test.")
    jobs: int = arg(2, "Stages at a time, a core each.")
    precision: Literal["no", "bf16"] = arg("no", "Of the skeleton trainings; bf16 pays on a CPU that computes in it.")
    cache_dir: str | None = arg(None, "Where converted data is cached.")
    results_csv: str | None = arg(None, "Also append the rows to this table, such as model_cards/results.csv.")
    table: str | None = arg(None, "Write the table here; printed if none.")
    dry_run: bool = arg(False, "Print the plan, and the table of what is finished, but run nothing.")


class VisionMaker(Maker):
    """Makes the stages of the experiment; an arm is a start and a pretraining: `photographs+open`."""

    def __init__(self, arguments: VisionArguments, sets: dict[str, DataSet]) -> None:
        preset = replace(
            PRESETS["cpu"], model=arguments.model, size=arguments.size, precision=arguments.precision, jobs=arguments.jobs,
            universal_clips=OPEN_CLIPS,
        )  # fmt: skip
        super().__init__(preset, sets, Path(arguments.runs), arguments.scale, arguments.max_steps, arguments.cache_dir)
        self.arguments = arguments

    def vision(self, kind: str) -> str:
        """A ViTMAE that has seen such images."""
        settings = self.arguments
        flags = {
            "images": settings.images, "kind": kind, "model": settings.model, "size": settings.size, "passes": settings.passes,
            "max_images": settings.max_images, "output_dir": str(self.folder(kind)),
        }  # fmt: skip
        stage = Stage(
            kind, "benchmarks/photographs.py", "vision", "", kind, 0, flags, (), round(39_000 * settings.passes)
        )
        self.stages.setdefault(kind, stage)
        return kind

    def start(self, start: str, seed: int) -> tuple[dict[str, Any], tuple[str, ...]]:
        """What a training begins with: `--model` and the stages that make it; `photographs.layers4` carries a part over."""
        kind, _, rest = start.partition(".")
        size = {"size": GRID} if rest == "grid" else {"size": self.preset.size} if kind == "new" else {}
        if kind == "new":
            return {"model": self.preset.model, **size}, ()
        need = self.vision(kind)
        if rest and rest != "grid":
            name = f"{start}_seed{seed}"
            flags = {
                "model": str(self.folder(kind)),
                "keep": PARTS[rest],
                "seed": seed,
                "output_dir": str(self.folder(name)),
            }
            stage = Stage(name, "benchmarks/vision_parts.py", "vision", "", start, seed, flags, (need,))
            self.stages.setdefault(name, stage)
            need = name
        return {"model": str(self.folder(need)), **size}, (need,)

    def open_pretraining(self, start: str, seed: int, rate: float | None = None) -> str:
        """On the four sets, with the rate that suits the start; or a third of it with a given rate, for that choice."""
        sets = [self.sets[name] for name in OPEN_SETS]
        flags, needs = self.start(start, seed)
        choices = {}
        if rate is None:
            kind = start.partition(".")[0]
            choices = {
                f"base_lr {one:g}": (
                    {"base_lr": one},
                    tuple(self.tuning(kind, one, self.sets[name]) for name in TUNE_CLIPS),
                )
                for one in RATES
            }
            name, budget = f"pretrain_{start}_seed{seed}", OPEN_CLIPS
        else:
            name, budget, flags = f"tune_{start}_{rate:g}", OPEN_CLIPS // 3, {**flags, "base_lr": rate}
        made = self._pretrain(name, "vision", "mae", seed, sets, 3.1416, budget)
        tried = tuple(one for _, names in choices.values() for one in names)
        stage = self.stages[made]
        self.stages[made] = replace(stage, flags={**stage.flags, **flags}, needs=(*needs, *tried), choices=choices)
        return made

    def tuning(self, start: str, rate: float, one: DataSet) -> str:
        """A probe on held-out people of the training split after a short pretraining at this rate."""
        need, subset = self.open_pretraining(start, TUNE_SEED, rate), f"people_{one.name}"
        flags = {**one.flags, "what": "subset", "clips": min(TUNE_CLIPS[one.name], one.train // 4), "seed": TUNE_SEED}
        self.add(Stage(subset, PREPARE, "", one.name, "", TUNE_SEED, flags))
        return self._probe(
            f"tune_{start}_{rate:g}_{one.name}",
            start,
            need,
            (subset,),
            TUNE_SEED,
            one,
            {"data": str(self.folder(subset))},
            setting="",  # people of the training split: no row of a table
        )

    def encoder(self, arm: str, seed: int, one: DataSet) -> str:
        """What an arm is measured with."""
        start, _, pretraining = arm.rpartition("+")
        if pretraining == "open":
            return self.open_pretraining(start, seed)
        return self.untrained(seed, one) if start == "new" else self.vision(start)

    def _start(self, arm: str, seed: int, one: DataSet) -> tuple[dict[str, Any], tuple[str, ...]]:
        need = self.encoder(arm, seed, one)
        return {"model": str(self.folder(need)), "method": arm, "encoder": _weights(arm)}, (need,)

    def _probe(
        self, name: str, arm: str, need: str, needs: tuple[str, ...], seed: int, one: DataSet, data: Mapping[str, Any],
        setting: str = "linear_probe",
    ) -> str:  # fmt: skip
        views = {"pooling": "part", **({"rotations": ROTATIONS} if one.new_view else {})}
        flags = {
            **data,
            "model": str(self.folder(need)),
            "encoders": _weights(arm),
            **views,
            "seed": seed,
            "method": arm,
            "card": False,
        }
        seen = (one.train + one.test) * views.get("rotations", 1)
        return self.add(Stage(name, PROBE, "probe", one.name, arm, seed, flags, (need, *needs), seen, setting))

    def measured(self, arm: str, seed: int, one: DataSet) -> None:
        """Probe and 10 % of the labels of an arm."""
        self._probe(f"probe_{arm}_{one.name}_seed{seed}", arm, self.encoder(arm, seed, one), (), seed, one, one.flags)
        self.few_labels([arm], seed, [DRAWS * seed + draw for draw in range(DRAWS)], one)

    def all_labels(self, arm: str, seed: int, one: DataSet) -> None:
        """Fine-tuning on all labels, with the settings that were chosen for a tenth of them."""
        self.few_labels([arm], seed, [DRAWS * seed], one)
        few = self.stages[f"labels10_{arm}_{one.name}_seed{DRAWS * seed}"]
        made = self.finetune(arm, seed, one)
        self.stages[made] = replace(self.stages[made], choices=few.choices, needs=few.needs)


def _weights(arm: str) -> str:
    return "untrained" if arm == "new+none" else "pretrained"


def make_plan(arguments: VisionArguments, sets: dict[str, DataSet]) -> list[Stage]:
    """All stages of the experiment, in the order they are begun.

    Raises:
        ValueError: a data set that the experiment needs is not there.
    """
    if lacks := [name for name in OPEN_SETS if name not in sets]:
        raise ValueError(
            f"--data {arguments.data} lacks {', '.join(lacks)}, which the skeleton pretraining is made of."
        )
    maker = VisionMaker(arguments, sets)
    arms = [f"{start}+{pretraining}" for start in STARTS for pretraining in PRETRAININGS]
    for word, seeds, names in (("A", SEEDS, MEASURED), ("repeat", OTHER_SEEDS, REPEATED)):
        for seed in seeds if word in arguments.stages else ():
            for arm in arms if arguments.seeds is None or seed in arguments.seeds else ():
                for name in names:
                    maker.measured(arm, seed, sets[name])
    if "B" in arguments.stages:
        for seed in SEEDS if arguments.seeds is None else arguments.seeds:
            for arm in arms:
                for name in MEASURED:
                    maker.all_labels(arm, seed, sets[name])
    if "parts" in arguments.stages:
        for start in (*(f"photographs.{part}" for part in PARTS), "photographs.grid", "new.grid"):
            maker.measured(f"{start}+open", SEEDS[0], sets[MEASURED[0]])
    return list(maker.stages.values())


Values = dict[tuple[str, str, str], dict[int, float]]  # (measure, set, arm) -> seed -> share


def collect(plan: Sequence[Stage], runs: Path) -> Values:
    """What was measured on test clips; of the draws of labels of a seed, the mean."""
    found: dict[tuple[str, str, str], dict[int, list[float]]] = {}
    for stage in plan:
        if not stage.setting or stage.seed >= TUNE_SEED or not is_done(stage, runs):
            continue
        for row in stage_rows(stage, runs):
            if row["metric"] == "top1":
                seed = stage.seed // DRAWS if row["setting"] == "semi_10" else stage.seed
                found.setdefault((row["setting"], stage.set, stage.arm), {}).setdefault(seed, []).append(row["value"])
    return {key: {seed: mean(values) for seed, values in seeds.items()} for key, seeds in found.items()}


def effect(values: Values, measure: str, name: str, one: str, other: str, seeds: Sequence[int]) -> list[float]:
    """`one` minus `other`, paired by seed; an encoder that no seed changes is compared with every seed of the other."""
    first, second = values.get((measure, name, one), {}), values.get((measure, name, other), {})
    return [first[seed] - second[seed] for seed in seeds if seed in first and seed in second]


def table_text(values: Values) -> str:
    """The answer: a table for each set and group of seeds, and the effects with their standard errors."""
    lines = ["# Do vision weights help?", "", "Top-1 in per cent on test clips: mean ± standard error over seeds."]
    for title, seeds, names in (("Seeds 0, 1, 2", SEEDS, MEASURED), ("Seeds 3, 4, 5", OTHER_SEEDS, REPEATED)):
        for name in names:
            measures = [
                one
                for one in WORDS
                if any(key[:2] == (one, name) and set(seeds) & set(found) for key, found in values.items())
            ]
            if not measures:
                continue
            lines += [
                "",
                f"## {name}, {title.lower()}",
                "",
                "| start | pretraining | " + " | ".join(WORDS[one] for one in measures) + " |",
            ]
            lines += ["|---" * (len(measures) + 2) + "|"]
            arms = sorted({arm for _, one, arm in values if one == name}, key=_order)
            for arm in arms:
                cells = [
                    [value for seed, value in values.get((one, name, arm), {}).items() if seed in seeds]
                    for one in measures
                ]
                if any(cells):
                    start, _, pretraining = arm.rpartition("+")
                    lines.append(
                        f"| {start} | {pretraining} | " + " | ".join(with_error(cell) for cell in cells) + " |"
                    )
            for other in STARTS[1:]:
                for pretraining in PRETRAININGS:
                    found = [
                        effect(values, one, name, f"photographs+{pretraining}", f"{other}+{pretraining}", seeds)
                        for one in measures
                    ]
                    if any(found):
                        shown = " | ".join(with_error(cell) for cell in found)
                        lines.append(f"| photographs - {other} | {pretraining} | {shown} |")
    return "\n".join(lines) + "\n"


def _order(arm: str) -> tuple[int, int, str]:
    start, _, pretraining = arm.rpartition("+")
    return (STARTS.index(start.partition(".")[0]) + 10 * ("." in start), PRETRAININGS.index(pretraining), start)


def vision_weights(arguments: VisionArguments) -> Values:
    """Run the experiment, or say what it would run; returns what was measured.

    Raises:
        ValueError: data that is not there, or stages that failed.
        RunInterrupted: Ctrl-C or SIGTERM; the same command goes on.
    """
    sets, _ = find_sets(Path(arguments.data).expanduser())
    plan, runs = make_plan(arguments, sets), Path(arguments.runs)
    preset = replace(PRESETS["cpu"], model=arguments.model, size=arguments.size, jobs=arguments.jobs)
    lines = show_plan(plan, {one.name for one in plan if is_done(one, runs)}, "cpu", preset, runs, arguments.jobs)
    failed: dict[str, str] = {}
    if arguments.dry_run:
        print("\n".join(lines))
    else:
        print(lines[-1], flush=True)
        runner = Runner(
            plan, runs, jobs=arguments.jobs, device="cpu", pin=True, results_csv=arguments.results_csv,
            report=lambda line: print(line, flush=True),
        )  # fmt: skip
        failed = runner.run().failed
    values = collect(plan, runs)
    hours: dict[str, float] = {}
    for stage in plan:
        hours[stage.kind] = hours.get(stage.kind, 0.0) + spent(stage, runs) / 3600
    shown = ", ".join(f"{kind} {time:.1f}" for kind, time in hours.items() if time)
    text = f"{table_text(values)}\nCore-hours: {sum(hours.values()):.1f} ({shown}).\n\n    {public_command()}\n"
    hand_over(text, arguments.table, failed, len(plan))
    return values


def main() -> None:
    vision_weights(parse(VisionArguments, description=__doc__))


if __name__ == "__main__":
    run_main(main)
