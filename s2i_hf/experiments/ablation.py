"""Ablations: each variant of a pretraining, as a YAML file names them (`ablation_plan`), becomes a run, a probe and a row of a table.

A row of ablation.csv is written when a run is over; what was killed goes on from its checkpoint when the command is repeated. The number
reported is the accuracy on held-out training subjects, by which settings may be chosen; test clips are looked at only if asked for.
"""

from __future__ import annotations

import gc
import itertools
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout
from torch import nn

from ..data.loading import load_skeletons
from ..data.skeleton_rows import as_rows
from ..evaluation.features import POOLINGS
from ..evaluation.metrics import metric_of
from ..evaluation.probes import Choice, as_text, check_labels, choose, fit_chosen
from ..evaluation.probing import ProbeArguments
from ..models.backbones import untrained_backbone
from ..models.building import encoder_of
from ..processing.image_processing_skeleton import SkeletonProcessor
from ..runs.checkpoints import CHECKPOINTS, SUMMARY, check_same_settings, is_finished
from ..runs.results import read_table, write_table
from ..training.common_arguments import MAY_CHANGE
from ..training.interruption import RunInterrupted
from ..training.pretrain_arguments import PretrainArguments
from ..training.pretraining import MODEL_AND_LOSS, pretrain, start
from ..training.schedule import fit_batch
from ..utils.arguments import arg, several
from .ablation_plan import AblationPlan, Variant, read_plan, run_name, settings_digest
from .ablation_report import write_report

_MEASURED = (("validation", "test"), ("", "_untrained"), ("top1", "mean_class"))  # split, encoder, metric
MEASURES = tuple(f"{split}{encoder}_{metric}" for split, encoder, metric in itertools.product(*_MEASURED))
COLUMNS: tuple[str, ...] = (
    "variant", "seed", "changes", *MEASURES, "metric", "chosen", "loss", "steps", "seconds", "command", "commit",
    "hardware", "settings_sha256",
)  # fmt: skip
FAILED_COLUMNS = ("variant", "seed", "changes", "error")


@dataclass
class AblateArguments:
    """Settings of `s2i ablate`; the runs themselves are described by the YAML file."""

    config: str = arg(help="YAML file with base, seeds, and vary, grid or variants; see `s2i configs ablations/masks`.")
    output_dir: str | None = arg(None, "Gets runs, ablation.csv, table.md, plot.png; runs/<name of the file> if none.")
    data: str | None = arg(None, "In place of `data` of the base.")
    data_dir: str | None = arg(None, "In place of `data_dir` of the base.")
    cache_dir: str | None = arg(None, "In place of `cache_dir` of the base.")
    report: Literal["validation", "both"] = arg(
        "validation", "Accuracy on held-out training subjects; both: on the test clips beside it, when all is chosen."
    )
    device: str = arg("auto", "Device of the probe: cpu, cuda ...; auto takes an accelerator if there is one.")

    @property
    def folder(self) -> Path:
        """Where everything goes."""
        return Path(self.output_dir or f"runs/{Path(self.config).stem}")


def measure(
    probe: ProbeArguments,
    encoder: nn.Module,
    processor: SkeletonProcessor,
    dataset: Mapping[str, Any],
    seed: int,
    with_test: bool = False,
) -> tuple[Choice, dict[str, float] | None]:
    """Probe an encoder, a `ViTModel`, on held-out training subjects, and on the test clips only if asked to.

    The numbers are those of `probing.probe_run` with these settings, of which a plan takes neither `streams` nor `to_layout`. Of the
    test split nothing but the camera numbers is read without `with_test`: they say whether the protocol asks for an unseen camera.

    Returns:
        What was chosen on the validation folds; top1, top5 and mean_class on the test clips, None if they were not looked at.

    Raises:
        ValueError: clips without labels, or fewer than two classes.
    """
    train, test = as_rows(dataset["train"]), as_rows(dataset["test"])
    views = probe.views(train, test, seed, probe.validation)
    poolings = POOLINGS if probe.pooling == "auto" else (probe.pooling,)
    check_labels(train.labels, test.labels if with_test else None)
    features = probe.features(encoder, views.rows, processor, poolings=poolings)
    num_classes = len(train.class_names) or int(train.labels.max()) + 1
    choice = choose(probe.settings[0], features, views.labels, views.folds, num_classes, metric_of(train.name))
    tested = None
    if with_test:
        asked = probe.features(encoder, test, processor, poolings=poolings)
        tested = fit_chosen(choice, features, views.labels, asked, test.labels, num_classes).metrics
    return choice, tested


