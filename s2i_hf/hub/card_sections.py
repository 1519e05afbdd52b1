"""The facts of a model card, section by section: a run folder in, rows and numbers out. The words are in model_cards/.

A number that no file of the run holds is not measured, and is not here.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from ..models.model_cost import model_cost
from ..models.vision_weights import is_vision
from ..processing.augmentation import Augmentation
from ..processing.layouts import BUILT_IN
from ..processing.masking import MASKS, describe_mask, ratio_range
from ..protocols import DATASETS, PROTOCOLS, Dataset
from ..runs.provenance import public_command
from ..runs.results import ENCODERS
from ..runs.run_folder import RunFolder, hub_id
from .markdown import is_path, markdown_table, per_cent, plain, render, show, words

METRIC_NAMES = {"top1": "top-1", "top5": "top-5", "mean_class": "mean class"}
# What can be had without learned features: joints centred, 16 frames and their velocity, and the classifier alone, measured on the
# files that the authors publish, view 3 as test set (1-NN, linear, RBF kernel; top-1).
_BASELINES = {("nw_ucla", "xview"): {"1-NN": 0.571, "linear": 0.569, "RBF kernel": 0.668}}
_MIXTURE_KEYS = ("sources", "duplicates", "tests_that_train", "held_out")
_DAMAGE = re.compile(r"(drop_joints|crop_time)_([\d.]+)_(\w+)")
_UNITS = {"m": "metres", "px": "pixels", "normalized": "normalised coordinates"}
_WEAKEST = 5  # classes that a card names

Row = tuple[object, ...]


def render_run(template: str, run: RunFolder) -> str:
    """A template of model_cards/ filled from a run folder; it calls the functions below for what it shows."""
    functions = (
        cost_rows, damage_table, data_facts, describe_mask, described_data, fusion_rows, known_datasets, layout_code, loss_table,
        origin_name, probe_results, probed_classes, ratio_range, source_rows, standard_errors, start_command, test_rows, unit_words,
        versions,
    )  # fmt: skip
    augmentation_keys = [field.name for field in fields(Augmentation)]
    named = {function.__name__: function for function in functions}
    return render(template, run=run, augmentation_keys=augmentation_keys, masks=MASKS, **named)


# -- data --------------------------------------------------------------------------------------------------------------


def described_data(run: RunFolder) -> list[tuple[str, dict[str, Any]]]:
    """What it was trained and probed on, as data.json describes it, each once: purpose and facts."""
    described = [("fine-tuning" if run.is_finetuned else "pretraining", run.data)] if run.data else []
    for data in (entry.get("data") for entry in run.per_class.values()):
        if data and data not in [seen for _, seen in described]:
            described.append(("probe", data))
    return described


def data_facts(data: Mapping[str, Any], prefix: str = "") -> list[Row]:
    """Leaves of data.json as rows; long lists become their length. What was mixed has tables of its own."""
    rows: list[Row] = []
    for key, value in data.items():
        name = f"{prefix}{words(str(key))}"
        if not prefix and key in _MIXTURE_KEYS:
            continue
        if isinstance(value, Mapping):
            rows += data_facts(value, f"{name}, ")
        elif isinstance(value, list) and len(value) > 6:
            shown = [*map(str, value[:20]), *(["..."] if len(value) > 20 else [])]
            rows.append((name, f"{len(value)}: {plain(', '.join(shown))}"))
        elif value is not None and not is_path(value):
            rows.append((name, f"`{value}`" if "sha256" in str(key) or "hash" in str(key) else plain(show(value))))
    return rows


def source_rows(sources: Mapping[str, Mapping[str, Any]]) -> list[Row]:
    """A line for each of the data sets that were mixed."""
    return [
        (
            name,
            f"{facts['clips']:,}",
            f"{facts['share']:.1%}",
            ", ".join(facts["layouts"]),
            facts["subjects"] or "not known",
        )
        for name, facts in sources.items()
    ]


def layout_code(run: RunFolder) -> str:
    """The argument by which code says the joint format, of a model that has none of its own: a name that everybody knows, or `layout`."""
    names = run.data.get("layouts") or ["kinect_v2"]
    if run.processor.get("layout"):
        return ""
    return next((f', layout="{name}"' for name in names if name in BUILT_IN), ", layout=layout")


def unit_words(run: RunFolder) -> str:
    """What joints are given in, as words: "metres", if every joint format it learned from is known to be."""
    names = [own] if (own := run.processor.get("layout")) else run.data.get("layouts") or ["kinect_v2"]
    units = [
        name.get("unit", "m") if isinstance(name, Mapping) else name in BUILT_IN and BUILT_IN[name].unit
        for name in names
    ]
    found = {_UNITS.get(str(unit), "the unit of their joint format") for unit in units}
    return found.pop() if len(found) == 1 else "the unit of their joint format"


def known_datasets(run: RunFolder) -> list[Dataset]:
    """The data sets that it learned from or was tested on, as far as they are known ones."""
    names = [*str(run.data.get("name") or "").split(" + "), *run.per_class, str(run.fusion.get("protocol"))]
    rules = [PROTOCOLS[name] for name in names if name in PROTOCOLS]
    return [DATASETS[name] for name in dict.fromkeys(rule.dataset for rule in rules) if name != "synthetic"]


# -- model -------------------------------------------------------------------------------------------------------------


def origin_repository(run: RunFolder) -> str | None:
    """Where the folder that the weights came from was pushed to; None if it was not, or is not here."""
    folder = run.origin_folder
    return RunFolder(folder).repository if folder else None


def origin_name(run: RunFolder) -> tuple[str, bool]:
    """What the weights started from, as readers elsewhere can find it, and whether they can: a repository, or the name of a run."""
    public = origin_repository(run) or (run.origin if hub_id(run.origin) or is_vision(run.origin) else None)
    return (public, True) if public else (Path(run.origin).name, False)


def loss_table(run: RunFolder, columns: int = 6) -> str:
    """Some losses from the first to the last."""
    count = min(columns, len(run.metrics))
    picked = [run.metrics[round(index * (len(run.metrics) - 1) / max(count - 1, 1))] for index in range(count)]
    losses = ("loss", *(f"{row['loss']:.4f}" for row in picked))
    return markdown_table(("step", *(str(row["step"]) for row in picked)), [losses])


def cost_rows(run: RunFolder) -> list[Row]:
    """Parameters, FLOPs and measured speed."""
    cost, rows = model_cost(run.config), list[Row]()
    phase = "training" if run.is_finetuned else "pretraining"
    if run.is_finetuned:
        if parameters := run.summary.get("parameters") or run.start.get("parameters"):
            rows.append(("parameters", f"{parameters / 1e6:.2f} M"))
        if cost:
            rows.append(("FLOPs, one clip, forward", f"{cost['encoder_flops'] / 1e9:.3g} G"))
    elif cost:
        rows.append(("parameters of the encoder", f"{cost['encoder_parameters'] / 1e6:.2f} M"))
        rows.append(("FLOPs of the encoder, one clip, every patch", f"{cost['encoder_flops'] / 1e9:.3g} G"))
        if "parameters" in cost:
            rows.append(("parameters with the decoder", f"{cost['parameters'] / 1e6:.2f} M"))
            rows.append(("FLOPs of pretraining, one clip, forward", f"{cost['pretraining_flops'] / 1e9:.3g} G"))
    speeds = sorted(row["clips_per_second"] for row in run.metrics if row.get("clips_per_second"))
    if speeds or not run.is_finetuned:
        device, processes = run.start.get("device"), run.start.get("num_processes") or 1
        where = f" on {device}" if device else ""
        where += f", {processes} processes" if processes > 1 else ""
        speed = f"{speeds[len(speeds) // 2]:.0f}" if speeds else "not measured"
        rows.append((f"clips a second in {phase}{where} (median)", speed))
    if run.summary.get("seconds"):
        rows.append((phase, f"{run.summary['seconds'] / 60:.1f} minutes"))
    if measured := run.cost.get("clips_per_second"):
        threads = f"{run.cost['threads']} thread{'s' if run.cost['threads'] > 1 else ''}"
        how = f"batch {run.cost['batch_size']}, {run.cost['precision']}, {threads}, {run.cost['hardware']}"
        rows.append((f"clips a second, forward, {how}", f"{measured['model']:.0f}"))
    return rows


# -- results -----------------------------------------------------------------------------------------------------------


def is_damaged(setting: str) -> bool:
    """Whether a row of results was measured on damaged clips, and so is no result on the test set."""
    return bool(_DAMAGE.search(setting))


def probe_results(run: RunFolder) -> list[dict[str, Any]]:
    """What was probed, protocol by protocol: counts of clips, a table with a line for each setting, encoder and seed, and baselines."""
    groups: dict[tuple[str, str], dict[tuple[Any, ...], dict[str, float]]] = {}
    clips: dict[tuple[str, str], set[tuple[int, int]]] = {}
    for row in run.results:
        if not is_damaged(row["setting"]):  # those have a table of their own
            group, encoder = (row["dataset"], row["protocol"]), row["encoder"]
            place = row["setting"] != "linear_probe", row["setting"], [*ENCODERS, encoder].index(encoder), row["seed"]
            groups.setdefault(group, {}).setdefault((*place, encoder, row["method"]), {})[row["metric"]] = row["value"]
            clips.setdefault(group, set()).add((row["train_clips"], row["test_clips"]))
    found = []
    for group, lines in groups.items():
        metrics = [metric for metric in METRIC_NAMES if any(metric in values for values in lines.values())]
        rows = []
        for (_, setting, _, seed, encoder, _), values in sorted(lines.items(), key=lambda item: item[0][:4]):
            shown = f"**{words(encoder)}**" if encoder == "pretrained" else words(encoder)
            cells = (per_cent(values[metric]) if metric in values else "not measured" for metric in metrics)
            rows.append((words(setting), shown, *cells, seed))
        header = ("setting", "encoder", *(f"{METRIC_NAMES[metric]} %" for metric in metrics), "seed")
        facts = {"clips": sorted(clips[group]), "header": header, "rows": rows, "baselines": _BASELINES.get(group)}
        found.append({"dataset": group[0], "protocol": group[1], **facts})
    return found


def test_rows(run: RunFolder) -> list[Row]:
    """What a fine-tuned model was tested on: a line for each protocol, encoder, count of clips and seed."""
    lines: dict[Row, dict[str, float]] = {}
    for row in run.results:
        if row["setting"] == run.settings.get("setting"):
            names = (f"{row['dataset']} {row['protocol']}", words(row["setting"]), words(row["encoder"]))
            line = (*names, f"{row['train_clips']:,}", f"{row['test_clips']:,}", row["seed"])
            lines.setdefault(line, {})[row["metric"]] = row["value"]
    return [
        (*line[:-1], *(per_cent(found[name]) if name in found else "" for name in METRIC_NAMES), line[-1])
        for line, found in lines.items()
    ]


def probed_classes(run: RunFolder) -> list[dict[str, Any]]:
    """The weakest classes of each protocol in per_class.json, with the setting and what else was noted of it."""
    encoder = "untrained" if run.is_finetuned and run.starts_untrained else "pretrained"
    found = []
    for protocol, entry in run.per_class.items():
        settings = entry.get("encoders", {}).get(encoder, {})
        usual = "linear_probe" if "linear_probe" in settings else next(iter(settings), None)
        setting = run.settings.get("setting") if run.is_finetuned else usual
        if values := settings.get(setting):
            rows = _weakest(values, entry["class_names"])
            found.append({**values, "protocol": protocol, "setting": setting, "weakest": rows})
    return found


def _weakest(values: Mapping[str, Any], names: list[str]) -> list[Row]:
    """Class, accuracy and what it is most often taken for, the weakest first."""
    rows: list[Row] = []
    measured = sorted((share, index) for index, share in enumerate(values["accuracy"]) if share is not None)
    for share, index in measured[:_WEAKEST]:
        wrong = [(count, -other) for other, count in enumerate(values["confusion"][index]) if other != index and count]
        count, other = max(wrong, default=(0, 0))
        mistaken = f"{plain(names[-other])} ({count} of {values['test_clips'][index]})" if count else "nothing"
        rows.append((plain(names[index]), per_cent(share), mistaken))
    return rows


def damage_table(found: Mapping[str, Mapping[str, float]]) -> str:
    """A Markdown table of damages (name -> metrics, 0 to 1; the intact clips first) in per cent, and how much top-1 each of them costs."""
    whole = next(iter(found.values()))["top1"]
    rows = [
        (_damage_words(name), *_metrics(values), "" if name == "intact" else per_cent(whole - values["top1"]))
        for name, values in found.items()
    ]
    return markdown_table(("test clips", "top-1 %", "mean class %", "top-5 %", "lost top-1"), rows)


def _damage_words(name: str) -> str:
    """ "drop_joints_10_zero" in words: "10 % of the joints lost, at zero"."""
    if not (found := _DAMAGE.fullmatch(name)):
        return words(name)
    kind, share, how = found.groups()
    how = {"zero": "at zero", "missing": "filled", "random": "random window"}.get(how, f"{how} stays")
    return f"{share} % of the {'joints' if kind == 'drop_joints' else 'frames'} lost, {how}"


def _metrics(values: Mapping[str, float]) -> tuple[str, ...]:
    return tuple(per_cent(values[metric]) for metric in ("top1", "mean_class", "top5"))


def fusion_rows(fused: Mapping[str, Any]) -> list[Row]:
    """A line for each model of a fusion, and one for all together, from fusion.json."""
    models = zip(fused["alone"].items(), fused["streams"], fused["weights"], strict=True)
    rows = [(f"`{plain(name)}`", stream, f"{weight:.2g}", *_metrics(found)) for (name, found), stream, weight in models]
    return [*rows, ("**fusion**", " + ".join(fused["streams"]), "", *_metrics(fused["fused"]))]


def standard_errors(run: RunFolder) -> tuple[list[tuple[float, int]], int]:
    """The standard error of each top-1, in points, that its number of test clips leaves; and the number of seeds."""
    wanted = run.settings.get("setting") if run.is_finetuned else "linear_probe"
    top1 = [row for row in run.results if row["metric"] == "top1" and row["setting"] == wanted]
    top1 = [row for row in top1 if run.is_finetuned or row["encoder"] == "pretrained"]
    shares = [(row["value"], row["test_clips"]) for row in top1]
    errors = [(100 * math.sqrt(share * (1 - share) / count), count) for share, count in shares]
    return errors, len({row["seed"] for row in top1})


# -- how it was made ---------------------------------------------------------------------------------------------------


def start_command(run: RunFolder) -> str:
    """The command of the training without paths of this machine, in a form that can be copied into a shell."""
    words = shlex.split(run.start["command"])
    # the command is public already, and quoted once more: a placeholder is to stay a variable of the shell
    text = public_command(words[1:] if words[0] == "python" and words[1].endswith(".py") else words)
    return re.sub(r"'(\$[A-Z][A-Z0-9_]*[\w./-]*)'", r"\1", text)


def versions(run: RunFolder) -> str:
    """The packages that the training ran with."""
    found = run.start.get("versions")
    return ", ".join(f"{name} {version}" for name, version in found.items()) if isinstance(found, Mapping) else ""
