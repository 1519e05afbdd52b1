"""What a model card says of numbers that other programs measured later: robustness, fusion, and cost beside a graph network.

Like `card_sections`: one function each, a run folder in, Markdown out; nothing, or "not measured", where the file is not there.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from importlib import resources
from statistics import mean
from typing import Any

from ..models.model_cost import GRAPH_FRAMES, graph_network_cost, model_cost
from ..processing.layouts import get_layout
from ..runs.run_folder import RunFolder
from .markdown import markdown_table, per_cent, plain, words

_DAMAGE = re.compile(r"(drop_joints|crop_time)_([\d.]+)_(\w+)")
_HOW = {"zero": "at zero", "missing": "filled", "random": "random window"}


def damage_words(name: str) -> str:
    """ "drop_joints_10_zero" in words: "10 % of the joints lost, at zero"."""
    found = _DAMAGE.fullmatch(name)
    if not found:
        return words(name)
    kind, share, how = found.groups()
    what = "joints" if kind == "drop_joints" else "frames"
    return f"{share} % of the {what} lost, {_HOW.get(how, f'{how} stays')}"


def is_damaged(setting: str) -> bool:
    """Whether a row of results was measured on damaged clips, and so is no result on the test set."""
    return bool(_DAMAGE.search(setting))


def damage_table(found: Mapping[str, Mapping[str, float]]) -> str:
    """A Markdown table with a line for each damage: accuracy in per cent, and how much the damage costs.

    Args:
        found: Name of the damage -> top1, top5 and mean_class, 0 to 1; the intact clips first.
    """
    whole = next(iter(found.values()))["top1"]
    rows = [
        (
            damage_words(name),
            *(per_cent(values[metric]) for metric in ("top1", "mean_class", "top5")),
            "" if name == "intact" else per_cent(whole - values["top1"]),
        )
        for name, values in found.items()
    ]
    return markdown_table(("test clips", "top-1 %", "mean class %", "top-5 %", "lost top-1"), rows)


def robustness_section(run: RunFolder) -> str:
    """Accuracy on damaged test clips, from robustness.json; nothing if it was not measured."""
    measured = run.robustness
    if not measured.get("found"):
        return ""
    what = "This classifier" if run.is_finetuned else f"The linear probe of the `{measured.get('encoder')}` encoder"
    text = (
        f"### Damaged clips\n\n{what} on the {measured['test_clips']:,} test clips of `{measured['protocol']}`, damaged. Nothing was "
        "trained on damage. Lost joints are gone for the whole clip: at zero once the body is centred, or marked as missing and filled "
        f"from the others. Of the frames one window is left.\n\n{damage_table(measured['found'])}"
    )
    return f"{text}\n\n{_how_measured(measured)}".rstrip()


def fusion_section(run: RunFolder) -> str:
    """Several streams as one, from fusion.json; nothing if it was not measured."""
    fused = run.fusion
    if not fused.get("fused"):
        return ""
    names = list(fused["alone"])
    rows = [
        (f"`{plain(name)}`", stream, f"{weight:.2g}", *_metrics(fused["alone"][name]))
        for name, stream, weight in zip(names, fused["streams"], fused["weights"], strict=True)
    ]
    rows.append(("**fusion**", " + ".join(fused["streams"]), "", *_metrics(fused["fused"])))
    chosen = fused.get("chosen_on")
    weights = (
        "The weights are equal: no clip chose them."
        if fused["weights_from"] == "equal"
        else "The weights were given by hand."
    )
    if chosen:
        weights = f"The weights were chosen on {chosen['clips']:,} training clips that no model had learned from."
    table = markdown_table(("model", "stream", "weight", "top-1 %", "mean class %", "top-5 %"), rows)
    text = (
        f"### Fusion of streams\n\nProbabilities of {len(names)} models averaged, on the {fused['test_clips']:,} test clips of "
        f"`{fused['protocol']}`. {weights}\n\n{table}"
    )
    return f"{text}\n\n{_how_measured(fused)}".rstrip()


def _metrics(values: Mapping[str, float]) -> tuple[str, ...]:
    return tuple(per_cent(values[metric]) for metric in ("top1", "mean_class", "top5"))


def _how_measured(measured: Mapping[str, Any]) -> str:
    """Command, commit and hardware of a file that says them."""
    if not measured.get("command"):
        return ""
    where = [f"commit {measured['commit']}"] if measured.get("commit") else []
    where += [f"on {measured['hardware']}"] if measured.get("hardware") else []
    text = ", ".join(where)
    return f"```bash\n{measured['command']}\n```" + (f"\n\n{text[0].upper()}{text[1:]}." if text else "")


def comparison_section(run: RunFolder) -> str:
    """Parameters, FLOPs and measured speed beside a supervised graph network, and its accuracy where it was measured on the same clips."""
    cost, name = model_cost(run.config), run.processor.get("layout") or next(iter(run.data.get("layouts") or []), None)
    try:
        joints = get_layout(name).num_joints if name else None
    except ValueError:  # a format of one's own that is not known here
        joints = None
    if not cost or not joints:
        return ""
    classes = len(run.config.get("id2label") or {}) if run.is_finetuned else len(run.data.get("class_names") or [])
    graph = graph_network_cost(joints, max(classes, 1))
    own_parameters = (run.is_finetuned and run.summary.get("parameters")) or cost["encoder_parameters"]
    measured = run.cost
    rows = [
        ("parameters", f"{own_parameters / 1e6:.2f} M", f"{graph['parameters'] / 1e6:.2f} M"),
        ("FLOPs, one clip, forward", f"{cost['encoder_flops'] / 1e9:.3g} G", f"{graph['flops'] / 1e9:.3g} G a person"),
    ]
    if measured.get("clips_per_second"):
        speeds = measured["clips_per_second"]
        what = (
            f"clips a second, forward, batch {measured['batch_size']}, {measured['precision']}, {measured['threads']} "
            f"thread{'s' if measured['threads'] > 1 else ''}, {measured['hardware']}"
        )
        rows.append((what, f"{speeds['model']:.0f}", f"{speeds['graph_network']:.0f}"))
    else:
        rows.append(("clips a second, forward", "not measured", "not measured"))
    accuracy = _graph_accuracy(run)
    rows += [(f"top-1 % on `{protocol}`", own, graph_value) for protocol, own, graph_value in accuracy]
    header = ("", "this model" if run.is_finetuned else "this encoder", "graph network")
    text = (
        "Beside a graph network of the kind of ST-GCN and CTR-GCN, the one of `benchmarks/peer.py`: supervised, "
        f"{GRAPH_FRAMES} frames of {joints} joints; its cost grows with the people in a clip, that of an image does not.\n\n"
        f"{markdown_table(header, rows)}"
    )
    if not measured.get("clips_per_second"):
        text += "\n\n`python benchmarks/cost.py <this folder>` measures the speed of both on one machine."
    return text


def _graph_accuracy(run: RunFolder) -> list[tuple[str, str, str]]:
    """Protocol, this model's top-1 and the graph network's, where the table of measured numbers has it.

    The graph network was trained with several budgets ("stgcn", "stgcn_..."); its best mean over seeds is shown.
    """
    setting = run.settings.get("setting") if run.is_finetuned else "linear_probe"
    own: dict[tuple[str, ...], list[float]] = {}
    for row in run.results:
        ours = row["setting"] == setting and (run.is_finetuned or row["encoder"] == "pretrained")
        if ours and row["metric"] == "top1":
            own.setdefault(_clips_of(row), []).append(row["value"])
    graph: dict[tuple[str, ...], dict[str, list[float]]] = {}
    table = resources.files("s2i_hf.model_cards").joinpath("results.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(table.splitlines()):
        if (row["setting"], row["metric"]) == ("supervised", "top1") and row["method"].startswith("stgcn"):
            graph.setdefault(_clips_of(row), {}).setdefault(row["method"], []).append(float(row["value"]))
    return [
        (
            f"{clips[0]}_{clips[1]}",
            f"{per_cent(mean(values))} ({words(str(setting))})",
            f"{per_cent(mean(there))} ({_seeds(len(there))})",
        )
        for clips, values in own.items()
        if (there := max(graph.get(clips, {}).values(), key=mean, default=None))
    ]


def _clips_of(row: Mapping[str, Any]) -> tuple[str, ...]:
    """What two numbers must share to stand beside each other."""
    return tuple(str(row[name]) for name in ("dataset", "protocol", "train_clips", "test_clips"))


def _seeds(count: int) -> str:
    return "one seed" if count == 1 else f"mean of {count} seeds"
