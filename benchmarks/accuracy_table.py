"""The table of the accuracy benchmark: a line for each data set, from the rows that its stages measured."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from accuracy_plan import AUTHORS_EPOCHS, AUTHORS_REPEAT, NEW_VIEW, SETS, DataSet, Preset, Stage
from accuracy_running import is_done, stage_rows
from accuracy_stages import PROBE_NEW_VIEW

from s2i_hf.evaluation.metrics import metric_of
from s2i_hf.hub.markdown import markdown_table
from s2i_hf.hub.result_pages import standard_error
from s2i_hf.runs.checkpoints import SUMMARY

COLUMNS = (
    "raw joints", "untrained", "pretrained", "10 % labels, new weights", "10 % labels, pretrained", "all labels, new weights",
    "all labels, pretrained", "graph network",
)  # fmt: skip
ARM_COLUMNS = ("probe", "10 % of the labels", "all labels")
_BEST_ARMS = ("mae_universal", "mae", "diffmae_universal", "diffmae")  # the first of these stands for "pretrained"
_METHODS = {"mae": "MAE", "diffmae": "DiffMAE"}

Values = dict[
    tuple[str, str, str], dict[int, float]
]  # (word, set, arm) -> seed -> share; of kNN the word is "knn_<word>"


def arm_name(arm: str) -> str:
    """`diffmae_universal` as a reader says it."""
    method, _, origin = arm.partition("_")
    return " ".join(word for word in (_METHODS.get(method, method), origin) if word)


def collect(plan: Sequence[Stage], runs: Path) -> tuple[Values, dict[str, list[dict[str, Any]]]]:
    """What the finished stages measured, and their rows by word."""
    values: Values = {}
    rows_of: dict[str, list[dict[str, Any]]] = {}
    for stage in plan:
        if not stage.setting or not is_done(stage, runs):
            continue
        metric = metric_of(stage.set)
        for row in stage_rows(stage, runs):
            if row["metric"] == metric:
                word = stage.word if row["setting"] == stage.setting else f"{row['setting']}_{stage.word}"
                values.setdefault((word, stage.set, stage.arm), {})[stage.seed] = float(row["value"])
                rows_of.setdefault(stage.word, []).append(row)
    return values, rows_of


def with_error(values: Collection[float]) -> str:
    """Per cent, of several seeds or draws as mean and standard error; "" if there is nothing."""
    error = f" ± {100 * standard_error(list(values)):.1f}" if len(values) > 1 else ""
    return f"{100 * mean(values):.1f}{error}" if values else ""


def shown(found: Mapping[int, float] | None) -> str:
    """The same, of seed -> share."""
    return with_error(list(found.values()) if found else [])


def line_of(name: str, values: Values) -> dict[str, str]:
    """The cells of a data set; what is pretrained is the same arm in all of them."""
    known = {arm for _, one, arm in values if one == name}
    arm = next((arm for arm in _BEST_ARMS if arm in known), "")
    cells = (
        _both(values, "baseline", name, "raw_joints"), _both(values, "untrained", name, "untrained"), _both(values, "probe", name, arm),
        shown(values.get(("labels10", name, "scratch"))), shown(values.get(("labels10", name, arm))),
        shown(values.get(("finetune", name, "scratch"))), shown(values.get(("finetune", name, arm))),
        "; ".join(filter(None, (shown(values.get(("peer", name, "stgcn"))), _named("large", values.get(("peer", name, "ctrgcn")))))),
    )  # fmt: skip
    return dict(zip(COLUMNS, cells, strict=True))


def _named(word: str, found: Mapping[int, float] | None) -> str:
    return f"{word} {shown(found)}" if found else ""


def arm_lines(name: str, values: Values) -> list[tuple[str, ...]]:
    """A line for each arm that was pretrained: `ARM_COLUMNS`, after the set and the name of the arm."""
    arms = {arm for word, one, arm in values if one == name and word in ("probe", "labels10", "finetune")}
    return [
        (name, arm_name(arm), _both(values, "probe", name, arm), shown(values.get(("labels10", name, arm))) + _ahead(values, name, arm),
         shown(values.get(("finetune", name, arm))))
        for arm in sorted(arms, key=lambda arm: (arm.startswith("diffmae"), arm)) if arm not in ("scratch", "ctrgcn")
    ]  # fmt: skip


def _both(values: Values, word: str, name: str, arm: str) -> str:
    """A linear probe with the kNN behind a slash."""
    linear, near = values.get((word, name, arm)), values.get((f"knn_{word}", name, arm))
    return f"{shown(linear)} / {shown(near)}" if near else shown(linear)


def _ahead(values: Values, name: str, arm: str) -> str:
    """In how many draws of labels the arm beats the one from scratch."""
    scratch, other = values.get(("labels10", name, "scratch"), {}), values.get(("labels10", name, arm), {})
    draws = sorted(set(scratch) & set(other))
    return f" (ahead in {sum(other[draw] > scratch[draw] for draw in draws)} of {len(draws)})" if draws else ""


def tables_text(sets: Sequence[DataSet], values: Values) -> str:
    """A line for each data set, and a line for each arm on each of them."""
    lines = [(one.name, f"{one.train} / {one.test}", *line_of(one.name, values).values()) for one in sets]
    arms = [line for one in sets for line in arm_lines(one.name, values)]
    tables = [markdown_table(("protocol", "train / test", *COLUMNS), lines)]
    if arms:
        tables += ["Every pretraining:", markdown_table(("protocol", "pretraining", *ARM_COLUMNS), arms)]
    return "\n\n".join(tables)


def table_text(
    plan: Sequence[Stage], sets: Sequence[DataSet], missing: Sequence[str], preset: Preset, runs: Path, command: str
) -> str:
    """The whole page, as Markdown.

    Args:
        plan: All stages, finished or not.
        sets: The lines; missing: sets that were not in the data folder.
        preset: What was spent.
        runs: Parent of the run folders.
        command: Of the benchmark.
    """
    values, rows_of = collect(plan, runs)
    rows = [row for found in rows_of.values() for row in found]
    done = sum(is_done(stage, runs) for stage in plan)
    lines = [
        "# Accuracy on the open data sets", "",
        f"Test accuracy in per cent, {preset.model.removeprefix('config:')} model at {preset.size} x {preset.size} pixels, without",
        "vision weights. Written by `benchmarks/accuracy.py`; one line a data set. ± is the standard error over seeds or draws.", "",
        tables_text(sets, values), "", *_reading(preset), "",
    ]  # fmt: skip
    if done < len(plan):
        lines += [f"{done} of {len(plan)} stages are finished; the others are not in the table.", ""]
    if missing:
        lines += [f"Not in the data folder: {', '.join(missing)}.", ""]
    lines += _chosen(plan, runs)
    lines += _supervised(plan, values, runs)
    machines = sorted({row["hardware"] for row in rows})
    if machines:
        commits = ", ".join(sorted({row["commit"] for row in rows}))
        lines += [f"Measured on {'; '.join(machines)}. Commits: {commits}.", ""]
    lines += ["## Commands", "", "All of it:", "", f"    {command}", ""]
    for word, found in rows_of.items():
        lines += [
            f"{word}, the first of {len({row['command'] for row in found})}:",
            "",
            f"    {found[0]['command']}",
            "",
        ]
    return "\n".join(lines).rstrip() + "\n"


def _reading(preset: Preset) -> list[str]:
    new, views = ", ".join(name for name, (_, how) in SETS.items() if how is NEW_VIEW), PROBE_NEW_VIEW["rotations"]
    grid = "; ".join(", ".join(f"{key} {value:g}" for key, value in setting.items()) for setting in preset.grid)
    return [
        "- **raw joints**: linear probe / kNN of the joints alone; no network. **untrained**: of an encoder before its first step.",
        "- **pretrained**: the same of MAE universal, where there is one. MAE, DiffMAE: pretrained on the training clips of the set;",
        "  universal: on those of all sets; others: on those of all sets but this one. No test clip of any set is pretrained on.",
        "- **all labels**: fine-tuned, last epoch, tested once. All arms have equal steps, batch, augmentation, head and learning rates.",
        "- **10 % labels**: mean over draws of the labels, stratified, the same draws in every arm. Each arm takes the best of one grid",
        f"  ({grid}),",
        "  tried on people of the training split that are held out, with as many labelled clips; their labels serve that choice alone.",
        "  Pretraining saw all training clips, without labels.",
        "- **graph network**: a compact graph network (see `benchmarks/peers`) trained from scratch on the same split; its last epoch.",
        f"  It takes every clip {preset.peer_epochs * preset.peer_repeat} times (times --scale). Large: of the size and kind of CTR-GCN,",
        f"  with its authors' recipe; it takes every clip of NW-UCLA {AUTHORS_EPOCHS * AUTHORS_REPEAT} times, as theirs does, and of",
        "  another set as many clips as our fine-tuning, also with a tenth of the labels.",
        "- Settings of the probes are chosen on held-out training people. Nothing is chosen on test clips.",
        f"- Where the test camera is new ({new}), features of every encoder, trained or not, are the mean over {views} views of a",
        f"  clip, rotated all around the vertical; raw joints are fitted on these {views} views.",
    ]


def _supervised(plan: Sequence[Stage], values: Values, runs: Path) -> list[str]:
    """The supervised networks: accuracy, and what they cost by the summaries of finished stages; of a set and a network one line."""
    lines: dict[tuple[str, str], tuple[str, ...]] = {}
    for stage in plan:
        path, key = runs / stage.name / SUMMARY, (stage.set, stage.arm)
        if stage.word != "peer" or key in lines or not is_done(stage, runs) or not path.is_file():
            continue
        cost = json.loads(path.read_text(encoding="utf-8")).get("cost")
        if cost:
            lines[key] = (
                *key, shown(values.get(("labels10", *key))), shown(values.get(("peer", *key))), str(stage.clips),
                f"{cost['parameters'] / 1e6:.2f} M", f"{cost['flops'] / 1e6:.0f} M",
                f"{cost['train_clips_per_second']:.0f} / {cost['test_clips_per_second']:.0f}",
            )  # fmt: skip
    head = (
        "protocol", "network", "10 % of the labels", "all labels", "clips seen", "parameters", "FLOPs a clip", "clips/s training / testing",
    )  # fmt: skip
    return ["## Supervised networks", "", markdown_table(head, list(lines.values())), ""] if lines else []


def _chosen(plan: Sequence[Stage], runs: Path) -> list[str]:
    lines: list[str] = []
    told: set[tuple[str, str]] = set()
    for stage in plan:
        path = runs / "chosen" / f"{stage.name}.json"
        if not stage.choices or (stage.set, stage.arm) in told or not path.is_file():
            continue
        told.add((stage.set, stage.arm))
        choice = json.loads(path.read_text(encoding="utf-8"))
        tried = "; ".join(f"{label}: {100 * value:.1f}" for label, value in choice["validation_top1"].items())
        lines.append(f"| {stage.set} | {arm_name(stage.arm)} | {choice['chosen']} | {tried} |")
    head = [
        "## Chosen for 10 % of the labels",
        "",
        "| protocol | arm | chosen | top-1 on held-out people |",
        "|---|---|---|---|",
    ]
    return [*head, *lines, ""] if lines else []
