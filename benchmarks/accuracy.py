"""The real benchmark: baseline, untrained, pretrained, fine-tuned, few labels and a supervised peer, on every open data set at hand.

    python benchmarks/accuracy.py --data DIR --dry_run                 # what would run, and how long
    python benchmarks/accuracy.py --data DIR --preset cpu --table      # some two hours on two idle cores
    python benchmarks/accuracy.py --data DIR --preset gpu --table      # ViT-S on one GPU
    python benchmarks/accuracy.py --data DIR --sets nw_ucla_xview --stages pretrain,probe --seeds 0,1,2

DIR has the sub-folders NW-UCLA, UTD-MHAD, MSRAction3D, UTKinect, IRDS and UI-PRMD, or some of them, with raw files; or folders named
like their protocol, made by `s2i convert` (which need no `datasets`). Every stage is one command of this project, in a process and a
folder of its own below --runs. Stop it with Ctrl-C, or kill it; the same command goes on from checkpoints and skips what is finished.
Nothing is chosen on test clips.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from accuracy_cost import show_plan
from accuracy_plan import PRESETS, STAGES, DataSet, Peers, Preset, Stage, Stages, find_sets
from accuracy_running import Runner, hand_over, is_done
from accuracy_stages import make_plan
from accuracy_table import table_text

from s2i_hf.processing.suggestions import did_you_mean
from s2i_hf.runs.provenance import public_command
from s2i_hf.utils.arguments import arg, parse, run_main


@dataclass
class AccuracyArguments:
    """Settings of the benchmark."""

    data: str = arg(help="Folder with a sub-folder for each data set.")
    runs: str = arg("runs/accuracy", "Gets a folder for each stage.")
    preset: Literal["cpu", "gpu"] = arg("cpu", "cpu: tiny at 112 px, two hours on two cores; gpu: small at 224 px.")
    sets: tuple[str, ...] = arg(
        (), "Protocols to measure; if none, all that are found. Pretraining on several takes all."
    )
    stages: tuple[Stages, ...] = arg(STAGES, "What to run; what it needs comes along.")
    seeds: tuple[int, ...] = arg((0,), "Of pretraining, probe, fine-tuning and peer.")
    label_seeds: tuple[int, ...] = arg((0, 1, 2, 3, 4), "Draws of 10 % of the labels.")
    methods: tuple[Literal["mae", "diffmae"], ...] = arg(("mae", "diffmae"), "What is pretrained.")
    label_arms: tuple[str, ...] | None = arg(
        None, "10 % of the labels: mae, diffmae_universal ...; the preset's if none."
    )
    peers: tuple[Peers, ...] | None = arg(
        None,
        "Supervised networks: stgcn, small, and ctrgcn, of CTR-GCN's size: hours a set on a core; the preset's if none.",
    )
    others: tuple[str, ...] = arg(
        ("nw_ucla_xview",), "Sets that are pretrained for on all sets but them, by the first method."
    )
    scale: float = arg(1.0, "Times the clips that everything is trained on: 3 for thrice the time.")
    model: str | None = arg(None, "In place of the preset's: config:micro|tiny|small|base|large.")
    size: int | None = arg(None, "In place of the preset's: side of the image in pixels.")
    max_steps: int | None = arg(None, "Stop every training after so many steps: a smoke test.")
    jobs: int | None = arg(None, "Stages at a time; the preset's if none.")
    pin: bool = arg(True, "With preset cpu, a core of its own for each job; --no-pin where others work too.")
    cache_dir: str | None = arg(None, "Where converted data is cached; the cache of `datasets` if none.")
    results_csv: str | None = arg(None, "Also append the rows to this table, such as model_cards/results.csv.")
    table: str | None = arg(
        None, "Write the table; without a path, model_cards/accuracy.md.", bare="model_cards/accuracy.md"
    )
    dry_run: bool = arg(False, "Print the plan, and write the table of what is finished, but run nothing.")

    def __post_init__(self) -> None:
        for name in ("size", "max_steps", "jobs"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise ValueError(f"--{name} is {value}; expected 1 or more.")
        for name in ("stages", "seeds", "label_seeds", "methods", "peers"):
            values = getattr(self, name)
            if values is None:
                continue
            if not values or len(set(values)) < len(values):
                raise ValueError(
                    f"--{name} {'names nothing' if not values else 'names something twice'}; expected each once."
                )
        if min(*self.seeds, *self.label_seeds, 0) < 0:
            raise ValueError("--seeds and --label_seeds are whole numbers from 0.")
        if not 0 < self.scale < 1000:
            raise ValueError(f"--scale is {self.scale:g}; expected a number above 0, such as 3.")
        if self.model is not None and not self.model.startswith("config:"):
            raise ValueError(
                f"--model is {self.model!r}; expected a size such as config:tiny: both arms start from scratch."
            )

    @property
    def chosen_preset(self) -> Preset:
        """The preset, with what replaces its parts."""
        changes = {
            name: value for name in ("model", "size", "jobs", "peers") if (value := getattr(self, name)) is not None
        }
        return replace(PRESETS[self.preset], **changes)


def planned(arguments: AccuracyArguments) -> tuple[list[Stage], list[DataSet], list[str]]:
    """The stages, the sets that are measured, and the names of those that are not in the data folder.

    Raises:
        ValueError: no data, or a set that is not there.
    """
    found, missing = find_sets(Path(arguments.data).expanduser(), arguments.sets)
    for name in arguments.sets:
        if name not in found:
            hint = did_you_mean(name, found)
            raise ValueError(f"--sets has {name!r}, which is not in {arguments.data}; there: {', '.join(found)}.{hint}")
    for name in arguments.others:
        if name not in found and name != "nw_ucla_xview":
            raise ValueError(f"--others has {name!r}, which is not in {arguments.data}; there: {', '.join(found)}.")
    sets = [one for name, one in found.items() if not arguments.sets or name in arguments.sets]
    plan = make_plan(
        arguments.chosen_preset, sets, list(found.values()), Path(arguments.runs), stages=arguments.stages, seeds=arguments.seeds,
        label_seeds=arguments.label_seeds, methods=arguments.methods, label_arms=arguments.label_arms, others=arguments.others,
        scale=arguments.scale, max_steps=arguments.max_steps, cache_dir=arguments.cache_dir,
    )  # fmt: skip
    return plan, sets, missing


def accuracy(arguments: AccuracyArguments) -> list[Stage]:
    """Run the benchmark, or say what it would run. Returns the plan.

    Raises:
        ValueError: settings or data that do not fit, or stages that failed.
        RunInterrupted: Ctrl-C or SIGTERM; the same command goes on.
    """
    plan, sets, missing = planned(arguments)
    preset, runs = arguments.chosen_preset, Path(arguments.runs)
    if missing:
        print(f"Not in {arguments.data}, and left out: {', '.join(missing)}.")
    done = {stage.name for stage in plan if is_done(stage, runs)}
    lines = show_plan(plan, done, arguments.preset, preset, runs, preset.jobs)
    failed: dict[str, str] = {}
    if arguments.dry_run:
        print("\n".join(lines))
    else:
        _check_device(arguments.preset)
        print(lines[-1], flush=True)
        runner = Runner(
            plan, runs, jobs=preset.jobs, threads=preset.threads, device=arguments.preset, pin=arguments.pin and arguments.preset == "cpu",
            results_csv=arguments.results_csv, report=lambda line: print(line, flush=True),
        )  # fmt: skip
        failed = runner.run().failed
    text = table_text(plan, sets, missing, preset, runs, public_command())
    hand_over(text, arguments.table, failed, len(plan), show=not arguments.dry_run)
    return plan


def _check_device(preset: str) -> None:
    if preset == "gpu":
        import torch

        os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = (
            "1"  # ask the driver without opening the device: stages are forks of this process
        )
        if not torch.cuda.is_available():
            raise ValueError(
                "--preset gpu needs a GPU, and torch sees none here; use --preset cpu, or --dry_run for the plan."
            )


def main() -> None:
    accuracy(parse(AccuracyArguments, description=__doc__))


if __name__ == "__main__":
    run_main(main)