@dataclass
class Ablation:
    """What `ablate` found: rows of ablation.csv, rows of failed.csv, and where they are."""

    folder: Path
    rows: list[dict[str, Any]]
    failed: list[dict[str, Any]]


class _Runner:
    """Runs and probes, with the data and the untrained encoders of the last ones at hand."""

    def __init__(self, arguments: AblateArguments, plan: AblationPlan) -> None:
        self.plan, self.folder, self.with_test = plan, arguments.folder, arguments.report == "both"
        self.probe = plan.probing(arguments.device)
        self.build, self.loss = MODEL_AND_LOSS[plan.method]
        self._data: tuple[str, Mapping[str, Any]] = ("", {})
        self._untrained: dict[tuple[str, ...], tuple[Choice, dict[str, float] | None]] = {}

    def dataset(self, settings: PretrainArguments) -> Mapping[str, Any]:
        options = settings.data_options
        key = json.dumps(options, sort_keys=True, default=str)
        if self._data[0] != key:
            self._data = (key, load_skeletons(**options))
        return self._data[1]

    def run(self, variant: Variant, seed: int) -> dict[str, Any]:
        """Pretrain, or go on, or load what is finished; then probe. Returns the row."""
        settings = self.plan.pretraining(variant, seed, self.folder)
        run_dir = settings.run_dir
        if is_finished(run_dir):
            dataset = self.dataset(settings)
            as_trained, _ = fit_batch(settings, len(as_rows(dataset["train"])), int(os.environ.get("WORLD_SIZE", "1")))
            check_same_settings(run_dir, asdict(as_trained), MAY_CHANGE)
            model = self.build(str(run_dir), **settings.model_options)
            processor = SkeletonProcessor.from_pretrained(run_dir)
            summary = json.loads((run_dir / SUMMARY).read_text(encoding="utf-8"))
        else:
            accelerator = start(settings)
            dataset = self.dataset(settings)
            test = as_rows(dataset["test"]).labels if self.with_test else None
            data = ", ".join(several(settings.data))
            check_labels(as_rows(dataset["train"]).labels, test, data)  # now, not after the pretraining
            layouts = sorted(set(as_rows(dataset["train"]).layouts))
            layout = layouts[0] if len(layouts) == 1 else None
            processor = SkeletonProcessor(layout=layout, **settings.processor_options)
            model = self.build(settings.model, **settings.model_options)
            summary = pretrain(settings, model, processor, dataset, compute_loss=self.loss, accelerator=accelerator)
        began = time.perf_counter()
        trained = measure(self.probe, encoder_of(model), processor, dataset, seed, self.with_test)
        # variants that share image and architecture share the encoder before pretraining
        untrained = encoder_of(untrained_backbone(model, seed))
        key = (self._data[0], str(seed), processor.to_json_string(), untrained.config.to_json_string())
        if key not in self._untrained:
            self._untrained[key] = measure(self.probe, untrained, processor, dataset, seed, self.with_test)
        row: dict[str, Any] = {"variant": variant.name, "seed": seed, "changes": variant.shown}
        for name, (choice, tested) in (("", trained), ("_untrained", self._untrained[key])):
            for split, values in (("validation", choice.validation), ("test", tested)):
                for metric in ("top1", "mean_class"):
                    row[f"{split}{name}_{metric}"] = "" if values is None else round(values[metric], 6)
        seconds = round(summary["seconds"] + time.perf_counter() - began, 1)
        row |= {"metric": metric_of(as_rows(dataset["train"]).name), "chosen": as_text(trained[0].chosen)}
        row |= {"loss": round(summary["loss"], 6), "steps": summary["steps"], "seconds": seconds}
        return {**row, **self.probe.origin, "settings_sha256": settings_digest(self.plan, settings)}


def ablate(arguments: AblateArguments, report: Callable[[str], None] = print) -> Ablation:
    """Run what is not done yet, and write ablation.csv, failed.csv, table.md and plot.png after each run.

    A variant that fails is recorded with its reason, and the rest goes on; the next call tries it again.

    Raises:
        ValueError: a YAML file that names no such runs, or an output folder with rows of other settings or in use.
        RunInterrupted: Ctrl-C or SIGTERM; the run that was going on left a checkpoint.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ValueError("An ablation runs in one process; start it with python, not with a launcher.")
    plan = read_plan(arguments.config, data=arguments.data, data_dir=arguments.data_dir, cache_dir=arguments.cache_dir)
    folder = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", blocking=False):
            return _ablate(arguments, plan, folder, report)
    except Timeout:
        raise ValueError(f"Another ablation works in {folder}; wait for it, or choose another --output_dir.") from None


def _ablate(arguments: AblateArguments, plan: AblationPlan, folder: Path, report: Callable[[str], None]) -> Ablation:
    rows = _read_rows(folder / "ablation.csv")
    found = Ablation(folder, rows, [])
    runs = [(variant, seed) for seed in plan.seeds for variant in plan.variants]  # a table of all variants comes early
    settings = {(variant.name, seed): plan.pretraining(variant, seed, folder) for variant, seed in runs}
    digests = {key: settings_digest(plan, one) for key, one in settings.items()}
    order = list(digests)
    for row in rows:
        if digests.get(_key(row), row["settings_sha256"]) != row["settings_sha256"]:
            raise ValueError(
                f"{folder / 'ablation.csv'} has {row['variant']!r}, seed {row['seed']}, with other settings than {plan.title}; "
                "choose another --output_dir."
            )
    if not any((folder / name).exists() for name in ("ablation.csv", "failed.csv")):
        write_table(folder / "ablation.csv", COLUMNS, [])
    runner = _Runner(arguments, plan)
    done = {_key(row) for row in rows if not runner.with_test or row["test_top1"] != ""}
    for number, (variant, seed) in enumerate(runs, start=1):
        where = f"[{number}/{len(runs)}] {variant.name}, seed {seed}"
        if (variant.name, seed) in done:
            report(f"{where}: done before")
            continue
        try:
            row = runner.run(variant, seed)
        except KeyboardInterrupt:  # in the run, which leaves a checkpoint, or in its probe
            raise RunInterrupted(f"Stopped in {where}; repeat the command to go on from there.") from None
        except Exception as error:  # one variant of a night's work: say what was wrong with it and do the rest
            if os.environ.get("S2I_TRACEBACK"):
                raise
            kind = "" if isinstance(error, ValueError | OSError | ImportError) else f"{type(error).__name__}: "
            text = f"{kind}{' '.join(str(error).split())}"
            found.failed.append({"variant": variant.name, "seed": seed, "changes": variant.shown, "error": text})
            report(f"{where}: failed: {text}")
        else:
            known = {_key(one): one for one in [*found.rows, row]}
            # those of an older plan at the end
            found.rows = [known[key] for key in dict.fromkeys([*order, *known]) if key in known]
            write_table(folder / "ablation.csv", COLUMNS, found.rows)
            shutil.rmtree(folder / run_name(variant, seed) / CHECKPOINTS, ignore_errors=True)  # the row is the result
            report(
                f"{where}: validation {row['metric']} {100 * row['validation_' + row['metric']]:.1f} % (untrained "
                f"{100 * row['validation_untrained_' + row['metric']]:.1f} %), loss {row['loss']:.4f}, {row['seconds']:.0f} s"
            )
        gc.collect()
        write_table(folder / "failed.csv", FAILED_COLUMNS, found.failed)
        write_report(folder, plan, found.rows, found.failed)
    write_table(folder / "failed.csv", FAILED_COLUMNS, found.failed)
    if missing := write_report(folder, plan, found.rows, found.failed):
        report(missing)
    return found


def _key(row: Mapping[str, Any]) -> tuple[str, int]:
    return row["variant"], row["seed"]


def _read_rows(path: Path) -> list[dict[str, Any]]:
    """Rows of ablation.csv, numbers as numbers; an empty list if there is none. Raises ValueError if it is another table."""
    try:
        rows = read_table(path, COLUMNS)
    except ValueError:
        raise ValueError(f"{path} is no table of this ablation; move it, or choose another --output_dir.") from None
    for row in rows:
        row.update(seed=int(row["seed"]), steps=int(row["steps"]))
        row.update({name: float(row[name]) for name in (*MEASURES, "loss", "seconds") if row[name] != ""})
    return rows
